use super::reg::{bit, st1, st2};
use super::*;

/// READ DATA, double density: drive 0, cylinder, side, first and last sector.
fn read(cylinder: u8, side: u8, from: u8, to: u8) -> [u8; 9] {
    [0x46, side << 2, cylinder, side, from, 2, to, 0x1B, 0xFF]
}

/// The same for both sides of the cylinder.
fn read_both(cylinder: u8, from: u8, to: u8) -> [u8; 9] {
    let mut command = read(cylinder, 0, from, to);
    command[0] |= bit::MT;
    command
}

#[test]
fn a_bios_reads_the_boot_sector() {
    let (mut pc, _) = Pc::floppy();
    pc.channel(0x44, 512);
    pc.send(&read(0, 0, 1, 18));
    assert_eq!(pc.inb(port::MSR_DSR), msr::BUSY, "nothing for the guest to do");
    pc.wait();
    assert!(pc.irq());
    assert_eq!(pc.result(), [0, 0, 0, 0, 0, 2, 2], "the terminal count ends it before the next sector");
    assert_eq!(pc.sectors(1), [0]);
    assert!(!pc.irq());
}

#[test]
fn a_cylinder_is_read_across_both_sides() {
    let (mut pc, _) = Pc::floppy();
    pc.seek(&[0x0F, 0, 3]);
    pc.channel(0x44, 21 * 512);
    assert_eq!(pc.run(&read_both(3, 17, 18)), [0x44, 0x80, 0, 4, 0, 1, 2], "20 sectors, no terminal count");
    assert_eq!(pc.sectors(20), (124..144).collect::<Vec<_>>());
    pc.channel(0x44, 20 * 512);
    assert_eq!(pc.run(&read_both(3, 1, 18)), [0x04, 0, 0, 3, 1, 3, 2]);
    assert_eq!(pc.sectors(20), (108..128).collect::<Vec<_>>());
}

#[test]
fn results_after_the_terminal_count_point_to_the_next_sector() {
    // The data sheet's table: multi-track, side, last sector read or not; cylinder, side and sector told.
    for (both, side, last, told) in [
        (false, 0, false, [7, 0, 6]),
        (false, 0, true, [8, 0, 1]),
        (false, 1, false, [7, 1, 6]),
        (false, 1, true, [8, 1, 1]),
        (true, 0, false, [7, 0, 6]),
        (true, 0, true, [7, 1, 1]),
        (true, 1, false, [7, 1, 6]),
        (true, 1, true, [8, 0, 1]),
    ] {
        let (mut pc, _) = Pc::floppy();
        pc.seek(&[0x0F, 0, 7]);
        pc.channel(0x44, 512);
        let mut command = read(7, side, 5, if last { 5 } else { 18 });
        command[0] |= if both { bit::MT } else { 0 };
        let result = pc.run(&command);
        assert_eq!(result[1..3], [0, 0]);
        assert_eq!(result[0], side << 2);
        assert_eq!(result[3..6], told, "{both} {side} {last}");
    }
}

#[test]
fn sectors_are_written_and_a_short_count_is_filled_with_zeros() {
    let (mut pc, medium) = Pc::floppy();
    pc.seek(&[0x0F, 0, 79]);
    let data: Vec<u8> = (0..700_u32).map(|n| n as u8 ^ 0xA5).collect();
    pc.board.memory.write(BUFFER, &data);
    pc.channel(0x48, 700);
    assert_eq!(pc.run(&[0x45, 0x04, 79, 1, 17, 2, 18, 0x1B, 0xFF]), [0x04, 0, 0, 80, 1, 1, 2]);
    let image = medium.0.borrow().data.clone();
    assert_eq!(image[2878 * 512..][..700], data);
    assert!(image[2878 * 512 + 700..].iter().all(|b| *b == 0));
    assert_eq!(image[2877 * 512], 2877_u32 as u8, "the sector before is as it was");
}

#[test]
fn protected_media_are_not_written() {
    for command in [&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF][..], &[0x4D, 0, 2, 18, 0x6C, 0xF6]] {
        let medium = Shared::new(2880);
        medium.0.borrow_mut().read_only = true;
        let mut pc = Pc::new([Some(medium.clone()), None]);
        pc.channel(0x48, 512);
        let result = pc.run(command);
        assert_eq!(result[..3], [0x40, st1::NOT_WRITABLE, 0]);
        assert_eq!(medium.0.borrow().data[512], 1);
    }
}

