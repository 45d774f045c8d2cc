//! Hot loops in lockstep: random bodies of accesses whose addresses grow by constants, with conditions, calls and
//! jumps among them, in several rhythms, over pages that come and go.
//!
//! `NOMAD86_LOOPS` sets how many, `NOMAD86_LOOPS_SEED` the first one's seed.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86_native::bench;
use nomad86_native::lockstep::layout::{ALIAS, CODE, CODE_PAGES, DATA, PAGE};
use nomad86_native::lockstep::program::Program;
use nomad86_native::lockstep::report::explain;
use nomad86_native::lockstep::{Disturbances, Lockstep};
use nomad86_native::random::{FxKind, Lanes, Rng, fx_image};

/// EBX, EBP, ESI, EDI: what addresses are made of; EDX is an index.
const BASES: [u8; 4] = [3, 5, 6, 7];

/// A memory operand: ModRM, SIB and displacement.
fn operand(rng: &mut Rng, reg: u8, aligned: bool) -> Vec<u8> {
    let base = rng.pick(&BASES);
    let disp = if aligned { rng.below(8) as u8 * 16 } else { rng.bits() as u8 };
    if rng.percent(30) {
        let scale = if aligned { 0 } else { rng.below(4) as u8 };
        return vec![0x44 | reg << 3, scale << 6 | 2 << 3 | base, disp];
    }
    if rng.percent(10) {
        let at = DATA + rng.below(4) * PAGE + rng.below(0xFF) * 16;
        return [vec![0x05 | reg << 3], at.to_le_bytes().to_vec()].concat();
    }
    vec![0x40 | reg << 3 | base, disp]
}

/// An instruction.
fn instruction(rng: &mut Rng) -> Vec<u8> {
    // EAX, or an XMM register.
    let (reg, xmm) = (0, rng.below(8) as u8);
    if rng.percent(12) {
        // The accumulator's own forms, whose offset is the whole address.
        let at = DATA + rng.below(4) * PAGE + rng.below(0xFF) * 16;
        let wide: &[u8] = if rng.percent(30) { &[0x66] } else { &[] };
        return [wide, &[0xA0 + rng.below(4) as u8], &at.to_le_bytes()].concat();
    }
    let (opcode, reg, aligned): (&[u8], u8, bool) = match rng.below(24) {
        0..3 => (&[0x8B], reg, false),
        3..5 => (&[0x89], reg, false),
        5 => (&[0x01], reg, false),
        6 => (&[0x13], reg, false),
        7 => (&[0x3B], reg, false),
        8 => (&[0x0F, 0xB6], reg, false),
        9 => (&[0x88], rng.pick(&[0, 4]), false),
        10 => (&[0x66, 0x89], reg, false),
        11 => (&[0xFF], rng.pick(&[0, 1, 6]), false),
        12 => (&[0x0F, 0x28], xmm, true),
        13 => (&[0x0F, 0x29], xmm, true),
        14 => (&[0x66, 0x0F, 0xFE], xmm, true),
        15 => (&[0x0F, 0x10], xmm, false),
        16 => (&[0x0F, 0x11], xmm, false),
        17 => (&[0xF2, 0x0F, 0x58], xmm, false),
        18 => (&[0xD9], rng.pick(&[0, 3]), false),
        19 => (&[0xDC], 0, false),
        20 => (&[0xDD], rng.pick(&[0, 3]), false),
        21 => return vec![rng.pick(&[0x50, 0x58, 0xF9, 0xF8, 0x40, 0x99])],
        22 => {
            // MOVS, STOS, a few at a time or one, up or down.
            let string = rng.pick(&[0xA4, 0xA5, 0xAA, 0xAB]);
            let repeat = vec![0x89, 0xC8, 0xB9, 3, 0, 0, 0, 0xF3, string, 0x89, 0xC1];
            return match rng.below(8) {
                0 => vec![0xFD, string, 0xFC],
                1 => [vec![0xFD], repeat, vec![0xFC]].concat(),
                2..4 => repeat,
                _ => vec![string],
            };
        }
        _ => (&[0x81], rng.pick(&[0, 4, 5, 6, 7]), false),
    };
    let mut bytes = [opcode.to_vec(), operand(rng, reg, aligned)].concat();
    if opcode == [0x81] {
        bytes.extend((rng.bits() as u32).to_le_bytes());
    }
    bytes
}

/// What makes a register grow.
fn step(rng: &mut Rng) -> Vec<u8> {
    let register = rng.pick(&[2, 3, 5, 6, 7]);
    let by = rng.pick(&[1_u8, 2, 4, 8, 12, 16, 16, 16, 32, 48, 64, 0xF0, 0xFC, 0xFF]);
    match rng.below(4) {
        0 => vec![0x40 | register],
        1 => vec![0x8D, 0x40 | register << 3 | register, by],
        2 => vec![0x83, 0xE8 | register, by],
        _ => vec![0x83, 0xC0 | register, by],
    }
}

