//! `--nic` and `--net`: cards for the machine and back ends for their cables.

use crate::args::run::RunArgs;
use crate::files;
use crate::outcome::Failure;
use nomad86::config::{Card, CardModel};
use nomad86::host::Network;
use nomad86::net::MacAddress;
use nomad86_host::net::Mac;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::open::{Cable, Meter};
use nomad86_host::net::pcap::Capture;
use nomad86_host::net::spec::{Backend, Model, NicSpec};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How often back ends are asked whether they work.
const LOOK: Duration = Duration::from_millis(500);

/// The cards that the options ask for: one on a user-mode network when none says anything.
pub(crate) fn specs(args: &RunArgs) -> Result<Vec<NicSpec>, Failure> {
    let wrong = |error: nomad86_host::net::spec::SpecError| Failure::configuration(error.to_string());
    let mut specs = Vec::new();
    for text in &args.nic {
        specs.extend(NicSpec::parse(text).map_err(wrong)?);
    }
    for text in &args.net {
        specs.extend(NicSpec::parse_net(text).map_err(wrong)?);
    }
    if args.nic.is_empty() && args.net.is_empty() {
        specs.push(NicSpec::new(Backend::User(Box::default())));
    }
    Ok(specs)
}

/// A station's address that nobody else is likely to have.
fn random_mac() -> Mac {
    let bytes = RandomState::new().hash_one(std::process::id()).to_le_bytes();
    Mac([0x52, 0x54, 0x00, bytes[0], bytes[1], bytes[2]])
}

/// The card as the machine's configuration has it.
pub(crate) fn card(spec: &mut NicSpec) -> Result<Card, Failure> {
    let mac = *spec.mac.get_or_insert_with(random_mac);
    let model = match spec.model {
        Model::Ne2kPci => CardModel::Ne2kPci,
        Model::Ne2kIsa { iobase, irq } => CardModel::Ne2kIsa { base: iobase, irq },
        Model::E1000 | Model::Virtio => {
            return Err(Failure::configuration("--nic: this machine has the models ne2k_pci and ne2k_isa"));
        }
    };
    if spec.slot.is_some() {
        return Err(Failure::configuration("--nic addr=: places of cards cannot be chosen; leave it out"));
    }
    Ok(Card { model, mac: MacAddress(mac.0) })
}

/// Back ends, and what is known of them.
#[derive(Default)]
pub(crate) struct Cables {
    pub(crate) networks: Vec<Box<dyn Network>>,
    meters: Vec<(Meter, Option<String>)>,
    looked: Option<Instant>,
}

impl Cables {
    /// Starts the back end of one card.
    pub(crate) fn plug(
        &mut self,
        spec: &NicSpec,
        capture: Option<&Capture>,
        bell: &Bell,
    ) -> Result<(), Failure> {
        let name = kind(&spec.backend);
        let cable = match (spec.open(bell.clone()), &spec.backend) {
            (Ok(cable), _) => cable,
            // Something of the system is missing that the guest can do without.
            (Err(error), Backend::Tap(_)) => {
                eprintln!("nomad86: --nic {name}: {}; the card is not connected", files::reason(&error));
                Cable { network: Box::new(Unplugged), meters: Vec::new(), listening: Vec::new() }
            }
            (Err(error), _) => {
                return Err(Failure::configuration(format!("--nic {name}: {}", files::reason(&error))));
            }
        };
        self.meters.extend(cable.meters.into_iter().map(|meter| (meter, None)));
        let mut network: Box<dyn Network> = cable.network;
        if let Some(capture) = capture {
            network = Box::new(capture.wrap(&format!("card {}", self.networks.len()), Shim(network)));
        }
        self.networks.push(network);
        Ok(())
    }

    /// What has become of the networks since the last call: a line for each that has stopped working, or works
    /// again.
    pub(crate) fn news(&mut self) -> Vec<String> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let mut lines = Vec::new();
        for (meter, told) in &mut self.meters {
            let trouble = meter.trouble();
            if trouble == *told {
                continue;
            }
            lines.push(match &trouble {
                Some(why) => format!("network: {why}; trying again"),
                None => "network: connected".to_owned(),
            });
            *told = trouble;
        }
        lines
    }
}

/// The word that stands behind `--nic`.
fn kind(backend: &Backend) -> &'static str {
    match backend {
        Backend::Unplugged => "none",
        Backend::User(_) => "user",
        Backend::Tap(_) => "tap",
        Backend::Relay(_) => "ws",
        Backend::Hub(_) => "hub",
    }
}

/// A socket without a cable.
struct Unplugged;

impl Network for Unplugged {
    fn transmit(&mut self, _frame: &[u8]) {}

    fn receive<'b>(&mut self, _buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        None
    }

    fn link(&self) -> bool {
        false
    }
}

/// A boxed back end as one that wrappers take.
struct Shim(Box<dyn Network>);

impl Network for Shim {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.transmit(frame);
    }

    fn gather(&mut self, frame: &[u8]) {
        self.0.gather(frame);
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.0.receive(buffer)
    }

    fn link(&self) -> bool {
        self.0.link()
    }
}
