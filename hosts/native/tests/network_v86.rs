//! copy/v86 as a client of our relay: two of its guests and one of ours in one room reach each other.
//!
//! Needs Node 20 and the npm package: `npm install` in `hosts/native/tests/v86`.
#![cfg(target_os = "linux")]

use nomad86::host::Network;
use nomad86_host::net::relay::server::{RelayServer, RelayServerConfig, Uplink};
use nomad86_host::net::relay::{RelayClient, RelayConfig, RelayUrl};
use nomad86_native::bench;
use nomad86_native::guest::{Guest, Setup, files};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A guest in v86, behind the relay at `url`.
fn v86(name: &str, folder: &Path, url: &str) -> Guest {
    let guest = files();
    let mut command = Command::new("node");
    command.arg("--experimental-websocket").arg("--no-warnings").arg(folder.join("client.mjs"));
    command.arg(guest.kernel).arg(guest.initrd).arg(url).current_dir(folder);
    Guest::other(name, command)
}

fn address(guest: &mut Guest) -> String {
    let shown = guest.run("ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'");
    let address = shown.trim().to_owned();
    assert!(address.starts_with("10.0.2."), "{address}");
    address
}

#[test]
fn two_guests_of_v86_and_one_of_ours_reach_each_other_in_one_room() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v86");
    if !folder.join("node_modules/v86").exists() || Command::new("node").arg("--version").output().is_err() {
        bench::absent("network_v86", &"npm install was not run in hosts/native/tests/v86");
        return;
    }
    let config = RelayServerConfig {
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        uplink: Uplink::Nat(Box::default()),
        ..RelayServerConfig::default()
    };
    let relay = RelayServer::start(config).expect("a relay starts");
    let url = format!("ws://{}/", relay.addresses()[0]);
    let (one, two) = (v86("v86 one", &folder, &url), v86("v86 two", &folder, &url));
    let parsed = RelayUrl::parse(&url).expect("a relay's address");
    let mut ours = Setup::new("ours")
        .card([0x52, 0x54, 0, 0x12, 0x34, 0x56], move |bell| {
            let client = RelayClient::start(RelayConfig::new(parsed), bell).expect("a client starts");
            Box::new(client) as Box<dyn Network>
        })
        .boot();
    let (mut one, mut two) = (one.ready(), two.ready());
    let addresses = [&mut one, &mut two, &mut ours].map(address);
    for (guest, others) in [
        (&mut one, [&addresses[1], &addresses[2]]),
        (&mut two, [&addresses[0], &addresses[2]]),
        (&mut ours, [&addresses[0], &addresses[1]]),
    ] {
        for other in others.into_iter().chain([&"10.0.2.2".to_owned()]) {
            let said = guest.run(&format!("ping -c 3 -W 10 {other}"));
            assert!(said.contains(" 0% packet loss"), "{said}");
        }
    }
    // A file from one emulator's guest to the other's.
    ours.run("dd if=/dev/urandom of=/tmp/data bs=4096 count=64 && httpd -p 80 -h /tmp");
    let expected = ours.run("crc32 < /tmp/data");
    let sum = one.run_for(
        &format!("wget -q -O /tmp/data http://{}/data && crc32 < /tmp/data", addresses[2]),
        Duration::from_secs(180),
    );
    assert_eq!(sum, expected);
    let stats = relay.stats();
    assert_eq!((stats.clients, stats.broken, stats.conflicts, stats.text), (3, 0, 0, 0), "{stats:?}");
}
