//! The machine's screen in this terminal.

use crate::args::values::Graphics as Wanted;
use crate::terminal;
use nomad86::machine::Machine;
use nomad86_host::input::InputQueue;
use nomad86_host::render::keyboard::TerminalKeyboard;
use nomad86_host::render::{Colors, Graphics, View};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// From one look at the screen to the next while it changes.
const FRAME: Duration = Duration::from_millis(33);
/// The same while it does not change.
const IDLE: Duration = Duration::from_millis(200);
/// Frames without a change after which it does not change.
const STILL: u32 = 30;

/// The terminal as a screen and a keyboard.
pub(crate) struct TerminalDisplay {
    view: View,
    keyboard: TerminalKeyboard,
    out: Vec<u8>,
    drawn: Instant,
    still: u32,
    size: (u16, u16),
}

impl TerminalDisplay {
    /// Takes the terminal's screen.
    pub(crate) fn open(wanted: Wanted) -> io::Result<Self> {
        let graphics = match wanted {
            Wanted::Auto => Graphics::from_environment(),
            Wanted::Blocks => Graphics::Blocks,
            Wanted::Kitty => Graphics::Kitty,
            Wanted::Sixel => Graphics::Sixel,
        };
        let mut out = io::stdout().lock();
        terminal::enter_screen(&mut out)?;
        out.flush()?;
        Ok(Self {
            view: View::new(Colors::from_environment(), graphics),
            keyboard: TerminalKeyboard::default(),
            out: Vec::new(),
            drawn: Instant::now(),
            still: 0,
            size: (0, 0),
        })
    }

    /// Bytes that the user typed, for the guest's keyboard.
    pub(crate) fn typed(&mut self, bytes: &[u8], keys: &InputQueue) {
        self.still = 0;
        if self.view.is_covered() && !bytes.is_empty() {
            // Any key takes a message away, and does nothing else.
            self.view.lay("");
            return;
        }
        self.keyboard.take(bytes, keys);
    }

    /// Lines for the user, over the picture.
    pub(crate) fn tell(&mut self, text: &str) {
        self.view.lay(text);
        self.still = 0;
    }

    /// The program was stopped and goes on: the screen is taken again.
    pub(crate) fn again(&mut self) -> io::Result<()> {
        self.view.forget();
        terminal::enter_screen(&mut io::stdout())
    }

    /// How long the screen may wait.
    pub(crate) fn patience(&self) -> Duration {
        self.interval().saturating_sub(self.drawn.elapsed())
    }

    fn interval(&self) -> Duration {
        if self.still > STILL { IDLE } else { FRAME }
    }

    /// Shows what is new, when it is time.
    pub(crate) fn show(&mut self, machine: &Machine) -> io::Result<()> {
        if self.drawn.elapsed() < self.interval() {
            return Ok(());
        }
        self.drawn = Instant::now();
        // A terminal that does not tell has the usual size.
        let size = crossterm::terminal::size().ok().filter(|s| s.0 > 0 && s.1 > 0).unwrap_or((80, 25));
        self.out.clear();
        if self.size != size {
            self.size = size;
            self.view.forget();
            self.out.extend_from_slice(b"\x1B[0m\x1B[2J");
        }
        let new = self.view.draw(machine, usize::from(size.0), usize::from(size.1), &mut self.out);
        self.still = if new { 0 } else { self.still.saturating_add(1) };
        if self.out.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&self.out)?;
        out.flush()
    }
}
