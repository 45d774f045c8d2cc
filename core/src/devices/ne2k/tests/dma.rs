//! Remote DMA and the data port.

use super::*;

#[test]
fn the_prom_holds_each_byte_twice_and_ends_with_w() {
    let mut card = Bench::up();
    let prom = card.read_memory(0, 32);
    assert_eq!(prom[..12], [0x52, 0x52, 0x54, 0x54, 0, 0, 0x12, 0x12, 0x34, 0x34, 0x56, 0x56]);
    assert_eq!(prom[28..], [0x57; 4]);
    assert_eq!(card.chip.memory().mac(), MAC);
}

#[test]
fn the_prom_cannot_be_written_by_remote_dma() {
    let mut card = Bench::up();
    let before = card.read_memory(0, 32);
    card.write_memory(0, &[0; 32]);
    assert_eq!(card.read_memory(0, 32), before);
}

#[test]
fn an_8_bit_access_moves_one_byte_under_word_transfers_too() {
    let mut card = Bench::up();
    card.remote(cr::RD_WRITE, 0x4000, 4);
    card.outb(port::DATA, 0x11);
    assert_eq!(card.inw(page0_read::CRDA0), 0x4001);
    card.outb(port::DATA, 0x22);
    card.outw(port::DATA, 0x4433);
    assert_eq!(card.isr() & isr::RDC, isr::RDC);
    assert_eq!(card.read_memory(0x4000, 4), [0x11, 0x22, 0x33, 0x44]);
}

#[test]
fn accesses_of_16_and_32_bits_move_words_and_of_16_a_byte_under_byte_transfers() {
    let mut card = Bench::up();
    card.remote(cr::RD_WRITE, 0x4000, 8);
    card.outl(port::DATA, 0x4433_2211);
    card.outw(port::DATA, 0x6655);
    card.outw(0x12, 0x8877);
    card.remote(cr::RD_READ, 0x4000, 8);
    assert_eq!(card.inl(0x14), 0x4433_2211);
    assert_eq!(card.inw(0x16), 0x6655);
    assert_eq!(card.isr() & isr::RDC, isr::RDC, "the write is over");
    card.outb(page0_write::DCR, 0x48);
    card.remote(cr::RD_READ, 0x4000, 2);
    assert_eq!(card.inw(port::DATA), 0xFF11);
    assert_eq!(card.inw(port::DATA), 0xFF22);
    assert_eq!(card.inw(port::DATA), 0xFFFF);
}

#[test]
fn case_05_addresses_outside_memory_read_ones_and_wrap() {
    let mut card = Bench::up();
    card.write_memory(0x4000, &[0xAA; 4]);
    for at in [0x20, 0x100, 0x3FFF, 0x8000, 0xC000, 0xFFFF] {
        assert_eq!(card.read_memory(at, 1), [0xFF], "{at:#x}");
        card.write_memory(at, &[0x55]);
        assert_eq!(card.read_memory(at, 1), [0xFF], "{at:#x}");
    }
    assert_eq!(card.read_memory(0x3FFE, 4), [0xFF, 0xFF, 0xAA, 0xAA]);
    assert_eq!(card.read_memory(0xFFFE, 4), [0xFF, 0xFF, 0x52, 0x52], "16-bit addresses wrap");
}

#[test]
fn case_05_remote_dma_goes_on_at_the_start_of_the_ring() {
    let mut card = Bench::up();
    card.write_memory(0x7FFE, &[1, 2, 3, 4]);
    assert_eq!(card.chip.memory().read(0x7FFF), 2);
    assert_eq!(card.chip.memory().read(0x4C00), 3);
    assert_eq!(card.inw(page0_read::CRDA0), 0x4C02);
    card.remote(cr::RD_READ, 0x7FFE, 4);
    assert_eq!([card.inw(port::DATA), card.inw(port::DATA)], [0x0201, 0x0403]);
    card.remote(cr::RD_READ, 0x7FFE, 4);
    assert_eq!(card.inl(port::DATA), 0xFFFF_0201, "one access does not wrap inside itself");
    // An odd address, whose word ends beyond PSTOP.
    card.remote(cr::RD_READ, 0x7FFF, 4);
    card.inw(port::DATA);
    assert_eq!(card.inw(page0_read::CRDA0), 0x4C01);
    // Started beyond PSTOP there is no PSTOP to meet.
    card.outb(page0_write::PSTOP, 0x60);
    card.write_memory(0x6100, &[9; 2]);
    assert_eq!(card.inw(page0_read::CRDA0), 0x6102);
    // PSTOP 0 is met after FFFF.
    card.outb(page0_write::PSTOP, 0);
    card.read_memory(0xFFFF, 1);
    assert_eq!(card.inw(page0_read::CRDA0), 0x4C00);
}

