//! Blocks of random instructions on the host's processor and on ours.

use crate::compare::{Difference, compare};
use crate::generate::Generated;
use crate::oracle::{Case, DATA_SIZE, Oracle, Outcome, Segment};
use crate::subject::Subject;
use nomad86::isa::decode::{Features, decode};

/// Lengths of a block's instructions.
#[must_use]
pub fn lengths(generated: &Generated) -> Vec<usize> {
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

/// The host's processor and ours, side by side.
pub struct Pair {
    /// The host's.
    pub oracle: Oracle,
    /// Ours.
    pub subject: Subject,
    /// The data area before the case.
    before: Vec<u8>,
}

impl Pair {
    /// Both from a data area of zeros.
    #[must_use]
    pub fn new(oracle: Oracle) -> Self {
        Self { oracle, subject: Subject::new(), before: vec![0; DATA_SIZE] }
    }

    /// Runs the first `length` bytes of a block on both, from the data area as it was before the last block.
    ///
    /// # Panics
    /// When one of them cannot run it.
    pub fn run(&mut self, generated: &Generated, length: usize) -> (Outcome, Outcome, Vec<Difference>) {
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
    pub fn culprit(&mut self, generated: &Generated) -> String {
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
    pub fn agree(&mut self) {
        self.subject.data_mut().copy_from_slice(&self.before);
        self.oracle.data_mut().copy_from_slice(&self.before);
    }
}
