//! Random values that lean towards the edges where processors differ.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// A repeatable source of random values.
#[derive(Clone, Debug)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The same seed gives the same values.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        ((self.bits() >> 32).wrapping_mul(u64::from(end)) >> 32) as u32
    }

    /// From `range`.
    pub fn within(&mut self, range: std::ops::Range<u32>) -> u32 {
        range.start + self.below(range.end - range.start)
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }

    /// An integer of `bits` bits, often near 0, the largest, a sign change or a power of two.
    pub fn integer(&mut self, bits: u32) -> u64 {
        let mask = u64::MAX >> (64 - bits);
        let near = u64::from(self.below(5)).wrapping_sub(2);
        let value = match self.below(12) {
            0 => near,
            1 => (1_u64 << (bits - 1)).wrapping_add(near),
            2 => (1_u64 << self.below(bits)).wrapping_add(near),
            3 => u64::from(self.below(256)),
            4 => u64::from(self.below(256)).wrapping_neg(),
            5 => self.bits() >> self.below(64),
            6 => (self.bits() & 0xFF) * 0x0101_0101_0101_0101,
            7 => 0,
            8 => u64::MAX,
            _ => self.bits(),
        };
        value & mask
    }

    /// Bits of a binary32 value: often zero, infinite, NaN, denormal, near a power of two or an integer.
    pub fn f32(&mut self) -> u32 {
        let sign = (self.bits() as u32) & 0x8000_0000;
        let random = self.bits() as u32;
        sign | match self.below(16) {
            0 => 0,
            1 => 0x7F80_0000,
            2 => 0x7FC0_0000 | random & 0x3F_FFFF,
            3 => 0x7F80_0000 | (random & 0x3F_FFFF).max(1),
            4 => random & 0x7F_FFFF,
            5 => 1,
            6 => 0x0080_0000 | random & 3,
            7 => 0x7F7F_FFFF - (random & 3),
            8 => (random as i16 as f32).abs().to_bits(),
            9 => (random as i32 as f32 * 0.5).abs().to_bits(),
            10 => 0x4EFF_FFFE + (random & 3),
            11 => (1.0_f32 + (random & 15) as f32 * f32::EPSILON).to_bits(),
            12 | 13 => (random % 0x2000_0000) / 4 + 0x3B00_0000,
            _ => random & 0x7FFF_FFFF,
        }
    }

    /// Bits of a binary64 value, see [`Self::f32`].
    pub fn f64(&mut self) -> u64 {
        let sign = self.bits() & 1 << 63;
        let random = self.bits();
        sign | match self.below(16) {
            0 => 0,
            1 => 0x7FF << 52,
            2 => 0xFFF << 51 | random >> 13,
            3 => 0x7FF << 52 | (random >> 13).max(1),
            4 => random >> 12,
            5 => 1,
            6 => 1 << 52 | random & 3,
            7 => (0x7FF << 52) - 1 - (random & 3),
            8 => f64::from(random as i16).abs().to_bits(),
            9 => (f64::from(random as i32) * 0.5).abs().to_bits(),
            10 => (f64::from(f32::from_bits(self.f32() & 0x7FFF_FFFF))).to_bits() & !(1 << 63),
            11 => (1.0 + (random & 15) as f64 * f64::EPSILON).to_bits(),
            12 => 0x41DF_FFFF_FFC0_0000 + (random & 0xFFFF),
            13 | 14 => (random >> 12) | (0x3FF - 30 + (random & 63)) << 52,
            _ => random & (u64::MAX >> 1),
        }
    }

    /// Mantissa and sign with exponent of an 80-bit value, with all the kinds that the format can hold.
    pub fn f80(&mut self) -> (u64, u16) {
        const INTEGER: u64 = 1 << 63;
        let sign = (self.bits() as u16) & 0x8000;
        let random = self.bits();
        let mantissa = match self.below(6) {
            0 => INTEGER,
            1 => u64::MAX - (random & 3),
            2 => INTEGER | (random & 0xFFF) << 40,
            3 => INTEGER | random & !0x7FF,
            _ => INTEGER | random,
        };
        let near = 0x3FFF - 40 + (random >> 40) as u16 % 80;
        let (mantissa, exponent) = match self.below(24) {
            0 => (0, 0),
            1 => (INTEGER, 0x7FFF),
            2 => (3 << 62 | random >> 2, 0x7FFF),
            3 => (INTEGER | (random >> 2).max(1), 0x7FFF),
            4 => (random >> 1, 0),      // denormal
            5 => (INTEGER | random, 0), // pseudo-denormal
            6 => (1, 0),                // smallest denormal
            7 => (random >> 1, near),   // unnormal
            8 => (0, near),             // unnormal zero
            9 => (random >> 1, 0x7FFF), // pseudo-NaN
            10 => (0, 0x7FFF),          // pseudo-infinity
            11 => (mantissa, 0x7FFE),
            12 => (mantissa, 1),
            13 => (mantissa, 0x3FFF),
            14 => {
                let integer = (random & 0xFFFF).max(1);
                let shift = integer.leading_zeros();
                (integer << shift, 0x3FFF + 63 - shift as u16)
            }
            15 => (mantissa, (random >> 3) as u16 & 0x7FFF),
            16 => (mantissa, 0x3FFF + 30 + (random as u16 & 3)),
            17 => (mantissa, 0x3FFF + 62 + (random as u16 & 3)),
            18 => (mantissa, 0x3FFE),
            _ => (mantissa, near),
        };
        (mantissa, sign | exponent)
    }

    /// Bytes of an 80-bit value.
    pub fn f80_bytes(&mut self) -> [u8; 10] {
        let (mantissa, top) = self.f80();
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&mantissa.to_le_bytes());
        bytes[8..].copy_from_slice(&top.to_le_bytes());
        bytes
    }

    /// Ten bytes of packed BCD, sometimes not quite.
    pub fn bcd(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        for byte in &mut bytes[..9] {
            *byte = match self.below(10) {
                0 => self.bits() as u8,
                1..4 => 0,
                _ => (self.below(10) * 16 + self.below(10)) as u8,
            };
        }
        bytes[9] = self.pick(&[0, 0x80, 0x80, 0, 0x7F, 0xFF]);
        bytes
    }

    /// Sixteen bytes whose lanes hold values of one kind.
    pub fn vector(&mut self, kind: Lanes) -> [u8; 16] {
        let mut bytes = [0; 16];
        match kind {
            Lanes::F32 => {
                for lane in bytes.chunks_exact_mut(4) {
                    lane.copy_from_slice(&self.f32().to_le_bytes());
                }
            }
            Lanes::F64 => {
                for lane in bytes.chunks_exact_mut(8) {
                    lane.copy_from_slice(&self.f64().to_le_bytes());
                }
            }
            Lanes::Integer => {
                let bits = self.pick(&[8, 16, 32, 64]);
                for lane in bytes.chunks_exact_mut(bits as usize / 8) {
                    lane.copy_from_slice(&self.integer(bits).to_le_bytes()[..bits as usize / 8]);
                }
            }
            Lanes::Text => {
                // Few different characters and some ends, so that string compares find something.
                for byte in &mut bytes {
                    *byte = self.pick(b"\0aabbcz\x80");
                }
            }
        }
        bytes
    }
}

