//! The first serial line: messages of the kernel, then the guest's first line. Once interrupts are in, what is
//! sent waits in a queue that the transmitter's interrupts empty, so that nobody waits for the line.
//!
//! Spec: National Semiconductor PC16550D data sheet.

use crate::interrupts::{self, SERIAL};
use crate::port::{in8, out8};
use crate::ring::Ring;
use core::sync::atomic::{AtomicBool, Ordering};
use nomad86::host::Console;

pub(crate) const PORT: u16 = 0x3F8;
/// Looks at a transmitter that does not get ready.
const PATIENCE: u32 = 100_000;
/// Bytes of the transmitter's queue.
const FIFO: u32 = 16;

/// Registers.
mod reg {
    pub(super) const DATA: u16 = super::PORT;
    pub(super) const INTERRUPTS: u16 = super::PORT + 1;
    pub(super) const STATUS: u16 = super::PORT + 5;
    pub(super) const SCRATCH: u16 = super::PORT + 7;
}

/// Bits of [`reg::INTERRUPTS`] and [`reg::STATUS`].
const RECEIVED: u8 = 1 << 0;
const SENT: u8 = 1 << 1;
const EMPTY: u8 = 1 << 5;

static OUT: Ring = Ring::new();
/// Interrupts are in.
static LISTENING: AtomicBool = AtomicBool::new(false);
/// The transmitter interrupts when it has room.
static SENDING: AtomicBool = AtomicBool::new(false);

/// Sets 115200 8N1; false when there is no such chip.
pub(crate) fn init() -> bool {
    out8(reg::SCRATCH, 0x5A);
    if in8(reg::SCRATCH) != 0x5A {
        return false;
    }
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 0x0B)] {
        out8(PORT + register, value);
    }
    true
}

/// Lets its interrupts in.
pub(crate) fn listen() {
    out8(reg::INTERRUPTS, RECEIVED);
    interrupts::unmask(4);
    LISTENING.store(true, Ordering::Relaxed);
}

/// What its interrupt asks for.
pub(crate) fn interrupt() {
    while in8(reg::STATUS) & RECEIVED != 0 {
        let _ = SERIAL.push(in8(reg::DATA));
    }
    if in8(reg::STATUS) & EMPTY != 0 {
        for _ in 0..FIFO {
            let Some(byte) = OUT.pop() else {
                SENDING.store(false, Ordering::Relaxed);
                out8(reg::INTERRUPTS, RECEIVED);
                return;
            };
            out8(reg::DATA, byte);
        }
    }
}

/// Sends a byte and waits until the line takes it.
fn send_now(byte: u8) {
    for _ in 0..PATIENCE {
        if in8(reg::STATUS) & EMPTY != 0 {
            out8(reg::DATA, byte);
            return;
        }
    }
}

pub(crate) fn send(byte: u8) {
    if !LISTENING.load(Ordering::Relaxed) {
        return send_now(byte);
    }
    // A guest that says more than the line takes waits for it, as it would for a chip.
    for _ in 0..PATIENCE {
        if OUT.push(byte) {
            break;
        }
        in8(reg::STATUS);
    }
    if !SENDING.swap(true, Ordering::Relaxed) {
        out8(reg::INTERRUPTS, RECEIVED | SENT);
    }
}

/// Sends what waits, without interrupts from now on.
pub(crate) fn flush() {
    LISTENING.store(false, Ordering::Relaxed);
    x86_64::instructions::interrupts::without_interrupts(|| {
        while let Some(byte) = OUT.pop() {
            send_now(byte);
        }
    });
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
