//! A machine with all around it.

use crate::abi;
use crate::builder::Builder;
use crate::clock::SteadyClock;
use crate::host::{Cable, Line, Medium, Queue, Screen, Speaker};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use nomad86::config::ClockMode;
use nomad86::devices::ps2::typing::Typing;
use nomad86::host::{Host, InputEvent, Key, Network};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::MacPolicy;
use nomad86::snapshot::{self, Broken, RestoreOptions, Restored, Sink, Source, Tag};

/// The longest that a machine is left alone whose processor has halted for good, in nanoseconds.
const NAP: u64 = 1_000_000_000;

/// The image that JavaScript holds, read from its beginning.
#[derive(Default)]
struct Image {
    at: u64,
}

impl Source for Image {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let n = abi::image(self.at, buffer).min(buffer.len());
        self.at += n as u64;
        Ok(n)
    }
}

/// What the export being called answers.
struct Answer;

impl Sink for Answer {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        abi::answer(bytes);
        Ok(())
    }
}

fn memory(bytes: usize) -> Result<GuestMemory, String> {
    abi::guest_memory(bytes).ok_or_else(|| {
        format!("the browser has no {} MiB for the machine: choose a smaller memory_size", bytes >> 20)
    })
}

/// A machine and its host.
pub(crate) struct Pc {
    machine: Machine,
    host: Host,
    clock: SteadyClock,
    input: Queue<InputEvent>,
    serial: [Queue<u8>; 4],
    looked_at: Rc<Cell<bool>>,
    speaker: Speaker,
    /// Nanoseconds that the machine wants to be left alone; `None` after a stop.
    rest: Option<u64>,
}

impl Pc {
    /// Builds a machine.
    pub(crate) fn new(builder: Builder) -> Result<Self, String> {
        let config = builder.config;
        config.validate().map_err(|error| error.to_string())?;
        let memory = memory(config.memory_needed())?;
        let machine = Machine::new(config, memory).map_err(|error| error.to_string())?;
        Ok(Self::around(machine))
    }

    /// Restores a machine from the image that JavaScript holds; what there is to say of it, as JSON.
    pub(crate) fn restore(policy: &str, seed: u64) -> Result<(Self, String), String> {
        let mac: MacPolicy = policy.parse().map_err(|_| {
            format!("mac: there is no policy '{policy}'; use randomise, preserve or translate")
        })?;
        let config = snapshot::config(&mut Image::default()).map_err(|error| error.to_string())?;
        let memory = memory(config.memory_needed())?;
        let options = RestoreOptions { mac, seed };
        let Restored { machine, unknown, missing } =
            Machine::restore(config, memory, &mut Image::default(), options)
                .map_err(|error| error.to_string())?;
        let list = |tags: &[Tag]| tags.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(",");
        let cards = (0..machine.config().cards.len()).filter_map(|n| machine.devices.ne2k.macs(n));
        let cards: Vec<String> =
            cards.map(|mac| format!("{{\"guest\":\"{}\",\"wire\":\"{}\"}}", mac.guest, mac.wire)).collect();
        let notes = format!(
            "{{\"unknown\":[{}],\"missing\":[{}],\"cards\":[{}]}}",
            list(&unknown),
            list(&missing),
            cards.join(",")
        );
        Ok((Self::around(machine), notes))
    }

    /// Answers with a state image; false when JavaScript took no more.
    pub(crate) fn save(&mut self) -> bool {
        self.machine.save(&mut Answer).is_ok()
    }

    fn around(machine: Machine) -> Self {
        let clock = SteadyClock::default();
        let input = Queue::default();
        let serial: [Queue<u8>; 4] = Default::default();
        let looked_at = Rc::new(Cell::new(false));
        let speaker = Speaker::default();
        let mut host = Host::null();
        host.clock = Box::new(clock.clone());
        host.input = Box::new(input.clone());
        host.display = Box::new(Screen::new(Rc::clone(&looked_at)));
        host.audio = Box::new(speaker.clone());
        for ((number, place), queue) in (0..).zip(&mut host.serial).zip(&serial) {
            *place = Box::new(Line { number, to_guest: queue.clone() });
        }
        host.debug = Box::new(Line { number: 4, to_guest: Queue::default() });
        host.post = Box::new(Line { number: 5, to_guest: Queue::default() });
        host.networks = (0..machine.config().cards.len() as u32)
            .map(|n| Box::new(Cable(n)) as Box<dyn Network>)
            .collect();
        Self { machine, host, clock, input, serial, looked_at, speaker, rest: None }
    }

