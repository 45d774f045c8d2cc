//! Moves of vectors and of their parts: whole registers, halves, single lanes, and between register files.
//!
//! Spec: Intel SDM volume 2 (MOV…, PINSR…, PEXTR…, MASKMOV…).

use super::vector::*;
use super::*;

/// All moves of a register's full width, with and without alignment, temporal or not.
pub(crate) fn move_all<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    transform::<V, D, S>(c, i, io, |x| x)
}

/// MOVQ between XMM registers and 64 bits of memory: zero-extends.
pub(crate) fn move_low<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    transform::<V, D, S>(c, i, io, |x| V::of(u128::from(x.u128() as u64)))
}

/// MOVSS and MOVSD: a load zero-extends, between registers the rest of the destination stays.
#[inline(always)]
fn move_scalar<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, low: u128) -> Run {
    if D::MEMORY || S::MEMORY {
        return move_all::<V, D, S>(c, i, io);
    }
    combine::<V, D, S>(c, i, io, |a, b| V::of(a.u128() & !low | b.u128() & low))
}

/// MOVSS.
pub(crate) fn movss<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    move_scalar::<V, D, S>(c, i, io, 0xFFFF_FFFF)
}

/// MOVSD.
pub(crate) fn movsd<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    move_scalar::<V, D, S>(c, i, io, 0xFFFF_FFFF_FFFF_FFFF)
}

/// MOVD from a general register or memory.
pub(crate) fn movd_load<V: Vector, D: Side<V>, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let value: u32 = S::get(c, i, io)?;
    D::put(c, i, io, V::of(u128::from(value)))?;
    V::finish(c);
    Ok(())
}

/// MOVD to a general register or memory.
pub(crate) fn movd_store<V: Vector, D: Place, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let value = S::get(c, i, io)?;
    D::put(c, i, io, value.u128() as u32)?;
    V::finish(c);
    Ok(())
}

const LOW: u128 = u64::MAX as u128;

/// Replaces one half of the first operand.
#[inline(always)]
fn set_half(c: &mut Cpu, i: &Inst, high: bool, half: u64) {
    let register = &mut c.xmm[usize::from(i.reg[0] & 7)];
    *register =
        if high { *register & LOW | u128::from(half) << 64 } else { *register & !LOW | u128::from(half) };
}

/// MOVLPS and MOVLPD, loads.
pub(crate) fn load_low(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let half: u64 = c.load(i, io)?;
    set_half(c, i, false, half);
    Ok(())
}

/// MOVHPS and MOVHPD, loads.
pub(crate) fn load_high(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let half: u64 = c.load(i, io)?;
    set_half(c, i, true, half);
    Ok(())
}

/// MOVLPS and MOVLPD, stores.
pub(crate) fn store_low(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let value = u128::get(c, i.reg[1]);
    c.store(i, value as u64, io)
}

/// MOVHPS and MOVHPD, stores.
pub(crate) fn store_high(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let value = u128::get(c, i.reg[1]);
    c.store(i, (value >> 64) as u64, io)
}

/// MOVHLPS.
pub(crate) fn movhlps(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let half = (u128::get(c, i.reg[1]) >> 64) as u64;
    set_half(c, i, false, half);
    Ok(())
}

/// MOVLHPS.
pub(crate) fn movlhps(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let half = u128::get(c, i.reg[1]) as u64;
    set_half(c, i, true, half);
    Ok(())
}

/// MOVMSKPS.
pub(crate) fn movmskps(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let value = u128::get(c, i.reg[1]);
    let signs = lanes::<u32, u128>(&value).iter().enumerate().fold(0, |m, (n, lane)| m | (lane >> 31) << n);
    u32::set(&mut c.regs, i.reg[0], signs);
    Ok(())
}

/// MOVMSKPD.
pub(crate) fn movmskpd(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let value = u128::get(c, i.reg[1]);
    u32::set(&mut c.regs, i.reg[0], (value >> 63) as u32 & 1 | (value >> 126) as u32 & 2);
    Ok(())
}

