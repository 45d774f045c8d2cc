//! Whole machines on threads of their own: the small Debian guest, driven through its serial line.
//!
//! A test says what is plugged in ([`Setup`]), boots it ([`Setup::boot`]) and gives its shell commands
//! ([`Guest::run`]). Guests of one test run side by side, as machines do.

mod machine;
mod process;

use machine::Order;
use nomad86::config::{Card, CardModel};
use nomad86::host::Network;
use nomad86::machine::Machine;
use nomad86::net::MacAddress;
use nomad86::snapshot::RestoreOptions;
use nomad86_host::guest::{self, cpio::Cpio};
use nomad86_host::net::bell::{Bedside, Bell};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a guest may take to boot.
const BOOT: Duration = Duration::from_secs(600);
/// What the init of the guest says when it has done all.
const READY: &str = "nomad86: ready";

/// What executes instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// The interpreter.
    Interpreter,
    /// The recompiler, where the host has one.
    #[default]
    Recompiler,
}

type Plug = Box<dyn FnOnce(Bell) -> Box<dyn Network> + Send>;

/// A machine to be.
#[derive(Default)]
pub struct Setup {
    name: String,
    engine: Engine,
    cards: Vec<Card>,
    plugs: Vec<Plug>,
    extra: Option<Cpio>,
    append: String,
    state: Option<(Arc<[u8]>, RestoreOptions)>,
}

impl Setup {
    /// A machine without cards; `name` stands before its lines in a failing test's output.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), engine: Engine::from_environment(), ..Self::default() }
    }

    /// What executes its instructions.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Adds a PCI card with a cable, which is made on the machine's thread and rings the bell.
    #[must_use]
    pub fn card(self, mac: [u8; 6], plug: impl FnOnce(Bell) -> Box<dyn Network> + Send + 'static) -> Self {
        self.card_of(CardModel::Ne2kPci, mac, plug)
    }

    /// Adds a card of any model.
    #[must_use]
    pub fn card_of(
        mut self,
        model: CardModel,
        mac: [u8; 6],
        plug: impl FnOnce(Bell) -> Box<dyn Network> + Send + 'static,
    ) -> Self {
        self.cards.push(Card { model, mac: MacAddress(mac) });
        self.plugs.push(Box::new(plug));
        self
    }

    /// Adds an executable file to the guest's root file system.
    #[must_use]
    pub fn program(mut self, path: &str, contents: &[u8]) -> Self {
        self.extra.get_or_insert_with(Cpio::new).file(path, 0o755, contents);
        self
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.append.push(' ');
        self.append.push_str(words);
        self
    }

    /// Goes on from a state image of a guest that was at its shell, with a cable for each card of the image.
    #[must_use]
    pub fn restore(
        mut self,
        image: &Arc<[u8]>,
        options: RestoreOptions,
        plug: impl FnOnce(Bell) -> Box<dyn Network> + Send + 'static,
    ) -> Guest {
        self.state = Some((image.clone(), options));
        self.plugs.push(Box::new(plug));
        self.start()
    }

    /// Boots it and waits for its shell.
    ///
    /// # Panics
    /// When there is no guest to be had, or it does not come up.
    #[must_use]
    pub fn boot(self) -> Guest {
        self.start().ready()
    }

    /// Starts it without waiting.
    ///
    /// # Panics
    /// When there is no guest to be had.
    #[must_use]
    pub fn start(self) -> Guest {
        let files = files();
        let bedside = Bedside::default();
        let bell = bedside.bell();
        let name = self.name.clone();
        Guest::spawn(name, bell, move |orders, output| {
            machine::live(self, &files, &bedside, &orders, &output)
        })
    }
}

/// The guest's files, for other emulators.
///
/// # Panics
/// When there is no guest to be had.
#[must_use]
pub fn files() -> guest::Guest {
    guest::debian(&guest::cache_folder(), &mut |_| ())
        .unwrap_or_else(|error| panic!("no Debian guest: {error}"))
}

impl Engine {
    /// `NOMAD86_ENGINE=interp` makes tests interpret.
    fn from_environment() -> Self {
        match std::env::var("NOMAD86_ENGINE").as_deref() {
            Ok("interp") => Self::Interpreter,
            _ => Self::Recompiler,
        }
    }
}

