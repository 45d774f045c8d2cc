//! Two machines that must do the same: one interpreted, one recompiled, under the virtual clock, held against
//! each other as wholes: RAM, video RAM, processor, every device.

use nomad86::archive::Archive;
use nomad86::config::{ClockMode, Config};
use nomad86::host::{Console, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::{GuestMemory, PAGE};
use nomad86::time::Duration;
use nomad86_host::code::DualMapping;
use nomad86_host::window;
use std::cell::RefCell;
use std::rc::Rc;

/// Virtual picoseconds per instruction: a nanosecond, so that budgets read as instructions.
pub const CLOCK: ClockMode = ClockMode::Virtual { picoseconds: 1000 };

/// What the guest said on its first serial line.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<u8>>>);

impl Console for Log {
    fn write(&mut self, byte: u8) {
        self.0.borrow_mut().push(byte);
    }
    fn read(&mut self) -> Option<u8> {
        None
    }
}

impl Log {
    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }

    /// The last line that is not empty.
    #[must_use]
    pub fn last(&self) -> String {
        let text = self.text();
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}

/// A machine and what it said.
pub struct Run {
    /// The machine.
    pub machine: Machine,
    /// Its world, in which nothing happens by itself.
    host: Host,
    /// Its words.
    pub log: Log,
}

impl Run {
    /// A machine; `heat` is how often the recompiler sees a block before it translates it, if there is to be one.
    ///
    /// # Errors
    /// When the host has no memory for it.
    ///
    /// # Panics
    /// When the configuration is none.
    pub fn new(config: Config, heat: Option<u16>) -> std::io::Result<Self> {
        let needed = config.memory_needed();
        let (memory, windows) = match heat {
            Some(_) => window::allocate(needed),
            None => GuestMemory::allocate(needed).map(|memory| (memory, None)),
        }
        .map_err(std::io::Error::other)?;
        let mut machine = Machine::new(config, memory).expect("the configuration is sound");
        if let Some(heat) = heat {
            if !machine.use_jit(Box::new(DualMapping::new(64 << 20)?), true) {
                return Err(std::io::Error::other("this processor has no recompiler"));
            }
            if let Some(jit) = &mut machine.jit {
                jit.set_threshold(heat);
            }
            if windows.is_some_and(|windows| machine.use_windows(windows))
                && let Some(windows) = machine.cpu.windows_mut()
            {
                // Every address space gets one.
                windows.set_threshold(0);
            }
        }
        let log = Log::default();
        let mut host = Host::null();
        host.serial[0] = Box::new(log.clone());
        Ok(Self { machine, host, log })
    }

    /// Runs for so many instructions, or as long as they would take.
    pub fn step(&mut self, instructions: u64) -> Exit {
        self.machine.run(&mut self.host, Duration::from_nanos(instructions))
    }

    /// Processor, board and devices, section by section.
    fn sections(&mut self) -> Vec<([u8; 4], Vec<u8>)> {
        let mut sections = Vec::new();
        self.machine.sections(|tag, version, archive| {
            let mut bytes = Vec::new();
            archive(&mut Archive::save(&mut bytes, version));
            sections.push((tag, bytes));
        });
        sections
    }

    /// A number for the whole state.
    pub fn hash(&mut self) -> u64 {
        let mut hash = 0xCBF2_9CE4_8422_2325;
        let mut mix = |word: u64| {
            hash = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
        };
        for (tag, bytes) in self.sections() {
            mix(u64::from(u32::from_le_bytes(tag)));
            bytes.iter().for_each(|&byte| mix(byte.into()));
        }
        for chunk in self.machine.board.memory.backing().as_chunks::<8>().0 {
            mix(u64::from_le_bytes(*chunk));
        }
        hash
    }
}

/// Interpreter and recompiler.
pub struct Pair {
    /// Interpreted.
    pub interpreter: Run,
    /// Recompiled.
    pub recompiler: Run,
}

impl Pair {
    /// Two machines of one configuration.
    ///
    /// # Errors
    /// When the host has no memory for them.
    pub fn new(config: &Config, heat: u16) -> std::io::Result<Self> {
        Ok(Self {
            interpreter: Run::new(config.clone(), None)?,
            recompiler: Run::new(config.clone(), Some(heat))?,
        })
    }

    /// Runs both for so many instructions; true when how it ended is the same.
    pub fn step(&mut self, instructions: u64) -> Result<Exit, String> {
        let (a, b) = (self.interpreter.step(instructions), self.recompiler.step(instructions));
        if a == b { Ok(a) } else { Err(format!("exit: interpreter {a:?}, recompiler {b:?}")) }
    }

    /// What differs, a line each.
    pub fn differences(&mut self) -> Vec<String> {
        let mut what = Vec::new();
        let (a, b) = (&mut self.interpreter, &mut self.recompiler);
        let counts = [a.machine.cpu.count, b.machine.cpu.count];
        if counts[0] != counts[1] {
            what.push(format!("instructions: interpreter {}, recompiler {}", counts[0], counts[1]));
        }
        if a.machine.now() != b.machine.now() {
            what.push(format!("time: interpreter {:?}, recompiler {:?}", a.machine.now(), b.machine.now()));
        }
        for ((tag, x), (_, y)) in a.sections().into_iter().zip(b.sections()) {
            if x != y {
                let at = x.iter().zip(&y).position(|(x, y)| x != y);
                what.push(format!("section {}: from byte {at:?} on", String::from_utf8_lossy(&tag)));
            }
        }
        if !what.is_empty() {
            crate::lockstep::report::states(&a.machine.cpu, &b.machine.cpu, &mut what);
        }
        let (x, y) = (a.machine.board.memory.backing(), b.machine.board.memory.backing());
        if x != y {
            let pages = x.chunks(PAGE).zip(y.chunks(PAGE));
            let differing = (0..).zip(pages).filter(|(_, (x, y))| x != y);
            for (page, (x, y)) in differing.take(8) {
                let at = (0..PAGE).find(|&n| x[n] != y[n]).unwrap_or(0);
                let end = (at + 8).min(PAGE);
                what.push(format!(
                    "memory {:08x}: interpreter {:02x?}, recompiler {:02x?}",
                    page * PAGE + at,
                    &x[at..end],
                    &y[at..end]
                ));
            }
        }
        what
    }
}

/// Finds the first instruction after which the two differ: both begin anew each time, do `steps` steps of
/// `step` instructions, and then one of as few as it takes. Gives the count of instructions and what differs.
///
/// # Errors
/// When the host has no memory for the machines.
pub fn bisect(config: &Config, heat: u16, steps: u64, step: u64) -> std::io::Result<(u64, Vec<String>)> {
    let attempt = |last: u64| -> std::io::Result<(u64, Vec<String>)> {
        let mut pair = Pair::new(config, heat)?;
        for _ in 0..steps {
            let _ = pair.step(step);
        }
        let ended = pair.step(last);
        let mut what = pair.differences();
        what.extend(ended.err());
        Ok((pair.interpreter.machine.cpu.count, what))
    };
    let (mut same, mut differs) = (0, step);
    while differs - same > 1 {
        let middle = same + (differs - same) / 2;
        if attempt(middle)?.1.is_empty() {
            same = middle;
        } else {
            differs = middle;
        }
    }
    attempt(differs)
}
