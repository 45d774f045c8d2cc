//! What all protocols of the gateway share: the wire, the addresses, and what lies behind them.

use super::Counters;
use super::config::NatConfig;
use super::resolv::Resolvers;
use super::wire::Wire;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// The kinds of sockets, in the upper bits of their tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Waker = 0,
    Tcp,
    TcpListener,
    Udp,
    UdpForward,
    Dns,
    Ping,
}

const KIND_SHIFT: u32 = 24;

pub(super) fn token(kind: Kind, index: usize) -> Token {
    Token((kind as usize) << KIND_SHIFT | index)
}

/// Takes a token apart again.
pub(super) fn kind(token: Token) -> (Kind, usize) {
    let kinds =
        [Kind::Waker, Kind::Tcp, Kind::TcpListener, Kind::Udp, Kind::UdpForward, Kind::Dns, Kind::Ping];
    let kind = kinds.get(token.0 >> KIND_SHIFT).copied().unwrap_or(Kind::Waker);
    (kind, token.0 & ((1 << KIND_SHIFT) - 1))
}

/// What a guest means by an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// The gateway: the host.
    Gateway,
    /// The name server.
    Dns,
    /// A station beyond the host.
    World,
    /// Beyond the host, but guests may not go there.
    Forbidden,
    /// Groups, guests, and addresses that are none.
    Nobody,
}

pub(super) struct Gateway {
    pub(super) wire: Wire,
    pub(super) registry: Registry,
    pub(super) config: NatConfig,
    pub(super) counters: Arc<Counters>,
    pub(super) resolvers: Resolvers,
    pub(super) now: Instant,
}

impl Gateway {
    pub(super) fn target(&self, address: IpAddr) -> Target {
        let (gateway, dns, inside, odd) = match address {
            IpAddr::V4(address) => {
                let Some(net) = &self.config.ipv4 else { return Target::Nobody };
                let odd = address.is_multicast()
                    || address.is_loopback()
                    || address.octets()[0] == 0
                    || address.octets()[0] >= 240;
                (address == net.host, address == net.dns, net.contains(address), odd)
            }
            IpAddr::V6(address) => {
                let Some(net) = &self.config.ipv6 else { return Target::Nobody };
                let odd = address.is_multicast()
                    || address.is_loopback()
                    || address.is_unspecified()
                    || address.to_ipv4_mapped().is_some();
                let gateway = address == net.host || address == super::Ipv6Config::ROUTER;
                (gateway, address == net.dns, net.contains(address), odd)
            }
        };
        match () {
            () if gateway => Target::Gateway,
            () if dns => Target::Dns,
            () if odd || inside => Target::Nobody,
            () if self.config.restrict => Target::Forbidden,
            () => Target::World,
        }
    }

    /// Whether `address` can be a guest that is answered.
    pub(super) fn is_guest(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.config.ipv4.is_some_and(|net| net.is_guest(address)),
            IpAddr::V6(address) => self.config.ipv6.is_some_and(|net| net.is_guest(address)),
        }
    }

    /// Where a connection of a guest to `address` leads on the host's side.
    pub(super) fn outside(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        let loopback = match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        match self.target(address.ip()) {
            Target::World => Some(address),
            Target::Gateway if self.config.loopback && !self.config.restrict => {
                Some(SocketAddr::new(loopback, address.port()))
            }
            Target::Dns if address.port() == 53 && !self.config.restrict => {
                self.resolvers.list(self.now).first().copied()
            }
            _ => None,
        }
    }

    /// The address under which guests see a station of the host's side.
    pub(super) fn inside(&self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(v4) => {
                let net = self.config.ipv4.as_ref()?;
                let hidden = v4.is_loopback() || v4.is_unspecified() || net.contains(v4);
                Some(if hidden { IpAddr::V4(net.host) } else { address })
            }
            IpAddr::V6(v6) => {
                let net = self.config.ipv6.as_ref()?;
                let hidden = v6.is_loopback() || v6.is_unspecified() || net.contains(v6);
                Some(if hidden { IpAddr::V6(net.host) } else { address })
            }
        }
    }

    /// Asks to be told when `source` can be read or written.
    pub(super) fn watch(&self, source: &mut impl Source, token: Token, write: bool) -> std::io::Result<()> {
        let interest = if write { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.registry.register(source, token, interest)
    }
}
