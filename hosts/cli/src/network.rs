//! `--nic` and `--net`: cards for the machine and back ends for their cables.

use crate::args::run::RunArgs;
use crate::files;
use crate::outcome::Failure;
use nomad86::config::{Card, CardModel};
use nomad86::host::Network;
use nomad86::net::MacAddress;
use nomad86_host::net::Mac;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::hub::Hub;
use nomad86_host::net::hub::client::HubClient;
use nomad86_host::net::hub::server::HubServer;
use nomad86_host::net::nat::{Nat, NatConfig};
use nomad86_host::net::pcap::Capture;
use nomad86_host::net::relay::{RelayClient, RelayConfig};
use nomad86_host::net::spec::{Backend, HubSpec, Model, NicSpec};
use nomad86_host::net::tap::Tap;
use std::hash::{BuildHasher, RandomState};
use std::io;

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
    if !spec.shape.is_clear() {
        return Err(Failure::configuration(
            "--nic: loss, delay, rate and the like are not available; leave them out",
        ));
    }
    Ok(Card { model, mac: MacAddress(mac.0) })
}

/// Back ends, and what must live as long as they do.
#[derive(Default)]
pub(crate) struct Cables {
    pub(crate) networks: Vec<Box<dyn Network>>,
    servers: Vec<HubServer>,
    captures: Vec<Capture>,
}

impl Cables {
    /// Starts the back end of one card.
    pub(crate) fn plug(
        &mut self,
        spec: &NicSpec,
        capture: Option<&Capture>,
        bell: &Bell,
    ) -> Result<(), Failure> {
        let mut network = self.start(spec, bell)?;
        let own = match &spec.pcap {
            Some(path) => Some(Capture::create(path).map_err(|error| {
                Failure::configuration(format!("pcap={}: {}", path.display(), files::reason(&error)))
            })?),
            None => None,
        };
        for capture in own.iter().chain(capture) {
            let name = format!("card {}", self.networks.len());
            network = Box::new(capture.wrap(&name, Shim(network)));
        }
        self.captures.extend(own);
        self.networks.push(network);
        Ok(())
    }

    fn start(&mut self, spec: &NicSpec, bell: &Bell) -> Result<Box<dyn Network>, Failure> {
        let wrong = |what: &str, error: &io::Error, remedy: &str| {
            Failure::configuration(format!("{what}: {}{remedy}", files::reason(error)))
        };
        Ok(match &spec.backend {
            Backend::Unplugged => Box::new(nomad86::host::Null),
            Backend::User(config) => Box::new(Nat::start(NatConfig::clone(config), bell.clone()).map_err(
                |error| wrong("--nic user", &error, "; is a port of hostfwd= in use by another program?"),
            )?),
            Backend::Tap(name) => Box::new(Tap::open(name.as_deref(), bell.clone()).map_err(|error| {
                wrong(
                    "--nic tap",
                    &error,
                    "; without root, a device made beforehand is needed (ip tuntap add mode tap user \"$USER\"), \
                     or use --nic user",
                )
            })?),
            Backend::Relay(relay) => {
                let mut config = RelayConfig::new(relay.url.clone());
                config.ca.clone_from(&relay.ca);
                config.token.clone_from(&relay.token);
                config.mac = spec.mac;
                let client = RelayClient::start(config, bell.clone());
                Box::new(client.map_err(|error| wrong("--nic ws", &error, ""))?)
            }
            Backend::Hub(HubSpec::Named(name)) => Box::new(Hub::named(name).port(bell.clone())),
            Backend::Hub(HubSpec::Listen(name, address)) => {
                let hub = Hub::named(name);
                let server = HubServer::start(hub.clone(), address)
                    .map_err(|error| wrong(&format!("--nic hub,listen={address}"), &error, ""))?;
                self.servers.push(server);
                Box::new(hub.port(bell.clone()))
            }
            Backend::Hub(HubSpec::Connect(address)) => Box::new(
                HubClient::start(address.clone(), bell.clone())
                    .map_err(|error| wrong(&format!("--nic hub,connect={address}"), &error, ""))?,
            ),
        })
    }
}

/// A boxed back end as one that wrappers take.
struct Shim(Box<dyn Network>);

impl Network for Shim {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.transmit(frame);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.0.receive(buffer)
    }

    fn link(&self) -> bool {
        self.0.link()
    }
}
