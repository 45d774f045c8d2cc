//! The execution phase of commands that move data, a sector at a time.

use super::command::Kind;
use super::media::Format;
use super::reg::{bit, configure, dor, st0, st1, st2};
use super::{COMMAND_NS, FULL_NS, Floppy, MISSING_NS, Phase, RETRY_NS, SECTOR, SECTOR_NS};
use crate::devices::Bus;
use crate::host::{Disk, DiskError};
use alloc::boxed::Box;
use core::cmp::Ordering;
use core::task::Poll;

/// The DMA channel.
const CHANNEL: u8 = 2;
/// Code of sectors of 512 bytes.
const SIZE_512: u8 = 2;
/// Bytes that FORMAT TRACK takes for a sector.
const ID: usize = 4;

/// A command being executed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    pub(super) kind: Kind,
    /// Bytes of the command.
    command: [u8; 9],
    cylinder: u8,
    head_address: u8,
    record: u8,
    /// Side that is read next, and the one that was read last.
    side: u8,
    last_side: u8,
    /// Sectors done.
    done: u8,
    /// The guest's bytes are in the buffer.
    taken: bool,
    /// The terminal count was among them.
    terminal: bool,
    /// What has been found on the way.
    status: [u8; 2],
}

impl crate::archive::Field for Transfer {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        let mut kind = self.kind as u8;
        a.field(&mut kind);
        self.kind = Kind::from_code(kind);
        a.field(&mut self.command);
        a.field(&mut self.cylinder);
        a.field(&mut self.head_address);
        a.field(&mut self.record);
        a.field(&mut self.side);
        a.field(&mut self.last_side);
        a.field(&mut self.done);
        a.field(&mut self.taken);
        a.field(&mut self.terminal);
        a.field(&mut self.status);
        self.side &= 1;
        self.last_side &= 1;
    }
}

impl Transfer {
    fn new(kind: Kind, command: [u8; 9]) -> Self {
        let side = u8::from(command[1] & bit::HEAD != 0);
        Self {
            kind,
            command,
            cylinder: command[2],
            head_address: command[3],
            record: command[4],
            side,
            last_side: side,
            ..Self::default()
        }
    }

    pub(super) fn number(&self) -> usize {
        usize::from(self.command[1] & 3)
    }

    /// EOT, or the number of sectors that FORMAT TRACK writes.
    pub(super) fn last_sector(&self) -> u8 {
        self.command[if self.kind == Kind::Format { 3 } else { 6 }]
    }

    fn size(&self) -> u8 {
        self.command[if self.kind == Kind::Format { 2 } else { 5 }]
    }

    /// Bytes that the guest gives or gets for a sector.
    pub(super) const fn unit(&self) -> usize {
        if matches!(self.kind, Kind::Format) { ID } else { SECTOR }
    }

    /// Goes to the next sector; false behind the last one.
    fn advance(&mut self) -> bool {
        self.done = self.done.wrapping_add(1);
        self.last_side = self.side;
        if self.kind == Kind::ReadTrack {
            self.record = self.record.wrapping_add(1);
            return self.done != self.last_sector();
        }
        if self.record != self.last_sector() {
            let scans = matches!(self.kind, Kind::ScanEqual | Kind::ScanLow | Kind::ScanHigh);
            let step = if scans && self.command[8] == 2 { 2 } else { 1 };
            self.record = self.record.wrapping_add(step);
            return true;
        }
        self.record = 1;
        let both = self.command[0] & bit::MT != 0;
        if both {
            self.head_address ^= 1;
            self.side ^= 1;
        }
        let more = both && self.side == 1;
        if !more {
            self.cylinder = self.cylinder.wrapping_add(1);
        }
        more
    }
}

impl Floppy {
    /// Whether data go through the FIFO by programmed I/O.
    pub(super) const fn non_dma(&self) -> bool {
        self.specify[1] & 1 != 0
    }

    pub(super) fn begin_transfer(&mut self, kind: Kind, bus: &mut Bus<'_>) {
        let mut command = [0; 9];
        command.copy_from_slice(&self.fifo[..9]);
        self.transfer = Transfer::new(kind, command);
        let number = self.transfer.number();
        let format = self.format(bus);
        if self.implied_seek() {
            self.drives[number].step_to(command[2], format.is_some());
        }
        self.phase = Phase::Execute;
        let delay = if format.is_some() { COMMAND_NS } else { MISSING_NS };
        self.execute_at = Some(bus.board.now + delay);
    }

