//! Keyboard and mouse on their way to the guest, and the window's own keys among them.

use nomad86::host::{InputEvent, Key};
use nomad86_host::input::InputQueue;

/// What the window's own keys do, each with Ctrl and Alt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shortcut {
    Capture,
    FullScreen,
    Scaling,
    Paste,
    Screenshot,
    Save,
    Pause,
    Close,
    Help,
    Resize(i8),
}

/// Keys that mean something to the window with Ctrl and Alt; all others are the guest's.
const SHORTCUTS: [(Key, Shortcut); 12] = [
    (Key::KeyG, Shortcut::Capture),
    (Key::Enter, Shortcut::FullScreen),
    (Key::KeyI, Shortcut::Scaling),
    (Key::KeyV, Shortcut::Paste),
    (Key::KeyP, Shortcut::Screenshot),
    (Key::KeyS, Shortcut::Save),
    (Key::Space, Shortcut::Pause),
    (Key::KeyQ, Shortcut::Close),
    (Key::KeyH, Shortcut::Help),
    (Key::Equal, Shortcut::Resize(1)),
    (Key::Minus, Shortcut::Resize(-1)),
    (Key::Digit0, Shortcut::Resize(0)),
];

/// What the window's keys are, for `--help`-minded people: shown by Ctrl-Alt-H.
pub(crate) const HELP: &str = "\
The mouse is the guest's after a click into the window.

Ctrl-Alt-G  take or release the mouse
Ctrl-Alt-Enter  full screen
Ctrl-Alt-I  whole multiples or smooth scaling
Ctrl-Alt-+  Ctrl-Alt--  Ctrl-Alt-0  size of the window
Ctrl-Alt-V  type the clipboard's text
Ctrl-Alt-P  write the screen to a file
Ctrl-Alt-S  write the machine's state to a file
Ctrl-Alt-Space  stop, go on
Ctrl-Alt-Q  press the power button; twice: end the machine";

/// Keys and buttons that are down, and whose the mouse is.
pub(crate) struct Controls {
    input: InputQueue,
    /// Keys that the guest believes to be down.
    held: Vec<Key>,
    /// Ctrl and Alt keys that are down on the host.
    modifiers: Vec<Key>,
    buttons: u8,
    pub(crate) captured: bool,
}

impl Controls {
    pub(crate) const fn new(input: InputQueue) -> Self {
        Self { input, held: Vec::new(), modifiers: Vec::new(), buttons: 0, captured: false }
    }

    /// A key went down or up, or repeats.
    pub(crate) fn key(&mut self, key: Key, pressed: bool) -> Option<Shortcut> {
        let control = |key: &Key| matches!(key, Key::ControlLeft | Key::ControlRight);
        // The right one is AltGr, which Windows' guests send with a Ctrl of its own.
        let alt = |key: &Key| matches!(key, Key::AltLeft);
        self.modifiers.retain(|held| *held != key);
        if pressed && (control(&key) || alt(&key)) {
            self.modifiers.push(key);
        }
        if pressed
            && self.modifiers.iter().any(control)
            && self.modifiers.iter().any(alt)
            && let Some((_, shortcut)) = SHORTCUTS.iter().find(|(place, _)| *place == key)
        {
            // The guest must not take what follows for chords with Ctrl and Alt.
            self.release();
            return Some(*shortcut);
        }
        let held = self.held.iter().position(|held| *held == key);
        match (held, pressed) {
            (None, true) => self.held.push(key),
            (Some(place), false) => drop(self.held.swap_remove(place)),
            // Its press was a shortcut.
            (None, false) => return None,
            (Some(_), true) => {}
        }
        self.input.push(InputEvent::Key { key, pressed });
        None
    }

    /// Lets go of all keys and buttons, as the window will not hear of it.
    pub(crate) fn release(&mut self) {
        for key in self.held.drain(..) {
            self.input.push(InputEvent::Key { key, pressed: false });
        }
        if std::mem::take(&mut self.buttons) != 0 {
            self.input.push(InputEvent::Buttons(0));
        }
    }

    /// The window is no longer the one that keys go to.
    pub(crate) fn unfocus(&mut self) {
        self.release();
        self.modifiers.clear();
    }

