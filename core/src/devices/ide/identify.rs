//! IDENTIFY DEVICE and IDENTIFY PACKET DEVICE: 256 words about the drive.
//!
//! Spec: ATA/ATAPI-6, 8.15 and 8.16.

use super::drive::{Drive, MAX_MULTIPLE};

type Words = [u16; 256];

/// A string in ATA order: two characters to a word, the first in the high byte, padded with blanks.
fn text(words: &mut [u16], text: &str) {
    let mut bytes = text.bytes().chain(core::iter::repeat(b' '));
    for word in words {
        let (high, low) = (bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' '));
        *word = u16::from_be_bytes([high, low]);
    }
}

/// Serial number of the drive in slot `number`.
pub(super) const fn serial(number: u8) -> &'static str {
    match number & 3 {
        0 => "NM86-00001",
        1 => "NM86-00002",
        2 => "NM86-00003",
        _ => "NM86-00004",
    }
}

pub(super) const FIRMWARE: &str = "1.0";

fn names(w: &mut Words, model: &str, number: u8) {
    text(&mut w[10..20], serial(number));
    text(&mut w[23..27], FIRMWARE);
    text(&mut w[27..47], model);
}

/// Transfer modes: multiword DMA in word 63, Ultra DMA in word 88, the one in use in the high byte.
fn modes(w: &mut Words, mode: u8) {
    w[53] |= 0b110;
    w[63] = 0x07 | if mode >> 3 == 4 { 1 << (8 + (mode & 7)) } else { 0 };
    w[64] = 0x03;
    w[65] = 120;
    w[66] = 120;
    w[67] = 120;
    w[68] = 120;
    w[88] = 0x3F | if mode >> 3 == 8 { 1 << (8 + (mode & 7)) } else { 0 };
}

/// Signature and checksum of word 255.
fn seal(w: &mut Words) {
    let sum = w[..255].iter().fold(0xA5u8, |sum, word| {
        let [low, high] = word.to_le_bytes();
        sum.wrapping_add(low).wrapping_add(high)
    });
    w[255] = u16::from_le_bytes([0xA5, sum.wrapping_neg()]);
}

/// Sets the low and high words of a 32-bit number.
fn dword(w: &mut Words, at: usize, value: u32) {
    w[at] = value as u16;
    w[at + 1] = (value >> 16) as u16;
}

/// A disk's.
pub(super) fn disk(d: &Drive, number: u8) -> Words {
    let mut w = [0; 256];
    w[0] = 0x0040;
    w[1] = d.cylinders;
    w[3] = d.heads.into();
    w[4] = 512u16.wrapping_mul(d.spt.into());
    w[5] = 512;
    w[6] = d.spt.into();
    w[20] = 3;
    w[21] = 512;
    w[22] = 4;
    names(&mut w, "Nomad86 HARDDISK", number);
    w[47] = 0x8000 | u16::from(MAX_MULTIPLE);
    w[48] = 1;
    // IORDY, LBA and DMA.
    w[49] = 0x0F00;
    w[50] = 0x4000;
    w[51] = 0x0200;
    w[52] = 0x0200;
    w[53] = 0b001;
    let (cylinders, sectors) = d.chs_capacity();
    w[54] = cylinders;
    w[55] = d.current_heads.into();
    w[56] = d.current_spt.into();
    dword(&mut w, 57, sectors);
    w[59] = if d.multiple == 0 { 0 } else { 0x0100 | u16::from(d.multiple) };
    dword(&mut w, 60, d.lba28_capacity());
    modes(&mut w, d.mode);
    w[80] = 0x007E;
    w[81] = 0x0022;
    // SMART, power management, write cache, look-ahead, NOP.
    w[82] = 0x4069;
    // FLUSH CACHE (EXT), 48-bit addresses.
    w[83] = 0x4000 | 1 << 13 | 1 << 12 | 1 << 10;
    // SMART error log and self-test, FUA.
    w[84] = 0x4000 | 1 << 6 | 0b11;
    w[85] = w[82] & !0x61 | u16::from(d.smart) | u16::from(d.write_cache) << 5 | u16::from(d.look_ahead) << 6;
    w[86] = w[83] & 0x3FFF;
    w[87] = w[84];
    // Result of the reset: an 80-conductor cable; which device, found by jumper.
    w[93] = 0x6000 | if number & 1 == 0 { 0x0003 } else { 0x0300 };
    dword(&mut w, 100, d.sectors as u32);
    dword(&mut w, 102, (d.sectors >> 32) as u32 & 0xFFFF);
    seal(&mut w);
    w
}

/// Name of the CD-ROM drive.
pub(super) const CDROM: &str = "Nomad86 CD-ROM";

/// A CD-ROM drive's.
pub(super) fn cdrom(d: &Drive, number: u8) -> Words {
    let mut w = [0; 256];
    // CD-ROM, removable, DRQ within 50 µs of PACKET, 12-byte packets.
    w[0] = 0x85C0;
    w[21] = 512;
    names(&mut w, CDROM, number);
    w[48] = 1;
    w[49] = 0x0F00;
    w[51] = 0x0200;
    w[52] = 0x0200;
    modes(&mut w, d.mode);
    w[71] = 30;
    w[72] = 30;
    w[80] = 0x007E;
    w[81] = 0x0022;
    // PACKET, power management, DEVICE RESET, NOP.
    w[82] = 0x4218;
    w[83] = 0x4000;
    w[84] = 0x4000;
    w[85] = w[82];
    w[87] = w[84];
    w[93] = 0x6000 | if number & 1 == 0 { 0x0003 } else { 0x0300 };
    seal(&mut w);
    w
}
