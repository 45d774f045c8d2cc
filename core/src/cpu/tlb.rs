//! The flat software TLB: per privilege and direction one addend `host − linear` for each of the 2^20 pages.
//!
//! 0 stands for "go the slow way": not translated yet, a device, a page with code on it, a page whose dirty
//! bit is still clear. A log of what was filled makes flushes cost what was filled, and lets global pages stay.
//! With the feature `small-tlb` the tables have 1,024 tagged entries, for hosts without 32 MiB of sparse memory.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Bits of a page number that index the tables.
pub const INDEX_BITS: u32 = if cfg!(feature = "small-tlb") { 10 } else { 20 };
/// Entries of a table.
pub const ENTRIES: usize = 1 << INDEX_BITS;
const LOG: usize = if cfg!(feature = "small-tlb") { 4096 } else { 32768 };
const WATCHED: usize = 4096;

/// Table numbers: add these to [`super::Cpu::tlb_mode`].
pub const READ: u32 = 0;
/// See [`READ`].
pub const WRITE: u32 = 1;

/// Entries for pages that hold code and are written, for each privilege.
pub const MIXED: usize = 256;

/// A writable page that also holds code: its writes must miss the lines that code lies on.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Mixed {
    /// Linear page number + 1; 0 is empty.
    tag: u32,
    /// As in the other tables.
    addend: usize,
    /// Host address of the page's set of lines.
    lines: usize,
    /// To a power of two, for code that indexes the table.
    rest: usize,
}

/// Offsets in [`Mixed`], for code that reads it.
pub const MIXED_ADDEND: usize = core::mem::offset_of!(Mixed, addend);
/// See [`MIXED_ADDEND`].
pub const MIXED_LINES: usize = core::mem::offset_of!(Mixed, lines);

const NOT_MIXED: Mixed = Mixed { tag: 0, addend: 0, lines: 0, rest: 0 };

/// The TLB.
pub struct Tlb {
    /// Supervisor read, supervisor write, user read, user write, one behind the other.
    tables: Box<[usize; 4 * ENTRIES]>,
    #[cfg(feature = "small-tlb")]
    tags: Box<[u32; 4 * ENTRIES]>,
    /// What was filled: linear page in bits 12–31, table in bits 0–1. Global pages have a log of their own, so
    /// that loads of CR3 do not have to look at them.
    logs: [Vec<u32>; 2],
    watched: Vec<u32>,
    /// Physical page numbers + 1 that code is fetched from, of the supervisor and then of the user; 0 is empty.
    code: Box<[u32; 2 * ENTRIES]>,
    #[cfg(feature = "small-tlb")]
    code_tags: Box<[u32; 2 * ENTRIES]>,
    /// What was filled there: linear page in bits 12–31, user in bit 0.
    code_logs: [Vec<u32>; 2],
    /// Pages that hold code and are written, of the supervisor and then of the user.
    mixed: Box<[Mixed; 2 * MIXED]>,
    any_mixed: bool,
    /// Data breakpoints are armed: nothing is filled.
    pub watching: bool,
    /// Entries filled so far.
    pub fills: u64,
    /// Flushes so far.
    pub flushes: u64,
}

/// Place of a page's entry.
#[inline(always)]
const fn slot(table: u32, linear: u32) -> usize {
    (table & 3) as usize * ENTRIES + ((linear >> 12) as usize & (ENTRIES - 1))
}

/// Place of a page's entry for code.
#[inline(always)]
const fn code_slot(linear: u32, user: bool) -> usize {
    user as usize * ENTRIES + ((linear >> 12) as usize & (ENTRIES - 1))
}

/// Place of a page's entry among those that hold code and are written.
#[inline(always)]
const fn mixed_slot(linear: u32, user: bool) -> usize {
    user as usize * MIXED + ((linear >> 12) as usize & (MIXED - 1))
}

/// What stands for a physical page in the table for code.
#[inline(always)]
#[must_use]
pub const fn code_page(phys: u64) -> u32 {
    (phys >> 12) as u32 + 1
}

fn zeroed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the vector has N elements"),
    }
}

