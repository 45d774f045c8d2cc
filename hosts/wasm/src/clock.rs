//! Time that never jumps: a tab that was throttled or asleep is not made up for.
//!
//! Browsers let hidden pages run once a second or not at all. A guest whose clock followed would find hundreds
//! of timer ticks due at once. Here no more than [`CATCH_UP`] passes between two looks at the clock, and no more
//! than that beyond the rest that the machine had asked for. What goes further is left out of the machine's
//! time; its civil time is moved on instead, so that the RTC stays right.

use crate::abi;
use alloc::rc::Rc;
use core::cell::Cell;
use nomad86::host::Clock;
use nomad86::time::Instant;

/// The most nanoseconds that the machine falls behind and makes up for.
pub(crate) const CATCH_UP: u64 = 50_000_000;

/// The host's clock with jumps cut short; clones are the same clock.
#[derive(Clone, Default)]
pub(crate) struct SteadyClock(Rc<State>);

#[derive(Default)]
struct State {
    /// The host's time when last looked at.
    seen: Cell<u64>,
    /// The machine's time.
    now: Cell<u64>,
    /// Left out since the last [`SteadyClock::begin`].
    skipped: Cell<u64>,
}

impl SteadyClock {
    /// Begins a slice after a rest of `rest` nanoseconds that was asked for (or `None` after a stop, which does
    /// not count at all); how many nanoseconds have been left out since the last slice began.
    pub(crate) fn begin(&self, rest: Option<u64>) -> u64 {
        self.look(rest.map_or(0, |rest| rest.saturating_add(CATCH_UP)));
        self.0.skipped.take()
    }

    /// The machine's time, at most `limit` further than at the last look.
    fn look(&self, limit: u64) -> u64 {
        let state = &*self.0;
        let seen = abi::now();
        let passed = seen.saturating_sub(state.seen.replace(seen));
        let counted = passed.min(limit);
        state.skipped.set(state.skipped.get() + (passed - counted));
        state.now.set(state.now.get() + counted);
        state.now.get()
    }
}

impl Clock for SteadyClock {
    fn now(&mut self) -> Instant {
        Instant(self.look(CATCH_UP))
    }

    fn wall(&mut self) -> i64 {
        abi::wall()
    }
}
