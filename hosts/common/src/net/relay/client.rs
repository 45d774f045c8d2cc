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

mod worker;

use worker::{OwnAddresses, State, Worker};

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
