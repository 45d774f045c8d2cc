//! virtio-net, by the legacy interface that transitional devices have: frames on the real wire.
//!
//! Spec: Virtual I/O Device 1.1, 4.1.4.8 (legacy PCI), 2.6 (split virtqueues), 5.1 (network device).
//! Not driven: modern devices without the legacy interface, offloads, several queues.
#![allow(unsafe_code)]

use crate::interrupts;
use crate::pci::Function;
use crate::port::{in8, in16, in32, out8, out16, out32};
use alloc::alloc::{Layout, alloc_zeroed};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering, fence};
use nomad86::host::Network;

/// Registers behind the first base address.
mod reg {
    pub(super) const DEVICE_FEATURES: u16 = 0;
    pub(super) const DRIVER_FEATURES: u16 = 4;
    pub(super) const QUEUE_ADDRESS: u16 = 8;
    pub(super) const QUEUE_SIZE: u16 = 12;
    pub(super) const QUEUE_SELECT: u16 = 14;
    pub(super) const QUEUE_NOTIFY: u16 = 16;
    pub(super) const STATUS: u16 = 18;
    pub(super) const ISR: u16 = 19;
    pub(super) const MAC: u16 = 20;
    pub(super) const LINK: u16 = 26;
}

mod feature {
    pub(super) const MAC: u32 = 1 << 5;
    pub(super) const STATUS: u32 = 1 << 16;
}

mod status {
    pub(super) const ACKNOWLEDGE: u8 = 1;
    pub(super) const DRIVER: u8 = 2;
    pub(super) const DRIVER_OK: u8 = 4;
}

/// A descriptor that goes on in the next one, and one that the device writes to.
const NEXT: u16 = 1;
const WRITE: u16 = 2;
/// The header in front of each frame, in a descriptor of its own, as legacy devices may want.
const HEADER: usize = 10;
/// A header and a frame.
const BUFFER: usize = 2048;
const FRAME: usize = 1522;

/// A queue whose buffers are fixed: buffer *n* is the chain of descriptors 2*n* and 2*n* + 1.
struct Queue {
    number: u16,
    size: u16,
    /// Descriptors, then the ring of available ones; on the next page the ring of used ones.
    rings: NonNull<u8>,
    buffers: NonNull<u8>,
    /// Used entries seen.
    seen: u16,
}

impl Queue {
    /// Sets up queue `number` of the device at `base`.
    fn new(base: u16, number: u16, flags: u16) -> Option<Self> {
        out16(base + reg::QUEUE_SELECT, number);
        let size = in16(base + reg::QUEUE_SIZE);
        if size < 2 || !size.is_power_of_two() {
            return None;
        }
        let n = usize::from(size);
        let len = Self::used_offset(size) + 4096.max((6 + 8 * n).next_multiple_of(4096));
        let allocate = |len: usize| {
            let layout = Layout::from_size_align(len, 4096).ok()?;
            // SAFETY: the length is not zero.
            NonNull::new(unsafe { alloc_zeroed(layout) })
        };
        let queue = Self { number, size, rings: allocate(len)?, buffers: allocate(n / 2 * BUFFER)?, seen: 0 };
        for k in 0..size / 2 {
            let buffer = queue.buffer(k).as_ptr() as u64;
            queue.describe(2 * k, buffer, HEADER, flags | NEXT);
            queue.describe(2 * k + 1, buffer + HEADER as u64, FRAME, flags);
        }
        let page = queue.rings.as_ptr() as u64 >> 12;
        out32(base + reg::QUEUE_ADDRESS, u32::try_from(page).ok()?);
        Some(queue)
    }

    fn used_offset(size: u16) -> usize {
        (18 * usize::from(size) + 6).next_multiple_of(4096)
    }

    /// Buffer `k`: a header and a frame.
    fn buffer(&self, k: u16) -> NonNull<u8> {
        // SAFETY: there is a buffer for each pair of descriptors; the number is brought into range.
        unsafe { self.buffers.add(usize::from(k % (self.size / 2)) * BUFFER) }
    }

    fn describe(&self, n: u16, address: u64, len: usize, flags: u16) {
        // SAFETY: descriptor `n` of 16 bytes lies in the rings; the device reads it only once it is available.
        unsafe {
            let at = self.rings.add(16 * usize::from(n));
            at.cast::<u64>().write(address);
            at.add(8).cast::<u32>().write(len as u32);
            at.add(12).cast::<u16>().write(flags);
            at.add(14).cast::<u16>().write(n + 1);
        }
    }

    /// A 16-bit field of the rings, which the device may change or read at any time.
    fn field(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: offsets are even and inside the rings.
        unsafe { &*self.rings.add(offset).cast::<AtomicU16>().as_ptr() }
    }

