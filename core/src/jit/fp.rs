//! x87, MMX and SSE state in translated code: it lives in the host's registers of the same name.
//!
//! XMM registers and MXCSR are in [`Cpu`] whenever Rust runs, and loaded again when translated code next asks for
//! them. The x87's registers stay in the host across calls, since Rust's code does not use them there, and go back
//! to the [`Cpu`] when somebody wants to see them: before an instruction on them is interpreted, and on leaving.
//! [`Shared::live`] tells what is where.
//!
//! State is loaded only while its instructions need no attention: the system has enabled them, and all exceptions
//! are masked. Otherwise they are interpreted.
#![allow(unsafe_code)]

use super::Shared;
use super::asm::Asm;
use super::x64::Site;
use crate::cpu::segment::{Segment, seg};
use crate::cpu::{Cpu, cr0, cr4};
use crate::fpu::{Fpu, flag};
use crate::isa::Inst;
use crate::isa::decode::Features;
use crate::isa::row::{Feature, state};
use core::mem::offset_of;
use dynasm::dynasm;

/// Whether the host's code may use these registers at all: not in kernels built without them.
const USABLE: bool = cfg!(target_feature = "sse2");
/// MXCSR as Rust's code wants it, exception flags aside.
const DEFAULT: u32 = 0x1F80;
const FLAGS: u32 = 0x3F;

const LIVE: i32 = shared(offset_of!(Shared, live));
const IMAGE: i32 = shared(offset_of!(Shared, image));
const MXCSR: i32 = offset_of!(Cpu, mxcsr) as i32;
const MXCSR_DEFAULT: i32 = shared(offset_of!(Shared, mxcsr));
const FILL: i32 = shared(offset_of!(Shared, fill));

const fn shared(field: usize) -> i32 {
    (offset_of!(Cpu, jit) + field) as i32
}

const fn xmm(n: i32) -> i32 {
    offset_of!(Cpu, xmm) as i32 + 16 * n
}

const fn fpu(field: usize) -> i32 {
    (offset_of!(Cpu, fpu) + field) as i32
}

/// Offsets of what the emitter reaches through r14.
pub(super) mod at {
    use super::*;
    /// [`Shared::live`].
    pub(in crate::jit) const LIVE: i32 = super::LIVE;
    /// Last instruction pointer.
    pub(in crate::jit) const FIP: i32 = fpu(offset_of!(Fpu, fip));
    /// Its segment.
    pub(in crate::jit) const FCS: i32 = fpu(offset_of!(Fpu, fcs));
    /// Its opcode.
    pub(in crate::jit) const FOP: i32 = fpu(offset_of!(Fpu, fop));
    /// Last operand pointer.
    pub(in crate::jit) const FDP: i32 = fpu(offset_of!(Fpu, fdp));
    /// Its segment.
    pub(in crate::jit) const FDS: i32 = fpu(offset_of!(Fpu, fds));
    /// A segment register's selector, from the segment register on.
    pub(in crate::jit) const SELECTOR: i32 = offset_of!(Segment, selector) as i32;
}

/// Opcode bits as the x87 reports them.
pub(super) fn opcode(i: &Inst) -> u16 {
    (i.row().opcode as u16 & 7) << 8 | u16::from(i.reg[2])
}

/// Extensions that the host's processor has.
pub(super) fn host_features() -> Features {
    use Feature as F;
    if !USABLE {
        return Features(0);
    }
    let leaf = core::arch::x86_64::__cpuid(1);
    // Every x86-64 has these.
    let mut f = [F::Base, F::I486, F::Pentium, F::Cmov, F::Mmx, F::Fxsr, F::Sse, F::Sse2]
        .into_iter()
        .fold(Features(0), Features::with);
    for (feature, bit) in crate::cpu::cpuid::LEAF1_ECX {
        if leaf.ecx >> bit & 1 != 0 {
            f = f.with(feature);
        }
    }
    f
}

/// Whether the host's processor is AMD's, whose choices the interpreter makes where makers differ.
pub(super) fn host_is_amd() -> bool {
    core::arch::x86_64::__cpuid(0).ebx == u32::from_le_bytes(*b"Auth")
}

/// XMM state to the processor's fields, before Rust runs. RFLAGS and r8 are lost.
pub(super) fn save(a: &mut Asm) {
    let done = a.label();
    dynasm!(a ; .arch x64 ; test BYTE [r14 + LIVE], state::XMM as i8);
    a.jcc(4, done);
    dynasm!(a ; .arch x64
        ; and BYTE [r14 + LIVE], !state::XMM as i8
        ; movaps [r14 + xmm(0)], xmm0 ; movaps [r14 + xmm(1)], xmm1
        ; movaps [r14 + xmm(2)], xmm2 ; movaps [r14 + xmm(3)], xmm3
        ; movaps [r14 + xmm(4)], xmm4 ; movaps [r14 + xmm(5)], xmm5
        ; movaps [r14 + xmm(6)], xmm6 ; movaps [r14 + xmm(7)], xmm7
        ; stmxcsr [r14 + MXCSR]
        ; mov r8d, [r14 + MXCSR]
        ; and r8d, !FLAGS as i32
        ; cmp r8d, DEFAULT as i32);
    a.jcc(4, done);
    dynasm!(a ; .arch x64 ; ldmxcsr [r14 + MXCSR_DEFAULT]);
    a.bind(done);
}

/// Functions that the processor calls and translated code calls.
#[derive(Clone, Copy, Default)]
pub(super) struct Thunks {
    /// `fn(cpu)`: x87 state to the image.
    pub(super) unload: usize,
    /// `fn(cpu)`: x87 state from the image.
    pub(super) load: usize,
    /// CALLed with a site in r11d and the register files wanted in r9d: they are in the host's registers
    /// afterwards, and r10 is what it was.
    pub(super) fill: usize,
}

