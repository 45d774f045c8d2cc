//! Sense: why a packet command failed.

use crate::archive::{Archive, Field};

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sense {
    pub(super) key: u8,
    pub(super) asc: u8,
    pub(super) ascq: u8,
}

impl Default for Sense {
    fn default() -> Self {
        Self::NONE
    }
}

impl Field for Sense {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.key);
        a.field(&mut self.asc);
        a.field(&mut self.ascq);
    }
}

impl Sense {
    pub(super) const NONE: Self = Self::new(0, 0, 0);
    pub(super) const NO_MEDIUM: Self = Self::new(2, 0x3A, 1);
    pub(super) const TRAY_OPEN: Self = Self::new(2, 0x3A, 2);
    pub(super) const INCOMPATIBLE: Self = Self::new(2, 0x30, 2);
    pub(super) const UNREADABLE: Self = Self::new(3, 0x11, 0);
    /// The drive and the computer did not understand each other.
    pub(super) const COMMUNICATION: Self = Self::new(4, 0x08, 0);
    pub(super) const PARAMETER_LENGTH: Self = Self::new(5, 0x1A, 0);
    pub(super) const INVALID_COMMAND: Self = Self::new(5, 0x20, 0);
    pub(super) const OUT_OF_RANGE: Self = Self::new(5, 0x21, 0);
    pub(super) const INVALID_FIELD: Self = Self::new(5, 0x24, 0);
    pub(super) const INVALID_PARAMETER: Self = Self::new(5, 0x26, 0);
    pub(super) const NO_SAVING: Self = Self::new(5, 0x39, 0);
    pub(super) const LOCKED: Self = Self::new(5, 0x53, 2);
    pub(super) const WRONG_TRACK_MODE: Self = Self::new(5, 0x64, 0);
    pub(super) const MEDIUM_CHANGED: Self = Self::new(6, 0x28, 0);

    const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self { key, asc, ascq }
    }

    /// The error register of a CHECK CONDITION: the key in the high half, ABRT when the command itself was
    /// wrong.
    pub(super) const fn error_register(self) -> u8 {
        self.key << 4 | if self.key == 5 { super::super::reg::error::ABRT } else { 0 }
    }

    /// Eighteen bytes of fixed-format sense data.
    pub(super) const fn data(self) -> [u8; 18] {
        let mut data = [0; 18];
        data[0] = 0x70;
        data[2] = self.key & 0x0F;
        data[7] = 10;
        data[12] = self.asc;
        data[13] = self.ascq;
        data
    }
}
