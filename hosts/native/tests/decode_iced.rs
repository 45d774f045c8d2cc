//! The decoder against iced-x86: random bytes, and bytes that are nearly instructions; length, mnemonic and
//! operands must agree.
//!
//! `NOMAD86_DECODE_CASES` sets how many, `NOMAD86_SEED` where they start.

use iced_x86::{
    Code, Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, OpKind, Register,
};
use nomad86::isa::decode::{DecodeError, Features, decode};
use nomad86::isa::inst::NO_REG;
use nomad86::isa::{Inst, Operand};
use nomad86_native::bench;
use nomad86_native::random::Rng;
use std::collections::BTreeMap;

#[test]
fn random_bytes_decode_as_iced_decodes_them() {
    let total = bench::count("NOMAD86_DECODE_CASES", 2_000_000);
    let mut rng = Rng::new(bench::count("NOMAD86_SEED", 32));
    let mut problems: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut defined = 0;
    for n in 0..total {
        let bytes = random_bytes(&mut rng);
        let code32 = n % 2 == 0;
        let mut decoder = Decoder::new(if code32 { 32 } else { 16 }, &bytes, DecoderOptions::NONE);
        let theirs = decoder.decode();
        let ours = decode(&bytes, code32, Features::ALL);
        if !theirs.is_invalid() {
            defined += 1;
        }
        if let Some(problem) = disagreement(&ours, &theirs) {
            let mut text = String::new();
            IntelFormatter::new().format(&theirs, &mut text);
            let entry = problems.entry(problem).or_insert_with(|| {
                (
                    0,
                    format!(
                        "{bytes:02x?} {}-bit, iced: {text}, ours: {}",
                        if code32 { 32 } else { 16 },
                        name(&ours)
                    ),
                )
            });
            entry.0 += 1;
        }
    }
    println!("{total} byte strings, {defined} of them instructions");
    for (problem, (count, example)) in &problems {
        println!("{count} × {problem}: {example}");
    }
    assert!(defined * 3 > total, "most of the strings are instructions");
    assert!(problems.is_empty(), "{} kinds of disagreement", problems.len());
}

fn random_bytes(rng: &mut Rng) -> [u8; 15] {
    const PREFIXES: [u8; 11] = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3];
    let mut bytes = [0; 15];
    for byte in &mut bytes {
        *byte = rng.bits() as u8;
    }
    let mut at = 0;
    while at < 14 && rng.percent(25) {
        bytes[at] = rng.pick(&PREFIXES);
        at += 1;
    }
    if rng.percent(50) && at < 12 {
        bytes[at] = 0x0F;
        if rng.percent(40) {
            bytes[at + 1] = rng.pick(&[0x38, 0x3A]);
        }
    }
    bytes
}

fn name(ours: &Result<Inst, DecodeError>) -> String {
    match ours {
        Ok(inst) => format!("{} ({} bytes)", inst.row().mnemonic, inst.len),
        Err(error) => format!("{error:?}"),
    }
}

/// What the two disagree about, in a form that groups alike cases.
fn disagreement(ours: &Result<Inst, DecodeError>, theirs: &Instruction) -> Option<String> {
    let inst = match ours {
        Ok(inst) => inst,
        Err(error) => {
            // 15 bytes are given: more would be too long.
            return (!theirs.is_invalid()).then(|| format!("{error:?} for {:?}", theirs.mnemonic()));
        }
    };
    let undefined = inst.row == 0 && !matches!(theirs.mnemonic(), Mnemonic::Ud2);
    if theirs.is_invalid() {
        return (!undefined && !only_ours(inst)).then(|| format!("{} is none to iced", inst.row().mnemonic));
    }
    if undefined {
        return (!only_theirs(theirs)).then(|| format!("{:?} is none to us", theirs.mnemonic()));
    }
    if usize::from(inst.len) != theirs.len() {
        return Some(format!("length of {}", inst.row().mnemonic));
    }
    let mnemonic = format!("{:?}", theirs.mnemonic()).to_lowercase();
    if !same_mnemonic(inst, &mnemonic) {
        return Some(format!("{} is {mnemonic} to iced", inst.row().mnemonic));
    }
    operands(inst, theirs).map(|what| format!("{what} of {}", inst.row().mnemonic))
}

