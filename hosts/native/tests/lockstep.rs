//! Interpreter and recompiler in lockstep on random programs.
//!
//! `NOMAD86_LOCKSTEP_BLOCKS` sets how many blocks are to be translated in all, `NOMAD86_LOCKSTEP_SEED` the first
//! program's seed (the others follow by one), `NOMAD86_LOCKSTEP_PROGRAMS` a number of programs instead.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86::cpu::windows::WindowStats;
use nomad86_native::bench;
use nomad86_native::lockstep::faults::Forced;
use nomad86_native::lockstep::program::{Handlers, Program, Rows};
use nomad86_native::lockstep::report::{explain, shrink};
use nomad86_native::lockstep::{Counts, Disturbances, Lockstep};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Failing programs that are shown.
const SHOWN: usize = 3;

#[test]
fn random_programs_run_the_same_on_interpreter_and_recompiler() {
    if let Err(error) = Lockstep::new() {
        return bench::skipped("random_programs_run_the_same_on_interpreter_and_recompiler", &error);
    }
    let blocks = bench::count("NOMAD86_LOCKSTEP_BLOCKS", if bench::in_ci() { 1_000_000 } else { 100_000 });
    let programs = bench::count("NOMAD86_LOCKSTEP_PROGRAMS", u64::MAX);
    let first = bench::count("NOMAD86_LOCKSTEP_SEED", 1);
    let (next, translated, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let shared = Mutex::new((Counts::default(), Vec::new(), WindowStats::default()));
    let work = || {
        let rows = [Rows::new(false), Rows::new(true)];
        let mut pair = Lockstep::new().expect("there was one");
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let enough = translated.load(Ordering::Relaxed) >= blocks && programs == u64::MAX;
            if number >= programs || enough || stop.load(Ordering::Relaxed) {
                break;
            }
            let program = Program::random(first.wrapping_add(number), &rows);
            let before = pair.counts.blocks;
            let result = pair.run(&program, Disturbances::ALL);
            translated.fetch_add(pair.counts.blocks - before, Ordering::Relaxed);
            if result.is_err() {
                let (small, disturbances, difference) = shrink(&mut pair, &program);
                if programs == 1 {
                    pair.trace = Some(Vec::new());
                    let _ = pair.run(&small, disturbances);
                    pair.trace.iter().flatten().for_each(|line| println!("{line}"));
                }
                let mut shared = shared.lock().unwrap();
                if let Some(difference) = difference {
                    shared.1.push(explain(&small, disturbances, &difference));
                }
                stop.store(shared.1.len() >= SHOWN, Ordering::Relaxed);
            }
        }
        let mut shared = shared.lock().unwrap();
        shared.0.add(&pair.counts);
        let windows = pair.windowed();
        shared.2.made += windows.made;
        shared.2.instructions += windows.instructions;
        shared.2.faults += windows.faults;
        shared.2.shown += windows.shown;
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (counts, failures, windows) = shared.into_inner().unwrap();
    for failure in failures.iter().take(SHOWN) {
        println!("{failure}");
    }
    println!(
        "{} programs: {} blocks translated, {} instructions on each engine, {} exits compared, {} halts; {} differ, \
         {} in flags that are left open",
        counts.programs,
        counts.blocks,
        counts.instructions,
        counts.exits,
        counts.halts,
        failures.len(),
        counts.open
    );
    println!("{windows:?}");
    assert!(failures.is_empty());
    assert!(counts.open <= counts.programs / 1000);
    assert!(programs != u64::MAX || counts.blocks >= blocks);
}

#[test]
fn a_forced_page_fault_leaves_everything_as_it_was_before_the_instruction() {
    let test = "a_forced_page_fault_leaves_everything_as_it_was_before_the_instruction";
    let mut pair = match Lockstep::new() {
        Ok(pair) => pair,
        Err(error) => return bench::skipped(test, &error),
    };
    let wanted = bench::count("NOMAD86_FORCED_FAULTS", if bench::in_ci() { 50_000 } else { 10_000 });
    let rows = [Rows::new(false), Rows::new(true)];
    let mut done = Forced::default();
    let mut failures = std::collections::BTreeMap::new();
    for seed in 0.. {
        let mut program = Program::random(seed, &rows);
        if !program.paging() {
            continue;
        }
        program.handlers = Handlers::Halt;
        if let Err(what) = pair.force_faults(&program, &mut done) {
            let name = what[0].split(" at ").next().unwrap_or_default().to_owned();
            let _ = failures
                .entry(name)
                .or_insert_with(|| format!("{}\n  {}", program.summary(), what.join("\n  ")));
        }
        if done.faults >= wanted || failures.len() >= 10 {
            break;
        }
    }
    failures.values().for_each(|failure| println!("{failure}"));
    println!(
        "{} faults forced at {} instructions; {} kinds of instructions changed something",
        done.faults,
        done.instructions,
        failures.len()
    );
    assert!(failures.is_empty());
}
