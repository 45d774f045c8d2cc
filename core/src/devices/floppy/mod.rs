//! Floppy disk controller: an 82077AA with two drives.
//!
//! | file | what |
//! |---|---|
//! | `command` | the command phase, and commands that move no data |
//! | `transfer` | the execution phase of those that do |
//! | `media` | drives and formats |
//!
//! Spec: Intel 82077AA data sheet (290166), AT mode; NEC µPD765A data sheet for the scan commands.
//! Not emulated: mechanical times (heads step in 0.1 ms, a sector passes in 0.2 ms, motors turn at once),
//! overrun by a guest that is late; deleted address marks (written as ordinary ones), single density,
//! sectors of other sizes than 512 bytes, and formatting to another format than the image's, which ends in an
//! error; perpendicular recording, precompensation, tape drives, power-down; the registers of PS/2 mode, which
//! the AT mode does not show.

mod command;
mod media;
mod reg;
#[cfg(test)]
mod tests;
mod transfer;

use super::{Bus, Device};
use crate::archive::{Archive, Field};
use crate::board::{Source, Width};
use crate::config::Config;
use crate::time::{Instant, Timer};
use media::Drive;
pub use media::{Density, DriveType, Format};
use reg::{configure, dir, dor, dsr, msr, port, rate, st0};
use transfer::Transfer;

/// Bytes in a sector.
const SECTOR: usize = 512;
/// The interrupt line.
const LINE: u8 = 6;

/// From the last byte of a command to its execution.
const COMMAND_NS: u64 = 50_000;
/// From one sector to the next.
const SECTOR_NS: u64 = 200_000;
/// A seek, and each step of it.
const SEEK_NS: u64 = 200_000;
const STEP_NS: u64 = 100_000;
/// Out of reset until the drives are polled.
const RESET_NS: u64 = 100_000;
/// Until the controller is given up waiting for a track that never comes.
const MISSING_NS: u64 = 20_000_000;
/// Until a disk that was not ready is asked again, and one whose host was full.
const RETRY_NS: u64 = 100_000;
const FULL_NS: u64 = 100_000_000;

/// What the controller is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
enum Phase {
    /// In reset, or just out of it.
    #[default]
    Reset,
    /// Bytes of a command are awaited.
    Command,
    /// A command is executed.
    Execute,
    /// The guest moves a sector's bytes.
    Fifo,
    /// The guest reads the result.
    Result,
}

impl Field for Phase {
    fn archive(&mut self, a: &mut Archive<'_>) {
        let mut code = *self as u8;
        a.field(&mut code);
        *self = match code {
            1 => Self::Command,
            2 => Self::Execute,
            3 => Self::Fifo,
            4 => Self::Result,
            _ => Self::Reset,
        };
    }
}

/// The controller and its drives.
pub struct Floppy {
    /// Drives that the configuration asks for.
    installed: u8,
    dor: u8,
    tdr: u8,
    rate: u8,
    /// Parameters of SPECIFY.
    specify: [u8; 2],
    /// The last two of CONFIGURE.
    configure: [u8; 2],
    lock: bool,
    perpendicular: u8,
    phase: Phase,
    /// Command or result.
    fifo: [u8; 16],
    at: u8,
    len: u8,
    drives: [Drive; 4],
    /// Status register 0 of each drive that SENSE INTERRUPT STATUS has to tell of.
    attention: [u8; 4],
    /// The same at the end of a seek that is under way.
    seek_status: [u8; 4],
    seek_end: [Option<Instant>; 4],
    /// When the controller goes on.
    execute_at: Option<Instant>,
    /// Interrupt of a result or of data in the FIFO.
    irq: bool,
    /// Interrupt that SENSE INTERRUPT STATUS clears.
    sense_irq: bool,
    transfer: Transfer,
    buffer: [u8; SECTOR],
    /// Place in the buffer while the guest moves bytes.
    position: u16,
}

impl Floppy {
    /// The medium in a drive was exchanged, put in or taken out.
    pub fn media_changed(&mut self, number: usize) {
        if let Some(drive) = self.drives.get_mut(number) {
            drive.changed = true;
        }
    }

