//! Accesses through the window: the guest's own operand with two prefixes more. RFLAGS and scratch registers stay as
//! they are. Where the window has nothing at the address, or not for writing, the host's fault leads to the slow way
//! of the instruction, as if nothing of it had been executed; see [`crate::jit::window`].

use super::*;

/// An access in the code that is being emitted.
pub(in crate::jit) struct Through {
    /// Positions of its first byte and of what follows it.
    pub(in crate::jit) start: usize,
    /// See [`Self::start`].
    pub(in crate::jit) end: usize,
    /// Its slow way.
    pub(in crate::jit) slow: Label,
    /// Block that its instruction belongs to, and where in that it is.
    pub(in crate::jit) block: u32,
    /// See [`Self::block`].
    pub(in crate::jit) index: u8,
}

impl Emitter<'_> {
    /// Whether accesses of an instruction go through the window: where that has been in vain too often they do not.
    pub(super) fn in_window(&self, p: Place) -> bool {
        self.mode & mode::WINDOW != 0
            && self
                .denied
                .get(p.piece.block as usize)
                .is_some_and(|d| d >> (p.index - p.piece.start) & 1 == 0)
    }

    /// The same of an instruction's memory operand.
    pub(super) fn windowed(&self, i: &Inst, p: Place) -> bool {
        // AH to BH cannot be named together with the host's own registers.
        let high =
            || (0..3).any(|n| matches!(Self::operand(i, n), Some(Opnd::Reg(4..8))) && Self::size(i, n) == 1);
        self.in_window(p) && !i.addr16() && !((i.base == 4 || !mode::is_flat(self.mode, i.segment)) && high())
    }

    /// The memory operand in the window. RFLAGS stay, but where its segment is not flat.
    pub(super) fn window_operand(
        &mut self,
        i: &Inst,
        needed: Flags,
        size: u8,
        write: bool,
        slow: Label,
    ) -> Rm {
        if mode::is_flat(self.mode, i.segment) {
            let base = (i.base != NO_REG).then(|| host(i.base));
            let index = (i.index != NO_REG).then(|| (host(i.index), i.scale));
            return Rm::Window { base, index, disp: i.disp as i32 };
        }
        self.clobber_flags(needed);
        self.address(i, size, write, slow);
        Rm::Window { base: Some(R8), index: None, disp: 0 }
    }

    /// Four bytes on the stack, `by` bytes from where a register points.
    pub(super) const fn window_stack(register: u8, by: i32) -> Rm {
        Rm::Window { base: Some(register), index: None, disp: by }
    }

    /// Needed flags are in RFLAGS alone: the slow way begins with saving them.
    pub(super) const fn unsaved(&self, needed: Flags) -> bool {
        needed != 0 && !self.flags.memory
    }

    /// What has been emitted from `start` on goes through the window.
    pub(super) fn note_access(&mut self, start: usize, p: Place, slow: Label) {
        self.through.push(Through {
            start,
            end: self.asm.at(),
            slow,
            block: p.piece.block,
            index: (p.index - p.piece.start) as u8,
        });
    }

    /// PUSH: what is pushed from memory goes through r11.
    pub(super) fn push_through(
        &mut self,
        i: &Inst,
        p: Place,
        memory: bool,
        store: impl FnOnce(&mut Self, Rm),
    ) -> Done {
        let needed = self.before(i, p);
        let slow = self.asm.label();
        let from = memory.then(|| self.window_operand(i, needed, 4, false, slow));
        let (start, save) = (self.asm.at(), self.unsaved(needed));
        if let Some(rm) = from {
            self.asm.modrm(4, 0x8B, R11, rm);
        }
        store(self, Self::window_stack(ESP, -4));
        self.note_access(start, p, slow);
        self.move_stack(-4);
        self.slow_way_from(i, p, slow, save);
        Done::Next
    }

    /// Four bytes at a branch's operand to r8d, or those of r11d to the stack: the interpreter does all of the branch
    /// where that cannot be.
    pub(super) fn branch_through(&mut self, p: Place, slow: Label, opcode: u32, reg: u8, rm: Rm) {
        let (start, save) = (self.asm.at(), self.unsaved(p.live & OSZAPC));
        self.asm.modrm(4, opcode, reg, rm);
        self.note_access(start, p, slow);
        self.slow_end_from(p, slow, save);
    }
}
