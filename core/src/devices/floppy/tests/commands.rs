use super::*;

#[test]
fn a_reset_is_told_by_one_interrupt_and_four_statuses() {
    let mut pc = Pc::cold([None, None]);
    assert_eq!(pc.inb(port::MSR_DSR), 0, "in reset since power-on");
    pc.out(port::DOR, 0x0C);
    assert_eq!(pc.inb(port::MSR_DSR), 0);
    pc.wait();
    assert!(pc.irq());
    assert_eq!(pc.inb(port::MSR_DSR), msr::RQM);
    for drive in 0..4 {
        assert_eq!(pc.command(&[0x08]), [0xC0 | drive, 0]);
        assert!(!pc.irq());
    }
    assert_eq!(pc.command(&[0x08]), [0x80], "nothing more to tell");
    // The data rate select register's reset ends by itself.
    pc.out(port::MSR_DSR, 0x80);
    assert_eq!(pc.inb(port::MSR_DSR), 0);
    pc.wait();
    assert!(pc.irq());
}

#[test]
fn interrupts_stay_behind_a_closed_gate() {
    let mut pc = Pc::cold([None, None]);
    pc.out(port::DOR, 0x04);
    while pc.tick() {}
    assert!(!pc.irq());
    pc.out(port::DOR, 0x0C);
    assert!(pc.irq());
}

#[test]
fn linux_finds_an_82077aa() {
    let mut pc = Pc::new([None, None]);
    let registers = pc.command(&[0x0E]);
    assert_eq!(registers.len(), 10, "not an 8272A");
    assert_eq!(registers[4..6], [0xAF, 0x02]);
    pc.send(&[0x13, 0x00, 0x57, 0x20]);
    assert_eq!(pc.command(&[0x0E])[8..], [0x57, 0x20]);
    assert_eq!(pc.command(&[0x94]), [0x10]);
    // What is locked stays through a reset, but for implied seeks and polling.
    pc.out(port::DOR, 0x38);
    pc.out(port::DOR, 0x3C);
    pc.wait();
    assert_eq!(pc.command(&[0x0E])[7..], [0x80, 0x07, 0x20]);
    assert_eq!(pc.command(&[0x14]), [0x00]);
    pc.out(port::MSR_DSR, 0x80);
    pc.wait();
    assert_eq!(pc.command(&[0x0E])[7..], [0x00, 0x20, 0x00]);
    assert_eq!(pc.command(&[0x10]), [0x90]);
    assert_eq!(pc.command(&[0x18]), [0x80], "no part id: older than the 82078");
    pc.send(&[0x12, 0x84]);
    assert_eq!(pc.command(&[0x0E])[7], 0x04);
}

#[test]
fn without_polling_a_reset_is_silent() {
    let mut pc = Pc::new([None, None]);
    pc.send(&[0x13, 0x00, 0x10, 0x00]);
    pc.command(&[0x94]);
    pc.out(port::MSR_DSR, 0x80);
    while pc.tick() {}
    // A reset turns polling on again, locked or not.
    assert!(pc.irq());
}

#[test]
fn heads_seek_and_come_back() {
    let (mut pc, _) = Pc::floppy();
    assert_eq!(pc.seek(&[0x0F, 0x04, 40]), [0x20, 40]);
    assert_eq!(pc.command(&[0x04, 0x04]), [0x2C], "side 1, not over track 0");
    assert_eq!(pc.seek(&[0xCF, 0x00, 5]), [0x20, 45]);
    assert_eq!(pc.seek(&[0x8F, 0x00, 9]), [0x20, 36]);
    assert_eq!(pc.seek(&[0x0F, 0x00, 200]), [0x20, 83], "as far as it goes");
    assert_eq!(pc.seek(&[0x07, 0x00]), [0x20, 0]);
    assert_eq!(pc.command(&[0x04, 0x00]), [0x38]);
}

#[test]
fn two_drives_seek_at_once() {
    let mut pc = Pc::new([Some(Shared::new(2880)), Some(Shared::new(1440))]);
    pc.send(&[0x0F, 0x00, 70]);
    pc.send(&[0x0F, 0x01, 10]);
    assert_eq!(pc.inb(port::MSR_DSR), msr::RQM | 3, "both are busy");
    pc.wait();
    assert_eq!(pc.command(&[0x08]), [0x21, 10]);
    assert!(!pc.irq());
    pc.wait();
    assert_eq!(pc.command(&[0x08]), [0x20, 70]);
    assert_eq!(pc.inb(port::MSR_DSR), msr::RQM);
}

