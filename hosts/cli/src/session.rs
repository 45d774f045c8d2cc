//! The loop around the machine: input to it, output from it, and sleep while it has nothing to do.

use crate::args::values::DisplaySpec;
use crate::display::TerminalDisplay;
use crate::lines::End;
use crate::monitor::Prompt;
use crate::network::Cables;
use crate::outcome::{Failure, Outcome};
use crate::script::Script;
use crate::setup::Plan;
use crate::state::Saver;
use crate::stats;
use crate::terminal;
use crate::{files, report, sandbox, screenshot};
use nomad86::host::{Host, Key};
use nomad86::machine::{Exit, Machine};
use nomad86_host::input::InputQueue;
use nomad86_host::net::bell::Bedside;
use nomad86_host::screen::{Screen, State, Wish};
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

mod commands;

/// How long the machine runs between two looks at everything else.
const BUDGET: Duration = Duration::from_millis(10);
/// How often the screen is searched for text.
const SEARCH: Duration = Duration::from_millis(100);
/// The same while there are keys that the guest has not taken.
const TYPING: Duration = Duration::from_millis(5);
/// The longest sleep of an idle machine.
const NAP: Duration = Duration::from_millis(500);

/// A machine with all around it.
pub(crate) struct Session {
    pub(crate) machine: Machine,
    pub(crate) host: Host,
    ends: Vec<End>,
    input: InputQueue,
    bedside: Bedside,
    script: Script,
    plan: Plan,
    saver: Saver,
    cables: Cables,
    /// What shows the machine, if anything does.
    pub(crate) screen: Option<Box<dyn Screen>>,
    /// The terminal, when the machine's screen is there.
    display: Option<TerminalDisplay>,
    /// The user has stopped the machine.
    paused: bool,
    keyboard: Option<Receiver<Vec<u8>>>,
    /// Ctrl-A was pressed.
    escape: bool,
    /// Ctrl-A c was pressed: what is typed goes to the monitor.
    prompt: Option<Prompt>,
    /// The monitor's own far end: its number among the ends, and the line being received.
    remote: Option<(usize, Prompt)>,
    raw: bool,
    /// Virtual time is held back to the host's.
    paced: bool,
    begun: Instant,
    searched: Instant,
}

