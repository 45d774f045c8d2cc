//! Interval timer: an 8254, and port 61 with the loudspeaker's switches.
//!
//! Spec: Intel 8254 data sheet (231164); Intel 82371SB (PIIX3) data sheet, "NMI Status and Control Register".
//! Not emulated: parity and I/O-check errors (bits 6 and 7 of port 61 read 0).
//!
//! Counter 0's output is IRQ 0: every rise of OUT is a pulse of the line at its exact deadline. When the
//! machine was late, missed rises are made up for, up to `CATCH_UP`, with room for the guest in between.

mod counter;
#[cfg(test)]
mod tests;

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::time::{Instant, Timer};
use counter::Counter;
pub use counter::Wave;

/// Frequency of the chip's clock input.
pub const HERTZ: u64 = 1_193_182;

mod reg {
    pub(super) const COUNTER_0: u16 = 0x40;
    pub(super) const COUNTER_2: u16 = 0x42;
    pub(super) const CONTROL: u16 = 0x43;
    pub(super) const PORT_B: u16 = 0x61;
}

/// Port 61.
mod port_b {
    /// Gate of counter 2.
    pub(super) const GATE2: u8 = 1 << 0;
    /// The loudspeaker hears counter 2.
    pub(super) const SPEAKER: u8 = 1 << 1;
    /// Writable bits: the two above and the disable bits of parity and I/O check.
    pub(super) const WRITABLE: u8 = 0x0F;
    /// Toggles with every refresh request.
    pub(super) const REFRESH: u8 = 1 << 4;
    /// Output of counter 2.
    pub(super) const OUT2: u8 = 1 << 5;
}

/// Nanoseconds from one refresh request to the next.
const REFRESH: u64 = 15_085;
/// Ticks for which missed interrupts are made up: a tenth of a second.
const CATCH_UP: i64 = HERTZ as i64 / 10;
/// Periods shorter than this (50 µs) are not made up for.
const SHORT: i64 = 60;
/// Interrupts never come closer together than this, so that a count of 2 cannot stall the host.
const CLOSEST: i64 = 10;

/// The chip and port 61.
pub struct Pit {
    counters: [Counter; 3],
    port_b: u8,
    /// The next rise of counter 0's output.
    rise: Option<i64>,
}

impl Pit {
    fn tick(bus: &Bus<'_>) -> i64 {
        bus.board.now.ticks(HERTZ) as i64
    }

    fn index(port: u16) -> usize {
        usize::from(port - reg::COUNTER_0).min(2)
    }

    /// Finds the next interrupt after counter 0 was written to.
    fn schedule(&mut self, bus: &mut Bus<'_>) {
        let tick = Self::tick(bus);
        self.rise = self.counters[0].next_rise(tick);
        self.arm(Instant::ZERO, bus);
    }

    fn arm(&self, not_before: Instant, bus: &mut Bus<'_>) {
        match self.rise {
            Some(rise) => {
                let due = Instant::at_tick(rise.max(0) as u64, HERTZ).max(not_before);
                bus.board.timers.set(Timer::Pit, due);
            }
            None => bus.board.timers.clear(Timer::Pit),
        }
    }

    fn control(&mut self, value: u8, bus: &mut Bus<'_>) {
        let tick = Self::tick(bus);
        match value >> 6 {
            3 => {
                // Read-back: several counters, count and status.
                for (n, counter) in self.counters.iter_mut().enumerate() {
                    if value >> (n + 1) & 1 != 0 {
                        if value & 1 << 5 == 0 {
                            counter.latch_count(tick);
                        }
                        if value & 1 << 4 == 0 {
                            counter.latch_status(tick);
                        }
                    }
                }
            }
            n => self.change(usize::from(n), bus, |counter| counter.control(value, tick)),
        }
    }

    fn change(&mut self, n: usize, bus: &mut Bus<'_>, change: impl FnOnce(&mut Counter)) {
        let tick = Self::tick(bus);
        let before = self.counters[n].out(tick);
        change(&mut self.counters[n]);
        if n == 2 {
            self.sound(tick, bus);
        }
        if n == 0 {
            if !before && self.counters[0].out(tick) {
                bus.board.irq.pulse(0);
            }
            self.schedule(bus);
        }
    }

    /// Tells the loudspeaker how counter 2 goes on.
    fn sound(&mut self, tick: i64, bus: &mut Bus<'_>) {
        let audio = &mut bus.board.audio;
        let changed = if self.port_b & port_b::SPEAKER == 0 {
            audio.speaker.change(tick, Wave::LOW)
        } else {
            let changed = audio.speaker.change(tick, self.counters[2].wave(tick));
            match self.counters[2].switches_at() {
                Some(at) => changed | audio.speaker.change(at, self.counters[2].clone().wave(at)),
                None => changed,
            }
        };
        if changed {
            audio.wake(bus.board.now, &mut bus.board.timers);
        }
    }

    fn read_port_b(&mut self, bus: &Bus<'_>) -> u8 {
        let mut value = self.port_b;
        if (bus.board.now.0 / REFRESH) & 1 != 0 {
            value |= port_b::REFRESH;
        }
        if self.counters[2].out(Self::tick(bus)) {
            value |= port_b::OUT2;
        }
        value
    }
}

impl Device for Pit {
    const TAG: [u8; 4] = *b"PIT ";

    fn new(_config: &Config) -> Self {
        Self {
            counters: [Counter::new(true), Counter::new(true), Counter::new(false)],
            port_b: 0,
            rise: None,
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        // The 8254 itself has no reset line; it starts afresh all the same, as after power-on.
        self.counters = [Counter::new(true), Counter::new(true), Counter::new(false)];
        self.port_b = 0;
        self.rise = None;
        bus.board.timers.clear(Timer::Pit);
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        match port {
            reg::COUNTER_0..=reg::COUNTER_2 => self.counters[Self::index(port)].read(Self::tick(bus)).into(),
            reg::PORT_B => self.read_port_b(bus).into(),
            // The control word cannot be read.
            _ => 0xFF,
        }
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let value = value as u8;
        let tick = Self::tick(bus);
        match port {
            reg::COUNTER_0..=reg::COUNTER_2 => {
                self.change(Self::index(port), bus, |counter| counter.write(value, tick));
            }
            reg::CONTROL => self.control(value, bus),
            reg::PORT_B => {
                self.port_b = value & port_b::WRITABLE;
                self.change(2, bus, |counter| counter.set_gate(value & port_b::GATE2 != 0, tick));
            }
            _ => {}
        }
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        let Some(rise) = self.rise else { return };
        bus.board.irq.pulse(0);
        let tick = Self::tick(bus);
        self.rise = self.counters[0].next_rise(rise);
        let (Some(next), Some(period)) = (self.rise, self.counters[0].period()) else {
            return self.arm(Instant::ZERO, bus);
        };
        let mut next = next;
        if period < CLOSEST {
            next += CLOSEST / period * period;
        }
        let mut not_before = Instant::ZERO;
        if next <= tick {
            let oldest = if period < SHORT { tick + 1 } else { tick - CATCH_UP };
            if next < oldest {
                next += (oldest - next + period - 1) / period * period;
            }
            if next <= tick {
                not_before = bus.board.now + period as u64 * crate::time::SECOND / HERTZ / 4;
            }
        }
        self.rise = Some(next);
        self.arm(not_before, bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.counters);
        a.field(&mut self.port_b);
        a.field(&mut self.rise);
        if a.is_loading() {
            for counter in &mut self.counters {
                counter.bound();
            }
            self.rise = self.rise.map(|rise| rise.clamp(0, 1 << 60));
        }
    }
}
