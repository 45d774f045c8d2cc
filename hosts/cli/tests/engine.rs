//! Engines and what is shown of them: the default, the recompiler without executable memory, statistics, traces.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of this test with a firmware of 64 KiB: `mov al, 21h; out F4h, al` where the processor begins.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut bios = vec![0xF4; 64 << 10];
        bios[0xFFF0..0xFFF4].copy_from_slice(&[0xB0, 0x21, 0xE6, 0xF4]);
        std::fs::write(folder.join("bios.bin"), bios).unwrap();
        Self(folder)
    }

    fn bios(&self) -> String {
        self.0.join("bios.bin").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_nomad86");
const EXIT: [&str; 5] = ["-nographic", "--timeout", "60", "--device", "isa-debug-exit,iobase=0xf4,iosize=4"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ended(output: &Output) {
    assert_eq!(output.status.code(), Some(0x21 << 1 | 1), "{}", text(&output.stderr));
}

#[test]
fn the_recompiler_is_the_default_and_statistics_show_it() {
    let folder = Folder::new("default");
    let map = folder.0.join("perf.map");
    let run = |engine: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .args(["run", "--bios", &folder.bios(), "--stats"])
            .arg(format!("--perf-map={}", map.display()));
        command.args(EXIT).args(engine).output().unwrap()
    };
    let output = run(&[]);
    ended(&output);
    assert!(text(&output.stderr).contains("bytes of translated code"), "{}", text(&output.stderr));
    assert!(map.is_file());
    let output = run(&["--engine", "interp"]);
    ended(&output);
    assert!(!text(&output.stderr).contains("bytes of translated code"));
}

#[test]
fn case_47_without_executable_memory_the_machine_says_so_and_interprets() {
    let folder = Folder::new("case47");
    // No file may grow, so that the object that code would lie in cannot be made.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", PROGRAM, "run", "--bios", &folder.bios()]).args(EXIT);
    let output = command.output().unwrap();
    ended(&output);
    let said = text(&output.stderr);
    assert!(said.contains("no executable memory") && said.contains("interprets"), "{said}");
}

#[test]
fn trace_shows_instructions_and_what_becomes_of_them() {
    let folder = Folder::new("trace");
    let output = Command::new(PROGRAM).args(["trace", "--code", "01d8 7510"]).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("00010000  add eax, ebx\n00010002  jne 0x10014\n"), "{shown}");
    assert!(shown.lines().any(|line| line.trim_start().ends_with("  add eax, ebx")), "{shown}");
    let file = folder.0.join("trace.txt");
    let mut command = Command::new(PROGRAM);
    command.args(["trace", "--bios", &folder.bios(), "--instructions", "2"]);
    let output = command.arg("--out").arg(&file).args(EXIT).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = std::fs::read_to_string(&file).unwrap();
    let mut lines = lines.lines();
    let first = lines.next().unwrap_or_default();
    assert!(first.contains("0 f000:0000fff0 b021") && first.contains("mov al, 0x21"), "{first}");
    assert!(first.contains("eax=00000021"), "{first}");
    assert!(lines.next().unwrap_or_default().contains("out 0xf4, al"));
}
