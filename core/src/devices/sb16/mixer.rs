//! The CT1745 mixer: 256 indexed registers, of which volumes and selections matter here.

/// Registers.
mod reg {
    pub(super) const RESET: u8 = 0x00;
    /// Sound Blaster Pro's volumes, two nibbles each, which show the upper bits of the ones from 30h on.
    pub(super) const PRO_VOICE: u8 = 0x04;
    pub(super) const PRO_MIC: u8 = 0x0A;
    pub(super) const PRO_OUTPUT: u8 = 0x0E;
    pub(super) const PRO_MASTER: u8 = 0x22;
    pub(super) const PRO_MIDI: u8 = 0x26;
    pub(super) const PRO_CD: u8 = 0x28;
    pub(super) const PRO_LINE: u8 = 0x2E;
    pub(super) const MASTER: u8 = 0x30;
    pub(super) const VOICE: u8 = 0x32;
    pub(super) const MIDI: u8 = 0x34;
    pub(super) const CD: u8 = 0x36;
    pub(super) const LINE: u8 = 0x38;
    pub(super) const MIC: u8 = 0x3A;
    pub(super) const INTERRUPT: u8 = 0x80;
    pub(super) const DMA: u8 = 0x81;
    pub(super) const STATUS: u8 = 0x82;
}

/// An 8-bit transfer (or a MIDI byte) interrupts.
pub(super) const PENDING_8: u8 = 1 << 0;
/// A 16-bit transfer interrupts.
pub(super) const PENDING_16: u8 = 1 << 1;

/// Output: stereo, on the Sound Blaster Pro.
const STEREO: u8 = 1 << 1;

/// 256 × 10^(−n/10) for n from 0: steps of two decibels.
const STEPS: [u16; 32] = [
    256, 203, 162, 128, 102, 81, 64, 51, 41, 32, 26, 20, 16, 13, 10, 8, 6, 5, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1,
    0, 0, 0, 0,
];

/// The mixer.
pub(super) struct Mixer {
    pub(super) index: u8,
    registers: [u8; 256],
    /// Interrupts that wait to be acknowledged.
    pub(super) pending: u8,
}
crate::archive_fields!(Mixer { index, registers, pending });

impl Mixer {
    pub(super) fn new() -> Self {
        let mut mixer = Self { index: 0, registers: [0; 256], pending: 0 };
        // IRQ 5, DMA 1 and 5.
        mixer.registers[usize::from(reg::INTERRUPT)] = 0xF2;
        mixer.registers[usize::from(reg::DMA)] = 0x22;
        mixer.reset();
        mixer
    }

    /// Volumes to their defaults; selections stay.
    fn reset(&mut self) {
        for register in 0x01..0x80 {
            self.registers[register] = 0;
        }
        for register in [reg::MASTER, reg::VOICE, reg::MIDI] {
            self.registers[usize::from(register)] = 0xF8;
            self.registers[usize::from(register) + 1] = 0xF8;
        }
        // Output switches; gains of the inputs.
        self.registers[0x3C] = 0x1F;
        self.registers[0x3D] = 0x15;
        self.registers[0x3E] = 0x0B;
        for register in 0x44..=0x47 {
            self.registers[register] = 0x80;
        }
    }

    /// The register pair that a Pro register shows.
    const fn pair(index: u8) -> Option<u8> {
        Some(match index {
            reg::PRO_VOICE => reg::VOICE,
            reg::PRO_MASTER => reg::MASTER,
            reg::PRO_MIDI => reg::MIDI,
            reg::PRO_CD => reg::CD,
            reg::PRO_LINE => reg::LINE,
            _ => return None,
        })
    }

    fn register(&self, index: u8) -> u8 {
        self.registers[usize::from(index)]
    }

    pub(super) fn read(&self) -> u8 {
        if let Some(pair) = Self::pair(self.index) {
            return self.register(pair) & 0xF0 | self.register(pair + 1) >> 4;
        }
        match self.index {
            reg::PRO_MIC => self.register(reg::MIC) >> 5,
            // Bits 5 to 7 tell the DSP's kind: 4.05.
            reg::STATUS => self.pending | 0x20,
            index => self.register(index),
        }
    }

    pub(super) fn write(&mut self, value: u8) {
        if let Some(pair) = Self::pair(self.index) {
            self.registers[usize::from(pair)] = value & 0xF0 | 8;
            self.registers[usize::from(pair) + 1] = value << 4 | 8;
            return;
        }
        match self.index {
            reg::RESET => self.reset(),
            reg::PRO_MIC => self.registers[usize::from(reg::MIC)] = value << 5 | 0x18,
            reg::MASTER..=reg::MIC => self.registers[usize::from(self.index)] = value & 0xF8,
            reg::INTERRUPT => self.registers[usize::from(self.index)] = value & 0x0F | 0xF0,
            reg::DMA => self.registers[usize::from(self.index)] = value & 0xEB,
            reg::STATUS => {}
            index => self.registers[usize::from(index)] = value,
        }
    }

    /// Whether Sound Blaster Pro stereo is on.
    pub(super) fn pro_stereo(&self) -> bool {
        self.register(reg::PRO_OUTPUT) & STEREO != 0
    }

    /// Left and right volume of the voice, 256 for unchanged.
    pub(super) fn volume(&self) -> [u16; 2] {
        [0, 1].map(|side| {
            let step = |index: u8| u32::from(STEPS[usize::from(31 - (self.register(index + side) >> 3))]);
            ((step(reg::MASTER) * step(reg::VOICE)) >> 8) as u16
        })
    }

    /// The interrupt line; 0 for none.
    pub(super) fn line(&self) -> u8 {
        match self.register(reg::INTERRUPT) & 0xF {
            0 => 0,
            bits => [9, 5, 7, 10][bits.trailing_zeros() as usize & 3],
        }
    }

    /// The channel for bytes, if one is selected.
    pub(super) fn channel_8(&self) -> Option<u8> {
        let bits = self.register(reg::DMA) & 0x0B;
        (bits != 0).then(|| bits.trailing_zeros() as u8)
    }

    /// The channel for 16-bit samples: one of words, or else the one for bytes.
    pub(super) fn channel_16(&self) -> Option<u8> {
        let bits = self.register(reg::DMA) & 0xE0;
        if bits != 0 { Some(bits.trailing_zeros() as u8) } else { self.channel_8() }
    }
}
