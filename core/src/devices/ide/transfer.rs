//! Moving data: between the host's disk and the buffer, and between the buffer and the guest by PIO or DMA.
//!
//! A transfer goes through the buffer in chunks of up to [`BUFFER`] bytes, one request to the host for each.
//! When the host reports an error, the chunk is taken again in small pieces, so that the guest gets every
//! sector before the bad one and learns which one that is.

use super::super::Bus;
use super::busmaster::{Data, Moved};
use super::channel::{Channel, FULL_NS, GAP_NS, Phase, RETRY_NS};
use super::drive::SECTOR;
use super::reg::{cmd, error, status};
use crate::archive::{Archive, Field};
use crate::devices::pci::Slot;
use crate::host::DiskError;
use core::task::Poll;

/// Bytes of a channel's buffer.
pub(super) const BUFFER: usize = 128 << 10;
/// Sectors that it holds.
const CHUNK: u32 = (BUFFER / SECTOR) as u32;

/// What a transfer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(super) enum What {
    /// Data of the drive's own: IDENTIFY, SMART, the answer to a packet.
    #[default]
    Reply,
    /// A disk's sectors to the guest.
    Read,
    /// Sectors to the disk.
    Write,
    /// Sectors that are read and not handed out.
    Verify,
    /// A CD's blocks to the guest.
    CdRead,
    /// Parameters of a packet command from the guest.
    Parameters,
}

impl Field for What {
    fn archive(&mut self, a: &mut Archive<'_>) {
        const ALL: [What; 6] =
            [What::Reply, What::Read, What::Write, What::Verify, What::CdRead, What::Parameters];
        let mut n = *self as u8;
        a.field(&mut n);
        *self = ALL.get(usize::from(n)).copied().unwrap_or_default();
    }
}

/// The transfer in progress.
#[derive(Default)]
pub(super) struct Transfer {
    pub(super) what: What,
    pub(super) dma: bool,
    /// The command has 48-bit addresses.
    pub(super) ext: bool,
    /// The host has reported an error: small pieces.
    pub(super) careful: bool,
    /// Next sector (or CD block) to be read or written by the host.
    pub(super) lba: u64,
    /// How many are left.
    pub(super) left: u32,
    /// Bytes that the guest moves for each interrupt.
    pub(super) block: u32,
    /// Next byte in the buffer.
    pub(super) pos: u32,
    /// End of the present block in the buffer.
    pub(super) stop: u32,
    /// End of the data in the buffer.
    pub(super) end: u32,
    /// Which parts of a CD's blocks are wanted (see `atapi::sector`).
    pub(super) form: [u8; 2],
}
crate::archive_fields!(Transfer { what, dma, ext, careful, lba, left, block, pos, stop, end, form });

impl Transfer {
    /// Keeps positions inside the buffer whatever a state image says.
    pub(super) fn validate(&mut self) {
        self.end = self.end.min(BUFFER as u32);
        self.stop = self.stop.min(self.end);
        self.pos = self.pos.min(self.stop);
        self.left = self.left.min(u32::MAX >> 1);
        self.lba &= (1 << 48) - 1;
    }

    /// Whether data go from the guest to the drive.
    const fn is_out(&self) -> bool {
        matches!(self.what, What::Write | What::Parameters)
    }
}

/// What the guest sees of a host's error on reading and writing.
const fn read_error(why: DiskError) -> u8 {
    match why {
        DiskError::OutOfRange => error::IDNF,
        _ => error::UNC,
    }
}

const fn write_error(why: DiskError) -> u8 {
    match why {
        DiskError::OutOfRange => error::IDNF,
        DiskError::ReadOnly => error::WP | error::ABRT,
        _ => error::ABRT,
    }
}

impl Channel {
    /// Hands `len` bytes of the buffer to the guest.
    pub(super) fn reply(&mut self, len: usize, bus: &mut Bus<'_>) {
        self.transfer.what = What::Reply;
        self.transfer.left = 0;
        self.transfer.pos = 0;
        self.transfer.end = len.min(BUFFER) as u32;
        self.loaded(bus);
    }

    /// The host could not answer yet, or has no room: the present phase is tried again.
    fn retry(&self, full: bool, bus: &mut Bus<'_>) {
        self.after(if full { FULL_NS } else { RETRY_NS }, bus);
    }

    // To the guest.

