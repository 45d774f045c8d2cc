//! The mouse at the far end of the second port: a PS/2 mouse that becomes an IntelliMouse with a wheel and
//! then one with five buttons when the driver knocks with the agreed sample rates.

use super::queue::Queue;
use crate::time::{Instant, SECOND};

const ACK: u8 = 0xFA;
const ERROR: u8 = 0xFC;
const RESEND: u8 = 0xFE;
const BAT_PASSED: u8 = 0xAA;

/// Kinds by the identity that they answer.
const PLAIN: u8 = 0;
const WHEEL: u8 = 3;
const FIVE_BUTTONS: u8 = 4;

const DEFAULT_RATE: u8 = 100;
const DEFAULT_RESOLUTION: u8 = 2;
/// What is not fetched adds up to at most this.
const FAR: i32 = 0x1_0000;

/// The mouse.
pub(super) struct Mouse {
    /// Answers and packets.
    bytes: Queue<32>,
    kind: u8,
    /// The last sample rates, newest last: knocks.
    knocks: [u8; 3],
    rate: u8,
    resolution: u8,
    double: bool,
    reporting: bool,
    remote: bool,
    wrap: bool,
    /// Command whose argument comes next; 0 for none.
    command: u8,
    last_sent: u8,
    /// Movement since the last packet: right, up, towards the user.
    x: i32,
    y: i32,
    z: i32,
    buttons: u8,
    sent_buttons: u8,
    /// No packet before this.
    next_sample: Instant,
}
archive_fields!(Mouse {
    bytes,
    kind,
    knocks,
    rate,
    resolution,
    double,
    reporting,
    remote,
    wrap,
    command,
    last_sent,
    x,
    y,
    z,
    buttons,
    sent_buttons,
    next_sample
});

