//! DMA controllers: two 8237A in cascade, with the page registers of the PC/AT.
//!
//! Spec: Intel 8237A data sheet (231466); IBM PC AT Technical Reference, "DMA".
//! Not emulated: memory-to-memory transfers (no PC/AT chip set does them), bus timing, priorities (transfers
//! happen when devices ask), the effect of channel 4's mask on channels 0–3, the gate of address line 20 is
//! the CPU's.
//!
//! Devices call [`DmaChannels`] on the board; what lies here is the ports.

mod channels;
#[cfg(test)]
mod tests;

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::time::Timer;
pub use channels::{DmaChannels, Moved};

mod reg {
    pub(super) const FIRST: u16 = 0x00;
    pub(super) const FIRST_END: u16 = 0x0F;
    pub(super) const PAGES: u16 = 0x80;
    pub(super) const PAGES_END: u16 = 0x8F;
    pub(super) const SECOND: u16 = 0xC0;
    pub(super) const SECOND_END: u16 = 0xDF;
}

/// The channel whose page register is at each of ports 80h–8Fh.
const PAGE_CHANNEL: [Option<u8>; 16] = [
    None,
    Some(2),
    Some(3),
    Some(1),
    None,
    None,
    None,
    Some(0),
    None,
    Some(6),
    Some(7),
    Some(5),
    None,
    None,
    None,
    Some(4),
];

/// The ports of the pair.
pub struct Dma {
    /// Page registers that belong to no channel.
    scratch: [u8; 16],
}

impl Device for Dma {
    const TAG: [u8; 4] = *b"DMA ";

    fn new(_config: &Config) -> Self {
        Self { scratch: [0; 16] }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        bus.board.dma.reset();
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        let dma = &mut bus.board.dma;
        let value = match port {
            reg::FIRST..=reg::FIRST_END => dma.read(0, port),
            reg::SECOND..=reg::SECOND_END => dma.read(1, (port - reg::SECOND) >> 1),
            reg::PAGES..=reg::PAGES_END => {
                let n = usize::from(port & 15);
                match PAGE_CHANNEL[n] {
                    Some(channel) => *dma.page(channel),
                    None => self.scratch[n],
                }
            }
            _ => 0xFF,
        };
        value.into()
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let value = value as u8;
        let dma = &mut bus.board.dma;
        match port {
            reg::FIRST..=reg::FIRST_END => dma.write(0, port, value),
            reg::SECOND..=reg::SECOND_END => dma.write(1, (port - reg::SECOND) >> 1, value),
            reg::PAGES..=reg::PAGES_END => {
                let n = usize::from(port & 15);
                match PAGE_CHANNEL[n] {
                    Some(channel) => *dma.page(channel) = value,
                    None => self.scratch[n] = value,
                }
            }
            _ => {}
        }
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.scratch);
    }
}
