//! PCI devices, by configuration mechanism 1.
//!
//! Spec: PCI Local Bus 3.0, 3.2.2.3.2 and 6.1.

use crate::port::{in32, out32};

/// Registers of the configuration header.
mod reg {
    pub(super) const ID: u8 = 0x00;
    pub(super) const COMMAND: u8 = 0x04;
    pub(super) const HEADER: u8 = 0x0C;
    pub(super) const BAR: u8 = 0x10;
    pub(super) const INTERRUPT: u8 = 0x3C;
}

/// A function's address, as the configuration address register has it.
#[derive(Clone, Copy)]
pub(crate) struct Function(u32);

impl Function {
    fn read(self, register: u8) -> u32 {
        out32(0xCF8, self.0 | u32::from(register & !3));
        in32(0xCFC)
    }

    /// The first function that has one of `devices` (vendor and device).
    pub(crate) fn find(devices: &[(u16, u16)]) -> Option<Self> {
        let all = (0..256_u32 * 32).flat_map(|device| {
            let first = Self(1 << 31 | device << 11);
            let functions = match first.read(reg::ID) {
                0xFFFF_FFFF => 0,
                _ if first.read(reg::HEADER) >> 23 & 1 != 0 => 8,
                _ => 1,
            };
            (0..functions).map(move |function| Self(first.0 | function << 8))
        });
        let wanted = |function: &Self| {
            let id = function.read(reg::ID);
            devices.iter().any(|(vendor, device)| u32::from(*device) << 16 | u32::from(*vendor) == id)
        };
        all.into_iter().find(wanted)
    }

    /// Base address register `n`, without its flags.
    pub(crate) fn bar(self, n: u8) -> u32 {
        let value = self.read(reg::BAR + 4 * n);
        value & if value & 1 != 0 { !3 } else { !15 }
    }

    /// Whether base address register `n` is one of ports.
    pub(crate) fn has_ports(self, n: u8) -> bool {
        self.read(reg::BAR + 4 * n) & 1 != 0
    }

    /// The interrupt line that the firmware has given it.
    pub(crate) fn irq(self) -> Option<u8> {
        let line = self.read(reg::INTERRUPT) as u8;
        (1..16).contains(&line).then_some(line)
    }

    /// Lets it answer at its ports and memory, and use memory by itself.
    pub(crate) fn enable(self) {
        let command = self.read(reg::COMMAND) & 0xFFFF;
        out32(0xCF8, self.0 | u32::from(reg::COMMAND));
        out32(0xCFC, command | 7);
    }
}
