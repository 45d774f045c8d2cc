//! Invariants of the design, held against a processor between two runs.

use super::Side;
use nomad86::cpu::Io;
use nomad86::cpu::block::mode;
use nomad86::cpu::paging::Access;
use nomad86::isa::Inst;
use nomad86::isa::decode::{MAX_LEN, decode};
use nomad86::jit::Jit;
use nomad86::memory::{PAGE, Target, page};

/// Checks all; adds a line for each that does not hold.
pub fn check(side: &mut Side, jit: &mut Jit, what: &mut Vec<String>) {
    side.cache.drop_overwritten(side.world.memory(), Some(jit));
    translations(side, what);
    mixed(side, what);
    windows(side, what);
    blocks(side, what);
}

/// Every page in a window equals a fresh walk of the guest's tables and is the user's; none is writable with a clear
/// dirty bit, over code or over a table from which windows were filled.
pub fn windows(side: &mut Side, what: &mut Vec<String>) {
    let Some(windows) = side.cpu.windows() else { return };
    let mut entries = Vec::new();
    windows.visit(side.cpu.cr3, &side.world.memory, |linear, offset, writable| {
        entries.push((linear, offset, writable));
    });
    if side.world.memory.map_changed() {
        return;
    }
    for (linear, offset, writable) in entries {
        let access = Access { write: writable, user: true, fetch: false };
        let name = || format!("page of a window for {linear:08x}");
        let Some(t) = side.cpu.peek_access(linear, access, &mut side.world.memory) else {
            what.push(format!("{}: a walk faults", name()));
            continue;
        };
        let memory = side.world.memory();
        if memory.target(t.phys, writable) != Target::Memory(offset) {
            what.push(format!("{}: not where a walk leads", name()));
        }
        if writable && !t.writable {
            what.push(format!("{}: writable, but the dirty bit is clear", name()));
        }
        if writable && memory.flags(offset) & (page::CODE | page::TABLE) != 0 {
            what.push(format!("{}: writable, but there is code or a table", name()));
        }
    }
}

/// Every live TLB entry equals a fresh walk of the guest's tables; none is writable with a clear dirty bit, or
/// leads to memory that holds code.
pub fn translations(side: &mut Side, what: &mut Vec<String>) {
    let paging = side.cpu.cr0 & nomad86::cpu::cr0::PG != 0;
    if side.world.memory.map_changed() || paging && side.cpu.cr3 != super::layout::DIRECTORY {
        // Taken note of before the next instruction; or a program has loaded CR3, which global pages outlive.
        return;
    }
    let mut entries = Vec::new();
    side.cpu.tlb().visit(|table, linear, addend| entries.push((table, linear, addend)));
    for (table, linear, addend) in entries {
        let write = table & 1 != 0;
        let access = Access { write, user: table & 2 != 0, fetch: false };
        let name = || format!("TLB entry of table {table} for {linear:08x}");
        let Some(t) = side.cpu.peek_access(linear, access, &mut side.world.memory) else {
            what.push(format!("{}: a walk faults", name()));
            continue;
        };
        let memory = side.world.memory();
        let offset = match memory.target(t.phys, write) {
            Target::Memory(offset) => offset,
            Target::Rom(offset) if !write => offset,
            other => {
                what.push(format!("{}: leads to {other:?}", name()));
                continue;
            }
        };
        if addend.wrapping_add(linear as usize) != memory.base().expose_provenance() + offset {
            what.push(format!("{}: not where a walk leads", name()));
        }
        if write && !t.writable {
            what.push(format!("{}: writable, but the dirty bit is clear", name()));
        }
        if write && memory.flags(offset) & page::CODE != 0 {
            what.push(format!("{}: writable, but there is code", name()));
        }
    }
}

/// The same for pages that hold code and are written.
pub fn mixed(side: &mut Side, what: &mut Vec<String>) {
    let paging = side.cpu.cr0 & nomad86::cpu::cr0::PG != 0;
    if side.world.memory.map_changed() || paging && side.cpu.cr3 != super::layout::DIRECTORY {
        return;
    }
    let mut entries = Vec::new();
    side.cpu.tlb().visit_mixed(|user, linear, addend| entries.push((user, linear, addend)));
    for (user, linear, addend) in entries {
        let access = Access { write: true, user, fetch: false };
        let name = || format!("entry for {linear:08x} among code");
        let Some(t) = side.cpu.peek_access(linear, access, &mut side.world.memory) else {
            what.push(format!("{}: a walk faults", name()));
            continue;
        };
        let memory = side.world.memory();
        let Target::Memory(offset) = memory.target(t.phys, true) else {
            what.push(format!("{}: leads to no memory", name()));
            continue;
        };
        if addend.wrapping_add(linear as usize) != memory.base().expose_provenance() + offset || !t.writable {
            what.push(format!("{}: not where a walk leads, or the dirty bit is clear", name()));
        }
    }
}

/// No live block's bytes differ from memory.
pub fn blocks(side: &mut Side, what: &mut Vec<String>) {
    let memory = &side.world.memory;
    let features = side.cpu.features;
    side.cache.visit(|block, insts| {
        let mut bytes = vec![0; usize::from(block.len) + MAX_LEN];
        let room = (PAGE - (block.phys as usize & (PAGE - 1))).min(bytes.len());
        let (first, rest) = bytes.split_at_mut(room);
        if !memory.read(block.phys, first) {
            return; // a device's memory: nobody can tell
        }
        let second = block.second.unwrap_or(block.phys + room as u64);
        if !rest.is_empty() && !memory.read(second, rest) {
            return;
        }
        let mut at = 0;
        for inst in insts {
            let fresh = decode(&bytes[at..], block.mode & mode::CODE32 != 0, features);
            if !fresh.is_ok_and(|fresh| same(&fresh, inst)) {
                what.push(format!("block at {:x}: other bytes in memory, {at} from its start", block.phys));
                return;
            }
            at += usize::from(inst.len);
        }
    });
}

fn same(a: &Inst, b: &Inst) -> bool {
    (a.row, a.len, a.imm, a.disp, a.reg, a.base, a.index, a.scale, a.segment, a.prefixes)
        == (b.row, b.len, b.imm, b.disp, b.reg, b.base, b.index, b.scale, b.segment, b.prefixes)
}
