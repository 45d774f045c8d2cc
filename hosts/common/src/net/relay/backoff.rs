//! How long to wait before the next attempt: twice as long each time, and never quite as long as others.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use std::time::Duration;

/// Waiting times between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: SplitMix64,
}

impl Backoff {
    /// Starts with `first` and doubles up to `longest`; `seed` decides on the jitter.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, next: first, random: SplitMix64::seed_from_u64(seed) }
    }

    /// The time to wait now, 20 % more or less than it should be, so that a relay that comes back is not
    /// met by all its clients at once.
    pub fn pause(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(self.longest);
        let jitter = (self.random.next_u32() % 401) as f64 / 1000.0 + 0.8;
        base.mul_f64(jitter)
    }

    /// It worked: the next failure starts anew.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_67_pauses_double_from_half_a_second_to_thirty_with_a_fifth_of_jitter() {
        let half = Duration::from_millis(500);
        let mut all = Vec::new();
        for seed in 0..200 {
            let mut backoff = Backoff::new(half, Duration::from_secs(30), seed);
            let mut expected = 0.5f64;
            for _ in 0..12 {
                let pause = backoff.pause().as_secs_f64();
                assert!((expected * 0.799..=expected * 1.201).contains(&pause), "{pause} for {expected}");
                all.push((pause / expected * 1000.0) as i64);
                expected = (expected * 2.0).min(30.0);
            }
            backoff.reset();
            assert!(backoff.pause() <= Duration::from_millis(600));
        }
        all.sort_unstable();
        assert!(all[0] < 820 && all[all.len() - 1] > 1180, "it is spread");
    }
}
