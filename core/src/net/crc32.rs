//! The Ethernet CRC: frame check sequence and multicast hash.
//!
//! Spec: IEEE 802.3 section 3.2.9; DP8390D data sheet section 10, "Multicast Address Registers".

/// How many bytes are taken at a time.
const STRIDE: usize = 8;

/// Remainders by the generator, bits reflected: of each byte value, followed by none to seven zero bytes.
const TABLES: [[u32; 256]; STRIDE] = {
    let mut tables = [[0u32; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ if remainder & 1 != 0 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        tables[0][byte] = remainder;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < STRIDE {
        byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
};

/// The shift register after `bytes`, reflected and not yet complemented.
fn register(bytes: &[u8]) -> u32 {
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    let crc = strides.iter().fold(!0u32, |crc, stride| {
        let mut mixed = *stride;
        for (byte, of_crc) in mixed.iter_mut().zip(crc.to_le_bytes()) {
            *byte ^= of_crc;
        }
        let remainders = TABLES.iter().rev().zip(mixed).map(|(table, byte)| table[usize::from(byte)]);
        remainders.fold(0, |sum, remainder| sum ^ remainder)
    });
    rest.iter().fold(crc, |crc, &byte| (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)])
}

/// The frame check sequence of a frame; it is sent low byte first.
#[must_use]
pub fn frame_check_sequence(frame: &[u8]) -> u32 {
    !register(frame)
}

/// Which of the 64 bits of the multicast filter a destination address falls on: the top six bits of the
/// CRC register (bits 0–2 choose the bit, bits 3–5 the register MAR0–MAR7).
#[must_use]
pub fn multicast_hash(destination: super::MacAddress) -> u8 {
    (register(&destination.0).reverse_bits() >> 26) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::MacAddress;

    #[test]
    fn the_check_value_of_the_polynomial() {
        assert_eq!(frame_check_sequence(b"123456789"), 0xCBF4_3926);
        assert_eq!(frame_check_sequence(&[]), 0);
    }

    #[test]
    fn a_frame_followed_by_its_sequence_leaves_the_known_residue() {
        let mut frame = [0x5A; 64];
        let sequence = frame_check_sequence(&frame[..60]);
        frame[60..].copy_from_slice(&sequence.to_le_bytes());
        assert_eq!(frame_check_sequence(&frame), 0x2144_DF1C);
    }

    #[test]
    fn lengths_of_all_remainders_agree_with_the_definition() {
        let bytes: [u8; 70] = core::array::from_fn(|n| (n * 73 + 5) as u8);
        for length in 0..bytes.len() {
            let mut crc = !0u32;
            for byte in &bytes[..length] {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 };
                }
            }
            assert_eq!(frame_check_sequence(&bytes[..length]), !crc, "{length} bytes");
        }
    }

    /// The chip's own procedure, bit by bit: a register shifted to the left, the least significant bit of
    /// each byte first.
    fn shifted(mac: [u8; 6]) -> u8 {
        let mut crc = !0u32;
        for byte in mac {
            for bit in 0..8 {
                let carry = (crc >> 31) ^ u32::from(byte >> bit & 1);
                crc = crc << 1 ^ if carry != 0 { 0x04C1_1DB7 } else { 0 };
            }
        }
        (crc >> 26) as u8
    }

    #[test]
    fn the_hash_is_that_of_the_shift_register() {
        for last in 0..=255 {
            for mac in [[0x33, 0x33, 0, 0, 0, last], [1, 0, 0x5E, last, 0, 0xFB], [last; 6]] {
                assert_eq!(multicast_hash(MacAddress(mac)), shifted(mac), "{mac:x?}");
            }
        }
    }
}
