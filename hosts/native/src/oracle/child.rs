//! The traced child: started, stopped, driven and read. The only unsafe module of the test bench.
//!
//! Spec: Linux `ptrace(2)`, `memfd_create(2)`, `execveat(2)`, `waitpid(2)`; `linux/elf.h` for register
//! sets. Registers travel as the kernel's 32-bit views (`struct user_regs_struct32`, FXSAVE image).
#![allow(unsafe_code)]

use super::{OracleError, image};
use libc::{c_int, c_void, pid_t};
use std::ffi::CStr;
use std::io::Error;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// General registers in the order of `struct user_regs_struct32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(super) struct UserRegs32 {
    pub(super) ebx: u32,
    pub(super) ecx: u32,
    pub(super) edx: u32,
    pub(super) esi: u32,
    pub(super) edi: u32,
    pub(super) ebp: u32,
    pub(super) eax: u32,
    pub(super) ds: u32,
    pub(super) es: u32,
    pub(super) fs: u32,
    pub(super) gs: u32,
    pub(super) orig_eax: u32,
    pub(super) eip: u32,
    pub(super) cs: u32,
    pub(super) eflags: u32,
    pub(super) esp: u32,
    pub(super) ss: u32,
}

const NT_PRSTATUS: c_int = 1;
/// The FXSAVE image of a 32-bit task.
const NT_PRXFPREG: c_int = 0x46e6_2b7f;

/// Memory that tracer and child share.
pub(super) struct Shared {
    fd: OwnedFd,
    start: *mut u8,
    length: usize,
}

impl Shared {
    /// Zeroed memory of `length` bytes (a multiple of the page size).
    pub(super) fn new(length: usize) -> Result<Self, OracleError> {
        let fd = memfd(c"nomad86-oracle-memory")?;
        // SAFETY: an owned descriptor and a plain length.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), length as libc::off_t) } != 0 {
            return Err(OracleError::System("ftruncate", Error::last_os_error()));
        }
        // SAFETY: a new mapping at an address that the kernel chooses; `length` bytes of the file exist.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(OracleError::System("mmap", Error::last_os_error()));
        }
        Ok(Self { fd, start: start.cast(), length })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for `length` bytes until drop; the child only writes while `Child::resume` holds
        // the tracer, when no such reference is in use (`Oracle` hands them out for its own lifetime only).
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes it the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// Why the child stopped: a signal that it would have got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Signal {
    pub(super) number: c_int,
}

/// A child of this thread, stopped except during [`Child::resume`].
pub(super) struct Child {
    pid: pid_t,
    /// Only the thread that started tracing may go on with it.
    not_send: PhantomData<*mut ()>,
}

/// How to let the child run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resume {
    /// System calls are made.
    Continue,
    /// System calls stop the child and are not made.
    Emulate,
    /// Continue with a signal delivered.
    Deliver(c_int),
}

/// The number that a stop at a system call carries (`PTRACE_O_TRACESYSGOOD`).
pub(super) const SYSCALL_STOP: c_int = libc::SIGTRAP | 0x80;