#[test]
fn case_06_a_count_of_zero_is_done_at_once_and_never_passed() {
    let mut card = Bench::up();
    card.acknowledge();
    for command in [cr::RD_READ, cr::RD_WRITE] {
        card.remote(command, 0x4000, 0);
        assert_eq!(card.inb(page0_read::ISR) & isr::RDC, isr::RDC);
        card.outb(page0_write::ISR, isr::RDC);
        card.outl(port::DATA, 0x1234_5678);
        assert_eq!(card.inl(port::DATA), 0xFFFF_FFFF);
        assert_eq!(card.inw(page0_read::CRDA0), 0x4000);
        assert_eq!(card.inb(page0_read::ISR) & isr::RDC, 0);
    }
    assert_eq!(card.chip.memory().read(0x4000), 0);
}

#[test]
fn case_06_an_odd_count_of_words_ends_with_its_last_byte() {
    let mut card = Bench::up();
    card.write_memory(0x4000, &[0xEE; 8]);
    card.acknowledge();
    card.remote(cr::RD_WRITE, 0x4000, 3);
    card.outw(port::DATA, 0x2211);
    assert_eq!(card.inb(page0_read::ISR) & isr::RDC, 0);
    card.outw(port::DATA, 0x4433);
    assert_eq!(card.inb(page0_read::ISR) & isr::RDC, isr::RDC);
    card.outw(port::DATA, 0x6655);
    assert_eq!(card.read_memory(0x4000, 5), [0x11, 0x22, 0x33, 0xEE, 0xEE]);
    card.remote(cr::RD_READ, 0x4000, 3);
    assert_eq!([card.inw(port::DATA), card.inw(port::DATA), card.inw(port::DATA)], [0x2211, 0xFF33, 0xFFFF]);
    card.remote(cr::RD_READ, 0x4000, 3);
    assert_eq!(card.inl(port::DATA), 0xFF33_2211);
}

#[test]
fn reading_while_writing_and_writing_while_reading_move_nothing() {
    let mut card = Bench::up();
    card.remote(cr::RD_WRITE, 0x4000, 4);
    assert_eq!(card.inw(port::DATA), 0xFFFF);
    card.remote(cr::RD_READ, 0x4000, 4);
    card.outw(port::DATA, 0x1234);
    assert_eq!(card.inl(port::DATA), 0);
    card.outb(port::CR, START);
    assert_eq!(card.inw(port::DATA), 0xFFFF, "aborted");
}

#[test]
fn the_send_packet_command_takes_a_packet_out_of_the_ring_by_itself() {
    let mut card = Bench::up();
    card.outb(page0_write::DCR, 0x59);
    card.set_ring(RING.start, RING.end, RING.start, RING.start);
    let bytes = frame(MAC, 100);
    card.chip.receive(&bytes);
    card.chip.receive(&frame(MAC, 60));
    card.acknowledge();
    card.outb(port::CR, cr::STA | cr::RD_SEND_PACKET);
    let packet: Vec<u8> = (0..104).map(|_| card.inb(port::DATA)).collect();
    assert_eq!(packet[..4], [rsr::PRX, RING.start + 1, 104, 0]);
    assert_eq!(packet[4..], bytes[..100]);
    assert_eq!(card.inb(page0_read::ISR) & isr::RDC, isr::RDC);
    assert_eq!(card.inb(page0_read::BNRY), RING.start + 1, "the packet's page is free again");
    assert_eq!(card.inw(port::DATA), 0xFFFF);
    // Without auto-initialisation the command is not executed.
    card.outb(page0_write::DCR, 0x49);
    card.outb(port::CR, cr::STA | cr::RD_SEND_PACKET);
    assert_eq!(card.inw(port::DATA), 0xFFFF);
}
