//! Virtual time: instants, and the machine's deadlines.
//!
//! Time is an argument everywhere: a chip computes its counters from the instant that it is handed and
//! never ticks. Deadlines live in an array indexed by [`Timer`]; there is no heap and there are no callbacks.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

/// Nanoseconds of virtual time since the machine was built.
/// ```
/// use nomad86::time::Instant;
///
/// let second = Instant(1_000_000_000);
/// // The 8254's clock.
/// assert_eq!(second.ticks(1_193_182), 1_193_182);
/// assert_eq!(second.since(Instant(999_999_000)), 1000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

impl Instant {
    /// The moment at which the machine was built.
    pub const ZERO: Self = Self(0);
    /// Later than any deadline.
    pub const FAR: Self = Self(u64::MAX);

    /// Nanoseconds from `earlier` to `self`; 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole ticks of a clock of `hertz` between time zero and this instant.
    #[must_use]
    pub const fn ticks(self, hertz: u64) -> u64 {
        ((self.0 as u128 * hertz as u128) / SECOND as u128) as u64
    }

    /// The first instant at which [`Self::ticks`] of `hertz` reads at least `ticks`.
    #[must_use]
    pub const fn at_tick(ticks: u64, hertz: u64) -> Self {
        let ns = (ticks as u128 * SECOND as u128).div_ceil(hertz as u128);
        Self(if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 })
    }
}

impl Add<u64> for Instant {
    type Output = Self;
    fn add(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

impl AddAssign<u64> for Instant {
    fn add_assign(&mut self, nanoseconds: u64) {
        *self = *self + nanoseconds;
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self + u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.since(earlier))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / SECOND, self.0 % SECOND)
    }
}

macro_rules! timers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Every deadline of the machine. Deadlines that fall on one instant expire in this order.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Timer { $($(#[$doc])* $name,)* }

        impl Timer {
            /// All timers in order of expiry.
            pub const ALL: &'static [Timer] = &[$(Timer::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
        }
    };
}

timers! {
    /// 8254 counter 0: the edge of OUT that raises IRQ 0.
    Pit,
    /// RTC periodic interrupt.
    RtcPeriodic,
    /// RTC update-ended and alarm.
    RtcUpdate,
    /// Local APIC timer.
    Apic,
    /// ACPI power-management timer overflow.
    AcpiPm,
    /// Keyboard controller: next byte to the output buffer.
    Ps2,
    /// UART 1 receive and transmit.
    Uart0,
    /// UART 2.
    Uart1,
    /// UART 3.
    Uart2,
    /// UART 4.
    Uart3,
    /// Floppy controller: end of a seek, a reset or the next sector.
    Floppy,
    /// Primary IDE channel: end of a command or the next disk poll.
    Ide0,
    /// Secondary IDE channel.
    Ide1,
    /// Vertical retrace: draw and present.
    Retrace,
    /// Sound Blaster: end of a DMA block.
    Sb16,
    /// Sound output: mix the next chunk.
    Audio,
    /// First network card: transmit done, receive poll.
    Net0,
    /// Second network card.
    Net1,
    /// Third network card.
    Net2,
    /// Fourth network card.
    Net3,
    /// The host's input, console and network are polled.
    Service,
}

/// The machine's deadlines.
#[derive(Clone, Debug)]
pub struct Timers {
    at: [Instant; Timer::COUNT],
    next: Instant,
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// No deadline set.
    #[must_use]
    pub const fn new() -> Self {
        Self { at: [Instant::FAR; Timer::COUNT], next: Instant::FAR }
    }

    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        let slot = &mut self.at[timer as usize];
        let old = core::mem::replace(slot, at);
        if at <= self.next {
            self.next = at;
        } else if old == self.next {
            self.find_next();
        }
    }

    /// Takes a deadline away.
    pub fn clear(&mut self, timer: Timer) {
        self.set(timer, Instant::FAR);
    }

    /// When `timer` is due, if it is set.
    #[must_use]
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        let at = self.at[timer as usize];
        (at != Instant::FAR).then_some(at)
    }

    /// The earliest deadline ([`Instant::FAR`] when none is set).
    #[must_use]
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// Takes the first timer that is due at `now` away and returns it with the instant it was set for.
    pub fn pop(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        if self.next > now {
            return None;
        }
        let due = self.next;
        let timer = Timer::ALL.iter().copied().find(|&t| self.at[t as usize] == due)?;
        self.at[timer as usize] = Instant::FAR;
        self.find_next();
        Some((timer, due))
    }

    fn find_next(&mut self) {
        self.next = self.at.iter().copied().min().unwrap_or(Instant::FAR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_by_time_then_by_order() {
        let mut timers = Timers::new();
        timers.set(Timer::Retrace, Instant(20));
        timers.set(Timer::Ps2, Instant(10));
        timers.set(Timer::Pit, Instant(20));
        assert_eq!(timers.next(), Instant(10));
        assert_eq!(timers.pop(Instant(9)), None);
        assert_eq!(timers.pop(Instant(30)), Some((Timer::Ps2, Instant(10))));
        assert_eq!(timers.pop(Instant(30)), Some((Timer::Pit, Instant(20))));
        assert_eq!(timers.pop(Instant(30)), Some((Timer::Retrace, Instant(20))));
        assert_eq!(timers.pop(Instant(30)), None);
    }

    #[test]
    fn moving_the_next_deadline_later_finds_the_new_next() {
        let mut timers = Timers::new();
        timers.set(Timer::Pit, Instant(5));
        timers.set(Timer::Ide0, Instant(7));
        timers.set(Timer::Pit, Instant(9));
        assert_eq!(timers.next(), Instant(7));
        timers.clear(Timer::Ide0);
        assert_eq!(timers.next(), Instant(9));
    }

    #[test]
    fn ticks_round_trip() {
        for tick in [0, 1, 2, 1193, 1_193_182, u64::from(u32::MAX)] {
            assert_eq!(Instant::at_tick(tick, 1_193_182).ticks(1_193_182), tick);
        }
    }
}