/// What the lanes of a vector hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    /// binary32.
    F32,
    /// binary64.
    F64,
    /// Integers of one random width.
    Integer,
    /// Characters.
    Text,
}

/// What a random x87/SSE state is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FxKind {
    /// Contents of the XMM registers.
    pub lanes: Lanes,
    /// The 64-bit registers hold MMX values.
    pub mmx: bool,
    /// Exceptions may be unmasked and pending.
    pub unmasked: bool,
}

/// A random FXSAVE image that FXRSTOR accepts.
pub fn fx_image(rng: &mut Rng, kind: FxKind) -> [u8; 512] {
    let mut image = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let masks = if kind.unmasked && rng.percent(30) { rng.below(64) as u16 } else { 0x3F };
    let precision = rng.pick(&[3_u16, 3, 3, 3, 2, 2, 0, 0, 1]);
    let rounding = rng.pick(&[0_u16, 0, 0, 1, 2, 3]);
    let control = masks | 0x40 | precision << 8 | rounding << 10;
    put(0, &control.to_le_bytes());
    let top = if kind.mmx && rng.percent(70) { 0 } else { rng.below(8) as u16 };
    let mut exceptions = if rng.percent(25) { rng.below(128) as u16 } else { 0 };
    if !(kind.unmasked && rng.percent(5)) {
        exceptions &= masks | 0x40; // nothing that would raise #MF at once
    }
    let pending = if exceptions & !masks & 0x3F != 0 { 0x8080 } else { 0 };
    let conditions = (rng.bits() as u16) & 0x4700;
    put(2, &(exceptions | pending | conditions | top << 11).to_le_bytes());
    let mut tags = match rng.below(4) {
        0 => rng.bits() as u8,
        // A stack of some depth.
        1 | 2 => {
            let depth = rng.below(9);
            (0..depth).fold(0, |tags, n| tags | 1 << ((u32::from(top) + n) & 7))
        }
        _ => 0xFF,
    };
    if kind.mmx && rng.percent(70) {
        tags = 0xFF;
    }
    put(4, &[tags]);
    let (mxcsr_masks, flags) = if kind.unmasked && rng.percent(25) {
        (rng.bits() as u32 & 0x1F80, rng.bits() as u32 & 0x3F)
    } else {
        (0x1F80, if rng.percent(25) { rng.bits() as u32 & 0x3F } else { 0 })
    };
    let modes = if rng.percent(40) { rng.bits() as u32 & 0xE040 } else { 0 };
    put(24, &(mxcsr_masks | flags | modes).to_le_bytes());
    for st in 0..8 {
        let mut value = rng.f80_bytes();
        if kind.mmx {
            value[..8].copy_from_slice(&rng.vector(Lanes::Integer)[..8]);
            if rng.percent(70) {
                value[8..].fill(0xFF);
            }
        }
        put(32 + 16 * st, &value);
    }
    for xmm in 0..8 {
        let lanes = if rng.percent(10) { Lanes::Integer } else { kind.lanes };
        put(160 + 16 * xmm, &rng.vector(lanes));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_repeat_with_the_seed_and_reach_their_edges() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert!((0..100).all(|_| a.integer(32) == b.integer(32)));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3000 {
            seen.insert(a.integer(8));
            assert!(a.below(3) < 3);
            assert!((5..9).contains(&a.within(5..9)));
        }
        assert_eq!(seen.len(), 256);
        let kinds: Vec<u32> = (0..500).map(|_| a.f32()).collect();
        for (edge, bits) in
            [("zero", 0), ("infinity", 0x7F80_0000), ("denormal", 1), ("largest", 0x7F7F_FFFF)]
        {
            assert!(kinds.contains(&bits), "{edge}");
        }
        assert!(kinds.iter().any(|&bits| f32::from_bits(bits).is_nan()));
        let extended: Vec<(u64, u16)> = (0..500).map(|_| a.f80()).collect();
        let unnormal = |&(m, e): &(u64, u16)| m >> 63 == 0 && !matches!(e & 0x7FFF, 0 | 0x7FFF);
        assert!(extended.iter().any(unnormal));
        assert!(extended.iter().any(|&(m, e)| m >> 63 == 1 && e & 0x7FFF == 0), "a pseudo-denormal");
    }

    #[test]
    fn images_have_no_reserved_bits_of_mxcsr() {
        let mut rng = Rng::new(1);
        for _ in 0..300 {
            let kind = FxKind { lanes: Lanes::F64, mmx: rng.percent(50), unmasked: rng.percent(50) };
            let image = fx_image(&mut rng, kind);
            let mxcsr = u32::from_le_bytes([image[24], image[25], image[26], image[27]]);
            assert_eq!(mxcsr & !0xFFFF, 0);
        }
    }
}
