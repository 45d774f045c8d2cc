//! Every command in README.md and in the networking guide is run: here as it stands, or by `.ci/run`, or by a test in
//! which a guest executes it. A command that this table does not know fails, and so does one that is in no text.
//! Commands are indented lines, and programs of ours or cargo's within sentences.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How it is known that a command does what the text says.
enum Proof {
    /// It is executed here, with these options behind it; it says this, is then told that, and ends with a code.
    Run { more: &'static str, says: &'static str, told: &'static str, code: i32 },
    /// It serves until it is stopped: it says this, and whether it has a page.
    Serves(&'static str, bool),
    /// `.ci/run` executes these words.
    Stage(&'static str),
    /// A file of the tests has these words executed.
    Elsewhere(&'static str, &'static str),
}

use Proof::{Elsewhere, Run, Serves, Stage};

/// What ends a demo's guest.
const OFF: &str = "poweroff -f\n";
/// What the demo's guest says when its shell is there.
const READY: &str = "nomad86: ready";

/// In the order in which they are run: later ones use files of earlier ones.
const COMMANDS: &[(&str, Proof)] = &[
    ("cargo run --release -- demo", Run { more: "", says: READY, told: OFF, code: 0 }),
    ("cargo test -p nomad86", Stage("cargo test -p nomad86\n")),
    ("cargo test -p nomad86-native", Stage("cargo test -p nomad86-native")),
    ("cargo test --release -p nomad86-cli", Stage("cargo test --release -p nomad86-cli")),
    ("cargo test -p nomad86-cli --test readme", Stage("--test readme")),
    ("cargo test -p nomad86-native --test cases -- --nocapture", Stage("--test protected_mode --test cases")),
    ("nomad86 run --help", Run { more: "", says: "--kernel", told: "", code: 0 }),
    (
        ".ci/targets wasm32-unknown-unknown x86_64-unknown-none thumbv7em-none-eabihf",
        Stage(".ci/targets wasm32-unknown-unknown x86_64-unknown-none thumbv7em-none-eabihf"),
    ),
    ("hosts/bare/test", Stage("hosts/bare/test\n")),
    (
        "cargo run --release -- run --kernel vmlinuz --initrd initrd --append console=ttyS0 -nographic",
        Run { more: "", says: READY, told: OFF, code: 0 },
    ),
    (
        "cargo run --release -- run -cdrom debian.iso -hda disk.img --overlay changes.ovl -m 512",
        Run { more: "--display none --expect SeaBIOS --timeout 60", says: "", told: "", code: 0 },
    ),
    (
        "cargo run --release --features sdl -- run --display sdl --kernel vmlinuz --initrd initrd --append console=tty0",
        Stage("--features nomad86-cli/sdl --lib --test window"),
    ),
    ("multiboot /nomad86-bare memory=256", Elsewhere("hosts/bare", "multiboot /")),
    ("module /vmlinuz kernel console=tty0", Elsewhere("hosts/bare", "module /")),
    ("module /initrd initrd", Elsewhere("hosts/bare", "module /")),
    (
        "apt-get download seabios && dpkg -x seabios_*.deb .",
        Run { more: "&& ls usr/share/seabios", says: "bios-256k.bin", told: "", code: 0 },
    ),
    (
        "nomad86 run -L usr/share/seabios -cdrom debian.iso",
        Run { more: "--display none --expect SeaBIOS --timeout 60", says: "", told: "", code: 0 },
    ),
    ("nomad86 demo --save debian.state", Run { more: "", says: READY, told: "\u{1}s\u{1}x", code: 0 }),
    ("nomad86 snapshot info debian.state", Run { more: "", says: "RAM", told: "", code: 0 }),
    (
        "nomad86 run --restore debian.state -nographic --mac translate --net ws://127.0.0.1:8086/",
        Run { more: "--timeout 60", says: "nobody listens there", told: OFF, code: 0 },
    ),
    ("(cd hosts/wasm && npm ci && ./build)", Stage("npm ci --no-audit --no-fund && ./build")),
    ("cargo run --release -- serve", Serves("http://127.0.0.1:", true)),
    (
        "cargo run --release -- bench",
        Run { more: "--only=sha256sum --peers=none", says: "integer: sha256sum", told: "", code: 0 },
    ),
    (
        "cargo test --release --manifest-path fuzz/Cargo.toml",
        Stage("cargo test --release --manifest-path fuzz/Cargo.toml"),
    ),
    ("cargo install cargo-fuzz", Stage("cargo install -q --debug --locked cargo-fuzz")),
    ("cargo run --release --bin seeds", Stage("cargo run --release --bin seeds")),
    (
        "cargo +nightly fuzz run -s none --no-trace-compares ne2k -- -max_len=2048",
        Stage("cargo +nightly fuzz run -s none --no-trace-compares ne2k -- -max_len=2048"),
    ),
    (".ci/coverage", Stage(".ci/coverage worst 20")),
    ("fuzz/reach", Stage("fuzz/reach seeds")),
    ("hosts/cli/measure FOLDER", Stage("hosts/cli/measure target/measured")),
    ("cargo bench -p nomad86", Stage("hosts/cli/measure target/measured")),
    (
        "nomad86 run --nic user,model=ne2k_isa,iobase=0x300,irq=3 --nic ws,url=ws://127.0.0.1:8086/ --timeout 2",
        Run { more: "--display none", says: "nobody listens there", told: "", code: 8 },
    ),
    ("nomad86 relay", Serves("ws://127.0.0.1:", false)),
    (
        "nomad86 run --net ws://127.0.0.1:9/ --timeout 2",
        Run { more: "--display none", says: "nobody listens there", told: "", code: 8 },
    ),
    ("rmmod ne2k-pci", Elsewhere("hosts/native/tests/state", "rmmod ne2k-pci")),
    ("modprobe ne2k-pci", Elsewhere("hosts/native/tests/state", "modprobe ne2k-pci")),
    (
        "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/unbind",
        Elsewhere("hosts/native/tests/state", "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/unbind"),
    ),
    (
        "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/bind",
        Elsewhere("hosts/native/tests/state", "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/bind"),
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The texts whose commands these are.
fn texts() -> Vec<String> {
    let read = |file| std::fs::read_to_string(root().join(file)).unwrap();
    ["README.md", ".github/NETWORKING.md"].map(read).to_vec()
}

/// Code within the sentences of a text.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("    "));
    paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
}

/// Whether a span is a command: cargo's, a program of the repository's, or ours with options.
fn is_command(span: &str) -> bool {
    let mut words = span.split(' ');
    match words.next() {
        Some("cargo") => true,
        Some("nomad86") => words.nth(1).is_some(),
        // The one runs this test, the other is its name for what cargo runs.
        Some(".ci/run" | "target/release/nomad86") => false,
        Some(word) => std::fs::metadata(root().join(word))
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o100 != 0),
        None => false,
    }
}

/// On indented lines, what is behind two spaces and a hash sign is a remark.
fn commands(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = lines.map(|line| line.split("  #").next().unwrap_or(line).trim());
    let commands = commands.chain(spans(text).filter(|span| is_command(span)));
    commands.filter(|command| !command.is_empty()).map(str::to_owned).collect()
}

/// A folder with what people would have in theirs, the program in its path.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-readme-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let place = Self(folder);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_nomad86"), place.0.join("nomad86")).unwrap();
        let guest = nomad86_host::guest::debian(&nomad86_host::guest::cache_folder(), &mut |_| ())
            .unwrap_or_else(|error| panic!("the demo's guest: {error}"));
        std::os::unix::fs::symlink(&guest.kernel, place.0.join("vmlinuz")).unwrap();
        std::os::unix::fs::symlink(&guest.initrd, place.0.join("initrd")).unwrap();
        // `hosts/wasm/build` has made it, in the command before.
        std::fs::create_dir_all(place.0.join("hosts/wasm")).unwrap();
        std::os::unix::fs::symlink(root().join("hosts/wasm/site"), place.0.join("hosts/wasm/site")).unwrap();
        // Neither is read: the test ends when the BIOS has said its name.
        std::fs::write(place.0.join("debian.iso"), vec![0; 1 << 20]).unwrap();
        std::fs::write(place.0.join("disk.img"), vec![0; 1 << 20]).unwrap();
        place
    }

    /// Starts a command as it is typed, but for the ports, which others may use; on a terminal of its own when
    /// somebody types.
    fn start(&self, command: &str, more: &str, terminal: bool) -> Child {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command =
            command.replace("cargo run --release --", "nomad86").replace(":8086", &format!(":{}", free()));
        if command == "nomad86 serve" {
            command = format!("nomad86 serve --listen 127.0.0.1:{} --relay 127.0.0.1:{}", free(), free());
        }
        if command == "nomad86 relay" {
            command += &format!(" --listen 127.0.0.1:{}", free());
        }
        let path = format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap());
        // What is killed is the program, where it is only one.
        let exec = if command.contains(" && ") { "" } else { "exec " };
        let command = format!("exec 2>&1; {exec}{command} {more}");
        let mut program = Command::new(if terminal { "script" } else { "sh" });
        if terminal {
            program.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        } else {
            program.args(["-c", &command]);
        }
        program
            .current_dir(&self.0)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program writes, as it comes.
struct Output(std::sync::mpsc::Receiver<Vec<u8>>, String);

impl Output {
    fn of(child: &mut Child) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = out.read(&mut buffer) {
                let _ = sender.send(buffer[..len].to_vec());
            }
        });
        Self(receiver, String::new())
    }

    /// What is left of a program that has ended.
    fn rest(&mut self) {
        while let Ok(bytes) = self.0.recv_timeout(Duration::from_secs(1)) {
            self.1 += &String::from_utf8_lossy(&bytes);
        }
    }

    fn wait_for(&mut self, text: &str, command: &str) {
        let end = Instant::now() + Duration::from_secs(240);
        while !self.1.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(bytes) => self.1 += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("{command}: {text:?} does not come ({error}):\n{}", self.1),
            }
        }
    }
}