/// A running machine with a shell on its serial line; dropping it switches it off.
pub struct Guest {
    name: String,
    orders: Sender<Order>,
    output: Receiver<Vec<u8>>,
    bell: Bell,
    /// Output that nobody has asked for yet.
    heard: String,
    thread: Option<JoinHandle<()>>,
    number: u32,
}

impl Guest {
    fn spawn(
        name: String,
        bell: Bell,
        live: impl FnOnce(Receiver<Order>, Sender<Vec<u8>>) + Send + 'static,
    ) -> Self {
        let (orders, inbox) = channel();
        let (outbox, output) = channel();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || live(inbox, outbox))
            .expect("there is a thread for each machine");
        Self { name, orders, output, bell, heard: String::new(), thread: Some(thread), number: 0 }
    }

    /// The guest in another emulator: a program whose standard input and output are the serial line.
    #[must_use]
    pub fn other(name: &str, program: Command) -> Self {
        Self::spawn(name.to_owned(), Bell::default(), |orders, output| {
            process::live(program, &orders, output);
        })
    }

    /// Waits for the shell and makes it silent.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn ready(mut self) -> Self {
        self.wait_for(READY, BOOT);
        self.type_in("stty -echo; PS1=; PS2=; dmesg -n 1\n");
        self.run("true");
        self
    }

    /// Types text on the serial line.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn type_in(&self, text: &str) {
        self.order(Order::Type(text.as_bytes().to_vec()));
    }

    /// Runs a shell command and returns what it wrote.
    ///
    /// # Panics
    /// When it fails or takes more than a minute.
    pub fn run(&mut self, command: &str) -> String {
        self.run_for(command, Duration::from_secs(60))
    }

    /// As [`Self::run`], with another limit.
    ///
    /// # Panics
    /// When it fails or takes longer.
    pub fn run_for(&mut self, command: &str, limit: Duration) -> String {
        let (status, output) = self.try_run(command, limit);
        assert!(status == 0, "{}: '{command}' failed with {status}: {output}", self.name);
        output
    }

    /// Runs a shell command and returns its status and what it wrote.
    ///
    /// # Panics
    /// When it takes longer than `limit`.
    pub fn try_run(&mut self, command: &str, limit: Duration) -> (u32, String) {
        self.begin(command);
        self.end(limit)
    }

    /// Begins a command; [`Self::end`] must follow.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn begin(&mut self, command: &str) {
        self.number += 1;
        self.type_in(&format!("{{ {command}\n}} 2>&1; echo \"<$?:$(({}))>\"\n", self.number));
    }

    /// Waits for the end of the command that was begun.
    ///
    /// # Panics
    /// When it takes longer than `limit`.
    pub fn end(&mut self, limit: Duration) -> (u32, String) {
        let mark = format!(":{}>", self.number);
        let text = self.wait_for(&mark, limit);
        let (output, status) = text.trim_end_matches(&mark).rsplit_once('<').unwrap_or(("", "1"));
        // What stands first is the end of the line with the last mark.
        (status.parse().unwrap_or(1), output.replace('\r', "").trim_start_matches('\n').to_owned())
    }

    /// Waits until the guest writes `text`; returns all up to its end.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(at) = self.heard.find(text) {
                let rest = self.heard.split_off(at + text.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.heard.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: waited {limit:?} for '{text}' in vain; it said:\n{}", self.name, self.heard)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{}: the machine ended; it said:\n{}", self.name, self.heard)
                }
            }
        }
    }

    /// Looks into the machine between two slices.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn inspect<T: Send + 'static>(&self, look: impl FnOnce(&mut Machine) -> T + Send + 'static) -> T {
        let (answer, asked) = channel();
        self.order(Order::Inspect(Box::new(move |machine| drop(answer.send(look(machine))))));
        asked.recv_timeout(Duration::from_secs(30)).expect("the machine runs")
    }

    /// The number of the process that the machine runs in.
    ///
    /// # Panics
    /// When the machine has ended.
    #[must_use]
    pub fn process(&self) -> u32 {
        let (answer, asked) = channel();
        self.order(Order::Id(answer));
        asked.recv_timeout(Duration::from_secs(30)).expect("the machine runs")
    }

    /// Saves the machine's state.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn save(&self) -> Arc<[u8]> {
        self.inspect(|machine| {
            let mut image = Vec::new();
            machine.save(&mut image).expect("there is memory for an image");
            image.into()
        })
    }

    fn order(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "{}: the machine ended", self.name);
        self.bell.ring();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        self.bell.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("{}: the machine's thread panicked", self.name);
        }
    }
}
