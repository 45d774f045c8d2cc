//! One saved guest becomes many on one relay.

use super::guest::scaled;
use nomad86::host::Network;
use nomad86::net::{MacAddress, MacPolicy};
use nomad86::snapshot::RestoreOptions;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::pcap::Capture;
use nomad86_host::net::relay::server::RelayServer;
use nomad86_host::net::relay::server::config::{RelayServerConfig, Uplink};
use nomad86_host::net::relay::{RelayClient, RelayConfig, RelayUrl};
use nomad86_native::guest::{Guest, Setup};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const OLD: [u8; 6] = [0x52, 0x54, 0x00, 0x86, 0x00, 0x01];
const GATEWAY: &str = "10.0.2.2";
const ASK: &str = "killall -q udhcpc; udhcpc -i eth0 -n -q -t 10 -T 2 -s /etc/udhcpc.sh";
const LIMIT: Duration = Duration::from_secs(300);

fn relay() -> RelayServer {
    let config = RelayServerConfig {
        listen: vec![([127, 0, 0, 1], 0).into()],
        uplink: Uplink::Nat(Box::default()),
        ..RelayServerConfig::default()
    };
    RelayServer::start(config).unwrap()
}

/// A recording that stays in memory.
#[derive(Clone, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Write for Recording {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Recording {
    /// A cable that is recorded.
    fn plug(&self, relay: &RelayServer) -> impl FnOnce(Bell) -> Box<dyn Network> + Send + 'static + use<> {
        let (address, recording) = (relay.addresses()[0], self.clone());
        move |bell| {
            let url = RelayUrl::parse(&format!("ws://{address}/")).unwrap();
            let client = RelayClient::start(RelayConfig::new(url), bell).unwrap();
            let capture = Capture::new(recording).unwrap();
            let recorder = capture.wrap("card", client);
            // The recording goes on as long as the card's cable does.
            Box::new(Kept { network: recorder, _capture: capture })
        }
    }

    /// Sources of all frames that went out: pcapng's enhanced packet blocks whose flags say outbound.
    fn sources(&self) -> BTreeSet<[u8; 6]> {
        let file = self.0.lock().unwrap();
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let (mut at, mut sources) = (0, BTreeSet::new());
        while at + 12 <= file.len() {
            let (kind, len) = (word(at), word(at + 4));
            if at + len > file.len() {
                break;
            }
            if kind == 6 {
                let options = at + 28 + word(at + 20).next_multiple_of(4);
                let flags = (options..at + len - 4).step_by(4).find(|&o| word(o) == 2 | 4 << 16);
                let outbound = word(flags.expect("each frame has its direction") + 4) & 3 == 2;
                if outbound {
                    sources.insert(file[at + 28 + 6..at + 28 + 12].try_into().unwrap());
                }
            }
            at += len;
        }
        sources
    }
}

struct Kept<N> {
    network: N,
    _capture: Capture,
}

impl<N: Network> Network for Kept<N> {
    fn transmit(&mut self, frame: &[u8]) {
        self.network.transmit(frame);
    }
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.network.receive(buffer)
    }
    fn link(&self) -> bool {
        self.network.link()
    }
}

/// The guest to be cloned, at its shell with a lease of its own, on a relay that is gone by now.
fn original() -> Option<Arc<[u8]>> {
    static IMAGE: OnceLock<Option<Arc<[u8]>>> = OnceLock::new();
    IMAGE
        .get_or_init(|| {
            super::guest::image()?;
            let relay = relay();
            let plug = Recording::default().plug(&relay);
            let mut guest = Setup::new("original").card(OLD, plug).boot();
            guest.run_for(ASK, LIMIT);
            assert_eq!(mac(&mut guest), MacAddress(OLD).to_string());
            Some(guest.save())
        })
        .clone()
}

fn options(mac: MacPolicy, seed: u64) -> RestoreOptions {
    RestoreOptions { mac, seed }
}

/// The address that the guest believes in.
fn mac(guest: &mut Guest) -> String {
    guest.run("cat /sys/class/net/eth0/address").trim().to_owned()
}

fn wire(guest: &Guest) -> [u8; 6] {
    guest.inspect(|machine| machine.devices.ne2k.macs(0).unwrap().wire.0)
}

/// Has the guest ask for an address; which it is.
fn ask(guest: &mut Guest) -> String {
    guest.run_for(ASK, LIMIT);
    address(guest)
}

fn address(guest: &mut Guest) -> String {
    let text = guest.run("ip -4 -o address show dev eth0 scope global");
    let address = text.split_whitespace().find(|word| word.contains('/')).expect("there is an address");
    address.split('/').next().unwrap().to_owned()
}

/// Fifty clones at once may need a second try.
const PING: &str = "{ ping -c 1 -W 5 ADDRESS || ping -c 3 -W 5 ADDRESS; }";

fn ping(guest: &mut Guest, address: &str) {
    guest.run_for(&PING.replace("ADDRESS", address), LIMIT);
}

