//! Flags that are made once more. Code that a function returns to hardly ever reads the flags that it was left with: on
//! in a trace they are not kept for the case that the return leads elsewhere. There the instruction that wrote them is
//! executed again, which is possible while the registers that it had are what they were, or moved by constants.

use super::flags::effects;
use super::*;

/// How flags are made again. The guest's registers stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::jit) enum Again {
    /// ADD, SUB or CMP (`digit` of group 1) of a register's value `by` bytes from where it is now, and a constant.
    Constant { digit: u8, register: u8, by: i32, value: u32 },
    /// CMP or TEST (the opcode for 32 bits) of two registers.
    Registers { size: u8, opcode: u32, first: u8, second: u8 },
    /// TEST of a register and a constant.
    Bits { size: u8, register: u8, value: u32 },
}

impl Emitter<'_> {
    /// How the flags in RFLAGS behind a return at `index` can be made again, where what follows it in the trace needs
    /// none of them (`live`); `release`: what the return adds to ESP.
    pub(super) fn again(&self, index: u32, release: i32, live: Flags) -> Option<Again> {
        if self.precise || live != 0 || self.flags.memory || !self.flags.host {
            return None;
        }
        // What happened to registers since, from the last instruction to the first.
        let (mut moved, mut written) = (release, 0_u8);
        for i in self.insts[..index as usize].iter().rev() {
            if effects(i).1 != 0 {
                return self.recipe(i, moved, written);
            }
            let (by, register) = Self::change(i)?;
            moved += by;
            written |= register;
        }
        None
    }

    /// What an instruction that leaves flags alone adds to ESP, and the other registers that it writes, a bit each.
    fn change(i: &Inst) -> Option<(i32, u8)> {
        use Lowering as L;
        let written = || match Self::operand(i, 0) {
            Some(Opnd::Reg(n)) => Some(1 << whole(Self::size(i, 0), n)),
            Some(Opnd::Mem) => Some(0),
            _ => None,
        };
        if i.oper16() && matches!(i.row().lowering, L::Push | L::Pop | L::Leave | L::CallNear | L::Return) {
            return None;
        }
        Some(match i.row().lowering {
            L::Nop | L::Jump | L::JumpCc => (0, 0),
            L::Push | L::CallNear => (-4, 0),
            L::Pop => (4, written()?),
            L::Leave => (0, 1 << 4 | 1 << 5),
            L::Return => (released(i), 0),
            L::Mov | L::Load | L::Lea => (0, written()?),
            _ => return None,
        })
    }

    /// How the flags of an instruction are made again when ESP has moved and registers were written since.
    fn recipe(&self, i: &Inst, moved: i32, written: u8) -> Option<Again> {
        use Lowering as L;
        let size = Self::size(i, 0);
        let kept = |n: u8| written >> whole(size, n) & 1 == 0;
        let still = |n: u8| kept(n) && (whole(size, n) != 4 || moved == 0);
        let (Opnd::Reg(a), b) = (Self::operand(i, 0)?, Self::operand(i, 1)?) else { return None };
        if i.prefixes & prefix::LOCK != 0 {
            return None;
        }
        let digit = Self::group1(i.row());
        match (i.row().lowering, digit, b) {
            (L::Alu, 0 | 5, Opnd::Imm(value)) if size == 4 && kept(a) => {
                let by = if digit == 0 { (value as i32).wrapping_neg() } else { value as i32 };
                let by = if a == 4 { by.wrapping_sub(moved) } else { by };
                Some(Again::Constant { digit, register: a, by, value })
            }
            (L::Alu, 7, Opnd::Imm(value)) if size == 4 && kept(a) => {
                let by = if a == 4 { moved.wrapping_neg() } else { 0 };
                Some(Again::Constant { digit, register: a, by, value })
            }
            // OR, AND, XOR: what they gave has the same flags.
            (L::Alu, 1 | 4 | 6, _) if still(a) => {
                Some(Again::Registers { size, opcode: 0x85, first: a, second: a })
            }
            (L::Alu, 7, Opnd::Reg(b)) if still(a) && still(b) => {
                Some(Again::Registers { size, opcode: 0x39, first: a, second: b })
            }
            (L::Test, _, Opnd::Reg(b)) if still(a) && still(b) => {
                Some(Again::Registers { size, opcode: 0x85, first: a, second: b })
            }
            (L::Test, _, Opnd::Imm(value)) if still(a) => Some(Again::Bits { size, register: a, value }),
            _ => None,
        }
    }

    /// Makes flags again, in RFLAGS. r9 is lost.
    pub(super) fn make_again(&mut self, again: Again) {
        match again {
            Again::Constant { digit, register, by, value } => {
                self.asm.lea(R9, Some(host(register)), None, by);
                self.asm.modrm(4, 0x81, digit, Rm::Reg(R9));
                self.constant(4, value);
            }
            Again::Registers { size, opcode, first, second } => {
                let opcode = if size == 1 { opcode - 1 } else { opcode };
                self.asm.modrm(size, opcode, Self::reg(size, second), Rm::Reg(Self::reg(size, first)));
            }
            Again::Bits { size, register, value } => {
                let opcode = if size == 1 { 0xF6 } else { 0xF7 };
                self.asm.modrm(size, opcode, 0, Rm::Reg(Self::reg(size, register)));
                self.constant(size, value);
            }
        }
    }
}

/// What a near return adds to ESP.
pub(super) fn released(i: &Inst) -> i32 {
    if i.row().operands[0] == Operand::Iw { 4 + i.imm as i32 } else { 4 }
}

/// The register that a register of a size is, or a part of.
const fn whole(size: u8, n: u8) -> u8 {
    if size == 1 { n & 3 } else { n & 7 }
}
