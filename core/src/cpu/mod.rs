//! The processor: registers, address translation, exceptions, and the loop that executes decoded blocks.

pub mod access;
pub mod block;
pub mod cpuid;
pub mod debug;
pub mod fault;
pub mod flags;
pub mod flat;
pub mod interrupt;
pub mod msr;
pub mod paging;
pub mod run;
pub mod segment;
pub mod system;
pub mod task;
pub mod tlb;
pub mod transfer;
pub mod windows;

use crate::archive::{Archive, Field};
use crate::board::Width;
use crate::config::CpuModel;
use crate::fpu::Fpu;
use crate::isa::decode::Features;
use crate::memory::{Memory, PhysAddr};
use alloc::boxed::Box;

pub use fault::{Kind, Run, Trap};
use flags::EFlags;
use segment::{Descriptor, Segment, TableRegister, attr, seg};
use tlb::Tlb;

/// What the processor reaches outside itself: memory, devices, time. `count` is the number of instructions
/// executed so far, from which virtual time is made.
pub trait Io {
    /// Guest memory.
    fn memory(&mut self) -> &mut Memory;
    /// A read that a device answers.
    fn mmio_read(&mut self, at: PhysAddr, width: Width, count: u64) -> u32;
    /// A write that a device answers.
    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, count: u64);
    /// IN.
    fn port_in(&mut self, port: u16, width: Width, count: u64) -> u32;
    /// OUT.
    fn port_out(&mut self, port: u16, width: Width, value: u32, count: u64);
    /// Whether a port moves blocks: [`Io::port_in_block`] and [`Io::port_out_block`] are worth a try.
    fn moves_blocks(&self, port: u16) -> bool {
        let _ = port;
        false
    }
    /// As many IN of `width` as fill the front of `bytes`; how many bytes that were, perhaps 0.
    fn port_in_block(&mut self, port: u16, width: Width, bytes: &mut [u8], count: u64) -> usize {
        let _ = (port, width, bytes, count);
        0
    }
    /// As many OUT of `width` as take the front of `bytes`; how many bytes that were, perhaps 0.
    fn port_out_block(&mut self, port: u16, width: Width, bytes: &[u8], count: u64) -> usize {
        let _ = (port, width, bytes, count);
        0
    }
    /// Virtual nanoseconds since the machine was built.
    fn nanoseconds(&mut self, count: u64) -> u64;
    /// The local APIC's base MSR: sets it when a value is given, returns what it is.
    fn apic_base(&mut self, value: Option<u64>) -> u64;
    /// The FERR# pin.
    fn ferr(&mut self, level: bool);
    /// A random number for RDRAND.
    fn random(&mut self) -> u64;
    /// What waits at the next boundary: bits of [`event`].
    fn events(&self) -> u32;
}

/// What the outside has for the processor at a boundary.
pub mod event {
    /// A reset, a power-off, or an earlier deadline: leave the loop.
    pub const LEAVE: u32 = 1 << 0;
    /// An interrupt controller raises INTR.
    pub const INTERRUPT: u32 = 1 << 1;
    /// Code was overwritten.
    pub const CODE: u32 = 1 << 2;
    /// The physical map changed.
    pub const MAP: u32 = 1 << 3;
}

/// Numbers of the general registers.
pub mod reg {
    /// EAX.
    pub const EAX: usize = 0;
    /// ECX.
    pub const ECX: usize = 1;
    /// EDX.
    pub const EDX: usize = 2;
    /// EBX.
    pub const EBX: usize = 3;
    /// ESP.
    pub const ESP: usize = 4;
    /// EBP.
    pub const EBP: usize = 5;
    /// ESI.
    pub const ESI: usize = 6;
    /// EDI.
    pub const EDI: usize = 7;
}

/// Bits of CR0.
pub mod cr0 {
    /// Protected mode.
    pub const PE: u32 = 1 << 0;
    /// WAIT obeys TS.
    pub const MP: u32 = 1 << 1;
    /// No coprocessor.
    pub const EM: u32 = 1 << 2;
    /// Task switched.
    pub const TS: u32 = 1 << 3;
    /// 387 present (always one).
    pub const ET: u32 = 1 << 4;
    /// Report x87 errors by #MF.
    pub const NE: u32 = 1 << 5;
    /// Write protection holds for the supervisor as well.
    pub const WP: u32 = 1 << 16;
    /// Alignment checks.
    pub const AM: u32 = 1 << 18;
    /// Not write-through.
    pub const NW: u32 = 1 << 29;
    /// Cache disable.
    pub const CD: u32 = 1 << 30;
    /// Paging.
    pub const PG: u32 = 1 << 31;
}

