//! Decoded blocks: the cache that the interpreter executes from and that a recompiler starts from.
//!
//! A block is a run of instructions from one physical address, decoded under one set of mode bits, that ends
//! at a branch, at an instruction that may change the mode, at the end of the page or at [`MAX_BLOCK`]. The
//! last instruction may reach into the next page; the block then depends on that page as well.

use crate::isa::Inst;
use crate::memory::{CodeWrite, Memory, PhysAddr};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// The most instructions in a block.
pub const MAX_BLOCK: usize = 64;
/// No block.
pub const NONE: u32 = u32::MAX;

/// Mode bits that blocks depend on.
pub mod mode {
    /// CS.D: 32-bit defaults.
    pub const CODE32: u32 = 1 << 0;
    /// For recompilers: each access is checked by itself.
    pub const ALONE: u32 = 1 << 1;
    /// CS, SS, DS and ES are flat 32-bit segments: offsets are linear addresses.
    pub const FLAT: u32 = 1 << 2;
    /// SS.B: ESP is the stack pointer, not SP.
    pub const STACK32: u32 = 1 << 3;
    /// Loads of ES, DS, FS and GS set selector and base and nothing else: real and virtual-8086 mode.
    pub const PARAGRAPHS: u32 = 1 << 4;
    /// The segment register `n` is flat; known of ES, SS and DS.
    pub const FLAT_SEGMENT: u32 = 1 << 5;
    /// Bits in use.
    pub const BITS: u32 = 9;

    /// Whether accesses through a segment register need neither base nor limit.
    #[must_use]
    pub const fn is_flat(mode: u32, segment: u8) -> bool {
        matches!(segment, 0 | 2 | 3) && mode & FLAT_SEGMENT << segment != 0
    }
}

/// Where in a code segment a block lies. Code of flat segments lies [`Home::ANYWHERE`]: it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Home {
    /// Offset of its first byte.
    pub eip: u32,
    /// Base of the segment.
    pub base: u32,
    /// Offset of the segment's last byte.
    pub limit: u32,
}

impl Home {
    /// That of flat code.
    pub const ANYWHERE: Self = Self { eip: 0, base: 0, limit: u32::MAX };

    /// Linear address of its first byte.
    #[must_use]
    pub const fn linear(self) -> u32 {
        self.base.wrapping_add(self.eip)
    }

    /// That of code `by` bytes on in the same mode.
    #[must_use]
    pub const fn moved(self, by: u32, mode: u32) -> Self {
        if mode & mode::FLAT != 0 { self } else { Self { eip: self.eip.wrapping_add(by), ..self } }
    }
}

/// A decoded block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Physical address of its first byte.
    pub phys: PhysAddr,
    /// Physical address of the page that its last instruction reaches into, if it does.
    pub second: Option<PhysAddr>,
    /// Mode bits.
    pub mode: u32,
    /// Where in its segment it lies.
    pub home: Home,
    /// First instruction in the arena.
    pub first: u32,
    /// Number of instructions.
    pub count: u16,
    /// Bytes.
    pub len: u16,
    /// Still to be used.
    pub live: bool,
    /// Times entered, saturating: heat for recompilers.
    pub heat: u16,
    /// Next block in the same hash list.
    next_hash: u32,
    /// Next block on the same backing page.
    next_page: u32,
    /// Next block whose second page is the same.
    next_second: u32,
    /// Instructions that there is room for at `first`.
    room: u16,
    /// Tells it from other blocks that had its number.
    stamp: u32,
    /// Lists of pages that it is in.
    linked: u8,
    /// Backing pages (`u32::MAX` when not in the backing).
    page: u32,
    second_page: u32,
}

impl Block {
    /// Whether all of it lies in the backing, where reading it again gives the same.
    #[must_use]
    pub const fn backed(&self) -> bool {
        self.page != NONE && (self.second.is_none() || self.second_page != NONE)
    }
}

/// A recent entry point: linear address to block.
#[derive(Clone, Copy)]
struct Recent {
    eip: u32,
    epoch: u64,
    block: u32,
    stamp: u32,
}

const NO_ENTRY: Recent = Recent { eip: 0, epoch: 0, block: NONE, stamp: 0 };

