//! What fuzzing starts from: what drivers do and what networks carry, as inputs of the targets.

use crate::input::Step;
use nomad86::board::Width::{self, Byte, Dword, Word};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Inputs for a target: those that are written here, and those of `found/TARGET/`, which fuzzing came upon and which
/// reach lines that the others do not.
///
/// # Panics
/// When a file that was found cannot be read.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target);
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    // In the same order everywhere.
    let files: BTreeMap<_, _> = files.map(|file| (file.file_name(), file.path())).collect();
    let found = files.values().map(|path| fs::read(path).expect("what was found is readable"));
    written(target).into_iter().chain(found).collect()
}

fn written(target: &str) -> Vec<Vec<u8>> {
    match target {
        "ne2k" => ne2k(),
        "translate" => frames().into_iter().flat_map(|f| [with(0, &f), with(1, &f)]).collect(),
        "relay_client" => messages(false),
        "relay_server" => messages(true),
        "ide" => ide(),
        "floppy" => floppy(),
        "vga" => vga(),
        "timers" => timers(),
        "ps2" => ps2(),
        "uart" => uart(),
        "pci" => pci(),
        "sb16" => sb16(),
        "fw_cfg" => fw_cfg(),
        "machine" => machine(),
        "config" => config(),
        // Nothing changed; a device's register; the header.
        "state_image" => {
            vec![vec![2], vec![2, 3, 0, 0, 0xFF, 5, 9, 0, 0x80], vec![0, 0, 8, 0, 2], vec![1, 0x6E]]
        }
        "decode" => instructions().into_iter().flat_map(|i| [with(0, &i), with(1, &i)]).collect(),
        "engines" => {
            let programs = machine().into_iter().chain([instructions().concat()]);
            programs.map(|p| with(0, &p)).chain((0..8).map(|n| vec![0x7D, n, 1, 2, 3])).collect()
        }
        "cpu_native" => (0..8).map(|n| vec![n, 86, 2]).collect(),
        _ => Vec::new(),
    }
}

fn with(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(rest);
    bytes
}

fn script(steps: &[Step]) -> Vec<u8> {
    let mut bytes = vec![0];
    for step in steps {
        step.write(&mut bytes);
    }
    bytes
}

fn out(port: u8, value: u8) -> Step {
    Step::Out(port, Byte, u32::from(value))
}

fn outw(port: u8, value: u16) -> Step {
    Step::Out(port, Word, u32::from(value))
}

fn outs(pairs: &[(u8, u8)]) -> Vec<Step> {
    pairs.iter().map(|(port, value)| out(*port, *value)).collect()
}

fn inb(port: u8) -> Step {
    Step::In(port, Byte)
}

/// Reads of one port.
fn many(port: u8, width: Width, count: usize) -> Vec<Step> {
    vec![Step::In(port, width); count]
}

fn wait(ns: u32) -> Step {
    Step::Wait(ns)
}

/// As Linux brings a card at `base` of its family's ports up.
fn ne2k_up(base: u8) -> Vec<Step> {
    let registers =
        |pairs: &[(u8, u8)]| pairs.iter().map(|(at, value)| out(base + at, *value)).collect::<Vec<_>>();
    let mut steps = vec![inb(base + 0x1F), out(base + 0x1F, 0xFF), inb(base + 7)];
    steps.extend(registers(&[
        (0, 0x21),
        (0x0E, 0x49),
        (0x0A, 0x20),
        (0x0B, 0),
        (0x0C, 0x20),
        (0x0D, 2),
        (0x0F, 0),
        (7, 0xFF),
        (8, 0),
        (9, 0),
        (0, 0x0A),
    ]));
    steps.extend(many(base + 0x10, Word, 16));
    steps.extend(registers(&[
        (0x0D, 0),
        (0x0C, 4),
        (4, 0x40),
        (1, 0x4C),
        (3, 0x4C),
        (2, 0x80),
        (7, 0xFF),
        (0, 0x61),
    ]));
    steps.extend(GUEST.into_iter().enumerate().map(|(n, byte)| out(base + 1 + n as u8, byte)));
    steps.extend((0..8).map(|n| out(base + 8 + n, 0xFF)));
    steps.extend(registers(&[(7, 0x4D), (0, 0x21), (0x0F, 0x3F), (0, 0x22)]));
    steps
}

