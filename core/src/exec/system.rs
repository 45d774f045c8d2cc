//! Flags, system registers, descriptor queries, and what else the privileged part of the manual holds.

use super::*;
use crate::cpu::flags::bit;
use crate::cpu::segment::Descriptor;
use crate::cpu::{cr0, cr4};

/// #UD: UD2 and every undefined encoding.
pub(crate) fn undefined(_c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    Err(Trap::UD)
}

fn privileged(c: &Cpu) -> Run {
    if c.cpl == 0 || c.real() { Ok(()) } else { Err(Trap::gp(0)) }
}

/// CMC.
pub(crate) fn cmc(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let cf = c.flags.cf();
    c.flags.set_cf(!cf);
    Ok(())
}

/// CLC.
pub(crate) fn clc(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.flags.set_cf(false);
    Ok(())
}

/// STC.
pub(crate) fn stc(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.flags.set_cf(true);
    Ok(())
}

/// CLD.
pub(crate) fn cld(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.flags.system &= !bit::DF;
    Ok(())
}

/// STD.
pub(crate) fn std(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.flags.system |= bit::DF;
    Ok(())
}

/// Which flag CLI and STI work on: IF, or VIF under the virtual-interrupt extensions.
fn interrupt_flag(c: &Cpu) -> Run<u32> {
    let iopl = c.flags.iopl();
    if c.real() || c.cpl <= iopl && !c.v86() || c.v86() && iopl == 3 {
        Ok(bit::IF)
    } else if c.v86() && c.cr4 & cr4::VME != 0 || !c.v86() && c.cpl == 3 && c.cr4 & cr4::PVI != 0 {
        Ok(bit::VIF)
    } else {
        Err(Trap::gp(0))
    }
}

/// CLI.
pub(crate) fn cli(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let flag = interrupt_flag(c)?;
    c.flags.system &= !flag;
    Ok(())
}

/// STI: interrupts come after the next instruction.
pub(crate) fn sti(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let flag = interrupt_flag(c)?;
    if flag == bit::VIF && c.flags.has(bit::VIP) {
        return Err(Trap::gp(0));
    }
    if flag == bit::IF && !c.flags.has(bit::IF) {
        c.shadow = true;
    }
    c.flags.system |= flag;
    Ok(())
}

/// HLT.
pub(crate) fn hlt(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    privileged(c)?;
    c.halted = true;
    Err(Trap::END)
}

/// MONITOR: nothing writes the line while this processor waits, so there is nothing to arm.
pub(crate) fn monitor(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    privileged(c)?;
    if c.regs[reg::ECX] != 0 {
        return Err(Trap::gp(0));
    }
    let offset = if i.addr16() { c.regs[reg::EAX] & 0xFFFF } else { c.regs[reg::EAX] };
    let _: u8 = c.read(i.segment, offset, io)?;
    Ok(())
}

/// MWAIT waits as HLT does.
pub(crate) fn mwait(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    privileged(c)?;
    if c.regs[reg::ECX] & !1 != 0 {
        return Err(Trap::gp(0));
    }
    c.halted = true;
    Err(Trap::END)
}

/// INVD and WBINVD: caches are not modelled.
pub(crate) fn wbinvd(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    privileged(c)
}

/// INVLPG.
pub(crate) fn invlpg(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    privileged(c)?;
    let offset = c.effective(i);
    let linear = c.seg[usize::from(i.segment)].base.wrapping_add(offset);
    c.flush_page(linear);
    Ok(())
}

/// CLTS.
pub(crate) fn clts(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    privileged(c)?;
    c.cr0 &= !cr0::TS;
    Ok(())
}

/// SMSW.
pub(crate) fn smsw<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let value = c.cr0;
    if D::MEMORY { D::put(c, i, io, value as u16) } else { D::put(c, i, io, W::of(value)) }
}

/// LMSW: can set PE but not clear it.
pub(crate) fn lmsw<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    privileged(c)?;
    let value = u32::from(S::get::<u16>(c, i, io)?);
    let keep = c.cr0 & !0xE | value & 0xF;
    c.set_cr0(keep, io)
}

/// #UD for a control register that does not exist, before anything else is looked at.
fn control_register(n: u8) -> Run {
    if matches!(n, 0 | 2 | 3 | 4) { Ok(()) } else { Err(Trap::UD) }
}

