//! Linux kernels (bzImage): what of the file goes where, and the header that the kernel reads.
//!
//! Spec: Linux, Documentation/arch/x86/boot.rst, protocols 2.02 to 2.15.
//! Not emulated: zImage (loaded under 640 KiB), protocols before 2.02 (kernels before 2.4.0), EFI handover,
//! 64-bit entry.

use super::{Part, error};
use crate::config::{ConfigError, Kernel};
use alloc::vec::Vec;

/// Real-mode part (and the kernel's stack) when a BIOS is there; boot parameters otherwise.
pub(super) const SETUP: u32 = 0x1_0000;
/// Command line.
pub(super) const COMMAND_LINE: u32 = 0x2_0000;
/// Where the protected-mode part is loaded.
pub(super) const KERNEL: u32 = 0x10_0000;
/// Stack pointer in the set-up segment.
pub(super) const STACK: u16 = 0xFFF0;
/// Kept free at the end of memory: firmware puts its tables there.
const TOP: u64 = 256 << 10;
/// Longest command line: up to the next part in low memory.
const LONGEST_COMMAND_LINE: usize = 0x1_0000;

/// Offsets in the set-up header.
mod header {
    pub(super) const SETUP_SECTS: usize = 0x1F1;
    pub(super) const SYSSIZE: usize = 0x1F4;
    pub(super) const BOOT_FLAG: usize = 0x1FE;
    pub(super) const JUMP: usize = 0x201;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const VERSION: usize = 0x206;
    pub(super) const TYPE_OF_LOADER: usize = 0x210;
    pub(super) const LOADFLAGS: usize = 0x211;
    pub(super) const CODE32_START: usize = 0x214;
    pub(super) const RAMDISK_IMAGE: usize = 0x218;
    pub(super) const RAMDISK_SIZE: usize = 0x21C;
    pub(super) const HEAP_END_PTR: usize = 0x224;
    pub(super) const CMD_LINE_PTR: usize = 0x228;
    pub(super) const INITRD_ADDR_MAX: usize = 0x22C;
    pub(super) const CMDLINE_SIZE: usize = 0x238;
    pub(super) const INIT_SIZE: usize = 0x260;
    pub(super) const END: usize = 0x268;
    /// LOADFLAGS: the protected-mode part belongs at 1 MiB.
    pub(super) const LOADED_HIGH: u8 = 1 << 0;
    /// LOADFLAGS: HEAP_END_PTR is valid.
    pub(super) const CAN_USE_HEAP: u8 = 1 << 7;
}

/// A Linux kernel, ready to be loaded.
pub(crate) struct Linux {
    /// Real-mode part with its header filled in.
    pub(crate) setup: Part,
    /// Protected-mode part.
    pub(crate) kernel: Part,
    /// Initial RAM disk.
    pub(crate) initrd: Option<Part>,
    /// Command line with its final zero.
    pub(crate) command_line: Part,
}

/// Whether a file says that it is a Linux kernel.
pub(super) fn is_linux(image: &[u8]) -> bool {
    image.get(header::MAGIC..header::MAGIC + 4) == Some(b"HdrS")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|n| bytes.get(at + n).copied().unwrap_or(0)))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + value.len()) {
        to.copy_from_slice(value);
    }
}

