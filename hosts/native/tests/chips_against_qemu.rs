//! Drives our chips and QEMU's through the same accesses and compares what they answer.
//!
//! QEMU's CPU halts for good in a BIOS of two instructions; its devices are reached through the test protocol
//! while the machine is stopped, so that its clock stands still. To let time pass it is continued for a
//! moment; its power-management timer then tells how long that was, and ours goes on by as much. Where QEMU is
//! absent, each test says so loudly and ends. Where the two are known to differ, our reading of the data
//! sheet stands, and the test keeps away from the difference and says why.
#![cfg(unix)]

use nomad86::board::{Board, Width};
use nomad86::config::Config;
use nomad86::devices::{Bus, Devices};
use nomad86::host::Host;
use nomad86::memory::{GuestMemory, Memory};
use nomad86::time::Instant;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Frequency of the power-management timer.
const PM_HERTZ: u64 = 3_579_545;
/// Its port once the chip set has been told.
const PM_BASE: u32 = 0xB000;

/// A stopped QEMU.
struct Qemu {
    child: Child,
    folder: PathBuf,
    control: ChildStdin,
    events: BufReader<ChildStdout>,
    commands: UnixStream,
    answers: BufReader<UnixStream>,
    /// Ticks of the power-management timer, all of them.
    ticks: u64,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Qemu {
    fn start() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("nomad86-chips-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut bios = vec![0xF4_u8; 0x1_0000];
        bios[0xFFF0..0xFFF4].copy_from_slice(&[0xFA, 0xF4, 0xEB, 0xFD]);
        std::fs::write(folder.join("bios"), bios).expect("a BIOS");
        let child = Command::new("qemu-system-i386")
            .current_dir(&folder)
            .args(
                "-S -machine pc -accel tcg -m 128 -display none -nodefaults -bios bios -qmp stdio".split(' '),
            )
            .args("-qtest unix:qtest,server=on,wait=off -qtest-log none".split(' '))
            .args("-rtc base=2024-02-28T23:59:50,clock=vm -serial null -serial null".split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            let _ = std::fs::remove_dir_all(&folder);
            eprintln!("SKIPPED: qemu-system-i386 is not installed, nothing was compared");
            return None;
        };
        let control = child.stdin.take().expect("a pipe");
        let mut events = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut greeting = String::new();
        events.read_line(&mut greeting).expect("QEMU greets");
        let commands = UnixStream::connect(folder.join("qtest")).expect("QEMU listens");
        let answers = BufReader::new(commands.try_clone().expect("a second handle"));
        let mut qemu = Self { child, folder, control, events, commands, answers, ticks: 0 };
        qemu.control("qmp_capabilities");
        // The power-management function, 00:01.3: its base and its enable bit.
        qemu.command("outl 0xcf8 0x80000b40");
        qemu.command(&format!("outl 0xcfc {:#x}", PM_BASE | 1));
        qemu.command("outl 0xcf8 0x80000b80");
        qemu.command("outb 0xcfc 0x1");
        Some(qemu)
    }

    fn control(&mut self, verb: &str) {
        writeln!(self.control, "{{\"execute\":\"{verb}\"}}").expect("QEMU takes commands");
        let mut line = String::new();
        while !line.starts_with("{\"return\"") {
            line.clear();
            assert_ne!(self.events.read_line(&mut line).expect("QEMU answers"), 0, "QEMU ended");
            assert!(!line.starts_with("{\"error\""), "QEMU says {line}");
        }
    }

    fn command(&mut self, command: &str) -> u64 {
        self.commands.write_all(format!("{command}\n").as_bytes()).expect("QEMU takes commands");
        let mut line = String::new();
        assert_ne!(self.answers.read_line(&mut line).expect("QEMU answers"), 0, "QEMU ended");
        let answer =
            line.strip_prefix("OK").unwrap_or_else(|| panic!("QEMU says {line} to {command}")).trim();
        match answer.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).expect("a number"),
            None => 0,
        }
    }

    /// The present, by the power-management timer.
    fn now(&mut self) -> Instant {
        let low = self.command(&format!("inl {:#x}", PM_BASE + 8)) & 0xFF_FFFF;
        self.ticks += low.wrapping_sub(self.ticks) & 0xFF_FFFF;
        Instant::at_tick(self.ticks, PM_HERTZ)
    }

    /// Lets time pass; no single piece of it is longer than that timer's period.
    fn run(&mut self, time: Duration) -> Instant {
        let mut left = time;
        loop {
            let piece = left.min(Duration::from_secs(2));
            self.control("cont");
            std::thread::sleep(piece);
            self.control("stop");
            let now = self.now();
            left -= piece;
            if left.is_zero() {
                return now;
            }
        }
    }
}

