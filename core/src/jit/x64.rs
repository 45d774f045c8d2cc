//! Blocks of host code: their memory, links, entry and exit.
#![allow(unsafe_code)]

use super::asm::{Asm, Spread};
use super::emit::flags::effects;
use super::entries::{EMPTY, Tables, table};
use super::thunks::Thunks;
use super::trace::Trace;
use super::translate::Ways;
use super::window::{ACCESSES, Access, Catch, NOWHERE};
use super::{CodeMemory, JitStats, NO_LINK, Pages, fp, helpers, plan};
use crate::cpu::block::{BlockCache, Fate, MAX_BLOCK, mode};
use crate::cpu::tlb::code_page;
use crate::cpu::{Cpu, Io, Stop};
use crate::isa::Inst;
use crate::isa::decode::Features;
use crate::isa::table::ROWS;
use crate::memory::{PAGE, PhysAddr};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Times that a block is interpreted before it is translated.
const HEAT: u16 = 12;
/// Times that a translated block is entered until it is translated together with those behind it.
const HOT: i32 = 500;
/// The part of these that is left, at least, when they were counted under another mode.
const INHERITED: i32 = 8;
/// Entries after which a translation has paid.
const PAYS: i32 = 100;
/// Places at which it is counted how often one was in vain.
const WASTED: usize = 4096;
/// Times that [`HEAT`] is doubled at most.
const MOST_PATIENCE: u32 = 6;

/// Times that an access through the window is in vain before its instruction goes without.
const VAIN: u8 = 4;

/// A block's place in [`Jit::wasted`].
pub(super) const fn place(phys: PhysAddr) -> u16 {
    ((phys as u32).wrapping_mul(0x9E37_79B1) >> 20) as u16
}

/// Room that one block may need.
pub(super) const BLOCK_ROOM: usize = 64 << 10;
/// Sites, links and notes of dependence that the recompiler can remember before it starts over.
const SITES: usize = 1 << 21;
const LINKS: usize = 1 << 19;
const NOTES: usize = 1 << 19;
const PLACED: usize = 1 << 19;

/// An instruction that translated code may leave to the interpreter.
#[derive(Clone, Copy)]
pub(super) struct Site {
    pub(super) inst: *const Inst,
    /// Instructions in the block.
    pub(super) total: u32,
    /// Position of this one.
    pub(super) index: u32,
    /// Offset of the block from the EIP base.
    pub(super) offset: u32,
    /// The flags in memory are valid and wanted.
    pub(super) flags_in: bool,
    /// The flags are wanted afterwards.
    pub(super) flags_out: bool,
    /// The block ends behind it.
    pub(super) end: bool,
    /// What translated code goes on to all the same, by a link, unless the instruction changed what that depends on.
    pub(super) through: bool,
    /// Register files to load again behind it.
    pub(super) files: u8,
    /// Distance to the last x87 instruction before it whose pointers are not noted, or 0.
    pub(super) x87: u8,
    /// The same for the last one with a memory operand.
    pub(super) x87_memory: u8,
}

/// A translated block.
#[derive(Clone, Copy)]
pub(super) struct Code {
    /// Entry from elsewhere, with the linear address in r8d and the flags in memory. The block looks itself whether it
    /// is the one there.
    pub(super) lookup: u32,
    /// Entry by a link, flags in RFLAGS.
    pub(super) direct: u32,
    /// Entry by a link, flags in memory.
    pub(super) saved: u32,
    /// The same for a trace that is not to be entered: entries are not counted.
    pub(super) plain: u32,
    /// Flags are needed.
    pub(super) live_in: bool,
    /// First link that leads here.
    pub(super) incoming: u32,
    /// First note of a block that was translated with knowledge of this one.
    pub(super) dependents: u32,
    /// Instructions that must be allowed for it to be entered.
    pub(super) total: u32,
    /// Translated together with those behind it.
    pub(super) hot: bool,
    /// A loop.
    pub(super) closed: bool,
    /// Where [`Jit::wasted`] counts for its address.
    pub(super) place: u16,
    /// Its bytes were overwritten: nothing leads here until it is known that they are the same again, immediate
    /// operands aside.
    pub(super) parked: bool,
    /// First of its [`Patch`]es, and how many there are.
    pub(super) patches: (u32, u32),
    /// The first bytes at `lookup`, while it is parked.
    pub(super) entry: [u8; 5],
}