impl Session {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        plan: Plan,
        machine: Machine,
        host: Host,
        ends: Vec<End>,
        input: InputQueue,
        bedside: Bedside,
        cables: Cables,
        saver: Saver,
        paced: bool,
    ) -> Result<Self, Failure> {
        let script = Script::new(plan.steps.clone(), ends.len());
        let now = Instant::now();
        // It was opened last.
        let remote = plan.args.monitor.as_ref().map(|_| (ends.len() - 1, Prompt::default()));
        Ok(Self {
            machine,
            host,
            ends,
            input,
            bedside,
            script,
            saver,
            plan,
            cables,
            screen: None,
            display: None,
            paused: false,
            keyboard: None,
            escape: false,
            prompt: None,
            remote,
            raw: false,
            paced,
            begun: now,
            searched: now,
        })
    }

    /// Runs the machine to its end.
    pub(crate) fn run(mut self) -> Result<Outcome, Failure> {
        terminal::watch_signals(self.bedside.bell());
        let shows = matches!(self.plan.display, DisplaySpec::Terminal(_));
        if shows || self.ends.iter().any(End::is_terminal) {
            self.raw = io::stdin().is_terminal() && io::stdout().is_terminal() && terminal::make_raw();
            self.keyboard = Some(terminal::reader(self.bedside.bell()));
        }
        if let DisplaySpec::Terminal(graphics) = self.plan.display {
            self.display = Some(TerminalDisplay::open(graphics).map_err(output)?);
        }
        if self.plan.args.sandbox {
            sandbox::calls(&self.plan)?;
        }
        self.begun = Instant::now();
        let outcome = self.live();
        if let Some(path) = &self.plan.args.screenshot {
            screenshot::at_end(&self.machine, path)?;
        }
        if let Some(path) = &self.plan.args.dump_state {
            let state = report::json(&self.machine, &self.plan.args.dump_memory);
            files::replace("--dump-state", path, format!("{state:#}\n").as_bytes())?;
        }
        terminal::restore();
        if self.plan.args.stats {
            eprint!("{}", stats::text(&self.machine, self.begun.elapsed()));
        }
        if let Some(path) = &self.plan.args.perf_map {
            let path = if path.as_os_str().is_empty() { stats::perf_map_default() } else { path.clone() };
            stats::perf_map(&self.machine, &path).map_err(|error| {
                Failure::host(format!("--perf-map {}: {}", path.display(), crate::files::reason(&error)))
            })?;
        }
        if let Ok(Outcome::Timeout(Some(_)) | Outcome::NotSeen(_)) = outcome {
            self.show_last();
        }
        self.saver.end(&mut self.machine, &mut self.host, outcome?)
    }

    fn live(&mut self) -> Result<Outcome, Failure> {
        loop {
            if let Some(outcome) = self.hear() {
                return Ok(outcome);
            }
            self.act();
            let exit = if self.paused { Exit::Halted } else { self.machine.run(&mut self.host, BUDGET) };
            if let Some(outcome) = self.show(exit) {
                return Ok(outcome);
            }
            self.speak().map_err(output)?;
            if let Some(display) = &mut self.display {
                display.show(&self.machine).map_err(output)?;
            }
            self.tell();
            self.search();
            if self.script.fulfilled() {
                return Ok(Outcome::Expected);
            }
            if let Some(outcome) = self.ended(exit) {
                return Ok(match self.script.unseen() {
                    Some(text) if outcome == Outcome::PowerOff || outcome == Outcome::Reset => {
                        Outcome::NotSeen(text.to_owned())
                    }
                    _ => outcome,
                });
            }
            if let Some(timeout) = self.plan.args.timeout
                && self.begun.elapsed() >= timeout
            {
                return Ok(Outcome::Timeout(self.script.unseen().map(str::to_owned)));
            }
            if self.plan.args.limit.is_some_and(|limit| self.machine.cpu.count >= limit) {
                return Ok(Outcome::Limit);
            }
            self.rest(exit);
        }
    }

    /// What the end of a slice means.
    fn ended(&mut self, exit: Exit) -> Option<Outcome> {
        match exit {
            Exit::Budget | Exit::Idle { .. } => None,
            Exit::PowerOff => Some(Outcome::PowerOff),
            Exit::Reset => self.plan.args.no_reboot.then_some(Outcome::Reset),
            Exit::Exit(value) => Some(Outcome::Exit(value)),
            Exit::TripleFault if self.plan.args.reboot_on_triple_fault => {
                self.machine.reset(&mut self.host);
                self.plan.args.no_reboot.then_some(Outcome::Reset)
            }
            Exit::TripleFault => Some(Outcome::TripleFault(report::text(&self.machine))),
            Exit::Halted if self.paused => None,
            Exit::Halted => self.plan.args.exit_on_halt.then(|| Outcome::Halted(report::text(&self.machine))),
        }
    }

    /// Sleeps while the machine has nothing to do, until something happens.
    fn rest(&self, exit: Exit) {
        let now = self.machine.now();
        let left_till = |until: nomad86::time::Instant| Duration::from_nanos(until.since(now)).min(NAP);
        let sound = self.machine.next_sound().filter(|_| !self.paused);
        let mut pause = match exit {
            Exit::Idle { until } => left_till(until),
            Exit::Halted => sound.map_or(NAP, left_till),
            _ => Duration::ZERO,
        };
        if self.paced {
            let ahead = Duration::from_nanos(now.0).saturating_sub(self.begun.elapsed());
            pause = if exit == Exit::Halted { pause } else { ahead };
        }
        if let Some(screen) = &self.screen {
            pause = pause.min(screen.patience());
        }
        if let Some(display) = &self.display {
            pause = pause.min(display.patience());
        }
        if self.input.waiting() > 0 {
            pause = pause.min(TYPING);
        }
        if let Some(timeout) = self.plan.args.timeout {
            pause = pause.min(timeout.saturating_sub(self.begun.elapsed()));
        }
        if self.script.awaited().is_some() {
            pause = pause.min(SEARCH);
        }
        if !pause.is_zero() {
            let _ = self.bedside.sleep(pause);
        }
    }

    /// Shows the machine to its user, and does what he wishes.
    fn show(&mut self, exit: Exit) -> Option<Outcome> {
        let screen = self.screen.as_mut()?;
        let state = match exit {
            _ if self.paused => State::Paused,
            Exit::Halted => State::Halted,
            _ => State::Running,
        };
        match screen.turn(state)? {
            Wish::Quit => return Some(Outcome::Quit),
            Wish::Pause => self.paused = !self.paused,
            Wish::Screenshot => screen.tell(&screenshot::on_demand(&self.machine)),
            Wish::Save => {
                let (Ok(said) | Err(said)) = self.saver.save(&mut self.machine, &mut self.host, None);
                screen.tell(&said);
            }
        }
        None
    }

    /// Takes what the user typed, and signals.
    fn hear(&mut self) -> Option<Outcome> {
        if let Some(number) = terminal::signal() {
            return Some(Outcome::Signal(number));
        }
        if terminal::continued()
            && let Some(display) = &mut self.display
        {
            // Showing it will fail as well, and is told of.
            let _ = display.again();
        }
        if terminal::asked_to_save() {
            self.save();
        }
        if let Some(outcome) = self.hear_remote() {
            return Some(outcome);
        }
        while self.ends.iter().all(|end| !end.is_full())
            && let Some(bytes) = self.keyboard.as_ref().and_then(|keyboard| keyboard.try_recv().ok())
        {
            if !self.raw {
                self.typed(&bytes);
                continue;
            }
            let mut plain = Vec::with_capacity(bytes.len());
            for byte in bytes {
                match (std::mem::take(&mut self.escape), byte) {
                    (false, 0x01) => self.escape = true,
                    (true, b'x') => return Some(Outcome::Quit),
                    (true, b'h' | b'?') => self.say(HELP),
                    (true, b's') => self.save(),
                    (true, b'p') => {
                        let said = screenshot::on_demand(&self.machine);
                        self.say(&format!("\nnomad86: {said}\n"));
                    }
                    (true, b'd') => self.input.chord(&[Key::ControlLeft, Key::AltLeft, Key::Delete]),
                    (true, digit @ b'1'..=b'9') => {
                        self.input.chord(&[Key::AltLeft, FUNCTION_KEYS[usize::from(digit - b'1')]]);
                    }
                    (true, b'c') => self.switch(),
                    (false, byte) if self.prompt.is_some() => {
                        if let Some(outcome) = self.prompted(byte) {
                            return Some(outcome);
                        }
                    }
                    (true, 0x01) | (false, _) => plain.push(byte),
                    (true, _) => {}
                }
            }
            self.typed(&plain);
        }
        None
    }

    /// Between the guest and the monitor.
    fn switch(&mut self) {
        self.prompt = match self.prompt {
            None => {
                self.say(&format!("\n{}", Prompt::text()));
                Some(Prompt::new(true))
            }
            Some(_) => {
                self.say("\n");
                None
            }
        };
    }

    /// A byte that was typed at the monitor's prompt.
    fn prompted(&mut self, byte: u8) -> Option<Outcome> {
        let mut out = String::new();
        let line = self.prompt.as_mut()?.take(byte, &mut out);
        self.say(&out);
        let (said, outcome) = self.command(&line?);
        self.say(&format!("{said}{}", Prompt::text()));
        outcome
    }

    /// Saves the machine's state and says so.
    fn save(&mut self) {
        let (Ok(said) | Err(said)) = self.saver.save(&mut self.machine, &mut self.host, None);
        self.say(&format!("\nnomad86: {said}\n"));
    }

    /// Bytes from the terminal for the guest.
    fn typed(&mut self, bytes: &[u8]) {
        if let Some(display) = &mut self.display {
            display.typed(bytes, &self.input);
        } else if let Some(end) = self.ends.iter_mut().find(|end| end.is_terminal()) {
            end.send(bytes);
        }
    }

    /// Text for the user beside the guest's.
    fn say(&mut self, text: &str) {
        if let Some(display) = &mut self.display {
            return display.tell(text);
        }
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.replace('\n', "\r\n").as_bytes()).and_then(|()| out.flush());
    }

    /// What the screen showed when the text that was waited for did not come.
    fn show_last(&self) {
        let Some(screen) = self.machine.devices.vga.text_screen(&self.machine.board.memory) else { return };
        let rows = (0..screen.rows).map(|row| screen.row(row)).filter(|row| !row.is_empty());
        rows.for_each(|row| eprintln!("| {row}"));
    }

    /// Tells what has become of the networks, where it does not disturb the picture.
    fn tell(&mut self) {
        if matches!(self.plan.display, DisplaySpec::Terminal(_)) {
            return;
        }
        let end = if self.raw { "\r\n" } else { "\n" };
        for line in self.cables.news() {
            // Nobody reads what cannot be written.
            let _ = write!(io::stderr(), "nomad86: {line}{end}");
        }
    }

    fn act(&mut self) {
        let first = self.ends.first_mut();
        self.script.act(&self.input, |bytes| {
            if let Some(end) = &first {
                end.line.give(bytes);
            }
        });
    }

    /// Moves the guest's output on.
    fn speak(&mut self) -> io::Result<()> {
        let mut wrote = false;
        let mut out = io::stdout().lock();
        for (number, end) in self.ends.iter_mut().enumerate() {
            let terminal = end.is_terminal();
            let bytes = end.pump()?;
            if bytes.is_empty() {
                continue;
            }
            self.script.heard(number, bytes);
            if terminal {
                out.write_all(bytes)?;
                wrote = true;
            }
        }
        if wrote { out.flush() } else { Ok(()) }
    }

    /// Looks for the awaited text on the screen, from time to time.
    fn search(&mut self) {
        if self.script.awaited().is_none() || self.searched.elapsed() < SEARCH {
            return;
        }
        self.searched = Instant::now();
        if let Some(screen) = self.machine.devices.vga.text_screen(&self.machine.board.memory) {
            self.script.seen(&screen.text());
        }
    }
}

/// Output could not be written.
fn output(error: io::Error) -> Failure {
    Failure::host(format!("output: {}", crate::files::reason(&error)))
}

const FUNCTION_KEYS: [Key; 9] =
    [Key::F1, Key::F2, Key::F3, Key::F4, Key::F5, Key::F6, Key::F7, Key::F8, Key::F9];

const HELP: &str = "
Ctrl-A h   this help
Ctrl-A s   save the machine's state
Ctrl-A c   to the monitor, and back
Ctrl-A p   write the screen to a PNG file
Ctrl-A d   press Ctrl-Alt-Delete
Ctrl-A 1 to 9   press Alt-F1 to Alt-F9
Ctrl-A x   end the machine
Ctrl-A Ctrl-A   send Ctrl-A
";
