//! Port operations without sense: nothing panics, nothing leaves the bounds.

use super::*;
use crate::archive::Archive;
use crate::devices::ne2k::ring::Fault;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Checks each frame that a card sends.
struct Picky(u64);

impl Wire for Picky {
    fn transmit(&mut self, frame: &mut [u8]) {
        assert!((14..=1522).contains(&frame.len()));
        assert!(frame.len() <= 1518 || matches!(frame[12..14], [0x81, 0] | [0x88, 0xA8]));
        self.0 += 1;
    }
}

#[test]
fn random_port_operations_and_frames_never_panic() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8029);
    let mut chip = Chip::new(MAC);
    let mut wire = Picky(0);
    let mut bytes = std::vec![0u8; 1600];
    rng.fill_bytes(&mut bytes);
    let mut stored = 0u64;
    for round in 0..2_000_000 {
        if round % 2048 == 0 {
            // Now and then what a driver does, or nothing would ever run for long.
            for (offset, value) in [
                (0, STOP),
                (0x0C, 0x1C),
                (0x0D, 0),
                (1, 0x4C),
                (2, 0x80),
                (3, 0x4C),
                (0, STOP | PAGE1),
                (7, 0x4D),
            ] {
                chip.write(offset, Width::Byte, u32::from(value), &mut wire);
            }
            chip.write(0, Width::Byte, u32::from(START), &mut wire);
        }
        let r = rng.next_u64();
        let width = [Width::Byte, Width::Byte, Width::Word, Width::Dword][(r & 3) as usize];
        let offset = (r >> 2 & 0x3F) as u16 % 0x24;
        let mut value = (r >> 32) as u32;
        match r >> 8 & 15 {
            0..=7 => {
                // Values that make sense, half of the time.
                if r >> 12 & 1 == 0 {
                    value = match (offset, r >> 13 & 3) {
                        (0, _) => value & 0xC4 | [0x22, 0x0A, 0x12, 0x1A][(r >> 15 & 3) as usize],
                        (1 | 3 | 4 | 7, _) => 0x4C + value % 0x30,
                        (2, _) => 0x80,
                        (6 | 0x0B, _) => value & 7,
                        (0x0C, _) => 0x1C,
                        (0x0D, _) => 0,
                        _ => value,
                    };
                }
                chip.write(offset, width, value, &mut wire);
            }
            8..=13 => {
                if offset < 0x18 {
                    let read = chip.read(offset, width);
                    assert_eq!(read & !width.ones(), 0);
                }
            }
            14 => {
                let length = (r >> 20) as usize % bytes.len();
                bytes[..6].copy_from_slice(&[0xFF; 6]);
                stored += u64::from(chip.receive(&bytes[..length]) == Received::Stored);
            }
            _ => {
                chip.arrive(
                    &bytes[..(r >> 20) as usize % 1600],
                    [None, Some(Fault::Crc)][(r >> 12 & 1) as usize],
                );
                let _ = chip.can_receive();
            }
        }
    }
    assert!(wire.0 > 200 && stored > 500, "the storm reached both paths: {} {stored}", wire.0);
}

#[test]
fn a_state_of_noise_is_as_harmless_as_any_registers() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(76);
    let mut chip = Chip::new(MAC);
    let mut image = Vec::new();
    Archive::save(&mut image, 1).field(&mut chip);
    let mut wire = Picky(0);
    for _ in 0..300 {
        rng.fill_bytes(&mut image);
        Archive::load(&image, 1).field(&mut chip);
        for _ in 0..200 {
            let r = rng.next_u64();
            let offset = (r & 0x1F) as u16;
            chip.write(offset, Width::Byte, (r >> 8) as u32 & 0xFF, &mut wire);
            chip.read(offset, Width::Word);
            chip.receive(&[0xFF; 300]);
        }
    }
}
