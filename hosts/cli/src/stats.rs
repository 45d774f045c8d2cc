//! `--stats` and `--perf-map`: what the machine did, and where its code is.

use nomad86::jit::Jit;
use nomad86::machine::Machine;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Instructions left to the interpreter that are named.
const RANKS: usize = 12;

/// What was done, a line each.
pub(crate) fn text(machine: &Machine, elapsed: Duration) -> String {
    let mut text = String::new();
    let cpu = &machine.cpu;
    let seconds = elapsed.as_secs_f64();
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(text, "{name:<44}{value:>16}");
    };
    line("instructions", cpu.count);
    line("instructions a second", (cpu.count as f64 / seconds.max(1e-9)) as u64);
    line("virtual microseconds", machine.now().0 / 1000);
    line("host microseconds", elapsed.as_micros() as u64);
    line("microseconds of the host's not made up for", machine.time_given_up() / 1000);
    let runs = &machine.runs;
    line("runs of instructions to a deadline", runs.deadlines);
    line("runs of instructions left for an event", runs.events);
    line("runs of instructions left for a halt", runs.halts);
    line("interrupts delivered", runs.interrupts);
    line("TLB entries filled", cpu.tlb().fills);
    line("TLB flushes", cpu.tlb().flushes);
    let cache = &machine.cache.stats;
    line("blocks decoded", cache.decoded);
    line("blocks left for overwritten bytes", cache.invalidated);
    line("of these, used again", cache.revived);
    line("block cache emptied because it was full", cache.full_flushes);
    line("entries not among the recent ones", cache.recent_misses);
    if let Some(recompiler) = &machine.jit {
        let jit = recompiler.stats();
        line("blocks translated", jit.translated);
        line("of these anew, with those behind them", jit.hot);
        line("of these over more than one page", jit.over_pages);
        line("of these loops", jit.loops);
        line("of these loops that count rounds", jit.rounds);
        line("microseconds of the longest translation", jit.longest / 1000);
        line("bytes of translated code", jit.bytes);
        line("code memory emptied", jit.full_flushes);
        line("translations dropped for overwritten bytes", jit.invalidated);
        line("translations used again after it", jit.revived);
        line("entries into translated code", jit.entered);
        line("jumps linked", jit.linked);
        line("entry points not in the table", jit.lookups_missed);
        line("exits at an instruction", jit.interpreted);
        if let Some(windows) = cpu.windows() {
            let w = windows.stats;
            line("windows made", w.made);
            line("windows given up", w.dropped);
            line("of these, since they cost more than they gained", w.costly);
            line("instructions of users with a window", w.instructions);
            line("pages shown in windows", w.mapped);
            line("mappings made for them", w.mappings);
            line("pages taken away again", w.unmapped);
            line("page tables looked at again", w.synced);
            line("faults of accesses through windows", w.faults);
            line("of these, shown afterwards", w.shown);
            line("instructions that windows are in vain for", jit.denied);
        }
        for (name, count) in ranking(recompiler) {
            line(&format!("  of these, {name}"), count);
        }
    } else {
        line("blocks translated", 0);
    }
    text
}

/// Instructions that translated code left to the interpreter, the most frequent first.
fn ranking(jit: &Jit) -> Vec<(&'static str, u64)> {
    let mut counts = BTreeMap::new();
    jit.interpreted(|name, count| *counts.entry(name).or_default() += count);
    let mut ranking: Vec<_> = counts.into_iter().collect();
    ranking.sort_unstable_by_key(|&(_, count)| std::cmp::Reverse(count));
    ranking.truncate(RANKS);
    ranking
}

/// Writes the map that `perf` reads: address, size and name of each translated block.
pub(crate) fn perf_map(machine: &Machine, path: &Path) -> io::Result<()> {
    let mut out = io::BufWriter::new(std::fs::File::create(path)?);
    if let Some(jit) = &machine.jit {
        let mut result = Ok(());
        jit.visit(|number, code| {
            let block = machine.cache.block(number);
            for (at, code) in code {
                if result.is_ok() && block.live {
                    result = writeln!(out, "{at:x} {:x} guest_{:08x}", code.len(), block.phys);
                }
            }
        });
        result?;
    }
    out.flush()
}

/// The map's usual place.
pub(crate) fn perf_map_default() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("perf-{}.map", std::process::id()))
}
