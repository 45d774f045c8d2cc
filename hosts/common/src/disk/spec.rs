//! Drive options: `-drive file=…,format=…,if=…` and the short ones, and which drive each becomes.

use super::{DiskFileError, Written, open_keeping};
use crate::reason::on_one_line;
use nomad86::config::IdeSlot;
use nomad86::host::Drives;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Format of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Found from the file's beginning.
    #[default]
    Auto,
    /// The file's bytes are the disk's.
    Raw,
    /// An overlay of ours.
    Overlay,
}

/// Which controller a drive is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interface {
    /// IDE, four drives.
    #[default]
    Ide,
    /// Floppy, two drives.
    Floppy,
}

/// What kind of drive it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Media {
    /// Hard disk or floppy.
    #[default]
    Disk,
    /// CD-ROM.
    Cdrom,
}

/// A drive option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveSpec {
    /// Image file; none leaves a floppy or CD-ROM drive empty.
    pub file: Option<PathBuf>,
    /// File that takes what is written in the image's place; made when it is not there.
    pub overlay: Option<PathBuf>,
    /// Format of it.
    pub format: Format,
    /// Controller.
    pub interface: Interface,
    /// Place on the controller; the first free one without.
    pub index: Option<u8>,
    /// Kind of drive.
    pub media: Media,
    /// Writes are forgotten at the end.
    pub snapshot: bool,
    /// Writes are refused.
    pub read_only: bool,
}

/// What is wrong with drive options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpecError {
    /// No `file=`.
    NoFile,
    /// A word without `=`.
    NoValue(String),
    /// A name that is none of ours.
    Unknown(String),
    /// A value that the name does not take, with those that it takes.
    Value(&'static str, String, &'static str),
    /// The same name twice.
    Twice(String),
    /// Two drives in one place.
    Conflict(&'static str, u8, PathBuf, PathBuf),
    /// No free place.
    Full(&'static str, PathBuf),
    /// CD-ROM on the floppy controller.
    FloppyCdrom,
    /// An overlay that nothing would be written to.
    Overlay(PathBuf),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| on_one_line(&path.display().to_string());
        match self {
            Self::NoFile => write!(f, "a hard disk needs file=IMAGE"),
            Self::NoValue(word) => {
                let word = on_one_line(word);
                write!(f, "'{word}' in a drive option has no value; a comma in a file name is written twice")
            }
            Self::Unknown(key) => write!(
                f,
                "'{}' is no part of a drive option: there are file, format, overlay, if, index, bus, unit, media, snapshot and readonly",
                on_one_line(key)
            ),
            Self::Value(key, value, allowed) => write!(f, "{key}={}: give {allowed}", on_one_line(value)),
            Self::Twice(key) => write!(f, "{key}= is given twice for one drive"),
            Self::Conflict(controller, index, a, b) => {
                write!(f, "both {} and {} are {controller} drive {index}", name(a), name(b))
            }
            Self::Full(controller, file) => {
                write!(f, "{}: there is no free {controller} drive", name(file))
            }
            Self::FloppyCdrom => write!(f, "if=floppy does not go with media=cdrom"),
            Self::Overlay(file) => write!(
                f,
                "{}: an overlay takes writes, so it does not go with readonly, snapshot, format=overlay or a CD-ROM",
                name(file)
            ),
        }
    }
}

impl std::error::Error for SpecError {}

impl DriveSpec {
    /// A drive with nothing in it.
    #[must_use]
    pub const fn empty() -> Self {
        Self::new(None)
    }

    const fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            overlay: None,
            format: Format::Auto,
            interface: Interface::Ide,
            index: None,
            media: Media::Disk,
            snapshot: false,
            read_only: false,
        }
    }

    /// `-hda` to `-hdd`: a hard disk in place 0 to 3.
    #[must_use]
    pub fn hard_disk(index: u8, file: impl Into<PathBuf>) -> Self {
        Self { index: Some(index), ..Self::new(Some(file.into())) }
    }

    /// `-cdrom`: a CD-ROM as secondary master.
    #[must_use]
    pub fn cdrom(file: impl Into<PathBuf>) -> Self {
        Self { index: Some(2), media: Media::Cdrom, format: Format::Raw, ..Self::new(Some(file.into())) }
    }

    /// `-fda` and `-fdb`: a floppy in drive 0 or 1.
    #[must_use]
    pub fn floppy(index: u8, file: impl Into<PathBuf>) -> Self {
        Self { index: Some(index), interface: Interface::Floppy, ..Self::new(Some(file.into())) }
    }

    /// Checks its parts against each other.
    ///
    /// # Errors
    /// Says what does not go together.
    pub fn check(&self) -> Result<(), SpecError> {
        match &self.overlay {
            Some(overlay)
                if self.is_read_only()
                    || self.snapshot
                    || self.format == Format::Overlay
                    || self.file.is_none() =>
            {
                Err(SpecError::Overlay(overlay.clone()))
            }
            _ => Ok(()),
        }
    }

    /// What stands for it in messages.
    fn name(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| "an empty drive".into())
    }

    /// Whether the guest cannot write: a CD never can be.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.media == Media::Cdrom
    }
}

