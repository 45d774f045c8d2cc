//! From what was typed to a cable that can be plugged in.

use super::bell::Bell;
use super::hub::client::HubClient;
use super::hub::server::HubServer;
use super::hub::{Hub, HubPort};
use super::nat::Nat;
use super::pcap::Capture;
use super::relay::{RelayClient, RelayConfig};
use super::shape::Shaper;
use super::spec::{Backend, HubSpec, NicSpec};
use super::tap::Tap;
use nomad86::host::{Network, Null};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Counters of a part, to be read while the machine has the part itself.
#[derive(Clone)]
pub struct Meter {
    name: &'static str,
    read: Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    trouble: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl Meter {
    pub(crate) fn new(
        name: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) -> Self {
        Self { name, read: Arc::new(read), trouble: Arc::new(|| None) }
    }

    pub(crate) fn with_trouble(self, trouble: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { trouble: Arc::new(trouble), ..self }
    }

    /// Which part it is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Names and values.
    #[must_use]
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        (self.read)()
    }

    /// Why it does not work now, if it does not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        (self.trouble)()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.read()).finish()
    }
}

/// A cable that can be plugged into a card.
pub struct Cable {
    /// Its near end.
    pub network: Box<dyn Network + Send>,
    /// What can be known about it.
    pub meters: Vec<Meter>,
    /// Where the host listens for forwarded ports and for machines of other processes.
    pub listening: Vec<SocketAddr>,
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cable").field("meters", &self.meters).field("listening", &self.listening).finish()
    }
}

/// A hub's port that keeps the hub's door to other processes open.
struct Doorkeeper {
    port: HubPort,
    _server: HubServer,
}

impl Network for Doorkeeper {
    fn transmit(&mut self, frame: &[u8]) {
        self.port.transmit(frame);
    }

    fn gather(&mut self, frame: &[u8]) {
        self.port.gather(frame);
    }

    fn flush(&mut self) {
        self.port.flush();
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.port.receive(buffer)
    }

    fn link(&self) -> bool {
        self.port.link()
    }
}

impl NicSpec {
    /// Makes the cable whose `bell` rings when frames come: the back end, behind a bad line if there is to be
    /// one, and recorded at the card's end if it is to be.
    ///
    /// # Errors
    /// Says what cannot be had, and why. A relay or a hub that is not there yet is no error: its meter tells.
    pub fn open(&self, bell: Bell) -> io::Result<Cable> {
        let mut cable = if self.shape.is_clear() {
            connect(&self.backend, self.mac, bell)?
        } else {
            let (mut meters, mut listening) = (Vec::new(), Vec::new());
            let shaper = Shaper::start(self.shape, bell, |bell| {
                let cable = connect(&self.backend, self.mac, bell)?;
                (meters, listening) = (cable.meters, cable.listening);
                Ok::<_, io::Error>(cable.network)
            })?;
            meters.push(shaper.meter());
            Cable { network: Box::new(shaper), meters, listening }
        };
        if let Some(path) = &self.pcap {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let capture = Capture::create(path).map_err(named)?;
            cable.meters.push(capture.meter());
            cable.network = Box::new(capture.wrap("wire", cable.network));
        }
        Ok(cable)
    }
}

