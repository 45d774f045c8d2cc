//! The user's terminal: raw while the machine has it, and left as it was found, however the program ends.

use nomad86_host::net::bell::Bell;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// The terminal is raw.
static RAW: AtomicBool = AtomicBool::new(false);
/// The terminal shows the machine's screen.
static SCREEN: AtomicBool = AtomicBool::new(false);
/// The signal that asked the program to end.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The program was stopped and goes on: the terminal is not as we left it.
static CONTINUED: AtomicBool = AtomicBool::new(false);

/// A signal asked for the machine's state to be saved.
static SAVE: AtomicBool = AtomicBool::new(false);

/// Alternate screen, no cursor, bracketed paste.
const ENTER: &[u8] = b"\x1B[?1049h\x1B[?25l\x1B[?2004h\x1B[2J";
/// All of it undone: colours, pictures, paste, cursor and its shape, main screen.
const LEAVE: &[u8] = b"\x1B[0m\x1B[?2004l\x1B[0 q\x1B[?25h\x1B[?1049l";

/// Leaves the terminal as it was found. May be called at any time, and more than once.
pub(crate) fn restore() {
    if SCREEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        // Nobody is told if the terminal has gone.
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
    }
    if RAW.swap(false, Ordering::SeqCst) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Has a panic's message appear on a terminal that can show it.
pub(crate) fn restore_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        usual(info);
    }));
}

/// Raw mode, if there is a terminal at both ends.
pub(crate) fn make_raw() -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    RAW.store(true, Ordering::SeqCst);
    crossterm::terminal::enable_raw_mode().is_ok()
}

/// Shows a blank screen in place of what the terminal shows.
pub(crate) fn enter_screen(out: &mut impl Write) -> io::Result<()> {
    SCREEN.store(true, Ordering::SeqCst);
    out.write_all(ENTER)
}

/// Whether the program was stopped and continued since this was asked last; raw mode is back then.
pub(crate) fn continued() -> bool {
    let continued = CONTINUED.swap(false, Ordering::SeqCst);
    if continued && RAW.load(Ordering::SeqCst) {
        // The library believes that the mode is as it left it.
        let _ = crossterm::terminal::disable_raw_mode();
        let _ = crossterm::terminal::enable_raw_mode();
    }
    continued
}

/// The signal that asked the program to end, if one did.
pub(crate) fn signal() -> Option<i32> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        number => Some(number),
    }
}

/// Whether a signal has asked for the machine's state to be saved since this was asked last.
pub(crate) fn asked_to_save() -> bool {
    SAVE.swap(false, Ordering::SeqCst)
}

/// Notes signals that ask the program to end, and rings `bell`. The second one ends it at once.
#[cfg(unix)]
pub(crate) fn watch_signals(bell: Bell) {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGCONT, SIGUSR1])
    else {
        return;
    };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGCONT {
                CONTINUED.store(true, Ordering::SeqCst);
            } else if signal == SIGUSR1 {
                SAVE.store(true, Ordering::SeqCst);
            } else if SIGNAL.swap(signal, Ordering::SeqCst) != 0 {
                restore();
                std::process::exit(128 + signal);
            }
            bell.ring();
        }
    });
}

/// Signals end the program as the system does it.
#[cfg(not(unix))]
pub(crate) fn watch_signals(_bell: Bell) {}

/// Reads standard input on a thread of its own; `bell` rings when there is something. The channel's end is
/// the input's end.
pub(crate) fn reader(bell: Bell) -> Receiver<Vec<u8>> {
    // Few pieces: whoever pipes a file in waits for the guest, and the file is not held in memory.
    let (sender, receiver) = sync_channel(2);
    let _ = std::thread::Builder::new().name("input".into()).spawn(move || {
        let mut buffer = [0; 4096];
        let mut stdin = io::stdin();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if sender.send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                    bell.ring();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}
