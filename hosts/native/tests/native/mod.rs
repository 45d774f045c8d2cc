//! What the tests against the host's CPU share.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
pub(crate) use nomad86_native::bench::host_is_zen;
use nomad86_native::compare::Difference;
use nomad86_native::generate::Generated;
use nomad86_native::oracle::{DATA_SIZE, Oracle, Outcome, Segment};
use nomad86_native::subject::Subject;
use std::fmt::Write;

/// One difference, in words.
pub(crate) fn explain(
    generated: &Generated,
    expected: &Outcome,
    found: &Outcome,
    differences: &[Difference],
    oracle: &Oracle,
    subject: &Subject,
) -> String {
    let bits = if generated.segments.cs == Segment::Code16 { 16 } else { 32 };
    let mut disassembly = String::new();
    for decoded in &mut Decoder::new(bits, &generated.code, DecoderOptions::NONE) {
        if !disassembly.is_empty() {
            disassembly.push_str("; ");
        }
        IntelFormatter::new().format(&decoded, &mut disassembly);
    }
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
