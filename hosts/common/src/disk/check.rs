//! What an image is: formats of others, and whether a CD or floppy can be started from.
//!
//! Spec: ECMA-119 (volume descriptors); El Torito 1.0; FAT's BIOS parameter block.

use super::overlay::MAGIC;
use super::{DiskFileError, DriveSpec, Interface, Media, SECTOR};
use nomad86::devices::floppy::Format;
use nomad86::host::Disk;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::task::Poll;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ours.
    Overlay,
    /// Nothing known: a disk's bytes.
    Raw,
    /// Of another program or packed, with what to do about it.
    Foreign(&'static str),
}

/// Recognises a file by its first bytes.
///
/// # Errors
/// When it cannot be read.
pub fn recognise(path: &Path) -> Result<Kind, DiskFileError> {
    if path.is_dir() {
        return Err(DiskFileError::Directory(path.into()));
    }
    let mut start = Vec::new();
    let mut file = File::open(path).map_err(DiskFileError::io(path, "open"))?;
    file.by_ref().take(512).read_to_end(&mut start).map_err(DiskFileError::io(path, "read"))?;
    const CONVERT: [(&[u8], usize, &str); 5] = [
        (b"QFI\xFB", 0, "a qcow2 image: make a raw one of it with qemu-img convert -O raw"),
        (b"KDMV", 0, "a VMDK image: make a raw one of it with qemu-img convert -O raw"),
        (b"vhdxfile", 0, "a VHDX image: make a raw one of it with qemu-img convert -O raw"),
        (b"conectix", 0, "a VHD image that grows: make a raw one of it with qemu-img convert -O raw"),
        (b"\x7F\x10\xDA\xBE", 0x40, "a VDI image: make a raw one of it with qemu-img convert -O raw"),
    ];
    const UNPACK: [(&[u8], &str); 6] = [
        (b"\x1F\x8B\x08", "packed: unpack it with gzip -d first"),
        (b"\xFD7zXZ\0", "packed: unpack it with xz -d first"),
        (b"BZh", "packed: unpack it with bzip2 -d first"),
        (b"\x28\xB5\x2F\xFD", "packed: unpack it with zstd -d first"),
        (b"PK\x03\x04", "a zip archive: unpack it with unzip first"),
        (b"7z\xBC\xAF\x27\x1C", "a 7z archive: unpack it first"),
    ];
    if start.starts_with(MAGIC) {
        return Ok(Kind::Overlay);
    }
    for (magic, at, what) in CONVERT {
        if start.get(at..).is_some_and(|s| s.starts_with(magic)) {
            return Ok(Kind::Foreign(what));
        }
    }
    for (magic, what) in UNPACK {
        if start.starts_with(magic) {
            return Ok(Kind::Foreign(what));
        }
    }
    Ok(Kind::Raw)
}

/// What strikes the eye about an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// There is nothing in it.
    Empty,
    /// It cannot be read at this sector.
    Unreadable(u64),
    /// No volume descriptor where a CD has one.
    NoVolume,
    /// The name of the volume.
    Volume(String),
    /// The volume says that it is longer than the image: sectors of 2048 bytes it should and does have.
    CutOff(u64, u64),
    /// The CD cannot be started from.
    NoBoot,
    /// The CD's boot record is wrong, and how.
    BadBoot(&'static str),
    /// The CD can be started from: kind of emulation.
    Boot(&'static str),
    /// No floppy has this number of sectors.
    FloppySize(u64),
    /// The floppy's boot sector lacks its mark.
    NoFloppyBoot,
    /// The floppy's file system has this many sectors, and the image that many.
    FloppyMismatch(u64, u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the image is empty"),
            Self::Unreadable(lba) => write!(f, "sector {lba} cannot be read"),
            Self::NoVolume => write!(f, "no CD file system: sector 16 has no volume descriptor"),
            Self::Volume(name) => write!(f, "volume '{name}'"),
            Self::CutOff(should, does) => {
                write!(f, "cut off: the volume has {should} blocks of 2048 bytes, the image {does}")
            }
            Self::NoBoot => write!(f, "not for starting from: no El Torito boot record"),
            Self::BadBoot(how) => write!(f, "cannot be started from: {how}"),
            Self::Boot(kind) => write!(f, "can be started from ({kind})"),
            Self::FloppySize(n) => write!(f, "{n} sectors: no floppy has that many"),
            Self::NoFloppyBoot => write!(f, "cannot be started from: the boot sector lacks its mark 55 AA"),
            Self::FloppyMismatch(fs, image) => {
                write!(f, "the file system has {fs} sectors, the image {image}")
            }
        }
    }
}

pub(super) fn is_floppy_size(sectors: u64) -> bool {
    Format::exact(sectors).is_some()
}

