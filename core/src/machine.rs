//! The machine: owns processor, devices and board, and runs them.
//!
//! [`Machine::run`] alternates between the processor and what waits at its boundaries: deadlines, interrupts,
//! input from the host. It never blocks and never reads a clock other than the host's.

use crate::archive::Archive;
use crate::board::{Board, Request, Width};
use crate::config::{ClockMode, Config, ConfigError};
use crate::cpu::block::{BlockCache, CacheSize};
use crate::cpu::{Cpu, Stop};
use crate::devices::{Bus, Devices};
use crate::host::{Host, InputEvent};
use crate::jit::{CodeMemory, Jit, Windows};
use crate::memory::{GuestMemory, Memory, PhysAddr};
use crate::time::{Duration, Instant, Timer};
use alloc::boxed::Box;
use clock::{LONGEST_REST, STANDSTILL, Time};
use doze::Doze;
use platform::Platform;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

mod clock;
mod doze;
mod media;
mod platform;

pub(crate) use clock::LATEST;
pub use media::{ExchangeError, Refusal, Removable};

/// Why [`Machine::run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// The processor waits for an interrupt; nothing that is worth waking up for will happen before this instant
    /// unless the host has input for the machine.
    Idle {
        /// The next deadline, which may be later than the end of the budget. A guest that has done nothing but take
        /// its ticks for a while has some of them taken together.
        until: Instant,
    },
    /// The guest switched the machine off.
    PowerOff,
    /// The guest reset the machine, which has been done; run again to go on.
    Reset,
    /// The guest wrote this to the debug-exit port.
    Exit(u32),
    /// A fault could not be delivered: the processor has shut down. Reset the machine to go on.
    TripleFault,
    /// HLT with interrupts off: nothing will ever happen again by itself.
    Halted,
}

/// How often host input is looked at, in nanoseconds.
const SERVICE: u64 = 250_000;

/// Random numbers for the guest, in a state of one number that an image can hold.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        Xoshiro256PlusPlus::seed_from_u64(self.0).next_u64()
    }
}

/// Why runs of instructions ended, and what interrupted them.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunStats {
    /// At their deadline.
    pub deadlines: u64,
    /// Something needed attention before.
    pub events: u64,
    /// HLT.
    pub halts: u64,
    /// Interrupts delivered, NMIs among them.
    pub interrupts: u64,
}

/// A PC.
pub struct Machine {
    /// The processor.
    pub cpu: Cpu,
    /// The devices.
    pub devices: Devices,
    /// The main board.
    pub board: Board,
    /// Decoded code.
    pub cache: BlockCache,
    /// The recompiler, when the host has given it memory.
    pub jit: Option<Jit>,
    /// Counters.
    pub runs: RunStats,
    config: Config,
    time: Time,
    doze: Doze,
    random: Random,
}

impl Machine {
    /// Builds a machine and resets it.
    ///
    /// # Errors
    /// Says what is wrong with the configuration.
    pub fn new(config: Config, memory: GuestMemory) -> Result<Self, ConfigError> {
        if config.bios.is_empty() && config.kernel.is_none() {
            return Err(ConfigError::NothingToBoot);
        }
        let mut machine = Self::assemble(config, memory)?;
        machine.reset(&mut Host::null());
        Ok(machine)
    }

    /// Puts the parts together, without power.
    pub(crate) fn assemble(config: Config, memory: GuestMemory) -> Result<Self, ConfigError> {
        config.validate()?;
        crate::boot::check(&config)?;
        let given = memory.len();
        let needed = config.memory_needed();
        let memory = Memory::new(memory, config.memory, config.video_memory, crate::config::ROM_SIZE)
            .map_err(|_| ConfigError::HostMemory { needed, given })?;
        let mut board = Board::new(memory);
        let devices = Devices::new(&config, &mut board);
        let pages = board.memory.backing_len() / crate::memory::PAGE;
        Ok(Self {
            cpu: Cpu::new(config.cpu),
            devices,
            board,
            cache: BlockCache::new(pages, CacheSize::default()),
            jit: None,
            runs: RunStats::default(),
            time: Time::new(config.clock),
            doze: Doze::default(),
            random: Random(u64::from_le_bytes(config.uuid[..8].try_into().unwrap_or_default())),
            config,
        })
    }

    /// Gives the recompiler memory for its code; from then on hot code is translated. False when the host's
    /// processor has no recompiler or the memory is too small, and the machine goes on interpreting. `precise`
    /// keeps even those flags exact that no instruction looks at, for runs that are compared bit by bit.
    pub fn use_jit(&mut self, memory: Box<dyn CodeMemory>, precise: bool) -> bool {
        self.jit = Jit::new(memory, self.cache.capacity(), precise);
        self.jit.is_some()
    }

