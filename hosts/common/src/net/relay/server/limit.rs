//! A bucket of tokens: so much a second, and as much at once.

use std::time::Instant;

#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self { rate: rate as f64, level: rate as f64, at: now }
    }

    /// Takes `amount` out, if there is as much.
    pub(super) fn take(&mut self, amount: u64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + elapsed * self.rate).min(self.rate);
        let enough = self.level >= amount as f64;
        if enough {
            self.level -= amount as f64;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more_than_a_second_of_it_at_once() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        let mut given = 0;
        for millisecond in 0..5000 {
            given += u32::from(bucket.take(1, start + Duration::from_millis(millisecond)));
        }
        assert!((595..=601).contains(&given), "{given}");
        let later = start + Duration::from_secs(100);
        assert_eq!((0..1000).filter(|_| bucket.take(1, later)).count(), 100);
    }
}
