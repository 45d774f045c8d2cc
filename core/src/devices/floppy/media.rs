//! Drives and what lies in them: formats from 160 KB to 2.88 MB.

use super::reg::rate;
use crate::host::Disk;

/// How densely a format is written, which decides its data rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Density {
    /// 250 kbit/s, 300 in drives that turn faster.
    Double,
    /// 500 kbit/s.
    High,
    /// 1 Mbit/s.
    Extra,
}

/// A format: sectors of 512 bytes on tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Cylinders.
    pub cylinders: u8,
    /// Sides.
    pub heads: u8,
    /// Sectors on a track.
    pub sectors: u8,
    /// Density.
    pub density: Density,
}

const fn format(cylinders: u8, heads: u8, sectors: u8, density: Density) -> Format {
    Format { cylinders, heads, sectors, density }
}

/// IBM's formats, and those that drivers squeeze out of the same drives.
const FORMATS: [Format; 16] = [
    format(40, 1, 8, Density::Double),
    format(40, 1, 9, Density::Double),
    format(40, 2, 8, Density::Double),
    format(40, 2, 9, Density::Double),
    format(80, 1, 10, Density::Double),
    format(80, 2, 8, Density::Double),
    format(80, 2, 9, Density::Double),
    format(80, 2, 10, Density::Double),
    format(80, 2, 15, Density::High),
    F1440,
    format(80, 2, 20, Density::High),
    format(80, 2, 21, Density::High),
    format(80, 2, 22, Density::High),
    format(80, 2, 24, Density::Extra),
    format(80, 2, 32, Density::Extra),
    F2880,
];
const F1440: Format = format(80, 2, 18, Density::High);
const F2880: Format = format(80, 2, 36, Density::Extra);
/// The furthest cylinder that drives reach.
const LAST_CYLINDER: u8 = 83;

impl Format {
    /// Number of sectors.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors)
    }

    /// Whether it has no sectors: none of ours.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The format with exactly so many sectors, some of which are known with a few cylinders more.
    #[must_use]
    pub fn exact(sectors: u64) -> Option<Self> {
        let known = FORMATS.iter().find(|f| f.len() == sectors).copied();
        known.or_else(|| {
            FORMATS.iter().filter(|f| f.cylinders == 80 && f.heads == 2).find_map(|f| {
                (81..=LAST_CYLINDER + 1)
                    .map(|cylinders| Self { cylinders, ..*f })
                    .find(|longer| longer.len() == sectors)
            })
        })
    }

    /// The format that an image of so many sectors is taken for: one of its own size, or else a common one
    /// that holds it. `None` when no floppy does.
    #[must_use]
    pub fn of(sectors: u64) -> Option<Self> {
        Self::exact(sectors).or_else(|| [F1440, F2880].into_iter().find(|f| (1..=f.len()).contains(&sectors)))
    }

    /// Where a sector lies in the image; `record` counts from 1.
    pub(super) fn lba(&self, cylinder: u8, head: u8, record: u8) -> Option<u64> {
        let there = cylinder < self.cylinders && head < self.heads && (1..=self.sectors).contains(&record);
        let track = u64::from(cylinder) * u64::from(self.heads) + u64::from(head);
        there.then(|| track * u64::from(self.sectors) + u64::from(record) - 1)
    }

    /// Whether it can be read at a data rate.
    pub(super) const fn readable(&self, selected: u8) -> bool {
        match self.density {
            Density::Double => matches!(selected, rate::KBPS_250 | rate::KBPS_300),
            Density::High => selected == rate::KBPS_500,
            Density::Extra => selected == rate::MBPS_1,
        }
    }
}

/// The kind of a drive, numbered as in the CMOS RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum DriveType {
    /// No drive.
    #[default]
    None = 0,
    /// 360 KB, 5¼ inches.
    D360 = 1,
    /// 1.2 MB, 5¼ inches.
    D1200 = 2,
    /// 720 KB, 3½ inches.
    D720 = 3,
    /// 1.44 MB, 3½ inches.
    D1440 = 4,
    /// 2.88 MB, 3½ inches.
    D2880 = 5,
}

