//! Time: the processor's counter, measured against the HPET or the PIT; civil time from the RTC.
//!
//! Spec: IA-PC HPET 1.0a; Intel 8254 data sheet; Motorola MC146818A data sheet.

use crate::acpi;
use crate::port::{in8, out8};
use core::arch::x86_64::__cpuid;
use core::sync::atomic::Ordering;
use nomad86::host::Clock;
use nomad86::time::Instant;

pub(crate) const PIT_HERTZ: u32 = 1_193_182;
/// How long the counter is watched, in milliseconds.
const WATCH: u64 = 40;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Reads the counter.
fn counter() -> u64 {
    #[allow(unsafe_code)]
    // SAFETY: every 64-bit processor has the instruction, and this is its highest privilege.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
}

/// The passage of time.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    /// Counter at time zero.
    start: u64,
    /// Nanoseconds of 2^32 counts.
    scale: u64,
    /// Civil time at time zero.
    wall: i64,
}

impl Counter {
    /// Measures the counter, saying how.
    pub(crate) fn measure() -> Self {
        let (hertz, how) = match acpi::hpet().and_then(by_hpet) {
            Some(hertz) => (hertz, "HPET"),
            None => (by_pit(), "PIT"),
        };
        crate::log!("clock: time stamp counter of {} MHz by the {how}", hertz / 1_000_000);
        if !is_constant() {
            crate::log!("clock: the processor does not promise a constant rate; time may drift");
        }
        let scale = ((u128::from(SECOND) << 32) / u128::from(hertz.max(1))) as u64;
        Self { start: counter(), scale, wall: civil() * SECOND as i64 }
    }

    /// Nanoseconds since it was measured.
    pub(crate) fn nanoseconds(&self) -> u64 {
        ((u128::from(counter().wrapping_sub(self.start)) * u128::from(self.scale)) >> 32) as u64
    }
}

impl Clock for Counter {
    fn now(&mut self) -> Instant {
        Instant(self.nanoseconds())
    }

    fn wall(&mut self) -> i64 {
        self.wall + self.nanoseconds() as i64
    }
}

/// Whether the counter's rate depends on nothing.
fn is_constant() -> bool {
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx >> 8 & 1 != 0
}

/// Counts in a second, by the main counter of a HPET.
fn by_hpet(hpet: acpi::Hpet) -> Option<u64> {
    let period = u64::from(hpet.period.load(Ordering::Relaxed));
    // Femtoseconds; more than 100 ns is against the specification.
    if period == 0 || period > 100_000_000 {
        return None;
    }
    hpet.config.store(hpet.config.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
    let span = (WATCH * 1_000_000_000_000 / period) as u32;
    let first = hpet.counter.load(Ordering::Relaxed);
    let begun = counter();
    for _ in 0..100_000_000 {
        let passed = hpet.counter.load(Ordering::Relaxed).wrapping_sub(first);
        if passed >= span {
            let counts = counter() - begun;
            return Some(
                (u128::from(counts) * 1_000_000_000_000_000 / (u128::from(passed) * u128::from(period)))
                    as u64,
            );
        }
    }
    None
}

/// Counts in a second, by counter 2 of the PIT, which port 61h starts and shows.
fn by_pit() -> u64 {
    let count = (u64::from(PIT_HERTZ) * WATCH / 1000) as u16;
    let [low, high] = count.to_le_bytes();
    let gate = in8(0x61) & !3;
    out8(0x61, gate);
    // Mode 0: the output rises when the count is over.
    out8(0x43, 0xB0);
    out8(0x42, low);
    out8(0x42, high);
    out8(0x61, gate | 1);
    let begun = counter();
    while in8(0x61) & 0x20 == 0 {
        core::hint::spin_loop();
    }
    let counts = counter() - begun;
    out8(0x61, gate);
    counts * u64::from(PIT_HERTZ) / u64::from(count)
}

fn cmos(register: u8) -> u8 {
    out8(0x70, register);
    in8(0x71)
}

/// Seconds since 1970 by the RTC, which is taken to show UTC.
fn civil() -> i64 {
    // The same twice, and not while it is updated.
    let read = || [0, 2, 4, 7, 8, 9].map(cmos);
    let mut values = read();
    for _ in 0..1000 {
        if cmos(10) & 0x80 == 0 {
            let again = read();
            if again == values {
                break;
            }
            values = again;
        }
    }
    let mode = cmos(11);
    let binary = |value: u8| {
        if mode & 4 != 0 { i64::from(value) } else { i64::from(value >> 4) * 10 + i64::from(value & 15) }
    };
    let [second, minute, hour, day, month, year] = values;
    let mut hours = binary(hour & 0x7F);
    if mode & 2 == 0 {
        hours = hours % 12 + if hour & 0x80 != 0 { 12 } else { 0 };
    }
    let days = days(2000 + binary(year), binary(month), binary(day));
    ((days * 24 + hours) * 60 + binary(minute)) * 60 + binary(second)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their odd day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}
