//! The interpreter's loop: find the block at EIP, execute its instructions, deal with what stopped it.

use super::block::{Block, BlockCache, Home, MAX_BLOCK, Recent, mode};
use super::fault::{Kind, vector};
use super::interrupt::Event;
use super::paging::Access;
use super::segment::seg;
use super::{Cpu, Io, Run, Stop, Trap, event, flags};
use crate::isa::decode::{DecodeError, MAX_LEN, decode};
use crate::isa::row::Lowering;
use crate::isa::{Inst, Operand};
use crate::jit::{Jit, NO_LINK, Pages};
use crate::memory::{PAGE, PhysAddr, Target};

impl Cpu {
    /// Executes at least one block, and on until `limit` instructions have been executed in all (exactly so
    /// many unless a fault or a halt intervenes) or something needs attention.
    ///
    /// Blocks that are hot run through the recompiler, where there is one.
    pub fn run(
        &mut self,
        cache: &mut BlockCache,
        mut jit: Option<&mut Jit>,
        limit: u64,
        io: &mut dyn Io,
    ) -> Stop {
        self.notice(cache, jit.as_deref_mut(), io);
        while self.count < limit {
            if self.halted {
                return Stop::Halt;
            }
            let result = if self.stepping || self.shadow {
                self.step(cache, io)
            } else {
                self.execute(cache, jit.as_deref_mut(), limit, io)
            };
            if let Err(stop) = result {
                return stop;
            }
            let events = self.notice(cache, jit.as_deref_mut(), io);
            if events & event::LEAVE != 0 && !self.shadow
                || events & event::INTERRUPT != 0 && self.interruptible()
            {
                return Stop::Boundary;
            }
        }
        Stop::Boundary
    }

    /// Takes note of overwritten code and of a changed physical map, which instructions or, between two runs,
    /// devices have left. Returns what waits.
    #[inline]
    fn notice(&mut self, cache: &mut BlockCache, jit: Option<&mut Jit>, io: &mut dyn Io) -> u32 {
        let events = io.events();
        if events & event::CODE != 0 {
            cache.drop_overwritten(io.memory(), jit);
        }
        if events & event::MAP != 0 {
            io.memory().take_map_change();
            self.flush_tlb(true);
        }
        events
    }

    /// Executes one block or, when it has been translated, everything that it leads to; no more than `limit`
    /// instructions in all.
    fn execute(
        &mut self,
        cache: &mut BlockCache,
        jit: Option<&mut Jit>,
        limit: u64,
        io: &mut dyn Io,
    ) -> Result<(), Stop> {
        if jit.is_none() {
            while let Some(recent) = self.recent(cache) {
                if self.beyond_limit(recent.len) {
                    return self.step(cache, io);
                }
                let (insts, len) = (cache.insts_of(recent), recent.len);
                let left = limit - self.count;
                if !self.run_plain(insts, len, left, io)? {
                    return Ok(());
                }
            }
        } else {
            self.seek_window(io.memory());
        }
        let left = limit - self.count;
        let Some(number) = self.block_here(cache, false, io)? else { return Ok(()) };
        let block = cache.block(number);
        let s = &self.seg[seg::CS];
        if self.beyond_limit(block.len) {
            return self.step(cache, io);
        }
        if let Some(jit) = jit
            && left >= u64::from(block.count)
            && let pages =
                (Pages { tlb: &self.tlb, user: self.cpl == 3, linear: s.base.wrapping_add(self.eip) })
            && let Some(code) = jit.code(cache, number, pages, NO_LINK)
            && left >= jit.instructions(number)
        {
            return jit.enter(self, cache, code, limit, io);
        }
        let (insts, len) = (cache.insts(number), cache.block(number).len);
        self.run_insts(insts, len, left.min(MAX_BLOCK as u64) as u32, io)
    }

    /// Whether `len` bytes at EIP reach out of the code segment.
    #[inline(always)]
    fn beyond_limit(&self, len: u16) -> bool {
        u64::from(self.eip) + u64::from(len) > u64::from(self.seg[seg::CS].limit) + 1
    }

