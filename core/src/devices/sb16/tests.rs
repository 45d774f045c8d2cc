//! A driver's script, with the 8237 programmed beside it.

use super::*;
use crate::devices::dma::Dma;
use crate::devices::{audio, testing};
use crate::host::{self, Host};
use crate::time::{Instant, SECOND};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use std::sync::{Arc, Mutex};

struct Speaker(Arc<Mutex<Vec<[i16; 2]>>>);

impl host::Audio for Speaker {
    fn rate(&self) -> u32 {
        48_000
    }
    fn play(&mut self, frames: &[[i16; 2]]) {
        self.0.lock().unwrap().extend_from_slice(frames);
    }
}

struct Pc {
    board: Board,
    host: Host,
    card: Sb16,
    dma: Dma,
    mixer: audio::Mixer,
    heard: Arc<Mutex<Vec<[i16; 2]>>>,
}

const BUFFER: u32 = 0x1_2000;

impl Pc {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let host = Host { audio: Box::new(Speaker(heard.clone())), ..Host::null() };
        let mut pc = Self {
            board: testing::board(&config),
            host,
            card: Sb16::new(&config),
            dma: Dma::new(&config),
            mixer: audio::Mixer::new(&config),
            heard,
        };
        pc.card.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc
    }

    /// A card that has been reset through its port.
    fn ready() -> Self {
        let mut pc = Self::new();
        pc.out(0x226, 1);
        pc.out(0x226, 0);
        assert_eq!(pc.inp(0x22E) & 0x80, 0x80);
        assert_eq!(pc.inp(0x22A), 0xAA);
        assert_eq!(pc.inp(0x22E) & 0x80, 0);
        pc
    }

    fn out(&mut self, port: u16, value: u8) {
        let mut bus = Bus { board: &mut self.board, host: &mut self.host };
        if (0x220..0x230).contains(&port) {
            self.card.write(port, Width::Byte, value.into(), &mut bus);
        } else {
            self.dma.write(port, Width::Byte, value.into(), &mut bus);
        }
    }

    fn inp(&mut self, port: u16) -> u8 {
        let mut bus = Bus { board: &mut self.board, host: &mut self.host };
        if (0x220..0x230).contains(&port) {
            self.card.read(port, Width::Byte, &mut bus) as u8
        } else {
            self.dma.read(port, Width::Byte, &mut bus) as u8
        }
    }

    fn dsp(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            assert_eq!(self.inp(0x22C) & 0x80, 0, "ready for a command");
            self.out(0x22C, byte);
        }
    }

    fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.dsp(bytes);
        let mut answer = Vec::new();
        while self.inp(0x22E) & 0x80 != 0 {
            answer.push(self.inp(0x22A));
        }
        answer
    }

    fn mixer(&mut self, index: u8, value: u8) {
        self.out(0x224, index);
        self.out(0x225, value);
    }

    fn mixer_read(&mut self, index: u8) -> u8 {
        self.out(0x224, index);
        self.inp(0x225)
    }

    /// Channel 1 over `len` bytes of the buffer; `mode` 48h: single reads, 58h: again and again.
    fn dma_8(&mut self, mode: u8, len: u16) {
        self.out(0x0A, 5);
        self.out(0x0C, 0);
        self.out(0x0B, mode | 1);
        for (port, value) in [(0x02, BUFFER as u16), (0x03, len - 1)] {
            self.out(port, value as u8);
            self.out(port, (value >> 8) as u8);
        }
        self.out(0x83, (BUFFER >> 16) as u8);
        self.out(0x0A, 1);
    }

    /// Channel 5 over `len` words.
    fn dma_16(&mut self, mode: u8, len: u16) {
        self.out(0xD4, 5);
        self.out(0xD8, 0);
        self.out(0xD6, mode | 1);
        for (port, value) in [(0xC4, (BUFFER >> 1) as u16), (0xC6, len - 1)] {
            self.out(port, value as u8);
            self.out(port, (value >> 8) as u8);
        }
        self.out(0x8B, (BUFFER >> 16) as u8);
        self.out(0xD4, 1);
    }

    fn buffer(&mut self, bytes: &[u8]) {
        assert!(self.board.memory.write(BUFFER.into(), bytes));
    }

    /// Lets time pass; returns when the interrupt line rose, if it did.
    fn pass(&mut self, ns: u64) -> Option<Instant> {
        let end = self.board.now + ns;
        let mut rose = None;
        let before = self.board.irq.levels();
        while let Some((timer, at)) = self.board.timers.pop(end) {
            self.board.now = self.board.now.max(at);
            let mut bus = Bus { board: &mut self.board, host: &mut self.host };
            match timer {
                Timer::Sb16 => self.card.expire(timer, &mut bus),
                Timer::Audio => self.mixer.expire(timer, &mut bus),
                _ => {}
            }
            if rose.is_none() && self.board.irq.levels() & !before != 0 {
                rose = Some(self.board.now);
            }
        }
        self.board.now = end;
        rose
    }

    fn heard(&self) -> Vec<[i16; 2]> {
        self.heard.lock().unwrap().clone()
    }
}

