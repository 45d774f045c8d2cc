//! Add, subtract, multiply, divide and square root: exact cores, and the x87's operations on top of them.

use super::round::{Raw, to_f80};
use super::{Class, F80, FloatContext, Rounding, Unpacked, flag};

/// A significand moved right by `count`: upper and lower 64 bits, the last one sticky.
#[inline]
fn align(mant: u64, count: u32) -> (u64, u64) {
    if count == 0 {
        (mant, 0)
    } else if count < 64 {
        (mant >> count, mant << (64 - count))
    } else if count < 128 {
        let count = count - 64;
        (0, mant >> count | u64::from(mant & ((1 << count) - 1) != 0))
    } else {
        (0, 1)
    }
}

/// The sum of two finite non-zero numbers, sticky; `None` is zero.
#[inline(always)]
#[must_use]
pub fn add_exact(a: &Unpacked, b: &Unpacked) -> Option<Raw> {
    let swap = a.exp < b.exp || a.exp == b.exp && a.mant < b.mant;
    let (big, small) = if swap { (b, a) } else { (a, b) };
    let (hi, lo) = align(small.mant, (big.exp - small.exp) as u32);
    let (sign, exp) = (big.sign, big.exp);
    if sign == small.sign {
        let (sum, carry) = big.mant.overflowing_add(hi);
        return Some(if carry {
            Raw { sign, exp: exp + 1, hi: sum >> 1 | 1 << 63, lo: sum << 63 | lo >> 1 | lo & 1 }
        } else {
            Raw { sign, exp, hi: sum, lo }
        });
    }
    let hi = big.mant - hi - u64::from(lo != 0);
    let lo = lo.wrapping_neg();
    if hi != 0 {
        let zeros = hi.leading_zeros();
        let hi = hi << zeros | if zeros == 0 { 0 } else { lo >> (64 - zeros) };
        Some(Raw { sign, exp: exp - zeros as i32, hi, lo: lo << zeros })
    } else if lo != 0 {
        let zeros = lo.leading_zeros();
        Some(Raw { sign, exp: exp - 64 - zeros as i32, hi: lo << zeros, lo: 0 })
    } else {
        None
    }
}

/// The exact product of two finite non-zero numbers.
#[inline]
#[must_use]
pub fn mul_exact(a: &Unpacked, b: &Unpacked) -> Raw {
    let product = u128::from(a.mant) * u128::from(b.mant);
    let sign = a.sign != b.sign;
    if product >> 127 != 0 {
        Raw::new(sign, a.exp + b.exp + 1, product)
    } else {
        Raw::new(sign, a.exp + b.exp, product << 1)
    }
}

/// The quotient of two finite non-zero numbers with round and sticky bits.
#[inline]
#[must_use]
pub fn div_sticky(a: &Unpacked, b: &Unpacked) -> Raw {
    let (shift, exp) = if a.mant < b.mant { (64, a.exp - b.exp - 1) } else { (63, a.exp - b.exp) };
    let dividend = u128::from(a.mant) << shift;
    let divisor = u128::from(b.mant);
    let hi = (dividend / divisor) as u64;
    let rest = (dividend - u128::from(hi) * divisor) as u64;
    let lo =
        if rest == 0 { 0 } else { u64::from(u128::from(rest) * 2 >= divisor) << 63 | sticky(rest, b.mant) };
    Raw { sign: a.sign != b.sign, exp, hi, lo }
}

/// 0 when the remainder is exactly half of the divisor, else 1.
#[inline]
fn sticky(rest: u64, divisor: u64) -> u64 {
    u64::from(u128::from(rest) * 2 != u128::from(divisor))
}

/// The square root of a positive finite number with round and sticky bits.
#[inline]
#[must_use]
pub fn sqrt_sticky(a: &Unpacked) -> Raw {
    let odd = a.exp & 1 != 0;
    let radicand = u128::from(a.mant) << if odd { 64 } else { 63 };
    let root = radicand.isqrt();
    let rest = radicand - root * root;
    let lo = if rest == 0 { 0 } else { u64::from(rest > root) << 63 | 1 };
    Raw { sign: false, exp: (a.exp - i32::from(odd)) / 2, hi: root as u64, lo }
}

/// The sign of an exact zero that comes from adding numbers of different signs.
#[inline]
#[must_use]
pub fn zero_sum_sign(cx: &FloatContext) -> bool {
    cx.rounding == Rounding::Down
}

/// x87: what a NaN or unsupported operand makes of an operation.
///
/// A quiet NaN wins over a signalling one; of two of a kind the larger significand wins, then the positive one.
#[cold]
pub fn x87_nan(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.class == Class::Unsupported || b.class == Class::Unsupported {
        cx.raise(flag::INVALID);
        return F80::INDEFINITE;
    }
    if a.class == Class::Signalling || b.class == Class::Signalling {
        cx.raise(flag::INVALID);
    }
    let first = match (a.is_nan(), b.is_nan()) {
        (true, false) => true,
        (false, true) => false,
        _ if a.class != b.class => a.class == Class::Quiet,
        _ if a.mant != b.mant => a.mant > b.mant,
        _ => !a.sign,
    };
    F80::quiet(if first { a } else { b })
}

