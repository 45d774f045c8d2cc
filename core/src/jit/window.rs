//! Windows: host address space in which guest pages are mapped where the guest sees them, so that translated
//! code accesses memory without looking translations up.
//!
//! An access that finds nothing there makes the host fault. Its handler does nothing but ask [`Catch::redirect`], which
//! leads to the slow way of the instruction: the interpreter executes it, and then the page is mapped if it may be.
//! What may lie in a window, and for how long, is [`crate::cpu::windows`]' concern.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// What a host's windows can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowCaps {
    /// Windows that there are.
    pub windows: u32,
    /// Nanoseconds to map pages that follow each other, the first accesses included.
    pub map_ns: u32,
    /// Nanoseconds to take such away, or the right to write them.
    pub protect_ns: u32,
    /// Nanoseconds for a fault to reach the handler and come back.
    pub fault_ns: u32,
    /// Separate mappings that the host can hold, over all windows.
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
/// [`Windows::base`] is the start of 4 GiB and a page of reserved address space for each window; an access to a page
/// of it that is not mapped never reaches memory of anybody else. [`Windows::backing`] is what the mappings show, for
/// as long as the value lives. Between [`Windows::enter`] and [`Windows::leave`], GS-relative addresses of that thread
/// lead into the window selected last, and faults of the code that the `Catch` knows lead to where it redirects them.
pub unsafe trait Windows: Send {
    /// What the host can do.
    fn caps(&self) -> WindowCaps;
    /// First byte of the memory that is shown, and its size.
    fn backing(&self) -> (*const u8, usize);
    /// First byte of a window.
    fn base(&self, window: u32) -> usize;
    /// Shows `len` bytes of the backing from `offset` on at guest address `at`. False when the host refuses.
    fn map(&mut self, window: u32, at: u32, offset: usize, len: usize, protection: Protection) -> bool;
    /// Takes `len` bytes at `at` away, or the right to write them. False when the host refuses.
    fn protect(&mut self, window: u32, at: u32, len: usize, protection: Option<Protection>) -> bool;
    /// Takes everything away, without fail.
    fn reset(&mut self, window: u32);
    /// GS leads to a window from now on.
    fn select(&mut self, window: u32);
    /// Translated code is about to run on this thread.
    fn enter(&mut self, catch: &Catch);
    /// It has left.
    fn leave(&mut self);
}

/// An access of translated code through the window.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler emits them"))]
pub(crate) struct Access {
    /// Offset of its first byte in code memory.
    pub(crate) start: u32,
    /// Offset of its slow way.
    pub(crate) stub: u32,
    /// Block whose code it stands in.
    pub(crate) head: u32,
    /// Block that its instruction belongs to.
    pub(crate) block: u32,
    /// Bytes.
    pub(crate) len: u8,
    /// The instruction's position in that block.
    pub(crate) index: u8,
    /// Times that it was in vain.
    pub(crate) vain: u8,
}

/// Accesses that a recompiler can remember.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler has them"))]
pub(crate) const ACCESSES: usize = 1 << 20;
/// A fault that tells no address, or one outside the window.
pub(crate) const NOWHERE: usize = usize::MAX;

/// What a host's fault handler looks at, all of it in place: nothing is locked or allocated. It is read by the thread
/// that runs translated code alone, in the middle of that code, when nobody changes it.
#[derive(Debug)]
pub struct Catch {
    /// Where code is executed, and how far it goes.
    code: usize,
    len: usize,
    /// The table of accesses, in order of `start`, and how many there are.
    accesses: AtomicUsize,
    count: AtomicUsize,
    /// First byte of the window.
    base: AtomicUsize,
    /// Number of the access that faulted last plus one, until that has been taken note of, and the guest's address.
    hit: AtomicU32,
    at: AtomicUsize,
}

impl Catch {
    /// For code memory of `len` bytes at `code`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler makes one"))]
    pub(crate) const fn new(code: usize, len: usize) -> Self {
        Self {
            code,
            len,
            accesses: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            base: AtomicUsize::new(0),
            hit: AtomicU32::new(0),
            at: AtomicUsize::new(0),
        }
    }

    /// The accesses have changed. They do not move before this is called again.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler has them"))]
    pub(crate) fn set_accesses(&self, accesses: &[Access]) {
        self.count.store(0, Relaxed);
        self.accesses.store(accesses.as_ptr().expose_provenance(), Relaxed);
        self.count.store(accesses.len(), Relaxed);
    }

    /// The window that GS leads to.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler selects one"))]
    pub(crate) fn set_base(&self, base: usize) {
        self.base.store(base, Relaxed);
    }

    /// Takes the access that has faulted, and the guest's address or [`NOWHERE`].
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler has them"))]
    #[inline]
    pub(crate) fn take(&self) -> Option<(usize, usize)> {
        let hit = self.hit.load(Relaxed);
        if hit == 0 {
            return None;
        }
        self.hit.store(0, Relaxed);
        Some((hit as usize - 1, self.at.load(Relaxed)))
    }

    /// Where a fault of the instruction at `pc`, on an access to `address`, leads: none when it is not one of an access
    /// through the window. For signal handlers.
    #[must_use]
    pub fn redirect(&self, pc: usize, address: usize) -> Option<usize> {
        let offset = pc.wrapping_sub(self.code);
        if offset >= self.len {
            return None;
        }
        let (at, count) = (self.accesses.load(Relaxed), self.count.load(Relaxed));
        let table: *const Access = core::ptr::with_exposed_provenance(at);
        let entry = |n: usize| {
            // SAFETY: `set_accesses` was told of so many, which stay where they are; nobody changes them while
            // translated code runs.
            unsafe { table.add(n).read() }
        };
        // The last one that does not begin behind it.
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if entry(middle).start as usize <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let number = low.checked_sub(1)?;
        let access = entry(number);
        if offset - access.start as usize >= usize::from(access.len) {
            return None;
        }
        let from = address.wrapping_sub(self.base.load(Relaxed));
        self.at.store(if from as u64 >> 32 == 0 { from } else { NOWHERE }, Relaxed);
        self.hit.store(number as u32 + 1, Relaxed);
        Some(self.code + access.stub as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn faults_lead_to_the_slow_way_of_their_access_and_no_others_do() {
        let access = |start, len, stub| Access { start, stub, head: 0, block: 0, len, index: 0, vain: 0 };
        let accesses = vec![access(16, 5, 900), access(21, 3, 910), access(40, 8, 920)];
        let catch = Catch::new(0x10_0000, 0x1000);
        assert_eq!(catch.redirect(0x10_0010, 0), None, "there is none yet");
        catch.set_accesses(&accesses);
        catch.set_base(0x7000_0000_0000);
        assert_eq!(catch.redirect(0x10_0000 + 16, 0x7000_1234_5678), Some(0x10_0000 + 900));
        assert_eq!(catch.take(), Some((0, 0x1234_5678)));
        assert_eq!(catch.take(), None);
        assert_eq!(catch.redirect(0x10_0000 + 23, 0), Some(0x10_0000 + 910));
        assert_eq!(catch.take(), Some((1, NOWHERE)));
        assert_eq!(catch.redirect(0x10_0000 + 47, 0x7001_0000_0000), Some(0x10_0000 + 920));
        assert_eq!(catch.take(), Some((2, NOWHERE)), "the guard behind the window");
        for offset in [0, 15, 24, 39, 48, 0xFFF, 0x1000] {
            assert_eq!(catch.redirect(0x10_0000 + offset, 0), None, "{offset}");
        }
        assert_eq!(catch.redirect(0, 0), None);
    }
}
