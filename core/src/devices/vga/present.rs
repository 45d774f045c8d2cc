//! At each retrace: what changed goes to the host's display.

use super::Vga;
use super::draw::Pen;
use super::picture::{Colors, Cursor, Kind, Picture, plane_pages};
use super::planes::{self, Blocks};
use crate::devices::Bus;
use crate::host::Rect;
use crate::memory::{Memory, PAGE};
use crate::time::{Instant, SECOND, Timer};
use alloc::vec;
use alloc::vec::Vec;

/// Redraws are at least this far apart, whatever rate is programmed.
const SHORTEST: u64 = 14_000_000;
/// How often a display that does not look is asked again.
const UNSEEN: u64 = SECOND / 4;

/// What the display shows; not stored.
pub(super) struct Shown {
    picture: Option<Picture>,
    colors: Colors,
    cursor: Option<Cursor>,
    blink_on: bool,
    /// Dirty pages of video RAM, a bit each.
    pages: Vec<u64>,
}

impl Shown {
    pub(super) fn new(vram: usize) -> Self {
        Self {
            picture: None,
            colors: Colors { dac: [0; 256], attribute: [0; 16] },
            cursor: None,
            blink_on: true,
            pages: vec![0; (vram / PAGE).div_ceil(64)],
        }
    }

    /// Draws everything at the next opportunity.
    pub(super) const fn forget(&mut self) {
        self.picture = None;
    }

    fn mark(&mut self, page: usize) {
        if let Some(word) = self.pages.get_mut(page / 64) {
            *word |= 1 << (page % 64);
        }
    }

    fn any(&self, first: usize, last: usize) -> bool {
        (first..=last).any(|page| self.pages.get(page / 64).is_some_and(|w| w >> (page % 64) & 1 != 0))
    }
}

impl Vga {
    /// Draws what changed and sets the next deadline.
    pub(super) fn retrace(&mut self, bus: &mut Bus<'_>) {
        let now = bus.board.now;
        self.settle_window(&mut bus.board.memory);
        let seen = self.draw_changes(bus, now);
        let pause = if seen { SHORTEST } else { UNSEEN };
        bus.board.timers.set(Timer::Retrace, self.timing().next_retrace(now + pause));
    }

    fn draw_changes(&mut self, bus: &mut Bus<'_>, now: Instant) -> bool {
        let picture = self.picture();
        let mode = picture.mode();
        let Some(surface) = bus.host.display.surface(mode) else {
            self.shown.forget();
            return false;
        };
        let width = picture.width as usize;
        let enough =
            surface.stride.checked_mul(picture.height as usize).is_some_and(|n| n <= surface.pixels.len());
        if !enough || surface.stride < width {
            return false;
        }
        let colors = self.colors();
        let cursor = self.cursor(now);
        let blink_on = self.timing().frame_number(now) >> 5 & 1 == 0;
        let everything = self.shown.picture != Some(picture)
            || self.shown.colors != colors
            || self.fonts_changed && self.regs.is_text();
        self.gather(&picture, &mut bus.board.memory);
        let changes = Changes {
            everything,
            blocks: &self.blocks,
            idle: self.blocks.is_empty(),
            shown: &self.shown,
            cursors: if cursor == self.shown.cursor { [None; 2] } else { [cursor, self.shown.cursor] },
            blink: blink_on != self.shown.blink_on,
        };
        let vram = bus.board.memory.vram();
        let pen = Pen { picture: &picture, vram, colors: &colors, cursor, blink_on };
        let mut dirty = None;
        for (y, out) in (0..picture.height).zip(surface.pixels.chunks_mut(surface.stride)) {
            if changes.line(&picture, y, vram) {
                pen.line(y, &mut out[..width]);
                let (first, _) = dirty.unwrap_or((y, y));
                dirty = Some((first, y));
            }
        }
        self.blocks.clear();
        self.shown.pages.fill(0);
        self.fonts_changed = false;
        self.shown.picture = Some(picture);
        self.shown.colors = colors;
        self.shown.cursor = cursor;
        self.shown.blink_on = blink_on;
        if let Some((first, last)) = dirty {
            bus.host
                .display
                .present(mode, Rect { x: 0, y: first, width: picture.width, height: last - first + 1 });
        }
        true
    }

    /// Takes the dirty bits of the pages that the picture shows.
    fn gather(&mut self, picture: &Picture, memory: &mut Memory) {
        let vram = memory.vram().len();
        match &picture.kind {
            Kind::Blank => {}
            Kind::Linear(linear) => {
                let end = linear.start + linear.pitch * linear.height as usize;
                for page in linear.start / PAGE..=end.min(vram - 1) / PAGE {
                    if memory.take_vram_dirty(page * PAGE) {
                        self.shown.mark(page);
                    }
                }
            }
            Kind::Text(..) | Kind::Planar(..) => {
                let bytes = if self.vbe.enabled() { vram } else { plane_pages(vram) };
                for page in 0..bytes / PAGE {
                    if memory.take_vram_dirty(page * PAGE) {
                        self.blocks.mark_page((page as u32 >> 6) << 16 | (page as u32 & 15) << 12);
                        self.fonts_changed = true;
                    }
                }
            }
        }
    }
}

/// What is not as it was when a line was last drawn.
struct Changes<'a> {
    everything: bool,
    blocks: &'a Blocks,
    idle: bool,
    shown: &'a Shown,
    cursors: [Option<Cursor>; 2],
    blink: bool,
}

impl Changes<'_> {
    fn line(&self, picture: &Picture, y: u32, vram: &[u8]) -> bool {
        if self.everything {
            return true;
        }
        match &picture.kind {
            Kind::Blank => false,
            Kind::Linear(linear) => {
                let start = linear.start + y as usize * linear.pitch;
                let bits = linear.width as usize * usize::from(linear.bpp.next_multiple_of(8));
                y < linear.height && self.shown.any(start / PAGE, (start + bits / 8 - 1) / PAGE)
            }
            Kind::Planar(scan, _) => {
                if self.idle {
                    return false;
                }
                let line = scan.line(y);
                let first = scan.offset(line.address, line.row_scan);
                let last = scan.offset(line.address + scan.last(&line), line.row_scan);
                first > last || self.blocks.any(first, last)
            }
            Kind::Text(scan, text) => {
                let line = scan.line(y);
                let first = scan.offset(line.address, 0);
                let last = scan.offset(line.address + scan.last(&line), 0);
                if !self.idle && (first > last || self.blocks.any(first, last)) {
                    return true;
                }
                let cells = line.address..=line.address + scan.last(&line);
                if self.cursors.iter().flatten().any(|c| cells.contains(&c.address)) {
                    return true;
                }
                self.blink
                    && text.blink
                    && (0..=scan.last(&line)).any(|n| {
                        let cell = planes::load(vram, scan.offset(line.address + n, 0));
                        cell & 0x8000 != 0
                    })
            }
        }
    }
}
