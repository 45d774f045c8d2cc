//! `nomad86 bench`: a real comparison of a few short loads, its files, and what it says to wrong names.
//! `NOMAD86_BENCH=full` has one of each group compared.
//!
//! Needs gcc-multilib, and Debian's packages or the cache of an earlier run.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Output};

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nomad86")).arg("bench").args(words).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn loads_are_listed_and_wrong_names_are_told() {
    let output = bench(&["--list", "--quick"]);
    let listed = text(&output.stdout);
    assert!(output.status.success() && listed.contains("memory     pointers\n"), "{listed}");
    assert!(!listed.contains("bunzip2"), "{listed}");
    for (words, said) in [
        (&["--only", "gzop"][..], "--only gzop: no such load"),
        (&["integers"], "integers is no group of loads; those are integer, "),
        (&["integer", "--only", "calls"], "none of the loads"),
    ] {
        let output = bench(words);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

/// A short load of each group, as the table names them; the first few on every change.
const LOADS: [&str; 9] = [
    "integer: sha256sum",
    "kernels: recursion",
    "boot: boot",
    "float: x87-nbody",
    "crypto: speed-sha256",
    "memory: pointers",
    "system: calls",
    "scripts: lua-fannkuch",
    "guest-jit: luajit-fannkuch",
];
const USUAL: usize = 3;

#[test]
fn loads_are_compared_and_written_down() {
    let compiles = Command::new("sh")
        .args(["-c", "echo 'int main(void) { return 0; }' | gcc -m32 -static -x c -o /dev/null -"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !compiles {
        assert!(std::env::var_os("CI").is_none(), "gcc -m32 is missing: install gcc-multilib");
        eprintln!("SKIPPED: gcc -m32 is missing (package gcc-multilib)");
        return;
    }
    let folder = std::env::temp_dir().join(format!("nomad86-bench-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (table, plot) = (folder.join("table.md"), folder.join("plot.svg"));
    let files = [format!("--output={}", table.display()), format!("--plot={}", plot.display())];
    let full = std::env::var_os("NOMAD86_BENCH").is_some_and(|value| value == "full");
    let loads = &LOADS[..if full { LOADS.len() } else { USUAL }];
    let names: Vec<&str> = loads.iter().filter_map(|load| load.split(": ").nth(1)).collect();
    let names = names.join(",");
    let output = bench(&["--quick", &format!("--only={names}"), "--peers=none", &files[0], &files[1]]);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{complained}");
    let written = std::fs::read_to_string(&table).expect("a table");
    let drawn = std::fs::read_to_string(&plot).expect("a picture");
    std::fs::remove_dir_all(&folder).expect("removable");
    for name in loads.iter().copied() {
        let line = said.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        let cells: Vec<f64> = line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        if name.starts_with("boot") {
            assert!(!cells.is_empty() && cells[0] > 100.0, "milliseconds of a boot: {line}\n{said}");
        } else {
            assert_eq!(cells.len(), 3, "native, ours, ratio: {line}\n{said}");
            // Whatever the host is busy with: the same work takes us longer, and not out of all proportion.
            assert!(cells[2] > 0.4 && cells[2] < 60.0, "{line}");
        }
        assert!(written.contains(line), "{written}");
    }
    assert!(said.trim_end().ends_with('|'), "no troubles: {said}");
    assert!(written.contains("--engine jit"), "{written}");
    assert!(written.contains("](plot.svg)") && written.contains("coreutils "), "{written}");
    assert!(drawn.contains("<svg") && drawn.contains("nomad86"), "{drawn}");
}
