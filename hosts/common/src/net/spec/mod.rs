//! `--nic` and `--net`: what people type, as typed values.
//!
//! ```text
//! --nic user[,net=10.0.2.0/24][,host=..][,dns=..][,dhcpstart=..][,hostname=..][,domainname=..]
//!           [,bootfile=..][,restrict=on][,ipv4=off][,ipv6=off][,ipv6-net=fec0::/64][,hostfwd=tcp::2222-:22]...
//! --nic tap[,ifname=..]
//! --nic ws,url=wss://host/room[,ca=FILE][,token=..]
//! --nic hub[,name=..] | hub,listen=127.0.0.1:7000 | hub,connect=/path/of/socket
//! --nic none
//! ```
//!
//! Each also takes `model=ne2k_pci|ne2k_isa|e1000|virtio`, `mac=`, `addr=` (the PCI device number),
//! `pcap=FILE` and the qualities of a bad line: `loss=`, `duplicate=`, `reorder=`, `corrupt=`, `delay=`,
//! `jitter=`, `rate=`, `seed=`. `ne2k_isa` takes `iobase=` and `irq=`.
//!
//! ```
//! use nomad86_host::net::bell::Bell;
//! use nomad86_host::net::spec::NicSpec;
//!
//! let nic = NicSpec::parse("hub,name=lan,loss=1%,seed=86")?.expect("it is not none");
//! let cable = nic.open(Bell::default())?;
//! assert!(cable.network.link());
//! println!("{}", NicSpec::parse("user,hostfwd=nonsense").unwrap_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod options;

use super::Mac;
use super::hub::server::HubAddress;
use super::nat::{Forward, Ipv4Config, Ipv6Config, NatConfig, Transport};
use super::relay::RelayUrl;
use super::shape::Shape;
use options::{Options, duration, number, scaled, share};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// An option that cannot be used: which one, what was expected, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpecError {
    /// The option and its key.
    pub option: String,
    /// What stood there; empty when nothing did.
    pub found: String,
    /// What could stand there.
    pub expected: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, found, expected, advice } = self;
        match found.as_str() {
            "" => write!(f, "{option}: expected {expected}. {advice}"),
            // Quoted as in Rust, so that a line break in it does not break the line.
            found => write!(f, "{option}: expected {expected}, found {found:?}. {advice}"),
        }
    }
}

impl std::error::Error for SpecError {}

/// The network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Model {
    /// NE2000 on PCI (RTL8029AS).
    #[default]
    Ne2kPci,
    /// NE2000 on ISA.
    Ne2kIsa {
        /// The first of its 32 ports.
        iobase: u16,
        /// Its interrupt.
        irq: u8,
    },
    /// Intel 82540EM.
    E1000,
    /// virtio-net on PCI.
    Virtio,
}

/// A relay and how to get in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelaySpec {
    /// Where it is.
    pub url: RelayUrl,
    /// A file with the certificates to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The word that it asks for.
    pub token: Option<String>,
}

/// Which hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubSpec {
    /// A hub of this process.
    Named(String),
    /// The same, and machines of other processes may plug in.
    Listen(String, HubAddress),
    /// A hub of another process.
    Connect(HubAddress),
}

/// Where the card's cable leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Backend {
    /// Nowhere.
    Unplugged,
    /// To a user-mode network.
    User(Box<NatConfig>),
    /// To a TAP device of the host; the system chooses the name when there is none.
    Tap(Option<String>),
    /// To a relay.
    Relay(RelaySpec),
    /// To a hub.
    Hub(HubSpec),
}

/// A network card and its cable.
#[derive(Clone, PartialEq, Debug)]
pub struct NicSpec {
    /// The card.
    pub model: Model,
    /// Its address; chosen at random when there is none.
    pub mac: Option<Mac>,
    /// Its PCI device number; chosen when there is none.
    pub slot: Option<u8>,
    /// Where the cable leads.
    pub backend: Backend,
    /// The quality of the line.
    pub shape: Shape,
    /// Where frames are recorded.
    pub pcap: Option<PathBuf>,
}