impl Mouse {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Queue::new(),
            kind: PLAIN,
            knocks: [0; 3],
            rate: DEFAULT_RATE,
            resolution: DEFAULT_RESOLUTION,
            double: false,
            reporting: false,
            remote: false,
            wrap: false,
            command: 0,
            last_sent: 0,
            x: 0,
            y: 0,
            z: 0,
            buttons: 0,
            sent_buttons: 0,
            next_sample: Instant::ZERO,
        }
    }

    fn set_defaults(&mut self) {
        self.rate = DEFAULT_RATE;
        self.resolution = DEFAULT_RESOLUTION;
        self.double = false;
        self.reporting = false;
        self.remote = false;
        self.forget();
    }

    fn forget(&mut self) {
        (self.x, self.y, self.z) = (0, 0, 0);
    }

    const fn streams(&self) -> bool {
        self.reporting && !self.remote && !self.wrap
    }

    /// Whether another change of buttons would not swallow one that the guest has not seen.
    pub(super) const fn room(&self) -> bool {
        !self.streams() || self.buttons == self.sent_buttons
    }

    pub(super) fn moved(&mut self, dx: i16, dy: i16, wheel: i8) {
        self.x = (self.x + i32::from(dx)).clamp(-FAR, FAR);
        self.y = (self.y - i32::from(dy)).clamp(-FAR, FAR);
        self.z = (self.z + i32::from(wheel)).clamp(-FAR, FAR);
    }

    pub(super) const fn set_buttons(&mut self, buttons: u8) {
        self.buttons = buttons & 0x1F;
    }

    const fn has_news(&self) -> bool {
        self.x != 0
            || self.y != 0
            || self.z != 0 && self.kind != PLAIN
            || self.buttons & self.button_mask() != self.sent_buttons & self.button_mask()
    }

    const fn button_mask(&self) -> u8 {
        if self.kind == FIVE_BUTTONS { 0x1F } else { 0x07 }
    }

    /// When the next byte can be taken: at once, later, or never.
    pub(super) fn ready(&self, now: Instant) -> Option<Instant> {
        if !self.bytes.is_empty() {
            Some(now)
        } else if self.streams() && self.command == 0 && self.has_news() {
            Some(self.next_sample.max(now))
        } else {
            None
        }
    }

    /// The next byte for the controller.
    pub(super) fn take(&mut self, now: Instant) -> Option<u8> {
        if self.bytes.is_empty()
            && self.streams()
            && self.command == 0
            && self.has_news()
            && self.next_sample <= now
        {
            self.packet(self.double);
            self.next_sample = now + SECOND / u64::from(self.rate.max(1));
        }
        let byte = self.bytes.pop()?;
        self.last_sent = byte;
        Some(byte)
    }

    /// Appends a packet and forgets what it told.
    fn packet(&mut self, double: bool) {
        let (x, x_over) = part(&mut self.x, double);
        let (y, y_over) = part(&mut self.y, double);
        let z = self.z.clamp(-8, 7);
        self.z -= z;
        let first = 8
            | self.buttons & 7
            | u8::from(x < 0) << 4
            | u8::from(y < 0) << 5
            | u8::from(x_over) << 6
            | u8::from(y_over) << 7;
        let fourth =
            if self.kind == FIVE_BUTTONS { z as u8 & 0xF | (self.buttons & 0x18) << 1 } else { z as u8 };
        let packet = [first, x as u8, y as u8, fourth];
        let len = if self.kind == PLAIN { 3 } else { 4 };
        if self.kind == PLAIN {
            self.z = 0;
        }
        self.bytes.push(&packet[..len]);
        self.sent_buttons = self.buttons;
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.bytes.push(bytes);
    }

    /// A byte from the controller.
    pub(super) fn write(&mut self, byte: u8) {
        self.bytes.clear();
        if self.wrap && !matches!(byte, 0xEC | 0xFF) {
            self.reply(&[byte]);
            return;
        }
        match core::mem::take(&mut self.command) {
            0xE8 if byte <= 3 => {
                self.resolution = byte;
                self.reply(&[ACK]);
            }
            0xF3 if matches!(byte, 10..=200) => {
                self.rate = byte;
                self.knock(byte);
                self.reply(&[ACK]);
            }
            // Drivers try rates that no mouse has; it keeps its own.
            0xE8 | 0xF3 => self.reply(&[ERROR]),
            _ => self.execute(byte),
        }
    }

    fn execute(&mut self, command: u8) {
        match command {
            0xE6 | 0xE7 => self.double = command == 0xE7,
            0xE8 | 0xF3 => self.command = command,
            0xE9 => {
                let buttons = self.buttons;
                let status = u8::from(self.remote) << 6
                    | u8::from(self.reporting) << 5
                    | u8::from(self.double) << 4
                    | (buttons & 1) << 2
                    | (buttons & 4) >> 1
                    | (buttons & 2) >> 1;
                return self.reply(&[ACK, status, self.resolution, self.rate]);
            }
            0xEA => {
                self.remote = false;
                self.forget();
            }
            0xEB => {
                self.reply(&[ACK]);
                return self.packet(false);
            }
            0xEC => self.wrap = false,
            0xEE => self.wrap = true,
            0xF0 => {
                self.remote = true;
                self.forget();
            }
            0xF2 => return self.reply(&[ACK, self.kind]),
            0xF4 => {
                self.reporting = true;
                self.forget();
            }
            0xF5 => self.reporting = false,
            0xF6 => self.set_defaults(),
            0xFE => {
                let last = self.last_sent;
                return self.reply(&[last]);
            }
            0xFF => {
                self.set_defaults();
                self.wrap = false;
                self.kind = PLAIN;
                self.knocks = [0; 3];
                return self.reply(&[ACK, BAT_PASSED, PLAIN]);
            }
            _ => return self.reply(&[RESEND]),
        }
        self.reply(&[ACK]);
    }

    fn knock(&mut self, rate: u8) {
        self.knocks = [self.knocks[1], self.knocks[2], rate];
        match self.knocks {
            [200, 100, 80] => self.kind = WHEEL,
            [200, 200, 80] => self.kind = FIVE_BUTTONS,
            _ => {}
        }
    }
}

/// As much of a movement as one packet tells: nine bits, and whether it was more. Doubled movements lose
/// what did not fit.
fn part(sum: &mut i32, double: bool) -> (i32, bool) {
    if !double {
        let told = (*sum).clamp(-256, 255);
        *sum -= told;
        return (told, false);
    }
    let moved = core::mem::take(sum);
    let scaled = match moved.unsigned_abs() {
        0 => 0,
        1 | 2 => 1,
        3 => 3,
        4 => 6,
        5 => 9,
        n => 2 * n as i32,
    } * moved.signum();
    let told = scaled.clamp(-256, 255);
    (told, told != scaled)
}
