//! Every target over its seeds and over changed seeds, without a fuzzer: the same inputs each time.
//!
//! `NOMAD86_FUZZ_PART` sets how many percent of their changed inputs ([`Target::inputs`]) the targets get: 5, and 100
//! in CI.

use nomad86_fuzz::{Group, TARGETS, Target, seeds};
use std::time::Instant;

/// A small generator: the inputs of one run are those of the next.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// Changes some bytes, cuts or repeats a part.
    fn change(&mut self, input: &mut Vec<u8>) {
        for _ in 0..=self.next(6) {
            let at = self.next(input.len());
            match self.next(6) {
                _ if input.is_empty() => input.push(self.next(256) as u8),
                0 => input[at] ^= 1 << self.next(8),
                1 => input[at] = [0, 1, 0x7F, 0x80, 0xFF][self.next(5)],
                2 => input[at] = self.next(256) as u8,
                3 => input.truncate(at),
                4 => input.insert(at, self.next(256) as u8),
                _ => {
                    let end = (at + self.next(32)).min(input.len());
                    let part = input[at..end].to_vec();
                    let to = self.next(input.len());
                    input.splice(to..to, part);
                }
            }
        }
    }
}

/// Percent of a target's inputs that it gets.
fn part() -> usize {
    std::env::var("NOMAD86_FUZZ_PART").map_or(5, |text| match text.parse() {
        Ok(part @ 1..) => part,
        _ => panic!("NOMAD86_FUZZ_PART={text} is no number of percent from 1 on"),
    })
}

/// Runs the seeds of one group's targets, and what becomes of them.
fn attack(group: Group) {
    let begun = Instant::now();
    for Target { name, inputs, run, .. } in TARGETS.iter().filter(|target| target.group == group) {
        let seeds = seeds::of(name);
        assert!(!seeds.is_empty(), "{name} has seeds");
        for seed in &seeds {
            run(seed);
        }
        let start = Instant::now();
        let mut random = Random(86);
        let cases = (inputs * part()).div_ceil(100);
        for case in 0..cases {
            let mut input = seeds[random.next(seeds.len())].clone();
            random.change(&mut input);
            let shown = input.clone();
            if let Err(panic) = std::panic::catch_unwind(|| run(&input)) {
                println!("{name}, case {case}: {shown:02x?}");
                std::panic::resume_unwind(panic);
            }
        }
        println!("{name}: {} seeds, {cases} changed inputs in {:.1?}", seeds.len(), start.elapsed());
    }
    println!("{group:?}: {:.1?} in all", begun.elapsed());
}

#[test]
fn what_strangers_send_breaks_nothing() {
    attack(Group::Network);
}

#[test]
fn scripts_of_register_accesses_break_no_chip() {
    attack(Group::Devices);
}

#[test]
fn instructions_are_what_the_others_say_they_are() {
    attack(Group::Processor);
}

#[test]
fn machines_and_the_files_that_make_them_are_borne() {
    attack(Group::Machine);
}
