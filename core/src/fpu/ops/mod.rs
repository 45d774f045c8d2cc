//! The x87 as a register stack, and its instructions as methods.
//!
//! The CPU decodes, checks CR0 and [`Fpu::pending`], reads memory, calls one method, and writes memory. A
//! method that stores gives a [`Store`] and changes nothing; [`Fpu::finish_store`] raises the exceptions and
//! pops once the write to memory has succeeded, so that a page fault restarts the instruction.
//!
//! Spec: Intel SDM volume 1 chapter 8, volume 2 (each instruction); AMD64 APM volume 1 chapter 6, volume 5.
//!
//! Not emulated: the 80287's infinity control and its differing tags; instructions of the 8087 that later
//! parts ignore (FENI, FDISI, FSETPM) are the decoder's no-operations.

mod arith;
mod compare;
mod control;
mod transfer;

pub use arith::Arith;
pub use transfer::{Constant, Store};

use super::soft::{F80, FloatContext, Unpacked, flag};

/// Bits of the status word beyond the exception flags of [`flag`].
pub mod status {
    /// An invalid operation was a stack fault.
    pub const STACK_FAULT: u16 = 1 << 6;
    /// ES: an unmasked exception is pending.
    pub const ERROR: u16 = 1 << 7;
    /// C0.
    pub const C0: u16 = 1 << 8;
    /// C1.
    pub const C1: u16 = 1 << 9;
    /// C2.
    pub const C2: u16 = 1 << 10;
    /// The three bits of TOP.
    pub const TOP: u16 = 7 << 11;
    /// C3.
    pub const C3: u16 = 1 << 14;
    /// B, which mirrors ES.
    pub const BUSY: u16 = 1 << 15;
    /// All four condition codes.
    pub const CODES: u16 = C0 | C1 | C2 | C3;
}

/// A condition of FCMOVcc, evaluated by the CPU.
pub type Condition = bool;

/// The state of the x87 (and of MMX, which lives in the same registers).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fpu {
    /// The physical registers R0 to R7; ST(i) is R((TOP + i) mod 8), MMi is the significand of Ri.
    pub registers: [F80; 8],
    /// The control word.
    pub control: u16,
    /// The status word without TOP.
    pub status: u16,
    /// TOP, 0 to 7.
    pub top: u8,
    /// A set bit says that the physical register holds something (the tag byte of FXSAVE).
    pub tags: u8,
    /// The low 11 bits of the last non-control instruction's opcode.
    pub fop: u16,
    /// The last non-control instruction's offset.
    pub fip: u32,
    /// The last non-control instruction's code segment.
    pub fcs: u16,
    /// Offset of the last memory operand.
    pub fdp: u32,
    /// Data segment of the last memory operand.
    pub fds: u16,
}

impl Default for Fpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Fpu {
    /// As after power-on and FNINIT.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            registers: [F80::ZERO; 8],
            control: 0x037F,
            status: 0,
            top: 0,
            tags: 0,
            fop: 0,
            fip: 0,
            fcs: 0,
            fdp: 0,
            fds: 0,
        }
    }

    /// An unmasked exception is pending: the next waiting instruction must raise #MF (or FERR#).
    #[inline]
    #[must_use]
    pub const fn pending(&self) -> bool {
        self.status & status::ERROR != 0
    }

    /// The status word as FNSTSW stores it.
    #[inline]
    #[must_use]
    pub const fn status_word(&self) -> u16 {
        self.status & !status::TOP | (self.top as u16 & 7) << 11
    }

    /// Notes the instruction pointers that FSTENV and FXSAVE report.
    #[inline]
    pub fn note_instruction(&mut self, opcode: u16, cs: u16, ip: u32) {
        self.fop = opcode & 0x7FF;
        self.fcs = cs;
        self.fip = ip;
    }

    /// Notes the last memory operand's address.
    #[inline]
    pub fn note_operand(&mut self, segment: u16, offset: u32) {
        self.fds = segment;
        self.fdp = offset;
    }

    /// The number of the physical register behind ST(i).
    #[inline]
    pub(in crate::fpu) const fn physical(&self, i: u8) -> usize {
        (self.top.wrapping_add(i) & 7) as usize
    }

    /// ST(i)'s bits, whether or not it is empty.
    #[inline]
    #[must_use]
    pub fn st(&self, i: u8) -> F80 {
        // By fields: copying the padding along would read more than was just written.
        let register = &self.registers[self.physical(i)];
        F80::new(register.sign_exponent, register.mantissa)
    }

    /// Whether ST(i) is empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self, i: u8) -> bool {
        self.tags >> self.physical(i) & 1 == 0
    }

    /// Puts a value into ST(i) and marks it as in use.
    #[inline]
    pub fn set_st(&mut self, i: u8, value: F80) {
        let n = self.physical(i);
        self.registers[n] = value;
        self.tags |= 1 << n;
    }

    #[inline]
    pub(in crate::fpu) fn unpacked(&self, i: u8) -> Unpacked {
        self.st(i).unpack()
    }

    #[inline]
    pub(in crate::fpu) const fn context(&self) -> FloatContext {
        FloatContext::from_control_word(self.control)
    }

    /// Empties ST(0) and moves TOP up.
    #[inline]
    pub fn pop(&mut self) {
        self.tags &= !(1 << self.physical(0));
        self.top = self.top.wrapping_add(1) & 7;
    }

    /// Moves TOP down and fills the new ST(0); no checks.
    #[inline]
    pub(in crate::fpu) fn push_unchecked(&mut self, value: F80) {
        self.top = self.top.wrapping_sub(1) & 7;
        self.set_st(0, value);
    }

    /// Whether a push would overflow the stack.
    #[inline]
    pub(in crate::fpu) fn push_overflows(&self) -> bool {
        !self.is_empty(7)
    }

    /// Takes an operation's flags into the status word (C1 included).
    ///
    /// Returns whether the operation takes place: not after an unmasked #I, #D or #Z.
    #[inline]
    pub(in crate::fpu) fn settle(&mut self, cx: &FloatContext) -> bool {
        self.status &= !status::C1;
        if cx.flags == 0 {
            return true;
        }
        self.settle_flags(cx)
    }

    fn settle_flags(&mut self, cx: &FloatContext) -> bool {
        let flags = cx.settled();
        self.status |= flags;
        let unmasked = flags & !self.control & flag::ALL;
        if unmasked != 0 {
            self.status |= status::ERROR | status::BUSY;
        }
        unmasked & flag::BEFORE == 0
    }

    /// A stack fault; returns whether it is masked, so that the instruction goes on with the indefinite NaN.
    #[cold]
    pub(in crate::fpu) fn stack_fault(&mut self, overflow: bool) -> bool {
        self.status = self.status & !status::C1 | status::STACK_FAULT | flag::INVALID;
        if overflow {
            self.status |= status::C1;
        }
        let masked = self.control & flag::INVALID != 0;
        if !masked {
            self.status |= status::ERROR | status::BUSY;
        }
        masked
    }

    /// Recomputes ES and B after the control word or the flags were loaded.
    pub(in crate::fpu) fn update_summary(&mut self) {
        self.status &= !(status::ERROR | status::BUSY);
        if self.status & !self.control & flag::ALL != 0 {
            self.status |= status::ERROR | status::BUSY;
        }
    }

    pub(in crate::fpu) fn set_codes(&mut self, codes: u16) {
        self.status = self.status & !status::CODES | codes;
    }
}
