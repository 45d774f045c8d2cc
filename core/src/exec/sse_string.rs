//! PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.
//!
//! Spec: Intel SDM volume 2, 4.1 (imm8 control byte).

use super::vector::*;
use super::*;
use crate::cpu::flags::bit;

/// The two strings as elements, and how many of each are valid.
struct Strings {
    a: [i32; 16],
    b: [i32; 16],
    valid_a: usize,
    valid_b: usize,
    /// Elements in a register: 8 or 16.
    count: usize,
}

impl Strings {
    fn new(imm: u32, a: u128, b: u128) -> Self {
        let elements = |value: u128| {
            core::array::from_fn(|n| match imm & 3 {
                0 => i32::from((value >> (8 * n)) as u8),
                2 => i32::from((value >> (8 * n)) as i8),
                _ if n >= 8 => 0,
                1 => i32::from((value >> (16 * n)) as u16),
                _ => i32::from((value >> (16 * n)) as i16),
            })
        };
        let count = if imm & 1 == 0 { 16 } else { 8 };
        Self { a: elements(a), b: elements(b), valid_a: count, valid_b: count, count }
    }

    /// Ends both at their first zero.
    fn implicit(mut self) -> Self {
        let end = |s: &[i32; 16]| s.iter().position(|&e| e == 0).unwrap_or(16).min(self.count);
        (self.valid_a, self.valid_b) = (end(&self.a), end(&self.b));
        self
    }

    /// Lengths as EAX and EDX give them.
    fn explicit(mut self, a: u32, b: u32) -> Self {
        let end = |length: u32| ((length as i32).unsigned_abs() as usize).min(self.count);
        (self.valid_a, self.valid_b) = (end(a), end(b));
        self
    }

    /// IntRes2: a bit per element of the second string.
    fn compare(&self, imm: u32) -> u32 {
        let a = &self.a[..self.valid_a];
        let b = &self.b[..self.valid_b];
        let result = |j: usize| match imm >> 2 & 3 {
            // Equal any.
            0 => b.get(j).is_some_and(|y| a.contains(y)),
            // Ranges.
            1 => b.get(j).is_some_and(|y| a.chunks_exact(2).any(|range| (range[0]..=range[1]).contains(y))),
            // Equal each: both ended is equal as well.
            2 => a.get(j) == b.get(j),
            // Equal ordered: what the register cuts off counts as found.
            _ => a.iter().zip(j..self.count).all(|(x, k)| b.get(k) == Some(x)),
        };
        let bits = (0..self.count).fold(0, |bits, j| bits | u32::from(result(j)) << j);
        match imm >> 4 & 3 {
            1 => bits ^ ((1 << self.count) - 1),
            3 => bits ^ ((1 << self.valid_b) - 1),
            _ => bits,
        }
    }

    fn set_flags(&self, c: &mut Cpu, result: u32) {
        let mut flags = 0;
        for (set, flag) in [
            (result != 0, bit::CF),
            (self.valid_b < self.count, bit::ZF),
            (self.valid_a < self.count, bit::SF),
            (result & 1 != 0, bit::OF),
        ] {
            if set {
                flags |= flag;
            }
        }
        c.flags.set_status(flags);
    }

    /// Number of the first or last element found, to ECX.
    fn index(&self, c: &mut Cpu, imm: u32, result: u32) {
        c.regs[reg::ECX] = match (result, imm >> 6 & 1) {
            (0, _) => self.count as u32,
            (_, 0) => result.trailing_zeros(),
            _ => 31 - result.leading_zeros(),
        };
    }

    /// A mask of bits or elements, to XMM0.
    fn mask(&self, c: &mut Cpu, imm: u32, result: u32) {
        c.xmm[0] = match (imm >> 6 & 1, self.count) {
            (0, _) => u128::from(result),
            (_, 16) => build::<u8, u128>(|n| if result >> n & 1 != 0 { 0xFF } else { 0 }),
            _ => build::<u16, u128>(|n| if result >> n & 1 != 0 { 0xFFFF } else { 0 }),
        };
    }
}

macro_rules! compares {
    ($($name:ident |$s:ident, $c:ident| $lengths:expr, $give:ident;)*) => { $(
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>($c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            $c.sse_available()?;
            let (b, a) = (S::get($c, i, io)?, D::get($c, i, io)?);
            let $s = Strings::new(i.imm, a, b);
            let $s = $lengths;
            let result = $s.compare(i.imm);
            $s.$give($c, i.imm, result);
            $s.set_flags($c, result);
            Ok(())
        }
    )* };
}

compares! {
    pcmpestri |s, c| s.explicit(c.regs[reg::EAX], c.regs[reg::EDX]), index;
    pcmpestrm |s, c| s.explicit(c.regs[reg::EAX], c.regs[reg::EDX]), mask;
    pcmpistri |s, c| s.implicit(), index;
    pcmpistrm |s, c| s.implicit(), mask;
}
