//! Traces: blocks that mostly follow each other, translated as one. Where control mostly returns to the first of
//! them, the trace is a loop that is closed inside.
//!
//! A trace follows calls, also to other pages, and returns to where its own calls came from. When it is entered it
//! looks whether the other pages are where they were; where they are not, the first block's own code takes over, so
//! that a page is fetched from only when control gets there.

use super::Pages;
use super::emit::Piece;
use super::emit::flags::needed;
use super::emit::string::in_line;
use super::x64::Code;
use crate::cpu::block::{Block, BlockCache, MAX_BLOCK, mode};
use crate::cpu::run::ends_block_in;
use crate::isa::Inst;
use crate::isa::row::flags::OSZAPC;
use crate::isa::row::{Flags, Lowering};
use crate::memory::{PAGE, PhysAddr};
use alloc::vec::Vec;

/// How far the search for a reader of flags follows jumps: to the next block, so that flags that it reads or
/// leaves alone are exact whenever control is between the two.
const DEPTH: u32 = 1;

/// Blocks in a trace, at most.
const PIECES: usize = 8;
/// Rounds for which it is worth while to prepare.
const ROUNDS: i32 = 8;
/// Instructions behind which a trace does not repeat what has its own.
const LONG: usize = 16;
/// A block follows when it was entered at least one of so many times that the one before it was.
const SHARE: i32 = 4;

/// Pages other than the first one that a trace may lie on.
const PAGES: usize = 3;

/// How often blocks were entered.
#[derive(Clone, Copy)]
pub(super) struct Heat<'a> {
    /// Times that a block is entered to become hot.
    pub(super) hot: i32,
    /// Times that each still has to be entered.
    pub(super) left: &'a [i32],
    /// What is translated.
    pub(super) blocks: &'a [Code],
    /// What lies where, if the trace may leave its page.
    pub(super) pages: Option<Pages<'a>>,
}

/// Blocks that follow each other.
pub(super) struct Trace {
    /// The blocks.
    pub(super) pieces: Vec<Piece>,
    /// Their instructions.
    pub(super) insts: Vec<Inst>,
    /// The last one leads to the first.
    pub(super) closed: bool,
    /// Control leaves such a loop after few rounds.
    pub(super) short: bool,
    /// Pages that it lies on besides its first: their distance from that, and what they are.
    pub(super) pages: Vec<(i32, PhysAddr)>,
}

impl Piece {
    /// Positions of its instructions.
    pub(super) fn range(&self) -> core::ops::Range<usize> {
        self.start as usize..(self.start + self.count) as usize
    }
}

impl Trace {
    /// No trace, and no room for one.
    pub(super) const NONE: Self =
        Self { pieces: Vec::new(), insts: Vec::new(), closed: false, short: false, pages: Vec::new() };

    /// No trace, with room for every one.
    pub(super) fn room() -> Self {
        Self {
            pieces: Vec::with_capacity(PIECES),
            insts: Vec::with_capacity(MAX_BLOCK),
            pages: Vec::with_capacity(PAGES),
            ..Self::NONE
        }
    }

