//! What follows an 802.3 length: LLC, SNAP, or Novell's raw IPX.
//!
//! Spec: IEEE 802.2 section 3, IEEE 802-2014 section 9 (SNAP), RFC 1042, IEEE 802.1H (OUI 00-00-F8).
//! Not emulated: LLC types 2 and 3, private SNAP protocols.

use super::ethernet::ether_type;

/// Bytes of an LLC header with an unnumbered-information control field.
pub const LLC_HEADER: usize = 3;
/// Bytes of LLC and SNAP header together.
pub const SNAP_HEADER: usize = 8;

/// Finds out which protocol the data of an 802.3 frame belongs to: its EtherType, and how many bytes of
/// header come before it.
#[must_use]
pub fn recognise(data: &[u8]) -> Option<(u16, usize)> {
    match data {
        // Novell's 802.3 has no LLC header: IPX starts at once, with its unused checksum.
        [0xFF, 0xFF, ..] => Some((ether_type::IPX, 0)),
        [0xE0, 0xE0, 0x03, ..] => Some((ether_type::IPX, LLC_HEADER)),
        [0xAA, 0xAA, 0x03, 0, 0, 0 | 0xF8, high, low, ..] => {
            Some((u16::from_be_bytes([*high, *low]), SNAP_HEADER))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_write_ipx_without_a_type() {
        assert_eq!(recognise(&[0xFF, 0xFF, 0, 30]), Some((0x8137, 0)));
        assert_eq!(recognise(&[0xE0, 0xE0, 3, 0xFF, 0xFF]), Some((0x8137, 3)));
        assert_eq!(recognise(&[0xAA, 0xAA, 3, 0, 0, 0, 0x81, 0x37, 0xFF]), Some((0x8137, 8)));
    }

    #[test]
    fn snap_gives_its_type_for_the_two_public_ouis_only() {
        assert_eq!(recognise(&[0xAA, 0xAA, 3, 0, 0, 0, 0x08, 0x06]), Some((0x0806, 8)));
        assert_eq!(recognise(&[0xAA, 0xAA, 3, 0, 0, 0xF8, 0x08, 0x06]), Some((0x0806, 8)));
        assert_eq!(recognise(&[0xAA, 0xAA, 3, 0, 0, 0x0C, 0x20, 0x00]), None);
        assert_eq!(recognise(&[0xAA, 0xAA, 3, 0, 0, 0, 0x08]), None);
    }

    #[test]
    fn spanning_tree_and_nothing_are_not_ours() {
        assert_eq!(recognise(&[0x42, 0x42, 3, 0, 0, 0, 0, 0]), None);
        assert_eq!(recognise(&[0xFF]), None);
        assert_eq!(recognise(&[]), None);
    }
}
