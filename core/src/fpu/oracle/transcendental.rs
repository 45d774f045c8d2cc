//! The transcendental functions against the host's: within one unit in the last place, special cases equal.

use super::random::Random;
use super::x87::{LAYOUT, Native, native, show, state};
use crate::fpu::ops::status;
use crate::fpu::{F80, Fpu};
use std::string::String;

struct Case {
    name: &'static str,
    native: Native,
    emulated: fn(&mut Fpu),
    operands: fn(&mut Random) -> (F80, F80),
}

/// Positions on the line of all magnitudes, for distances in units of the last place.
fn position(a: F80) -> i128 {
    let exponent = i128::from((a.sign_exponent & 0x7FFF).max(1) - 1);
    let magnitude = (exponent << 63) + i128::from(a.mantissa);
    if a.sign() { -magnitude } else { magnitude }
}

fn distance(a: F80, b: F80) -> u128 {
    position(a).abs_diff(position(b))
}

fn of_exponent(r: &mut Random, low: i64, high: i64) -> F80 {
    let exponent = low + r.below((high - low) as u64) as i64;
    let mantissa = if r.below(2) == 0 { r.next() } else { r.pattern() };
    F80::new((16383 + exponent) as u16 | (r.next() as u16) << 15, mantissa | 1 << 63)
}

fn check(cases: &[Case], rounds: u32, seed: u64) {
    if !super::host_is_amd() {
        // C1 and undefined arguments differ; the values are checked for themselves below.
        return;
    }
    let rounds = rounds * super::factor();
    let mut r = Random::new(seed);
    let mut report = String::new();
    for case in cases {
        let (mut wrong, mut unequal, mut first) = (0, 0, String::new());
        let mut distances = [0u32; 4];
        for _ in 0..rounds {
            let (mut before, memory) = state(&mut r, super::x87::Memory::Bits);
            if r.below(4) != 0 {
                let (a, b) = (case.operands)(&mut r);
                before.set_st(0, a);
                before.set_st(1, b);
            }
            let mut image = before.save(LAYOUT);
            (case.native)(&mut image, &mut memory.clone());
            let mut native = Fpu::new();
            native.restore(LAYOUT, &image);
            native.status = u16::from_le_bytes([image[4], image[5]]) & !status::TOP;
            (native.fop, native.fip, native.fcs, native.fdp, native.fds) = (0, 0, 0, 0, 0);

            let mut emulated = before.clone();
            (case.emulated)(&mut emulated);
            if native == emulated {
                distances[0] += 1;
                continue;
            }
            unequal += 1;
            // Differences that are allowed: the last place, and with it C1.
            let mut near = emulated.clone();
            let mut worst = 0;
            for i in 0..2 {
                let d = distance(native.st(i), emulated.st(i));
                worst = worst.max(d);
                if d <= 1 {
                    let n = near.physical(i);
                    near.registers[n] = native.st(i);
                    near.status = near.status & !status::C1 | native.status & status::C1;
                }
            }
            distances[worst.min(3) as usize] += 1;
            if near != native {
                wrong += 1;
                if wrong <= 4 {
                    first += &std::format!(
                        "  before   {}\n  native   {}\n  emulated {}\n",
                        show(&before, &memory),
                        show(&native, &memory),
                        show(&emulated, &memory)
                    );
                }
            }
        }
        std::println!("{}: {unequal} of {rounds} differ, by units: {distances:?}", case.name);
        if wrong != 0 {
            report += &std::format!("{}: {wrong} of {rounds} differ\n{first}", case.name);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn functions_of_angles_are_within_a_unit_of_the_hosts() {
    let angle: fn(&mut Random) -> (F80, F80) = |r| (of_exponent(r, -70, 66), F80::ZERO);
    let cases = [
        Case { name: "fsin", native: native!("fsin"), emulated: Fpu::fsin, operands: angle },
        Case { name: "fcos", native: native!("fcos"), emulated: Fpu::fcos, operands: angle },
        Case { name: "fsincos", native: native!("fsincos"), emulated: Fpu::fsincos, operands: angle },
        Case { name: "fptan", native: native!("fptan"), emulated: Fpu::fptan, operands: angle },
    ];
    check(&cases, 50_000, 41);
}

#[test]
fn other_functions_are_within_a_unit_of_the_hosts() {
    let cases = [
        Case {
            name: "fpatan",
            native: native!("fpatan"),
            emulated: Fpu::fpatan,
            operands: |r| {
                let x = of_exponent(r, -100, 100);
                let near = F80::new(
                    x.sign_exponent.wrapping_add(r.below(8) as u16).wrapping_sub(4),
                    r.next() | 1 << 63,
                );
                (x, if r.below(2) == 0 { near } else { of_exponent(r, -100, 100) })
            },
        },
        Case {
            name: "f2xm1",
            native: native!("f2xm1"),
            emulated: Fpu::f2xm1,
            operands: |r| {
                let low = r.pick(&[-5, -70]);
                (of_exponent(r, low, 0), F80::ZERO)
            },
        },
        Case {
            name: "fyl2x",
            native: native!("fyl2x"),
            emulated: Fpu::fyl2x,
            operands: |r| {
                let (low, high) = r.pick(&[(-1, 1), (-10, 10), (-16000, 16000)]);
                let mut x = of_exponent(r, low, high);
                x.sign_exponent &= 0x7FFF;
                (x, of_exponent(r, -20, 20))
            },
        },
        Case {
            name: "fyl2xp1",
            native: native!("fyl2xp1"),
            emulated: Fpu::fyl2xp1,
            operands: |r| {
                let low = r.pick(&[-5, -70]);
                (of_exponent(r, low, -2), of_exponent(r, -20, 20))
            },
        },
    ];
    check(&cases, 50_000, 42);
}

/// Known values: (operation, ST(1), ST(0), result to nearest).
#[test]
fn known_values_of_the_transcendental_functions() {
    let half = F80::new(0x3FFE, 1 << 63);
    let three = F80::from_i64(3);
    type Row = (fn(&mut Fpu), F80, F80, F80);
    let rows: [Row; 8] = [
        (Fpu::fsin, F80::ZERO, F80::ONE, F80::new(0x3FFE, 0xD76A_A478_4867_7021)),
        (Fpu::fcos, F80::ZERO, F80::ONE, F80::new(0x3FFE, 0x8A51_407D_A834_5C92)),
        (Fpu::f2xm1, F80::ZERO, half, F80::new(0x3FFD, 0xD413_CCCF_E779_9211)),
        (Fpu::fyl2x, F80::ONE, three, F80::new(0x3FFF, 0xCAE0_0D1C_FDEB_43D0)),
        (Fpu::fyl2xp1, F80::ONE, F80::ONE, F80::ONE),
        (Fpu::fpatan, F80::ONE, F80::ONE, F80::new(0x3FFE, 0xC90F_DAA2_2168_C235)),
        (Fpu::fpatan, three, F80::ZERO, F80::new(0x3FFF, 0xC90F_DAA2_2168_C235)),
        // π rounded to 64 bits less the 66-bit π of the reduction is -2^-64.
        (Fpu::fsin, F80::ZERO, F80::new(0x4000, 0xC90F_DAA2_2168_C235), F80::new(0xBFBF, 1 << 63)),
    ];
    for (n, (operation, st1, st0, result)) in rows.into_iter().enumerate() {
        let mut fpu = Fpu::new();
        fpu.fld_m80(st1);
        fpu.fld_m80(st0);
        operation(&mut fpu);
        assert_eq!(fpu.st(0), result, "row {n}");
    }
}
