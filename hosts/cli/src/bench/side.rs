//! One way to run the loads: a child whose lines say when to look at its CPU time.

use crate::outcome::Failure;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// CPU time of each load, in the order in which they ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Kind, name, time and result of each.
    pub(super) loads: Vec<Load>,
    /// From the start of the program to the first load.
    pub(super) start: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) time: Duration,
    /// What it computed: the same on all sides.
    pub(super) result: String,
}

impl Times {
    /// Keeps the least of several runs.
    pub(super) fn merge(&mut self, other: Self) {
        if self.loads.is_empty() {
            *self = other;
            return;
        }
        self.start = self.start.min(other.start);
        for (ours, theirs) in self.loads.iter_mut().zip(other.loads) {
            ours.time = ours.time.min(theirs.time);
        }
    }
}

/// How to start a side.
pub(super) struct Side {
    pub(super) name: &'static str,
    program: std::path::PathBuf,
    arguments: Vec<String>,
}

const MEMORY: &str = "256M";
const APPEND: &str = "console=ttyS0 quiet";

impl Side {
    /// The loads as a program of this host.
    pub(super) fn native(program: &Path, only: &[String]) -> Self {
        Self { name: "native", program: program.to_owned(), arguments: only.to_vec() }
    }

    /// The loads in a machine of ours.
    pub(super) fn ours(
        name: &'static str,
        program: &Path,
        kernel: &Path,
        initrd: &Path,
        engine: &str,
    ) -> Self {
        let words = ["run", "--engine", engine, "-m", MEMORY, "--serial", "stdio", "--display", "none"];
        Self { name, program: program.to_owned(), arguments: Self::boot(&words, kernel, initrd) }
    }

    /// The loads in a guest of QEMU without hardware virtualisation.
    pub(super) fn qemu(program: &Path, kernel: &Path, initrd: &Path) -> Self {
        let words =
            ["-accel", "tcg", "-m", MEMORY, "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"];
        Self { name: "qemu", program: program.to_owned(), arguments: Self::boot(&words, kernel, initrd) }
    }

    fn boot(words: &[&str], kernel: &Path, initrd: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        for (option, value) in [("-kernel", kernel), ("-initrd", initrd)] {
            arguments.extend([option.to_owned(), value.display().to_string()]);
        }
        arguments.extend(["-append".to_owned(), APPEND.to_owned()]);
        arguments
    }

    /// Runs it to its end.
    pub(super) fn run(&self) -> Result<Times, Failure> {
        let failed = |error: std::io::Error| Failure::host(format!("{}: {error}", self.program.display()));
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let result = self.watch(&mut child);
        // It has said all that is wanted.
        let _ = child.kill();
        let _ = child.wait();
        result
    }

    fn watch(&self, child: &mut Child) -> Result<Times, Failure> {
        let failed = |what: &str| Failure::host(format!("bench: {}: {what}", self.name));
        let Some(out) = child.stdout.take() else { return Err(failed("it has no output")) };
        let mut times = Times::default();
        let mut before = Duration::ZERO;
        for line in BufReader::new(out).split(b'\n') {
            let line = line.map_err(|error| failed(&error.to_string()))?;
            let line = String::from_utf8_lossy(&line);
            let Some((_, said)) = line.split_once("bench ") else { continue };
            let now = cpu_time(child.id()).map_err(|error| failed(&error.to_string()))?;
            let words: Vec<&str> = said.split_whitespace().collect();
            match words[..] {
                ["ready"] => times.start = now,
                ["begin", kind, name] => {
                    let (kind, name) = (kind.to_owned(), name.to_owned());
                    times.loads.push(Load { kind, name, time: Duration::ZERO, result: String::new() });
                    before = now;
                }
                ["end", name, result] => match times.loads.last_mut() {
                    Some(load) if load.name == name => {
                        load.time = now.saturating_sub(before);
                        load.result = result.to_owned();
                    }
                    _ => return Err(failed("a load ended that had not begun")),
                },
                ["done"] => return Ok(times),
                _ => {}
            }
        }
        Err(failed("it ended before the loads did"))
    }
}

/// CPU time that a child and its ended children have used.
fn cpu_time(id: u32) -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second field is a name in parentheses that may hold spaces; times are fields 14–17, in 1/100 s.
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // Finer, for the process alone.
    let ended = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(13).take(2);
    let ended: u64 = ended.filter_map(|field| field.parse::<u64>().ok()).sum();
    let mut fine = 0;
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        fine += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    let coarse = Duration::from_millis(ticks * 10);
    Ok(if fine == 0 { coarse } else { Duration::from_nanos(fine) + Duration::from_millis(ended * 10) })
}
