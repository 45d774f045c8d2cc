//! Listings of blocks: the guest's instructions and what the recompiler makes of them.

use crate::code::DualMapping;
use nomad86::config::CpuModel;
use nomad86::cpu::flat::FlatMachine;
use nomad86::cpu::segment::{Segment, seg};
use nomad86::fpu::Fpu;
use nomad86::isa::Inst;
use nomad86::jit::Jit;
use std::fmt::Write;
use std::io;

/// Where [`translated`] puts code: so that listings do not change with the host's addresses.
pub const CODE_AT: u32 = 0x1_0000;

/// The guest's instructions of a block that begins at `eip`, a line each.
///
/// ```
/// use nomad86::isa::decode::{Features, decode};
///
/// let inst = decode(&[0x01, 0xD8], true, Features::ALL)?;
/// let text = nomad86_host::listing::guest(&[inst], 0x1000);
/// assert!(text.starts_with("00001000  add eax, ebx"), "{text}");
/// # Ok::<(), nomad86::isa::decode::DecodeError>(())
/// ```
#[must_use]
pub fn guest(insts: &[Inst], eip: u32) -> String {
    let mut text = String::new();
    let mut at = eip;
    for inst in insts {
        let _ = writeln!(text, "{at:08x}  {}", inst.text(at));
        at = at.wrapping_add(u32::from(inst.len));
    }
    text
}

/// Host code in pieces with the addresses that they run at, a line each. Addresses inside are offsets as if the pieces
/// lay behind each other; calls and jumps that leave it are named by `outside`.
#[must_use]
pub fn host(pieces: &[(usize, &[u8])], outside: &dyn Fn(u64) -> Option<String>) -> String {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, OpKind};
    let place_of = |address: u64| {
        let mut before = 0;
        pieces.iter().find_map(|&(at, code)| {
            let offset = address.wrapping_sub(at as u64);
            let inside = offset < code.len() as u64;
            before += code.len() as u64;
            inside.then(|| before - code.len() as u64 + offset)
        })
    };
    let mut text = String::new();
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_show_branch_size(false);
    options.set_space_after_operand_separator(true);
    let decoders =
        pieces.iter().map(|&(at, code)| Decoder::with_ip(64, code, at as u64, DecoderOptions::NONE));
    for mut inst in decoders.flatten() {
        let place = place_of(inst.ip()).unwrap_or_default();
        let fields = cpu_field(&inst);
        let branch = (0..inst.op_count()).any(|n| inst.op_kind(n) == OpKind::NearBranch64);
        let mut line = String::new();
        let target = inst.near_branch_target();
        if branch && let Some(target) = place_of(target) {
            inst.set_near_branch64(target);
            formatter.format(&inst, &mut line);
        } else if branch {
            formatter.format_mnemonic(&inst, &mut line);
            let _ = write!(line, " {}", outside(target).unwrap_or_else(|| "outside".to_owned()));
        } else {
            formatter.format(&inst, &mut line);
        }
        if let Some(name) = fields
            && let (Some(from), Some(to)) = (line.find("[r14"), line.find(']'))
        {
            line.replace_range(from..=to, &name);
        }
        let _ = writeln!(text, "{place:5x}  {line}");
    }
    text
}

