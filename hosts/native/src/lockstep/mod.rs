//! Interpreter and recompiler in lockstep: the same random program on both, the whole state compared wherever
//! a run of instructions stops.
//!
//! - [`program`] and `encode` make programs, `layout` the guest that they run in, [`io`] its outside world.
//! - [`Lockstep`] runs them, with budgets and disturbances at random.
//! - [`invariants`] holds the recompiler's invariants against the state in between.
//! - [`faults`] forces page faults and holds the state against the one before.
//! - [`report`] makes a failing program small and shows it.

mod encode;
pub mod faults;
pub mod invariants;
pub mod io;
pub mod layout;
mod liveness;
pub mod program;
pub mod report;

use crate::random::Rng;
use crate::undefined::undefined_flags;
use io::World;
use layout::{CODE, CODE_PAGES, DATA, PAGE, RAM};
use liveness::live_flags;
use nomad86::archive::Archive;
use nomad86::config::CpuModel;
use nomad86::cpu::block::{BlockCache, CacheSize};
use nomad86::cpu::windows::WindowStats;
use nomad86::cpu::{Cpu, Stop};
use nomad86::jit::Jit;
use nomad86_host::code::DualMapping;
use nomad86_host::fault::Switch;
use nomad86_host::fault::memory::Refusing;
use program::Program;

/// What the recompiler is put through besides the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disturbances {
    /// The TLB loses entries, or all.
    pub misses: bool,
    /// All code is dropped.
    pub evictions: bool,
    /// Pages become not present and present again (on both).
    pub pages: bool,
    /// Code is overwritten from outside (on both).
    pub dma: bool,
    /// Interrupts come (on both).
    pub interrupts: bool,
}

impl Disturbances {
    /// All of them.
    pub const ALL: Self = Self { misses: true, evictions: true, pages: true, dma: true, interrupts: true };
    /// None.
    pub const NONE: Self =
        Self { misses: false, evictions: false, pages: false, dma: false, interrupts: false };
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Programs.
    pub programs: u64,
    /// Blocks that were translated.
    pub blocks: u64,
    /// Instructions executed on each.
    pub instructions: u64,
    /// Exits at which the states were compared.
    pub exits: u64,
    /// Exceptions and interrupts that stopped a run.
    pub halts: u64,
    /// Programs that read flags which the manuals leave undefined, by jumping into the middle of instructions,
    /// and differed.
    pub open: u64,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.programs += other.programs;
        self.blocks += other.blocks;
        self.instructions += other.instructions;
        self.exits += other.exits;
        self.halts += other.halts;
        self.open += other.open;
    }
}

/// The two disagree, or an invariant does not hold.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What, in words, a line each.
    pub what: Vec<String>,
    /// Exit at which it was noticed.
    pub exit: u64,
    /// Where the last run began: offset in the code segment.
    pub from: u32,
    /// Instruction count there, and where it was to end.
    pub counts: (u64, u64),
}

/// One of the two processors with all it has.
pub struct Side {
    /// The processor.
    pub cpu: Cpu,
    /// Decoded code.
    pub cache: BlockCache,
    /// Memory and devices.
    pub world: World,
}

impl Side {
    /// One without a program.
    #[must_use]
    pub fn new() -> Self {
        let pages = (RAM + PAGE) as usize >> 12;
        Self {
            cpu: Cpu::new(CpuModel::Max),
            cache: BlockCache::new(pages, CacheSize { instructions: 1 << 13, blocks: 1 << 9 }),
            world: World::new(),
        }
    }

    /// Loads RAM and drops what was known of it.
    pub fn load(&mut self, image: &[u8]) {
        self.world.reset();
        self.world.memory.backing_mut()[..image.len()].copy_from_slice(image);
        self.cache.clear(&mut self.world.memory);
    }

    /// Runs up to `limit` instructions in all.
    pub fn run(&mut self, jit: Option<&mut Jit>, limit: u64) -> Stop {
        self.cpu.run(&mut self.cache, jit, limit, &mut self.world)
    }

