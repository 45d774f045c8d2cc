//! Which flags somebody may still look at.

use super::Side;
use nomad86::isa::decode::{MAX_LEN, decode};
use nomad86::isa::row::Lowering;
use nomad86::isa::{Inst, Operand};

/// Status flags that matter: instructions from EIP on read them before they are written, on some way that can be
/// seen. Those that nobody reads need not be exact when programs say so.
pub(super) fn live_flags(side: &mut Side) -> u32 {
    use nomad86::isa::row::flags::{A, C, O, P, S, Z};
    const BITS: [(u8, u32); 6] = [(C, 0x001), (P, 0x004), (A, 0x010), (Z, 0x040), (S, 0x080), (O, 0x800)];
    let eip = side.cpu.eip;
    let live = live_from(side, eip, DEPTH);
    BITS.iter().filter(|(flag, _)| live & flag != 0).fold(0, |bits, (_, bit)| bits | bit)
}

/// Jumps that [`live_from`] follows: more than the recompiler does.
const DEPTH: u32 = 10;

fn live_from(side: &mut Side, eip: u32, depth: u32) -> u8 {
    use nomad86::isa::row::flags::OSZAPC;
    let (mut live, mut unwritten) = (0, OSZAPC);
    let mut eip = eip;
    for _ in 0..nomad86::cpu::block::MAX_BLOCK {
        let Some(inst) = inst_at(side, eip) else { return live };
        let row = inst.row();
        // The row speaks of repeated comparisons as well, which may compare nothing.
        let reads = if row.lowering == Lowering::String && !inst.rep() { 0 } else { row.reads };
        live |= reads & unwritten;
        unwritten &= OSZAPC & !row.writes;
        if unwritten == 0 {
            return live;
        }
        eip = eip.wrapping_add(u32::from(inst.len));
        if !nomad86::cpu::run::ends_block(&inst) {
            continue;
        }
        let relative = matches!(row.operands[0], Operand::Jb | Operand::Jz);
        if !relative || inst.oper16() && side.cpu.code32() || depth == 0 {
            return live | unwritten;
        }
        let target = eip.wrapping_add(inst.imm) & if inst.oper16() { 0xFFFF } else { u32::MAX };
        if target > side.cpu.seg[1].limit {
            return live | unwritten;
        }
        live |= unwritten & live_from(side, target, depth - 1);
        if matches!(row.mnemonic, "jmp" | "call") {
            return live;
        }
    }
    live | unwritten
}

/// The instruction at an offset in the code segment.
fn inst_at(side: &mut Side, eip: u32) -> Option<Inst> {
    let linear = side.cpu.seg[1].base.wrapping_add(eip);
    let mut bytes = [0; MAX_LEN];
    for (n, byte) in (0..).zip(&mut bytes) {
        let at = side.cpu.peek(linear.wrapping_add(n), &mut side.world.memory)?;
        if !side.world.memory.read(at, core::slice::from_mut(byte)) {
            return None;
        }
    }
    decode(&bytes, side.cpu.code32(), side.cpu.features).ok()
}
