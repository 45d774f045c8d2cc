//! A hub that machines of other processes plug into, through TCP or a Unix-domain socket.
//!
//! TCP addresses should be loopback ones: there is neither a password nor encryption. A relay has both.

use super::stream::FrameStream;
use super::{Hub, HubPort};
use crate::net::bell::Bell;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Most machines that one server takes.
const CONNECTIONS: usize = 256;
const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;

/// Where a hub of another process listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubAddress {
    /// A host name or address, and a port.
    Tcp(String),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
}

impl HubAddress {
    /// Anything with a slash is a path, anything else `host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('/') {
            return Some(Self::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        Some(Self::Tcp(format!("{host}:{port}")))
    }
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connected stream of either kind.
#[derive(Debug)]
pub(super) enum Link {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Link {
    /// Starts to connect; an error may also show later, when the stream is used.
    pub(super) fn connect(address: &HubAddress) -> io::Result<Self> {
        match address {
            HubAddress::Tcp(address) => {
                let address = resolve(address)?;
                let stream = TcpStream::connect(address)?;
                Ok(Self::Tcp(stream))
            }
            #[cfg(unix)]
            HubAddress::Unix(path) => Ok(Self::Unix(UnixStream::connect(path)?)),
            #[cfg(not(unix))]
            HubAddress::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Whether the connection is made; `false` while it is on its way.
    pub(super) fn connected(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(stream) => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                match stream.peer_addr() {
                    Ok(_) => stream.set_nodelay(true).map(|()| true),
                    Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
                    Err(error) => Err(error),
                }
            }
            #[cfg(unix)]
            Self::Unix(_) => Ok(true),
        }
    }
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let found = address.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("{address} has no address")))
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Link {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            #[cfg(unix)]
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            #[cfg(unix)]
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

impl Listener {
    fn bind(address: &HubAddress) -> io::Result<Self> {
        match address {
            HubAddress::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(resolve(address)?)?)),
            #[cfg(unix)]
            HubAddress::Unix(path) => {
                let listener = crate::local::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(listener), path.clone()))
            }
            #[cfg(not(unix))]
            HubAddress::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn accept(&self) -> io::Result<Link> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Link::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| Link::Unix(stream)),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            #[cfg(unix)]
            Self::Unix(listener, _) => listener,
        }
    }
}

/// A thread that plugs machines of other processes into a hub; dropping it ends it and its connections.
#[derive(Debug)]
pub struct HubServer {
    address: Option<SocketAddr>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl HubServer {
    /// Listens at `address` and plugs whoever connects into `hub`.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub fn start(hub: Hub, address: &HubAddress) -> io::Result<Self> {
        let mut listener = Listener::bind(address)?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(listener.source(), LISTENER, Interest::READABLE)?;
        let address = match &listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let bell = Bell::waker(Arc::clone(&waker));
        let worker =
            Worker { hub, listener, poll, bell, stop: Arc::clone(&stop), connections: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("hub".into()).spawn(move || worker.run())?;
        Ok(Self { address, stop, waker, thread: Some(thread) })
    }

    /// The TCP address that it listens at.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.waker.wake());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Worker {
    hub: Hub,
    listener: Listener,
    poll: Poll,
    bell: Bell,
    stop: Arc<AtomicBool>,
    connections: BTreeMap<usize, Connection>,
}

struct Connection {
    stream: FrameStream<Link>,
    port: HubPort,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut next = FIRST;
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != ErrorKind::Interrupted
            {
                break;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(&mut next),
                    WAKER => {}
                    Token(number) => self.read(number),
                }
            }
            self.write();
        }
        #[cfg(unix)]
        if let Listener::Unix(_, path) = &self.listener {
            drop(std::fs::remove_file(path));
        }
    }

    fn accept(&mut self, next: &mut usize) {
        use nomad86::host::Network as _;
        // Any error ends the round: those of the peer come one per call, and a full table of descriptors
        // would be reported for ever.
        while let Ok(mut link) = self.listener.accept() {
            let interests = Interest::READABLE | Interest::WRITABLE;
            let token = Token(*next);
            if self.connections.len() >= CONNECTIONS
                || self.poll.registry().register(&mut link, token, interests).is_err()
            {
                continue;
            }
            *next += 1;
            let port = self.hub.port(self.bell.clone());
            debug_assert!(port.link());
            self.connections.insert(token.0, Connection { stream: FrameStream::new(link), port });
        }
    }

    fn read(&mut self, number: usize) {
        use nomad86::host::Network as _;
        let Some(Connection { stream, port }) = self.connections.get_mut(&number) else { return };
        if !matches!(stream.read(|frame| port.transmit(frame)), Ok(true)) {
            self.connections.remove(&number);
        }
    }

    fn write(&mut self) {
        self.connections.retain(|_, connection| connection.stream.write(connection.port.queue()).is_ok());
    }
}
