//! A board without a CPU, for drivers' scripts, and disks that can be made to misbehave.

use crate::board::Board;
use crate::config::Config;
use crate::host::{Disk, DiskError};
use crate::memory::{GuestMemory, Memory};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::Poll;

/// A board with 2 MiB of RAM.
pub(crate) fn board(config: &Config) -> Board {
    let block = GuestMemory::allocate((2 << 20) + config.video_memory + (256 << 10)).unwrap();
    Board::new(Memory::new(block, 2 << 20, config.video_memory, 256 << 10).unwrap())
}

/// A disk of the test's own, which can be made to misbehave.
#[derive(Default)]
pub(crate) struct Medium {
    pub(crate) data: Vec<u8>,
    /// Sector that cannot be read or written.
    pub(crate) bad: Option<u64>,
    pub(crate) read_only: bool,
    /// No room for writes.
    pub(crate) full: bool,
    /// So many requests answer that they are not ready.
    pub(crate) pending: u32,
    /// Requests seen.
    pub(crate) requests: u32,
    pub(crate) flushed: u32,
}

#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<Medium>>);

impl Shared {
    pub(crate) fn new(sectors: usize) -> Self {
        let shared = Self::default();
        let mut data = vec![0; sectors * 512];
        for (n, sector) in data.chunks_exact_mut(512).enumerate() {
            sector.fill(n as u8);
            sector[..8].copy_from_slice(&(n as u64).to_le_bytes());
        }
        shared.0.borrow_mut().data = data;
        shared
    }
}

impl Medium {
    fn check(&mut self, lba: u64, len: usize) -> Poll<Result<core::ops::Range<usize>, DiskError>> {
        self.requests += 1;
        if self.pending > 0 {
            self.pending -= 1;
            return Poll::Pending;
        }
        let end = lba + len as u64 / 512;
        if end * 512 > self.data.len() as u64 {
            return Poll::Ready(Err(DiskError::OutOfRange));
        }
        if self.bad.is_some_and(|bad| (lba..end).contains(&bad)) {
            return Poll::Ready(Err(DiskError::Io));
        }
        Poll::Ready(Ok(lba as usize * 512..end as usize * 512))
    }
}

impl Disk for Shared {
    fn sectors(&self) -> u64 {
        self.0.borrow().data.len() as u64 / 512
    }
    fn read_only(&self) -> bool {
        self.0.borrow().read_only
    }
    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        let mut m = self.0.borrow_mut();
        m.check(lba, buffer.len()).map_ok(|range| buffer.copy_from_slice(&m.data[range]))
    }
    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        let mut m = self.0.borrow_mut();
        if m.read_only {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        if m.full {
            return Poll::Ready(Err(DiskError::Full));
        }
        m.check(lba, data.len()).map_ok(|range| m.data[range].copy_from_slice(data))
    }
    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        self.0.borrow_mut().flushed += 1;
        Poll::Ready(Ok(()))
    }
}