    /// The block at EIP, if it was entered lately.
    #[inline(always)]
    fn recent<'a>(&self, cache: &'a BlockCache) -> Option<&'a Recent> {
        let linear = self.seg[seg::CS].base.wrapping_add(self.eip);
        cache.recent(linear, self.code_key).filter(|recent| {
            // Translated code looks its page up in the TLB, which may have dropped it for want of room.
            (self.mode & mode::FLAT != 0 || cache.block(recent.block).home == self.home())
                && self.tlb.code(linear, self.cpl == 3).is_some()
        })
    }

    /// The block at EIP, or none when fetching it raised a fault, which has been delivered, or made a device ask for
    /// attention, which comes first under every engine; `alone`: that of [`mode::ALONE`].
    pub(crate) fn block_here(
        &mut self,
        cache: &mut BlockCache,
        alone: bool,
        io: &mut dyn Io,
    ) -> Result<Option<u32>, Stop> {
        let linear = self.seg[seg::CS].base.wrapping_add(self.eip);
        let (key, home) = (self.mode, self.home());
        if !alone && let Some(recent) = self.recent(cache) {
            return Ok(Some(recent.block));
        }
        let events = io.events();
        let found = if alone {
            self.find_block(cache, linear, (key | mode::ALONE, home), io)
        } else {
            let found = self.find_block(cache, linear, (key, home), io);
            // Translated code asks the TLB for a second page, which has to be looked up again each time it was lost.
            if let Ok(number) = found
                && cache.block(number).second.is_none()
            {
                cache.remember(linear, self.code_key, number);
            }
            found
        };
        match found {
            Ok(_) if io.events() & !events != 0 => Ok(None),
            Ok(number) => Ok(Some(number)),
            Err(trap) => {
                self.at = 0;
                self.block_eip = self.eip;
                self.trapped(trap, 0, io)?;
                Ok(None)
            }
        }
    }

    /// Whether execution may go on at EIP without looking at anything outside the processor first; `left`
    /// instructions remain.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler asks"))]
    pub(crate) fn undisturbed(&mut self, left: u64, io: &dyn Io) -> bool {
        if self.halted || self.stepping || left == 0 {
            return false;
        }
        let events = io.events();
        if events != 0 && (events & !event::INTERRUPT != 0 || self.flags.has(flags::bit::IF)) {
            return false;
        }
        if self.shadow {
            // Nothing waits that the shadow would hold off, and the next block will not be put off either.
            // RF has to go behind one instruction, which is executed by itself.
            if left < MAX_BLOCK as u64 || self.flags.has(flags::bit::RF) {
                return false;
            }
            self.shadow = false;
            self.shadow_debug = false;
        }
        true
    }

    /// Executes instructions of one block of `len` bytes from its first, no more than `left`. Whether that was all of
    /// them, nothing but registers and plain memory was touched, and instructions are left: then there is nothing to
    /// be looked at before the next block.
    #[inline(always)]
    fn run_plain(&mut self, insts: &[Inst], len: u16, left: u64, io: &mut dyn Io) -> Result<bool, Stop> {
        let count = insts.len() as u64;
        let Some(first) = insts.first().filter(|_| count < left) else {
            self.run_insts(insts, len, left.min(MAX_BLOCK as u64) as u32, io)?;
            return Ok(false);
        };
        self.set_out(insts, len);
        self.through = false;
        match (first.run)(self, first, io) {
            Ok(()) if self.through => {
                self.settle_eip();
                self.count += count;
                self.at = 0;
                Ok(true)
            }
            result => self.go_on(insts, first, result, io).map(|()| false),
        }
    }

    /// Executes instructions of one block of `len` bytes from its first, no more than `left`.
    pub(crate) fn run_insts(
        &mut self,
        insts: &[Inst],
        len: u16,
        left: u32,
        io: &mut dyn Io,
    ) -> Result<(), Stop> {
        let (mut insts, mut len) = (insts, len);
        if let Some(fewer) = insts.get(..left as usize) {
            (insts, len) = (fewer, fewer.last().map_or(0, |last| last.end));
        }
        self.set_out(insts, len);
        let Some(first) = insts.first() else { return Ok(()) };
        let result = (first.run)(self, first, io);
        self.go_on(insts, first, result, io)
    }

    /// Before the first instruction of some of `len` bytes.
    #[inline(always)]
    fn set_out(&mut self, insts: &[Inst], len: u16) {
        self.block_eip = self.eip;
        // The last instruction overrides this when it branches.
        self.eip = self.block_eip.wrapping_add(u32::from(len));
        self.stop_at = insts.len() as u32;
        self.at = 0;
        // Instructions go on to their successors.
        insts.as_ptr().expose_provenance();
    }

    /// After the call of `i`, the first of `insts`, which perhaps went on to others.
    fn go_on<'a>(
        &mut self,
        insts: &'a [Inst],
        mut i: &'a Inst,
        mut result: Run,
        io: &mut dyn Io,
    ) -> Result<(), Stop> {
        let n = loop {
            let n = self.at;
            if let Err(trap) = result {
                return self.left(trap, insts.get(n as usize).unwrap_or(i), n, io);
            }
            match insts.get(n as usize + 1) {
                Some(next) if n + 1 < self.stop_at => i = next,
                _ => break n + 1,
            }
            self.at = n + 1;
            result = (i.run)(self, i, io);
        };
        if (n as usize) < insts.len()
            && let Some(i) = insts.get(n.wrapping_sub(1) as usize)
        {
            self.eip = self.block_eip.wrapping_add(u32::from(i.end));
        }
        self.settle_eip();
        self.count += u64::from(n);
        self.at = 0;
        Ok(())
    }

    /// A 16-bit code segment's IP wraps when it runs off the end without a limit to stop it.
    #[inline]
    pub(crate) fn settle_eip(&mut self) {
        let cs = &self.seg[seg::CS];
        if !cs.big() && cs.limit == 0xFFFF {
            self.eip &= 0xFFFF;
        }
    }

    /// Deals with a trap of the `n`th instruction of the block that began at `block_eip`.
    pub(crate) fn left(&mut self, trap: Trap, i: &Inst, n: u32, io: &mut dyn Io) -> Result<(), Stop> {
        if trap.kind() == Kind::End {
            self.count += u64::from(n) + 1;
            self.at = 0;
            return if self.halted { Err(Stop::Halt) } else { Ok(()) };
        }
        self.eip = self.block_eip.wrapping_add(u32::from(i.end - u16::from(i.len)));
        self.settle_eip();
        self.trapped(trap, n, io)
    }

    /// Delivers a fault of the instruction at `self.eip`, the `n`th of its block.
    fn trapped(&mut self, trap: Trap, n: u32, io: &mut dyn Io) -> Result<(), Stop> {
        self.count += u64::from(n);
        self.at = 0;
        let Kind::Fault(vector, code) = trap.kind() else { return Err(Stop::Shutdown) };
        // A faulting instruction takes its place in time, so that a storm of faults cannot stop the clock.
        self.count += 1;
        self.shadow = false;
        self.shadow_debug = false;
        self.raise(Event::Fault(vector, code), io).map_err(|_| Stop::Shutdown)
    }

    /// Executes a single instruction, with breakpoints, single-step trap and interrupt shadow.
    pub fn step(&mut self, cache: &mut BlockCache, io: &mut dyn Io) -> Result<(), Stop> {
        let shadow_debug = core::mem::take(&mut self.shadow_debug);
        self.shadow = false;
        let linear = self.seg[seg::CS].base.wrapping_add(self.eip);
        if !self.flags.has(flags::bit::RF) && !shadow_debug && self.code_breakpoint(linear) {
            self.block_eip = self.eip;
            return self.trapped(Trap::fault(vector::DB), 0, io);
        }
        let trap_after = self.flags.has(flags::bit::TF);
        self.pending_debug = 0;
        let rf = self.flags.has(flags::bit::RF);
        let _ = cache;
        let mut insts = [PLACEHOLDER];
        self.at = 0;
        self.block_eip = self.eip;
        match self.decode_here(linear, io) {
            Ok(i) => insts[0] = i,
            Err(trap) => return self.trapped(trap, 0, io),
        }
        self.delivered = false;
        self.run_insts(&insts, u16::from(insts[0].len), 1, io)?;
        if rf {
            self.flags.system &= !flags::bit::RF;
        }
        let mut cause = core::mem::take(&mut self.pending_debug);
        if trap_after {
            cause |= 1 << 14;
        }
        if cause != 0 && !self.delivered {
            if self.shadow_debug {
                // MOV SS holds data breakpoints and single step off until after the next instruction.
                self.pending_debug = cause & 15;
                return Ok(());
            }
            self.dr[6] |= cause;
            return self.raise(Event::Trap(vector::DB), io).map_err(|_| Stop::Shutdown);
        }
        Ok(())
    }

    /// Fetches and decodes the instruction at a linear address without caching it.
    fn decode_here(&mut self, linear: u32, io: &mut dyn Io) -> Run<Inst> {
        let mut bytes = [0; MAX_LEN];
        let s = self.seg[seg::CS];
        let left = (u64::from(s.limit) + 1).saturating_sub(u64::from(self.eip));
        let allowed = left.min(MAX_LEN as u64) as usize;
        let room = PAGE - (linear as usize & 0xFFF);
        let first = allowed.min(room);
        if allowed == 0 {
            return Err(Trap::gp(0));
        }
        let phys = self.fetch(linear, io)?;
        self.fetch_bytes(phys, &mut bytes[..first], io);
        let mut have = first;
        let mut result = decode(&bytes[..have], self.code32(), self.features);
        if matches!(result, Err(DecodeError::Truncated)) && allowed > first {
            let phys = self.fetch(linear.wrapping_add(first as u32), io)?;
            self.fetch_bytes(phys, &mut bytes[first..allowed], io);
            have = allowed;
            result = decode(&bytes[..have], self.code32(), self.features);
        }
        result.map_err(|_| Trap::gp(0))
    }

    /// Physical address of code at `linear`.
    ///
    /// # Errors
    /// #PF.
    pub fn fetch(&mut self, linear: u32, io: &mut dyn Io) -> Run<PhysAddr> {
        let user = self.cpl == 3;
        if let Some(page) = self.tlb.code(linear, user) {
            return Ok(page | u64::from(linear & 0xFFF));
        }
        let access = Access { write: false, user, fetch: true };
        let t = self.translate(linear, access, io)?;
        self.tlb.fill_code(linear, user, t.phys, t.global);
        Ok(t.phys)
    }

    fn fetch_bytes(&mut self, phys: PhysAddr, bytes: &mut [u8], io: &mut dyn Io) {
        if io.memory().read(phys, bytes) {
            return;
        }
        // Code in a device's memory: fetched byte by byte.
        let phys = io.memory().gate(phys);
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = io.mmio_read(phys + n as u64, crate::board::Width::Byte, self.executed()) as u8;
        }
    }

    /// Finds or decodes the block at `linear` for mode bits and a place in the code segment.
    ///
    /// # Errors
    /// #PF or #GP of the first instruction's fetch.
    #[inline(never)]
    pub fn find_block(
        &mut self,
        cache: &mut BlockCache,
        linear: u32,
        key: (u32, Home),
        io: &mut dyn Io,
    ) -> Run<u32> {
        let phys = self.fetch(linear, io)?;
        if let Some(number) = cache.find(phys, key.0, key.1) {
            let b: Block = *cache.block(number);
            let same = match b.second {
                None => true,
                Some(second) => {
                    let next = (linear & !0xFFF).wrapping_add(PAGE as u32);
                    self.fetch(next, io)? == second
                }
            };
            if same {
                return Ok(number);
            }
        }
        if let Some(number) = cache.revive_image(phys, key.0, key.1, io.memory()) {
            let (from, len) = cache.block(number).backing();
            self.mark_code(from, len, io);
            return Ok(number);
        }
        self.decode_block(cache, phys, linear, key, io)
    }

    fn decode_block(
        &mut self,
        cache: &mut BlockCache,
        phys: PhysAddr,
        linear: u32,
        key: (u32, Home),
        io: &mut dyn Io,
    ) -> Run<u32> {
        let mut insts = [PLACEHOLDER; MAX_BLOCK];
        let mut count = 0;
        let code32 = key.0 & mode::CODE32 != 0;
        let room = PAGE - (phys as usize & 0xFFF);
        let mut bytes = [0; PAGE + MAX_LEN];
        let wanted = room.min(MAX_BLOCK * 8);
        let target = io.memory().target(phys, false);
        self.fetch_bytes(phys, &mut bytes[..wanted], io);
        let mut have = wanted;
        let mut at = 0;
        let mut second = None;
        while count < MAX_BLOCK {
            if have - at < MAX_LEN && have < room {
                let more = (have + MAX_BLOCK * 8).min(room);
                self.fetch_bytes(phys + have as u64, &mut bytes[have..more], io);
                have = more;
            }
            match decode(&bytes[at..have.min(at + MAX_LEN)], code32, self.features) {
                Ok(i) => {
                    at += usize::from(i.len);
                    insts[count] = i.under(key.0);
                    count += 1;
                    if ends_block_in(&i, key.0) || at >= room {
                        break;
                    }
                }
                Err(DecodeError::TooLong) => {
                    if count == 0 {
                        return Err(Trap::gp(0));
                    }
                    break;
                }
                Err(DecodeError::Truncated) => {
                    // The instruction reaches into the next page: it may end a block but, when the block has
                    // others before it, stands in one of its own, so that its page fault comes in its turn.
                    if count > 0 {
                        break;
                    }
                    let next = linear.wrapping_add(room as u32);
                    let next_phys = self.fetch(next, io)?;
                    self.fetch_bytes(next_phys, &mut bytes[room..room + MAX_LEN], io);
                    let i =
                        decode(&bytes[at..room + MAX_LEN], code32, self.features).map_err(|_| Trap::gp(0))?;
                    insts[0] = i.under(key.0);
                    count = 1;
                    at += usize::from(i.len);
                    let offset = match io.memory().target(next_phys, false) {
                        Target::Memory(base) | Target::Rom(base) => Some(base),
                        _ => None,
                    };
                    second = Some((next_phys, offset));
                    break;
                }
            }
        }
        let base = match target {
            Target::Memory(base) | Target::Rom(base) => Some(base),
            _ => None,
        };
        let insts = &insts[..count];
        let number = match cache.revive(phys, key, insts, base, second) {
            Some(number) => {
                cache.keep_image(number, &bytes[..at]);
                number
            }
            None => {
                cache.reserve(io.memory());
                cache.add(phys, key, insts, base, second)
            }
        };
        if let Some(base) = base {
            self.mark_code(base + (phys as usize & 0xFFF), at.min(room), io);
        }
        if let Some((_, Some(offset))) = second {
            self.mark_code(offset, at - room, io);
        }
        Ok(number)
    }

    /// Marks backing bytes as code; writable translations of a page that had none before must go.
    pub fn mark_code(&mut self, offset: usize, len: usize, io: &mut dyn Io) {
        let memory = io.memory();
        if memory.mark_code(offset, len) {
            let host = memory.base().expose_provenance() + (offset & !(PAGE - 1));
            self.tlb.drop_writable(host);
            self.close_in_windows(offset, io.memory());
        }
    }
}

