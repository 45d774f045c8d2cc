//! Configuration space of every function on bus 0, its decoding, and the interrupt pins.
//!
//! A device puts its function on the bus in its `reset` ([`Board::add_pci`]); from then on the bus alone
//! sizes, moves and switches its base address registers, claiming and releasing ports and memory on the
//! board as the guest writes. The device is called for accesses to what it claimed and for nothing else.
//!
//! Spec: PCI Local Bus Specification 2.2, chapter 6; type-0 headers.
//! Not emulated: 64-bit BARs, type-1 headers, VGA palette snooping, parity and system errors.

use super::bar::{BARS, Bar, ROM_BAR, Rom};
use super::{i440fx, piix3};
use crate::archive::{Archive, Field};
use crate::board::{Board, Source};
use crate::devices::acpi::function as piix4;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Offsets in configuration space, as the specification names them.
pub mod reg {
    #![allow(missing_docs)]
    pub const VENDOR_ID: u8 = 0x00;
    pub const DEVICE_ID: u8 = 0x02;
    pub const COMMAND: u8 = 0x04;
    pub const STATUS: u8 = 0x06;
    pub const REVISION_ID: u8 = 0x08;
    pub const CLASS_CODE: u8 = 0x09;
    pub const CACHE_LINE_SIZE: u8 = 0x0C;
    pub const LATENCY_TIMER: u8 = 0x0D;
    pub const HEADER_TYPE: u8 = 0x0E;
    pub const BASE_ADDRESS_0: u8 = 0x10;
    pub const SUBSYSTEM_VENDOR_ID: u8 = 0x2C;
    pub const SUBSYSTEM_ID: u8 = 0x2E;
    pub const EXPANSION_ROM: u8 = 0x30;
    pub const CAPABILITIES: u8 = 0x34;
    pub const INTERRUPT_LINE: u8 = 0x3C;
    pub const INTERRUPT_PIN: u8 = 0x3D;

    /// COMMAND: answers in I/O space.
    pub const COMMAND_IO: u16 = 1 << 0;
    /// COMMAND: answers in memory space.
    pub const COMMAND_MEMORY: u16 = 1 << 1;
    /// COMMAND: may be bus master.
    pub const COMMAND_MASTER: u16 = 1 << 2;
    /// COMMAND: INTx is held low.
    pub const COMMAND_INTX_OFF: u16 = 1 << 10;
    /// STATUS, low byte: INTx would be up.
    pub const STATUS_INTX: u8 = 1 << 3;
    /// STATUS, low byte: there is a capability list.
    pub const STATUS_CAPABILITIES: u8 = 1 << 4;
}

/// Where a function sits on bus 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Slot(u8);

impl Slot {
    /// The host bridge.
    pub const HOST: Self = Self::new(0, 0);
    /// PIIX3 ISA bridge.
    pub const ISA: Self = Self::new(1, 0);
    /// PIIX3 IDE.
    pub const IDE: Self = Self::new(1, 1);
    /// PIIX4 power management.
    pub const PM: Self = Self::new(1, 3);
    /// Display adapter.
    pub const VGA: Self = Self::new(2, 0);

    /// Function `function` of device `device`; both are taken modulo their field's size.
    #[must_use]
    pub const fn new(device: u8, function: u8) -> Self {
        Self(device << 3 | function & 7)
    }

    /// Place of network card `n` (0 to 3): device 5 for the first one, as in v86.
    #[must_use]
    pub const fn network(n: u8) -> Self {
        Self::new(5 + (n & 3), 0)
    }

    /// The slot with this device and function number in one byte, as in CF8 bits 15 to 8.
    #[must_use]
    pub const fn from_devfn(devfn: u8) -> Self {
        Self(devfn)
    }

    /// Device number.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.0 >> 3
    }

    /// Function number.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0 & 7
    }
}

/// A register beyond the header: where it is, what it reads after reset, which bits can be written.
pub type Register = (u8, u8, u8);

