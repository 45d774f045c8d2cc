//! The CPU of the host as oracle: 16- and 32-bit user-mode code, run for real.
//!
//! One persistent child runs as an IA32 task under ptrace. A case is a few bytes of code with the
//! registers, x87/SSE state and memory that it starts from; it ends at a HLT (the code page is filled with
//! them) or at a fault, and then all of that can be read back. A case costs some ten microseconds.
//!
//! Spec: Linux `ptrace(2)`, `modify_ldt(2)`, `sigaction(2)`; `asm/sigcontext.h` for the frame.
//!
//! Not emulated: nothing is. Not seen by cases: system calls (they stop the case), anything of CPL < 3,
//! x87 instruction and operand pointers (the kernel keeps them as 64-bit offsets, without selectors).

mod child;
mod image;
mod segments;

use child::{Child, Pinned, Resume, SYSCALL_STOP, Shared, Signal, UserRegs32};
pub use segments::{Descriptor, Segment};
use std::fmt;

/// Linear address of the code page (readable and executable, all HLT but for the case's code).
pub const CODE_BASE: u32 = 0x0010_0000;
/// Bytes of the code page.
pub const CODE_SIZE: usize = 0x1000;
/// Linear address of the data area (readable and writable; unmapped before and behind it).
pub const DATA_BASE: u32 = 0x0020_0000;
/// Bytes of the data area.
pub const DATA_SIZE: usize = 0x1_0000;

/// Linear address of the stack that signals are delivered on.
const SIGNAL_BASE: u32 = 0x7700_0000;
const SIGNAL_SIZE: usize = 0x1_0000;
/// Offset in the code page of the handler (`int3`): its last byte.
const HANDLER: usize = CODE_SIZE - 1;
/// Bytes at the start of the code page that cases may use.
pub const CODE_MAX: usize = CODE_SIZE - 16;

const EFLAGS_ID: u32 = 1 << 21;
const HLT: u8 = 0xF4;
const INT3: u8 = 0xCC;
const INTO: u8 = 0xCE;
/// INT 4.
const OVERFLOW: [u8; 2] = [0xCD, 4];

/// Linux system call numbers of i386.
mod syscall {
    pub(super) const MUNMAP: u32 = 91;
    pub(super) const SETITIMER: u32 = 104;
    pub(super) const MODIFY_LDT: u32 = 123;
    pub(super) const RT_SIGACTION: u32 = 174;
    pub(super) const SIGALTSTACK: u32 = 186;
    pub(super) const MMAP2: u32 = 192;
}

/// Signal numbers of Linux, the same for i386 and x86-64.
mod signal {
    pub(super) const ILL: i32 = 4;
    pub(super) const TRAP: i32 = 5;
    pub(super) const BUS: i32 = 7;
    pub(super) const FPE: i32 = 8;
    pub(super) const SEGV: i32 = 11;
    pub(super) const VTALRM: i32 = 26;
}

/// Why there is no oracle, or no longer.
#[derive(Debug)]
pub enum OracleError {
    /// The system does not allow tracing.
    Refused(std::io::Error),
    /// The system does not run 32-bit programs.
    NoIa32(std::io::Error),
    /// The system refused something else that is needed.
    System(&'static str, std::io::Error),
    /// The child is gone.
    Lost,
    /// The case cannot be run: says why.
    BadCase(&'static str),
}

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "ptrace is refused here: {error}"),
            Self::NoIa32(error) => write!(f, "32-bit programs cannot be run here: {error}"),
            Self::System(what, error) => write!(f, "{what}: {error}"),
            Self::Lost => write!(f, "the traced child is gone"),
            Self::BadCase(why) => write!(f, "this case cannot be run: {why}"),
        }
    }
}

impl std::error::Error for OracleError {}

/// Which segment each segment register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Segments {
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
}

impl Segments {
    /// 16-bit code with all data in the data area.
    pub const BITS16: Self = Self {
        es: Segment::Data16,
        cs: Segment::Code16,
        ss: Segment::Data16,
        ds: Segment::Data16,
        fs: Segment::Data16,
        gs: Segment::Data16,
    };
    /// 32-bit code, everything flat.
    pub const BITS32: Self = Self {
        es: Segment::Flat,
        cs: Segment::Flat,
        ss: Segment::Flat,
        ds: Segment::Flat,
        fs: Segment::Flat,
        gs: Segment::Flat,
    };
}

