//! Every row of the instruction table against the host's CPU: random operands, registers, flags, x87 and SSE
//! state, memory, faults.
//!
//! `NOMAD86_NATIVE_CASES` sets the number of cases in all, `NOMAD86_SEED` where they start,
//! `NOMAD86_NATIVE_ONLY` restricts them to mnemonics with one of the given beginnings (comma-separated),
//! `NOMAD86_NATIVE_SHOW` says how many differences are shown of each mnemonic.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use nomad86::isa::table::ROWS;
use nomad86::isa::{Operand, Row};
use nomad86_native::bench;
use nomad86_native::compare::{Difference, compare, undefined_flags};
use nomad86_native::generate::{Generated, comparable, generate};
use nomad86_native::oracle::{Case, DATA_SIZE, Oracle, Outcome, Segment, Stop};
use nomad86_native::random::Rng;
use nomad86_native::subject::Subject;
use std::collections::BTreeMap;
use std::fmt::Write;

#[test]
fn every_row_does_what_the_host_cpu_does() {
    let mut oracle = match Oracle::new() {
        Ok(oracle) => oracle,
        Err(error) => return bench::skipped("every_row_does_what_the_host_cpu_does", &error),
    };
    let total = bench::count("NOMAD86_NATIVE_CASES", if bench::in_ci() { 1_200_000 } else { 200_000 });
    let mut rng = Rng::new(bench::count("NOMAD86_SEED", 86));
    let show = bench::count("NOMAD86_NATIVE_SHOW", 2);
    let only = std::env::var("NOMAD86_NATIVE_ONLY").unwrap_or_default();
    let wanted = |row: &&Row| comparable(row) && only.split(',').any(|start| row.mnemonic.starts_with(start));
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    let mut subject = Subject::new();
    subject.data_mut().copy_from_slice(oracle.data());
    let mut report = Report::new(show);
    let each = total.div_ceil(rows.len() as u64);
    for row in rows {
        for n in 0..each {
            let generated = generate(row, &mut rng);
            subject.uncached = n % 4 == 0;
            one(row, &generated, &mut oracle, &mut subject, &mut report);
        }
        report.cases += each;
    }
    println!("{}", report.summary());
    assert!(report.cases >= total.min(1_000_000) || !only.is_empty());
    assert!(report.groups.is_empty(), "{} of {} cases differ", report.different, report.cases);
}

/// Runs one case on both and compares.
fn one(row: &Row, generated: &Generated, oracle: &mut Oracle, subject: &mut Subject, report: &mut Report) {
    for (at, bytes) in &generated.patches {
        oracle.data_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
        subject.data_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    let case = Case {
        code: &generated.code,
        offset: generated.offset,
        gpr: generated.gpr,
        eflags: generated.eflags | u32::from(oracle.id()) << 21,
        segments: generated.segments,
        fx: generated.fx.as_deref(),
    };
    let expected = match oracle.run(&case) {
        Ok(outcome) => outcome,
        Err(error) => panic!("{}: {error}: {generated:02x?}", row.mnemonic),
    };
    let found = subject.run(&case).expect("the host could run it");
    if expected.stop == Stop::Halt {
        report.completed += 1;
    }
    let mut differences = compare(&expected, &found, undefined(row, generated));
    if oracle.data() != subject.data() {
        let first = (0..DATA_SIZE).find(|&at| oracle.data()[at] != subject.data()[at]).unwrap_or(0);
        differences.push(Difference::Memory(first));
    }
    forgive(row, &mut differences);
    if !differences.is_empty() {
        report.add(row, generated, &expected, &found, &differences, oracle, subject);
    }
    if oracle.data() != subject.data() {
        subject.data_mut().copy_from_slice(oracle.data());
    }
}

/// Flags that this case leaves undefined.
fn undefined(row: &Row, generated: &Generated) -> u32 {
    let count = row.operands.iter().find_map(|operand| match operand {
        Operand::CL => Some(generated.gpr[1] as u8),
        Operand::Ib => generated.code.last().copied(),
        Operand::One => Some(1),
        _ => None,
    });
    let p66 = generated.code.iter().take_while(|b| is_prefix(**b)).any(|&b| b == 0x66);
    let width = match row.operands[0] {
        Operand::Eb => 8,
        _ if p66 == (generated.segments.cs == Segment::Code16) => 32,
        _ => 16,
    };
    undefined_flags(row, count, width)
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2E | 0x36 | 0x3E | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3)
}

/// Takes away what may differ by design; each with the reason.
fn forgive(_row: &Row, differences: &mut Vec<Difference>) {
    differences.retain(|difference| *difference != Difference::UndefinedFlags);
}

struct Group {
    count: u64,
    kinds: BTreeMap<String, u64>,
    examples: Vec<String>,
}

struct Report {
    show: u64,
    cases: u64,
    completed: u64,
    different: u64,
    groups: BTreeMap<String, Group>,
}

