//! UDP: one socket of the host for each port of a guest, so that any station may answer it.

use super::config::{Forward, Transport, taken};
use super::gateway::{Gateway, Kind, Target, token};
use super::packet::protocol;
use super::wire::Unreachable;
use crate::net::count;
use mio::net::UdpSocket;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// A guest's port that was silent for so long is closed.
const IDLE: Duration = Duration::from_secs(120);
/// Stations outside that have spoken to forwarded ports.
const PEERS: usize = 1024;
/// Datagrams that one socket may deliver before the others have their turn.
const BURST: usize = 64;
/// Frames that must fit into the machine's queue before a datagram is read: one of 64 KiB takes 45.
const ROOM: usize = 48;

#[derive(Debug)]
pub(super) struct Udp {
    flows: Vec<Option<Flow>>,
    by_guest: HashMap<SocketAddr, usize>,
    forwards: Vec<Forwarded>,
    /// Who spoke to which forwarded port: guest and the peer as the guest sees it, to socket and real peer.
    peers: HashMap<(SocketAddr, SocketAddr), (usize, SocketAddr, Instant)>,
    /// Sockets that have more to read.
    pending: Vec<(Kind, usize)>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Flow {
    guest: SocketAddr,
    socket: UdpSocket,
    active: Instant,
}

#[derive(Debug)]
struct Forwarded {
    socket: UdpSocket,
    guest: SocketAddr,
}

/// A datagram from a guest.
pub(super) struct Datagram<'a> {
    pub(super) packet: super::packet::Packet<'a>,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: &'a [u8],
}

/// Reads a UDP header; `None` when lengths or checksum are wrong.
pub(super) fn parse<'a>(packet: &super::packet::Packet<'a>) -> Option<Datagram<'a>> {
    let header: &[u8; 8] = packet.payload.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let whole = packet.payload.get(..len)?;
    let payload = whole.get(8..)?;
    let unsummed = packet.source.is_ipv4() && header[6..8] == [0, 0];
    let summed = super::packet::Packet { payload: whole, ..*packet };
    if !unsummed && !summed.checksum_ok() {
        return None;
    }
    let (from, to) = packet.ports()?;
    let from = SocketAddr::new(packet.source, from);
    let to = SocketAddr::new(packet.destination, to);
    Some(Datagram { packet: *packet, from, to, payload })
}

impl Udp {
    /// Opens the forwarded ports.
    pub(super) fn new(gateway: &Gateway, forwards: &[(Forward, SocketAddr)]) -> std::io::Result<Self> {
        let mut list = Vec::new();
        for (forward, guest) in forwards.iter().filter(|(forward, _)| forward.transport == Transport::Udp) {
            let mut socket = UdpSocket::bind(forward.listen).map_err(|error| taken(forward, &error))?;
            gateway.watch(&mut socket, token(Kind::UdpForward, list.len()), false)?;
            list.push(Forwarded { socket, guest: *guest });
        }
        Ok(Self {
            flows: Vec::new(),
            by_guest: HashMap::new(),
            forwards: list,
            peers: HashMap::new(),
            pending: Vec::new(),
            buffer: vec![0; 65_536].into_boxed_slice(),
        })
    }

