//! SSE scalar instructions against the host's.

use super::random::Random;
use crate::fpu::soft::FloatContext;
use crate::fpu::{F32, F64, sse};
use core::cell::Cell;
use std::string::String;

/// LDMXCSR, one instruction on XMM0 (result and first operand) and XMM1, STMXCSR; returns bits and RFLAGS.
type Native = fn(&mut u32, u64, u64) -> (u64, u32);
/// The same in software: bits of the result, and EFLAGS when it sets them.
type Emulated = fn(&mut FloatContext, u64, u64) -> (u64, Option<u32>);

macro_rules! native {
    ($instruction:literal) => {{
        fn run(mxcsr: &mut u32, a: u64, b: u64) -> (u64, u32) {
            let (result, flags): (u64, u64);
            let default = 0x1F80u32;
            // SAFETY: the instruction touches XMM0, XMM1, RAX and EFLAGS; MXCSR is put back afterwards. An unmasked
            // exception goes to `on_fault`, which masks it.
            unsafe {
                core::arch::asm!(
                    "movq xmm0, {a}",
                    "movq xmm1, {b}",
                    "ldmxcsr [{mxcsr}]",
                    "cmp {a}, {a}",
                    $instruction,
                    "pushfq",
                    "pop {flags}",
                    "stmxcsr [{mxcsr}]",
                    "ldmxcsr [{default}]",
                    "movq {a}, xmm0",
                    a = inout(reg) a => result,
                    b = in(reg) b,
                    mxcsr = in(reg) mxcsr,
                    default = in(reg) &default,
                    flags = out(reg) flags,
                    out("rax") _, out("xmm0") _, out("xmm1") _,
                );
            }
            (result, flags as u32)
        }
        run as Native
    }};
}

struct Case {
    name: &'static str,
    native: Native,
    emulated: Emulated,
    /// Operands are binary64, or binary32.
    double: bool,
    /// Bits of the result.
    result: u64,
}

macro_rules! case {
    ($instruction:literal, $double:literal, $result:literal, |$cx:ident, $a:ident, $b:ident| $body:expr) => {
        Case {
            name: $instruction,
            native: native!($instruction),
            emulated: |$cx, $a, $b| {
                let _ = (&$a, &$b, &$cx);
                ($body as u64, None)
            },
            double: $double,
            result: u64::MAX >> (64 - $result),
        }
    };
    (flags $instruction:literal, $double:literal, |$cx:ident, $a:ident, $b:ident| $body:expr) => {
        Case {
            name: $instruction,
            native: native!($instruction),
            emulated: |$cx, $a, $b| ($a, Some($body.eflags())),
            double: $double,
            result: u64::MAX >> if $double { 0 } else { 32 },
        }
    };
}

fn s(bits: u64) -> F32 {
    F32(bits as u32)
}
fn d(bits: u64) -> F64 {
    F64(bits)
}
fn mask(holds: bool) -> u64 {
    if holds { u64::MAX } else { 0 }
}

fn operand(r: &mut Random, double: bool) -> u64 {
    if double {
        r.f64()
    } else {
        // Whatever stands above a binary32 must not matter.
        u64::from(r.f32()) | r.next() << 32
    }
}

fn operands(r: &mut Random, double: bool) -> (u64, u64) {
    let a = operand(r, double);
    let shift = if double { 63 } else { 31 };
    let b = match r.below(8) {
        0 => a,
        1 => a ^ 1 << shift,
        2 => a ^ 1 << r.below(shift),
        _ => operand(r, double),
    };
    (a, b)
}