/// Bits of CR4.
pub mod cr4 {
    /// Virtual-8086 mode extensions.
    pub const VME: u32 = 1 << 0;
    /// Protected-mode virtual interrupts.
    pub const PVI: u32 = 1 << 1;
    /// RDTSC for the supervisor only.
    pub const TSD: u32 = 1 << 2;
    /// Debug extensions.
    pub const DE: u32 = 1 << 3;
    /// 4 MiB pages.
    pub const PSE: u32 = 1 << 4;
    /// Physical address extension.
    pub const PAE: u32 = 1 << 5;
    /// Machine check.
    pub const MCE: u32 = 1 << 6;
    /// Global pages.
    pub const PGE: u32 = 1 << 7;
    /// RDPMC at any level.
    pub const PCE: u32 = 1 << 8;
    /// FXSAVE and SSE.
    pub const OSFXSR: u32 = 1 << 9;
    /// #XM.
    pub const OSXMMEXCPT: u32 = 1 << 10;
}

/// Why the processor stopped executing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The budget is used up, or something needs attention at a boundary.
    Boundary,
    /// HLT.
    Halt,
    /// Triple fault.
    Shutdown,
}

/// General registers: EAX ECX EDX EBX ESP EBP ESI EDI, and behind them some that are always 0, so that four bits of
/// any value name one.
pub type Regs = [u32; 16];

/// The processor.
#[repr(C)]
pub struct Cpu {
    /// What translated code and the processor share: first, so that code reaches what it uses most in the shortest way.
    pub jit: crate::jit::Shared,
    /// See [`Regs`].
    pub regs: Regs,
    /// Offset of the next instruction (between blocks).
    pub eip: u32,
    /// Offset of the first instruction of the block being executed.
    pub block_eip: u32,
    /// Position in the block of the instruction being executed.
    pub at: u32,
    /// The block is left before this position; lowered when something happened that later instructions must
    /// not run ahead of.
    pub stop_at: u32,
    /// The block was executed to its end, and nothing but registers and plain memory was touched on the way.
    pub(crate) through: bool,
    /// Bytes of memory TLB index: 0 for the supervisor, 2 for user accesses.
    pub tlb_mode: u32,
    /// Host address of the TLB's tables for the present privilege.
    pub(crate) tables: usize,
    /// EFLAGS.
    pub flags: EFlags,
    /// ES CS SS DS FS GS, and two that nothing names, so that three bits of any value do.
    pub seg: [Segment; 8],
    /// All ones for a 32-bit stack, 0xFFFF for a 16-bit one.
    pub stack_mask: u32,
    /// Current privilege level.
    pub cpl: u8,
    /// Local descriptor table.
    pub ldtr: Segment,
    /// Task register.
    pub tr: Segment,
    /// Global descriptor table.
    pub gdtr: TableRegister,
    /// Interrupt descriptor table.
    pub idtr: TableRegister,
    /// Control register 0.
    pub cr0: u32,
    /// Page-fault address.
    pub cr2: u32,
    /// Page directory.
    pub cr3: u32,
    /// Control register 4.
    pub cr4: u32,
    /// Page-directory-pointer entries loaded under PAE.
    pub pdpte: [u64; 4],
    /// DR0–DR3, DR6, DR7 at 0–3, 6, 7.
    pub dr: [u32; 8],
    /// Model-specific registers.
    pub msr: msr::Msrs,
    /// x87 and MMX.
    pub fpu: Fpu,
    /// XMM0–7.
    pub xmm: [u128; 8],
    /// SSE control and status.
    pub mxcsr: u32,
    /// Instructions executed before the current block.
    pub count: u64,
    /// HLT is waiting for an interrupt.
    pub halted: bool,
    /// Interrupts are held off until after the next instruction (STI, MOV SS).
    pub shadow: bool,
    /// Debug traps are held off as well (MOV SS).
    pub shadow_debug: bool,
    /// An event was delivered in this step.
    pub delivered: bool,
    /// What was wrong with a new task is being delivered.
    pub(crate) task_faulted: bool,
    /// DR6 bits of a data breakpoint that was hit in this instruction.
    pub pending_debug: u32,
    /// Something makes each instruction a block of its own: TF, breakpoints.
    pub stepping: bool,
    /// NMI is waiting.
    pub nmi: bool,
    /// An NMI is being served: others wait until IRET.
    pub nmi_blocked: bool,
    /// Which processor this is.
    pub model: CpuModel,
    /// Its extensions.
    pub features: Features,
    /// Address translations; `tables` leads into it, so it stays what it is.
    pub(crate) tlb: Box<Tlb>,
    /// Windows that translated code sees memory through, if the host has such, and whether the present one holds what
    /// it should.
    pub(crate) windows: Option<Box<windows::WindowSet>>,
    pub(crate) window: bool,
    /// Count of events that changed what linear addresses mean.
    pub epoch: u32,
    /// What an entry point found at a linear address depends on: the epoch, the mode and the privilege.
    pub code_key: u64,
    /// What blocks depend on: bits of [`block::mode`].
    pub mode: u32,
    /// The recompiler's sites, for its interpreter entry.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler looks"))]
    pub(crate) sites: usize,
}