const HASH: usize = if cfg!(feature = "small-tlb") { 1 << 12 } else { 1 << 16 };
const RECENT: usize = 1 << 12;

/// Sizes of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheSize {
    /// Instructions.
    pub instructions: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Default for CacheSize {
    fn default() -> Self {
        // Large programs in large systems enter 300,000 blocks within seconds; what does not fit is decoded and
        // translated again and again. Host memory is taken as it is used. Half a MiB for hosts that have little.
        if cfg!(feature = "small-tlb") {
            Self { instructions: 12 << 10, blocks: 3 << 10 }
        } else {
            Self { instructions: 1 << 20, blocks: 192 << 10 }
        }
    }
}

/// Counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheStats {
    /// Blocks decoded.
    pub decoded: u64,
    /// Times that everything was dropped because the cache was full.
    pub full_flushes: u64,
    /// Blocks dropped because their bytes were overwritten.
    pub invalidated: u64,
    /// Entries that were not among the recent ones.
    pub recent_misses: u64,
}

/// The cache.
pub struct BlockCache {
    insts: Vec<Inst>,
    blocks: Vec<Block>,
    hash: Box<[u32]>,
    pages: Vec<u32>,
    seconds: Vec<u32>,
    recent: Box<[Recent]>,
    /// Numbers of blocks that are no more, by the instructions there is room for: heads of lists.
    free: [u32; MAX_BLOCK + 1],
    stamps: u32,
    size: CacheSize,
    /// Counts how often everything was dropped, so that a recompiler notices.
    pub generation: u32,
    /// Counters.
    pub stats: CacheStats,
}

impl BlockCache {
    /// An empty cache for a machine whose backing has `pages` pages. Allocates all that it will ever use.
    #[must_use]
    pub fn new(pages: usize, size: CacheSize) -> Self {
        Self {
            insts: Vec::with_capacity(size.instructions),
            blocks: Vec::with_capacity(size.blocks),
            hash: vec![NONE; HASH].into_boxed_slice(),
            pages: vec![NONE; pages],
            seconds: vec![NONE; pages],
            recent: vec![NO_ENTRY; RECENT].into_boxed_slice(),
            free: [NONE; MAX_BLOCK + 1],
            stamps: 0,
            size,
            generation: 0,
            stats: CacheStats::default(),
        }
    }

    const fn hash(phys: PhysAddr, mode: u32) -> usize {
        let x = (phys as u32).wrapping_mul(0x9E37_79B1) ^ mode.wrapping_mul(0x85EB_CA6B);
        (x >> 16) as usize & (HASH - 1)
    }

    /// The block that was last entered at this linear address under the same epoch.
    #[inline(always)]
    #[must_use]
    pub fn recent(&self, linear: u32, epoch: u64) -> Option<u32> {
        let r = &self.recent[linear as usize & (RECENT - 1)];
        if r.eip != linear || r.epoch != epoch || r.block == NONE {
            return None;
        }
        let block = &self.blocks[r.block as usize];
        (block.live && block.stamp == r.stamp).then_some(r.block)
    }

    /// Remembers an entry point.
    pub fn remember(&mut self, linear: u32, epoch: u64, block: u32) {
        let stamp = self.blocks[block as usize].stamp;
        self.recent[linear as usize & (RECENT - 1)] = Recent { eip: linear, epoch, block, stamp };
    }

    /// Looks a block up by its key.
    pub fn find(&mut self, phys: PhysAddr, mode: u32, home: Home) -> Option<u32> {
        self.stats.recent_misses += 1;
        self.peek(phys, mode, home)
    }

    /// The same, uncounted.
    #[must_use]
    pub fn peek(&self, phys: PhysAddr, mode: u32, home: Home) -> Option<u32> {
        let mut at = self.hash[Self::hash(phys, mode)];
        while at != NONE {
            let b = &self.blocks[at as usize];
            if b.live && b.phys == phys && b.mode == mode && b.home == home {
                return Some(at);
            }
            at = b.next_hash;
        }
        None
    }

    /// A block.
    #[inline(always)]
    #[must_use]
    pub fn block(&self, number: u32) -> &Block {
        &self.blocks[number as usize]
    }

