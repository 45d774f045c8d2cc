//! Bit tests and scans, byte swaps, SETcc, POPCNT, CRC32.

use super::*;

macro_rules! bit_tests {
    ($($(#[$doc:meta])* $name:ident $by_register:ident |$value:ident, $bit:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) fn $name<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            let n = S::get::<u8>(c, i, io)?.u32() & (W::BITS - 1);
            D::update(c, i, io, |c, a: W| {
                c.flags.set_cf(a.u32() >> n & 1 != 0);
                let ($value, $bit) = (a.u32(), 1u32 << n);
                W::of($body)
            })
        }

        $(#[$doc])*
        /// With a register as bit offset, which reaches beyond the word in memory.
        pub(crate) fn $by_register<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            let index: W = S::get(c, i, io)?;
            let n = index.u32() & (W::BITS - 1);
            let f = |c: &mut Cpu, a: W| {
                c.flags.set_cf(a.u32() >> n & 1 != 0);
                let ($value, $bit) = (a.u32(), 1u32 << n);
                W::of($body)
            };
            if !D::MEMORY {
                return D::update(c, i, io, f);
            }
            let distance = (index.sx() as i32 >> W::BITS.trailing_zeros()) * (W::BITS / 8) as i32;
            let mut offset = c.effective(i).wrapping_add(distance as u32);
            if i.addr16() {
                offset &= 0xFFFF;
            }
            c.update(i.segment, offset, io, f)
        }
    )* };
}

bit_tests! {
    /// BTS.
    bts bts_reg |value, bit| value | bit;
    /// BTR.
    btr btr_reg |value, bit| value & !bit;
    /// BTC.
    btc btc_reg |value, bit| value ^ bit;
}

quick! {
    /// BT.
    bt<W, D, S>(c, i, io) {
        let n = S::get::<u8>(c, i, io)?.u32() & (W::BITS - 1);
        let a: W = D::get(c, i, io)?;
        c.flags.set_cf(a.u32() >> n & 1 != 0);
        Ok(())
    }
}

/// BT with a register as bit offset.
pub(crate) fn bt_reg<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let index: W = S::get(c, i, io)?;
    let n = index.u32() & (W::BITS - 1);
    let a: W = if D::MEMORY {
        let distance = (index.sx() as i32 >> W::BITS.trailing_zeros()) * (W::BITS / 8) as i32;
        let mut offset = c.effective(i).wrapping_add(distance as u32);
        if i.addr16() {
            offset &= 0xFFFF;
        }
        c.read(i.segment, offset, io)?
    } else {
        D::get(c, i, io)?
    };
    c.flags.set_cf(a.u32() >> n & 1 != 0);
    Ok(())
}

/// BSF: with a source of 0 the destination stays as it is.
pub(crate) fn bsf<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let a: W = S::get(c, i, io)?;
    c.flags.set_zf(a.u32() == 0);
    if a.u32() != 0 {
        D::put(c, i, io, W::of(a.u32().trailing_zeros()))?;
    }
    Ok(())
}

/// BSR: with a source of 0 the destination stays as it is.
pub(crate) fn bsr<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let a: W = S::get(c, i, io)?;
    c.flags.set_zf(a.u32() == 0);
    if a.u32() != 0 {
        D::put(c, i, io, W::of(31 - a.u32().leading_zeros()))?;
    }
    Ok(())
}

/// POPCNT.
pub(crate) fn popcnt<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let a: W = S::get(c, i, io)?;
    D::put(c, i, io, W::of(a.u32().count_ones()))?;
    c.flags.set_status(if a.u32() == 0 { crate::cpu::flags::bit::ZF } else { 0 });
    Ok(())
}

/// CRC32 (Castagnoli polynomial, reflected).
pub(crate) fn crc32<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let data: W = S::get(c, i, io)?;
    let mut crc = u32::get(&c.regs, i.reg[0]) ^ data.u32();
    for _ in 0..W::BITS {
        crc = crc >> 1 ^ if crc & 1 != 0 { 0x82F6_3B78 } else { 0 };
    }
    u32::set(&mut c.regs, i.reg[0], crc);
    Ok(())
}

/// SETcc.
pub(crate) fn setcc<D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let met = c.flags.condition(i.condition);
    D::put(c, i, io, u8::from(met))?;
    if D::MEMORY { Ok(()) } else { chain::next(c, i, io) }
}

quick! {
    /// CMOVcc: the source is read either way, and a 32-bit destination is written either way.
    cmov<W, D, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        if c.flags.condition(i.condition) {
            D::put(c, i, io, b)?;
        }
        Ok(())
    }
}

/// BSWAP.
pub(crate) fn bswap<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    // With 16-bit operands the result is undefined; processors give 0.
    D::update(c, i, io, |_, a: W| if W::BITS == 16 { W::of(0) } else { W::of(a.u32().swap_bytes()) })
}

fn swapped<W: Word>(a: W) -> W {
    W::of(a.u32().swap_bytes() >> (32 - W::BITS))
}

/// MOVBE from memory.
pub(crate) fn movbe_load<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let a: W = S::get(c, i, io)?;
    D::put(c, i, io, swapped(a))
}

/// MOVBE to memory.
pub(crate) fn movbe_store<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let a: W = S::get(c, i, io)?;
    D::put(c, i, io, swapped(a))
}

/// RDRAND.
pub(crate) fn rdrand<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let value = W::of(io.random() as u32);
    W::set(&mut c.regs, i.reg[0], value);
    c.flags.set_status(crate::cpu::flags::bit::CF);
    Ok(())
}
