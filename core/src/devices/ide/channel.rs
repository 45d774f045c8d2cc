//! One channel: registers as the host sees them, the phase of the command in progress and its interrupt.

use super::super::Bus;
use super::busmaster::BusMaster;
use super::drive::{Drive, power};
use super::reg::{cmd, control, device, error, status};
use super::transfer::{BUFFER, Transfer};
use crate::archive::{Archive, Field};
use crate::board::{Source, Width};
use crate::config::IdeSlot;
use crate::host::Disk;
use crate::time::Timer;
use alloc::boxed::Box;
use alloc::vec;
use core::task::Poll;

/// From a command to its first action.
const COMMAND_NS: u64 = 3_000;
/// From one block of a PIO transfer to the next.
pub(super) const GAP_NS: u64 = 1_500;
/// From the end of a reset to ready.
const RESET_NS: u64 = 100_000;
/// Until a host that was not ready is asked again.
pub(super) const RETRY_NS: u64 = 100_000;
/// Until a host that has no room left is asked again.
pub(super) const FULL_NS: u64 = 50_000_000;
/// What registers of a channel without drives read as: nobody drives the bus, and DD7 is pulled down.
const FLOATING: u8 = 0x7F;

/// What the channel is doing, on behalf of its active drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(super) enum Phase {
    #[default]
    Idle,
    /// A command was written and starts at the deadline.
    Command,
    /// The next data are to be read from the host's disk.
    Fetch,
    /// The guest reads a block from the data port.
    DataIn,
    /// Between two blocks of a transfer.
    Gap,
    /// The guest writes a block to the data port.
    DataOut,
    /// Received data are to be written to the host's disk.
    Store,
    /// Data wait for the bus master.
    DmaIn,
    /// The drive waits for data from the bus master.
    DmaOut,
    /// The host's disk is being flushed.
    Flush,
    /// The guest writes a command packet.
    Packet,
    /// The packet starts at the deadline.
    Packed,
    /// The command ends at the deadline, with an interrupt.
    Finish,
    /// A reset ends at the deadline.
    Reset,
}

impl Field for Phase {
    fn archive(&mut self, a: &mut Archive<'_>) {
        const ALL: [Phase; 14] = [
            Phase::Idle,
            Phase::Command,
            Phase::Fetch,
            Phase::DataIn,
            Phase::Gap,
            Phase::DataOut,
            Phase::Store,
            Phase::DmaIn,
            Phase::DmaOut,
            Phase::Flush,
            Phase::Packet,
            Phase::Packed,
            Phase::Finish,
            Phase::Reset,
        ];
        let mut n = *self as u8;
        a.field(&mut n);
        *self = ALL.get(usize::from(n)).copied().unwrap_or_default();
    }
}

/// A channel.
pub(super) struct Channel {
    /// 0 primary, 1 secondary.
    number: u8,
    pub(super) drives: [Drive; 2],
    /// Selected drive.
    select: u8,
    /// Device control register.
    control: u8,
    /// Drive of the command in progress.
    active: u8,
    /// The command in progress.
    pub(super) command: u8,
    pub(super) phase: Phase,
    pub(super) transfer: Transfer,
    pub(super) master: BusMaster,
    pub(super) buffer: Box<[u8]>,
    /// Level of INTRQ as the controller sees it.
    line: bool,
}

impl Field for Channel {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.drives);
        a.field(&mut self.select);
        a.field(&mut self.control);
        a.field(&mut self.active);
        a.field(&mut self.command);
        a.field(&mut self.phase);
        a.field(&mut self.transfer);
        a.field(&mut self.master);
        a.field(&mut self.line);
        self.select &= 1;
        self.active &= 1;
        self.transfer.validate();
        // What nobody will read any more is cleared, so that images compress.
        let used = match self.phase {
            Phase::Idle | Phase::Reset => 0,
            // The packet lies behind its parameters.
            _ => (self.transfer.end as usize).max(1024),
        };
        if !a.is_loading() {
            self.buffer[used.min(BUFFER)..].fill(0);
        }
        a.bytes(&mut self.buffer);
    }
}

