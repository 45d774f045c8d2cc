//! Conversions between formats, to integers and to packed decimal.

use super::round::{Raw, rounds_up, shift_right_jam, to_format};
use super::{Class, F80, FloatContext, Format, Rounding, Unpacked, flag};

/// A finite number or zero rounded to an integer: its magnitude, saturated beyond 2^64 - 1.
///
/// Raises #P, which the caller drops when the integer turns out not to fit.
#[inline]
pub fn round_to_magnitude(u: &Unpacked, rounding: Rounding, cx: &mut FloatContext) -> u128 {
    if u.class == Class::Zero {
        return 0;
    }
    if u.exp >= 64 {
        return u128::MAX;
    }
    // 64 integer bits over 64 fraction bits.
    let fixed = if u.exp >= -1 {
        u128::from(u.mant) << (u.exp + 1)
    } else {
        shift_right_jam(u128::from(u.mant), (-1 - u.exp) as u32)
    };
    let whole = fixed >> 64;
    let rest = fixed & u128::from(u64::MAX);
    if rest == 0 {
        return whole;
    }
    cx.raise(flag::PRECISION);
    if rounds_up(rounding, u.sign, whole & 1 != 0, rest, 1 << 63) {
        cx.raise(flag::ROUNDED_UP);
        whole + 1
    } else {
        whole
    }
}

/// To a signed integer of `bits` bits; `None` after #I when it is a NaN or does not fit.
#[inline]
pub fn to_signed(u: &Unpacked, bits: u32, rounding: Rounding, cx: &mut FloatContext) -> Option<i64> {
    if u.class >= Class::Infinite {
        cx.raise(flag::INVALID);
        return None;
    }
    let before = cx.flags;
    let magnitude = round_to_magnitude(u, rounding, cx);
    let limit = 1u128 << (bits - 1);
    if magnitude > limit || magnitude == limit && !u.sign {
        cx.flags = before | flag::INVALID;
        return None;
    }
    let value = magnitude as u64 as i64;
    Some(if u.sign { value.wrapping_neg() } else { value })
}

/// x87: to the packed decimal of FBSTP; `None` after #I when it is a NaN or has more than 18 digits.
pub fn to_packed_decimal(u: &Unpacked, cx: &mut FloatContext) -> Option<[u8; 10]> {
    if u.class >= Class::Infinite {
        cx.raise(flag::INVALID);
        return None;
    }
    let before = cx.flags;
    let magnitude = round_to_magnitude(u, cx.rounding, cx);
    if magnitude > 999_999_999_999_999_999 {
        cx.flags = before | flag::INVALID;
        return None;
    }
    let mut rest = magnitude as u64;
    let mut bytes = [0; 10];
    for byte in &mut bytes[..9] {
        let pair = (rest % 100) as u8;
        *byte = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    bytes[9] = u8::from(u.sign) << 7;
    Some(bytes)
}

/// x87: from the packed decimal of FBLD. Digits beyond 9 count as what they are, as in hardware's adder.
#[must_use]
pub fn from_packed_decimal(bytes: [u8; 10]) -> F80 {
    let mut value = 0u64;
    for &byte in bytes[..9].iter().rev() {
        value = value.wrapping_mul(100).wrapping_add(u64::from(byte >> 4) * 10 + u64::from(byte & 15));
    }
    let sign = bytes[9] & 0x80 != 0;
    let magnitude = F80::from_i64(value as i64);
    F80::new(magnitude.sign_exponent | u16::from(sign) << 15, magnitude.mantissa)
}

/// x87: rounds to an integer in the same format (FRNDINT).
pub fn round_to_integer(a: F80, cx: &mut FloatContext) -> F80 {
    let u = a.unpack();
    match u.class {
        Class::Zero | Class::Infinite => return a,
        Class::Quiet | Class::Signalling | Class::Unsupported => return super::arith::x87_nan_unary(&u, cx),
        Class::Denormal => cx.raise(flag::DENORMAL),
        Class::Normal => {}
    }
    match round_finite_to_integer(&u, cx.rounding, cx) {
        Some(r) => F80::finite(r.sign, r.exp, r.mant),
        None => F80::zero(u.sign),
    }
}

/// A finite non-zero number rounded to an integer; `None` is zero.
#[inline]
pub fn round_finite_to_integer(u: &Unpacked, rounding: Rounding, cx: &mut FloatContext) -> Option<Unpacked> {
    if u.exp >= 63 {
        return Some(*u);
    }
    let magnitude = round_to_magnitude(u, rounding, cx) as u64;
    if magnitude == 0 {
        return None;
    }
    let zeros = magnitude.leading_zeros();
    Some(Unpacked { sign: u.sign, class: Class::Normal, exp: 63 - zeros as i32, mant: magnitude << zeros })
}

/// x87: stores a register as binary32 or binary64 (FST). Denormal sources raise nothing.
#[inline]
pub fn f80_to_format<F: Format>(a: F80, cx: &mut FloatContext) -> F {
    let u = a.unpack();
    match u.class {
        Class::Zero => F::zero(u.sign),
        Class::Infinite => F::infinity(u.sign),
        Class::Quiet => F::quiet(&u),
        Class::Signalling => {
            cx.raise(flag::INVALID);
            F::quiet(&u)
        }
        Class::Unsupported => {
            cx.raise(flag::INVALID);
            F::INDEFINITE
        }
        Class::Normal | Class::Denormal => {
            to_format(&Raw { sign: u.sign, exp: u.exp, hi: u.mant, lo: 0 }, cx)
        }
    }
}

/// x87: loads binary32 or binary64 into a register (FLD); raises #I for a signalling NaN, #D for a denormal.
#[inline]
pub fn format_to_f80<F: Format>(a: F, cx: &mut FloatContext) -> F80 {
    let u = a.unpack();
    match u.class {
        Class::Zero => F80::zero(u.sign),
        Class::Infinite => F80::infinity(u.sign),
        Class::Quiet | Class::Signalling | Class::Unsupported => super::arith::x87_nan_unary(&u, cx),
        Class::Denormal => {
            cx.raise(flag::DENORMAL);
            F80::finite(u.sign, u.exp, u.mant)
        }
        Class::Normal => F80::finite(u.sign, u.exp, u.mant),
    }
}
