//! The keyboard at the far end of the first port.

use super::codes::{Codes, codes, set_3_type, translate};
use super::keys::Key;
use super::queue::Queue;

/// Replies.
const ACK: u8 = 0xFA;
const RESEND: u8 = 0xFE;
const BAT_PASSED: u8 = 0xAA;
const ECHO: u8 = 0xEE;
const ID: [u8; 2] = [0xAB, 0x83];

/// Bytes that the longest sequence of one key takes (Pause, and PrintScreen in set 2).
const LONGEST: usize = 8;

/// The keyboard.
pub(super) struct Keyboard {
    /// Codes of keys.
    codes: Queue<128>,
    /// Answers to commands, which go first.
    replies: Queue<16>,
    set: u8,
    scanning: bool,
    leds: u8,
    typematic: u8,
    /// Command whose argument comes next; 0 for none.
    command: u8,
    last_sent: u8,
    /// Keys that are down, a bit for each [`Key`].
    down: [u64; 2],
    /// In set 3, keys by their code that repeat and that send a break code.
    repeats: [u64; 4],
    breaks: [u64; 4],
    /// Keys were lost and the guest has not been told.
    overrun: bool,
}
archive_fields!(Keyboard {
    codes,
    replies,
    set,
    scanning,
    leds,
    typematic,
    command,
    last_sent,
    down,
    repeats,
    breaks,
    overrun
});

impl Keyboard {
    pub(super) fn new() -> Self {
        let mut keyboard = Self {
            codes: Queue::new(),
            replies: Queue::new(),
            set: 2,
            scanning: true,
            leds: 0,
            typematic: 0,
            command: 0,
            last_sent: 0,
            down: [0; 2],
            repeats: [0; 4],
            breaks: [0; 4],
            overrun: false,
        };
        keyboard.set_defaults();
        keyboard
    }

    fn set_defaults(&mut self) {
        self.codes.clear();
        self.overrun = false;
        self.set = 2;
        // 500 ms, 10.9 characters per second.
        self.typematic = 0x2B;
        for code in 0..=255 {
            let (repeats, breaks) = set_3_type(code);
            put(&mut self.repeats, code, repeats);
            put(&mut self.breaks, code, breaks);
        }
    }

    /// Scroll, Num and Caps Lock in bits 0, 1 and 2.
    pub(super) const fn leds(&self) -> u8 {
        self.leds
    }

    /// Whether any key's sequence fits into the queue.
    pub(super) const fn room(&self) -> bool {
        self.codes.free() > 2 * LONGEST
    }

    pub(super) const fn has_byte(&self) -> bool {
        !self.replies.is_empty() || !self.codes.is_empty() && self.command == 0
    }

