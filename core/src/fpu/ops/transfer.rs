//! Loads, stores, exchanges and constants.

use super::{Fpu, status};
use crate::fpu::soft::{
    F32, F64, F80, FloatContext, Rounding,
    convert::{self, f80_to_format, format_to_f80},
    flag,
};

/// What an instruction stores to memory, before it has any effect on the FPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Store<T> {
    /// The bytes to write; `None`: an unmasked exception suppresses the store (and the pop).
    pub value: Option<T>,
    /// Exception flags, stack fault and C1 for the status word.
    pub effect: u16,
}

impl<T> Store<T> {
    /// The same store of another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Store<U> {
        Store { value: self.value.map(f), effect: self.effect }
    }
}

/// A constant of FLD1 to FLDZ; the discriminant is the low three bits of D9 E8+i.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Constant {
    /// FLD1.
    One = 0,
    /// FLDL2T: log2(10).
    Log2Of10 = 1,
    /// FLDL2E: log2(e).
    Log2OfE = 2,
    /// FLDPI.
    Pi = 3,
    /// FLDLG2: log10(2).
    Log10Of2 = 4,
    /// FLDLN2: ln(2).
    LnOf2 = 5,
    /// FLDZ.
    Zero = 6,
}

impl Constant {
    /// From the low bits of D9 E8+i; `None` for D9 EF, which is invalid.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 7 {
            0 => Self::One,
            1 => Self::Log2Of10,
            2 => Self::Log2OfE,
            3 => Self::Pi,
            4 => Self::Log10Of2,
            5 => Self::LnOf2,
            6 => Self::Zero,
            _ => return None,
        })
    }

    fn value(self, rounding: Rounding) -> F80 {
        // Each constant rounded down, and whether round-to-nearest takes the next one.
        let (sign_exponent, mantissa, nearest_is_up) = match self {
            Self::One => return F80::ONE,
            Self::Zero => return F80::ZERO,
            Self::Log2Of10 => (0x4000, 0xD49A_784B_CD1B_8AFE, false),
            Self::Log2OfE => (0x3FFF, 0xB8AA_3B29_5C17_F0BB, true),
            Self::Pi => (0x4000, 0xC90F_DAA2_2168_C234, true),
            Self::Log10Of2 => (0x3FFD, 0x9A20_9A84_FBCF_F798, true),
            Self::LnOf2 => (0x3FFE, 0xB172_17F7_D1CF_79AB, true),
        };
        let up = match rounding {
            Rounding::Nearest => nearest_is_up,
            Rounding::Up => true,
            Rounding::Down | Rounding::Zero => false,
        };
        F80::new(sign_exponent, mantissa + u64::from(up))
    }
}

impl Fpu {
    fn push(&mut self, value: F80) {
        if self.push_overflows() {
            if self.stack_fault(true) {
                self.push_unchecked(F80::INDEFINITE);
            }
            return;
        }
        self.status &= !status::C1;
        self.push_unchecked(value);
    }

    fn push_converted(&mut self, value: F80, cx: &FloatContext) {
        if self.push_overflows() {
            self.push(value);
        } else {
            // An unmasked #D does not keep the number from being loaded.
            let loads = cx.flags & !cx.masks & flag::INVALID == 0;
            self.settle(cx);
            if loads {
                self.push_unchecked(value);
            }
        }
    }

    /// FLD m32fp.
    pub fn fld_m32(&mut self, source: u32) {
        let mut cx = self.context();
        let value = format_to_f80(F32(source), &mut cx);
        self.push_converted(value, &cx);
    }

    /// FLD m64fp.
    pub fn fld_m64(&mut self, source: u64) {
        let mut cx = self.context();
        let value = format_to_f80(F64(source), &mut cx);
        self.push_converted(value, &cx);
    }

    /// FLD m80fp: no conversion, no exceptions but the stack's.
    pub fn fld_m80(&mut self, source: F80) {
        self.push(source);
    }

    /// FLD ST(i).
    pub fn fld_st(&mut self, i: u8) {
        let value = self.st(i);
        if self.is_empty(i) {
            if self.stack_fault(false) {
                self.push_unchecked(F80::INDEFINITE);
            }
            return;
        }
        self.push(value);
    }

    /// FILD m16int, m32int, m64int.
    pub fn fild(&mut self, source: i64) {
        self.push(F80::from_i64(source));
    }

    /// FBLD m80bcd.
    pub fn fbld(&mut self, source: [u8; 10]) {
        self.push(convert::from_packed_decimal(source));
    }