/// Whether an instruction is the last of its block under mode bits.
#[must_use]
pub fn ends_block_in(i: &Inst, mode: u32) -> bool {
    ends_block(i) && !loads_paragraph(i, mode)
}

/// Whether an instruction loads a segment register with a paragraph's number, after which all that its block depends
/// on is what it was.
#[must_use]
pub fn loads_paragraph(i: &Inst, mode: u32) -> bool {
    mode & mode::PARAGRAPHS != 0
        && segment_loaded(i).is_some_and(|n| !matches!(n, 1 | 2) && n < 6 && !mode::is_flat(mode, n))
}

/// The segment register that an instruction of [`Lowering::SegmentLoad`] loads.
#[must_use]
pub fn segment_loaded(i: &Inst) -> Option<u8> {
    let row = i.row();
    match (row.lowering, row.operands[0]) {
        (Lowering::SegmentLoad, Operand::Sw) => Some(i.reg[0]),
        (Lowering::SegmentLoad, Operand::ES) => Some(0),
        (Lowering::SegmentLoad, Operand::DS) => Some(3),
        (Lowering::SegmentLoad, Operand::FS) => Some(4),
        (Lowering::SegmentLoad, Operand::GS) => Some(5),
        (Lowering::SegmentLoad, _) => match row.opcode {
            0xC4 => Some(0),
            0xC5 => Some(3),
            0x0FB4 => Some(4),
            0x0FB5 => Some(5),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an instruction is the last of its block, whatever the mode.
#[must_use]
pub fn ends_block(i: &Inst) -> bool {
    let row = i.row();
    row.lowering.ends_block()
        || i.row == 0
        || i.rep() && matches!(row.operands[0], Operand::Xb | Operand::Xv | Operand::Yb | Operand::Yv)
}

const PLACEHOLDER: Inst = Inst {
    run: UNDEFINED_RUN,
    imm: 0,
    disp: 0,
    row: 0,
    end: 0,
    number: 0,
    condition: 0,
    len: 0,
    reg: [0; 3],
    base: 8,
    index: 8,
    scale: 0,
    segment: 0,
    prefixes: 0,
};

const UNDEFINED_RUN: crate::isa::inst::Handler = crate::exec::undefined;
