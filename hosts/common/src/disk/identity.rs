//! Which files a drive stands on, and what tells each from one that was changed since.

use super::spec::split_twice;
use super::{DiskFileError, DriveSpec, Interface, Kind, MAX_DEPTH, Media, overlay, recognise};
use super::{Format, Layout};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file as it was at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Where it is, from the root.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
}

impl Identity {
    /// The file as it is now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn of(path: &Path) -> Result<Self, DiskFileError> {
        let wrong = |error| DiskFileError::io(path, "look at")(error);
        let meta = std::fs::metadata(path).map_err(wrong)?;
        let modified = meta.modified().map_err(wrong)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            path: std::fs::canonicalize(path).map_err(wrong)?,
            bytes: meta.len(),
            modified: i64::try_from(modified.as_nanos()).unwrap_or(i64::MAX),
        })
    }

    /// Whether a file is as this one was.
    #[must_use]
    pub const fn is_same(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.modified == other.modified
    }
}

impl DriveSpec {
    /// The files that the drive reads and writes, overlays before what they lie on.
    ///
    /// # Errors
    /// Says which one is missing or damaged.
    pub fn files(&self) -> Result<Vec<Identity>, DiskFileError> {
        let mut files = Vec::new();
        let mut next = self.overlay.clone().or_else(|| self.file.clone());
        while let Some(path) = next.take().filter(|_| files.len() < MAX_DEPTH) {
            files.push(Identity::of(&path)?);
            let raw = self.format == Format::Raw && Some(&path) == self.file.as_ref();
            if !raw && recognise(&path)? == Kind::Overlay {
                next = Some(overlay::base_of(&path)?);
            }
        }
        Ok(files)
    }
}

impl Layout {
    /// All drives with their places, and whatever is named by a path from the root.
    #[must_use]
    pub fn specs(&self, snapshot: bool) -> Vec<DriveSpec> {
        let places = self.ide.iter().enumerate().chain(self.floppy.iter().enumerate());
        places
            .filter_map(|(n, spec)| {
                let mut spec = spec.clone()?;
                spec.index = Some(n as u8);
                spec.snapshot |= snapshot && !spec.is_read_only();
                if snapshot {
                    spec.overlay = None;
                }
                for file in [&mut spec.file, &mut spec.overlay].into_iter().flatten() {
                    if let Ok(path) = std::path::absolute(&*file) {
                        *file = path;
                    }
                }
                Some(spec)
            })
            .collect()
    }
}

impl fmt::Display for DriveSpec {
    /// As a drive option, which reads as the same drive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, media) = (
            if self.interface == Interface::Floppy { "floppy" } else { "ide" },
            if self.media == Media::Cdrom { "cdrom" } else { "disk" },
        );
        write!(f, "if={interface},media={media}")?;
        for (name, file) in [("file", &self.file), ("overlay", &self.overlay)] {
            if let Some(file) = file {
                write!(f, ",{name}={}", split_twice(&file.display().to_string()))?;
            }
        }
        match self.format {
            Format::Auto => {}
            Format::Raw => f.write_str(",format=raw")?,
            Format::Overlay => f.write_str(",format=overlay")?,
        }
        if let Some(index) = self.index {
            write!(f, ",index={index}")?;
        }
        for (name, on) in [("snapshot", self.snapshot), ("readonly", self.read_only)] {
            if on {
                write!(f, ",{name}=on")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_overlay;
    use super::super::tools::scratch::Scratch;
    use super::*;

    #[test]
    fn a_drive_is_written_as_the_option_that_it_is_read_from() {
        for text in [
            "if=ide,media=disk,file=/a,,b.img,format=raw,index=3,snapshot=on",
            "if=ide,media=cdrom,index=2",
            "if=floppy,media=disk,file=/x,index=0,readonly=on",
            "if=ide,media=disk,file=/x,overlay=/y,index=1",
        ] {
            let spec: DriveSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn the_files_of_a_drive_are_all_that_it_stands_on() {
        let dir = Scratch::new();
        let base = dir.file("base.img", &[1; 4096]);
        let overlay = dir.path().join("work.ovl");
        create_overlay(&overlay, &base).unwrap();
        let names = |spec: &DriveSpec| -> Vec<_> {
            let files = spec.files().unwrap();
            files.iter().map(|file| file.path.file_name().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&DriveSpec::hard_disk(0, &overlay)), ["work.ovl", "base.img"]);
        assert_eq!(names(&DriveSpec::hard_disk(0, &base)), ["base.img"]);
        let over = DriveSpec { overlay: Some(overlay), ..DriveSpec::hard_disk(0, &base) };
        assert_eq!(names(&over), ["work.ovl", "base.img"]);
        let before = Identity::of(&base).unwrap();
        std::fs::write(&base, [2; 4097]).unwrap();
        assert!(!before.is_same(&Identity::of(&base).unwrap()));
        std::fs::remove_file(&base).unwrap();
        assert!(over.files().unwrap_err().to_string().contains("base.img"));
    }
}
