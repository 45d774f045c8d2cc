//! What a frame costs the card, as a driver moves it: in words, from and to packet RAM.
//!
//! `cargo bench -p nomad86 --bench ne2k`

use divan::{Bencher, black_box};
use nomad86::board::Width;
use nomad86::devices::ne2k::chip::{Chip, Wire};
use nomad86::net::MacAddress;

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

struct Sink;

impl Wire for Sink {
    fn transmit(&mut self, frame: &mut [u8]) {
        black_box(frame);
    }
}

fn main() {
    divan::main();
}

fn outb(chip: &mut Chip, writes: &[(u16, u8)]) {
    for (offset, value) in writes {
        chip.write(*offset, Width::Byte, u32::from(*value), &mut Sink);
    }
}

fn up() -> Chip {
    let mut chip = Chip::new(MAC);
    outb(
        &mut chip,
        &[(0, 0x21), (14, 0x49), (12, 0x04), (13, 0), (1, 0x4C), (2, 0x80), (3, 0x4C), (0, 0x61), (7, 0x4D)],
    );
    outb(&mut chip, &[(1, 2), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1), (0, 0x22)]);
    chip
}

#[divan::bench(args = [60, 1514])]
fn send(bencher: Bencher, length: usize) {
    let mut chip = up();
    let [low, high] = (length as u16).to_le_bytes();
    bencher.bench_local(|| {
        outb(&mut chip, &[(0, 0x22), (10, low), (11, high), (8, 0), (9, 0x40), (0, 0x12)]);
        for _ in 0..length / 2 {
            chip.write(0x10, Width::Word, black_box(0x1234), &mut Sink);
        }
        outb(&mut chip, &[(7, 0x40), (4, 0x40), (5, low), (6, high), (0, 0x26), (7, 0x02)]);
    });
}

#[divan::bench(args = [60, 1514])]
fn receive(bencher: Bencher, length: usize) {
    let mut chip = up();
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&MAC.0);
    let [low, high] = (length as u16 + 8).to_le_bytes();
    bencher.bench_local(|| {
        let page = chip.ring().curr;
        chip.receive(black_box(&frame));
        outb(&mut chip, &[(0, 0x22), (10, low), (11, high), (8, 0), (9, page), (0, 0x0A)]);
        for _ in 0..(length + 8) / 2 {
            black_box(chip.read(0x10, Width::Word));
        }
        let curr = chip.ring().curr;
        outb(&mut chip, &[(0, 0x22), (3, if curr == 0x4C { 0x7F } else { curr - 1 }), (7, 0x41)]);
    });
}

/// What [`receive`] costs without the driver's part.
#[divan::bench(args = [60, 1514])]
fn store(bencher: Bencher, length: usize) {
    let mut chip = up();
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&MAC.0);
    bencher.bench_local(|| {
        black_box(chip.receive(black_box(&frame)));
        let curr = chip.ring().curr;
        outb(&mut chip, &[(3, if curr == 0x4C { 0x7F } else { curr - 1 })]);
    });
}