    /// RAM.
    #[must_use]
    pub fn ram(&self) -> &[u8] {
        &self.world.memory.backing()[..RAM as usize]
    }

    fn interrupt(&mut self, vector: u8) -> bool {
        self.world.interrupt = false;
        self.cpu.interrupt(vector, &mut self.world).is_ok()
    }

    /// The state that is compared, as bytes.
    fn state(&mut self, out: &mut Vec<u8>) {
        out.clear();
        self.cpu.archive(&mut Archive::save(out, 1));
    }
}

impl Default for Side {
    fn default() -> Self {
        Self::new()
    }
}

/// Interpreter and recompiler.
pub struct Lockstep {
    /// Executes every instruction by the interpreter.
    pub interpreter: Side,
    /// Executes translated code.
    pub recompiler: Side,
    /// Recompilers: without and with exact flags everywhere.
    pub jits: [Jit; 2],
    image: Vec<u8>,
    pool: Vec<u8>,
    states: [Vec<u8>; 2],
    /// What was done.
    pub counts: Counts,
    /// Lines for each exit, when wanted.
    pub trace: Option<Vec<String>>,
}

/// Why there is no lockstep.
pub type NoRecompiler = std::io::Error;

impl Lockstep {
    /// Both, ready for programs.
    ///
    /// # Errors
    /// When the host has no executable memory, or no recompiler.
    pub fn new() -> Result<Self, NoRecompiler> {
        let jit = |precise| {
            let memory = Box::new(DualMapping::new(1 << 20)?);
            let none = || std::io::Error::other("this processor has no recompiler");
            let mut jit = Jit::new(memory, 1 << 9, precise).ok_or_else(none)?;
            jit.set_threshold(1);
            jit.set_hot(3);
            Ok::<_, std::io::Error>(jit)
        };
        let mut rng = Rng::new(0x5EED);
        let pool = (0..RAM as usize / 8 * 2).flat_map(|_| rng.integer(64).to_le_bytes()).collect();
        let mut jits = [jit(false)?, jit(true)?];
        let mut recompiler = Side::new();
        if let Some(windows) = recompiler.world.windows.take()
            && recompiler.cpu.use_windows(windows, &mut recompiler.world.memory)
        {
            jits.iter_mut().for_each(Jit::use_windows);
        }
        Ok(Self {
            interpreter: Side::new(),
            recompiler,
            jits,
            image: vec![0; RAM as usize],
            pool,
            states: [Vec::new(), Vec::new()],
            counts: Counts::default(),
            trace: None,
        })
    }

