//! The segments that cases may use, and the selectors of the host kernel behind them.
//!
//! All but the flat ones stand in the child's local descriptor table, filled once when it starts. An
//! emulator that runs the same case loads its segment registers with the same bases and limits.
//!
//! Spec: Linux `modify_ldt(2)`.

use super::{CODE_BASE, CODE_SIZE, DATA_BASE};

/// A segment that a case may have in a segment register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Segment {
    /// Data: base 0, limit 4 GiB, 32-bit. Code: the same.
    #[default]
    Flat,
    /// 32-bit data over the data area: base [`DATA_BASE`], limit 64 KiB.
    Data32,
    /// 16-bit data over the data area (SP, not ESP, when in SS).
    Data16,
    /// Read-only 32-bit data over the data area.
    ReadOnly,
    /// Expand-down 32-bit data over the data area: offsets from 8000h up are valid.
    ExpandDown,
    /// 16-bit code over the code page.
    Code16,
    /// 32-bit code over the code page: base [`CODE_BASE`].
    Code32,
    /// The null selector.
    Null,
}

/// What a segment register holds besides the selector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// The selector that the host kernel gave it (RPL 3).
    pub selector: u16,
    /// Linear address of offset 0.
    pub base: u32,
    /// Highest valid offset; for expand-down segments the highest invalid one.
    pub limit: u32,
    /// D/B bit: 32-bit.
    pub big: bool,
    /// Code segment.
    pub code: bool,
    /// Writable (data) or readable (code).
    pub writable: bool,
    /// Expand-down data.
    pub expand_down: bool,
}

/// Selectors of the Linux kernel for 32-bit tasks on x86-64: `__USER32_CS` and `__USER_DS`.
const USER_CS: u16 = 0x23;
const USER_DS: u16 = 0x2B;

impl Segment {
    /// Those that stand in the local descriptor table, in the order of its entries.
    pub const LOCAL: [Self; 6] =
        [Self::Data32, Self::Data16, Self::ReadOnly, Self::ExpandDown, Self::Code16, Self::Code32];

    /// The descriptor behind the segment, as it is for code (CS) or for data; `None` for [`Self::Null`].
    #[must_use]
    pub fn descriptor(self, for_code: bool) -> Option<Descriptor> {
        let local = |entry: u16| entry << 3 | 4 | 3;
        let data = Descriptor {
            selector: 0,
            base: DATA_BASE,
            limit: 0xFFFF,
            big: true,
            code: false,
            writable: true,
            expand_down: false,
        };
        let code = Descriptor { base: CODE_BASE, limit: CODE_SIZE as u32 - 1, code: true, ..data };
        Some(match self {
            Self::Flat if for_code => {
                Descriptor { selector: USER_CS, base: 0, limit: u32::MAX, code: true, ..data }
            }
            Self::Flat => Descriptor { selector: USER_DS, base: 0, limit: u32::MAX, ..data },
            Self::Data32 => Descriptor { selector: local(0), ..data },
            Self::Data16 => Descriptor { selector: local(1), big: false, ..data },
            Self::ReadOnly => Descriptor { selector: local(2), writable: false, ..data },
            Self::ExpandDown => Descriptor { selector: local(3), limit: 0x7FFF, expand_down: true, ..data },
            Self::Code16 => Descriptor { selector: local(4), big: false, ..code },
            Self::Code32 => Descriptor { selector: local(5), ..code },
            Self::Null => return None,
        })
    }

    /// The selector to load.
    pub(super) fn selector(self, for_code: bool) -> u16 {
        self.descriptor(for_code).map_or(0, |d| d.selector)
    }
}

impl Descriptor {
    /// The kernel's `struct user_desc` for this entry of the local descriptor table.
    pub(super) fn user_desc(&self) -> [u8; 16] {
        let contents = match (self.code, self.expand_down) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        };
        // seg_32bit, contents, read_exec_only, limit_in_pages, seg_not_present, useable.
        let flags = u32::from(self.big) | contents << 1 | u32::from(!self.writable) << 3 | 1 << 6;
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&u32::from(self.selector >> 3).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.base.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.limit.to_le_bytes());
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes
    }
}
