//! Debian's own drivers for the NE2000, unpatched, on every kind of network: lease, ping, transfers with checksums,
//! IPv6 and multicast.
//!
//! `NOMAD86_NET_MIB` sets the size of a transfer in MiB (default 4), `NOMAD86_ENGINE=interp` interprets.
#![cfg(target_os = "linux")]

mod account;
mod cutter;
mod flood;
mod namespace;
mod server;

use nomad86::config::CardModel;
use nomad86::host::Network;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::hub::Hub;
use nomad86_host::net::nat::{Ipv4Config, Nat, NatConfig};
use nomad86_host::net::relay::server::{RelayServer, RelayServerConfig, Uplink};
use nomad86_host::net::relay::{RelayClient, RelayConfig, RelayUrl};
use nomad86_host::net::tap::Tap;
use nomad86_native::bench;
use nomad86_native::guest::{Guest, Setup};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

const A: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x0A];
const B: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x0B];
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Bytes of a transfer.
fn size() -> usize {
    bench::count("NOMAD86_NET_MIB", 4) as usize * (1 << 20)
}

/// How long a transfer may take, even on a machine with much else to do.
fn patience() -> Duration {
    Duration::from_secs(120 + size() as u64 / 200_000)
}

fn nat(config: NatConfig) -> impl FnOnce(Bell) -> Box<dyn Network> + Send {
    |bell| Box::new(Nat::start(config, bell).expect("a user-mode network starts"))
}

/// Checks that the guest has a lease of `address`.
fn has_lease(guest: &mut Guest, interface: &str, address: &str) {
    let shown = guest.run(&format!("ip -4 -o addr show dev {interface}"));
    assert!(shown.contains(address), "{interface} should have {address}: {shown}");
}

fn ping(guest: &mut Guest, options: &str) {
    let said = guest.run(&format!("ping -c 3 -W 5 {options}"));
    assert!(said.contains(" 0% packet loss"), "{said}");
}

/// Downloads and uploads [`size`] bytes and compares checksums on both sides.
fn transfer(guest: &mut Guest, host: &str, port: u16) {
    let expected = server::crc32(&server::data(size()));
    let url = format!("http://{host}:{port}/{}", size());
    let sum = guest.run_for(&format!("wget -q -O /tmp/data {url} && crc32 < /tmp/data"), patience());
    assert_eq!(sum.trim(), expected, "downloaded");
    // The wget of busybox posts text only.
    let request = format!("printf 'POST / HTTP/1.0\\r\\nContent-Length: {}\\r\\n\\r\\n'", size());
    let post = format!("{{ {request}; cat /tmp/data; }} | nc {host} {port} | tail -n 1");
    let seen = guest.run_for(&post, patience());
    assert_eq!(seen.trim(), expected, "uploaded");
    guest.run("rm /tmp/data");
    // Nothing was lost for want of an interrupt, and nothing overflowed.
    let counters = guest.run("cat /proc/net/dev");
    for line in counters.lines().filter(|line| line.trim_start().starts_with("eth")) {
        let numbers: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(numbers[3..6], ["0", "0", "0"], "errors, drops, overruns: {counters}");
    }
}

#[test]
fn on_a_user_mode_network() {
    let server = server::start(LOOPBACK);
    let mut guest = Setup::new("nat").card(A, nat(NatConfig::default())).boot();
    has_lease(&mut guest, "eth0", "10.0.2.15/24");
    ping(&mut guest, "10.0.2.2");
    transfer(&mut guest, "10.0.2.2", server.port());
    ping(&mut guest, "-6 fec0::2");
    let driver = guest.run("readlink /sys/class/net/eth0/device/driver");
    assert!(driver.trim().ends_with("/ne2k-pci"), "{driver}");
}

fn relay_client(server: &RelayServer, room: &str) -> impl FnOnce(Bell) -> Box<dyn Network> + Send + use<> {
    let url = RelayUrl::parse(&format!("ws://{}/{room}", server.addresses()[0])).expect("a relay's address");
    move |bell| Box::new(RelayClient::start(RelayConfig::new(url), bell).expect("a relay's client starts"))
}

fn relay(uplink: Uplink) -> RelayServer {
    let listen = vec!["127.0.0.1:0".parse().expect("an address")];
    RelayServer::start(RelayServerConfig { listen, uplink, ..RelayServerConfig::default() })
        .expect("a relay starts")
}

