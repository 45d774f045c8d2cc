//! SSE floating point, one element at a time.
//!
//! A kernel takes bits, gives bits and collects exception flags in the [`FloatContext`]. The CPU makes a
//! context from MXCSR, runs the kernel for each element of the instruction, ORs [`FloatContext::finish`]'s
//! flags into MXCSR, and either writes the destination or raises #XM.
//!
//! Spec: Intel SDM volume 1, 11.5 and appendix E; AMD64 APM volume 1, 4.10 and volume 2, 8.4.
//!
//! Not emulated: RCPSS and RSQRTSS are within the architecture's error bound but differ between vendors.

pub mod approximate;
mod fast;

use super::soft::arith::{add_exact, div_sticky, mul_exact, note_denormals, sqrt_sticky, zero_sum_sign};
use super::soft::round::{Raw, to_format};
use super::soft::{
    Class, F32, F64, FloatContext, Format, Relation, Rounding, Unpacked, compare, convert, flag,
};
use fast::Native;

/// An SSE element: [`F32`] or [`F64`].
#[allow(private_bounds, reason = "the native fast path is nobody else's business")]
pub trait Element: Format + Native {}
impl Element for F32 {}
impl Element for F64 {}

#[inline]
fn unpack<F: Element>(a: F, cx: &FloatContext) -> Unpacked {
    let u = a.unpack();
    if cx.daz && u.class == Class::Denormal { Unpacked::zero(u.sign) } else { u }
}

/// The first operand that is a NaN, made quiet.
#[cold]
fn nan<F: Element>(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F {
    if a.class == Class::Signalling || b.class == Class::Signalling {
        cx.raise(flag::INVALID);
    }
    F::quiet(if a.is_nan() { a } else { b })
}

#[cold]
fn invalid<F: Element>(cx: &mut FloatContext) -> F {
    cx.raise(flag::INVALID);
    F::INDEFINITE
}

/// ADDSS, ADDSD.
#[inline]
pub fn add<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    match F::fast_add(a, b, cx) {
        Some(sum) => sum,
        None => add_soft(a, unpack(b, cx), cx),
    }
}

/// SUBSS, SUBSD: `a − b`.
#[inline]
pub fn sub<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    if let Some(difference) = F::fast_sub(a, b, cx) {
        return difference;
    }
    let b = unpack(b, cx);
    // A NaN keeps its sign.
    add_soft(a, if b.is_nan() { b } else { b.negated() }, cx)
}

fn add_soft<F: Element>(a: F, b: Unpacked, cx: &mut FloatContext) -> F {
    let a = unpack(a, cx);
    if a.is_nan() || b.is_nan() {
        return nan(&a, &b, cx);
    }
    if a.class == Class::Infinite && b.class == Class::Infinite && a.sign != b.sign {
        return invalid(cx);
    }
    note_denormals(&a, &b, cx);
    let raw = match (a.class, b.class) {
        (Class::Infinite, _) => return F::infinity(a.sign),
        (_, Class::Infinite) => return F::infinity(b.sign),
        (Class::Zero, Class::Zero) => {
            return F::zero(if a.sign == b.sign { a.sign } else { zero_sum_sign(cx) });
        }
        (Class::Zero, _) => exact(&b),
        (_, Class::Zero) => exact(&a),
        _ => match add_exact(&a, &b) {
            Some(raw) => raw,
            None => return F::zero(zero_sum_sign(cx)),
        },
    };
    to_format(&raw, cx)
}

fn exact(u: &Unpacked) -> Raw {
    Raw { sign: u.sign, exp: u.exp, hi: u.mant, lo: 0 }
}

/// MULSS, MULSD.
#[inline]
pub fn mul<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    match F::fast_mul(a, b, cx) {
        Some(product) => product,
        None => mul_soft(a, b, cx),
    }
}

fn mul_soft<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    let (a, b) = (unpack(a, cx), unpack(b, cx));
    if a.is_nan() || b.is_nan() {
        return nan(&a, &b, cx);
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => return invalid(cx),
        _ => note_denormals(&a, &b, cx),
    }
    match (a.class, b.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => F::infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => F::zero(sign),
        _ => to_format(&mul_exact(&a, &b), cx),
    }
}

/// DIVSS, DIVSD: `a ÷ b`.
#[inline]
pub fn div<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    match F::fast_div(a, b, cx) {
        Some(quotient) => quotient,
        None => div_soft(a, b, cx),
    }
}

fn div_soft<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    let (a, b) = (unpack(a, cx), unpack(b, cx));
    if a.is_nan() || b.is_nan() {
        return nan(&a, &b, cx);
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => return invalid(cx),
        (Class::Normal | Class::Denormal, Class::Zero) => {
            cx.raise(flag::ZERO_DIVIDE);
            return F::infinity(sign);
        }
        _ => note_denormals(&a, &b, cx),
    }
    match (a.class, b.class) {
        (Class::Infinite, _) => F::infinity(sign),
        (Class::Zero, _) | (_, Class::Infinite) => F::zero(sign),
        _ => to_format(&div_sticky(&a, &b), cx),
    }
}

/// SQRTSS, SQRTSD.
#[inline]
pub fn sqrt<F: Element>(a: F, cx: &mut FloatContext) -> F {
    match F::fast_sqrt(a, cx) {
        Some(root) => root,
        None => sqrt_soft(a, cx),
    }
}

