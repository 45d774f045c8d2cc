//! Accesses that share a page: which of a block's accesses have addresses that differ by constants, so that one
//! lookup serves them all.
//!
//! Registers are followed symbolically: each is some earlier value (its root) plus a constant. Accesses whose
//! addresses have the same roots and lie in a narrow range are a group. Base registers lie in the range
//! themselves where they are near, so that no sum of base and displacement wraps around when the whole range lies
//! in one page.
//!
//! In a loop the roots of a group may grow by a constant from round to round. Then it is known for how many rounds
//! the range stays in its page, and for so many nothing is looked up at all.

use crate::cpu::block::MAX_BLOCK;
use crate::isa::inst::NO_REG;
use crate::isa::row::{Lowering, Operand};
use crate::isa::{Inst, Row};
use alloc::vec::Vec;

/// Width of a range, at most.
const SPAN: i32 = 1024;
/// What an address may grow by from round to round.
const STEP: i32 = 512;
/// What a register moves by to be somewhere else.
const FAR: u32 = 1 << 16;
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
    address: Address,
    size: u8,
    /// It has to be at a multiple of its size.
    aligned: bool,
    write: bool,
}

/// Registers of an address, and its displacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// A register, or [`NO_REG`].
    pub(super) base: u8,
    /// A register, or [`NO_REG`].
    pub(super) index: u8,
    /// The index is shifted left by this.
    pub(super) scale: u8,
    /// Displacement.
    pub(super) disp: i32,
}

/// Roots of the two registers of an address: what accesses of one group have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    base: u16,
    index: u16,
    scale: u8,
}

/// No root.
const NO_ROOT: u16 = u16::MAX;

/// A planned access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shared {
    /// Its group.
    pub(super) group: usize,
    /// Its address.
    pub(super) address: Address,
    /// Distance of the address, less the displacement, from the sum of the roots.
    pub(super) offset: i32,
    /// The base lies in the group's range and there is no index: base and displacement can be added to the addend
    /// as they are.
    pub(super) plain: bool,
}

/// Accesses in a narrow range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    key: Key,
    count: u32,
    /// Groups found before it.
    order: u32,
    /// Bytes of the range, as distances from the sum of the roots; the last is part of it.
    pub(super) low: i32,
    /// See [`Self::low`].
    pub(super) high: i32,
    /// Whether one of the accesses writes.
    pub(super) write: bool,
    /// Distance from the sum of the roots that has to be a multiple of 16.
    pub(super) aligned: Option<i32>,
    /// The registers whose values at the start are the roots, if there are such.
    pub(super) start: Option<Address>,
    /// What the sum of the roots grows by from start to end, in a loop.
    pub(super) step: Option<i32>,
}

/// Groups in a plan, at most.
pub(super) const GROUPS: usize = 4;
/// Groups in a block before the best are chosen, at most.
pub(super) const MOST_FOUND: usize = 2 * MAX_BLOCK;

/// The groups of a plan.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    list: [Group; GROUPS],
    count: usize,
}

impl Groups {
    const NONE: Self = Self { list: [Group::NONE; GROUPS], count: 0 };

    /// The first of what was found.
    fn of(found: &[Group]) -> Self {
        let mut groups = Self::NONE;
        groups.count = found.len().min(GROUPS);
        groups.list[..groups.count].copy_from_slice(&found[..groups.count]);
        groups
    }
}

impl core::ops::Deref for Groups {
    type Target = [Group];
    fn deref(&self) -> &[Group] {
        &self.list[..self.count.min(GROUPS)]
    }
}

/// What is translated, as far as plans care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Once, with no more than one group.
    Block,
    /// Several blocks, or one that is entered often.
    Trace,
    /// A trace whose end leads to its beginning.
    Loop,
    /// A loop that may be run for as many rounds as its addresses stay in their pages without looking again.
    Rounds,
}

/// What was found for a block.
pub(super) struct Plan {
    /// First and second access of each instruction, where they belong to a group.
    accesses: [[Option<Shared>; 2]; MAX_BLOCK],
    /// A register behind each instruction, and its distance from the root of the first group.
    after: [Option<(u8, i32)>; MAX_BLOCK],
    /// The groups; the addend of the first is kept in a register.
    pub(super) groups: Groups,
    /// Everything is looked up before the first instruction, and holds for the next round.
    pub(super) stable: bool,
    /// Everything is looked up before the first instruction, and holds for a number of rounds.
    pub(super) rounds: bool,
    /// The last instruction with an access of the first group.
    last: usize,
}

