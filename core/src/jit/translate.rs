//! Translation of one block, or of a trace.

use super::asm::{Asm, Label, Rm, Spread};
use super::emit::flags::{Where, needed};
use super::emit::{Alone, Astray, Cold, Done, Emitter, Files, Jump, Jumps, Place, Return, Through};
use super::plan::{Kind, Plan};
use super::thunks::Offsets;
use super::trace::{Heat, Known, Successors, Trace};
use super::window::Access;
use super::x64::{Code, Jit, Link, Note, PATCHES, PatchKind, place};
use super::{NO_LINK, Pages};
use crate::cpu::block::{Block, BlockCache, MAX_BLOCK, mode};
use crate::cpu::tlb::code_page;
use crate::isa::row::flags::OSZAPC;
use crate::isa::row::{Flags, Lowering};
use crate::memory::PAGE;
use alloc::vec::Vec;
use dynasm::dynasm;

/// A jump on its way out of what is translated.
struct Exit {
    /// Target: offset in the block's page (may leave it).
    target: i32,
    /// Instructions of the budget that are given back.
    rest: u32,
    /// The flags are in memory, or nobody needs them.
    saved: bool,
    /// Bound where the way out begins, once that has been emitted.
    way: Option<Label>,
    /// Position of the rel32 to be linked.
    at: usize,
    /// Bound where that leads while it is not.
    stub: Label,
    /// It leads to another page.
    cross: bool,
    /// Position of the rel32 of the last way out.
    tail: usize,
}

impl Jit {
    /// Translates a block, for which there is room; with those behind it when it was entered often enough. `plain` is
    /// its code without those, if there is such.
    pub(super) fn translate(
        &mut self,
        cache: &BlockCache,
        number: u32,
        pages: Pages<'_>,
        plain: Option<Code>,
    ) {
        let mut trace = core::mem::replace(&mut self.trace, Trace::NONE);
        let hot = cache.block(number).mode & mode::ALONE == 0 && self.until_hot[number as usize] < 0;
        trace.follow(
            cache,
            number,
            hot.then_some(Heat {
                hot: self.hot,
                left: &self.until_hot,
                blocks: &self.blocks,
                pages: plain.map(|_| pages),
            }),
        );
        self.translate_trace(cache, number, hot, &trace, plain);
        self.trace = trace;
    }