    /// Reads the next chunk from the host.
    pub(super) fn fetch(&mut self, bus: &mut Bus<'_>) {
        self.phase = Phase::Fetch;
        if self.transfer.what == What::CdRead {
            return self.fetch_cd(bus);
        }
        let piece = if self.transfer.dma || self.transfer.what == What::Verify {
            1
        } else {
            (self.transfer.block / SECTOR as u32).clamp(1, CHUNK)
        };
        let n = self.transfer.left.min(if self.transfer.careful { piece } else { CHUNK });
        match self.read_sectors(self.transfer.lba, 0, n, bus) {
            Poll::Pending => self.retry(false, bus),
            Poll::Ready(Ok(())) => {
                self.transfer.lba += u64::from(n);
                self.transfer.left -= n;
                self.transfer.pos = 0;
                self.transfer.end = n * SECTOR as u32;
                if self.transfer.what == What::Verify {
                    if self.transfer.left == 0 {
                        self.show_address();
                        self.complete(bus);
                    } else {
                        self.after(GAP_NS, bus);
                    }
                } else {
                    self.loaded(bus);
                }
            }
            Poll::Ready(Err(DiskError::Full)) => self.retry(true, bus),
            Poll::Ready(Err(_)) if n > piece => {
                self.transfer.careful = true;
                self.after(GAP_NS, bus);
            }
            Poll::Ready(Err(why)) => self.blame(n, why, bus),
        }
    }

    /// Reads `n` sectors from `lba` on to the buffer at sector `at`.
    fn read_sectors(&mut self, lba: u64, at: u32, n: u32, bus: &mut Bus<'_>) -> Poll<Result<(), DiskError>> {
        let start = at as usize * SECTOR;
        let mut buffer = core::mem::take(&mut self.buffer);
        let result = match (self.medium(bus), buffer.get_mut(start..start + n as usize * SECTOR)) {
            (Some(disk), Some(bytes)) => disk.read(lba, bytes),
            _ => Poll::Ready(Err(DiskError::Io)),
        };
        self.buffer = buffer;
        result
    }

    /// Finds which of `n` sectors the host cannot read, and ends the command there.
    fn blame(&mut self, n: u32, why: DiskError, bus: &mut Bus<'_>) {
        let mut why = why;
        if n > 1 {
            for at in 0..n {
                match self.read_sectors(self.transfer.lba + u64::from(at), at, 1, bus) {
                    Poll::Pending => return self.retry(false, bus),
                    Poll::Ready(Err(e)) => {
                        why = e;
                        self.transfer.lba += u64::from(at);
                        break;
                    }
                    Poll::Ready(Ok(())) => {}
                }
            }
        }
        self.fail_at(self.transfer.lba, read_error(why), bus);
    }

    /// Ends a command with the address of the sector that could not be read or written.
    fn fail_at(&mut self, lba: u64, errors: u8, bus: &mut Bus<'_>) {
        let ext = self.transfer.ext;
        self.drive().set_address(ext, lba);
        self.fail(errors, bus);
    }

    /// After all sectors the registers name the last one and count none.
    fn show_address(&mut self) {
        let (ext, lba) = (self.transfer.ext, self.transfer.lba.saturating_sub(1));
        let drive = self.drive();
        drive.set_address(ext, lba);
        drive.count = [0; 2];
    }

    /// The buffer holds data for the guest.
    pub(super) fn loaded(&mut self, bus: &mut Bus<'_>) {
        if self.transfer.dma {
            self.phase = Phase::DmaIn;
            self.pump(bus);
        } else {
            self.next_block(bus);
        }
    }

    /// Offers (or asks for) the next block at the data port, with an interrupt.
    pub(super) fn next_block(&mut self, bus: &mut Bus<'_>) {
        let t = &mut self.transfer;
        t.stop = t.pos.saturating_add(t.block).min(t.end);
        let (len, out) = (t.stop.saturating_sub(t.pos), t.is_out());
        self.phase = if out { Phase::DataOut } else { Phase::DataIn };
        if self.command == cmd::PACKET {
            self.show_block(len, out);
        }
        self.drive().status = status::READY | status::DRQ;
        self.interrupt(bus);
    }

    /// The guest has read a block.
    pub(super) fn block_read(&mut self, bus: &mut Bus<'_>) {
        let more = self.transfer.pos < self.transfer.end;
        if more || self.transfer.left > 0 {
            self.drive().status = status::BSY;
            self.phase = if more { Phase::Gap } else { Phase::Fetch };
            self.after(GAP_NS, bus);
        } else if self.command == cmd::PACKET {
            self.drive().status = status::BSY;
            self.phase = Phase::Finish;
            self.after(GAP_NS, bus);
        } else {
            // A disk's last block is not followed by an interrupt.
            if self.transfer.what == What::Read {
                self.show_address();
            }
            self.phase = Phase::Idle;
            self.drive().status = status::READY;
        }
    }

    // From the guest.

