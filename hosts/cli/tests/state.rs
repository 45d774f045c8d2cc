//! `--save`, `--restore`, `snapshot info`, the monitor, and what survives a kill in the middle of a save.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nomad86-state-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
        fs::write(self.file(name), contents).unwrap();
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A BIOS that writes the alphabet to the first serial line, over and over, slowly; first it fills two thirds
/// of a MiB of RAM, so that saving it takes a moment.
fn bios(folder: &Folder) -> PathBuf {
    let program: &[u8] = &[
        0xFA, 0xB8, 0x00, 0x10, // cli; mov ax, 1000h
        0x8E, 0xC0, 0x31, 0xFF, // fill: mov es, ax; xor di, di
        0xB9, 0x00, 0x80, 0xF3, 0xAB, // mov cx, 8000h; rep stosw
        0x05, 0x00, 0x10, 0x3D, 0x00, 0x90, 0x75, 0xEF, // add ax, 1000h; cmp ax, 9000h; jne fill
        0xBA, 0xFB, 0x03, 0xB0, 0x03, 0xEE, // mov dx, 3FBh; mov al, 3; out dx, al: eight bits
        0xBA, 0xF8, 0x03, 0xB0, b'A', // mov dx, 3F8h; again: mov al, 'A'
        0xEE, // next: out dx, al
        0xBB, 0x00, 0x04, 0xB9, 0xFF, 0xFF, 0xE2, 0xFE, // mov bx, 400h; wait: mov cx, FFFFh; loop $
        0x4B, 0x75, 0xF8, // dec bx; jnz wait
        0xFE, 0xC0, 0x3C, b'Z', 0x76, 0xEE, // inc al; cmp al, 'Z'; jbe next
        0xEB, 0xEA, // jmp again
    ];
    let mut image = vec![0xFF; 64 << 10];
    image[..program.len()].copy_from_slice(program);
    image[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0, 0, 0, 0xF0]);
    folder.write("bios.bin", &image)
}

fn nomad86(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad86"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    nomad86(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Saves a machine that has just written E.
fn saved(folder: &Folder, more: &[&str]) -> PathBuf {
    let (bios, state) = (bios(folder), folder.file("e.state"));
    let mut arguments = vec!["-m", "2", "-nographic", "-bios", text(&bios), "--expect", "E"];
    arguments.extend(["--timeout", "120", "--save", text(&state)]);
    arguments.extend(more);
    let output = run(&arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("saved to"), "{}", said(&output));
    state
}

fn restoring<'a>(state: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--restore", text(state), "-nographic", "--timeout", "120"];
    arguments.extend(more);
    arguments
}