    fn translate_trace(
        &mut self,
        cache: &BlockCache,
        number: u32,
        hot: bool,
        trace: &Trace,
        plain: Option<Code>,
    ) {
        let block = *cache.block(number);
        let alone = block.mode & mode::ALONE != 0;
        let insts = &trace.insts[..];
        let count = insts.len();
        let mut known = Known::default();
        let mut live = [OSZAPC; MAX_BLOCK];
        let live_in =
            if self.precise { OSZAPC } else { trace.flags(cache, &mut known, |n, flags| live[n] = flags) };
        // Where a trace finds another of its pages elsewhere, the block's own code takes over.
        let plain = if trace.pages.is_empty() { None } else { plain };
        let mut at = [0; MAX_BLOCK];
        for piece in &trace.pieces {
            for n in piece.range() {
                at[n] = piece.offset + i32::from(insts[n].end) - i32::from(insts[n].len);
            }
        }
        let code =
            Translation { trace, block: &block, live: &live[..count], live_in, at: &at[..count], plain };
        // Accesses share lookups where offsets are linear addresses.
        const SHARES: u32 = mode::STACK32 | (13 * mode::FLAT_SEGMENT);
        let shares = block.mode & (SHARES | mode::WINDOW) == SHARES;
        let counter = (!alone && !hot).then_some(number);
        let kinds: &[Option<Kind>] = match (alone, hot, trace.closed) {
            (true, ..) => &[None],
            (_, false, _) => &[Some(Kind::Block)],
            (.., false) => &[Some(Kind::Trace)],
            _ if trace.short => &[Some(Kind::Loop)],
            // Rounds are counted where nothing in line leaves the loop.
            _ => &[Some(Kind::Rounds), Some(Kind::Loop)],
        };
        let (sites, patches) = (self.sites.len(), self.patches.len());
        // Where immediate operands have changed before, they may do so again.
        let patchable = block.varies
            && !self.precise
            && trace.pieces.len() == 1
            && !trace.closed
            && patches + 2 * count < PATCHES;
        let mut made = None;
        for &kind in kinds {
            let plan =
                kind.filter(|_| shares).map_or(Plan::NONE, |kind| Plan::new(insts, kind, &mut self.found));
            if kind == Some(Kind::Rounds) && plan.groups.is_empty() {
                continue;
            }
            self.sites.truncate(sites);
            self.patches.truncate(patches);
            let Some(done) = self.emit(&code, &plan, counter, patchable) else { continue };
            self.stats.rounds += u64::from(plan.rounds);
            made = Some(done);
            break;
        }
        let Some(labels) = made else { return };
        let spread = self.place();
        let of = |position: usize| spread.of(position) as u32;
        let links = (self.links.len() + self.ways.alone.len()) as u32;
        let patches = self.keep_patches(number, patches, spread, links);
        for through in &self.ways.through {
            self.accesses.push(Access {
                start: of(through.start),
                stub: of(self.asm.position(through.slow)),
                head: number,
                block: through.block,
                len: (through.end - through.start) as u8,
                index: through.index,
                vain: 0,
            });
        }
        self.catch.set_accesses(&self.accesses);
        for way in &self.ways.alone {
            self.links.push(Link {
                at: of(way.at),
                stub: of(self.asm.position(way.stub)),
                cross: way.cross,
                tail: of(way.tail),
                saved: true,
                linked: false,
                phys: if way.cross { 0 } else { block.phys & !0xFFF } | (way.target as u64 & 0xFFF),
                next: NO_LINK,
                to: 0,
            });
        }
        for exit in &self.ways.exits {
            let page = if exit.cross { 0 } else { block.phys & !0xFFF };
            self.links.push(Link {
                at: of(exit.at),
                stub: of(self.asm.position(exit.stub)),
                cross: exit.cross,
                tail: of(exit.tail),
                saved: exit.saved,
                linked: false,
                phys: page | (exit.target as u64 & 0xFFF),
                next: NO_LINK,
                to: 0,
            });
        }
        self.blocks[number as usize] = Code {
            lookup: of(self.asm.position(labels.lookup)),
            direct: of(self.asm.position(labels.direct)),
            saved: of(self.asm.position(labels.saved)),
            plain: of(self.asm.position(labels.plain)),
            live_in: live_in != 0,
            total: count as u32,
            hot,
            closed: trace.closed,
            place: place(block.phys),
            patches,
            ..self.blocks[number as usize]
        };
        let parts = trace.pieces.iter().map(|piece| piece.block);
        for other in known.blocks[..known.count].iter().copied().chain(parts) {
            if other != number {
                let head = &mut self.blocks[other as usize].dependents;
                self.notes.push(Note { block: number, next: *head });
                *head = self.notes.len() as u32 - 1;
            }
        }
        self.stats.translated += 1;
        self.stats.hot += u64::from(hot);
        self.stats.over_pages += u64::from(!trace.pages.is_empty());
        self.stats.loops += u64::from(trace.closed);
    }

    /// The patches from `first` on belong to a block's code, whose ways out have the links from `links` on. Gives where
    /// they are: where those of its last code were, if they fit there.
    fn keep_patches(&mut self, number: u32, first: usize, spread: Spread, links: u32) -> (u32, u32) {
        for patch in &mut self.patches[first..] {
            patch.at = spread.of(patch.at as usize) as u32;
            if let PatchKind::Target(link) = &mut patch.kind {
                *link += links;
            }
        }
        let count = self.patches.len() - first;
        let (place, room) = self.blocks[number as usize].patches;
        if count == 0 || count > room as usize {
            return (first as u32, count as u32);
        }
        self.patches.copy_within(first.., place as usize);
        self.patches.truncate(first);
        (place, count as u32)
    }

