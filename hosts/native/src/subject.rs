//! Our processor in the place of the host's: the same cases, the same outcomes.
//!
//! It stands in protected mode with PAE paging as under the host's kernel: code page and data area for the
//! user, the same selectors, exceptions through an IDT to handlers at CPL 0, each a HLT.

use crate::flat::Flat;
use crate::oracle::{
    CODE_BASE, CODE_MAX, CODE_SIZE, Case, DATA_BASE, DATA_SIZE, Descriptor, OracleError, Outcome, Segment,
    Stop,
};
use nomad86::config::CpuModel;
use nomad86::cpu::block::{BlockCache, CacheSize};
use nomad86::cpu::segment::{Descriptor as Entry, Segment as Register, TableRegister, attr};
use nomad86::cpu::{Cpu, Io, Stop as CpuStop, cr0, cr4};

/// Where the kernel's part of the linear address space begins. The host has nothing there for user code.
const KERNEL: u32 = 0xE000_0000;
/// Its pages, as offsets from there and as physical addresses.
const GDT: u32 = 0x1000;
const IDT: u32 = 0x2000;
const LDT: u32 = 0x3000;
const TSS: u32 = 0x4000;
const HANDLERS: u32 = 0x5000;
const STACK_TOP: u32 = 0x8000;
const KERNEL_PAGES: u32 = 16;
/// Page tables, physical.
const POINTERS: u32 = 0x1_0000;
const DIRECTORY_LOW: u32 = 0x1_1000;
const DIRECTORY_HIGH: u32 = 0x1_2000;
const TABLE_LOW: u32 = 0x1_3000;
const TABLE_DATA: u32 = 0x1_4000;
const TABLE_HIGH: u32 = 0x1_5000;

const KERNEL_CS: u16 = 0x08;
const KERNEL_DS: u16 = 0x18;
const TSS_SELECTOR: u16 = 0x40;
const LDT_SELECTOR: u16 = 0x50;

const HLT: u8 = 0xF4;
/// More instructions than any case needs.
const ENOUGH: u64 = 2000;
/// Exceptions that push an error code.
const WITH_CODE: u32 = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

/// Our processor, ready for cases.
pub struct Subject {
    cpu: Cpu,
    cache: BlockCache,
    /// The recompiler, when the subject is to run through it.
    pub jit: Option<nomad86::jit::Jit>,
    flat: Flat,
    used: (usize, usize),
    /// Execute without the block cache.
    pub uncached: bool,
}

/// The recompiler, translating each block when it is first entered, if `NOMAD86_ENGINE` asks
/// for it with `jit` or, so that flags which nobody looks at are exact as well, `jit-precise`.
///
/// # Panics
/// When the host cannot give it memory.
fn recompiler() -> Option<nomad86::jit::Jit> {
    let engine = std::env::var("NOMAD86_ENGINE").unwrap_or_default();
    let precise = engine == "jit-precise";
    if engine != "jit" && !precise {
        return None;
    }
    let memory = nomad86_host::code::DualMapping::new(16 << 20).expect("the host grants executable memory");
    let mut jit = nomad86::jit::Jit::new(Box::new(memory), CACHE.blocks, precise).expect("16 MiB are enough");
    jit.set_threshold(1);
    Some(jit)
}

/// Sizes of the block cache.
const CACHE: CacheSize = CacheSize { instructions: 1 << 14, blocks: 1 << 12 };

impl Default for Subject {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject {
    /// A processor with everything that ours has.
    #[must_use]
    pub fn new() -> Self {
        let size = 4 << 20;
        let cache = BlockCache::new(size >> 12, CACHE);
        let mut subject = Self {
            cpu: Cpu::new(CpuModel::Max),
            cache,
            flat: Flat::new(size),
            used: (0, CODE_SIZE),
            uncached: false,
            jit: recompiler(),
        };
        subject.build_tables();
        let cpu = &mut subject.cpu;
        cpu.cr0 = cr0::PG | cr0::AM | cr0::WP | cr0::NE | cr0::ET | cr0::MP | cr0::PE;
        cpu.cr4 = cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        cpu.msr.efer = 1 << 11;
        cpu.cr3 = POINTERS;
        cpu.pdpte = [u64::from(DIRECTORY_LOW) | 1, 0, 0, 0];
        cpu.pdpte[3] = u64::from(DIRECTORY_HIGH) | 1;
        cpu.gdtr = TableRegister { base: KERNEL + GDT, limit: 16 * 8 - 1 };
        cpu.idtr = TableRegister { base: KERNEL + IDT, limit: 0x7FF };
        let system = |selector, base, limit, kind: u16| Register {
            base,
            limit,
            selector,
            attributes: attr::PRESENT | kind,
            ..Register::default()
        };
        cpu.tr = system(TSS_SELECTOR, KERNEL + TSS, 0x67, 11);
        cpu.ldtr = system(LDT_SELECTOR, KERNEL + LDT, Segment::LOCAL.len() as u32 * 8 - 1, 2);
        cpu.flush_tlb(true);
        subject
    }

