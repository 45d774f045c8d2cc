//! A relay with the manners of others: a switch of blocking threads, one per client.

use crate::net::Mac;
use crate::net::nat::Nat;
use nomad86::host::Network;
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// What a relay is like.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// Broadcasts come back to their sender, as in websockproxy.
    pub(crate) reflect: bool,
    /// Bytes a second of one client; what is more is silently lost, as in websockproxy.
    pub(crate) throttle: Option<f64>,
    /// A client's address is learnt from its first message only, as in node-relay.
    pub(crate) first_only: bool,
    /// Messages of 0 and of 13 bytes end the relay, as in node-relay.
    pub(crate) fragile: bool,
    /// Each frame is delivered twice.
    pub(crate) twice: bool,
    /// What the gateway says is this late: websockproxy's DHCP server takes three seconds.
    pub(crate) late: Duration,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manners: Manners,
    stop: AtomicBool,
    dead: AtomicBool,
    received: AtomicU64,
    clients: Mutex<HashMap<u64, Client>>,
    owners: Mutex<HashMap<Mac, u64>>,
    gateway: Mutex<Option<Nat>>,
}

struct Client {
    queue: SyncSender<Vec<u8>>,
    stream: TcpStream,
}

impl Fake {
    pub(crate) fn start(manners: Manners) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), manners, None)
    }

    pub(crate) fn start_at(address: SocketAddr, manners: Manners, gateway: Option<Nat>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manners,
            stop: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            received: AtomicU64::new(0),
            clients: Mutex::default(),
            owners: Mutex::default(),
            gateway: Mutex::new(gateway),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for number in 1.. {
                let Ok((stream, _)) = listener.accept() else { return };
                if own.stop.load(Ordering::Relaxed) {
                    return;
                }
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(number, stream));
            }
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || own.gateway());
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Whether a message has killed it.
    pub(crate) fn is_dead(&self) -> bool {
        self.shared.dead.load(Ordering::Relaxed)
    }

    /// Messages that came.
    pub(crate) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    pub(crate) fn clients(&self) -> usize {
        self.shared.clients.lock().unwrap().len()
    }

    /// Ends all connections without a word.
    pub(crate) fn cut(&self) {
        for client in self.shared.clients.lock().unwrap().values() {
            drop(client.stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.cut();
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, number: u64, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let handle = stream.try_clone().unwrap();
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let (queue, incoming) = sync_channel(10_000);
        self.clients.lock().unwrap().insert(number, Client { queue, stream: handle });
        self.talk(number, &mut socket, &incoming);
        self.clients.lock().unwrap().remove(&number);
        self.owners.lock().unwrap().retain(|_, owner| *owner != number);
    }

    fn talk(&self, number: u64, socket: &mut WebSocket<TcpStream>, incoming: &Receiver<Vec<u8>>) {
        let mut first = true;
        let (mut allowance, mut checked) = (self.manners.throttle.unwrap_or(0.0), Instant::now());
        while !self.stop.load(Ordering::Relaxed) && !self.dead.load(Ordering::Relaxed) {
            while let Ok(frame) = incoming.try_recv() {
                if socket.send(Message::Binary(frame.into())).is_err() {
                    return;
                }
            }
            let frame = match socket.read() {
                Ok(Message::Binary(frame)) => frame,
                Ok(_) => continue,
                Err(tungstenite::Error::Io(error))
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            self.received.fetch_add(1, Ordering::Relaxed);
            if self.manners.fragile && [0, 13].contains(&frame.len()) {
                self.dead.store(true, Ordering::Relaxed);
                return;
            }
            if let Some(rate) = self.manners.throttle {
                let elapsed = checked.elapsed().as_secs_f64();
                checked = Instant::now();
                allowance = (allowance + elapsed * rate).min(rate);
                if allowance < frame.len() as f64 {
                    continue;
                }
                allowance -= frame.len() as f64;
            }
            let Some(source) = Mac::source(&frame) else { continue };
            if first || !self.manners.first_only {
                self.owners.lock().unwrap().insert(source, number);
                first = false;
            }
            self.forward(number, &frame);
            if let Some(gateway) = &mut *self.gateway.lock().unwrap() {
                gateway.transmit(&frame);
            }
        }
    }

    fn forward(&self, from: u64, frame: &[u8]) {
        let to = Mac::destination(frame).unwrap();
        let owner = self.owners.lock().unwrap().get(&to).copied();
        for (number, client) in &*self.clients.lock().unwrap() {
            let wanted = match owner {
                _ if to.is_group() => *number != from || self.manners.reflect,
                // Neither of the two floods what it does not know.
                owner => owner == Some(*number),
            };
            for _ in 0..if self.manners.twice { 2 } else { 1 } {
                if wanted {
                    drop(client.queue.try_send(frame.to_vec()));
                }
            }
        }
    }

    fn gateway(&self) {
        let mut late: Vec<(Instant, Vec<u8>)> = Vec::new();
        let mut buffer = [0; 1600];
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(gateway) = &mut *self.gateway.lock().unwrap() {
                while let Some(frame) = gateway.receive(&mut buffer) {
                    late.push((Instant::now() + self.manners.late, frame.to_vec()));
                }
            }
            while late.first().is_some_and(|(at, _)| *at <= Instant::now()) {
                self.forward(0, &late.remove(0).1);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
