//! Gives a machine another MAC address on the wire than the one its guest believes in.
//!
//! A clone that was restored from a state image carries its original's address in the guest's memory: in
//! the driver, the ARP cache, the DHCP client. [`translate`] exchanges that *guest* address and the clone's
//! own *wire* address wherever a frame carries hardware addresses, in both directions, in place.
//!
//! Both addresses are exchanged, not only one replaced: when the original still runs on the same segment,
//! its clone sees it under the clone's own wire address, which nobody else on the inside uses, so the two
//! can talk; and translating back undoes every frame, whatever it mentions.
//!
//! Spec: the files of the protocols next to this one.
//! Not emulated: IP addresses (clones with a static address collide), IPv6 addresses made of the MAC or kept
//! by the guest, payloads of other protocols, TCP sessions. A payload is never searched blindly.

use super::checksum::Delta;
use super::ethernet::ether_type;
use super::{MacAddress, Octets, arp, between_mut, dhcp, dhcpv6, ethernet};
use super::{ipv4, ipv6, ipx, lldp, ndp, udp, wol};
use core::ops::Range;

/// Which way a frame travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the guest to the wire.
    Outbound,
    /// From the wire to the guest.
    Inbound,
}

/// The two addresses of one network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MacPair {
    /// What the guest believes in.
    pub guest: MacAddress,
    /// What the world sees.
    pub wire: MacAddress,
}

impl MacPair {
    /// Both sides see one address: nothing is translated.
    #[must_use]
    pub const fn same(mac: MacAddress) -> Self {
        Self { guest: mac, wire: mac }
    }

    /// Whether there is something to translate: two different addresses, both fit for a station.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.guest != self.wire && self.guest.is_unicast() && self.wire.is_unicast()
    }
}

/// UDP ports that magic packets are sent to.
const WAKE_PORTS: [u16; 2] = [7, 9];

/// Rewrites the hardware addresses in `frame` (without preamble and CRC), and returns how many there were to
/// rewrite.
///
/// Never reads or writes past the end, never touches a byte outside the addresses and the checksums over
/// them, and does nothing for frames under 14 bytes and for a pair that does not differ.
///
/// ```
/// use nomad86::net::{Direction, MacAddress, MacPair, translate};
///
/// let macs = MacPair { guest: MacAddress([0x52, 0x54, 0, 0, 0, 1]), wire: MacAddress([2, 9, 8, 7, 6, 5]) };
/// // An ARP request: who has 10.0.2.2?
/// let mut frame = [0; 60];
/// frame[..6].fill(0xFF);
/// frame[6..12].copy_from_slice(&macs.guest.0);
/// frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
/// frame[22..28].copy_from_slice(&macs.guest.0);
/// let before = frame;
///
/// // The Ethernet source and the sender's hardware address.
/// assert_eq!(translate(Direction::Outbound, &macs, &mut frame), 2);
/// assert_eq!((&frame[6..12], &frame[22..28]), (&macs.wire.0[..], &macs.wire.0[..]));
/// translate(Direction::Inbound, &macs, &mut frame);
/// assert_eq!(frame, before);
/// ```
pub fn translate(direction: Direction, macs: &MacPair, frame: &mut [u8]) -> u32 {
    if !macs.differs() {
        return 0;
    }
    let mut exchange = match direction {
        Direction::Outbound => Exchange::new(macs.guest, macs.wire),
        Direction::Inbound => Exchange::new(macs.wire, macs.guest),
    };
    exchange.frame(frame);
    exchange.changes
}

/// One frame's translation.
struct Exchange {
    /// The address that is most often looked for: the one of the side that the frame comes from.
    from: Octets,
    to: Octets,
    changes: u32,
}

impl Exchange {
    fn new(from: MacAddress, to: MacAddress) -> Self {
        Self { from: from.0, to: to.0, changes: 0 }
    }

    /// Rewrites one address, if it is one of the two.
    fn address(&mut self, octets: &mut Octets) -> bool {
        let new = if *octets == self.from {
            self.to
        } else if *octets == self.to {
            self.from
        } else {
            return false;
        };
        *octets = new;
        self.changes += 1;
        true
    }

