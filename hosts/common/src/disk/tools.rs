//! What `nomad86 disk` does: making, showing, committing and exporting images.

use super::check::{Finding, Kind, check_cd, check_floppy, is_floppy_size, looks_like_cd, recognise};
use super::file::{open_locked, sync_directory};
use super::overlay::{Overlay, base_of};
use super::raw::{Access, RawFile};
use super::{DiskFileError, Format, SECTOR, open_image};
use nomad86::host::{Disk, DiskError};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

/// Sectors that are copied at a time.
const PIECE: u64 = 2048;

/// A size as people write it: bytes, or with K, M, G or T.
///
/// # Errors
/// When it is none.
pub fn parse_size(text: &str) -> Result<u64, DiskFileError> {
    let bad = || DiskFileError::Size(text.into());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).filter(|n| *n <= 1 << 50).ok_or_else(bad)
}

/// Makes a raw image of zeros, which takes no room until it is written.
///
/// # Errors
/// Says why it cannot be made; a file that is there is left alone.
pub fn create_raw(path: &Path, bytes: u64) -> Result<(), DiskFileError> {
    if bytes == 0 || !bytes.is_multiple_of(SECTOR as u64) {
        return Err(DiskFileError::Size(format!("{bytes}")));
    }
    let file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(DiskFileError::Exists(path.into()));
        }
        Err(e) => return Err(DiskFileError::io(path, "create")(e)),
    };
    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(|e| {
        let _ = std::fs::remove_file(path);
        DiskFileError::io(path, "make it that large")(e)
    })?;
    sync_directory(path);
    Ok(())
}

/// Makes an overlay over `base`. A relative path of the base counts from the present directory here, and is
/// stored so that both files can be moved together when they are in one directory.
///
/// # Errors
/// Says why it cannot be made.
pub fn create_overlay(path: &Path, base: &Path) -> Result<(), DiskFileError> {
    let sectors = open_image(base, Format::Auto, Access::Read)?.sectors();
    let absolute = |path: &Path| std::path::absolute(path).map_err(DiskFileError::io(path, "find"));
    let (here, there) = (absolute(path)?, absolute(base)?);
    let stored: PathBuf = match (here.parent(), there.parent(), there.file_name()) {
        (Some(a), Some(b), Some(name)) if a == b => name.into(),
        _ => there,
    };
    Overlay::create(path, &stored, sectors)
}

/// Makes an overlay over `base` unless it is there; one over another image is refused.
pub(super) fn overlay_over(path: &Path, base: &Path) -> Result<(), DiskFileError> {
    if !path.exists() {
        return create_overlay(path, base);
    }
    let known = base_of(path)?;
    let same = |a: &Path| std::fs::canonicalize(a).ok();
    if same(&known) == same(base) && same(base).is_some() {
        Ok(())
    } else {
        Err(DiskFileError::OtherBase { overlay: path.into(), base: known })
    }
}

/// What is known of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// Raw or overlay.
    pub format: Format,
    /// Size of the disk in sectors.
    pub sectors: u64,
    /// Bytes that the file takes on the host's disk, where the host tells.
    pub allocated: Option<u64>,
    /// Base of an overlay.
    pub base: Option<PathBuf>,
    /// Sectors that an overlay holds.
    pub written: u64,
    /// What strikes the eye about the contents.
    pub findings: Vec<Finding>,
}

/// Looks at an image.
///
/// # Errors
/// Says why it cannot be used.
pub fn info(path: &Path) -> Result<Info, DiskFileError> {
    let (format, base) = match recognise(path)? {
        Kind::Overlay => (Format::Overlay, Some(base_of(path)?)),
        Kind::Raw => (Format::Raw, None),
        Kind::Foreign(what) => return Err(DiskFileError::Foreign(path.into(), what)),
    };
    let mut written = 0;
    let mut disk: Box<dyn Disk> = if let Some(base) = &base {
        let overlay = Overlay::open(path, Access::Read, open_image(base, Format::Auto, Access::Read)?)?;
        written = overlay.written().map(|(_, n)| n).sum();
        Box::new(overlay)
    } else {
        Box::new(RawFile::open(path, Access::Read)?)
    };
    let findings = if looks_like_cd(disk.as_mut()) {
        check_cd(disk.as_mut())
    } else if is_floppy_size(disk.sectors()) {
        check_floppy(disk.as_mut())
    } else {
        Vec::new()
    };
    Ok(Info { format, sectors: disk.sectors(), allocated: allocated(path), base, written, findings })
}

