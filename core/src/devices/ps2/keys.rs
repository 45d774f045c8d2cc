//! Keys by their place on the keyboard, named as in the W3C's UI Events `code` values.

macro_rules! keys {
    ($($name:ident)*) => {
        /// A key of a 105-key keyboard and its usual extras.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Key {
            $($name,)*
        }

        impl Key {
            /// All keys.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The key that browsers call `code`.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    Escape F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6
    Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP
    BracketLeft BracketRight Backslash CapsLock KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon
    Quote Enter ShiftLeft KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight ControlLeft
    MetaLeft AltLeft Space AltRight MetaRight ContextMenu ControlRight PrintScreen ScrollLock Pause Insert
    Home PageUp Delete End PageDown ArrowUp ArrowLeft ArrowDown ArrowRight NumLock NumpadDivide
    NumpadMultiply NumpadSubtract Numpad7 Numpad8 Numpad9 NumpadAdd Numpad4 Numpad5 Numpad6 Numpad1 Numpad2
    Numpad3 NumpadEnter Numpad0 NumpadDecimal IntlBackslash IntlRo IntlYen Convert NonConvert KanaMode
    Lang1 Lang2 AudioVolumeMute AudioVolumeDown AudioVolumeUp MediaPlayPause MediaStop MediaTrackNext
    MediaTrackPrevious Power Sleep WakeUp
}
