//! Golden listings: what the recompiler makes of pieces of guest code, by chapter. A change of emitted code shows
//! in the difference of these files; `NOMAD86_BLESS=1` writes them anew.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86_host::listing::{Mode, translated};
use nomad86_native::bench;
use std::fmt::Write;
use std::path::PathBuf;

/// A name and the bytes of a block, which a jump to itself ends when it does not end by itself.
type Piece = (&'static str, &'static [u8]);

const ARITHMETIC: &[Piece] = &[
    ("register and register", &[0x01, 0xD8]),
    ("register and memory", &[0x03, 0x46, 0x10]),
    ("memory and register", &[0x29, 0x0F]),
    ("memory and immediate, byte", &[0x80, 0x06, 0x05]),
    ("carry into memory", &[0x01, 0xD8, 0x11, 0x16]),
    ("high byte and memory", &[0x02, 0x26]),
    ("16 bits", &[0x66, 0x05, 0x34, 0x12]),
    ("compare and set", &[0x39, 0xC8, 0x0F, 0x9C, 0xC3]),
    ("increment keeps carry", &[0xF9, 0x40, 0x19, 0xDB]),
    ("lock", &[0xF0, 0x01, 0x06]),
    ("multiply", &[0xF7, 0xE1]),
    ("multiply by a constant", &[0x69, 0xC1, 0x10, 0x27, 0, 0]),
    ("divide", &[0x31, 0xD2, 0xF7, 0xF1, 0x31, 0xC0]),
    ("shift by a constant", &[0xC1, 0xE0, 0x04]),
    ("shift by CL", &[0xD3, 0xE0]),
    ("double shift", &[0x0F, 0xA4, 0xD0, 0x05]),
    ("bit test and set in memory", &[0x0F, 0xBA, 0x2E, 0x03]),
    ("bit scan", &[0x0F, 0xBC, 0xC1]),
];

const MOVES: &[Piece] = &[
    ("load", &[0x8B, 0x06]),
    ("load, flags live", &[0x39, 0xC8, 0x8B, 0x16, 0x0F, 0x94, 0xC1]),
    ("store", &[0x89, 0x47, 0x04]),
    ("store of a byte", &[0x88, 0x07]),
    ("indexed", &[0x8B, 0x44, 0x8E, 0x20]),
    ("from GS", &[0x65, 0xA1, 0x14, 0, 0, 0]),
    ("sign extension", &[0x0F, 0xBE, 0x06]),
    ("conditional move", &[0x39, 0xC8, 0x0F, 0x4C, 0xC2]),
    ("exchange with memory", &[0x87, 0x06]),
    ("address arithmetic", &[0x8D, 0x44, 0x88, 0x10]),
    ("byte swap", &[0x0F, 0xC8]),
];

const STACK: &[Piece] = &[
    ("push", &[0x50]),
    ("push of a constant", &[0x68, 0x78, 0x56, 0x34, 0x12]),
    ("pop", &[0x58]),
    ("pushes and pops", &[0x55, 0x89, 0xE5, 0x53, 0x5B, 0x5D]),
    ("leave", &[0xC9]),
    ("push of memory", &[0xFF, 0x36]),
];

const BRANCHES: &[Piece] = &[
    ("jump to itself", &[0xEB, 0xFE]),
    ("condition", &[0x39, 0xC8, 0x75, 0x10]),
    ("to another page", &[0xE9, 0xFB, 0x1F, 0, 0]),
    ("call", &[0xE8, 0x20, 0, 0, 0]),
    ("call through a register", &[0xFF, 0xD0]),
    ("jump through memory", &[0xFF, 0x26]),
    ("return", &[0xC3]),
    ("return that releases", &[0xC2, 8, 0]),
    ("loop", &[0x49, 0xE2, 0xFD]),
    ("jecxz", &[0xE3, 0x05]),
];

const CALLS: &[Piece] = &[
    ("copy", &[0xF3, 0xA5]),
    ("store string", &[0xAA]),
    ("decimal adjust", &[0x00, 0xC8, 0x27]),
    ("push all", &[0x60]),
    ("port", &[0xE4, 0x60]),
];

