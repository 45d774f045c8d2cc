//! The oracle itself: known results come out, faults are told apart, and it is fast.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86_native::bench;
use nomad86_native::oracle::{CODE_BASE, Case, DATA_BASE, Oracle, Outcome, Segment, Stop};

const CF: u32 = 1;
const ZF: u32 = 0x40;
const SF: u32 = 0x80;
const OF: u32 = 0x800;

fn oracle(test: &str) -> Option<Oracle> {
    Oracle::new().map_err(|error| bench::skipped(test, &error)).ok()
}

fn run(oracle: &mut Oracle, case: &Case<'_>) -> Outcome {
    oracle.run(case).expect("the case runs")
}

fn fault(vector: u8, error: u32, address: u32) -> Stop {
    Stop::Fault { vector, error, address }
}

#[test]
fn registers_and_flags_travel_both_ways() {
    let Some(mut oracle) = oracle("registers_and_flags_travel_both_ways") else { return };
    let mut case = Case::new(true, &[0x01, 0xD8]); // add eax, ebx
    case.gpr = [0x7FFF_FFFF, 2, 3, 1, DATA_BASE + 0x100, 6, 7, 8];
    let out = run(&mut oracle, &case);
    assert_eq!(out.stop, Stop::Halt);
    assert_eq!(out.gpr, [0x8000_0000, 2, 3, 1, DATA_BASE + 0x100, 6, 7, 8]);
    assert_eq!(out.eip, CODE_BASE + 2);
    assert_eq!(out.eflags & (CF | ZF | SF | OF), SF | OF);
}

#[test]
fn arithmetic_equals_what_this_program_computes_itself() {
    let Some(mut oracle) = oracle("arithmetic_equals_what_this_program_computes_itself") else { return };
    let mut x = 0x1234_5678_u32;
    for _ in 0..2000 {
        let (a, b) = (x, x.rotate_left(11) ^ 0x9E37_79B9);
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut case = Case::new(true, &[0x11, 0xC8]); // adc eax, ecx
        case.gpr[0] = a;
        case.gpr[1] = b;
        case.eflags = 2 | (x >> 31 & 1);
        let out = run(&mut oracle, &case);
        let (first, c1) = a.overflowing_add(b);
        let (sum, c2) = first.overflowing_add(x >> 31 & 1);
        assert_eq!(out.gpr[0], sum);
        assert_eq!(out.eflags & CF != 0, c1 || c2);
        assert_eq!(out.eflags & SF != 0, (sum as i32) < 0);
        assert_eq!(out.eflags & ZF != 0, sum == 0);
        assert_eq!(out.eflags & 4 != 0, (sum as u8).count_ones().is_multiple_of(2));
        let mut case = Case::new(true, &[0xF7, 0xE1]); // mul ecx
        case.gpr[0] = a;
        case.gpr[1] = b;
        let out = run(&mut oracle, &case);
        assert_eq!(u64::from(out.gpr[2]) << 32 | u64::from(out.gpr[0]), u64::from(a) * u64::from(b));
    }
}

#[test]
fn sixteen_bit_code_uses_16_bit_addresses_and_stack() {
    let Some(mut oracle) = oracle("sixteen_bit_code_uses_16_bit_addresses_and_stack") else { return };
    // push ax; mov [bx+si+10h], cx; add sp, 0
    let mut case = Case::new(false, &[0x50, 0x89, 0x48, 0x10]);
    case.gpr = [0xAAAA_1234, 0x5678, 0, 0xFFFF_0100, 0xC000, 0, 0xFFFF_0200, 0];
    let out = run(&mut oracle, &case);
    assert_eq!(out.stop, Stop::Halt);
    assert_eq!(out.eip, 4);
    assert_eq!(out.gpr[4], 0xBFFE);
    assert_eq!(oracle.data()[0xBFFE..0xC000], [0x34, 0x12]);
    assert_eq!(oracle.data()[0x310..0x312], [0x78, 0x56]);
    assert_eq!(Segment::Data16.descriptor(false).map(|d| d.selector), Some(out.selectors[2]));
}

