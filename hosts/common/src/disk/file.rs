//! Files that are read and written at offsets, and locked against others.

use super::DiskFileError;
use super::raw::Access;
use nomad86::host::DiskError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// A file that is locked until it is dropped.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // A program that another thread is about to start has the file too, until it is started.
        let _ = self.0.unlock();
    }
}

impl Deref for Locked {
    type Target = File;
    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

/// Opens a file and locks it: for one writer, or for many readers.
pub(super) fn open_locked(path: &Path, access: Access) -> Result<Locked, DiskFileError> {
    let write = access == Access::Write;
    let what = if write { "open for writing" } else { "open" };
    // Opening a directory for reading succeeds on some hosts and fails later with a riddle.
    if path.is_dir() {
        return Err(DiskFileError::Directory(path.into()));
    }
    let file =
        OpenOptions::new().read(true).write(write).open(path).map_err(DiskFileError::io(path, what))?;
    lock(file, path, access)
}

/// Locks an open file.
pub(super) fn lock(file: File, path: &Path, access: Access) -> Result<Locked, DiskFileError> {
    let result = if access == Access::Write { file.try_lock() } else { file.try_lock_shared() };
    match result {
        Ok(()) => Ok(Locked(file)),
        Err(TryLockError::WouldBlock) => Err(DiskFileError::Locked(path.into())),
        // File systems without locks (some network ones) are used without.
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(Locked(file)),
        Err(TryLockError::Error(error)) => Err(DiskFileError::Io { path: path.into(), what: "lock", error }),
    }
}

/// Length of a file or a block device.
pub(super) fn length(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

#[cfg(unix)]
pub(super) fn read_at(file: &mut File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(unix)]
pub(super) fn write_at(file: &mut File, at: u64, data: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, at)
}

#[cfg(not(unix))]
pub(super) fn read_at(file: &mut File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    io::Read::read_exact(file, buffer)
}

#[cfg(not(unix))]
pub(super) fn write_at(file: &mut File, at: u64, data: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    io::Write::write_all(file, data)
}

/// What the machine is told of a host's error.
pub(super) fn disk_error(error: &io::Error) -> DiskError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DiskError::Full,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => DiskError::ReadOnly,
        _ => DiskError::Io,
    }
}

/// Makes a new or renamed file's name durable.
pub(crate) fn sync_directory(path: &Path) {
    // Hosts on which directories cannot be opened make names durable by themselves.
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(directory) = File::open(parent) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tools::scratch::Scratch;
    use super::*;

    #[test]
    fn a_file_is_free_when_it_is_dropped_although_a_child_has_it_for_a_moment() {
        let dir = Scratch::new();
        let path = dir.file("disk.img", &[0; 512]);
        let file = open_locked(&path, Access::Write).unwrap();
        assert!(matches!(open_locked(&path, Access::Read), Err(DiskFileError::Locked(_))));
        // As a process has that was forked and has not become its program yet.
        let child = file.try_clone().unwrap();
        drop(file);
        open_locked(&path, Access::Write).unwrap();
        drop(child);
    }
}
