//! PIIX4 power management: the ACPI fixed registers, the SMI command port, general-purpose events, PCI hot
//! plug and the SMBus host.
//!
//! There is no system management mode: what a BIOS handler would do when the SMI command port is written,
//! switching ACPI on and off, is done here.
//!
//! Spec: Intel 290562, 82371AB (PIIX4), chapter 7 (I/O registers) and 4.2.3 (APM ports); ACPI 1.0b, 4.7;
//! general-purpose events and PCI hot plug as QEMU lays them out (AFE0, AE00).
//! Not emulated: sleep states other than soft off, throttling and C states (reads of PLVL2/3 do nothing),
//! device traps and idle timers, SMI; nothing is connected to the SMBus.

pub mod function;
mod hotplug;
mod smbus;
#[cfg(test)]
mod tests;

use super::pci::Slot;
use super::{Bus, Device, bytes_read, bytes_write};
use crate::archive::Archive;
use crate::board::{Board, Request, Source, Width};
use crate::config::Config;
use crate::time::{Instant, Timer};
use function::{PM_PORTS, SMBUS_PORTS};
use hotplug::Hotplug;
use smbus::SmBus;

/// Where firmware puts the power-management registers.
pub const PM_BASE: u16 = 0x600;
/// Where firmware puts the SMBus host.
pub const SMBUS_BASE: u16 = 0x700;
/// General-purpose event block.
pub const GPE_BASE: u16 = 0xAFE0;
/// PCI hot plug.
pub const HOTPLUG_BASE: u16 = 0xAE00;
/// The line of the system control interrupt.
pub const SCI: u8 = 9;
/// Written to the SMI command port: switch ACPI on.
pub const ACPI_ENABLE: u8 = 0xF1;
/// Written to the SMI command port: switch ACPI off.
pub const ACPI_DISABLE: u8 = 0xF0;
/// Frequency of the power-management timer.
pub const PM_TIMER_HZ: u64 = 3_579_545;

/// Offsets from PMBA, and ports.
mod reg {
    pub(super) const PMSTS: u16 = 0x00;
    pub(super) const PMEN: u16 = 0x02;
    pub(super) const PMCNTRL: u16 = 0x04;
    pub(super) const PMTMR: u16 = 0x08;
    pub(super) const PMTMR_END: u16 = 0x0B;
    /// PMSTS and PMEN: bit 23 of the timer has changed.
    pub(super) const TMROF: u16 = 1 << 0;
    /// PMSTS and PMEN: global lock released.
    pub(super) const GBL: u16 = 1 << 5;
    /// PMSTS and PMEN: power button.
    pub(super) const PWRBTN: u16 = 1 << 8;
    /// PMSTS and PMEN: RTC alarm.
    pub(super) const RTC: u16 = 1 << 10;
    /// PMSTS: resumed.
    pub(super) const RSM: u16 = 1 << 15;
    /// PMCNTRL: interrupts are SCI, not SMI.
    pub(super) const SCI_EN: u16 = 1 << 0;
    /// PMCNTRL: go to sleep now.
    pub(super) const SUS_EN: u16 = 1 << 13;
    pub(super) const APMC: u16 = 0xB2;
    pub(super) const APMS: u16 = 0xB3;
}

/// The power-management function.
pub struct Acpi {
    status: u16,
    enable: u16,
    control: u16,
    /// Half periods of the 24-bit timer that have been noticed.
    halves: u64,
    /// Registers from PMBA on that only store what was written.
    scratch: [u8; PM_PORTS as usize],
    apm: [u8; 2],
    gpe_status: u16,
    gpe_enable: u16,
    hotplug: Hotplug,
    smbus: SmBus,
}

impl Acpi {
    /// The timer's 24-bit count.
    const fn count(now: Instant) -> u32 {
        (now.ticks(PM_TIMER_HZ) & 0xFF_FFFF) as u32
    }

    /// Notes changes of the timer's top bit since the last call.
    fn catch_up(&mut self, now: Instant) {
        let halves = now.ticks(PM_TIMER_HZ) >> 23;
        if halves != self.halves {
            self.halves = halves;
            self.status |= reg::TMROF;
        }
    }

