//! Blocks of host code: translation, linking, entry and exit.
#![allow(unsafe_code)]

use super::asm::{Asm, Label};
use super::emit::{Done, Emitter, Files, Jump, Place, liveness};
use super::{CodeMemory, JitStats, NO_LINK, Shared, fp};
use crate::cpu::block::{BlockCache, MAX_BLOCK};
use crate::cpu::flags::bit;
use crate::cpu::tlb::ENTRIES;
use crate::cpu::{Cpu, Io};
use crate::isa::Inst;
use crate::isa::decode::Features;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::offset_of;
use dynasm::dynasm;

/// Times that a block is interpreted before it is translated.
const HEAT: u16 = 12;
/// Entry points in the table.
const TABLE: usize = 1 << 13;
/// Room that one block may need.
const BLOCK_ROOM: usize = 64 << 10;
/// Sites and links that the recompiler can remember before it starts over.
const SITES: usize = 1 << 20;
const LINKS: usize = 1 << 18;
const PLACED: usize = 1 << 18;

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
    /// Register files to load again behind it.
    pub(super) files: u8,
    /// Distance to the last x87 instruction before it whose pointers are not noted, or 0.
    pub(super) x87: u8,
    /// The same for the last one with a memory operand.
    pub(super) x87_memory: u8,
}

/// Offsets of what code reaches through r14 and r12.
#[derive(Clone, Copy)]
pub(super) struct Offsets {
    pub(super) flags: i32,
    pub(super) code_page: i32,
    pub(super) scratch: i32,
    pub(super) write_table: i32,
    pub(super) read_span: i32,
    pub(super) write_span: i32,
    pub(super) base: i32,
    segments: i32,
}

impl Offsets {
    const NEW: Self = Self {
        flags: shared(offset_of!(Shared, flags)),
        code_page: shared(offset_of!(Shared, code_page)),
        scratch: shared(offset_of!(Shared, scratch)),
        write_table: (ENTRIES * 8) as i32,
        read_span: offset_of!(crate::cpu::segment::Segment, read_span) as i32,
        write_span: offset_of!(crate::cpu::segment::Segment, write_span) as i32,
        base: offset_of!(crate::cpu::segment::Segment, base) as i32,
        segments: offset_of!(Cpu, seg) as i32,
    };

    /// A segment register's offset.
    pub(super) const fn segment(self, n: u8) -> i32 {
        self.segments + (n as usize % 6 * size_of::<crate::cpu::segment::Segment>()) as i32
    }
}

const fn shared(field: usize) -> i32 {
    (offset_of!(Cpu, jit) + field) as i32
}

const REGS: i32 = offset_of!(Cpu, regs) as i32;
const EIP: i32 = offset_of!(Cpu, eip) as i32;
const KEY: i32 = offset_of!(Cpu, code_key) as i32;
const BUDGET: i32 = shared(offset_of!(Shared, budget));
const LINK: i32 = shared(offset_of!(Shared, link));
const TLB: i32 = shared(offset_of!(Shared, tlb));
const INTERPRET: i32 = shared(offset_of!(Shared, interpret));
const ENTRY_TABLE: i32 = shared(offset_of!(Shared, entries));

/// Offsets of the shared pieces in code memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Thunks {
    enter: usize,
    /// r8d holds EIP, the flags are in memory: go there.
    pub(super) lookup: usize,
    /// As `lookup`, but the table is known not to have it.
    miss: usize,
    /// Leave with EIP already set and registers to be saved.
    exit: usize,
    /// CALLed with a site in r11d.
    pub(super) interpret: usize,
    /// Those of x87, MMX and SSE state.
    pub(super) fp: fp::Thunks,
    end: usize,
}

/// A recent entry point as code sees it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    eip: u32,
    key: u32,
    code: usize,
}

const EMPTY: Entry = Entry { eip: 0, key: u32::MAX, code: 0 };

/// A translated block.
#[derive(Clone, Copy)]
pub(super) struct Code {
    /// Entry from the table or the dispatcher: EIP in r8d, flags in memory.
    pub(super) lookup: u32,
    /// Entry by a link, flags in RFLAGS.
    direct: u32,
    /// Entry by a link, flags in memory.
    saved: u32,
    /// First link that leads here.
    incoming: u32,
}

