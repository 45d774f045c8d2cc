//! Reading blocks: READ, READ CD, and the way from the host's disk to the buffer.

use super::command::be32;
use super::sense::Sense;
use super::{Action, BLOCK, Cd, PACKET, sector};
use crate::devices::Bus;
use crate::devices::ide::channel::{Channel, FULL_NS, GAP_NS, Phase, RETRY_NS};
use crate::devices::ide::transfer::BUFFER;
use crate::host::{Disk, DiskError};
use core::task::Poll;

/// Checks a range of blocks.
fn range(cd: &Cd, lba: u32, blocks: u32, form: [u8; 2]) -> Result<Action, Sense> {
    let all = cd.blocks()?;
    match lba.checked_add(blocks) {
        // A seek or an empty read must still name a block.
        Some(end) if end <= all && lba < all => Ok(Action::Read { lba, blocks, form }),
        _ => Err(Sense::OUT_OF_RANGE),
    }
}

/// User data alone.
pub(super) fn plain(cd: &Cd, lba: u32, blocks: u32) -> Result<Action, Sense> {
    range(cd, lba, blocks, sector::PLAIN)
}

/// READ CD.
pub(super) fn raw(cd: &Cd, p: &[u8; PACKET]) -> Result<Action, Sense> {
    let blocks = u32::from_be_bytes([0, p[6], p[7], p[8]]);
    parts(cd, p, be32(p, 2), blocks)
}

/// READ CD MSF.
pub(super) fn raw_msf(cd: &Cd, p: &[u8; PACKET]) -> Result<Action, Sense> {
    cd.blocks()?;
    let start = sector::from_msf([p[3], p[4], p[5]]).ok_or(Sense::INVALID_FIELD)?;
    let end = sector::from_msf([p[6], p[7], p[8]]).ok_or(Sense::INVALID_FIELD)?;
    let blocks = end.checked_sub(start).ok_or(Sense::INVALID_FIELD)?;
    parts(cd, p, start, blocks)
}

fn parts(cd: &Cd, p: &[u8; PACKET], lba: u32, blocks: u32) -> Result<Action, Sense> {
    cd.blocks()?;
    // Expected sector type: any or mode 1.
    if !matches!(p[1] >> 2 & 7, 0 | 2) {
        return Err(Sense::WRONG_TRACK_MODE);
    }
    let form = [p[9], p[10] & 7];
    match sector::size(form) {
        None => Err(Sense::INVALID_FIELD),
        // No part of the sector is wanted: the drive only seeks.
        Some(0) => range(cd, lba, blocks, form).map(|_| Action::Done),
        Some(_) if cd.is_dvd() && form != sector::PLAIN => Err(Sense::INCOMPATIBLE),
        Some(_) => range(cd, lba, blocks, form),
    }
}

impl Channel {
    /// Reads the next blocks of a CD from the host and puts them into the form that the guest wants.
    pub(in crate::devices::ide) fn fetch_cd(&mut self, bus: &mut Bus<'_>) {
        let form = self.transfer.form;
        let size = sector::size(form).unwrap_or(BLOCK).max(1);
        let most = if self.transfer.careful { 1 } else { (BUFFER / size.max(BLOCK)) as u32 };
        let n = self.transfer.left.min(most);
        let lba = self.transfer.lba;
        let cd = &self.drive().cd;
        if let Err(sense) = cd.blocks() {
            return self.packet_failed(sense, bus);
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        // Raw sectors grow towards the front: their data are read to the end of the buffer.
        let len = n as usize * BLOCK;
        let start = if size == BLOCK && form == sector::PLAIN { 0 } else { BUFFER - len };
        let result = match (self.medium(bus), buffer.get_mut(start..start + len)) {
            (Some(disk), Some(data)) => read_blocks(disk, lba, data),
            _ => Poll::Ready(Err(DiskError::Io)),
        };
        if result.is_ready() && form != sector::PLAIN {
            sector::expand(&mut buffer, lba as u32, n as usize, form);
        }
        self.buffer = buffer;
        match result {
            Poll::Pending => self.after(RETRY_NS, bus),
            Poll::Ready(Ok(())) => {
                self.transfer.lba += u64::from(n);
                self.transfer.left -= n;
                self.transfer.pos = 0;
                self.transfer.end = n * size as u32;
                self.loaded(bus);
            }
            Poll::Ready(Err(DiskError::Full)) => self.after(FULL_NS, bus),
            Poll::Ready(Err(_)) if n > 1 => {
                self.transfer.careful = true;
                self.phase = Phase::Fetch;
                self.after(GAP_NS, bus);
            }
            Poll::Ready(Err(DiskError::OutOfRange)) => self.packet_failed(Sense::OUT_OF_RANGE, bus),
            Poll::Ready(Err(_)) => self.packet_failed(Sense::UNREADABLE, bus),
        }
    }
}

/// Reads blocks of 2048 bytes; what the last one lacks on the host is zero.
fn read_blocks(disk: &mut dyn Disk, lba: u64, data: &mut [u8]) -> Poll<Result<(), DiskError>> {
    let first = lba * 4;
    let Some(there) = disk.sectors().checked_sub(first).filter(|&n| n > 0) else {
        return Poll::Ready(Err(DiskError::OutOfRange));
    };
    let len = (data.len() as u64).min(there.saturating_mul(512)) as usize;
    let (head, tail) = data.split_at_mut(len);
    tail.fill(0);
    if tail.len() >= BLOCK {
        return Poll::Ready(Err(DiskError::OutOfRange));
    }
    disk.read(first, head)
}
