use super::reg::st1;
use super::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Whatever was going on, a reset brings the controller back.
fn still_works(pc: &mut Pc) {
    pc.out(port::DOR, 0x00);
    pc.out(port::DOR, 0x1C);
    while pc.tick() {}
    assert!(pc.irq());
    assert_eq!(pc.command(&[0x08]), [0xC0, pc.fdc.drives[0].cylinder]);
    pc.send(&[0x03, 0xAF, 0x02]);
    pc.out(port::DIR_CCR, 0);
    pc.seek(&[0x0F, 0, 1]);
    pc.seek(&[0x07, 0]);
    pc.channel(0x44, 512);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..3], [0, 0, 0]);
}

#[test]
fn case_16_a_million_bytes_into_the_fifo_with_any_command() {
    for first in 0..=255_u8 {
        let (mut pc, _) = Pc::floppy();
        for n in 0..4096_u32 {
            pc.out(port::FIFO, if n == 0 { first } else { n as u8 });
            if n & 63 == 0 {
                pc.tick();
            }
        }
        // What is no command has one byte for an answer.
        let (mut fresh, _) = Pc::floppy();
        fresh.out(port::FIFO, first);
        if command::length(first) == 1 && !matches!(first, 0x08 | 0x0E | 0x10 | 0x14 | 0x94) {
            assert_eq!(fresh.result(), [0x80], "{first:x}");
        }
        still_works(&mut pc);
    }
}

#[test]
fn case_17_results_are_read_early_late_and_twice() {
    let (mut pc, _) = Pc::floppy();
    // Commands of later chips: DRIVE SPECIFICATION, SAVE, RESTORE, FORMAT AND WRITE.
    for first in [0x8E, 0x2E, 0x4E, 0xAD, 0x33] {
        assert_eq!(pc.command(&[first]), [0x80]);
    }
    assert_eq!(pc.inb(port::FIFO), 0, "nothing to read between commands");
    pc.out(port::FIFO, 0x46);
    assert_eq!(pc.inb(port::FIFO), 0, "nor in the middle of one");
    assert_eq!(pc.inb(port::MSR_DSR), msr::RQM | msr::BUSY);
    pc.channel(0x44, 512);
    pc.send(&[0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    assert_eq!(pc.inb(port::FIFO), 0, "nor while it is executed");
    pc.out(port::FIFO, 0x10);
    pc.wait();
    pc.out(port::FIFO, 0x10);
    assert_eq!(pc.result().len(), 7, "bytes written meanwhile are lost");
    assert_eq!(pc.inb(port::FIFO), 0);
    assert_eq!(pc.inb(port::MSR_DSR), msr::RQM);
}

#[test]
fn case_18_reads_with_impossible_parameters_end() {
    let (mut pc, _) = Pc::floppy();
    // The last sector lies before the first: on to the end of the track.
    pc.channel(0x44, 60 * 512);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 10, 2, 4, 0, 0xFF]), [0x40, st1::NO_DATA, 0, 0, 0, 19, 2]);
    assert_eq!(pc.sectors(9), (9..18).collect::<Vec<_>>());
    for n in [0, 1, 3, 0xFF] {
        pc.channel(0x44, 512);
        assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, n, 18, 0, 0])[1], st1::NO_DATA);
    }
    // The DMA controller is not ready, or is programmed the other way.
    pc.out(0x0A, 6);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0x40, st1::OVERRUN]);
    assert_eq!(pc.run(&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0x40, st1::OVERRUN]);
    pc.channel(0x48, 512);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0, 0]);
    // A count that ends within a sector, and one of a single byte.
    for bytes in [1, 700] {
        pc.channel(0x44, bytes);
        assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0, 0]);
    }
    // A track of no sectors, or 256.
    pc.channel(0x44, 0x1_0000);
    assert_eq!(pc.run(&[0x42, 0, 0, 0, 1, 2, 0, 0x1B, 0xFF])[..2], [0x40, st1::NO_DATA]);
    pc.host.drives.floppy[0] = None;
    for first in [0x46, 0x45, 0x42, 0x56, 0x51, 0x4C] {
        pc.channel(0x44, 512);
        assert_eq!(pc.run(&[first, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..3], [0x40, st1::MISSING_MARK, 0]);
    }
    assert_eq!(pc.run(&[0x4A, 0])[..3], [0x40, st1::MISSING_MARK, 0]);
    assert_eq!(pc.run(&[0x4D, 0, 2, 18, 0x6C, 0xF6])[..3], [0x40, st1::MISSING_MARK, 0]);
}

