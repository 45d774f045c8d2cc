//! Addition, subtraction, comparison and logic.

use super::*;
use crate::cpu::flags::EFlags;

/// Carry vector of an addition or (with `a` inverted) a subtraction, in the layout of [`EFlags::aux`].
#[inline(always)]
fn carries<W: Word>(vector: u32) -> u32 {
    vector & 8 | vector << (32 - W::BITS) & 0xC000_0000
}

#[inline(always)]
fn add_flags<W: Word>(f: &mut EFlags, a: u32, b: u32, r: W) {
    let sum = r.u32();
    let vector = a & b | (a | b) & !sum;
    f.result = r.sx();
    f.aux = carries::<W>(vector);
}

#[inline(always)]
pub(super) fn sub_flags<W: Word>(f: &mut EFlags, a: u32, b: u32, r: W) {
    let difference = r.u32();
    let vector = !a & b | (!a | b) & difference;
    f.result = r.sx();
    f.aux = carries::<W>(vector);
}

#[inline(always)]
fn logic_flags<W: Word>(f: &mut EFlags, r: W) {
    f.result = r.sx();
    f.aux = 0;
}

macro_rules! alu {
    ($($(#[$doc:meta])* $name:ident |$c:ident, $a:ident, $b:ident| $body:expr;)*) => { quick! { $(
        $(#[$doc])*
        $name<W, D, S>(c, i, io) {
            let $b: W = S::get(c, i, io)?;
            D::update(c, i, io, |$c, $a: W| $body)
        }
    )* } };
}

alu! {
    /// ADD.
    add |c, a, b| {
        let r = W::of(a.u32().wrapping_add(b.u32()));
        add_flags(&mut c.flags, a.u32(), b.u32(), r);
        r
    };
    /// ADC.
    adc |c, a, b| {
        let r = W::of(a.u32().wrapping_add(b.u32()).wrapping_add(u32::from(c.flags.cf())));
        add_flags(&mut c.flags, a.u32(), b.u32(), r);
        r
    };
    /// SUB.
    sub |c, a, b| {
        let r = W::of(a.u32().wrapping_sub(b.u32()));
        sub_flags(&mut c.flags, a.u32(), b.u32(), r);
        r
    };
    /// SBB.
    sbb |c, a, b| {
        let r = W::of(a.u32().wrapping_sub(b.u32()).wrapping_sub(u32::from(c.flags.cf())));
        sub_flags(&mut c.flags, a.u32(), b.u32(), r);
        r
    };
    /// AND.
    and |c, a, b| {
        let r = W::of(a.u32() & b.u32());
        logic_flags(&mut c.flags, r);
        r
    };
    /// OR.
    or |c, a, b| {
        let r = W::of(a.u32() | b.u32());
        logic_flags(&mut c.flags, r);
        r
    };
    /// XOR.
    xor |c, a, b| {
        let r = W::of(a.u32() ^ b.u32());
        logic_flags(&mut c.flags, r);
        r
    };
}

quick! {
    /// CMP.
    cmp<W, D, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        let a: W = D::get(c, i, io)?;
        compare(c, a, b);
        Ok(())
    }
}

/// The flags of a comparison.
#[inline(always)]
pub(super) fn compare<W: Word>(c: &mut Cpu, a: W, b: W) {
    let r = W::of(a.u32().wrapping_sub(b.u32()));
    sub_flags(&mut c.flags, a.u32(), b.u32(), r);
}

quick! {
    /// TEST.
    test<W, D, S>(c, i, io) {
        let b: W = S::get(c, i, io)?;
        let a: W = D::get(c, i, io)?;
        logic_flags(&mut c.flags, W::of(a.u32() & b.u32()));
        Ok(())
    }
}

/// What `step` makes of an operand and of the flags but CF.
#[inline(always)]
fn count<W: Word, D: Place>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    step: impl FnOnce(&mut EFlags, u32) -> W,
) -> Run {
    D::update(c, i, io, |c, a: W| {
        let cf = c.flags.cf();
        let r = step(&mut c.flags, a.u32());
        c.flags.set_cf(cf);
        r
    })
}

quick! {
    /// INC.
    inc<W, D>(c, i, io) {
        count::<W, D>(c, i, io, |f, a| {
            let r = W::of(a.wrapping_add(1));
            add_flags(f, a, 1, r);
            r
        })
    }
    /// DEC.
    dec<W, D>(c, i, io) {
        count::<W, D>(c, i, io, |f, a| {
            let r = W::of(a.wrapping_sub(1));
            sub_flags(f, a, 1, r);
            r
        })
    }
}

quick! {
    /// NEG.
    neg<W, D>(c, i, io) {
        D::update(c, i, io, |c, a: W| {
            let r = W::of(0u32.wrapping_sub(a.u32()));
            sub_flags(&mut c.flags, 0, a.u32(), r);
            r
        })
    }
}

quick! {
    /// NOT.
    not<W, D>(c, i, io) {
        D::update(c, i, io, |_, a: W| W::of(!a.u32()))
    }
}

/// XADD.
pub(crate) fn xadd<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let b: W = S::get(c, i, io)?;
    let mut old = W::default();
    if D::MEMORY {
        D::update(c, i, io, |c, a: W| {
            old = a;
            let r = W::of(a.u32().wrapping_add(b.u32()));
            add_flags(&mut c.flags, a.u32(), b.u32(), r);
            r
        })?;
        return S::put(c, i, io, old);
    }
    // Both are registers: the sum wins when they are the same.
    let a: W = D::get(c, i, io)?;
    let r = W::of(a.u32().wrapping_add(b.u32()));
    add_flags(&mut c.flags, a.u32(), b.u32(), r);
    S::put(c, i, io, a)?;
    D::put(c, i, io, r)
}

/// CMPXCHG.
pub(crate) fn cmpxchg<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let new: W = S::get(c, i, io)?;
    let wanted = W::get(&c.regs, 0);
    let mut seen = wanted;
    D::update(c, i, io, |c, a: W| {
        compare(c, wanted, a);
        seen = a;
        // The destination is written either way, so that a read-only page faults either way.
        if a == wanted { new } else { a }
    })?;
    if seen != wanted {
        W::set(&mut c.regs, 0, seen);
    }
    Ok(())
}

/// CMPXCHG8B.
pub(crate) fn cmpxchg8b(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let wanted = u64::from(c.regs[reg::EDX]) << 32 | u64::from(c.regs[reg::EAX]);
    let new = u64::from(c.regs[reg::ECX]) << 32 | u64::from(c.regs[reg::EBX]);
    let offset = c.effective(i);
    let mut seen = 0u64;
    c.update(i.segment, offset, io, |_, a: u64| {
        seen = a;
        if a == wanted { new } else { a }
    })?;
    c.flags.set_zf(seen == wanted);
    if seen != wanted {
        c.regs[reg::EAX] = seen as u32;
        c.regs[reg::EDX] = (seen >> 32) as u32;
    }
    Ok(())
}
