//! Lowering: one decoded instruction to host code. Each chapter has a file; which emitter serves an instruction
//! is said by its row ([`Lowering`]).

mod alu;
mod branch;
pub(super) mod flags;
mod fp;
mod mov;
mod operand;
mod stack;

pub(super) use fp::Files;

use super::asm::{Asm, Label, Rm, host};
use super::fp::BEHIND;
use super::thunks::{Offsets, Thunks, lookup};
use super::x64::Site;
use crate::isa::Inst;
use crate::isa::decode::Features;
use crate::isa::inst::{NO_REG, prefix};
use crate::isa::row::flags::{self as flag, OSZAPC};
use crate::isa::row::{Flags, Lowering, Operand};
use alloc::vec::Vec;
use dynasm::dynasm;
use flags::Where;

/// Scratch registers.
const R8: u8 = 8;
const R10: u8 = 10;
const R11: u8 = 11;
/// Guest ESP.
const ESP: u8 = 15;

/// An operand as lowering sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opnd {
    /// Guest general register (for bytes 4–7 are the high bytes).
    Reg(u8),
    /// The memory operand.
    Mem,
    /// Immediate.
    Imm(u32),
}

/// What is known about an instruction inside its block.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Position in the block.
    pub(super) index: u32,
    /// Flags that somebody behind it needs.
    pub(super) live: Flags,
    /// Offset of the block's first byte in its page.
    pub(super) offset: u32,
}

/// How a lowering ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// The next instruction follows.
    Next,
    /// The block ends here.
    Ended,
}

/// A cold piece of code behind the block.
pub(super) enum Cold {
    /// The access may be unaligned inside one page: checked here, then back or on to the slow way.
    Unaligned { from: Label, back: Label, slow: Label, size: u8 },
    /// The interpreter executes the instruction; then on at `next`.
    Slow { from: Label, next: Label, site: u32, restore: bool },
    /// Register files are loaded for the instruction.
    Load { from: Label, back: Label, site: u32, files: u8 },
    /// The table of entry points does not have it.
    Miss { from: Label },
}

/// A direct jump to another block.
#[derive(Clone, Copy)]
pub(super) struct Jump {
    /// Condition, or none.
    pub(super) condition: Option<u8>,
    /// Target: offset from the block's EIP base (may leave the page).
    pub(super) target: i32,
}

/// Translation of one block.
pub(super) struct Emitter<'a> {
    pub(super) asm: &'a mut Asm,
    pub(super) cold: Vec<Cold>,
    pub(super) sites: &'a mut Vec<Site>,
    pub(super) thunks: Thunks,
    pub(super) o: Offsets,
    pub(super) block_total: u32,
    pub(super) first: *const Inst,
    /// Flags are exact everywhere, and the same on every host.
    pub(super) precise: bool,
    /// Where the flags are.
    pub(super) flags: Where,
    /// The instruction just emitted was left to the interpreter.
    pub(super) interpreted: bool,
    pub(super) insts: &'a [Inst],
    /// What is known of x87, MMX and SSE state.
    pub(super) files: Files,
    /// Extensions that the host has.
    pub(super) host: Features,
    /// The host's processor does as the interpreter where makers differ.
    pub(super) amd: bool,
}

