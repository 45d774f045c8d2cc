//! Two cards, ours and QEMU's, driven together.

use nomad86::board::Width;
use nomad86::devices::ne2k::chip::{Chip, Received, Wire};
use nomad86::devices::ne2k::regs::{cr, page0_read, page0_write, page1, page3};
use nomad86::net::MacAddress;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub(crate) const START: u8 = cr::STA | cr::RD_ABORT;
pub(crate) const STOP: u8 = cr::STP | cr::RD_ABORT;
/// Where the card's ports are put in QEMU.
const BASE: u32 = 0xC000;
/// Configuration address of the card, device 5.
const SLOT: u32 = 0x8000_0000 | 5 << 11;
const PATIENCE: Duration = Duration::from_secs(5);

/// QEMU with a CPU that halts in a BIOS of two instructions. It runs all the same: a stopped machine takes no
/// frames.
struct Qemu {
    folder: PathBuf,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    wire: UdpSocket,
    card: SocketAddr,
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
        let local = (Ipv4Addr::LOCALHOST, 0);
        let wire = UdpSocket::bind(local).expect("a port");
        wire.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let here = wire.local_addr().expect("an address");
        // A port that is free now, for QEMU.
        let card = UdpSocket::bind(local).and_then(|socket| socket.local_addr()).expect("a port");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("nomad86-ne2k-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut bios = vec![0xF4; 0x1_0000];
        bios[0xFFF0..0xFFF4].copy_from_slice(&[0xFA, 0xF4, 0xEB, 0xFD]);
        std::fs::write(folder.join("bios"), bios).expect("a BIOS");
        let child = Command::new("qemu-system-i386")
            .current_dir(&folder)
            .args(
                "-machine pc -accel tcg -bios bios -qtest stdio -qtest-log none -display none -nodefaults"
                    .split(' '),
            )
            .args(["-netdev", &format!("socket,id=wire,udp={here},localaddr={card}")])
            .args(["-device", &format!("ne2k_pci,netdev=wire,mac={MAC},addr=5")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let Ok(mut child) = child else {
            let _ = std::fs::remove_dir_all(&folder);
            return None;
        };
        let commands = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut qemu = Self { folder, child, commands, answers, wire, card };
        qemu.config_write(0x10, "l", BASE);
        qemu.config_write(0x04, "w", 1);
        Some(qemu)
    }

    fn command(&mut self, command: &str) -> u32 {
        self.commands
            .write_all(command.as_bytes())
            .and_then(|()| self.commands.write_all(b"\n"))
            .expect("QEMU listens");
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).expect("QEMU answers"), 0, "QEMU ended");
            if let Some(answer) = line.strip_prefix("OK") {
                let hex = answer.trim().trim_start_matches("0x");
                return if hex.is_empty() {
                    0
                } else {
                    u64::from_str_radix(hex, 16).expect("a number") as u32
                };
            }
            assert!(line.starts_with("IRQ"), "QEMU says {line} to {command}");
        }
    }

    fn config_write(&mut self, at: u32, width: &str, value: u32) {
        self.command(&format!("outl 0xcf8 {:#x}", SLOT | at));
        self.command(&format!("out{width} {:#x} {value:#x}", 0xCFC + (at & 3)));
    }

    /// Level of INTA#, from the status register.
    fn irq(&mut self) -> bool {
        self.command(&format!("outl 0xcf8 {:#x}", SLOT | 4));
        self.command("inw 0xcfe") & 8 != 0
    }
}

#[derive(Default)]
struct Sent(VecDeque<Vec<u8>>);

impl Wire for Sent {
    fn transmit(&mut self, frame: &mut [u8]) {
        self.0.push_back(frame.to_vec());
    }
}

/// How a driver brings the cards up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) ring: [u8; 4],
}

impl Default for Setup {
    fn default() -> Self {
        Self { ring: [0x4C, 0x80, 0x4D, 0x4C] }
    }
}

pub(crate) struct Pair {
    ours: Chip,
    out: Sent,
    theirs: Qemu,
    trace: VecDeque<String>,
    pub(crate) accesses: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

fn width_of(bytes: u16) -> (Width, char) {
    match bytes {
        1 => (Width::Byte, 'b'),
        2 => (Width::Word, 'w'),
        _ => (Width::Dword, 'l'),
    }
}

impl Pair {
    /// `None` when there is no QEMU.
    pub(crate) fn start() -> Option<Self> {
        let theirs = Qemu::start()?;
        let mut pair = Self {
            ours: Chip::new(MAC),
            out: Sent::default(),
            theirs,
            trace: VecDeque::new(),
            accesses: 0,
            sent: 0,
            received: 0,
        };
        pair.reset();
        Some(pair)
    }

