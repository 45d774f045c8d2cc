//! What the DSP plays or records: a block of units (bytes or words) moved by DMA at the sample rate.

use super::adpcm::{Adpcm, Packing};
use super::mixer::{self, Mixer};
use crate::archive::{Archive, Field};
use crate::board::Board;
use crate::devices::audio::Voice;
use crate::time::{Instant, SECOND};

/// What the bytes mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Format {
    #[default]
    Unsigned8,
    Signed8,
    Unsigned16,
    Signed16,
    Adpcm4,
    Adpcm26,
    Adpcm2,
    /// No bytes at all: a pause of so many samples.
    Silence,
}

impl Format {
    const ALL: [Self; 8] = [
        Self::Unsigned8,
        Self::Signed8,
        Self::Unsigned16,
        Self::Signed16,
        Self::Adpcm4,
        Self::Adpcm26,
        Self::Adpcm2,
        Self::Silence,
    ];

    pub(super) const fn is_16(self) -> bool {
        matches!(self, Self::Unsigned16 | Self::Signed16)
    }

    const fn packing(self) -> Option<Packing> {
        match self {
            Self::Adpcm4 => Some(Packing::Four),
            Self::Adpcm26 => Some(Packing::TwoSix),
            Self::Adpcm2 => Some(Packing::Two),
            _ => None,
        }
    }
}

impl Field for Format {
    fn archive(&mut self, a: &mut Archive<'_>) {
        let mut n = *self as u8;
        a.field(&mut n);
        *self = Self::ALL[usize::from(n) % Self::ALL.len()];
    }
}

/// Moved at most this often: programs look at the DMA count to see where playing has come to.
const PERIOD: u64 = SECOND / 1000;
/// Units that one look moves at most; after a stall the rest follows at the next.
const MOST: u32 = 4096;

/// A transfer.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) active: bool,
    pub(super) paused: bool,
    pub(super) format: Format,
    pub(super) stereo: bool,
    pub(super) recording: bool,
    pub(super) auto_init: bool,
    /// Units of a block, and what is left of the present one.
    pub(super) block: u32,
    pub(super) left: u32,
    /// Units in a second.
    pub(super) rate: u32,
    /// The first byte of packed samples is the reference.
    pub(super) reference: bool,
    pub(super) adpcm: Adpcm,
    /// Where counting began, and units moved since.
    pub(super) origin: Instant,
    pub(super) moved: u64,
    /// The left sample that waits for the right one.
    pub(super) waiting: Option<i16>,
}
crate::archive_fields!(Stream {
    active,
    paused,
    format,
    stereo,
    recording,
    auto_init,
    block,
    left,
    rate,
    reference,
    adpcm,
    origin,
    moved,
    waiting
});

impl Stream {
    /// Begins, or begins counting anew after a pause or a change of rate.
    pub(super) fn start_clock(&mut self, now: Instant) {
        self.origin = now;
        self.moved = 0;
    }

    const fn runs(&self) -> bool {
        self.active && !self.paused
    }

