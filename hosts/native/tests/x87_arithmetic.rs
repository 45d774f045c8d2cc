//! x87 arithmetic against exact arithmetic: every rounding mode, every precision, masked and unmasked overflow
//! and underflow, on operands around every limit of the formats and on random ones.
//!
//! Each of the two kinds of peers has a blind spot: the processor that the tests run on (`core/src/fpu/oracle`)
//! is one vendor's, and is not there on other hosts; this one says what the standard says. NaNs are left to the
//! former.

#[path = "x87/exact.rs"]
mod exact;

use exact::{Exact, Fit, MODES, Mode, Rounded, flag, round};
use nomad86::fpu::{Arith, F80, Fpu};
use nomad86_native::bench;
use num_bigint::BigUint;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// The precision control's fields and the bits that they stand for.
const PRECISIONS: [(u16, i64); 3] = [(0, 24), (2, 53), (3, 64)];
/// All masked; overflow and underflow unmasked.
const MASKS: [u16; 2] = [0x3F, 0x27];
/// Exponents of normal numbers.
const RANGE: (i64, i64) = (-16382, 16383);
/// Random operands of each operation, by default.
const RANDOM: u64 = 3_000;

/// How many times the usual number of operands to try.
fn factor() -> u64 {
    bench::count("NOMAD86_X87_FACTOR", 1)
}

/// An operand: no NaN, no unsupported pattern.
#[derive(Clone, Copy, Debug)]
struct Operand(F80);

impl Operand {
    fn new(negative: bool, exponent: u16, mantissa: u64) -> Self {
        Self(F80::new(exponent | u16::from(negative) << 15, mantissa))
    }

    fn negative(self) -> bool {
        self.0.sign()
    }

    fn field(self) -> u16 {
        self.0.sign_exponent & 0x7FFF
    }

    fn is_infinite(self) -> bool {
        self.field() == 0x7FFF
    }

    fn is_zero(self) -> bool {
        self.0.mantissa == 0
    }

    /// Denormals and pseudo-denormals.
    fn is_denormal(self) -> bool {
        self.field() == 0 && !self.is_zero()
    }

    /// Mantissa and exponent of the magnitude.
    fn parts(self) -> (BigUint, i64) {
        (self.0.mantissa.into(), i64::from(self.field().max(1)) - 16383 - 63)
    }
}

/// What an instruction is to leave: a value's sign and magnitude, or the indefinite NaN.
type Expected = (Option<(bool, Rounded)>, u16);

const INDEFINITE: Expected = (None, flag::INVALID);

fn zero(negative: bool) -> Option<(bool, Rounded)> {
    Some((negative, Rounded::Finite(BigUint::ZERO, 0)))
}

const fn infinite(negative: bool) -> Option<(bool, Rounded)> {
    Some((negative, Rounded::Infinite))
}

fn rounded(exact: &Exact, negative: bool, fit: Fit, mode: Mode, masks: u16) -> Expected {
    let (value, flags) = round(exact, negative, fit, mode, masks);
    (Some((negative, value)), flags)
}

fn add(a: Operand, b: Operand, fit: Fit, mode: Mode, masks: u16) -> Expected {
    match (a.is_infinite(), b.is_infinite()) {
        (true, true) if a.negative() != b.negative() => return INDEFINITE,
        (true, _) => return (infinite(a.negative()), 0),
        (_, true) => return (infinite(b.negative()), 0),
        _ => {}
    }
    let ((mut x, x_at), (mut y, y_at)) = (a.parts(), b.parts());
    let at = x_at.min(y_at);
    x <<= (x_at - at).unsigned_abs();
    y <<= (y_at - at).unsigned_abs();
    let (negative, sum) = match (a.negative() == b.negative(), x >= y) {
        (true, _) => (a.negative(), x + y),
        (false, true) => (a.negative(), x - y),
        (false, false) => (b.negative(), y - x),
    };
    if sum == BigUint::ZERO {
        // Of two zeros of one sign the sum has it; any other sum that is nothing is plus zero, or minus when
        // rounding down.
        let both = a.is_zero() && b.is_zero() && a.negative() == b.negative();
        return (zero(if both { a.negative() } else { mode == Mode::Down }), 0);
    }
    rounded(&Exact::Ratio(sum, 1u32.into(), at), negative, fit, mode, masks)
}

