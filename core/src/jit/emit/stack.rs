//! The stack.

use super::*;

/// Guest EBP.
const EBP: u8 = 5;

impl Emitter<'_> {
    pub(super) fn push(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        let source = Self::operand(i, 0)?;
        let slow = self.asm.label();
        self.clobber_flags(p.live);
        if source == Opnd::Mem {
            self.address(i, 4, false, slow);
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
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    pub(super) fn pop(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        if i.oper16() {
            return None;
        }
        self.stack_read(i, p, ESP, |s| {
            if host(a) == ESP {
                s.asm.modrm(4, 0x8B, ESP, Rm::Guest);
            } else {
                s.asm.modrm(4, 0x8B, host(a), Rm::Guest);
                s.asm.lea(ESP, Some(ESP), None, 4);
            }
        })
    }

    pub(super) fn leave(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        self.stack_read(i, p, EBP, |s| {
            s.asm.modrm(4, 0x8B, EBP, Rm::Guest);
            s.asm.lea(ESP, Some(R8), None, 4);
        })
    }

    /// Checks the dword at `at` for reading, then `body`.
    fn stack_read(&mut self, i: &Inst, p: Place, at: u8, body: impl FnOnce(&mut Self)) -> Option<Done> {
        let slow = self.asm.label();
        self.clobber_flags(p.live);
        self.asm.mov(R8, at);
        self.check(4, false, slow);
        body(self);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