#[test]
fn faults_tell_number_error_code_and_address() {
    let Some(mut oracle) = oracle("faults_tell_number_error_code_and_address") else { return };
    let mut stop = |code: &[u8], prepare: fn(&mut Case<'_>)| {
        let mut case = Case::new(true, code);
        prepare(&mut case);
        run(&mut oracle, &case)
    };
    let out = stop(&[0xF7, 0xF1], |_| ()); // div ecx, by 0
    assert!(matches!(out.stop, Stop::Fault { vector: 0, error: 0, .. }), "{:?}", out.stop);
    assert_eq!(out.eip, CODE_BASE);
    let out = stop(&[0x0F, 0x0B], |_| ()); // ud2
    assert!(matches!(out.stop, Stop::Fault { vector: 6, .. }), "{:?}", out.stop);
    let out = stop(&[0x8B, 0x01], |case| case.gpr[1] = DATA_BASE - 4); // mov eax, [ecx]
    assert_eq!(out.stop, fault(14, 4, DATA_BASE - 4));
    let out = stop(&[0x89, 0x01], |case| case.gpr[1] = CODE_BASE); // mov [ecx], eax
    assert_eq!(out.stop, fault(14, 7, CODE_BASE));
    let out = stop(&[0x8B, 0x81, 0xFE, 0xFF, 0, 0], |case| case.segments.ds = Segment::Data32); // past limit
    assert!(matches!(out.stop, Stop::Fault { vector: 13, error: 0, .. }), "{:?}", out.stop);
    let out = stop(&[0x8E, 0xD9], |case| case.gpr[1] = 0x1234); // mov ds, cx: no such selector
    assert!(matches!(out.stop, Stop::Fault { vector: 13, error: 0x1234, .. }), "{:?}", out.stop);
    let out = stop(&[0xCC], |_| ());
    assert!(matches!(out.stop, Stop::Fault { vector: 3, .. }), "{:?}", out.stop);
    assert_eq!(out.eip, CODE_BASE + 1);
    let out = stop(&[0xCE], |case| case.eflags |= OF); // into
    assert!(matches!(out.stop, Stop::Fault { vector: 4, .. }), "{:?}", out.stop);
    let out = stop(&[0xCD, 4], |_| ()); // int 4
    assert!(matches!(out.stop, Stop::Fault { vector: 4, .. }), "{:?}", out.stop);
    let out = stop(&[0x90], |case| case.eflags |= 0x100); // TF
    assert!(matches!(out.stop, Stop::Fault { vector: 1, .. }), "{:?}", out.stop);
    assert_eq!(out.eip, CODE_BASE + 1);
    let out = stop(&[0xF4], |_| ());
    assert_eq!(out.stop, Stop::Halt);
    assert_eq!(out.eip, CODE_BASE);
    let out = stop(&[0xCD, 0x80], |_| ());
    assert_eq!(out.stop, Stop::Syscall);
    let out = stop(&[0xEB, 0xFE], |_| ());
    assert_eq!(out.stop, Stop::Endless);
    let out = stop(&[0x40], |_| ());
    assert_eq!((out.stop, out.gpr[0]), (Stop::Halt, 1));
}

