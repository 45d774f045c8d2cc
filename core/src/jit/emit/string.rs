//! String instructions.
//!
//! MOVS and STOS on flat segments, repeated or not, where all elements lie in one page on each side: the host's own
//! instruction on host addresses, which treats overlapping elements as the guest's does. The pieces of code are
//! shared; they are CALLed and answer with ZF set when all is done, or with ZF clear and nothing changed.
//!
//! Single elements otherwise: as any other access.

use super::*;
use crate::cpu::Cpu;
use crate::cpu::flags::{EFlags, bit};
use crate::cpu::tlb::ENTRIES;
use core::mem::offset_of;

const SYSTEM: i32 = (offset_of!(Cpu, flags) + offset_of!(EFlags, system)) as i32;
const DF: i32 = bit::DF as i32;
const ESI: u8 = 6;
const EDI: u8 = 7;
const ES: u8 = 0;
const WRITE_TABLE: i32 = (ENTRIES * 8) as i32;

/// Positions of the shared pieces: [STOS, not MOVS][log2 of the element's size][repeated].
pub(in crate::jit) type Pieces = [[[usize; 2]; 3]; 2];

/// Emits the shared pieces, positions relative to the assembler's beginning.
pub(in crate::jit) fn shared(a: &mut Asm) -> Pieces {
    let mut pieces = Pieces::default();
    for (stos, sizes) in pieces.iter_mut().enumerate() {
        for (shift, kinds) in sizes.iter_mut().enumerate() {
            for (repeated, at) in kinds.iter_mut().enumerate() {
                *at = a.at();
                piece(a, stos != 0, shift as u8, repeated != 0);
            }
        }
    }
    pieces
}

fn piece(a: &mut Asm, stos: bool, shift: u8, repeated: bool) {
    let (done, slow, backward) = (a.label(), a.label(), a.label());
    if repeated {
        let most = 0x1000 >> shift;
        dynasm!(a ; .arch x64 ; test ecx, ecx);
        a.jcc(4, done);
        dynasm!(a ; .arch x64 ; cmp ecx, most);
        a.jcc(7, slow);
    }
    dynasm!(a ; .arch x64 ; test DWORD [r14 + SYSTEM], DF);
    a.jcc(5, backward);
    for down in [false, true] {
        if down {
            a.bind(backward);
        }
        if !stos {
            look_up(a, ESI, shift, repeated, down, R9, slow);
        }
        look_up(a, EDI, shift, repeated, down, R8, slow);
        if down {
            dynasm!(a ; .arch x64 ; std);
        }
        if !stos {
            dynasm!(a ; .arch x64 ; add rsi, r9);
        }
        dynasm!(a ; .arch x64 ; add rdi, r8);
        if shift == 1 {
            a.push(0x66);
        }
        if repeated {
            a.push(0xF3);
        }
        a.push(if stos { 0xAA } else { 0xA4 } | u8::from(shift != 0));
        if down {
            dynasm!(a ; .arch x64 ; cld);
        }
        // Behind the last element of the address space comes the first.
        if !stos {
            dynasm!(a ; .arch x64 ; sub rsi, r9 ; mov esi, esi);
        }
        dynasm!(a ; .arch x64 ; sub rdi, r8 ; mov edi, edi ; cmp eax, eax ; ret);
    }
    a.bind(slow);
    dynasm!(a ; .arch x64 ; test rsp, rsp);
    a.bind(done);
    dynasm!(a ; .arch x64 ; ret);
}

/// The addend for the elements from a register on (or, `down`, up to it) goes to r9, of memory that is read, or r8,
/// of memory that is written.
fn look_up(a: &mut Asm, register: u8, shift: u8, repeated: bool, down: bool, to: u8, slow: Label) {
    let size = 1 << shift;
    // The last byte, and the first one less it.
    match (repeated, down) {
        (true, false) => a.lea(to, Some(register), Some((1, shift)), -1),
        (true, true) => {
            // First byte: register − (count − 1) · size.
            a.mov(to, 1);
            a.modrm(4, 0xF7, 3, Rm::Reg(to)); // NEG
            a.lea(to, Some(register), Some((to, shift)), size);
        }
        (false, _) => a.lea(to, Some(register), None, size - 1),
    }
    if repeated && down && size > 1 {
        // The last byte is that of the element at the register.
        a.lea(R11, Some(register), None, size - 1);
        a.modrm(4, 0x33, to, Rm::Reg(R11));
    } else {
        a.modrm(4, 0x33, to, Rm::Reg(register));
    }
    page(a, to);
    a.jcc(5, slow);
    a.mov(to, register);
    page(a, to);
    if to == R8 {
        dynasm!(a ; .arch x64 ; mov r8, [r12 + r8 * 8 + WRITE_TABLE] ; test r8, r8);
    } else {
        dynasm!(a ; .arch x64 ; mov r9, [r12 + r9 * 8] ; test r9, r9);
    }
    a.jcc(4, slow);
}