fn multiply(a: Operand, b: Operand, fit: Fit, mode: Mode, masks: u16) -> Expected {
    let negative = a.negative() != b.negative();
    match (a.is_infinite() || b.is_infinite(), a.is_zero() || b.is_zero()) {
        (true, true) if !(a.is_infinite() && b.is_infinite()) => return INDEFINITE,
        (true, _) => return (infinite(negative), 0),
        (false, true) => return (zero(negative), 0),
        _ => {}
    }
    let ((x, x_at), (y, y_at)) = (a.parts(), b.parts());
    rounded(&Exact::Ratio(x * y, 1u32.into(), x_at + y_at), negative, fit, mode, masks)
}

fn divide(a: Operand, b: Operand, fit: Fit, mode: Mode, masks: u16) -> Expected {
    let negative = a.negative() != b.negative();
    match (a.is_infinite(), b.is_infinite()) {
        (true, true) => return INDEFINITE,
        (true, _) => return (infinite(negative), 0),
        (_, true) => return (zero(negative), 0),
        _ => {}
    }
    match (a.is_zero(), b.is_zero()) {
        (true, true) => return INDEFINITE,
        (true, _) => return (zero(negative), 0),
        (_, true) => return (infinite(negative), flag::ZERO_DIVIDE),
        _ => {}
    }
    let ((x, x_at), (y, y_at)) = (a.parts(), b.parts());
    rounded(&Exact::Ratio(x, y, x_at - y_at), negative, fit, mode, masks)
}

fn root(a: Operand, fit: Fit, mode: Mode, masks: u16) -> Expected {
    if a.is_zero() {
        return (zero(a.negative()), 0);
    }
    if a.negative() {
        return INDEFINITE;
    }
    if a.is_infinite() {
        return (infinite(false), 0);
    }
    let (x, x_at) = a.parts();
    rounded(&Exact::Root(x, x_at), false, fit, mode, masks)
}

/// Rounded to an integer, whatever the precision control says.
fn integer(a: Operand, mode: Mode) -> Expected {
    if a.is_infinite() {
        return (infinite(a.negative()), 0);
    }
    if a.is_zero() {
        return (zero(a.negative()), 0);
    }
    let (x, x_at) = a.parts();
    let (units, exact, up) = Exact::Ratio(x, 1u32.into(), x_at).units(0, a.negative(), mode);
    let flags = (u16::from(!exact) * flag::PRECISION) | (u16::from(up) * flag::ROUNDED_UP);
    (Some((a.negative(), Rounded::Finite(units, 0))), flags)
}

/// The bits of a value in a format whose significand has `precision` bits, of which the leading one is stored
/// in the 80-bit format only: fraction with or without it, and the exponent's field.
fn encode(value: &Rounded, precision: i64, emin: i64) -> (u64, i64) {
    let leading = 1u64 << (precision - 1);
    match value {
        Rounded::Infinite => (leading, 2 * (1 - emin) + 1),
        Rounded::Finite(units, _) if *units == BigUint::ZERO => (0, 0),
        Rounded::Finite(units, unit) => {
            let top = i64::try_from(units.bits()).unwrap() - 1 + unit;
            let low = top.max(emin) - precision + 1;
            let shift = unit - low;
            let mantissa =
                if shift >= 0 { units << shift.unsigned_abs() } else { units >> shift.unsigned_abs() };
            let mantissa = u64::try_from(&mantissa).unwrap();
            (mantissa, if mantissa & leading == 0 { 0 } else { top - emin + 1 })
        }
    }
}

fn to_f80((value, _): &Expected) -> F80 {
    let Some((negative, value)) = value else { return F80::INDEFINITE };
    let (mantissa, field) = encode(value, 64, RANGE.0);
    F80::new(field as u16 | u16::from(*negative) << 15, mantissa)
}