    /// Emits code; none when it turns out that rounds cannot be counted.
    fn emit(
        &mut self,
        code: &Translation<'_>,
        plan: &Plan,
        counter: Option<u32>,
        patchable: bool,
    ) -> Option<Labels> {
        let Translation { trace, block, live, live_in, at, .. } = *code;
        let insts = &trace.insts[..];
        let count = insts.len();
        self.asm.clear();
        self.ways.clear();
        let exits = &mut self.ways.exits;
        let mut w = Emitter {
            asm: &mut self.asm,
            cold: &mut self.ways.cold,
            sites: &mut self.sites,
            patches: &mut self.patches,
            patchable,
            current: 0,
            thunks: self.thunks,
            o: Offsets::NEW,
            block_total: count as u32,
            mode: block.mode,
            home: block.home,
            offset: (block.phys & 0xFFF) as u32,
            at,
            plan,
            looked_up: 0,
            alone: &mut self.ways.alone,
            astray: &mut self.ways.astray,
            first_link: self.links.len(),
            through: &mut self.ways.through,
            denied: if self.accesses.capacity() == 0 { &[] } else { &self.denied },
            precise: self.precise,
            flags: Where::MEMORY,
            interpreted: false,
            interrupted: false,
            insts,
            files: Files::default(),
            host: self.host.0,
            amd: self.host.1,
        };
        let labels = Labels::new(w.asm);
        w.entries(&labels, code, counter);
        w.look_up_early(trace.closed);
        let early = trace.early_files();
        if early != 0 {
            w.load_files(&insts[0], Place { index: 0, live: live[0], piece: trace.pieces[0] }, early);
        }
        w.interrupted = false;
        if plan.rounds {
            w.put_aside();
        }
        w.asm.bind(labels.body);
        let hoisted = w.looked_up;
        for (number, &piece) in trace.pieces.iter().enumerate() {
            let follower = trace.pieces.get(number + 1);
            let end = piece.start + piece.count;
            let to = Successors::of(block, piece.offset, piece.len, &insts[end as usize - 1]);
            let mut jumps = to.as_ref().map_or(Jumps::NONE, |to| Jumps::always(to.next));
            for n in piece.range() {
                let (i, p) = (&insts[n], Place { index: n as u32, live: live[n], piece });
                if i.row().lowering.is_flow() {
                    w.current = n as u32;
                    w.note_pointers();
                    let on = match follower {
                        Some(follower) => {
                            let first = follower.start as usize;
                            let live = needed(&insts[first..=first], live[first], |_, _| ());
                            Some(Return { to: follower.offset, rest: count as u32 - end, live })
                        }
                        None if trace.closed => {
                            Some(Return { to: trace.pieces[0].offset, rest: 0, live: live_in })
                        }
                        None => None,
                    };
                    jumps = w.branch(i, p, to.as_ref(), on);
                } else if w.inst(i, p) == Done::Ended {
                    jumps = Jumps::NONE;
                }
            }
            if !jumps.is_empty() {
                w.note_pointers();
            }
            let needed = live[end as usize - 1];
            match follower {
                Some(follower) => {
                    w.side_exit(&jumps, follower.offset, count as u32 - end, needed, exits);
                }
                None if trace.closed => {
                    w.side_exit(&jumps, trace.pieces[0].offset, 0, needed, exits);
                    let held =
                        hoisted == 0 || (plan.stable || plan.rounds) && w.looked_up & hoisted == hoisted;
                    let ready = w.files.loaded & early == early && held;
                    w.back(if ready { labels.body } else { labels.top }, live_in, &labels);
                    if plan.rounds && !ready {
                        return None;
                    }
                }
                None => w.lead_out(&jumps, needed, exits),
            }
        }
        if plan.rounds && w.interrupted {
            return None;
        }
        w.exits(exits, &labels, trace.pieces[0].offset);
        Some(labels)
    }
}

/// What is to be translated, and what is known of it.
#[derive(Clone, Copy)]
struct Translation<'a> {
    trace: &'a Trace,
    block: &'a Block,
    /// Flags needed behind each instruction, and before the first.
    live: &'a [Flags],
    live_in: Flags,
    /// Distances of the instructions from the beginning of the block's page.
    at: &'a [i32],
    /// The block's own code.
    plain: Option<Code>,
}

/// What leads out of what is translated, and its cold pieces: lists with room for the longest there can be, so that
/// nothing is allocated while the guest runs.
pub(super) struct Ways {
    cold: Vec<Cold>,
    alone: Vec<Alone>,
    astray: Vec<Astray>,
    through: Vec<Through>,
    exits: Vec<Exit>,
}

impl Ways {
    pub(super) fn room() -> Self {
        Self {
            // An instruction has two accesses at most, each with its ways around an unaligned operand, a page with code
            // and one that is not there, and it may load files.
            cold: Vec::with_capacity(8 * MAX_BLOCK),
            alone: Vec::with_capacity(4 * MAX_BLOCK),
            astray: Vec::with_capacity(MAX_BLOCK),
            through: Vec::with_capacity(2 * MAX_BLOCK),
            exits: Vec::with_capacity(4 * MAX_BLOCK),
        }
    }

