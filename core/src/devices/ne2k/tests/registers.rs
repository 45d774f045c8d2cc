//! Registers, pages, resets and the interrupt pin.

use super::*;

#[test]
fn reset_reads_stopped_with_rst_set() {
    let mut card = Bench::new();
    assert_eq!(card.inb(port::CR), 0x21);
    assert_eq!(card.inb(page0_read::ISR), isr::RST);
    let mut card = Bench::up();
    card.outb(page0_write::IMR, 0x7F);
    card.outb(page0_write::TCR, 0x06);
    // As drivers reset: what was read is written back.
    let value = card.inb(0x1F);
    card.outb(0x1F, value);
    assert_eq!(card.inb(port::CR), 0x21);
    assert_eq!(card.inb(page0_read::ISR), isr::RST);
    card.outb(port::CR, STOP | PAGE2);
    assert_eq!((card.inb(page2::IMR), card.inb(page2::TCR)), (0, 0xE0));
    assert_eq!(card.inb(page2::PSTART), RING.start, "pointers stay");
}

#[test]
fn stopping_sets_rst_and_only_starting_clears_it() {
    let mut card = Bench::up();
    assert_eq!(card.isr() & isr::RST, 0);
    card.outb(port::CR, STOP);
    assert_eq!(card.inb(page0_read::ISR) & isr::RST, isr::RST);
    card.outb(page0_write::ISR, 0xFF);
    assert_eq!(card.inb(page0_read::ISR), isr::RST, "writing a one does not clear it");
    card.outb(port::CR, cr::RD_ABORT);
    assert_eq!(card.inb(page0_read::ISR), isr::RST, "neither start nor stop: still stopped");
    card.outb(port::CR, cr::STP | cr::STA | cr::RD_ABORT);
    assert_eq!(card.inb(page0_read::ISR), isr::RST, "stop wins over start");
    card.outb(port::CR, START);
    assert_eq!(card.inb(page0_read::ISR), 0);
}

#[test]
fn rst_is_no_interrupt() {
    let mut card = Bench::up();
    card.outb(page0_write::IMR, 0xFF);
    card.outb(port::CR, STOP);
    assert_eq!(card.inb(page0_read::ISR), isr::RST);
    assert!(!card.chip.irq());
}

#[test]
fn the_pin_is_the_level_of_isr_and_imr() {
    let mut card = Bench::up();
    assert!(!card.chip.irq());
    card.chip.receive(&frame(MAC, 60));
    assert!(card.chip.irq());
    card.outb(page0_write::IMR, isr::PTX);
    assert!(!card.chip.irq());
    card.outb(page0_write::IMR, isr::PRX);
    assert!(card.chip.irq(), "a level, not an edge");
    card.outb(page0_write::ISR, isr::PTX);
    assert!(card.chip.irq());
    card.outb(page0_write::ISR, isr::PRX);
    assert!(!card.chip.irq());
}

#[test]
fn data_and_reset_ports_have_aliases() {
    let mut card = Bench::up();
    card.write_memory(0x4000, &[1, 2, 3, 4, 5, 6, 7, 8]);
    card.remote(cr::RD_READ, 0x4000, 8);
    let bytes: Vec<u8> = (0x10..0x18).map(|offset| card.inb(offset)).collect();
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
    for offset in 0x18..0x20 {
        card.outb(port::CR, START);
        assert_eq!(card.inb(port::CR), START);
        card.inb(offset);
        assert_eq!(card.inb(port::CR), 0x21, "{offset:#x}");
    }
}

#[test]
fn page_1_holds_station_address_current_page_and_multicast_filter() {
    let mut card = Bench::up();
    card.outb(port::CR, START | PAGE1);
    for offset in 1..16 {
        card.outb(offset, 0xA0 | offset as u8);
    }
    for offset in 1..16 {
        assert_eq!(card.inb(offset), 0xA0 | offset as u8);
    }
    assert_eq!(card.chip.station_address(), MacAddress([0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6]));
}

#[test]
fn page_2_mirrors_what_page_0_only_writes() {
    let mut card = Bench::up();
    let values = [
        (page0_write::PSTART, 0x46, page2::PSTART, 0x46),
        (page0_write::PSTOP, 0x60, page2::PSTOP, 0x60),
        (page0_write::TPSR, 0x41, page2::TPSR, 0x41),
        (page0_write::RCR, 0xFF, page2::RCR, 0xFF),
        (page0_write::RCR, 0x04, page2::RCR, 0xC4),
        (page0_write::TCR, 0x08, page2::TCR, 0xE8),
        (page0_write::DCR, 0x7F, page2::DCR, 0xFB),
        (page0_write::IMR, 0x3F, page2::IMR, 0x3F),
    ];
    for (offset, value, mirror, expected) in values {
        card.outb(port::CR, STOP);
        card.outb(offset, value);
        card.outb(port::CR, STOP | PAGE2);
        assert_eq!(card.inb(mirror), expected, "page 2 register {mirror:#x}");
        card.outb(mirror, !value);
        assert_eq!(card.inb(mirror), expected, "page 2 cannot be written");
    }
}

#[test]
fn the_realtek_id_reads_where_the_byte_count_is_written() {
    let mut card = Bench::up();
    card.outb(page0_write::RBCR0, 0x12);
    card.outb(page0_write::RBCR1, 0x34);
    assert_eq!([card.inb(0x0A), card.inb(0x0B)], [0x50, 0x43]);
    card.outb(port::CR, START | PAGE3);
    assert_eq!([card.inb(0x0E), card.inb(0x0F)], [0x29, 0x80]);
}

