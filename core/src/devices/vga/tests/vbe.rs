//! Bochs VBE and the PCI side.

use super::*;

fn set(pc: &mut Pc, width: u16, height: u16, bpp: u16) {
    pc.vbe(4, 0);
    pc.vbe(1, width);
    pc.vbe(2, height);
    pc.vbe(3, bpp);
    pc.vbe(4, 0x41);
    pc.inp(0x3DA);
    pc.out(0x3C0, 0x20);
}

fn framebuffer(pc: &mut Pc, at: usize, bytes: &[u8]) {
    let vram = pc.board.memory.vram_range().start;
    pc.board.memory.touched(vram + at, bytes.len());
    pc.board.memory.vram_mut()[at..][..bytes.len()].copy_from_slice(bytes);
}

#[test]
fn the_interface_names_its_version_and_limits() {
    let mut pc = Pc::with(4 << 20);
    assert_eq!(pc.vbe_read(0), 0xB0C5);
    pc.vbe(0, 0xB0C2);
    assert_eq!(pc.vbe_read(0), 0xB0C2);
    pc.vbe(0, 0x1234);
    assert_eq!(pc.vbe_read(0), 0xB0C2);
    assert_eq!(pc.vbe_read(10), 64);
    pc.vbe(4, 2);
    assert_eq!(pc.vbe_read(3), 32);
    assert!(pc.vbe_read(1) >= 1920 && pc.vbe_read(2) >= 1080);
    pc.vbe(4, 0);
    set(&mut pc, 640, 480, 8);
    assert_eq!((pc.vbe_read(1), pc.vbe_read(6), pc.vbe_read(7)), (640, 640, ((4 << 20) / 640) as u16));
}

#[test]
fn each_depth_has_its_pixels() {
    for (bpp, bytes, want) in [
        (8, [0x21, 0x22].as_slice(), [gray(0x21), gray(0x22)]),
        (15, &[0x1F, 0x00, 0xE0, 0x7F], [0x0000FF, 0xFFFF00]),
        (16, &[0x1F, 0x00, 0xE0, 0xFF], [0x0000FF, 0xFFFF00]),
        (24, &[1, 2, 3, 4, 5, 6], [0x030201, 0x060504]),
        (32, &[1, 2, 3, 0xFF, 4, 5, 6, 0xFF], [0x030201, 0x060504]),
    ] {
        let mut pc = Pc::set(&MODE_13);
        set(&mut pc, 160, 120, bpp);
        let pixel = usize::from(bpp).div_ceil(8);
        framebuffer(&mut pc, 160 * pixel, bytes);
        assert_eq!(pc.vga.mode(), Mode { width: 160, height: 120, text: None });
        assert_eq!(pc.line(1)[..2], want, "{bpp} bits");
        assert_eq!(pc.line(0)[0], gray(0));
    }
}

#[test]
fn four_bits_a_pixel_are_planes_through_the_window() {
    let mut pc = Pc::set(&MODE_12);
    set(&mut pc, 1024, 768, 4);
    pc.poke(0xA_0000 + 128, 0xF0);
    assert_eq!(pc.line(1)[3..5], [ega(15), ega(0)]);
    // Row 600 lies in the second bank.
    pc.vbe(5, 1);
    pc.indexed(0x3C4, 2, 4);
    pc.poke(0xA_0000 + 600 * 128 - 0x1_0000, 0x80);
    assert_eq!(pc.line(600)[..2], [ega(4), ega(0)]);
    assert_eq!(pc.retrace().len(), 1);
    assert_eq!(pc.retrace(), []);
    pc.poke(0xA_0001 + 600 * 128 - 0x1_0000, 0x80);
    assert_eq!(pc.retrace().len(), 1);
    assert_eq!(pc.displayed(), pc.picture().2);
}

#[test]
fn the_window_at_a0000_shows_a_bank_as_memory() {
    let mut pc = Pc::set(&MODE_13);
    set(&mut pc, 640, 400, 8);
    let vram = pc.board.memory.vram_range().start;
    pc.vbe(5, 3);
    assert_eq!(pc.board.memory.target(0xA_1000, true), Target::Memory(vram + 0x3_1000));
    pc.poke(0xA_0000, 7);
    let at = 3 * 65536;
    assert_eq!(pc.line(at / 640)[at % 640], gray(7));
    pc.vbe(5, 0xFFFF);
    assert_eq!(pc.vbe_read(5), 15, "banks wrap at the end of video memory");
    pc.vbe(4, 0);
    assert_eq!(pc.vga.mode().width, 320, "the VGA mode shows again");
}

