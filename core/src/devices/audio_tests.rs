use super::*;
use crate::board::Board;
use crate::devices::pit::Pit;
use crate::devices::testing;
use crate::host::{self, Host};
use alloc::vec::Vec;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<[i16; 2]>>>);

impl host::Audio for Tape {
    fn rate(&self) -> u32 {
        48_000
    }
    fn play(&mut self, frames: &[[i16; 2]]) {
        self.0.lock().unwrap().extend(frames);
    }
}

struct Rig {
    pit: Pit,
    mixer: Mixer,
    board: Board,
    host: Host,
    tape: Tape,
}

impl Rig {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let tape = Tape::default();
        let mut host = Host::null();
        host.audio = Box::new(tape.clone());
        Self {
            pit: Pit::new(&config),
            mixer: Mixer::new(&config),
            board: testing::board(&config),
            host,
            tape,
        }
    }

    fn out(&mut self, port: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.pit.write(port, Width::Byte, value.into(), bus);
    }

    fn run_to(&mut self, ns: u64) {
        while self.board.timers.next() <= Instant(ns) {
            self.board.now = self.board.timers.next();
            let (timer, _) = self.board.timers.pop(self.board.now).unwrap();
            let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
            match timer {
                Timer::Audio => self.mixer.expire(timer, bus),
                _ => self.pit.expire(timer, bus),
            }
        }
        self.board.now = Instant(ns);
    }

    fn played(&self) -> Vec<i16> {
        self.tape.0.lock().unwrap().iter().map(|frame| frame[0]).collect()
    }
}

fn rises(samples: &[i16]) -> usize {
    samples.windows(2).filter(|pair| pair[0] <= 0 && pair[1] > 0).count()
}

#[test]
fn a_beep_has_its_pitch_and_its_length() {
    let mut rig = Rig::new();
    rig.run_to(SECOND);
    // 1000 Hz for half a second, as firmware beeps.
    for (port, value) in [(0x43, 0xB6), (0x42, 0xA9), (0x42, 0x04), (0x61, 3)] {
        rig.out(port, value);
    }
    rig.run_to(SECOND * 3 / 2);
    rig.out(0x61, 0);
    rig.run_to(SECOND * 4);
    let samples = rig.played();
    assert!((24_000..40_000).contains(&samples.len()), "{}", samples.len());
    assert!((499..=502).contains(&rises(&samples[..24_000])), "{}", rises(&samples[..24_000]));
    assert!(
        samples[1000..20_000].iter().any(|&s| s > 3000) && samples[1000..20_000].iter().any(|&s| s < -3000)
    );
    assert!(samples[30_000..].iter().all(|&s| s == 0));
    assert_eq!(rig.board.timers.next(), Instant::FAR, "silence has no deadlines");
}

#[test]
fn a_tone_goes_on_after_a_state_image() {
    let mut rig = Rig::new();
    for (port, value) in [(0x43, 0xB6), (0x42, 0xA9), (0x42, 0x04), (0x61, 3)] {
        rig.out(port, value);
    }
    rig.run_to(SECOND / 10);
    let mut image = Vec::new();
    Archive::save(&mut image, 1).field(&mut rig.board.audio);
    rig.board.audio = Audio::new();
    Archive::load(&image, 1).field(&mut rig.board.audio);
    let before = rig.played().len();
    rig.run_to(SECOND / 5);
    assert!((99..=101).contains(&rises(&rig.played()[before..])));
}

#[test]
fn pulse_widths_become_levels() {
    let mut rig = Rig::new();
    rig.out(0x61, 3);
    rig.out(0x43, 0x90);
    // 8 kHz of one-byte counts in mode 0: a slow saw tooth.
    for n in 0..8000_u64 {
        rig.run_to(n * 125_000);
        rig.out(0x42, (10 + n / 8 % 100) as u8);
    }
    let samples = rig.played();
    let smooth: Vec<i64> =
        samples.chunks(240).map(|c| c.iter().map(|&s| i64::from(s)).sum::<i64>() / 240).collect();
    let falls = smooth.windows(2).filter(|p| p[1] - p[0] > 1500).count();
    assert!((8..=11).contains(&falls), "{falls}");
}

#[test]
fn frames_of_a_card_come_out_at_the_hosts_rate() {
    let mut rig = Rig::new();
    rig.board.audio.voice(Voice::Dac).set_rate(8000);
    for chunk in 0..100_u64 {
        rig.run_to(chunk * CHUNK);
        for n in 0..80 {
            // 400 Hz, loud on the left only.
            let sample = if (n / 10) % 2 == 0 { 8000 } else { -8000 };
            rig.board.audio.voice(Voice::Dac).push([sample, 0]);
        }
        rig.board.audio.wake(rig.board.now, &mut rig.board.timers);
    }
    rig.run_to(2 * SECOND);
    let samples = rig.played();
    let heard = rises(&samples);
    assert!((398..=402).contains(&heard), "{heard}");
    assert!(rig.tape.0.lock().unwrap().iter().all(|frame| frame[1] == 0));
    assert_eq!(*samples.iter().max().unwrap(), 8000);
}

#[test]
fn case_38_a_million_changes_a_second_stay_bounded() {
    let mut rig = Rig::new();
    rig.out(0x43, 0xB6);
    for n in 0..1_000_000_u64 {
        rig.run_to(n * 1000);
        match n % 4 {
            0 => rig.out(0x61, 3),
            1 => rig.out(0x42, n as u8),
            2 => rig.out(0x61, (n >> 3) as u8 & 3),
            _ => rig.out(0x43, 0x90 | (n >> 4) as u8 & 0x3F),
        }
    }
    assert!(rig.played().len() <= 48_000);
    // And it still beeps in tune.
    for (port, value) in [(0x43, 0xB6), (0x42, 0xA9), (0x42, 0x04), (0x61, 3)] {
        rig.out(port, value);
    }
    rig.run_to(SECOND + SECOND / 10);
    let before = rig.played().len();
    rig.run_to(SECOND + SECOND * 2 / 10);
    assert!((99..=101).contains(&rises(&rig.played()[before..])));
}

#[test]
fn case_38_without_a_listener_nothing_piles_up() {
    let mut rig = Rig::new();
    rig.host.audio = Box::new(host::Null);
    for (port, value) in [(0x43, 0xB6), (0x42, 0xA9), (0x42, 0x04)] {
        rig.out(port, value);
    }
    for n in 0..100_000_u64 {
        rig.run_to(n * 10_000);
        rig.out(0x61, if n & 1 == 0 { 3 } else { 0 });
        rig.board.audio.voice(Voice::Dac).push([1, 1]);
        rig.board.audio.wake(rig.board.now, &mut rig.board.timers);
    }
    rig.run_to(2 * SECOND);
    assert!(rig.board.audio.idle());
    assert_eq!(rig.board.timers.next(), Instant::FAR);
}

#[test]
fn who_begins_to_listen_hears_a_tone_that_has_begun_before() {
    let mut rig = Rig::new();
    rig.host.audio = Box::new(host::Null);
    for (port, value) in [(0x43, 0xB6), (0x42, 0xA9), (0x42, 0x04), (0x61, 3)] {
        rig.out(port, value);
    }
    rig.run_to(SECOND);
    rig.host.audio = Box::new(rig.tape.clone());
    rig.run_to(SECOND + SECOND / 4);
    let before = rig.played().len();
    rig.run_to(SECOND + SECOND / 2);
    assert!((249..=251).contains(&rises(&rig.played()[before..])));
}
