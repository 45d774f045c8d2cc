//! Accesses that share a page: which of a block's accesses have addresses that differ by constants, so that one
//! lookup serves them all.
//!
//! Registers are followed symbolically: each is some earlier value (its root) plus a constant. Of the roots,
//! the one with the most accesses in a narrow range is chosen. Base registers lie in the range themselves, so
//! that no sum of base and displacement wraps around when the whole range lies in one page.

use crate::cpu::block::MAX_BLOCK;
use crate::isa::inst::NO_REG;
use crate::isa::row::{Lowering, Operand};
use crate::isa::{Inst, Row};

/// Width of the range, at most.
const SPAN: i32 = 1024;
/// Accesses that make a lookup of their own worth while.
const WORTH: u32 = 2;
/// Registers, and roots in a block.
const REGS: usize = 8;
const ROOTS: usize = REGS * (MAX_BLOCK + 1);

const ESP: u8 = 4;
const EBP: u8 = 5;

/// A value: a root plus a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Value {
    root: u16,
    offset: i32,
}

/// An access of an instruction.
#[derive(Clone, Copy, Debug)]
struct Access {
    base: u8,
    disp: i32,
    size: u8,
    write: bool,
}

/// A planned access: base register, displacement, and the base's distance from the root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shared {
    pub(super) base: u8,
    pub(super) disp: i32,
    pub(super) offset: i32,
}

/// What was found for a block.
pub(super) struct Plan {
    /// First and second access of each instruction, where they belong to the range.
    accesses: [[Option<Shared>; 2]; MAX_BLOCK],
    /// A register behind each instruction, and its distance from the root.
    after: [Option<(u8, i32)>; MAX_BLOCK],
    /// Bytes of the range, as distances from the root; the last is part of it.
    pub(super) low: i32,
    /// See [`Self::low`].
    pub(super) high: i32,
    /// Whether one of the accesses writes.
    pub(super) write: bool,
    /// The register whose value at the start is the root.
    pub(super) root: Option<u8>,
    /// The last instruction with such an access.
    last: usize,
}

impl Plan {
    /// A plan without accesses.
    pub(super) const NONE: Self = Self {
        accesses: [[None; 2]; MAX_BLOCK],
        after: [None; MAX_BLOCK],
        low: 0,
        high: 0,
        write: false,
        root: None,
        last: 0,
    };

    /// The planned access of an instruction.
    pub(super) const fn access(&self, index: u32, slot: usize) -> Option<Shared> {
        self.accesses[index as usize][slot]
    }

    /// Where the range lies as seen behind an instruction, if somebody behind it needs that.
    pub(super) const fn behind(&self, index: u32) -> Option<(u8, i32)> {
        if (index as usize) < self.last { self.after[index as usize] } else { None }
    }

    /// Plans a block.
    pub(super) fn new(insts: &[Inst]) -> Self {
        let mut found = [Tally::NONE; ROOTS];
        let mut walk = Walk::new();
        for i in insts {
            for access in accesses(i).into_iter().flatten() {
                let value = walk.values[usize::from(access.base)];
                found[usize::from(value.root)].add(value.offset, access);
            }
            walk.step(i);
        }
        let Some((root, best)) = found.iter().enumerate().max_by_key(|(_, tally)| tally.count) else {
            return Self::NONE;
        };
        if best.count < WORTH {
            return Self::NONE;
        }
        let start = (root < REGS).then_some(root as u8);
        let mut plan = Self { low: best.low, high: best.high, root: start, ..Self::NONE };
        let mut walk = Walk::new();
        for (n, i) in insts.iter().enumerate() {
            for (slot, access) in accesses(i).into_iter().enumerate() {
                let Some(access) = access else { continue };
                let value = walk.values[usize::from(access.base)];
                let at = value.offset.wrapping_add(access.disp);
                let inside = |low: i32, high: i32| low >= best.low && high <= best.high;
                if usize::from(value.root) == root
                    && inside(at, at.saturating_add(i32::from(access.size) - 1))
                    && inside(value.offset, value.offset)
                {
                    let (base, disp) = (access.base, access.disp);
                    plan.accesses[n][slot] = Some(Shared { base, disp, offset: value.offset });
                    plan.write |= access.write;
                    plan.last = n;
                }
            }
            walk.step(i);
            plan.after[n] = [ESP, EBP, 0, 1, 2, 3, 6, 7]
                .into_iter()
                .map(|r| (r, walk.values[usize::from(r)]))
                .find(|(_, value)| usize::from(value.root) == root)
                .map(|(r, value)| (r, value.offset));
        }
        plan
    }
}

