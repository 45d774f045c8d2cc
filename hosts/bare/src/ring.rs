//! Bytes between an interrupt handler and the rest of the kernel.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const SIZE: usize = 4096;

/// A queue with one writer and one reader.
pub(crate) struct Ring {
    bytes: [AtomicU8; SIZE],
    read: AtomicUsize,
    written: AtomicUsize,
}

impl Ring {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [const { AtomicU8::new(0) }; SIZE],
            read: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        }
    }

    /// Appends a byte; false when there is no room for it.
    pub(crate) fn push(&self, byte: u8) -> bool {
        let at = self.written.load(Ordering::Relaxed);
        let room = at.wrapping_sub(self.read.load(Ordering::Acquire)) < SIZE;
        if room {
            self.bytes[at % SIZE].store(byte, Ordering::Relaxed);
            self.written.store(at.wrapping_add(1), Ordering::Release);
        }
        room
    }

    pub(crate) fn pop(&self) -> Option<u8> {
        let at = self.read.load(Ordering::Relaxed);
        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        let byte = self.bytes[at % SIZE].load(Ordering::Relaxed);
        self.read.store(at.wrapping_add(1), Ordering::Release);
        Some(byte)
    }
}
