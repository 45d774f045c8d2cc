//! Text as keys of a US keyboard, for pasted text and scripts.

use super::keys::Key;
use crate::host::InputEvent;
use core::str::Chars;

/// How a character is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stroke {
    /// The key.
    pub key: Key,
    /// With Shift.
    pub shift: bool,
    /// With Ctrl.
    pub control: bool,
}

const LETTERS: [Key; 26] = [
    Key::KeyA,
    Key::KeyB,
    Key::KeyC,
    Key::KeyD,
    Key::KeyE,
    Key::KeyF,
    Key::KeyG,
    Key::KeyH,
    Key::KeyI,
    Key::KeyJ,
    Key::KeyK,
    Key::KeyL,
    Key::KeyM,
    Key::KeyN,
    Key::KeyO,
    Key::KeyP,
    Key::KeyQ,
    Key::KeyR,
    Key::KeyS,
    Key::KeyT,
    Key::KeyU,
    Key::KeyV,
    Key::KeyW,
    Key::KeyX,
    Key::KeyY,
    Key::KeyZ,
];

/// Keys that are not letters with their characters, plain and with Shift.
const OTHERS: [(Key, char, char); 22] = [
    (Key::Digit1, '1', '!'),
    (Key::Digit2, '2', '@'),
    (Key::Digit3, '3', '#'),
    (Key::Digit4, '4', '$'),
    (Key::Digit5, '5', '%'),
    (Key::Digit6, '6', '^'),
    (Key::Digit7, '7', '&'),
    (Key::Digit8, '8', '*'),
    (Key::Digit9, '9', '('),
    (Key::Digit0, '0', ')'),
    (Key::Minus, '-', '_'),
    (Key::Equal, '=', '+'),
    (Key::BracketLeft, '[', '{'),
    (Key::BracketRight, ']', '}'),
    (Key::Backslash, '\\', '|'),
    (Key::Semicolon, ';', ':'),
    (Key::Quote, '\'', '"'),
    (Key::Backquote, '`', '~'),
    (Key::Comma, ',', '<'),
    (Key::Period, '.', '>'),
    (Key::Slash, '/', '?'),
    (Key::Space, ' ', ' '),
];

/// How a character is typed on a US keyboard; `None` when it cannot be. Control characters are Ctrl and a
/// letter, except those with keys of their own.
#[must_use]
pub fn stroke(c: char) -> Option<Stroke> {
    let plain = |key| Some(Stroke { key, shift: false, control: false });
    match c {
        '\n' | '\r' => plain(Key::Enter),
        '\t' => plain(Key::Tab),
        '\x08' | '\x7F' => plain(Key::Backspace),
        '\x1B' => plain(Key::Escape),
        'a'..='z' => plain(LETTERS[c as usize - 'a' as usize]),
        'A'..='Z' => Some(Stroke { key: LETTERS[c as usize - 'A' as usize], shift: true, control: false }),
        '\x01'..='\x1A' => Some(Stroke { key: LETTERS[c as usize - 1], shift: false, control: true }),
        _ => OTHERS.iter().find(|o| o.1 == c || o.2 == c).map(|o| Stroke {
            key: o.0,
            shift: o.1 != c,
            control: false,
        }),
    }
}

/// A text being typed: the events of its keys, one after another. Characters that no key has are left out; a
/// carriage return before a line feed is not typed twice.
///
/// A BIOS keeps 15 keys and drops what comes when it is full: hosts that paste leave some 10 ms of the guest's
/// time between two events.
#[derive(Clone, Debug)]
pub struct Typing<'t> {
    rest: Chars<'t>,
    stroke: Option<Stroke>,
    step: u8,
}

impl<'t> Typing<'t> {
    /// Types `text`.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self { rest: text.chars(), stroke: None, step: 0 }
    }

    /// What has not been begun.
    #[must_use]
    pub fn rest(&self) -> &'t str {
        self.rest.as_str()
    }
}

impl Iterator for Typing<'_> {
    type Item = InputEvent;

    fn next(&mut self) -> Option<InputEvent> {
        loop {
            let Some(stroke) = self.stroke else {
                let c = self.rest.next()?;
                if c == '\r' && self.rest.as_str().starts_with('\n') {
                    continue;
                }
                self.stroke = stroke(c);
                self.step = 0;
                continue;
            };
            let step = self.step;
            self.step += 1;
            // Modifiers go down first and up last.
            let (wanted, key, pressed) = match step {
                0 => (stroke.control, Key::ControlLeft, true),
                1 => (stroke.shift, Key::ShiftLeft, true),
                2 => (true, stroke.key, true),
                3 => (true, stroke.key, false),
                4 => (stroke.shift, Key::ShiftLeft, false),
                _ => {
                    self.stroke = None;
                    (stroke.control, Key::ControlLeft, false)
                }
            };
            if wanted {
                return Some(InputEvent::Key { key, pressed });
            }
        }
    }
}
