//! One run of the program.

use std::process::{Command, Stdio};

/// Whether all files are there; if not, says which package to install, and fails in CI.
pub(crate) fn available(files: &[&str], packages: &str) -> bool {
    let missing = files.iter().find(|file| !std::path::Path::new(file).exists());
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing: install {packages}");
    eprintln!("SKIPPED: {missing} is missing (packages: {packages})");
    false
}

/// A run that is being put together.
pub(crate) struct Run {
    name: &'static str,
    args: Vec<String>,
    minutes: u32,
}

impl Run {
    /// A machine without a display.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, args: vec!["-display".into(), "none".into()], minutes: 8 }
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
        let output = Command::new(env!("CARGO_BIN_EXE_nomad86"))
            .args(&self.args)
            .args(["--timeout", &timeout])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let tail: Vec<&str> = out.lines().rev().take(30).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        assert_eq!(output.status.code(), Some(code), "{} {:?}\n{tail}\n{err}", self.name, self.args);
        out + &err
    }
}
