use super::*;
use crate::board::Board;
use crate::config::{BootDevice, IdeSlot};
use crate::devices::testing;
use crate::host::Host;

/// 2024-02-28 23:59:50 UTC, a Wednesday.
const START: i64 = 1_709_164_790;

struct Rig {
    rtc: Rtc,
    board: Board,
    host: Host,
}

impl Rig {
    fn with(config: &Config) -> Self {
        let mut rig = Self { rtc: Rtc::new(config), board: testing::board(config), host: Host::null() };
        rig.board.epoch = START * NS;
        rig.rtc.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        rig
    }

    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn get(&mut self, index: u8) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.rtc.write(0x70, Width::Byte, index.into(), bus);
        self.rtc.read(0x71, Width::Byte, bus) as u8
    }

    fn set(&mut self, index: u8, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.rtc.write(0x70, Width::Byte, index.into(), bus);
        self.rtc.write(0x71, Width::Byte, value.into(), bus);
    }

    /// Century, year, month, day, weekday, hours, minutes, seconds.
    fn time(&mut self) -> [u8; 8] {
        [0x32, 9, 8, 7, 6, 4, 2, 0].map(|index| self.get(index))
    }

    fn irq(&self) -> bool {
        self.board.irq.levels() & 1 << 8 != 0
    }

    fn run_to(&mut self, ns: u64) -> u32 {
        let mut interrupts = 0;
        while self.board.timers.next() <= Instant(ns) {
            self.board.now = self.board.timers.next();
            let (timer, _) = self.board.timers.pop(self.board.now).unwrap();
            let before = self.irq();
            self.rtc.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
            interrupts += u32::from(!before && self.irq());
            if self.irq() {
                // The handler reads C.
                self.get(0x0C);
                assert!(!self.irq());
            }
        }
        self.board.now = Instant(ns);
        interrupts
    }
}

#[test]
fn the_clock_shows_civil_time_in_bcd_and_carries_into_a_leap_day() {
    let mut rig = Rig::new();
    assert_eq!(rig.time(), [0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x50]);
    rig.board.now = Instant(10 * SECOND);
    assert_eq!(rig.time(), [0x20, 0x24, 0x02, 0x29, 5, 0, 0, 0]);
    rig.board.now = Instant((10 + 86_400) * SECOND + SECOND - 1);
    assert_eq!(rig.time(), [0x20, 0x24, 0x03, 0x01, 6, 0, 0, 0]);
}

#[test]
fn local_time_is_an_offset() {
    let mut rig = Rig::with(&Config { rtc_offset: 3600, ..Config::default() });
    assert_eq!(rig.time()[5..], [0x00, 0x59, 0x50]);
}

#[test]
fn a_kernel_sets_the_clock_and_it_goes_on_from_there() {
    let mut rig = Rig::new();
    rig.board.now = Instant(300_000_000);
    // Linux: SET, divider reset, the time, then both back.
    let control = rig.get(0x0B);
    rig.set(0x0B, control | 0x80);
    let select = rig.get(0x0A) & 0x7F;
    rig.set(0x0A, select | 0x70);
    for (index, value) in
        [(9, 0x99), (8, 0x12), (7, 0x31), (4, 0x23), (2, 0x59), (0, 0x59), (0x32, 0x19), (6, 6)]
    {
        rig.set(index, value);
    }
    rig.board.now = Instant(5 * SECOND);
    assert_eq!(rig.get(0), 0x59, "it stands while SET is on");
    rig.set(0x0B, control);
    rig.set(0x0A, select);
    rig.board.now = Instant(5 * SECOND + 499_999_999);
    assert_eq!(rig.time(), [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59]);
    rig.board.now = Instant(5 * SECOND + 500_000_000);
    assert_eq!(rig.time(), [0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0]);
}

#[test]
fn registers_written_one_by_one_do_not_disturb_each_other() {
    let mut rig = Rig::new();
    for (index, value) in [(7, 0x31), (8, 0x02), (7, 0x10)] {
        rig.set(index, value);
    }
    rig.board.now = Instant(SECOND);
    assert_eq!(rig.time()[2..4], [0x02, 0x10]);
}

