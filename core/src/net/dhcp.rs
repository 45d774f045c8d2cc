//! BOOTP and DHCP messages.
//!
//! Spec: RFC 951, RFC 2131 section 2, RFC 2132 (options 0, 52, 61, 255), RFC 4361 section 6.1 (client
//! identifiers made of a DUID).
//! Not emulated: options split over several instances (RFC 3396), which nobody does with a client identifier;
//! addresses inside relay agent information (option 82) and machine identifiers (option 97).

use super::{MacAddress, Malformed, Octets, address, address_mut, be32, byte, dhcpv6};
use core::ops::Range;

/// Ports of server and client.
pub const PORTS: Range<u16> = 67..69;

mod field {
    use core::ops::Range;
    pub(super) const OPERATION: usize = 0;
    pub(super) const HARDWARE: usize = 1;
    pub(super) const HARDWARE_LENGTH: usize = 2;
    pub(super) const CLIENT: usize = 28;
    pub(super) const SERVER_NAME: Range<usize> = 44..108;
    pub(super) const FILE: Range<usize> = 108..236;
    pub(super) const COOKIE: usize = 236;
    pub(super) const OPTIONS: usize = 240;
}

mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const CLIENT_IDENTIFIER: u8 = 61;
    pub(super) const END: u8 = 255;
}

const COOKIE: u32 = 0x6382_5363;
/// Client identifier types: a hardware address of Ethernet, and RFC 4361's.
const TYPE_ETHERNET: u8 = 1;
const TYPE_DUID: u8 = 255;

/// A message that reaches at least over the client's hardware address.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses what is too short for `chaddr`, and operations other than request and reply.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        let fits = b.len() >= field::CLIENT + 6 && matches!(byte(b, field::OPERATION), 1 | 2);
        if fits { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// 1 request, 2 reply.
    pub fn operation(&self) -> u8 {
        byte(self.0.as_ref(), field::OPERATION)
    }

    /// `chaddr`, when the hardware is Ethernet.
    pub fn client(&self) -> Option<MacAddress> {
        let bytes = self.0.as_ref();
        let ethernet = byte(bytes, field::HARDWARE) == 1 && byte(bytes, field::HARDWARE_LENGTH) == 6;
        ethernet.then(|| address(bytes, field::CLIENT))
    }

    /// Whether DHCP's options follow (plain BOOTP has none).
    pub fn has_options(&self) -> bool {
        be32(self.0.as_ref(), field::COOKIE) == COOKIE
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends `chaddr` and the addresses inside client identifiers.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        if self.client().is_some()
            && let Some(octets) = address_mut(self.0.as_mut(), field::CLIENT)
        {
            visit(field::CLIENT, octets);
        }
        if !self.has_options() {
            return;
        }
        let bytes = self.0.as_mut();
        let overload = walk(bytes, field::OPTIONS..bytes.len(), &mut visit);
        // Option 52 inside these two fields would be another turn; it is not looked at there.
        if overload & 1 != 0 {
            walk(bytes, field::FILE, &mut visit);
        }
        if overload & 2 != 0 {
            walk(bytes, field::SERVER_NAME, &mut visit);
        }
    }
}

/// Walks over the options in `range`, lends the addresses, and returns the value of option 52.
fn walk(bytes: &mut [u8], range: Range<usize>, visit: &mut impl FnMut(usize, &mut Octets)) -> u8 {
    let mut overload = 0;
    let mut at = range.start;
    while at < range.end {
        let code = byte(bytes, at);
        match code {
            option::PAD => {
                at += 1;
                continue;
            }
            option::END => break,
            _ => {}
        }
        let value = at + 2;
        let end = value + usize::from(byte(bytes, at + 1));
        if value > range.end || end > range.end {
            break;
        }
        match code {
            option::OVERLOAD if end - value == 1 => overload = byte(bytes, value) & 3,
            option::CLIENT_IDENTIFIER => {
                if let Some(place) = identifier_address(&bytes[value..end])
                    && let Some(octets) = address_mut(bytes, value + place)
                {
                    visit(value + place, octets);
                }
            }
            _ => {}
        }
        at = end;
    }
    overload
}

