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
/// A guest that is behind by more has not been let run for long: what it missed is given up, as after a pause.
const LAG: u64 = 4 * SECOND;
/// The longest that a host is told to leave an idle machine alone: what is longer looks like a pause.
pub(super) const LONGEST_REST: u64 = PAUSE / 2;
/// A guest that is behind has its time run faster, by one more time the host's for each so many nanoseconds: a host
/// that was away for a moment makes next to no difference to one who measures, and one that is away for most of the
/// time is kept up with.
const EASE: u64 = SECOND / 20;
/// So many times the host's at most, or there is no room between two ticks for what a tick makes a guest do.
const FASTEST: u64 = 8;
/// And by this part of the host's at least.
const SLOWEST_PART: u64 = 16;
/// Between two looks the host was away for what is more than so many times the time that the instructions
/// between them are thought to take, and so many nanoseconds.
const LIKELY: u64 = 4;
const UNSURE: u64 = 1000;
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
    /// Instructions at the last look (host clock).
    looked: u64,
    /// Virtual time at `count` instructions (virtual clock).
    base: Instant,
    count: u64,
    /// Estimated picoseconds an instruction takes (host clock), to size slices.
    estimate: u64,
    /// Instructions and nanoseconds that the estimate has not learned from yet.
    unlearnt: (u64, u64),
    started: bool,
    /// Nanoseconds of the host's that the guest has not been made to catch up with.
    pub(super) lost: u64,
}

impl Time {
    pub(super) const fn new(mode: ClockMode) -> Self {
        Self {
            mode,
            origin: 0,
            last: 0,
            shown: 0,
            looked: 0,
            base: Instant::ZERO,
            count: 0,
            estimate: 10_000,
            unlearnt: (0, 0),
            started: false,
            lost: 0,
        }
    }

    /// Relates the guest's time `now` to the host's clock, or to `count` instructions, when running begins, and
    /// to the host's again after a pause of it.
    pub(super) fn begin(&mut self, count: u64, now: Instant, host: &mut Host) {
        if self.mode != ClockMode::Host {
            if !self.started {
                self.skip(count, now);
                self.started = true;
            }
            return;
        }
        let seen = host.clock.now().0;
        if !self.started || seen < self.last {
            self.started = true;
            (self.last, self.shown) = (seen, seen);
            self.origin = seen.cast_signed().saturating_sub_unsigned(now.0);
        }
        self.look(seen);
        self.looked = count;
    }

    /// Civil time at the guest's time `now` (host clock), when that is not so by `epoch`, the one at time zero: the
    /// guest has missed something, or the host's was set. By the host's clock alone a host that slept did not.
    pub(super) fn epoch(&self, now: Instant, epoch: i64, host: &mut Host) -> i64 {
        if self.mode != ClockMode::Host {
            return epoch;
        }
        let right = host.clock.wall().saturating_sub_unsigned(now.0).saturating_sub_unsigned(self.behind());
        if epoch.abs_diff(right) > PAUSE { right } else { epoch }
    }

    /// Takes a look at the host's clock, which reads `seen`; how long it is since the last.
    fn look(&mut self, seen: u64) -> u64 {
        let passed = seen.saturating_sub(self.last);
        self.last += passed;
        if passed > PAUSE || self.behind() > LAG {
            self.origin = self.origin.saturating_add_unsigned(self.behind());
            self.lost = self.lost.saturating_add(self.behind());
            self.shown = self.last;
            return 0;
        }
        passed
    }

    /// How far the guest is behind the host.
    const fn behind(&self) -> u64 {
        self.last - self.shown
    }

    /// How much passes for a guest that is behind in `time` of the host.
    fn hastened(&self, time: u64) -> u64 {
        let more = (time.saturating_mul(self.behind()) / EASE).max(time / SLOWEST_PART);
        time.saturating_add(more).min(time.saturating_mul(FASTEST))
    }

    /// The host's time when it was last looked at.
    pub(super) const fn seen(&self) -> u64 {
        self.last
    }