#[test]
fn the_chip_tells_what_it_is() {
    let mut pc = Pc::ready();
    assert_eq!(pc.ask(&[0xE1]), [4, 5]);
    assert_eq!(pc.ask(&[0xE0, 0x5A]), [0xA5]);
    assert_eq!(pc.ask(&[0xE4, 0x77, 0xE8]), [0x77]);
    assert!(pc.ask(&[0xE3]).starts_with(b"COPYRIGHT (C) CREATIVE"));
    assert_eq!(pc.ask(&[0xD8]), [0]);
    assert_eq!(pc.ask(&[0xD1, 0xD8]), [0xFF]);
    assert_eq!(pc.ask(&[0xD3, 0xD8]), [0]);
    assert_eq!(pc.ask(&[0x20]), [0x80]);
    assert_eq!(pc.inp(0x220), 0xFF, "no synthesiser");
}

#[test]
fn the_interrupt_can_be_found_by_asking_for_it() {
    let mut pc = Pc::ready();
    for (setting, line) in [(1, 9), (2, 5), (4, 7), (8, 10)] {
        pc.mixer(0x80, setting);
        pc.dsp(&[0xF2]);
        assert_eq!(pc.board.irq.levels(), 1 << line);
        assert_eq!(pc.mixer_read(0x82) & 7, 1);
        pc.inp(0x22E);
        assert_eq!(pc.board.irq.levels(), 0);
        pc.dsp(&[0xF3]);
        assert_eq!(pc.mixer_read(0x82) & 7, 2);
        pc.inp(0x22E);
        assert_eq!(pc.board.irq.levels(), 1 << line, "acknowledged elsewhere");
        pc.inp(0x22F);
        assert_eq!(pc.board.irq.levels(), 0);
    }
    pc.dsp(&[0xF2]);
    pc.mixer(0x80, 2);
    assert_eq!(pc.board.irq.levels(), 1 << 5, "the line moves with the setting");
    pc.mixer(0x80, 0);
    assert_eq!(pc.board.irq.levels(), 0);
}

#[test]
fn a_block_of_bytes_plays_at_its_rate_and_interrupts_at_its_end() {
    let mut pc = Pc::ready();
    let mut wave = vec![0x80; 1000];
    wave[500..].fill(0xC0);
    pc.buffer(&wave);
    pc.dma_8(0x48, 1000);
    // Time constant for 10 kHz.
    pc.dsp(&[0xD1, 0x40, 156, 0x14, 0xE7, 0x03]);
    let start = pc.board.now;
    let rose = pc.pass(SECOND / 2).expect("an interrupt");
    assert_eq!(rose.since(start), SECOND / 10);
    assert_eq!(pc.board.irq.levels(), 1 << 5);
    assert_eq!(pc.inp(0x0F) & 2, 2, "the channel has masked itself");
    pc.inp(0x22E);
    assert_eq!(pc.board.irq.levels(), 0);
    let heard = pc.heard();
    let loud = heard.iter().filter(|f| f[0] > 0x3000).count();
    assert!((2300..2500).contains(&loud), "a twentieth of a second at 48 kHz: {loud}");
    assert!(heard.iter().all(|f| f[0] == f[1] && f[0] >= 0 && f[0] <= 0x4000));
}

