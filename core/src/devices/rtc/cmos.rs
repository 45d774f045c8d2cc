//! What a PC's set-up program would have left in the CMOS RAM.
//!
//! Spec: IBM PC AT Technical Reference, "CMOS RAM address map"; SeaBIOS and Bochs BIOS for the bytes beyond.

use crate::config::{BootDevice, Config, IdeSlot};
use crate::devices::floppy::DriveType;
use crate::host::Drives;

const FLOPPY_TYPES: usize = 0x10;
const DISK_TYPES: usize = 0x12;
const EQUIPMENT: usize = 0x14;
/// Conventional memory in KiB, 16 bits.
const BASE_MEMORY: usize = 0x15;
/// Memory above 1 MiB in KiB, up to 64 MiB; once as set up and once as found.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
/// Memory above 16 MiB in units of 64 KiB.
const HIGH_MEMORY: usize = 0x34;
/// Types above 14 of the two disks of the first channel, and their user-defined geometries.
const DISK_TYPE: [usize; 2] = [0x19, 0x1A];
const DISK_GEOMETRY: [usize; 2] = [0x1B, 0x24];
/// Sum of bytes 10h–2Dh, high byte first.
const CHECKSUM: usize = 0x2E;
/// Third boot device in the high nibble.
const BOOT_THIRD: usize = 0x38;
/// Geometry translation, two bits a disk.
const TRANSLATION: usize = 0x39;
/// First boot device in the low nibble, second in the high one.
const BOOT_FIRST: usize = 0x3D;

/// The user-defined type.
const USER_TYPE: u8 = 47;

const fn boot_code(device: BootDevice) -> u8 {
    match device {
        BootDevice::Floppy => 1,
        BootDevice::Disk => 2,
        BootDevice::Cdrom => 3,
        BootDevice::Network => 4,
    }
}

/// The order when the configuration gives none: whatever has a boot sector.
const DEFAULT_ORDER: [BootDevice; 3] = [BootDevice::Disk, BootDevice::Floppy, BootDevice::Cdrom];

/// RAM for a machine.
pub(super) fn contents(config: &Config) -> [u8; 128] {
    let mut ram = [0; 128];
    let mut word = |at: usize, value: usize| {
        ram[at] = value as u8;
        ram[at + 1] = (value >> 8) as u8;
    };
    word(BASE_MEMORY, 640);
    let kib = config.memory >> 10;
    for at in EXTENDED_MEMORY {
        word(at, kib.saturating_sub(1024).min(0xFFFF));
    }
    word(HIGH_MEMORY, (config.memory.saturating_sub(16 << 20) >> 16).min(0xFFFF));

    let floppies = config.floppies.min(2);
    const USUAL: u8 = DriveType::D1440 as u8;
    ram[FLOPPY_TYPES] = match floppies {
        0 => 0,
        1 => USUAL << 4,
        _ => USUAL << 4 | USUAL,
    };
    // Coprocessor and PS/2 mouse; drives less one in the top bits.
    ram[EQUIPMENT] = 0x06
        | match floppies {
            0 => 0,
            1 => 0x01,
            _ => 0x41,
        };
    for (n, high) in [(0, true), (1, false)] {
        if config.ide[n] == IdeSlot::Disk {
            ram[DISK_TYPES] |= if high { 0xF0 } else { 0x0F };
            ram[DISK_TYPE[n]] = USER_TYPE;
        }
    }

    let order = if config.boot.is_empty() { &DEFAULT_ORDER[..] } else { &config.boot };
    let mut codes = order.iter().map(|&device| boot_code(device));
    ram[BOOT_FIRST] = codes.next().unwrap_or(0);
    ram[BOOT_FIRST] |= codes.next().unwrap_or(0) << 4;
    ram[BOOT_THIRD] = codes.next().unwrap_or(0) << 4;
    checksum(&mut ram);
    ram
}

/// Adds the geometries of the disks that are in the machine, and the types of floppy drives that fit the
/// floppies in them.
pub(super) fn describe_disks(ram: &mut [u8; 128], drives: &Drives) {
    for (disk, shift) in drives.floppy.iter().zip([4, 0]) {
        let fitting = disk.as_ref().and_then(|disk| DriveType::for_medium(disk.as_ref()));
        let present = ram[FLOPPY_TYPES] >> shift & 0x0F != 0;
        if let Some(kind) = fitting.filter(|_| present) {
            ram[FLOPPY_TYPES] = ram[FLOPPY_TYPES] & !(0x0F << shift) | (kind as u8) << shift;
        }
    }
    for (n, disk) in drives.ide.iter().enumerate() {
        let Some(disk) = disk else { continue };
        let cylinders = (disk.sectors() / (16 * 63)).min(16_383) as u16;
        if cylinders > 1024 {
            // Beyond what the firmware interface can count: LBA-assisted.
            ram[TRANSLATION] |= 1 << (2 * n);
        }
        if n < 2 && ram[DISK_TYPE[n]] == USER_TYPE {
            let [low, high] = cylinders.to_le_bytes();
            let geometry = [low, high, 16, 0xFF, 0xFF, 0xC8, low, high, 63];
            ram[DISK_GEOMETRY[n]..DISK_GEOMETRY[n] + 9].copy_from_slice(&geometry);
        }
    }
    checksum(ram);
}

fn checksum(ram: &mut [u8; 128]) {
    let sum: u16 = ram[0x10..CHECKSUM].iter().map(|&byte| u16::from(byte)).sum();
    ram[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}