pub(super) const NO_CODE: Code = Code {
    lookup: 0,
    direct: 0,
    saved: 0,
    plain: 0,
    live_in: false,
    incoming: NO_LINK,
    dependents: NO_LINK,
    total: 0,
    hot: false,
    place: 0,
    closed: false,
    parked: false,
    patches: (0, 0),
    entry: [0; 5],
};

/// An immediate operand of a guest instruction in the code made from it, where that may be changed in place.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    /// Position of the instruction in its block.
    pub(super) inst: u32,
    /// What the operand is in the code.
    pub(super) value: u32,
    pub(super) kind: PatchKind,
    /// Where it lies.
    pub(super) at: u32,
}

/// See [`Patch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PatchKind {
    /// It cannot be changed.
    Fixed,
    /// So many bytes of it.
    Bytes(u8),
    /// The target of the link of this number, relative to the page, 4 bytes.
    Target(u32),
}

/// Patches that the recompiler can remember; without them, blocks are translated anew.
pub(super) const PATCHES: usize = 1 << 18;

/// A direct jump that may be linked to its target.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// Where its rel32 lies.
    pub(super) at: u32,
    /// Where that leads while it is not linked.
    pub(super) stub: u32,
    /// The target lies on another page: of `phys`, only the offset in the page is known.
    pub(super) cross: bool,
    /// Where the rel32 of the last way out lies, which asks the dispatcher.
    pub(super) tail: u32,
    /// Flags are in memory.
    pub(super) saved: bool,
    /// It is linked.
    pub(super) linked: bool,
    /// Physical address of the target.
    pub(super) phys: u64,
    /// Next link to the same block.
    pub(super) next: u32,
    /// The block, while it is linked.
    pub(super) to: u32,
}

/// A piece of code: what is executed and what is rarely, start and length of each.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) hot: u32,
    pub(super) len: u32,
    pub(super) cold: u32,
    pub(super) rare: u32,
}

/// That a block was translated with knowledge of another.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub(super) block: u32,
    pub(super) next: u32,
}

/// The recompiler.
pub struct Jit {
    pub(super) memory: Box<dyn CodeMemory>,
    /// Where the next code goes, and where the part of it that is rarely executed ends: that lies at the other end of
    /// the memory, so that what is executed lies close together.
    pub(super) at: usize,
    /// See [`Self::at`].
    cold: usize,
    pub(super) thunks: Thunks,
    pub(super) blocks: Vec<Code>,
    /// Pieces of code, in order.
    pub(super) placed: Vec<Placed>,
    /// See [`table`].
    tables: [Tables; 3],
    pub(super) links: Vec<Link>,
    pub(super) sites: Vec<Site>,
    pub(super) notes: Vec<Note>,
    pub(super) patches: Vec<Patch>,
    /// Accesses through the window, in the order of their addresses, with room for all there may be if windows are used.
    pub(super) accesses: Vec<Access>,
    /// By block the instructions that do not use the window, a bit each.
    pub(super) denied: Box<[u64]>,
    /// What the host's fault handler looks at.
    pub(super) catch: Box<Catch>,
    pub(super) asm: Asm,
    /// Room for what is being translated.
    pub(super) trace: Trace,
    /// See [`Self::trace`].
    pub(super) found: Vec<plan::Group>,
    /// See [`Self::trace`].
    pub(super) ways: Ways,
    /// Every flag is exact at every fault and boundary, whether anybody looks or not.
    pub(super) precise: bool,
    /// Extensions that the host has, and whether it is AMD's.
    pub(super) host: (Features, bool),
    heat: u16,
    /// Times that each block still has to be entered to be translated together with those behind it; negative
    /// when it was.
    pub(super) until_hot: Box<[i32]>,
    pub(super) hot: i32,
    /// How often code at an address was overwritten before its translation had paid, less the times that it had.
    wasted: Box<[u8]>,
    clock: Option<fn() -> u64>,
    /// The block cache's generation that the code belongs to.
    generation: u32,
    /// Instructions that translated code left to the interpreter, by row.
    pub(super) ranks: Box<[u64]>,
    /// Counters.
    pub stats: JitStats,
}

