//! Page faults forced at random: afterwards everything is as it was before the instruction.

use super::layout::{self, CODE, CODE_PAGES, DATA, DATA_PAGES, PAGE};
use super::program::{Handlers, Program};
use super::{Side, in_handler, report};
use crate::random::Rng;
use nomad86::archive::Archive;
use nomad86::cpu::{Cpu, reg};
use nomad86::isa::decode::{MAX_LEN, decode};
use nomad86::jit::Jit;

const PF: u32 = 14;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forced {
    /// Instructions tried with pages missing.
    pub instructions: u64,
    /// Those that faulted over it.
    pub faults: u64,
}

/// Runs a program instruction by instruction. Each is first tried with some of the data pages missing; when it
/// faults, the state is held against the one before it.
///
/// # Errors
/// Lines that say what a fault changed.
pub fn run(
    side: &mut Side,
    jit: &mut Jit,
    program: &Program,
    image: &[u8],
    done: &mut Forced,
) -> Result<(), Vec<String>> {
    debug_assert!(program.paging() && program.handlers == Handlers::Halt);
    let mut rng = Rng::new(program.seed ^ 0xFA17);
    side.load(image);
    layout::place(&mut side.cpu, program);
    let mut state = Vec::new();
    let mut views = Views {
        before: Cpu::new(side.cpu.model),
        after: Cpu::new(side.cpu.model),
        images: [Vec::new(), Vec::new()],
    };
    for _ in 0..program.length {
        if side.cpu.halted || in_handler(&side.cpu) {
            let mut next = program.clone();
            next.entry = rng.pick(&program.starts);
            layout::place(&mut side.cpu, &next);
        }
        side.state(&mut state);
        let ram = side.ram().to_vec();
        let absent = take_away(side, &mut rng);
        let name = mnemonic(side);
        let limit = side.cpu.count + 1;
        // Translated code is entered when the block is a single instruction.
        side.run(Some(jit), limit);
        done.instructions += 1;
        let vector = (side.cpu.eip & 0xFFF) / 64;
        let missing = absent.contains(&(side.cpu.cr2 & !0xFFF));
        if !(in_handler(&side.cpu) && vector == PF && missing) {
            for &page in &absent {
                let at = layout::entry_at(page) as usize;
                let byte = side.ram()[at] | 1;
                side.world.memory.write(at as u64, &[byte]);
            }
            side.cpu.flush_tlb(true);
            continue;
        }
        done.faults += 1;
        let mut what = Vec::new();
        views.compare(side, &state, &ram, &name, &mut what);
        if !what.is_empty() {
            what.insert(0, format!("{name} at {:08x}", views.before.eip));
            return Err(what);
        }
        // Back to where it was, with all pages.
        side.world.memory.backing_mut()[..ram.len()].copy_from_slice(&ram);
        side.cache.clear(&mut side.world.memory);
        side.cpu.archive(&mut Archive::load(&state, 1));
        let limit = side.cpu.count + 1;
        side.run(Some(jit), limit);
    }
    Ok(())
}

/// Makes data pages that are there not present; gives them.
fn take_away(side: &mut Side, rng: &mut Rng) -> Vec<u32> {
    let all = rng.percent(40);
    let pages =
        (0..DATA_PAGES).flat_map(|page| [DATA + page * PAGE, layout::ALIAS + (CODE_PAGES + page) * PAGE]);
    let mut absent = Vec::new();
    for page in pages {
        let at = layout::entry_at(page) as usize;
        let byte = side.ram()[at];
        if byte & 1 != 0 && (all || rng.percent(30)) {
            side.world.memory.write(at as u64, &[byte & !1]);
            absent.push(page);
        }
    }
    side.cpu.flush_tlb(true);
    absent
}

/// Name of the instruction at EIP, with its prefixes.
fn mnemonic(side: &mut Side) -> String {
    let linear = side.cpu.seg[1].base.wrapping_add(side.cpu.eip);
    let mut bytes = [0; MAX_LEN];
    let found = side
        .cpu
        .peek(linear, &mut side.world.memory)
        .is_some_and(|at| side.world.memory.read(at, &mut bytes));
    match decode(&bytes, side.cpu.code32(), side.cpu.features) {
        Ok(inst) if found => format!("{}{}", if inst.rep() { "rep " } else { "" }, inst.row().mnemonic),
        _ => "?".to_owned(),
    }
}

/// What instructions may have done when they fault in the middle, by the manuals or by their nature.
fn partial(name: &str) -> bool {
    // Repeated string instructions stand at the element that faulted; MASKMOVQ has taken the x87's registers
    // for MMX, as it does on the host.
    name.starts_with("rep ") || name == "maskmovq"
}

/// Scratch processors: as it was before, and as the handler's frame would bring it back.
struct Views {
    before: Cpu,
    after: Cpu,
    images: [Vec<u8>; 2],
}

impl Views {
    fn compare(&mut self, side: &mut Side, state: &[u8], ram: &[u8], name: &str, what: &mut Vec<String>) {
        if partial(name) {
            return;
        }
        let Self { before, after, images: [x, y] } = self;
        before.archive(&mut Archive::load(state, 1));
        side.state(y);
        after.archive(&mut Archive::load(y, 1));
        let user = before.cpl == 3;
        let top = side.cpu.seg[2].base.wrapping_add(side.cpu.regs[reg::ESP]);
        let frame: Vec<usize> = (0..if user { 40 } else { 16 })
            .filter_map(|n| side.cpu.peek(top.wrapping_add(n), &mut side.world.memory).map(|at| at as usize))
            .collect();
        let now = side.ram();
        if frame.last().is_none_or(|&at| at >= now.len()) {
            return; // on a device, or nowhere: nobody can read it back
        }
        let byte = |n: usize| frame.get(n).and_then(|&at| now.get(at)).map_or(0, |&b| u32::from(b));
        let word = |n: usize| (0..4).fold(0, |word, k| word | byte(4 * n + k) << (8 * k));
        // RF is set in the frame of a fault.
        let flags = before.flags.image() & !0x1_0000;
        for (name, a, b) in [
            ("cs of the frame", before.seg[1].selector.into(), word(2) & 0xFFFF),
            ("eflags of the frame", flags, word(3) & !0x1_0000),
        ] {
            if a != b {
                what.push(format!("{name}: before {a:08x}, after {b:08x}"));
            }
        }
        after.eip = word(1);
        after.regs[reg::ESP] = if user { word(4) } else { after.regs[reg::ESP].wrapping_add(16) };
        // What delivery itself changes.
        after.flags = before.flags;
        after.seg = before.seg;
        (after.cr2, after.cpl, after.count) = (before.cr2, before.cpl, before.count);
        (after.halted, after.shadow, after.shadow_debug) =
            (before.halted, before.shadow, before.shadow_debug);
        for (cpu, image) in [(&mut *before, &mut *x), (&mut *after, &mut *y)] {
            image.clear();
            cpu.archive(&mut Archive::save(image, 1));
        }
        if x != y {
            report::states(before, after, what);
        }
        // Accessed and dirty bits may be set.
        let tables = layout::DIRECTORY as usize..CODE as usize;
        let changed = |n: &usize| now[*n] != ram[*n] && !frame.contains(n) && !tables.contains(n);
        // ENTER with a nesting level and PUSHA write below the stack's top as they go.
        let below = matches!(name, "enter" | "pusha");
        for n in (0..ram.len()).filter(changed).filter(|_| !below).take(4) {
            what.push(format!("memory {n:05x}: before {:02x}, after {:02x}", ram[n], now[n]));
        }
    }
}
