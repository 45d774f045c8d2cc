//! Lowering: one decoded instruction to host code.

use super::asm::{Asm, Label, Rm, host};
use super::x64::{self, Offsets};
use crate::isa::Inst;
use crate::isa::inst::{NO_REG, prefix};
use crate::isa::row::flags::OSZAPC;
use crate::isa::row::{Flags, Lowering, Operand};
use dynasm::dynasm;

/// Scratch registers.
const R8: u8 = 8;
const R10: u8 = 10;
const R11: u8 = 11;
/// Guest ESP.
const ESP: u8 = 15;

/// An operand as lowering sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opnd {
    /// Guest general register (for bytes 4–7 are the high bytes).
    Reg(u8),
    /// The memory operand.
    Mem,
    /// Immediate.
    Imm(u32),
}

/// What is known about an instruction inside its block.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Position in the block.
    pub(super) index: u32,
    /// Flags that somebody behind it needs.
    pub(super) live: Flags,
    /// Offset of the block's first byte in its page.
    pub(super) offset: u32,
}

/// How a lowering ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// The next instruction follows.
    Next,
    /// The block ends here.
    Ended,
}

/// A cold piece of code behind the block.
pub(super) enum Cold {
    /// The access may be unaligned inside one page: checked here, then back or on to the slow way.
    Unaligned { from: Label, back: Label, slow: Label, size: u8 },
    /// The interpreter executes the instruction; then on at `next`.
    Slow { from: Label, next: Label, site: u32, restore: bool },
}

/// A direct jump to another block.
#[derive(Clone, Copy)]
pub(super) struct Jump {
    /// Condition, or none.
    pub(super) condition: Option<u8>,
    /// Target: offset from the block's EIP base (may leave the page).
    pub(super) target: i32,
    /// The flags are in memory, not in RFLAGS.
    pub(super) saved: bool,
}

/// Translation of one block.
pub(super) struct Lowering1<'a> {
    pub(super) asm: &'a mut Asm,
    pub(super) cold: alloc::vec::Vec<Cold>,
    pub(super) sites: &'a mut alloc::vec::Vec<x64::Site>,
    pub(super) thunks: x64::Thunks,
    pub(super) o: Offsets,
    pub(super) block_total: u32,
    pub(super) first: *const Inst,
}