#[test]
fn page_3_configuration_is_locked_until_9346cr_says_otherwise() {
    let mut card = Bench::up();
    card.outb(port::CR, STOP | PAGE3);
    let config = |card: &mut Bench| [page3::CONFIG0, page3::CONFIG2, page3::CONFIG3].map(|at| card.inb(at));
    card.outb(page3::CONFIG2, 0xFF);
    card.outb(page3::CONFIG3, 0xFF);
    assert_eq!(config(&mut card), [0, 0x40, 0x40], "10BaseT, full duplex");
    // As drivers change the duplex mode.
    card.outb(page3::CR9346, 0xC0);
    card.outb(page3::CONFIG3, 0x04);
    card.outb(page3::CONFIG2, 0xFF);
    card.outb(page3::CR9346, 0x00);
    card.outb(page3::CONFIG3, 0x40);
    assert_eq!(config(&mut card), [0, 0xE0, 0x04]);
    assert_eq!(card.inb(page3::CR9346), cr9346::EEDO);
    card.outb(page3::CR9346, 0x40);
    assert_eq!(config(&mut card), [0, 0x40, 0x40], "loaded again");
    assert_eq!(card.inb(page3::CR9346), cr9346::EEDO, "auto-load ends by itself");
}

#[test]
fn tally_counters_clear_when_read_stop_at_192_and_interrupt_from_128() {
    let mut card = Bench::up();
    card.outb(page0_write::RCR, rcr::MON);
    for n in 1..=300 {
        assert_eq!(card.chip.receive(&frame(MAC, 60)), Received::Missed);
        assert_eq!(card.isr() & isr::CNT != 0, n >= 128, "after {n}");
    }
    assert_eq!(card.inb(page0_read::CNTR2), 192);
    assert_eq!(card.inb(page0_read::CNTR2), 0);
}

#[test]
fn case_09_stopping_in_mid_dma_and_sending_while_stopped_are_defined() {
    let mut card = Bench::up();
    card.remote(cr::RD_READ, 0, 32);
    card.inw(port::DATA);
    card.outb(port::CR, STOP);
    assert_eq!(card.inb(page0_read::ISR) & isr::RST, isr::RST);
    assert_eq!(card.inw(port::DATA), 0xFFFF, "the abort in the same write ends it");
    assert_eq!(card.inb(page0_read::CRDA0), 2, "where it was");
    card.acknowledge();
    card.outb(port::CR, STOP);
    card.outb(page0_write::TBCR0, 60);
    card.outb(port::CR, STOP | cr::TXP);
    assert_eq!(card.inb(port::CR), STOP, "the request does not wait");
    card.outb(port::CR, START);
    assert!(card.sent.0.is_empty());
    assert_eq!(card.isr() & (isr::PTX | isr::TXE), 0);
    // All of page 3 may be written at any time.
    for value in 0..=255 {
        for offset in 1..16 {
            card.outb(port::CR, START | PAGE3);
            card.outb(offset, value);
        }
    }
    card.send(&frame(PEER, 60));
    assert_eq!(card.sent.0.len(), 1);
}

#[test]
fn case_10_accesses_of_every_width_stay_inside_the_card() {
    let mut card = Bench::up();
    for offset in 0..0x28 {
        card.remote(cr::RD_READ, 0x4000, 0x100);
        for width in [Width::Byte, Width::Word, Width::Dword] {
            let value = card.chip.read(offset, width);
            for n in (0..width as u16).filter(|n| offset + n >= port::COUNT) {
                assert_eq!(value >> (8 * n) & 0xFF, 0xFF, "{offset:#x} {width:?}");
            }
            card.chip.write(offset, width, 0x2121_2121, &mut card.sent);
        }
    }
    // Far outside, and where an offset and a width do not add up.
    assert_eq!(card.inl(0xFFFF), 0xFFFF_FFFF);
    card.outl(0xFFFE, 0);
    // A wide access to registers is one to each of them.
    let mut card = Bench::up();
    card.outl(0x04, 0xFF_05_DC_40);
    assert_eq!(card.isr(), 0, "ISR was the fourth");
    card.outb(port::CR, START | PAGE2);
    assert_eq!(card.inb(page2::TPSR), 0x40);
    card.outb(port::CR, START);
    assert_eq!(card.inw(0x0A), 0x4350);
}

#[test]
fn case_11_a_storm_of_isr_and_imr_writes_is_one_level() {
    let mut card = Bench::up();
    card.chip.receive(&frame(MAC, 60));
    let mut level = card.chip.irq();
    let mut edges = 0u32;
    for n in 0..1_000_000u32 {
        card.outb(if n & 1 == 0 { page0_write::IMR } else { page0_write::ISR }, (n >> 3) as u8 & !isr::PRX);
        edges += u32::from(level != card.chip.irq());
        level = card.chip.irq();
    }
    card.outb(page0_write::IMR, isr::PRX);
    assert!(card.chip.irq(), "the cause is still there");
    card.outb(page0_write::ISR, isr::PRX);
    assert!(!card.chip.irq(), "and gone with one acknowledgement, however often it was masked");
    assert!(edges <= 1, "PRX alone was never acknowledged nor unmasked");
}