/// Splits at single commas; a double one stands for itself.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// Text with its commas doubled, for a part of a drive option.
pub(super) fn split_twice(text: &str) -> String {
    text.replace(',', ",,")
}

fn switch(name: &'static str, value: &str) -> Result<bool, SpecError> {
    match value {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err(SpecError::Value(name, value.into(), "on or off")),
    }
}

impl FromStr for DriveSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::empty();
        let mut seen = Vec::new();
        let (mut bus, mut unit) = (None, None);
        for part in split(text).into_iter().filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| SpecError::NoValue(part.clone()))?;
            if seen.iter().any(|s| s == name) {
                return Err(SpecError::Twice(name.into()));
            }
            seen.push(name.to_owned());
            let bad = |name, allowed| SpecError::Value(name, value.into(), allowed);
            match name {
                "file" => spec.file = Some(value.into()).filter(|_| !value.is_empty()),
                "overlay" => spec.overlay = Some(value.into()).filter(|_| !value.is_empty()),
                "format" => {
                    spec.format = match value {
                        "raw" => Format::Raw,
                        "overlay" => Format::Overlay,
                        "auto" => Format::Auto,
                        _ => return Err(bad("format", "raw or overlay")),
                    };
                }
                "if" => {
                    spec.interface = match value {
                        "ide" => Interface::Ide,
                        "floppy" => Interface::Floppy,
                        _ => return Err(bad("if", "ide or floppy")),
                    };
                }
                "index" => spec.index = Some(value.parse().map_err(|_| bad("index", "a number from 0 on"))?),
                "bus" => bus = Some(value.parse().ok().filter(|n| *n < 2u8).ok_or(bad("bus", "0 or 1"))?),
                "unit" => unit = Some(value.parse().ok().filter(|n| *n < 2u8).ok_or(bad("unit", "0 or 1"))?),
                "media" => {
                    spec.media = match value {
                        "disk" => Media::Disk,
                        "cdrom" => Media::Cdrom,
                        _ => return Err(bad("media", "disk or cdrom")),
                    };
                }
                "snapshot" => spec.snapshot = switch("snapshot", value)?,
                "readonly" | "read-only" => spec.read_only = switch("readonly", value)?,
                // Guides give these to other emulators; nothing depends on them here.
                "id" | "cache" | "aio" => {}
                _ => return Err(SpecError::Unknown(name.into())),
            }
        }
        if spec.file.is_none() && spec.interface == Interface::Ide && spec.media == Media::Disk {
            return Err(SpecError::NoFile);
        }
        if spec.interface == Interface::Floppy && spec.media == Media::Cdrom {
            return Err(SpecError::FloppyCdrom);
        }
        if spec.index.is_none() && (bus.is_some() || unit.is_some()) {
            spec.index = Some(bus.unwrap_or(0) * 2 + unit.unwrap_or(0));
        }
        if let Some(index) = spec.index {
            let (most, allowed) = match spec.interface {
                Interface::Ide => (4, "0 to 3 with if=ide"),
                Interface::Floppy => (2, "0 or 1 with if=floppy"),
            };
            if index >= most {
                return Err(SpecError::Value("index", index.to_string(), allowed));
            }
        }
        spec.check()?;
        Ok(spec)
    }
}

/// Which image is in which drive.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Primary master to secondary slave.
    pub ide: [Option<DriveSpec>; 4],
    /// A: and B:.
    pub floppy: [Option<DriveSpec>; 2],
}

impl Layout {
    /// Finds a place for each drive: those with an index first, the others where there is room.
    ///
    /// # Errors
    /// When two want one place, or there are too many.
    pub fn new(specs: impl IntoIterator<Item = DriveSpec>) -> Result<Self, SpecError> {
        let mut layout = Self::default();
        let (placed, free): (Vec<_>, Vec<_>) = specs.into_iter().partition(|s| s.index.is_some());
        for spec in placed.into_iter().chain(free) {
            let (places, controller): (&mut [Option<DriveSpec>], _) = match spec.interface {
                Interface::Ide => (&mut layout.ide, "ide"),
                Interface::Floppy => (&mut layout.floppy, "floppy"),
            };
            let place = match spec.index {
                Some(index) => places.get_mut(usize::from(index)),
                None => places.iter_mut().find(|place| place.is_none()),
            };
            let Some(place) = place else { return Err(SpecError::Full(controller, spec.name())) };
            if let Some(other) = place {
                let index = spec.index.unwrap_or(0);
                return Err(SpecError::Conflict(controller, index, other.name(), spec.name()));
            }
            *place = Some(spec);
        }
        Ok(layout)
    }

    /// What the machine's configuration says of the IDE slots.
    #[must_use]
    pub fn ide_slots(&self) -> [IdeSlot; 4] {
        self.ide.each_ref().map(|spec| match spec.as_ref().map(|s| s.media) {
            None => IdeSlot::Empty,
            Some(Media::Disk) => IdeSlot::Disk,
            Some(Media::Cdrom) => IdeSlot::Cdrom,
        })
    }