/// Driver out and in again, as an administrator does it.
fn reload(guest: &mut Guest) {
    guest.run("rmmod ne2k-pci && modprobe ne2k-pci && sleep 1 && ip link set eth0 up");
}

#[test]
fn clones_of_one_guest_share_a_network_for_generations() {
    let Some(mut image) = original() else { return };
    let count = scaled(3, 50);
    let mut wires = BTreeSet::new();
    for generation in 1..=3_u64 {
        let relay = relay();
        let mut clones: Vec<(Guest, Recording)> = (0..count)
            .map(|n| {
                let recording = Recording::default();
                let options = options(MacPolicy::Translate, generation * 1000 + n);
                let setup = Setup::new(&format!("clone {n}, generation {generation}"));
                (setup.restore(&image, options, recording.plug(&relay)), recording)
            })
            .collect();
        // All at once, as clones do.
        for (guest, _) in &mut clones {
            guest.begin(ASK);
        }
        for (guest, _) in &mut clones {
            let (status, said) = guest.end(LIMIT);
            assert_eq!(status, 0, "{said}");
        }
        let addresses: Vec<String> = clones.iter_mut().map(|(guest, _)| address(guest)).collect();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), clones.len(), "{addresses:?}");
        for (n, (guest, _)) in clones.iter_mut().enumerate() {
            assert_eq!(mac(guest), MacAddress(OLD).to_string(), "the guest keeps its address");
            let others = addresses.iter().cycle().skip(n + 1).take(addresses.len() - 1);
            let all = others.fold(GATEWAY.to_owned(), |all, one| all + " " + one);
            let ping = PING.replace("ADDRESS", "$a");
            guest.begin(&format!(
                "lost=; for a in {all}; do {ping} || lost=\"$lost $a\"; done; test -z \"$lost\""
            ));
        }
        for (guest, _) in &mut clones {
            let (status, said) = guest.end(LIMIT);
            assert_eq!(status, 0, "{said}");
        }
        // A driver that is loaded anew must not lose the address on the wire.
        for (guest, _) in clones.iter_mut().take(2) {
            let before = wire(guest);
            reload(guest);
            assert_eq!(mac(guest), MacAddress(OLD).to_string());
            ask(guest);
            ping(guest, GATEWAY);
            assert_eq!(wire(guest), before);
        }
        for (guest, recording) in &clones {
            let wire = wire(guest);
            assert_eq!(recording.sources(), BTreeSet::from([wire]), "only its own address is on the wire");
            assert_eq!(wire[0] & 3, 2, "a local address");
            assert!(wires.insert(wire), "no address is on the wire twice");
        }
        image = clones[0].0.save();
    }
    assert!(!wires.contains(&OLD));
}

#[test]
fn a_randomised_guest_takes_its_new_address_when_its_driver_is_loaded_again() {
    let Some(image) = original() else { return };
    let relay = relay();
    let ways = [
        ("rmmod ne2k-pci", "modprobe ne2k-pci"),
        (
            "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/unbind",
            "echo 0000:00:05.0 > /sys/bus/pci/drivers/ne2k-pci/bind",
        ),
    ];
    for (seed, (unload, load)) in ways.into_iter().enumerate() {
        let spare = Recording::default();
        let preserved = options(MacPolicy::Preserve, 0);
        let mut guest = Setup::new("to be saved").restore(&image, preserved, spare.plug(&relay));
        guest.run(&format!("killall -q udhcpc; {unload}"));
        let unloaded = guest.save();
        drop(guest);
        let recording = Recording::default();
        let randomised = options(MacPolicy::Randomise, 10 + seed as u64);
        let mut guest = Setup::new("randomised").restore(&unloaded, randomised, recording.plug(&relay));
        guest.run(&format!("{load}; sleep 1; ip link set eth0 up"));
        let wire = wire(&guest);
        assert_ne!(wire, OLD);
        assert_eq!(mac(&mut guest), MacAddress(wire).to_string());
        ask(&mut guest);
        ping(&mut guest, GATEWAY);
        assert_eq!(recording.sources(), BTreeSet::from([wire]));
    }
}

#[test]
fn a_preserved_guest_shows_its_old_address_and_goes_on_talking() {
    let Some(image) = original() else { return };
    let relay = relay();
    let recording = Recording::default();
    let preserved = options(MacPolicy::Preserve, 0);
    let mut guest = Setup::new("preserved").restore(&image, preserved, recording.plug(&relay));
    ping(&mut guest, GATEWAY);
    assert_eq!(mac(&mut guest), MacAddress(OLD).to_string());
    // The recorder writes when it has enough, or some time has passed: so far as the guest goes on sending.
    let begun = std::time::Instant::now();
    while recording.sources().is_empty() && begun.elapsed() < std::time::Duration::from_secs(20) {
        ping(&mut guest, GATEWAY);
    }
    assert_eq!(recording.sources(), BTreeSet::from([OLD]));
}
