//! The local APIC of the one CPU and the IOAPIC, which hands it interrupts.
//!
//! Both are memory-mapped. The machine tells the IOAPIC the interrupt lines whenever they were settled
//! ([`Apic::set_lines`]), asks [`Apic::pending`] at instruction boundaries and takes the vector with
//! [`Apic::acknowledge`]. The 8259 pair's INTR arrives at LINT0 ([`Apic::set_intr`]); the machine serves
//! the 8259 itself while [`Apic::accepts_extint`].
//!
//! Spec: Intel SDM volume 3A, chapter 10 (local APIC, xAPIC mode); Intel 290566, 82093AA (IOAPIC).
//! Not emulated: other CPUs, x2APIC, INIT level de-assert, focus checking, the APIC bus. The polarity bits
//! of redirection entries are kept but do not invert anything: lines here are "asserted" or not, and
//! guests disagree with one another about how an emulated line is wired.

mod ioapic;
mod local;
#[cfg(test)]
mod tests;

use super::{Bus, Device, DeviceId, MmioDevice};
use crate::archive::Archive;
use crate::board::{Board, Request, Width};
use crate::config::{Config, CpuModel};
use crate::memory::{PhysAddr, Target};
use crate::time::{Instant, Timer};
pub use ioapic::IoApic;
pub use local::LocalApic;

/// Where the IOAPIC answers.
pub const IOAPIC_BASE: PhysAddr = 0xFEC0_0000;
/// Where the local APIC answers after reset.
pub const LOCAL_BASE: PhysAddr = 0xFEE0_0000;
/// APIC-base MSR: this is the bootstrap processor.
pub const BASE_BSP: u64 = 1 << 8;
/// APIC-base MSR: the local APIC is switched on.
pub const BASE_ENABLE: u64 = 1 << 11;

const WINDOW: u64 = 0x1000;
/// The MSR's address field, 36 bits wide.
const BASE_ADDRESS: u64 = 0xF_FFFF_F000;

/// What an interrupt message does when it arrives at the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Delivery {
    Fixed,
    Smi,
    Nmi,
    Init,
    StartUp,
    ExtInt,
    Reserved,
}

impl Delivery {
    /// Bits 10 to 8 of a vector-table entry, redirection entry or command.
    pub(super) const fn of(entry: u32) -> Self {
        match entry >> 8 & 7 {
            0 | 1 => Self::Fixed,
            2 => Self::Smi,
            4 => Self::Nmi,
            5 => Self::Init,
            6 => Self::StartUp,
            7 => Self::ExtInt,
            _ => Self::Reserved,
        }
    }
}

/// Local APIC and IOAPIC.
pub struct Apic {
    /// The local APIC.
    pub local: LocalApic,
    /// The IOAPIC.
    pub io: IoApic,
    present: bool,
    base: u64,
    /// Where the local APIC has been mapped, so that it can be unmapped.
    mapped: Option<PhysAddr>,
}

