//! IP packets: reading them without trust, and the checksum that all their protocols share.
//!
//! Spec: RFC 791, RFC 8200, RFC 1071.
//! Not emulated: IPv4 options and IPv6 routing headers are skipped, not obeyed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol numbers.
pub(super) mod protocol {
    pub(in crate::net::nat) const ICMP: u8 = 1;
    pub(in crate::net::nat) const TCP: u8 = 6;
    pub(in crate::net::nat) const UDP: u8 = 17;
    pub(in crate::net::nat) const FRAGMENT: u8 = 44;
    pub(in crate::net::nat) const ICMPV6: u8 = 58;
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const DESTINATION: u8 = 60;
}

/// Extension headers that are followed before a packet is given up.
const EXTENSIONS: usize = 8;

/// Where a packet stands in a fragmented datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// In bytes.
    pub(super) offset: usize,
    pub(super) more: bool,
}

/// A packet whose lengths and header checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    /// Time to live, or hop limit.
    pub(super) hops: u8,
    pub(super) fragment: Option<Fragment>,
    pub(super) payload: &'a [u8],
    /// All of it, without padding behind it.
    pub(super) whole: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(super) fn ipv4(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; 20] = bytes.first_chunk()?;
        let header_len = usize::from(header[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let whole = bytes.get(..total)?;
        if header[0] >> 4 != 4 || header_len < 20 || checksum(&[whole.get(..header_len)?]) != 0 {
            return None;
        }
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let (offset, more) = (usize::from(flags & 0x1FFF) * 8, flags & 0x2000 != 0);
        let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
        Some(Self {
            source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
            destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
            protocol: header[9],
            hops: header[8],
            fragment: (offset != 0 || more).then_some(Fragment { id, offset, more }),
            payload: &whole[header_len..],
            whole,
        })
    }

    pub(super) fn ipv6(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; 40] = bytes.first_chunk()?;
        let whole = bytes.get(..40 + usize::from(u16::from_be_bytes([header[4], header[5]])))?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?)));
        let mut packet = Self {
            source: address(8)?,
            destination: address(24)?,
            protocol: header[6],
            hops: header[7],
            fragment: None,
            payload: &whole[40..],
            whole,
        };
        for _ in 0..EXTENSIONS {
            match packet.protocol {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                    let len = 8 + 8 * usize::from(*packet.payload.get(1)?);
                    packet.protocol = packet.payload[0];
                    packet.payload = packet.payload.get(len..)?;
                }
                protocol::FRAGMENT if packet.fragment.is_none() => {
                    let extension: &[u8; 8] = packet.payload.first_chunk()?;
                    let [next, _, high, low, id @ ..] = *extension;
                    let flags = u16::from_be_bytes([high, low]);
                    let (offset, more) = (usize::from(flags & !7), flags & 1 != 0);
                    packet.protocol = next;
                    packet.payload = &packet.payload[8..];
                    if offset != 0 || more {
                        packet.fragment = Some(Fragment { id: u32::from_be_bytes(id), offset, more });
                        // What follows the first fragment's header is not ours to read in later ones.
                        return Some(packet);
                    }
                }
                _ => return Some(packet),
            }
        }
        None
    }

    /// Whether nothing but the fixed header precedes the payload.
    pub(super) fn is_plain(&self) -> bool {
        self.whole.len() - self.payload.len() == if self.source.is_ipv4() { 20 } else { 40 }
    }

    /// Whether the transport checksum over the payload is right.
    pub(super) fn checksum_ok(&self) -> bool {
        transport_checksum(self.source, self.destination, self.protocol, self.payload) == 0
    }

    /// The ports at the front of the payload: source and destination.
    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        let [a, b, c, d] = *self.payload.first_chunk()?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }
}

/// The Internet checksum of all parts in a row; each but the last must have an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        let mut words = part.chunks_exact(4);
        for word in &mut words {
            sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        sum += match *words.remainder() {
            [a] => u64::from(u16::from_be_bytes([a, 0])),
            [a, b] => u64::from(u16::from_be_bytes([a, b])),
            [a, b, c] => u64::from(u16::from_be_bytes([a, b])) + u64::from(u16::from_be_bytes([c, 0])),
            _ => 0,
        };
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of TCP, UDP and ICMPv6 over a pseudo-header; without one for ICMP.
pub(super) fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> u16 {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    match (source, destination) {
        _ if protocol == protocol::ICMP => checksum(&[payload]),
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            checksum(&[&source.octets(), &destination.octets(), &[0, protocol, high, low], payload])
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let tail = [0, 0, high, low, 0, 0, 0, protocol];
            checksum(&[&source.octets(), &destination.octets(), &tail, payload])
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with its checksum.
    const HEADER: [u8; 20] = [
        0x45, 0x00, 0x00, 0x14, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0xc0, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
        0xa8, 0x00, 0xc7,
    ];

    #[test]
    fn a_header_with_its_checksum_sums_to_nothing_and_any_flipped_bit_is_seen() {
        assert_eq!(checksum(&[&HEADER]), 0);
        assert!(Packet::ipv4(&HEADER).is_some());
        for bit in 0..160 {
            let mut bad = HEADER;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Packet::ipv4(&bad).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn sums_do_not_depend_on_how_bytes_are_cut_into_even_parts() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1001).map(|n: u8| n.wrapping_mul(37)).collect();
        let slow = {
            let mut sum = 0u32;
            for pair in bytes.chunks(2) {
                sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            }
            while sum > 0xFFFF {
                sum = (sum & 0xFFFF) + (sum >> 16);
            }
            !(sum as u16)
        };
        for cut in (0..1001).step_by(2) {
            assert_eq!(checksum(&[&bytes[..cut], &bytes[cut..]]), slow);
        }
    }

    #[test]
    fn truncated_packets_and_endless_extension_headers_are_refused() {
        for len in 0..20 {
            assert!(Packet::ipv4(&HEADER[..len]).is_none());
        }
        let mut v6 = vec![0x60, 0, 0, 0, 0, 16, 0, 64];
        v6.extend([0xFE; 32]);
        v6.extend([60, 0, 0, 0, 0, 0, 0, 0]);
        v6.extend([17, 0, 0, 0, 0, 0, 0, 0]);
        let packet = Packet::ipv6(&v6).unwrap();
        assert_eq!((packet.protocol, packet.payload.len(), packet.is_plain()), (17, 0, false));
        for len in 0..v6.len() {
            assert!(Packet::ipv6(&v6[..len]).is_none());
        }
        let mut endless = vec![0x60, 0, 0, 0, 0, 160, 60, 64];
        endless.extend([0xFE; 32]);
        endless.extend([60, 0, 0, 0, 0, 0, 0, 0].repeat(20));
        assert!(Packet::ipv6(&endless).is_none());
    }
}
