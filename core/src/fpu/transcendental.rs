//! FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1.
//!
//! Series with 128-bit intermediate results, rounded once: the results are those of correct rounding except where
//! 128 bits do not tell (never observed). Real FPUs are within one unit in the last place of that, differ among
//! themselves, and so may differ from us in the last bit. Angles are reduced by the hardware's π of 66 bits.
//!
//! Spec: Intel SDM volume 1, 8.3.8–8.3.10; volume 2, the tables of special cases.
//!
//! Not emulated: a given part's last bit. Arguments that F2XM1 and FYL2XP1 leave undefined get the function's
//! true value.

use super::ops::{Fpu, status};
use super::soft::arith::{note_denormals, x87_invalid, x87_nan, x87_nan_unary};
use super::soft::round::{Raw, to_f80};
use super::soft::wide::{Wide, alternating, inverse_factorials, inverse_odds, rising};
use super::soft::{Class, F80, FloatContext, Precision, Unpacked, flag};

/// π × 2^64, as the hardware reduces by.
const PI_66: u128 = 0x3_243F_6A88_85A3_08D3;
/// π.
const PI: Wide = Wide { sign: false, exp: 1, mant: 0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1 };
/// ln(2).
const LN_2: Wide = Wide { sign: false, exp: -1, mant: 0xB172_17F7_D1CF_79AB_C9E3_B398_03F2_F6AF };
/// log2(e).
const LOG2_E: Wide = Wide { sign: false, exp: 0, mant: 0xB8AA_3B29_5C17_F0BB_BE87_FED0_691D_3E89 };
/// √2 rounded down.
const SQRT_2: u64 = 0xB504_F333_F9DE_6484;

const SIN: [u128; 13] = inverse_factorials(2, 2);
const COS: [u128; 14] = inverse_factorials(1, 2);
const EXP: [u128; 28] = inverse_factorials(2, 1);
const ATANH: [u128; 20] = inverse_odds();
const ATAN: [u128; 11] = inverse_odds();

/// atan(n / 16), 128 fraction bits.
const ATAN_TABLE: [u128; 17] = [
    0x0000_0000_0000_0000_0000_0000_0000_0000,
    0x0FFA_ADDB_967E_F4E3_6CB2_792D_C0E2_E0D5,
    0x1FD5_BA9A_AC2F_6DC6_5912_F313_E7D1_11DF,
    0x2F72_F697_9CB6_044D_1EC2_D3E2_0727_1D22,
    0x3EB6_EBF2_5901_BAC5_5B71_E7BD_7DE8_85F9,
    0x4D89_DCDC_1FAF_2F34_E2D5_DA4C_693D_7994,
    0x5BD8_6507_937B_C239_C551_9091_6E7F_2242,
    0x6993_BB0F_308F_F2DB_213E_4AF4_800F_389B,
    0x76B1_9C15_86ED_3DA2_B7F2_22F6_5E1D_4682,
    0x832B_F4A6_D986_7E2A_4B6A_09CB_61A5_15C1,
    0x8F00_5D5E_F7F5_9F9B_5C83_5E16_65C4_3748,
    0x9A2F_80E6_71BD_DA20_4226_F8E2_204F_F3BD,
    0xA4BC_7D19_34F7_0924_19A8_7F2A_457D_AC9F,
    0xAEAC_4C38_B4D8_C080_1472_5E2F_3E52_070A,
    0xB805_3E2B_C231_9E73_CB2D_A552_10A4_443D,
    0xC0CE_85B8_AC52_6640_89DD_62C4_6E92_FA25,
    0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1,
];

impl Wide {
    const fn scaled(self, by: i32) -> Self {
        Self { exp: self.exp + by, ..self }
    }
}

/// Of an angle: which quarter turn, and the rest within ±π/4. `None` from 2^63 on.
fn reduce(x: &Unpacked) -> Option<(u8, Wide)> {
    if x.exp >= 63 {
        return None;
    }
    if x.exp < -2 {
        return Some((0, Wide::from_unpacked(x)));
    }
    // In units of 2^-65, of which a quarter turn has PI_66.
    let units = u128::from(x.mant) << (x.exp + 2);
    let (mut turns, mut rest) = (units / PI_66, units % PI_66);
    let mut sign = x.sign;
    if rest * 2 > PI_66 {
        rest = PI_66 - rest;
        turns += 1;
        sign = !sign;
    }
    let turns = turns as u8 & 3;
    Some((if x.sign { turns.wrapping_neg() & 3 } else { turns }, Wide::new(sign, 127 - 65, rest)))
}

