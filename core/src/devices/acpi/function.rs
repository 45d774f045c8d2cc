//! The PIIX4 power-management function as configuration space shows it: 8086:7113.
//!
//! Its I/O ranges are not base address registers but PMBA and SMBBA, each with an enable bit elsewhere.
//!
//! Spec: Intel 290562, 82371AB (PIIX4), chapter 7.

use crate::board::Board;
use crate::devices::DeviceId;
use crate::devices::pci::{Identity, Register, Slot};

/// Offsets in configuration space.
pub mod reg {
    #![allow(missing_docs)]
    pub const PMBA: u8 = 0x40;
    pub const DEVACTB: u8 = 0x58;
    pub const PMREGMISC: u8 = 0x80;
    pub const SMBBA: u8 = 0x90;
    pub const SMBHSTCFG: u8 = 0xD2;
}

/// Ports from PMBA on.
pub const PM_PORTS: u16 = 64;
/// Ports from SMBBA on.
pub const SMBUS_PORTS: u16 = 16;

const REGISTERS: &[Register] = &[
    (0x06, 0x80, 0x00),
    (0x07, 0x02, 0x00),
    // SCI is wired to IRQ 9.
    (0x3C, 0x09, 0xFF),
    (0x40, 0x01, 0xC0),
    (0x41, 0x00, 0xFF),
    (0x44, 0x00, 0xFF),
    (0x45, 0x00, 0xFF),
    (0x46, 0x00, 0xFF),
    (0x47, 0x00, 0xFF),
    (0x48, 0x00, 0xFF),
    (0x49, 0x00, 0xFF),
    (0x4A, 0x00, 0xFF),
    (0x4B, 0x00, 0xFF),
    (0x4C, 0x00, 0xFF),
    (0x4D, 0x00, 0xFF),
    (0x4E, 0x00, 0xFF),
    (0x4F, 0x00, 0xFF),
    (0x50, 0x00, 0xFF),
    (0x51, 0x00, 0xFF),
    (0x52, 0x00, 0xFF),
    (0x54, 0x00, 0xFF),
    (0x55, 0x00, 0xFF),
    (0x56, 0x00, 0xFF),
    (0x57, 0x00, 0xFF),
    (0x58, 0x00, 0xFF),
    (0x59, 0x00, 0xFF),
    (0x5A, 0x00, 0xFF),
    // APMC_EN: to firmware it says that system management mode has been set up already. There is none
    // here, and SeaBIOS would wait for its handler for ever.
    (0x5B, 0x02, 0xFF),
    (0x5C, 0x00, 0xFF),
    (0x5D, 0x00, 0xFF),
    (0x5E, 0x00, 0xFF),
    // Serial ports and parallel port are decoded.
    (0x5F, 0x90, 0xFF),
    (0x60, 0x00, 0xFF),
    (0x61, 0x00, 0xFF),
    (0x62, 0x00, 0xFF),
    (0x63, 0x60, 0xFF),
    (0x64, 0x00, 0xFF),
    (0x65, 0x00, 0xFF),
    (0x66, 0x00, 0xFF),
    (0x67, 0x98, 0xFF),
    (0x80, 0x00, 0x01),
    (0x90, 0x01, 0xF0),
    (0x91, 0x00, 0xFF),
    (0xD2, 0x00, 0x0F),
    (0xD3, 0x00, 0xFF),
    (0xD4, 0x00, 0xFF),
    (0xD5, 0x00, 0xFF),
    (0xD6, 0x00, 0x00),
];

/// 8086:7113.
pub(super) const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x7113,
    revision: 3,
    class: 0x06_80_00,
    subsystem: (0x1AF4, 0x1100),
    interrupt_pin: 1,
    bars: [None; 6],
    rom: None,
    capabilities: 0,
    registers: REGISTERS,
};

/// What the function has claimed: first ports of the power-management and SMBus registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PmPorts {
    /// Power management.
    pub pm: Option<u16>,
    /// SMBus host.
    pub smbus: Option<u16>,
}

/// Where the registers say that the function answers.
fn decode(board: &Board) -> PmPorts {
    let config = |at| board.pci.config(Slot::PM, at);
    let base = |at, mask| u16::from_le_bytes([config(at), config(at + 1)]) & mask;
    let some = |on: bool, base: u16| (on && base != 0).then_some(base);
    if !board.pci.is_present(Slot::PM) {
        return PmPorts::default();
    }
    PmPorts {
        pm: some(config(reg::PMREGMISC) & 1 != 0, base(reg::PMBA, !(PM_PORTS - 1))),
        smbus: some(config(reg::SMBHSTCFG) & 1 != 0, base(reg::SMBBA, !(SMBUS_PORTS - 1))),
    }
}

/// Claims the ports that the base registers say, and gives back what was claimed before.
pub(crate) fn settle(board: &mut Board) {
    let new = decode(board);
    let old = core::mem::replace(&mut board.pci.pm_ports, new);
    for (old, new, len) in [(old.pm, new.pm, PM_PORTS), (old.smbus, new.smbus, SMBUS_PORTS)] {
        if old != new {
            if let Some(at) = old {
                board.io.release(&(at..=at + (len - 1)), DeviceId::Acpi);
            }
            if let Some(at) = new {
                board.io.claim(at..=at + (len - 1), DeviceId::Acpi);
            }
        }
    }
}