#[test]
fn blocks_repeat_until_told_to_end() {
    let mut pc = Pc::ready();
    pc.buffer(&[0x90; 400]);
    pc.dma_8(0x58, 400);
    // 41: 20 kHz; blocks of 200 bytes, half the buffer.
    pc.dsp(&[0x41, 0x4E, 0x20, 0xC6, 0x00, 199, 0]);
    for _ in 0..5 {
        let start = pc.board.now;
        let rose = pc.pass(SECOND / 100).expect("an interrupt");
        assert_eq!(rose.since(start), SECOND / 100);
        pc.inp(0x22E);
    }
    pc.dsp(&[0xDA]);
    assert!(pc.pass(SECOND / 100).is_some(), "the present block still ends");
    pc.inp(0x22E);
    assert!(pc.pass(SECOND).is_none());
    assert_eq!(pc.board.timers.get(Timer::Sb16), None);
    // Older auto-init, with the block set by 48.
    pc.dsp(&[0x48, 99, 0, 0x1C]);
    assert!(pc.pass(SECOND / 200).is_some());
    pc.inp(0x22E);
    assert!(pc.pass(SECOND / 200).is_some());
}

#[test]
fn the_dma_count_follows_the_samples() {
    let mut pc = Pc::ready();
    pc.dma_8(0x58, 1000);
    pc.dsp(&[0x41, 0x27, 0x10, 0xC6, 0x00, 0xE7, 0x03]);
    for n in 1..8_u16 {
        pc.pass(SECOND / 100);
        pc.out(0x0C, 0);
        let count = u16::from_le_bytes([pc.inp(0x03), pc.inp(0x03)]);
        assert!((999 - n * 100).abs_diff(count) <= 10, "after {n}: {count}");
    }
}

#[test]
fn signed_words_play_in_stereo_through_the_second_controller() {
    let mut pc = Pc::ready();
    let frame = [0x00, 0x10, 0x00, 0xF0];
    pc.buffer(&frame.repeat(1000));
    pc.dma_16(0x48, 2000);
    pc.dsp(&[0x41, 0x27, 0x10, 0xB0, 0x30, 0xCF, 0x07]);
    let start = pc.board.now;
    let rose = pc.pass(SECOND / 4).unwrap();
    assert_eq!(rose.since(start), SECOND / 10);
    assert_eq!(pc.mixer_read(0x82) & 3, 2);
    pc.inp(0x22F);
    assert_eq!(pc.board.irq.levels(), 0);
    let full = pc.heard().iter().filter(|f| **f == [0x1000, -0x1000]).count();
    assert!((4700..=4801).contains(&full), "{full}");
}

#[test]
fn the_pro_plays_bytes_in_stereo_when_its_mixer_says_so() {
    let mut pc = Pc::ready();
    pc.mixer(0x0E, 2);
    pc.buffer(&[0xC0, 0x40].repeat(500));
    pc.dma_8(0x48, 1000);
    pc.dsp(&[0x40, 206, 0x14, 0xE7, 0x03]);
    let start = pc.board.now;
    assert_eq!(pc.pass(SECOND).unwrap().since(start), SECOND / 20);
    assert!(pc.heard().contains(&[0x4000, -0x4000]));
}

#[test]
fn a_pause_stops_the_samples_and_lets_them_go_on() {
    let mut pc = Pc::ready();
    pc.dma_8(0x48, 1000);
    pc.dsp(&[0x41, 0x27, 0x10, 0x14, 0xE7, 0x03]);
    pc.pass(SECOND / 20);
    pc.dsp(&[0xD0]);
    assert!(pc.pass(SECOND).is_none());
    pc.dsp(&[0xD4]);
    let start = pc.board.now;
    let after = pc.pass(SECOND).unwrap().since(start);
    assert!((SECOND / 20 - 1_000_000..=SECOND / 20 + 1_000_000).contains(&after));
}

