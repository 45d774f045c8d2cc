//! A disk in memory, for tests and for images that come from elsewhere.

use super::SECTOR;
use nomad86::host::{Disk, DiskError};
use std::task::Poll;

/// A disk in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryDisk {
    data: Vec<u8>,
    read_only: bool,
}

impl MemoryDisk {
    /// A disk with these contents, filled with zeros to whole sectors.
    #[must_use]
    pub fn new(mut data: Vec<u8>) -> Self {
        data.resize(data.len().next_multiple_of(SECTOR), 0);
        Self { data, read_only: false }
    }

    /// A disk of so many sectors of zeros.
    #[must_use]
    pub fn blank(sectors: usize) -> Self {
        Self { data: vec![0; sectors * SECTOR], read_only: false }
    }

    /// The same, write-protected.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// All bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    fn range(&self, lba: u64, len: usize) -> Result<std::ops::Range<usize>, DiskError> {
        let start = usize::try_from(lba).ok().and_then(|n| n.checked_mul(SECTOR));
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        range.filter(|r| r.end <= self.data.len()).ok_or(DiskError::OutOfRange)
    }
}

impl Disk for MemoryDisk {
    fn sectors(&self) -> u64 {
        (self.data.len() / SECTOR) as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(self.range(lba, buffer.len()).map(|range| buffer.copy_from_slice(&self.data[range])))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.read_only {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        Poll::Ready(self.range(lba, data.len()).map(|range| self.data[range].copy_from_slice(data)))
    }
}