/// What a function is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Revision.
    pub revision: u8,
    /// Class, subclass and programming interface: `0xCCSSPP`.
    pub class: u32,
    /// Subsystem vendor and device.
    pub subsystem: (u16, u16),
    /// 0 for none, 1 to 4 for INTA to INTD.
    pub interrupt_pin: u8,
    /// Base address registers.
    pub bars: [Option<Bar>; BARS],
    /// Expansion ROM.
    pub rom: Option<Rom>,
    /// Offset of the first capability; 0 for none.
    pub capabilities: u8,
    /// Registers of the function's own (and of the header, where they differ from the usual).
    pub registers: &'static [Register],
}

/// One function: its registers and what it has claimed on the board.
pub(super) struct Function {
    pub(super) slot: Slot,
    pub(super) config: [u8; 256],
    mask: [u8; 256],
    pub(super) bars: [Option<Bar>; BARS],
    pub(super) rom: Option<Rom>,
    /// Where each BAR and the ROM answer at present.
    pub(super) mapped: [Option<u32>; BARS + 1],
    /// The device's wish for its INTx pin.
    intx: bool,
    /// The image that was loaded does not have it.
    absent: bool,
}

impl Function {
    fn new(slot: Slot, identity: &Identity) -> Self {
        let mut f = Self {
            slot,
            config: [0; 256],
            mask: [0; 256],
            bars: identity.bars,
            rom: identity.rom,
            mapped: [None; BARS + 1],
            intx: false,
            absent: false,
        };
        f.fix(reg::VENDOR_ID, &identity.vendor.to_le_bytes());
        f.fix(reg::DEVICE_ID, &identity.device.to_le_bytes());
        f.fix(reg::REVISION_ID, &[identity.revision]);
        f.fix(reg::CLASS_CODE, &identity.class.to_le_bytes()[..3]);
        f.fix(reg::SUBSYSTEM_VENDOR_ID, &identity.subsystem.0.to_le_bytes());
        f.fix(reg::SUBSYSTEM_ID, &identity.subsystem.1.to_le_bytes());
        f.fix(reg::CAPABILITIES, &[identity.capabilities]);
        f.fix(reg::INTERRUPT_PIN, &[identity.interrupt_pin]);
        if identity.capabilities != 0 {
            f.fix(reg::STATUS, &[reg::STATUS_CAPABILITIES]);
        }
        let command =
            reg::COMMAND_IO | reg::COMMAND_MEMORY | reg::COMMAND_MASTER | reg::COMMAND_INTX_OFF | 0x0140;
        f.allow(reg::COMMAND, &command.to_le_bytes());
        f.allow(reg::CACHE_LINE_SIZE, &[0xFF]);
        f.allow(reg::LATENCY_TIMER, &[0xFF]);
        f.allow(reg::INTERRUPT_LINE, &[0xFF]);
        for n in 0..=ROM_BAR {
            if let Some((fixed, mask)) = f.bar_bits(n) {
                f.fix(Self::bar_register(n), &fixed.to_le_bytes());
                f.allow(Self::bar_register(n), &mask.to_le_bytes());
            }
        }
        for &(at, reset, mask) in identity.registers {
            f.config[usize::from(at)] = reset;
            f.mask[usize::from(at)] = mask;
        }
        f
    }