/// Our chips on a board without a CPU.
struct Ours {
    board: Board,
    devices: Devices,
    host: Host,
}

impl Ours {
    fn start() -> Self {
        let config = Config { memory: 128 << 20, video_memory: 1 << 20, floppies: 0, ..Config::default() };
        let block = GuestMemory::allocate(config.memory_needed()).expect("memory");
        let memory = Memory::new(block, config.memory, config.video_memory, 256 << 10).expect("it fits");
        let mut board = Board::new(memory);
        board.epoch = 1_709_164_790_000_000_000;
        let mut devices = Devices::new(&config, &mut board);
        let mut host = Host::null();
        devices.reset(&mut Bus { board: &mut board, host: &mut host });
        Self { board, devices, host }
    }

    fn settle(&mut self) {
        let pulses = self.board.irq.take_pulses();
        self.devices.pic.set_lines(self.board.irq.levels(), pulses);
    }

    fn out(&mut self, port: u16, value: u8) {
        let id = self.board.io.device(port).expect("a device");
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.devices.write(id, port, Width::Byte, value.into(), bus);
        self.settle();
    }

    fn inb(&mut self, port: u16) -> u8 {
        let id = self.board.io.device(port).expect("a device");
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        let value = self.devices.read(id, port, Width::Byte, bus) as u8;
        self.settle();
        value
    }

    fn run_to(&mut self, end: Instant) {
        while self.board.timers.next() <= end {
            self.board.now = self.board.timers.next();
            while let Some((timer, _)) = self.board.timers.pop(self.board.now) {
                let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
                self.devices.expire(timer, bus);
            }
            self.settle();
        }
        self.board.now = end;
    }
}

/// Both, and what was done to them lately.
struct Pair {
    ours: Ours,
    qemu: Qemu,
    log: Vec<String>,
    seed: u32,
}

impl Pair {
    fn start() -> Option<Self> {
        Some(Self { qemu: Qemu::start()?, ours: Ours::start(), log: Vec::new(), seed: 1 })
    }

    fn out(&mut self, port: u16, value: u8) {
        self.log.push(format!("out {port:03X},{value:02X}"));
        self.ours.out(port, value);
        self.qemu.command(&format!("outb {port:#x} {value:#x}"));
    }

    /// Our answer and QEMU's.
    fn both(&mut self, port: u16) -> (u8, u8) {
        let answers = (self.ours.inb(port), self.qemu.command(&format!("inb {port:#x}")) as u8);
        self.log.push(format!("in {port:03X} = {:02X} {:02X}", answers.0, answers.1));
        answers
    }

    fn same(&mut self, port: u16) -> u8 {
        let (ours, theirs) = self.both(port);
        assert_eq!(ours, theirs, "port {port:#x}, ours and theirs, after {}", self.story());
        ours
    }

    /// Lets at least `ns` pass and returns how long it was.
    fn step(&mut self, ns: u64) -> u64 {
        let before = self.ours.board.now;
        let now = self.qemu.run(Duration::from_nanos(ns));
        self.ours.run_to(now);
        self.log.push(format!("step {}", now.since(before)));
        now.since(before)
    }

    fn story(&self) -> String {
        self.log[self.log.len().saturating_sub(40)..].join("; ")
    }

    fn random(&mut self, below: u32) -> u32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.seed) * u64::from(below)) >> 32) as u32
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random(from.len() as u32) as usize]
    }

    fn program_pics(&mut self) {
        // QEMU's timer runs from reset on: here it counts once and is quiet.
        for (port, value) in [(0x43, 0x30), (0x40, 1), (0x40, 0)] {
            self.out(port, value);
        }
        self.step(100_000);
        for (port, value) in [
            (0x20, 0x11),
            (0xA0, 0x11),
            (0x21, 0x20),
            (0xA1, 0x28),
            (0x21, 4),
            (0xA1, 2),
            (0x21, 1),
            (0xA1, 1),
            (0x21, 0),
            (0xA1, 0),
        ] {
            self.out(port, value);
        }
    }
}

#[path = "chips/dma.rs"]
mod dma;
#[path = "chips/pci.rs"]
mod pci;
#[path = "chips/pic.rs"]
mod pic;
#[path = "chips/pit.rs"]
mod pit;
#[path = "chips/rtc.rs"]
mod rtc;
#[path = "chips/uart.rs"]
mod uart;
