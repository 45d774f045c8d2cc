//! Running loads on a side: its lines say when to look at its CPU time.

use super::loads::{Group, Load};
use super::side::{Boot, Side};
use nomad86_host::clock::process_time;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What a load took on a side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    /// CPU time, of the host.
    pub(super) time: Duration,
    /// How often it did what it does in that time.
    pub(super) count: u64,
    /// Hash of its output.
    pub(super) output: String,
}

impl Measure {
    /// Seconds for `count` times what it does.
    pub(super) fn seconds(&self, count: u64) -> f64 {
        self.time.as_secs_f64() / self.count.max(1) as f64 * count as f64
    }
}

/// Or why there is none.
pub(super) type Outcome = Result<Measure, String>;

/// Outcomes by load.
pub(super) type Outcomes = BTreeMap<&'static str, Outcome>;

/// What the demo's guest says when its shell is there.
const SHELL: &str = "nomad86: ready";

/// Runs loads of a group in one start of the side, or more when it dies of one; `limit` is the CPU time that one may
/// take.
pub(super) fn run(
    side: &Side,
    loads: &[&'static Load],
    boot: Boot<'_>,
    limit: Duration,
    progress: &mut dyn FnMut(&str),
) -> Outcomes {
    let mut outcomes = Outcomes::new();
    while let Some(first) = loads.iter().find(|load| !outcomes.contains_key(load.name)) {
        let waiting: Vec<&str> =
            loads.iter().map(|load| load.name).filter(|name| !outcomes.contains_key(name)).collect();
        let names = waiting.join(",");
        let mut run = Run { side, loads, limit, outcomes: &mut outcomes, begun: None, usage: Duration::ZERO };
        let result = if first.group == Group::Boot {
            run.start(boot, &mut |run, child, line| run.shell(child, line), progress)
        } else {
            run.start(Boot { loads: &names, ..boot }, &mut |run, child, line| run.line(child, line), progress)
        };
        let culprit = run.begun.map_or(first.name, |(load, _)| load.name);
        if let Err(why) = result {
            outcomes.entry(culprit).or_insert(Err(why));
        } else if waiting.iter().all(|name| !outcomes.contains_key(name)) {
            outcomes.insert(first.name, Err("it did not run it".to_owned()));
        }
    }
    outcomes
}

struct Run<'a> {
    side: &'a Side,
    loads: &'a [&'static Load],
    limit: Duration,
    outcomes: &'a mut Outcomes,
    /// Which load runs, and the CPU time when it began.
    begun: Option<(&'static Load, Duration)>,
    /// What the last one took.
    usage: Duration,
}