/// sin(r), |r| ≤ π/4.
fn sine(r: Wide) -> Wide {
    let sum = alternating(&SIN, r.mul(r).fraction());
    let sine = r.mul(Wide::new(false, 0, sum));
    // Tiny angles: sin(r) is below r by less than we can tell.
    if sum == 1 << 127 { sine.nudged_down() } else { sine }
}

/// cos(r), |r| ≤ π/4.
fn cosine(r: Wide) -> Wide {
    let sum = alternating(&COS, r.mul(r).fraction());
    let cosine = Wide::new(false, 0, sum);
    if sum == 1 << 127 { cosine.nudged_down() } else { cosine }
}

fn sine_of_turns(turns: u8, r: Wide) -> Wide {
    let value = if turns & 1 == 0 { sine(r) } else { cosine(r) };
    value.with_sign(value.sign != (turns & 2 != 0))
}

/// atan(y / x) of positive numbers, at most about 0.79 + something: y ≤ x.
fn arc_tangent(y: Wide, x: Wide) -> Wide {
    let q = y.div(x);
    // The nearest sixteenth.
    let n = if q.exp >= 0 { 16 } else { ((q.fraction() >> 123) as u32).div_ceil(2) };
    let t = if n == 0 {
        q
    } else {
        // (q − c) ÷ (1 + q c) without its rounding error: (y − c x) ÷ (x + c y).
        let c = Wide::new(false, 127 - 4, u128::from(n));
        let (cx, cy) = (c.mul(x), c.mul(y));
        y.add(cx.with_sign(true)).div(x.add(cy))
    };
    if t.mant == 0 {
        return Wide::new(false, -1, ATAN_TABLE[n as usize]);
    }
    let sum = alternating(&ATAN, t.mul(t).fraction());
    let value = t.mul(Wide::new(false, 0, sum));
    if n == 0 {
        return if sum == 1 << 127 { value.nudged_down() } else { value };
    }
    Wide::new(false, -1, ATAN_TABLE[n as usize]).add(value)
}

/// log2((1 + s) / (1 − s)), |s| ≤ 0.18.
fn log2_of_ratio(s: Wide) -> Wide {
    let sum = rising(&ATANH, s.mul(s).fraction());
    s.mul(Wide::new(false, 0, sum)).mul(LOG2_E).scaled(1)
}

/// log2 of a positive number that is no power of two.
fn log2(x: Wide) -> Wide {
    let large = (x.mant >> 64) as u64 > SQRT_2;
    let exp = x.exp + i32::from(large);
    let m = Wide { sign: false, exp: if large { -1 } else { 0 }, mant: x.mant };
    let log = log2_of_ratio(m.add(Wide::ONE.with_sign(true)).div(m.add(Wide::ONE)));
    let magnitude = u128::from(exp.unsigned_abs());
    Wide::new(exp < 0, 127, magnitude).add(log)
}

fn finish(result: Wide, cx: &mut FloatContext) -> F80 {
    to_f80(&result.inexact(), Precision::Extended, cx)
}

impl Fpu {
    /// Checks ST(0) and, for an instruction that pushes, room for it; on a fault both become indefinite.
    fn angle_operand(&mut self, pushes: bool) -> Option<Unpacked> {
        let overflow = if self.is_empty(0) {
            false
        } else if pushes && self.push_overflows() {
            true
        } else {
            return Some(self.unpacked(0));
        };
        if self.stack_fault(overflow) {
            self.set_st(0, F80::INDEFINITE);
            if pushes {
                self.push_unchecked(F80::INDEFINITE);
            }
        }
        None
    }

    /// What the functions of an angle have in common: `f` gets a finite non-zero angle.
    fn angle(
        &mut self,
        second: Option<F80>,
        zero: impl FnOnce(bool) -> F80,
        f: impl FnOnce(u8, Wide, &mut FloatContext) -> (F80, F80),
    ) {
        self.status &= !status::C2;
        let Some(u) = self.angle_operand(second.is_some()) else { return };
        let mut cx = self.context();
        let (first, pushed) = match u.class {
            Class::Zero => (zero(u.sign), F80::ONE),
            Class::Infinite => {
                let nan = x87_invalid(&mut cx);
                (nan, nan)
            }
            Class::Quiet | Class::Signalling | Class::Unsupported => {
                let nan = x87_nan_unary(&u, &mut cx);
                (nan, nan)
            }
            Class::Normal | Class::Denormal => {
                let Some((turns, r)) = reduce(&u) else {
                    self.status = self.status & !status::C1 | status::C2;
                    return;
                };
                note_denormals(&u, &u, &mut cx);
                f(turns, r, &mut cx)
            }
        };
        if self.settle(&cx) {
            self.set_st(0, first);
            if second.is_some() {
                self.push_unchecked(pushed);
            }
        }
    }

