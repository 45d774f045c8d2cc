//! The one place where results are rounded.

use super::{F80, FloatContext, Format, Precision, Rounding, flag};

/// An exact result, or one whose lost bits live on in a sticky bit 0 of `lo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw {
    /// Set for negative numbers.
    pub sign: bool,
    /// The value is `hi:lo / 2^127 * 2^exp`.
    pub exp: i32,
    /// Bit 63 is set.
    pub hi: u64,
    /// The bits below.
    pub lo: u64,
}

impl Raw {
    /// From 128 bits with the leading one in bit 127.
    #[inline]
    #[must_use]
    pub const fn new(sign: bool, exp: i32, bits: u128) -> Self {
        Self { sign, exp, hi: (bits >> 64) as u64, lo: bits as u64 }
    }

    /// All 128 bits.
    #[inline]
    #[must_use]
    pub const fn bits(&self) -> u128 {
        (self.hi as u128) << 64 | self.lo as u128
    }
}

/// What a result is rounded to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Bits of significand.
    pub precision: u32,
    /// The smallest exponent of a normal number.
    pub emin: i32,
    /// The largest exponent.
    pub emax: i32,
    /// x87 registers: what unmasked overflow takes off the exponent and unmasked underflow adds to it.
    pub wrap: i32,
}

impl Target {
    /// An x87 register under a precision control.
    #[inline]
    #[must_use]
    pub const fn register(precision: Precision) -> Self {
        Self { precision: precision.bits(), emin: F80::EMIN, emax: F80::BIAS, wrap: 24576 }
    }

    /// A memory operand or an SSE register.
    #[inline]
    #[must_use]
    pub const fn format<F: Format>() -> Self {
        Self { precision: F::PRECISION, emin: 1 - F::EMAX, emax: F::EMAX, wrap: 0 }
    }
}

/// A rounded result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounded {
    /// Finite; a clear bit 63 of the significand means denormal or zero (with `exp` = emin).
    Finite {
        /// The exponent.
        exp: i32,
        /// The significand.
        mant: u64,
    },
    /// Too large.
    Infinite,
}

/// Whether the bits `rest` (of a unit `2 * half`) make the magnitude grow.
#[inline]
#[must_use]
pub fn rounds_up(rounding: Rounding, sign: bool, odd: bool, rest: u128, half: u128) -> bool {
    match rounding {
        Rounding::Nearest => rest > half || rest == half && odd,
        Rounding::Down => sign && rest != 0,
        Rounding::Up => !sign && rest != 0,
        Rounding::Zero => false,
    }
}

/// Shifts right, keeping lost bits as a sticky bit 0.
#[inline]
#[must_use]
pub const fn shift_right_jam(bits: u128, count: u32) -> u128 {
    if count == 0 {
        bits
    } else if count < 128 {
        bits >> count | (bits << (128 - count) != 0) as u128
    } else {
        (bits != 0) as u128
    }
}

/// A significand after rounding.
struct Cut {
    mant: u64,
    /// It carried out of bit 63, and is 1.0 of the next exponent.
    carry: bool,
    /// What to raise.
    flags: u16,
}

/// Rounds to a number of bits.
#[inline(always)]
fn cut(hi: u64, lo: u64, precision: u32, sign: bool, rounding: Rounding) -> Cut {
    // The bits that go, below the ones that stay, and what half of a unit is.
    let (base, rest, below, half) = if precision == 64 {
        (hi, lo, 0, 1 << 63)
    } else {
        let unit = 1u64 << (64 - precision);
        (hi & !(unit - 1), hi & (unit - 1), lo, unit >> 1)
    };
    if rest | below == 0 {
        return Cut { mant: base, carry: false, flags: 0 };
    }
    let unit = if precision == 64 { 1 } else { half << 1 };
    let up = match rounding {
        Rounding::Nearest => rest > half || rest == half && (below != 0 || base & unit != 0),
        Rounding::Down => sign,
        Rounding::Up => !sign,
        Rounding::Zero => false,
    };
    if !up {
        return Cut { mant: base, carry: false, flags: flag::PRECISION };
    }
    let (sum, carry) = base.overflowing_add(unit);
    let mant = if carry { 1 << 63 } else { sum };
    Cut { mant, carry, flags: flag::PRECISION | flag::ROUNDED_UP }
}

/// Rounds a result to a target and raises overflow, underflow and inexact.
#[inline]
pub fn round(raw: &Raw, target: Target, cx: &mut FloatContext) -> Rounded {
    if raw.exp < target.emin {
        return round_tiny(raw, target, cx);
    }
    let cut = cut(raw.hi, raw.lo, target.precision, raw.sign, cx.rounding);
    let exp = raw.exp + i32::from(cut.carry);
    if exp > target.emax {
        return overflow(raw.sign, exp, &cut, target, cx);
    }
    cx.raise(cut.flags);
    Rounded::Finite { exp, mant: cut.mant }
}

