//! Data movement.

use super::*;
use crate::cpu::segment::seg;

quick! {
    /// MOV.
    mov<W, D, S>(c, i, io) {
        let value: W = S::get(c, i, io)?;
        D::put(c, i, io, value)
    }
}

quick! {
    /// LEA.
    lea<W, D, S>(c, i, io) {
        let offset = c.effective(i);
        D::put(c, i, io, W::of(offset))
    }
}

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident $from:ty, $by:ident;)*) => { quick! { $(
        $(#[$doc])*
        $name<W, D, S>(c, i, io) {
            let value: $from = S::get(c, i, io)?;
            D::put(c, i, io, W::of(value.$by()))
        }
    )* } };
}

extensions! {
    /// MOVZX from a byte.
    movzx_byte u8, u32;
    /// MOVZX from a word.
    movzx_word u16, u32;
    /// MOVSX from a byte.
    movsx_byte u8, sx;
    /// MOVSX from a word.
    movsx_word u16, sx;
}

/// XCHG.
pub(crate) fn xchg<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let new: W = S::get(c, i, io)?;
    let mut old = new;
    D::update(c, i, io, |_, a: W| {
        old = a;
        new
    })?;
    S::put(c, i, io, old)
}

/// CBW and CWDE.
pub(crate) fn cbw<W: Word>(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let value = if W::BITS == 16 { u8::get(&c.regs, 0).sx() } else { u16::get(&c.regs, 0).sx() };
    W::set(&mut c.regs, 0, W::of(value));
    Ok(())
}

/// CWD and CDQ.
pub(crate) fn cwd<W: Word>(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let value = (W::get(&c.regs, 0).sx() as i32 >> 31) as u32;
    W::set(&mut c.regs, 2, W::of(value));
    Ok(())
}

/// XLAT.
pub(crate) fn xlat(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let mut offset = c.regs[reg::EBX].wrapping_add(u8::get(&c.regs, 0).u32());
    if i.addr16() {
        offset &= 0xFFFF;
    }
    let value: u8 = c.read(i.segment, offset, io)?;
    u8::set(&mut c.regs, 0, value);
    Ok(())
}

/// MOV from a segment register: memory takes 16 bits whatever the operand size.
pub(crate) fn mov_from_segment<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    if i.reg[1] > 5 {
        return Err(Trap::UD);
    }
    let selector = c.seg[usize::from(i.reg[1])].selector;
    if D::MEMORY { D::put(c, i, io, selector) } else { D::put(c, i, io, W::of(u32::from(selector))) }
}

/// MOV to a segment register.
pub(crate) fn mov_to_segment<D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let number = usize::from(i.reg[0]);
    if number > 5 || number == seg::CS {
        return Err(Trap::UD);
    }
    let selector: u16 = S::get(c, i, io)?;
    c.load_segment(number, selector, io)?;
    if number == seg::SS {
        hold_interrupts(c);
    }
    Ok(())
}

/// Interrupts and debug traps wait for the instruction after one that loads SS.
pub(super) fn hold_interrupts(c: &mut Cpu) {
    c.shadow = true;
    c.shadow_debug = true;
}

fn load_pointer(c: &mut Cpu, i: &Inst, io: &mut dyn Io, number: usize) -> Run {
    let at = c.effective(i);
    let wrap = |offset: u32| if i.addr16() { offset & 0xFFFF } else { offset };
    if i.oper16() {
        let offset: u16 = c.read(i.segment, at, io)?;
        let selector: u16 = c.read(i.segment, wrap(at.wrapping_add(2)), io)?;
        c.load_segment(number, selector, io)?;
        u16::set(&mut c.regs, i.reg[0], offset);
    } else {
        let offset: u32 = c.read(i.segment, at, io)?;
        let selector: u16 = c.read(i.segment, wrap(at.wrapping_add(4)), io)?;
        c.load_segment(number, selector, io)?;
        u32::set(&mut c.regs, i.reg[0], offset);
    }
    Ok(())
}

macro_rules! pointers {
    ($($(#[$doc:meta])* $name:ident $number:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) fn $name(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            load_pointer(c, i, io, $number)
        }
    )* };
}

pointers! {
    /// LES.
    les seg::ES;
    /// LDS.
    lds seg::DS;
    /// LSS.
    lss seg::SS;
    /// LFS.
    lfs seg::FS;
    /// LGS.
    lgs seg::GS;
}

/// BOUND.
pub(crate) fn bound<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let at = c.effective(i);
    let low: W = c.read(i.segment, at, io)?;
    let next = at.wrapping_add(W::BITS / 8);
    let high: W = c.read(i.segment, if i.addr16() { next & 0xFFFF } else { next }, io)?;
    let index = W::get(&c.regs, i.reg[0]).sx() as i32;
    if index < low.sx() as i32 || index > high.sx() as i32 {
        return Err(Trap::fault(crate::cpu::fault::vector::BR));
    }
    Ok(())
}

/// NOP, PAUSE, prefetches.
pub(crate) fn nop(_c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    Ok(())
}
