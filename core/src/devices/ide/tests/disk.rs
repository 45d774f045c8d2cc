//! Disks by PIO.

use super::*;

const P: u16 = 0x1F0;

fn words(block: &[u8]) -> Vec<u16> {
    block.chunks_exact(2).map(|w| u16::from_le_bytes([w[0], w[1]])).collect()
}

#[test]
fn linux_probes_resets_and_identifies_a_lone_disk() {
    let (mut pc, _) = Pc::disk(20_000);
    // ata_devchk on both devices.
    for device in [0xA0, 0xB0] {
        pc.outb(P + 6, device);
        for (count, low) in [(0x55, 0xAA), (0xAA, 0x55), (0x55, 0xAA)] {
            pc.outb(P + 2, count);
            pc.outb(P + 3, low);
        }
        // The absent slave's registers are those of the master.
        assert_eq!((pc.inb(P + 2), pc.inb(P + 3)), (0x55, 0xAA));
    }
    // ata_bus_softreset.
    for control in [0x08, 0x0C, 0x08] {
        pc.outb(0x3F6, control);
        pc.pass(20_000);
    }
    assert_eq!(pc.inb(0x3F6), 0x80);
    pc.pass(150_000_000);
    pc.outb(P + 6, 0xA0);
    assert_eq!(pc.inb(P + 7), 0x50);
    let signature = [1, 2, 3, 4, 5].map(|n| pc.inb(P + n));
    assert_eq!(signature, [1, 1, 1, 0, 0]);
    pc.outb(P + 6, 0xB0);
    assert_eq!(pc.inb(P + 7), 0, "no slave");
    // IDENTIFY, polled with interrupts off.
    pc.outb(0x3F6, 0x0A);
    pc.command(P, 0xA0, 0, 0, 0xEC);
    assert_eq!(pc.ready(P), 0x58);
    let w = words(&pc.block(P, 512));
    assert_eq!(pc.inb(P + 7), 0x50);
    assert!(!pc.irq(P));
    assert_eq!(w[0] & 0x8000, 0);
    assert_eq!(u32::from(w[60]) | u32::from(w[61]) << 16, 20_000);
    assert_eq!(u32::from(w[100]) | u32::from(w[101]) << 16, 20_000);
    assert_eq!((w[1], w[3], w[6]), (19, 16, 63));
    assert_eq!(w[255] & 0xFF, 0xA5);
    let sum = w.iter().flat_map(|w| w.to_le_bytes()).fold(0u8, u8::wrapping_add);
    assert_eq!(sum, 0);
    // The mode that SET FEATURES gives shows.
    pc.outb(0x3F6, 0x08);
    pc.outb(P + 1, 0x03);
    pc.command(P, 0xA0, 0, 0x22, 0xEF);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xA0, 0, 0, 0xEC);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(words(&pc.block(P, 512))[63], 0x0407);
}

#[test]
fn dos_reads_by_chs_with_an_interrupt_for_each_sector_but_none_after_the_last() {
    let (mut pc, _) = Pc::disk(20_000);
    // Cylinder 1, head 2, sector 3, four sectors.
    pc.command(P, 0xA2, 0x000103, 4, 0x20);
    for n in 0..4u64 {
        assert_eq!(pc.interrupt(P), 0x58);
        let block = pc.block(P, 512);
        assert_eq!(block[..8], (1008 + 2 * 63 + 2 + n).to_le_bytes());
    }
    pc.pass(1_000_000);
    assert!(!pc.irq(P));
    assert_eq!(pc.inb(P + 7), 0x50);
    // The registers name the last sector.
    assert_eq!((pc.inb(P + 3), pc.inb(P + 4), pc.inb(P + 6) & 0x0F, pc.inb(P + 2)), (6, 1, 2, 0));
}

#[test]
fn an_interrupt_comes_some_time_after_the_command_and_goes_with_the_status() {
    let (mut pc, _) = Pc::disk(100);
    pc.command(P, 0xE0, 5, 1, 0x20);
    assert_eq!(pc.inb(P + 7) & 0x80, 0x80);
    assert!(!pc.irq(P));
    pc.pass(20_000);
    assert!(pc.irq(P));
    assert_eq!(pc.inb(0x3F6), 0x58);
    assert!(pc.irq(P), "the alternate status leaves it");
    pc.inb(P + 7);
    assert!(!pc.irq(P));
}

