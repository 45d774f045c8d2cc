//! The whole of a CD's sector, made from its 2048 bytes of data: sync, header, error detection and
//! correction codes, and the subchannel.
//!
//! Spec: ECMA-130, clauses 14 (sector), 22 (subchannel) and annex A (error correction).
//!
//! A form is two bytes of READ CD: the main channel's selection (byte 9) and the subchannel's (byte 10).

use super::BLOCK;

/// Data alone.
pub(in crate::devices::ide) const PLAIN: [u8; 2] = [part::DATA, 0];

/// Parts of the main channel.
mod part {
    pub(super) const SYNC: u8 = 0x80;
    pub(super) const SUBHEADER: u8 = 0x40;
    pub(super) const HEADER: u8 = 0x20;
    pub(super) const DATA: u8 = 0x10;
    pub(super) const EDC_ECC: u8 = 0x08;
    pub(super) const C2: u8 = 0x06;
}

/// Kinds of subchannel data.
mod sub {
    /// All eight channels as they are on the disc, 96 bytes.
    pub(super) const RAW: u8 = 1;
    /// The Q channel, 16 bytes.
    pub(super) const Q: u8 = 2;
    /// R to W, 96 bytes.
    pub(super) const R_TO_W: u8 = 4;
}

const SYNC_LEN: usize = 12;
const HEADER_LEN: usize = 4;
const CODES_LEN: usize = 288;
const WHOLE: usize = SYNC_LEN + HEADER_LEN + BLOCK + CODES_LEN;

/// Bytes of a sector in this form; `None` when it does not exist.
pub(in crate::devices::ide) fn size(form: [u8; 2]) -> Option<usize> {
    let [main, subchannel] = form;
    let has = |part: u8| main & part != 0;
    // Parts must follow each other on the disc. A mode 1 sector has no subheader.
    if has(part::SYNC) && !has(part::HEADER) && (has(part::DATA) || has(part::EDC_ECC)) {
        return None;
    }
    if has(part::HEADER) && has(part::EDC_ECC) && !has(part::DATA) || main & 1 != 0 {
        return None;
    }
    if has(part::SYNC) && has(part::SUBHEADER) && !has(part::HEADER) {
        return None;
    }
    let mut len = 0;
    for (part, bytes) in
        [(part::SYNC, SYNC_LEN), (part::HEADER, HEADER_LEN), (part::DATA, BLOCK), (part::EDC_ECC, CODES_LEN)]
    {
        len += if has(part) { bytes } else { 0 };
    }
    len += match main & part::C2 {
        0 => 0,
        2 => 294,
        4 => 296,
        _ => return None,
    };
    len += match subchannel {
        0 => 0,
        sub::RAW | sub::R_TO_W => 96,
        sub::Q => 16,
        _ => return None,
    };
    Some(len)
}

/// Minutes, seconds and frames of a block's address.
pub(super) const fn to_msf(lba: u32) -> [u8; 3] {
    let frame = lba.saturating_add(150);
    [(frame / 4500) as u8, (frame / 75 % 60) as u8, (frame % 75) as u8]
}

/// The block at an address; `None` in the pregap and for what is no time.
pub(super) fn from_msf([minute, second, frame]: [u8; 3]) -> Option<u32> {
    if second > 59 || frame > 74 {
        return None;
    }
    ((u32::from(minute) * 60 + u32::from(second)) * 75 + u32::from(frame)).checked_sub(150)
}

const fn bcd(n: u8) -> u8 {
    ((n / 10 % 10) << 4) | (n % 10)
}

/// Turns `n` blocks of data at the end of `buffer` into sectors of a form at its front.
pub(super) fn expand(buffer: &mut [u8], lba: u32, n: usize, form: [u8; 2]) {
    let Some(size) = size(form) else { return };
    let start = buffer.len() - n * BLOCK;
    for i in 0..n {
        let mut whole = [0; WHOLE];
        let from = start + i * BLOCK;
        whole[SYNC_LEN + HEADER_LEN..][..BLOCK].copy_from_slice(&buffer[from..from + BLOCK]);
        let at = lba.wrapping_add(i as u32);
        frame(&mut whole, at, form[0] & part::EDC_ECC != 0);
        // The sector never reaches data that were not taken yet: the buffer holds all sectors.
        cut(&mut buffer[i * size..(i + 1) * size], &whole, at, form);
    }
}

/// Copies the wanted parts of a sector.
fn cut(out: &mut [u8], whole: &[u8; WHOLE], lba: u32, [main, subchannel]: [u8; 2]) {
    let mut to = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(room) = out.get_mut(to..to + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        to += bytes.len();
    };
    let (sync, rest) = whole.split_at(SYNC_LEN);
    let (header, rest) = rest.split_at(HEADER_LEN);
    let (data, codes) = rest.split_at(BLOCK);
    for (part, bytes) in
        [(part::SYNC, sync), (part::HEADER, header), (part::DATA, data), (part::EDC_ECC, codes)]
    {
        if main & part != 0 {
            put(bytes);
        }
    }
    match main & part::C2 {
        2 => put(&[0; 294]),
        4 => put(&[0; 296]),
        _ => {}
    }
    match subchannel {
        sub::RAW => put(&interleaved(lba)),
        sub::Q => {
            let mut q = [0; 16];
            q[..12].copy_from_slice(&q_channel(lba));
            put(&q);
        }
        sub::R_TO_W => put(&[0; 96]),
        _ => {}
    }
}

