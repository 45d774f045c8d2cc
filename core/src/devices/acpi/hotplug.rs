//! PCI hot plug: bit maps of slots that came, that are to go, and that can go.
//!
//! Spec: QEMU, docs/specs/acpi_pci_hotplug.
//! Not emulated: buses behind bridges.

use crate::board::Board;
use crate::devices::pci::Slot;

/// General-purpose event of a change.
pub(super) const GPE: u16 = 1 << 1;
/// Ports from the base on.
pub(super) const PORTS: u16 = 0x18;
/// Devices 0 (host), 1 (PIIX) and 2 (display) stay where they are.
const FIXED: u32 = 0b111;

mod reg {
    pub(super) const UP: u16 = 0x00;
    pub(super) const DOWN: u16 = 0x04;
    pub(super) const EJECT: u16 = 0x08;
    pub(super) const REMOVABLE: u16 = 0x0C;
    pub(super) const SELECT: u16 = 0x10;
}

/// Hot-plug registers.
#[derive(Clone, Debug, Default)]
pub(super) struct Hotplug {
    up: u32,
    down: u32,
    ejected: u32,
    select: u32,
}
crate::archive_fields!(Hotplug { up, down, ejected, select });

impl Hotplug {
    pub(super) fn plugged(&mut self, device: u8) {
        self.up |= 1 << (device & 31);
    }

    pub(super) fn ask_unplug(&mut self, device: u8) {
        self.down |= 1 << (device & 31) & !FIXED;
    }

    pub(super) fn take_ejected(&mut self) -> u32 {
        core::mem::take(&mut self.ejected)
    }

    pub(super) fn read(&mut self, at: u16, board: &Board) -> u32 {
        if self.select != 0 && at != reg::SELECT {
            return 0;
        }
        match at {
            // The guest notifies each slot once.
            reg::UP => core::mem::take(&mut self.up),
            reg::DOWN => self.down,
            reg::REMOVABLE => {
                (3..32).filter(|&d| board.pci.is_present(Slot::new(d, 0))).fold(0, |slots, d| slots | 1 << d)
            }
            reg::SELECT => self.select,
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, at: u16, value: u32, board: &mut Board) {
        match at {
            reg::EJECT if self.select == 0 => {
                let slots = value & !FIXED;
                for device in (0..32).filter(|d| slots >> d & 1 != 0) {
                    for function in 0..8 {
                        board.remove_pci(Slot::new(device, function));
                    }
                }
                self.down &= !slots;
                self.up &= !slots;
                self.ejected |= slots;
            }
            reg::SELECT => self.select = value,
            _ => {}
        }
    }
}
