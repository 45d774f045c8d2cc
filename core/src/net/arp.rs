//! ARP, reverse ARP and inverse ARP for IPv4 over Ethernet.
//!
//! Spec: RFC 826, RFC 903, RFC 2390 (all one format).

use super::{MacAddress, Malformed, Octets, address, address_mut, be16, byte};

mod field {
    pub(super) const HARDWARE: usize = 0;
    pub(super) const PROTOCOL: usize = 2;
    pub(super) const HARDWARE_LENGTH: usize = 4;
    pub(super) const PROTOCOL_LENGTH: usize = 5;
    pub(super) const OPERATION: usize = 6;
    pub(super) const SENDER: usize = 8;
    pub(super) const TARGET: usize = 18;
    pub(super) const END: usize = 28;
}

/// An ARP packet with Ethernet and IPv4 addresses.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses what is too short, and other hardware or protocol types.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        let fits = b.len() >= field::END
            && be16(b, field::HARDWARE) == 1
            && be16(b, field::PROTOCOL) == 0x0800
            && byte(b, field::HARDWARE_LENGTH) == 6
            && byte(b, field::PROTOCOL_LENGTH) == 4;
        if fits { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// 1 request, 2 reply, 3 and 4 reverse, 8 and 9 inverse.
    pub fn operation(&self) -> u16 {
        be16(self.0.as_ref(), field::OPERATION)
    }

    /// The sender's hardware address.
    pub fn sender(&self) -> MacAddress {
        address(self.0.as_ref(), field::SENDER)
    }

    /// The target's hardware address.
    pub fn target(&self) -> MacAddress {
        address(self.0.as_ref(), field::TARGET)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the sender's and the target's hardware address, whatever the operation.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        for at in [field::SENDER, field::TARGET] {
            if let Some(octets) = address_mut(self.0.as_mut(), at) {
                visit(at, octets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 28] =
        [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2];

    #[test]
    fn both_hardware_addresses_are_found() {
        let packet = Packet::new_checked(REQUEST).unwrap();
        assert_eq!(packet.operation(), 1);
        assert_eq!(packet.sender(), MacAddress([2, 0, 0, 0, 0, 1]));
        assert_eq!(packet.target(), MacAddress([2, 0, 0, 0, 0, 2]));
    }

    #[test]
    fn every_length_and_type_must_fit() {
        assert!(Packet::new_checked(&REQUEST[..27]).is_err());
        for at in 0..6 {
            let mut other = REQUEST;
            other[at] ^= 2;
            assert!(Packet::new_checked(other).is_err(), "byte {at}");
        }
    }
}
