//! Drivers' scripts: modes are set as a BIOS does it, pixels are expected as the manual draws them.

mod access;
mod modes;
mod screen;
mod vbe;

use super::*;
use crate::board::Board;
use crate::devices::testing;
use crate::host::{Display, Host, Mode, Rect, Surface};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Registers of a mode: miscellaneous output, sequencer 1–4, CRTC 0–18h, attribute 0–13h, graphics 0–8.
struct ModeSet {
    misc: u8,
    seq: [u8; 4],
    crtc: [u8; 25],
    attr: [u8; 20],
    gfx: [u8; 9],
}

const EGA_COLORS: [u8; 16] = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F];

const fn attributes(palette: [u8; 16], tail: [u8; 4]) -> [u8; 20] {
    let mut all = [0; 20];
    let mut n = 0;
    while n < 20 {
        all[n] = if n < 16 { palette[n] } else { tail[n - 16] };
        n += 1;
    }
    all
}

/// Mode 3: 80 × 25 text, 720 × 400.
const MODE_3: ModeSet = ModeSet {
    misc: 0x67,
    seq: [0x00, 0x03, 0x00, 0x02],
    crtc: [
        0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F,
        0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
    ],
    attr: attributes(EGA_COLORS, [0x0C, 0x00, 0x0F, 0x08]),
    gfx: [0, 0, 0, 0, 0, 0x10, 0x0E, 0x00, 0xFF],
};

/// Mode 4: CGA, 320 × 200 in four colours.
const MODE_4: ModeSet = ModeSet {
    misc: 0x63,
    seq: [0x09, 0x03, 0x00, 0x02],
    crtc: [
        0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0x00, 0xC1, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x14,
        0x00, 0x96, 0xB9, 0xA2, 0xFF,
    ],
    attr: attributes(
        [0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17],
        [0x01, 0x00, 0x03, 0x00],
    ),
    gfx: [0, 0, 0, 0, 0, 0x30, 0x0F, 0x00, 0xFF],
};

/// Mode 6: CGA, 640 × 200 in two colours.
const MODE_6: ModeSet = ModeSet {
    misc: 0x63,
    seq: [0x01, 0x01, 0x00, 0x06],
    crtc: [
        0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0xC1, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x28,
        0x00, 0x96, 0xB9, 0xC2, 0xFF,
    ],
    attr: attributes(
        [0, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17],
        [0x01, 0x00, 0x01, 0x00],
    ),
    gfx: [0, 0, 0, 0, 0, 0x00, 0x0D, 0x00, 0xFF],
};

/// Mode 0Dh: EGA, 320 × 200 in 16 colours.
const MODE_D: ModeSet = ModeSet {
    misc: 0x63,
    seq: [0x09, 0x0F, 0x00, 0x06],
    crtc: [
        0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0x00, 0xC0, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x14,
        0x00, 0x96, 0xB9, 0xE3, 0xFF,
    ],
    attr: attributes(EGA_COLORS, [0x01, 0x00, 0x0F, 0x00]),
    gfx: [0, 0, 0, 0, 0, 0x00, 0x05, 0x0F, 0xFF],
};

/// Mode 12h: 640 × 480 in 16 colours.
const MODE_12: ModeSet = ModeSet {
    misc: 0xE3,
    seq: [0x01, 0x0F, 0x00, 0x06],
    crtc: [
        0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xEA, 0x8C, 0xDF, 0x28,
        0x00, 0xE7, 0x04, 0xE3, 0xFF,
    ],
    attr: attributes(EGA_COLORS, [0x01, 0x00, 0x0F, 0x00]),
    gfx: [0, 0, 0, 0, 0, 0x00, 0x05, 0x0F, 0xFF],
};

/// Mode 13h: 320 × 200 in 256 colours.
const MODE_13: ModeSet = ModeSet {
    misc: 0x63,
    seq: [0x01, 0x0F, 0x00, 0x0E],
    crtc: [
        0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x28,
        0x40, 0x96, 0xB9, 0xA3, 0xFF,
    ],
    attr: attributes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [0x41, 0x00, 0x0F, 0x00]),
    gfx: [0, 0, 0, 0, 0, 0x40, 0x05, 0x0F, 0xFF],
};

/// A display that keeps what is drawn and what is presented.
#[derive(Default)]
struct Screen {
    mode: Mode,
    pixels: Vec<u32>,
    presented: std::sync::Arc<std::sync::Mutex<Presented>>,
}

#[derive(Default)]
struct Presented {
    mode: Mode,
    pixels: Vec<u32>,
    rects: Vec<Rect>,
}

impl Display for Screen {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        if self.mode != mode {
            self.pixels = vec![0xDEAD_BEEF; (mode.width * mode.height) as usize];
            self.mode = mode;
        }
        Some(Surface { pixels: &mut self.pixels, stride: mode.width as usize })
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        let mut p = self.presented.lock().unwrap();
        p.mode = mode;
        p.pixels.clone_from(&self.pixels);
        p.rects.push(dirty);
    }
}

struct Pc {
    board: Board,
    host: Host,
    vga: Vga,
    presented: std::sync::Arc<std::sync::Mutex<Presented>>,
}

impl Pc {
    fn new() -> Self {
        Self::with(1 << 20)
    }

