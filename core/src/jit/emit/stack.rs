//! The stack.

use super::*;

impl Emitter<'_> {
    pub(super) fn push(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
            if !self.address(i, 4, false, slow) {
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

    pub(super) fn pop(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
    pub(super) fn stack_read(&mut self, i: &Inst, p: Place, body: impl FnOnce(&mut Self)) -> Option<Done> {
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

    pub(super) fn leave(&mut self, i: &Inst, p: Place) -> Option<Done> {
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
}
