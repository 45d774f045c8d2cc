//! Putting fragmented datagrams together: few at a time, each of 64 KiB at most, none for long.

use super::packet::{Fragment, Packet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Datagrams that are put together at a time.
const DATAGRAMS: usize = 8;
/// Pieces of one datagram.
const PIECES: usize = 64;
const LONGEST: usize = 65_535;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Reassembly {
    datagrams: Vec<Datagram>,
}

#[derive(Debug)]
struct Datagram {
    key: (IpAddr, IpAddr, u8, u32),
    since: Instant,
    bytes: Vec<u8>,
    /// Which bytes have come: start and end, in no order, never overlapping.
    pieces: Vec<(usize, usize)>,
    total: Option<usize>,
}

impl Reassembly {
    /// Adds a fragment; gives the datagram's payload when it is whole.
    pub(super) fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, now: Instant) -> Option<Vec<u8>> {
        self.datagrams.retain(|datagram| now.saturating_duration_since(datagram.since) < PATIENCE);
        let key = (packet.source, packet.destination, packet.protocol, fragment.id);
        let index = match self.datagrams.iter().position(|datagram| datagram.key == key) {
            Some(index) => index,
            None => {
                if self.datagrams.len() == DATAGRAMS {
                    self.datagrams.remove(0);
                }
                let datagram =
                    Datagram { key, since: now, bytes: Vec::new(), pieces: Vec::new(), total: None };
                self.datagrams.push(datagram);
                self.datagrams.len() - 1
            }
        };
        match self.datagrams[index].add(fragment, packet.payload) {
            Some(true) => Some(self.datagrams.swap_remove(index).bytes),
            Some(false) => None,
            None => {
                self.datagrams.swap_remove(index);
                None
            }
        }
    }
}

impl Datagram {
    /// Whether it is whole now; `None` when it makes no sense.
    fn add(&mut self, fragment: Fragment, payload: &[u8]) -> Option<bool> {
        let (start, end) = (fragment.offset, fragment.offset + payload.len());
        let odd = fragment.more && !payload.len().is_multiple_of(8);
        if odd || end > LONGEST || payload.is_empty() || self.pieces.len() == PIECES {
            return None;
        }
        if self.pieces.contains(&(start, end)) {
            return Some(false); // the same once more
        }
        // Overlapping pieces are an attack, not an accident (RFC 5722).
        if self.pieces.iter().any(|&(s, e)| start < e && s < end) {
            return None;
        }
        if !fragment.more && self.total.replace(end).is_some_and(|total| total != end) {
            return None;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(payload);
        self.pieces.push((start, end));
        let Some(total) = self.total else { return Some(false) };
        if self.bytes.len() > total {
            return None;
        }
        Some(self.pieces.iter().map(|(start, end)| end - start).sum::<usize>() == total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Packet<'_> {
        let address = IpAddr::from([10, 0, 2, 15]);
        Packet {
            source: address,
            destination: address,
            protocol: 17,
            hops: 64,
            fragment: None,
            payload,
            whole: payload,
        }
    }

    fn feed(pieces: &[(usize, bool, &[u8])]) -> Option<Vec<u8>> {
        let mut reassembly = Reassembly::default();
        let mut whole = None;
        for &(offset, more, payload) in pieces {
            assert!(whole.is_none());
            whole = reassembly.add(&packet(payload), Fragment { id: 7, offset, more }, Instant::now());
        }
        whole
    }

    #[test]
    fn pieces_make_a_datagram_in_any_order_and_twice() {
        let (a, b, c) = (&[1; 16][..], &[2; 8][..], &[3; 5][..]);
        let whole = [a, b, c].concat();
        assert_eq!(feed(&[(0, true, a), (16, true, b), (24, false, c)]).unwrap(), whole);
        assert_eq!(feed(&[(24, false, c), (16, true, b), (16, true, b), (0, true, a)]).unwrap(), whole);
    }

    #[test]
    fn gaps_overlaps_odd_lengths_and_giants_make_none() {
        assert_eq!(feed(&[(0, true, &[1; 16]), (24, false, &[3; 5])]), None);
        assert_eq!(feed(&[(0, true, &[1; 16]), (8, true, &[3; 16]), (16, false, &[1; 8])]), None);
        assert_eq!(feed(&[(0, true, &[1; 15]), (15, false, &[1; 8])]), None);
        assert_eq!(feed(&[(65_528, false, &[1; 9])]), None);
        assert_eq!(feed(&[(0, true, &[])]), None);
    }

    #[test]
    fn memory_stays_bounded_however_many_datagrams_are_begun() {
        let mut reassembly = Reassembly::default();
        for id in 0..10_000 {
            let fragment = Fragment { id, offset: 65_000, more: true };
            assert!(reassembly.add(&packet(&[0; 8]), fragment, Instant::now()).is_none());
        }
        assert_eq!(reassembly.datagrams.len(), DATAGRAMS);
    }
}
