//! Wrappers that make a good network bad.
use std::time::Duration;

/// How bad a network is to be made, in each direction.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Shape {
    /// Share of frames that get lost, 0 to 1.
    pub loss: f64,
    /// Share of frames that arrive twice.
    pub duplicate: f64,
    /// Share of frames that overtake the one before them.
    pub reorder: f64,
    /// Share of frames in which one bit flips.
    pub corrupt: f64,
    /// How late frames are.
    pub delay: Duration,
    /// How much later at most, evenly spread.
    pub jitter: Duration,
    /// Bytes a second; 0 is unlimited.
    pub rate: u64,
    /// The same seed makes the same choices.
    pub seed: u64,
}

impl Shape {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        Self { seed: 0, ..*self } == Self::default()
    }
}
