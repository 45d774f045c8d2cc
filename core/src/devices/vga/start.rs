//! What a video BIOS does at power-on, for machines that have none: mode 3 with a font and colours.
//!
//! Spec: IBM VGA/XGA Technical Reference, default register values of mode 3.

use super::planes::dword_of;
use super::reg::{attr, crtc, misc};
use super::{Vga, font};
use crate::memory::Memory;

const CRTC: [u8; 25] = [
    0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F,
    0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
];
/// Colours 0 to 15 in the DAC: brown is not dark yellow, and the bright ones lie from 38h on.
const PALETTE: [u8; 16] = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F];
/// Light grey on black.
const BLANK: u32 = 0x0720;

impl Vga {
    /// Sets mode 3, clears the screen and loads font and colours.
    pub(super) fn start_text(&mut self, memory: &mut Memory) {
        let r = &mut self.regs;
        r.misc = 0x67 | misc::COLOR;
        r.seq = [3, 0x00, 0x03, 0x00, 0x02, 0, 0, 0];
        r.crtc[..CRTC.len()].copy_from_slice(&CRTC);
        r.gfx = [0, 0, 0, 0, 0, 0x10, 0x0E, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0];
        r.attr[..16].copy_from_slice(&PALETTE);
        r.attr[attr::MODE] = attr::LINE_GRAPHICS | attr::BLINK;
        r.attr[attr::PLANE_ENABLE] = 0x0F;
        r.attr[attr::PANNING] = 0x08;
        r.attr_index = attr::PALETTE_SOURCE;
        debug_assert_eq!(r.crtc[crtc::OFFSET], 0x28);
        self.dac.start_write(0);
        for n in 0..64_u8 {
            // Bits rgbRGB: a third and two thirds of each.
            for color in [2, 1, 0] {
                self.dac.write((n >> color & 1) * 0x2A + (n >> (color + 3) & 1) * 0x15);
            }
        }
        let start = memory.vram_range().start;
        let vram = memory.vram_mut();
        let len = vram.len().min(0x4_0000);
        vram[..len].fill(0);
        let mut put = |offset: u32, value: u32| {
            if let Some(cell) = vram.get_mut(dword_of(offset) * 4..).and_then(|v| v.first_chunk_mut::<4>()) {
                *cell = (u32::from_le_bytes(*cell) | value).to_le_bytes();
            }
        };
        for cell in 0..80 * 25 {
            put(cell * 2, BLANK);
        }
        for code in 0..=255_u8 {
            for (row, bits) in (0..).zip(font::glyph(code)) {
                put(u32::from(code) * 32 + row, u32::from(bits) << 16);
            }
        }
        memory.touched(start, len);
    }
}
