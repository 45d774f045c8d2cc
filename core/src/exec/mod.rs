//! What instructions do, by chapter of the manual. Each function executes one instruction once; rows of the
//! table name them. They are generic over the operand width ([`Word`]) and the places of the operands.

mod aes;
mod alu;
mod bcd;
mod bits;
mod branch;
mod chain;
mod far;
mod flat;
mod io;
mod mov;
mod muldiv;
mod packed;
mod shift;
mod sse_float;
mod sse_move;
mod sse_string;
mod stack;
mod state;
mod string;
mod system;
mod vector;
mod x87;

pub(crate) use self::io::*;
pub(crate) use aes::*;
pub(crate) use alu::*;
pub(crate) use bcd::*;
pub(crate) use bits::*;
pub(crate) use branch::*;
pub(crate) use far::*;
pub(crate) use flat::Flat;
pub(crate) use mov::*;
pub(crate) use muldiv::*;
pub(crate) use packed::*;
pub(crate) use shift::*;
pub(crate) use sse_float::*;
pub(crate) use sse_move::*;
pub(crate) use sse_string::*;
pub(crate) use stack::*;
pub(crate) use state::*;
pub(crate) use string::*;
pub(crate) use system::*;
pub(crate) use vector::{Loose, Narrow};
pub(crate) use x87::*;

pub(crate) use crate::cpu::access::Cell;
pub(crate) use crate::cpu::{Cpu, Io, Regs, Run, Trap, reg};
pub(crate) use crate::isa::Inst;

/// An operand width of the integer unit.
pub(crate) trait Word: Cell + PartialEq + Eq {
    /// Bits.
    const BITS: u32;
    /// All ones of this width.
    const MASK: u32;
    /// Zero-extends.
    fn u32(self) -> u32;
    /// Sign-extends.
    fn sx(self) -> u32;
    /// Truncates.
    fn of(value: u32) -> Self;
    /// Reads register `n`.
    fn get(regs: &Regs, n: u8) -> Self;
    /// Writes register `n`.
    fn set(regs: &mut Regs, n: u8, value: Self);
}

impl Word for u8 {
    const BITS: u32 = 8;
    const MASK: u32 = 0xFF;
    #[inline(always)]
    fn u32(self) -> u32 {
        u32::from(self)
    }
    #[inline(always)]
    fn sx(self) -> u32 {
        self as i8 as u32
    }
    #[inline(always)]
    fn of(value: u32) -> Self {
        value as u8
    }
    #[inline(always)]
    fn get(regs: &Regs, n: u8) -> Self {
        (regs[usize::from(n & 3)] >> (n & 4) >> (n & 4)) as u8
    }
    #[inline(always)]
    fn set(regs: &mut Regs, n: u8, value: Self) {
        let r = &mut regs[usize::from(n & 3)];
        let shift = (n & 4) * 2;
        *r = *r & !(0xFF << shift) | u32::from(value) << shift;
    }
}

impl Word for u16 {
    const BITS: u32 = 16;
    const MASK: u32 = 0xFFFF;
    #[inline(always)]
    fn u32(self) -> u32 {
        u32::from(self)
    }
    #[inline(always)]
    fn sx(self) -> u32 {
        self as i16 as u32
    }
    #[inline(always)]
    fn of(value: u32) -> Self {
        value as u16
    }
    #[inline(always)]
    fn get(regs: &Regs, n: u8) -> Self {
        regs[usize::from(n & 7)] as u16
    }
    #[inline(always)]
    fn set(regs: &mut Regs, n: u8, value: Self) {
        let r = &mut regs[usize::from(n & 7)];
        *r = *r & 0xFFFF_0000 | u32::from(value);
    }
}

impl Word for u32 {
    const BITS: u32 = 32;
    const MASK: u32 = 0xFFFF_FFFF;
    #[inline(always)]
    fn u32(self) -> u32 {
        self
    }
    #[inline(always)]
    fn sx(self) -> u32 {
        self
    }
    #[inline(always)]
    fn of(value: u32) -> Self {
        value
    }
    #[inline(always)]
    fn get(regs: &Regs, n: u8) -> Self {
        regs[usize::from(n & 7)]
    }
    #[inline(always)]
    fn set(regs: &mut Regs, n: u8, value: Self) {
        regs[usize::from(n & 7)] = value;
    }
}

