//! The channels of the two 8237A: on the board, where devices that transfer reach them.

use crate::memory::{Memory, PAGE, PhysAddr};

/// The mode register.
mod mode {
    /// Demand, single, block or cascade.
    pub(super) const KIND: u8 = 0xC0;
    pub(super) const CASCADE: u8 = 0xC0;
    pub(super) const DECREMENT: u8 = 0x20;
    pub(super) const AUTOINIT: u8 = 0x10;
    pub(super) const TRANSFER: u8 = 0x0C;
    pub(super) const WRITE: u8 = 0x04;
    pub(super) const READ: u8 = 0x08;
}

/// The command register.
mod command {
    pub(super) const DISABLE: u8 = 0x04;
}

/// What a transfer came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// Bytes that went through the channel.
    pub bytes: usize,
    /// The last of them ended the programmed count (TC).
    pub terminal: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    base_address: u16,
    base_count: u16,
    address: u16,
    count: u16,
    mode: u8,
    masked: bool,
    /// The level of DREQ.
    requested: bool,
    /// A request by software.
    software: bool,
    /// Terminal count was reached since the status was read.
    terminal: bool,
    /// Address bits 16–23.
    page: u8,
}
crate::archive_fields!(Channel {
    base_address,
    base_count,
    address,
    count,
    mode,
    masked,
    requested,
    software,
    terminal,
    page,
});

#[derive(Clone, Copy, Debug, Default)]
struct Controller {
    command: u8,
    /// The next byte of a 16-bit register is the high one.
    high: bool,
}
crate::archive_fields!(Controller { command, high });

/// Registers of all channels: 0–3 move bytes, 5–7 words, 4 connects the first controller to the second.
#[derive(Clone, Debug, Default)]
pub struct DmaChannels {
    channels: [Channel; 8],
    controllers: [Controller; 2],
}
crate::archive_fields!(DmaChannels { channels, controllers });

impl DmaChannels {
    /// After reset.
    #[must_use]
    pub fn new() -> Self {
        let mut channels = Self::default();
        channels.reset();
        channels
    }

    pub(super) fn reset(&mut self) {
        for n in 0..2 {
            self.master_clear(n);
        }
    }

    /// Raises or lowers a channel's DREQ as the status register shows it.
    pub fn request(&mut self, channel: u8, level: bool) {
        self.channels[usize::from(channel & 7)].requested = level;
    }

    /// Whether a request of a channel would be answered.
    #[must_use]
    pub const fn ready(&self, channel: u8) -> bool {
        let c = &self.channels[(channel & 7) as usize];
        let enabled = self.controllers[(channel >> 2 & 1) as usize].command & command::DISABLE == 0;
        enabled && !c.masked && c.mode & mode::KIND != mode::CASCADE
    }

    /// Bytes up to the terminal count.
    #[must_use]
    pub const fn remaining(&self, channel: u8) -> usize {
        (self.channels[(channel & 7) as usize].count as usize + 1) << Self::shift(channel)
    }

    /// 1 for channels that move words.
    const fn shift(channel: u8) -> u32 {
        (channel >> 2 & 1) as u32
    }

    /// A device gives bytes: to memory when the channel is programmed so, into nothing when it verifies (or
    /// is programmed for the other direction). Stops at the terminal count, or takes nothing when the
    /// channel is not [ready](Self::ready).
    pub fn to_memory(&mut self, memory: &mut Memory, channel: u8, data: &[u8]) -> Moved {
        let write = self.channels[usize::from(channel & 7)].mode & mode::TRANSFER == mode::WRITE;
        self.run(channel, data.len(), |at, from, len| {
            if write {
                // Whatever is not memory takes nothing: a device cannot be reached through DMA.
                memory.write(at, &data[from..from + len]);
            }
        })
    }

    /// A device takes bytes. Where nothing is transferred, it sees an open bus.
    pub fn from_memory(&mut self, memory: &Memory, channel: u8, data: &mut [u8]) -> Moved {
        let read = self.channels[usize::from(channel & 7)].mode & mode::TRANSFER == mode::READ;
        let len = data.len();
        self.run(channel, len, |at, from, len| {
            let piece = &mut data[from..from + len];
            if !read || !memory.read(at, piece) {
                piece.fill(0xFF);
            }
        })
    }

