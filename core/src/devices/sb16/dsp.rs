//! The digital sound processor: commands through one port, answers through another.

use super::mixer::{self, Mixer};
use super::stream::{Format, Stream, from_byte};
use crate::board::Board;
use crate::devices::audio::Voice;
use crate::time::Instant;

/// What E1 answers.
const VERSION: [u8; 2] = [4, 5];
const COPYRIGHT: &[u8] = b"COPYRIGHT (C) CREATIVE TECHNOLOGY LTD, 1992.\0";
/// What reset answers.
const READY: u8 = 0xAA;
/// Answers that can wait.
const ANSWERS: usize = 64;
/// Frames in a second that samples written one by one are turned into.
const DIRECT_RATE: u32 = 44_100;
/// The longest time that one of them stands for, in frames.
const DIRECT_LONGEST: u64 = 2048;

const SLOWEST: u32 = 1000;
const FASTEST: u32 = 48_000;

/// Command E2 adds these to its byte for each bit of its argument, and the last always: a riddle that drivers
/// pose to tell Creative's chip from others.
const RIDDLE: [[i16; 9]; 4] = [
    [0x01, -0x02, -0x04, 0x08, -0x10, 0x20, 0x40, -0x80, -106],
    [-0x01, 0x02, -0x04, 0x08, 0x10, -0x20, 0x40, -0x80, 165],
    [-0x01, 0x02, 0x04, -0x08, 0x10, -0x20, -0x40, 0x80, -151],
    [0x01, -0x02, 0x04, -0x08, -0x10, 0x20, -0x40, 0x80, 90],
];

/// The DSP.
pub(super) struct Dsp {
    /// The reset port holds it.
    held: bool,
    command: u8,
    /// Arguments so far, and how many there will be.
    arguments: [u8; 4],
    have: u8,
    want: u8,
    answers: [u8; ANSWERS],
    answer_count: u8,
    answer_next: u8,
    last_answer: u8,
    stream: Stream,
    /// Samples in a second, of one channel or (by time constant) of both.
    rate: u32,
    /// `rate` came as a time constant.
    by_constant: bool,
    /// Units less one of auto-init blocks of the older commands.
    block: u16,
    speaker: bool,
    test: u8,
    riddle: u8,
    riddle_count: u8,
    /// ASP registers, that programs write and read back.
    asp: [u8; 256],
    /// A sample written by command 10, and since when it is heard.
    direct: i16,
    direct_since: Instant,
}
crate::archive_fields!(Dsp {
    held,
    command,
    arguments,
    have,
    want,
    answers,
    answer_count,
    answer_next,
    last_answer,
    stream,
    rate,
    by_constant,
    block,
    speaker,
    test,
    riddle,
    riddle_count,
    asp,
    direct,
    direct_since
});

/// Arguments that a command takes.
const fn arguments(command: u8) -> u8 {
    match command {
        0x04 | 0x0F | 0x10 | 0x38 | 0x40 | 0xE0 | 0xE2 | 0xE4 | 0xF9 => 1,
        0x05 | 0x0E | 0x14..=0x17 | 0x24 | 0x41 | 0x42 | 0x48 | 0x74..=0x77 | 0x80 => 2,
        // On this chip high-speed transfers of one block take no length: it was set by 48.
        0xB0..=0xCF => 3,
        _ => 0,
    }
}

impl Dsp {
    pub(super) fn new() -> Self {
        Self {
            held: false,
            command: 0,
            arguments: [0; 4],
            have: 0,
            want: 0,
            answers: [0; ANSWERS],
            answer_count: 0,
            answer_next: 0,
            last_answer: READY,
            stream: Stream::default(),
            rate: 11_025,
            by_constant: false,
            block: 0x7FF,
            speaker: false,
            test: 0,
            riddle: 0xAA,
            riddle_count: 0,
            asp: [0; 256],
            direct: 0,
            direct_since: Instant::ZERO,
        }
    }

    /// The reset port: released after being held, the DSP starts anew. True when it did.
    pub(super) fn reset_line(&mut self, held: bool) -> bool {
        let released = self.held && !held;
        self.held = held;
        if released {
            *self = Self { asp: self.asp, ..Self::new() };
            self.answer(&[READY]);
        }
        released
    }

    pub(super) const fn has_data(&self) -> bool {
        self.answer_count != 0
    }