/// A loop of ECX rounds, then HLT; a subroutine on the same or another page.
fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let start = CODE + rng.pick(&[0, 0x100, PAGE - 40]);
    let routine = CODE + rng.pick(&[0x800, 2 * PAGE + 0x300]);
    let mut code = vec![0xB9];
    code.extend(rng.within(4..120).to_le_bytes());
    let head = code.len();
    for _ in 0..rng.within(1..12) {
        match rng.below(12) {
            0 => {
                let skipped = instruction(&mut rng);
                code.extend([0x70 | rng.below(16) as u8, skipped.len() as u8]);
                code.extend(skipped);
            }
            1 => {
                code.extend([0xA9, 1 << rng.below(6), 0, 0, 0, 0x75, 2, 0x40, 0x40]);
            }
            2 => {
                code.push(0xE8);
                code.extend(routine.wrapping_sub(start + code.len() as u32 + 4).to_le_bytes());
            }
            3 => code.extend([0xEB, 0]),
            4..7 => code.extend(step(&mut rng)),
            _ => code.extend(instruction(&mut rng)),
        }
    }
    code.extend(step(&mut rng));
    code.push(0x49);
    code.extend([0x0F, 0x85]);
    code.extend((head as u32).wrapping_sub(code.len() as u32 + 4).to_le_bytes());
    code.push(0xF4);
    let mut back = Vec::new();
    (0..rng.below(4)).for_each(|_| back.extend(instruction(&mut rng)));
    back.push(0xC3);
    let mut program = Program::written(&[(start, &code), (routine, &back)]);
    if rng.percent(60) {
        program = program.with_paging();
        for page in 0..rng.below(3) {
            let at = program.pages.len() - 1 - (page + rng.below(10)) as usize;
            program.pages[at].1 &= rng.pick(&[!1, !2, !0x60]);
        }
    }
    for register in BASES {
        let alias = if program.paged && rng.percent(20) { ALIAS + CODE_PAGES * PAGE - DATA } else { 0 };
        let within = match rng.below(4) {
            0 => PAGE - 1 - rng.below(40),
            1 => rng.below(PAGE),
            _ => rng.below(PAGE / 16) * 16,
        };
        program.registers[usize::from(register)] = DATA + alias + rng.within(1..7) * PAGE + within;
    }
    program.registers[4] = DATA + 3 * PAGE + rng.pick(&[0, 0x800, 0xFF0]);
    program.registers[2] = rng.below(64) * rng.pick(&[1, 16]);
    let kind = FxKind { lanes: Lanes::Integer, mmx: false, unmasked: false };
    program.fx = Some(Box::new(fx_image(&mut rng, kind)));
    program.precise = rng.percent(40);
    program.seed = seed;
    program
}

/// Programs that something was wrong with, run every time: flags dropped behind a return, with REP MOVS, where an
/// interrupt may come, before what overwrites them.
const FOUND: [u64; 1] = [18_000];

#[test]
fn hot_loops_are_the_same_on_both() {
    let mut pair = match Lockstep::new() {
        Ok(pair) => pair,
        Err(error) => return bench::skipped("hot_loops_are_the_same_on_both", &error),
    };
    let loops = bench::count("NOMAD86_LOOPS", if bench::in_ci() { 20_000 } else { 3_000 });
    let first = bench::count("NOMAD86_LOOPS_SEED", 1);
    let mut failures = 0;
    for seed in FOUND.into_iter().chain(first..first + loops) {
        let program = program(seed);
        let disturbances =
            if seed % 3 == 0 { Disturbances::NONE } else { Disturbances { dma: false, ..Disturbances::ALL } };
        if let Err(difference) = pair.run(&program, disturbances) {
            println!("{}", explain(&program, disturbances, &difference));
            failures += 1;
            if failures == 3 {
                break;
            }
        }
    }
    let stats = pair.jits.each_ref().map(nomad86::jit::Jit::stats);
    let sum = |count: fn(&nomad86::jit::JitStats) -> u64| stats.iter().map(count).sum::<u64>();
    println!(
        "{loops} loops: {} blocks translated, {} anew, {} as loops, {} of them in rounds; {} instructions, {} exits",
        sum(|s| s.translated),
        sum(|s| s.hot),
        sum(|s| s.loops),
        sum(|s| s.rounds),
        pair.counts.instructions,
        pair.counts.exits
    );
    assert_eq!(failures, 0);
    assert!(sum(|s| s.rounds) > loops / 10, "hardly any loop counted rounds");
}