/// Range and number of the accesses of one root.
#[derive(Clone, Copy)]
struct Tally {
    low: i32,
    high: i32,
    count: u32,
}

impl Tally {
    const NONE: Self = Self { low: i32::MAX, high: i32::MIN, count: 0 };

    fn add(&mut self, offset: i32, access: Access) {
        let Some(at) = offset.checked_add(access.disp) else { return };
        let Some(end) = at.checked_add(i32::from(access.size) - 1) else { return };
        let (low, high) = (self.low.min(at).min(offset), self.high.max(end).max(offset));
        if high.checked_sub(low).is_some_and(|span| span < SPAN) {
            (self.low, self.high) = (low, high);
            self.count += 1;
        }
    }
}

/// Registers as values.
struct Walk {
    values: [Value; REGS],
    roots: u16,
}

impl Walk {
    fn new() -> Self {
        let values = core::array::from_fn(|n| Value { root: n as u16, offset: 0 });
        Self { values, roots: REGS as u16 }
    }

    /// A register gets a value of which nothing is known. An instruction does this to each register at most
    /// once, so that the roots suffice.
    fn forget(&mut self, register: u8) {
        let root = self.roots;
        self.roots = (root + 1).min(ROOTS as u16 - 1);
        self.values[usize::from(register & 7)] = Value { root, offset: 0 };
    }

    fn forget_all(&mut self) {
        for register in 0..REGS as u8 {
            self.forget(register);
        }
    }

    fn add(&mut self, register: u8, by: i32) {
        let value = &mut self.values[usize::from(register & 7)];
        match value.offset.checked_add(by) {
            Some(offset) => value.offset = offset,
            None => self.forget(register),
        }
    }

    /// What an instruction does to the registers.
    fn step(&mut self, i: &Inst) {
        use Lowering as L;
        let row = i.row();
        let wide = !i.oper16();
        match row.lowering {
            L::Nop | L::Test | L::Jump | L::JumpCc | L::JumpIndirect => {}
            L::Push if wide => self.add(ESP, -4),
            L::CallNear | L::CallIndirect if wide => self.add(ESP, -4),
            L::Pop if wide => {
                self.add(ESP, 4);
                self.forget(i.reg[0]);
            }
            L::Leave if wide => {
                self.values[usize::from(ESP)] = self.values[usize::from(EBP)];
                self.add(ESP, 4);
                self.forget(EBP);
            }
            L::Alu if group1(row) == 7 => {}
            L::Alu => match (register(i, 0), group1(row)) {
                (Some(r), 0) if constant(i, 1) && dword(i, 0) => self.add(r, i.imm as i32),
                (Some(r), 5) if constant(i, 1) && dword(i, 0) => self.add(r, (i.imm as i32).wrapping_neg()),
                _ => self.forget_operand(i, 0),
            },
            L::Unary => match (register(i, 0), inc_or_dec(row)) {
                (Some(r), Some(by)) if dword(i, 0) => self.add(r, by),
                _ => self.forget_operand(i, 0),
            },
            L::Mov => match (register(i, 0), register(i, 1)) {
                (Some(to), Some(from)) if dword(i, 0) => {
                    self.values[usize::from(to & 7)] = self.values[usize::from(from & 7)];
                }
                _ => self.forget_operand(i, 0),
            },
            L::Lea if wide && !i.addr16() && i.base != NO_REG && i.index == NO_REG => {
                let value = self.values[usize::from(i.base & 7)];
                self.values[usize::from(i.reg[0] & 7)] = value;
                self.add(i.reg[0], i.disp as i32);
            }
            L::Lea => self.forget(i.reg[0]),
            L::Imul3
            | L::Load
            | L::SegmentStore
            | L::SetCc
            | L::Swap
            | L::Shift
            | L::DoubleShift
            | L::BitTest => {
                self.forget_operand(i, 0);
            }
            L::Exchange => {
                self.forget_operand(i, 0);
                self.forget_operand(i, 1);
            }
            L::Multiply | L::Divide | L::Plain => {
                self.forget(0);
                self.forget(2);
            }
            L::Loop | L::LoopCc | L::JumpCx => self.forget(1),
            L::PushFlags if wide => self.add(ESP, -4),
            L::Direction | L::ClearInterrupts => {}
            L::Translate => self.forget(0),
            L::String => [0, 6, 7].into_iter().for_each(|r| self.forget(r)),
            L::Same | L::Store => {
                // The stack pointer stays unless it is named.
                for r in 0..REGS as u8 {
                    if r != ESP && r != EBP || i.reg.contains(&r) {
                        self.forget(r);
                    }
                }
            }
            _ => self.forget_all(),
        }
    }