    /// Gives the recompiler windows to see memory through. False when it has none, or they do not show the memory that
    /// this machine was built with; it goes on without.
    pub fn use_windows(&mut self, windows: Box<dyn Windows>) -> bool {
        let Some(jit) = &mut self.jit else { return false };
        let used = self.cpu.use_windows(windows, &mut self.board.memory);
        if used {
            jit.use_windows();
        }
        used
    }

    /// The configuration it was built from.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Present virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.board.now
    }

    /// Nanoseconds of the host's time that the guest has been spared: pauses, and what a host that let it run for too
    /// short a time made it miss.
    #[must_use]
    pub const fn time_given_up(&self) -> u64 {
        self.time.lost
    }

    /// When there is more to hear, if the loudspeaker or a sound card is on. It goes on after [`Exit::Halted`]: then
    /// this is how long a host may leave the machine alone.
    #[must_use]
    pub fn next_sound(&self) -> Option<Instant> {
        self.board.timers.get(Timer::Audio)
    }

    /// Presses the reset button. RAM keeps its contents, as it does in a PC.
    pub fn reset(&mut self, host: &mut Host) {
        self.reset_hardware(host);
        if self.config.bios.is_empty() {
            self.start_kernel(host);
        }
        self.cache.clear(&mut self.board.memory);
        self.settle();
    }

    /// What a reset does before any code runs.
    pub(crate) fn reset_hardware(&mut self, host: &mut Host) {
        self.board.request = None;
        self.devices.reset(&mut Bus { board: &mut self.board, host });
        crate::firmware::place(&self.config, &mut self.board.memory);
        self.cpu.reset();
        self.board.timers.set(Timer::Service, self.board.now);
    }

    /// Makes the machine one that nothing follows from but what a state image holds: no translation of an
    /// address that the guest has changed in its tables since, no code that was overwritten.
    pub(crate) fn forget_derived(&mut self) {
        let memory = &mut self.board.memory;
        self.cache.drop_overwritten(memory, self.jit.as_mut());
        memory.take_map_change();
        self.cpu.flush_tlb(true);
    }

    /// Brings everything that an image does not hold in line with what it does.
    pub(crate) fn settle_restored(&mut self) {
        self.time.check(self.cpu.count, self.board.now);
        self.devices.apic.reload(&mut self.board);
        self.devices.vga.reload(&mut self.board.memory);
        self.board.memory.dirty_vram();
        self.board.memory.take_map_change();
        self.cpu.flush_tlb(true);
    }

    /// Makes the guest's random numbers other ones.
    pub(crate) const fn seed_random(&mut self, seed: u64) {
        self.random = Random(seed);
    }

    pub(crate) const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Does what firmware and a boot loader would have done, for a machine without firmware.
    fn start_kernel(&mut self, host: &mut Host) {
        crate::firmware::set_up_pci(&mut self.board);
        for &(port, value) in crate::firmware::PORT_WRITES {
            if let Some(id) = self.board.io.device(port) {
                let mut bus = Bus { board: &mut self.board, host };
                self.devices.write(id, port, Width::Byte, u32::from(value), &mut bus);
            }
        }
        // What cannot be placed was refused when the machine was built.
        let Ok(entry) = crate::boot::place(&self.config, &mut self.board.memory) else { return };
        self.cpu.enter_kernel(&entry);
    }

    fn settle(&mut self) -> bool {
        settle(&mut self.board, &mut self.devices)
    }

    /// Runs for `budget` of virtual time, or until something ends it sooner.
    ///
    /// ```
    /// # use nomad86::{config::Config, host::Host, machine::{Exit, Machine}, memory::GuestMemory};
    /// # use std::time::Duration;
    /// # let mut bios = vec![0xFF; 64 << 10];
    /// # // STI and HLT with nothing that would interrupt.
    /// # bios[0xFFF0..0xFFF5].copy_from_slice(&[0xFB, 0xF4, 0xEB, 0xFD, 0x90]);
    /// # let config = Config { memory: 1 << 20, bios, ..Config::default() };
    /// # let memory = GuestMemory::allocate(config.memory_needed())?;
    /// # let mut machine = Machine::new(config, memory)?;
    /// # let mut host = Host::null();
    /// loop {
    ///     match machine.run(&mut host, Duration::from_millis(10)) {
    ///         // Look at windows, sockets and the like.
    ///         Exit::Budget | Exit::Reset => {}
    ///         // Nothing to do for the processor: sleep till then, or until input or a frame comes.
    ///         Exit::Idle { until } => {
    ///             let nanoseconds = until.since(machine.now());
    ///             # let _ = nanoseconds;
    ///             # break;
    ///         }
    ///         end => {
    ///             println!("{end:?}");
    ///             break;
    ///         }
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(&mut self, host: &mut Host, budget: Duration) -> Exit {
        self.time.begin(self.cpu.count, self.board.now, host);
        self.board.epoch = self.time.epoch(self.board.now, self.board.epoch, host);
        let mut now = self.time.at(self.cpu.count, self.board.timers.next(), false, host);
        let end = now + budget;
        self.board.now = now;
        if !self.sleeps() {
            self.service(host);
        }
        // When time last moved.
        let mut since = (self.cpu.count, now);
        loop {
            self.board.now = now;
            if let Some(exit) = self.boundary(host) {
                return exit;
            }
            if now >= end {
                return Exit::Budget;
            }
            let deadline = self.board.timers.next().min(end);
            if self.cpu.halted {
                if let Some(exit) = self.idle(host, &mut now, deadline, end) {
                    self.board.now = now;
                    return exit;
                }
                continue;
            }
            let before = (self.cpu.count, self.time.seen());
            let limit = self.cpu.count + self.time.instructions(now, deadline);
            let stop = self.slice(limit, deadline, host);
            let waiting = self.settle();
            now = self.time.at(self.cpu.count, self.board.timers.next(), waiting, host);
            self.time.learn(self.cpu.count - before.0, self.time.seen().saturating_sub(before.1));
            if now != since.1 {
                since = (self.cpu.count, now);
            } else if self.cpu.count - since.0 > STANDSTILL {
                self.board.now = now;
                return Exit::Budget;
            }
            match stop {
                Stop::Halt => self.runs.halts += 1,
                _ if self.cpu.count >= limit => self.runs.deadlines += 1,
                _ => self.runs.events += 1,
            }
            if stop == Stop::Shutdown {
                self.board.now = now;
                return Exit::TripleFault;
            }
        }
    }

    /// Lets the processor run up to `limit` instructions in all.
    fn slice(&mut self, limit: u64, deadline: Instant, host: &mut Host) -> Stop {
        let mut platform = Platform {
            interrupt: settle(&mut self.board, &mut self.devices),
            leave: false,
            deadline,
            devices: &mut self.devices,
            board: &mut self.board,
            host,
            time: &mut self.time,
            random: &mut self.random,
        };
        self.cpu.run(&mut self.cache, self.jit.as_mut(), limit, &mut platform)
    }

    /// Everything that happens between two slices: deadlines, requests, interrupts.
    fn boundary(&mut self, host: &mut Host) -> Option<Exit> {
        while let Some((timer, at)) = self.board.timers.pop(self.board.now) {
            if timer == Timer::Service {
                if !self.sleeps() {
                    self.service(host);
                }
                // From now on, not from when it was due: a missed look is not made up for.
                let next = at.max(self.board.now) + SERVICE;
                self.board.timers.set(Timer::Service, next);
            } else {
                self.devices.expire(timer, &mut Bus { board: &mut self.board, host });
            }
        }
        if let Some(request) = self.board.request.take() {
            self.devices.ne2k.flush(host);
            match request {
                Request::Reset => {
                    self.reset(host);
                    return Some(Exit::Reset);
                }
                Request::ResetCpu => self.cpu.reset(),
                Request::PowerOff => return Some(Exit::PowerOff),
                Request::Exit(value) => return Some(Exit::Exit(value)),
            }
        }
        if self.board.memory.take_rearm() {
            self.cpu.tlb.drop_watched();
        }
        let pending = self.settle();
        if self.devices.apic.take_nmi() {
            self.cpu.nmi = true;
        }
        let mut platform = Platform {
            interrupt: pending,
            leave: false,
            deadline: Instant::FAR,
            devices: &mut self.devices,
            board: &mut self.board,
            host,
            time: &mut self.time,
            random: &mut self.random,
        };
        if self.cpu.nmi && !self.cpu.nmi_blocked && !self.cpu.shadow {
            self.runs.interrupts += 1;
            if self.cpu.take_nmi(&mut platform).is_err() {
                return Some(Exit::TripleFault);
            }
        } else if pending && self.cpu.interruptible() {
            let vector = if platform.devices.apic.pending() {
                platform.devices.apic.acknowledge()
            } else {
                platform.devices.pic.acknowledge()
            };
            self.runs.interrupts += 1;
            if self.cpu.interrupt(vector, &mut platform).is_err() {
                return Some(Exit::TripleFault);
            }
        }
        None
    }

    /// The processor is halted: time passes, or the host is told to wait.
    fn idle(&mut self, host: &mut Host, now: &mut Instant, deadline: Instant, end: Instant) -> Option<Exit> {
        if !self.cpu.interruptible() && !self.cpu.nmi && self.cpu.nmi_blocked {
            return Some(Exit::Halted);
        }
        match self.time.mode {
            ClockMode::Virtual { .. } => {
                // Nothing executes: time goes straight to the next deadline.
                self.time.skip(self.cpu.count, deadline);
                *now = deadline;
                if !self.cpu.flags.has(crate::cpu::flags::bit::IF) {
                    return Some(Exit::Halted);
                }
                (deadline >= end).then_some(Exit::Idle { until: end })
            }
            ClockMode::Host => {
                self.doze.halted(self.cpu.count);
                *now = self.time.leap(self.next_event(|_| true), host);
                self.board.now = *now;
                // Devices go on, whether or not the processor hears of it: what is due comes first.
                if self.next_event(|_| true) <= *now {
                    return None;
                }
                if !self.sleeps() {
                    return Some(Exit::Halted);
                }
                // What came while the guest was busy has rung no bell.
                self.service(host);
                if self.settle() && self.cpu.interruptible() {
                    return None;
                }
                // Not the end of the budget: a host that has to be woken up costs more than the guest that sleeps.
                let longest = end.max(*now + LONGEST_REST);
                let next = self.next_event(|_| true).min(longest);
                if next <= *now || !self.doze.is_on() || self.next_sound().is_some() {
                    return (next > *now).then_some(Exit::Idle { until: next });
                }
                let others = self.next_event(|timer| !doze::can_wait(timer));
                Some(Exit::Idle { until: others.min(*now + doze::LONGEST).max(next) })
            }
        }
    }

    /// Whether the processor waits for an interrupt in the host's time. Then the host's input waits until the guest's
    /// time is the host's, or it would come before its time.
    fn sleeps(&self) -> bool {
        let wakes = self.cpu.flags.has(crate::cpu::flags::bit::IF);
        self.cpu.halted && wakes && self.time.mode == ClockMode::Host
    }

    /// The next deadline of a device, of those that are wanted (looks at host input aside, since the host knows when
    /// it has some, unless it is the guest that keeps it waiting).
    fn next_event(&self, wanted: impl Fn(Timer) -> bool) -> Instant {
        let looks = self.devices.ne2k.is_waiting();
        Timer::ALL
            .iter()
            .filter(|&&t| (t != Timer::Service || looks) && wanted(t))
            .filter_map(|&t| self.board.timers.get(t))
            .min()
            .unwrap_or(Instant::FAR)
    }

    /// The one door through which the outside comes in, while the guest has room for it: keys, mouse, serial
    /// bytes, frames.
    pub fn service(&mut self, host: &mut Host) {
        let mut bus = Bus { board: &mut self.board, host };
        while self.devices.ps2.room() {
            let Some(input) = bus.host.input.next() else { break };
            if input == InputEvent::Power {
                self.devices.acpi.power_button(bus.board);
            } else {
                self.devices.ps2.input(input, &mut bus);
            }
        }
        self.devices.uart.poll(&mut bus);
        self.devices.ne2k.poll(&mut bus);
    }

    /// Saves or loads everything but RAM, video RAM and the configuration, section by section: `visit` is
    /// called with tag, version and archive function of each.
    pub fn sections(&mut self, mut visit: impl FnMut([u8; 4], u16, &mut dyn FnMut(&mut Archive<'_>))) {
        visit(*b"TIME", 1, &mut |a| {
            self.time.archive(a);
            a.field(&mut self.random.0);
        });
        visit(*b"CPU ", 1, &mut |a| self.cpu.archive(a));
        visit(*b"BORD", 1, &mut |a| self.board.archive(a));
        self.devices.sections(visit);
    }

    /// Reads physical memory, as a debugger does; devices read as all ones.
    pub fn read_memory(&self, at: PhysAddr, bytes: &mut [u8]) {
        bytes.fill(0xFF);
        let _ = self.board.memory.read(at, bytes);
    }

    /// Writes physical memory, as a debugger does.
    pub fn write_memory(&mut self, at: PhysAddr, bytes: &[u8]) {
        let _ = self.board.memory.write(at, bytes);
    }
}

/// Brings the interrupt lines to the controllers; whether INTR is high.
fn settle(board: &mut Board, devices: &mut Devices) -> bool {
    let levels = board.irq.levels();
    let pulses = board.irq.take_pulses();
    devices.pic.set_lines(levels, pulses);
    devices.apic.set_lines(levels, pulses);
    let pic = devices.pic.pending();
    devices.apic.set_intr(pic);
    pic && devices.apic.accepts_extint() || devices.apic.pending()
}