    pub(super) fn read(&mut self) -> u8 {
        if self.answer_count > 0 {
            self.last_answer = self.answers[usize::from(self.answer_next) % ANSWERS];
            self.answer_next = (self.answer_next + 1) % ANSWERS as u8;
            self.answer_count -= 1;
        }
        self.last_answer
    }

    /// Replaces what was not read of earlier answers.
    fn answer(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(ANSWERS);
        self.answers[..len].copy_from_slice(&bytes[..len]);
        self.answer_next = 0;
        self.answer_count = len as u8;
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.stream.deadline(now)
    }

    pub(super) fn advance(&mut self, mixer: &mut Mixer, board: &mut Board) {
        self.stream.advance(mixer, board);
        board.audio.wake(board.now, &mut board.timers);
    }

    pub(super) fn write(&mut self, value: u8, mixer: &mut Mixer, board: &mut Board) {
        if self.held {
            return;
        }
        if self.want == 0 {
            self.command = value;
            self.want = arguments(value);
            self.have = 0;
        } else {
            self.arguments[usize::from(self.have & 3)] = value;
            self.have += 1;
        }
        if self.have >= self.want {
            self.want = 0;
            self.execute(mixer, board);
        }
    }

    /// The length that two arguments from `at` on give, less one.
    const fn length(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.arguments[at], self.arguments[at + 1]])
    }

    fn execute(&mut self, mixer: &mut Mixer, board: &mut Board) {
        let first = self.arguments[0];
        // What plays has come to where it should be before anything changes.
        self.stream.advance(mixer, board);
        match self.command {
            0x0E => self.asp[usize::from(first)] = self.arguments[1],
            0x0F => self.answer(&[self.asp[usize::from(first)]]),
            0x10 => self.play_direct(first, board),
            0x14 | 0x15 => self.start(Format::Unsigned8, false, Some(self.length(0)), mixer, board),
            0x16 => self.start(Format::Adpcm2, false, Some(self.length(0)), mixer, board),
            0x17 => self.start_reference(Format::Adpcm2, Some(self.length(0)), mixer, board),
            0x1C | 0x90 => self.start(Format::Unsigned8, false, None, mixer, board),
            0x1F => self.start_reference(Format::Adpcm2, None, mixer, board),
            // The analogue input is silent.
            0x20 => self.answer(&[0x80]),
            0x24 => self.start(Format::Unsigned8, true, Some(self.length(0)), mixer, board),
            0x2C | 0x98 => self.start(Format::Unsigned8, true, None, mixer, board),
            0x40 => {
                self.rate = (1_000_000 / (256 - u32::from(first))).clamp(SLOWEST, FASTEST);
                self.by_constant = true;
            }
            0x41 | 0x42 => {
                let rate = u32::from(u16::from_be_bytes([first, self.arguments[1]]));
                self.rate = rate.clamp(SLOWEST, FASTEST);
                self.by_constant = false;
            }
            // Go on with auto-init after DA and D9.
            0x45 | 0x47 => self.stream.auto_init = true,
            0x48 => self.block = self.length(0),
            0x74 => self.start(Format::Adpcm4, false, Some(self.length(0)), mixer, board),
            0x75 => self.start_reference(Format::Adpcm4, Some(self.length(0)), mixer, board),
            0x76 => self.start(Format::Adpcm26, false, Some(self.length(0)), mixer, board),
            0x77 => self.start_reference(Format::Adpcm26, Some(self.length(0)), mixer, board),
            0x7D => self.start_reference(Format::Adpcm4, None, mixer, board),
            0x7F => self.start_reference(Format::Adpcm26, None, mixer, board),
            0x80 => self.start(Format::Silence, false, Some(self.length(0)), mixer, board),
            0x91 => self.start(Format::Unsigned8, false, Some(self.block), mixer, board),
            0x99 => self.start(Format::Unsigned8, true, Some(self.block), mixer, board),
            0xB0..=0xCF => self.start_16(board),
            0xD0 | 0xD5 => self.stream.paused = true,
            0xD1 => self.speaker = true,
            0xD3 => self.speaker = false,
            0xD4 | 0xD6 if self.stream.paused => {
                self.stream.paused = false;
                self.stream.start_clock(board.now);
            }
            0xD8 => self.answer(&[if self.speaker { 0xFF } else { 0 }]),
            0xD9 | 0xDA => self.stream.auto_init = false,
            0xE0 => self.answer(&[!first]),
            0xE1 => self.answer(&VERSION),
            0xE2 => self.solve(first, mixer, board),
            0xE3 => self.answer(COPYRIGHT),
            0xE4 => self.test = first,
            0xE8 => self.answer(&[self.test]),
            0xF2 => mixer.pending |= mixer::PENDING_8,
            0xF3 => mixer.pending |= mixer::PENDING_16,
            0xF8 => self.answer(&[0]),
            // RAM of the chip's 8051, in which drivers look for nothing in particular.
            0xF9 => self.answer(&[0]),
            _ => {}
        }
    }

    fn start_reference(&mut self, format: Format, length: Option<u16>, mixer: &Mixer, board: &mut Board) {
        self.start(format, false, length, mixer, board);
        self.stream.reference = true;
    }

    /// Starts a transfer of the older commands: one block, or the set block again and again.
    fn start(
        &mut self,
        format: Format,
        recording: bool,
        length: Option<u16>,
        mixer: &Mixer,
        board: &mut Board,
    ) {
        let block = u32::from(length.unwrap_or(self.block)) + 1;
        let stereo = mixer.pro_stereo() && format == Format::Unsigned8;
        // A time constant counts samples of both channels.
        let rate = match format {
            Format::Adpcm4 => self.rate / 2,
            Format::Adpcm26 => self.rate / 3,
            Format::Adpcm2 => self.rate / 4,
            _ if stereo && !self.by_constant => self.rate * 2,
            _ => self.rate,
        };
        self.begin(
            Stream {
                format,
                stereo,
                recording,
                auto_init: length.is_none(),
                block,
                rate,
                ..Stream::default()
            },
            board,
        );
    }

    /// Starts a transfer of commands Bx and Cx.
    fn start_16(&mut self, board: &mut Board) {
        let [mode, ..] = self.arguments;
        let signed = mode & 0x10 != 0;
        let stereo = mode & 0x20 != 0;
        let format = match (self.command < 0xC0, signed) {
            (true, true) => Format::Signed16,
            (true, false) => Format::Unsigned16,
            (false, true) => Format::Signed8,
            (false, false) => Format::Unsigned8,
        };
        let stream = Stream {
            format,
            stereo,
            recording: self.command & 8 != 0,
            auto_init: self.command & 4 != 0,
            block: u32::from(self.length(1)) + 1,
            rate: if stereo { self.rate * 2 } else { self.rate },
            ..Stream::default()
        };
        self.begin(stream, board);
    }

    fn begin(&mut self, stream: Stream, board: &mut Board) {
        let adpcm = core::mem::take(&mut self.stream.adpcm);
        self.stream = Stream { active: true, left: stream.block, adpcm, ..stream };
        self.stream.start_clock(board.now);
        let frames = self.stream.frames_per_second();
        board.audio.voice(Voice::Dac).set_rate(frames);
        board.audio.wake(board.now, &mut board.timers);
    }

    /// One sample, until the next.
    fn play_direct(&mut self, byte: u8, board: &mut Board) {
        let rate = u64::from(DIRECT_RATE);
        let frames = board.now.ticks(rate).saturating_sub(self.direct_since.ticks(rate)).min(DIRECT_LONGEST);
        let voice = board.audio.voice(Voice::Dac);
        voice.set_rate(DIRECT_RATE);
        for _ in 0..frames {
            voice.push([self.direct; 2]);
        }
        self.direct = from_byte(byte);
        self.direct_since = board.now;
        board.audio.wake(board.now, &mut board.timers);
    }

    /// Command E2: the next byte of the riddle goes to memory.
    fn solve(&mut self, argument: u8, mixer: &Mixer, board: &mut Board) {
        let row = RIDDLE[usize::from(self.riddle_count & 3)];
        let sum = (0..8).filter(|n| argument >> n & 1 != 0).map(|n| row[n]).sum::<i16>() + row[8];
        self.riddle = self.riddle.wrapping_add(sum as u8);
        self.riddle_count = self.riddle_count.wrapping_add(1);
        if let Some(channel) = mixer.channel_8() {
            board.dma.to_memory(&mut board.memory, channel, &[self.riddle]);
        }
    }
}
