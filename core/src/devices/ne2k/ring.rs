//! The receive ring: pages of packet RAM from PSTART up to PSTOP, filled from CURR, emptied behind BNRY.
//!
//! Spec: DP8390D data sheet, section 7 ("packet reception": linking buffer pages, buffer ring overflow);
//! RTL8029AS data sheet, RSR.
//!
//! Not emulated: partial reception. The chip notices that the ring is full while it stores a packet and
//! then puts CURR back; here the packet is measured first.

use super::chip::{Chip, Received};
use super::prom::RAM_PAGES;
use super::regs::{isr, rcr, rsr, tcr};
use crate::net::MacAddress;
use crate::net::crc32::frame_check_sequence;
use crate::net::ethernet::{HEADER, ether_type};

/// The shortest frame without its CRC; shorter ones on a wire are fragments of collisions.
pub const MIN_FRAME: usize = 60;
/// The longest untagged frame without its CRC. Ethernet's own limit is 1514; relays and switches let four
/// bytes more pass, and so does the card.
pub const MAX_FRAME: usize = 1518;
/// A frame may be this much longer for its VLAN tag.
pub const TAG: usize = 4;
/// Bytes of header (status, next page, count) before each packet in the ring.
const RING_HEADER: usize = 4;
/// Bytes of CRC behind it.
const CRC: usize = 4;

/// What happened to a frame on its way here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its CRC is wrong.
    Crc,
    /// It did not end on a byte and its CRC is wrong.
    Alignment,
}

/// The longest frame that may have these first bytes.
pub(super) fn longest(frame: &[u8]) -> usize {
    let tagged = frame.get(12..14).is_some_and(|kind| {
        kind == ether_type::VLAN.to_be_bytes() || kind == ether_type::SERVICE_VLAN.to_be_bytes()
    });
    if tagged { MAX_FRAME + TAG } else { MAX_FRAME }
}

/// The four page registers of the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ring {
    /// First page.
    pub pstart: u8,
    /// Page after the last.
    pub pstop: u8,
    /// Page that the next packet goes to.
    pub curr: u8,
    /// Page that the chip must not enter.
    pub bnry: u8,
}

impl Ring {
    /// Whether the ring lies in packet RAM and both pointers in the ring. With anything else no packet is
    /// stored: a chip would run through all its memory looking for PSTOP.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        RAM_PAGES.start <= self.pstart
            && self.pstart < self.pstop
            && self.pstop <= RAM_PAGES.end
            && self.pstart <= self.curr
            && self.curr < self.pstop
            && self.pstart <= self.boundary()
            && self.boundary() < self.pstop
    }

    /// The page that the chip must not enter. Linux's 8390 driver writes BNRY as the page under the next
    /// packet's, which is PSTART - 1 when that is the first of the ring; what it means is the last.
    const fn boundary(self) -> u8 {
        if self.bnry == self.pstart.wrapping_sub(1) { self.pstop.wrapping_sub(1) } else { self.bnry }
    }

    /// Pages of the ring.
    const fn len(self) -> usize {
        self.pstop.saturating_sub(self.pstart) as usize
    }

    /// Pages that a frame of `len` bytes takes with its header and CRC.
    #[must_use]
    pub const fn pages(len: usize) -> usize {
        (len + RING_HEADER + CRC).div_ceil(256)
    }

    /// Where CURR goes when a packet of `pages` is stored, or `None` when that would reach BNRY.
    ///
    /// CURR equal to BNRY is an empty ring: the chip compares each *next* page with BNRY, and never brings
    /// that state about itself.
    #[must_use]
    pub const fn after(self, pages: usize) -> Option<u8> {
        if !self.is_sound() {
            return None;
        }
        let (ring, at) = (self.len(), (self.curr - self.pstart) as usize);
        let distance = (ring + self.boundary() as usize - self.curr as usize - 1) % ring + 1;
        if pages >= distance {
            return None;
        }
        let next = at + pages;
        Some(self.pstart + (if next >= ring { next - ring } else { next }) as u8)
    }
}

impl Chip {
    /// The page registers of the ring.
    #[must_use]
    pub const fn ring(&self) -> Ring {
        Ring { pstart: self.pstart, pstop: self.pstop, curr: self.curr, bnry: self.bnry }
    }

