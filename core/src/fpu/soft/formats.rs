//! The three formats as bits.

use super::{Class, Unpacked};

/// Binary32 as bits; never a native `f32`, which may lose a NaN's payload on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct F32(pub u32);

/// Binary64 as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct F64(pub u64);

/// The x87's 80-bit extended format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct F80 {
    /// The significand with its explicit leading bit in bit 63.
    pub mantissa: u64,
    /// Bit 15 is the sign, the others are the exponent plus 16383.
    pub sign_exponent: u16,
}

/// The two formats that SSE works with.
pub trait Format: Copy + PartialEq {
    /// Bits of significand, with the hidden one.
    const PRECISION: u32;
    /// The largest exponent; also the bias.
    const EMAX: i32;
    /// Bits of exponent.
    const EXPONENT_BITS: u32;
    /// The NaN that masked invalid operations give.
    const INDEFINITE: Self;
    /// The bits, in the low end of 64.
    fn to_bits(self) -> u64;
    /// From the low bits of `bits`.
    fn from_bits(bits: u64) -> Self;

    /// Takes a number apart; no exceptions.
    #[inline]
    fn unpack(self) -> Unpacked {
        let bits = self.to_bits();
        let fraction_bits = Self::PRECISION - 1;
        let sign = bits >> (fraction_bits + Self::EXPONENT_BITS) & 1 != 0;
        let biased = (bits >> fraction_bits) as u32 & ((1 << Self::EXPONENT_BITS) - 1);
        let fraction = bits << (64 - fraction_bits) >> 1;
        if biased.wrapping_sub(1) < Self::EMAX as u32 * 2 {
            let exp = biased as i32 - Self::EMAX;
            return Unpacked { sign, class: Class::Normal, exp, mant: fraction | 1 << 63 };
        }
        unpack_special(sign, biased == 0, fraction, Self::EMAX)
    }

    /// Puts sign, biased exponent and significand (leading bit, present or not, in bit 63) together.
    #[inline]
    fn assemble(sign: bool, biased: u32, mant: u64) -> Self {
        let fraction_bits = Self::PRECISION - 1;
        let sign = u64::from(sign) << (fraction_bits + Self::EXPONENT_BITS);
        Self::from_bits(sign | u64::from(biased) << fraction_bits | mant << 1 >> (64 - fraction_bits))
    }

    /// Plus or minus zero.
    #[inline]
    fn zero(sign: bool) -> Self {
        Self::assemble(sign, 0, 0)
    }

    /// Plus or minus infinity.
    #[inline]
    fn infinity(sign: bool) -> Self {
        Self::assemble(sign, (1 << Self::EXPONENT_BITS) - 1, 0)
    }

    /// A NaN, made quiet, with the leading payload bits that fit.
    #[inline]
    fn quiet(nan: &Unpacked) -> Self {
        Self::assemble(nan.sign, (1 << Self::EXPONENT_BITS) - 1, nan.mant | 1 << 62)
    }
}

/// Takes apart what is not normal; `fraction` begins in bit 62.
#[cold]
fn unpack_special(sign: bool, smallest: bool, fraction: u64, emax: i32) -> Unpacked {
    if smallest {
        if fraction == 0 {
            return Unpacked::zero(sign);
        }
        let zeros = fraction.leading_zeros();
        let exp = 1 - emax - zeros as i32;
        return Unpacked { sign, class: Class::Denormal, exp, mant: fraction << zeros };
    }
    let class = if fraction == 0 {
        Class::Infinite
    } else if fraction & 1 << 62 != 0 {
        Class::Quiet
    } else {
        Class::Signalling
    };
    Unpacked { sign, class, exp: emax + 1, mant: fraction | 1 << 63 }
}

impl Format for F32 {
    const PRECISION: u32 = 24;
    const EMAX: i32 = 127;
    const EXPONENT_BITS: u32 = 8;
    const INDEFINITE: Self = Self(0xFFC0_0000);
    #[inline]
    fn to_bits(self) -> u64 {
        u64::from(self.0)
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        Self(bits as u32)
    }
}