impl Report {
    fn new(show: u64) -> Self {
        Self { show, cases: 0, completed: 0, different: 0, groups: BTreeMap::new() }
    }

    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        row: &Row,
        generated: &Generated,
        expected: &Outcome,
        found: &Outcome,
        differences: &[Difference],
        oracle: &Oracle,
        subject: &Subject,
    ) {
        self.different += 1;
        let show = self.show;
        let group = self
            .groups
            .entry(format!("{:06X} {}", row.opcode, row.mnemonic))
            .or_insert_with(|| Group { count: 0, kinds: BTreeMap::new(), examples: Vec::new() });
        group.count += 1;
        let kinds: Vec<String> = differences.iter().map(|d| format!("{d:?}")).collect();
        let kinds = kinds.iter().map(|k| if k.starts_with("Memory") { "Memory" } else { k.as_str() });
        let kind = kinds.collect::<Vec<_>>().join(" ");
        let seen = group.kinds.entry(kind).or_insert(0);
        *seen += 1;
        if *seen == 1 && (group.examples.len() as u64) < show {
            group.examples.push(explain(generated, expected, found, differences, oracle, subject));
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{} cases on the host's CPU and ours, {} of them to their end; {} differ in {} rows\n",
            self.cases,
            self.completed,
            self.different,
            self.groups.len()
        );
        for (name, group) in &self.groups {
            let _ = writeln!(text, "{name}: {} differ: {:?}", group.count, group.kinds);
            for example in &group.examples {
                let _ = writeln!(text, "{example}");
            }
        }
        text
    }
}

/// One difference, in words.
fn explain(
    generated: &Generated,
    expected: &Outcome,
    found: &Outcome,
    differences: &[Difference],
    oracle: &Oracle,
    subject: &Subject,
) -> String {
    let bits = if generated.segments.cs == Segment::Code16 { 16 } else { 32 };
    let mut disassembly = String::new();
    let decoded = Decoder::new(bits, &generated.code, DecoderOptions::NONE).decode();
    IntelFormatter::new().format(&decoded, &mut disassembly);
    let mut text = format!("    {bits}-bit {disassembly}   {:02x?}\n", generated.code);
    let _ = writeln!(text, "      {:?}", generated.segments);
    let _ = writeln!(
        text,
        "      eax ecx edx ebx esp ebp esi edi {:08x?} eflags {:06x}, at {:x}, aim {:x?}",
        generated.gpr, generated.eflags, generated.offset, generated.aim
    );
    if let Some(fx) = &generated.fx {
        let _ = writeln!(text, "      before: {}", fx_text(fx));
    }
    for difference in differences {
        let line = match *difference {
            Difference::Stop => format!("stop: host {:x?}, ours {:x?}", expected.stop, found.stop),
            Difference::Eip => format!("eip: host {:x}, ours {:x}", expected.eip, found.eip),
            Difference::Register(n) => {
                let n = usize::from(n);
                format!("register {n}: host {:08x}, ours {:08x}", expected.gpr[n], found.gpr[n])
            }
            Difference::Flags | Difference::UndefinedFlags => {
                format!("flags: host {:06x}, ours {:06x}", expected.eflags, found.eflags)
            }
            Difference::Selector(n) => {
                let n = usize::from(n);
                format!("selector {n}: host {:x}, ours {:x}", expected.selectors[n], found.selectors[n])
            }
            Difference::Memory(at) => {
                let end = (at + 16).min(DATA_SIZE);
                format!(
                    "memory {at:x}: host {:02x?}, ours {:02x?}",
                    &oracle.data()[at..end],
                    &subject.data()[at..end]
                )
            }
            _ => String::new(),
        };
        if !line.is_empty() {
            let _ = writeln!(text, "      {line}");
        }
    }
    if let (Some(a), Some(b)) = (&expected.fx, &found.fx)
        && differences.iter().any(|d| {
            use Difference::*;
            matches!(d, Control | Exceptions | Conditions | Stack | St(_) | Mxcsr | Xmm(_))
        })
    {
        let _ = writeln!(text, "      host: {}\n      ours: {}", fx_text(a), fx_text(b));
    }
    text
}

fn fx_text(fx: &[u8; 512]) -> String {
    let word = |at: usize| u16::from_le_bytes([fx[at], fx[at + 1]]);
    let mut text = format!(
        "cw {:04x} sw {:04x} tags {:02x} mxcsr {:02x}{:02x}\n       ",
        word(0),
        word(2),
        fx[4],
        fx[25],
        fx[24]
    );
    for n in 0..8 {
        let at = 32 + 16 * n;
        let mantissa = fx[at..at + 8].iter().rev().fold(String::new(), |t, b| t + &format!("{b:02x}"));
        let _ = write!(text, " {:04x}:{mantissa}", word(at + 8));
    }
    text.push_str("\n       ");
    for n in 0..8 {
        let at = 160 + 16 * n;
        let value = fx[at..at + 16].iter().rev().fold(String::new(), |t, b| t + &format!("{b:02x}"));
        let _ = write!(text, " {value}");
    }
    text
}
