//! Sound output: mixes what the loudspeaker and sound cards make and hands it to the host in chunks.
//!
//! Sources lie on the board ([`Audio`]): the loudspeaker's queue, and a ring of frames for each [`Voice`],
//! which a card fills at its own rate. The device [`Mixer`] empties them at `Timer::Audio`. While all are
//! silent there is no deadline at all; whoever makes a sound calls [`Audio::wake`].
//! Not emulated: nothing; this is no chip.

use super::speaker::Speaker;
use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::time::{Instant, SECOND, Timer, Timers};
use alloc::boxed::Box;
use alloc::vec;

/// Nanoseconds of a chunk.
const CHUNK: u64 = SECOND / 100;
/// Frames of the longest chunk; after a stall older ones are left out.
const FRAMES: usize = 4096;
/// Frames of a voice's ring.
const RING: usize = 16_384;
/// How often is looked whether somebody listens while there would be something to hear.
const LOOK: u64 = SECOND / 8;
/// Silent chunks after which mixing stops.
const QUIET: u8 = 20;

/// Who can make a sound beside the loudspeaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Voice {
    /// A card's digital-to-analogue converter.
    Dac,
    /// A card's synthesiser.
    Synth,
}

const VOICES: usize = 2;

/// Frames on their way from a card to the mixer.
pub struct Pcm {
    ring: Box<[[i16; 2]]>,
    head: usize,
    len: usize,
    rate: u32,
    /// Left and right, 256 for unchanged.
    volume: [u16; 2],
    /// Between `last` (0) and `next` (65536).
    phase: u32,
    last: [i16; 2],
    next: [i16; 2],
    /// Enough has been queued to play without a gap.
    primed: bool,
    /// Chunks for which it has been waiting for that.
    waited: u8,
}

impl Pcm {
    fn new() -> Self {
        Self {
            ring: vec![[0; 2]; RING].into_boxed_slice(),
            head: 0,
            len: 0,
            rate: 0,
            volume: [256; 2],
            phase: 0,
            last: [0; 2],
            next: [0; 2],
            primed: false,
            waited: 0,
        }
    }

    /// Sets frames per second of what is pushed from now on.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate.min(1 << 20);
    }

    /// Sets the volume, left and right; 256 leaves samples as they are.
    pub fn set_volume(&mut self, volume: [u16; 2]) {
        self.volume = volume;
    }

    /// Queues a frame. When there is no room the oldest one goes.
    pub fn push(&mut self, frame: [i16; 2]) {
        self.ring[(self.head + self.len) % RING] = frame;
        if self.len < RING {
            self.len += 1;
        } else {
            self.head = (self.head + 1) % RING;
        }
    }

    /// Frames that wait.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.len
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.len = 0;
        self.primed = false;
    }

    fn pop(&mut self) -> Option<[i16; 2]> {
        self.len = self.len.checked_sub(1)?;
        let frame = self.ring[self.head];
        self.head = (self.head + 1) % RING;
        Some(frame)
    }

    fn idle(&self) -> bool {
        self.len == 0 && self.last == [0; 2] && self.next == [0; 2]
    }

    /// Adds frames at `rate` to `mix`.
    fn render(&mut self, rate: u32, mix: &mut [[i32; 2]]) {
        if self.idle() {
            return;
        }
        if !self.primed && self.len > 0 {
            // A fiftieth of a second bridges the card's blocks; a sound that is shorter does not wait long.
            self.waited += 1;
            self.primed = self.len >= self.rate as usize / 50 || self.waited > 3;
        }
        let step =
            ((u64::from(self.rate) << 16) / u64::from(rate.max(1))).min(u64::from(u32::MAX >> 1)) as u32;
        for frame in mix {
            self.phase += step;
            while self.phase >= 1 << 16 {
                self.phase -= 1 << 16;
                self.last = self.next;
                self.next = match if self.primed { self.pop() } else { None } {
                    Some(frame) => frame,
                    None => {
                        // The wait for enough begins when it runs dry, not again with each frame of it.
                        if core::mem::take(&mut self.primed) {
                            self.waited = 0;
                        }
                        // Towards silence without a click.
                        self.last.map(|sample| (i32::from(sample) * 15 / 16) as i16)
                    }
                };
            }
            let between = (self.phase >> 1) as i32;
            for (side, mixed) in frame.iter_mut().enumerate() {
                let (last, next) = (i32::from(self.last[side]), i32::from(self.next[side]));
                let sample = last + (((next - last) * between) >> 15);
                *mixed += (sample * i32::from(self.volume[side])) >> 8;
            }
        }
    }
}

