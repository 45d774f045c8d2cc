//! What the user does, queued until the machine asks for it.

use nomad86::devices::ps2::typing::Typing;
use nomad86::host::{Input, InputEvent, Key};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Events that wait at most; what comes while the guest does not look is lost from then on.
const WAITING: usize = 16 * 1024;

/// Typed text comes at this pace: a BIOS keeps 15 keys and drops the others.
const PACE: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Queue {
    /// Events, and whether they keep their distance from the one before.
    events: VecDeque<(InputEvent, bool)>,
    /// When the last event of typed text was taken.
    last: Option<Instant>,
}

/// A queue of events: the clone in [`nomad86::host::Host`] is the machine's, the other the embedder's.
///
/// ```
/// use nomad86::host::Input;
/// use nomad86_host::input::{InputQueue, chord_named};
///
/// let queue = InputQueue::default();
/// let mut machines = queue.clone();
/// queue.chord(&chord_named("ctrl-alt-delete").ok_or("no such keys")?);
/// assert_eq!(queue.waiting(), 6);
/// assert!(machines.next().is_some());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InputQueue(Rc<RefCell<Queue>>);

impl InputQueue {
    /// Appends an event.
    pub fn push(&self, event: InputEvent) {
        self.append(event, false);
    }

    fn append(&self, event: InputEvent, paced: bool) {
        let queue = &mut self.0.borrow_mut().events;
        // There is more room for keys that go up: lost ones would hang in the guest.
        let up = matches!(event, InputEvent::Key { pressed: false, .. });
        if queue.len() < if up { 2 * WAITING } else { WAITING } {
            queue.push_back((event, paced));
        }
    }

    /// Presses keys in their order and releases them in the opposite one.
    pub fn chord(&self, keys: &[Key]) {
        keys.iter().for_each(|&key| self.push(InputEvent::Key { key, pressed: true }));
        keys.iter().rev().for_each(|&key| self.push(InputEvent::Key { key, pressed: false }));
    }

    /// Types text as on a US keyboard.
    pub fn type_text(&self, text: &str) {
        Typing::new(text).for_each(|event| self.append(event, true));
    }

    /// Events that the machine has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.borrow().events.len()
    }
}

impl Input for InputQueue {
    fn next(&mut self) -> Option<InputEvent> {
        let queue = &mut *self.0.borrow_mut();
        let (_, paced) = *queue.events.front()?;
        if paced {
            if queue.last.is_some_and(|last| last.elapsed() < PACE) {
                return None;
            }
            queue.last = Some(Instant::now());
        }
        queue.events.pop_front().map(|(event, _)| event)
    }
}

/// The key of that name: QEMU's (`ctrl`, `ret`, `pgup`) or the W3C's (`ControlLeft`, `Enter`, `PageUp`).
#[must_use]
pub fn key_named(name: &str) -> Option<Key> {
    let lower = name.to_ascii_lowercase();
    if let [c @ (b'a'..=b'z' | b'0'..=b'9')] = lower.as_bytes() {
        return nomad86::devices::ps2::typing::stroke(char::from(*c)).map(|stroke| stroke.key);
    }
    let found = NAMES.iter().find(|(_, names)| names.split(' ').any(|n| n == lower));
    found.map(|(key, _)| *key).or_else(|| {
        let letter = lower.strip_prefix("key").or_else(|| lower.strip_prefix("digit"))?;
        (letter.len() == 1).then(|| key_named(letter))?
    })
}

/// Keys joined by hyphens, such as `ctrl-alt-delete`.
#[must_use]
pub fn chord_named(text: &str) -> Option<Vec<Key>> {
    text.split('-').map(key_named).collect()
}

