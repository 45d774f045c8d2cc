//! Creative's ADPCM: 4, 2.6 and 2 bits a sample. Each code is a sign and a magnitude; the magnitude times a
//! step is added to the sample before, and large or zero magnitudes change the step.

/// Bits a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packing {
    Four,
    /// Three, three and two bits to the byte.
    TwoSix,
    Two,
}

impl Packing {
    /// Samples in a byte.
    pub(super) const fn samples(self) -> u32 {
        match self {
            Self::Four => 2,
            Self::TwoSix => 3,
            Self::Two => 4,
        }
    }
}

/// The decoder.
#[derive(Default)]
pub(super) struct Adpcm {
    /// The last sample, unsigned.
    reference: u8,
    /// Number of the step.
    step: u8,
}
archive_fields!(Adpcm { reference, step });

impl Adpcm {
    /// Starts again from a reference byte.
    pub(super) const fn start(&mut self, reference: u8) {
        self.reference = reference;
        self.step = 0;
    }

    /// Unpacks a byte into up to four samples.
    pub(super) fn decode(&mut self, packing: Packing, byte: u8) -> ([u8; 4], usize) {
        let mut out = [0; 4];
        let codes = match packing {
            Packing::Four => [byte >> 4, byte & 0xF, 0, 0],
            Packing::TwoSix => [byte >> 5, byte >> 2 & 7, (byte & 3) << 1, 0],
            Packing::Two => [byte >> 6, byte >> 4 & 3, byte >> 2 & 3, byte & 3],
        };
        let count = packing.samples() as usize;
        for (sample, code) in out.iter_mut().zip(codes).take(count) {
            *sample = self.sample(packing, code);
        }
        (out, count)
    }

    fn sample(&mut self, packing: Packing, code: u8) -> u8 {
        // Where the sign is, from which magnitude on the step grows, and the last step.
        let (sign, large, last) = match packing {
            Packing::Four => (8, 5, 3),
            Packing::TwoSix => (4, 3, 4),
            Packing::Two => (2, 1, 5),
        };
        let magnitude = code & (sign - 1);
        let step = self.step.min(last);
        let wide = i32::from(magnitude) * 2 + 1;
        let change = match step {
            0 => i32::from(magnitude),
            4 if packing == Packing::TwoSix => wide * 5,
            step => wide << (step - 1),
        };
        let change = if code & sign != 0 { -change } else { change };
        self.reference = (i32::from(self.reference) + change).clamp(0, 255) as u8;
        self.step = if magnitude >= large {
            (step + 1).min(last)
        } else if magnitude == 0 {
            step.saturating_sub(1)
        } else {
            step
        };
        self.reference
    }
}
