//! The main board: what devices may call. Memory, interrupt lines, deadlines, the I/O map, PCI
//! configuration space, DMA channels and the latches that reset or end the machine.

use crate::archive::{Archive, Field};
use crate::devices::DeviceId;
use crate::devices::audio::Audio;
use crate::devices::dma::DmaChannels;
use crate::devices::pci::PciBus;
use crate::memory::{Memory, PhysAddr};
use crate::time::{Instant, Timers};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Width of an access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    Word = 2,
    /// 32 bits.
    Dword = 4,
}

impl Width {
    /// All bits of the width set: what an open bus reads as.
    #[must_use]
    pub const fn ones(self) -> u32 {
        match self {
            Self::Byte => 0xFF,
            Self::Word => 0xFFFF,
            Self::Dword => 0xFFFF_FFFF,
        }
    }
}

/// Who holds an interrupt line up. Lines are levels: a line is high while anybody holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Source {
    Pit,
    Keyboard,
    Mouse,
    Rtc,
    Uart0,
    Uart1,
    Uart2,
    Uart3,
    Floppy,
    Ide0,
    Ide1,
    Sb16,
    Fpu,
    Acpi,
    Net0,
    Net1,
    Net2,
    Net3,
    /// PCI INTx lines, after routing.
    Pci,
}

/// The 24 interrupt lines: 0–15 go to the 8259 pair and the IOAPIC, 16–23 to the IOAPIC alone.
#[derive(Clone, Debug, Default)]
pub struct IrqLines {
    holders: [u32; 24],
    levels: u32,
    pulses: u32,
}

impl IrqLines {
    /// Raises or lowers a line for one source.
    pub fn set(&mut self, line: u8, source: Source, level: bool) {
        let Some(holders) = self.holders.get_mut(line as usize) else { return };
        let bit = 1 << source as u8;
        if level {
            *holders |= bit;
        } else {
            *holders &= !bit;
        }
        let up = *holders != 0;
        self.levels = self.levels & !(1 << line) | u32::from(up) << line;
    }

    /// Makes one source hold exactly `lines` (bit n for line n). Lines that it lets go of go down first.
    pub fn hold(&mut self, source: Source, lines: u32) {
        let holds = |holders: u32| holders >> source as u8 & 1;
        let held = self.holders.iter().rev().fold(0, |held, holders| held << 1 | holds(*holders));
        for (changed, level) in [(held & !lines, false), (lines & !held, true)] {
            let mut rest = changed;
            while rest != 0 {
                self.set(rest.trailing_zeros() as u8, source, level);
                rest &= rest - 1;
            }
        }
    }

    /// A low-to-high edge that is over before anybody settles the lines.
    pub fn pulse(&mut self, line: u8) {
        self.pulses |= 1 << (line & 31);
    }

    /// Levels of all lines, bit n for line n.
    #[must_use]
    pub const fn levels(&self) -> u32 {
        self.levels
    }

    /// Takes the pulses since the last call.
    pub fn take_pulses(&mut self) -> u32 {
        core::mem::take(&mut self.pulses)
    }
}

impl Field for IrqLines {
    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.holders);
        a.field(&mut self.pulses);
        let up = |line: usize| u32::from(self.holders[line] != 0) << line;
        self.levels = (0..self.holders.len()).fold(0, |levels, line| levels | up(line));
    }
}

/// Who answers at which port: one byte per port.
pub struct IoMap {
    table: Box<[u8; 0x1_0000]>,
    claims: Vec<(RangeInclusive<u16>, DeviceId)>,
}

impl Default for IoMap {
    fn default() -> Self {
        Self::new()
    }
}

impl IoMap {
    /// No port claimed.
    #[must_use]
    pub fn new() -> Self {
        Self { table: Box::new([0; 0x1_0000]), claims: Vec::with_capacity(96) }
    }

    /// Gives ports to a device. Later claims win over earlier ones.
    pub fn claim(&mut self, ports: RangeInclusive<u16>, device: DeviceId) {
        self.table[usize::from(*ports.start())..=usize::from(*ports.end())].fill(device as u8 + 1);
        if self.claims.len() < self.claims.capacity() {
            self.claims.push((ports, device));
        }
    }

    /// Takes a claim back; claims that it covered show again.
    pub fn release(&mut self, ports: &RangeInclusive<u16>, device: DeviceId) {
        let Some(at) = self.claims.iter().rposition(|c| c.0 == *ports && c.1 == device) else { return };
        self.claims.remove(at);
        self.table[usize::from(*ports.start())..=usize::from(*ports.end())].fill(0);
        for (range, id) in &self.claims {
            let start = (*range.start()).max(*ports.start());
            let end = (*range.end()).min(*ports.end());
            if start <= end {
                self.table[usize::from(start)..=usize::from(end)].fill(*id as u8 + 1);
            }
        }
    }

    /// Who answers at `port`.
    #[must_use]
    pub fn device(&self, port: u16) -> Option<DeviceId> {
        DeviceId::ALL.get(usize::from(self.table[usize::from(port)]).wrapping_sub(1)).copied()
    }
}

/// Physical ranges that devices answer, outside RAM.
#[derive(Default)]
pub struct MmioMap {
    ranges: Vec<(PhysAddr, PhysAddr, DeviceId)>,
}

impl MmioMap {
    /// No range claimed.
    #[must_use]
    pub fn new() -> Self {
        Self { ranges: Vec::with_capacity(32) }
    }

