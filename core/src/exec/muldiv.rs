//! Multiplication and division. ZF, SF, AF and PF after a multiplication are undefined; here SF, ZF and PF come
//! from the low half and AF is cleared. A division leaves all flags as they were.

use super::*;

fn product_flags<W: Word>(c: &mut Cpu, low: W, overflow: bool) {
    let _ = low;
    // AMD processors leave SF, ZF, AF and PF alone.
    c.flags.set_cf_of(overflow, overflow);
}

/// The double-width accumulator: AX, DX:AX, EDX:EAX.
fn accumulator<W: Word>(c: &Cpu) -> u64 {
    match W::BITS {
        8 => u64::from(c.reg16(reg::EAX)),
        16 => u64::from(c.reg16(reg::EDX)) << 16 | u64::from(c.reg16(reg::EAX)),
        _ => u64::from(c.regs[reg::EDX]) << 32 | u64::from(c.regs[reg::EAX]),
    }
}

fn set_accumulator<W: Word>(c: &mut Cpu, low: W, high: W) {
    if W::BITS == 8 {
        u16::set(&mut c.regs, 0, (low.u32() | high.u32() << 8) as u16);
    } else {
        W::set(&mut c.regs, 0, low);
        W::set(&mut c.regs, 2, high);
    }
}

quick! {
    /// MUL.
    mul<W, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        let product = u64::from(W::get(&c.regs, 0).u32()) * u64::from(b.u32());
        let (low, high) = (W::of(product as u32), W::of((product >> W::BITS) as u32));
        set_accumulator(c, low, high);
        product_flags(c, low, high.u32() != 0);
        Ok(())
    }
}

quick! {
    /// IMUL with one operand.
    imul1<W, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        let product = i64::from(W::get(&c.regs, 0).sx() as i32) * i64::from(b.sx() as i32);
        let (low, high) = (W::of(product as u32), W::of((product >> W::BITS) as u32));
        set_accumulator(c, low, high);
        product_flags(c, low, i64::from(low.sx() as i32) != product);
        Ok(())
    }
}

fn multiply<W: Word>(c: &mut Cpu, a: W, b: W) -> W {
    let product = i64::from(a.sx() as i32) * i64::from(b.sx() as i32);
    let low = W::of(product as u32);
    product_flags(c, low, i64::from(low.sx() as i32) != product);
    low
}

quick! {
    /// IMUL with two operands.
    imul2<W, D, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        let a: W = D::get(c, i, io)?;
        let r = multiply(c, a, b);
        D::put(c, i, io, r)
    }
}

quick! {
    /// IMUL with three operands.
    imul3<W, D, S, T>(c, i, io) {
        let a: W = S::get(c, i, io)?;
        let b: W = T::get(c, i, io)?;
        let r = multiply(c, a, b);
        D::put(c, i, io, r)
    }
}

/// All flags are left open by the manuals; AMD's Zen sets AF, clears SF, ZF and PF, and keeps CF and OF.
fn flags_after_division(c: &mut Cpu) {
    let (cf, of) = (c.flags.cf(), c.flags.of());
    c.flags.set(1, cf, of, true);
}

/// DIV.
pub(crate) fn div<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let b: W = S::get(c, i, io)?;
    let dividend = accumulator::<W>(c);
    let Some(quotient) = dividend.checked_div(u64::from(b.u32())) else { return Err(Trap::DE) };
    if quotient > u64::from(W::MASK) {
        return Err(Trap::DE);
    }
    let remainder = dividend % u64::from(b.u32());
    set_accumulator(c, W::of(quotient as u32), W::of(remainder as u32));
    flags_after_division(c);
    Ok(())
}

/// IDIV.
pub(crate) fn idiv<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let b: W = S::get(c, i, io)?;
    let shift = 64 - 2 * W::BITS;
    let dividend = ((accumulator::<W>(c) << shift) as i64) >> shift;
    let divisor = i64::from(b.sx() as i32);
    let Some(quotient) = dividend.checked_div(divisor) else { return Err(Trap::DE) };
    let limit = 1i64 << (W::BITS - 1);
    if !(-limit..limit).contains(&quotient) {
        return Err(Trap::DE);
    }
    let remainder = dividend % divisor;
    set_accumulator(c, W::of(quotient as u32), W::of(remainder as u32));
    flags_after_division(c);
    Ok(())
}
