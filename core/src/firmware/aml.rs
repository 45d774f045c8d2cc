//! ACPI machine language, as much of it as our tables need, written as a tree of closures.
//!
//! Spec: ACPI 2.0, chapter 17 (AML encoding) and 6.4 (resource descriptors).

use alloc::vec::Vec;

/// AML being written.
#[derive(Default)]
pub(super) struct Aml {
    bytes: Vec<u8>,
}

mod op {
    pub(super) const ZERO: u8 = 0x00;
    pub(super) const ONE: u8 = 0x01;
    pub(super) const NAME: u8 = 0x08;
    pub(super) const BYTE: u8 = 0x0A;
    pub(super) const WORD: u8 = 0x0B;
    pub(super) const DWORD: u8 = 0x0C;
    pub(super) const SCOPE: u8 = 0x10;
    pub(super) const BUFFER: u8 = 0x11;
    pub(super) const PACKAGE: u8 = 0x12;
    pub(super) const METHOD: u8 = 0x14;
    pub(super) const ARG0: u8 = 0x68;
    pub(super) const STORE: u8 = 0x70;
    pub(super) const AND: u8 = 0x7B;
    pub(super) const OR: u8 = 0x7D;
    pub(super) const NOTIFY: u8 = 0x86;
    pub(super) const CREATE_DWORD_FIELD: u8 = 0x8A;
    pub(super) const IF: u8 = 0xA0;
    pub(super) const ELSE: u8 = 0xA1;
    pub(super) const RETURN: u8 = 0xA4;
    pub(super) const EXTENDED: u8 = 0x5B;
    pub(super) const REGION: u8 = 0x80;
    pub(super) const FIELD: u8 = 0x81;
    pub(super) const DEVICE: u8 = 0x82;
}

/// Spaces of operation regions.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Space {
    Io = 1,
    PciConfig = 2,
}

/// Added to a method's number of arguments: it makes names, so one call at a time.
pub(super) const SERIALIZED: u8 = 1 << 3;

/// How a field is accessed.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Access {
    Byte = 1,
    Dword = 3,
}

