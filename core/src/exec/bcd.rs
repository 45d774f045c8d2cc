//! Decimal adjustment.
//!
//! Spec: Intel SDM volume 2 (pseudo-code of each). Flags that it leaves open are as AMD's Zen has them: those
//! of the addition or subtraction that adjusts.

use super::*;
use crate::cpu::flags::bit;

fn al(c: &Cpu) -> u8 {
    u8::get(&c.regs, 0)
}

/// `of` is that of the adjustment as one addition or subtraction.
fn finish(c: &mut Cpu, al: u8, af: bool, cf: bool, of: bool) {
    u8::set(&mut c.regs, 0, al);
    c.flags.set(al as i8 as u32, cf, of, af);
}

/// DAA.
pub(crate) fn daa(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let old = al(c);
    let (mut value, mut af, mut cf) = (old, false, false);
    if old & 15 > 9 || c.flags.af() {
        value = value.wrapping_add(6);
        af = true;
    }
    if old > 0x99 || c.flags.cf() {
        value = value.wrapping_add(0x60);
        cf = true;
    }
    let of = (old ^ value) & (value.wrapping_sub(old) ^ value) & 0x80 != 0;
    finish(c, value, af, cf, of);
    Ok(())
}

/// DAS.
pub(crate) fn das(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let old = al(c);
    let old_cf = c.flags.cf();
    let (mut value, mut af, mut cf) = (old, false, false);
    if old & 15 > 9 || c.flags.af() {
        cf = old_cf || old < 6;
        value = value.wrapping_sub(6);
        af = true;
    }
    if old > 0x99 || old_cf {
        value = value.wrapping_sub(0x60);
        cf = true;
    }
    let of = (old ^ old.wrapping_sub(value)) & (old ^ value) & 0x80 != 0;
    finish(c, value, af, cf, of);
    Ok(())
}

fn ascii(c: &mut Cpu, adjusted: (i16, bool), carry: bool) {
    let (ax, of) = if carry { adjusted } else { (c.reg16(reg::EAX) as i16, false) };
    u16::set(&mut c.regs, 0, ax as u16 & 0xFF0F);
    c.flags.set(ax as u32, carry, of, carry);
}

/// AAA.
pub(crate) fn aaa(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let carry = al(c) & 15 > 9 || c.flags.af();
    let ax = (c.reg16(reg::EAX) as i16).overflowing_add(0x106);
    ascii(c, ax, carry);
    Ok(())
}

/// AAS.
pub(crate) fn aas(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let carry = al(c) & 15 > 9 || c.flags.af();
    let ax = (c.reg16(reg::EAX) as i16).overflowing_sub(0x106);
    ascii(c, ax, carry);
    Ok(())
}

/// AAM.
pub(crate) fn aam(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let base = i.imm as u8;
    let (Some(high), Some(low)) = (al(c).checked_div(base), al(c).checked_rem(base)) else {
        return Err(Trap::DE);
    };
    u16::set(&mut c.regs, 0, u16::from(high) << 8 | u16::from(low));
    c.flags.set(low as i8 as u32, false, false, false);
    Ok(())
}

/// AAD.
pub(crate) fn aad(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let ax = c.reg16(reg::EAX);
    let (old, product) = (ax as u8, ((ax >> 8) as u8).wrapping_mul(i.imm as u8));
    let (low, cf) = old.overflowing_add(product);
    let of = (old ^ low) & (product ^ low) & 0x80 != 0;
    let af = (old ^ product ^ low) & 0x10 != 0;
    u16::set(&mut c.regs, 0, u16::from(low));
    c.flags.set(low as i8 as u32, cf, of, af);
    Ok(())
}

/// SALC: AL becomes FF when CF is set, else 0.
pub(crate) fn salc(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let value = if c.flags.cf() { 0xFF } else { 0 };
    u8::set(&mut c.regs, 0, value);
    Ok(())
}

/// SAHF.
pub(crate) fn sahf(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let of = if c.flags.of() { bit::OF } else { 0 };
    c.flags.set_status(c.regs[reg::EAX] >> 8 & 0xD5 | of);
    Ok(())
}

/// LAHF.
pub(crate) fn lahf(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    let ah = (c.flags.image() & 0xD5) as u8 | 2;
    u8::set(&mut c.regs, 4, ah);
    Ok(())
}
