//! Moves, conversions, conditional sets.

use super::*;

impl Emitter<'_> {
    pub(super) fn mov(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
                    self.note_patch(PatchKind::Bytes(4), self.asm.at() - 4);
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

    /// Reg ← r/m forms with a two-byte opcode: MOVZX, MOVSX, CMOVcc, IMUL, BSF, BSR.
    pub(super) fn load_form(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let opcode = i.row().opcode;
        // CMOVcc reads its source either way.
        let source_size = Self::size(i, 1);
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

    pub(super) fn setcc(&mut self, i: &Inst, p: Place) -> Option<Done> {
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

    pub(super) fn exchange(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
            Opnd::Mem if size == 2 => self.with_memory(i, p, size, true, |s, rm| {
                s.asm.modrm(4, 0x0FB7, R11, rm);
                s.asm.modrm(2, 0x89, host(b), rm);
                s.asm.modrm(2, 0x89, R11, Rm::Reg(host(b)));
            }),
            Opnd::Mem => self.with_memory(i, p, size, true, |s, rm| {
                s.asm.modrm(4, 0x0FB6, R11, rm);
                s.rm_reg(1, 0x89, b, rm);
                s.set_byte(b);
            }),
            Opnd::Imm(_) => return None,
        })
    }

    /// The low byte of r11 to a byte register.
    fn set_byte(&mut self, to: u8) {
        let low = to & 3;
        if to >= 4 {
            // AH–BH cannot be named together with r11.
            self.asm.modrm(1, 0x86, low, Rm::Reg(to));
        }
        self.asm.modrm(1, 0x88, R11, Rm::Reg(low));
        if to >= 4 {
            self.asm.modrm(1, 0x86, low, Rm::Reg(to));
        }
    }

    pub(super) fn lea(&mut self, i: &Inst) -> Option<Done> {
        let base = (i.base != NO_REG).then(|| host(i.base));
        let index = (i.index != NO_REG).then(|| (host(i.index), i.scale));
        if i.addr16() && !i.oper16() {
            self.asm.lea(R8, base, index, i.disp as i32);
            self.asm.modrm(4, 0x0FB7, host(i.reg[0]), Rm::Reg(R8));
        } else if i.oper16() {
            self.asm.lea(R8, base, index, i.disp as i32);
            self.asm.modrm(2, 0x89, R8, Rm::Reg(host(i.reg[0])));
        } else {
            self.asm.lea(host(i.reg[0]), base, index, i.disp as i32);
        }
        Some(Done::Next)
    }

    pub(super) fn swap(&mut self, i: &Inst) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        let r = host(i.reg[0]);
        if r & 8 != 0 {
            self.asm.push(0x41);
        }
        self.asm.push(0x0F);
        self.asm.push(0xC8 | r & 7);
        Some(Done::Next)
    }

    /// Instructions of one byte that mean the same in long mode.
    pub(super) fn plain(&mut self, i: &Inst) -> Option<Done> {
        if i.oper16() {
            self.asm.push(0x66);
        }
        self.asm.push(i.row().opcode as u8);
        Some(Done::Next)
    }
}
