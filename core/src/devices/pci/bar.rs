//! Base address registers: sizing, and claiming what they decode.

use super::bus::{Function, Slot, reg};
use crate::board::Board;
use crate::devices::DeviceId;
use crate::memory::{PAGE, PhysAddr, Target};

/// Base address registers of a type-0 header.
pub const BARS: usize = 6;
/// The expansion ROM's number, where a number of a base address register is asked for.
pub const ROM_BAR: usize = BARS;

/// Who answers in a memory range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarTarget {
    /// A device, through its memory-mapped accesses.
    Device(DeviceId),
    /// Memory: byte offset in the backing (a linear framebuffer).
    Backing(usize),
    /// Memory that cannot be written: byte offset in the backing.
    Rom(usize),
}

/// A base address register. Sizes are powers of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// Ports.
    Io {
        /// From 4 to 256 ports.
        size: u16,
        /// Who answers.
        device: DeviceId,
    },
    /// Memory under 4 GiB.
    Memory {
        /// From 16 bytes on.
        size: u32,
        /// Reading has no side effects.
        prefetch: bool,
        /// Who answers.
        target: BarTarget,
    },
}

/// An expansion ROM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rom {
    /// A power of two from 2 KiB on.
    pub size: u32,
    /// Who answers.
    pub target: BarTarget,
}

impl Function {
    /// Configuration register of BAR `n` or the ROM.
    pub(super) const fn bar_register(n: usize) -> u8 {
        if n == ROM_BAR { reg::EXPANSION_ROM } else { reg::BASE_ADDRESS_0 + 4 * n as u8 }
    }

    /// Bits that always read the same, and bits that can be written.
    pub(super) fn bar_bits(&self, n: usize) -> Option<(u32, u32)> {
        if n == ROM_BAR {
            return self.rom.map(|rom| (0, !(rom.size - 1) & !0x7FF | 1));
        }
        Some(match self.bars[n]? {
            Bar::Io { size, .. } => (1, !(u32::from(size) - 1) & !3),
            Bar::Memory { size, prefetch, .. } => (u32::from(prefetch) << 3, !(size - 1) & !15),
        })
    }

    /// Where BAR `n` should answer, by its registers. RAM of `ram` bytes wins over memory.
    fn decode(&self, n: usize, ram: u64) -> Option<u32> {
        let value = self.dword(Self::bar_register(n));
        let command = self.command();
        let size = match (n, self.bars.get(n).copied().flatten()) {
            (ROM_BAR, _) => {
                let rom = self.rom?;
                if value & 1 == 0 {
                    return None;
                }
                rom.size
            }
            (_, Some(Bar::Io { size, .. })) => {
                let at = value & !3;
                let last = at.checked_add(u32::from(size) - 1)?;
                let on = command & reg::COMMAND_IO != 0;
                return (on && at != 0 && last <= 0xFFFF).then_some(at);
            }
            (_, Some(Bar::Memory { size, .. })) => size,
            (_, None) => return None,
        };
        let at = value & !(size - 1) & !15;
        let last = at.checked_add(size - 1)?;
        let on = command & reg::COMMAND_MEMORY != 0;
        // What the host bridge does not pass on to the bus: RAM, the APICs, the firmware (a BAR that is
        // being sized lies there).
        let kept = [(0xFEC0_0000, 0xFECF_FFFF), (0xFEE0_0000, 0xFEEF_FFFF), (0xFFFC_0000, u32::MAX)];
        let free = u64::from(at) >= ram.max(0x10_0000)
            && !kept.iter().any(|&(first, end)| at <= end && first <= last);
        (on && free).then_some(at)
    }

    /// Size and answerer of a memory BAR or the ROM.
    fn memory_bar(&self, n: usize) -> Option<(u32, BarTarget)> {
        if n == ROM_BAR {
            return self.rom.map(|rom| (rom.size, rom.target));
        }
        match self.bars[n]? {
            Bar::Memory { size, target, .. } => Some((size, target)),
            Bar::Io { .. } => None,
        }
    }
}

/// Start and length of the pages that hold a range.
fn pages(at: u32, size: u32) -> (PhysAddr, u64) {
    let mask = PAGE as u64 - 1;
    let start = u64::from(at) & !mask;
    (start, ((u64::from(at) + u64::from(size) + mask) & !mask) - start)
}

impl Board {
    /// Moves all BARs of a function to where its registers say.
    pub(super) fn pci_remap(&mut self, slot: Slot) {
        let Some(index) = self.pci.find(slot) else { return };
        let ram = self.memory.ram_size() as u64;
        for n in 0..=ROM_BAR {
            let f = &self.pci.functions[index];
            let want = f.decode(n, ram);
            if want != f.mapped[n] {
                self.pci_unmap(index, n);
                if let Some(at) = want {
                    self.pci.functions[index].mapped[n] = want;
                    self.pci_map(index, n, at);
                }
            }
        }
    }

    /// Takes all that a function claimed back.
    pub(super) fn pci_unmap_all(&mut self, index: usize) {
        for n in 0..=ROM_BAR {
            self.pci_unmap(index, n);
        }
    }

    fn pci_map(&mut self, index: usize, n: usize, at: u32) {
        let f = &self.pci.functions[index];
        if let Some((size, target)) = f.memory_bar(n) {
            let (start, len) = pages(at, size);
            match target {
                BarTarget::Device(device) => {
                    self.mmio.claim(u64::from(at), u64::from(size), device);
                    self.memory.map(start, len, Target::Io);
                }
                BarTarget::Backing(offset) => self.memory.map(start, len, Target::Memory(offset)),
                BarTarget::Rom(offset) => self.memory.map(start, len, Target::Rom(offset)),
            }
        } else if let Some(Bar::Io { size, device }) = f.bars[n] {
            let at = at as u16;
            self.io.claim(at..=at + (size - 1), device);
        }
    }

    fn pci_unmap(&mut self, index: usize, n: usize) {
        let f = &mut self.pci.functions[index];
        let Some(at) = f.mapped[n].take() else { return };
        if let Some((size, target)) = f.memory_bar(n) {
            let (start, _) = pages(at, size);
            self.memory.unmap(start);
            if let BarTarget::Device(device) = target {
                self.mmio.release(u64::from(at), device);
            }
            self.pci_uncover(start);
        } else if let Some(Bar::Io { size, device }) = f.bars[n] {
            let at = at as u16;
            self.io.release(&(at..=at + (size - 1)), device);
        }
    }

    /// Maps again what another BAR had at the same page: two BARs may have been moved onto one another.
    fn pci_uncover(&mut self, start: PhysAddr) {
        for index in 0..self.pci.functions.len() {
            for n in 0..=ROM_BAR {
                let f = &self.pci.functions[index];
                match (f.mapped[n], f.memory_bar(n)) {
                    (Some(at), Some((size, _))) if pages(at, size).0 == start => self.pci_map(index, n, at),
                    _ => {}
                }
            }
        }
    }
}
