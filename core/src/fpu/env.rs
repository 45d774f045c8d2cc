//! The FPU's images in memory: FSTENV and FSAVE in their four layouts, and the x87 part of FXSAVE.
//!
//! Spec: Intel SDM volume 1, 8.1.10 and 10.5; volume 2, FXSAVE.
//!
//! Not emulated: AMD's FXSAVE writes the instruction and operand pointers only while an exception is pending;
//! ours always does, like Intel's.

use super::ops::{Fpu, status};
use super::soft::{Class, F80, flag};

/// The layout of an FSTENV image: operand size and whether the CPU is in protected mode (V86 mode counts as real).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// 32-bit operand size: 28 bytes, else 14.
    pub wide: bool,
    /// Protected mode: selector and offset, else a linear address.
    pub protected: bool,
}

impl Layout {
    /// Bytes of the environment.
    #[must_use]
    pub const fn environment_size(self) -> usize {
        if self.wide { 28 } else { 14 }
    }

    /// Bytes of an FSAVE image.
    #[must_use]
    pub const fn save_size(self) -> usize {
        self.environment_size() + 80
    }
}

impl Fpu {
    /// The tag word with its four kinds (0 valid, 1 zero, 2 special, 3 empty), made up from the registers.
    #[must_use]
    pub fn tag_word(&self) -> u16 {
        (0..8).rev().fold(0, |word, n| word << 2 | self.tag(n))
    }

    fn tag(&self, n: usize) -> u16 {
        if self.tags >> n & 1 == 0 {
            return 3;
        }
        match self.registers[n].unpack().class {
            Class::Normal => 0,
            Class::Zero => 1,
            _ => 2,
        }
    }

    fn set_tag_word(&mut self, word: u16) {
        self.tags = (0..8).fold(0, |tags, n| tags | u8::from(word >> (2 * n) & 3 != 3) << n);
    }

    fn set_status_word(&mut self, word: u16) {
        self.top = (word >> 11) as u8 & 7;
        self.status = word & !status::TOP;
        self.update_summary();
    }

    /// FNSTENV: the first [`Layout::environment_size`] bytes are the image. Masks all exceptions afterwards
    /// with [`Self::finish_fstenv`].
    #[must_use]
    pub fn environment(&self, layout: Layout) -> [u8; 28] {
        let mut words = [0u32; 7];
        words[0] = u32::from(self.control);
        words[1] = u32::from(self.status_word());
        words[2] = u32::from(self.tag_word());
        if layout.protected {
            words[3] = self.fip;
            words[4] = u32::from(self.fcs) | if layout.wide { u32::from(self.fop) << 16 } else { 0 };
            words[5] = self.fdp;
            words[6] = u32::from(self.fds);
        } else {
            let fip = (u32::from(self.fcs) << 4).wrapping_add(self.fip);
            let fdp = (u32::from(self.fds) << 4).wrapping_add(self.fdp);
            words[3] = fip & 0xFFFF;
            words[5] = fdp & 0xFFFF;
            words[4] = (fip >> 16) << 12 | u32::from(self.fop);
            words[6] = (fdp >> 16) << 12;
        }
        let mut bytes = [0; 28];
        for (n, word) in words.into_iter().enumerate() {
            if layout.wide {
                // Upper halves without a meaning read as ones.
                let reserved = match n {
                    0..=2 => true,
                    3 | 5 => !layout.protected,
                    6 => layout.protected,
                    _ => false,
                };
                let word = if reserved { word | 0xFFFF_0000 } else { word };
                bytes[4 * n..4 * n + 4].copy_from_slice(&word.to_le_bytes());
            } else {
                bytes[2 * n..2 * n + 2].copy_from_slice(&(word as u16).to_le_bytes());
            }
        }
        bytes
    }

    /// After FNSTENV's image is in memory: all exceptions become masked.
    pub fn finish_fstenv(&mut self) {
        self.control |= flag::ALL;
        self.update_summary();
    }

