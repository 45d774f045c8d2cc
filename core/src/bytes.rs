//! Bytes of a file that all who need them hold together.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

/// Bytes of a file, or a part of it: clones and parts are the same bytes, which lie in memory once.
/// ```
/// use nomad86::bytes::Bytes;
///
/// let file = Bytes::from(vec![1, 2, 3, 4]);
/// let part = file.part(1..3);
/// assert_eq!(part[..], [2, 3]);
/// assert_eq!(part.as_ptr(), file[1..].as_ptr());
/// ```
#[derive(Clone, Default)]
pub struct Bytes {
    file: Arc<Vec<u8>>,
    start: usize,
    len: usize,
}

impl Bytes {
    /// A part of them; what lies beyond their end is not in it.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Self { file: Arc::clone(&self.file), start: self.start + start, len: end - start }
    }

    /// The bytes to be changed: a copy of their own if others hold them, too.
    pub fn make_mut(&mut self) -> &mut [u8] {
        if self.len < self.file.len() {
            *self = self.to_vec().into();
        }
        let file: &mut Vec<u8> = Arc::make_mut(&mut self.file);
        file
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(file: Vec<u8>) -> Self {
        let len = file.len();
        Self { file: Arc::new(file), start: 0, len }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.file.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_is_changed_is_a_copy_when_it_is_shared() {
        let file = Bytes::from(vec![1, 2, 3, 4]);
        let mut part = file.part(2..9);
        assert_eq!((part[..].to_vec(), file.part(7..9).len()), (vec![3, 4], 0));
        part.make_mut()[0] = 9;
        assert_eq!((part[..].to_vec(), file[..].to_vec()), (vec![9, 4], vec![1, 2, 3, 4]));
        let mut alone = Bytes::from(vec![5]);
        let at = alone.as_ptr();
        alone.make_mut()[0] = 6;
        assert_eq!((alone.as_ptr(), alone[0]), (at, 6));
    }
}