impl Apic {
    /// Whether the CPU model has an APIC.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.present
    }

    /// The IA32_APIC_BASE MSR.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Writes the IA32_APIC_BASE MSR: moves the local APIC or switches it off and on. False for a value
    /// with reserved bits, which the CPU answers with #GP.
    #[must_use]
    pub fn set_base(&mut self, value: u64, board: &mut Board) -> bool {
        if value & !(BASE_ADDRESS | BASE_ENABLE | BASE_BSP) != 0 {
            return false;
        }
        let was_on = self.base & BASE_ENABLE != 0;
        self.base = value & (BASE_ADDRESS | BASE_ENABLE) | BASE_BSP;
        if was_on && value & BASE_ENABLE == 0 {
            // Switched off it forgets all but its place; software finds it as after reset.
            self.local.reset(board);
        }
        self.map(board);
        true
    }

    fn map(&mut self, board: &mut Board) {
        let want = (self.present && self.base & BASE_ENABLE != 0).then_some(self.base & BASE_ADDRESS);
        if self.mapped != want {
            if let Some(at) = self.mapped {
                board.mmio.release(at, DeviceId::Apic);
                board.memory.unmap(at);
            }
            if let Some(at) = want {
                board.mmio.claim(at, WINDOW, DeviceId::Apic);
                board.memory.map(at, WINDOW, Target::Io);
            }
            self.mapped = want;
        }
    }

    /// Tells the IOAPIC the interrupt lines (bit n for line n) and which of them pulsed since the last call.
    pub fn set_lines(&mut self, levels: u32, pulses: u32) {
        if self.present {
            self.io.set_lines(levels, pulses, &mut self.local);
        }
    }

    /// The level of the 8259 pair's INTR output, wired to LINT0. Does nothing for the usual ExtINT mode,
    /// in which the machine asks [`Self::accepts_extint`].
    pub fn set_intr(&mut self, level: bool) {
        if self.is_on() {
            self.local.set_lint0(level);
        }
    }

    const fn is_on(&self) -> bool {
        self.present && self.base & BASE_ENABLE != 0
    }

    /// Whether the 8259 pair's INTR reaches the CPU: there is no local APIC, it is switched off, or its
    /// LINT0 passes external interrupts on (virtual wire).
    #[must_use]
    pub fn accepts_extint(&self) -> bool {
        !self.is_on() || self.local.accepts_extint()
    }

    /// Whether an interrupt of the local APIC waits for the CPU.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.is_on() && self.local.pending()
    }

    /// The CPU takes the waiting interrupt: its vector.
    pub fn acknowledge(&mut self) -> u8 {
        self.local.acknowledge()
    }

    /// Whether an NMI message has arrived since the last call.
    pub fn take_nmi(&mut self) -> bool {
        self.local.take_nmi()
    }

    /// The priority class in the task-priority register, for CR8.
    #[must_use]
    pub const fn task_priority(&self) -> u8 {
        self.local.task_priority() >> 4
    }

    /// Writes the task-priority class through CR8.
    pub fn set_task_priority(&mut self, class: u8) {
        self.local.set_task_priority(class << 4);
    }

    /// Writes IA32_TSC_DEADLINE: the timer fires when the time-stamp counter reaches `value`, which will be
    /// at `at`; a value of zero disarms. Does nothing unless the timer is in that mode.
    pub fn set_tsc_deadline(&mut self, value: u64, at: Instant, board: &mut Board) {
        self.local.set_tsc_deadline(value, at, board);
    }

    /// Reads IA32_TSC_DEADLINE.
    #[must_use]
    pub const fn tsc_deadline(&self) -> u64 {
        self.local.tsc_deadline()
    }
}

impl Device for Apic {
    const TAG: [u8; 4] = *b"APIC";
    const WIDEST: Width = Width::Dword;

    fn new(config: &Config) -> Self {
        Self {
            local: LocalApic::new(config.cpu == CpuModel::Max),
            io: IoApic::new(),
            present: config.cpu != CpuModel::I486,
            base: LOCAL_BASE | BASE_ENABLE | BASE_BSP,
            mapped: None,
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        let Bus { board, .. } = bus;
        self.local.reset(board);
        self.io.reset();
        self.base = LOCAL_BASE | BASE_ENABLE | BASE_BSP;
        self.map(board);
        if self.present {
            board.mmio.claim(IOAPIC_BASE, WINDOW, DeviceId::Apic);
            board.memory.map(IOAPIC_BASE, WINDOW, Target::Io);
        }
    }

    fn read(&mut self, _port: u16, width: Width, _bus: &mut Bus<'_>) -> u32 {
        width.ones()
    }

    fn write(&mut self, _port: u16, _width: Width, _value: u32, _bus: &mut Bus<'_>) {}

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.local.expire(bus.board);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        self.local.archive(a);
        a.field(&mut self.io);
        a.field(&mut self.base);
        self.base &= BASE_ADDRESS | BASE_ENABLE | BASE_BSP;
    }
}

impl Apic {
    /// Which register window an address falls into: offset in the local APIC's.
    fn local_offset(&self, at: PhysAddr) -> Option<u16> {
        let offset = at.wrapping_sub(self.mapped?);
        (offset < WINDOW).then_some(offset as u16)
    }

    /// Brings the memory map in line with the base MSR, after a state image was loaded.
    pub fn reload(&mut self, board: &mut Board) {
        self.map(board);
    }
}

impl MmioDevice for Apic {
    /// Registers are 32 bits wide on 16-byte boundaries. Narrower reads give their part of the register, as
    /// chips do although the manual calls it undefined.
    fn mmio_read(&mut self, at: PhysAddr, width: Width, bus: &mut Bus<'_>) -> u32 {
        let shift = 8 * (at & 3) as u32;
        let value = match self.local_offset(at) {
            Some(offset) => self.local.read(offset & !3, bus.board),
            None => self.io.read((at & (WINDOW - 1)) as u16 & !3),
        };
        value >> shift & width.ones()
    }

    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, bus: &mut Bus<'_>) {
        if at & 3 != 0 {
            return;
        }
        let value = value & width.ones();
        match self.local_offset(at) {
            Some(offset) => {
                if let Some(vector) = self.local.write(offset, value, bus.board) {
                    self.io.end_of_interrupt(vector, &mut self.local);
                }
                if self.local.take_init() {
                    bus.board.ask(Request::ResetCpu);
                }
            }
            None => {
                let offset = (at & (WINDOW - 1)) as u16;
                self.io.write(offset, value, &mut self.local);
            }
        }
    }
}