/// Remote DMA of `count` bytes at `address` of the card's memory: `command` is 0Ah to read, 12h to write.
fn ne2k_dma(base: u8, address: u16, count: u16, command: u8) -> Vec<Step> {
    let ([a, b], [c, d]) = (address.to_le_bytes(), count.to_le_bytes());
    [(0, 0x22), (0x0A, c), (0x0B, d), (8, a), (9, b), (0, command)]
        .map(|(at, value)| out(base + at, value))
        .into()
}

/// The chip by itself.
fn ne2k() -> Vec<Vec<u8>> {
    let up = ne2k_up(0);
    // A frame out.
    let mut steps = up.clone();
    steps.extend(outs(&[(0, 0x22), (8, 0x42), (9, 0), (0, 0x0A)]));
    steps.extend(ne2k_dma(0, 0x4000, 60, 0x12));
    steps.push(Step::Repeat(0x10, Word, vec![0xAA; 60]));
    steps.extend(outs(&[(7, 0x40), (5, 60), (6, 0), (4, 0x40), (0, 0x26)]));
    steps.push(inb(7));
    let sent = script(&steps);
    // Frames in, read from the ring.
    let mut steps = up.clone();
    steps.extend(frames().into_iter().map(Step::Outside));
    steps.extend(outs(&[(0, 0x62)]));
    steps.push(inb(7));
    steps.extend(ne2k_dma(0, 0x4D00, 4, 0x0A));
    steps.extend(many(0x10, Dword, 1));
    steps.extend(ne2k_dma(0, 0x4D04, 60, 0x0A));
    steps.extend(many(0x10, Word, 30));
    steps.push(out(3, 0x4E));
    let received = script(&steps);
    // Loopback, overflow, stop in the middle.
    let mut steps = up.clone();
    for mode in [2, 4, 6] {
        steps.extend(outs(&[(0, 0x21), (0x0D, mode), (0, 0x22), (5, 60), (6, 0), (4, 0x40), (0, 0x26)]));
        steps.extend(many(6, Byte, 9));
    }
    steps.extend(outs(&[(0, 0x21), (0x0D, 0), (0, 0x22)]));
    steps.extend((0..60).map(|_| Step::Outside(vec![0xFF; 1514])));
    steps.extend([inb(7), inb(0x0D), inb(0x0F), out(0, 0x21), out(0, 0x22), Step::Act(0)]);
    let loops = script(&steps);
    // Every register of every page, in every width, with what it takes.
    let mut steps = up.clone();
    for page in [0x22, 0x62, 0xA2, 0xE2] {
        steps.push(out(0, page));
        for port in 0..=0x1F {
            steps.extend([Byte, Word, Dword].map(|width| Step::In(port, width)));
        }
        for port in 1..=0x1F {
            steps.extend([Step::Out(port, Byte, 0x5A), Step::Out(port, Dword, 0x0102_0304), out(0, page)]);
        }
    }
    let registers = script(&steps);
    // Received and refused: by address, by kind, by errors, in monitor mode, with promiscuity.
    let mut steps = up.clone();
    let frame = |destination: [u8; 6], len: usize| {
        let mut bytes = ethernet(destination, WIRE, 0x0800, &[]);
        bytes.resize(len, 0x11);
        Step::Outside(bytes)
    };
    for receive in [0, 4, 8, 0x10, 0x20, 0x1F, 0x3F] {
        steps.extend(outs(&[(0, 0x22), (0x0C, receive)]));
        for destination in [GUEST, WIRE, [0xFF; 6], [1, 0, 0x5E, 0, 0, 1]] {
            steps.extend([60, 13, 14, 59, 1518, 1519, 0].map(|len| frame(destination, len)));
        }
    }
    steps.extend(outs(&[(0, 0x22), (1, 0x80), (2, 0x4C), (3, 0xFF)]));
    steps.push(frame(GUEST, 60));
    let filtered = script(&steps);
    // Rings as they should not be, DMA where there is nothing, sending what is not there.
    let mut steps = up;
    for (first, end, boundary) in [(0x4C, 0x4C, 0x4C), (0, 0xFF, 0), (0x7F, 0x80, 0x7F), (0xF0, 0xFF, 0x10)] {
        steps.extend(outs(&[
            (0, 0x21),
            (1, first),
            (2, end),
            (3, boundary),
            (0, 0x61),
            (7, first),
            (0, 0x22),
        ]));
        steps.extend([60, 1514].map(|len| frame(GUEST, len)));
    }
    for address in [0, 0x20, 0x3FFF, 0x7FFE, 0x8000, 0xFFFF] {
        for command in [0x0A, 0x12, 0x1A] {
            steps.extend(ne2k_dma(0, address, 5, command));
            steps.extend([Step::In(0x10, Word), Step::Out(0x10, Word, 0xBEEF), Step::In(0x10, Dword)]);
        }
    }
    for (page, count) in [(0x40, 0), (0x40, 13), (0x40, 1519), (0x7F, 1514), (0xFF, 0xFFFF_u16)] {
        let [low, high] = count.to_le_bytes();
        steps.extend(outs(&[(0, 0x22), (4, page), (5, low), (6, high), (0, 0x26)]));
    }
    steps.extend(outs(&[(7, 0xFF), (0x0F, 0), (0x0E, 0x48), (0, 0x22)]));
    let odd = script(&steps);
    let mut all = vec![sent, received, loops, registers, filtered, odd];
    // The same with registers from an image.
    all.push([&[1, 16, 0][..], &[0xFF; 16], &all[1][1..]].concat());
    all.extend(cards());
    all
}