/// Takes a kernel file apart for `ram` bytes of memory.
pub(super) fn plan(kernel: &Kernel, ram: usize) -> Result<Linux, ConfigError> {
    let image = &kernel.image[..];
    if image.len() < header::END {
        return Err(error("the file is too short for a Linux set-up header"));
    }
    if image[header::BOOT_FLAG..header::BOOT_FLAG + 2] != [0x55, 0xAA] {
        return Err(error("it has no boot flag 55 AA at the end of its first sector"));
    }
    let version = word(image, header::VERSION) as u16;
    if version < 0x0202 {
        return Err(error("its Linux boot protocol is older than 2.02"));
    }
    if image[header::LOADFLAGS] & header::LOADED_HIGH == 0 {
        return Err(error("it is a zImage, which loads low; build a bzImage"));
    }
    let sectors = match image[header::SETUP_SECTS] {
        0 => 4,
        n => usize::from(n),
    };
    let setup_len = (sectors + 1) * 512;
    let Some((setup, kernel_part)) = image.split_at_checked(setup_len) else {
        return Err(error("the file ends within its set-up code"));
    };
    if setup_len > 0x8000 {
        return Err(error("its set-up code is longer than 32 KiB"));
    }
    if kernel_part.is_empty() {
        return Err(error("the file ends where the kernel proper should begin"));
    }
    // In units of 16 bytes; since 2.04 all 32 bits count. A signature may follow.
    let size = u64::from(word(image, header::SYSSIZE)) * 16;
    if version >= 0x0204 && size > kernel_part.len() as u64 + 15 {
        return Err(error("the file is shorter than its header says: it was cut off"));
    }
    let ram = ram as u64;
    let needed = if version >= 0x020A {
        u64::from(word(image, header::INIT_SIZE)).max(kernel_part.len() as u64)
    } else {
        kernel_part.len() as u64
    };
    if u64::from(KERNEL) + needed + TOP > ram {
        return Err(error("it needs more memory than the machine has: give a larger -m"));
    }
    let command_line = command_line(&kernel.command_line, image, version)?;
    let initrd = match &kernel.initrd {
        Some(initrd) if !initrd.is_empty() => {
            let at = place_initrd(initrd.len() as u64, needed, image, version, ram)?;
            Some(Part { at, data: initrd.clone() })
        }
        _ => None,
    };
    let mut setup = setup.to_vec();
    let (at, len) = initrd.as_ref().map_or((0, 0), |part| (part.at, part.data.len() as u32));
    // Undefined loader type.
    put(&mut setup, header::TYPE_OF_LOADER, &[0xFF]);
    setup[header::LOADFLAGS] |= header::CAN_USE_HEAP;
    put(&mut setup, header::HEAP_END_PTR, &0xDE00_u16.to_le_bytes());
    put(&mut setup, header::RAMDISK_IMAGE, &at.to_le_bytes());
    put(&mut setup, header::RAMDISK_SIZE, &len.to_le_bytes());
    put(&mut setup, header::CMD_LINE_PTR, &COMMAND_LINE.to_le_bytes());
    Ok(Linux {
        setup: Part { at: SETUP, data: setup.into() },
        kernel: Part { at: KERNEL, data: kernel.image.part(setup_len..image.len()) },
        initrd,
        command_line,
    })
}

fn command_line(text: &str, image: &[u8], version: u16) -> Result<Part, ConfigError> {
    let longest = if version >= 0x0206 { word(image, header::CMDLINE_SIZE) as usize } else { 255 };
    if text.len() > longest.min(LONGEST_COMMAND_LINE - 1) {
        return Err(error("its command line is longer than it takes"));
    }
    let mut data = text.as_bytes().to_vec();
    data.push(0);
    Ok(Part { at: COMMAND_LINE, data: data.into() })
}

/// As high as memory and the kernel permit, on a page.
fn place_initrd(len: u64, kernel: u64, image: &[u8], version: u16, ram: u64) -> Result<u32, ConfigError> {
    let max = if version >= 0x0203 { u64::from(word(image, header::INITRD_ADDR_MAX)) } else { 0x37FF_FFFF };
    let end = (ram - TOP).min(max + 1);
    match end.checked_sub(len).map(|at| at & !0xFFF) {
        Some(at) if at >= u64::from(KERNEL) + kernel => Ok(at as u32),
        _ => Err(error("the initial RAM disk does not fit into memory beside it: give a larger -m")),
    }
}

impl Linux {
    /// The boot parameters ("zero page") for the 32-bit entry, with the memory map and the address of the
    /// ACPI root pointer.
    pub(super) fn boot_parameters(&self, map: &[crate::firmware::E820Entry], rsdp: u32) -> Vec<u8> {
        let mut page = alloc::vec![0_u8; 4096];
        let setup = &self.setup.data;
        // The header ends where the jump at its beginning lands.
        let end =
            (header::MAGIC + usize::from(setup[header::JUMP])).clamp(header::END, 0x290).min(setup.len());
        page[header::SETUP_SECTS..end].copy_from_slice(&setup[header::SETUP_SECTS..end]);
        put(&mut page, header::CODE32_START, &KERNEL.to_le_bytes());
        // Screen: VGA text, 80 by 25, 16 scan lines a character.
        put(&mut page, 0x06, &[3, 80]);
        put(&mut page, 0x0E, &[25, 1, 16, 0]);
        put(&mut page, 0x70, &u64::from(rsdp).to_le_bytes());
        let high = map.iter().find(|e| e.0 == 0x10_0000).map_or(0, |e| e.1 >> 10);
        // Memory above 1 MiB in KiB, the old way.
        put(&mut page, 0x02, &(high.min(0xFC00) as u16).to_le_bytes());
        put(&mut page, 0x1E0, &(high as u32).to_le_bytes());
        page[0x1E8] = map.len().min(128) as u8;
        for (n, &(at, len, kind)) in map.iter().take(128).enumerate() {
            let entry = 0x2D0 + 20 * n;
            put(&mut page, entry, &at.to_le_bytes());
            put(&mut page, entry + 8, &len.to_le_bytes());
            put(&mut page, entry + 16, &(kind as u32).to_le_bytes());
        }
        page
    }
}
