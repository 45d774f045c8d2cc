//! Near branches. When one runs, EIP already stands behind it.

use super::*;
use crate::cpu::segment::seg;

impl Cpu {
    /// Goes on at `eip` (truncated to the operand size) when it lies inside the code segment.
    #[inline(always)]
    fn branch<W: Word>(&mut self, eip: u32) -> Run {
        let eip = eip & W::MASK;
        if eip > self.seg[seg::CS].limit {
            return Err(Trap::gp(0));
        }
        self.eip = eip;
        Ok(())
    }

    /// The address behind the instruction.
    #[inline(always)]
    fn next(&self, i: &Inst) -> u32 {
        self.block_eip.wrapping_add(u32::from(i.end))
    }
}

/// Jcc.
pub(crate) fn jcc<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    if c.flags.condition(i.condition) {
        c.branch::<W>(c.next(i).wrapping_add(i.imm))?;
    }
    chain::next(c, i, io)
}

/// JMP near, relative.
pub(crate) fn jmp<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.branch::<W>(c.next(i).wrapping_add(i.imm))?;
    chain::next(c, i, io)
}

/// JMP near, indirect.
pub(crate) fn jmp_rm<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (target, quick): (W, _) = chain::get::<W, S>(c, i, io)?;
    c.branch::<W>(target.u32())?;
    if quick { chain::next(c, i, io) } else { Ok(()) }
}

/// `quick`: nothing but registers and plain memory was touched for the target.
#[inline(always)]
fn call_to<W: Word>(c: &mut Cpu, i: &Inst, target: u32, quick: bool, io: &mut dyn Io) -> Run {
    let target = target & W::MASK;
    if target > c.seg[seg::CS].limit {
        return Err(Trap::gp(0));
    }
    let back = W::of(c.next(i));
    if quick && c.push_quick(back) {
        c.eip = target;
        return chain::next(c, i, io);
    }
    c.push_again(back, io)?;
    c.eip = target;
    Ok(())
}

/// CALL near, relative.
pub(crate) fn call<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let target = c.next(i).wrapping_add(i.imm);
    call_to::<W>(c, i, target, true, io)
}

/// CALL near, indirect.
pub(crate) fn call_rm<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (target, quick): (W, _) = chain::get::<W, S>(c, i, io)?;
    call_to::<W>(c, i, target.u32(), quick, io)
}

/// RET near.
pub(crate) fn ret<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (target, quick): (W, _) = c.top_quick(io)?;
    c.branch::<W>(target.u32())?;
    c.release(W::BITS / 8);
    if quick { chain::next(c, i, io) } else { Ok(()) }
}

/// RET near with parameters to release.
pub(crate) fn ret_imm<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let target: W = c.top(0, io)?;
    c.branch::<W>(target.u32())?;
    c.release(W::BITS / 8 + i.imm);
    Ok(())
}

/// Counts (E)CX down; whether it is not 0 then.
fn count_down(c: &mut Cpu, i: &Inst) -> bool {
    if i.addr16() {
        let cx = c.reg16(reg::ECX).wrapping_sub(1);
        u16::set(&mut c.regs, 1, cx);
        cx != 0
    } else {
        c.regs[reg::ECX] = c.regs[reg::ECX].wrapping_sub(1);
        c.regs[reg::ECX] != 0
    }
}

fn loop_if<W: Word>(c: &mut Cpu, i: &Inst, met: bool) -> Run {
    let old = c.regs[reg::ECX];
    if count_down(c, i) && met {
        return c.branch::<W>(c.next(i).wrapping_add(i.imm)).inspect_err(|_| c.regs[reg::ECX] = old);
    }
    Ok(())
}

/// LOOP.
pub(crate) fn loop_<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    loop_if::<W>(c, i, true)
}

/// LOOPE.
pub(crate) fn loope<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let met = c.flags.zf();
    loop_if::<W>(c, i, met)
}

/// LOOPNE.
pub(crate) fn loopne<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let met = !c.flags.zf();
    loop_if::<W>(c, i, met)
}

/// JCXZ and JECXZ.
pub(crate) fn jcxz<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run {
    let zero = if i.addr16() { c.reg16(reg::ECX) == 0 } else { c.regs[reg::ECX] == 0 };
    if zero { c.branch::<W>(c.next(i).wrapping_add(i.imm)) } else { Ok(()) }
}
