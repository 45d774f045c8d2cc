//! Wrappers that make a good network bad: late, slow and lossy, the same way each time for one seed.
//!
//! [`Shaper`] has a thread and keeps frames until they are due. [`Faults`] has none: it loses, doubles,
//! swaps and bends frames at once, and cuts them short too.

use super::bell::{Bedside, Bell};
use super::open::Meter;
use super::queue::FrameQueue;
use super::{MAX_FRAME, MIN_FRAME, count, counters};
use nomad86::host::Network;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Frames that are on the line in one direction.
const LINE: usize = 1024;
/// Frames that wait between the machine and the thread.
const QUEUE: usize = 256;
/// Frames that go one way before the other has its turn.
const BURST: usize = 256;

/// How bad a network is to be made, in each direction.
///
/// ```
/// use nomad86_host::net::shape::Shape;
/// use std::time::Duration;
///
/// assert!(Shape::default().is_clear());
/// let satellite = Shape { delay: Duration::from_millis(300), loss: 0.01, ..Shape::default() };
/// assert!(!satellite.is_clear());
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Shape {
    /// Share of frames that get lost, 0 to 1.
    pub loss: f64,
    /// Share of frames that arrive twice.
    pub duplicate: f64,
    /// Share of frames that overtake the one before them.
    pub reorder: f64,
    /// Share of frames in which one bit flips.
    pub corrupt: f64,
    /// How late frames are.
    pub delay: Duration,
    /// How much later at most, evenly spread; frames keep their order.
    pub jitter: Duration,
    /// Bytes a second; 0 is unlimited.
    pub rate: u64,
    /// The same seed makes the same choices.
    pub seed: u64,
}

impl Shape {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        Self { seed: 0, ..*self } == Self::default()
    }
}

counters! {
    /// What was done to frames.
    Counters => ShapeStats {
        /// Frames that passed, whole or not.
        passed,
        /// Frames that were lost on purpose.
        lost,
        /// Frames that were doubled.
        duplicated,
        /// Frames that overtook another.
        reordered,
        /// Frames in which a bit was flipped.
        corrupted,
        /// Frames that were cut short.
        truncated,
        /// Frames that found no room on the line.
        full,
    }
}

/// What happens to one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fate {
    lost: bool,
    twice: bool,
    overtakes: bool,
    /// The bit that flips.
    bit: Option<u32>,
    /// Where between no and all of the jitter it is, in 2^32nds.
    late: u32,
}

/// Where fates come from: the same number of draws for each frame, so that one choice does not change the
/// others.
#[derive(Debug)]
struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn new(seed: u64, direction: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(2).wrapping_add(direction)))
    }

    fn throw(&mut self, shape: &Shape) -> Fate {
        let mut happens = |share: f64| (self.0.next_u32() as f64) < share * 4_294_967_296.0;
        let (lost, twice, overtakes, corrupt) =
            (happens(shape.loss), happens(shape.duplicate), happens(shape.reorder), happens(shape.corrupt));
        let bit = self.0.next_u32();
        Fate { lost, twice, overtakes, bit: corrupt.then_some(bit), late: self.0.next_u32() }
    }
}