#[test]
fn through_our_relay_to_the_host_and_to_each_other() {
    let server = server::start(LOOPBACK);
    let relay = relay(Uplink::Nat(Box::default()));
    let a = Setup::new("relay a").card(A, relay_client(&relay, "lab")).start();
    let mut b = Setup::new("relay b").card(B, relay_client(&relay, "lab")).boot();
    let mut a = a.ready();
    has_lease(&mut a, "eth0", "10.0.2.1");
    has_lease(&mut b, "eth0", "10.0.2.1");
    ping(&mut a, "10.0.2.2");
    transfer(&mut a, "10.0.2.2", server.port());
    let address = b.run("ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'");
    ping(&mut a, address.trim());
    let stats = relay.stats();
    assert_eq!((stats.clients, stats.rooms), (2, 2), "the default room has the uplink of its own");
    assert_eq!((stats.broken, stats.short, stats.long, stats.text), (0, 0, 0, 0));
}

#[test]
fn over_a_tap_device_in_a_network_namespace() {
    if let Err(why) = namespace::run(|| {
        let (told, name) = std::sync::mpsc::channel();
        let guest = Setup::new("tap").card(A, move |bell| {
            let tap = Tap::open(None, bell).expect("a namespace has TAP devices");
            told.send(tap.name().to_owned()).expect("the test waits");
            Box::new(tap)
        });
        let guest = guest.start();
        let tap = name.recv().expect("the device was made");
        namespace::ip(&format!("addr add 192.0.2.1/24 dev {tap}"));
        namespace::ip(&format!("link set {tap} up"));
        let leases = Leases::start(&tap);
        let server = server::start(Ipv4Addr::new(192, 0, 2, 1));
        let mut guest = guest.ready();
        if leases.is_some() {
            guest.run_for("udhcpc -i eth0 -n -q -t 10 -T 2 -s /etc/udhcpc.sh", Duration::from_secs(120));
            has_lease(&mut guest, "eth0", "192.0.2.20/24");
        } else {
            bench::skipped("a lease over TAP", &"dnsmasq is not installed");
            guest.run("ip addr add 192.0.2.20/24 dev eth0");
        }
        ping(&mut guest, "192.0.2.1");
        transfer(&mut guest, "192.0.2.1", server.port());
    }) {
        bench::skipped("over_a_tap_device_in_a_network_namespace", &why);
    }
}

/// `NOMAD86_NET_CUTS` sets how often the line is cut (default 10).
#[test]
fn case_67_a_download_survives_a_relay_line_that_is_cut_again_and_again() {
    let cuts = bench::count("NOMAD86_NET_CUTS", 10);
    let server = server::start(LOOPBACK);
    let relay = relay(Uplink::Nat(Box::default()));
    let line = cutter::Cutter::start(relay.addresses()[0]);
    let url = RelayUrl::parse(&format!("ws://{}/", line.address)).expect("an address");
    let pause = (Duration::from_millis(20), Duration::from_millis(200));
    let config = RelayConfig { pause, ..RelayConfig::new(url) };
    let mut guest = Setup::new("cut line")
        .card(A, |bell| Box::new(RelayClient::start(config, bell).expect("a client starts")))
        .boot();
    let bytes = 200_000 * (cuts as usize + 1);
    line.cut_every(200_000, cuts);
    let command =
        format!("wget -q -O /tmp/data http://10.0.2.2:{}/{bytes} && crc32 < /tmp/data", server.port());
    let sum = guest.run_for(&command, Duration::from_secs(120 + 20 * cuts));
    assert_eq!(sum.trim(), server::crc32(&server::data(bytes)));
    assert_eq!(line.cuts(), cuts);
    assert!(relay.stats().connections > cuts, "{:?}", relay.stats());

    // A relay that stops reading: the machine does not notice.
    line.stop();
    guest.run("ping -c 100 -W 1 10.0.2.2 > /dev/null 2>&1 &");
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        guest.run("true");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "twenty commands took {:?}", begun.elapsed());
}

/// A DHCP server for the namespace of the calling thread.
struct Leases(std::process::Child);