    /// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ.
    pub fn fld_constant(&mut self, constant: Constant) {
        let value = constant.value(self.context().rounding);
        self.push(value);
    }

    /// FXCH ST(i).
    pub fn fxch(&mut self, i: u8) {
        if self.is_empty(0) || self.is_empty(i) {
            if !self.stack_fault(false) {
                return;
            }
            for n in [0, i] {
                if self.is_empty(n) {
                    self.set_st(n, F80::INDEFINITE);
                }
            }
        } else {
            self.status &= !status::C1;
        }
        let (a, b) = (self.physical(0), self.physical(i));
        self.registers.swap(a, b);
    }

    /// FST and FSTP ST(i).
    pub fn fst_st(&mut self, i: u8, pop: bool) {
        let value = if self.is_empty(0) {
            if !self.stack_fault(false) {
                return;
            }
            F80::INDEFINITE
        } else {
            self.status &= !status::C1;
            self.st(0)
        };
        self.set_st(i, value);
        if pop {
            self.pop();
        }
    }

    /// FSTPNCE: as FSTP ST(i), but from an empty ST(0) it only pops.
    pub fn fstpnce(&mut self, i: u8) {
        self.status &= !status::C1;
        if !self.is_empty(0) {
            let value = self.st(0);
            self.set_st(i, value);
        }
        self.pop();
    }

    /// The store of ST(0) that `convert` makes; `indefinite` is its answer to masked stack underflow.
    fn store<T>(&self, indefinite: T, convert: impl FnOnce(F80, &mut FloatContext) -> T) -> Store<T> {
        if self.is_empty(0) {
            let masked = self.control & flag::INVALID != 0;
            return Store {
                value: masked.then_some(indefinite),
                effect: flag::INVALID | status::STACK_FAULT,
            };
        }
        let mut cx = self.context();
        let value = convert(self.st(0), &mut cx);
        let mut flags = cx.settled();
        let suppressed = flags & !self.control & (flag::INVALID | flag::OVERFLOW | flag::UNDERFLOW) != 0;
        if suppressed {
            // Nothing is stored, so nothing was rounded.
            flags &= !(flag::PRECISION | flag::ROUNDED_UP);
        }
        Store { value: (!suppressed).then_some(value), effect: flags }
    }

    /// FST and FSTP m32fp.
    pub fn fst_m32(&self) -> Store<u32> {
        self.store(0xFFC0_0000, |a, cx| f80_to_format::<F32>(a, cx).0)
    }

    /// FST and FSTP m64fp.
    pub fn fst_m64(&self) -> Store<u64> {
        self.store(0xFFF8_0000_0000_0000, |a, cx| f80_to_format::<F64>(a, cx).0)
    }

    /// FSTP m80fp.
    pub fn fst_m80(&self) -> Store<F80> {
        self.store(F80::INDEFINITE, |a, _| a)
    }

    /// FIST and FISTP m16int; FISTTP with `truncate`.
    pub fn fist_m16(&self, truncate: bool) -> Store<i16> {
        self.store_integer(16, truncate).map(|value| value as i16)
    }

    /// FIST and FISTP m32int; FISTTP with `truncate`.
    pub fn fist_m32(&self, truncate: bool) -> Store<i32> {
        self.store_integer(32, truncate).map(|value| value as i32)
    }

    /// FISTP m64int; FISTTP with `truncate`.
    pub fn fist_m64(&self, truncate: bool) -> Store<i64> {
        self.store_integer(64, truncate)
    }

    fn store_integer(&self, bits: u32, truncate: bool) -> Store<i64> {
        let indefinite = i64::MIN >> (64 - bits);
        self.store(indefinite, |a, cx| {
            let rounding = if truncate { Rounding::Zero } else { cx.rounding };
            convert::to_signed(&a.unpack(), bits, rounding, cx).unwrap_or(indefinite)
        })
    }

    /// FBSTP m80bcd.
    pub fn fbstp(&self) -> Store<[u8; 10]> {
        const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF];
        self.store(INDEFINITE, |a, cx| convert::to_packed_decimal(&a.unpack(), cx).unwrap_or(INDEFINITE))
    }

    /// Takes a store's exceptions into the status word and pops when asked to and not suppressed.
    ///
    /// To be called after the write to memory has succeeded.
    pub fn finish_store<T>(&mut self, store: &Store<T>, pop: bool) {
        self.status = self.status & !status::C1 | store.effect;
        if store.effect & !self.control & flag::ALL != 0 {
            self.status |= status::ERROR | status::BUSY;
        }
        if pop && store.value.is_some() {
            self.pop();
        }
    }
}