    /// Drives the interrupt and the deadline of the next timer overflow.
    fn settle(&mut self, board: &mut Board) {
        let fixed = self.status & self.enable & (reg::TMROF | reg::GBL | reg::PWRBTN | reg::RTC);
        let event = fixed != 0 || self.gpe_status & self.gpe_enable != 0;
        board.irq.set(SCI, Source::Acpi, event && self.control & reg::SCI_EN != 0);
        let due = if self.enable & reg::TMROF != 0 && self.status & reg::TMROF == 0 {
            Instant::at_tick((self.halves + 1) << 23, PM_TIMER_HZ)
        } else {
            Instant::FAR
        };
        board.timers.set(Timer::AcpiPm, due);
    }

    /// The power button was pressed. Without ACPI in charge the machine goes off, as the hardware would
    /// by itself when nobody listens.
    pub fn power_button(&mut self, board: &mut Board) {
        self.catch_up(board.now);
        self.status |= reg::PWRBTN;
        if self.control & reg::SCI_EN == 0 || self.enable & reg::PWRBTN == 0 {
            board.ask(Request::PowerOff);
        }
        self.settle(board);
    }

    /// Tells the guest that a card has been plugged into device `device` of the bus (its function is there
    /// already).
    pub fn plugged(&mut self, device: u8, board: &mut Board) {
        self.hotplug.plugged(device);
        self.gpe_status |= hotplug::GPE;
        self.settle(board);
    }

    /// Asks the guest to let go of the card in device `device`. When it does the card leaves the bus and
    /// [`Self::take_ejected`] names it.
    pub fn ask_unplug(&mut self, device: u8, board: &mut Board) {
        self.hotplug.ask_unplug(device);
        self.gpe_status |= hotplug::GPE;
        self.settle(board);
    }

    /// Bit n: the guest has let go of device n since the last call.
    pub fn take_ejected(&mut self) -> u32 {
        self.hotplug.take_ejected()
    }

    fn pm_read(&self, at: u16, now: Instant) -> u8 {
        let [low, high] = match at & !1 {
            reg::PMSTS => self.status.to_le_bytes(),
            reg::PMEN => self.enable.to_le_bytes(),
            reg::PMCNTRL => self.control.to_le_bytes(),
            reg::PMTMR..=reg::PMTMR_END => {
                return Self::count(now).to_le_bytes()[usize::from(at - reg::PMTMR)];
            }
            _ => return self.scratch[usize::from(at & (PM_PORTS - 1))],
        };
        if at & 1 == 0 { low } else { high }
    }

    fn pm_write(&mut self, at: u16, byte: u8, board: &mut Board) {
        let shift = 8 * (at & 1);
        let value = u16::from(byte) << shift;
        let keep = !(0xFF << shift);
        match at & !1 {
            reg::PMSTS => self.status &= !value,
            reg::PMEN => self.enable = (self.enable & keep | value) & 0x0521,
            reg::PMCNTRL => {
                // Only SCI_EN, BRLD_EN and SUS_TYP hold what is written.
                self.control = (self.control & keep | value) & 0x1C03;
                if value & reg::SUS_EN != 0 {
                    self.sleep(board);
                }
            }
            reg::PMTMR..=reg::PMTMR_END => {}
            _ => self.scratch[usize::from(at & (PM_PORTS - 1))] = byte,
        }
    }

    /// SUS_EN was written: SUS_TYP says which state.
    fn sleep(&mut self, board: &mut Board) {
        match self.control >> 10 & 7 {
            // Soft off, and suspend to disk, which is the same for the hardware.
            0 | 2 => board.ask(Request::PowerOff),
            // No other state is announced: wake at once.
            _ => self.status |= reg::RSM,
        }
    }

    fn gpe_byte(&self, at: u16) -> u8 {
        let [s0, s1] = self.gpe_status.to_le_bytes();
        let [e0, e1] = self.gpe_enable.to_le_bytes();
        [s0, s1, e0, e1][usize::from(at & 3)]
    }

    fn gpe_write(&mut self, at: u16, byte: u8) {
        let shift = 8 * (at & 1);
        let value = u16::from(byte) << shift;
        if at & 2 == 0 {
            self.gpe_status &= !value;
        } else {
            self.gpe_enable = self.gpe_enable & !(0xFF << shift) | value;
        }
    }
}

