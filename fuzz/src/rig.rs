//! A board with all its chips and no processor: scripts drive the chips, time passes when they say so.

use crate::input::{Input, Step};
use nomad86::archive::Archive;
use nomad86::board::{Board, Width};
use nomad86::config::{Config, ROM_SIZE};
use nomad86::devices::{Bus, DeviceId, Devices};
use nomad86::host::Host;
use nomad86::memory::{GuestMemory, Memory, PhysAddr};
use std::cell::Cell;
use std::ops::RangeInclusive;

/// The longest time that one step lets pass: 4 ms.
const LONGEST_WAIT: u64 = 4_000_000;
/// Deadlines that may come in that time: every chip bounds how often it asks.
const MOST_DEADLINES: u32 = 40_000;
/// Half of what the allocator is to keep between two inputs.
const MOST_KEPT: usize = 8 << 20;
/// Steps of one input.
const MOST_STEPS: usize = 1024;

/// What a family of chips answers to.
pub struct Family {
    /// Ports, as scripts number them.
    pub ports: &'static [RangeInclusive<u16>],
    /// Memory-mapped registers.
    pub mmio: &'static [RangeInclusive<u64>],
    /// Sections of state images that inputs may fill with anything.
    pub sections: &'static [[u8; 4]],
}

impl Family {
    /// The port that scripts call `number`.
    #[must_use]
    pub fn port(&self, number: u8) -> u16 {
        let count: usize = self.ports.iter().map(ExactSizeIterator::len).sum();
        self.ports.iter().cloned().flatten().nth(usize::from(number) % count.max(1)).unwrap_or(0)
    }

    fn address(&self, offset: u32) -> Option<PhysAddr> {
        let range = self.mmio.get(offset as usize >> 28)?;
        let len = range.end() - range.start() + 1;
        Some(range.start() + u64::from(offset & 0x0FFF_FFFF) % len)
    }
}

thread_local! {
    /// Memory of a board that is gone. To allocate and clear two megabytes takes as long as a short script.
    static SPARE: Cell<Option<GuestMemory>> = const { Cell::new(None) };
}

/// The board and its chips.
pub struct Rig {
    /// Memory, lines, timers.
    pub board: Board,
    /// The chips.
    pub devices: Devices,
    /// The world.
    pub host: Host,
}

impl Rig {
    /// A board as after power-on, with PCI set up as firmware does.
    ///
    /// # Panics
    /// When the host has no two megabytes.
    #[must_use]
    pub fn new(config: &Config, host: Host) -> Self {
        let mut rig = Self::bare(config, host);
        rig.devices.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        nomad86::firmware::set_up_pci(&mut rig.board);
        rig
    }

    /// A board whose chips are new and have seen no reset yet, without addresses for what is on PCI: it is there in
    /// half the time.
    ///
    /// # Panics
    /// When the host has no two megabytes.
    #[must_use]
    pub fn bare(config: &Config, host: Host) -> Self {
        let needed = config.memory_needed();
        let block = match SPARE.take() {
            Some(spare) if spare.len() == needed => spare,
            _ => {
                // The C library's allocator keeps what is freed, instead of giving it back to the kernel and
                // asking again for the next board, up to twice the largest block that it has seen freed.
                drop(std::hint::black_box(Vec::<u8>::with_capacity(MOST_KEPT)));
                GuestMemory::allocate(needed).expect("the host has two megabytes")
            }
        };
        let memory = Memory::new(block, config.memory, config.video_memory, ROM_SIZE);
        let mut board = Board::new(memory.expect("the block is as large as asked"));
        let devices = Devices::new(config, &mut board);
        Self { board, devices, host }
    }

    /// Gives the memory back for the next board. Only for chips that leave it alone: it is not cleared.
    ///
    /// # Panics
    /// In tests, when the memory was written to.
    pub fn end_untouched(self) {
        assert!(
            !cfg!(test) || self.board.memory.backing().iter().all(|byte| *byte == 0),
            "a chip wrote to memory"
        );
        SPARE.set(Some(self.board.memory.into_block()));
    }

    /// The smallest configuration.
    #[must_use]
    pub fn config() -> Config {
        Config { memory: 1 << 20, video_memory: 1 << 20, ..Config::default() }
    }

    /// A bus for direct calls.
    pub fn bus(&mut self) -> (&mut Devices, Bus<'_>) {
        (&mut self.devices, Bus { board: &mut self.board, host: &mut self.host })
    }

    /// A port read as a chip takes it: never wider than it is.
    pub fn input(&mut self, port: u16, width: Width) -> u32 {
        let Some(id) = self.board.io.device(port) else { return width.ones() };
        let width = width.min(Devices::widest(id));
        let (devices, mut bus) = self.bus();
        devices.read(id, port, width, &mut bus)
    }

