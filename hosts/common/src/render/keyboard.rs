//! What a terminal sends as keys of a US keyboard: characters, control characters, and the escape sequences of
//! keys that have no character.

use crate::input::InputQueue;
use nomad86::devices::ps2::typing::stroke;
use nomad86::host::Key;

/// Bytes of a sequence at most; longer ones are none.
const LONGEST: usize = 24;
const PASTE_BEGINS: &[u8] = b"[200~";
const PASTE_ENDS: &[u8] = b"\x1B[201~";

/// Turns a terminal's bytes into keys.
#[derive(Clone, Debug, Default)]
pub struct TerminalKeyboard {
    /// Bytes that are not a whole character or sequence yet.
    rest: Vec<u8>,
    pasting: bool,
}

impl TerminalKeyboard {
    /// Takes bytes as they came in one piece; a lone escape at its end is the Escape key.
    pub fn take(&mut self, bytes: &[u8], keys: &InputQueue) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut at = &rest[..];
        while !at.is_empty() {
            match self.one(at, keys) {
                0 => break,
                used => at = at.get(used..).unwrap_or_default(),
            }
        }
        if at.len() < LONGEST || self.pasting {
            self.rest = at.to_vec();
        }
    }

    /// Takes what stands at the beginning; the number of bytes used, 0 when more must come first.
    fn one(&mut self, bytes: &[u8], keys: &InputQueue) -> usize {
        if self.pasting {
            return self.paste(bytes, keys);
        }
        match bytes {
            [0x1B] => {
                keys.chord(&[Key::Escape]);
                1
            }
            [0x1B, b'[' | b'O', ..] => self.sequence(bytes, keys),
            [0x1B, 0x1B, ..] => {
                keys.chord(&[Key::Escape]);
                1
            }
            // Alt puts an escape before the character.
            [0x1B, rest @ ..] => match character(rest) {
                Some((c, used)) => {
                    press(keys, c, &[Key::AltLeft]);
                    1 + used
                }
                None => 0,
            },
            [0, ..] => {
                keys.chord(&[Key::ControlLeft, Key::Space]);
                1
            }
            [0x1C..=0x1F, ..] => {
                let key = [Key::Backslash, Key::BracketRight, Key::Digit6, Key::Minus];
                keys.chord(&[Key::ControlLeft, key[usize::from(bytes[0] - 0x1C)]]);
                1
            }
            _ => match character(bytes) {
                Some((c, used)) => {
                    press(keys, c, &[]);
                    used
                }
                None => 0,
            },
        }
    }

    fn paste(&mut self, bytes: &[u8], keys: &InputQueue) -> usize {
        let end = bytes.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS);
        // What might be the beginning of the end waits.
        let keep = (1..PASTE_ENDS.len()).rev().find(|&n| bytes.ends_with(&PASTE_ENDS[..n])).unwrap_or(0);
        let text = &bytes[..end.unwrap_or(bytes.len() - keep)];
        keys.type_text(&String::from_utf8_lossy(text));
        match end {
            Some(at) => {
                self.pasting = false;
                at + PASTE_ENDS.len()
            }
            None => text.len(),
        }
    }

    /// `ESC [ parameters final` or `ESC O final`.
    fn sequence(&mut self, bytes: &[u8], keys: &InputQueue) -> usize {
        let body = &bytes[1..];
        let Some(length) = body.iter().skip(1).position(|b| matches!(b, 0x40..=0x7E)) else {
            // Alt and a bracket, when nothing follows.
            if body.len() == 1 {
                press(keys, char::from(body[0]), &[Key::AltLeft]);
                return 2;
            }
            return if bytes.len() < LONGEST { 0 } else { bytes.len() };
        };
        // Linux's console sends ESC [ [ A for F1.
        let length = length + if body.starts_with(b"[[") { 1 } else { 0 };
        let Some(body) = body.get(..length + 2) else { return 0 };
        if body == PASTE_BEGINS {
            self.pasting = true;
        } else if let Some((key, modifiers)) = meaning(body) {
            let held = [(1, Key::ShiftLeft), (2, Key::AltLeft), (4, Key::ControlLeft)];
            let mut chord: Vec<Key> =
                held.iter().filter(|(bit, _)| modifiers & bit != 0).map(|(_, key)| *key).collect();
            chord.push(key);
            keys.chord(&chord);
        }
        1 + body.len()
    }
}

/// The first character; `None` when it is not whole.
fn character(bytes: &[u8]) -> Option<(char, usize)> {
    let length = match bytes.first()? {
        0..=0x7F => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return Some(('\u{FFFD}', 1)),
    };
    let whole = bytes.get(..length)?;
    let c = std::str::from_utf8(whole).ok().and_then(|text| text.chars().next());
    Some((c.unwrap_or('\u{FFFD}'), if c.is_some() { length } else { 1 }))
}

fn press(keys: &InputQueue, c: char, with: &[Key]) {
    let Some(stroke) = stroke(c) else { return };
    let mut chord = with.to_vec();
    chord.extend(stroke.control.then_some(Key::ControlLeft));
    chord.extend(stroke.shift.then_some(Key::ShiftLeft));
    chord.push(stroke.key);
    keys.chord(&chord);
}

