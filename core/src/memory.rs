//! Guest memory: RAM, video RAM and ROM in one block of host memory, and the map of physical addresses.
//!
//! Everything that behaves like memory lies in one contiguous *backing*: RAM first, then video RAM, then
//! ROM. A physical page either maps to a page of the backing or is I/O. Each backing page carries flags:
//! translated code on it, dirty for the display, and so on. This module and `cpu/access.rs` are the only
//! places in which guest memory is touched through pointers.
#![allow(unsafe_code)]

mod tables;

pub use tables::{Role, Tables, Watch, Written};

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// A physical address.
pub type PhysAddr = u64;

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// Host memory that holds a machine's memory: aligned to a page, zeroed.
/// ```
/// use nomad86::memory::GuestMemory;
///
/// let memory = GuestMemory::allocate(16 << 20)?;
/// assert_eq!(memory.len(), 16 << 20);
///
/// // A host without an allocator for so much gives an array: this one is for a microcontroller.
/// static mut RAM: [u8; 1 << 20] = [0; 1 << 20];
/// // SAFETY: nobody else uses it.
/// let memory = GuestMemory::from_static(unsafe { &mut *(&raw mut RAM) });
/// assert!(memory.len() <= 1 << 20, "whole pages of it");
/// # Ok::<(), nomad86::memory::OutOfMemory>(())
/// ```
pub struct GuestMemory {
    base: NonNull<u8>,
    len: usize,
    owner: Owner,
}

/// Whose a block is.
enum Owner {
    /// Somebody's for good.
    Other,
    /// What the allocator gave, to be given back.
    Allocator(NonNull<u8>, Layout),
    /// What the host keeps it by.
    Host(#[allow(dead_code, reason = "it is dropped with the block")] Box<dyn GuestRam>),
}

/// Memory that a host gives a machine: the value is kept for as long as the memory is used.
///
/// # Safety
/// [`GuestRam::block`] is zeroed memory, aligned to a page, readable and writable, that stays there until the value is
/// dropped. Whoever else has it mapped does not write to it but by what the machine executes.
pub unsafe trait GuestRam: Send {
    /// The memory and its length.
    fn block(&self) -> (NonNull<u8>, usize);
}

// SAFETY: the block is owned exclusively by this value; nothing in it is tied to a thread.
unsafe impl Send for GuestMemory {}

/// Host memory ran out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory {
    /// Bytes that were asked for.
    pub bytes: usize,
}

impl core::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the host has no {} MiB of memory for the guest: choose a smaller -m", self.bytes >> 20)
    }
}

impl core::error::Error for OutOfMemory {}

impl GuestMemory {
    /// Allocates `len` bytes (rounded up to pages) from the global allocator.
    ///
    /// # Errors
    /// When the allocator has no room.
    pub fn allocate(len: usize) -> Result<Self, OutOfMemory> {
        let len = len.next_multiple_of(PAGE).max(PAGE);
        // With the alignment of a word, not of a page: allocators have zeroed memory ready at that alone, and
        // write zeros over all of it at larger ones. Pages that the guest never uses would take memory then.
        let layout = len
            .checked_add(PAGE)
            .and_then(|len| Layout::from_size_align(len, align_of::<usize>()).ok())
            .ok_or(OutOfMemory { bytes: len })?;
        // SAFETY: the layout has a non-zero size.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory { bytes: len })?;
        // SAFETY: less than a page is skipped, which the layout has beyond `len`.
        let base = unsafe { start.add(start.align_offset(PAGE)) };
        Ok(Self { base, len, owner: Owner::Allocator(start, layout) })
    }

    /// Uses a block that the host provides for good, such as a static array; it is zeroed here.
    #[must_use]
    pub fn from_static(block: &'static mut [u8]) -> Self {
        let skip = block.as_ptr().align_offset(PAGE).min(block.len());
        let block = &mut block[skip..];
        let len = block.len() & !(PAGE - 1);
        block.fill(0);
        Self { base: NonNull::from(&mut block[0..]).cast(), len, owner: Owner::Other }
    }