    /// When something has to be moved next.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.runs() {
            return None;
        }
        let rate = self.rate.max(1);
        let units = (u64::from(rate) * PERIOD).div_ceil(SECOND).min(u64::from(self.left.max(1)));
        let due = self.origin + self.nanoseconds(self.moved + units);
        // What cannot be moved (the channel is masked) is tried again.
        Some(due.max(now + 1000))
    }

    fn nanoseconds(&self, units: u64) -> u64 {
        (u128::from(units) * u128::from(SECOND)).div_ceil(u128::from(self.rate.max(1))) as u64
    }

    /// Moves what is due by now. Blocks that end leave interrupts pending in the mixer.
    pub(super) fn advance(&mut self, mixer: &mut Mixer, board: &mut Board) {
        if !self.runs() {
            return;
        }
        let rate = self.rate.max(1);
        let due = board.now.since(self.origin) as u128 * u128::from(rate) / u128::from(SECOND);
        let mut due = due.saturating_sub(u128::from(self.moved));
        if due > u128::from(MOST) {
            // Too far behind: what was missed is not made up for.
            due = u128::from(MOST);
            self.start_clock(board.now);
        } else {
            self.moved += due as u64;
        }
        let mut due = due as u32;
        while due > 0 && self.runs() {
            let units = due.min(self.left.max(1));
            let done = self.transfer(units, mixer, board);
            if done < units {
                // The channel gives no more: wait, without counting.
                self.start_clock(board.now);
            }
            self.left = self.left.saturating_sub(done);
            due -= units;
            if self.left == 0 && done > 0 {
                self.end_block(mixer);
            }
            if done < units {
                break;
            }
        }
    }

    fn end_block(&mut self, mixer: &mut Mixer) {
        mixer.pending |= if self.format.is_16() { mixer::PENDING_16 } else { mixer::PENDING_8 };
        if self.auto_init {
            self.left = self.block;
        } else {
            self.active = false;
        }
    }

    /// Moves units through DMA; how many it took.
    fn transfer(&mut self, units: u32, mixer: &Mixer, board: &mut Board) -> u32 {
        if self.format == Format::Silence {
            for _ in 0..units {
                self.play(0, board);
            }
            return units;
        }
        let bytes_per_unit = if self.format.is_16() { 2 } else { 1 };
        let channel = if self.format.is_16() { mixer.channel_16() } else { mixer.channel_8() };
        let Some(channel) = channel else { return 0 };
        let mut buffer = [0; 512];
        let mut done = 0;
        while done < units {
            let len = ((units - done) as usize * bytes_per_unit).min(buffer.len());
            let moved = if self.recording {
                let quiet = if self.format == Format::Unsigned8 { 0x80 } else { 0 };
                buffer[..len].fill(quiet);
                if self.format == Format::Unsigned16 {
                    buffer[..len].iter_mut().skip(1).step_by(2).for_each(|b| *b = 0x80);
                }
                board.dma.to_memory(&mut board.memory, channel, &buffer[..len])
            } else {
                board.dma.from_memory(&board.memory, channel, &mut buffer[..len])
            };
            let bytes = moved.bytes.min(len);
            if !self.recording {
                self.samples(&buffer[..bytes], board);
            }
            done += (bytes / bytes_per_unit) as u32;
            if bytes < bytes_per_unit {
                break;
            }
        }
        done
    }

    fn samples(&mut self, bytes: &[u8], board: &mut Board) {
        if let Some(packing) = self.format.packing() {
            for &byte in bytes {
                if core::mem::take(&mut self.reference) {
                    self.adpcm.start(byte);
                    continue;
                }
                let (samples, count) = self.adpcm.decode(packing, byte);
                for &sample in &samples[..count] {
                    self.play(from_byte(sample), board);
                }
            }
        } else if self.format.is_16() {
            let flip = if self.format == Format::Unsigned16 { 0x8000 } else { 0 };
            for pair in bytes.chunks_exact(2) {
                let sample = u16::from_le_bytes([pair[0], pair[1]]) ^ flip;
                self.play(sample as i16, board);
            }
        } else {
            let flip = if self.format == Format::Signed8 { 0x80 } else { 0 };
            for &byte in bytes {
                self.play(from_byte(byte ^ flip), board);
            }
        }
    }

    fn play(&mut self, sample: i16, board: &mut Board) {
        let frame = if !self.stereo {
            [sample; 2]
        } else if let Some(left) = self.waiting.take() {
            [left, sample]
        } else {
            self.waiting = Some(sample);
            return;
        };
        board.audio.voice(Voice::Dac).push(frame);
    }

    /// Frames in a second.
    pub(super) fn frames_per_second(&self) -> u32 {
        let samples = self.rate * self.format.packing().map_or(1, Packing::samples);
        if self.stereo { samples / 2 } else { samples }
    }
}

/// An unsigned byte as a sample.
pub(super) const fn from_byte(byte: u8) -> i16 {
    ((byte ^ 0x80) as i8 as i16) << 8
}
