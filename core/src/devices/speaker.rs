//! The PC's loudspeaker: what port 61 and counter 2 did, turned into samples.
//!
//! Spec: IBM PC AT Technical Reference, "Speaker".
//! Not emulated: the sound of the cone itself beyond its deafness to steady levels.
//!
//! The timer chip notes how its output goes on whenever that changes; a sample is the exact share of its time
//! that the output was high, so that tones above the sample rate and pulse-width-modulated speech sound as
//! they should. The queue is bounded: whoever changes the output faster than `EVENTS` times a chunk is
//! heard less exactly.

use super::pit::{HERTZ, Wave};
use alloc::boxed::Box;
use alloc::vec;

/// Changes kept from one chunk of sound to the next.
const EVENTS: usize = 1024;
/// Sample value of a membrane pushed out.
const LOUD: i32 = 9000;
/// Steady levels fade by 1/256 a sample.
const FADE: i32 = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Event {
    tick: i64,
    wave: Wave,
}

/// The loudspeaker, on the board between timer chip and mixer.
pub struct Speaker {
    wave: Wave,
    queue: Box<[Event]>,
    head: usize,
    len: usize,
    /// The high-pass filter: last input, and output in 1/256.
    input: i32,
    output: i32,
}

impl Default for Speaker {
    fn default() -> Self {
        Self::new()
    }
}

impl crate::archive::Field for Speaker {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        // What is still to be rendered is not worth keeping, how it goes on is.
        let mut wave = self.last();
        a.field(&mut wave);
        if a.is_loading() {
            *self = Self { queue: core::mem::take(&mut self.queue), ..Self::silent() };
            self.wave = wave;
        }
    }
}

impl Speaker {
    fn silent() -> Self {
        Self { wave: Wave::LOW, queue: Box::default(), head: 0, len: 0, input: 0, output: 0 }
    }

    /// A silent one.
    #[must_use]
    pub fn new() -> Self {
        Self { queue: vec![Event::default(); EVENTS].into_boxed_slice(), ..Self::silent() }
    }

    fn at(&self, n: usize) -> usize {
        (self.head + n) % EVENTS
    }

    fn last(&self) -> Wave {
        if self.len > 0 { self.queue[self.at(self.len - 1)].wave } else { self.wave }
    }

    /// From `tick` on the loudspeaker is driven by `wave`; what was to come later is off. True when that is
    /// a change.
    pub(super) fn change(&mut self, tick: i64, wave: Wave) -> bool {
        while self.len > 0 && self.queue[self.at(self.len - 1)].tick > tick {
            self.len -= 1;
        }
        if self.last() == wave {
            return false;
        }
        if self.len == EVENTS {
            self.len -= 1;
        }
        let at = self.at(self.len);
        self.queue[at] = Event { tick, wave };
        self.len += 1;
        true
    }

    /// Whether it is silent and stays so.
    #[must_use]
    pub(super) fn idle(&self) -> bool {
        let steady = self.wave == Wave::LOW || self.wave == Wave::HIGH;
        self.len == 0 && steady && self.output.abs() < FADE
    }

    /// Ticks of [`from`, `to`) in which the output was high.
    fn high(&mut self, mut from: i64, to: i64) -> i64 {
        let mut high = 0;
        while self.len > 0 {
            let event = self.queue[self.head];
            if event.tick >= to {
                break;
            }
            if event.tick > from {
                high += self.wave.high_between(from, event.tick);
                from = event.tick;
            }
            self.wave = event.wave;
            self.head = (self.head + 1) % EVENTS;
            self.len -= 1;
        }
        high + self.wave.high_between(from, to)
    }

    /// Forgets what happened before `tick`.
    pub(super) fn skip_to(&mut self, tick: i64) {
        self.high(tick, tick);
        (self.input, self.output) = (0, 0);
    }

    /// Adds the frames from number `first` on, `rate` of them a second, to `mix`.
    pub(super) fn render(&mut self, first: u64, rate: u32, mix: &mut [[i32; 2]]) {
        let tick = |frame: u64| (u128::from(frame) * u128::from(HERTZ) / u128::from(rate.max(1))) as i64;
        let mut from = tick(first);
        for (n, frame) in mix.iter_mut().enumerate() {
            let to = tick(first + n as u64 + 1);
            if to > from {
                let high = self.high(from, to);
                let input = (high * i64::from(LOUD) / (to - from)) as i32;
                self.output += (input - self.input) * FADE - self.output / FADE;
                self.input = input;
            }
            from = to;
            let sample = self.output / FADE;
            frame[0] += sample;
            frame[1] += sample;
        }
    }
}
