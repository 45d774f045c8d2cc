//! x87 instructions against the host's.

use super::random::Random;
use crate::fpu::env::Layout;
use crate::fpu::ops::status;
use crate::fpu::{Arith, Constant, F80, Fpu, Store};
use std::string::String;

pub(super) const LAYOUT: Layout = Layout { wide: true, protected: true };

/// FRSTOR, one instruction (memory operand at RDX), FNSAVE; returns RFLAGS.
pub(super) type Native = fn(&mut [u8; 108], &mut [u8; 16]) -> u32;
/// The same in software; returns the flags that FCOMI and its kin set.
type Emulated = fn(&mut Fpu, &mut [u8; 16]) -> Option<u32>;

macro_rules! native {
    ($instruction:literal) => {{
        fn run(image: &mut [u8; 108], memory: &mut [u8; 16]) -> u32 {
            let flags: u64;
            // SAFETY: the instruction touches the x87, EFLAGS and at most 16 bytes at RDX; FRSTOR gave it a
            // state without pending exceptions, FNSAVE leaves the initial state behind.
            unsafe {
                core::arch::asm!(
                    "frstor [{image}]",
                    "cmp edx, edx",
                    $instruction,
                    "pushfq",
                    "pop {flags}",
                    "fnsave [{image}]",
                    "fninit",
                    image = in(reg) image.as_mut_ptr(),
                    flags = out(reg) flags,
                    in("rdx") memory.as_mut_ptr(),
                    out("ax") _,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                );
            }
            flags as u32
        }
        run as Native
    }};
}

/// What lies at RDX.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Memory {
    Bits,
    F32,
    F64,
    F80,
    Decimal,
}

pub(super) use native;

struct Case {
    name: &'static str,
    native: Native,
    emulated: Emulated,
    memory: Memory,
}

macro_rules! case {
    ($instruction:literal, $memory:ident, |$fpu:ident, $m:ident| $body:expr) => {
        Case {
            name: $instruction,
            native: native!($instruction),
            emulated: |$fpu, $m| {
                let _ = &$m;
                $body;
                None
            },
            memory: Memory::$memory,
        }
    };
    (flags $instruction:literal, |$fpu:ident| $body:expr) => {
        Case {
            name: $instruction,
            native: native!($instruction),
            emulated: |$fpu, _| Some($body.eflags()),
            memory: Memory::Bits,
        }
    };
}

fn u16_at(m: &[u8; 16]) -> u16 {
    u16::from_le_bytes([m[0], m[1]])
}
fn u32_at(m: &[u8; 16]) -> u32 {
    u32::from_le_bytes([m[0], m[1], m[2], m[3]])
}
fn u64_at(m: &[u8; 16]) -> u64 {
    u64::from(u32_at(m)) | u64::from(u32::from_le_bytes([m[4], m[5], m[6], m[7]])) << 32
}
fn ten_at(m: &[u8; 16]) -> [u8; 10] {
    core::array::from_fn(|n| m[n])
}

fn put<T, const N: usize>(
    fpu: &mut Fpu,
    m: &mut [u8; 16],
    of: impl FnOnce(&Fpu) -> Store<T>,
    pop: bool,
    bytes: fn(T) -> [u8; N],
) {
    let store = of(fpu);
    fpu.finish_store(&store, pop);
    if let Some(value) = store.value {
        m[..N].copy_from_slice(&bytes(value));
    }
}

