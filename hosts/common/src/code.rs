//! Memory for translated code: one object mapped twice, writable in one place and executable in the other, so
//! that no page is ever both.
#![allow(unsafe_code)]

use nomad86::jit::CodeMemory;
use std::io;
use std::ptr::NonNull;

/// A dual-mapped region.
/// ```
/// # use nomad86::{config::Config, machine::Machine, memory::GuestMemory};
/// use nomad86_host::code::DualMapping;
///
/// # let config = Config { memory: 1 << 20, bios: vec![0xF4; 64 << 10], ..Config::default() };
/// # let memory = GuestMemory::allocate(config.memory_needed())?;
/// # let mut machine = Machine::new(config, memory)?;
/// // Without executable memory the machine interprets.
/// if let Ok(memory) = DualMapping::new(16 << 20) {
///     let translates = machine.use_jit(Box::new(memory), false);
///     assert_eq!(translates, cfg!(target_arch = "x86_64"));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DualMapping {
    write: NonNull<u8>,
    execute: NonNull<u8>,
    len: usize,
}

// SAFETY: the mappings belong to this value alone and are not tied to a thread.
unsafe impl Send for DualMapping {}

impl DualMapping {
    /// Maps `len` bytes, rounded up to pages.
    ///
    /// # Errors
    /// What the system says, for instance when executable memory is forbidden.
    #[cfg(target_os = "linux")]
    pub fn new(len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(4096);
        // SAFETY: the name is a C string; the flags are constants.
        let fd = unsafe { libc::memfd_create(c"nomad86-code".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let size = libc::off_t::try_from(len).map_err(io::Error::other)?;
        // SAFETY: `fd` is ours.
        let sized = unsafe { libc::ftruncate(fd, size) } == 0;
        let error = io::Error::last_os_error();
        let map = |protection| {
            // SAFETY: a fresh shared mapping of a file that we own, at an address of the system's choice.
            let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
            if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast::<u8>()) }
        };
        let pair = sized
            .then(|| {
                Some((map(libc::PROT_READ | libc::PROT_WRITE)?, map(libc::PROT_READ | libc::PROT_EXEC)?))
            })
            .flatten();
        let error = if sized { io::Error::last_os_error() } else { error };
        // SAFETY: `fd` is ours; the mappings keep the object alive.
        unsafe { libc::close(fd) };
        let (write, execute) = pair.ok_or(error)?;
        Ok(Self { write, execute, len })
    }

    /// Other systems have no dual mapping here yet.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn new(_len: usize) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "translated code needs Linux"))
    }
}

impl Drop for DualMapping {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: both were mapped by `new` with this length and are not used any more.
        unsafe {
            libc::munmap(self.write.as_ptr().cast(), self.len);
            libc::munmap(self.execute.as_ptr().cast(), self.len);
        }
    }
}

// SAFETY: both mappings show the same object, have the length given and stay until the value is dropped;
// x86-64 keeps instruction fetch coherent with stores.
unsafe impl CodeMemory for DualMapping {
    fn len(&self) -> usize {
        self.len
    }
    fn writable(&mut self) -> *mut u8 {
        self.write.as_ptr()
    }
    fn executable(&self) -> *const u8 {
        self.execute.as_ptr()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_one_place_shows_in_the_other() {
        let mut memory = DualMapping::new(5000).unwrap();
        assert_eq!(memory.len(), 8192);
        // SAFETY: inside the region.
        unsafe {
            memory.writable().add(17).write(0xC3);
            assert_eq!(memory.executable().add(17).read(), 0xC3);
        }
    }
}
