//! The gateway's end of the guests' cable: who is on it, and how packets become frames.

use super::Counters;
use super::packet::{Packet, checksum, protocol, transport_checksum};
use crate::net::queue::{FrameQueue, Put};
use crate::net::{MAX_FRAME, Mac, count};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Bytes of IP in one frame.
pub(super) const MTU: usize = 1500;
/// Most neighbours that are remembered.
const NEIGHBOURS: usize = 4096;

pub(super) mod ethertype {
    pub(in crate::net::nat) const IPV4: u16 = 0x0800;
    pub(in crate::net::nat) const ARP: u16 = 0x0806;
    pub(in crate::net::nat) const IPV6: u16 = 0x86DD;
}

/// Why a packet goes no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreachable {
    Network,
    Host,
    Port,
    Prohibited,
    /// Its time to live ran out here.
    Expired,
}

/// The gateway's end of the cable.
#[derive(Debug)]
pub(super) struct Wire {
    queue: FrameQueue,
    pub(super) mac: Mac,
    neighbours: HashMap<IpAddr, Mac>,
    /// The gateway's own addresses, as senders of what it says itself.
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Ipv6Addr,
    identification: u32,
    frame: Box<[u8; MAX_FRAME]>,
    counters: Arc<Counters>,
}

impl Wire {
    pub(super) fn new(queue: FrameQueue, ipv4: Ipv4Addr, ipv6: Ipv6Addr, counters: Arc<Counters>) -> Self {
        let [a, b, c, d] = ipv4.octets();
        Self {
            queue,
            // As QEMU's: a local address with the gateway's IPv4 address in it.
            mac: Mac([0x52, 0x55, a, b, c, d]),
            neighbours: HashMap::new(),
            ipv4,
            ipv6,
            identification: 1,
            frame: Box::new([0; MAX_FRAME]),
            counters,
        }
    }

    /// Frames that the queue to the machine has room for.
    pub(super) fn room(&self) -> usize {
        self.queue.free()
    }

    pub(super) fn is_neighbour(&self, address: IpAddr) -> bool {
        self.neighbours.contains_key(&address)
    }

    pub(super) fn neighbour(&self, address: IpAddr) -> Option<Mac> {
        self.neighbours.get(&address).copied()
    }

    pub(super) fn learn(&mut self, address: IpAddr, mac: Mac) {
        if !mac.is_station() || mac == self.mac {
            return;
        }
        if let Some(known) = self.neighbours.get_mut(&address) {
            *known = mac;
            return;
        }
        if self.neighbours.len() >= NEIGHBOURS {
            self.neighbours.clear(); // those who are still there will be heard again
        }
        self.neighbours.insert(address, mac);
    }

    /// Sends a frame whose payload `fill` writes.
    pub(super) fn ethernet(&mut self, to: Mac, ethertype: u16, len: usize, fill: impl FnOnce(&mut [u8])) {
        let end = 14 + len;
        if end > MAX_FRAME {
            return count(&self.counters.dropped_size);
        }
        self.frame[..6].copy_from_slice(&to.0);
        self.frame[6..12].copy_from_slice(&self.mac.0);
        self.frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        fill(&mut self.frame[14..end]);
        // Short frames are padded here: cards hand them to the guest as they come.
        let padded = end.max(60);
        self.frame[end..padded].fill(0);
        match self.queue.offer(&self.frame[..padded]) {
            Put::Kept | Put::Displaced => count(&self.counters.frames_out),
            Put::Refused | Put::Size => count(&self.counters.dropped_full),
        }
    }

    /// The hardware address for an IP address; asks for it, and gives `None`, when nobody knows.
    pub(super) fn resolve(&mut self, address: IpAddr) -> Option<Mac> {
        if let Some(mac) = self.neighbour(address) {
            return Some(mac);
        }
        match address {
            IpAddr::V4(Ipv4Addr::BROADCAST) => return Some(Mac::BROADCAST),
            IpAddr::V6(group) if group.is_multicast() => {
                let [.., a, b, c, d] = group.octets();
                return Some(Mac([0x33, 0x33, a, b, c, d]));
            }
            IpAddr::V4(address) => self.arp(1, Mac::BROADCAST, Mac([0; 6]), address, self.ipv4),
            IpAddr::V6(address) => super::ndp::solicit(self, address),
        }
        None
    }

