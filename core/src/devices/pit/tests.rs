use super::*;
use crate::board::Board;
use crate::devices::testing;
use crate::host::Host;

struct Rig {
    pit: Pit,
    board: Board,
    host: Host,
}

impl Rig {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut rig = Self { pit: Pit::new(&config), board: testing::board(&config), host: Host::null() };
        rig.pit.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        rig.at(1000);
        rig
    }

    /// Goes to a tick of the chip's clock.
    fn at(&mut self, tick: u64) {
        self.board.now = Instant::at_tick(tick, HERTZ);
    }

    fn out(&mut self, port: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.pit.write(port, Width::Byte, value.into(), bus);
    }

    fn inb(&mut self, port: u16) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.pit.read(port, Width::Byte, bus) as u8
    }

    fn program(&mut self, counter: u8, mode: u8, count: u16) {
        self.out(0x43, counter << 6 | 0x30 | mode << 1);
        self.out(0x40 + u16::from(counter), count as u8);
        self.out(0x40 + u16::from(counter), (count >> 8) as u8);
    }

    fn latched(&mut self, counter: u8) -> u16 {
        self.out(0x43, counter << 6);
        let port = 0x40 + u16::from(counter);
        u16::from(self.inb(port)) | u16::from(self.inb(port)) << 8
    }

    fn status(&mut self, counter: u8) -> u8 {
        self.out(0x43, 0xE0 | 2 << counter);
        self.inb(0x40 + u16::from(counter))
    }

    fn out2(&mut self) -> bool {
        self.inb(0x61) & 0x20 != 0
    }

    /// Lets deadlines pass up to `tick`, each at its own time, and returns at which ticks IRQ 0 pulsed.
    fn run_to(&mut self, tick: u64) -> Vec<u64> {
        let mut pulses = Vec::new();
        let end = Instant::at_tick(tick, HERTZ);
        while self.board.timers.next() <= end {
            self.board.now = self.board.timers.next();
            let (timer, _) = self.board.timers.pop(self.board.now).unwrap();
            self.pit.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
            if self.board.irq.take_pulses() & 1 != 0 {
                pulses.push(self.board.now.ticks(HERTZ));
            }
        }
        self.board.now = end;
        pulses
    }
}
use alloc::vec;
use alloc::vec::Vec;

#[test]
fn mode_2_interrupts_every_period_without_drift() {
    let mut rig = Rig::new();
    rig.program(0, 2, 11_932);
    let pulses = rig.run_to(1001 + 11_932 * 100);
    assert_eq!(pulses.len(), 100);
    for (n, at) in pulses.iter().enumerate() {
        assert_eq!(*at, 1001 + 11_932 * (n as u64 + 1));
    }
    rig.board.now = Instant::at_tick(1001 + 11_932 * 100 + 932, HERTZ);
    assert_eq!(rig.latched(0), 11_000);
}

#[test]
fn mode_3_counts_down_by_two_and_spends_half_the_time_high() {
    let mut rig = Rig::new();
    rig.program(0, 3, 0);
    rig.at(1001 + 100);
    assert_eq!(rig.latched(0), (0x1_0000_u32 - 200) as u16);
    assert_eq!(rig.status(0), 0x80 | 0x30 | 3 << 1);
    rig.at(1001 + 0x8000 + 3);
    assert_eq!(rig.latched(0), (0x1_0000_u32 - 6) as u16);
    assert_eq!(rig.status(0) & 0x80, 0);
    assert_eq!(
        rig.run_to(1001 + 3 * 0x1_0000),
        vec![1001 + 0x1_0000, 1001 + 2 * 0x1_0000, 1001 + 3 * 0x1_0000]
    );
}

#[test]
fn odd_counts_in_mode_3_are_high_one_tick_longer() {
    let mut rig = Rig::new();
    rig.out(0x61, 1);
    rig.program(2, 3, 5);
    let levels: Vec<bool> = (0..10)
        .map(|n| {
            rig.at(1001 + n);
            rig.out2()
        })
        .collect();
    assert_eq!(levels, [true, true, true, false, false, true, true, true, false, false]);
    let values: Vec<u16> = (0..5)
        .map(|n| {
            rig.at(1001 + n);
            rig.latched(2)
        })
        .collect();
    assert_eq!(values, [4, 2, 0, 4, 2]);
}

#[test]
fn mode_0_raises_its_output_once_and_counts_on() {
    let mut rig = Rig::new();
    rig.program(0, 0, 100);
    assert_eq!(rig.status(0) & 0xC0, 0x40, "low, and not loaded before the next tick");
    assert_eq!(rig.run_to(5000), vec![1101]);
    rig.at(1101 + 3);
    assert_eq!(rig.latched(0), 0xFFFD);
    assert_eq!(rig.status(0) & 0xC0, 0x80);
}

