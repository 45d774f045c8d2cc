//! A disk that goes wrong as it is told to, around one that does not.

use nomad86::host::{Disk, DiskError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Reads of this sector fail.
    BadRead(u64),
    /// Writes to this sector fail.
    BadWrite(u64),
    /// No room: writes find the host full.
    Full,
    /// The medium has become write-protected.
    Protected,
    /// The medium ends here.
    Short(u64),
    /// So many requests are not ready when they are first made.
    Pending(u32),
    /// Flushes fail.
    Flush,
}

/// The faults of a [`Faulty`] disk, which can be changed while a machine uses it.
#[derive(Clone, Default, Debug)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    /// All is well again.
    pub fn clear(&self) {
        self.list().clear();
    }

    /// Whether a request is to wait.
    fn waits(&self) -> bool {
        self.list().iter_mut().any(|fault| match fault {
            Fault::Pending(n) if *n > 0 => {
                *n -= 1;
                true
            }
            _ => false,
        })
    }
}

/// A disk that goes wrong.
pub struct Faulty {
    disk: Box<dyn Disk>,
    faults: Faults,
}

impl Faulty {
    /// Wraps a disk; the second value controls it.
    #[must_use]
    pub fn new(disk: Box<dyn Disk>) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { disk, faults: faults.clone() }, faults)
    }

    fn error(&self, lba: u64, len: usize, write: bool) -> Option<DiskError> {
        let end = lba.saturating_add((len / super::SECTOR) as u64);
        self.faults.list().iter().find_map(|fault| match *fault {
            Fault::BadRead(n) if !write && (lba..end).contains(&n) => Some(DiskError::Io),
            Fault::BadWrite(n) if write && (lba..end).contains(&n) => Some(DiskError::Io),
            Fault::Full if write => Some(DiskError::Full),
            Fault::Protected if write => Some(DiskError::ReadOnly),
            Fault::Short(n) if end > n => Some(DiskError::OutOfRange),
            _ => None,
        })
    }
}

impl Disk for Faulty {
    fn sectors(&self) -> u64 {
        let short = self.faults.list().iter().find_map(|f| match *f {
            Fault::Short(n) => Some(n),
            _ => None,
        });
        self.disk.sectors().min(short.unwrap_or(u64::MAX))
    }

    fn read_only(&self) -> bool {
        self.disk.read_only() || self.faults.list().contains(&Fault::Protected)
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        if self.faults.waits() {
            return Poll::Pending;
        }
        match self.error(lba, buffer.len(), false) {
            Some(error) => Poll::Ready(Err(error)),
            None => self.disk.read(lba, buffer),
        }
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.faults.waits() {
            return Poll::Pending;
        }
        match self.error(lba, data.len(), true) {
            Some(error) => Poll::Ready(Err(error)),
            None => self.disk.write(lba, data),
        }
    }

    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        if self.faults.waits() {
            return Poll::Pending;
        }
        if self.faults.list().contains(&Fault::Flush) {
            return Poll::Ready(Err(DiskError::Io));
        }
        self.disk.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn faults_come_and_go() {
        let (mut disk, faults) = Faulty::new(Box::new(MemoryDisk::blank(10)));
        let mut buffer = [0; 1024];
        assert_eq!(disk.read(4, &mut buffer), Poll::Ready(Ok(())));
        faults.add(Fault::BadRead(5));
        assert_eq!(disk.read(4, &mut buffer), Poll::Ready(Err(DiskError::Io)));
        assert_eq!(disk.write(4, &buffer), Poll::Ready(Ok(())));
        faults.add(Fault::Full);
        assert_eq!(disk.write(4, &buffer), Poll::Ready(Err(DiskError::Full)));
        faults.clear();
        faults.add(Fault::Pending(2));
        assert_eq!(disk.read(4, &mut buffer), Poll::Pending);
        assert_eq!(disk.flush(), Poll::Pending);
        assert_eq!(disk.read(4, &mut buffer), Poll::Ready(Ok(())));
        faults.add(Fault::Short(5));
        assert_eq!(disk.sectors(), 5);
        assert_eq!(disk.read(4, &mut buffer), Poll::Ready(Err(DiskError::OutOfRange)));
    }
}