#[cfg(unix)]
fn allocated(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|m| m.blocks() * 512)
}

#[cfg(not(unix))]
fn allocated(_path: &Path) -> Option<u64> {
    None
}

/// Repeats a request until the disk is ready.
fn wait(path: &Path, mut request: impl FnMut() -> Poll<Result<(), DiskError>>) -> Result<(), DiskFileError> {
    loop {
        match request() {
            Poll::Ready(Ok(())) => return Ok(()),
            Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
            Poll::Ready(Err(e)) => {
                let error = match e {
                    DiskError::Full => io::Error::from(io::ErrorKind::StorageFull),
                    DiskError::ReadOnly => io::Error::from(io::ErrorKind::PermissionDenied),
                    DiskError::OutOfRange => io::Error::from(io::ErrorKind::UnexpectedEof),
                    DiskError::Io => io::Error::other("input or output error"),
                };
                return Err(DiskFileError::Io { path: path.into(), what: "copy", error });
            }
        }
    }
}

/// Writes what an overlay holds to its base, and empties it. Cut off at any point, it can be done again.
/// Returns the number of sectors written.
///
/// # Errors
/// Says what went wrong; the overlay is emptied only after the base is whole.
pub fn commit(path: &Path) -> Result<u64, DiskFileError> {
    let base = base_of(path)?;
    // The overlay reads through one handle and the base is written through another, so the lock of the
    // base is the writer's.
    let mut target = open_image(&base, Format::Auto, Access::Write)?;
    let sectors = target.sectors();
    let unread: Box<dyn Disk> = Box::new(Unread(sectors));
    let mut overlay = Overlay::open(path, Access::Write, unread)?;
    let runs: Vec<_> = overlay.written().collect();
    let mut buffer = vec![0; 128 * SECTOR];
    let mut total = 0;
    for (lba, n) in runs {
        let data = &mut buffer[..n as usize * SECTOR];
        wait(path, || overlay.read(lba, data))?;
        wait(&base, || target.write(lba, data))?;
        total += n;
    }
    wait(&base, || target.flush())?;
    overlay.clear().map_err(DiskFileError::io(path, "empty the overlay"))?;
    Ok(total)
}

/// A base that is not asked for anything while its overlay's own blocks are read.
struct Unread(u64);

impl Disk for Unread {
    fn sectors(&self) -> u64 {
        self.0
    }
    fn read(&mut self, _lba: u64, _buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Err(DiskError::Io))
    }
    fn write(&mut self, _lba: u64, _data: &[u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Err(DiskError::ReadOnly))
    }
}