impl Plan {
    /// A plan without accesses.
    pub(super) const NONE: Self = Self {
        accesses: [[None; 2]; MAX_BLOCK],
        after: [None; MAX_BLOCK],
        groups: Groups::NONE,
        stable: false,
        rounds: false,
        last: 0,
    };

    /// The planned access of an instruction.
    pub(super) const fn access(&self, index: u32, slot: usize) -> Option<Shared> {
        self.accesses[index as usize][slot]
    }

    /// Where the range of the first group lies as seen behind an instruction, if somebody behind it needs that.
    pub(super) const fn behind(&self, index: u32) -> Option<(u8, i32)> {
        if (index as usize) < self.last { self.after[index as usize] } else { None }
    }

    /// After the interpreter has executed an instruction, looking everything up again is not worth while.
    pub(super) fn many(&self) -> bool {
        self.rounds || self.groups.len() > 1 || self.groups.iter().any(|group| !group.key.single())
    }

    /// Plans what is translated; `found` is room for [`MOST_FOUND`] groups.
    pub(super) fn new(insts: &[Inst], kind: Kind, found: &mut Vec<Group>) -> Self {
        found.clear();
        let mut walk = Walk::new();
        for i in insts {
            for (slot, access) in accesses(i).into_iter().enumerate() {
                let Some(access) = access else { continue };
                let (key, offset) = walk.sum(access.address);
                if kind == Kind::Block && (access.aligned || key.index != NO_ROOT || key.base == NO_ROOT) {
                    continue;
                }
                if slot == 0 || key.index == NO_ROOT {
                    match found.iter_mut().find(|group| group.key == key) {
                        Some(group) => group.add(offset, access),
                        None => found.extend(Group::new(key, offset, access, found.len() as u32)),
                    }
                }
            }
            walk.step(i);
        }
        let end = walk.values;
        for group in &mut *found {
            group.start = group.key.start();
            group.step = group.key.step(&end).filter(|_| matches!(kind, Kind::Loop | Kind::Rounds));
            if group.step.is_some_and(|step| step % 16 != 0) && kind == Kind::Rounds {
                // Where it is aligned once it would not be the next time.
                group.step = group.step.filter(|_| group.aligned.is_none());
            }
        }
        found.retain(|group| group.count >= WORTH || kind == Kind::Rounds);
        // Not the sort that keeps the order by itself: that one allocates.
        found.sort_unstable_by_key(|group| (core::cmp::Reverse(group.count), group.order));
        let hoisted =
            |group: &Group| group.start.is_some() && group.step.is_some_and(|step| step.abs() <= STEP);
        match kind {
            Kind::Block => found.truncate(1),
            Kind::Rounds => found.retain(hoisted),
            Kind::Trace | Kind::Loop => {
                // Those behind the first cost more.
                let first = found.first().map(|group| group.key);
                found.retain(|group| Some(group.key) == first || group.count > WORTH);
            }
        }
        let groups = Groups::of(found);
        let rounds = kind == Kind::Rounds && groups.iter().any(|group| group.step != Some(0));
        let mut plan = Self { groups, rounds, ..Self::NONE };
        plan.place(insts);
        let fixed = |group: &Group| group.start.is_some() && group.step == Some(0);
        plan.stable = matches!(kind, Kind::Loop | Kind::Rounds) && plan.groups.iter().all(fixed);
        if plan.stable {
            // Its first instruction is behind its last.
            plan.last = insts.len();
        }
        plan
    }

