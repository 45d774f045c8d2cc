//! DHCPv6 messages, and DUIDs, which DHCPv4 borrows.
//!
//! Spec: RFC 8415 sections 8 and 9 (messages), 11 (DUIDs), 21.2, 21.3 and 21.10 (options).
//! Not emulated: addresses inside relay agents' own options (37, 79).

use super::{Malformed, Octets, address_mut, be16, byte};
use core::ops::Range;

/// Ports of client and server.
pub const PORTS: Range<u16> = 546..548;

/// Relay messages inside each other that are entered; RFC 3315 allowed 32, RFC 8415 allows 8.
const MAX_NESTING: usize = 32;

mod message {
    pub(super) const RELAY_FORWARD: u8 = 12;
    pub(super) const RELAY_REPLY: u8 = 13;
    /// Bytes before the options: type and transaction.
    pub(super) const CLIENT_HEADER: usize = 4;
    /// Bytes before the options: type, hop count, link address, peer address.
    pub(super) const RELAY_HEADER: usize = 34;
}

mod option {
    pub(super) const CLIENT: u16 = 1;
    pub(super) const SERVER: u16 = 2;
    pub(super) const RELAY_MESSAGE: u16 = 9;
}

/// Where the hardware address lies in a DUID made of an Ethernet address, with or without a time.
#[must_use]
pub fn duid_address(duid: &[u8]) -> Option<usize> {
    match duid {
        [0, 1, 0, 1, rest @ ..] if rest.len() == 10 => Some(8),
        [0, 3, 0, 1, rest @ ..] if rest.len() == 6 => Some(4),
        _ => None,
    }
}

/// A message with its fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// # Errors
    /// Refuses what is too short for its type's fixed part.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let b = bytes.as_ref();
        if b.is_empty() || b.len() < options_start(byte(b, 0)) { Err(Malformed) } else { Ok(Self(bytes)) }
    }

    /// The message type.
    pub fn message_type(&self) -> u8 {
        byte(self.0.as_ref(), 0)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Lends the addresses inside client and server DUIDs, those of relayed messages included.
    pub fn for_each_address(&mut self, mut visit: impl FnMut(usize, &mut Octets)) {
        let bytes = self.0.as_mut();
        // Where each of the messages that are open ends, the innermost last. A relayed message is entered by
        // walking on inside it; its options lie within those of the message around it.
        let mut ends = [0; MAX_NESTING + 1];
        let mut depth = 0;
        ends[0] = bytes.len();
        let mut at = options_start(byte(bytes, 0));
        loop {
            let end = ends[depth];
            let value = at + 4;
            let next = value + usize::from(be16(bytes, at + 2));
            if value > end || next > end {
                // The options of this message are over (or broken): go on after it.
                if depth == 0 {
                    break;
                }
                at = end;
                depth -= 1;
                continue;
            }
            match be16(bytes, at) {
                option::CLIENT | option::SERVER => {
                    if let Some(place) = duid_address(&bytes[value..next])
                        && let Some(octets) = address_mut(bytes, value + place)
                    {
                        visit(value + place, octets);
                    }
                }
                option::RELAY_MESSAGE if depth < MAX_NESTING && value < next => {
                    let start = value + options_start(byte(bytes, value));
                    if start <= next {
                        depth += 1;
                        ends[depth] = next;
                        at = start;
                        continue;
                    }
                }
                _ => {}
            }
            at = next;
        }
    }
}

/// Bytes of the fixed part of a message.
const fn options_start(message_type: u8) -> usize {
    match message_type {
        message::RELAY_FORWARD | message::RELAY_REPLY => message::RELAY_HEADER,
        _ => message::CLIENT_HEADER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const WITH_TIME: [u8; 14] = [0, 1, 0, 1, 8, 8, 8, 8, 2, 3, 4, 5, 6, 7];
    const LINK_LAYER: [u8; 10] = [0, 3, 0, 1, 2, 3, 4, 5, 6, 7];

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()
    }

    fn relay(inside: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0; 34];
        bytes[0] = 12;
        bytes.extend(option(9, inside));
        bytes
    }

    fn places(mut bytes: Vec<u8>) -> Vec<usize> {
        let mut places = Vec::new();
        Packet::new_checked(&mut bytes[..]).unwrap().for_each_address(|at, _| places.push(at));
        places
    }

    #[test]
    fn both_kinds_of_duid_in_both_options() {
        let solicit = [&[1, 0, 0, 1][..], &option(1, &WITH_TIME), &option(2, &LINK_LAYER)].concat();
        assert_eq!(places(solicit), [4 + 4 + 8, 22 + 4 + 4]);
        let other = [&[1, 0, 0, 1][..], &option(3, &WITH_TIME), &option(1, &[0, 4, 0, 1])].concat();
        assert_eq!(places(other), []);
    }

    #[test]
    fn duids_of_other_hardware_or_length_are_left_alone() {
        assert_eq!(duid_address(&WITH_TIME), Some(8));
        assert_eq!(duid_address(&LINK_LAYER), Some(4));
        assert_eq!(duid_address(&WITH_TIME[..13]), None);
        assert_eq!(duid_address(&[0, 3, 0, 6, 2, 3, 4, 5, 6, 7]), None);
        assert_eq!(duid_address(&[]), None);
    }

    #[test]
    fn relayed_messages_are_entered_and_left_again() {
        let inner = [&[1, 0, 0, 1][..], &option(1, &LINK_LAYER)].concat();
        let mut twice = relay(&relay(&inner));
        let length = twice.len();
        twice.extend(option(1, &WITH_TIME));
        assert_eq!(places(twice), [38 + 38 + 4 + 4 + 4, length + 4 + 8]);
    }

    #[test]
    fn a_broken_inner_message_does_not_hide_what_follows_it() {
        let mut bytes = relay(&[1, 0, 0, 1, 0, 1, 0xFF, 0xFF, 0]);
        let length = bytes.len();
        bytes.extend(option(2, &LINK_LAYER));
        assert_eq!(places(bytes), [length + 8]);
        let mut headless = relay(&[12, 0, 0]);
        let length = headless.len();
        headless.extend(option(2, &LINK_LAYER));
        assert_eq!(places(headless), [length + 8]);
    }

    #[test]
    fn nesting_is_bounded() {
        let inner = [&[1, 0, 0, 1][..], &option(1, &LINK_LAYER)].concat();
        let nested = |levels| (0..levels).fold(inner.clone(), |inside, _| relay(&inside));
        assert_eq!(places(nested(32)).len(), 1);
        assert_eq!(places(nested(33)).len(), 0);
        assert_eq!(places(nested(500)).len(), 0);
    }

    #[test]
    fn short_messages_are_refused() {
        assert!(Packet::new_checked(&[][..]).is_err());
        assert!(Packet::new_checked([1, 0, 0]).is_err());
        assert!(Packet::new_checked([12; 33]).is_err());
        assert_eq!(Packet::new_checked([12; 34]).unwrap().message_type(), 12);
    }
}
