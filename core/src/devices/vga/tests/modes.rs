//! Graphics modes.

use super::*;

#[test]
fn modes_have_their_sizes() {
    for (mode, width, height) in [
        (&MODE_4, 320, 200),
        (&MODE_6, 640, 200),
        (&MODE_D, 320, 200),
        (&MODE_12, 640, 480),
        (&MODE_13, 320, 200),
    ] {
        assert_eq!(Pc::set(mode).vga.mode(), Mode { width, height, text: None });
    }
}

#[test]
fn cga_four_colours_are_pairs_of_bits_with_odd_lines_in_the_second_bank() {
    let mut pc = Pc::set(&MODE_4);
    pc.poke(0xB_8000, 0b00_01_10_11);
    pc.poke(0xB_8001, 0b11_00_00_00);
    pc.poke(0xB_A000 + 79, 0b00_00_00_10);
    pc.poke(0xB_8000 + 80, 0b01_00_00_00);
    let color = |n: usize| gray([0, 0x13, 0x15, 0x17][n]);
    assert_eq!(pc.line(0)[..9], [0, 1, 2, 3, 3, 0, 0, 0, 0].map(color));
    assert_eq!(pc.line(1)[316..], [0, 0, 0, 2].map(color));
    assert_eq!(pc.line(2)[0], color(1));
    assert_eq!(pc.line(3)[0], color(0));
}

#[test]
fn cga_two_colours_are_single_bits() {
    let mut pc = Pc::set(&MODE_6);
    pc.poke(0xB_8000, 0b1000_0001);
    pc.poke(0xB_8001, 0b0100_0000);
    pc.poke(0xB_A000, 0b0001_0000);
    let color = |n: usize| gray([0, 0x17][n]);
    assert_eq!(pc.line(0)[..10], [1, 0, 0, 0, 0, 0, 0, 1, 0, 1].map(color));
    assert_eq!(pc.line(1)[..5], [0, 0, 0, 1, 0].map(color));
}

#[test]
fn planar_pixels_take_a_bit_of_each_plane() {
    for mode in [&MODE_D, &MODE_12] {
        let mut pc = Pc::set(mode);
        for (plane, bits) in [0b0101_0101, 0b0011_0011, 0b0000_1111, 0b1000_0001].into_iter().enumerate() {
            pc.indexed(0x3C4, 2, 1 << plane);
            pc.poke(0xA_0000 + u32::from(mode.crtc[0x13]) * 2 + 1, bits);
        }
        assert_eq!(pc.line(1)[8..16], [8, 1, 2, 3, 4, 5, 6, 15].map(ega));
        pc.attribute(0x12, 0b0101);
        assert_eq!(pc.line(1)[8..16], [0, 1, 0, 1, 4, 5, 4, 5].map(ega), "colour planes off");
    }
}

#[test]
fn palettes_pass_through_colour_select() {
    let mut pc = Pc::set(&MODE_12);
    pc.poke(0xA_0000, 0xFF);
    pc.attribute(15, 0x2A);
    assert_eq!(pc.line(0)[0], gray(0x2A));
    pc.attribute(0x14, 0b1101);
    assert_eq!(pc.line(0)[0], gray(0xEA), "bits 7 and 6 from Color Select");
    pc.attribute(0x10, 0x81);
    assert_eq!(pc.line(0)[0], gray(0xDA), "and bits 5 and 4");
    pc.out(0x3C6, 0x0F);
    assert_eq!(pc.line(0)[0], gray(0x0A), "through the DAC's mask");
}

#[test]
fn mode_13h_is_a_byte_a_pixel() {
    let mut pc = Pc::set(&MODE_13);
    pc.poke(0xA_0000, 1);
    pc.poke(0xA_0000 + 319, 2);
    pc.poke(0xA_0000 + 320, 3);
    pc.poke(0xA_0000 + 199 * 320 + 7, 0xFE);
    assert_eq!((pc.line(0)[0], pc.line(0)[319], pc.line(1)[0]), (gray(1), gray(2), gray(3)));
    assert_eq!(pc.line(199)[6..9], [gray(0), gray(0xFE), gray(0)]);
    // Panning by two pixels.
    pc.poke(0xA_0002, 9);
    pc.attribute(0x13, 4);
    assert_eq!(pc.line(0)[0], gray(9));
}

/// A program's way from mode 13h to mode X: 320 × 240 without chain 4, square pixels.
fn mode_x() -> Pc {
    let mut pc = Pc::set(&MODE_13);
    pc.indexed(0x3C4, 4, 0x06);
    pc.indexed(0x3C4, 0, 0x01);
    pc.out(0x3C2, 0xE3);
    pc.indexed(0x3C4, 0, 0x03);
    pc.indexed(0x3D4, 0x11, 0x0C);
    for (index, value) in [
        (0x06, 0x0D),
        (0x07, 0x3E),
        (0x09, 0x41),
        (0x10, 0xEA),
        (0x11, 0xAC),
        (0x12, 0xDF),
        (0x14, 0x00),
        (0x15, 0xE7),
        (0x16, 0x06),
        (0x17, 0xE3),
    ] {
        pc.indexed(0x3D4, index, value);
    }
    pc
}

