//! Drivers' scripts: how firmware, DOS and Linux program the controller.

mod atapi;
mod disk;
mod dma;
mod robustness;

use super::super::testing;
pub(super) use super::super::testing::Shared;
use super::*;
use crate::config::IdeSlot;
use crate::devices::pci::reg as pci;
use crate::host::{Disk, Host};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// A controller on a board, as a driver sees it.
pub(super) struct Pc {
    pub(super) ide: Ide,
    pub(super) board: crate::board::Board,
    pub(super) host: Host,
}

pub(super) const MASTER: u16 = 0xC000;

impl Pc {
    pub(super) fn new(slots: [IdeSlot; 4], media: [Option<Shared>; 4]) -> Self {
        let config = Config { ide: slots, ..Config::default() };
        let mut host = Host::null();
        for (slot, medium) in host.drives.ide.iter_mut().zip(media) {
            *slot = medium.map(|m| Box::new(m) as Box<dyn Disk>);
        }
        let mut pc = Self { ide: Ide::new(&config), board: testing::board(&config), host };
        pc.ide.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc.board.write_pci(Slot::IDE, pci::BASE_ADDRESS_0 + 16, &u32::from(MASTER).to_le_bytes());
        pc.board.write_pci(Slot::IDE, pci::COMMAND, &[5, 0]);
        pc
    }

    /// One disk as primary master.
    pub(super) fn disk(sectors: usize) -> (Self, Shared) {
        let medium = Shared::new(sectors);
        let slots = [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Empty];
        (Self::new(slots, [Some(medium.clone()), None, None, None]), medium)
    }

    /// A CD-ROM drive as secondary master.
    pub(super) fn cdrom(medium: Option<Shared>) -> Self {
        let slots = [IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Empty];
        Self::new(slots, [None, None, medium, None])
    }

    pub(super) fn input(&mut self, port: u16, width: Width) -> u32 {
        self.ide.read(port, width, &mut Bus { board: &mut self.board, host: &mut self.host })
    }

    pub(super) fn output(&mut self, port: u16, width: Width, value: u32) {
        self.ide.write(port, width, value, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    pub(super) fn inb(&mut self, port: u16) -> u8 {
        self.input(port, Width::Byte) as u8
    }

    pub(super) fn outb(&mut self, port: u16, value: u8) {
        self.output(port, Width::Byte, value.into());
    }

    pub(super) fn inw(&mut self, port: u16) -> u16 {
        self.input(port, Width::Word) as u16
    }

    /// Lets virtual time pass.
    pub(super) fn pass(&mut self, nanoseconds: u64) {
        let end = Instant(self.board.now.0 + nanoseconds);
        while let Some((timer, at)) = self.board.timers.pop(end) {
            self.board.now = at.max(self.board.now);
            self.ide.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
        }
        self.board.now = end;
    }

    /// Polls the alternate status until the channel is not busy.
    pub(super) fn ready(&mut self, base: u16) -> u8 {
        for _ in 0..100_000 {
            let status = self.inb(base + 0x206);
            if status & 0x80 == 0 {
                return status;
            }
            self.pass(1_000);
        }
        panic!("busy for ever");
    }

    /// Waits for the interrupt line of the channel and reads the status.
    pub(super) fn interrupt(&mut self, base: u16) -> u8 {
        for _ in 0..100_000 {
            if self.irq(base) {
                return self.inb(base + 7);
            }
            self.pass(1_000);
        }
        panic!("no interrupt, status {:02x}", self.inb(base + 0x206));
    }

    pub(super) fn irq(&self, base: u16) -> bool {
        let line = if base == 0x1F0 { 14 } else { 15 };
        self.board.irq.levels() >> line & 1 != 0
    }

    /// Writes the task file of a 28-bit command and the command.
    pub(super) fn command(&mut self, base: u16, device: u8, lba: u32, count: u8, command: u8) {
        let [low, mid, high, top] = lba.to_le_bytes();
        self.outb(base + 6, device | top & 0x0F);
        self.outb(base + 2, count);
        self.outb(base + 3, low);
        self.outb(base + 4, mid);
        self.outb(base + 5, high);
        self.outb(base + 7, command);
    }

    /// Writes the task file of a 48-bit command and the command.
    pub(super) fn command_ext(&mut self, base: u16, lba: u64, count: u16, command: u8) {
        let b = lba.to_le_bytes();
        let c = count.to_le_bytes();
        for (high, count) in [(3, c[1]), (0, c[0])] {
            self.outb(base + 2, count);
            for n in 0..3 {
                self.outb(base + 3 + n, b[usize::from(n) + high]);
            }
        }
        self.outb(base + 6, 0xE0);
        self.outb(base + 7, command);
    }

    /// Reads a block with 16-bit string input.
    pub(super) fn block(&mut self, base: u16, len: usize) -> Vec<u8> {
        (0..len / 2).flat_map(|_| self.inw(base).to_le_bytes()).collect()
    }

    pub(super) fn write_block(&mut self, base: u16, data: &[u8]) {
        for word in data.chunks_exact(2) {
            self.output(base, Width::Word, u16::from_le_bytes([word[0], word[1]]).into());
        }
    }
}
