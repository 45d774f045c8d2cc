//! The soak: two Debian guests, each in a sandboxed process of its own, compress and transfer over one relay that
//! is killed every minute and started anew. All that arrives must be what was sent, nobody may panic, and memory
//! must stop growing.
//!
//! Each round is one TCP connection that lives through a kill. Its data are random blocks and texts, compressed
//! on the way out, checked and unpacked on the way in.
//!
//! `NOMAD86_SOAK_MINUTES` sets the length of the long form, which is run with `--ignored`.
#![cfg(target_os = "linux")]

use nomad86_native::bench;
use nomad86_native::guest::{Guest, files};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nomad86");
const A: &str = "10.9.0.1";
const B: &str = "10.9.0.2";
/// How long a round's sender goes on.
const ROUND: Duration = Duration::from_secs(60);
/// How long the relay is away.
const AWAY: Duration = Duration::from_secs(3);
/// How long commands may take on a busy host.
const PATIENCE: Duration = Duration::from_secs(600);

struct Relay {
    port: u16,
    child: Child,
}

impl Relay {
    fn start(port: u16) -> Self {
        let child = Command::new(PROGRAM)
            .args(["relay", "--listen", &format!("127.0.0.1:{port}"), "--uplink", "none"])
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { port, child }
    }

    /// Kills it as the system would, and starts another one at its place after a while.
    fn kill_and_restart(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the relay ended by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(AWAY);
        *self = Self::start(self.port);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn machine(name: &str, port: u16, address: &str) -> Guest {
    let guest = files();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--display", "none", "--serial", "stdio", "--sandbox", "-m", "128", "--kernel"]);
    command.arg(guest.kernel).arg("--initrd").arg(guest.initrd);
    // On a busy host ticks are lost, and Linux then distrusts the one clock that is right.
    command.args(["--append", "console=ttyS0 quiet tsc=reliable"]);
    command.args(["--net", &format!("ws://127.0.0.1:{port}/")]);
    let mut guest = Guest::other(name, command).ready();
    guest.run("killall udhcpc; true");
    guest.run(&format!("ip addr add {address}/24 dev eth0"));
    guest
}

/// Memory of a process that is in RAM and not a file's, in KiB.
fn resident(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("its memory is counted")
}

/// One round: how many bytes B unpacked. The checksum that A sent and the one that B saw must agree.
fn round(a: &mut Guest, b: &mut Guest, relay: &mut Relay, length: Duration) -> u64 {
    for guest in [&mut *a, &mut *b] {
        guest.run("rm -f /tmp/pipe /tmp/sum /tmp/never; mkfifo /tmp/pipe /tmp/never");
    }
    // Its own side stays open: a sender ends when it is closed.
    b.begin(
        "crc32 < /tmp/pipe > /tmp/sum & \
         nc -l -p 9 <> /tmp/never | tee /tmp/pipe | gunzip -c | wc -c; wait; cat /tmp/sum",
    );
    let seconds = length.as_secs();
    a.begin(&format!(
        "crc32 < /tmp/pipe > /tmp/sum & end=$(($(date +%s) + {seconds})); \
         (while [ $(date +%s) -lt $end ]; do \
         dd if=/dev/urandom bs=16384 count=4; dmesg; cat /proc/meminfo; done 2> /dev/null) | \
         gzip -c | tee /tmp/pipe | nc {B} 9; wait; cat /tmp/sum"
    ));
    std::thread::sleep(length / 3);
    relay.kill_and_restart();
    let (sent, seen) = (a.end(PATIENCE), b.end(PATIENCE));
    let seen: Vec<&str> = seen.1.split_whitespace().collect();
    let [bytes, sum] = seen[..2] else { panic!("the receiver said {seen:?}") };
    assert_eq!(sent.1.split_whitespace().next(), Some(sum), "what arrived is what was sent");
    bytes.parse().expect("a number of bytes")
}

fn soak(rounds: u32, length: Duration) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut relay = Relay::start(port);
    let mut a = machine("soak a", port, A);
    let mut b = machine("soak b", port, B);
    let said = a.run(&format!("ping -c 3 -W 10 {B}"));
    assert!(said.contains(" 0% packet loss"), "{said}");
    let processes = [a.process(), b.process()];
    let begun = Instant::now();
    let mut memory = Vec::new();
    let mut total = 0;
    for number in 1..=rounds {
        let bytes = round(&mut a, &mut b, &mut relay, length);
        assert!(bytes > 0, "something was transferred");
        total += bytes;
        let now = processes.map(resident);
        memory.push(now);
        println!("round {number}: {bytes} bytes, {now:?} KiB, {:?}", begun.elapsed());
    }
    println!("{rounds} rounds, {rounds} kills of the relay, {total} bytes through TCP, checksums equal");
    // Guests fill their RAM and the recompiler its cache in the first third; then it must be enough.
    let settled = memory.len() / 3;
    if settled >= 3 {
        for machine in 0..2 {
            let early = memory[..=settled].iter().map(|now| now[machine]).max().unwrap_or(0);
            let late = memory[settled + 1..].iter().map(|now| now[machine]).max().unwrap_or(0);
            assert!(late <= early + early / 100 + 1024, "machine {machine} grew from {early} to {late} KiB");
        }
    }
}

/// One round, for every change.
#[test]
fn two_guests_compress_and_transfer_through_a_relay_that_is_killed() {
    soak(1, Duration::from_secs(20));
}

#[test]
#[ignore = "takes NOMAD86_SOAK_MINUTES (default 30)"]
fn two_guests_compress_and_transfer_for_half_an_hour() {
    soak(bench::count("NOMAD86_SOAK_MINUTES", 30) as u32, ROUND);
}