const NO_CODE: Code = Code { lookup: 0, direct: 0, saved: 0, incoming: NO_LINK };

/// A direct jump that may be linked to its target.
#[derive(Clone, Copy)]
struct Link {
    /// Where its rel32 lies.
    at: u32,
    /// Where it leads while it is not linked.
    stub: u32,
    /// Flags are in memory.
    saved: bool,
    /// Offset of the target in its page, and the page.
    phys: u64,
    /// Next link to the same block.
    next: u32,
}

/// The recompiler.
pub struct Jit {
    pub(super) memory: Box<dyn CodeMemory>,
    pub(super) at: usize,
    thunks: Thunks,
    pub(super) blocks: Vec<Code>,
    /// Start and length of pieces of code, in order.
    pub(super) placed: Vec<(u32, u32)>,
    entries: Box<[Entry; TABLE]>,
    links: Vec<Link>,
    sites: Vec<Site>,
    asm: Asm,
    /// Every flag is exact at every fault and boundary, whether anybody looks or not.
    precise: bool,
    /// Extensions that the host has, and whether it is AMD's.
    host: (Features, bool),
    heat: u16,
    /// The block cache's generation that the code belongs to.
    generation: u32,
    /// Counters.
    pub stats: JitStats,
}

// SAFETY: the pointers in `sites` lead into the block cache of the same machine and are used only while that
// machine runs, by the thread that runs it.
unsafe impl Send for Jit {}

const fn r(n: i32) -> i32 {
    REGS + 4 * n
}

fn save(a: &mut Asm) {
    dynasm!(a ; .arch x64
        ; mov [r14 + r(0)], eax ; mov [r14 + r(1)], ecx ; mov [r14 + r(2)], edx ; mov [r14 + r(3)], ebx
        ; mov [r14 + r(4)], r15d ; mov [r14 + r(5)], ebp ; mov [r14 + r(6)], esi ; mov [r14 + r(7)], edi
        ; mov [r14 + BUDGET], r13);
    fp::save(a);
}

fn load(a: &mut Asm) {
    dynasm!(a ; .arch x64
        ; mov eax, [r14 + r(0)] ; mov ecx, [r14 + r(1)] ; mov edx, [r14 + r(2)] ; mov ebx, [r14 + r(3)]
        ; mov r15d, [r14 + r(4)] ; mov ebp, [r14 + r(5)] ; mov esi, [r14 + r(6)] ; mov edi, [r14 + r(7)]);
}

impl Jit {
    /// A recompiler for a cache of up to `blocks` blocks, with code memory from the host. None when the memory
    /// is too small to be of use.
    #[must_use]
    pub fn new(memory: Box<dyn CodeMemory>, blocks: usize, precise: bool) -> Option<Self> {
        if memory.len() < 4 * BLOCK_ROOM || memory.len() > 1 << 30 {
            return None;
        }
        let mut jit = Self {
            memory,
            at: 0,
            thunks: Thunks::default(),
            blocks: vec![NO_CODE; blocks],
            placed: Vec::with_capacity(PLACED),
            entries: match vec![EMPTY; TABLE].into_boxed_slice().try_into() {
                Ok(entries) => entries,
                Err(_) => return None,
            },
            links: Vec::with_capacity(LINKS),
            sites: Vec::with_capacity(SITES),
            asm: Asm::new(BLOCK_ROOM),
            precise,
            host: (fp::host_features(), fp::host_is_amd()),
            heat: HEAT,
            generation: 0,
            stats: JitStats::default(),
        };
        jit.emit_thunks();
        Some(jit)
    }

    /// Sets how often a block is interpreted before it is translated: 0 is at first sight.
    pub fn set_threshold(&mut self, heat: u16) {
        self.heat = heat;
    }

    /// Appends what the assembler holds to code memory; gives its offset.
    fn place(&mut self) -> usize {
        let at = self.at;
        self.asm.finish(at);
        let len = self.asm.bytes.len();
        // SAFETY: callers made sure that the bytes fit; the region is ours alone.
        unsafe {
            core::ptr::copy_nonoverlapping(self.asm.bytes.as_ptr(), self.memory.writable().add(at), len);
        }
        self.memory.publish(at..at + len);
        self.placed.push((at as u32, len as u32));
        self.at = (at + len).next_multiple_of(16);
        self.stats.bytes += len as u64;
        at
    }

