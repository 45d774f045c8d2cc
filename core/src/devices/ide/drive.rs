//! One drive: its task file, its geometry and its settings.

use super::atapi::Cd;
use super::reg::{device, error, status};
use crate::config::IdeSlot;

/// Bytes in a sector.
pub(super) const SECTOR: usize = 512;
/// The most sectors that a 28-bit address reaches.
const LBA28: u64 = 1 << 28;
/// Largest number of sectors in one interrupt of READ/WRITE MULTIPLE.
pub(super) const MAX_MULTIPLE: u8 = 128;

/// A register of the task file with what it held before the last write (48-bit commands use both).
pub(super) type Pair = [u8; 2];

/// How the drive saves power, as CHECK POWER MODE tells it.
pub(super) mod power {
    pub(crate) const STANDBY: u8 = 0x00;
    pub(crate) const IDLE: u8 = 0x80;
    pub(crate) const ACTIVE: u8 = 0xFF;
    /// Not told by any command: only a reset wakes the drive.
    pub(crate) const SLEEP: u8 = 0x01;
}

/// A drive.
pub(super) struct Drive {
    /// What the configuration put into the slot.
    pub(super) kind: IdeSlot,
    pub(super) feature: Pair,
    pub(super) count: Pair,
    pub(super) low: Pair,
    pub(super) mid: Pair,
    pub(super) high: Pair,
    /// Device register.
    pub(super) device: u8,
    pub(super) status: u8,
    pub(super) error: u8,
    /// The drive wants an interrupt.
    pub(super) irq: bool,
    /// Capacity in sectors, found at reset.
    pub(super) sectors: u64,
    /// Default geometry: cylinders, heads, sectors.
    pub(super) cylinders: u16,
    pub(super) heads: u8,
    pub(super) spt: u8,
    /// Geometry in force, as INITIALIZE DEVICE PARAMETERS set it.
    pub(super) current_heads: u8,
    pub(super) current_spt: u8,
    /// Sectors per interrupt of READ/WRITE MULTIPLE; 0 is off.
    pub(super) multiple: u8,
    /// Transfer mode as SET FEATURES 03h gave it.
    pub(super) mode: u8,
    pub(super) write_cache: bool,
    pub(super) look_ahead: bool,
    pub(super) smart: bool,
    pub(super) smart_autosave: bool,
    pub(super) power: u8,
    /// What only a CD drive has.
    pub(super) cd: Cd,
}
crate::archive_fields!(Drive {
    feature,
    count,
    low,
    mid,
    high,
    device,
    status,
    error,
    irq,
    sectors,
    cylinders,
    heads,
    spt,
    current_heads,
    current_spt,
    multiple,
    mode,
    write_cache,
    look_ahead,
    smart,
    smart_autosave,
    power,
    cd,
});

impl Drive {
    /// A drive that was never reset.
    pub(super) fn new(kind: IdeSlot) -> Self {
        Self {
            kind,
            feature: [0; 2],
            count: [0; 2],
            low: [0; 2],
            mid: [0; 2],
            high: [0; 2],
            device: 0,
            status: 0,
            error: 0,
            irq: false,
            sectors: 0,
            cylinders: 0,
            heads: 16,
            spt: 63,
            current_heads: 16,
            current_spt: 63,
            multiple: 0,
            mode: 0x08,
            write_cache: true,
            look_ahead: true,
            smart: true,
            smart_autosave: true,
            power: power::ACTIVE,
            cd: Cd::new(),
        }
    }

    pub(super) fn present(&self) -> bool {
        self.kind != IdeSlot::Empty
    }

    pub(super) fn is_cd(&self) -> bool {
        self.kind == IdeSlot::Cdrom
    }

    /// What is to be lost at power-on only: settings and geometry.
    pub(super) fn power_on(&mut self, sectors: u64, boot_sector: Option<&[u8; SECTOR]>) {
        let kind = self.kind;
        *self = Self::new(kind);
        self.sectors = sectors;
        if kind == IdeSlot::Disk {
            (self.heads, self.spt) = boot_sector.and_then(guess_geometry).unwrap_or((16, 63));
            let cylinders = sectors / (u64::from(self.heads) * u64::from(self.spt));
            self.cylinders = cylinders.clamp(1, 16383) as u16;
        }
        self.reset();
    }

    /// What any reset does: signature, diagnostic code, geometry in force and multiple mode.
    pub(super) fn reset(&mut self) {
        self.current_heads = self.heads;
        self.current_spt = self.spt;
        self.multiple = 0;
        self.irq = false;
        self.power = power::ACTIVE;
        self.device = 0;
        self.error = error::PASSED;
        self.sign();
        // A packet device shows DRDY only after its first command, which is one of the ways to tell it.
        self.status = if self.is_cd() { 0 } else { status::READY };
    }

    /// Puts the signature into the task file: 01 01 00 00 for a disk, 01 01 14 EB for a packet device.
    pub(super) fn sign(&mut self) {
        self.count = [1, 0];
        self.low = [1, 0];
        (self.mid, self.high) = if self.is_cd() { ([0x14, 0], [0xEB, 0]) } else { ([0; 2], [0; 2]) };
    }

    /// Sectors that CHS addresses reach in the geometry in force.
    pub(super) fn chs_capacity(&self) -> (u16, u32) {
        let per_cylinder = u64::from(self.current_heads.max(1)) * u64::from(self.current_spt.max(1));
        let cylinders = (self.sectors.min(16_514_064) / per_cylinder).min(65_535);
        (cylinders as u16, (cylinders * per_cylinder) as u32)
    }

