//! The Internet checksum, whole and incremental.
//!
//! Spec: RFC 1071 (definition), RFC 1624 (update after a change), RFC 768 and RFC 8200 section 8.1 (UDP's
//! special zero).

use super::{Octets, be16};

/// The one's complement sum of `bytes`, taken as big-endian words (an odd last byte is a high byte).
///
/// ```
/// use nomad86::net::checksum::sum;
///
/// // The header of an IPv4 packet, its own checksum included, sums to all ones.
/// let header = [0x45, 0, 0, 0x54, 0, 0, 0, 0, 64, 1, 0xF6, 0xA5, 192, 0, 2, 1, 192, 0, 2, 2];
/// assert_eq!(sum(&header), 0xFFFF);
/// ```
#[must_use]
pub fn sum(bytes: &[u8]) -> u16 {
    let mut total = 0u64;
    let (words, tail) = bytes.as_chunks::<2>();
    for word in words {
        total += u64::from(u16::from_be_bytes(*word));
    }
    if let [last] = tail {
        total += u64::from(*last) << 8;
    }
    fold(total)
}

/// Adds the carries of a sum of words back into its low 16 bits.
const fn fold(mut total: u64) -> u16 {
    while total > 0xFFFF {
        total = (total & 0xFFFF) + (total >> 16);
    }
    total as u16
}

/// What happened to the one's complement sum of a packet while some of its bytes were replaced.
///
/// RFC 1624, equation 3: `HC' = ~(~HC + ~m + m')`; the `~m + m'` of all changes gather here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delta(u16);

impl Delta {
    /// Nothing happened.
    pub const NONE: Self = Self(0);

    /// The address `old` at `offset` of the checksummed bytes became `new`.
    #[must_use]
    pub fn replace(offset: usize, old: &Octets, new: &Octets) -> Self {
        let mut total = 0u64;
        for at in [0, 2, 4] {
            total += u64::from(!be16(old, at)) + u64::from(be16(new, at));
        }
        let words = fold(total);
        // At an odd offset each byte of the change lies in the other half of its word: by RFC 1071
        // section 2 (B) the sum is the same with its bytes exchanged.
        Self(if offset & 1 == 0 { words } else { words.swap_bytes() })
    }

    /// Both changes.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(fold(self.0 as u64 + other.0 as u64))
    }

    /// The new value of a checksum field that was right before, in `0..=0xFFFE`.
    ///
    /// Of the two spellings of zero only 0 comes out, as from a sum over the whole packet; the field is
    /// returned as it was if nothing happened.
    #[must_use]
    pub const fn update(self, checksum: u16) -> u16 {
        if self.0 == 0 {
            return checksum;
        }
        match !fold(!checksum as u64 + self.0 as u64) {
            0xFFFF => 0,
            updated => updated,
        }
    }

    /// The new value of a UDP checksum: 0 says that there is none and stays, a computed 0 becomes `FFFF`.
    #[must_use]
    pub const fn update_udp(self, checksum: u16) -> u16 {
        if checksum == 0 || self.0 == 0 {
            return checksum;
        }
        match self.update(checksum) {
            0 => 0xFFFF,
            updated => updated,
        }
    }

    /// The new value of an IPX checksum: `FFFF` says that there is none and stays.
    #[must_use]
    pub const fn update_ipx(self, checksum: u16) -> u16 {
        if checksum == 0xFFFF { checksum } else { self.update(checksum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn the_sum_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]), 0xDDF2);
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[0x12]), 0x1200);
        assert_eq!(sum(&[0xFF; 65_535]), 0xFF00);
    }

    #[test]
    fn an_update_equals_a_new_sum_at_every_offset() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut packet = [0u8; 41];
        for _ in 0..2000 {
            rng.fill_bytes(&mut packet);
            for at in 0..=packet.len() - 6 {
                let before = !sum(&packet);
                let old: [u8; 6] = packet[at..at + 6].try_into().unwrap();
                let mut new = old;
                rng.fill_bytes(&mut new[..(at % 7).min(6)]);
                packet[at..at + 6].copy_from_slice(&new);
                assert_eq!(Delta::replace(at, &old, &new).update(before), !sum(&packet), "at {at}");
            }
        }
    }

    #[test]
    fn deltas_add_up_to_the_way_back_for_every_value_of_the_field() {
        let (a, b) = ([1, 2, 3, 4, 5, 6], [0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x55]);
        for offset in [0, 1] {
            let there = Delta::replace(offset, &a, &b).and(Delta::replace(offset, &a, &b));
            let back = Delta::replace(offset, &b, &a).and(Delta::replace(offset, &b, &a));
            for field in 0..=0xFFFF {
                assert_eq!(back.update_udp(there.update_udp(field)), field);
                assert_eq!(back.update_ipx(there.update_ipx(field)), field);
                // The checksum FFFF is zero misspelt: it comes back as the 0 that senders compute.
                let canonical = if field == 0xFFFF { 0 } else { field };
                assert_eq!(back.update(there.update(field)), canonical);
                assert!(field == 0 || there.update_udp(field) != 0);
            }
        }
    }

    #[test]
    fn equal_addresses_leave_the_field_alone() {
        let same = Delta::replace(3, &[9; 6], &[9; 6]);
        for field in 0..=0xFFFE {
            assert_eq!(same.update(field), field);
        }
    }
}