    fn patch(&mut self, at: u32, to: u32) {
        let rel = to.wrapping_sub(at + 4);
        // SAFETY: `at` is the position of a rel32 that was emitted into the region.
        unsafe {
            let slot = self.memory.writable().add(at as usize).cast::<u32>();
            slot.write_unaligned(rel);
        }
        self.memory.publish(at as usize..at as usize + 4);
    }

    fn emit_thunks(&mut self) {
        let a = &mut self.asm;
        a.clear();
        // enter(cpu, code)
        self.thunks.enter = a.at();
        dynasm!(a ; .arch x64
            ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15
            ; sub rsp, 8
            ; mov r14, rdi
            ; mov r9, rsi
            ; mov r12, [r14 + TLB]
            ; mov r13, [r14 + BUDGET]
            ; mov r8d, [r14 + EIP]
            ; mov eax, [r14 + r(0)] ; mov ecx, [r14 + r(1)] ; mov edx, [r14 + r(2)] ; mov ebx, [r14 + r(3)]
            ; mov r15d, [r14 + r(4)] ; mov ebp, [r14 + r(5)] ; mov esi, [r14 + r(6)] ; mov edi, [r14 + r(7)]
            ; jmp r9);
        // A jump whose target the table may know.
        self.thunks.lookup = a.at();
        dynasm!(a ; .arch x64
            ; mov r9d, r8d
            ; and r9d, (TABLE - 1) as i32
            ; shl r9d, 4
            ; add r9, [r14 + ENTRY_TABLE]
            ; mov r10d, [r14 + KEY]
            ; cmp [r9], r8d);
        let miss = a.label();
        a.jcc(5, miss);
        dynasm!(a ; .arch x64 ; cmp [r9 + 4], r10d);
        a.jcc(5, miss);
        dynasm!(a ; .arch x64 ; jmp QWORD [r9 + 8]);
        a.bind(miss);
        self.thunks.miss = a.at();
        dynasm!(a ; .arch x64 ; mov [r14 + EIP], r8d);
        self.thunks.exit = a.at();
        save(a);
        let leave = a.label();
        a.bind(leave);
        dynasm!(a ; .arch x64
            ; add rsp, 8
            ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
            ; ret);
        // One instruction by the interpreter.
        self.thunks.interpret = a.at();
        save(a);
        dynasm!(a ; .arch x64
            ; mov rdi, r14
            ; mov esi, r11d
            ; sub rsp, 8
            ; call QWORD [r14 + INTERPRET]
            ; add rsp, 8
            ; test eax, eax);
        let out = a.label();
        a.jcc(5, out);
        load(a);
        dynasm!(a ; .arch x64 ; ret);
        self.thunks.fp = fp::Thunks::emit(a, save, load, out);
        a.bind(out);
        dynasm!(a ; .arch x64 ; add rsp, 8);
        a.jmp(leave);
        let base = self.place();
        for offset in [
            &mut self.thunks.enter,
            &mut self.thunks.lookup,
            &mut self.thunks.miss,
            &mut self.thunks.exit,
            &mut self.thunks.interpret,
            &mut self.thunks.fp.unload,
            &mut self.thunks.fp.load,
            &mut self.thunks.fp.fill,
        ] {
            *offset += base;
        }
        self.thunks.end = self.at;
    }

    /// Drops all code. The block cache was or will be emptied, or its blocks are translated anew.
    pub fn clear(&mut self) {
        self.at = self.thunks.end;
        self.placed.clear();
        self.blocks.fill(NO_CODE);
        self.entries.fill(EMPTY);
        self.links.clear();
        self.sites.clear();
        self.stats.full_flushes += 1;
    }

