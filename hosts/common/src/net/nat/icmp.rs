//! Echo: the gateway answers itself; for others, the host asks through an unprivileged ICMP socket.
//!
//! Where the system allows neither that nor a raw socket, guests are told that it is prohibited.

use super::gateway::{Gateway, Kind, Target, token};
use super::packet::{Packet, protocol};
use super::wire::Unreachable;
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Echo identifiers of guests that are kept at a time.
const PINGS: usize = 64;
const IDLE: Duration = Duration::from_secs(30);

/// Type of a request and of its answer.
const fn kinds(ipv4: bool) -> (u8, u8) {
    if ipv4 { (8, 0) } else { (128, 129) }
}

#[derive(Debug, Default)]
pub(super) struct Pings {
    pings: Vec<Option<Ping>>,
}

#[derive(Debug)]
struct Ping {
    guest: IpAddr,
    /// What the guest calls it, and what we do (a raw socket; others are told apart by the system).
    identifier: u16,
    own: u16,
    raw: bool,
    socket: UdpSocket,
    active: Instant,
}

impl Pings {
    /// Handles an ICMP message that is not neighbour discovery.
    pub(super) fn message(&mut self, gateway: &mut Gateway, packet: &Packet<'_>) {
        let ipv4 = packet.source.is_ipv4();
        let (request, answer) = kinds(ipv4);
        let Some(&[kind, 0, _, _, high, low, ..]) = packet.payload.first_chunk::<8>() else { return };
        if kind != request || !packet.checksum_ok() {
            return;
        }
        match gateway.target(packet.destination) {
            Target::Gateway | Target::Dns => {
                let mut message = packet.payload.to_vec();
                (message[0], message[2], message[3]) = (answer, 0, 0);
                gateway.wire.icmp(packet.destination, packet.source, message);
            }
            Target::World => {
                let identifier = u16::from_be_bytes([high, low]);
                if let Err(error) = self.forward(gateway, packet, identifier) {
                    let why = match error.kind() {
                        ErrorKind::PermissionDenied => Unreachable::Prohibited,
                        ErrorKind::NetworkUnreachable => Unreachable::Network,
                        ErrorKind::WouldBlock => return,
                        _ => Unreachable::Host,
                    };
                    gateway.wire.unreachable(packet, why);
                }
            }
            Target::Forbidden => gateway.wire.unreachable(packet, Unreachable::Prohibited),
            Target::Nobody => {}
        }
    }

    fn forward(&mut self, gateway: &mut Gateway, packet: &Packet<'_>, identifier: u16) -> io::Result<()> {
        let same = |ping: &Ping| ping.guest == packet.source && ping.identifier == identifier;
        let index = match self.pings.iter().position(|ping| ping.as_ref().is_some_and(same)) {
            Some(index) => index,
            None => self.open(gateway, packet.source, identifier)?,
        };
        let Some(ping) = &mut self.pings[index] else { return Ok(()) };
        ping.active = gateway.now;
        let mut message = packet.payload.to_vec();
        message[4..6].copy_from_slice(&ping.own.to_be_bytes());
        message[2..4].fill(0);
        if packet.source.is_ipv4() {
            let sum = super::packet::checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        ping.socket.send_to(&message, SocketAddr::new(packet.destination, 0)).map(drop)
    }

    fn open(&mut self, gateway: &Gateway, guest: IpAddr, identifier: u16) -> io::Result<usize> {
        let index = match self.pings.iter().position(Option::is_none) {
            Some(index) => index,
            None if self.pings.len() < PINGS => {
                self.pings.push(None);
                self.pings.len() - 1
            }
            None => {
                let ages =
                    self.pings.iter().enumerate().map(|(index, p)| (p.as_ref().map(|p| p.active), index));
                ages.min().map_or(0, |(_, index)| index)
            }
        };
        self.pings[index] = None;
        let (domain, protocol) = match guest {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            // Root may, even where the range of groups that may is empty.
            Err(error) => (Socket::new(domain, Type::RAW, Some(protocol)).map_err(|_| error)?, true),
        };
        socket.set_nonblocking(true)?;
        let mut socket = UdpSocket::from_std(socket.into());
        gateway.watch(&mut socket, token(Kind::Ping, index), false)?;
        // Raw sockets of one host hear everyone's answers.
        let own = std::process::id() as u16 ^ (index as u16).rotate_right(6);
        self.pings[index] = Some(Ping { guest, identifier, own, raw, socket, active: gateway.now });
        Ok(index)
    }

    /// An answer has come.
    pub(super) fn ready(&mut self, gateway: &mut Gateway, index: usize) {
        let Some(Some(ping)) = self.pings.get_mut(index) else { return };
        let mut buffer = [0; 65_535];
        for _ in 0..256 {
            let (len, from) = match ping.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let mut message = &buffer[..len];
            // Raw IPv4 sockets, and some systems' other ones, give the IP header too.
            if ping.guest.is_ipv4() && message.first().is_some_and(|byte| byte >> 4 == 4) {
                let Some(packet) = Packet::ipv4(message).filter(|packet| packet.protocol == protocol::ICMP)
                else {
                    continue;
                };
                message = packet.payload;
            }
            let Some(&[kind, _, _, _, high, low, ..]) = message.first_chunk::<8>() else { continue };
            let own = !ping.raw || u16::from_be_bytes([high, low]) == ping.own;
            if kind != kinds(ping.guest.is_ipv4()).1 || !own {
                continue;
            }
            ping.active = gateway.now;
            let mut message = message.to_vec();
            message[4..6].copy_from_slice(&ping.identifier.to_be_bytes());
            message[2..4].fill(0);
            if let Some(from) = gateway.inside(from.ip()) {
                gateway.wire.icmp(from, ping.guest, message);
            }
        }
    }

    /// Closes what was not used for long.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Instant> {
        for ping in &mut self.pings {
            if ping.as_ref().is_some_and(|ping| now.saturating_duration_since(ping.active) >= IDLE) {
                *ping = None;
            }
        }
        self.pings.iter().flatten().map(|ping| ping.active + IDLE).min()
    }
}