    /// Uses memory that the host mapped itself.
    ///
    /// # Safety
    /// `base` points to `len` zeroed bytes, aligned to a page, readable and writable, that nobody else uses
    /// for as long as this value (or the machine made from it) lives.
    #[must_use]
    pub const unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len, owner: Owner::Other }
    }

    /// Uses memory that the host keeps for the machine.
    #[must_use]
    pub fn from_host(ram: Box<dyn GuestRam>) -> Self {
        let (base, len) = ram.block();
        Self { base, len: len & !(PAGE - 1), owner: Owner::Host(ram) }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        if let Owner::Allocator(start, layout) = self.owner {
            // SAFETY: `allocate` got it with this layout.
            unsafe { dealloc(start.as_ptr(), layout) }
        }
    }
}

/// Flags of a backing page.
pub mod page {
    /// Decoded or translated code lies on the page: a store must go the slow way.
    pub const CODE: u8 = 1 << 0;
    /// The page was written since the display last looked.
    pub const DIRTY: u8 = 1 << 1;
    /// Writes are watched so that [`DIRTY`] can be set: video RAM.
    pub const WATCH: u8 = 1 << 2;
    /// The page was written since the last full or delta snapshot (kept for the rewind feature).
    pub const CHANGED: u8 = 1 << 3;
    /// A page table from which something was derived lies on the page: a store must go the slow way.
    pub const TABLE: u8 = 1 << 4;
    /// The page may be writable in a window of the recompiler.
    pub const WINDOW: u8 = 1 << 5;
}

/// What a physical page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Memory: byte offset of the page in the backing.
    Memory(usize),
    /// Memory that cannot be written: reads give the backing, writes are dropped.
    Rom(usize),
    /// A device answers.
    Io,
    /// Nobody answers: reads give all ones, writes are dropped.
    None,
}

/// How one 4 KiB page under 1 MiB is wired: reads and writes may go to different places (PAM registers).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowPage {
    /// Where reads go.
    pub read: Target,
    /// Where writes go.
    pub write: Target,
}

/// A range of physical addresses above 1 MiB that is not plain RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    start: PhysAddr,
    end: PhysAddr,
    to: Target,
}

/// A set of the 16-byte lines of a page: what holds code. Functions that are compiled begin at such lines, so that
/// one can be written while its neighbours stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Lines([u64; 4]);

impl Lines {
    /// Bytes of a line, as a power of two.
    pub const SHIFT: u32 = 4;

    /// The lines of the bytes of one page from `from` on up to before `to`; what lies behind the page counts as its
    /// end.
    #[must_use]
    pub const fn covering(from: usize, to: usize) -> Self {
        let mut lines = [0; 4];
        if from < to && from < PAGE {
            let last = if to > PAGE { PAGE - 1 } else { to - 1 } >> Self::SHIFT;
            let first = from >> Self::SHIFT;
            let mut word = first / 64;
            while word <= last / 64 {
                let low = if word == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
                let high = if word == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
                lines[word] = low & high;
                word += 1;
            }
        }
        Self(lines)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    /// Those in both sets.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(core::array::from_fn(|n| self.0[n] & other.0[n]))
    }

    /// Those in either set.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(core::array::from_fn(|n| self.0[n] | other.0[n]))
    }

    /// Those that are not in the other set.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(core::array::from_fn(|n| self.0[n] & !other.0[n]))
    }
}

/// A page whose code was overwritten; the engines drop what they made of it at the next boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeWrite {
    /// Number of the backing page.
    pub page: u32,
    /// Offset in the page of the first byte.
    pub from: u16,
    /// Offset behind the last one.
    pub to: u16,
}

const PENDING: usize = 64;

/// The machine's memory and its map.
pub struct Memory {
    block: GuestMemory,
    ram: usize,
    vram: core::ops::Range<usize>,
    rom: core::ops::Range<usize>,
    flags: Vec<u8>,
    code_lines: Vec<Lines>,
    low: Box<[LowPage; 256]>,
    windows: Vec<Window>,
    code_writes: [CodeWrite; PENDING],
    code_write_count: usize,
    code_overflow: bool,
    a20: bool,
    map_changed: bool,
    rearm: bool,
    tables: Tables,
}

