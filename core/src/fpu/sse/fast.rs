//! Native arithmetic where it must give the same bits and flags as the soft one.
//!
//! That is: rounding to nearest; operands normal (or zero, for sums); the result normal and not of the smallest
//! exponent, so that neither overflow, underflow nor anything found before computing can be raised. What is
//! left is inexactness: its flag is sticky and masked already, or a cheap test shows that the result is exact.
//!
//! The host's own control register may be the guest's while this runs: with rounding to nearest, no denormals
//! and no unmasked inexactness it does not matter.

use crate::fpu::soft::{F32, F64, FloatContext, Format, Rounding, flag};

/// Whether the host's arithmetic rounds each operation to its type.
const EXACT_TYPES: bool = cfg!(not(all(target_arch = "x86", not(target_feature = "sse2"))));

/// `None` from any of these: use the soft path.
pub(super) trait Native: Format {
    fn fast_add(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self>;
    fn fast_sub(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self>;
    fn fast_mul(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self>;
    fn fast_div(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self>;
    fn fast_sqrt(a: Self, cx: &mut FloatContext) -> Option<Self>;
}

#[inline]
fn allowed(cx: &FloatContext) -> bool {
    EXACT_TYPES && cx.rounding == Rounding::Nearest && cx.masks & flag::PRECISION != 0
}

macro_rules! native {
    ($format:ident, $float:ident, $bits:ident, $fraction:literal, $sqrt:path, $mul_exact:expr, $div_exact:expr) => {
        impl $format {
            const EXPONENT: $bits = ($bits::MAX >> 1) >> $fraction << $fraction;

            /// Neither denormal, infinite nor NaN nor zero.
            #[inline]
            fn is_normal(self) -> bool {
                let exponent = self.0 & Self::EXPONENT;
                exponent != 0 && exponent != Self::EXPONENT
            }

            #[inline]
            fn is_normal_or_zero(self) -> bool {
                self.is_normal() || self.0 << 1 == 0
            }

            /// Normal, and not of the smallest exponent.
            #[inline]
            fn is_safe(self) -> bool {
                let exponent = self.0 & Self::EXPONENT;
                exponent > 1 << $fraction && exponent != Self::EXPONENT
            }

            /// Zero, or so large that the unit of its last place is no denormal.
            #[inline]
            fn has_normal_ulp(self) -> bool {
                self.0 << 1 == 0 || self.0 & Self::EXPONENT > ($fraction + 1) << $fraction
            }

            #[inline]
            fn native(self) -> $float {
                $float::from_bits(self.0)
            }

            /// Gives `result` when it is safe and its flag is known.
            #[inline]
            fn settle(
                result: $float,
                cx: &mut FloatContext,
                is_exact: impl FnOnce($float) -> bool,
            ) -> Option<Self> {
                let bits = Self(result.to_bits());
                if !bits.is_safe() {
                    return None;
                }
                if cx.sticky_precision {
                    return Some(bits);
                }
                is_exact(result).then_some(bits)
            }

            #[inline]
            fn sum(a: Self, x: $float, b: Self, y: $float, cx: &mut FloatContext) -> Option<Self> {
                if !allowed(cx) || !a.is_normal_or_zero() || !b.is_normal_or_zero() {
                    return None;
                }
                Self::settle(x + y, cx, |sum| {
                    if !a.has_normal_ulp() || !b.has_normal_ulp() {
                        return false;
                    }
                    // The rounding error of a sum is a floating-point number, and this is it (Knuth's TwoSum).
                    let y_part = sum - x;
                    let error = (x - (sum - y_part)) + (y - y_part);
                    error == 0.0
                })
            }
        }

        impl Native for $format {
            #[inline]
            fn fast_add(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self> {
                Self::sum(a, a.native(), b, b.native(), cx)
            }

            #[inline]
            fn fast_sub(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self> {
                Self::sum(a, a.native(), b, -b.native(), cx)
            }

            #[inline]
            fn fast_mul(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self> {
                if !allowed(cx) || !a.is_normal() || !b.is_normal() {
                    return None;
                }
                Self::settle(a.native() * b.native(), cx, |product| {
                    $mul_exact(a.native(), b.native(), product)
                })
            }

            #[inline]
            fn fast_div(a: Self, b: Self, cx: &mut FloatContext) -> Option<Self> {
                if !allowed(cx) || !a.is_normal() || !b.is_normal() {
                    return None;
                }
                Self::settle(a.native() / b.native(), cx, |quotient| {
                    $div_exact(a.native(), b.native(), quotient)
                })
            }

            #[inline]
            fn fast_sqrt(a: Self, cx: &mut FloatContext) -> Option<Self> {
                if !allowed(cx) || !a.is_normal() || a.0 >> ($bits::BITS - 1) != 0 {
                    return None;
                }
                Self::settle($sqrt(a.native()), cx, |root| $mul_exact(root, root, a.native()))
            }
        }
    };
}

// A product of two f32 is exact as f64.
native!(
    F32,
    f32,
    u32,
    23,
    libm::sqrtf,
    |a, b, product| f64::from(a) * f64::from(b) == f64::from(product),
    |a, b, quotient| f64::from(quotient) * f64::from(b) == f64::from(a)
);
native!(
    F64,
    f64,
    u64,
    52,
    libm::sqrt,
    |a: f64, b, product| short(a) + short(b) >= 53 && a * b == product,
    |_, b: f64, _| short(b) == 52
);

/// How many of a significand's low bits are zero, of at most 52.
#[inline]
fn short(a: f64) -> u32 {
    (a.to_bits() | 1 << 52).trailing_zeros()
}
