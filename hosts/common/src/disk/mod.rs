//! Disks in files: raw images, overlays that leave their base untouched, what is thrown away at the end,
//! and the options that name them.
//!
//! All implement [`nomad86::host::Disk`] and can be stacked: [`Discard`] over an [`Overlay`] over a
//! [`RawFile`]. What the command line says is a [`DriveSpec`]; [`open`] makes the disk of it, and
//! [`Layout`] finds a place for each.
//!
//! ```
//! use nomad86::host::Disk;
//! use nomad86_host::disk::{self, Access, DriveSpec, Format};
//! use std::task::Poll;
//!
//! # let folder = std::env::temp_dir().join(format!("nomad86-doc-disk-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let (base, changes) = (folder.join("disk.img"), folder.join("changes.ovl"));
//! disk::create_raw(&base, disk::parse_size("16M")?)?;
//! let mut spec = DriveSpec::hard_disk(0, &base);
//! spec.overlay = Some(changes.clone());
//! let mut disk = disk::open(&spec)?.expect("there is a medium");
//! assert_eq!(disk.write(7, &[1; 512]), Poll::Ready(Ok(())));
//! assert_eq!(disk.flush(), Poll::Ready(Ok(())));
//! drop(disk);
//! // The image is as it was.
//! let mut sector = [9; 512];
//! let mut disk = disk::open_image(&base, Format::Raw, Access::Read)?;
//! assert_eq!(disk.read(7, &mut sector), Poll::Ready(Ok(())));
//! assert_eq!(sector, [0; 512]);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod discard;
mod error;
mod fault;
mod file;
mod identity;
mod memory;
mod overlay;
mod raw;
mod spec;
mod tools;

pub use check::{Finding, Kind, check_cd, check_floppy, recognise};
pub use discard::{Discard, Written};
pub use error::DiskFileError;
pub use fault::{Fault, Faults, Faulty};
pub(crate) use file::sync_directory;
pub use identity::Identity;
pub use memory::MemoryDisk;
pub use overlay::Overlay;
pub use raw::{Access, RawFile};
pub use spec::{DriveSpec, Format, Interface, Layout, Media, SpecError};
pub use tools::{Info, commit, create_overlay, create_raw, export, info, parse_size};

use nomad86::host::Disk;
use std::path::Path;

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// The most overlays on top of each other.
const MAX_DEPTH: usize = 8;

/// Opens the disk that a drive option names, `None` for an empty drive, and refuses what no such drive takes:
/// empty files, lengths that are no whole sectors, floppies of no size.
///
/// # Errors
/// Says which file cannot be used and why.
pub fn open(spec: &DriveSpec) -> Result<Option<Box<dyn Disk>>, DiskFileError> {
    open_keeping(spec, &Written::default())
}

/// As [`open`]; what is written and will be forgotten is shared with `written`.
fn open_keeping(spec: &DriveSpec, written: &Written) -> Result<Option<Box<dyn Disk>>, DiskFileError> {
    let Some(file) = &spec.file else { return Ok(None) };
    let keeps = spec.snapshot && !spec.is_read_only();
    let reads = spec.is_read_only() || keeps || spec.overlay.is_some();
    let disk = open_image(file, spec.format, if reads { Access::Read } else { Access::Write })?;
    check::fits(file, spec, disk.as_ref())?;
    let disk = match &spec.overlay {
        Some(overlay) => {
            drop(disk);
            tools::overlay_over(overlay, file)?;
            open_image(overlay, Format::Overlay, Access::Write)?
        }
        None if keeps => Box::new(Discard::over(disk, written.clone())),
        None => disk,
    };
    Ok(Some(disk))
}

/// Opens an image file.
///
/// # Errors
/// Says why it cannot be used.
pub fn open_image(path: &Path, format: Format, access: Access) -> Result<Box<dyn Disk>, DiskFileError> {
    open_chain(path, format, access, 0)
}

fn open_chain(
    path: &Path,
    format: Format,
    access: Access,
    depth: usize,
) -> Result<Box<dyn Disk>, DiskFileError> {
    if depth >= MAX_DEPTH {
        return Err(DiskFileError::TooDeep(path.into()));
    }
    let overlay = match format {
        Format::Raw => false,
        Format::Overlay => true,
        Format::Auto => match recognise(path)? {
            check::Kind::Overlay => true,
            check::Kind::Raw => false,
            check::Kind::Foreign(what) => return Err(DiskFileError::Foreign(path.into(), what)),
        },
    };
    if overlay {
        let base = overlay::base_of(path)?;
        let below = open_chain(&base, Format::Auto, Access::Read, depth + 1)?;
        Ok(Box::new(Overlay::open(path, access, below)?))
    } else {
        Ok(Box::new(RawFile::open(path, access)?))
    }
}
