//! Guest memory that is shown a second time where the guest sees it: one memory object, mapped as a whole for the
//! machine and page by page into windows, which GS leads to. For x86-64 Linux; elsewhere there are none.
#![allow(unsafe_code)]

use nomad86::jit::Windows;
use nomad86::memory::{GuestMemory, OutOfMemory};

/// Memory for a machine, and windows that show it, where this host can make such.
/// ```
/// # use nomad86::{config::Config, machine::Machine};
/// use nomad86_host::{code::DualMapping, window};
///
/// # let config = Config { memory: 1 << 20, bios: vec![0xF4; 64 << 10], ..Config::default() };
/// let (memory, windows) = window::allocate(config.memory_needed())?;
/// let mut machine = Machine::new(config, memory)?;
/// machine.use_jit(Box::new(DualMapping::new(16 << 20)?), false);
/// if let Some(windows) = windows {
///     machine.use_windows(windows);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the host has no such memory, with windows or without.
pub fn allocate(len: usize) -> Result<(GuestMemory, Option<Box<dyn Windows>>), OutOfMemory> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Ok((memory, windows)) = linux::allocate(len) {
        return Ok((memory, Some(windows)));
    }
    Ok((GuestMemory::allocate(len)?, None))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux {
    use nomad86::jit::{Catch, Protection, WindowCaps, Windows};
    use nomad86::memory::{GuestMemory, GuestRam, PAGE};
    use std::cell::Cell;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr::NonNull;
    use std::sync::OnceLock;

    /// Windows, and bytes of address space for each: what lies behind one is a guard for accesses across its end.
    const WINDOWS: u32 = 8;
    const SPAN: usize = (1 << 32) + (1 << 16);
    /// Mappings that the rest of the process may need.
    const OTHERS: u32 = 8192;

    /// The memory object as the machine has it.
    struct Ram {
        base: NonNull<u8>,
        len: usize,
    }

    // SAFETY: the mapping belongs to this value alone and is not tied to a thread.
    unsafe impl Send for Ram {}

    // SAFETY: a fresh mapping of a new object is zeroed and page-aligned, and stays until `drop`. Windows show the
    // object as well, to translated code.
    unsafe impl GuestRam for Ram {
        fn block(&self) -> (NonNull<u8>, usize) {
            (self.base, self.len)
        }
    }

    impl Drop for Ram {
        fn drop(&mut self) {
            // SAFETY: mapped by `allocate` with this length; whoever has this value uses it no more.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        }
    }

    /// The windows.
    struct Mapped {
        object: OwnedFd,
        ram: usize,
        len: usize,
        /// All of them, one behind the other.
        area: usize,
        caps: WindowCaps,
        selected: u32,
        /// GS can be set without a system call.
        direct: bool,
    }

    pub(super) fn allocate(len: usize) -> io::Result<(GuestMemory, Box<dyn Windows>)> {
        let len = len.next_multiple_of(PAGE).max(PAGE);
        catch_faults()?;
        // SAFETY: the name is a C string; the flags are constants.
        let object = unsafe { libc::memfd_create(c"nomad86-ram".as_ptr(), libc::MFD_CLOEXEC) };
        if object < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made and is nobody else's.
        let object = unsafe { OwnedFd::from_raw_fd(object) };
        let size = libc::off_t::try_from(len).map_err(io::Error::other)?;
        // SAFETY: the object is ours.
        if unsafe { libc::ftruncate(object.as_raw_fd(), size) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let base = map(None, len, rights, libc::MAP_SHARED, object.as_raw_fd(), 0)?;
        let ram = Ram { base, len };
        let area = map(None, WINDOWS as usize * SPAN, libc::PROT_NONE, NOTHING, -1, 0)?;
        // SAFETY: it only asks.
        let direct = unsafe { libc::getauxval(libc::AT_HWCAP2) } & 2 != 0;
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count");
        let mappings = mappings.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_530_u32);
        let windows = Mapped {
            object,
            ram: ram.base.as_ptr().expose_provenance(),
            len,
            area: area.as_ptr().expose_provenance(),
            caps: WindowCaps {
                windows: WINDOWS,
                // Measured on a virtual machine of two processors; bare hardware needs a quarter.
                map_ns: 6_000,
                protect_ns: 1_500,
                fault_ns: 3_000,
                mappings: mappings.saturating_sub(OTHERS),
            },
            selected: 0,
            direct,
        };
        Ok((GuestMemory::from_host(Box::new(ram)), Box::new(windows)))
    }

    const NOTHING: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

    /// Maps memory, at a place of ours or of the system's choice.
    fn map(
        at: Option<usize>,
        len: usize,
        rights: libc::c_int,
        kind: libc::c_int,
        object: libc::c_int,
        offset: usize,
    ) -> io::Result<NonNull<u8>> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let fixed = if at.is_some() { libc::MAP_FIXED } else { 0 };
        let at = std::ptr::with_exposed_provenance_mut(at.unwrap_or(0));
        // SAFETY: places of ours lie in address space that this module has reserved.
        let mapped = unsafe { libc::mmap(at, len, rights, kind | fixed, object, offset) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(mapped.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
    }

    impl Mapped {
        /// Address of `len` bytes of a window, which are inside it.
        fn place(&self, window: u32, at: u32, len: usize) -> Option<usize> {
            (window < WINDOWS && at as usize + len <= 1 << 32).then(|| self.base(window) + at as usize)
        }

        fn set_gs(&self) {
            let base = self.base(self.selected);
            if self.direct {
                // SAFETY: the system allows it (`direct`), and nothing else in a process of x86-64 Linux uses GS.
                unsafe {
                    std::arch::asm!("wrgsbase {}", in(reg) base, options(nomem, nostack, preserves_flags))
                };
            } else {
                const ARCH_SET_GS: libc::c_int = 0x1001;
                // SAFETY: as above.
                unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
            }
        }
    }

    // SAFETY: windows lie in address space that was reserved for them, each with a guard; mappings show `object`, which
    // is alive as long as `self`. `enter` and `select` set GS; the handler asks the `Catch` of its own thread.
    unsafe impl Windows for Mapped {
        fn caps(&self) -> WindowCaps {
            self.caps
        }

        fn backing(&self) -> (*const u8, usize) {
            (std::ptr::with_exposed_provenance(self.ram), self.len)
        }

        fn base(&self, window: u32) -> usize {
            self.area + window as usize * SPAN
        }

        fn map(&mut self, window: u32, at: u32, offset: usize, len: usize, protection: Protection) -> bool {
            let Some(place) = self.place(window, at, len) else { return false };
            if offset.checked_add(len).is_none_or(|end| end > self.len) {
                return false;
            }
            map(Some(place), len, rights(protection), libc::MAP_SHARED, self.object.as_raw_fd(), offset)
                .is_ok()
        }

        fn protect(&mut self, window: u32, at: u32, len: usize, protection: Option<Protection>) -> bool {
            let Some(place) = self.place(window, at, len) else { return false };
            let rights = protection.map_or(libc::PROT_NONE, rights);
            // SAFETY: inside a window.
            unsafe { libc::mprotect(std::ptr::with_exposed_provenance_mut(place), len, rights) == 0 }
        }

        fn reset(&mut self, window: u32) {
            if map(Some(self.base(window)), SPAN, libc::PROT_NONE, NOTHING, -1, 0).is_err() {
                // Memory of another process of the guest would be there.
                std::process::abort();
            }
        }

        fn select(&mut self, window: u32) {
            if window < WINDOWS {
                self.selected = window;
                self.set_gs();
            }
        }

        fn enter(&mut self, catch: &Catch) {
            CATCH.set(catch);
            self.set_gs();
        }

        fn leave(&mut self) {
            CATCH.set(std::ptr::null());
        }
    }

    impl Drop for Mapped {
        fn drop(&mut self) {
            let area = std::ptr::with_exposed_provenance_mut(self.area);
            // SAFETY: mapped by `allocate` with this length; no translated code runs any more.
            unsafe { libc::munmap(area, WINDOWS as usize * SPAN) };
        }
    }

    const fn rights(protection: Protection) -> libc::c_int {
        match protection {
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }

    thread_local! {
        /// What the translated code that this thread is in has to say of faults. Without initialiser or destructor:
        /// looking at it is one instruction.
        static CATCH: Cell<*const Catch> = const { Cell::new(std::ptr::null()) };
    }

    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

    const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

    /// What was done about [`SIGNALS`] before.
    static FORMER: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

    /// Has faults of translated code caught, from the first call on.
    fn catch_faults() -> io::Result<()> {
        static RESULT: OnceLock<Result<(), i32>> = OnceLock::new();
        let install = || {
            let mut former = [const { std::mem::MaybeUninit::<libc::sigaction>::zeroed() }; 2];
            for (signal, former) in SIGNALS.into_iter().zip(&mut former) {
                // SAFETY: it only asks; the place is large enough.
                if unsafe { libc::sigaction(signal, std::ptr::null(), former.as_mut_ptr()) } != 0 {
                    return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
                }
            }
            // SAFETY: filled in above; zeroes are valid as well.
            let former = former.map(|former| unsafe { former.assume_init() });
            // Before the handler can want to know.
            let _ = FORMER.set(former);
            for signal in SIGNALS {
                // SAFETY: zeroes are a valid value.
                let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
                action.sa_sigaction = on_fault as Handler as usize;
                // On the stack that the standard library gives threads for it: that of a thread may have overflowed.
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                // SAFETY: the handler does nothing that a handler must not.
                if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
                    return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
                }
            }
            Ok(())
        };
        RESULT.get_or_init(install).map_err(io::Error::from_raw_os_error)
    }

    /// Leads an access of translated code through a window to its slow way; what else faults is for those before us.
    extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let catch = CATCH.get();
        if !catch.is_null() {
            // SAFETY: the system gives a handler with SA_SIGINFO both of these; the catch lives until `leave`.
            let (info, context, catch) =
                unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>(), &*catch) };
            // SAFETY: faults have an address, or 0 there.
            let address = unsafe { info.si_addr() }.addr();
            let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
            if let Some(to) = catch.redirect(*pc as usize, address) {
                *pc = to as i64;
                return;
            }
        }
        let place = usize::from(signal != SIGNALS[0]);
        let former = FORMER.get().map(|former| &former[place]);
        match former {
            Some(former) if !matches!(former.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) => {
                if former.sa_flags & libc::SA_SIGINFO != 0 {
                    // SAFETY: with this flag it is such a function.
                    let handler: Handler = unsafe { std::mem::transmute(former.sa_sigaction) };
                    handler(signal, info, context);
                } else {
                    // SAFETY: without it, such a one.
                    let handler: extern "C" fn(libc::c_int) =
                        unsafe { std::mem::transmute(former.sa_sigaction) };
                    handler(signal);
                }
            }
            _ => {
                // The instruction is executed again and ends the process as if nobody had asked.
                // SAFETY: signal and action are valid.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_window_shows_what_is_mapped_into_it_and_nothing_else() {
            let (memory, mut windows) = allocate(64 << 10).unwrap();
            assert_eq!(windows.backing().1, memory.len());
            let caps = windows.caps();
            let ram = windows.backing().0.cast_mut();
            // SAFETY: inside the memory, which nobody else has.
            unsafe { ram.add(0x3005).write(77) };
            assert!(windows.map(1, 0xFFFF_E000, 0x3000, 0x2000, Protection::ReadWrite));
            assert!(!windows.map(1, 0xFFFF_F000, 0x3000, 0x2000, Protection::Read), "beyond the end");
            assert!(!windows.map(caps.windows, 0, 0, 0x1000, Protection::Read), "no such window");
            assert!(!windows.map(0, 0, 60 << 10, 0x2000, Protection::Read), "no such memory");
            windows.select(1);
            let read: u8;
            // SAFETY: GS leads to the window, in which that page is mapped.
            unsafe {
                std::arch::asm!("mov {}, gs:[{:e}]", out(reg_byte) read, in(reg) 0xFFFF_E005_u32);
                std::arch::asm!("mov byte ptr gs:[{:e}], 5", in(reg) 0xFFFF_F001_u32);
            }
            assert_eq!(read, 77);
            // SAFETY: inside the memory.
            assert_eq!(unsafe { ram.add(0x4001).read() }, 5);
            assert!(windows.protect(1, 0xFFFF_E000, 0x1000, Some(Protection::Read)));
            windows.reset(1);
            drop(memory);
        }
    }
}
