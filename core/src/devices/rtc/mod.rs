//! Real-time clock: an MC146818 with 114 bytes of CMOS RAM.
//!
//! Spec: Motorola MC146818A data sheet; Intel 82371SB (PIIX3) data sheet, "Real Time Clock"; layout of the
//! RAM as PC firmware knows it (`cmos.rs`).
//! Not emulated: daylight saving (DSE is only stored), the square-wave output, the 4.19 and 1.05 MHz time
//! bases (all run as 32.768 kHz), the PIIX's second bank at ports 72 and 73.
//!
//! Nothing ticks: the registers remember the second that they stand for, and an access moves them on. The
//! distance to civil time is whatever the guest made it.

mod calendar;
mod cmos;
#[cfg(test)]
mod tests;

use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{Source, Width};
use crate::config::Config;
use crate::time::{Instant, SECOND, Timer};
use calendar::{Civil, DAY, weekday};

mod reg {
    pub(super) const SECONDS: usize = 0x00;
    pub(super) const SECONDS_ALARM: usize = 0x01;
    pub(super) const MINUTES: usize = 0x02;
    pub(super) const MINUTES_ALARM: usize = 0x03;
    pub(super) const HOURS: usize = 0x04;
    pub(super) const HOURS_ALARM: usize = 0x05;
    pub(super) const WEEKDAY: usize = 0x06;
    pub(super) const DAY: usize = 0x07;
    pub(super) const MONTH: usize = 0x08;
    pub(super) const YEAR: usize = 0x09;
    pub(super) const A: usize = 0x0A;
    pub(super) const B: usize = 0x0B;
    pub(super) const C: usize = 0x0C;
    pub(super) const D: usize = 0x0D;
    pub(super) const CENTURY: usize = 0x32;
}

mod a {
    /// An update is near or in progress.
    pub(super) const UIP: u8 = 0x80;
    /// Divider: time base or reset.
    pub(super) const DV: u8 = 0x70;
    /// Rate of the periodic interrupt.
    pub(super) const RS: u8 = 0x0F;
}

mod b {
    /// Updates are off while the time is set.
    pub(super) const SET: u8 = 0x80;
    /// Periodic interrupt enable.
    pub(super) const PIE: u8 = 0x40;
    /// Alarm interrupt enable.
    pub(super) const AIE: u8 = 0x20;
    /// Update-ended interrupt enable.
    pub(super) const UIE: u8 = 0x10;
    /// Square wave.
    pub(super) const SQWE: u8 = 0x08;
    /// Binary rather than BCD.
    pub(super) const DM: u8 = 0x04;
    /// Hours from 0 to 23.
    pub(super) const HOURS_24: u8 = 0x02;
}

mod c {
    pub(super) const IRQF: u8 = 0x80;
    pub(super) const PF: u8 = 0x40;
    pub(super) const AF: u8 = 0x20;
    pub(super) const UF: u8 = 0x10;
}

/// RAM and time are valid.
const VRT: u8 = 0x80;
/// The crystal's frequency.
const HERTZ: u64 = 32_768;
/// UIP goes up 244 µs before an update, which takes 1984 µs.
const UPDATE: i64 = 244_000 + 1_984_000;
/// The IRQ line.
const LINE: u8 = 8;
/// Nanoseconds in a second.
const NS: i64 = SECOND as i64;

/// The clock and its RAM.
pub struct Rtc {
    ram: [u8; 128],
    index: u8,
    /// Bit 7 of port 70: NMI is off.
    nmi_masked: bool,
    started: bool,
    /// The second (of civil time plus `phase`) that the time registers stand for.
    second: i64,
    /// Nanoseconds between the seconds of civil time and the updates.
    phase: i64,
    /// Periods of the periodic interrupt that have been seen.
    periods: u64,
    /// What the host asked to add to UTC, in seconds.
    offset: i64,
}

impl Rtc {
    /// A byte of CMOS RAM, as the machine's own firmware would read it.
    #[must_use]
    pub fn cmos(&self, index: u8) -> u8 {
        self.ram[usize::from(index & 0x7F)]
    }

    /// Whether port 70 keeps NMI from the CPU.
    #[must_use]
    pub const fn nmi_masked(&self) -> bool {
        self.nmi_masked
    }

    fn clock(&self, bus: &Bus<'_>) -> i64 {
        bus.board.wall().saturating_add(self.phase)
    }

    /// Whether the divider chain runs.
    const fn counting(&self) -> bool {
        self.ram[reg::A] & a::DV <= 0x20
    }

    /// Whether the time registers move.
    const fn updating(&self) -> bool {
        self.counting() && self.ram[reg::B] & b::SET == 0
    }