impl NicSpec {
    /// A card of the default model at the end of a cable.
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        let shape = Shape::default();
        Self { model: Model::default(), mac: None, slot: None, backend, shape, pcap: None }
    }

    /// Reads the value of `--nic`; `None` is `none`: no card at all.
    ///
    /// # Errors
    /// Names the part that is wrong, what was expected there, and what to do.
    pub fn parse(text: &str) -> Result<Option<Self>, SpecError> {
        parse("--nic", text)
    }

    /// Reads the value of `--net`: the address of a relay, or all that `--nic` takes.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_net(text: &str) -> Result<Option<Self>, SpecError> {
        if !text.contains("://") {
            return parse("--net", text);
        }
        let options = Options::split("--net", "");
        let url = relay_url(&options, "", text)?;
        Ok(Some(Self::new(Backend::Relay(RelaySpec { url, ca: None, token: None }))))
    }
}

fn parse(option: &'static str, text: &str) -> Result<Option<NicSpec>, SpecError> {
    let mut options = Options::split(option, text);
    let backend = match options.kind.as_str() {
        "none" => {
            options.finish("no others")?;
            return Ok(None);
        }
        "unplugged" => Backend::Unplugged,
        "user" => Backend::User(Box::new(user(&mut options)?)),
        "tap" => Backend::Tap(tap(&mut options)?),
        "ws" | "wss" | "relay" => Backend::Relay(relay(&mut options)?),
        "hub" | "socket" | "stream" => Backend::Hub(hub(&mut options)?),
        _ => {
            let kind = std::mem::take(&mut options.kind);
            let advice = "Write one of them first, its options after commas.";
            return Err(options.error("", &kind, "user, tap, ws, hub, unplugged or none", advice));
        }
    };
    let mut nic = NicSpec::new(backend);
    nic.model = model(&mut options)?;
    nic.mac = options.parse(
        "mac",
        "an address such as 52:54:00:12:34:56",
        "Its first number must be even.",
        |text| Mac::parse(text).filter(|mac| mac.is_station()),
    )?;
    nic.slot = options.parse(
        "addr",
        "a PCI device number from 2 to 31",
        "Leave it out to have one chosen.",
        |text| number(text).and_then(|n| u8::try_from(n).ok()).filter(|n| (2..32).contains(n)),
    )?;
    // QEMU's names for the card and its cable say nothing here.
    options.take("id", "a name")?;
    nic.pcap = options.take("pcap", "the name of a file")?.map(PathBuf::from);
    nic.shape = shape(&mut options)?;
    let known = match nic.backend {
        Backend::User(_) => {
            "net, host, dns, dhcpstart, hostname, domainname, bootfile, restrict, ipv4, ipv6, ipv6-net, hostfwd"
        }
        Backend::Tap(_) => "ifname",
        Backend::Relay(_) => "url, ca, token",
        Backend::Hub(_) => "name, listen, connect",
        Backend::Unplugged => "no others",
    };
    options.finish(&format!(
        "{known}; and model, mac, addr, pcap, loss, delay, jitter, rate, duplicate, reorder, corrupt, seed"
    ))?;
    Ok(Some(nic))
}

fn model(options: &mut Options) -> Result<Model, SpecError> {
    let expected = "ne2k_pci, ne2k_isa, e1000 or virtio";
    let model = options.parse("model", expected, "Write one of them.", |text| match text {
        "ne2k_pci" | "ne2k" => Some(Model::Ne2kPci),
        "ne2k_isa" => Some(Model::Ne2kIsa { iobase: 0x300, irq: 3 }),
        "e1000" => Some(Model::E1000),
        "virtio" | "virtio-net-pci" | "virtio-net" => Some(Model::Virtio),
        _ => None,
    })?;
    let Some(Model::Ne2kIsa { mut iobase, mut irq }) = model else { return Ok(model.unwrap_or_default()) };
    let advice = "Usual ones are 0x300, 0x320, 0x340 and 0x280.";
    if let Some(value) =
        options.parse("iobase", "a multiple of 0x20 from 0x200 to 0x3e0", advice, |text| {
            number(text).filter(|n| (0x200..=0x3E0).contains(n) && n % 0x20 == 0)
        })?
    {
        iobase = value as u16;
    }
    if let Some(value) =
        options.parse("irq", "3, 4, 5, 7, 9, 10, 11, 12 or 15", "Write one of them.", |text| {
            number(text).filter(|n| [3, 4, 5, 7, 9, 10, 11, 12, 15].contains(n))
        })?
    {
        irq = value as u8;
    }
    Ok(Model::Ne2kIsa { iobase, irq })
}