#[test]
fn silence_is_timed_and_needs_no_channel() {
    let mut pc = Pc::ready();
    pc.dsp(&[0x41, 0x27, 0x10, 0x80, 0xE7, 0x03]);
    let start = pc.board.now;
    assert_eq!(pc.pass(SECOND).unwrap().since(start), SECOND / 10);
}

#[test]
fn packed_samples_unpack() {
    let mut decoder = adpcm::Adpcm::default();
    decoder.start(100);
    // +7: the step grows to 1; −7 there is −15.
    assert_eq!(decoder.decode(adpcm::Packing::Four, 0x7F), ([107, 92, 0, 0], 2));
    // Step 2: +1 is 6; then 0 is 2, and the step shrinks to 1.
    assert_eq!(decoder.decode(adpcm::Packing::Four, 0x10), ([98, 100, 0, 0], 2));
    assert_eq!(decoder.decode(adpcm::Packing::Four, 0x18), ([103, 102, 0, 0], 2));
    decoder.start(100);
    assert_eq!(decoder.decode(adpcm::Packing::TwoSix, 0b0111_1101), ([103, 96, 106, 0], 3));
    decoder.start(100);
    assert_eq!(decoder.decode(adpcm::Packing::Two, 0b01_01_11_10), ([101, 104, 98, 94], 4));
    decoder.start(250);
    assert_eq!(decoder.decode(adpcm::Packing::Four, 0x77).0[1], 255, "kept within a byte");
}

#[test]
fn packed_blocks_begin_with_their_reference() {
    let mut pc = Pc::ready();
    let mut bytes = [0; 101];
    bytes[0] = 0xC0;
    pc.buffer(&bytes);
    pc.dma_8(0x48, 101);
    pc.dsp(&[0x41, 0x4E, 0x20, 0x75, 100, 0]);
    let start = pc.board.now;
    assert_eq!(pc.pass(SECOND).unwrap().since(start), SECOND * 101 / 10_000);
    assert!(pc.heard().iter().any(|f| f[0] >= 0x3F00));
}

#[test]
fn samples_written_one_by_one_are_heard() {
    let mut pc = Pc::ready();
    for n in 0..1000 {
        pc.dsp(&[0x10, if n < 500 { 0xC0 } else { 0x40 }]);
        pc.pass(SECOND / 8000);
    }
    let heard = pc.heard();
    let high = heard.iter().filter(|f| f[0] == 0x4000).count();
    let low = heard.iter().filter(|f| f[0] == -0x4000).count();
    assert!(high > 2000 && low > 1500, "{high} {low}");
}

#[test]
fn volumes_have_two_faces() {
    let mut pc = Pc::ready();
    assert_eq!((pc.mixer_read(0x30), pc.mixer_read(0x22)), (0xF8, 0xFF));
    pc.mixer(0x22, 0x84);
    assert_eq!((pc.mixer_read(0x30), pc.mixer_read(0x31), pc.mixer_read(0x22)), (0x88, 0x48, 0x84));
    pc.mixer(0x32, 0xFF);
    assert_eq!((pc.mixer_read(0x32), pc.mixer_read(0x04)), (0xF8, 0xFF));
    pc.mixer(0x00, 0);
    assert_eq!(pc.mixer_read(0x22), 0xFF);
    // Down by 10 steps of 2 dB: a tenth.
    pc.mixer(0x30, 21 << 3);
    pc.mixer(0x31, 0);
    pc.buffer(&[0xFF; 1000]);
    pc.dma_8(0x48, 1000);
    pc.dsp(&[0x41, 0x27, 0x10, 0x14, 0xE7, 0x03]);
    pc.pass(SECOND / 2);
    let heard = pc.heard();
    let peak = heard.iter().map(|f| f[0]).max().unwrap();
    assert!((3200..3310).contains(&peak), "{peak}");
    assert!(heard.iter().all(|f| f[1] == 0));
}

