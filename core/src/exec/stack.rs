//! The stack.

use super::mov::hold_interrupts;
use super::*;
use crate::cpu::cr4;
use crate::cpu::flags::bit;
use crate::cpu::segment::seg;

const SS: u8 = seg::SS as u8;

impl Cpu {
    /// Pushes a value; ESP changes only when it could be written.
    #[inline(always)]
    pub(crate) fn push<T: Cell>(&mut self, value: T, io: &mut dyn Io) -> Run {
        let esp = self.regs[reg::ESP];
        let offset = esp.wrapping_sub(T::SIZE) & self.stack_mask;
        self.write(SS, offset, value, io)?;
        self.regs[reg::ESP] = esp & !self.stack_mask | offset;
        Ok(())
    }

    /// Pushes a value where nothing else need be done; false when it did nothing.
    #[inline(always)]
    pub(super) fn push_quick<T: Cell>(&mut self, value: T) -> bool {
        let esp = self.regs[reg::ESP];
        let offset = esp.wrapping_sub(T::SIZE) & self.stack_mask;
        let done = self.write_quick(SS, offset, value);
        if done {
            self.regs[reg::ESP] = esp & !self.stack_mask | offset;
        }
        done
    }

    /// The value on top of the stack, and whether nothing else had to be done for it.
    #[inline(always)]
    pub(super) fn top_quick<T: Cell>(&mut self, io: &mut dyn Io) -> Run<(T, bool)> {
        let offset = self.regs[reg::ESP] & self.stack_mask;
        match self.read_quick(SS, offset) {
            Some(value) => Ok((value, true)),
            None => self.top_again(io),
        }
    }

    #[cold]
    #[inline(never)]
    fn top_again<T: Cell>(&mut self, io: &mut dyn Io) -> Run<(T, bool)> {
        Ok((self.top(0, io)?, false))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn push_again<T: Cell>(&mut self, value: T, io: &mut dyn Io) -> Run {
        self.push(value, io)
    }

    /// The value on top of the stack, `skip` bytes down.
    #[inline(always)]
    pub(crate) fn top<T: Cell>(&mut self, skip: u32, io: &mut dyn Io) -> Run<T> {
        let offset = self.regs[reg::ESP].wrapping_add(skip) & self.stack_mask;
        self.read(SS, offset, io)
    }

    /// Moves the stack pointer up.
    #[inline(always)]
    pub(crate) fn release(&mut self, bytes: u32) {
        let esp = self.regs[reg::ESP];
        self.regs[reg::ESP] = esp & !self.stack_mask | esp.wrapping_add(bytes) & self.stack_mask;
    }
}

/// PUSH.
pub(crate) fn push<W: Word, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (value, quick): (W, _) = chain::get::<W, S>(c, i, io)?;
    if quick && c.push_quick(value) { chain::next(c, i, io) } else { c.push_again(value, io) }
}

/// POP into a register (POP ESP keeps the popped value).
pub(crate) fn pop<W: Word, D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (value, quick): (W, _) = c.top_quick(io)?;
    c.release(W::BITS / 8);
    D::put(c, i, io, value)?;
    if quick { chain::next(c, i, io) } else { Ok(()) }
}

/// POP into a register or memory: an address that uses ESP is computed after the pop.
pub(crate) fn pop_rm<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let value: W = c.top(0, io)?;
    let before = c.regs[reg::ESP];
    c.release(W::BITS / 8);
    if !i.is_memory() {
        W::set(&mut c.regs, i.reg[0], value);
        return Ok(());
    }
    c.store(i, value, io).inspect_err(|_| c.regs[reg::ESP] = before)
}

macro_rules! segments {
    ($($push:ident $number:expr $(, $pop:ident)?;)*) => { $(
        /// PUSH of a segment register, zero-extended to the operand size (AMD APM volume 3, PUSH; Intel leaves
        /// the upper half open).
        pub(crate) fn $push<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
            let selector = u32::from(c.seg[$number].selector);
            c.push(W::of(selector), io)
        }
        $(
            /// POP of a segment register.
            pub(crate) fn $pop<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
                let selector = c.top::<W>(0, io)?.u32() as u16;
                // The stack pointer moves as wide as the stack was before SS changed.
                let mask = c.stack_mask;
                c.load_segment($number, selector, io)?;
                let esp = c.regs[reg::ESP];
                c.regs[reg::ESP] = esp & !mask | esp.wrapping_add(W::BITS / 8) & mask;
                if $number == seg::SS {
                    hold_interrupts(c);
                }
                Ok(())
            }
        )?
    )* };
}

