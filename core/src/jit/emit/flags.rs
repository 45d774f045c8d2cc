//! Status flags: which are needed where, and where they are.
//!
//! Checks of memory accesses destroy RFLAGS. Flags that somebody still needs are written to memory before the
//! first check, once, and loaded when the next instruction asks for them.

use super::*;

/// Where the guest's flags are, as far as they are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::jit) struct Where {
    /// In RFLAGS.
    pub(in crate::jit) host: bool,
    /// In [`crate::jit::Shared::flags`].
    pub(in crate::jit) memory: bool,
}

impl Where {
    /// Written by the host instruction just emitted.
    pub(in crate::jit) const HOST: Self = Self { host: true, memory: false };
    /// Written by the interpreter.
    pub(in crate::jit) const MEMORY: Self = Self { host: false, memory: true };
}

/// Status flags that an instruction reads and writes. Sharper than its row where the immediate counts.
pub(in crate::jit) fn effects(i: &Inst) -> (Flags, Flags) {
    let row = i.row();
    let (reads, writes) = (row.reads & OSZAPC, row.writes & OSZAPC);
    let immediate = matches!(row.operands, [_, Operand::Ib | Operand::One, ..] | [_, _, Operand::Ib, _]);
    match row.lowering {
        Lowering::Shift if immediate => match i.imm & 31 {
            0 => (0, 0),
            _ if matches!(row.digit, Some(2 | 3)) => (flag::C, writes),
            _ => (0, writes),
        },
        Lowering::DoubleShift if immediate && !i.oper16() => match i.imm & 31 {
            0 => (0, 0),
            _ => (0, writes),
        },
        Lowering::BitTest => (0, writes),
        Lowering::String if !i.rep() => (0, writes),
        _ => (reads, writes),
    }
}

/// Whether the manuals leave flags undefined after it, so that they depend on the maker of the host's processor.
/// (AF after logical instructions is cleared by all of them.)
pub(super) fn left_open(i: &Inst) -> bool {
    use Lowering as L;
    let row = i.row();
    match row.lowering {
        L::Multiply | L::Imul3 | L::Divide | L::DoubleShift | L::BitTest => true,
        L::Shift => row.operands[1] == Operand::CL || i.imm & 31 > 1,
        // IMUL, BSF, BSR; not MOVZX, MOVSX and CMOVcc.
        L::Load => row.writes & OSZAPC != 0,
        _ => false,
    }
}

/// Flags needed in front of `insts` when those behind need `after`; `each` sees what is needed behind each.
pub(in crate::jit) fn needed(insts: &[Inst], after: Flags, mut each: impl FnMut(usize, Flags)) -> Flags {
    let mut needed = after;
    for (n, i) in insts.iter().enumerate().rev() {
        each(n, needed);
        let (reads, writes) = effects(i);
        needed = needed & !writes | reads;
        if matches!(i.row().lowering, Lowering::End | Lowering::SegmentLoad) {
            // What comes behind it, or a handler, may look at all.
            needed = OSZAPC;
        }
    }
    needed
}

impl Emitter<'_> {
    /// Flags that must survive up to the instruction or that it reads itself.
    pub(super) fn before(&self, i: &Inst, p: Place) -> Flags {
        if self.precise {
            // Those that the manuals leave undefined may be what they were.
            return OSZAPC;
        }
        let (reads, writes) = effects(i);
        (p.live & !writes | reads) & OSZAPC
    }

    /// AH and OF of RFLAGS to memory; r11 is lost.
    pub(in crate::jit) fn save_flags(&mut self) {
        save_flags(self.asm);
    }

    /// The reverse; r11 is lost.
    pub(super) fn load_flags(&mut self) {
        let at = self.o.flags;
        dynasm!(self.asm ; .arch x64 ; mov r11d, eax);
        self.asm.modrm(4, 0x0FB7, 0, Rm::Field(at)); // MOVZX
        dynasm!(self.asm ; .arch x64 ; add al, 0x7F ; sahf ; mov eax, r11d);
    }

    /// Makes sure that the flags are in memory, if they are needed.
    pub(in crate::jit) fn keep_flags(&mut self, needed: Flags) {
        if needed != 0 && !self.flags.memory {
            debug_assert!(self.flags.host, "needed flags are somewhere");
            self.save_flags();
            self.flags.memory = true;
        }
    }

    /// RFLAGS are about to be destroyed.
    pub(super) fn clobber_flags(&mut self, needed: Flags) {
        self.keep_flags(needed);
        self.flags.host = false;
    }

    /// Makes sure that the flags are in RFLAGS, if they are needed.
    pub(super) fn host_flags(&mut self, needed: Flags) {
        if needed != 0 && !self.flags.host {
            debug_assert!(self.flags.memory, "needed flags are somewhere");
            self.load_flags();
            self.flags.host = true;
        }
    }

    /// The host instruction just emitted did with the flags what the guest's does.
    pub(super) fn flags_done(&mut self, i: &Inst) {
        if effects(i).1 != 0 {
            self.flags = Where::HOST;
        }
    }
}
