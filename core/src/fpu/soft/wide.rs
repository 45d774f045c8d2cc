//! Numbers with 128 significant bits, for the transcendental functions. Truncating, without exceptions.

use super::round::{Raw, shift_right_jam};
use super::{Class, Unpacked};

/// `mant / 2^127 * 2^exp`; bit 127 is set, or `mant` is 0 for zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wide {
    /// Set for negative numbers.
    pub sign: bool,
    /// The exponent.
    pub exp: i32,
    /// The significand.
    pub mant: u128,
}

/// The upper 128 bits of a product.
#[inline]
#[must_use]
pub const fn mul_high(a: u128, b: u128) -> u128 {
    let (ah, al) = (a >> 64, a as u64 as u128);
    let (bh, bl) = (b >> 64, b as u64 as u128);
    let (x, y) = (ah * bl, al * bh);
    let middle = ((al * bl) >> 64) + x as u64 as u128 + y as u64 as u128;
    ah * bh + (x >> 64) + (y >> 64) + (middle >> 64)
}

/// One 64-bit digit of a quotient: `rest:0 ÷ divisor`, where `rest < divisor` and bit 127 of the divisor is set.
#[inline]
const fn digit(rest: u128, divisor: u128) -> (u64, u128) {
    let (dh, dl) = (divisor >> 64, divisor as u64 as u128);
    let mut q = rest / dh;
    let mut r = rest - q * dh;
    // At most two too large (Knuth, 4.3.1, theorem B).
    while q >> 64 != 0 || q * dl > r << 64 {
        q -= 1;
        r += dh;
        if r >> 64 != 0 {
            break;
        }
    }
    (q as u64, (rest << 64).wrapping_sub(q.wrapping_mul(divisor)))
}

impl Wide {
    /// 0.
    pub const ZERO: Self = Self { sign: false, exp: 0, mant: 0 };
    /// 1.
    pub const ONE: Self = Self { sign: false, exp: 0, mant: 1 << 127 };

    /// From a significand that is not normalised.
    #[inline]
    #[must_use]
    pub const fn new(sign: bool, exp: i32, mant: u128) -> Self {
        let zeros = mant.leading_zeros();
        if zeros == 128 {
            return Self::ZERO;
        }
        Self { sign, exp: exp - zeros as i32, mant: mant << zeros }
    }

    /// A finite number or zero.
    #[inline]
    #[must_use]
    pub fn from_unpacked(u: &Unpacked) -> Self {
        if u.class == Class::Zero {
            return Self::ZERO;
        }
        Self { sign: u.sign, exp: u.exp, mant: u128::from(u.mant) << 64 }
    }

    /// The fraction bits (128 of them) of a magnitude below 1.
    #[inline]
    #[must_use]
    pub const fn fraction(self) -> u128 {
        let shift = (-1 - self.exp) as u32;
        if shift < 128 { self.mant >> shift } else { 0 }
    }

    /// The same number with another sign.
    #[inline]
    #[must_use]
    pub const fn with_sign(self, sign: bool) -> Self {
        Self { sign, ..self }
    }

    /// The product.
    #[inline]
    #[must_use]
    pub const fn mul(self, other: Self) -> Self {
        Self::new(self.sign != other.sign, self.exp + other.exp + 1, mul_high(self.mant, other.mant))
    }

    /// The quotient; the divisor is not zero.
    #[must_use]
    pub const fn div(self, other: Self) -> Self {
        let sign = self.sign != other.sign;
        // Halved, so that the first remainder is below the divisor.
        let (first, rest) = digit(self.mant >> 1, other.mant);
        let (second, rest) = digit(rest, other.mant);
        let (third, _) = digit(rest, other.mant);
        let quotient = (first as u128) << 64 | second as u128;
        let zeros = quotient.leading_zeros();
        if zeros == 128 {
            return Self::ZERO;
        }
        // The dividend's bit lost by halving would be beyond the third digit's use.
        let mant = if zeros == 0 { quotient } else { quotient << zeros | third as u128 >> (64 - zeros) };
        Self { sign, exp: self.exp - other.exp - zeros as i32, mant }
    }

    /// The sum.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        if self.mant == 0 {
            return other;
        }
        if other.mant == 0 {
            return self;
        }
        let swap = self.exp < other.exp || self.exp == other.exp && self.mant < other.mant;
        let (big, small) = if swap { (other, self) } else { (self, other) };
        let y = shift_right_jam(small.mant, (big.exp - small.exp) as u32);
        if big.sign == small.sign {
            let (sum, carry) = big.mant.overflowing_add(y);
            if carry {
                Self { sign: big.sign, exp: big.exp + 1, mant: sum >> 1 | 1 << 127 }
            } else {
                Self { sign: big.sign, exp: big.exp, mant: sum }
            }
        } else {
            Self::new(big.sign, big.exp, big.mant - y)
        }
    }

    /// The next smaller magnitude.
    #[must_use]
    pub const fn nudged_down(self) -> Self {
        if self.mant == 1 << 127 {
            Self { exp: self.exp - 1, mant: u128::MAX, ..self }
        } else {
            Self { mant: self.mant - 1, ..self }
        }
    }

    /// For rounding an inexact non-zero result.
    #[inline]
    #[must_use]
    pub const fn inexact(self) -> Raw {
        Raw::new(self.sign, self.exp, self.mant | 1)
    }

    /// For rounding an exact non-zero result.
    #[inline]
    #[must_use]
    pub const fn exact(self) -> Raw {
        Raw::new(self.sign, self.exp, self.mant)
    }
}

/// `c0 − c1 z + c2 z² − …`; coefficients are falling, with 127 fraction bits, and so is the sum; `z` has 128.
#[inline]
#[must_use]
pub fn alternating(coefficients: &[u128], z: u128) -> u128 {
    coefficients.iter().rev().fold(0, |sum, &c| c - mul_high(sum, z))
}

/// `c0 + c1 z + c2 z² + …`, below 2.
#[inline]
#[must_use]
pub fn rising(coefficients: &[u128], z: u128) -> u128 {
    coefficients.iter().rev().fold(0, |sum, &c| c + mul_high(sum, z))
}

/// 1 ÷ (first × (first + 1) × … ) for each n: the product grows by `step` factors a term.
#[must_use]
pub const fn inverse_factorials<const N: usize>(first: u128, step: u128) -> [u128; N] {
    let mut terms = [0; N];
    let (mut term, mut factor, mut n) = (1u128 << 127, first, 0);
    while n < N {
        terms[n] = term;
        let mut k = 0;
        while k < step {
            term /= factor;
            factor += 1;
            k += 1;
        }
        n += 1;
    }
    terms
}

/// 1, 1/3, 1/5 …
#[must_use]
pub const fn inverse_odds<const N: usize>() -> [u128; N] {
    let mut terms = [0; N];
    let mut n = 0;
    while n < N {
        terms[n] = (1u128 << 127) / (2 * n as u128 + 1);
        n += 1;
    }
    terms
}
