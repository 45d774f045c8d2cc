//! Drivers' scripts.

use super::keys::Key;
use super::typing::{Typing, stroke};
use super::*;
use crate::board::Board;
use crate::devices::testing;
use crate::host::Host;
use crate::time::SECOND;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

struct Pc {
    board: Board,
    host: Host,
    ps2: Ps2,
}

impl Pc {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut pc = Self { board: testing::board(&config), host: Host::null(), ps2: Ps2::new(&config) };
        pc.ps2.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc
    }

    /// Set-up as a BIOS leaves it: both devices on, translation.
    fn ready() -> Self {
        let mut pc = Self::new();
        pc.command(0x60);
        pc.data(0x47);
        pc
    }

    /// Without translation.
    fn raw() -> Self {
        let mut pc = Self::new();
        pc.command(0x60);
        pc.data(0x07);
        pc
    }

    fn command(&mut self, value: u8) {
        self.ps2.write(
            0x64,
            Width::Byte,
            value.into(),
            &mut Bus { board: &mut self.board, host: &mut self.host },
        );
    }

    fn data(&mut self, value: u8) {
        self.ps2.write(
            0x60,
            Width::Byte,
            value.into(),
            &mut Bus { board: &mut self.board, host: &mut self.host },
        );
    }

    fn status(&mut self) -> u8 {
        self.ps2.read(0x64, Width::Byte, &mut Bus { board: &mut self.board, host: &mut self.host }) as u8
    }

    fn take(&mut self) -> u8 {
        self.ps2.read(0x60, Width::Byte, &mut Bus { board: &mut self.board, host: &mut self.host }) as u8
    }

    /// Lets `ns` pass.
    fn pass(&mut self, ns: u64) {
        let end = self.board.now + ns;
        while let Some((timer, at)) = self.board.timers.pop(end) {
            assert_eq!(timer, Timer::Ps2);
            self.board.now = self.board.now.max(at);
            self.ps2.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
        }
        self.board.now = end;
    }

    fn input(&mut self, event: InputEvent) {
        self.ps2.input(event, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    fn key(&mut self, key: Key, pressed: bool) {
        self.input(InputEvent::Key { key, pressed });
    }

    /// All that comes within a second, each byte with whether it is the mouse's.
    fn drain(&mut self) -> Vec<(u8, bool)> {
        let mut bytes = Vec::new();
        for _ in 0..2000 {
            self.pass(SECOND / 2000);
            let status = self.status();
            if status & 1 != 0 {
                let mouse = status & 0x20 != 0;
                let line = if mouse { 12 } else { 1 };
                assert_eq!(self.board.irq.levels(), 1 << line, "each byte has its interrupt");
                bytes.push((self.take(), mouse));
                assert_eq!(self.board.irq.levels(), 0);
            }
        }
        bytes
    }

    fn keyboard(&mut self) -> Vec<u8> {
        let bytes = self.drain();
        assert!(bytes.iter().all(|b| !b.1));
        bytes.into_iter().map(|b| b.0).collect()
    }

    fn mouse(&mut self) -> Vec<u8> {
        let bytes = self.drain();
        assert!(bytes.iter().all(|b| b.1));
        bytes.into_iter().map(|b| b.0).collect()
    }

    fn tell_keyboard(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for &byte in bytes {
            self.data(byte);
            all.extend(self.keyboard());
        }
        all
    }

    fn tell_mouse(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for &byte in bytes {
            self.command(0xD4);
            self.data(byte);
            all.extend(self.mouse());
        }
        all
    }

    fn press(&mut self, keys: &[Key]) -> Vec<u8> {
        for &key in keys {
            self.key(key, true);
        }
        for &key in keys.iter().rev() {
            self.key(key, false);
        }
        self.keyboard()
    }
}

#[test]
fn a_bios_tests_the_controller_and_both_lines() {
    let mut pc = Pc::new();
    assert_eq!(pc.status() & 4, 0, "a cold start");
    pc.command(0xAA);
    assert_eq!(pc.status() & 0x29, 0x09);
    assert_eq!(pc.take(), 0x55);
    assert_eq!(pc.status(), 0x1C);
    for command in [0xAB, 0xA9] {
        pc.command(command);
        assert_eq!(pc.take(), 0);
    }
    pc.command(0x60);
    pc.data(0x65);
    assert_eq!(pc.status() & 8, 0, "the last write was data");
    pc.command(0x20);
    assert_eq!(pc.take(), 0x65);
    pc.command(0xA7);
    pc.command(0xAD);
    pc.command(0x20);
    assert_eq!(pc.take(), 0x75);
    pc.command(0xA8);
    pc.command(0xAE);
    pc.command(0x20);
    assert_eq!(pc.take(), 0x45);
    pc.command(0xA4);
    assert_eq!(pc.take(), 0xF1);
    pc.command(0x5F);
    pc.data(0x99);
    pc.command(0x3F);
    assert_eq!(pc.take(), 0x99, "the RAM has 32 bytes");
}

#[test]
fn a_key_comes_in_set_1_through_translation() {
    let mut pc = Pc::ready();
    assert_eq!(pc.press(&[Key::KeyA]), [0x1E, 0x9E]);
    assert_eq!(pc.press(&[Key::ArrowUp]), [0xE0, 0x48, 0xE0, 0xC8]);
    assert_eq!(pc.press(&[Key::F7]), [0x41, 0xC1]);
    assert_eq!(pc.press(&[Key::Escape]), [0x01, 0x81]);
    assert_eq!(pc.press(&[Key::IntlBackslash]), [0x56, 0xD6]);
    assert_eq!(pc.press(&[Key::Pause]), [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5]);
    assert_eq!(pc.press(&[Key::PrintScreen]), [0xE0, 0x2A, 0xE0, 0x37, 0xE0, 0xB7, 0xE0, 0xAA]);
    assert_eq!(pc.press(&[Key::ControlLeft, Key::Pause]), [0x1D, 0xE0, 0x46, 0xE0, 0xC6, 0x9D]);
    assert_eq!(pc.press(&[Key::AltLeft, Key::PrintScreen]), [0x38, 0x54, 0xD4, 0xB8]);
    assert_eq!(pc.press(&[Key::ShiftLeft, Key::PrintScreen]), [0x2A, 0xE0, 0x37, 0xE0, 0xB7, 0xAA]);
}

#[test]
fn a_key_comes_in_set_2_without_translation() {
    let mut pc = Pc::raw();
    assert_eq!(pc.press(&[Key::KeyA]), [0x1C, 0xF0, 0x1C]);
    assert_eq!(pc.press(&[Key::ControlRight]), [0xE0, 0x14, 0xE0, 0xF0, 0x14]);
    assert_eq!(pc.press(&[Key::Pause]), [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77]);
    assert_eq!(pc.press(&[Key::PrintScreen]), [0xE0, 0x12, 0xE0, 0x7C, 0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12]);
}

#[test]
fn a_held_key_repeats_its_make_code() {
    let mut pc = Pc::raw();
    pc.key(Key::KeyA, true);
    pc.key(Key::KeyA, true);
    pc.key(Key::Pause, true);
    pc.key(Key::Pause, true);
    pc.key(Key::KeyA, false);
    pc.key(Key::KeyA, false);
    assert_eq!(pc.keyboard(), [0x1C, 0x1C, 0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77, 0xF0, 0x1C]);
}

#[test]
fn all_sets_can_be_chosen_and_asked_for() {
    let mut pc = Pc::raw();
    assert_eq!(pc.tell_keyboard(&[0xF0, 0]), [0xFA, 0xFA, 2]);
    assert_eq!(pc.tell_keyboard(&[0xF0, 1]), [0xFA, 0xFA]);
    assert_eq!(pc.press(&[Key::Delete]), [0xE0, 0x53, 0xE0, 0xD3]);
    assert_eq!(pc.press(&[Key::F7]), [0x41, 0xC1]);
    assert_eq!(pc.tell_keyboard(&[0xF0, 3, 0xF0, 0]), [0xFA, 0xFA, 0xFA, 0xFA, 3]);
    assert_eq!(pc.press(&[Key::ShiftLeft]), [0x12, 0xF0, 0x12], "Shift makes and breaks");
    assert_eq!(pc.press(&[Key::KeyA]), [0x1C], "letters only make");
    pc.key(Key::F1, true);
    pc.key(Key::F1, true);
    assert_eq!(pc.keyboard(), [0x07], "function keys do not repeat");
    assert_eq!(pc.tell_keyboard(&[0xF8]), [0xFA]);
    assert_eq!(pc.press(&[Key::KeyA]), [0x1C, 0xF0, 0x1C]);
    assert_eq!(pc.tell_keyboard(&[0xFD, 0x1C, 0x1B, 0xF4]), [0xFA; 4]);
    assert_eq!(pc.press(&[Key::KeyA, Key::KeyS, Key::KeyD]), [0x1C, 0x1B, 0x23, 0xF0, 0x23]);
    assert_eq!(pc.press(&[Key::AudioVolumeUp]), [], "not in set 3");
    let mut pc = Pc::ready();
    assert_eq!(pc.tell_keyboard(&[0xF0, 0]), [0xFA, 0xFA, 0x41], "translated like everything");
}

#[test]
fn the_keyboard_answers_its_commands() {
    let mut pc = Pc::raw();
    assert_eq!(pc.tell_keyboard(&[0xFF]), [0xFA, 0xAA]);
    assert_eq!(pc.tell_keyboard(&[0xF2]), [0xFA, 0xAB, 0x83]);
    assert_eq!(pc.tell_keyboard(&[0xEE]), [0xEE]);
    assert_eq!(pc.tell_keyboard(&[0xED, 0x05]), [0xFA, 0xFA]);
    assert_eq!(pc.ps2.leds(), 5);
    assert_eq!(pc.tell_keyboard(&[0xF3, 0x20]), [0xFA, 0xFA]);
    assert_eq!(pc.tell_keyboard(&[0xED, 0xF4]), [0xFA, 0xFA], "a command in place of the argument");
    assert_eq!(pc.ps2.leds(), 5);
    assert_eq!(pc.tell_keyboard(&[0x01]), [0xFE]);
    assert_eq!(pc.tell_keyboard(&[0xF5]), [0xFA]);
    assert_eq!(pc.press(&[Key::KeyA]), []);
    assert_eq!(pc.tell_keyboard(&[0xF4]), [0xFA]);
    assert_eq!(pc.press(&[Key::KeyA]), [0x1C, 0xF0, 0x1C]);
    assert_eq!(pc.tell_keyboard(&[0xFE]), [0x1C], "the last byte again");
    let mut pc = Pc::ready();
    assert_eq!(pc.tell_keyboard(&[0xF2]), [0xFA, 0xAB, 0x41], "translated");
}

#[test]
fn a_switched_off_keyboard_keeps_its_keys() {
    let mut pc = Pc::ready();
    pc.command(0xAD);
    pc.key(Key::KeyA, true);
    assert_eq!(pc.drain(), []);
    pc.command(0xAE);
    assert_eq!(pc.keyboard(), [0x1E]);
}

#[test]
fn without_interrupts_bytes_can_be_polled() {
    let mut pc = Pc::new();
    pc.command(0x60);
    pc.data(0x40);
    pc.key(Key::KeyA, true);
    assert_eq!(pc.status() & 0x21, 1);
    assert_eq!(pc.board.irq.levels(), 0);
    pc.command(0x60);
    pc.data(0x41);
    assert_eq!(pc.board.irq.levels(), 2, "the byte is still there");
    assert_eq!((pc.take(), pc.take()), (0x1E, 0x1E), "the buffer keeps what was read");
}

#[test]
fn bytes_leave_time_between_one_another() {
    let mut pc = Pc::ready();
    pc.key(Key::KeyA, true);
    pc.key(Key::KeyB, true);
    assert_eq!(pc.take(), 0x1E);
    assert_eq!(pc.status() & 1, 0);
    assert_eq!(pc.board.irq.levels(), 0);
    pc.pass(GAP);
    assert_eq!(pc.board.irq.levels(), 2);
    assert_eq!(pc.take(), 0x30);
}

#[test]
fn the_output_port_has_the_a20_gate_and_the_reset_line() {
    let mut pc = Pc::new();
    assert!(pc.board.a20_switch(A20Switch::Keyboard));
    pc.command(0xD0);
    assert_eq!(pc.take() & 3, 3);
    pc.command(0xD1);
    pc.data(0xDD);
    assert!(!pc.board.memory.a20());
    pc.command(0xDF);
    assert!(pc.board.memory.a20());
    pc.command(0xDD);
    assert!(!pc.board.memory.a20());
    assert_eq!(pc.board.request, None);
    pc.command(0xFF);
    assert_eq!(pc.board.request, None, "no bit is pulsed");
    pc.command(0xFE);
    assert_eq!(pc.board.request.take(), Some(Request::ResetCpu));
    pc.command(0xD1);
    pc.data(0xDE);
    assert_eq!(pc.board.request.take(), Some(Request::ResetCpu));
}

#[test]
fn bytes_can_be_passed_off_as_the_devices() {
    let mut pc = Pc::ready();
    pc.command(0xD2);
    pc.data(0x12);
    assert_eq!(pc.drain(), [(0x12, false)]);
    pc.command(0xD3);
    pc.data(0x34);
    assert_eq!(pc.drain(), [(0x34, true)]);
}

#[test]
fn a_mouse_reports_movement_and_buttons() {
    let mut pc = Pc::ready();
    assert_eq!(pc.tell_mouse(&[0xFF]), [0xFA, 0xAA, 0x00]);
    assert_eq!(pc.tell_mouse(&[0xF2]), [0xFA, 0x00]);
    pc.input(InputEvent::Mouse { dx: 5, dy: 5, wheel: 0 });
    assert_eq!(pc.mouse(), [], "not before it is told to report");
    assert_eq!(pc.tell_mouse(&[0xF4]), [0xFA]);
    pc.input(InputEvent::Mouse { dx: 5, dy: 3, wheel: 0 });
    assert_eq!(pc.mouse(), [0x28, 5, 0xFD], "down is negative");
    pc.input(InputEvent::Mouse { dx: -2, dy: -7, wheel: 1 });
    assert_eq!(pc.mouse(), [0x18, 0xFE, 7]);
    pc.input(InputEvent::Buttons(0b11111));
    assert_eq!(pc.mouse(), [0x0F, 0, 0]);
    pc.input(InputEvent::Buttons(0));
    assert_eq!(pc.mouse(), [0x08, 0, 0]);
    pc.input(InputEvent::Mouse { dx: 300, dy: 0, wheel: 0 });
    assert_eq!(pc.mouse(), [0x08, 255, 0, 0x08, 45, 0], "what does not fit follows");
}

#[test]
fn knocks_bring_out_the_wheel_and_more_buttons() {
    let mut pc = Pc::ready();
    pc.tell_mouse(&[0xF3, 200, 0xF3, 100, 0xF3, 80]);
    assert_eq!(pc.tell_mouse(&[0xF2]), [0xFA, 3]);
    pc.tell_mouse(&[0xF4]);
    pc.input(InputEvent::Mouse { dx: 0, dy: 0, wheel: -1 });
    assert_eq!(pc.mouse(), [8, 0, 0, 0xFF]);
    pc.tell_mouse(&[0xF3, 200, 0xF3, 200, 0xF3, 80]);
    assert_eq!(pc.tell_mouse(&[0xF2]), [0xFA, 4]);
    pc.input(InputEvent::Buttons(0b01000));
    assert_eq!(pc.mouse(), [8, 0, 0, 0x10]);
    pc.input(InputEvent::Buttons(0b10001));
    assert_eq!(pc.mouse(), [9, 0, 0, 0x20]);
    pc.input(InputEvent::Mouse { dx: 0, dy: 0, wheel: 10 });
    assert_eq!(pc.mouse(), [9, 0, 0, 0x27, 9, 0, 0, 0x23]);
    assert_eq!(pc.tell_mouse(&[0xFF, 0xF2]), [0xFA, 0xAA, 0, 0xFA, 0]);
}

#[test]
fn a_mouse_keeps_its_sample_rate() {
    let mut pc = Pc::ready();
    pc.tell_mouse(&[0xF3, 20, 0xF4]);
    let mut packets = 0;
    for _ in 0..1000 {
        pc.input(InputEvent::Mouse { dx: 1, dy: 0, wheel: 0 });
        pc.pass(SECOND / 1000);
        while pc.status() & 1 != 0 {
            pc.take();
            packets += 1;
            pc.pass(GAP);
        }
    }
    assert!((18 * 3..=21 * 3).contains(&packets), "{packets} bytes");
}

#[test]
fn a_click_is_not_swallowed_by_the_next() {
    let mut pc = Pc::ready();
    pc.tell_mouse(&[0xF4]);
    let mut clicks = vec![1, 0, 1, 0];
    clicks.reverse();
    let mut packets = Vec::new();
    for _ in 0..300 {
        if pc.ps2.room()
            && let Some(buttons) = clicks.pop()
        {
            pc.input(InputEvent::Buttons(buttons));
        }
        pc.pass(1_000_000);
        if pc.status() & 1 != 0 {
            packets.push(pc.take());
        }
    }
    assert_eq!(packets, [9, 0, 0, 8, 0, 0, 9, 0, 0, 8, 0, 0]);
}

#[test]
fn a_click_of_a_switched_off_mouse_does_not_keep_keys_back() {
    let mut pc = Pc::ready();
    pc.tell_mouse(&[0xF4]);
    pc.command(0xA7);
    pc.input(InputEvent::Buttons(1));
    pc.drain();
    assert!(pc.ps2.room());
    pc.command(0xA8);
    assert!(!pc.ps2.room() || !pc.mouse().is_empty());
}

#[test]
fn remote_and_wrap_modes_and_status() {
    let mut pc = Pc::ready();
    assert_eq!(pc.tell_mouse(&[0xE8, 3, 0xF3, 40, 0xE7]), [0xFA; 5]);
    assert_eq!(pc.tell_mouse(&[0xE9]), [0xFA, 0x10, 3, 40]);
    assert_eq!(pc.tell_mouse(&[0xF0, 0xF4]), [0xFA; 2]);
    pc.input(InputEvent::Mouse { dx: 4, dy: 0, wheel: 0 });
    pc.input(InputEvent::Buttons(0b010));
    assert_eq!(pc.mouse(), []);
    assert_eq!(pc.tell_mouse(&[0xEB]), [0xFA, 0x0A, 4, 0], "no doubling when asked");
    assert_eq!(pc.tell_mouse(&[0xE9]), [0xFA, 0x71, 3, 40]);
    assert_eq!(pc.tell_mouse(&[0xEE, 0x12, 0xF4, 0xEC]), [0xFA, 0x12, 0xF4, 0xFA]);
    assert_eq!(pc.tell_mouse(&[0xEA, 0xF4]), [0xFA; 2]);
    pc.input(InputEvent::Mouse { dx: 5, dy: -3, wheel: 0 });
    assert_eq!(pc.mouse(), [0x0A, 9, 3], "doubled");
    assert_eq!(pc.tell_mouse(&[0xF6, 0xE9]), [0xFA, 0xFA, 0x01, 2, 100]);
    assert_eq!(pc.tell_mouse(&[0x00]), [0xFE]);
}

#[test]
fn text_becomes_keys() {
    let mut pc = Pc::raw();
    let mut bytes = Vec::new();
    for event in Typing::new("aB\r\n?\u{3}☺") {
        pc.input(event);
        bytes.extend(pc.keyboard());
    }
    let expected: [&[u8]; 5] = [
        &[0x1C, 0xF0, 0x1C],
        &[0x12, 0x32, 0xF0, 0x32, 0xF0, 0x12],
        &[0x5A, 0xF0, 0x5A],
        &[0x12, 0x4A, 0xF0, 0x4A, 0xF0, 0x12],
        &[0x14, 0x21, 0xF0, 0x21, 0xF0, 0x14],
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn every_printable_character_has_its_own_stroke() {
    let strokes: Vec<_> = (' '..='~').map(|c| stroke(c).expect("a US keyboard has it")).collect();
    for (n, a) in strokes.iter().enumerate() {
        assert!(!strokes[..n].contains(a), "{a:?}");
    }
    assert_eq!(stroke('ß'), None);
    let typed: String = "x".repeat(300);
    assert_eq!(Typing::new(&typed).count(), 600);
}

#[test]
fn case_39_a_full_queue_says_so_once_and_keeps_whole_sequences() {
    for (set, lost) in [(2, 0x00), (1, 0xFF)] {
        let mut pc = Pc::raw();
        pc.tell_keyboard(&[0xF0, set]);
        while pc.ps2.room() {
            pc.key(Key::ArrowUp, true);
        }
        for _ in 0..1000 {
            pc.key(Key::ArrowUp, true);
        }
        let bytes = pc.keyboard();
        assert!(bytes.len() <= 256);
        assert_eq!(*bytes.last().unwrap(), lost);
        for pair in bytes[..bytes.len() - 1].chunks(2) {
            assert_eq!(pair[0], 0xE0);
            assert_eq!(pair.len(), 2);
        }
        pc.key(Key::ArrowUp, false);
        assert!(!pc.keyboard().is_empty(), "and works on");
    }
}

#[test]
fn case_39_every_command_and_every_byte_to_both_devices_is_survived() {
    let mut pc = Pc::ready();
    for rate in [0, 1, 9, 201, 255] {
        assert_eq!(pc.tell_mouse(&[0xF3, rate]), [0xFA, 0xFC]);
    }
    let mut seed = 1_u32;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (seed >> 24) as u8;
        match seed >> 8 & 7 {
            0 => pc.command(byte),
            1 | 2 => pc.data(byte),
            3 => {
                pc.command(0xD4);
                pc.data(byte);
            }
            4 => {
                pc.take();
            }
            5 => pc.input(InputEvent::Mouse { dx: i16::MIN, dy: byte.into(), wheel: byte as i8 }),
            6 => pc.input(InputEvent::Key { key: Key::Pause, pressed: byte & 1 != 0 }),
            _ => pc.input(InputEvent::Buttons(byte)),
        }
        pc.board.request = None;
        pc.pass(u64::from(byte) * 10_000);
    }
    let mut pc = Pc::ready();
    for command in 0..=255 {
        pc.command(command);
        pc.data(0x5A);
        pc.drain_quietly();
    }
}

impl Pc {
    fn drain_quietly(&mut self) {
        for _ in 0..20 {
            self.pass(GAP);
            self.take();
        }
    }
}
