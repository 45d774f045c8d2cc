//! What the registers make of the screen: how the CRTC walks through memory, and what the bytes mean.
//!
//! A [`Picture`] is a pure function of the registers. Drawing compares it with the one before, so that no
//! register write needs to know what it changes on the screen.

use super::reg::{attr, crtc, gfx, seq};
use super::vbe::Linear;
use super::{Registers, Vga};
use crate::host;
use crate::time::Instant;

/// The screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Nothing but the background.
    Blank,
    Text(Scan, Text),
    Planar(Scan, Shift),
    Linear(Linear),
}

/// How the shift registers make pixels of the four planes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shift {
    /// A bit of each plane.
    Planes,
    /// Two bits of planes 0 and 2, then of 1 and 3 (CGA's four colours).
    Pairs,
    /// Half bytes, plane after plane.
    Nibbles,
    /// Bytes, plane after plane.
    Bytes,
}

/// How the character generator works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Text {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// 8 or 9.
    pub(super) cell_width: u32,
    pub(super) cell_height: u32,
    /// Plane offsets of the fonts for attribute bit 3 clear and set.
    pub(super) fonts: [u32; 2],
    pub(super) line_graphics: bool,
    pub(super) blink: bool,
    /// Row of the underline of monochrome attributes.
    pub(super) underline: Option<u32>,
    /// Attribute Color Plane Enable.
    pub(super) planes: u8,
}

/// How the CRTC walks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Scan {
    /// Characters (loads of the four planes) in a row.
    pub(super) characters: u32,
    start: u32,
    pitch: u32,
    /// Lines of a row of characters.
    lines: u32,
    /// Scan lines of the monitor to one line of ours.
    step: u32,
    double: u32,
    preset: u32,
    line_compare: u32,
    pan: u32,
    pan_top_only: bool,
    word: bool,
    doubleword: bool,
    wrap_15: bool,
    map_13: bool,
    map_14: bool,
    mask: u32,
    /// Nibbles that Color Plane Enable lets through.
    pub(super) planes: u32,
}

/// One line of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Memory address counter at its first character.
    pub(super) address: u32,
    /// Row scan counter.
    pub(super) row_scan: u32,
    /// Dots that leave at the left edge.
    pub(super) pan: u32,
}

/// The text cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    /// Memory address counter of its cell.
    pub(super) address: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    /// On at this moment of its blinking.
    pub(super) lit: bool,
}

impl Scan {
    /// The counters at line `y` of the picture.
    pub(super) fn line(&self, y: u32) -> Line {
        let scan_line = y * self.step;
        let split = scan_line > self.line_compare;
        let (start, count) = if split {
            (0, (scan_line - self.line_compare - 1) >> self.double)
        } else {
            (self.start, (scan_line >> self.double) + self.preset)
        };
        Line {
            address: start.wrapping_add(count / self.lines * self.pitch),
            row_scan: count % self.lines,
            pan: if split && self.pan_top_only { 0 } else { self.pan },
        }
    }

    /// The last character of a line, the first being 0: panning brings one more in.
    pub(super) const fn last(&self, line: &Line) -> u32 {
        if line.pan == 0 { self.characters - 1 } else { self.characters }
    }

    /// The plane offset that the CRTC puts out.
    pub(super) fn offset(&self, address: u32, row_scan: u32) -> u32 {
        let a = address;
        let mut out = if self.doubleword {
            a << 2 | a >> 14 & 3
        } else if self.word {
            a << 1 | a >> (if self.wrap_15 { 15 } else { 13 }) & 1
        } else {
            a
        };
        if !self.map_13 {
            out = out & !(1 << 13) | (row_scan & 1) << 13;
        }
        if !self.map_14 {
            out = out & !(1 << 14) | (row_scan >> 1 & 1) << 14;
        }
        out & self.mask
    }
}

impl Registers {
    fn is_dark(&self) -> bool {
        self.attr_index & attr::PALETTE_SOURCE == 0 || self.seq[seq::CLOCKING] & seq::SCREEN_OFF != 0
    }

    fn pair(&self, high: usize, low: usize) -> u32 {
        u32::from(self.crtc[high]) << 8 | u32::from(self.crtc[low])
    }