fn flip(frame: &mut [u8], bit: u32) {
    let bit = bit as usize % (frame.len() * 8).max(1);
    if let Some(byte) = frame.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

/// A frame and when it is due.
#[derive(Clone, Debug)]
struct Slot {
    due: Instant,
    len: u16,
    bytes: [u8; MAX_FRAME],
}

/// One direction of a bad line.
#[derive(Debug)]
struct Line {
    shape: Shape,
    dice: Dice,
    slots: VecDeque<Slot>,
    /// When the last bit of the last frame has left.
    busy: Instant,
    last: Instant,
    counters: Arc<Counters>,
}

impl Line {
    fn new(shape: Shape, direction: u64, counters: Arc<Counters>, now: Instant) -> Self {
        let dice = Dice::new(shape.seed, direction);
        Self { shape, dice, slots: VecDeque::with_capacity(LINE), busy: now, last: now, counters }
    }

    fn push(&mut self, frame: &[u8], now: Instant) {
        let fate = self.dice.throw(&self.shape);
        if self.shape.rate > 0 {
            let time = Duration::from_secs_f64(frame.len() as f64 / self.shape.rate as f64);
            self.busy = self.busy.max(now) + time;
        } else {
            self.busy = now;
        }
        if fate.lost {
            return count(&self.counters.lost);
        }
        let jitter = self.shape.jitter.mul_f64(f64::from(fate.late) / 4_294_967_296.0);
        let due = (self.busy + self.shape.delay + jitter).max(self.last);
        self.last = due;
        for copy in 0..=usize::from(fate.twice) {
            if self.slots.len() >= LINE || frame.len() > MAX_FRAME {
                return count(&self.counters.full);
            }
            let mut slot = Slot { due, len: frame.len() as u16, bytes: [0; MAX_FRAME] };
            slot.bytes[..frame.len()].copy_from_slice(frame);
            if let Some(bit) = fate.bit {
                count(&self.counters.corrupted);
                flip(&mut slot.bytes[..frame.len()], bit);
            }
            self.slots.push_back(slot);
            if copy > 0 {
                count(&self.counters.duplicated);
            }
        }
        let len = self.slots.len();
        if fate.overtakes && !fate.twice && len >= 2 {
            count(&self.counters.reordered);
            self.slots.swap(len - 1, len - 2);
            // The times stay in order.
            let (a, b) = (self.slots[len - 2].due, self.slots[len - 1].due);
            self.slots[len - 2].due = b;
            self.slots[len - 1].due = a.max(b);
        }
    }

    /// Hands out what is due.
    fn release(&mut self, now: Instant, mut sink: impl FnMut(&[u8])) {
        while let Some(slot) = self.slots.front().filter(|slot| slot.due <= now) {
            // Before it goes: who has it finds it counted.
            count(&self.counters.passed);
            sink(&slot.bytes[..usize::from(slot.len)]);
            self.slots.pop_front();
        }
    }

    fn next(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.due)
    }
}

/// A back end behind a bad line; dropping it ends both.
#[derive(Debug)]
pub struct Shaper {
    inbox: FrameQueue,
    outbox: FrameQueue,
    link: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    bell: Bell,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Shaper {
    /// Puts a bad line between the machine, whose `bell` rings when frames come, and the back end that
    /// `connect` makes with the bell that it is given.
    ///
    /// # Errors
    /// Those of `connect`, or when the system gives no thread.
    pub fn start<N: Network + Send + 'static>(
        shape: Shape,
        bell: Bell,
        connect: impl FnOnce(Bell) -> io::Result<N>,
    ) -> io::Result<Self> {
        let bedside = Bedside::default();
        let wake = bedside.bell();
        let mut network = connect(wake.clone())?;
        let inbox = FrameQueue::new(QUEUE, bell);
        let outbox = FrameQueue::new(QUEUE, wake.clone());
        let (link, stop) = (Arc::new(AtomicBool::new(network.link())), Arc::new(AtomicBool::new(false)));
        let counters = Arc::new(Counters::default());
        let line = |direction| Line::new(shape, direction, Arc::clone(&counters), Instant::now());
        let (mut out, mut back) = (line(0), line(1));
        let mut shaper = Self {
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            link: Arc::clone(&link),
            stop: Arc::clone(&stop),
            bell: wake,
            counters: Arc::clone(&counters),
            thread: None,
        };
        let work = move || {
            let mut buffer = [0; MAX_FRAME];
            while !stop.load(Ordering::Acquire) {
                let now = Instant::now();
                let mut taken = 0;
                while taken < BURST
                    && let Some(frame) = outbox.pop(&mut buffer)
                {
                    out.push(frame, now);
                    taken += 1;
                }
                while taken < 2 * BURST
                    && let Some(frame) = network.receive(&mut buffer)
                {
                    back.push(frame, now);
                    taken += 1;
                }
                out.release(now, |frame| network.transmit(frame));
                back.release(now, |frame| {
                    inbox.push(frame);
                });
                link.store(network.link(), Ordering::Relaxed);
                if taken == 0 {
                    let next = [out.next(), back.next()].into_iter().flatten().min();
                    // Now and then a look at the link, of which no bell tells.
                    let longest = Duration::from_millis(200);
                    let wait = next
                        .map_or(longest, |next| next.saturating_duration_since(Instant::now()).min(longest));
                    let _ = bedside.sleep(wait);
                }
            }
        };
        let thread = std::thread::Builder::new().name("shaper".into()).spawn(work)?;
        shaper.thread = Some(thread);
        Ok(shaper)
    }