    /// Ticks of the crystal from one periodic interrupt to the next.
    const fn period(&self) -> Option<u64> {
        match self.ram[reg::A] & a::RS {
            _ if !self.counting() => None,
            0 => None,
            rate @ 1..=2 => Some(64 << rate),
            rate => Some(1 << (rate - 1)),
        }
    }

    fn decode(&self, byte: u8) -> u8 {
        if self.ram[reg::B] & b::DM != 0 { byte } else { (byte >> 4) * 10 + (byte & 15) }
    }

    fn encode(&self, number: u8) -> u8 {
        if self.ram[reg::B] & b::DM != 0 { number } else { ((number / 10) << 4) | (number % 10) }
    }

    fn decode_hour(&self, byte: u8) -> u8 {
        if self.ram[reg::B] & b::HOURS_24 != 0 {
            return self.decode(byte);
        }
        self.decode(byte & 0x7F) % 12 + if byte & 0x80 != 0 { 12 } else { 0 }
    }

    fn encode_hour(&self, hour: u8) -> u8 {
        if self.ram[reg::B] & b::HOURS_24 != 0 {
            return self.encode(hour);
        }
        let twelve = (hour + 11) % 12 + 1;
        self.encode(twelve) | if hour >= 12 { 0x80 } else { 0 }
    }

    /// What the registers say, in seconds since 1970.
    fn time(&self) -> i64 {
        let year = i64::from(self.decode(self.ram[reg::YEAR]));
        let century = match self.decode(self.ram[reg::CENTURY]) {
            0 if year >= 80 => 19,
            0 => 20,
            century => i64::from(century),
        };
        Civil {
            year: century * 100 + year,
            month: self.decode(self.ram[reg::MONTH]),
            day: self.decode(self.ram[reg::DAY]),
            hour: self.decode_hour(self.ram[reg::HOURS]),
            minute: self.decode(self.ram[reg::MINUTES]),
            second: self.decode(self.ram[reg::SECONDS]),
        }
        .seconds()
    }

    fn set_time(&mut self, seconds: i64) {
        let civil = Civil::from_seconds(seconds);
        self.ram[reg::SECONDS] = self.encode(civil.second);
        self.ram[reg::MINUTES] = self.encode(civil.minute);
        self.ram[reg::HOURS] = self.encode_hour(civil.hour);
        self.ram[reg::DAY] = self.encode(civil.day);
        self.ram[reg::MONTH] = self.encode(civil.month);
        self.ram[reg::YEAR] = self.encode(civil.year.rem_euclid(100) as u8);
        self.ram[reg::CENTURY] = self.encode(civil.year.div_euclid(100).rem_euclid(100) as u8);
    }

    /// Whether the alarm goes off at a moment.
    fn alarm_at(&self, seconds: i64) -> bool {
        let of_day = seconds.rem_euclid(DAY);
        let matches = |register: usize, decoded: u8, now: i64| {
            // The two top bits mean "any".
            self.ram[register] >= 0xC0 || i64::from(decoded) == now
        };
        matches(reg::SECONDS_ALARM, self.decode(self.ram[reg::SECONDS_ALARM]), of_day % 60)
            && matches(reg::MINUTES_ALARM, self.decode(self.ram[reg::MINUTES_ALARM]), of_day / 60 % 60)
            && matches(reg::HOURS_ALARM, self.decode_hour(self.ram[reg::HOURS_ALARM]), of_day / 3600)
    }

    /// Moves registers and flags on to the present.
    fn catch_up(&mut self, bus: &Bus<'_>) {
        if let Some(period) = self.period() {
            let periods = bus.board.now.ticks(HERTZ) / period;
            if periods != self.periods {
                self.periods = periods;
                self.ram[reg::C] |= c::PF;
            }
        }
        let second = self.clock(bus).div_euclid(NS);
        let elapsed = second.saturating_sub(self.second);
        self.second = second;
        if elapsed == 0 || !self.updating() {
            return;
        }
        let old = self.time();
        let new = old.saturating_add(elapsed).clamp(-60_000_000_000, 250_000_000_000);
        let days = new.div_euclid(DAY) - old.div_euclid(DAY);
        let weekday = i64::from(self.decode(self.ram[reg::WEEKDAY]));
        self.ram[reg::WEEKDAY] = self.encode(((weekday - 1 + days).rem_euclid(7) + 1) as u8);
        self.set_time(new);
        self.ram[reg::C] |= c::UF;
        if self.ram[reg::C] & c::AF == 0 && (1..=elapsed.min(DAY)).any(|n| self.alarm_at(new - n + 1)) {
            self.ram[reg::C] |= c::AF;
        }
    }

