//! The steps of Linux's ne2k-pci and 8390 drivers: probe, open, send, receive, overflow, close.

use super::*;

const NODMA: u8 = cr::RD_ABORT;

#[test]
fn the_probe_finds_a_card() {
    let mut card = Bench::new();
    // Is there a register at all?
    assert_ne!(card.inb(0), 0xFF);
    // A counter that clears when read tells an 8390 from RAM: write to page 1, read page 0.
    card.outb(0, NODMA | PAGE1 | cr::STP);
    let register = card.inb(0x0D);
    card.outb(0x0D, 0xFF);
    card.outb(0, NODMA);
    card.inb(0x0D);
    assert_eq!(card.inb(0x0D), 0);
    card.outb(0, NODMA | PAGE1 | cr::STP);
    card.outb(0x0D, register);
    // Reset, and wait for it.
    let value = card.inb(0x1F);
    card.outb(0x1F, value);
    card.outb(0, NODMA | cr::STP);
    assert_eq!(card.inb(7) & 0x80, 0x80);
    card.outb(7, 0xFF);
    // Read the PROM in bytes.
    for (offset, value) in [
        (0x00, NODMA | cr::STP),
        (0x0E, 0x49),
        (0x0A, 0),
        (0x0B, 0),
        (0x0F, 0),
        (0x07, 0xFF),
        (0x0C, 0x20),
        (0x0D, 0x02),
        (0x0A, 32),
        (0x0B, 0),
        (0x08, 0),
        (0x09, 0),
        (0x00, cr::RD_READ | cr::STA),
    ] {
        card.outb(offset, value);
    }
    let prom: Vec<u8> = (0..32).map(|_| card.inb(0x10)).collect();
    // Under word transfers each read takes a doubled byte.
    assert_eq!(prom[..6], MAC.0);
    assert_eq!((prom[14], prom[15]), (0x57, 0x57), "an NE2000, not a clone with its own signature");
}

/// Empties the ring as `ei_receive` does; returns the packets.
fn ei_receive(card: &mut Bench) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for _ in 0..10 {
        card.outb(0, NODMA | PAGE1);
        let rxing = card.inb(7);
        card.outb(0, NODMA);
        let boundary = card.inb(3) + 1;
        let this = if boundary >= RING.end { RING.start } else { boundary };
        if this == rxing {
            break;
        }
        let header = words(card, u16::from(this) << 8, 4);
        let count = usize::from(u16::from_le_bytes([header[2], header[3]])) - 4;
        assert_eq!(header[0] & 0x1F, 1, "received well");
        assert!((60..=1518).contains(&count));
        // ne_block_input: one remote read for the whole packet, which wraps by itself.
        packets.push(words(card, (u16::from(this) << 8) + 4, count));
        let next = header[1];
        let pages = (count + 8).div_ceil(256) as u8;
        let expected =
            if this + pages >= RING.end { this + pages - RING.end + RING.start } else { this + pages };
        assert_eq!(next, expected, "the driver checks the next page for sanity");
        card.outb(3, next - 1); // even where that is the page before the ring
    }
    card.outb(7, 0x05);
    packets
}

fn words(card: &mut Bench, at: u16, count: usize) -> Vec<u8> {
    card.outb(0, NODMA | cr::STA);
    card.outb(0x0A, count as u8);
    card.outb(0x0B, (count >> 8) as u8);
    card.outb(0x08, at as u8);
    card.outb(0x09, (at >> 8) as u8);
    card.outb(0, cr::RD_READ | cr::STA);
    let mut bytes = Vec::new();
    for _ in 0..count / 2 {
        bytes.extend(card.inw(0x10).to_le_bytes());
    }
    if count & 1 != 0 {
        bytes.push(card.inb(0x10));
    }
    assert_eq!(card.inb(7) & 0x40, 0x40, "remote DMA is done");
    card.outb(7, 0x40);
    bytes
}

