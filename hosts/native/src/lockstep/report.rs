//! A failing program made small, and shown.

use super::program::Program;
use super::{Difference, Disturbances, Lockstep};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use nomad86::cpu::{Cpu, Stop};
use std::fmt::Write;

/// Lines for what two processors differ in.
pub fn states(a: &Cpu, b: &Cpu, what: &mut Vec<String>) {
    const NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    let before = what.len();
    let mut line = |name: &str, x: u64, y: u64| {
        if x != y {
            what.push(format!("{name}: interpreter {x:08x}, recompiler {y:08x}"));
        }
    };
    for (n, name) in NAMES.iter().enumerate() {
        line(name, a.regs[n].into(), b.regs[n].into());
    }
    line("eip", a.eip.into(), b.eip.into());
    line("eflags", a.flags.image().into(), b.flags.image().into());
    line("count", a.count, b.count);
    line("cr2", a.cr2.into(), b.cr2.into());
    line("dr6", a.dr[6].into(), b.dr[6].into());
    line("cpl", a.cpl.into(), b.cpl.into());
    line("halted", a.halted.into(), b.halted.into());
    line("shadow", a.shadow.into(), b.shadow.into());
    line("mxcsr", a.mxcsr.into(), b.mxcsr.into());
    line("x87 top", a.fpu.top.into(), b.fpu.top.into());
    line("x87 tags", a.fpu.tags.into(), b.fpu.tags.into());
    line("x87 status", a.fpu.status.into(), b.fpu.status.into());
    line("x87 control", a.fpu.control.into(), b.fpu.control.into());
    line("x87 fip", a.fpu.fip.into(), b.fpu.fip.into());
    line("x87 fdp", a.fpu.fdp.into(), b.fpu.fdp.into());
    line("x87 fop", a.fpu.fop.into(), b.fpu.fop.into());
    for n in 0..8 {
        let (x, y) = (a.fpu.registers[n], b.fpu.registers[n]);
        line(&format!("x87 register {n}"), x.mantissa, y.mantissa);
        line(&format!("x87 register {n} exponent"), x.sign_exponent.into(), y.sign_exponent.into());
        line(&format!("xmm{n} low"), a.xmm[n] as u64, b.xmm[n] as u64);
        line(&format!("xmm{n} high"), (a.xmm[n] >> 64) as u64, (b.xmm[n] >> 64) as u64);
    }
    for n in 0..6 {
        line(&format!("segment {n}"), a.seg[n].selector.into(), b.seg[n].selector.into());
        line(&format!("segment {n} base"), a.seg[n].base.into(), b.seg[n].base.into());
    }
    if what.len() == before {
        what.push("processor state (another field)".to_owned());
    }
}

/// A line for one exit.
#[must_use]
pub fn exit(number: u64, limit: u64, stop: Stop, cpu: &Cpu, loose: bool) -> String {
    let code = |n: usize| cpu.regs[n];
    format!(
        "exit {number} at {:04x}:{:08x} count {} of {limit} {stop:?} eflags {:06x}{} eax {:08x} ecx {:08x} edx \
         {:08x} ebx {:08x} esp {:08x} ebp {:08x} esi {:08x} edi {:08x}",
        cpu.seg[1].selector,
        cpu.eip,
        cpu.count,
        cpu.flags.image(),
        if loose { "?" } else { "" },
        code(0),
        code(1),
        code(2),
        code(3),
        code(4),
        code(5),
        code(6),
        code(7)
    )
}

/// Makes a failing program smaller as long as it fails: fewer disturbances, instructions replaced by NOPs.
/// Gives the smallest with its difference.
pub fn shrink(pair: &mut Lockstep, program: &Program) -> (Program, Disturbances, Option<Difference>) {
    let mut best = program.clone();
    let mut disturbances = Disturbances::ALL;
    let mut difference = pair.run(&best, disturbances).err();
    let switches: [fn(&mut Disturbances); 5] = [
        |d| d.misses = false,
        |d| d.evictions = false,
        |d| d.pages = false,
        |d| d.dma = false,
        |d| d.interrupts = false,
    ];
    for off in switches {
        let mut fewer = disturbances;
        off(&mut fewer);
        if let Err(d) = pair.run(&best, fewer) {
            (disturbances, difference) = (fewer, Some(d));
        }
    }
    for _ in 0..2 {
        for n in 0..best.code.len() {
            if best.code[n].bytes.iter().all(|&byte| byte == 0x90) {
                continue;
            }
            let mut smaller = best.clone();
            smaller.code[n].bytes.fill(0x90);
            if let Err(d) = pair.run(&smaller, disturbances) {
                (best, difference) = (smaller, Some(d));
            }
        }
    }
    (best, disturbances, difference)
}

/// A failing program with what is needed to understand it and to run it again.
#[must_use]
pub fn explain(program: &Program, disturbances: Disturbances, difference: &Difference) -> String {
    let mut text = format!("{}\n", program.summary());
    let _ = writeln!(text, "  disturbances {disturbances:?}");
    let _ = writeln!(
        text,
        "  at exit {}, of a run from {:08x}, instructions {} to {}:",
        difference.exit, difference.from, difference.counts.0, difference.counts.1
    );
    for line in &difference.what {
        let _ = writeln!(text, "    {line}");
    }
    let _ = writeln!(
        text,
        "  eax ecx edx ebx esp ebp esi edi {:08x?}, eflags {:x}, iopl {}, cr0 {:x}, code base {:x}, data base {:x}, entry {:x}",
        program.registers,
        program.eflags,
        program.iopl,
        program.cr0,
        program.code_base(),
        program.data_base(),
        program.entry
    );
    let bits = if program.code32() { 32 } else { 16 };
    let base = program.code_base();
    for placed in &program.code {
        if placed.bytes.iter().all(|&byte| byte == 0x90) {
            continue;
        }
        let offset = placed.at.wrapping_sub(base);
        let decoder = Decoder::with_ip(bits, &placed.bytes, u64::from(offset), DecoderOptions::NONE);
        let mut line = String::new();
        for decoded in decoder {
            if !line.is_empty() {
                line.push_str("; ");
            }
            IntelFormatter::new().format(&decoded, &mut line);
        }
        let mark = if program.starts.contains(&offset) { ">" } else { " " };
        let _ = writeln!(text, "  {mark}{offset:06x}  {line:40} {:02x?}", placed.bytes);
    }
    let _ = writeln!(text, "  again: NOMAD86_LOCKSTEP_SEED={} NOMAD86_LOCKSTEP_PROGRAMS=1", program.seed);
    text
}