#[test]
fn a_drive_that_is_not_there_has_no_track_0() {
    let mut pc = Pc::new([None, None]);
    assert_eq!(pc.seek(&[0x07, 0x02]), [0x72, 0]);
    assert_eq!(pc.command(&[0x04, 0x02]), [0x2A]);
}

#[test]
fn the_change_line_falls_with_the_first_step_over_a_medium() {
    let (mut pc, _) = Pc::floppy();
    assert_eq!(pc.inb(port::DIR_CCR), 0x80, "since power-on");
    pc.seek(&[0x07, 0x00]);
    assert_eq!(pc.inb(port::DIR_CCR), 0x80, "no step at track 0");
    pc.seek(&[0x0F, 0x00, 1]);
    assert_eq!(pc.inb(port::DIR_CCR), 0x00);
    // The user takes the floppy out, and puts another in.
    pc.host.drives.floppy[0] = None;
    pc.fdc.media_changed(0);
    pc.seek(&[0x0F, 0x00, 5]);
    assert_eq!(pc.inb(port::DIR_CCR), 0x80, "an empty drive keeps it up");
    pc.host.drives.floppy[0] = Some(Box::new(Shared::new(1440)));
    pc.fdc.media_changed(0);
    assert_eq!(pc.inb(port::DIR_CCR), 0x80);
    pc.out(port::DOR, 0x0C);
    assert_eq!(pc.inb(port::DIR_CCR), 0x00, "a drive that stands still says nothing");
    pc.out(port::DOR, 0x1C);
    pc.seek(&[0x07, 0x00]);
    assert_eq!(pc.inb(port::DIR_CCR), 0x00);
    pc.out(port::DOR, 0x1E);
    assert_eq!(pc.inb(port::DIR_CCR), 0x00, "nor does one that is not there");
}

#[test]
fn write_protection_shows() {
    let medium = Shared::new(2880);
    medium.0.borrow_mut().read_only = true;
    let mut pc = Pc::new([Some(medium), None]);
    assert_eq!(pc.command(&[0x04, 0x00]), [0x78]);
    assert_eq!(pc.command(&[0x04, 0x01]), [0x39]);
}

#[test]
fn drives_are_of_the_type_that_their_media_need_at_power_on() {
    for (sectors, kind) in [
        (320, DriveType::D360),
        (720, DriveType::D360),
        (1440, DriveType::D1440),
        (2400, DriveType::D1200),
        (2880, DriveType::D1440),
        (5760, DriveType::D2880),
        (1, DriveType::D1440),
    ] {
        let pc = Pc::cold([Some(Shared::new(sectors)), None]);
        assert_eq!(pc.fdc.drive_type(0), kind, "{sectors}");
        assert_eq!(pc.fdc.drive_type(1), DriveType::D1440);
        assert_eq!(pc.fdc.drive_type(2), DriveType::None);
    }
}

#[test]
fn a_machine_without_drives_has_no_controller() {
    let config = Config { floppies: 0, video_memory: 1 << 20, ..Config::default() };
    let (mut board, mut host) = (testing::board(&config), Host::null());
    let mut fdc = Floppy::new(&config);
    let mut bus = Bus { board: &mut board, host: &mut host };
    fdc.reset(&mut bus);
    fdc.write(port::DOR, Width::Byte, 0x0C, &mut bus);
    assert_eq!(fdc.read(port::MSR_DSR, Width::Byte, &mut bus), 0xFF);
    assert_eq!(bus.board.timers.next(), Instant::FAR);
}

#[test]
fn the_at_mode_hides_status_registers_a_and_b() {
    let mut pc = Pc::new([None, None]);
    assert_eq!((pc.inb(0x3F0), pc.inb(0x3F1)), (0xFF, 0xFF));
    pc.out(port::TDR, 0xFF);
    assert_eq!(pc.inb(port::TDR), 3);
    assert_eq!(pc.inb(port::DOR), 0x3C);
}
