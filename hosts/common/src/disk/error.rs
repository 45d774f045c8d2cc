//! Why a disk file cannot be used, in one line for the person who named it.

use crate::reason::reason;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a disk file cannot be used.
#[derive(Debug)]
pub enum DiskFileError {
    /// The host refused an operation.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the host said.
        error: io::Error,
    },
    /// Another process uses the file.
    Locked(PathBuf),
    /// The file is there already.
    Exists(PathBuf),
    /// It is a directory.
    Directory(PathBuf),
    /// An overlay that is damaged, and how.
    Damaged(PathBuf, String),
    /// Not an overlay of ours.
    NotOverlay(PathBuf),
    /// A format that is recognised and not supported.
    Foreign(PathBuf, &'static str),
    /// The base of an overlay has another size than when the overlay was made.
    BaseChanged {
        /// The overlay.
        overlay: PathBuf,
        /// Its base.
        base: PathBuf,
        /// Sectors that the base had.
        expected: u64,
        /// Sectors that it has.
        found: u64,
    },
    /// Overlays that lie on each other too deep, or in a circle.
    TooDeep(PathBuf),
    /// A size that no disk can have.
    Size(String),
    /// An image that does not fit into its drive, and how.
    Unfit(PathBuf, String),
    /// An overlay that was made over another image than the one it is to be used with.
    OtherBase {
        /// The overlay.
        overlay: PathBuf,
        /// The image that it was made over.
        base: PathBuf,
    },
}

impl DiskFileError {
    pub(super) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, what, error }
    }
}

impl fmt::Display for DiskFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, what, error } => {
                write!(f, "{}: cannot {what}: {}", path.display(), reason(error))?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                        if *what == "open for writing" =>
                    {
                        write!(f, " (readonly=on or snapshot=on uses it as it is)")
                    }
                    _ => Ok(()),
                }
            }
            Self::Locked(path) => write!(
                f,
                "{}: in use by another process (snapshot=on or readonly=on shares it with readers)",
                path.display()
            ),
            Self::Exists(path) => write!(f, "{}: is there already and is not overwritten", path.display()),
            Self::Directory(path) => write!(f, "{}: is a directory, not a disk image", path.display()),
            Self::Damaged(path, how) => write!(f, "{}: the overlay is damaged: {how}", path.display()),
            Self::NotOverlay(path) => write!(f, "{}: is not a nomad86 overlay", path.display()),
            Self::Foreign(path, what) => write!(f, "{}: is {what}", path.display()),
            Self::BaseChanged { overlay, base, expected, found } => write!(
                f,
                "{}: was made over {} when that had {expected} sectors, it has {found} now",
                overlay.display(),
                base.display()
            ),
            Self::TooDeep(path) => {
                write!(f, "{}: more than 8 overlays lie on each other, or in a circle", path.display())
            }
            Self::Size(text) => {
                write!(f, "'{text}' is no size of a disk: give bytes, or a number with K, M, G or T")
            }
            Self::Unfit(path, how) => write!(f, "{}: {how}", path.display()),
            Self::OtherBase { overlay, base } => {
                write!(f, "{}: is an overlay over {}, give that image", overlay.display(), base.display())
            }
        }
    }
}

impl std::error::Error for DiskFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
