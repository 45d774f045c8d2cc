//! Multiboot-1 kernels: 32-bit ELF files, or any format whose header says where it goes ("a.out kludge").
//!
//! Spec: Multiboot Specification 0.6.96; ELF, Intel 386 supplement.
//! Not emulated: video modes, symbol tables, APM and VBE information, drives.

use super::{Part, error};
use crate::bytes::Bytes;
use crate::config::{ConfigError, Kernel};
use alloc::vec::Vec;

const MAGIC: u32 = 0x1BAD_B002;
/// The header lies in this much of the file.
const SEARCH: usize = 8192;
/// Header flags that a loader must know: page-aligned modules, memory information, video (ignored).
const KNOWN: u32 = 0x7;
/// Header flag: the header says where the file goes.
const KLUDGE: u32 = 1 << 16;

/// The lowest address that a kernel may be loaded to: the interrupt vectors, the BIOS's data and the boot
/// stack lie under it.
const LOWEST: u64 = 0x8000;
/// Where the information goes: here, or there if the kernel is in the way.
const INFO: [u32; 3] = [0x8_0000, 0x1_0000, 0x4_0000];
/// Most bytes of information.
const INFO_SIZE: u32 = 0x1_F000;
/// Kept free at the end of memory: firmware puts its tables there.
const TOP: u64 = 256 << 10;

/// Offsets in the information block: its own fields, then what the start-up code and the map need.
pub(super) mod info {
    pub(in crate::boot) const FLAGS: usize = 0x00;
    pub(in crate::boot) const MEM_LOWER: usize = 0x04;
    pub(in crate::boot) const MEM_UPPER: usize = 0x08;
    pub(in crate::boot) const CMDLINE: usize = 0x10;
    pub(in crate::boot) const MODS_COUNT: usize = 0x14;
    pub(in crate::boot) const MODS_ADDR: usize = 0x18;
    pub(in crate::boot) const MMAP_LENGTH: usize = 0x2C;
    pub(in crate::boot) const MMAP_ADDR: usize = 0x30;
    pub(in crate::boot) const BOOT_LOADER_NAME: usize = 0x40;
    /// Memory sizes, command line, modules, map, loader's name.
    pub(in crate::boot) const ALL_FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
    /// Descriptors: null, flat code (08), flat data (10).
    pub(in crate::boot) const GDT: usize = 0x80;
    /// Limit and address for LGDT.
    pub(in crate::boot) const GDTR: usize = 0x98;
    pub(in crate::boot) const MMAP: usize = 0xA0;
    /// Entries of the map that have room.
    pub(in crate::boot) const MMAP_ENTRIES: usize = 33;
    pub(in crate::boot) const STRINGS: usize = MMAP + 24 * MMAP_ENTRIES;
}

/// A multiboot kernel, ready to be loaded.
pub(crate) struct Multiboot {
    /// Loaded parts of the file.
    pub(crate) segments: Vec<Part>,
    /// Ranges that must be zero: address and length.
    pub(crate) zeros: Vec<(u32, u32)>,
    /// Modules.
    pub(crate) modules: Vec<Part>,
    /// The information block, without a memory map.
    pub(crate) info: Part,
    /// Entry point.
    pub(crate) entry: u32,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Offset of the multiboot header in a file.
pub(super) fn find_header(image: &[u8]) -> Option<usize> {
    (0..image.len().min(SEARCH)).step_by(4).find(|&at| {
        let field = |n: usize| word(image, at + 4 * n);
        match (field(0), field(1), field(2)) {
            (Some(MAGIC), Some(flags), Some(sum)) => MAGIC.wrapping_add(flags).wrapping_add(sum) == 0,
            _ => false,
        }
    })
}

/// What the file says: parts of it with their addresses, zeroed ranges, entry.
struct Layout {
    segments: Vec<Part>,
    zeros: Vec<(u32, u32)>,
    entry: u32,
}

impl Layout {
    /// Adds `file` at `at`, followed by zeros up to `size` bytes.
    fn add(&mut self, at: u32, file: &[u8], size: u32, ram: u64) -> Result<(), ConfigError> {
        let end = u64::from(at) + u64::from(size).max(file.len() as u64);
        if u64::from(at) < LOWEST {
            return Err(error("it wants to be loaded under 32 KiB, where the BIOS has its data"));
        }
        if end > ram || (u64::from(at) < 0x10_0000 && end > 0x9_F000 && at < 0x10_0000) {
            return Err(error("it wants to be loaded where there is no memory"));
        }
        if !file.is_empty() {
            self.segments.push(Part { at, data: file.to_vec().into() });
        }
        let rest = size.saturating_sub(file.len() as u32);
        if rest > 0 {
            self.zeros.push((at + file.len() as u32, rest));
        }
        Ok(())
    }

