//! EFLAGS. The six status flags are kept as the last result and a carry vector, and computed when read.
//!
//! Spec: Intel SDM volume 1, §3.4.3.

/// Bits of EFLAGS.
pub mod bit {
    /// Carry.
    pub const CF: u32 = 1 << 0;
    /// Parity of the low byte.
    pub const PF: u32 = 1 << 2;
    /// Carry out of bit 3.
    pub const AF: u32 = 1 << 4;
    /// Zero.
    pub const ZF: u32 = 1 << 6;
    /// Sign.
    pub const SF: u32 = 1 << 7;
    /// Trap after each instruction.
    pub const TF: u32 = 1 << 8;
    /// Interrupts enabled.
    pub const IF: u32 = 1 << 9;
    /// Strings run downwards.
    pub const DF: u32 = 1 << 10;
    /// Signed overflow.
    pub const OF: u32 = 1 << 11;
    /// I/O privilege level (two bits).
    pub const IOPL: u32 = 3 << 12;
    /// Nested task.
    pub const NT: u32 = 1 << 14;
    /// Resume: instruction breakpoints are ignored once.
    pub const RF: u32 = 1 << 16;
    /// Virtual-8086 mode.
    pub const VM: u32 = 1 << 17;
    /// Alignment check.
    pub const AC: u32 = 1 << 18;
    /// Virtual interrupt flag.
    pub const VIF: u32 = 1 << 19;
    /// Virtual interrupt pending.
    pub const VIP: u32 = 1 << 20;
    /// CPUID exists.
    pub const ID: u32 = 1 << 21;
    /// The six status flags.
    pub const STATUS: u32 = CF | PF | AF | ZF | SF | OF;
    /// All that exist but the status flags.
    pub const SYSTEM: u32 = TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;
}

/// EFLAGS.
///
/// `result` is the last result, sign-extended: ZF says whether it is 0, SF is its top bit, PF comes from its
/// low byte. `aux` holds CF in bit 31, CF xor OF in bit 30, AF in bit 3; bits 8–15 are exclusive-ored into the
/// byte that PF is computed from and bit 0 into SF, so that any combination can be represented.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct EFlags {
    /// Sign-extended result.
    pub result: u32,
    /// Carries.
    pub aux: u32,
    /// Every flag that is not a status flag, in place.
    pub system: u32,
}

impl EFlags {
    /// CF.
    #[inline(always)]
    #[must_use]
    pub const fn cf(&self) -> bool {
        self.aux >> 31 != 0
    }

    /// OF.
    #[inline(always)]
    #[must_use]
    pub const fn of(&self) -> bool {
        (self.aux ^ self.aux << 1) >> 31 != 0
    }

    /// AF.
    #[inline(always)]
    #[must_use]
    pub const fn af(&self) -> bool {
        self.aux & 8 != 0
    }

    /// ZF.
    #[inline(always)]
    #[must_use]
    pub const fn zf(&self) -> bool {
        self.result == 0
    }

    /// SF.
    #[inline(always)]
    #[must_use]
    pub const fn sf(&self) -> bool {
        (self.result >> 31) ^ (self.aux & 1) != 0
    }

    /// PF.
    #[inline(always)]
    #[must_use]
    pub const fn pf(&self) -> bool {
        ((self.result ^ self.aux >> 8) as u8).count_ones() & 1 == 0
    }

    /// Condition code 0–15 (O NO B AE E NE BE A S NS P NP L GE LE G).
    #[inline(always)]
    #[must_use]
    pub const fn condition(&self, code: u8) -> bool {
        let met = match code >> 1 & 7 {
            0 => self.of(),
            1 => self.cf(),
            2 => self.zf(),
            3 => self.cf() || self.zf(),
            4 => self.sf(),
            5 => self.pf(),
            6 => self.sf() != self.of(),
            _ => self.zf() || self.sf() != self.of(),
        };
        met != (code & 1 != 0)
    }

    /// Sets all status flags from a sign-extended result and CF, OF, AF.
    #[inline(always)]
    pub const fn set(&mut self, result: u32, cf: bool, of: bool, af: bool) {
        self.result = result;
        self.aux = (cf as u32) << 31 | ((cf != of) as u32) << 30 | (af as u32) << 3;
    }

    /// Sets CF alone.
    #[inline(always)]
    pub const fn set_cf(&mut self, cf: bool) {
        let of = self.of();
        self.set_cf_of(cf, of);
    }

    /// Sets CF and OF alone.
    #[inline(always)]
    pub const fn set_cf_of(&mut self, cf: bool, of: bool) {
        self.aux = self.aux & 0x3FFF_FFFF | (cf as u32) << 31 | ((cf != of) as u32) << 30;
    }

    /// Sets ZF alone.
    pub const fn set_zf(&mut self, zf: bool) {
        let image = self.status() & !bit::ZF | if zf { bit::ZF } else { 0 };
        self.set_status(image);
    }

    /// The six status flags in place.
    #[must_use]
    pub const fn status(&self) -> u32 {
        let mut image = 0;
        if self.cf() {
            image |= bit::CF;
        }
        if self.pf() {
            image |= bit::PF;
        }
        if self.af() {
            image |= bit::AF;
        }
        if self.zf() {
            image |= bit::ZF;
        }
        if self.sf() {
            image |= bit::SF;
        }
        if self.of() {
            image |= bit::OF;
        }
        image
    }

    /// Sets the six status flags.
    pub const fn set_status(&mut self, image: u32) {
        let zf = image & bit::ZF != 0;
        let result = if zf { 0 } else { 0x100 };
        self.set(result, image & bit::CF != 0, image & bit::OF != 0, image & bit::AF != 0);
        if image & bit::SF != 0 {
            self.aux |= 1;
        }
        // An even number of ones in the low byte means PF: put one there to clear it.
        if image & bit::PF == 0 {
            self.aux |= 1 << 8;
        }
    }

    /// EFLAGS as the guest sees it.
    #[must_use]
    pub const fn image(&self) -> u32 {
        self.status() | self.system | 2
    }

    /// Sets all of EFLAGS.
    pub const fn set_image(&mut self, image: u32) {
        self.set_status(image);
        self.system = image & bit::SYSTEM;
    }

    /// Whether a system flag is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.system & flag != 0
    }

    /// The I/O privilege level.
    #[must_use]
    pub const fn iopl(&self) -> u8 {
        (self.system >> 12 & 3) as u8
    }
}

impl crate::archive::Field for EFlags {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        let mut image = self.image();
        a.field(&mut image);
        self.set_image(image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_status_flags_can_be_set_and_read() {
        for n in 0..64 {
            let mut image = 0;
            for (k, flag) in [bit::CF, bit::PF, bit::AF, bit::ZF, bit::SF, bit::OF].into_iter().enumerate() {
                if n >> k & 1 != 0 {
                    image |= flag;
                }
            }
            let mut flags = EFlags::default();
            flags.set_image(image | bit::IF);
            assert_eq!(flags.image(), image | bit::IF | 2);
            flags.set_cf(true);
            assert_eq!(flags.image(), image | bit::IF | 2 | bit::CF);
        }
    }
}
