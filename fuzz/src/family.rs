//! Families of chips: what each answers to, and what an input's steps mean for it.

use crate::input::Step;
use crate::rig::{Family, Rig};
use nomad86::config::{Config, IdeSlot};
use nomad86::host::{Audio, Console, Disk, DiskError, Display, Drives, Host, Input, InputEvent, Key};
use nomad86::host::{Mode, Rect, Surface};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// Something that scripts put in from outside and chips take out.
#[derive(Clone)]
struct Queue<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Queue<T> {
    fn push(&self, item: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
    }

    fn pop(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A medium that fails, or is slow, when its script says so.
struct Medium {
    data: Vec<u8>,
    protected: bool,
    moods: Queue<u8>,
}

impl Medium {
    fn mood(&self, bytes: usize, lba: u64) -> Poll<Result<usize, DiskError>> {
        match self.moods.pop() {
            Some(1) => return Poll::Pending,
            Some(2) => return Poll::Ready(Err(DiskError::Io)),
            Some(3) => return Poll::Ready(Err(DiskError::Full)),
            _ => {}
        }
        let at = usize::try_from(lba).ok().and_then(|lba| lba.checked_mul(512));
        Poll::Ready(match at {
            Some(at) if at.checked_add(bytes).is_some_and(|end| end <= self.data.len()) => Ok(at),
            _ => Err(DiskError::OutOfRange),
        })
    }
}

impl Disk for Medium {
    fn sectors(&self) -> u64 {
        self.data.len() as u64 / 512
    }

    fn read_only(&self) -> bool {
        self.protected
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        self.mood(buffer.len(), lba).map_ok(|at| buffer.copy_from_slice(&self.data[at..at + buffer.len()]))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.protected {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        self.mood(data.len(), lba).map_ok(|at| self.data[at..at + data.len()].copy_from_slice(data))
    }
}

fn medium(sectors: usize, protected: bool, moods: &Queue<u8>) -> Option<Box<dyn Disk>> {
    Some(Box::new(Medium { data: vec![0xA5; sectors * 512], protected, moods: moods.clone() }))
}

/// IDE channels, bus masters, disks and CD-ROM drives.
pub fn ide(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x1F0..=0x1F7, 0x3F6..=0x3F6, 0x170..=0x177, 0x376..=0x376, 0xC000..=0xC00F, 0xCF8..=0xCFF],
        mmio: &[],
        sections: &[*b"IDE "],
    };
    let config =
        Config { ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Disk], ..Rig::config() };
    let moods = Queue::default();
    let mut host = Host::null();
    host.drives = Drives {
        ide: [medium(300, false, &moods), None, medium(80, true, &moods), medium(65, false, &moods)],
        ..Drives::default()
    };
    Rig::new(&config, host).play(&FAMILY, data, |rig, step| match step {
        Step::Outside(bytes) => bytes.iter().for_each(|mood| moods.push(*mood)),
        Step::Act(what) => {
            let (devices, mut bus) = rig.bus();
            let slot = usize::from(what & 3);
            if what & 4 != 0 {
                bus.host.drives.ide[slot] = None;
                devices.ide.media_changed(slot, &mut bus);
            } else if what & 8 != 0 {
                devices.ide.eject_pressed(slot);
            } else {
                bus.host.drives.ide[slot] = medium(usize::from(*what), true, &moods);
                devices.ide.media_changed(slot, &mut bus);
            }
        }
        _ => {}
    });
}

/// Floppy controller and DMA.
pub fn floppy(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x3F0..=0x3F5, 0x3F7..=0x3F7, 0x00..=0x0F, 0x80..=0x8F, 0xC0..=0xDF],
        mmio: &[],
        sections: &[*b"FDC ", *b"DMA "],
    };
    let moods = Queue::default();
    let mut host = Host::null();
    host.drives.floppy = [medium(2880, false, &moods), medium(720, true, &moods)];
    let config = Config { floppies: 2, ..Rig::config() };
    Rig::new(&config, host).play(&FAMILY, data, |rig, step| match step {
        Step::Outside(bytes) => bytes.iter().for_each(|mood| moods.push(*mood)),
        Step::Act(what) => {
            let sizes = [0, 320, 360, 640, 720, 1440, 2400, 2880, 5760, 7];
            let sectors = sizes[usize::from(what >> 1) % sizes.len()];
            rig.host.drives.floppy[usize::from(what & 1)] =
                if sectors == 0 { None } else { medium(sectors, *what & 64 != 0, &moods) };
        }
        _ => {}
    });
}

/// A screen that is looked at.
#[derive(Default)]
struct Screen(Vec<u32>);

impl Display for Screen {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        let pixels = mode.width as usize * mode.height as usize;
        // Larger than any mode that the card's memory holds would be a bug of the card.
        assert!(pixels <= 64 << 20, "a picture of {} × {}", mode.width, mode.height);
        self.0.resize(pixels, 0);
        Some(Surface { pixels: &mut self.0, stride: mode.width as usize })
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        assert!(dirty.x + dirty.width <= mode.width && dirty.y + dirty.height <= mode.height);
    }
}

/// Display adapter with its memory.
pub fn vga(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x3B0..=0x3BB, 0x3C0..=0x3DF, 0x1CE..=0x1D1],
        mmio: &[0xA_0000..=0xB_FFFF],
        sections: &[*b"VGA "],
    };
    let mut host = Host::null();
    host.display = Box::new(Screen::default());
    Rig::new(&Rig::config(), host).play(&FAMILY, data, |rig, _| {
        let _ = rig.devices.vga.text_screen(&rig.board.memory);
        rig.wait(u32::MAX);
    });
}

