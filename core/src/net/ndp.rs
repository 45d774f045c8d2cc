//! IPv6 neighbour discovery.
//!
//! Spec: RFC 4861 section 4 (messages), 4.6.1 (link-layer address options), RFC 4443 section 2.3 (checksum).

use super::{Malformed, Octets, address_mut, be16, byte, checksum, set_be16};

mod field {
    pub(super) const TYPE: usize = 0;
    pub(super) const CHECKSUM: usize = 2;
}

mod option {
    pub(super) const SOURCE: u8 = 1;
    pub(super) const TARGET: u8 = 2;
}

/// A message of types 133 to 137 with its fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses other ICMPv6 messages and what is too short for its type's fixed part.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let packet = Self(bytes);
        match packet.options_start() {
            Some(start) if start <= packet.0.as_ref().len() => Ok(packet),
            _ => Err(Malformed),
        }
    }

    /// The message type: 133 router solicitation, 134 router advertisement, 135 neighbour solicitation,
    /// 136 neighbour advertisement, 137 redirect.
    pub fn message_type(&self) -> u8 {
        byte(self.0.as_ref(), field::TYPE)
    }

    /// The ICMPv6 checksum.
    pub fn checksum(&self) -> u16 {
        be16(self.0.as_ref(), field::CHECKSUM)
    }

    fn options_start(&self) -> Option<usize> {
        match self.message_type() {
            133 => Some(8),
            134 => Some(16),
            135 | 136 => Some(24),
            137 => Some(40),
            _ => None,
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the addresses of source and target link-layer options.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        let Some(mut at) = self.options_start() else { return };
        let bytes = self.0.as_mut();
        while let Some([kind, length, ..]) = bytes.get(at..) {
            let (kind, units) = (*kind, usize::from(*length));
            if units == 0 {
                break;
            }
            if matches!(kind, option::SOURCE | option::TARGET)
                && units == 1
                && let Some(octets) = address_mut(bytes, at + 2)
            {
                visit(at + 2, octets);
            }
            at += 8 * units;
        }
    }

    /// Accounts in the checksum for bytes that were replaced.
    pub fn update_checksum(&mut self, delta: checksum::Delta) {
        let updated = delta.update(self.checksum());
        set_be16(self.0.as_mut(), field::CHECKSUM, updated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn places(kind: u8, fixed: usize, options: &[u8]) -> Vec<usize> {
        let mut bytes = std::vec![0; fixed];
        bytes[0] = kind;
        bytes.extend_from_slice(options);
        let mut places = Vec::new();
        Packet::new_checked(&mut bytes[..]).unwrap().for_each_address(|at, _| places.push(at - fixed));
        places
    }

    #[test]
    fn options_follow_the_fixed_part_of_each_message() {
        for (kind, fixed) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
            assert_eq!(places(kind, fixed, &[1, 1, 2, 0, 0, 0, 0, 1, 2, 1, 2, 0, 0, 0, 0, 2]), [2, 10]);
            assert!(Packet::new_checked(&std::vec![kind; fixed - 1][..]).is_err());
        }
        assert!(Packet::new_checked([128; 64]).is_err());
        assert!(Packet::new_checked([]).is_err());
    }

    #[test]
    fn other_options_are_stepped_over_and_a_zero_length_ends_the_walk() {
        let mtu_then_source =
            [5, 1, 0, 0, 0, 0, 5, 0xDC, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2];
        assert_eq!(places(134, 16, &[&mtu_then_source[..], &[0, 0, 0, 0, 1]].concat()), [26]);
        assert_eq!(places(135, 24, &[0, 0, 1, 1, 2, 0, 0, 0, 0, 1]), []);
        assert_eq!(places(135, 24, &[1, 0, 2, 0, 0, 0, 0, 1]), []);
    }

    #[test]
    fn long_addresses_and_cut_ones_are_left_alone() {
        assert_eq!(places(135, 24, &[1, 2, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), []);
        assert_eq!(places(135, 24, &[1, 1, 2, 0, 0, 0, 0]), []);
        assert_eq!(places(135, 24, &[1]), []);
    }
}
