//! Straight runs of instructions: what one leaves for the next (flags above all), and faults in the middle.
//!
//! Memory is reached through ESI, which only string instructions and few others move; jumps go forward to
//! the start of a later instruction. Whatever else happens, happens on both processors.

use super::{EDI, ESI, ESP, Generated, comparable, touches_fx};
use crate::oracle::{DATA_BASE, Segments};
use crate::random::{FxKind, Lanes, Rng, fx_image};
use nomad86::isa::row::Prefix;
use nomad86::isa::{Operand, Row};

/// Whether a row can stand in a block.
#[must_use]
pub fn in_block(row: &Row) -> bool {
    // Approximations differ in the last place; images hold pointers that the host's kernel does not keep.
    const LEFT_OUT: [&str; 23] = [
        "rcpps",
        "rcpss",
        "rsqrtps",
        "rsqrtss",
        "fnstenv",
        "fnsave",
        "fxsave",
        "fxrstor",
        "fldenv",
        "frstor",
        "popa",
        "leave",
        "enter",
        "popf",
        "maskmovq",
        "maskmovdqu",
        "xlat",
        "ldmxcsr",
        "verr",
        "verw",
        "lar",
        "lsl",
        "bound",
    ];
    let jump = row.operands[0] == Operand::Jb;
    comparable(row)
        && !row.is_transcendental()
        && !LEFT_OUT.contains(&row.mnemonic)
        && (jump || !row.lowering.ends_block())
        && !row
            .operands
            .iter()
            .any(|o| matches!(o, Operand::Mp | Operand::Cd | Operand::Dd | Operand::Ob | Operand::Ov))
}

/// A random block of the given rows (which all are [`in_block`]).
#[must_use]
pub fn block(rows: &[&Row], rng: &mut Rng) -> Generated {
    let code32 = rng.percent(60);
    let segments = if code32 { Segments::BITS32 } else { Segments::BITS16 };
    let mut case = Generated {
        code: Vec::new(),
        offset: rng.within(0x400..0xB00) as usize,
        gpr: std::array::from_fn(|_| rng.integer(32) as u32),
        eflags: (rng.bits() as u32) & 0xCD5 | 2,
        segments,
        fx: None,
        patches: Vec::new(),
        aim: None,
    };
    let base = if code32 { DATA_BASE } else { 0 };
    case.gpr[ESI] = base + (rng.within(0x4000..0x6000) & !15);
    case.gpr[EDI] = base + rng.within(0x6000..0x8000);
    case.gpr[ESP] = base + (rng.within(0xA000..0xC000) & !3);
    // Alike kinds together more often than by chance: vector instructions meet vector instructions.
    let kind = rng.below(3);
    let wanted = |row: &&Row| match kind {
        0 => !touches_fx(row),
        1 => touches_fx(row),
        _ => true,
    };
    let mut starts = Vec::new();
    let mut jumps = Vec::new();
    let count = rng.within(2..14);
    while starts.len() < count as usize {
        let row = rng.pick(rows);
        if !wanted(&row) {
            continue;
        }
        starts.push(case.code.len());
        encode(row, code32, rng, &mut case.code);
        if row.operands[0] == Operand::Jb {
            jumps.push((starts.len(), case.code.len()));
        }
    }
    starts.push(case.code.len());
    for (next, end) in jumps {
        let target = starts[rng.within(next as u32..starts.len() as u32) as usize];
        case.code[end - 1] = (target - end) as u8;
    }
    if kind != 0 {
        let lanes = rng.pick(&[Lanes::F32, Lanes::F64, Lanes::Integer]);
        let fx = FxKind { lanes, mmx: rng.percent(30), unmasked: rng.percent(20) };
        case.fx = Some(Box::new(fx_image(rng, fx)));
    }
    let near = (case.gpr[ESI] - base) as usize;
    let bytes: Vec<u8> = (0..32).flat_map(|_| rng.integer(64).to_le_bytes()).collect();
    case.patches.push((near - 128, bytes));
    case
}

fn encode(row: &Row, code32: bool, rng: &mut Rng, code: &mut Vec<u8>) {
    // Operands that a 16-bit block reaches with 16-bit addresses stay there.
    let operands = row.operands;
    let p66 = row.prefix == Prefix::P66
        || row.prefix == Prefix::Any && !touches_fx(row) && operands[0] != Operand::Jb && rng.percent(25);
    if p66 {
        code.push(0x66);
    }
    match row.prefix {
        Prefix::PF2 => code.push(0xF2),
        Prefix::PF3 => code.push(0xF3),
        _ => {}
    }
    let opcode = row.opcode.to_be_bytes();
    let first = opcode.iter().position(|&byte| byte != 0).unwrap_or(3);
    code.extend_from_slice(&opcode[first..]);
    // Registers that are no pointers; of the vector and x87 ones any.
    let general = |rng: &mut Rng| rng.pick(&[0_u8, 1, 2, 3]);
    let vector = |o: &Operand| {
        use Operand::{Nq, Pq, Qd, Qq, Sti, Ux, Vx, Wd, Wq, Wu, Ww, Wx};
        matches!(o, Nq | Pq | Qd | Qq | Sti | Ux | Vx | Wd | Wq | Wu | Ww | Wx)
    };
    if row.has_opcode_register()
        && let Some(last) = code.last_mut()
    {
        *last |= general(rng);
    }
    if let Some(exact) = row.exact {
        code.push(exact);
    } else if row.has_modrm() {
        let byte = operands.iter().any(|o| matches!(o, Operand::Eb | Operand::Gb));
        let reg = match row.digit {
            Some(digit) => digit,
            None if operands.iter().any(|o| o.is_reg() && vector(o)) || byte => rng.below(8) as u8,
            None => general(rng),
        };
        let fixed = operands.iter().any(|o| matches!(o, Operand::Rd | Operand::Rv));
        let forms = row.forms();
        if fixed || forms == 1 || forms == 3 && rng.percent(60) {
            let rm = if operands.iter().any(|o| o.is_rm() && vector(o)) || byte {
                rng.below(8) as u8
            } else {
                general(rng)
            };
            code.push(0xC0 | reg << 3 | rm);
        } else {
            // [esi + disp8], or [si + disp8]; aligned for those who care.
            let aligned = operands.iter().any(|o| matches!(o, Operand::Wx | Operand::Mx));
            let distance =
                if aligned { rng.pick(&[0x80, 0xC0, 0, 0x10, 0x20, 0x70]) } else { rng.bits() as u8 };
            code.push(0x40 | reg << 3 | if code32 { 6 } else { 4 });
            code.push(distance);
        }
    }
    let word = if code32 == p66 { 2 } else { 4 };
    for operand in operands {
        let size = match operand {
            Operand::Ib | Operand::Ibs | Operand::Jb => 1,
            Operand::Iw => 2,
            Operand::Iz => word,
            _ => continue,
        };
        code.extend_from_slice(&rng.integer(size as u32 * 8).to_le_bytes()[..size]);
    }
}
