//! The card's memory as its DMA channels see it: address PROM, packet RAM, and a hole between them.
//!
//! Spec: NE2000 (16-bit): PROM at 0000, each byte twice, `W` in its last two places; RTL8029AS data sheet
//! section 6.2.2; 16 KiB of packet RAM at 4000.

use crate::archive::{Archive, Field};
use crate::net::MacAddress;
use alloc::boxed::Box;
use alloc::vec;

/// First address of packet RAM.
pub const RAM_START: u16 = 0x4000;
/// Bytes of packet RAM.
pub const RAM_SIZE: usize = 0x4000;
/// First page of packet RAM, and the page after its last.
pub const RAM_PAGES: core::ops::Range<u8> = 0x40..0x80;
const PROM_SIZE: usize = 32;

/// PROM and packet RAM.
pub struct CardMemory {
    prom: [u8; PROM_SIZE],
    /// [`RAM_SIZE`] bytes.
    ram: Box<[u8]>,
}

impl CardMemory {
    pub(super) fn new(mac: MacAddress) -> Self {
        let mut memory = Self { prom: [0; PROM_SIZE], ram: vec![0; RAM_SIZE].into() };
        memory.burn(mac);
        memory
    }

    /// The memory as it is after power was off, with the same PROM; takes the old one's place without
    /// another allocation.
    pub(super) fn power_cycle(&mut self) -> Self {
        let mut ram = core::mem::take(&mut self.ram);
        ram.fill(0);
        Self { prom: self.prom, ram }
    }

    /// Puts another address into the PROM.
    pub(super) fn burn(&mut self, mac: MacAddress) {
        self.prom = [0; PROM_SIZE];
        for (pair, octet) in self.prom.as_chunks_mut::<2>().0.iter_mut().zip(mac.0) {
            *pair = [octet; 2];
        }
        self.prom[28..].fill(b'W');
    }

    /// The address in the PROM.
    #[must_use]
    pub fn mac(&self) -> MacAddress {
        let mut mac = MacAddress::default();
        for (octet, pair) in mac.0.iter_mut().zip(self.prom.as_chunks::<2>().0) {
            *octet = pair[0];
        }
        mac
    }

    /// A byte; FF where nothing answers.
    #[must_use]
    pub fn read(&self, at: u16) -> u8 {
        let at = usize::from(at);
        if at < PROM_SIZE {
            self.prom[at]
        } else {
            self.ram.get(at.wrapping_sub(usize::from(RAM_START))).copied().unwrap_or(0xFF)
        }
    }

    /// Stores a byte; only RAM takes it.
    pub fn write(&mut self, at: u16, value: u8) {
        if let Some(place) = self.ram.get_mut(usize::from(at).wrapping_sub(usize::from(RAM_START))) {
            *place = value;
        }
    }

    /// `len` bytes of RAM at `at`; `None` when not all of them are RAM.
    pub(super) fn ram(&self, at: u16, len: usize) -> Option<&[u8]> {
        let start = usize::from(at).checked_sub(usize::from(RAM_START))?;
        self.ram.get(start..start.checked_add(len)?)
    }

    /// As [`Self::ram`], for change.
    pub(super) fn ram_mut(&mut self, at: u16, len: usize) -> Option<&mut [u8]> {
        let start = usize::from(at).checked_sub(usize::from(RAM_START))?;
        self.ram.get_mut(start..start.checked_add(len)?)
    }
}

impl Field for CardMemory {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.bytes(&mut self.prom);
        a.bytes(&mut self.ram);
    }
}