/// Runs every case `rounds` times from random states and lists the differences.
fn check(cases: &[Case], rounds: u32, seed: u64) {
    let rounds = rounds * super::factor();
    let mut r = Random::new(seed);
    let amd = super::host_is_amd();
    let mut report = String::new();
    for case in cases {
        let (mut wrong, mut first) = (0, String::new());
        for _ in 0..rounds {
            let (before, memory) = state(&mut r, case.memory);
            let mut image = before.save(LAYOUT);
            let mut native_memory = memory;
            let native_flags = (case.native)(&mut image, &mut native_memory);
            let mut native = Fpu::new();
            native.restore(LAYOUT, &image);
            // ES and B as stored, not as FRSTOR recomputes them.
            native.status = u16::from_le_bytes([image[4], image[5]]) & !status::TOP;

            let mut emulated = before.clone();
            let mut emulated_memory = memory;
            let flags = (case.emulated)(&mut emulated, &mut emulated_memory);
            (native.fop, native.fip, native.fcs) = (0, 0, 0);
            (native.fdp, native.fds) = (0, 0);
            if !amd {
                native.status = emulated.status;
            }
            let same_flags = native_flags & 0x8D5 == flags.unwrap_or(0x44);
            if native != emulated || native_memory != emulated_memory || !same_flags {
                wrong += 1;
                if wrong <= 2 {
                    first += &std::format!(
                        "  before   {}\n  native   {} {native_flags:x}\n  emulated {} {flags:x?}\n",
                        show(&before, &memory),
                        show(&native, &native_memory),
                        show(&emulated, &emulated_memory)
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

pub(super) fn show(fpu: &Fpu, memory: &[u8; 16]) -> String {
    let mut text =
        std::format!("cw {:04x} sw {:04x} top {} tags {:02x}", fpu.control, fpu.status, fpu.top, fpu.tags);
    for i in [0, 1, 2, 7] {
        let st = fpu.st(i);
        text += &std::format!(" st{i} {:04x}:{:016x}", st.sign_exponent, st.mantissa);
    }
    text += &std::format!(
        " m {:016x} {:016x}",
        u64_at(memory),
        u64::from_le_bytes(memory[8..].try_into().unwrap())
    );
    text
}

/// A random state without pending exceptions, and a memory operand.
pub(super) fn state(r: &mut Random, kind: Memory) -> (Fpu, [u8; 16]) {
    let mut fpu = Fpu::new();
    let amd = super::host_is_amd();
    let masks = if amd && r.below(3) == 0 { r.next() as u16 & 0x3F } else { 0x3F };
    fpu.control = 0x40 | masks | (r.below(4) as u16) << 10 | r.pick(&[0x300, 0x300, 0x200, 0x100, 0]);
    fpu.status =
        if r.below(4) == 0 { r.next() as u16 & (masks | status::CODES | status::STACK_FAULT) } else { 0 };
    fpu.top = r.below(8) as u8;
    let a = r.f80();
    let b = r.f80_beside(a);
    fpu.tags = 0xFF;
    for i in 0..8 {
        let value = match i {
            0 => a,
            1 => b,
            _ if r.below(4) == 0 => r.f80(),
            _ => F80::ZERO,
        };
        fpu.set_st(i, value);
    }
    if amd && r.below(16) == 0 {
        fpu.tags = r.next() as u8;
    } else if !amd || r.below(8) != 0 {
        fpu.tags &= !(1 << fpu.physical(7));
    }
    let mut memory = [0; 16];
    memory[..8].copy_from_slice(&r.pattern().to_le_bytes());
    memory[8..].copy_from_slice(&r.next().to_le_bytes());
    match kind {
        Memory::Bits => {}
        Memory::F32 => memory[..4].copy_from_slice(&r.f32().to_le_bytes()),
        Memory::F64 => memory[..8].copy_from_slice(&r.f64().to_le_bytes()),
        Memory::F80 => memory[..10].copy_from_slice(&r.f80().to_bytes()),
        Memory::Decimal => {
            for byte in &mut memory[..9] {
                *byte = (r.below(10) << 4 | r.below(10)) as u8;
            }
        }
    }
    (fpu, memory)
}

#[test]
fn arithmetic_between_registers_equals_the_hosts() {
    use Arith::*;
    let cases = [
        case!("fadd st, st(1)", Bits, |f, m| f.arith(Add, 0, 1, false)),
        case!("fmul st, st(1)", Bits, |f, m| f.arith(Mul, 0, 1, false)),
        case!("fsub st, st(1)", Bits, |f, m| f.arith(Sub, 0, 1, false)),
        case!("fsubr st, st(1)", Bits, |f, m| f.arith(SubReversed, 0, 1, false)),
        case!("fdiv st, st(1)", Bits, |f, m| f.arith(Div, 0, 1, false)),
        case!("fdivr st, st(1)", Bits, |f, m| f.arith(DivReversed, 0, 1, false)),
        // DC E0 to FF by bytes, for assemblers disagree about their names.
        case!(".byte 0xdc, 0xc1", Bits, |f, m| f.arith(Add, 1, 0, false)),
        case!(".byte 0xdc, 0xe1", Bits, |f, m| f.arith(SubReversed, 1, 0, false)),
        case!(".byte 0xde, 0xc1", Bits, |f, m| f.arith(Add, 1, 0, true)),
        case!(".byte 0xde, 0xc9", Bits, |f, m| f.arith(Mul, 1, 0, true)),
        case!(".byte 0xde, 0xe1", Bits, |f, m| f.arith(SubReversed, 1, 0, true)),
        case!(".byte 0xde, 0xe9", Bits, |f, m| f.arith(Sub, 1, 0, true)),
        case!(".byte 0xde, 0xf1", Bits, |f, m| f.arith(DivReversed, 1, 0, true)),
        case!(".byte 0xde, 0xf9", Bits, |f, m| f.arith(Div, 1, 0, true)),
        case!("fsqrt", Bits, |f, m| f.fsqrt()),
    ];
    check(&cases, 100_000, 1);
}

#[test]
fn arithmetic_with_memory_equals_the_hosts() {
    use Arith::*;
    let cases = [
        case!("fadd dword ptr [rdx]", F32, |f, m| f.arith_m32(Add, u32_at(m))),
        case!("fmul dword ptr [rdx]", F32, |f, m| f.arith_m32(Mul, u32_at(m))),
        case!("fsub dword ptr [rdx]", F32, |f, m| f.arith_m32(Sub, u32_at(m))),
        case!("fsubr dword ptr [rdx]", F32, |f, m| f.arith_m32(SubReversed, u32_at(m))),
        case!("fdiv dword ptr [rdx]", F32, |f, m| f.arith_m32(Div, u32_at(m))),
        case!("fdivr dword ptr [rdx]", F32, |f, m| f.arith_m32(DivReversed, u32_at(m))),
        case!("fadd qword ptr [rdx]", F64, |f, m| f.arith_m64(Add, u64_at(m))),
        case!("fmul qword ptr [rdx]", F64, |f, m| f.arith_m64(Mul, u64_at(m))),
        case!("fsubr qword ptr [rdx]", F64, |f, m| f.arith_m64(SubReversed, u64_at(m))),
        case!("fdivr qword ptr [rdx]", F64, |f, m| f.arith_m64(DivReversed, u64_at(m))),
        case!("fiadd word ptr [rdx]", Bits, |f, m| f.arith_integer(Add, i32::from(u16_at(m) as i16))),
        case!("fidiv word ptr [rdx]", Bits, |f, m| f.arith_integer(Div, i32::from(u16_at(m) as i16))),
        case!("fimul dword ptr [rdx]", Bits, |f, m| f.arith_integer(Mul, u32_at(m) as i32)),
        case!("fisub dword ptr [rdx]", Bits, |f, m| f.arith_integer(Sub, u32_at(m) as i32)),
        case!("fidivr dword ptr [rdx]", Bits, |f, m| f.arith_integer(DivReversed, u32_at(m) as i32)),
    ];
    check(&cases, 60_000, 2);
}

#[test]
fn comparisons_equal_the_hosts() {
    let cases = [
        case!("fcom st(1)", Bits, |f, m| f.fcom(1, false, 0)),
        case!("fcomp st(1)", Bits, |f, m| f.fcom(1, false, 1)),
        case!("fcompp", Bits, |f, m| f.fcom(1, false, 2)),
        case!("fucom st(1)", Bits, |f, m| f.fcom(1, true, 0)),
        case!("fucompp", Bits, |f, m| f.fcom(1, true, 2)),
        case!("fcom dword ptr [rdx]", F32, |f, m| f.fcom_m32(u32_at(m), false)),
        case!("fcomp dword ptr [rdx]", F32, |f, m| f.fcom_m32(u32_at(m), true)),
        case!("fcom qword ptr [rdx]", F64, |f, m| f.fcom_m64(u64_at(m), false)),
        case!("ficom word ptr [rdx]", Bits, |f, m| f.ficom(i32::from(u16_at(m) as i16), false)),
        case!("ficomp dword ptr [rdx]", Bits, |f, m| f.ficom(u32_at(m) as i32, true)),
        case!("ftst", Bits, |f, m| f.ftst()),
        case!("fxam", Bits, |f, m| f.fxam()),
        case!(flags "fcomi st, st(1)", |f| f.fcomi(1, false, false)),
        case!(flags "fcompi st, st(1)", |f| f.fcomi(1, false, true)),
        case!(flags "fucomi st, st(1)", |f| f.fcomi(1, true, false)),
        case!(flags "fucompi st, st(1)", |f| f.fcomi(1, true, true)),
        case!("fcmove st, st(1)", Bits, |f, m| f.fcmov(1, true)),
        case!("fcmovne st, st(1)", Bits, |f, m| f.fcmov(1, false)),
    ];
    check(&cases, 50_000, 3);
}

#[test]
fn loads_equal_the_hosts() {
    let cases = [
        case!("fld dword ptr [rdx]", F32, |f, m| f.fld_m32(u32_at(m))),
        case!("fld qword ptr [rdx]", F64, |f, m| f.fld_m64(u64_at(m))),
        case!("fld tbyte ptr [rdx]", F80, |f, m| f.fld_m80(F80::from_bytes(ten_at(m)))),
        case!("fld st(0)", Bits, |f, m| f.fld_st(0)),
        case!("fld st(1)", Bits, |f, m| f.fld_st(1)),
        case!("fld st(7)", Bits, |f, m| f.fld_st(7)),
        case!("fild word ptr [rdx]", Bits, |f, m| f.fild(i64::from(u16_at(m) as i16))),
        case!("fild dword ptr [rdx]", Bits, |f, m| f.fild(i64::from(u32_at(m) as i32))),
        case!("fild qword ptr [rdx]", Bits, |f, m| f.fild(u64_at(m) as i64)),
        case!("fbld tbyte ptr [rdx]", Decimal, |f, m| f.fbld(ten_at(m))),
        case!("fld1", Bits, |f, m| f.fld_constant(Constant::One)),
        case!("fldl2t", Bits, |f, m| f.fld_constant(Constant::Log2Of10)),
        case!("fldl2e", Bits, |f, m| f.fld_constant(Constant::Log2OfE)),
        case!("fldpi", Bits, |f, m| f.fld_constant(Constant::Pi)),
        case!("fldlg2", Bits, |f, m| f.fld_constant(Constant::Log10Of2)),
        case!("fldln2", Bits, |f, m| f.fld_constant(Constant::LnOf2)),
        case!("fldz", Bits, |f, m| f.fld_constant(Constant::Zero)),
    ];
    check(&cases, 30_000, 4);
    if super::host_is_amd() {
        // Digits beyond 9 are undefined.
        let cases = [case!("fbld tbyte ptr [rdx]", Bits, |f, m| f.fbld(ten_at(m)))];
        check(&cases, 30_000, 8);
    }
}

#[test]
fn stores_equal_the_hosts() {
    let cases = [
        case!("fst dword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fst_m32(), false, u32::to_le_bytes)),
        case!("fstp dword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fst_m32(), true, u32::to_le_bytes)),
        case!("fst qword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fst_m64(), false, u64::to_le_bytes)),
        case!("fstp qword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fst_m64(), true, u64::to_le_bytes)),
        case!("fstp tbyte ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fst_m80(), true, F80::to_bytes)),
        case!("fist word ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m16(false), false, i16::to_le_bytes)),
        case!("fistp word ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m16(false), true, i16::to_le_bytes)),
        case!("fist dword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m32(false), false, i32::to_le_bytes)),
        case!("fistp dword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m32(false), true, i32::to_le_bytes)),
        case!("fistp qword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m64(false), true, i64::to_le_bytes)),
        case!("fisttp word ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m16(true), true, i16::to_le_bytes)),
        case!("fisttp dword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m32(true), true, i32::to_le_bytes)),
        case!("fisttp qword ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fist_m64(true), true, i64::to_le_bytes)),
        case!("fbstp tbyte ptr [rdx]", Bits, |f, m| put(f, m, |f| f.fbstp(), true, |b| b)),
        case!("fst st(1)", Bits, |f, m| f.fst_st(1, false)),
        case!("fstp st(3)", Bits, |f, m| f.fst_st(3, true)),
        case!("fstp st(0)", Bits, |f, m| f.fst_st(0, true)),
        case!("fxch st(1)", Bits, |f, m| f.fxch(1)),
        case!("fxch st(7)", Bits, |f, m| f.fxch(7)),
    ];
    check(&cases, 50_000, 5);
}

#[test]
fn exact_functions_equal_the_hosts() {
    let cases = [
        case!("frndint", Bits, |f, m| f.frndint()),
        case!("fscale", Bits, |f, m| f.fscale()),
        case!("fxtract", Bits, |f, m| f.fxtract()),
        case!("fprem", Bits, |f, m| f.fprem(false)),
        case!("fprem1", Bits, |f, m| f.fprem(true)),
        case!("fabs", Bits, |f, m| f.fabs()),
        case!("fchs", Bits, |f, m| f.fchs()),
    ];
    check(&cases, 100_000, 6);
}

#[test]
fn control_instructions_equal_the_hosts() {
    let cases = [
        case!("fincstp", Bits, |f, m| f.fincstp()),
        case!("fdecstp", Bits, |f, m| f.fdecstp()),
        case!("ffree st(2)", Bits, |f, m| f.ffree(2, false)),
        case!(".byte 0xdf, 0xc2", Bits, |f, m| f.ffree(2, true)),
        case!("fninit", Bits, |f, m| f.fninit()),
        case!("fnclex", Bits, |f, m| f.fnclex()),
        case!("fldcw word ptr [rdx]", Bits, |f, m| f.fldcw(u16_at(m))),
        case!("emms", Bits, |f, m| f.emms()),
        case!("fnstsw word ptr [rdx]", Bits, |f, m| m[..2].copy_from_slice(&f.status_word().to_le_bytes())),
        case!("movq mm3, qword ptr [rdx]", Bits, |f, m| {
            f.enter_mmx();
            f.set_mmx(3, u64_at(m));
        }),
        case!("movq qword ptr [rdx], mm5", Bits, |f, m| {
            f.enter_mmx();
            m[..8].copy_from_slice(&f.mmx(5).to_le_bytes());
        }),
    ];
    check(&cases, 20_000, 7);
}
