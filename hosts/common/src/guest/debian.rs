//! A Debian i386 kernel and busybox, fetched through the system's own package manager, as a bootable pair.
//!
//! `apt-get` and `dpkg-deb` do the fetching, with lists and cache in a folder of their own: no root is
//! needed and the system's package state stays untouched. What is made of the packages is kept, so that
//! this happens once.
//!
//! Not supported: systems without apt (they are told which files to pass instead), Debian releases that
//! have no 32-bit kernel any more.

use super::apt::{Apt, make_folder, write};
use super::{modules, root, tar};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package that depends on the newest kernel without PAE, the one that runs on everything.
const KERNEL: &str = "linux-image-686";
const BUSYBOX: &str = "busybox-static";
/// Raised when the initramfs changes: what older versions have cached is not used then.
const LAYOUT: u32 = 2;

/// Drivers that go into the initramfs, with all that they need.
const DRIVERS: [&str; 17] = [
    "ne2k-pci",
    "8390",
    "ne",
    "e1000",
    "virtio_net",
    "virtio_pci",
    "ata_piix",
    "sd_mod",
    "sr_mod",
    "floppy",
    "psmouse",
    "ext4",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "loop",
];
/// Where those and what they need live under `kernel/`.
const FOLDERS: [&str; 12] = [
    "arch/x86/crypto/",
    "block/",
    "crypto/",
    "drivers/ata/",
    "drivers/block/",
    "drivers/cdrom/",
    "drivers/input/mouse/",
    "drivers/net/",
    "drivers/scsi/",
    "drivers/virtio/",
    "fs/",
    "lib/",
];

/// A kernel and an initramfs on disk, ready to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// bzImage.
    pub kernel: PathBuf,
    /// Initramfs (cpio).
    pub initrd: PathBuf,
    /// The kernel's version, such as `6.1.0-50-686`.
    pub version: String,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Fetching lists of packages: percent.
    Lists(u8),
    /// Fetching the packages: percent.
    Packages(u8),
    /// Unpacking them.
    Unpack,
    /// Making the initramfs.
    Build,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lists(percent) => write!(f, "fetching package lists: {percent} %"),
            Self::Packages(percent) => write!(f, "fetching the kernel and busybox: {percent} %"),
            Self::Unpack => write!(f, "unpacking"),
            Self::Build => write!(f, "making the initial RAM disk"),
        }
    }
}

/// Why there is no guest.
#[derive(Debug)]
pub enum GuestError {
    /// A program that fetching needs is not there.
    Missing(&'static str),
    /// A package is not to be had: which one, and what the package manager said.
    Package(String, String),
    /// A package does not have what it should: says what.
    Contents(String),
    /// A file could not be read or written.
    File(PathBuf, io::Error),
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(program) => write!(
                f,
                "the program '{program}' is not here, so Debian's packages cannot be fetched; pass a Linux \
                 kernel for i386 (bzImage, such as boot/vmlinuz-* of Debian's package {KERNEL}) with \
                 --kernel and an initramfs (cpio, busybox as /bin/busybox, a script as /init) with --initrd"
            ),
            Self::Package(package, said) if said.is_empty() => {
                write!(f, "the package {package} for i386 cannot be fetched (is the network up?)")
            }
            Self::Package(package, said) => {
                write!(f, "the package {package} for i386 cannot be fetched: {said}")
            }
            Self::Contents(what) => write!(f, "the packages are not as expected: {what}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for GuestError {}

/// The user's folder for things that can be fetched again: `nomad86` under `XDG_CACHE_HOME` or `~/.cache`.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("nomad86")
}

/// The guest from the folder `cache`, fetched and built first when it is not there yet.
///
/// # Errors
/// Says what is missing or went wrong; a later call starts afresh.
pub fn debian(cache: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Guest, GuestError> {
    let folder = cache.join(format!("debian-i386-{LAYOUT}"));
    if let Some(guest) = cached(&folder) {
        return Ok(guest);
    }
    progress(Progress::Lists(0));
    let apt = Apt::new(cache, &mut |percent| progress(Progress::Lists(percent)))?;
    let kernel = apt.depends(KERNEL)?.into_iter().find(|package| package.starts_with("linux-image-"));
    let kernel = kernel.ok_or_else(|| apt.missing(KERNEL, ""))?;
    progress(Progress::Packages(0));
    let packages = apt.download(&[&kernel, BUSYBOX], &mut |percent| progress(Progress::Packages(percent)))?;
    progress(Progress::Unpack);
    let parts = unpack(&packages)?;
    progress(Progress::Build);
    let initrd = root::initramfs(&parts);
    let made = apt.folder().join("made");
    make_folder(&made)?;
    write(&made.join("vmlinuz"), &parts.kernel)?;
    write(&made.join("initrd"), &initrd)?;
    write(&made.join("version"), parts.version.as_bytes())?;
    // Whole or not at all; when another process was faster, its result is as good.
    if let Err(error) = fs::rename(&made, &folder)
        && cached(&folder).is_none()
    {
        return Err(GuestError::File(folder, error));
    }
    cached(&folder).ok_or_else(|| GuestError::File(folder, io::ErrorKind::NotFound.into()))
}

fn cached(folder: &Path) -> Option<Guest> {
    let version = fs::read_to_string(folder.join("version")).ok()?;
    let guest = Guest { kernel: folder.join("vmlinuz"), initrd: folder.join("initrd"), version };
    (guest.kernel.is_file() && guest.initrd.is_file()).then_some(guest)
}

/// What of the packages goes into the guest.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) version: String,
    pub(super) kernel: Vec<u8>,
    pub(super) busybox: Vec<u8>,
    /// Name of the module → path under `lib/modules/VERSION/`.
    pub(super) files: BTreeMap<String, String>,
    /// Name of the module → contents.
    pub(super) modules: BTreeMap<String, Vec<u8>>,
}

fn unpack(packages: &[PathBuf]) -> Result<Parts, GuestError> {
    let mut parts = Parts::default();
    for package in packages {
        let mut child = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| GuestError::Missing("dpkg-deb"))?;
        let read = match child.stdout.take() {
            Some(stream) => tar::for_each(BufReader::new(stream), wanted, |member, contents| {
                parts.take(&member.path, contents);
            }),
            None => Ok(()),
        };
        let ended = child.wait();
        read.map_err(|error| GuestError::File(package.clone(), error))?;
        if !ended.is_ok_and(|status| status.success()) {
            return Err(GuestError::Contents(format!("{} cannot be unpacked", package.display())));
        }
    }
    for (what, there) in [("a kernel", !parts.kernel.is_empty()), ("busybox", !parts.busybox.is_empty())] {
        if !there {
            return Err(GuestError::Contents(format!("no {what} in them")));
        }
    }
    parts.keep_drivers()?;
    Ok(parts)
}

fn wanted(member: &tar::Member) -> bool {
    let path = &member.path;
    path.starts_with("boot/vmlinuz-") || path.ends_with("bin/busybox") || {
        let inside = path.split_once("/kernel/").map_or("", |(_, inside)| inside);
        inside.contains(".ko") && FOLDERS.iter().any(|folder| inside.starts_with(folder))
    }
}

impl Parts {
    fn take(&mut self, path: &str, contents: Vec<u8>) {
        if let Some(version) = path.strip_prefix("boot/vmlinuz-") {
            version.clone_into(&mut self.version);
            self.kernel = contents;
        } else if path.ends_with("bin/busybox") {
            self.busybox = contents;
        } else if let Some(place) = path.find("kernel/") {
            let name = modules::name(path);
            self.files.insert(name.clone(), path[place..].to_owned());
            self.modules.insert(name, contents);
        }
    }

