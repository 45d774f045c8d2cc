//! A machine that is talked to while it runs: its first serial line is the program's input and output, and its
//! monitor listens.

use super::images::folder;
use nomad86_host::clock::process_time;
use nomad86_host::guest::{Guest, cache_folder, debian};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on a busy host.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the shell of the small guest shows when it waits.
pub(crate) const PROMPT: &str = "/root # ";

/// The small Debian guest; if it cannot be had, says so, and fails in CI.
pub(crate) fn guest() -> Option<Guest> {
    match debian(&cache_folder(), &mut |_| ()) {
        Ok(guest) => Some(guest),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

/// A running machine. It is killed when it is dropped.
pub(crate) struct Live {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    /// How much of it was waited for.
    heard: usize,
    monitor: PathBuf,
}

impl Live {
    /// Starts a machine with these options.
    pub(crate) fn start<S: AsRef<str>>(name: &str, args: &[S]) -> Self {
        Self::start_under(name, "", args)
    }

    /// The same, by a shell that does something before.
    fn start_under<S: AsRef<str>>(name: &str, before: &str, args: &[S]) -> Self {
        let monitor = folder().join(format!("{name}-{}.monitor", std::process::id()));
        let _ = std::fs::remove_file(&monitor);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_nomad86")]);
        command.args(["run", "-display", "none", "-serial", "stdio"]);
        command.args(args.iter().map(AsRef::as_ref));
        Self::spawn(command.arg("-monitor").arg(format!("unix:{},server", monitor.display())), monitor)
    }

    /// Starts the small guest and waits for its prompt.
    pub(crate) fn guest(name: &str, guest: &Guest, args: &[&str]) -> Self {
        Self::guest_under(name, "", guest, args)
    }

    /// The same, by a shell that does something before.
    pub(crate) fn guest_under(name: &str, before: &str, guest: &Guest, args: &[&str]) -> Self {
        let (kernel, initrd) = (guest.kernel.to_str().unwrap(), guest.initrd.to_str().unwrap());
        let mut all = vec!["-kernel", kernel, "-initrd", initrd];
        if !args.contains(&"-append") {
            all.extend(["-append", "console=ttyS0 quiet"]);
        }
        all.extend(args);
        let mut live = Self::start_under(name, before, &all);
        live.greeted();
        live
    }

    /// Waits for the small guest's prompt.
    pub(crate) fn greeted(&mut self) {
        self.wait("nomad86: ready");
        self.wait(PROMPT);
    }

    fn spawn(command: &mut Command, monitor: PathBuf) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (mut out, shared) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, said, heard: 0, monitor }
    }

    /// Has it go on if it was stopped.
    pub(crate) fn resume(&self) {
        let _ = Command::new("kill").args(["-CONT", &self.id().to_string()]).status();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for text on the serial line, behind what was waited for before; what came until its end.
    pub(crate) fn wait(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let said = self.said.lock().unwrap();
            let new = &said[self.heard..];
            if let Some(place) = new.windows(text.len()).position(|window| window == text.as_bytes()) {
                let passed = String::from_utf8_lossy(&new[..place + text.len()]).into_owned();
                self.heard += place + text.len();
                return passed;
            }
            let ended = self.child.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > PATIENCE {
                let new = String::from_utf8_lossy(new);
                panic!("{text:?} was not seen ({}): {new}", if ended { "ended" } else { "too late" });
            }
            drop(said);
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Has the small guest's shell execute a command, which is to fit on the prompt's line; what it printed.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.say(command);
        // The echo.
        self.wait("\n");
        let answer = self.wait(PROMPT);
        // The shell asks the terminal where its cursor is.
        answer
            .strip_suffix(PROMPT)
            .unwrap_or(&answer)
            .replace("\x1B[6n", "")
            .replace('\r', "")
            .trim()
            .to_owned()
    }

    /// Has the monitor execute a command; what it answered.
    pub(crate) fn monitor(&self, command: &str) -> String {
        let stream = UnixStream::connect(&self.monitor).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        (&stream).write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut reader = BufReader::new(&stream);
        while !answer.ends_with(b"(nomad86) ") {
            let count = reader.read_until(b' ', &mut answer).unwrap();
            assert!(count > 0, "the monitor went away: {}", String::from_utf8_lossy(&answer));
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.trim_end_matches("(nomad86) ").trim().to_owned()
    }

    /// CPU time of the program, all its threads together.
    pub(crate) fn cpu(&self) -> Duration {
        process_time(self.id()).unwrap()
    }

    /// Waits for the program's end; its code.
    pub(crate) fn ends(mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on: {}", self.tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tail(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()[self.heard..]).into_owned()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.monitor);
    }
}
