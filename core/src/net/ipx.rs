//! IPX headers.
//!
//! Spec: Novell, "IPX Router Specification" (107-000029-001), chapter 2; NetWare's optional checksum is the
//! complement of a one's complement sum, with `FFFF` for none.
//! Not emulated: node addresses inside RIP, SAP and NCP payloads.

use super::{MacAddress, Malformed, Octets, address, address_mut, be16, checksum, set_be16};

mod field {
    pub(super) const CHECKSUM: usize = 0;
    pub(super) const LENGTH: usize = 2;
    pub(super) const DESTINATION_NODE: usize = 10;
    pub(super) const SOURCE_NODE: usize = 22;
    pub(super) const END: usize = 30;
}

/// A packet whose header is there.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses less than 30 bytes, in bytes or by the length field.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        let fits = b.len() >= field::END && usize::from(be16(b, field::LENGTH)) >= field::END;
        if fits { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// The checksum; `FFFF` says that there is none.
    pub fn checksum(&self) -> u16 {
        be16(self.0.as_ref(), field::CHECKSUM)
    }

    /// The node that the packet is for.
    pub fn destination_node(&self) -> MacAddress {
        address(self.0.as_ref(), field::DESTINATION_NODE)
    }

    /// The node that the packet is from.
    pub fn source_node(&self) -> MacAddress {
        address(self.0.as_ref(), field::SOURCE_NODE)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the destination and the source node.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        for at in [field::DESTINATION_NODE, field::SOURCE_NODE] {
            if let Some(octets) = address_mut(self.0.as_mut(), at) {
                visit(at, octets);
            }
        }
    }

    /// Accounts in the checksum for bytes that were replaced.
    pub fn update_checksum(&mut self, delta: checksum::Delta) {
        let updated = delta.update_ipx(self.checksum());
        set_be16(self.0.as_mut(), field::CHECKSUM, updated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lie_behind_their_networks() {
        let mut bytes = [0u8; 30];
        bytes[..4].copy_from_slice(&[0xFF, 0xFF, 0, 30]);
        bytes[10..16].copy_from_slice(&[0xFF; 6]);
        bytes[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        let packet = Packet::new_checked(bytes).unwrap();
        assert_eq!(packet.checksum(), 0xFFFF);
        assert_eq!(packet.destination_node(), MacAddress::BROADCAST);
        assert_eq!(packet.source_node(), MacAddress([2, 0, 0, 0, 0, 9]));
    }

    #[test]
    fn short_packets_and_lengths_are_refused() {
        let mut bytes = [0u8; 30];
        bytes[3] = 29;
        assert!(Packet::new_checked(bytes).is_err());
        bytes[3] = 30;
        assert!(Packet::new_checked(&bytes[..29]).is_err());
        assert!(Packet::new_checked(bytes).is_ok());
    }
}