fn sqrt_soft<F: Element>(a: F, cx: &mut FloatContext) -> F {
    let a = unpack(a, cx);
    match a.class {
        Class::Quiet | Class::Signalling | Class::Unsupported => nan(&a, &a, cx),
        Class::Zero => F::zero(a.sign),
        _ if a.sign => invalid(cx),
        Class::Infinite => F::infinity(false),
        Class::Normal | Class::Denormal => {
            note_denormals(&a, &a, cx);
            to_format(&sqrt_sticky(&a), cx)
        }
    }
}

/// MINSS, MINSD: the second operand unless the first is less.
#[inline]
pub fn min<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    extremum(a, b, Relation::Less, cx)
}

/// MAXSS, MAXSD: the second operand unless the first is greater.
#[inline]
pub fn max<F: Element>(a: F, b: F, cx: &mut FloatContext) -> F {
    extremum(a, b, Relation::Greater, cx)
}

#[inline]
fn extremum<F: Element>(a: F, b: F, wanted: Relation, cx: &mut FloatContext) -> F {
    let (x, y) = (unpack(a, cx), unpack(b, cx));
    let relation = compare::compare(&x, &y, false, cx);
    let (bits, chosen) = if relation == wanted { (a, x) } else { (b, y) };
    // Only DAZ makes a zero of something else.
    if chosen.class == Class::Zero { F::zero(chosen.sign) } else { bits }
}

/// CMPSS, CMPSD with predicate imm8 bits 2 to 0: equal, less, less-or-equal, unordered and their negations.
#[inline]
pub fn holds<F: Element>(a: F, b: F, predicate: u8, cx: &mut FloatContext) -> bool {
    let quiet = matches!(predicate & 3, 0 | 3);
    let relation = compare::compare(&unpack(a, cx), &unpack(b, cx), quiet, cx);
    let positive = match predicate & 3 {
        0 => relation == Relation::Equal,
        1 => relation == Relation::Less,
        2 => relation == Relation::Less || relation == Relation::Equal,
        _ => relation == Relation::Unordered,
    };
    positive != (predicate & 4 != 0)
}

/// COMISS and COMISD; UCOMISS and UCOMISD with `quiet`. [`Relation::eflags`] gives the flags.
#[inline]
pub fn relation<F: Element>(a: F, b: F, quiet: bool, cx: &mut FloatContext) -> Relation {
    compare::compare(&unpack(a, cx), &unpack(b, cx), quiet, cx)
}

/// CVTSS2SI, CVTSD2SI and the packed forms; with `truncate` CVTTSS2SI and its kin.
#[inline]
pub fn to_i32<F: Element>(a: F, truncate: bool, cx: &mut FloatContext) -> i32 {
    to_signed(a, 32, truncate, cx).map_or(i32::MIN, |value| value as i32)
}

/// The forms with a 64-bit destination.
#[inline]
pub fn to_i64<F: Element>(a: F, truncate: bool, cx: &mut FloatContext) -> i64 {
    to_signed(a, 64, truncate, cx).unwrap_or(i64::MIN)
}

#[inline]
fn to_signed<F: Element>(a: F, bits: u32, truncate: bool, cx: &mut FloatContext) -> Option<i64> {
    let rounding = if truncate { Rounding::Zero } else { cx.rounding };
    convert::to_signed(&unpack(a, cx), bits, rounding, cx)
}

/// CVTSI2SS, CVTSI2SD, CVTDQ2PS, CVTDQ2PD, CVTPI2PS, CVTPI2PD.
#[inline]
pub fn from_integer<F: Element>(value: i64, cx: &mut FloatContext) -> F {
    if value == 0 {
        return F::zero(false);
    }
    to_format(&exact(&Unpacked::from_i64(value)), cx)
}

/// CVTSS2SD, CVTSD2SS, CVTPS2PD, CVTPD2PS.
#[inline]
pub fn convert<From: Element, To: Element>(a: From, cx: &mut FloatContext) -> To {
    let a = unpack(a, cx);
    match a.class {
        Class::Normal => to_format(&exact(&a), cx),
        Class::Denormal => {
            cx.raise(flag::DENORMAL);
            to_format(&exact(&a), cx)
        }
        Class::Zero => To::zero(a.sign),
        Class::Infinite => To::infinity(a.sign),
        Class::Quiet | Class::Signalling | Class::Unsupported => nan(&a, &a, cx),
    }
}

/// ROUNDSS, ROUNDSD with their immediate byte: bits 1:0 rounding, bit 2 MXCSR's rounding, bit 3 no #P.
#[inline]
pub fn round<F: Element>(a: F, immediate: u8, cx: &mut FloatContext) -> F {
    let u = unpack(a, cx);
    match u.class {
        Class::Quiet | Class::Signalling | Class::Unsupported => return nan(&u, &u, cx),
        Class::Zero => return F::zero(u.sign),
        Class::Infinite => return a,
        Class::Normal | Class::Denormal => {}
    }
    let rounding = if immediate & 4 != 0 { cx.rounding } else { Rounding::from_bits(u32::from(immediate)) };
    let before = cx.flags;
    let rounded = convert::round_finite_to_integer(&u, rounding, cx);
    if immediate & 8 != 0 {
        cx.flags = before;
    }
    match rounded {
        Some(r) => F::assemble(r.sign, (r.exp + F::EMAX) as u32, r.mant),
        None => F::zero(u.sign),
    }
}