impl Memory {
    /// Lays out RAM (`ram` bytes), video RAM and ROM in `block`.
    ///
    /// # Errors
    /// When the block is smaller than the three together.
    pub fn new(block: GuestMemory, ram: usize, vram: usize, rom: usize) -> Result<Self, OutOfMemory> {
        let total = ram + vram + rom;
        if block.len() < total {
            return Err(OutOfMemory { bytes: total });
        }
        let pages = total / PAGE;
        let mut memory = Self {
            block,
            ram,
            vram: ram..ram + vram,
            rom: ram + vram..total,
            flags: vec![0; pages],
            code_lines: vec![Lines::default(); pages],
            low: Box::new([LowPage { read: Target::None, write: Target::None }; 256]),
            windows: Vec::with_capacity(32),
            code_writes: [CodeWrite { page: 0, from: 0, to: 0 }; PENDING],
            code_write_count: 0,
            code_overflow: false,
            a20: true,
            map_changed: false,
            rearm: false,
            tables: Tables::default(),
        };
        for page in 0..256 {
            let at = page * PAGE;
            let to = if (0xA0..0xC0).contains(&page) {
                Target::Io
            } else if at < ram {
                Target::Memory(at)
            } else {
                Target::None
            };
            memory.low[page] = LowPage { read: to, write: to };
        }
        for page in memory.vram.start / PAGE..memory.vram.end / PAGE {
            memory.flags[page] = page::WATCH | page::DIRTY;
        }
        Ok(memory)
    }

    /// RAM in bytes.
    #[must_use]
    pub const fn ram_size(&self) -> usize {
        self.ram
    }

    /// The block that this memory was made of, as the machine left it, for the next one.
    #[must_use]
    pub fn into_block(self) -> GuestMemory {
        self.block
    }

    /// Where video RAM lies in the backing.
    #[must_use]
    pub fn vram_range(&self) -> core::ops::Range<usize> {
        self.vram.clone()
    }

    /// Where ROM lies in the backing.
    #[must_use]
    pub fn rom_range(&self) -> core::ops::Range<usize> {
        self.rom.clone()
    }

    /// Host address of the first byte of the backing.
    #[must_use]
    pub const fn base(&self) -> *mut u8 {
        self.block.base.as_ptr()
    }

    /// Size of the backing in bytes.
    #[must_use]
    pub fn backing_len(&self) -> usize {
        self.flags.len() * PAGE
    }

    /// The whole backing.
    #[must_use]
    pub fn backing(&self) -> &[u8] {
        // SAFETY: the block is at least this long (checked in `new`), initialised, and borrowed with `self`.
        unsafe { core::slice::from_raw_parts(self.block.base.as_ptr(), self.backing_len()) }
    }