    fn available(&self, offset: usize) -> &AtomicU16 {
        self.field(16 * usize::from(self.size) + offset)
    }

    /// Gives buffer `k` to the device.
    fn give(&self, k: u16, base: u16) {
        let index = self.available(2).load(Ordering::Relaxed);
        self.available(4 + 2 * usize::from(index % self.size)).store(2 * k, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.available(2).store(index.wrapping_add(1), Ordering::SeqCst);
        out16(base + reg::QUEUE_NOTIFY, self.number);
    }

    /// Takes the next buffer back, with the number of bytes that the device wrote.
    fn take(&mut self) -> Option<(u16, usize)> {
        let used = Self::used_offset(self.size);
        if self.field(used + 2).load(Ordering::Acquire) == self.seen {
            return None;
        }
        let entry = used + 4 + 8 * usize::from(self.seen % self.size);
        self.seen = self.seen.wrapping_add(1);
        let (id, len) =
            (self.field(entry).load(Ordering::Relaxed), self.field(entry + 4).load(Ordering::Relaxed));
        Some((id / 2, len.into()))
    }

    /// The frame in buffer `k`, while the device does not have it.
    fn frame(&mut self, k: u16) -> &mut [u8] {
        // SAFETY: a buffer is as long as a header and a frame; it is the driver's between `take` and `give`.
        unsafe { core::slice::from_raw_parts_mut(self.buffer(k).add(HEADER).as_ptr(), FRAME) }
    }
}

/// A network card.
pub(crate) struct Card {
    base: u16,
    receive: Queue,
    transmit: Queue,
    /// Buffers for sending that the device does not have.
    free: alloc::vec::Vec<u16>,
    mac: [u8; 6],
    has_link: bool,
}

impl Card {
    /// Finds and starts a card; otherwise says what is lacking.
    pub(crate) fn find() -> Result<Self, &'static str> {
        let function =
            Function::find(&[(0x1AF4, 0x1000)]).ok_or(match Function::find(&[(0x1AF4, 0x1041)]) {
                Some(_) => "the virtio-net card has no legacy interface, which this kernel drives",
                None => "there is no virtio-net card",
            })?;
        function.enable();
        if !function.has_ports(0) {
            return Err("the virtio-net card has no ports");
        }
        let base = function.bar(0) as u16;
        out8(base + reg::STATUS, 0);
        out8(base + reg::STATUS, status::ACKNOWLEDGE | status::DRIVER);
        let features = in32(base + reg::DEVICE_FEATURES) & (feature::MAC | feature::STATUS);
        out32(base + reg::DRIVER_FEATURES, features);
        let receive = Queue::new(base, 0, WRITE).ok_or("the virtio-net card has no receive queue")?;
        let transmit = Queue::new(base, 1, 0).ok_or("the virtio-net card has no transmit queue")?;
        let mut mac = [0; 6];
        if features & feature::MAC != 0 {
            for (n, byte) in (0..).zip(&mut mac) {
                *byte = in8(base + reg::MAC + n);
            }
        }
        out8(base + reg::STATUS, status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK);
        for k in 0..receive.size / 2 {
            receive.give(k, base);
        }
        let free = (0..transmit.size / 2).collect();
        if let Some(irq) = function.irq() {
            interrupts::NETWORK_STATUS.store(base + reg::ISR, Ordering::Relaxed);
            interrupts::unmask(irq);
        }
        Ok(Self { base, receive, transmit, free, mac, has_link: features & feature::STATUS != 0 })
    }

    /// The address that the card has on the wire.
    pub(crate) const fn mac(&self) -> [u8; 6] {
        self.mac
    }
}

impl Network for Card {
    fn transmit(&mut self, frame: &[u8]) {
        while let Some((k, _)) = self.transmit.take() {
            self.free.push(k);
        }
        // A wire that is too slow loses frames, as wires do.
        let Some(k) = self.free.pop() else { return };
        let len = frame.len().min(FRAME);
        self.transmit.frame(k)[..len].copy_from_slice(&frame[..len]);
        let at = self.transmit.buffer(k).as_ptr() as u64 + HEADER as u64;
        self.transmit.describe(2 * k + 1, at, len, 0);
        self.transmit.give(k, self.base);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        loop {
            let (k, len) = self.receive.take()?;
            let len = len.saturating_sub(HEADER);
            let fits = len <= buffer.len().min(FRAME) && len >= 14;
            if fits {
                buffer[..len].copy_from_slice(&self.receive.frame(k)[..len]);
            }
            self.receive.give(k % (self.receive.size / 2), self.base);
            if fits {
                return Some(&buffer[..len]);
            }
        }
    }

    fn link(&self) -> bool {
        !self.has_link || in16(self.base + reg::LINK) & 1 != 0
    }
}
