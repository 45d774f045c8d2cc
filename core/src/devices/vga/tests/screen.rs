//! Text.

use super::*;

fn text() -> Pc {
    let mut pc = Pc::set(&MODE_3);
    // A font as a BIOS loads it: plane 2, sequential.
    font_access(&mut pc);
    for code in 0..=255_u32 {
        for row in 0..16 {
            pc.poke(0xA_0000 + code * 32 + row, if row == 5 { code as u8 } else { 0 });
        }
    }
    text_access(&mut pc);
    pc
}

fn font_access(pc: &mut Pc) {
    pc.indexed(0x3C4, 2, 4);
    pc.indexed(0x3C4, 4, 7);
    pc.indexed(0x3CE, 4, 2);
    pc.indexed(0x3CE, 5, 0);
    pc.indexed(0x3CE, 6, 4);
}

fn text_access(pc: &mut Pc) {
    pc.indexed(0x3C4, 2, 3);
    pc.indexed(0x3C4, 4, 2);
    pc.indexed(0x3CE, 4, 0);
    pc.indexed(0x3CE, 5, 0x10);
    pc.indexed(0x3CE, 6, 0xE);
}

fn print(pc: &mut Pc, at: u32, text: &[u8], attribute: u8) {
    for (n, &c) in text.iter().enumerate() {
        pc.poke(0xB_8000 + at * 2 + n as u32 * 2, c);
        pc.poke(0xB_8000 + at * 2 + n as u32 * 2 + 1, attribute);
    }
}

fn clear(pc: &mut Pc) {
    for cell in 0..2000 {
        print(pc, cell, b" ", 7);
    }
}

#[test]
fn mode_3_is_80_by_25_characters_of_9_by_16_dots() {
    let pc = text();
    assert_eq!(pc.vga.mode(), Mode { width: 720, height: 400, text: Some((80, 25)) });
}

#[test]
fn text_is_read_from_the_screen_in_unicode() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 81, b"C:\\>dir \x80\xC4\xFE", 0x1F);
    pc.indexed(0x3D4, 0x0E, 0);
    pc.indexed(0x3D4, 0x0F, 80 + 12);
    let screen = pc.vga.text_screen(&pc.board.memory).unwrap();
    assert_eq!(screen.row(1), " C:\\>dir Ç─■");
    assert_eq!(screen.row(0), "");
    assert_eq!(screen.cursor, Some((12, 1)));
    assert_eq!(screen.attributes[81], 0x1F);
    assert_eq!(screen.text().lines().count(), 25);
    assert_eq!(pc.peek(0xB_8000 + 2 * 81), b'C');
    assert_eq!(pc.peek(0xB_8000 + 2 * 81 + 1), 0x1F);
    pc.indexed(0x3D4, 0x0A, 0x20);
    assert_eq!(pc.vga.text_screen(&pc.board.memory).unwrap().cursor, None);
}

#[test]
fn the_code_page_has_its_landmarks() {
    for (code, c) in [(0, ' '), (1, '☺'), (0x1F, '▼'), (0x20, ' '), (b'A', 'A'), (0x7F, '⌂'), (0x80, 'Ç')]
    {
        assert_eq!(character(code), c);
    }
    for (code, c) in [(0xB0, '░'), (0xB3, '│'), (0xCD, '═'), (0xDB, '█'), (0xE1, 'ß'), (0xFF, '\u{A0}')]
    {
        assert_eq!(character(code), c);
    }
}

#[test]
fn a_cell_shows_its_glyph_in_its_colours() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 2, &[0b1010_0101], 0x1E);
    let (fore, back) = (ega(0xE), ega(1));
    let line = pc.line(5);
    assert_eq!(line[18..27], [fore, back, fore, back, back, fore, back, fore, back]);
    assert_eq!(pc.line(6)[18..27], [back; 9]);
    assert_eq!(line[27], ega(0));
}

#[test]
fn the_ninth_dot_repeats_the_eighth_in_line_graphics_only() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 0, &[0xC1, 0xDF, 0xE1, 0xBF], 7);
    let line = pc.line(5);
    assert_eq!([line[8], line[17], line[26], line[35]], [ega(7), ega(7), ega(0), ega(0)]);
    pc.attribute(0x10, 0x08);
    assert_eq!(pc.line(5)[8], ega(0));
}

