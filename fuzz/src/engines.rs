//! Instructions: the decoder and the disassembler on any bytes, the recompiler against the interpreter, and
//! both against the host's processor.

use crate::input::Input;
use nomad86::isa::decode::{DecodeError, Features, MAX_LEN, decode as decode_one};
use nomad86::isa::row::Row;
use nomad86::isa::table::ROWS;
use nomad86_native::blocks::Pair;
use nomad86_native::generate::block::{block, in_block};
use nomad86_native::lockstep::program::{Program, Rows};
use nomad86_native::lockstep::report::explain;
use nomad86_native::lockstep::{Disturbances, Lockstep};
use nomad86_native::oracle::Oracle;
use nomad86_native::random::Rng;
use nomad86_native::undefined::undefined_flags;
use std::cell::RefCell;

/// Where code of programs lies, physically.
const CODE: u32 = nomad86_native::lockstep::layout::CODE;

/// Any bytes: what is decoded has the length that it says, reads no further, and can be shown.
///
/// # Panics
/// When not.
pub fn decode(data: &[u8]) {
    let mut input = Input::new(data);
    let code32 = input.byte().unwrap_or(0) & 1 != 0;
    let bytes = input.rest();
    let bytes = &bytes[..bytes.len().min(MAX_LEN)];
    match decode_one(bytes, code32, Features::ALL) {
        // What is no instruction has no length of its own.
        Ok(inst) if inst.row == 0 => {}
        Ok(inst) => {
            let len = usize::from(inst.len);
            assert!((1..=MAX_LEN).contains(&len) && len <= bytes.len());
            let again = decode_one(&bytes[..len], code32, Features::ALL).expect("its own bytes are enough");
            assert_eq!(
                (again.row, again.len, again.imm, again.disp),
                (inst.row, inst.len, inst.imm, inst.disp)
            );
            let shorter = decode_one(&bytes[..len - 1], code32, Features::ALL);
            assert!(matches!(shorter, Err(DecodeError::Truncated)), "it needs its last byte");
            assert!(!inst.text(0x1000).to_string().is_empty());
        }
        Err(DecodeError::TooLong) => assert_eq!(bytes.len(), MAX_LEN),
        Err(DecodeError::Truncated) => assert!(bytes.len() < MAX_LEN),
    }
}

/// A program, any bytes or one of random instructions, on both engines.
///
/// # Panics
/// When they disagree.
pub fn run(data: &[u8]) {
    thread_local! {
        static PAIR: RefCell<(Lockstep, [Rows; 2])> = RefCell::new((
            Lockstep::new().expect("this host has a recompiler"),
            [Rows::new(false), Rows::new(true)],
        ));
    }
    let mut input = Input::new(data);
    let options = input.byte().unwrap_or(0);
    PAIR.with_borrow_mut(|(pair, rows)| {
        let program = if options & 1 == 0 {
            let code = input.slice(2048);
            let program = Program::written(&[(CODE, code)]);
            if options & 2 == 0 { program } else { program.with_paging() }
        } else {
            Program::random(u64::from_le_bytes(input.bytes()), rows)
        };
        let disturbances = Disturbances {
            misses: options & 4 != 0,
            evictions: options & 8 != 0,
            pages: options & 16 != 0,
            dma: options & 32 != 0,
            interrupts: options & 64 != 0,
        };
        if let Err(difference) = pair.run(&program, disturbances) {
            panic!("{}", explain(&program, disturbances, &difference));
        }
    });
}

/// A block of random instructions on the host's processor and on ours. Where the host refuses to be traced
/// nothing is compared.
///
/// # Panics
/// When they disagree.
pub fn native(data: &[u8]) {
    thread_local! {
        static PAIR: RefCell<Option<(Pair, Vec<&'static Row>)>> = RefCell::new(Oracle::new().ok().map(|oracle| {
            let settled = |row: &&Row| in_block(row) && undefined_flags(row, None, 32) == 0;
            (Pair::new(oracle), ROWS.iter().filter(settled).collect())
        }));
    }
    let mut input = Input::new(data);
    let mut rng = Rng::new(u64::from_le_bytes(input.bytes()));
    PAIR.with_borrow_mut(|pair| {
        let Some((pair, rows)) = pair else { return };
        let generated = block(rows, &mut rng);
        let (_, _, differences) = pair.run(&generated, generated.code.len());
        assert!(differences.is_empty(), "{differences:?}\n{generated:02x?}");
    });
}