    /// A mouse button went down or up.
    pub(crate) fn button(&mut self, bit: u8, pressed: bool) {
        let buttons = if pressed { self.buttons | bit } else { self.buttons & !bit };
        if self.captured && buttons != self.buttons {
            self.buttons = buttons;
            self.input.push(InputEvent::Buttons(buttons));
        }
    }

    /// The mouse moved.
    pub(crate) fn moved(&self, dx: i32, dy: i32, wheel: i32) {
        if self.captured {
            let limit = |n: i32| n.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            let wheel = wheel.clamp(i8::MIN.into(), i8::MAX.into()) as i8;
            self.input.push(InputEvent::Mouse { dx: limit(dx), dy: limit(dy), wheel });
        }
    }

    /// Types text as on a US keyboard.
    pub(crate) fn paste(&mut self, text: &str) {
        self.release();
        self.input.type_text(text);
    }

    pub(crate) fn power_button(&self) {
        self.input.push(InputEvent::Power);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nomad86::host::Input;

    fn down(key: Key) -> InputEvent {
        InputEvent::Key { key, pressed: true }
    }

    fn up(key: Key) -> InputEvent {
        InputEvent::Key { key, pressed: false }
    }

    fn taken(queue: &mut InputQueue) -> Vec<InputEvent> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn shortcuts_are_not_the_guests_and_leave_no_key_down_in_it() {
        let mut queue = InputQueue::default();
        let mut controls = Controls::new(queue.clone());
        assert_eq!(controls.key(Key::ControlLeft, true), None);
        assert_eq!(controls.key(Key::AltLeft, true), None);
        assert_eq!(controls.key(Key::KeyV, true), Some(Shortcut::Paste));
        controls.paste("a");
        for key in [Key::KeyV, Key::AltLeft, Key::ControlLeft] {
            assert_eq!(controls.key(key, false), None);
        }
        // Typed text is paced as a typist's.
        let (mut order, begun) = (taken(&mut queue), std::time::Instant::now());
        while order.len() < 6 && begun.elapsed() < std::time::Duration::from_secs(5) {
            std::thread::sleep(std::time::Duration::from_millis(5));
            order.extend(taken(&mut queue));
        }
        let (ctrl, alt) = (Key::ControlLeft, Key::AltLeft);
        assert_eq!(order, [down(ctrl), down(alt), up(ctrl), up(alt), down(Key::KeyA), up(Key::KeyA)]);
    }

    #[test]
    fn chords_that_are_not_the_windows_are_the_guests() {
        let mut queue = InputQueue::default();
        let mut controls = Controls::new(queue.clone());
        for key in [Key::ControlRight, Key::AltLeft, Key::Delete] {
            assert_eq!(controls.key(key, true), None);
        }
        assert_eq!(taken(&mut queue), [down(Key::ControlRight), down(Key::AltLeft), down(Key::Delete)]);
        controls.unfocus();
        assert_eq!(taken(&mut queue), [up(Key::ControlRight), up(Key::AltLeft), up(Key::Delete)]);
        assert_eq!(
            controls.key(Key::KeyG, true),
            None,
            "Ctrl and Alt went up while another window had the keys"
        );
    }

    #[test]
    fn held_keys_repeat() {
        let mut queue = InputQueue::default();
        let mut controls = Controls::new(queue.clone());
        for pressed in [true, true, false, false] {
            controls.key(Key::KeyX, pressed);
        }
        assert_eq!(taken(&mut queue), [down(Key::KeyX), down(Key::KeyX), up(Key::KeyX)]);
    }

    #[test]
    fn the_mouse_is_the_guests_only_while_captured() {
        let mut queue = InputQueue::default();
        let mut controls = Controls::new(queue.clone());
        controls.moved(1, 2, 0);
        controls.button(1, true);
        assert!(taken(&mut queue).is_empty());
        controls.captured = true;
        controls.button(1, true);
        controls.moved(100_000, -3, 1);
        controls.release();
        assert_eq!(
            taken(&mut queue),
            [
                InputEvent::Buttons(1),
                InputEvent::Mouse { dx: i16::MAX, dy: -3, wheel: 1 },
                InputEvent::Buttons(0)
            ]
        );
    }
}