/// Cards in a machine, one on ISA (ports 0 on) and one on PCI (ports 32 on); 64 on is the way to configuration
/// space.
fn cards() -> Vec<Vec<u8>> {
    let machine = |steps: &[Step]| with(2, &script(steps));
    let frames = || {
        frames().into_iter().flat_map(|frame| {
            let longer = [&frame[..], &[0]].concat();
            [Step::Outside(frame), Step::Outside(longer)]
        })
    };
    let mut both = ne2k_up(0);
    both.extend(ne2k_up(32));
    // Traffic with and without translation, in blocks; a guest that does not look; hot plug.
    let mut traffic = both.clone();
    traffic.extend([Step::Act(7), Step::Act(15)]);
    for policy in 0..3 {
        traffic.extend([Step::Act(policy << 4 | 2), Step::Act(policy << 4 | 10)]);
        traffic.extend(frames());
        for base in [0, 32] {
            traffic.extend(ne2k_dma(base, 0x4000, 64, 0x12));
            traffic.extend([Step::Act(if base == 0 { 0x46 | 8 } else { 0x46 })]);
            traffic.extend([(5, 60), (6, 0), (4, 0x40), (0, 0x26)].map(|(at, value)| out(base + at, value)));
            traffic.extend(ne2k_dma(base, 0x4C00, 64, 0x0A));
            traffic.extend([Step::Act(if base == 0 { 0x45 | 8 } else { 0x45 })]);
            traffic.extend([out(base + 7, 0xFF), inb(base + 7)]);
        }
    }
    traffic.extend([Step::Act(0xFC), out(32 + 7, 0xFF), Step::Act(0), inb(32), Step::Act(1), Step::Act(7)]);
    // The boot ROM, with a base and without; the card's ports elsewhere, and nowhere.
    let config = |register: u32| Step::Out(64, Dword, 0x8000_0000 | 5 << 11 | register);
    let data = |value: u32| Step::Out(68, Dword, value);
    let mut rom = vec![config(0x30), data(0xFEA0_0001), config(4), data(7)];
    for offset in [0, 0x18, 0x20, 0x24, 0x7FC, 0x800] {
        rom.extend([Byte, Word, Dword].map(|width| Step::Load(offset, width)));
    }
    rom.extend([Step::Store(0, Dword, 0), config(0x30), data(0xFEA0_0000), Step::Load(0, Dword)]);
    rom.extend(both.iter().skip(80).cloned());
    rom.extend([config(0x10), data(0x300), Step::In(0, Word), config(0x10), data(0xFFFF_FFE0), inb(32)]);
    rom.extend([config(4), data(0), inb(32), out(32, 0x21), Step::Act(0x2E), Step::Act(0x2D), Step::Act(3)]);
    vec![machine(&traffic), machine(&rom), [&[2, 1, 8, 0][..], &[0xFF; 8], &script(&both)[1..]].concat()]
}

const GUEST: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const WIRE: [u8; 6] = [0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23];

