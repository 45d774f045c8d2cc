//! What the monitor says of itself: an EDID for 1024 × 768 at 60 Hz and the usual sizes below and above.
//!
//! Spec: VESA Enhanced EDID Standard, release A, revision 1 (EDID 1.3).

/// The block.
pub(super) const EDID: [u8; 128] = {
    let mut e = [0; 128];
    put(&mut e, 0, &[0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0]);
    // Manufacturer NMD (five bits a letter), product 86, made in 2026; version 1.3.
    let maker = (14_u16 << 10 | 13 << 5 | 4).to_be_bytes();
    put(&mut e, 8, &[maker[0], maker[1], 86, 0, 1, 0, 0, 0, 1, 36, 1, 3]);
    // Analogue, 36 × 27 cm, gamma 2.2; colour; the first detailed timing is preferred.
    put(&mut e, 20, &[0x08, 36, 27, 120, 0x0A]);
    // sRGB's primaries and white point.
    put(&mut e, 25, &[0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54]);
    // 640 × 480, 800 × 600, 1024 × 768 and 1280 × 1024.
    put(&mut e, 35, &[0x21, 0x09, 0x00]);
    // 1280 × 1024, 1600 × 1200 and 1920 × 1080 at 60 Hz, and five empty places.
    put(&mut e, 38, &[0x81, 0x80, 0xA9, 0x40, 0xD1, 0xC0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    // 65 MHz; 1024 + 320 by 768 + 38; sync 24 + 136 by 3 + 6, both negative.
    put(
        &mut e,
        54,
        &[0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30, 24, 136, 0x36, 0x00, 0x68, 0x0E, 0x11, 0, 0, 0x18],
    );
    // Range: 50 to 75 Hz, 30 to 80 kHz, 170 MHz.
    put(&mut e, 72, &[0, 0, 0, 0xFD, 0, 50, 75, 30, 80, 17, 0, 0x0A, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20]);
    put(&mut e, 90, b"\0\0\0\xFC\0nomad86\n     ");
    put(&mut e, 108, b"\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let mut sum = 0_u8;
    let mut n = 0;
    while n < 127 {
        sum = sum.wrapping_add(e[n]);
        n += 1;
    }
    e[127] = sum.wrapping_neg();
    e
};

const fn put(to: &mut [u8; 128], at: usize, bytes: &[u8]) {
    let mut n = 0;
    while n < bytes.len() {
        to[at + n] = bytes[n];
        n += 1;
    }
}