#[test]
fn a_machine_goes_on_where_it_was_saved() {
    let folder = Folder::new();
    let state = saved(&folder, &[]);
    let output = run(&restoring(&state, &["--expect", "H"]));
    assert!(output.status.success(), "{}", said(&output));
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    // It had written E and perhaps a little more.
    assert!(
        written.starts_with(|first: char| ('F'..='H').contains(&first)) && !written.contains('A'),
        "{written}"
    );
    // With the spellings of others, and again saved from a restored one.
    let again = folder.file("again.state");
    let output = run(&[
        "-loadvm",
        text(&state),
        "-nographic",
        "--mac_address_translation",
        "--timeout",
        "120",
        "--expect",
        "K",
        "--save",
        text(&again),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    // K, and on a busy host perhaps a little more.
    let last = output.stdout.last().copied().unwrap();
    let next = if last == b'Z' { b'A' } else { last + 1 };
    let output = run(&restoring(&again, &["--expect", &char::from(next).to_string()]));
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(written.starts_with(char::from(next)), "{written} after {last}: {}", said(&output));
    let output = run(&["snapshot", "info", text(&again)]);
    let info = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["format      1", "RAM         2 MiB", "\nCPU ", "\nNE2K", "\nRAM  "] {
        assert!(info.contains(part), "{part:?} is missing in\n{info}");
    }
}

#[test]
fn what_cannot_be_restored_is_told_in_a_line_that_names_the_file() {
    let folder = Folder::new();
    let state = saved(&folder, &[]);
    let image = fs::read(&state).unwrap();
    let mut flipped = image.clone();
    flipped[image.len() / 2] ^= 1;
    let files = [
        (folder.file("none.state"), "cannot open: No such file"),
        (folder.write("text.state", b"hello, this is a text"), "this is no state image"),
        (folder.write("empty.state", b""), "this is no state image"),
        (folder.write("cut.state", &image[..image.len() - 1]), "ends early"),
        (folder.write("flipped.state", &flipped), "damaged: its checksum is wrong"),
        (folder.0.clone(), "this is no plain file"),
    ];
    for (file, says) in &files {
        for arguments in [restoring(file, &[]), vec!["snapshot", "info", text(file)]] {
            let output = run(&arguments);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert_eq!(said.trim_end().lines().count(), 1, "{said}");
            assert!(said.contains(says) && said.contains(text(file)), "{said}");
        }
    }
    for (more, says) in [
        (&["-m", "4"][..], "RAM of 2 MiB, this one of 4 MiB"),
        (&["-cpu", "486"], "the processor"),
        (&["-nic", "user", "-nic", "user"], "has 1 network cards, the options --nic give 2"),
        (&["--mac", "preserve", "-nic", "user,mac=02:00:00:00:00:01"], "exclude each other"),
    ] {
        let output = run(&restoring(&state, more));
        assert!(said(&output).contains(says), "{more:?}: {}", said(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_disk_that_was_changed_since_is_refused_by_name() {
    let folder = Folder::new();
    let disk = folder.write("disk.img", &[0; 1 << 20]);
    let state = saved(&folder, &["-hda", text(&disk)]);
    let output = run(&restoring(&state, &["--expect", "H"]));
    assert!(output.status.success(), "the disk is found again: {}", said(&output));
    let mut contents = fs::read(&disk).unwrap();
    contents[5000] = 1;
    fs::write(&disk, &contents).unwrap();
    let output = run(&restoring(&state, &["--expect", "H"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("disk.img: the file was changed since"), "{}", said(&output));
    let output = run(&restoring(&state, &["--expect", "H", "--changed-disks"]));
    assert!(output.status.success(), "{}", said(&output));
    fs::remove_file(&disk).unwrap();
    let output = run(&restoring(&state, &["--expect", "H"]));
    assert!(said(&output).contains("disk.img") && !output.status.success(), "{}", said(&output));
}

/// A running machine that a test may kill.
struct Running(Child);

impl Running {
    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a machine and waits until it has written an A.
fn started(folder: &Folder, more: &[&str]) -> Running {
    let bios = bios(folder);
    let mut arguments = vec!["-m", "2", "-nographic", "-net", "none", "-bios", text(&bios)];
    arguments.extend(more);
    let mut child = nomad86(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut byte = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    Running(child)
}

#[test]
fn case_80_a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new_image() {
    let folder = Folder::new();
    let state = folder.file("kept.state");
    let full = std::env::var_os("NOMAD86_FULL").is_some_and(|set| set == "1");
    let rounds = if full { 1000 } else { 12 };
    // A save that a kill broke off leaves its unfinished file beside the image.
    let files = || fs::read_dir(&folder.0).unwrap().count();
    let (mut random, mut broken_off) = (86_u32, 0);
    for round in 0..rounds {
        let before = files();
        let machine = started(&folder, &["--save", text(&state)]);
        let begun = Instant::now();
        machine.signal("USR1");
        if round == 0 {
            // The first image has to be there.
            while !state.exists() {
                assert!(begun.elapsed() < Duration::from_secs(60), "nothing is saved");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(random >> 16) % 30_000));
        machine.signal("KILL");
        drop(machine);
        let output = run(&["snapshot", "info", text(&state)]);
        assert!(output.status.success(), "round {round}: {}", said(&output));
        broken_off += usize::from(files() > before.max(2));
    }
    println!("{broken_off} of {rounds} kills came in the middle of a save");
    assert!(!full || broken_off > 0);
    let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() <= 3, "a crash leaves one file at most behind, and it is used again: {left:?}");
}

#[test]
fn case_81_a_signal_that_ends_the_program_saves_first_and_fast() {
    let folder = Folder::new();
    for signal in ["INT", "TERM", "HUP"] {
        let state = folder.file(signal);
        let mut machine = started(&folder, &["--save", text(&state)]);
        let begun = Instant::now();
        machine.signal(signal);
        let status = machine.0.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{signal}: {:?}", begun.elapsed());
        assert!(status.code().is_some_and(|code| code > 128), "{signal}: {status}");
        assert!(run(&["snapshot", "info", text(&state)]).status.success(), "{signal}");
    }
}

#[test]
fn a_save_that_fails_leaves_the_old_image_and_the_machine() {
    let folder = Folder::new();
    // A folder that is gone when it is needed.
    let gone = folder.file("gone");
    fs::create_dir(&gone).unwrap();
    let mut machine = started(&folder, &["--save", text(&gone.join("x.state"))]);
    fs::remove_dir_all(&gone).unwrap();
    machine.signal("USR1");
    let mut lines = BufReader::new(machine.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("x.state")).unwrap();
    assert!(line.contains("cannot create"), "{line}");
    let mut rest = [0; 4];
    machine.0.stdout.as_mut().unwrap().read_exact(&mut rest).unwrap();
}

#[test]
fn the_monitor_listens_at_a_socket() {
    let folder = Folder::new();
    let (socket, state, screen) = (folder.file("monitor"), folder.file("m.state"), folder.file("s.png"));
    let at = format!("unix:{},server", text(&socket));
    let mut machine = started(&folder, &["--monitor", &at]);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut ask = |line: &str| {
        writeln!(stream, "{line}").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"(nomad86) ") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    };
    assert!(ask("help").contains("savevm"));
    assert!(ask("info").contains("running"));
    assert!(ask("info registers").contains("EIP="));
    assert!(ask("fly").contains("unknown command 'fly'"));
    ask("stop");
    assert!(ask("info").contains("paused"));
    assert!(ask(&format!("savevm {}", text(&state))).contains("saved to"));
    ask(&format!("screendump {}", text(&screen)));
    assert!(fs::read(&screen).unwrap().starts_with(b"\x89PNG"));
    let floppy = folder.write("a.img", &vec![0; 1_474_560]);
    assert!(!ask(&format!("change a {}", text(&floppy))).contains("no such"));
    assert!(ask("change a /nowhere").contains("/nowhere"));
    ask("eject a");
    ask("cont");
    writeln!(stream, "quit").unwrap();
    assert!(machine.0.wait().unwrap().success());
    assert!(run(&["snapshot", "info", text(&state)]).status.success());
}