/// Whether an image can be in the drive that an option names. A floppy may be shorter than the format that it
/// is taken for, as those are that people assemble themselves.
pub(super) fn fits(path: &Path, spec: &DriveSpec, disk: &dyn Disk) -> Result<(), DiskFileError> {
    let unfit = |how: String| Err(DiskFileError::Unfit(path.into(), how));
    let sectors = disk.sectors();
    if sectors == 0 {
        return unfit("the image is empty".into());
    }
    let length = std::fs::metadata(path).ok().filter(|meta| meta.is_file()).map_or(0, |meta| meta.len());
    if spec.media == Media::Cdrom && length.is_multiple_of(2352) && has_raw_blocks(path) {
        return unfit("is a raw image with blocks of 2352 bytes: make an .iso of it first".into());
    }
    if !length.is_multiple_of(SECTOR as u64) {
        return unfit(format!(
            "{length} bytes are no whole number of sectors: truncate -s %512 {} adds what is missing",
            path.display()
        ));
    }
    if spec.interface == Interface::Floppy && Format::of(sectors).is_none() {
        return unfit(format!("{} KiB are too many for a floppy, which has 2880 at most", sectors / 2));
    }
    Ok(())
}

/// Whether a file begins like a CD's raw block.
fn has_raw_blocks(path: &Path) -> bool {
    const SYNC: [u8; 12] = [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0];
    let mut start = [0; 12];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == SYNC
}

fn read(disk: &mut dyn Disk, lba: u64, buffer: &mut [u8]) -> Result<(), Finding> {
    match disk.read(lba, buffer) {
        Poll::Ready(Ok(())) => Ok(()),
        _ => Err(Finding::Unreadable(lba)),
    }
}

/// Reads a block of 2048 bytes.
fn block(disk: &mut dyn Disk, n: u64) -> Result<[u8; 2048], Finding> {
    let mut data = [0; 2048];
    read(disk, n.saturating_mul(4), &mut data)?;
    Ok(data)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn looks_like_cd(disk: &mut dyn Disk) -> bool {
    block(disk, 16).is_ok_and(|b| &b[1..6] == b"CD001")
}

/// Looks at a CD image.
pub fn check_cd(disk: &mut dyn Disk) -> Vec<Finding> {
    let mut findings = Vec::new();
    if disk.sectors() == 0 {
        return vec![Finding::Empty];
    }
    match volume(disk, &mut findings).and_then(|()| boot(disk)) {
        Ok(kind) => findings.push(Finding::Boot(kind)),
        Err(finding) => findings.push(finding),
    }
    findings
}

fn volume(disk: &mut dyn Disk, findings: &mut Vec<Finding>) -> Result<(), Finding> {
    let blocks = disk.sectors() / 4;
    if blocks <= 16 {
        return Err(Finding::NoVolume);
    }
    let primary = block(disk, 16)?;
    if &primary[1..6] != b"CD001" {
        return Err(Finding::NoVolume);
    }
    let name = String::from_utf8_lossy(&primary[40..72]);
    findings.push(Finding::Volume(name.trim_matches([' ', '\0']).to_owned()));
    let size = u64::from(u32_at(&primary, 80));
    if size > blocks {
        findings.push(Finding::CutOff(size, blocks));
    }
    Ok(())
}

fn boot(disk: &mut dyn Disk) -> Result<&'static str, Finding> {
    let blocks = disk.sectors().div_ceil(4);
    // The boot record is one of the first volume descriptors, by the book the second.
    if blocks <= 17 {
        return Err(Finding::NoBoot);
    }
    let record = block(disk, 17)?;
    if record[0] != 0 || &record[1..6] != b"CD001" || !record[7..].starts_with(b"EL TORITO SPECIFICATION") {
        return Err(Finding::NoBoot);
    }
    let at = u64::from(u32_at(&record, 71));
    if at >= blocks {
        return Err(Finding::BadBoot("the boot catalogue lies outside the image"));
    }
    let catalogue = block(disk, at)?;
    let sum = catalogue[..32].chunks_exact(2).fold(0u16, |sum, w| sum.wrapping_add(u16_at(w, 0)));
    if catalogue[0] != 1 || catalogue[30..32] != [0x55, 0xAA] || sum != 0 {
        return Err(Finding::BadBoot("the boot catalogue does not begin as it must"));
    }
    let entry = &catalogue[32..64];
    if entry[0] != 0x88 {
        return Err(Finding::BadBoot("the first boot entry is not for starting from"));
    }
    let start = u64::from(u32_at(entry, 8));
    if start >= blocks || start == 0 {
        return Err(Finding::BadBoot("the boot image lies outside the image"));
    }
    match entry[1] & 0x0F {
        0 => Ok("no emulation"),
        1 => Ok("1.2 MB floppy"),
        2 => Ok("1.44 MB floppy"),
        3 => Ok("2.88 MB floppy"),
        4 => Ok("hard disk"),
        _ => Err(Finding::BadBoot("the boot entry asks for an emulation that there is not")),
    }
}