    /// Forgets a block whose bytes were overwritten.
    pub fn drop_block(&mut self, number: u32) {
        let Some(code) = self.blocks.get_mut(number as usize) else { return };
        let code = core::mem::replace(code, NO_CODE);
        if code.lookup == 0 {
            return;
        }
        self.stats.invalidated += 1;
        let mut link = code.incoming;
        while link != NO_LINK {
            let l = self.links[link as usize];
            self.patch(l.at, l.stub);
            link = l.next;
        }
        // Entries of the table that lead here find out: the entry's first bytes become a jump to the miss.
        let rel = (self.thunks.miss as u32).wrapping_sub(code.lookup + 5);
        // SAFETY: the entry is longer than five bytes.
        unsafe {
            let at = self.memory.writable().add(code.lookup as usize);
            at.write(0xE9);
            at.add(1).cast::<u32>().write_unaligned(rel);
        }
        self.memory.publish(code.lookup as usize..code.lookup as usize + 5);
    }

    /// Translates a block; false when memory was full and everything was dropped.
    fn translate(&mut self, cache: &BlockCache, number: u32) -> bool {
        if self.at + BLOCK_ROOM > self.memory.len()
            || self.sites.len() + 4 * MAX_BLOCK > SITES
            || self.links.len() + 4 > LINKS
            || self.placed.len() == PLACED
        {
            self.clear();
            return false;
        }
        let block = *cache.block(number);
        let insts = cache.insts(number);
        let count = insts.len();
        let offset = (block.phys & 0xFFF) as u32;
        let mut live = [0; MAX_BLOCK];
        let needed = liveness(insts, &mut live[..count], self.precise);
        let live_in = needed != 0;
        self.asm.clear();
        let mut w = Emitter {
            asm: &mut self.asm,
            cold: Vec::with_capacity(2 * count),
            sites: &mut self.sites,
            thunks: self.thunks,
            o: Offsets::NEW,
            block_total: count as u32,
            first: insts.as_ptr(),
            precise: self.precise,
            insts,
            files: Files::default(),
            host: self.host.0,
            amd: self.host.1,
        };
        let budget_out: Label = w.asm.label();
        let (lookup, direct, saved) = (w.asm.label(), w.asm.label(), w.asm.label());
        // Entries.
        let code_page = w.o.code_page;
        w.asm.bind(lookup);
        w.asm.lea(9, Some(8), None, -(offset as i32));
        w.asm.modrm(4, 0x89, 9, super::asm::Rm::Field(code_page));
        if live_in {
            w.asm.jmp(saved);
        }
        w.asm.bind(direct);
        if live_in {
            w.save_flags();
        }
        w.asm.bind(saved);
        let total = count as i32;
        dynasm!(w.asm ; .arch x64 ; sub r13, total);
        w.asm.jcc(0xC, budget_out);
        if live_in {
            w.restore_flags();
        }
        // Body.
        let mut jumps = Vec::new();
        let mut ended = false;
        for (n, i) in insts.iter().enumerate() {
            let before = if n == 0 { needed } else { live[n - 1] };
            let p = Place { index: n as u32, live: live[n], before, offset };
            if i.row().lowering.is_flow() {
                let next = (offset + u32::from(block.len)) as i32;
                w.note_pointers(offset);
                jumps = w.branch(i, p, next);
                ended = true;
            } else if w.inst(i, p) == Done::Ended {
                ended = true;
            }
        }
        if !ended {
            w.note_pointers(offset);
            let next = (offset + u32::from(block.len)) as i32;
            jumps.push(Jump { condition: None, target: next, saved: false });
        }
        let mut stubs = Vec::with_capacity(2);
        for jump in &jumps {
            let stub = w.asm.label();
            match jump.condition {
                None => w.asm.jmp(stub),
                Some(16) => {
                    // JRCXZ reaches only 127 bytes: over a jump.
                    dynasm!(w.asm ; .arch x64 ; jrcxz BYTE 2);
                    w.asm.push(0xEB);
                    w.asm.push(5);
                    w.asm.jmp(stub);
                }
                Some(condition) => w.asm.jcc(condition, stub),
            }
            stubs.push((stub, w.asm.at() - 4, *jump));
        }
        // Cold code.
        w.cold();
        w.asm.bind(budget_out);
        dynasm!(w.asm ; .arch x64 ; add r13, total);
        w.eip(8, offset as i32);
        w.asm.jmp_outside(self.thunks.miss);
        let page = block.phys & !0xFFF;
        let mut pending = [None; 2];
        for (n, (stub, at, jump)) in stubs.iter().enumerate() {
            w.asm.bind(*stub);
            if !jump.saved {
                w.save_flags();
            }
            w.eip(8, jump.target);
            if (0..0x1000).contains(&jump.target) {
                // Same page: left with the link's number, so that the dispatcher can connect it.
                let number = (self.links.len() + n) as i32;
                dynasm!(w.asm ; .arch x64 ; mov DWORD [r14 + LINK], number);
                w.asm.jmp_outside(self.thunks.miss);
                pending[n] = Some((*at, *stub, jump.saved, page | jump.target as u64));
            } else {
                w.asm.jmp_outside(self.thunks.lookup);
                pending[n] = Some((*at, *stub, jump.saved, u64::MAX));
            }
        }
        let positions = [lookup, direct, saved].map(|l| self.asm.position(l));
        let stub_positions: [usize; 2] =
            core::array::from_fn(|n| pending[n].map_or(0, |p| self.asm.position(p.1)));
        let base = self.place();
        for (n, p) in pending.iter().enumerate().take(stubs.len()) {
            if let Some((at, _, saved, phys)) = p {
                self.links.push(Link {
                    at: (base + at) as u32,
                    stub: (base + stub_positions[n]) as u32,
                    saved: *saved,
                    phys: *phys,
                    next: NO_LINK,
                });
            }
        }
        self.blocks[number as usize] = Code {
            lookup: (base + positions[0]) as u32,
            direct: (base + positions[1]) as u32,
            saved: (base + positions[2]) as u32,
            incoming: NO_LINK,
        };
        self.stats.translated += 1;
        true
    }