// SAFETY: the pointers in `sites` lead into the block cache of the same machine and are used only while that
// machine runs, by the thread that runs it.
unsafe impl Send for Jit {}

impl Jit {
    /// A recompiler for a cache of up to `blocks` blocks, with code memory from the host. None when the memory
    /// is too small to be of use.
    #[must_use]
    pub fn new(memory: Box<dyn CodeMemory>, blocks: usize, precise: bool) -> Option<Self> {
        // Code indexes the TLB itself and has no tags to compare.
        if cfg!(feature = "small-tlb") || memory.len() < 4 * BLOCK_ROOM || memory.len() > 1 << 30 {
            return None;
        }
        let cold = memory.len();
        let catch = Box::new(Catch::new(memory.executable().expose_provenance(), memory.len()));
        let mut jit = Self {
            memory,
            at: 0,
            cold,
            thunks: Thunks::default(),
            blocks: vec![NO_CODE; blocks],
            placed: Vec::with_capacity(PLACED),
            tables: [Tables::new(), Tables::new(), Tables::new()],
            links: Vec::with_capacity(LINKS),
            sites: Vec::with_capacity(SITES),
            notes: Vec::with_capacity(NOTES),
            patches: Vec::with_capacity(PATCHES),
            accesses: Vec::new(),
            denied: vec![0; blocks].into_boxed_slice(),
            catch,
            asm: Asm::new(BLOCK_ROOM),
            trace: Trace::room(),
            found: Vec::with_capacity(plan::MOST_FOUND),
            ways: Ways::room(),
            precise,
            host: (fp::host_features(), fp::host_is_amd()),
            heat: HEAT,
            until_hot: vec![HOT; blocks].into_boxed_slice(),
            hot: HOT,
            wasted: vec![0; WASTED].into_boxed_slice(),
            clock: None,
            generation: 0,
            ranks: vec![0; ROWS.len()].into_boxed_slice(),
            stats: JitStats::default(),
        };
        jit.emit_thunks();
        jit.forget_entries();
        Some(jit)
    }

    /// Sets how often a block is interpreted before it is translated: 0 is at first sight.
    pub fn set_threshold(&mut self, heat: u16) {
        self.heat = heat;
    }

    /// Makes room for accesses through windows.
    pub fn use_windows(&mut self) {
        self.accesses.reserve_exact(ACCESSES);
        self.catch.set_accesses(&self.accesses);
    }

    /// A clock that counts nanoseconds, by which [`JitStats::longest`] is measured.
    pub fn set_clock(&mut self, clock: fn() -> u64) {
        self.clock = Some(clock);
    }

    /// Sets how often a translated block is entered before it is translated anew, together with those behind it.
    pub fn set_hot(&mut self, times: u16) {
        self.hot = i32::from(times);
        self.until_hot.fill(self.hot);
    }

    /// Instructions that must be allowed before a block's code can be entered.
    #[must_use]
    pub fn instructions(&self, number: u32) -> u64 {
        self.blocks.get(number as usize).map_or(0, |code| u64::from(code.total))
    }