    /// Gives `len` bytes at `start` to a device (the memory map must call the pages I/O as well).
    pub fn claim(&mut self, start: PhysAddr, len: u64, device: DeviceId) {
        self.ranges.retain(|r| !(r.0 == start && r.2 == device));
        if self.ranges.len() < self.ranges.capacity() {
            self.ranges.push((start, start.saturating_add(len), device));
        }
    }

    /// Takes a range back.
    pub fn release(&mut self, start: PhysAddr, device: DeviceId) {
        self.ranges.retain(|r| !(r.0 == start && r.2 == device));
    }

    /// Who answers at `at`; later claims win.
    #[must_use]
    pub fn device(&self, at: PhysAddr) -> Option<DeviceId> {
        self.ranges.iter().rev().find(|r| (r.0..r.1).contains(&at)).map(|r| r.2)
    }
}

/// What a device asks the machine to do at the next boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Reset the whole machine.
    Reset,
    /// Reset the CPU only (8042 pulse, port 92).
    ResetCpu,
    /// Switch off (ACPI S5, APM).
    PowerOff,
    /// End with this value (isa-debug-exit).
    Exit(u32),
}

/// Which switch opens the A20 gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum A20Switch {
    /// The keyboard controller's output port.
    Keyboard,
    /// Port 92.
    Fast,
}

/// The main board.
pub struct Board {
    /// Memory.
    pub memory: Memory,
    /// Deadlines.
    pub timers: Timers,
    /// The present.
    pub now: Instant,
    /// Civil time (UTC nanoseconds since 1970) at [`Instant::ZERO`]; `now` added gives the present.
    pub epoch: i64,
    /// Interrupt lines.
    pub irq: IrqLines,
    /// Ports.
    pub io: IoMap,
    /// Memory-mapped devices.
    pub mmio: MmioMap,
    /// PCI configuration space.
    pub pci: PciBus,
    /// DMA channels.
    pub dma: DmaChannels,
    /// Sources of sound.
    pub audio: Audio,
    /// What a device asked the machine to do.
    pub request: Option<Request>,
    a20_switches: u8,
}

impl Board {
    /// A board with `memory` and nothing else on it.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            timers: Timers::new(),
            now: Instant::ZERO,
            epoch: 0,
            irq: IrqLines::default(),
            io: IoMap::new(),
            mmio: MmioMap::new(),
            pci: PciBus::new(),
            dma: DmaChannels::new(),
            audio: Audio::new(),
            request: None,
            a20_switches: 0,
        }
    }

    /// Opens or closes one of the two A20 switches; the gate is open while either is.
    pub fn set_a20(&mut self, switch: A20Switch, open: bool) {
        let bit = 1 << switch as u8;
        if open {
            self.a20_switches |= bit;
        } else {
            self.a20_switches &= !bit;
        }
        self.memory.set_a20(self.a20_switches != 0);
    }

    /// Whether one of the A20 switches is open.
    #[must_use]
    pub const fn a20_switch(&self, switch: A20Switch) -> bool {
        self.a20_switches >> switch as u8 & 1 != 0
    }

    /// Civil time (UTC nanoseconds since 1970-01-01).
    #[must_use]
    pub const fn wall(&self) -> i64 {
        self.epoch.saturating_add_unsigned(self.now.0)
    }

    /// Asks for a request to be carried out at the next boundary; the first one wins.
    pub fn ask(&mut self, request: Request) {
        self.request.get_or_insert(request);
    }

    /// Saves or loads the board's own registers (not memory).
    pub fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.now);
        self.now = self.now.min(Instant(crate::machine::LATEST));
        a.field(&mut self.epoch);
        a.field(&mut self.irq);
        a.field(&mut self.a20_switches);
        self.archive_request(a);
        for timer in crate::time::Timer::ALL {
            let mut at = self.timers.get(*timer);
            a.field(&mut at);
            // A deadline that passed long ago is no reason to catch up.
            self.timers.set(*timer, at.map_or(Instant::FAR, |at| at.max(self.now)));
        }
        a.field(&mut self.pci);
        if a.is_loading() {
            self.pci_reload();
        }
        a.field(&mut self.dma);
        a.field(&mut self.audio);
        self.memory.set_a20(self.a20_switches != 0);
    }

    fn archive_request(&mut self, a: &mut Archive<'_>) {
        let mut kind: u8 = match self.request {
            None => 0,
            Some(Request::Reset) => 1,
            Some(Request::ResetCpu) => 2,
            Some(Request::PowerOff) => 3,
            Some(Request::Exit(_)) => 4,
        };
        let mut value = if let Some(Request::Exit(value)) = self.request { value } else { 0 };
        a.field(&mut kind);
        a.field(&mut value);
        self.request = match kind {
            1 => Some(Request::Reset),
            2 => Some(Request::ResetCpu),
            3 => Some(Request::PowerOff),
            4 => Some(Request::Exit(value)),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_high_while_anybody_holds_it() {
        let mut irq = IrqLines::default();
        irq.set(11, Source::Net0, true);
        irq.set(11, Source::Acpi, true);
        irq.set(11, Source::Net0, false);
        assert_eq!(irq.levels(), 1 << 11);
        irq.set(11, Source::Acpi, false);
        assert_eq!(irq.levels(), 0);
    }
}