fn fpu(control: u16, stack: &[Operand]) -> Fpu {
    let mut fpu = Fpu::new();
    fpu.fldcw(0x37F);
    stack.iter().rev().for_each(|operand| fpu.fld_m80(operand.0));
    fpu.fldcw(control);
    assert_eq!(fpu.status & 0x2FF, 0);
    fpu
}

/// Exceptions and C1.
fn raised(fpu: &Fpu) -> u16 {
    fpu.status & (0x3F | flag::ROUNDED_UP)
}

/// Every control word in use.
fn controls() -> impl Iterator<Item = (u16, Mode, Fit, u16)> {
    MODES.into_iter().flat_map(|mode| {
        PRECISIONS.into_iter().flat_map(move |(field, precision)| {
            MASKS.into_iter().map(move |masks| {
                let fit = Fit { precision, range: RANGE, bias: 24576 };
                (0x40 | masks | field << 8 | (mode as u16) << 10, mode, fit, masks)
            })
        })
    })
}

/// Significands whose neighbours round differently at one of the precisions, or that carry far.
const MANTISSAS: [u64; 14] = [
    1 << 63,
    1 << 63 | 1,
    1 << 63 | 1 << 10,
    1 << 63 | 1 << 11,
    1 << 63 | 1 << 39 | 1,
    1 << 63 | 1 << 40,
    3 << 62,
    0xAAAA_AAAA_AAAA_AAAA,
    0xB504_F333_F9DE_6484,
    0xFFFF_FF00_0000_0000,
    0xFFFF_FF80_0000_0000,
    u64::MAX << 11,
    u64::MAX << 10,
    u64::MAX,
];

/// Exponents near the ends, near one, and as far from it as precisions are long.
const EXPONENTS: [u16; 20] = [
    1, 2, 24, 64, 65, 0x1FFF, 0x2000, 0x3FBF, 0x3FC0, 0x3FE7, 0x3FFE, 0x3FFF, 0x4000, 0x4016, 0x4033, 0x403E,
    0x403F, 0x5FFF, 0x7FFD, 0x7FFE,
];

fn special() -> Vec<Operand> {
    let mut all = vec![];
    for negative in [false, true] {
        all.extend([(0, 0), (0x7FFF, 1 << 63)].map(|(e, m)| Operand::new(negative, e, m)));
        let denormals = [1, 2, 3, 1 << 10, 1 << 39, 1 << 40, (1 << 40) - 1, 1 << 62, (1 << 63) - 1, 1 << 63];
        all.extend(denormals.map(|m| Operand::new(negative, 0, m)));
        for exponent in EXPONENTS {
            all.extend(MANTISSAS.map(|m| Operand::new(negative, exponent, m)));
        }
    }
    all
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        (self.0.next_u64() % limit as u64) as usize
    }

    /// Near the ends of the range, or near one, where operands meet.
    fn operand(&mut self) -> Operand {
        let bits = self.0.next_u64();
        let mantissa = match self.below(4) {
            0 => MANTISSAS[self.below(MANTISSAS.len())],
            1 => MANTISSAS[self.below(MANTISSAS.len())] ^ 1 << self.below(63),
            2 => bits & u64::MAX << self.below(64),
            _ => bits,
        };
        let exponent = match self.below(8) {
            0 => 0,
            1 => 1 + self.below(130) as u16,
            2 => 0x7FFE - self.below(130) as u16,
            3 => self.below(0x7FFF) as u16,
            _ => 0x3FFF - 70 + self.below(140) as u16,
        };
        let integer_bit = if exponent == 0 { 0 } else { 1 << 63 };
        Operand::new(self.below(2) == 1, exponent, mantissa | integer_bit)
    }
}

/// An operation: what our FPU makes of the operands, and what is right.
struct Case {
    name: &'static str,
    ours: fn(&mut Fpu),
    right: fn(Operand, Operand, Fit, Mode, u16) -> Expected,
    operands: usize,
}

