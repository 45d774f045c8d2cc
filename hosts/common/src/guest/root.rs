//! The initramfs of the small Linux guest.

use super::cpio::Cpio;
use super::debian::Parts;
use super::modules;

const INIT: &str = include_str!("init.sh");
const UDHCPC: &str = include_str!("udhcpc.sh");
const MOTD: &str = include_str!("motd");

/// Puts it together.
pub(super) fn initramfs(parts: &Parts) -> Vec<u8> {
    let mut root = Cpio::new();
    for folder in ["bin", "dev", "etc", "lib", "mnt", "proc", "root", "run", "sys", "tmp", "var"] {
        root.directory(folder, if folder == "tmp" { 0o1777 } else { 0o755 });
    }
    // Before devtmpfs is mounted these are all that there is.
    root.character_device("dev/console", 0o600, 5, 1);
    root.character_device("dev/tty", 0o666, 5, 0);
    root.character_device("dev/null", 0o666, 1, 3);
    root.character_device("dev/ttyS0", 0o600, 4, 64);
    root.file("init", 0o755, INIT.as_bytes());
    root.file("bin/busybox", 0o755, &parts.busybox);
    root.link("bin/sh", "busybox");
    root.link("sbin", "bin");
    root.file("etc/udhcpc.sh", 0o755, UDHCPC.as_bytes());
    root.file("etc/motd", 0o644, MOTD.as_bytes());
    root.file("etc/passwd", 0o644, b"root::0:0:root:/root:/bin/sh\n");
    root.file("etc/group", 0o644, b"root:x:0:\n");
    root.file("etc/hosts", 0o644, b"127.0.0.1 localhost nomad86\n");
    root.file("etc/profile", 0o644, b"export PS1='\\w # '\ncd\n");
    let base = format!("lib/modules/{}", parts.version);
    let mut known = std::collections::BTreeSet::new();
    for (name, file) in &parts.files {
        let path = format!("{base}/{file}");
        for (place, _) in path.match_indices('/') {
            if place > "lib".len() && known.insert(path[..place].to_owned()) {
                root.directory(&path[..place], 0o755);
            }
        }
        root.file(&path, 0o644, &parts.modules[name]);
    }
    let names = parts.files.keys().cloned().collect();
    let lists = [
        ("modules.dep", modules::dependencies(&parts.files, &parts.modules)),
        ("modules.alias", modules::aliases(&parts.modules, &names)),
    ];
    for (file, text) in lists {
        root.file(&format!("{base}/{file}"), 0o644, text.as_bytes());
    }
    root.finish()
}
