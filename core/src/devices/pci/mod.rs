//! PCI configuration space and its host bridge ports.
use super::{Bus, Device};
use crate::archive::{Archive, Field};
use crate::board::Width;
use crate::config::Config;
use crate::time::Timer;

/// Configuration space of every function, on the board.
#[derive(Default)]
pub struct PciBus {}

impl PciBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl Field for PciBus {
    fn archive(&mut self, _a: &mut Archive<'_>) {}
}

/// Ports CF8–CFF.
pub struct PciHost;

impl Device for PciHost {
    const TAG: [u8; 4] = *b"PCI ";
    const WIDEST: Width = Width::Dword;
    fn new(_config: &Config) -> Self {
        Self
    }
    fn reset(&mut self, _bus: &mut Bus<'_>) {}
    fn read(&mut self, _port: u16, width: Width, _bus: &mut Bus<'_>) -> u32 {
        width.ones()
    }
    fn write(&mut self, _port: u16, _width: Width, _value: u32, _bus: &mut Bus<'_>) {}
    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}
    fn archive(&mut self, _a: &mut Archive<'_>) {}
}
