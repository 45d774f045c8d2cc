//! The kernel's address space: memory at its physical address, and translated code a second time, executable.
//!
//! No page is both writable and executable. The image's code is read-only; all other memory can be written and
//! not executed. Address 0 is mapped to nothing.
//!
//! Spec: Intel SDM volume 3, 4.5 (4-level paging) and 12.12 (page attribute table).
#![allow(unsafe_code)]

use crate::boot;
use alloc::alloc::{Layout, alloc_zeroed};
use core::ops::Range;
use core::ptr::NonNull;
use nomad86::jit::CodeMemory;
use x86_64::PhysAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::registers::model_specific::Msr;
use x86_64::structures::paging::PhysFrame;

const PAGE: u64 = 4096;
const LARGE: u64 = 2 << 20;
/// Where translated code is executed: far from all memory.
const WINDOW: u64 = 1 << 40;

mod bit {
    pub(super) const PRESENT: u64 = 1 << 0;
    pub(super) const WRITE: u64 = 1 << 1;
    /// Selects entry 1 of the page attribute table, which [`super::PAT`] makes write-combining.
    pub(super) const COMBINE: u64 = 1 << 3;
    pub(super) const LARGE: u64 = 1 << 7;
    pub(super) const NO_EXECUTE: u64 = 1 << 63;
    pub(super) const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
}

/// Write-back, write-combining, uncached minus, uncached, and the same again.
const PAT: u64 = 0x0007_0106_0007_0106;
const PAT_MSR: u32 = 0x277;

type Table = [u64; 512];

fn block(len: usize, align: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(len, align).ok()?;
    // SAFETY: no caller asks for nothing.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// The table that `entry` points to, made if it is not there.
fn next(entry: &mut u64) -> &'static mut Table {
    if *entry & bit::PRESENT == 0 {
        let Some(table) = block(4096, 4096) else { panic!("no memory for page tables") };
        *entry = table.as_ptr() as u64 | bit::PRESENT | bit::WRITE;
    }
    // SAFETY: a table that this function has allocated, at its physical address; tables are never freed, and
    // each borrow ends before the next one of the same table begins.
    unsafe { &mut *((*entry & bit::ADDRESS) as *mut Table) }
}

/// The address space.
pub(crate) struct AddressSpace {
    root: &'static mut Table,
}

impl AddressSpace {
    /// Maps `range` of memory and devices, and the image with its rights. The space is in use from here on.
    pub(crate) fn new(end: u64, combine: Option<Range<u64>>) -> Self {
        let Some(root) = block(4096, 4096) else { panic!("no memory for page tables") };
        // SAFETY: freshly allocated, zeroed, never freed, nobody else's.
        let root = unsafe { &mut *root.as_ptr().cast::<Table>() };
        let mut space = Self { root };
        let image = boot::image();
        let small = image.start & !(LARGE - 1)..image.end.next_multiple_of(LARGE);
        let data = bit::PRESENT | bit::WRITE | bit::NO_EXECUTE;
        let combine = combine.unwrap_or(0..0);
        for at in (0..end.next_multiple_of(LARGE)).step_by(LARGE as usize) {
            let flags = if at < combine.end && at + LARGE > combine.start { bit::COMBINE } else { 0 };
            if at == 0 || small.contains(&at) {
                for page in (at..at + LARGE).step_by(PAGE as usize) {
                    let rights = match page {
                        0 => 0,
                        _ if page < image.start || page >= image.rodata_end => data,
                        _ if page < image.text_end => bit::PRESENT,
                        _ => bit::PRESENT | bit::NO_EXECUTE,
                    };
                    space.map(page, page | rights | flags);
                }
            } else {
                *space.entry(at, 2) = at | data | bit::LARGE | flags;
            }
        }
        // SAFETY: entry 1 has been used by nobody so far; the others are what processors start with.
        unsafe { Msr::new(PAT_MSR).write(PAT) };
        let frame = PhysFrame::containing_address(PhysAddr::new((&raw const *space.root) as u64));
        // SAFETY: everything that is in use is mapped where it was, and may be used as it was.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
        space
    }

    /// The entry for a linear address: of a page at level 1, of a large page at level 2.
    fn entry(&mut self, linear: u64, level: u32) -> &mut u64 {
        let index = |level: u32| (linear >> (12 + 9 * (level - 1)) & 511) as usize;
        let mut table: &mut Table = self.root;
        for n in (level + 1..=4).rev() {
            table = next(&mut table[index(n)]);
        }
        &mut table[index(level)]
    }

    fn map(&mut self, linear: u64, entry: u64) {
        *self.entry(linear, 1) = entry;
    }

    /// Memory for translated code of `len` bytes, a whole number of pages.
    pub(crate) fn code(&mut self, len: usize) -> Option<DualMapping> {
        let write = block(len, PAGE as usize)?;
        for offset in (0..len as u64).step_by(PAGE as usize) {
            self.map(WINDOW + offset, (write.as_ptr() as u64 + offset) | bit::PRESENT);
        }
        tlb::flush_all();
        Some(DualMapping { write, len })
    }
}

/// Memory that is written in one place and executed in another.
pub(crate) struct DualMapping {
    write: NonNull<u8>,
    len: usize,
}

// SAFETY: it belongs to this value alone; there is one processor.
unsafe impl Send for DualMapping {}

// SAFETY: both places show the same memory, which is never freed, and nobody else knows it; x86-64 keeps
// instruction fetch coherent with stores to other linear addresses of the same memory.
unsafe impl CodeMemory for DualMapping {
    fn len(&self) -> usize {
        self.len
    }

    fn writable(&mut self) -> *mut u8 {
        self.write.as_ptr()
    }

    fn executable(&self) -> *const u8 {
        WINDOW as *const u8
    }
}