#[test]
fn eight_dot_cells_make_640_pixels() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 1, &[0x81], 7);
    pc.indexed(0x3C4, 1, 1);
    assert_eq!(pc.vga.mode().width, 640);
    let line = pc.line(5);
    assert_eq!((line[7], line[8], line[9], line[15], line[16]), (ega(0), ega(7), ega(0), ega(7), ega(0)));
}

#[test]
fn two_fonts_are_chosen_by_attribute_bit_3() {
    let mut pc = text();
    clear(&mut pc);
    font_access(&mut pc);
    // The second font lies at 4000h: glyph 41h is solid in row 0.
    pc.poke(0xA_4000 + 0x41 * 32, 0xFF);
    text_access(&mut pc);
    print(&mut pc, 0, b"A", 0x07);
    print(&mut pc, 1, b"A", 0x0F);
    assert_eq!((pc.line(0)[0], pc.line(0)[9]), (ega(0), ega(0)), "both attributes use font 0 at first");
    pc.indexed(0x3C4, 3, 0b00_0100);
    assert_eq!((pc.line(0)[0], pc.line(0)[9]), (ega(0), ega(0xF)), "map A (bits 5, 3, 2) is font 1");
    pc.indexed(0x3C4, 3, 0b00_0001);
    assert_eq!((pc.line(0)[0], pc.line(0)[9]), (ega(7), ega(0)), "map B (bits 4, 1, 0) is font 1");
    pc.attribute(0x12, 0x07);
    pc.indexed(0x3C4, 3, 0b00_0100);
    assert_eq!(pc.line(0)[9], ega(7), "with bit 3 kept from the colour");
}

