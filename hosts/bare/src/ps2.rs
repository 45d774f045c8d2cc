//! The PC's own keyboard and mouse as the guest's.
//!
//! Spec: IBM PS/2 Technical Reference (8042; scan code set 1); Microsoft, Keyboard Scan Code Specification.
//! Not driven: keyboards and mice on USB, beyond what firmware shows as PS/2.

use crate::interrupts::{self, KEYBOARD, MOUSE};
use crate::port::{in8, out8};
use alloc::collections::VecDeque;
use nomad86::host::{Input, InputEvent, Key};

/// Looks at a controller that does not get ready.
const PATIENCE: u32 = 100_000;

/// Keys of set 1 without prefix, from code 1 on.
const PLAIN: [Option<Key>; 0x58] = {
    use Key::*;
    let keys = [
        Escape,
        Digit1,
        Digit2,
        Digit3,
        Digit4,
        Digit5,
        Digit6,
        Digit7,
        Digit8,
        Digit9,
        Digit0,
        Minus,
        Equal,
        Backspace,
        Tab,
        KeyQ,
        KeyW,
        KeyE,
        KeyR,
        KeyT,
        KeyY,
        KeyU,
        KeyI,
        KeyO,
        KeyP,
        BracketLeft,
        BracketRight,
        Enter,
        ControlLeft,
        KeyA,
        KeyS,
        KeyD,
        KeyF,
        KeyG,
        KeyH,
        KeyJ,
        KeyK,
        KeyL,
        Semicolon,
        Quote,
        Backquote,
        ShiftLeft,
        Backslash,
        KeyZ,
        KeyX,
        KeyC,
        KeyV,
        KeyB,
        KeyN,
        KeyM,
        Comma,
        Period,
        Slash,
        ShiftRight,
        NumpadMultiply,
        AltLeft,
        Space,
        CapsLock,
        F1,
        F2,
        F3,
        F4,
        F5,
        F6,
        F7,
        F8,
        F9,
        F10,
        NumLock,
        ScrollLock,
        Numpad7,
        Numpad8,
        Numpad9,
        NumpadSubtract,
        Numpad4,
        Numpad5,
        Numpad6,
        NumpadAdd,
        Numpad1,
        Numpad2,
        Numpad3,
        Numpad0,
        NumpadDecimal,
    ];
    let mut table = [None; 0x58];
    let mut n = 0;
    while n < keys.len() {
        table[n] = Some(keys[n]);
        n += 1;
    }
    table[0x55] = Some(IntlBackslash);
    table[0x56] = Some(F11);
    table[0x57] = Some(F12);
    table
};

/// Keys of set 1 that come without prefix but beyond the table, and those with E0.
const OTHERS: [(u8, Key); 5] = [
    (0x70, Key::KanaMode),
    (0x73, Key::IntlRo),
    (0x79, Key::Convert),
    (0x7B, Key::NonConvert),
    (0x7D, Key::IntlYen),
];
const EXTENDED: [(u8, Key); 29] = [
    (0x1C, Key::NumpadEnter),
    (0x1D, Key::ControlRight),
    (0x35, Key::NumpadDivide),
    (0x37, Key::PrintScreen),
    (0x38, Key::AltRight),
    (0x46, Key::Pause),
    (0x47, Key::Home),
    (0x48, Key::ArrowUp),
    (0x49, Key::PageUp),
    (0x4B, Key::ArrowLeft),
    (0x4D, Key::ArrowRight),
    (0x4F, Key::End),
    (0x50, Key::ArrowDown),
    (0x51, Key::PageDown),
    (0x52, Key::Insert),
    (0x53, Key::Delete),
    (0x5B, Key::MetaLeft),
    (0x5C, Key::MetaRight),
    (0x5D, Key::ContextMenu),
    (0x10, Key::MediaTrackPrevious),
    (0x19, Key::MediaTrackNext),
    (0x20, Key::AudioVolumeMute),
    (0x22, Key::MediaPlayPause),
    (0x24, Key::MediaStop),
    (0x2E, Key::AudioVolumeDown),
    (0x30, Key::AudioVolumeUp),
    (0x5E, Key::Power),
    (0x5F, Key::Sleep),
    (0x63, Key::WakeUp),
];

fn listed(list: &[(u8, Key)], code: u8) -> Option<Key> {
    list.iter().find(|(other, _)| *other == code).map(|(_, key)| *key)
}

fn ready_to_write() -> bool {
    (0..PATIENCE).any(|_| in8(0x64) & 2 == 0)
}