impl Cpu {
    /// A processor after power-on.
    #[must_use]
    pub fn new(model: CpuModel) -> Self {
        let mut cpu = Self {
            regs: [0; 16],
            eip: 0,
            block_eip: 0,
            at: 0,
            stop_at: 0,
            through: false,
            tlb_mode: 0,
            tables: 0,
            flags: EFlags::default(),
            seg: [Segment::default(); 8],
            stack_mask: 0xFFFF,
            cpl: 0,
            ldtr: Segment::default(),
            tr: Segment::default(),
            gdtr: TableRegister::default(),
            idtr: TableRegister::default(),
            cr0: 0,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            pdpte: [0; 4],
            dr: [0; 8],
            msr: msr::Msrs::default(),
            fpu: Fpu::new(),
            xmm: [0; 8],
            mxcsr: 0x1F80,
            count: 0,
            halted: false,
            shadow: false,
            shadow_debug: false,
            delivered: false,
            task_faulted: false,
            pending_debug: 0,
            stepping: false,
            nmi: false,
            nmi_blocked: false,
            model,
            features: cpuid::features(model),
            tlb: Tlb::new(),
            windows: None,
            window: false,
            epoch: 0,
            code_key: 0,
            mode: 0,
            jit: crate::jit::Shared::default(),
            sites: 0,
        };
        cpu.reset();
        cpu
    }

    /// The RESET# line.
    ///
    /// Spec: Intel SDM volume 3, table 9-1.
    pub fn reset(&mut self) {
        self.regs = [0; 16];
        self.regs[reg::EDX] = cpuid::signature(self.model);
        self.eip = 0xFFF0;
        self.flags.set_image(2);
        for s in &mut self.seg {
            *s = Segment::real(0);
        }
        self.seg[seg::CS] = Segment::real(0xF000);
        self.seg[seg::CS].base = 0xFFFF_0000;
        let system =
            |kind: u16| Segment { limit: 0xFFFF, attributes: attr::PRESENT | kind, ..Segment::default() };
        self.ldtr = system(2);
        self.tr = system(11);
        self.gdtr = TableRegister { base: 0, limit: 0xFFFF };
        self.idtr = TableRegister { base: 0, limit: 0xFFFF };
        self.cr0 = cr0::ET | cr0::NW | cr0::CD;
        (self.cr2, self.cr3, self.cr4) = (0, 0, 0);
        self.dr = [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400];
        self.msr = msr::Msrs::default();
        self.fpu = Fpu::new();
        self.xmm = [0; 8];
        self.mxcsr = 0x1F80;
        self.halted = false;
        self.shadow = false;
        self.shadow_debug = false;
        self.pending_debug = 0;
        self.nmi = false;
        self.nmi_blocked = false;
        self.set_cpl(0);
        self.settle_stack();
        self.settle_stepping();
        self.flush_tlb(true);
    }

    /// Enters flat protected mode at a kernel's entry point, as a boot loader leaves the processor.
    pub fn enter_kernel(&mut self, entry: &crate::boot::Entry) {
        let flat = |selector, kind: u32| {
            Segment::loaded(selector, Descriptor { low: 0xFFFF, high: 0x00CF_9000 | kind << 8 })
        };
        self.cr0 = cr0::ET | cr0::PE;
        for n in 0..6 {
            let s = if n == seg::CS { flat(entry.cs, 0xB) } else { flat(entry.ds, 0x3) };
            self.set_segment(n, s);
        }
        self.gdtr = TableRegister { base: entry.gdt, limit: entry.gdt_limit };
        self.regs[reg::EAX] = entry.eax;
        self.regs[reg::EBX] = entry.ebx;
        self.regs[reg::ESI] = entry.esi;
        self.regs[reg::ESP] = entry.esp;
        self.eip = entry.eip;
        self.flush_tlb(true);
    }

