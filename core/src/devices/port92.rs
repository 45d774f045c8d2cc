//! Port 92: the fast switch of address line 20, and a reset of the CPU.
//!
//! Spec: Intel 82371SB (PIIX3) data sheet, "Port 92 register"; IBM PS/2 "System Control Port A".
//! Not emulated: password lock and activity lights of the PS/2 (their bits are only stored).

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{A20Switch, Request, Width};
use crate::config::Config;
use crate::time::Timer;

mod reg {
    /// A rise resets the CPU.
    pub(super) const RESET: u8 = 1 << 0;
    /// Address line 20 works.
    pub(super) const A20: u8 = 1 << 1;
}

/// System control port A.
pub struct Port92 {
    /// Everything but the A20 bit, whose place is the board.
    value: u8,
}

impl Device for Port92 {
    const TAG: [u8; 4] = *b"PO92";

    fn new(_config: &Config) -> Self {
        Self { value: 0 }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        self.value = 0;
        if bus.board.a20_switch(A20Switch::Fast) {
            bus.board.set_a20(A20Switch::Fast, false);
        }
    }

    fn read(&mut self, _port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        let a20 = if bus.board.a20_switch(A20Switch::Fast) { reg::A20 } else { 0 };
        (self.value | a20).into()
    }

    fn write(&mut self, _port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let value = value as u8;
        bus.board.set_a20(A20Switch::Fast, value & reg::A20 != 0);
        if value & !self.value & reg::RESET != 0 {
            bus.board.ask(Request::ResetCpu);
        }
        self.value = value & !reg::A20;
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::testing;
    use crate::host::Host;

    #[test]
    fn firmware_opens_the_gate_and_a_rise_of_bit_0_resets_the_cpu() {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let (mut board, mut host) = (testing::board(&config), Host::null());
        let mut port = Port92::new(&config);
        let mut bus = Bus { board: &mut board, host: &mut host };
        bus.board.set_a20(A20Switch::Keyboard, false);
        assert!(!bus.board.memory.a20());
        // SeaBIOS: read, set bit 1, write.
        let value = port.read(0x92, Width::Byte, &mut bus);
        port.write(0x92, Width::Byte, value | 2, &mut bus);
        assert!(bus.board.memory.a20());
        assert_eq!(port.read(0x92, Width::Byte, &mut bus), 2);
        assert_eq!(bus.board.request, None);
        port.write(0x92, Width::Byte, 3, &mut bus);
        assert_eq!(bus.board.request, Some(Request::ResetCpu));
        bus.board.request = None;
        port.write(0x92, Width::Byte, 3, &mut bus);
        assert_eq!(bus.board.request, None, "only a rise counts");
        port.reset(&mut bus);
        assert!(!bus.board.memory.a20());
    }
}
