//! The clock after a restore, and after the host's clock has jumped.

use super::guest::preserving;
use super::hostile;
use nomad86::board::Width;
use nomad86::config::{ClockMode, Config};
use nomad86::devices::{Bus, DeviceId};
use nomad86::host::{Clock, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::time::Instant;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;
/// 2026-11-26 12:34:56 UTC.
const NOON: i64 = 1_795_696_496;

/// A host's clocks, which pass 20 µs whenever they are looked at.
#[derive(Clone, Default)]
struct Fake {
    now: Rc<Cell<u64>>,
    /// Seconds since 1970 at time zero.
    wall: Rc<Cell<i64>>,
}

impl Clock for Fake {
    fn now(&mut self) -> Instant {
        self.now.set(self.now.get() + 20_000);
        Instant(self.now.get())
    }

    fn wall(&mut self) -> i64 {
        self.wall.get() * SECOND as i64 + self.now.get() as i64
    }
}

impl Fake {
    fn at(now: u64, wall: i64) -> Self {
        Self { now: Rc::new(Cell::new(now)), wall: Rc::new(Cell::new(wall)) }
    }

    fn jump(&self, by: i64) {
        self.now.set(self.now.get().saturating_add_signed(by));
    }

    fn host(&self) -> Host {
        Host { clock: Box::new(self.clone()), ..Host::null() }
    }
}

fn config() -> Config {
    Config { clock: ClockMode::Host, ..hostile::config() }
}

/// Hours, minutes and seconds of the real-time clock.
fn rtc(machine: &mut Machine, host: &mut Host) -> [u8; 3] {
    let mut bus = Bus { board: &mut machine.board, host };
    [4, 2, 0].map(|register| {
        machine.devices.write(DeviceId::Rtc, 0x70, Width::Byte, register, &mut bus);
        machine.devices.read(DeviceId::Rtc, 0x71, Width::Byte, &mut bus) as u8
    })
}

/// Runs for a tenth of a second; how many interrupts there were. The timer makes 29.
fn tenth(machine: &mut Machine, host: &mut Host) -> u64 {
    let before = machine.runs.interrupts;
    let end = machine.now() + Duration::from_millis(100);
    let exit = machine.run(host, Duration::from_millis(100));
    assert!(exit == Exit::Budget && machine.now() >= end, "{exit:?} at {:?}, not {end:?}", machine.now());
    machine.runs.interrupts - before
}

#[test]
fn a_restored_machine_has_the_host_s_time_and_no_burst_of_ticks() {
    let clock = Fake::at(5 * DAY, NOON);
    let mut host = clock.host();
    let memory = GuestMemory::allocate(config().memory_needed()).unwrap();
    let mut machine = Machine::new(config(), memory).unwrap();
    machine.run(&mut host, Duration::from_millis(100));
    machine.reset(&mut host);
    assert!((20..40).contains(&tenth(&mut machine, &mut host)), "the timer runs");
    let before = machine.now();
    let mut image = Vec::new();
    machine.save(&mut image).unwrap();
    // On another host, which was switched on a moment ago, a day and an hour later.
    let later = Fake::at(1000, NOON + (5 * DAY + DAY) as i64 / SECOND as i64 + 3600);
    let mut host = later.host();
    let memory = GuestMemory::allocate(config().memory_needed()).unwrap();
    let mut restored = Machine::restore(config(), memory, &mut &image[..], preserving()).unwrap().machine;
    // The first slice is long: this host is slower than the machine expects of one.
    let ticks = tenth(&mut restored, &mut host);
    assert!((5..40).contains(&ticks), "{ticks} ticks in a tenth of a second");
    assert!(restored.now() - before < Duration::from_millis(200), "the guest's time goes on where it was");
    let ticks = tenth(&mut restored, &mut host);
    assert!((20..40).contains(&ticks), "{ticks} ticks in a tenth of a second");
    assert_eq!(rtc(&mut restored, &mut host)[..2], [0x13, 0x34], "an hour later");
}

#[test]
fn case_85_a_host_s_clock_that_jumps_is_no_burst_and_no_standstill() {
    let clock = Fake::at(5 * DAY, NOON);
    let mut host = clock.host();
    let memory = GuestMemory::allocate(config().memory_needed()).unwrap();
    let mut machine = Machine::new(config(), memory).unwrap();
    machine.run(&mut host, Duration::from_millis(100));
    for jump in [DAY as i64, 3600 * SECOND as i64, 2 * SECOND as i64, -(DAY as i64), -(SECOND as i64)] {
        clock.jump(jump);
        let ticks = tenth(&mut machine, &mut host);
        assert!((20..340).contains(&ticks), "{ticks} ticks after a jump of {jump} ns");
        let ticks = tenth(&mut machine, &mut host);
        assert!((20..40).contains(&ticks), "{ticks} ticks some time after a jump of {jump} ns");
    }
    // The time of day alone.
    for wall in [NOON + 86_400, NOON - 86_400] {
        clock.wall.set(wall);
        assert!((20..40).contains(&tenth(&mut machine, &mut host)));
    }
}
