//! The guest that random code runs in: memory map, descriptor tables, page tables, handlers, registers.

use super::program::{Addresses, Handlers, Program};
use nomad86::cpu::segment::{Descriptor, Segment, TableRegister, attr, seg};
use nomad86::cpu::{Cpu, cr0, cr4};

/// Bytes in a page.
pub const PAGE: u32 = 0x1000;
/// Random code, physical and (without a segment base) linear.
pub const CODE: u32 = 0xC000;
/// Its pages.
pub const CODE_PAGES: u32 = 4;
/// What it works on.
pub const DATA: u32 = 0x1_0000;
/// Its pages.
pub const DATA_PAGES: u32 = 8;
/// All of RAM. Everything is compared.
pub const RAM: u32 = DATA + DATA_PAGES * PAGE;
/// A page of ROM, physical.
pub const ROM: u32 = 0xFFFF_0000;
/// A device, physical.
pub const DEVICE: u32 = 0xA_0000;
/// Nothing is there, physical.
pub const NOTHING: u32 = 0x4000_0000;
/// With paging, code and data are mapped a second time from here on, with rights of their own.
pub const ALIAS: u32 = 0x30_0000;
/// Where the kernel's pages are with paging.
pub(super) const KERNEL: u32 = 0xC000_0000;
const GDT: u32 = 0x1000;
const IDT: u32 = 0x2000;
const TSS: u32 = 0x4000;
pub(super) const HANDLERS: u32 = 0x5000;
const STACK_TOP: u32 = 0x8FF0;
pub(super) const DIRECTORY: u32 = 0x9000;
const TABLE_LOW: u32 = 0xA000;
const TABLE_HIGH: u32 = 0xB000;
/// Vectors with a handler.
pub const VECTORS: u32 = 64;
const STRIDE: u32 = 64;
/// Exceptions that push an error code.
const WITH_CODE: u32 = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

/// Selectors, by what they are for.
pub mod selector {
    /// Flat code and data of the kernel.
    pub const KERNEL: (u16, u16) = (0x08, 0x10);
    /// Flat code and data of the user.
    pub const USER: (u16, u16) = (0x1B, 0x23);
    /// 32-bit segments with base and limit, kernel and user.
    pub const BASED: [(u16, u16); 2] = [(0x28, 0x30), (0x3B, 0x43)];
    /// 16-bit segments, kernel and user.
    pub const NARROW: [(u16, u16); 2] = [(0x48, 0x50), (0x5B, 0x63)];
    /// Read-only flat data.
    pub const READ_ONLY: u16 = 0x6B;
    /// Expand-down data.
    pub const DOWN: u16 = 0x73;
    /// Not present.
    pub const ABSENT: u16 = 0x7B;
    /// A small data segment.
    pub const SMALL: u16 = 0x8B;
    /// Selectors that random code loads.
    pub const ALL: [u16; 16] = [
        0x08, 0x10, 0x1B, 0x23, 0x28, 0x30, 0x3B, 0x43, 0x50, 0x63, READ_ONLY, DOWN, ABSENT, SMALL, 0, 0x1238,
    ];
    pub(super) const TSS: u16 = 0x80;
}

/// Base and limit of the based segments: code, data.
const BASED: [(u32, u32); 2] =
    [(CODE - 0x1000, CODE_PAGES * PAGE + 0xFFF), (DATA - 0x1000, DATA_PAGES * PAGE + 0xFFF)];

const fn descriptor(base: u32, limit: u32, access: u32, big: bool) -> u64 {
    let (limit, granular) = if limit > 0xF_FFFF { (limit >> 12, 1 << 23) } else { (limit, 0) };
    let low = limit & 0xFFFF | base << 16;
    let high = base >> 16 & 0xFF
        | access << 8
        | limit & 0xF_0000
        | granular
        | (big as u32) << 22
        | base & 0xFF00_0000;
    (high as u64) << 32 | low as u64
}

