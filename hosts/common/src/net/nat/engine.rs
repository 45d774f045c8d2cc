//! The gateway's thread: frames of guests in, packets sorted by protocol, sockets watched.

use super::Shared;
use super::config::{Forward, NatConfig, Transport};
use super::dhcp::Dhcp;
use super::dns::Dns;
use super::gateway::{Gateway, Kind, Target, kind, token};
use super::icmp::Pings;
use super::ndp::{self, Router};
use super::packet::{Packet, protocol};
use super::reassembly::Reassembly;
use super::resolv::Resolvers;
use super::tcp::Tcp;
use super::udp::{self, Udp};
use super::wire::{Unreachable, Wire, ethertype};
use crate::net::queue::FrameQueue;
use crate::net::{MAX_FRAME, Mac, count};
use mio::{Events, Poll, Waker};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Frames that are taken before sockets have their turn.
const BURST: usize = 256;

pub(super) struct Engine {
    gateway: Gateway,
    from_guest: FrameQueue,
    poll: Poll,
    shared: Arc<Shared>,
    dhcp: Option<Dhcp>,
    dns: Dns,
    pings: Pings,
    udp: Udp,
    tcp: Tcp,
    router: Option<Router>,
    reassembly: Reassembly,
}

/// Where the forwards lead.
fn forwards(config: &NatConfig) -> io::Result<Vec<(Forward, SocketAddr)>> {
    config
        .forwards
        .iter()
        .map(|forward| {
            let guest = forward.guest.or_else(|| config.ipv4.map(|net| IpAddr::V4(net.first)));
            let guest = guest
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "name the guest's address"))?;
            Ok((*forward, SocketAddr::new(guest, forward.port)))
        })
        .collect()
}