    /// The type of a drive; [`DriveType::None`] where there is none.
    #[must_use]
    pub fn drive_type(&self, number: usize) -> DriveType {
        self.drives.get(number).map_or(DriveType::None, |drive| drive.kind)
    }

    fn main_status(&self) -> u8 {
        let (phase, at) = (self.phase, self.at);
        let state = match phase {
            Phase::Reset => return 0,
            Phase::Command if at == 0 => msr::RQM,
            Phase::Command => msr::RQM | msr::BUSY,
            Phase::Execute if self.non_dma() => msr::BUSY | msr::NON_DMA,
            Phase::Execute => msr::BUSY,
            Phase::Fifo if self.transfer.kind.takes() => msr::RQM | msr::BUSY | msr::NON_DMA,
            Phase::Fifo => msr::RQM | msr::DIO | msr::BUSY | msr::NON_DMA,
            Phase::Result => msr::RQM | msr::DIO | msr::BUSY,
        };
        self.seek_end.iter().enumerate().fold(state, |s, (n, end)| s | u8::from(end.is_some()) << n)
    }

    /// The disk-change line of the drive that is selected and turns.
    fn digital_input(&self) -> u8 {
        let number = self.dor & dor::SELECT;
        let drive = &self.drives[usize::from(number)];
        let selected = drive.present() && self.dor & dor::MOTOR << number != 0;
        if selected && drive.changed { dir::DISK_CHANGE } else { 0 }
    }

    fn read_fifo(&mut self, bus: &mut Bus<'_>) -> u8 {
        match self.phase {
            Phase::Result => {
                self.irq = false;
                let value = self.fifo[usize::from(self.at & 15)];
                self.at += 1;
                if self.at >= self.len {
                    self.await_command();
                }
                value
            }
            Phase::Fifo if !self.transfer.kind.takes() => {
                let value = self.buffer[usize::from(self.position) % SECTOR];
                self.fifo_moved(bus);
                value
            }
            _ => 0,
        }
    }

    fn write_fifo(&mut self, value: u8, bus: &mut Bus<'_>) {
        match self.phase {
            Phase::Command => {
                if self.at == 0 {
                    self.fifo = [0; 16];
                    self.len = command::length(value);
                }
                self.fifo[usize::from(self.at & 15)] = value;
                self.at += 1;
                if self.at >= self.len {
                    self.execute(bus);
                }
            }
            Phase::Fifo if self.transfer.kind.takes() => {
                self.buffer[usize::from(self.position) % SECTOR] = value;
                self.fifo_moved(bus);
            }
            _ => {}
        }
    }

    fn fifo_moved(&mut self, bus: &mut Bus<'_>) {
        self.position = self.position.wrapping_add(1);
        if usize::from(self.position) >= self.transfer.unit() {
            self.fifo_through(bus);
        }
    }

    /// Into reset: whatever was going on is forgotten.
    fn enter_reset(&mut self, bus: &mut Bus<'_>) {
        self.cancel(bus);
        self.phase = Phase::Reset;
        self.at = 0;
        self.irq = false;
        self.sense_irq = false;
        self.attention = [0; 4];
        self.seek_end = [None; 4];
        self.reset_settings();
    }

    /// Out of reset: the drives are polled a little later.
    fn leave_reset(&mut self, bus: &Bus<'_>) {
        self.execute_at = Some(bus.board.now + RESET_NS);
    }

    fn write_dor(&mut self, value: u8, bus: &mut Bus<'_>) {
        let (was, is) = (self.dor & dor::RESET != 0, value & dor::RESET != 0);
        self.dor = value;
        match (was, is) {
            (true, false) => self.enter_reset(bus),
            (false, true) => self.leave_reset(bus),
            _ => {}
        }
    }

    /// Brings interrupt line and deadline in step with the state.
    fn settle(&mut self, bus: &mut Bus<'_>) {
        let up = (self.irq || self.sense_irq) && self.dor & dor::DMAGATE != 0;
        bus.board.irq.set(LINE, Source::Floppy, up);
        let next = self.seek_end.iter().flatten().chain(&self.execute_at).min();
        match next {
            Some(at) => bus.board.timers.set(Timer::Floppy, *at),
            None => bus.board.timers.clear(Timer::Floppy),
        }
    }
}

