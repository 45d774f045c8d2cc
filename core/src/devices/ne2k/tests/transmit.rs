//! The transmitter.

use super::*;
use crate::net::crc32::frame_check_sequence;

#[test]
fn a_frame_goes_out_as_it_was_written() {
    let mut card = Bench::up();
    let bytes = frame(PEER, 342);
    card.send(&bytes);
    assert_eq!(card.sent.0, [bytes]);
    assert_eq!(card.inb(port::CR), START, "TXP is over");
    assert_eq!(card.isr() & (isr::PTX | isr::TXE), isr::PTX);
    assert_eq!(card.inb(page0_read::TSR), tsr::PTX | tsr::ONES);
    assert_eq!(card.inb(page0_read::NCR), 0);
    assert_eq!(card.inw(page0_read::CLDA0), 0x4000 + 342);
}

#[test]
fn what_was_sent_does_not_change_when_the_buffer_does() {
    let mut card = Bench::up();
    let first = frame(PEER, 100);
    card.send(&first);
    card.send(&frame(PEER, 101));
    assert_eq!(card.sent.0[0], first);
}

#[test]
fn case_07_lengths_of_no_frame_are_errors_and_send_nothing() {
    let mut card = Bench::up();
    for count in [0, 1, 13, 1519, 1522, 1523, 0x4000, 0x4001, 0xFFFF] {
        card.acknowledge();
        card.send_at(0x40, count);
        assert_eq!(card.isr(), isr::TXE, "{count}");
        assert_eq!(card.inb(page0_read::TSR) & (tsr::PTX | tsr::ABT), tsr::ABT);
        assert_eq!(card.inb(port::CR), START);
    }
    assert!(card.sent.0.is_empty());
    card.send_at(0x40, 14);
    card.send_at(0x40, 1518);
    assert_eq!(card.sent.0.iter().map(Vec::len).collect::<Vec<_>>(), [14, 1518]);
}

#[test]
fn case_07_pages_outside_packet_ram_are_errors_and_send_nothing() {
    let mut card = Bench::up();
    for (page, count) in [(0, 60), (0x3F, 300), (0x7F, 257), (0x80, 60), (0xFF, 60), (0xFF, 0xFFFF)] {
        card.acknowledge();
        card.send_at(page, count);
        assert_eq!(card.isr(), isr::TXE, "{page:#x} {count}");
    }
    assert!(card.sent.0.is_empty());
    card.send_at(0x7F, 256);
    assert_eq!(card.sent.0.len(), 1);
}

#[test]
fn tagged_frames_may_be_four_bytes_longer() {
    let mut card = Bench::up();
    let mut tagged = frame(PEER, 1522);
    tagged[12..14].copy_from_slice(&[0x88, 0xA8]);
    card.send(&tagged);
    assert_eq!(card.sent.0, [tagged.clone()]);
    tagged.push(0);
    card.send(&tagged);
    assert_eq!(card.sent.0.len(), 1);
}

#[test]
fn a_driver_that_appends_the_crc_itself_sends_a_frame_without_it() {
    let mut card = Bench::up();
    card.outb(page0_write::TCR, tcr::CRC);
    let bytes = frame(PEER, 60);
    let mut with_crc = bytes.clone();
    with_crc.extend(frame_check_sequence(&bytes).to_le_bytes());
    card.send(&with_crc);
    assert_eq!(card.sent.0, [bytes]);
    // Nobody takes a frame with a wrong one, though the sender does not notice.
    with_crc[63] ^= 1;
    card.acknowledge();
    card.send(&with_crc);
    assert_eq!(card.sent.0.len(), 1);
    assert_eq!(card.isr() & (isr::PTX | isr::TXE), isr::PTX);
    for count in 0..18 {
        card.send_at(0x40, count);
    }
    assert_eq!(card.sent.0.len(), 1);
}