impl Emitter<'_> {
    /// A site for an instruction: flags wanted before and after it, whether the block ends behind it.
    fn site(&mut self, p: Place, flags_in: bool, flags_out: bool, end: bool) -> u32 {
        let (files, x87, x87_memory) = self.files_at(p.index);
        self.sites.push(Site {
            inst: self.first.wrapping_add(p.index as usize),
            total: self.block_total,
            index: p.index,
            offset: p.offset,
            flags_in,
            flags_out,
            end,
            files,
            x87,
            x87_memory,
        });
        self.sites.len() as u32 - 1
    }

    /// The interpreter executes the instruction in line.
    fn interpret(&mut self, i: &Inst, p: Place, end: bool) -> Done {
        // A fault's handler sees the flags as well; only those that nobody reads afterwards may be wrong.
        let needed = self.before(i, p);
        self.keep_flags(needed);
        let flags_out = p.live & OSZAPC != 0;
        let site = self.site(p, needed != 0, flags_out, end);
        self.asm.mov_imm(R11, site);
        self.asm.call_outside(self.thunks.interpret);
        self.flags = Where { host: false, memory: flags_out };
        self.interpreted = true;
        self.files_unknown();
        if end { Done::Ended } else { Done::Next }
    }

    /// The slow way of an instruction whose fast way has just been emitted: the interpreter, then behind it.
    fn slow_way(&mut self, i: &Inst, p: Place, slow: Label) {
        let next = self.asm.label();
        self.asm.bind(next);
        let site = self.site(p, self.before(i, p) != 0, p.live & OSZAPC != 0, false);
        let restore = p.live & OSZAPC != 0 && self.flags.host;
        self.cold.push(Cold::Slow { from: slow, next, site, restore });
    }

    /// Lowers an instruction that is not a branch.
    pub(super) fn inst(&mut self, i: &Inst, p: Place) -> Done {
        if crate::cpu::run::ends_block(i) {
            return self.interpret(i, p, true);
        }
        self.interpreted = false;
        let (reads, writes) = flags::effects(i);
        let own =
            !matches!(i.row().lowering, Lowering::Call | Lowering::Same | Lowering::Store | Lowering::String);
        if own && !i.is_memory() && reads | writes != 0 {
            self.host_flags(self.before(i, p));
        }
        let locked = i.prefixes & prefix::LOCK != 0 && !Self::plain_when_locked(i);
        let lowered =
            if locked || self.precise && Self::leaves_flags_open(i) { None } else { self.lowered(i, p) };
        let done = lowered.unwrap_or_else(|| self.interpret(i, p, false));
        if !self.interpreted {
            self.flags_done(i);
        }
        done
    }

    /// Whether the manuals leave flags undefined after it, so that they depend on the maker of the host's
    /// processor. (AF after logical instructions is cleared by all of them.)
    fn leaves_flags_open(i: &Inst) -> bool {
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

    /// LOCK on these needs nothing more: there is one processor, and DMA runs on its thread. On all others it
    /// is for the interpreter to refuse.
    fn plain_when_locked(i: &Inst) -> bool {
        use Lowering as L;
        let row = i.row();
        let memory = i.is_memory() && row.operands[0].is_rm();
        match row.lowering {
            // Not CMP.
            L::Alu => memory && Self::group1(row) != 7,
            L::Unary | L::Exchange => memory,
            // Not BT.
            L::BitTest => memory && Self::bit_digit(row) != 4,
            _ => false,
        }
    }

    fn lowered(&mut self, i: &Inst, p: Place) -> Option<Done> {
        use Lowering as L;
        match i.row().lowering {
            L::Alu => self.alu(i, p),
            L::Test => self.test(i, p),
            L::Unary => self.unary(i, p),
            L::Multiply => self.multiply(i, p),
            L::Imul3 => self.imul3(i, p),
            L::Divide => self.divide(i, p),
            L::Shift => self.shift(i, p),
            L::DoubleShift => self.double_shift(i, p),
            L::BitTest => self.bit_test(i, p),
            L::Load => self.load_form(i, p),
            L::SetCc => self.setcc(i, p),
            L::Mov => self.mov(i, p),
            L::Lea => self.lea(i),
            L::Exchange => self.exchange(i, p),
            L::Swap => self.swap(i),
            L::Push => self.push(i, p),
            L::Pop => self.pop(i, p),
            L::Leave => self.leave(i, p),
            L::Plain => self.plain(i),
            L::Nop => Some(Done::Next),
            L::Same | L::Store => self.same(i, p),
            L::Call | L::End | L::String => None,
            L::Jump
            | L::JumpIndirect
            | L::CallNear
            | L::CallIndirect
            | L::Return
            | L::JumpCc
            | L::JumpCx
            | L::Loop
            | L::LoopCc => None,
        }
    }

    /// EIP base plus `by` to a register.
    pub(super) fn eip(&mut self, reg: u8, by: i32) {
        let at = self.o.code_page;
        self.asm.modrm(4, 0x8B, reg, Rm::Field(at));
        if by != 0 {
            self.asm.lea(reg, Some(reg), None, by);
        }
    }

    /// Emits the cold pieces.
    pub(super) fn cold(&mut self) {
        let mut n = 0;
        while n < self.cold.len() {
            match self.cold[n] {
                Cold::Unaligned { from, back, slow, size } => {
                    self.asm.bind(from);
                    let reach = i32::from(size) - 1;
                    self.asm.lea(R10, Some(R8), None, reach);
                    dynasm!(self.asm ; .arch x64 ; xor r10d, r8d ; test r10d, 0xFFFF_F000_u32 as i32);
                    self.asm.jcc(4, back);
                    self.asm.jmp(slow);
                }
                Cold::Load { from, back, site, files } => {
                    self.asm.bind(from);
                    self.asm.mov_imm(R11, site);
                    self.asm.mov_imm(R10, u32::from(files));
                    self.asm.call_outside(self.thunks.fp.fill);
                    self.asm.jmp(back);
                }
                Cold::Miss { from } => {
                    self.asm.bind(from);
                    self.asm.jmp_outside(self.thunks.miss);
                }
                Cold::Slow { from, next, site, restore } => {
                    self.asm.bind(from);
                    self.asm.mov_imm(R11, site);
                    self.asm.call_outside(self.thunks.interpret);
                    let files = self.sites[site as usize].files;
                    if files != 0 && next != from {
                        self.asm.mov_imm(R11, site);
                        self.asm.mov_imm(R10, u32::from(files | BEHIND));
                        self.asm.call_outside(self.thunks.fp.fill);
                    }
                    if restore {
                        self.load_flags();
                    }
                    if next != from {
                        self.asm.jmp(next);
                    }
                }
            }
            n += 1;
        }
    }
}
