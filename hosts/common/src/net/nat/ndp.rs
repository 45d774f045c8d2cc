//! IPv6 on the cable: neighbours, and the router that tells guests their prefix.
//!
//! Spec: RFC 4861, RFC 4862, RFC 8106 (name server option).
//! Not emulated: redirects, DHCPv6 (the advertisement says that there is none).

use super::config::Ipv6Config;
use super::gateway::Gateway;
use super::packet::Packet;
use super::wire::Wire;
use crate::net::Mac;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
/// Time between two advertisements that nobody asked for.
const INTERVAL: Duration = Duration::from_secs(200);
/// Seconds that a router and a name server are believed in.
const LIFETIME: u16 = 1800;
/// Seconds that addresses are preferred, and valid.
const PREFERRED: u32 = 14_400;
const VALID: u32 = 86_400;

/// Handles a neighbour discovery message; `false` when it is none.
pub(super) fn message(gateway: &mut Gateway, packet: &Packet<'_>, sender: Mac) -> bool {
    let Some(net) = gateway.config.ipv6 else { return false };
    let (IpAddr::V6(source), Some(&kind)) = (packet.source, packet.payload.first()) else { return false };
    if !(ROUTER_SOLICITATION..=NEIGHBOUR_ADVERTISEMENT + 1).contains(&kind) {
        return false;
    }
    if packet.hops != 255 || !packet.checksum_ok() {
        return true;
    }
    let unicast = net.is_guest(source);
    match kind {
        ROUTER_SOLICITATION => {
            if let Some(mac) = options(packet.payload, 8, SOURCE_ADDRESS).or(Some(sender)).filter(|_| unicast)
            {
                gateway.wire.learn(source.into(), mac);
            }
            advertise(gateway, if unicast { source } else { ALL_NODES });
        }
        NEIGHBOUR_SOLICITATION => {
            let Some(target) = address(packet.payload) else { return true };
            if unicast {
                let mac = options(packet.payload, 24, SOURCE_ADDRESS).unwrap_or(sender);
                gateway.wire.learn(source.into(), mac);
            }
            if [net.host, net.dns, Ipv6Config::ROUTER].contains(&target) {
                answer(&mut gateway.wire, target, unicast.then_some(source));
            }
        }
        NEIGHBOUR_ADVERTISEMENT => {
            if let Some(target) = address(packet.payload).filter(|target| net.is_guest(*target)) {
                let mac = options(packet.payload, 24, TARGET_ADDRESS).unwrap_or(sender);
                gateway.wire.learn(target.into(), mac);
            }
        }
        _ => {}
    }
    true
}

/// Asks who has `address`.
pub(super) fn solicit(wire: &mut Wire, address: Ipv6Addr) {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 1, 0xFF00 | u16::from(a), u16::from_be_bytes([b, c]));
    let from = if address.is_unicast_link_local() { Ipv6Config::ROUTER } else { wire.ipv6 };
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(address.octets());
    message.extend([SOURCE_ADDRESS, 1]);
    message.extend(wire.mac.0);
    wire.icmp(from.into(), group.into(), message);
}

/// Says that the gateway has `target`; to everyone when the one who asked has no address yet.
fn answer(wire: &mut Wire, target: Ipv6Addr, to: Option<Ipv6Addr>) {
    // Router, override, and whether this is an answer.
    let flags = 0xA0 | if to.is_some() { 0x40 } else { 0 };
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message.extend([TARGET_ADDRESS, 1]);
    message.extend(wire.mac.0);
    wire.icmp(target.into(), to.unwrap_or(ALL_NODES).into(), message);
}

/// Tells `to` of the prefix, the router and the name server.
fn advertise(gateway: &mut Gateway, to: Ipv6Addr) {
    let Some(net) = gateway.config.ipv6 else { return };
    let lifetime = if gateway.config.restrict { 0 } else { LIFETIME };
    let [high, low] = lifetime.to_be_bytes();
    let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([SOURCE_ADDRESS, 1]);
    message.extend(gateway.wire.mac.0);
    // The prefix: on the link, and good for addresses.
    message.extend([3, 4, 64, 0xC0]);
    message.extend(VALID.to_be_bytes());
    message.extend(PREFERRED.to_be_bytes());
    message.extend([0; 4]);
    message.extend(net.network.octets());
    message.extend([5, 1, 0, 0]); // MTU
    message.extend((super::wire::MTU as u32).to_be_bytes());
    message.extend([25, 3, 0, 0]); // name server
    message.extend(u32::from(LIFETIME).to_be_bytes());
    message.extend(net.dns.octets());
    gateway.wire.icmp(Ipv6Config::ROUTER.into(), to.into(), message);
}

/// The advertisements that nobody asked for.
#[derive(Debug)]
pub(super) struct Router {
    next: Instant,
}

impl Router {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    pub(super) fn poll(&mut self, gateway: &mut Gateway) -> Instant {
        if gateway.now >= self.next {
            self.next = gateway.now + INTERVAL;
            advertise(gateway, ALL_NODES);
        }
        self.next
    }
}

/// The target of a neighbour message.
fn address(message: &[u8]) -> Option<Ipv6Addr> {
    message.get(8..)?.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes))
}

/// The hardware address in the option `wanted`.
fn options(message: &[u8], start: usize, wanted: u8) -> Option<Mac> {
    let mut rest = message.get(start..)?;
    while let Some(&[kind, len]) = rest.first_chunk() {
        let len = usize::from(len) * 8;
        let option = rest.get(..len).filter(|option| !option.is_empty())?;
        if kind == wanted {
            return option[2..].first_chunk().map(|bytes| Mac(*bytes));
        }
        rest = &rest[len..];
    }
    None
}
