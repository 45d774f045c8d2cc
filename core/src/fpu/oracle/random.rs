//! Seeded operands: special values, neighbours of every limit, and plain random bits.

use crate::fpu::F80;

/// xorshift64*: small, seeded, good enough to vary operands.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// 64 bits with long runs, few ones, few zeros, or none of it.
    pub(super) fn pattern(&mut self) -> u64 {
        let (a, b) = (self.next(), self.below(64) as u32);
        match self.below(8) {
            0 => 0,
            1 => u64::MAX << b,
            2 => u64::MAX >> b,
            3 => a & self.next() & self.next() & self.next(),
            4 => a | self.next() | self.next() | self.next(),
            5 => (1 << b) ^ (1 << self.below(64)),
            6 => a >> b << b,
            _ => a,
        }
    }

    /// Any 80-bit pattern, with all classes well represented.
    pub(super) fn f80(&mut self) -> F80 {
        let sign = (self.next() as u16) << 15;
        let pattern = self.pattern();
        let normal = pattern | 1 << 63;
        let near = |center: i32, r: &mut Self, spread: u64| {
            (center + r.below(2 * spread + 1) as i32 - spread as i32).clamp(1, 0x7FFE) as u16
        };
        let (exponent, mantissa) = match self.below(32) {
            0 => (0, 0),
            1 => (0x7FFF, 1 << 63),
            2 => (0x7FFF, normal),
            3 => (0x7FFF, normal | 3 << 62),
            4 => (0x7FFF, normal & !(1 << 62)),
            5 => (self.next() as u16, pattern & !(1 << 63)),
            6 => (0, pattern & !(1 << 63)),
            7 => (0, normal),
            8 => (1, normal),
            9 => (0x7FFE, normal),
            10 => (near(0x7FFE, self, 70), normal),
            11 => (near(1, self, 70), normal),
            12 => (near(0x3FFF - 1022, self, 60), normal),
            13 => (near(0x3FFF + 1023, self, 2), normal),
            14 => (near(0x3FFF - 126, self, 30), normal),
            15 => (near(0x3FFF + 127, self, 2), normal),
            16 => (near(0x3FFF / 2, self, 70), normal),
            17 => (near(0x3FFF + 0x1FFF, self, 70), normal),
            18..=20 => return small_integer(self),
            21..=24 => (near(0x3FFF, self, 3), normal),
            25..=28 => (near(0x3FFF, self, 70), normal),
            _ => (near(0x3FFF, self, 0x3FFF), normal),
        };
        F80::new(exponent & 0x7FFF | sign, mantissa)
    }

    /// An operand that often stands in some relation to `a`.
    pub(super) fn f80_beside(&mut self, a: F80) -> F80 {
        match self.below(8) {
            0 => F80::new(a.sign_exponent ^ (self.next() as u16 & 0x8000), a.mantissa ^ 1 << self.below(64)),
            1 => F80::new(a.sign_exponent ^ 0x8000, a.mantissa),
            2 => a,
            3 => F80::new(
                a.sign_exponent.wrapping_add(self.below(140) as u16).wrapping_sub(70),
                self.next() | 1 << 63,
            ),
            _ => self.f80(),
        }
    }

    /// Any binary64 pattern.
    pub(super) fn f64(&mut self) -> u64 {
        let sign = self.next() & 1 << 63;
        let fraction = self.pattern() & ((1 << 52) - 1);
        let exponent = match self.below(16) {
            0 | 1 => 0,
            2 | 3 => 0x7FF,
            4 => 1 + self.below(60),
            5 => 0x7FE - self.below(60),
            6 => 1023 - 126 - 30 + self.below(60),
            7 => 1023 + 120 + self.below(10),
            8 => 511 + self.below(4),
            9 => 1023 + 510 + self.below(4),
            10 | 11 => 1023 + self.below(66),
            12..=14 => 1020 + self.below(7),
            _ => self.below(2048),
        };
        sign | exponent << 52 | fraction
    }

    /// Any binary32 pattern.
    pub(super) fn f32(&mut self) -> u32 {
        let sign = self.next() as u32 & 1 << 31;
        let fraction = (self.pattern() >> self.below(41)) as u32 & ((1 << 23) - 1);
        let exponent = match self.below(16) {
            0 | 1 => 0,
            2 | 3 => 0xFF,
            4 => 1 + self.below(30),
            5 => 0xFE - self.below(30),
            6 => 62 + self.below(4),
            7 => 126 + 63 + self.below(4),
            8 | 9 => 127 + self.below(66),
            10..=13 => 124 + self.below(7),
            _ => self.below(256),
        };
        sign | (exponent as u32) << 23 | fraction
    }
}

fn small_integer(r: &mut Random) -> F80 {
    let shift = 1 + r.below(63);
    F80::from_i64(r.next() as i64 >> shift)
}
