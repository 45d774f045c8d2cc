//! Disks in memory: modules that the loader has read. What the guest writes is gone when the PC is switched off.

use core::task::Poll;
use nomad86::host::{Disk, DiskError};

const SECTOR: usize = 512;

/// A module as a disk.
pub(crate) struct MemoryDisk {
    bytes: &'static mut [u8],
    read_only: bool,
}

impl MemoryDisk {
    pub(crate) fn new(bytes: &'static mut [u8], read_only: bool) -> Self {
        Self { bytes, read_only }
    }

    fn part(&mut self, lba: u64, len: usize) -> Result<&mut [u8], DiskError> {
        let start = usize::try_from(lba).ok().and_then(|lba| lba.checked_mul(SECTOR));
        let part = start.and_then(|start| self.bytes.get_mut(start..start.checked_add(len)?));
        part.ok_or(DiskError::OutOfRange)
    }
}

impl Disk for MemoryDisk {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR) as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(self.part(lba, buffer.len()).map(|part| buffer.copy_from_slice(part)))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.read_only {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        Poll::Ready(self.part(lba, data.len()).map(|part| part.copy_from_slice(data)))
    }
}
