//! Windows: host address space in which guest pages are mapped where the guest sees them, so that translated
//! code accesses memory without looking translations up. The mode bit for it is in the block key; the
//! recompiler uses windows where a host offers them.
#![allow(unsafe_code)]

/// What mapping costs on a host, from which the recompiler decides when a window pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowCaps {
    /// Windows that can exist at once; 0 when the host has none.
    pub windows: u32,
    /// Nanoseconds to map one page.
    pub map_ns: u32,
    /// Nanoseconds for a fault to reach the handler and come back.
    pub fault_ns: u32,
    /// Separate mappings that a host can hold.
    pub mappings: u32,
}

/// Rights of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
}

/// Host address space for guest pages.
///
/// # Safety
/// [`Windows::base`] is the start of 4 GiB and a page of reserved address space; an access to a page of it that
/// is not mapped never reaches memory of anybody else.
pub unsafe trait Windows: Send {
    /// What the host can do.
    fn caps(&self) -> WindowCaps;
    /// First byte of a window.
    fn base(&self, window: u32) -> *mut u8;
    /// Shows `len` bytes of the backing from `offset` on at guest address `at`. False when the host refuses.
    fn map(&mut self, window: u32, at: u32, offset: usize, len: usize, protection: Protection) -> bool;
    /// Takes `len` bytes at `at` away.
    fn unmap(&mut self, window: u32, at: u32, len: usize);
    /// Takes everything away.
    fn reset(&mut self, window: u32);
}
