//! Link layer discovery.
//!
//! Spec: IEEE 802.1AB-2016 sections 8.2 (format), 8.5.2 (chassis), 8.5.3 (port).
//! Not emulated: addresses inside management address and organisation-specific elements.

use super::{Malformed, Octets, address_mut, be16, byte};

mod element {
    pub(super) const END: u16 = 0;
    pub(super) const CHASSIS: u16 = 1;
    pub(super) const PORT: u16 = 2;
}

/// Subtypes that are a MAC address.
const CHASSIS_MAC: u8 = 4;
const PORT_MAC: u8 = 3;

/// A data unit that starts with its chassis element.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses what does not start with a chassis element.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        if be16(bytes.as_ref(), 0) >> 9 == element::CHASSIS { Ok(Self(bytes)) } else { Err(Malformed) }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the addresses that name the chassis and the port.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        let bytes = self.0.as_mut();
        let mut at = 0;
        while at + 2 <= bytes.len() {
            let (kind, length) = (be16(bytes, at) >> 9, usize::from(be16(bytes, at) & 0x1FF));
            let (value, next) = (at + 2, at + 2 + length);
            if kind == element::END || next > bytes.len() {
                break;
            }
            let named_by_mac = matches!(
                (kind, byte(bytes, value)),
                (element::CHASSIS, CHASSIS_MAC) | (element::PORT, PORT_MAC)
            );
            if named_by_mac
                && length == 7
                && let Some(octets) = address_mut(bytes, value + 1)
            {
                visit(value + 1, octets);
            }
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn places(bytes: &[u8]) -> Vec<usize> {
        let mut bytes = bytes.to_vec();
        let mut places = Vec::new();
        Packet::new_checked(&mut bytes[..]).unwrap().for_each_address(|at, _| places.push(at));
        places
    }

    const UNIT: [u8; 24] = [2, 7, 4, 2, 0, 0, 0, 0, 1, 4, 7, 3, 2, 0, 0, 0, 0, 1, 6, 2, 0, 120, 0, 0];

    #[test]
    fn chassis_and_port_named_by_address() {
        assert_eq!(places(&UNIT), [3, 12]);
    }

    #[test]
    fn other_subtypes_and_lengths_are_left_alone() {
        let mut by_name = UNIT;
        (by_name[2], by_name[11]) = (7, 5);
        assert_eq!(places(&by_name), []);
        assert_eq!(places(&[2, 8, 4, 2, 0, 0, 0, 0, 1, 9, 0, 0]), []);
        assert_eq!(places(&[2, 7, 4, 2, 0, 0, 0, 0]), []);
        assert_eq!(places(&[2, 1, 7, 0, 0, 4, 7, 3, 2, 0, 0, 0, 0, 1]), []);
        assert!(Packet::new_checked([4, 7]).is_err());
        assert!(Packet::new_checked([]).is_err());
    }
}