fn check(cases: &[Case], rounds: u32, seed: u64, unmask: bool) {
    let rounds = rounds * super::factor();
    let mut r = Random::new(seed);
    let mut report = String::new();
    for case in cases {
        let (mut wrong, mut first) = (0, String::new());
        for _ in 0..rounds {
            let (a, b) = operands(&mut r, case.double);
            let masks = if unmask { r.next() as u32 & 0x1F80 } else { 0x1F80 };
            let sticky = if r.below(2) == 0 { 0 } else { r.next() as u32 & masks >> 7 };
            let modes = if r.below(2) == 0 { r.next() as u32 & 0xE040 } else { 0 };
            let before = masks | sticky | modes;

            FAULT.set(0);
            let mut native_mxcsr = before;
            let (native, native_flags) = (case.native)(&mut native_mxcsr, a, b);
            let fault = FAULT.get();
            if fault != 0 {
                native_mxcsr = fault;
            }

            let mut cx = FloatContext::from_mxcsr(before);
            let (emulated, flags) = (case.emulated)(&mut cx, a, b);
            let (raised, faults) = cx.finish();
            let emulated_mxcsr = before | raised;
            let same = native_mxcsr == emulated_mxcsr
                && faults == (fault != 0)
                && (faults
                    || native & case.result == emulated & case.result
                        && native_flags & 0x8D5 == flags.unwrap_or(0x44));
            if !same {
                wrong += 1;
                if wrong <= 2 {
                    first += &std::format!(
                        "  a {a:016x} b {b:016x} mxcsr {before:04x}\n    native {native:016x} {native_mxcsr:04x} \
                         {native_flags:x}\n  emulated {emulated:016x} {emulated_mxcsr:04x} {flags:x?}\n"
                    );
                }
            }
        }
        if wrong != 0 {
            report += &std::format!("{}: {wrong} of {rounds} differ\n{first}", case.name);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn arithmetic() -> [Case; 14] {
    [
        case!("addss xmm0, xmm1", false, 32, |cx, a, b| sse::add(s(a), s(b), cx).0),
        case!("subss xmm0, xmm1", false, 32, |cx, a, b| sse::sub(s(a), s(b), cx).0),
        case!("mulss xmm0, xmm1", false, 32, |cx, a, b| sse::mul(s(a), s(b), cx).0),
        case!("divss xmm0, xmm1", false, 32, |cx, a, b| sse::div(s(a), s(b), cx).0),
        case!("sqrtss xmm0, xmm1", false, 32, |cx, a, b| sse::sqrt(s(b), cx).0),
        case!("minss xmm0, xmm1", false, 32, |cx, a, b| sse::min(s(a), s(b), cx).0),
        case!("maxss xmm0, xmm1", false, 32, |cx, a, b| sse::max(s(a), s(b), cx).0),
        case!("addsd xmm0, xmm1", true, 64, |cx, a, b| sse::add(d(a), d(b), cx).0),
        case!("subsd xmm0, xmm1", true, 64, |cx, a, b| sse::sub(d(a), d(b), cx).0),
        case!("mulsd xmm0, xmm1", true, 64, |cx, a, b| sse::mul(d(a), d(b), cx).0),
        case!("divsd xmm0, xmm1", true, 64, |cx, a, b| sse::div(d(a), d(b), cx).0),
        case!("sqrtsd xmm0, xmm1", true, 64, |cx, a, b| sse::sqrt(d(b), cx).0),
        case!("minsd xmm0, xmm1", true, 64, |cx, a, b| sse::min(d(a), d(b), cx).0),
        case!("maxsd xmm0, xmm1", true, 64, |cx, a, b| sse::max(d(a), d(b), cx).0),
    ]
}

fn comparisons() -> [Case; 14] {
    [
        case!("cmpss xmm0, xmm1, 0", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 0, cx))),
        case!("cmpss xmm0, xmm1, 1", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 1, cx))),
        case!("cmpss xmm0, xmm1, 2", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 2, cx))),
        case!("cmpss xmm0, xmm1, 3", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 3, cx))),
        case!("cmpss xmm0, xmm1, 4", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 4, cx))),
        case!("cmpss xmm0, xmm1, 5", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 5, cx))),
        case!("cmpss xmm0, xmm1, 6", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 6, cx))),
        case!("cmpss xmm0, xmm1, 7", false, 32, |cx, a, b| mask(sse::holds(s(a), s(b), 7, cx))),
        case!("cmpsd xmm0, xmm1, 1", true, 64, |cx, a, b| mask(sse::holds(d(a), d(b), 1, cx))),
        case!("cmpsd xmm0, xmm1, 4", true, 64, |cx, a, b| mask(sse::holds(d(a), d(b), 4, cx))),
        case!(flags "comiss xmm0, xmm1", false, |cx, a, b| sse::relation(s(a), s(b), false, cx)),
        case!(flags "ucomiss xmm0, xmm1", false, |cx, a, b| sse::relation(s(a), s(b), true, cx)),
        case!(flags "comisd xmm0, xmm1", true, |cx, a, b| sse::relation(d(a), d(b), false, cx)),
        case!(flags "ucomisd xmm0, xmm1", true, |cx, a, b| sse::relation(d(a), d(b), true, cx)),
    ]
}

