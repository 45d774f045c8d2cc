//! The four bit planes in video RAM and the CPU's ways to them.
//!
//! A *plane offset* names one byte in each plane. The four bytes lie side by side (plane *n* in byte *n* of
//! a little-endian double word), so that the latches load at once. Which double word holds an offset is
//! chosen so that the chained modes are contiguous bytes: chain 4 puts CPU address *a* into plane *a* & 3 at
//! offset *a* & !3, and with bits 1–0 of the offset moved above bits 15–2 that is byte *a* of video RAM. So
//! mode 13h can be mapped to the guest as memory, while a program that leaves chain 4 still finds its pixels
//! where the chip has them.

use super::reg::{gfx, misc, seq};
use super::{Registers, Vga};
use crate::memory::{Memory, page};

/// The double word of video RAM that holds a plane offset.
pub(super) const fn dword_of(offset: u32) -> usize {
    (offset & !0xFFFF | (offset & 0xFFFC) >> 2 | (offset & 3) << 14) as usize
}

/// The four planes at an offset.
pub(super) fn load(vram: &[u8], offset: u32) -> u32 {
    let at = (dword_of(offset) * 4) & (vram.len() - 1) & !3;
    vram[at..].first_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b))
}

/// Expands bit *n* to byte *n*.
pub(super) const fn spread(planes: u8) -> u32 {
    let p = planes as u32;
    (p & 1 | (p & 2) << 7 | (p & 4) << 14 | (p & 8) << 21) * 0xFF
}

/// Plane offsets to a dirty block.
pub(super) const BLOCK: u32 = 64;
const BLOCKS: u32 = 4096;

/// Which plane offsets were written since they were drawn.
pub(super) struct Blocks([u64; BLOCKS as usize / 64]);

impl Blocks {
    pub(super) const fn new() -> Self {
        Self([0; BLOCKS as usize / 64])
    }

    pub(super) const fn mark(&mut self, offset: u32) {
        let block = offset / BLOCK % BLOCKS;
        self.0[block as usize / 64] |= 1 << (block % 64);
    }

    /// Marks the 4096 plane offsets from a multiple of 4096 on.
    pub(super) const fn mark_page(&mut self, offset: u32) {
        self.0[(offset / BLOCK % BLOCKS) as usize / 64] = u64::MAX;
    }

    pub(super) fn any(&self, first: u32, last: u32) -> bool {
        let (first, last) = (first / BLOCK, last / BLOCK);
        last - first >= BLOCKS
            || (first..=last).any(|b| {
                let b = b % BLOCKS;
                self.0[b as usize / 64] >> (b % 64) & 1 != 0
            })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&w| w == 0)
    }

    pub(super) const fn clear(&mut self) {
        self.0 = [0; BLOCKS as usize / 64];
    }
}

/// Where a CPU access falls.
#[derive(Clone, Copy)]
struct Place {
    offset: u32,
    /// Planes that a write reaches.
    write: u8,
    /// Plane that read mode 0 gives.
    read: u8,
}

impl Registers {
    /// Offset of a physical address in the window that Miscellaneous bits 3–2 open.
    fn window(&self, at: u32) -> Option<u32> {
        if self.misc & misc::RAM_ENABLE == 0 {
            return None;
        }
        let (start, len) = match self.gfx[gfx::MISCELLANEOUS] >> 2 & 3 {
            0 => (0xA_0000, 0x2_0000),
            1 => (0xA_0000, 0x1_0000),
            2 => (0xB_0000, 0x8000),
            _ => (0xB_8000, 0x8000),
        };
        let offset = at.wrapping_sub(start);
        (offset < len).then_some(offset)
    }

    fn place(&self, offset: u32) -> Place {
        let lane = (offset & 3) as u8;
        if self.seq[seq::MEMORY_MODE] & seq::CHAIN_4 != 0 {
            return Place { offset: offset & !3, write: 1 << lane, read: lane };
        }
        let odd = lane & 1;
        let mut place = Place { offset, write: 0xF, read: self.gfx[gfx::READ_MAP] & 3 };
        if self.gfx[gfx::MISCELLANEOUS] & gfx::CHAIN_ODD_EVEN != 0 {
            place.offset &= !1;
        }
        if self.seq[seq::MEMORY_MODE] & seq::SEQUENTIAL == 0 {
            place.write = 0b0101 << odd;
        }
        if self.gfx[gfx::MODE] & gfx::ODD_EVEN != 0 {
            place.read = place.read & 2 | odd;
        }
        place
    }

