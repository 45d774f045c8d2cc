//! Options, files and devices that cannot be used: one clear line that names them, and exit code 2.
#![allow(missing_docs)]
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nomad86");

/// Files of every wrong kind, each under the name that the table gives it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("folder")).unwrap();
        let write = |name: &str, contents: &[u8]| std::fs::write(folder.join(name), contents).unwrap();
        write("empty", b"");
        write("odd", &[0x5A; 1300]);
        // A BIOS that waits for ever: sti; hlt; jmp.
        let mut bios = vec![0xFF; 64 << 10];
        bios[0xFFF0..0xFFF4].copy_from_slice(&[0xFB, 0xF4, 0xEB, 0xFC]);
        write("bios", &bios);
        write("disk", &[0; 64 << 10]);
        write("huge", &[0; 2 << 20]);
        // A kernel's boot sector with nothing behind it.
        let mut kernel = vec![0; 1024];
        kernel[0x1F1] = 4;
        kernel[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x206..0x208].copy_from_slice(&[0x0A, 0x02]);
        write("cut", &kernel);
        write("rom", &{
            let mut rom = vec![0; 1 << 20];
            rom[..2].copy_from_slice(&[0x55, 0xAA]);
            rom
        });
        write("wrong.toml", b"memory = 64\ncolour = 'red'\n");
        write("broken.toml", b"memory 64\n");
        write("value.toml", b"memory = 'much'\n");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Unreadable to everybody, root too: reading address 0 of the reader itself.
const UNREADABLE: &str = "/proc/self/mem";