/// Writes all of an image, overlays included, to a new raw one. Zeros take no room. The new file appears
/// under its name only when it is whole.
///
/// # Errors
/// Says what went wrong; a file that is there is left alone.
pub fn export(path: &Path, to: &Path) -> Result<(), DiskFileError> {
    if to.exists() {
        return Err(DiskFileError::Exists(to.into()));
    }
    let mut disk = open_image(path, Format::Auto, Access::Read)?;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = to.with_file_name(name);
    let result = copy(path, disk.as_mut(), &part);
    // A hard link fails when the name has been taken in the meantime, which renaming would not.
    let result = result.and_then(|()| {
        std::fs::hard_link(&part, to)
            .and_then(|()| std::fs::remove_file(&part))
            .or_else(|e| if to.exists() { Err(e) } else { std::fs::rename(&part, to) })
            .map_err(DiskFileError::io(to, "name the new image"))
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result?;
    sync_directory(to);
    Ok(())
}

fn copy(path: &Path, disk: &mut dyn Disk, part: &Path) -> Result<(), DiskFileError> {
    File::create(part).map_err(DiskFileError::io(part, "create"))?;
    let mut out = open_locked(part, Access::Write)?;
    let write_error = || DiskFileError::io(part, "write");
    let mut buffer = vec![0; PIECE as usize * SECTOR];
    let mut lba = 0;
    while lba < disk.sectors() {
        let n = PIECE.min(disk.sectors() - lba);
        let data = &mut buffer[..n as usize * SECTOR];
        wait(path, || disk.read(lba, data))?;
        for (k, page) in data.chunks(4096).enumerate() {
            if page.iter().any(|byte| *byte != 0) {
                let at = lba * SECTOR as u64 + k as u64 * 4096;
                out.seek(SeekFrom::Start(at)).map_err(write_error())?;
                out.write_all(page).map_err(write_error())?;
            }
        }
        lba += n;
    }
    out.set_len(lba * SECTOR as u64).and_then(|()| out.sync_all()).map_err(write_error())
}

#[cfg(test)]
pub(super) mod scratch {
    //! A directory for one test.
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("nomad86-disk-{}-{n}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        pub(crate) fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, contents).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DriveSpec, open};
    use super::scratch::Scratch;
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("512").unwrap(), 512);
        assert_eq!(parse_size("1440K").unwrap(), 1_474_560);
        assert_eq!(parse_size("2g").unwrap(), 2 << 30);
        for bad in ["", "G", "1X", "-1", "1.5G", "99999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_overlay_takes_the_writes_of_the_image_it_was_made_over() {
        let dir = Scratch::new();
        let image = dir.file("disk.img", &[1; 1024]);
        let overlay = dir.path().join("work.ovl");
        let spec =
            |image: &Path| DriveSpec { overlay: Some(overlay.clone()), ..DriveSpec::hard_disk(0, image) };
        for value in [2, 3] {
            let mut disk = open(&spec(&image)).unwrap().unwrap();
            let mut sector = [0; 512];
            assert_eq!(disk.read(1, &mut sector), Poll::Ready(Ok(())));
            assert_eq!(sector[0], value - 1, "what was written before is there");
            assert_eq!(disk.write(1, &[value; 512]), Poll::Ready(Ok(())));
        }
        assert!(std::fs::read(&image).unwrap().iter().all(|b| *b == 1));
        let other = dir.file("other.img", &[1; 1024]);
        let error = open(&spec(&other)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("is an overlay over"), "{error}");
    }

    #[test]
    fn images_that_fit_no_drive_are_refused_and_short_floppies_taken() {
        let dir = Scratch::new();
        let mut raw_cd = vec![0; 2352];
        raw_cd[1..11].fill(0xFF);
        for (spec, says) in [
            (DriveSpec::hard_disk(0, dir.file("empty", &[])), "empty: the image is empty"),
            (DriveSpec::hard_disk(0, dir.file("odd", &[0; 700])), "odd: 700 bytes are no whole number"),
            (DriveSpec::floppy(0, dir.file("large", &vec![0; 5762 * 512])), "large: 2881 KiB are too many"),
            (DriveSpec::cdrom(dir.file("cd.bin", &raw_cd)), "cd.bin: is a raw image"),
            (DriveSpec::floppy(0, dir.path().join("none")), "none: cannot open: No such file"),
        ] {
            let error = open(&spec).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
        assert!(open(&DriveSpec::floppy(0, dir.file("boot", &[0; 512]))).unwrap().is_some());
        assert!(open(&"if=floppy".parse().unwrap()).unwrap().is_none());
    }

    #[test]
    fn an_overlay_is_made_committed_and_exported() {
        let dir = Scratch::new();
        let base = dir.path().join("base.img");
        create_raw(&base, 1 << 20).unwrap();
        assert!(matches!(create_raw(&base, 512), Err(DiskFileError::Exists(_))));
        let overlay = dir.path().join("work.ovl");
        create_overlay(&overlay, &base).unwrap();
        {
            let mut disk = open_image(&overlay, Format::Auto, Access::Write).unwrap();
            assert_eq!(disk.write(1000, &[0xAB; 1024]), Poll::Ready(Ok(())));
        }
        assert!(std::fs::read(&base).unwrap().iter().all(|b| *b == 0));
        let what = info(&overlay).unwrap();
        assert_eq!((what.format, what.sectors, what.written), (Format::Overlay, 2048, 128));
        assert_eq!(what.base.as_deref(), Some(base.as_path()));
        let flat = dir.path().join("flat.img");
        export(&overlay, &flat).unwrap();
        assert!(matches!(export(&overlay, &flat), Err(DiskFileError::Exists(_))));
        assert_eq!(commit(&overlay).unwrap(), 128);
        let committed = std::fs::read(&base).unwrap();
        assert_eq!(committed[1000 * 512..1002 * 512], [0xAB; 1024]);
        assert!(committed == std::fs::read(&flat).unwrap());
        assert_eq!(info(&overlay).unwrap().written, 0);
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "nothing is left over: {names:?}");
    }
}
