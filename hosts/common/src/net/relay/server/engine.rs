//! The relay's thread: one event loop for all clients.

use super::Shared;
use super::config::{RelayServerConfig, Uplink};
use super::room::{DEFAULT, Room, UPLINK, uplink};
use super::session::{Outcome, Session};
use crate::net::bell::Bell;
use crate::net::relay::stream::{Stream, tune};
use crate::net::relay::tls;
use crate::net::switch::{Learned, Route};
use crate::net::{MAX_FRAME, Mac, count};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tungstenite::Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

const WAKER: Token = Token(usize::MAX);
/// Tokens of clients begin behind those of listeners.
const FIRST_CLIENT: usize = 1024;
/// Time between two looks at everybody's clock, at most.
const TICK: Duration = Duration::from_millis(500);
/// Frames of one uplink that are taken before clients have their turn.
const BURST: usize = 256;
/// Longest time that saying good bye may take.
const FAREWELL: Duration = Duration::from_secs(2);

struct Listener {
    socket: TcpListener,
    /// It only has metrics.
    private: bool,
}

pub(super) struct Engine {
    config: RelayServerConfig,
    tls: Option<Arc<rustls::ServerConfig>>,
    poll: Poll,
    bell: Bell,
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    sessions: HashMap<usize, Session>,
    next_session: usize,
    rooms: BTreeMap<u32, Room>,
    by_name: HashMap<String, u32>,
    next_room: u32,
    /// Sessions that may have more to read.
    ready: Vec<usize>,
    /// Sessions that have frames to write.
    dirty: Vec<usize>,
    ticked: Instant,
}

