//! A picture as half-blocks: each cell shows two pixels, one above the other.

use super::canvas::{Canvas, Cell};
use crate::screenshot::Picture;

/// The upper half of a cell in the foreground's colour.
const UPPER_HALF: char = '▀';

/// Draws the picture as large as it fits, with square pixels, in the middle.
pub(super) fn draw(picture: &Picture, canvas: &mut Canvas) {
    let (room_x, room_y) = (canvas.columns(), canvas.rows() * 2);
    let (width, height) = (picture.width as usize, picture.height as usize);
    if width == 0 || height == 0 || room_x == 0 || room_y == 0 {
        return;
    }
    // Larger than it is only by whole factors would waste room; smaller ones average what they leave out.
    let by_width = room_x * height <= room_y * width;
    let (x, y) = if by_width {
        (room_x, (room_x * height / width).max(1))
    } else {
        ((room_y * width / height).max(1), room_y)
    };
    let (left, top) = ((room_x - x) / 2, (room_y - y) / 4);
    let average = |column: usize, line: usize| {
        if line >= y {
            return 0;
        }
        let span = |n: usize, of: usize, size: usize| {
            let from = n * size / of;
            from..((n + 1) * size / of).max(from + 1)
        };
        let (mut sum, mut count) = ([0_u32; 3], 0);
        for row in span(line, y, height) {
            for place in span(column, x, width) {
                let [_, r, g, b] = picture.pixels[row * width + place].to_be_bytes();
                sum = [sum[0] + u32::from(r), sum[1] + u32::from(g), sum[2] + u32::from(b)];
                count += 1;
            }
        }
        (sum[0] / count) << 16 | (sum[1] / count) << 8 | (sum[2] / count)
    };
    for row in 0..y.div_ceil(2) {
        for column in 0..x {
            let cell = Cell {
                character: UPPER_HALF,
                foreground: average(column, 2 * row),
                background: average(column, 2 * row + 1),
                blink: false,
            };
            canvas.put(left + column, top + row, cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Colors;
    use super::*;

    #[test]
    fn two_pixels_make_a_cell_and_smaller_pictures_average() {
        let mut pixels = vec![0xFF_0000; 8 * 8];
        pixels[32..].fill(0x00_00FF);
        let picture = Picture { width: 8, height: 8, pixels };
        for (columns, rows) in [(8, 4), (2, 1), (40, 1)] {
            let mut canvas = Canvas::default();
            canvas.begin(columns, rows);
            draw(&picture, &mut canvas);
            let mut out = Vec::new();
            canvas.finish(Colors::True, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains('▀') && text.contains("38;2;255;0;0"), "{text:?}");
            assert!(text.contains("48;2;0;0;255"), "{columns} {rows} {text:?}");
        }
    }

    #[test]
    fn no_picture_and_no_room_draw_nothing() {
        let mut canvas = Canvas::default();
        canvas.begin(0, 0);
        draw(&Picture { width: 1, height: 1, pixels: vec![0] }, &mut canvas);
        canvas.begin(3, 3);
        draw(&Picture { width: 0, height: 0, pixels: vec![] }, &mut canvas);
    }
}
