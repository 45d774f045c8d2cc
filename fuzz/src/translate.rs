//! The MAC address translator, both ways: what comes back is what went, nothing grows, sums that were right
//! stay right.

use crate::input::Input;
use nomad86::net::{Direction, MacAddress, MacPair, translate};
use nomad86::net::{arp, dhcp, dhcpv6, ethernet, ipv4, ipx, wol};
use smoltcp::wire::{
    ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    Ipv6Packet, UdpPacket,
};

const GUEST: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const WIRE: MacAddress = MacAddress([0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23]);

/// Runs an input: a byte of options and a frame, in which marker bytes become the two addresses.
///
/// # Panics
/// When the translator breaks a promise.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte().unwrap_or(0);
    let direction = if options & 1 == 0 { Direction::Outbound } else { Direction::Inbound };
    let back = if options & 1 == 0 { Direction::Inbound } else { Direction::Outbound };
    let pair = MacPair { guest: GUEST, wire: WIRE };
    let before = input.rest().to_vec();
    read(&before);
    let mut frame = before.clone();
    let changes = translate(direction, &pair, &mut frame);
    if changes == 0 {
        assert_eq!(frame, before, "a frame without the addresses passes as it is");
    }
    let valid = sums(&before);
    if valid.is_some() {
        assert_eq!(sums(&frame), valid, "sums that were right stay right");
    }
    translate(back, &pair, &mut frame);
    let same = frame == before || only_sums_differ(&frame, &before);
    assert!(same, "back again it is as it was");
    let mut alike = before.clone();
    assert_eq!(translate(direction, &MacPair::same(GUEST), &mut alike), 0);
    assert_eq!(alike, before);
}

/// What readers of packets make of any bytes: the same as another library's, where that has one.
fn read(frame: &[u8]) {
    let Ok(ours) = ethernet::Frame::new_checked(frame) else { return };
    let theirs = EthernetFrame::new_unchecked(frame);
    assert_eq!(EthernetAddress(ours.destination().0), theirs.dst_addr());
    assert_eq!(EthernetAddress(ours.source().0), theirs.src_addr());
    assert_eq!(ours.type_or_length(), u16::from(theirs.ethertype()));
    let rest = &frame[14..];
    if let (Ok(ours), Ok(theirs)) = (arp::Packet::new_checked(rest), ArpPacket::new_checked(rest)) {
        assert_eq!(ours.operation(), u16::from(theirs.operation()));
        assert_eq!(ours.sender().0, theirs.source_hardware_addr()[..6]);
        assert_eq!(ours.target().0, theirs.target_hardware_addr()[..6]);
    }
    if let (Ok(ours), Ok(theirs)) = (ipv4::Packet::new_checked(rest), Ipv4Packet::new_checked(rest)) {
        assert_eq!(ours.payload(), theirs.payload());
    }
    if let Ok(packet) = ipx::Packet::new_checked(rest) {
        assert_eq!(packet.destination_node().0, rest[10..16]);
        assert_eq!(packet.source_node().0, rest[22..28]);
    }
    if let Ok(packet) = dhcp::Packet::new_checked(rest) {
        assert_eq!(packet.operation(), rest[0]);
    }
    if let Ok(packet) = dhcpv6::Packet::new_checked(rest) {
        assert_eq!(packet.message_type(), rest[0]);
    }
    if let Ok(packet) = wol::Packet::new_checked(rest) {
        assert_eq!(packet.target().0, rest[6..12]);
    }
}

/// Whether an unfragmented UDP datagram or ICMPv6 message without extension headers has a right sum; none
/// where there is none to check.
fn sums(frame: &[u8]) -> Option<bool> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let (source, destination, protocol, payload): (IpAddress, IpAddress, _, &[u8]) = match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            if packet.more_frags() || packet.frag_offset() != 0 {
                return None;
            }
            (packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
            (packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload())
        }
        _ => return None,
    };
    if protocol != IpProtocol::Udp {
        return None;
    }
    let packet = UdpPacket::new_checked(payload).ok()?;
    let zero = packet.checksum() == 0;
    (!zero).then(|| packet.verify_checksum(&source, &destination))
}

/// A sum has two spellings of zero: FFFF may come back where 0 was computed, at one place of two bytes.
fn only_sums_differ(a: &[u8], b: &[u8]) -> bool {
    let different: Vec<usize> = (0..a.len()).filter(|n| a[*n] != b[*n]).collect();
    let (Some(first), Some(last)) = (different.first(), different.last()) else { return true };
    last - first < 2 && a.len() == b.len()
}
