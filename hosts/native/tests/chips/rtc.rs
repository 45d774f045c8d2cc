use super::Pair;

/// Century, year, month, day, weekday, hours, minutes, seconds.
const TIME: [u8; 8] = [0x32, 9, 8, 7, 6, 4, 2, 0];
const SECOND: u64 = 1_000_000_000;

fn get(pair: &mut Pair, index: u8) -> u8 {
    pair.out(0x70, index);
    pair.same(0x71)
}

fn set(pair: &mut Pair, index: u8, value: u8) {
    pair.out(0x70, index);
    pair.out(0x71, value);
}

/// Half a second after both have turned to a new second.
fn settle(pair: &mut Pair) {
    set(pair, 0x0B, 0x02);
    for _ in 0..1000 {
        pair.step(1_000_000);
        pair.out(0x70, 0);
        let (ours, theirs) = pair.both(0x71);
        let before = ours == theirs;
        pair.step(400_000_000);
        let (ours, theirs) = pair.both(0x71);
        if before && ours == theirs {
            return;
        }
    }
    panic!("seconds never agree");
}

#[test]
fn setting_the_time_in_every_format_and_letting_it_turn() {
    let Some(mut pair) = Pair::start() else { return };
    // The last seconds of a day in each kind of month, with the right weekday: QEMU works it out, chips count.
    const DAYS: [(u8, u8, u8, u8); 8] = [
        (24, 2, 28, 4),
        (23, 2, 28, 3),
        (24, 2, 29, 5),
        (99, 12, 31, 5),
        (25, 4, 30, 4),
        (0, 1, 31, 2),
        (26, 11, 30, 2),
        (30, 12, 31, 3),
    ];
    for (n, (year, month, day, weekday)) in DAYS.into_iter().enumerate() {
        let format = [0x02_u8, 0x06, 0x00, 0x04][n % 4];
        let hour = if n < 6 { 23 } else { 11 };
        set(&mut pair, 0x0B, 0x80 | format);
        for (index, field) in TIME.into_iter().zip([20, year, month, day, weekday, hour, 59, 59]) {
            let code = |n: u8| if format & 4 != 0 { n } else { ((n / 10) << 4) | (n % 10) };
            let value = if index == 4 && format & 2 == 0 {
                code((field + 11) % 12 + 1) | if field >= 12 { 0x80 } else { 0 }
            } else {
                code(field)
            };
            set(&mut pair, index, value);
        }
        for index in TIME {
            get(&mut pair, index);
        }
        set(&mut pair, 0x0B, format);
        // Both have turned by then; the second itself may differ, as QEMU's phase starts at the write.
        pair.step(1_600_000_000);
        for index in &TIME[..7] {
            get(&mut pair, *index);
        }
    }
}

#[test]
fn control_registers_keep_the_same_bits() {
    let Some(mut pair) = Pair::start() else { return };
    settle(&mut pair);
    for value in [0x26, 0x20, 0x2F, 0x76, 0x26] {
        set(&mut pair, 0x0A, value);
        pair.out(0x70, 0x0A);
        let (ours, theirs) = pair.both(0x71);
        assert_eq!(ours & 0x7F, theirs & 0x7F);
    }
    get(&mut pair, 0x0D);
    for value in [0x02, 0x82, 0x92, 0x06, 0x00, 0x02] {
        set(&mut pair, 0x0B, value);
        get(&mut pair, 0x0B);
    }
}

#[test]
fn memory_sizes_and_equipment_are_described_alike() {
    let Some(mut pair) = Pair::start() else { return };
    for index in [0x0F, 0x10, 0x12, 0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x14, 0x38, 0x3D] {
        get(&mut pair, index);
    }
    for index in 0x40..0x5B {
        set(&mut pair, index, index ^ 0x5A);
    }
    for index in 0x40..0x5B {
        get(&mut pair, index);
    }
}

#[test]
fn periodic_interrupts_come_as_often() {
    let Some(mut pair) = Pair::start() else { return };
    settle(&mut pair);
    for (select, period) in [(0x2F_u8, SECOND / 2), (0x2C, SECOND / 16), (0x2A, SECOND / 64)] {
        set(&mut pair, 0x0A, select);
        set(&mut pair, 0x0B, 0x42);
        pair.both(0x71);
        let (mut ours, mut theirs, mut elapsed) = (0_u32, 0_u32, 0);
        for _ in 0..100 {
            elapsed += pair.step(period / 3);
            pair.out(0x70, 0x0C);
            let flags = pair.both(0x71);
            ours += u32::from(flags.0 & 0xC0 == 0xC0);
            theirs += u32::from(flags.1 & 0xC0 == 0xC0);
            if elapsed > 2 * SECOND {
                break;
            }
        }
        assert!(ours >= 3 && ours.abs_diff(theirs) <= 1, "{select:02X}: {ours} and {theirs}");
        assert!(
            u64::from(ours).abs_diff(elapsed / period) <= 1 + elapsed / period / 8,
            "{select:02X}: {ours}"
        );
    }
}

#[test]
fn alarms_and_updates_interrupt_alike() {
    let Some(mut pair) = Pair::start() else { return };
    settle(&mut pair);
    let bcd = |n: u8| (((n % 60) / 10) << 4) | (n % 10);
    for alarm in 0..4 {
        let now = get(&mut pair, 0);
        let now = (now >> 4) * 10 + (now & 15);
        // In two seconds; any second; never in this hour; any minute in two seconds.
        let (second, minute, hour) = match alarm {
            0 => (bcd(now + 2), 0xFF, 0xFF),
            1 => (0xFF, 0xC0, 0xC1),
            2 => (0xFF, 0xFF, 0x13),
            _ => (bcd(now + 2), 0xFE, 0xC0),
        };
        for (index, value) in [(1, second), (3, minute), (5, hour)] {
            set(&mut pair, index, value);
        }
        set(&mut pair, 0x0B, 0x32);
        pair.out(0x70, 0x0C);
        pair.both(0x71);
        for _ in 0..3 {
            pair.step(SECOND);
            settle_phase(&mut pair);
            pair.out(0x70, 0x0C);
            let (ours, theirs) = pair.both(0x71);
            assert_eq!(ours & 0xB0, theirs & 0xB0, "alarm {alarm}: {}", pair.story());
        }
    }
}

/// Goes on until the second is well under way on both sides.
fn settle_phase(pair: &mut Pair) {
    for _ in 0..20 {
        let phase = (pair.ours.board.now.0 % SECOND) / 100_000_000;
        if (3..7).contains(&phase) {
            return;
        }
        pair.step(100_000_000);
    }
}