#[test]
fn the_kernel_calibrates_against_counter_2_through_port_61() {
    let mut rig = Rig::new();
    rig.out(0x61, 1);
    // Linux: mode 0, 50 ms, poll OUT2.
    rig.out(0x43, 0xB0);
    rig.out(0x42, (59_659_u16 & 0xFF) as u8);
    rig.out(0x42, (59_659_u16 >> 8) as u8);
    rig.at(1001 + 59_658);
    assert!(!rig.out2());
    rig.at(1001 + 59_659);
    assert!(rig.out2());
}

#[test]
fn gate_2_stops_mode_0_and_restarts_mode_3() {
    let mut rig = Rig::new();
    rig.out(0x61, 1);
    rig.program(2, 0, 1000);
    rig.at(1001 + 400);
    rig.out(0x61, 0);
    rig.at(90_000);
    assert_eq!(rig.latched(2), 600);
    rig.out(0x61, 1);
    rig.at(90_000 + 599);
    assert!(!rig.out2());
    rig.at(90_000 + 600);
    assert!(rig.out2());

    rig.program(2, 3, 1000);
    rig.at(100_000);
    rig.out(0x61, 0);
    rig.at(100_100);
    assert!(rig.out2(), "a closed gate leaves OUT high");
    rig.out(0x61, 1);
    rig.at(100_101 + 499);
    assert!(rig.out2());
    rig.at(100_101 + 500);
    assert!(!rig.out2());
}

#[test]
fn modes_1_and_5_wait_for_the_gate() {
    let mut rig = Rig::new();
    rig.out(0x61, 0);
    rig.program(2, 1, 50);
    rig.at(2000);
    assert!(rig.out2());
    rig.out(0x61, 1);
    rig.at(2001 + 49);
    assert!(!rig.out2());
    rig.out(0x61, 0);
    rig.out(0x61, 1);
    rig.at(2001 + 98);
    assert!(!rig.out2(), "triggered again");
    rig.at(2051 + 50);
    assert!(rig.out2());

    rig.out(0x61, 0);
    rig.program(2, 5, 50);
    rig.at(3000);
    rig.out(0x61, 1);
    for (tick, level) in [(3001 + 49, true), (3001 + 50, false), (3001 + 51, true)] {
        rig.at(tick);
        assert_eq!(rig.out2(), level);
    }
}

#[test]
fn mode_4_strobes_once() {
    let mut rig = Rig::new();
    rig.program(0, 4, 20);
    assert_eq!(rig.run_to(10_000), vec![1001 + 21]);
}

#[test]
fn a_new_count_in_mode_2_waits_for_the_end_of_the_period() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1000);
    rig.at(1001 + 300);
    rig.out(0x40, 50);
    rig.out(0x40, 0);
    assert_eq!(rig.status(0) & 0x40, 0x40);
    assert_eq!(rig.run_to(1001 + 1120), vec![2001, 2051, 2101]);
    assert_eq!(rig.status(0) & 0x40, 0);
}

#[test]
fn a_new_count_in_mode_3_waits_for_the_end_of_the_half() {
    let mut rig = Rig::new();
    rig.out(0x61, 1);
    rig.program(2, 3, 1000);
    rig.at(1001 + 300);
    rig.out(0x42, 100);
    rig.out(0x42, 0);
    for (tick, level) in
        [(1500, true), (1501, false), (1550, false), (1551, true), (1600, true), (1601, false)]
    {
        rig.at(tick);
        assert_eq!(rig.out2(), level, "at {tick}");
    }
    let mut rig = Rig::new();
    rig.program(0, 3, 1000);
    rig.at(1001 + 300);
    rig.out(0x40, 100);
    rig.out(0x40, 0);
    assert_eq!(rig.run_to(1700), vec![1551, 1651]);
}

#[test]
fn latches_hold_until_they_are_read_and_ignore_a_second_latch() {
    let mut rig = Rig::new();
    rig.program(0, 2, 10_000);
    rig.at(1001 + 10);
    rig.out(0x43, 0x00);
    rig.at(1001 + 500);
    rig.out(0x43, 0x00);
    assert_eq!([rig.inb(0x40), rig.inb(0x40)], 9990_u16.to_le_bytes());
    assert_eq!([rig.inb(0x40), rig.inb(0x40)], 9500_u16.to_le_bytes());
}