    /// Adds what the assembler holds to code memory; tells where it lies.
    pub(super) fn place(&mut self) -> Spread {
        let split = self.asm.split();
        let (len, rare) = (self.asm.bytes.len(), self.asm.bytes.len() - split);
        let to = Spread { hot: self.at, cold: self.cold - rare, split };
        self.asm.finish(to);
        for (from, to, len) in [(0, to.hot, split), (split, to.cold, rare)] {
            let bytes = &self.asm.bytes[from..from + len];
            // SAFETY: callers made sure that the bytes fit; the region is ours alone.
            unsafe {
                core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.writable().add(to), len);
            }
            self.memory.publish(to..to + len);
        }
        self.placed.push(Placed {
            hot: to.hot as u32,
            len: split as u32,
            cold: to.cold as u32,
            rare: rare as u32,
        });
        self.at = (to.hot + split).next_multiple_of(16);
        self.cold = to.cold;
        self.stats.bytes += len as u64;
        to
    }

    /// Makes the rel32 at `at` lead to `to`.
    fn patch(&mut self, at: u32, to: u32) {
        self.write_code(at, to.wrapping_sub(at + 4), 4);
    }

    /// Drops all code. The block cache was or will be emptied, or its blocks are translated anew.
    pub fn clear(&mut self) {
        self.at = self.thunks.end;
        self.cold = self.memory.len();
        self.placed.clear();
        self.blocks.fill(NO_CODE);
        self.until_hot.fill(self.hot);
        self.forget_entries();
        self.links.clear();
        self.sites.clear();
        self.notes.clear();
        self.patches.clear();
        self.accesses.clear();
        self.catch.set_accesses(&self.accesses);
        self.denied.fill(0);
        self.stats.full_flushes += 1;
    }

    /// Whether there is room for one more block.
    pub(super) fn has_room(&self) -> bool {
        self.at + BLOCK_ROOM <= self.cold
            && self.sites.len() + 4 * MAX_BLOCK <= SITES
            && self.links.len() + 4 * MAX_BLOCK <= LINKS
            && self.notes.len() + 32 <= NOTES
            && self.patches.len() + 2 * MAX_BLOCK <= PATCHES
            && self.placed.len() < PLACED
            && self.accesses.len() + 4 * MAX_BLOCK <= self.accesses.capacity().max(4 * MAX_BLOCK)
    }

    /// The block cache was emptied.
    pub fn follow(&mut self, generation: u32) {
        if self.generation != generation {
            self.clear();
            self.generation = generation;
        }
    }

    /// A block's bytes were overwritten: what was translated with knowledge of it is forgotten, and so is its own
    /// code unless that may come back.
    pub fn overwritten(&mut self, number: u32, fate: Fate) {
        let Some(code) = self.blocks.get_mut(number as usize) else { return };
        let mut note = core::mem::replace(&mut code.dependents, NO_LINK);
        if fate == Fate::Parked {
            self.park(number);
        } else {
            self.drop_code(number);
        }
        while note != NO_LINK {
            let n = self.notes[note as usize];
            self.drop_code(n.block);
            note = n.next;
        }
    }

    /// Nothing leads to a block's code until [`Self::unpark`].
    fn park(&mut self, number: u32) {
        let mut code = self.blocks[number as usize];
        if code.lookup == 0 || code.parked {
            return;
        }
        // SAFETY: the entry is longer than five bytes.
        code.entry = unsafe { self.memory.writable().add(code.lookup as usize).cast::<[u8; 5]>().read() };
        self.replace_code(code);
        self.blocks[number as usize] = Code { parked: true, incoming: NO_LINK, ..code };
    }

    /// The block is live again: its code gets the immediate operands that are there now. False when it must be
    /// translated anew.
    fn unpark(&mut self, cache: &BlockCache, number: u32) -> bool {
        let code = self.blocks[number as usize];
        if cache.block(number).changed && !self.patch_all(cache.insts(number), code) {
            return false;
        }
        // SAFETY: the entry is longer than five bytes.
        unsafe { self.memory.writable().add(code.lookup as usize).cast::<[u8; 5]>().write(code.entry) };
        self.memory.publish(code.lookup as usize..code.lookup as usize + 5);
        self.blocks[number as usize].parked = false;
        self.stats.revived += 1;
        true
    }

    fn patch_all(&mut self, insts: &[Inst], code: Code) -> bool {
        let (first, count) = code.patches;
        if count == 0 {
            return false;
        }
        for n in first as usize..(first + count) as usize {
            let Patch { inst, value, kind, at } = self.patches[n];
            let new = &insts[inst as usize];
            if new.imm == value {
                continue;
            }
            // What else the translation depends on must not change.
            let old = Inst { imm: value, ..*new };
            if effects(&old) != effects(new) || plan::step_of(&old) != plan::step_of(new) {
                return false;
            }
            match kind {
                PatchKind::Fixed => return false,
                PatchKind::Bytes(size) => self.write_code(at, new.imm, size),
                PatchKind::Target(link) => {
                    // SAFETY: as in `patch`.
                    let there =
                        unsafe { self.memory.writable().add(at as usize).cast::<i32>().read_unaligned() };
                    let target = there.wrapping_add(new.imm.wrapping_sub(value) as i32);
                    if (0..PAGE as i32).contains(&target) {
                        return false;
                    }
                    self.unlink(link);
                    self.links[link as usize].phys = target as u64 & 0xFFF;
                    self.write_code(at, target as u32, 4);
                }
            }
            self.patches[n].value = new.imm;
        }
        true
    }

    /// Puts the first bytes of a value into code.
    fn write_code(&mut self, at: u32, value: u32, size: u8) {
        let bytes = value.to_le_bytes();
        let size = usize::from(size).min(4);
        // SAFETY: `at` is the position of a constant of that size that was emitted into the region.
        unsafe {
            let to = self.memory.writable().add(at as usize);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, size);
        }
        self.memory.publish(at as usize..at as usize + size);
    }

    /// Disconnects one link.
    fn unlink(&mut self, link: u32) {
        let Link { linked, to, next, .. } = self.links[link as usize];
        if !linked {
            return;
        }
        let head = &mut self.blocks[to as usize].incoming;
        if *head == link {
            *head = next;
        } else {
            let mut at = *head;
            while at != NO_LINK {
                let other = &mut self.links[at as usize].next;
                if *other == link {
                    *other = next;
                    break;
                }
                at = *other;
            }
        }
        self.disconnect(link);
    }

    /// Forgets a block's code.
    fn drop_code(&mut self, number: u32) {
        let code = &mut self.blocks[number as usize];
        let old = core::mem::replace(code, Code { dependents: code.dependents, ..NO_CODE });
        if old.lookup == 0 {
            return;
        }
        let left = core::mem::replace(&mut self.until_hot[number as usize], self.hot);
        self.denied[number as usize] = 0;
        let wasted = &mut self.wasted[usize::from(old.place)];
        let paid = old.hot || self.hot - left >= PAYS;
        *wasted = if paid { wasted.saturating_sub(1) } else { wasted.saturating_add(1) };
        self.stats.invalidated += 1;
        self.replace_code(old);
    }

    /// A block's code makes room for another translation.
    fn replace(&mut self, number: u32) {
        let code = &mut self.blocks[number as usize];
        // Its patches make room for the new ones.
        let (dependents, patches) = (code.dependents, code.patches);
        let old = core::mem::replace(code, Code { dependents, patches, ..NO_CODE });
        self.replace_code(old);
    }

    /// Nothing leads to a block's old code any more.
    fn replace_code(&mut self, old: Code) {
        let mut link = old.incoming;
        while link != NO_LINK {
            link = self.disconnect(link);
        }
        // Tables that lead here find out: the entry becomes a jump to the dispatcher.
        // SAFETY: the entry is longer than five bytes.
        unsafe { self.memory.writable().add(old.lookup as usize).write(0xE9) };
        self.patch(old.lookup + 1, self.thunks.miss as u32);
        self.memory.publish(old.lookup as usize..old.lookup as usize + 5);
    }

    /// An access through the window has faulted, and the interpreter has executed its instruction. When the page is not
    /// there now either, over and over, the instruction is translated to go without.
    pub(super) fn missed(&mut self, cpu: &mut Cpu, (number, at): (usize, usize), io: &mut dyn Io) {
        if at != NOWHERE && cpu.window_fault(at as u32, io.memory()) {
            return;
        }
        let Some(access) = self.accesses.get_mut(number) else { return };
        access.vain += 1;
        if access.vain < VAIN {
            return;
        }
        let Access { head, block, index, .. } = *access;
        access.vain = 0;
        self.denied[block as usize] |= 1 << index;
        self.stats.denied += 1;
        let code = &self.blocks[head as usize];
        if code.lookup != 0 && !code.parked {
            self.replace(head);
            self.until_hot[head as usize] = self.hot;
        }
    }

    fn forget_entries(&mut self) {
        for tables in &mut self.tables {
            tables.entries.fill(EMPTY);
            tables.jumps.fill(self.memory.executable() as usize + self.thunks.lookup);
        }
    }

    /// Connects a link to the block that it leads to.
    fn connect(&mut self, link: u32, number: u32, cache: &BlockCache) {
        let Some(&l) = self.links.get(link as usize) else { return };
        let block = cache.block(number);
        let known = if l.cross { 0xFFF } else { u64::MAX };
        if l.linked || (l.phys ^ block.phys) & known != 0 {
            return;
        }
        let code = self.blocks[number as usize];
        if l.cross {
            self.patch(l.at, code.lookup);
        } else if block.second.is_none() {
            self.patch(l.at, if l.saved { code.saved } else { code.direct });
        } else {
            // It has to look at its second page each time.
            self.patch(l.tail, code.lookup);
        }
        let l = &mut self.links[link as usize];
        l.linked = true;
        l.next = code.incoming;
        l.to = number;
        self.blocks[number as usize].incoming = link;
        self.stats.linked += 1;
    }

    /// The reverse; gives the next link to the same block.
    fn disconnect(&mut self, link: u32) -> u32 {
        let l = self.links[link as usize];
        self.patch(l.at, l.stub);
        self.patch(l.tail, self.thunks.miss as u32);
        self.links[link as usize].linked = false;
        l.next
    }

    /// Times that a block at an address is interpreted before it is translated: the more, the more often that was in
    /// vain.
    fn heat_at(&self, phys: PhysAddr) -> u16 {
        let wasted = u32::from(self.wasted[usize::from(place(phys))]);
        self.heat << (wasted / 2).min(MOST_PATIENCE)
    }

    /// Whether a block that sees memory through a window was translated for use without one: what is executed often is
    /// then known, and it goes on from the count of entries.
    fn inherit(&mut self, cache: &BlockCache, number: u32) -> bool {
        let block = cache.block(number);
        if block.mode & mode::WINDOW == 0 || block.heat != 1 {
            return false;
        }
        let Some(other) = cache.peek(block.phys, block.mode & !mode::WINDOW, block.home) else {
            return false;
        };
        if self.blocks[other as usize].lookup == 0 {
            return false;
        }
        self.until_hot[number as usize] = self.until_hot[other as usize].max(self.hot / INHERITED);
        true
    }

    /// The clock by which [`JitStats::longest`] is measured, which may be slow: blocks by themselves are not measured.
    fn time(&self) -> Option<u64> {
        self.clock.map(|clock| clock())
    }

    /// The code for a block at `linear`, translated when it is hot enough; enters it into the table and connects
    /// the link that led here.
    pub(crate) fn code(
        &mut self,
        cache: &mut BlockCache,
        number: u32,
        pages: Pages<'_>,
        link: u32,
    ) -> Option<usize> {
        let linear = pages.linear;
        self.follow(cache.generation);
        // What a device reads as may be something else by the time that a part of it is decoded by itself.
        if !cache.block(number).backed() {
            return None;
        }
        let mut link = link;
        if self.blocks[number as usize].parked && !self.unpark(cache, number) {
            self.replace(number);
        }
        let old = self.blocks[number as usize];
        let alone = cache.block(number).mode & mode::ALONE != 0;
        let mut start = None;
        if old.lookup == 0 {
            if !alone
                && cache.warm(number) < self.heat_at(cache.block(number).phys)
                && !self.inherit(cache, number)
            {
                return None;
            }
            if !self.has_room() {
                start = self.time();
                self.clear();
                link = NO_LINK;
            }
            self.translate(cache, number, pages, None);
        } else if self.until_hot[number as usize] < 0 && !old.hot && !alone {
            start = self.time();
            let mut plain = Some(old);
            if self.has_room() {
                self.replace(number);
            } else {
                self.clear();
                link = NO_LINK;
                plain = None;
            }
            self.translate(cache, number, pages, plain);
        }
        cache.settle(number);
        if let (Some(start), Some(now)) = (start, self.time()) {
            self.stats.longest = self.stats.longest.max(now.saturating_sub(start));
        }
        if link != NO_LINK {
            self.connect(link, number, cache);
        }
        let offset = self.blocks[number as usize].lookup as usize;
        let code = self.memory.executable() as usize + offset;
        self.stats.lookups_missed += 1;
        let block = cache.block(number);
        if block.mode & mode::ALONE == 0 {
            let tables = &mut self.tables[table(block.mode)];
            tables.remember(linear, code_page(block.phys), code);
        }
        Some(code)
    }

    /// Runs translated code from EIP on until it leaves. Afterwards the processor's state is complete.
    ///
    /// # Errors
    /// Halt or shutdown.
    pub fn enter(
        &mut self,
        cpu: &mut Cpu,
        cache: &mut BlockCache,
        code: usize,
        limit: u64,
        io: &mut dyn Io,
    ) -> Result<(), Stop> {
        self.stats.entered += 1;
        cpu.jit.limit = limit;
        cpu.jit.tables = [0, 1, 2].map(|n: usize| {
            let Tables { entries, jumps } = &self.tables[n];
            [entries.as_ptr() as usize, jumps.as_ptr() as usize]
        });
        helpers::hand_over(cpu);
        let s = &mut cpu.jit;
        s.until_hot = self.until_hot.as_mut_ptr() as usize;
        s.interpret = helpers::interpret as *const () as usize;
        s.resolve = helpers::resolve as *const () as usize;
        s.fill = helpers::fill as *const () as usize;
        let region = self.memory.executable() as usize;
        (s.load, s.unload) = (region + self.thunks.fp.load, region + self.thunks.fp.unload);
        s.link = NO_LINK;
        s.stop = None;
        s.alone = 0;
        s.interpreted = 0;
        // SAFETY: a fat reference is two words; it is read back only while `io` is borrowed here.
        s.io = unsafe { core::mem::transmute::<&mut dyn Io, [usize; 2]>(io) };
        cpu.sites = self.sites.as_ptr() as usize;
        let enter = self.memory.executable() as usize + self.thunks.enter;
        if let Some(windows) = cpu.windows_mut() {
            self.catch.set_base(windows.base());
            windows.host().enter(&self.catch);
        }
        cpu.jit.cache = core::ptr::from_mut(cache) as usize;
        cpu.jit.jit = core::ptr::from_mut(self) as usize;
        // SAFETY: the thunk follows the ABI named here; `code` is the entry of a live block in the same
        // region. Code reaches memory only through the processor's fields, the TLB, whose entries are valid for as
        // long as `cpu` and `io` are borrowed, and the window that GS leads to, which has nothing but that memory;
        // its helpers use this recompiler and the cache through the pointers just stored, while nobody else does.
        unsafe {
            let enter: unsafe extern "sysv64" fn(*mut Cpu, usize) = core::mem::transmute(enter);
            enter(cpu, code);
        }
        if let Some(windows) = cpu.windows_mut() {
            windows.host().leave();
        }
        fp::spill(cpu);
        helpers::take_back(cpu);
        self.stats.interpreted += cpu.jit.interpreted;
        helpers::stopped(cpu)
    }
}
