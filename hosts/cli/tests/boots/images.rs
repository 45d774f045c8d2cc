//! Images, from packages or made of them once and kept.

use super::run::available;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

pub(crate) const MEMTEST: &str = "/usr/lib/memtest86+/memtest86+ia32.iso";
pub(crate) const GRUB_CDROM: &str = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso";
pub(crate) const GRUB_FLOPPY: &str = "/usr/lib/grub-rescue/grub-rescue-floppy.img";

/// Tests share images: one makes them, the others wait.
static MAKING: Mutex<()> = Mutex::new(());

/// Where images are kept.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The image of that name, made by `make` when it is not there; it is there whole or not at all.
pub(crate) fn kept(name: &str, make: impl FnOnce(&Path)) -> String {
    let _guard = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = folder().join(name);
    if !path.exists() {
        let part = path.with_extension("part");
        make(&part);
        std::fs::rename(&part, &path).unwrap();
    }
    path.display().to_string()
}

/// Runs a program that must succeed.
pub(crate) fn sh(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let tail = &out[out.floor_char_boundary(out.len().saturating_sub(2000))..];
    assert!(output.status.success(), "{program} {args:?}: {said}{tail}");
}

/// A floppy with SYSLINUX on it.
pub(crate) fn syslinux_floppy(kib: u32) -> String {
    kept(&format!("syslinux-{kib}.img"), |path| {
        let image = path.to_str().unwrap();
        let config = folder().join("syslinux.cfg");
        let text =
            "PROMPT 1\nTIMEOUT 0\nSAY hello from syslinux\nDEFAULT greet\nLABEL greet\nKERNEL nothing\n";
        std::fs::write(&config, text).unwrap();
        let _ = std::fs::remove_file(path);
        sh("mformat", &["-C", "-f", &kib.to_string(), "-i", image, "::"]);
        sh("mcopy", &["-i", image, config.to_str().unwrap(), "::"]);
        sh("syslinux", &["--install", image]);
    })
}

/// Debian's installer with ISOLINUX; the package has it for starting over the network.
pub(crate) fn installer_cd() -> Option<String> {
    const FILES: &str = "/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386";
    const ISOLINUX: &str = "/usr/lib/ISOLINUX/isolinux.bin";
    const MODULE: &str = "/usr/lib/syslinux/modules/bios/ldlinux.c32";
    let needed = [FILES, ISOLINUX, MODULE, "/usr/bin/xorriso"];
    if !available(&needed, "debian-installer-12-netboot-i386 isolinux syslinux-common xorriso") {
        return None;
    }
    Some(kept("installer.iso", |path| {
        let tree = folder().join("installer");
        std::fs::create_dir_all(tree.join("isolinux")).unwrap();
        let copy = |from: &str, to: &str| {
            std::fs::copy(from, tree.join(to)).unwrap();
        };
        copy(ISOLINUX, "isolinux/isolinux.bin");
        copy(MODULE, "isolinux/ldlinux.c32");
        copy(&format!("{FILES}/linux"), "linux");
        copy(&format!("{FILES}/initrd.gz"), "initrd.gz");
        // Text, not a framebuffer, so that it can be read.
        let config = "PROMPT 1\nTIMEOUT 0\nDEFAULT install\nLABEL install\nKERNEL /linux\n\
                      APPEND initrd=/initrd.gz nomodeset vga=normal ---\n";
        std::fs::write(tree.join("isolinux/isolinux.cfg"), config).unwrap();
        sh(
            "xorriso",
            &[
                "-as",
                "mkisofs",
                "-quiet",
                "-o",
                path.to_str().unwrap(),
                "-b",
                "isolinux/isolinux.bin",
                "-c",
                "isolinux/boot.cat",
                "-no-emul-boot",
                "-boot-load-size",
                "4",
                "-boot-info-table",
                tree.to_str().unwrap(),
            ],
        );
    }))
}