impl Format for F64 {
    const PRECISION: u32 = 53;
    const EMAX: i32 = 1023;
    const EXPONENT_BITS: u32 = 11;
    const INDEFINITE: Self = Self(0xFFF8_0000_0000_0000);
    #[inline]
    fn to_bits(self) -> u64 {
        self.0
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl F80 {
    /// +0.
    pub const ZERO: Self = Self::new(0, 0);
    /// +1.
    pub const ONE: Self = Self::new(0x3FFF, 1 << 63);
    /// The NaN that masked invalid operations give ("real indefinite").
    pub const INDEFINITE: Self = Self::new(0xFFFF, 3 << 62);
    /// The exponent bias, and the largest exponent of a finite number.
    pub const BIAS: i32 = 16383;
    /// The smallest exponent of a normal number.
    pub const EMIN: i32 = -16382;

    /// From the two fields.
    #[inline]
    #[must_use]
    pub const fn new(sign_exponent: u16, mantissa: u64) -> Self {
        Self { mantissa, sign_exponent }
    }

    /// Plus or minus zero.
    #[inline]
    #[must_use]
    pub const fn zero(sign: bool) -> Self {
        Self::new((sign as u16) << 15, 0)
    }

    /// Plus or minus infinity.
    #[inline]
    #[must_use]
    pub const fn infinity(sign: bool) -> Self {
        Self::new((sign as u16) << 15 | 0x7FFF, 1 << 63)
    }

    /// The sign bit.
    #[inline]
    #[must_use]
    pub const fn sign(self) -> bool {
        self.sign_exponent & 0x8000 != 0
    }

    /// From ten bytes of guest memory.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 10]) -> Self {
        let mut mantissa = [0; 8];
        mantissa.copy_from_slice(&bytes[..8]);
        Self::new(u16::from_le_bytes([bytes[8], bytes[9]]), u64::from_le_bytes(mantissa))
    }

    /// As ten bytes of guest memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.mantissa.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sign_exponent.to_le_bytes());
        bytes
    }

    /// The exact value of an integer.
    #[must_use]
    pub const fn from_i64(value: i64) -> Self {
        let u = Unpacked::from_i64(value);
        if value == 0 {
            return Self::ZERO;
        }
        Self::finite(u.sign, u.exp, u.mant)
    }

    /// From a sign, an exponent in range and a significand with bit 63 set.
    #[inline]
    #[must_use]
    pub const fn finite(sign: bool, exp: i32, mant: u64) -> Self {
        Self::new((sign as u16) << 15 | (exp + Self::BIAS) as u16, mant)
    }

    /// A NaN, made quiet.
    #[inline]
    #[must_use]
    pub const fn quiet(nan: &Unpacked) -> Self {
        Self::new((nan.sign as u16) << 15 | 0x7FFF, nan.mant | 3 << 62)
    }

    /// Takes a number apart; no exceptions.
    #[inline]
    #[must_use]
    pub fn unpack(self) -> Unpacked {
        let sign = self.sign();
        let biased = self.sign_exponent & 0x7FFF;
        if biased.wrapping_sub(1) < 0x7FFE && self.mantissa >> 63 != 0 {
            let exp = i32::from(biased) - Self::BIAS;
            return Unpacked { sign, class: Class::Normal, exp, mant: self.mantissa };
        }
        self.unpack_special()
    }

    #[cold]
    fn unpack_special(self) -> Unpacked {
        let sign = self.sign();
        let biased = i32::from(self.sign_exponent & 0x7FFF);
        let mant = self.mantissa;
        if biased == 0 {
            if mant == 0 {
                return Unpacked::zero(sign);
            }
            let zeros = mant.leading_zeros();
            let exp = Self::EMIN - zeros as i32;
            return Unpacked { sign, class: Class::Denormal, exp, mant: mant << zeros };
        }
        let class = if mant >> 63 == 0 {
            Class::Unsupported
        } else if mant << 1 == 0 {
            Class::Infinite
        } else if mant & 1 << 62 != 0 {
            Class::Quiet
        } else {
            Class::Signalling
        };
        Unpacked { sign, class, exp: biased - Self::BIAS, mant }
    }
}