    /// Drives the line and sets the deadlines that enabled interrupts need.
    fn settle(&mut self, bus: &mut Bus<'_>) {
        let enabled = self.ram[reg::B] & (b::PIE | b::AIE | b::UIE);
        let flags = self.ram[reg::C] & (c::PF | c::AF | c::UF);
        let irq = flags & enabled != 0;
        self.ram[reg::C] = flags | if irq { c::IRQF } else { 0 };
        bus.board.irq.set(LINE, Source::Rtc, irq);

        let periodic = match self.period() {
            Some(period) if enabled & b::PIE != 0 && flags & c::PF == 0 => {
                Instant::at_tick((bus.board.now.ticks(HERTZ) / period + 1) * period, HERTZ)
            }
            _ => Instant::FAR,
        };
        bus.board.timers.set(Timer::RtcPeriodic, periodic);
        let update = if enabled & (b::AIE | b::UIE) != 0 && self.updating() {
            bus.board.now + (NS - self.clock(bus).rem_euclid(NS)) as u64
        } else {
            Instant::FAR
        };
        bus.board.timers.set(Timer::RtcUpdate, update);
    }

    fn read_register(&mut self, bus: &mut Bus<'_>) -> u8 {
        let index = usize::from(self.index & 0x7F);
        self.catch_up(bus);
        match index {
            reg::A => {
                let near = self.updating() && self.clock(bus).rem_euclid(NS) >= NS - UPDATE;
                self.ram[reg::A] & !a::UIP | if near { a::UIP } else { 0 }
            }
            reg::C => {
                self.settle(bus);
                let flags = core::mem::take(&mut self.ram[reg::C]);
                self.settle(bus);
                flags
            }
            _ => self.ram[index],
        }
    }

    fn write_register(&mut self, value: u8, bus: &mut Bus<'_>) {
        let index = usize::from(self.index & 0x7F);
        self.catch_up(bus);
        match index {
            reg::A => {
                let counted = self.counting();
                self.ram[reg::A] = value & !a::UIP;
                if self.counting() && !counted {
                    // The first update follows half a second after the divider starts.
                    self.phase = (NS / 2 - bus.board.wall().rem_euclid(NS)).rem_euclid(NS);
                    self.second = self.clock(bus).div_euclid(NS);
                }
                if let Some(period) = self.period() {
                    self.periods = bus.board.now.ticks(HERTZ) / period;
                }
            }
            reg::B => {
                // Setting the time ends waiting for the end of an update.
                self.ram[reg::B] = if value & b::SET != 0 { value & !b::UIE } else { value };
            }
            reg::C | reg::D => {}
            _ => self.ram[index] = value,
        }
        self.settle(bus);
    }
}

impl Device for Rtc {
    const TAG: [u8; 4] = *b"RTC ";

    fn new(config: &Config) -> Self {
        let mut ram = cmos::contents(config);
        ram[reg::A] = 0x26;
        ram[reg::B] = b::HOURS_24;
        ram[reg::D] = VRT;
        Self {
            ram,
            index: 0,
            nmi_masked: false,
            started: false,
            second: 0,
            phase: 0,
            periods: 0,
            offset: config.rtc_offset,
        }
    }

    /// The battery keeps time and RAM; only the interrupts are switched off.
    fn reset(&mut self, bus: &mut Bus<'_>) {
        if !self.started {
            self.started = true;
            let now = bus.board.wall().div_euclid(NS).saturating_add(self.offset);
            let now = now.clamp(-60_000_000_000, 250_000_000_000);
            self.set_time(now);
            self.ram[reg::WEEKDAY] = weekday(now);
            self.second = self.clock(bus).div_euclid(NS);
        }
        cmos::describe_disks(&mut self.ram, &bus.host.drives);
        self.catch_up(bus);
        self.index = 0;
        self.nmi_masked = false;
        self.ram[reg::B] &= !(b::PIE | b::AIE | b::UIE | b::SQWE);
        self.ram[reg::C] = 0;
        self.settle(bus);
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        // The index cannot be read back.
        if port & 1 == 0 { 0xFF } else { self.read_register(bus).into() }
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let value = value as u8;
        if port & 1 == 0 {
            self.index = value & 0x7F;
            self.nmi_masked = value & 0x80 != 0;
        } else {
            self.write_register(value, bus);
        }
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.catch_up(bus);
        self.settle(bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.ram);
        a.field(&mut self.index);
        a.field(&mut self.nmi_masked);
        a.field(&mut self.started);
        a.field(&mut self.second);
        a.field(&mut self.phase);
        a.field(&mut self.periods);
    }
}
