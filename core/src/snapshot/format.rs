//! The file: a header, sections, an end.
//!
//! All numbers are little-endian.
//!
//! | header, 24 bytes | what |
//! |---|---|
//! | 0 | magic `nomad86` and 1Ah, so that text tools stop there |
//! | 8 | format, 32 bits |
//! | 12 | 0, 64 bits |
//! | 20 | CRC-32 of the above |
//!
//! | section | what |
//! |---|---|
//! | 0 | tag, four characters |
//! | 4 | version, 16 bits |
//! | 6 | bit 0: the contents are one LZ4 block behind the 32-bit length that they unpack to |
//! | 8 | length of the contents as they are here, 32 bits |
//! | 12 | CRC-32 of the 12 bytes above |
//! | 16 | contents |
//! | | CRC-32 of contents and header |
//!
//! The last section, `END `, counts the sections before it and has the CRC-32 of all their CRC-32s, so that
//! none can be missing or in another place. Nothing comes after it.

use super::SnapshotError;
use super::stream::{Broken, Sink, Source};
use alloc::vec::Vec;
use core::fmt;
use crc32fast::Hasher;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// The newest format; all from 1 on are read.
pub const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"nomad86\x1A";
const HEADER: usize = 24;
const SECTION: usize = 16;
/// Longest section. Memory is divided into pieces much smaller than this.
pub const MOST: usize = 8 << 20;
/// Shorter contents are left as they are.
const PACKED_FROM: usize = 256;
/// Flag of a section: its contents are packed.
const PACKED: u16 = 1;
const END: Tag = Tag(*b"END ");

/// Names a section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 4]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.trim_ascii_end().escape_ascii())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Writes an image.
pub struct Writer<'s, S> {
    sink: &'s mut S,
    count: u32,
    sum: Hasher,
    packed: Vec<u8>,
}

impl<'s, S: Sink> Writer<'s, S> {
    /// Writes the header.
    ///
    /// # Errors
    /// When `sink` takes no more.
    pub fn new(sink: &'s mut S) -> Result<Self, Broken> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let sum = crc(&header[..20]);
        header[20..].copy_from_slice(&sum.to_le_bytes());
        sink.write(&header)?;
        Ok(Self { sink, count: 0, sum: Hasher::new(), packed: Vec::new() })
    }

    /// Writes a section, packed if that makes it shorter.
    ///
    /// # Errors
    /// When the sink takes no more, or the section is longer than [`MOST`].
    pub fn section(&mut self, tag: Tag, version: u16, contents: &[u8]) -> Result<(), Broken> {
        if contents.len() < PACKED_FROM || contents.len() > MOST {
            return self.raw(tag, version, 0, contents);
        }
        let mut packed = core::mem::take(&mut self.packed);
        packed.clear();
        packed.extend((contents.len() as u32).to_le_bytes());
        packed.resize(4 + get_maximum_output_size(contents.len()), 0);
        let result = match compress_into(contents, &mut packed[4..]) {
            Ok(len) if 4 + len < contents.len() => self.raw(tag, version, PACKED, &packed[..4 + len]),
            _ => self.raw(tag, version, 0, contents),
        };
        self.packed = packed;
        result
    }

    /// Writes a section as it is.
    pub(super) fn raw(&mut self, tag: Tag, version: u16, flags: u16, contents: &[u8]) -> Result<(), Broken> {
        if contents.len() > MOST {
            return Err(Broken);
        }
        let mut header = [0; SECTION];
        header[..4].copy_from_slice(&tag.0);
        header[4..6].copy_from_slice(&version.to_le_bytes());
        header[6..8].copy_from_slice(&flags.to_le_bytes());
        header[8..12].copy_from_slice(&(contents.len() as u32).to_le_bytes());
        let sum = crc(&header[..12]);
        header[12..].copy_from_slice(&sum.to_le_bytes());
        let sum = section_crc(&header, contents).to_le_bytes();
        self.sink.write(&header)?;
        self.sink.write(contents)?;
        self.sink.write(&sum)?;
        self.count += 1;
        self.sum.update(&sum);
        Ok(())
    }

    /// Writes the end.
    ///
    /// # Errors
    /// When the sink takes no more.
    pub fn finish(mut self) -> Result<(), Broken> {
        let end = end(self.count, self.sum.clone());
        self.raw(END, 1, 0, &end)
    }
}

fn section_crc(header: &[u8; SECTION], contents: &[u8]) -> u32 {
    let mut sum = Hasher::new();
    sum.update(contents);
    sum.update(header);
    sum.finalize()
}