/// What to run and from where.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// At most [`CODE_MAX`] bytes, put at the start of the code page at `offset`.
    pub code: &'c [u8],
    /// Where in the code page the code goes and starts.
    pub offset: usize,
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    pub gpr: [u32; 8],
    /// EFLAGS: CF PF AF ZF SF TF DF OF NT RF AC are as the case says, ID as [`Oracle::id`] does, IF is 1,
    /// the rest is 0.
    pub eflags: u32,
    /// Segment registers; CS decides between 16 and 32 bits.
    pub segments: Segments,
    /// FXSAVE image to start from; without one the x87 and SSE state is whatever it is, and is not read.
    pub fx: Option<&'c [u8; 512]>,
}

impl<'c> Case<'c> {
    /// `code` in 32-bit (or else 16-bit) mode with all registers 0 and ESP in the data area's upper half.
    #[must_use]
    pub fn new(bits32: bool, code: &'c [u8]) -> Self {
        let segments = if bits32 { Segments::BITS32 } else { Segments::BITS16 };
        let mut gpr = [0; 8];
        gpr[4] = if bits32 { DATA_BASE + 0xC000 } else { 0xC000 };
        Self { code, offset: 0, gpr, eflags: 2, segments, fx: None }
    }
}

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At a HLT of the code page; EIP points at it.
    Halt,
    /// With an exception; EIP is what the handler would see.
    Fault {
        /// Exception number (0 #DE, 6 #UD, 13 #GP, 14 #PF ...).
        vector: u8,
        /// Its error code; 0 for those that have none.
        error: u32,
        /// CR2, of meaning for page faults.
        address: u32,
    },
    /// At a system call, which was not made.
    Syscall,
    /// It used 0.1 s of CPU time without an end.
    Endless,
}

/// What a case left behind, besides memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    pub gpr: [u32; 8],
    /// EIP, an offset in CS.
    pub eip: u32,
    /// EFLAGS as the host has them (IF set).
    pub eflags: u32,
    /// Selectors ES CS SS DS FS GS.
    pub selectors: [u16; 6],
    /// How it ended.
    pub stop: Stop,
    /// FXSAVE image, when the case had one.
    pub fx: Option<[u8; 512]>,
}

/// The host's CPU, ready for cases. It stays on the thread that made it.
pub struct Oracle {
    child: Child,
    shared: Shared,
    /// Tracer and child on one CPU: waking the other one costs ten times as much as all the rest.
    _pinned: Pinned,
    /// The part of the code page that the last case used.
    used: (usize, usize),
    id: bool,
}

impl Oracle {
    /// Starts the child.
    ///
    /// # Errors
    /// Says what the system refuses.
    pub fn new() -> Result<Self, OracleError> {
        let mut shared = Shared::new(CODE_SIZE + DATA_SIZE + SIGNAL_SIZE)?;
        shared.bytes_mut()[..CODE_SIZE].fill(HLT);
        shared.bytes_mut()[HANDLER] = INT3;
        let pinned = Pinned::here();
        let child = Child::start(&shared)?;
        let mut oracle = Self { child, shared, _pinned: pinned, used: (0, 0), id: false };
        let fd = Child::descriptor(&oracle.shared);
        let areas = [(CODE_BASE, CODE_SIZE, 5), (DATA_BASE, DATA_SIZE, 3), (SIGNAL_BASE, SIGNAL_SIZE, 3)];
        let mut page = 0;
        for (base, size, protection) in areas {
            // MAP_SHARED | MAP_FIXED.
            oracle.syscall("mmap", syscall::MMAP2, [base, size as u32, protection, 0x11, fd, page])?;
            page += size as u32 >> 12;
        }
        for segment in Segment::LOCAL {
            let code = matches!(segment, Segment::Code16 | Segment::Code32);
            let descriptor = segment.descriptor(code).expect("no null segment among them");
            oracle.data_mut()[..16].copy_from_slice(&descriptor.user_desc());
            oracle.syscall("modify_ldt", syscall::MODIFY_LDT, [0x11, DATA_BASE, 16, 0, 0, 0])?;
        }
        // stack_t: address, flags, size.
        let stack = [SIGNAL_BASE, 0, SIGNAL_SIZE as u32];
        oracle.put_words(&stack);
        oracle.syscall("sigaltstack", syscall::SIGALTSTACK, [DATA_BASE, 0, 0, 0, 0, 0])?;
        // struct sigaction: handler, SA_ONSTACK | SA_NODEFER, no restorer, empty mask.
        oracle.put_words(&[CODE_BASE + HANDLER as u32, 0x4800_0000, 0, 0, 0]);
        for number in [signal::ILL, signal::TRAP, signal::BUS, signal::FPE, signal::SEGV] {
            let arguments = [number as u32, DATA_BASE, 0, 8, 0, 0];
            oracle.syscall("sigaction", syscall::RT_SIGACTION, arguments)?;
        }
        // A signal every 0.1 s of its own CPU time ends endless cases.
        oracle.put_words(&[0, 100_000, 0, 100_000]);
        oracle.syscall("setitimer", syscall::SETITIMER, [1, DATA_BASE, 0, 0, 0, 0])?;
        oracle.data_mut()[..64].fill(0);
        // The stack and the kernel's pages that the program came with go, then its own page.
        let above = SIGNAL_BASE + SIGNAL_SIZE as u32;
        oracle.syscall("munmap", syscall::MUNMAP, [above, 0xFFFF_E000 - above, 0, 0, 0, 0])?;
        oracle.syscall("munmap", syscall::MUNMAP, [image::BASE, 0x1000, 0, 0, 0, 0])?;
        Ok(oracle)
    }