    /// Connects a link to the block that it leads to.
    fn connect(&mut self, link: u32, number: u32, cache: &BlockCache) {
        let Some(&l) = self.links.get(link as usize) else { return };
        if l.phys != cache.block(number).phys || cache.block(number).second.is_some() {
            return;
        }
        let code = self.blocks[number as usize];
        self.patch(l.at, if l.saved { code.saved } else { code.direct });
        self.links[link as usize].next = code.incoming;
        self.blocks[number as usize].incoming = link;
        self.stats.linked += 1;
    }

    /// The code for a block, translated when it is hot enough; enters it into the table and connects the link
    /// that led here.
    pub fn code(
        &mut self,
        cache: &mut BlockCache,
        number: u32,
        linear: u32,
        key: u32,
        link: u32,
    ) -> Option<usize> {
        if self.generation != cache.generation {
            self.clear();
            self.generation = cache.generation;
        }
        if self.blocks[number as usize].lookup == 0 {
            if cache.warm(number) < self.heat {
                return None;
            }
            if !self.translate(cache, number) {
                return None;
            }
        }
        if link != NO_LINK {
            self.connect(link, number, cache);
        }
        let offset = self.blocks[number as usize].lookup as usize;
        let code = self.memory.executable() as usize + offset;
        self.stats.lookups_missed += 1;
        // A block that reaches into a second page must have that page looked at each time.
        if cache.block(number).second.is_none() {
            self.entries[linear as usize & (TABLE - 1)] = Entry { eip: linear, key, code };
        }
        Some(code)
    }

    /// Runs translated code from EIP on until it leaves. Afterwards the processor's state is complete but for
    /// [`Shared::trap`].
    pub fn enter(&mut self, cpu: &mut Cpu, code: usize, limit: u64, io: &mut dyn Io) {
        self.stats.entered += 1;
        let s = &mut cpu.jit;
        s.limit = limit;
        s.budget = (limit - cpu.count) as i64;
        s.tlb = cpu.tlb.base() as usize + cpu.tlb_mode as usize * ENTRIES * 8;
        s.entries = self.entries.as_ptr() as usize;
        s.interpret = interpret as *const () as usize;
        s.fill = fill as *const () as usize;
        let region = self.memory.executable() as usize;
        (s.load, s.unload) = (region + self.thunks.fp.load, region + self.thunks.fp.unload);
        s.link = NO_LINK;
        s.trap = None;
        s.flags = pack(cpu.flags.status());
        s.site = NO_LINK;
        // SAFETY: a fat reference is two words; it is read back only while `io` is borrowed here.
        s.io = unsafe { core::mem::transmute::<&mut dyn Io, [usize; 2]>(io) };
        s.scratch = 0;
        cpu.sites = self.sites.as_ptr() as usize;
        let enter = self.memory.executable() as usize + self.thunks.enter;
        // SAFETY: the thunk follows the ABI named here; `code` is the entry of a live block in the same
        // region. Code reaches memory only through the processor's fields and the TLB, whose entries are
        // valid for as long as `cpu` and `io` are borrowed.
        unsafe {
            let enter: unsafe extern "sysv64" fn(*mut Cpu, usize) = core::mem::transmute(enter);
            enter(cpu, code);
        }
        fp::spill(cpu);
        if cpu.jit.site == NO_LINK {
            // Left between blocks.
            cpu.count = (cpu.jit.limit as i64 - cpu.jit.budget) as u64;
            cpu.flags.set_status(unpack(cpu.jit.flags));
            cpu.at = 0;
        } else {
            self.stats.interpreted += 1;
        }
    }

