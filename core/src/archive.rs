//! State images, the part that devices see: one function per device serves saving and loading.
//!
//! An [`Archive`] walks over fields in a fixed order. When it saves it appends little-endian bytes; when it
//! loads it overwrites the fields. Loading never fails in the middle of a device: an image that ends early
//! leaves the remaining fields as they are and is reported by [`Archive::finish`].

use crate::time::Instant;
use alloc::vec::Vec;

/// A section of a state image being written or read.
///
/// ```
/// use nomad86::archive::Archive;
///
/// fn registers(a: &mut Archive<'_>, command: &mut u8, count: &mut u32) {
///     a.field(command);
///     a.field(count);
/// }
///
/// let mut image = Vec::new();
/// registers(&mut Archive::save(&mut image, 1), &mut 0x21, &mut 1500);
/// assert_eq!(image, [0x21, 0xDC, 5, 0, 0]);
/// let (mut command, mut count) = (0, 0);
/// let mut archive = Archive::load(&image, 1);
/// registers(&mut archive, &mut command, &mut count);
/// assert!(archive.finish());
/// assert_eq!((command, count), (0x21, 1500));
/// ```
pub struct Archive<'a> {
    mode: Mode<'a>,
    version: u16,
    short: bool,
}

enum Mode<'a> {
    Save(&'a mut Vec<u8>),
    Load(&'a [u8]),
}

impl<'a> Archive<'a> {
    /// Appends to `out`.
    pub fn save(out: &'a mut Vec<u8>, version: u16) -> Self {
        Self { mode: Mode::Save(out), version, short: false }
    }

    /// Reads `data`, which was written by `version` of the section.
    #[must_use]
    pub fn load(data: &'a [u8], version: u16) -> Self {
        Self { mode: Mode::Load(data), version, short: false }
    }

    /// Version of the section being read (or the current one when saving).
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Whether fields are being overwritten.
    #[must_use]
    pub const fn is_loading(&self) -> bool {
        matches!(self.mode, Mode::Load(_))
    }

    /// Saves or loads one field.
    pub fn field<T: Field + ?Sized>(&mut self, field: &mut T) {
        field.archive(self);
    }

    /// Saves or loads raw bytes.
    pub fn bytes(&mut self, bytes: &mut [u8]) {
        match &mut self.mode {
            Mode::Save(out) => out.extend_from_slice(bytes),
            Mode::Load(data) => {
                if let Some((head, tail)) = data.split_at_checked(bytes.len()) {
                    bytes.copy_from_slice(head);
                    *data = tail;
                } else {
                    self.short = true;
                    *data = &[];
                }
            }
        }
    }

    /// Bytes that have not been read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        match &self.mode {
            Mode::Save(_) => 0,
            Mode::Load(data) => data.len(),
        }
    }

    /// Whether all fields were there (always true when saving).
    #[must_use]
    pub const fn finish(self) -> bool {
        !self.short
    }
}

/// Something that a state image can hold.
pub trait Field {
    /// Saves or loads `self`.
    fn archive(&mut self, a: &mut Archive<'_>);
}

macro_rules! integers {
    ($($t:ty)*) => { $(
        impl Field for $t {
            fn archive(&mut self, a: &mut Archive<'_>) {
                let mut bytes = self.to_le_bytes();
                a.bytes(&mut bytes);
                *self = <$t>::from_le_bytes(bytes);
            }
        }
    )* };
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64);

impl Field for bool {
    fn archive(&mut self, a: &mut Archive<'_>) {
        let mut byte = u8::from(*self);
        a.field(&mut byte);
        *self = byte != 0;
    }
}

impl Field for Instant {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.0);
    }
}

impl<T: Field + Default> Field for Option<T> {
    fn archive(&mut self, a: &mut Archive<'_>) {
        let mut some = self.is_some();
        a.field(&mut some);
        let mut value = self.take().unwrap_or_default();
        a.field(&mut value);
        *self = some.then_some(value);
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    fn archive(&mut self, a: &mut Archive<'_>) {
        for item in self {
            a.field(item);
        }
    }
}

impl<T: Field> Field for [T] {
    fn archive(&mut self, a: &mut Archive<'_>) {
        for item in self {
            a.field(item);
        }
    }
}

/// Implements [`Field`] for a struct by naming its fields once; each must be a [`Field`] itself.
#[macro_export]
macro_rules! archive_fields {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::archive::Field for $type {
            fn archive(&mut self, a: &mut $crate::archive::Archive<'_>) {
                $( a.field(&mut self.$field); )*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, PartialEq, Debug, Clone)]
    struct Chip {
        a: u8,
        b: [u16; 2],
        c: Option<Instant>,
        d: bool,
    }
    archive_fields!(Chip { a, b, c, d });

    #[test]
    fn what_is_saved_is_loaded_and_a_short_image_is_noticed() {
        let mut chip = Chip { a: 3, b: [0x1234, 7], c: Some(Instant(99)), d: true };
        let mut image = Vec::new();
        chip.archive(&mut Archive::save(&mut image, 1));
        let mut copy = Chip::default();
        let mut a = Archive::load(&image, 1);
        copy.archive(&mut a);
        assert!(a.finish());
        assert_eq!(copy, chip);
        for cut in 0..image.len() {
            let mut a = Archive::load(&image[..cut], 1);
            Chip::default().archive(&mut a);
            assert!(!a.finish(), "cut at {cut}");
        }
    }
}