    /// The whole backing, writable. Whoever writes code or video RAM through it calls [`Self::touched`].
    pub fn backing_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.block.base.as_ptr(), self.backing_len()) }
    }

    /// Video RAM.
    #[must_use]
    pub fn vram(&self) -> &[u8] {
        &self.backing()[self.vram.clone()]
    }

    /// Video RAM, writable; the caller marks what it dirties with [`Self::touched`].
    pub fn vram_mut(&mut self) -> &mut [u8] {
        let range = self.vram.clone();
        &mut self.backing_mut()[range]
    }

    /// ROM, for loading firmware.
    pub fn rom_mut(&mut self) -> &mut [u8] {
        let range = self.rom.clone();
        &mut self.backing_mut()[range]
    }

    /// Whether the physical map changed since [`Self::take_map_change`].
    #[must_use]
    pub const fn map_changed(&self) -> bool {
        self.map_changed
    }

    /// Takes the note that the physical map changed; the CPU drops its TLB.
    pub fn take_map_change(&mut self) -> bool {
        core::mem::take(&mut self.map_changed)
    }

    /// Opens or closes the A20 gate.
    pub fn set_a20(&mut self, open: bool) {
        if self.a20 != open {
            self.a20 = open;
            self.map_changed = true;
        }
    }

    /// Whether address line 20 works.
    #[must_use]
    pub const fn a20(&self) -> bool {
        self.a20
    }

    /// Rewires one page under 1 MiB.
    pub fn map_low(&mut self, page: usize, read: Target, write: Target) {
        let new = LowPage { read, write };
        if self.low[page & 255] != new {
            self.low[page & 255] = new;
            self.map_changed = true;
        }
    }

    /// Maps `len` bytes at `start` (both multiples of a page) above 1 MiB; later mappings win.
    pub fn map(&mut self, start: PhysAddr, len: u64, to: Target) {
        self.unmap(start);
        if self.windows.len() < self.windows.capacity() {
            self.windows.push(Window { start, end: start.saturating_add(len), to });
        }
        self.map_changed = true;
    }

    /// Takes the mapping that starts at `start` away.
    pub fn unmap(&mut self, start: PhysAddr) {
        let before = self.windows.len();
        self.windows.retain(|w| w.start != start);
        if before != self.windows.len() {
            self.map_changed = true;
        }
    }

    /// The physical address after the A20 gate.
    #[must_use]
    pub const fn gate(&self, at: PhysAddr) -> PhysAddr {
        if self.a20 { at } else { at & !(1 << 20) }
    }

    /// What the page of `at` is for a read or a write. The A20 gate is applied.
    #[must_use]
    pub fn target(&self, at: PhysAddr, write: bool) -> Target {
        let at = self.gate(at) & !(PAGE as u64 - 1);
        if at < 0x10_0000 {
            let low = &self.low[(at >> 12) as usize];
            return if write { low.write } else { low.read };
        }
        for w in self.windows.iter().rev() {
            if (w.start..w.end).contains(&at) {
                let offset = (at - w.start) as usize;
                return match w.to {
                    Target::Memory(base) => Target::Memory(base + offset),
                    Target::Rom(base) => Target::Rom(base + offset),
                    other => other,
                };
            }
        }
        if at < self.ram as u64 { Target::Memory(at as usize) } else { Target::None }
    }

    /// Notes that the backing page of `offset` may be writable in a window, or is so no more.
    pub(crate) fn set_in_window(&mut self, offset: usize, writable: bool) {
        if let Some(flags) = self.flags.get_mut(offset / PAGE) {
            *flags = *flags & !page::WINDOW | if writable { page::WINDOW } else { 0 };
        }
    }

    /// Flags of the backing page of `offset`.
    #[must_use]
    pub fn flags(&self, offset: usize) -> u8 {
        self.flags.get(offset / PAGE).copied().unwrap_or(0)
    }

    /// Reads up to 8 bytes of memory at a physical address, byte by byte across pages; `None` where a device
    /// would have to answer. Unmapped and short memory reads as all ones.
    #[must_use]
    pub fn read(&self, at: PhysAddr, bytes: &mut [u8]) -> bool {
        let mut at = at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let in_page = (PAGE - (at as usize & (PAGE - 1))).min(rest.len());
            let (head, tail) = rest.split_at_mut(in_page);
            match self.target(at, false) {
                Target::Memory(base) | Target::Rom(base) => {
                    let from = base + (at as usize & (PAGE - 1));
                    head.copy_from_slice(&self.backing()[from..from + in_page]);
                }
                Target::None => head.fill(0xFF),
                Target::Io => return false,
            }
            at = at.wrapping_add(in_page as u64);
            rest = tail;
        }
        true
    }

    /// Writes bytes at a physical address (DMA, firmware loading, page-table bits): dirty and code pages are
    /// noted. Writes to ROM and nowhere are dropped; false where a device would have to answer.
    pub fn write(&mut self, at: PhysAddr, bytes: &[u8]) -> bool {
        let mut at = at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let in_page = (PAGE - (at as usize & (PAGE - 1))).min(rest.len());
            let (head, tail) = rest.split_at(in_page);
            match self.target(at, true) {
                Target::Memory(base) => {
                    let to = base + (at as usize & (PAGE - 1));
                    self.touched(to, in_page);
                    self.backing_mut()[to..to + in_page].copy_from_slice(head);
                }
                Target::Rom(_) | Target::None => {}
                Target::Io => return false,
            }
            at = at.wrapping_add(in_page as u64);
            rest = tail;
        }
        true
    }

    /// Notes that `len` bytes at backing `offset` are written: dirties watched pages, queues code writes.
    pub fn touched(&mut self, offset: usize, len: usize) {
        let mut at = offset;
        let end = (offset + len).min(self.backing_len());
        while at < end {
            let page = at / PAGE;
            let stop = ((page + 1) * PAGE).min(end);
            let flags = &mut self.flags[page];
            if *flags & (page::CODE | page::WATCH | page::TABLE) != 0 {
                if *flags & page::WATCH != 0 {
                    *flags |= page::DIRTY;
                }
                if *flags & page::CODE != 0 {
                    let (from, to) = (at - page * PAGE, stop - page * PAGE);
                    if !Lines::covering(from, to).common(self.code_lines[page]).is_empty() {
                        let (from, to) = (from as u16, to as u16);
                        self.queue_code_write(CodeWrite { page: page as u32, from, to });
                    }
                }
                if self.flags[page] & page::TABLE != 0 {
                    self.note_table(page, at - page * PAGE, stop - page * PAGE);
                }
            }
            at = stop;
        }
    }

    fn queue_code_write(&mut self, write: CodeWrite) {
        let queued = &mut self.code_writes[..self.code_write_count];
        if let Some(same) = queued.iter_mut().find(|w| w.page == write.page) {
            (same.from, same.to) = (same.from.min(write.from), same.to.max(write.to));
        } else if self.code_write_count < PENDING {
            self.code_writes[self.code_write_count] = write;
            self.code_write_count += 1;
        } else {
            self.code_overflow = true;
        }
    }

    /// Whether code was overwritten since the last of them was taken.
    #[must_use]
    pub const fn code_written(&self) -> bool {
        self.code_write_count != 0 || self.code_overflow
    }

    /// The next overwritten piece of code.
    pub fn take_code_write(&mut self) -> Option<CodeWrite> {
        self.code_write_count = self.code_write_count.checked_sub(1)?;
        Some(self.code_writes[self.code_write_count])
    }

    /// True (once) when more code was overwritten than could be noted: drop everything.
    pub fn take_code_overflow(&mut self) -> bool {
        core::mem::take(&mut self.code_overflow)
    }

    /// Marks lines of a backing page as holding code. Returns whether the page held none before, in which
    /// case writable TLB entries for it must go.
    pub fn mark_code(&mut self, offset: usize, len: usize) -> bool {
        let page = offset / PAGE;
        if page >= self.flags.len() || len == 0 {
            return false;
        }
        let from = offset & (PAGE - 1);
        let lines = &mut self.code_lines[page];
        *lines = lines.with(Lines::covering(from, from + len));
        let new = self.flags[page] & page::CODE == 0;
        self.flags[page] |= page::CODE;
        new
    }

    /// Lines of a backing page that hold code.
    #[must_use]
    pub fn code_lines(&self, page: u32) -> Lines {
        self.code_lines.get(page as usize).copied().unwrap_or_default()
    }

    /// Host address of the set of lines of a backing page that hold code.
    pub(crate) fn code_lines_at(&self, offset: usize) -> usize {
        self.code_lines.get(offset / PAGE).map_or(0, |lines| core::ptr::from_ref(lines).expose_provenance())
    }

    /// Replaces the lines of a backing page that hold code; none clears the page's flag.
    pub fn set_code_lines(&mut self, page: u32, lines: Lines) {
        if let Some(slot) = self.code_lines.get_mut(page as usize) {
            *slot = lines;
            if lines.is_empty() {
                self.flags[page as usize] &= !page::CODE;
            }
        }
    }

    /// Forgets all code pages.
    pub fn clear_code(&mut self) {
        for (flags, lines) in self.flags.iter_mut().zip(&mut self.code_lines) {
            *flags &= !page::CODE;
            *lines = Lines::default();
        }
        self.code_write_count = 0;
        self.code_overflow = false;
    }

    /// Takes the dirty bit of the video RAM page that holds `offset` (in video RAM). The machine then asks
    /// the CPU to notice the next store to watched pages again ([`Self::take_rearm`]).
    pub fn take_vram_dirty(&mut self, offset: usize) -> bool {
        let Some(flags) = self.flags.get_mut((self.vram.start + offset) / PAGE) else { return false };
        let dirty = *flags & page::DIRTY != 0;
        *flags &= !page::DIRTY;
        self.rearm |= dirty;
        dirty
    }

    /// Whether dirty bits were taken since the last call.
    pub fn take_rearm(&mut self) -> bool {
        core::mem::take(&mut self.rearm)
    }

    /// Marks all of video RAM dirty.
    pub fn dirty_vram(&mut self) {
        for page in self.vram.start / PAGE..self.vram.end / PAGE {
            self.flags[page] |= page::DIRTY;
        }
    }

    /// Asks the CPU to drop its TLB.
    pub const fn changed(&mut self) {
        self.map_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        let block = GuestMemory::allocate(4 << 20).unwrap();
        Memory::new(block, 2 << 20, 1 << 20, 256 << 10).unwrap()
    }

    #[test]
    fn writes_to_code_lines_are_queued_once_per_page() {
        let mut m = memory();
        assert!(m.mark_code(0x1_0040, 10));
        assert!(!m.mark_code(0x1_00C0, 1));
        m.write(0x1_0000, &[1; 0x40]);
        m.write(0x1_0050, &[1; 0x70]);
        m.write(0x1_00D0, &[1; 0xF30]);
        assert!(!m.code_written());
        m.write(0x1_0030, &[1; 0x100]);
        m.write(0x1_0041, &[1]);
        let write = m.take_code_write().unwrap();
        assert_eq!(write, CodeWrite { page: 0x10, from: 0x30, to: 0x130 });
        assert_eq!(m.take_code_write(), None);
    }

    #[test]
    fn lines_cover_the_bytes_given_and_nothing_else() {
        for (from, to) in [
            (0, 0),
            (0, 1),
            (15, 17),
            (16, 32),
            (0, 4096),
            (1000, 1100),
            (1023, 1025),
            (4095, 5000),
            (0, 1024),
        ] {
            let lines = Lines::covering(from, to);
            for line in 0..256 {
                let one = Lines::covering(line * 16, line * 16 + 16);
                let covered = line * 16 < to && from < line * 16 + 16;
                assert_eq!(!lines.common(one).is_empty(), covered, "{from:#x} to {to:#x}, line {line}");
                assert_eq!(lines.without(one).common(one), Lines::default());
            }
        }
    }

    #[test]
    fn a20_masks_bit_20_only() {
        let mut m = memory();
        m.write(0x10, &[7]);
        m.set_a20(false);
        let mut byte = [0];
        assert!(m.read(0x10_0010, &mut byte));
        assert_eq!(byte, [7]);
        m.set_a20(true);
        assert!(m.read(0x10_0010, &mut byte));
        assert_eq!(byte, [0]);
    }

    #[test]
    fn rom_drops_writes_and_nothing_reads_as_ones() {
        let mut m = memory();
        let rom = m.rom_range().start;
        m.rom_mut()[5] = 0x55;
        m.map(0xFFFC_0000, 256 << 10, Target::Rom(rom));
        m.write(0xFFFC_0005, &[1]);
        let mut bytes = [0; 2];
        assert!(m.read(0xFFFC_0005, &mut bytes));
        assert_eq!(bytes, [0x55, 0]);
        assert!(m.read(0x8000_0000, &mut bytes));
        assert_eq!(bytes, [0xFF, 0xFF]);
        assert!(!m.read(0xA_0000, &mut bytes));
    }
}
