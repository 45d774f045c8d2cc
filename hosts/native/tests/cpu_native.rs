//! Every row of the instruction table against the host's CPU: random operands, registers, flags, x87 and SSE
//! state, memory, faults.
//!
//! `NOMAD86_NATIVE_CASES` sets the number of cases in all, `NOMAD86_SEED` where they start,
//! `NOMAD86_NATIVE_ONLY` restricts them to mnemonics with one of the given beginnings (comma-separated),
//! `NOMAD86_NATIVE_SHOW` says how many differences are shown of each mnemonic.
//!
//! Flags that the manuals leave undefined are compared as well when the host is the processor that ours
//! follows in them: AMD's Zen.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod native;

use native::{explain, host_is_zen};
use nomad86::isa::table::ROWS;
use nomad86::isa::{Operand, Row};
use nomad86::jit::Jit;
use nomad86_host::code::DualMapping;
use nomad86_native::bench;
use nomad86_native::compare::{Difference, compare};
use nomad86_native::generate::{Generated, comparable, generate};
use nomad86_native::oracle::{Case, DATA_SIZE, Oracle, Outcome, Segment, Stop};
use nomad86_native::random::Rng;
use nomad86_native::subject::Subject;
use nomad86_native::undefined::undefined_flags;
use std::collections::BTreeMap;
use std::fmt::Write;

#[test]
fn every_row_does_what_the_host_cpu_does() {
    against_the_host("every_row_does_what_the_host_cpu_does", Subject::new(), 1_200_000, 200_000);
}

#[test]
fn every_row_does_it_in_translated_code() {
    let test = "every_row_does_it_in_translated_code";
    let memory = match DualMapping::new(4 << 20) {
        Ok(memory) => memory,
        Err(error) => return bench::skipped(test, &error),
    };
    let mut subject = Subject::new();
    let mut jit = Jit::new(Box::new(memory), 1 << 12, false).expect("memory enough, on x86-64");
    jit.set_threshold(1);
    subject.jit = Some(jit);
    let subject = against_the_host(test, subject, 400_000, 80_000);
    let translated = subject.and_then(|s| s.jit).map_or(0, |jit| jit.stats.translated);
    println!("{translated} blocks translated");
    assert_ne!(translated, 0);
}

