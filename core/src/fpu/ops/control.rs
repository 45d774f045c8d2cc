//! FNINIT, FNCLEX, FLDCW, FNSTSW, FINCSTP, FDECSTP, FFREE, EMMS and the MMX view of the registers.

use super::{Fpu, status};
use crate::fpu::soft::flag;

impl Fpu {
    /// FNINIT. The registers keep their bits but become empty.
    pub fn fninit(&mut self) {
        *self = Self { registers: self.registers, ..Self::new() };
    }

    /// FNCLEX.
    pub fn fnclex(&mut self) {
        self.status &= !(flag::ALL | status::STACK_FAULT | status::ERROR | status::BUSY);
    }

    /// FLDCW. Unmasking an exception whose flag is set makes it pending.
    pub fn fldcw(&mut self, control: u16) {
        self.control = control & 0x1F7F | 0x40;
        self.update_summary();
    }

    /// FINCSTP.
    pub fn fincstp(&mut self) {
        self.status &= !status::C1;
        self.top = self.top.wrapping_add(1) & 7;
    }

    /// FDECSTP.
    pub fn fdecstp(&mut self) {
        self.status &= !status::C1;
        self.top = self.top.wrapping_sub(1) & 7;
    }

    /// FFREE ST(i); FFREEP pops afterwards.
    pub fn ffree(&mut self, i: u8, pop: bool) {
        self.status &= !status::C1;
        self.tags &= !(1 << self.physical(i));
        if pop {
            self.pop();
        }
    }

    /// Reads MMi. Every MMX instruction but EMMS also calls [`Self::enter_mmx`].
    #[inline]
    #[must_use]
    pub fn mmx(&self, i: u8) -> u64 {
        self.registers[usize::from(i & 7)].mantissa
    }

    /// Writes MMi and sets the exponent above it to all ones.
    #[inline]
    pub fn set_mmx(&mut self, i: u8, value: u64) {
        let register = &mut self.registers[usize::from(i & 7)];
        register.mantissa = value;
        register.sign_exponent = 0xFFFF;
    }

    /// What every MMX instruction but EMMS does: TOP becomes 0 and all registers are in use.
    #[inline]
    pub fn enter_mmx(&mut self) {
        self.top = 0;
        self.tags = 0xFF;
    }

    /// EMMS: all registers are empty. TOP becomes 0.
    #[inline]
    pub fn emms(&mut self) {
        self.top = 0;
        self.tags = 0;
    }
}
