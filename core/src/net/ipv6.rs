//! IPv6 headers and the chain of extension headers.
//!
//! Spec: RFC 8200 sections 3 and 4, RFC 4302 section 2 (authentication header), RFC 6275 section 6.1,
//! RFC 7401, RFC 5533.
//! Not emulated: jumbograms (RFC 2675), which Ethernet cannot carry.

use super::{Malformed, be16, byte};
use core::ops::Range;

/// Next-header number of UDP.
pub const UDP: u8 = 17;
/// Next-header number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// Bytes of the fixed header.
pub const HEADER: usize = 40;
/// Extension headers that are walked over before giving up; RFC 8200 section 4.1 knows seven places.
const MAX_EXTENSIONS: usize = 8;

mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HOST_IDENTITY: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// A packet whose fixed header is there.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses less than 40 bytes and other versions.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        if b.len() >= HEADER && byte(b, 0) >> 4 == 6 { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// Bytes after the fixed header as the sender says.
    pub fn payload_length(&self) -> usize {
        usize::from(be16(self.0.as_ref(), 4))
    }

    /// What follows the fixed header.
    pub fn next_header(&self) -> u8 {
        byte(self.0.as_ref(), 6)
    }

    /// The protocol behind the extension headers and where it lies; `None` when they do not end within the
    /// packet or within eight, or the packet is a fragment other than the first.
    pub fn upper_layer(&self) -> Option<(u8, Range<usize>)> {
        let bytes = self.0.as_ref();
        let end = bytes.len().min(HEADER + self.payload_length());
        let bytes = bytes.get(..end)?;
        let (mut protocol, mut at) = (self.next_header(), HEADER);
        for _ in 0..=MAX_EXTENSIONS {
            let header = bytes.get(at..)?;
            let length = match protocol {
                extension::FRAGMENT if header.len() < 8 || be16(header, 2) & 0xFFF8 != 0 => return None,
                extension::FRAGMENT => 8,
                extension::AUTHENTICATION => 4 * (usize::from(*header.get(1)?) + 2),
                extension::HOP_BY_HOP
                | extension::ROUTING
                | extension::DESTINATION
                | extension::MOBILITY
                | extension::HOST_IDENTITY
                | extension::SHIM6 => 8 * (usize::from(*header.get(1)?) + 1),
                _ => return Some((protocol, at..end)),
            };
            protocol = *header.first()?;
            at += length;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0; HEADER];
        bytes[0] = 0x60;
        bytes[5] = payload.len() as u8;
        bytes[6] = next;
        bytes.extend_from_slice(payload);
        bytes
    }

    fn upper(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
        Packet::new_checked(bytes).unwrap().upper_layer()
    }

    #[test]
    fn without_extensions_the_payload_follows_at_once() {
        assert_eq!(upper(&packet(ICMPV6, &[1, 2, 3])), Some((58, 40..43)));
        let mut padded = packet(ICMPV6, &[1, 2, 3]);
        padded.push(0);
        assert_eq!(upper(&padded), Some((58, 40..43)));
        assert_eq!(upper(&padded[..41]), Some((58, 40..41)));
    }

    #[test]
    fn extension_headers_of_all_shapes_are_walked() {
        let mut chain = std::vec![0u8; 8 + 16 + 12 + 8 + 4];
        chain[0] = 60; // hop by hop, 8 bytes
        (chain[8], chain[9]) = (51, 1); // destination options, 16 bytes
        (chain[24], chain[25]) = (44, 1); // authentication, 12 bytes
        (chain[36], chain[39]) = (17, 1); // fragment, the first of several
        assert_eq!(upper(&packet(0, &chain)), Some((17, 84..88)));
        chain[39] = 9;
        assert_eq!(upper(&packet(0, &chain)), None);
    }

    #[test]
    fn chains_that_leave_the_packet_or_never_end_give_nothing() {
        assert_eq!(upper(&packet(0, &[58, 1, 0, 0, 0, 0, 0, 0])), None);
        assert_eq!(upper(&packet(0, &[58])), None);
        assert_eq!(upper(&packet(51, &[58, 0xFF])), None);
        assert_eq!(upper(&packet(44, &[58, 0, 0, 0])), None);
        assert_eq!(upper(&packet(0, &[0; 80])), None);
        assert_eq!(
            upper(&packet(60, &{
                let mut eight = [0u8; 64];
                for at in (0..56).step_by(8) {
                    eight[at] = 60;
                }
                eight[56] = 58;
                eight
            })),
            Some((58, 104..104))
        );
    }

    #[test]
    fn short_and_other_versions_are_refused() {
        assert!(Packet::new_checked(&packet(0, &[])[..39]).is_err());
        assert!(Packet::new_checked([0x45; 40]).is_err());
    }
}
