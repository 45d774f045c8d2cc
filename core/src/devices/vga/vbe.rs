//! Bochs VBE: the DISPI registers (ports 1CE and 1CF, or BAR 2 from 500h on).

/// Registers by index.
pub(super) mod reg {
    pub(crate) const ID: u16 = 0;
    pub(crate) const XRES: u16 = 1;
    pub(crate) const YRES: u16 = 2;
    pub(crate) const BPP: u16 = 3;
    pub(crate) const ENABLE: u16 = 4;
    pub(crate) const BANK: u16 = 5;
    pub(crate) const VIRT_WIDTH: u16 = 6;
    pub(crate) const VIRT_HEIGHT: u16 = 7;
    pub(crate) const X_OFFSET: u16 = 8;
    pub(crate) const Y_OFFSET: u16 = 9;
    pub(crate) const VIDEO_MEMORY_64K: u16 = 10;
}

/// ENABLE: the VBE mode is on.
pub(super) const ENABLED: u16 = 1 << 0;
/// ENABLE: XRES, YRES and BPP read as the largest values.
pub(super) const GET_CAPS: u16 = 1 << 1;
/// ENABLE: 8 bits a DAC component.
pub(super) const DAC_8BIT: u16 = 1 << 5;
/// ENABLE: memory is kept.
pub(super) const NO_CLEAR: u16 = 1 << 7;

const ID0: u16 = 0xB0C0;
const ID5: u16 = 0xB0C5;
const MAX_XRES: u16 = 7680;
const MAX_YRES: u16 = 4320;
const MAX_BPP: u16 = 32;

/// The DISPI registers.
pub(super) struct Vbe {
    id: u16,
    index: u16,
    xres: u16,
    yres: u16,
    bpp: u16,
    enable: u16,
    pub(super) bank: u16,
    virt_width: u16,
    x_offset: u16,
    y_offset: u16,
    /// Bytes of video RAM; not stored.
    memory: usize,
}
archive_fields!(Vbe { id, index, xres, yres, bpp, enable, bank, virt_width, x_offset, y_offset });

/// A linear picture, checked against video RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Linear {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits a pixel: 8, 15, 16, 24 or 32.
    pub(super) bpp: u16,
    /// Offset of the first pixel in video RAM.
    pub(super) start: usize,
    /// Bytes from row to row.
    pub(super) pitch: usize,
}

/// What a write asks the card to do beyond storing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    None,
    /// The mode went on or off, or the DAC changed its width; `clear` video memory.
    Mode {
        clear: bool,
    },
    /// The window at A0000 moved.
    Bank,
}

impl Vbe {
    pub(super) const fn new(memory: usize) -> Self {
        Self {
            id: ID5,
            index: 0,
            xres: 0,
            yres: 0,
            bpp: 8,
            enable: 0,
            bank: 0,
            virt_width: 0,
            x_offset: 0,
            y_offset: 0,
            memory,
        }
    }

    pub(super) const fn reset(&mut self) {
        *self = Self::new(self.memory);
    }

    pub(super) const fn enabled(&self) -> bool {
        self.enable & ENABLED != 0
    }

    pub(super) const fn dac_8bit(&self) -> bool {
        self.enabled() && self.enable & DAC_8BIT != 0
    }

    /// First byte of video RAM in the window at A0000 when that is plain memory.
    pub(super) fn linear_window(&self) -> Option<usize> {
        (self.enabled() && self.bpp > 4).then(|| usize::from(self.bank) << 16)
    }

    pub(super) const fn index(&self) -> u16 {
        self.index
    }

    pub(super) const fn set_index(&mut self, index: u16) {
        self.index = index;
    }