/// x87: a NaN or unsupported operand of an instruction with one operand.
#[cold]
pub fn x87_nan_unary(a: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.class != Class::Quiet {
        cx.raise(flag::INVALID);
    }
    if a.class == Class::Unsupported { F80::INDEFINITE } else { F80::quiet(a) }
}

/// Raises #I and gives the indefinite NaN.
#[cold]
pub fn x87_invalid(cx: &mut FloatContext) -> F80 {
    cx.raise(flag::INVALID);
    F80::INDEFINITE
}

/// Raises #D when an operand is denormal.
#[inline]
pub fn note_denormals(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) {
    if a.class == Class::Denormal || b.class == Class::Denormal {
        cx.raise(flag::DENORMAL);
    }
}

/// x87 addition.
#[inline(always)]
pub fn add(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.class == Class::Normal && b.class == Class::Normal {
        return match add_exact(a, b) {
            Some(raw) => to_f80(&raw, cx.precision, cx),
            None => F80::zero(zero_sum_sign(cx)),
        };
    }
    add_special(*a, *b, cx)
}

#[cold]
fn add_special(a: Unpacked, b: Unpacked, cx: &mut FloatContext) -> F80 {
    let (a, b) = (&a, &b);
    if a.is_nan() || b.is_nan() {
        return x87_nan(a, b, cx);
    }
    match (a.class, b.class) {
        (Class::Infinite, Class::Infinite) if a.sign != b.sign => return x87_invalid(cx),
        (Class::Infinite, _) => {
            note_denormals(a, b, cx);
            return F80::infinity(a.sign);
        }
        (_, Class::Infinite) => {
            note_denormals(a, b, cx);
            return F80::infinity(b.sign);
        }
        _ => note_denormals(a, b, cx),
    }
    let raw = match (a.class, b.class) {
        (Class::Zero, Class::Zero) => {
            return F80::zero(if a.sign == b.sign { a.sign } else { zero_sum_sign(cx) });
        }
        (Class::Zero, _) => Raw { sign: b.sign, exp: b.exp, hi: b.mant, lo: 0 },
        (_, Class::Zero) => Raw { sign: a.sign, exp: a.exp, hi: a.mant, lo: 0 },
        _ => match add_exact(a, b) {
            Some(raw) => raw,
            None => return F80::zero(zero_sum_sign(cx)),
        },
    };
    to_f80(&raw, cx.precision, cx)
}

/// x87 subtraction, `a - b`.
#[inline(always)]
pub fn sub(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    // A NaN keeps its sign.
    add(a, &Unpacked { sign: b.sign != (b.class < Class::Quiet), ..*b }, cx)
}

/// x87 multiplication.
#[inline(always)]
pub fn mul(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.class == Class::Normal && b.class == Class::Normal {
        return to_f80(&mul_exact(a, b), cx.precision, cx);
    }
    mul_special(*a, *b, cx)
}

#[cold]
fn mul_special(a: Unpacked, b: Unpacked, cx: &mut FloatContext) -> F80 {
    let (a, b) = (&a, &b);
    if a.is_nan() || b.is_nan() {
        return x87_nan(a, b, cx);
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => x87_invalid(cx),
        (Class::Infinite, _) | (_, Class::Infinite) => {
            note_denormals(a, b, cx);
            F80::infinity(sign)
        }
        (Class::Zero, _) | (_, Class::Zero) => {
            note_denormals(a, b, cx);
            F80::zero(sign)
        }
        _ => {
            note_denormals(a, b, cx);
            to_f80(&mul_exact(a, b), cx.precision, cx)
        }
    }
}

/// x87 division, `a / b`.
#[inline(always)]
pub fn div(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.class == Class::Normal && b.class == Class::Normal {
        return to_f80(&div_sticky(a, b), cx.precision, cx);
    }
    div_special(*a, *b, cx)
}

#[cold]
fn div_special(a: Unpacked, b: Unpacked, cx: &mut FloatContext) -> F80 {
    let (a, b) = (&a, &b);
    if a.is_nan() || b.is_nan() {
        return x87_nan(a, b, cx);
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => x87_invalid(cx),
        (Class::Infinite, _) => {
            note_denormals(a, b, cx);
            F80::infinity(sign)
        }
        (Class::Zero, _) | (_, Class::Infinite) => {
            note_denormals(a, b, cx);
            F80::zero(sign)
        }
        (_, Class::Zero) => {
            cx.raise(flag::ZERO_DIVIDE);
            F80::infinity(sign)
        }
        _ => {
            note_denormals(a, b, cx);
            to_f80(&div_sticky(a, b), cx.precision, cx)
        }
    }
}

/// x87 square root.
pub fn sqrt(a: &Unpacked, cx: &mut FloatContext) -> F80 {
    match a.class {
        Class::Quiet | Class::Signalling | Class::Unsupported => x87_nan_unary(a, cx),
        Class::Zero => F80::zero(a.sign),
        _ if a.sign => x87_invalid(cx),
        Class::Infinite => F80::infinity(false),
        class => {
            if class == Class::Denormal {
                cx.raise(flag::DENORMAL);
            }
            to_f80(&sqrt_sticky(a), cx.precision, cx)
        }
    }
}
