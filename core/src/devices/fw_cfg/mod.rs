//! fw_cfg: how firmware learns what machine it runs on.
//!
//! Items have 16-bit keys; a directory gives names to those from 20h on. An item is selected and then read
//! byte by byte, or copied to memory by a descriptor that the guest points to.
//!
//! Spec: QEMU, docs/specs/fw_cfg.
//! Not emulated: writable items; the memory-mapped layout.

mod items;
#[cfg(test)]
mod tests;

use super::{Bus, Device, DeviceId, bytes_read};
use crate::archive::Archive;
use crate::board::{Board, Width};
use crate::config::Config;
use crate::memory::PhysAddr;
use crate::time::Timer;
use items::Items;

/// Selector.
const SELECTOR: u16 = 0x510;
/// Data, a byte at a time.
const DATA: u16 = 0x511;
/// Address of a transfer descriptor, big-endian, upper half first.
const DMA: u16 = 0x514;
/// The lower half of it, whose write starts the transfer.
const DMA_LOW: u16 = 0x518;
const DMA_END: u16 = 0x51B;
/// What the DMA address register reads as.
const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";

/// Bits of a transfer's control word.
mod control {
    pub(super) const ERROR: u32 = 1 << 0;
    pub(super) const READ: u32 = 1 << 1;
    pub(super) const SKIP: u32 = 1 << 2;
    pub(super) const SELECT: u32 = 1 << 3;
    pub(super) const WRITE: u32 = 1 << 4;
}

/// Most zeros given by one transfer after an item's end: more is an error, so that no access takes long.
const MOST_ZEROS: u32 = 64 << 20;

/// The firmware configuration interface.
pub struct FwCfg {
    present: bool,
    items: Items,
    key: u16,
    offset: u32,
    dma_high: u32,
}

impl FwCfg {
    /// The next byte of the selected item; zero after its end.
    fn next(&mut self) -> u8 {
        let byte = self.items.get(self.key).get(self.offset as usize).copied().unwrap_or(0);
        self.offset = self.offset.saturating_add(1);
        byte
    }

    /// Carries out the transfer that the descriptor at `at` describes, and reports back there.
    fn transfer(&mut self, at: PhysAddr, board: &mut Board) {
        let mut descriptor = [0; 16];
        if !board.memory.read(at, &mut descriptor) {
            return;
        }
        let word = |n: usize| u32::from_be_bytes(core::array::from_fn(|i| descriptor[4 * n + i]));
        let (command, len) = (word(0), word(1));
        let address = u64::from(word(2)) << 32 | u64::from(word(3));
        if command & control::SELECT != 0 {
            self.key = (command >> 16) as u16;
            self.offset = 0;
        }
        let done = if command & control::READ != 0 {
            self.copy(address, len, board)
        } else if command & control::SKIP != 0 {
            self.offset = self.offset.saturating_add(len);
            true
        } else {
            // No item can be written.
            command & control::WRITE == 0
        };
        let result = if done { 0 } else { control::ERROR };
        board.memory.write(at, &result.to_be_bytes());
    }

    fn copy(&mut self, address: PhysAddr, len: u32, board: &mut Board) -> bool {
        let item = self.items.get(self.key);
        let rest = item.get(self.offset as usize..).unwrap_or(&[]);
        let some = &rest[..rest.len().min(len as usize)];
        let mut zeros = len - some.len() as u32;
        if zeros > MOST_ZEROS {
            return false;
        }
        self.offset = self.offset.saturating_add(len);
        let mut done = board.memory.write(address, some);
        let mut at = address.wrapping_add(some.len() as u64);
        let page = [0; crate::memory::PAGE];
        while zeros > 0 && done {
            let n = zeros.min(page.len() as u32);
            done = board.memory.write(at, &page[..n as usize]);
            at = at.wrapping_add(u64::from(n));
            zeros -= n;
        }
        done
    }
}

impl Device for FwCfg {
    const TAG: [u8; 4] = *b"FWCF";
    const WIDEST: Width = Width::Dword;

    fn new(config: &Config) -> Self {
        let present = config.firmware_tables && !config.bios.is_empty();
        let items = if present { Items::new(config) } else { Items::none() };
        Self { present, items, key: 0, offset: 0, dma_high: 0 }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        self.key = 0;
        self.offset = 0;
        self.dma_high = 0;
        if self.present {
            bus.board.io.claim(SELECTOR..=DATA, DeviceId::FwCfg);
            bus.board.io.claim(DMA..=DMA_END, DeviceId::FwCfg);
        }
    }

    fn read(&mut self, port: u16, width: Width, _bus: &mut Bus<'_>) -> u32 {
        bytes_read(width, |n| match port + n {
            DATA => self.next(),
            port @ DMA..=DMA_END => DMA_SIGNATURE[usize::from(port - DMA)],
            _ => 0,
        })
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        match (port, width) {
            (SELECTOR, Width::Word) => {
                self.key = value as u16;
                self.offset = 0;
            }
            (DMA, Width::Dword) => self.dma_high = value.swap_bytes(),
            (DMA_LOW, Width::Dword) => {
                let at = u64::from(core::mem::take(&mut self.dma_high)) << 32 | u64::from(value.swap_bytes());
                self.transfer(at, bus.board);
            }
            _ => {}
        }
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.key);
        a.field(&mut self.offset);
        a.field(&mut self.dma_high);
    }
}