    /// Both, with windows that refuse mappings while the switch is on; none on hosts without windows.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn refusing() -> Result<Option<(Self, Switch)>, NoRecompiler> {
        let mut pair = Self::new()?;
        let mut side = Side::new();
        let Some(windows) = side.world.windows.take() else { return Ok(None) };
        let (windows, switch) = Refusing::new(windows);
        let used = side.cpu.use_windows(Box::new(windows), &mut side.world.memory);
        pair.recompiler = side;
        Ok(used.then_some((pair, switch)))
    }

    /// Runs a program to its end on both.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&mut self, program: &Program, disturbances: Disturbances) -> Result<(), Difference> {
        let mut rng = Rng::new(program.seed ^ 0xD157_0000);
        self.load(program, &mut rng);
        self.use_windows(program);
        let mut run = Running { program, disturbances, rng, loose: false, exits: 0, absent: Vec::new() };
        let translated = self.translated();
        let result = run.finish(self);
        self.counts.programs += 1;
        self.counts.blocks += self.translated() - translated;
        self.counts.exits += run.exits;
        self.counts.instructions += self.interpreter.cpu.count;
        if result.is_err() && !program.precise && self.flags_open() {
            self.counts.open += 1;
            return Ok(());
        }
        result
    }

    /// Has the user's code see memory through windows, in every other program.
    fn use_windows(&mut self, program: &Program) {
        if let Some(windows) = self.recompiler.cpu.windows_mut() {
            windows.set_threshold(if program.seed & 1 == 0 { 0 } else { u32::MAX });
        }
    }

    /// Instructions that ran with a window, faults of accesses through it, pages shown in it.
    #[must_use]
    pub fn windowed(&self) -> WindowStats {
        self.recompiler.cpu.windows().map(|windows| windows.stats).unwrap_or_default()
    }

    /// Whether an instruction was decoded that leaves flags undefined. Where flags need not be exact they then
    /// are what this host makes of them.
    fn flags_open(&self) -> bool {
        let mut open = false;
        self.recompiler.cache.visit(|_, insts| {
            open |= insts.iter().any(|inst| undefined_flags(inst.row(), None, 32) & !encode::AF != 0);
        });
        open
    }

    fn translated(&self) -> u64 {
        self.jits.iter().map(|jit| jit.stats.translated).sum()
    }

    /// Puts RAM and both processors where a program begins.
    fn load(&mut self, program: &Program, rng: &mut Rng) {
        self.prepare(program, rng);
        for side in [&mut self.interpreter, &mut self.recompiler] {
            side.load(&self.image);
            layout::place(&mut side.cpu, program);
        }
    }

    /// RAM as a program finds it.
    fn prepare(&mut self, program: &Program, rng: &mut Rng) {
        layout::image(program, &mut self.image);
        let (code, data) = (CODE as usize, DATA as usize);
        self.image[code..data].fill(rng.pick(&[0xF4, 0x90, 0xCC]));
        for placed in &program.code {
            let at = placed.at as usize;
            let end = (at + placed.bytes.len()).min(data);
            self.image[at..end].copy_from_slice(&placed.bytes[..end - at]);
        }
        let from = rng.below((self.pool.len() - (RAM - DATA) as usize) as u32) as usize;
        self.image[data..].copy_from_slice(&self.pool[from..from + (RAM - DATA) as usize]);
    }

    /// Runs a program with faults forced at its instructions, see [`faults`].
    ///
    /// # Errors
    /// What a fault changed.
    pub fn force_faults(&mut self, program: &Program, done: &mut faults::Forced) -> Result<(), Vec<String>> {
        self.prepare(program, &mut Rng::new(program.seed));
        self.use_windows(program);
        let jit = &mut self.jits[1];
        faults::run(&mut self.recompiler, jit, program, &self.image, done)
    }
}

/// Whether the processor stands in a handler.
fn in_handler(cpu: &Cpu) -> bool {
    cpu.eip & 0xFFFF_F000 & !layout::KERNEL == layout::HANDLERS && !cpu.v86() && cpu.seg[1].base == 0
}

/// A program while it runs.
struct Running<'p> {
    program: &'p Program,
    disturbances: Disturbances,
    rng: Rng,
    /// Flags that nobody reads may differ from here on.
    loose: bool,
    exits: u64,
    /// Pages that were made not present: linear address, entry.
    absent: Vec<(u32, u32)>,
}

