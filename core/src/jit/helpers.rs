//! What translated code calls: the interpreter for one instruction, the dispatcher for a jump.
#![allow(unsafe_code)]

use super::entries::table;
use super::x64::Site;
use super::{Jit, NO_LINK, Pages, fp};
use crate::cpu::block::{BlockCache, MAX_BLOCK};
use crate::cpu::flags::bit;
use crate::cpu::segment::seg;
use crate::cpu::{Cpu, Io, Stop, event};

/// Status flags as EFLAGS has them to what LAHF and SETO give.
pub(super) const fn pack(status: u32) -> u16 {
    ((status & 0xD5 | 2) << 8) as u16 | (status & bit::OF != 0) as u16
}

/// The reverse.
pub(super) const fn unpack(flags: u16) -> u32 {
    (flags >> 8) as u32 & 0xD5 | if flags & 1 != 0 { bit::OF } else { 0 }
}

/// Answers of [`interpret`]: go on behind the instruction, leave, go on at EIP.
const BEHIND: u32 = 0;
const LEAVE: u32 = 1;
const RESUME: u32 = 2;

/// Sets what translated code has of the processor's state.
pub(super) fn hand_over(c: &mut Cpu) {
    fp::settle(c);
    c.jit.budget = (c.jit.limit as i64).wrapping_sub(c.count as i64);
    c.jit.tlb = c.tables;
    c.jit.code_tlb = c.tlb.code_base(c.cpl == 3) as usize;
    c.jit.mixed = c.tlb.mixed_base(c.cpl == 3) as usize;
    c.jit.flags = pack(c.flags.status());
    c.jit.stride = stride(c);
    [c.jit.entries, c.jit.jumps] = c.jit.tables[table(c.mode)];
}

fn stride(c: &Cpu) -> i32 {
    if c.flags.has(bit::DF) { -1 } else { 1 }
}

/// Instructions of the budget that remain behind a block, while it runs.
fn ahead(c: &Cpu) -> u64 {
    c.jit.budget.max(0) as u64
}

/// Takes back what translated code had, between two blocks.
pub(super) fn take_back(c: &mut Cpu) {
    c.count = (c.jit.limit as i64).wrapping_sub(c.jit.budget) as u64;
    c.flags.set_status(unpack(c.jit.flags));
    c.at = 0;
}

fn left(c: &Cpu) -> u64 {
    c.jit.limit.saturating_sub(c.count)
}

/// Executes one instruction for translated code.
///
/// # Safety
/// Called by translated code only, with the processor that it runs and a site of its own.
pub(super) unsafe extern "sysv64" fn interpret(cpu: *mut Cpu, site: u32) -> u32 {
    // SAFETY: `enter` holds the processor exclusively and has passed it to the code that calls this.
    let c = unsafe { &mut *cpu };
    // SAFETY: the number was emitted with the site's code; both are dropped together.
    let s = unsafe { &*(c.sites as *const Site).add(site as usize) };
    // SAFETY: sites live as long as the code that names them, and that as long as the block cache keeps the
    // instructions; both are dropped together.
    let i = unsafe { &*s.inst };
    c.block_eip = c.jit.code_page.wrapping_add(s.offset).wrapping_sub(c.seg[seg::CS].base);
    c.count = (c.jit.limit as i64).wrapping_sub(c.jit.budget).wrapping_sub(i64::from(s.total)) as u64;
    c.at = s.index;
    c.stop_at = s.index + 1;
    c.eip = c.block_eip.wrapping_add(u32::from(i.end));
    if s.flags_in {
        c.flags.set_status(unpack(c.jit.flags));
    }
    c.jit.interpreted += 1;
    // SAFETY: `enter` stored this; it does not touch it before code has left.
    let jit = unsafe { &mut *(c.jit.jit as *mut Jit) };
    jit.ranks[usize::from(i.row)] += 1;
    let missed = jit.catch.take();
    fp::before(c, i, s);
    // SAFETY: `enter` stored the words of a reference that it still borrows.
    let io = unsafe { core::mem::transmute::<[usize; 2], &mut dyn Io>(c.jit.io) };
    let key = (c.mode, c.cpl, c.tlb_mode);
    let result = (i.run)(c, i, io);
    if let (Some(missed), Ok(())) = (missed, result) {
        jit.missed(c, missed, io);
    }
    match result {
        // Nothing that the code behind it depends on has changed, nothing waits: on by a link.
        Ok(()) if s.through && key == (c.mode, c.cpl, c.tlb_mode) && c.undisturbed(ahead(c), io) => {
            c.jit.stride = stride(c);
            c.jit.flags = pack(c.flags.status());
            return BEHIND;
        }
        Ok(()) if c.stop_at != 0 && !s.end => {
            if s.flags_out {
                c.jit.flags = pack(c.flags.status());
            }
            return BEHIND;
        }
        Ok(()) => {
            c.settle_eip();
            c.count += u64::from(s.index) + 1;
            c.at = 0;
        }
        Err(trap) => {
            if let Err(stop) = c.left(trap, i, s.index, io) {
                c.jit.stop = Some(stop);
                hand_over(c);
                return LEAVE;
            }
        }
    }
    resume(c, io)
}

