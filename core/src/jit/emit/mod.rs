//! Lowering: one decoded instruction to host code. Each chapter has a file; which emitter serves an instruction
//! is said by its row ([`Lowering`]).

mod again;
mod alu;
mod branch;
pub(super) mod flags;
mod fp;
mod group;
mod mov;
mod operand;
mod segment;
mod stack;
pub(super) mod string;
mod system;
mod window;

pub(super) use fp::Files;
pub(super) use window::Through;

use super::asm::{Asm, Label, Rm, host};
use super::fp::BEHIND;
use super::plan::Plan;
use super::thunks::{Offsets, Thunks, save_flags};
use super::x64::{Patch, PatchKind, Site};
use crate::cpu::block::{Home, mode};
use crate::cpu::run::ends_block_in;
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
const R9: u8 = 9;
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
    /// The block that it belongs to.
    pub(super) piece: Piece,
}

/// A block as part of what is translated: one, or several that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Its number.
    pub(super) block: u32,
    /// Distance of its first byte from the beginning of the first block's page.
    pub(super) offset: i32,
    /// Bytes.
    pub(super) len: u32,
    /// Position of its first instruction.
    pub(super) start: u32,
    /// Instructions.
    pub(super) count: u32,
    /// Its first instruction in the cache.
    pub(super) first: *const Inst,
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
    /// A write may go to a page that holds code, but not there: `size` bytes, checked here.
    Mixed { from: Label, back: Label, slow: Label, size: u8 },
    /// The interpreter executes the instruction; then on at `next`, unless what was looked up is to be looked up
    /// again.
    /// With `save`, flags are needed and in RFLAGS alone.
    Slow { from: Label, next: Label, site: u32, save: bool, restore: bool, again: Option<u32> },
    /// Register files are loaded for the instruction.
    Load { from: Label, back: Label, site: u32, files: u8 },
    /// Accesses that were to share a lookup cannot, from this instruction on; pointers that are not noted yet.
    Alone { from: Label, index: u32, files: Files },
}

/// A way to a block without shared lookups.
pub(super) struct Alone {
    /// Position of the rel32 that leads to the stub until it is linked.
    pub(super) at: usize,
    /// The way to the dispatcher.
    pub(super) stub: Label,
    /// Position of the last rel32 of the stub.
    pub(super) tail: usize,
    /// It leads to another page.
    pub(super) cross: bool,
    /// Distance of the first instruction from the beginning of the first block's page.
    pub(super) target: i32,
}

/// Where the trace goes on behind a return.
#[derive(Clone, Copy)]
pub(super) struct Return {
    /// Distance from the beginning of the first block's page.
    pub(super) to: i32,
    /// Instructions of the budget that are given back when it is not to there.
    pub(super) rest: u32,
    /// Flags that are needed there.
    pub(super) live: Flags,
}

/// A way out to the address in r8d, with flags in memory.
pub(super) struct Astray {
    pub(super) from: Label,
    /// Instructions of the budget that are given back.
    pub(super) rest: u32,
    /// How flags are made that are nowhere.
    pub(super) again: Option<again::Again>,
}

/// A direct jump to another block.
#[derive(Clone, Copy)]
pub(super) struct Jump {
    /// Condition, or none; 16 is ECX = 0, 17 CX = 0.
    pub(super) condition: Option<u8>,
    /// Target: offset from the block's page (may leave it).
    pub(super) target: i32,
}

/// Direct jumps at the end of a block: LOOPcc has the most, three.
#[derive(Clone, Copy)]
pub(super) struct Jumps {
    list: [Jump; 3],
    count: usize,
}

impl Jumps {
    pub(super) const NONE: Self = Self { list: [Jump { condition: None, target: 0 }; 3], count: 0 };

    /// Control goes to one place.
    pub(super) const fn always(target: i32) -> Self {
        Self { list: [Jump { condition: None, target }; 3], count: 1 }
    }

    /// To one place on a condition, otherwise to another.
    const fn either(condition: u8, target: i32, next: i32) -> Self {
        let (first, second) =
            (Jump { condition: Some(condition), target }, Jump { condition: None, target: next });
        Self { list: [first, second, second], count: 2 }
    }

    /// Before anything else on a condition to a place.
    const fn unless(self, condition: u8, target: i32) -> Self {
        let first = Jump { condition: Some(condition), target };
        Self { list: [first, self.list[0], self.list[1]], count: self.count + 1 }
    }
}

impl core::ops::Deref for Jumps {
    type Target = [Jump];
    fn deref(&self) -> &[Jump] {
        &self.list[..self.count.min(3)]
    }
}

