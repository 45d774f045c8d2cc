//! Straight runs of random instructions against the host's CPU: what one leaves for the next, and faults in
//! the middle.
//!
//! `NOMAD86_BLOCK_CASES` sets their number, `NOMAD86_SEED` where they start, `NOMAD86_NATIVE_SHOW` how many
//! differences are shown.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod native;

use native::{explain, host_is_zen};
use nomad86::isa::Row;
use nomad86::isa::decode::{Features, decode};
use nomad86::isa::table::ROWS;
use nomad86_native::bench;
use nomad86_native::compare::{Difference, compare};
use nomad86_native::generate::Generated;
use nomad86_native::generate::block::{block, in_block};
use nomad86_native::oracle::{Case, DATA_SIZE, Oracle, Outcome, Segment, Stop};
use nomad86_native::random::Rng;
use nomad86_native::subject::Subject;
use nomad86_native::undefined::undefined_flags;
use std::collections::BTreeMap;

#[test]
fn blocks_do_what_they_do_on_the_host_cpu() {
    let mut pair = match Oracle::new() {
        Ok(oracle) => Pair { oracle, subject: Subject::new(), before: vec![0; DATA_SIZE] },
        Err(error) => return bench::skipped("blocks_do_what_they_do_on_the_host_cpu", &error),
    };
    let total = bench::count("NOMAD86_BLOCK_CASES", if bench::in_ci() { 300_000 } else { 60_000 });
    let show = bench::count("NOMAD86_NATIVE_SHOW", 3);
    let mut rng = Rng::new(bench::count("NOMAD86_SEED", 286));
    let zen = host_is_zen();
    // What later instructions make of flags that the manuals leave open can be told on AMD's Zen only.
    // (BSF's and BSR's differ between Zen 3 and Zen 4.)
    let settled =
        |row: &Row| undefined_flags(row, None, 32) == 0 || zen && !matches!(row.mnemonic, "bsf" | "bsr");
    let usable = |row: &&Row| in_block(row) && settled(row);
    let rows: Vec<&Row> = ROWS.iter().filter(usable).collect();
    let (mut instructions, mut ended, mut different) = (0, 0, 0);
    let mut culprits: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..total {
        let generated = block(&rows, &mut rng);
        instructions += lengths(&generated).len();
        let (expected, found, differences) = pair.run(&generated, generated.code.len());
        ended += u64::from(expected.stop == Stop::Halt);
        if differences.is_empty() {
            continue;
        }
        different += 1;
        let culprit = pair.culprit(&generated);
        let seen = culprits.entry(culprit.clone()).or_insert(0);
        *seen += 1;
        if *seen == 1 && culprits.len() as u64 <= show {
            // Once more, so that memory is as the block left it.
            pair.run(&generated, generated.code.len());
            println!(
                "first different after {culprit}:\n{}",
                explain(&generated, &expected, &found, &differences, &pair.oracle, &pair.subject)
            );
        }
        pair.agree();
    }
    println!(
        "{total} blocks of {instructions} instructions, {ended} to their end; {different} differ: {culprits:?}"
    );
    assert_eq!(different, 0);
}

/// Lengths of a block's instructions.
fn lengths(generated: &Generated) -> Vec<usize> {
    let code32 = generated.segments.cs != Segment::Code16;
    let mut lengths = Vec::new();
    let mut at = 0;
    while at < generated.code.len() {
        let Ok(inst) = decode(&generated.code[at..], code32, Features::ALL) else { break };
        lengths.push(usize::from(inst.len));
        at += usize::from(inst.len);
    }
    lengths
}

struct Pair {
    oracle: Oracle,
    subject: Subject,
    /// The data area before the case.
    before: Vec<u8>,
}

impl Pair {
    /// Runs the first `length` bytes of a block on both, from the data area as it was before the last block.
    fn run(&mut self, generated: &Generated, length: usize) -> (Outcome, Outcome, Vec<Difference>) {
        self.subject.data_mut().copy_from_slice(&self.before);
        self.oracle.data_mut().copy_from_slice(&self.before);
        for (at, bytes) in &generated.patches {
            self.oracle.data_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
            self.subject.data_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let case = Case {
            code: &generated.code[..length],
            offset: generated.offset,
            gpr: generated.gpr,
            eflags: generated.eflags | u32::from(self.oracle.id()) << 21,
            segments: generated.segments,
            fx: generated.fx.as_deref(),
        };
        let expected = match self.oracle.run(&case) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{error}: {generated:02x?}"),
        };
        let found = self.subject.run(&case).expect("the host could run it");
        let mut differences = compare(&expected, &found, 0);
        if self.oracle.data() != self.subject.data() {
            let first = (0..DATA_SIZE).find(|&at| self.oracle.data()[at] != self.subject.data()[at]);
            differences.push(Difference::Memory(first.unwrap_or(0)));
        }
        (expected, found, differences)
    }

    /// The first instruction after which the two differ.
    fn culprit(&mut self, generated: &Generated) -> String {
        let code32 = generated.segments.cs != Segment::Code16;
        let mut at = 0;
        for length in lengths(generated) {
            let inst = decode(&generated.code[at..], code32, Features::ALL);
            at += length;
            if !self.run(generated, at).2.is_empty() {
                return inst.map_or_else(|_| "?".to_owned(), |inst| inst.row().mnemonic.to_owned());
            }
        }
        "the whole".to_owned()
    }

    /// Starts the next block from the same memory on both.
    fn agree(&mut self) {
        self.subject.data_mut().copy_from_slice(&self.before);
        self.oracle.data_mut().copy_from_slice(&self.before);
    }
}
