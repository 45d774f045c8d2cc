//! The receiver: filter, ring, overflow.

use super::*;
use crate::devices::ne2k::ring::{Fault, Ring};
use crate::net::crc32::{frame_check_sequence, multicast_hash};

const ALL_NODES: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 1]);
const MDNS: MacAddress = MacAddress([0x01, 0x00, 0x5E, 0, 0, 0xFB]);

impl Bench {
    fn set_rcr(&mut self, value: u8) {
        self.outb(port::CR, START);
        self.outb(page0_write::RCR, value);
    }

    fn set_mar(&mut self, mar: [u8; 8]) {
        self.outb(port::CR, START | PAGE1);
        for (n, byte) in mar.into_iter().enumerate() {
            self.outb(page1::MAR0 + n as u16, byte);
        }
        self.outb(port::CR, START);
    }
}

#[test]
fn a_packet_lies_in_the_ring_with_its_header_and_crc() {
    let mut card = Bench::up();
    let bytes = frame(MAC, 100);
    assert_eq!(card.chip.receive(&bytes), Received::Stored);
    assert_eq!(card.isr(), isr::PRX);
    assert_eq!(card.inb(page0_read::RSR), rsr::PRX);
    assert_eq!(card.read_memory(0x4D00, 4), [rsr::PRX, 0x4E, 104, 0]);
    assert_eq!(card.inw(page0_read::CLDA0), 0x4D00 + 108);
    let (status, packet) = card.take().unwrap();
    assert_eq!((status, &packet[..100]), (rsr::PRX, &bytes[..]));
    assert_eq!(packet[100..], frame_check_sequence(&bytes).to_le_bytes());
    assert_eq!(card.take(), None);
}

#[test]
fn group_addresses_are_marked_in_the_status() {
    let mut card = Bench::up();
    card.set_mar([0xFF; 8]);
    card.chip.receive(&frame(MacAddress::BROADCAST, 60));
    card.chip.receive(&frame(MDNS, 60));
    card.chip.receive(&frame(MAC, 60));
    assert_eq!(card.take().unwrap().0, 0x21);
    assert_eq!(card.take().unwrap().0, 0x21);
    assert_eq!(card.take().unwrap().0, 0x01);
}

#[test]
fn every_length_takes_the_pages_that_the_formula_says() {
    for length in 60..=1518 {
        let mut card = Bench::up();
        assert_eq!(card.chip.receive(&frame(MAC, length)), Received::Stored);
        let pages = (length + 8).div_ceil(256);
        assert_eq!(usize::from(card.curr() - RING.start - 1), pages, "{length} bytes");
        assert_eq!(Ring::pages(length), pages);
    }
}

#[test]
fn lengths_of_249_to_251_beyond_a_page_take_the_next_one() {
    for (length, pages) in [(247, 1), (248, 1), (249, 2), (250, 2), (251, 2), (505, 3), (760, 3), (761, 4)] {
        let mut card = Bench::up();
        card.chip.receive(&frame(MAC, length));
        assert_eq!(card.curr(), RING.start + 1 + pages, "{length} bytes");
        let (_, packet) = card.take().unwrap();
        assert_eq!(packet.len(), length + 4);
        assert_eq!(packet[..length], frame(MAC, length));
    }
}

#[test]
fn packets_wrap_from_the_last_page_to_the_first_whole() {
    let mut card = Bench::up();
    for round in 0..500 {
        let bytes = frame(MAC, 60 + round * 37 % 1455);
        assert!(card.chip.can_receive());
        assert_eq!(card.chip.receive(&bytes), Received::Stored, "round {round}");
        let (_, packet) = card.take().unwrap();
        assert_eq!(packet[..bytes.len()], bytes, "round {round}");
        assert_eq!(packet[bytes.len()..], frame_check_sequence(&bytes).to_le_bytes());
    }
}

#[test]
fn broadcasts_come_in_with_ab_only() {
    let mut card = Bench::up();
    card.set_mar([0xFF; 8]);
    for (value, expected) in [(0, false), (rcr::AM, false), (rcr::PRO, false), (rcr::AB, true)] {
        card.set_rcr(value);
        let received = card.chip.receive(&frame(MacAddress::BROADCAST, 60));
        assert_eq!(received == Received::Stored, expected, "RCR {value:#x}");
    }
}

#[test]
fn multicasts_come_in_by_the_hash_bit_of_their_address() {
    let mut card = Bench::up();
    card.set_rcr(rcr::AM);
    for group in [ALL_NODES, MDNS, MacAddress([0x33, 0x33, 0xFF, 0x12, 0x34, 0x56])] {
        let hash = multicast_hash(group);
        let mut mar = [0; 8];
        mar[usize::from(hash >> 3)] = 1 << (hash & 7);
        card.set_mar(mar);
        assert_eq!(card.chip.receive(&frame(group, 60)), Received::Stored, "{group}");
        card.set_mar(mar.map(|byte| !byte));
        assert_eq!(card.chip.receive(&frame(group, 60)), Received::Filtered, "{group}");
        card.set_mar([0xFF; 8]);
        card.set_rcr(rcr::AB | rcr::PRO);
        assert_eq!(card.chip.receive(&frame(group, 60)), Received::Filtered, "AM is off");
        card.set_rcr(rcr::AM);
    }
}

#[test]
fn other_stations_frames_come_in_when_promiscuous_only() {
    let mut card = Bench::up();
    card.set_rcr(rcr::AB | rcr::AM);
    assert_eq!(card.chip.receive(&frame(PEER, 60)), Received::Filtered);
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Stored);
    card.set_rcr(rcr::PRO);
    assert_eq!(card.chip.receive(&frame(PEER, 60)), Received::Stored);
}

