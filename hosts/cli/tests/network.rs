//! Networks that cannot be had: one line that names the remedy, and the machine runs on where it can.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The exit code of `--timeout`.
const TIMEOUT: i32 = 8;
/// The exit code of options that cannot be used.
const CONFIGURATION: i32 = 2;

/// A BIOS that waits for ever; written once, while other tests' machines read it.
fn bios() -> &'static Path {
    static BIOS: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("nomad86-network-{}.bin", std::process::id()));
        let mut image = vec![0xFF; 0x1_0000];
        image[0xFFF0..0xFFF4].copy_from_slice(&[0xFB, 0xF4, 0xEB, 0xFC]); // sti; hlt; jmp
        std::fs::write(&path, image).unwrap();
        path
    });
    &BIOS
}

fn run(seconds: u32, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad86"));
    command.args(["run", "--display", "none", "--serial", "none", "--bios"]).arg(bios());
    command.args(["--timeout", &seconds.to_string()]).args(options).stdin(Stdio::null());
    command
}

/// The exit code and the one line that was said.
fn one_line(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("time of --timeout")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].starts_with("nomad86: "), "{said}");
    (output.status.code(), lines[0].to_owned())
}

fn refused(options: &[&str], expected: &str) {
    let (code, line) = one_line(&run(2, options).output().unwrap());
    assert_eq!(code, Some(CONFIGURATION), "{line}");
    assert!(line.contains(expected), "{options:?} gave: {line}");
}

/// A relay of ours in a process of its own.
struct Relay {
    child: Child,
    /// Its address, without scheme and path.
    address: String,
    metrics: String,
}

impl Relay {
    fn start(listen: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nomad86"))
            .args(["relay", "--listen", listen, "--metrics", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let between =
            |line: String, end: &str| line.split_once("://").unwrap().1.trim_end_matches(end).to_owned();
        let address = between(lines.next().expect("it says where it listens"), "/");
        let metrics = between(lines.next().expect("it says where its metrics are"), "/metrics");
        Self { child, address, metrics }
    }

    fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("nomad86_relay_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_relay_that_is_not_there_is_told_once_and_found_when_it_comes() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{port}/");
    let mut child = run(60, &["--net", &url]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.next().unwrap();
    let expected = format!(
        "nomad86: network: {url}: nobody listens there; start the relay (nomad86 relay) or correct the \
         address; trying again"
    );
    assert_eq!(line, expected.replace(&url, &format!("ws://127.0.0.1:{port}/")));
    let relay = Relay::start(&format!("127.0.0.1:{port}"), &["--uplink", "none"]);
    assert_eq!(lines.next().unwrap(), "nomad86: network: connected");
    assert_eq!(relay.metric("clients"), 1);
    drop(relay);
    assert!(lines.next().unwrap().contains("the connection was lost"));
    assert!(child.try_wait().unwrap().is_none(), "the machine runs on");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_machine_and_a_relay_of_ours_meet_without_a_word() {
    let relay = Relay::start("127.0.0.1:0", &[]);
    let mut child =
        run(60, &["--net", &format!("ws://{}/room", relay.address)]).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while relay.metric("clients") != 1 {
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn case_69_a_certificate_that_nobody_trusts_is_told_with_the_remedy() {
    let folder = std::env::temp_dir().join(format!("nomad86-network-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (chain, key) = (chain.display().to_string(), key.display().to_string());
    let relay = Relay::start("127.0.0.1:0", &["--tls-cert", &chain, "--tls-key", &key, "--uplink", "none"]);
    let port = relay.address.rsplit(':').next().unwrap();
    let output = run(3, &["--net", &format!("wss://localhost:{port}/")]).output().unwrap();
    let (code, line) = one_line(&output);
    assert_eq!(code, Some(TIMEOUT), "the machine ran on: {line}");
    assert!(line.contains("signed by nobody who is trusted; name its root with ca="), "{line}");
    // Without TLS nothing is to be had.
    let (_, line) = one_line(&run(3, &["--net", &format!("ws://localhost:{port}/")]).output().unwrap());
    assert!(line.contains("network: ws://localhost"), "{line}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn case_70_a_relay_that_wants_another_token_is_told() {
    let file = std::env::temp_dir().join(format!("nomad86-network-token-{}", std::process::id()));
    std::fs::write(&file, "sesame\n").unwrap();
    let relay =
        Relay::start("127.0.0.1:0", &["--token-file", &file.display().to_string(), "--uplink", "none"]);
    let spec = format!("ws,url=ws://{}/,token=wrong", relay.address);
    let (code, line) = one_line(&run(3, &["--nic", &spec]).output().unwrap());
    assert_eq!(code, Some(TIMEOUT), "{line}");
    assert!(line.contains("it wants another token"), "{line}");
    let right = format!("ws,url=ws://{}/,token=sesame", relay.address);
    let output = run(3, &["--nic", &right]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("network:"), "{output:?}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn addresses_that_are_none_are_named_before_anything_starts() {
    refused(&["--nic", "user,mac=52:54:00:12:34"], "mac=");
    refused(&["--nic", "user,mac=01:00:5e:00:00:01"], "mac=");
    refused(&["--net", "http://example.org/"], "ws://");
    refused(&["--net", "ws://:80/"], "host");
    refused(&["--nic", "ws,url=wss://example.org:99999/"], "port");
    refused(&["--nic", "user,hostfwd=tcp::x-:22"], "hostfwd=");
    refused(&["--nic", "carrier-pigeon"], "carrier-pigeon");
    refused(&["--nic", "ws,url=wss://localhost/,ca=/nonexistent/root.pem"], "/nonexistent/root.pem");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    refused(
        &["--nic", &format!("user,hostfwd=tcp:127.0.0.1:{port}-:22")],
        "another program listens there; choose another port",
    );
    let output = Command::new(env!("CARGO_BIN_EXE_nomad86"))
        .args(["relay", "--timeout", "2", "--listen", &format!("127.0.0.1:{port}")])
        .output()
        .unwrap();
    let (code, line) = one_line(&output);
    assert_eq!(code, Some(CONFIGURATION), "{line}");
    assert!(line.contains("another program listens there; choose another port"), "{line}");
}

#[test]
fn case_84_without_the_right_to_tap_devices_the_machine_runs_unconnected() {
    let plain = run(2, &["--nic", "tap,ifname=nomadtest0"]);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-net_admin", "--"]).arg(plain.get_program()).args(plain.get_args());
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        eprintln!("==================== SKIPPED: setpriv is not installed ====================");
        return;
    };
    let (code, line) = one_line(&output);
    assert_eq!(code, Some(TIMEOUT), "{line}");
    assert!(line.contains("--nic tap: ") && line.ends_with("the card is not connected"), "{line}");
    assert!(line.contains("CAP_NET_ADMIN") || line.contains("/dev/net/tun"), "{line}");
}
