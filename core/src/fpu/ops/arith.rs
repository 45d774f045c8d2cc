//! FADD to FDIVR, FSQRT, FABS, FCHS, FRNDINT, FSCALE, FXTRACT, FPREM.

use super::{Fpu, status};
use crate::fpu::soft::round::{Raw, to_f80};
use crate::fpu::soft::{
    Class, F32, F64, F80, FloatContext, Format, Precision, Unpacked, arith, convert, flag,
};

/// The two-operand operations; the discriminant is the reg field of D8 and DC /reg (and of the integer forms).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Arith {
    /// FADD: destination + source.
    Add = 0,
    /// FMUL: destination × source.
    Mul = 1,
    /// FSUB: destination − source.
    Sub = 4,
    /// FSUBR: source − destination.
    SubReversed = 5,
    /// FDIV: destination ÷ source.
    Div = 6,
    /// FDIVR: source ÷ destination.
    DivReversed = 7,
}

impl Arith {
    #[inline(always)]
    fn apply(self, destination: &Unpacked, source: &Unpacked, cx: &mut FloatContext) -> F80 {
        match self {
            Self::Add => arith::add(destination, source, cx),
            Self::Mul => arith::mul(destination, source, cx),
            Self::Sub => arith::sub(destination, source, cx),
            Self::SubReversed => arith::sub(source, destination, cx),
            Self::Div => arith::div(destination, source, cx),
            Self::DivReversed => arith::div(source, destination, cx),
        }
    }
}

impl Fpu {
    /// ST(destination) ← ST(destination) op ST(source), then an optional pop.
    ///
    /// D8 C0+i is `(op, 0, i, false)`, DC C0+i `(op, i, 0, false)`, DE C0+i `(op, i, 0, true)`. In DC and DE the
    /// encodings of SUB and SUBR, and of DIV and DIVR, are swapped: reg 4 is `SubReversed`, 5 is `Sub`.
    pub fn arith(&mut self, op: Arith, destination: u8, source: u8, pop: bool) {
        if self.is_empty(destination) || self.is_empty(source) {
            if self.stack_fault(false) {
                self.set_st(destination, F80::INDEFINITE);
                if pop {
                    self.pop();
                }
            }
            return;
        }
        let mut cx = self.context();
        let result = op.apply(&self.unpacked(destination), &self.unpacked(source), &mut cx);
        if self.settle(&cx) {
            self.set_st(destination, result);
            if pop {
                self.pop();
            }
        }
    }