/// The global descriptor table.
fn gdt(kernel: u32) -> [u64; 18] {
    let [(code, code_limit), (data, data_limit)] = BASED;
    [
        0,
        descriptor(0, !0, 0x9B, true),
        descriptor(0, !0, 0x93, true),
        descriptor(0, !0, 0xFB, true),
        descriptor(0, !0, 0xF3, true),
        descriptor(code, code_limit, 0x9B, true),
        descriptor(data, data_limit, 0x93, true),
        descriptor(code, code_limit, 0xFB, true),
        descriptor(data, data_limit, 0xF3, true),
        descriptor(CODE, CODE_PAGES * PAGE - 1, 0x9B, false),
        descriptor(DATA, 0xFFFF, 0x93, false),
        descriptor(CODE, CODE_PAGES * PAGE - 1, 0xFB, false),
        descriptor(DATA, 0xFFFF, 0xF3, false),
        descriptor(0, !0, 0xF1, true),
        descriptor(DATA, 0xFFF, 0xF7, true),
        descriptor(0, !0, 0x73, true),
        descriptor(kernel + TSS, 0x67, 0x8B, false),
        descriptor(DATA + 0x1000, 0x1FFF, 0xF3, true),
    ]
}

/// RAM as the program finds it.
pub(super) fn image(program: &Program, image: &mut [u8]) {
    let kernel = if program.paging() { KERNEL } else { 0 };
    image[..CODE as usize].fill(0);
    let mut put =
        |at: u32, bytes: &[u8]| image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    let real = program.addresses == Addresses::Real;
    for (n, entry) in (0..).zip(gdt(kernel)) {
        put(GDT + 8 * n, &entry.to_le_bytes());
    }
    for vector in 0..VECTORS {
        let handler = kernel + HANDLERS + vector * STRIDE;
        if real {
            put(4 * vector, &handler.to_le_bytes());
            put(HANDLERS + vector * STRIDE, &[0xF4]);
            continue;
        }
        // Users may raise #BP, #OF and everything from 48 on by INT.
        let rights = if matches!(vector, 3 | 4 | 48..) { 0xEE00 } else { 0x8E00 };
        let gate = u64::from(handler & 0xFFFF)
            | u64::from(selector::KERNEL.0) << 16
            | rights << 32
            | u64::from(handler >> 16) << 48;
        put(IDT + 8 * vector, &gate.to_le_bytes());
        put(HANDLERS + vector * STRIDE, &handler_code(program, vector));
    }
    put(TSS + 4, &(kernel + STACK_TOP).to_le_bytes());
    put(TSS + 8, &selector::KERNEL.1.to_le_bytes());
    // The I/O permission map lies behind the limit: no port for users below IOPL.
    put(TSS + 0x66, &0x68_u16.to_le_bytes());
    if program.paging() {
        let table = |at: u32| (at | 7).to_le_bytes();
        put(DIRECTORY, &table(TABLE_LOW));
        put(DIRECTORY + 4 * (KERNEL >> 22), &table(TABLE_HIGH));
        for page in 0..DIRECTORY / PAGE {
            put(TABLE_HIGH + 4 * page, &((page * PAGE) | 0x103).to_le_bytes());
        }
        for (linear, entry) in &program.pages {
            put(TABLE_LOW + 4 * (linear >> 12), &entry.to_le_bytes());
        }
    }
}

/// A handler: ends the run, or goes on somewhere else with pointers as they were in the beginning.
fn handler_code(program: &Program, vector: u32) -> Vec<u8> {
    let Handlers::Resume { targets } = &program.handlers else { return vec![0xF4] };
    let mut code = Vec::with_capacity(STRIDE as usize);
    if WITH_CODE.checked_shr(vector).unwrap_or(0) & 1 != 0 {
        code.extend([0x83, 0xC4, 4]); // add esp, 4
    }
    let target = targets[vector as usize % targets.len()];
    code.extend([0xC7, 0x04, 0x24]); // mov dword [esp], target
    code.extend(target.to_le_bytes());
    code.extend([0x81, 0x64, 0x24, 8]); // and dword [esp + 8], no TF, NT, AC
    code.extend((!0x4_4100_u32).to_le_bytes());
    for (opcode, register) in [(0xBE, 6), (0xBF, 7), (0xBD, 5)] {
        code.push(opcode); // mov esi, edi, ebp
        code.extend(program.registers[register].to_le_bytes());
    }
    if program.user() {
        code.extend([0xC7, 0x44, 0x24, 12]); // mov dword [esp + 12], stack
        code.extend(program.registers[4].to_le_bytes());
    }
    code.push(0xCF);
    code
}

