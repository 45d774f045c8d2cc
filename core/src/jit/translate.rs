//! Translation of one block.

use super::NO_LINK;
use super::asm::{Asm, Label, Rm};
use super::emit::flags::{Where, needed};
use super::emit::{Done, Emitter, Files, Jump, Place};
use super::plan::Plan;
use super::thunks::Offsets;
use super::x64::{Code, Jit, Link, Note};
use crate::cpu::block::{Block, BlockCache, MAX_BLOCK, mode};
use crate::cpu::run::ends_block_in;
use crate::cpu::tlb::code_page;
use crate::isa::Inst;
use crate::isa::row::flags::OSZAPC;
use crate::isa::row::{Flags, Lowering};
use crate::memory::PAGE;
use alloc::vec::Vec;
use dynasm::dynasm;

/// How far the search for a reader of flags follows jumps: to the next block, so that flags that it reads or
/// leaves alone are exact whenever control is between the two.
const DEPTH: u32 = 1;

/// A jump on its way out of a block.
struct Exit {
    jump: Jump,
    /// The flags are in memory, or nobody needs them.
    saved: bool,
    /// Bound where the way out begins.
    stub: Label,
    /// Position of the rel32 that leads there.
    at: usize,
    /// It leads to another page.
    cross: bool,
    /// Position of the rel32 of the last way out.
    tail: usize,
}