#[test]
fn masked_interrupts_appear_when_they_are_unmasked() {
    let (mut pc, _) = Pc::disk(100);
    pc.outb(0x3F6, 0x02);
    pc.command(P, 0xE0, 0, 1, 0x40);
    pc.pass(50_000);
    assert!(!pc.irq(P));
    pc.outb(0x3F6, 0);
    assert!(pc.irq(P));
}

#[test]
fn multiple_reads_take_blocks_of_sectors_and_one_request_to_the_host() {
    let (mut pc, medium) = Pc::disk(1000);
    pc.command(P, 0xA0, 0, 16, 0xC6);
    assert_eq!(pc.interrupt(P), 0x50);
    let before = medium.0.borrow().requests;
    pc.command(P, 0xE0, 10, 40, 0xC4);
    let mut all = Vec::new();
    for len in [16, 16, 8] {
        assert_eq!(pc.interrupt(P), 0x58);
        all.extend(pc.block(P, len * 512));
    }
    assert_eq!(pc.inb(P + 7), 0x50);
    assert_eq!(all, medium.0.borrow().data[10 * 512..50 * 512]);
    assert_eq!(medium.0.borrow().requests - before, 1);
}

#[test]
fn writes_begin_without_an_interrupt_and_end_with_one() {
    let (mut pc, medium) = Pc::disk(1000);
    pc.command(P, 0xE0, 7, 3, 0x30);
    assert_eq!(pc.ready(P), 0x58);
    for n in 0..3u8 {
        assert!(!pc.irq(P));
        pc.write_block(P, &[0xA0 + n; 512]);
        let status = pc.interrupt(P);
        assert_eq!(status, if n == 2 { 0x50 } else { 0x58 });
    }
    let data = &medium.0.borrow().data;
    assert_eq!(data[7 * 512..8 * 512], [0xA0; 512]);
    assert_eq!(data[9 * 512..10 * 512], [0xA2; 512]);
    assert_eq!(data[10 * 512], 10);
}

#[test]
fn long_48_bit_transfers_go_through_the_buffer_in_pieces() {
    let (mut pc, medium) = Pc::disk(2000);
    pc.command_ext(P, 100, 600, 0x24);
    let mut all = Vec::new();
    for _ in 0..600 {
        assert_eq!(pc.interrupt(P), 0x58);
        all.extend(pc.block(P, 512));
    }
    assert_eq!(all, medium.0.borrow().data[100 * 512..700 * 512]);
    pc.command_ext(P, 1000, 600, 0x34);
    pc.ready(P);
    for n in 0..600 {
        pc.write_block(P, &all[n * 512..(n + 1) * 512]);
        pc.interrupt(P);
    }
    assert_eq!(all, medium.0.borrow().data[1000 * 512..1600 * 512]);
}

#[test]
fn the_high_order_byte_shows_what_was_written_before() {
    let (mut pc, _) = Pc::disk(2000);
    pc.outb(P + 4, 0x12);
    pc.outb(P + 4, 0x34);
    assert_eq!(pc.inb(P + 4), 0x34);
    pc.outb(0x3F6, 0x80);
    assert_eq!(pc.inb(P + 4), 0x12);
    pc.outb(P + 2, 0);
    assert_eq!(pc.inb(P + 4), 0x34);
    pc.command_ext(P, 0, 0, 0x27);
    pc.interrupt(P);
    assert_eq!((pc.inb(P + 3), pc.inb(P + 4)), (0xCF, 0x07));
}

#[test]
fn a_bad_sector_gives_all_before_it_and_then_its_address() {
    let (mut pc, medium) = Pc::disk(1000);
    medium.0.borrow_mut().bad = Some(23);
    pc.command(P, 0xE0, 20, 8, 0x20);
    for n in 20..23u64 {
        assert_eq!(pc.interrupt(P), 0x58);
        assert_eq!(pc.block(P, 512)[..8], n.to_le_bytes());
    }
    assert_eq!(pc.interrupt(P), 0x51);
    assert_eq!((pc.inb(P + 1), pc.inb(P + 3)), (0x40, 23));
    // The same in blocks: the whole block fails, the address is exact.
    pc.command(P, 0xA0, 0, 4, 0xC6);
    pc.interrupt(P);
    pc.command(P, 0xE0, 16, 16, 0xC4);
    assert_eq!(pc.interrupt(P), 0x58);
    pc.block(P, 2048);
    assert_eq!(pc.interrupt(P), 0x51);
    assert_eq!((pc.inb(P + 1), pc.inb(P + 3)), (0x40, 23));
    // And for writes.
    pc.command(P, 0xE0, 22, 2, 0x30);
    pc.ready(P);
    pc.write_block(P, &[1; 512]);
    assert_eq!(pc.interrupt(P), 0x58);
    pc.write_block(P, &[2; 512]);
    assert_eq!(pc.interrupt(P), 0x51);
    assert_eq!((pc.inb(P + 1), pc.inb(P + 3)), (0x04, 23));
    assert_eq!(medium.0.borrow().data[22 * 512], 1);
}