#[test]
fn the_cursor_covers_its_rows_and_blinks() {
    let mut pc = text();
    clear(&mut pc);
    pc.indexed(0x3D4, 0x0F, 3);
    assert_eq!(pc.line(13)[27..36], [ega(7); 9]);
    assert_eq!(pc.line(14)[26..28], [ega(0), ega(7)]);
    assert_eq!(pc.line(12)[27], ega(0));
    assert_eq!(pc.line(15)[27], ega(0));
    let mut seen = [false; 2];
    pc.retrace();
    for _ in 0..64 {
        let rects = pc.retrace();
        let lit = pc.displayed()[13 * 720 + 27] == ega(7);
        seen[usize::from(lit)] = true;
        for rect in rects {
            assert_eq!(rect, Rect { x: 0, y: 0, width: 720, height: 16 }, "only the cursor's row is redrawn");
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn attribute_bit_7_blinks_or_brightens() {
    let mut pc = text();
    clear(&mut pc);
    pc.indexed(0x3D4, 0x0A, 0x20);
    print(&mut pc, 80, &[0xFF], 0x9E);
    let mut colors = Vec::new();
    for _ in 0..100 {
        pc.retrace();
        colors.push(pc.displayed()[21 * 720]);
        assert_eq!(pc.displayed()[20 * 720], ega(1), "the background does not blink");
    }
    assert!(colors.contains(&ega(0xE)) && colors.contains(&ega(1)));
    pc.attribute(0x10, 0x04);
    pc.retrace();
    assert_eq!(pc.displayed()[20 * 720], ega(9));
}

#[test]
fn monochrome_attribute_1_is_underlined() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 0, b" ", 0x01);
    pc.indexed(0x3D4, 0x14, 0x0D);
    assert_eq!(pc.line(13)[40], ega(0));
    pc.indexed(0x3D4, 0x0A, 0x20);
    pc.attribute(0x10, 0x0E);
    assert_eq!(pc.line(13)[..10], [[ega(1); 9].as_slice(), &[ega(0)]].concat());
}

#[test]
fn the_screen_scrolls_smoothly_and_splits() {
    let mut pc = text();
    clear(&mut pc);
    print(&mut pc, 0, &[0xFF], 7);
    print(&mut pc, 80, &[0x55], 7);
    let first = pc.line(5);
    let second = pc.line(21);
    assert_ne!(first, second);
    // Three lines down within the first row.
    pc.indexed(0x3D4, 8, 3);
    assert_eq!(pc.line(2), first);
    assert_eq!(pc.line(18), second);
    // From the second row on.
    pc.indexed(0x3D4, 8, 0);
    pc.indexed(0x3D4, 0x0D, 80);
    assert_eq!(pc.line(5), second);
    // Below line 99 the memory's first row again.
    pc.indexed(0x3D4, 0x18, 99);
    pc.indexed(0x3D4, 0x07, 0x0F);
    pc.indexed(0x3D4, 0x09, 0x0F);
    assert_eq!(pc.line(105), first);
    assert_eq!(pc.line(121), second);
    // Panning in nine-dot modes: 8 is none, 0 is one dot.
    pc.attribute(0x13, 0);
    assert_eq!(pc.line(5)[..9], second[1..10]);
    assert_eq!(pc.line(105)[..9], first[1..10]);
    pc.attribute(0x10, 0x2C);
    assert_eq!(pc.line(105), first, "only the upper part pans");
}

#[test]
fn only_changed_rows_are_drawn_again() {
    let mut pc = text();
    clear(&mut pc);
    pc.indexed(0x3D4, 0x0A, 0x20);
    assert_eq!(pc.retrace(), [Rect { x: 0, y: 0, width: 720, height: 400 }]);
    assert_eq!(pc.retrace(), []);
    print(&mut pc, 10 * 80 + 40, b" ", 7);
    assert_eq!(pc.retrace(), [], "the same again is no change");
    print(&mut pc, 10 * 80 + 40, b"x", 7);
    let rects = pc.retrace();
    assert_eq!(rects.len(), 1);
    assert!(rects[0].y <= 160 && rects[0].y + rects[0].height >= 176 && rects[0].height <= 48, "{rects:?}");
    assert_eq!(pc.displayed(), pc.picture().2);
    font_access(&mut pc);
    pc.poke(0xA_0000 + u32::from(b'x') * 32, 0xAA);
    text_access(&mut pc);
    assert_eq!(pc.retrace().len(), 1, "a new glyph is a change");
    assert_eq!(pc.displayed(), pc.picture().2);
    pc.out(0x3C8, 7);
    for _ in 0..3 {
        pc.out(0x3C9, 0x3F);
    }
    assert_eq!(pc.retrace().len(), 1, "a new colour is a change");
    assert_eq!(pc.displayed()[170 * 720 + 400], pc.picture().2[170 * 720 + 400]);
}

#[test]
fn a_dark_screen_has_no_text() {
    let mut pc = text();
    pc.inp(0x3DA);
    pc.out(0x3C0, 0x00);
    assert_eq!(pc.vga.text_screen(&pc.board.memory), None);
    assert!(pc.picture().2.iter().all(|&p| p == 0));
    pc.out(0x3C0, 0x20);
    pc.inp(0x3DA);
    pc.out(0x3C0, 0x20);
    assert!(pc.vga.text_screen(&pc.board.memory).is_some());
}

#[test]
fn a_machine_without_firmware_starts_in_text_mode_with_a_font() {
    let kernel = crate::config::Kernel::default();
    let config = Config { video_memory: 1 << 20, kernel: Some(kernel), ..Config::default() };
    let mut pc = Pc { vga: Vga::new(&config), ..Pc::new() };
    pc.vga.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
    assert_eq!(pc.vga.mode(), Mode { width: 720, height: 400, text: Some((80, 25)) });
    print(&mut pc, 0, b"L\xCD\xBA\xDB", 0x0A);
    let screen = pc.vga.text_screen(&pc.board.memory).unwrap();
    assert_eq!((screen.row(0).as_str(), screen.row(24).as_str()), ("L═║█", ""));
    assert_eq!(screen.colors[..8], [0, 0xAA, 0xAA00, 0xAAAA, 0xAA_0000, 0xAA_00AA, 0xAA_5500, 0xAA_AAAA]);
    assert_eq!((screen.colors[8], screen.colors[15]), (0x55_5555, 0xFF_FFFF));
    let (green, black) = (0x55_FF55, 0);
    pc.indexed(0x3D4, 0x0A, 0x20);
    let line = pc.line(14);
    assert_eq!(
        line[..9],
        [black, green, green, green, green, green, black, black, black],
        "the foot of an L"
    );
    assert_eq!(pc.line(6)[9..18], [green; 9], "a double line joins the next cell");
    assert_eq!(line[18..27], [black, black, green, black, green, black, black, black, black]);
    assert_eq!(line[27..36], [green; 9]);
}
