//! The shared pieces of code: entry, exit, lookups, the way to the interpreter.

use super::asm::{Asm, Rm};
use super::entries::{Entry, TABLE};
use super::{Jit, Shared};
use crate::cpu::Cpu;
use crate::cpu::tlb::{self, ENTRIES};
use crate::memory::Lines;
use core::mem::offset_of;
use dynasm::dynasm;

/// Offsets of what code reaches through r14 and r12.
#[derive(Clone, Copy)]
pub(super) struct Offsets {
    pub(super) flags: i32,
    pub(super) code_page: i32,
    pub(super) link: i32,
    pub(super) alone: i32,
    pub(super) code_tlb: i32,
    pub(super) jumps: i32,
    pub(super) until_hot: i32,
    pub(super) scratch: i32,
    pub(super) stride: i32,
    /// [`crate::cpu::flags::EFlags::system`].
    pub(super) system: i32,
    pub(super) cpl: i32,
    pub(super) addends: i32,
    pub(super) aside: i32,
    pub(super) write_table: i32,
    pub(super) read_span: i32,
    pub(super) write_span: i32,
    pub(super) base: i32,
    pub(super) limit: i32,
    pub(super) mode: i32,
    segments: i32,
}

impl Offsets {
    pub(super) const NEW: Self = Self {
        flags: shared(offset_of!(Shared, flags)),
        code_page: shared(offset_of!(Shared, code_page)),
        link: shared(offset_of!(Shared, link)),
        alone: shared(offset_of!(Shared, alone)),
        code_tlb: CODE_TLB,
        jumps: shared(offset_of!(Shared, jumps)),
        until_hot: shared(offset_of!(Shared, until_hot)),
        scratch: shared(offset_of!(Shared, scratch)),
        stride: shared(offset_of!(Shared, stride)),
        system: (offset_of!(Cpu, flags) + offset_of!(crate::cpu::flags::EFlags, system)) as i32,
        cpl: offset_of!(Cpu, cpl) as i32,
        addends: shared(offset_of!(Shared, addends)),
        aside: shared(offset_of!(Shared, aside)),
        write_table: (ENTRIES * 8) as i32,
        read_span: offset_of!(crate::cpu::segment::Segment, read_span) as i32,
        write_span: offset_of!(crate::cpu::segment::Segment, write_span) as i32,
        base: offset_of!(crate::cpu::segment::Segment, base) as i32,
        limit: offset_of!(crate::cpu::segment::Segment, limit) as i32,
        mode: offset_of!(Cpu, mode) as i32,
        segments: offset_of!(Cpu, seg) as i32,
    };

    /// A segment register's offset.
    pub(super) const fn segment(self, n: u8) -> i32 {
        self.segments + (n as usize % 6 * size_of::<crate::cpu::segment::Segment>()) as i32
    }
}

const fn shared(field: usize) -> i32 {
    (offset_of!(Cpu, jit) + field) as i32
}

const fn r(n: i32) -> i32 {
    offset_of!(Cpu, regs) as i32 + 4 * n
}
const EIP: i32 = offset_of!(Cpu, eip) as i32;
const CS_BASE: i32 = Offsets::NEW.segment(1) + Offsets::NEW.base;
const BUDGET: i32 = shared(offset_of!(Shared, budget));
const TLB: i32 = shared(offset_of!(Shared, tlb));
const CODE_TLB: i32 = shared(offset_of!(Shared, code_tlb));
const INTERPRET: i32 = shared(offset_of!(Shared, interpret));
const MIXED: i32 = shared(offset_of!(Shared, mixed));
const RESOLVE: i32 = shared(offset_of!(Shared, resolve));
const ENTRY_TABLE: i32 = shared(offset_of!(Shared, entries));