const CASES: [Case; 8] = [
    Case { name: "fadd", ours: |fpu| fpu.arith(Arith::Add, 0, 1, false), right: add, operands: 2 },
    Case {
        name: "fsub",
        ours: |fpu| fpu.arith(Arith::Sub, 0, 1, false),
        right: |a, b, fit, mode, masks| add(a, opposite(b), fit, mode, masks),
        operands: 2,
    },
    Case {
        name: "fsubr",
        ours: |fpu| fpu.arith(Arith::SubReversed, 0, 1, false),
        right: |a, b, fit, mode, masks| add(b, opposite(a), fit, mode, masks),
        operands: 2,
    },
    Case { name: "fmul", ours: |fpu| fpu.arith(Arith::Mul, 0, 1, false), right: multiply, operands: 2 },
    Case { name: "fdiv", ours: |fpu| fpu.arith(Arith::Div, 0, 1, false), right: divide, operands: 2 },
    Case {
        name: "fdivr",
        ours: |fpu| fpu.arith(Arith::DivReversed, 0, 1, false),
        right: |a, b, fit, mode, masks| divide(b, a, fit, mode, masks),
        operands: 2,
    },
    Case {
        name: "fsqrt",
        ours: Fpu::fsqrt,
        right: |a, _, fit, mode, masks| root(a, fit, mode, masks),
        operands: 1,
    },
    Case { name: "frndint", ours: Fpu::frndint, right: |a, _, _, mode, _| integer(a, mode), operands: 1 },
];

fn opposite(a: Operand) -> Operand {
    Operand(F80::new(a.0.sign_exponent ^ 0x8000, a.0.mantissa))
}

impl Case {
    fn check(&self, a: Operand, b: Operand, wrong: &mut Vec<String>) -> u64 {
        let mut count = 0;
        let denormal = a.is_denormal() || self.operands == 2 && b.is_denormal();
        for (control, mode, fit, masks) in controls() {
            let mut expected = (self.right)(a, b, fit, mode, masks);
            if denormal && expected.1 & flag::INVALID == 0 {
                expected.1 |= flag::DENORMAL;
            }
            let mut fpu = fpu(control, &[a, b]);
            (self.ours)(&mut fpu);
            let (mut found, mut flags) = (raised(&fpu), expected.1);
            if expected.1 & flag::ZERO_DIVIDE != 0 {
                // Vendors differ in whether a denormal that is divided by zero is told of.
                (found, flags) = (found & !flag::DENORMAL, flags & !flag::DENORMAL);
            }
            count += 1;
            let right = to_f80(&expected);
            if (fpu.st(0), found) != (right, flags) && wrong.len() < 20 {
                wrong.push(format!(
                    "{} {a:x?} {b:x?}, control {control:03x}: {:x?} and {found:x}, not {right:x?} and {flags:x}",
                    self.name,
                    fpu.st(0),
                ));
            }
        }
        count
    }
}