fn end(child: &mut Child, command: &str) -> i32 {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("{command} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            sources(&entry.path(), found);
        } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
            found.push_str(&text);
        }
    }
}

#[test]
fn every_command_of_the_texts_is_known_and_nothing_else_is() {
    let texts: BTreeSet<String> = texts().iter().flat_map(|text| commands(text)).collect();
    let known: BTreeSet<String> = COMMANDS.iter().map(|(command, _)| (*command).to_owned()).collect();
    let (new, old): (Vec<_>, Vec<_>) =
        (texts.difference(&known).collect(), known.difference(&texts).collect());
    assert!(new.is_empty(), "nobody runs {new:#?}");
    assert!(old.is_empty(), "no text has {old:#?}");
}

#[test]
fn every_subcommand_that_is_named_is_there() {
    let texts = texts();
    let named = texts.iter().flat_map(|text| spans(text)).filter(|span| span.starts_with("nomad86 "));
    let mut count = 0;
    for subcommand in named.filter_map(|span| span.split(' ').nth(1)) {
        let help = Command::new(env!("CARGO_BIN_EXE_nomad86")).args([subcommand, "--help"]).output().unwrap();
        assert!(help.status.success(), "nomad86 {subcommand}: {}", String::from_utf8_lossy(&help.stderr));
        count += 1;
    }
    assert!(count >= 5, "the texts name {count} subcommands");
}

