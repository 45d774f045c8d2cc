//! Overlays: what a guest writes goes to a file of its own, and the base stays as it is.
//!
//! File format, all numbers little-endian:
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic `NMD86OVL` |
//! | 8 | version, 32 bits: 1 |
//! | 12 | CRC-32 of the first 4096 bytes with this field zero |
//! | 16 | sectors of the disk, 64 bits |
//! | 24 | sectors in a block, 32 bits: 128 |
//! | 28 | length of the base's path, 32 bits |
//! | 32 | offset of the data, 64 bits |
//! | 40 | the base's path in UTF-8, relative to the overlay's directory unless absolute |
//! | 4096 | the map: 32 bits for each block, 0 in the base, else 1 + its place in the data |
//!
//! A block enters the map only after its data are durable, so that after a power failure every block is
//! either whole or the base's. Until then (a flush, the end, or 16 MiB later) it is known in memory alone,
//! as in a drive's write cache.

use super::file::{Locked, disk_error, length, lock, open_locked, read_at, sync_directory, write_at};
use super::raw::Access;
use super::{DiskFileError, SECTOR};
use nomad86::host::{Disk, DiskError};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::task::Poll;

pub(super) const MAGIC: &[u8; 8] = b"NMD86OVL";
const VERSION: u32 = 1;
const HEADER: usize = 4096;
const PATH_AT: usize = 40;
/// Sectors in a block.
const BLOCK_SECTORS: u64 = 128;
/// Bytes in a block.
const BLOCK: usize = BLOCK_SECTORS as usize * SECTOR;
/// Largest disk: the map of one takes 64 MiB.
const MAX_SECTORS: u64 = 1 << 31;
/// So many blocks may wait for being entered in the map.
const MOST_WAITING: usize = 256;

/// A disk whose writes go to a file of its own.
pub struct Overlay {
    path: PathBuf,
    file: Locked,
    access: Access,
    base: Box<dyn Disk>,
    sectors: u64,
    data: u64,
    map: Vec<u32>,
    /// Places in the data that are taken.
    places: u32,
    /// Blocks that the file's map lacks.
    waiting: Vec<u32>,
    block: Box<[u8]>,
}

/// What the header says.
struct Header {
    sectors: u64,
    data: u64,
    base: PathBuf,
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 })
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Where the data of a disk of so many sectors begin.
fn data_offset(sectors: u64) -> u64 {
    let map = sectors.div_ceil(BLOCK_SECTORS) * 4;
    (HEADER as u64 + map).next_multiple_of(BLOCK as u64)
}

fn read_header(path: &Path, file: &mut File) -> Result<Header, DiskFileError> {
    let damaged = |how: &str| DiskFileError::Damaged(path.into(), how.into());
    let mut header = [0; HEADER];
    match read_at(file, 0, &mut header) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(DiskFileError::NotOverlay(path.into()));
        }
        Err(e) => return Err(DiskFileError::io(path, "read")(e)),
    }
    if header[..8] != MAGIC[..] {
        return Err(DiskFileError::NotOverlay(path.into()));
    }
    if u32_at(&header, 8) != VERSION {
        return Err(DiskFileError::Damaged(
            path.into(),
            format!("version {} is newer than this program", u32_at(&header, 8)),
        ));
    }
    let crc = u32_at(&header, 12);
    header[12..16].fill(0);
    if crc32(&header) != crc {
        return Err(damaged("the header's checksum is wrong"));
    }
    let (sectors, data) = (u64_at(&header, 16), u64_at(&header, 32));
    let len = u32_at(&header, 28) as usize;
    if sectors > MAX_SECTORS
        || u64::from(u32_at(&header, 24)) != BLOCK_SECTORS
        || data != data_offset(sectors)
    {
        return Err(damaged("the header's sizes contradict each other"));
    }
    let name = header.get(PATH_AT..PATH_AT.saturating_add(len)).and_then(|b| std::str::from_utf8(b).ok());
    let name = name.filter(|n| !n.is_empty()).ok_or_else(|| damaged("the base's path is no text"))?;
    // A relative path counts from where the overlay is, so that both can be moved together.
    let base = path.parent().unwrap_or_else(|| Path::new("")).join(name);
    Ok(Header { sectors, data, base })
}

/// The base that an overlay names.
pub(super) fn base_of(path: &Path) -> Result<PathBuf, DiskFileError> {
    let mut file = File::open(path).map_err(DiskFileError::io(path, "open"))?;
    Ok(read_header(path, &mut file)?.base)
}