impl Child {
    /// Starts the 32-bit program of [`image`], stopped before its first instruction. It inherits `shared`.
    pub(super) fn start(shared: &Shared) -> Result<Self, OracleError> {
        let program = memfd(c"nomad86-oracle")?;
        let elf = image::elf32();
        // SAFETY: the buffer lives through the call.
        let written = unsafe { libc::write(program.as_raw_fd(), elf.as_ptr().cast(), elf.len()) };
        if usize::try_from(written) != Ok(elf.len()) {
            return Err(OracleError::System("write", Error::last_os_error()));
        }
        // A pipe that closes at exec tells why the child could not start.
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(OracleError::System("pipe", Error::last_os_error()));
        }
        // SAFETY: both were just opened and are owned by nobody else.
        let (report, reporter) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        let (program_fd, shared_fd, report_fd) =
            (program.as_raw_fd(), shared.fd.as_raw_fd(), reporter.as_raw_fd());
        // SAFETY: between fork and exec the child calls only async-signal-safe functions.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(OracleError::System("fork", Error::last_os_error()));
        }
        if pid == 0 {
            // SAFETY: async-signal-safe calls on plain values; ends in exec or _exit.
            unsafe { become_oracle(program_fd, shared_fd, report_fd) };
        }
        drop(reporter);
        let child = Self { pid, not_send: PhantomData };
        let stop = child.wait()?;
        if let Some(failure) = failure(&report) {
            return Err(failure);
        }
        match stop {
            Some(signal) if signal.number == libc::SIGTRAP => {}
            _ => return Err(OracleError::Lost),
        }
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        child.ptrace("PTRACE_SETOPTIONS", libc::PTRACE_SETOPTIONS, 0, options as usize)?;
        Ok(child)
    }

    /// The descriptor number of `shared` in the child.
    pub(super) fn descriptor(shared: &Shared) -> u32 {
        shared.fd.as_raw_fd() as u32
    }

    /// Lets the child run until it stops again; `None` when it has died.
    pub(super) fn resume(&mut self, how: Resume) -> Result<Option<Signal>, OracleError> {
        let (request, signal) = match how {
            Resume::Continue => (libc::PTRACE_CONT, 0),
            Resume::Emulate => (libc::PTRACE_SYSEMU, 0),
            Resume::Deliver(signal) => (libc::PTRACE_CONT, signal),
        };
        self.ptrace("PTRACE_CONT", request, 0, signal as usize)?;
        self.wait()
    }

    /// Reads the general registers.
    pub(super) fn regs(&self) -> Result<UserRegs32, OracleError> {
        let mut regs = UserRegs32::default();
        self.regset(
            "PTRACE_GETREGSET",
            libc::PTRACE_GETREGSET,
            NT_PRSTATUS,
            ptr::from_mut(&mut regs).cast(),
            68,
        )?;
        Ok(regs)
    }

    /// Writes the general registers.
    pub(super) fn set_regs(&mut self, regs: &UserRegs32) -> Result<(), OracleError> {
        let data = ptr::from_ref(regs).cast_mut().cast();
        self.regset("PTRACE_SETREGSET", libc::PTRACE_SETREGSET, NT_PRSTATUS, data, 68)
    }

    /// Reads x87 and SSE state.
    pub(super) fn fx(&self, image: &mut [u8; 512]) -> Result<(), OracleError> {
        let data = image.as_mut_ptr().cast();
        self.regset("PTRACE_GETREGSET", libc::PTRACE_GETREGSET, NT_PRXFPREG, data, 512)
    }

    /// Writes x87 and SSE state.
    pub(super) fn set_fx(&mut self, image: &[u8; 512]) -> Result<(), OracleError> {
        let data = image.as_ptr().cast_mut().cast();
        self.regset("PTRACE_SETREGSET of x87 and SSE state", libc::PTRACE_SETREGSET, NT_PRXFPREG, data, 512)
    }

    /// `data` must point to `length` bytes, writable ones for `PTRACE_GETREGSET`.
    fn regset(
        &self,
        name: &'static str,
        request: libc::c_uint,
        set: c_int,
        data: *mut c_void,
        length: usize,
    ) -> Result<(), OracleError> {
        let mut vector = libc::iovec { iov_base: data, iov_len: length };
        self.ptrace(name, request, set as usize, ptr::from_mut(&mut vector) as usize)
    }

    fn ptrace(
        &self,
        name: &'static str,
        request: libc::c_uint,
        address: usize,
        data: usize,
    ) -> Result<(), OracleError> {
        // SAFETY: requests of this module only, whose pointers (if any) point to live buffers of the
        // length that the request has.
        if unsafe { libc::ptrace(request, self.pid, address, data) } == -1 {
            return Err(OracleError::System(name, Error::last_os_error()));
        }
        Ok(())
    }

    fn wait(&self) -> Result<Option<Signal>, OracleError> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is writable.
            if unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) } == self.pid {
                break;
            }
            let error = Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(OracleError::System("waitpid", error));
            }
        }
        Ok(libc::WIFSTOPPED(status).then(|| Signal { number: libc::WSTOPSIG(status) }))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet reaped (or the calls fail harmlessly with ESRCH and ECHILD).
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, ptr::null_mut(), libc::__WALL);
        }
    }
}

/// This thread, kept on the CPU where it runs until drop; children inherit that.
pub(super) struct Pinned {
    before: Option<libc::cpu_set_t>,
    /// Affinity belongs to the thread.
    not_send: PhantomData<*mut ()>,
}

impl Pinned {
    /// Pins the calling thread. It is a matter of speed only: failure changes nothing else.
    pub(super) fn here() -> Self {
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: both sets are plain bit masks of the size told; `CPU_SET` gets a number below its bits.
        let before = unsafe {
            let mut before: libc::cpu_set_t = std::mem::zeroed();
            let cpu = libc::sched_getcpu();
            let known = libc::sched_getaffinity(0, size, &raw mut before) == 0;
            if known && (0..libc::CPU_SETSIZE).contains(&cpu) {
                let mut one: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(cpu as usize, &mut one);
                (libc::sched_setaffinity(0, size, &raw const one) == 0).then_some(before)
            } else {
                None
            }
        };
        Self { before, not_send: PhantomData }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the set that the kernel gave.
            unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), before) };
        }
    }
}

/// The child's side of [`Child::start`].
///
/// # Safety
/// Only for the child of a fork.
unsafe fn become_oracle(program: c_int, shared: c_int, report: c_int) -> ! {
    // SAFETY: async-signal-safe system calls; the argument vectors are null-terminated.
    unsafe {
        let fail = |step: u8| -> ! {
            let message = [step, *libc::__errno_location() as u8];
            libc::write(report, message.as_ptr().cast(), 2);
            libc::_exit(127);
        };
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::fcntl(shared, libc::F_SETFD, 0);
        if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == -1 {
            fail(0);
        }
        let arguments = [c"nomad86-oracle".as_ptr(), ptr::null()];
        let environment: [*const libc::c_char; 1] = [ptr::null()];
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        fail(1);
    }
}

/// What the child wrote before it gave up.
fn failure(report: &OwnedFd) -> Option<OracleError> {
    let mut message = [0_u8; 2];
    // SAFETY: the buffer has two bytes.
    let read = unsafe { libc::read(report.as_raw_fd(), message.as_mut_ptr().cast(), 2) };
    let error = || Error::from_raw_os_error(i32::from(message[1]));
    match (read, message[0]) {
        (2, 0) => Some(OracleError::Refused(error())),
        (2, _) => Some(OracleError::NoIa32(error())),
        _ => None,
    }
}

fn memfd(name: &CStr) -> Result<OwnedFd, OracleError> {
    // SAFETY: a null-terminated name.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(OracleError::System("memfd_create", Error::last_os_error()));
    }
    // SAFETY: just opened and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
