//! Where the beam is, computed from the present and the CRTC's registers.

use super::reg::{crtc, seq, status};
use super::{Registers, Vga};
use crate::time::{Instant, SECOND};

/// One frame: times in nanoseconds, vertical positions in lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timing {
    frame: u64,
    lines: u64,
    display_end: u64,
    retrace_start: u64,
    retrace_end: u64,
    /// Share of a line, in characters, that is not blank.
    characters: u64,
    visible: u64,
}

/// What a monitor that is handed nonsense is taken to run at, and all VBE modes.
const DEFAULT: Timing = Timing {
    frame: SECOND / 60,
    lines: 525,
    display_end: 480,
    retrace_start: 490,
    retrace_end: 492,
    characters: 100,
    visible: 80,
};

impl Registers {
    /// A ten-bit vertical register: its low byte and the two bits in Overflow.
    pub(super) fn vertical(&self, low: usize, bit_8: u8, bit_9: u8) -> u32 {
        let overflow = u32::from(self.crtc[crtc::OVERFLOW]);
        u32::from(self.crtc[low]) | (overflow >> bit_8 & 1) << 8 | (overflow >> bit_9 & 1) << 9
    }

    pub(super) fn timing(&self) -> Timing {
        let clock = if self.misc >> 2 & 3 == 1 { 28_322_000 } else { 25_175_000 };
        let clocking = self.seq[seq::CLOCKING];
        let dots = if clocking & seq::EIGHT_DOTS != 0 { 8 } else { 9 };
        let dots = if clocking & seq::HALF_CLOCK != 0 { dots * 2 } else { dots };
        let characters = u64::from(self.crtc[crtc::H_TOTAL]) + 5;
        let lines = u64::from(self.vertical(crtc::V_TOTAL, 0, 5)) + 2;
        let double = u64::from(self.crtc[crtc::MODE] & crtc::LINES_BY_TWO != 0);
        let lines = lines << double;
        let frame = lines * characters * dots * SECOND / clock;
        // 20 to 125 Hz: what is outside was not programmed for a monitor.
        if !(SECOND / 125..=SECOND / 20).contains(&frame) {
            return DEFAULT;
        }
        let display_end = (u64::from(self.vertical(crtc::V_DISPLAY_END, 1, 6)) + 1) << double;
        let retrace_start = u64::from(self.vertical(crtc::V_RETRACE_START, 2, 7)) << double;
        let display_end = display_end.min(lines - 2);
        let retrace_start = retrace_start.clamp(display_end, lines - 2);
        let length = self.crtc[crtc::V_RETRACE_END].wrapping_sub(retrace_start as u8) & 15;
        Timing {
            frame,
            lines,
            display_end,
            retrace_start,
            retrace_end: (retrace_start + u64::from(length).max(2)).min(lines),
            characters,
            visible: (u64::from(self.crtc[crtc::H_DISPLAY_END]) + 1).min(characters - 1),
        }
    }
}

impl Timing {
    /// Number of the frame: what blinks does so by it.
    pub(super) const fn frame_number(&self, now: Instant) -> u64 {
        now.0 / self.frame
    }

    /// Bits 0 and 3 of input status 1.
    pub(super) const fn status(&self, now: Instant) -> u8 {
        let position = (now.0 % self.frame) as u128 * self.lines as u128;
        let line = (position / self.frame as u128) as u64;
        let character = (position % self.frame as u128) * self.characters as u128 / self.frame as u128;
        let mut status = 0;
        if line >= self.display_end || character as u64 >= self.visible {
            status |= status::DISPLAY_DISABLED;
        }
        if line >= self.retrace_start && line < self.retrace_end {
            status |= status::RETRACE;
        }
        status
    }

    /// The first vertical retrace that starts after `at`.
    pub(super) const fn next_retrace(&self, at: Instant) -> Instant {
        let offset = (self.retrace_start * self.frame).div_ceil(self.lines);
        let this = Instant(at.0 / self.frame * self.frame + offset);
        if this.0 > at.0 { this } else { Instant(this.0.saturating_add(self.frame)) }
    }
}

impl Vga {
    pub(super) fn timing(&self) -> Timing {
        if self.vbe.enabled() { DEFAULT } else { self.regs.timing() }
    }
}
