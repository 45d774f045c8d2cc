//! Makes Ethernet frames of every protocol that the translator knows, and says of each where its hardware
//! addresses lie. The places are noted while a frame is built: nothing is parsed, so that they are known
//! independently of the code under test.

#![allow(dead_code, reason = "each test program that includes this uses its own part of it")]

mod ipv4;
mod ipv6;
mod link;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

pub(crate) type Mac = [u8; 6];

/// A hardware address that the translator has to see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Where it lies in the frame.
    pub(crate) at: usize,
    /// How much of the frame must be there for it to be recognised.
    pub(crate) needs: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// UDP over IPv4 or IPv6: a computed 0 is written FFFF.
    Udp,
    Icmpv6,
    Ipx,
}

/// A checksum field over `start..end` of the frame and the sum of a pseudo header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) pseudo: u32,
}

/// A generated frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// All its bytes, and for a first fragment also those of the datagram that travel in later ones.
    pub(crate) bytes: Vec<u8>,
    /// How many of `bytes` are in the frame.
    pub(crate) visible: usize,
    pub(crate) places: Vec<Place>,
    pub(crate) check: Option<Check>,
    /// Offsets of fields and bytes that decide about the layout, for tests that spoil them.
    pub(crate) lengths: Vec<usize>,
}

impl Frame {
    pub(crate) fn visible(&self) -> &[u8] {
        &self.bytes[..self.visible]
    }

    /// What the first `cut` bytes must become when `a` and `b` are exchanged.
    pub(crate) fn expected(&self, a: Mac, b: Mac, cut: usize) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let cut = cut.min(self.visible);
        let mut changed = false;
        for place in self.places.iter().filter(|place| place.needs <= cut) {
            let field = &mut bytes[place.at..place.at + 6];
            let new = if field == a {
                b
            } else if field == b {
                a
            } else {
                continue;
            };
            changed |= self.check.is_some_and(|check| place.at >= check.start);
            field.copy_from_slice(&new);
        }
        if let Some(check) = self.check
            && changed
        {
            write_checksum(&mut bytes, &check);
        }
        bytes.truncate(cut);
        bytes
    }
}

/// The one's complement sum, written as the definition says: word by word, carry by carry.
pub(crate) fn naive_sum(bytes: &[u8], mut sum: u32) -> u16 {
    for (index, byte) in bytes.iter().enumerate() {
        sum += if index % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) };
        if sum > 0xFFFF {
            sum = sum - 0x1_0000 + 1;
        }
    }
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    sum as u16
}

/// Computes a checksum anew.
pub(crate) fn write_checksum(bytes: &mut [u8], check: &Check) {
    bytes[check.at..check.at + 2].fill(0);
    let sum = !naive_sum(&bytes[check.start..check.end], check.pseudo);
    let sum = if check.kind == Kind::Udp && sum == 0 { 0xFFFF } else { sum };
    bytes[check.at..check.at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Builds frames; reuses its memory from one to the next.
pub(crate) struct Generator {
    rng: Xoshiro256PlusPlus,
    pub(crate) guest: Mac,
    pub(crate) wire: Mac,
    /// Whether frames may mention the wire address.
    pub(crate) mention_wire: bool,
    pub(crate) frame: Frame,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut new = Self { rng, guest: [0; 6], wire: [0; 6], mention_wire: true, frame: Frame::default() };
        new.choose_addresses();
        new
    }

    /// A new pair of different station addresses, awkward ones more often than chance would have them.
    pub(crate) fn choose_addresses(&mut self) {
        loop {
            (self.guest, self.wire) = (self.station(), self.station());
            if self.below(8) == 0 {
                // The same words in another order: checksums stay as they are.
                let [a, b, c, d, e, f] = self.guest;
                self.wire = [a, b, e, f, c, d];
            }
            if self.guest != self.wire {
                return;
            }
        }
    }

    fn station(&mut self) -> Mac {
        match self.below(6) {
            0 => [0x02, 0, 0, 0, 0, self.byte()],
            1 => [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, self.byte()],
            2 => [0x52, 0x54, 0, self.byte(), self.byte(), self.byte()],
            _ => {
                let [.., b, c, d, e, f] = self.rng.next_u64().to_be_bytes();
                [self.byte() & 0xFC | 2, b, c, d, e, f]
            }
        }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit as u64) as usize
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.rng.next_u64() as u8
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// An address for a field: mostly one that matters.
    fn any_address(&mut self) -> Mac {
        match self.below(8) {
            0..=3 => self.guest,
            4 if self.mention_wire => self.wire,
            4 | 5 => [0xFF; 6],
            6 => [0; 6],
            _ => self.station(),
        }
    }

    fn here(&self) -> usize {
        self.frame.bytes.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.frame.bytes.extend_from_slice(bytes);
    }

    fn put16(&mut self, value: usize) {
        self.put(&(value as u16).to_be_bytes());
    }

    /// A length field, to be filled in when the end is known.
    fn put_length(&mut self) -> usize {
        let at = self.here();
        self.frame.lengths.extend([at, at + 1]);
        self.put(&[0, 0]);
        at
    }

    fn set16(&mut self, at: usize, value: usize) {
        self.frame.bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
    }

    fn put_random(&mut self, count: usize) {
        for _ in 0..count {
            let byte = self.byte();
            self.put(&[byte]);
        }
    }

    /// `count` bytes that mention the addresses where no field is.
    fn put_decoys(&mut self, count: usize) {
        let end = self.here() + count;
        while self.here() + 6 <= end {
            match self.below(4) {
                0 => self.put_random(1),
                1 if self.mention_wire => self.put(&self.wire.clone()),
                _ => self.put(&self.guest.clone()),
            }
        }
        self.put_random(end - self.here());
    }

    /// A field with an address, recognised once `needs` bytes of the frame are there.
    fn put_address(&mut self, needs: usize) {
        let at = self.here();
        let mac = self.any_address();
        self.put(&mac);
        self.frame.places.push(Place { at, needs });
    }

    /// From now on the fields since the `first`th need at least the bytes up to here.
    fn need_all_since(&mut self, first: usize) {
        let end = self.here();
        for place in &mut self.frame.places[first..] {
            place.needs = place.needs.max(end);
        }
    }

    /// Builds a frame into `self.frame`.
    pub(crate) fn build(&mut self) -> &Frame {
        self.frame.bytes.clear();
        self.frame.places.clear();
        self.frame.lengths.clear();
        self.frame.check = None;
        self.frame.visible = usize::MAX;
        self.ethernet();
        if let Some(check) = self.frame.check {
            write_checksum(&mut self.frame.bytes, &check);
        }
        self.frame.visible = self.frame.visible.min(self.frame.bytes.len());
        &self.frame
    }

    /// Random bytes behind an Ethernet header of a known type.
    pub(crate) fn build_noise(&mut self, into: &mut Vec<u8>) {
        into.clear();
        let length = self.below(200);
        for _ in 0..length {
            into.push(self.byte());
        }
        let types =
            [0x0800u16, 0x86DD, 0x0806, 0x8035, 0x8137, 0x0842, 0x88CC, 0x8100, 0x88A8, 0x0040, 0x05DC];
        if let Some(field) = into.get_mut(12..14) {
            field.copy_from_slice(&types[self.below(types.len())].to_be_bytes());
        }
        for _ in 0..self.below(12) {
            let at = self.below(length + 1);
            if let Some(field) = into.get_mut(at..at + 6) {
                let guest = self.guest;
                field.copy_from_slice(&guest);
            }
        }
    }
}
