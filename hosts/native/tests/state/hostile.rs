//! Images that were cut, damaged or made by an attacker. A small machine is enough: its BIOS sets the timer
//! going and then reads every port, over and over.

use super::guest::{preserving, scaled};
use nomad86::config::{Card, CardModel, ClockMode, Config, IdeSlot};
use nomad86::host::Host;
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use nomad86::snapshot::{self, FORMAT, HostSection, Reader, SnapshotError, Tag, Writer};
use nomad86_host::disk::MemoryDisk;
use nomad86_native::bench::thread_time;
use std::time::Duration;

const PROGRAM: &[u8] = &[
    0xFA, // cli
    0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xD0, // xor ax, ax; mov ds, ax; mov ss, ax
    0xBC, 0x00, 0x70, // mov sp, 7000h
    0x31, 0xDB, // xor bx, bx
    0xC7, 0x07, 0x80, 0x00, // fill: mov word [bx], 80h
    0xC7, 0x47, 0x02, 0x00, 0xF0, // mov word [bx+2], F000h
    0x83, 0xC3, 0x04, 0x81, 0xFB, 0x00, 0x04, 0x75, 0xEE, // add bx, 4; cmp bx, 400h; jne fill
    0xB0, 0x11, 0xE6, 0x20, 0xB0, 0x08, 0xE6, 0x21, // ICW1, ICW2
    0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x01, 0xE6, 0x21, 0xB0, 0x00, 0xE6, 0x21, // ICW3, ICW4, OCW1
    0xB0, 0x34, 0xE6, 0x43, 0xB0, 0x00, 0xE6, 0x40, 0xB0, 0x10, 0xE6, 0x40, // counter 0: mode 2, 1000h
    0xFB, 0x31, 0xD2, // sti; xor dx, dx
    0xEC, 0x42, 0xEB, 0xFC, // next: in al, dx; inc dx; jmp next
];
/// At F000:0080: ends an interrupt.
const HANDLER: &[u8] = &[0x50, 0xB0, 0x20, 0xE6, 0x20, 0x58, 0xCF];

pub(crate) fn config() -> Config {
    let mut bios = vec![0xFF; 64 << 10];
    bios[..PROGRAM.len()].copy_from_slice(PROGRAM);
    bios[0x80..0x80 + HANDLER.len()].copy_from_slice(HANDLER);
    bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0, 0, 0, 0xF0]);
    Config {
        memory: 1 << 20,
        video_memory: 1 << 20,
        // Slow, so that a few instructions are time enough for every device.
        clock: ClockMode::Virtual { picoseconds: 1_000_000 },
        bios,
        ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Empty],
        cards: vec![
            Card { model: CardModel::Ne2kPci, mac: MacAddress([2, 0, 0, 0, 0, 1]) },
            Card { model: CardModel::Ne2kIsa { base: 0x300, irq: 3 }, mac: MacAddress([2, 0, 0, 0, 0, 2]) },
        ],
        ..Config::default()
    }
}

fn host() -> Host {
    let mut host = Host::null();
    host.drives.ide[0] = Some(Box::new(MemoryDisk::blank(2048)));
    host.drives.ide[2] = Some(Box::new(MemoryDisk::blank(2048).protected()));
    host
}

/// A small machine that has run for a while, and its image.
pub(crate) fn small() -> (Machine, Vec<u8>) {
    let config = config();
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    machine.run(&mut host(), Duration::from_millis(100));
    assert!(machine.cpu.count > 10_000, "the program runs");
    let mut image = Vec::new();
    machine.save(&mut image).unwrap();
    (machine, image)
}

fn restore(image: &[u8]) -> Result<Machine, SnapshotError> {
    let config = snapshot::config(&mut &*image)?;
    // What an attacker asks for is the host's to refuse; here it is more than 64 MiB.
    let memory = GuestMemory::allocate(config.memory_needed().min(64 << 20)).unwrap();
    Ok(Machine::restore(config, memory, &mut &*image, preserving())?.machine)
}

/// One image of each format that was ever released, by the number of its format.
const FORMATS: &[(u32, &[u8])] = &[(1, include_bytes!("../data/state-1.bin"))];

#[test]
fn images_of_every_format_are_restored() {
    assert_eq!(
        FORMATS.last().unwrap().0,
        FORMAT,
        "write one with: cargo test --test state write -- --ignored"
    );
    for (format, image) in FORMATS {
        assert_eq!(snapshot::inspect(&mut &image[..]).unwrap().format, *format);
        let memory = GuestMemory::allocate(config().memory_needed()).unwrap();
        let restored = Machine::restore(config(), memory, &mut &image[..], preserving()).unwrap();
        assert_eq!(restored.unknown, []);
        let mut machine = restored.machine;
        let (count, ticks) = (machine.cpu.count, machine.runs.interrupts);
        machine.run(&mut host(), Duration::from_millis(100));
        assert!(machine.cpu.count > count + 10_000 && machine.runs.interrupts > ticks + 20);
    }
}

