//! A hub: a learning switch between the machines of one process, and, through a socket, of several.
//!
//! Each machine plugs a [`HubPort`] in. A frame goes to the port that its receiver was heard on, or to all
//! others. Every port has a bounded queue that loses its oldest frame when its machine does not read.
//!
//! [`server`] lets machines of other processes plug in, [`client`] is their end of the cable.

pub mod client;
pub mod server;
mod stream;

use super::bell::Bell;
use super::open::Meter;
use super::queue::{FrameQueue, Put};
use super::switch::{Learned, Route, Rules, Switch};
use super::{MAX_FRAME, MIN_FRAME, Mac, count, counters};
use nomad86::host::Network;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Frames that wait in front of one port.
const QUEUE: usize = 256;

counters! {
    /// What a hub has done.
    Counters => HubStats {
        /// Frames that machines sent.
        frames,
        /// Their bytes.
        bytes,
        /// Copies put into the queues of ports.
        delivered,
        /// Frames for all ports, or for a receiver that is not known yet.
        flooded,
        /// Frames whose sender belongs to another port.
        conflicts,
        /// Frames whose sender could not be learnt: a group address, or too many.
        unlearnt,
        /// Frames shorter than 14 or longer than 1522 bytes.
        bad_size,
        /// Frames lost because a port's queue was full.
        displaced,
    }
}

/// A learning switch; clones are the same one.
/// ```
/// use nomad86::host::Network;
/// use nomad86_host::net::bell::Bell;
/// use nomad86_host::net::hub::Hub;
///
/// let hub = Hub::default();
/// // For the `networks` of two machines' hosts.
/// let (mut one, mut other) = (hub.port(Bell::default()), hub.port(Bell::default()));
/// let mut frame = [0xFF; 60];
/// frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
/// one.transmit(&frame);
/// assert_eq!(other.receive(&mut [0; 1522]), Some(&frame[..]));
/// assert_eq!(one.receive(&mut [0; 1522]), None, "nobody hears himself");
/// ```
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    counters: Counters,
}

#[derive(Debug)]
struct State {
    switch: Switch<u32>,
    ports: BTreeMap<u32, FrameQueue>,
    next: u32,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Hub {
    /// A hub that nobody is plugged into.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let state = State { switch: Switch::new(rules), ports: BTreeMap::new(), next: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), counters: Counters::default() }) }
    }

    /// The hub of that name in this process; it goes away with its last port.
    #[must_use]
    pub fn named(name: &str) -> Self {
        use std::collections::HashMap;
        use std::sync::{OnceLock, Weak};
        static HUBS: OnceLock<Mutex<HashMap<String, Weak<Shared>>>> = OnceLock::new();
        let mut hubs = HUBS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        if let Some(shared) = hubs.get(name).and_then(Weak::upgrade) {
            return Self { shared };
        }
        let hub = Self::default();
        hubs.insert(name.to_owned(), Arc::downgrade(&hub.shared));
        hub
    }

    /// Plugs a cable in whose `bell` rings when a frame comes.
    #[must_use]
    pub fn port(&self, bell: Bell) -> HubPort {
        let queue = FrameQueue::new(QUEUE, bell);
        let mut state = self.lock();
        let number = state.next;
        state.next = state.next.wrapping_add(1);
        state.ports.insert(number, queue.clone());
        drop(state);
        HubPort { hub: self.clone(), number, queue }
    }

    /// How many cables are plugged in.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.lock().ports.len()
    }

    /// Its counters, to be read while others use it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        // It must not keep the hub alive.
        let shared = Arc::downgrade(&self.shared);
        Meter::new("hub", move || shared.upgrade().map_or_else(Vec::new, |hub| hub.counters.read().entries()))
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.shared.counters.read()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forward(&self, from: u32, frame: &[u8]) {
        let counters = &self.shared.counters;
        let (Some(destination), Some(source)) = (Mac::destination(frame), Mac::source(frame)) else {
            return count(&counters.bad_size);
        };
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            return count(&counters.bad_size);
        }
        count(&counters.frames);
        super::add(&counters.bytes, frame.len() as u64);
        let now = Instant::now();
        let mut state = self.lock();
        match state.switch.learn(source, from, now) {
            Learned::Here | Learned::Moved => {}
            Learned::Elsewhere => count(&counters.conflicts),
            Learned::Refused => count(&counters.unlearnt),
        }
        let deliver = |queue: &FrameQueue| {
            count(&counters.delivered);
            if queue.push(frame) == Put::Displaced {
                count(&counters.displaced);
            }
        };
        match state.switch.route(destination, from, now) {
            Route::Port(port) => state.ports.get(&port).into_iter().for_each(deliver),
            Route::Flood => {
                count(&counters.flooded);
                state
                    .ports
                    .iter()
                    .filter(|(port, _)| **port != from)
                    .map(|(_, queue)| queue)
                    .for_each(deliver);
            }
            Route::Nowhere => {}
        }
    }
}

/// A cable plugged into a hub; dropping it pulls the plug.
#[derive(Debug)]
pub struct HubPort {
    hub: Hub,
    number: u32,
    queue: FrameQueue,
}

impl HubPort {
    /// Frames that came while the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// The hub that it is plugged into.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn queue(&self) -> &FrameQueue {
        &self.queue
    }
}

impl Network for HubPort {
    fn transmit(&mut self, frame: &[u8]) {
        self.hub.forward(self.number, frame);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.queue.pop(buffer)
    }
}

