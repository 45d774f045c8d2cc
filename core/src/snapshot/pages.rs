//! Memory in an image: pieces of up to 256 pages, those full of zeros left out, the rest compressed.
//!
//! | piece | what |
//! |---|---|
//! | 0 | number of its first page, 32 bits |
//! | 4 | a bit for each of 256 pages: set when it is here |
//! | 36 | the pages that are here, one LZ4 block |
//!
//! Pieces come in order. A piece without a page is not written.

use super::SnapshotError;
use super::format::{Section, Tag, Writer};
use super::stream::{Broken, Sink};
use crate::memory::PAGE;
use alloc::vec;
use alloc::vec::Vec;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// Pages in a piece.
const PIECE: usize = 256;
const HEAD: usize = 4 + PIECE / 8;
pub(super) const VERSION: u16 = 1;

/// Buffers that are used for one piece after another.
pub(super) struct Scratch {
    pages: Vec<u8>,
    piece: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { pages: Vec::new(), piece: Vec::new() }
    }
}

fn is_zero(page: &[u8]) -> bool {
    let (words, rest) = page.as_chunks::<64>();
    words.iter().all(|w| *w == [0; 64]) && rest.iter().all(|b| *b == 0)
}

/// Makes memory zero without touching what is.
pub(super) fn clear(memory: &mut [u8]) {
    for page in memory.chunks_mut(PAGE).filter(|page| !is_zero(page)) {
        page.fill(0);
    }
}

/// Writes `memory`, whose last page may be shorter.
pub(super) fn save(
    writer: &mut Writer<'_, impl Sink>,
    tag: Tag,
    memory: &[u8],
    scratch: &mut Scratch,
) -> Result<(), Broken> {
    for (n, piece) in memory.chunks(PIECE * PAGE).enumerate() {
        scratch.pages.clear();
        scratch.piece.clear();
        scratch.piece.resize(HEAD, 0);
        scratch.piece[..4].copy_from_slice(&((n * PIECE) as u32).to_le_bytes());
        for (page, bytes) in piece.chunks(PAGE).enumerate() {
            if !is_zero(bytes) {
                scratch.piece[4 + page / 8] |= 1 << (page & 7);
                scratch.pages.extend_from_slice(bytes);
                scratch.pages.resize(scratch.pages.len().next_multiple_of(PAGE), 0);
            }
        }
        if scratch.pages.is_empty() {
            continue;
        }
        scratch.piece.resize(HEAD + get_maximum_output_size(scratch.pages.len()), 0);
        let len = compress_into(&scratch.pages, &mut scratch.piece[HEAD..]).map_err(|_| Broken)?;
        writer.raw(tag, VERSION, 0, &scratch.piece[..HEAD + len])?;
    }
    Ok(())
}

/// Loads pieces into memory that is zero.
pub(super) struct Loader {
    /// Pages before this one have been loaded or left out.
    next: usize,
}

impl Loader {
    pub(super) const fn new() -> Self {
        Self { next: 0 }
    }

    /// Loads one piece.
    pub(super) fn load(
        &mut self,
        section: Section<'_>,
        memory: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), SnapshotError> {
        let Section { tag, version, contents } = section;
        let wrong = |why| SnapshotError::Malformed { tag, why };
        if version != VERSION {
            return Err(SnapshotError::SectionVersion { tag, found: version, known: VERSION });
        }
        let (head, packed) = contents.split_at_checked(HEAD).ok_or(wrong("it is too short"))?;
        let first = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if first < self.next || !first.is_multiple_of(PIECE) {
            return Err(wrong("its pages are out of order"));
        }
        self.next = first + PIECE;
        let here = |page: usize| head[4 + page / 8] >> (page & 7) & 1 != 0;
        let count = (0..PIECE).filter(|&page| here(page)).count();
        if (0..PIECE).rfind(|&page| here(page)).is_none_or(|last| (first + last) * PAGE >= memory.len()) {
            return Err(wrong("its pages are outside the machine's memory"));
        }
        if scratch.pages.len() < count * PAGE {
            scratch.pages = vec![0; PIECE * PAGE];
        }
        let pages = &mut scratch.pages[..count * PAGE];
        if decompress_into(packed, pages).ok() != Some(pages.len()) {
            return Err(wrong("its pages cannot be unpacked"));
        }
        for (page, bytes) in (0..PIECE).filter(|&page| here(page)).zip(pages.chunks(PAGE)) {
            let at = (first + page) * PAGE;
            let end = (at + PAGE).min(memory.len());
            memory[at..end].copy_from_slice(&bytes[..end - at]);
        }
        Ok(())
    }
}
