//! How fast the network card is, beside QEMU's: the same kernel, driver and transfer, in turns.
//!
//! `cargo test --release -p nomad86-native --test network_speed -- --ignored --nocapture`; `NOMAD86_NET_MIB` sets
//! the size of a transfer (default 16), `NOMAD86_NET_ROUNDS` how often each has its turn (default 3),
//! `NOMAD86_NET_ONLY=interpreter|recompiler|qemu` leaves the others out.
//!
//! Next to the time by the clock stands the processor time that the emulator took, its network included: that is
//! what can be compared on a machine with much else to do.
#![cfg(target_os = "linux")]

#[path = "network/account.rs"]
mod account;
#[path = "network/server.rs"]
mod server;

use account::Account;
use nomad86::host::Network;
use nomad86_host::net::bell::Bedside;
use nomad86_host::net::hub::Hub;
use nomad86_host::net::nat::{Nat, NatConfig};
use nomad86_native::bench;
use nomad86_native::guest::{Engine, Guest, Setup, files};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(600);

fn ours(name: &str, engine: Engine) -> Guest {
    let nat = |bell| Box::new(Nat::start(NatConfig::default(), bell).expect("it starts")) as Box<_>;
    Setup::new(name).engine(engine).card([0x52, 0x54, 0, 1, 2, 3], nat).boot()
}

fn qemu() -> Option<Guest> {
    let guest = files();
    let mut command = Command::new("qemu-system-i386");
    command.args([
        "-M",
        "pc,accel=tcg",
        "-m",
        "256",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
    ]);
    command.args(["-nic", "user,model=ne2k_pci", "-append", "console=ttyS0 quiet"]);
    command.arg("-kernel").arg(guest.kernel).arg("-initrd").arg(guest.initrd);
    command.stderr(Stdio::null());
    let there = Command::new("qemu-system-i386").arg("--version").output().is_ok();
    there.then(|| Guest::other("qemu", command).ready())
}

#[derive(Default)]
struct Direction {
    /// MB per second of the clock, and of processor time.
    clock: Vec<f64>,
    processor: Vec<f64>,
}

