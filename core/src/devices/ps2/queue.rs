//! A bounded queue of bytes.

use crate::archive::{Archive, Field};

/// The last bytes put in, oldest first; `N` is at most 255.
pub(super) struct Queue<const N: usize> {
    bytes: [u8; N],
    head: u8,
    len: u8,
}

impl<const N: usize> Queue<N> {
    pub(super) const fn new() -> Self {
        assert!(N > 0 && N < 256);
        Self { bytes: [0; N], head: 0, len: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn free(&self) -> usize {
        N - self.len as usize
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends all of `bytes`, or nothing and returns false.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.free() {
            return false;
        }
        for &byte in bytes {
            self.bytes[(usize::from(self.head) + usize::from(self.len)) % N] = byte;
            self.len += 1;
        }
        true
    }

    pub(super) const fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.bytes[self.head as usize % N];
        self.head = ((self.head as usize + 1) % N) as u8;
        self.len -= 1;
        Some(byte)
    }
}

impl<const N: usize> Field for Queue<N> {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.bytes);
        a.field(&mut self.head);
        a.field(&mut self.len);
        self.head %= N as u8;
        self.len = self.len.min(N as u8);
    }
}
