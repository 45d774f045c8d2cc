//! The arithmetic that the standards describe, written down in integers of any size: a result is known exactly,
//! and rounded by counting units in the last place. It shares nothing with the kernels that it judges.

use num_bigint::BigUint;

/// Exceptions as the status word has them, with C1 for "made larger by rounding".
pub(crate) mod flag {
    pub(crate) const INVALID: u16 = 1;
    pub(crate) const DENORMAL: u16 = 2;
    pub(crate) const ZERO_DIVIDE: u16 = 4;
    pub(crate) const OVERFLOW: u16 = 8;
    pub(crate) const UNDERFLOW: u16 = 16;
    pub(crate) const PRECISION: u16 = 32;
    pub(crate) const ROUNDED_UP: u16 = 1 << 9;
}

/// A rounding control, in its encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Nearest,
    Down,
    Up,
    Zero,
}

pub(crate) const MODES: [Mode; 4] = [Mode::Nearest, Mode::Down, Mode::Up, Mode::Zero];

/// What a result must fit into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// Bits of significand.
    pub(crate) precision: i64,
    /// Exponents of the smallest and the largest normal number.
    pub(crate) range: (i64, i64),
    /// What is added to the exponent of a tiny result, and taken from that of a huge one, when the exception is
    /// unmasked (SDM volume 1, 8.5.4 and 8.5.5).
    pub(crate) bias: i64,
}

/// A magnitude that is known exactly.
pub(crate) enum Exact {
    /// `.0 / .1 × 2^.2`, not zero.
    Ratio(BigUint, BigUint, i64),
    /// The square root of `.0 × 2^.1`, not zero.
    Root(BigUint, i64),
}

impl Exact {
    /// The whole part of this × 2^`scale`, and whether there is more behind it.
    fn whole(&self, scale: i64) -> (BigUint, bool) {
        let zero = BigUint::ZERO;
        match self {
            Self::Ratio(above, below, exponent) => {
                let shift = exponent + scale;
                let (above, below) = if shift >= 0 {
                    (above << shift.unsigned_abs(), below.clone())
                } else {
                    (above.clone(), below << shift.unsigned_abs())
                };
                let whole = &above / &below;
                let more = &whole * &below != above;
                (whole, more)
            }
            Self::Root(number, exponent) => {
                // Below the root there is an even power of two; what falls out at the end is looked at.
                let shift = exponent + 2 * scale;
                let number = if shift >= 0 {
                    number << shift.unsigned_abs()
                } else {
                    let count = shift.unsigned_abs();
                    if number.trailing_zeros().is_some_and(|zeros| zeros >= count) {
                        number >> count
                    } else {
                        let whole = (number >> count).sqrt();
                        return (whole, true);
                    }
                };
                let whole = number.sqrt();
                let more = &whole * &whole != number;
                debug_assert!(whole != zero || more);
                (whole, more)
            }
        }
    }

    /// The exponent of its leading bit.
    fn exponent(&self) -> i64 {
        let bits = |number: &BigUint| i64::try_from(number.bits()).unwrap();
        let guess = match self {
            Self::Ratio(above, below, exponent) => bits(above) - bits(below) + exponent,
            Self::Root(number, exponent) => (bits(number) - 1 + exponent).div_euclid(2),
        };
        // No further off than one.
        (guess - 2..=guess + 2).rev().find(|&exponent| self.whole(-exponent).0 != BigUint::ZERO).unwrap()
    }

    /// Units of 2^`unit` in it, rounded; whether that is exact, and whether it is more.
    pub(crate) fn units(&self, unit: i64, negative: bool, mode: Mode) -> (BigUint, bool, bool) {
        let (halves, more) = self.whole(1 - unit);
        let (mut units, half) = (&halves >> 1u32, halves.bit(0));
        let exact = !half && !more;
        let up = match mode {
            Mode::Nearest => half && (more || units.bit(0)),
            Mode::Down => !exact && negative,
            Mode::Up => !exact && !negative,
            Mode::Zero => false,
        };
        units += u32::from(up);
        (units, exact, up)
    }
}

/// A rounded result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rounded {
    Infinite,
    /// `.0 × 2^.1`, zero included.
    Finite(BigUint, i64),
}

/// Rounds as SDM volume 1, 4.8.4 and 4.9.1 say: with which flags, when these exceptions are masked.
pub(crate) fn round(exact: &Exact, negative: bool, fit: Fit, mode: Mode, masks: u16) -> (Rounded, u16) {
    let unit = exact.exponent() - fit.precision + 1;
    let (units, is_exact, up) = exact.units(unit, negative, mode);
    // A carry may have made it a bit longer.
    let top = i64::try_from(units.bits()).unwrap() - 1 + unit;
    let flags =
        |exact: bool, up: bool| (u16::from(!exact) * flag::PRECISION) | (u16::from(up) * flag::ROUNDED_UP);
    if top > fit.range.1 {
        if masks & flag::OVERFLOW == 0 {
            return (Rounded::Finite(units, unit - fit.bias), flag::OVERFLOW | flags(is_exact, up));
        }
        let infinite = match mode {
            Mode::Nearest => true,
            Mode::Down => negative,
            Mode::Up => !negative,
            Mode::Zero => false,
        };
        let flags = flag::OVERFLOW | flags(false, infinite);
        let largest = (BigUint::from(1u32) << fit.precision.unsigned_abs()) - 1u32;
        let finite = Rounded::Finite(largest, fit.range.1 - fit.precision + 1);
        return (if infinite { Rounded::Infinite } else { finite }, flags);
    }
    if top < fit.range.0 {
        if masks & flag::UNDERFLOW == 0 {
            return (Rounded::Finite(units, unit + fit.bias), flag::UNDERFLOW | flags(is_exact, up));
        }
        let unit = fit.range.0 - fit.precision + 1;
        let (units, is_exact, up) = exact.units(unit, negative, mode);
        let tiny = u16::from(!is_exact) * flag::UNDERFLOW;
        return (Rounded::Finite(units, unit), tiny | flags(is_exact, up));
    }
    (Rounded::Finite(units, unit), flags(is_exact, up))
}
