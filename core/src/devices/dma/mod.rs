//! The 8237 pair.
use super::{Bus, Device};
use crate::archive::{Archive, Field};
use crate::board::Width;
use crate::config::Config;
use crate::time::Timer;

/// Registers of all channels, on the board, where devices that transfer reach them.
#[derive(Default)]
pub struct DmaChannels {}

impl DmaChannels {
    /// After reset.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl Field for DmaChannels {
    fn archive(&mut self, _a: &mut Archive<'_>) {}
}

/// The ports of the pair.
pub struct Dma;

impl Device for Dma {
    const TAG: [u8; 4] = *b"DMA ";
    fn new(_config: &Config) -> Self {
        Self
    }
    fn reset(&mut self, _bus: &mut Bus<'_>) {}
    fn read(&mut self, _port: u16, _width: Width, _bus: &mut Bus<'_>) -> u32 {
        0xFF
    }
    fn write(&mut self, _port: u16, _width: Width, _value: u32, _bus: &mut Bus<'_>) {}
    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}
    fn archive(&mut self, _a: &mut Archive<'_>) {}
}
