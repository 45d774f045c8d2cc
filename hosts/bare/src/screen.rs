//! What the user sees: pixels where there are some, otherwise the VGA's text.
//!
//! Spec: Multiboot Specification 0.6.96, 3.3; Bochs VBE extensions (ports 1CEh, 1CFh).
#![allow(unsafe_code)]

use crate::multiboot::LinearFramebuffer;
use crate::pci::Function;
use crate::physical;
use crate::port::{in16, out16};
use alloc::vec::Vec;
use core::ops::Range;
use font8x8::UnicodeFonts;
use nomad86::devices::vga::{TextScreen, character};
use nomad86::host::{Display, Mode, Rect, Surface};

/// Bochs display: the mode that is set where no loader has.
const WIDTH: u16 = 1024;
const HEIGHT: u16 = 768;
/// VGA text.
const TEXT: u64 = 0xB_8000;
const COLUMNS: usize = 80;
const ROWS: usize = 25;
/// Characters of messages are 8 by 16 pixels.
const CELL: (usize, usize) = (8, 16);
const INK: u32 = 0xC8_C8_C8;

/// Sets a mode of a Bochs display (QEMU's), if that is what there is.
fn bochs() -> Option<LinearFramebuffer> {
    let function = Function::find(&[(0x1234, 0x1111)])?;
    function.enable();
    let write = |index: u16, value: u16| {
        out16(0x1CE, index);
        out16(0x1CF, value);
    };
    out16(0x1CE, 0);
    if in16(0x1CF) & 0xFFF0 != 0xB0C0 {
        return None;
    }
    for (index, value) in [(4, 0), (1, WIDTH), (2, HEIGHT), (3, 32), (4, 0x41)] {
        write(index, value);
    }
    Some(LinearFramebuffer {
        address: function.bar(0).into(),
        pitch: usize::from(WIDTH) * 4,
        width: WIDTH.into(),
        height: HEIGHT.into(),
        bpp: 32,
        shifts: [16, 8, 0],
    })
}

