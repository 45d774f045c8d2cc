//! The machine's screen as a terminal is to show it now.

use super::canvas::{Canvas, Cell, Colors};
use super::{blocks, kitty, sixel, text};
use crate::screenshot::Picture;
use nomad86::machine::Machine;
use std::io::Write;

/// How graphics are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Graphics {
    /// As half-blocks: every terminal with colours has them.
    Blocks,
    /// Through kitty's protocol.
    Kitty,
    /// As sixels.
    Sixel,
}

impl Graphics {
    /// The best that the environment says the terminal has.
    #[must_use]
    pub fn from_environment() -> Self {
        let value = |name| std::env::var(name).unwrap_or_default();
        let (term, program) = (value("TERM"), value("TERM_PROGRAM"));
        if !value("KITTY_WINDOW_ID").is_empty()
            || term.contains("kitty")
            || matches!(program.as_str(), "ghostty" | "WezTerm")
        {
            Self::Kitty
        } else if ["foot", "mlterm", "contour"].iter().any(|name| term.starts_with(name))
            || term.contains("sixel")
        {
            Self::Sixel
        } else {
            Self::Blocks
        }
    }
}

/// What a terminal shows of a machine.
pub struct View {
    colors: Colors,
    graphics: Graphics,
    canvas: Canvas,
    /// The last picture that was sent whole.
    sent: Option<Picture>,
    /// Lines that lie over the picture.
    overlay: Vec<String>,
    cursor: Option<Option<(usize, usize)>>,
}

impl View {
    /// A view that has shown nothing yet.
    #[must_use]
    pub fn new(colors: Colors, graphics: Graphics) -> Self {
        Self { colors, graphics, canvas: Canvas::default(), sent: None, overlay: Vec::new(), cursor: None }
    }

    /// Lays lines of text over the picture; none takes them away.
    pub fn lay(&mut self, lines: &str) {
        self.overlay = lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    }

    /// Whether lines lie over the picture.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// The terminal shows something else now: all is sent again.
    pub fn forget(&mut self) {
        self.canvas.forget();
        self.sent = None;
        self.cursor = None;
    }

    /// Appends what a terminal of that size is to be sent; whether anything is new.
    pub fn draw(&mut self, machine: &Machine, columns: usize, rows: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.canvas.begin(columns, rows);
        let text = machine.devices.vga.text_screen(&machine.board.memory);
        let cursor = match &text {
            Some(screen) => {
                self.end_picture(out);
                text::draw(screen, &mut self.canvas)
            }
            None => {
                self.picture(machine, columns, rows, out);
                None
            }
        };
        for (row, line) in self.overlay.iter().enumerate() {
            let padded = line.chars().chain(std::iter::repeat(' ')).take(columns);
            for (column, character) in padded.enumerate() {
                let cell = Cell { character, foreground: 0, background: 0xFF_FFFF, blink: false };
                self.canvas.put(column, row, cell);
            }
        }
        if text.is_some() || self.graphics == Graphics::Blocks || self.is_covered() {
            self.canvas.finish(self.colors, out);
        }
        if self.cursor != Some(cursor) || out.len() > start {
            self.cursor = Some(cursor);
            // Writing to memory does not fail.
            let _ = match cursor {
                Some((column, row)) => write!(out, "\x1B[{};{}H\x1B[?25h", row + 1, column + 1),
                None => write!(out, "\x1B[?25l"),
            };
        }
        out.len() > start
    }

    fn picture(&mut self, machine: &Machine, columns: usize, rows: usize, out: &mut Vec<u8>) {
        let picture = Picture::of(machine);
        if self.graphics == Graphics::Blocks || self.is_covered() {
            // Cells cannot lie over a picture that is sent whole.
            self.end_picture(out);
            return blocks::draw(&picture, &mut self.canvas);
        }
        if self.sent.as_ref() == Some(&picture) {
            return;
        }
        let resized = self
            .sent
            .as_ref()
            .is_none_or(|sent| (sent.width, sent.height) != (picture.width, picture.height));
        if resized {
            out.extend_from_slice(b"\x1B[0m\x1B[2J");
            self.canvas.forget();
        }
        match self.graphics {
            Graphics::Kitty => kitty::draw(&picture, columns, rows, out),
            _ => sixel::draw(&picture, out),
        }
        self.sent = Some(picture);
    }

    /// Takes a picture away that was sent whole.
    fn end_picture(&mut self, out: &mut Vec<u8>) {
        if self.sent.take().is_some() {
            if self.graphics == Graphics::Kitty {
                out.extend_from_slice(kitty::CLEAR);
            }
            out.extend_from_slice(b"\x1B[0m\x1B[2J");
            self.canvas.forget();
        }
    }
}
