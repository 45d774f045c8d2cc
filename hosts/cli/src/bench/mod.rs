//! `nomad86 bench`: the same programs natively, in our machine and in its peers, in one table.
//!
//! `hosts/cli/profile LOAD` shows where the time of a load goes in our machine, with perf and the names that
//! `--perf-map` gives translated code; `hosts/cli/measure FOLDER` writes this comparison and the micro-benchmarks into
//! one file.

mod loads;
mod machine;
mod plot;
mod results;
mod side;
mod table;
mod tree;
mod watch;

use crate::args::bench::{BenchArgs, Peer};
use crate::files;
use crate::outcome::{Failure, Outcome};
use loads::{Group, LOADS, Load};
use nomad86_host::guest;
use results::{Column, Results};
use side::{Boot, Side};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::Duration;

/// Runs the loads on all sides and prints the tables.
pub(crate) fn run(args: &BenchArgs) -> Result<Outcome, Failure> {
    let loads = chosen(args)?;
    if args.list {
        let lines = loads.iter().map(|load| format!("{:<11}{}\n", load.group.name(), load.name));
        print!("{}", lines.collect::<String>());
        return Ok(Outcome::Done);
    }
    let mut progress = Progress { width: 0, terminal: std::io::stderr().is_terminal() };
    let tree = tree::build(&mut |step| progress.show(&step))?;
    let kernel = guest::debian(&guest::cache_folder(), &mut |step| progress.show(&step.to_string()))
        .map_err(|error| Failure::configuration(error.to_string()))?;
    if let Some(folder) = &args.keep {
        keep(folder, &kernel, &tree)?;
        progress.clear();
        return Ok(Outcome::Done);
    }
    let (sides, absent) = sides(args, &tree.programs.root)?;
    let columns = sides.iter().map(|side| Column::new(side.name, side.version.clone())).collect();
    let mut results = Results { columns, loads, absent };
    let facts = || machine::facts(&kernel.version, &tree.programs.packages);
    let limit = Duration::from_secs(args.limit);
    for round in 1..=args.repeat.max(1) {
        for (place, loads) in starts(&results, args.quick) {
            let booting = loads.iter().any(|load| load.group == Group::Boot);
            for (side, column) in sides.iter().zip(&mut results.columns) {
                if booting && side.is_native() {
                    continue;
                }
                let initrd = if booting { &kernel.initrd } else { &tree.initrd };
                let boot = Boot { kernel: &kernel.kernel, initrd, loads: "" };
                let place = format!("{round}/{} {}: {place}", args.repeat.max(1), side.name);
                progress.show(&place);
                column.merge(watch::run(side, &loads, boot, limit, &mut |load| {
                    if progress.terminal {
                        progress.show(&format!("{place}: {load}"));
                    }
                }));
            }
            // A long run that is broken off leaves what it has.
            write(args, &results, &facts())?;
        }
    }
    progress.clear();
    print!("{}\n{}\n{}", table::summary(&results), table::details(&results), table::troubles(&results));
    Ok(Outcome::Done)
}

/// What runs in one start of each side: a group, so that sides take turns; of a quick run, all but the boot.
fn starts(results: &Results, quick: bool) -> Vec<(&'static str, Vec<&'static Load>)> {
    let of = |group: Group| (group.name(), results.of(group).collect::<Vec<_>>());
    let mut starts: Vec<_> = Group::ALL.into_iter().map(of).filter(|(_, loads)| !loads.is_empty()).collect();
    if quick {
        let (boot, rest): (Vec<_>, Vec<_>) =
            starts.into_iter().partition(|(name, _)| *name == Group::Boot.name());
        let rest: Vec<&Load> = rest.into_iter().flat_map(|(_, loads)| loads).collect();
        starts = if rest.is_empty() { boot } else { [vec![("all", rest)], boot].concat() };
    }
    starts
}

/// The loads that the options name.
fn chosen(args: &BenchArgs) -> Result<Vec<&'static Load>, Failure> {
    for name in &args.only {
        if !LOADS.iter().any(|load| load.name == name) {
            return Err(Failure::configuration(format!("--only {name}: no such load; --list shows them")));
        }
    }
    let mut groups = Vec::new();
    for name in &args.groups {
        groups.push(*Group::ALL.iter().find(|group| group.name() == name).ok_or_else(|| {
            let names = Group::ALL.map(Group::name).join(", ");
            Failure::configuration(format!("{name} is no group of loads; those are {names}"))
        })?);
    }
    let chosen = |load: &&Load| {
        (groups.is_empty() || groups.contains(&load.group))
            && (args.only.is_empty() || args.only.iter().any(|name| name == load.name))
            && (load.quick || !args.quick || !args.only.is_empty())
    };
    let loads: Vec<&Load> = LOADS.iter().filter(chosen).collect();
    if loads.is_empty() {
        return Err(Failure::configuration("none of the loads of --only is in these groups"));
    }
    Ok(loads)
}

/// Who takes part, and who cannot.
fn sides(args: &BenchArgs, root: &Path) -> Result<(Vec<Side>, Vec<String>), Failure> {
    let ours = side::ourselves()?;
    let mut sides = vec![Side::native(root), Side::ours("nomad86", &ours, "jit")];
    let mut absent = Vec::new();
    if args.interpreter {
        sides.push(Side::ours("interpreter", &ours, "interp"));
    }
    for peer in &args.peers {
        let side = match peer {
            Peer::Qemu => Side::qemu(),
            Peer::V86 => Side::v86(&args.v86.clone().unwrap_or_else(side::v86_folder)),
            Peer::None => continue,
        };
        match side {
            Ok(side) => sides.push(side),
            Err(why) => absent.push(format!("{} is absent: {why}", peer.name())),
        }
    }
    for why in &absent {
        eprintln!("{why}");
    }
    Ok((sides, absent))
}

/// Files of the options.
fn write(args: &BenchArgs, results: &Results, facts: &[String]) -> Result<(), Failure> {
    if let Some(path) = &args.plot {
        files::replace("--plot", path, plot::svg(results).as_bytes())?;
    }
    if let Some(path) = &args.output {
        let plot = args.plot.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        files::replace("--output", path, table::document(results, facts, plot).as_bytes())?;
    }
    Ok(())
}

/// A script that runs loads in our machine as this does, for profilers.
fn keep(folder: &Path, kernel: &guest::Guest, tree: &tree::Tree) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::host(format!("{}: {}", folder.display(), files::reason(&error))))?;
    let boot = Boot { kernel: &kernel.kernel, initrd: &tree.initrd, loads: "$1" };
    let command = Side::ours("nomad86", &side::ourselves()?, "jit").command(boot);
    let mut script = String::from("# Runs the loads that $1 names, with commas between.\nexec");
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        let _ = write!(script, " \"{}\"", word.display());
    }
    // The shell gives its process to the machine.
    script += " \"--perf-map=/tmp/perf-$$.map\"\n";
    files::replace("--keep", &folder.join("run.sh"), script.as_bytes())
}

/// One line that says what is being done: overwritten in a terminal, printed when it changes elsewhere.
struct Progress {
    width: usize,
    terminal: bool,
}

impl Progress {
    fn show(&mut self, text: &str) {
        if self.terminal {
            self.clear();
            eprint!("{text}");
            self.width = text.chars().count();
            let _ = std::io::stderr().flush();
        } else if !text.ends_with('%') {
            eprintln!("{text}");
        }
    }

    fn clear(&mut self) {
        if self.terminal {
            eprint!("\r{}\r", " ".repeat(self.width));
        }
    }
}
