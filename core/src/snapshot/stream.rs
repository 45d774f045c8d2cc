//! Where images go and come from: bytes in order, nothing else.

use alloc::vec::Vec;

/// The other side of a [`Sink`] takes no more, or that of a [`Source`] gives no more. Why is between it and
/// whoever made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// Takes an image.
pub trait Sink {
    /// Takes all of `bytes`.
    ///
    /// # Errors
    /// When it cannot; the image is then given up.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken>;
}

/// Gives an image.
pub trait Source {
    /// Fills `buffer` from the front with what comes next; fewer bytes than fit only at the end.
    ///
    /// # Errors
    /// When it cannot read; the end is no error.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        // An image that does not fit is refused like one that does not fit on a disk.
        self.try_reserve(bytes.len()).map_err(|_| Broken)?;
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl Source for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let n = buffer.len().min(self.len());
        let (head, tail) = self.split_at(n);
        buffer[..n].copy_from_slice(head);
        *self = tail;
        Ok(n)
    }
}
