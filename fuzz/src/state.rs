//! State images: a small one with changes, or any bytes. What is refused is refused, what is restored runs.

use crate::input::Input;
use nomad86::config::{ClockMode, Config};
use nomad86::host::Host;
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86::snapshot::{self, Reader, RestoreOptions, Writer};
use std::sync::OnceLock;
use std::time::Duration;

/// Memory that an image may ask for here.
const MOST: usize = 32 << 20;
const SLICES: u32 = 4;

/// An image of a machine that has run a little.
#[must_use]
pub fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut bios = vec![0xF4; 64 << 10];
        // sti; l: inc ax; jmp l
        bios[0xFFF0..0xFFF4].copy_from_slice(&[0xFB, 0x40, 0xEB, 0xFD]);
        let config = Config {
            memory: 1 << 20,
            video_memory: 1 << 20,
            bios,
            clock: ClockMode::Virtual { picoseconds: 10_000 },
            ..Config::default()
        };
        let memory = GuestMemory::allocate(config.memory_needed()).expect("the host has two megabytes");
        let mut machine = Machine::new(config, memory).expect("the firmware has its size");
        machine.run(&mut Host::null(), Duration::from_millis(1));
        let mut image = Vec::new();
        machine.save(&mut image).expect("memory takes an image");
        image
    })
}

/// Runs an input: any image, changes to a good one, or changes to what is in its sections, with right checksums,
/// so that what is there is believed.
///
/// # Panics
/// When a machine that was restored cannot be saved.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte().unwrap_or(0) % 3 {
        0 => {
            let mut bytes = image().to_vec();
            while let Some(first) = input.byte() {
                let at = (usize::from(first) << 16 | usize::from(input.word())) % bytes.len();
                bytes[at] = input.byte().unwrap_or(0);
            }
            restore(&bytes);
        }
        1 => restore(input.rest()),
        _ => restore(&believed(&mut input)),
    }
}

/// The good image with other bytes in its sections.
fn believed(input: &mut Input<'_>) -> Vec<u8> {
    let mut source = image();
    let mut reader = Reader::new(&mut source).expect("the image is good");
    let mut sections = Vec::new();
    while let Some(section) = reader.next_section().expect("the image is good") {
        sections.push((section.tag, section.version, section.contents.to_vec()));
    }
    while let Some(number) = input.byte() {
        let at = usize::from(input.word());
        let value = input.byte().unwrap_or(0);
        let count = sections.len();
        let contents = &mut sections[usize::from(number) % count].2;
        match contents.len() {
            0 => contents.push(value),
            len => contents[at % len] = value,
        }
    }
    let mut image = Vec::new();
    let mut writer = Writer::new(&mut image).expect("memory takes an image");
    for (tag, version, contents) in sections {
        writer.section(tag, version, &contents).expect("memory takes an image");
    }
    writer.finish().expect("memory takes an image");
    image
}

fn restore(bytes: &[u8]) {
    let inspected = snapshot::inspect(&mut &bytes[..]);
    let Ok(config) = snapshot::config(&mut &bytes[..]) else { return };
    if config.memory_needed() > MOST {
        return;
    }
    let memory = GuestMemory::allocate(config.memory_needed()).expect("the host has some megabytes");
    match Machine::restore(config, memory, &mut &bytes[..], RestoreOptions::default()) {
        Err(error) => assert!(error.to_string().lines().count() == 1),
        Ok(restored) => {
            assert!(inspected.is_ok(), "what is restored can be listed");
            let mut machine = restored.machine;
            for _ in 0..SLICES {
                machine.run(&mut Host::null(), Duration::from_micros(50));
            }
            machine.save(&mut Vec::new()).expect("memory takes an image");
        }
    }
}