/// Offsets of the shared pieces in code memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Thunks {
    /// `fn(cpu, code)`.
    pub(super) enter: usize,
    /// r8d holds a linear address, the flags are in memory: go there, if the table of entry points has it.
    pub(super) lookup: usize,
    /// As `lookup`, but the table is known not to have it: the dispatcher is asked.
    pub(super) miss: usize,
    /// r8d holds a linear address, the flags are in memory: leave.
    pub(super) exit: usize,
    /// CALLed with a site in r11d.
    pub(super) interpret: usize,
    /// CALLed with a linear address in r8d and the size of a write, less one, in r9d: the addend goes to r9, and ZF is
    /// clear, where the page holds code but not there.
    pub(super) mixed: usize,
    /// Those of MOVS and STOS.
    pub(super) string: super::emit::string::Pieces,
    /// Those of x87, MMX and SSE state.
    pub(super) fp: super::fp::Thunks,
    /// Where translated blocks begin.
    pub(super) end: usize,
}

fn save(a: &mut Asm) {
    dynasm!(a ; .arch x64
        ; mov [r14 + r(0)], eax ; mov [r14 + r(1)], ecx ; mov [r14 + r(2)], edx ; mov [r14 + r(3)], ebx
        ; mov [r14 + r(4)], r15d ; mov [r14 + r(5)], ebp ; mov [r14 + r(6)], esi ; mov [r14 + r(7)], edi
        ; mov [r14 + BUDGET], r13);
    super::fp::save(a);
}

fn load(a: &mut Asm) {
    dynasm!(a ; .arch x64
        ; mov eax, [r14 + r(0)] ; mov ecx, [r14 + r(1)] ; mov edx, [r14 + r(2)] ; mov ebx, [r14 + r(3)]
        ; mov r15d, [r14 + r(4)] ; mov ebp, [r14 + r(5)] ; mov esi, [r14 + r(6)] ; mov edi, [r14 + r(7)]);
}

/// All that a helper may have changed.
fn reload(a: &mut Asm) {
    dynasm!(a ; .arch x64 ; mov r12, [r14 + TLB] ; mov r13, [r14 + BUDGET]
        ; mov r8d, [r14 + EIP] ; add r8d, [r14 + CS_BASE]);
    load(a);
}

/// r8d, a linear address, to EIP.
fn store_eip(a: &mut Asm) {
    dynasm!(a ; .arch x64 ; sub r8d, [r14 + CS_BASE] ; mov [r14 + EIP], r8d);
}

/// AH and OF of RFLAGS to memory; r11 is lost.
pub(super) fn save_flags(a: &mut Asm) {
    let at = Offsets::NEW.flags;
    dynasm!(a ; .arch x64 ; mov r11d, eax ; lahf ; seto al);
    a.modrm(2, 0x89, 0, Rm::Field(at));
    dynasm!(a ; .arch x64 ; mov eax, r11d);
}

/// See [`Thunks::mixed`].
fn mixed(a: &mut Asm) {
    const { assert!(size_of::<tlb::Mixed>() == 32 && tlb::MIXED == 256 && size_of::<Lines>() == 32) };
    let (addend, lines) = (tlb::MIXED_ADDEND as i32, tlb::MIXED_LINES as i32);
    let by = Lines::SHIFT as i8;
    let (fail, two) = (a.label(), a.label());
    dynasm!(a ; .arch x64
        ; push rax ; push rcx ; push rdx
        ; mov eax, r8d
        ; and eax, 0xFFF
        ; lea ecx, [rax + r9]
        ; cmp ecx, 0xFFF);
    a.jcc(7, fail);
    dynasm!(a ; .arch x64
        ; mov edx, r8d
        ; shr edx, 12
        ; movzx r9d, dl
        ; shl r9d, 5
        ; add r9, [r14 + MIXED]
        ; inc edx
        ; cmp [r9], edx);
    a.jcc(5, fail);
    dynasm!(a ; .arch x64
        ; mov rdx, [r9 + lines]
        ; mov r9, [r9 + addend]
        ; shr ecx, by
        ; shr eax, by
        ; push rsi
        // Where there is no code any more, the page is to become like all others again.
        ; mov rsi, [rdx] ; or rsi, [rdx + 8] ; or rsi, [rdx + 16] ; or rsi, [rdx + 24]);
    let none = a.label();
    a.jcc(4, none);
    // The first line, the last, and the one between: more than three are for the slow way.
    for next in [true, false] {
        dynasm!(a ; .arch x64 ; mov esi, eax ; shr esi, 6 ; mov rsi, [rdx + rsi * 8] ; bt rsi, rax);
        a.jcc(2, none);
        if next {
            dynasm!(a ; .arch x64 ; sub ecx, eax);
            a.jcc(4, two);
            dynasm!(a ; .arch x64 ; add eax, 1 ; cmp ecx, 2);
            a.jcc(7, none);
        }
    }
    dynasm!(a ; .arch x64 ; lea eax, [rax + rcx - 1] ; mov esi, eax ; shr esi, 6 ; mov rsi, [rdx + rsi * 8] ; bt rsi, rax);
    a.jcc(2, none);
    a.bind(two);
    dynasm!(a ; .arch x64 ; pop rsi ; pop rdx ; pop rcx ; pop rax ; test r9, r9 ; ret);
    a.bind(none);
    dynasm!(a ; .arch x64 ; pop rsi);
    a.bind(fail);
    dynasm!(a ; .arch x64 ; pop rdx ; pop rcx ; pop rax ; xor r9d, r9d ; ret);
}

