//! Why an image cannot be used, in words for its user.

use super::format::{FORMAT, Tag};
use crate::config::ConfigError;
use alloc::string::String;
use core::fmt;

/// Why an image cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SnapshotError {
    /// It does not begin as one.
    NotAnImage,
    /// It is of a format that this program does not know.
    Format(u32),
    /// It ends early.
    Cut,
    /// It cannot be read.
    Unreadable,
    /// The header or a section has been changed since it was written.
    Damaged(Option<Tag>),
    /// A section is of a version that this program does not know.
    SectionVersion {
        /// Which.
        tag: Tag,
        /// Its version.
        found: u16,
        /// The newest version known.
        known: u16,
    },
    /// A section says what cannot be.
    Malformed {
        /// Which.
        tag: Tag,
        /// What is wrong.
        why: &'static str,
    },
    /// The image's machine is another one than the configuration describes.
    Differs {
        /// What differs.
        what: &'static str,
        /// How it is in the image.
        image: String,
        /// How it is in the configuration.
        machine: String,
    },
    /// The configuration cannot be used.
    Config(ConfigError),
}

impl From<ConfigError> for SnapshotError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => f.write_str("this is no state image of nomad86"),
            Self::Format(found) => write!(
                f,
                "the image has format {found}, this program reads formats 1 to {FORMAT}: use the program that \
                 made it, or a newer one"
            ),
            Self::Cut => f.write_str("the image ends early: it was not written or copied to its end"),
            Self::Unreadable => f.write_str("the image cannot be read"),
            Self::Damaged(None) => f.write_str("the image's header is damaged: its checksum is wrong"),
            Self::Damaged(Some(tag)) => {
                write!(f, "section {tag} of the image is damaged: its checksum is wrong")
            }
            Self::SectionVersion { tag, found, known } => write!(
                f,
                "section {tag} of the image has version {found}, this program reads versions 1 to {known}: use \
                 the program that made it, or a newer one"
            ),
            Self::Malformed { tag, why } => write!(f, "section {tag} of the image cannot be: {why}"),
            Self::Differs { what, image, machine } => write!(
                f,
                "the image's machine has {what} {image}, this one {machine}: leave the option out, the image \
                 knows"
            ),
            Self::Config(error) => write!(f, "the image's machine cannot be built: {error}"),
        }
    }
}

impl core::error::Error for SnapshotError {}
