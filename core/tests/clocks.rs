//! The clocks that a guest sees run as long as its time does: nothing is added up, so that nothing drifts.

use nomad86::config::{ClockMode, Config};
use nomad86::host::{Clock, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::time::Instant;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Counts interrupts of the PIT (divisor 1193) at 500h and the RTC's periodic ones (1024 Hz) at 504h.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x31, 0xC0, // xor ax, ax
    0x8E, 0xD8, // mov ds, ax
    0x8E, 0xD0, // mov ss, ax
    0xBC, 0x00, 0x70, // mov sp, 0x7000
    0xC7, 0x06, 0x20, 0x00, 0x80, 0x00, // mov word [8 * 4], pit
    0xC7, 0x06, 0x22, 0x00, 0x00, 0xF0, // mov word [8 * 4 + 2], 0xF000
    0xC7, 0x06, 0xC0, 0x01, 0xA0, 0x00, // mov word [0x70 * 4], rtc
    0xC7, 0x06, 0xC2, 0x01, 0x00, 0xF0, // mov word [0x70 * 4 + 2], 0xF000
    0xB0, 0x11, 0xE6, 0x20, 0xE6, 0xA0, // both PICs: ICW1
    0xB0, 0x08, 0xE6, 0x21, 0xB0, 0x70, 0xE6, 0xA1, // vectors 8 and 70h
    0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x02, 0xE6, 0xA1, // cascade
    0xB0, 0x01, 0xE6, 0x21, 0xE6, 0xA1, // ICW4
    0xB0, 0xFA, 0xE6, 0x21, 0xB0, 0xFE, 0xE6, 0xA1, // IRQ 0, 2 and 8
    0xB0, 0x34, 0xE6, 0x43, 0xB0, 0xA9, 0xE6, 0x40, 0xB0, 0x04, 0xE6, 0x40, // mode 2, 1193
    0xB0, 0x0A, 0xE6, 0x70, 0xB0, 0x26, 0xE6, 0x71, // register A: 1024 Hz
    0xB0, 0x0B, 0xE6, 0x70, 0xB0, 0x42, 0xE6, 0x71, // register B: PIE
    0xB0, 0x0C, 0xE6, 0x70, 0xE4, 0x71, // register C is read
    0xFB, 0xF4, 0xEB, 0xFC, // idle: sti; hlt; jmp idle
];
#[rustfmt::skip]
const PIT: &[u8] = &[0x66, 0xFF, 0x06, 0x00, 0x05, 0x50, 0xB0, 0x20, 0xE6, 0x20, 0x58, 0xCF];
#[rustfmt::skip]
const RTC: &[u8] = &[
    0x66, 0xFF, 0x06, 0x04, 0x05, 0x50, 0xB0, 0x0C, 0xE6, 0x70, 0xE4, 0x71,
    0xB0, 0x20, 0xE6, 0xA0, 0xE6, 0x20, 0x58, 0xCF,
];

/// The rates are those of the crystals: 14.31818 MHz / 12 and 32.768 kHz / 32.
const RATES: [f64; 2] = [105e6 / 88.0 / 1193.0, 1024.0];

/// What a guest does once its clocks tick.
#[derive(Clone, Copy)]
enum Then {
    Sleeps,
    Spins,
    Halts,
}

/// A machine that counts ticks, and otherwise does nothing.
fn counting(clock: ClockMode, then: Then) -> Machine {
    let mut bios = vec![0xF4; 0x1_0000];
    assert!(CODE.len() <= 0x80);
    let mut code = CODE.to_vec();
    let end = code.len();
    match then {
        Then::Sleeps => {}
        // sti; jmp $
        Then::Spins => code[end - 3..].copy_from_slice(&[0xEB, 0xFE, 0x90]),
        // cli; hlt
        Then::Halts => code[end - 4] = 0xFA,
    }
    for (at, part) in [(0, &code[..]), (0x80, PIT), (0xA0, RTC), (0xFFF0, &[0xEA, 0x00, 0x00, 0x00, 0xF0])] {
        bios[at..at + part.len()].copy_from_slice(part);
    }
    let config = Config { memory: 1 << 20, video_memory: 1 << 20, clock, bios, ..Config::default() };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    Machine::new(config, memory).unwrap()
}

