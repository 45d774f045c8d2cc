//! Our NE2000 against QEMU's `ne2k_pci`: the same port accesses and frames for both, the same answers wanted.
//!
//! QEMU's CPU halts at once, its ports are reached through the test protocol and its frames
//! through a UDP socket of the loopback interface. It is a second opinion: where the two differ the data
//! sheet decides. [`differences::ALL`] lists each known difference with the line of the data sheet; the
//! random operations keep to what the list leaves, so that any other difference fails the test, and so does
//! an entry that has ceased to be true.
//!
//! `NOMAD86_QTEST_OPS` sets the number of port accesses (default 30,000).
#![cfg(unix)]

#[path = "ne2k_qtest/differences.rs"]
mod differences;
#[path = "ne2k_qtest/pair.rs"]
mod pair;

use nomad86::devices::ne2k::regs::{cr, page0_write, page1};
use nomad86_native::bench;
use pair::{Pair, START, Setup};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// Values of the random driver.
struct Random(Xoshiro256PlusPlus);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.next_u32() % limit
    }

    fn between(&mut self, low: u16, high: u16) -> u16 {
        low + self.below(u32::from(high - low)) as u16
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u32() as u8
    }

    fn frame(&mut self, destination: [u8; 6]) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(self.between(60, 1515))];
        self.0.fill_bytes(&mut bytes);
        bytes[..6].copy_from_slice(&destination);
        bytes[6..14].copy_from_slice(&[2, 1, 1, 1, 1, 1, 8, 0]);
        bytes
    }
}

#[test]
fn random_drivers_see_no_difference_that_is_not_listed() {
    let Some(mut pair) = Pair::start() else {
        bench::skipped("ne2k_qtest", &"qemu-system-i386 is not installed");
        return;
    };
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(8029));
    let wanted = bench::count("NOMAD86_QTEST_OPS", 30_000);
    pair.bring_up(Setup::default());
    while pair.accesses < wanted {
        match random.below(16) {
            0 | 1 => registers(&mut pair, &mut random),
            2 => filter(&mut pair, &mut random),
            3 => ring(&mut pair, &mut random),
            4..=7 => remote_dma(&mut pair, &mut random),
            8 | 9 => transmit(&mut pair, &mut random),
            10..=12 => receive(&mut pair, &mut random),
            13 => pair.stop_and_start(),
            14 => pair.acknowledge(random.byte()),
            _ => pair.reset(),
        }
        pair.compare();
    }
    assert!(pair.sent > wanted / 10_000 && pair.received > wanted / 10_000, "frames went both ways");
    println!("{} port accesses, {} frames sent, {} received", pair.accesses, pair.sent, pair.received);
}

#[test]
fn every_listed_difference_is_still_there() {
    let Some(mut pair) = Pair::start() else {
        bench::skipped("ne2k_qtest", &"qemu-system-i386 is not installed");
        return;
    };
    for difference in differences::ALL {
        pair.reset();
        let [ours, theirs] = (difference.probe)(&mut pair);
        println!("{}: ours {ours:#x}, QEMU's {theirs:#x} ({})", difference.what, difference.sheet);
        assert_eq!(ours, difference.ours, "{}: ours", difference.what);
        assert_eq!(theirs, difference.theirs, "{}: QEMU's", difference.what);
        assert_ne!(ours, theirs, "{}", difference.what);
    }
}

fn registers(pair: &mut Pair, random: &mut Random) {
    pair.outb(0, START);
    for _ in 0..random.below(6) {
        let (offset, value) = match random.below(5) {
            0 => (page0_write::IMR, random.byte()),
            1 => (page0_write::ISR, random.byte()),
            2 => (page0_write::TBCR0, random.byte()),
            3 => (page0_write::TBCR1, random.byte()),
            _ => (page0_write::TPSR, random.byte()),
        };
        pair.outb(offset, value);
    }
}