    /// The instruction of the site that translated code left at.
    #[must_use]
    pub fn site_inst(&self, site: u32) -> Option<(Inst, u32)> {
        let s = self.sites.get(site as usize)?;
        // SAFETY: sites live as long as the code that names them, and that as long as the block cache keeps
        // the instructions; both are dropped together.
        Some((unsafe { *s.inst }, s.index))
    }
}

/// Status flags as EFLAGS has them to what LAHF and SETO give.
const fn pack(status: u32) -> u32 {
    (status & 0xD5 | 2) << 8 | (status & bit::OF != 0) as u32
}

const fn unpack(flags: u32) -> u32 {
    flags >> 8 & 0xD5 | if flags & 1 != 0 { bit::OF } else { 0 }
}

/// Executes one instruction for translated code: 0 to go on behind it, 1 to leave.
///
/// # Safety
/// Called by translated code only, with the processor that it runs and a site of its own.
unsafe extern "sysv64" fn interpret(cpu: *mut Cpu, site: u32) -> u32 {
    // SAFETY: `enter` holds the processor exclusively and has passed it to the code that calls this.
    let c = unsafe { &mut *cpu };
    // SAFETY: the number was emitted with the site's code; both are dropped together.
    let s = unsafe { &*(c.sites as *const Site).add(site as usize) };
    // SAFETY: see `Jit::site_inst`.
    let i = unsafe { &*s.inst };
    c.block_eip = c.jit.code_page.wrapping_add(s.offset);
    c.count = (c.jit.limit as i64 - c.jit.budget - i64::from(s.total)) as u64;
    c.at = s.index;
    c.stop_at = s.index + 1;
    c.eip = c.block_eip.wrapping_add(u32::from(i.end));
    if s.flags_in {
        c.flags.set_status(unpack(c.jit.flags));
    }
    fp::before(c, i, s);
    // SAFETY: `enter` stored the words of a reference that it still borrows.
    let io = unsafe { core::mem::transmute::<[usize; 2], &mut dyn Io>(c.jit.io) };
    match (i.run)(c, i, io) {
        Ok(()) if c.stop_at != 0 && !s.end => {
            if s.flags_out {
                c.jit.flags = pack(c.flags.status());
            }
            0
        }
        Ok(()) => {
            c.count += u64::from(s.index) + 1;
            c.at = 0;
            c.jit.site = site;
            1
        }
        Err(trap) => {
            c.jit.trap = Some(trap);
            c.jit.site = site;
            1
        }
    }
}

/// Puts register files into the host's registers, before the site's instruction or behind it; where that cannot be,
/// the interpreter executes the instruction and translated code is left. Answers as [`interpret`].
///
/// # Safety
/// As for [`interpret`].
unsafe extern "sysv64" fn fill(cpu: *mut Cpu, site: u32, files: u32) -> u32 {
    // SAFETY: see `interpret`.
    let c = unsafe { &mut *cpu };
    let files = files as u8;
    if fp::load(c, files & !fp::BEHIND) {
        return 0;
    }
    if files & fp::BEHIND == 0 {
        // SAFETY: the caller's promise.
        return unsafe { interpret(cpu, site) };
    }
    // The interpreter has left EIP behind the instruction and the count at the block's beginning.
    c.count += u64::from(c.at) + 1;
    c.at = 0;
    c.jit.site = site;
    1
}