impl Lowering1<'_> {
    /// AH and OF of RFLAGS to memory; r11 is lost.
    pub(super) fn save_flags(&mut self) {
        let at = self.o.flags;
        dynasm!(self.asm ; .arch x64 ; mov r11d, eax ; lahf ; seto al ; mov [r14 + at], ax ; mov eax, r11d);
    }

    /// The reverse; r11 is lost.
    pub(super) fn restore_flags(&mut self) {
        let at = self.o.flags;
        dynasm!(self.asm ; .arch x64 ; mov r11d, eax ; movzx eax, WORD [r14 + at] ; add al, 0x7F ; sahf ; mov eax, r11d);
    }

    fn site(&mut self, i: &Inst, p: Place, flags_in: bool, flags_out: bool, end: bool) -> u32 {
        // SAFETY note for readers: the pointer is only compared and dereferenced by the interpreter's entry,
        // while the block cache that owns the instruction cannot change.
        let inst = self.first.wrapping_add(p.index as usize);
        let _ = i;
        self.sites.push(x64::Site {
            inst,
            total: self.block_total,
            index: p.index,
            offset: p.offset,
            flags_in,
            flags_out,
            end,
        });
        self.sites.len() as u32 - 1
    }

    /// The interpreter executes the instruction in line.
    fn interpret(&mut self, i: &Inst, p: Place, end: bool) -> Done {
        let row = i.row();
        let needed = (p.live & !row.writes | row.reads) & OSZAPC;
        // A fault's handler sees the flags as well; only those that nobody reads afterwards may be wrong.
        let flags_in = needed != 0 || end;
        let flags_out = p.live & OSZAPC != 0;
        if flags_in {
            self.save_flags();
        }
        let site = self.site(i, p, flags_in, flags_out, end);
        self.asm.mov_imm(R11, site);
        self.asm.call_outside(self.thunks.interpret);
        if flags_out && !end {
            self.restore_flags();
        }
        if end { Done::Ended } else { Done::Next }
    }

    /// Puts the linear address of the memory operand into r8d; false when the form has to be interpreted.
    fn address(&mut self, i: &Inst, size: u8, slow: Label) -> bool {
        if i.addr16() {
            return false;
        }
        let base = (i.base != NO_REG).then(|| host(i.base));
        let index = (i.index != NO_REG).then(|| (host(i.index), i.scale));
        self.asm.lea(R8, base, index, i.disp as i32);
        if i.segment >= 4 {
            // FS and GS have bases and limits.
            let seg = self.o.segment(i.segment);
            let (read, base) = (seg + self.o.span, seg + self.o.base);
            self.asm.lea_wide(R10, R8, i32::from(size));
            self.asm.modrm(8, 0x3B, R10, Rm::Field(read));
            self.asm.jcc(7, slow);
            self.asm.modrm(4, 0x03, R8, Rm::Field(base));
        }
        true
    }

    /// Looks r8d up: afterwards `[r9 + r8]` is the operand. RFLAGS and r10 are lost.
    fn check(&mut self, size: u8, write: bool, slow: Label) {
        let table = if write { self.o.write_table } else { 0 };
        dynasm!(self.asm ; .arch x64
            ; mov r9d, r8d
            ; shr r9d, 12
            ; mov r9, [r12 + r9 * 8 + table]
            ; test r9, r9);
        self.asm.jcc(4, slow);
        if size > 1 {
            let mask = (size - 1) as i8;
            dynasm!(self.asm ; .arch x64 ; test r8b, mask);
            let (from, back) = (self.asm.label(), self.asm.label());
            self.asm.jcc(5, from);
            self.asm.bind(back);
            self.cold.push(Cold::Unaligned { from, back, slow, size });
        }
    }

    fn operand(i: &Inst, n: usize) -> Option<Opnd> {
        use Operand as O;
        let row = i.row();
        Some(match row.operands[n] {
            O::Eb | O::Ew | O::Ed | O::Ev if i.is_memory() => Opnd::Mem,
            O::Ob | O::Ov | O::M => Opnd::Mem,
            O::Eb | O::Ew | O::Ed | O::Ev | O::Gb | O::Gw | O::Gd | O::Gv | O::Zb | O::Zv | O::Zd => {
                Opnd::Reg(i.reg[n.min(2)])
            }
            O::AL | O::AX | O::EAX => Opnd::Reg(0),
            O::CL => Opnd::Reg(1),
            O::Ib | O::Iw | O::Iz | O::Ibs | O::One => Opnd::Imm(i.imm),
            _ => return None,
        })
    }

    /// Width of operand `n` in bytes.
    fn size(i: &Inst, n: usize) -> u8 {
        use Operand as O;
        match i.row().operands[n] {
            O::Eb | O::Gb | O::Zb | O::AL | O::Ob | O::CL => 1,
            O::Ew | O::Gw | O::AX => 2,
            O::Ed | O::Gd | O::Zd => 4,
            _ if i.oper16() => 2,
            _ => 4,
        }
    }

    /// Emits `body` with the memory operand checked, around the slow way; with `memory` false just `body`.
    /// `body` gets the r/m. Handles flags: they are in RFLAGS when `body` runs if it needs them.
    fn with_memory(
        &mut self,
        i: &Inst,
        p: Place,
        size: u8,
        write: bool,
        body: impl FnOnce(&mut Self, Rm),
    ) -> Done {
        let row = i.row();
        let needed = (p.live & !row.writes | row.reads) & OSZAPC != 0;
        let slow = self.asm.label();
        let next = self.asm.label();
        let start = self.asm.at();
        if needed {
            self.save_flags();
        }
        if !self.address(i, size, slow) {
            self.asm.bytes.truncate(start);
            return self.interpret(i, p, false);
        }
        self.check(size, write, slow);
        if needed {
            self.restore_flags();
        }
        body(self, Rm::Guest);
        self.asm.bind(next);
        let restore = p.live & OSZAPC != 0;
        let site = self.site(i, p, needed, restore, false);
        self.cold.push(Cold::Slow { from: slow, next, site, restore });
        Done::Next
    }

    /// A register operand as host register; byte registers AH–BH cannot be named together with memory.
    fn reg(size: u8, guest: u8) -> u8 {
        if size == 1 { guest } else { host(guest) }
    }

    /// An instruction with r/m and a register (or digit), opcode for the wide form; the byte form is one less.
    fn rm_reg(&mut self, size: u8, opcode: u32, reg: u8, rm: Rm) {
        let opcode = if size == 1 { opcode - 1 } else { opcode };
        if size == 1 && rm == Rm::Guest && reg >= 4 && reg < 8 {
            // AH–BH: swapped with AL–BL around the access, since REX is needed for the address.
            let low = reg & 3;
            self.asm.modrm(1, 0x86, low, Rm::Reg(reg));
            self.asm.modrm(1, opcode, low, rm);
            self.asm.modrm(1, 0x86, low, Rm::Reg(reg));
            return;
        }
        self.asm.modrm(size, opcode, reg, rm);
    }

    fn imm(&mut self, size: u8, value: u32) {
        match size {
            1 => self.asm.push(value as u8),
            2 => self.asm.extend(&(value as u16).to_le_bytes()),
            _ => self.asm.push_i32(value as i32),
        }
    }

    /// Two-operand arithmetic; `digit` is its number in group 1.
    fn alu(&mut self, i: &Inst, p: Place, digit: u8) -> Option<Done> {
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
                self.alu_imm(size, digit, Rm::Reg(Self::reg(size, a)), v);
                Done::Next
            }
            (Opnd::Mem, Opnd::Imm(v)) => {
                self.with_memory(i, p, size, !compare, |s, rm| s.alu_imm(size, digit, rm, v))
            }
            _ => return None,
        })
    }

    fn alu_imm(&mut self, size: u8, digit: u8, rm: Rm, value: u32) {
        if size == 1 {
            self.asm.modrm(1, 0x80, digit, rm);
            self.asm.push(value as u8);
        } else if value as i32 == i32::from(value as i8) {
            self.asm.modrm(size, 0x83, digit, rm);
            self.asm.push(value as u8);
        } else {
            self.asm.modrm(size, 0x81, digit, rm);
            self.imm(size, value);
        }
    }

    fn test(&mut self, i: &Inst, p: Place) -> Option<Done> {
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

    fn mov(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let (a, b) = (Self::operand(i, 0)?, Self::operand(i, 1)?);
        let size = Self::size(i, 0);
        Some(match (a, b) {
            (Opnd::Reg(a), Opnd::Reg(b)) => {
                self.asm.modrm(
                    size,
                    if size == 1 { 0x88 } else { 0x89 },
                    Self::reg(size, b),
                    Rm::Reg(Self::reg(size, a)),
                );
                Done::Next
            }
            (Opnd::Mem, Opnd::Reg(b)) => {
                self.with_memory(i, p, size, true, |s, rm| s.rm_reg(size, 0x89, Self::reg(size, b), rm))
            }
            (Opnd::Reg(a), Opnd::Mem) => {
                self.with_memory(i, p, size, false, |s, rm| s.rm_reg(size, 0x8B, Self::reg(size, a), rm))
            }
            (Opnd::Reg(a), Opnd::Imm(v)) => {
                if size == 4 {
                    self.asm.mov_imm(host(a), v);
                } else {
                    self.asm.modrm(size, if size == 1 { 0xC6 } else { 0xC7 }, 0, Rm::Reg(Self::reg(size, a)));
                    self.imm(size, v);
                }
                Done::Next
            }
            (Opnd::Mem, Opnd::Imm(v)) => self.with_memory(i, p, size, true, |s, rm| {
                s.asm.modrm(size, if size == 1 { 0xC6 } else { 0xC7 }, 0, rm);
                s.imm(size, v);
            }),
            _ => return None,
        })
    }

    /// One-operand forms: F6/F7 and FE/FF groups.
    fn unary(&mut self, i: &Inst, p: Place, opcode: u32, digit: u8, write: bool) -> Option<Done> {
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

    fn shift(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let digit = i.row().digit?;
        let digit = if digit == 6 { 4 } else { digit };
        let size = Self::size(i, 0);
        let byte = u32::from(size != 1);
        let by_cl = i.row().operands[1] == Operand::CL;
        let emit = |s: &mut Self, rm: Rm| {
            if by_cl {
                s.asm.modrm(size, 0xD2 + byte, digit, rm);
            } else if i.imm & 31 == 1 {
                s.asm.modrm(size, 0xD0 + byte, digit, rm);
            } else {
                s.asm.modrm(size, 0xC0 + byte, digit, rm);
                s.asm.push(i.imm as u8);
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

    /// Reg ← r/m forms with a two-byte opcode: MOVZX, MOVSX, CMOVcc, IMUL, BSF, BSR.
    fn load_form(&mut self, i: &Inst, p: Place, opcode: u32, source_size: u8) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        let size = Self::size(i, 0);
        Some(match Self::operand(i, 1)? {
            Opnd::Reg(b) => {
                let source = if source_size == 1 { b } else { host(b) };
                if source_size == 1 && b >= 4 && host(a) >= 8 {
                    return None;
                }
                self.asm.modrm(size, opcode, host(a), Rm::Reg(source));
                Done::Next
            }
            Opnd::Mem => {
                self.with_memory(i, p, source_size, false, |s, rm| s.asm.modrm(size, opcode, host(a), rm))
            }
            Opnd::Imm(_) => return None,
        })
    }

    fn imul3(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
    fn double_shift(&mut self, i: &Inst, p: Place, opcode: u32) -> Option<Done> {
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

    fn bit_test(&mut self, i: &Inst, p: Place, digit: u8) -> Option<Done> {
        let Opnd::Imm(v) = Self::operand(i, 1)? else {
            let (Opnd::Reg(a), Opnd::Reg(b)) = (Self::operand(i, 0)?, Self::operand(i, 1)?) else {
                return None;
            };
            let size = Self::size(i, 0);
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

    fn setcc(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let opcode = 0x0F90 | i.row().opcode & 15;
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) => {
                self.asm.modrm(1, opcode, 0, Rm::Reg(a));
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, 1, true, |s, rm| s.asm.modrm(1, opcode, 0, rm)),
            Opnd::Imm(_) => return None,
        })
    }

    fn exchange(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let (a, Opnd::Reg(b)) = (Self::operand(i, 0)?, Self::operand(i, 1)?) else { return None };
        let size = Self::size(i, 0);
        Some(match a {
            Opnd::Reg(a) => {
                if size == 4 && a == b {
                    return Some(Done::Next);
                }
                self.asm.modrm(
                    size,
                    if size == 1 { 0x86 } else { 0x87 },
                    Self::reg(size, b),
                    Rm::Reg(Self::reg(size, a)),
                );
                Done::Next
            }
            // One processor: the bus lock of a real XCHG would only cost time, so memory is read and written.
            Opnd::Mem if size == 4 => self.with_memory(i, p, size, true, |s, rm| {
                s.asm.modrm(4, 0x8B, R11, rm);
                s.asm.modrm(4, 0x89, host(b), rm);
                s.asm.mov(host(b), R11);
            }),
            _ => return None,
        })
    }

    /// DIV and IDIV of 32 bits where the host's own cannot trap; everything else goes the slow way.
    fn divide(&mut self, i: &Inst, p: Place, signed: bool) -> Option<Done> {
        let size = Self::size(i, 0);
        if size != 4 || p.live & OSZAPC != 0 {
            return None;
        }
        let slow = self.asm.label();
        let next = self.asm.label();
        match Self::operand(i, 0)? {
            Opnd::Reg(a) => self.asm.mov(R10, host(a)),
            Opnd::Mem => {
                let start = self.asm.at();
                if !self.address(i, size, slow) {
                    self.asm.bytes.truncate(start);
                    return None;
                }
                self.check(size, false, slow);
                self.asm.modrm(4, 0x8B, R10, Rm::Guest);
            }
            Opnd::Imm(_) => return None,
        }
        if signed {
            // Safe when EDX is the sign of EAX and the divisor is positive.
            dynasm!(self.asm ; .arch x64 ; mov r9d, eax ; sar r9d, 31 ; cmp r9d, edx);
            self.asm.jcc(5, slow);
            dynasm!(self.asm ; .arch x64 ; test r10d, r10d);
            self.asm.jcc(0xE, slow);
            dynasm!(self.asm ; .arch x64 ; idiv r10d);
        } else {
            // Safe when the quotient fits, which also says that the divisor is not 0.
            dynasm!(self.asm ; .arch x64 ; cmp edx, r10d);
            self.asm.jcc(3, slow);
            dynasm!(self.asm ; .arch x64 ; div r10d);
        }
        self.asm.bind(next);
        let site = self.site(i, p, false, false, false);
        self.cold.push(Cold::Slow { from: slow, next, site, restore: false });
        Some(Done::Next)
    }

    fn push(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        let needed = p.live & OSZAPC != 0;
        let source = Self::operand(i, 0)?;
        let slow = self.asm.label();
        let next = self.asm.label();
        let start = self.asm.at();
        if needed {
            self.save_flags();
        }
        if source == Opnd::Mem {
            if !self.address(i, 4, slow) {
                self.asm.bytes.truncate(start);
                return None;
            }
            self.check(4, false, slow);
            self.asm.modrm(4, 0x8B, R11, Rm::Guest);
        }
        self.asm.lea(R8, Some(ESP), None, -4);
        self.check(4, true, slow);
        match source {
            Opnd::Reg(a) => self.asm.modrm(4, 0x89, host(a), Rm::Guest),
            Opnd::Imm(v) => {
                self.asm.modrm(4, 0xC7, 0, Rm::Guest);
                self.asm.push_i32(v as i32);
            }
            Opnd::Mem => self.asm.modrm(4, 0x89, R11, Rm::Guest),
        }
        self.asm.mov(ESP, R8);
        if needed {
            self.restore_flags();
        }
        self.asm.bind(next);
        let site = self.site(i, p, needed, needed, false);
        self.cold.push(Cold::Slow { from: slow, next, site, restore: needed });
        Some(Done::Next)
    }

    fn pop(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        if i.oper16() {
            return None;
        }
        self.stack_read(i, p, |s| {
            if host(a) == ESP {
                s.asm.modrm(4, 0x8B, ESP, Rm::Guest);
            } else {
                s.asm.modrm(4, 0x8B, host(a), Rm::Guest);
                s.asm.lea(ESP, Some(ESP), None, 4);
            }
        })
    }

    /// Checks the dword at the top of the stack for reading, then `body`.
    fn stack_read(&mut self, i: &Inst, p: Place, body: impl FnOnce(&mut Self)) -> Option<Done> {
        let needed = p.live & OSZAPC != 0;
        let slow = self.asm.label();
        let next = self.asm.label();
        if needed {
            self.save_flags();
        }
        self.asm.mov(R8, ESP);
        self.check(4, false, slow);
        body(self);
        if needed {
            self.restore_flags();
        }
        self.asm.bind(next);
        let site = self.site(i, p, needed, needed, false);
        self.cold.push(Cold::Slow { from: slow, next, site, restore: needed });
        Some(Done::Next)
    }

    fn leave(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        let needed = p.live & OSZAPC != 0;
        let slow = self.asm.label();
        let next = self.asm.label();
        if needed {
            self.save_flags();
        }
        self.asm.mov(R8, 5);
        self.check(4, false, slow);
        self.asm.modrm(4, 0x8B, 5, Rm::Guest);
        self.asm.lea(ESP, Some(R8), None, 4);
        if needed {
            self.restore_flags();
        }
        self.asm.bind(next);
        let site = self.site(i, p, needed, needed, false);
        self.cold.push(Cold::Slow { from: slow, next, site, restore: needed });
        Some(Done::Next)
    }

    /// Lowers an instruction that is not a branch.
    pub(super) fn inst(&mut self, i: &Inst, p: Place) -> Done {
        let row = i.row();
        if row.lowering == Lowering::End || crate::cpu::run::ends_block(i) && row.lowering != Lowering::Flow {
            return self.interpret(i, p, true);
        }
        let lowered = if i.prefixes & prefix::LOCK != 0 && !Self::plain_when_locked(row.mnemonic) {
            None
        } else {
            self.lowered(i, p)
        };
        lowered.unwrap_or_else(|| self.interpret(i, p, false))
    }

    /// LOCK on these needs nothing: there is one processor, and DMA runs on its thread.
    fn plain_when_locked(name: &str) -> bool {
        matches!(
            name,
            "add"
                | "or"
                | "adc"
                | "sbb"
                | "and"
                | "sub"
                | "xor"
                | "inc"
                | "dec"
                | "neg"
                | "not"
                | "xchg"
                | "bts"
                | "btr"
                | "btc"
                | "cmpxchg"
                | "xadd"
        )
    }

    fn lowered(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let row = i.row();
        match row.mnemonic {
            "add" => self.alu(i, p, 0),
            "or" => self.alu(i, p, 1),
            "adc" => self.alu(i, p, 2),
            "sbb" => self.alu(i, p, 3),
            "and" => self.alu(i, p, 4),
            "sub" => self.alu(i, p, 5),
            "xor" => self.alu(i, p, 6),
            "cmp" => self.alu(i, p, 7),
            "test" => self.test(i, p),
            "mov" if matches!(row.opcode, 0x88..=0x8B | 0xA0..=0xA3 | 0xB0..=0xBF | 0xC6 | 0xC7) => {
                self.mov(i, p)
            }
            "inc" => self.unary(i, p, 0xFF, 0, true),
            "dec" => self.unary(i, p, 0xFF, 1, true),
            "not" => self.unary(i, p, 0xF7, 2, true),
            "neg" => self.unary(i, p, 0xF7, 3, true),
            "mul" => self.unary(i, p, 0xF7, 4, false),
            "imul" if row.digit.is_some() => self.unary(i, p, 0xF7, 5, false),
            "imul" if row.opcode == 0x0FAF => self.load_form(i, p, 0x0FAF, Self::size(i, 0)),
            "imul" => self.imul3(i, p),
            "div" => self.divide(i, p, false),
            "idiv" => self.divide(i, p, true),
            "rol" | "ror" | "rcl" | "rcr" | "shl" | "shr" | "sar" => self.shift(i, p),
            "shld" => self.double_shift(i, p, 0x0FA4),
            "shrd" => self.double_shift(i, p, 0x0FAC),
            "bt" => self.bit_test(i, p, 4),
            "bts" => self.bit_test(i, p, 5),
            "btr" => self.bit_test(i, p, 6),
            "btc" => self.bit_test(i, p, 7),
            "bsf" => self.load_form(i, p, 0x0FBC, Self::size(i, 0)),
            "bsr" => self.load_form(i, p, 0x0FBD, Self::size(i, 0)),
            "movzx" => self.load_form(i, p, row.opcode, if row.opcode & 1 == 0 { 1 } else { 2 }),
            "movsx" => self.load_form(i, p, row.opcode, if row.opcode & 1 == 0 { 1 } else { 2 }),
            "lea" if !i.addr16() => {
                let base = (i.base != NO_REG).then(|| host(i.base));
                let index = (i.index != NO_REG).then(|| (host(i.index), i.scale));
                if i.oper16() {
                    self.asm.lea(R8, base, index, i.disp as i32);
                    self.asm.modrm(2, 0x89, R8, Rm::Reg(host(i.reg[0])));
                } else {
                    self.asm.lea(host(i.reg[0]), base, index, i.disp as i32);
                }
                Some(Done::Next)
            }
            "push"
                if !matches!(
                    row.operands[0],
                    Operand::ES | Operand::CS | Operand::SS | Operand::DS | Operand::FS | Operand::GS
                ) =>
            {
                self.push(i, p)
            }
            "pop" if row.opcode == 0x58 => self.pop(i, p),
            "leave" => self.leave(i, p),
            "xchg" => self.exchange(i, p),
            "nop" | "pause" | "prefetch" | "prefetchw" => Some(Done::Next),
            "cbw" => {
                // CWDE, or CBW with 66.
                if i.oper16() {
                    self.asm.push(0x66);
                }
                self.asm.push(0x98);
                Some(Done::Next)
            }
            "cwd" => {
                if i.oper16() {
                    self.asm.push(0x66);
                }
                self.asm.push(0x99);
                Some(Done::Next)
            }
            "bswap" if !i.oper16() => {
                let r = host(i.reg[0]);
                if r & 8 != 0 {
                    self.asm.push(0x41);
                }
                self.asm.push(0x0F);
                self.asm.push(0xC8 | r & 7);
                Some(Done::Next)
            }
            "cmc" => {
                self.asm.push(0xF5);
                Some(Done::Next)
            }
            "clc" => {
                self.asm.push(0xF8);
                Some(Done::Next)
            }
            "stc" => {
                self.asm.push(0xF9);
                Some(Done::Next)
            }
            "sahf" => {
                self.asm.push(0x9E);
                Some(Done::Next)
            }
            "lahf" => {
                self.asm.push(0x9F);
                Some(Done::Next)
            }
            name if name.starts_with("set") => self.setcc(i, p),
            name if name.starts_with("cmov") && !i.oper16() => {
                // The source is read either way, as the real instruction does.
                self.load_form(i, p, 0x0F40 | row.opcode & 15, 4)
            }
            _ => None,
        }
    }

    /// EIP base plus `by` to a register.
    pub(super) fn eip(&mut self, reg: u8, by: i32) {
        let at = self.o.code_page;
        self.asm.modrm(4, 0x8B, reg, Rm::Field(at));
        if by != 0 {
            self.asm.lea(reg, Some(reg), None, by);
        }
    }

    /// Lowers a branch at the end of a block. `next` is the offset behind it from the EIP base. Returns direct
    /// jumps to be emitted, or none when control has already left.
    pub(super) fn branch(&mut self, i: &Inst, p: Place, next: i32) -> alloc::vec::Vec<Jump> {
        use alloc::vec;
        let row = i.row();
        let none = vec![];
        if i.oper16()
            || i.addr16() && !matches!(row.mnemonic, "jmp" | "call" | "ret") && !row.mnemonic.starts_with('j')
        {
            self.interpret(i, p, true);
            return none;
        }
        let target = next.wrapping_add(i.imm as i32);
        match row.mnemonic {
            "jcxz" => {
                if i.addr16() {
                    self.interpret(i, p, true);
                    return none;
                }
                self.ecx_jump(next, target)
            }
            "jmp" if row.operands[0] != Operand::Ev => {
                vec![Jump { condition: None, target, saved: false }]
            }
            "jmp" => {
                self.save_flags();
                let done = self.target(i, p);
                if done {
                    self.asm.jmp_outside(self.thunks.lookup);
                }
                none
            }
            "call" if row.operands[0] != Operand::Ev => {
                self.save_flags();
                self.push_return(i, p, next);
                vec![Jump { condition: None, target, saved: true }]
            }
            "call" => {
                self.save_flags();
                if self.target(i, p) {
                    let at = self.o.scratch;
                    self.asm.modrm(4, 0x89, R8, Rm::Field(at));
                    self.push_return(i, p, next);
                    self.asm.modrm(4, 0x8B, R8, Rm::Field(at));
                    self.asm.jmp_outside(self.thunks.lookup);
                }
                none
            }
            "ret" => {
                self.save_flags();
                let slow = self.asm.label();
                self.asm.mov(R8, ESP);
                self.check(4, false, slow);
                self.asm.modrm(4, 0x8B, R8, Rm::Guest);
                let release = if row.operands[0] == Operand::Iw { 4 + i.imm as i32 } else { 4 };
                self.asm.lea(ESP, Some(ESP), None, release);
                self.asm.jmp_outside(self.thunks.lookup);
                let site = self.site(i, p, true, false, true);
                self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
                none
            }
            "loop" => {
                self.asm.lea(1, Some(1), None, -1);
                let mut jumps = self.ecx_jump(next, target);
                // ECX = 0 falls through: the two targets change places.
                let (a, b) = (jumps[0].target, jumps[1].target);
                jumps[0].target = b;
                jumps[1].target = a;
                jumps
            }
            "loope" | "loopne" => {
                self.interpret(i, p, true);
                none
            }
            name if name.starts_with('j') => {
                let condition = Some(row.opcode as u8 & 15);
                vec![
                    Jump { condition, target, saved: false },
                    Jump { condition: None, target: next, saved: false },
                ]
            }
            _ => {
                self.interpret(i, p, true);
                none
            }
        }
    }

    /// A jump on ECX = 0, which no condition code tells: condition 16.
    fn ecx_jump(&mut self, next: i32, target: i32) -> alloc::vec::Vec<Jump> {
        alloc::vec![
            Jump { condition: Some(16), target, saved: false },
            Jump { condition: None, target: next, saved: false },
        ]
    }

    /// Target of an indirect branch to r8d. False when the instruction is interpreted instead.
    fn target(&mut self, i: &Inst, p: Place) -> bool {
        match Self::operand(i, 0) {
            Some(Opnd::Reg(a)) => {
                self.asm.mov(R8, host(a));
                true
            }
            _ => {
                let slow = self.asm.label();
                let start = self.asm.at();
                if !self.address(i, 4, slow) {
                    self.asm.bytes.truncate(start);
                    self.interpret(i, p, true);
                    return false;
                }
                self.check(4, false, slow);
                self.asm.modrm(4, 0x8B, R8, Rm::Guest);
                let site = self.site(i, p, true, false, true);
                self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
                true
            }
        }
    }

    /// Pushes the address behind a call. The flags are saved already.
    fn push_return(&mut self, i: &Inst, p: Place, next: i32) {
        let slow = self.asm.label();
        self.asm.lea(R8, Some(ESP), None, -4);
        self.check(4, true, slow);
        self.eip(R11, next);
        self.asm.modrm(4, 0x89, R11, Rm::Guest);
        self.asm.mov(ESP, R8);
        let site = self.site(i, p, true, false, true);
        self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
    }

    /// Emits the cold pieces.
    pub(super) fn cold(&mut self) {
        let mut n = 0;
        while n < self.cold.len() {
            match self.cold[n] {
                Cold::Unaligned { from, back, slow, size } => {
                    self.asm.bind(from);
                    let reach = i32::from(size) - 1;
                    self.asm.lea(R10, Some(R8), None, reach);
                    dynasm!(self.asm ; .arch x64 ; xor r10d, r8d ; test r10d, 0xFFFF_F000_u32 as i32);
                    self.asm.jcc(4, back);
                    self.asm.jmp(slow);
                }
                Cold::Slow { from, next, site, restore } => {
                    self.asm.bind(from);
                    self.asm.mov_imm(R11, site);
                    self.asm.call_outside(self.thunks.interpret);
                    if restore {
                        self.restore_flags();
                    }
                    if next != from {
                        self.asm.jmp(next);
                    }
                }
            }
            n += 1;
        }
    }
}

/// Flags needed before each instruction of a block and whether any are needed at its start.
pub(super) fn liveness(insts: &[Inst], live: &mut [Flags], precise: bool) -> bool {
    let mut needed = OSZAPC;
    for (n, i) in insts.iter().enumerate().rev() {
        live[n] = needed;
        let row = i.row();
        let writes = row.writes & OSZAPC;
        // Shifts by a variable count may leave the flags alone: their rows say that they read them.
        needed = needed & !writes | row.reads & OSZAPC;
        if precise || row.lowering == Lowering::End {
            needed = OSZAPC;
        }
    }
    needed != 0
}
