//! Drivers' scripts.

mod dma;
mod linux;
mod loopback;
mod machine;
mod receive;
mod registers;
mod ring;
mod rom;
mod storm;
mod transmit;

use super::chip::{Chip, Received, Wire};
use super::regs::*;
use crate::board::Width;
use crate::net::MacAddress;
use std::vec::Vec;

const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const PEER: MacAddress = MacAddress([0x02, 1, 1, 1, 1, 1]);
const STOP: u8 = cr::STP | cr::RD_ABORT;
const START: u8 = cr::STA | cr::RD_ABORT;
const PAGE1: u8 = 1 << cr::PS_SHIFT;
const PAGE2: u8 = 2 << cr::PS_SHIFT;
const PAGE3: u8 = 3 << cr::PS_SHIFT;
/// The ring that Linux lays out: two transmit buffers of six pages before it.
const RING: core::ops::Range<u8> = 0x4C..0x80;

#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Wire for Sent {
    fn transmit(&mut self, frame: &mut [u8]) {
        self.0.push(frame.to_vec());
    }
}

/// A card on a bench, with a driver's usual steps.
struct Bench {
    chip: Chip,
    sent: Sent,
    next: u8,
}

impl Bench {
    fn new() -> Self {
        Self { chip: Chip::new(MAC), sent: Sent::default(), next: 0 }
    }

    /// A card that a driver has brought up: word transfers, own address, broadcasts, all interrupts.
    fn up() -> Self {
        let mut card = Self::new();
        card.bring_up();
        card
    }

    fn inb(&mut self, offset: u16) -> u8 {
        self.chip.read(offset, Width::Byte) as u8
    }

    fn outb(&mut self, offset: u16, value: u8) {
        self.chip.write(offset, Width::Byte, u32::from(value), &mut self.sent);
    }

    fn inw(&mut self, offset: u16) -> u16 {
        self.chip.read(offset, Width::Word) as u16
    }

    fn outw(&mut self, offset: u16, value: u16) {
        self.chip.write(offset, Width::Word, u32::from(value), &mut self.sent);
    }

    fn inl(&mut self, offset: u16) -> u32 {
        self.chip.read(offset, Width::Dword)
    }

    fn outl(&mut self, offset: u16, value: u32) {
        self.chip.write(offset, Width::Dword, value, &mut self.sent);
    }

    fn bring_up(&mut self) {
        use page0_write::*;
        self.outb(port::CR, STOP);
        self.outb(DCR, 0x49);
        self.outb(RBCR0, 0);
        self.outb(RBCR1, 0);
        self.outb(RCR, 0x20);
        self.outb(TCR, 0x02);
        self.outb(TPSR, 0x40);
        self.outb(PSTART, RING.start);
        self.outb(BNRY, RING.start);
        self.outb(PSTOP, RING.end);
        self.outb(ISR, 0xFF);
        self.outb(IMR, 0x7F);
        self.outb(port::CR, STOP | PAGE1);
        for (n, octet) in MAC.0.into_iter().enumerate() {
            self.outb(page1::PAR0 + n as u16, octet);
        }
        self.outb(page1::CURR, RING.start + 1);
        self.outb(port::CR, START);
        self.outb(TCR, 0);
        self.outb(RCR, rcr::AB | rcr::AM);
        self.next = RING.start + 1;
    }

    /// Sets address and count of a remote DMA and starts it.
    fn remote(&mut self, command: u8, at: u16, count: u16) {
        self.outb(port::CR, START);
        self.outb(page0_write::RBCR0, count as u8);
        self.outb(page0_write::RBCR1, (count >> 8) as u8);
        self.outb(page0_write::RSAR0, at as u8);
        self.outb(page0_write::RSAR1, (at >> 8) as u8);
        self.outb(port::CR, cr::STA | command);
    }

    fn write_memory(&mut self, at: u16, bytes: &[u8]) {
        self.remote(cr::RD_WRITE, at, bytes.len() as u16);
        for byte in bytes {
            self.outb(port::DATA, *byte);
        }
    }

    fn read_memory(&mut self, at: u16, count: usize) -> Vec<u8> {
        // Byte by byte: under word transfers each access would take a word.
        self.outb(port::CR, START);
        self.outb(page0_write::DCR, 0x48);
        self.remote(cr::RD_READ, at, count as u16);
        let bytes = (0..count).map(|_| self.inb(port::DATA)).collect();
        self.outb(page0_write::DCR, 0x49);
        bytes
    }

    /// Puts a frame at page 40 and sends it.
    fn send(&mut self, frame: &[u8]) {
        self.write_memory(0x4000, frame);
        self.send_at(0x40, frame.len() as u16);
    }

    fn send_at(&mut self, page: u8, count: u16) {
        self.outb(port::CR, START);
        self.outb(page0_write::TPSR, page);
        self.outb(page0_write::TBCR0, count as u8);
        self.outb(page0_write::TBCR1, (count >> 8) as u8);
        self.outb(port::CR, START | cr::TXP);
    }

    fn isr(&mut self) -> u8 {
        self.outb(port::CR, START);
        self.inb(page0_read::ISR)
    }

    fn acknowledge(&mut self) {
        self.outb(port::CR, START);
        self.outb(page0_write::ISR, 0xFF);
    }

    fn curr(&mut self) -> u8 {
        self.outb(port::CR, START | PAGE1);
        let page = self.inb(page1::CURR);
        self.outb(port::CR, START);
        page
    }

    fn set_ring(&mut self, pstart: u8, pstop: u8, curr: u8, bnry: u8) {
        self.outb(port::CR, START);
        self.outb(page0_write::PSTART, pstart);
        self.outb(page0_write::PSTOP, pstop);
        self.outb(page0_write::BNRY, bnry);
        self.outb(port::CR, START | PAGE1);
        self.outb(page1::CURR, curr);
        self.outb(port::CR, START);
    }

    /// Takes the next packet out of the ring as a driver does: header, data in two pieces where it wraps,
    /// BNRY one page behind the next packet.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        if self.curr() == self.next {
            return None;
        }
        let at = u16::from(self.next) << 8;
        let header = self.read_memory(at, 4);
        let count = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let to_stop = (usize::from(RING.end) << 8) - usize::from(at) - 4;
        let mut data = self.read_memory(at + 4, count.min(to_stop));
        data.extend(self.read_memory(u16::from(RING.start) << 8, count - count.min(to_stop)));
        self.next = header[1];
        let behind = if self.next == RING.start { RING.end - 1 } else { self.next - 1 };
        self.outb(page0_write::BNRY, behind);
        Some((header[0], data))
    }
}

/// A frame of `length` bytes with a recognisable content.
fn frame(destination: MacAddress, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|n| (n * 7 + length) as u8).collect();
    bytes[..6].copy_from_slice(&destination.0);
    bytes[6..12].copy_from_slice(&PEER.0);
    bytes[12..14].copy_from_slice(&[0x08, 0x00]);
    bytes
}
