//! A whole machine whose firmware is the input: real mode code with all the ports before it.

use nomad86::config::{ClockMode, Config};
use nomad86::host::Host;
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use std::time::Duration;

/// Size of the firmware.
const ROM: usize = 64 << 10;
/// Slices that an input may run for.
const SLICES: u32 = 8;

/// Firmware that begins with `code`: the reset vector jumps to it, what it does not fill is HLT.
fn firmware(code: &[u8]) -> Vec<u8> {
    let mut rom = vec![0xF4; ROM];
    let len = code.len().min(ROM - 16);
    rom[..len].copy_from_slice(&code[..len]);
    // jmp F000:0000
    rom[ROM - 16..ROM - 11].copy_from_slice(&[0xEA, 0x00, 0x00, 0x00, 0xF0]);
    rom
}

/// Runs an input for some virtual milliseconds.
///
/// # Panics
/// When the machine cannot be built.
pub fn run(data: &[u8]) {
    let config = Config {
        memory: 1 << 20,
        video_memory: 1 << 20,
        bios: firmware(data),
        clock: ClockMode::Virtual { picoseconds: 100_000 },
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).expect("the host has two megabytes");
    let mut machine = Machine::new(config, memory).expect("the firmware has its size");
    let mut host = Host::null();
    for _ in 0..SLICES {
        match machine.run(&mut host, Duration::from_micros(250)) {
            Exit::Budget | Exit::Idle { .. } | Exit::Reset => {}
            _ => break,
        }
    }
}
