//! The guest, booted once for all tests, and a machine with a console around it.

use nomad86::config::{Card, CardModel, ClockMode, Config, Kernel};
use nomad86::host::{Host, Network};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use nomad86::snapshot::{self, RestoreOptions};
use nomad86_host::code::DualMapping;
use nomad86_host::console::Line;
use nomad86_host::guest;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The address of the guest that was saved.
pub(crate) const MAC: MacAddress = MacAddress([0x52, 0x54, 0x00, 0x86, 0x00, 0x01]);

/// `full` for a release, `few` on every change.
pub(crate) fn scaled(few: u64, full: u64) -> u64 {
    if std::env::var_os("NOMAD86_FULL").is_some_and(|set| set == "1") { full } else { few }
}

/// A machine and the far end of its first serial line.
pub(crate) struct Pc {
    pub(crate) machine: Machine,
    pub(crate) host: Host,
    console: Line,
    pub(crate) heard: Vec<u8>,
}

/// What executes the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Interpreter,
    Recompiler,
}

impl Pc {
    fn new(machine: Machine, engine: Engine) -> Self {
        let console = Line::default();
        let mut host = Host::null();
        host.serial[0] = Box::new(console.clone());
        let mut pc = Self { machine, host, console, heard: Vec::new() };
        if engine == Engine::Recompiler
            && let Ok(memory) = DualMapping::new(32 << 20)
        {
            pc.machine.use_jit(Box::new(memory), false);
        }
        pc
    }

    /// The machine of an image.
    pub(crate) fn restore(image: &[u8], options: RestoreOptions, engine: Engine) -> Self {
        let config = snapshot::config(&mut &*image).expect("the image has a configuration");
        let memory = GuestMemory::allocate(config.memory_needed()).expect("there is memory");
        let restored = Machine::restore(config, memory, &mut &*image, options).expect("the image is whole");
        assert!(restored.unknown.is_empty() && restored.missing.is_empty(), "{restored:?}");
        Self::new(restored.machine, engine)
    }

    /// Puts another machine in place of the present one, with the same world around it.
    pub(crate) fn replace(&mut self, image: &[u8]) {
        self.machine = Self::restore(image, preserving(), Engine::Interpreter).machine;
    }

    pub(crate) fn plug(mut self, network: impl Network + 'static) -> Self {
        self.host.networks.push(Box::new(network));
        self
    }

    pub(crate) fn save(&mut self) -> Vec<u8> {
        let mut image = Vec::new();
        self.machine.save(&mut image).expect("memory takes it");
        image
    }