    fn implied_seek(&self) -> bool {
        let addressed = !matches!(self.transfer.kind, Kind::Format | Kind::ReadId);
        self.configure[0] & configure::IMPLIED_SEEK != 0 && addressed
    }

    /// The medium in the drive of the transfer, if the drive turns.
    fn medium<'b>(&self, bus: &'b mut Bus<'_>) -> Option<&'b mut Box<dyn Disk>> {
        let number = self.transfer.number();
        let turns = self.drives[number].present() && self.dor & dor::MOTOR << number != 0;
        bus.host.drives.floppy.get_mut(number).filter(|_| turns)?.as_mut()
    }

    fn format(&self, bus: &mut Bus<'_>) -> Option<Format> {
        Format::of(self.medium(bus)?.sectors())
    }

    /// The cylinder and format under the head, if they can be read; else status register 1.
    fn track(&self, bus: &mut Bus<'_>) -> Result<(u8, Format), u8> {
        let format = self.format(bus).ok_or(st1::MISSING_MARK)?;
        let t = &self.transfer;
        let cylinder = self.drives[t.number()].track(&format).filter(|c| *c < format.cylinders);
        let legible = t.command[0] & bit::MFM != 0 && format.readable(self.rate) && t.side < format.heads;
        cylinder.filter(|_| legible).map(|cylinder| (cylinder, format)).ok_or(st1::MISSING_MARK)
    }

    /// Where the next sector lies; else status registers 1 and 2.
    fn locate(&self, bus: &mut Bus<'_>) -> Result<u64, (u8, u8)> {
        let (cylinder, format) = self.track(bus).map_err(|status| (status, 0))?;
        let t = &self.transfer;
        if t.kind == Kind::ReadTrack {
            return format.lba(cylinder, t.side, t.done.wrapping_add(1)).ok_or((st1::NO_DATA, 0));
        }
        let mut id = [t.cylinder, t.head_address, t.record, t.size()];
        if t.kind == Kind::Format {
            id.copy_from_slice(&self.buffer[..ID]);
        }
        if id[0] != cylinder {
            let bad = if id[0] == 0xFF { st2::BAD_CYLINDER } else { 0 };
            return Err((st1::NO_DATA, st2::WRONG_CYLINDER | bad));
        }
        let there = id[1] == t.side && id[3] == SIZE_512;
        format.lba(cylinder, t.side, id[2]).filter(|_| there).ok_or((st1::NO_DATA, 0))
    }

    /// Does the next part of the command.
    pub(super) fn step(&mut self, bus: &mut Bus<'_>) {
        let kind = self.transfer.kind;
        if kind == Kind::ReadId {
            return self.read_id(bus);
        }
        if kind.writes() && self.medium(bus).is_some_and(|disk| disk.read_only()) {
            return self.fail(st1::NOT_WRITABLE, 0, bus);
        }
        if kind.takes() && !self.transfer.taken {
            // What is wrong with the track is told before the guest's bytes are taken.
            let wrong = if kind == Kind::Format {
                self.track(bus).err().map(|status| (status, 0))
            } else {
                self.locate(bus).err()
            };
            return match wrong {
                Some((one, two)) => self.fail(one, two, bus),
                None => self.take(bus),
            };
        }
        let lba = match self.locate(bus) {
            Ok(lba) => lba,
            Err((one, two)) => return self.fail(one, two, bus),
        };
        if kind.writes() { self.store(lba, bus) } else { self.load(lba, bus) }
    }

    fn read_id(&mut self, bus: &mut Bus<'_>) {
        match self.track(bus) {
            Ok((cylinder, format)) => {
                // Whichever comes along.
                let place = bus.board.now.0 / SECTOR_NS % u64::from(format.sectors);
                let t = &mut self.transfer;
                (t.cylinder, t.head_address, t.record) = (cylinder, t.side, place as u8 + 1);
                t.command[5] = SIZE_512;
                self.finish(0, bus);
            }
            Err(status) => self.fail(status, 0, bus),
        }
    }

