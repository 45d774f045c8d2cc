//! A picture through kitty's graphics protocol, as PNG.

use crate::screenshot::Picture;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;

/// The most characters in one piece.
const PIECE: usize = 4096;

/// Appends what shows the picture in `columns` and `rows` of cells from the upper left corner on, in place of
/// the one before.
pub(super) fn draw(picture: &Picture, columns: usize, rows: usize, out: &mut Vec<u8>) {
    let mut png = Vec::new();
    if picture.write(&mut png).is_err() {
        return;
    }
    let text = STANDARD.encode(png);
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    let mut first = true;
    out.extend_from_slice(b"\x1B[H");
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        // Writing to memory does not fail.
        let _ = if first {
            write!(out, "\x1B_Ga=T,f=100,i=86,p=1,q=2,C=1,c={columns},r={rows},m={more};")
        } else {
            write!(out, "\x1B_Gm={more};")
        };
        first = false;
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\x1B\\");
    }
}

/// Takes the picture away.
pub(super) const CLEAR: &[u8] = b"\x1B_Ga=d,d=I,i=86,q=2\x1B\\";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_goes_in_pieces_and_comes_out_whole() {
        let pixels: Vec<u32> = (0..200 * 100).map(|n: u32| n.wrapping_mul(0x9E_3779) & 0xFF_FFFF).collect();
        let picture = Picture { width: 200, height: 100, pixels: pixels.clone() };
        let mut out = Vec::new();
        draw(&picture, 80, 25, &mut out);
        let text = String::from_utf8(out).unwrap();
        let pieces: Vec<_> = text.split("\x1B_G").skip(1).map(|p| p.trim_end_matches("\x1B\\")).collect();
        assert!(pieces.len() > 1 && pieces[0].contains("c=80,r=25,m=1"));
        assert!(pieces.last().unwrap().starts_with("m=0;"));
        let data: String = pieces.iter().map(|p| p.split_once(';').unwrap().1).collect();
        let png = STANDARD.decode(data).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; 200 * 100 * 3];
        reader.next_frame(&mut bytes).unwrap();
        let expected: Vec<u8> = pixels.iter().flat_map(|p| p.to_be_bytes().into_iter().skip(1)).collect();
        assert!(bytes == expected);
    }
}