    fn forget_operand(&mut self, i: &Inst, n: usize) {
        match register(i, n) {
            Some(r) if byte(i, n) => self.forget(r & 3),
            Some(r) => self.forget(r),
            None => {}
        }
    }
}

fn group1(row: &Row) -> u8 {
    row.digit.unwrap_or(row.opcode as u8 >> 3 & 7)
}

fn inc_or_dec(row: &Row) -> Option<i32> {
    match (row.opcode, row.digit) {
        (0x40..0x48, _) | (0xFE | 0xFF, Some(0)) => Some(1),
        (0x48..0x50, _) | (0xFE | 0xFF, Some(1)) => Some(-1),
        _ => None,
    }
}

/// The general register that an operand is, if it is one.
fn register(i: &Inst, n: usize) -> Option<u8> {
    use Operand as O;
    match i.row().operands[n] {
        O::Eb | O::Ew | O::Ed | O::Ev if i.is_memory() => None,
        O::Eb | O::Ew | O::Ed | O::Ev | O::Gb | O::Gw | O::Gd | O::Gv | O::Zb | O::Zv | O::Zd => {
            Some(i.reg[n.min(2)] & 7)
        }
        O::AL | O::AX | O::EAX => Some(0),
        O::CL => Some(1),
        _ => None,
    }
}

fn byte(i: &Inst, n: usize) -> bool {
    matches!(i.row().operands[n], Operand::Eb | Operand::Gb | Operand::Zb | Operand::AL | Operand::CL)
}

/// Whether an operand has all 32 bits.
fn dword(i: &Inst, n: usize) -> bool {
    !byte(i, n) && !i.oper16() && !matches!(i.row().operands[n], Operand::Ew | Operand::Gw | Operand::AX)
}

fn constant(i: &Inst, n: usize) -> bool {
    matches!(i.row().operands[n], Operand::Iz | Operand::Ibs | Operand::Ib)
}

/// Accesses of an instruction that lowering makes itself, at most two.
fn accesses(i: &Inst) -> [Option<Access>; 2] {
    use Lowering as L;
    let row = i.row();
    if i.oper16() && matches!(row.lowering, L::Push | L::Pop | L::Leave)
        || i.oper16() && row.lowering.is_flow()
    {
        return [None; 2];
    }
    let stack = |base, disp, write| Some(Access { base, disp, size: 4, write });
    let plain = i.is_memory() && !i.addr16() && i.base < REGS as u8 && i.index == NO_REG;
    let operand = |size: u8, write| {
        let segment = matches!(i.segment, 0 | 2 | 3);
        (plain && segment).then_some(Access { base: i.base, disp: i.disp as i32, size, write })
    };
    // The widest that it can be: the range only has to cover it.
    let size = |n: usize| if byte(i, n) { 1 } else { 4 };
    let memory_first = row.operands[0].is_rm();
    match row.lowering {
        L::Push => [operand(4, false), stack(ESP, -4, true)],
        L::Pop => [stack(ESP, 0, false), None],
        L::Leave => [stack(EBP, 0, false), None],
        L::CallNear => [None, stack(ESP, -4, true)],
        L::CallIndirect => [operand(4, false), stack(ESP, -4, true)],
        L::Return => [stack(ESP, 0, false), None],
        L::JumpIndirect => [operand(4, false), None],
        L::Alu => [operand(size(usize::from(!memory_first)), memory_first && group1(row) != 7), None],
        L::Mov => [operand(size(usize::from(!memory_first)), memory_first), None],
        L::Test | L::Multiply => [operand(4, false), None],
        L::Unary | L::Shift | L::DoubleShift | L::SetCc => [operand(4, true), None],
        L::BitTest => [operand(4, row.digit.is_some_and(|digit| digit != 4)), None],
        L::Exchange => [operand(4, true), None],
        L::Atomic => [operand(if row.opcode == 0x0FC7 { 8 } else { 4 }, true), None],
        L::Load | L::Imul3 => [operand(4, false), None],
        // x87, MMX and SSE, but for what has to be aligned or looked at.
        L::Same | L::Store if row.state != 0 && row.mnemonic != "fldcw" => match row.memory() {
            Some((size, false)) => [operand(size, row.lowering == L::Store), None],
            _ => [None; 2],
        },
        _ => [None; 2],
    }
}