impl Running<'_> {
    fn finish(&mut self, pair: &mut Lockstep) -> Result<(), Difference> {
        let rhythm = self.rng.pick(&[2, 8, 8, 30, 30, 100, 400]);
        while pair.interpreter.cpu.count < self.program.length && (self.exits < 200 || self.program.once) {
            self.disturb(pair);
            let count = pair.interpreter.cpu.count;
            let limit = count + u64::from(self.rng.within(1..rhythm + 1));
            let from = pair.interpreter.cpu.eip;
            let jit = &mut pair.jits[usize::from(self.program.precise)];
            let expected = pair.interpreter.run(None, limit);
            let found = pair.recompiler.run(Some(jit), limit);
            self.exits += 1;
            let mut what = Vec::new();
            if expected != found {
                what.push(format!("stop: interpreter {expected:?}, recompiler {found:?}"));
            }
            // A frame of flags that nobody was going to read lies on the stack.
            let early = expected != Stop::Boundary || pair.interpreter.cpu.count < limit;
            self.loose |= !self.program.precise && (early || in_handler(&pair.interpreter.cpu));
            self.compare(pair, &mut what);
            if self.rng.percent(30) {
                let jit = &mut pair.jits[usize::from(self.program.precise)];
                invariants::check(&mut pair.recompiler, jit, &mut what);
            }
            if let Some(trace) = &mut pair.trace {
                trace.push(report::exit(self.exits, limit, expected, &pair.interpreter.cpu, self.loose));
            }
            if !what.is_empty() {
                return Err(Difference { what, exit: self.exits, from, counts: (count, limit) });
            }
            if self.program.once && expected != Stop::Boundary {
                break;
            }
            self.after(pair, expected);
        }
        Ok(())
    }

    /// What the rest of the machine does at a boundary.
    fn after(&mut self, pair: &mut Lockstep, stop: Stop) {
        for side in [&mut pair.interpreter, &mut pair.recompiler] {
            side.world.leave = false;
        }
        let waits = pair.interpreter.world.interrupt && pair.interpreter.cpu.interruptible();
        if waits && stop != Stop::Shutdown {
            if self.deliver(pair) {
                return;
            }
        } else if stop == Stop::Boundary && !(self.loose && self.rng.percent(20)) {
            return;
        }
        pair.counts.halts += 1;
        self.restart(pair);
    }

    /// Puts both at another block with other registers.
    fn restart(&mut self, pair: &mut Lockstep) {
        if self.loose {
            // Flags that nobody read may lie on the stack.
            let ram = pair.interpreter.ram().to_vec();
            let world = &mut pair.recompiler.world;
            let other = &world.memory.backing()[..ram.len()];
            let differing: Vec<usize> = (0..ram.len()).filter(|&n| ram[n] != other[n]).collect();
            for n in differing {
                world.memory.write(n as u64, &ram[n..=n]);
            }
        }
        self.loose = false;
        let mut next = self.program.clone();
        next.entry = self.rng.pick(&self.program.starts);
        for register in &mut next.registers[..3] {
            *register = self.rng.integer(32) as u32;
        }
        for side in [&mut pair.interpreter, &mut pair.recompiler] {
            let count = side.cpu.count;
            layout::place(&mut side.cpu, &next);
            side.cpu.count = count;
            side.world.interrupt = false;
        }
    }

    /// Things that happen between two runs.
    fn disturb(&mut self, pair: &mut Lockstep) {
        let d = self.disturbances;
        // Drawn always, so that a program runs the same with some of them off.
        let dice: [u32; 8] = std::array::from_fn(|_| self.rng.below(100));
        let place = self.rng.bits() as u32;
        // Global pages outlive a load of CR3 only as long as the TLB keeps them.
        let walks = !self.program.paging() || pair.interpreter.cpu.cr3 == layout::DIRECTORY;
        if d.misses && walks && dice[0] < 20 {
            let cpu = &mut pair.recompiler.cpu;
            match dice[1] {
                0..30 => cpu.flush_tlb(true),
                30..40 => cpu.lose_translations(false),
                _ => {
                    for page in 0..16 {
                        cpu.flush_page(DATA + page * PAGE);
                    }
                }
            }
        }
        if d.evictions && dice[2] < 6 {
            if dice[7] < 50 {
                pair.jits[usize::from(self.program.precise)].clear();
            } else {
                for side in [&mut pair.interpreter, &mut pair.recompiler] {
                    side.cache.clear(&mut side.world.memory);
                }
            }
        }
        if d.pages && self.program.paging() && dice[3] < 12 {
            self.change_page(pair, place);
        }
        if d.dma && dice[4] < 4 {
            let at = CODE + place % (CODE_PAGES * PAGE);
            let byte = [0x90, 0x40, 0xF8, 0xCC][dice[5] as usize % 4];
            for side in [&mut pair.interpreter, &mut pair.recompiler] {
                side.world.memory.write(u64::from(at), &[byte]);
            }
        }
        if d.interrupts && dice[6] < 4 {
            for side in [&mut pair.interpreter, &mut pair.recompiler] {
                side.world.interrupt = true;
            }
            if pair.interpreter.cpu.interruptible() && !self.deliver(pair) {
                self.restart(pair);
            }
        }
    }

    /// Takes the interrupt that waits; false when the processor shuts down over it.
    fn deliver(&mut self, pair: &mut Lockstep) -> bool {
        let vector = 32 + self.rng.below(16) as u8;
        let flags = [&pair.interpreter, &pair.recompiler].map(|side| side.cpu.flags.status());
        self.loose |= flags[0] != flags[1];
        let alive = pair.interpreter.interrupt(vector);
        pair.recompiler.interrupt(vector) && alive
    }

    /// Makes a page not present, read-only or another one, or gives one back as it was.
    fn change_page(&mut self, pair: &mut Lockstep, place: u32) {
        let pages = &self.program.pages;
        let (linear, entry) = match self.absent.pop() {
            Some(page) => page,
            None => {
                let (linear, _) = pages[place as usize % pages.len()];
                let at = layout::entry_at(linear) as usize;
                let bytes = &pair.interpreter.ram()[at..at + 4];
                let entry = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.absent.push((linear, entry));
                let changed = match place >> 24 & 7 {
                    0..4 => entry & !1,
                    4..6 => entry & !2,
                    // Its neighbour.
                    _ => entry ^ PAGE,
                };
                (linear, changed)
            }
        };
        // Global pages outlive a load of CR3.
        let all = place >> 28 & 1 != 0 && self.program.pages.iter().all(|(_, entry)| entry & 0x100 == 0);
        for side in [&mut pair.interpreter, &mut pair.recompiler] {
            side.world.memory.write(u64::from(layout::entry_at(linear)), &entry.to_le_bytes());
            if all && side.cpu.cr3 == layout::DIRECTORY {
                let _ = side.cpu.set_cr3(layout::DIRECTORY, &mut side.world);
            } else {
                side.cpu.flush_page(linear);
            }
        }
    }

    /// Compares the whole state of both.
    fn compare(&mut self, pair: &mut Lockstep, what: &mut Vec<String>) {
        let [a, b] = &mut pair.states;
        let status = pair.recompiler.cpu.flags;
        if !self.program.precise && status.status() != pair.interpreter.cpu.flags.status() {
            let matter = if self.loose { 0 } else { live_flags(&mut pair.interpreter) };
            let exact = pair.interpreter.cpu.flags.status() & !matter | status.status() & matter;
            pair.recompiler.cpu.flags.set_status(exact);
        }
        pair.interpreter.state(a);
        pair.recompiler.state(b);
        if a != b {
            report::states(&pair.interpreter.cpu, &pair.recompiler.cpu, what);
        }
        pair.recompiler.cpu.flags = status;
        let settled = status.status() == pair.interpreter.cpu.flags.status();
        let (a, b) = (&pair.interpreter.world, &mut pair.recompiler.world);
        if self.loose && a.accesses == b.accesses {
            // The frame may have gone to the device.
            b.trace = a.trace;
        }
        if (a.accesses, a.trace) != (b.accesses, b.trace) {
            what.push(format!(
                "the device saw {} accesses, {} from the recompiler, or others",
                a.accesses, b.accesses
            ));
        }
        if (a.interrupt, a.leave) != (b.interrupt, b.leave) {
            what.push("interrupt or request".to_owned());
        }
        let (a, b) = (pair.interpreter.ram(), pair.recompiler.ram());
        if a != b {
            self.compare_memory(a, b, what);
        } else if settled {
            self.loose = false;
        }
    }

    fn compare_memory(&self, a: &[u8], b: &[u8], what: &mut Vec<String>) {
        let differing: Vec<usize> = (0..a.len()).filter(|&n| a[n] != b[n]).collect();
        // Status flags as they lie on the stack: SF ZF AF PF CF in the first byte, OF in the second.
        let flags = |n: usize| (a[n] ^ b[n]) & !0xD5 == 0 || (a[n] ^ b[n]) & !0x08 == 0;
        if self.loose && differing.len() <= 8 && differing.iter().all(|&n| flags(n)) {
            return;
        }
        for &n in differing.iter().take(8) {
            what.push(format!("memory {n:05x}: interpreter {:02x}, recompiler {:02x}", a[n], b[n]));
        }
    }
}
