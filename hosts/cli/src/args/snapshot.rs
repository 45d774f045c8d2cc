//! Options of `snapshot`.

use clap::Subcommand;
use std::path::PathBuf;

/// What to do with state images.
#[derive(Subcommand, Debug)]
pub(crate) enum Snapshot {
    /// Check an image and list what is in it
    Info {
        /// State image
        file: PathBuf,
    },
}
