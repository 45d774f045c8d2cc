//! Memory for translated code, and windows, that there is little of.
#![allow(unsafe_code)]

use super::Switch;
use nomad86::jit::{Catch, CodeMemory, Protection, WindowCaps, Windows};

/// Less of a region than there is.
pub struct Little<M>(M, usize);

impl<M: CodeMemory> Little<M> {
    /// The first `len` bytes.
    pub fn new(memory: M, len: usize) -> Self {
        let len = len.min(memory.len());
        Self(memory, len)
    }
}

// SAFETY: both views are those of a larger region that keeps the promise.
unsafe impl<M: CodeMemory> CodeMemory for Little<M> {
    fn len(&self) -> usize {
        self.1
    }
    fn writable(&mut self) -> *mut u8 {
        self.0.writable()
    }
    fn executable(&self) -> *const u8 {
        self.0.executable()
    }
    fn publish(&mut self, range: core::ops::Range<usize>) {
        self.0.publish(range);
    }
}

/// Windows that refuse mappings while the switch is on.
pub struct Refusing {
    windows: Box<dyn Windows>,
    refuses: Switch,
}

impl Refusing {
    /// Wraps windows; the second value makes them refuse.
    #[must_use]
    pub fn new(windows: Box<dyn Windows>) -> (Self, Switch) {
        let refuses = Switch::default();
        (Self { windows, refuses: refuses.clone() }, refuses)
    }
}

// SAFETY: the address space is that of the windows inside; what is not mapped stays unmapped.
unsafe impl Windows for Refusing {
    fn caps(&self) -> WindowCaps {
        self.windows.caps()
    }
    fn backing(&self) -> (*const u8, usize) {
        self.windows.backing()
    }
    fn base(&self, window: u32) -> usize {
        self.windows.base(window)
    }
    fn map(&mut self, window: u32, at: u32, offset: usize, len: usize, protection: Protection) -> bool {
        !self.refuses.is_on() && self.windows.map(window, at, offset, len, protection)
    }
    fn protect(&mut self, window: u32, at: u32, len: usize, protection: Option<Protection>) -> bool {
        !self.refuses.is_on() && self.windows.protect(window, at, len, protection)
    }
    fn reset(&mut self, window: u32) {
        self.windows.reset(window);
    }
    fn select(&mut self, window: u32) {
        self.windows.select(window);
    }
    fn enter(&mut self, catch: &Catch) {
        self.windows.enter(catch);
    }
    fn leave(&mut self) {
        self.windows.leave();
    }
}
