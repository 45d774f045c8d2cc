//! What the processor sees of the rest of the machine while it runs: memory, ports, time.

use super::clock::Time;
use super::{Random, settle};
use crate::board::{Board, Source, Width};
use crate::config::ClockMode;
use crate::cpu::{Io, event};
use crate::devices::{Bus, Devices};
use crate::host::Host;
use crate::memory::{Memory, PhysAddr};
use crate::time::Instant;

/// What the processor sees of the rest of the machine while it runs.
pub(super) struct Platform<'m> {
    pub(super) devices: &'m mut Devices,
    pub(super) board: &'m mut Board,
    pub(super) host: &'m mut Host,
    pub(super) time: &'m mut Time,
    pub(super) random: &'m mut Random,
    pub(super) deadline: Instant,
    pub(super) interrupt: bool,
    pub(super) leave: bool,
}

impl Platform<'_> {
    fn tick(&mut self, count: u64) {
        self.board.now = self.time.at(count, self.board.timers.next(), self.interrupt, self.host);
    }

    fn after(&mut self) {
        self.interrupt = settle(self.board, self.devices);
        // A deadline may have moved nearer, or the host's clock past it while ports were slow.
        let due = self.board.timers.next() < self.deadline || self.board.now >= self.deadline;
        self.leave |= self.board.request.is_some() || due;
    }

    fn bus(&mut self) -> (&mut Devices, Bus<'_>) {
        (self.devices, Bus { board: self.board, host: self.host })
    }

    /// One access as the device takes it.
    fn read_one(&mut self, port: u16, width: Width) -> u32 {
        let Some(id) = self.board.io.device(port) else { return width.ones() };
        let widest = Devices::widest(id);
        if width > widest || port.checked_add(width as u16 - 1).is_none() {
            return split(width, |n, part| self.read_one(port.wrapping_add(n), part));
        }
        let (devices, mut bus) = self.bus();
        devices.read(id, port, width, &mut bus) & width.ones()
    }

    fn write_one(&mut self, port: u16, width: Width, value: u32) {
        let Some(id) = self.board.io.device(port) else { return };
        let widest = Devices::widest(id);
        if width > widest || port.checked_add(width as u16 - 1).is_none() {
            let half = if width == Width::Dword { Width::Word } else { Width::Byte };
            self.write_one(port, half, value & half.ones());
            let rest = value >> (8 * half as u32);
            self.write_one(port.wrapping_add(half as u16), half, rest & half.ones());
            return;
        }
        let (devices, mut bus) = self.bus();
        devices.write(id, port, width, value & width.ones(), &mut bus);
    }
}

/// Two accesses of half the width, low half first.
fn split(width: Width, mut part: impl FnMut(u16, Width) -> u32) -> u32 {
    let half = if width == Width::Dword { Width::Word } else { Width::Byte };
    let low = part(0, half);
    low | part(half as u16, half) << (8 * half as u32)
}

impl Io for Platform<'_> {
    fn memory(&mut self) -> &mut Memory {
        &mut self.board.memory
    }

    fn mmio_read(&mut self, at: PhysAddr, width: Width, count: u64) -> u32 {
        let Some(id) = self.board.mmio.device(at) else { return width.ones() };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let value = devices.mmio_read(id, at, width, &mut bus) & width.ones();
        self.after();
        value
    }

    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, count: u64) {
        let Some(id) = self.board.mmio.device(at) else { return };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        devices.mmio_write(id, at, width, value, &mut bus);
        self.after();
    }

    fn port_in(&mut self, port: u16, width: Width, count: u64) -> u32 {
        self.tick(count);
        let value = self.read_one(port, width);
        self.after();
        value
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32, count: u64) {
        self.tick(count);
        self.write_one(port, width, value);
        self.after();
    }

    fn moves_blocks(&self, port: u16) -> bool {
        self.board.io.device(port).is_some_and(Devices::moves_blocks)
    }

    fn port_in_block(&mut self, port: u16, width: Width, bytes: &mut [u8], count: u64) -> usize {
        let Some(id) = self.board.io.device(port) else { return 0 };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let done = devices.read_block(id, port, width, bytes, &mut bus);
        self.after();
        done
    }

    fn port_out_block(&mut self, port: u16, width: Width, bytes: &[u8], count: u64) -> usize {
        let Some(id) = self.board.io.device(port) else { return 0 };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let done = devices.write_block(id, port, width, bytes, &mut bus);
        self.after();
        done
    }

    fn nanoseconds(&mut self, count: u64) -> u64 {
        let now = self.time.at(count, self.board.timers.next(), self.interrupt, self.host);
        self.leave |= self.time.mode == ClockMode::Host && now >= self.deadline;
        now.0
    }

    fn apic_base(&mut self, value: Option<u64>) -> u64 {
        if let Some(value) = value {
            let _ = self.devices.apic.set_base(value, self.board);
            self.after();
        }
        self.devices.apic.base()
    }

    fn ferr(&mut self, level: bool) {
        self.board.irq.set(13, Source::Fpu, level);
        self.after();
    }

    fn random(&mut self) -> u64 {
        self.random.next()
    }

    fn events(&self) -> u32 {
        (u32::from(self.leave) * event::LEAVE)
            | (u32::from(self.interrupt) * event::INTERRUPT)
            | (u32::from(self.board.memory.code_written()) * event::CODE)
            | (u32::from(self.board.memory.map_changed()) * event::MAP)
    }
}
