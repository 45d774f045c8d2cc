//! The decoded form of an instruction, shared by the interpreter and the recompilers.

use crate::cpu::block::mode;
use crate::cpu::{Cpu, Io, Run};
use crate::isa::row::{Lowering, Operand, Row, form};
use crate::isa::table::ROWS;

/// The semantics of an instruction: executes it once.
pub type Handler = fn(&mut Cpu, &Inst, &mut dyn Io) -> Run;

/// "No register" in [`Inst::base`] and [`Inst::index`]: names a register that always reads 0.
pub const NO_REG: u8 = 8;

/// Bits of [`Inst::prefixes`].
pub mod prefix {
    /// Effective addresses have 16 bits.
    pub const ADDR16: u8 = 1 << 0;
    /// Operands have 16 bits.
    pub const OPER16: u8 = 1 << 1;
    /// F3: REP or REPE.
    pub const REP: u8 = 1 << 2;
    /// F2: REPNE.
    pub const REPNE: u8 = 1 << 3;
    /// F0.
    pub const LOCK: u8 = 1 << 4;
    /// A segment override was given.
    pub const SEGMENT: u8 = 1 << 5;
    /// The last operand's memory form was decoded (ModRM mod ≠ 3, or a direct offset).
    pub const MEMORY: u8 = 1 << 6;
    /// 66 was given (whatever the default operand size).
    pub const P66: u8 = 1 << 7;
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Inst {
    /// What executes it.
    pub run: Handler,
    /// Immediate operand, sign-extended where the instruction says so; for relative branches the distance.
    pub imm: u32,
    /// Displacement of the memory operand; second immediate where there are two (ENTER, far pointers).
    pub disp: u32,
    /// Number of its row.
    pub row: u16,
    /// Offset of the next instruction from the first byte of the block.
    pub end: u16,
    /// Its number in the block.
    pub number: u8,
    /// The low four bits of the opcode: the condition of those that have one.
    pub condition: u8,
    /// Length in bytes.
    pub len: u8,
    /// Register number of each register operand, by operand position.
    pub reg: [u8; 3],
    /// Base register, or [`NO_REG`].
    pub base: u8,
    /// Index register, or [`NO_REG`].
    pub index: u8,
    /// The index is shifted left by this.
    pub scale: u8,
    /// Segment register of the memory operand (ES CS SS DS FS GS = 0–5).
    pub segment: u8,
    /// See [`prefix`].
    pub prefixes: u8,
}

impl Inst {
    /// Its row.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        &ROWS[self.row as usize]
    }

    /// The same for a block under mode bits, which may say that its memory operand's segment is flat.
    #[must_use]
    pub fn under(self, mode: u32) -> Self {
        if !self.is_memory() || self.addr16() || !mode::is_flat(mode, self.segment) {
            return self;
        }
        let form = if self.index == NO_REG { form::FLAT } else { form::FLAT_INDEX };
        Self { run: self.row().run[form::index(!self.oper16(), form)], ..self }
    }

    /// Whether it has a memory operand.
    #[must_use]
    pub const fn is_memory(&self) -> bool {
        self.prefixes & prefix::MEMORY != 0
    }

    /// Whether its effective addresses have 16 bits.
    #[must_use]
    pub const fn addr16(&self) -> bool {
        self.prefixes & prefix::ADDR16 != 0
    }

    /// Whether its operands have 16 bits.
    #[must_use]
    pub const fn oper16(&self) -> bool {
        self.prefixes & prefix::OPER16 != 0
    }

    /// Whether its immediate operand is a value that it works with, or the target of a call or a jump, and says nothing
    /// about what kind of instruction it is.
    #[must_use]
    pub fn immediate_is_data(&self) -> bool {
        use Lowering as L;
        matches!(
            self.row().lowering,
            L::Alu | L::Test | L::Mov | L::Push | L::Imul3 | L::Shift | L::CallNear | L::Jump
        )
    }

    /// Bytes at its end that are such an immediate operand, or 0.
    #[must_use]
    pub fn immediate_size(&self) -> usize {
        let wide = if self.oper16() { 2 } else { 4 };
        let size = |operand: &Operand| match operand {
            Operand::Ib | Operand::Ibs | Operand::Jb => 1,
            Operand::Iz | Operand::Jz => wide,
            _ => 0,
        };
        if self.immediate_is_data() { self.row().operands.iter().map(size).sum() } else { 0 }
    }

    /// What [`Self::imm`] is for these bytes, of which the first [`Self::immediate_size`] count and the rest is 0.
    #[must_use]
    pub fn immediate(&self, bytes: [u8; 4]) -> u32 {
        let value = u32::from_le_bytes(bytes);
        // No instruction of these has two.
        let extended = |operand: &Operand| matches!(operand, Operand::Ibs | Operand::Jb | Operand::Jz);
        match self.row().operands.iter().find(|operand| extended(operand)) {
            Some(Operand::Jz) if self.oper16() => value as i16 as u32,
            Some(Operand::Ibs | Operand::Jb) => value as i8 as u32,
            _ => value,
        }
    }

    /// Whether another decoded instruction of the same kind differs in such an immediate operand at most.
    #[must_use]
    pub fn same_but_for_immediate(&self, other: &Self) -> bool {
        self.row == other.row
            && self.len == other.len
            && self.prefixes == other.prefixes
            && self.reg == other.reg
            && self.disp == other.disp
            && (self.base, self.index, self.scale, self.segment)
                == (other.base, other.index, other.scale, other.segment)
            && (self.imm == other.imm || self.immediate_is_data())
    }

    /// Whether it has a REP, REPE or REPNE prefix.
    #[must_use]
    pub const fn rep(&self) -> bool {
        self.prefixes & (prefix::REP | prefix::REPNE) != 0
    }
}
