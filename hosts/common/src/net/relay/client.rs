//! The relay client: frames through `ws://` and `wss://`, one binary message each, without check sum.
//!
//! It works with websockproxy, node-relay and our own relay, and survives what they do: their own clients'
//! frames come back, frames come twice or not at all, messages of any kind and size come, and the
//! connection ends at any byte. A thread of its own keeps the connection; the machine only sees two
//! bounded queues. The newest frames matter most: a full queue loses the oldest ones, and what is older
//! than two seconds when the connection comes back is not sent any more.

use super::backoff::Backoff;
use super::handshake::Handshake;
use super::stream::{Stream, is_pause, tune};
use super::{RelayUrl, tls};
use crate::net::bell::Bell;
use crate::net::open::Meter;
use crate::net::queue::{FrameQueue, Put};
use crate::net::{MAX_FRAME, MIN_FRAME, Mac, add, count, counters};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use nomad86::host::Network;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Frames that are kept for the relay.
const OUTBOX: usize = 64;
/// Frames that are kept for the machine.
const INBOX: usize = 512;
/// Longest message that is read; longer ones end the connection with code 1009.
const LONGEST: usize = 64 * 1024;
/// Frames that are written before they are pushed out.
const BATCH: usize = 16;
/// How long one of several addresses may take to answer.
const SHARE: Duration = Duration::from_secs(4);
/// Messages that are read before frames are written again.
const BURST: usize = 512;

const WAKER: Token = Token(0);
const STREAM: Token = Token(1);

/// A relay, and how to keep the connection to it.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where it is.
    pub url: RelayUrl,
    /// A PEM file with the certificates to trust; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// What is sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// The card's address on the wire, as far as it is known before the guest speaks.
    pub mac: Option<Mac>,
    /// Time between pings; two that go unanswered mean that the connection is dead.
    pub ping: Duration,
    /// The first and the longest pause between two attempts to connect.
    pub pause: (Duration, Duration),
    /// Decides on the pauses' jitter.
    pub seed: u64,
    /// How old frames may be that are sent when the connection comes back.
    pub stale: Duration,
    /// How long frames may stay without any answer, while pongs come, before the connection is made anew.
    pub silence: Duration,
    /// How long connecting may take, TLS and handshake included.
    pub patience: Duration,
}

impl RelayConfig {
    /// The usual ways with a relay.
    #[must_use]
    pub fn new(url: RelayUrl) -> Self {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), &url);
        Self {
            url,
            ca: None,
            token: None,
            mac: None,
            ping: Duration::from_secs(20),
            pause: (Duration::from_millis(500), Duration::from_secs(30)),
            seed,
            stale: Duration::from_secs(2),
            silence: Duration::from_secs(10),
            patience: Duration::from_secs(15),
        }
    }
}

counters! {
    /// What a relay client has seen and done.
    Counters => RelayStats {
        /// Frames sent to the relay.
        frames_out,
        /// Their bytes.
        bytes_out,
        /// Frames taken from the relay.
        frames_in,
        /// Their bytes.
        bytes_in,
        /// Frames of the machine that were displaced by newer ones.
        dropped_full,
        /// Frames of the machine that were too old when the connection came back.
        dropped_stale,
        /// Frames of the machine that were too short or too long for Ethernet.
        dropped_size,
        /// Frames for the machine that were displaced by newer ones.
        dropped_inbox,
        /// Frames of 14 to 59 bytes that were padded.
        padded,
        /// Messages of 1 to 13 bytes.
        short,
        /// Messages too long for a frame.
        oversize,
        /// Empty messages.
        empty,
        /// Text messages.
        text,
        /// Frames with our own address as their sender.
        reflected,
        /// Connections that were made.
        connected,
        /// Connections that were lost.
        lost,
        /// Attempts to connect that failed.
        failed,
        /// Pings that went out.
        pings,
        /// Pongs that came.
        pongs,
    }
}

/// A relay, as the machine's card sees it; dropping it ends the connection.
#[derive(Debug)]
pub struct RelayClient {
    inbox: FrameQueue,
    outbox: FrameQueue,
    shared: Arc<Shared>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    open: AtomicBool,
    counters: Counters,
    error: Mutex<Option<String>>,
}

impl Shared {
    fn stats(&self, outbox: &FrameQueue) -> RelayStats {
        let mut stats = self.counters.read();
        stats.dropped_full = outbox.dropped().saturating_sub(stats.dropped_stale);
        stats
    }

    fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RelayClient {
    /// Starts to connect, and keeps at it. The `bell` rings when frames come.
    ///
    /// # Errors
    /// When certificates cannot be used, or the system gives no thread or event queue. A relay that cannot
    /// be reached is not an error: see [`Self::error`].
    pub fn start(config: RelayConfig, bell: Bell) -> io::Result<Self> {
        let tls = if config.url.tls { Some(tls::client(config.ca.as_deref())?) } else { None };
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let inbox = FrameQueue::new(INBOX, bell);
        let outbox = FrameQueue::new(OUTBOX, Bell::waker(Arc::clone(&waker)));
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            tls,
            poll,
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            shared: Arc::clone(&shared),
            backoff: Backoff::new(config.pause.0, config.pause.1, config.seed),
            state: State::Waiting { until: Instant::now() },
            own: OwnAddresses { fixed: config.mac, recent: VecDeque::new() },
            patience: config.silence,
            config,
        };
        // Not joined: looking up a host's name can take long.
        drop(std::thread::Builder::new().name("relay client".into()).spawn(move || worker.run())?);
        Ok(Self { inbox, outbox, shared, waker })
    }

    /// What it has seen and done.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        self.shared.stats(&self.outbox)
    }

    /// Why there is no connection, if there is none.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.shared.error()
    }

    /// Its counters and its trouble, to be read while somebody else has it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let (shared, outbox) = (Arc::clone(&self.shared), self.outbox.clone());
        let meter = Meter::new("relay", move || shared.stats(&outbox).entries());
        let shared = Arc::clone(&self.shared);
        meter.with_trouble(move || shared.error())
    }
}

impl RelayClient {
    fn put(&self, frame: &[u8], put: fn(&FrameQueue, &[u8]) -> Put) {
        let fits = frame.len() >= MIN_FRAME && frame.len() <= longest(frame);
        if !fits {
            return count(&self.shared.counters.dropped_size);
        }
        put(&self.outbox, frame);
    }
}

impl Network for RelayClient {
    fn transmit(&mut self, frame: &[u8]) {
        self.put(frame, FrameQueue::push);
    }

    fn gather(&mut self, frame: &[u8]) {
        self.put(frame, FrameQueue::gather);
    }

    fn flush(&mut self) {
        self.outbox.flush();
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.inbox.pop(buffer)
    }

    fn link(&self) -> bool {
        self.shared.open.load(Ordering::Relaxed)
    }
}

impl Drop for RelayClient {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(self.waker.wake());
    }
}

/// The longest that this frame may be: a VLAN tag is not counted.
pub(crate) fn longest(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xA8]) => MAX_FRAME,
        _ => MAX_FRAME - 4,
    }
}

/// The addresses that the machine has spoken with lately: frames from them are our own, come back.
struct OwnAddresses {
    fixed: Option<Mac>,
    recent: VecDeque<(Mac, Instant)>,
}

impl OwnAddresses {
    const KEPT: usize = 4;
    const FRESH: Duration = Duration::from_secs(60);

    fn spoke(&mut self, mac: Mac, now: Instant) {
        self.recent.retain(|(known, _)| *known != mac);
        self.recent.truncate(Self::KEPT - 1);
        self.recent.push_front((mac, now));
    }

    fn contains(&self, mac: Mac, now: Instant) -> bool {
        let fresh = |at: Instant| now.saturating_duration_since(at) < Self::FRESH;
        self.fixed == Some(mac)
            || self.recent.front().is_some_and(|(last, _)| *last == mac)
            || self.recent.iter().any(|(known, at)| *known == mac && fresh(*at))
    }

    fn current(&self) -> Option<Mac> {
        self.recent.front().map(|(mac, _)| *mac).or(self.fixed)
    }
}

enum State {
    Waiting { until: Instant },
    Connecting { stream: TcpStream, rest: Vec<SocketAddr>, until: Instant, deadline: Instant },
    Handshake { stream: Stream, handshake: Handshake, deadline: Instant },
    Open(Box<Open>),
}

/// A connection that carries frames.
struct Open {
    socket: WebSocket<Stream>,
    since: Instant,
    /// Something is still to be pushed out.
    blocked: bool,
    next_ping: Instant,
    /// Pings without an answer.
    unanswered: u32,
    pong: Instant,
    /// When the first frame was sent since the last one came.
    asked: Option<Instant>,
    heard: bool,
}

