//! The processor's state: as text when it has shut down, as JSON for `--dump-state`.

use crate::args::values::Range;
use nomad86::cpu::segment::Segment;
use nomad86::machine::Machine;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const GENERAL: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// A few lines for a person who looks for what went wrong.
pub(crate) fn text(machine: &Machine) -> String {
    let cpu = &machine.cpu;
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = writeln!(text, "eip {:08x}  eflags {:08x}  cpl {}", cpu.eip, cpu.flags.image(), cpu.cpl);
    for row in [0..4, 4..8] {
        let cells: Vec<_> = row.map(|n| format!("{} {:08x}", GENERAL[n], cpu.regs[n])).collect();
        let _ = writeln!(text, "{}", cells.join("  "));
    }
    let tables = [("gdt", cpu.gdtr), ("idt", cpu.idtr)];
    let named = SEGMENTS.iter().zip(&cpu.seg).chain([(&"ldt", &cpu.ldtr), (&"tr", &cpu.tr)]);
    for (name, segment) in named {
        let Segment { selector, base, limit, attributes, .. } = segment;
        let _ = writeln!(
            text,
            "{name:3} {selector:04x}  base {base:08x}  limit {limit:08x}  attributes {attributes:04x}"
        );
    }
    for (name, table) in tables {
        let _ = writeln!(text, "{name:3}       base {:08x}  limit {:08x}", table.base, table.limit);
    }
    let _ =
        write!(text, "cr0 {:08x}  cr2 {:08x}  cr3 {:08x}  cr4 {:08x}", cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4);
    text
}

/// All registers, and memory in hexadecimal.
pub(crate) fn json(machine: &Machine, memory: &[Range]) -> Value {
    let cpu = &machine.cpu;
    let mut root = Map::new();
    for (name, value) in GENERAL.iter().zip(cpu.regs) {
        root.insert((*name).into(), json!(value));
    }
    root.insert("eip".into(), json!(cpu.eip));
    root.insert("eflags".into(), json!(cpu.flags.image()));
    root.insert("cpl".into(), json!(cpu.cpl));
    let segment = |s: &Segment| json!({ "selector": s.selector, "base": s.base, "limit": s.limit, "attributes": s.attributes });
    for (name, value) in SEGMENTS.iter().zip(&cpu.seg) {
        root.insert((*name).into(), segment(value));
    }
    root.insert("ldtr".into(), segment(&cpu.ldtr));
    root.insert("tr".into(), segment(&cpu.tr));
    for (name, table) in [("gdtr", cpu.gdtr), ("idtr", cpu.idtr)] {
        root.insert(name.into(), json!({ "base": table.base, "limit": table.limit }));
    }
    for (name, value) in [("cr0", cpu.cr0), ("cr2", cpu.cr2), ("cr3", cpu.cr3), ("cr4", cpu.cr4)] {
        root.insert(name.into(), json!(value));
    }
    root.insert("dr".into(), json!(cpu.dr));
    let fpu = &cpu.fpu;
    let hex = |sign_exponent: u16, mantissa: u64| format!("{sign_exponent:04x}{mantissa:016x}");
    let stack: Vec<_> =
        (0..8).map(|n| fpu.st(n)).map(|value| hex(value.sign_exponent, value.mantissa)).collect();
    root.insert(
        "x87".into(),
        json!({
            "control": fpu.control,
            "status": fpu.status | u16::from(fpu.top) << 11,
            "tag": fpu.tag_word(),
            "st": stack,
        }),
    );
    root.insert("xmm".into(), json!(cpu.xmm.map(|value| format!("{value:032x}"))));
    root.insert("mxcsr".into(), json!(cpu.mxcsr));
    root.insert("halted".into(), json!(cpu.halted));
    root.insert("instructions".into(), json!(cpu.count));
    let ranges: Vec<_> = memory
        .iter()
        .map(|range| {
            let mut bytes = vec![0; range.len];
            machine.read_memory(range.start, &mut bytes);
            let hex = bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            json!({ "start": range.start, "bytes": hex })
        })
        .collect();
    root.insert("memory".into(), json!(ranges));
    Value::Object(root)
}