    /// Leaves out the modules that no driver of the list needs; the rest is decompressed.
    fn keep_drivers(&mut self) -> Result<(), GuestError> {
        let mut keep = BTreeSet::new();
        let mut waiting: Vec<String> = DRIVERS.iter().map(|driver| modules::name(driver)).collect();
        while let Some(name) = waiting.pop() {
            let Some((file, module)) = self.files.get_mut(&name).zip(self.modules.get_mut(&name)) else {
                continue;
            };
            if keep.insert(name) {
                decompress(file, module)?;
                waiting.extend(modules::needs(module));
            }
        }
        self.files.retain(|name, _| keep.contains(name));
        self.modules.retain(|name, _| keep.contains(name));
        Ok(())
    }
}

/// Turns a compressed module into a plain one, its file's name as well.
fn decompress(file: &mut String, module: &mut Vec<u8>) -> Result<(), GuestError> {
    let Some((stem, kind)) = file.rsplit_once('.').filter(|(_, kind)| *kind != "ko") else { return Ok(()) };
    let program = match kind {
        "xz" => "xz",
        "zst" => "zstd",
        "gz" => "gzip",
        _ => return Err(GuestError::Contents(format!("module {file} is packed in an unknown way"))),
    };
    *module = filter(program, module)?;
    *file = stem.to_owned();
    Ok(())
}

/// `program -dc` applied to bytes.
fn filter(program: &'static str, input: &[u8]) -> Result<Vec<u8>, GuestError> {
    use std::io::Write;
    let mut child = Command::new(program)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| GuestError::Missing(program))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    });
    match output {
        Ok(output) if output.status.success() => Ok(output.stdout),
        _ => Err(GuestError::Contents(format!("a kernel module that {program} does not understand"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_modules_are_unpacked_with_what_they_need_and_the_rest_is_left_out() {
        let mut parts = Parts::default();
        parts.take("lib/modules/6/kernel/drivers/net/8390.ko", b"\0depends=\0".to_vec());
        parts.take("lib/modules/6/kernel/drivers/net/ne2k-pci.ko", b"\0depends=8390\0".to_vec());
        parts.take("lib/modules/6/kernel/drivers/net/other.ko", b"\0depends=8390\0".to_vec());
        parts.keep_drivers().expect("they are plain");
        let names: Vec<&str> = parts.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["8390", "ne2k_pci"]);
        assert_eq!(parts.files["8390"], "kernel/drivers/net/8390.ko");
        parts.take("lib/modules/6/kernel/fs/vfat.ko.rar", Vec::new());
        assert!(matches!(parts.keep_drivers(), Err(GuestError::Contents(_))));
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = GuestError::Package("linux-image-686".into(), String::new());
        assert!(error.to_string().contains("is the network up?"));
        assert!(GuestError::Missing("apt-get").to_string().contains("--initrd"));
    }

    #[test]
    fn a_cache_that_is_not_whole_is_not_used() {
        let folder = std::env::temp_dir().join(format!("nomad86-guest-test-{}", std::process::id()));
        make_folder(&folder).expect("it can be made");
        write(&folder.join("version"), b"6").expect("it can be written");
        write(&folder.join("vmlinuz"), b"k").expect("it can be written");
        assert_eq!(cached(&folder), None);
        write(&folder.join("initrd"), b"i").expect("it can be written");
        let guest = cached(&folder).expect("now it is whole");
        assert_eq!(guest.version, "6");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
