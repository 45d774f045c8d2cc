//! What a hostile guest may try.

use super::*;
use crate::memory::Target;

const P: u16 = 0x1F0;
const S: u16 = 0x170;

/// A cheap source of numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
}

#[test]
fn case_22_counts_of_zero_and_addresses_at_the_end() {
    let (mut pc, medium) = Pc::disk(100_000);
    // Zero is 256 and 65536.
    pc.command(P, 0xE0, 100_000 - 256, 0, 0x40);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xE0, 100_000 - 255, 0, 0x40);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x10));
    pc.command_ext(P, 100_000 - 65_536, 0, 0x42);
    assert_eq!(pc.interrupt(P), 0x50);
    let before = medium.0.borrow().requests;
    for (lba, count, command) in [
        (100_000 - 65_535, 0, 0x42),
        (100_000, 1, 0x24),
        (99_999, 2, 0x25),
        (0xFFFF_FFFF_FFFF, 0, 0x24),
        (0xFFFF_FFFF_FFFF, 1, 0x35),
        (0xFFFF_FFFF_FFFF, 0, 0x42),
    ] {
        pc.command_ext(P, lba, count, command);
        assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x10), "{lba:x}");
    }
    assert_eq!(medium.0.borrow().requests, before);
    pc.command_ext(P, 99_999, 1, 0x24);
    assert_eq!(pc.interrupt(P), 0x58);
}

#[test]
fn case_23_the_data_port_out_of_turn() {
    let (mut pc, medium) = Pc::disk(100);
    assert_eq!(pc.input(P, Width::Dword), 0xFFFF_FFFF);
    pc.output(P, Width::Dword, 0x1234_5678);
    pc.command(P, 0xE0, 4, 1, 0x20);
    assert_eq!(pc.inw(P), 0xFFFF, "busy");
    pc.interrupt(P);
    // All widths in a row, and one more than there is.
    let mut got = vec![pc.inb(P)];
    got.extend(pc.inw(P).to_le_bytes());
    got.push(pc.inb(P));
    for _ in 0..127 {
        got.extend(pc.input(P, Width::Dword).to_le_bytes());
    }
    assert_eq!(got, medium.0.borrow().data[4 * 512..5 * 512]);
    assert_eq!(pc.inw(P), 0xFFFF);
    pc.pass(1_000_000);
    for _ in 0..512 {
        assert_eq!(pc.inw(P), 0xFFFF);
    }
    // Writes while the drive gives data, and reads while it takes them, change nothing.
    pc.command(P, 0xE0, 4, 1, 0x20);
    pc.interrupt(P);
    pc.write_block(P, &[0xEE; 1024]);
    assert_eq!(pc.block(P, 512), medium.0.borrow().data[4 * 512..5 * 512]);
    pc.command(P, 0xE0, 4, 1, 0x30);
    pc.ready(P);
    pc.block(P, 2048);
    pc.write_block(P, &[0xDD; 700]);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!(medium.0.borrow().data[4 * 512..5 * 512], [0xDD; 512]);
    assert_eq!(medium.0.borrow().data[5 * 512], 5);
}

#[test]
fn case_24_wrong_multiples_commands_while_busy_and_resets_in_a_transfer() {
    let (mut pc, medium) = Pc::disk(100);
    for n in [3, 255, 129] {
        pc.command(P, 0xA0, 0, n, 0xC6);
        assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 4));
    }
    pc.command(P, 0xA0, 0, 0, 0xC6);
    assert_eq!(pc.interrupt(P), 0x50, "zero switches it off");
    pc.command(P, 0xE0, 0, 1, 0xC4);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 4));
    // A command while another runs is not heard.
    pc.command(P, 0xE0, 1, 2, 0x20);
    pc.outb(P + 3, 50);
    pc.outb(P + 7, 0x30);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(pc.block(P, 512)[0], 1);
    pc.interrupt(P);
    pc.block(P, 100);
    pc.outb(P + 7, 0xEC);
    // Reset in mid block.
    pc.outb(0x3F6, 4);
    assert_eq!(pc.inb(P + 7), 0x80);
    assert_eq!(pc.inw(P), 0xFFFF);
    pc.outb(0x3F6, 0);
    assert_eq!(pc.ready(P), 0x50);
    assert_eq!([1, 2, 3, 4, 5].map(|n| pc.inb(P + n)), [1, 1, 1, 0, 0]);
    // Reset in mid write: nothing is written.
    pc.command(P, 0xE0, 9, 1, 0x30);
    pc.ready(P);
    pc.write_block(P, &[0xEE; 510]);
    pc.outb(0x3F6, 4);
    pc.outb(0x3F6, 0);
    pc.write_block(P, &[0xEE; 2]);
    pc.ready(P);
    assert_eq!(medium.0.borrow().data[9 * 512], 9);
}