    /// FLDENV from an image of [`Layout::environment_size`] bytes; a shorter one changes nothing.
    pub fn load_environment(&mut self, layout: Layout, bytes: &[u8]) {
        if bytes.len() < layout.environment_size() {
            return;
        }
        let mut words = [0u32; 7];
        for (n, word) in words.iter_mut().enumerate() {
            *word = if layout.wide {
                let b = &bytes[4 * n..4 * n + 4];
                u32::from_le_bytes([b[0], b[1], b[2], b[3]])
            } else {
                u32::from(u16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]))
            };
        }
        self.control = words[0] as u16 & 0x1F7F | 0x40;
        self.set_tag_word(words[2] as u16);
        self.set_status_word(words[1] as u16);
        if layout.protected {
            self.fip = words[3];
            self.fcs = words[4] as u16;
            self.fop = (words[4] >> 16) as u16 & 0x7FF;
            self.fdp = words[5];
            self.fds = words[6] as u16;
        } else {
            self.fip = words[3] & 0xFFFF | (words[4] >> 12 & 0xFFFF) << 16;
            self.fop = words[4] as u16 & 0x7FF;
            self.fcs = 0;
            self.fdp = words[5] & 0xFFFF | (words[6] >> 12 & 0xFFFF) << 16;
            self.fds = 0;
        }
    }

    /// FNSAVE: the first [`Layout::save_size`] bytes are the image. Follow with [`Self::fninit`].
    #[must_use]
    pub fn save(&self, layout: Layout) -> [u8; 108] {
        let mut bytes = [0; 108];
        let head = layout.environment_size();
        bytes[..head].copy_from_slice(&self.environment(layout)[..head]);
        for i in 0..8 {
            let at = head + 10 * usize::from(i);
            bytes[at..at + 10].copy_from_slice(&self.st(i).to_bytes());
        }
        bytes
    }

    /// FRSTOR from an image of [`Layout::save_size`] bytes; a shorter one changes nothing.
    pub fn restore(&mut self, layout: Layout, bytes: &[u8]) {
        if bytes.len() < layout.save_size() {
            return;
        }
        self.load_environment(layout, bytes);
        for (i, register) in (0..8).zip(bytes[layout.environment_size()..].chunks_exact(10)) {
            let n = self.physical(i);
            let mut image = [0; 10];
            image.copy_from_slice(register);
            self.registers[n] = F80::from_bytes(image);
        }
    }

    /// Writes the x87 fields of an FXSAVE image in the 32-bit layout: bytes 0–23 and 32–159.
    ///
    /// MXCSR, its mask and the XMM registers are the caller's.
    pub fn fxsave(&self, image: &mut [u8; 512]) {
        image[0..2].copy_from_slice(&self.control.to_le_bytes());
        image[2..4].copy_from_slice(&self.status_word().to_le_bytes());
        image[4] = self.tags;
        image[5] = 0;
        image[6..8].copy_from_slice(&self.fop.to_le_bytes());
        image[8..12].copy_from_slice(&self.fip.to_le_bytes());
        image[12..14].copy_from_slice(&self.fcs.to_le_bytes());
        image[14..16].fill(0);
        image[16..20].copy_from_slice(&self.fdp.to_le_bytes());
        image[20..22].copy_from_slice(&self.fds.to_le_bytes());
        image[22..24].fill(0);
        for i in 0..8 {
            let at = 32 + 16 * usize::from(i);
            image[at..at + 10].copy_from_slice(&self.st(i).to_bytes());
            image[at + 10..at + 16].fill(0);
        }
    }

    /// Loads the x87 fields of an FXSAVE image in the 32-bit layout.
    pub fn fxrstor(&mut self, image: &[u8; 512]) {
        let word = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
        let long = |at: usize| u32::from(word(at)) | u32::from(word(at + 2)) << 16;
        self.control = word(0) & 0x1F7F | 0x40;
        self.set_status_word(word(2));
        self.tags = image[4];
        self.fop = word(6) & 0x7FF;
        self.fip = long(8);
        self.fcs = word(12);
        self.fdp = long(16);
        self.fds = word(20);
        for i in 0..8 {
            let n = self.physical(i);
            let mut bytes = [0; 10];
            let at = 32 + 16 * usize::from(i);
            bytes.copy_from_slice(&image[at..at + 10]);
            self.registers[n] = F80::from_bytes(bytes);
        }
    }
}
