//! Firmware images: where distributions keep them.

use crate::files;
use crate::outcome::Failure;
use std::path::{Path, PathBuf};

/// iPXE for the PCI network card, as QEMU's users have it.
const NETWORK: [&str; 2] = ["pxe-ne2k_pci.rom", "10ec8029.rom"];

/// Folders of Debian, Fedora, Arch, Homebrew and others.
const FOLDERS: [&str; 8] = [
    "/usr/share/seabios",
    "/usr/share/qemu",
    "/usr/share/qemu-kvm",
    "/usr/local/share/qemu",
    "/opt/homebrew/share/qemu",
    "/usr/share/vgabios",
    "/usr/local/share/seabios",
    "/usr/lib/ipxe/qemu",
];
/// SeaBIOS with all its drivers, then the smaller build.
const BIOS: [&str; 2] = ["bios-256k.bin", "bios.bin"];
const VGA: [&str; 2] = ["vgabios-stdvga.bin", "vgabios.bin"];

/// A BIOS and the display adapter's.
#[derive(Debug, Default)]
pub(crate) struct Firmware {
    pub(crate) bios: Vec<u8>,
    pub(crate) vga_bios: Vec<u8>,
}

/// The first of `names` in `extra` or one of the usual folders.
fn find(extra: Option<&Path>, names: &[&str]) -> Option<PathBuf> {
    let folders = extra.into_iter().chain(FOLDERS.iter().map(Path::new));
    folders.flat_map(|folder| names.iter().map(move |name| folder.join(name))).find(|path| path.is_file())
}

/// Files of a BIOS and a VGA BIOS on this system.
pub(crate) fn installed() -> (Option<PathBuf>, Option<PathBuf>) {
    (find(None, &BIOS), find(None, &VGA))
}

/// The images that were named, or found. `needed` says that there must be a BIOS.
pub(crate) fn load(
    bios: Option<&Path>,
    vga_bios: Option<&Path>,
    folder: Option<&Path>,
    needed: bool,
) -> Result<Firmware, Failure> {
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Failure::configuration(format!("firmware folder {}: there is none", folder.display())));
    }
    let bios = match bios {
        Some(path) => Some(files::read("BIOS", path)?),
        None if needed => {
            let path = find(folder, &BIOS).ok_or_else(|| {
                Failure::configuration(
                    "no BIOS found: install SeaBIOS (package seabios), or give one with --bios FILE",
                )
            })?;
            Some(files::read("BIOS", &path)?)
        }
        None => None,
    };
    let vga_bios = match vga_bios {
        Some(path) => option_rom("VGA BIOS", path)?,
        // A picture is better than none, but a machine without one runs as well.
        None if bios.is_some() => {
            find(folder, &VGA).and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
        }
        None => Vec::new(),
    };
    Ok(Firmware { bios: bios.unwrap_or_default(), vga_bios })
}

/// Reads an image that firmware finds by its first bytes.
fn option_rom(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let image = files::read(what, path)?;
    if image.starts_with(&[0x55, 0xAA]) {
        return Ok(image);
    }
    Err(Failure::configuration(format!(
        "{what} {}: this is no expansion ROM, which begins with the bytes 55 AA",
        path.display()
    )))
}

/// The network card's boot ROM: the one that was named, or iPXE when starting over the network is asked for.
pub(crate) fn network(named: Option<&Path>, folder: Option<&Path>, wanted: bool) -> Result<Vec<u8>, Failure> {
    match named {
        Some(path) => option_rom("option ROM", path),
        None if wanted => {
            let path = find(folder, &NETWORK).ok_or_else(|| {
                Failure::configuration(
                    "no boot ROM for the network card found: install iPXE (package ipxe-qemu), or give one with --option-rom FILE",
                )
            })?;
            files::read("option ROM", &path)
        }
        None => Ok(Vec::new()),
    }
}
