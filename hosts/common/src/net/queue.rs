//! A bounded queue of frames between the machine and a back end's thread.
//!
//! All room is taken when the queue is made; neither end allocates or waits. A full queue drops its oldest
//! frame (as a wire with a slow reader does) or refuses the new one, as the writer asks.

use super::bell::Bell;
use super::{MAX_FRAME, MIN_FRAME};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Frames that are gathered at most before the bell rings for them.
pub const GATHERED: usize = 16;

/// What became of a frame that was put into a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is in the queue.
    Kept,
    /// It is in the queue, and the oldest one had to go.
    Displaced,
    /// The queue was full.
    Refused,
    /// It is shorter or longer than a frame can be.
    Size,
}

/// One end or the other of a bounded queue of frames; clones are the same queue.
///
/// ```
/// use nomad86_host::net::{bell::Bell, queue::{FrameQueue, Put}};
///
/// let queue = FrameQueue::new(1, Bell::default());
/// assert_eq!(queue.push(&[1; 60]), Put::Kept);
/// assert_eq!(queue.offer(&[2; 60]), Put::Refused);
/// assert_eq!(queue.push(&[3; 60]), Put::Displaced);
/// let mut buffer = [0; 1522];
/// assert_eq!(queue.pop(&mut buffer), Some(&[3; 60][..]));
/// ```
#[derive(Clone, Debug)]
pub struct FrameQueue {
    shared: Arc<Shared>,
    bell: Bell,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// How many frames there are, to be read without the lock.
    len: AtomicUsize,
    /// Frames came to an empty queue, and the bell has not rung for them yet.
    owed: AtomicBool,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    slots: Box<[Slot]>,
    head: usize,
    len: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    at: Option<Instant>,
    len: u16,
    bytes: [u8; MAX_FRAME],
}

