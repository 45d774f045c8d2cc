//! Software floating point as x86 does it.
//!
//! Every format is taken apart into [`Unpacked`] (a 64-bit significand with its leading bit in bit 63),
//! operated on without loss into [`Raw`] (128 bits, the last one sticky) and rounded once by [`round`].
//!
//! Spec: Intel SDM volume 1, chapters 4.8, 4.9, 8 and 11.5; AMD64 APM volume 1, chapters 4 and 6;
//! IEEE 754-2008.
//!
//! Not emulated: vendors differ where a denormal meets a division by zero; we do as AMD's parts do.

pub mod arith;
pub mod compare;
pub mod convert;
pub mod formats;
pub mod round;
pub mod wide;

pub use compare::Relation;
pub use formats::{F32, F64, F80, Format};
pub use round::{Raw, Target};

/// Exception flags, in the bit positions that the x87 status word and MXCSR share.
pub mod flag {
    /// #I: invalid operation.
    pub const INVALID: u16 = 1 << 0;
    /// #D: an operand was denormal.
    pub const DENORMAL: u16 = 1 << 1;
    /// #Z: a finite number was divided by zero.
    pub const ZERO_DIVIDE: u16 = 1 << 2;
    /// #O: the result was too large.
    pub const OVERFLOW: u16 = 1 << 3;
    /// #U: the result was tiny.
    pub const UNDERFLOW: u16 = 1 << 4;
    /// #P: the result was rounded.
    pub const PRECISION: u16 = 1 << 5;
    /// All six exceptions.
    pub const ALL: u16 = 0x3F;
    /// The exceptions found before computing: when one of them is unmasked, there is no result.
    pub const BEFORE: u16 = INVALID | DENORMAL | ZERO_DIVIDE;
    /// Not an exception: rounding made the magnitude larger. C1 of the x87 status word.
    pub const ROUNDED_UP: u16 = 1 << 9;
}

/// The rounding control, encoded as in the x87 control word and MXCSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even.
    #[default]
    Nearest = 0,
    /// Towards minus infinity.
    Down = 1,
    /// Towards plus infinity.
    Up = 2,
    /// Towards zero.
    Zero = 3,
}

impl Rounding {
    /// From the two bits of a rounding-control field; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Nearest,
            1 => Self::Down,
            2 => Self::Up,
            _ => Self::Zero,
        }
    }
}

/// The x87 precision control: how many significand bits add, subtract, multiply, divide and square root keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Precision {
    /// 24 bits.
    Single,
    /// 53 bits.
    Double,
    /// 64 bits.
    #[default]
    Extended,
}

impl Precision {
    /// From the two bits of the control word's PC field. The reserved encoding 01 acts as 64 bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::Single,
            2 => Self::Double,
            _ => Self::Extended,
        }
    }

    /// Bits of significand.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Single => 24,
            Self::Double => 53,
            Self::Extended => 64,
        }
    }
}

/// How to round and what to do about exceptions; collects the flags of one operation.
///
/// Make one for each instruction (flags empty), run one operation for x87 and scalar SSE or one for each
/// element of packed SSE, then look at [`Self::flags`] or [`Self::settled`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FloatContext {
    /// The rounding control.
    pub rounding: Rounding,
    /// x87 only: the precision control.
    pub precision: Precision,
    /// A set bit masks the exception of [`flag`] at that position.
    pub masks: u16,
    /// SSE only: denormal operands are zeros.
    pub daz: bool,
    /// SSE only: tiny results are zeros while underflow is masked.
    pub ftz: bool,
    /// SSE only: PE is already set, so that a kernel need not find out whether its result is exact.
    pub sticky_precision: bool,
    /// What the operation raised, see [`flag`].
    pub flags: u16,
}

impl FloatContext {
    /// The context of an x87 control word.
    #[must_use]
    pub const fn from_control_word(control: u16) -> Self {
        Self {
            rounding: Rounding::from_bits((control >> 10) as u32),
            precision: Precision::from_bits(control >> 8),
            masks: control & flag::ALL,
            daz: false,
            ftz: false,
            sticky_precision: false,
            flags: 0,
        }
    }

    /// The context of an MXCSR value.
    #[must_use]
    pub const fn from_mxcsr(mxcsr: u32) -> Self {
        Self {
            rounding: Rounding::from_bits(mxcsr >> 13),
            precision: Precision::Extended,
            masks: (mxcsr >> 7) as u16 & flag::ALL,
            daz: mxcsr & 1 << 6 != 0,
            ftz: mxcsr & 1 << 15 != 0,
            sticky_precision: mxcsr & flag::PRECISION as u32 != 0,
            flags: 0,
        }
    }

    /// Notes exceptions.
    #[inline]
    pub const fn raise(&mut self, flags: u16) {
        self.flags |= flags;
    }

    /// Whether all of `flags` are masked.
    #[inline]
    #[must_use]
    pub const fn masked(&self, flags: u16) -> bool {
        self.masks & flags == flags
    }

    /// The flags that become visible: an unmasked exception found before computing hides those of the result.
    #[inline]
    #[must_use]
    pub const fn settled(&self) -> u16 {
        if self.flags & !self.masks & flag::BEFORE != 0 { self.flags & flag::BEFORE } else { self.flags }
    }

    /// Whether any raised exception is unmasked, so that an SSE instruction must not write its destination.
    #[inline]
    #[must_use]
    pub const fn faults(&self) -> bool {
        self.flags & !self.masks & flag::ALL != 0
    }

    /// The flags to OR into MXCSR at the end of an SSE instruction, and whether it ends in #XM.
    #[inline]
    #[must_use]
    pub const fn finish(&self) -> (u32, bool) {
        ((self.settled() & flag::ALL) as u32, self.faults())
    }
}

/// What kind of number an operand is, cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Class {
    /// Finite, not zero, normalised in its format.
    Normal,
    /// Finite, not zero, with the smallest exponent and (except for pseudo-denormals) no leading bit.
    Denormal,
    /// Plus or minus zero.
    Zero,
    /// Plus or minus infinity.
    Infinite,
    /// A NaN that passes silently.
    Quiet,
    /// A NaN that raises #I.
    Signalling,
    /// An 80-bit pattern that the 80387 and its successors refuse: unnormal, pseudo-infinity, pseudo-NaN.
    Unsupported,
}

/// A number taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unpacked {
    /// Set for negative numbers.
    pub sign: bool,
    /// What it is; the other fields mean something for finite non-zero numbers and NaNs only.
    pub class: Class,
    /// The value is `mant / 2^63 * 2^exp`.
    pub exp: i32,
    /// Bit 63 is set. For NaNs: the significand aligned as in the 80-bit format.
    pub mant: u64,
}

impl Unpacked {
    /// Whether this is a NaN or an unsupported pattern.
    #[inline]
    #[must_use]
    pub fn is_nan(&self) -> bool {
        self.class >= Class::Quiet
    }

    /// A signed zero.
    #[inline]
    #[must_use]
    pub const fn zero(sign: bool) -> Self {
        Self { sign, class: Class::Zero, exp: 0, mant: 0 }
    }

    /// The same number with the other sign.
    #[inline]
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { sign: !self.sign, ..self }
    }

    /// The exact value of an integer.
    #[must_use]
    pub const fn from_i64(value: i64) -> Self {
        if value == 0 {
            return Self::zero(false);
        }
        let magnitude = value.unsigned_abs();
        let zeros = magnitude.leading_zeros();
        Self { sign: value < 0, class: Class::Normal, exp: 63 - zeros as i32, mant: magnitude << zeros }
    }
}