/// The multicast filter.
fn filter(pair: &mut Pair, random: &mut Random) {
    pair.outb(0, START | 1 << cr::PS_SHIFT);
    for offset in page1::MAR0..=page1::MAR7 {
        pair.outb(offset, random.byte());
    }
}

/// Another ring, empty, of twenty pages at least.
fn ring(pair: &mut Pair, random: &mut Random) {
    let pstart = random.between(0x40, 0x60);
    let pstop = random.between(pstart + 20, 0x81);
    let curr = random.between(pstart, pstop);
    let bnry = if curr == pstart { pstop - 1 } else { curr - 1 };
    pair.set_ring([pstart, pstop, curr, bnry].map(|page| page as u8));
}

fn remote_dma(pair: &mut Pair, random: &mut Random) {
    let word = random.below(2) == 0;
    pair.outb(0, START);
    pair.outb(page0_write::DCR, if word { 0x49 } else { 0x48 });
    let reading = random.below(2) == 0;
    let width = match (word, random.below(3)) {
        (_, 0) => 4,
        (true, _) => 2,
        (false, _) => 1,
    };
    // The station address in the PROM, or packet RAM.
    let (low, high) = if reading && random.below(6) == 0 { (0, 12) } else { (0x4000, 0x8000) };
    let at = random.between(low, high) & !3;
    // Beyond packet RAM the two differ, unless the ring ends with it.
    let room = if pair.pstop() == 0x80 && low != 0 { 0x300 } else { high - at };
    let transfers = random.between(0, (room / width).min(200) + 1);
    let surplus = random.between(0, 2) * random.between(0, 100);
    let count = (transfers + surplus) * width;
    pair.remote(if reading { cr::RD_READ } else { cr::RD_WRITE }, at, count);
    for n in 0..transfers {
        let offset = 0x10;
        if reading {
            pair.read(offset, width);
        } else {
            pair.write(offset, width, random.0.next_u32());
        }
        if n % 16 == 0 {
            pair.compare_page0();
        }
    }
    pair.compare_page0();
    pair.outb(0, START);
}

fn transmit(pair: &mut Pair, random: &mut Random) {
    let count = random.between(14, 1515);
    let last = 0x80 - count.div_ceil(256);
    let page = random.between(0x40, last + 1) as u8;
    let pattern = random.0.next_u32();
    pair.remote(cr::RD_WRITE, u16::from(page) << 8, count.next_multiple_of(4).min(64));
    for n in 0..count.next_multiple_of(4).min(64) / 4 {
        pair.write(0x10, 4, pattern.rotate_left(u32::from(n)));
    }
    pair.transmit(page, count);
}

fn receive(pair: &mut Pair, random: &mut Random) {
    let groups = [[0x33, 0x33, 0, 0, 0, 1], [1, 0, 0x5E, 0, 0, 0xFB], [0x33, 0x33, 0xFF, 0x12, 0x34, 0x56]];
    // What a driver sets: groups, everything, or nothing but itself, always with broadcasts.
    match random.below(4) {
        0 => {
            pair.outb(0, START | 1 << cr::PS_SHIFT);
            (page1::MAR0..=page1::MAR7).for_each(|offset| pair.outb(offset, 0xFF));
            pair.set_rcr(0x1C);
        }
        1 => pair.set_rcr(0x04),
        _ => pair.set_rcr(0x0C),
    }
    pair.empty_ring();
    let mut frames = Vec::new();
    for _ in 0..random.below(3) {
        let destination = match random.below(4) {
            0 => pair::MAC.0,
            1 => [2, 0, 0, 0, 0, random.byte()],
            _ => groups[random.below(3) as usize],
        };
        frames.push(random.frame(destination));
    }
    // The last one is for everybody: once it is in the ring the ones before have been looked at.
    frames.push(random.frame([0xFF; 6]));
    for frame in &frames {
        pair.receive(frame);
    }
}