    /// The data area.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.flat.memory.backing()[DATA_BASE as usize..DATA_BASE as usize + DATA_SIZE]
    }

    /// The data area, to prepare it for the next case.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.flat.memory().backing_mut()[DATA_BASE as usize..DATA_BASE as usize + DATA_SIZE]
    }

    /// Runs one case to its end.
    ///
    /// # Errors
    /// When the case is none.
    pub fn run(&mut self, case: &Case<'_>) -> Result<Outcome, OracleError> {
        let end = case.offset + case.code.len();
        if end > CODE_MAX {
            return Err(OracleError::BadCase("too much code"));
        }
        let hlts = [HLT; CODE_SIZE];
        let memory = self.flat.memory();
        memory.write(u64::from(CODE_BASE) + self.used.0 as u64, &hlts[self.used.0..self.used.1]);
        memory.write(u64::from(CODE_BASE) + case.offset as u64, case.code);
        self.used = (case.offset, end);
        self.cache.drop_overwritten(self.flat.memory(), self.jit.as_mut());
        self.load(case);
        let limit = self.cpu.count + ENOUGH;
        let stop = if self.uncached {
            self.step_until(limit)
        } else {
            self.cpu.run(&mut self.cache, self.jit.as_mut(), limit, &mut self.flat)
        };
        Ok(self.outcome(case, stop))
    }

    fn step_until(&mut self, limit: u64) -> CpuStop {
        while self.cpu.count < limit {
            if let Err(stop) = self.cpu.step(&mut self.cache, &mut self.flat) {
                return stop;
            }
            if self.cpu.halted {
                return CpuStop::Halt;
            }
        }
        CpuStop::Boundary
    }

    fn load(&mut self, case: &Case<'_>) {
        let cpu = &mut self.cpu;
        cpu.halted = false;
        cpu.shadow = false;
        cpu.shadow_debug = false;
        cpu.pending_debug = 0;
        cpu.dr[6] = 0xFFFF_0FF0;
        cpu.regs[..8].copy_from_slice(&case.gpr);
        cpu.set_cpl(3);
        let s = &case.segments;
        for (number, segment) in [s.es, s.cs, s.ss, s.ds, s.fs, s.gs].into_iter().enumerate() {
            let register = match segment.descriptor(number == 1) {
                Some(d) => Register::loaded(d.selector, entry(&d)),
                None => Register::null(0),
            };
            cpu.set_segment(number, register);
        }
        let base = s.cs.descriptor(true).map_or(0, |d| d.base);
        cpu.eip = CODE_BASE.wrapping_add(case.offset as u32).wrapping_sub(base);
        cpu.set_flags(case.eflags & 0x25_4DD5 | 0x202);
        if let Some(fx) = case.fx {
            cpu.fpu.fxrstor(fx);
            cpu.mxcsr = u32::from_le_bytes([fx[24], fx[25], fx[26], fx[27]]);
            for (register, bytes) in cpu.xmm.iter_mut().zip(fx[160..].chunks_exact(16)) {
                let mut image = [0; 16];
                image.copy_from_slice(bytes);
                *register = u128::from_le_bytes(image);
            }
        }
    }

    fn outcome(&mut self, case: &Case<'_>, stop: CpuStop) -> Outcome {
        let fx = case.fx.map(|_| {
            let mut image = [0; 512];
            self.cpu.fpu.fxsave(&mut image);
            image[24..28].copy_from_slice(&self.cpu.mxcsr.to_le_bytes());
            for (register, bytes) in self.cpu.xmm.iter().zip(image[160..].chunks_exact_mut(16)) {
                bytes.copy_from_slice(&register.to_le_bytes());
            }
            image
        });
        let cpu = &self.cpu;
        let mut gpr = [0; 8];
        gpr.copy_from_slice(&cpu.regs[..8]);
        let mut selectors: [u16; 6] = core::array::from_fn(|n| cpu.seg[n].selector);
        let (mut eip, mut eflags) = (cpu.eip, cpu.flags.image());
        let in_handler = cpu.cpl == 0 && stop == CpuStop::Halt;
        if !in_handler {
            return Outcome { gpr, eip, eflags, selectors, stop: Stop::Endless, fx };
        }
        let vector = cpu.eip.wrapping_sub(KERNEL + HANDLERS + 1) as u8;
        let word = |n: u32| {
            let at = (cpu.regs[4].wrapping_sub(KERNEL) + 4 * n) as usize;
            let bytes = self.flat.memory.backing().get(at..at + 4);
            bytes.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        let has_code = WITH_CODE.checked_shr(u32::from(vector)).unwrap_or(0) & 1;
        let error = if has_code != 0 { word(0) } else { 0 };
        eip = word(has_code);
        selectors[1] = word(has_code + 1) as u16;
        eflags = word(has_code + 2);
        gpr[4] = word(has_code + 3);
        selectors[2] = word(has_code + 4) as u16;
        let stop = if vector == 13 && error == 0 && self.at_halt(selectors[1], eip) {
            Stop::Halt
        } else {
            Stop::Fault { vector, error, address: cpu.cr2 }
        };
        Outcome { gpr, eip, eflags, selectors, stop, fx }
    }

    fn at_halt(&self, cs: u16, eip: u32) -> bool {
        let base = [Segment::Flat, Segment::Code16, Segment::Code32]
            .iter()
            .filter_map(|s| s.descriptor(true))
            .find(|d| d.selector == cs)
            .map(|d| d.base);
        let Some(base) = base else { return false };
        let offset = base.wrapping_add(eip).wrapping_sub(CODE_BASE) as usize;
        let code = CODE_BASE as usize;
        offset < CODE_SIZE && self.flat.memory.backing()[code + offset] == HLT
    }

    fn put(&mut self, at: u32, value: u64) {
        let at = at as usize;
        self.flat.memory().backing_mut()[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn build_tables(&mut self) {
        // As the host's kernel has them: 32-bit and 64-bit kernel code, kernel data, user code, user data,
        // 64-bit user code.
        let flat = [0x00CF_9B00, 0x00AF_9B00, 0x00CF_9300, 0x00CF_FB00, 0x00CF_F300, 0x00AF_FB00];
        for (n, high) in (1..).zip(flat) {
            self.put(GDT + 8 * n, high << 32 | 0xFFFF);
        }
        let system = |base: u32, limit: u32, kind: u64| {
            let (base, limit) = (u64::from(base), u64::from(limit));
            limit | (base & 0xFF_FFFF) << 16 | kind << 40 | (base >> 24) << 56
        };
        self.put(GDT + u32::from(TSS_SELECTOR), system(KERNEL + TSS, 0x67, 0x8B));
        self.put(GDT + u32::from(LDT_SELECTOR), system(KERNEL + LDT, 47, 0x82));
        for (n, segment) in Segment::LOCAL.into_iter().enumerate() {
            let code = matches!(segment, Segment::Code16 | Segment::Code32);
            let e = segment.descriptor(code).map(|d| entry(&d)).unwrap_or_default();
            self.put(LDT + 8 * n as u32, u64::from(e.high) << 32 | u64::from(e.low));
        }
        for vector in 0..256 {
            // The host's kernel lets users raise #BP and #OF by INT.
            let rights: u64 = if matches!(vector, 3 | 4) { 0xEE00 } else { 0x8E00 };
            let handler = u64::from(KERNEL + HANDLERS + vector);
            let gate = handler & 0xFFFF | u64::from(KERNEL_CS) << 16 | rights << 32 | (handler >> 16) << 48;
            self.put(IDT + 8 * vector, gate);
        }
        self.put(TSS + 4, u64::from(KERNEL_DS) << 32 | u64::from(KERNEL + STACK_TOP));
        // No I/O permission map.
        self.put(TSS + 0x60, 0x68 << 48);
        let memory = self.flat.memory().backing_mut();
        memory[HANDLERS as usize..HANDLERS as usize + 256].fill(HLT);
        memory[CODE_BASE as usize..CODE_BASE as usize + CODE_SIZE].fill(HLT);
        self.map();
    }

    fn map(&mut self) {
        const PRESENT: u64 = 1;
        const WRITE: u64 = 2;
        const USER: u64 = 4;
        const NX: u64 = 1 << 63;
        self.put(POINTERS, u64::from(DIRECTORY_LOW) | PRESENT);
        self.put(POINTERS + 24, u64::from(DIRECTORY_HIGH) | PRESENT);
        let table = PRESENT | WRITE | USER;
        self.put(DIRECTORY_LOW, u64::from(TABLE_LOW) | table);
        self.put(DIRECTORY_LOW + 8, u64::from(TABLE_DATA) | table);
        self.put(DIRECTORY_HIGH + (KERNEL >> 21 & 511) * 8, u64::from(TABLE_HIGH) | table);
        self.put(TABLE_LOW + (CODE_BASE >> 12 & 511) * 8, u64::from(CODE_BASE) | PRESENT | USER);
        for page in 0..DATA_SIZE as u32 >> 12 {
            let at = DATA_BASE + (page << 12);
            self.put(TABLE_DATA + (at >> 12 & 511) * 8, u64::from(at) | PRESENT | WRITE | USER | NX);
        }
        for page in 0..KERNEL_PAGES {
            self.put(TABLE_HIGH + page * 8, u64::from(page << 12) | PRESENT | WRITE);
        }
    }
}

/// The descriptor as it stands in a table: DPL 3, present, accessed.
fn entry(d: &Descriptor) -> Entry {
    let paged = d.limit > 0xF_FFFF;
    let limit = if paged { d.limit >> 12 } else { d.limit };
    let kind = u32::from(d.code) << 3 | u32::from(d.expand_down) << 2 | u32::from(d.writable) << 1 | 1;
    Entry {
        low: limit & 0xFFFF | d.base << 16,
        high: d.base >> 16 & 0xFF
            | (0xF0 | kind) << 8
            | limit & 0xF_0000
            // The kernel sets the available bit of entries of the local table.
            | u32::from(d.selector & 4 != 0) << 20
            | u32::from(d.big) << 22
            | u32::from(paged) << 23
            | d.base & 0xFF00_0000,
    }
}
