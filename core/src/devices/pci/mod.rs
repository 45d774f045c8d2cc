//! PCI: configuration mechanism 1, the 440FX host bridge and the PIIX3.
//!
//! Other devices use three things: [`Identity`] with [`Board::add_pci`](crate::board::Board::add_pci) in
//! their `reset`, [`PciBus::bar`] to know where they are, and
//! [`Board::set_intx`](crate::board::Board::set_intx).
//!
//! Spec: PCI Local Bus Specification 2.2, 3.2.2.3.2 (mechanism 1); 82371SB, 2.5.5 (reset control, CF9).
//! Not emulated: mechanism 2, buses other than 0.

mod bar;
mod bus;
pub mod i440fx;
pub mod piix3;
#[cfg(test)]
mod tests;

pub use bar::{BARS, Bar, BarTarget, ROM_BAR, Rom};
pub use bus::{Identity, PciBus, Register, Slot, reg};

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{Request, Width};
use crate::config::Config;
use crate::time::Timer;

const CONFIG_ADDRESS: u16 = 0xCF8;
const RESET_CONTROL: u16 = 0xCF9;
const CONFIG_DATA: u16 = 0xCFC;
/// RC: a hard reset, not one of the CPU alone.
const HARD: u8 = 1 << 1;
/// RC: reset when this goes from 0 to 1.
const RESET: u8 = 1 << 2;

/// Ports CF8–CFF.
pub struct PciHost {
    address: u32,
    reset_control: u8,
}

impl PciHost {
    /// The slot that the address register selects, when configuration space is enabled and on bus 0.
    fn slot(&self) -> Option<Slot> {
        let [_, devfn, bus, enable] = self.address.to_le_bytes();
        (enable & 0x80 != 0 && bus == 0).then_some(Slot::from_devfn(devfn))
    }

    /// The register at a data port.
    const fn register(&self, port: u16) -> u8 {
        self.address as u8 & 0xFC | (port & 3) as u8
    }
}

impl Device for PciHost {
    const TAG: [u8; 4] = *b"PCI ";
    const WIDEST: Width = Width::Dword;

    fn new(_config: &Config) -> Self {
        Self { address: 0, reset_control: 0 }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        self.address = 0;
        self.reset_control = 0;
        bus.board.add_pci(Slot::HOST, &i440fx::IDENTITY);
        bus.board.add_pci(Slot::ISA, &piix3::ISA);
    }

    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
        match port {
            CONFIG_ADDRESS if width == Width::Dword => self.address,
            RESET_CONTROL if width == Width::Byte => u32::from(self.reset_control),
            CONFIG_DATA.. => {
                let Some(slot) = self.slot() else { return width.ones() };
                super::bytes_read(width, |n| match port + n {
                    port @ CONFIG_DATA..=0xCFF => bus.board.pci.config(slot, self.register(port)),
                    _ => 0xFF,
                })
            }
            _ => width.ones(),
        }
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        match port {
            CONFIG_ADDRESS if width == Width::Dword => self.address = value & 0x80FF_FFFC,
            RESET_CONTROL if width == Width::Byte => {
                let value = value as u8;
                if value & RESET != 0 {
                    let hard = value & HARD != 0;
                    bus.board.ask(if hard { Request::Reset } else { Request::ResetCpu });
                }
                // The trigger bit is never seen set: the reset that it causes clears it.
                self.reset_control = value & HARD;
            }
            CONFIG_DATA.. => {
                let Some(slot) = self.slot() else { return };
                let len = (width as usize).min(usize::from(0xD00 - port));
                bus.board.write_pci(slot, self.register(port), &value.to_le_bytes()[..len]);
            }
            _ => {}
        }
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.address);
        a.field(&mut self.reset_control);
    }
}
