//! Lines of pixels from video RAM.

use super::picture::{Colors, Cursor, Kind, Line, Picture, Scan, Shift, Text};
use super::planes;
use super::vbe::Linear;

/// All that a line needs besides its number.
pub(super) struct Pen<'a> {
    pub(super) picture: &'a Picture,
    pub(super) vram: &'a [u8],
    pub(super) colors: &'a Colors,
    pub(super) cursor: Option<Cursor>,
    /// Blinking characters are visible.
    pub(super) blink_on: bool,
}

/// Bit 7 of the index becomes bit 28, bit 6 bit 24 and so on: a bit of eight pixels.
const fn bit_of_nibbles(byte: u32) -> u32 {
    let mut x = byte & 0xFF;
    x = (x | x << 12) & 0x000F_000F;
    x = (x | x << 6) & 0x0303_0303;
    (x | x << 3) & 0x1111_1111
}

const NIBBLES: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = bit_of_nibbles(n as u32);
        n += 1;
    }
    table
};

/// Two bits to each of four nibbles.
const fn pairs_of_nibbles(byte: u8) -> u32 {
    let x = byte as u32;
    (x & 0xC0) << 6 | (x & 0x30) << 4 | (x & 0x0C) << 2 | x & 3
}

impl Pen<'_> {
    /// Draws line `y` of the picture into `out`, which is as wide as the picture.
    pub(super) fn line(&self, y: u32, out: &mut [u32]) {
        match &self.picture.kind {
            Kind::Blank => out.fill(0),
            Kind::Text(scan, text) => self.text(scan, text, scan.line(y), out),
            Kind::Planar(scan, Shift::Bytes) => self.bytes(scan, scan.line(y), out),
            Kind::Planar(scan, shift) => self.nibbles(scan, *shift, scan.line(y), out),
            Kind::Linear(linear) => self.linear(linear, y, out),
        }
    }

    fn load(&self, scan: &Scan, line: Line, character: u32) -> u32 {
        planes::load(self.vram, scan.offset(line.address.wrapping_add(character), line.row_scan))
    }

    fn text(&self, scan: &Scan, text: &Text, line: Line, out: &mut [u32]) {
        let width = text.cell_width as usize;
        let mut skip = line.pan as usize;
        let mut x = 0;
        let mut column = 0;
        while x < out.len() {
            let [character, attribute, ..] = self.load(scan, line, column).to_le_bytes();
            let font = text.fonts[usize::from(attribute >> 3 & 1)];
            let glyph = font + u32::from(character) * 32 + (line.row_scan & 31);
            let mut bits = u32::from(planes::load(self.vram, glyph & 0xFFFF).to_le_bytes()[2]) << 1;
            if text.line_graphics && character & 0xE0 == 0xC0 {
                bits |= bits >> 1 & 1;
            }
            let mut background = attribute >> 4;
            if text.blink {
                background &= 7;
                if attribute & 0x80 != 0 && !self.blink_on {
                    bits = 0;
                }
            }
            if attribute & 7 == 1 && text.underline == Some(line.row_scan) {
                bits = 0x1FF;
            }
            if let Some(cursor) = self.cursor
                && cursor.lit
                && cursor.address == line.address.wrapping_add(column) & 0xFFFF
                && (cursor.first..=cursor.last).contains(&line.row_scan)
            {
                bits = 0x1FF;
            }
            let fore = self.colors.attribute[usize::from(attribute & text.planes & 0xF)];
            let back = self.colors.attribute[usize::from(background & text.planes & 0xF)];
            let end = (x + width - skip).min(out.len());
            bits <<= 23 + skip;
            for pixel in &mut out[x..end] {
                *pixel = if bits >> 31 != 0 { fore } else { back };
                bits <<= 1;
            }
            x = end;
            skip = 0;
            column += 1;
        }
    }

    fn nibbles(&self, scan: &Scan, shift: Shift, line: Line, out: &mut [u32]) {
        let mut skip = line.pan & 7;
        let mut x = 0;
        let mut character = 0;
        while x < out.len() {
            let data = self.load(scan, line, character);
            let [a, b, c, d] = data.to_le_bytes();
            let pixels = match shift {
                Shift::Planes => {
                    NIBBLES[usize::from(a)]
                        | NIBBLES[usize::from(b)] << 1
                        | NIBBLES[usize::from(c)] << 2
                        | NIBBLES[usize::from(d)] << 3
                }
                Shift::Pairs => {
                    let left = pairs_of_nibbles(a) | pairs_of_nibbles(c) << 2;
                    let right = pairs_of_nibbles(b) | pairs_of_nibbles(d) << 2;
                    left << 16 | right
                }
                _ => data.swap_bytes(),
            };
            let mut pixels = (pixels & scan.planes) << (4 * skip);
            let end = (x + 8 - skip as usize).min(out.len());
            for pixel in &mut out[x..end] {
                *pixel = self.colors.attribute[(pixels >> 28) as usize];
                pixels <<= 4;
            }
            x = end;
            skip = 0;
            character += 1;
        }
    }

    fn bytes(&self, scan: &Scan, line: Line, out: &mut [u32]) {
        let mut skip = line.pan as usize & 3;
        let mut x = 0;
        let mut character = 0;
        while x < out.len() {
            let data = self.load(scan, line, character).to_le_bytes();
            for &byte in &data[skip..] {
                if let Some(pixel) = out.get_mut(x) {
                    *pixel = self.colors.dac[usize::from(byte)];
                }
                x += 1;
            }
            skip = 0;
            character += 1;
        }
    }

    fn linear(&self, linear: &Linear, y: u32, out: &mut [u32]) {
        let start = linear.start + y as usize * linear.pitch;
        let row = self.vram.get(start..).filter(|_| y < linear.height).unwrap_or(&[]);
        let drawn = match linear.bpp {
            8 => {
                for (pixel, &byte) in out.iter_mut().zip(row) {
                    *pixel = self.colors.dac[usize::from(byte)];
                }
                row.len()
            }
            15 => {
                for (pixel, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                    let v = u32::from(u16::from_le_bytes(*b));
                    *pixel = five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
                }
                row.len() / 2
            }
            16 => {
                for (pixel, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                    let v = u32::from(u16::from_le_bytes(*b));
                    let green = v >> 5 & 0x3F;
                    *pixel = five(v >> 11) << 16 | (green << 2 | green >> 4) << 8 | five(v);
                }
                row.len() / 2
            }
            24 => {
                for (pixel, &[b, g, r]) in out.iter_mut().zip(row.as_chunks::<3>().0) {
                    *pixel = u32::from_le_bytes([b, g, r, 0]);
                }
                row.len() / 3
            }
            _ => {
                for (pixel, b) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                    *pixel = u32::from_le_bytes(*b) & 0xFF_FFFF;
                }
                row.len() / 4
            }
        };
        if let Some(rest) = out.get_mut(drawn..) {
            rest.fill(0);
        }
    }
}

/// Five bits made eight.
const fn five(v: u32) -> u32 {
    (v & 31) << 3 | (v & 31) >> 2
}