/// Where an operand is.
pub(crate) trait Place {
    /// It is in memory.
    const MEMORY: bool = false;
    /// The same place, of which only what can be had without more ado is had: [`Trap::AGAIN`] otherwise.
    type Quick: Place;
    /// The same place, however it is to be had.
    type Whole: Place;
    /// Reads it.
    fn get<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<W>;
    /// Writes it.
    fn put<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: W) -> Run;
    /// Replaces it by what `f` makes of it. `f` is called only when the result can be written.
    fn update<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run;
}

/// The general register of operand `N`.
pub(crate) struct R<const N: usize>;
/// The memory operand.
pub(crate) struct M;
/// See [`Place::Quick`].
pub(crate) struct Quick;
/// The immediate.
pub(crate) struct I;

/// Functions of frequent instructions, which first try their operands as [`Place::Quick`], so that the usual way has
/// no calls in it, and then do the whole once more. Nothing may have been done when an operand is not to be had. What went
/// the usual way goes on to the next instruction by itself.
macro_rules! quick {
    ($($(#[$doc:meta])* $name:ident<$W:ident $(, $P:ident)+>($c:ident, $i:ident, $io:ident) $body:block)*) => { $(
        $(#[$doc])*
        pub(crate) fn $name<$W: Word $(, $P: Place)+>($c: &mut Cpu, $i: &Inst, $io: &mut dyn Io) -> Run {
            #[inline(always)]
            fn whole<$W: Word $(, $P: Place)+>($c: &mut Cpu, $i: &Inst, $io: &mut dyn Io) -> Run $body
            #[cold]
            #[inline(never)]
            fn again<$W: Word $(, $P: Place)+>($c: &mut Cpu, $i: &Inst, $io: &mut dyn Io) -> Run {
                whole::<$W $(, $P)+>($c, $i, $io)
            }
            match whole::<$W $(, $P::Quick)+>($c, $i, $io) {
                Ok(()) => chain::next($c, $i, $io),
                Err(trap) if trap == Trap::AGAIN => again::<$W $(, $P::Whole)+>($c, $i, $io),
                fault => fault,
            }
        }
    )* };
}
pub(crate) use quick;

impl<const N: usize> Place for R<N> {
    type Quick = Self;
    type Whole = Self;
    #[inline(always)]
    fn get<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run<W> {
        Ok(W::get(&c.regs, i.reg[N]))
    }
    #[inline(always)]
    fn put<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, value: W) -> Run {
        W::set(&mut c.regs, i.reg[N], value);
        Ok(())
    }
    #[inline(always)]
    fn update<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        let old = W::get(&c.regs, i.reg[N]);
        let new = f(c, old);
        W::set(&mut c.regs, i.reg[N], new);
        Ok(())
    }
}

impl Place for M {
    const MEMORY: bool = true;
    type Quick = Quick;
    type Whole = Self;
    #[inline(always)]
    fn get<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<W> {
        c.load(i, io)
    }
    #[inline(always)]
    fn put<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: W) -> Run {
        c.store(i, value, io)
    }
    #[inline(always)]
    fn update<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        let offset = c.effective(i);
        c.update(i.segment, offset, io, f)
    }
}

impl Place for Quick {
    const MEMORY: bool = true;
    type Quick = Self;
    type Whole = M;
    #[inline(always)]
    fn get<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run<W> {
        c.read_quick(i.segment, c.effective(i)).ok_or(Trap::AGAIN)
    }
    #[inline(always)]
    fn put<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, value: W) -> Run {
        if c.write_quick(i.segment, c.effective(i), value) { Ok(()) } else { Err(Trap::AGAIN) }
    }
    #[inline(always)]
    fn update<W: Word>(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        if c.update_quick(i.segment, c.effective(i), f) { Ok(()) } else { Err(Trap::AGAIN) }
    }
}

impl Place for I {
    type Quick = Self;
    type Whole = Self;
    #[inline(always)]
    fn get<W: Word>(_c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run<W> {
        Ok(W::of(i.imm))
    }
    #[inline(always)]
    fn put<W: Word>(_c: &mut Cpu, _i: &Inst, _io: &mut dyn Io, _value: W) -> Run {
        Err(Trap::UD)
    }
    #[inline(always)]
    fn update<W: Word>(_c: &mut Cpu, _i: &Inst, _io: &mut dyn Io, _f: impl FnOnce(&mut Cpu, W) -> W) -> Run {
        Err(Trap::UD)
    }
}