impl Aml {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A path: segments of up to four characters between dots, with leading `\` or `^`.
    pub(super) fn path(&mut self, path: &str) -> &mut Self {
        let rest = path.trim_start_matches(['\\', '^']);
        self.raw(&path.as_bytes()[..path.len() - rest.len()]);
        let count = rest.split('.').count();
        match count {
            1 => {}
            2 => self.bytes.push(0x2E),
            _ => self.bytes.extend([0x2F, count as u8]),
        }
        for segment in rest.split('.') {
            let mut name = [b'_'; 4];
            for (to, from) in name.iter_mut().zip(segment.bytes()) {
                *to = from;
            }
            self.raw(&name);
        }
        self
    }

    /// An integer in its shortest form.
    pub(super) fn int(&mut self, value: u32) -> &mut Self {
        match value {
            0 => self.bytes.push(op::ZERO),
            1 => self.bytes.push(op::ONE),
            2..=0xFF => self.bytes.extend([op::BYTE, value as u8]),
            0x100..=0xFFFF => {
                self.bytes.push(op::WORD);
                self.raw(&(value as u16).to_le_bytes());
            }
            _ => {
                self.bytes.push(op::DWORD);
                self.raw(&value.to_le_bytes());
            }
        }
        self
    }

    /// A package length (which counts itself) and what it measures.
    fn package_length(&mut self, inner: &Self) -> &mut Self {
        let len = inner.bytes.len();
        // One byte holds 6 bits; with more bytes the first holds 4 and says how many follow.
        let extra = (1..=4).find(|&n| len + n < if n == 1 { 1 << 6 } else { 1 << (8 * n - 4) }).unwrap_or(4);
        let len = len + extra;
        if extra == 1 {
            self.bytes.push(len as u8);
        } else {
            self.bytes.push(((extra - 1) << 6 | len & 15) as u8);
            for n in 0..extra - 1 {
                self.bytes.push((len >> (4 + 8 * n)) as u8);
            }
        }
        self.raw(&inner.bytes)
    }

    fn with_length(&mut self, opcode: &[u8], body: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        body(&mut inner);
        self.raw(opcode).package_length(&inner)
    }

    pub(super) fn scope(&mut self, path: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::SCOPE], |a| body(a.path(path)))
    }

    pub(super) fn device(&mut self, name: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::EXTENDED, op::DEVICE], |a| body(a.path(name)))
    }

    pub(super) fn method(&mut self, name: &str, args: u8, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::METHOD], |a| {
            a.path(name).raw(&[args]);
            body(a);
        })
    }

    /// `Name (name, …)`: the value follows.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.raw(&[op::NAME]).path(name)
    }

    pub(super) fn package(&mut self, count: u8, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::PACKAGE], |a| {
            a.raw(&[count]);
            body(a);
        })
    }

    /// A plug-and-play id such as `PNP0A03`, compressed.
    pub(super) fn eisa_id(&mut self, id: &str) -> &mut Self {
        let b = id.as_bytes();
        let letter = |n: usize| u32::from(b[n] - b'@') & 31;
        let hex = id[3..].chars().fold(0, |v, c| v << 4 | c.to_digit(16).unwrap_or(0));
        let value = letter(0) << 26 | letter(1) << 21 | letter(2) << 16 | hex;
        self.raw(&[op::DWORD]).raw(&value.to_be_bytes())
    }

    /// `_HID` of a compressed id.
    pub(super) fn hid(&mut self, id: &str) -> &mut Self {
        self.name("_HID").eisa_id(id)
    }

    /// A buffer that holds a resource template; the end tag is added.
    pub(super) fn resources(&mut self, descriptors: &[&[u8]]) -> &mut Self {
        self.with_length(&[op::BUFFER], |a| {
            let len: usize = descriptors.iter().map(|d| d.len()).sum::<usize>() + 2;
            a.int(len as u32);
            for descriptor in descriptors {
                a.raw(descriptor);
            }
            a.raw(&[0x79, 0]);
        })
    }

    /// `_CRS` of fixed resources.
    pub(super) fn crs(&mut self, descriptors: &[&[u8]]) -> &mut Self {
        self.name("_CRS").resources(descriptors)
    }

    pub(super) fn region(&mut self, name: &str, space: Space, start: u32, len: u32) -> &mut Self {
        self.raw(&[op::EXTENDED, op::REGION]).path(name).raw(&[space as u8]).int(start).int(len)
    }

    /// Fields one after the other in a region: names and widths in bits. Writes leave other bits alone.
    pub(super) fn fields(&mut self, region: &str, access: Access, fields: &[(&str, u8)]) -> &mut Self {
        self.with_length(&[op::EXTENDED, op::FIELD], |a| {
            a.path(region).raw(&[access as u8]);
            for (name, bits) in fields {
                a.path(name);
                // The width is a package length without a package.
                if *bits < 64 {
                    a.raw(&[*bits])
                } else {
                    a.raw(&[1 << 6 | bits & 15, bits >> 4])
                };
            }
        })
    }

    pub(super) fn arg(&mut self, n: u8) -> &mut Self {
        self.raw(&[op::ARG0 + n])
    }

    /// `Store (from, to)`: the two operands follow.
    pub(super) fn store(&mut self) -> &mut Self {
        self.raw(&[op::STORE])
    }

    /// `And (a, b, target)`: operands and target follow.
    pub(super) fn and(&mut self) -> &mut Self {
        self.raw(&[op::AND])
    }

    /// `Or (a, b, target)`: operands and target follow.
    pub(super) fn or(&mut self) -> &mut Self {
        self.raw(&[op::OR])
    }

    /// The target of an operation whose result is only used in place.
    pub(super) fn no_target(&mut self) -> &mut Self {
        self.raw(&[op::ZERO])
    }

    /// `Notify (path, value)`.
    pub(super) fn notify(&mut self, path: &str, value: u32) -> &mut Self {
        self.raw(&[op::NOTIFY]).path(path).int(value)
    }

    /// `Return (…)`: the value follows.
    pub(super) fn ret(&mut self) -> &mut Self {
        self.raw(&[op::RETURN])
    }

    /// `CreateDWordField (buffer, offset, name)`.
    pub(super) fn dword_field(&mut self, buffer: &str, offset: u32, name: &str) -> &mut Self {
        self.raw(&[op::CREATE_DWORD_FIELD]).path(buffer).int(offset).path(name)
    }

    /// `If (…) { … }`; `body` writes the condition first.
    pub(super) fn when(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::IF], body)
    }

    pub(super) fn otherwise(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.with_length(&[op::ELSE], body)
    }
}

/// I/O ports decoded with 16 bits.
pub(super) const fn io(start: u16, len: u8) -> [u8; 8] {
    let [low, high] = start.to_le_bytes();
    [0x47, 1, low, high, low, high, 1, len]
}

/// An ISA interrupt: edge, active high, exclusive.
pub(super) const fn irq(line: u8) -> [u8; 3] {
    let [low, high] = (1_u16 << line).to_le_bytes();
    [0x22, low, high]
}

/// A DMA channel of 8 bits, compatible timing.
pub(super) const fn dma(channel: u8, flags: u8) -> [u8; 3] {
    [0x2A, 1 << channel, flags]
}

/// A fixed range of memory, writable.
pub(super) fn fixed_memory(start: u32, len: u32) -> [u8; 12] {
    let mut d = [0; 12];
    d[..4].copy_from_slice(&[0x86, 9, 0, 1]);
    d[4..8].copy_from_slice(&start.to_le_bytes());
    d[8..].copy_from_slice(&len.to_le_bytes());
    d
}

/// Kinds of ranges that a bridge passes on.
#[derive(Clone, Copy)]
pub(super) enum Range {
    Memory,
    Io,
    Bus,
}

impl Range {
    const fn codes(self) -> [u8; 2] {
        match self {
            // Cacheable, read and write.
            Self::Memory => [0, 3],
            // ISA and other ranges.
            Self::Io => [1, 3],
            Self::Bus => [2, 0],
        }
    }
}

/// A range of 16-bit addresses that a bridge passes on, ends included.
pub(super) fn word_range(kind: Range, first: u16, last: u16) -> [u8; 16] {
    let [code, flags] = kind.codes();
    let mut d = [0; 16];
    // Fixed at both ends, passed on, positive decode.
    d[..6].copy_from_slice(&[0x88, 13, 0, code, 0x0C, flags]);
    d[8..10].copy_from_slice(&first.to_le_bytes());
    d[10..12].copy_from_slice(&last.to_le_bytes());
    d[14..].copy_from_slice(&last.wrapping_sub(first).wrapping_add(1).to_le_bytes());
    d
}

/// A range of 32-bit addresses that a bridge passes on, ends included.
pub(super) fn dword_range(kind: Range, first: u32, last: u32) -> [u8; 26] {
    let [code, flags] = kind.codes();
    let mut d = [0; 26];
    d[..6].copy_from_slice(&[0x87, 23, 0, code, 0x0C, flags]);
    d[10..14].copy_from_slice(&first.to_le_bytes());
    d[14..18].copy_from_slice(&last.to_le_bytes());
    d[22..].copy_from_slice(&last.wrapping_sub(first).wrapping_add(1).to_le_bytes());
    d
}

/// One level-triggered interrupt out of several, shared: an extended descriptor.
pub(super) fn interrupts(lines: &[u32]) -> Vec<u8> {
    let mut d = Vec::with_capacity(5 + 4 * lines.len());
    d.extend([0x89, (2 + 4 * lines.len()) as u8, 0, 0x09, lines.len() as u8]);
    for line in lines {
        d.extend(line.to_le_bytes());
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_lengths_count_themselves_in_every_size() {
        for (len, head) in [
            (58, alloc::vec![0x3F_u8]),
            (59, alloc::vec![0x41, 0x04]),
            (4089, alloc::vec![0x4F, 0xFF]),
            (4090, alloc::vec![0x81, 0x00, 0x01]),
        ] {
            let mut a = Aml::new();
            a.scope("_SB_", |a| {
                a.raw(&alloc::vec![0; len]);
            });
            assert_eq!(a.bytes[1..=head.len()], head[..], "{len}");
            assert_eq!(a.bytes.len(), 1 + head.len() + 4 + len);
        }
    }

    #[test]
    fn names_and_ids_are_encoded_as_the_specification_shows() {
        let mut a = Aml::new();
        a.path("\\_SB.PCI0.ISA").eisa_id("PNP0A03").path("^FOO").path("_GPE.X");
        assert_eq!(a.finish(), b"\\\x2F\x03_SB_PCI0ISA_\x0C\x41\xD0\x0A\x03^FOO_\x2E_GPEX___");
    }
}