impl Engine {
    pub(super) fn new(config: RelayServerConfig, shared: Arc<Shared>) -> io::Result<Self> {
        let tls = match &config.tls {
            Some((chain, key)) => Some(tls::server(chain, key)?),
            None => None,
        };
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let bell = Bell::waker(Arc::clone(&waker));
        drop(shared.waker.set(waker));
        let mut listeners = Vec::new();
        let public = config.listen.iter().map(|address| (*address, false));
        for (address, private) in public.chain(config.metrics_listen.map(|address| (address, true))) {
            let mut socket = TcpListener::bind(address).map_err(|error| {
                let remedy = match error.kind() {
                    ErrorKind::AddrInUse => "another program listens there; choose another port",
                    ErrorKind::PermissionDenied => {
                        "ports under 1024 are the superuser's; choose a higher one"
                    }
                    ErrorKind::AddrNotAvailable => "the host has no such address",
                    _ => "choose another address",
                };
                io::Error::new(error.kind(), format!("cannot listen at {address} ({error}): {remedy}"))
            })?;
            poll.registry().register(&mut socket, Token(listeners.len()), Interest::READABLE)?;
            listeners.push(Listener { socket, private });
        }
        let addresses = |private| {
            let chosen = listeners.iter().filter(move |listener| listener.private == private);
            chosen.filter_map(|listener| listener.socket.local_addr().ok()).collect::<Vec<SocketAddr>>()
        };
        drop(shared.addresses.set(addresses(false)));
        let _ = shared.metrics_address.set(addresses(true).first().copied());
        let mut engine = Self {
            config,
            tls,
            poll,
            bell,
            shared,
            listeners,
            sessions: HashMap::new(),
            next_session: FIRST_CLIENT,
            rooms: BTreeMap::new(),
            by_name: HashMap::new(),
            next_room: 0,
            ready: Vec::new(),
            dirty: Vec::new(),
            ticked: Instant::now(),
        };
        if engine.config.uplink != Uplink::None {
            // An uplink that cannot be had is said at the start, not when the first client comes.
            let uplink = uplink(DEFAULT, &engine.config, engine.bell.clone())?;
            let room = engine.make_room(DEFAULT, false);
            if let Some(room) = room.and_then(|number| engine.rooms.get_mut(&number)) {
                room.uplink = uplink;
            }
        }
        Ok(engine)
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut goodbye = None;
        loop {
            let wait = if self.ready.is_empty() { TICK.min(self.config.ping / 4) } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != ErrorKind::Interrupted
            {
                return;
            }
            let now = Instant::now();
            for number in std::mem::take(&mut self.ready) {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.ready = false;
                }
                self.read(number, now);
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    Token(index) if index < FIRST_CLIENT => self.accept(index, now),
                    Token(number) => {
                        self.read(number, now);
                        self.mark(number);
                    }
                }
            }
            self.uplinks(now);
            self.write();
            self.tick(now);
            if self.shared.stop.load(Ordering::Acquire) {
                let end = *goodbye.get_or_insert_with(|| {
                    self.say_goodbye(now);
                    now + FAREWELL
                });
                if self.sessions.is_empty() || now >= end {
                    return;
                }
            }
        }
    }

    fn accept(&mut self, index: usize, now: Instant) {
        // Errors of one connection, or of too many open files, must not spin: the next event tries again.
        for _ in 0..256 {
            let Some(listener) = self.listeners.get(index) else { return };
            let (private, stream, peer) = match listener.socket.accept() {
                Ok((stream, peer)) => (listener.private, stream, peer),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            count(&self.shared.counters.connections);
            if self.sessions.len() >= self.config.clients || self.shared.stop.load(Ordering::Relaxed) {
                count(&self.shared.counters.refused);
                continue;
            }
            tune(&stream);
            let mut stream = match self.tls.as_ref().filter(|_| !private) {
                None => Stream::Plain(stream),
                Some(tls) => match rustls::ServerConnection::new(Arc::clone(tls)) {
                    Ok(connection) => Stream::Server(Box::new(rustls::StreamOwned::new(connection, stream))),
                    Err(_) => continue,
                },
            };
            let number = self.next_session;
            self.next_session = number.wrapping_add(1).max(FIRST_CLIENT) % WAKER.0;
            let interests = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(number), interests).is_ok() {
                let session = Session::new(stream, peer.ip(), private, &self.config, now);
                self.sessions.insert(number, session);
            }
        }
        // There may be more of them than one turn should take.
        self.shared.wake();
        let interests = Interest::READABLE;
        if let Some(listener) = self.listeners.get_mut(index) {
            drop(self.poll.registry().reregister(&mut listener.socket, Token(index), interests));
        }
    }

    fn read(&mut self, number: usize, now: Instant) {
        let mut frames = Vec::new();
        let shared = Arc::clone(&self.shared);
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let metrics = || shared.metrics();
        let outcome = session.read(&self.config, &shared.counters, metrics, &mut frames, now);
        if let Some(room) = session.room {
            for frame in frames {
                self.forward(room, number, frame, now);
            }
        }
        self.settle(number, outcome, now);
    }

    fn settle(&mut self, number: usize, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Wait => {}
            Outcome::More => {
                if let Some(session) = self.sessions.get_mut(&number)
                    && !session.ready
                {
                    session.ready = true;
                    self.ready.push(number);
                }
            }
            Outcome::Enter(name) => {
                let room = self.make_room(&name, true);
                let Some(session) = self.sessions.get_mut(&number) else { return };
                let Some(room) = room else {
                    count(&self.shared.counters.refused);
                    session.turn_away("there are too many rooms", now);
                    return;
                };
                session.enter(room, now);
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.members.push(number);
                }
                self.gauges();
                // Frames may have come right behind the handshake.
                self.settle(number, Outcome::More, now);
            }
            Outcome::Gone => self.remove(number),
        }
    }

    fn make_room(&mut self, name: &str, with_uplink: bool) -> Option<u32> {
        if let Some(number) = self.by_name.get(name) {
            return Some(*number);
        }
        if self.rooms.len() >= self.config.rooms {
            return None;
        }
        let number = self.next_room;
        self.next_room = self.next_room.wrapping_add(1);
        let uplinks = self.rooms.values().filter(|room| room.uplink.is_some()).count();
        let room = if with_uplink && uplinks < self.config.uplinks {
            Room::new(name, &self.config, self.bell.clone())
        } else {
            Room::new(
                name,
                &RelayServerConfig { uplink: Uplink::None, ..self.config.clone() },
                Bell::default(),
            )
        };
        self.rooms.insert(number, room);
        self.by_name.insert(name.to_owned(), number);
        Some(number)
    }

    fn remove(&mut self, number: usize) {
        let Some(session) = self.sessions.remove(&number) else { return };
        if let Some(index) = session.room
            && let Some(room) = self.rooms.get_mut(&index)
        {
            room.members.retain(|member| *member != number);
            room.switch.remove_port(number);
            // The default room keeps its uplink, and with it the leases and forwarded ports.
            if room.members.is_empty() && (room.name != DEFAULT || room.uplink.is_none()) {
                self.by_name.remove(&room.name);
                self.rooms.remove(&index);
            }
        }
        self.gauges();
    }

    fn gauges(&self) {
        let clients: usize = self.rooms.values().map(|room| room.members.len()).sum();
        self.shared.counters.clients.store(clients as u64, Ordering::Relaxed);
        self.shared.counters.rooms.store(self.rooms.len() as u64, Ordering::Relaxed);
    }

    /// Sends a frame to whom it is for.
    fn forward(&mut self, room: u32, from: usize, frame: Bytes, now: Instant) {
        let counters = &self.shared.counters;
        let Some(room) = self.rooms.get_mut(&room) else { return };
        let (Some(to), Some(source)) = (Mac::destination(&frame), Mac::source(&frame)) else { return };
        match room.switch.learn(source, from, now) {
            Learned::Here | Learned::Moved => {}
            Learned::Elsewhere => count(&counters.conflicts),
            Learned::Refused => return count(&counters.bad_source),
        }
        let queue = self.config.queue;
        let deliver = |number: usize, sessions: &mut HashMap<usize, Session>, dirty: &mut Vec<usize>| {
            if let Some(session) = sessions.get_mut(&number) {
                session.queue(frame.clone(), queue, counters);
                if !session.dirty {
                    session.dirty = true;
                    dirty.push(number);
                }
            }
        };
        match room.switch.route(to, from, now) {
            Route::Port(UPLINK) => {
                if let Some(uplink) = &mut room.uplink {
                    uplink.transmit(&frame);
                }
            }
            Route::Port(number) => deliver(number, &mut self.sessions, &mut self.dirty),
            Route::Flood => {
                count(&counters.flooded);
                for number in room.members.iter().filter(|number| **number != from) {
                    deliver(*number, &mut self.sessions, &mut self.dirty);
                }
                if let Some(uplink) = room.uplink.as_mut().filter(|_| from != UPLINK) {
                    uplink.transmit(&frame);
                }
            }
            Route::Nowhere => {}
        }
    }

    /// Takes what uplinks have for their rooms.
    fn uplinks(&mut self, now: Instant) {
        let mut buffer = [0; MAX_FRAME];
        let numbers: Vec<u32> =
            self.rooms.iter().filter(|(_, room)| room.uplink.is_some()).map(|(number, _)| *number).collect();
        for number in numbers {
            for taken in 0.. {
                let Some(room) = self.rooms.get_mut(&number) else { break };
                let Some(uplink) = &mut room.uplink else { break };
                let Some(frame) = uplink.receive(&mut buffer) else { break };
                let frame = Bytes::copy_from_slice(frame);
                self.forward(number, UPLINK, frame, now);
                if taken >= BURST {
                    self.shared.wake();
                    break;
                }
            }
        }
    }

    fn mark(&mut self, number: usize) {
        if let Some(session) = self.sessions.get_mut(&number)
            && !session.dirty
        {
            session.dirty = true;
            self.dirty.push(number);
        }
    }

    fn write(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            let Some(session) = self.sessions.get_mut(&number) else { continue };
            session.dirty = false;
            if session.write(&self.shared.counters) == Outcome::Gone {
                self.remove(number);
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.ticked) < TICK.min(self.config.ping / 4) {
            return;
        }
        self.ticked = now;
        let mut gone = Vec::new();
        for (number, session) in &mut self.sessions {
            if session.tick(&self.config, &self.shared.counters, now) == Outcome::Gone {
                gone.push(*number);
            }
        }
        for number in gone {
            self.remove(number);
        }
    }

    fn say_goodbye(&mut self, now: Instant) {
        self.listeners.clear();
        for session in self.sessions.values_mut() {
            session.close(CloseCode::Away, "the relay stops", now);
        }
        // Those who had not entered yet have nothing to be told.
        let gone: Vec<usize> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_gone())
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            self.remove(number);
        }
    }
}
