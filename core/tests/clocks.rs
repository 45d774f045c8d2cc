//! The clocks that a guest sees run as long as its time does: nothing is added up, so that nothing drifts.

use nomad86::config::{ClockMode, Config};
use nomad86::host::Host;
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
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

#[test]
fn ten_minutes_of_ticks_are_neither_one_too_many_nor_one_too_few() {
    const SECONDS: u64 = 600;
    let mut bios = vec![0xF4; 0x1_0000];
    assert!(CODE.len() <= 0x80);
    for (at, part) in [(0, CODE), (0x80, PIT), (0xA0, RTC), (0xFFF0, &[0xEA, 0x00, 0x00, 0x00, 0xF0])] {
        bios[at..at + part.len()].copy_from_slice(part);
    }
    let config = Config {
        memory: 1 << 20,
        video_memory: 1 << 20,
        clock: ClockMode::Virtual { picoseconds: 10_000 },
        bios,
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    let mut host = Host::null();
    let counts = |machine: &Machine| {
        let mut bytes = [0; 8];
        machine.read_memory(0x500, &mut bytes);
        let count = |at| f64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        [count(0), count(4)]
    };
    // The rates are those of the crystals: 14.31818 MHz / 12 and 32.768 kHz / 32.
    let rates = [105e6 / 88.0 / 1193.0, 1024.0];
    machine.run(&mut host, Duration::from_millis(500));
    let (begun, first) = (machine.now().0, counts(&machine));
    assert!(first.iter().all(|&count| count > 400.0), "{first:?}");
    for _ in 0..SECONDS {
        let exit = machine.run(&mut host, Duration::from_secs(1));
        assert!(matches!(exit, Exit::Budget | Exit::Idle { .. }), "{exit:?}");
    }
    let seconds = (machine.now().0 - begun) as f64 / 1e9;
    for (n, last) in counts(&machine).into_iter().enumerate() {
        let off = last - first[n] - seconds * rates[n];
        // 50 ms an hour are 8 ms in ten minutes; a tick more or less is one at either end.
        assert!(off.abs() <= 2.0, "clock {n}: {off} ticks in {seconds} s");
    }
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
