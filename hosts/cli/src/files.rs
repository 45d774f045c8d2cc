//! Reading and creating the files that options name, with errors that name them.

use crate::outcome::Failure;
pub(crate) use nomad86_host::reason::reason;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Reads a whole file; `what` it is stands in the message.
pub(crate) fn read(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |why: &str| Failure::configuration(format!("{what} {}: {why}", path.display()));
    let meta = fs::metadata(path).map_err(|error| wrong(&reason(&error)))?;
    if meta.is_dir() {
        return Err(wrong("this is a folder"));
    }
    // A device or pipe may never end.
    if !meta.is_file() {
        return Err(wrong("this is no plain file"));
    }
    let bytes = fs::read(path).map_err(|error| wrong(&reason(&error)))?;
    if bytes.is_empty() { Err(wrong("the file is empty")) } else { Ok(bytes) }
}

/// Creates a file for output, now, so that a wrong name is told at once.
pub(crate) fn create(what: &str, path: &Path) -> Result<File, Failure> {
    File::create(path)
        .map_err(|error| Failure::configuration(format!("{what} {}: {}", path.display(), reason(&error))))
}

/// Checks that a file can be written when all is over, so that a place that cannot be is told of at once.
pub(crate) fn check_place(what: &str, path: &Path) -> Result<(), Failure> {
    let wrong =
        |why: &str| Err(Failure::configuration(format!("{what} {}: {why}: name a file", path.display())));
    if path.is_dir() {
        return wrong("this is a folder");
    }
    let Some(name) = path.file_name() else { return wrong("this is no file's name") };
    // A device or pipe is written to as it is.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Ok(());
    }
    let mut probe = name.to_owned();
    probe.push(format!(".{}.part", std::process::id()));
    let probe = path.with_file_name(probe);
    let tried = File::create(&probe);
    let _ = fs::remove_file(&probe);
    tried.map(drop).map_err(|error| {
        Failure::configuration(format!("{what} {}: cannot be written: {}", path.display(), reason(&error)))
    })
}

/// Writes a file that is there whole, or as it was before.
pub(crate) fn replace(what: &str, path: &Path, contents: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&part, path)).map_err(|error| {
        // Only what is not whole stays behind.
        let _ = fs::remove_file(&part);
        Failure::host(format!("{what} {}: {}", path.display(), reason(&error)))
    })
}
