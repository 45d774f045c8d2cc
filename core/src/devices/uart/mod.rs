//! Serial ports: four 16550A at COM1 to COM4.
//!
//! Spec: National Semiconductor PC16550D data sheet.
//! Not emulated: parity and framing errors (the host's lines are perfect), DMA mode of the FIFOs, hardware
//! flow control (the host's bytes wait in an inbox until there is room, so nothing is lost).
//!
//! The wire is faster than the programmed rate (see `chip::pace`), but characters still take time, so that
//! interrupts come apart as drivers expect.

mod chip;
#[cfg(test)]
mod tests;

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{Source, Width};
use crate::config::Config;
use crate::time::{Instant, Timer};
use chip::Chip;

const TIMERS: [Timer; 4] = [Timer::Uart0, Timer::Uart1, Timer::Uart2, Timer::Uart3];
const LINES: [(u8, Source); 4] =
    [(4, Source::Uart0), (3, Source::Uart1), (4, Source::Uart2), (3, Source::Uart3)];

/// The four ports.
pub struct Uarts {
    chips: [Chip; 4],
}

impl Uarts {
    const fn index(port: u16) -> usize {
        match port & !7 {
            0x3F8 => 0,
            0x2F8 => 1,
            0x3E8 => 2,
            _ => 3,
        }
    }

    /// Takes what the host has for the guest, as long as there is room: called when the host is served.
    pub fn poll(&mut self, bus: &mut Bus<'_>) {
        for n in 0..self.chips.len() {
            let mut came = false;
            while self.chips[n].has_room() {
                let Some(byte) = bus.host.serial[n].read() else { break };
                self.chips[n].deliver(byte, bus.board.now);
                came = true;
            }
            if came {
                self.settle(n, bus);
            }
        }
    }

    fn settle(&mut self, n: usize, bus: &mut Bus<'_>) {
        let chip = &mut self.chips[n];
        chip.catch_up(bus.board.now);
        let (line, source) = LINES[n];
        bus.board.irq.set(line, source, chip.interrupt());
        bus.board.timers.set(TIMERS[n], chip.next_event().unwrap_or(Instant::FAR));
    }
}

impl Device for Uarts {
    const TAG: [u8; 4] = *b"UART";

    fn new(_config: &Config) -> Self {
        Self { chips: core::array::from_fn(|_| Chip::new()) }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        for n in 0..self.chips.len() {
            self.chips[n].reset();
            self.settle(n, bus);
        }
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        let n = Self::index(port);
        self.chips[n].catch_up(bus.board.now);
        let value = self.chips[n].read(port & 7, bus.board.now);
        self.settle(n, bus);
        value.into()
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let n = Self::index(port);
        self.chips[n].catch_up(bus.board.now);
        if let Some(byte) = self.chips[n].write(port & 7, value as u8, bus.board.now) {
            bus.host.serial[n].write(byte);
        }
        self.settle(n, bus);
    }

    fn expire(&mut self, timer: Timer, bus: &mut Bus<'_>) {
        if let Some(n) = TIMERS.iter().position(|&t| t == timer) {
            self.settle(n, bus);
        }
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.chips);
    }
}