/// Runs cases of every row on the host's processor and `subject`; so many in CI, and so many elsewhere.
fn against_the_host(test: &str, mut subject: Subject, in_ci: u64, elsewhere: u64) -> Option<Subject> {
    let mut oracle = match Oracle::new() {
        Ok(oracle) => oracle,
        Err(error) => {
            bench::skipped(test, &error);
            return None;
        }
    };
    let total = bench::count("NOMAD86_NATIVE_CASES", if bench::in_ci() { in_ci } else { elsewhere });
    let mut rng = Rng::new(bench::count("NOMAD86_SEED", 86));
    let show = bench::count("NOMAD86_NATIVE_SHOW", 2);
    let only = std::env::var("NOMAD86_NATIVE_ONLY").unwrap_or_default();
    let wanted = |row: &&Row| comparable(row) && only.split(',').any(|start| row.mnemonic.starts_with(start));
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    subject.data_mut().copy_from_slice(oracle.data());
    let translating = subject.jit.is_some();
    let mut report = Report::new(show);
    // Translated code does not load flags for an instruction that may only leave them.
    report.strict &= !translating;
    let each = total.div_ceil(rows.len() as u64);
    for row in rows {
        for n in 0..each {
            let generated = generate(row, &mut rng);
            subject.uncached = n % 4 == 0 && !translating;
            one(row, &generated, &mut oracle, &mut subject, &mut report);
        }
        report.cases += each;
    }
    println!("{}", report.summary());
    assert!(report.cases >= total);
    assert!(report.groups.is_empty(), "{} of {} cases differ", report.different, report.cases);
    Some(subject)
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
    if row.mnemonic == "fxsave"
        && let Some(first) = (0..DATA_SIZE).find(|&at| oracle.data()[at] != subject.data()[at])
        && first & 12 == 12
    {
        // MXCSR_MASK: the host has AMD's bit for misaligned operands as well.
        let place = first & !3..(first & !3) + 4;
        let mask = oracle.data()[place.clone()].to_vec();
        subject.data_mut()[place].copy_from_slice(&mask);
    }
    let mut differences = compare(&expected, &found, undefined(row, generated));
    if oracle.data() != subject.data() {
        let first = (0..DATA_SIZE).find(|&at| oracle.data()[at] != subject.data()[at]).unwrap_or(0);
        differences.push(Difference::Memory(first));
    }
    if differences.contains(&Difference::UndefinedFlags) {
        *report.undefined.entry(row.mnemonic).or_insert(0) += 1;
    }
    forgive(row, generated, &expected, &found, report.strict, &mut differences);
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

/// Takes away what may differ, each with the reason.
fn forgive(
    row: &Row,
    generated: &Generated,
    host: &Outcome,
    ours: &Outcome,
    strict: bool,
    differences: &mut Vec<Difference>,
) {
    // Left open by the manuals; ours does what AMD's Zen does, which this host may not be.
    if !strict {
        differences.retain(|difference| *difference != Difference::UndefinedFlags);
    }
    let both_fault = match (host.stop, ours.stop) {
        (
            Stop::Fault { vector: a, error: x, address: p },
            Stop::Fault { vector: b, error: y, address: q },
        ) => Some(((a, x, p), (b, y, q))),
        _ => None,
    };
    let locked = generated.code.iter().take_while(|b| is_prefix(**b)).any(|&b| b == 0xF0);
    match row.mnemonic {
        // Approximated to within one unit in the last place, and C1 tells which way it was rounded.
        _ if row.is_transcendental() => {
            if let (Some(a), Some(b)) = (&host.fx, &ours.fx) {
                differences.retain(|difference| match *difference {
                    Difference::St(n @ 0..2) => {
                        !near(&a[32 + 16 * usize::from(n)..], &b[32 + 16 * usize::from(n)..])
                    }
                    Difference::Conditions => (a[3] ^ b[3]) & 0x45 != 0,
                    _ => true,
                });
            }
        }
        // Approximations with a relative error of at most 1.5 × 2^-12 each; ours are AMD's Zen's to the bit.
        "rcpps" | "rcpss" | "rsqrtps" | "rsqrtss" if !strict => {
            if let (Some(a), Some(b)) = (&host.fx, &ours.fx) {
                differences.retain(|difference| match *difference {
                    Difference::Xmm(n) => {
                        let at = 160 + 16 * usize::from(n);
                        !approximately(&a[at..at + 16], &b[at..at + 16])
                    }
                    _ => true,
                });
            }
        }
        // Which of several words on the stack is touched first, and whether a selector is looked at before the
        // rest is, differs between makers: any fault is as good as another.
        "retf" | "iret" if both_fault.is_some() => differences.retain(|d| *d != Difference::Stop),
        // Images are moved in pieces, some of them before a fault, in an order of each maker's own, and wrap
        // with 16-bit offsets.
        "fldenv" | "frstor" | "fnsave" | "fnstenv" | "fxsave" | "fxrstor"
            if generated.aim.is_some_and(|aim| aim + 512 > DATA_SIZE) =>
        {
            differences.clear();
        }
        // The same for registers.
        "popa" if both_fault.is_some() => differences.retain(|d| !matches!(d, Difference::Register(_))),
        // A misaligned image is #GP to the manuals and #AC, when that is on, to this host; CR2 may be of any
        // part of it.
        "fxsave" | "fxrstor" => {
            if let Some(((17, ..), (13, ..)) | ((14, ..), (14, ..))) = both_fault {
                differences.retain(|d| *d != Difference::Stop);
            }
        }
        // Whether the target is looked at before the return address is pushed.
        "call" if both_fault.is_some() => differences.retain(|d| *d != Difference::Stop),
        // Whether the word under the new frame is tried, so that it could be misaligned.
        "enter" if matches!(host.stop, Stop::Fault { vector: 17, .. }) => differences.clear(),
        // Zen 3 and ours leave all flags but ZF alone; Zen 4 computes them.
        "bsf" | "bsr" => differences.retain(|d| *d != Difference::UndefinedFlags),
        // The host's hypervisor shows it as a fault.
        "int1" => differences.retain(|d| *d != Difference::Eip),
        // This host's processor does not refuse LOCK there; the manuals say #UD.
        "verr" | "verw" if locked => differences.clear(),
        // LOCK MOV CR0 is how AMD reaches CR8.
        "mov" if locked && matches!(row.operands, [Operand::Cd, ..] | [_, Operand::Cd, ..]) => {
            differences.clear()
        }
        _ => {}
    }
}

/// Whether four binary32 lanes are the same to 11 bits, special values exactly.
fn approximately(a: &[u8], b: &[u8]) -> bool {
    a.chunks_exact(4).zip(b.chunks_exact(4)).all(|(a, b)| {
        let value = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let (x, y) = (value(a), value(b));
        a == b || x.is_normal() && y.is_normal() && ((x - y) / x).abs() < 1.0 / 2048.0
    })
}

/// Whether two 80-bit values are neighbours.
fn near(a: &[u8], b: &[u8]) -> bool {
    let key = |bytes: &[u8]| {
        let mut image = [0; 16];
        image[..10].copy_from_slice(&bytes[..10]);
        let value = u128::from_le_bytes(image);
        let magnitude = i128::try_from(value & ((1 << 79) - 1)).unwrap_or(0);
        // Without the explicit integer bit exponent and fraction are one number.
        let joined = (magnitude >> 64 << 63) | (magnitude & ((1 << 63) - 1));
        if value >> 79 & 1 != 0 { -joined } else { joined }
    };
    (key(a) - key(b)).abs() <= 1
}

struct Group {
    count: u64,
    kinds: BTreeMap<String, u64>,
    examples: Vec<String>,
}

struct Report {
    show: u64,
    /// Undefined flags count.
    strict: bool,
    cases: u64,
    completed: u64,
    different: u64,
    groups: BTreeMap<String, Group>,
    /// Cases in which flags that the manuals leave undefined differ.
    undefined: BTreeMap<&'static str, u64>,
}

impl Report {
    fn new(show: u64) -> Self {
        Self {
            show,
            strict: host_is_zen(),
            cases: 0,
            completed: 0,
            different: 0,
            groups: BTreeMap::new(),
            undefined: BTreeMap::new(),
        }
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
        let _ = writeln!(
            text,
            "flags that the manuals leave undefined differ (counted on AMD's Zen): {:?}",
            self.undefined
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