    fn fix(&mut self, at: u8, bytes: &[u8]) {
        self.config[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, at: u8, bytes: &[u8]) {
        self.mask[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn command(&self) -> u16 {
        u16::from_le_bytes([self.config[4], self.config[5]])
    }

    /// The level of the INTx pin.
    fn pin_level(&self) -> bool {
        self.intx && self.command() & reg::COMMAND_INTX_OFF == 0
    }

    pub(super) fn dword(&self, at: u8) -> u32 {
        let at = usize::from(at & 0xFC);
        u32::from_le_bytes([self.config[at], self.config[at + 1], self.config[at + 2], self.config[at + 3]])
    }
}

/// Configuration space of every function, on the board.
pub struct PciBus {
    pub(super) functions: Vec<Function>,
    /// By device and function number: index into `functions` plus one.
    index: Box<[u8; 256]>,
    /// Ports that the power-management function has claimed.
    pub(in crate::devices) pm_ports: piix4::PmPorts,
}

impl Default for PciBus {
    fn default() -> Self {
        Self::new()
    }
}

impl PciBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self {
            functions: Vec::with_capacity(16),
            index: Box::new([0; 256]),
            pm_ports: piix4::PmPorts::default(),
        }
    }

    pub(super) fn find(&self, slot: Slot) -> Option<usize> {
        usize::from(self.index[usize::from(slot.0)]).checked_sub(1)
    }

    pub(super) fn function(&self, slot: Slot) -> Option<&Function> {
        self.functions.get(self.find(slot)?)
    }

    pub(super) fn function_mut(&mut self, slot: Slot) -> Option<&mut Function> {
        let at = self.find(slot)?;
        self.functions.get_mut(at)
    }

    fn reindex(&mut self) {
        self.index.fill(0);
        for (n, f) in self.functions.iter().enumerate() {
            self.index[usize::from(f.slot.0)] = (n + 1) as u8;
        }
    }

    /// Whether there is a function at `slot`.
    #[must_use]
    pub fn is_present(&self, slot: Slot) -> bool {
        self.find(slot).is_some()
    }

    /// A byte of configuration space as the guest reads it.
    #[must_use]
    pub fn config(&self, slot: Slot, at: u8) -> u8 {
        let Some(f) = self.function(slot) else { return 0xFF };
        let byte = f.config[usize::from(at)];
        match at {
            reg::STATUS if f.intx => byte | reg::STATUS_INTX,
            reg::HEADER_TYPE if slot.function() == 0 => {
                let siblings = &self.index[usize::from(slot.0) + 1..usize::from(slot.0) + 8];
                byte | if siblings.iter().any(|&n| n != 0) { 0x80 } else { 0 }
            }
            _ => byte,
        }
    }

    /// Changes a byte of configuration space from the device's side, whatever the guest may write.
    pub fn set_config(&mut self, slot: Slot, at: u8, value: u8) {
        if let Some(f) = self.function_mut(slot) {
            f.config[usize::from(at)] = value;
        }
    }

    /// Changes which bits of a byte of configuration space the guest may write.
    pub fn set_writable(&mut self, slot: Slot, at: u8, mask: u8) {
        if let Some(f) = self.function_mut(slot) {
            f.mask[usize::from(at)] = mask;
        }
    }

    /// Where base address register `n` of a function answers at present; [`ROM_BAR`] asks for the
    /// expansion ROM. `None` while decoding is off or the address is impossible.
    #[must_use]
    pub fn bar(&self, slot: Slot, n: usize) -> Option<u32> {
        *self.function(slot)?.mapped.get(n)?
    }

    /// Whether a function may reach memory by itself.
    #[must_use]
    pub fn is_master(&self, slot: Slot) -> bool {
        self.function(slot).is_some_and(|f| f.command() & reg::COMMAND_MASTER != 0)
    }

    /// Levels of PIRQA to PIRQD.
    fn pirq_levels(&self) -> [bool; 4] {
        let mut levels = [false; 4];
        for f in self.functions.iter().filter(|f| f.pin_level()) {
            let pin = f.config[usize::from(reg::INTERRUPT_PIN)];
            if let Some(n) = piix3::pirq(f.slot, pin) {
                levels[n] = true;
            }
        }
        levels
    }

    /// Levels of the ISA lines that PCI interrupts are routed to.
    fn line_levels(&self) -> u32 {
        let mut lines = 0;
        for (n, level) in self.pirq_levels().into_iter().enumerate() {
            let route = self.config(Slot::ISA, piix3::reg::PIRQRCA + n as u8);
            if let (true, Some(line)) = (level, piix3::line(route)) {
                lines |= 1 << line;
            }
        }
        lines
    }
}

impl Field for PciBus {
    /// Registers of all functions. Which functions there can be is up to the configuration: an image's
    /// function is loaded into the same one here, and skipped if it is not here. One that the image lacks
    /// was unplugged: the board takes it off the bus.
    fn archive(&mut self, a: &mut Archive<'_>) {
        for f in &mut self.functions {
            f.absent = a.is_loading();
        }
        let mut count = self.functions.len() as u8;
        a.field(&mut count);
        for n in 0..usize::from(count) {
            let mut devfn = self.functions.get(n).map_or(0, |f| f.slot.0);
            let mut config = [0; 256];
            let mut intx = false;
            if let Some(f) = self.functions.get(n).filter(|_| !a.is_loading()) {
                (config, intx) = (f.config, f.intx);
            }
            a.field(&mut devfn);
            a.field(&mut config);
            a.field(&mut intx);
            if !a.is_loading() {
                continue;
            }
            if let Some(f) = self.function_mut(Slot(devfn)) {
                f.absent = false;
                f.intx = intx;
                // What no guest can change in the header stays as it was built.
                for (at, byte) in config.into_iter().enumerate() {
                    let mask = if at < 0x40 { f.mask[at] } else { 0xFF };
                    f.config[at] = f.config[at] & !mask | byte & mask;
                }
            }
        }
    }
}

impl Board {
    /// Puts a function on the bus, with its registers after reset; a function that was there goes.
    pub fn add_pci(&mut self, slot: Slot, identity: &Identity) {
        self.remove_pci(slot);
        if self.pci.functions.len() < 255 {
            // In the order of slots, whenever a card was plugged in.
            let at = self.pci.functions.partition_point(|f| f.slot < slot);
            self.pci.functions.insert(at, Function::new(slot, identity));
            self.pci.reindex();
            self.pci_settle(slot);
        }
    }