#[test]
fn the_riddle_goes_to_memory() {
    let mut pc = Pc::ready();
    pc.dma_8(0x44, 2);
    pc.dsp(&[0xE2, 0x00]);
    pc.dsp(&[0xE2, 0xFF]);
    let mut bytes = [0; 2];
    assert!(pc.board.memory.read(BUFFER.into(), &mut bytes));
    // AA − 106, then + 165 + the second row's sum.
    let first = 0xAA_u8.wrapping_sub(106);
    let second = (i16::from(first) + 165 - 1 + 2 - 4 + 8 + 16 - 32 + 64 - 128) as u8;
    assert_eq!(bytes, [first, second]);
}

#[test]
fn recording_gives_silence() {
    let mut pc = Pc::ready();
    pc.dma_8(0x44, 100);
    pc.dsp(&[0x41, 0x27, 0x10, 0x24, 99, 0]);
    assert!(pc.pass(SECOND).is_some());
    let mut bytes = [0; 100];
    assert!(pc.board.memory.read(BUFFER.into(), &mut bytes));
    assert_eq!(bytes, [0x80; 100]);
}

#[test]
fn words_go_through_the_byte_channel_when_no_other_is_selected() {
    let mut pc = Pc::ready();
    pc.mixer(0x81, 0x02);
    pc.buffer(&[0x00, 0x20].repeat(100));
    pc.dma_8(0x48, 200);
    pc.dsp(&[0x41, 0x27, 0x10, 0xB0, 0x10, 99, 0]);
    assert!(pc.pass(SECOND).is_some());
    assert!(pc.heard().contains(&[0x2000; 2]));
}

#[test]
fn case_37_nonsense_is_silent() {
    let mut pc = Pc::ready();
    // A masked channel, no channel, rates beyond all bounds.
    for script in [
        [0x40, 0xFF, 0x14, 0xFF, 0xFF].as_slice(),
        &[0x41, 0, 0, 0xC6, 0x00, 0, 0],
        &[0x41, 0xFF, 0xFF, 0xB6, 0x30, 0, 0],
        &[0x40, 0x00, 0x7D],
        &[0x48, 0, 0, 0x1C],
    ] {
        pc.dsp(script);
        assert!(pc.pass(SECOND / 10).is_none());
    }
    pc.mixer(0x81, 0);
    pc.dsp(&[0x41, 0x27, 0x10, 0x14, 9, 0]);
    assert!(pc.pass(SECOND / 10).is_none());
    assert!(pc.heard().iter().all(|f| *f == [0; 2]));
    // Blocks of one sample: as many interrupts as samples and no more.
    pc.mixer(0x81, 0x22);
    pc.dma_8(0x58, 1);
    pc.dsp(&[0x41, 0xFF, 0xFF, 0xC6, 0x00, 0, 0]);
    let mut interrupts = 0;
    for _ in 0..1000 {
        interrupts += u32::from(pc.pass(20_000).is_some());
        pc.inp(0x22E);
    }
    assert!((1..=1000).contains(&interrupts));
}

#[test]
fn case_37_any_stream_of_commands_is_survived() {
    let mut pc = Pc::ready();
    pc.dma_8(0x58, 300);
    pc.dma_16(0x58, 300);
    let mut seed = 7_u32;
    for _ in 0..50_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = (seed >> 24) as u8;
        match seed >> 16 & 15 {
            0 => pc.out(0x226, value),
            1 => pc.out(0x224, value),
            2 => pc.out(0x225, value),
            3 => {
                pc.inp(0x220 + u16::from(value & 15));
            }
            4 => {
                pc.pass(u64::from(value) * 5000);
            }
            5 => pc.dma_8(if value & 1 != 0 { 0x58 } else { 0x44 }, u16::from(value) + 1),
            _ => pc.out(0x22C, value),
        }
    }
}
