//! How an instruction ends other than normally.

use core::num::NonZeroU32;

/// Result of executing an instruction or a part of it.
pub type Run<T = ()> = Result<T, Trap>;

/// Exception vectors.
pub mod vector {
    /// Divide error.
    pub const DE: u8 = 0;
    /// Debug.
    pub const DB: u8 = 1;
    /// Non-maskable interrupt.
    pub const NMI: u8 = 2;
    /// Breakpoint.
    pub const BP: u8 = 3;
    /// Overflow.
    pub const OF: u8 = 4;
    /// BOUND range exceeded.
    pub const BR: u8 = 5;
    /// Undefined opcode.
    pub const UD: u8 = 6;
    /// No coprocessor.
    pub const NM: u8 = 7;
    /// Double fault.
    pub const DF: u8 = 8;
    /// Invalid TSS.
    pub const TS: u8 = 10;
    /// Segment not present.
    pub const NP: u8 = 11;
    /// Stack fault.
    pub const SS: u8 = 12;
    /// General protection.
    pub const GP: u8 = 13;
    /// Page fault.
    pub const PF: u8 = 14;
    /// x87 error.
    pub const MF: u8 = 16;
    /// Alignment check.
    pub const AC: u8 = 17;
    /// SIMD floating-point.
    pub const XM: u8 = 19;
}

/// Why execution left an instruction: an exception, or that the block ends here.
///
/// Bits 0–7 vector, 8–23 error code, 24 has one, 28–31 kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trap(NonZeroU32);

/// What a [`Trap`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A fault: the instruction did nothing; vector and error code.
    Fault(u8, Option<u16>),
    /// The instruction is complete (EIP says where to go on) and the block ends.
    End,
    /// A fault while an exception was being delivered could not be delivered either.
    Shutdown,
}

impl Trap {
    const fn new(value: u32) -> Self {
        match NonZeroU32::new(value) {
            Some(value) => Self(value),
            None => panic!("a trap has a kind"),
        }
    }

    /// The instruction is complete and the block ends.
    pub const END: Self = Self::new(2 << 28);
    /// An operand cannot be had without more ado: the whole instruction is executed again, the long way. It has done
    /// nothing so far. Never leaves the instruction's function.
    pub const AGAIN: Self = Self::new(4 << 28);
    /// The processor shuts down.
    pub const SHUTDOWN: Self = Self::new(3 << 28);
    /// #UD.
    pub const UD: Self = Self::fault(vector::UD);
    /// #NM.
    pub const NM: Self = Self::fault(vector::NM);
    /// #DE.
    pub const DE: Self = Self::fault(vector::DE);
    /// #MF.
    pub const MF: Self = Self::fault(vector::MF);
    /// #XM.
    pub const XM: Self = Self::fault(vector::XM);

    /// A fault without an error code.
    #[must_use]
    pub const fn fault(vector: u8) -> Self {
        Self::new(1 << 28 | vector as u32)
    }

    /// A fault with an error code.
    #[must_use]
    pub const fn code(vector: u8, code: u16) -> Self {
        Self::new(1 << 28 | 1 << 24 | (code as u32) << 8 | vector as u32)
    }

    /// #GP with an error code.
    #[must_use]
    pub const fn gp(code: u16) -> Self {
        Self::code(vector::GP, code)
    }

    /// #SS with an error code.
    #[must_use]
    pub const fn ss(code: u16) -> Self {
        Self::code(vector::SS, code)
    }

    /// #TS with an error code.
    #[must_use]
    pub const fn ts(code: u16) -> Self {
        Self::code(vector::TS, code)
    }

    /// #NP with an error code.
    #[must_use]
    pub const fn np(code: u16) -> Self {
        Self::code(vector::NP, code)
    }

    /// What it says.
    #[must_use]
    pub const fn kind(self) -> Kind {
        let value = self.0.get();
        match value >> 28 {
            1 => {
                Kind::Fault(value as u8, if value >> 24 & 1 != 0 { Some((value >> 8) as u16) } else { None })
            }
            2 => Kind::End,
            _ => Kind::Shutdown,
        }
    }
}

impl core::fmt::Debug for Trap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.kind().fmt(f)
    }
}
