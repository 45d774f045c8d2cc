//! Hosts that go wrong while a machine runs: every host trait at once, in any order. The machine goes on, takes
//! no longer than it may, and works as before when the host does.
#![cfg(target_os = "linux")]

use nomad86::config::{Card, CardModel, Config};
use nomad86::host::{Audio, Display, Host, Mode, Network, Null, Rect, Surface};
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use nomad86_host::clock::HostClock;
use nomad86_host::code::DualMapping;
use nomad86_host::disk::{Fault, Faults, Faulty, MemoryDisk};
use nomad86_host::fault::memory::Little;
use nomad86_host::fault::{self, ClockFaults, NetworkFaults, Record, Switch};
use nomad86_native::bench;
use nomad86_native::random::Rng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const SECOND: i64 = 1_000_000_000;
const SLICE: Duration = Duration::from_millis(2);

/// Firmware that never rests: it starts the card's receiver, then reads the serial line, the keyboard, the disk's
/// status and the card, writes the screen, toggles the speaker, and says on the debug console that it lives.
const PROGRAM: &[u8] = &[
    0xFA, 0xB8, 0x00, 0xB8, 0x8E, 0xC0, 0x31, 0xFF, // cli; mov ax, B800h; mov es, ax; xor di, di
    0xBA, 0x20, 0x03, 0xB0, 0x22, 0xEE, // mov dx, 320h; mov al, 22h; out dx, al: the ISA card starts
    0xBA, 0x2C, 0x03, 0xB0, 0x1F, 0xEE, // its receiver takes everything
    // again:
    0xBA, 0xF8, 0x03, 0xEC, 0xEE, // mov dx, 3F8h; in al, dx; out dx, al
    0xE4, 0x60, 0xAA, 0x83, 0xE7, 0x7F, // in al, 60h; stosb; and di, 7Fh
    0xE4, 0x61, 0x34, 0x03, 0xE6, 0x61, // in al, 61h; xor al, 3; out 61h, al
    0xBA, 0xF7, 0x01, 0xEC, // mov dx, 1F7h; in al, dx
    0xB0, 0xEC, 0xEE, // mov al, ECh; out dx, al: IDENTIFY
    0xBA, 0xF0, 0x01, 0xED, // mov dx, 1F0h; in ax, dx
    0xBA, 0x27, 0x03, 0xEC, 0xEE, // mov dx, 327h; in al, dx; out dx, al: interrupts are acknowledged
    0xB9, 0x00, 0x10, 0xE2, 0xFE, // mov cx, 1000h; loop $
    0xB0, 0x2E, 0xE6, 0xE9, // mov al, '.'; out E9h, al
    0xEB, 0xCC, // jmp again
];

/// A screen in memory.
#[derive(Default)]
struct Screen(Vec<u32>);

impl Display for Screen {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        self.0.resize(mode.width as usize * mode.height as usize, 0);
        Some(Surface { pixels: &mut self.0, stride: mode.width as usize })
    }
    fn present(&mut self, _mode: Mode, _dirty: Rect) {}
}

struct Speaker;

impl Audio for Speaker {
    fn rate(&self) -> u32 {
        48_000
    }
    fn play(&mut self, frames: &[[i16; 2]]) {
        assert!(frames.len() <= 1 << 20);
    }
}

/// A segment on which somebody sends all the time.
struct Busy(VecDeque<u8>);

impl Network for Busy {
    fn transmit(&mut self, _frame: &[u8]) {}
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let turn = self.0.pop_front()?;
        self.0.push_back(turn);
        // One in four looks is in vain.
        if turn % 4 == 3 {
            return None;
        }
        let frame = buffer.get_mut(..60)?;
        frame.fill(0xFF);
        Some(frame)
    }
}

/// A machine, its host, and all that can go wrong with it.
struct Scene {
    machine: Machine,
    host: Host,
    clock: ClockFaults,
    gone: Switch,
    network: NetworkFaults,
    rate: Switch,
    talks: Switch,
    busy: Switch,
    disk: Faults,
    output: Record,
}