type OnLine<'f> = &'f mut dyn FnMut(&mut Run<'_>, u32, &str) -> Result<bool, String>;

impl Run<'_> {
    fn start(
        &mut self,
        boot: Boot<'_>,
        on_line: OnLine<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), String> {
        let mut command = self.side.command(boot);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let result = self.watch(&mut child, on_line, progress);
        // It has said all that is wanted.
        let _ = child.kill();
        let _ = child.wait();
        result
    }

    /// Takes lines until they are enough, it ends, or it takes too long.
    fn watch(
        &mut self,
        child: &mut Child,
        on_line: OnLine<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), String> {
        let id = child.id();
        let lines = lines(child.stdout.take().ok_or("it has no output")?);
        let mut since = Duration::ZERO;
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    let before = self.begun.map(|(load, _)| load.name);
                    if on_line(self, id, &line)? {
                        return Ok(());
                    }
                    let now = self.begun.map(|(load, _)| load.name);
                    if before != now {
                        progress(now.unwrap_or_default());
                        since = process_time(id).unwrap_or_default();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if process_time(id).unwrap_or_default().saturating_sub(since) > self.limit {
                        return Err(format!("more than {} s", self.limit.as_secs()));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err("it ended".to_owned()),
            }
        }
    }

    /// A line of the driver; whether it was the last.
    fn line(&mut self, id: u32, line: &str) -> Result<bool, String> {
        let Some((_, said)) = line.split_once("bench ") else { return Ok(false) };
        let words: Vec<&str> = said.split_whitespace().collect();
        match words[..] {
            ["begin", name] => {
                let load = self.loads.iter().find(|load| load.name == name).ok_or("a load nobody knows")?;
                self.begun = Some((load, now(id)?));
            }
            ["end", name, microseconds] => {
                let (load, before) = self.begun.ok_or("a load ended that had not begun")?;
                if load.name != name {
                    return Err("the loads are mixed up".to_owned());
                }
                // Natively the kernel's account is finer than what can be seen of ended children from outside.
                self.usage = if self.side.is_native() {
                    Duration::from_micros(microseconds.parse().map_err(|_| "a time that is no number")?)
                } else {
                    now(id)?.saturating_sub(before)
                };
            }
            ["result", name, status, output, count] => {
                let (load, _) = self.begun.take().ok_or("a result without a load")?;
                if load.name != name {
                    return Err("the loads are mixed up".to_owned());
                }
                let count = count.parse().map_err(|_| "a count that is no number")?;
                let measure = Measure { time: self.usage, count, output: output.to_owned() };
                let outcome = if status == "0" { Ok(measure) } else { Err(format!("exit code {status}")) };
                self.outcomes.insert(load.name, outcome);
            }
            ["said", name, ref rest @ ..] => {
                if let Some(Err(why)) = self.outcomes.get_mut(name) {
                    *why += &format!(": {}", rest.join(" "));
                }
            }
            ["done"] => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    /// A line of the demo's guest: the time until its shell is there.
    fn shell(&mut self, id: u32, line: &str) -> Result<bool, String> {
        if !line.contains(SHELL) {
            return Ok(false);
        }
        let time = now(id)?;
        for load in self.loads {
            self.outcomes.insert(load.name, Ok(Measure { time, count: 1, output: String::new() }));
        }
        Ok(true)
    }
}

/// Lines as they come, from a thread that ends with the pipe.
fn lines(out: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn now(id: u32) -> Result<Duration, String> {
    process_time(id).map_err(|error| format!("its CPU time: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::loads::LOADS;
    use super::*;
    use std::path::Path;

    /// What a driver says, as a load of its own took `time`.
    fn said(lines: &[&str]) -> (Result<bool, String>, Outcomes) {
        let side = Side::native(Path::new("/"));
        let loads: Vec<&Load> = LOADS.iter().collect();
        let mut outcomes = Outcomes::new();
        let mut run = Run {
            side: &side,
            loads: &loads,
            limit: Duration::MAX,
            outcomes: &mut outcomes,
            begun: None,
            usage: Duration::ZERO,
        };
        let mut result = Ok(false);
        for line in lines {
            result = run.line(std::process::id(), line);
            if result != Ok(false) {
                break;
            }
        }
        (result, outcomes)
    }

    #[test]
    fn lines_of_the_driver_become_outcomes() {
        let (result, outcomes) = said(&[
            "[    1.0] noise bench ready\r",
            "bench begin gzip\r",
            "bench end gzip 250000\r",
            "bench result gzip 0 0123456789abcdef 4\r",
            "bench begin xz\r",
            "bench end xz 10\r",
            "bench result xz 127 0 1\r",
            "bench said xz sh: xz: not found\r",
            "bench done\r",
        ]);
        assert_eq!(result, Ok(true));
        let gzip = outcomes["gzip"].as_ref().expect("measured");
        assert_eq!((gzip.count, gzip.output.as_str()), (4, "0123456789abcdef"));
        assert!((gzip.seconds(8) - 0.5).abs() < 1e-9);
        assert_eq!(outcomes["xz"], Err("exit code 127: sh: xz: not found".to_owned()));
    }

    #[test]
    fn mixed_up_lines_are_errors() {
        assert!(said(&["bench end gzip 1"]).0.is_err());
        assert!(said(&["bench begin gzip", "bench end xz 1"]).0.is_err());
        assert!(said(&["bench begin gzip", "bench end gzip x"]).0.is_err());
        assert!(said(&["bench begin nothing"]).0.is_err());
    }

    #[test]
    fn this_process_has_a_cpu_time_that_grows() {
        let before = process_time(std::process::id()).expect("readable");
        let mut x = 1_u64;
        while process_time(std::process::id()).expect("readable") < before + Duration::from_millis(20) {
            for i in 0..100_000 {
                x = std::hint::black_box(x.wrapping_mul(i | 1));
            }
        }
    }
}