    /// Finds the accesses of the groups.
    fn place(&mut self, insts: &[Inst]) {
        let mut walk = Walk::new();
        for (n, i) in insts.iter().enumerate() {
            for (slot, access) in accesses(i).into_iter().enumerate() {
                let Some(Access { address, size, aligned, .. }) = access else { continue };
                let (key, at) = walk.sum(address);
                let Some(group) = self.groups.iter().position(|group| group.key == key) else { continue };
                let g = &self.groups[group];
                let inside = |low: i32, high: i32| low >= g.low && high <= g.high;
                let whole = inside(at, at.saturating_add(i32::from(size) - 1));
                let fits = !aligned || g.aligned.is_some_and(|to| at.wrapping_sub(to) & 15 == 0);
                // What is pushed may be in the second scratch register.
                if !whole || !fits || slot == 1 && group != 0 {
                    continue;
                }
                let offset = at.wrapping_sub(address.disp);
                let plain = address.index == NO_REG && inside(offset, offset);
                if slot == 1 && !plain {
                    continue;
                }
                self.accesses[n][slot] = Some(Shared { group, address, offset, plain });
                if group == 0 {
                    self.last = n;
                }
            }
            walk.step(i);
            let Some(first) = self.groups.first().filter(|group| group.key.single()) else { continue };
            self.after[n] = [ESP, EBP, 0, 1, 2, 3, 6, 7]
                .into_iter()
                .map(|r| (r, walk.values[usize::from(r)]))
                .find(|(_, value)| value.root == first.key.base)
                .map(|(r, value)| (r, value.offset));
        }
    }
}

impl Key {
    /// One register tells the sum.
    fn single(self) -> bool {
        self.index == NO_ROOT && self.base != NO_ROOT
    }

    /// The registers whose values at the start are the roots.
    fn start(self) -> Option<Address> {
        let register = |root: u16| match root {
            NO_ROOT => Some(NO_REG),
            _ => (usize::from(root) < REGS).then_some(root as u8),
        };
        let (base, index) = (register(self.base)?, register(self.index)?);
        Some(Address { base, index, scale: self.scale, disp: 0 })
    }

    /// What the sum of the roots grows by, given the registers at the end.
    fn step(self, end: &[Value; REGS]) -> Option<i32> {
        let one = |root: u16| match root {
            NO_ROOT => Some(0),
            _ => end.get(usize::from(root)).filter(|value| value.root == root).map(|value| value.offset),
        };
        one(self.base)?.checked_add(one(self.index)?.checked_shl(u32::from(self.scale))?)
    }
}

impl Group {
    const NONE: Self = Self {
        key: Key { base: NO_ROOT, index: NO_ROOT, scale: 0 },
        count: 0,
        order: 0,
        low: i32::MAX,
        high: i32::MIN,
        write: false,
        aligned: None,
        start: None,
        step: None,
    };

    fn new(key: Key, offset: i32, access: Access, order: u32) -> Option<Self> {
        let mut group = Self { key, order, ..Self::NONE };
        group.add(offset, access);
        (group.count != 0).then_some(group)
    }