    /// Opens all images; `snapshot` forgets all writes, as with `snapshot=on` on each.
    ///
    /// # Errors
    /// Says which file cannot be used and why.
    pub fn open(&self, snapshot: bool) -> Result<Drives, DiskFileError> {
        self.open_keeping(snapshot).map(|(drives, _)| drives)
    }

    /// As [`Self::open`]; what each drive will forget at the end (IDE drives first, then floppies) is lent as
    /// well, for a state image.
    ///
    /// # Errors
    /// Says which file cannot be used and why.
    pub fn open_keeping(&self, snapshot: bool) -> Result<(Drives, [Written; 6]), DiskFileError> {
        let mut drives = Drives::default();
        let written: [Written; 6] = std::array::from_fn(|_| Written::default());
        let open_one = |spec: &DriveSpec, written: &Written| {
            let overlay = spec.overlay.clone().filter(|_| !snapshot);
            open_keeping(&DriveSpec { snapshot: spec.snapshot || snapshot, overlay, ..spec.clone() }, written)
        };
        let places = drives.ide.iter_mut().zip(&self.ide);
        let places = places.chain(drives.floppy.iter_mut().zip(&self.floppy));
        for ((drive, spec), written) in places.zip(&written) {
            *drive = spec.as_ref().map(|spec| open_one(spec, written)).transpose()?.flatten();
        }
        Ok((drives, written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let spec: DriveSpec =
            "file=a,,b.img,format=raw,if=ide,index=3,media=cdrom,snapshot=on,readonly=on,id=x"
                .parse()
                .unwrap();
        assert_eq!(spec.file, Some("a,b.img".into()));
        assert_eq!((spec.format, spec.interface, spec.index), (Format::Raw, Interface::Ide, Some(3)));
        assert_eq!((spec.media, spec.snapshot, spec.read_only), (Media::Cdrom, true, true));
        let spec: DriveSpec = "file=x,bus=1,unit=1".parse().unwrap();
        assert_eq!(spec.index, Some(3));
        let spec: DriveSpec = "file=a=b".parse().unwrap();
        assert_eq!(spec.file, Some("a=b".into()));
        let spec: DriveSpec = "file=x,overlay=y".parse().unwrap();
        assert_eq!(spec.overlay, Some("y".into()));
        let empty: DriveSpec = "if=ide,media=cdrom".parse().unwrap();
        assert_eq!((empty.file, empty.media), (None, Media::Cdrom));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("", "needs file="),
            ("format=raw", "needs file="),
            ("disk.img", "'disk.img'"),
            ("file=a,colour=red", "'colour'"),
            ("file=a,format=qcow2", "format=qcow2: give raw or overlay"),
            ("file=a,if=scsi", "give ide or floppy"),
            ("file=a,index=4", "index=4: give 0 to 3"),
            ("file=a,if=floppy,index=2", "give 0 or 1"),
            ("file=a,index=-1", "a number"),
            ("file=a,snapshot=maybe", "on or off"),
            ("file=a,file=b", "given twice"),
            ("file=a,if=floppy,media=cdrom", "does not go with"),
            ("file=a,overlay=b,readonly=on", "b: an overlay takes writes"),
            ("file=a,overlay=b,snapshot=on", "b: an overlay takes writes"),
            ("if=floppy,overlay=b", "b: an overlay takes writes"),
            ("a\nb", "'a\\nb'"),
            ("a\r=1", "'a\\r'"),
            ("file=a,if=\n", "if=\\n: give"),
            ("file=a,overlay=b\n,readonly=on", "b\\n: an overlay"),
        ] {
            let error = text.parse::<DriveSpec>().unwrap_err().to_string();
            assert!(error.contains(says) && error.lines().count() == 1, "{text}: {error}");
        }
    }

    #[test]
    fn drives_without_a_place_get_the_first_free_one() {
        let specs = ["file=a", "file=b,index=0", "file=c,media=cdrom", "file=f,if=floppy"];
        let mut specs: Vec<DriveSpec> = specs.iter().map(|s| s.parse().unwrap()).collect();
        let layout = Layout::new(specs.clone()).unwrap();
        let names = layout.ide.each_ref().map(|s| s.as_ref().map(|s| s.name().display().to_string()));
        assert_eq!(names, ["b", "a", "c", ""].map(|n| Some(n.to_owned()).filter(|n| !n.is_empty())));
        assert_eq!(layout.ide_slots(), [IdeSlot::Disk, IdeSlot::Disk, IdeSlot::Cdrom, IdeSlot::Empty]);
        assert!(layout.floppy[0].is_some());
        specs.push(DriveSpec::hard_disk(0, "z"));
        assert!(Layout::new(specs.clone()).unwrap_err().to_string().contains("both b and z are ide drive 0"));
        specs.pop();
        specs.extend(["file=d", "file=e"].map(|s| s.parse().unwrap()));
        assert!(Layout::new(specs).unwrap_err().to_string().contains("e: there is no free ide drive"));
    }
}
