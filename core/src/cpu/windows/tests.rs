//! Windows against page tables that change, with a host that only notes what it is told.

use super::*;
use crate::config::CpuModel;
use crate::cpu::segment::{Descriptor, Segment, seg};
use crate::jit::Catch;
use crate::memory::GuestMemory;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use std::sync::Mutex;

/// What is mapped: offset in the backing and whether it may be written, by window and page.
type Mapped = Arc<Mutex<BTreeMap<(u32, u32), (usize, bool)>>>;

struct Notes {
    mapped: Mapped,
    backing: (usize, usize),
    selected: Arc<Mutex<u32>>,
}

// SAFETY: nobody accesses memory through it.
#[allow(unsafe_code)]
unsafe impl Windows for Notes {
    fn caps(&self) -> WindowCaps {
        WindowCaps { windows: 2, mappings: 1000, ..WindowCaps::default() }
    }
    fn backing(&self) -> (*const u8, usize) {
        (core::ptr::with_exposed_provenance(self.backing.0), self.backing.1)
    }
    fn base(&self, window: u32) -> usize {
        (window as usize) << 33
    }
    fn map(&mut self, window: u32, at: u32, offset: usize, len: usize, protection: Protection) -> bool {
        for page in 0..(len / PAGE) as u32 {
            let to = (offset + page as usize * PAGE, protection == Protection::ReadWrite);
            self.mapped.lock().unwrap().insert((window, (at >> 12) + page), to);
        }
        true
    }
    fn protect(&mut self, window: u32, at: u32, len: usize, protection: Option<Protection>) -> bool {
        let mut mapped = self.mapped.lock().unwrap();
        for page in at >> 12..(at >> 12) + (len / PAGE) as u32 {
            match (protection, mapped.get_mut(&(window, page))) {
                (Some(protection), Some(to)) => to.1 = protection == Protection::ReadWrite,
                _ => drop(mapped.remove(&(window, page))),
            }
        }
        true
    }
    fn reset(&mut self, window: u32) {
        self.mapped.lock().unwrap().retain(|key, _| key.0 != window);
    }
    fn select(&mut self, window: u32) {
        *self.selected.lock().unwrap() = window;
    }
    fn enter(&mut self, _catch: &Catch) {}
    fn leave(&mut self) {}
}

/// A processor in its user's flat code, with memory and windows.
struct Guest {
    cpu: Cpu,
    memory: Memory,
    mapped: Mapped,
    selected: Arc<Mutex<u32>>,
    pae: bool,
}

const RAM: usize = 8 << 20;
const DIRECTORY: u32 = 0x10_0000;
const TABLE: u32 = 0x11_0000;
/// Linear address of the page that is looked at.
const PLACE: u32 = 0x0804_8000;
/// Present, writable, the user's, accessed, dirty.
const ALL: u32 = 0x67;

impl Guest {
    fn new(pae: bool) -> Self {
        let mut memory = Memory::new(GuestMemory::allocate(RAM).unwrap(), RAM, 0, 0).unwrap();
        let mut cpu = Cpu::new(CpuModel::Pentium4);
        cpu.cr0 |= cr0::PE | cr0::PG | cr0::WP;
        cpu.cr4 = if pae { cr4::PAE } else { cr4::PSE };
        for n in 0..6 {
            let kind = if n == seg::CS { 0xFB } else { 0xF3 };
            cpu.set_segment(
                n,
                Segment::loaded(0x1B, Descriptor { low: 0xFFFF, high: 0x00CF_0000 | kind << 8 }),
            );
        }
        let (mapped, selected) = (Mapped::default(), Arc::default());
        let backing = (memory.base().expose_provenance(), memory.backing_len());
        let host = Notes { mapped: Arc::clone(&mapped), backing, selected: Arc::clone(&selected) };
        assert!(cpu.use_windows(Box::new(host), &mut memory));
        cpu.windows_mut().unwrap().set_threshold(0);
        let mut guest = Self { cpu, memory, mapped, selected, pae };
        guest.table(DIRECTORY, TABLE);
        guest.load(DIRECTORY);
        guest
    }

    fn entry(&mut self, table: u32, index: u32, entry: u32) {
        let width = if self.pae { 8 } else { 4 };
        self.memory
            .write(u64::from(table + index * width), &u64::from(entry).to_le_bytes()[..width as usize]);
    }

    /// Where the entry for [`PLACE`] in a directory, and in a table, is.
    fn index(&self, table: bool) -> u32 {
        match (self.pae, table) {
            (true, true) => PLACE >> 12 & 511,
            (false, true) => PLACE >> 12 & 1023,
            (true, false) => PLACE >> 21 & 511,
            (false, false) => PLACE >> 22,
        }
    }

    /// Lets a directory lead to a table.
    fn table(&mut self, directory: u32, table: u32) {
        self.entry(directory, self.index(false), if table == 0 { 0 } else { table | ALL });
    }

    /// Lets a table lead to a page.
    fn page(&mut self, table: u32, entry: u32) {
        self.entry(table, self.index(true), entry);
    }

    /// MOV CR3 and back to the user's code.
    fn load(&mut self, directory: u32) {
        self.cpu.set_cpl(0);
        self.cpu.cr3 = directory;
        self.cpu.pdpte = [u64::from(directory) | 1, 0, 0, 0];
        self.cpu.reload_tlb(false);
        self.user();
    }

    fn user(&mut self) {
        self.cpu.set_cpl(3);
        self.cpu.seek_window(&mut self.memory);
        assert_eq!(self.cpu.mode & mode::WINDOW != 0, self.cpu.cr3 != 0);
    }

