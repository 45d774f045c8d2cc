//! PIIX3: the bridge to the ISA bus with its interrupt routing, and the face of its IDE function.
//!
//! Spec: Intel 290550, 82371SB (PIIX3): PIRQRC, ELCR, RC.
//! Not emulated: ISA timing, top-of-memory and X-bus chip-select registers (they can be written), motherboard
//! device IRQ steering of MIRQ0, USB.

use super::bar::Bar;
use super::bus::{Identity, Register, Slot};
use crate::devices::DeviceId;

/// Offsets in configuration space.
pub mod reg {
    #![allow(missing_docs)]
    pub const PIRQRCA: u8 = 0x60;
    pub const PIRQRCD: u8 = 0x63;
}

const ISA_REGISTERS: &[Register] = &[
    (0x04, 0x07, 0x00),
    (0x05, 0x00, 0x01),
    (0x07, 0x02, 0x00),
    (0x4C, 0x4D, 0xFF),
    (0x4E, 0x03, 0xFF),
    (0x4F, 0x00, 0x01),
    (0x60, 0x80, 0x8F),
    (0x61, 0x80, 0x8F),
    (0x62, 0x80, 0x8F),
    (0x63, 0x80, 0x8F),
    (0x69, 0x02, 0xFF),
    (0x6A, 0x04, 0x07),
    (0x70, 0x80, 0xEF),
    (0x76, 0x0C, 0x8F),
    (0x77, 0x0C, 0x8F),
    (0x78, 0x02, 0xFF),
    (0x79, 0x00, 0x03),
    (0x80, 0x00, 0x7F),
    (0x82, 0x00, 0x0F),
    (0xA0, 0x08, 0x1F),
    (0xA2, 0x00, 0xFF),
    (0xA3, 0x00, 0x01),
    (0xA4, 0x00, 0xFF),
    (0xA5, 0x00, 0xFF),
    (0xA6, 0x00, 0xFF),
    (0xA7, 0x00, 0xFF),
    (0xA8, 0x0F, 0xFF),
    (0xAA, 0x00, 0xFF),
    (0xAB, 0x00, 0x01),
    (0xAC, 0x00, 0xFF),
    (0xAE, 0x00, 0xFF),
];

/// 8086:7000, the ISA bridge.
pub(super) const ISA: Identity = Identity {
    vendor: 0x8086,
    device: 0x7000,
    revision: 0,
    class: 0x06_01_00,
    subsystem: (0x1AF4, 0x1100),
    interrupt_pin: 0,
    bars: [None; 6],
    rom: None,
    capabilities: 0,
    registers: ISA_REGISTERS,
};

/// Timing registers: firmware lets both channels decode their ports.
const IDE_REGISTERS: &[Register] = &[
    (0x06, 0x80, 0x00),
    (0x07, 0x02, 0x00),
    (0x40, 0x00, 0xFF),
    (0x41, 0x00, 0xFF),
    (0x42, 0x00, 0xFF),
    (0x43, 0x00, 0xFF),
    (0x44, 0x00, 0xFF),
];

/// Configuration offset of a channel's IDETIM register (primary 0, secondary 1); bit 15 lets it decode.
#[must_use]
pub const fn ide_timing(channel: u8) -> u8 {
    0x40 + 2 * (channel & 1)
}

/// 8086:7010, the IDE function: legacy ports, and bus master registers (16 ports, BAR 4) that `device`
/// answers.
#[must_use]
pub const fn ide(device: DeviceId) -> Identity {
    Identity {
        vendor: 0x8086,
        device: 0x7010,
        revision: 0,
        class: 0x01_01_80,
        subsystem: (0x1AF4, 0x1100),
        interrupt_pin: 0,
        bars: [None, None, None, None, Some(Bar::Io { size: 16, device }), None],
        rom: None,
        capabilities: 0,
        registers: IDE_REGISTERS,
    }
}

/// Which of PIRQA to PIRQD the pin (1 to 4) of a slot is wired to: each slot is rotated by one.
pub(super) const fn pirq(slot: Slot, pin: u8) -> Option<usize> {
    if pin == 0 || pin > 4 {
        return None;
    }
    // The PIIX itself (device 1) is wired as a slot: its power management's INTA is PIRQA.
    Some((slot.device() as usize + 3 + pin as usize - 1) & 3)
}

/// The ISA line that a PIRQRC register routes to.
pub(super) const fn line(route: u8) -> Option<u8> {
    match route {
        3..=7 | 9..=12 | 14 | 15 => Some(route),
        _ => None,
    }
}