fn counts(machine: &Machine) -> [f64; 2] {
    let mut bytes = [0; 8];
    machine.read_memory(0x500, &mut bytes);
    let count = |at| f64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
    [count(0), count(4)]
}

/// The clocks have ticked as often as they do in that time; a tick more or less is one at either end. What is 50 ms
/// in an hour, is 8 ms in ten minutes.
fn assert_ticks(machine: &Machine, begun: u64, first: [f64; 2]) -> f64 {
    let seconds = (machine.now().0 - begun) as f64 / 1e9;
    for (n, last) in counts(machine).into_iter().enumerate() {
        let off = last - first[n] - seconds * RATES[n];
        assert!(off.abs() <= 2.0, "clock {n}: {off} ticks in {seconds} s");
    }
    seconds
}

/// A host clock that is moved by hand.
#[derive(Clone, Default)]
struct Hand(Rc<Cell<u64>>);

impl Clock for Hand {
    fn now(&mut self) -> Instant {
        Instant(self.0.get())
    }
    fn wall(&mut self) -> i64 {
        0
    }
}

/// This host's clock, on a host that goes away after 2 ms for so many.
struct Away {
    begun: std::time::Instant,
    milliseconds: u64,
    seen: Rc<Cell<u64>>,
}

impl Clock for Away {
    fn now(&mut self) -> Instant {
        let real = self.begun.elapsed().as_nanos() as u64;
        self.seen.set(real + real / 2_000_000 * self.milliseconds * 1_000_000);
        Instant(self.seen.get())
    }
    fn wall(&mut self) -> i64 {
        0
    }
}

/// Each tick is delivered to a guest that sleeps in between, and its time is the host's in the end.
#[test]
fn a_host_that_goes_away_all_the_time_costs_no_tick() {
    let hand = Hand::default();
    let mut host = Host { clock: Box::new(hand.clone()), ..Host::null() };
    let mut machine = counting(ClockMode::Host, Then::Sleeps);
    let mut pass = |machine: &mut Machine, nanoseconds: u64| {
        hand.0.set(hand.0.get() + nanoseconds);
        // It asks to be left alone when it has caught up.
        for _ in 0..10_000 {
            if matches!(machine.run(&mut host, Duration::from_millis(10)), Exit::Idle { .. }) {
                return;
            }
        }
        panic!("it never rests");
    };
    pass(&mut machine, 0);
    (0..500).for_each(|_| pass(&mut machine, 1_000_000));
    let (begun, first) = (machine.now().0, counts(&machine));
    assert!(first.iter().all(|&count| count > 400.0), "{first:?}");
    let ahead = hand.0.get() - begun;
    for away in 0..200 {
        pass(&mut machine, 1_000_000 + away % 10 * 97_000_000);
    }
    assert!(assert_ticks(&machine, begun, first) > 80.0);
    assert_eq!(hand.0.get() - machine.now().0, ahead, "it has drifted");
}

/// Nor does a processor that has halted for good hold up the devices: the loudspeaker may be on.
#[test]
fn time_is_the_hosts_for_a_machine_that_has_halted_for_good() {
    let hand = Hand::default();
    let mut host = Host { clock: Box::new(hand.clone()), ..Host::null() };
    let mut machine = counting(ClockMode::Host, Then::Halts);
    machine.run(&mut host, Duration::ZERO);
    for _ in 0..100 {
        // Twenty ticks at a time.
        hand.0.set(hand.0.get() + 20_000_000);
        let mut exit = Exit::Budget;
        for _ in 0..10 {
            exit = machine.run(&mut host, Duration::from_millis(10));
            if exit != Exit::Budget {
                break;
            }
        }
        assert_eq!(exit, Exit::Halted);
        assert_eq!(machine.now().0, hand.0.get(), "once it says that it rests, it has caught up");
    }
}