/// Where the address lies in a client identifier, if it is made of one.
fn identifier_address(identifier: &[u8]) -> Option<usize> {
    match identifier {
        [TYPE_ETHERNET, rest @ ..] if rest.len() >= 6 => Some(1),
        // Type, four bytes that tell apart the client's interfaces, DUID.
        [TYPE_DUID, _, _, _, _, duid @ ..] => dhcpv6::duid_address(duid).map(|at| at + 5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const MAC: [u8; 6] = [2, 3, 4, 5, 6, 7];

    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0; 240];
        (bytes[0], bytes[1], bytes[2]) = (1, 1, 6);
        bytes[28..34].copy_from_slice(&MAC);
        bytes[236..].copy_from_slice(&COOKIE.to_be_bytes());
        bytes.extend_from_slice(options);
        bytes
    }

    fn places(mut bytes: Vec<u8>) -> Vec<usize> {
        let mut places = Vec::new();
        Packet::new_checked(&mut bytes[..]).unwrap().for_each_address(|at, _| places.push(at));
        places
    }

    fn identifier(value: &[u8]) -> Vec<u8> {
        [&[61, value.len() as u8], value].concat()
    }

    #[test]
    fn chaddr_counts_with_and_without_the_cookie() {
        assert_eq!(places(message(&[])), [28]);
        assert_eq!(places(message(&[])[..34].to_vec()), [28]);
        assert!(Packet::new_checked(&message(&[])[..33]).is_err());
        let mut bootp = message(&identifier(&[1, 2, 3, 4, 5, 6, 7]));
        bootp[236] = 0;
        assert_eq!(places(bootp), [28]);
    }

    #[test]
    fn chaddr_of_other_hardware_is_left_alone() {
        for (at, value) in [(1, 6), (2, 16)] {
            let mut other = message(&[]);
            other[at] = value;
            assert_eq!(places(other), []);
        }
        let mut neither = message(&[]);
        neither[0] = 3;
        assert!(Packet::new_checked(&neither[..]).is_err());
    }

    #[test]
    fn pads_have_no_length_and_the_end_ends() {
        let mac = identifier(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(places(message(&[&[0, 0, 53, 1, 1, 0][..], &mac, &[255]].concat())), [28, 249]);
        assert_eq!(places(message(&[&[255][..], &mac].concat())), [28]);
    }

    #[test]
    fn client_identifiers_of_type_1_and_of_rfc_4361() {
        assert_eq!(places(message(&identifier(&[1, 2, 3, 4, 5, 6]))), [28]);
        assert_eq!(places(message(&identifier(&[0, 2, 3, 4, 5, 6, 7]))), [28]);
        let link_layer = [255, 9, 9, 9, 9, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(places(message(&identifier(&link_layer))), [28, 242 + 9]);
        let with_time = [255, 9, 9, 9, 9, 0, 1, 0, 1, 8, 8, 8, 8, 2, 3, 4, 5, 6, 7];
        assert_eq!(places(message(&identifier(&with_time))), [28, 242 + 13]);
        let enterprise = [255, 9, 9, 9, 9, 0, 2, 0, 1, 8, 8, 8, 8, 2, 3, 4, 5, 6, 7];
        assert_eq!(places(message(&identifier(&enterprise))), [28]);
    }

    #[test]
    fn overloaded_fields_are_walked_only_when_option_52_says_so() {
        let mac = identifier(&[1, 2, 3, 4, 5, 6, 7]);
        for (overload, expected) in
            [(0, &[28][..]), (1, &[28, 111]), (2, &[28, 47]), (3, &[28, 111, 47]), (0xFC, &[28])]
        {
            let mut bytes = message(&[52, 1, overload, 255]);
            bytes[44..53].copy_from_slice(&mac);
            bytes[108..117].copy_from_slice(&mac);
            assert_eq!(places(bytes), expected, "{overload}");
        }
    }

    #[test]
    fn case_72_hostile_option_lengths_and_overload_loops_end_in_bounds() {
        for options in [
            &[61, 255][..],
            &[61],
            &[61, 7, 1, 2, 3, 4, 5, 6],
            &[53, 255, 61, 7, 1, 2, 3, 4, 5, 6, 7],
            &[52, 0, 61, 0],
            &[52, 2, 3, 3],
        ] {
            assert_eq!(places(message(options)), [28], "{options:?}");
        }
        // Each overloaded field claims an overload itself, and its last option claims bytes of the next.
        let mut loops = message(&[52, 1, 3]);
        for field in [field::SERVER_NAME, field::FILE] {
            loops[field.start..field.start + 3].copy_from_slice(&[52, 1, 3]);
            loops[field.end - 8..field.end].copy_from_slice(&[61, 7, 1, 2, 3, 4, 5, 6]);
            loops[field.end - 1] = 61;
        }
        assert_eq!(places(loops), [28]);
    }
}