impl DriveType {
    /// The drive in which a medium was at home; `None` when there is no medium of a floppy's size.
    #[must_use]
    pub fn for_medium(disk: &dyn Disk) -> Option<Self> {
        let format = Format::of(disk.sectors())?;
        Some(match format.density {
            Density::Double if format.cylinders <= 42 => Self::D360,
            Density::High if format.sectors == 15 => Self::D1200,
            Density::Extra => Self::D2880,
            Density::Double | Density::High => Self::D1440,
        })
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::D360,
            2 => Self::D1200,
            3 => Self::D720,
            4 => Self::D1440,
            5 => Self::D2880,
            _ => Self::None,
        }
    }
}

/// A drive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drive {
    pub(super) kind: DriveType,
    /// Cylinder under the head.
    pub(super) cylinder: u8,
    /// The disk-change line: up since the medium was taken out, down again at a step with one inside.
    pub(super) changed: bool,
}

impl crate::archive::Field for Drive {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        let mut kind = self.kind as u8;
        a.field(&mut kind);
        self.kind = DriveType::from_code(kind);
        a.field(&mut self.cylinder);
        a.field(&mut self.changed);
        self.cylinder = self.cylinder.min(LAST_CYLINDER);
    }
}

impl Drive {
    pub(super) const fn present(&self) -> bool {
        !matches!(self.kind, DriveType::None)
    }

    /// Moves the head to a cylinder, or as far as it goes.
    pub(super) fn step_to(&mut self, cylinder: u8, medium: bool) {
        let target = if self.present() { cylinder.min(LAST_CYLINDER) } else { 0 };
        if target != self.cylinder && medium {
            self.changed = false;
        }
        self.cylinder = target;
    }

    /// The medium's cylinder under the head: drives of 80 cylinders find those of 40 at every other one.
    pub(super) fn track(&self, format: &Format) -> Option<u8> {
        let wide = format.cylinders <= 42;
        match (wide, self.kind) {
            (true, DriveType::D360) => Some(self.cylinder),
            (true, _) => Some(self.cylinder / 2),
            (false, DriveType::D360) => None,
            (false, _) => Some(self.cylinder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_known_sizes_are_what_they_were_made_as() {
        for (kib, geometry) in [
            (160, (40, 1, 8)),
            (180, (40, 1, 9)),
            (320, (40, 2, 8)),
            (360, (40, 2, 9)),
            (720, (80, 2, 9)),
            (1200, (80, 2, 15)),
            (1440, (80, 2, 18)),
            (1680, (80, 2, 21)),
            (1722, (82, 2, 21)),
            (2880, (80, 2, 36)),
        ] {
            let format = Format::exact(kib * 2).unwrap();
            assert_eq!((format.cylinders, format.heads, format.sectors), geometry, "{kib} KiB");
            assert_eq!(format.len(), kib * 2);
        }
        assert_eq!(Format::exact(1), None);
        assert_eq!(Format::of(1), Some(F1440));
        assert_eq!(Format::of(2881), Some(F2880));
        assert_eq!((Format::of(0), Format::of(5761)), (None, None));
    }

    #[test]
    fn every_sector_of_a_format_has_one_place() {
        for format in FORMATS {
            let mut next = 0;
            for cylinder in 0..format.cylinders {
                for head in 0..format.heads {
                    for record in 1..=format.sectors {
                        assert_eq!(format.lba(cylinder, head, record), Some(next));
                        next += 1;
                    }
                    assert_eq!(format.lba(cylinder, head, 0), None);
                    assert_eq!(format.lba(cylinder, head, format.sectors + 1), None);
                }
            }
            assert_eq!(next, format.len());
        }
    }
}