    /// Runs for `budget` milliseconds. Returns 0 when they are used up, 1 idle, 2 power-off, 3 reset (done),
    /// 4 triple fault, 5 halted for good, 256 + N when the guest wrote N to the debug-exit port.
    pub(crate) fn run(&mut self, budget: f64) -> i32 {
        let skipped = self.clock.begin(self.rest);
        self.machine.board.epoch = self.machine.board.epoch.saturating_add_unsigned(skipped);
        self.rest = Some(0);
        let budget = Duration::from_nanos((budget * 1e6) as u64);
        match self.machine.run(&mut self.host, budget) {
            Exit::Budget => 0,
            Exit::Idle { until } => {
                // Nobody waits for time that is not the host's.
                if self.machine.config().clock == ClockMode::Host {
                    self.rest = Some(until.since(self.machine.now()));
                }
                1
            }
            Exit::PowerOff => 2,
            Exit::Reset => 3,
            Exit::TripleFault => 4,
            Exit::Halted => {
                let sound = self.machine.next_sound().map(|at| at.since(self.machine.now()));
                self.rest = Some(sound.unwrap_or(NAP));
                5
            }
            Exit::Exit(value) => 256 + (value & 0xFF_FFFF) as i32,
        }
    }

    /// Milliseconds that the machine can be left alone.
    pub(crate) fn rest(&self) -> f64 {
        self.rest.unwrap_or(0) as f64 / 1e6
    }

    /// The time until the next [`Self::run`] does not count.
    pub(crate) fn pause(&mut self) {
        self.rest = None;
    }

    /// The reset button.
    pub(crate) fn reset(&mut self) {
        self.machine.reset(&mut self.host);
    }

    /// A key by its W3C `code`.
    pub(crate) fn key(&mut self, code: &str, pressed: bool) -> bool {
        let key = Key::from_code(code);
        self.input.extend(key.map(|key| InputEvent::Key { key, pressed })) != 0
    }

    /// Types text.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.input.extend(Typing::new(text));
    }

    /// The mouse moved.
    pub(crate) fn mouse(&mut self, dx: i32, dy: i32, wheel: i32) {
        let clamp = |n: i32| n.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        let wheel = wheel.clamp(-127, 127) as i8;
        self.input.extend([InputEvent::Mouse { dx: clamp(dx), dy: clamp(dy), wheel }]);
    }

    /// Mouse buttons.
    pub(crate) fn buttons(&mut self, pressed: u8) {
        self.input.extend([InputEvent::Buttons(pressed)]);
    }

    /// The power button.
    pub(crate) fn power(&mut self) {
        self.input.extend([InputEvent::Power]);
    }

    /// Bytes for a serial line.
    pub(crate) fn serial(&mut self, line: usize, bytes: &[u8]) -> usize {
        self.serial.get(line).map_or(0, |queue| queue.extend(bytes.iter().copied()))
    }

    /// Whether somebody looks at the screen.
    pub(crate) fn look(&mut self, on: bool) {
        self.looked_at.set(on);
    }

    /// Sound frames per second.
    pub(crate) fn listen(&mut self, rate: u32) {
        self.speaker.0.set(rate);
    }

    /// Puts a medium into a drive.
    pub(crate) fn insert(&mut self, drive: u32, sectors: u64, read_only: bool) -> bool {
        let place = match drive {
            0 | 1 => &mut self.host.drives.floppy[drive as usize],
            2..=5 => &mut self.host.drives.ide[drive as usize - 2],
            _ => return false,
        };
        *place = Some(Box::new(Medium { drive, sectors, read_only }));
        true
    }

    /// Takes a medium out.
    pub(crate) fn eject(&mut self, drive: u32) {
        match drive {
            0 | 1 => self.host.drives.floppy[drive as usize] = None,
            2..=5 => self.host.drives.ide[drive as usize - 2] = None,
            _ => {}
        }
    }

    /// The text on the screen; empty in graphics modes.
    pub(crate) fn screen_text(&mut self) -> String {
        let screen = self.machine.devices.vga.text_screen(&self.machine.board.memory);
        screen.map(|screen| screen.text()).unwrap_or_default()
    }

    /// Counters, as JSON.
    pub(crate) fn stats(&self) -> String {
        let m = &self.machine;
        format!(
            "{{\"instructions\":{},\"milliseconds\":{},\"blocks\":{},\"tlbFills\":{},\"tlbFlushes\":{},\
             \"blockMisses\":{},\"eip\":{},\"halted\":{}}}",
            m.cpu.count,
            m.now().0 / 1_000_000,
            m.cache.stats.decoded,
            m.cpu.tlb().fills,
            m.cpu.tlb().flushes,
            m.cache.stats.recent_misses,
            m.cpu.eip,
            m.cpu.halted,
        )
    }

    /// Answers with physical memory.
    pub(crate) fn read_memory(&self, at: u64, len: usize) {
        let mut bytes = vec![0; len];
        self.machine.read_memory(at, &mut bytes);
        abi::answer(&bytes);
    }

    /// Writes physical memory.
    pub(crate) fn write_memory(&mut self, at: u64, bytes: &[u8]) {
        self.machine.write_memory(at, bytes);
    }
}
