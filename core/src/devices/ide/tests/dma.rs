//! Disks by the bus master.

use super::*;

const P: u16 = 0x1F0;
const TABLE: u32 = 0x8000;

/// Puts a table of regions into memory.
fn table(pc: &mut Pc, regions: &[(u32, u16)]) {
    for (n, &(address, count)) in regions.iter().enumerate() {
        let last = if n + 1 == regions.len() { 0x8000_0000 } else { 0 };
        let at = u64::from(TABLE) + 8 * n as u64;
        pc.board.memory.write(at, &address.to_le_bytes());
        pc.board.memory.write(at + 4, &(u32::from(count) | last).to_le_bytes());
    }
}

/// What ata_bmdma_setup and _start do around a command.
fn dma(pc: &mut Pc, lba: u64, count: u16, command: u8) {
    let direction = if matches!(command, 0xCA | 0x35) { 0 } else { 8 };
    pc.output(MASTER + 4, Width::Dword, TABLE);
    pc.outb(MASTER, direction);
    pc.outb(MASTER + 2, 0x66);
    pc.command_ext(P, lba, count, command);
    pc.outb(MASTER, direction | 1);
}

#[test]
fn linux_reads_through_a_scattered_table() {
    let (mut pc, medium) = Pc::disk(1000);
    table(&mut pc, &[(0x1_0000, 0x200), (0x3_0002, 0x3FE), (0x2_0000, 0xA02)]);
    dma(&mut pc, 40, 8, 0x25);
    while !pc.irq(P) {
        pc.pass(1_000);
    }
    assert_eq!(pc.inb(MASTER + 2), 0x64, "interrupt, not active, no error");
    assert_eq!(pc.inb(P + 7), 0x50);
    pc.outb(MASTER, 8);
    pc.outb(MASTER + 2, 0x64);
    assert_eq!(pc.inb(MASTER + 2), 0x60);
    let mut got = vec![0; 0x1000];
    assert!(pc.board.memory.read(0x1_0000, &mut got[..0x200]));
    assert!(pc.board.memory.read(0x3_0002, &mut got[0x200..0x5FE]));
    assert!(pc.board.memory.read(0x2_0000, &mut got[0x5FE..]));
    assert_eq!(got, medium.0.borrow().data[40 * 512..48 * 512]);
}

#[test]
fn linux_writes_a_megabyte_in_few_requests() {
    let (mut pc, medium) = Pc::disk(4000);
    let regions: Vec<_> = (0..16).map(|n| (0x8_0000 + n * 0x1_0000, 0)).collect();
    table(&mut pc, &regions);
    let mut pattern = vec![0u8; 1 << 20];
    for (n, byte) in pattern.iter_mut().enumerate() {
        *byte = (n * 31 + n / 512) as u8;
    }
    // Under 1 MiB there is the hole for video memory: map it as RAM for this test.
    for page in 0xA0..0xC0 {
        let to = crate::memory::Target::Memory(page << 12);
        pc.board.memory.map_low(page, to, to);
    }
    assert!(pc.board.memory.write(0x8_0000, &pattern));
    let before = medium.0.borrow().requests;
    dma(&mut pc, 1000, 2048, 0x35);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!(pc.inb(MASTER + 2) & 7, 4);
    assert!(medium.0.borrow().data[1000 * 512..3048 * 512] == pattern[..]);
    assert_eq!(medium.0.borrow().requests - before, 8);
}

#[test]
fn the_master_may_start_before_the_command() {
    let (mut pc, _) = Pc::disk(1000);
    table(&mut pc, &[(0x1_0000, 0x200)]);
    pc.output(MASTER + 4, Width::Dword, TABLE);
    pc.outb(MASTER, 9);
    pc.command(P, 0xE0, 77, 1, 0xC8);
    assert_eq!(pc.interrupt(P), 0x50);
    let mut byte = [0];
    assert!(pc.board.memory.read(0x1_0000, &mut byte));
    assert_eq!(byte, [77]);
}

#[test]
fn a_longer_table_leaves_the_master_active_and_a_shorter_one_leaves_the_drive_waiting() {
    let (mut pc, medium) = Pc::disk(1000);
    table(&mut pc, &[(0x1_0000, 0x2000)]);
    dma(&mut pc, 3, 1, 0x25);
    assert_eq!(pc.interrupt(P), 0x50);
    assert_eq!(pc.inb(MASTER + 2) & 7, 5);
    pc.outb(MASTER, 0);
    assert_eq!(pc.inb(MASTER + 2) & 7, 4);
    // Shorter: neither active nor an interrupt.
    table(&mut pc, &[(0x1_0000, 0x200)]);
    dma(&mut pc, 3, 2, 0x25);
    pc.pass(1_000_000);
    assert!(!pc.irq(P));
    assert_eq!(pc.inb(MASTER + 2) & 7, 0);
    // Started again with the rest, it ends.
    table(&mut pc, &[(0x1_0200, 0x200)]);
    pc.outb(MASTER, 8);
    pc.outb(MASTER, 9);
    assert_eq!(pc.interrupt(P), 0x50);
    let mut got = vec![0; 1024];
    assert!(pc.board.memory.read(0x1_0000, &mut got));
    assert_eq!(got, medium.0.borrow().data[3 * 512..5 * 512]);
}

#[test]
fn a_drive_s_error_stops_the_transfer_at_the_bad_sector() {
    let (mut pc, medium) = Pc::disk(1000);
    medium.0.borrow_mut().bad = Some(12);
    table(&mut pc, &[(0x1_0000, 0x1000)]);
    dma(&mut pc, 10, 8, 0x25);
    assert_eq!(pc.interrupt(P), 0x51);
    assert_eq!((pc.inb(P + 1), pc.inb(P + 3)), (0x40, 12));
    let mut byte = [0];
    assert!(pc.board.memory.read(0x1_0200, &mut byte));
    assert_eq!(byte, [11]);
}

#[test]
fn without_the_master_bit_in_configuration_space_nothing_moves() {
    let (mut pc, _) = Pc::disk(1000);
    pc.board.write_pci(Slot::IDE, pci::COMMAND, &[1, 0]);
    table(&mut pc, &[(0x1_0000, 0x200)]);
    dma(&mut pc, 3, 1, 0x25);
    pc.pass(1_000_000);
    assert!(!pc.irq(P));
}

#[test]
fn the_secondary_channel_has_its_own_master() {
    let slots = [IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Disk, IdeSlot::Empty];
    let mut pc = Pc::new(slots, [None, None, Some(Shared::new(100)), None]);
    table(&mut pc, &[(0x1_0000, 0x200)]);
    pc.output(MASTER + 12, Width::Dword, TABLE);
    pc.outb(MASTER + 8, 9);
    pc.command(0x170, 0xE0, 42, 1, 0xC8);
    assert_eq!(pc.interrupt(0x170), 0x50);
    assert_eq!((pc.inb(MASTER + 10) & 7, pc.inb(MASTER + 2) & 7), (4, 0));
    let mut byte = [0];
    assert!(pc.board.memory.read(0x1_0000, &mut byte));
    assert_eq!(byte, [42]);
}
