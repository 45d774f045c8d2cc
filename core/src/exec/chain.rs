//! Going on to the next instruction of a block without a return to the loop that began it.
//!
//! The loop of [`Cpu::run_insts`] calls one instruction; this one calls its successor in tail position, which an
//! optimising compiler makes a jump: each instruction then has an indirect jump of its own, which hosts predict
//! better than one that all share. Where it stays a call, the stack grows by a block at most.
#![allow(unsafe_code)]

use super::*;

/// Executes what follows in the block after an instruction that touched nothing but registers and plain memory, as far
/// as [`Cpu::stop_at`] allows: exactly what the loop would do.
#[inline(always)]
pub(super) fn next(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let n = u32::from(i.number) + 1;
    if n >= c.stop_at {
        c.through = true;
        return Ok(());
    }
    // WebAssembly has no jumps to functions: calls would pile up for nothing.
    if cfg!(all(target_arch = "wasm32", not(target_feature = "tail-call"))) {
        return Ok(());
    }
    c.at = n;
    let following = core::ptr::from_ref(i).addr() + size_of::<Inst>();
    // SAFETY: `stop_at` is never more than the instructions of the slice that `run_insts` works on, whose address it
    // has exposed and whose place in it `number` is; the block cache holds still meanwhile. Where an instruction is
    // executed by itself, `stop_at` is one more than its number.
    let i = unsafe { &*core::ptr::with_exposed_provenance::<Inst>(following) };
    (i.run)(c, i, io)
}

/// An operand, and whether nothing but registers and plain memory was touched for it.
#[inline(always)]
pub(super) fn get<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<(W, bool)> {
    #[cold]
    #[inline(never)]
    fn again<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<(W, bool)> {
        Ok((S::get(c, i, io)?, false))
    }
    match S::Quick::get(c, i, io) {
        Ok(value) => Ok((value, true)),
        Err(_) => again::<W, S::Whole>(c, i, io),
    }
}