/// Where a program's page-table entry for `linear` (below 4 MiB) is, physical.
pub(super) const fn entry_at(linear: u32) -> u32 {
    TABLE_LOW + 4 * (linear >> 12)
}

/// Puts the processor where the program begins.
pub(super) fn place(cpu: &mut Cpu, program: &Program) {
    cpu.reset();
    cpu.count = 0;
    cpu.halted = false;
    let paging = program.paging();
    let kernel = if paging { KERNEL } else { 0 };
    let real = program.addresses == Addresses::Real;
    let v86 = program.addresses == Addresses::V86;
    cpu.cr0 = cr0::ET | cr0::NE | cr0::MP | program.cr0;
    if !real {
        cpu.cr0 |= cr0::PE;
    }
    if paging {
        cpu.cr0 |= cr0::PG;
        cpu.cr3 = DIRECTORY;
    }
    cpu.cr4 = cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::PGE;
    cpu.gdtr = TableRegister { base: kernel + GDT, limit: 18 * 8 - 1 };
    cpu.idtr = if real {
        TableRegister { base: 0, limit: VECTORS as u16 * 4 - 1 }
    } else {
        TableRegister { base: kernel + IDT, limit: VECTORS as u16 * 8 - 1 }
    };
    cpu.tr = Segment {
        base: kernel + TSS,
        limit: 0x67,
        selector: selector::TSS,
        attributes: attr::PRESENT | 11,
        ..Segment::default()
    };
    let user = program.user();
    cpu.set_flags(
        program.eflags & 0x4_4DD5
            | u32::from(v86) << 17
            | u32::from(program.iopl) << 12
            | program.eflags & 0x200
            | 2,
    );
    cpu.set_cpl(if user { 3 } else { 0 });
    let entries = gdt(kernel);
    let load = |selector: u16| {
        let Some(&e) = entries.get(usize::from(selector >> 3)).filter(|_| selector >= 4) else {
            return Segment::null(0);
        };
        Segment::loaded(selector, Descriptor { low: e as u32, high: (e >> 32) as u32 })
    };
    let rights = usize::from(user);
    let (cs, data) = match program.addresses {
        Addresses::Flat if user => selector::USER,
        Addresses::Flat => selector::KERNEL,
        Addresses::Based => selector::BASED[rights],
        Addresses::Narrow => selector::NARROW[rights],
        Addresses::Real | Addresses::V86 => ((CODE >> 4) as u16, (DATA >> 4) as u16),
    };
    for number in 0..6 {
        let selector = match number {
            seg::CS => cs,
            seg::SS => data,
            seg::FS if !(real || v86) => program.fs_gs[0],
            seg::GS if !(real || v86) => program.fs_gs[1],
            _ => data,
        };
        let register = if real || v86 { Segment::real(selector) } else { load(selector) };
        cpu.set_segment(number, register);
    }
    cpu.regs[..8].copy_from_slice(&program.registers);
    cpu.eip = program.entry;
    if let Some(fx) = &program.fx {
        cpu.fpu.fxrstor(fx);
        cpu.mxcsr = u32::from_le_bytes([fx[24], fx[25], fx[26], fx[27]]);
        for (register, bytes) in cpu.xmm.iter_mut().zip(fx[160..].chunks_exact(16)) {
            let mut image = [0; 16];
            image.copy_from_slice(bytes);
            *register = u128::from_le_bytes(image);
        }
    }
    cpu.settle_stepping();
    cpu.settle_stack();
    cpu.flush_tlb(true);
}
