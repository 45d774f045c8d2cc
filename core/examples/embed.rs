//! A machine inside a program: no display, and a network that is this program.
//!
//! The guest is 40 bytes of code, started by multiboot: it sends one frame through its NE2000. A real embedder
//! gives [`Kernel`] a Linux kernel, or [`Config::bios`] a BIOS and the drives a disk.
//! `cargo run --example embed`

use nomad86::config::{Card, CardModel, Config, Kernel};
use nomad86::host::{Clock, Host, Network};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use nomad86::time::{Duration, Instant};
use std::sync::mpsc::{Sender, channel};

/// The far end of the guest's cable. A hub, a TAP device or a test goes here.
struct Cable(Sender<Vec<u8>>);

impl Network for Cable {
    fn transmit(&mut self, frame: &[u8]) {
        let _ = self.0.send(frame.to_vec());
    }

    fn receive<'b>(&mut self, _buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        None
    }
}

/// The host's clock: the machine never reads one by itself.
struct Time(std::time::Instant);

impl Clock for Time {
    fn now(&mut self) -> Instant {
        Instant(self.0.elapsed().as_nanos() as u64)
    }

    fn wall(&mut self) -> i64 {
        0
    }
}

/// `out` instructions that have the card at port 300h send 60 bytes from its memory.
fn guest() -> Vec<u8> {
    const LOAD: u32 = 0x10_0000;
    // Multiboot: magic, flags (addresses follow), checksum, header, load, end, bss end, entry.
    let flags = 1 << 16;
    let magic = 0x1BAD_B002_u32;
    let header = [magic, flags, (magic + flags).wrapping_neg(), LOAD, LOAD, 0, 0, LOAD + 32];
    let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    // Stop, one-byte transfers, page 40h, 60 bytes, start, transmit.
    for (register, value) in [(0, 0x21), (14, 0x48), (4, 0x40), (5, 60), (6, 0), (0, 0x22), (0, 0x26)] {
        // MOV DX, port; MOV AL, value; OUT DX, AL.
        image.extend([0x66, 0xBA, register, 0x03, 0xB0, value, 0xEE]);
    }
    // HLT, again and again.
    image.extend([0xF4, 0xEB, 0xFD]);
    image
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let card = Card {
        model: CardModel::Ne2kIsa { base: 0x300, irq: 9 },
        mac: MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
    };
    let config = Config {
        memory: 8 << 20,
        kernel: Some(Kernel { image: guest().into(), ..Kernel::default() }),
        cards: vec![card],
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed())?;
    let mut machine = Machine::new(config, memory)?;

    let (sender, frames) = channel();
    let mut host = Host::null();
    host.clock = Box::new(Time(std::time::Instant::now()));
    host.networks.push(Box::new(Cable(sender)));
    // One slice after another; between two of them the program does what else it has to.
    for _ in 0..100 {
        match machine.run(&mut host, Duration::from_millis(10)) {
            Exit::PowerOff | Exit::TripleFault => break,
            _ => {}
        }
        if let Ok(frame) = frames.try_recv() {
            println!("the guest sent {} bytes after {} instructions", frame.len(), machine.cpu.count);
            return Ok(());
        }
    }
    Err("the guest sent nothing".into())
}