#[test]
fn programmed_io_moves_each_byte_and_ends_behind_the_last_sector() {
    let (mut pc, medium) = Pc::floppy();
    pc.send(&[0x03, 0xAF, 0x03]);
    pc.send(&read(0, 1, 2, 3));
    assert_eq!(pc.inb(port::MSR_DSR), msr::BUSY | msr::NON_DMA);
    let mut data = Vec::new();
    for sector in 0..2 {
        pc.wait();
        assert!(pc.irq(), "each sector is announced");
        for _ in 0..512 {
            assert_eq!(pc.inb(port::MSR_DSR), 0xF0);
            data.push(pc.inb(port::FIFO));
        }
        assert_eq!(pc.irq(), sector == 1, "and so is the result");
    }
    // Nobody can give a terminal count: the end of the cylinder it is.
    assert_eq!(pc.result(), [0x44, 0x80, 0, 1, 1, 1, 2]);
    assert_eq!(data, medium.0.borrow().data[19 * 512..21 * 512]);
    pc.send(&[0x45, 0, 0, 0, 5, 2, 5, 0x1B, 0xFF]);
    pc.wait();
    for n in 0..512_u32 {
        assert_eq!(pc.inb(port::MSR_DSR), 0xB0);
        pc.out(port::FIFO, n as u8);
    }
    pc.wait();
    assert_eq!(pc.result()[..2], [0x40, 0x80]);
    assert!(medium.0.borrow().data[4 * 512..5 * 512].iter().enumerate().all(|(n, b)| *b == n as u8));
}

#[test]
fn sectors_that_are_not_there_end_a_read() {
    let (mut pc, medium) = Pc::floppy();
    for (command, one, two) in [
        (read(5, 0, 1, 18), st1::NO_DATA, st2::WRONG_CYLINDER),
        (read(0xFF, 0, 1, 18), st1::NO_DATA, st2::WRONG_CYLINDER | st2::BAD_CYLINDER),
        (read(0, 0, 19, 20), st1::NO_DATA, 0),
        (read(0, 0, 0, 18), st1::NO_DATA, 0),
        ([0x46, 0, 0, 1, 1, 2, 18, 0, 0xFF], st1::NO_DATA, 0),
        ([0x46, 0, 0, 0, 1, 3, 18, 0, 0xFF], st1::NO_DATA, 0),
        ([0x06, 0, 0, 0, 1, 2, 18, 0, 0xFF], st1::MISSING_MARK, 0),
        ([0x46, 1, 0, 0, 1, 2, 18, 0, 0xFF], st1::MISSING_MARK, 0),
    ] {
        pc.channel(0x44, 512);
        let result = pc.run(&command);
        assert_eq!(result[..3], [0x40 | command[1], one, two], "{command:x?}");
        assert_eq!(result[3..], command[2..6], "the address stays");
    }
    medium.0.borrow_mut().bad = Some(1);
    pc.channel(0x44, 1024);
    assert_eq!(pc.run(&read(0, 0, 1, 18)), [0x40, st1::DATA_ERROR, st2::DATA_ERROR, 0, 0, 2, 2]);
    assert_eq!(pc.sectors(1), [0], "what comes before is read");
}

#[test]
fn each_density_has_its_data_rate() {
    for (sectors, rates) in [(640, 0b0110), (1440, 0b0110), (2400, 0b0001), (2880, 0b0001), (5760, 0b1000)] {
        let mut pc = Pc::new([Some(Shared::new(sectors)), None]);
        for selected in 0..4 {
            pc.out(port::DIR_CCR, selected);
            pc.channel(0x44, 512);
            let result = pc.run(&read(0, 0, 1, 8));
            assert_eq!(
                result[1] & st1::MISSING_MARK == 0,
                rates >> selected & 1 != 0,
                "{sectors} {selected}"
            );
        }
    }
}

