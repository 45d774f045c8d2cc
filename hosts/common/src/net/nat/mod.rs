//! A user-mode network: guests reach the host's network without root and without any set-up.
//!
//! The gateway (10.0.2.2, fec0::2) stands for the host; 10.0.2.3 (fec0::3) is the name server; guests get
//! addresses from 10.0.2.15 on by DHCP, or make their own from the advertised prefix. TCP, UDP and echo
//! requests leave as the host's own sockets. Ports of the host can be forwarded to guests.
//!
//! | file | what |
//! |---|---|
//! | `engine` | the thread: frames in, sockets watched |
//! | `gateway`, `wire` | addresses and what they mean; packets into frames, neighbours, ARP |
//! | `packet`, `reassembly` | reading IP packets and their fragments |
//! | `dhcp`, `ndp` | addresses for guests, in IPv4 and IPv6 |
//! | `dns`, `resolv` | names |
//! | `icmp`, `udp`, `tcp` | what leaves |
//!
//! Not emulated: multicast and broadcast beyond the cable, guests' incoming connections that are not
//! forwarded, other protocols than ICMP, TCP and UDP.

pub mod config;
mod dhcp;
mod dns;
mod engine;
mod gateway;
mod icmp;
mod ndp;
mod packet;
mod reassembly;
mod resolv;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;
mod udp;
mod wire;

pub use config::{Forward, Ipv4Config, Ipv6Config, NatConfig, Transport};

use super::bell::Bell;
use super::counters;
use super::open::Meter;
use super::queue::FrameQueue;
use engine::Engine;
use mio::Waker;
use nomad86::host::Network;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Frames that wait in each direction.
const QUEUE: usize = 512;

counters! {
    /// What a user-mode network has done.
    Counters => NatStats {
        /// Frames from guests.
        frames_in,
        /// Frames to guests.
        frames_out,
        /// TCP connections that were begun.
        tcp,
        /// TCP connections that the host's side refused.
        tcp_refused,
        /// Bytes of TCP from guests.
        tcp_bytes_out,
        /// Bytes of TCP to guests.
        tcp_bytes_in,
        /// UDP sockets that were opened.
        udp,
        /// Connections and sockets closed to make room for others.
        evicted,
        /// Questions to the name server.
        dns,
        /// Addresses that are given away now.
        leases,
        /// Guests told that something cannot be reached.
        unreachable,
        /// Packets whose lengths, checksums or senders are wrong.
        dropped_bad,
        /// Packets for guests that nobody knows (yet).
        dropped_unknown,
        /// Frames and datagrams lost because something was full.
        dropped_full,
        /// Packets that do not fit a frame.
        dropped_size,
    }
}

/// A user-mode network, as the machine's card sees it; dropping it ends it.
/// ```
/// use nomad86_host::net::bell::Bedside;
/// use nomad86_host::net::nat::{Nat, NatConfig};
///
/// let bedside = Bedside::default();
/// // For the `networks` of a machine's host; the machine's thread sleeps at the bedside while the guest is idle.
/// let nat = Nat::start(NatConfig::default(), bedside.bell())?;
/// assert_eq!(nat.stats().leases, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Nat {
    to_guest: FrameQueue,
    from_guest: FrameQueue,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the machine and the gateway's thread share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The thread waits for the machine to take frames.
    starving: AtomicBool,
    waker: OnceLock<Arc<Waker>>,
    forwards: OnceLock<Vec<SocketAddr>>,
    counters: Arc<Counters>,
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            // It fails only when the thread is awake already.
            drop(waker.wake());
        }
    }
}

impl Nat {
    /// Starts a network whose `bell` rings when frames come for the machine.
    ///
    /// # Errors
    /// When a forwarded port is taken, or the system gives no thread or event queue.
    pub fn start(config: NatConfig, bell: Bell) -> io::Result<Self> {
        let to_guest = FrameQueue::new(QUEUE, bell);
        let shared = Arc::new(Shared::default());
        let (engine, from_guest) = Engine::new(config, to_guest.clone(), Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("nat".into()).spawn(move || engine.run())?;
        Ok(Self { to_guest, from_guest, shared, thread: Some(thread) })
    }

    /// Its counters, to be read while somebody else has it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let (shared, queue) = (Arc::clone(&self.shared), self.from_guest.clone());
        Meter::new("nat", move || {
            let mut stats = shared.counters.read();
            stats.dropped_full += queue.dropped();
            stats.entries()
        })
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> NatStats {
        let mut stats = self.shared.counters.read();
        stats.dropped_full += self.from_guest.dropped();
        stats
    }

    /// Where the host listens for each of the configured forwards, in their order.
    #[must_use]
    pub fn forwards(&self) -> &[SocketAddr] {
        self.shared.forwards.get().map_or(&[], Vec::as_slice)
    }
}

impl Network for Nat {
    fn transmit(&mut self, frame: &[u8]) {
        self.from_guest.push(frame);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.to_guest.pop(buffer)?;
        if self.to_guest.len() <= QUEUE / 4 && self.shared.starving.swap(false, Ordering::SeqCst) {
            self.shared.wake();
        }
        Some(frame)
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