fn connect(backend: &Backend, mac: Option<super::Mac>, bell: Bell) -> io::Result<Cable> {
    let cable = |network: Box<dyn Network + Send>, meter: Meter| Cable {
        network,
        meters: vec![meter],
        listening: Vec::new(),
    };
    Ok(match backend {
        Backend::Unplugged => Cable { network: Box::new(Null), meters: Vec::new(), listening: Vec::new() },
        Backend::User(config) => {
            let nat = Nat::start((**config).clone(), bell)?;
            let (meter, listening) = (nat.meter(), nat.forwards().to_vec());
            Cable { listening, ..cable(Box::new(nat), meter) }
        }
        Backend::Tap(name) => {
            let tap = Tap::open(name.as_deref(), bell)?;
            let meter = tap.meter();
            cable(Box::new(tap), meter)
        }
        Backend::Relay(relay) => {
            let (ca, token) = (relay.ca.clone(), relay.token.clone());
            let client = RelayClient::start(
                RelayConfig { ca, token, mac, ..RelayConfig::new(relay.url.clone()) },
                bell,
            )?;
            let meter = client.meter();
            cable(Box::new(client), meter)
        }
        Backend::Hub(HubSpec::Named(name)) => {
            let port = Hub::named(name).port(bell);
            let meter = port.hub().meter();
            cable(Box::new(port), meter)
        }
        Backend::Hub(HubSpec::Listen(name, address)) => {
            let hub = Hub::named(name);
            let named = |error: io::Error| io::Error::new(error.kind(), format!("hub at {address}: {error}"));
            let server = HubServer::start(hub.clone(), address).map_err(named)?;
            let listening = server.address().into_iter().collect();
            let network = Doorkeeper { port: hub.port(bell), _server: server };
            Cable { listening, ..cable(Box::new(network), hub.meter()) }
        }
        Backend::Hub(HubSpec::Connect(address)) => {
            let client = HubClient::start(address.clone(), bell)?;
            let meter = client.meter();
            cable(Box::new(client), meter)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::hub::tests::{all, frame};
    use super::*;
    use std::time::{Duration, Instant};

    fn cable(text: &str) -> Cable {
        NicSpec::parse(text)
            .unwrap()
            .unwrap()
            .open(Bell::default())
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn value(cable: &Cable, meter: &str, name: &str) -> u64 {
        let meter = cable.meters.iter().find(|found| found.name() == meter).unwrap();
        meter.read().iter().find(|(found, _)| *found == name).unwrap().1
    }

    fn until(mut check: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !check() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn cables_of_one_hub_are_connected_even_behind_bad_lines_and_recorders() {
        let path = std::env::temp_dir().join(format!("nomad86-open-{}.pcapng", std::process::id()));
        let mut a = cable("hub,name=open-test");
        let mut b = cable(&format!("hub,name=open-test,delay=5ms,pcap={}", path.display()));
        a.network.transmit(&frame(255, 1, b"hello"));
        let mut got = Vec::new();
        until(|| {
            got.extend(all(&mut b.network));
            !got.is_empty()
        });
        assert_eq!(got, [frame(255, 1, b"hello")]);
        assert_eq!(
            (value(&a, "hub", "frames"), value(&b, "line", "passed"), value(&b, "pcap", "frames")),
            (1, 1, 1)
        );
        drop(b);
        assert!(std::fs::metadata(&path).unwrap().len() > 100);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_hub_that_listens_is_reached_from_outside() {
        let mut inside = cable("hub,name=door-test,listen=127.0.0.1:0");
        let mut outside = cable(&format!("hub,connect={}", inside.listening[0]));
        until(|| outside.network.link());
        assert_eq!(outside.meters[0].trouble(), None);
        outside.network.transmit(&frame(255, 1, b"knock"));
        let mut got = Vec::new();
        until(|| {
            got.extend(all(&mut inside.network));
            !got.is_empty()
        });
        drop(inside);
        until(|| outside.meters[0].trouble().is_some());
    }

    #[test]
    fn forwarded_ports_are_told_and_relays_that_are_absent_are_no_error() {
        let user = cable("user,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:127.0.0.1:0-:53");
        assert_eq!(user.listening.len(), 2);
        assert!(user.listening.iter().all(|address| address.port() != 0));
        let relay = cable("ws,url=ws://127.0.0.1:1/");
        assert!(!relay.network.link());
        until(|| relay.meters[0].trouble().is_some_and(|text| text.contains("nobody listens")));
        assert!(!cable("unplugged").network.link());
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let error = |text: &str| {
            NicSpec::parse(text).unwrap().unwrap().open(Bell::default()).unwrap_err().to_string()
        };
        assert!(error("hub,pcap=/nonexistent/x").contains("/nonexistent/x"));
        assert!(error("hub,listen=/nonexistent/x").contains("/nonexistent/x"));
        assert!(error("ws,url=wss://localhost/,ca=/nonexistent/x").contains("/nonexistent/x"));
    }
}
