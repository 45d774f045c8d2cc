//! Tables by which code finds the code for a linear address.

use crate::cpu::block::mode;
use alloc::boxed::Box;
use alloc::vec;

/// Entry points in the table. Large programs have as many that are used over and over; what two share is looked up by
/// the dispatcher each time.
pub(super) const TABLE: usize = 1 << 16;
/// Places in the table of jumps: as many as linear addresses that large programs and their libraries spread code over.
pub(super) const JUMPS: usize = 1 << 17;

/// A recent entry point as code sees it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Entry {
    linear: u32,
    /// What the table of code pages must say of it.
    page: u32,
    code: usize,
}

/// Which tables of entry points serve code of a mode: that of flat segments, other, or such that sees memory through
/// a window.
pub(super) const fn table(mode: u32) -> usize {
    match mode & (mode::FLAT | mode::WINDOW) {
        mode::FLAT => 0,
        0 | mode::WINDOW => 1,
        _ => 2,
    }
}

/// No entry point.
pub(super) const EMPTY: Entry = Entry { linear: 0, page: u32::MAX, code: 0 };

/// Recent entry points.
pub(super) struct Tables {
    /// By linear address.
    pub(super) entries: Box<[Entry]>,
    /// By the low bits of it: what they lead to looks itself whether it is meant.
    pub(super) jumps: Box<[usize]>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { entries: vec![EMPTY; TABLE].into_boxed_slice(), jumps: vec![0; JUMPS].into_boxed_slice() }
    }

    pub(super) fn remember(&mut self, linear: u32, page: u32, code: usize) {
        self.entries[(linear ^ linear >> 16) as usize & (TABLE - 1)] = Entry { linear, page, code };
        self.jumps[linear as usize & (JUMPS - 1)] = code;
    }
}
