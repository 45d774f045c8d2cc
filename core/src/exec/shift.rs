//! Shifts and rotates. The count is masked to five bits; a count of 0 keeps all flags.

use super::*;

/// Where the masked count of SHL, SHR and SAR leaves the flags that the manual leaves undefined, this is what
/// AMD's Zen does: AF is set, OF follows the definition for a count of 1.
fn after_shift<W: Word>(c: &mut Cpu, r: W, cf: bool, of: bool) {
    c.flags.set(r.sx(), cf, of, true);
}

macro_rules! rotates {
    ($($(#[$doc:meta])* $name:ident |$c:ident, $a:ident, $n:ident| $body:expr;)*) => { quick! { $(
        $(#[$doc])*
        $name<W, D, S>(c, i, io) {
            let $n = u32::from(S::get::<u8>(c, i, io)?) & 31;
            if $n == 0 {
                // The operand is still accessed, so that a bad address faults.
                return D::update(c, i, io, |_, a: W| a);
            }
            D::update(c, i, io, |$c, $a: W| $body)
        }
    )* } };
}

fn top<W: Word>(value: u32) -> bool {
    value >> (W::BITS - 1) & 1 != 0
}

rotates! {
    /// ROL.
    rol |c, a, n| {
        let k = n % W::BITS;
        let v = a.u32();
        let r = if k == 0 { a } else { W::of(v << k | v >> (W::BITS - k)) };
        let cf = r.u32() & 1 != 0;
        c.flags.set_cf_of(cf, top::<W>(r.u32()) != cf);
        r
    };
    /// ROR.
    ror |c, a, n| {
        let k = n % W::BITS;
        let v = a.u32();
        let r = if k == 0 { a } else { W::of(v >> k | v << (W::BITS - k)) };
        let cf = top::<W>(r.u32());
        c.flags.set_cf_of(cf, cf != top::<W>(r.u32() << 1));
        r
    };
    /// RCL.
    rcl |c, a, n| {
        let width = W::BITS + 1;
        let k = n % width;
        let wide = u64::from(c.flags.cf()) << W::BITS | u64::from(a.u32());
        let turned = if k == 0 { wide } else { wide << k | wide >> (width - k) };
        let r = W::of(turned as u32);
        let cf = turned >> W::BITS & 1 != 0;
        if n != 0 {
            c.flags.set_cf_of(cf, top::<W>(r.u32()) != cf);
        }
        r
    };
    /// RCR.
    rcr |c, a, n| {
        let width = W::BITS + 1;
        let k = n % width;
        let wide = u64::from(c.flags.cf()) << W::BITS | u64::from(a.u32());
        let turned = if k == 0 { wide } else { wide >> k | wide << (width - k) };
        let r = W::of(turned as u32);
        let cf = turned >> W::BITS & 1 != 0;
        c.flags.set_cf_of(cf, top::<W>(r.u32()) != top::<W>(r.u32() << 1));
        r
    };
    /// SHL.
    shl |c, a, n| {
        let wide = u64::from(a.u32()) << n;
        let r = W::of(wide as u32);
        let cf = wide >> W::BITS & 1 != 0;
        after_shift(c, r, cf, top::<W>(r.u32()) != cf);
        r
    };
    /// SHR.
    shr |c, a, n| {
        let v = a.u32();
        let r = W::of(v >> n);
        let cf = v >> (n - 1) & 1 != 0;
        after_shift(c, r, cf, top::<W>(r.u32()) != top::<W>(r.u32() << 1));
        r
    };
    /// SAR.
    sar |c, a, n| {
        let v = a.sx() as i32;
        let r = W::of((v >> n) as u32);
        let cf = v >> (n - 1) & 1 != 0;
        after_shift(c, r, cf, false);
        r
    };
}

/// SHLD.
pub(crate) fn shld<W: Word, D: Place, S: Place, N: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let n = u32::from(N::get::<u8>(c, i, io)?) & 31;
    let low: W = S::get(c, i, io)?;
    D::update(c, i, io, |c, a: W| {
        if n == 0 {
            return a;
        }
        let (high, low) = (a.u32(), low.u32());
        // With 16 bits and a count above 16, which is left open by the manuals, the second operand comes again.
        let wide = if W::BITS == 16 {
            (u64::from(high) << 32 | u64::from(low) << 16 | u64::from(low)) << n
        } else {
            (u64::from(high) << 32 | u64::from(low)) << n
        };
        let r = W::of((wide >> 32) as u32);
        if n > W::BITS {
            after_shift(c, r, false, false);
            return r;
        }
        let cf = u64::from(high) << n >> W::BITS & 1 != 0;
        if n == W::BITS {
            after_shift(c, r, cf, cf);
            return r;
        }
        after_shift(c, r, cf, top::<W>(r.u32()) != cf);
        r
    })
}

/// SHRD.
pub(crate) fn shrd<W: Word, D: Place, S: Place, N: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let n = u32::from(N::get::<u8>(c, i, io)?) & 31;
    let high: W = S::get(c, i, io)?;
    D::update(c, i, io, |c, a: W| {
        if n == 0 {
            return a;
        }
        let (low, high) = (a.u32(), high.u32());
        let wide = if W::BITS == 16 {
            u64::from(high) << 32 | u64::from(high) << 16 | u64::from(low)
        } else {
            u64::from(high) << 32 | u64::from(low)
        };
        let r = W::of((wide >> n) as u32);
        let cf = n <= W::BITS && wide >> (n - 1) & 1 != 0;
        after_shift(c, r, cf, top::<W>(r.u32()) != top::<W>(r.u32() << 1));
        r
    })
}
