//! Arithmetic, logic, shifts, bits.

use super::*;
use crate::isa::Row;

impl Emitter<'_> {
    /// Number of an instruction in group 1 (ADD OR ADC SBB AND SUB XOR CMP).
    pub(super) fn group1(row: &Row) -> u8 {
        row.digit.unwrap_or(row.opcode as u8 >> 3 & 7)
    }

    /// Two-operand arithmetic.
    pub(super) fn alu(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let digit = Self::group1(i.row());
        let (a, b) = (Self::operand(i, 0)?, Self::operand(i, 1)?);
        let size = Self::size(i, 0);
        let base = u32::from(digit) * 8;
        let compare = digit == 7;
        Some(match (a, b) {
            (Opnd::Reg(a), Opnd::Reg(b)) => {
                self.asm.modrm(
                    size,
                    if size == 1 { base } else { base + 1 },
                    Self::reg(size, b),
                    Rm::Reg(Self::reg(size, a)),
                );
                Done::Next
            }
            (Opnd::Mem, Opnd::Reg(b)) => self.with_memory(i, p, size, !compare, |s, rm| {
                s.rm_reg(size, base + 1, Self::reg(size, b), rm);
            }),
            (Opnd::Reg(a), Opnd::Mem) => self.with_memory(i, p, size, false, |s, rm| {
                s.rm_reg(size, base + 3, Self::reg(size, a), rm);
            }),
            (Opnd::Reg(a), Opnd::Imm(v)) => {
                self.alu_imm(i, (size, digit), Rm::Reg(Self::reg(size, a)), v);
                Done::Next
            }
            (Opnd::Mem, Opnd::Imm(v)) => {
                self.with_memory(i, p, size, !compare, |s, rm| s.alu_imm(i, (size, digit), rm, v))
            }
            _ => return None,
        })
    }

    fn alu_imm(&mut self, i: &Inst, (size, digit): (u8, u8), rm: Rm, value: u32) {
        // What may change stays as long as it is.
        let short =
            if self.patchable { i.immediate_size() == 1 } else { value as i32 == i32::from(value as i8) };
        if size == 1 {
            self.asm.modrm(1, 0x80, digit, rm);
            self.imm(1, value);
        } else if short {
            self.asm.modrm(size, 0x83, digit, rm);
            self.imm(1, value);
        } else {
            self.asm.modrm(size, 0x81, digit, rm);
            self.imm(size, value);
        }
    }

    pub(super) fn test(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let (a, b) = (Self::operand(i, 0)?, Self::operand(i, 1)?);
        let size = Self::size(i, 0);
        let immediate = |s: &mut Self, rm: Rm, v: u32| {
            s.asm.modrm(size, if size == 1 { 0xF6 } else { 0xF7 }, 0, rm);
            s.imm(size, v);
        };
        Some(match (a, b) {
            (Opnd::Reg(a), Opnd::Reg(b)) => {
                self.asm.modrm(
                    size,
                    if size == 1 { 0x84 } else { 0x85 },
                    Self::reg(size, b),
                    Rm::Reg(Self::reg(size, a)),
                );
                Done::Next
            }
            (Opnd::Mem, Opnd::Reg(b)) => {
                self.with_memory(i, p, size, false, |s, rm| s.rm_reg(size, 0x85, Self::reg(size, b), rm))
            }
            (Opnd::Reg(a), Opnd::Imm(v)) => {
                immediate(self, Rm::Reg(Self::reg(size, a)), v);
                Done::Next
            }
            (Opnd::Mem, Opnd::Imm(v)) => self.with_memory(i, p, size, false, |s, rm| immediate(s, rm, v)),
            _ => return None,
        })
    }

    /// INC DEC NOT NEG.
    pub(super) fn unary(&mut self, i: &Inst, p: Place) -> Option<Done> {
        // 40–4F have no digit; they are written as FF /0 and /1, since long mode uses their bytes for REX.
        let (opcode, digit) = match (i.row().opcode, i.row().digit) {
            (0x40..0x48, _) => (0xFF, 0),
            (0x48..0x50, _) => (0xFF, 1),
            (opcode, digit) => (opcode | 1, digit?),
        };
        self.one_operand(i, p, opcode, digit, true)
    }

    /// MUL, and IMUL with one operand.
    pub(super) fn multiply(&mut self, i: &Inst, p: Place) -> Option<Done> {
        self.one_operand(i, p, 0xF7, i.row().digit?, false)
    }

    pub(super) fn one_operand(
        &mut self,
        i: &Inst,
        p: Place,
        opcode: u32,
        digit: u8,
        write: bool,
    ) -> Option<Done> {
        let size = Self::size(i, 0);
        let opcode = if size == 1 { opcode - 1 } else { opcode };
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) => {
                self.asm.modrm(size, opcode, digit, Rm::Reg(Self::reg(size, a)));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, size, write, |s, rm| s.asm.modrm(size, opcode, digit, rm)),
            Opnd::Imm(_) => return None,
        })
    }

    pub(super) fn shift(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let digit = i.row().digit?;
        let digit = if digit == 6 { 4 } else { digit };
        let size = Self::size(i, 0);
        let byte = u32::from(size != 1);
        let by_cl = i.row().operands[1] == Operand::CL;
        let emit = |s: &mut Self, rm: Rm| {
            if by_cl {
                s.asm.modrm(size, 0xD2 + byte, digit, rm);
            } else if i.imm & 31 == 1 && !(s.patchable && i.immediate_size() != 0) {
                s.asm.modrm(size, 0xD0 + byte, digit, rm);
            } else {
                s.asm.modrm(size, 0xC0 + byte, digit, rm);
                s.imm(1, i.imm);
            }
        };
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) => {
                emit(self, Rm::Reg(Self::reg(size, a)));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, size, true, emit),
            Opnd::Imm(_) => return None,
        })
    }

    pub(super) fn imul3(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        let size = Self::size(i, 0);
        let emit = |s: &mut Self, rm: Rm| {
            s.asm.modrm(size, 0x69, host(a), rm);
            s.imm(size, i.imm);
        };
        Some(match Self::operand(i, 1)? {
            Opnd::Reg(b) => {
                emit(self, Rm::Reg(host(b)));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, size, false, emit),
            Opnd::Imm(_) => return None,
        })
    }

    /// SHLD and SHRD.
    pub(super) fn double_shift(&mut self, i: &Inst, p: Place) -> Option<Done> {
        // The form with an immediate; the one with CL is the next.
        let opcode = i.row().opcode & !1;
        let (Opnd::Reg(b), size) = (Self::operand(i, 1)?, Self::size(i, 0)) else { return None };
        if size == 2 {
            // Counts above 16 are the manual's undefined case: one description of it is enough.
            return None;
        }
        let by_cl = i.row().operands[2] == Operand::CL;
        let emit = |s: &mut Self, rm: Rm| {
            s.asm.modrm(size, opcode + u32::from(by_cl), host(b), rm);
            if !by_cl {
                s.asm.push(i.imm as u8);
            }
        };
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) => {
                emit(self, Rm::Reg(host(a)));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, size, true, emit),
            Opnd::Imm(_) => return None,
        })
    }

    /// Number of an instruction in group 8 (BT BTS BTR BTC are 4–7).
    pub(super) fn bit_digit(row: &Row) -> u8 {
        row.digit.unwrap_or(row.opcode as u8 >> 3 & 7)
    }

    pub(super) fn bit_test(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let digit = Self::bit_digit(i.row());
        let Opnd::Imm(v) = Self::operand(i, 1)? else {
            let Opnd::Reg(b) = Self::operand(i, 1)? else { return None };
            let size = Self::size(i, 0);
            let Opnd::Reg(a) = Self::operand(i, 0)? else {
                return Some(self.bit_string(i, p, size, digit, host(b)));
            };
            self.asm.modrm(size, 0x0F83 | u32::from(digit) << 3, host(b), Rm::Reg(host(a)));
            return Some(Done::Next);
        };
        let size = Self::size(i, 0);
        let emit = |s: &mut Self, rm: Rm| {
            s.asm.modrm(size, 0x0FBA, digit, rm);
            s.asm.push(v as u8);
        };
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) => {
                emit(self, Rm::Reg(host(a)));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, size, digit != 4, emit),
            Opnd::Imm(_) => return None,
        })
    }

    /// BT and its like with a bit offset in register `by`, which reaches beyond the word in memory.
    fn bit_string(&mut self, i: &Inst, p: Place, size: u8, digit: u8, by: u8) -> Done {
        let needed = self.before(i, p);
        let slow = self.asm.label();
        self.clobber_flags(needed);
        self.effective(i);
        if size == 2 {
            self.asm.modrm(4, 0x0FBF, R11, Rm::Reg(by));
            dynasm!(self.asm ; .arch x64 ; sar r11d, 4 ; lea r8d, [r8 + r11 * 2]);
        } else {
            self.asm.mov(R11, by);
            dynasm!(self.asm ; .arch x64 ; sar r11d, 5 ; lea r8d, [r8 + r11 * 4]);
        }
        if i.addr16() {
            dynasm!(self.asm ; .arch x64 ; movzx r8d, r8w);
        }
        let write = digit != 4;
        self.segment(i.segment, size, write, slow);
        self.check(size, write, slow);
        self.host_flags(needed);
        self.asm.modrm(size, 0x8B, R11, Rm::Guest);
        self.asm.modrm(size, 0x0F83 | u32::from(digit) << 3, by, Rm::Reg(R11));
        if write {
            self.asm.modrm(size, 0x89, R11, Rm::Guest);
        }
        self.flags_done(i);
        self.slow_way(i, p, slow);
        Done::Next
    }

    /// XADD, CMPXCHG, CMPXCHG8B: what they compare with is in the host's registers of the same names.
    pub(super) fn atomic(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let opcode = i.row().opcode;
        if opcode == 0x0FC7 {
            if !i.is_memory() {
                return None;
            }
            return Some(self.with_memory(i, p, 8, true, |s, rm| s.asm.modrm(4, 0x0FC7, 1, rm)));
        }
        let (opcode, size) = (opcode | 1, Self::size(i, 0));
        let (a, Opnd::Reg(b)) = (Self::operand(i, 0)?, Self::operand(i, 1)?) else { return None };
        Some(match a {
            Opnd::Reg(a) => {
                let opcode = if size == 1 { opcode - 1 } else { opcode };
                self.asm.modrm(size, opcode, Self::reg(size, b), Rm::Reg(Self::reg(size, a)));
                Done::Next
            }
            // AH would have to change places with the accumulator.
            Opnd::Mem if opcode == 0x0FB1 && size == 1 && b == 4 => return None,
            Opnd::Mem => self.with_memory(i, p, size, true, |s, rm| {
                s.rm_reg(size, opcode, Self::reg(size, b), rm);
            }),
            Opnd::Imm(_) => return None,
        })
    }

    /// DIV and IDIV where the host's own cannot trap; everything else goes the slow way.
    pub(super) fn divide(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let signed = i.row().digit? == 7;
        let size = Self::size(i, 0);
        if p.live & OSZAPC != 0 {
            return None;
        }
        let slow = self.asm.label();
        self.clobber_flags(0);
        match Self::operand(i, 0)? {
            Opnd::Reg(a) if size == 1 && a >= 4 => {
                self.asm.mov(R11, a & 3);
                dynasm!(self.asm ; .arch x64 ; shr r11d, 8);
            }
            Opnd::Reg(a) => self.asm.mov(R11, host(a)),
            Opnd::Mem => {
                self.address(i, size, false, slow);
                self.check(size, false, slow);
                self.asm.modrm(size, if size == 1 { 0x8A } else { 0x8B }, R11, Rm::Guest);
            }
            Opnd::Imm(_) => return None,
        }
        if size != 4 {
            self.divide_narrow(size, signed, slow);
        } else if signed {
            // Safe when EDX is the sign of EAX and the divisor is positive.
            dynasm!(self.asm ; .arch x64 ; mov r9d, eax ; sar r9d, 31 ; cmp r9d, edx);
            self.asm.jcc(5, slow);
            dynasm!(self.asm ; .arch x64 ; test r11d, r11d);
            self.asm.jcc(0xE, slow);
            dynasm!(self.asm ; .arch x64 ; idiv r11d);
        } else {
            // Safe when the quotient fits, which also says that the divisor is not 0.
            dynasm!(self.asm ; .arch x64 ; cmp edx, r11d);
            self.asm.jcc(3, slow);
            dynasm!(self.asm ; .arch x64 ; div r11d);
        }
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// The same for 8 and 16 bits; the divisor is in r11.
    fn divide_narrow(&mut self, size: u8, signed: bool, slow: Label) {
        match (size, signed) {
            (2, true) => {
                dynasm!(self.asm ; .arch x64 ; mov r9d, eax ; sar r9w, 15 ; cmp r9w, dx);
                self.asm.jcc(5, slow);
                dynasm!(self.asm ; .arch x64 ; test r11w, r11w);
                self.asm.jcc(0xE, slow);
                dynasm!(self.asm ; .arch x64 ; idiv r11w);
            }
            (2, false) => {
                dynasm!(self.asm ; .arch x64 ; cmp dx, r11w);
                self.asm.jcc(3, slow);
                dynasm!(self.asm ; .arch x64 ; div r11w);
            }
            (_, true) => {
                dynasm!(self.asm ; .arch x64 ; movsx r9d, al ; cmp r9w, ax);
                self.asm.jcc(5, slow);
                dynasm!(self.asm ; .arch x64 ; test r11b, r11b);
                self.asm.jcc(0xE, slow);
                dynasm!(self.asm ; .arch x64 ; idiv r11b);
            }
            (_, false) => {
                dynasm!(self.asm ; .arch x64 ; movzx r9d, ax ; shr r9d, 8 ; cmp r9b, r11b);
                self.asm.jcc(3, slow);
                dynasm!(self.asm ; .arch x64 ; div r11b);
            }
        }
    }
}