    /// Makes ready for the next chunk from the guest. A command's first block comes without an interrupt.
    pub(super) fn receive(&mut self, first: bool, bus: &mut Bus<'_>) {
        let t = &mut self.transfer;
        t.pos = 0;
        t.end = t.left.min(CHUNK) * SECTOR as u32;
        if t.dma {
            self.phase = Phase::DmaOut;
            return self.pump(bus);
        }
        if first {
            t.stop = t.block.min(t.end);
            self.phase = Phase::DataOut;
            self.drive().status = status::READY | status::DRQ;
        } else {
            self.next_block(bus);
        }
    }

    /// The guest has written a block.
    pub(super) fn block_written(&mut self, bus: &mut Bus<'_>) {
        self.drive().status = status::BSY;
        self.phase = if self.transfer.pos < self.transfer.end { Phase::Gap } else { Phase::Store };
        if self.phase == Phase::Store {
            self.transfer.pos = 0;
        }
        self.after(GAP_NS, bus);
    }

    /// Writes the chunk in the buffer to the host: what lies from `pos` on.
    pub(super) fn store(&mut self, bus: &mut Bus<'_>) {
        self.phase = Phase::Store;
        if self.transfer.what == What::Parameters {
            return self.parameters_received(bus);
        }
        loop {
            let (pos, end) = (self.transfer.pos as usize, self.transfer.end as usize);
            let held = end.saturating_sub(pos) / SECTOR;
            if held == 0 {
                break;
            }
            let n = if self.transfer.careful { 1 } else { held };
            let buffer = core::mem::take(&mut self.buffer);
            let result = match (self.medium(bus), buffer.get(pos..pos + n * SECTOR)) {
                (Some(disk), Some(bytes)) => disk.write(self.transfer.lba, bytes),
                _ => Poll::Ready(Err(DiskError::Io)),
            };
            self.buffer = buffer;
            match result {
                Poll::Pending => return self.retry(false, bus),
                Poll::Ready(Ok(())) => {
                    self.transfer.pos += (n * SECTOR) as u32;
                    self.transfer.lba += n as u64;
                    self.transfer.left = self.transfer.left.saturating_sub(n as u32);
                }
                // The host stops for want of room and goes on when it has some.
                Poll::Ready(Err(DiskError::Full)) => return self.retry(true, bus),
                Poll::Ready(Err(_)) if n > 1 => self.transfer.careful = true,
                Poll::Ready(Err(why)) => return self.fail_at(self.transfer.lba, write_error(why), bus),
            }
        }
        if self.transfer.left > 0 && self.transfer.end > 0 {
            self.receive(false, bus);
        } else {
            self.show_address();
            self.complete(bus);
        }
    }

    // By the bus master.

    /// Lets the bus master move what the buffer holds or lacks, if it is running.
    pub(super) fn pump(&mut self, bus: &mut Bus<'_>) {
        self.drive().status = status::READY | status::DRQ;
        if !self.master.active() || !bus.board.pci.is_master(Slot::IDE) {
            return;
        }
        let (pos, end) = (self.transfer.pos as usize, (self.transfer.end as usize).min(BUFFER));
        let bytes = &mut self.buffer[pos.min(end)..end];
        let out = self.transfer.is_out();
        let data = if out { Data::FromMemory(bytes) } else { Data::ToMemory(bytes) };
        match self.master.run(data, bus.board) {
            Moved::Some(n) => self.transfer.pos += n as u32,
            Moved::Fault => {
                if self.command == cmd::PACKET {
                    self.packet_aborted(bus);
                } else {
                    self.abort(bus);
                }
            }
            Moved::All => {
                self.transfer.pos = self.transfer.end;
                if out {
                    self.transfer.pos = 0;
                    self.drive().status = status::BSY;
                    self.store(bus);
                } else if self.transfer.left > 0 {
                    self.drive().status = status::BSY;
                    self.phase = Phase::Fetch;
                    self.after(GAP_NS, bus);
                } else {
                    if self.transfer.what == What::Read {
                        self.show_address();
                    }
                    self.complete(bus);
                }
            }
        }
    }

    /// Flushes the host's disk.
    pub(super) fn flush(&mut self, bus: &mut Bus<'_>) {
        self.phase = Phase::Flush;
        match self.medium(bus).map(crate::host::Disk::flush) {
            None => self.abort(bus),
            Some(Poll::Pending) => self.retry(false, bus),
            Some(Poll::Ready(Ok(()))) => self.complete(bus),
            Some(Poll::Ready(Err(DiskError::Full))) => self.retry(true, bus),
            Some(Poll::Ready(Err(_))) => self.abort(bus),
        }
    }
}