    fn note(&mut self, line: String) {
        self.accesses += 1;
        if self.trace.len() == 60 {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    fn fail(&self, what: &str) -> ! {
        let trace: Vec<_> = self.trace.iter().map(String::as_str).collect();
        panic!("{}\n{what}", trace.join("\n"));
    }

    pub(crate) fn write(&mut self, offset: u16, bytes: u16, value: u32) {
        let (width, letter) = width_of(bytes);
        let value = value & width.ones();
        self.note(format!("out{letter} {offset:#x} {value:#x}"));
        self.ours.write(offset, width, value, &mut self.out);
        self.theirs.command(&format!("out{letter} {:#x} {value:#x}", BASE + u32::from(offset)));
    }

    /// A read whose answers may differ.
    pub(crate) fn read_both(&mut self, offset: u16, bytes: u16) -> [u32; 2] {
        let (width, letter) = width_of(bytes);
        let ours = self.ours.read(offset, width);
        let theirs = self.theirs.command(&format!("in{letter} {:#x}", BASE + u32::from(offset)));
        self.note(format!("in{letter} {offset:#x} -> {ours:#x}, QEMU {theirs:#x}"));
        [ours, theirs]
    }

    pub(crate) fn read(&mut self, offset: u16, bytes: u16) {
        self.read_masked(offset, bytes, u32::MAX);
    }

    fn read_masked(&mut self, offset: u16, bytes: u16, mask: u32) {
        let [ours, theirs] = self.read_both(offset, bytes);
        if ours & mask != theirs & mask {
            self.fail("the answers to the last read differ");
        }
    }

    pub(crate) fn outb(&mut self, offset: u16, value: u8) {
        self.write(offset, 1, u32::from(value));
    }

    pub(crate) fn set_rcr(&mut self, value: u8) {
        self.outb(0, START);
        self.outb(page0_write::RCR, value);
    }

    pub(crate) fn set_ring(&mut self, [pstart, pstop, curr, bnry]: [u8; 4]) {
        self.outb(0, START);
        self.outb(page0_write::PSTART, pstart);
        self.outb(page0_write::PSTOP, pstop);
        self.outb(page0_write::BNRY, bnry);
        self.outb(0, START | 1 << cr::PS_SHIFT);
        self.outb(page1::CURR, curr);
        self.outb(0, START);
    }

    pub(crate) fn pstop(&self) -> u8 {
        self.ours.ring().pstop
    }

    /// BNRY to the page before CURR: everything has been read.
    pub(crate) fn empty_ring(&mut self) {
        let ring = self.ours.ring();
        let bnry = if ring.curr == ring.pstart { ring.pstop - 1 } else { ring.curr - 1 };
        self.outb(0, START);
        self.outb(page0_write::BNRY, bnry);
    }

    pub(crate) fn bring_up(&mut self, setup: Setup) {
        use page0_write::*;
        self.outb(0, STOP);
        for (offset, value) in
            [(DCR, 0x49), (RBCR0, 0), (RBCR1, 0), (RSAR0, 0), (RSAR1, 0), (RCR, 4), (TCR, 0)]
        {
            self.outb(offset, value);
        }
        for (offset, value) in [(TPSR, 0x40), (TBCR0, 0), (TBCR1, 0), (IMR, 0)] {
            self.outb(offset, value);
        }
        self.outb(0, STOP | 1 << cr::PS_SHIFT);
        for (offset, octet) in (page1::PAR0..).zip(MAC.0) {
            self.outb(offset, octet);
        }
        for offset in page1::MAR0..=page1::MAR7 {
            self.outb(offset, 0);
        }
        self.outb(0, START);
        self.set_ring(setup.ring);
        self.outb(ISR, 0xFF);
    }

    /// Reset and bring up. What reset leaves behind differs and is listed.
    pub(crate) fn reset(&mut self) {
        self.read_both(0x1F, 1);
        self.write(0x1F, 1, 0xFF);
        self.bring_up(Setup::default());
    }

    pub(crate) fn stop_and_start(&mut self) {
        self.outb(0, STOP);
        self.compare_page0();
        self.outb(0, START);
    }

    /// Levels of both interrupt pins.
    pub(crate) fn pins(&mut self) -> [u32; 2] {
        [u32::from(self.ours.irq()), u32::from(self.theirs.irq())]
    }

    pub(crate) fn acknowledge(&mut self, bits: u8) {
        self.outb(0, START);
        self.outb(page0_write::ISR, bits);
    }

    pub(crate) fn remote(&mut self, command: u8, at: u16, count: u16) {
        self.outb(0, START);
        self.outb(page0_write::RBCR0, count as u8);
        self.outb(page0_write::RBCR1, (count >> 8) as u8);
        self.outb(page0_write::RSAR0, at as u8);
        self.outb(page0_write::RSAR1, (at >> 8) as u8);
        self.outb(0, cr::STA | command);
    }

    pub(crate) fn transmit_command(&mut self, page: u8, count: u16) {
        self.outb(0, START);
        self.outb(page0_write::TPSR, page);
        self.outb(page0_write::TBCR0, count as u8);
        self.outb(page0_write::TBCR1, (count >> 8) as u8);
        self.outb(0, START | cr::TXP);
    }

    /// Frames that ours and QEMU's sent; QEMU's is waited for `patience`.
    pub(crate) fn take_sent(&mut self, patience: Duration) -> [Option<Vec<u8>>; 2] {
        let mut room = [0; 0x1_0000];
        self.theirs.wire.set_read_timeout(Some(patience)).expect("a time limit");
        let theirs = self.theirs.wire.recv(&mut room).ok().map(|length| room[..length].to_vec());
        [self.out.0.pop_front(), theirs]
    }

    pub(crate) fn transmit(&mut self, page: u8, count: u16) {
        self.transmit_command(page, count);
        let [ours, theirs] = self.take_sent(PATIENCE);
        if ours.is_none() || ours != theirs {
            self.fail(&format!("sent {ours:02x?}\nQEMU {theirs:02x?}"));
        }
        self.sent += 1;
    }

    /// A frame reaches both; `true` when ours is to take it. The caller makes sure that there is room.
    pub(crate) fn arrive(&mut self, frame: &[u8]) -> bool {
        self.note(format!("a frame of {} bytes to {:02x?}", frame.len(), &frame[..6]));
        self.theirs.wire.send_to(frame, self.theirs.card).expect("QEMU's port");
        self.ours.receive(frame) == Received::Stored
    }

    /// A frame reaches both. When ours takes it, QEMU's CURR is waited for and the packets are compared.
    pub(crate) fn receive(&mut self, frame: &[u8]) {
        let before = self.ours.ring();
        if !self.arrive(frame) {
            return;
        }
        self.received += 1;
        let after = self.ours.ring();
        self.outb(0, START | 1 << cr::PS_SHIFT);
        let limit = Instant::now() + PATIENCE;
        while self.read_both(page1::CURR, 1)[1] as u8 != after.curr {
            if Instant::now() > limit {
                self.fail("QEMU's CURR did not follow");
            }
        }
        self.outb(0, START);
        self.outb(page0_write::DCR, 0x48);
        // The packet is read through the ring's end; the CRC behind it is in ours only: both get the same.
        let length = (frame.len() + 4) as u16;
        self.remote(cr::RD_READ, u16::from(before.curr) << 8, length + 4);
        for _ in 0..length {
            self.read(0x10, 1);
        }
        let [low, high] = [page0_read::CRDA0, page0_read::CRDA1].map(|offset| self.read_both(offset, 1)[0]);
        self.remote(cr::RD_WRITE, (high << 8 | low) as u16, 4);
        for _ in 0..4 {
            self.outb(0x10, 0xC5);
        }
        self.outb(0, START);
        self.outb(page0_write::DCR, 0x49);
    }

    pub(crate) fn compare_page0(&mut self) {
        let command = self.ours.read(0, Width::Byte) as u8;
        assert_eq!(command >> cr::PS_SHIFT, 0);
        // RST after a stop is listed.
        self.read_masked(page0_read::ISR, 1, if command & cr::STP != 0 { 0x7F } else { 0xFF });
        for offset in [0, page0_read::BNRY, page0_read::RSR, page0_read::CRDA0, page0_read::CRDA1] {
            self.read(offset, 1);
        }
        let [ours, theirs] = self.pins();
        if ours != theirs {
            self.fail(&format!("interrupt pin: ours {ours}, QEMU's {theirs}"));
        }
    }

    /// Every register that is not listed as different.
    pub(crate) fn compare(&mut self) {
        self.outb(0, START);
        self.compare_page0();
        // Bit 1 is listed.
        self.read_masked(page0_read::TSR, 1, !2);
        for offset in [0x05, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F] {
            self.read(offset, 1);
        }
        self.outb(0, START | 1 << cr::PS_SHIFT);
        for offset in 1..16 {
            self.read(offset, 1);
        }
        self.outb(0, START | 2 << cr::PS_SHIFT);
        self.read(1, 1);
        self.read(2, 1);
        self.outb(0, START | 3 << cr::PS_SHIFT);
        for offset in [page3::CONFIG0, page3::CONFIG2, page3::CONFIG3] {
            self.read(offset, 1);
        }
        self.outb(0, START);
    }
}
