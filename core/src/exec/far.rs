//! Far branches, interrupts and returns from them, SYSENTER.

use super::*;
use crate::cpu::fault::vector;
use crate::cpu::interrupt::Event;
use crate::cpu::segment::{Descriptor, Segment, seg};

/// JMP far, direct.
pub(crate) fn jmpf<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.far_jump(i.disp as u16, i.imm, io)
}

/// CALL far, direct.
pub(crate) fn callf<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.far_call(i.disp as u16, i.imm, W::BITS == 32, io)
}

fn pointer<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<(u16, u32)> {
    if !i.is_memory() {
        return Err(Trap::UD);
    }
    let at = c.effective(i);
    let offset: W = c.read(i.segment, at, io)?;
    let next = at.wrapping_add(W::BITS / 8);
    let selector: u16 = c.read(i.segment, if i.addr16() { next & 0xFFFF } else { next }, io)?;
    Ok((selector, offset.u32()))
}

/// JMP far, indirect.
pub(crate) fn jmpf_mem<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (selector, offset) = pointer::<W>(c, i, io)?;
    c.far_jump(selector, offset, io)
}

/// CALL far, indirect.
pub(crate) fn callf_mem<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (selector, offset) = pointer::<W>(c, i, io)?;
    c.far_call(selector, offset, W::BITS == 32, io)
}

/// RET far.
pub(crate) fn retf<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.far_return(W::BITS == 32, 0, io)
}

/// RET far with parameters to release.
pub(crate) fn retf_imm<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.far_return(W::BITS == 32, i.imm as u16, io)
}

/// IRET.
pub(crate) fn iret<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.interrupt_return(W::BITS == 32, io)
}

/// INT n.
pub(crate) fn int(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.software_interrupt(i.imm as u8, io)
}

/// INT3.
pub(crate) fn int3(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.raise_software(Event::Software(vector::BP), io)
}

/// INTO.
pub(crate) fn into(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    if c.flags.of() { c.raise_software(Event::Software(vector::OF), io) } else { Ok(()) }
}

/// INT1 (ICEBP).
pub(crate) fn int1(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.raise_software(Event::Trap(vector::DB), io)
}

fn flat(selector: u16, code: bool, dpl: u8) -> Segment {
    let kind = if code { 0xB } else { 0x3 };
    let high = 0x00CF_9000 | kind << 8 | u32::from(dpl) << 13;
    Segment::loaded(selector, Descriptor { low: 0xFFFF, high })
}

/// SYSENTER.
pub(crate) fn sysenter(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    use crate::cpu::flags::bit;
    if c.real() || c.msr.sysenter_cs & 0xFFFC == 0 {
        return Err(Trap::gp(0));
    }
    let cs = c.msr.sysenter_cs as u16 & !3;
    c.flags.system &= !(bit::VM | bit::IF | bit::RF);
    c.set_segment(seg::CS, flat(cs, true, 0));
    c.set_segment(seg::SS, flat(cs.wrapping_add(8), false, 0));
    c.set_cpl(0);
    c.regs[reg::ESP] = c.msr.sysenter_esp;
    c.eip = c.msr.sysenter_eip;
    Ok(())
}

/// SYSEXIT.
pub(crate) fn sysexit(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    if c.real() || c.cpl != 0 || c.msr.sysenter_cs & 0xFFFC == 0 {
        return Err(Trap::gp(0));
    }
    let cs = c.msr.sysenter_cs as u16;
    c.set_segment(seg::CS, flat(cs.wrapping_add(16) | 3, true, 3));
    c.set_segment(seg::SS, flat(cs.wrapping_add(24) | 3, false, 3));
    c.set_cpl(3);
    c.regs[reg::ESP] = c.regs[reg::ECX];
    c.eip = c.regs[reg::EDX];
    Ok(())
}