    /// Makes this the trace that begins with a block: it alone without knowledge of what is entered how often.
    pub(super) fn follow(&mut self, cache: &BlockCache, number: u32, heat: Option<Heat<'_>>) {
        let trace = self;
        trace.pieces.clear();
        trace.insts.clear();
        trace.pages.clear();
        (trace.closed, trace.short) = (false, false);
        let first = (cache.block(number).phys & 0xFFF) as i32;
        trace.push(cache, number, first);
        let Some(heat) = heat else { return };
        let head = cache.block(number);
        let (mut last, mut at) = (number, trace.pieces[0].offset);
        let mut left = 0;
        let mut calls = Calls::default();
        loop {
            let block = cache.block(last);
            if block.second.is_some() {
                return;
            }
            let there = |offset: i32| {
                let found = if (0..PAGE as i32).contains(&offset) {
                    peek(cache, head, offset)
                } else if head.mode & mode::FLAT != 0 {
                    cache.peek(heat.pages?.at(offset)?, head.mode & !mode::ALONE, head.home)
                } else {
                    None
                };
                found.filter(|&found| cache.block(found).second.is_none()).map(|found| (found, offset))
            };
            let (first, second) = calls.ways(cache.insts(last), head, at, block.len.into());
            let ways = [first.and_then(there), second.and_then(there)];
            let elsewhere = |on: u32| -> i32 {
                ways.into_iter().flatten().filter(|&(n, _)| n != on).map(|(n, _)| heat.entered(n)).sum()
            };
            let start = trace.pieces[0].offset;
            if ways.contains(&Some((number, start))) {
                left += elsewhere(number);
                trace.closed = true;
                trace.short = left > heat.entered(number) / ROUNDS;
                return;
            }
            let Some((next, on)) = ways.into_iter().flatten().max_by_key(|&(n, _)| heat.entered(n)) else {
                return;
            };
            let lukewarm = heat.entered(next) < heat.entered(last) / SHARE;
            let full = trace.pieces.len() == PIECES
                || trace.insts.len() + usize::from(cache.block(next).count) > MAX_BLOCK;
            // A loop is left to itself, and so is what has its own trace when this one is long enough, and what
            // is overwritten in a way that can be patched in place.
            let code = &heat.blocks[next as usize];
            let own = code.closed
                || head.varies
                || cache.block(next).varies
                || code.hot && trace.insts.len() >= LONG
                || trace.pieces.iter().any(|piece| piece.block == next);
            let page = (on & !0xFFF, cache.block(next).phys & !0xFFF);
            let new = page.0 != 0 && !trace.pages.contains(&page);
            if lukewarm
                || full
                || own
                || new && trace.pages.len() == PAGES
                || cache.block(next).mode != head.mode
            {
                return;
            }
            if new {
                trace.pages.push(page);
            }
            left += elsewhere(next);
            calls.follow(cache.insts(last), at + i32::from(block.len));
            trace.push(cache, next, on);
            (last, at) = (next, on);
        }
    }

    fn push(&mut self, cache: &BlockCache, number: u32, offset: i32) {
        let (block, insts) = (cache.block(number), cache.insts(number));
        self.pieces.push(Piece {
            block: number,
            offset,
            len: u32::from(block.len),
            start: self.insts.len() as u32,
            count: insts.len() as u32,
            first: insts.as_ptr(),
        });
        self.insts.extend_from_slice(insts);
    }

    /// Register files that are loaded before a loop.
    pub(super) fn early_files(&self) -> u8 {
        let lowered = |i: &&Inst| matches!(i.row().lowering, Lowering::Same | Lowering::Store);
        if self.closed {
            self.insts.iter().filter(lowered).fold(0, |files, i| files | i.row().state)
        } else {
            0
        }
    }

    /// Flags needed at the beginning; `each` sees what is needed behind each instruction.
    pub(super) fn flags(
        &self,
        cache: &BlockCache,
        known: &mut Known,
        mut each: impl FnMut(usize, Flags),
    ) -> Flags {
        let mut behind: Option<(Flags, &[Inst])> = None;
        for piece in self.pieces.iter().rev() {
            let insts = &self.insts[piece.range()];
            let block = cache.block(piece.block);
            let single = insts.last().is_some_and(|last| {
                matches!(last.row().lowering, Lowering::Jump | Lowering::CallNear)
                    || !ends_block_in(last, block.mode)
            });
            let after = match behind {
                None => live_out(cache, block, insts, DEPTH, known),
                // What the next one reads or lets through.
                Some((next, ahead)) if single => next | needed(ahead, OSZAPC, |_, _| ()),
                // And what those read that control may leave to.
                Some((next, _)) => next | live_out(cache, block, insts, DEPTH, known),
            };
            let before = needed(insts, after, |n, flags| each(piece.start as usize + n, flags));
            behind = Some((before, insts));
        }
        behind.map_or(OSZAPC, |(before, _)| before)
    }
}

impl Heat<'_> {
    fn entered(&self, number: u32) -> i32 {
        self.hot - self.left[number as usize]
    }
}

/// Where the calls of a trace return to.
#[derive(Default)]
struct Calls {
    to: [i32; PIECES],
    depth: usize,
}

impl Calls {
    /// Distances from the first block's page at which control goes on behind `len` bytes at `at`, as far as they are
    /// fixed and a trace may follow.
    fn ways(&self, insts: &[Inst], head: &Block, at: i32, len: u32) -> (Option<i32>, Option<i32>) {
        let Some(last) = insts.last() else { return (None, None) };
        let Some(Successors { next, target }) = Successors::of(head, at, len, last) else {
            return (None, None);
        };
        match last.row().lowering {
            Lowering::Jump | Lowering::CallNear => (Some(target), None),
            Lowering::JumpCc => (Some(next), Some(target)),
            Lowering::String if in_line(last, head.mode) => (Some(next), None),
            Lowering::Return if head.mode & mode::FLAT != 0 => {
                (self.depth.checked_sub(1).map(|top| self.to[top]), None)
            }
            _ => (None, None),
        }
    }

