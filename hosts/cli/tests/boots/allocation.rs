//! A whole Debian allocates nothing after its machine was built.

use super::counting::allocations;
use super::live::guest;
use nomad86::config::{Card, CardModel, ClockMode, Config, IdeSlot, Kernel};
use nomad86::host::{Console, Display, Host, Mode, Network, Rect, Surface};
use nomad86::machine::{Exit, Machine};
use nomad86::net::MacAddress;
use nomad86_host::code::DualMapping;
use nomad86_host::disk::MemoryDisk;
use nomad86_host::window;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A serial line whose text has its place from the start.
#[derive(Clone)]
struct Line(Rc<RefCell<(Vec<u8>, Vec<u8>)>>);

impl Line {
    fn new() -> Self {
        Self(Rc::new(RefCell::new((Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 10)))))
    }

    fn says(&self, text: &str) -> bool {
        self.0.borrow().0.windows(text.len()).any(|window| window == text.as_bytes())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().0).into_owned()
    }

    fn send(&self, text: &str) {
        self.0.borrow_mut().1.extend(text.bytes().rev());
    }
}

impl Console for Line {
    fn write(&mut self, byte: u8) {
        let text = &mut self.0.borrow_mut().0;
        if text.len() < text.capacity() {
            text.push(byte);
        }
    }
    fn read(&mut self) -> Option<u8> {
        self.0.borrow_mut().1.pop()
    }
}

struct Pixels(Vec<u32>);

impl Display for Pixels {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        let stride = mode.width as usize;
        (stride * mode.height as usize <= self.0.len()).then_some(Surface { pixels: &mut self.0, stride })
    }
    fn present(&mut self, _mode: Mode, _dirty: Rect) {}
}

/// A network on which somebody asks everybody for an address.
struct Questions(u32);

impl Network for Questions {
    fn transmit(&mut self, _frame: &[u8]) {}
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.0 += 1;
        if !self.0.is_multiple_of(50) {
            return None;
        }
        let frame = buffer.get_mut(..60)?;
        frame.fill(0);
        frame[..6].fill(0xFF);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame[22..32].copy_from_slice(&[2, 0, 0, 0, 0, 1, 10, 0, 2, 2]);
        frame[38..42].copy_from_slice(&[10, 0, 2, 15]);
        Some(&buffer[..60])
    }
}

#[test]
fn a_debian_that_uses_its_devices_allocates_nothing() {
    uses_its_devices(false);
}

#[test]
fn a_recompiled_debian_allocates_nothing() {
    uses_its_devices(true);
}

fn uses_its_devices(recompiles: bool) {
    let Some(guest) = guest() else { return };
    let config = Config {
        memory: 128 << 20,
        clock: ClockMode::Virtual { picoseconds: 8000 },
        kernel: Some(Kernel {
            image: std::fs::read(&guest.kernel).unwrap().into(),
            initrd: Some(std::fs::read(&guest.initrd).unwrap().into()),
            command_line: "console=tty0 console=ttyS0 quiet".into(),
            ..Kernel::default()
        }),
        ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Empty],
        cards: vec![Card { model: CardModel::Ne2kPci, mac: MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]) }],
        ..Config::default()
    };
    let (memory, windows) = window::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    if recompiles && !machine.use_jit(Box::new(DualMapping::new(64 << 20).unwrap()), false) {
        eprintln!("SKIPPED: this host has no recompiler");
        return;
    }
    if windows.is_some_and(|windows| machine.use_windows(windows))
        && let Some(windows) = machine.cpu.windows_mut()
    {
        // Every address space gets one at once.
        windows.set_threshold(0);
    }
    let line = Line::new();
    let mut host = Host {
        display: Box::new(Pixels(vec![0; 1 << 20])),
        networks: vec![Box::new(Questions(0))],
        ..Host::null()
    };
    host.serial[0] = Box::new(line.clone());
    host.drives.ide[0] = Some(Box::new(MemoryDisk::blank(32768)));
    host.drives.ide[2] = Some(Box::new(MemoryDisk::blank(8192).protected()));
    machine.reset(&mut host);
    let mut until = |text: &str| {
        for slice in 0..60_000 {
            let (count, exit) = allocations(|| machine.run(&mut host, Duration::from_millis(10)));
            assert_eq!(count, 0, "slice {slice}, recompiles: {recompiles}");
            if exit == Exit::PowerOff || line.says(text) {
                return;
            }
        }
        panic!("{text:?} did not come: {}", line.text());
    };
    until("nomad86: ready");
    line.send(
        "dd if=/dev/zero of=/dev/sda bs=64k count=64; sync; cat /dev/sr0 | wc -c; clear; \
             ip addr add 10.0.2.15/24 dev eth0; ping -c 2 -W 1 10.0.2.2; grep eth0 /proc/net/dev; \
             echo $((6*7)) done; poweroff -f\n",
    );
    until("42 done");
    until("never");
    let counters = machine.devices.ne2k.counters(0).unwrap();
    assert!(line.text().contains("4194304"), "the CD was read: {}", line.text());
    assert!(counters.outbound > 1 && counters.inbound > 1, "{counters:?}: {}", line.text());
}