#[test]
fn segment_limits_hold_in_the_descriptors_of_the_table() {
    let Some(mut oracle) = oracle("segment_limits_hold_in_the_descriptors_of_the_table") else { return };
    for (segment, offset, write, ok) in [
        (Segment::Data32, 0xFFFC, true, true),
        (Segment::Data32, 0xFFFD, true, false),
        (Segment::ReadOnly, 0, false, true),
        (Segment::ReadOnly, 0, true, false),
        (Segment::ExpandDown, 0x8000, true, true),
        (Segment::ExpandDown, 0x7FFF, true, false),
        (Segment::Null, 0, false, false),
        (Segment::Code32, 0, false, true),
    ] {
        let mut case = Case::new(true, if write { &[0x89, 0x01] } else { &[0x8B, 0x01] });
        case.segments.ds = segment;
        case.gpr[1] = offset;
        let stop = run(&mut oracle, &case).stop;
        let expected = if ok { Stop::Halt } else { stop };
        assert_eq!(stop, expected, "{segment:?} {offset:#x} write: {write}");
        assert_eq!(matches!(stop, Stop::Fault { vector: 13, error: 0, .. }), !ok, "{stop:?}");
    }
}

#[test]
fn x87_and_sse_state_travels_both_ways() {
    let Some(mut oracle) = oracle("x87_and_sse_state_travels_both_ways") else { return };
    let mut fx = [0_u8; 512];
    fx[0..2].copy_from_slice(&0x037F_u16.to_le_bytes());
    fx[2..4].copy_from_slice(&(6_u16 << 11).to_le_bytes());
    fx[4] = 0b1100_0000; // st0 and st1 are in use
    fx[24..28].copy_from_slice(&0x1F80_u32.to_le_bytes());
    let mut value = |st: usize, mantissa: u64, exponent: u16| {
        fx[32 + 16 * st..40 + 16 * st].copy_from_slice(&mantissa.to_le_bytes());
        fx[40 + 16 * st..42 + 16 * st].copy_from_slice(&exponent.to_le_bytes());
    };
    value(0, 3 << 62, 0x3FFF); // 1.5
    value(1, 1 << 63, 0x4000); // 2.0
    let lanes = 1.25_f32.to_le_bytes().repeat(4);
    fx[160..176].copy_from_slice(&lanes);
    fx[176..192].copy_from_slice(&lanes);
    let mut case = Case::new(true, &[0xDE, 0xC9, 0x0F, 0x58, 0xC1]); // fmulp; addps xmm0, xmm1
    case.fx = Some(&fx);
    let out = run(&mut oracle, &case);
    assert_eq!(out.stop, Stop::Halt);
    let after = out.fx.expect("asked for");
    assert_eq!(after[4], 0b1000_0000);
    assert_eq!(after[32..42], [0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0x40]); // 3.0
    assert_eq!(after[160..176], 2.5_f32.to_le_bytes().repeat(4));
    // An unmasked exception that waits is raised by the next instruction that checks.
    fx[0] = 0x7E;
    fx[2] = 0x81;
    let mut case = Case::new(true, &[0xD9, 0xE8]); // fld1
    case.fx = Some(&fx);
    assert!(matches!(run(&mut oracle, &case).stop, Stop::Fault { vector: 16, .. }));
}

#[test]
fn cases_cost_tens_of_microseconds() {
    let Some(mut oracle) = oracle("cases_cost_tens_of_microseconds") else { return };
    let fx = {
        let mut fx = [0_u8; 512];
        fx[0..2].copy_from_slice(&0x037F_u16.to_le_bytes());
        fx[24..28].copy_from_slice(&0x1F80_u32.to_le_bytes());
        fx
    };
    for (name, code, fx) in [
        ("integer", &[0x01_u8, 0xD8][..], None),
        ("x87/SSE", &[0x0F, 0x58, 0xC1][..], Some(&fx)),
        ("fault", &[0x0F, 0x0B][..], None),
    ] {
        let mut case = Case::new(true, code);
        case.fx = fx;
        let runs = 20_000;
        let start = std::time::Instant::now();
        for _ in 0..runs {
            run(&mut oracle, &case);
        }
        let each = start.elapsed() / runs;
        println!("{name}: {each:?} a case");
        // Wide: the machine may be busy. What matters is that it is not milliseconds.
        assert!(each.as_micros() < 500, "{name}: {each:?}");
    }
}
