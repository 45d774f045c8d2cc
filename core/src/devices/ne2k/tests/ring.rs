//! The ring's arithmetic, against a model that walks page by page.

use super::*;
use crate::devices::ne2k::ring::Ring;

const LENGTHS: [usize; 6] = [60, 248, 249, 504, 1518, 1522];

/// What the chip does: goes from page to page, from PSTOP back to PSTART, and stops where the next page is
/// BNRY. `None` is an overflow.
fn walk(ring: Ring, length: usize) -> Option<u8> {
    let pages = ring.pstart..ring.pstop;
    let sound = ring.pstart >= 0x40 && ring.pstop <= 0x80 && !pages.is_empty();
    if !sound || !pages.contains(&ring.curr) {
        return None;
    }
    // One page before the ring is as good as its last.
    let bnry = if ring.bnry == ring.pstart - 1 { ring.pstop - 1 } else { ring.bnry };
    if !pages.contains(&bnry) {
        return None;
    }
    let mut bytes = 4 + length + 4;
    let mut page = ring.curr;
    loop {
        page += 1;
        if page == ring.pstop {
            page = ring.pstart;
        }
        if page == bnry {
            return None;
        }
        if bytes <= 256 {
            return Some(page);
        }
        bytes -= 256;
    }
}

fn check(ring: Ring) {
    for length in LENGTHS {
        assert_eq!(ring.after(Ring::pages(length)), walk(ring, length), "{ring:?}, {length} bytes");
    }
}

/// All rings of `pstart` values.
fn check_all(pstarts: impl Iterator<Item = u8>, step: usize) {
    for pstart in pstarts {
        for pstop in 0..=255 {
            for curr in (0..=255).step_by(step) {
                for bnry in 0..=255 {
                    check(Ring { pstart, pstop, curr, bnry });
                }
            }
        }
    }
}

#[test]
fn case_03_every_ring_in_packet_ram_with_every_pair_of_pointers() {
    for pstart in (0x40..0x80).step_by(3) {
        for pstop in pstart + 1..=0x80 {
            for curr in pstart..pstop {
                for bnry in pstart - 1..pstop {
                    check(Ring { pstart, pstop, curr, bnry });
                }
            }
        }
    }
}

#[test]
fn case_03_a_sample_of_all_registers_values() {
    check_all((0..=255).step_by(43), 17);
}

/// 2^32 rings of six lengths: minutes, in a release build.
#[test]
#[ignore = "minutes: cargo test --release -p nomad86 --lib case_03 -- --ignored"]
fn case_03_all_registers_values() {
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || check_all((0..=255).filter(|pstart| pstart % 2 == half), 1));
        }
    });
}

#[test]
fn case_01_rings_that_are_none_drop_and_count() {
    for (pstart, pstop) in
        [(0x60, 0x50), (0x50, 0x50), (0, 0x80), (0x4C, 0xFF), (0xFF, 0), (0, 0), (0xFF, 0xFF), (0x4C, 0)]
    {
        let mut card = Bench::up();
        card.set_ring(pstart, pstop, pstart, pstart);
        assert!(card.chip.can_receive(), "frames do not wait for a ring that is none");
        assert_eq!(card.chip.receive(&frame(MAC, 300)), Received::Missed, "{pstart:#x}..{pstop:#x}");
        assert_eq!(card.isr() & isr::OVW, isr::OVW);
        assert_eq!(card.inb(page0_read::CNTR2), 1);
        assert_eq!(card.curr(), pstart);
    }
}

#[test]
fn case_02_pointers_outside_the_ring_drop() {
    for (curr, bnry) in [(0xF0, 0x4C), (0x4D, 0xF0), (0x4B, 0x4C), (0x80, 0x4C), (0x4D, 0x80), (0, 0)] {
        let mut card = Bench::up();
        card.set_ring(RING.start, RING.end, curr, bnry);
        assert_eq!(card.chip.receive(&frame(MAC, 300)), Received::Missed, "{curr:#x} {bnry:#x}");
        assert_eq!(card.curr(), curr);
    }
}

#[test]
fn case_03_a_boundary_of_zero_does_not_switch_the_check_off() {
    let mut card = Bench::up();
    card.outb(page0_write::BNRY, 0);
    for _ in 0..100 {
        assert_eq!(card.chip.receive(&frame(MAC, 1514)), Received::Missed);
    }
    assert_eq!(card.curr(), RING.start + 1);
}

#[test]
fn case_03_pointers_next_to_each_other() {
    let receive = |curr, bnry, length| {
        let mut card = Bench::up();
        card.set_ring(RING.start, RING.end, curr, bnry);
        card.chip.receive(&frame(MAC, length))
    };
    // Equal: empty.
    assert_eq!(receive(0x50, 0x50, 1514), Received::Stored);
    // BNRY is the next page: full.
    assert_eq!(receive(0x50, 0x51, 60), Received::Missed);
    // BNRY is the page before: as empty as Linux ever has it.
    assert_eq!(receive(0x50, 0x4F, 1514), Received::Stored);
    assert_eq!(receive(0x50, 0x56, 1271), Received::Stored);
    assert_eq!(receive(0x50, 0x56, 1273), Received::Missed);
    assert_eq!(receive(RING.end - 1, RING.start, 60), Received::Missed);
    assert_eq!(receive(RING.end - 1, RING.start + 1, 60), Received::Stored);
}

#[test]
fn case_04_a_frame_longer_than_the_ring_is_dropped() {
    for (pages, length) in [(1, 60), (2, 249), (6, 1514)] {
        let mut card = Bench::up();
        card.set_ring(0x50, 0x50 + pages, 0x50, 0x50);
        assert!(card.chip.can_receive(), "waiting would help nobody");
        assert_eq!(card.chip.receive(&frame(MAC, length)), Received::Missed, "{pages} pages");
        assert_eq!(card.inb(page0_read::ISR) & isr::OVW, isr::OVW);
        assert_eq!((card.curr(), card.inb(page0_read::BNRY)), (0x50, 0x50));
        assert!((0x4F00..0x5900).all(|at| card.chip.memory().read(at) == 0), "nothing was written");
    }
}
