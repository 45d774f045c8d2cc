//! A text mode as cells of a terminal.

use super::canvas::{Canvas, Cell};
use nomad86::devices::vga::TextScreen;

/// Draws the screen; where the terminal is too small, the part around the cursor. Returns the terminal's
/// column and row of the cursor.
pub(super) fn draw(screen: &TextScreen, canvas: &mut Canvas) -> Option<(usize, usize)> {
    let (columns, rows) = (canvas.columns(), canvas.rows());
    let (x, y) = screen.cursor.unwrap_or((0, screen.rows.saturating_sub(1)));
    let first = |size: usize, room: usize, at: usize| {
        if size <= room { 0 } else { (at + 1).saturating_sub(room).min(size - room) }
    };
    let left = first(screen.columns, columns, x);
    let top = first(screen.rows, rows, y);
    for row in 0..rows.min(screen.rows) {
        for column in 0..columns.min(screen.columns) {
            let n = (top + row) * screen.columns + left + column;
            let (Some(&character), Some(&attribute)) = (screen.characters.get(n), screen.attributes.get(n))
            else {
                continue;
            };
            let blink = screen.blink && attribute & 0x80 != 0;
            let background = if screen.blink { attribute >> 4 & 7 } else { attribute >> 4 };
            let cell = Cell {
                // A terminal would obey control characters.
                character: if character.is_control() { ' ' } else { character },
                foreground: screen.colors[usize::from(attribute & 15)],
                background: screen.colors[usize::from(background)],
                blink,
            };
            canvas.put(column, row, cell);
        }
    }
    screen
        .cursor
        .map(|(x, y)| (x.wrapping_sub(left), y.wrapping_sub(top)))
        .filter(|c| c.0 < columns && c.1 < rows)
}

#[cfg(test)]
mod tests {
    use super::super::Colors;
    use super::*;

    fn screen() -> TextScreen {
        let mut screen = TextScreen {
            columns: 10,
            rows: 4,
            characters: vec![' '; 40],
            attributes: vec![0x07; 40],
            colors: [0; 16],
            blink: true,
            cursor: Some((9, 3)),
        };
        screen.colors[7] = 0xAA_AAAA;
        screen.colors[4] = 0xAA_0000;
        for (n, c) in "0123456789".chars().enumerate() {
            screen.characters[30 + n] = c;
        }
        screen
    }

    fn drawn(screen: &TextScreen, columns: usize, rows: usize) -> (String, Option<(usize, usize)>) {
        let mut canvas = Canvas::default();
        canvas.begin(columns, rows);
        let cursor = draw(screen, &mut canvas);
        let mut out = Vec::new();
        canvas.finish(Colors::True, &mut out);
        (String::from_utf8(out).unwrap(), cursor)
    }

    #[test]
    fn all_is_shown_where_there_is_room_and_the_cursors_part_where_not() {
        let (text, cursor) = drawn(&screen(), 12, 5);
        assert!(text.contains("0123456789"));
        assert_eq!(cursor, Some((9, 3)));
        let (text, cursor) = drawn(&screen(), 4, 2);
        assert!(text.contains("6789") && !text.contains('5'));
        assert_eq!(cursor, Some((3, 1)));
        assert_eq!(drawn(&screen(), 0, 0).1, None);
    }

    #[test]
    fn attributes_are_colours_and_blinking() {
        let mut screen = screen();
        screen.attributes[30] = 0xC7;
        let (text, _) = drawn(&screen, 10, 4);
        assert!(text.contains("\x1B[0;5;38;2;170;170;170;48;2;170;0;0m0"), "{text:?}");
        screen.characters[30] = '\x1B';
        assert!(!drawn(&screen, 10, 4).0.contains("m\x1B"));
    }
}