/// Names of keys that are neither letters nor digits, in lower case.
const NAMES: &[(Key, &str)] = &[
    (Key::Escape, "esc escape"),
    (Key::F1, "f1"),
    (Key::F2, "f2"),
    (Key::F3, "f3"),
    (Key::F4, "f4"),
    (Key::F5, "f5"),
    (Key::F6, "f6"),
    (Key::F7, "f7"),
    (Key::F8, "f8"),
    (Key::F9, "f9"),
    (Key::F10, "f10"),
    (Key::F11, "f11"),
    (Key::F12, "f12"),
    (Key::Backquote, "grave_accent backquote grave"),
    (Key::Minus, "minus"),
    (Key::Equal, "equal"),
    (Key::Backspace, "backspace"),
    (Key::Tab, "tab"),
    (Key::BracketLeft, "bracket_left bracketleft"),
    (Key::BracketRight, "bracket_right bracketright"),
    (Key::Backslash, "backslash"),
    (Key::CapsLock, "caps_lock capslock"),
    (Key::Semicolon, "semicolon"),
    (Key::Quote, "apostrophe quote"),
    (Key::Enter, "ret enter return"),
    (Key::ShiftLeft, "shift shiftleft"),
    (Key::Comma, "comma"),
    (Key::Period, "dot period"),
    (Key::Slash, "slash"),
    (Key::ShiftRight, "shift_r shiftright"),
    (Key::ControlLeft, "ctrl control controlleft"),
    (Key::MetaLeft, "meta_l meta super win metaleft"),
    (Key::AltLeft, "alt altleft"),
    (Key::Space, "spc space"),
    (Key::AltRight, "alt_r altgr altright"),
    (Key::MetaRight, "meta_r metaright"),
    (Key::ContextMenu, "menu compose contextmenu"),
    (Key::ControlRight, "ctrl_r controlright"),
    (Key::PrintScreen, "print sysrq printscreen"),
    (Key::ScrollLock, "scroll_lock scrolllock"),
    (Key::Pause, "pause"),
    (Key::Insert, "insert ins"),
    (Key::Home, "home"),
    (Key::PageUp, "pgup pageup"),
    (Key::Delete, "delete del"),
    (Key::End, "end"),
    (Key::PageDown, "pgdn pagedown"),
    (Key::ArrowUp, "up arrowup"),
    (Key::ArrowLeft, "left arrowleft"),
    (Key::ArrowDown, "down arrowdown"),
    (Key::ArrowRight, "right arrowright"),
    (Key::NumLock, "num_lock numlock"),
    (Key::NumpadDivide, "kp_divide numpaddivide"),
    (Key::NumpadMultiply, "kp_multiply asterisk numpadmultiply"),
    (Key::NumpadSubtract, "kp_subtract numpadsubtract"),
    (Key::NumpadAdd, "kp_add numpadadd"),
    (Key::NumpadEnter, "kp_enter numpadenter"),
    (Key::NumpadDecimal, "kp_decimal numpaddecimal"),
    (Key::Numpad0, "kp_0 numpad0"),
    (Key::Numpad1, "kp_1 numpad1"),
    (Key::Numpad2, "kp_2 numpad2"),
    (Key::Numpad3, "kp_3 numpad3"),
    (Key::Numpad4, "kp_4 numpad4"),
    (Key::Numpad5, "kp_5 numpad5"),
    (Key::Numpad6, "kp_6 numpad6"),
    (Key::Numpad7, "kp_7 numpad7"),
    (Key::Numpad8, "kp_8 numpad8"),
    (Key::Numpad9, "kp_9 numpad9"),
    (Key::IntlBackslash, "less intlbackslash"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_named_as_in_qemu_and_as_in_browsers() {
        let three = Some(vec![Key::ControlLeft, Key::AltLeft, Key::Delete]);
        assert_eq!(chord_named("ctrl-alt-delete"), three);
        assert_eq!(chord_named("ControlLeft-AltLeft-Delete"), three);
        assert_eq!(chord_named("a"), Some(vec![Key::KeyA]));
        assert_eq!(chord_named("KeyZ-Digit7"), Some(vec![Key::KeyZ, Key::Digit7]));
        for bad in ["", "ctrl-", "ctrl-nothing", "ä", "keyab"] {
            assert_eq!(chord_named(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_chord_lets_go_in_the_opposite_order() {
        let ours = InputQueue::default();
        let mut machine = ours.clone();
        ours.chord(&[Key::ShiftLeft, Key::KeyA]);
        let order: Vec<_> = std::iter::from_fn(|| machine.next()).collect();
        let event = |key, pressed| InputEvent::Key { key, pressed };
        assert_eq!(
            order,
            [
                event(Key::ShiftLeft, true),
                event(Key::KeyA, true),
                event(Key::KeyA, false),
                event(Key::ShiftLeft, false)
            ]
        );
    }

    #[test]
    fn a_flood_is_bounded_but_no_key_stays_down() {
        let ours = InputQueue::default();
        for _ in 0..WAITING {
            ours.chord(&[Key::KeyA]);
        }
        let mut machine = ours.clone();
        let mut down = 0i64;
        let mut pressed_events = 0;
        while let Some(InputEvent::Key { pressed, .. }) = machine.next() {
            down += if pressed { 1 } else { -1 };
            pressed_events += usize::from(pressed);
        }
        assert!(down <= 0 && pressed_events <= WAITING);
    }
}
