//! The host's clocks.

use nomad86::host::Clock;
use nomad86::time::Instant;
use std::time::{SystemTime, UNIX_EPOCH};

/// The host's monotonic and civil clocks.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    start: std::time::Instant,
    /// Added to civil time, in nanoseconds.
    offset: i64,
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new(0)
    }
}

impl HostClock {
    /// A clock that begins now and shows civil time with `offset` nanoseconds added.
    #[must_use]
    pub fn new(offset: i64) -> Self {
        Self { start: std::time::Instant::now(), offset }
    }
}

/// Nanoseconds since 1970 in UTC; years before 1678 and after 2262 end there.
#[must_use]
pub fn wall() -> i64 {
    let limit = |n: u128| i64::try_from(n).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => limit(since.as_nanos()),
        Err(before) => -limit(before.duration().as_nanos()),
    }
}

/// Nanoseconds that the calling thread has computed, or that have passed where the host does not tell them.
#[must_use]
#[allow(unsafe_code, reason = "the standard library does not tell a thread's time")]
pub fn thread_nanoseconds() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer leads to a timespec of ours.
        if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } == 0 {
            return (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64);
        }
    }
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

impl Clock for HostClock {
    fn now(&mut self) -> Instant {
        Instant(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&mut self) -> i64 {
        wall().saturating_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_and_civil_time_is_moved_by_the_offset() {
        let mut clock = HostClock::new(3_600_000_000_000);
        let first = clock.now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(clock.now().since(first) >= 2_000_000);
        let ahead = clock.wall() - wall();
        assert!((3_599_000_000_000..=3_600_000_000_000).contains(&ahead), "{ahead}");
    }
}