#[test]
fn memory_is_cleared_unless_it_is_to_be_kept() {
    let mut pc = Pc::set(&MODE_13);
    pc.poke(0xA_0000, 7);
    pc.vbe(1, 640);
    pc.vbe(2, 400);
    pc.vbe(3, 8);
    pc.vbe(4, 0xC1);
    assert_eq!(pc.line(0)[0], gray(7));
    set(&mut pc, 640, 400, 8);
    assert_eq!(pc.line(0)[0], gray(0));
}

#[test]
fn a_virtual_screen_scrolls() {
    let mut pc = Pc::set(&MODE_13);
    set(&mut pc, 320, 200, 32);
    pc.vbe(6, 640);
    assert_eq!(pc.vbe_read(7), ((1 << 20) / (640 * 4)) as u16);
    framebuffer(&mut pc, 10 * 640 * 4 + 100 * 4, &[1, 1, 1, 0]);
    assert_eq!(pc.line(10)[100], 0x010101);
    pc.vbe(8, 90);
    pc.vbe(9, 7);
    assert_eq!(pc.line(3)[10], 0x010101);
}

#[test]
fn the_dac_takes_eight_bits() {
    let mut pc = Pc::set(&MODE_13);
    pc.vbe(1, 320);
    pc.vbe(2, 200);
    pc.vbe(3, 8);
    pc.vbe(4, 0x61);
    pc.inp(0x3DA);
    pc.out(0x3C0, 0x20);
    pc.out(0x3C8, 0);
    for component in [0x12, 0xAB, 0xFF] {
        pc.out(0x3C9, component);
    }
    assert_eq!(pc.line(0)[0], 0x12ABFF);
}

#[test]
fn only_the_rows_of_dirty_pages_are_drawn_again() {
    let mut pc = Pc::with(4 << 20);
    pc.set_mode(&MODE_13);
    set(&mut pc, 1024, 768, 32);
    assert_eq!(pc.retrace(), [Rect { x: 0, y: 0, width: 1024, height: 768 }]);
    assert_eq!(pc.retrace(), []);
    framebuffer(&mut pc, 300 * 4096 + 40, &[9; 4]);
    assert_eq!(pc.retrace(), [Rect { x: 0, y: 300, width: 1024, height: 1 }]);
    assert_eq!(pc.displayed(), pc.picture().2);
    assert_eq!(pc.retrace(), []);
}

#[test]
fn a_driver_finds_the_card_on_pci_and_uses_its_registers_there() {
    let mut pc = Pc::new();
    assert_eq!([0, 1, 2, 3].map(|n| pc.board.pci.config(Slot::VGA, n)), [0x34, 0x12, 0x11, 0x11]);
    assert_eq!(pc.board.pci.config(Slot::VGA, 0x0B), 3);
    for (at, value) in [(0x10, 0xE000_0000_u32), (0x18, 0xFEB0_0000), (0x30, 0xFEA0_0001), (0x04, 3)] {
        pc.board.write_pci(Slot::VGA, at, &value.to_le_bytes());
    }
    let vram = pc.board.memory.vram_range().start;
    assert_eq!(pc.board.memory.target(0xE008_0000, true), Target::Memory(vram + 0x8_0000));
    let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
    // The option ROM.
    assert_eq!(pc.vga.mmio_read(0xFEA0_0000, Width::Word, &mut bus), 0xAA55);
    assert_eq!(pc.vga.mmio_read(0xFEA0_0100, Width::Byte, &mut bus), 0xFF);
    // DISPI and VGA registers in BAR 2.
    assert_eq!(pc.vga.mmio_read(0xFEB0_0500, Width::Word, &mut bus), 0xB0C5);
    for (index, value) in [(1, 800), (2, 600), (3, 8), (4, 0x41)] {
        pc.vga.mmio_write(0xFEB0_0500 + index * 2, Width::Word, value, &mut bus);
    }
    pc.vga.mmio_write(0xFEB0_0400, Width::Byte, 0x20, &mut bus);
    assert_eq!((pc.vga.mode().width, pc.vga.mode().height), (800, 600));
    assert_eq!(pc.vga.mmio_read(0xFEB0_0604, Width::Dword, &mut bus), 0x1E1E_1E1E);
}