fn plot(pc: &mut Pc, x: u32, y: u32, color: u8) {
    pc.indexed(0x3C4, 2, 1 << (x & 3));
    pc.poke(0xA_0000 + y * 80 + x / 4, color);
}

#[test]
fn mode_x_plots_pixels_into_planes() {
    let mut pc = mode_x();
    assert_eq!(pc.vga.mode(), Mode { width: 320, height: 240, text: None });
    plot(&mut pc, 0, 0, 1);
    plot(&mut pc, 5, 0, 2);
    plot(&mut pc, 319, 239, 0xC3);
    assert_eq!(pc.line(0)[..7], [1, 0, 0, 0, 0, 2, 0].map(gray));
    assert_eq!(pc.line(239)[318..], [gray(0), gray(0xC3)]);
}

#[test]
fn mode_x_flips_pages_by_the_start_address() {
    let mut pc = mode_x();
    plot(&mut pc, 3, 0, 1);
    pc.indexed(0x3C4, 2, 0xF);
    pc.poke(0xA_0000 + 19200, 0x77);
    pc.retrace();
    assert_eq!(pc.displayed()[..4], [0, 0, 0, 1].map(gray));
    pc.indexed(0x3D4, 0x0C, (19200 >> 8) as u8);
    pc.indexed(0x3D4, 0x0D, (19200 & 0xFF) as u8);
    pc.retrace();
    assert_eq!(pc.displayed()[..5], [0x77, 0x77, 0x77, 0x77, 0].map(gray));
}

#[test]
fn the_split_screen_starts_at_memory_zero() {
    let mut pc = Pc::set(&MODE_12);
    pc.poke(0xA_0000, 0x80);
    pc.poke(0xA_2000, 0xFF);
    pc.indexed(0x3D4, 0x0C, 0x20);
    // Line 300: bit 8 in Overflow, bit 9 in Maximum Scan Line.
    pc.indexed(0x3D4, 0x18, 300_u16 as u8);
    pc.indexed(0x3D4, 0x11, 0x0C);
    pc.indexed(0x3D4, 0x07, 0x3E);
    pc.indexed(0x3D4, 0x09, 0x00);
    assert_eq!(pc.line(0)[..2], [ega(15), ega(15)]);
    assert_eq!(pc.line(300)[0], ega(0));
    assert_eq!(pc.line(301)[..2], [ega(15), ega(0)]);
    assert_eq!(pc.line(302)[0], ega(0));
    // Both parts pan, unless told otherwise.
    pc.attribute(0x13, 1);
    assert_eq!((pc.line(0)[7], pc.line(301)[0]), (ega(0), ega(0)));
    pc.attribute(0x10, 0x21);
    assert_eq!((pc.line(0)[7], pc.line(301)[0]), (ega(0), ega(15)));
}

#[test]
fn double_scan_repeats_rows() {
    let mut pc = Pc::set(&MODE_12);
    pc.poke(0xA_0000 + 80, 0xFF);
    pc.indexed(0x3D4, 0x09, 0xC0);
    assert_eq!(pc.vga.mode().height, 240);
    assert_eq!((pc.line(0)[0], pc.line(1)[0], pc.line(2)[0]), (ega(0), ega(15), ega(0)));
}

#[test]
fn only_changed_lines_are_drawn_again() {
    let mut pc = Pc::set(&MODE_12);
    assert_eq!(pc.retrace().len(), 1);
    assert_eq!(pc.retrace(), []);
    pc.poke(0xA_0000 + 80 * 200, 0xFF);
    let rects = pc.retrace();
    assert_eq!(rects.len(), 1);
    assert!((199..=200).contains(&rects[0].y) && rects[0].height <= 2, "{rects:?}");
    assert_eq!(pc.displayed(), pc.picture().2);

    let mut pc = Pc::set(&MODE_13);
    pc.retrace();
    assert_eq!(pc.retrace(), []);
    assert!(pc.board.memory.write(0xA_0000 + 320 * 100, &[9; 320]), "it is memory");
    let rects = pc.retrace();
    assert_eq!(rects.len(), 1);
    assert!(rects[0].height < 30, "a page holds some 13 rows: {rects:?}");
    assert_eq!(pc.displayed(), pc.picture().2);
    assert_eq!(pc.displayed()[100 * 320], gray(9));
    assert!(pc.board.memory.take_rearm(), "the next store must be noticed");
}

