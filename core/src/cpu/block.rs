//! Decoded blocks: the cache that the interpreter executes from and that a recompiler starts from.
//!
//! A block is a run of instructions from one physical address, decoded under one set of mode bits, that ends
//! at a branch, at an instruction that may change the mode, at the end of the page or at [`MAX_BLOCK`]. The
//! last instruction may reach into the next page; the block then depends on that page as well.

use crate::isa::Inst;
use crate::jit::Jit;
use crate::memory::{CodeWrite, Lines, Memory, PAGE, PhysAddr, Target};
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
    /// The segment register `n` is flat; known of ES, SS and DS: bits 5, 7 and 8.
    pub const FLAT_SEGMENT: u32 = 1 << 5;
    /// For recompilers: user's code with flat segments, while a window of its address space is there.
    pub const WINDOW: u32 = 1 << 6;
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
    /// Its bytes were overwritten; when it is entered again and they have become the same, it is live again.
    parked: bool,
    /// Immediate operands became others since a recompiler last asked.
    pub changed: bool,
    /// They have done so, ever.
    pub varies: bool,
    /// Where its bytes are kept, or [`NO_IMAGE`].
    image: u16,
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

    /// Offset in the backing of its bytes on its first page, and how many they are.
    #[must_use]
    pub const fn backing(&self) -> (usize, usize) {
        let part = self.part(false);
        (self.page as usize * PAGE + part.start, part.end - part.start)
    }

    /// The bytes of its page that it has, or those of the second.
    const fn part(&self, second: bool) -> core::ops::Range<usize> {
        let from = self.phys as usize & (PAGE - 1);
        let to = from + self.len as usize;
        if second { 0..to.saturating_sub(PAGE) } else { from..to }
    }
}

/// A recent entry point: linear address to live block, with what it takes to execute it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Recent {
    linear: u32,
    /// The block's number.
    pub block: u32,
    epoch: u64,
    first: u32,
    count: u16,
    /// Bytes.
    pub len: u16,
}

const NO_ENTRY: Recent = Recent { linear: 0, block: NONE, epoch: 0, first: 0, count: 0, len: 0 };

const HASH: usize = if cfg!(feature = "small-tlb") { 1 << 12 } else { 1 << 18 };
/// A multiple of the size of a page, so that it is known where a block may stand.
const RECENT: usize = if cfg!(feature = "small-tlb") { PAGE } else { 4 * PAGE };
/// Blocks whose bytes were overwritten that are kept, at most; of one page; at one address.
const PARKED: usize = 1 << 13;
/// Bytes of a block that is kept as an image, at most, and such blocks.
const IMAGE: usize = 256;
const IMAGES: usize = 1 << 13;
const NO_IMAGE: u16 = u16::MAX;
const PARKED_IN_PAGE: usize = 64;
const PARKED_THERE: usize = 2;

/// The bytes of a block.
#[derive(Clone)]
struct Image {
    bytes: [u8; IMAGE],
    /// 0 for bytes of immediate operands that may change, FFh for all others.
    mask: [u8; IMAGE],
    /// Sizes of the instructions' immediate operands.
    sizes: [u8; MAX_BLOCK],
}

