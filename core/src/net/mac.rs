//! MAC-48 addresses: parsing, printing, the group and local bits, random ones.
//!
//! Spec: IEEE 802-2014 section 8 (group bit, local bit), section 8.1 (hexadecimal representation).

use core::fmt;
use core::str::FromStr;

/// A MAC address, first byte on the wire first.
///
/// ```
/// use nomad86::net::MacAddress;
///
/// let mac: MacAddress = "52:54:00:12:34:56".parse()?;
/// assert!(mac.is_unicast() && !mac.is_multicast());
/// assert_eq!(mac.to_string(), "52:54:00:12:34:56");
/// // One that no vendor has given to anybody.
/// assert!(MacAddress::from_random(0x1234_5678_9ABC_DEF0).is_local());
/// # Ok::<(), nomad86::net::ParseMacError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// `ff:ff:ff:ff:ff:ff`, everybody.
    pub const BROADCAST: Self = Self([0xFF; 6]);
    /// `00:00:00:00:00:00`, nobody.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the address names a group of stations (broadcast is one).
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether the address is the broadcast address.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        matches!(self.0, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    }

    /// Whether the address can be a station's own: neither a group nor all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Whether the address was chosen locally, not by a vendor.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// A locally administered unicast address from 46 of the bits of `random`.
    #[must_use]
    pub const fn from_random(random: u64) -> Self {
        let [a, b, c, d, e, f, _, _] = random.to_be_bytes();
        Self([a & 0xFC | 0x02, b, c, d, e, f])
    }

    /// A locally administered unicast address; the same seed of `rng` gives the same address.
    pub fn random(rng: &mut impl rand_xoshiro::rand_core::Rng) -> Self {
        Self::from_random(rng.next_u64())
    }
}

impl From<[u8; 6]> for MacAddress {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseMacError {
    /// There are more or fewer than twelve hexadecimal digits.
    Length {
        /// How many there are.
        digits: usize,
    },
    /// A character is neither a hexadecimal digit nor a separator.
    Character {
        /// The character.
        found: char,
        /// Its place, counted from 1.
        column: usize,
    },
    /// The separators are not all of one kind or not where they belong.
    Separators,
}

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { digits } => {
                write!(f, "a MAC address has 12 hexadecimal digits, this has {digits}")
            }
            Self::Character { found, column } => {
                write!(f, "{found:?} at column {column} does not belong in a MAC address")
            }
            Self::Separators => f.write_str("a MAC address is written as 02:00:5e:10:00:01"),
        }
    }
}

impl core::error::Error for ParseMacError {}

impl FromStr for MacAddress {
    type Err = ParseMacError;

    /// Reads `02:00:5e:10:00:01`, `02-00-5E-10-00-01`, `0200.5e10.0001` and `02005e100001`.
    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let (mut value, mut digits, mut separators) = (0u64, 0usize, 0usize);
        let mut kind = None;
        let mut well_placed = true;
        for (index, found) in text.chars().enumerate() {
            if let Some(digit) = found.to_digit(16) {
                value = value << 4 | u64::from(digit);
                digits += 1;
            } else {
                let group = match found {
                    ':' | '-' => 2,
                    '.' => 4,
                    _ => return Err(ParseMacError::Character { found, column: index + 1 }),
                };
                separators += 1;
                well_placed &= kind.is_none_or(|kind| kind == found) && digits == separators * group;
                kind = Some(found);
            }
        }
        if digits != 12 {
            return Err(ParseMacError::Length { digits });
        }
        let expected = match kind {
            None => 0,
            Some('.') => 2,
            Some(_) => 5,
        };
        if !well_placed || separators != expected {
            return Err(ParseMacError::Separators);
        }
        let [_, _, octets @ ..] = value.to_be_bytes();
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;
    use std::string::ToString;

    #[test]
    fn every_usual_spelling_is_read() {
        let mac = MacAddress([0x02, 0x00, 0x5E, 0x10, 0xAB, 0x01]);
        for text in ["02:00:5e:10:ab:01", "02-00-5E-10-AB-01", "0200.5e10.ab01", "02005E10ab01"] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        assert_eq!(mac.to_string(), "02:00:5e:10:ab:01");
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        use ParseMacError::{Character, Length, Separators};
        let error = |text: &str| text.parse::<MacAddress>().unwrap_err();
        assert_eq!(error(""), Length { digits: 0 });
        assert_eq!(error("02:00:5e:10:ab"), Length { digits: 10 });
        assert_eq!(error("02:00:5e:10:ab:01:02"), Length { digits: 14 });
        assert_eq!(error("02:00:5e:1g:ab:01"), Character { found: 'g', column: 11 });
        assert_eq!(error("02:00-5e:10:ab:01"), Separators);
        assert_eq!(error("0:200:5e:10:ab:01"), Separators);
        assert_eq!(error("02:00:5e:10:ab:01:"), Separators);
        assert_eq!(error(":02:00:5e:10:ab:01"), Separators);
        assert_eq!(error("02005e:10ab01"), Separators);
        assert_eq!(error("é2:00:5e:10:ab:01"), Character { found: 'é', column: 1 });
        assert_eq!(
            error("02:00:5e:1g:ab:01").to_string(),
            "'g' at column 11 does not belong in a MAC address"
        );
    }

    #[test]
    fn digits_without_end_are_counted_not_overflowed() {
        let text = "f".repeat(1000);
        assert_eq!(text.parse::<MacAddress>(), Err(ParseMacError::Length { digits: 1000 }));
    }

    #[test]
    fn group_local_and_unicast_bits() {
        assert!(MacAddress::BROADCAST.is_broadcast() && MacAddress::BROADCAST.is_multicast());
        assert!(!MacAddress::ZERO.is_unicast() && !MacAddress::ZERO.is_multicast());
        let ipv6_group = MacAddress([0x33, 0x33, 0, 0, 0, 1]);
        assert!(ipv6_group.is_multicast() && !ipv6_group.is_broadcast() && !ipv6_group.is_unicast());
        let realtek = MacAddress([0x00, 0xE0, 0x4C, 1, 2, 3]);
        assert!(realtek.is_unicast() && !realtek.is_local());
    }

    #[test]
    fn random_addresses_are_local_repeatable_and_use_all_their_bits() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(86);
        let (mut ones, mut zeros) = ([0u8; 6], [0xFFu8; 6]);
        for _ in 0..200 {
            let mac = MacAddress::random(&mut rng);
            assert!(mac.is_unicast() && mac.is_local(), "{mac}");
            for (i, octet) in mac.0.into_iter().enumerate() {
                ones[i] |= octet;
                zeros[i] &= octet;
            }
        }
        assert_eq!(ones, [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(zeros, [0x02, 0, 0, 0, 0, 0]);
        let again = |seed| MacAddress::random(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        assert_eq!(again(7), again(7));
        assert_ne!(again(7), again(8));
    }
}