    /// Gets the guest's bytes for a sector.
    fn take(&mut self, bus: &mut Bus<'_>) {
        let unit = self.transfer.unit();
        if self.non_dma() {
            return self.open_fifo();
        }
        self.buffer[..unit].fill(0);
        bus.board.dma.request(CHANNEL, true);
        let moved = bus.board.dma.from_memory(&bus.board.memory, CHANNEL, &mut self.buffer[..unit]);
        if moved.bytes == 0 {
            return self.fail(st1::OVERRUN, 0, bus);
        }
        // The controller writes zeros after the terminal count.
        self.buffer[moved.bytes..unit].fill(0);
        self.transfer.terminal = moved.terminal;
        self.taken(bus);
    }

    fn taken(&mut self, bus: &mut Bus<'_>) {
        self.transfer.taken = true;
        self.again(SECTOR_NS, bus);
    }

    /// The guest moves bytes through the FIFO.
    fn open_fifo(&mut self) {
        self.phase = Phase::Fifo;
        self.position = 0;
        self.irq = true;
    }

    /// The guest has read or written all bytes of a sector.
    pub(super) fn fifo_through(&mut self, bus: &mut Bus<'_>) {
        self.irq = false;
        if self.transfer.kind.takes() { self.taken(bus) } else { self.next(bus) }
    }