/// What becomes of a block whose bytes were overwritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It may come back.
    Parked,
    /// Its number will be another's.
    Dropped,
}

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
    /// Blocks left because their bytes were overwritten.
    pub invalidated: u64,
    /// Of these, those that were entered again with the same instructions, immediate operands aside.
    pub revived: u64,
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
    /// Blocks that were parked last, with their stamps: those before them are dropped.
    parked: Box<[(u32, u32)]>,
    next_parked: usize,
    /// Bytes of blocks that are overwritten over and over, and which of these places are free.
    images: Vec<Image>,
    free_images: Vec<u16>,
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
        // All that there may be: nothing is allocated while the guest runs.
        let images = IMAGES.min(size.blocks / 8);
        Self {
            insts: Vec::with_capacity(size.instructions),
            blocks: Vec::with_capacity(size.blocks),
            hash: vec![NONE; HASH].into_boxed_slice(),
            pages: vec![NONE; pages],
            seconds: vec![NONE; pages],
            recent: vec![NO_ENTRY; RECENT].into_boxed_slice(),
            free: [NONE; MAX_BLOCK + 1],
            stamps: 0,
            parked: vec![(NONE, 0); PARKED.min(size.blocks / 8)].into_boxed_slice(),
            next_parked: 0,
            images: Vec::with_capacity(images),
            free_images: Vec::with_capacity(images),
            size,
            generation: 0,
            stats: CacheStats::default(),
        }
    }

    const fn hash(phys: PhysAddr, mode: u32) -> usize {
        let x = (phys as u32).wrapping_mul(0x9E37_79B1) ^ mode.wrapping_mul(0x85EB_CA6B);
        (x >> (32 - HASH.trailing_zeros())) as usize
    }

    /// The live block that was entered at a linear address in this epoch, if it is still known.
    #[inline(always)]
    #[must_use]
    pub fn recent(&self, linear: u32, epoch: u64) -> Option<&Recent> {
        let r = &self.recent[linear as usize & (RECENT - 1)];
        (r.linear == linear && r.epoch == epoch && r.block != NONE).then_some(r)
    }

    /// Its instructions.
    #[inline(always)]
    #[must_use]
    pub fn insts_of(&self, r: &Recent) -> &[Inst] {
        &self.insts[r.first as usize..r.first as usize + usize::from(r.count)]
    }

    /// Remembers an entry point.
    pub fn remember(&mut self, linear: u32, epoch: u64, block: u32) {
        let &Block { first, count, len, .. } = &self.blocks[block as usize];
        self.recent[linear as usize & (RECENT - 1)] = Recent { linear, block, epoch, first, count, len };
    }

    /// A block is not live any more.
    fn forget(recent: &mut [Recent], number: u32, phys: PhysAddr) {
        // Wherever its page appears, its offset in it is the same.
        for r in recent[phys as usize & (PAGE - 1)..].iter_mut().step_by(PAGE) {
            if r.block == number {
                *r = NO_ENTRY;
            }
        }
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
            let i = Inst { end, number: n as u8, ..*i };
            match self.insts.get_mut(first as usize + n) {
                Some(place) => *place = i,
                None => self.insts.push(i),
            }
        }
        self.stamps = self.stamps.wrapping_add(1);
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
            parked: false,
            changed: false,
            varies: false,
            image: NO_IMAGE,
            heat: 0,
            next_hash: self.hash[slot],
            next_page: NONE,
            next_second: NONE,
            room,
            stamp: self.stamps,
            page,
            second_page,
        };
        self.hash[slot] = number;
        if let Some(head) = self.pages.get_mut(page as usize) {
            block.next_page = core::mem::replace(head, number);
        }
        if let Some(head) = self.seconds.get_mut(second_page as usize) {
            block.next_second = core::mem::replace(head, number);
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

    /// Deals with all blocks whose bytes were overwritten.
    pub fn drop_overwritten(&mut self, memory: &mut Memory, mut jit: Option<&mut Jit>) {
        if memory.take_code_overflow() {
            self.clear(memory);
            if let Some(jit) = jit {
                jit.follow(self.generation);
            }
            return;
        }
        while let Some(write) = memory.take_code_write() {
            self.invalidate(write, memory, |block, fate| {
                if let Some(jit) = jit.as_deref_mut() {
                    jit.overwritten(block, fate);
                }
            });
        }
    }

    /// Deals with blocks that have overwritten bytes of a backing page, and recomputes which lines of the page still
    /// hold code. Most code that is written anew has the same instructions with other immediate operands (inline
    /// caches, patched constants and targets, what a compiler makes of one template), or the same altogether: blocks
    /// are parked, until it is known what follows.
    pub fn invalidate(&mut self, write: CodeWrite, memory: &mut Memory, mut fate: impl FnMut(u32, Fate)) {
        let CodeWrite { page, from, to } = write;
        let (from, to) = (usize::from(from), usize::from(to));
        let hits = |part: core::ops::Range<usize>| part.start < to && from < part.end;
        // Lines that blocks are taken off, on this page and others.
        let mut off = Lines::default();
        let mut parked = 0;
        let mut first = NONE;
        for seconds in [false, true] {
            let lists = if seconds { &self.seconds } else { &self.pages };
            let Some(&head) = lists.get(page as usize) else { return };
            let mut at = head;
            while at != NONE {
                let number = at;
                let b = &mut self.blocks[number as usize];
                at = if seconds { b.next_second } else { b.next_page };
                let part = b.part(seconds);
                if !b.live {
                    parked += 1;
                    if parked > PARKED_IN_PAGE {
                        first = number;
                    }
                } else if hits(part.clone()) {
                    (b.live, b.parked) = (false, true);
                    Self::forget(&mut self.recent, number, b.phys);
                    self.stats.invalidated += 1;
                    off = off.with(Lines::covering(part.start, part.end));
                    fate(number, Fate::Parked);
                    if b.second_page != NONE {
                        let other = if seconds { b.page } else { b.second_page };
                        let part = b.part(!seconds);
                        self.uncover(other, Lines::covering(part.start, part.end), memory);
                    }
                    self.park(number, &mut fate);
                }
            }
        }
        if first != NONE && self.blocks[first as usize].parked {
            self.drop_parked(first, &mut fate);
        }
        if !off.is_empty() {
            self.uncover(page, off, memory);
        }
    }

    /// Recomputes which of some lines of a backing page hold code.
    fn uncover(&self, page: u32, off: Lines, memory: &mut Memory) {
        let mut left = memory.code_lines(page).without(off);
        for seconds in [false, true] {
            let lists = if seconds { &self.seconds } else { &self.pages };
            let mut at = lists.get(page as usize).copied().unwrap_or(NONE);
            while at != NONE {
                let b = &self.blocks[at as usize];
                at = if seconds { b.next_second } else { b.next_page };
                if b.live {
                    let part = b.part(seconds);
                    left = left.with(Lines::covering(part.start, part.end).common(off));
                }
            }
        }
        memory.set_code_lines(page, left);
    }

    /// Enters a block among those that are parked; the one that has been so for longest is dropped.
    fn park(&mut self, number: u32, fate: &mut impl FnMut(u32, Fate)) {
        // Of those at the same address, too.
        let b = self.blocks[number as usize];
        let (mut there, mut at, mut last) = (0, self.hash[Self::hash(b.phys, b.mode)], NONE);
        while at != NONE {
            let other = &self.blocks[at as usize];
            if other.parked && (other.phys, other.mode, other.home) == (b.phys, b.mode, b.home) {
                (there, last) = (there + 1, at);
            }
            at = other.next_hash;
        }
        if there > PARKED_THERE && last != number {
            self.drop_parked(last, fate);
        }
        let next = self.next_parked;
        self.next_parked = if next + 1 < self.parked.len() { next + 1 } else { 0 };
        let Some(place) = self.parked.get_mut(next) else { return };
        let (old, stamp) = core::mem::replace(place, (number, b.stamp));
        if old != number && self.blocks.get(old as usize).is_some_and(|b| b.parked && b.stamp == stamp) {
            self.drop_parked(old, fate);
        }
    }

    /// Drops a parked block.
    fn drop_parked(&mut self, number: u32, fate: &mut impl FnMut(u32, Fate)) {
        let b = self.blocks[number as usize];
        if let Some(head) = self.pages.get(b.page as usize) {
            self.pages[b.page as usize] = self.unlink(*head, number, |block| &mut block.next_page);
        }
        if let Some(head) = self.seconds.get(b.second_page as usize) {
            self.seconds[b.second_page as usize] = self.unlink(*head, number, |block| &mut block.next_second);
        }
        let slot = Self::hash(b.phys, b.mode);
        self.hash[slot] = self.unlink(self.hash[slot], number, |block| &mut block.next_hash);
        let block = &mut self.blocks[number as usize];
        block.parked = false;
        if block.image != NO_IMAGE {
            self.free_images.push(block.image);
        }
        block.next_hash = core::mem::replace(&mut self.free[usize::from(block.room)], number);
        fate(number, Fate::Dropped);
    }

    /// Takes a block out of a list; gives the list's head.
    fn unlink(&mut self, head: u32, number: u32, next: fn(&mut Block) -> &mut u32) -> u32 {
        let behind = *next(&mut self.blocks[number as usize]);
        if head == number {
            return behind;
        }
        let mut at = head;
        while at != NONE {
            let link = next(&mut self.blocks[at as usize]);
            if *link == number {
                *link = behind;
                break;
            }
            at = *link;
        }
        head
    }

    /// The parked block at an address whose instructions have become these, immediate operands aside: it is live
    /// again, with theirs.
    pub fn revive(
        &mut self,
        phys: PhysAddr,
        (mode, home): (u32, Home),
        insts: &[Inst],
        page: Option<usize>,
        second: Option<(PhysAddr, Option<usize>)>,
    ) -> Option<u32> {
        let pages = (index(page), index(second.and_then(|second| second.1)));
        let second = second.map(|second| second.0);
        let mut at = self.hash[Self::hash(phys, mode)];
        while at != NONE {
            let b = &mut self.blocks[at as usize];
            if b.parked
                && (b.phys, b.mode, b.home, b.second) == (phys, mode, home, second)
                && (b.page, b.second_page) == pages
                && usize::from(b.count) == insts.len()
            {
                let own = &mut self.insts[b.first as usize..][..insts.len()];
                if own.iter().zip(insts).all(|(own, new)| own.same_but_for_immediate(new)) {
                    for (own, new) in own.iter_mut().zip(insts) {
                        b.changed |= own.imm != new.imm;
                        own.imm = new.imm;
                    }
                    b.varies |= b.changed;
                    (b.live, b.parked) = (true, false);
                    self.stats.revived += 1;
                    return Some(at);
                }
            }
            at = b.next_hash;
        }
        None
    }

    /// Keeps the bytes of a revived block, so that it is not decoded the next time.
    pub fn keep_image(&mut self, number: u32, bytes: &[u8]) {
        let block = &mut self.blocks[number as usize];
        let Some(bytes) = bytes.get(..usize::from(block.len)) else { return };
        if bytes.len() > IMAGE || block.second.is_some() || block.page == NONE {
            return;
        }
        let (first, count) = (block.first as usize, usize::from(block.count));
        if block.image == NO_IMAGE {
            block.image = match self.free_images.pop() {
                Some(place) => place,
                None if self.images.len() < self.images.capacity().min(IMAGES) => {
                    self.images.push(Image { bytes: [0; IMAGE], mask: [0; IMAGE], sizes: [0; MAX_BLOCK] });
                    self.images.len() as u16 - 1
                }
                None => return,
            };
        }
        let image = &mut self.images[usize::from(block.image)];
        image.bytes[..bytes.len()].copy_from_slice(bytes);
        image.mask[..bytes.len()].fill(0xFF);
        for (inst, size) in self.insts[first..first + count].iter().zip(&mut image.sizes) {
            let (end, length) = (usize::from(inst.end), inst.immediate_size());
            image.mask[end - length..end].fill(0);
            *size = length as u8;
        }
    }

    /// As [`Self::revive`], by the bytes that are there now, for blocks whose bytes are kept.
    pub fn revive_image(&mut self, phys: PhysAddr, mode: u32, home: Home, memory: &Memory) -> Option<u32> {
        if self.images.is_empty() {
            return None;
        }
        let page = match memory.target(phys, false) {
            Target::Memory(base) | Target::Rom(base) => index(Some(base)),
            _ => return None,
        };
        let mut at = self.hash[Self::hash(phys, mode)];
        while at != NONE {
            let b = &mut self.blocks[at as usize];
            if b.parked && b.image != NO_IMAGE && (b.phys, b.mode, b.home, b.page) == (phys, mode, home, page)
            {
                let len = usize::from(b.len);
                let from = b.page as usize * PAGE + (phys as usize & (PAGE - 1));
                let image = &mut self.images[usize::from(b.image)];
                let insts = &mut self.insts[b.first as usize..][..usize::from(b.count)];
                if let Some(now) = memory.backing().get(from..from + len)
                    && let Some(changed) = follow(insts, image, now)
                {
                    b.changed |= changed;
                    b.varies |= changed;
                    (b.live, b.parked) = (true, false);
                    self.stats.revived += 1;
                    return Some(at);
                }
            }
            at = b.next_hash;
        }
        None
    }

    /// A recompiler has seen the immediate operands as they are.
    pub fn settle(&mut self, number: u32) {
        self.blocks[number as usize].changed = false;
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
        self.parked.fill((NONE, 0));
        self.images.clear();
        self.free_images.clear();
        memory.clear_code();
    }
}

/// Number of the backing page of an offset.
fn index(offset: Option<usize>) -> u32 {
    offset.map_or(NONE, |offset| (offset / PAGE) as u32)
}

/// Makes instructions and their image those of bytes that differ in immediate operands; gives whether they do. None
/// when they differ in more.
fn follow(insts: &mut [Inst], image: &mut Image, now: &[u8]) -> Option<bool> {
    let bytes = &mut image.bytes[..now.len()];
    if bytes == now {
        return Some(false);
    }
    let pairs = bytes.iter().zip(now).zip(&image.mask);
    if pairs.fold(0, |all, ((old, new), mask)| all | (old ^ new) & mask) != 0 {
        return None;
    }
    bytes.copy_from_slice(now);
    for (inst, &size) in insts.iter_mut().zip(&image.sizes).filter(|(_, size)| **size != 0) {
        let (end, size) = (usize::from(inst.end), usize::from(size));
        let mut value = [0; 4];
        value[..size].copy_from_slice(&now[end - size..end]);
        inst.imm = inst.immediate(value);
    }
    Some(true)
}