    fn scan(&self) -> Scan {
        let mode = self.crtc[crtc::MODE];
        let max_scan = self.crtc[crtc::MAX_SCAN_LINE];
        let preset = self.crtc[crtc::PRESET_ROW_SCAN];
        let double = u32::from(max_scan & crtc::DOUBLE_SCAN != 0);
        let doubleword = self.crtc[crtc::UNDERLINE] & crtc::DOUBLEWORD != 0;
        let line_compare = u32::from(self.crtc[crtc::LINE_COMPARE])
            | u32::from(self.crtc[crtc::OVERFLOW] >> 4 & 1) << 8
            | u32::from(max_scan >> 6 & 1) << 9;
        let planes = u32::from(self.attr[attr::PLANE_ENABLE] & 0xF) * 0x1111_1111;
        Scan {
            characters: u32::from(self.crtc[crtc::H_DISPLAY_END]) + 1,
            start: self.pair(crtc::START_HIGH, crtc::START_LOW) + u32::from(preset >> 5 & 3),
            pitch: u32::from(self.crtc[crtc::OFFSET]) * 2,
            lines: u32::from(max_scan & 0x1F) + 1,
            step: 1 << double,
            double,
            preset: u32::from(preset & 0x1F),
            line_compare,
            pan: u32::from(self.attr[attr::PANNING] & 0xF),
            pan_top_only: self.attr[attr::MODE] & attr::PAN_TOP_ONLY != 0,
            word: mode & crtc::BYTE_MODE == 0,
            doubleword,
            wrap_15: mode & crtc::WRAP_15 != 0,
            map_13: mode & crtc::MAP_13 != 0,
            map_14: mode & crtc::MAP_14 != 0,
            mask: 0xFFFF,
            planes,
        }
    }

    fn lines(&self) -> u32 {
        let by_two = u32::from(self.crtc[crtc::MODE] & crtc::LINES_BY_TWO != 0);
        (self.vertical(crtc::V_DISPLAY_END, 1, 6) + 1) << by_two
    }

    fn picture(&self) -> Picture {
        let mut scan = self.scan();
        let mut picture = if self.gfx[gfx::MISCELLANEOUS] & gfx::GRAPHICS != 0 {
            let eight_bits = self.attr[attr::MODE] & attr::EIGHT_BITS != 0;
            let shift = match (self.gfx[gfx::MODE] >> 5 & 3, eight_bits) {
                (0, _) => Shift::Planes,
                (1, _) => Shift::Pairs,
                (_, false) => Shift::Nibbles,
                (_, true) => Shift::Bytes,
            };
            if scan.map_13 && scan.map_14 {
                // All lines of a row show the same memory: one of them is enough.
                scan.step *= scan.lines;
            }
            let dots = if shift == Shift::Bytes { 4 } else { 8 };
            scan.pan = if shift == Shift::Bytes { scan.pan >> 1 & 3 } else { scan.pan & 7 };
            Picture {
                width: scan.characters * dots,
                height: (self.lines() / scan.step).max(1),
                kind: Kind::Planar(scan, shift),
            }
        } else {
            let text = self.text(&scan);
            // Nine-dot panning counts 8 as none and 0 to 7 as one to eight.
            scan.pan = match (text.cell_width, scan.pan) {
                (9, 8..) => 0,
                (9, n) => n + 1,
                (_, n) => n & 7,
            };
            Picture {
                width: text.columns * text.cell_width,
                height: (self.lines() / scan.step).max(1),
                kind: Kind::Text(scan, text),
            }
        };
        if self.is_dark() || self.crtc[crtc::MODE] & crtc::SYNC == 0 {
            picture.kind = Kind::Blank;
            if self.crtc[crtc::H_DISPLAY_END] == 0 {
                // Not programmed since reset.
                (picture.width, picture.height) = (640, 400);
            }
        }
        picture
    }

    pub(super) const fn is_text(&self) -> bool {
        self.gfx[gfx::MISCELLANEOUS] & gfx::GRAPHICS == 0
    }

