//! A cable to a hub in another process; it plugs itself in again when the hub comes back.

use super::server::{HubAddress, Link};
use super::stream::FrameStream;
use crate::net::bell::Bell;
use crate::net::open::Meter;
use crate::net::queue::FrameQueue;
use mio::{Events, Interest, Poll, Token, Waker};
use nomad86::host::Network;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const QUEUE: usize = 256;
const WAKER: Token = Token(0);
const LINK: Token = Token(1);
/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// Frames that have waited for longer are not sent any more when the connection is back.
const STALE: Duration = Duration::from_secs(2);

/// A cable to a hub in another process.
#[derive(Debug)]
pub struct HubClient {
    inbox: FrameQueue,
    outbox: FrameQueue,
    shared: Arc<Shared>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connected: AtomicBool,
    connections: AtomicU64,
}

impl HubClient {
    /// A cable whose `bell` rings when a frame comes. The hub need not be there yet.
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub fn start(address: HubAddress, bell: Bell) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let inbox = FrameQueue::new(QUEUE, bell);
        let outbox = FrameQueue::new(QUEUE, Bell::waker(Arc::clone(&waker)));
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            address,
            poll,
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            shared: Arc::clone(&shared),
            link: None,
            attempt_at: Instant::now(),
        };
        // Not joined: looking up a host's name can take long.
        drop(std::thread::Builder::new().name("hub client".into()).spawn(move || worker.run())?);
        Ok(Self { inbox, outbox, shared, waker })
    }

    /// Frames lost so far: from the machine, and to it.
    #[must_use]
    pub fn dropped(&self) -> (u64, u64) {
        (self.outbox.dropped(), self.inbox.dropped())
    }

    /// Its counters, to be read while somebody else has it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let (shared, outbox, inbox) = (Arc::clone(&self.shared), self.outbox.clone(), self.inbox.clone());
        let meter = Meter::new("hub client", move || {
            let connections = shared.connections.load(Ordering::Relaxed);
            vec![
                ("connections", connections),
                ("dropped_out", outbox.dropped()),
                ("dropped_in", inbox.dropped()),
            ]
        });
        let shared = Arc::clone(&self.shared);
        let absent = || "the hub cannot be reached".to_owned();
        meter.with_trouble(move || (!shared.connected.load(Ordering::Relaxed)).then(absent))
    }

    /// How often the hub was reached.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Network for HubClient {
    fn transmit(&mut self, frame: &[u8]) {
        self.outbox.push(frame);
    }

    fn gather(&mut self, frame: &[u8]) {
        self.outbox.gather(frame);
    }

    fn flush(&mut self) {
        self.outbox.flush();
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.inbox.pop(buffer)
    }

    fn link(&self) -> bool {
        self.shared.connected.load(Ordering::Relaxed)
    }
}

impl Drop for HubClient {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(self.waker.wake());
    }
}

struct Worker {
    address: HubAddress,
    poll: Poll,
    inbox: FrameQueue,
    outbox: FrameQueue,
    shared: Arc<Shared>,
    link: Option<FrameStream<Link>>,
    attempt_at: Instant,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        while !self.shared.stop.load(Ordering::Acquire) {
            let connected = self.shared.connected.load(Ordering::Relaxed);
            if self.link.is_none() && Instant::now() >= self.attempt_at {
                self.connect();
            }
            let wait = match (&self.link, connected) {
                (Some(_), true) => None,
                (Some(_), false) => Some(PAUSE),
                (None, _) => Some(self.attempt_at.saturating_duration_since(Instant::now())),
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            if self.link.is_some() && !self.exchange().unwrap_or(false) {
                self.link = None;
                self.shared.connected.store(false, Ordering::Relaxed);
                self.attempt_at = Instant::now() + PAUSE;
            }
        }
    }

    fn connect(&mut self) {
        self.attempt_at = Instant::now() + PAUSE;
        let Ok(mut link) = Link::connect(&self.address) else { return };
        let interests = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut link, LINK, interests).is_ok() {
            self.link = Some(FrameStream::new(link));
        }
    }

    fn exchange(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.link else { return Ok(false) };
        if !self.shared.connected.load(Ordering::Relaxed) {
            if !stream.stream.connected()? {
                return Ok(true);
            }
            self.outbox.drop_older_than(STALE);
            self.shared.connections.fetch_add(1, Ordering::Relaxed);
            self.shared.connected.store(true, Ordering::Relaxed);
        }
        let inbox = &self.inbox;
        let open = stream.read(|frame| {
            inbox.push(frame);
        })?;
        stream.write(&self.outbox)?;
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::HubServer;
    use super::super::tests::{all, frame};
    use super::super::{Hub, HubPort};
    use super::*;

    pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < end, "it never happened");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn next(network: &mut impl Network) -> Vec<u8> {
        let mut buffer = [0; 1600];
        let mut found = Vec::new();
        wait_for(|| {
            network.receive(&mut buffer).is_some_and(|frame| {
                found = frame.to_vec();
                true
            })
        });
        found
    }

    fn lan(address: &str) -> (Hub, HubServer, HubPort) {
        let hub = Hub::default();
        let server = HubServer::start(hub.clone(), &HubAddress::parse(address).unwrap()).unwrap();
        let port = hub.port(Bell::default());
        (hub, server, port)
    }

    #[test]
    fn machines_of_other_processes_share_the_hub_over_tcp() {
        let (hub, server, mut inside) = lan("127.0.0.1:0");
        let address = HubAddress::Tcp(server.address().unwrap().to_string());
        let mut a = HubClient::start(address.clone(), Bell::default()).unwrap();
        let mut b = HubClient::start(address, Bell::default()).unwrap();
        wait_for(|| hub.ports() == 3 && a.link() && b.link());
        a.transmit(&frame(255, 1, b"hello"));
        assert_eq!(next(&mut b), frame(255, 1, b"hello"));
        assert_eq!(next(&mut inside), frame(255, 1, b"hello"));
        b.transmit(&frame(1, 2, b"to you"));
        assert_eq!(next(&mut a), frame(1, 2, b"to you"));
        assert!(all(&mut inside).is_empty());
        drop(b);
        wait_for(|| hub.ports() == 2);
    }

    #[cfg(unix)]
    #[test]
    fn case_67_a_cable_plugs_itself_in_again_when_the_hub_comes_back() {
        let path = std::env::temp_dir().join(format!("nomad86-hub-{}", std::process::id()));
        let address = path.to_str().unwrap();
        let mut client = HubClient::start(HubAddress::Unix(path.clone()), Bell::default()).unwrap();
        assert!(!client.link());
        for _ in 0..2 {
            let (_, server, mut inside) = lan(address);
            wait_for(|| client.link());
            client.transmit(&frame(255, 1, b"hello"));
            assert_eq!(next(&mut inside), frame(255, 1, b"hello"));
            drop(server);
            wait_for(|| !client.link());
        }
        assert_eq!(client.connections(), 2);
        assert!(!path.exists());
        // A socket that a dead process left behind does not keep the next one from listening.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (_, server, _) = lan(address);
        drop(server);
    }

    #[test]
    fn case_68_a_hub_that_does_not_read_never_blocks_the_machine() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = HubAddress::Tcp(listener.local_addr().unwrap().to_string());
        let mut client = HubClient::start(address, Bell::default()).unwrap();
        let _held = listener.accept().unwrap();
        wait_for(|| client.link());
        let start = Instant::now();
        // More than the socket's buffers and the queue hold.
        for _ in 0..20_000 {
            client.transmit(&[5; 1514]);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "it waits for the hub");
        assert!(client.dropped().0 > 0);
    }
}
