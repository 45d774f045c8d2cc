//! Memory by physical address: mapped one to one, for good (`boot`, then `paging`).
#![allow(unsafe_code)]

use core::sync::atomic::AtomicU32;

/// Bytes that the loader or the firmware has left.
///
/// # Safety
/// They lie in the mapped range, and nobody writes to them.
pub(crate) unsafe fn bytes(at: u64, len: usize) -> &'static [u8] {
    // SAFETY: the caller's promise; addresses are what they are called.
    unsafe { core::slice::from_raw_parts(at as *const u8, len) }
}

/// Bytes that the caller alone may use.
///
/// # Safety
/// They lie in the mapped range, and nobody else uses them.
pub(crate) unsafe fn bytes_mut(at: u64, len: usize) -> &'static mut [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(at as *mut u8, len) }
}

/// A 32-bit register of a device.
///
/// # Safety
/// There is a register at `at`, and it lies in the mapped range.
pub(crate) unsafe fn register(at: u64) -> &'static AtomicU32 {
    // SAFETY: the caller's promise; an atomic load or store is one access, neither left out nor torn.
    unsafe { &*(at as *const AtomicU32) }
}

/// A string that ends with a zero; up to 4 KiB of it.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn string(at: u64) -> &'static str {
    // SAFETY: the caller's promise holds for a string's own bytes; what is behind its end is not read.
    let len = (0..4096).find(|n| unsafe { (at as *const u8).add(*n).read() } == 0).unwrap_or(0);
    // SAFETY: just measured.
    core::str::from_utf8(unsafe { bytes(at, len) }).unwrap_or("")
}
