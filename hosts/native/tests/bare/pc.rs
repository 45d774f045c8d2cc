//! A PC for the kernel: QEMU, with its serial line, its keyboard and its screen in our hands.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take: emulation inside emulation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running PC.
pub(crate) struct Pc {
    child: Child,
    serial: ChildStdin,
    heard: Arc<Mutex<Vec<u8>>>,
    /// How much of it has been looked at.
    seen: usize,
    monitor: PathBuf,
}

impl Drop for Pc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.monitor);
    }
}

impl Pc {
    /// Switches one on, with `arguments` beside what all of them have.
    pub(crate) fn start(name: &str, arguments: &[String]) -> Self {
        let monitor = std::env::temp_dir().join(format!("nomad86-bare-{name}-{}", std::process::id()));
        let mut child = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-m", "768", "-no-reboot", "-display", "none", "-serial", "stdio"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .args(["-netdev", "user,id=wire", "-device", "virtio-net-pci,netdev=wire,mac=52:54:00:12:34:56"])
            .arg("-monitor")
            .arg(format!("unix:{},server,nowait", monitor.display()))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let serial = child.stdin.take().unwrap();
        Self { child, serial, heard, seen: 0, monitor }
    }

    /// All that came down the serial line.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    /// Waits until `text` comes down the serial line.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let found = {
                let heard = self.heard.lock().unwrap();
                heard[self.seen..].windows(text.len()).position(|window| window == text.as_bytes())
            };
            if let Some(at) = found {
                self.seen += at + text.len();
                println!("{:5.1} s: {text}", begun.elapsed().as_secs_f64());
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no {text:?} in:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a line down the serial line.
    pub(crate) fn send(&mut self, line: &str) {
        self.serial.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.serial.flush().unwrap();
    }

    /// Gives QEMU's monitor a command.
    fn monitor(&self, command: &str) {
        let mut monitor = UnixStream::connect(&self.monitor).unwrap();
        monitor.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut wait = || {
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(b"(qemu) ") && monitor.read(&mut byte).unwrap_or(0) > 0 {
                answer.push(byte[0]);
            }
        };
        wait();
        monitor.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = [0; 4096];
        // The command's echo ends with a prompt, and so does its answer.
        std::thread::sleep(Duration::from_millis(200));
        let _ = monitor.read(&mut answer);
    }

    /// Presses and releases a key.
    pub(crate) fn key(&self, name: &str) {
        self.monitor(&format!("sendkey {name}"));
    }

    /// The screen: width, height, and red, green, blue of each pixel.
    pub(crate) fn screen(&self, file: &Path) -> (usize, usize, Vec<u8>) {
        self.monitor(&format!("screendump {}", file.display()));
        let begun = Instant::now();
        loop {
            if let Some(picture) = std::fs::read(file).ok().and_then(|bytes| ppm(&bytes)) {
                let _ = std::fs::remove_file(file);
                return picture;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "no screen in {}", file.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for its end: what was written to isa-debug-exit.
    pub(crate) fn end(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1) >> 1;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A picture in the binary format of Netpbm.
fn ppm(bytes: &[u8]) -> Option<(usize, usize, Vec<u8>)> {
    let mut words = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse().ok();
    let (b"P6", width, height) = (words.next()?, number(words.next()?)?, number(words.next()?)?) else {
        return None;
    };
    let pixels = words.next()?.strip_prefix(b"255\n")?;
    (pixels.len() == width * height * 3).then(|| (width, height, pixels.to_vec()))
}