const VECTORS: &[Piece] = &[
    ("x87 load and add", &[0xD9, 0x06, 0xD8, 0xC1]),
    ("x87 store", &[0xDD, 0x1F]),
    ("x87 compare, then a jump's flags", &[0xDB, 0xF1, 0x0F, 0x97, 0xC0]),
    ("x87 control word", &[0xD9, 0x6C, 0x24, 0x02]),
    ("x87 sine", &[0xD9, 0xFE]),
    ("MMX", &[0x0F, 0x6F, 0x06, 0x0F, 0xFD, 0xC1]),
    ("SSE, aligned", &[0x0F, 0x28, 0x06, 0x0F, 0x58, 0xC1]),
    ("SSE, unaligned store", &[0x0F, 0x11, 0x47, 0x10]),
    ("SSE2, scalar from a stack pointer", &[0xF2, 0x0F, 0x2A, 0xC4]),
    ("SSE2, flags", &[0x66, 0x0F, 0x2E, 0x06, 0x7A, 0x00]),
    ("SSE4.1, AES", &[0x66, 0x0F, 0x3A, 0x14, 0xC1, 0x03, 0x66, 0x0F, 0x38, 0xDC, 0xC1]),
];

/// In real mode.
const NARROW: &[Piece] = &[
    ("register and memory", &[0x03, 0x47, 0x10]),
    ("frame", &[0x8B, 0x46, 0x04]),
    ("byte", &[0x8A, 0x04]),
    ("extra segment", &[0x26, 0x89, 0x05]),
    ("address of 16 bits", &[0x8D, 0x42, 0x05]),
    ("push and pop", &[0x50, 0x5B]),
    ("push and pop of a segment", &[0x0E, 0x1F]),
    ("pop of the stack pointer", &[0x5C]),
    ("leave", &[0xC9]),
    ("load of a segment", &[0x8E, 0xC0]),
    ("load of a far pointer", &[0xC4, 0x3C]),
    ("divide a byte", &[0xF6, 0xF1, 0x31, 0xC0]),
    ("divide", &[0x31, 0xD2, 0xF7, 0xF9, 0x31, 0xC0]),
    ("string", &[0xAC, 0xAA]),
    ("comparison of strings", &[0xA7, 0x74, 0x00]),
    ("loop", &[0xE2, 0xFE]),
    ("loop while equal", &[0x39, 0xC8, 0xE1, 0xFC]),
    ("jcxz", &[0xE3, 0x05]),
    ("jump around the end of the segment", &[0xE9, 0xF0, 0xFF]),
    ("call", &[0xE8, 0x20, 0]),
    ("call through memory", &[0xFF, 0x17]),
    ("return that releases", &[0xC2, 8, 0]),
    ("wide operand", &[0x66, 0x50, 0x66, 0x03, 0x04]),
    ("wide address", &[0x67, 0x8B, 0x44, 0x8E, 0x20]),
    ("far call", &[0x9A, 0, 0, 0, 0x30]),
];

fn chapter(name: &str, mode: Mode, pieces: &[Piece]) {
    let mut text = String::new();
    for (title, bytes) in pieces {
        let mut code = bytes.to_vec();
        // A jump to the start, should nothing before it have ended the block.
        code.extend([0xEB, (0_u8).wrapping_sub(bytes.len() as u8 + 2)]);
        match translated(&code, mode, false) {
            Ok(both) => {
                let _ = writeln!(text, "# {title}\n{}--\n{}", both.guest, both.host);
            }
            Err(error) => return bench::skipped(name, &error),
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/listings").join(format!("{name}.txt"));
    if std::env::var_os("NOMAD86_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if golden == text {
        return;
    }
    let section = |text: &str, title: &str| {
        text.split("# ").find(|part| part.lines().next() == Some(title)).unwrap_or_default().to_owned()
    };
    for (title, _) in pieces {
        let (old, new) = (section(&golden, title), section(&text, title));
        if old != new {
            println!("{title}: was\n{old}\nis\n{new}");
        }
    }
    panic!(
        "{} is not what is emitted now: look at it, and write it anew with NOMAD86_BLESS=1",
        path.display()
    );
}

#[test]
fn narrow() {
    chapter("narrow", Mode::Real, NARROW);
}

#[test]
fn arithmetic() {
    chapter("arithmetic", Mode::Flat, ARITHMETIC);
}

#[test]
fn moves() {
    chapter("moves", Mode::Flat, MOVES);
}

#[test]
fn stack() {
    chapter("stack", Mode::Flat, STACK);
}

#[test]
fn branches() {
    chapter("branches", Mode::Flat, BRANCHES);
}

#[test]
fn calls() {
    chapter("calls", Mode::Flat, CALLS);
}

#[test]
fn vectors() {
    chapter("vectors", Mode::Flat, VECTORS);
}
