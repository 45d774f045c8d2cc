//! What a relay is told before it starts.

use crate::net::nat::NatConfig;
use crate::net::switch::Rules;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Addresses with a common prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `address` or `address/prefix`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, prefix.parse().ok()?),
            None => {
                let address = text.parse::<IpAddr>().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, prefix })
    }

    /// Whether `address` is one of them; an IPv4 address in IPv6 clothes counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What the rooms of a relay lead to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Uplink {
    /// Nothing: clients reach each other only.
    #[default]
    None,
    /// Addresses for everyone, and nothing else.
    Dhcp,
    /// The host's network, each room through a user-mode network of its own. Forwarded ports lead to the
    /// default room.
    Nat(Box<NatConfig>),
    /// A TAP device of the host, for the default room; the system chooses the name when there is none.
    Tap(Option<String>),
}

/// How much one client may send; more is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Bytes a second.
    pub bytes: Option<u64>,
    /// Frames a second.
    pub frames: Option<u64>,
}

/// What a relay is told before it starts.
#[derive(Clone, Debug)]
pub struct RelayServerConfig {
    /// Where it listens; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The chain of certificates and the key for TLS, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A word that clients must know: `Authorization: Bearer WORD`, or `?token=WORD` in the address.
    pub token: Option<String>,
    /// The web origins that pages may come from; `None` is any. Clients that are no browsers name none.
    pub origins: Option<Vec<String>>,
    /// The addresses that clients may come from; `None` is any.
    pub addresses: Option<Vec<Network>>,
    /// Most clients.
    pub clients: usize,
    /// Most rooms.
    pub rooms: usize,
    /// Most rooms that have an uplink; others connect their clients only.
    pub uplinks: usize,
    /// Frames that wait for one client.
    pub queue: usize,
    /// Time between pings.
    pub ping: Duration,
    /// A client that was silent for so long, pongs included, is sent away.
    pub idle: Duration,
    /// How long a handshake may take.
    pub patience: Duration,
    /// How addresses are learnt; `addresses_per_port` limits those of one client.
    pub rules: Rules,
    /// How much one client may send.
    pub limits: Limits,
    /// What rooms lead to.
    pub uplink: Uplink,
    /// Whether `GET /metrics` is answered where clients connect.
    pub metrics: bool,
    /// Where else `GET /metrics` is answered, without token and TLS.
    pub metrics_listen: Option<SocketAddr>,
}

impl Default for RelayServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8086))],
            tls: None,
            token: None,
            origins: None,
            addresses: None,
            clients: 1024,
            rooms: 256,
            uplinks: 32,
            queue: 256,
            ping: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            rules: Rules { addresses_per_port: 32, ..Rules::default() },
            limits: Limits::default(),
            uplink: Uplink::None,
            metrics: true,
            metrics_listen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        let contains = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("10.1.2.3", "::ffff:10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("fd00::/8", "fdff::1") && contains("::/0", "fe80::1") && contains("::1", "::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
