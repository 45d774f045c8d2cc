//! `nomad86 demo`: a small Debian system, fetched, booted, and on the network.

use crate::args::run::RunArgs;
use crate::args::values::{MemorySize, SerialSpec};
use crate::outcome::{Failure, Outcome};
use crate::script::Step;
use crate::{setup, terminal};
use nomad86_host::guest;
use nomad86_host::net::bell::Bedside;
use std::io::{self, IsTerminal, Write};

mod server;

/// Boots the guest; options may change the machine.
pub(crate) fn run(mut args: RunArgs, steps: Vec<Step>) -> Result<Outcome, Failure> {
    let server = server::start().map_err(|error| Failure::host(format!("the demo's web server: {error}")))?;
    if args.kernel.is_none() {
        terminal::watch_signals(Bedside::default().bell());
        let mut line = ProgressLine::default();
        let found = guest::debian(&guest::cache_folder(), &mut |progress| line.show(&progress.to_string()));
        line.finish();
        let guest = found.map_err(|error| Failure::configuration(error.to_string()))?;
        eprintln!("Debian {} on an emulated PC; Ctrl-A x ends it, Ctrl-A h shows more keys.", guest.version);
        args.kernel = Some(guest.kernel);
        args.initrd = args.initrd.or_else(|| Some(guest.initrd.display().to_string()));
    }
    args.memory = args.memory.or(Some(MemorySize(256 << 20)));
    if args.serial.is_empty() && args.display.is_none() {
        args.serial.push(SerialSpec::Stdio);
    }
    if args.append.is_none() {
        // On a busy host ticks are lost, and Linux then distrusts the one clock that is right.
        args.append = Some(format!("console=ttyS0 quiet loglevel=3 tsc=reliable {}", server.parameter()));
    }
    setup::build(setup::Plan::new(args, steps)?)?.run()
}

/// One line that is written over and over; where nobody sees it move, each text once.
#[derive(Default)]
pub(crate) struct ProgressLine {
    shown: String,
}

impl ProgressLine {
    pub(crate) fn show(&mut self, text: &str) {
        if self.shown == text {
            return;
        }
        let mut out = io::stderr().lock();
        // Progress is for those who look.
        let _ = if out.is_terminal() {
            write!(out, "\r\x1B[K{text}")
        } else if self.shown.split(':').next() != text.split(':').next() {
            writeln!(out, "{text}")
        } else {
            Ok(())
        };
        let _ = out.flush();
        self.shown = text.to_owned();
    }

    pub(crate) fn finish(&mut self) {
        if !self.shown.is_empty() && io::stderr().is_terminal() {
            eprint!("\r\x1B[K");
        }
    }
}