    /// First address after all that is loaded.
    fn end(&self) -> u64 {
        let segments = self.segments.iter().map(|p| u64::from(p.at) + p.data.len() as u64);
        let zeros = self.zeros.iter().map(|z| u64::from(z.0) + u64::from(z.1));
        segments.chain(zeros).max().unwrap_or(0)
    }

    fn overlaps(&self, at: u32, len: u32) -> bool {
        let (first, end) = (u64::from(at), u64::from(at) + u64::from(len));
        let segments = self.segments.iter().map(|p| (u64::from(p.at), p.data.len() as u64));
        let zeros = self.zeros.iter().map(|z| (u64::from(z.0), u64::from(z.1)));
        segments.chain(zeros).any(|(a, l)| a < end && first < a + l)
    }
}

const CUT: &str = "the file is shorter than its headers say: it was cut off";

/// Addresses from the multiboot header itself.
fn kludge(image: &[u8], at: usize, ram: u64) -> Result<Layout, ConfigError> {
    let field = |n: usize| word(image, at + 4 * n).ok_or_else(|| error(CUT));
    let (header, load, load_end, bss_end, entry) = (field(3)?, field(4)?, field(5)?, field(6)?, field(7)?);
    let start = header
        .checked_sub(load)
        .and_then(|back| at.checked_sub(back as usize))
        .ok_or_else(|| error("its multiboot header has addresses that do not fit together"))?;
    let file = match load_end {
        0 => &image[start..],
        end => {
            let len = end.checked_sub(load).ok_or_else(|| error("its load addresses are reversed"))?;
            image.get(start..start.saturating_add(len as usize)).ok_or_else(|| error(CUT))?
        }
    };
    let mut layout = Layout { segments: Vec::new(), zeros: Vec::new(), entry };
    let size = bss_end.saturating_sub(load).max(file.len() as u32);
    layout.add(load, file, size, ram)?;
    Ok(layout)
}

/// Addresses from ELF program headers.
fn elf(image: &[u8], ram: u64) -> Result<Layout, ConfigError> {
    if image.get(..4) != Some(b"\x7FELF") {
        return Err(error("it is neither ELF nor does its multiboot header give load addresses"));
    }
    if image.get(4..6) != Some(&[1, 1]) {
        return Err(error("it is not a 32-bit little-endian ELF file"));
    }
    if half(image, 18) != Some(3) {
        return Err(error("it is not for the 386 family"));
    }
    let cut = || error(CUT);
    let entry = word(image, 24).ok_or_else(cut)?;
    let table = word(image, 28).ok_or_else(cut)? as usize;
    let size = usize::from(half(image, 42).ok_or_else(cut)?);
    let count = usize::from(half(image, 44).ok_or_else(cut)?);
    if size < 32 {
        return Err(error("its program headers are too small"));
    }
    let mut layout = Layout { segments: Vec::new(), zeros: Vec::new(), entry };
    for n in 0..count {
        let header = table.checked_add(n * size).ok_or_else(cut)?;
        let field = |i: usize| word(image, header.saturating_add(4 * i)).ok_or_else(cut);
        // Only PT_LOAD.
        if field(0)? != 1 {
            continue;
        }
        let (offset, virtual_, physical, in_file, in_memory) =
            (field(1)? as usize, field(2)?, field(3)?, field(4)?, field(5)?);
        let file = image.get(offset..offset.saturating_add(in_file as usize)).ok_or_else(cut)?;
        layout.add(physical, file, in_memory.max(in_file), ram)?;
        // The entry may be given as a virtual address.
        if entry.wrapping_sub(virtual_) < in_memory {
            layout.entry = entry.wrapping_sub(virtual_).wrapping_add(physical);
        }
    }
    if layout.segments.is_empty() {
        return Err(error("it has no segments to load"));
    }
    Ok(layout)
}

/// Takes a kernel file apart for `ram` bytes of memory.
pub(super) fn plan(kernel: &Kernel, ram: usize) -> Result<Multiboot, ConfigError> {
    let image = &kernel.image[..];
    let ram = (ram as u64).saturating_sub(TOP);
    let header = find_header(image).ok_or_else(|| error("it has no multiboot header"))?;
    let flags = word(image, header + 4).unwrap_or(0);
    if flags & 0xFFFF & !KNOWN != 0 {
        return Err(error("it demands multiboot features that are unknown"));
    }
    let layout = if flags & KLUDGE != 0 { kludge(image, header, ram)? } else { elf(image, ram)? };
    let mut files: Vec<(&Bytes, &str)> = Vec::new();
    if let Some(initrd) = &kernel.initrd {
        files.push((initrd, ""));
    }
    files.extend(kernel.modules.iter().map(|(data, text)| (data, text.as_str())));
    let mut at = layout.end().max(0x10_0000);
    let mut modules = Vec::new();
    for (data, _) in &files {
        at = at.next_multiple_of(4096);
        if at + data.len() as u64 > ram {
            return Err(error("its modules do not fit into memory: give a larger -m"));
        }
        modules.push(Part { at: at as u32, data: (*data).clone() });
        at += data.len() as u64;
    }
    let texts: Vec<&str> = files.iter().map(|f| f.1).collect();
    let place = INFO.into_iter().find(|&at| !layout.overlaps(at, INFO_SIZE));
    let place = place.ok_or_else(|| error("it leaves no room for boot information under 640 KiB"))?;
    let info = information(place, ram, &kernel.command_line, &modules, &texts)?;
    Ok(Multiboot { segments: layout.segments, zeros: layout.zeros, modules, info, entry: layout.entry })
}

/// The information block, with the code's descriptors and room for a memory map.
fn information(
    at: u32,
    ram: u64,
    command_line: &str,
    modules: &[Part],
    texts: &[&str],
) -> Result<Part, ConfigError> {
    let mut data = alloc::vec![0_u8; info::STRINGS];
    let put = |data: &mut Vec<u8>, offset: usize, value: u32| {
        data[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    };
    let string = |data: &mut Vec<u8>, text: &str| {
        let place = at + data.len() as u32;
        data.extend(text.as_bytes());
        data.push(0);
        place
    };
    put(&mut data, info::FLAGS, info::ALL_FLAGS);
    put(&mut data, info::MEM_LOWER, 639);
    put(&mut data, info::MEM_UPPER, (ram.saturating_sub(0x10_0000) >> 10) as u32);
    let place = string(&mut data, command_line);
    put(&mut data, info::CMDLINE, place);
    let place = string(&mut data, "nomad86");
    put(&mut data, info::BOOT_LOADER_NAME, place);
    put(&mut data, info::MODS_COUNT, modules.len() as u32);
    let texts: Vec<u32> = texts.iter().map(|text| string(&mut data, text)).collect();
    data.resize(data.len().next_multiple_of(4), 0);
    let list = at + data.len() as u32;
    put(&mut data, info::MODS_ADDR, list);
    for (module, text) in modules.iter().zip(texts) {
        for value in [module.at, module.at + module.data.len() as u32, text, 0] {
            data.extend(value.to_le_bytes());
        }
    }
    put(&mut data, info::MMAP_ADDR, at + info::MMAP as u32);
    // Flat segments, marked as accessed: the table may be read-only.
    data[info::GDT + 8..info::GDT + 16].copy_from_slice(&[0xFF, 0xFF, 0, 0, 0, 0x9B, 0xCF, 0]);
    data[info::GDT + 16..info::GDT + 24].copy_from_slice(&[0xFF, 0xFF, 0, 0, 0, 0x93, 0xCF, 0]);
    data[info::GDTR..info::GDTR + 2].copy_from_slice(&23_u16.to_le_bytes());
    put(&mut data, info::GDTR + 2, at + info::GDT as u32);
    if data.len() > INFO_SIZE as usize {
        return Err(error("its command lines are too long"));
    }
    Ok(Part { at, data: data.into() })
}

impl Multiboot {
    /// Fills in the memory map, for a machine without a BIOS that would tell it.
    pub(super) fn set_map(&mut self, map: &[crate::firmware::E820Entry]) {
        let data = self.info.data.make_mut();
        let mut at = info::MMAP;
        for &(start, len, kind) in map.iter().take(info::MMAP_ENTRIES) {
            data[at..at + 4].copy_from_slice(&20_u32.to_le_bytes());
            data[at + 4..at + 12].copy_from_slice(&start.to_le_bytes());
            data[at + 12..at + 20].copy_from_slice(&len.to_le_bytes());
            data[at + 20..at + 24].copy_from_slice(&(kind as u32).to_le_bytes());
            at += 24;
            if start == 0x10_0000 {
                data[info::MEM_UPPER..info::MEM_UPPER + 4]
                    .copy_from_slice(&((len >> 10) as u32).to_le_bytes());
            }
        }
        let len = (at - info::MMAP) as u32;
        data[info::MMAP_LENGTH..info::MMAP_LENGTH + 4].copy_from_slice(&len.to_le_bytes());
    }
}
