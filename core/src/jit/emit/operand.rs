//! Operands: registers, immediates, and memory through the software TLB.

use super::*;

impl Emitter<'_> {
    /// Puts the linear address of the memory operand into r8d. RFLAGS and r9 are lost.
    pub(super) fn address(&mut self, i: &Inst, size: u8, write: bool, slow: Label) {
        self.effective(i);
        if i.addr16() {
            dynasm!(self.asm ; .arch x64 ; movzx r8d, r8w);
        }
        self.segment(i.segment, size, write, slow);
    }

    /// Puts the offset of the memory operand into r8d, of which the low half counts when addresses have 16 bits.
    pub(super) fn effective(&mut self, i: &Inst) {
        let base = (i.base != NO_REG).then(|| host(i.base));
        let index = (i.index != NO_REG).then(|| (host(i.index), i.scale));
        self.asm.lea(R8, base, index, i.disp as i32);
    }

    /// Looks r8d up: afterwards `[r9 + r8]` is the operand. RFLAGS are lost.
    pub(super) fn check(&mut self, size: u8, write: bool, slow: Label) {
        self.check_aligned(size, false, write, slow);
    }

    /// The same; with `aligned` an operand that is not at a multiple of its size is left to the interpreter.
    pub(super) fn check_aligned(&mut self, size: u8, aligned: bool, write: bool, slow: Label) {
        let table = if write { self.o.write_table } else { 0 };
        dynasm!(self.asm ; .arch x64 ; mov r9d, r8d ; shr r9d, 12);
        self.asm.load_entry(R9, R9, table);
        dynasm!(self.asm ; .arch x64 ; test r9, r9);
        if write {
            let (from, back) = (self.asm.label(), self.asm.label());
            self.asm.jcc(4, from);
            self.asm.bind(back);
            self.cold.push(Cold::Mixed { from, back, slow, size });
        } else {
            self.asm.jcc(4, slow);
        }
        if size > 1 {
            // Ten bytes count as sixteen: the slow way is a little more often taken.
            let size = size.next_power_of_two();
            let mask = (size - 1) as i8;
            dynasm!(self.asm ; .arch x64 ; test r8b, mask);
            if aligned {
                self.asm.jcc(5, slow);
                return;
            }
            let (from, back) = (self.asm.label(), self.asm.label());
            self.asm.jcc(5, from);
            self.asm.bind(back);
            self.cold.push(Cold::Unaligned { from, back, slow, size });
        }
    }

    pub(super) fn operand(i: &Inst, n: usize) -> Option<Opnd> {
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
    pub(super) fn size(i: &Inst, n: usize) -> u8 {
        use Operand as O;
        match i.row().operands[n] {
            O::Eb | O::Gb | O::Zb | O::AL | O::Ob | O::CL => 1,
            O::Ew | O::Gw | O::AX => 2,
            O::Ed | O::Gd | O::Zd => 4,
            _ if i.oper16() => 2,
            _ => 4,
        }
    }

    /// Emits `body` with the memory operand checked, around the slow way; `body` gets the r/m. The flags are in
    /// RFLAGS when `body` runs if it needs them. It changes nothing of the guest's before its last access.
    pub(super) fn with_memory(
        &mut self,
        i: &Inst,
        p: Place,
        size: u8,
        write: bool,
        body: impl FnOnce(&mut Self, Rm),
    ) -> Done {
        let window = self.windowed(i, p);
        self.with_operand(i, p, (size, false), (write, window), |s, rm, _| body(s, rm))
    }

    /// As [`Self::with_memory`], for operands that may have to be aligned; where `window` is set the host's
    /// instruction itself tells that they are not. `body` also gets the label of the slow way, which it may jump to
    /// with the flags in memory.
    pub(super) fn with_operand(
        &mut self,
        i: &Inst,
        p: Place,
        (size, aligned): (u8, bool),
        (write, window): (bool, bool),
        body: impl FnOnce(&mut Self, Rm, Label),
    ) -> Done {
        let needed = self.before(i, p);
        let (reads, writes) = flags::effects(i);
        let slow = self.asm.label();
        if let Some(rm) = self.planned(i, p, 0) {
            if reads | writes != 0 {
                self.host_flags(needed);
            }
            body(self, rm, slow);
            return Done::Next;
        }
        let rm = if window {
            self.window_operand(i, needed, size, write, slow)
        } else {
            self.clobber_flags(needed);
            self.address(i, size, write, slow);
            self.check_aligned(size, aligned, write, slow);
            Rm::Guest
        };
        if reads | writes != 0 {
            self.host_flags(needed);
        }
        let (start, save) = (self.asm.at(), self.unsaved(needed));
        body(self, rm, slow);
        if window {
            self.note_access(start, p, slow);
        }
        self.flags_done(i);
        self.slow_way_from(i, p, slow, window && save);
        Done::Next
    }

    /// A register operand as host register; byte registers AH–BH cannot be named together with memory.
    pub(super) fn reg(size: u8, guest: u8) -> u8 {
        if size == 1 { guest } else { host(guest) }
    }

    /// An instruction with r/m and a register (or digit), opcode for the wide form; the byte form is one less.
    pub(super) fn rm_reg(&mut self, size: u8, opcode: u32, reg: u8, rm: Rm) {
        let opcode = if size == 1 { opcode - 1 } else { opcode };
        if size == 1 && !matches!(rm, Rm::Reg(_) | Rm::Window { .. }) && (4..8).contains(&reg) {
            // AH–BH: swapped with AL–BL around the access, since REX is needed for the address.
            let low = reg & 3;
            let mut rm = rm;
            if let Rm::Shared { via, base, disp } = rm
                && base == low
            {
                // The base is about to be swapped.
                self.asm.lea(R8, Some(base), None, disp);
                rm = Rm::Shared { via, base: R8, disp: 0 };
            }
            self.asm.modrm(1, 0x86, low, Rm::Reg(reg));
            self.asm.modrm(1, opcode, low, rm);
            self.asm.modrm(1, 0x86, low, Rm::Reg(reg));
            return;
        }
        self.asm.modrm(size, opcode, reg, rm);
    }

    /// The instruction's immediate operand.
    pub(super) fn imm(&mut self, size: u8, value: u32) {
        self.note_patch(PatchKind::Bytes(size), self.asm.at());
        self.constant(size, value);
    }

    /// Another constant.
    pub(super) fn constant(&mut self, size: u8, value: u32) {
        match size {
            1 => self.asm.push(value as u8),
            2 => self.asm.extend(&(value as u16).to_le_bytes()),
            _ => self.asm.push_i32(value as i32),
        }
    }
}