    /// Goes on from `now` at `count` instructions (virtual clock).
    pub(super) const fn skip(&mut self, count: u64, now: Instant) {
        (self.base, self.count) = (now, count);
    }

    /// The guest's time after `count` instructions. It does not pass `deadline`, the next at which something is due,
    /// so that each tick of a timer happens; while an interrupt is `waiting` for the guest to take it, it does not
    /// run faster than the host's.
    pub(super) fn at(&mut self, count: u64, deadline: Instant, waiting: bool, host: &mut Host) -> Instant {
        match self.mode {
            ClockMode::Host => {
                let passed = self.look(host.clock.now().0);
                // Of the time in which the host was away none counts now, but for what is made up later. The clock of
                // some hosts is coarse: between its steps it is instructions that tell the time.
                let executed = count.saturating_sub(self.looked).saturating_mul(self.estimate) / 1000;
                let passed =
                    passed.clamp(executed, LIKELY.saturating_mul(executed).saturating_add(UNSURE)).max(1);
                self.looked = count;
                self.show(if waiting { passed } else { self.hastened(passed) }, deadline)
            }
            ClockMode::Virtual { picoseconds } => {
                self.base + (count.wrapping_sub(self.count)).saturating_mul(u64::from(picoseconds)) / 1000
            }
        }
    }

    /// As [`Self::at`] while nothing executes that could measure how time passes (host clock).
    pub(super) fn leap(&mut self, deadline: Instant, host: &mut Host) -> Instant {
        self.look(host.clock.now().0);
        self.show(u64::MAX, deadline)
    }

