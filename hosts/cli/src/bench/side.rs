//! Where loads run: this host, our machine, or a peer of it.

use crate::outcome::Failure;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// RAM of the guests, in MiB.
const MEMORY: &str = "512";
const CONSOLE: &str = "console=ttyS0 quiet";

/// One column of the table.
pub(super) struct Side {
    pub(super) name: &'static str,
    /// The same with its version.
    pub(super) version: String,
    how: How,
}

enum How {
    /// In a changed root.
    Native(PathBuf),
    Ours {
        program: PathBuf,
        engine: &'static str,
    },
    Qemu(PathBuf),
    /// The folder with the script that runs it, and the package.
    V86(PathBuf),
}

/// What a guest starts from.
#[derive(Clone, Copy)]
pub(super) struct Boot<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initrd: &'a Path,
    /// Argument of init.
    pub(super) loads: &'a str,
}

impl Side {
    /// The loads as programs of this host.
    pub(super) fn native(root: &Path) -> Self {
        Self { name: "native", version: uname(), how: How::Native(root.to_owned()) }
    }

    /// The loads in a machine of ours.
    pub(super) fn ours(name: &'static str, program: &Path, engine: &'static str) -> Self {
        let version = format!("nomad86 {}, --engine {engine}", env!("CARGO_PKG_VERSION"));
        Self { name, version, how: How::Ours { program: program.to_owned(), engine } }
    }

    /// QEMU without hardware virtualisation, or why not.
    pub(super) fn qemu() -> Result<Self, String> {
        let program =
            on_path("qemu-system-i386").ok_or("qemu-system-i386 is not here (package qemu-system-x86)")?;
        let version = first_line(Command::new(&program).arg("--version"))?;
        Ok(Self { name: "QEMU TCG", version: format!("{version}, -accel tcg"), how: How::Qemu(program) })
    }

    /// v86 in Node.js, or why not.
    pub(super) fn v86(folder: &Path) -> Result<Self, String> {
        let node = on_path("node").ok_or("node is not here (package nodejs)")?;
        let package = folder.join("node_modules/v86/package.json");
        let text = std::fs::read_to_string(&package)
            .map_err(|_| format!("its npm package is not here (npm ci in {})", folder.display()))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", package.display()))?;
        let version = json["version"].as_str().unwrap_or("of an unknown version");
        let node = first_line(Command::new(node).arg("--version"))?;
        Ok(Self {
            name: "v86",
            version: format!("v86 {version}, Node.js {node}"),
            how: How::V86(folder.to_owned()),
        })
    }

    pub(super) fn is_native(&self) -> bool {
        matches!(self.how, How::Native(_))
    }

    /// A command that runs loads and says on its output what it does.
    pub(super) fn command(&self, boot: Boot<'_>) -> Command {
        let append = match boot.loads {
            "" => CONSOLE.to_owned(),
            loads => format!("{CONSOLE} -- {loads}"),
        };
        match &self.how {
            How::Native(root) => changed_root(root, boot.loads),
            How::Ours { program, engine } => {
                let mut command = Command::new(program);
                command.args(["run", "--engine", engine, "-m", MEMORY, "--nic", "none"]);
                command.args(["--serial", "stdio", "--display", "none", "--no-reboot"]);
                linux(command, boot, &append)
            }
            How::Qemu(program) => {
                let mut command = Command::new(program);
                command.args(["-accel", "tcg", "-m", MEMORY, "-nodefaults", "-nographic", "-no-reboot"]);
                command.args(["-serial", "stdio"]);
                linux(command, boot, &append)
            }
            How::V86(folder) => {
                let mut command = Command::new("node");
                command.args(["--experimental-websocket", "--no-warnings"]).arg(folder.join("client.mjs"));
                command.args([boot.kernel, boot.initrd]).args(["", MEMORY, &append]).current_dir(folder);
                // It runs while its input is open.
                command.stdin(Stdio::piped());
                command
            }
        }
    }
}

fn linux(mut command: Command, boot: Boot<'_>, append: &str) -> Command {
    command.arg("-kernel").arg(boot.kernel).arg("-initrd").arg(boot.initrd).args(["-append", append]);
    command.stdin(Stdio::null());
    command
}

/// The driver with the tree as its root, in namespaces of its own: what is mounted goes away with it.
fn changed_root(root: &Path, loads: &str) -> Command {
    let mut command = Command::new("unshare");
    let root_user = first_line(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    if !root_user {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--", "/bin/sh", "-c"]);
    command.arg(
        "mount --rbind /dev \"$0/dev\" && mount --rbind /proc \"$0/proc\" && mount -t tmpfs tmpfs \"$0/tmp\" \
         && exec chroot \"$0\" /init \"$1\"",
    );
    command.arg(root).arg(loads).stdin(Stdio::null());
    command
}

fn uname() -> String {
    first_line(Command::new("uname").args(["-srm"])).unwrap_or_default()
}

/// The first line that a program prints.
fn first_line(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// A program of the search path.
fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Where the script for v86 is kept, in the source tree that this was built from.
pub(super) fn v86_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../native/tests/v86")
}

/// The running program.
pub(super) fn ourselves() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::host(format!("nomad86 itself: {error}")))
}