#[test]
fn a_host_that_is_not_ready_is_asked_again() {
    let (mut pc, medium) = Pc::disk(1000);
    medium.0.borrow_mut().pending = 5;
    pc.command(P, 0xE0, 3, 1, 0x20);
    pc.pass(300_000);
    assert_eq!(pc.inb(P + 7) & 0x80, 0x80);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(pc.block(P, 8)[0], 3);
}

#[test]
fn flush_reaches_the_host() {
    let (mut pc, medium) = Pc::disk(1000);
    for command in [0xE7, 0xEA, 0xE0] {
        pc.command(P, 0xE0, 0, 0, command);
        assert_eq!(pc.interrupt(P), 0x50);
    }
    assert_eq!(medium.0.borrow().flushed, 3);
}

#[test]
fn the_short_commands_answer() {
    let (mut pc, _) = Pc::disk(16 * 63 * 100);
    // INITIALIZE DEVICE PARAMETERS: 8 heads, 32 sectors.
    pc.command(P, 0xA7, 0, 32, 0x91);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xA0, 0, 0, 0xEC);
    pc.interrupt(P);
    let w = words(&pc.block(P, 512));
    assert_eq!(w[54..59], [393, 8, 32, (393 * 256) as u16, 1]);
    // RECALIBRATE, SEEK, READ VERIFY.
    pc.command(P, 0xA0, 0, 0, 0x10);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xA7, 0x018820, 0, 0x70);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xA7, 0x018921, 0, 0x70);
    assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x10), "there is no sector 33");
    pc.command(P, 0xE0, 100, 0, 0x40);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!(u16::from_le_bytes([pc.inb(P + 3), pc.inb(P + 4)]), 355);
    // CHECK POWER MODE after IDLE and STANDBY.
    for (command, mode) in [(0xE5, 0xFF), (0xE1, 0x80), (0xE0, 0x00)] {
        pc.command(P, 0xE0, 0, 0, command);
        pc.interrupt(P);
        pc.command(P, 0xE0, 0, 0, 0xE5);
        pc.interrupt(P);
        assert_eq!(pc.inb(P + 2), mode, "{command:02x}");
    }
    // READ NATIVE MAX, NOP, one that does not exist.
    pc.command(P, 0xE0, 0, 0, 0xF8);
    assert_eq!(pc.interrupt(P), 0x50);
    let last = [3, 4, 5].map(|n| pc.inb(P + n));
    assert_eq!(u32::from_le_bytes([last[0], last[1], last[2], 0]), 16 * 63 * 100 - 1);
    for command in [0x00, 0x08, 0xA1, 0xF1, 0xFF] {
        pc.command(P, 0xE0, 0, 0, command);
        assert_eq!((pc.interrupt(P), pc.inb(P + 1)), (0x51, 0x04), "{command:02x}");
    }
}

#[test]
fn sleep_ends_with_a_reset_only() {
    let (mut pc, _) = Pc::disk(100);
    pc.command(P, 0xE0, 0, 0, 0xE6);
    assert_eq!(pc.interrupt(P), 0x50);
    pc.command(P, 0xE0, 0, 1, 0x20);
    pc.pass(1_000_000);
    assert!(!pc.irq(P));
    pc.outb(0x3F6, 0x04);
    pc.outb(0x3F6, 0x00);
    assert_eq!(pc.ready(P), 0x50);
    pc.command(P, 0xE0, 0, 1, 0x20);
    assert_eq!(pc.interrupt(P), 0x58);
}

