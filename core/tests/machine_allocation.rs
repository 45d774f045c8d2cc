//! A machine that runs allocates nothing: not for instructions, blocks of code, ports, disks, pictures, sound or
//! frames. The command line's tests hold the same of a whole Debian, under both engines.

mod counting;

use counting::allocations;
use nomad86::config::{Card, CardModel, ClockMode, Config, IdeSlot};
use nomad86::host::{Audio, Disk, DiskError, Display, Host, Mode, Network, Rect, Surface};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

struct Sectors;

impl Disk for Sectors {
    fn sectors(&self) -> u64 {
        1000
    }
    fn read(&mut self, _lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        buffer.fill(0x41);
        Poll::Ready(Ok(()))
    }
    fn write(&mut self, _lba: u64, _data: &[u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Ok(()))
    }
}

/// A screen as large as any mode of the test.
struct Pixels(Vec<u32>);

impl Display for Pixels {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        let stride = mode.width as usize;
        (stride * mode.height as usize <= self.0.len()).then_some(Surface { pixels: &mut self.0, stride })
    }
    fn present(&mut self, _mode: Mode, _dirty: Rect) {}
}

/// A loudspeaker that counts frames.
struct Frames(Rc<Cell<usize>>);

impl Audio for Frames {
    fn rate(&self) -> u32 {
        48_000
    }
    fn play(&mut self, frames: &[[i16; 2]]) {
        self.0.set(self.0.get() + frames.len());
    }
}

/// A cable on which every frame comes back.
struct Mirror(Rc<Cell<usize>>, Option<[u8; 64]>);

impl Network for Mirror {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.set(self.0.get() + 1);
        let mut copy = [0xFF; 64];
        copy[..frame.len().min(64)].copy_from_slice(&frame[..frame.len().min(64)]);
        self.1 = Some(copy);
    }
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.1.take()?;
        buffer[..64].copy_from_slice(&frame);
        Some(&buffer[..64])
    }
}

/// Code that writes bytes to ports.
fn writes(list: &[(u16, u8)]) -> Vec<u8> {
    list.iter()
        .flat_map(|&(port, value)| [&[0xBA], &port.to_le_bytes()[..], &[0xB0, value, 0xEE]].concat())
        .collect()
}

/// Loops for some time, in which a chip comes out of its reset.
const DELAY: [u8; 5] = [0xB9, 0x00, 0x00, 0xE2, 0xFE];

/// Sound: the DSP plays from channel 1 for ever, and the speaker hums. A network card that takes everything.
#[rustfmt::skip]
fn set_up() -> Vec<u8> {
    let dsp = |value| (0x22C, value);
    let mut code = writes(&[(0x226, 1)]);
    code.extend(DELAY);
    code.extend(writes(&[(0x226, 0)]));
    code.extend(DELAY);
    code.extend([0xBA, 0x2A, 0x02, 0xEC]); // in al, 22Ah
    code.extend(writes(&[
        (0x224, 0x80), (0x225, 0x02), (0x224, 0x81), (0x225, 0x02), // IRQ 5, channel 1
        (0x0A, 0x05), (0x0C, 0), (0x0B, 0x59), (0x02, 0), (0x02, 0), (0x83, 0), (0x03, 0xFF), (0x03, 0), (0x0A, 0x01),
        dsp(0xD1), dsp(0x40), dsp(0xD3), dsp(0x48), dsp(0xFF), dsp(0x00), dsp(0x1C),
        (0x43, 0xB6), (0x42, 0x98), (0x42, 0x0A), (0x61, 0x03),
        (0x300, 0x21), (0x30E, 0x48), (0x30C, 0x1C), (0x304, 0x40), (0x301, 0x46), (0x302, 0x80), (0x303, 0x46),
        (0x30F, 0x3F), (0x300, 0x61), (0x307, 0x47), (0x300, 0x22), (0x30D, 0x00), (0x305, 60), (0x306, 0),
    ]));
    code
}

/// Sends a frame, and takes what has come out of the ring.
fn send() -> Vec<u8> {
    let mut code = writes(&[(0x300, 0x26)]);
    code.extend([0xBA, 0x07, 0x03, 0xEC]); // status
    code.extend(writes(&[(0x307, 0xFF), (0x300, 0x62)]));
    code.extend([0xBA, 0x07, 0x03, 0xEC, 0x88, 0xC4]); // mov ah, CURR
    code.extend(writes(&[(0x300, 0x22)]));
    code.extend([0x88, 0xE0, 0xFE, 0xC8, 0xBA, 0x03, 0x03, 0xEE]); // BNRY is the page before
    code
}

