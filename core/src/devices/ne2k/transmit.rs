//! The transmitter and its loopback modes.
//!
//! Spec: DP8390D data sheet, sections 8 ("packet transmission") and 12 ("loopback diagnostics"), National
//! application note AN-937 (results of loopback tests); RTL8029AS data sheet, TSR.
//!
//! Not emulated: the time that a frame takes, collisions and deferral; loopback packets assembled in every
//! second byte, as 16-bit systems have to. The chip sends what it is told to; here a length that is no
//! Ethernet frame's is an aborted transmission, so that nobody else has to deal with it.

use super::chip::{Chip, Wire};
use super::regs::{isr, rsr, tcr, tsr};
use super::ring::{MAX_FRAME, TAG, longest};
use crate::net::MacAddress;
use crate::net::crc32::frame_check_sequence;
use crate::net::ethernet::HEADER;

/// Bytes of a frame's CRC.
const CRC: usize = 4;

impl Chip {
    /// TXP was written while the chip is running.
    pub(super) fn transmit(&mut self, wire: &mut impl Wire) {
        let start = u16::from(self.tpsr) << 8;
        let length = usize::from(self.tbcr);
        self.clda = start.wrapping_add(self.tbcr);
        if self.tcr & tcr::LB != 0 {
            self.loop_back(start, length);
            return;
        }
        let own_crc = if self.tcr & tcr::CRC != 0 { CRC } else { 0 };
        // A copy: what waits to be sent elsewhere must not change when the guest writes the next frame.
        let mut room = [0; MAX_FRAME + TAG + CRC];
        let copied = match (self.memory.ram(start, length), room.get_mut(..length)) {
            (Some(bytes), Some(room)) => {
                room.copy_from_slice(bytes);
                Some(room)
            }
            _ => None,
        };
        let frame = copied.and_then(|bytes| bytes.split_at_mut_checked(length.checked_sub(own_crc)?));
        match frame {
            Some((frame, crc)) if frame.len() >= HEADER && frame.len() <= longest(frame) => {
                self.tsr = tsr::PTX;
                self.isr |= isr::PTX;
                // With a wrong CRC of the driver's own no station takes the frame.
                if crc.is_empty() || *crc == frame_check_sequence(frame).to_le_bytes() {
                    wire.transmit(frame);
                }
            }
            _ => {
                self.tsr = tsr::ABT;
                self.isr |= isr::TXE;
            }
        }
    }

    /// The packet goes to the receiver and no further. It is not stored: its last bytes and its length stay
    /// in the FIFO.
    fn loop_back(&mut self, start: u16, length: usize) {
        let Some(packet) = self.memory.ram(start, length).filter(|packet| !packet.is_empty()) else {
            self.tsr = tsr::ABT;
            self.isr |= isr::TXE;
            return;
        };
        let own_crc = self.tcr & tcr::CRC != 0;
        let generated = frame_check_sequence(packet).to_le_bytes();
        let crc: &[u8] = if own_crc { &[] } else { &generated };
        let received = packet.iter().chain(crc);
        let count = ((length + crc.len()) as u16).to_le_bytes();
        for (at, &byte) in received.chain(&[count[0], count[1], count[1]]).enumerate() {
            self.fifo[at & 7] = byte;
        }
        // Transmitter and receiver share the CRC logic: what the one generates the other cannot check.
        let right = own_crc
            && packet
                .split_last_chunk::<CRC>()
                .is_some_and(|(data, crc)| *crc == frame_check_sequence(data).to_le_bytes());
        let destination = packet.first_chunk::<6>().copied().map(MacAddress);
        let ours = destination.is_some_and(|destination| self.recognises(destination));
        self.fifo_at = 0;
        self.rsr = if ours && !right { rsr::CRC } else { rsr::PRX };
        if ours && destination.is_some_and(MacAddress::is_multicast) {
            self.rsr |= rsr::PHY;
        }
        if ours && !right {
            self.isr |= isr::RXE;
        }
        // Inside the chip neither carrier nor heartbeat is seen; inside the encoder no heartbeat.
        self.tsr = tsr::PTX
            | match self.tcr & tcr::LB {
                tcr::LB_CONTROLLER => tsr::CRS | tsr::CDH,
                tcr::LB_ENDEC => tsr::CDH,
                _ => 0,
            };
        self.isr |= isr::PTX;
    }
}