    fn with(video_memory: usize) -> Self {
        let config = Config { video_memory, vga_bios: vec![0x55, 0xAA, 2], ..Config::default() };
        let screen = Screen::default();
        let presented = screen.presented.clone();
        let host = Host { display: Box::new(screen), ..Host::null() };
        let mut pc = Self { board: testing::board(&config), host, vga: Vga::new(&config), presented };
        pc.vga.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc
    }

    fn set(mode: &ModeSet) -> Self {
        let mut pc = Self::new();
        pc.set_mode(mode);
        pc
    }

    fn out(&mut self, port: u16, value: u8) {
        self.vga.write(
            port,
            Width::Byte,
            value.into(),
            &mut Bus { board: &mut self.board, host: &mut self.host },
        );
    }

    fn out_word(&mut self, port: u16, value: u16) {
        self.vga.write(
            port,
            Width::Word,
            value.into(),
            &mut Bus { board: &mut self.board, host: &mut self.host },
        );
    }

    fn inp(&mut self, port: u16) -> u8 {
        self.vga.read(port, Width::Byte, &mut Bus { board: &mut self.board, host: &mut self.host }) as u8
    }

    fn indexed(&mut self, port: u16, index: u8, value: u8) {
        self.out_word(port, u16::from(value) << 8 | u16::from(index));
    }

    fn attribute(&mut self, index: u8, value: u8) {
        self.inp(0x3DA);
        self.out(0x3C0, index);
        self.out(0x3C0, value);
        self.out(0x3C0, 0x20);
    }

    fn vbe(&mut self, index: u16, value: u16) {
        self.out_word(0x1CE, index);
        self.out_word(0x1CF, value);
    }

    fn vbe_read(&mut self, index: u16) -> u16 {
        self.out_word(0x1CE, index);
        self.vga.read(0x1CF, Width::Word, &mut Bus { board: &mut self.board, host: &mut self.host }) as u16
    }

    /// Sets a mode and a palette in which colour n is 0x010101 × n in DAC units.
    fn set_mode(&mut self, mode: &ModeSet) {
        self.out(0x3C2, mode.misc);
        self.indexed(0x3C4, 0, 3);
        for (n, &value) in mode.seq.iter().enumerate() {
            self.indexed(0x3C4, n as u8 + 1, value);
        }
        self.indexed(0x3D4, 0x11, 0);
        for (n, &value) in mode.crtc.iter().enumerate() {
            self.indexed(0x3D4, n as u8, value);
        }
        for (n, &value) in mode.gfx.iter().enumerate() {
            self.indexed(0x3CE, n as u8, value);
        }
        for (n, &value) in mode.attr.iter().enumerate() {
            self.attribute(n as u8, value);
        }
        self.out(0x3C8, 0);
        for n in 0..=255 {
            for component in [n, n / 2, n / 4] {
                self.out(0x3C9, component);
            }
        }
    }

    /// The CPU's access, through the mapping that is in force.
    fn poke(&mut self, at: u32, value: u8) {
        if !self.board.memory.write(at.into(), &[value]) {
            let mut bus = Bus { board: &mut self.board, host: &mut self.host };
            self.vga.mmio_write(at.into(), Width::Byte, value.into(), &mut bus);
        }
    }

    fn peek(&mut self, at: u32) -> u8 {
        let mut byte = [0];
        if self.board.memory.read(at.into(), &mut byte) {
            return byte[0];
        }
        let mut bus = Bus { board: &mut self.board, host: &mut self.host };
        self.vga.mmio_read(at.into(), Width::Byte, &mut bus) as u8
    }

    fn picture(&self) -> (usize, usize, Vec<u32>) {
        let mode = self.vga.mode();
        let (width, height) = (mode.width as usize, mode.height as usize);
        let mut pixels = vec![0x5555_5555; width * height];
        self.vga.render(&self.board.memory, &mut pixels, width);
        (width, height, pixels)
    }

    /// Pixels of one line.
    fn line(&self, y: usize) -> Vec<u32> {
        let (width, _, pixels) = self.picture();
        pixels[y * width..][..width].to_vec()
    }

    /// Lets the next retrace happen and returns the rectangles that it presented.
    fn retrace(&mut self) -> Vec<Rect> {
        self.presented.lock().unwrap().rects.clear();
        let due = self.board.timers.get(Timer::Retrace).expect("there is always a next retrace");
        assert!(due > self.board.now);
        self.board.now = due;
        self.board.timers.clear(Timer::Retrace);
        let mut bus = Bus { board: &mut self.board, host: &mut self.host };
        self.vga.expire(Timer::Retrace, &mut bus);
        self.presented.lock().unwrap().rects.clone()
    }

    /// A retrace whose deadline came late.
    fn retrace_at(&mut self, now: Instant) {
        self.board.now = now;
        self.vga.expire(Timer::Retrace, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    /// The picture as the display has it.
    fn displayed(&self) -> Vec<u32> {
        self.presented.lock().unwrap().pixels.clone()
    }
}

/// The colour of DAC entry `n` as [`Pc::set_mode`] sets it.
fn gray(n: u8) -> u32 {
    let [r, g, b] = [n, n / 2, n / 4].map(|c| u32::from(c & 0x3F)).map(|c| c << 2 | c >> 4);
    r << 16 | g << 8 | b
}

/// The colour of attribute value `n` in a mode with the EGA palette.
fn ega(n: usize) -> u32 {
    gray(EGA_COLORS[n])
}