impl Leases {
    fn start(interface: &str) -> Option<Self> {
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--pid-file="])
            .args(["--user=root", "--leasefile-ro", "--bind-interfaces"])
            .args([&format!("--interface={interface}"), "--dhcp-range=192.0.2.20,192.0.2.20,1h"])
            .spawn();
        child.ok().map(Self)
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Assembles the program that talks to mDNS' group.
fn multicast_program() -> Option<Vec<u8>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/multicast.s");
    let folder = std::env::temp_dir().join(format!("nomad86-multicast-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    let (object, program) = (folder.join("multicast.o"), folder.join("multicast"));
    let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    let made = run(Command::new("as").args(["--32", source, "-o"]).arg(&object))
        && run(Command::new("ld").args(["-m", "elf_i386"]).arg(&object).arg("-o").arg(&program));
    let bytes = made.then(|| std::fs::read(&program).ok()).flatten();
    let _ = std::fs::remove_dir_all(folder);
    bytes
}

#[test]
fn between_two_guests_on_a_hub() {
    let hub = Hub::default();
    let plug = |hub: Hub| move |bell| Box::new(hub.port(bell)) as Box<dyn Network>;
    let program = multicast_program();
    let setup = |name, mac| {
        let setup = Setup::new(name).card(mac, plug(hub.clone()));
        program.iter().fold(setup, |setup, bytes| setup.program("bin/multicast", bytes))
    };
    let a = setup("hub a", A).start();
    let mut b = setup("hub b", B).boot();
    let mut a = a.ready();
    for (guest, address) in [(&mut a, "192.0.2.1"), (&mut b, "192.0.2.2")] {
        guest.run("killall udhcpc; true");
        guest.run(&format!("ip addr add {address}/24 dev eth0"));
    }
    ping(&mut a, "192.0.2.2");

    // Neighbour discovery, and a ping to all nodes that both answer.
    let link_local = "fe80::5054:ff:fe12:340b";
    ping(&mut a, &format!("-6 {link_local}%eth0"));
    let neighbours = a.run("ip -6 neigh show dev eth0");
    assert!(neighbours.contains(link_local) && neighbours.contains("52:54:00:12:34:0b"), "{neighbours}");
    let said = a.run("ping -6 -c 3 -W 5 ff02::1%eth0");
    assert!(said.contains(link_local), "{said}");

    // IPv4 multicast as mDNS uses it.
    if program.is_some() {
        a.begin("multicast 'who is there?'");
        b.begin("multicast 'b.local is here'");
        let limit = Duration::from_secs(90);
        assert_eq!(a.end(limit), (0, "b.local is here".to_owned()));
        assert_eq!(b.end(limit), (0, "who is there?".to_owned()));
    } else {
        bench::skipped("mDNS between two guests", &"as and ld of binutils are not installed");
    }

    // Each serves the other.
    let bytes = size();
    a.run_for(&format!("dd if=/dev/urandom of=/tmp/data bs=65536 count={}", bytes / 65_536), patience());
    let expected = a.run_for("crc32 < /tmp/data", patience());
    a.run("httpd -p 80 -h /tmp");
    let sum = b.run_for("wget -q -O /tmp/data http://192.0.2.1/data && crc32 < /tmp/data", patience());
    assert_eq!(sum, expected);
    // There is room for one of them only.
    b.run("rm /tmp/data");
    b.begin("nc -l -p 9 > /tmp/back; crc32 < /tmp/back");
    a.run_for("sleep 1; nc 192.0.2.2 9 < /tmp/data", patience());
    assert_eq!(b.end(patience()), (0, expected));
    assert_eq!(hub.stats().bad_size, 0);
}

#[test]
fn on_an_isa_card_and_a_pci_card_at_once() {
    let server = server::start(LOOPBACK);
    let other = Ipv4Config::of(Ipv4Addr::new(10, 0, 3, 0), 24);
    let mut guest = Setup::new("two cards")
        .card(A, nat(NatConfig::default()))
        .card_of(
            CardModel::Ne2kIsa { base: 0x300, irq: 3 },
            B,
            nat(NatConfig { ipv4: Some(other), ..NatConfig::default() }),
        )
        .boot();
    guest.run("modprobe ne io=0x300 irq=3");
    guest.run("ip link set eth1 up && udhcpc -i eth1 -n -q -t 10 -T 2 -s /etc/udhcpc.sh");
    let mac = guest.run("cat /sys/class/net/eth1/address");
    assert_eq!(mac.trim(), "52:54:00:12:34:0b");
    for (interface, address, gateway) in
        [("eth0", "10.0.2.15", "10.0.2.2"), ("eth1", "10.0.3.15", "10.0.3.2")]
    {
        has_lease(&mut guest, interface, address);
        ping(&mut guest, &format!("-I {interface} {gateway}"));
        transfer(&mut guest, gateway, server.port());
    }
    let lines = guest.run("cat /proc/interrupts");
    let counted = |line: &str| lines.lines().any(|text| text.trim_start().starts_with(line));
    assert!(counted("3:") && lines.contains("NE2000"), "{lines}");
}
