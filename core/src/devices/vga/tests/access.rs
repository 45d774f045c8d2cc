//! The CPU's ways to the planes.

use super::*;

fn planes(pc: &mut Pc, offset: u32) -> [u8; 4] {
    [0, 1, 2, 3].map(|plane| {
        pc.indexed(0x3CE, 4, plane);
        pc.peek(0xA_0000 + offset)
    })
}

#[test]
fn write_mode_0_rotates_sets_combines_and_masks() {
    let mut pc = Pc::set(&MODE_12);
    pc.poke(0xA_0010, 0b1100_0001);
    assert_eq!(planes(&mut pc, 0x10), [0b1100_0001; 4]);
    // Map mask.
    pc.indexed(0x3C4, 2, 0b0101);
    pc.poke(0xA_0010, 0);
    assert_eq!(planes(&mut pc, 0x10), [0, 0b1100_0001, 0, 0b1100_0001]);
    pc.indexed(0x3C4, 2, 0xF);
    // Rotate right by 3.
    pc.indexed(0x3CE, 3, 3);
    pc.poke(0xA_0011, 0b1010_0110);
    assert_eq!(planes(&mut pc, 0x11), [0b1101_0100; 4]);
    pc.indexed(0x3CE, 3, 0);
    // Set/reset on planes 1 and 2.
    pc.indexed(0x3CE, 0, 0b0100);
    pc.indexed(0x3CE, 1, 0b0110);
    pc.poke(0xA_0012, 0x5A);
    assert_eq!(planes(&mut pc, 0x12), [0x5A, 0, 0xFF, 0x5A]);
    pc.indexed(0x3CE, 1, 0);
    // Bit mask: the other bits come from the latches.
    pc.indexed(0x3CE, 8, 0x0F);
    pc.peek(0xA_0012);
    pc.poke(0xA_0013, 0x33);
    assert_eq!(planes(&mut pc, 0x13), [0x53, 0x03, 0xF3, 0x53]);
    pc.indexed(0x3CE, 8, 0xFF);
    // AND, OR, XOR with the latches.
    for (function, want) in
        [(1, [0x12, 0, 0x36, 0x12]), (2, [0x7E, 0x36, 0xFF, 0x7E]), (3, [0x6C, 0x36, 0xC9, 0x6C])]
    {
        pc.indexed(0x3CE, 3, function << 3);
        pc.peek(0xA_0012);
        pc.poke(0xA_0014, 0x36);
        assert_eq!(planes(&mut pc, 0x14), want, "function {function}");
    }
}

#[test]
fn write_mode_1_copies_the_latches() {
    let mut pc = Pc::set(&MODE_12);
    for plane in 0..4 {
        pc.indexed(0x3C4, 2, 1 << plane);
        pc.poke(0xA_0000, 0x11 * (plane + 1));
    }
    pc.indexed(0x3C4, 2, 0xF);
    pc.indexed(0x3CE, 5, 1);
    pc.peek(0xA_0000);
    pc.poke(0xA_0FFF, 0x99);
    assert_eq!(planes(&mut pc, 0xFFF), [0x11, 0x22, 0x33, 0x44]);
}

#[test]
fn write_mode_2_spreads_a_colour_through_the_bit_mask() {
    let mut pc = Pc::set(&MODE_12);
    pc.indexed(0x3CE, 5, 2);
    pc.indexed(0x3CE, 8, 0b0001_1000);
    pc.peek(0xA_0100);
    pc.poke(0xA_0100, 0b1010);
    assert_eq!(planes(&mut pc, 0x100), [0, 0b0001_1000, 0, 0b0001_1000]);
    assert_eq!(pc.line(3)[128 + 2..128 + 6], [ega(0), ega(10), ega(10), ega(0)]);
}

#[test]
fn write_mode_3_uses_the_data_as_a_mask_for_set_reset() {
    let mut pc = Pc::set(&MODE_12);
    pc.poke(0xA_0000, 0xFF);
    pc.indexed(0x3CE, 5, 3);
    pc.indexed(0x3CE, 0, 0b0011);
    pc.indexed(0x3CE, 8, 0x3C);
    pc.indexed(0x3CE, 3, 1);
    pc.peek(0xA_0000);
    pc.poke(0xA_0000, 0b0011_1001);
    // Rotated: 1001_1100; masked: 0001_1100.
    assert_eq!(planes(&mut pc, 0), [0xFF, 0xFF, 0b1110_0011, 0b1110_0011]);
}

#[test]
fn read_mode_1_compares_colours() {
    let mut pc = Pc::set(&MODE_12);
    for (plane, bits) in [0b1111_0000, 0b1100_1100, 0b1010_1010, 0].into_iter().enumerate() {
        pc.indexed(0x3C4, 2, 1 << plane);
        pc.poke(0xA_0000, bits);
    }
    pc.indexed(0x3CE, 5, 0x08);
    pc.indexed(0x3CE, 2, 0b0101);
    pc.indexed(0x3CE, 7, 0b1111);
    assert_eq!(pc.peek(0xA_0000), 0b0010_0000);
    pc.indexed(0x3CE, 7, 0b0001);
    assert_eq!(pc.peek(0xA_0000), 0b1111_0000);
    pc.indexed(0x3CE, 7, 0);
    assert_eq!(pc.peek(0xA_0000), 0xFF);
}