    /// Whether the processor is in protected mode and not in virtual-8086 mode.
    #[inline]
    #[must_use]
    pub const fn protected(&self) -> bool {
        self.cr0 & cr0::PE != 0 && !self.flags.has(flags::bit::VM)
    }

    /// Virtual-8086 mode.
    #[inline]
    #[must_use]
    pub const fn v86(&self) -> bool {
        self.flags.has(flags::bit::VM)
    }

    /// Real mode.
    #[inline]
    #[must_use]
    pub const fn real(&self) -> bool {
        self.cr0 & cr0::PE == 0
    }

    /// Its address translations.
    #[must_use]
    pub fn tlb(&self) -> &Tlb {
        &self.tlb
    }

    /// Sets the privilege level.
    pub fn set_cpl(&mut self, cpl: u8) {
        if (cpl == 3) != (self.cpl == 3) {
            self.cross_privilege(cpl == 3);
        }
        self.cpl = cpl;
        self.tlb_mode = if cpl == 3 { 2 } else { 0 };
        self.tables = self.tlb.tables(self.tlb_mode);
        if self.flags.has(flags::bit::AC) || self.tlb.watching {
            self.settle_watching();
        }
        self.settle_key();
    }

    /// To be called after any change of the mode, CS or the address space.
    pub fn settle_key(&mut self) {
        use block::mode;
        let cs = &self.seg[seg::CS];
        let mut key = 0;
        if cs.big() {
            key |= mode::CODE32;
        }
        if self.seg[seg::SS].big() {
            key |= mode::STACK32;
        }
        for n in [seg::ES, seg::SS, seg::DS] {
            key |= u32::from(self.seg[n].flat()) * (mode::FLAT_SEGMENT << n);
        }
        const ALL: u32 = mode::CODE32
            | mode::STACK32
            | mode::FLAT_SEGMENT << seg::ES
            | mode::FLAT_SEGMENT << seg::SS
            | mode::FLAT_SEGMENT << seg::DS;
        if key == ALL && cs.base == 0 && cs.limit == 0xFFFF_FFFF {
            key |= mode::FLAT;
            if self.window && self.cpl == 3 {
                key |= mode::WINDOW;
            }
        } else if !self.protected() && self.loads_paragraphs() {
            key |= mode::PARAGRAPHS;
        }
        self.mode = key;
        let user = u64::from(self.cpl == 3);
        self.code_key = u64::from(self.epoch) << (mode::BITS + 1) | user << mode::BITS | u64::from(key);
    }

    /// Whether loads of data segment registers, outside protected mode, change nothing but selector and base.
    fn loads_paragraphs(&self) -> bool {
        let usual = Segment::real(0);
        [seg::ES, seg::DS, seg::FS, seg::GS].iter().all(|&n| {
            let s = &self.seg[n];
            if self.real() {
                s.attributes & attr::PRESENT != 0
            } else {
                (s.limit, s.attributes) == (usual.limit, usual.attributes)
            }
        })
    }

    /// Where in its code segment a block at EIP lies, as far as that matters to it.
    #[must_use]
    pub const fn home(&self) -> block::Home {
        if self.mode & block::mode::FLAT != 0 {
            return block::Home::ANYWHERE;
        }
        let cs = &self.seg[seg::CS];
        block::Home { eip: self.eip, base: cs.base, limit: cs.limit }
    }

