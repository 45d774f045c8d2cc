//! What SDL's disk driver has recorded: 48,000 frames a second, two little-endian 16-bit samples each.

use std::path::Path;

const RATE: f64 = 48_000.0;

/// Left samples.
pub(crate) fn left(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect()
}

/// The pitch of a recording: the middle one of all distances between rises through the middle.
pub(crate) fn pitch(samples: &[i16]) -> Option<f64> {
    let (low, high) = (*samples.iter().min()?, *samples.iter().max()?);
    if i32::from(high) - i32::from(low) < 1000 {
        return None;
    }
    let middle = (f64::from(low) + f64::from(high)) / 2.0;
    let rises: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter_map(|(n, pair)| {
            let (a, b) = (f64::from(pair[0]) - middle, f64::from(pair[1]) - middle);
            (a < 0.0 && b >= 0.0).then(|| n as f64 + a / (a - b))
        })
        .collect();
    let mut distances: Vec<f64> = rises.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A second's worth, so that one gap does not matter.
    if distances.len() < 200 {
        return None;
    }
    distances.sort_by(f64::total_cmp);
    // Periods are not whole samples: the mean of the middle half.
    let half = &distances[distances.len() / 4..distances.len() * 3 / 4];
    Some(RATE * half.len() as f64 / half.iter().sum::<f64>())
}

#[test]
fn pitches_are_measured() {
    for hertz in [100.0, 441.3, 1000.0] {
        let wave = |n: u32| (8000.0 * (std::f64::consts::TAU * hertz * f64::from(n) / RATE).sin()) as i16;
        let found = pitch(&(0..200_000).map(wave).collect::<Vec<_>>()).unwrap();
        assert!((found - hertz).abs() < hertz * 0.002, "{found} for {hertz}");
    }
    assert_eq!(pitch(&[0; 100_000]), None);
}