    /// Rewrites one address at `offset` of checksummed bytes.
    fn summed(&mut self, offset: usize, octets: &mut Octets) -> Delta {
        let old = *octets;
        if self.address(octets) { Delta::replace(offset, &old, octets) } else { Delta::NONE }
    }

    fn frame(&mut self, bytes: &mut [u8]) {
        let Ok(mut frame) = ethernet::Frame::new_checked(&mut *bytes) else { return };
        frame.for_each_address(|_, octets| {
            self.address(octets);
        });
        let Some(content) = frame.content() else { return };
        let inside = between_mut(bytes, content.start, content.end);
        match content.protocol {
            ether_type::IPV4 => self.ipv4(inside),
            ether_type::IPV6 => self.ipv6(inside),
            ether_type::ARP | ether_type::RARP => {
                if let Ok(mut packet) = arp::Packet::new_checked(inside) {
                    packet.for_each_address(|_, octets| {
                        self.address(octets);
                    });
                }
            }
            ether_type::IPX => self.ipx(inside),
            ether_type::WAKE_ON_LAN => {
                if let Ok(mut packet) = wol::Packet::new_checked(inside) {
                    packet.for_each_address(|_, octets| {
                        self.address(octets);
                    });
                }
            }
            ether_type::LLDP => {
                if let Ok(mut packet) = lldp::Packet::new_checked(inside) {
                    packet.for_each_address(|_, octets| {
                        self.address(octets);
                    });
                }
            }
            _ => {}
        }
    }

    fn ipv4(&mut self, bytes: &mut [u8]) {
        let Ok(packet) = ipv4::Packet::new_checked(&*bytes) else { return };
        if packet.fragment_offset() == 0 && packet.protocol() == ipv4::UDP {
            let Range { start, end } = packet.payload_range();
            self.udp(between_mut(bytes, start, end), dhcp::PORTS, |payload, visit| {
                if let Ok(mut message) = dhcp::Packet::new_checked(payload) {
                    message.for_each_address(visit);
                }
            });
        }
    }

    fn ipv6(&mut self, bytes: &mut [u8]) {
        let Ok(packet) = ipv6::Packet::new_checked(&*bytes) else { return };
        let Some((protocol, Range { start, end })) = packet.upper_layer() else { return };
        let inside = between_mut(bytes, start, end);
        match protocol {
            ipv6::UDP => self.udp(inside, dhcpv6::PORTS, |payload, visit| {
                if let Ok(mut message) = dhcpv6::Packet::new_checked(payload) {
                    message.for_each_address(visit);
                }
            }),
            ipv6::ICMPV6 => {
                let Ok(mut message) = ndp::Packet::new_checked(inside) else { return };
                let mut delta = Delta::NONE;
                message.for_each_address(|at, octets| delta = delta.and(self.summed(at, octets)));
                message.update_checksum(delta);
            }
            _ => {}
        }
    }

    /// A datagram: `configuration` lends the addresses of a DHCP message on `ports`, DHCP's of the IP version.
    fn udp(
        &mut self,
        bytes: &mut [u8],
        ports: Range<u16>,
        configuration: impl FnOnce(&mut [u8], &mut dyn FnMut(usize, &mut Octets)),
    ) {
        let Ok(mut packet) = udp::Packet::new_checked(bytes) else { return };
        let mut delta = Delta::NONE;
        // The payload starts 8 bytes behind the first checksummed byte: its offsets are as odd or even.
        let mut visit = |at: usize, octets: &mut Octets| delta = delta.and(self.summed(at, octets));
        if packet.uses(ports) {
            configuration(packet.payload_mut(), &mut visit);
        } else if WAKE_PORTS.contains(&packet.destination_port())
            && let Ok(mut magic) = wol::Packet::new_checked(packet.payload_mut())
        {
            magic.for_each_address(visit);
        }
        packet.update_checksum(delta);
    }

    fn ipx(&mut self, bytes: &mut [u8]) {
        let Ok(mut packet) = ipx::Packet::new_checked(bytes) else { return };
        let mut delta = Delta::NONE;
        packet.for_each_address(|at, octets| delta = delta.and(self.summed(at, octets)));
        packet.update_checksum(delta);
    }
}