    /// Counts an entry into a block; how many there were.
    pub fn warm(&mut self, number: u32) -> u16 {
        let heat = &mut self.blocks[number as usize].heat;
        *heat = heat.saturating_add(1);
        *heat
    }

    /// Blocks that the cache can hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.size.blocks
    }

    /// A block's instructions.
    #[inline(always)]
    #[must_use]
    pub fn insts(&self, number: u32) -> &[Inst] {
        let b = &self.blocks[number as usize];
        &self.insts[b.first as usize..b.first as usize + usize::from(b.count)]
    }

    /// Calls `check` with each live block and its instructions (for tests of the invariants).
    pub fn visit(&self, mut check: impl FnMut(&Block, &[Inst])) {
        for (number, block) in (0..).zip(&self.blocks) {
            if block.live {
                check(block, self.insts(number));
            }
        }
    }

    /// Makes room for a block's worth of instructions, by dropping everything if need be.
    pub fn reserve(&mut self, memory: &mut Memory) {
        if self.insts.len() + MAX_BLOCK > self.size.instructions || self.blocks.len() >= self.size.blocks {
            self.stats.full_flushes += 1;
            self.clear(memory);
        }
    }

    /// Adds a block ([`Self::reserve`] was called). `page` and `second_page` are backing offsets of the bytes
    /// it was decoded from, if they lie in the backing; its instructions' `end` fields are filled in here.
    pub fn add(
        &mut self,
        phys: PhysAddr,
        (mode, home): (u32, Home),
        insts: &[Inst],
        page: Option<usize>,
        second: Option<(PhysAddr, Option<usize>)>,
    ) -> u32 {
        let (number, first, room) = self.place(insts.len());
        let mut end = 0;
        for (n, i) in insts.iter().enumerate() {
            end += u16::from(i.len);
            let i = Inst { end, ..*i };
            match self.insts.get_mut(first as usize + n) {
                Some(place) => *place = i,
                None => self.insts.push(i),
            }
        }
        self.stamps = self.stamps.wrapping_add(1);
        let index = |offset: Option<usize>| offset.map_or(NONE, |o| (o / crate::memory::PAGE) as u32);
        let slot = Self::hash(phys, mode);
        let page = index(page);
        let second_page = index(second.and_then(|s| s.1));
        let mut block = Block {
            phys,
            second: second.map(|s| s.0),
            mode,
            home,
            first,
            count: insts.len() as u16,
            len: end,
            live: true,
            heat: 0,
            next_hash: self.hash[slot],
            next_page: NONE,
            next_second: NONE,
            room,
            stamp: self.stamps,
            linked: 0,
            page,
            second_page,
        };
        self.hash[slot] = number;
        if let Some(head) = self.pages.get_mut(page as usize) {
            block.next_page = core::mem::replace(head, number);
            block.linked += 1;
        }
        if let Some(head) = self.seconds.get_mut(second_page as usize) {
            block.next_second = core::mem::replace(head, number);
            block.linked += 1;
        }
        match self.blocks.get_mut(number as usize) {
            Some(place) => *place = block,
            None => self.blocks.push(block),
        }
        self.stats.decoded += 1;
        number
    }

    /// A number and room for a block of `count` instructions: those of a block that is no more, or new ones.
    fn place(&mut self, count: usize) -> (u32, u32, u16) {
        /// Room that may be wasted.
        const SPARE: usize = 4;
        for room in count..=(count + SPARE).min(MAX_BLOCK) {
            let number = self.free[room];
            if let Some(block) = self.blocks.get(number as usize) {
                self.free[room] = block.next_hash;
                return (number, block.first, block.room);
            }
        }
        (self.blocks.len() as u32, self.insts.len() as u32, count as u16)
    }

    /// A block that is in no page's list any more leaves its number and room to others.
    fn release(&mut self, number: u32) {
        self.unlink_hash(number);
        let block = &mut self.blocks[number as usize];
        block.next_hash = core::mem::replace(&mut self.free[usize::from(block.room)], number);
    }

    /// Drops blocks that have overwritten bytes of a backing page, and recomputes which lines of the page still hold
    /// code.
    pub fn invalidate(&mut self, write: CodeWrite, memory: &mut Memory, mut dropped_block: impl FnMut(u32)) {
        let CodeWrite { page, lines, .. } = write;
        let hits =
            |from: usize, len: usize| from < usize::from(write.to) && usize::from(write.from) < from + len;
        let mut left = 0;
        let mut dropped = 0;
        // Pages that dropped blocks begin on or reach into.
        let mut others = [NONE; 2];
        let Some(&head) = self.pages.get(page as usize) else { return };
        let mut at = head;
        while at != NONE {
            let b = &mut self.blocks[at as usize];
            let from = b.phys as usize & 0xFFF;
            let covered = line_mask(from, usize::from(b.len));
            if b.live && covered & lines != 0 && hits(from, usize::from(b.len)) {
                b.live = false;
                if b.second_page != NONE {
                    others[0] = b.second_page;
                }
                dropped += 1;
                dropped_block(at);
            } else if b.live {
                left |= covered;
            }
            at = b.next_page;
        }
        let mut at = self.seconds[page as usize];
        while at != NONE {
            let b = &mut self.blocks[at as usize];
            let over = (b.phys as usize & 0xFFF) + usize::from(b.len) - 0x1000;
            let covered = line_mask(0, over);
            if b.live && covered & lines != 0 && hits(0, over) {
                b.live = false;
                others[1] = b.page;
                dropped += 1;
                dropped_block(at);
            } else if b.live {
                left |= covered;
            }
            at = b.next_second;
        }
        // Dead blocks are unlinked, so that a page that is written over and over does not grow a list.
        self.prune(page);
        for other in others.into_iter().filter(|&other| other != NONE) {
            self.prune(other);
        }
        self.stats.invalidated += dropped;
        memory.set_code_lines(page, left);
    }

    /// Takes dead blocks out of a page's lists.
    fn prune(&mut self, page: u32) {
        let heads = (self.pages[page as usize], self.seconds[page as usize]);
        self.pages[page as usize] = self.prune_list(heads.0, |block| &mut block.next_page);
        self.seconds[page as usize] = self.prune_list(heads.1, |block| &mut block.next_second);
    }

    /// The same for one list; gives its new head.
    fn prune_list(&mut self, head: u32, next: fn(&mut Block) -> &mut u32) -> u32 {
        let (mut first, mut last, mut at) = (NONE, NONE, head);
        while at != NONE {
            let number = at;
            let block = &mut self.blocks[number as usize];
            at = *next(block);
            if !block.live {
                block.linked -= 1;
                if block.linked == 0 {
                    self.release(number);
                }
                continue;
            }
            *next(block) = NONE;
            match self.blocks.get_mut(last as usize) {
                Some(last) => *next(last) = number,
                None => first = number,
            }
            last = number;
        }
        first
    }

    fn unlink_hash(&mut self, number: u32) {
        let b = self.blocks[number as usize];
        let slot = Self::hash(b.phys, b.mode);
        if self.hash[slot] == number {
            self.hash[slot] = b.next_hash;
            return;
        }
        let mut at = self.hash[slot];
        while at != NONE {
            let next = self.blocks[at as usize].next_hash;
            if next == number {
                self.blocks[at as usize].next_hash = b.next_hash;
                return;
            }
            at = next;
        }
    }

    /// Drops everything.
    pub fn clear(&mut self, memory: &mut Memory) {
        self.generation = self.generation.wrapping_add(1);
        for b in &self.blocks {
            for page in [b.page, b.second_page] {
                if let Some(head) = self.pages.get_mut(page as usize) {
                    *head = NONE;
                    self.seconds[page as usize] = NONE;
                }
            }
        }
        self.insts.clear();
        self.blocks.clear();
        self.hash.fill(NONE);
        self.recent.fill(NO_ENTRY);
        self.free.fill(NONE);
        memory.clear_code();
    }
}

/// Lines touched by `len` bytes from `from` on, within one page.
const fn line_mask(from: usize, len: usize) -> u64 {
    if len == 0 {
        return 0;
    }
    let last = from + len - 1;
    let last = if last > 0xFFF { 63 } else { last / 64 };
    (u64::MAX << (from / 64)) & (u64::MAX >> (63 - last))
}