impl Overlay {
    /// Makes an empty overlay over a base of so many sectors, which it knows by the path `base`.
    ///
    /// # Errors
    /// Says why it cannot be made; a file that is there is left alone.
    pub(super) fn create(path: &Path, base: &Path, sectors: u64) -> Result<(), DiskFileError> {
        let name = base.to_str().filter(|n| n.len() <= HEADER - PATH_AT && !n.is_empty());
        let name = name.ok_or_else(|| DiskFileError::Size(base.display().to_string()))?;
        if sectors > MAX_SECTORS {
            return Err(DiskFileError::Size(format!("{} bytes", sectors * SECTOR as u64)));
        }
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DiskFileError::Exists(path.into()));
            }
            Err(e) => return Err(DiskFileError::io(path, "create")(e)),
        };
        let mut file = lock(file, path, Access::Write)?;
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..24].copy_from_slice(&sectors.to_le_bytes());
        header[24..28].copy_from_slice(&(BLOCK_SECTORS as u32).to_le_bytes());
        header[28..32].copy_from_slice(&(name.len() as u32).to_le_bytes());
        header[32..40].copy_from_slice(&data_offset(sectors).to_le_bytes());
        header[PATH_AT..PATH_AT + name.len()].copy_from_slice(name.as_bytes());
        let crc = crc32(&header);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        // The magic comes last: a file that lacks it was never finished.
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(data_offset(sectors))?;
            file.sync_all()?;
            write_at(file, 0, &header)?;
            file.sync_all()
        };
        write(&mut file).map_err(|e| {
            let _ = std::fs::remove_file(path);
            DiskFileError::io(path, "write")(e)
        })?;
        sync_directory(path);
        Ok(())
    }

    /// Opens an overlay over its base.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub fn open(path: &Path, access: Access, base: Box<dyn Disk>) -> Result<Self, DiskFileError> {
        let mut file = open_locked(path, access)?;
        let header = read_header(path, &mut file)?;
        if base.sectors() != header.sectors {
            return Err(DiskFileError::BaseChanged {
                overlay: path.into(),
                base: header.base,
                expected: header.sectors,
                found: base.sectors(),
            });
        }
        let len = length(&mut file).map_err(DiskFileError::io(path, "find the size"))?;
        let blocks = header.sectors.div_ceil(BLOCK_SECTORS) as usize;
        let mut bytes = vec![0; blocks * 4];
        read_at(&mut file, HEADER as u64, &mut bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => DiskFileError::Damaged(path.into(), "the map is cut off".into()),
            _ => DiskFileError::io(path, "read")(e),
        })?;
        let map: Vec<u32> = bytes.chunks_exact(4).map(|b| u32_at(b, 0)).collect();
        let room = len.saturating_sub(header.data) / BLOCK as u64;
        let mut taken = vec![false; room as usize];
        for (block, &place) in map.iter().enumerate().filter(|(_, place)| **place != 0) {
            match taken.get_mut(place as usize - 1) {
                None => {
                    let how = format!("block {block} lies outside the file");
                    return Err(DiskFileError::Damaged(path.into(), how));
                }
                Some(true) => {
                    let how = format!("block {block} lies where another one does");
                    return Err(DiskFileError::Damaged(path.into(), how));
                }
                Some(free) => *free = true,
            }
        }
        Ok(Self {
            path: path.into(),
            file,
            access,
            base,
            sectors: header.sectors,
            data: header.data,
            // Blocks behind the last one in the map were written and never entered: their places are free.
            places: map.iter().copied().max().unwrap_or(0),
            map,
            waiting: Vec::new(),
            block: vec![0; BLOCK].into_boxed_slice(),
        })
    }

    /// Blocks (of 64 KiB) that the overlay holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.map.iter().filter(|place| **place != 0).count()
    }

    /// Runs of sectors that the overlay holds.
    pub(super) fn written(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.map.iter().enumerate().filter(|(_, place)| **place != 0).map(|(n, _)| {
            let start = n as u64 * BLOCK_SECTORS;
            (start, BLOCK_SECTORS.min(self.sectors - start))
        })
    }

    /// Where in the file a sector of a block is.
    fn at(&self, place: u32, sector: u64) -> u64 {
        self.data + u64::from(place - 1) * BLOCK as u64 + sector * SECTOR as u64
    }

    fn check(&self, lba: u64, len: usize) -> Result<(), DiskError> {
        let end = lba.checked_add((len / SECTOR) as u64).ok_or(DiskError::OutOfRange)?;
        if end > self.sectors { Err(DiskError::OutOfRange) } else { Ok(()) }
    }

    /// Writes what is outside the file's map into it, after the data.
    fn settle(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.file.sync_data()?;
        while let Some(&block) = self.waiting.last() {
            let entry = self.map[block as usize].to_le_bytes();
            write_at(&mut self.file, HEADER as u64 + u64::from(block) * 4, &entry)?;
            self.waiting.pop();
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.settle()?;
        self.file.sync_data()
    }

    /// Forgets all blocks, after they were written to the base.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.waiting.clear();
        self.map.fill(0);
        let zeros = vec![0; self.map.len() * 4];
        write_at(&mut self.file, HEADER as u64, &zeros)?;
        self.file.sync_data()?;
        self.places = 0;
        self.file.set_len(self.data)?;
        self.file.sync_all()
    }

    /// Writes part of a block: into its place, or into a new one with the rest from the base.
    fn write_part(&mut self, lba: u64, part: &[u8]) -> Poll<Result<(), DiskError>> {
        let (block, sector) = ((lba / BLOCK_SECTORS) as usize, lba % BLOCK_SECTORS);
        let place = self.map[block];
        if place != 0 {
            let at = self.at(place, sector);
            return Poll::Ready(write_at(&mut self.file, at, part).map_err(|e| disk_error(&e)));
        }
        if part.len() < BLOCK {
            let first = block as u64 * BLOCK_SECTORS;
            let there = BLOCK_SECTORS.min(self.sectors - first) as usize * SECTOR;
            let (head, tail) = self.block.split_at_mut(there);
            tail.fill(0);
            match self.base.read(first, head) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        self.block[sector as usize * SECTOR..][..part.len()].copy_from_slice(part);
        let place = self.places + 1;
        let at = self.at(place, 0);
        // A place counts as taken only when its data are there: what fails for want of room is tried again.
        if let Err(e) = write_at(&mut self.file, at, &self.block) {
            return Poll::Ready(Err(disk_error(&e)));
        }
        self.places = place;
        self.map[block] = place;
        self.waiting.push(block as u32);
        if self.waiting.len() >= MOST_WAITING {
            return Poll::Ready(self.settle().map_err(|e| disk_error(&e)));
        }
        Poll::Ready(Ok(()))
    }
}

