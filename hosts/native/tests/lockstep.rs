//! Interpreter and recompiler in lockstep on random programs.
//!
//! `NOMAD86_LOCKSTEP_BLOCKS` sets how many blocks are to be translated in all, `NOMAD86_LOCKSTEP_SEED` the first
//! program's seed (the others follow by one), `NOMAD86_LOCKSTEP_PROGRAMS` a number of programs instead.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86_native::bench;
use nomad86_native::lockstep::program::{Program, Rows};
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
    let shared = Mutex::new((Counts::default(), Vec::new()));
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
                let mut shared = shared.lock().unwrap();
                if let Some(difference) = difference {
                    shared.1.push(explain(&small, disturbances, &difference));
                }
                stop.store(shared.1.len() >= SHOWN, Ordering::Relaxed);
            }
        }
        shared.lock().unwrap().0.add(&pair.counts);
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (counts, failures) = shared.into_inner().unwrap();
    for failure in failures.iter().take(SHOWN) {
        println!("{failure}");
    }
    println!(
        "{} programs: {} blocks translated, {} instructions on each engine, {} exits compared, {} halts; {} differ",
        counts.programs,
        counts.blocks,
        counts.instructions,
        counts.exits,
        counts.halts,
        failures.len()
    );
    assert!(failures.is_empty());
    assert!(programs != u64::MAX || counts.blocks >= blocks);
}
