//! Wake-on-LAN magic packets: six bytes FF and sixteen times the address.
//!
//! Spec: AMD publication 20213, "Magic Packet Technology"; EtherType 0842, and UDP ports 7 and 9 by custom.
//! Not emulated: magic packets that start elsewhere than at the beginning of the payload (it is never
//! searched).

use super::{MacAddress, Malformed, Octets, address, address_mut};

const SYNC: [u8; 6] = [0xFF; 6];
const COPIES: usize = 16;
/// Bytes of synchronisation and address copies; a password may follow.
pub const LENGTH: usize = 6 + 6 * COPIES;

/// A whole magic packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses what does not start with the synchronisation and sixteen equal addresses.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let magic = bytes.as_ref().get(..LENGTH).is_some_and(|b| {
            let (copies, _) = b[6..].as_chunks::<6>();
            b.starts_with(&SYNC) && copies.iter().all(|copy| copy == &copies[0])
        });
        if magic { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// Who is to wake up.
    pub fn target(&self) -> MacAddress {
        address(self.0.as_ref(), 6)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the sixteen copies.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        for at in (6..LENGTH).step_by(6) {
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

    fn magic() -> Vec<u8> {
        [&[0xFF; 6][..], &[2, 0, 0, 0, 0, 7].repeat(16), &[1, 2, 3, 4]].concat()
    }

    #[test]
    fn sixteen_copies_after_the_synchronisation() {
        let mut bytes = magic();
        let mut packet = Packet::new_checked(&mut bytes[..]).unwrap();
        assert_eq!(packet.target(), MacAddress([2, 0, 0, 0, 0, 7]));
        let mut places = Vec::new();
        packet.for_each_address(|at, _| places.push(at));
        assert_eq!((places.len(), places[0], places[15]), (16, 6, 96));
    }

    #[test]
    fn anything_less_is_not_magic() {
        assert!(Packet::new_checked(&magic()[..LENGTH]).is_ok());
        assert!(Packet::new_checked(&magic()[..LENGTH - 1]).is_err());
        for at in 0..LENGTH {
            let mut bytes = magic();
            bytes[at] ^= 1;
            assert!(Packet::new_checked(&bytes[..]).is_err(), "byte {at}");
        }
    }
}
