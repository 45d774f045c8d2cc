//! The program that is measured, and the initramfs around it.

use crate::outcome::Failure;
use nomad86_host::guest::cpio::Cpio;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("work.c");

/// Compiles the program for 32 bits and without libraries.
pub(super) fn compile(folder: &Path) -> Result<PathBuf, Failure> {
    let (source, program) = (folder.join("work.c"), folder.join("work"));
    std::fs::write(&source, SOURCE)
        .map_err(|error| Failure::host(format!("{}: {error}", source.display())))?;
    let output = Command::new("gcc")
        .args(["-m32", "-static", "-O2", "-march=i686", "-o"])
        .args([&program, &source])
        .output()
        .map_err(|error| Failure::configuration(format!("gcc, which compiles the loads: {error}")))?;
    if output.status.success() {
        return Ok(program);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let first = message.lines().next().unwrap_or("it says nothing");
    Err(Failure::configuration(format!("gcc -m32 cannot compile the loads (install gcc-multilib): {first}")))
}

/// An initramfs whose only program they are.
pub(super) fn initramfs(folder: &Path, program: &Path, only: &[String]) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::host(format!("{}: {error}", path.display()));
    let bytes = std::fs::read(program).map_err(|error| failed(program, error))?;
    let mut archive = Cpio::new();
    archive.directory("dev", 0o755);
    archive.character_device("dev/console", 0o600, 5, 1);
    archive.character_device("dev/zero", 0o666, 1, 5);
    archive.file("init", 0o755, &bytes);
    archive.file("cmdline", 0o644, only.join(" ").as_bytes());
    let path = folder.join("initrd.cpio");
    std::fs::write(&path, archive.finish()).map_err(|error| failed(&path, error))?;
    Ok(path)
}