fn end(count: u32, sum: Hasher) -> [u8; 8] {
    let mut end = [0; 8];
    end[..4].copy_from_slice(&count.to_le_bytes());
    end[4..].copy_from_slice(&sum.finalize().to_le_bytes());
    end
}

/// A section that was read.
#[derive(Clone, Copy, Debug)]
pub struct Section<'r> {
    /// Its name.
    pub tag: Tag,
    /// Its version.
    pub version: u16,
    /// What it holds.
    pub contents: &'r [u8],
}

/// Reads an image, checking it on the way.
pub struct Reader<'s, S> {
    source: &'s mut S,
    format: u32,
    count: u32,
    sum: Hasher,
    contents: Vec<u8>,
    unpacked: Vec<u8>,
    ended: bool,
}

impl<'s, S: Source> Reader<'s, S> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is no image, or of an unknown format.
    pub fn new(source: &'s mut S) -> Result<Self, SnapshotError> {
        let mut header = [0; HEADER];
        let found = source.read(&mut header).map_err(|_| SnapshotError::Unreadable)?;
        if found < MAGIC.len() || header[..8] != MAGIC {
            return Err(if header[..found.min(8)] == MAGIC[..found.min(8)] && found > 0 {
                SnapshotError::Cut
            } else {
                SnapshotError::NotAnImage
            });
        }
        if found < HEADER {
            return Err(SnapshotError::Cut);
        }
        if header[20..] != crc(&header[..20]).to_le_bytes() {
            return Err(SnapshotError::Damaged(None));
        }
        let format = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if !(1..=FORMAT).contains(&format) {
            return Err(SnapshotError::Format(format));
        }
        Ok(Self {
            source,
            format,
            count: 0,
            sum: Hasher::new(),
            contents: Vec::new(),
            unpacked: Vec::new(),
            ended: false,
        })
    }

    /// The image's format.
    #[must_use]
    pub const fn format(&self) -> u32 {
        self.format
    }

    fn fill(source: &mut S, buffer: &mut [u8]) -> Result<(), SnapshotError> {
        match source.read(buffer) {
            Ok(n) if n == buffer.len() => Ok(()),
            Ok(_) => Err(SnapshotError::Cut),
            Err(Broken) => Err(SnapshotError::Unreadable),
        }
    }

    /// The next section; `None` once the end was read and found right.
    ///
    /// # Errors
    /// Says how the image is damaged.
    pub fn next_section(&mut self) -> Result<Option<Section<'_>>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let mut header = [0; SECTION];
        Self::fill(self.source, &mut header)?;
        let [t0, t1, t2, t3, v0, v1, f0, f1, l0, l1, l2, l3, ref sum @ ..] = header;
        let tag = Tag([t0, t1, t2, t3]);
        if *sum != crc(&header[..12]).to_le_bytes() {
            return Err(SnapshotError::Damaged(None));
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let flags = u16::from_le_bytes([f0, f1]);
        if len > MOST || flags & !PACKED != 0 {
            return Err(SnapshotError::Malformed { tag, why: "its length or kind" });
        }
        // Room is made as bytes arrive: a length is no reason to take memory.
        self.contents.clear();
        while self.contents.len() < len {
            let at = self.contents.len();
            self.contents.resize(len.min(at + (1 << 20)), 0);
            Self::fill(self.source, &mut self.contents[at..])?;
        }
        let mut sum = [0; 4];
        Self::fill(self.source, &mut sum)?;
        if sum != section_crc(&header, &self.contents).to_le_bytes() {
            return Err(SnapshotError::Damaged(Some(tag)));
        }
        if tag == END {
            if self.contents != end(self.count, self.sum.clone()) {
                return Err(SnapshotError::Damaged(Some(tag)));
            }
            if self.source.read(&mut [0]) != Ok(0) {
                return Err(SnapshotError::Malformed { tag, why: "something comes after it" });
            }
            self.ended = true;
            return Ok(None);
        }
        self.count = self.count.wrapping_add(1);
        self.sum.update(&sum);
        let version = u16::from_le_bytes([v0, v1]);
        if flags & PACKED == 0 {
            return Ok(Some(Section { tag, version, contents: &self.contents }));
        }
        let wrong = SnapshotError::Malformed { tag, why: "it cannot be unpacked" };
        let Some((len, packed)) = self.contents.split_first_chunk() else { return Err(wrong) };
        let len = u32::from_le_bytes(*len) as usize;
        // LZ4 makes at most 255 bytes of one.
        if len > MOST || len / 255 > packed.len() {
            return Err(wrong);
        }
        self.unpacked.resize(len, 0);
        if decompress_into(packed, &mut self.unpacked).ok() != Some(len) {
            return Err(wrong);
        }
        Ok(Some(Section { tag, version, contents: &self.unpacked }))
    }
}