#[test]
fn every_format_is_read_to_its_last_sector() {
    for (sectors, rate, cylinders, heads, spt) in [
        (320, 2, 40, 1, 8),
        (360, 1, 40, 1, 9),
        (640, 2, 40, 2, 8),
        (720, 1, 40, 2, 9),
        (1440, 2, 80, 2, 9),
        (2400, 0, 80, 2, 15),
        (2880, 0, 80, 2, 18),
        (3360, 0, 80, 2, 21),
        (5760, 3, 80, 2, 36),
    ] {
        let mut pc = Pc::new([Some(Shared::new(sectors)), None]);
        pc.out(port::DIR_CCR, rate);
        pc.seek(&[0x0F, 0, cylinders - 1]);
        pc.channel(0x44, 512);
        let result = pc.run(&read(cylinders - 1, heads - 1, spt, spt));
        assert_eq!(result[1..3], [0, 0], "{sectors}");
        assert_eq!(pc.sectors(1), [sectors as u64 - 1]);
    }
}

#[test]
fn a_drive_of_80_cylinders_finds_those_of_40_at_every_other_step() {
    let mut pc = Pc::new([Some(Shared::new(2400)), None]);
    pc.host.drives.floppy[0] = Some(Box::new(Shared::new(720)));
    pc.fdc.media_changed(0);
    pc.out(port::DIR_CCR, 1);
    pc.seek(&[0x0F, 0, 20]);
    pc.channel(0x44, 512);
    assert_eq!(pc.run(&read(10, 0, 1, 9))[..3], [0, 0, 0]);
    assert_eq!(pc.sectors(1), [10 * 18]);
}

#[test]
fn an_image_shorter_than_its_format_reads_as_zeros_behind_its_end() {
    let mut pc = Pc::new([Some(Shared::new(3)), None]);
    pc.channel(0x44, 4 * 512);
    assert_eq!(pc.run(&read(0, 0, 2, 18))[..3], [0, 0, 0]);
    assert_eq!(pc.sectors(4), [1, 2, 0, 0]);
    pc.channel(0x48, 512);
    assert_eq!(pc.run(&[0x45, 0, 0, 0, 9, 2, 18, 0x1B, 0xFF])[1], st1::DATA_ERROR);
}

#[test]
fn read_id_tells_where_the_head_is() {
    let (mut pc, _) = Pc::floppy();
    pc.seek(&[0x0F, 0, 33]);
    let mut seen = [0; 19];
    for _ in 0..300 {
        let result = pc.run(&[0x4A, 0x04]);
        assert_eq!((result[0], result[3], result[4], result[6]), (0x04, 33, 1, 2));
        seen[usize::from(result[5])] += 1;
        pc.board.now += 70_000;
    }
    assert!(seen[0] == 0 && seen[1..].iter().all(|n| *n > 0), "{seen:?}");
    pc.out(port::DIR_CCR, 2);
    assert_eq!(pc.run(&[0x4A, 0x00])[..2], [0x40, st1::MISSING_MARK]);
}

#[test]
fn a_track_is_formatted() {
    let (mut pc, medium) = Pc::floppy();
    pc.seek(&[0x0F, 0, 2]);
    let ids: Vec<u8> = (1..=18).flat_map(|record| [2, 1, record, 2]).collect();
    pc.board.memory.write(BUFFER, &ids);
    pc.channel(0x48, 72);
    assert_eq!(pc.run(&[0x4D, 0x04, 2, 18, 0x6C, 0xF6])[..3], [0x04, 0, 0]);
    let image = medium.0.borrow().data.clone();
    let track = (2 * 2 + 1) * 18 * 512;
    assert!(image[track..track + 18 * 512].iter().all(|b| *b == 0xF6));
    assert_eq!(image[track - 512], (track / 512 - 1) as u8);
    assert_eq!(image[track + 18 * 512], (track / 512 + 18) as u8);
    // Sectors that the image cannot hold.
    pc.board.memory.write(BUFFER, &[2, 1, 19, 2]);
    pc.channel(0x48, 4);
    assert_eq!(pc.run(&[0x4D, 0x04, 2, 18, 0x6C, 0xF6])[..2], [0x44, st1::NO_DATA]);
}