    /// Has `time` more of the host's pass for the guest, no further than to `deadline`.
    fn show(&mut self, time: u64, deadline: Instant) -> Instant {
        let due = deadline.since(self.guest_time());
        self.shown += time.min(self.behind()).min(due);
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
                let time = until.since(now).min(SECOND);
                let time =
                    if self.behind() == 0 { time } else { time * SLICE / self.hastened(SLICE) }.min(SLICE);
                return (time * 1000 / self.estimate).clamp(64, 1 << 20);
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
            // Once in a while the host was away, which says nothing of its speed.
            let seen = (ns * 1000 / count).clamp(100, 100_000).min(2 * self.estimate);
            self.estimate = (self.estimate * 7 + seen) / 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::rc::Rc;
    use alloc::vec::Vec;
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

    /// The clock of a guest whose instructions take 10 ns, as is thought at first.
    struct Guest {
        hand: Hand,
        host: Host,
        time: Time,
        count: u64,
    }

    impl Guest {
        fn new() -> Self {
            let hand = Hand::default();
            let host = Host { clock: Box::new(hand.clone()), ..Host::null() };
            let mut guest = Self { hand, host, time: Time::new(ClockMode::Host), count: 0 };
            guest.time.begin(0, Instant::ZERO, &mut guest.host);
            guest
        }

        /// What passes for the guest when it executes for so many nanoseconds and the host is away for others.
        fn passes(&mut self, executing: u64, away: u64, deadline: Instant, waiting: bool) -> u64 {
            let before = self.time.guest_time();
            self.hand.0.set(self.hand.0.get() + executing + away);
            self.count += executing / 10;
            self.time.at(self.count, deadline, waiting, &mut self.host).since(before)
        }

        fn executes(&mut self, nanoseconds: u64) -> u64 {
            self.passes(nanoseconds, 0, Instant::FAR, false)
        }
    }

    #[test]
    fn time_passes_as_the_host_s_while_it_is_not_away() {
        let mut guest = Guest::new();
        for time in [100_000, 10, 1_000, 70] {
            assert_eq!(guest.executes(time), time);
        }
        assert_eq!(guest.time.behind(), 0);
    }

    #[test]
    fn a_host_that_went_away_is_caught_up_with_smoothly_and_to_the_last_nanosecond() {
        let mut guest = Guest::new();
        guest.executes(100_000);
        // One who measures in small steps does not notice.
        assert!(guest.passes(1000, 10_000_000, Instant::FAR, false) <= 6000);
        assert!((1100..1300).contains(&guest.executes(1000)));
        let mut most = 0;
        for _ in 0..200_000 {
            most = most.max(guest.executes(1000));
        }
        assert!(most < 1300, "{most}");
        assert_eq!((guest.time.behind(), guest.executes(1000)), (0, 1000));
    }

    #[test]
    fn time_never_passes_what_is_due_nor_hurries_while_an_interrupt_waits() {
        let mut guest = Guest::new();
        guest.executes(100_000);
        guest.passes(0, 200_000_000, Instant::FAR, false);
        assert!(guest.executes(10_000) > 40_000);
        assert_eq!(guest.passes(10_000, 0, Instant::FAR, true), 10_000);
        let due = guest.time.guest_time() + 7_000;
        assert_eq!(guest.passes(10_000, 0, due, false), 7_000);
        assert_eq!(guest.passes(10_000, 0, due, false), 0);
        // Nor while nothing executes.
        assert_eq!(guest.time.leap(due, &mut guest.host), due);
        assert_eq!(guest.time.leap(due + 1_000_000, &mut guest.host), due + 1_000_000);
        assert_eq!(guest.time.leap(Instant::FAR, &mut guest.host).0, guest.hand.0.get());
    }

    #[test]
    fn a_host_that_is_away_most_of_the_time_is_kept_up_with() {
        for (away, limit) in [(1, 55_000_000), (4, 205_000_000), (6, 305_000_000)] {
            let mut guest = Guest::new();
            for _ in 0..10_000 {
                guest.passes(100_000, away * 100_000, Instant::FAR, false);
            }
            assert!(guest.time.behind() < limit, "{away}: {}", guest.time.behind());
            assert_eq!(guest.time.lost, 0);
        }
        // One that is away for more than that: what is lost is given up.
        let mut guest = Guest::new();
        for _ in 0..10_000 {
            let passed = guest.passes(100_000, 3_900_000, Instant::FAR, false);
            assert!((1..=FASTEST * 401_000).contains(&passed) || guest.time.behind() == 0);
        }
        assert!(guest.time.behind() <= LAG && guest.time.origin > 0);
        assert_eq!(guest.time.lost, guest.time.origin as u64);
    }

    #[test]
    fn a_pause_is_not_made_up_for_wherever_it_falls() {
        let mut guest = Guest::new();
        guest.executes(100_000);
        assert_eq!(guest.passes(1000, 3600 * SECOND, Instant::FAR, false), 0);
        assert_eq!(guest.executes(1000), 1000);
        let now = guest.time.guest_time();
        guest.hand.0.set(guest.hand.0.get() + 3600 * SECOND);
        guest.time.begin(guest.count, now, &mut guest.host);
        assert_eq!((guest.time.guest_time(), guest.time.behind()), (now, 0));
        // Its civil time is the host's all the same; what is a moment's difference is left alone.
        let at_zero = -(now.0 as i64);
        assert_eq!(guest.time.epoch(now, 5_000_000_000, &mut guest.host), at_zero);
        assert_eq!(guest.time.epoch(now, at_zero + 1_000_000, &mut guest.host), at_zero + 1_000_000);
    }

    #[test]
    fn instructions_tell_the_time_between_the_steps_of_a_coarse_clock() {
        let mut guest = Guest::new();
        let mut passed = Vec::new();
        for n in 1..=5000 {
            guest.hand.0.set(n / 100 * 1_000_000);
            guest.count += 1000;
            let before = guest.time.guest_time();
            let now = guest.time.at(guest.count, Instant::FAR, false, &mut guest.host);
            passed.push(now.since(before));
        }
        // 10 µs each, once the first steps have been seen.
        assert!(passed[2000..].iter().all(|passed| *passed <= 50_000), "{:?}", passed.iter().max());
        let moved = passed[2000..].iter().filter(|passed| **passed > 0).count();
        assert!(moved > 2500, "{moved}");
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
