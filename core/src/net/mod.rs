//! Allocation-free packet parsing and the MAC address translator; imports nothing else of the crate.

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MacAddress(pub [u8; 6]);
