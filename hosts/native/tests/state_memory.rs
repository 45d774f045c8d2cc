//! How much memory an image can make a program take: what its machine has, and 64 MiB at most.
#![allow(missing_docs)]
#![cfg(target_os = "linux")]

use nomad86::config::{ClockMode, Config};
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86::snapshot::{self, Reader, RestoreOptions, Tag, Writer};
use std::sync::{Mutex, PoisonError};

/// One at a time: they share the process whose memory they measure.
static ALONE: Mutex<()> = Mutex::new(());

/// A field of this process' status, in bytes.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the system tells it");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Bytes of this process that are in the host's memory.
fn resident() -> usize {
    status("VmRSS")
}

/// The most that [`resident`] has been since [`forget_peak`].
fn peak() -> usize {
    status("VmHWM")
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// A piece of 256 pages that are all one byte: 1 MiB in 4 KiB.
fn piece(first: u32) -> Vec<u8> {
    let mut piece = first.to_le_bytes().to_vec();
    piece.extend([0xFF; 32]);
    // A literal, a match as long as it can be, and the last literals.
    let len: usize = 1 << 20;
    let mut rest = len - 1 - 4 - 15 - 5;
    piece.extend([0x1F, b'A', 1, 0]);
    while rest >= 255 {
        piece.push(255);
        rest -= 255;
    }
    piece.push(rest as u8);
    piece.extend(*b"\x50AAAAA");
    piece
}

/// An image in which everything is as long as can be; with a kernel and an initial RAM disk, which are none.
fn hostile(image: &[u8], kernel: bool) -> Vec<u8> {
    let mut bad = Vec::new();
    let mut writer = Writer::new(&mut bad).unwrap();
    let mut source = image;
    let mut reader = Reader::new(&mut source).unwrap();
    while let Some(section) = reader.next_section().unwrap() {
        let mut contents = section.contents.to_vec();
        if kernel && section.tag == Tag(*b"CONF") {
            // Before the length of the network ROM stands whether there is a kernel.
            let network_rom = contents.split_off(contents.len() - 8);
            *contents.last_mut().unwrap() = 1;
            contents.extend((16_u64 << 20).to_le_bytes());
            contents.push(1);
            contents.extend((7_u64 << 20).to_le_bytes());
            contents.extend([0; 8]);
            contents.extend(network_rom);
        }
        if section.tag == Tag(*b"RAM ") {
            continue;
        }
        writer.section(section.tag, section.version, &contents).unwrap();
        if kernel && section.tag == Tag(*b"BIOS") {
            for (tag, pieces) in [(*b"KERN", 16), (*b"INRD", 7)] {
                (0..pieces).for_each(|n| writer.section(Tag(tag), 1, &piece(n * 256)).unwrap());
            }
        }
    }
    (0..50).for_each(|_| writer.section(Tag(*b"host"), 1, &[7; 8 << 20]).unwrap());
    (0..200).for_each(|n| writer.section(Tag(*b"RAM "), 1, &piece(n * 256)).unwrap());
    writer.finish().unwrap();
    bad
}

/// What restoring may take beside the machine's memory, as the host counts it: pages that were touched.
const BOUND: usize = 64 << 20;

#[test]
fn case_75_what_unpacks_to_a_lot_is_bounded_by_the_machine_s_memory_and_64_mib() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bios = vec![0xF4; 64 << 10];
    bios[0xFFF0..0xFFF2].copy_from_slice(&[0xEB, 0xFE]);
    let config = Config {
        memory: 8 << 20,
        video_memory: 1 << 20,
        clock: ClockMode::Virtual { picoseconds: 1000 },
        bios,
        ..Config::default()
    };
    let needed = config.memory_needed();
    let memory = GuestMemory::allocate(needed).unwrap();
    let mut image = Vec::new();
    Machine::new(config.clone(), memory).unwrap().save(&mut image).unwrap();
    let (bad, full) = (hostile(&image, true), hostile(&image, false));
    assert!(bad.len() < 9 << 20, "{} bytes", bad.len());
    let before = resident();
    forget_peak();
    let restored = snapshot::config(&mut &bad[..]).map(|config| {
        let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
        Machine::restore(config, memory, &mut &bad[..], RestoreOptions::default()).map(drop)
    });
    let inspected = snapshot::inspect(&mut &bad[..]).map(drop);
    assert!(!matches!(restored, Ok(Ok(()))) && inspected.is_err(), "there is no such kernel");
    let took = peak() - before;
    println!("{} MiB", took >> 20);
    assert!(took <= needed + BOUND, "{} MiB", took >> 20);
    assert!(took > 16 << 20, "it was unpacked: {} MiB", took >> 20);
    // Without the kernel it goes as far as its RAM, of which there is more than the machine has.
    forget_peak();
    let before = resident();
    let memory = GuestMemory::allocate(needed).unwrap();
    let result = Machine::restore(config, memory, &mut &full[..], RestoreOptions::default());
    let error = result.map(drop).unwrap_err().to_string();
    assert!(error.contains("outside the machine's memory"), "{error}");
    let took = peak() - before;
    println!("{} MiB", took >> 20);
    assert!(took <= needed + BOUND, "{} MiB", took >> 20);
}

#[test]
fn memory_that_a_guest_does_not_use_takes_none_of_the_host() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = resident();
    let memory = GuestMemory::allocate(512 << 20).unwrap();
    let after = resident();
    assert!(after < before + (64 << 20), "{} MiB", (after - before) >> 20);
    drop(memory);
}