/// A guest that does nothing but count costs its host some thirty wake-ups a second, and loses no tick by that.
#[test]
fn a_guest_that_only_takes_its_ticks_gets_some_together() {
    let hand = Hand::default();
    let mut host = Host { clock: Box::new(hand.clone()), ..Host::null() };
    let mut machine = counting(ClockMode::Host, Then::Sleeps);
    let mut wakes = |machine: &mut Machine, until: u64| {
        let mut wakes = 0;
        while machine.now().0 < until {
            let exit = machine.run(&mut host, Duration::from_millis(10));
            if let Exit::Idle { until } = exit {
                hand.0.set(hand.0.get() + until.since(machine.now()));
                wakes += 1;
            }
        }
        wakes
    };
    // Not before it has been at that for a while.
    let first = wakes(&mut machine, 90_000_000);
    assert!(first > 150, "{first}");
    wakes(&mut machine, 600_000_000);
    let (begun, first) = (machine.now().0, counts(&machine));
    let woken = wakes(&mut machine, 10_600_000_000);
    assert!((300..=340).contains(&woken), "{woken}");
    assert_ticks(&machine, begun, first);
}

/// The same for a guest that never sleeps: its time is the host's but for a few seconds.
#[test]
fn a_busy_guest_loses_no_tick_while_its_host_is_away() {
    for away in [0, 3, 10] {
        let seen = Rc::new(Cell::new(0));
        let clock = Away { begun: std::time::Instant::now(), milliseconds: away, seen: Rc::clone(&seen) };
        let mut host = Host { clock: Box::new(clock), ..Host::null() };
        let mut machine = counting(ClockMode::Host, Then::Spins);
        let mut run = |machine: &mut Machine, until: u64| {
            while machine.now().0 < until {
                assert_eq!(machine.run(&mut host, Duration::from_millis(10)), Exit::Budget);
            }
        };
        run(&mut machine, 600_000_000);
        let (begun, first) = (machine.now().0, counts(&machine));
        assert!(first.iter().all(|&count| count > 400.0), "{first:?}");
        run(&mut machine, 1_000_000_000 * (2 + away));
        assert_ticks(&machine, begun, first);
        // A real host may be busy besides: what goes beyond that is given up, and counted.
        let late = seen.get() - machine.now().0 - machine.time_given_up();
        assert!(late <= 4_000_000_000, "away for {away}: {late} ns behind");
    }
}

#[test]
fn ten_minutes_of_ticks_are_neither_one_too_many_nor_one_too_few() {
    const SECONDS: u64 = 600;
    let mut machine = counting(ClockMode::Virtual { picoseconds: 10_000 }, Then::Sleeps);
    let mut host = Host::null();
    machine.run(&mut host, Duration::from_millis(500));
    let (begun, first) = (machine.now().0, counts(&machine));
    assert!(first.iter().all(|&count| count > 400.0), "{first:?}");
    for _ in 0..SECONDS {
        let exit = machine.run(&mut host, Duration::from_secs(1));
        assert!(matches!(exit, Exit::Budget | Exit::Idle { .. }), "{exit:?}");
    }
    assert_ticks(&machine, begun, first);
}

/// A host is not woken up before there is something to do, however short its slices are when there is.
#[test]
fn an_idle_machine_can_be_left_alone_beyond_its_budget() {
    let mut bios = vec![0xF4; 0x1_0000];
    // No interrupt comes through, and a divisor of 65536: 18 times a second; then sti; hlt.
    let code = [0xB0, 0xFF, 0xE6, 0x21, 0xB0, 0x34, 0xE6, 0x43, 0xB0, 0, 0xE6, 0x40, 0xE6, 0x40, 0xFB, 0xF4];
    bios[..code.len()].copy_from_slice(&code);
    bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0x00, 0x00, 0x00, 0xF0]);
    let config = Config { memory: 1 << 20, video_memory: 1 << 20, bios, ..Config::default() };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    // A host whose time stands still.
    let exit = machine.run(&mut Host::null(), Duration::from_millis(10));
    let Exit::Idle { until } = exit else { panic!("{exit:?}") };
    let rest = until.since(machine.now());
    // The next retrace, or tick.
    assert!((10_000_001..=55_000_000).contains(&rest), "{rest} ns");
}