fn user(options: &mut Options) -> Result<NatConfig, SpecError> {
    let mut config = NatConfig::default();
    let advice = "Leave it out for 10.0.2.0/24.";
    let net = options.parse("net", "a network such as 10.0.2.0/24, its prefix 8 to 29", advice, |text| {
        let (address, prefix) = text.split_once('/')?;
        let prefix = prefix.parse().ok().filter(|prefix| (8..=29).contains(prefix))?;
        Some(Ipv4Config::of(address.parse().ok()?, prefix))
    })?;
    let mut ipv4 = net.unwrap_or_default();
    for (key, field) in [("host", 0), ("dns", 1), ("dhcpstart", 2)] {
        let expected = format!("an address in {}/{}", ipv4.network, ipv4.prefix);
        let place = match field {
            0 => &mut ipv4.host,
            1 => &mut ipv4.dns,
            _ => &mut ipv4.first,
        };
        if let Some(address) = options.parse(key, &expected, "Name one that is in it.", |text| {
            text.parse::<Ipv4Addr>()
                .ok()
                .filter(|a| ![ipv4_network(net), ipv4_broadcast(net)].contains(a) && ipv4_contains(net, *a))
        })? {
            *place = address;
        }
    }
    if ipv4.host == ipv4.dns || !ipv4.is_guest(ipv4.first) {
        let found = format!("{}, {}, {}", ipv4.host, ipv4.dns, ipv4.first);
        let expected = "three different addresses for host, dns and the first guest";
        return Err(options.error("host", &found, expected, "Change one of host=, dns= and dhcpstart=."));
    }
    config.ipv4 = options.flag("ipv4")?.unwrap_or(true).then_some(ipv4);
    let advice = "Leave it out for fec0::/64.";
    let ipv6_net = options.parse("ipv6-net", "a network such as fec0::/64", advice, |text| {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "64"));
        let address: Ipv6Addr = address.parse().ok().filter(|_| prefix == "64")?;
        (!address.is_multicast() && !address.is_unspecified()).then(|| Ipv6Config::of(address))
    })?;
    config.ipv6 = options.flag("ipv6")?.unwrap_or(true).then(|| ipv6_net.unwrap_or_default());
    if config.ipv4.is_none() && config.ipv6.is_none() {
        return Err(options.error(
            "ipv6",
            "off",
            "ipv4 or ipv6 to be on",
            "Leave one of them on, or use --nic unplugged.",
        ));
    }
    let name = |text: &str| {
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        (fits && text.len() <= 64).then(|| text.to_owned())
    };
    let expected = "a name of letters, digits, dots and hyphens";
    config.hostname = options.parse("hostname", expected, "Shorten it to 64 of them.", name)?;
    config.domain = options.parse("domainname", expected, "Shorten it to 64 of them.", name)?;
    let expected = "a file's name or address of up to 255 visible ASCII characters";
    config.bootfile =
        options.parse("bootfile", expected, "Shorten it, or escape what is not ASCII.", |text| {
            (text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
        })?;
    config.restrict = options.flag("restrict")?.unwrap_or(false);
    let expected = "tcp or udp, then :[HOST]:PORT-[GUEST]:PORT";
    for text in options.take_all("hostfwd", expected)? {
        let advice = "For instance hostfwd=tcp::2222-:22 leads port 2222 of the host to the guest's port 22.";
        config
            .forwards
            .push(forward(&text).ok_or_else(|| options.error("hostfwd", &text, expected, advice))?);
    }
    Ok(config)
}

fn ipv4_network(net: Option<Ipv4Config>) -> Ipv4Addr {
    net.unwrap_or_default().network
}

fn ipv4_broadcast(net: Option<Ipv4Config>) -> Ipv4Addr {
    net.unwrap_or_default().broadcast()
}

fn ipv4_contains(net: Option<Ipv4Config>, address: Ipv4Addr) -> bool {
    net.unwrap_or_default().contains(address)
}

