//! The stack.

use super::*;

/// Guest EBP.
const EBP: u8 = 5;

/// What PUSH pushes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushed {
    Operand(Opnd),
    /// A segment register's selector.
    Selector(u8),
}

impl Emitter<'_> {
    pub(super) fn push(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let size = Self::size(i, 0);
        let source = match i.row().operands[0] {
            Operand::ES => Pushed::Selector(0),
            Operand::CS => Pushed::Selector(1),
            Operand::SS => Pushed::Selector(2),
            Operand::DS => Pushed::Selector(3),
            Operand::FS => Pushed::Selector(4),
            Operand::GS => Pushed::Selector(5),
            _ => Pushed::Operand(Self::operand(i, 0)?),
        };
        let memory = source == Pushed::Operand(Opnd::Mem);
        if size == 4 && if memory { self.windowed(i, p) } else { self.in_window(p) } {
            return Some(self.push_through(i, p, memory, |s, rm| s.store(source, 4, rm)));
        }
        let shared = self.planned(i, p, 1);
        let known = !memory || self.plan.access(p.index, 0).is_some();
        if shared.is_none() || !known {
            // Now, since that takes r11.
            self.clobber_flags(p.live);
        }
        let loaded = if memory { self.planned(i, p, 0) } else { None };
        if let Some(rm) = loaded {
            self.asm.modrm(size, 0x8B, R11, rm);
        }
        if let (Some(rm), true) = (shared, known) {
            self.store(source, size, rm);
            self.move_stack(-i32::from(size));
            return Some(Done::Next);
        }
        let slow = self.asm.label();
        if memory && loaded.is_none() {
            self.address(i, size, false, slow);
            self.check(size, false, slow);
            self.asm.modrm(size, 0x8B, R11, Rm::Guest);
        }
        if let Some(rm) = shared {
            self.store(source, size, rm);
            self.move_stack(-i32::from(size));
        } else {
            self.stack_address(ESP, -i32::from(size), size, true, slow);
            self.store(source, size, Rm::Guest);
            if self.flat_stack() {
                self.asm.mov(ESP, R8);
            } else {
                self.move_stack(-i32::from(size));
            }
        }
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// Stores what PUSH pushes; from memory it is in r11. RFLAGS stay.
    fn store(&mut self, source: Pushed, size: u8, rm: Rm) {
        match source {
            Pushed::Operand(Opnd::Reg(a)) => self.asm.modrm(size, 0x89, host(a), rm),
            Pushed::Operand(Opnd::Imm(v)) => {
                self.asm.modrm(size, 0xC7, 0, rm);
                self.imm(size, v);
            }
            Pushed::Operand(Opnd::Mem) => self.asm.modrm(size, 0x89, R11, rm),
            Pushed::Selector(n) => {
                let selector = self.selector(n);
                self.asm.modrm(4, 0x0FB7, R11, selector);
                self.asm.modrm(size, 0x89, R11, rm);
            }
        }
    }

    pub(super) fn pop(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let Opnd::Reg(a) = Self::operand(i, 0)? else { return None };
        let size = Self::size(i, 0);
        self.stack_read(i, p, ESP, size, |s, rm| {
            if host(a) != ESP {
                s.asm.modrm(size, 0x8B, host(a), rm);
                s.move_stack(i32::from(size));
            } else if size == 4 {
                s.asm.modrm(4, 0x8B, ESP, rm);
            } else {
                // What moving the pointer carries into the upper half stays.
                s.asm.modrm(4, 0x0FB7, R11, rm);
                s.move_stack(2);
                s.asm.modrm(2, 0x89, R11, Rm::Reg(ESP));
            }
        })
    }

    pub(super) fn leave(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let size = Self::size(i, 0);
        self.stack_read(i, p, EBP, size, |s, rm| {
            if let Rm::Window { .. } = rm {
                // Nothing changes before the access.
                s.asm.lea(R8, Some(EBP), None, 4);
                s.asm.modrm(4, 0x8B, EBP, rm);
                s.asm.mov(ESP, R8);
            } else if s.mode & mode::STACK32 != 0 {
                s.asm.lea(ESP, Some(EBP), None, i32::from(size));
                s.asm.modrm(size, 0x8B, EBP, rm);
            } else {
                s.asm.modrm(size, 0x8B, R11, rm);
                s.asm.lea(R8, Some(EBP), None, i32::from(size));
                s.asm.modrm(2, 0x89, R8, Rm::Reg(ESP));
                s.asm.modrm(size, 0x89, R11, Rm::Reg(EBP));
            }
        })
    }

    /// Whether stack pointers are linear addresses.
    fn flat_stack(&self) -> bool {
        self.mode & mode::STACK32 != 0 && mode::is_flat(self.mode, 2)
    }

    /// Adds to the stack pointer. RFLAGS stay, r8 may be lost.
    pub(super) fn move_stack(&mut self, by: i32) {
        if self.mode & mode::STACK32 != 0 {
            self.asm.lea(ESP, Some(ESP), None, by);
        } else {
            self.asm.lea(R8, Some(ESP), None, by);
            self.asm.modrm(2, 0x89, R8, Rm::Reg(ESP));
        }
    }

    /// Checks `size` bytes of the stack, `by` bytes from where a register points: afterwards they are `[r9 + r8]`.
    /// RFLAGS are lost.
    pub(super) fn stack_address(&mut self, from: u8, by: i32, size: u8, write: bool, slow: Label) {
        if by == 0 && self.mode & mode::STACK32 != 0 {
            self.asm.mov(R8, from);
        } else if by == 0 {
            self.asm.modrm(4, 0x0FB7, R8, Rm::Reg(from));
        } else {
            self.asm.lea(R8, Some(from), None, by);
            if self.mode & mode::STACK32 == 0 {
                dynasm!(self.asm ; .arch x64 ; movzx r8d, r8w);
            }
        }
        self.segment(2, size, write, slow);
        self.check(size, write, slow);
    }

    /// Checks `size` bytes at the stack's top or frame for reading, then `body`.
    pub(super) fn stack_read(
        &mut self,
        i: &Inst,
        p: Place,
        at: u8,
        size: u8,
        body: impl FnOnce(&mut Self, Rm),
    ) -> Option<Done> {
        if let Some(rm) = self.planned(i, p, 0) {
            body(self, rm);
            return Some(Done::Next);
        }
        let slow = self.asm.label();
        if size == 4 && self.in_window(p) {
            let (start, save) = (self.asm.at(), self.unsaved(self.before(i, p)));
            body(self, Self::window_stack(at, 0));
            self.note_access(start, p, slow);
            self.slow_way_from(i, p, slow, save);
            return Some(Done::Next);
        }
        self.clobber_flags(p.live);
        self.stack_address(at, 0, size, false, slow);
        body(self, Rm::Guest);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