    /// Writes a sector to the medium.
    fn store(&mut self, lba: u64, bus: &mut Bus<'_>) {
        if self.transfer.kind == Kind::Format {
            let fill = self.transfer.command[5];
            self.buffer[ID..].fill(fill);
            // The id is needed until the disk is ready.
            let id: [u8; ID] = [self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]];
            self.buffer[..ID].fill(fill);
            let result = self.write_sector(lba, bus);
            self.buffer[..ID].copy_from_slice(&id);
            self.stored(result, bus);
        } else {
            let result = self.write_sector(lba, bus);
            self.stored(result, bus);
        }
    }

    fn write_sector(&self, lba: u64, bus: &mut Bus<'_>) -> Poll<Result<(), DiskError>> {
        match self.medium(bus) {
            Some(disk) => disk.write(lba, &self.buffer),
            None => Poll::Ready(Err(DiskError::Io)),
        }
    }

    fn stored(&mut self, result: Poll<Result<(), DiskError>>, bus: &mut Bus<'_>) {
        match result {
            Poll::Pending => self.again(RETRY_NS, bus),
            Poll::Ready(Ok(())) => self.next(bus),
            Poll::Ready(Err(DiskError::Full)) => self.again(FULL_NS, bus),
            Poll::Ready(Err(DiskError::ReadOnly)) => self.fail(st1::NOT_WRITABLE, 0, bus),
            Poll::Ready(Err(_)) => self.fail(st1::DATA_ERROR, st2::DATA_ERROR, bus),
        }
    }

    /// Reads a sector from the medium and does with it what the command says.
    fn load(&mut self, lba: u64, bus: &mut Bus<'_>) {
        let mut sector = [0; SECTOR];
        let result = match self.medium(bus) {
            // An image may be shorter than its format.
            Some(disk) if lba >= disk.sectors() => Poll::Ready(Ok(())),
            Some(disk) => disk.read(lba, &mut sector),
            None => Poll::Ready(Err(DiskError::Io)),
        };
        match result {
            Poll::Pending => return self.again(RETRY_NS, bus),
            Poll::Ready(Err(DiskError::Full)) => return self.again(FULL_NS, bus),
            Poll::Ready(Err(_)) => return self.fail(st1::DATA_ERROR, st2::DATA_ERROR, bus),
            Poll::Ready(Ok(())) => {}
        }
        match self.transfer.kind {
            Kind::Verify => self.verified(bus),
            Kind::ScanEqual | Kind::ScanLow | Kind::ScanHigh => self.scanned(&sector, bus),
            kind => {
                if kind == Kind::ReadDeleted {
                    self.transfer.status[1] |= st2::CONTROL_MARK;
                    if self.transfer.command[0] & bit::SK != 0 {
                        return self.finish(0, bus);
                    }
                }
                if kind == Kind::ReadTrack && self.transfer.record != self.transfer.done.wrapping_add(1) {
                    self.transfer.status[0] |= st1::NO_DATA;
                }
                self.buffer = sector;
                self.give(bus);
            }
        }
    }

    /// Gives the sector in the buffer to the guest.
    fn give(&mut self, bus: &mut Bus<'_>) {
        if self.non_dma() {
            return self.open_fifo();
        }
        bus.board.dma.request(CHANNEL, true);
        let moved = bus.board.dma.to_memory(&mut bus.board.memory, CHANNEL, &self.buffer);
        if moved.bytes == 0 {
            return self.fail(st1::OVERRUN, 0, bus);
        }
        self.transfer.terminal = moved.terminal;
        self.next(bus);
    }

    fn verified(&mut self, bus: &mut Bus<'_>) {
        let counts = self.transfer.command[1] & bit::ENABLE_COUNT != 0;
        let last = counts && self.transfer.done.wrapping_add(1) == self.transfer.command[8];
        if !self.transfer.advance() || last { self.finish(0, bus) } else { self.again(SECTOR_NS, bus) }
    }

    /// Compares the medium's bytes with the guest's; FFh on either side matches anything.
    fn scanned(&mut self, sector: &[u8; SECTOR], bus: &mut Bus<'_>) {
        let pairs = sector.iter().zip(&self.buffer).filter(|(a, b)| **a != 0xFF && **b != 0xFF);
        let order = pairs.map(|(medium, guest)| medium.cmp(guest)).find(|o| *o != Ordering::Equal);
        let order = order.unwrap_or(Ordering::Equal);
        let found = match self.transfer.kind {
            Kind::ScanLow => order != Ordering::Greater,
            Kind::ScanHigh => order != Ordering::Less,
            _ => order == Ordering::Equal,
        };
        if order == Ordering::Equal {
            self.transfer.status[1] |= st2::SCAN_EQUAL;
        }
        self.transfer.taken = false;
        let terminal = self.transfer.terminal;
        if found {
            self.finish(0, bus);
        } else if !self.transfer.advance() || terminal {
            self.transfer.status[1] |= st2::SCAN_NOT_SATISFIED;
            self.finish(0, bus);
        } else {
            self.again(SECTOR_NS, bus);
        }
    }

    /// A sector is through.
    fn next(&mut self, bus: &mut Bus<'_>) {
        let t = &mut self.transfer;
        t.taken = false;
        let terminal = t.terminal;
        if t.kind == Kind::Format {
            t.done = t.done.wrapping_add(1);
            return if t.done == t.last_sector() || terminal {
                self.finish(0, bus)
            } else {
                self.again(SECTOR_NS, bus)
            };
        }
        // The other kind of mark ends a command after the sector, and the address stays.
        if t.kind == Kind::ReadDeleted {
            return self.finish(0, bus);
        }
        let more = t.advance();
        if terminal {
            self.finish(0, bus);
        } else if more {
            self.again(SECTOR_NS, bus);
        } else {
            self.fail(st1::END_OF_CYLINDER, 0, bus);
        }
    }

    fn again(&mut self, delay: u64, bus: &Bus<'_>) {
        self.phase = Phase::Execute;
        self.execute_at = Some(bus.board.now + delay);
    }

    /// Ends the command abnormally.
    fn fail(&mut self, one: u8, two: u8, bus: &mut Bus<'_>) {
        self.transfer.status[0] |= one;
        self.transfer.status[1] |= two;
        self.finish(st0::ABNORMAL, bus);
    }

    /// Ends the command.
    fn finish(&mut self, code: u8, bus: &mut Bus<'_>) {
        bus.board.dma.request(CHANNEL, false);
        let t = &self.transfer;
        let seek = if self.implied_seek() { st0::SEEK_END } else { 0 };
        // An error is told of the side where it happened.
        let side = if code == st0::ABNORMAL && t.status[0] & st1::END_OF_CYLINDER == 0 {
            t.side
        } else {
            t.last_side
        };
        let zero = code | seek | side << 2 | t.number() as u8;
        let [one, two] = t.status;
        let result = [zero, one, two, t.cylinder, t.head_address, t.record, t.size()];
        self.execute_at = None;
        self.reply(&result);
        self.irq = true;
    }

    /// Ends the command without a word.
    pub(super) fn cancel(&mut self, bus: &mut Bus<'_>) {
        bus.board.dma.request(CHANNEL, false);
        self.execute_at = None;
        self.transfer.taken = false;
    }
}