/// The recompiler and the block cache of this run.
///
/// # Safety
/// Called under translated code, with the processor that it runs, and not again while what it gave is in use.
unsafe fn parts(c: &Cpu) -> (&'static mut Jit, &'static mut BlockCache) {
    // SAFETY: `enter` stored these; it holds both exclusively and does not touch them before code has left.
    unsafe { (&mut *(c.jit.jit as *mut Jit), &mut *(c.jit.cache as *mut BlockCache)) }
}

/// Looks for a window when the user's code goes on without one. Whether there is one now, and the mode another.
fn seek_window(c: &mut Cpu, io: &mut dyn Io) -> bool {
    let found = c.seek_window(io.memory());
    if found && let Some(windows) = c.windows() {
        // SAFETY: nobody has them now.
        let (jit, _) = unsafe { parts(c) };
        jit.catch.set_base(windows.base());
    }
    found
}

/// The processor's state is complete: on at EIP, unless something needs attention.
fn resume(c: &mut Cpu, io: &mut dyn Io) -> u32 {
    if io.events() & event::CODE != 0 {
        // SAFETY: nobody has them now. The code that led here may be dropped: control does not return to it.
        let (jit, cache) = unsafe { parts(c) };
        cache.drop_overwritten(io.memory(), Some(jit));
    }
    seek_window(c, io);
    hand_over(c);
    let left = left(c);
    if c.undisturbed(left, io) { RESUME } else { LEAVE }
}

/// Puts register files into the host's registers, before the site's instruction or ([`fp::BEHIND`]) behind it. Where
/// that cannot be, the interpreter executes the instruction, if it has not yet, and control goes on at EIP. Answers
/// as [`interpret`].
///
/// # Safety
/// As for [`interpret`].
pub(super) unsafe extern "sysv64" fn fill(cpu: *mut Cpu, site: u32, files: u32) -> u32 {
    // SAFETY: see `interpret`.
    let c = unsafe { &mut *cpu };
    let files = files as u8;
    if fp::load(c, files & !fp::BEHIND) {
        return BEHIND;
    }
    if files & fp::BEHIND == 0 {
        // SAFETY: the caller's promise.
        return unsafe { interpret(cpu, site) };
    }
    // The interpreter has left EIP behind the instruction and the count at the block's beginning.
    c.settle_eip();
    c.count += u64::from(c.at) + 1;
    c.at = 0;
    // SAFETY: see `interpret`.
    let io = unsafe { core::mem::transmute::<[usize; 2], &mut dyn Io>(c.jit.io) };
    resume(c, io)
}

/// Finds the code for EIP, translating it if need be; 0 to leave.
///
/// # Safety
/// Called by translated code only, with the processor that it runs.
pub(super) unsafe extern "sysv64" fn resolve(cpu: *mut Cpu) -> usize {
    // SAFETY: see `interpret`.
    let c = unsafe { &mut *cpu };
    // SAFETY: this is the only use.
    let (jit, cache) = unsafe { parts(c) };
    // SAFETY: see `interpret`.
    let io = unsafe { core::mem::transmute::<[usize; 2], &mut dyn Io>(c.jit.io) };
    take_back(c);
    let mut link = core::mem::replace(&mut c.jit.link, NO_LINK);
    let mut alone = core::mem::take(&mut c.jit.alone) != 0;
    if left(c) == 0 {
        // Not even a fault of the next fetch may happen now.
        return 0;
    }
    let found = loop {
        if c.seek_window(io.memory()) {
            (link, alone) = (NO_LINK, false);
            jit.catch.set_base(c.windows().map_or(0, |windows| windows.base()));
        }
        match c.block_here(cache, alone, io) {
            Err(stop) => break Err(stop),
            Ok(Some(number)) => {
                // Up to the end of the segment, where the dispatcher looks more closely.
                let cs = &c.seg[seg::CS];
                let len = cache.block(number).len;
                if u64::from(c.eip) + u64::from(len) > u64::from(cs.limit) + 1 {
                    break Ok(None);
                }
                let linear = cs.base.wrapping_add(c.eip);
                let pages = Pages { tlb: &c.tlb, user: c.cpl == 3, linear };
                if let Some(code) = jit.code(cache, number, pages, link) {
                    break Ok(Some(code));
                }
                // Not hot enough yet: interpreted here, since what it leads to mostly is.
                fp::spill(c);
                let left = left(c).min(MAX_BLOCK as u64) as u32;
                if let Err(stop) = c.run_insts(cache.insts(number), len, left, io) {
                    break Err(stop);
                }
            }
            Ok(None) => {}
        }
        // Behind what was interpreted, or at the handler of a fault that was delivered.
        link = NO_LINK;
        alone = false;
        if io.events() & event::CODE != 0 {
            cache.drop_overwritten(io.memory(), Some(&mut *jit));
        }
        let left = left(c);
        if !c.undisturbed(left, io) {
            break Ok(None);
        }
    };
    hand_over(c);
    match found {
        Ok(code) => code.unwrap_or(0),
        Err(stop) => {
            c.jit.stop = Some(stop);
            0
        }
    }
}

/// Whether translated code left because of this.
pub(super) fn stopped(c: &mut Cpu) -> Result<(), Stop> {
    c.jit.stop.take().map_or(Ok(()), Err)
}
