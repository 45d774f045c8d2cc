//! The host's clocks.

use nomad86::host::Clock;
use nomad86::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// What one of the system's clocks shows.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the standard library tells no CPU time")]
fn read(clock: libc::clockid_t) -> std::io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer leads to a timespec of ours.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// CPU time that a process has used, all its threads together, those that have ended too.
///
/// # Errors
/// When there is no such process, or the system does not tell.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// assert!(!nomad86_host::clock::process_time(std::process::id())?.is_zero());
/// # Ok::<(), std::io::Error>(())
/// ```
#[allow(unsafe_code, reason = "the standard library tells no CPU time")]
pub fn process_time(id: u32) -> std::io::Result<Duration> {
    #[cfg(target_os = "linux")]
    {
        let id = id.try_into().map_err(std::io::Error::other)?;
        let mut clock = 0;
        // SAFETY: the pointer leads to a number of ours.
        match unsafe { libc::clock_getcpuclockid(id, &raw mut clock) } {
            0 => read(clock),
            code => Err(std::io::Error::from_raw_os_error(code)),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, format!("the CPU time of {id} needs Linux")))
}

/// Nanoseconds that the calling thread has computed, or that have passed where the host does not tell them.
#[must_use]
pub fn thread_nanoseconds() -> u64 {
    #[cfg(target_os = "linux")]
    if let Ok(time) = read(libc::CLOCK_THREAD_CPUTIME_ID) {
        return time.as_nanos() as u64;
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
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().since(first) >= 2_000_000);
        let ahead = clock.wall() - wall();
        assert!((3_599_000_000_000..=3_600_000_000_000).contains(&ahead), "{ahead}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_computed_shows_in_the_times_of_thread_and_process() {
        let own = std::process::id();
        let (thread, process) = (thread_nanoseconds(), process_time(own).unwrap());
        while thread_nanoseconds() < thread + 20_000_000 {}
        assert!(process_time(own).unwrap() >= process + Duration::from_millis(15));
        // A child that has ended keeps its time until it is waited for.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().split(' ').nth(2)
            != Some("Z")
        {
            std::thread::yield_now();
        }
        assert!(!process_time(child.id()).unwrap().is_zero());
        child.wait().unwrap();
        assert!(process_time(child.id()).is_err());
    }
}
