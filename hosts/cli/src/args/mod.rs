//! What people type: subcommands and options.

pub(crate) mod bench;
pub(crate) mod disk;
pub(crate) mod machine;
pub(crate) mod qemu;
pub(crate) mod relay;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod snapshot;
pub(crate) mod trace;
pub(crate) mod values;

use clap::{Parser, Subcommand};

/// Exit codes, for the help text.
const EXIT_CODES: &str = "\
Exit codes of run and demo:
  0    the guest switched the machine off, or --expect found its text
  odd  the guest wrote V to isa-debug-exit: (V << 1) | 1
  2    an option, file or configuration cannot be used
  4    triple fault: the processor has shut down
  6    HLT with interrupts off (with --exit-on-halt)
  8    --timeout is over
  10   --limit is reached
  12   the machine ended, or ran out of input, before --expect found its text
  14   something failed on the host while the machine ran
  128+ a signal ended the program";

/// An x86 PC: boots systems from disks, CDs, floppies and kernels, in a terminal.
#[derive(Parser, Debug)]
#[command(name = "nomad86", version, about, after_help = EXIT_CODES, infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a machine; meant when only options are given
    Run(Box<run::RunArgs>),
    /// Boot a small Debian system to a shell, fetching it first when needed
    Demo(Box<run::RunArgs>),
    /// Make, show, commit and export disk images
    #[command(subcommand)]
    Disk(disk::DiskCommand),
    /// Say what is in a state image
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Serve a relay that connects machines, here and in browsers, to each other and to the network
    Relay(Box<relay::RelayArgs>),
    /// Show instructions as they are executed, or a block as guest and host see it
    Trace(Box<trace::TraceArgs>),
    /// Serve the page that runs machines in a browser, with the demo's guest, firmware and a relay
    Serve(Box<serve::ServeArgs>),
    /// Measure programs natively, in a machine of ours, under QEMU and in v86
    Bench(bench::BenchArgs),
}
