//! State images in files: written beside the old one and put in its place when all of it is on the disk.

use crate::disk::sync_directory;
use crate::reason::reason;
use nomad86::machine::Machine;
use nomad86::snapshot::{Broken, Contents, HostSection, Sink, SnapshotError, Source, inspect};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are gathered before the system is called.
const BUFFER: usize = 1 << 20;

/// Why an image cannot be written or read.
#[derive(Debug)]
pub enum StateError {
    /// The host cannot do something with the file.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Somebody else is writing the same image.
    Busy(PathBuf),
    /// The image cannot be used.
    Image(PathBuf, SnapshotError),
}

impl StateError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, what, error }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, what, error } => {
                write!(f, "{}: cannot {what}: {}", path.display(), reason(error))
            }
            Self::Busy(path) => {
                write!(f, "{}: another program is saving to this file; choose another name", path.display())
            }
            Self::Image(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for StateError {}

/// Saves `machine` to `path`. A file that is there is replaced when the new one is whole and on the disk:
/// whatever happens, the old or the new image is there. `progress` is told the bytes written so far.
///
/// # Errors
/// Says what the host could not do; the file that was there is untouched.
pub fn save(
    machine: &mut Machine,
    path: &Path,
    host: &[HostSection],
    progress: &mut dyn FnMut(u64),
) -> Result<u64, StateError> {
    let partial = Partial::create(path)?;
    let mut out = FileSink {
        file: &partial.file,
        buffer: Vec::with_capacity(BUFFER),
        written: 0,
        error: None,
        progress,
    };
    let result = machine.save_with(&mut out, host).and_then(|()| out.flush());
    let FileSink { written, error, .. } = out;
    if result.is_err() {
        let error = error.unwrap_or_else(|| io::Error::other("a part of the image is too long"));
        return Err(StateError::io(path, "write")(error));
    }
    partial.commit()?;
    Ok(written)
}

/// A file on its way to become `path`. Its name is always the same, so that what a crash leaves behind is
/// used again; a lock keeps two programs apart.
struct Partial<'p> {
    path: &'p Path,
    temporary: PathBuf,
    file: File,
    done: bool,
}

impl<'p> Partial<'p> {
    fn create(path: &'p Path) -> Result<Self, StateError> {
        let name = path.file_name().ok_or_else(|| {
            StateError::io(path, "write")(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))
        })?;
        if path.is_dir() {
            return Err(StateError::io(path, "write")(io::ErrorKind::IsADirectory.into()));
        }
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".partial");
        let temporary = path.with_file_name(temporary);
        let wrong = |what| StateError::io(&temporary, what);
        loop {
            // Emptied only once it is ours.
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&temporary)
                .map_err(wrong("create"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::Busy(path.into())),
                // File systems without locks are used without.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(wrong("lock")(error)),
            }
            // Whoever had it before may have moved it to its place meanwhile.
            if is_same(&file, &temporary) {
                file.set_len(0).map_err(wrong("empty"))?;
                return Ok(Self { path, temporary: temporary.clone(), file, done: false });
            }
        }
    }

    fn commit(mut self) -> Result<(), StateError> {
        self.file.sync_all().map_err(StateError::io(&self.temporary, "make durable"))?;
        fs::rename(&self.temporary, self.path).map_err(StateError::io(self.path, "replace"))?;
        self.done = true;
        sync_directory(self.path);
        Ok(())
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.temporary);
        }
        // A program that another thread is about to start has the file too, until it is started.
        let _ = self.file.unlock();
    }
}

/// Whether the open file is still what `path` names.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Open files cannot be moved away here.
#[cfg(not(unix))]
fn is_same(_file: &File, _path: &Path) -> bool {
    true
}

struct FileSink<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    written: u64,
    error: Option<io::Error>,
    progress: &'f mut dyn FnMut(u64),
}

impl FileSink<'_> {
    fn flush(&mut self) -> Result<(), Broken> {
        let result = self.file.write_all(&self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        (self.progress)(self.written);
        result.map_err(|error| {
            self.error = Some(error);
            Broken
        })
    }
}

impl Sink for FileSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}

/// An image file, open for reading.
pub struct Image {
    path: PathBuf,
    file: io::BufReader<File>,
    error: Option<io::Error>,
}

impl Image {
    /// Opens an image.
    ///
    /// # Errors
    /// Says why it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let wrong = || StateError::io(path, "open");
        let file = File::open(path).map_err(wrong())?;
        // A folder opens and a pipe never ends.
        if !file.metadata().map_err(wrong())?.is_file() {
            return Err(wrong()(io::Error::new(io::ErrorKind::InvalidInput, "this is no plain file")));
        }
        Ok(Self { path: path.into(), file: io::BufReader::with_capacity(BUFFER, file), error: None })
    }

    /// Reads all of it with `read`, from its beginning.
    ///
    /// # Errors
    /// Names the file and says why the image cannot be used.
    pub fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SnapshotError>,
    ) -> Result<T, StateError> {
        use io::Seek;
        self.file.rewind().map_err(StateError::io(&self.path, "read"))?;
        self.error = None;
        read(self).map_err(|error| match self.error.take() {
            Some(error) => StateError::io(&self.path, "read")(error),
            None => StateError::Image(self.path.clone(), error),
        })
    }

    /// What is in it.
    ///
    /// # Errors
    /// Names the file and says why the image cannot be used.
    pub fn inspect(&mut self) -> Result<Contents, StateError> {
        self.read(inspect)
    }
}

impl Source for Image {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let mut have = 0;
        while have < buffer.len() {
            match self.file.read(&mut buffer[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    return Err(Broken);
                }
            }
        }
        Ok(have)
    }
}
