//! Runs inputs through a target without a fuzzer: its seeds, or the files of a folder.
//!
//! `replay TARGET [--corpus FOLDER] [--seconds N]`: once each, or over and over for so many seconds of CPU time;
//! prints how many executions that was and how many a CPU second has.

use nomad86_fuzz::TARGETS;
use nomad86_host::clock::thread_nanoseconds;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some(run) = TARGETS.iter().find(|target| target.name == name).map(|target| target.run) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
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
    let begun = thread_nanoseconds();
    let mut executions = 0_u64;
    loop {
        for input in &inputs {
            run(input);
            executions += 1;
        }
        if inputs.is_empty() || thread_nanoseconds() - begun >= seconds * 1_000_000_000 {
            break;
        }
    }
    let nanoseconds = (thread_nanoseconds() - begun).max(1);
    println!(
        "{name}: {} inputs, {executions} executions, {} a CPU second",
        inputs.len(),
        executions * 1_000_000_000 / nanoseconds
    );
    ExitCode::SUCCESS
}