    /// Sectors that 28-bit addresses reach.
    pub(super) fn lba28_capacity(&self) -> u32 {
        self.sectors.min(LBA28 - 1) as u32
    }

    /// The address in the task file; `None` when it is no address at all (sector 0, head past the last).
    pub(super) fn address(&self, ext: bool) -> Option<u64> {
        let low = u64::from(self.low[0]) | u64::from(self.mid[0]) << 8 | u64::from(self.high[0]) << 16;
        if ext {
            let high = u64::from(self.low[1]) | u64::from(self.mid[1]) << 8 | u64::from(self.high[1]) << 16;
            return Some(low | high << 24);
        }
        let head = u64::from(self.device & 0x0F);
        if self.device & device::LBA != 0 {
            return Some(low | head << 24);
        }
        let (heads, spt) = (u64::from(self.current_heads), u64::from(self.current_spt));
        let (sector, cylinder) = (low & 0xFF, low >> 8);
        if sector == 0 || sector > spt || head >= heads {
            return None;
        }
        Some((cylinder * heads + head) * spt + sector - 1)
    }

    /// Writes an address back in the form in which the command gave it.
    pub(super) fn set_address(&mut self, ext: bool, lba: u64) {
        let bytes = lba.to_le_bytes();
        if ext {
            self.low = [bytes[0], bytes[3]];
            self.mid = [bytes[1], bytes[4]];
            self.high = [bytes[2], bytes[5]];
        } else if self.device & device::LBA != 0 {
            (self.low[0], self.mid[0], self.high[0]) = (bytes[0], bytes[1], bytes[2]);
            self.device = self.device & 0xF0 | bytes[3] & 0x0F;
        } else {
            let (heads, spt) = (u64::from(self.current_heads.max(1)), u64::from(self.current_spt.max(1)));
            let track = lba / spt;
            let cylinder = (track / heads).to_le_bytes();
            self.low[0] = (lba % spt + 1) as u8;
            (self.mid[0], self.high[0]) = (cylinder[0], cylinder[1]);
            self.device = self.device & 0xF0 | (track % heads) as u8 & 0x0F;
        }
    }

    /// Number of sectors that the command asks for: 0 stands for the most.
    pub(super) fn sector_count(&self, ext: bool) -> u32 {
        let count = if ext { u32::from(u16::from_le_bytes(self.count)) } else { u32::from(self.count[0]) };
        match count {
            0 if ext => 65_536,
            0 => 256,
            n => n,
        }
    }

    /// Forgets the task file's previous contents, as every write of the command register's users expects of
    /// commands that are not 48-bit ones.
    pub(super) fn shift(pair: &mut Pair, value: u8) {
        *pair = [value, pair[0]];
    }
}

/// Heads and sectors per track that whoever partitioned the disk believed in, from the partition table.
/// Images of old DOS disks only boot with the geometry they were made with.
fn guess_geometry(sector: &[u8; SECTOR]) -> Option<(u8, u8)> {
    if sector[510..] != [0x55, 0xAA] {
        return None;
    }
    sector[446..510].chunks_exact(16).find_map(|entry| {
        let length = u32::from_le_bytes([entry[12], entry[13], entry[14], entry[15]]);
        let (heads, spt) = (entry[5].checked_add(1)?, entry[6] & 63);
        // More heads than the interface has are the BIOS's translation, not the drive's.
        (length != 0 && (2..=16).contains(&heads) && spt != 0).then_some((heads, spt))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(sectors: u64) -> Drive {
        let mut drive = Drive::new(IdeSlot::Disk);
        drive.power_on(sectors, None);
        drive
    }

    #[test]
    fn addresses_written_back_are_read_again() {
        let mut drive = disk(1 << 30);
        for lba in [0, 62, 63, 1007, 1008, 16_514_063] {
            drive.device = 0;
            drive.set_address(false, lba);
            assert_eq!(drive.address(false), Some(lba));
            drive.device = device::LBA;
            drive.set_address(false, lba);
            assert_eq!(drive.address(false), Some(lba));
        }
        drive.set_address(true, 0xFEDC_BA98_7654);
        assert_eq!(drive.address(true), Some(0xFEDC_BA98_7654));
    }

    #[test]
    fn there_is_no_sector_zero_and_no_head_past_the_last() {
        let mut drive = disk(10_000);
        drive.low[0] = 0;
        assert_eq!(drive.address(false), None);
        drive.low[0] = 64;
        assert_eq!(drive.address(false), None);
        drive.low[0] = 1;
        drive.current_heads = 4;
        drive.device = 4;
        assert_eq!(drive.address(false), None);
    }

    #[test]
    fn the_partition_table_tells_an_old_disk_s_geometry() {
        let mut sector = [0; SECTOR];
        sector[446..462].copy_from_slice(&[0x80, 1, 1, 0, 6, 7, 17, 99, 17, 0, 0, 0, 0, 0x80, 0, 0]);
        assert_eq!(guess_geometry(&sector), None, "no signature");
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(guess_geometry(&sector), Some((8, 17)));
        sector[451] = 254;
        assert_eq!(guess_geometry(&sector), None, "255 heads are a translation");
        sector[451] = 255;
        assert_eq!(guess_geometry(&sector), None);
    }
}
