//! Writes that are kept in memory and forgotten at the end: `snapshot=on`.

use super::SECTOR;
use nomad86::host::{Disk, DiskError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;

/// Sectors to a block of memory: what a guest writes is mostly in pages of 4 KiB.
const BLOCK_SECTORS: u64 = 8;

/// The written contents of a sector.
fn written(blocks: &HashMap<u64, Block>, lba: u64) -> Option<&[u8]> {
    let block = blocks.get(&(lba / BLOCK_SECTORS))?;
    let n = (lba % BLOCK_SECTORS) as usize;
    (block.have >> n & 1 != 0).then(|| &block.data[n * SECTOR..(n + 1) * SECTOR])
}

/// A written block: which of its sectors are here, and their contents.
struct Block {
    have: u8,
    data: Box<[u8; BLOCK_SECTORS as usize * SECTOR]>,
}

/// What was written to a disk and will be forgotten, shared between the disk and whoever saves a state.
#[derive(Clone, Default)]
pub struct Written(Rc<RefCell<HashMap<u64, Block>>>);

/// Bytes of a block in a state: its number, which sectors it has, and all of them.
const RECORD: usize = 9 + BLOCK_SECTORS as usize * SECTOR;

impl Written {
    /// All blocks in order, in pieces of about 4 MiB.
    #[must_use]
    pub fn save(&self) -> Vec<Vec<u8>> {
        let blocks = self.0.borrow();
        let mut numbers: Vec<u64> = blocks.keys().copied().collect();
        numbers.sort_unstable();
        let piece = |numbers: &[u64]| {
            let records = numbers.iter().filter_map(|number| Some((number, blocks.get(number)?)));
            records.fold(Vec::with_capacity(numbers.len() * RECORD), |mut bytes, (number, block)| {
                bytes.extend(number.to_le_bytes());
                bytes.push(block.have);
                bytes.extend_from_slice(&block.data[..]);
                bytes
            })
        };
        numbers.chunks(1024).map(piece).collect()
    }

    /// Takes a piece back; false when it is none.
    pub fn load(&self, piece: &[u8]) -> bool {
        let mut blocks = self.0.borrow_mut();
        let (records, rest) = piece.as_chunks::<RECORD>();
        for record in records {
            let (number, rest) = record.split_at(8);
            let number = u64::from_le_bytes(number.try_into().unwrap_or_default());
            let Ok(data) = rest[1..].try_into() else { return false };
            blocks.insert(number, Block { have: rest[0], data: Box::new(data) });
        }
        rest.is_empty()
    }
}

/// A disk over another one, which is never written.
pub struct Discard {
    base: Box<dyn Disk>,
    blocks: Written,
    /// The most blocks that may be held.
    limit: usize,
}

impl Discard {
    /// A disk that reads like `base` until it is written.
    #[must_use]
    pub fn new(base: Box<dyn Disk>) -> Self {
        Self::over(base, Written::default())
    }

    /// A disk that reads like `base` where `written` has nothing.
    #[must_use]
    pub fn over(base: Box<dyn Disk>, written: Written) -> Self {
        Self { base, blocks: written, limit: usize::MAX }
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
        self.blocks.0.borrow().len() * BLOCK_SECTORS as usize * SECTOR
    }

    /// Forgets all writes.
    pub fn revert(&mut self) {
        self.blocks.0.borrow_mut().clear();
    }

    fn check(&self, lba: u64, len: usize) -> Result<(), DiskError> {
        let end = lba.checked_add((len / SECTOR) as u64).ok_or(DiskError::OutOfRange)?;
        if end > self.base.sectors() { Err(DiskError::OutOfRange) } else { Ok(()) }
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
        let blocks = self.blocks.0.borrow();
        // Only what is not here is asked of the base, in runs as long as can be.
        let mut done = 0;
        while done < buffer.len() {
            let at = lba + (done / SECTOR) as u64;
            if let Some(data) = written(&blocks, at) {
                buffer[done..done + SECTOR].copy_from_slice(data);
                done += SECTOR;
                continue;
            }
            let mut end = done + SECTOR;
            while end < buffer.len() && written(&blocks, lba + (end / SECTOR) as u64).is_none() {
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
        let mut blocks = self.blocks.0.borrow_mut();
        for (at, sector) in (lba..).zip(data.chunks_exact(SECTOR)) {
            let key = at / BLOCK_SECTORS;
            if !blocks.contains_key(&key) && blocks.len() >= self.limit {
                return Poll::Ready(Err(DiskError::Full));
            }
            let block = blocks
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
    fn what_is_written_travels_to_another_disk() {
        let mut disk = Discard::new(Box::new(MemoryDisk::blank(20_000)));
        for lba in [0, 7, 9_000, 19_999] {
            assert_eq!(disk.write(lba, &[lba as u8 | 1; SECTOR]), Poll::Ready(Ok(())));
        }
        let there = Written::default();
        for piece in disk.blocks.save() {
            assert!(there.load(&piece));
            assert!(!there.load(&piece[1..]));
        }
        let mut copy = Discard::over(Box::new(MemoryDisk::blank(20_000)), there);
        let (mut a, mut b) = (vec![0; 20_000 * SECTOR], vec![0; 20_000 * SECTOR]);
        assert_eq!(disk.read(0, &mut a), Poll::Ready(Ok(())));
        assert_eq!(copy.read(0, &mut b), Poll::Ready(Ok(())));
        assert!(a == b && a[0] == 1);
    }

    #[test]
    fn a_limit_makes_the_disk_full_not_the_host() {
        let mut disk = Discard::new(Box::new(MemoryDisk::blank(64))).with_limit(8192);
        assert_eq!(disk.write(0, &[1; 16 * SECTOR]), Poll::Ready(Ok(())));
        assert_eq!(disk.write(16, &[1; SECTOR]), Poll::Ready(Err(DiskError::Full)));
        assert_eq!(disk.write(3, &[2; SECTOR]), Poll::Ready(Ok(())));
    }
}