#[test]
fn case_12_a_station_address_that_is_a_group_matches_nothing() {
    for odd in [MacAddress::ZERO, MacAddress::BROADCAST, ALL_NODES] {
        let mut card = Bench::up();
        card.outb(port::CR, START | PAGE1);
        for (n, octet) in odd.0.into_iter().enumerate() {
            card.outb(page1::PAR0 + n as u16, octet);
        }
        card.set_rcr(0);
        let expected = if odd == MacAddress::ZERO { Received::Stored } else { Received::Filtered };
        assert_eq!(card.chip.receive(&frame(odd, 60)), expected, "{odd}");
        assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Filtered);
    }
}

#[test]
fn case_62_no_frames_are_dropped_and_short_ones_padded() {
    let mut card = Bench::up();
    for length in [0, 1, 13] {
        assert_eq!(card.chip.receive(&[0xFF; 13][..length]), Received::Ignored);
    }
    for length in 14..60 {
        let bytes = frame(MAC, length);
        assert_eq!(card.chip.receive(&bytes), Received::Stored);
        let (_, packet) = card.take().unwrap();
        assert_eq!(packet.len(), 64);
        assert_eq!(packet[..length], bytes);
        assert!(packet[length..60].iter().all(|&byte| byte == 0), "{length}");
    }
}

#[test]
fn too_long_frames_are_no_frames_unless_a_tag_makes_them_so() {
    let mut card = Bench::up();
    assert_eq!(card.chip.receive(&frame(MAC, 1518)), Received::Stored);
    assert_eq!(card.chip.receive(&frame(MAC, 1519)), Received::Ignored);
    let mut tagged = frame(MAC, 1522);
    assert_eq!(card.chip.receive(&tagged), Received::Ignored);
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    assert_eq!(card.chip.receive(&tagged), Received::Stored);
    tagged.push(0);
    assert_eq!(card.chip.receive(&tagged), Received::Ignored);
    assert_eq!(card.chip.receive(&[0xFF; 65_535]), Received::Ignored);
}

#[test]
fn damaged_frames_are_counted_and_kept_if_sep_says_so() {
    let mut card = Bench::up();
    let bytes = frame(MAC, 60);
    assert_eq!(card.chip.arrive(&bytes, Some(Fault::Crc)), Received::Filtered);
    assert_eq!(card.isr(), isr::RXE);
    assert_eq!(card.inb(page0_read::RSR), rsr::CRC);
    card.set_rcr(rcr::SEP);
    assert_eq!(card.chip.arrive(&bytes, Some(Fault::Alignment)), Received::Stored);
    assert_eq!(card.take().unwrap().0, rsr::CRC | rsr::FAE);
    assert_eq!([card.inb(page0_read::CNTR0), card.inb(page0_read::CNTR1)], [1, 1]);
    card.acknowledge();
    assert_eq!(card.chip.arrive(&frame(PEER, 60), Some(Fault::Crc)), Received::Filtered);
    assert_eq!(card.isr(), 0, "another station's damage is not ours");
}

#[test]
fn fragments_come_in_with_ar_only() {
    let mut card = Bench::up();
    assert_eq!(card.chip.arrive(&frame(MAC, 20), None), Received::Filtered);
    card.set_rcr(rcr::AR);
    assert_eq!(card.chip.arrive(&frame(MAC, 20), None), Received::Stored);
    assert_eq!(card.take().unwrap().1.len(), 24);
    assert_eq!(card.chip.arrive(&[0xFF; 5], None), Received::Ignored);
}

#[test]
fn monitoring_counts_and_stores_nothing() {
    let mut card = Bench::up();
    card.set_rcr(rcr::MON | rcr::AB);
    assert!(card.chip.can_receive());
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Missed);
    assert_eq!(card.chip.receive(&frame(PEER, 60)), Received::Filtered);
    assert_eq!(card.inb(page0_read::RSR), rsr::MPA | rsr::DIS);
    assert_eq!(card.inb(page0_read::CNTR2), 1);
    assert_eq!(card.take(), None);
}

#[test]
fn a_stopped_card_hears_nothing() {
    let mut card = Bench::up();
    card.outb(port::CR, STOP);
    assert!(card.chip.can_receive(), "frames do not wait for a card that is off");
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Ignored);
    card.outb(port::CR, START);
    assert_eq!(card.take(), None);
}

#[test]
fn a_full_ring_overflows_loudly_and_recovers() {
    let mut card = Bench::up();
    let mut stored = 0;
    while card.chip.receive(&frame(MAC, 1000 + stored)) == Received::Stored {
        stored += 1;
    }
    // 52 pages, of which one is BNRY's and one is never reached; four pages a packet.
    assert_eq!(stored, 12);
    assert_eq!(card.inb(page0_read::ISR), isr::PRX | isr::OVW | isr::RXE | isr::RST);
    assert_eq!(card.inb(page0_read::RSR), rsr::MPA);
    assert_eq!(card.inb(page0_read::CNTR2), 1);
    assert!(!card.chip.can_receive());
    for n in 0..stored {
        assert_eq!(card.take().unwrap().1[..1000 + n], frame(MAC, 1000 + n), "nothing was overwritten");
    }
    card.acknowledge();
    assert_eq!(card.isr(), 0, "taking packets out ended the overflow");
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Stored);
}

#[test]
fn reset_status_of_an_overflow_goes_when_bnry_moves() {
    let mut card = Bench::up();
    while card.chip.receive(&frame(MAC, 1514)) == Received::Stored {}
    assert_eq!(card.inb(page0_read::ISR) & isr::RST, isr::RST);
    card.outb(page0_write::BNRY, 0x60);
    assert_eq!(card.inb(page0_read::ISR) & isr::RST, 0);
}
