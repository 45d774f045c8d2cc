//! Runs inputs through a target without a fuzzer: its seeds, or the files of a folder.
//!
//! `replay TARGET [--corpus FOLDER] [--seconds N]`: once each, or over and over for so many seconds of CPU time;
//! prints how many executions that was and how many a CPU second has.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// CPU time of this thread in nanoseconds.
fn cpu_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some((_, run)) = nomad86_fuzz::TARGETS.iter().find(|(target, _)| *target == name) else {
        let names: Vec<&str> = nomad86_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("replay: there is no target '{name}': give one of {}", names.join(" "));
        return ExitCode::from(2);
    };
    let (mut folder, mut seconds) = (None, 0);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--corpus", Some(path)) => folder = Some(PathBuf::from(path)),
            ("--seconds", Some(number)) => seconds = number.parse().unwrap_or(0),
            _ => {
                eprintln!("replay: '{word}' is no option with a value: there are --corpus and --seconds");
                return ExitCode::from(2);
            }
        }
    }
    let inputs = match &folder {
        None => nomad86_fuzz::seeds::of(&name),
        Some(folder) => match fs::read_dir(folder) {
            Ok(entries) => entries.flatten().filter_map(|entry| fs::read(entry.path()).ok()).collect(),
            Err(error) => {
                eprintln!("replay: {}: {error}", folder.display());
                return ExitCode::from(2);
            }
        },
    };
    let begun = cpu_time();
    let mut executions = 0_u64;
    loop {
        for input in &inputs {
            run(input);
            executions += 1;
        }
        if inputs.is_empty() || cpu_time() - begun >= seconds * 1_000_000_000 {
            break;
        }
    }
    let nanoseconds = (cpu_time() - begun).max(1);
    println!(
        "{name}: {} inputs, {executions} executions, {} a CPU second",
        inputs.len(),
        executions * 1_000_000_000 / nanoseconds
    );
    ExitCode::SUCCESS
}