#[test]
fn case_28_nothing_leaves_video_memory() {
    let mut pc = Pc::set(&MODE_13);
    for bpp in [4, 8, 15, 16, 24, 32] {
        for (width, height) in
            [(8, 1), (640, 480), (7680, 4320), (7680, 1), (8, 4320), (0, 0), (0xFFFF, 0xFFFF)]
        {
            set(&mut pc, width, height, bpp);
            for (x, y) in [(0, 0), (0xFFFF, 0), (0, 0xFFFF), (0xFFFF, 0xFFFF), (8, 1)] {
                for virtual_width in [0, 8, 0xFFFF] {
                    pc.vbe(6, virtual_width);
                    pc.vbe(8, x);
                    pc.vbe(9, y);
                    let mode = pc.vga.mode();
                    assert!(mode.width >= 8 && mode.width <= 7680 && mode.height >= 1 && mode.height <= 4320);
                    let picture = pc.vga.picture();
                    if let picture::Kind::Linear(l) = picture.kind {
                        let row = mode.width as usize * usize::from(bpp.div_ceil(8));
                        assert!(l.start + l.pitch * (l.height as usize - 1) + row <= 1 << 20);
                    }
                    let mut row = vec![0; mode.width as usize];
                    let colors = pc.vga.colors();
                    let pen = Pen {
                        picture: &picture,
                        vram: pc.board.memory.vram(),
                        colors: &colors,
                        cursor: None,
                        blink_on: true,
                    };
                    for line in [0, mode.height / 2, mode.height - 1] {
                        pen.line(line, &mut row);
                    }
                }
            }
            for bank in [0, 15, 0xFFFF] {
                pc.vbe(5, bank);
                for at in [0xA_0000, 0xA_FFFF, 0xB_0000, 0xB_FFFF] {
                    pc.poke(at, 1);
                    pc.peek(at);
                }
            }
        }
    }
}

#[test]
fn case_28_a_picture_larger_than_video_memory_is_dark_where_there_is_none() {
    let mut pc = Pc::set(&MODE_13);
    set(&mut pc, 1024, 768, 32);
    pc.board.memory.vram_mut().fill(0xFF);
    assert_eq!(pc.line(255)[1023], 0xFF_FFFF);
    assert_eq!(pc.line(256)[0], 0);
    pc.retrace();
    assert_eq!(pc.displayed().len(), 1024 * 768);
}

#[test]
fn the_monitor_describes_itself() {
    let mut pc = Pc::new();
    for (at, value) in [(0x18, 0xFEB0_0000_u32), (0x04, 2)] {
        pc.board.write_pci(Slot::VGA, at, &value.to_le_bytes());
    }
    let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
    let mut edid = Vec::new();
    for n in 0..32 {
        edid.extend(pc.vga.mmio_read(0xFEB0_0000 + n * 4, Width::Dword, &mut bus).to_le_bytes());
    }
    assert_eq!(edid[..8], [0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0]);
    assert_eq!(edid.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b)), 0);
    let timing = &edid[54..72];
    assert_eq!(u16::from_le_bytes([timing[0], timing[1]]), 6500);
    assert_eq!(u16::from(timing[2]) | u16::from(timing[4] >> 4) << 8, 1024);
    assert_eq!(u16::from(timing[5]) | u16::from(timing[7] >> 4) << 8, 768);
    assert_eq!(pc.vga.mmio_read(0xFEB0_0080, Width::Dword, &mut bus), 0);
}

#[test]
fn case_29_wide_accesses_at_the_edges_of_the_window_stay_in_it() {
    let mut pc = Pc::set(&MODE_12);
    for map in 0..4 {
        pc.indexed(0x3CE, 6, map << 2 | 1);
        for chain in [6, 0xE] {
            pc.indexed(0x3C4, 4, chain);
            let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
            for at in [0x9_FFFE, 0x9_FFFF, 0xA_FFFD, 0xA_FFFF, 0xB_7FFE, 0xB_FFFD, 0xB_FFFF_u64] {
                for width in [Width::Byte, Width::Word, Width::Dword] {
                    pc.vga.mmio_write(at, width, 0x1234_5678, &mut bus);
                    pc.vga.mmio_read(at, width, &mut bus);
                }
            }
        }
    }
    let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
    assert_eq!(
        pc.vga.mmio_read(0xB_FFFE, Width::Dword, &mut bus) >> 16,
        0xFFFF,
        "past the window is nothing"
    );
}
