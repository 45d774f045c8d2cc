//! What the loader tells: memory, command line, modules, framebuffer.
//!
//! Spec: Multiboot Specification 0.6.96, 3.3.
#![allow(unsafe_code)]

use crate::physical;
use core::ops::Range;

mod info {
    pub(super) const SIZE: usize = 116;
    pub(super) const FLAGS: usize = 0;
    pub(super) const CMDLINE: usize = 16;
    pub(super) const MODS_COUNT: usize = 20;
    pub(super) const MODS_ADDR: usize = 24;
    pub(super) const MMAP_LENGTH: usize = 44;
    pub(super) const MMAP_ADDR: usize = 48;
    pub(super) const FRAMEBUFFER_ADDR: usize = 88;
    pub(super) const FRAMEBUFFER_PITCH: usize = 96;
    pub(super) const FRAMEBUFFER_WIDTH: usize = 100;
    pub(super) const FRAMEBUFFER_HEIGHT: usize = 104;
    pub(super) const FRAMEBUFFER_BPP: usize = 108;
    pub(super) const FRAMEBUFFER_TYPE: usize = 109;
    pub(super) const COLOR_INFO: usize = 110;
}

/// Bits of `FLAGS`.
mod flag {
    pub(super) const CMDLINE: u32 = 1 << 2;
    pub(super) const MODS: u32 = 1 << 3;
    pub(super) const MMAP: u32 = 1 << 6;
    pub(super) const FRAMEBUFFER: u32 = 1 << 12;
}

/// The information block.
#[derive(Clone, Copy)]
pub(crate) struct Info {
    block: &'static [u8],
    at: u64,
}

/// A file that the loader has put into memory.
#[derive(Clone, Copy)]
pub(crate) struct Module {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) line: &'static str,
}

/// Pixels that the loader has set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearFramebuffer {
    pub(crate) address: u64,
    pub(crate) pitch: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) bpp: u8,
    /// Lowest bit of red, green and blue.
    pub(crate) shifts: [u8; 3],
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

impl Info {
    /// The block at `at`.
    ///
    /// # Safety
    /// A multiboot loader has put it there, and nobody has written to it or to what it points to.
    pub(crate) unsafe fn new(at: u32) -> Self {
        let at = u64::from(at);
        // SAFETY: the caller's promise.
        Self { block: unsafe { physical::bytes(at, info::SIZE) }, at }
    }

    fn word(&self, at: usize) -> u32 {
        word(self.block, at)
    }

    fn has(&self, flag: u32) -> bool {
        self.word(info::FLAGS) & flag != 0
    }

    /// A range that the block describes by address and length.
    fn part(&self, flag: u32, address: usize, len: u32) -> &'static [u8] {
        if !self.has(flag) {
            return &[];
        }
        // SAFETY: the block was left by a loader (`new`).
        unsafe { physical::bytes(self.word(address).into(), len as usize) }
    }

    /// The command line.
    pub(crate) fn command_line(&self) -> &'static str {
        if !self.has(flag::CMDLINE) {
            return "";
        }
        // SAFETY: as above.
        unsafe { physical::string(self.word(info::CMDLINE).into()) }
    }

    /// The modules.
    pub(crate) fn modules(&self) -> impl Iterator<Item = Module> + use<> {
        let list = self.part(flag::MODS, info::MODS_ADDR, self.word(info::MODS_COUNT) * 16);
        list.chunks_exact(16).map(|entry| {
            let line = word(entry, 8);
            Module {
                start: word(entry, 0).into(),
                end: word(entry, 4).into(),
                // SAFETY: as above.
                line: if line == 0 { "" } else { unsafe { physical::string(line.into()) } },
            }
        })
    }

    /// Ranges of RAM.
    pub(crate) fn memory(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let mut map = self.part(flag::MMAP, info::MMAP_ADDR, self.word(info::MMAP_LENGTH));
        core::iter::from_fn(move || {
            loop {
                if map.len() < 24 {
                    return None;
                }
                // The size does not count itself.
                let size = word(map, 0) as usize + 4;
                let (start, len, kind) = (long(map, 4), long(map, 12), word(map, 20));
                map = map.get(size..).unwrap_or_default();
                if kind == 1 {
                    return Some(start..start.saturating_add(len));
                }
            }
        })
    }

    /// Everything that the loader has left and that must stay: what is called with each range.
    pub(crate) fn reserved(&self, mut visit: impl FnMut(Range<u64>)) {
        let range = |bytes: &[u8]| bytes.as_ptr() as u64..bytes.as_ptr() as u64 + bytes.len() as u64;
        visit(self.at..self.at + info::SIZE as u64);
        visit(range(self.part(flag::MODS, info::MODS_ADDR, self.word(info::MODS_COUNT) * 16)));
        visit(range(self.part(flag::MMAP, info::MMAP_ADDR, self.word(info::MMAP_LENGTH))));
        visit(range(self.command_line().as_bytes()));
        for module in self.modules() {
            visit(range(module.line.as_bytes()));
            visit(module.start..module.end);
        }
    }

    /// The framebuffer, if there is one with direct colour.
    pub(crate) fn framebuffer(&self) -> Option<LinearFramebuffer> {
        let byte = |at: usize| self.block.get(at).copied().unwrap_or(0);
        if !self.has(flag::FRAMEBUFFER) || byte(info::FRAMEBUFFER_TYPE) != 1 {
            return None;
        }
        Some(LinearFramebuffer {
            address: long(self.block, info::FRAMEBUFFER_ADDR),
            pitch: self.word(info::FRAMEBUFFER_PITCH) as usize,
            width: self.word(info::FRAMEBUFFER_WIDTH) as usize,
            height: self.word(info::FRAMEBUFFER_HEIGHT) as usize,
            bpp: byte(info::FRAMEBUFFER_BPP),
            shifts: [0, 2, 4].map(|n| byte(info::COLOR_INFO + n)),
        })
    }
}

impl Module {
    /// Its contents, which nobody else has: a module is taken once.
    pub(crate) fn take(self) -> &'static mut [u8] {
        let len = self.end.saturating_sub(self.start) as usize;
        // SAFETY: the loader has put a file there, the heap leaves it out, and `options` takes each one once.
        unsafe { physical::bytes_mut(self.start, len) }
    }
}
