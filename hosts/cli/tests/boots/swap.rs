//! Media that are exchanged under a running guest, and disks that cannot take what is written.

use super::images::{folder, kept};
use super::live::{Live, guest};
use std::path::Path;

/// Errors of drives are asked for here; the kernel need not tell of them as well.
const APPEND: &str = "console=ttyS0 quiet loglevel=1";

/// A medium that begins with a text.
fn medium(name: &str, text: &str, bytes: usize) -> String {
    kept(name, |path: &Path| {
        let mut contents = format!("{text}\n").into_bytes();
        contents.resize(bytes, 0);
        std::fs::write(path, contents).unwrap();
    })
}

#[test]
fn a_cd_is_exchanged_ejected_and_held_fast_while_it_is_in_use() {
    let Some(guest) = guest() else { return };
    let one = medium("disc-1.iso", "disc one", 1 << 20);
    let two = medium("disc-2.iso", "disc two", 2 << 20);
    let mut live = Live::guest("cd", &guest, &["-m", "128", "-cdrom", &one, "-append", APPEND]);
    let read = "head -n 1 /dev/sr0; cat /sys/block/sr0/size";
    assert_eq!(live.ask(read), "disc one\n2048");
    assert_eq!(live.monitor(&format!("change cd {two}")), "");
    assert_eq!(live.ask(read), "disc two\n4096");
    assert_eq!(live.monitor("eject cd"), "");
    let gone = live.ask(read);
    assert!(gone.contains("No medium found"), "{gone}");
    assert_eq!(live.monitor(&format!("change cd {one}")), "");
    assert_eq!(live.ask(read), "disc one\n2048");
    // Whoever has it open locks the tray.
    assert_eq!(live.ask("exec 3</dev/sr0; echo open"), "open");
    let refused = live.monitor("eject cd");
    assert!(refused.contains("has locked the drive"), "{refused}");
    assert_eq!(live.ask(read), "disc one\n2048");
    assert_eq!(live.ask("exec 3<&-; echo closed"), "closed");
    assert_eq!(live.monitor("eject cd"), "");
    let missing = live.monitor("change cd /nowhere.iso");
    assert!(missing.contains("/nowhere.iso") && missing.lines().count() == 1, "{missing}");
    live.say("poweroff -f");
    assert_eq!(live.ends(), 0);
}

/// Asks until the answer begins like this: Linux's floppy driver fails once when it finds a medium exchanged, in
/// QEMU as here.
fn ask_again(live: &mut Live, command: &str, expected: &str) {
    let mut answer = String::new();
    for _ in 0..5 {
        answer = live.ask(command);
        if answer.starts_with(expected) {
            return;
        }
    }
    panic!("{command}: {answer:?}, not {expected:?}");
}

#[test]
fn a_floppy_is_exchanged_and_ejected() {
    let Some(guest) = guest() else { return };
    let one = medium("floppy-1.img", "floppy one", 1440 << 10);
    let two = medium("floppy-2.img", "floppy two", 720 << 10);
    let mut live = Live::guest("floppy", &guest, &["-m", "128", "-fda", &one, "-append", APPEND]);
    live.ask("modprobe floppy");
    let read = "head -n 1 /dev/fd0; cat /sys/block/fd0/size";
    assert_eq!(live.ask(read), "floppy one\n2880");
    assert_eq!(live.monitor(&format!("change a {two}")), "");
    ask_again(&mut live, read, "floppy two\n1440");
    assert_eq!(live.monitor("eject a"), "");
    ask_again(&mut live, "head -n 1 /dev/fd0", "head: ");
    assert_eq!(live.monitor(&format!("change a {one}")), "");
    ask_again(&mut live, read, "floppy one\n2880");
    let none = live.monitor(&format!("change b {one}"));
    assert!(none.contains("no such drive"), "{none}");
}

/// A shell function that writes 64 KiB at a MiB of the only disk, and shows how the disk begins.
fn can_write(live: &mut Live) {
    live.ask("w() { dd if=/dev/zero of=/dev/sda bs=64k count=1 seek=$(($1*16)) $2 2>&1; }");
    live.ask("s() { sync; echo 1 >/proc/sys/vm/drop_caches; head -n 1 /dev/sda; }");
}

#[test]
fn a_full_disk_is_an_error_to_the_guest_and_nothing_else() {
    let Some(guest) = guest() else { return };
    let full = folder().join(format!("full-{}.img", std::process::id()));
    std::fs::write(&full, "a disk\n").unwrap();
    std::fs::File::options().write(true).open(&full).unwrap().set_len(200 << 20).unwrap();
    // Files of the program may grow to 128 MiB: further back the disk is full.
    let limit = "trap '' XFSZ; ulimit -f 262144;";
    let drive = format!("file={},format=raw", full.display());
    let mut live =
        Live::guest_under("full", limit, &guest, &["-m", "128", "-drive", &drive, "-append", APPEND]);
    can_write(&mut live);
    let sync = "conv=fsync";
    assert!(!live.ask(&format!("w 10 {sync}")).contains("error"));
    assert_eq!(live.ask("s"), "a disk");
    let refused = live.ask(&format!("w 150 {sync}"));
    assert!(refused.contains("Input/output error"), "{refused}");
    assert_eq!(live.ask("s"), "a disk");
    assert!(!live.ask(&format!("w 11 {sync}")).contains("error"), "the disk goes on");
    live.say("poweroff -f");
    assert_eq!(live.ends(), 0);
    std::fs::remove_file(&full).unwrap();
}

#[test]
fn a_read_only_disk_is_an_error_to_the_guest_and_nothing_else() {
    let Some(guest) = guest() else { return };
    let protected = medium("protected.img", "protected", 1 << 20);
    let drive = format!("file={protected},format=raw,readonly=on");
    let mut live = Live::guest("protected", &guest, &["-m", "128", "-drive", &drive, "-append", APPEND]);
    can_write(&mut live);
    let refused = live.ask("w 0 conv=fsync");
    assert!(refused.contains("error") || refused.contains("not permitted"), "{refused}");
    assert_eq!(live.ask("s"), "protected");
    live.say("poweroff -f");
    assert_eq!(live.ends(), 0);
    assert!(std::fs::read(&protected).unwrap().starts_with(b"protected"));
}