impl Thunks {
    /// Emits them, positions relative to the assembler's beginning. `out` is where to go when the interpreter
    /// has executed the site's instruction instead; the return address is on the stack there.
    pub(super) fn emit(
        a: &mut Asm,
        save_registers: fn(&mut Asm),
        load_registers: fn(&mut Asm),
        out: super::asm::Label,
    ) -> Self {
        let unload = a.at();
        dynasm!(a ; .arch x64 ; fxsave64 [rdi + IMAGE] ; fninit ; ret);
        let load = a.at();
        dynasm!(a ; .arch x64 ; fxrstor64 [rdi + IMAGE] ; ret);
        let fill = a.at();
        // What is in registers now goes to memory first, and must come back.
        dynasm!(a ; .arch x64 ; movzx r8d, BYTE [r14 + LIVE] ; and r8d, state::XMM as i32 ; or r9d, r8d);
        save_registers(a);
        dynasm!(a ; .arch x64
            ; mov rdi, r14
            ; mov esi, r11d
            ; mov edx, r9d
            ; push r10
            ; call QWORD [r14 + FILL]
            ; pop r10
            ; test eax, eax);
        a.jcc(5, out);
        load_registers(a);
        let done = a.label();
        dynasm!(a ; .arch x64 ; test BYTE [r14 + LIVE], state::XMM as i8);
        a.jcc(4, done);
        dynasm!(a ; .arch x64
            ; movaps xmm0, [r14 + xmm(0)] ; movaps xmm1, [r14 + xmm(1)]
            ; movaps xmm2, [r14 + xmm(2)] ; movaps xmm3, [r14 + xmm(3)]
            ; movaps xmm4, [r14 + xmm(4)] ; movaps xmm5, [r14 + xmm(5)]
            ; movaps xmm6, [r14 + xmm(6)] ; movaps xmm7, [r14 + xmm(7)]
            ; ldmxcsr [r14 + MXCSR]);
        a.bind(done);
        dynasm!(a ; .arch x64 ; ret);
        Self { unload, load, fill }
    }
}

/// Whether instructions on these register files need no attention now.
fn allowed(c: &Cpu, files: u8) -> bool {
    let enabled = c.cr0 & (cr0::EM | cr0::TS) == 0;
    let x87 = c.fpu.control & flag::ALL == flag::ALL && !c.fpu.pending();
    let xmm = c.cr4 & cr4::OSFXSR != 0 && c.mxcsr & DEFAULT == DEFAULT;
    enabled
        && (files & state::X87 == 0 || c.jit.live & state::X87 != 0 || x87)
        && (files & state::XMM == 0 || xmm)
}

/// Calls one of the two functions that move x87 state.
fn call(c: &mut Cpu, function: usize) {
    // SAFETY: `Jit::enter` stored the address of emitted code, which moves the image inside `c` to or from the
    // host's x87 registers. Nothing but translated code uses those between the two.
    unsafe {
        let function: unsafe extern "sysv64" fn(*mut Cpu) = core::mem::transmute(function);
        function(c);
    }
}

/// Takes the x87's registers back from the host.
pub(super) fn spill(c: &mut Cpu) {
    if c.jit.live & state::X87 == 0 {
        return;
    }
    call(c, c.jit.unload);
    c.jit.live &= !state::X87;
    // The pointers there are those of translated code.
    let Fpu { fop, fip, fcs, fdp, fds, .. } = c.fpu;
    let image = c.jit.image;
    c.fpu.fxrstor(&image.0);
    (c.fpu.fop, c.fpu.fip, c.fpu.fcs, c.fpu.fdp, c.fpu.fds) = (fop, fip, fcs, fdp, fds);
}

/// After anything that may have disabled the x87: state that is loaded may be used.
pub(super) fn settle(c: &mut Cpu) {
    if c.jit.live != 0 && c.cr0 & (cr0::EM | cr0::TS) != 0 {
        spill(c);
    }
}

/// Before an instruction is interpreted: notes the pointers of the x87 instructions before it, and takes back what
/// it works on.
pub(super) fn before(c: &mut Cpu, i: &Inst, s: &Site) {
    if s.x87 != 0 {
        note(c, s);
    }
    if c.jit.live & i.row().state & state::X87 != 0 {
        spill(c);
    }
}

#[cold]
fn note(c: &mut Cpu, s: &Site) {
    let inst = |distance: u8| {
        // SAFETY: the site's block holds as many instructions before this one.
        unsafe { &*s.inst.sub(usize::from(distance)) }
    };
    let i = inst(s.x87);
    let ip = c.block_eip.wrapping_add(u32::from(i.end - u16::from(i.len)));
    c.fpu.note_instruction(opcode(i), c.seg[seg::CS].selector, ip);
    if s.x87_memory != 0 {
        // The offset is there already.
        c.fpu.fds = c.seg[usize::from(inst(s.x87_memory).segment & 7)].selector;
    }
}

/// Puts register files into the host's registers; false when their instructions must be interpreted.
pub(super) fn load(c: &mut Cpu, files: u8) -> bool {
    if !allowed(c, files) {
        return false;
    }
    if files & !c.jit.live & state::X87 != 0 {
        let mut image = c.jit.image;
        c.fpu.fxsave(&mut image.0);
        image.0[24..28].copy_from_slice(&DEFAULT.to_le_bytes());
        c.jit.image = image;
        call(c, c.jit.load);
    }
    c.jit.live |= files;
    true
}

/// In the files that the fill thunk is called with: the instruction has been executed already.
pub(super) const BEHIND: u8 = 1 << 7;
