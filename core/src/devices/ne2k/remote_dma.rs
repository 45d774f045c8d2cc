//! Remote DMA: the guest moves bytes between the data port and the card's memory.
//!
//! Spec: DP8390D data sheet, section 9 ("remote DMA"); NE2000's data port.
//!
//! Not emulated: byte order select (DCR bit 1), which only big-endian hosts set.

use super::chip::Chip;
use super::regs::{cr, dcr, isr};
use crate::board::Width;

impl Chip {
    /// A remote DMA command was written to CR.
    pub(super) fn start_remote_dma(&mut self) {
        match self.cr & cr::RD {
            cr::RD_READ | cr::RD_WRITE if self.rbcr == 0 => self.isr |= isr::RDC,
            cr::RD_SEND_PACKET if self.dcr & dcr::ARM != 0 => {
                // The packet behind BNRY: its header gives its length and the next packet's page.
                let header = u16::from(self.bnry) << 8;
                let byte = |n| self.memory.read(header.wrapping_add(n));
                (self.remote_next, self.rbcr) = (byte(1), u16::from_le_bytes([byte(2), byte(3)]));
                self.rsar = header;
                if self.rbcr == 0 {
                    self.end_remote_dma();
                }
            }
            _ => {}
        }
    }

    fn end_remote_dma(&mut self) {
        self.isr |= isr::RDC;
        if self.cr & cr::RD == cr::RD_SEND_PACKET {
            self.set_bnry(self.remote_next);
        }
    }

    /// Bytes that an access of `width` moves at most: 8-bit transfers move one, whatever the access
    /// (a double word apart, which the PCI chip always takes whole).
    const fn transfer(&self, width: Width) -> u16 {
        match width {
            Width::Byte => 1,
            Width::Word if self.dcr & dcr::WTS == 0 => 1,
            Width::Word => 2,
            Width::Dword => 4,
        }
    }

    /// Address of the next transfer of `size` bytes: wider ones than a byte are of whole words.
    const fn transfer_address(&self, size: u16) -> u16 {
        if size == 1 { self.rsar } else { self.rsar & !1 }
    }

    /// Goes on by `size` bytes, from PSTOP to PSTART and from FFFF to 0.
    fn advance(&mut self, size: u16) {
        let next = self.rsar.wrapping_add(size);
        let [page, low] = next.to_be_bytes();
        let entered = page != (self.rsar >> 8) as u8;
        self.rsar = if entered && page == self.pstop { u16::from_be_bytes([self.pstart, low]) } else { next };
        self.rbcr = self.rbcr.saturating_sub(size);
        if self.rbcr == 0 {
            self.end_remote_dma();
        }
    }

    /// A read of the data port; all ones where there is nothing to read.
    pub(super) fn read_data(&mut self, width: Width) -> u32 {
        let reading = matches!(self.cr & cr::RD, cr::RD_READ)
            || self.cr & cr::RD == cr::RD_SEND_PACKET && self.dcr & dcr::ARM != 0;
        if !reading || self.rbcr == 0 {
            return width.ones();
        }
        let size = self.transfer(width);
        let at = self.transfer_address(size);
        let mut value = width.ones();
        for n in 0..size.min(self.rbcr) {
            let byte = u32::from(self.memory.read(at.wrapping_add(n)));
            value = value & !(0xFF << (8 * n)) | byte << (8 * n);
        }
        self.advance(size);
        value
    }

    /// A write to the data port; bytes beyond the count are lost.
    pub(super) fn write_data(&mut self, width: Width, value: u32) {
        if self.cr & cr::RD != cr::RD_WRITE || self.rbcr == 0 {
            return;
        }
        let size = self.transfer(width);
        let at = self.transfer_address(size);
        for n in 0..size.min(self.rbcr) {
            self.memory.write(at.wrapping_add(n), (value >> (8 * n)) as u8);
        }
        self.advance(size);
    }
}