impl Jit {
    pub(super) fn emit_thunks(&mut self) {
        let a = &mut self.asm;
        a.clear();
        let mut t = Thunks { enter: a.at(), ..Thunks::default() };
        dynasm!(a ; .arch x64
            ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15
            ; sub rsp, 8
            ; mov r14, rdi
            ; mov r9, rsi);
        reload(a);
        dynasm!(a ; .arch x64 ; jmp r9);
        // Resume: a helper has changed everything, EIP included.
        let (resume, miss, leave) = (a.label(), a.label(), a.label());
        a.bind(resume);
        reload(a);
        t.lookup = a.at();
        const { assert!(size_of::<Entry>() == 16) };
        dynasm!(a ; .arch x64
            ; mov r9d, r8d
            ; mov r10, [r14 + CODE_TLB]
            ; shr r9d, 12
            ; mov r10d, [r10 + r9 * 4]
            ; mov r9d, r8d
            ; shr r9d, 16
            ; xor r9d, r8d
            ; and r9d, (TABLE - 1) as i32
            ; shl r9d, 4
            ; add r9, [r14 + ENTRY_TABLE]
            ; cmp [r9], r8d);
        a.jcc(5, miss);
        dynasm!(a ; .arch x64 ; cmp [r9 + 4], r10d);
        a.jcc(5, miss);
        dynasm!(a ; .arch x64 ; jmp QWORD [r9 + 8]);
        a.bind(miss);
        t.miss = a.at();
        store_eip(a);
        save(a);
        dynasm!(a ; .arch x64
            ; mov rdi, r14
            ; call QWORD [r14 + RESOLVE]
            ; test rax, rax);
        a.jcc(4, leave);
        dynasm!(a ; .arch x64 ; mov r9, rax);
        reload(a);
        dynasm!(a ; .arch x64 ; jmp r9);
        t.exit = a.at();
        store_eip(a);
        save(a);
        a.bind(leave);
        dynasm!(a ; .arch x64
            ; add rsp, 8
            ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
            ; ret);
        // One instruction by the interpreter.
        t.interpret = a.at();
        save(a);
        dynasm!(a ; .arch x64
            ; mov rdi, r14
            ; mov esi, r11d
            ; sub rsp, 8
            ; call QWORD [r14 + INTERPRET]
            ; add rsp, 8
            ; test eax, eax);
        let out = a.label();
        a.jcc(5, out);
        load(a);
        dynasm!(a ; .arch x64 ; ret);
        t.mixed = a.at();
        mixed(a);
        t.string = super::emit::string::shared(a);
        t.fp = super::fp::Thunks::emit(a, save, load, out);
        a.bind(out);
        dynasm!(a ; .arch x64 ; add rsp, 8 ; cmp eax, 2);
        a.jcc(4, resume);
        a.jmp(leave);
        let base = self.place().hot;
        t.string.iter_mut().flatten().flatten().for_each(|offset| *offset += base);
        let fp = &mut t.fp;
        for offset in [
            &mut t.enter,
            &mut t.lookup,
            &mut t.miss,
            &mut t.exit,
            &mut t.interpret,
            &mut t.mixed,
            &mut fp.unload,
            &mut fp.load,
            &mut fp.fill,
        ] {
            *offset += base;
        }
        t.end = self.at;
        self.thunks = t;
    }
}
