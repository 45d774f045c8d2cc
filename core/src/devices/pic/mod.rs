//! Interrupt controllers: two 8259A in cascade, with the edge/level control registers of the PIIX.
//!
//! Spec: Intel 8259A data sheet (231468); Intel 82371SB (PIIX3) data sheet, "Interrupt Controller Registers".
//! Not emulated: vectors of the 8080 mode (ICW4 µPM = 0), buffered mode (it only drives a pin), ICW1's
//! LTIM, which the PIIX replaces by ELCR.
//!
//! The machine settles lines with [`Pic::set_lines`] after each access and asks [`Pic::pending`].

mod chip;
#[cfg(test)]
mod tests;

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::time::Timer;
use chip::Chip;

mod reg {
    pub(super) const MASTER_COMMAND: u16 = 0x20;
    pub(super) const MASTER_DATA: u16 = 0x21;
    pub(super) const SLAVE_COMMAND: u16 = 0xA0;
    pub(super) const SLAVE_DATA: u16 = 0xA1;
    pub(super) const ELCR1: u16 = 0x4D0;
    pub(super) const ELCR2: u16 = 0x4D1;
}

/// Lines 0, 1 and 2 are always edge-triggered.
const ELCR1_MASK: u8 = 0xF8;
/// So are lines 8 and 13.
const ELCR2_MASK: u8 = 0xDE;
/// The master's input that the slave's output drives.
const CASCADE: u8 = 2;

/// The pair.
pub struct Pic {
    master: Chip,
    slave: Chip,
}

impl Pic {
    /// Gives the levels of lines 0–15 (higher bits and the cascade line are ignored) and the lines that
    /// pulsed from low to high since the last call.
    pub fn set_lines(&mut self, levels: u32, pulses: u32) {
        let pulses = pulses & !(1 << CASCADE);
        self.slave.set_lines((levels >> 8) as u8, (pulses >> 8) as u8);
        let cascade = u8::from(self.slave.int()) << CASCADE;
        self.master.set_lines(levels as u8 & !(1 << CASCADE) | cascade, pulses as u8);
    }

    /// Whether INT is high: an interrupt waits to be acknowledged.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.master.int()
    }

    /// The CPU's two INTA cycles: takes the interrupt into service and returns its vector. When the request
    /// has gone, the vector is the spurious one (input 7 of the chip that answers).
    pub fn acknowledge(&mut self) -> u8 {
        match self.master.acknowledge() {
            // In single mode nobody answers at the cascade input but the master itself.
            Some(CASCADE) if !self.master.single() => {
                let vector = match self.slave.acknowledge() {
                    Some(line) => self.slave.vector(line),
                    None => self.slave.vector(7),
                };
                // INT falls between two acknowledgements: what still waits makes a new edge.
                self.master.set_line(CASCADE, false);
                self.cascade();
                vector
            }
            Some(line) => self.master.vector(line),
            None => self.master.vector(7),
        }
    }

    /// Whether line `line` (0–15) is level-triggered.
    #[must_use]
    pub const fn level_triggered(&self, line: u8) -> bool {
        (self.master.elcr as u16 | (self.slave.elcr as u16) << 8) >> (line & 15) & 1 != 0
    }

    fn cascade(&mut self) {
        let int = self.slave.int();
        self.master.set_line(CASCADE, int);
    }
}

impl Device for Pic {
    const TAG: [u8; 4] = *b"PIC ";

    fn new(_config: &Config) -> Self {
        Self { master: Chip::new(true), slave: Chip::new(false) }
    }

    fn reset(&mut self, _bus: &mut Bus<'_>) {
        self.master.reset();
        self.slave.reset();
    }

    fn read(&mut self, port: u16, _width: Width, _bus: &mut Bus<'_>) -> u32 {
        let value = match port {
            reg::MASTER_COMMAND => self.master.read_command(),
            reg::MASTER_DATA => self.master.read_data(),
            reg::SLAVE_COMMAND => self.slave.read_command(),
            reg::SLAVE_DATA => self.slave.read_data(),
            reg::ELCR1 => self.master.elcr,
            reg::ELCR2 => self.slave.elcr,
            _ => 0xFF,
        };
        // A poll takes a request into service.
        self.cascade();
        value.into()
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, _bus: &mut Bus<'_>) {
        let value = value as u8;
        match port {
            reg::MASTER_COMMAND => self.master.write_command(value),
            reg::MASTER_DATA => self.master.write_data(value),
            reg::SLAVE_COMMAND => self.slave.write_command(value),
            reg::SLAVE_DATA => self.slave.write_data(value),
            reg::ELCR1 => self.master.set_elcr(value & ELCR1_MASK),
            reg::ELCR2 => self.slave.set_elcr(value & ELCR2_MASK),
            _ => {}
        }
        self.cascade();
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.master);
        a.field(&mut self.slave);
    }
}