/// The key of a sequence and its modifiers: 1 Shift, 2 Alt, 4 Ctrl.
fn meaning(body: &[u8]) -> Option<(Key, u8)> {
    const FUNCTION: [Key; 12] = [
        Key::F1,
        Key::F2,
        Key::F3,
        Key::F4,
        Key::F5,
        Key::F6,
        Key::F7,
        Key::F8,
        Key::F9,
        Key::F10,
        Key::F11,
        Key::F12,
    ];
    let (last, parameters) = body.get(1..)?.split_last()?;
    if parameters == b"[" {
        return FUNCTION.get(usize::from(last.checked_sub(b'A')?)).map(|key| (*key, 0));
    }
    let mut numbers =
        parameters.split(|b| *b == b';').map(|n| std::str::from_utf8(n).ok()?.parse::<u8>().ok());
    let first = numbers.next().flatten();
    let modifiers = numbers.next().flatten().map_or(0, |n| n.saturating_sub(1) & 7);
    let key = match (last, first) {
        (b'A', _) => Key::ArrowUp,
        (b'B', _) => Key::ArrowDown,
        (b'C', _) => Key::ArrowRight,
        (b'D', _) => Key::ArrowLeft,
        (b'H', _) | (b'~', Some(1 | 7)) => Key::Home,
        (b'F', _) | (b'~', Some(4 | 8)) => Key::End,
        (b'~', Some(2)) => Key::Insert,
        (b'~', Some(3)) => Key::Delete,
        (b'~', Some(5)) => Key::PageUp,
        (b'~', Some(6)) => Key::PageDown,
        (b'~', Some(n @ 11..=15)) => FUNCTION[usize::from(n - 11)],
        (b'~', Some(n @ 17..=21)) => FUNCTION[usize::from(n - 12)],
        (b'~', Some(n @ 23..=24)) => FUNCTION[usize::from(n - 13)],
        (b'P'..=b'S', _) => FUNCTION[usize::from(last - b'P')],
        (b'Z', _) => return Some((Key::Tab, 1)),
        (b'E', _) => Key::Numpad5,
        _ => return None,
    };
    Some((key, modifiers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nomad86::host::{Input, InputEvent};

    /// Keys that went down, and whether all came up again.
    fn pressed(pieces: &[&[u8]]) -> Vec<Key> {
        let (mut keyboard, mut keys) = (TerminalKeyboard::default(), InputQueue::default());
        let mut down = Vec::new();
        let mut held = 0;
        for piece in pieces {
            keyboard.take(piece, &keys);
        }
        while keys.waiting() > 0 {
            match keys.next() {
                Some(InputEvent::Key { key, pressed: true }) => {
                    down.push(key);
                    held += 1;
                }
                Some(_) => held -= 1,
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        assert_eq!(held, 0);
        down
    }

    #[test]
    fn characters_are_keys() {
        assert_eq!(pressed(&[b"a"]), [Key::KeyA]);
        assert_eq!(pressed(&[b"A\r"]), [Key::ShiftLeft, Key::KeyA, Key::Enter]);
        assert_eq!(pressed(&[b"\x03"]), [Key::ControlLeft, Key::KeyC]);
        assert_eq!(pressed(&[b"\x7F\t"]), [Key::Backspace, Key::Tab]);
        assert_eq!(pressed(&["ä€".as_bytes()]), [], "no key of ours");
        assert_eq!(pressed(&[&"ä".as_bytes()[..1], &"äb".as_bytes()[1..]]), [Key::KeyB]);
    }

    #[test]
    fn sequences_are_keys_even_in_pieces() {
        assert_eq!(pressed(&[b"\x1B[A\x1BOB"]), [Key::ArrowUp, Key::ArrowDown]);
        assert_eq!(pressed(&[b"\x1B[1;5C"]), [Key::ControlLeft, Key::ArrowRight]);
        assert_eq!(pressed(&[b"\x1B[1", b"5~"]), [Key::F5]);
        assert_eq!(pressed(&[b"\x1BOP\x1B[24~\x1B[[B"]), [Key::F1, Key::F12, Key::F2]);
        assert_eq!(pressed(&[b"\x1B[Z"]), [Key::ShiftLeft, Key::Tab]);
        assert_eq!(pressed(&[b"\x1B"]), [Key::Escape]);
        assert_eq!(pressed(&[b"\x1Bx"]), [Key::AltLeft, Key::KeyX]);
        assert_eq!(pressed(&[b"\x1B[99;99zq"]), [Key::KeyQ], "unknown ones are left out");
    }

    #[test]
    fn pasted_text_is_typed_and_not_obeyed() {
        let keys = pressed(&[b"\x1B[200~l", b"s\x1B[20", b"1~x"]);
        assert_eq!(keys, [Key::KeyL, Key::KeyS, Key::KeyX]);
    }

    #[test]
    fn noise_is_bounded() {
        let (mut keyboard, keys) = (TerminalKeyboard::default(), InputQueue::default());
        for n in 0..100_000_u32 {
            keyboard.take(&[0x1B, b'[', b'0' + (n % 10) as u8, (n * 7) as u8], &keys);
            assert!(keyboard.rest.len() <= LONGEST);
        }
    }
}