/// Looks at a floppy image.
pub fn check_floppy(disk: &mut dyn Disk) -> Vec<Finding> {
    let sectors = disk.sectors();
    if sectors == 0 {
        return vec![Finding::Empty];
    }
    let mut findings = Vec::new();
    if !is_floppy_size(sectors) {
        findings.push(Finding::FloppySize(sectors));
    }
    let mut sector = [0; SECTOR];
    if let Err(finding) = read(disk, 0, &mut sector) {
        findings.push(finding);
        return findings;
    }
    if sector[510..] != [0x55, 0xAA] {
        findings.push(Finding::NoFloppyBoot);
    }
    // A FAT file system: a jump, 512-byte sectors, a power of two of them in a cluster.
    let fat = matches!(sector[0], 0xEB | 0xE9) && u16_at(&sector, 11) == 512 && sector[13].is_power_of_two();
    let total = u64::from(u16_at(&sector, 19));
    if fat && total != 0 && total != sectors {
        findings.push(Finding::FloppyMismatch(total, sectors));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tools::scratch::Scratch;
    use super::super::{Access, Format, MemoryDisk, open_image};
    use super::*;

    /// A CD of 40 blocks that can be started from.
    fn cd() -> Vec<u8> {
        let mut data = vec![0; 40 * 2048];
        data[16 * 2048..][..6].copy_from_slice(b"\x01CD001");
        data[16 * 2048 + 40..][..4].copy_from_slice(b"TEST");
        data[16 * 2048 + 44..][..28].fill(b' ');
        data[16 * 2048 + 80] = 40;
        data[17 * 2048..][..7].copy_from_slice(b"\0CD001\x01");
        data[17 * 2048 + 7..][..23].copy_from_slice(b"EL TORITO SPECIFICATION");
        data[17 * 2048 + 71] = 19;
        let catalogue = &mut data[19 * 2048..][..64];
        catalogue[0] = 1;
        catalogue[28..32].copy_from_slice(&[0xAA, 0x55, 0x55, 0xAA]);
        catalogue[32] = 0x88;
        catalogue[40] = 20;
        data
    }

    fn says(data: Vec<u8>) -> String {
        let findings = check_cd(&mut MemoryDisk::new(data));
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_good_cd_says_what_it_is() {
        assert_eq!(says(cd()), "volume 'TEST'; can be started from (no emulation)");
        let mut long = cd();
        long[16 * 2048 + 80] = 50;
        assert!(says(long).contains("cut off: the volume has 50 blocks of 2048 bytes, the image 40"));
    }

    #[test]
    fn case_79_cds_that_lead_anywhere_have_no_boot_and_a_message() {
        assert_eq!(says(vec![]), "the image is empty");
        assert!(says(vec![1]).contains("no CD file system"));
        assert!(says(vec![0; 40 * 2048]).contains("no CD file system"));
        for (at, value, reason) in [
            (17 * 2048 + 8, 0, "no El Torito"),
            (17 * 2048 + 74, 0xFF, "catalogue lies outside"),
            (19 * 2048, 0, "begin as it must"),
            (19 * 2048 + 28, 0, "begin as it must"),
            (19 * 2048 + 32, 0, "not for starting from"),
            (19 * 2048 + 43, 0xFF, "boot image lies outside"),
            (19 * 2048 + 40, 0, "boot image lies outside"),
            (19 * 2048 + 33, 9, "emulation that there is not"),
        ] {
            let mut bad = cd();
            bad[at] = value;
            assert!(says(bad).contains(reason), "{reason}");
        }
        // Cut off at every block.
        for blocks in 0..40 {
            says(cd()[..blocks * 2048].to_vec());
        }
    }

    #[test]
    fn case_79_odd_floppies_are_told() {
        let mut good = vec![0; 2880 * 512];
        good[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
        good[11..14].copy_from_slice(&[0, 2, 1]);
        good[19..21].copy_from_slice(&2880u16.to_le_bytes());
        good[510..512].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(check_floppy(&mut MemoryDisk::new(good.clone())), []);
        good.truncate(1_000_000);
        let sectors = good.len().div_ceil(512) as u64;
        assert_eq!(
            check_floppy(&mut MemoryDisk::new(good)),
            [Finding::FloppySize(sectors), Finding::FloppyMismatch(2880, sectors)]
        );
        assert_eq!(check_floppy(&mut MemoryDisk::new(vec![])), [Finding::Empty]);
        assert_eq!(
            check_floppy(&mut MemoryDisk::new(vec![0])),
            [Finding::FloppySize(1), Finding::NoFloppyBoot]
        );
    }

    #[test]
    fn formats_of_others_are_named_with_what_to_do() {
        let dir = Scratch::new();
        for (start, says) in [
            (&b"QFI\xFB\0\0"[..], "qemu-img convert"),
            (b"\x1F\x8B\x08\0", "gzip -d"),
            (b"PK\x03\x04", "unzip"),
        ] {
            let path = dir.file("image", start);
            let error = open_image(&path, Format::Auto, Access::Read).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            // Who says raw gets raw.
            assert!(open_image(&path, Format::Raw, Access::Read).is_ok());
        }
    }
}