fn read() -> Option<u8> {
    (0..PATIENCE).any(|_| in8(0x64) & 1 != 0).then(|| in8(0x60))
}

fn command(command: u8) {
    if ready_to_write() {
        out8(0x64, command);
    }
}

fn data(byte: u8) {
    if ready_to_write() {
        out8(0x60, byte);
    }
}

/// Sends a byte to the mouse; whether it acknowledges.
fn mouse(byte: u8) -> bool {
    command(0xD4);
    data(byte);
    read() == Some(0xFA)
}

/// Keyboard and mouse.
pub(crate) struct Ps2 {
    extended: bool,
    /// Bytes of Pause (E1 1D 45) that are still to come.
    pause: u8,
    packet: [u8; 4],
    filled: usize,
    packet_size: usize,
    buttons: u8,
    queue: VecDeque<InputEvent>,
}

impl Ps2 {
    /// Sets up the controller, saying what is not there.
    pub(crate) fn init() -> Self {
        // Both ports off, what waits thrown away.
        command(0xAD);
        command(0xA7);
        while in8(0x64) & 1 != 0 && in8(0x64) != 0xFF {
            in8(0x60);
        }
        command(0x20);
        let config = read();
        // Interrupts of both, and scan codes translated to set 1.
        let config = config.map(|config| config & !0x30 | 0x43);
        let mut packet_size = 0;
        if let Some(config) = config {
            command(0x60);
            data(config & !3);
            command(0xA8);
            // Defaults; the rates that make a wheel appear; its identity; data on.
            if mouse(0xF6) {
                for rate in [200, 100, 80] {
                    let _ = mouse(0xF3) && mouse(rate);
                }
                let wheel = mouse(0xF2) && read() == Some(3);
                packet_size = if wheel { 4 } else { 3 };
                mouse(0xF4);
            } else {
                crate::log!("mouse: none answers; the guest's stands still");
            }
            command(0x60);
            data(config);
            command(0xAE);
            interrupts::unmask(1);
            interrupts::unmask(12);
        } else {
            crate::log!("keyboard: there is no PS/2 controller; the guest hears no keys");
        }
        Self {
            extended: false,
            pause: 0,
            packet: [0; 4],
            filled: 0,
            packet_size,
            buttons: 0,
            queue: VecDeque::with_capacity(8),
        }
    }

    fn key(&mut self, byte: u8) -> Option<InputEvent> {
        if self.pause > 0 {
            self.pause -= 1;
            let pressed = byte & 0x80 == 0;
            return (self.pause == 0).then_some(InputEvent::Key { key: Key::Pause, pressed });
        }
        match byte {
            0xE0 => {
                self.extended = true;
                return None;
            }
            0xE1 => {
                self.pause = 2;
                return None;
            }
            _ => {}
        }
        let (code, pressed) = (byte & 0x7F, byte & 0x80 == 0);
        let key = if core::mem::take(&mut self.extended) {
            // 2A and 36 are shifts that the keyboard makes up around others.
            listed(&EXTENDED, code)?
        } else {
            let plain = PLAIN.get(usize::from(code).wrapping_sub(1)).copied().flatten();
            plain.or_else(|| listed(&OTHERS, code))?
        };
        Some(InputEvent::Key { key, pressed })
    }

    fn mouse(&mut self, byte: u8) {
        // The first byte of a packet has bit 3 set.
        if self.packet_size == 0 || self.filled == 0 && byte & 8 == 0 {
            return;
        }
        self.packet[self.filled] = byte;
        self.filled += 1;
        if self.filled < self.packet_size {
            return;
        }
        self.filled = 0;
        let [flags, x, y, z] = self.packet;
        let wide = |low: u8, sign: u8| i16::from(low) - if flags & sign != 0 { 256 } else { 0 };
        let (dx, dy) = (wide(x, 0x10), -wide(y, 0x20));
        let wheel = if self.packet_size == 4 { z as i8 } else { 0 };
        if (dx, dy, wheel) != (0, 0, 0) {
            self.queue.push_back(InputEvent::Mouse { dx, dy, wheel });
        }
        if flags & 7 != self.buttons {
            self.buttons = flags & 7;
            self.queue.push_back(InputEvent::Buttons(self.buttons));
        }
    }
}

impl Input for Ps2 {
    fn next(&mut self) -> Option<InputEvent> {
        while let Some(byte) = KEYBOARD.pop() {
            if let Some(event) = self.key(byte) {
                return Some(event);
            }
        }
        while self.queue.is_empty()
            && let Some(byte) = MOUSE.pop()
        {
            self.mouse(byte);
        }
        self.queue.pop_front()
    }
}