/// MOV from a control register.
pub(crate) fn mov_from_cr(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    control_register(i.reg[1])?;
    privileged(c)?;
    let value = match i.reg[1] {
        0 => c.cr0,
        2 => c.cr2,
        3 => c.cr3,
        4 if c.cr4_mask() != 0 => c.cr4,
        _ => return Err(Trap::UD),
    };
    c.regs[usize::from(i.reg[0])] = value;
    Ok(())
}

/// MOV to a control register.
pub(crate) fn mov_to_cr(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    control_register(i.reg[0])?;
    privileged(c)?;
    let value = c.regs[usize::from(i.reg[1])];
    match i.reg[0] {
        0 => c.set_cr0(value, io),
        2 => {
            c.cr2 = value;
            Ok(())
        }
        3 => c.set_cr3(value, io),
        4 if c.cr4_mask() != 0 => c.set_cr4(value, io),
        _ => Err(Trap::UD),
    }
}

/// The debug register of an instruction; #DB when DR7.GD guards them.
fn debug_register(c: &mut Cpu, n: u8) -> Run<usize> {
    privileged(c)?;
    let n = c.debug_register(n).ok_or(Trap::UD)?;
    if c.dr[7] & 1 << 13 != 0 {
        c.dr[7] &= !(1 << 13);
        c.dr[6] |= 1 << 13;
        return Err(Trap::fault(crate::cpu::fault::vector::DB));
    }
    Ok(n)
}

/// MOV from a debug register.
pub(crate) fn mov_from_dr(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let n = debug_register(c, i.reg[1])?;
    c.regs[usize::from(i.reg[0])] = c.dr[n];
    Ok(())
}

/// MOV to a debug register.
pub(crate) fn mov_to_dr(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let n = debug_register(c, i.reg[0])?;
    let value = c.regs[usize::from(i.reg[1])];
    c.dr[n] = match n {
        6 => value & 0xE00F | 0xFFFF_0FF0,
        7 => value & !0xD000 | 0x400,
        _ => value,
    };
    c.settle_stepping();
    c.flush_tlb(true);
    Ok(())
}

fn msr_value(c: &Cpu) -> u64 {
    u64::from(c.regs[reg::EDX]) << 32 | u64::from(c.regs[reg::EAX])
}

fn set_pair(c: &mut Cpu, value: u64) {
    c.regs[reg::EAX] = value as u32;
    c.regs[reg::EDX] = (value >> 32) as u32;
}

/// RDMSR.
pub(crate) fn rdmsr(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    privileged(c)?;
    let value = c.read_msr(c.regs[reg::ECX], io)?;
    set_pair(c, value);
    Ok(())
}

/// WRMSR.
pub(crate) fn wrmsr(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    privileged(c)?;
    c.write_msr(c.regs[reg::ECX], msr_value(c), io)
}

/// RDTSC.
pub(crate) fn rdtsc(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    if c.cr4 & cr4::TSD != 0 && c.cpl != 0 {
        return Err(Trap::gp(0));
    }
    let value = c.tsc(io);
    set_pair(c, value);
    Ok(())
}

/// RDPMC: the counters exist and stand still.
pub(crate) fn rdpmc(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    if c.cpl != 0 && c.cr4 & cr4::PCE == 0 || c.regs[reg::ECX] > 1 {
        return Err(Trap::gp(0));
    }
    set_pair(c, 0);
    Ok(())
}

/// CPUID.
pub(crate) fn cpuid(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let enabled = io.apic_base(None) & 1 << 11 != 0;
    c.execute_cpuid(enabled);
    Ok(())
}

fn store_table(c: &mut Cpu, i: &Inst, io: &mut dyn Io, base: u32, limit: u16) -> Run {
    let at = c.effective(i);
    c.write(i.segment, at, limit, io)?;
    // With 16-bit operands the 286 stored 24 bits of base; later processors store all 32.
    c.write(i.segment, at.wrapping_add(2), base, io)
}