    /// Adds an access at a distance from the sum of the roots, if that keeps the range narrow.
    fn add(&mut self, at: i32, access: Access) {
        let Some(end) = at.checked_add(i32::from(access.size) - 1) else { return };
        // With the base in the range no sum wraps around inside a page; where it is far away, it stays outside.
        let base = at.wrapping_sub(access.address.disp);
        let near = access.address.index == NO_REG && at.abs_diff(base) < SPAN as u32;
        let (first, last) = if near { (at.min(base), end.max(base)) } else { (at, end) };
        let (low, high) = (self.low.min(first), self.high.max(last));
        if access.aligned && self.aligned.is_some_and(|to| at.wrapping_sub(to) & 15 != 0)
            || high.checked_sub(low).is_none_or(|span| span >= SPAN)
        {
            return;
        }
        (self.low, self.high) = (low, high);
        self.count += 1;
        self.write |= access.write;
        if access.aligned && self.aligned.is_none() {
            self.aligned = Some(at);
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

    /// Roots and distance of an address.
    fn sum(&self, address: Address) -> (Key, i32) {
        let value = |register: u8| match register {
            NO_REG => Value { root: NO_ROOT, offset: 0 },
            _ => self.values[usize::from(register & 7)],
        };
        let (base, index) = (value(address.base), value(address.index));
        let offset = base.offset.wrapping_add(index.offset.wrapping_shl(u32::from(address.scale)));
        let scale = if index.root == NO_ROOT { 0 } else { address.scale };
        let key = Key { base: base.root, index: index.root, scale };
        let turned = scale == 0 && key.index < key.base;
        let key = if turned { Key { base: key.index, index: key.base, scale } } else { key };
        (key, offset.wrapping_add(address.disp))
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
            L::Return if wide => {
                self.add(ESP, 4 + if row.operands[0] == Operand::Iw { i.imm as i32 } else { 0 });
            }
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
            L::Alu => match step_of(i) {
                Some((r, by)) => self.add(r, by),
                None => self.forget_operand(i, 0),
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
            L::String => [0, 1, 6, 7].into_iter().for_each(|register| self.forget(register)),
            L::PushFlags if wide => self.add(ESP, -4),
            L::Direction | L::ClearInterrupts => {}
            L::Translate => self.forget(0),
            L::Same | L::Store if row.state != 0 => {
                (0..4).for_each(|n| self.forget_operand(i, n));
                // FNSTSW AX; PCMPESTRI and PCMPISTRI tell what they found in ECX.
                if row.operands.contains(&Operand::AX) {
                    self.forget(0);
                }
                if matches!(row.opcode, 0x0F_3A60..=0x0F_3A63) {
                    self.forget(1);
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

/// The register that ADD or SUB moves by a constant, and by how much, when that is not so far that nothing near it is
/// near afterwards.
pub(super) fn step_of(i: &Inst) -> Option<(u8, i32)> {
    if i.row().lowering != Lowering::Alu || !constant(i, 1) || !dword(i, 0) {
        return None;
    }
    let by = match group1(i.row()) {
        0 => i.imm as i32,
        5 => (i.imm as i32).wrapping_neg(),
        _ => return None,
    };
    register(i, 0).filter(|_| by.unsigned_abs() < FAR).map(|register| (register, by))
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
        O::RdMb | O::RdMw if i.is_memory() => None,
        O::RdMb | O::RdMw | O::Rd | O::Rv => Some(i.reg[n.min(2)] & 7),
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
    let stack = |base, disp, write| {
        let address = Address { base, index: NO_REG, scale: 0, disp };
        Some(Access { address, size: 4, aligned: false, write })
    };
    let segment = i.is_memory() && !i.addr16() && matches!(i.segment, 0 | 2 | 3);
    let address = Address { base: i.base, index: i.index, scale: i.scale, disp: i.disp as i32 };
    let operand = |size: u8, write| segment.then_some(Access { address, size, aligned: false, write });
    // The widest that it can be: the range only has to cover it.
    let size = |n: usize| if byte(i, n) { 1 } else { 4 };
    let memory_first = row.operands[0].is_rm() || matches!(row.operands[0], Operand::Ob | Operand::Ov);
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
        L::Test | L::Multiply => [operand(size(0), false), None],
        L::Unary | L::Shift | L::DoubleShift | L::SetCc => [operand(size(0), true), None],
        // Not with an offset in a register.
        L::BitTest if row.digit.is_some() => [operand(4, row.digit != Some(4)), None],
        L::Atomic => [operand(if row.opcode == 0x0FC7 { 8 } else { size(0) }, true), None],
        L::Exchange => [operand(4, true), None],
        L::Load | L::Imul3 => [operand(size(1), false), None],
        // x87, MMX and SSE, but for what has to be aligned or looked at.
        L::Same | L::Store if row.state != 0 && row.mnemonic != "fldcw" => match row.memory() {
            Some((size, aligned)) if !aligned || size == 16 => {
                let access = operand(size, row.lowering == L::Store);
                [access.map(|access| Access { aligned, ..access }), None]
            }
            _ => [None; 2],
        },
        _ => [None; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::decode::{Features, decode};

    #[test]
    fn stores_to_whole_addresses_are_writes() {
        // MOV between the accumulator and an address: loads A0h and A1h, stores A2h and A3h.
        for (opcode, size, write) in [(0xA0, 1, false), (0xA1, 4, false), (0xA2, 1, true), (0xA3, 4, true)] {
            let inst = decode(&[opcode, 0x10, 0x20, 0, 0], true, Features::ALL).unwrap();
            let [access, none] = accesses(&inst);
            let access = access.unwrap();
            assert_eq!((access.write, access.address.disp), (write, 0x2010), "{opcode:#x}");
            assert!(access.size >= size && none.is_none(), "{opcode:#x}");
        }
    }
}