    /// FSIN.
    pub fn fsin(&mut self) {
        self.angle(None, F80::zero, |turns, r, cx| (finish(sine_of_turns(turns, r), cx), F80::ZERO));
    }

    /// FCOS.
    pub fn fcos(&mut self) {
        self.angle(None, |_| F80::ONE, |turns, r, cx| (finish(sine_of_turns(turns + 1, r), cx), F80::ZERO));
    }

    /// FSINCOS: ST(0) becomes the sine, then the cosine is pushed.
    pub fn fsincos(&mut self) {
        self.angle(Some(F80::ONE), F80::zero, |turns, r, cx| {
            let sine = finish(sine_of_turns(turns, r), cx);
            // C1 tells of the sine alone.
            let up = cx.flags & flag::ROUNDED_UP;
            let cosine = finish(sine_of_turns(turns + 1, r), cx);
            cx.flags = cx.flags & !flag::ROUNDED_UP | up;
            (sine, cosine)
        });
    }

    /// FPTAN: ST(0) becomes the tangent, then 1 is pushed.
    pub fn fptan(&mut self) {
        self.angle(Some(F80::ONE), F80::zero, |turns, r, cx| {
            let (sine, cosine) = (sine(r), cosine(r));
            let tangent = if turns & 1 == 0 {
                // Tiny angles: tan(r) is above r by less than we can tell.
                if r.exp < -64 { r } else { sine.div(cosine) }
            } else {
                let tangent = cosine.div(sine);
                tangent.with_sign(!tangent.sign)
            };
            (finish(tangent, cx), F80::ONE)
        });
    }

    /// Two operands, result in ST(1), pop.
    fn binary_pop(&mut self, f: impl FnOnce(&Unpacked, &Unpacked, &mut FloatContext) -> F80) {
        if self.is_empty(0) || self.is_empty(1) {
            if self.stack_fault(false) {
                self.set_st(1, F80::INDEFINITE);
                self.pop();
            }
            return;
        }
        let mut cx = self.context();
        let (x, y) = (self.unpacked(0), self.unpacked(1));
        let result = if x.is_nan() || y.is_nan() { x87_nan(&y, &x, &mut cx) } else { f(&y, &x, &mut cx) };
        if self.settle(&cx) {
            self.set_st(1, result);
            self.pop();
        }
    }

    /// FPATAN: ST(1) ← the angle of the point (ST(0), ST(1)), pop.
    pub fn fpatan(&mut self) {
        self.binary_pop(patan);
    }

    /// FYL2X: ST(1) ← ST(1) × log2(ST(0)), pop.
    pub fn fyl2x(&mut self) {
        self.binary_pop(yl2x);
    }

    /// FYL2XP1: ST(1) ← ST(1) × log2(ST(0) + 1), pop.
    pub fn fyl2xp1(&mut self) {
        self.binary_pop(yl2xp1);
    }

    /// F2XM1: ST(0) ← 2^ST(0) − 1, for −1 ≤ ST(0) ≤ 1.
    pub fn f2xm1(&mut self) {
        self.unary(|a, cx| {
            let u = a.unpack();
            match u.class {
                Class::Quiet | Class::Signalling | Class::Unsupported => x87_nan_unary(&u, cx),
                Class::Zero => a,
                Class::Infinite => {
                    if u.sign {
                        F80::new(0xBFFF, 1 << 63)
                    } else {
                        a
                    }
                }
                Class::Normal | Class::Denormal => {
                    note_denormals(&u, &u, cx);
                    power_minus_one(&u, cx)
                }
            }
        });
    }
}

fn patan(y: &Unpacked, x: &Unpacked, cx: &mut FloatContext) -> F80 {
    note_denormals(y, x, cx);
    // In quarters of π, when one of them is zero or infinite.
    let eighths = match (y.class, x.class) {
        (Class::Infinite, Class::Infinite) => 1 + 2 * i32::from(x.sign),
        (Class::Zero, _) | (_, Class::Infinite) => 4 * i32::from(x.sign),
        (Class::Infinite, _) | (_, Class::Zero) => 2,
        _ => {
            let (ay, ax) = (Wide::from_unpacked(y).with_sign(false), Wide::from_unpacked(x).with_sign(false));
            let steep = (ay.exp, ay.mant) > (ax.exp, ax.mant);
            let angle = if steep { arc_tangent(ax, ay) } else { arc_tangent(ay, ax) };
            let angle = match (steep, x.sign) {
                (false, false) => angle,
                (false, true) => PI.add(angle.with_sign(true)),
                (true, false) => PI.scaled(-1).add(angle.with_sign(true)),
                (true, true) => PI.scaled(-1).add(angle),
            };
            return finish(angle.with_sign(y.sign), cx);
        }
    };
    match eighths {
        0 => F80::zero(y.sign),
        1 => finish(PI.scaled(-2).with_sign(y.sign), cx),
        2 => finish(PI.scaled(-1).with_sign(y.sign), cx),
        3 => finish(PI.mul(Wide::new(false, 127, 3)).scaled(-2).with_sign(y.sign), cx),
        _ => finish(PI.with_sign(y.sign), cx),
    }
}