fn conversions() -> [Case; 26] {
    [
        case!("cvtss2sd xmm0, xmm1", false, 64, |cx, a, b| sse::convert::<F32, F64>(s(b), cx).0),
        case!("cvtsd2ss xmm0, xmm1", true, 32, |cx, a, b| sse::convert::<F64, F32>(d(b), cx).0),
        case!("cvtss2si eax, xmm1; movd xmm0, eax", false, 32, |cx, a, b| sse::to_i32(s(b), false, cx)
            as u32),
        case!("cvttss2si eax, xmm1; movd xmm0, eax", false, 32, |cx, a, b| sse::to_i32(s(b), true, cx)
            as u32),
        case!("cvtsd2si eax, xmm1; movd xmm0, eax", true, 32, |cx, a, b| sse::to_i32(d(b), false, cx) as u32),
        case!("cvttsd2si eax, xmm1; movd xmm0, eax", true, 32, |cx, a, b| sse::to_i32(d(b), true, cx) as u32),
        case!("cvtss2si rax, xmm1; movq xmm0, rax", false, 64, |cx, a, b| sse::to_i64(s(b), false, cx)),
        case!("cvttss2si rax, xmm1; movq xmm0, rax", false, 64, |cx, a, b| sse::to_i64(s(b), true, cx)),
        case!("cvtsd2si rax, xmm1; movq xmm0, rax", true, 64, |cx, a, b| sse::to_i64(d(b), false, cx)),
        case!("cvttsd2si rax, xmm1; movq xmm0, rax", true, 64, |cx, a, b| sse::to_i64(d(b), true, cx)),
        case!("movd eax, xmm1; cvtsi2ss xmm0, eax", false, 32, |cx, a, b| {
            sse::from_integer::<F32>(i64::from(b as i32), cx).0
        }),
        case!("movd eax, xmm1; cvtsi2sd xmm0, eax", false, 64, |cx, a, b| {
            sse::from_integer::<F64>(i64::from(b as i32), cx).0
        }),
        case!("movq rax, xmm1; cvtsi2ss xmm0, rax", false, 32, |cx, a, b| {
            sse::from_integer::<F32>(b as i64, cx).0
        }),
        case!("movq rax, xmm1; cvtsi2sd xmm0, rax", false, 64, |cx, a, b| {
            sse::from_integer::<F64>(b as i64, cx).0
        }),
        case!("roundss xmm0, xmm1, 0", false, 32, |cx, a, b| sse::round(s(b), 0, cx).0),
        case!("roundss xmm0, xmm1, 1", false, 32, |cx, a, b| sse::round(s(b), 1, cx).0),
        case!("roundss xmm0, xmm1, 2", false, 32, |cx, a, b| sse::round(s(b), 2, cx).0),
        case!("roundss xmm0, xmm1, 3", false, 32, |cx, a, b| sse::round(s(b), 3, cx).0),
        case!("roundss xmm0, xmm1, 4", false, 32, |cx, a, b| sse::round(s(b), 4, cx).0),
        case!("roundss xmm0, xmm1, 12", false, 32, |cx, a, b| sse::round(s(b), 12, cx).0),
        case!("roundsd xmm0, xmm1, 0", true, 64, |cx, a, b| sse::round(d(b), 0, cx).0),
        case!("roundsd xmm0, xmm1, 4", true, 64, |cx, a, b| sse::round(d(b), 4, cx).0),
        case!("roundsd xmm0, xmm1, 9", true, 64, |cx, a, b| sse::round(d(b), 9, cx).0),
        case!("roundsd xmm0, xmm1, 11", true, 64, |cx, a, b| sse::round(d(b), 11, cx).0),
        case!("rcpss xmm0, xmm1", false, 32, |cx, a, b| sse::approximate::reciprocal(s(b)).0),
        case!("rsqrtss xmm0, xmm1", false, 32, |cx, a, b| sse::approximate::reciprocal_root(s(b)).0),
    ]
}

