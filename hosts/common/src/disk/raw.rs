//! Raw images: the file's bytes are the disk's.

use super::file::{Locked, disk_error, length, open_locked, read_at, write_at};
use super::{DiskFileError, SECTOR};
use nomad86::host::{Disk, DiskError};
use std::path::Path;
use std::task::Poll;

/// What an image is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading, beside other readers.
    Read,
    /// Reading and writing, alone.
    Write,
}

/// A raw image file or block device.
///
/// A file whose length is no multiple of 512 has its last sector filled with zeros. The size is the one at
/// opening: what a file has lost since is an error to the guest, what it has gained is not seen.
#[derive(Debug)]
pub struct RawFile {
    file: Locked,
    /// Bytes at opening (or after the last sector was written whole).
    length: u64,
    access: Access,
}

impl RawFile {
    /// Opens an image and locks it.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub fn open(path: &Path, access: Access) -> Result<Self, DiskFileError> {
        let mut file = open_locked(path, access)?;
        let length = length(&mut file).map_err(DiskFileError::io(path, "find the size"))?;
        Ok(Self { file, length, access })
    }

    /// The byte range of a request, if it lies on the disk.
    fn range(&self, lba: u64, len: usize) -> Result<u64, DiskError> {
        let end = lba.checked_add((len / SECTOR) as u64).ok_or(DiskError::OutOfRange)?;
        if end > self.sectors() { Err(DiskError::OutOfRange) } else { Ok(lba * SECTOR as u64) }
    }

    fn read_now(&mut self, lba: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let at = self.range(lba, buffer.len())?;
        let there = (self.length - at).min(buffer.len() as u64) as usize;
        let (head, tail) = buffer.split_at_mut(there);
        tail.fill(0);
        read_at(&mut self.file, at, head).map_err(|e| disk_error(&e))
    }

    fn write_now(&mut self, lba: u64, data: &[u8]) -> Result<(), DiskError> {
        if self.access == Access::Read {
            return Err(DiskError::ReadOnly);
        }
        let at = self.range(lba, data.len())?;
        write_at(&mut self.file, at, data).map_err(|e| disk_error(&e))?;
        self.length = self.length.max(at + data.len() as u64);
        Ok(())
    }
}

impl Disk for RawFile {
    fn sectors(&self) -> u64 {
        self.length.div_ceil(SECTOR as u64)
    }

    fn read_only(&self) -> bool {
        self.access == Access::Read
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(self.read_now(lba, buffer))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(self.write_now(lba, data))
    }

    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        if self.access == Access::Read {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.file.sync_data().map_err(|e| disk_error(&e)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tools::scratch::Scratch;
    use super::*;

    #[test]
    fn case_77_an_odd_file_ends_in_zeros_and_a_shrunk_one_in_errors() {
        let dir = Scratch::new();
        let path = dir.file("odd.img", &[7; 1300]);
        let mut disk = RawFile::open(&path, Access::Write).unwrap();
        assert_eq!(disk.sectors(), 3);
        let mut sector = [1; 512];
        assert_eq!(disk.read(2, &mut sector), Poll::Ready(Ok(())));
        assert_eq!((sector[275], sector[276]), (7, 0));
        assert_eq!(disk.read(3, &mut sector), Poll::Ready(Err(DiskError::OutOfRange)));
        assert_eq!(disk.read(u64::MAX, &mut sector), Poll::Ready(Err(DiskError::OutOfRange)));
        // Writing the last sector makes the file whole.
        assert_eq!(disk.write(2, &[9; 512]), Poll::Ready(Ok(())));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1536);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(600).unwrap();
        assert_eq!(disk.read(0, &mut sector), Poll::Ready(Ok(())));
        assert_eq!(disk.read(1, &mut sector), Poll::Ready(Err(DiskError::Io)));
        assert_eq!(disk.sectors(), 3);
    }

    #[test]
    fn case_78_readers_share_and_a_writer_is_alone() {
        let dir = Scratch::new();
        let path = dir.file("disk.img", &[0; 1024]);
        let reader = RawFile::open(&path, Access::Read).unwrap();
        let mut second = RawFile::open(&path, Access::Read).unwrap();
        assert!(matches!(RawFile::open(&path, Access::Write), Err(DiskFileError::Locked(_))));
        assert_eq!(second.write(0, &[0; 512]), Poll::Ready(Err(DiskError::ReadOnly)));
        drop((reader, second));
        let writer = RawFile::open(&path, Access::Write).unwrap();
        assert!(matches!(RawFile::open(&path, Access::Read), Err(DiskFileError::Locked(_))));
        drop(writer);
    }

    #[test]
    fn an_empty_file_is_an_empty_disk_and_a_directory_is_none() {
        let dir = Scratch::new();
        let path = dir.file("empty.img", &[]);
        let mut disk = RawFile::open(&path, Access::Read).unwrap();
        assert_eq!(disk.sectors(), 0);
        assert_eq!(disk.read(0, &mut [0; 512]), Poll::Ready(Err(DiskError::OutOfRange)));
        let error = RawFile::open(dir.path(), Access::Read).unwrap_err();
        assert!(error.to_string().contains("directory"), "{error}");
        let error = RawFile::open(&dir.path().join("none"), Access::Read).unwrap_err();
        assert!(error.to_string().contains("cannot open"), "{error}");
    }
}