impl Device for Floppy {
    const TAG: [u8; 4] = *b"FDC ";

    fn new(config: &Config) -> Self {
        let mut drives = [Drive::default(); 4];
        for drive in drives.iter_mut().take(usize::from(config.floppies.min(2))) {
            *drive = Drive { kind: DriveType::D1440, cylinder: 0, changed: true };
        }
        Self {
            installed: config.floppies.min(2),
            dor: 0,
            tdr: 0,
            rate: rate::KBPS_250,
            specify: [0; 2],
            configure: [configure::FIFO_OFF, 0],
            lock: false,
            perpendicular: 0,
            phase: Phase::Reset,
            fifo: [0; 16],
            at: 0,
            len: 0,
            drives,
            attention: [0; 4],
            seek_status: [0; 4],
            seek_end: [None; 4],
            execute_at: None,
            irq: false,
            sense_irq: false,
            transfer: Transfer::default(),
            buffer: [0; SECTOR],
            position: 0,
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        self.lock = false;
        self.enter_reset(bus);
        self.dor = 0;
        self.tdr = 0;
        self.rate = rate::KBPS_250;
        self.perpendicular = 0;
        let media = &bus.host.drives.floppy;
        for (drive, medium) in self.drives.iter_mut().zip(media).filter(|(drive, _)| drive.present()) {
            let fitting = medium.as_ref().and_then(|disk| DriveType::for_medium(disk.as_ref()));
            drive.kind = fitting.unwrap_or(drive.kind);
        }
        self.settle(bus);
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        if self.installed == 0 {
            return 0xFF;
        }
        let value = match port {
            port::DOR => self.dor,
            port::TDR => self.tdr,
            port::MSR_DSR => self.main_status(),
            port::FIFO => self.read_fifo(bus),
            port::DIR_CCR => self.digital_input(),
            _ => 0xFF,
        };
        self.settle(bus);
        value.into()
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        if self.installed == 0 {
            return;
        }
        let value = value as u8;
        match port {
            port::DOR => self.write_dor(value, bus),
            port::TDR => self.tdr = value & 3,
            port::MSR_DSR => {
                self.rate = value & dsr::RATE;
                if value & dsr::SOFTWARE_RESET != 0 {
                    self.enter_reset(bus);
                    if self.dor & dor::RESET != 0 {
                        self.leave_reset(bus);
                    }
                }
            }
            port::FIFO => self.write_fifo(value, bus),
            port::DIR_CCR => self.rate = value & dsr::RATE,
            _ => {}
        }
        self.settle(bus);
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        let now = bus.board.now;
        for (n, end) in self.seek_end.iter_mut().enumerate() {
            if end.is_some_and(|at| at <= now) {
                *end = None;
                self.attention[n] = self.seek_status[n];
                self.sense_irq = true;
            }
        }
        if self.execute_at.is_some_and(|at| at <= now) {
            self.execute_at = None;
            if self.phase == Phase::Reset {
                self.await_command();
                if self.configure[0] & configure::POLL_OFF == 0 {
                    self.attention = [0, 1, 2, 3].map(|n| st0::POLLED | n);
                    self.sense_irq = true;
                }
            } else if self.phase == Phase::Execute {
                self.step(bus);
            }
        }
        self.settle(bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.dor);
        a.field(&mut self.tdr);
        a.field(&mut self.rate);
        a.field(&mut self.specify);
        a.field(&mut self.configure);
        a.field(&mut self.lock);
        a.field(&mut self.perpendicular);
        a.field(&mut self.phase);
        a.field(&mut self.fifo);
        a.field(&mut self.at);
        a.field(&mut self.len);
        a.field(&mut self.drives);
        a.field(&mut self.attention);
        a.field(&mut self.seek_status);
        a.field(&mut self.seek_end);
        a.field(&mut self.execute_at);
        a.field(&mut self.irq);
        a.field(&mut self.sense_irq);
        a.field(&mut self.transfer);
        a.field(&mut self.buffer);
        a.field(&mut self.position);
        if a.is_loading() {
            self.rate &= dsr::RATE;
            self.at &= 15;
            self.len = self.len.min(10);
        }
    }
}
