//! A folder tree of Debian i386 programs with all that they need, for a changed root or an initramfs.
//!
//! Fetched and kept like the kernel ([`super::debian()`]).
//!
//! Not supported: packages whose programs work only after their installation scripts ran.

use super::apt::{Apt, make_folder, write};
use super::debian::{GuestError, Progress};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Needed by what installs packages, not by their programs.
const WITHOUT: [&str; 3] = ["dpkg", "tar", "debianutils"];
/// What nobody reads in there.
const EXCLUDED: [&str; 6] = [
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/info",
    "./usr/share/locale",
    "*/gconv",
    "*/__pycache__",
];
/// The file that lists what is in it; the tree is whole when it is there.
const PACKAGES: &str = "packages";

/// A tree of programs on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Its root.
    pub root: PathBuf,
    /// The packages that it is made of, as `NAME VERSION`.
    pub packages: Vec<String>,
}

/// The tree of these packages from the folder `cache`, fetched and unpacked first when it is not there yet.
/// `layout` names it; another list needs another name.
///
/// # Errors
/// Says what is missing or went wrong; a later call starts afresh.
pub fn programs(
    cache: &Path,
    layout: &str,
    packages: &[&str],
    progress: &mut dyn FnMut(Progress),
) -> Result<Programs, GuestError> {
    let folder = cache.join(layout);
    if let Some(programs) = cached(&folder) {
        return Ok(programs);
    }
    progress(Progress::Lists(0));
    let apt = Apt::new(cache, &mut |percent| progress(Progress::Lists(percent)))?;
    let mut names = apt.closure(packages)?;
    names.retain(|name| !WITHOUT.contains(&name.as_str()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    progress(Progress::Packages(0));
    let files = apt.download(&names, &mut |percent| progress(Progress::Packages(percent)))?;
    progress(Progress::Unpack);
    let made = apt.folder().join("made");
    let root = made.join("root");
    // All Debian systems have merged these; not all packages know.
    for name in ["bin", "sbin", "lib"] {
        make_folder(&root.join("usr").join(name))?;
        link(&Path::new("usr").join(name), &root.join(name))?;
    }
    for name in ["dev", "proc", "tmp"] {
        make_folder(&root.join(name))?;
    }
    for file in &files {
        unpack(file, &root)?;
    }
    let versions: Vec<String> = files.iter().filter_map(|file| version(file)).collect();
    write(&made.join(PACKAGES), versions.join("\n").as_bytes())?;
    // Whole or not at all; when another process was faster, its result is as good.
    if let Err(error) = fs::rename(&made, &folder)
        && cached(&folder).is_none()
    {
        return Err(GuestError::File(folder, error));
    }
    cached(&folder).ok_or_else(|| GuestError::File(folder, std::io::ErrorKind::NotFound.into()))
}

fn cached(folder: &Path) -> Option<Programs> {
    let packages = fs::read_to_string(folder.join(PACKAGES)).ok()?;
    let root = folder.join("root");
    root.is_dir().then(|| Programs { root, packages: packages.lines().map(str::to_owned).collect() })
}

/// Name and version as a package's file is called: `NAME_VERSION_i386.deb`, the version with `%3a` for a colon.
fn version(file: &Path) -> Option<String> {
    let mut parts = file.file_name()?.to_str()?.split('_');
    Some(format!("{} {}", parts.next()?, parts.next()?.replace("%3a", ":")))
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> Result<(), GuestError> {
    std::os::unix::fs::symlink(target, path).map_err(|error| GuestError::File(path.to_owned(), error))
}

#[cfg(not(unix))]
fn link(_: &Path, path: &Path) -> Result<(), GuestError> {
    Err(GuestError::File(path.to_owned(), std::io::ErrorKind::Unsupported.into()))
}

/// `dpkg-deb | tar`: links, modes and times as in the package.
fn unpack(package: &Path, root: &Path) -> Result<(), GuestError> {
    let mut contents = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| GuestError::Missing("dpkg-deb"))?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--keep-directory-symlink", "--no-same-owner", "-C"]).arg(root);
    tar.args(EXCLUDED.map(|pattern| format!("--exclude={pattern}")));
    if let Some(stream) = contents.stdout.take() {
        tar.stdin(stream);
    }
    let unpacked = tar.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let read = contents.wait();
    match unpacked {
        Err(_) => Err(GuestError::Missing("tar")),
        Ok(status) if status.success() && read.is_ok_and(|status| status.success()) => Ok(()),
        Ok(_) => Err(GuestError::Contents(format!("{} cannot be unpacked", package.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_file_names_its_version() {
        let file = Path::new("/x/zlib1g_1%3a1.2.13.dfsg-1_i386.deb");
        assert_eq!(version(file).as_deref(), Some("zlib1g 1:1.2.13.dfsg-1"));
        assert_eq!(version(Path::new("/x/other.deb")), None);
    }

    #[test]
    fn a_tree_without_its_list_is_not_taken_for_whole() {
        let folder = std::env::temp_dir().join(format!("nomad86-programs-{}", std::process::id()));
        fs::create_dir_all(folder.join("root")).expect("a folder");
        assert_eq!(cached(&folder), None);
        fs::write(folder.join(PACKAGES), "a 1\nb 2").expect("a list");
        let programs = cached(&folder).expect("whole");
        assert_eq!(programs.packages, ["a 1", "b 2"]);
        fs::remove_dir_all(&folder).expect("removable");
    }
}