/// Name of the processor's field that an instruction reaches through r14, so that listings do not change with
/// the layout of the processor.
fn cpu_field(inst: &iced_x86::Instruction) -> Option<String> {
    use iced_x86::Register;
    use nomad86::cpu::Cpu;
    use nomad86::cpu::flags::EFlags;
    use nomad86::jit::Shared;
    use std::mem::offset_of;
    const NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    if inst.memory_base() != Register::R14 || inst.memory_index() != Register::None {
        return None;
    }
    let at = inst.memory_displacement64() as usize;
    let regs = offset_of!(Cpu, regs);
    if (regs..regs + 32).contains(&at) {
        return Some(format!("[cpu.{}]", NAMES[(at - regs) / 4]));
    }
    let segments = offset_of!(Cpu, seg);
    let each = size_of::<nomad86::cpu::segment::Segment>();
    if (segments..segments + 6 * each).contains(&at) {
        return Some(format!("[cpu.segment{}+{:#x}]", (at - segments) / each, (at - segments) % each));
    }
    let shared = |field: usize| offset_of!(Cpu, jit) + field;
    let fpu = |field: usize| offset_of!(Cpu, fpu) + field;
    let fields = [
        ("eip", offset_of!(Cpu, eip)),
        ("mode", offset_of!(Cpu, mode)),
        ("flags.system", offset_of!(Cpu, flags) + offset_of!(EFlags, system)),
        ("stride", shared(offset_of!(Shared, stride))),
        ("code_tlb", shared(offset_of!(Shared, code_tlb))),
        ("budget", shared(offset_of!(Shared, budget))),
        ("flags", shared(offset_of!(Shared, flags))),
        ("code_page", shared(offset_of!(Shared, code_page))),
        ("link", shared(offset_of!(Shared, link))),
        ("scratch", shared(offset_of!(Shared, scratch))),
        ("until_hot", shared(offset_of!(Shared, until_hot))),
        ("aside", shared(offset_of!(Shared, aside))),
        ("addends.1", shared(offset_of!(Shared, addends)) + 8),
        ("addends.2", shared(offset_of!(Shared, addends)) + 16),
        ("addends.3", shared(offset_of!(Shared, addends)) + 24),
        ("live", shared(offset_of!(Shared, live))),
        ("fip", fpu(offset_of!(Fpu, fip))),
        ("fcs", fpu(offset_of!(Fpu, fcs))),
        ("fop", fpu(offset_of!(Fpu, fop))),
        ("fdp", fpu(offset_of!(Fpu, fdp))),
        ("fds", fpu(offset_of!(Fpu, fds))),
    ];
    let name = fields.iter().find(|(_, offset)| *offset == at).map_or("?", |(name, _)| name);
    Some(format!("[cpu.{name}]"))
}

/// A piece of code, translated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// The guest's instructions.
    pub guest: String,
    /// The host's.
    pub host: String,
}

/// What code is translated for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Flat 32-bit segments, at CPL 0.
    Flat,
    /// The same, and entered so often that it is translated together with what follows.
    Hot,
    /// Real mode, CS = 1000h, all others 2000h.
    Real,
}

/// Translates the block that `code` begins with.
///
/// # Errors
/// When the host has no executable memory or no recompiler, or the block is not translated.
pub fn translated(code: &[u8], mode: Mode, precise: bool) -> io::Result<Translated> {
    let mut machine = FlatMachine::new(CpuModel::Max, 1 << 20).map_err(io::Error::other)?;
    let memory = DualMapping::new(1 << 20)?;
    let blocks = machine.cache.capacity();
    let none = || io::Error::new(io::ErrorKind::Unsupported, "this processor has no recompiler");
    let mut jit = Jit::new(Box::new(memory), blocks, precise).ok_or_else(none)?;
    jit.set_threshold(0);
    if mode == Mode::Hot {
        jit.set_hot(1);
    }
    machine.jit = Some(jit);
    machine.write(CODE_AT, code);
    let eip = if mode != Mode::Real {
        machine.enter_flat(0, true);
        CODE_AT
    } else {
        for n in 0..6 {
            let selector = if n == seg::CS { CODE_AT >> 4 } else { CODE_AT >> 3 };
            machine.cpu.set_segment(n, Segment::real(selector as u16));
        }
        0
    };
    machine.cpu.eip = eip;
    machine.cpu.regs[4] = 0x8000;
    // Enough to enter a block once, and a small loop some times; what it does there does not matter.
    machine.run(64);
    let missing = || io::Error::other("the block is not translated");
    let jit = machine.jit.as_ref().ok_or_else(missing)?;
    let mut found = None;
    let mut number = 0;
    machine.cache.visit(|block, insts| {
        if block.phys == u64::from(CODE_AT) {
            found = Some((number, insts.to_vec()));
        }
        number += 1;
    });
    let (number, insts) = found.ok_or_else(missing)?;
    let code = jit.host_code(number).ok_or_else(missing)?;
    Ok(Translated { guest: guest(&insts, eip), host: host(&code, &|_| None) })
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_shown_as_guest_and_host_see_it() {
        // add eax, ebx; jmp to itself
        let both = translated(&[0x01, 0xD8, 0xEB, 0xFC], Mode::Flat, false).unwrap();
        assert_eq!(both.guest, "00010000  add eax, ebx\n00010002  jmp 0x10000\n");
        assert!(both.host.lines().any(|line| line.ends_with("  add eax, ebx")), "{}", both.host);
    }
}