#[test]
#[ignore = "writes a file of the source"]
fn write_an_image_of_this_format() {
    let file = format!("{}/tests/data/state-{FORMAT}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(file, small().1).unwrap();
}

#[test]
fn case_73_an_image_that_is_cut_anywhere_is_refused_and_the_machine_before_stays_usable() {
    let (mut machine, image) = small();
    assert!(image.len() < 64 << 10, "{} bytes", image.len());
    for len in 0..image.len() {
        let error = restore(&image[..len]).map(|_| ()).unwrap_err();
        match error {
            SnapshotError::Cut => {}
            SnapshotError::NotAnImage if len == 0 => {}
            error => panic!("cut at {len}: {error}"),
        }
    }
    let count = machine.cpu.count;
    machine.run(&mut host(), Duration::from_millis(10));
    assert!(machine.cpu.count > count);
}

#[test]
fn case_73_a_bit_that_is_flipped_anywhere_is_noticed() {
    let (_, image) = small();
    let mut bad = image.clone();
    let step = scaled(5, 1) as usize;
    for bit in (0..image.len() * 8).step_by(step) {
        bad[bit / 8] ^= 1 << (bit & 7);
        assert!(snapshot::inspect(&mut &bad[..]).is_err(), "bit {bit}");
        if bit % (step * 37) == 0 {
            assert!(restore(&bad).is_err(), "bit {bit}");
        }
        bad[bit / 8] ^= 1 << (bit & 7);
    }
    assert!(restore(&bad).is_ok());
}

/// Every section of an image, in order, that `change` lets through, in an image of its own.
fn rewrite(image: &[u8], mut change: impl FnMut(Tag, &mut u16, &mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut source = image;
    let mut reader = Reader::new(&mut source).unwrap();
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out).unwrap();
    while let Some(section) = reader.next_section().unwrap() {
        let (mut version, mut contents) = (section.version, section.contents.to_vec());
        if change(section.tag, &mut version, &mut contents) {
            writer.section(section.tag, version, &contents).unwrap();
        }
    }
    writer.finish().unwrap();
    out
}

#[test]
fn case_74_other_versions_and_other_machines_are_refused_by_name() {
    let (_, image) = small();
    for format in [0, FORMAT + 1, u32::MAX] {
        let mut other = image.clone();
        other[8..12].copy_from_slice(&format.to_le_bytes());
        let sum = crc32(&other[..20]);
        other[20..24].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(restore(&other).map(|_| ()).unwrap_err(), SnapshotError::Format(format));
    }
    for version in [0, 3, u16::MAX] {
        for (tag, known) in [(*b"PIT ", 1), (*b"CPU ", 1), (*b"RAM ", 1), (*b"CONF", 2)] {
            let other = rewrite(&image, |found, v, _| {
                *v = if found == Tag(tag) { version } else { *v };
                true
            });
            let expected = SnapshotError::SectionVersion { tag: Tag(tag), found: version, known };
            assert_eq!(restore(&other).map(|_| ()).unwrap_err(), expected);
        }
    }
    let (image, config) = (&image[..], config());
    let refused = |config: Config| {
        let memory = GuestMemory::allocate(8 << 20).unwrap();
        let result = Machine::restore(config, memory, &mut &*image, preserving());
        result.map(|_| ()).unwrap_err().to_string()
    };
    let message = refused(Config { memory: 2 << 20, ..config.clone() });
    assert!(message.contains("RAM of 1 MiB, this one of 2 MiB"), "{message}");
    let message = refused(Config { cards: Vec::new(), ..config.clone() });
    assert!(message.contains("network cards"), "{message}");
    let message = refused(Config { ide: [IdeSlot::Empty; 4], ..config.clone() });
    assert!(message.contains("IDE drives"), "{message}");
    let message = refused(Config { bios: vec![0; 64 << 10], ..config.clone() });
    assert!(message.contains("BIOS"), "{message}");
    let memory = GuestMemory::allocate(1 << 20).unwrap();
    let result = Machine::restore(config, memory, &mut &*image, preserving());
    assert!(matches!(result, Err(SnapshotError::Config(_))), "too little host memory");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 })
    })
}

#[test]
fn case_74_unknown_sections_are_passed_over_and_missing_ones_begin_anew() {
    let (mut machine, _) = small();
    let mut image = Vec::new();
    let extra = HostSection { tag: Tag(*b"disk"), version: 3, contents: vec![7; 1000] };
    machine.save_with(&mut image, std::slice::from_ref(&extra)).unwrap();
    assert_eq!(snapshot::inspect(&mut &image[..]).unwrap().host, [extra]);
    let other = rewrite(&image, |tag, _, _| tag != Tag(*b"SB16"));
    let mut out = Vec::new();
    let mut source = &other[..];
    let mut reader = Reader::new(&mut source).unwrap();
    let mut writer = Writer::new(&mut out).unwrap();
    while let Some(section) = reader.next_section().unwrap() {
        writer.section(section.tag, section.version, section.contents).unwrap();
        if section.tag == Tag(*b"PIT ") {
            writer.section(Tag(*b"HPET"), 1, &[1, 2, 3]).unwrap();
        }
    }
    writer.finish().unwrap();
    let memory = GuestMemory::allocate(config().memory_needed()).unwrap();
    let restored = Machine::restore(config(), memory, &mut &out[..], preserving()).unwrap();
    assert_eq!(restored.unknown, [Tag(*b"HPET")]);
    assert_eq!(restored.missing, [Tag(*b"SB16")]);
    let mut machine = restored.machine;
    machine.run(&mut host(), Duration::from_millis(10));
}

