//! How fast the network card is, beside QEMU's: the same kernel, driver and transfer, in turns.
//!
//! `cargo test --release -p nomad86-native --test network_speed -- --ignored --nocapture`; `NOMAD86_NET_MIB` sets
//! the size of a transfer (default 16), `NOMAD86_NET_ROUNDS` how often each has its turn (default 3).
#![cfg(target_os = "linux")]

#[path = "network/server.rs"]
mod server;

use nomad86_host::net::nat::{Nat, NatConfig};
use nomad86_native::bench;
use nomad86_native::guest::{Engine, Guest, Setup, files};
use std::net::Ipv4Addr;
use std::process::Command;
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
    let there = Command::new("qemu-system-i386").arg("--version").output().is_ok();
    there.then(|| Guest::other("qemu", command).ready())
}

#[derive(Default)]
struct Figures {
    download: Vec<f64>,
    upload: Vec<f64>,
    rtt: Vec<f64>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Figures {
    fn round(&mut self, guest: &mut Guest, port: u16, size: usize) {
        let speed = |guest: &mut Guest, command: &str| {
            let begun = Instant::now();
            guest.run_for(command, LIMIT);
            size as f64 / 1e6 / begun.elapsed().as_secs_f64()
        };
        self.download.push(speed(guest, &format!("wget -q -O /dev/null http://10.0.2.2:{port}/{size}")));
        let post = format!("printf 'POST / HTTP/1.0\\r\\nContent-Length: {size}\\r\\n\\r\\n'");
        let zeros = format!("dd if=/dev/zero bs=65536 count={} 2>/dev/null", size / 65_536);
        self.upload.push(speed(guest, &format!("{{ {post}; {zeros}; }} | nc 10.0.2.2 {port} > /dev/null")));
        let said = guest.run_for("ping -c 50 -i 0.02 10.0.2.2", LIMIT);
        let times =
            said.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
        self.rtt.extend(times.collect::<Vec<f64>>());
    }

    fn show(&self, name: &str) {
        println!(
            "{name:12} download {:6.2} MB/s, upload {:6.2} MB/s, round trip {:.3} ms (medians)",
            median(&self.download),
            median(&self.upload),
            median(&self.rtt)
        );
    }
}

#[test]
#[ignore = "a measurement: run it alone, in release"]
fn transfers_and_round_trips_beside_qemu() {
    let size = bench::count("NOMAD86_NET_MIB", 16) as usize * (1 << 20);
    let port = server::start(Ipv4Addr::LOCALHOST).port();
    let mut guests = vec![
        ("interpreter", ours("interpreter", Engine::Interpreter), Figures::default()),
        ("recompiler", ours("recompiler", Engine::Recompiler), Figures::default()),
    ];
    match qemu() {
        Some(guest) => guests.push(("QEMU (TCG)", guest, Figures::default())),
        None => bench::absent("the comparison with QEMU", &"qemu-system-i386 is not installed"),
    }
    for _ in 0..bench::count("NOMAD86_NET_ROUNDS", 3) {
        for (_, guest, figures) in &mut guests {
            figures.round(guest, port, size);
        }
    }
    for (name, _, figures) in &guests {
        figures.show(name);
        assert!(figures.rtt.len() >= 50 && median(&figures.download).is_finite());
    }
    if let [interpreter, recompiler, qemu] = &guests[..] {
        let ratio =
            |ours: &Figures, pick: fn(&Figures) -> &Vec<f64>| median(pick(ours)) / median(pick(&qemu.2));
        for (name, pick) in
            [("download", (|f| &f.download) as fn(&Figures) -> &Vec<f64>), ("upload", |f| &f.upload)]
        {
            println!(
                "{name}: the interpreter does {:.2} times what QEMU does, the recompiler {:.2} times",
                ratio(&interpreter.2, pick),
                ratio(&recompiler.2, pick)
            );
        }
    }
}