fn load_table(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<crate::cpu::segment::TableRegister> {
    privileged(c)?;
    let at = c.effective(i);
    let limit: u16 = c.read(i.segment, at, io)?;
    let base: u32 = c.read(i.segment, at.wrapping_add(2), io)?;
    let base = if i.oper16() { base & 0xFF_FFFF } else { base };
    Ok(crate::cpu::segment::TableRegister { base, limit })
}

/// SGDT.
pub(crate) fn sgdt(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let t = c.gdtr;
    store_table(c, i, io, t.base, t.limit)
}

/// SIDT.
pub(crate) fn sidt(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let t = c.idtr;
    store_table(c, i, io, t.base, t.limit)
}

/// LGDT.
pub(crate) fn lgdt(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.gdtr = load_table(c, i, io)?;
    Ok(())
}

/// LIDT.
pub(crate) fn lidt(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.idtr = load_table(c, i, io)?;
    Ok(())
}

fn protected_only(c: &Cpu) -> Run {
    if c.protected() { Ok(()) } else { Err(Trap::UD) }
}

fn store_selector<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, selector: u16) -> Run {
    if D::MEMORY { D::put(c, i, io, selector) } else { D::put(c, i, io, W::of(u32::from(selector))) }
}

/// SLDT.
pub(crate) fn sldt<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    store_selector::<W, D>(c, i, io, c.ldtr.selector)
}

/// STR.
pub(crate) fn str<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    store_selector::<W, D>(c, i, io, c.tr.selector)
}

/// LLDT.
pub(crate) fn lldt<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    privileged(c)?;
    let selector: u16 = S::get(c, i, io)?;
    c.load_ldt(selector, Trap::gp, io)
}

/// LTR.
pub(crate) fn ltr<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    privileged(c)?;
    let selector: u16 = S::get(c, i, io)?;
    c.load_tr(selector, io)
}

/// The descriptor that LAR, LSL, VERR and VERW look at, if it is visible at this privilege.
fn visible(c: &mut Cpu, selector: u16, io: &mut dyn Io) -> Run<Option<Descriptor>> {
    if selector & !3 == 0 {
        return Ok(None);
    }
    // A marker fault tells a selector outside its table from a page fault while reading it.
    let d = match c.descriptor(selector, |_| Trap::UD, io) {
        Ok((d, _)) => d,
        Err(trap) if trap == Trap::UD => return Ok(None),
        Err(trap) => return Err(trap),
    };
    let seen = d.is_conforming() || d.dpl() >= c.cpl && d.dpl() >= (selector & 3) as u8;
    Ok(seen.then_some(d))
}

/// VERR.
pub(crate) fn verr<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    let selector: u16 = S::get(c, i, io)?;
    let d = visible(c, selector, io)?;
    c.flags.set_zf(d.is_some_and(Descriptor::is_readable));
    Ok(())
}

/// VERW.
pub(crate) fn verw<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    let selector: u16 = S::get(c, i, io)?;
    let d = visible(c, selector, io)?;
    c.flags.set_zf(d.is_some_and(Descriptor::is_writable));
    Ok(())
}

/// LAR.
pub(crate) fn lar<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    let selector: u16 = S::get(c, i, io)?;
    let d = visible(c, selector, io)?
        .filter(|d| d.is_segment() || matches!(d.kind(), 1 | 2 | 3 | 4 | 5 | 9 | 11 | 12));
    if let Some(d) = d {
        D::put(c, i, io, W::of(d.high & 0x00FF_FF00))?;
    }
    c.flags.set_zf(d.is_some());
    Ok(())
}

/// LSL.
pub(crate) fn lsl<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    let selector: u16 = S::get(c, i, io)?;
    let d = visible(c, selector, io)?.filter(|d| d.is_segment() || matches!(d.kind(), 1 | 2 | 3 | 9 | 11));
    if let Some(d) = d {
        D::put(c, i, io, W::of(d.limit()))?;
    }
    c.flags.set_zf(d.is_some());
    Ok(())
}

/// ARPL.
pub(crate) fn arpl<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    protected_only(c)?;
    let rpl = u16::get(&c.regs, i.reg[1]) & 3;
    let selector: u16 = D::get(c, i, io)?;
    let raise = selector & 3 < rpl;
    if raise {
        D::put(c, i, io, selector & !3 | rpl)?;
    }
    c.flags.set_zf(raise);
    Ok(())
}
