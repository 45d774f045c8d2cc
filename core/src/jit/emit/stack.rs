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
        let shared = self.planned(i, p, 1);
        let known = source != Opnd::Mem || self.plan.access(p.index, 0).is_some();
        if shared.is_none() || !known {
            // Now, since that takes r11.
            self.clobber_flags(p.live);
        }
        let loaded = if source == Opnd::Mem { self.planned(i, p, 0) } else { None };
        if let Some(rm) = loaded {
            self.asm.modrm(4, 0x8B, R11, rm);
        }
        if let (Some(rm), true) = (shared, known) {
            self.store(source, rm);
            self.asm.lea(ESP, Some(ESP), None, -4);
            return Some(Done::Next);
        }
        let slow = self.asm.label();
        if source == Opnd::Mem && loaded.is_none() {
            self.address(i, 4, false, slow);
            self.check(4, false, slow);
            self.asm.modrm(4, 0x8B, R11, Rm::Guest);
        }
        if let Some(rm) = shared {
            self.store(source, rm);
            self.asm.lea(ESP, Some(ESP), None, -4);
        } else {
            self.asm.lea(R8, Some(ESP), None, -4);
            self.check(4, true, slow);
            self.store(source, Rm::Guest);
            self.asm.mov(ESP, R8);
        }
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// Stores what PUSH pushes; from memory it is in r11.
    fn store(&mut self, source: Opnd, rm: Rm) {
        match source {
            Opnd::Reg(a) => self.asm.modrm(4, 0x89, host(a), rm),
            Opnd::Imm(v) => {
                self.asm.modrm(4, 0xC7, 0, rm);
                self.asm.push_i32(v as i32);
            }
            Opnd::Mem => self.asm.modrm(4, 0x89, R11, rm),
        }
    }

    pub(super) fn pop(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        if i.oper16() {
            return None;
        }
        self.stack_read(i, p, ESP, |s, rm| {
            s.asm.modrm(4, 0x8B, host(a), rm);
            if host(a) != ESP {
                s.asm.lea(ESP, Some(ESP), None, 4);
            }
        })
    }

    pub(super) fn leave(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.oper16() {
            return None;
        }
        self.stack_read(i, p, EBP, |s, rm| {
            s.asm.lea(ESP, Some(EBP), None, 4);
            s.asm.modrm(4, 0x8B, EBP, rm);
        })
    }

    /// Checks the dword at `at` for reading, then `body`.
    fn stack_read(&mut self, i: &Inst, p: Place, at: u8, body: impl FnOnce(&mut Self, Rm)) -> Option<Done> {
        if let Some(rm) = self.planned(i, p, 0) {
            body(self, rm);
            return Some(Done::Next);
        }
        let slow = self.asm.label();
        self.clobber_flags(p.live);
        self.asm.mov(R8, at);
        self.check(4, false, slow);
        body(self, Rm::Guest);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