/// y × `log`, where `exact` says that `log` is. Exact products are rounded as such but flagged as inexact.
fn times_log(y: &Unpacked, log: Wide, exact: bool, cx: &mut FloatContext) -> F80 {
    let product = Wide::from_unpacked(y).mul(log);
    let raw: Raw = if exact { product.exact() } else { product.inexact() };
    cx.raise(flag::PRECISION);
    let result = to_f80(&raw, Precision::Extended, cx);
    if result.sign_exponent & 0x7FFF == 0 {
        cx.raise(flag::UNDERFLOW);
    }
    result
}

fn yl2x(y: &Unpacked, x: &Unpacked, cx: &mut FloatContext) -> F80 {
    if x.class == Class::Zero {
        return match y.class {
            Class::Zero => x87_invalid(cx),
            Class::Infinite => F80::infinity(!y.sign),
            _ => {
                cx.raise(flag::ZERO_DIVIDE);
                F80::infinity(!y.sign)
            }
        };
    }
    if x.sign {
        return x87_invalid(cx);
    }
    let one = x.exp == 0 && x.mant == 1 << 63 && x.class == Class::Normal;
    let below_one = x.class != Class::Infinite && x.exp < 0;
    match (y.class, x.class) {
        (Class::Zero, Class::Infinite) => return x87_invalid(cx),
        (Class::Infinite, _) if one => return x87_invalid(cx),
        _ => note_denormals(y, x, cx),
    }
    match (y.class, x.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => F80::infinity(y.sign != below_one),
        _ if one => F80::zero(y.sign),
        (Class::Zero, _) => F80::zero(y.sign != below_one),
        _ if x.mant == 1 << 63 => {
            times_log(y, Wide::new(x.exp < 0, 127, u128::from(x.exp.unsigned_abs())), true, cx)
        }
        _ => times_log(y, log2(Wide::from_unpacked(x)), false, cx),
    }
}

fn yl2xp1(y: &Unpacked, x: &Unpacked, cx: &mut FloatContext) -> F80 {
    match (y.class, x.class) {
        (Class::Infinite, Class::Zero) => return x87_invalid(cx),
        (Class::Zero, Class::Infinite) => return x87_invalid(cx),
        (_, Class::Infinite) if x.sign => return x87_invalid(cx),
        _ => {}
    }
    let sign = y.sign != x.sign;
    note_denormals(y, x, cx);
    match (y.class, x.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => F80::infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => F80::zero(sign),
        _ if x.sign && x.exp >= 0 => {
            // Undefined: hand the operand back, as AMD's parts do.
            cx.raise(flag::PRECISION);
            F80::finite(x.sign, x.exp, x.mant)
        }
        _ => {
            let x = Wide::from_unpacked(x);
            let log = if x.exp < -2 {
                log2_of_ratio(x.div(x.add(Wide::ONE.scaled(1))))
            } else {
                let sum = x.add(Wide::ONE);
                if sum.mant == 1 << 127 {
                    Wide::new(sum.exp < 0, 127, u128::from(sum.exp.unsigned_abs()))
                } else {
                    log2(sum)
                }
            };
            times_log(y, log, false, cx)
        }
    }
}

fn power_minus_one(x: &Unpacked, cx: &mut FloatContext) -> F80 {
    if x.exp >= 0 {
        cx.raise(flag::PRECISION);
        if x.exp == 0 && x.mant == 1 << 63 {
            return if x.sign { F80::new(0xBFFE, 1 << 63) } else { F80::ONE };
        }
        // Undefined: hand the operand back, as AMD's parts do.
        return F80::finite(x.sign, x.exp, x.mant);
    }
    let t = Wide::from_unpacked(x).mul(LN_2);
    let z = t.fraction();
    let sum = if x.sign { alternating(&EXP, z) } else { rising(&EXP, z) };
    finish(t.mul(Wide::new(false, 0, sum)), cx)
}