#[test]
fn smart_tells_of_good_health_and_wants_its_key() {
    let (mut pc, _) = Pc::disk(100);
    let smart = |pc: &mut Pc, feature: u8, lba: u32| {
        pc.outb(P + 1, feature);
        pc.command(P, 0xA0, lba, 1, 0xB0);
        pc.interrupt(P)
    };
    assert_eq!(smart(&mut pc, 0xDA, 0), 0x51);
    assert_eq!(smart(&mut pc, 0xDA, 0xC24F00), 0x50);
    assert_eq!((pc.inb(P + 4), pc.inb(P + 5)), (0x4F, 0xC2));
    for (feature, low) in [(0xD0, 0), (0xD1, 0), (0xD5, 1), (0xD5, 6)] {
        assert_eq!(smart(&mut pc, feature, 0xC24F00 | low), 0x58);
        let sum = pc.block(P, 512).into_iter().fold(0u8, u8::wrapping_add);
        assert_eq!(sum, 0);
    }
    assert_eq!(smart(&mut pc, 0xD9, 0xC24F00), 0x50);
    assert_eq!(smart(&mut pc, 0xD0, 0xC24F00), 0x51);
    assert_eq!(smart(&mut pc, 0xD8, 0xC24F00), 0x50);
    assert_eq!(smart(&mut pc, 0xD0, 0xC24F00), 0x58);
}

#[test]
fn two_drives_keep_their_interrupts_apart() {
    let slots = [IdeSlot::Disk, IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty];
    let (a, b) = (Shared::new(100), Shared::new(200));
    let mut pc = Pc::new(slots, [Some(a), Some(b), None, None]);
    pc.command(P, 0xF0, 5, 1, 0x20);
    pc.pass(20_000);
    assert!(pc.irq(P));
    pc.outb(P + 6, 0xE0);
    assert!(!pc.irq(P), "the master wants nothing");
    assert_eq!(pc.inb(P + 7), 0x50);
    pc.outb(P + 6, 0xF0);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(pc.block(P, 512)[0], 5);
    // EXECUTE DEVICE DIAGNOSTIC: both answer, the master is selected.
    pc.outb(P + 7, 0x90);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!((pc.inb(P + 1), pc.inb(P + 6) & 0x10), (1, 0));
}

#[test]
fn a_channel_without_drives_floats() {
    let (mut pc, _) = Pc::disk(100);
    for n in 1..8 {
        assert_eq!(pc.inb(0x170 + n), 0x7F);
    }
    assert_eq!(pc.inb(0x376), 0x7F);
    pc.command(0x170, 0xE0, 0, 1, 0x20);
    pc.outb(0x376, 4);
    pc.outb(0x376, 0);
    pc.pass(1_000_000);
    assert_eq!(pc.inb(0x177), 0x7F);
    assert!(!pc.irq(0x170));
}

#[test]
fn a_lone_slave_leaves_the_master_floating() {
    let slots = [IdeSlot::Empty, IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty];
    let mut pc = Pc::new(slots, [None, Some(Shared::new(100)), None, None]);
    assert_eq!(pc.inb(P + 7), 0x7F);
    pc.outb(P + 6, 0xB0);
    assert_eq!(pc.inb(P + 7), 0x50);
    pc.command(P, 0xF0, 9, 1, 0x20);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(pc.block(P, 512)[0], 9);
}

#[test]
fn a_string_read_may_take_all_that_is_ready() {
    let (mut pc, medium) = Pc::disk(100);
    pc.command(P, 0xE0, 0, 2, 0x20);
    pc.interrupt(P);
    assert_eq!(pc.ide.ready(P), &medium.0.borrow().data[..512]);
    let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
    pc.ide.take(P, 500, &mut bus);
    assert_eq!(pc.ide.ready(P).len(), 12);
    pc.ide.take(P, 4000, &mut bus);
    assert_eq!(pc.ide.ready(P).len(), 0);
    assert_eq!(pc.interrupt(P), 0x58);
    assert_eq!(pc.input(P, Width::Dword), 1);
}

#[test]
fn a_state_image_taken_in_mid_transfer_goes_on() {
    let (mut pc, medium) = Pc::disk(1000);
    pc.command(P, 0xE0, 10, 4, 0x20);
    pc.interrupt(P);
    pc.block(P, 200);
    let image = crate::devices::save_section(&mut pc.ide);
    let config =
        Config { ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Empty], ..Config::default() };
    let mut ide = Ide::new(&config);
    ide.archive(&mut Archive::load(&image, 1));
    pc.ide = ide;
    let mut rest = pc.block(P, 312);
    for _ in 0..3 {
        pc.interrupt(P);
        rest.extend(pc.block(P, 512));
    }
    assert_eq!(rest, medium.0.borrow().data[10 * 512 + 200..14 * 512]);
}
