//! Ethernet II and IEEE 802.3 frames without preamble and CRC, with up to two VLAN tags.
//!
//! Spec: IEEE 802.3 section 3 (frame), IEEE 802.1Q-2018 section 9 (tags), RFC 1042 (LLC and SNAP inside).
//! Not emulated: tags before a SNAP header's own EtherType, more than two tags, the old 9100 tag.

use super::{MacAddress, Malformed, Octets, address, address_mut, be16, llc};

/// Values of the type field.
pub mod ether_type {
    /// Wake-on-LAN.
    pub const WAKE_ON_LAN: u16 = 0x0842;
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// 802.1Q customer tag.
    pub const VLAN: u16 = 0x8100;
    /// Novell IPX.
    pub const IPX: u16 = 0x8137;
    /// IPv6.
    pub const IPV6: u16 = 0x86DD;
    /// 802.1ad service tag.
    pub const SERVICE_VLAN: u16 = 0x88A8;
    /// Link layer discovery.
    pub const LLDP: u16 = 0x88CC;
}

/// Bytes before the payload of an untagged frame.
pub const HEADER: usize = 14;
/// The greatest value of the type field that is a length.
pub const MAX_LENGTH: u16 = 1500;
const MAX_TAGS: usize = 2;

/// What a frame carries, seen through tags and LLC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// One of [`ether_type`], or another value that a peer uses.
    pub protocol: u16,
    /// Where the content starts in the frame.
    pub start: usize,
    /// Where it ends at most: an 802.3 length excludes the padding, a type does not.
    pub end: usize,
}

/// A frame of at least a header.
#[derive(Clone, Copy, Debug)]
pub struct Frame<T>(T);

impl<T: AsRef<[u8]>> Frame<T> {
    /// # Errors
    /// Refuses less than 14 bytes.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        if bytes.as_ref().len() < HEADER { Err(Malformed) } else { Ok(Self(bytes)) }
    }

    /// To whom.
    pub fn destination(&self) -> MacAddress {
        address(self.0.as_ref(), 0)
    }

    /// From whom.
    pub fn source(&self) -> MacAddress {
        address(self.0.as_ref(), 6)
    }

    /// The field after the addresses: a type, a tag's type, or a length up to [`MAX_LENGTH`].
    pub fn type_or_length(&self) -> u16 {
        be16(self.0.as_ref(), 12)
    }

    /// How many VLAN tags there are, at most two.
    pub fn tags(&self) -> usize {
        let bytes = self.0.as_ref();
        let mut tags = 0;
        while tags < MAX_TAGS
            && matches!(be16(bytes, 12 + 4 * tags), ether_type::VLAN | ether_type::SERVICE_VLAN)
        {
            tags += 1;
        }
        tags
    }

    /// What the frame carries; `None` when it is cut off before that, or its LLC header is none that we know.
    pub fn content(&self) -> Option<Content> {
        let bytes = self.0.as_ref();
        let start = HEADER + 4 * self.tags();
        let inside = bytes.get(start..)?;
        match be16(bytes, start - 2) {
            length @ 0..=MAX_LENGTH => {
                let inside = &inside[..inside.len().min(usize::from(length))];
                let (protocol, header) = llc::recognise(inside)?;
                Some(Content { protocol, start: start + header, end: start + inside.len() })
            }
            protocol => Some(Content { protocol, start, end: bytes.len() }),
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Frame<T> {
    /// Lends the destination and the source address, with their offsets.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        for at in [0, 6] {
            if let Some(octets) = address_mut(self.0.as_mut(), at) {
                visit(at, octets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn frame(after_addresses: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        bytes.extend_from_slice(after_addresses);
        bytes
    }

    fn content(after_addresses: &[u8]) -> Option<(u16, usize, usize)> {
        let bytes = frame(after_addresses);
        let content = Frame::new_checked(&bytes[..]).ok()?.content()?;
        Some((content.protocol, content.start, content.end))
    }

    #[test]
    fn addresses_and_type() {
        let bytes = frame(&[0x08, 0x06]);
        let frame = Frame::new_checked(&bytes[..]).unwrap();
        assert_eq!(frame.destination(), MacAddress([1, 2, 3, 4, 5, 6]));
        assert_eq!(frame.source(), MacAddress([7, 8, 9, 10, 11, 12]));
        assert_eq!(frame.type_or_length(), ether_type::ARP);
        assert!(Frame::new_checked(&bytes[..13]).is_err());
    }

    #[test]
    fn up_to_two_tags_are_looked_through() {
        assert_eq!(content(&[0x08, 0]), Some((0x0800, 14, 14)));
        assert_eq!(content(&[0x81, 0, 0, 5, 0x08, 0, 9]), Some((0x0800, 18, 19)));
        assert_eq!(content(&[0x88, 0xA8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xDD]), Some((0x86DD, 22, 22)));
        let three = [0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x08, 0];
        assert_eq!(content(&three), Some((0x8100, 22, 26)));
    }

    #[test]
    fn a_frame_cut_inside_its_tags_has_no_content() {
        for cut in 2..6 {
            assert_eq!(content(&[0x81, 0, 0, 5, 0x08, 0][..cut]), None, "{cut}");
        }
    }

    #[test]
    fn an_802_3_length_keeps_the_padding_out() {
        let snap = [0, 10, 0xAA, 0xAA, 3, 0, 0, 0, 0x08, 0, 0x45, 0, 0xEE, 0xEE];
        assert_eq!(content(&snap), Some((0x0800, 22, 24)));
        let tagged = [0x81, 0, 0, 5, 0, 9, 0xAA, 0xAA, 3, 0, 0, 0, 0x81, 0x37, 0xFF, 0xEE];
        assert_eq!(content(&tagged), Some((0x8137, 26, 27)));
        // A length between 1501 and 1535 is neither a length nor a type.
        assert_eq!(content(&[0x05, 0xDD, 0xFF, 0xFF]), Some((0x05DD, 14, 16)));
    }
}
