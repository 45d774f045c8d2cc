//! The first serial line: messages of the kernel, then the guest's first line.
//!
//! Spec: National Semiconductor PC16550D data sheet.

use crate::interrupts::{self, SERIAL};
use crate::port::{in8, out8};
use nomad86::host::Console;

pub(crate) const PORT: u16 = 0x3F8;
/// Looks at a transmitter that does not get ready.
const PATIENCE: u32 = 100_000;

/// Sets 115200 8N1; false when there is no such chip.
pub(crate) fn init() -> bool {
    out8(PORT + 7, 0x5A);
    if in8(PORT + 7) != 0x5A {
        return false;
    }
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 0x0B)] {
        out8(PORT + register, value);
    }
    true
}

/// Lets received bytes in.
pub(crate) fn listen() {
    out8(PORT + 1, 1);
    interrupts::unmask(4);
}

pub(crate) fn send(byte: u8) {
    for _ in 0..PATIENCE {
        if in8(PORT + 5) & 0x20 != 0 {
            out8(PORT, byte);
            return;
        }
    }
}

/// The guest's line on ours.
pub(crate) struct Line;

impl Console for Line {
    fn write(&mut self, byte: u8) {
        send(byte);
    }

    fn read(&mut self) -> Option<u8> {
        SERIAL.pop()
    }
}