#[test]
fn read_back_gives_status_then_count() {
    let mut rig = Rig::new();
    rig.program(0, 2, 10_000);
    rig.program(2, 0, 77);
    rig.at(1001 + 10);
    rig.out(0x43, 0xC0 | 2 | 8);
    rig.at(5000);
    assert_eq!([rig.inb(0x40), rig.inb(0x40), rig.inb(0x40)], [0xB4, 0x06, 0x27]);
    assert_eq!([rig.inb(0x42), rig.inb(0x42), rig.inb(0x42)], [0x30, 77, 0]);
}

#[test]
fn counting_in_decimal() {
    let mut rig = Rig::new();
    rig.out(0x43, 0x35);
    rig.out(0x40, 0x00);
    rig.out(0x40, 0x10);
    rig.at(1001 + 1);
    assert_eq!(rig.latched(0), 0x0999);
    assert_eq!(rig.run_to(3001), vec![2001, 3001]);
}

#[test]
fn single_byte_access_sets_the_other_byte_to_zero() {
    let mut rig = Rig::new();
    rig.out(0x43, 0x14);
    rig.out(0x40, 200);
    assert_eq!(rig.run_to(1401), vec![1201, 1401]);
    let mut rig = Rig::new();
    rig.out(0x43, 0x24);
    rig.out(0x40, 2);
    rig.at(1001 + 0x180);
    assert_eq!(rig.inb(0x40), 0);
    assert_eq!(rig.run_to(1001 + 0x200), vec![1001 + 0x200]);
}

#[test]
fn the_refresh_bit_toggles_every_15_microseconds() {
    let mut rig = Rig::new();
    let mut toggles = 0;
    let mut last = rig.inb(0x61) & 0x10;
    for ns in 0..1_000_u64 {
        rig.board.now = Instant(1_000_000 + ns * 1000);
        let bit = rig.inb(0x61) & 0x10;
        toggles += u32::from(bit != last);
        last = bit;
    }
    assert!((65..=67).contains(&toggles), "{toggles}");
}

#[test]
fn case_31_counts_of_0_and_1_and_wrong_digits_divide_by_nothing() {
    for mode in 0..8 {
        for bcd in [0, 1] {
            for count in [0, 1, 2, 3, 0xFFFF, 0xABCD, 0xF, 0xA000] {
                for counter in [0, 2] {
                    let mut rig = Rig::new();
                    rig.out(0x61, 0);
                    rig.out(0x43, counter << 6 | 0x30 | mode << 1 | bcd);
                    let port = 0x40 + u16::from(counter);
                    rig.out(port, count as u8);
                    rig.out(port, (count >> 8) as u8);
                    rig.out(0x61, 1);
                    rig.run_to(2000);
                    rig.out(port, 1);
                    rig.out(port, 0);
                    rig.latched(counter);
                    rig.status(counter);
                    assert!(rig.run_to(20_000).len() <= 2000);
                    rig.latched(counter);
                    rig.inb(0x61);
                }
            }
        }
    }
}

#[test]
fn case_31_storms_of_latches_and_random_writes_change_nothing_else() {
    let mut rig = Rig::new();
    let mut seed = 5_u32;
    for n in 0..100_000_u64 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        rig.run_to(1000 + n * 3);
        let port = [0x40, 0x41, 0x42, 0x43, 0x61][(seed >> 9) as usize % 5];
        if seed >> 31 != 0 {
            rig.out(port, (seed >> 16) as u8);
        } else {
            rig.inb(port);
        }
    }
    let start = 400_000;
    rig.run_to(start);
    rig.program(0, 2, 1193);
    assert_eq!(rig.run_to(start + 1 + 1193 * 10).len(), 10);
}

#[test]
fn case_32_the_fastest_rate_does_not_flood_the_machine() {
    let mut rig = Rig::new();
    rig.program(0, 2, 2);
    let pulses = rig.run_to(HERTZ / 10).len() as u64;
    assert!(pulses > 5_000 && pulses <= HERTZ / 10 / CLOSEST as u64 + 1, "{pulses}");
}

#[test]
fn case_32_after_a_long_stall_a_tenth_of_a_second_is_made_up_for() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1193);
    // The host slept ten seconds.
    rig.board.now = Instant::at_tick(HERTZ * 10, HERTZ);
    let (timer, _) = rig.board.timers.pop(rig.board.now).unwrap();
    rig.pit.expire(timer, &mut Bus { board: &mut rig.board, host: &mut rig.host });
    assert!(rig.board.timers.next() > rig.board.now, "the guest runs before the next one");
    let made_up = rig.run_to(HERTZ * 10 + HERTZ / 10).len();
    assert!((195..=202).contains(&made_up), "{made_up}");
    // And then the rhythm is the old one.
    assert_eq!(rig.run_to(HERTZ * 11 + HERTZ / 10).len(), 1000);
}
