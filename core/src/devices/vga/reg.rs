//! Registers and bits by the names that the VGA literature gives them.

/// Sequencer (3C4/3C5).
pub(super) mod seq {
    pub(crate) const CLOCKING: usize = 1;
    pub(crate) const MAP_MASK: usize = 2;
    pub(crate) const CHARACTER_MAP: usize = 3;
    pub(crate) const MEMORY_MODE: usize = 4;

    /// Clocking mode: characters of 8 dots instead of 9.
    pub(crate) const EIGHT_DOTS: u8 = 1 << 0;
    /// Clocking mode: dot clock halved.
    pub(crate) const HALF_CLOCK: u8 = 1 << 3;
    /// Clocking mode: screen off.
    pub(crate) const SCREEN_OFF: u8 = 1 << 5;
    /// Memory mode: odd/even addressing *disabled*.
    pub(crate) const SEQUENTIAL: u8 = 1 << 2;
    /// Memory mode: chain 4.
    pub(crate) const CHAIN_4: u8 = 1 << 3;
}

/// Graphics controller (3CE/3CF).
pub(super) mod gfx {
    pub(crate) const SET_RESET: usize = 0;
    pub(crate) const ENABLE_SET_RESET: usize = 1;
    pub(crate) const COLOR_COMPARE: usize = 2;
    pub(crate) const DATA_ROTATE: usize = 3;
    pub(crate) const READ_MAP: usize = 4;
    pub(crate) const MODE: usize = 5;
    pub(crate) const MISCELLANEOUS: usize = 6;
    pub(crate) const COLOR_DONT_CARE: usize = 7;
    pub(crate) const BIT_MASK: usize = 8;

    /// Mode: read mode 1.
    pub(crate) const READ_COMPARE: u8 = 1 << 3;
    /// Mode: host odd/even.
    pub(crate) const ODD_EVEN: u8 = 1 << 4;
    /// Miscellaneous: graphics instead of text.
    pub(crate) const GRAPHICS: u8 = 1 << 0;
    /// Miscellaneous: address bit 0 is replaced.
    pub(crate) const CHAIN_ODD_EVEN: u8 = 1 << 1;
}

/// CRT controller (3D4/3D5 or 3B4/3B5).
pub(super) mod crtc {
    pub(crate) const H_TOTAL: usize = 0x00;
    pub(crate) const H_DISPLAY_END: usize = 0x01;
    pub(crate) const V_TOTAL: usize = 0x06;
    pub(crate) const OVERFLOW: usize = 0x07;
    pub(crate) const PRESET_ROW_SCAN: usize = 0x08;
    pub(crate) const MAX_SCAN_LINE: usize = 0x09;
    pub(crate) const CURSOR_START: usize = 0x0A;
    pub(crate) const CURSOR_END: usize = 0x0B;
    pub(crate) const START_HIGH: usize = 0x0C;
    pub(crate) const START_LOW: usize = 0x0D;
    pub(crate) const CURSOR_HIGH: usize = 0x0E;
    pub(crate) const CURSOR_LOW: usize = 0x0F;
    pub(crate) const V_RETRACE_START: usize = 0x10;
    pub(crate) const V_RETRACE_END: usize = 0x11;
    pub(crate) const V_DISPLAY_END: usize = 0x12;
    pub(crate) const OFFSET: usize = 0x13;
    pub(crate) const UNDERLINE: usize = 0x14;
    pub(crate) const MODE: usize = 0x17;
    pub(crate) const LINE_COMPARE: usize = 0x18;
    /// Undocumented: the latch of the plane that Read Map names.
    pub(crate) const LATCH: usize = 0x22;
    /// Undocumented: the attribute controller's flip-flop.
    pub(crate) const FLIP_FLOP: usize = 0x24;
    /// Undocumented: the attribute controller's index.
    pub(crate) const ATTRIBUTE_INDEX: usize = 0x26;

    /// Vertical retrace end: registers 0 to 7 are write-protected.
    pub(crate) const PROTECT: u8 = 1 << 7;
    /// Maximum scan line: each line is scanned twice.
    pub(crate) const DOUBLE_SCAN: u8 = 1 << 7;
    /// Cursor start: cursor off.
    pub(crate) const CURSOR_OFF: u8 = 1 << 5;
    /// Underline location: doubleword addressing.
    pub(crate) const DOUBLEWORD: u8 = 1 << 6;
    /// Mode: address bit 13 is *not* replaced by bit 0 of the row scan counter.
    pub(crate) const MAP_13: u8 = 1 << 0;
    /// Mode: address bit 14 is *not* replaced by bit 1 of the row scan counter.
    pub(crate) const MAP_14: u8 = 1 << 1;
    /// Mode: the vertical counters run at half speed.
    pub(crate) const LINES_BY_TWO: u8 = 1 << 2;
    /// Mode: in word addressing bit 0 is address bit 15 instead of 13.
    pub(crate) const WRAP_15: u8 = 1 << 5;
    /// Mode: byte addressing.
    pub(crate) const BYTE_MODE: u8 = 1 << 6;
    /// Mode: sync enabled.
    pub(crate) const SYNC: u8 = 1 << 7;
}

/// Attribute controller (3C0/3C1).
pub(super) mod attr {
    pub(crate) const MODE: usize = 0x10;
    pub(crate) const PLANE_ENABLE: usize = 0x12;
    pub(crate) const PANNING: usize = 0x13;
    pub(crate) const COLOR_SELECT: usize = 0x14;

    /// Index: the palette drives the screen (0: it is open for writing and the screen is dark).
    pub(crate) const PALETTE_SOURCE: u8 = 1 << 5;
    /// Mode: monochrome attributes.
    pub(crate) const MONO: u8 = 1 << 1;
    /// Mode: the ninth dot of line graphics repeats the eighth.
    pub(crate) const LINE_GRAPHICS: u8 = 1 << 2;
    /// Mode: attribute bit 7 blinks.
    pub(crate) const BLINK: u8 = 1 << 3;
    /// Mode: panning is 0 below the split.
    pub(crate) const PAN_TOP_ONLY: u8 = 1 << 5;
    /// Mode: 8 bits a pixel.
    pub(crate) const EIGHT_BITS: u8 = 1 << 6;
    /// Mode: palette bits 5 and 4 come from Color Select.
    pub(crate) const P54_SELECT: u8 = 1 << 7;
}

/// Miscellaneous output (3C2, read at 3CC).
pub(super) mod misc {
    /// CRTC at 3Dx instead of 3Bx.
    pub(crate) const COLOR: u8 = 1 << 0;
    /// The CPU sees video memory.
    pub(crate) const RAM_ENABLE: u8 = 1 << 1;
}

/// Input status 1 (3DA or 3BA).
pub(super) mod status {
    /// The beam is outside the picture.
    pub(crate) const DISPLAY_DISABLED: u8 = 1 << 0;
    /// Vertical retrace.
    pub(crate) const RETRACE: u8 = 1 << 3;
}