/// Words of the command line, in which `@` is the folder, and what is to be in the message.
const CASES: &[(&str, &str)] = &[
    // Numbers and names.
    ("-m 0", "--memory"),
    ("-m 5000", "--memory"),
    ("-m much", "--memory"),
    ("-m", "--memory"),
    ("-cpu z80", "--cpu"),
    ("-engine kvm", "--engine"),
    ("-windows perhaps", "--windows"),
    ("-jit-threshold 70000", "--jit-threshold"),
    ("-code-cache 1", "--code-cache"),
    ("-code-cache 3M", "from 4 to 1024"),
    ("-code-cache 2G", "from 4 to 1024"),
    ("-machine-type q35", "--machine-type q35"),
    ("-device toaster", "toaster"),
    ("-device isa-debug-exit,iobase=0x10000", "iobase=0x10000"),
    ("-device isa-debug-exit,iobase=0xffff,iosize=2", "iosize=2"),
    ("-rtc base=never", "base=never"),
    ("-icount shift=99", "--icount"),
    ("-uuid 1", "--uuid"),
    ("-boot x", "'x' is no boot device"),
    ("-mac borrow", "--mac"),
    ("-seed x", "--seed"),
    ("-timeout never", "--timeout"),
    ("-limit -1", "--limit"),
    ("-send-keys hyper-a", "hyper-a"),
    ("-expect=", "--expect"),
    ("-dump-memory 0:1", "--dump-state"),
    ("-dump-memory nothing", "--dump-memory"),
    ("-post-log 65536,@/log", "65536"),
    ("-display mirror", "--display"),
    ("-display term", "--display term"),
    ("-serial pipe:x", "--serial"),
    ("-serial stdio -serial stdio", "--serial stdio"),
    ("-serial none -serial none -serial none -serial none -serial none", "the machine has 4"),
    ("-monitor x", "--monitor"),
    ("-debugcon x", "--debugcon"),
    ("-nic pigeon", "pigeon"),
    ("-nic user,hostfwd=x", "hostfwd"),
    ("-nic user,model=pigeon", "pigeon"),
    ("-net http://x", "ws://"),
    ("-append a", "--append goes with --kernel"),
    ("-initrd a", "--initrd goes with --kernel"),
    ("-nonsense", "--nonsense"),
    ("-nonsense=1", "--nonsense"),
    ("word", "word"),
    ("-no-reboot=1", "--no-reboot"),
    ("-reboot-on-triple-fault=1", "--reboot-on-triple-fault"),
    ("-exit-on-halt=1", "--exit-on-halt"),
    ("-snapshot=1", "--snapshot"),
    ("-nographic=1", "--nographic"),
    ("-changed-disks=1", "--changed-disks"),
    ("-stats=1", "--stats"),
    ("-sandbox=1", "--sandbox"),
    ("-sandbox-folder @/folder", "goes with --sandbox"),
    ("-sandbox -sandbox-folder=@/absent", "--sandbox-folder @/absent: that is no folder"),
    ("-sandbox -sandbox-folder=@/empty", "--sandbox-folder @/empty: that is no folder"),
    ("-type", "--type"),
    ("-send", "--send"),
    // Images.
    ("-hda @/absent", "@/absent"),
    ("-hda @/empty", "@/empty"),
    ("-hda @/odd", "1300 bytes"),
    ("-hda @/folder", "@/folder"),
    ("-hda /dev/null", "/dev/null"),
    ("-hdb @/absent", "@/absent"),
    ("-hdc @/absent", "@/absent"),
    ("-hdd @/absent", "@/absent"),
    ("-hda @/disk -hdb @/disk", "@/disk"),
    ("-hda @/disk -drive file=@/odd,index=0", "ide drive 0"),
    ("-cdrom @/absent", "@/absent"),
    ("-cdrom @/empty", "@/empty"),
    ("-cdrom @/odd", "@/odd"),
    ("-cdrom @/folder", "@/folder"),
    ("-fda @/absent", "@/absent"),
    ("-fda @/empty", "@/empty"),
    ("-fdb @/odd", "@/odd"),
    ("-fdb @/folder", "@/folder"),
    ("-drive x", "'x'"),
    ("-drive file=@/absent", "@/absent"),
    ("-drive file=@/disk,format=overlay", "@/disk"),
    ("-drive file=@/disk,index=9", "index=9"),
    ("-overlay @/new", "--overlay"),
    ("-hda @/disk -overlay @/absent/new", "@/absent/new"),
    ("-hda @/disk -overlay @/odd", "@/odd"),
    ("-hda @/disk -overlay @/new -snapshot", "--snapshot"),
    // Firmware and kernels.
    ("-bios @/absent", "@/absent"),
    ("-bios @/empty", "@/empty"),
    ("-bios @/odd", "BIOS image of 1300 bytes"),
    ("-bios @/folder", "@/folder"),
    ("-bios /proc/self/mem", UNREADABLE),
    ("-bios @/huge", "BIOS image of 2097152 bytes"),
    ("-vga-bios @/absent", "@/absent"),
    ("-vga-bios @/odd", "@/odd"),
    ("-vga-bios @/rom", "VGA BIOS image of 1048576 bytes"),
    ("-option-rom @/empty", "@/empty"),
    ("-option-rom @/odd", "@/odd"),
    ("-option-rom @/rom", "network boot ROM of 1048576 bytes"),
    ("-firmware-folder @/absent", "@/absent"),
    ("-kernel @/absent", "@/absent"),
    ("-kernel @/empty", "@/empty"),
    ("-kernel @/odd", "kernel"),
    ("-kernel @/cut", "kernel"),
    ("-kernel @/folder", "@/folder"),
    ("-kernel /proc/self/mem", UNREADABLE),
    ("-kernel /dev/zero", "/dev/zero"),
    ("-kernel @/cut -initrd @/absent", "@/absent"),
    ("-kernel @/cut -initrd @/empty", "@/empty"),
    ("-kernel @/cut -initrd /proc/self/mem", UNREADABLE),
    ("-kernel @/odd -initrd @/absent", "@/absent"),
    // State images and machine files.
    ("-restore @/absent", "@/absent"),
    ("-restore @/empty", "@/empty"),
    ("-restore @/odd", "@/odd"),
    ("-restore @/folder", "@/folder"),
    ("-machine @/absent", "@/absent"),
    ("-machine @/empty", "@/empty"),
    ("-machine @/odd", "@/odd"),
    ("-machine @/folder", "@/folder"),
    ("-machine @/wrong.toml", "'colour' is no option"),
    ("-machine @/broken.toml", "line 1"),
    ("-machine @/value.toml", "--memory"),
    // Places to write to, and ports.
    ("-save @/absent/x", "--save @/absent/x"),
    ("-save @/folder", "--save @/folder"),
    ("-pcap @/absent/x", "@/absent/x"),
    ("-screenshot @/absent/x.png", "--screenshot @/absent/x.png"),
    ("-dump-state @/absent/x", "--dump-state @/absent/x"),
    ("-dump-state @/folder", "--dump-state @/folder"),
    ("-perf-map=@/absent/x", "--perf-map @/absent/x"),
    ("-post-log 0x80,@/absent/x", "@/absent/x"),
    ("-serial file:@/absent/x", "@/absent/x"),
    ("-serial unix:@/absent", "@/absent"),
    ("-serial tcp:127.0.0.1:1", "127.0.0.1:1"),
    ("-debugcon file:@/absent/x", "@/absent/x"),
    ("-monitor unix:@/absent/x,server", "@/absent/x"),
];