    /// Runs for some virtual time.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.machine.now() + time;
        while self.machine.now() < end {
            let left = end - self.machine.now();
            let exit = self.machine.run(&mut self.host, left.min(Duration::from_millis(10)));
            self.console.take(&mut self.heard);
            match exit {
                Exit::Budget | Exit::Idle { .. } => {}
                other => panic!("{other:?}, after\n{}", self.text()),
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    pub(crate) fn send(&mut self, text: &str) {
        assert_eq!(self.console.give(text.as_bytes()), text.len());
    }

    /// Whether `text` comes within some virtual time.
    pub(crate) fn hears(&mut self, text: &str, within: Duration) -> bool {
        let (end, stop) = (self.machine.now() + within, Instant::now() + Duration::from_secs(240));
        while !self.text().contains(text) {
            if self.machine.now() >= end || Instant::now() > stop {
                return false;
            }
            self.run(Duration::from_millis(20));
        }
        true
    }

    pub(crate) fn expect(&mut self, text: &str, within: Duration) {
        assert!(self.hears(text, within), "{text:?} is missing in\n{}", self.text());
    }

    /// Has the guest's shell execute a line, and returns what it printed.
    pub(crate) fn shell(&mut self, line: &str, within: Duration) -> String {
        self.heard.clear();
        self.send(&format!("{line}; echo do''ne-$?\n"));
        self.expect("done-", within);
        self.run(Duration::from_millis(20));
        // Behind the echo of the line.
        let text = self.text();
        text.split_once('\n').map_or("", |(_, rest)| rest).to_owned()
    }
}

/// The machine exactly as it was saved.
pub(crate) fn preserving() -> RestoreOptions {
    RestoreOptions { mac: nomad86::net::MacPolicy::Preserve, seed: 0 }
}

/// The saved guest at its shell: 64 MiB, one card, virtual clock.
pub(crate) fn image() -> Option<&'static [u8]> {
    static IMAGE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    IMAGE.get_or_init(|| boot(64 << 20, ClockMode::Virtual { picoseconds: 2000 })).as_deref()
}

/// Boots the guest to its shell and saves it.
pub(crate) fn boot(memory: usize, clock: ClockMode) -> Option<Vec<u8>> {
    let files = match guest::debian(&guest::cache_folder(), &mut |_| {}) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("SKIPPED: no guest to boot: {error}");
            return None;
        }
    };
    let read = |path: &std::path::Path| std::fs::read(path).expect("the guest's files are there");
    let kernel = Kernel {
        image: read(&files.kernel).into(),
        initrd: Some(read(&files.initrd).into()),
        command_line: "console=ttyS0 quiet".into(),
        ..Kernel::default()
    };
    let config = Config {
        memory,
        video_memory: 1 << 20,
        clock,
        kernel: Some(kernel),
        cards: vec![Card { model: CardModel::Ne2kPci, mac: MAC }],
        ..Config::default()
    };
    let host_memory = GuestMemory::allocate(config.memory_needed()).expect("there is memory");
    let machine = Machine::new(config, host_memory).expect("the machine can be built");
    let mut pc = Pc::new(machine, Engine::Recompiler);
    pc.expect("nomad86: ready", Duration::from_secs(120));
    pc.shell("killall udhcpc", Duration::from_secs(20));
    pc.run(Duration::from_secs(2));
    Some(pc.save())
}

/// A program for the guest that keeps processor, memory, timers, processes and the card busy.
pub(crate) const BUSY: &str = "ip address add 10.9.9.2/24 dev eth0; \
    (while :; do md5sum /bin/busybox; ls -lR /sys/devices/system >/dev/null; \
    gzip -c /bin/busybox | gunzip | sha1sum; awk 'BEGIN { for (i = 0; i < 9999; i++) s += sin(i) * i; print s }'; \
    hwclock -u; done >/dev/null 2>&1 &) ; (while :; do ping -c 1 -W 1 10.9.9.1 >/dev/null; done &)";

/// A station that answers who-has and echo requests for every address, the same way every time.
#[derive(Default)]
pub(crate) struct Echo {
    waiting: std::collections::VecDeque<Vec<u8>>,
}

impl Network for Echo {
    fn transmit(&mut self, frame: &[u8]) {
        const OWN: [u8; 6] = [2, 0x86, 0, 0, 0, 1];
        let mut reply = frame.to_vec();
        reply[..6].copy_from_slice(&frame[6..12]);
        reply[6..12].copy_from_slice(&OWN);
        match frame.get(12..14) {
            // ARP, a request.
            Some([8, 6]) if frame.len() >= 42 && frame[21] == 1 => {
                reply[21] = 2;
                reply[22..28].copy_from_slice(&OWN);
                reply[28..32].copy_from_slice(&frame[38..42]);
                reply[32..42].copy_from_slice(&frame[22..32]);
            }
            // ICMP, an echo request: the sum of the words does not change when addresses are exchanged.
            Some([8, 0]) if frame.len() >= 42 && frame[23] == 1 && frame[34] == 8 => {
                reply[26..30].copy_from_slice(&frame[30..34]);
                reply[30..34].copy_from_slice(&frame[26..30]);
                reply[34] = 0;
                let sum = u32::from(u16::from_be_bytes([frame[36], frame[37]])) + 0x800;
                let sum = (sum & 0xFFFF) + (sum >> 16);
                reply[36..38].copy_from_slice(&(sum as u16).to_be_bytes());
            }
            _ => return,
        }
        if self.waiting.len() < 64 {
            self.waiting.push_back(reply);
        }
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.waiting.pop_front()?;
        buffer[..frame.len()].copy_from_slice(&frame);
        Some(&buffer[..frame.len()])
    }
}