#[test]
fn scalar_arithmetic_equals_the_hosts() {
    check(&arithmetic(), 150_000, 11, false);
}

#[test]
fn scalar_comparisons_equal_the_hosts() {
    check(&comparisons(), 100_000, 12, false);
}

#[test]
fn scalar_conversions_equal_the_hosts() {
    if std::is_x86_feature_detected!("sse4.1") {
        check(&conversions()[..24], 100_000, 13, false);
    }
}

/// Vendors differ here; the tables are those of AMD's family 25.
#[test]
fn approximations_equal_a_zen_3() {
    let family = core::arch::x86_64::__cpuid(1).eax;
    let vendor = core::arch::x86_64::__cpuid(0).ebx;
    if vendor == u32::from_le_bytes(*b"Auth") && (family >> 8 & 15) + (family >> 20 & 0xFF) == 25 {
        check(&conversions()[24..], 400_000, 14, false);
    }
}

#[test]
fn approximations_keep_the_architectures_error_bound() {
    for index in 0..1u32 << 17 {
        let x = f32::from_bits(0x3F80_0000 + (index << 7) + 127);
        let exact = f64::from(x);
        let reciprocal = f64::from(f32::from_bits(sse::approximate::reciprocal(F32(x.to_bits())).0));
        let root = f64::from(f32::from_bits(sse::approximate::reciprocal_root(F32(x.to_bits())).0));
        assert!((reciprocal * exact - 1.0).abs() <= 1.5 / 4096.0, "rcpss {x}");
        assert!((root * exact.sqrt() - 1.0).abs() <= 1.5 / 4096.0, "rsqrtss {x}");
    }
}

std::thread_local! {
    /// MXCSR at the thread's last SIGFPE, or 0.
    static FAULT: Cell<u32> = const { Cell::new(0) };
}

#[cfg(target_os = "linux")]
mod signal {
    use super::FAULT;

    #[repr(C)]
    struct Action {
        handler: usize,
        mask: [u64; 16],
        flags: i32,
        restorer: usize,
    }

    unsafe extern "C" {
        fn sigaction(signal: i32, action: *const Action, old: *mut Action) -> i32;
    }

    /// Notes MXCSR and masks everything, so that the instruction completes when it is restarted.
    extern "C" fn on_fault(_signal: i32, _info: *const u8, context: *mut u8) {
        // SAFETY: the kernel passes a ucontext; on x86-64 its pointer to the FXSAVE image is at offset 224,
        // and MXCSR is at offset 24 of that.
        unsafe {
            let image = context.add(224).cast::<*mut u8>().read();
            let mxcsr = image.add(24).cast::<u32>();
            FAULT.set(mxcsr.read());
            mxcsr.write(0x1F80);
        }
    }

    pub(super) fn install() {
        const SIGFPE: i32 = 8;
        const SA_SIGINFO: i32 = 4;
        let action =
            Action { handler: on_fault as *const () as usize, mask: [0; 16], flags: SA_SIGINFO, restorer: 0 };
        // SAFETY: the structure has the C library's layout, and the handler is async-signal-safe.
        let result = unsafe { sigaction(SIGFPE, &raw const action, core::ptr::null_mut()) };
        assert_eq!(result, 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn unmasked_scalar_exceptions_equal_the_hosts() {
    signal::install();
    check(&arithmetic(), 20_000, 21, true);
    check(&comparisons(), 10_000, 22, true);
    check(&conversions()[..24], 10_000, 23, true);
}