    /// Moves up to `len` bytes in pieces that lie within a page.
    fn run(&mut self, channel: u8, len: usize, mut piece: impl FnMut(PhysAddr, usize, usize)) -> Moved {
        let mut moved = Moved::default();
        if !self.ready(channel) {
            return moved;
        }
        let shift = Self::shift(channel);
        let c = &mut self.channels[usize::from(channel & 7)];
        // Channels of words drive the page register's lowest bit from the address.
        let page = PhysAddr::from(c.page >> shift << shift) << 16;
        let mut left = len >> shift;
        while left > 0 && !moved.terminal {
            let at = page | PhysAddr::from(c.address) << shift;
            let units = if c.mode & mode::DECREMENT != 0 {
                1
            } else {
                let to_wrap = 0x1_0000 - usize::from(c.address);
                let to_page = (PAGE - (at as usize & (PAGE - 1))) >> shift;
                to_wrap.min(to_page).min(usize::from(c.count) + 1).min(left)
            };
            piece(at, moved.bytes, units << shift);
            moved.bytes += units << shift;
            left -= units;
            c.address = if c.mode & mode::DECREMENT != 0 {
                c.address.wrapping_sub(1)
            } else {
                c.address.wrapping_add(units as u16)
            };
            moved.terminal = usize::from(c.count) + 1 == units;
            c.count = c.count.wrapping_sub(units as u16);
        }
        if moved.terminal {
            c.terminal = true;
            c.software = false;
            if c.mode & mode::AUTOINIT != 0 {
                (c.address, c.count) = (c.base_address, c.base_count);
            } else {
                c.masked = true;
            }
        }
        moved
    }

    fn of(&mut self, controller: usize) -> &mut [Channel] {
        &mut self.channels[4 * controller..4 * controller + 4]
    }

    /// Which byte of a 16-bit register is next: true for the high one.
    fn flip(&mut self, controller: usize) -> bool {
        let high = &mut self.controllers[controller].high;
        *high = !*high;
        !*high
    }

    pub(super) fn read(&mut self, controller: usize, register: u16) -> u8 {
        match register {
            0..=7 => {
                let high = self.flip(controller);
                let c = &self.of(controller)[usize::from(register >> 1)];
                let value = if register & 1 == 0 { c.address } else { c.count };
                (if high { value >> 8 } else { value }) as u8
            }
            8 => {
                let mut status = 0;
                for (n, c) in self.of(controller).iter_mut().enumerate() {
                    status |= u8::from(core::mem::take(&mut c.terminal)) << n;
                    status |= u8::from(c.requested || c.software) << (n + 4);
                }
                status
            }
            // Chips in PCs show the mask here.
            15 => self.of(controller).iter().rev().fold(0, |mask, c| mask << 1 | u8::from(c.masked)),
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, controller: usize, register: u16, value: u8) {
        let selected = usize::from(value & 3);
        match register {
            0..=7 => {
                let high = self.flip(controller);
                let set = |word: &mut u16| {
                    *word = if high {
                        *word & 0x00FF | u16::from(value) << 8
                    } else {
                        *word & 0xFF00 | u16::from(value)
                    }
                };
                let c = &mut self.of(controller)[usize::from(register >> 1)];
                if register & 1 == 0 {
                    set(&mut c.base_address);
                    set(&mut c.address);
                } else {
                    set(&mut c.base_count);
                    set(&mut c.count);
                }
            }
            8 => self.controllers[controller].command = value,
            9 => self.of(controller)[selected].software = value & 4 != 0,
            10 => self.of(controller)[selected].masked = value & 4 != 0,
            11 => self.of(controller)[selected].mode = value & !3,
            12 => self.controllers[controller].high = false,
            13 => self.master_clear(controller),
            14 => self.of(controller).iter_mut().for_each(|c| c.masked = false),
            _ => {
                for (n, c) in self.of(controller).iter_mut().enumerate() {
                    c.masked = value >> n & 1 != 0;
                }
            }
        }
    }

    fn master_clear(&mut self, controller: usize) {
        self.controllers[controller] = Controller::default();
        for c in self.of(controller) {
            c.masked = true;
            c.terminal = false;
            c.software = false;
        }
    }

    pub(super) fn page(&mut self, channel: u8) -> &mut u8 {
        &mut self.channels[usize::from(channel & 7)].page
    }
}