/// Blocks that a translation knows of.
#[derive(Default)]
struct Known {
    blocks: [u32; 8],
    count: usize,
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

/// Where control goes behind a block, as offsets from its page.
pub(super) struct Successors {
    /// Straight on.
    pub(super) next: i32,
    /// To the target of a relative branch.
    pub(super) target: i32,
}

impl Successors {
    /// Those of a block that ends with `last`; none when a branch leads out of its segment, or is of a size that is
    /// left to the interpreter.
    pub(super) fn of(block: &Block, last: &Inst) -> Option<Self> {
        let flow = last.row().lowering.is_flow();
        let behind = (block.phys & 0xFFF) as i32 + i32::from(block.len);
        if block.mode & mode::FLAT != 0 {
            let target = behind.wrapping_add(last.imm as i32);
            return (!flow || !last.oper16()).then_some(Self { next: behind, target });
        }
        let home = block.home;
        let next = home.eip.wrapping_add(u32::from(block.len));
        let target = next.wrapping_add(last.imm) & if last.oper16() { 0xFFFF } else { u32::MAX };
        if flow && target > home.limit {
            return None;
        }
        // The end of a 16-bit segment of 64 KiB, at which IP wraps.
        let wraps = block.mode & mode::CODE32 == 0 && home.limit == 0xFFFF;
        let next = if wraps { next & 0xFFFF } else { next };
        let page = home.linear() & !0xFFF;
        let offset = |eip: u32| home.base.wrapping_add(eip).wrapping_sub(page) as i32;
        Some(Self { next: offset(next), target: offset(target) })
    }
}

/// Flags that somebody needs when control leaves a block, and the blocks that say so.
fn live_out(cache: &BlockCache, block: &Block, insts: &[Inst], depth: u32, known: &mut Known) -> Flags {
    use Lowering as L;
    let Some(last) = insts.last() else { return OSZAPC };
    let Some(Successors { next, target }) = Successors::of(block, last) else { return OSZAPC };
    let (first, second) = match last.row().lowering {
        L::Jump | L::CallNear => (target, None),
        L::JumpCc | L::JumpCx | L::Loop => (next, Some(target)),
        _ if !ends_block_in(last, block.mode) => (next, None),
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
    if depth == 0 || !(0..PAGE as i32).contains(&offset) {
        return OSZAPC;
    }
    let home = from.home.moved((offset as u32).wrapping_sub(from.phys as u32 & 0xFFF), from.mode);
    let phys = from.phys & !0xFFF | u64::from(offset as u32);
    let Some(number) = cache.peek(phys, from.mode & !mode::ALONE, home) else {
        return OSZAPC;
    };
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

impl Jit {
    /// Translates a block, for which there is room.
    pub(super) fn translate(&mut self, cache: &BlockCache, number: u32) {
        let block = *cache.block(number);
        let insts = cache.insts(number);
        let count = insts.len();
        let offset = (block.phys & 0xFFF) as u32;
        let mut known = Known::default();
        let mut live = [OSZAPC; MAX_BLOCK];
        let live_in = if self.precise {
            OSZAPC
        } else {
            let after = live_out(cache, &block, insts, DEPTH, &mut known);
            needed(insts, after, |n, flags| live[n] = flags)
        };
        const SHARES: u32 = mode::STACK32 | (13 * mode::FLAT_SEGMENT);
        let shares = block.mode & (SHARES | mode::ALONE) == SHARES;
        let plan = if shares { Plan::new(insts) } else { Plan::NONE };
        let mut ends = [0; MAX_BLOCK];
        for (end, i) in ends.iter_mut().zip(insts) {
            *end = i32::from(i.end);
        }
        self.asm.clear();
        let mut w = Emitter {
            asm: &mut self.asm,
            cold: Vec::with_capacity(2 * count),
            sites: &mut self.sites,
            thunks: self.thunks,
            o: Offsets::NEW,
            block_total: count as u32,
            first: insts.as_ptr(),
            offset,
            mode: block.mode,
            home: block.home,
            ends: &ends[..count],
            plan: &plan,
            looked_up: false,
            alone: Vec::new(),
            first_link: self.links.len(),
            precise: self.precise,
            flags: Where::MEMORY,
            interpreted: false,
            insts,
            files: Files::default(),
            host: self.host.0,
            amd: self.host.1,
        };
        let labels = Labels::new(w.asm);
        w.entries(&labels, &block, live_in);
        let mut jumps = Vec::new();
        let mut ended = false;
        for (n, i) in insts.iter().enumerate() {
            let p = Place { index: n as u32, live: live[n], offset };
            if i.row().lowering.is_flow() {
                w.note_pointers();
                jumps = w.branch(i, p, Successors::of(&block, i));
                ended = true;
            } else if w.inst(i, p) == Done::Ended {
                ended = true;
            }
        }
        if let Some(last) = insts.last().filter(|_| !ended) {
            w.note_pointers();
            let next = Successors::of(&block, last);
            jumps.extend(next.map(|next| Jump { condition: None, target: next.next }));
        }
        let exits = w.exits(jumps, live[count - 1], &labels, offset);
        let alone = core::mem::take(&mut w.alone);
        let positions = [labels.lookup, labels.direct, labels.saved].map(|l| self.asm.position(l) as u32);
        let alone_stubs: Vec<u32> = alone.iter().map(|way| self.asm.position(way.stub) as u32).collect();
        let stubs: Vec<u32> = exits.iter().map(|exit| self.asm.position(exit.stub) as u32).collect();
        let base = self.place() as u32;
        for (way, stub) in alone.iter().zip(alone_stubs) {
            self.links.push(Link {
                at: base + way.at as u32,
                stub: base + stub,
                cross: false,
                tail: base + way.tail as u32,
                saved: true,
                linked: false,
                phys: block.phys & !0xFFF | (way.target as u64 & 0xFFF),
                next: NO_LINK,
            });
        }
        for (exit, stub) in exits.iter().zip(stubs) {
            let page = if exit.cross { 0 } else { block.phys & !0xFFF };
            self.links.push(Link {
                at: base + exit.at as u32,
                stub: base + stub,
                cross: exit.cross,
                tail: base + exit.tail as u32,
                saved: exit.saved,
                linked: false,
                phys: page | (exit.jump.target as u64 & 0xFFF),
                next: NO_LINK,
            });
        }
        self.blocks[number as usize] = Code {
            lookup: base + positions[0],
            direct: base + positions[1],
            saved: base + positions[2],
            ..self.blocks[number as usize]
        };
        for &other in &known.blocks[..known.count] {
            if other != number {
                let head = &mut self.blocks[other as usize].dependents;
                self.notes.push(Note { block: number, next: *head });
                *head = self.notes.len() as u32 - 1;
            }
        }
        self.stats.translated += 1;
    }
}

/// Entries of a block, and where it goes without budget.
struct Labels {
    lookup: Label,
    direct: Label,
    saved: Label,
    budget_out: Label,
    /// The block is not the one at EIP.
    other: Label,
    /// The second page is not the one that was translated.
    elsewhere: Label,
}

impl Labels {
    fn new(a: &mut Asm) -> Self {
        Self {
            lookup: a.label(),
            direct: a.label(),
            saved: a.label(),
            budget_out: a.label(),
            other: a.label(),
            elsewhere: a.label(),
        }
    }
}

impl Emitter<'_> {
    /// The entries, the budget check, and the shared lookup if that can be made here.
    fn entries(&mut self, l: &Labels, block: &Block, live_in: Flags) {
        let offset = (block.phys & 0xFFF) as i32;
        let (code_page_at, tlb) = (self.o.code_page, self.o.code_tlb);
        let page = code_page(block.phys) as i32;
        self.asm.bind(l.lookup);
        if self.mode & mode::FLAT == 0 {
            self.look_home(l, block);
        } else {
            dynasm!(self.asm ; .arch x64
                ; mov r9d, r8d
                ; mov r10, [r14 + tlb]
                ; shr r9d, 12
                ; cmp DWORD [r10 + r9 * 4], page);
            self.asm.jcc(5, l.other);
            self.asm.lea(9, Some(8), None, -offset);
            self.asm.modrm(4, 0x89, 9, Rm::Field(code_page_at));
        }
        if let Some(second) = block.second {
            let page = code_page(second) as i32;
            dynasm!(self.asm ; .arch x64
                ; add r9d, 0x1000
                ; shr r9d, 12
                ; cmp DWORD [r10 + r9 * 4], page);
            self.asm.jcc(5, l.elsewhere);
        }
        if live_in != 0 {
            self.asm.jmp(l.saved);
        }
        self.asm.bind(l.direct);
        if live_in != 0 {
            self.save_flags();
        }
        self.asm.bind(l.saved);
        let total = self.block_total as i32;
        dynasm!(self.asm ; .arch x64 ; sub r13, total);
        self.asm.jcc(0xC, l.budget_out);
        self.flags = Where { host: false, memory: live_in != 0 };
        self.look_up_early();
    }

    /// The beginning of an entry from elsewhere into code that was translated for one place of one segment. Leaves the
    /// code page in r9d and the table of code pages in r10.
    fn look_home(&mut self, l: &Labels, block: &Block) {
        let home = self.home;
        let linear = home.linear();
        let (code_page_at, tlb, mode_at) = (self.o.code_page, self.o.code_tlb, self.o.mode);
        let (page, entry) = (code_page(block.phys) as i32, (linear >> 12 << 2) as i32);
        let (at, mode) = (linear as i32, (self.mode & !mode::ALONE) as i32);
        dynasm!(self.asm ; .arch x64
            ; mov r10, [r14 + tlb]
            ; cmp r8d, DWORD at);
        self.asm.jcc(5, l.other);
        dynasm!(self.asm ; .arch x64 ; cmp DWORD [r10 + entry], page);
        self.asm.jcc(5, l.other);
        // Tables that know only address and page would lead here again.
        let cs = self.o.segment(1);
        for (field, value) in
            [(mode_at, mode), (cs + self.o.base, home.base as i32), (cs + self.o.limit, home.limit as i32)]
        {
            dynasm!(self.asm ; .arch x64 ; cmp DWORD [r14 + field], value);
            self.asm.jcc(5, l.elsewhere);
        }
        self.asm.mov_imm(9, linear & !0xFFF);
        self.asm.modrm(4, 0x89, 9, Rm::Field(code_page_at));
    }

    /// Jumps out of the block, cold code, ways out.
    fn exits(&mut self, jumps: Vec<Jump>, live: Flags, l: &Labels, offset: u32) -> Vec<Exit> {
        let saved = self.flags.memory || live == 0;
        let mut exits = Vec::with_capacity(2);
        for jump in jumps {
            let stub = self.asm.label();
            match jump.condition {
                None => self.asm.jmp(stub),
                Some(16) => {
                    // JRCXZ reaches only 127 bytes: over a jump.
                    dynasm!(self.asm ; .arch x64 ; jrcxz BYTE 2);
                    self.asm.push(0xEB);
                    self.asm.push(5);
                    self.asm.jmp(stub);
                }
                Some(17) => {
                    // There is no JCXZ in long mode, and RFLAGS must stay.
                    dynasm!(self.asm ; .arch x64
                        ; mov r8d, ecx
                        ; movzx ecx, cx
                        ; jrcxz BYTE 5
                        ; mov ecx, r8d
                        ; jmp BYTE 8);
                    self.asm.modrm_raw(false, 0x8B, 1, Rm::Reg(8), false);
                    self.asm.jmp(stub);
                }
                Some(condition) => self.asm.jcc(condition, stub),
            }
            let at = self.asm.at() - 4;
            exits.push(Exit { jump, saved, stub, at, cross: false, tail: 0 });
        }
        self.cold();
        let links = self.first_link + self.alone.len();
        self.asm.bind(l.budget_out);
        let total = self.block_total as i32;
        dynasm!(self.asm ; .arch x64 ; add r13, total);
        self.linear(8, offset as i32);
        self.asm.jmp_outside(self.thunks.exit);
        self.asm.bind(l.elsewhere);
        self.asm.jmp_outside(self.thunks.miss);
        self.asm.bind(l.other);
        self.asm.jmp_outside(self.thunks.lookup);
        for (n, exit) in exits.iter_mut().enumerate() {
            self.asm.bind(exit.stub);
            let target = exit.jump.target;
            exit.cross = !(0..PAGE as i32).contains(&target);
            if !saved {
                self.save_flags();
            }
            if exit.cross {
                // The target is told the address and sees for itself; the rel32 to be linked is the one behind that.
                self.linear(8, target);
                let on = self.asm.label();
                self.asm.jmp(on);
                exit.at = self.asm.at() - 4;
                self.asm.bind(on);
                exit.stub = on;
            } else {
                self.linear(8, target);
            }
            // Out with the link's number, so that the dispatcher can connect it.
            let (number, link) = ((links + n) as i32, self.o.link);
            dynasm!(self.asm ; .arch x64 ; mov DWORD [r14 + link], number);
            self.asm.jmp_outside(self.thunks.miss);
            exit.tail = self.asm.at() - 4;
        }
        exits
    }
}