#[test]
fn odd_and_even_addresses_reach_odd_and_even_planes() {
    let mut pc = Pc::set(&MODE_3);
    pc.poke(0xB_8000, 0x41);
    pc.poke(0xB_8001, 0x1F);
    pc.poke(0xB_8002, 0x42);
    assert_eq!((pc.peek(0xB_8000), pc.peek(0xB_8001), pc.peek(0xB_8002)), (0x41, 0x1F, 0x42));
    // The same bytes without odd/even.
    pc.indexed(0x3C4, 4, 6);
    pc.indexed(0x3CE, 5, 0);
    pc.indexed(0x3CE, 6, 4);
    assert_eq!(planes(&mut pc, 0), [0x41, 0x1F, 0, 0]);
    assert_eq!(planes(&mut pc, 1), [0; 4]);
    assert_eq!(planes(&mut pc, 2), [0x42, 0, 0, 0]);
}

#[test]
fn the_window_follows_the_memory_map() {
    let mut pc = Pc::set(&MODE_12);
    for (map, inside, outside) in [
        (0_u8, [0xA_0000, 0xB_FFFF].as_slice(), [].as_slice()),
        (1, &[0xA_0000, 0xA_FFFF], &[0xB_0000, 0xB_FFFF]),
        (2, &[0xB_0000, 0xB_7FFF], &[0xA_FFFF, 0xB_8000]),
        (3, &[0xB_8000, 0xB_FFFF], &[0xA_0000, 0xB_7FFF]),
    ] {
        pc.indexed(0x3CE, 6, map << 2 | 1);
        for &at in inside {
            pc.poke(at, 0x5A);
            assert_eq!(pc.peek(at), 0x5A, "map {map}, {at:#x}");
        }
        for &at in outside {
            pc.poke(at, 0x5A);
            assert_eq!(pc.peek(at), 0xFF, "map {map}, {at:#x}");
        }
    }
    pc.out(0x3C2, 0x01);
    assert_eq!(pc.peek(0xB_8000), 0xFF, "RAM is switched off");
}

#[test]
fn chain_4_is_plain_memory_until_something_stands_between() {
    let mut pc = Pc::set(&MODE_13);
    let vram = pc.board.memory.vram_range().start;
    assert_eq!(pc.board.memory.target(0xA_3000, true), Target::Memory(vram + 0x3000));
    for (port, index, value) in [
        (0x3C4, 2, 0x03),
        (0x3C4, 4, 0x06),
        (0x3CE, 1, 0x01),
        (0x3CE, 3, 0x08),
        (0x3CE, 5, 0x41),
        (0x3CE, 5, 0x48),
        (0x3CE, 6, 0x0D),
        (0x3CE, 8, 0x0F),
    ] {
        pc.indexed(port, index, value);
        assert_eq!(pc.board.memory.target(0xA_3000, true), Target::Io, "{port:#x} {index}");
        pc.set_mode(&MODE_13);
        assert_eq!(pc.board.memory.target(0xA_3000, true), Target::Memory(vram + 0x3000));
    }
    pc.out(0x3C2, 0x61);
    assert_eq!(pc.board.memory.target(0xA_3000, true), Target::Io);
}

#[test]
fn leaving_chain_4_shows_its_pixels_in_every_fourth_place() {
    let mut pc = Pc::set(&MODE_13);
    for n in 0..64 {
        pc.poke(0xA_0000 + n, n as u8 + 1);
    }
    pc.indexed(0x3C4, 4, 6);
    assert_eq!(planes(&mut pc, 0), [1, 2, 3, 4]);
    assert_eq!(planes(&mut pc, 4), [5, 6, 7, 8]);
    assert_eq!(planes(&mut pc, 1), [0; 4]);
    pc.indexed(0x3C4, 2, 2);
    pc.poke(0xA_0008, 0x77);
    pc.indexed(0x3C4, 2, 0xF);
    pc.indexed(0x3C4, 4, 0x0E);
    assert_eq!(pc.peek(0xA_0009), 0x77);
    // Through the device, too, chain 4 reads and writes the same bytes.
    pc.indexed(0x3CE, 8, 0xF0);
    assert_eq!(pc.peek(0xA_0009), 0x77);
    pc.poke(0xA_0009, 0xA5);
    assert_eq!(pc.peek(0xA_0009), 0xA7);
}

#[test]
fn smram_is_left_alone() {
    let mut pc = Pc::set(&MODE_13);
    for page in 0xA0..0xC0 {
        pc.board.memory.map_low(page, Target::Memory(page * PAGE), Target::Memory(page * PAGE));
    }
    pc.set_mode(&MODE_12);
    pc.retrace();
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Memory(0xA_0000));
    for page in 0xA0..0xC0 {
        pc.board.memory.map_low(page, Target::Io, Target::Io);
    }
    pc.set_mode(&MODE_13);
    pc.board.memory.map_low(0xA0, Target::Io, Target::Io);
    pc.retrace();
    assert_ne!(pc.board.memory.target(0xA_0000, true), Target::Io, "mended at the next retrace");
}
