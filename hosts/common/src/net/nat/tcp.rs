//! TCP: each connection of a guest ends at the gateway and goes on as a connection of the host.
//!
//! smoltcp speaks TCP with the guest. Each connection has a socket set of its own, so that a segment costs
//! the same however many connections there are. A guest's SYN is kept until the host's connection stands
//! (or is refused), so that the guest sees what it would see without us. Bytes move only as far as both
//! sides have room; FIN and RST pass through as what they are.
//!
//! Not emulated: urgent data, path MTU discovery beyond the host.

use super::config::{Forward, Transport, taken};
use super::gateway::{Gateway, Kind, Target, token};
use super::packet::Packet;
use super::wire::Unreachable;
use crate::net::count;
use mio::net::{TcpListener, TcpStream};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

mod cable;
mod flow;

use cable::Cable;
use flow::{Verdict, new_socket};

/// Bytes kept for each direction of a connection.
const BUFFER: usize = 128 * 1024;
/// How long the host's connection may take.
const CONNECT: Duration = Duration::from_secs(75);
/// How long a guest that connections are forwarded to is looked for, and how often.
const RESOLVE: Duration = Duration::from_secs(10);
const RESOLVE_AGAIN: Duration = Duration::from_millis(500);
/// Rounds of moving bytes before other connections have their turn.
const ROUNDS: usize = 16;
/// What stays free in the machine's queue for everything else.
const RESERVE: usize = 16;

mod flag {
    pub(super) const SYN: u8 = 2;
    pub(super) const RST: u8 = 4;
    pub(super) const ACK: u8 = 16;
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    guest: SocketAddr,
    remote: SocketAddr,
}

enum Stage {
    /// The host's connection is on its way; this is the guest's SYN.
    Connecting {
        syn: Vec<u8>,
    },
    /// A forwarded connection whose guest is still looked for.
    Resolving,
    Open,
}

struct Flow {
    key: Key,
    stage: Stage,
    stream: TcpStream,
    sockets: SocketSet<'static>,
    handle: Option<SocketHandle>,
    since: Instant,
    active: Instant,
    wake: Option<Instant>,
    dirty: bool,
    /// The machine's queue was full.
    blocked: bool,
    readable: bool,
    writable: bool,
    /// The host has closed its direction, and we the guest's.
    host_done: bool,
    /// The guest has closed its direction, and we the host's.
    guest_done: bool,
}

struct Listener {
    socket: TcpListener,
    guest: SocketAddr,
}

pub(super) struct Tcp {
    interface: Interface,
    start: Instant,
    flows: Vec<Option<Box<Flow>>>,
    by_key: HashMap<Key, usize>,
    free: Vec<usize>,
    dirty: Vec<usize>,
    listeners: Vec<Listener>,
    /// Without sockets: what is sent to it is refused.
    nobody: SocketSet<'static>,
}