#[derive(Default)]
struct Figures {
    download: Direction,
    upload: Direction,
    rtt: Vec<f64>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Figures {
    fn round(&mut self, guest: &mut Guest, account: &Account, port: u16, size: usize) {
        // What sends must not take longer than the network: the shell's `nc` copies 1 KiB at a time and `wget`
        // formats what it posts with `%s`, so `dd` writes to the socket itself, in pieces of 64 KiB.
        let request = format!("POST / HTTP/1.0\\r\\nContent-Length: {size}\\r\\n\\r\\n");
        let script = format!("printf '{request}'; dd if=/tmp/data bs=65536 2>/dev/null; cat > /tmp/answer");
        guest.run(&format!("echo \"{script}\" > /tmp/post"));
        guest.run_for(
            &format!("[ -e /tmp/data ] || wget -q -O /tmp/data http://10.0.2.2:{port}/{size}"),
            LIMIT,
        );
        let post = format!("nc 10.0.2.2 {port} -e sh /tmp/post");
        for (direction, command) in [
            (&mut self.download, format!("wget -q -O /dev/null http://10.0.2.2:{port}/{size}")),
            (&mut self.upload, post),
        ] {
            let (begun, before) = (Instant::now(), account.seconds());
            guest.run_for(&command, LIMIT);
            let megabytes = size as f64 / 1e6;
            direction.clock.push(megabytes / begun.elapsed().as_secs_f64());
            direction.processor.push(megabytes / (account.seconds() - before).max(0.01));
        }
        let said = guest.run_for("ping -c 50 -i 0.02 10.0.2.2", LIMIT);
        let times =
            said.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
        self.rtt.extend(times.collect::<Vec<f64>>());
    }

    fn show(&self, name: &str) {
        println!(
            "{name:12} download {:6.2} MB/s ({:6.2} MB per processor second), upload {:6.2} ({:6.2}), \
             round trip {:.3} ms (medians)",
            median(&self.download.clock),
            median(&self.download.processor),
            median(&self.upload.clock),
            median(&self.upload.processor),
            median(&self.rtt)
        );
    }
}

#[test]
#[ignore = "a measurement: run it alone, in release"]
fn transfers_and_round_trips_beside_qemu() {
    let size = bench::count("NOMAD86_NET_MIB", 16) as usize * (1 << 20);
    let port = server::start(Ipv4Addr::LOCALHOST).port();
    let only = std::env::var("NOMAD86_NET_ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only == name;
    let mut guests = Vec::new();
    for (name, engine) in [("interpreter", Engine::Interpreter), ("recompiler", Engine::Recompiler)] {
        if wanted(name) {
            guests.push((name, ours(name, engine), Account::Threads(vec![name, "nat"]), Figures::default()));
        }
    }
    if wanted("qemu") {
        match qemu() {
            Some(guest) => {
                guests.push(("qemu", guest, Account::Program("qemu-system-i38"), Figures::default()));
            }
            None => bench::absent("the comparison with QEMU", &"qemu-system-i386 is not installed"),
        }
    }
    for _ in 0..bench::count("NOMAD86_NET_ROUNDS", 3) {
        for (_, guest, account, figures) in &mut guests {
            figures.round(guest, account, port, size);
        }
    }
    for (name, _, _, figures) in &guests {
        figures.show(name);
        assert!(figures.rtt.len() >= 50 && median(&figures.download.clock).is_finite());
    }
    if let [interpreter, recompiler, qemu] = &guests[..] {
        type Pick = fn(&Figures) -> &Vec<f64>;
        let picks: [(&str, Pick); 4] = [
            ("download by the clock", |figures| &figures.download.clock),
            ("download by processor time", |figures| &figures.download.processor),
            ("upload by the clock", |figures| &figures.upload.clock),
            ("upload by processor time", |figures| &figures.upload.processor),
        ];
        for (name, pick) in picks {
            let ratio = |ours: &Figures| median(pick(ours)) / median(pick(&qemu.3));
            println!(
                "{name}: the interpreter does {:.2} times what QEMU does, the recompiler {:.2} times",
                ratio(&interpreter.3),
                ratio(&recompiler.3)
            );
        }
    }
}

/// Internet checksum.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b))).sum();
    let folded = (sum >> 16) + (sum & 0xFFFF);
    (!((folded >> 16) + folded) as u16).to_be_bytes()
}

/// An echo request from 192.0.2.1 to 192.0.2.2.
fn echo_request(to: [u8; 6], from: [u8; 6], sequence: u16) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0, 1];
    icmp.extend(sequence.to_be_bytes());
    icmp.extend([0x5A; 56]);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let mut ip = vec![0x45, 0, 0, 84, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    [&to[..], &from, &[8, 0], &ip, &icmp].concat()
}

/// From the cable through card, interrupt, Linux and back.
#[test]
#[ignore = "a measurement: run it alone, in release"]
fn round_trips_from_the_cable_take_less_than_a_millisecond() {
    const GUEST: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const HERE: [u8; 6] = [2, 0, 0, 0, 0, 1];
    for engine in [Engine::Interpreter, Engine::Recompiler] {
        let hub = Hub::default();
        let plug = hub.clone();
        let mut guest =
            Setup::new("echo").engine(engine).card(GUEST, move |bell| Box::new(plug.port(bell))).boot();
        guest.run("killall udhcpc; ip addr add 192.0.2.2/24 dev eth0; arp -s 192.0.2.1 02:00:00:00:00:01");
        let bedside = Bedside::default();
        let mut port = hub.port(bedside.bell());
        let mut buffer = [0; 1600];
        let mut times = Vec::new();
        for sequence in 0..400u16 {
            while port.receive(&mut buffer).is_some() {}
            let begun = Instant::now();
            port.transmit(&echo_request(GUEST, HERE, sequence));
            let is_answer =
                |frame: &[u8]| frame.get(34) == Some(&0) && frame[40..42] == sequence.to_be_bytes();
            while begun.elapsed() < Duration::from_secs(1) {
                if port.receive(&mut buffer).is_some_and(is_answer) {
                    times.push(begun.elapsed().as_secs_f64() * 1e3);
                    break;
                }
                let _ = bedside.sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        times.sort_by(f64::total_cmp);
        assert!(times.len() > 390, "{} answers", times.len());
        let at = |share: usize| times[times.len() * share / 100];
        println!("{engine:?}: {:.3} ms median, {:.3} ms at 95 %", at(50), at(95));
    }
}
