//! How long a guest is left alone that does nothing but take its ticks.
//!
//! Kernels with a periodic tick (Debian's for the 386 among them) interrupt a processor that sleeps 250 or 1000
//! times a second, to count. It costs a host more to wake up than to execute that. A guest that has done nothing else
//! for a while gets some ticks together, each at its own instant of the guest's time; whatever it does besides, and
//! it has each on time again.

use crate::time::{SECOND, Timer};

/// Fewer instructions between two halts are a tick: it takes Linux three to four thousand.
const TICK: u64 = 8_000;
/// As many are work. What is between are a kernel's own affairs, as long as they do not come too often: some ten
/// thousand instructions, five times a second.
const WORK: u64 = 64_000;
/// After so many ticks the guest dozes.
const QUIET: u32 = 200;
/// So many more and it lets two affairs pass.
const MOST: u32 = QUIET + 2 * AFFAIR;
/// So many ticks it takes to forget one.
const AFFAIR: u32 = 32;
/// The longest that a tick is late, in nanoseconds.
pub(super) const LONGEST: u64 = SECOND / 1000 * 32;

/// Deadlines that can be late when nobody is there to see it.
pub(super) const fn can_wait(timer: Timer) -> bool {
    matches!(timer, Timer::Pit | Timer::RtcPeriodic | Timer::RtcUpdate | Timer::Apic)
}

/// What the guest has done since it last slept.
#[derive(Default)]
pub(super) struct Doze {
    count: u64,
    ticks: u32,
}

impl Doze {
    /// The processor has halted after `count` instructions.
    pub(super) fn halted(&mut self, count: u64) {
        let executed = count.saturating_sub(self.count);
        self.count = count;
        match executed {
            0 => {}
            1..TICK => self.ticks = (self.ticks + 1).min(MOST),
            TICK..WORK => self.ticks = self.ticks.saturating_sub(AFFAIR),
            _ => self.ticks = 0,
        }
    }

    /// Whether its ticks can wait.
    pub(super) const fn is_on(&self) -> bool {
        self.ticks >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_does_something_besides_its_ticks_has_them_on_time() {
        let (mut doze, mut count) = (Doze::default(), 0);
        let mut halts = |doze: &mut Doze, times: u32, executed| {
            for _ in 0..times {
                count += executed;
                doze.halted(count);
            }
        };
        halts(&mut doze, QUIET - 1, 3000);
        assert!(!doze.is_on());
        halts(&mut doze, 1, 3000);
        assert!(doze.is_on());
        // It is looked at twice, or the host has woken up for nothing.
        halts(&mut doze, 10, 0);
        assert!(doze.is_on());
        // A kernel's own affairs, six times in a second of 250 ticks.
        for _ in 0..100 {
            halts(&mut doze, 40, 3000);
            halts(&mut doze, 1, 10_000);
        }
        halts(&mut doze, 40, 3000);
        assert!(doze.is_on());
        // Ten times.
        for _ in 0..100 {
            halts(&mut doze, 24, 3000);
            halts(&mut doze, 1, 10_000);
        }
        assert!(!doze.is_on());
        halts(&mut doze, MOST, 3000);
        assert!(doze.is_on());
        halts(&mut doze, 1, 100_000);
        halts(&mut doze, QUIET - 1, 3000);
        assert!(!doze.is_on());
    }
}
