//! How the guest's time comes from the host's clock or from executed instructions.

use crate::archive::Archive;
use crate::config::ClockMode;
use crate::host::Host;
use crate::time::{Instant, SECOND};

/// The longest time between two looks at the host's clock.
const SLICE: u64 = 100_000;
/// A host clock that jumps further than this was suspended: the guest is not made to catch up. Nor is it made
/// to wait for one that was set back.
const PAUSE: u64 = SECOND;
/// The longest that a host is told to leave an idle machine alone: what is longer looks like a pause.
pub(super) const LONGEST_REST: u64 = PAUSE / 2;
/// By how much the guest's time moves at most from one look at the host's clock to the next while code runs, in
/// nanoseconds: a host that goes away in the middle of a guest's measurement of one timer by another would spoil
/// it. What is left is caught up with at the next looks, which are many.
const STEP: u64 = 500_000;
/// How far the guest may be behind before the steps grow, and by which part of what is more: a host that goes away
/// all the time is kept up with.
const BEHIND: u64 = SECOND / 2;
const STEP_PART: u64 = 16;
/// Instructions in which the host's clock may stand still before a call of [`Machine::run`] ends all the same.
pub(super) const STANDSTILL: u64 = 1 << 24;

/// No machine runs longer than this, in nanoseconds or instructions, whatever a state image says.
pub(crate) const LATEST: u64 = 1 << 60;

/// How virtual time relates to the host's clock and to executed instructions.
pub(super) struct Time {
    pub(super) mode: ClockMode,
    /// Host time at virtual time zero (host clock); before the host's time zero when a machine is restored
    /// that is older than this host's clock.
    origin: i64,
    /// Host time last seen.
    last: u64,
    /// Host time that the guest has been shown, behind `last` while the guest catches up.
    shown: u64,
    /// Virtual time at `count` instructions (virtual clock).
    base: Instant,
    count: u64,
    /// Estimated picoseconds an instruction takes (host clock), to size slices.
    estimate: u64,
    /// Instructions and nanoseconds that the estimate has not learned from yet.
    unlearnt: (u64, u64),
    started: bool,
}

impl Time {
    pub(super) const fn new(mode: ClockMode) -> Self {
        Self {
            mode,
            origin: 0,
            last: 0,
            shown: 0,
            base: Instant::ZERO,
            count: 0,
            estimate: 10_000,
            unlearnt: (0, 0),
            started: false,
        }
    }

    /// Relates the guest's time `now` to the host's clock, or to `count` instructions, when running begins, and
    /// to the host's again after a pause of it. Whether that was done with the host's.
    pub(super) fn begin(&mut self, count: u64, now: Instant, host: &mut Host) -> bool {
        if self.mode != ClockMode::Host {
            if !self.started {
                self.skip(count, now);
                self.started = true;
            }
            return false;
        }
        let seen = host.clock.now().0;
        if self.started && (self.last..=self.last.saturating_add(PAUSE)).contains(&seen) {
            return false;
        }
        self.started = true;
        (self.last, self.shown) = (seen, seen);
        self.origin = seen.cast_signed().saturating_sub_unsigned(now.0);
        true
    }

    /// The host's time when it was last looked at.
    pub(super) const fn seen(&self) -> u64 {
        self.last
    }

    /// Goes on from `now` at `count` instructions (virtual clock).
    pub(super) const fn skip(&mut self, count: u64, now: Instant) {
        (self.base, self.count) = (now, count);
    }

    /// The guest's time after `count` instructions.
    pub(super) fn at(&mut self, count: u64, host: &mut Host) -> Instant {
        match self.mode {
            ClockMode::Host => {
                self.last = host.clock.now().0.max(self.last);
                let behind = self.last.saturating_sub(self.shown);
                self.shown += behind.min(STEP + behind.saturating_sub(BEHIND) / STEP_PART);
                self.guest_time()
            }
            ClockMode::Virtual { picoseconds } => {
                self.base + (count.wrapping_sub(self.count)).saturating_mul(u64::from(picoseconds)) / 1000
            }
        }
    }

    /// As [`Self::at`] while nothing executes that could measure how time passes (host clock).
    pub(super) fn leap(&mut self, host: &mut Host) -> Instant {
        self.last = host.clock.now().0.max(self.last);
        self.shown = self.last;
        self.guest_time()
    }

    /// The guest's time when it has been shown the host's.
    const fn guest_time(&self) -> Instant {
        Instant(self.shown.saturating_add_signed(self.origin.saturating_neg()))
    }

