//! `nomad86 disk`.

use clap::Subcommand;
use std::path::PathBuf;

/// What to do with an image.
#[derive(Subcommand, Debug)]
pub(crate) enum DiskCommand {
    /// Make a raw image of zeros, or an overlay that takes the writes of another image
    Create {
        /// The new file
        file: PathBuf,
        /// Size of a raw image: bytes, or with K, M, G or T
        #[arg(required_unless_present = "base", conflicts_with = "base")]
        size: Option<String>,
        /// Make an overlay over this image
        #[arg(short = 'b', long = "base", value_name = "IMAGE")]
        base: Option<PathBuf>,
    },
    /// Say what an image is, and what strikes the eye about it
    Info {
        /// Image
        file: PathBuf,
    },
    /// Write what an overlay holds to its base, and empty it
    Commit {
        /// Overlay
        file: PathBuf,
    },
    /// Copy an image with all its overlays to a new raw one
    #[command(alias = "convert")]
    Export {
        /// Image or overlay
        file: PathBuf,
        /// The new file
        to: PathBuf,
    },
}
