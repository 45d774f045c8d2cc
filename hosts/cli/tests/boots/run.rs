//! One run of the program.

use nomad86_host::clock::process_time;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Whether all files are there; if not, says which package to install, and fails in CI.
pub(crate) fn available(files: &[&str], packages: &str) -> bool {
    let missing = files.iter().find(|file| !std::path::Path::new(file).exists());
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing: install {packages}");
    eprintln!("SKIPPED: {missing} is missing (packages: {packages})");
    false
}

/// Whether measurements and boots are made at full length: `NOMAD86_BOOTS=full`.
pub(crate) fn full() -> bool {
    std::env::var_os("NOMAD86_BOOTS").is_some_and(|value| value == "full")
}

/// The engines that a system boots under: `usual` on every change, at full length both.
pub(crate) fn engines(usual: &'static str) -> impl Iterator<Item = &'static str> {
    ["jit", "interp"].into_iter().filter(move |&engine| engine == usual || full())
}

/// A run that is being put together.
pub(crate) struct Run {
    name: &'static str,
    engine: &'static str,
    args: Vec<String>,
    minutes: u32,
}

impl Run {
    /// A machine without a display.
    pub(crate) fn new(name: &'static str, engine: &'static str) -> Self {
        let args = ["-display", "none", "-engine", engine].map(str::to_owned).to_vec();
        Self { name, engine, args, minutes: 8 }
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// How long it may take on a busy host.
    pub(crate) fn minutes(mut self, minutes: u32) -> Self {
        self.minutes = minutes;
        self
    }

    /// Waits for text on the screen or a serial line.
    pub(crate) fn expect(self, text: &str) -> Self {
        self.args(["--expect", text])
    }

    /// Types on the keyboard.
    pub(crate) fn types(self, text: &str) -> Self {
        self.args(["--type", text])
    }

    /// Sends down the serial line.
    pub(crate) fn sends(self, text: &str) -> Self {
        self.args(["--send", text])
    }

    /// Presses keys.
    pub(crate) fn keys(self, keys: &str) -> Self {
        self.args(["--send-keys", keys])
    }

    /// Runs it: it must end by itself with 0.
    pub(crate) fn passes(self) {
        self.ends_with(0);
    }

    /// Runs it: it must end with this code. Returns what it wrote.
    pub(crate) fn ends_with(self, code: i32) -> String {
        let timeout = (self.minutes * 60).to_string();
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_nomad86"))
            .args(&self.args)
            .args(["--timeout", &timeout])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || read(&mut stderr));
        let out = read(&mut child.stdout.take().unwrap());
        let err = errors.join().unwrap();
        // It has ended, and its times are kept until it is waited for.
        let cpu = process_time(child.id()).unwrap();
        let status = child.wait().unwrap();
        let tail: Vec<&str> = out.lines().rev().take(30).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        assert_eq!(status.code(), Some(code), "{} {:?}\n{tail}\n{err}", self.name, self.args);
        let (cpu, passed) = (cpu.as_secs_f64(), begun.elapsed().as_secs_f64());
        eprintln!("{} ({}): {cpu:.1} s of CPU, {passed:.1} s", self.name, self.engine);
        out + &err
    }
}

fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
