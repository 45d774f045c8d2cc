//! IPv4 headers.
//!
//! Spec: RFC 791.

use super::{Malformed, be16, byte, from};
use core::ops::Range;

/// Protocol number of UDP.
pub const UDP: u8 = 17;
const MIN_HEADER: usize = 20;

/// A packet whose header, options included, is there.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses another version, a header length under 20 or beyond the packet, and a total length under
    /// the header's.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let packet = Self(bytes);
        let b = packet.0.as_ref();
        let header = packet.header_length();
        let fits = b.len() >= MIN_HEADER
            && byte(b, 0) >> 4 == 4
            && header >= MIN_HEADER
            && header <= b.len()
            && header <= packet.total_length();
        if fits { Ok(packet) } else { Err(Malformed) }
    }

    /// Bytes of the header with its options.
    pub fn header_length(&self) -> usize {
        usize::from(byte(self.0.as_ref(), 0) & 0x0F) * 4
    }

    /// Bytes of the packet as the sender says.
    pub fn total_length(&self) -> usize {
        usize::from(be16(self.0.as_ref(), 2))
    }

    /// Where this fragment belongs in the datagram, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(be16(self.0.as_ref(), 6) & 0x1FFF) * 8
    }

    /// The protocol of the payload.
    pub fn protocol(&self) -> u8 {
        byte(self.0.as_ref(), 9)
    }

    /// Where the payload lies: up to the total length or the end of the frame, whichever comes first.
    pub fn payload_range(&self) -> Range<usize> {
        self.header_length()..self.total_length().min(self.0.as_ref().len())
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        let range = self.payload_range();
        from(&self.0.as_ref()[..range.end], range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = 0x46;
        bytes[3] = 28;
        bytes[9] = UDP;
        bytes
    }

    #[test]
    fn options_are_skipped_and_padding_is_not_payload() {
        let packet = Packet::new_checked(packet()).unwrap();
        assert_eq!(packet.protocol(), UDP);
        assert_eq!(packet.payload_range(), 24..28);
        assert_eq!(packet.payload().len(), 4);
    }

    #[test]
    fn a_truncated_payload_ends_with_the_frame() {
        assert_eq!(Packet::new_checked(&packet()[..26]).unwrap().payload_range(), 24..26);
        assert!(Packet::new_checked(&packet()[..23]).is_err());
        assert!(Packet::new_checked(&[][..]).is_err());
    }

    #[test]
    fn header_lengths_0_to_4_and_beyond_the_packet_are_refused() {
        for ihl in 0..16 {
            let mut bytes = packet();
            bytes[0] = 0x40 | ihl;
            assert_eq!(Packet::new_checked(bytes).is_ok(), (5..=7).contains(&ihl), "{ihl}");
        }
        let mut bytes = packet();
        bytes[3] = 23;
        assert!(Packet::new_checked(bytes).is_err());
        bytes = packet();
        bytes[0] = 0x66;
        assert!(Packet::new_checked(bytes).is_err());
    }

    #[test]
    fn fragment_offsets_leave_the_flags_out() {
        let mut bytes = packet();
        bytes[6] = 0x60;
        assert_eq!(Packet::new_checked(bytes).unwrap().fragment_offset(), 0);
        bytes[7] = 3;
        assert_eq!(Packet::new_checked(bytes).unwrap().fragment_offset(), 24);
    }
}