    fn text(&self, scan: &Scan) -> Text {
        let map = self.seq[seq::CHARACTER_MAP];
        let font = |select: u8| u32::from(select & 3) << 14 | u32::from(select >> 2 & 1) << 13;
        let mode = self.attr[attr::MODE];
        let mono = mode & attr::MONO != 0;
        Text {
            columns: scan.characters,
            rows: (self.lines() / scan.step / scan.lines).max(1),
            cell_width: if self.seq[seq::CLOCKING] & seq::EIGHT_DOTS != 0 { 8 } else { 9 },
            cell_height: scan.lines,
            fonts: [font(map & 3 | map >> 2 & 4), font(map >> 2 & 3 | map >> 3 & 4)],
            line_graphics: mode & attr::LINE_GRAPHICS != 0,
            blink: mode & attr::BLINK != 0,
            underline: mono.then_some(u32::from(self.crtc[crtc::UNDERLINE] & 0x1F)),
            planes: self.attr[attr::PLANE_ENABLE] & 0xF,
        }
    }

    fn cursor(&self, frame: u64) -> Option<Cursor> {
        let start = self.crtc[crtc::CURSOR_START];
        let first = u32::from(start & 0x1F);
        let last = u32::from(self.crtc[crtc::CURSOR_END] & 0x1F);
        (start & crtc::CURSOR_OFF == 0 && first <= last).then_some(Cursor {
            address: self.pair(crtc::CURSOR_HIGH, crtc::CURSOR_LOW),
            first,
            last,
            lit: frame >> 4 & 1 == 0,
        })
    }
}

impl Vga {
    pub(super) fn picture(&self) -> Picture {
        if !self.vbe.enabled() {
            return self.regs.picture();
        }
        let (width, height) = self.vbe.size();
        let kind = match self.vbe.linear() {
            _ if self.regs.is_dark() => Kind::Blank,
            None => Kind::Blank,
            Some(linear) if linear.bpp == 4 => {
                let scan = Scan {
                    characters: width / 8,
                    start: (linear.start / 4) as u32,
                    pitch: (linear.pitch / 4) as u32,
                    lines: 1,
                    step: 1,
                    double: 0,
                    preset: 0,
                    line_compare: u32::MAX,
                    word: false,
                    doubleword: false,
                    map_13: true,
                    map_14: true,
                    mask: self.plane_mask,
                    pan: self.regs.scan().pan & 7,
                    ..self.regs.scan()
                };
                Kind::Planar(scan, Shift::Planes)
            }
            Some(linear) => Kind::Linear(linear),
        };
        Picture { width, height, kind }
    }

    pub(super) fn cursor(&self, now: Instant) -> Option<Cursor> {
        self.regs.cursor(self.timing().frame_number(now))
    }

    /// Colours of the DAC, then of the 16 pixel values through the attribute controller.
    pub(super) fn colors(&self) -> Colors {
        let mut colors = Colors { dac: [0; 256], attribute: [0; 16] };
        for (n, color) in colors.dac.iter_mut().enumerate() {
            *color = self.dac.color(n as u8);
        }
        let select = self.regs.attr[attr::COLOR_SELECT];
        let whole = self.regs.attr[attr::MODE] & attr::P54_SELECT != 0;
        for (color, &entry) in colors.attribute.iter_mut().zip(&self.regs.attr) {
            let low = if whole { entry & 0xF | (select & 3) << 4 } else { entry & 0x3F };
            *color = colors.dac[usize::from(low | (select & 0xC) << 4)];
        }
        colors
    }
}

/// What pixel values look like.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Colors {
    pub(super) dac: [u32; 256],
    pub(super) attribute: [u32; 16],
}

impl Picture {
    pub(super) fn mode(&self) -> host::Mode {
        let text = match &self.kind {
            Kind::Text(_, text) => Some((text.columns as u16, text.rows as u16)),
            _ => None,
        };
        host::Mode { width: self.width, height: self.height, text }
    }
}

/// Whether a picture's memory is watched by plane offsets rather than by pages.
pub(super) const fn plane_pages(vram: usize) -> usize {
    // Outside VBE the planes are the first 256 KiB.
    if vram < 0x4_0000 { vram } else { 0x4_0000 }
}