#[test]
fn arithmetic_is_exact_arithmetic_rounded_once() {
    let special = special();
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(87));
    let mut wrong = vec![];
    for case in &CASES {
        let mut count = 0;
        if case.operands == 1 {
            special.iter().for_each(|&a| count += case.check(a, a, &mut wrong));
        } else {
            // Of all pairs, which are many, a part that is another for each operation.
            let every = (31 / factor() as usize).max(1);
            let skip = random.below(every);
            let pairs = special.iter().flat_map(|&a| special.iter().map(move |&b| (a, b)));
            pairs.skip(skip).step_by(every).for_each(|(a, b)| count += case.check(a, b, &mut wrong));
        }
        for _ in 0..RANDOM * factor() {
            count += case.check(random.operand(), random.operand(), &mut wrong);
        }
        println!("{}: {count} cases", case.name);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A store of ST(0): its bits if it takes place, and the flags.
fn store_of<T>(mut fpu: Fpu, store: impl Fn(&Fpu) -> nomad86::fpu::Store<T>) -> (Option<T>, u16) {
    let stored = store(&fpu);
    fpu.finish_store(&stored, false);
    (stored.value, raised(&fpu))
}

/// FST to 32 or 64 bits, whose exponents are not the register's.
fn right_float(a: Operand, precision: i64, emin: i64, mode: Mode, masks: u16) -> (Option<u64>, u16) {
    let fit = Fit { precision, range: (emin, 1 - emin), bias: 0 };
    let sign = u64::from(a.negative());
    let width = if precision == 24 { 32 } else { 64 };
    let bits = |value: &Rounded| {
        let (mantissa, field) = encode(value, precision, emin);
        let fraction = mantissa & !(1 << (precision - 1));
        sign << (width - 1) | (field as u64) << (precision - 1) | fraction
    };
    if a.is_infinite() {
        return (Some(bits(&Rounded::Infinite)), 0);
    }
    if a.is_zero() {
        return (Some(sign << (width - 1)), 0);
    }
    let (x, x_at) = a.parts();
    let (value, flags) = round(&Exact::Ratio(x, 1u32.into(), x_at), a.negative(), fit, mode, masks);
    // Unmasked, it is not stored.
    let unmasked = flags & !masks & (flag::OVERFLOW | flag::UNDERFLOW);
    if unmasked != 0 { (None, unmasked) } else { (Some(bits(&value)), flags) }
}

/// FIST.
fn right_integer(a: Operand, bits: u32, mode: Mode) -> (Option<i64>, u16) {
    let least = i64::MIN >> (64 - bits);
    let (Some((negative, Rounded::Finite(units, _))), flags) = integer(a, mode) else {
        return (Some(least), flag::INVALID);
    };
    let value = i128::try_from(units).ok().map(|units| if negative { -units } else { units });
    let range = i128::from(least)..=-1 - i128::from(least);
    match value.filter(|value| range.contains(value)) {
        Some(value) => (Some(value as i64), flags),
        None => (Some(least), flag::INVALID),
    }
}

#[test]
fn conversions_are_exact_values_rounded_once() {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(78));
    let mut operands = special();
    // Around the limits of the narrower formats as well.
    for (center, spread) in [(0x3FFF - 126, 30), (0x3FFF + 127, 3), (0x3FFF - 1022, 60), (0x3FFF + 1023, 3)] {
        for exponent in center - spread..=center + spread {
            for mantissa in MANTISSAS {
                operands.extend([false, true].map(|negative| Operand::new(negative, exponent, mantissa)));
            }
        }
    }
    operands.extend((0..RANDOM * factor()).map(|_| random.operand()));
    let mut wrong = vec![];
    let mut count = 0;
    let mut hold = |what: &str, a: Operand, control: u16, ours: String, right: String| {
        count += 1;
        if ours != right && wrong.len() < 20 {
            wrong.push(format!("{what} {a:x?}, control {control:03x}: {ours}, not {right}"));
        }
    };
    for &a in &operands {
        for (control, mode, _, masks) in controls() {
            let fpu = || fpu(control, &[a]);
            let text = |(value, flags): (Option<u64>, u16)| format!("{value:x?} and {flags:x}");
            let (value, flags) = store_of(fpu(), Fpu::fst_m32);
            let right = right_float(a, 24, -126, mode, masks);
            hold("fst m32", a, control, text((value.map(u64::from), flags)), text(right));
            let right = right_float(a, 53, -1022, mode, masks);
            hold("fst m64", a, control, text(store_of(fpu(), Fpu::fst_m64)), text(right));
            let text = |(value, flags): (Option<i64>, u16)| format!("{value:x?} and {flags:x}");
            for (truncate, mode) in [(false, mode), (true, Mode::Zero)] {
                let (value, flags) = store_of(fpu(), |fpu| fpu.fist_m16(truncate));
                let right = right_integer(a, 16, mode);
                hold("fist m16", a, control, text((value.map(i64::from), flags)), text(right));
                let (value, flags) = store_of(fpu(), |fpu| fpu.fist_m32(truncate));
                let right = right_integer(a, 32, mode);
                hold("fist m32", a, control, text((value.map(i64::from), flags)), text(right));
                let found = store_of(fpu(), |fpu| fpu.fist_m64(truncate));
                hold("fist m64", a, control, text(found), text(right_integer(a, 64, mode)));
            }
        }
    }
    println!("{count} conversions");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