/// Fills the screen, reads a sector and prints it, writes code and calls it.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0xB8, 0x00, 0xB8, // again: mov ax, 0xB800
    0x8E, 0xC0, // mov es, ax
    0x31, 0xFF, // xor di, di
    0xB9, 0xD0, 0x07, // mov cx, 2000
    0x89, 0xD8, // mov ax, bx
    0xF3, 0xAB, // rep stosw
    0x43, // inc bx
    0xBA, 0xF6, 0x01, 0xB0, 0xE0, 0xEE, // device: master, LBA
    0xBA, 0xF2, 0x01, 0xB0, 0x01, 0xEE, // one sector
    0x42, 0x88, 0xD8, 0xEE, // its number
    0x42, 0xB0, 0x00, 0xEE,
    0x42, 0xB0, 0x00, 0xEE,
    0xBA, 0xF7, 0x01, 0xB0, 0x20, 0xEE, // READ SECTORS
    0xEC, // wait: in al, dx
    0xA8, 0x08, // test al, 8
    0x74, 0xFB, // jz wait
    0xBA, 0xF0, 0x01, // mov dx, 0x1F0
    0xB9, 0x00, 0x01, // mov cx, 256
    0x31, 0xFF, // xor di, di
    0xF3, 0x6D, // rep insw
    0x31, 0xC0, // xor ax, ax
    0x8E, 0xD8, // mov ds, ax
    0x8E, 0xD0, // mov ss, ax
    0xBC, 0x00, 0x70, // mov sp, 0x7000
    0x88, 0x1E, 0x01, 0x50, // mov [0x5001], bl
    0xC6, 0x06, 0x00, 0x50, 0xB0, // mov byte [0x5000], 0xB0 ; mov al, imm8
    0xC6, 0x06, 0x02, 0x50, 0xCB, // mov byte [0x5002], 0xCB ; retf
    0x9A, 0x00, 0x50, 0x00, 0x00, // call 0:0x5000
    0x38, 0xD8, // cmp al, bl
    0x75, 0xFE, // jne $
    0xFF, 0x06, 0x00, 0x60, // inc word [0x6000]
];

#[test]
fn a_guest_that_draws_reads_plays_sends_and_rewrites_its_code_allocates_nothing() {
    let mut bios = vec![0xF4; 0x1_0000];
    let (begin, round) = (set_up(), [CODE, &send()].concat());
    bios[..begin.len()].copy_from_slice(&begin);
    let end = begin.len() + round.len();
    bios[begin.len()..end].copy_from_slice(&round);
    let back = 0_u16.wrapping_sub(round.len() as u16 + 3).to_le_bytes();
    bios[end..end + 3].copy_from_slice(&[0xE9, back[0], back[1]]);
    bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0x00, 0x00, 0x00, 0xF0]);
    let config = Config {
        memory: 2 << 20,
        video_memory: 1 << 20,
        clock: ClockMode::Virtual { picoseconds: 10_000 },
        bios,
        ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Empty],
        cards: vec![Card {
            model: CardModel::Ne2kIsa { base: 0x300, irq: 9 },
            mac: MacAddress([0x52, 0x54, 0, 0, 0, 1]),
        }],
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    let (played, sent) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut host = Host {
        display: Box::new(Pixels(vec![0; 1024 * 768])),
        audio: Box::new(Frames(Rc::clone(&played))),
        networks: vec![Box::new(Mirror(Rc::clone(&sent), None))],
        ..Host::null()
    };
    host.drives.ide[0] = Some(Box::new(Sectors));
    machine.reset(&mut host);
    for slice in 0..25 {
        let (count, exit) = allocations(|| machine.run(&mut host, Duration::from_millis(10)));
        assert_eq!((count, exit), (0, Exit::Budget), "slice {slice}");
    }
    let received = machine.devices.ne2k.counters(0).map_or(0, |counters| counters.inbound);
    assert!(played.get() > 5000, "{} frames of sound", played.get());
    assert!(sent.get() > 10 && received > 10, "{} frames sent, {received} received", sent.get());
    let mut rounds = [0; 2];
    machine.read_memory(0x6000, &mut rounds);
    let rounds = u16::from_le_bytes(rounds);
    assert!(rounds > 10, "the guest went round {rounds} times");
}