impl Tcp {
    /// Opens the forwarded ports.
    pub(super) fn new(gateway: &mut Gateway, forwards: &[(Forward, SocketAddr)]) -> std::io::Result<Self> {
        let start = gateway.now;
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = RandomState::new().hash_one(std::process::id());
        let mut cable = Cable { packet: None, wire: &mut gateway.wire };
        let mut interface = Interface::new(config, &mut cable, smoltcp::time::Instant::ZERO);
        let ipv4 = gateway.config.ipv4.map_or(Ipv4Addr::new(10, 0, 2, 2), |net| net.host);
        let ipv6 = gateway.config.ipv6.map_or(Ipv6Addr::new(0xFEC0, 0, 0, 0, 0, 0, 0, 2), |net| net.host);
        interface.update_ip_addrs(|addresses| {
            // The two fit, as smoltcp is configured; without them nothing would be accepted.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ipv4), 32));
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv6(ipv6), 128));
        });
        // Every address is ours.
        interface.set_any_ip(true);
        let _ = interface.routes_mut().add_default_ipv4_route(ipv4);
        let _ = interface.routes_mut().add_default_ipv6_route(ipv6);
        let mut listeners = Vec::new();
        for (forward, guest) in forwards.iter().filter(|(forward, _)| forward.transport == Transport::Tcp) {
            let mut socket = TcpListener::bind(forward.listen).map_err(|error| taken(forward, &error))?;
            gateway.watch(&mut socket, token(Kind::TcpListener, listeners.len()), false)?;
            listeners.push(Listener { socket, guest: *guest });
        }
        Ok(Self {
            interface,
            start,
            flows: Vec::new(),
            by_key: HashMap::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            listeners,
            nobody: SocketSet::new(Vec::new()),
        })
    }

    /// The addresses at which the host listens for guests, in the order of the forwards.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.socket.local_addr().ok()).collect()
    }

    fn time(&self, now: Instant) -> smoltcp::time::Instant {
        let micros = now.saturating_duration_since(self.start).as_micros();
        smoltcp::time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Takes a guest's segment.
    pub(super) fn segment(&mut self, gateway: &mut Gateway, packet: &Packet<'_>) {
        let (Some((from, to)), Some(&flags)) = (packet.ports(), packet.payload.get(13)) else { return };
        if !packet.is_plain() || packet.payload.len() < 20 {
            return;
        }
        let guest = SocketAddr::new(packet.source, from);
        let key = Key { guest, remote: SocketAddr::new(packet.destination, to) };
        let opens = flags & (flag::SYN | flag::ACK | flag::RST) == flag::SYN;
        if let Some(&index) = self.by_key.get(&key)
            && let Some(flow) = &mut self.flows[index]
        {
            flow.active = gateway.now;
            match (&flow.stage, flow.handle) {
                (Stage::Connecting { .. }, _) if flags & flag::RST != 0 => {
                    return self.close(gateway, index, true);
                }
                // The SYN once more, or something before its time.
                (Stage::Connecting { .. } | Stage::Resolving, _) | (_, None) => return,
                (Stage::Open, Some(handle)) => {
                    let state = flow.sockets.get::<Socket<'_>>(handle).state();
                    if !opens || !matches!(state, State::TimeWait | State::Closed) {
                        return self.ingress(gateway, index, packet.whole);
                    }
                    // The guest uses an old connection's ports again.
                    self.close(gateway, index, false);
                }
            }
        }
        if opens && packet.checksum_ok() {
            self.open(gateway, key, packet);
        } else {
            self.refuse(gateway, packet.whole);
        }
    }

    fn ingress(&mut self, gateway: &mut Gateway, index: usize, packet: &[u8]) {
        let now = self.time(gateway.now);
        let Some(flow) = &mut self.flows[index] else { return };
        let mut cable = Cable { packet: Some(packet), wire: &mut gateway.wire };
        self.interface.poll_ingress_single(now, &mut cable, &mut flow.sockets);
        self.mark(index);
    }

    /// Answers with a reset, if the segment deserves one.
    fn refuse(&mut self, gateway: &mut Gateway, packet: &[u8]) {
        let now = self.time(gateway.now);
        let mut cable = Cable { packet: Some(packet), wire: &mut gateway.wire };
        self.interface.poll_ingress_single(now, &mut cable, &mut self.nobody);
    }

    fn open(&mut self, gateway: &mut Gateway, key: Key, packet: &Packet<'_>) {
        let Some(target) = gateway.outside(key.remote).filter(|target| target.port() != 0) else {
            return match gateway.target(key.remote.ip()) {
                Target::Nobody => {}
                Target::World | Target::Forbidden => {
                    gateway.wire.unreachable(packet, Unreachable::Prohibited)
                }
                Target::Gateway | Target::Dns => self.refuse(gateway, packet.whole),
            };
        };
        match TcpStream::connect(target) {
            Ok(stream) => {
                let stage = Stage::Connecting { syn: packet.whole.to_vec() };
                if self.insert(gateway, key, stage, stream).is_none() {
                    self.refuse(gateway, packet.whole);
                }
            }
            Err(error) => self.failed(gateway, packet.whole, &error),
        }
    }

    /// Tells the guest why the host could not connect.
    fn failed(&mut self, gateway: &mut Gateway, syn: &[u8], error: &std::io::Error) {
        count(&gateway.counters.tcp_refused);
        let packet = if syn.first().is_some_and(|byte| byte >> 4 == 4) {
            Packet::ipv4(syn)
        } else {
            Packet::ipv6(syn)
        };
        let Some(packet) = packet else { return };
        match error.kind() {
            ErrorKind::NetworkUnreachable => gateway.wire.unreachable(&packet, Unreachable::Network),
            ErrorKind::HostUnreachable | ErrorKind::TimedOut => {
                gateway.wire.unreachable(&packet, Unreachable::Host)
            }
            ErrorKind::PermissionDenied => gateway.wire.unreachable(&packet, Unreachable::Prohibited),
            _ => self.refuse(gateway, syn),
        }
    }

    fn insert(
        &mut self,
        gateway: &mut Gateway,
        key: Key,
        stage: Stage,
        mut stream: TcpStream,
    ) -> Option<usize> {
        if self.by_key.len() >= gateway.config.tcp_flows.max(1) {
            self.evict(gateway);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            self.flows.len() - 1
        });
        if gateway.watch(&mut stream, token(Kind::Tcp, index), true).is_err() {
            self.free.push(index);
            return None;
        }
        let deadline = gateway.now + CONNECT;
        let flow = Flow {
            key,
            stage,
            stream,
            sockets: SocketSet::new(Vec::with_capacity(1)),
            handle: None,
            since: gateway.now,
            active: gateway.now,
            wake: Some(deadline),
            dirty: false,
            blocked: false,
            readable: false,
            writable: false,
            host_done: false,
            guest_done: false,
        };
        self.flows[index] = Some(Box::new(flow));
        self.by_key.insert(key, index);
        count(&gateway.counters.tcp);
        self.mark(index);
        Some(index)
    }

    /// Makes room for a connection: one that is over if there is, else the one that was silent longest.
    fn evict(&mut self, gateway: &mut Gateway) {
        let rank = |flow: &Flow| {
            let state = flow.handle.map(|handle| flow.sockets.get::<Socket<'_>>(handle).state());
            (!matches!(state, Some(State::TimeWait | State::Closed)), flow.active)
        };
        let oldest =
            self.flows.iter().enumerate().filter_map(|(index, f)| Some((rank(f.as_ref()?), index))).min();
        if let Some((_, index)) = oldest {
            count(&gateway.counters.evicted);
            self.close(gateway, index, true);
        }
    }

    /// Forgets a connection; `reset` tells both sides that it broke.
    fn close(&mut self, gateway: &mut Gateway, index: usize, reset: bool) {
        let now = self.time(gateway.now);
        let Some(mut flow) = self.flows[index].take() else { return };
        self.by_key.remove(&flow.key);
        self.free.push(index);
        if !reset {
            return;
        }
        if let Some(handle) = flow.handle {
            flow.sockets.get_mut::<Socket<'_>>(handle).abort();
            let mut cable = Cable { packet: None, wire: &mut gateway.wire };
            self.interface.poll_egress(now, &mut cable, &mut flow.sockets);
        }
        // A connection that is closed without lingering is reset.
        drop(socket2::SockRef::from(&flow.stream).set_linger(Some(Duration::ZERO)));
    }

    fn mark(&mut self, index: usize) {
        if let Some(flow) = &mut self.flows[index]
            && !flow.dirty
        {
            flow.dirty = true;
            self.dirty.push(index);
        }
    }

    /// The host's side of a connection can be read or written, or has failed.
    pub(super) fn ready(&mut self, index: usize, readable: bool, writable: bool) {
        let Some(Some(flow)) = self.flows.get_mut(index) else { return };
        flow.readable |= readable;
        flow.writable |= writable;
        self.mark(index);
    }

    /// Somebody connects to a forwarded port.
    pub(super) fn accept(&mut self, gateway: &mut Gateway, index: usize) {
        loop {
            let Some(listener) = self.listeners.get(index) else { return };
            let guest = listener.guest;
            let (stream, peer) = match listener.socket.accept() {
                Ok(accepted) => accepted,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            drop(stream.set_nodelay(true));
            let seen =
                gateway.inside(peer.ip().to_canonical()).filter(|seen| seen.is_ipv4() == guest.is_ipv4());
            let Some(seen) = seen.or_else(|| self.gateway_address(gateway, guest.is_ipv4())) else {
                continue;
            };
            // Two peers that both appear as the gateway may have the same port.
            let mut key = Key { guest, remote: SocketAddr::new(seen, peer.port()) };
            while self.by_key.contains_key(&key) {
                key.remote.set_port(key.remote.port().checked_add(1).unwrap_or(1024));
            }
            self.insert(gateway, key, Stage::Resolving, stream);
        }
    }

    fn gateway_address(&self, gateway: &Gateway, ipv4: bool) -> Option<IpAddr> {
        match ipv4 {
            true => gateway.config.ipv4.map(|net| net.host.into()),
            false => gateway.config.ipv6.map(|net| net.host.into()),
        }
    }

    /// A neighbour is known that was not: connections may be waiting for it.
    pub(super) fn neighbour(&mut self, address: IpAddr) {
        for index in 0..self.flows.len() {
            let waiting =
                |flow: &Flow| matches!(flow.stage, Stage::Resolving) && flow.key.guest.ip() == address;
            if self.flows[index].as_deref().is_some_and(waiting) {
                self.mark(index);
            }
        }
    }

    /// Moves bytes of all connections where something has happened.
    pub(super) fn service(&mut self, gateway: &mut Gateway) {
        for index in 0..self.flows.len() {
            let Some(flow) = &mut self.flows[index] else { continue };
            let due = flow.wake.is_some_and(|wake| wake <= gateway.now);
            if due || (flow.blocked && gateway.wire.room() > RESERVE) {
                self.mark(index);
            }
        }
        for index in std::mem::take(&mut self.dirty) {
            let Some(flow) = &mut self.flows[index] else { continue };
            flow.dirty = false;
            match flow.stage {
                Stage::Connecting { .. } => self.connecting(gateway, index),
                Stage::Resolving => self.resolving(gateway, index),
                Stage::Open => {}
            }
            self.exchange(gateway, index);
        }
    }

    /// Whether a connection waits for room in the machine's queue.
    pub(super) fn is_blocked(&self) -> bool {
        self.flows.iter().flatten().any(|flow| flow.blocked)
    }

    /// Whether [`Self::service`] has work left.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// When the next connection must be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flows.iter().flatten().filter_map(|flow| flow.wake).min()
    }

    fn connecting(&mut self, gateway: &mut Gateway, index: usize) {
        let Some(flow) = &mut self.flows[index] else { return };
        let Stage::Connecting { syn } = &mut flow.stage else { return };
        let failure = match flow.stream.take_error() {
            Ok(Some(error)) | Err(error) => Some(error),
            Ok(None) => match flow.stream.peer_addr() {
                Ok(_) => None,
                Err(_) if gateway.now < flow.since + CONNECT => return,
                Err(_) => Some(ErrorKind::TimedOut.into()),
            },
        };
        let syn = std::mem::take(syn);
        if let Some(error) = failure {
            self.close(gateway, index, false);
            return self.failed(gateway, &syn, &error);
        }
        drop(flow.stream.set_nodelay(true));
        flow.stage = Stage::Open;
        (flow.readable, flow.writable) = (true, true);
        let mut socket = new_socket();
        let remote = flow.key.remote;
        if socket.listen((IpAddress::from(remote.ip()), remote.port())).is_err() {
            return self.close(gateway, index, true);
        }
        flow.handle = Some(flow.sockets.add(socket));
        self.ingress(gateway, index, &syn);
    }

    fn resolving(&mut self, gateway: &mut Gateway, index: usize) {
        let Some(flow) = &mut self.flows[index] else { return };
        if gateway.wire.resolve(flow.key.guest.ip()).is_none() {
            if gateway.now >= flow.since + RESOLVE {
                self.close(gateway, index, true);
            } else {
                flow.wake = Some(gateway.now + RESOLVE_AGAIN);
            }
            return;
        }
        flow.stage = Stage::Open;
        (flow.readable, flow.writable) = (true, true);
        let mut socket = new_socket();
        let Key { guest, remote } = flow.key;
        let endpoint = |address: SocketAddr| IpEndpoint::new(address.ip().into(), address.port());
        if socket.connect(self.interface.context(), endpoint(guest), endpoint(remote)).is_err() {
            return self.close(gateway, index, true);
        }
        flow.handle = Some(flow.sockets.add(socket));
    }

    /// Moves bytes both ways, as far as they go.
    fn exchange(&mut self, gateway: &mut Gateway, index: usize) {
        let now = self.time(gateway.now);
        let Some(flow) = &mut self.flows[index] else { return };
        let Some(handle) = flow.handle else { return };
        let mut verdict = Verdict::Moved;
        for _ in 0..ROUNDS {
            verdict = flow.move_bytes(handle, gateway);
            let mut cable = Cable { packet: None, wire: &mut gateway.wire };
            while self.interface.poll_egress(now, &mut cable, &mut flow.sockets) != PollResult::None {}
            if verdict != Verdict::Moved {
                break;
            }
        }
        flow.blocked = gateway.wire.room() <= RESERVE;
        let deadline = self.interface.poll_at(now, &flow.sockets);
        flow.wake = deadline.filter(|_| !flow.blocked).map(|at| {
            let ahead = u64::try_from(at.total_micros() - now.total_micros()).unwrap_or(0);
            // Never at once: what could be done now is done.
            gateway.now + Duration::from_micros(ahead.max(1000))
        });
        match verdict {
            Verdict::Moved => self.mark(index),
            Verdict::Idle => {}
            Verdict::Over => self.close(gateway, index, false),
            Verdict::Broken => self.close(gateway, index, true),
        }
    }
}