/// Interrupt controllers and clocks.
pub fn timers(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[
            0x20..=0x21,
            0xA0..=0xA1,
            0x4D0..=0x4D1,
            0x40..=0x43,
            0x61..=0x61,
            0x70..=0x71,
            0xAE00..=0xAE0F,
        ],
        mmio: &[0xFEE0_0000..=0xFEE0_03FF, 0xFEC0_0000..=0xFEC0_00FF],
        sections: &[*b"APIC", *b"PIC ", *b"PIT ", *b"RTC "],
    };
    Rig::new(&Rig::config(), Host::null()).play(&FAMILY, data, |rig, step| {
        let Step::Act(what) = step else { return };
        match what & 3 {
            0 if rig.devices.apic.pending() => drop(rig.devices.apic.acknowledge()),
            0 | 1 => drop(rig.devices.pic.acknowledge()),
            2 => drop(rig.devices.apic.take_nmi()),
            _ => rig.board.irq.pulse(what >> 2),
        }
    });
}

struct Events(Queue<InputEvent>);

impl Input for Events {
    fn next(&mut self) -> Option<InputEvent> {
        self.0.pop()
    }
}

/// Keyboard controller, keyboard and mouse.
pub fn ps2(data: &[u8]) {
    const FAMILY: Family =
        Family { ports: &[0x60..=0x60, 0x64..=0x64, 0x92..=0x92], mmio: &[], sections: &[*b"PS2 "] };
    let queue = Queue::default();
    let mut host = Host::null();
    host.input = Box::new(Events(queue.clone()));
    Rig::new(&Rig::config(), host).play(&FAMILY, data, |rig, step| {
        let Step::Outside(bytes) = step else { return };
        for event in bytes.chunks(4) {
            let [kind, a, b, c] = core::array::from_fn(|n| event.get(n).copied().unwrap_or(0));
            let event = match kind & 3 {
                0 | 1 => {
                    let Some(key) = Key::ALL.get(usize::from(a) % Key::ALL.len()) else { continue };
                    InputEvent::Key { key: *key, pressed: kind & 4 == 0 }
                }
                2 => InputEvent::Mouse {
                    dx: i16::from_le_bytes([a, kind]),
                    dy: i16::from_le_bytes([b, kind]),
                    wheel: c as i8,
                },
                _ => InputEvent::Buttons(a),
            };
            let (devices, mut bus) = rig.bus();
            devices.ps2.input(event, &mut bus);
        }
    });
}

struct Line(Queue<u8>);

impl Console for Line {
    fn write(&mut self, _byte: u8) {}
    fn read(&mut self) -> Option<u8> {
        self.0.pop()
    }
}

/// Four serial lines.
pub fn uart(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x3F8..=0x3FF, 0x2F8..=0x2FF, 0x3E8..=0x3EF, 0x2E8..=0x2EF],
        mmio: &[],
        sections: &[*b"UART"],
    };
    let queue = Queue::default();
    let mut host = Host::null();
    host.serial = core::array::from_fn(|_| Box::new(Line(queue.clone())) as Box<dyn Console>);
    Rig::new(&Rig::config(), host).play(&FAMILY, data, |rig, step| {
        if let Step::Outside(bytes) = step {
            bytes.iter().for_each(|byte| queue.push(*byte));
        }
        let (devices, mut bus) = rig.bus();
        devices.uart.poll(&mut bus);
    });
}

/// PCI configuration space and power management.
pub fn pci(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0xCF8..=0xCFF, 0xB2..=0xB3, 0xAE00..=0xAE17, 0xAFE0..=0xAFE3, 0xC000..=0xC00F],
        mmio: &[],
        sections: &[*b"ACPI", *b"PCI "],
    };
    Rig::new(&Rig::config(), Host::null()).play(&FAMILY, data, |rig, step| {
        let Step::Act(what) = step else { return };
        match what & 3 {
            0 => rig.devices.acpi.power_button(&mut rig.board),
            1 => rig.devices.acpi.plugged(what >> 2, &mut rig.board),
            2 => rig.devices.acpi.ask_unplug(what >> 2, &mut rig.board),
            _ => drop(rig.devices.acpi.take_ejected()),
        }
    });
}

struct Listener;

impl Audio for Listener {
    fn rate(&self) -> u32 {
        44_100
    }
    fn play(&mut self, frames: &[[i16; 2]]) {
        assert!(frames.len() <= 44_100, "more than a second at once");
    }
}

/// Sound Blaster, its DMA channels and the PC speaker.
pub fn sb16(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x220..=0x22F, 0x00..=0x0F, 0x80..=0x8F, 0xC0..=0xDF, 0x42..=0x43, 0x61..=0x61],
        mmio: &[],
        sections: &[*b"SB16", *b"AUDI", *b"DMA "],
    };
    let mut host = Host::null();
    host.audio = Box::new(Listener);
    Rig::new(&Rig::config(), host).play(&FAMILY, data, |rig, _| rig.wait(u32::MAX));
}

/// Firmware configuration and debug ports.
pub fn fw_cfg(data: &[u8]) {
    const FAMILY: Family = Family {
        ports: &[0x510..=0x51B, 0xE9..=0xE9, 0x80..=0x80],
        mmio: &[],
        sections: &[*b"FWCF", *b"DBUG"],
    };
    Rig::new(&Rig::config(), Host::null()).play(&FAMILY, data, |rig, step| {
        // Where DMA control structures would lie.
        if let Step::Outside(bytes) = step {
            let _ = rig.board.memory.write(0x1000, bytes);
        }
    });
}
