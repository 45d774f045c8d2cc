//! Remote DMA and the data port.

use super::*;
use crate::archive::Archive;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::vec;

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
fn under_word_transfers_an_8_bit_write_moves_one_byte_and_a_read_takes_a_word() {
    let mut card = Bench::up();
    card.remote(cr::RD_WRITE, 0x4000, 4);
    card.outb(port::DATA, 0x11);
    assert_eq!(card.inw(page0_read::CRDA0), 0x4001);
    card.outb(port::DATA, 0x22);
    card.outw(port::DATA, 0x4433);
    assert_eq!(card.isr() & isr::RDC, isr::RDC);
    assert_eq!(card.read_memory(0x4000, 4), [0x11, 0x22, 0x33, 0x44]);
    card.remote(cr::RD_READ, 0x4000, 4);
    assert_eq!(card.inb(port::DATA), 0x11);
    assert_eq!(card.inb(port::DATA), 0x33);
    assert_eq!(card.isr() & isr::RDC, isr::RDC);
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

/// A chip's whole state.
fn state(chip: &mut Chip) -> Vec<u8> {
    let mut image = Vec::new();
    Archive::save(&mut image, 1).field(chip);
    image
}

#[test]
fn blocks_leave_the_card_as_single_accesses_would() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(86);
    let mut moved = 0;
    for _ in 0..20_000 {
        let mut cards = [Bench::up(), Bench::up()];
        let pick =
            |random: &mut Xoshiro256PlusPlus, from: &[u16]| from[random.next_u32() as usize % from.len()];
        let at = pick(&mut random, &[0, 0x10, 0x3FF0, 0x4000, 0x4C00, 0x5F01, 0x7000, 0x7FF0, 0xFFF8])
            .wrapping_add(random.next_u32() as u16 & 0xF);
        let count = pick(&mut random, &[0, 1, 2, 3, 8, 60, 255, 1000, 1514, 0xFFFF]);
        let command = pick(&mut random, &[1, 1, 1, 2, 2, 2, 3, 4]) as u8 * cr::RD_READ;
        let dcr = pick(&mut random, &[0x48, 0x49, 0x49, 0x59]) as u8;
        let pstop = pick(&mut random, &[0x80, 0x80, 0x60, 0x50, 0, 0xFF]) as u8;
        let width = [Width::Byte, Width::Word, Width::Dword][random.next_u32() as usize % 3];
        let offset = pick(&mut random, &[0x10, 0x10, 0x12, 0x17, 0x0F, 0x18]);
        let mut data = vec![0; 1024];
        random.fill_bytes(&mut data);
        let length = (random.next_u32() as usize % 1025) / width as usize * width as usize;
        for card in &mut cards {
            card.write_memory(0x4000, &data);
            card.outb(page0_write::DCR, dcr);
            card.outb(page0_write::PSTOP, pstop);
            card.remote(command, at, count);
        }
        let [a, b] = &mut cards;
        let (mut blocks, mut singles) = (vec![0; length], Vec::new());
        let writing = command == cr::RD_WRITE;
        let done = if writing {
            a.chip.write_block(offset, width, &data[..length])
        } else {
            a.chip.read_block(offset, width, &mut blocks)
        };
        assert!(done <= length && done % width as usize == 0);
        moved += done;
        for piece in data[..done].chunks(width as usize) {
            if writing {
                let mut value = [0; 4];
                value[..piece.len()].copy_from_slice(piece);
                b.chip.write(offset, width, u32::from_le_bytes(value), &mut b.sent);
            } else {
                singles.extend(&b.chip.read(offset, width).to_le_bytes()[..width as usize]);
            }
        }
        assert!(writing || blocks[..done] == singles[..]);
        assert!(state(&mut a.chip) == state(&mut b.chip), "{command:#x} {at:#x} {count} {dcr:#x} {width:?}");
    }
    assert!(moved > 100_000, "{moved}");
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
    let packet: Vec<u8> = (0..52).flat_map(|_| card.inw(port::DATA).to_le_bytes()).collect();
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