    /// The next byte for the controller.
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = match self.replies.pop() {
            Some(byte) => byte,
            None if self.command == 0 => self.codes.pop()?,
            None => return None,
        };
        self.last_sent = byte;
        Some(byte)
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.replies.push(bytes);
    }

    /// A byte from the controller.
    pub(super) fn write(&mut self, byte: u8) {
        // What had not been fetched of the answer before is lost.
        self.replies.clear();
        let command = core::mem::take(&mut self.command);
        match (command, byte) {
            (0xED, 0..0x80) => {
                self.leds = byte & 7;
                self.reply(&[ACK]);
            }
            (0xF0, 0) => self.reply(&[ACK, self.set]),
            (0xF0, 1..=3) => {
                self.set = byte;
                self.codes.clear();
                self.reply(&[ACK]);
            }
            (0xF3, 0..0x80) => {
                self.typematic = byte;
                self.reply(&[ACK]);
            }
            (0xFB..=0xFD, 0..=0x8F) => {
                // More keys may follow until the next command.
                put(&mut self.repeats, byte, command == 0xFB);
                put(&mut self.breaks, byte, command == 0xFC);
                self.reply(&[ACK]);
                self.command = command;
            }
            _ => self.execute(byte),
        }
    }

    fn execute(&mut self, command: u8) {
        match command {
            0xED | 0xF0 | 0xF3 => {
                self.command = command;
                self.reply(&[ACK]);
            }
            0xEE => self.reply(&[ECHO]),
            0xF2 => {
                self.reply(&[ACK]);
                self.reply(&ID);
            }
            0xF4 => {
                self.codes.clear();
                self.scanning = true;
                self.reply(&[ACK]);
            }
            0xF5 => {
                self.set_defaults();
                self.scanning = false;
                self.reply(&[ACK]);
            }
            0xF6 => {
                self.set_defaults();
                self.reply(&[ACK]);
            }
            0xF7..=0xFA => {
                self.repeats = [if matches!(command, 0xF7 | 0xFA) { u64::MAX } else { 0 }; 4];
                self.breaks = [if matches!(command, 0xF8 | 0xFA) { u64::MAX } else { 0 }; 4];
                self.reply(&[ACK]);
            }
            0xFB..=0xFD => {
                self.command = command;
                self.scanning = false;
                self.reply(&[ACK]);
            }
            0xFE => self.reply(&[self.last_sent]),
            0xFF => {
                self.set_defaults();
                self.scanning = true;
                self.leds = 0;
                self.down = [0; 2];
                self.reply(&[ACK, BAT_PASSED]);
            }
            _ => self.reply(&[RESEND]),
        }
    }

    /// A key went down (or repeats) or up.
    pub(super) fn key(&mut self, key: Key, pressed: bool) {
        let (word, bit) = (key as usize / 64 % 2, 1 << (key as usize % 64));
        let held = self.down[word] & bit != 0;
        if pressed {
            self.down[word] |= bit;
        } else {
            self.down[word] &= !bit;
        }
        if !self.scanning || !pressed && !held {
            return;
        }
        let mut sequence = Sequence { bytes: [0; LONGEST], len: 0 };
        if self.set == 3 {
            self.set_3(codes(key).set_3, pressed, held, &mut sequence);
        } else {
            self.sets_1_and_2(key, pressed, held, &mut sequence);
        }
        let sequence = &sequence.bytes[..sequence.len];
        let lost = if self.set == 1 { 0xFF } else { 0x00 };
        // One place is kept for the byte that says that keys were lost.
        if self.codes.free() > sequence.len() {
            self.codes.push(sequence);
            self.overrun = false;
        } else if !self.overrun {
            self.overrun = self.codes.push(&[lost]);
        }
    }

    const fn is_down(&self, key: Key) -> bool {
        self.down[key as usize / 64 % 2] >> (key as usize % 64) & 1 != 0
    }

    fn sets_1_and_2(&self, key: Key, pressed: bool, held: bool, out: &mut Sequence) {
        let control = self.is_down(Key::ControlLeft) || self.is_down(Key::ControlRight);
        let shift = self.is_down(Key::ShiftLeft) || self.is_down(Key::ShiftRight);
        let alt = self.is_down(Key::AltLeft) || self.is_down(Key::AltRight);
        let fake_shift = Codes { extended: true, ..codes(Key::ShiftLeft) };
        match key {
            Key::Pause => {
                // All of it when it goes down, and no repetition.
                if !pressed || held {
                } else if control {
                    out.code(self.set, codes(Key::Pause), true);
                    out.code(self.set, codes(Key::Pause), false);
                } else {
                    for make in [true, false] {
                        out.push(0xE1);
                        out.code(self.set, codes(Key::ControlLeft), make);
                        out.code(self.set, codes(Key::NumLock), make);
                    }
                }
            }
            Key::PrintScreen if alt => {
                out.code(self.set, Codes { set_2: 0x84, extended: false, set_3: 0 }, pressed)
            }
            Key::PrintScreen if !control && !shift => {
                if pressed {
                    if !held {
                        out.code(self.set, fake_shift, true);
                    }
                    out.code(self.set, codes(key), true);
                } else {
                    out.code(self.set, codes(key), false);
                    out.code(self.set, fake_shift, false);
                }
            }
            // Two Korean keys send one byte when they go down.
            Key::Lang1 | Key::Lang2 => {
                if pressed {
                    out.push(codes(key).set_2);
                }
            }
            _ => out.code(self.set, codes(key), pressed),
        }
    }

    fn set_3(&self, code: u8, pressed: bool, held: bool, out: &mut Sequence) {
        if code == 0 {
        } else if !pressed {
            if bit(&self.breaks, code) {
                out.push(0xF0);
                out.push(code);
            }
        } else if !held || bit(&self.repeats, code) {
            out.push(code);
        }
    }
}

fn put(bits: &mut [u64; 4], at: u8, value: bool) {
    let word = &mut bits[usize::from(at) / 64];
    *word = *word & !(1 << (at % 64)) | u64::from(value) << (at % 64);
}

fn bit(bits: &[u64; 4], at: u8) -> bool {
    bits[usize::from(at) / 64] >> (at % 64) & 1 != 0
}

/// What one key sends.
struct Sequence {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Sequence {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn code(&mut self, set: u8, codes: Codes, make: bool) {
        if codes.extended {
            self.push(0xE0);
        }
        if set == 1 {
            self.push(translate(codes.set_2) | u8::from(!make) << 7);
        } else {
            if !make {
                self.push(0xF0);
            }
            self.push(codes.set_2);
        }
    }
}