    /// Control goes on behind code that ends at `end`.
    fn follow(&mut self, insts: &[Inst], end: i32) {
        match insts.last().map(|last| last.row().lowering) {
            Some(Lowering::CallNear) if self.depth < PIECES => {
                self.to[self.depth] = end;
                self.depth += 1;
            }
            Some(Lowering::Return) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Blocks that a translation knows of.
#[derive(Default)]
pub(super) struct Known {
    pub(super) blocks: [u32; 16],
    pub(super) count: usize,
}

impl Known {
    fn add(&mut self, block: u32) -> bool {
        if self.blocks[..self.count].contains(&block) {
            return true;
        }
        let Some(place) = self.blocks.get_mut(self.count) else { return false };
        *place = block;
        self.count += 1;
        true
    }
}

/// The block at an offset in a block's page, in the same mode, if there is one.
fn peek(cache: &BlockCache, from: &Block, offset: i32) -> Option<u32> {
    if !(0..PAGE as i32).contains(&offset) {
        return None;
    }
    let home = from.home.moved((offset as u32).wrapping_sub(from.phys as u32 & 0xFFF), from.mode);
    cache.peek(from.phys & !0xFFF | u64::from(offset as u32), from.mode & !mode::ALONE, home)
}

/// Where control goes behind code, as distances from the beginning of the page of the first block.
pub(super) struct Successors {
    /// Straight on.
    pub(super) next: i32,
    /// To the target of a relative branch.
    pub(super) target: i32,
}

impl Successors {
    /// Those of `len` bytes `offset` bytes from the beginning of a block's page that end with `last`; none when a
    /// branch leads out of its segment, or is of a size that is left to the interpreter.
    pub(super) fn of(block: &Block, offset: i32, len: u32, last: &Inst) -> Option<Self> {
        let flow = last.row().lowering.is_flow();
        if block.mode & mode::FLAT != 0 {
            let next = offset.wrapping_add(len as i32);
            let target = next.wrapping_add(last.imm as i32);
            return (!flow || !last.oper16()).then_some(Self { next, target });
        }
        let home = block.home;
        let page = home.linear() & !0xFFF;
        let next = (page | offset as u32 & 0xFFF).wrapping_sub(home.base).wrapping_add(len);
        let target = next.wrapping_add(last.imm) & if last.oper16() { 0xFFFF } else { u32::MAX };
        if flow && target > home.limit {
            return None;
        }
        // The end of a 16-bit segment of 64 KiB, at which IP wraps.
        let wraps = block.mode & mode::CODE32 == 0 && home.limit == 0xFFFF;
        let next = if wraps { next & 0xFFFF } else { next };
        let distance = |eip: u32| home.base.wrapping_add(eip).wrapping_sub(page) as i32;
        Some(Self { next: distance(next), target: distance(target) })
    }
}

/// Flags that somebody needs when control leaves a block, and the blocks that say so.
fn live_out(cache: &BlockCache, block: &Block, insts: &[Inst], depth: u32, known: &mut Known) -> Flags {
    use Lowering as L;
    let Some(last) = insts.last() else { return OSZAPC };
    let Some(Successors { next, target }) =
        Successors::of(block, block.phys as i32 & 0xFFF, block.len.into(), last)
    else {
        return OSZAPC;
    };
    let (first, second) = match last.row().lowering {
        L::Jump | L::CallNear => (target, None),
        L::JumpCc | L::JumpCx | L::Loop => (next, Some(target)),
        _ if !ends_block_in(last, block.mode) => (next, None),
        // Interrupts come between the elements of a repeated instruction as well.
        _ => return OSZAPC,
    };
    let mut live = live_in(cache, block, first, depth, known);
    if let Some(second) = second
        && live != OSZAPC
    {
        live |= live_in(cache, block, second, depth, known);
    }
    live
}

/// Flags that somebody needs at an offset in a block's page.
fn live_in(cache: &BlockCache, from: &Block, offset: i32, depth: u32, known: &mut Known) -> Flags {
    let found = if depth == 0 { None } else { peek(cache, from, offset) };
    let Some(number) = found else { return OSZAPC };
    if !known.add(number) {
        return OSZAPC;
    }
    let insts = cache.insts(number);
    // Whatever it lets through is asked of those behind it.
    let own = needed(insts, 0, |_, _| ());
    let through = needed(insts, OSZAPC, |_, _| ()) & !own;
    if through == 0 {
        return own;
    }
    own | through & live_out(cache, cache.block(number), insts, depth - 1, known)
}
