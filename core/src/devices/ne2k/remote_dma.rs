//! Remote DMA: the guest moves bytes between the data port and the card's memory.
//!
//! Spec: DP8390D data sheet, section 9 ("remote DMA"); NE2000's data port.
//!
//! Not emulated: byte order select (DCR bit 1), which only big-endian hosts set.

use super::chip::{Chip, is_data};
use super::prom::{RAM_SIZE, RAM_START};
use super::regs::{cr, dcr, isr};
use crate::board::Width;

/// First address behind packet RAM.
const RAM_END: u16 = RAM_START + RAM_SIZE as u16;

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

    /// Bytes that a write of `width` moves at most: 8-bit transfers move one, whatever the access
    /// (a double word apart, which the PCI chip always takes whole).
    const fn transfer(&self, width: Width) -> u16 {
        match width {
            Width::Byte => 1,
            Width::Word if self.dcr & dcr::WTS == 0 => 1,
            Width::Word => 2,
            Width::Dword => 4,
        }
    }

    /// Bytes that a read of `width` takes out of the memory. Under word transfers that is a whole word, whatever
    /// part of it the bus wants: Linux's ne2k-pci reads the doubled PROM bytes singly and counts on it.
    const fn read_transfer(&self, width: Width) -> u16 {
        match width {
            Width::Byte if self.dcr & dcr::WTS != 0 => 2,
            _ => self.transfer(width),
        }
    }

    const fn is_reading(&self) -> bool {
        match self.cr & cr::RD {
            cr::RD_READ => true,
            cr::RD_SEND_PACKET => self.dcr & dcr::ARM != 0,
            _ => false,
        }
    }

    const fn is_writing(&self) -> bool {
        self.cr & cr::RD == cr::RD_WRITE
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
        if !self.is_reading() || self.rbcr == 0 {
            return width.ones();
        }
        let size = self.read_transfer(width);
        let at = self.transfer_address(size);
        let mut value = width.ones();
        for n in 0..size.min(self.rbcr).min(width as u16) {
            let byte = u32::from(self.memory.read(at.wrapping_add(n)));
            value = value & !(0xFF << (8 * n)) | byte << (8 * n);
        }
        self.advance(size);
        value
    }

    /// A write to the data port; bytes beyond the count are lost.
    pub(super) fn write_data(&mut self, width: Width, value: u32) {
        if !self.is_writing() || self.rbcr == 0 {
            return;
        }
        let size = self.transfer(width);
        let at = self.transfer_address(size);
        for n in 0..size.min(self.rbcr) {
            self.memory.write(at.wrapping_add(n), (value >> (8 * n)) as u8);
        }
        self.advance(size);
    }

    /// Bytes of packet RAM that transfers of `size` bytes each may move in one piece, `len` at most: up to the end
    /// of the count, of the ring and of the memory.
    fn block(&self, size: u16, len: usize) -> Option<usize> {
        let stop = u16::from(self.pstop) << 8;
        let to_stop = if self.rsar < stop { stop - self.rsar } else { u16::MAX };
        let longest =
            len.min(RAM_SIZE).min(usize::from(self.rbcr.min(to_stop).min(RAM_END.saturating_sub(self.rsar))));
        let len = longest - longest % usize::from(size);
        (len != 0 && self.rsar.is_multiple_of(size.min(2))).then_some(len)
    }

    /// Many reads of the data port at once; how many bytes, 0 when they are better done one by one.
    pub(super) fn read_block(&mut self, offset: u16, width: Width, bytes: &mut [u8]) -> usize {
        let size = self.read_transfer(width);
        if !is_data(offset, width) || !self.is_reading() || size != width as u16 {
            return 0;
        }
        let Some(len) = self.block(size, bytes.len()) else { return 0 };
        let Some(source) = self.memory.ram(self.rsar, len) else { return 0 };
        bytes[..len].copy_from_slice(source);
        self.advance(len as u16);
        len
    }

    /// Many writes to the data port at once; how many bytes, 0 when they are better done one by one.
    pub(super) fn write_block(&mut self, offset: u16, width: Width, bytes: &[u8]) -> usize {
        let size = self.transfer(width);
        if !is_data(offset, width) || !self.is_writing() || size != width as u16 {
            return 0;
        }
        let Some(len) = self.block(size, bytes.len()) else { return 0 };
        let Some(target) = self.memory.ram_mut(self.rsar, len) else { return 0 };
        target.copy_from_slice(&bytes[..len]);
        self.advance(len as u16);
        len
    }
}
