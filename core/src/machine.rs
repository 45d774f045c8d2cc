//! The machine: owns processor, devices and board, and runs them.
//!
//! [`Machine::run`] alternates between the processor and what waits at its boundaries: deadlines, interrupts,
//! input from the host. It never blocks and never reads a clock other than the host's.

use crate::archive::Archive;
use crate::board::{Board, Request, Source, Width};
use crate::config::{ClockMode, Config, ConfigError, IdeSlot};
use crate::cpu::block::{BlockCache, CacheSize};
use crate::cpu::{Cpu, Io, Stop, event};
use crate::devices::{Bus, Devices};
use crate::host::{Disk, Host, InputEvent};
use crate::jit::{CodeMemory, Jit};
use crate::memory::{GuestMemory, Memory, PhysAddr};
use crate::time::{Duration, Instant, SECOND, Timer};
use alloc::boxed::Box;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Why [`Machine::run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// The processor waits for an interrupt; nothing will happen before this instant unless the host has
    /// input for the machine.
    Idle {
        /// The next deadline, which may be later than the end of the budget.
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

/// A drive whose medium can be exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removable {
    /// The CD-ROM drive in this slot of the IDE channels, 0 to 3.
    Cdrom(usize),
    /// Floppy drive A: or B:, 0 or 1.
    Floppy(usize),
}

/// Why a medium was not exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The machine has no such drive.
    NoDrive,
    /// The guest has locked the tray; it has been told that the button was pressed.
    Locked,
}

/// A medium that was not taken, and why.
pub struct ExchangeError {
    /// Why.
    pub why: Refusal,
    /// The medium.
    pub medium: Option<Box<dyn Disk>>,
}

/// How often host input is looked at, in nanoseconds.
const SERVICE: u64 = 250_000;
/// The longest time between two looks at the host's clock.
const SLICE: u64 = 100_000;
/// A host clock that jumps further than this was suspended: the guest is not made to catch up. Nor is it made
/// to wait for one that was set back.
const PAUSE: u64 = SECOND;
/// The longest that a host is told to leave an idle machine alone: what is longer looks like a pause.
const LONGEST_REST: u64 = PAUSE / 2;
/// By how much the guest's time moves at most from one look at the host's clock to the next while code runs, in
/// nanoseconds: a host that goes away in the middle of a guest's measurement of one timer by another would spoil
/// it. What is left is caught up with at the next looks, which are many.
const STEP: u64 = 500_000;
/// How far the guest may be behind before the steps grow, and by which part of what is more: a host that goes away
/// all the time is kept up with.
const BEHIND: u64 = SECOND / 2;
const STEP_PART: u64 = 16;
/// Instructions in which the host's clock may stand still before a call of [`Machine::run`] ends all the same.
const STANDSTILL: u64 = 1 << 24;

/// No machine runs longer than this, in nanoseconds or instructions, whatever a state image says.
pub(crate) const LATEST: u64 = 1 << 60;

/// Random numbers for the guest, in a state of one number that an image can hold.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        Xoshiro256PlusPlus::seed_from_u64(self.0).next_u64()
    }
}

/// How virtual time relates to the host's clock and to executed instructions.
struct Time {
    mode: ClockMode,
    /// Host time at virtual time zero (host clock); before the host's time zero when a machine is restored
    /// that is older than this host's clock.
    origin: i64,
    /// Host time last seen.
    last: u64,
    /// Host time that the guest has been shown, behind `last` while the guest catches up.
    shown: u64,
    /// Virtual time at `count` instructions (virtual clock).
    base: Instant,
    count: u64,
    /// Estimated picoseconds an instruction takes (host clock), to size slices.
    estimate: u64,
    /// Instructions and nanoseconds that the estimate has not learned from yet.
    seen: (u64, u64),
    started: bool,
}

impl Time {
    const fn new(mode: ClockMode) -> Self {
        Self {
            mode,
            origin: 0,
            last: 0,
            shown: 0,
            base: Instant::ZERO,
            count: 0,
            estimate: 10_000,
            seen: (0, 0),
            started: false,
        }
    }

    fn at(&mut self, count: u64, host: &mut Host) -> Instant {
        match self.mode {
            ClockMode::Host => {
                self.last = host.clock.now().0.max(self.last);
                let behind = self.last.saturating_sub(self.shown);
                self.shown += behind.min(STEP + behind.saturating_sub(BEHIND) / STEP_PART);
                self.guest_time()
            }
            ClockMode::Virtual { picoseconds } => {
                self.base + (count.wrapping_sub(self.count)).saturating_mul(u64::from(picoseconds)) / 1000
            }
        }
    }

    /// As [`Self::at`] while nothing executes that could measure how time passes (host clock).
    fn leap(&mut self, host: &mut Host) -> Instant {
        self.last = host.clock.now().0.max(self.last);
        self.shown = self.last;
        self.guest_time()
    }

    /// The guest's time when it has been shown the host's.
    const fn guest_time(&self) -> Instant {
        Instant(self.shown.saturating_add_signed(self.origin.saturating_neg()))
    }

    /// Instructions that fit before `until`.
    fn instructions(&self, now: Instant, until: Instant) -> u64 {
        let ps = match self.mode {
            ClockMode::Host => {
                return (until.since(now).min(SLICE) * 1000 / self.estimate).clamp(64, 1 << 20);
            }
            ClockMode::Virtual { picoseconds } => u64::from(picoseconds.max(1)),
        };
        (until.since(now).min(SECOND) * 1000).div_ceil(ps).max(1)
    }

    /// Saves or loads how time comes from instructions. Under the host's clock nothing is kept: the host
    /// has gone on, the machine has not.
    fn archive(&mut self, a: &mut Archive<'_>) {
        let counts = |mode| matches!(mode, ClockMode::Virtual { .. });
        let mut kept = (counts(self.mode) && self.started).then_some([self.base.0, self.count]);
        a.field(&mut kept);
        if a.is_loading() {
            self.started = false;
            if let Some([base, count]) = kept.filter(|_| counts(self.mode)) {
                (self.base, self.count, self.started) = (Instant(base.min(LATEST)), count.min(LATEST), true);
            }
        }
    }

    /// Whether time is `now` after `count` instructions: of a loaded state nothing else can be true, and time
    /// would stand still or leap.
    fn agrees(&self, count: u64, now: Instant) -> bool {
        let ClockMode::Virtual { picoseconds } = self.mode else { return true };
        let passed = count.checked_sub(self.count).and_then(|n| n.checked_mul(u64::from(picoseconds)));
        !self.started || passed.is_some_and(|passed| self.base + passed / 1000 == now)
    }

    /// Learns from a slice of `count` instructions that took `ns`. Short slices count together: were they left
    /// out, an estimate that is far too high would make all slices short and never be put right.
    fn learn(&mut self, count: u64, ns: u64) {
        self.seen.0 += count;
        self.seen.1 += ns;
        if self.seen.0 >= 1000 {
            let (count, ns) = core::mem::take(&mut self.seen);
            let seen = (ns * 1000 / count).clamp(100, 100_000);
            self.estimate = (self.estimate * 7 + seen) / 8;
        }
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
        self.time.started &= self.time.agrees(self.cpu.count, self.board.now);
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
        self.start(host);
        let mut now = self.time.at(self.cpu.count, host);
        let end = now + budget;
        self.board.now = now;
        self.service(host);
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
            let before = (self.cpu.count, self.time.last);
            let limit = self.cpu.count + self.time.instructions(now, deadline);
            let stop = self.slice(limit, deadline, host);
            now = self.time.at(self.cpu.count, host);
            self.time.learn(self.cpu.count - before.0, self.time.last.saturating_sub(before.1));
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

    /// Relates virtual time to the host's clock when running begins, and again after a pause.
    fn start(&mut self, host: &mut Host) {
        if self.time.mode != ClockMode::Host {
            if !self.time.started {
                self.time.started = true;
                self.time.base = self.board.now;
                self.time.count = self.cpu.count;
            }
            return;
        }
        let now = host.clock.now().0;
        let expected = self.time.last;
        if !self.time.started || now > expected.saturating_add(PAUSE) || now < expected {
            self.time.started = true;
            (self.time.last, self.time.shown) = (now, now);
            self.time.origin = now.cast_signed().saturating_sub_unsigned(self.board.now.0);
            self.board.epoch = host.clock.wall().saturating_sub_unsigned(self.board.now.0);
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
                self.service(host);
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
                self.time.base = deadline;
                self.time.count = self.cpu.count;
                *now = deadline;
                if !self.cpu.flags.has(crate::cpu::flags::bit::IF) {
                    return Some(Exit::Halted);
                }
                (deadline >= end).then_some(Exit::Idle { until: end })
            }
            ClockMode::Host => {
                *now = self.time.leap(host);
                if !self.cpu.flags.has(crate::cpu::flags::bit::IF) {
                    return Some(Exit::Halted);
                }
                // What came while the guest was busy has rung no bell.
                self.board.now = *now;
                self.service(host);
                if self.settle() && self.cpu.interruptible() {
                    return None;
                }
                // Not the end of the budget: a host that has to be woken up costs more than the guest that sleeps.
                let until = self.next_event().min(end.max(*now + LONGEST_REST));
                (until > *now).then_some(Exit::Idle { until })
            }
        }
    }

    /// The next deadline of a device (looks at host input aside, since the host knows when it has some, unless
    /// it is the guest that keeps it waiting).
    fn next_event(&self) -> Instant {
        let looks = self.devices.ne2k.is_waiting();
        Timer::ALL
            .iter()
            .filter(|&&t| t != Timer::Service || looks)
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

    /// Puts a medium into a drive that takes one while the machine runs, or takes it out, and tells the guest as
    /// the drive does. Comes back with what was in the drive.
    ///
    /// # Errors
    /// When there is no such drive, or the guest has locked its tray; the medium comes back.
    pub fn exchange(
        &mut self,
        drive: Removable,
        medium: Option<Box<dyn Disk>>,
        host: &mut Host,
    ) -> Result<Option<Box<dyn Disk>>, ExchangeError> {
        let error = match drive {
            Removable::Cdrom(slot) => match self.config.ide.get(slot) {
                Some(IdeSlot::Cdrom) if self.devices.ide.is_locked(slot) => {
                    self.devices.ide.eject_pressed(slot);
                    Some(Refusal::Locked)
                }
                Some(IdeSlot::Cdrom) => None,
                _ => Some(Refusal::NoDrive),
            },
            Removable::Floppy(n) if n < usize::from(self.config.floppies.min(2)) => None,
            Removable::Floppy(_) => Some(Refusal::NoDrive),
        };
        if let Some(why) = error {
            return Err(ExchangeError { why, medium });
        }
        let place = match drive {
            Removable::Cdrom(slot) => &mut host.drives.ide[slot],
            Removable::Floppy(n) => &mut host.drives.floppy[n],
        };
        let old = core::mem::replace(place, medium);
        let mut bus = Bus { board: &mut self.board, host };
        match drive {
            Removable::Cdrom(slot) => self.devices.ide.media_changed(slot, &mut bus),
            Removable::Floppy(n) => self.devices.floppy.media_changed(n),
        }
        Ok(old)
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

/// What the processor sees of the rest of the machine while it runs.
struct Platform<'m> {
    devices: &'m mut Devices,
    board: &'m mut Board,
    host: &'m mut Host,
    time: &'m mut Time,
    random: &'m mut Random,
    deadline: Instant,
    interrupt: bool,
    leave: bool,
}

impl Platform<'_> {
    fn tick(&mut self, count: u64) {
        self.board.now = self.time.at(count, self.host);
    }

    fn after(&mut self) {
        self.interrupt = settle(self.board, self.devices);
        // A deadline may have moved nearer, or the host's clock past it while ports were slow.
        let due = self.board.timers.next() < self.deadline || self.board.now >= self.deadline;
        self.leave |= self.board.request.is_some() || due;
    }

    fn bus(&mut self) -> (&mut Devices, Bus<'_>) {
        (self.devices, Bus { board: self.board, host: self.host })
    }

    /// One access as the device takes it.
    fn read_one(&mut self, port: u16, width: Width) -> u32 {
        let Some(id) = self.board.io.device(port) else { return width.ones() };
        let widest = Devices::widest(id);
        if width > widest || port.checked_add(width as u16 - 1).is_none() {
            return split(width, |n, part| self.read_one(port.wrapping_add(n), part));
        }
        let (devices, mut bus) = self.bus();
        devices.read(id, port, width, &mut bus) & width.ones()
    }

    fn write_one(&mut self, port: u16, width: Width, value: u32) {
        let Some(id) = self.board.io.device(port) else { return };
        let widest = Devices::widest(id);
        if width > widest || port.checked_add(width as u16 - 1).is_none() {
            let half = if width == Width::Dword { Width::Word } else { Width::Byte };
            self.write_one(port, half, value & half.ones());
            let rest = value >> (8 * half as u32);
            self.write_one(port.wrapping_add(half as u16), half, rest & half.ones());
            return;
        }
        let (devices, mut bus) = self.bus();
        devices.write(id, port, width, value & width.ones(), &mut bus);
    }
}

/// Two accesses of half the width, low half first.
fn split(width: Width, mut part: impl FnMut(u16, Width) -> u32) -> u32 {
    let half = if width == Width::Dword { Width::Word } else { Width::Byte };
    let low = part(0, half);
    low | part(half as u16, half) << (8 * half as u32)
}

impl Io for Platform<'_> {
    fn memory(&mut self) -> &mut Memory {
        &mut self.board.memory
    }

    fn mmio_read(&mut self, at: PhysAddr, width: Width, count: u64) -> u32 {
        let Some(id) = self.board.mmio.device(at) else { return width.ones() };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let value = devices.mmio_read(id, at, width, &mut bus) & width.ones();
        self.after();
        value
    }

    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, count: u64) {
        let Some(id) = self.board.mmio.device(at) else { return };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        devices.mmio_write(id, at, width, value, &mut bus);
        self.after();
    }

    fn port_in(&mut self, port: u16, width: Width, count: u64) -> u32 {
        self.tick(count);
        let value = self.read_one(port, width);
        self.after();
        value
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32, count: u64) {
        self.tick(count);
        self.write_one(port, width, value);
        self.after();
    }

    fn moves_blocks(&self, port: u16) -> bool {
        self.board.io.device(port).is_some_and(Devices::moves_blocks)
    }

    fn port_in_block(&mut self, port: u16, width: Width, bytes: &mut [u8], count: u64) -> usize {
        let Some(id) = self.board.io.device(port) else { return 0 };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let done = devices.read_block(id, port, width, bytes, &mut bus);
        self.after();
        done
    }

    fn port_out_block(&mut self, port: u16, width: Width, bytes: &[u8], count: u64) -> usize {
        let Some(id) = self.board.io.device(port) else { return 0 };
        self.tick(count);
        let (devices, mut bus) = self.bus();
        let done = devices.write_block(id, port, width, bytes, &mut bus);
        self.after();
        done
    }

    fn nanoseconds(&mut self, count: u64) -> u64 {
        self.time.at(count, self.host).0
    }

    fn apic_base(&mut self, value: Option<u64>) -> u64 {
        if let Some(value) = value {
            let _ = self.devices.apic.set_base(value, self.board);
            self.after();
        }
        self.devices.apic.base()
    }

    fn ferr(&mut self, level: bool) {
        self.board.irq.set(13, Source::Fpu, level);
        self.after();
    }

    fn random(&mut self) -> u64 {
        self.random.next()
    }

    fn events(&self) -> u32 {
        (u32::from(self.leave) * event::LEAVE)
            | (u32::from(self.interrupt) * event::INTERRUPT)
            | (u32::from(self.board.memory.code_written()) * event::CODE)
            | (u32::from(self.board.memory.map_changed()) * event::MAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use core::cell::Cell;

    /// A clock that is moved by hand.
    #[derive(Clone, Default)]
    struct Hand(Rc<Cell<u64>>);

    impl crate::host::Clock for Hand {
        fn now(&mut self) -> Instant {
            Instant(self.0.get())
        }
        fn wall(&mut self) -> i64 {
            0
        }
    }

    #[test]
    fn a_host_that_went_away_is_caught_up_with_in_small_steps_to_the_last_nanosecond() {
        let hand = Hand::default();
        let mut host = Host { clock: Box::new(hand.clone()), ..Host::null() };
        let mut time = Time::new(ClockMode::Host);
        let mut look = |passed| {
            hand.0.set(hand.0.get() + passed);
            time.at(0, &mut host).0
        };
        assert_eq!(look(100_000), 100_000);
        let mut before = look(30_000_000);
        assert_eq!(before, 100_000 + STEP);
        let mut looks = 0;
        while before < 30_100_000 {
            let now = look(0);
            assert!((1..=STEP).contains(&(now - before)));
            (before, looks) = (now, looks + 1);
        }
        assert!(looks < 100, "{looks}");
        assert_eq!(look(1), 30_100_001);
        // A host that is away for most of the time: the guest is behind by a bounded time.
        for _ in 0..1000 {
            look(10_000_000);
            for _ in 0..9 {
                look(100_000);
            }
        }
        let behind = hand.0.get() - look(0);
        assert!(behind < BEHIND + 50_000_000, "{behind}");
        // Nothing executes: there is nothing that could notice.
        assert_eq!(time.leap(&mut host).0, hand.0.get());
    }

    #[test]
    fn an_estimate_that_is_far_too_high_is_put_right() {
        let mut time = Time::new(ClockMode::Host);
        // The host went away in the middle of slices.
        for _ in 0..100 {
            time.learn(2000, SECOND);
        }
        let slice = |time: &Time| time.instructions(Instant::ZERO, Instant(SECOND));
        let short = slice(&time);
        for _ in 0..1000 {
            let count = slice(&time);
            time.learn(count, count / 2);
        }
        assert!(slice(&time) > 20 * short, "{short} {}", slice(&time));
    }
}