    /// The addresses at which the host listens for guests, in the order of the forwards.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.forwards.iter().filter_map(|forward| forward.socket.local_addr().ok()).collect()
    }

    /// Sends a guest's datagram on.
    pub(super) fn datagram(&mut self, gateway: &mut Gateway, datagram: &Datagram<'_>) {
        let Datagram { packet, from, to, payload } = datagram;
        if let Some((index, peer, active)) = self.peers.get_mut(&(*from, *to)) {
            *active = gateway.now;
            // What cannot be sent is lost, as on any network.
            drop(self.forwards[*index].socket.send_to(payload, *peer));
            return;
        }
        let Some(target) = gateway.outside(*to) else {
            match gateway.target(to.ip()) {
                Target::Nobody => {}
                Target::Gateway | Target::Dns => gateway.wire.unreachable(packet, Unreachable::Port),
                Target::World | Target::Forbidden => {
                    gateway.wire.unreachable(packet, Unreachable::Prohibited)
                }
            }
            return;
        };
        let index = match self.by_guest.get(from) {
            Some(index) => *index,
            None => match self.open(gateway, *from) {
                Some(index) => index,
                None => return count(&gateway.counters.dropped_full),
            },
        };
        let Some(flow) = &mut self.flows[index] else { return };
        flow.active = gateway.now;
        if let Err(error) = flow.socket.send_to(payload, target) {
            let why = match error.kind() {
                ErrorKind::NetworkUnreachable => Unreachable::Network,
                ErrorKind::HostUnreachable => Unreachable::Host,
                ErrorKind::ConnectionRefused => Unreachable::Port,
                ErrorKind::PermissionDenied => Unreachable::Prohibited,
                _ => return count(&gateway.counters.dropped_full),
            };
            gateway.wire.unreachable(packet, why);
        }
    }

    fn open(&mut self, gateway: &Gateway, guest: SocketAddr) -> Option<usize> {
        let index = match self.flows.iter().position(Option::is_none) {
            Some(index) => index,
            None if self.flows.len() < gateway.config.udp_flows.max(1) => {
                self.flows.push(None);
                self.flows.len() - 1
            }
            None => {
                count(&gateway.counters.evicted);
                let ages =
                    self.flows.iter().enumerate().map(|(index, f)| (f.as_ref().map(|f| f.active), index));
                ages.min()?.1
            }
        };
        self.close(index);
        let any: IpAddr = match guest {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        gateway.watch(&mut socket, token(Kind::Udp, index), false).ok()?;
        count(&gateway.counters.udp);
        self.flows[index] = Some(Flow { guest, socket, active: gateway.now });
        self.by_guest.insert(guest, index);
        Some(index)
    }

    fn close(&mut self, index: usize) {
        if let Some(flow) = self.flows[index].take() {
            self.by_guest.remove(&flow.guest);
        }
    }

    /// Something can be read.
    pub(super) fn ready(&mut self, kind: Kind, index: usize) {
        if !self.pending.contains(&(kind, index)) {
            self.pending.push((kind, index));
        }
    }

    /// Whether sockets wait to be read.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Reads what there is room for.
    pub(super) fn service(&mut self, gateway: &mut Gateway) {
        for (kind, index) in std::mem::take(&mut self.pending) {
            let more = match kind {
                Kind::UdpForward => self.read_forward(gateway, index),
                _ => self.read_flow(gateway, index),
            };
            if more {
                self.pending.push((kind, index));
            }
        }
    }

    /// Whether there may be more.
    fn read_flow(&mut self, gateway: &mut Gateway, index: usize) -> bool {
        let Some(Some(flow)) = self.flows.get_mut(index) else { return false };
        for _ in 0..BURST {
            if gateway.wire.room() < ROOM {
                return true;
            }
            match flow.socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => {
                    flow.active = gateway.now;
                    if let Some(inside) = gateway.inside(from.ip()) {
                        let guest = (flow.guest.ip(), flow.guest.port());
                        gateway.wire.udp((inside, from.port()), guest, &self.buffer[..len]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => {} // about a datagram that was sent earlier
            }
        }
        true
    }

    fn read_forward(&mut self, gateway: &mut Gateway, index: usize) -> bool {
        let Some(Forwarded { socket, guest }) = self.forwards.get(index) else { return false };
        for _ in 0..BURST {
            if gateway.wire.room() < ROOM {
                return true;
            }
            let (len, peer) = match socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => continue,
            };
            let Some(inside) = gateway.inside(peer.ip()).filter(|inside| inside.is_ipv4() == guest.is_ipv4())
            else {
                continue;
            };
            let seen = SocketAddr::new(inside, peer.port());
            if self.peers.len() >= PEERS && !self.peers.contains_key(&(*guest, seen)) {
                let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.2).map(|(key, _)| *key);
                oldest.map(|key| self.peers.remove(&key));
            }
            self.peers.insert((*guest, seen), (index, peer, gateway.now));
            gateway.wire.udp((inside, seen.port()), (guest.ip(), guest.port()), &self.buffer[..len]);
        }
        true
    }

    /// Closes what was silent for long; gives the next time to look.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Instant> {
        let idle = |active: Instant| now.saturating_duration_since(active) >= IDLE;
        for index in 0..self.flows.len() {
            if self.flows[index].as_ref().is_some_and(|flow| idle(flow.active)) {
                self.close(index);
            }
        }
        self.peers.retain(|_, peer| !idle(peer.2));
        self.flows.iter().flatten().map(|flow| flow.active + IDLE).min()
    }
}

/// The protocol that this file speaks.
pub(super) const PROTOCOL: u8 = protocol::UDP;