#[test]
fn what_cannot_be_used_is_refused_in_one_clear_line() {
    let folder = Folder::new("refusals");
    let place = folder.0.display().to_string();
    let mut wrong = String::new();
    for (words, says) in CASES {
        let mut command = Command::new(PROGRAM);
        command.arg("run");
        for option in ["--display=none", "--serial=none", "--timeout=2"] {
            let name = option.trim_start_matches('-').split('=').next().unwrap();
            if !words.contains(&format!("-{name}")) {
                command.arg(option);
            }
        }
        let (mut kernel, bios) = (words.contains("-kernel"), format!("{place}/bios"));
        kernel |= words.contains("-bios");
        if !kernel || words.contains("-vga-bios") {
            command.args(["-bios", &bios]);
        }
        command.args(words.split(' ').map(|word| word.replace('@', &place)));
        command.stdin(Stdio::null()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace(&place, "@");
        let clear = said.lines().count() == 1 && said.starts_with("nomad86: ") && said.contains(says);
        if output.status.code() != Some(2) || !clear || said.contains("os error") {
            wrong += &format!("{words}: {:?} {said:?}, not {says:?}\n", output.status.code());
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Nobody adds an option without saying what is wrong with its values.
#[test]
fn every_option_is_in_the_table() {
    let output = Command::new(PROGRAM).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut count = 0;
    for option in help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = if line.starts_with("--") { line } else { line.split_once(", ").map(|(_, long)| long)? };
        line.strip_prefix("--")?.split([' ', '[', '=']).next()
    }) {
        let short = match option {
            "memory" => "m",
            "help" => continue,
            option => option,
        };
        let given = |word: &str| word.trim_start_matches('-').split('=').next() == Some(short);
        assert!(CASES.iter().any(|(words, _)| words.split(' ').any(given)), "--{option} is not in the table");
        count += 1;
    }
    assert!(count > 40, "{count} options in:\n{help}");
}

#[test]
fn a_machine_file_does_what_options_do() {
    let folder = Folder::new("machine-file");
    let path = |name: &str| folder.0.join(name).display().to_string();
    let mut bios = std::fs::read(path("bios")).unwrap();
    // mov al, 21h; out F4h, al
    bios[0xFFF0..0xFFF4].copy_from_slice(&[0xB0, 0x21, 0xE6, 0xF4]);
    std::fs::write(path("exit"), bios).unwrap();
    let text = format!(
        "bios = {:?}\nm = 1\ndevice = [\"isa-debug-exit,iobase=0xf4,iosize=4\"]\ndisplay = \"none\"\n\
         serial = \"none\"\ntimeout = 60\nexit_on_halt = false\n",
        path("exit")
    );
    std::fs::write(path("machine.toml"), text).unwrap();
    let run = |more: &[&str]| {
        let output = Command::new(PROGRAM)
            .args(["run", "--machine", &path("machine.toml")])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&[]).0, Some(0x21 << 1 | 1));
    // What the command line says is stronger.
    let (code, said) = run(&["--bios", &path("bios"), "--timeout", "1"]);
    assert_eq!(code, Some(8), "{said}");
}