/// Which block of registers a port belongs to, with the offset there.
enum Block {
    Pm(u16),
    SmBus(u16),
    Gpe(u16),
    Hotplug(u16),
    Other,
}

fn block(port: u16, board: &Board) -> Block {
    let at = |base: Option<u16>, len: u16| base.map(|b| port.wrapping_sub(b)).filter(|&at| at < len);
    if let Some(at) = at(board.pci.pm_ports.pm, PM_PORTS) {
        Block::Pm(at)
    } else if let Some(at) = at(board.pci.pm_ports.smbus, SMBUS_PORTS) {
        Block::SmBus(at)
    } else if let Some(at) = at(Some(GPE_BASE), 4) {
        Block::Gpe(at)
    } else if let Some(at) = at(Some(HOTPLUG_BASE), hotplug::PORTS) {
        Block::Hotplug(at)
    } else {
        Block::Other
    }
}

impl Device for Acpi {
    const TAG: [u8; 4] = *b"ACPI";
    const WIDEST: Width = Width::Dword;

    fn new(_config: &Config) -> Self {
        Self {
            status: 0,
            enable: 0,
            control: 0,
            halves: 0,
            scratch: [0; PM_PORTS as usize],
            apm: [0; 2],
            gpe_status: 0,
            gpe_enable: 0,
            hotplug: Hotplug::default(),
            smbus: SmBus::default(),
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        let Bus { board, .. } = bus;
        (self.status, self.enable, self.control) = (0, 0, 0);
        (self.gpe_status, self.gpe_enable) = (0, 0);
        self.halves = board.now.ticks(PM_TIMER_HZ) >> 23;
        self.scratch.fill(0);
        self.apm = [0; 2];
        self.hotplug = Hotplug::default();
        self.smbus = SmBus::default();
        board.add_pci(Slot::PM, &function::IDENTITY);
        self.settle(board);
    }

    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
        let Bus { board, .. } = bus;
        match block(port, board) {
            Block::Pm(at) => {
                self.catch_up(board.now);
                bytes_read(width, |n| self.pm_read((at + n) & (PM_PORTS - 1), board.now))
            }
            Block::SmBus(at) => bytes_read(width, |n| self.smbus.read(at + n)),
            Block::Gpe(at) => bytes_read(width, |n| self.gpe_byte(at + n)),
            Block::Hotplug(at) => self.hotplug.read(at, board) & width.ones(),
            Block::Other => bytes_read(width, |n| match port.wrapping_add(n) {
                reg::APMC => self.apm[0],
                reg::APMS => self.apm[1],
                _ => 0xFF,
            }),
        }
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        let Bus { board, .. } = bus;
        match block(port, board) {
            Block::Pm(at) => {
                self.catch_up(board.now);
                bytes_write(width, value, |n, byte| self.pm_write((at + n) & (PM_PORTS - 1), byte, board));
            }
            Block::SmBus(at) => bytes_write(width, value, |n, byte| self.smbus.write(at + n, byte)),
            Block::Gpe(at) => bytes_write(width, value, |n, byte| self.gpe_write(at + n, byte)),
            Block::Hotplug(at) => self.hotplug.write(at, value, board),
            Block::Other => bytes_write(width, value, |n, byte| match port.wrapping_add(n) {
                reg::APMC => {
                    self.apm[0] = byte;
                    match byte {
                        ACPI_ENABLE => self.control |= reg::SCI_EN,
                        ACPI_DISABLE => self.control &= !reg::SCI_EN,
                        _ => {}
                    }
                }
                reg::APMS => self.apm[1] = byte,
                _ => {}
            }),
        }
        self.settle(board);
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.catch_up(bus.board.now);
        self.settle(bus.board);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.status);
        a.field(&mut self.enable);
        a.field(&mut self.control);
        a.field(&mut self.halves);
        a.field(&mut self.scratch);
        a.field(&mut self.apm);
        a.field(&mut self.gpe_status);
        a.field(&mut self.gpe_enable);
        a.field(&mut self.hotplug);
        a.field(&mut self.smbus);
        // Far beyond any uptime, and the shift in `settle` cannot overflow.
        self.halves &= u64::MAX >> 24;
    }
}