impl Engine {
    pub(super) fn new(
        config: NatConfig,
        to_guest: FrameQueue,
        shared: Arc<Shared>,
    ) -> io::Result<(Self, FrameQueue)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), token(Kind::Waker, 0))?);
        let from_guest = FrameQueue::new(super::QUEUE, crate::net::bell::Bell::waker(Arc::clone(&waker)));
        // Only this once: nobody has the shared part yet.
        drop(shared.waker.set(waker));
        let now = Instant::now();
        let ipv4 = config.ipv4.map_or(Ipv4Addr::new(10, 0, 2, 2), |net| net.host);
        let ipv6 = config.ipv6.map_or(Ipv6Addr::UNSPECIFIED, |net| net.host);
        let counters = Arc::clone(&shared.counters);
        let mut gateway = Gateway {
            wire: Wire::new(to_guest, ipv4, ipv6, Arc::clone(&counters)),
            registry: poll.registry().try_clone()?,
            resolvers: Resolvers::new(config.resolvers.clone()),
            config,
            counters,
            now,
        };
        let config = &gateway.config;
        let dhcp = config.ipv4.map(|net| Dhcp::new(net, config));
        let router = config.ipv6.map(|_| Router::new(now));
        let forwards = forwards(config)?;
        let udp = Udp::new(&gateway, &forwards)?;
        let tcp = Tcp::new(&mut gateway, &forwards)?;
        let (mut tcp_ports, mut udp_ports) = (tcp.addresses().into_iter(), udp.addresses().into_iter());
        let addresses = forwards.iter().filter_map(|(forward, _)| match forward.transport {
            Transport::Tcp => tcp_ports.next(),
            Transport::Udp => udp_ports.next(),
        });
        drop(shared.forwards.set(addresses.collect()));
        let engine = Self {
            gateway,
            from_guest: from_guest.clone(),
            poll,
            shared,
            dhcp,
            dns: Dns::default(),
            pings: Pings::default(),
            udp,
            tcp,
            router,
            reassembly: Reassembly::default(),
        };
        Ok((engine, from_guest))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut frame = [0; MAX_FRAME];
        while !self.shared.stop.load(Ordering::Acquire) {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            self.gateway.now = Instant::now();
            for event in &events {
                let failed = event.is_error() || event.is_read_closed() || event.is_write_closed();
                match kind(event.token()) {
                    (Kind::Waker, _) => {}
                    (Kind::Tcp, index) => {
                        self.tcp.ready(index, event.is_readable() || failed, event.is_writable() || failed);
                    }
                    (Kind::TcpListener, index) => self.tcp.accept(&mut self.gateway, index),
                    (kind @ (Kind::Udp | Kind::UdpForward), index) => self.udp.ready(kind, index),
                    (Kind::Dns, index) => self.dns.ready(&mut self.gateway, index),
                    (Kind::Ping, index) => self.pings.ready(&mut self.gateway, index),
                }
            }
            for _ in 0..BURST {
                let Some(frame) = self.from_guest.pop(&mut frame) else { break };
                self.frame(frame);
            }
            self.tcp.service(&mut self.gateway);
            self.udp.service(&mut self.gateway);
        }
    }

    /// How long nothing needs to be done.
    fn wait(&mut self) -> Option<Duration> {
        let now = self.gateway.now;
        let deadlines = [
            self.router.as_mut().map(|router| router.poll(&mut self.gateway)),
            self.dns.poll(&mut self.gateway),
            self.pings.poll(now),
            self.udp.poll(now),
            self.tcp.deadline(),
        ];
        let blocked = self.tcp.is_blocked() || self.udp.is_pending();
        if blocked {
            self.shared.starving.store(true, Ordering::SeqCst);
        }
        let room = self.gateway.wire.room() > super::QUEUE / 2;
        if self.tcp.is_dirty() || !self.from_guest.is_empty() || (blocked && room) {
            return Some(Duration::ZERO);
        }
        let next = deadlines.into_iter().flatten().min()?;
        // Round up, so as not to wake just before the time has come.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_micros(100))
    }

    fn frame(&mut self, frame: &[u8]) {
        count(&self.gateway.counters.frames_in);
        let (Some(to), Some(from)) = (Mac::destination(frame), Mac::source(frame)) else { return };
        if (to != self.gateway.wire.mac && !to.is_group()) || !from.is_station() {
            return;
        }
        match (u16::from_be_bytes([frame[12], frame[13]]), &frame[14..]) {
            (ethertype::ARP, arp) => self.arp(arp, from),
            (ethertype::IPV4, packet) if self.gateway.config.ipv4.is_some() => match Packet::ipv4(packet) {
                Some(packet) => self.packet(&packet, from),
                None => count(&self.gateway.counters.dropped_bad),
            },
            (ethertype::IPV6, packet) if self.gateway.config.ipv6.is_some() => match Packet::ipv6(packet) {
                Some(packet) => self.packet(&packet, from),
                None => count(&self.gateway.counters.dropped_bad),
            },
            _ => {}
        }
    }

    fn learn(&mut self, address: IpAddr, mac: Mac) {
        if self.gateway.is_guest(address) {
            let new = !self.gateway.wire.is_neighbour(address);
            self.gateway.wire.learn(address, mac);
            if new {
                self.tcp.neighbour(address);
            }
        }
    }

    fn arp(&mut self, arp: &[u8], from: Mac) {
        let (Some(net), Some(arp)) = (self.gateway.config.ipv4, arp.first_chunk::<28>()) else { return };
        if arp[..6] != [0, 1, 8, 0, 6, 4] {
            return;
        }
        let address = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
        let (sender, target) = (address(14), address(24));
        let Some(mac) = Mac::source(&arp[2..]) else { return };
        self.learn(sender.into(), mac);
        if arp[7] == 1 && [net.host, net.dns].contains(&target) {
            self.gateway.wire.arp(2, from, mac, sender, target);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, from: Mac) {
        if packet.protocol == protocol::ICMPV6
            && packet.fragment.is_none()
            && ndp::message(&mut self.gateway, packet, from)
        {
            if self.gateway.is_guest(packet.source) {
                self.tcp.neighbour(packet.source);
            }
            return;
        }
        if let Some(fragment) = packet.fragment {
            if let Some(payload) = self.reassembly.add(packet, fragment, self.gateway.now) {
                let whole = Packet { payload: &payload, fragment: None, ..*packet };
                self.datagram(&whole, from);
            }
            return;
        }
        self.datagram(packet, from);
    }

    fn datagram(&mut self, packet: &Packet<'_>, from: Mac) {
        if packet.protocol == udp::PROTOCOL
            && let Some(datagram) = udp::parse(packet)
            && datagram.to.port() == 67
            && datagram.from.port() == 68
            && packet.source.is_ipv4()
        {
            return self.dhcp(datagram.payload);
        }
        if !self.gateway.is_guest(packet.source) {
            return count(&self.gateway.counters.dropped_bad);
        }
        self.learn(packet.source, from);
        let target = self.gateway.target(packet.destination);
        if packet.hops <= 1 && matches!(target, Target::World | Target::Forbidden) {
            return self.gateway.wire.unreachable(packet, Unreachable::Expired);
        }
        match packet.protocol {
            protocol::TCP => self.tcp.segment(&mut self.gateway, packet),
            udp::PROTOCOL => match udp::parse(packet) {
                Some(datagram) if target == Target::Dns && datagram.to.port() == 53 => {
                    self.dns.ask(&mut self.gateway, datagram.from, datagram.to, datagram.payload);
                }
                Some(datagram) => self.udp.datagram(&mut self.gateway, &datagram),
                None => count(&self.gateway.counters.dropped_bad),
            },
            protocol::ICMP | protocol::ICMPV6 => self.pings.message(&mut self.gateway, packet),
            _ if matches!(target, Target::World | Target::Forbidden) => {
                self.gateway.wire.unreachable(packet, Unreachable::Prohibited);
            }
            _ => {}
        }
    }

    fn dhcp(&mut self, request: &[u8]) {
        let (Some(dhcp), Some(net)) = (&mut self.dhcp, self.gateway.config.ipv4) else { return };
        let wire = &self.gateway.wire;
        let reply = dhcp.answer(request, self.gateway.now, |address| wire.neighbour(address.into()));
        self.shared.counters.leases.store(dhcp.leases() as u64, Ordering::Relaxed);
        let Some(reply) = reply else { return };
        let (host, to) = (IpAddr::V4(net.host), IpAddr::V4(reply.address));
        if let Some(datagram) = super::wire::udp_datagram((host, 67), (to, 68), &reply.payload) {
            self.gateway.wire.send_to(reply.mac, host, to, udp::PROTOCOL, &datagram);
        }
        if let Some(address) = reply.granted
            && let Some(mac) = request.get(28..).and_then(|bytes| bytes.first_chunk())
        {
            self.learn(address.into(), Mac(*mac));
        }
    }
}