    fn arith_memory(&mut self, op: Arith, source: &Unpacked) {
        if self.is_empty(0) {
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let mut cx = self.context();
        let result = op.apply(&self.unpacked(0), source, &mut cx);
        if self.settle(&cx) {
            self.set_st(0, result);
        }
    }

    /// ST(0) ← ST(0) op m32fp (D8 /reg).
    pub fn arith_m32(&mut self, op: Arith, source: u32) {
        self.arith_memory(op, &F32(source).unpack());
    }

    /// ST(0) ← ST(0) op m64fp (DC /reg).
    pub fn arith_m64(&mut self, op: Arith, source: u64) {
        self.arith_memory(op, &F64(source).unpack());
    }

    /// ST(0) ← ST(0) op integer (DA /reg with m32int, DE /reg with m16int).
    pub fn arith_integer(&mut self, op: Arith, source: i32) {
        self.arith_memory(op, &Unpacked::from_i64(i64::from(source)));
    }

    /// Replaces ST(0) by a function of it.
    pub(in crate::fpu) fn unary(&mut self, f: impl FnOnce(F80, &mut FloatContext) -> F80) {
        if self.is_empty(0) {
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let mut cx = self.context();
        let result = f(self.st(0), &mut cx);
        if self.settle(&cx) {
            self.set_st(0, result);
        }
    }

    /// FSQRT.
    pub fn fsqrt(&mut self) {
        self.unary(|a, cx| arith::sqrt(&a.unpack(), cx));
    }

    /// FRNDINT.
    pub fn frndint(&mut self) {
        self.unary(convert::round_to_integer);
    }

    /// FABS.
    pub fn fabs(&mut self) {
        self.unary(|a, _| F80::new(a.sign_exponent & 0x7FFF, a.mantissa));
    }

    /// FCHS.
    pub fn fchs(&mut self) {
        self.unary(|a, _| F80::new(a.sign_exponent ^ 0x8000, a.mantissa));
    }

    /// FSCALE: ST(0) ← ST(0) × 2^trunc(ST(1)).
    pub fn fscale(&mut self) {
        if self.is_empty(0) || self.is_empty(1) {
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let mut cx = self.context();
        let result = scale(&self.unpacked(0), &self.unpacked(1), &mut cx);
        if self.settle(&cx) {
            self.set_st(0, result);
        }
    }

    /// FXTRACT: ST(0) becomes the exponent, then the significand is pushed.
    pub fn fxtract(&mut self) {
        if self.is_empty(0) {
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
                self.push_unchecked(F80::INDEFINITE);
            }
            return;
        }
        if self.push_overflows() {
            if self.stack_fault(true) {
                self.set_st(0, F80::INDEFINITE);
                self.push_unchecked(F80::INDEFINITE);
            }
            return;
        }
        let mut cx = self.context();
        let (exponent, significand) = extract(&self.unpacked(0), &mut cx);
        if self.settle(&cx) {
            self.set_st(0, exponent);
            self.push_unchecked(significand);
        }
    }

    /// FPREM (`nearest` false) and FPREM1 (`nearest` true).
    pub fn fprem(&mut self, nearest: bool) {
        self.status &= !status::C2;
        if self.is_empty(0) || self.is_empty(1) {
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let mut cx = self.context();
        let (result, codes) = remainder(&self.unpacked(0), &self.unpacked(1), nearest, &mut cx);
        if self.settle(&cx) {
            self.set_st(0, result);
            if let Some(codes) = codes {
                self.set_codes(codes);
            }
        }
    }
}

fn scale(a: &Unpacked, b: &Unpacked, cx: &mut FloatContext) -> F80 {
    if a.is_nan() || b.is_nan() {
        return arith::x87_nan(a, b, cx);
    }
    match (a.class, b.class) {
        (Class::Infinite, Class::Infinite) if b.sign => return arith::x87_invalid(cx),
        (Class::Zero, Class::Infinite) if !b.sign => return arith::x87_invalid(cx),
        _ => arith::note_denormals(a, b, cx),
    }
    match (a.class, b.class) {
        (Class::Infinite, _) => F80::infinity(a.sign),
        (Class::Zero, _) => F80::zero(a.sign),
        (_, Class::Infinite) => {
            if b.sign {
                F80::zero(a.sign)
            } else {
                F80::infinity(a.sign)
            }
        }
        _ => {
            let shift = if b.class == Class::Zero || b.exp < 0 {
                0
            } else if b.exp > 16 {
                1 << 17
            } else {
                (b.mant >> (63 - b.exp)) as i32
            };
            let exp = a.exp + if b.sign { -shift } else { shift };
            // Precision control does not apply.
            to_f80(&Raw { sign: a.sign, exp, hi: a.mant, lo: 0 }, Precision::Extended, cx)
        }
    }
}

fn extract(a: &Unpacked, cx: &mut FloatContext) -> (F80, F80) {
    match a.class {
        Class::Quiet | Class::Signalling | Class::Unsupported => {
            let nan = arith::x87_nan_unary(a, cx);
            (nan, nan)
        }
        Class::Infinite => (F80::infinity(false), F80::infinity(a.sign)),
        Class::Zero => {
            cx.raise(flag::ZERO_DIVIDE);
            (F80::infinity(true), F80::zero(a.sign))
        }
        Class::Denormal | Class::Normal => {
            if a.class == Class::Denormal {
                cx.raise(flag::DENORMAL);
            }
            (F80::from_i64(i64::from(a.exp)), F80::finite(a.sign, 0, a.mant))
        }
    }
}

/// The remainder and, when it was computed, the condition codes with the quotient's low bits.
fn remainder(a: &Unpacked, b: &Unpacked, nearest: bool, cx: &mut FloatContext) -> (F80, Option<u16>) {
    if a.is_nan() || b.is_nan() {
        return (arith::x87_nan(a, b, cx), None);
    }
    if a.class == Class::Infinite || b.class == Class::Zero {
        return (arith::x87_invalid(cx), None);
    }
    arith::note_denormals(a, b, cx);
    if a.class == Class::Zero {
        return (F80::zero(a.sign), Some(0));
    }
    let whole = |u: &Unpacked, cx: &mut FloatContext| {
        to_f80(&Raw { sign: u.sign, exp: u.exp, hi: u.mant, lo: 0 }, Precision::Extended, cx)
    };
    if b.class == Class::Infinite {
        return (whole(a, cx), Some(0));
    }
    let difference = a.exp - b.exp;
    if difference < -1 {
        return (whole(a, cx), Some(0));
    }
    let divisor = u128::from(b.mant);
    if difference >= 64 {
        // A partial step: take off as many whole multiples of b × 2^(difference − n) as there are.
        let n = difference & 0x1F | 0x20;
        let (_, rest) = reduce(a.mant, b.mant, n as u32);
        let exp = b.exp + difference - n;
        return (normalised(a.sign, exp, rest, cx), Some(status::C2));
    }
    let (mut quotient, rest) =
        if difference >= 0 { reduce(a.mant, b.mant, difference as u32) } else { (0, 0) };
    let mut sign = a.sign;
    // The remainder in units of 2^(exp − 63).
    let (mut rest, exp, unit) = if difference >= 0 {
        (u128::from(rest), b.exp, divisor)
    } else {
        (u128::from(a.mant), a.exp, divisor << 1)
    };
    if nearest && (rest * 2 > unit || rest * 2 == unit && quotient & 1 != 0) {
        rest = unit - rest;
        sign = !sign;
        quotient += 1;
    }
    let codes = (if quotient & 1 != 0 { status::C1 } else { 0 })
        | (if quotient & 2 != 0 { status::C3 } else { 0 })
        | (if quotient & 4 != 0 { status::C0 } else { 0 });
    if rest == 0 {
        return (F80::zero(a.sign), Some(codes));
    }
    (normalised(sign, exp, rest as u64, cx), Some(codes))
}

/// Quotient (low 64 bits) and remainder of a × 2^n ÷ b, n < 64.
fn reduce(a: u64, b: u64, n: u32) -> (u64, u64) {
    let dividend = u128::from(a) << n;
    let divisor = u128::from(b);
    ((dividend / divisor) as u64, (dividend % divisor) as u64)
}

/// `rest / 2^63 * 2^exp`, exact unless it underflows.
fn normalised(sign: bool, exp: i32, rest: u64, cx: &mut FloatContext) -> F80 {
    if rest == 0 {
        return F80::zero(sign);
    }
    let zeros = rest.leading_zeros();
    to_f80(&Raw { sign, exp: exp - zeros as i32, hi: rest << zeros, lo: 0 }, Precision::Extended, cx)
}
