//! Messages of the kernel, on the screen and on the serial line.

use crate::screen::Screen;
use crate::serial;
use alloc::format;
use core::cell::RefCell;
use core::fmt;

/// There is one processor, and handlers of interrupts say nothing but their last words.
struct Place(RefCell<Option<Screen>>);

#[allow(unsafe_code)]
// SAFETY: one processor, one thread.
unsafe impl Sync for Place {}

static SCREEN: Place = Place(RefCell::new(None));

/// Gives messages a screen.
pub(crate) fn show_on(screen: Screen) {
    if let Ok(mut place) = SCREEN.0.try_borrow_mut() {
        *place = Some(screen);
    }
}

/// Takes the screen for the guest; messages are on the serial line from then on.
pub(crate) fn take_screen() -> Option<Screen> {
    SCREEN.0.try_borrow_mut().ok().and_then(|mut place| place.take())
}

/// Says a line.
pub(crate) fn say(arguments: fmt::Arguments<'_>) {
    let line = format!("nomad86: {arguments}");
    line.bytes().chain(*b"\r\n").for_each(serial::send);
    if let Ok(mut place) = SCREEN.0.try_borrow_mut()
        && let Some(screen) = &mut *place
    {
        screen.message(&line);
    }
}

/// Says a line, formatted as `format!` does.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::say(format_args!($($argument)*)) };
}
