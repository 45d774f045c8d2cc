//! The screen as a file: `--screenshot` at the end, or when a screen's user asks for it.

use crate::files;
use crate::outcome::Failure;
use nomad86::machine::Machine;
use nomad86_host::screenshot::Picture;
use std::path::Path;

/// Writes the screen to the file of `--screenshot`.
pub(crate) fn at_end(machine: &Machine, path: &Path) -> Result<(), Failure> {
    let saved = Picture::of(machine).save(path);
    saved
        .map_err(|error| Failure::host(format!("--screenshot {}: {}", path.display(), files::reason(&error))))
}

/// Writes the screen to a new file in the present folder, and says which.
pub(crate) fn on_demand(machine: &Machine) -> String {
    let name = format!("nomad86-{}.png", jiff::ZonedDateTime::now().strftime("%Y-%m-%d-%H%M%S"));
    match Picture::of(machine).save(Path::new(&name)) {
        Ok(()) => format!("the screen is in {name}"),
        Err(error) => format!("{name}: {}", files::reason(&error)),
    }
}
