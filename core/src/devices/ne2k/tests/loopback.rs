//! Loopback, as National's application note AN-937 tests it.

use super::*;
use crate::net::crc32::frame_check_sequence;

const MODES: [(u8, u8); 3] = [
    (tcr::LB_CONTROLLER, tsr::PTX | tsr::ONES | tsr::CRS | tsr::CDH),
    (tcr::LB_ENDEC, tsr::PTX | tsr::ONES | tsr::CDH),
    (tcr::LB, tsr::PTX | tsr::ONES),
];

impl Bench {
    fn loop_back(&mut self, mode: u8, bytes: &[u8]) {
        self.outb(port::CR, START);
        self.outb(page0_write::TCR, mode);
        self.outb(page0_write::DCR, 0x40);
        self.acknowledge();
        self.send(bytes);
        self.outb(page0_write::ISR, isr::RDC);
    }
}

#[test]
fn frames_stay_inside_the_chip_in_every_mode() {
    for (mode, status) in MODES {
        let mut card = Bench::up();
        // To this station, with a CRC that the chip generates: it cannot check it at the same time.
        card.loop_back(mode, &frame(MAC, 61));
        assert_eq!(card.inb(page0_read::TSR), status, "mode {mode}");
        assert_eq!(card.inb(page0_read::RSR), rsr::CRC);
        assert_eq!(card.isr(), isr::PTX | isr::RXE);
        // To another station: nothing was received that could be wrong.
        card.loop_back(mode, &frame(PEER, 61));
        assert_eq!(card.inb(page0_read::RSR), rsr::PRX);
        assert_eq!(card.isr(), isr::PTX);
        assert_eq!(card.take(), None, "the packet is not stored");
        assert!(card.sent.0.is_empty(), "and not sent");
    }
}

#[test]
fn the_fifo_holds_the_last_bytes_and_the_length() {
    let mut card = Bench::up();
    // Eight times n and five bytes with the CRC.
    let bytes = frame(MAC, 57);
    card.loop_back(tcr::LB_CONTROLLER, &bytes);
    let crc = frame_check_sequence(&bytes).to_le_bytes();
    let fifo: Vec<u8> = (0..8).map(|_| card.inb(page0_read::FIFO)).collect();
    assert_eq!(fifo, [bytes[56], crc[0], crc[1], crc[2], crc[3], 61, 0, 0]);
}

#[test]
fn a_crc_of_the_drivers_own_is_checked() {
    let mut card = Bench::up();
    let mut bytes = frame(MAC, 57);
    bytes.extend(frame_check_sequence(&bytes).to_le_bytes());
    card.loop_back(tcr::LB_CONTROLLER | tcr::CRC, &bytes);
    assert_eq!((card.inb(page0_read::RSR), card.isr()), (rsr::PRX, isr::PTX));
    bytes[60] ^= 0x80;
    card.loop_back(tcr::LB_CONTROLLER | tcr::CRC, &bytes);
    assert_eq!((card.inb(page0_read::RSR), card.isr()), (rsr::CRC, isr::PTX | isr::RXE));
}

#[test]
fn the_wire_is_not_heard_meanwhile() {
    let mut card = Bench::up();
    for (mode, _) in MODES {
        card.outb(page0_write::TCR, mode);
        assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Ignored);
    }
    card.outb(page0_write::TCR, 0);
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Stored);
}

#[test]
fn case_08_a_million_loopbacks_of_all_lengths_never_reach_the_wire() {
    let mut card = Bench::up();
    card.write_memory(0x4000, &frame(MAC, 1514));
    for n in 0..1_000_000u32 {
        let (mode, _) = MODES[n as usize % 3];
        card.outb(page0_write::TCR, mode | (n >> 4 & 1) as u8);
        let count = if n % 64 == 0 { n >> 4 } else { n % 80 } as u16;
        card.outb(page0_write::TBCR0, count as u8);
        card.outb(page0_write::TBCR1, (count >> 8) as u8);
        card.outb(port::CR, START | cr::TXP);
    }
    assert!(card.sent.0.is_empty());
    card.outb(page0_write::TCR, 0);
    card.send(&frame(PEER, 60));
    assert_eq!(card.sent.0.len(), 1);
}