/// Puts sync and header, and if wanted the codes, around the data of a mode 1 sector.
fn frame(sector: &mut [u8; WHOLE], lba: u32, codes: bool) {
    sector[1..11].fill(0xFF);
    let [m, s, f] = to_msf(lba);
    sector[12..16].copy_from_slice(&[bcd(m), bcd(s), bcd(f), 1]);
    if codes {
        let crc = edc(&sector[..0x810]);
        sector[0x810..0x814].copy_from_slice(&crc.to_le_bytes());
        ecc(sector);
    }
}

/// Error detection code: a CRC with x^32+x^31+x^16+x^15+x^4+x^3+x+1, least significant bit first.
fn edc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut crc = n as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ if crc & 1 != 0 { 0xD801_8001 } else { 0 };
                bit += 1;
            }
            table[n] = crc;
            n += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, &byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// Doubles in the field of 256 elements with x^8+x^4+x^3+x^2+1.
const fn double(n: u8) -> u8 {
    n << 1 ^ if n & 0x80 != 0 { 0x1D } else { 0 }
}

/// `n` divided by 3 (that is, by x+1) in that field.
const fn third(n: u8) -> u8 {
    /// What each n is when multiplied by 3.
    const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            table[(double(n as u8) ^ n as u8) as usize] = n as u8;
            n += 1;
        }
        table
    };
    TABLE[n as usize]
}

/// Reed-Solomon product code: P over 86 columns of 24 bytes, then Q over 52 diagonals of 43.
fn ecc(sector: &mut [u8; WHOLE]) {
    parity(sector, 86, 24, 2, 86, 0x81C);
    parity(sector, 52, 43, 86, 88, 0x8C8);
}

/// Two parity bytes for each of `vectors` vectors of `length` bytes, which go through the sector's bytes
/// from 12 on in steps.
fn parity(
    sector: &mut [u8; WHOLE],
    vectors: usize,
    length: usize,
    next_vector: usize,
    step: usize,
    to: usize,
) {
    let area = vectors * length;
    for vector in 0..vectors {
        let mut at = (vector >> 1) * next_vector + (vector & 1);
        let (mut a, mut b) = (0, 0);
        for _ in 0..length {
            let byte = sector[12 + at];
            at += step;
            if at >= area {
                at -= area;
            }
            a = double(a ^ byte);
            b ^= byte;
        }
        let first = third(double(a) ^ b);
        sector[to + vector] = first;
        sector[to + vectors + vector] = first ^ b;
    }
}

/// The Q channel of a block: where it is, in the track and on the disc.
fn q_channel(lba: u32) -> [u8; 12] {
    let [m, s, f] = [lba / 4500, lba / 75 % 60, lba % 75].map(|n| bcd(n as u8));
    let absolute = to_msf(lba).map(bcd);
    let mut q = [0x41, 0x01, 0x01, m, s, f, 0, absolute[0], absolute[1], absolute[2], 0, 0];
    // CRC-16 with x^16+x^12+x^5+1, inverted.
    let crc = q[..10].iter().fold(0u16, |crc, &byte| {
        (0..8)
            .fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 })
    });
    q[10..].copy_from_slice(&(!crc).to_be_bytes());
    q
}

/// All eight channels: a byte has one bit of each, P in bit 7 and Q in bit 6; only Q holds anything.
fn interleaved(lba: u32) -> [u8; 96] {
    let q = q_channel(lba);
    core::array::from_fn(|n| (q[n / 8] >> (7 - n % 8) & 1) << 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_block_0_is_at_two_seconds() {
        assert_eq!(to_msf(0), [0, 2, 0]);
        assert_eq!(to_msf(16), [0, 2, 16]);
        assert_eq!(from_msf([0, 2, 16]), Some(16));
        assert_eq!(from_msf([0, 1, 74]), None);
        assert_eq!(from_msf([0, 2, 75]), None);
    }

    #[test]
    fn a_whole_sector_has_2352_bytes_and_its_codes_check() {
        assert_eq!(size([0xF8, 0]), Some(2352));
        assert_eq!(size(PLAIN), Some(2048));
        assert_eq!(size([0xF8, 1]), Some(2448));
        assert_eq!(size([0, 0]), Some(0));
        assert_eq!(size([0x90, 0]), None, "sync and data do not touch");
        let mut buffer = alloc::vec![0; 2 * 2352];
        let len = buffer.len();
        for (n, byte) in buffer[len - 2 * BLOCK..].iter_mut().enumerate() {
            *byte = (n * 7 + n / 256) as u8;
        }
        let data = buffer[len - BLOCK..].to_vec();
        expand(&mut buffer, 100, 2, [0xF8, 0]);
        let second = &buffer[2352..];
        assert_eq!(second[..16], [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 3, 0x26, 1]);
        assert_eq!(second[16..2064], data);
        // Over data and code together the CRC is zero.
        assert_eq!(edc(&second[..0x814]), 0);
        // Each P vector, a Reed-Solomon code word, is zero at x = 1 and x = 2 of the field.
        for column in 0..86 {
            let word: alloc::vec::Vec<u8> = (0..26).map(|row| second[12 + row * 86 + column]).collect();
            assert_eq!(word.iter().fold(0, |sum, byte| sum ^ byte), 0);
            assert_eq!(word.iter().fold(0, |value, byte| double(value) ^ byte), 0, "column {column}");
        }
    }
}