    /// Its counters, to be read while somebody else has it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let (counters, inbox, outbox) = (Arc::clone(&self.counters), self.inbox.clone(), self.outbox.clone());
        Meter::new("line", move || {
            let mut stats = counters.read();
            stats.full += inbox.dropped() + outbox.dropped();
            stats.entries()
        })
    }

    /// What was done to frames.
    #[must_use]
    pub fn stats(&self) -> ShapeStats {
        let mut stats = self.counters.read();
        stats.full += self.inbox.dropped() + self.outbox.dropped();
        stats
    }
}

impl Network for Shaper {
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
        self.link.load(Ordering::Relaxed)
    }
}

/// A thread that is told to end when it goes away.
impl Drop for Shaper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A back end that loses, doubles, swaps, bends and cuts frames at once, the same way each time for one seed.
#[derive(Debug)]
pub struct Faults<N> {
    network: N,
    shape: Shape,
    /// Share of frames that are cut short.
    truncate: f64,
    out: Dice,
    back: Dice,
    /// The frame that the next outgoing one overtakes.
    held: Option<Vec<u8>>,
    /// Frames for the machine that are still to be given.
    ready: VecDeque<Vec<u8>>,
    counters: Counters,
}

impl<N: Network> Faults<N> {
    /// Applies the shares of `shape`, but neither its delays nor its rate; `truncate` is the share of frames
    /// that lose their end.
    pub fn new(network: N, shape: Shape, truncate: f64) -> Self {
        Self {
            network,
            shape,
            truncate,
            out: Dice::new(shape.seed, 0),
            back: Dice::new(shape.seed, 1),
            held: None,
            ready: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// What was done to frames.
    pub fn stats(&self) -> ShapeStats {
        self.counters.read()
    }

    /// The back end.
    pub fn inner(&mut self) -> &mut N {
        &mut self.network
    }

    /// What becomes of a frame: none, one or two of it.
    fn bend(
        dice: &mut Dice,
        shape: &Shape,
        truncate: f64,
        counters: &Counters,
        frame: &[u8],
    ) -> (Vec<Vec<u8>>, bool) {
        let fate = dice.throw(shape);
        let (cut, place) = (f64::from(dice.0.next_u32()) < truncate * 4_294_967_296.0, dice.0.next_u32());
        if fate.lost {
            count(&counters.lost);
            return (Vec::new(), false);
        }
        let mut frame = frame.to_vec();
        if let Some(bit) = fate.bit {
            count(&counters.corrupted);
            flip(&mut frame, bit);
        }
        if cut && frame.len() > MIN_FRAME {
            count(&counters.truncated);
            frame.truncate(MIN_FRAME + place as usize % (frame.len() - MIN_FRAME));
        }
        let mut frames = vec![frame];
        if fate.twice {
            count(&counters.duplicated);
            frames.push(frames[0].clone());
        }
        (frames, fate.overtakes)
    }
}

impl<N: Network> Network for Faults<N> {
    fn transmit(&mut self, frame: &[u8]) {
        let (frames, overtakes) =
            Self::bend(&mut self.out, &self.shape, self.truncate, &self.counters, frame);
        let held = self.held.take();
        if overtakes && held.is_none() && frames.len() == 1 {
            // It waits: the next one goes first.
            count(&self.counters.reordered);
            self.held = frames.into_iter().next();
            return;
        }
        for frame in frames.iter().chain(&held) {
            count(&self.counters.passed);
            self.network.transmit(frame);
        }
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        while self.ready.is_empty() {
            let frame = self.network.receive(buffer)?;
            let (frames, _) = Self::bend(&mut self.back, &self.shape, self.truncate, &self.counters, frame);
            self.ready.extend(frames);
        }
        let frame = self.ready.pop_front()?;
        let room = buffer.get_mut(..frame.len())?;
        room.copy_from_slice(&frame);
        count(&self.counters.passed);
        Some(room)
    }

    fn link(&self) -> bool {
        self.network.link()
    }
}

#[cfg(test)]
mod tests;
