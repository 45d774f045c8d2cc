//! `nomad86 relay`: a relay of our own, for our clients and for those of websockproxy and node-relay.
//!
//! The path of the address is the room; each room is a learning switch. Frames never come back to their
//! sender, group frames always go to everyone, unknown receivers are flooded. Every client has a bounded
//! queue that loses its oldest frame, so that a slow one delays nobody. A room may lead to the host's network
//! without root (user-mode network), to a TAP device, or to nothing but a DHCP server.
//!
//! | file | what |
//! |---|---|
//! | `config` | what it is told before it starts |
//! | `engine` | the thread: one event loop for all clients |
//! | `http` | the handshake: rooms, tokens, origins, addresses |
//! | `session` | one client, from its first byte to its last |
//! | `room` | switches and uplinks |
//! | `limit` | so much a second |
//!
//! ```
//! use nomad86::host::Network;
//! use nomad86_host::net::bell::Bedside;
//! use nomad86_host::net::relay::server::{RelayServer, RelayServerConfig};
//! use nomad86_host::net::relay::{RelayClient, RelayConfig, RelayUrl};
//! use std::time::Duration;
//!
//! let relay = RelayServer::start(RelayServerConfig {
//!     listen: vec![([127, 0, 0, 1], 0).into()],
//!     ..RelayServerConfig::default()
//! })?;
//! let url = RelayUrl::parse(&format!("ws://{}/room", relay.addresses()[0]))?;
//! let bedside = Bedside::default();
//! let mut cable = RelayClient::start(RelayConfig::new(url), bedside.bell())?;
//! // It connects by itself, and the guest sees the cable plugged in when it has.
//! while !cable.link() {
//!     let _ = bedside.sleep(Duration::from_millis(10));
//! }
//! cable.transmit(&[0xFF; 60]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not emulated: permessage-deflate is declined; HTTP is only there for the handshake and for metrics.

pub mod config;
mod engine;
mod http;
mod limit;
mod room;
mod session;

pub use config::{Limits, Network, RelayServerConfig, Uplink};

use crate::net::counters;
use engine::Engine;
use mio::Waker;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

counters! {
    /// What a relay has done.
    Counters => RelayServerStats {
        /// Clients that are in a room now.
        clients,
        /// Rooms that there are now.
        rooms,
        /// Connections that came.
        connections,
        /// Requests and connections that were refused.
        refused,
        /// Messages from clients that are meant as frames.
        frames_in,
        /// Their bytes.
        bytes_in,
        /// Frames to clients.
        frames_out,
        /// Their bytes.
        bytes_out,
        /// Frames for everyone, or for a receiver that was not known.
        flooded,
        /// Frames lost because a client's queue was full.
        displaced,
        /// Empty messages.
        empty,
        /// Messages of 1 to 13 bytes.
        short,
        /// Messages too long for a frame.
        long,
        /// Text messages.
        text,
        /// Frames over a client's limit.
        over_limit,
        /// Frames whose sender cannot be one, or is one too many.
        bad_source,
        /// Frames whose sender belongs to another client.
        conflicts,
        /// Clients that broke the protocol.
        broken,
        /// Clients that fell silent.
        timed_out,
        /// Pings that went out.
        pings,
    }
}

/// A running relay; dropping it stops it.
#[derive(Debug)]
pub struct RelayServer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    waker: OnceLock<Arc<Waker>>,
    addresses: OnceLock<Vec<SocketAddr>>,
    metrics_address: OnceLock<Option<SocketAddr>>,
    counters: Counters,
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            // It fails only when the thread is awake already.
            drop(waker.wake());
        }
    }

    /// All counters in Prometheus' text form.
    fn metrics(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.counters.read().entries() {
            let (kind, suffix) = match name {
                "clients" | "rooms" => ("gauge", ""),
                _ => ("counter", "_total"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE nomad86_relay_{name}{suffix} {kind}");
            let _ = writeln!(text, "nomad86_relay_{name}{suffix} {value}");
        }
        text
    }
}

impl RelayServer {
    /// Starts a relay.
    ///
    /// # Errors
    /// When it cannot listen, certificates cannot be used, or an uplink cannot be had.
    pub fn start(config: RelayServerConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = Engine::new(config, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || engine.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Where it listens for clients.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.shared.addresses.get().map_or(&[], Vec::as_slice)
    }

    /// Where it listens for those who only want metrics.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.shared.metrics_address.get().copied().flatten()
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> RelayServerStats {
        self.shared.counters.read()
    }

    /// The same in Prometheus' text form.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.shared.metrics()
    }

    /// Tells all clients to go, and waits until they have gone, two seconds at most.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for RelayServer {
    fn drop(&mut self) {
        self.stop();
    }
}