/// The sources of sound, on the board.
pub struct Audio {
    /// The loudspeaker.
    pub speaker: Speaker,
    voices: [Pcm; VOICES],
    /// Up to when sound has been handed to the host.
    mixed: Instant,
    quiet: u8,
}

impl Default for Audio {
    fn default() -> Self {
        Self::new()
    }
}

impl crate::archive::Field for Audio {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.speaker);
        a.field(&mut self.mixed);
        if a.is_loading() {
            for voice in &mut self.voices {
                voice.clear();
            }
            self.quiet = 0;
        }
    }
}

impl Audio {
    /// Silence.
    #[must_use]
    pub fn new() -> Self {
        Self {
            speaker: Speaker::new(),
            voices: core::array::from_fn(|_| Pcm::new()),
            mixed: Instant::ZERO,
            quiet: 0,
        }
    }

    /// The queue of a voice; whoever pushes to it calls [`Self::wake`] as well.
    pub fn voice(&mut self, voice: Voice) -> &mut Pcm {
        &mut self.voices[voice as usize]
    }

    /// Makes sure that the mixer will look.
    pub fn wake(&mut self, now: Instant, timers: &mut Timers) {
        self.quiet = 0;
        if timers.get(Timer::Audio).is_none() {
            self.mixed = now;
            timers.set(Timer::Audio, now + CHUNK);
        }
    }

    fn idle(&self) -> bool {
        self.speaker.idle() && self.voices.iter().all(Pcm::idle)
    }
}

/// Hands sound to the host.
pub struct Mixer {
    mix: Box<[[i32; 2]]>,
    frames: Box<[[i16; 2]]>,
}

impl Device for Mixer {
    const TAG: [u8; 4] = *b"AUDI";

    fn new(_config: &Config) -> Self {
        Self { mix: vec![[0; 2]; FRAMES].into_boxed_slice(), frames: vec![[0; 2]; FRAMES].into_boxed_slice() }
    }

    fn reset(&mut self, _bus: &mut Bus<'_>) {}

    fn read(&mut self, _port: u16, width: Width, _bus: &mut Bus<'_>) -> u32 {
        width.ones()
    }

    fn write(&mut self, _port: u16, _width: Width, _value: u32, _bus: &mut Bus<'_>) {}

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        let now = bus.board.now;
        let audio = &mut bus.board.audio;
        let rate = bus.host.audio.rate().min(1 << 20);
        if rate == 0 {
            // Nobody listens: what was to be heard is over.
            audio.speaker.skip_to(now.ticks(super::pit::HERTZ) as i64);
            audio.voices.iter_mut().for_each(Pcm::clear);
            audio.mixed = now;
            if !audio.idle() {
                bus.board.timers.set(Timer::Audio, now + LOOK);
            }
            return;
        }
        let end = now.ticks(rate.into());
        let count = end.saturating_sub(audio.mixed.ticks(rate.into())).min(FRAMES as u64);
        let mix = &mut self.mix[..count as usize];
        mix.fill([0; 2]);
        audio.speaker.render(end - count, rate, mix);
        for voice in &mut audio.voices {
            voice.render(rate, mix);
        }
        let frames = &mut self.frames[..count as usize];
        for (frame, mix) in frames.iter_mut().zip(mix) {
            *frame = mix.map(|sample| sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
        bus.host.audio.play(frames);
        audio.mixed = now;
        audio.quiet = if audio.idle() { audio.quiet.saturating_add(1) } else { 0 };
        if audio.quiet < QUIET {
            bus.board.timers.set(Timer::Audio, now + CHUNK);
        }
    }

    fn archive(&mut self, _a: &mut Archive<'_>) {}
}

#[cfg(test)]
#[path = "audio_tests.rs"]
mod tests;