/// Where messages and pictures go.
pub(crate) enum Output {
    Pixels(LinearFramebuffer, &'static mut [u8]),
    Text(&'static mut [u8]),
}

/// The screen.
pub(crate) struct Screen {
    output: Output,
    /// Line of the next message.
    line: usize,
}

impl Screen {
    /// Takes what the loader has set up, or a Bochs display, or text.
    ///
    /// # Safety
    /// Called once: it takes the display's memory for itself.
    pub(crate) unsafe fn new(loader: Option<LinearFramebuffer>) -> Self {
        let usable = |fb: &LinearFramebuffer| {
            matches!(fb.bpp, 24 | 32)
                && fb.address != 0
                && fb.address + (fb.pitch * fb.height) as u64 <= 4 << 30
        };
        let output = match loader.or_else(bochs).filter(usable) {
            Some(fb) => {
                // SAFETY: the display's memory by its own account, mapped, and nobody else's.
                let bytes = unsafe { physical::bytes_mut(fb.address, fb.pitch * fb.height) };
                Output::Pixels(fb, bytes)
            }
            // SAFETY: the VGA's text window, nobody else's.
            None => Output::Text(unsafe { physical::bytes_mut(TEXT, COLUMNS * ROWS * 2) }),
        };
        let mut screen = Self { output, line: 0 };
        screen.clear();
        screen
    }

    /// Physical addresses of the pixels.
    pub(crate) fn pixels(&self) -> Option<Range<u64>> {
        match &self.output {
            Output::Pixels(fb, bytes) => Some(fb.address..fb.address + bytes.len() as u64),
            Output::Text(_) => None,
        }
    }

    /// What it is, for a message.
    pub(crate) fn describe(&self) -> alloc::string::String {
        match &self.output {
            Output::Pixels(fb, _) => {
                alloc::format!("{} by {} pixels of {} bits", fb.width, fb.height, fb.bpp)
            }
            Output::Text(_) => "text only, as there is no framebuffer of 24 or 32 bits".into(),
        }
    }

    pub(crate) fn has_pixels(&self) -> bool {
        matches!(self.output, Output::Pixels(..))
    }

    pub(crate) fn clear(&mut self) {
        self.line = 0;
        match &mut self.output {
            Output::Pixels(_, bytes) => bytes.fill(0),
            Output::Text(bytes) => {
                bytes.chunks_exact_mut(2).for_each(|cell| cell.copy_from_slice(&[b' ', 7]))
            }
        }
    }

    /// Shows a line of text under those before it.
    pub(crate) fn message(&mut self, text: &str) {
        match &mut self.output {
            Output::Pixels(fb, bytes) => {
                let (columns, rows) = (fb.width / CELL.0, fb.height / CELL.1);
                if self.line >= rows {
                    let row = fb.pitch * CELL.1;
                    bytes.copy_within(row.., 0);
                    let end = bytes.len();
                    bytes[end.saturating_sub(row)..].fill(0);
                    self.line = rows.saturating_sub(1);
                }
                for (column, c) in text.chars().take(columns).enumerate() {
                    let glyph = font8x8::BASIC_FONTS.get(c).unwrap_or([0x7E; 8]);
                    for y in 0..CELL.1 {
                        let bits = glyph[y / 2];
                        for x in 0..8 {
                            let pixel = if bits >> x & 1 != 0 { INK } else { 0 };
                            put(fb, bytes, column * 8 + x, self.line * CELL.1 + y, pixel);
                        }
                    }
                }
            }
            Output::Text(bytes) => {
                if self.line >= ROWS {
                    bytes.copy_within(COLUMNS * 2.., 0);
                    self.line = ROWS - 1;
                }
                let row = &mut bytes[self.line * COLUMNS * 2..][..COLUMNS * 2];
                let text = text.bytes().chain(core::iter::repeat(b' '));
                row.chunks_exact_mut(2).zip(text).for_each(|(cell, c)| cell.copy_from_slice(&[c, 7]));
            }
        }
        self.line += 1;
    }

    /// Shows the guest's text where there are no pixels.
    pub(crate) fn show_text(&mut self, screen: &TextScreen) {
        let Output::Text(bytes) = &mut self.output else { return };
        for row in 0..screen.rows.min(ROWS) {
            for column in 0..screen.columns.min(COLUMNS) {
                let n = row * screen.columns + column;
                let (Some(c), Some(attribute)) = (screen.characters.get(n), screen.attributes.get(n)) else {
                    continue;
                };
                let code = if c.is_ascii() {
                    *c as u8
                } else {
                    (0..=255).find(|code| character(*code) == *c).unwrap_or(b'?')
                };
                let at = (row * COLUMNS + column) * 2;
                bytes[at..at + 2].copy_from_slice(&[code, *attribute]);
            }
        }
    }
}

/// A pixel `0x00RRGGBB` as the framebuffer has it.
fn convert(fb: &LinearFramebuffer, pixel: u32) -> u32 {
    let [r, g, b] = fb.shifts;
    (pixel >> 16 & 0xFF) << r | (pixel >> 8 & 0xFF) << g | (pixel & 0xFF) << b
}

fn put(fb: &LinearFramebuffer, bytes: &mut [u8], x: usize, y: usize, pixel: u32) {
    let size = usize::from(fb.bpp / 8);
    if x < fb.width
        && let Some(to) = bytes.get_mut(y * fb.pitch + x * size..).and_then(|b| b.get_mut(..size))
    {
        to.copy_from_slice(&convert(fb, pixel).to_le_bytes()[..size]);
    }
}

/// The guest's pictures on a screen of pixels, in the middle, each pixel as large as all of them fit. At its end
/// messages have the screen again.
pub(crate) struct Picture {
    screen: Option<Screen>,
    pixels: Vec<u32>,
    mode: Mode,
}

impl Picture {
    pub(crate) fn new(screen: Screen) -> Self {
        Self { screen: Some(screen), pixels: Vec::new(), mode: Mode::default() }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        if let Some(mut screen) = self.screen.take() {
            screen.line = 0;
            crate::log::show_on(screen);
        }
    }
}

impl Display for Picture {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        if mode.width == 0 || mode.height == 0 {
            return None;
        }
        if mode != self.mode {
            self.mode = mode;
            self.pixels.clear();
            self.pixels.resize(mode.width as usize * mode.height as usize, 0);
            if let Some(screen) = &mut self.screen {
                screen.clear();
            }
        }
        Some(Surface { pixels: &mut self.pixels, stride: mode.width as usize })
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        let Some(Screen { output: Output::Pixels(fb, bytes), .. }) = &mut self.screen else { return };
        let (width, height) = (mode.width as usize, mode.height as usize);
        let times = (fb.width / width).min(fb.height / height).max(1);
        let left = fb.width.saturating_sub(width * times) / 2;
        let top = fb.height.saturating_sub(height * times) / 2;
        let size = usize::from(fb.bpp / 8);
        let shown = width.min(fb.width / times);
        for y in dirty.y as usize..(dirty.y + dirty.height) as usize {
            let Some(row) = self.pixels.get(y * width..y * width + shown) else { return };
            for line in 0..times {
                let at = (top + y * times + line) * fb.pitch + left * size;
                let Some(to) = bytes.get_mut(at..at + shown * times * size) else { return };
                for (block, pixel) in to.chunks_exact_mut(size * times).zip(row) {
                    let pixel = convert(fb, *pixel).to_le_bytes();
                    block.chunks_exact_mut(size).for_each(|to| to.copy_from_slice(&pixel[..size]));
                }
            }
        }
    }
}
