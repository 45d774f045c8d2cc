//! UDP headers.
//!
//! Spec: RFC 768, RFC 6935 (zero checksums over IPv6).

use super::{Malformed, be16, checksum, set_be16};
use core::ops::Range;

/// Bytes of the header.
pub const HEADER: usize = 8;

mod field {
    pub(super) const SOURCE: usize = 0;
    pub(super) const DESTINATION: usize = 2;
    pub(super) const LENGTH: usize = 4;
    pub(super) const CHECKSUM: usize = 6;
}

/// A datagram, or the first fragment of one.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses less than a header, in bytes or by the length field.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        let fits = b.len() >= HEADER && usize::from(be16(b, field::LENGTH)) >= HEADER;
        if fits { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// The sender's port.
    pub fn source_port(&self) -> u16 {
        be16(self.0.as_ref(), field::SOURCE)
    }

    /// The receiver's port.
    pub fn destination_port(&self) -> u16 {
        be16(self.0.as_ref(), field::DESTINATION)
    }

    /// The checksum; 0 says that there is none.
    pub fn checksum(&self) -> u16 {
        be16(self.0.as_ref(), field::CHECKSUM)
    }

    /// Whether one of the ports is in `ports`.
    pub fn uses(&self, ports: Range<u16>) -> bool {
        ports.contains(&self.source_port()) || ports.contains(&self.destination_port())
    }

    /// Where the payload lies: up to the length field or the end of the bytes, whichever comes first.
    pub fn payload_range(&self) -> Range<usize> {
        let bytes = self.0.as_ref();
        HEADER..bytes.len().min(usize::from(be16(bytes, field::LENGTH)))
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// The payload, for change.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = self.payload_range();
        super::between_mut(self.0.as_mut(), range.start, range.end)
    }

    /// Accounts in the checksum for bytes of the payload that were replaced.
    pub fn update_checksum(&mut self, delta: checksum::Delta) {
        let updated = delta.update_udp(self.checksum());
        set_be16(self.0.as_mut(), field::CHECKSUM, updated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_ends_at_the_shorter_of_both_lengths() {
        let mut bytes = [0, 68, 0, 67, 0, 10, 0x12, 0x34, 1, 2, 3, 4];
        let mut packet = Packet::new_checked(&mut bytes[..]).unwrap();
        assert_eq!((packet.source_port(), packet.destination_port()), (68, 67));
        assert_eq!(packet.checksum(), 0x1234);
        assert_eq!(packet.payload_mut(), [1, 2]);
        bytes[5] = 200;
        assert_eq!(Packet::new_checked(bytes).unwrap().payload_range(), 8..12);
    }

    #[test]
    fn lengths_under_a_header_are_refused() {
        for length in 0..8 {
            assert!(Packet::new_checked([0, 0, 0, 0, 0, length, 0, 0]).is_err());
        }
        assert!(Packet::new_checked([0, 0, 0, 0, 0, 8, 0]).is_err());
        assert_eq!(Packet::new_checked([0, 0, 0, 0, 0, 8, 0, 0]).unwrap().payload_range(), 8..8);
    }

    #[test]
    fn either_port_counts() {
        let packet = |source, destination| Packet([0, source, 0, destination, 0, 8, 0, 0]);
        assert!(packet(9, 67).uses(67..69) && packet(68, 9).uses(67..69));
        assert!(!packet(66, 69).uses(67..69));
    }
}