    /// Sends an ARP request (1) or answer (2) that says that `own` is here.
    pub(super) fn arp(&mut self, operation: u16, to: Mac, target: Mac, address: Ipv4Addr, own: Ipv4Addr) {
        let mac = self.mac;
        self.ethernet(to, ethertype::ARP, 28, |arp| {
            arp[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
            arp[6..8].copy_from_slice(&operation.to_be_bytes());
            arp[8..14].copy_from_slice(&mac.0);
            arp[14..18].copy_from_slice(&own.octets());
            arp[18..24].copy_from_slice(&target.0);
            arp[24..28].copy_from_slice(&address.octets());
        });
    }

    /// Sends a payload, in as many packets as it takes.
    pub(super) fn send(&mut self, from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) {
        if let Some(mac) = self.resolve(to) {
            self.send_to(mac, from, to, protocol, payload);
        } else {
            count(&self.counters.dropped_unknown);
        }
    }

    /// [`Self::send`] to a station that is known otherwise.
    pub(super) fn send_to(&mut self, mac: Mac, from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) {
        if payload.len() > 65_535 - 40 {
            return count(&self.counters.dropped_size);
        }
        let header = if from.is_ipv4() { 20 } else { 40 };
        self.identification = self.identification.wrapping_add(1);
        let id = self.identification;
        let room = MTU - header;
        if payload.len() <= room {
            return match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    self.ipv4_packet(mac, from, to, protocol, id, 0x4000, payload)
                }
                (IpAddr::V6(from), IpAddr::V6(to)) => self.ipv6_packet(mac, from, to, protocol, &[payload]),
                _ => {}
            };
        }
        let step = (room - if header == 40 { 8 } else { 0 }) & !7;
        for (index, piece) in payload.chunks(step).enumerate() {
            let offset = index * step;
            let more = offset + piece.len() < payload.len();
            match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    let flags = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
                    self.ipv4_packet(mac, from, to, protocol, id, flags, piece);
                }
                (IpAddr::V6(from), IpAddr::V6(to)) => {
                    let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
                    let [a, b, c, d] = id.to_be_bytes();
                    let extension = [protocol, 0, high, low, a, b, c, d];
                    self.ipv6_packet(mac, from, to, protocol::FRAGMENT, &[&extension, piece]);
                }
                _ => {}
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a header")]
    fn ipv4_packet(
        &mut self,
        mac: Mac,
        from: Ipv4Addr,
        to: Ipv4Addr,
        protocol: u8,
        id: u32,
        flags: u16,
        payload: &[u8],
    ) {
        let total = 20 + payload.len();
        self.ethernet(mac, ethertype::IPV4, total, |packet| {
            let (header, rest) = packet.split_at_mut(20);
            header[..2].copy_from_slice(&[0x45, 0]);
            header[2..4].copy_from_slice(&(total as u16).to_be_bytes());
            header[4..6].copy_from_slice(&(id as u16).to_be_bytes());
            header[6..8].copy_from_slice(&flags.to_be_bytes());
            header[8..12].copy_from_slice(&[64, protocol, 0, 0]);
            header[12..16].copy_from_slice(&from.octets());
            header[16..20].copy_from_slice(&to.octets());
            let sum = checksum(&[header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            rest.copy_from_slice(payload);
        });
    }

    fn ipv6_packet(&mut self, mac: Mac, from: Ipv6Addr, to: Ipv6Addr, protocol: u8, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        // Neighbour discovery is only believed with 255 hops left.
        let hops = if protocol == protocol::ICMPV6 { 255 } else { 64 };
        self.ethernet(mac, ethertype::IPV6, 40 + len, |packet| {
            let (header, mut rest) = packet.split_at_mut(40);
            header[..4].copy_from_slice(&[0x60, 0, 0, 0]);
            header[4..6].copy_from_slice(&(len as u16).to_be_bytes());
            header[6..8].copy_from_slice(&[protocol, hops]);
            header[8..24].copy_from_slice(&from.octets());
            header[24..40].copy_from_slice(&to.octets());
            for part in parts {
                let (head, tail) = rest.split_at_mut(part.len());
                head.copy_from_slice(part);
                rest = tail;
            }
        });
    }

    /// Sends a UDP datagram.
    pub(super) fn udp(&mut self, from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) {
        if let Some(datagram) = udp_datagram(from, to, payload) {
            self.send(from.0, to.0, protocol::UDP, &datagram);
        }
    }

    /// Sends an ICMP or ICMPv6 message whose checksum field is still empty.
    pub(super) fn icmp(&mut self, from: IpAddr, to: IpAddr, mut message: Vec<u8>) {
        let protocol = if from.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        let sum = transport_checksum(from, to, protocol, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.send(from, to, protocol, &message);
    }

    /// Tells the sender of `packet` why it went no further.
    pub(super) fn unreachable(&mut self, packet: &Packet<'_>, why: Unreachable) {
        // Never about an error, nor about later fragments.
        let first = packet.payload.first().copied().unwrap_or(0);
        let error = match packet.protocol {
            protocol::ICMP => first != 8,
            protocol::ICMPV6 => first < 128,
            _ => false,
        };
        if error || packet.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return;
        }
        let (from, kind, code, longest) = match packet.source {
            IpAddr::V4(_) => {
                let (kind, code) = match why {
                    Unreachable::Network => (3, 0),
                    Unreachable::Host => (3, 1),
                    Unreachable::Port => (3, 3),
                    Unreachable::Prohibited => (3, 13),
                    Unreachable::Expired => (11, 0),
                };
                (IpAddr::V4(self.ipv4), kind, code, 576 - 28)
            }
            IpAddr::V6(_) => {
                let (kind, code) = match why {
                    Unreachable::Network => (1, 0),
                    Unreachable::Prohibited => (1, 1),
                    Unreachable::Host => (1, 3),
                    Unreachable::Port => (1, 4),
                    Unreachable::Expired => (3, 0),
                };
                (IpAddr::V6(self.ipv6), kind, code, 1280 - 48)
            }
        };
        count(&self.counters.unreachable);
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        message.extend(&packet.whole[..packet.whole.len().min(longest)]);
        self.icmp(from, packet.source, message);
    }
}

/// A UDP header with its payload; `None` when it is too long for one.
pub(super) fn udp_datagram(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(8 + payload.len()).ok()?;
    let mut datagram = Vec::with_capacity(usize::from(len));
    datagram.extend(from.1.to_be_bytes());
    datagram.extend(to.1.to_be_bytes());
    datagram.extend(len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let sum = match transport_checksum(from.0, to.0, protocol::UDP, &datagram) {
        0 => 0xFFFF,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    Some(datagram)
}

impl Wire {
    /// Sends a whole IP packet whose receiver is only known once `fill` has written it.
    pub(super) fn packet<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let end = (14 + len).min(MAX_FRAME);
        let result = fill(&mut self.frame[14..end]);
        let packet = &self.frame[14..end];
        let to = match packet.first().map(|byte| byte >> 4) {
            Some(4) => packet.get(16..).and_then(|a| a.first_chunk::<4>()).map(|a| IpAddr::from(*a)),
            _ => packet.get(24..).and_then(|a| a.first_chunk::<16>()).map(|a| IpAddr::from(*a)),
        };
        let Some(to) = to else { return result };
        // A neighbour that is asked for overwrites the packet, which is lost then anyway.
        match self.resolve(to) {
            Some(mac) => {
                let ethertype = if to.is_ipv4() { ethertype::IPV4 } else { ethertype::IPV6 };
                self.ethernet(mac, ethertype, len, |_| {});
            }
            None => count(&self.counters.dropped_unknown),
        }
        result
    }
}
