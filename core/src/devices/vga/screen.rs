//! The text on the screen as text.

use super::Vga;
use super::picture::Kind;
use super::planes;
use crate::memory::Memory;
use crate::time::Instant;
use alloc::string::String;
use alloc::vec::Vec;

/// Characters of code page 437.
const CP437: &str = concat!(
    " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼",
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~⌂",
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»",
    "░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}"
);

/// The characters by their codes.
const TABLE: [char; 256] = {
    let bytes = CP437.as_bytes();
    let mut table = [' '; 256];
    let mut at = 0;
    let mut n = 0;
    while n < 256 {
        let first = bytes[at] as u32;
        let (len, mut code) = if first < 0x80 {
            (1, first)
        } else if first < 0xE0 {
            (2, first & 0x1F)
        } else {
            (3, first & 0xF)
        };
        let mut k = 1;
        while k < len {
            code = code << 6 | (bytes[at + k] & 0x3F) as u32;
            k += 1;
        }
        table[n] = match char::from_u32(code) {
            Some(c) => c,
            None => ' ',
        };
        at += len;
        n += 1;
    }
    assert!(at == bytes.len());
    table
};

/// What code page 437 shows for a byte.
#[must_use]
pub const fn character(code: u8) -> char {
    TABLE[code as usize]
}

/// A screen of text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TextScreen {
    /// Characters in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Characters, row by row.
    pub characters: Vec<char>,
    /// Attributes: background in the upper half, foreground in the lower.
    pub attributes: Vec<u8>,
    /// Colours of the 16 attribute values, `0x00RRGGBB`.
    pub colors: [u32; 16],
    /// Whether attribute bit 7 blinks instead of brightening the background.
    pub blink: bool,
    /// Column and row of the cursor, when it is on the screen.
    pub cursor: Option<(usize, usize)>,
}

impl TextScreen {
    /// One row without the blanks at its end.
    #[must_use]
    pub fn row(&self, row: usize) -> String {
        let start = row.saturating_mul(self.columns);
        let cells = self.characters.get(start..).unwrap_or(&[]);
        let line: String = cells.iter().take(self.columns).collect();
        String::from(line.trim_end())
    }

    /// All rows, each ended by a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in 0..self.rows {
            text.push_str(&self.row(row));
            text.push('\n');
        }
        text
    }
}

impl Vga {
    /// The text on the screen, or `None` in graphics modes and while the screen is dark.
    #[must_use]
    pub fn text_screen(&self, memory: &Memory) -> Option<TextScreen> {
        let Kind::Text(scan, text) = self.picture().kind else { return None };
        let vram = memory.vram();
        let (columns, rows) = (text.columns as usize, text.rows as usize);
        let mut screen = TextScreen {
            columns,
            rows,
            characters: Vec::with_capacity(columns * rows),
            attributes: Vec::with_capacity(columns * rows),
            colors: self.colors().attribute,
            blink: text.blink,
            cursor: None,
        };
        let cursor = self.cursor(Instant::ZERO);
        for row in 0..text.rows {
            let line = scan.line(row * text.cell_height);
            for column in 0..text.columns {
                let address = line.address + column;
                let [code, attribute, ..] = planes::load(vram, scan.offset(address, 0)).to_le_bytes();
                screen.characters.push(character(code));
                screen.attributes.push(attribute);
                if cursor.is_some_and(|c| c.address == address & 0xFFFF) {
                    screen.cursor = Some((column as usize, row as usize));
                }
            }
        }
        Some(screen)
    }
}