    /// Whether a frame from the wire would be dealt with at once: stored, or dropped as a wire would drop
    /// it. While this is false the sender had better wait: the ring is too full for the longest frame, and
    /// the guest is about to empty it.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        let ring = self.ring();
        let longest = Ring::pages(MAX_FRAME + TAG);
        !self.is_listening()
            || self.rcr & rcr::MON != 0
            || !ring.is_sound()
            || ring.len() <= longest + 1
            || ring.after(longest).is_some()
    }

    /// Whether the receiver is connected to the wire.
    pub(super) const fn is_listening(&self) -> bool {
        self.running && self.tcr & tcr::LB == 0
    }

    /// A frame without CRC has arrived from a back end, which knows no collisions: short ones are padded as
    /// their sender's card would have done. Under 14 bytes and over the maximum there is no frame.
    pub fn receive(&mut self, frame: &[u8]) -> Received {
        if frame.len() < HEADER || frame.len() > longest(frame) {
            return Received::Ignored;
        }
        if frame.len() < MIN_FRAME {
            let mut padded = [0; MIN_FRAME];
            padded[..frame.len()].copy_from_slice(frame);
            return self.arrive(&padded, None);
        }
        self.arrive(frame, None)
    }

    /// A frame has arrived as it was on the wire, perhaps damaged or a fragment.
    pub fn arrive(&mut self, frame: &[u8], fault: Option<Fault>) -> Received {
        let Some(destination) = frame.first_chunk::<6>().copied().map(MacAddress) else {
            return Received::Ignored;
        };
        if !self.is_listening() || frame.len() > MAX_FRAME + TAG {
            return Received::Ignored;
        }
        if frame.len() < MIN_FRAME && self.rcr & rcr::AR == 0 || !self.recognises(destination) {
            return Received::Filtered;
        }
        let mut status = match fault {
            None => rsr::PRX,
            Some(Fault::Crc) => rsr::CRC,
            Some(Fault::Alignment) => rsr::CRC | rsr::FAE,
        };
        if destination.is_multicast() {
            status |= rsr::PHY;
        }
        if let Some(fault) = fault {
            self.count(if fault == Fault::Crc { 1 } else { 0 });
            self.isr |= isr::RXE;
        }
        if self.rcr & rcr::MON != 0 {
            self.rsr = status & !rsr::PRX | rsr::MPA | rsr::DIS;
            self.count(2);
            return Received::Missed;
        }
        if fault.is_some() && self.rcr & rcr::SEP == 0 {
            self.rsr = status;
            return Received::Filtered;
        }
        let Some(next) = self.ring().after(Ring::pages(frame.len())) else {
            self.rsr = status & !rsr::PRX | rsr::MPA;
            self.isr |= isr::OVW | isr::RXE | isr::RST;
            self.count(2);
            return Received::Missed;
        };
        self.store(frame, status, next);
        Received::Stored
    }

    /// Puts a packet into the ring, where there is room for it.
    fn store(&mut self, frame: &[u8], status: u8, next: u8) {
        let count = ((frame.len() + CRC) as u16).to_le_bytes();
        let mut at = u16::from(self.curr) << 8;
        at = self.put(at, &[status, next, count[0], count[1]]);
        at = self.put(at, frame);
        self.clda = self.put(at, &frame_check_sequence(frame).to_le_bytes());
        self.curr = next;
        self.rsr = status;
        self.isr |= if status & rsr::PRX != 0 { isr::PRX } else { isr::RXE };
    }

    /// Copies `bytes` to `at`, going on at PSTART when PSTOP is reached; returns the address behind them.
    fn put(&mut self, at: u16, bytes: &[u8]) -> u16 {
        let (start, stop) = (u16::from(self.pstart) << 8, u16::from(self.pstop) << 8);
        let room = usize::from(stop.saturating_sub(at)).min(bytes.len());
        let (head, tail) = bytes.split_at(room);
        for (place, part) in [(at, head), (start, tail)] {
            if let Some(ram) = self.memory.ram_mut(place, part.len()) {
                ram.copy_from_slice(part);
            }
        }
        let end = if tail.is_empty() { at + head.len() as u16 } else { start + tail.len() as u16 };
        if end == stop { start } else { end }
    }
}