/// MOVQ2DQ.
pub(crate) fn movq2dq(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    c.mmx_available(io)?;
    let value = u64::get(c, i.reg[1]);
    u128::set(c, i.reg[0], u128::from(value));
    c.fpu.enter_mmx();
    Ok(())
}

/// MOVDQ2Q.
pub(crate) fn movdq2q(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    c.mmx_available(io)?;
    let value = u128::get(c, i.reg[1]);
    u64::set(c, i.reg[0], value as u64);
    c.fpu.enter_mmx();
    Ok(())
}

/// EMMS.
pub(crate) fn emms(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.mmx_available(io)?;
    c.fpu.emms();
    Ok(())
}

/// The lane that the immediate chooses, of lanes of `bytes` bytes: its distance in bits.
fn lane<V: Vector>(i: &Inst, bytes: u32) -> u32 {
    (i.imm & (V::SIZE / bytes - 1)) * bytes * 8
}

/// Puts a byte, word or doubleword into the lane that the immediate chooses.
#[inline(always)]
fn insert<W: Word, V: Vector, D: Side<V>, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    // From a register it is the low end, never AH.
    let value = if S::MEMORY { S::get::<W>(c, i, io)?.u32() } else { S::get::<u32>(c, i, io)? & W::MASK };
    let at = lane::<V>(i, W::SIZE);
    let old = D::get(c, i, io)?.u128();
    D::put(c, i, io, V::of(old & !(u128::from(W::MASK) << at) | u128::from(value) << at))?;
    V::finish(c);
    Ok(())
}

/// Takes a lane out, zero-extended in a register.
#[inline(always)]
fn extract<W: Word, V: Vector, D: Place, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let value = (S::get(c, i, io)?.u128() >> lane::<V>(i, W::SIZE)) as u32 & W::MASK;
    if D::MEMORY {
        D::put(c, i, io, W::of(value))?;
    } else {
        D::put(c, i, io, value)?;
    }
    V::finish(c);
    Ok(())
}

macro_rules! elements {
    ($($word:ty: $insert:ident $extract:ident;)*) => { $(
        pub(crate) fn $insert<V: Vector, D: Side<V>, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            insert::<$word, V, D, S>(c, i, io)
        }
        pub(crate) fn $extract<V: Vector, D: Place, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            extract::<$word, V, D, S>(c, i, io)
        }
    )* };
}

elements! {
    u8: pinsrb pextrb;
    u16: pinsrw pextrw;
    u32: pinsrd pextrd;
}

/// INSERTPS: a lane of the source (from memory the only one) into a lane, then zeros.
pub(crate) fn insertps<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (from, to) = ((i.imm >> 6 & 3) as usize, (i.imm >> 4 & 3) as usize);
    let from = if S::MEMORY { 0 } else { from };
    combine::<V, D, S>(c, i, io, |x, y| {
        build::<u32, V>(|n| match n {
            _ if i.imm >> n & 1 != 0 => 0,
            _ if n == to => lanes::<u32, V>(&y)[from],
            _ => lanes::<u32, V>(&x)[n],
        })
    })
}

/// MASKMOVQ and MASKMOVDQU: bytes of the first operand whose sign in the second is set go to DS:EDI.
pub(crate) fn maskmov<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let (data, mask) = (D::get(c, i, io)?, S::get(c, i, io)?);
    // MMX state changes even when a byte cannot be written.
    V::finish(c);
    let (from, wrap) = (c.regs[reg::EDI], if i.addr16() { 0xFFFF } else { u32::MAX });
    let (bytes, signs) = (lanes::<u8, V>(&data), lanes::<i8, V>(&mask));
    let user = c.cpl == 3;
    // Rights are those of whole quadwords, and asked for even when no byte is chosen.
    for at in (0..V::SIZE).step_by(8) {
        let linear = c.linear_write(i.segment, from.wrapping_add(at) & wrap, 8)?;
        c.probe_write(linear, 8, user, io)?;
    }
    for (n, (&byte, &sign)) in (0..).zip(bytes.iter().zip(signs)) {
        if sign < 0 {
            c.write(i.segment, from.wrapping_add(n) & wrap, byte, io)?;
        }
    }
    Ok(())
}