fn ethernet(destination: [u8; 6], source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [destination, source].concat();
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    let sum = !nomad86::net::checksum::sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    packet.extend((8 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn dhcp(options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0, 1, 2, 3, 4];
    message.resize(28, 0);
    message.extend(GUEST);
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend(options);
    message
}

/// One frame of each protocol that mentions hardware addresses.
#[must_use]
pub fn frames() -> Vec<Vec<u8>> {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &GUEST, &[10, 0, 2, 15], &WIRE, &[10, 0, 2, 2]].concat();
    let client_id = [&[53, 1, 1, 61, 7, 1][..], &GUEST, &[52, 1, 3, 255]].concat();
    let duid = [&[53, 1, 3, 61, 19, 255, 0, 0, 0, 1, 0, 1, 0, 1, 1, 2, 3, 4][..], &GUEST, &[255]].concat();
    let discover = ipv4(17, &udp(68, 67, &dhcp(&client_id)));
    let request = ipv4(17, &udp(68, 67, &dhcp(&duid)));
    let magic = [vec![0xFF; 6], GUEST.repeat(16)].concat();
    let mut solicitation = vec![135, 0, 0, 0, 0, 0, 0, 0];
    solicitation.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    solicitation.extend(GUEST);
    let ipv6 = |next: u8, payload: &[u8]| {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next, 255]);
        packet.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        packet.extend([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0, 0, 1]);
        packet.extend(payload);
        packet
    };
    let dhcpv6 = [&[1, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1][..], &GUEST].concat();
    let tagged = |inner: u16, payload: &[u8]| {
        let mut bytes = vec![0, 5];
        bytes.extend(inner.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    let ipx = [&[0xFF, 0xFF, 0, 30, 0, 4, 0, 0, 0, 1][..], &WIRE, &[4, 0x51, 0, 0, 0, 1], &GUEST, &[4, 0x51]]
        .concat();
    vec![
        ethernet([0xFF; 6], GUEST, 0x0806, &arp),
        ethernet([0xFF; 6], GUEST, 0x0800, &discover),
        ethernet([0xFF; 6], GUEST, 0x0800, &request),
        ethernet(WIRE, GUEST, 0x0842, &magic),
        ethernet(WIRE, GUEST, 0x0800, &ipv4(17, &udp(9, 9, &magic))),
        ethernet([0x33, 0x33, 0xFF, 0, 0, 1], GUEST, 0x86DD, &ipv6(58, &solicitation)),
        ethernet(WIRE, GUEST, 0x86DD, &ipv6(17, &udp(546, 547, &dhcpv6))),
        ethernet(WIRE, GUEST, 0x8100, &tagged(0x0806, &arp)),
        ethernet(WIRE, GUEST, 0x88A8, &tagged(0x8100, &tagged(0x0800, &discover))),
        ethernet(WIRE, GUEST, 0x8137, &ipx),
        ethernet(WIRE, GUEST, 33, &[&[0xE0, 0xE0, 3][..], &ipx].concat()),
        ethernet(
            [1, 0x80, 0xC2, 0, 0, 0x0E],
            GUEST,
            0x88CC,
            &[&[2, 7, 4][..], &GUEST, &[4, 7, 3], &GUEST, &[0, 0]].concat(),
        ),
    ]
}

/// WebSocket messages; those of clients are masked.
fn messages(masked: bool) -> Vec<Vec<u8>> {
    let message = |opcode: u8, payload: &[u8]| {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        if payload.len() < 126 {
            bytes.push(mask | payload.len() as u8);
        } else {
            bytes.push(mask | 126);
            bytes.extend((payload.len() as u16).to_be_bytes());
        }
        if masked {
            bytes.extend([0; 4]);
        }
        bytes.extend(payload);
        bytes
    };
    let stream = |messages: &[Vec<u8>]| {
        let all = messages.concat();
        let mut bytes = vec![0];
        for piece in all.chunks(8 * 20 + 1) {
            bytes.push(20);
            bytes.extend(piece);
        }
        bytes
    };
    let frames: Vec<Vec<u8>> = frames().iter().map(|frame| message(2, frame)).collect();
    vec![
        stream(&frames),
        stream(&[message(2, &[]), message(2, &[1; 13]), message(2, &[1; 14]), message(2, &[2; 1519])]),
        stream(&[message(1, b"text"), message(9, b"ping"), message(10, b"pong"), message(8, &[3, 0xE8])]),
        with(1, &[&[30][..], b"GET /room?token=x HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n"].concat()),
        with(1, &[&[30][..], b"HTTP/1.1 302 Found\r\nLocation: ws://other/\r\n\r\n"].concat()),
    ]
}

fn ide() -> Vec<Vec<u8>> {
    // Ports 0–7 are 1F0–1F7, 8 is 3F6, 9–16 are 170–177, 18 on are the bus masters.
    let command = |base: u8, count: u8, lba: u8, drive: u8, command: u8| {
        outs(&[
            (base + 2, count),
            (base + 3, lba),
            (base + 4, 0),
            (base + 5, 0),
            (base + 6, drive),
            (base + 7, command),
        ])
    };
    let mut identify = command(0, 0, 0, 0xA0, 0xEC);
    identify.push(wait(1_000_000));
    identify.extend(many(0, Word, 200));
    let mut read = command(0, 2, 1, 0xE0, 0x20);
    read.push(wait(1_000_000));
    read.extend(many(0, Dword, 128));
    read.push(wait(1_000_000));
    let mut write = command(0, 1, 5, 0xE0, 0x30);
    write.extend([wait(100_000), Step::Repeat(0, Word, vec![7; 512]), wait(1_000_000), inb(7)]);
    write.extend(command(0, 0, 0, 0xE0, 0xE7));
    let mut dma = vec![Step::Out(22, Dword, 0x1000)];
    dma.extend(command(0, 1, 1, 0xE0, 0xC8));
    dma.extend([out(18, 9), wait(2_000_000), inb(20), out(18, 0)]);
    let mut atapi = command(9, 0, 0, 0xA0, 0xA0);
    atapi.extend([
        wait(1000),
        Step::Repeat(9, Word, vec![0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0]),
        wait(1_000_000),
    ]);
    atapi.extend(many(9, Word, 18));
    atapi.extend(command(9, 0, 0, 0xA0, 0xA0));
    atapi.extend([Step::Repeat(9, Word, vec![0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]), wait(4_000_000)]);
    atapi.extend([Step::Act(4), wait(100_000), Step::Act(2), Step::Outside(vec![1, 2, 3, 1])]);
    let reset = vec![out(8, 4), wait(10_000), out(8, 0), wait(4_000_000), inb(7)];
    [identify, read, write, dma, atapi, reset].iter().map(|steps| script(steps)).collect()
}

fn floppy() -> Vec<Vec<u8>> {
    // Ports 0–5 are 3F0–3F5, 6 is 3F7, 7 on the 8237s.
    let fifo = |bytes: &[u8]| bytes.iter().map(|byte| out(5, *byte)).collect::<Vec<_>>();
    let mut start = vec![out(2, 0), wait(10_000), out(2, 0x1C), wait(4_000_000)];
    start.extend(fifo(&[8]));
    start.extend(many(5, Byte, 2));
    start.extend(fifo(&[3, 0xAF, 2]));
    start.extend(fifo(&[7, 0]));
    start.extend([wait(4_000_000)]);
    start.extend(fifo(&[8]));
    start.extend(many(5, Byte, 2));
    let mut read = start.clone();
    // Channel 2: mode, count, address, page, unmask.
    read.extend(outs(&[
        (7 + 0x0B, 0x46),
        (7 + 0x0C, 0),
        (7 + 4, 0),
        (7 + 4, 0x10),
        (7 + 5, 0xFF),
        (7 + 5, 1),
    ]));
    read.extend(outs(&[(7 + 16 + 1, 0), (7 + 0x0A, 2)]));
    read.extend(fifo(&[0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]));
    read.extend(vec![wait(4_000_000); 8]);
    read.extend(many(5, Byte, 7));
    let mut format = start.clone();
    format.extend(fifo(&[0x4D, 0, 2, 18, 0x54, 0xF6]));
    format.push(wait(4_000_000));
    let mut other = start;
    other.extend(fifo(&[0x10, 0x0E, 0x13, 0, 0x57, 0, 0x4A, 0, 0x12, 0x80, 0x94]));
    other.extend([wait(4_000_000), Step::Act(0), inb(6), Step::Act(15), inb(6)]);
    [read, format, other].iter().map(|steps| script(steps)).collect()
}

fn vga() -> Vec<Vec<u8>> {
    // Ports 0–11 are 3B0–3BB, 12–43 are 3C0–3DF, 44–47 are 1CE–1D1.
    let port = |at: u16| 12 + (at - 0x3C0) as u8;
    let mut planar = Vec::new();
    for (index, value) in [(0, 3), (1, 1), (2, 15), (3, 0), (4, 6)] {
        planar.push(outw(port(0x3C4), value << 8 | index));
    }
    for (index, value) in [(0, 0), (1, 0), (3, 0), (5, 0), (6, 5), (7, 15), (8, 0xFF)] {
        planar.push(outw(port(0x3CE), value << 8 | index));
    }
    for (index, value) in [(0x11, 0), (1, 79), (7, 0x3E), (9, 0x40), (0x12, 0xDF), (0x13, 40), (0x17, 0xE3)] {
        planar.push(outw(port(0x3D4), value << 8 | index));
    }
    planar.push(inb(port(0x3DA)));
    planar.extend(outs(&[(port(0x3C0), 0x10), (port(0x3C0), 1), (port(0x3C0), 0x20)]));
    planar.extend([Step::Store(100, Byte, 0xFF), Step::Load(100, Dword), Step::Act(0)]);
    let vbe = |pairs: &[(u16, u16)]| {
        let mut steps = Vec::new();
        for (index, value) in pairs {
            steps.extend([outw(44, *index), outw(45, *value)]);
        }
        steps.extend([Step::Store(0, Dword, 0x00FF_FFFF), Step::Act(0), Step::In(45, Word)]);
        steps
    };
    let modes = [
        vbe(&[(4, 0), (1, 1024), (2, 768), (3, 8), (4, 0x41)]),
        vbe(&[(4, 0), (1, 640), (2, 200), (3, 32), (4, 0x41), (6, 1280), (8, 100), (9, 50), (5, 1)]),
        vbe(&[(4, 0), (1, 0xFFFF), (2, 0xFFFF), (3, 24), (4, 1), (6, 0xFFFF), (8, 0xFFFF), (9, 0xFFFF)]),
    ];
    let text = vec![Step::Store(0x1_8000, Word, 0x0741), Step::Act(0), out(port(0x3C7), 0), inb(port(0x3C9))];
    modes.iter().chain([&planar, &text]).map(|steps| script(steps)).collect()
}

fn timers() -> Vec<Vec<u8>> {
    // Ports: 0–1 master, 2–3 slave, 4–5 ELCR, 6–9 PIT, 10 port 61, 11–12 CMOS, 13 on ACPI.
    let controllers =
        outs(&[(0, 0x11), (1, 8), (1, 4), (1, 1), (2, 0x11), (3, 0x70), (3, 2), (3, 1), (1, 0), (3, 0)]);
    let mut pit = controllers.clone();
    pit.extend(outs(&[(9, 0x34), (6, 0x9C), (6, 0x2E), (9, 0xB6), (8, 1), (8, 0), (10, 3)]));
    pit.extend([
        wait(4_000_000),
        Step::Act(1),
        out(0, 0x20),
        out(9, 0),
        inb(6),
        inb(6),
        out(9, 0xE2),
        inb(6),
    ]);
    let mut fast = controllers.clone();
    fast.extend(outs(&[(9, 0x14), (6, 1), (9, 0x31), (6, 0xFF), (6, 0xFF)]));
    fast.extend([wait(4_000_000), Step::Act(0), Step::Act(1)]);
    let mut rtc = controllers;
    rtc.extend(outs(&[(11, 0x0A), (12, 0x23), (11, 0x0B), (12, 0x7A), (11, 0x0C)]));
    rtc.extend([wait(4_000_000), inb(12), out(11, 0x80 | 0x7F), inb(12)]);
    let store = |at: u32, value: u32| Step::Store(at, Dword, value);
    let apic = vec![
        store(0xF0, 0x1FF),
        store(0x320, 0x2_0040),
        store(0x3E0, 0xB),
        store(0x380, 1000),
        wait(4_000_000),
        Step::Act(0),
        store(0xB0, 0),
        store(0x300, 0x4_0050),
        Step::Act(0),
        store(1 << 28, 0x10),
        store(1 << 28 | 0x10, 0x30),
        Step::Act(3),
        Step::Act(0),
        Step::Load(0x30, Dword),
    ];
    [pit, fast, rtc, apic].iter().map(|steps| script(steps)).collect()
}

fn ps2() -> Vec<Vec<u8>> {
    // Port 0 is 60, 1 is 64, 2 is 92.
    let start = outs(&[(1, 0xAA), (1, 0x60), (0, 0x47), (1, 0xAE), (1, 0xA8), (0, 0xFF)]);
    let mut keyboard = start.clone();
    keyboard.extend([
        wait(4_000_000),
        inb(0),
        out(0, 0xED),
        wait(1_000_000),
        out(0, 7),
        out(0, 0xF0),
        out(0, 1),
    ]);
    keyboard.extend([Step::Outside(vec![0, 30, 0, 0, 4, 30, 0, 0]), wait(4_000_000), inb(0)]);
    let mut mouse = start;
    for byte in [0xFF, 0xF3, 200, 0xF3, 100, 0xF3, 80, 0xF2, 0xF4, 0xE8, 3, 0xE9, 0xEB] {
        mouse.extend([out(1, 0xD4), out(0, byte), wait(1_000_000), inb(0)]);
    }
    mouse.extend([Step::Outside(vec![2, 50, 200, 1, 3, 7, 0, 0]), wait(4_000_000), inb(0), inb(1)]);
    [keyboard, mouse].iter().map(|steps| script(steps)).collect()
}

fn uart() -> Vec<Vec<u8>> {
    let mut steps = outs(&[(3, 0x83), (0, 1), (1, 0), (3, 3), (2, 0xC7), (4, 0x0B), (1, 0x0F)]);
    steps.extend([Step::Repeat(0, Byte, vec![b'a'; 40]), Step::Outside(vec![b'x'; 40]), wait(4_000_000)]);
    steps.extend([inb(2), inb(5), inb(0), inb(6), out(4, 0x1F), out(0, 1), wait(4_000_000), inb(0)]);
    steps.extend(outs(&[(3, 0x80), (0, 0), (1, 0), (3, 0), (0, 5)]));
    steps.push(wait(4_000_000));
    vec![script(&steps)]
}

fn pci() -> Vec<Vec<u8>> {
    let mut steps = Vec::new();
    for slot in 0..6_u32 {
        for register in [0, 4, 8, 0x10, 0x20, 0x3C] {
            steps.push(Step::Out(0, Dword, 0x8000_0000 | slot << 11 | register));
            steps.push(Step::In(4, Dword));
        }
        steps.extend([Step::Out(0, Dword, 0x8000_0010 | slot << 11), Step::Out(4, Dword, 0xFFFF_FFFF)]);
        steps.extend([Step::In(4, Dword), Step::Out(4, Dword, 0xC000 | slot << 8)]);
    }
    let acpi = vec![
        out(8, 0xF1),
        Step::In(10, Dword),
        outw(12, 0x0100),
        Step::Act(0),
        wait(4_000_000),
        outw(14, 0x2001),
    ];
    let hot = vec![
        Step::Act(1 | 5 << 2),
        Step::In(34, Dword),
        Step::Act(2 | 5 << 2),
        Step::Out(37, Byte, 0x20),
        Step::Act(3),
    ];
    vec![script(&steps), script(&acpi), script(&hot)]
}

fn sb16() -> Vec<Vec<u8>> {
    // Ports 0–15 are 220–22F, 16 on the 8237s.
    let dsp = |bytes: &[u8]| bytes.iter().map(|byte| out(0x0C, *byte)).collect::<Vec<_>>();
    let mut start = vec![out(6, 1), wait(10_000), out(6, 0), wait(200_000), inb(0x0A)];
    start.extend(dsp(&[0xE1, 0xD1]));
    start.extend(outs(&[(4, 0x80), (5, 2), (4, 0x81), (5, 0x22)]));
    // Channel 1, 256 bytes, auto-initialised.
    start.extend(outs(&[(16 + 0x0A, 5), (16 + 0x0C, 0), (16 + 0x0B, 0x59), (16 + 2, 0), (16 + 2, 0x20)]));
    start.extend(outs(&[(16 + 3, 0xFF), (16 + 3, 0), (16 + 16 + 3, 0), (16 + 0x0A, 1)]));
    let mut play = start.clone();
    play.extend(dsp(&[0x40, 0xA5, 0x48, 0x7F, 0, 0x1C]));
    play.extend([wait(4_000_000), inb(0x0E), wait(4_000_000), out(0x0C, 0xDA)]);
    let mut sixteen = start.clone();
    sixteen.extend(dsp(&[0x41, 0xAC, 0x44, 0xB6, 0x30, 0x7F, 0]));
    sixteen.extend([wait(4_000_000), inb(0x0F)]);
    let mut odd = start;
    odd.extend(dsp(&[0x40, 0xFF, 0x75, 0, 0, 0x80, 0, 0, 0xF2, 0xE0, 0x55, 0x10, 0x80]));
    odd.push(wait(4_000_000));
    [play, sixteen, odd].iter().map(|steps| script(steps)).collect()
}

fn fw_cfg() -> Vec<Vec<u8>> {
    let mut steps = Vec::new();
    for key in [0, 1, 5, 0x0D, 0x19, 0x20, 0x8000] {
        steps.push(outw(0, key));
        steps.extend(many(1, Byte, 20));
    }
    // A DMA request at 1000h: select the directory and read 16 bytes to 2000h.
    let request = [0, 0x19, 0, 0x0A, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0x20, 0];
    let dma = vec![
        Step::Outside(request.to_vec()),
        Step::Out(4, Dword, 0),
        Step::Out(8, Dword, 0x0010_0000),
        Step::In(4, Dword),
    ];
    vec![script(&steps), script(&dma)]
}

fn machine() -> Vec<Vec<u8>> {
    // A storm of port writes; a far call into nowhere; a string instruction over everything; HLT with timers.
    let storm = [0xB9, 0xFF, 0xFF, 0x89, 0xCA, 0xED, 0x89, 0xC8, 0xEE, 0xE2, 0xF8, 0xF4];
    let wild = [0xFC, 0xBF, 0, 0, 0x31, 0xC0, 0xB9, 0xFF, 0xFF, 0xF3, 0xAB, 0x9A, 0, 0, 0, 0xA0];
    let timers = [
        0xB0, 0x34, 0xE6, 0x43, 0xB0, 1, 0xE6, 0x40, 0xE6, 0x40, 0xB0, 0, 0xE6, 0x21, 0xFB, 0xF4, 0xEB, 0xFD,
    ];
    let protected = [
        0xFA, 0x2E, 0x0F, 0x01, 0x16, 0x40, 0, 0x0F, 0x20, 0xC0, 0x0C, 1, 0x0F, 0x22, 0xC0, 0xEA, 0x20, 0, 8,
        0,
    ];
    vec![storm.to_vec(), wild.to_vec(), timers.to_vec(), protected.to_vec()]
}

/// An instruction of each shape.
fn instructions() -> Vec<Vec<u8>> {
    [
        &[0x01, 0xD8][..],
        &[0x8B, 0x84, 0x88, 4, 3, 2, 1],
        &[0x66, 0x67, 0x8B, 0x40, 0x7F],
        &[0xF0, 0x0F, 0xB1, 0x0B],
        &[0xF3, 0xA5],
        &[0x0F, 0x38, 0x00, 0xC1],
        &[0x66, 0x0F, 0x3A, 0x0F, 0xC1, 4],
        &[0xF2, 0x0F, 0x58, 0x05, 0, 0, 1, 0],
        &[0xD9, 0xE8],
        &[0xDB, 0x2D, 0, 0, 1, 0],
        &[0xC8, 8, 0, 1],
        &[0x9A, 0, 0, 0, 0, 8, 0],
        &[0x0F, 0x84, 0, 0, 0, 0],
        &[0xC7, 0x05, 0, 0, 1, 0, 1, 2, 3, 4],
        &[0xF4],
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn config() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for text in [
        "user,model=ne2k_pci,mac=52:54:00:12:34:56,hostfwd=tcp::2222-:22",
        "tap,ifname=tap0,model=ne2k_isa,iobase=0x300,irq=3",
        "ws,url=wss://relay.example:8443/room?token=a,ca=/tmp/ca.pem",
        "hub,listen=127.0.0.1:9000",
        "none",
    ] {
        seeds.push(with(0, text.as_bytes()));
        seeds.push(with(1, text.as_bytes()));
    }
    seeds.push(with(1, b"ws://[::1]:8086/lan"));
    seeds.push(with(2, b"wss://user@host:65536/%00?#"));
    seeds.push(with(3, b"02-00-5e-10-00-01"));
    let mut multiboot = vec![0; 64];
    for (n, word) in [0x1BAD_B002_u32, 0x0001_0003, 0_u32.wrapping_sub(0x1BAD_B002 + 0x0001_0003), 0x10_0000]
        .iter()
        .enumerate()
    {
        multiboot[n * 4..n * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    seeds.push(with(4, &multiboot));
    let mut linux = vec![0; 2048];
    linux[0x1F1] = 1;
    linux[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
    linux[0x200..0x206].copy_from_slice(b"\xEB\x66HdrS");
    linux[0x206] = 0x0F;
    linux[0x207] = 2;
    linux[0x211] = 1;
    seeds.push(with(4, &linux));
    for text in
        ["file=a,,b.img,format=raw,if=ide,index=3,media=cdrom", "file=x,bus=1,unit=1,overlay=y,readonly=on"]
    {
        seeds.push(with(5, text.as_bytes()));
    }
    seeds
}