impl FrameQueue {
    /// A queue of `capacity` frames whose `bell` rings when it stops being empty.
    #[must_use]
    pub fn new(capacity: usize, bell: Bell) -> Self {
        let slot = Slot { at: None, len: 0, bytes: [0; MAX_FRAME] };
        let ring = Ring { slots: vec![slot; capacity.max(1)].into_boxed_slice(), head: 0, len: 0 };
        let shared = Shared {
            ring: Mutex::new(ring),
            len: AtomicUsize::new(0),
            owed: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), bell }
    }

    /// The same queue, with another bell.
    #[must_use]
    pub fn with_bell(&self, bell: Bell) -> Self {
        Self { shared: Arc::clone(&self.shared), bell }
    }

    /// Puts a frame at the end; a full queue loses its oldest one.
    pub fn push(&self, frame: &[u8]) -> Put {
        self.put(frame, true, 1)
    }

    /// As [`Self::push`], but the bell waits for [`Self::flush`], or until [`GATHERED`] frames are there.
    pub fn gather(&self, frame: &[u8]) -> Put {
        self.put(frame, true, GATHERED)
    }

    /// Rings the bell for frames that were gathered.
    pub fn flush(&self) {
        if self.shared.owed.swap(false, Ordering::AcqRel) && !self.is_empty() {
            self.bell.ring();
        }
    }

    /// Puts a frame at the end if there is room.
    pub fn offer(&self, frame: &[u8]) -> Put {
        self.put(frame, false, 1)
    }

    fn put(&self, frame: &[u8], displace: bool, gathered: usize) -> Put {
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return Put::Size;
        }
        let mut ring = self.lock();
        let was_empty = ring.len == 0;
        let capacity = ring.slots.len();
        let mut outcome = Put::Kept;
        if ring.len == capacity {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            if !displace {
                return Put::Refused;
            }
            ring.head = (ring.head + 1) % capacity;
            ring.len -= 1;
            outcome = Put::Displaced;
        }
        let index = (ring.head + ring.len) % capacity;
        let slot = &mut ring.slots[index];
        slot.at = Some(Instant::now());
        slot.len = frame.len() as u16;
        slot.bytes[..frame.len()].copy_from_slice(frame);
        ring.len += 1;
        self.shared.len.store(ring.len, Ordering::Release);
        let owed = was_empty || self.shared.owed.load(Ordering::Relaxed);
        let rings = owed && ring.len >= gathered.min(capacity);
        self.shared.owed.store(owed && !rings, Ordering::Release);
        drop(ring);
        if rings {
            self.bell.ring();
        }
        outcome
    }

    /// Takes the oldest frame out and copies it to the front of `buffer`; one that does not fit is dropped
    /// and the next one tried.
    pub fn pop<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let len = self.take(|frame, _| {
            let room = buffer.get_mut(..frame.len())?;
            room.copy_from_slice(frame);
            Some(frame.len())
        })?;
        Some(&buffer[..len])
    }

    /// Takes the oldest frame out that `accept` likes, and gives what it made of it; those before it are
    /// dropped and counted. `accept` is also told how long the frame has waited.
    pub fn take<T>(&self, mut accept: impl FnMut(&[u8], Duration) -> Option<T>) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mut ring = self.lock();
        while ring.len > 0 {
            let slot = &ring.slots[ring.head];
            let age = slot.at.map_or(Duration::ZERO, |at| at.elapsed());
            let result = accept(&slot.bytes[..usize::from(slot.len)], age);
            ring.head = (ring.head + 1) % ring.slots.len();
            ring.len -= 1;
            self.shared.len.store(ring.len, Ordering::Release);
            if result.is_some() {
                return result;
            }
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    /// Drops, and counts, the frames that have waited for longer than `age`; returns how many.
    pub fn drop_older_than(&self, age: Duration) -> u64 {
        let mut ring = self.lock();
        let mut dropped = 0;
        while ring.len > 0 && ring.slots[ring.head].at.is_some_and(|at| at.elapsed() > age) {
            ring.head = (ring.head + 1) % ring.slots.len();
            ring.len -= 1;
            dropped += 1;
        }
        self.shared.len.store(ring.len, Ordering::Release);
        self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    /// Whether there is no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len.load(Ordering::Acquire)
    }

    /// How many more frames fit.
    #[must_use]
    pub fn free(&self) -> usize {
        self.lock().slots.len().saturating_sub(self.len())
    }

    /// How many frames this queue has lost so far, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, len: usize) -> Vec<u8> {
        vec![tag; len]
    }

    #[test]
    fn frames_come_out_in_the_order_they_went_in_across_many_turns_of_the_ring() {
        let queue = FrameQueue::new(3, Bell::default());
        let mut buffer = [0; 1600];
        for tag in 0..20u8 {
            assert_eq!(queue.push(&frame(tag, 60)), Put::Kept);
            assert_eq!(queue.push(&frame(tag + 100, 1522)), Put::Kept);
            assert_eq!(queue.pop(&mut buffer), Some(&frame(tag, 60)[..]));
            assert_eq!(queue.pop(&mut buffer), Some(&frame(tag + 100, 1522)[..]));
            assert_eq!(queue.pop(&mut buffer), None);
        }
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_full_queue_loses_its_oldest_frame_or_refuses_the_new_one_and_counts_both() {
        let queue = FrameQueue::new(2, Bell::default());
        queue.push(&frame(1, 60));
        queue.push(&frame(2, 60));
        assert_eq!(queue.offer(&frame(3, 60)), Put::Refused);
        assert_eq!(queue.push(&frame(4, 60)), Put::Displaced);
        let mut buffer = [0; 1600];
        assert_eq!(queue.pop(&mut buffer).unwrap()[0], 2);
        assert_eq!(queue.pop(&mut buffer).unwrap()[0], 4);
        assert_eq!(queue.dropped(), 2);
    }

    #[test]
    fn case_62_frames_of_impossible_sizes_never_enter_a_queue() {
        let queue = FrameQueue::new(4, Bell::default());
        for len in [0, 1, 13, 1523, 9000, 65_535] {
            assert_eq!(queue.push(&frame(0, len)), Put::Size);
        }
        assert_eq!((queue.len(), queue.dropped()), (0, 6));
        for len in [14, 59, 60, 1518, 1522] {
            assert_ne!(queue.push(&frame(0, len)), Put::Size);
        }
    }

    #[test]
    fn a_frame_longer_than_the_reader_s_buffer_is_dropped_and_the_next_one_read() {
        let queue = FrameQueue::new(4, Bell::default());
        queue.push(&frame(1, 1000));
        queue.push(&frame(2, 60));
        let mut small = [0; 100];
        assert_eq!(queue.pop(&mut small), Some(&frame(2, 60)[..]));
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn frames_that_waited_too_long_are_dropped() {
        let queue = FrameQueue::new(4, Bell::default());
        queue.push(&frame(1, 60));
        std::thread::sleep(Duration::from_millis(1050));
        queue.push(&frame(2, 60));
        assert_eq!(queue.drop_older_than(Duration::from_secs(1)), 1);
        assert_eq!(queue.pop(&mut [0; 100]).unwrap()[0], 2);
    }

    fn counting_bell() -> (Arc<AtomicUsize>, Bell) {
        let rung = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&rung);
        let bell = Bell::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        (rung, bell)
    }

    #[test]
    fn the_bell_rings_once_for_frames_that_were_gathered() {
        let (rung, bell) = counting_bell();
        let queue = FrameQueue::new(64, bell);
        let rings = || rung.swap(0, Ordering::SeqCst);
        queue.flush();
        queue.gather(&frame(1, 60));
        queue.gather(&frame(1, 60));
        assert_eq!(rings(), 0);
        queue.flush();
        queue.flush();
        queue.gather(&frame(1, 60));
        queue.flush();
        assert_eq!(rings(), 1, "who has not emptied it yet needs no second bell");
        while queue.pop(&mut [0; 100]).is_some() {}
        for _ in 0..GATHERED {
            queue.gather(&frame(1, 60));
        }
        assert_eq!(rings(), 1, "these are many");
        queue.flush();
        while queue.pop(&mut [0; 100]).is_some() {}
        queue.gather(&frame(1, 60));
        assert!(queue.pop(&mut [0; 100]).is_some());
        queue.flush();
        assert_eq!(rings(), 0, "its reader was awake");
        queue.gather(&frame(1, 60));
        queue.push(&frame(1, 60));
        assert_eq!(rings(), 1);
        let (rung, bell) = counting_bell();
        FrameQueue::new(1, bell).gather(&frame(1, 60));
        assert_eq!(rung.load(Ordering::SeqCst), 1, "there is no room for many");
    }

    #[test]
    fn the_bell_rings_when_the_queue_stops_being_empty() {
        let (rung, bell) = counting_bell();
        let queue = FrameQueue::new(4, bell);
        queue.push(&frame(1, 60));
        queue.push(&frame(1, 60));
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        while queue.pop(&mut [0; 100]).is_some() {}
        queue.push(&frame(1, 60));
        assert_eq!(rung.load(Ordering::SeqCst), 2);
    }
}