struct Worker {
    config: RelayConfig,
    tls: Option<Arc<rustls::ClientConfig>>,
    poll: Poll,
    inbox: FrameQueue,
    outbox: FrameQueue,
    shared: Arc<Shared>,
    backoff: Backoff,
    state: State,
    own: OwnAddresses,
    /// How long silence is borne; longer each time that a new connection did not help.
    patience: Duration,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut more = false;
        while !self.shared.stop.load(Ordering::Acquire) {
            let now = Instant::now();
            let wait = if more {
                Some(Duration::ZERO)
            } else {
                self.deadline().map(|at| at.saturating_duration_since(now))
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                return;
            }
            more = self.step();
        }
        if let State::Open(open) = &mut self.state {
            let reason = CloseFrame { code: CloseCode::Away, reason: "".into() };
            drop(open.socket.close(Some(reason)));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Connecting { until: deadline, .. } | State::Handshake { deadline, .. } => Some(*deadline),
            State::Open(open) => {
                let silence = open.asked.map(|asked| asked + self.patience).filter(|at| *at > Instant::now());
                Some(silence.map_or(open.next_ping, |at| at.min(open.next_ping)))
            }
        }
    }

    /// Does what can be done now; whether there is more.
    fn step(&mut self) -> bool {
        let now = Instant::now();
        match std::mem::replace(&mut self.state, State::Waiting { until: now }) {
            State::Waiting { until } if now < until => self.state = State::Waiting { until },
            State::Waiting { .. } => return self.connect(),
            State::Connecting { stream, rest, until, deadline } => {
                self.connecting(stream, rest, until, deadline)
            }
            State::Handshake { stream, handshake, deadline } => self.handshake(stream, handshake, deadline),
            State::Open(mut open) => match self.exchange(&mut open) {
                Ok(more) => {
                    self.state = State::Open(open);
                    return more;
                }
                Err(reason) => self.lost(&mut open, &reason),
            },
        }
        // A new state may have something to do at once.
        matches!(self.state, State::Open(_))
    }

    fn set_error(&self, error: Option<String>) {
        *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn fail(&mut self, error: &io::Error) {
        count(&self.shared.counters.failed);
        self.set_error(Some(format!("{}: {}", self.config.url, explain(error))));
        self.state = State::Waiting { until: Instant::now() + self.backoff.pause() };
    }

    fn connect(&mut self) -> bool {
        let deadline = Instant::now() + self.config.patience;
        // This may take long; frames meanwhile push each other out of the queue.
        match (self.config.url.host.as_str(), self.config.url.port).to_socket_addrs() {
            Ok(addresses) => self.try_next(addresses.collect(), deadline, None),
            Err(_) => {
                let text = format!("the name {} is not known; correct it", self.config.url.host);
                self.fail(&io::Error::new(ErrorKind::NotFound, text));
            }
        }
        false
    }

    /// Tries the first of the addresses that can be tried.
    fn try_next(&mut self, mut rest: Vec<SocketAddr>, deadline: Instant, mut last: Option<io::Error>) {
        while !rest.is_empty() {
            let address = rest.remove(0);
            let stream = TcpStream::connect(address).and_then(|mut stream| {
                let interests = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, STREAM, interests)?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => {
                    // An address that does not answer leaves time for the others.
                    let share = if rest.is_empty() { deadline } else { deadline.min(Instant::now() + SHARE) };
                    self.state = State::Connecting { stream, rest, until: share, deadline };
                    return;
                }
                Err(error) => last = Some(error),
            }
        }
        let none = || io::Error::new(ErrorKind::NotFound, "the name has no address");
        self.fail(&last.unwrap_or_else(none));
    }

    fn connecting(&mut self, stream: TcpStream, rest: Vec<SocketAddr>, until: Instant, deadline: Instant) {
        let state = match stream.take_error() {
            Ok(Some(error)) | Err(error) => Err(error),
            Ok(None) => match stream.peer_addr() {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
                Err(error) => Err(error),
            },
        };
        match state {
            Ok(true) => {}
            Ok(false) if Instant::now() < until => {
                self.state = State::Connecting { stream, rest, until, deadline };
                return;
            }
            Ok(false) => return self.try_next(rest, deadline, Some(ErrorKind::TimedOut.into())),
            Err(error) => return self.try_next(rest, deadline, Some(error)),
        }
        tune(&stream);
        let stream = match self.tls(stream) {
            Ok(stream) => stream,
            Err(error) => return self.fail(&error),
        };
        let handshake = Handshake::new(&self.config.url, self.config.token.as_deref());
        self.handshake(stream, handshake, deadline);
    }

    fn tls(&self, stream: TcpStream) -> io::Result<Stream> {
        let Some(config) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let name = rustls::pki_types::ServerName::try_from(self.config.url.host.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let connection = rustls::ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Stream::Client(Box::new(rustls::StreamOwned::new(connection, stream))))
    }

    fn handshake(&mut self, mut stream: Stream, mut handshake: Handshake, deadline: Instant) {
        match handshake.proceed(&mut stream) {
            Ok(Some(rest)) => self.open(stream, rest),
            Ok(None) if Instant::now() >= deadline => {
                self.fail(&io::Error::new(ErrorKind::TimedOut, "no answer to the handshake"));
            }
            Ok(None) => self.state = State::Handshake { stream, handshake, deadline },
            Err(error) => self.fail(&error),
        }
    }

    fn open(&mut self, stream: Stream, rest: Vec<u8>) {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(16 * 1024)
            .max_write_buffer_size(256 * 1024)
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let socket = WebSocket::from_partially_read(stream, rest, Role::Client, Some(limits));
        let now = Instant::now();
        let mut open = Box::new(Open {
            socket,
            since: now,
            blocked: false,
            next_ping: now + self.config.ping,
            unanswered: 0,
            pong: now,
            asked: None,
            heard: false,
        });
        count(&self.shared.counters.connected);
        self.set_error(None);
        let stale = self.outbox.drop_older_than(self.config.stale);
        add(&self.shared.counters.dropped_stale, stale);
        // Relays learn an address from its first frame, some from no later one.
        if let Some(mac) = self.own.current() {
            self.write(&mut open, announcement(mac));
        }
        self.shared.open.store(true, Ordering::Relaxed);
        self.state = State::Open(open);
    }

    fn lost(&mut self, open: &mut Open, reason: &Error) {
        count(&self.shared.counters.lost);
        self.shared.open.store(false, Ordering::Relaxed);
        let code = match reason {
            Error::Capacity(_) => Some(CloseCode::Size),
            Error::Utf8(_) => Some(CloseCode::Invalid),
            Error::Protocol(_) => Some(CloseCode::Protocol),
            _ => None,
        };
        if let Some(code) = code {
            // Tell it what it did wrong, if it still listens.
            drop(open.socket.close(Some(CloseFrame { code, reason: "".into() })));
        }
        if open.heard || open.since.elapsed() >= Duration::from_secs(5) {
            self.backoff.reset();
        }
        self.set_error(Some(format!(
            "{}: the connection was lost: {}",
            self.config.url,
            explain_close(reason)
        )));
        self.state = State::Waiting { until: Instant::now() + self.backoff.pause() };
    }

    /// Reads, pings and writes; whether there is more to do at once.
    fn exchange(&mut self, open: &mut Open) -> Result<bool, Error> {
        let mut more = true;
        for _ in 0..BURST {
            match open.socket.read() {
                Ok(Message::Close(frame)) => {
                    // Answer it; nothing can follow.
                    drop(open.socket.flush());
                    let why =
                        frame.map_or_else(String::new, |frame| format!(" ({} {})", frame.code, frame.reason));
                    let text = format!("the relay closed it{}", why.trim_end());
                    return Err(Error::Io(io::Error::new(ErrorKind::ConnectionAborted, text)));
                }
                Ok(message) => self.message(open, message),
                Err(Error::Io(error)) if is_pause(&error) => {
                    more = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.keep_alive(open)?;
        if open.blocked && !self.flush(open)? {
            return Ok(more);
        }
        loop {
            let mut batch = 0;
            while batch < BATCH && !open.blocked {
                let Some(frame) = self.outbox.take(|frame, _| Some(frame.to_vec())) else { break };
                let now = Instant::now();
                if let Some(mac) = Mac::source(&frame).filter(|mac| mac.is_station()) {
                    self.own.spoke(mac, now);
                }
                open.asked.get_or_insert(now);
                self.write(open, frame);
                batch += 1;
            }
            if batch == 0 && !open.blocked {
                self.flush(open)?;
                return Ok(more);
            }
            if !self.flush(open)? {
                return Ok(more);
            }
        }
    }

    /// Hands a frame to the connection; errors show when it is pushed out.
    fn write(&mut self, open: &mut Open, frame: Vec<u8>) {
        let len = frame.len() as u64;
        match open.socket.write(Message::Binary(frame.into())) {
            Ok(()) => {}
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            Err(_) => return,
        }
        count(&self.shared.counters.frames_out);
        add(&self.shared.counters.bytes_out, len);
    }

    /// Whether all is out.
    fn flush(&mut self, open: &mut Open) -> Result<bool, Error> {
        match open.socket.flush() {
            Ok(()) => open.blocked = false,
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            Err(error) => return Err(error),
        }
        Ok(!open.blocked)
    }

    fn keep_alive(&mut self, open: &mut Open) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(asked) = open.asked.filter(|asked| now >= *asked + self.patience) {
            if open.pong > asked {
                // It lives, but has forgotten us; if a new connection does not help either, try it less often.
                self.patience = (self.patience * 2).min(Duration::from_secs(300).max(self.config.silence));
                let text = "the relay sends nothing but pongs";
                return Err(Error::Io(io::Error::new(ErrorKind::TimedOut, text)));
            }
            if open.unanswered == 0 {
                self.ping(open, now);
            }
        }
        if now < open.next_ping {
            return Ok(());
        }
        if open.unanswered >= 2 {
            return Err(Error::Io(io::Error::new(ErrorKind::TimedOut, "two pings without an answer")));
        }
        self.ping(open, now);
        Ok(())
    }

    fn ping(&mut self, open: &mut Open, now: Instant) {
        count(&self.shared.counters.pings);
        open.unanswered += 1;
        open.next_ping = now + self.config.ping;
        match open.socket.write(Message::Ping(b"nomad86".as_slice().into())) {
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            // Others show when it is pushed out.
            _ => open.blocked |= open.socket.flush().is_err(),
        }
    }

    fn message(&mut self, open: &mut Open, message: Message) {
        let counters = &self.shared.counters;
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(_) => return count(&counters.text),
            Message::Pong(_) => {
                count(&counters.pongs);
                open.unanswered = 0;
                open.pong = Instant::now();
                return;
            }
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        let counter = match bytes.len() {
            0 => &counters.empty,
            len if len < MIN_FRAME => &counters.short,
            len if len > longest(&bytes) => &counters.oversize,
            _ => {
                let source = Mac::source(&bytes).unwrap_or_default();
                if self.own.contains(source, Instant::now()) {
                    return count(&counters.reflected);
                }
                open.asked = None;
                open.heard = true;
                self.patience = self.config.silence;
                return self.deliver(&bytes);
            }
        };
        count(counter);
    }

    fn deliver(&self, frame: &[u8]) {
        let counters = &self.shared.counters;
        let put = if frame.len() < 60 {
            count(&counters.padded);
            let mut padded = [0; 60];
            padded[..frame.len()].copy_from_slice(frame);
            self.inbox.push(&padded)
        } else {
            self.inbox.push(frame)
        };
        count(&counters.frames_in);
        add(&counters.bytes_in, frame.len() as u64);
        if put == Put::Displaced {
            count(&counters.dropped_inbox);
        }
    }
}

/// A frame that says where `mac` is and asks nothing of anybody: a reverse ARP request, as hypervisors send
/// after a machine has moved.
fn announcement(mac: Mac) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].fill(0xFF);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..22].copy_from_slice(&[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[32..38].copy_from_slice(&mac.0);
    frame
}

/// What an error means to somebody who wants to be connected.
fn explain(error: &io::Error) -> String {
    use rustls::CertificateError as Bad;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".into(),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".into()
            }
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is signed by nobody who is trusted; name its root with ca=".into()
            }
            bad => format!("its certificate is no good: {bad}"),
        },
        Some(tls) => format!("TLS failed: {tls}"),
        // Errors that we made ourselves say all; the system's have a number and need a remedy.
        None if error.get_ref().is_some_and(|_| error.raw_os_error().is_none()) => error.to_string(),
        None => match error.kind() {
            ErrorKind::ConnectionRefused => {
                "nobody listens there; start the relay (nomad86 relay) or correct the address".into()
            }
            ErrorKind::TimedOut => "it does not answer; is the address right, and open in firewalls?".into(),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                "there is no way to it; is the host's network up?".into()
            }
            _ => error.to_string(),
        },
    }
}

fn explain_close(error: &Error) -> String {
    match error {
        Error::ConnectionClosed => "the relay closed it".into(),
        Error::Io(error) => explain(error),
        other => other.to_string(),
    }
}
