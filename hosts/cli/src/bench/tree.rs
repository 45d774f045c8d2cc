//! The tree with the loads' programs: Debian's from packages, our own compiled, and an initramfs of all.

use super::loads;
use crate::files;
use crate::outcome::Failure;
use nomad86_host::guest::cpio::Cpio;
use nomad86_host::guest::{self, Programs};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our own programs: name, source, and what the compiler is told besides.
const PROGRAMS: [(&str, &str, &[&str]); 5] = [
    ("driver", include_str!("programs/driver.c"), &["-O2"]),
    ("kernels", include_str!("programs/kernels.c"), &["-O2"]),
    ("codegen", include_str!("programs/codegen.c"), &["-O2"]),
    ("x87", include_str!("programs/float.c"), &["-O2", "-mno-sse", "-mfpmath=387"]),
    ("sse2", include_str!("programs/float.c"), &["-O3", "-msse2", "-mfpmath=sse"]),
];

const SCRIPTS: [(&str, &str); 8] = [
    ("fannkuch.lua", include_str!("programs/fannkuch.lua")),
    ("nbody.lua", include_str!("programs/nbody.lua")),
    ("words.lua", include_str!("programs/words.lua")),
    ("queens.py", include_str!("programs/queens.py")),
    ("words.pl", include_str!("programs/words.pl")),
    ("fib.pl", include_str!("programs/fib.pl")),
    ("tables.sql", include_str!("programs/tables.sql")),
    ("digits.bc", include_str!("programs/digits.bc")),
];

/// Raised when the list of packages changes.
const LAYOUT: &str = "bench-i386-1";

/// What all sides run.
pub(super) struct Tree {
    pub(super) programs: Programs,
    pub(super) initrd: PathBuf,
}

/// Fetches what is not there, compiles, packs.
pub(super) fn build(progress: &mut dyn FnMut(String)) -> Result<Tree, Failure> {
    let cache = guest::cache_folder();
    let mut report = |step| match step {
        guest::Progress::Packages(percent) => progress(format!("fetching Debian's programs: {percent} %")),
        other => progress(other.to_string()),
    };
    let programs = guest::programs(&cache, LAYOUT, &loads::PACKAGES, &mut report)
        .map_err(|error| Failure::configuration(error.to_string()))?;
    progress("compiling and packing".to_owned());
    let folder = programs.root.join("bench");
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    for (name, source, options) in PROGRAMS {
        compile(&folder, name, source, options)?;
    }
    for (name, text) in SCRIPTS {
        files::replace("the script", &folder.join(name), text.as_bytes())?;
    }
    files::replace("the list of loads", &folder.join("loads"), loads::file().as_bytes())?;
    files::replace("the text", &folder.join("text"), &text(&programs.root)?)?;
    let init = programs.root.join("init");
    fs::copy(folder.join("driver"), &init).map_err(|error| failed(&init, &error))?;
    let initrd = programs.root.with_file_name("initrd.cpio");
    files::replace("the initramfs", &initrd, &archive(&programs.root)?)?;
    Ok(Tree { programs, initrd })
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::host(format!("{}: {}", path.display(), files::reason(error)))
}

/// Compiles a program for 32 bits and without libraries, unless it is as it would be.
fn compile(folder: &Path, name: &str, source: &str, options: &[&str]) -> Result<(), Failure> {
    let (program, kept) = (folder.join(name), folder.join(format!("{name}.c")));
    let marked = format!("/* {} */\n{source}", options.join(" "));
    if program.is_file() && fs::read_to_string(&kept).is_ok_and(|text| text == marked) {
        return Ok(());
    }
    let _ = fs::remove_file(&kept);
    let (input, made) = (folder.join(format!("{name}.new.c")), folder.join(format!("{name}.new")));
    files::replace("the source", &input, marked.as_bytes())?;
    let output = Command::new("gcc")
        .args(["-m32", "-static", "-march=i686"])
        .args(options)
        .arg("-o")
        .args([&made, &input])
        .arg("-lm")
        .output()
        .map_err(|error| Failure::configuration(format!("gcc, which compiles the loads: {error}")))?;
    if output.status.success() {
        let moved = fs::rename(&made, &program).and_then(|()| fs::rename(&input, &kept));
        return moved.map_err(|error| failed(&program, &error));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let first = message.lines().next().unwrap_or("it says nothing");
    Err(Failure::configuration(format!("gcc -m32 cannot compile the loads (install gcc-multilib): {first}")))
}

/// Some megabytes of text to pack and sort: Python's own modules.
fn text(root: &Path) -> Result<Vec<u8>, Failure> {
    let lib = root.join("usr/lib");
    let mut names = Vec::new();
    for folder in entries(&lib)?.iter().filter(|path| name(path).starts_with("python3")) {
        names.extend(entries(folder)?.into_iter().filter(|path| name(path).ends_with(".py")));
    }
    let mut text = Vec::new();
    for path in names {
        text.extend(fs::read(&path).map_err(|error| failed(&path, &error))?);
    }
    if text.len() < 1 << 20 {
        let error = format!("{}: Python's modules, the text of some loads, are not there", lib.display());
        return Err(Failure::configuration(error));
    }
    Ok(text)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let list = fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    let mut paths = Vec::new();
    for entry in list {
        paths.push(entry.map_err(|error| failed(folder, &error))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn archive(root: &Path) -> Result<Vec<u8>, Failure> {
    let mut archive = Cpio::new();
    add(&mut archive, root, root)?;
    archive.character_device("dev/console", 0o600, 5, 1);
    archive.character_device("dev/null", 0o666, 1, 3);
    Ok(archive.finish())
}

fn add(archive: &mut Cpio, root: &Path, folder: &Path) -> Result<(), Failure> {
    for path in entries(folder)? {
        let inside = path.strip_prefix(root).ok().and_then(Path::to_str);
        let inside =
            inside.ok_or_else(|| Failure::host(format!("{}: a name that is not UTF-8", path.display())))?;
        let meta = fs::symlink_metadata(&path).map_err(|error| failed(&path, &error))?;
        let permissions = meta.permissions().mode() & 0o7777;
        if meta.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| failed(&path, &error))?;
            archive.link(inside, &target.to_string_lossy());
        } else if meta.is_dir() {
            archive.directory(inside, permissions);
            add(archive, root, &path)?;
        } else if meta.is_file() {
            archive.file(inside, permissions, &fs::read(&path).map_err(|error| failed(&path, &error))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_files_links_folders_and_a_console() {
        let root = std::env::temp_dir().join(format!("nomad86-bench-tree-{}", std::process::id()));
        for folder in ["dev", "usr/bin"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        fs::write(root.join("usr/bin/x"), "hello").expect("a file");
        std::os::unix::fs::symlink("usr/bin", root.join("bin")).expect("a link");
        let bytes = archive(&root).expect("readable");
        fs::remove_dir_all(&root).expect("removable");
        let text = String::from_utf8_lossy(&bytes);
        for part in ["usr/bin/x\0", "hello", "bin\0", "dev/console\0", "TRAILER!!!"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