    fn clear(&mut self) {
        self.cold.clear();
        self.alone.clear();
        self.astray.clear();
        self.through.clear();
        self.exits.clear();
    }
}

/// Entries of a block, and where it goes without budget.
struct Labels {
    lookup: Label,
    direct: Label,
    saved: Label,
    /// Behind what counts entries, with the flags in memory.
    plain: Label,
    /// Where a loop begins: behind the budget check.
    top: Label,
    /// The same, with everything looked up and loaded that is before its first instruction.
    body: Label,
    budget_out: Label,
    /// It has been entered often.
    often: Label,
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
            plain: a.label(),
            top: a.label(),
            body: a.label(),
            budget_out: a.label(),
            often: a.label(),
            other: a.label(),
            elsewhere: a.label(),
        }
    }
}

impl Emitter<'_> {
    /// The entries, the budget check, and the shared lookup if that can be made here.
    fn entries(&mut self, l: &Labels, code: &Translation<'_>, counter: Option<u32>) {
        let Translation { trace, block, live_in, plain, .. } = *code;
        let offset = (block.phys & 0xFFF) as i32;
        let (code_page_at, tlb) = (self.o.code_page, self.o.code_tlb);
        let page = code_page(block.phys) as i32;
        self.asm.bind(l.lookup);
        if self.mode & mode::FLAT == 0 {
            self.look_home(l, block);
        } else {
            dynasm!(self.asm ; .arch x64
                ; mov r9d, r8d
                ; shr r9d, 12);
            self.asm.modrm(8, 0x8B, 10, Rm::Field(tlb));
            dynasm!(self.asm ; .arch x64 ; cmp DWORD [r10 + r9 * 4], page);
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
        let keep = live_in != 0 || plain.is_some_and(|plain| plain.live_in);
        if keep {
            self.asm.jmp(l.saved);
        }
        self.asm.bind(l.direct);
        if keep {
            self.save_flags();
        }
        self.asm.bind(l.saved);
        if let Some(number) = counter {
            let (table, at) = (self.o.until_hot, number as i32 * 4);
            dynasm!(self.asm ; .arch x64 ; mov r9, [r14 + table] ; sub DWORD [r9 + at], 1);
            self.asm.jcc(8, l.often);
        }
        self.asm.bind(l.plain);
        if let Some(plain) = plain {
            dynasm!(self.asm ; .arch x64 ; mov r8d, [r14 + code_page_at] ; mov r10, [r14 + tlb]);
            for &(distance, phys) in &trace.pages {
                let page = code_page(phys) as i32;
                self.asm.lea(9, Some(8), None, distance);
                dynasm!(self.asm ; .arch x64 ; shr r9d, 12 ; cmp DWORD [r10 + r9 * 4], page);
                self.asm.jcc_outside(5, plain.plain as usize);
            }
        }
        self.budget();
        self.asm.jcc(0xC, l.budget_out);
        self.flags = Where { host: false, memory: live_in != 0 };
        self.asm.bind(l.top);
        if self.plan.rounds {
            let aside = self.o.aside;
            dynasm!(self.asm ; .arch x64 ; mov QWORD [r14 + aside], 0);
        }
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

    /// Takes the instructions off the budget.
    fn budget(&mut self) {
        let total = self.block_total;
        if total < 0x80 {
            dynasm!(self.asm ; .arch x64 ; sub r13, BYTE total as i8);
        } else {
            dynasm!(self.asm ; .arch x64 ; sub r13, total as i32);
        }
    }

    /// A jump out. With instructions to give back, or to another page, it goes by a way out, which the link then
    /// lies in.
    fn exit(&mut self, jump: Jump, rest: u32, needed: Flags, exits: &mut Vec<Exit>) {
        let stub = self.asm.label();
        let target = jump.target;
        let cross = !(0..PAGE as i32).contains(&target);
        let saved = self.flags.memory || needed == 0;
        let mut exit = Exit { target, rest, saved, way: None, at: 0, stub, cross, tail: 0 };
        let direct = rest == 0 && !cross && !self.plan.rounds;
        match jump.condition {
            None if !direct => {
                self.way_out(&mut exit, exits.len());
                exits.push(exit);
                return;
            }
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
        exit.at = self.asm.at() - 4;
        if !direct {
            exit.way = Some(stub);
            exit.stub = self.asm.label();
        }
        exits.push(exit);
    }

    /// What is done on the way out, and the jump to be linked.
    fn way_out(&mut self, exit: &mut Exit, n: usize) {
        self.take_up();
        if exit.rest != 0 {
            self.asm.lea_wide(13, 13, exit.rest as i32);
        }
        if exit.cross {
            // The target is told the address and sees for itself.
            if !exit.saved {
                self.save_flags();
            }
            self.linear(8, exit.target);
            self.note_way(exit, n);
        }
        self.asm.jmp(exit.stub);
        exit.at = self.asm.at() - 4;
    }

    /// All ways on from the last instruction lead out.
    fn lead_out(&mut self, jumps: &[Jump], needed: Flags, exits: &mut Vec<Exit>) {
        for &jump in jumps {
            self.exit(jump, 0, needed, exits);
        }
    }

    /// Of the ways on, the one to `on` is what follows; the other leads out.
    fn side_exit(&mut self, jumps: &[Jump], on: i32, rest: u32, needed: Flags, exits: &mut Vec<Exit>) {
        let [Jump { condition: Some(condition), target }, Jump { target: other, .. }] = *jumps else {
            return;
        };
        if target != on {
            self.exit(Jump { condition: Some(condition), target }, rest, needed, exits);
        } else if other != on {
            self.exit(Jump { condition: Some(condition ^ 1), target: other }, rest, needed, exits);
        }
    }

    /// Back to the beginning of a loop.
    fn back(&mut self, to: Label, live_in: Flags, l: &Labels) {
        self.keep_flags(live_in);
        self.budget();
        self.asm.jcc(0xD, to);
        if self.plan.rounds {
            // The rounds are done: the next ones.
            let aside = self.o.aside;
            dynasm!(self.asm ; .arch x64 ; add r13, [r14 + aside]);
            self.asm.jcc(0xD, l.top);
        }
        self.asm.jmp(l.budget_out);
    }

    /// The address of the way out of number `n` has just been made: notes where the branch's distance is in it, if that
    /// may be changed.
    fn note_way(&mut self, exit: &Exit, n: usize) {
        let lowering = self.insts[self.current as usize].row().lowering;
        if lowering.is_flow() {
            let short = i8::try_from(exit.target).is_ok();
            let single = matches!(lowering, Lowering::Jump | Lowering::CallNear);
            let free = single && exit.cross && !short && self.mode & mode::FLAT != 0;
            let kind = if free { PatchKind::Target(n as u32) } else { PatchKind::Fixed };
            self.note_patch(kind, self.asm.at() - 4);
        }
    }

    /// Ways out, cold code.
    fn exits(&mut self, exits: &mut [Exit], l: &Labels, offset: i32) {
        for (n, exit) in exits.iter_mut().enumerate() {
            if let Some(way) = exit.way {
                self.asm.bind(way);
                self.way_out(exit, n);
            }
        }
        self.ways_astray();
        self.asm.begin_cold();
        self.cold();
        let links = self.first_link + self.alone.len();
        self.asm.bind(l.budget_out);
        let total = self.block_total as i32;
        dynasm!(self.asm ; .arch x64 ; add r13, total);
        self.linear(8, offset);
        self.asm.jmp_outside(self.thunks.exit);
        self.asm.bind(l.often);
        self.linear(8, offset);
        self.asm.bind(l.elsewhere);
        self.asm.jmp_outside(self.thunks.miss);
        self.asm.bind(l.other);
        self.asm.jmp_outside(self.thunks.lookup);
        for (n, exit) in exits.iter_mut().enumerate() {
            self.asm.bind(exit.stub);
            if !exit.cross {
                if !exit.saved {
                    self.save_flags();
                }
                self.linear(8, exit.target);
                self.note_way(exit, n);
            }
            // Out with the link's number, so that the dispatcher can connect it.
            let (number, link) = ((links + n) as i32, self.o.link);
            dynasm!(self.asm ; .arch x64 ; mov DWORD [r14 + link], number);
            self.asm.jmp_outside(self.thunks.miss);
            exit.tail = self.asm.at() - 4;
        }
    }
}