#[test]
fn case_25_hostile_descriptor_tables() {
    let (mut pc, _) = Pc::disk(1000);
    let mut run = |table: u32, entries: &[u64]| {
        for (n, entry) in entries.iter().enumerate() {
            pc.board.memory.write(u64::from(table) + 8 * n as u64, &entry.to_le_bytes());
        }
        pc.outb(MASTER, 0);
        pc.outb(MASTER + 2, 6);
        pc.output(MASTER + 4, Width::Dword, table);
        pc.command(P, 0xE0, 0, 0, 0xC8);
        pc.outb(MASTER, 9);
        pc.pass(1_000_000);
        let outcome = (pc.irq(P), pc.inb(MASTER + 2) & 7, pc.inb(P + 7));
        pc.outb(0x3F6, 4);
        pc.outb(0x3F6, 0);
        pc.ready(P);
        outcome
    };
    // A count of zero is 64 KiB: two of them take 256 sectors.
    assert_eq!(run(0x8000, &[0x1_0000, 0x8000_0000_0002_0000]), (true, 4, 0x50));
    // Odd addresses and counts lose their lowest bit; one entry for ever round in its 64 KiB.
    assert_eq!(run(0x8000, &[0x8000_0003_0001_0001]), (false, 0, 0x58));
    // Without an end the table is followed only as far as there are data.
    assert_eq!(run(0x4_0000, &[0x0002_0001_0000; 8192]), (true, 5, 0x50));
    // The table or a region where a device answers.
    assert_eq!(run(0xA_0000, &[]), (true, 6, 0x51));
    assert_eq!(run(0x8000, &[0x8000_0000_000A_0000]), (true, 6, 0x51));
    // Nowhere at all: all ones, which drop into nothing.
    assert_eq!(run(0xFFFF_FFF8, &[]), (false, 0, 0x58));
    // Over itself.
    assert!(run(0x1_0000, &[0x1_0000, 0x8000_0000_0001_0000]).0);
}

#[test]
fn case_26_byte_count_limits_and_short_packets() {
    let mut pc = Pc::cdrom(Some(Shared::new(4000)));
    for limit in [0, 1] {
        pc.packet(limit, false, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(pc.interrupt(S), 0x41);
        assert_eq!(pc.sense(), [5, 0x24, 0]);
    }
    // Without data the limit does not matter.
    pc.packet(0, false, &[0]);
    assert_eq!(pc.interrupt(S), 0x50);
    // FFFF is FFFE; odd ones are rounded down.
    for (limit, len) in [(0xFFFF, 0xFFFE), (0xFFFE, 0xFFFE), (2049, 2048), (2, 2), (3, 2)] {
        pc.packet(limit, false, &[0x28, 0, 0, 0, 0, 0, 0, 0, 100]);
        assert_eq!(pc.interrupt(S), 0x58);
        assert_eq!(u16::from_le_bytes([pc.inb(S + 4), pc.inb(S + 5)]), len);
        pc.outb(S + 7, 0x08);
    }
    // A packet that never ends, given up with DEVICE RESET or SRST.
    pc.outb(S + 7, 0xA0);
    pc.ready(S);
    pc.write_block(S, &[0; 10]);
    pc.outb(S + 7, 0x08);
    assert_eq!(pc.scsi(&[0]), Ok(vec![]));
}

#[test]
fn case_27_addresses_and_lengths_of_packets() {
    let mut pc = Pc::cdrom(Some(Shared::new(4000)));
    for packet in [
        [0x28, 0, 255, 255, 255, 255, 0, 0, 1, 0, 0],
        [0xA8, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0],
        [0xA8, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0],
        [0x28, 0, 0, 0, 3, 232, 0, 0, 1, 0, 0],
        [0xBE, 0, 0, 0, 0, 0, 255, 255, 255, 0x10, 0],
        [0x2B, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(pc.scsi(&packet), Err(0x54), "{packet:x?}");
        assert_eq!(pc.sense(), [5, 0x21, 0]);
    }
    for flags in 0..=255 {
        for sub in 0..8 {
            let result = pc.scsi(&[0xBE, 0, 0, 0, 0, 5, 0, 0, 2, flags, sub]);
            if let Err(error) = result {
                assert_eq!(error, 0x54);
                assert_eq!(pc.sense(), [5, 0x24, 0]);
            }
        }
    }
    for room in [0, 1, 3, 4, 12, 20, 0xFFFF] {
        for format in 0..16 {
            let [high, low] = u16::to_be_bytes(room);
            if let Ok(data) = pc.scsi(&[0x43, 0, format, 0, 0, 0, 0, high, low]) {
                assert!(data.len() <= usize::from(room));
            }
        }
    }
    // The medium goes in the middle of a read.
    pc.packet(2048, false, &[0x28, 0, 0, 0, 0, 0, 0, 0, 200]);
    for _ in 0..64 {
        pc.interrupt(S);
        pc.block(S, 2048);
    }
    pc.ide.eject_pressed(2);
    assert_eq!(pc.interrupt(S), 0x41);
    assert_eq!(pc.sense(), [2, 0x3A, 2]);
}

#[test]
fn case_77_a_disk_that_shrinks_or_goes() {
    let (mut pc, medium) = Pc::disk(1000);
    medium.0.borrow_mut().data.truncate(500 * 512);
    pc.command(P, 0xE0, 498, 4, 0x20);
    for _ in 0..2 {
        assert_eq!(pc.interrupt(P), 0x58);
        pc.block(P, 512);
    }
    assert_eq!((pc.interrupt(P), pc.inb(P + 1), pc.inb(P + 3)), (0x51, 0x10, 244));
    pc.host.drives.ide[0] = None;
    for command in [0x20, 0x40] {
        pc.command(P, 0xE0, 4, 4, command);
        assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x40));
    }
    pc.command(P, 0xE0, 4, 4, 0xE7);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x04));
}

