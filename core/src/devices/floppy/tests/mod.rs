//! Drivers' scripts: how the BIOS, DOS and Linux program the controller.

mod commands;
mod robustness;
mod transfers;

use super::super::testing::{self, Shared};
use super::*;
use crate::devices::dma::Dma;
use crate::host::{Disk, Host};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where transfers go in memory.
const BUFFER: u64 = 0x1_2000;

/// A controller and the DMA controller on a board, as a driver sees them.
struct Pc {
    fdc: Floppy,
    dma: Dma,
    board: crate::board::Board,
    host: Host,
}

impl Pc {
    /// A machine in which the BIOS has set the controller up, motors running.
    fn new(media: [Option<Shared>; 2]) -> Self {
        let mut pc = Self::cold(media);
        pc.out(port::DOR, 0x3C);
        pc.wait();
        for drive in 0..4 {
            assert_eq!(pc.command(&[0x08]), [0xC0 | drive, 0]);
        }
        pc.command(&[0x03, 0xAF, 0x02]);
        pc.out(port::DIR_CCR, 0);
        pc
    }

    fn cold(media: [Option<Shared>; 2]) -> Self {
        let config = Config { floppies: 2, video_memory: 1 << 20, ..Config::default() };
        let mut host = Host::null();
        host.drives.floppy = media.map(|m| m.map(|m| Box::new(m) as Box<dyn Disk>));
        let mut pc =
            Self { fdc: Floppy::new(&config), dma: Dma::new(&config), board: testing::board(&config), host };
        let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
        pc.fdc.reset(&mut bus);
        pc.dma.reset(&mut bus);
        pc
    }

    /// A 1.44 MB floppy in drive A.
    fn floppy() -> (Self, Shared) {
        let medium = Shared::new(2880);
        (Self::new([Some(medium.clone()), None]), medium)
    }

    fn out(&mut self, port: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        match port {
            0..=0xDF => self.dma.write(port, Width::Byte, value.into(), bus),
            _ => self.fdc.write(port, Width::Byte, value.into(), bus),
        }
    }

    fn inb(&mut self, port: u16) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.fdc.read(port, Width::Byte, bus) as u8
    }

    fn irq(&self) -> bool {
        self.board.irq.levels() >> LINE & 1 != 0
    }

    /// Lets one deadline pass; false when there is none.
    fn tick(&mut self) -> bool {
        let next = self.board.timers.next();
        if next == Instant::FAR {
            return false;
        }
        self.board.now = next;
        while let Some((timer, _)) = self.board.timers.pop(self.board.now) {
            self.fdc.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
        }
        true
    }

    /// Lets time pass until there is an interrupt, or nothing more will happen.
    fn wait(&mut self) {
        while !self.irq() && self.tick() {}
    }

    fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            assert_eq!(self.inb(port::MSR_DSR) & 0xC0, msr::RQM, "the controller takes bytes");
            self.out(port::FIFO, byte);
        }
    }

    fn result(&mut self) -> Vec<u8> {
        let mut result = Vec::new();
        while self.inb(port::MSR_DSR) & 0xD0 == 0xD0 {
            result.push(self.inb(port::FIFO));
        }
        result
    }

    /// A command with an immediate result.
    fn command(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.result()
    }

    /// A command that ends with an interrupt.
    fn run(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.wait();
        assert!(self.irq(), "the end is told");
        let result = self.result();
        assert!(!self.irq());
        result
    }

    /// A seek or recalibrate: status and cylinder.
    fn seek(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.wait();
        assert!(self.irq());
        let result = self.command(&[0x08]);
        assert!(!self.irq());
        result
    }

    /// Channel 2 as a floppy driver programs it: 44h to memory, 48h from it, 40h to verify.
    fn channel(&mut self, mode: u8, bytes: u32) {
        let count = bytes - 1;
        for (port, value) in [
            (0x0A, 6),
            (0x0C, 0),
            (0x0B, mode | 2),
            (0x04, BUFFER as u8),
            (0x04, (BUFFER >> 8) as u8),
            (0x05, count as u8),
            (0x05, (count >> 8) as u8),
            (0x81, (BUFFER >> 16) as u8),
            (0x0A, 2),
        ] {
            self.out(port, value);
        }
    }

    fn memory(&self, at: u64, len: usize) -> Vec<u8> {
        let mut data = alloc::vec![0; len];
        assert!(self.board.memory.read(at, &mut data));
        data
    }

    /// The sectors in the buffer, as [`Shared::new`] numbered them.
    fn sectors(&self, count: usize) -> Vec<u64> {
        let data = self.memory(BUFFER, count * SECTOR);
        data.chunks(SECTOR).map(|s| u64::from_le_bytes(s[..8].try_into().unwrap())).collect()
    }
}
