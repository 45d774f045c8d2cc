//! What a host does to a program: pipes that close, limits, no terminal, no display, signals.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nomad86");

/// A folder of one test, with a firmware that says `A` on the debug console for ever.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut bios = vec![0xF4; 64 << 10];
        // mov al, 41h; l: out E9h, al; jmp l
        bios[0xFFF0..0xFFF6].copy_from_slice(&[0xB0, 0x41, 0xE6, 0xE9, 0xEB, 0xFC]);
        std::fs::write(folder.join("bios.bin"), bios).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// The program with the talking firmware, through a shell that sets `limits` before.
    fn shell(&self, limits: &str, arguments: &str) -> Command {
        let mut command = Command::new("sh");
        let bios = self.path("bios.bin");
        command.arg("-c").arg(format!("{limits} exec {PROGRAM} run --bios {bios} {arguments}"));
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message of one line, and the code for a configuration that cannot be.
fn refused(output: &Output, about: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(about), "{said}");
}

#[test]
fn case_83_a_reader_that_goes_away_ends_the_machine_without_a_panic() {
    let folder = Folder::new("pipe");
    let mut child = folder
        .shell("", "--display none --serial none --debugcon stdio --timeout 60")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(first, [b'A'; 16]);
    drop(child.stdout.take());
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "it does not wait for its time to be over");
    assert_ne!(output.status.code(), Some(101), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
}

#[test]
fn case_83_without_streams_and_terminal_it_runs_to_its_time() {
    let folder = Folder::new("streams");
    let output = folder
        .shell("exec <&- >&-; TERM=;", "--display none --serial none --debugcon none --timeout 1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
}

#[test]
fn case_82_too_little_memory_is_said_before_the_machine_starts() {
    let folder = Folder::new("memory");
    let output = folder.shell("ulimit -v 600000;", "-m 2G --display none --timeout 5").output().unwrap();
    refused(&output, "-m");
}

#[test]
fn case_82_a_file_that_may_not_grow_is_an_error_at_the_end_and_leaves_nothing_behind() {
    let folder = Folder::new("limit");
    let image = folder.path("state.n86");
    // Blocks of 512 bytes; without the signal that would end the program instead.
    let output = folder
        .shell("trap '' XFSZ; ulimit -f 2;", &format!("--display none --timeout 1 --save {image}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(!matches!(output.status.code(), Some(0 | 8 | 101) | None), "{:?} {said}", output.status);
    assert!(said.contains("state.n86"), "{said}");
    assert!(!Path::new(&image).exists(), "half an image is none");
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 1, "only the firmware is there: {left:?}");
}

#[test]
fn case_81_a_signal_ends_the_machine_within_five_seconds() {
    for signal in ["TERM", "INT", "HUP"] {
        let folder = Folder::new(signal);
        let child = folder
            .shell("", "--display none --serial none --debugcon none --timeout 60")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{signal}: {:?}", begun.elapsed());
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
    }
}
