//! What a user-mode network looks like: addresses, names, forwards and limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// TCP or UDP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port of the host behind which a port of a guest stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where the host listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The guest; `None` is the one that has the first address of the DHCP pool.
    pub guest: Option<IpAddr>,
    /// The guest's port.
    pub port: u16,
}

/// The error of a port that cannot be had.
pub(super) fn taken(forward: &Forward, error: &std::io::Error) -> std::io::Error {
    let transport = match forward.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there; choose another port",
        std::io::ErrorKind::PermissionDenied => "ports under 1024 are the superuser's; choose a higher one",
        std::io::ErrorKind::AddrNotAvailable => "the host has no such address; leave it out",
        _ => "choose another port",
    };
    let text = format!("hostfwd: cannot listen at {transport} {} ({error}): {remedy}", forward.listen);
    std::io::Error::new(error.kind(), text)
}

/// The IPv4 side of a user-mode network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Config {
    /// The network's own address.
    pub network: Ipv4Addr,
    /// Length of its prefix, 8 to 29.
    pub prefix: u8,
    /// The gateway, which also stands for the host's loopback.
    pub host: Ipv4Addr,
    /// The name server.
    pub dns: Ipv4Addr,
    /// The first address for guests.
    pub first: Ipv4Addr,
}

impl Default for Ipv4Config {
    fn default() -> Self {
        Self::of(Ipv4Addr::new(10, 0, 2, 0), 24)
    }
}

impl Ipv4Config {
    /// The usual places in a network: .2 the gateway, .3 the name server, guests from .15 on, or right
    /// behind them where the network is too small.
    #[must_use]
    pub fn of(network: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.clamp(8, 29);
        let base = network.to_bits() & Self::mask_bits(prefix);
        let first = if prefix > 27 { 4 } else { 15 };
        Self {
            network: base.into(),
            prefix,
            host: (base + 2).into(),
            dns: (base + 3).into(),
            first: (base + first).into(),
        }
    }

    const fn mask_bits(prefix: u8) -> u32 {
        u32::MAX << (32 - prefix as u32)
    }

    /// The net mask.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        Self::mask_bits(self.prefix).into()
    }

    /// The address of all stations.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        (self.network.to_bits() | !Self::mask_bits(self.prefix)).into()
    }

    /// Whether `address` is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & Self::mask_bits(self.prefix) == self.network.to_bits()
    }

    /// Whether a guest can have `address`.
    #[must_use]
    pub fn is_guest(&self, address: Ipv4Addr) -> bool {
        self.contains(address) && ![self.network, self.broadcast(), self.host, self.dns].contains(&address)
    }
}

/// The IPv6 side of a user-mode network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6Config {
    /// The network's prefix of 64 bits.
    pub network: Ipv6Addr,
    /// The gateway, which also stands for the host's loopback.
    pub host: Ipv6Addr,
    /// The name server.
    pub dns: Ipv6Addr,
}

impl Default for Ipv6Config {
    fn default() -> Self {
        Self::of(Ipv6Addr::new(0xFEC0, 0, 0, 0, 0, 0, 0, 0))
    }
}

impl Ipv6Config {
    /// The gateway's link-local address.
    pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 2);

    /// The usual places in a network: ::2 the gateway, ::3 the name server.
    #[must_use]
    pub fn of(network: Ipv6Addr) -> Self {
        let base = network.to_bits() & !u128::from(u64::MAX);
        Self { network: base.into(), host: (base + 2).into(), dns: (base + 3).into() }
    }

    /// Whether `address` is in the network or on its link.
    #[must_use]
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        address.to_bits() >> 64 == self.network.to_bits() >> 64 || address.is_unicast_link_local()
    }

    /// Whether a guest can have `address`.
    #[must_use]
    pub fn is_guest(&self, address: Ipv6Addr) -> bool {
        self.contains(address) && ![self.network, self.host, self.dns, Self::ROUTER].contains(&address)
    }
}

/// A user-mode network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatConfig {
    /// IPv4, unless it is off.
    pub ipv4: Option<Ipv4Config>,
    /// IPv6, unless it is off.
    pub ipv6: Option<Ipv6Config>,
    /// The name that DHCP gives to clients that do not say their own.
    pub hostname: Option<String>,
    /// The domain that DHCP names.
    pub domain: Option<String>,
    /// What DHCP tells clients to boot: a file of the gateway, or an address such as `http://…` for those
    /// that understand it.
    pub bootfile: Option<String>,
    /// Whether guests reach nothing but the gateway's own services and each other.
    pub restrict: bool,
    /// Ports of the host that lead to guests.
    pub forwards: Vec<Forward>,
    /// Name servers to ask; `None` asks those of the system.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// Names that mean the gateway, that is, the host.
    pub host_names: Vec<String>,
    /// Whether the gateway's address leads to the host's loopback.
    pub loopback: bool,
    /// Most TCP connections at a time.
    pub tcp_flows: usize,
    /// Most UDP sockets at a time.
    pub udp_flows: usize,
}

impl Default for NatConfig {
    fn default() -> Self {
        Self {
            ipv4: Some(Ipv4Config::default()),
            ipv6: Some(Ipv6Config::default()),
            hostname: None,
            domain: None,
            bootfile: None,
            restrict: false,
            forwards: Vec::new(),
            resolvers: None,
            host_names: vec!["host.nomad86".into(), "gateway.nomad86".into(), "_gateway".into()],
            loopback: true,
            tcp_flows: 512,
            udp_flows: 256,
        }
    }
}
