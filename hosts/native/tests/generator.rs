//! The case generator: what it makes are the instructions that were asked for, and most of them do something
//! on the host's CPU.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use nomad86::isa::table::ROWS;
use nomad86_native::bench;
use nomad86_native::generate::{comparable, generate};
use nomad86_native::oracle::{Case, Oracle, Segment, Stop};
use nomad86_native::random::Rng;

#[test]
fn encodings_are_whole_instructions() {
    let mut rng = Rng::new(1);
    for row in &ROWS {
        for _ in 0..50 {
            let case = generate(row, &mut rng);
            let bits = if case.segments.cs == Segment::Code16 { 16 } else { 32 };
            let mut decoder = Decoder::new(bits, &case.code, DecoderOptions::NONE);
            let decoded = decoder.decode();
            if decoded.is_invalid() {
                // LOCK where it is not allowed, and what iced does not know.
                continue;
            }
            let mut text = String::new();
            IntelFormatter::new().format(&decoded, &mut text);
            assert_eq!(decoded.len(), case.code.len(), "{} as {text}: {:02x?}", row.mnemonic, case.code);
        }
    }
}

#[test]
fn most_cases_run_to_their_end_on_the_host() {
    let mut oracle = match Oracle::new() {
        Ok(oracle) => oracle,
        Err(error) => return bench::skipped("most_cases_run_to_their_end_on_the_host", &error),
    };
    let mut rng = Rng::new(2);
    let each = 60;
    let (mut all, mut whole) = (0, 0);
    for row in ROWS.iter().filter(|row| comparable(row)) {
        let mut ended = 0;
        let mut stops = std::collections::BTreeMap::new();
        for _ in 0..each {
            let case = generate(row, &mut rng);
            for (at, bytes) in &case.patches {
                oracle.data_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            let run = Case {
                code: &case.code,
                offset: case.offset,
                gpr: case.gpr,
                eflags: case.eflags,
                segments: case.segments,
                fx: case.fx.as_deref(),
            };
            let stop = match oracle.run(&run) {
                Ok(outcome) => outcome.stop,
                Err(error) => panic!("{}: {error}: {case:02x?}", row.mnemonic),
            };
            let name = match stop {
                Stop::Halt => {
                    ended += 1;
                    continue;
                }
                Stop::Fault { vector, .. } => format!("fault {vector}"),
                other => format!("{other:?}"),
            };
            *stops.entry(name).or_insert(0) += 1;
        }
        all += each;
        whole += ended;
        if ended * 2 < each {
            println!("{:06X} /{:?} {}: {ended} of {each}, {stops:?}", row.opcode, row.digit, row.mnemonic);
        }
    }
    assert!(whole * 10 > all * 8, "{whole} of {all} cases run to their end");
}