impl Tlb {
    /// An empty TLB. The tables are zeroed memory that costs nothing until it is touched.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Self {
            tables: zeroed(0),
            #[cfg(feature = "small-tlb")]
            tags: zeroed(0),
            logs: [Vec::with_capacity(LOG), Vec::with_capacity(LOG)],
            watched: Vec::with_capacity(WATCHED),
            code: zeroed(0),
            #[cfg(feature = "small-tlb")]
            code_tags: zeroed(0),
            code_logs: [Vec::with_capacity(LOG), Vec::with_capacity(LOG)],
            mixed: Box::new([NOT_MIXED; 2 * MIXED]),
            any_mixed: false,
            watching: false,
            fills: 0,
            flushes: 0,
        })
    }

    /// The addend for `linear` in `table`, or 0.
    #[inline(always)]
    #[must_use]
    pub fn addend(&self, table: u32, linear: u32) -> usize {
        let index = slot(table, linear);
        #[cfg(feature = "small-tlb")]
        if self.tags[index] != linear >> 12 {
            return 0;
        }
        self.tables[index]
    }

    /// Host address of the tables from `mode` on, for code that indexes them itself: `READ` and then `WRITE` of the
    /// supervisor, then of the user, [`ENTRIES`] words each.
    #[must_use]
    pub fn tables(&self, mode: u32) -> usize {
        self.tables[slot(mode, 0)..].as_ptr().expose_provenance()
    }

    /// Enters a translation. `watched` entries are dropped again by [`Self::drop_watched`].
    pub fn fill(&mut self, table: u32, linear: u32, addend: usize, global: bool, watched: bool) {
        if self.watching {
            return;
        }
        let log = usize::from(global);
        if self.logs[log].len() == LOG || (watched && self.watched.len() == WATCHED) {
            self.flush(true);
        }
        let page = linear & !0xFFF;
        let index = slot(table, linear);
        if self.tables[index] != addend {
            self.logs[log].push(page | table & 3);
        }
        #[cfg(feature = "small-tlb")]
        {
            self.tags[index] = linear >> 12;
        }
        self.tables[index] = addend;
        if watched {
            self.watched.push(page | table & 3);
        }
        self.fills += 1;
    }

    fn clear(&mut self, entry: u32) {
        self.tables[slot(entry & 3, entry)] = 0;
    }

    /// Drops everything, or everything but global pages.
    pub fn flush(&mut self, global: bool) {
        self.flushes += 1;
        for log in 0..=usize::from(global) {
            for n in 0..self.logs[log].len() {
                let entry = self.logs[log][n];
                self.clear(entry);
            }
            self.logs[log].clear();
            for n in 0..self.code_logs[log].len() {
                let entry = self.code_logs[log][n];
                self.code[code_slot(entry, entry & 1 != 0)] = 0;
            }
            self.code_logs[log].clear();
        }
        if global {
            self.watched.clear();
        }
        self.drop_mixed();
    }

    /// Drops one page.
    pub fn flush_page(&mut self, linear: u32) {
        for table in 0..4 {
            self.clear(linear & !0xFFF | table);
        }
        for user in [false, true] {
            self.mixed[mixed_slot(linear, user)] = NOT_MIXED;
            self.code[code_slot(linear, user)] = 0;
        }
    }

    /// Drops writable entries for watched pages, so that the next store is noticed.
    pub fn drop_watched(&mut self) {
        while let Some(entry) = self.watched.pop() {
            self.clear(entry);
        }
    }

    /// Drops writable entries that lead to the host page at `host` (which begins to hold code).
    pub fn drop_writable(&mut self, host: usize) {
        for &entry in self.logs.iter().flatten().filter(|&&entry| entry & 1 != 0) {
            let index = slot(entry & 3, entry);
            #[cfg(feature = "small-tlb")]
            let page = self.tags[index] << 12;
            #[cfg(not(feature = "small-tlb"))]
            let page = entry & !0xFFF;
            let addend = &mut self.tables[index];
            if *addend != 0 && addend.wrapping_add(page as usize) == host {
                *addend = 0;
            }
        }
    }

    /// Drops what is known of writable pages that hold code.
    pub fn drop_mixed(&mut self) {
        if core::mem::take(&mut self.any_mixed) {
            self.mixed.fill(NOT_MIXED);
        }
    }

    /// The physical page that code at `linear` is fetched from, if known.
    #[inline]
    #[must_use]
    pub fn code(&self, linear: u32, user: bool) -> Option<u64> {
        let index = code_slot(linear, user);
        #[cfg(feature = "small-tlb")]
        if self.code_tags[index] != linear >> 12 {
            return None;
        }
        let page = self.code[index];
        (page != 0).then(|| u64::from(page - 1) << 12)
    }

    /// The table of [`Self::code`] for one privilege, for code that indexes it itself by page number: what is
    /// in it are results of [`code_page`].
    #[must_use]
    pub fn code_base(&self, user: bool) -> *const u32 {
        self.code[code_slot(0, user)..].as_ptr()
    }

    /// Enters a translation for code.
    pub fn fill_code(&mut self, linear: u32, user: bool, phys: u64, global: bool) {
        let log = usize::from(global);
        if self.code_logs[log].len() == LOG {
            self.flush(true);
        }
        let index = code_slot(linear, user);
        #[cfg(feature = "small-tlb")]
        {
            self.code_tags[index] = linear >> 12;
        }
        if self.code[index] != code_page(phys) {
            self.code[index] = code_page(phys);
            self.code_logs[log].push(linear & !0xFFF | u32::from(user));
        }
    }

    /// Enters a writable page that holds code, whose set of lines is at host address `lines`.
    pub fn fill_mixed(&mut self, linear: u32, user: bool, addend: usize, lines: usize) {
        if !self.watching {
            self.mixed[mixed_slot(linear, user)] = Mixed { tag: (linear >> 12) + 1, addend, lines, rest: 0 };
            self.any_mixed = true;
        }
    }

    /// The addend of a writable page that holds code or did, if it is known.
    #[must_use]
    pub fn mixed(&self, linear: u32, user: bool) -> Option<usize> {
        let entry = &self.mixed[mixed_slot(linear, user)];
        (entry.tag == (linear >> 12) + 1).then_some(entry.addend)
    }

    /// The table of [`Self::mixed`] for one privilege, for code that indexes it itself by the low bits of a page
    /// number.
    #[must_use]
    pub fn mixed_base(&self, user: bool) -> *const Mixed {
        self.mixed[mixed_slot(0, user)..].as_ptr()
    }

    /// Calls `check` with privilege, linear page and addend of each page that holds code and is written.
    pub fn visit_mixed(&self, mut check: impl FnMut(bool, u32, usize)) {
        for (n, entry) in self.mixed.iter().enumerate().filter(|(_, entry)| entry.tag != 0) {
            check(n >= MIXED, (entry.tag - 1) << 12, entry.addend);
        }
    }

    /// Calls `check` with table, linear page and addend of each live entry (for tests of the invariants).
    pub fn visit(&self, mut check: impl FnMut(u32, u32, usize)) {
        for &entry in self.logs.iter().flatten() {
            let addend = self.addend(entry & 3, entry & !0xFFF);
            if addend != 0 {
                check(entry & 3, entry & !0xFFF, addend);
            }
        }
    }
}
