//! Straight runs of random instructions against the host's CPU: what one leaves for the next, and faults in
//! the middle.
//!
//! `NOMAD86_BLOCK_CASES` sets their number, `NOMAD86_SEED` where they start, `NOMAD86_NATIVE_SHOW` how many
//! differences are shown.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod native;

use native::{explain, host_is_zen};
use nomad86::isa::Row;
use nomad86::isa::table::ROWS;
use nomad86_native::bench;
use nomad86_native::blocks::{Pair, lengths};
use nomad86_native::generate::block::{block, in_block};
use nomad86_native::oracle::Stop;
use nomad86_native::random::Rng;
use nomad86_native::undefined::undefined_flags;
use std::collections::BTreeMap;

#[test]
fn blocks_do_what_they_do_on_the_host_cpu() {
    let mut pair = match Oracle::new() {
        Ok(oracle) => Pair::new(oracle),
        Err(error) => return bench::skipped("blocks_do_what_they_do_on_the_host_cpu", &error),
    };
    let total = bench::count("NOMAD86_BLOCK_CASES", if bench::in_ci() { 300_000 } else { 60_000 });
    let show = bench::count("NOMAD86_NATIVE_SHOW", 3);
    let mut rng = Rng::new(bench::count("NOMAD86_SEED", 286));
    let zen = host_is_zen();
    // What later instructions make of flags that the manuals leave open can be told on AMD's Zen only.
    // (BSF's and BSR's differ between Zen 3 and Zen 4.)
    let settled =
        |row: &Row| undefined_flags(row, None, 32) == 0 || zen && !matches!(row.mnemonic, "bsf" | "bsr");
    let usable = |row: &&Row| in_block(row) && settled(row);
    let rows: Vec<&Row> = ROWS.iter().filter(usable).collect();
    let (mut instructions, mut ended, mut different) = (0, 0, 0);
    let mut culprits: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..total {
        let generated = block(&rows, &mut rng);
        instructions += lengths(&generated).len();
        let (expected, found, differences) = pair.run(&generated, generated.code.len());
        ended += u64::from(expected.stop == Stop::Halt);
        if differences.is_empty() {
            continue;
        }
        different += 1;
        let culprit = pair.culprit(&generated);
        let seen = culprits.entry(culprit.clone()).or_insert(0);
        *seen += 1;
        if *seen == 1 && culprits.len() as u64 <= show {
            // Once more, so that memory is as the block left it.
            pair.run(&generated, generated.code.len());
            println!(
                "first different after {culprit}:\n{}",
                explain(&generated, &expected, &found, &differences, &pair.oracle, &pair.subject)
            );
        }
        pair.agree();
    }
    println!(
        "{total} blocks of {instructions} instructions, {ended} to their end; {different} differ: {culprits:?}"
    );
    assert_eq!(different, 0);
}