    /// The data area, as the last case left it.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.shared.bytes()[CODE_SIZE..CODE_SIZE + DATA_SIZE]
    }

    /// The data area, to prepare it for the next case.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.shared.bytes_mut()[CODE_SIZE..CODE_SIZE + DATA_SIZE]
    }

    /// EFLAGS.ID as the next case will find it: the kernel lets nobody but the code itself change it.
    #[must_use]
    pub fn id(&self) -> bool {
        self.id
    }

    /// Runs one case to its end.
    ///
    /// # Errors
    /// Says why the case could not be run; when the child is gone, a new oracle is needed.
    pub fn run(&mut self, case: &Case<'_>) -> Result<Outcome, OracleError> {
        let end = case.offset + case.code.len();
        if end > CODE_MAX {
            return Err(OracleError::BadCase("too much code"));
        }
        let page = &mut self.shared.bytes_mut()[..CODE_SIZE];
        page[self.used.0..self.used.1].fill(HLT);
        page[case.offset..end].copy_from_slice(case.code);
        self.used = (case.offset, end);
        self.child.set_regs(&start_regs(case)?)?;
        if let Some(fx) = case.fx {
            self.child.set_fx(fx)?;
        }
        let mut alarms = 0;
        let stopped = loop {
            match self.child.resume(Resume::Emulate)?.ok_or(OracleError::Lost)?.number {
                // The first one may have been due to the cases before.
                signal::VTALRM if alarms == 0 => alarms = 1,
                number => break number,
            }
        };
        let regs = self.child.regs()?;
        self.id = regs.eflags & EFLAGS_ID != 0;
        let fx = match case.fx {
            Some(_) => {
                let mut image = [0; 512];
                self.child.fx(&mut image)?;
                Some(image)
            }
            None => None,
        };
        let stop = match stopped {
            SYSCALL_STOP => Stop::Syscall,
            signal::VTALRM => Stop::Endless,
            signal::SEGV => match self.at_halt(&regs, case) {
                // INTO and INT 4 trap behind themselves: only the kernel's frame tells them from HLT.
                Some([_, INTO] | OVERFLOW) => match self.fault(signal::SEGV)? {
                    Stop::Fault { vector: 13, .. } => Stop::Halt,
                    other => other,
                },
                Some(_) => Stop::Halt,
                None => self.fault(signal::SEGV)?,
            },
            number => self.fault(number)?,
        };
        Ok(Outcome {
            gpr: [regs.eax, regs.ecx, regs.edx, regs.ebx, regs.esp, regs.ebp, regs.esi, regs.edi],
            eip: regs.eip,
            eflags: regs.eflags,
            selectors: [regs.es, regs.cs, regs.ss, regs.ds, regs.fs, regs.gs].map(|s| s as u16),
            stop,
            fx,
        })
    }

    /// The two bytes before the HLT where EIP points; `None` when it points to something else.
    fn at_halt(&self, regs: &UserRegs32, case: &Case<'_>) -> Option<[u8; 2]> {
        let descriptors = [case.segments.cs, Segment::Flat, Segment::Code16, Segment::Code32];
        let base = descriptors
            .iter()
            .filter_map(|s| s.descriptor(true))
            .find(|d| u32::from(d.selector) == regs.cs)
            .map(|d| d.base)?;
        let offset = base.wrapping_add(regs.eip).wrapping_sub(CODE_BASE) as usize;
        let page = &self.shared.bytes()[..CODE_SIZE];
        let before = |n: usize| offset.checked_sub(n).map_or(HLT, |place| page[place]);
        (page.get(offset) == Some(&HLT)).then(|| [before(2), before(1)])
    }

    /// Delivers the signal, so that the kernel tells exception number, error code and CR2 in its frame.
    fn fault(&mut self, number: i32) -> Result<Stop, OracleError> {
        let handler = self.resume_past_alarm(Resume::Deliver(number))?;
        let regs = self.child.regs()?;
        if handler != Some(Signal { number: signal::TRAP }) || regs.eip != CODE_BASE + HANDLER as u32 + 1 {
            return Err(OracleError::Lost);
        }
        // Return address, signal number, then struct sigcontext_32.
        let context = regs.esp.wrapping_sub(SIGNAL_BASE) as usize + 8;
        let area = &self.shared.bytes()[CODE_SIZE + DATA_SIZE..];
        let word = |offset: usize| {
            let bytes = area.get(context + offset..context + offset + 4);
            bytes.and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or(OracleError::Lost)
        };
        Ok(Stop::Fault { vector: word(48)? as u8, error: word(52)?, address: word(84)? })
    }

    /// Resumes; the timer's signal may come in between and says nothing here.
    fn resume_past_alarm(&mut self, how: Resume) -> Result<Option<Signal>, OracleError> {
        let stop = self.child.resume(how)?;
        if stop == Some(Signal { number: signal::VTALRM }) {
            return self.child.resume(Resume::Continue);
        }
        Ok(stop)
    }

    fn put_words(&mut self, words: &[u32]) {
        for (place, word) in self.data_mut().chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Makes the child issue a system call.
    fn syscall(&mut self, name: &'static str, number: u32, arguments: [u32; 6]) -> Result<u32, OracleError> {
        let [ebx, ecx, edx, esi, edi, ebp] = arguments;
        let flat = |code| u32::from(Segment::Flat.selector(code));
        self.child.set_regs(&UserRegs32 {
            ebx,
            ecx,
            edx,
            esi,
            edi,
            ebp,
            eax: number,
            orig_eax: u32::MAX,
            eip: image::SYSCALL,
            cs: flat(true),
            ss: flat(false),
            ds: flat(false),
            es: flat(false),
            eflags: 0x202,
            ..UserRegs32::default()
        })?;
        let stop = self.resume_past_alarm(Resume::Continue)?;
        let regs = self.child.regs()?;
        if stop != Some(Signal { number: signal::SEGV }) || regs.eip != image::AFTER_SYSCALL {
            return Err(OracleError::Lost);
        }
        if regs.eax > 0xFFFF_F000 {
            let error = std::io::Error::from_raw_os_error(regs.eax.wrapping_neg() as i32);
            return Err(OracleError::System(name, error));
        }
        Ok(regs.eax)
    }
}

fn start_regs(case: &Case<'_>) -> Result<UserRegs32, OracleError> {
    let segments = &case.segments;
    if segments.cs.descriptor(true).is_none_or(|d| !d.code) {
        return Err(OracleError::BadCase("CS must hold a code segment"));
    }
    if segments.ss.descriptor(false).is_none_or(|d| !d.writable || d.code) {
        return Err(OracleError::BadCase("SS must hold a writable data segment"));
    }
    let code = segments.cs.descriptor(true).map_or(0, |d| d.base);
    let data = |segment: Segment| u32::from(segment.selector(false));
    let [eax, ecx, edx, ebx, esp, ebp, esi, edi] = case.gpr;
    Ok(UserRegs32 {
        ebx,
        ecx,
        edx,
        esi,
        edi,
        ebp,
        eax,
        ds: data(segments.ds),
        es: data(segments.es),
        fs: data(segments.fs),
        gs: data(segments.gs),
        orig_eax: u32::MAX,
        eip: CODE_BASE.wrapping_add(case.offset as u32).wrapping_sub(code),
        cs: u32::from(segments.cs.selector(true)),
        eflags: case.eflags,
        esp,
        ss: data(segments.ss),
    })
}