#[test]
fn binary_and_twelve_hours() {
    let mut rig = Rig::new();
    rig.set(0x0B, 0x80 | 0x04);
    for (index, value) in [(0, 59), (2, 59), (4, 0x80 | 11), (7, 31), (8, 12), (9, 25), (0x32, 20), (6, 1)] {
        rig.set(index, value);
    }
    rig.set(0x0B, 0x04);
    rig.board.now = Instant(SECOND);
    assert_eq!(rig.time(), [20, 26, 1, 1, 2, 12, 0, 0]);
    rig.board.now = Instant(3601 * SECOND);
    assert_eq!(rig.time()[5..], [1, 0, 0]);
    rig.board.now = Instant((12 * 3600 + 1) * SECOND);
    assert_eq!(rig.time()[5..], [0x80 | 12, 0, 0]);
}

#[test]
fn update_in_progress_warns_before_the_second_turns() {
    let mut rig = Rig::new();
    let mut uip = |ns| {
        rig.board.now = Instant(ns);
        rig.get(0x0A) & 0x80 != 0
    };
    assert!(!uip(0));
    assert!(!uip(SECOND - 2_300_000));
    assert!(uip(SECOND - 2_200_000));
    assert!(uip(SECOND - 1));
    assert!(!uip(SECOND));
    rig.set(0x0B, 0x82);
    rig.board.now = Instant(2 * SECOND - 1);
    assert_eq!(rig.get(0x0A), 0x26, "no update while SET is on");
}

#[test]
fn the_periodic_interrupt_keeps_its_rate() {
    let mut rig = Rig::new();
    rig.set(0x0B, 0x42);
    assert_eq!(rig.run_to(SECOND), 1024);
    rig.set(0x0A, 0x2F);
    assert_eq!(rig.run_to(5 * SECOND), 8);
    rig.set(0x0A, 0x21);
    assert_eq!(rig.run_to(6 * SECOND), 256);
    rig.set(0x0A, 0x20);
    assert_eq!(rig.run_to(7 * SECOND), 0);
}

#[test]
fn an_interrupt_that_is_not_acknowledged_is_not_repeated() {
    let mut rig = Rig::new();
    rig.set(0x0B, 0x42);
    rig.board.now = rig.board.timers.next();
    rig.board.timers.pop(rig.board.now);
    rig.rtc.expire(Timer::RtcPeriodic, &mut Bus { board: &mut rig.board, host: &mut rig.host });
    assert!(rig.irq());
    assert_eq!(rig.board.timers.get(Timer::RtcPeriodic), None);
    assert_eq!(rig.get(0x0C), 0xC0);
    assert!(!rig.irq());
    assert!(rig.board.timers.get(Timer::RtcPeriodic).is_some());
}

#[test]
fn flags_can_be_polled_without_interrupts() {
    let mut rig = Rig::new();
    rig.get(0x0C);
    rig.board.now = Instant(SECOND + 1);
    assert_eq!(rig.get(0x0C) & 0x50, 0x50);
    assert_eq!(rig.get(0x0C), 0);
}

#[test]
fn the_alarm_goes_off_at_its_time_and_with_wildcards() {
    let mut rig = Rig::new();
    for (index, value) in [(1, 0x05), (3, 0x00), (5, 0x00), (0x0B, 0x22)] {
        rig.set(index, value);
    }
    assert_eq!(rig.run_to(14 * SECOND), 0);
    assert_eq!(rig.run_to(15 * SECOND), 1);
    assert_eq!(rig.run_to((15 + 86_399) * SECOND), 0);
    assert_eq!(rig.run_to((15 + 86_400) * SECOND), 1);
    // Each minute.
    rig.set(3, 0xFF);
    rig.set(5, 0xC0);
    let start = 15 + 86_400;
    assert_eq!(rig.run_to((start + 600) * SECOND), 10);
}