#[test]
fn verifying_moves_nothing() {
    let (mut pc, medium) = Pc::floppy();
    assert_eq!(pc.run(&[0xD6, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..3], [0x04, 0, 0]);
    assert_eq!(pc.run(&[0x56, 0x80, 0, 0, 1, 2, 18, 0x1B, 5]), [0, 0, 0, 0, 0, 6, 2]);
    medium.0.borrow_mut().bad = Some(3);
    assert_eq!(pc.run(&[0x56, 0x80, 0, 0, 1, 2, 18, 0x1B, 5])[..3], [0x40, st1::DATA_ERROR, st2::DATA_ERROR]);
}

#[test]
fn a_track_is_read_from_its_index_on() {
    let (mut pc, _) = Pc::floppy();
    pc.channel(0x44, 3 * 512);
    assert_eq!(pc.run(&[0x42, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF])[..3], [0, 0, 0]);
    assert_eq!(pc.sectors(3), [0, 1, 2]);
    pc.channel(0x44, 3 * 512);
    assert_eq!(
        pc.run(&[0x42, 0, 0, 0, 9, 2, 18, 0x1B, 0xFF])[..2],
        [0, st1::NO_DATA],
        "another sector asked for"
    );
    assert_eq!(pc.sectors(3), [0, 1, 2]);
}

#[test]
fn scans_look_for_a_sector() {
    let (mut pc, medium) = Pc::floppy();
    for (n, value) in [3, 5, 7, 9].into_iter().enumerate() {
        medium.0.borrow_mut().data[n * 512..][..512].fill(value);
    }
    for (command, value, record, status) in [
        (0x51, 7, 3, st2::SCAN_EQUAL),
        (0x51, 8, 1, st2::SCAN_NOT_SATISFIED),
        (0x59, 4, 1, 0),
        (0x5D, 6, 3, 0),
        (0x5D, 9, 4, st2::SCAN_EQUAL),
        (0x51, 0xFF, 1, st2::SCAN_EQUAL),
    ] {
        pc.board.memory.write(BUFFER, &[value; 4 * 512]);
        pc.channel(0x48, 5 * 512);
        let result = pc.run(&[command, 0, 0, 0, 1, 2, 4, 0x1B, 1]);
        assert_eq!((result[0], result[2]), (0, status), "{command:x} {value}");
        let told = if status == st2::SCAN_NOT_SATISFIED { 1 } else { record };
        assert_eq!(result[5], told);
    }
}

#[test]
fn deleted_data_are_not_there() {
    let (mut pc, _) = Pc::floppy();
    pc.channel(0x44, 1024);
    assert_eq!(pc.run(&[0x4C, 0, 0, 0, 4, 2, 18, 0x1B, 0xFF]), [0, 0, st2::CONTROL_MARK, 0, 0, 4, 2]);
    assert_eq!(pc.sectors(2), [3, 0], "one sector is read");
    pc.channel(0x44, 1024);
    pc.board.memory.write(BUFFER, &[0; 512]);
    assert_eq!(pc.run(&[0x6C, 0, 0, 0, 4, 2, 18, 0x1B, 0xFF])[2], st2::CONTROL_MARK);
    assert_eq!(pc.sectors(1), [0], "and with SK, none");
}

#[test]
fn implied_seeks_go_where_the_command_says() {
    let (mut pc, _) = Pc::floppy();
    pc.send(&[0x13, 0x00, 0x47, 0x00]);
    pc.channel(0x44, 512);
    assert_eq!(pc.run(&read(60, 1, 1, 18)), [0x24, 0, 0, 60, 1, 2, 2]);
    assert_eq!(pc.sectors(1), [60 * 36 + 18]);
    assert_eq!(pc.inb(port::DIR_CCR), 0);
}

#[test]
fn disks_that_are_not_ready_or_full_are_asked_again() {
    let (mut pc, medium) = Pc::floppy();
    medium.0.borrow_mut().pending = 3;
    pc.channel(0x44, 512);
    assert_eq!(pc.run(&read(0, 0, 2, 18))[..3], [0, 0, 0]);
    assert_eq!(pc.sectors(1), [1]);
    medium.0.borrow_mut().full = true;
    pc.board.memory.write(BUFFER, &[9; 512]);
    pc.channel(0x48, 512);
    pc.send(&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    for _ in 0..20 {
        pc.tick();
    }
    assert!(!pc.irq());
    medium.0.borrow_mut().full = false;
    pc.wait();
    assert_eq!(pc.result()[..3], [0, 0, 0]);
    assert_eq!(medium.0.borrow().data[..512], [9; 512]);
}
