//! `--sandbox` around real guests: networks, saving and the monitor work, and nothing else can be reached.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use nomad86_native::guest::{Guest, files};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nomad86");

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nomad86-sandboxed-{name}-{}", std::process::id()));
        for part in ["own", "elsewhere"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        fs::write(path.join("own/cd.iso"), vec![7; 64 << 10]).unwrap();
        fs::write(path.join("elsewhere/cd.iso"), vec![8; 64 << 10]).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn linux() -> Command {
    let guest = files();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--display", "none", "--serial", "stdio", "--sandbox", "-m", "96", "--kernel"]);
    command.arg(guest.kernel).arg("--initrd").arg(guest.initrd);
    command.args(["--append", "console=ttyS0 quiet tsc=reliable"]);
    command
}

/// What the monitor answers to a line.
fn ask(monitor: &mut UnixStream, line: &str) -> String {
    writeln!(monitor, "{line}").unwrap();
    let mut text = String::new();
    let mut bytes = [0; 256];
    // The prompt ends each answer.
    while !text.trim_end().ends_with("(nomad86)") {
        let count = monitor.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "the monitor went away: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    text
}

fn connect(path: &str) -> UnixStream {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < end, "{path}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The words behind `name` in the status of each thread of a process.
fn statuses(process: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts
        .filter_map(|text| Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned()))
        .collect()
}

/// A web server with one page, for the guest.
fn serve(page: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let mut stream = stream;
            let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    port
}

#[test]
fn a_guest_boots_networks_saves_and_reaches_nothing_else() {
    let folder = Folder::new("linux");
    let monitor = folder.path("own/monitor");
    let mut command = linux();
    command.args(["--monitor", &format!("unix:{monitor},server"), "--sandbox-folder", &folder.path("own")]);
    let mut guest = Guest::other("sandboxed", command).ready();
    let port = serve("through the wall");
    let page = guest.run(&format!("wget -q -O - http://10.0.2.2:{port}/"));
    assert_eq!(page.trim(), "through the wall");
    // Every thread is behind the walls, those of the network as well.
    let process = guest.process();
    let filters = statuses(process, "Seccomp:");
    assert!(filters.len() >= 3 && filters.iter().all(|mode| mode == "2"), "{filters:?}");
    assert!(statuses(process, "NoNewPrivs:").iter().all(|set| set == "1"));

    let mut monitor = connect(&monitor);
    ask(&mut monitor, "info status");
    let said = ask(&mut monitor, &format!("change cd {}", folder.path("elsewhere/cd.iso")));
    assert!(said.contains("ermission denied"), "{said}");
    let said = ask(&mut monitor, &format!("change cd {}", folder.path("own/cd.iso")));
    assert!(!said.contains("ermission denied"), "{said}");
    for command in ["screendump", "savevm"] {
        let there = folder.path(&format!("elsewhere/{command}"));
        let said = ask(&mut monitor, &format!("{command} {there}"));
        assert!(said.contains("ermission denied") && !Path::new(&there).exists(), "{said}");
        let here = folder.path(&format!("own/{command}"));
        let said = ask(&mut monitor, &format!("{command} {here}"));
        assert!(fs::metadata(&here).is_ok_and(|file| file.len() > 100), "{said}");
    }
    let left: Vec<_> =
        fs::read_dir(folder.path("elsewhere")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["cd.iso"]);
    assert_eq!(guest.run("echo alive").trim(), "alive");
    drop(guest);

    // The image goes on in a sandbox as well, and saves itself where it came from.
    let image = folder.path("own/savevm");
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--display", "none", "--serial", "stdio", "--sandbox", "--restore", &image]);
    command.args([
        "--save",
        &image,
        "--send",
        "echo here-$((40+2))\\n",
        "--expect",
        "here-42",
        "--timeout",
        "120",
    ]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("saved to"), "{said}");
}

#[test]
fn options_that_do_not_go_together_are_told() {
    for (options, expected) in [
        (&["--sandbox-folder", "/tmp"][..], "goes with --sandbox"),
        #[cfg(feature = "sdl")]
        (&["--sandbox", "--display", "sdl"], "--display term"),
    ] {
        let output = Command::new(PROGRAM).arg("run").args(options).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.lines().count() == 1 && said.contains(expected), "{said}");
    }
}