/// Instructions that iced knows and we do not have (later extensions, other makers, undocumented ones).
fn only_theirs(theirs: &Instruction) -> bool {
    use iced_x86::CpuidFeature as F;
    // AMD's processors, which ours follows, have no prefetch of a register.
    if matches!(theirs.code(), Code::Reservednop_rm16_r16_0F0D | Code::Reservednop_rm32_r32_0F0D) {
        return true;
    }
    const HAVE: [F; 40] = [
        F::INTEL8086,
        F::INTEL8086_ONLY,
        F::INTEL186,
        F::INTEL286,
        F::INTEL286_ONLY,
        F::INTEL386,
        F::INTEL386_ONLY,
        F::INTEL386_A0_ONLY,
        F::INTEL486,
        F::INTEL486_A_ONLY,
        F::UMOV,
        F::IA64,
        F::FPU,
        F::FPU287,
        F::FPU287XL_ONLY,
        F::FPU387,
        F::FPU387SL_ONLY,
        F::CMOV,
        F::CX8,
        F::MSR,
        F::TSC,
        F::SEP,
        F::MMX,
        F::SSE,
        F::SSE2,
        F::SSE3,
        F::SSSE3,
        F::SSE4_1,
        F::SSE4_2,
        F::POPCNT,
        F::MOVBE,
        F::AES,
        F::PCLMULQDQ,
        F::RDRAND,
        F::FXSR,
        F::CLFSH,
        F::MULTIBYTENOP,
        F::PAUSE,
        F::CPUID,
        F::MONITOR,
    ];
    let features = theirs.cpuid_features();
    // LOADALL, IBTS, UMOV and their like exist on one processor only.
    const GONE: [F; 9] = [
        F::INTEL8086_ONLY,
        F::INTEL286_ONLY,
        F::INTEL386_ONLY,
        F::INTEL386_A0_ONLY,
        F::INTEL486_A_ONLY,
        F::UMOV,
        F::IA64,
        F::FPU287XL_ONLY,
        F::FPU387SL_ONLY,
    ];
    features.iter().any(|f| !HAVE.contains(f) || GONE.contains(f))
}

/// Encodings that we have and iced refuses.
fn only_ours(inst: &Inst) -> bool {
    let row = inst.row();
    // Control and segment registers that do not exist are told when it executes.
    row.mnemonic == "mov" && row.operands.iter().any(|o| matches!(o, Operand::Cd | Operand::Dd | Operand::Sw))
}

fn same_mnemonic(inst: &Inst, iced: &str) -> bool {
    let row = inst.row();
    let ours = row.mnemonic;
    if ours == iced {
        return true;
    }
    let stripped = |suffixes: &[&str]| suffixes.iter().any(|s| iced.strip_suffix(s) == Some(ours));
    match ours {
        // One row for all operand sizes.
        "movs" | "cmps" | "stos" | "lods" | "scas" | "ins" | "outs" => stripped(&["b", "w", "d"]),
        "pusha" | "popa" | "pushf" | "popf" | "iret" => stripped(&["d"]),
        "cbw" => iced == "cwde",
        "cwd" => iced == "cdq",
        "jcxz" => iced == "jecxz",
        "xlat" => iced == "xlatb",
        "callf" => iced == "call",
        "jmpf" => iced == "jmp",
        "fwait" => iced == "wait",
        "shl" => iced == "sal",
        // Hints, of which iced knows later names.
        "nop" | "prefetch" | "prefetchw" => {
            iced.starts_with("prefetch")
                || matches!(iced, "reservednop" | "cldemote" | "rdsspd" | "endbr32" | "endbr64")
        }
        // Later extensions gave F3 a meaning; without them it has none.
        "bsf" => iced == "tzcnt",
        "bsr" => iced == "lzcnt",
        "wbinvd" => iced == "wbnoinvd",
        // 90 is XCHG EAX, EAX.
        "xchg" => iced == "nop",
        _ => false,
    }
}

