//! Writes that are kept in memory and forgotten at the end: `snapshot=on`.

use super::SECTOR;
use nomad86::host::{Disk, DiskError};
use std::collections::HashMap;
use std::task::Poll;

/// Sectors to a block of memory: what a guest writes is mostly in pages of 4 KiB.
const BLOCK_SECTORS: u64 = 8;

/// A written block: which of its sectors are here, and their contents.
struct Block {
    have: u8,
    data: Box<[u8; BLOCK_SECTORS as usize * SECTOR]>,
}

/// A disk over another one, which is never written.
pub struct Discard {
    base: Box<dyn Disk>,
    blocks: HashMap<u64, Block>,
    /// The most blocks that may be held.
    limit: usize,
}

impl Discard {
    /// A disk that reads like `base` until it is written.
    #[must_use]
    pub fn new(base: Box<dyn Disk>) -> Self {
        Self { base, blocks: HashMap::new(), limit: usize::MAX }
    }

    /// Holds no more than this many bytes; further writes find the disk full.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes / (BLOCK_SECTORS as usize * SECTOR);
        self
    }

    /// Bytes of memory that written blocks take.
    #[must_use]
    pub fn held(&self) -> usize {
        self.blocks.len() * BLOCK_SECTORS as usize * SECTOR
    }

    /// Forgets all writes.
    pub fn revert(&mut self) {
        self.blocks.clear();
    }

    fn check(&self, lba: u64, len: usize) -> Result<(), DiskError> {
        let end = lba.checked_add((len / SECTOR) as u64).ok_or(DiskError::OutOfRange)?;
        if end > self.base.sectors() { Err(DiskError::OutOfRange) } else { Ok(()) }
    }

    /// The written contents of a sector.
    fn written(&self, lba: u64) -> Option<&[u8]> {
        let block = self.blocks.get(&(lba / BLOCK_SECTORS))?;
        let n = (lba % BLOCK_SECTORS) as usize;
        (block.have >> n & 1 != 0).then(|| &block.data[n * SECTOR..(n + 1) * SECTOR])
    }
}

impl Disk for Discard {
    fn sectors(&self) -> u64 {
        self.base.sectors()
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        if let Err(e) = self.check(lba, buffer.len()) {
            return Poll::Ready(Err(e));
        }
        // Only what is not here is asked of the base, in runs as long as can be.
        let mut done = 0;
        while done < buffer.len() {
            let at = lba + (done / SECTOR) as u64;
            if let Some(data) = self.written(at) {
                buffer[done..done + SECTOR].copy_from_slice(data);
                done += SECTOR;
                continue;
            }
            let mut end = done + SECTOR;
            while end < buffer.len() && self.written(lba + (end / SECTOR) as u64).is_none() {
                end += SECTOR;
            }
            match self.base.read(at, &mut buffer[done..end]) {
                Poll::Ready(Ok(())) => done = end,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if let Err(e) = self.check(lba, data.len()) {
            return Poll::Ready(Err(e));
        }
        for (at, sector) in (lba..).zip(data.chunks_exact(SECTOR)) {
            let key = at / BLOCK_SECTORS;
            if !self.blocks.contains_key(&key) && self.blocks.len() >= self.limit {
                return Poll::Ready(Err(DiskError::Full));
            }
            let block = self
                .blocks
                .entry(key)
                .or_insert_with(|| Block { have: 0, data: Box::new([0; BLOCK_SECTORS as usize * SECTOR]) });
            let n = (at % BLOCK_SECTORS) as usize;
            block.have |= 1 << n;
            block.data[n * SECTOR..(n + 1) * SECTOR].copy_from_slice(sector);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn what_is_written_is_read_until_it_is_reverted() {
        let base: Vec<u8> = (0..40 * SECTOR).map(|n| (n / SECTOR) as u8).collect();
        let mut disk = Discard::new(Box::new(MemoryDisk::new(base.clone()).protected()));
        assert!(!disk.read_only());
        assert_eq!(disk.write(6, &[0xEE; 3 * SECTOR]), Poll::Ready(Ok(())));
        let mut all = vec![0; base.len()];
        assert_eq!(disk.read(0, &mut all), Poll::Ready(Ok(())));
        let mut expected = base.clone();
        expected[6 * SECTOR..9 * SECTOR].fill(0xEE);
        assert!(all == expected);
        assert_eq!(disk.held(), 8192);
        disk.revert();
        assert_eq!(disk.read(0, &mut all), Poll::Ready(Ok(())));
        assert!(all == base);
        assert_eq!(disk.write(39, &[0; 2 * SECTOR]), Poll::Ready(Err(DiskError::OutOfRange)));
    }

    #[test]
    fn a_limit_makes_the_disk_full_not_the_host() {
        let mut disk = Discard::new(Box::new(MemoryDisk::blank(64))).with_limit(8192);
        assert_eq!(disk.write(0, &[1; 16 * SECTOR]), Poll::Ready(Ok(())));
        assert_eq!(disk.write(16, &[1; SECTOR]), Poll::Ready(Err(DiskError::Full)));
        assert_eq!(disk.write(3, &[2; SECTOR]), Poll::Ready(Ok(())));
    }
}