    fn flush(&mut self) {
        self.cpu.set_cpl(0);
        self.cpu.flush_page(PLACE);
        assert_eq!(self.cpu.mode & mode::WINDOW, 0);
        self.user();
    }

    fn access(&mut self) -> bool {
        self.cpu.window_fault(PLACE + 4, &mut self.memory)
    }

    /// What the window has at [`PLACE`].
    fn shown(&self) -> Option<(usize, bool)> {
        let window = *self.selected.lock().unwrap();
        self.mapped.lock().unwrap().get(&(window, PLACE >> 12)).copied()
    }
}

#[test]
fn what_a_window_has_follows_the_tables_once_they_are_flushed() {
    for pae in [false, true] {
        let mut g = Guest::new(pae);
        assert!(!g.access(), "nothing is there");
        g.page(TABLE, 0x20_0000 | 0x65);
        assert!(g.access());
        assert_eq!(g.shown(), Some((0x20_0000, false)));
        assert!(!g.access(), "it is there already");
        // Another page, writable and dirty: when it is flushed, not before.
        g.page(TABLE, 0x30_0000 | ALL);
        assert_eq!(g.shown(), Some((0x20_0000, false)));
        g.flush();
        assert_eq!(g.shown(), Some((0x30_0000, true)));
        // Read-only again, as by a fork.
        g.page(TABLE, 0x30_0000 | 0x65);
        g.flush();
        assert_eq!(g.shown(), Some((0x30_0000, false)));
        for entry in [0, 0x30_0000 | 0x63, 0x30_0000 | 0x47] {
            g.page(TABLE, 0x30_0000 | ALL);
            let _ = g.access();
            assert_eq!(g.shown(), Some((0x30_0000, true)));
            g.page(TABLE, entry);
            g.flush();
            assert_eq!(g.shown(), None, "not present, the supervisor's, not accessed: {entry:x}");
            assert!(!g.access());
        }
    }
}

#[test]
fn windows_outlive_other_address_spaces_and_end_with_their_own() {
    for pae in [false, true] {
        let mut g = Guest::new(pae);
        g.page(TABLE, 0x20_0000 | ALL);
        assert!(g.access());
        let (other, others_table) = (DIRECTORY + 0x1000, TABLE + 0x1000);
        g.table(other, others_table);
        g.page(others_table, 0x21_0000 | ALL);
        g.load(other);
        assert_eq!(g.shown(), None);
        assert!(g.access());
        assert_eq!(g.shown(), Some((0x21_0000, true)));
        g.load(DIRECTORY);
        assert_eq!(g.shown(), Some((0x20_0000, true)));
        // What is written meanwhile is looked at on the way back.
        g.load(other);
        g.page(TABLE, 0x22_0000 | ALL);
        g.load(DIRECTORY);
        assert_eq!(g.shown(), Some((0x22_0000, true)));
        // The other's end: its tables are pages like all others afterwards.
        assert_ne!(g.memory.flags(others_table as usize) & page::TABLE, 0);
        g.page(others_table, 0);
        g.table(other, 0);
        g.flush();
        assert_eq!(g.memory.flags(others_table as usize) & page::TABLE, 0);
        assert_eq!(g.memory.flags(other as usize) & page::TABLE, 0);
        assert_eq!(g.cpu.windows().unwrap().stats.dropped, 1);
        assert_eq!(g.mapped.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_directory_that_leads_elsewhere_takes_all_its_pages_away() {
    for pae in [false, true] {
        let mut g = Guest::new(pae);
        // A table that stays: without any, the address space would be another one.
        g.entry(DIRECTORY, 1, (TABLE + 0x5000) | ALL);
        g.entry(TABLE + 0x5000, 0, 0x28_0000 | ALL);
        assert!(g.cpu.window_fault(if pae { 1 << 21 } else { 1 << 22 }, &mut g.memory));
        g.page(TABLE, 0x20_0000 | ALL);
        assert!(g.access());
        g.page(TABLE + 0x1000, 0x24_0000 | 0x65);
        g.table(DIRECTORY, TABLE + 0x1000);
        g.flush();
        assert_eq!(g.shown(), Some((0x24_0000, false)));
        assert_eq!(g.memory.flags(TABLE as usize) & page::TABLE, 0);
        g.page(TABLE + 0x1000, 0x25_0000 | 0x65);
        g.flush();
        assert_eq!(g.shown(), Some((0x25_0000, false)));
        // A large page.
        let at = g.index(false);
        g.entry(DIRECTORY, at, 0x40_0000 | 0xE7);
        g.flush();
        let inside = PLACE & if pae { 0x1F_F000 } else { 0x3F_F000 };
        assert_eq!(g.shown(), Some((0x40_0000 + inside as usize, true)));
    }
}

#[test]
fn code_and_tables_are_not_writable_in_a_window() {
    let mut g = Guest::new(false);
    g.page(TABLE, 0x20_0000 | ALL);
    assert!(g.access());
    assert_eq!(g.shown(), Some((0x20_0000, true)));
    assert!(g.memory.mark_code(0x20_0000, 16));
    g.cpu.close_in_windows(0x20_0000, &mut g.memory);
    assert_eq!(g.shown(), Some((0x20_0000, false)));
    assert!(!g.access());
    // The table itself, mapped for its user.
    g.page(TABLE, TABLE | ALL);
    g.flush();
    assert_eq!(g.shown(), Some((TABLE as usize, false)));
    // Where the physical map changes, everything goes.
    g.cpu.set_cpl(0);
    g.cpu.flush_tlb(true);
    g.page(TABLE, 0);
    g.user();
    assert!(g.mapped.lock().unwrap().is_empty());
}
