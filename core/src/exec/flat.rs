//! Memory operands in segments that are known to be flat, with 32-bit addresses: no base, no limit.

use super::*;

/// [`M`] where the block's mode says that the operand's segment is flat; with an index register or without.
pub(crate) struct Flat<const INDEX: bool>;
/// See [`Place::Quick`].
pub(crate) struct QuickFlat<const INDEX: bool>;

/// Linear address of the operand.
#[inline(always)]
fn linear<const INDEX: bool>(c: &Cpu, i: &Inst) -> u32 {
    let at = c.regs[usize::from(i.base & 15)].wrapping_add(i.disp);
    if INDEX { at.wrapping_add(c.regs[usize::from(i.index & 15)] << (i.scale & 3)) } else { at }
}

impl<const INDEX: bool> Place for QuickFlat<INDEX> {
    const MEMORY: bool = true;
    type Quick = Self;
    type Whole = M;
    #[inline(always)]
    fn get<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run<W> {
        c.read_linear_quick(linear::<INDEX>(c, i)).ok_or(Trap::AGAIN)
    }
    #[inline(always)]
    fn put<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: W) -> Run {
        Self::update(c, i, io, |_, _: W| value)
    }
    #[inline(always)]
    fn update<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        if c.update_linear_quick(linear::<INDEX>(c, i), f) { Ok(()) } else { Err(Trap::AGAIN) }
    }
}

impl<const INDEX: bool> Place for Flat<INDEX> {
    const MEMORY: bool = true;
    type Quick = QuickFlat<INDEX>;
    type Whole = M;
    #[inline(always)]
    fn get<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<W> {
        c.read_linear(linear::<INDEX>(c, i), io)
    }
    #[inline(always)]
    fn put<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: W) -> Run {
        M::put(c, i, io, value)
    }
    #[inline(always)]
    fn update<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        M::update(c, i, io, f)
    }
}