#[test]
fn case_19_a_reset_cancels_a_transfer_and_a_stopped_motor_ends_it() {
    for non_dma in [2, 3] {
        let (mut pc, medium) = Pc::floppy();
        let before = medium.0.borrow().data.clone();
        pc.send(&[0x03, 0xAF, non_dma]);
        pc.channel(0x48, 512);
        pc.send(&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
        pc.tick();
        pc.out(port::DOR, 0x38);
        assert_eq!((pc.inb(port::MSR_DSR), pc.irq()), (0, false));
        assert!(!pc.tick(), "nothing goes on in reset");
        assert!(medium.0.borrow().data == before);
        still_works(&mut pc);
    }
    let (mut pc, _) = Pc::floppy();
    pc.channel(0x44, 18 * 512);
    pc.send(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    pc.tick();
    pc.tick();
    pc.out(port::DOR, 0x0C);
    pc.wait();
    let result = pc.result();
    assert_eq!(result[..3], [0x40, st1::MISSING_MARK, 0]);
    assert!(result[5] > 1);
}

#[test]
fn case_20_transfers_to_rom_devices_and_nowhere_are_dropped() {
    let (mut pc, _) = Pc::floppy();
    // Pages at the top of 16 MiB, in the video memory's window and in ROM.
    for page in [0xFF, 0x0A, 0x0F, 0x20] {
        pc.channel(0x44, 0x1_0000);
        pc.out(0x81, page);
        assert_eq!(pc.run(&[0xC6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[1], st1::END_OF_CYLINDER);
    }
    // Wrapping within 64 KiB.
    pc.channel(0x44, 1024);
    for (port, value) in [(0x0C, 0), (0x04, 0), (0x04, 0xFF)] {
        pc.out(port, value);
    }
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0, 0]);
    let data = pc.memory(0x1_FF00, 8);
    assert_eq!(data, 0_u64.to_le_bytes());
    assert_eq!(pc.memory(0x1_0100, 8), 1_u64.to_le_bytes(), "the second sector goes on at the page's start");
    // Verify and cascade.
    pc.channel(0x40, 512);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0, 0]);
    pc.channel(0xC4, 512);
    assert_eq!(pc.run(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..2], [0x40, st1::OVERRUN]);
}

#[test]
fn case_21_random_accesses_do_no_harm() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(21);
    for round in 0..60 {
        let sectors = [320, 2400, 2880, 5760, 7, 1440][round % 6];
        let mut pc = Pc::new([Some(Shared::new(sectors)), Some(Shared::new(720))]);
        for _ in 0..4000 {
            let number = random.next_u64();
            let value = (number >> 8) as u8;
            let port = 0x3F0 + (number & 7) as u16;
            match number >> 16 & 15 {
                0..=6 if port != 0x3F6 => pc.out(port::FIFO, value),
                7 if port != 0x3F6 => pc.out(port, value),
                8 => pc.out((number & 15) as u16, value),
                9..=11 => {
                    let port = if port == 0x3F6 { port::FIFO } else { port };
                    pc.inb(port);
                }
                12 => {
                    // A whole command, with plausible parameters.
                    let first = [0x46, 0xC6, 0x45, 0x4D, 0x4A, 0x56, 0x42, 0x51][(number >> 24 & 7) as usize];
                    pc.out(port::FIFO, first);
                    for _ in 0..8 {
                        pc.out(port::FIFO, (random.next_u64() % 20) as u8);
                    }
                }
                13 if value & 31 == 0 => {
                    let swap = (value & 32 == 0).then(|| Box::new(Shared::new(2880)) as Box<dyn Disk>);
                    pc.host.drives.floppy[0] = swap;
                    pc.fdc.media_changed(0);
                }
                14 if value & 63 == 0 => {
                    // A state image of anything.
                    let noise: Vec<u8> = (0..900).map(|_| random.next_u64() as u8).collect();
                    pc.fdc.archive(&mut Archive::load(&noise, 1));
                }
                _ => {
                    pc.tick();
                }
            }
        }
        let (fdc, board) = (&mut pc.fdc, &mut pc.board);
        *fdc = Floppy::new(&Config { floppies: 2, ..Config::default() });
        board.dma = crate::devices::dma::DmaChannels::new();
        pc.host.drives.floppy[0] = Some(Box::new(Shared::new(2880)));
        fdc.reset(&mut Bus { board, host: &mut pc.host });
        still_works(&mut pc);
    }
}