impl Disk for Overlay {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.access == Access::Read
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        if let Err(e) = self.check(lba, buffer.len()) {
            return Poll::Ready(Err(e));
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = lba + (done / SECTOR) as u64;
            let place = self.map[(at / BLOCK_SECTORS) as usize];
            let mut end = (done + (BLOCK_SECTORS - at % BLOCK_SECTORS) as usize * SECTOR).min(buffer.len());
            if place != 0 {
                let from = self.at(place, at % BLOCK_SECTORS);
                if let Err(e) = read_at(&mut self.file, from, &mut buffer[done..end]) {
                    return Poll::Ready(Err(disk_error(&e)));
                }
            } else {
                // Neighbours that are in the base too come with the same request.
                while end < buffer.len() {
                    let next = lba + (end / SECTOR) as u64;
                    if self.map[(next / BLOCK_SECTORS) as usize] != 0 {
                        break;
                    }
                    end = (end + BLOCK).min(buffer.len());
                }
                match self.base.read(at, &mut buffer[done..end]) {
                    Poll::Ready(Ok(())) => {}
                    other => return other,
                }
            }
            done = end;
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.access == Access::Read {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        if let Err(e) = self.check(lba, data.len()) {
            return Poll::Ready(Err(e));
        }
        let (mut at, mut rest) = (lba, data);
        while !rest.is_empty() {
            let n = ((BLOCK_SECTORS - at % BLOCK_SECTORS) as usize * SECTOR).min(rest.len());
            let (part, tail) = rest.split_at(n);
            match self.write_part(at, part) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            at += (n / SECTOR) as u64;
            rest = tail;
        }
        Poll::Ready(Ok(()))
    }

    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        if self.access == Access::Read {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.sync().map_err(|e| disk_error(&e)))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        if let Err(e) = self.settle() {
            eprintln!("{}: the last writes are lost: {e}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests;
