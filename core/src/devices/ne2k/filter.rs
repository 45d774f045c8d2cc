//! Which frames on the wire are for this card.
//!
//! Spec: DP8390D data sheet, sections 7 ("packet reception") and 10 (RCR, PAR, MAR).

use super::chip::Chip;
use super::regs::rcr;
use crate::net::MacAddress;
use crate::net::crc32::multicast_hash;

impl Chip {
    /// Whether RCR, PAR and MAR let a frame to `destination` in.
    ///
    /// Each kind of address has its own switch: AB for broadcast, AM and the hash for groups, PRO for other
    /// stations. A group address in PAR matches nothing: the chip compares PAR with station addresses only.
    pub(super) fn recognises(&self, destination: MacAddress) -> bool {
        if destination.is_broadcast() {
            self.rcr & rcr::AB != 0
        } else if destination.is_multicast() {
            let hash = multicast_hash(destination);
            self.rcr & rcr::AM != 0 && self.mar[usize::from(hash >> 3 & 7)] >> (hash & 7) & 1 != 0
        } else {
            self.rcr & rcr::PRO != 0 || destination.0 == self.par
        }
    }
}