    /// Instructions that fit before `until`.
    pub(super) fn instructions(&self, now: Instant, until: Instant) -> u64 {
        let ps = match self.mode {
            ClockMode::Host => {
                return (until.since(now).min(SLICE) * 1000 / self.estimate).clamp(64, 1 << 20);
            }
            ClockMode::Virtual { picoseconds } => u64::from(picoseconds.max(1)),
        };
        (until.since(now).min(SECOND) * 1000).div_ceil(ps).max(1)
    }

    /// Saves or loads how time comes from instructions. Under the host's clock nothing is kept: the host
    /// has gone on, the machine has not.
    pub(super) fn archive(&mut self, a: &mut Archive<'_>) {
        let counts = |mode| matches!(mode, ClockMode::Virtual { .. });
        let mut kept = (counts(self.mode) && self.started).then_some([self.base.0, self.count]);
        a.field(&mut kept);
        if a.is_loading() {
            self.started = false;
            if let Some([base, count]) = kept.filter(|_| counts(self.mode)) {
                (self.base, self.count, self.started) = (Instant(base.min(LATEST)), count.min(LATEST), true);
            }
        }
    }

    /// Begins anew when time is not `now` after `count` instructions: of a loaded state nothing else can be true,
    /// and time would stand still or leap.
    pub(super) fn check(&mut self, count: u64, now: Instant) {
        let ClockMode::Virtual { picoseconds } = self.mode else { return };
        let passed = count.checked_sub(self.count).and_then(|n| n.checked_mul(u64::from(picoseconds)));
        self.started &= passed.is_some_and(|passed| self.base + passed / 1000 == now);
    }

    /// Learns from a slice of `count` instructions that took `ns`. Short slices count together: were they left
    /// out, an estimate that is far too high would make all slices short and never be put right.
    pub(super) fn learn(&mut self, count: u64, ns: u64) {
        self.unlearnt.0 += count;
        self.unlearnt.1 += ns;
        if self.unlearnt.0 >= 1000 {
            let (count, ns) = core::mem::take(&mut self.unlearnt);
            let seen = (ns * 1000 / count).clamp(100, 100_000);
            self.estimate = (self.estimate * 7 + seen) / 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::rc::Rc;
    use core::cell::Cell;

    /// A clock that is moved by hand.
    #[derive(Clone, Default)]
    struct Hand(Rc<Cell<u64>>);

    impl crate::host::Clock for Hand {
        fn now(&mut self) -> Instant {
            Instant(self.0.get())
        }
        fn wall(&mut self) -> i64 {
            0
        }
    }

    #[test]
    fn a_host_that_went_away_is_caught_up_with_in_small_steps_to_the_last_nanosecond() {
        let hand = Hand::default();
        let mut host = Host { clock: Box::new(hand.clone()), ..Host::null() };
        let mut time = Time::new(ClockMode::Host);
        let mut look = |passed| {
            hand.0.set(hand.0.get() + passed);
            time.at(0, &mut host).0
        };
        assert_eq!(look(100_000), 100_000);
        let mut before = look(30_000_000);
        assert_eq!(before, 100_000 + STEP);
        let mut looks = 0;
        while before < 30_100_000 {
            let now = look(0);
            assert!((1..=STEP).contains(&(now - before)));
            (before, looks) = (now, looks + 1);
        }
        assert!(looks < 100, "{looks}");
        assert_eq!(look(1), 30_100_001);
        // A host that is away for most of the time: the guest is behind by a bounded time.
        for _ in 0..1000 {
            look(10_000_000);
            for _ in 0..9 {
                look(100_000);
            }
        }
        let behind = hand.0.get() - look(0);
        assert!(behind < BEHIND + 50_000_000, "{behind}");
        // Nothing executes: there is nothing that could notice.
        assert_eq!(time.leap(&mut host).0, hand.0.get());
    }

    #[test]
    fn an_estimate_that_is_far_too_high_is_put_right() {
        let mut time = Time::new(ClockMode::Host);
        // The host went away in the middle of slices.
        for _ in 0..100 {
            time.learn(2000, SECOND);
        }
        let slice = |time: &Time| time.instructions(Instant::ZERO, Instant(SECOND));
        let short = slice(&time);
        for _ in 0..1000 {
            let count = slice(&time);
            time.learn(count, count / 2);
        }
        assert!(slice(&time) > 20 * short, "{short} {}", slice(&time));
    }
}