#[test]
fn the_beam_moves_with_time() {
    let mut pc = Pc::set(&MODE_13);
    // 449 lines of 100 characters of 8 dots at 25.175 MHz: 70.086 Hz.
    let frame = 449 * 800 * 1_000_000_000_u64 / 25_175_000;
    let (mut retraces, mut lines, mut last) = (0, 0, 0xFF);
    let start = Instant(frame * 10);
    let step = 500;
    for n in 0..frame / step {
        pc.board.now = start + n * step;
        let status = pc.inp(0x3DA);
        retraces += u32::from(status & !last & 8 != 0);
        lines += u32::from(!status & last & 1 != 0);
        last = status;
    }
    assert_eq!(retraces, 1);
    assert_eq!(lines, 400);
    let position = |pc: &mut Pc, line: u64| {
        pc.board.now = start + (frame * line / 449 + 1000);
        pc.inp(0x3DA) & 9
    };
    assert_eq!(position(&mut pc, 0), 0);
    assert_eq!(position(&mut pc, 399), 0);
    assert_eq!(position(&mut pc, 405), 1);
    assert_eq!(position(&mut pc, 0x19C), 9);
    assert_eq!(position(&mut pc, 440), 1);
    // The picture is drawn when retrace starts.
    pc.retrace_at(start + frame);
    pc.retrace();
    assert_eq!(pc.inp(0x3DA) & 9, 9);
}

#[test]
fn the_dac_counts_through_its_entries() {
    let mut pc = Pc::set(&MODE_13);
    pc.out(0x3C8, 0xFF);
    for value in [1, 2, 0xC3, 4, 5] {
        pc.out(0x3C9, value);
    }
    pc.out(0x3C7, 0xFF);
    assert_eq!(pc.inp(0x3C7), 3);
    let read: Vec<u8> = (0..6).map(|_| pc.inp(0x3C9)).collect();
    assert_eq!(read, [1, 2, 3, 0, 0, 0], "six bits; entry 0 waits for its blue");
    pc.out(0x3C8, 0);
    assert_eq!(pc.inp(0x3C7), 0);
}

#[test]
fn crtc_registers_0_to_7_can_be_protected() {
    let mut pc = Pc::set(&MODE_3);
    pc.indexed(0x3D4, 0x11, 0x8E);
    pc.indexed(0x3D4, 0x00, 0x12);
    pc.indexed(0x3D4, 0x07, 0x00);
    pc.out(0x3D4, 0);
    assert_eq!(pc.inp(0x3D5), 0x5F);
    pc.out(0x3D4, 7);
    assert_eq!(pc.inp(0x3D5), 0x0F, "line compare bit 8 only");
}

#[test]
fn the_crtc_answers_at_one_of_two_places() {
    let mut pc = Pc::set(&MODE_3);
    assert_eq!(pc.inp(0x3B4), 0xFF);
    pc.out(0x3C2, 0x66);
    pc.out(0x3B4, 0x0E);
    pc.out(0x3D4, 0x0F);
    assert_eq!((pc.inp(0x3B4), pc.inp(0x3D4)), (0x0E, 0xFF));
    assert_eq!(pc.inp(0x3CC), 0x66);
}

#[test]
fn case_29_nonsense_in_the_crtc_is_drawn_in_bounded_time() {
    let mut pc = Pc::set(&MODE_12);
    for fill in [0xFF, 0x00, 0x7F, 0xAA] {
        for index in (0..=0x18).rev() {
            pc.indexed(0x3D4, 0x11, 0);
            pc.indexed(0x3D4, index, fill);
        }
        for graphics in [0, 1] {
            pc.indexed(0x3CE, 6, graphics);
            for clocking in 0..=0x1F {
                pc.indexed(0x3C4, 1, clocking);
                let (width, height, pixels) = pc.picture();
                assert!(width <= 256 * 9 && height <= 2048 && !pixels.contains(&0x5555_5555));
                let before = pc.board.now;
                pc.retrace();
                assert!(pc.board.now.since(before) > 0);
                pc.inp(0x3DA);
            }
        }
    }
}

#[test]
fn case_29_mode_flips_do_not_draw_more_often() {
    let mut pc = Pc::set(&MODE_3);
    let mut frames = 0;
    let end = pc.board.now + 1_000_000_000;
    let mut n = 0_u32;
    while pc.board.now < end {
        pc.set_mode([&MODE_3, &MODE_12, &MODE_13][n as usize % 3]);
        n += 1;
        frames += pc.retrace().len();
        let next = pc.board.timers.get(Timer::Retrace).unwrap();
        assert!(next.since(pc.board.now) >= 14_000_000);
    }
    assert!(frames <= 72, "{frames}");
}

#[test]
fn case_30_every_index_and_flip_flop_is_masked() {
    let mut pc = Pc::new();
    let mut seed = 0x1234_5678_u32;
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let port = 0x3B0 + (seed >> 24) as u16 % 0x30;
        if seed & 0x100 != 0 {
            pc.out(port, (seed >> 16) as u8);
        } else {
            pc.inp(port);
        }
        if seed & 0x1E00 == 0 {
            pc.poke(0xA_0000 + (seed >> 15), seed as u8);
            pc.peek(0xA_0000 + (seed >> 15));
        }
        if seed & 0xF_FE00 == 0 {
            pc.picture();
            let _ = pc.vga.text_screen(&pc.board.memory);
            pc.retrace();
        }
    }
}