    /// Takes a function off the bus, with its ports, memory and interrupt.
    pub fn remove_pci(&mut self, slot: Slot) {
        let Some(at) = self.pci.find(slot) else { return };
        self.pci_unmap_all(at);
        self.pci.functions.remove(at);
        self.pci.reindex();
        if slot == Slot::PM {
            piix4::settle(self);
        }
        self.pci_route();
    }

    /// A guest's write of `bytes` to configuration space at `at`.
    pub fn write_pci(&mut self, slot: Slot, at: u8, bytes: &[u8]) {
        let Some(f) = self.pci.function_mut(slot) else { return };
        for (n, &byte) in bytes.iter().enumerate() {
            let Some(at) = usize::from(at).checked_add(n).filter(|&at| at < 256) else { break };
            f.config[at] = f.config[at] & !f.mask[at] | byte & f.mask[at];
        }
        self.pci_settle(slot);
    }

    /// Raises or lowers the INTx pin of a function. Pins of several functions share a line.
    pub fn set_intx(&mut self, slot: Slot, level: bool) {
        let Some(f) = self.pci.function_mut(slot) else { return };
        if core::mem::replace(&mut f.intx, level) != level {
            self.pci_route();
        }
    }

    /// Brings the board in line with all of configuration space, after a state image was loaded.
    pub(crate) fn pci_reload(&mut self) {
        while let Some(unplugged) = self.pci.functions.iter().find(|f| f.absent) {
            self.remove_pci(unplugged.slot);
        }
        for at in 0..self.pci.functions.len() {
            let slot = self.pci.functions[at].slot;
            self.pci_settle(slot);
        }
    }

    /// Brings the board in line with one function's registers.
    fn pci_settle(&mut self, slot: Slot) {
        self.pci_remap(slot);
        match slot {
            Slot::HOST => i440fx::settle(self),
            Slot::PM => piix4::settle(self),
            _ => {}
        }
        self.pci_route();
    }

    /// Drives the interrupt lines from the pins; lines that lost their route go down first.
    fn pci_route(&mut self) {
        self.irq.hold(Source::Pci, self.pci.line_levels());
    }
}
