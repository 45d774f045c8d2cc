//! Segment registers and descriptors.
//!
//! Spec: Intel SDM volume 3, chapters 3 and 5.

/// Numbers of the segment registers.
pub mod seg {
    /// Extra.
    pub const ES: usize = 0;
    /// Code.
    pub const CS: usize = 1;
    /// Stack.
    pub const SS: usize = 2;
    /// Data.
    pub const DS: usize = 3;
    /// General.
    pub const FS: usize = 4;
    /// General.
    pub const GS: usize = 5;
}

/// Access byte and flags of a descriptor: bits 0–7 as in byte 5, bits 12–15 as in the high half of byte 6.
pub mod attr {
    /// Accessed.
    pub const ACCESSED: u16 = 1 << 0;
    /// Data: writable. Code: readable.
    pub const RW: u16 = 1 << 1;
    /// Data: expand-down. Code: conforming.
    pub const DC: u16 = 1 << 2;
    /// Code.
    pub const CODE: u16 = 1 << 3;
    /// Not a system descriptor.
    pub const S: u16 = 1 << 4;
    /// Present.
    pub const PRESENT: u16 = 1 << 7;
    /// 32-bit.
    pub const BIG: u16 = 1 << 14;
    /// Limit in pages.
    pub const GRANULAR: u16 = 1 << 15;
}

/// A descriptor as it stands in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Descriptor {
    /// Low dword.
    pub low: u32,
    /// High dword.
    pub high: u32,
}

impl Descriptor {
    /// Base address.
    #[must_use]
    pub const fn base(self) -> u32 {
        self.low >> 16 | (self.high & 0xFF) << 16 | self.high & 0xFF00_0000
    }

    /// Offset of the last byte.
    #[must_use]
    pub const fn limit(self) -> u32 {
        let raw = self.low & 0xFFFF | self.high & 0xF_0000;
        if self.high >> 23 & 1 != 0 { raw << 12 | 0xFFF } else { raw }
    }

    /// See [`attr`].
    #[must_use]
    pub const fn attributes(self) -> u16 {
        (self.high >> 8) as u16 & 0xF0FF
    }

    /// Type field of a system descriptor, or the four type bits of a code or data segment.
    #[must_use]
    pub const fn kind(self) -> u8 {
        (self.high >> 8) as u8 & 15
    }

    /// Whether it is a code or data segment.
    #[must_use]
    pub const fn is_segment(self) -> bool {
        self.high >> 12 & 1 != 0
    }

    /// Whether it is a code segment.
    #[must_use]
    pub const fn is_code(self) -> bool {
        self.is_segment() && self.high >> 11 & 1 != 0
    }

    /// Whether it is a conforming code segment.
    #[must_use]
    pub const fn is_conforming(self) -> bool {
        self.is_code() && self.high >> 10 & 1 != 0
    }

    /// Whether it is a writable data segment.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.is_segment() && !self.is_code() && self.high >> 9 & 1 != 0
    }

    /// Whether it can be read: data, or readable code.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.is_segment() && (!self.is_code() || self.high >> 9 & 1 != 0)
    }

    /// Privilege level.
    #[must_use]
    pub const fn dpl(self) -> u8 {
        (self.high >> 13) as u8 & 3
    }

    /// Whether it is present.
    #[must_use]
    pub const fn present(self) -> bool {
        self.high >> 15 & 1 != 0
    }

    /// Gate: target selector.
    #[must_use]
    pub const fn gate_selector(self) -> u16 {
        (self.low >> 16) as u16
    }

    /// Gate: target offset.
    #[must_use]
    pub const fn gate_offset(self) -> u32 {
        self.low & 0xFFFF | self.high & 0xFFFF_0000
    }
}

/// A segment register with its hidden part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Segment {
    /// Added to the offset.
    pub base: u32,
    /// Offset of the last byte (of the first byte below the valid range, for expand-down).
    pub limit: u32,
    /// One past the last offset that can be read without further checks; 0 sends every read the slow way.
    pub read_span: u64,
    /// The same for writes.
    pub write_span: u64,
    /// Visible part.
    pub selector: u16,
    /// See [`attr`]; 0 for an unusable (null) segment.
    pub attributes: u16,
}

impl Segment {
    /// Works out the spans from limit and attributes. To be called after any change of the two.
    pub fn settle(&mut self) {
        let code = self.attributes & attr::CODE != 0;
        let usable = self.attributes & (attr::PRESENT | attr::S) == attr::PRESENT | attr::S;
        let down = !code && self.attributes & attr::DC != 0;
        let span = if usable && !down { u64::from(self.limit) + 1 } else { 0 };
        self.read_span = if code && self.attributes & attr::RW == 0 { 0 } else { span };
        self.write_span = if code || self.attributes & attr::RW == 0 { 0 } else { span };
    }

    /// What a move of `selector` gives in real and virtual-8086 mode; in real mode limit and rights of data
    /// segments stay as they were.
    #[must_use]
    pub fn real(selector: u16) -> Self {
        let mut s = Self {
            base: u32::from(selector) << 4,
            limit: 0xFFFF,
            selector,
            attributes: attr::PRESENT | attr::S | attr::RW | attr::ACCESSED,
            ..Self::default()
        };
        s.settle();
        s
    }

    /// The hidden part of a loaded descriptor.
    #[must_use]
    pub fn loaded(selector: u16, d: Descriptor) -> Self {
        let mut s = Self {
            base: d.base(),
            limit: d.limit(),
            selector,
            attributes: d.attributes() | attr::ACCESSED,
            ..Self::default()
        };
        s.settle();
        s
    }

    /// A null selector.
    #[must_use]
    pub const fn null(selector: u16) -> Self {
        Self { base: 0, limit: 0, read_span: 0, write_span: 0, selector, attributes: 0 }
    }

    /// Whether the default size is 32 bits.
    #[inline(always)]
    #[must_use]
    pub const fn big(&self) -> bool {
        self.attributes & attr::BIG != 0
    }

    /// Base 0 and no limit: offset and linear address are the same.
    #[must_use]
    pub const fn flat(&self) -> bool {
        self.base == 0 && self.write_span == 1 << 32 && self.read_span == 1 << 32
    }

    /// Privilege level of the descriptor.
    #[must_use]
    pub const fn dpl(&self) -> u8 {
        (self.attributes >> 5) as u8 & 3
    }

    /// Whether `size` bytes at `offset` lie inside the segment, rights aside (expand-down included).
    #[must_use]
    pub const fn contains(&self, offset: u32, size: u32) -> bool {
        let last = offset as u64 + size as u64 - 1;
        if self.attributes & (attr::CODE | attr::DC) == attr::DC {
            let top = if self.big() { 0xFFFF_FFFF } else { 0xFFFF };
            offset > self.limit && last <= top
        } else {
            last <= self.limit as u64
        }
    }
}

impl crate::archive::Field for Segment {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        a.field(&mut self.base);
        a.field(&mut self.limit);
        a.field(&mut self.selector);
        a.field(&mut self.attributes);
        self.settle();
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableRegister {
    /// Linear address of the table.
    pub base: u32,
    /// Offset of its last byte.
    pub limit: u16,
}
crate::archive_fields!(TableRegister { base, limit });