segments! {
    push_es seg::ES, pop_es;
    push_cs seg::CS;
    push_ss seg::SS, pop_ss;
    push_ds seg::DS, pop_ds;
    push_fs seg::FS, pop_fs;
    push_gs seg::GS, pop_gs;
}

/// PUSHA: all or nothing.
pub(crate) fn pusha<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let esp = c.regs[reg::ESP];
    for n in 0..8u8 {
        let value = W::get(&c.regs, n);
        let offset = esp.wrapping_sub((u32::from(n) + 1) * (W::BITS / 8)) & c.stack_mask;
        c.write(SS, offset, value, io)?;
    }
    let offset = esp.wrapping_sub(W::BITS) & c.stack_mask;
    c.regs[reg::ESP] = esp & !c.stack_mask | offset;
    Ok(())
}

/// POPA: all or nothing.
pub(crate) fn popa<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let mut values = [W::default(); 8];
    for (n, value) in values.iter_mut().enumerate() {
        *value = c.top(n as u32 * (W::BITS / 8), io)?;
    }
    c.release(W::BITS);
    for (n, value) in values.into_iter().rev().enumerate() {
        if n != reg::ESP {
            W::set(&mut c.regs, n as u8, value);
        }
    }
    Ok(())
}

/// PUSHF.
pub(crate) fn pushf<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let mut image = c.flags.image() & !(bit::RF | bit::VM);
    if c.v86() && c.flags.iopl() < 3 {
        if c.cr4 & cr4::VME == 0 || W::BITS == 32 {
            return Err(Trap::gp(0));
        }
        image = image & !bit::IF | bit::IOPL | if image & bit::VIF != 0 { bit::IF } else { 0 };
    }
    c.push(W::of(image), io)
}

/// POPF.
pub(crate) fn popf<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let image = c.top::<W>(0, io)?.u32();
    let mut mask = c.writable_flags() & W::MASK;
    let mut new = image;
    let current = c.flags.image();
    if c.v86() {
        if c.flags.iopl() < 3 {
            if c.cr4 & cr4::VME == 0 || W::BITS == 32 {
                return Err(Trap::gp(0));
            }
            if image & bit::TF != 0 || image & bit::IF != 0 && current & bit::VIP != 0 {
                return Err(Trap::gp(0));
            }
            mask = mask & !(bit::IF | bit::IOPL) | bit::VIF;
            new = image & !bit::VIF | if image & bit::IF != 0 { bit::VIF } else { 0 };
        } else {
            mask &= !bit::IOPL;
        }
    }
    c.release(W::BITS / 8);
    // RF is always cleared; VM, VIF and VIP stay.
    c.set_flags(current & !mask & !bit::RF | new & mask);
    Ok(())
}

/// ENTER.
pub(crate) fn enter<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let size = W::BITS / 8;
    let level = i.disp & 31;
    let mask = c.stack_mask;
    let esp = c.regs[reg::ESP];
    let mut at = esp;
    let push = |c: &mut Cpu, at: &mut u32, value: W, io: &mut dyn Io| -> Run {
        *at = at.wrapping_sub(size);
        c.write(SS, *at & mask, value, io)
    };
    let frame_value = W::get(&c.regs, 5);
    push(c, &mut at, frame_value, io)?;
    let frame = esp & !mask | at & mask;
    let mut ebp = c.regs[reg::EBP];
    for _ in 1..level {
        ebp = ebp.wrapping_sub(size);
        let value: W = c.read(SS, ebp & mask, io)?;
        push(c, &mut at, value, io)?;
    }
    if level > 0 {
        push(c, &mut at, W::of(frame), io)?;
    }
    let new = at.wrapping_sub(i.imm & 0xFFFF);
    // The new top of the stack must be writable.
    let linear = c.linear_write(SS, new & mask, 1)?;
    c.probe_write(linear, 1, c.cpl == 3, io)?;
    c.regs[reg::ESP] = esp & !mask | new & mask;
    W::set(&mut c.regs, 5, W::of(frame));
    Ok(())
}

/// LEAVE.
pub(crate) fn leave<W: Word>(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    let mask = c.stack_mask;
    let frame = c.regs[reg::EBP] & mask;
    let value: W = c.read(SS, frame, io)?;
    let esp = c.regs[reg::ESP];
    c.regs[reg::ESP] = esp & !mask | frame.wrapping_add(W::BITS / 8) & mask;
    W::set(&mut c.regs, 5, value);
    Ok(())
}
