//! A terminal's cells: what is to be shown is compared with what is shown, and only differences are sent.

use std::io::Write;

/// Which colours a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colors {
    /// 16,777,216 of them.
    True,
    /// The 256 of xterm: a cube of six levels and a ramp of grey.
    Palette,
}

impl Colors {
    /// What the environment says of the terminal.
    #[must_use]
    pub fn from_environment() -> Self {
        let value = |name| std::env::var(name).unwrap_or_default();
        let deep = matches!(value("COLORTERM").as_str(), "truecolor" | "24bit");
        if deep || value("TERM").ends_with("-direct") { Self::True } else { Self::Palette }
    }

    /// The parameters that select a colour behind 38 or 48.
    fn select(self, color: u32, out: &mut Vec<u8>) {
        let [_, r, g, b] = color.to_be_bytes();
        // Writing to memory does not fail.
        let _ = match self {
            Self::True => write!(out, "2;{r};{g};{b}"),
            Self::Palette => write!(out, "5;{}", nearest(r, g, b)),
        };
    }
}

/// The nearest of xterm's colours 16 to 255.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    let level = |value: u8| match value {
        0..=47 => 0,
        48..=114 => 1,
        _ => (value - 35) / 40,
    };
    let shown = |level: u8| if level == 0 { 0 } else { 55 + 40 * i32::from(level) };
    let distance =
        |a: [i32; 3]| [r, g, b].iter().zip(a).map(|(x, y)| (i32::from(*x) - y).pow(2)).sum::<i32>();
    let cube = [level(r), level(g), level(b)];
    let grey = ((i32::from(r) + i32::from(g) + i32::from(b)) / 3 - 3).clamp(0, 235) / 10;
    let grey = grey.min(23) as u8;
    let tone = 8 + 10 * i32::from(grey);
    if distance([tone; 3]) < distance(cube.map(shown)) {
        232 + grey
    } else {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    }
}

/// A cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// What it shows.
    pub character: char,
    /// `0x00RRGGBB`.
    pub foreground: u32,
    /// `0x00RRGGBB`.
    pub background: u32,
    /// It blinks.
    pub blink: bool,
}

impl Cell {
    /// Nothing.
    pub const BLANK: Self = Self { character: ' ', foreground: 0, background: 0, blink: false };
    /// What no terminal shows: differs from everything.
    const UNKNOWN: Self = Self { character: '\0', ..Self::BLANK };
}

/// The cells of a terminal.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    columns: usize,
    rows: usize,
    shown: Vec<Cell>,
    wanted: Vec<Cell>,
}

impl Canvas {
    /// Starts a new picture for a terminal of that size; a terminal of another size is drawn afresh.
    pub fn begin(&mut self, columns: usize, rows: usize) {
        if (self.columns, self.rows) != (columns, rows) {
            (self.columns, self.rows) = (columns, rows);
            self.forget();
        }
        self.wanted.clear();
        self.wanted.resize(columns * rows, Cell::BLANK);
    }

    /// The terminal shows something else: all is sent again.
    pub fn forget(&mut self) {
        self.shown.clear();
        self.shown.resize(self.columns * self.rows, Cell::UNKNOWN);
    }

    /// Columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Wants a cell; those outside are clipped.
    pub fn put(&mut self, column: usize, row: usize, cell: Cell) {
        if column < self.columns
            && let Some(place) = self.wanted.get_mut(row * self.columns + column)
        {
            *place = cell;
        }
    }

    /// Appends what changes the terminal into what is wanted.
    pub fn finish(&mut self, colors: Colors, out: &mut Vec<u8>) {
        let mut style: Option<(u32, u32, bool)> = None;
        for row in 0..self.rows {
            // Where the terminal's cursor is, as far as that is known.
            let mut at = None;
            for column in 0..self.columns {
                let n = row * self.columns + column;
                let cell = self.wanted[n];
                if self.shown[n] == cell {
                    continue;
                }
                self.shown[n] = cell;
                if at != Some(column) {
                    let _ = write!(out, "\x1B[{};{}H", row + 1, column + 1);
                }
                let wanted = (cell.foreground, cell.background, cell.blink);
                if style != Some(wanted) {
                    out.extend_from_slice(if cell.blink { b"\x1B[0;5;38;" } else { b"\x1B[0;38;" });
                    colors.select(cell.foreground, out);
                    out.extend_from_slice(b";48;");
                    colors.select(cell.background, out);
                    out.push(b'm');
                    style = Some(wanted);
                }
                out.extend_from_slice(cell.character.encode_utf8(&mut [0; 4]).as_bytes());
                // Terminals differ in how wide they show symbols.
                let sure = cell.character.is_ascii() || matches!(cell.character, '\u{2500}'..='\u{259F}');
                at = sure.then_some(column + 1);
            }
        }
        if style.is_some() {
            out.extend_from_slice(b"\x1B[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(canvas: &mut Canvas, cells: &[(usize, usize, char)]) -> String {
        canvas.begin(4, 2);
        for &(column, row, character) in cells {
            canvas.put(column, row, Cell { character, foreground: 0xFF_FFFF, ..Cell::BLANK });
        }
        let mut out = Vec::new();
        canvas.finish(Colors::True, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_changes_is_sent() {
        let mut canvas = Canvas::default();
        let first = drawn(&mut canvas, &[(0, 0, 'a'), (1, 0, 'b')]);
        assert!(first.starts_with("\x1B[1;1H\x1B[0;38;2;255;255;255;48;2;0;0;0mab"), "{first:?}");
        assert_eq!(drawn(&mut canvas, &[(0, 0, 'a'), (1, 0, 'b')]), "");
        let style = "\x1B[0;38;2;255;255;255;48;2;0;0;0m";
        let changed = drawn(&mut canvas, &[(0, 0, 'a'), (1, 0, 'c'), (9, 9, 'x')]);
        assert_eq!(changed, format!("\x1B[1;2H{style}c\x1B[0m"));
        canvas.forget();
        assert!(drawn(&mut canvas, &[(0, 0, 'a'), (1, 0, 'c')]).contains("ac"));
    }

    #[test]
    fn the_place_is_said_again_behind_symbols_of_unsure_width() {
        let mut canvas = Canvas::default();
        let text = drawn(&mut canvas, &[(0, 0, '☺'), (1, 0, 'b'), (0, 1, '│'), (1, 1, 'b')]);
        assert!(text.contains("☺\x1B[1;2Hb") && text.contains("│b"), "{text:?}");
    }

    #[test]
    fn the_nearest_of_256_colours() {
        for (color, index) in
            [([0, 0, 0], 16), ([255, 255, 255], 231), ([255, 0, 0], 196), ([168, 0, 0], 124)]
        {
            assert_eq!(nearest(color[0], color[1], color[2]), index);
        }
        assert_eq!(nearest(0x80, 0x80, 0x80), 244);
    }
}