#[test]
fn case_75_lengths_without_end_take_no_memory() {
    let (_, image) = small();
    let begin = image.len() - 16 - 8 - 4;
    // A section of 4 GiB, of 8 MiB that is not there, and one that says it unpacks to 4 GiB.
    for (len, flags, contents) in
        [(u32::MAX, 0_u16, &[0; 64][..]), (8 << 20, 0, &[0; 64]), (12, 1, &[0xFF; 12]), (3, 1, &[0; 3])]
    {
        let mut bad = image[..begin].to_vec();
        let mut header = b"LONG\x01\0".to_vec();
        header.extend(flags.to_le_bytes());
        header.extend(len.to_le_bytes());
        header.extend(crc32(&header).to_le_bytes());
        let sum = crc32(&[contents, &header[..]].concat());
        bad.extend(&header);
        bad.extend(contents);
        bad.extend(sum.to_le_bytes());
        assert!(restore(&bad).is_err());
    }
    // Memory that overlaps, is out of order, or lies outside.
    let ram = Tag(*b"RAM ");
    for first in [256_u32, 512, 1, u32::MAX, !255] {
        let bad = rewrite(&image, |tag, _, contents| {
            if tag == ram {
                contents[..4].copy_from_slice(&first.to_le_bytes());
            }
            true
        });
        assert!(matches!(restore(&bad), Err(SnapshotError::Malformed { tag, .. }) if tag == ram), "{first}");
    }
    // A configuration whose files are longer than any image holds.
    let bad = rewrite(&image, |tag, _, contents| {
        if tag == Tag(*b"CONF") {
            // The lengths of BIOS, VGA BIOS and network ROM end the section, a byte for the kernel among them.
            let at = contents.len() - 25;
            contents[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        }
        true
    });
    assert!(restore(&bad).is_err());
}

/// The numbers of the mutants: `NOMAD86_MUTANTS=FIRST..LAST` has some of them.
fn mutants() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("NOMAD86_MUTANTS") else { return 0..scaled(1500, 1_000_000) };
    let numbers = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    numbers.unwrap_or_else(|| panic!("NOMAD86_MUTANTS: '{text}' is not FIRST..LAST, such as 0..1000000"))
}

#[test]
fn case_76_hostile_values_with_right_checksums_neither_stop_nor_break_the_host() {
    let (_, image) = small();
    let memories = [*b"RAM ", *b"VRAM", *b"ROM ", *b"BIOS", *b"CONF"].map(Tag);
    let mut tags = Vec::new();
    rewrite(&image, |tag, _, contents| {
        if !contents.is_empty() && !memories.contains(&tag) {
            tags.push(tag);
        }
        true
    });
    let mut restored = 0;
    for mutant in mutants() {
        // Each has a number of its own to begin with: a run of many can be divided.
        let mut random = (mutant + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 16) as usize % below
        };
        let (target, all) = (tags[next(tags.len())], next(8) == 0);
        let bad = rewrite(&image, |tag, _, contents| {
            if tag == target || all && !memories.contains(&tag) {
                for _ in 0..=next(if tag == target { 24 } else { 2 }) {
                    if let Some(len) = std::num::NonZero::new(contents.len()) {
                        let at = next(len.get());
                        let value = [0, 0xFF, 0x80, 0x7F, next(256) as u8][next(5)];
                        let run = if next(4) == 0 { 8 } else { 1 };
                        contents.iter_mut().skip(at).take(run).for_each(|byte| *byte = value);
                    }
                }
            }
            true
        });
        let begun = thread_time();
        let result = restore(&bad);
        let took = thread_time() - begun;
        assert!(took < Duration::from_secs(1), "mutant {mutant} of {target} took {took:?}");
        if let Ok(mut machine) = result {
            restored += 1;
            let mut host = host();
            for _ in 0..3 {
                machine.run(&mut host, Duration::from_millis(20));
            }
            // And it can be saved and restored like any other.
            let mut again = Vec::new();
            machine.save(&mut again).unwrap();
            assert!(restore(&again).is_ok(), "mutant {mutant} of {target}");
        }
        let took = thread_time() - begun;
        assert!(took < Duration::from_secs(5), "mutant {mutant} of {target} took {took:?}");
    }
    assert!(restored > 0);
    println!("{restored} mutants were taken of {:?}", mutants());
}
