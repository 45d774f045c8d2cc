//! The translator as a network card holds it: the card's two addresses and what went through.
//!
//! The wire address lives here and not in the card's registers: a guest that reloads its driver or writes
//! the registers does not lose it.

use super::ethernet::Frame;
use super::{Direction, MacAddress, MacPair, translate};

/// How many frames went through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames from the guest.
    pub outbound: u64,
    /// Frames from the guest in which an address was rewritten.
    pub outbound_rewritten: u64,
    /// Frames from the wire, reflected ones not counted.
    pub inbound: u64,
    /// Frames from the wire in which an address was rewritten.
    pub inbound_rewritten: u64,
    /// Frames of our own that came back from the wire and were dropped.
    pub reflected: u64,
}

/// A network card's translator.
///
/// ```
/// use nomad86::net::{MacAddress, MacPair, Translator};
///
/// let guest = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// let wire = MacAddress([0x02, 0xAB, 0xCD, 0xEF, 1, 2]);
/// let mut translator = Translator::new(MacPair { guest, wire });
/// let mut frame = [0; 60];
/// frame[..6].fill(0xFF);
/// frame[6..12].copy_from_slice(&guest.0);
/// translator.outbound(&mut frame);
/// assert_eq!(frame[6..12], wire.0);
/// // A relay that sends it back is not heard.
/// assert!(!translator.inbound(&mut frame));
/// assert_eq!(translator.counters().reflected, 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Translator {
    macs: MacPair,
    counters: Counters,
}

impl Translator {
    /// A translator between the two addresses; equal ones let everything pass as it is.
    #[must_use]
    pub const fn new(macs: MacPair) -> Self {
        Self {
            macs,
            counters: Counters {
                outbound: 0,
                outbound_rewritten: 0,
                inbound: 0,
                inbound_rewritten: 0,
                reflected: 0,
            },
        }
    }

    /// The two addresses.
    #[must_use]
    pub const fn macs(&self) -> MacPair {
        self.macs
    }

    /// Gives the machine another address on the wire.
    pub const fn set_wire(&mut self, wire: MacAddress) {
        self.macs.wire = wire;
    }

    /// What went through.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Makes a frame of the guest's ready for the wire.
    pub fn outbound(&mut self, frame: &mut [u8]) {
        self.counters.outbound += 1;
        if translate(Direction::Outbound, &self.macs, frame) != 0 {
            self.counters.outbound_rewritten += 1;
        }
    }

    /// Makes a frame from the wire ready for the guest; `false` when it is to be dropped, because it is one
    /// of our own that a relay sent back.
    #[must_use]
    pub fn inbound(&mut self, frame: &mut [u8]) -> bool {
        let reflected = self.macs.wire.is_unicast()
            && Frame::new_checked(&*frame).is_ok_and(|frame| frame.source() == self.macs.wire);
        if reflected {
            self.counters.reflected += 1;
            return false;
        }
        self.counters.inbound += 1;
        if translate(Direction::Inbound, &self.macs, frame) != 0 {
            self.counters.inbound_rewritten += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    const WIRE: MacAddress = MacAddress([0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23]);
    const PEER: MacAddress = MacAddress([0x02, 1, 1, 1, 1, 1]);

    fn frame(destination: MacAddress, source: MacAddress) -> [u8; 60] {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&destination.0);
        frame[6..12].copy_from_slice(&source.0);
        frame
    }

    #[test]
    fn frames_that_a_relay_reflects_are_dropped_before_translation() {
        let mut translator = Translator::new(MacPair { guest: GUEST, wire: WIRE });
        let mut sent = frame(MacAddress::BROADCAST, GUEST);
        translator.outbound(&mut sent);
        assert_eq!(sent, frame(MacAddress::BROADCAST, WIRE));
        let as_sent = sent;
        assert!(!translator.inbound(&mut sent));
        assert_eq!(sent, as_sent);
        let mut reply = frame(WIRE, PEER);
        assert!(translator.inbound(&mut reply));
        assert_eq!(reply, frame(GUEST, PEER));
        let expected =
            Counters { outbound: 1, outbound_rewritten: 1, inbound: 1, inbound_rewritten: 1, reflected: 1 };
        assert_eq!(*translator.counters(), expected);
    }

    #[test]
    fn without_translation_own_frames_are_dropped_all_the_same() {
        let mut translator = Translator::new(MacPair::same(GUEST));
        assert!(!translator.inbound(&mut frame(MacAddress::BROADCAST, GUEST)));
        assert!(translator.inbound(&mut frame(MacAddress::BROADCAST, PEER)));
        assert_eq!(translator.counters().inbound_rewritten, 0);
    }

    #[test]
    fn a_clone_and_its_running_original_can_talk() {
        let mut clone = Translator::new(MacPair { guest: GUEST, wire: WIRE });
        let mut question = frame(MacAddress::BROADCAST, GUEST);
        assert!(clone.inbound(&mut question));
        assert_eq!(question, frame(MacAddress::BROADCAST, WIRE), "not from the clone guest's own address");
        let mut answer = frame(WIRE, GUEST);
        clone.outbound(&mut answer);
        assert_eq!(answer, frame(GUEST, WIRE));
    }

    #[test]
    fn a_later_generation_keeps_the_guest_address_and_takes_another_wire_address() {
        let mut translator = Translator::new(MacPair { guest: GUEST, wire: WIRE });
        translator.set_wire(PEER);
        let mut sent = frame(MacAddress::BROADCAST, GUEST);
        translator.outbound(&mut sent);
        assert_eq!(sent, frame(MacAddress::BROADCAST, PEER));
        assert_eq!(translator.macs(), MacPair { guest: GUEST, wire: PEER });
    }

    #[test]
    fn group_and_zero_addresses_are_never_exchanged() {
        for odd in [MacAddress::ZERO, MacAddress::BROADCAST, MacAddress([1, 0, 0, 0, 0, 0])] {
            for macs in [MacPair { guest: odd, wire: WIRE }, MacPair { guest: GUEST, wire: odd }] {
                let mut translator = Translator::new(macs);
                let mut sent = frame(odd, GUEST);
                translator.outbound(&mut sent);
                assert_eq!(sent, frame(odd, GUEST));
            }
        }
    }
}
