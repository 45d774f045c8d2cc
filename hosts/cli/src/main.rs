//! `nomad86`: the machine in a terminal.
//!
//! | file | what |
//! |---|---|
//! | [`args`] | options, and the spellings of other emulators |
//! | [`setup`] | options → machine and host |
//! | [`session`] | the loop around the machine |
//! | [`lines`], [`network`], [`firmware`] | far ends of serial lines, cables, firmware images |
//! | [`screenshot`] | the screen as a file |
//! | [`script`] | `--expect`, `--type` and the like |
//! | [`monitor`] | commands for the running machine |
//! | [`state`] | saving and restoring, `snapshot` |
//! | [`terminal`], [`display`] | the user's terminal, left as it was found, and the machine's screen on it |
//! | [`stats`], [`trace`] | what a machine did, and what it does |
//! | [`demo`], [`relay`], [`serve`], [`bench`] | the other subcommands |
//! | [`disk`] | disks of a machine, and tools for images |
//! | [`report`], [`screenshot`] | the processor's state, the screen as a file |
//! | [`sandbox`] | what a machine that was broken out of can reach |
//! | [`outcome`] | how it ended, as an exit code and a message |

mod args;
mod bench;
mod demo;
mod disk;
mod display;
mod files;
mod firmware;
mod lines;
mod monitor;
mod network;
mod outcome;
mod relay;
mod report;
mod sandbox;
mod screenshot;
mod script;
mod serve;
mod session;
mod setup;
mod state;
mod stats;
mod terminal;
mod trace;

use args::{Cli, Command};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use outcome::{Failure, Outcome};
use std::process::ExitCode;

fn main() -> ExitCode {
    terminal::restore_on_panic();
    let arguments = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words = args::qemu::normalise(&Cli::command(), arguments);
    let words = args::machine::expand(&Cli::command(), words);
    let result = words.and_then(|words| parse(&words)).and_then(|(cli, steps)| match cli {
        Some(cli) => dispatch(cli.command, steps),
        None => Ok(Outcome::Done),
    });
    terminal::restore();
    match result {
        Ok(outcome) => outcome.report(),
        Err(failure) => failure.report(),
    }
}

/// Reads the arguments; `None` is a question for help that has been answered.
fn parse(words: &[String]) -> Result<(Option<Cli>, Vec<script::Step>), Failure> {
    let name = std::iter::once("nomad86".to_owned());
    let matches = Cli::command().try_get_matches_from(name.chain(words.iter().cloned()));
    let read = matches.and_then(|matches| {
        let steps = matches.subcommand().map(|(_, matches)| script::steps(matches));
        Ok((Cli::from_arg_matches(&matches)?, steps.unwrap_or(Ok(Vec::new()))))
    });
    match read {
        Ok((cli, steps)) => Ok((Some(cli), steps.map_err(Failure::configuration)?)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // Nobody reads what cannot be written.
                let _ = error.print();
                Ok((None, Vec::new()))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                Err(Failure::configuration(
                    "say what to do: nomad86 demo, nomad86 run -hda disk.img, or nomad86 --help",
                ))
            }
            _ => Err(Failure::configuration(one_line(&error.to_string()))),
        },
    }
}

/// The message of a parser's error without its usage, in one line.
fn one_line(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let mut lines = message.lines();
    let mut line = lines
        .by_ref()
        .take_while(|line| !line.trim().is_empty())
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    if let Some(tip) = lines.find_map(|line| line.trim().strip_prefix("tip: ")) {
        line.push_str("; ");
        line.push_str(tip);
    }
    line
}

fn dispatch(command: Command, steps: Vec<script::Step>) -> Result<Outcome, Failure> {
    match command {
        Command::Run(args) => {
            let plan = setup::Plan::new(*args, steps)?;
            setup::build(plan)?.run()
        }
        Command::Demo(args) => demo::run(*args, steps),
        Command::Disk(command) => disk::run(&command),
        Command::Snapshot(command) => state::command(&command),
        Command::Relay(args) => relay::run(&args),
        Command::Trace(args) => trace::run(*args, steps),
        Command::Serve(args) => serve::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