/// `ne_block_output` and `NS8390_trigger_send`.
fn start_xmit(card: &mut Bench, bytes: &[u8]) {
    let count = bytes.len().next_multiple_of(2) as u16;
    for (offset, value) in [
        (0x00, NODMA | cr::STA),
        (0x07, 0x40),
        (0x0A, count as u8),
        (0x0B, (count >> 8) as u8),
        (0x08, 0),
        (0x09, 0x40),
        (0x00, cr::RD_WRITE | cr::STA),
    ] {
        card.outb(offset, value);
    }
    for pair in bytes.chunks(2) {
        card.outw(0x10, u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    assert_eq!(card.inb(7) & 0x40, 0x40);
    card.outb(7, 0x40);
    card.outb(0, NODMA);
    assert_eq!(card.inb(0) & cr::TXP, 0, "not sending");
    card.outb(5, bytes.len() as u8);
    card.outb(6, (bytes.len() >> 8) as u8);
    card.outb(4, 0x40);
    card.outb(0, NODMA | cr::TXP | cr::STA);
}

#[test]
fn packets_go_both_ways_for_a_long_time() {
    let mut card = Bench::up();
    for n in 0..2000usize {
        let outgoing = frame(PEER, 60 + n * 31 % 1455);
        start_xmit(&mut card, &outgoing);
        assert_eq!(card.sent.0.pop().as_ref(), Some(&outgoing));
        assert_eq!(card.inb(7) & 0x0A, 0x02);
        card.outb(7, 0x0A);
        let incoming: Vec<_> = (0..1 + n % 4).map(|k| frame(MAC, 60 + (n * 17 + k * 401) % 1455)).collect();
        for bytes in &incoming {
            assert_eq!(card.chip.receive(bytes), Received::Stored);
        }
        assert!(card.chip.irq());
        assert_eq!(ei_receive(&mut card), incoming);
        assert!(!card.chip.irq());
    }
}

#[test]
fn the_overflow_routine_gets_everything_going_again() {
    let mut card = Bench::up();
    let mut stored = Vec::new();
    loop {
        let bytes = frame(MAC, 900 + stored.len());
        if card.chip.receive(&bytes) != Received::Stored {
            break;
        }
        stored.push(bytes);
    }
    assert_eq!(card.inb(7) & 0x10, 0x10);
    // ei_rx_overrun.
    assert_eq!(card.inb(0) & cr::TXP, 0);
    card.outb(0, NODMA | cr::STP);
    card.outb(0x0A, 0);
    card.outb(0x0B, 0);
    card.outb(0x0D, 0x02);
    card.outb(0, NODMA | cr::STA);
    let mut packets = ei_receive(&mut card);
    card.outb(7, 0x10);
    card.outb(0x0D, 0);
    packets.extend(ei_receive(&mut card));
    assert_eq!(packets, stored);
    assert!(!card.chip.irq());
    assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Stored);
    assert_eq!(ei_receive(&mut card).len(), 1);
}

#[test]
fn the_interrupt_handler_comes_to_an_end() {
    let mut card = Bench::up();
    while card.chip.receive(&frame(MAC, 1000)) == Received::Stored {}
    start_xmit(&mut card, &frame(PEER, 60));
    // The handler's loop reads ISR until it is 0, at most twelve times.
    let mut rounds = 0;
    loop {
        card.outb(0, NODMA);
        let status = card.inb(7);
        if status == 0 {
            break;
        }
        rounds += 1;
        assert!(rounds < 12, "too much work at interrupt: {status:#x}");
        if status & 0x10 != 0 {
            card.outb(0, NODMA | cr::STP);
            card.outb(0, NODMA | cr::STA);
            ei_receive(&mut card);
            card.outb(7, 0x10);
        } else if status & 0x05 != 0 {
            ei_receive(&mut card);
        }
        card.outb(7, status & 0x6A);
        card.outb(0, NODMA | cr::STA);
    }
    assert!(!card.chip.irq());
}

#[test]
fn the_driver_sets_the_multicast_filter_and_checks_it() {
    let mut card = Bench::up();
    card.outb(0, NODMA | cr::STA);
    card.outb(0x0C, 0x04);
    card.outb(0, NODMA | PAGE1);
    for n in 0..8u8 {
        card.outb(8 + u16::from(n), n.wrapping_mul(0x1D));
        assert_eq!(card.inb(8 + u16::from(n)), n.wrapping_mul(0x1D));
    }
    card.outb(0, NODMA);
    card.outb(0x0C, 0x04 | 0x08);
}
