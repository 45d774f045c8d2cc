//! Packets: allocation-free views of Ethernet protocols and the MAC address translator.
//!
//! Each protocol is one file of one shape: a wrapper around a byte slice, a `new_checked` that looks at
//! every length once, accessors that cannot fail after it, and, where the protocol carries hardware
//! addresses, `for_each_address`, which lends each of them for change. On top of them stands
//! [`mod@translate`], which gives a machine that was restored from an image another address on the wire than
//! the one its guest believes in.
//!
//! Nothing here allocates, panics, or touches the rest of the crate.

pub mod arp;
pub mod checksum;
pub mod crc32;
pub mod dhcp;
pub mod dhcpv6;
pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod ipx;
pub mod llc;
pub mod lldp;
pub mod mac;
pub mod ndp;
pub mod policy;
pub mod translate;
pub mod translator;
pub mod udp;
pub mod wol;

pub use mac::{MacAddress, ParseMacError};
pub use policy::{MacPolicy, UnknownMacPolicy};
pub use translate::{Direction, MacPair, translate};
pub use translator::{Counters, Translator};

use core::fmt;

/// A packet is too short, or its length fields contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed packet")
    }
}

impl core::error::Error for Malformed {}

/// The bytes of a hardware address inside a packet.
type Octets = [u8; 6];

/// The big-endian word at `at`; 0 past the end, which `new_checked` of each protocol rules out.
fn be16(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..) {
        Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

/// The big-endian double word at `at`; 0 past the end.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at.saturating_add(2)))
}

/// The byte at `at`; 0 past the end.
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The address at `at`; all zeros past the end.
fn address(bytes: &[u8], at: usize) -> MacAddress {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk::<6>());
    MacAddress(octets.copied().unwrap_or_default())
}

/// The address at `at`, for change; `None` when not all of it is there.
fn address_mut(bytes: &mut [u8], at: usize) -> Option<&mut Octets> {
    bytes.get_mut(at..)?.first_chunk_mut::<6>()
}

/// Stores a big-endian word at `at`, if there is room.
fn set_be16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *place = value.to_be_bytes();
    }
}

/// The part of `bytes` from `at` on; empty past the end.
fn from(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// The part of `bytes` from `start` up to `end`, cut at the end of `bytes`.
fn between_mut(bytes: &mut [u8], start: usize, end: usize) -> &mut [u8] {
    let end = end.min(bytes.len());
    bytes.get_mut(start..end).unwrap_or_default()
}