    pub(super) fn read(&self, index: u16) -> u16 {
        let caps = self.enable & GET_CAPS != 0;
        match index {
            reg::ID => self.id,
            reg::XRES if caps => MAX_XRES,
            reg::YRES if caps => MAX_YRES,
            reg::BPP if caps => MAX_BPP,
            reg::XRES => self.xres,
            reg::YRES => self.yres,
            reg::BPP => self.bpp,
            reg::ENABLE => self.enable,
            reg::BANK => self.bank,
            reg::VIRT_WIDTH => self.virt_width,
            reg::VIRT_HEIGHT => self.memory.checked_div(self.pitch()).map_or(0, |h| h.min(0xFFFF) as u16),
            reg::X_OFFSET => self.x_offset,
            reg::Y_OFFSET => self.y_offset,
            reg::VIDEO_MEMORY_64K => (self.memory >> 16).min(0xFFFF) as u16,
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, index: u16, value: u16) -> Effect {
        match index {
            reg::ID if (ID0..=ID5).contains(&value) => {
                self.id = value;
            }
            reg::XRES if (8..=MAX_XRES).contains(&value) => {
                self.xres = value & !7;
            }
            reg::YRES if (1..=MAX_YRES).contains(&value) => {
                self.yres = value;
            }
            reg::BPP => {
                let bpp = if value == 0 { 8 } else { value };
                if matches!(bpp, 4 | 8 | 15 | 16 | 24 | 32) {
                    self.bpp = bpp;
                }
                return Effect::Bank;
            }
            reg::ENABLE => return self.set_enable(value),
            reg::BANK => {
                self.bank = value & ((self.memory >> 16).max(1) - 1).min(0x3FFF) as u16;
                return Effect::Bank;
            }
            reg::VIRT_WIDTH => self.virt_width = value.max(self.xres) & !7,
            reg::X_OFFSET => self.x_offset = value,
            reg::Y_OFFSET => self.y_offset = value,
            _ => {}
        }
        Effect::None
    }

    fn set_enable(&mut self, value: u16) -> Effect {
        let was = self.enabled();
        self.enable = value;
        if self.enabled() && !was {
            self.virt_width = self.xres;
            self.x_offset = 0;
            self.y_offset = 0;
            self.bank = 0;
            return Effect::Mode { clear: value & NO_CLEAR == 0 };
        }
        if !self.enabled() {
            self.bank = 0;
        }
        Effect::Mode { clear: false }
    }

    /// Bytes to a row (for 4 bits a pixel: of the four planes together).
    fn pitch(&self) -> usize {
        let width = usize::from(self.virt_width.max(self.xres));
        match self.bpp {
            4 => width / 2,
            15 => width * 2,
            bpp => width * usize::from(bpp / 8),
        }
    }

    /// Size of the picture, however little of it video RAM holds.
    pub(super) fn size(&self) -> (u32, u32) {
        (u32::from(self.xres).clamp(8, MAX_XRES.into()), u32::from(self.yres).clamp(1, MAX_YRES.into()))
    }

    /// The picture with start and pitch in bytes (of the four planes together for 4 bits a pixel); all rows
    /// lie in video RAM. `None` when not even one does.
    pub(super) fn linear(&self) -> Option<Linear> {
        let (width, height) = self.size();
        let pitch = self.pitch();
        let x = usize::from(self.x_offset);
        let skip = match self.bpp {
            4 => x / 8 * 4,
            15 => x * 2,
            bpp => x * usize::from(bpp / 8),
        };
        let row = match self.bpp {
            4 => width as usize / 2,
            15 => width as usize * 2,
            bpp => width as usize * usize::from(bpp / 8),
        };
        let start = (usize::from(self.y_offset) * pitch).checked_add(skip)?;
        // A start beyond the end shows nothing; rows that would leave video RAM stay dark.
        let room = self.memory.checked_sub(start.checked_add(row)?)?;
        let rows = room.checked_div(pitch)?.saturating_add(1);
        Some(Linear {
            width,
            height: height.min(rows.min(u32::MAX as usize) as u32),
            bpp: self.bpp,
            start,
            pitch,
        })
    }
}