    /// Linear addresses mean something else from now on.
    pub fn new_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.settle_key();
    }

    /// To be called after any change of SS.
    pub fn settle_stack(&mut self) {
        self.stack_mask = if self.seg[seg::SS].big() { 0xFFFF_FFFF } else { 0xFFFF };
    }

    /// Loads a segment register with a complete segment.
    pub fn set_segment(&mut self, number: usize, segment: Segment) {
        self.seg[number] = segment;
        match number {
            seg::SS => {
                self.settle_stack();
                self.settle_key();
            }
            // In protected mode all that others change is their bit, if it has one.
            seg::FS | seg::GS if self.protected() => {}
            seg::ES | seg::DS
                if self.protected()
                    && self.seg[number].flat() == block::mode::is_flat(self.mode, number as u8) => {}
            _ => self.settle_key(),
        }
    }

    /// To be called after any change of TF or DR7.
    pub fn settle_stepping(&mut self) {
        let breakpoints = (0..4).any(|n| self.dr[7] >> (2 * n) & 3 != 0);
        self.stepping = self.flags.has(flags::bit::TF) || breakpoints;
        self.settle_watching();
    }

    /// To be called after any change of DR7, CPL, EFLAGS.AC or CR0.AM: data breakpoints and alignment checks
    /// send every access the slow way.
    pub fn settle_watching(&mut self) {
        let data = (0..4).any(|n| self.dr[7] >> (2 * n) & 3 != 0 && self.dr[7] >> (16 + 4 * n) & 3 != 0);
        let watching = data || self.checks_alignment();
        if self.tlb.watching != watching {
            self.tlb.watching = watching;
            self.flush_tlb(true);
        }
    }

    /// Whether misaligned data accesses raise #AC.
    #[must_use]
    pub const fn checks_alignment(&self) -> bool {
        self.cpl == 3 && self.cr0 & cr0::AM != 0 && self.flags.has(flags::bit::AC)
    }

    /// Sets EFLAGS as a whole.
    pub fn set_flags(&mut self, image: u32) {
        self.flags.set_image(image);
        self.settle_key();
        self.settle_stepping();
    }

    /// Number of instructions executed, the current one excluded.
    #[inline]
    #[must_use]
    pub const fn executed(&self) -> u64 {
        self.count + self.at as u64
    }

    /// Leaves the block after the current instruction.
    #[inline]
    pub const fn leave_block(&mut self) {
        self.stop_at = 0;
    }

    /// Whether code runs with 32-bit defaults.
    #[inline]
    #[must_use]
    pub const fn code32(&self) -> bool {
        self.seg[seg::CS].big()
    }

    /// A 16-bit view of a register.
    #[must_use]
    pub const fn reg16(&self, n: usize) -> u16 {
        self.regs[n] as u16
    }

    /// Saves or loads the processor's state.
    pub fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.regs[..8]);
        a.field(&mut self.eip);
        a.field(&mut self.flags);
        a.field(&mut self.seg[..6]);
        a.field(&mut self.cpl);
        a.field(&mut self.ldtr);
        a.field(&mut self.tr);
        a.field(&mut self.gdtr);
        a.field(&mut self.idtr);
        a.field(&mut self.cr0);
        a.field(&mut self.cr2);
        a.field(&mut self.cr3);
        a.field(&mut self.cr4);
        a.field(&mut self.pdpte);
        a.field(&mut self.dr);
        a.field(&mut self.msr);
        self.archive_fpu(a);
        a.field(&mut self.xmm);
        a.field(&mut self.mxcsr);
        a.field(&mut self.count);
        a.field(&mut self.halted);
        a.field(&mut self.shadow);
        a.field(&mut self.shadow_debug);
        a.field(&mut self.pending_debug);
        a.field(&mut self.nmi);
        a.field(&mut self.nmi_blocked);
        if a.is_loading() {
            self.sanitise();
        }
    }

    fn archive_fpu(&mut self, a: &mut Archive<'_>) {
        let f = &mut self.fpu;
        for st in &mut f.registers {
            a.field(&mut st.mantissa);
            a.field(&mut st.sign_exponent);
        }
        a.field(&mut f.control);
        a.field(&mut f.status);
        a.field(&mut f.top);
        a.field(&mut f.tags);
        a.field(&mut f.fop);
        a.field(&mut f.fip);
        a.field(&mut f.fcs);
        a.field(&mut f.fdp);
        a.field(&mut f.fds);
        f.top &= 7;
    }

    /// Makes a loaded state one that the processor can be in.
    fn sanitise(&mut self) {
        self.regs[8] = 0;
        self.cpl &= 3;
        self.mxcsr &= self.mxcsr_mask();
        self.count = self.count.min(crate::machine::LATEST);
        self.at = 0;
        self.stop_at = 0;
        self.set_cpl(self.cpl);
        self.settle_stack();
        self.flush_tlb(true);
        self.settle_stepping();
        self.settle_key();
    }

    /// Bits of MXCSR that exist.
    #[must_use]
    pub const fn mxcsr_mask(&self) -> u32 {
        0xFFFF
    }
}

impl Field for Cpu {
    fn archive(&mut self, a: &mut Archive<'_>) {
        Cpu::archive(self, a);
    }
}