/// Translation of one block.
pub(super) struct Emitter<'a> {
    pub(super) asm: &'a mut Asm,
    pub(super) cold: &'a mut Vec<Cold>,
    pub(super) sites: &'a mut Vec<Site>,
    /// Immediate operands in the code, noted if [`Self::patchable`].
    pub(super) patches: &'a mut Vec<Patch>,
    pub(super) patchable: bool,
    /// Position of the instruction that is being lowered.
    pub(super) current: u32,
    pub(super) thunks: Thunks,
    pub(super) o: Offsets,
    /// Instructions in all.
    pub(super) block_total: u32,
    /// What it depends on: bits of [`mode`].
    pub(super) mode: u32,
    /// Where in its segment it lies, and in its page.
    pub(super) home: Home,
    /// See [`Self::home`].
    pub(super) offset: u32,
    /// Offsets of the instructions in their page.
    pub(super) at: &'a [i32],
    /// Accesses that share lookups, and of which groups there are addends now: a bit each.
    pub(super) plan: &'a Plan,
    pub(super) looked_up: u8,
    /// Ways out of returns that do not return to where the trace goes on.
    pub(super) astray: &'a mut Vec<Astray>,
    /// Ways out for want of it, whose links come first.
    pub(super) alone: &'a mut Vec<Alone>,
    pub(super) first_link: usize,
    /// Accesses through the window, and by block the instructions that do not go there, a bit each.
    pub(super) through: &'a mut Vec<Through>,
    pub(super) denied: &'a [u64],
    /// Every flag is needed everywhere.
    pub(super) precise: bool,
    /// Where the flags are.
    pub(super) flags: Where,
    /// The instruction just emitted was left to the interpreter.
    pub(super) interpreted: bool,
    /// Control may have come back from elsewhere in line, so that a loop must not count its rounds.
    pub(super) interrupted: bool,
    pub(super) insts: &'a [Inst],
    /// Where x87, MMX and SSE state is.
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
            files,
            x87,
            x87_memory,
            inst: p.piece.first.wrapping_add((p.index - p.piece.start) as usize),
            total: self.block_total - p.piece.start,
            index: p.index - p.piece.start,
            offset: p.piece.offset as u32,
            flags_in,
            flags_out,
            end,
            through: false,
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
        self.interrupted = true;
        self.asm.mov_imm(R11, site);
        self.asm.call_outside(self.thunks.interpret);
        self.files_unknown();
        self.flags = Where { host: false, memory: flags_out };
        self.interpreted = true;
        self.looked_up = 0;
        if end { Done::Ended } else { Done::Next }
    }

    /// The slow way of an instruction whose fast way has just been emitted: the interpreter, then behind it.
    fn slow_way(&mut self, i: &Inst, p: Place, slow: Label) {
        self.slow_way_from(i, p, slow, false);
    }

    /// The same; with `save`, flags that are needed before it are in RFLAGS alone.
    fn slow_way_from(&mut self, i: &Inst, p: Place, slow: Label, save: bool) {
        let next = self.asm.label();
        self.asm.bind(next);
        let site = self.site(p, self.before(i, p) != 0, p.live & OSZAPC != 0, false);
        let restore = p.live & OSZAPC != 0 && self.flags.host;
        let again = (self.looked_up != 0).then_some(p.index);
        self.cold.push(Cold::Slow { from: slow, next, site, save, restore, again });
    }

    /// Lowers an instruction that is not a branch.
    pub(super) fn inst(&mut self, i: &Inst, p: Place) -> Done {
        if ends_block_in(i, self.mode) && !string::in_line(i, self.mode) {
            let done = self.interpret(i, p, true);
            if !goes_on(i) {
                return done;
            }
            if let Some(site) = self.sites.last_mut() {
                site.through = true;
            }
            return Done::Next;
        }
        self.interpreted = false;
        self.current = p.index;
        let noted = self.patches.len();
        let (reads, writes) = flags::effects(i);
        let own =
            !matches!(i.row().lowering, Lowering::Call | Lowering::Same | Lowering::Store | Lowering::String);
        if own && !i.is_memory() && reads | writes != 0 {
            self.host_flags(self.before(i, p));
        }
        let locked = i.prefixes & prefix::LOCK != 0 && !Self::plain_when_locked(i);
        let lowered = if locked || self.precise && flags::left_open(i) { None } else { self.lowered(i, p) };
        let done = lowered.unwrap_or_else(|| self.interpret(i, p, false));
        if !self.interpreted {
            self.flags_done(i);
        }
        if self.patches.len() == noted {
            self.note_patch(PatchKind::Fixed, 0);
        }
        done
    }

    /// Notes where the present instruction's immediate operand is, if that may be changed.
    pub(in crate::jit) fn note_patch(&mut self, kind: PatchKind, at: usize) {
        let i = &self.insts[self.current as usize];
        if self.patchable && i.immediate_size() != 0 {
            self.patches.push(Patch { inst: self.current, value: i.imm, kind, at: at as u32 });
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
            L::Atomic => i.is_memory(),
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
            L::SegmentStore => self.segment_store(i, p),
            L::SegmentLoad => self.segment_load(i, p),
            L::Plain => self.plain(i),
            L::Nop => Some(Done::Next),
            L::Same | L::Store => self.same(i, p),
            L::PushAll => self.push_all(i, p),
            L::PopAll => self.pop_all(i, p),
            L::PushFlags => self.push_flags(i, p),
            L::Enter => self.enter(i, p),
            L::Atomic => self.atomic(i, p),
            L::Translate => self.translate_byte(i, p),
            L::Direction => self.direction(i, p),
            L::ClearInterrupts => self.clear_interrupts(i, p),
            L::String => self.string(i, p),
            L::Call | L::End => None,
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

    /// The linear address `by` bytes from the page's beginning to a register.
    pub(super) fn linear(&mut self, reg: u8, by: i32) {
        let at = self.o.code_page;
        self.asm.modrm(4, 0x8B, reg, Rm::Field(at));
        if by != 0 {
            self.asm.lea(reg, Some(reg), None, by);
        }
    }

    /// The same as an offset in the code segment.
    pub(super) fn eip(&mut self, reg: u8, by: i32) {
        if self.mode & mode::FLAT == 0 {
            let eip = self.place_in_segment(by);
            self.asm.mov_imm(reg, eip);
        } else {
            self.linear(reg, by);
        }
    }

    /// Offset in the segment of code that knows it, `by` bytes from the page's beginning.
    const fn place_in_segment(&self, by: i32) -> u32 {
        self.home.eip.wrapping_add((by as u32).wrapping_sub(self.offset))
    }

    /// Emits the cold pieces.
    pub(super) fn cold(&mut self) {
        // Emitting them does not add to them.
        let mut n = 0;
        while n < self.cold.len() {
            match self.cold[n] {
                Cold::Unaligned { from, back, slow, size } => {
                    self.asm.bind(from);
                    // The last byte's offset in its page is at least size − 1 when all lie in one page; with
                    // an unaligned address it is never the multiple of the size that this cannot tell apart.
                    let (reach, mask) = (i32::from(size) - 1, 0x1000 - i32::from(size));
                    self.asm.lea(R8, Some(R8), None, reach);
                    dynasm!(self.asm ; .arch x64 ; test r8d, mask);
                    self.asm.lea(R8, Some(R8), None, -reach);
                    self.asm.jcc(5, back);
                    self.asm.jmp(slow);
                }
                Cold::Mixed { from, back, slow, size } => {
                    self.asm.bind(from);
                    self.asm.mov_imm(R9, u32::from(size) - 1);
                    self.asm.call_outside(self.thunks.mixed);
                    self.asm.jcc(5, back);
                    self.asm.jmp(slow);
                }
                Cold::Load { from, back, site, files } => {
                    self.asm.bind(from);
                    self.fill(site, files);
                    self.asm.jmp(back);
                }
                Cold::Alone { from, index, files } => {
                    self.asm.bind(from);
                    self.alone(index, files);
                }
                Cold::Slow { from, next, site, save, restore, again } => {
                    self.asm.bind(from);
                    if save {
                        self.save_flags();
                    }
                    self.take_up();
                    self.asm.mov_imm(R11, site);
                    self.asm.call_outside(self.thunks.interpret);
                    let held = self.plan.rounds || self.plan.stable;
                    if let Some(index) = again
                        && self.plan.many()
                        && (held || index + 1 < self.block_total)
                    {
                        self.alone(index + 1, Files::default());
                        n += 1;
                        continue;
                    }
                    let files = self.sites[site as usize].files;
                    if files != 0 && next != from {
                        self.fill(site, files | BEHIND);
                    }
                    if let Some(index) = again {
                        self.look_up_again(index);
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

/// Whether an instruction at which blocks end leaves code where it is, and mostly all that it depends on as well: STI,
/// POPF, loads of segment registers.
fn goes_on(i: &Inst) -> bool {
    matches!(i.row().lowering, Lowering::SegmentLoad) || matches!(i.row().mnemonic, "sti" | "popf")
}