impl Drop for HubPort {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.ports.remove(&self.number);
        state.switch.remove_port(self.number);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A frame between two stations that are named by their last byte; 255 is everybody.
    pub(crate) fn frame(to: u8, from: u8, text: &[u8]) -> Vec<u8> {
        let mut frame = if to == 255 { vec![255; 6] } else { vec![2, 0, 0, 0, 0, to] };
        frame.extend([2, 0, 0, 0, 0, from, 0x88, 0xB5]);
        frame.extend(text);
        frame.resize(frame.len().max(60), 0);
        frame
    }

    pub(crate) fn all(network: &mut impl Network) -> Vec<Vec<u8>> {
        let mut buffer = [0; 1600];
        std::iter::from_fn(|| network.receive(&mut buffer).map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn frames_go_to_everyone_until_the_receiver_is_known() {
        let hub = Hub::default();
        let [mut a, mut b, mut c] = [(); 3].map(|()| hub.port(Bell::default()));
        a.transmit(&frame(2, 1, b"who is there"));
        assert_eq!((all(&mut a).len(), all(&mut b).len(), all(&mut c).len()), (0, 1, 1));
        b.transmit(&frame(1, 2, b"me"));
        assert_eq!(all(&mut a), [frame(1, 2, b"me")]);
        assert!(all(&mut c).is_empty());
        a.transmit(&frame(2, 1, b"you"));
        assert_eq!((all(&mut b).len(), all(&mut c).len()), (1, 0));
        a.transmit(&frame(255, 1, b"all"));
        assert_eq!((all(&mut a).len(), all(&mut b).len(), all(&mut c).len()), (0, 1, 1));
    }

    #[test]
    fn a_port_that_is_unplugged_is_forgotten() {
        let hub = Hub::default();
        let mut a = hub.port(Bell::default());
        let mut b = hub.port(Bell::default());
        b.transmit(&frame(1, 2, b""));
        drop(b);
        assert_eq!(hub.ports(), 1);
        let mut c = hub.port(Bell::default());
        a.transmit(&frame(2, 1, b"where are you"));
        assert_eq!(all(&mut c).len(), 1, "flooded again");
    }

    #[test]
    fn a_machine_that_does_not_read_loses_its_oldest_frames_and_slows_nobody() {
        let hub = Hub::default();
        let mut a = hub.port(Bell::default());
        let mut b = hub.port(Bell::default());
        let mut c = hub.port(Bell::default());
        for n in 0..QUEUE as u16 + 10 {
            a.transmit(&frame(255, 1, &n.to_be_bytes()));
            assert_eq!(all(&mut c).len(), 1);
        }
        let received = all(&mut b);
        assert_eq!(received.len(), QUEUE);
        assert_eq!(received[0], frame(255, 1, &10u16.to_be_bytes()));
        assert_eq!((b.dropped(), hub.stats().displaced), (10, 10));
    }

    #[test]
    fn case_62_and_63_odd_sizes_are_dropped_and_counted() {
        let hub = Hub::default();
        let mut a = hub.port(Bell::default());
        let mut b = hub.port(Bell::default());
        for len in [0, 1, 13, 1523, 9000, 65_535] {
            a.transmit(&vec![255; len]);
        }
        assert!(all(&mut b).is_empty());
        assert_eq!(hub.stats().bad_size, 6);
        a.transmit(&frame(255, 1, b"")[..14]);
        assert_eq!(all(&mut b)[0].len(), 14);
    }

    #[test]
    fn hubs_of_one_name_are_one_hub_for_as_long_as_it_is_used() {
        let mut a = Hub::named("test lan").port(Bell::default());
        let mut b = Hub::named("test lan").port(Bell::default());
        let mut other = Hub::named("test lan 2").port(Bell::default());
        a.transmit(&frame(255, 1, b"hello"));
        assert_eq!((all(&mut b).len(), all(&mut other).len()), (1, 0));
        drop((a, b));
        assert_eq!(Hub::named("test lan").stats(), HubStats::default());
    }

    #[test]
    fn machines_on_many_threads_lose_nothing_within_the_limits() {
        const FRAMES: usize = 2000;
        let hub = Hub::default();
        let received = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let mut sink = hub.port(Bell::default());
            sink.transmit(&frame(255, 9, b""));
            for station in 1..=4u8 {
                let mut port = hub.port(Bell::default());
                let received = Arc::clone(&received);
                scope.spawn(move || {
                    for sent in 0..FRAMES {
                        // Stay within the queue: no more than half of it is on its way.
                        while sent * 4 > received.load(Ordering::Acquire) + QUEUE / 2 {
                            std::thread::yield_now();
                        }
                        port.transmit(&frame(9, station, &(sent as u32).to_be_bytes()));
                    }
                });
            }
            let mut next = [0u32; 5];
            let mut buffer = [0; 1600];
            while received.load(Ordering::Acquire) < 4 * FRAMES {
                let Some(frame) = sink.receive(&mut buffer) else {
                    std::thread::yield_now();
                    continue;
                };
                let station = usize::from(frame[11]);
                assert_eq!(u32::from_be_bytes(frame[14..18].try_into().unwrap()), next[station]);
                next[station] += 1;
                received.fetch_add(1, Ordering::AcqRel);
            }
        });
        assert_eq!(hub.stats().displaced, 0);
    }
}