#[test]
fn an_alarm_that_was_passed_without_an_interrupt_shows_in_its_flag() {
    let mut rig = Rig::new();
    for (index, value) in [(1, 0x05), (3, 0x00), (5, 0x00)] {
        rig.set(index, value);
    }
    rig.board.now = Instant(14 * SECOND);
    assert_eq!(rig.get(0x0C) & 0x20, 0);
    rig.board.now = Instant(3000 * SECOND);
    assert_eq!(rig.get(0x0C) & 0x20, 0x20);
}

#[test]
fn the_update_ended_interrupt_comes_every_second() {
    let mut rig = Rig::new();
    rig.set(0x0B, 0x12);
    assert_eq!(rig.run_to(60 * SECOND), 60);
    rig.set(0x0B, 0x92);
    assert_eq!(rig.get(0x0B), 0x82, "SET switches it off");
}

#[test]
fn reset_keeps_time_and_memory_and_switches_interrupts_off() {
    let mut rig = Rig::new();
    rig.set(0x0B, 0x72);
    rig.set(0x40, 0xA5);
    rig.run_to(10 * SECOND);
    rig.rtc.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
    assert_eq!((rig.get(0x0B), rig.get(0x40), rig.get(2)), (0x02, 0xA5, 0x00));
    assert_eq!(rig.board.timers.next(), Instant::FAR);
}

#[test]
fn firmware_finds_memory_drives_and_boot_order() {
    let mut config = Config { memory: 128 << 20, floppies: 2, ..Config::default() };
    config.boot = [BootDevice::Cdrom, BootDevice::Floppy, BootDevice::Disk].into();
    config.ide[0] = IdeSlot::Disk;
    let mut rig = Rig::with(&config);
    let mut word = |index| u16::from(rig.get(index)) | u16::from(rig.get(index + 1)) << 8;
    assert_eq!(word(0x15), 640);
    assert_eq!(word(0x17), 0xFFFF);
    assert_eq!(word(0x30), 0xFFFF);
    assert_eq!(word(0x34), (112 << 20 >> 16) as u16);
    assert_eq!(
        [0x10, 0x12, 0x14, 0x19, 0x3D, 0x38].map(|index| rig.get(index)),
        [0x44, 0xF0, 0x47, 47, 0x13, 0x20]
    );
    let sum: u16 = (0x10..0x2E).map(|index| u16::from(rig.get(index))).sum();
    assert_eq!(u16::from(rig.get(0x2E)) << 8 | u16::from(rig.get(0x2F)), sum);
}

#[test]
fn case_33_the_index_is_masked_and_its_top_bit_masks_nmi() {
    let mut rig = Rig::new();
    rig.set(0x40, 0x5A);
    assert_eq!(rig.get(0xC0), 0x5A);
    assert!(rig.rtc.nmi_masked());
    rig.set(0xFF, 0x11);
    assert_eq!(rig.get(0x7F), 0x11);
    assert!(!rig.rtc.nmi_masked());
}

#[test]
fn case_33_nonsense_in_every_register_leaves_a_sane_time() {
    let mut seed = 9_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 16
    };
    let mut rig = Rig::new();
    let mut ns = 0;
    for _ in 0..20_000 {
        rig.set(next() as u8, next() as u8);
        ns += u64::from(next()) * 50_000;
        rig.board.now = Instant(ns);
        while rig.board.timers.pop(rig.board.now).is_some() {}
        rig.rtc.expire(Timer::RtcUpdate, &mut Bus { board: &mut rig.board, host: &mut rig.host });
    }
    rig.set(0x0A, 0x26);
    rig.set(0x0B, 0x82);
    for index in [0, 2, 4, 6, 7, 8, 9, 0x32] {
        rig.set(index, 0xFF);
    }
    rig.set(0x0B, 0x02);
    rig.board.now = Instant(ns + 2 * SECOND);
    let [_, _, month, day, weekday, hour, minute, second] = rig.time();
    assert!((1..=0x12).contains(&month) && (1..=0x31).contains(&day) && (1..=7).contains(&weekday));
    assert!(hour <= 0x23 && minute <= 0x59 && second <= 0x59);
}