#[cold]
fn overflow(sign: bool, exp: i32, cut: &Cut, target: Target, cx: &mut FloatContext) -> Rounded {
    cx.raise(flag::OVERFLOW);
    if !cx.masked(flag::OVERFLOW) {
        let exp = exp - target.wrap;
        if exp > target.emax && target.wrap != 0 {
            // Only FSCALE gets so far beyond the range.
            cx.raise(flag::PRECISION | flag::ROUNDED_UP);
            return Rounded::Infinite;
        }
        cx.raise(cut.flags);
        return Rounded::Finite { exp, mant: cut.mant };
    }
    cx.raise(flag::PRECISION);
    let to_infinity = match cx.rounding {
        Rounding::Nearest => true,
        Rounding::Down => sign,
        Rounding::Up => !sign,
        Rounding::Zero => false,
    };
    if to_infinity {
        cx.raise(flag::ROUNDED_UP);
        Rounded::Infinite
    } else {
        Rounded::Finite { exp: target.emax, mant: u64::MAX << (64 - target.precision) }
    }
}

#[cold]
fn round_tiny(raw: &Raw, target: Target, cx: &mut FloatContext) -> Rounded {
    // Tininess is detected after rounding as if the exponent were unbounded.
    let unbounded = cut(raw.hi, raw.lo, target.precision, raw.sign, cx.rounding);
    let tiny = raw.exp + i32::from(unbounded.carry) < target.emin;
    if tiny {
        if !cx.masked(flag::UNDERFLOW) {
            cx.raise(flag::UNDERFLOW);
            let exp = raw.exp + i32::from(unbounded.carry) + target.wrap;
            if exp < target.emin && target.wrap != 0 {
                // Only FSCALE gets so far beyond the range.
                cx.raise(flag::PRECISION);
                return Rounded::Finite { exp: target.emin, mant: 0 };
            }
            cx.raise(unbounded.flags);
            return Rounded::Finite { exp, mant: unbounded.mant };
        }
        if cx.ftz {
            cx.raise(flag::UNDERFLOW | flag::PRECISION);
            return Rounded::Finite { exp: target.emin, mant: 0 };
        }
    }
    let shifted = shift_right_jam(raw.bits(), (target.emin - raw.exp) as u32);
    let bounded = cut((shifted >> 64) as u64, shifted as u64, target.precision, raw.sign, cx.rounding);
    cx.raise(bounded.flags);
    if tiny && bounded.flags != 0 {
        cx.raise(flag::UNDERFLOW);
    }
    Rounded::Finite { exp: target.emin, mant: bounded.mant }
}

/// Rounds to an x87 register.
#[inline(always)]
pub fn to_f80(raw: &Raw, precision: Precision, cx: &mut FloatContext) -> F80 {
    if raw.exp >= F80::EMIN && raw.exp < F80::BIAS {
        // Neither tiny nor too large, whatever the rounding does.
        let cut = match precision {
            Precision::Extended => cut(raw.hi, raw.lo, 64, raw.sign, cx.rounding),
            _ => cut(raw.hi, raw.lo, precision.bits(), raw.sign, cx.rounding),
        };
        cx.raise(cut.flags);
        return F80::finite(raw.sign, raw.exp + i32::from(cut.carry), cut.mant);
    }
    to_f80_at_limits(*raw, precision, cx)
}

#[cold]
fn to_f80_at_limits(raw: Raw, precision: Precision, cx: &mut FloatContext) -> F80 {
    match round(&raw, Target::register(precision), cx) {
        Rounded::Finite { exp, mant } if mant >> 63 != 0 => F80::finite(raw.sign, exp, mant),
        Rounded::Finite { mant, .. } => F80::new(u16::from(raw.sign) << 15, mant),
        Rounded::Infinite => F80::infinity(raw.sign),
    }
}

/// Rounds to binary32 or binary64.
#[inline(always)]
pub fn to_format<F: Format>(raw: &Raw, cx: &mut FloatContext) -> F {
    if raw.exp > -F::EMAX && raw.exp < F::EMAX {
        // Neither tiny nor too large, whatever the rounding does.
        let cut = cut(raw.hi, raw.lo, F::PRECISION, raw.sign, cx.rounding);
        cx.raise(cut.flags);
        return F::assemble(raw.sign, (raw.exp + F::EMAX + i32::from(cut.carry)) as u32, cut.mant);
    }
    to_format_at_limits(*raw, cx)
}

#[cold]
fn to_format_at_limits<F: Format>(raw: Raw, cx: &mut FloatContext) -> F {
    match round(&raw, Target::format::<F>(), cx) {
        Rounded::Finite { exp, mant } if mant >> 63 != 0 => {
            F::assemble(raw.sign, (exp + F::EMAX) as u32 & ((1 << F::EXPONENT_BITS) - 1), mant)
        }
        Rounded::Finite { mant, .. } => F::assemble(raw.sign, 0, mant),
        Rounded::Infinite => F::infinity(raw.sign),
    }
}