impl Channel {
    pub(super) fn new(number: u8, slots: [IdeSlot; 2]) -> Self {
        Self {
            number,
            drives: slots.map(Drive::new),
            select: 0,
            control: 0,
            active: 0,
            command: 0,
            phase: Phase::Idle,
            transfer: Transfer::default(),
            master: BusMaster::default(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            line: false,
        }
    }

    /// Number of the active drive on the controller, 0 to 3.
    pub(super) const fn slot(&self) -> u8 {
        (self.number & 1) * 2 + (self.active & 1)
    }

    const fn timer(&self) -> Timer {
        if self.number == 0 { Timer::Ide0 } else { Timer::Ide1 }
    }

    /// Sets the deadline of the present phase.
    pub(super) fn after(&self, nanoseconds: u64, bus: &mut Bus<'_>) {
        bus.board.timers.set(self.timer(), bus.board.now + nanoseconds);
    }

    /// The drive of the command in progress.
    pub(super) fn drive(&mut self) -> &mut Drive {
        &mut self.drives[usize::from(self.active & 1)]
    }

    /// The host's medium in the active drive.
    pub(super) fn medium<'b>(&self, bus: &'b mut Bus<'_>) -> Option<&'b mut dyn Disk> {
        self.medium_of(usize::from(self.active & 1), bus)
    }

    fn medium_of<'b>(&self, drive: usize, bus: &'b mut Bus<'_>) -> Option<&'b mut dyn Disk> {
        match bus.host.drives.ide[usize::from(self.number & 1) * 2 + drive] {
            Some(ref mut disk) => Some(disk.as_mut()),
            None => None,
        }
    }

    /// Power-on or the machine's reset line.
    pub(super) fn power_on(&mut self, bus: &mut Bus<'_>) {
        for n in 0..2 {
            let mut sector = [0; 512];
            let cd = self.drives[n].is_cd();
            let (mut sectors, mut known) = (0, false);
            if let Some(disk) = self.medium_of(n, bus) {
                sectors = disk.sectors();
                known = !cd && sectors != 0 && matches!(disk.read(0, &mut sector), Poll::Ready(Ok(())));
            }
            self.drives[n].power_on(sectors, known.then_some(&sector));
            let loaded = cd && self.medium_of(n, bus).is_some();
            self.drives[n].cd.load_silently(loaded.then_some(sectors));
        }
        (self.select, self.control, self.active, self.command) = (0, 0, 0, 0);
        self.phase = Phase::Idle;
        self.transfer = Transfer::default();
        self.master = BusMaster::default();
        self.buffer.fill(0);
        bus.board.timers.clear(self.timer());
        self.settle(bus);
    }

    /// Brings INTRQ in line with what the selected drive wants.
    pub(super) fn settle(&mut self, bus: &mut Bus<'_>) {
        let drive = &self.drives[usize::from(self.select)];
        let level = drive.present() && drive.irq && self.control & control::NIEN == 0;
        if level && !self.line {
            self.master.interrupt();
        }
        self.line = level;
        let (line, source) = if self.number == 0 { (14, Source::Ide0) } else { (15, Source::Ide1) };
        bus.board.irq.set(line, source, level);
    }

    /// The active drive wants an interrupt.
    pub(super) fn interrupt(&mut self, bus: &mut Bus<'_>) {
        self.drive().irq = true;
        self.settle(bus);
    }

    // Registers.

    /// Status without clearing the interrupt.
    pub(super) fn status(&self) -> u8 {
        match [self.drives[0].present(), self.drives[1].present()] {
            [false, false] => FLOATING,
            // Device 0 answers with zeros for an absent device 1, but not the other way round.
            [true, false] if self.select == 1 => 0,
            [false, true] if self.select == 0 => FLOATING,
            _ => self.drives[usize::from(self.select)].status,
        }
    }

    pub(super) fn read_register(&mut self, register: u16, bus: &mut Bus<'_>) -> u8 {
        let answering = match [self.drives[0].present(), self.drives[1].present()] {
            [false, false] => return FLOATING,
            [true, false] => 0,
            [false, true] if self.select == 0 => return FLOATING,
            _ => usize::from(self.select),
        };
        let hob = usize::from(self.control & control::HOB != 0);
        let drive = &self.drives[answering];
        match register {
            0 => 0xFF,
            1 => {
                if hob == 0 {
                    drive.error
                } else {
                    drive.feature[1]
                }
            }
            2 => drive.count[hob],
            3 => drive.low[hob],
            4 => drive.mid[hob],
            5 => drive.high[hob],
            6 => drive.device & !device::DEV | device::OBSOLETE | self.select << 4,
            _ => {
                let status = self.status();
                let selected = usize::from(self.select);
                if self.drives[selected].present() {
                    self.drives[selected].irq = false;
                    self.settle(bus);
                }
                status
            }
        }
    }

    pub(super) fn write_register(&mut self, register: u16, value: u8, bus: &mut Bus<'_>) {
        if register == 7 {
            return self.write_command(value, bus);
        }
        // Any write of the command block shows the newest contents again.
        self.control &= !control::HOB;
        // Both drives take every write, except one that is busy with its command.
        let busy = (!matches!(self.phase, Phase::Idle)).then_some(usize::from(self.active));
        for (n, drive) in self.drives.iter_mut().enumerate() {
            if busy == Some(n) {
                continue;
            }
            match register {
                1 => Drive::shift(&mut drive.feature, value),
                2 => Drive::shift(&mut drive.count, value),
                3 => Drive::shift(&mut drive.low, value),
                4 => Drive::shift(&mut drive.mid, value),
                5 => Drive::shift(&mut drive.high, value),
                6 => drive.device = value,
                _ => {}
            }
        }
        if register == 6 {
            self.select = value >> 4 & 1;
            self.settle(bus);
        }
    }

    fn write_command(&mut self, value: u8, bus: &mut Bus<'_>) {
        self.control &= !control::HOB;
        let selected = usize::from(self.select);
        if value == cmd::DEVICE_RESET && self.drives[selected].is_cd() {
            return self.device_reset(bus);
        }
        if value == cmd::EXECUTE_DIAGNOSTIC && self.drives.iter().any(Drive::present) {
            if self.phase != Phase::Idle {
                return;
            }
        } else if !self.drives[selected].present()
            || self.phase != Phase::Idle
            || self.drives[selected].power == power::SLEEP
        {
            return;
        }
        self.active = self.select;
        self.command = value;
        let drive = self.drive();
        drive.irq = false;
        drive.error = 0;
        drive.status = status::BSY;
        self.phase = Phase::Command;
        self.settle(bus);
        self.after(COMMAND_NS, bus);
    }

    pub(super) fn write_control(&mut self, value: u8, bus: &mut Bus<'_>) {
        let was = self.control;
        self.control = value;
        if value & control::SRST != 0 {
            if was & control::SRST == 0 {
                self.abandon(bus);
                for drive in self.drives.iter_mut().filter(|d| d.present()) {
                    drive.status = status::BSY;
                    drive.irq = false;
                }
                self.phase = Phase::Reset;
                self.select = 0;
            }
        } else if was & control::SRST != 0 {
            self.phase = Phase::Reset;
            self.after(RESET_NS, bus);
        }
        self.settle(bus);
    }

    /// Ends the command in progress without a trace.
    fn abandon(&mut self, bus: &mut Bus<'_>) {
        bus.board.timers.clear(self.timer());
        self.phase = Phase::Idle;
        self.transfer = Transfer::default();
    }

    /// DEVICE RESET of a packet device: at once, even while it is busy, and without an interrupt.
    fn device_reset(&mut self, bus: &mut Bus<'_>) {
        let selected = usize::from(self.select);
        if self.phase != Phase::Idle && usize::from(self.active) == selected {
            self.abandon(bus);
        }
        let drive = &mut self.drives[selected];
        let dev = drive.device & device::DEV;
        drive.reset();
        drive.device = dev;
        self.settle(bus);
    }

    /// The end of a software reset or of the diagnostic.
    pub(super) fn reset_drives(&mut self) {
        for drive in self.drives.iter_mut().filter(|d| d.present()) {
            // A software reset keeps transfer modes and caches.
            drive.reset();
        }
        self.select = 0;
        self.active = 0;
    }

    /// The deadline of the present phase has come.
    pub(super) fn expire(&mut self, bus: &mut Bus<'_>) {
        match self.phase {
            Phase::Command => self.execute(bus),
            Phase::Fetch => self.fetch(bus),
            Phase::Gap => self.next_block(bus),
            Phase::Store => self.store(bus),
            Phase::DmaIn | Phase::DmaOut => self.pump(bus),
            Phase::Flush => self.flush(bus),
            Phase::Packed => self.packet(bus),
            Phase::Finish => self.complete(bus),
            Phase::Reset => {
                self.reset_drives();
                self.phase = Phase::Idle;
                self.settle(bus);
            }
            Phase::Idle | Phase::DataIn | Phase::DataOut | Phase::Packet => {}
        }
    }

    // The ends of commands.

    /// The command ends well, with an interrupt.
    pub(super) fn complete(&mut self, bus: &mut Bus<'_>) {
        self.phase = Phase::Idle;
        if self.command == cmd::PACKET {
            return self.complete_packet(bus);
        }
        self.drive().status = status::READY;
        self.interrupt(bus);
    }

    /// The command ends with an error and an interrupt.
    pub(super) fn fail(&mut self, errors: u8, bus: &mut Bus<'_>) {
        self.phase = Phase::Idle;
        let drive = self.drive();
        drive.error = errors;
        drive.status = status::READY | status::ERR;
        self.interrupt(bus);
    }

    /// The command is not known or its parameters are not.
    pub(super) fn abort(&mut self, bus: &mut Bus<'_>) {
        self.fail(error::ABRT, bus);
    }

    // The data port.

    /// Whether the guest talks to the drive of the command in progress.
    fn is_addressed(&self, phase: Phase) -> bool {
        self.phase == phase && self.select == self.active
    }

    /// Bytes of the present block that the guest has not read.
    pub(super) fn ready(&self) -> &[u8] {
        if !self.is_addressed(Phase::DataIn) {
            return &[];
        }
        self.buffer.get(self.transfer.pos as usize..self.transfer.stop as usize).unwrap_or(&[])
    }

    /// The guest has read `len` bytes.
    pub(super) fn take(&mut self, len: usize, bus: &mut Bus<'_>) {
        if self.is_addressed(Phase::DataIn) {
            self.transfer.pos = (self.transfer.pos as usize).saturating_add(len).min(BUFFER) as u32;
            if self.transfer.pos >= self.transfer.stop {
                self.transfer.pos = self.transfer.stop;
                self.block_read(bus);
            }
        }
    }

    pub(super) fn read_data(&mut self, width: Width, bus: &mut Bus<'_>) -> u32 {
        if !self.drives.iter().any(Drive::present) {
            return width.ones() & 0xFFFF_FF7F;
        }
        let mut bytes = [0; 4];
        let ready = self.ready();
        let n = (width as usize).min(ready.len());
        if n == 0 {
            return width.ones();
        }
        bytes[..n].copy_from_slice(&ready[..n]);
        self.take(n, bus);
        u32::from_le_bytes(bytes)
    }

    pub(super) fn write_data(&mut self, width: Width, value: u32, bus: &mut Bus<'_>) {
        if !self.is_addressed(Phase::DataOut) && !self.is_addressed(Phase::Packet) {
            return;
        }
        let (pos, stop) = (self.transfer.pos as usize, self.transfer.stop as usize);
        let Some(room) = self.buffer.get_mut(pos..stop) else { return };
        let n = (width as usize).min(room.len());
        room[..n].copy_from_slice(&value.to_le_bytes()[..n]);
        self.transfer.pos += n as u32;
        if self.transfer.pos >= self.transfer.stop {
            if self.phase == Phase::Packet {
                self.packet_received(bus);
            } else {
                self.block_written(bus);
            }
        }
    }

    /// The bus master was started.
    pub(super) fn master_started(&mut self, bus: &mut Bus<'_>) {
        if matches!(self.phase, Phase::DmaIn | Phase::DmaOut) {
            self.after(GAP_NS, bus);
        }
    }

    pub(super) fn media_changed(&mut self, drive: usize, bus: &mut Bus<'_>) {
        if self.drives[drive & 1].is_cd() {
            let sectors = self.medium_of(drive & 1, bus).map(|d| d.sectors());
            self.drives[drive & 1].cd.medium_changed(sectors);
        }
    }
}