#[test]
fn case_78_protected_and_full_disks() {
    let (mut pc, medium) = Pc::disk(1000);
    let write = |pc: &mut Pc| {
        pc.command(P, 0xE0, 4, 1, 0x30);
        pc.ready(P);
        pc.write_block(P, &[0xCC; 512]);
    };
    medium.0.borrow_mut().read_only = true;
    write(&mut pc);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x44));
    // A full host stops the drive until there is room.
    medium.0.borrow_mut().read_only = false;
    medium.0.borrow_mut().full = true;
    write(&mut pc);
    pc.pass(500_000_000);
    assert_eq!(pc.inb(P + 7), 0x80);
    medium.0.borrow_mut().full = false;
    pc.pass(100_000_000);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!(medium.0.borrow().data[4 * 512], 0xCC);
}

#[test]
fn case_79_empty_and_tiny_media() {
    let mut pc = Pc::cdrom(Some(Shared::new(0)));
    assert_eq!(pc.scsi(&[0x25]), Err(0x20));
    let mut pc = Pc::cdrom(Some(Shared::new(1)));
    assert_eq!(pc.scsi(&[0x25]).unwrap()[..4], [0; 4]);
    assert_eq!(pc.scsi(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap().len(), 2048);
    let (mut pc, _) = Pc::disk(0);
    pc.command(P, 0xE0, 0, 1, 0x20);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x10));
    pc.command(P, 0xA0, 0, 0, 0xEC);
    assert_eq!(pc.interrupt(P), 0x58);
}

#[test]
fn noise_on_all_ports_and_in_state_images_harms_nobody() {
    let mut noise = Noise(0x1234_5678_9ABC_DEF1);
    let slots = [IdeSlot::Disk, IdeSlot::Disk, IdeSlot::Cdrom, IdeSlot::Empty];
    let media = [Some(Shared::new(3000)), Some(Shared::new(5)), Some(Shared::new(1001)), None];
    for round in 0..20 {
        let mut pc = Pc::new(slots, media.clone());
        pc.board.memory.map_low(0x50, Target::Io, Target::Io);
        if round % 2 == 1 {
            let len = crate::devices::save_section(&mut pc.ide).len();
            let image: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
            pc.ide.archive(&mut Archive::load(&image, 1));
        }
        for _ in 0..20_000 {
            let r = noise.next();
            let base = [P, S][(r & 1) as usize];
            let port = match r >> 1 & 7 {
                0..=4 => base + (r >> 4 & 7) as u16,
                5 => base + 0x206,
                6 => MASTER + (r >> 4 & 15) as u16,
                _ => base,
            };
            let width = [Width::Byte, Width::Word, Width::Dword][(r >> 10) as usize % 3];
            let commands =
                [0x20u8, 0x24, 0x25, 0x30, 0x34, 0x35, 0xA0, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xEC, 0xA1];
            let value = match r >> 14 & 3 {
                0 => noise.next(),
                1 => u32::from(commands[(r >> 16) as usize % commands.len()]),
                _ => r >> 24 & 3,
            };
            if r >> 12 & 1 == 0 {
                pc.output(port, width, value);
            } else {
                pc.input(port, width);
            }
            if r >> 20 & 3 == 0 {
                pc.pass(5_000);
            }
        }
    }
}
