//! A picture as sixels: bands of six lines in up to 256 colours.
//!
//! Spec: DEC STD 070, "Sixel Graphics Extension".

use crate::screenshot::Picture;
use std::collections::HashMap;
use std::io::Write;

/// Colours that terminals have registers for.
const REGISTERS: usize = 256;

/// Appends what shows the picture from the upper left corner on.
pub(super) fn draw(picture: &Picture, out: &mut Vec<u8>) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if width == 0 || height == 0 {
        return;
    }
    let (pixels, palette) = reduce(&picture.pixels);
    // Writing to memory does not fail.
    let _ = write!(out, "\x1B[H\x1BP0;1q\"1;1;{width};{height}");
    for (n, color) in palette.iter().enumerate() {
        let [_, r, g, b] = color.to_be_bytes().map(|c| (u32::from(c) * 100 + 127) / 255);
        let _ = write!(out, "#{n};2;{r};{g};{b}");
    }
    let mut used = vec![false; palette.len()];
    for top in (0..height).step_by(6) {
        let lines = &pixels[top * width..(top + 6).min(height) * width];
        used.fill(false);
        lines.iter().for_each(|&n| used[usize::from(n)] = true);
        for register in (0..palette.len()).filter(|n| used[*n]) {
            let _ = write!(out, "#{register}");
            band(lines, width, register as u8, out);
            out.push(b'$');
        }
        out.push(b'-');
    }
    out.extend_from_slice(b"\x1B\\");
}

/// One colour of a band: a character for each column, repeated ones counted.
fn band(lines: &[u8], width: usize, register: u8, out: &mut Vec<u8>) {
    let column = |x: usize| {
        lines.chunks(width).enumerate().fold(0, |bits, (y, line)| bits | u8::from(line[x] == register) << y)
            + 63
    };
    let mut x = 0;
    while x < width {
        let sixel = column(x);
        let run = (x..width).take_while(|&n| column(n) == sixel).count();
        if run > 3 {
            let _ = write!(out, "!{run}{}", char::from(sixel));
        } else {
            out.extend(std::iter::repeat_n(sixel, run));
        }
        x += run;
    }
}

/// The pixels as numbers of a palette: their own colours where those are few, else a cube of 6 levels.
fn reduce(pixels: &[u32]) -> (Vec<u8>, Vec<u32>) {
    let mut numbers: HashMap<u32, u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut result = Vec::with_capacity(pixels.len());
    let mut last = None;
    for &pixel in pixels {
        let color = pixel & 0xFF_FFFF;
        let number = match last {
            Some((same, number)) if same == color => number,
            _ => match numbers.get(&color) {
                Some(&number) => number,
                None if palette.len() == REGISTERS => return cube(pixels),
                None => {
                    let number = palette.len() as u8;
                    numbers.insert(color, number);
                    palette.push(color);
                    number
                }
            },
        };
        last = Some((color, number));
        result.push(number);
    }
    (result, palette)
}

fn cube(pixels: &[u32]) -> (Vec<u8>, Vec<u32>) {
    let palette = (0..216).map(|n| (n / 36 * 51) << 16 | (n / 6 % 6 * 51) << 8 | (n % 6 * 51)).collect();
    let level = |value: u8| (u16::from(value) + 25) / 51;
    let number = |pixel: &u32| {
        let [_, r, g, b] = pixel.to_be_bytes();
        (36 * level(r) + 6 * level(g) + level(b)) as u8
    };
    (pixels.iter().map(number).collect(), palette)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads sixels back: what a terminal would show.
    fn shown(text: &str, width: usize, height: usize) -> Vec<u32> {
        let body = text.split_once('q').unwrap().1.trim_end_matches("\x1B\\");
        let mut pixels = vec![0xDEAD; width * height];
        let mut palette = HashMap::new();
        let (mut x, mut y, mut color, mut repeat) = (0, 0, 0, 1);
        let mut bytes = body.bytes().peekable();
        let number = |bytes: &mut std::iter::Peekable<std::str::Bytes>| {
            let mut n = 0;
            while let Some(d) = bytes.next_if(u8::is_ascii_digit) {
                n = n * 10 + usize::from(d - b'0');
            }
            n
        };
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => while bytes.next_if(|b| b.is_ascii_digit() || *b == b';').is_some() {},
                b'#' => {
                    color = number(&mut bytes);
                    if bytes.next_if_eq(&b';').is_some() {
                        let mut values = [0; 4];
                        for value in &mut values {
                            *value = number(&mut bytes);
                            bytes.next_if_eq(&b';');
                        }
                        let [_, r, g, b] = values.map(|v| (v * 255 + 50) / 100);
                        palette.insert(color, (r << 16 | g << 8 | b) as u32);
                    }
                }
                b'!' => repeat = number(&mut bytes),
                b'$' => x = 0,
                b'-' => (x, y) = (0, y + 6),
                63..=126 => {
                    for _ in 0..repeat {
                        for bit in (0..6).filter(|bit| (byte - 63) >> bit & 1 != 0) {
                            pixels[(y + bit) * width + x] = palette[&color];
                        }
                        x += 1;
                    }
                    repeat = 1;
                }
                other => panic!("{other}"),
            }
        }
        pixels
    }

    #[test]
    fn a_terminal_shows_the_picture() {
        let colors = [0xFF_0000, 0x00_FF00, 0x00_00FF, 0xFF_FFFF, 0x00_0000, 0x33_6699];
        let pixels: Vec<u32> = (0..17 * 13).map(|n: usize| colors[n * n / 5 % 6]).collect();
        let picture = Picture { width: 17, height: 13, pixels: pixels.clone() };
        let mut out = Vec::new();
        draw(&picture, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(shown(&text, 17, 13), pixels);
    }

    #[test]
    fn many_colours_become_a_cube() {
        let pixels: Vec<u32> = (0..64 * 64).map(|n: u32| n * 4000).collect();
        let picture = Picture { width: 64, height: 64, pixels: pixels.clone() };
        let mut out = Vec::new();
        draw(&picture, &mut out);
        for (seen, real) in shown(&String::from_utf8(out).unwrap(), 64, 64).iter().zip(pixels) {
            let far = |shift: u32| (seen >> shift & 0xFF).abs_diff(real >> shift & 0xFF);
            assert!(far(16) <= 27 && far(8) <= 27 && far(0) <= 27);
        }
    }
}