    /// A port write.
    pub fn output(&mut self, port: u16, width: Width, value: u32) {
        let Some(id) = self.board.io.device(port) else { return };
        let width = width.min(Devices::widest(id));
        let (devices, mut bus) = self.bus();
        devices.write(id, port, width, value & width.ones(), &mut bus);
    }

    fn load(&mut self, at: PhysAddr, width: Width) {
        let Some(id) = self.board.mmio.device(at) else { return };
        let (devices, mut bus) = self.bus();
        devices.mmio_read(id, at, width, &mut bus);
    }

    fn store(&mut self, at: PhysAddr, width: Width, value: u32) {
        let Some(id) = self.board.mmio.device(at) else { return };
        let (devices, mut bus) = self.bus();
        devices.mmio_write(id, at, width, value, &mut bus);
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// When a chip keeps asking for deadlines without an end.
    pub fn wait(&mut self, nanoseconds: u32) {
        let end = self.board.now + u64::from(nanoseconds).min(LONGEST_WAIT);
        let mut deadlines = 0;
        while let Some((timer, at)) = self.board.timers.pop(end) {
            self.board.now = self.board.now.max(at);
            let (devices, mut bus) = self.bus();
            devices.expire(timer, &mut bus);
            deadlines += 1;
            assert!(deadlines < MOST_DEADLINES, "{timer:?} never comes to an end");
        }
        self.board.now = end;
    }

    /// Brings the lines to the interrupt controllers, as the machine does after each access.
    fn settle(&mut self) {
        let levels = self.board.irq.levels();
        let pulses = self.board.irq.take_pulses();
        self.devices.pic.set_lines(levels, pulses);
        self.devices.apic.set_lines(levels, pulses);
        let pending = self.devices.pic.pending();
        self.devices.apic.set_intr(pending);
        // What a chip asked for is not done here: the script goes on as if nobody had listened.
        self.board.request = None;
    }

    /// Fills the registers of one section with anything, as a hostile state image would.
    fn overwrite(&mut self, tag: [u8; 4], bytes: &[u8]) {
        let Self { devices, .. } = self;
        devices.sections(|found, version, archive| {
            if found == tag {
                // Where the bytes end, the fields keep what they hold: that is reported, not refused.
                let mut a = Archive::load(bytes, version);
                archive(&mut a);
            }
        });
    }

    fn section(&mut self, tag: [u8; 4]) -> Vec<u8> {
        let mut image = Vec::new();
        self.devices.sections(|found, version, archive| {
            if found == tag {
                archive(&mut Archive::save(&mut image, version));
            }
        });
        image
    }

    /// Runs a script: its first byte says whether the registers of a section are overwritten before it.
    ///
    /// # Panics
    /// When what is saved is not loaded.
    pub fn play(&mut self, family: &Family, data: &[u8], mut act: impl FnMut(&mut Self, &Step)) {
        let mut input = Input::new(data);
        let hostile = usize::from(input.byte().unwrap_or(0));
        if hostile & 1 != 0 {
            let len = usize::from(input.word());
            let bytes = input.slice(len).to_vec();
            self.overwrite(family.sections[(hostile >> 1) % family.sections.len()], &bytes);
        }
        for _ in 0..MOST_STEPS {
            let Some(step) = Step::read(&mut input) else { break };
            match &step {
                Step::In(port, width) => {
                    self.input(family.port(*port), *width);
                }
                Step::Out(port, width, value) => self.output(family.port(*port), *width, *value),
                Step::Load(offset, width) => {
                    if let Some(at) = family.address(*offset) {
                        self.load(at, *width);
                    }
                }
                Step::Store(offset, width, value) => {
                    if let Some(at) = family.address(*offset) {
                        self.store(at, *width, *value);
                    }
                }
                Step::Wait(ns) => self.wait(*ns),
                Step::Repeat(port, width, bytes) => {
                    let port = family.port(*port);
                    for chunk in bytes.chunks(*width as usize) {
                        let value = chunk.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                        self.output(port, *width, value);
                    }
                }
                Step::Outside(_) | Step::Act(_) => act(self, &step),
            }
            self.settle();
        }
        for tag in family.sections {
            let image = self.section(*tag);
            self.overwrite(*tag, &image);
            assert_eq!(self.section(*tag), image, "what is saved is loaded");
        }
    }

    /// The device that answers at a port, for checks in tests.
    #[must_use]
    pub fn owner(&self, port: u16) -> Option<DeviceId> {
        self.board.io.device(port)
    }
}