impl Scene {
    fn new(recompiler: bool) -> Self {
        let mut bios = vec![0xFF; 64 << 10];
        bios[..PROGRAM.len()].copy_from_slice(PROGRAM);
        bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0, 0, 0, 0xF0]);
        let card = CardModel::Ne2kIsa { base: 0x320, irq: 10 };
        let cards = vec![Card { model: card, mac: MacAddress([0x52, 0x54, 0, 1, 2, 3]) }];
        let config = Config { memory: 2 << 20, video_memory: 1 << 20, bios, cards, ..Config::default() };
        let memory = GuestMemory::allocate(config.memory_needed()).expect("there are a few MiB");
        let mut machine = Machine::new(config, memory).expect("the configuration is right");
        if recompiler {
            // So little that it is full again and again.
            let code = Little::new(DualMapping::new(1 << 20).expect("code may be executed"), 256 << 10);
            assert!(machine.use_jit(Box::new(code), false), "this host has a recompiler");
        }
        let mut host = Host::null();
        let (clock, gone, rate, talks, busy, network);
        (host.clock, clock) = fault::clock(HostClock::default());
        (host.display, gone) = fault::display(Screen::default());
        (host.audio, rate) = fault::audio(Speaker);
        (host.serial[0], talks) = fault::console(Null);
        (host.input, busy) = fault::input(Null);
        let (cable, faults) = fault::network(Busy((0..=255).collect()));
        network = faults;
        host.networks = vec![cable];
        let (medium, disk) = Faulty::new(Box::new(MemoryDisk::blank(64)));
        host.drives.ide[0] = Some(Box::new(medium));
        let output = Record::default();
        host.debug = Box::new(output.clone());
        machine.reset(&mut host);
        Self { machine, host, clock, gone, network, rate, talks, busy, disk, output }
    }

    /// Another thing goes wrong, or right again.
    fn change(&mut self, rng: &mut Rng) {
        let number = rng.below(1 << 16);
        let on = number % 2;
        match rng.below(14) {
            0 => self.clock.jump(86_400 * SECOND),
            1 => self.clock.jump(-86_400 * SECOND),
            2 => self.clock.set_civil(i64::MAX / 2 - i64::from(number) * SECOND),
            3 => self.clock.stop(number % 16 == 1),
            4 => self.gone.set(on),
            5 => self.network.cut.set(on),
            6 => self.network.lose.set(number % 5),
            7 => self.network.garble.set(number % 5),
            8 => self.network.pieces.set(on * (number % 1600)),
            9 => self.rate.set([0, 1, 8_000, u32::MAX][number as usize % 4]),
            10 => self.talks.set(number % 256),
            11 => self.busy.set(on),
            12 => {
                let faults =
                    [Fault::BadRead(0), Fault::Full, Fault::Short(0), Fault::Pending(1000), Fault::Flush];
                self.disk.add(faults[number as usize % faults.len()]);
            }
            _ => self.disk.clear(),
        }
    }

    fn heal(&mut self) {
        self.clock.stop(false);
        for switch in [&self.gone, &self.rate, &self.talks, &self.busy] {
            switch.set(0);
        }
        for switch in [&self.network.cut, &self.network.lose, &self.network.garble, &self.network.pieces] {
            switch.set(0);
        }
        self.disk.clear();
    }

    fn lives(&mut self, what: &str) {
        let (count, said) = (self.machine.cpu.count, self.output.bytes().len());
        for _ in 0..50 {
            self.machine.run(&mut self.host, SLICE);
        }
        assert!(self.machine.cpu.count > count + 1000, "{what}: it executes instructions");
        assert!(self.output.bytes().len() > said, "{what}: it comes round");
    }
}

/// `NOMAD86_FAULT_CHANGES` sets how often something changes (default 100).
#[test]
fn a_machine_goes_on_whatever_its_host_does() {
    let changes = bench::count("NOMAD86_FAULT_CHANGES", 100);
    for recompiler in [false, cfg!(target_arch = "x86_64")] {
        let mut scene = Scene::new(recompiler);
        scene.lives("at first");
        let mut rng = Rng::new(86);
        let mut longest = Duration::ZERO;
        for _ in 0..changes {
            scene.change(&mut rng);
            let begun = Instant::now();
            scene.machine.run(&mut scene.host, SLICE);
            longest = longest.max(begun.elapsed());
        }
        // On a busy host the program itself may not run for a while.
        assert!(longest < Duration::from_secs(20), "a slice of {SLICE:?} took {longest:?}");
        scene.heal();
        scene.lives("when all is well again");
        println!("recompiler {recompiler}: {changes} changes, longest slice {longest:?}");
    }
}

/// Each fault by itself, so that one that hides behind another is found as well.
#[test]
fn a_machine_goes_on_with_each_fault_of_its_host() {
    type Break = fn(&Scene);
    let faults: [(&str, Break); 11] = [
        ("a clock a day ahead", |s| s.clock.jump(86_400 * SECOND)),
        ("a clock a day behind", |s| s.clock.jump(-86_400 * SECOND)),
        ("civil time far off", |s| s.clock.set_civil(i64::MIN / 2)),
        ("no display", |s| s.gone.set(1)),
        ("a cut cable", |s| s.network.cut.set(1)),
        ("pieces of frames", |s| s.network.pieces.set(1600)),
        ("sound at 1 Hz", |s| s.rate.set(1)),
        ("sound at 4 GHz", |s| s.rate.set(u32::MAX)),
        ("a line that never stops", |s| s.talks.set(b'x'.into())),
        ("a user who never stops", |s| s.busy.set(1)),
        ("a disk that fails", |s| s.disk.add(Fault::Short(0))),
    ];
    for (what, fail) in faults {
        let mut scene = Scene::new(false);
        println!("{what}");
        fail(&scene);
        scene.lives(what);
        scene.heal();
        scene.lives("when all is well again");
    }
}

/// Time that stands still: the slice's end does not come, and the slice ends all the same.
#[test]
fn a_clock_that_stands_still_does_not_hold_a_slice() {
    for recompiler in [false, cfg!(target_arch = "x86_64")] {
        let mut scene = Scene::new(recompiler);
        scene.lives("at first");
        scene.clock.stop(true);
        let begun = Instant::now();
        scene.machine.run(&mut scene.host, SLICE);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        scene.clock.stop(false);
        scene.lives("when it goes again");
    }
}