/// `tcp:[host]:port-[guest]:port`; IPv6 addresses stand in brackets.
fn forward(text: &str) -> Option<Forward> {
    let (transport, rest) = text.split_once(':')?;
    let transport = match transport {
        "tcp" | "" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    let (listen, guest) = rest.rsplit_once('-')?;
    let (guest, port) = endpoint(guest)?;
    let (host, host_port) = endpoint(listen)?;
    let host = host.unwrap_or(match guest {
        Some(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    });
    (port != 0).then_some(Forward { transport, listen: SocketAddr::new(host, host_port), guest, port })
}

fn endpoint(text: &str) -> Option<(Option<IpAddr>, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = number(port).and_then(|port| u16::try_from(port).ok())?;
    let address = match address {
        "" => None,
        _ => match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => Some(IpAddr::V6(inner.parse().ok()?)),
            None => Some(IpAddr::V4(address.parse().ok()?)),
        },
    };
    Some((address, port))
}

fn tap(options: &mut Options) -> Result<Option<String>, SpecError> {
    // Scripts that set the device up run before us, if at all.
    for key in ["script", "downscript"] {
        options.parse(key, "no", "Set the device up beforehand; scripts are not run.", |text| {
            (text == "no").then_some(())
        })?;
    }
    options.parse(
        "ifname",
        "a name of 1 to 15 characters",
        "Choose a shorter one, without / and spaces.",
        |text| {
            let fits = text.len() <= 15 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
            (fits && text != "." && text != "..").then(|| text.to_owned())
        },
    )
}

fn relay_url(options: &Options, key: &str, text: &str) -> Result<RelayUrl, SpecError> {
    let expected = "the address of a relay, such as ws://127.0.0.1:8080/";
    if let Some((scheme @ ("wisp" | "wisps" | "fetch" | "inbrowser"), _)) = text.split_once("://") {
        let advice = format!("{scheme}:// cannot be used here; take a relay of raw frames, or --nic user.");
        return Err(options.error(key, text, expected, &advice));
    }
    RelayUrl::parse(text).map_err(|reason| options.error(key, text, expected, &format!("In it, {reason}.")))
}

fn relay(options: &mut Options) -> Result<RelaySpec, SpecError> {
    let expected = "the address of a relay, such as ws://127.0.0.1:8080/";
    // The name that v86's users know.
    let url = match options.take("url", expected)? {
        Some(url) => Some(url),
        None => options.take("network_relay_url", expected)?,
    };
    let Some(url) = url else {
        return Err(options.error("url", "", expected, "Add url= with the relay's address."));
    };
    let url = relay_url(options, "url", &url)?;
    let ca = options.take("ca", "the name of a file")?.map(PathBuf::from);
    if ca.is_some() && !url.tls {
        return Err(options.error("ca", "", "a relay with TLS", "Use a wss:// address, or leave ca= out."));
    }
    let token =
        options.parse("token", "visible ASCII characters", "Leave out spaces and others.", |text| {
            text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
        })?;
    Ok(RelaySpec { url, ca, token })
}

fn hub(options: &mut Options) -> Result<HubSpec, SpecError> {
    let name = options.take("name", "a name")?;
    let expected = "HOST:PORT, or the path of a socket with a slash in it";
    let advice = "For instance 127.0.0.1:7000 or /tmp/lan.sock.";
    let listen = options.parse("listen", expected, advice, HubAddress::parse)?;
    let connect = options.parse("connect", expected, advice, HubAddress::parse)?;
    match (listen, connect) {
        (None, None) => Ok(HubSpec::Named(name.unwrap_or_else(|| "hub".into()))),
        (Some(listen), None) => Ok(HubSpec::Listen(name.unwrap_or_else(|| "hub".into()), listen)),
        (None, Some(connect)) if name.is_none() => Ok(HubSpec::Connect(connect)),
        (Some(_), Some(connect)) => {
            let expected = "either listen= or connect=";
            Err(options.error("connect", &connect.to_string(), expected, "Leave one of them out."))
        }
        (None, Some(_)) => {
            let name = name.unwrap_or_default();
            Err(options.error("name", &name, "connect= without a name", "The other process names its hub."))
        }
    }
}

fn shape(options: &mut Options) -> Result<Shape, SpecError> {
    let mut shape = Shape::default();
    for key in ["loss", "duplicate", "reorder", "corrupt"] {
        let value =
            options.parse(key, "a share such as 0.01 or 1%", "It is from 0 to 1.", share)?.unwrap_or(0.0);
        match key {
            "loss" => shape.loss = value,
            "duplicate" => shape.duplicate = value,
            "reorder" => shape.reorder = value,
            _ => shape.corrupt = value,
        }
    }
    let expected = "a time such as 20ms or 1s";
    shape.delay = options.parse("delay", expected, "It is an hour at most.", duration)?.unwrap_or_default();
    shape.jitter = options.parse("jitter", expected, "It is an hour at most.", duration)?.unwrap_or_default();
    let expected = "bytes a second, such as 40980 or 1M";
    shape.rate = options.parse("rate", expected, "Leave it out for no limit.", scaled)?.unwrap_or(0);
    shape.seed = options.parse("seed", "a number", "Any will do.", number)?.unwrap_or(0);
    Ok(shape)
}

#[cfg(test)]
mod tests;