#[test]
fn every_command_of_the_texts_does_what_they_say() {
    let place = Place::new();
    let stages = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    for (command, proof) in COMMANDS {
        let begun = Instant::now();
        match *proof {
            Stage(words) => assert!(stages.contains(words), ".ci/run does not run {words:?}"),
            Elsewhere(folder, words) => {
                let mut text = String::new();
                sources(&root().join(folder), &mut text);
                assert!(text.contains(words), "nothing in {folder} runs {words:?}");
            }
            Serves(says, page) => {
                let mut child = place.start(command, "", false);
                let mut output = Output::of(&mut child);
                output.wait_for(says, command);
                if page {
                    let address =
                        output.1.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
                    let mut stream = TcpStream::connect(address.trim()).unwrap();
                    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                    let mut page = Vec::new();
                    let _ = stream.read_to_end(&mut page);
                    assert!(String::from_utf8_lossy(&page).starts_with("HTTP/1.1 200"), "{command}");
                }
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Run { more, says, told, code } => {
                let mut child = place.start(command, more, !told.is_empty());
                let mut output = Output::of(&mut child);
                output.wait_for(says, command);
                if !told.is_empty() {
                    let stdin = child.stdin.as_mut().unwrap();
                    stdin.write_all(told.as_bytes()).unwrap();
                    stdin.flush().unwrap();
                }
                let found = end(&mut child, command);
                output.rest();
                assert_eq!(found, code, "{command}:\n{}", output.1);
            }
        }
        println!("{:5.1} s: {command}", begun.elapsed().as_secs_f64());
    }
}