/// SHR to, 12.
fn page(a: &mut Asm, to: u8) {
    a.modrm(4, 0xC1, 5, Rm::Reg(to));
    a.push(12);
}

impl Emitter<'_> {
    /// MOVS CMPS STOS LODS SCAS.
    pub(super) fn string(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let stos = match i.row().opcode {
            0xA4 | 0xA5 => Some(0),
            0xAA | 0xAB => Some(1),
            _ => None,
        };
        let source = stos == Some(1) || mode::is_flat(self.mode, i.segment);
        let flat = !i.addr16() && mode::is_flat(self.mode, ES) && source;
        let Some(stos) = stos.filter(|_| flat) else {
            return if i.rep() { None } else { self.one_element(i, p) };
        };
        let shift = match (i.row().opcode & 1, i.oper16()) {
            (0, _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        self.clobber_flags(self.before(i, p));
        let slow = self.asm.label();
        self.asm.call_outside(self.thunks.string[stos][shift][usize::from(i.rep())]);
        self.asm.jcc(5, slow);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// One element.
    fn one_element(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let opcode = i.row().opcode;
        let size = match opcode & 1 {
            0 => 1,
            _ if i.oper16() => 2,
            _ => 4,
        };
        let wide = u32::from(size != 1);
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        let (source, target) = match opcode & !1 {
            // MOVS: through r11.
            0xA4 => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, R11, Rm::Guest);
                self.element(i, (ES, EDI), size, true, slow);
                self.asm.modrm(size, 0x88 + wide, R11, Rm::Guest);
                (true, true)
            }
            // CMPS.
            0xA6 => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, R11, Rm::Guest);
                self.element(i, (ES, EDI), size, false, slow);
                self.asm.modrm(size, 0x3A + wide, R11, Rm::Guest);
                (true, true)
            }
            // STOS.
            0xAA => {
                self.element(i, (ES, EDI), size, true, slow);
                self.asm.modrm(size, 0x88 + wide, 0, Rm::Guest);
                (false, true)
            }
            // LODS.
            0xAC => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, 0, Rm::Guest);
                (true, false)
            }
            // SCAS.
            0xAE => {
                self.element(i, (ES, EDI), size, false, slow);
                self.asm.modrm(size, 0x3A + wide, 0, Rm::Guest);
                (false, true)
            }
            _ => return None,
        };
        for register in [(source, ESI), (target, EDI)].into_iter().filter_map(|(moves, r)| moves.then_some(r))
        {
            let stride = self.o.stride;
            self.asm.modrm(4, 0x8B, R8, Rm::Field(stride));
            let scaled = Some((R8, size.trailing_zeros() as u8));
            if i.addr16() {
                self.asm.lea(R8, Some(register), scaled, 0);
                self.asm.modrm(2, 0x89, R8, Rm::Reg(register));
            } else {
                self.asm.lea(register, Some(register), scaled, 0);
            }
        }
        self.flags_done(i);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// Checks the element that an index register points to: afterwards it is `[r9 + r8]`.
    fn element(&mut self, i: &Inst, (segment, register): (u8, u8), size: u8, write: bool, slow: Label) {
        self.asm.modrm(4, if i.addr16() { 0x0FB7 } else { 0x8B }, R8, Rm::Reg(register));
        self.segment(segment, size, write, slow);
        self.check(size, write, slow);
    }

    /// XLAT.
    pub(super) fn translate_byte(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        dynasm!(self.asm ; .arch x64 ; movzx r8d, al ; lea r8d, [rbx + r8]);
        if i.addr16() {
            dynasm!(self.asm ; .arch x64 ; movzx r8d, r8w);
        }
        self.segment(i.segment, 1, false, slow);
        self.check(1, false, slow);
        self.asm.modrm(1, 0x8A, 0, Rm::Guest);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
