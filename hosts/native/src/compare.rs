//! Differences between two outcomes, with what the manuals leave undefined left out.

use crate::oracle::{Outcome, Stop};

/// EFLAGS bits that user code sees: status, TF, DF, IOPL, NT, AC, ID.
const COMPARED: u32 = 0x24_7DD5;

/// What two processors disagree about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// How the case ended.
    Stop,
    /// EIP.
    Eip,
    /// A general register, by number.
    Register(u8),
    /// Flags that are defined.
    Flags,
    /// Flags that the manuals leave undefined.
    UndefinedFlags,
    /// A segment register's selector, by number.
    Selector(u8),
    /// x87 control word.
    Control,
    /// x87 exception flags, ES and B.
    Exceptions,
    /// C0–C3 of the x87.
    Conditions,
    /// TOP and tags.
    Stack,
    /// A register of the x87 stack, by ST number.
    St(u8),
    /// MXCSR.
    Mxcsr,
    /// An XMM register.
    Xmm(u8),
    /// Memory, the first offset in the data area.
    Memory(usize),
}

/// Compares what two processors made of one case. `undefined` are flags that may differ.
#[must_use]
pub fn compare(expected: &Outcome, found: &Outcome, undefined: u32) -> Vec<Difference> {
    let mut differences = Vec::new();
    if !same_stop(expected.stop, found.stop) {
        differences.push(Difference::Stop);
    }
    if expected.eip != found.eip {
        differences.push(Difference::Eip);
    }
    for (n, (a, b)) in (0..).zip(expected.gpr.iter().zip(&found.gpr)) {
        if a != b {
            differences.push(Difference::Register(n));
        }
    }
    let flags = (expected.eflags ^ found.eflags) & COMPARED;
    if flags & !undefined != 0 {
        differences.push(Difference::Flags);
    }
    if flags & undefined != 0 {
        differences.push(Difference::UndefinedFlags);
    }
    for (n, (a, b)) in (0..).zip(expected.selectors.iter().zip(&found.selectors)) {
        if a != b {
            differences.push(Difference::Selector(n));
        }
    }
    if let (Some(a), Some(b)) = (&expected.fx, &found.fx) {
        compare_fx(a, b, &mut differences);
    }
    differences
}

fn same_stop(a: Stop, b: Stop) -> bool {
    match (a, b) {
        // CR2 is of meaning for page faults only.
        (Stop::Fault { vector: v, error: e, .. }, Stop::Fault { vector: w, error: f, .. }) if v != 14 => {
            v == w && e == f
        }
        _ => a == b,
    }
}

fn compare_fx(a: &[u8; 512], b: &[u8; 512], differences: &mut Vec<Difference>) {
    let word = |image: &[u8; 512], at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    if word(a, 0) != word(b, 0) {
        differences.push(Difference::Control);
    }
    let status = word(a, 2) ^ word(b, 2);
    if status & 0x80FF != 0 {
        differences.push(Difference::Exceptions);
    }
    if status & 0x4700 != 0 {
        differences.push(Difference::Conditions);
    }
    if status & 0x3800 != 0 || a[4] != b[4] {
        differences.push(Difference::Stack);
    }
    for n in 0..8 {
        let at = 32 + 16 * n;
        if a[at..at + 10] != b[at..at + 10] {
            differences.push(Difference::St(n as u8));
        }
    }
    if a[24..28] != b[24..28] {
        differences.push(Difference::Mxcsr);
    }
    for n in 0..8 {
        let at = 160 + 16 * n;
        if a[at..at + 16] != b[at..at + 16] {
            differences.push(Difference::Xmm(n as u8));
        }
    }
}