/// Compares operands by what they reach; `None` when they agree.
fn operands(inst: &Inst, theirs: &Instruction) -> Option<&'static str> {
    let row = inst.row();
    for (n, &operand) in row.operands.iter().enumerate().take(3) {
        if operand.is_memory_only() || operand.is_rm() && inst.is_memory() {
            if let Some(problem) = memory(inst, theirs) {
                return Some(problem);
            }
            continue;
        }
        let Some(expected) = register(inst, operand, usize::from(*inst.reg.get(n)?)) else { continue };
        // BSWAP of 16 bits is undefined: ours swaps the whole register. Hints take any operand; 90 has none to
        // iced.
        if row.mnemonic == "bswap" && inst.oper16()
            || matches!(row.mnemonic, "nop" | "prefetchw" | "prefetch" | "xchg")
                && !inst.is_memory()
                && theirs.mnemonic() != Mnemonic::Xchg
        {
            continue;
        }
        let found = (0..theirs.op_count())
            .any(|k| theirs.op_kind(k) == OpKind::Register && theirs.op_register(k) == expected);
        if !found {
            return Some("a register");
        }
    }
    if row.operands.iter().any(|o| matches!(o, Operand::Jb | Operand::Jz)) {
        let mut target = u32::from(inst.len).wrapping_add(inst.imm);
        if inst.oper16() {
            target &= 0xFFFF;
        }
        if u64::from(target) != theirs.near_branch_target() {
            return Some("the target");
        }
    }
    let immediate =
        row.operands.iter().any(|o| matches!(o, Operand::Ib | Operand::Iw | Operand::Iz | Operand::Ibs));
    let last = (0..theirs.op_count())
        .rev()
        .find(|&k| !matches!(theirs.op_kind(k), OpKind::Register | OpKind::Memory));
    if immediate && let Some(last) = last {
        let wide = row.operands.iter().any(|o| matches!(o, Operand::Ibs));
        let mask = if !wide {
            0xFFFF_FFFF
        } else if inst.oper16() {
            0xFFFF
        } else {
            0xFFFF_FFFF
        };
        let two = row.mnemonic == "enter";
        let value = if two { inst.disp } else { inst.imm };
        if theirs.try_immediate(last).is_ok_and(|v| v as u32 & mask != value & mask) {
            return Some("the immediate");
        }
    }
    None
}

fn register(inst: &Inst, operand: Operand, number: usize) -> Option<Register> {
    const R8: [Register; 8] = [
        Register::AL,
        Register::CL,
        Register::DL,
        Register::BL,
        Register::AH,
        Register::CH,
        Register::DH,
        Register::BH,
    ];
    const SEGMENTS: [Register; 6] =
        [Register::ES, Register::CS, Register::SS, Register::DS, Register::FS, Register::GS];
    let number = number & 7;
    let word = |n: u32| Register::AX + n;
    let long = |n: u32| Register::EAX + n;
    let any = |n: u32| if inst.oper16() { word(n) } else { long(n) };
    let n = number as u32;
    use Operand::{
        Cd, Dd, Eb, Ev, Gb, Gd, Gv, Nq, Pq, Qd, Qq, Rd, Rv, Sti, Sw, Ux, Vx, Wd, Wq, Wu, Ww, Wx, Zb, Zd, Zv,
    };
    Some(match operand {
        Eb | Gb | Zb => R8[number],
        Ev | Gv | Zv | Rv => any(n),
        Sw => *SEGMENTS.get(number)?,
        Cd => Register::CR0 + n,
        Dd => Register::DR0 + n,
        Rd | Gd | Zd => long(n),
        Sti => Register::ST0 + n,
        Pq | Qq | Qd | Nq => Register::MM0 + n,
        Vx | Wx | Wu | Wq | Wd | Ww | Ux => Register::XMM0 + n,
        _ => return None,
    })
}

fn memory(inst: &Inst, theirs: &Instruction) -> Option<&'static str> {
    let register = |n: u8| {
        if n == NO_REG {
            Register::None
        } else if inst.addr16() {
            Register::AX + u32::from(n)
        } else {
            Register::EAX + u32::from(n)
        }
    };
    let (mut base, mut index) = (theirs.memory_base(), theirs.memory_index());
    let (our_base, our_index) = (register(inst.base), register(inst.index));
    if theirs.memory_index_scale() == 1 && our_base == index && our_index == base {
        (base, index) = (index, base);
    }
    if our_base != base || our_index != index {
        return Some("address registers");
    }
    if index != Register::None && 1 << inst.scale != theirs.memory_index_scale() {
        return Some("the scale");
    }
    let mask = if inst.addr16() { 0xFFFF } else { 0xFFFF_FFFF };
    if (inst.disp ^ theirs.memory_displacement32()) & mask != 0 {
        return Some("the displacement");
    }
    const SEGMENTS: [Register; 6] =
        [Register::ES, Register::CS, Register::SS, Register::DS, Register::FS, Register::GS];
    if SEGMENTS[usize::from(inst.segment)] != theirs.memory_segment() && theirs.code() != Code::INVALID {
        return Some("the segment");
    }
    None
}