    /// Whether chain 4 with nothing between CPU and memory is in force: A0000 is then plain memory.
    pub(super) fn is_plain_chain_4(&self) -> bool {
        self.misc & misc::RAM_ENABLE != 0
            && self.seq[seq::MEMORY_MODE] & seq::CHAIN_4 != 0
            && self.seq[seq::MAP_MASK] & 0xF == 0xF
            && self.gfx[gfx::MISCELLANEOUS] & 0b1000 == 0
            && self.gfx[gfx::MODE] & (gfx::READ_COMPARE | 3) == 0
            && self.gfx[gfx::ENABLE_SET_RESET] & 0xF == 0
            && self.gfx[gfx::DATA_ROTATE] & 0x1F == 0
            && self.gfx[gfx::BIT_MASK] == 0xFF
    }
}

impl Vga {
    /// The bank that VBE adds to planar accesses, in plane offsets.
    const fn planar_bank(&self) -> u32 {
        if self.vbe.enabled() { (self.vbe.bank as u32) << 16 } else { 0 }
    }

    pub(super) fn cpu_read(&mut self, at: u32, memory: &Memory) -> u8 {
        if let Some(base) = self.vbe.linear_window() {
            if at >= 0xB_0000 {
                return 0xFF;
            }
            return memory.vram().get(base + (at & 0xFFFF) as usize).copied().unwrap_or(0xFF);
        }
        let Some(offset) = self.regs.window(at) else { return 0xFF };
        let place = self.regs.place(offset & 0xFFFF);
        self.latch = load(memory.vram(), place.offset + self.planar_bank());
        if self.regs.gfx[gfx::MODE] & gfx::READ_COMPARE != 0 {
            let care = spread(self.regs.gfx[gfx::COLOR_DONT_CARE]);
            let differ = (self.latch ^ spread(self.regs.gfx[gfx::COLOR_COMPARE])) & care;
            let [a, b, c, d] = differ.to_le_bytes();
            return !(a | b | c | d);
        }
        (self.latch >> (8 * place.read)) as u8
    }

    pub(super) fn cpu_write(&mut self, at: u32, value: u8, memory: &mut Memory) {
        let vram_start = memory.vram_range().start;
        if let Some(base) = self.vbe.linear_window() {
            let to = base + (at & 0xFFFF) as usize;
            if at < 0xB_0000 && to < memory.vram().len() {
                memory.touched(vram_start + to, 1);
                memory.vram_mut()[to] = value;
            }
            return;
        }
        let Some(offset) = self.regs.window(at) else { return };
        let place = self.regs.place(offset & 0xFFFF);
        let planes = spread(place.write & self.regs.seq[seq::MAP_MASK]);
        let data = self.write_data(value);
        let offset = place.offset + self.planar_bank();
        let vram = memory.vram_mut();
        let at = (dword_of(offset) * 4) & (vram.len() - 1) & !3;
        let Some(cell) = vram[at..].first_chunk_mut::<4>() else { return };
        let old = u32::from_le_bytes(*cell);
        let new = old & !planes | data & planes;
        if new == old {
            return;
        }
        *cell = new.to_le_bytes();
        self.blocks.mark(offset);
        if (new ^ old) >> 16 != 0 {
            self.fonts_changed = true;
        }
        if memory.flags(vram_start + at) & page::CODE != 0 {
            memory.touched(vram_start + at, 4);
        }
    }

    /// What the write mode, the logic unit and the latches make of a byte.
    fn write_data(&self, value: u8) -> u32 {
        const EACH: u32 = 0x0101_0101;
        let r = &self.regs;
        let rotated = value.rotate_right(u32::from(r.gfx[gfx::DATA_ROTATE] & 7));
        let set = spread(r.gfx[gfx::SET_RESET]);
        let mut mask = r.gfx[gfx::BIT_MASK];
        let input = match r.gfx[gfx::MODE] & 3 {
            0 => {
                let fixed = spread(r.gfx[gfx::ENABLE_SET_RESET]);
                (u32::from(rotated) * EACH) & !fixed | set & fixed
            }
            1 => return self.latch,
            2 => spread(value),
            _ => {
                mask &= rotated;
                set
            }
        };
        let result = match r.gfx[gfx::DATA_ROTATE] >> 3 & 3 {
            0 => input,
            1 => input & self.latch,
            2 => input | self.latch,
            _ => input ^ self.latch,
        };
        let mask = u32::from(mask) * EACH;
        result & mask | self.latch & !mask
    }
}
