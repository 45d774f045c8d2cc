//! NE2000 network cards: the RTL8029AS on PCI and its register twin on ISA.
//!
//! [`chip`] is the controller by itself, [`ring`], `filter`, `transmit`, `remote_dma` and [`prom`] its
//! parts; this file plugs chips into the machine and puts a MAC address translator before each, `intake` says
//! when a card takes frames.
//!
//! Spec: National DP8390D/NS32490D (July 1995); Realtek RTL8029AS LS009.0; Novell NE2000.
//!
//! Not emulated: the serial EEPROM's programming (9346CR), the boot ROM's pages, power-down, full duplex and link
//! status (it has no register), Plug and Play of the ISA card, and what each part lists.

pub mod chip;
mod filter;
mod intake;
pub mod prom;
pub mod regs;
mod remote_dma;
pub mod ring;
#[cfg(test)]
mod tests;
mod transmit;

use super::pci::{Bar, BarTarget, Identity, ROM_BAR, Rom, Slot};
use super::{BlockDevice, Bus, Device, DeviceId, MmioDevice, bytes_read};
use crate::archive::Archive;
use crate::board::{Source, Width};
use crate::config::{CardModel, Config};
use crate::host::{Host, Network};
use crate::memory::PhysAddr;
use crate::net::{Counters, MacAddress, MacPair, MacPolicy, Translator};
use crate::time::{Duration, Timer};
use alloc::vec::Vec;
use chip::{Chip, Received, Wire};
use intake::{BATCH, Intake, Take};
use regs::isr;

/// Frames that one call of [`Ne2k::poll`] takes from a back end at most, those included that are for others.
const FRAMES: usize = 64;
/// Room for the longest frame, and for a longer one to be seen as such.
const BUFFER: usize = 1536;
/// The interrupts of the transmitter, and how long after the command they come at least.
///
/// On a wire that is the time of the frame, 67 µs at least. Drivers count on some of it: Linux's starts the
/// transmitter while its interrupt is disabled, and one that comes before it is enabled again has to be masked
/// in the interrupt controller and comes twice.
const TRANSMITTED: u8 = isr::PTX | isr::TXE;
const TRANSMISSION: Duration = Duration::from_micros(10);
/// The timer of each card.
const TIMERS: [Timer; 4] = [Timer::Net0, Timer::Net1, Timer::Net2, Timer::Net3];

/// How a card is plugged in.
#[derive(Clone, Copy, Debug)]
enum Place {
    Pci(Slot),
    Isa { base: u16, irq: u8, source: Source },
}

struct Card {
    chip: Chip,
    translator: Translator,
    place: Place,
    intake: Intake,
    /// The guest keeps frames waiting, if there are any.
    waiting: bool,
    /// The back end has gathered frames that it has not passed on.
    gathered: bool,
    /// Number of the card in the configuration, and of its back end.
    number: usize,
}

/// Every NE2000 of the machine.
pub struct Ne2k {
    cards: Vec<Card>,
    /// Boot ROM of the PCI cards.
    rom: Vec<u8>,
}

/// The way out of a card: through its translator to its back end.
struct Outbound<'a> {
    translator: &'a mut Translator,
    network: Option<&'a mut (dyn Network + 'static)>,
    gathered: &'a mut bool,
}

impl Wire for Outbound<'_> {
    fn transmit(&mut self, frame: &mut [u8]) {
        self.translator.outbound(frame);
        if let Some(network) = self.network.as_deref_mut() {
            network.gather(frame);
            *self.gathered = true;
        }
    }
}

impl Card {
    /// First port, while the card answers at all.
    fn base(&self, bus: &Bus<'_>) -> Option<u16> {
        match self.place {
            Place::Pci(slot) => bus.board.pci.bar(slot, 0).map(|base| base as u16),
            Place::Isa { base, .. } => Some(base),
        }
    }

    fn timer(&self) -> Option<Timer> {
        TIMERS.get(self.number).copied()
    }

    /// Drives the interrupt line.
    fn settle(&self, bus: &mut Bus<'_>) {
        let mut pending = self.chip.pending();
        if let Some(timer) = self.timer()
            && bus.board.timers.get(timer).is_some()
        {
            if self.chip.isr & TRANSMITTED == 0 {
                bus.board.timers.clear(timer);
            }
            pending &= !TRANSMITTED;
        }
        let level = pending != 0;
        match self.place {
            Place::Pci(slot) => bus.board.set_intx(slot, level),
            Place::Isa { irq, source, .. } => bus.board.irq.set(irq, source, level),
        }
    }
}

impl Ne2k {
    /// The card that answers at `port`, and the offset from its first port. Of two cards in one place the
    /// later one answers.
    fn find(&mut self, port: u16, bus: &Bus<'_>) -> Option<(&mut Card, u16)> {
        self.cards.iter_mut().rev().find_map(|card| {
            let offset = port.checked_sub(card.base(bus)?)?;
            (offset < regs::port::COUNT).then_some((card, offset))
        })
    }

    fn card(&self, number: usize) -> Option<&Card> {
        self.cards.iter().find(|card| card.number == number)
    }

    fn card_mut(&mut self, number: usize) -> Option<&mut Card> {
        self.cards.iter_mut().find(|card| card.number == number)
    }

    /// Has back ends pass on the frames that they have gathered.
    pub fn flush(&mut self, host: &mut Host) {
        for card in self.cards.iter_mut().filter(|card| card.gathered) {
            card.gathered = false;
            if let Some(network) = host.networks.get_mut(card.number) {
                network.flush();
            }
        }
    }

    /// Sends what is gathered and takes frames from the back ends, as many as the guest is ready for; the others
    /// wait. Called whenever the host is served.
    pub fn poll(&mut self, bus: &mut Bus<'_>) {
        self.flush(bus.host);
        let mut buffer = [0; BUFFER];
        for card in &mut self.cards {
            let take = card.intake.look(&card.chip);
            card.waiting = take == Take::Nothing;
            if card.waiting {
                continue;
            }
            let mut packets = 0;
            for _ in 0..FRAMES {
                if packets == BATCH || take == Take::Room && !card.chip.can_receive() {
                    break;
                }
                let Some(network) = bus.host.networks.get_mut(card.number) else { break };
                let Some(length) = network.receive(&mut buffer).map(<[u8]>::len) else { break };
                if let Some(frame) = buffer.get_mut(..length)
                    && card.translator.inbound(frame)
                    && matches!(card.chip.receive(frame), Received::Stored | Received::Missed)
                {
                    packets += 1;
                }
            }
            card.waiting = packets != 0;
            card.settle(bus);
        }
    }

    /// Whether a guest keeps frames waiting, so that back ends have to be looked at again without their asking
    /// for it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.cards.iter().any(|card| card.waiting)
    }

    /// The guest's and the wire's address of card `number` of the configuration.
    #[must_use]
    pub fn macs(&self, number: usize) -> Option<MacPair> {
        self.card(number).map(|card| card.translator.macs())
    }

    /// What went through the translator of card `number`.
    #[must_use]
    pub fn counters(&self, number: usize) -> Option<&Counters> {
        self.card(number).map(|card| card.translator.counters())
    }

    /// The chip of card `number`.
    #[must_use]
    pub fn chip(&self, number: usize) -> Option<&Chip> {
        self.card(number).map(|card| &card.chip)
    }

    /// Gives card `number` another address on the wire than the guest believes in: translation.
    pub fn set_wire(&mut self, number: usize, wire: MacAddress) {
        if let Some(card) = self.card_mut(number) {
            card.translator.set_wire(wire);
        }
    }

    /// Gives card `number` another address altogether. The guest learns of it when its driver reads the PROM
    /// again; until then it goes on sending from the old one.
    pub fn set_mac(&mut self, number: usize, mac: MacAddress) {
        if let Some(card) = self.card_mut(number) {
            card.chip.burn(mac);
            card.translator = Translator::new(MacPair::same(mac));
        }
    }

    /// Applies what was asked for when the machine was restored; `fresh` is the new address, if one is
    /// needed. The guest's address is the image's, however many generations it has been through.
    pub fn restored(&mut self, number: usize, policy: MacPolicy, fresh: MacAddress) {
        match policy {
            MacPolicy::Randomise => self.set_mac(number, fresh),
            MacPolicy::Preserve => {}
            MacPolicy::Translate => self.set_wire(number, fresh),
        }
    }

    /// The slot of card `number`, if it is a PCI card.
    #[must_use]
    pub fn slot(&self, number: usize) -> Option<Slot> {
        match self.card(number)?.place {
            Place::Pci(slot) => Some(slot),
            Place::Isa { .. } => None,
        }
    }

    /// Takes a PCI card out of its slot, as the guest has asked for through hot plug.
    pub fn unplug(&mut self, slot: Slot, bus: &mut Bus<'_>) {
        for card in &mut self.cards {
            if matches!(card.place, Place::Pci(place) if place == slot) {
                card.chip.power_cycle();
                bus.board.remove_pci(slot);
            }
        }
    }

    /// Puts a PCI card back into its slot, switched off as hardware comes up.
    pub fn plug(&mut self, slot: Slot, bus: &mut Bus<'_>) {
        for card in &mut self.cards {
            if matches!(card.place, Place::Pci(place) if place == slot) {
                card.chip.power_cycle();
                bus.board.add_pci(slot, &Self::identity(&self.rom));
            }
        }
    }

    /// What a PCI card is.
    fn identity(rom: &[u8]) -> Identity {
        let size = rom.len().next_power_of_two().max(0x800) as u32;
        Identity {
            rom: (!rom.is_empty()).then_some(Rom { size, target: BarTarget::Device(DeviceId::Ne2k) }),
            vendor: ID.0,
            device: ID.1,
            class: 0x02_00_00,
            subsystem: (0x1AF4, 0x1100),
            interrupt_pin: 1,
            bars: [
                Some(Bar::Io { size: regs::port::COUNT, device: DeviceId::Ne2k }),
                None,
                None,
                None,
                None,
                None,
            ],
            ..Identity::default()
        }
    }
}

/// Vendor and device.
const ID: (u16, u16) = (0x10EC, 0x8029);

/// Writes the card's identity into a boot ROM for PCI, as images for several cards do without one, and keeps
/// its sum at 0.
fn claim_rom(rom: &mut [u8]) {
    let header = rom.get(0x18..0x1A).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    if rom.get(header..header + 4) != Some(b"PCIR") {
        return;
    }
    let Some(id) = rom.get_mut(header + 4..header + 8) else { return };
    id[..2].copy_from_slice(&ID.0.to_le_bytes());
    id[2..].copy_from_slice(&ID.1.to_le_bytes());
    let size = (usize::from(rom[2]) * 512).min(rom.len());
    let sum = rom[..size].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    // Behind the jump to the code there is a byte for this.
    rom[6] = rom[6].wrapping_sub(sum);
}

impl MmioDevice for Ne2k {
    fn mmio_read(&mut self, at: PhysAddr, width: Width, bus: &mut Bus<'_>) -> u32 {
        let offset = self.cards.iter().find_map(|card| {
            let Place::Pci(slot) = card.place else { return None };
            let offset = at.checked_sub(bus.board.pci.bar(slot, ROM_BAR)?.into())?;
            self.rom.get(offset as usize).map(|_| offset as usize)
        });
        let byte = |n: u16| offset.and_then(|at| self.rom.get(at + usize::from(n))).copied().unwrap_or(0xFF);
        bytes_read(width, byte)
    }

    fn mmio_write(&mut self, _at: PhysAddr, _width: Width, _value: u32, _bus: &mut Bus<'_>) {}
}

impl Device for Ne2k {
    const TAG: [u8; 4] = *b"NE2K";
    const VERSION: u16 = 2;
    const WIDEST: Width = Width::Dword;

    fn new(config: &Config) -> Self {
        const SOURCES: [Source; 4] = [Source::Net0, Source::Net1, Source::Net2, Source::Net3];
        let mut cards = Vec::new();
        for (number, (card, source)) in config.cards.iter().zip(SOURCES).enumerate() {
            let place = match card.model {
                CardModel::Ne2kPci => Place::Pci(Slot::network(number as u8)),
                CardModel::Ne2kIsa { base, irq } => Place::Isa { base, irq, source },
                #[allow(unreachable_patterns, reason = "cards of other kinds are other devices'")]
                _ => continue,
            };
            let translator = Translator::new(MacPair::same(card.mac));
            let (chip, intake) = (Chip::new(card.mac), Intake::default());
            cards.push(Card { chip, translator, place, intake, waiting: false, gathered: false, number });
        }
        let mut rom = config.network_rom.clone();
        claim_rom(&mut rom);
        Self { cards, rom }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        for card in &mut self.cards {
            card.chip.power_cycle();
            match card.place {
                Place::Pci(slot) => bus.board.add_pci(slot, &Self::identity(&self.rom)),
                Place::Isa { base, .. } => {
                    let last = base.saturating_add(regs::port::COUNT - 1);
                    bus.board.io.release(&(base..=last), DeviceId::Ne2k);
                    bus.board.io.claim(base..=last, DeviceId::Ne2k);
                }
            }
            card.settle(bus);
        }
    }

    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
        let Some((card, offset)) = self.find(port, bus) else { return width.ones() };
        let value = card.chip.read(offset, width);
        card.settle(bus);
        value
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        let Some((card, offset)) = self.find(port, bus) else { return };
        let network = bus.host.networks.get_mut(card.number).map(|network| &mut **network);
        let mut wire = Outbound { translator: &mut card.translator, network, gathered: &mut card.gathered };
        let before = card.chip.isr;
        card.chip.write(offset, width, value, &mut wire);
        if card.chip.isr & !before & TRANSMITTED != 0
            && let Some(timer) = card.timer()
        {
            bus.board.timers.set(timer, bus.board.now + TRANSMISSION);
        }
        if card.waiting && intake::is_ready(&card.chip) {
            // What the guest kept waiting need not wait for the next regular look.
            card.waiting = false;
            bus.board.timers.set(Timer::Service, bus.board.now);
        }
        card.settle(bus);
    }

    fn expire(&mut self, timer: Timer, bus: &mut Bus<'_>) {
        for card in self.cards.iter().filter(|card| card.timer() == Some(timer)) {
            card.settle(bus);
        }
    }

    /// The address on the wire is not saved: each clone gets its own when it is restored.
    fn archive(&mut self, a: &mut Archive<'_>) {
        let mut count = self.cards.len() as u8;
        a.field(&mut count);
        for n in 0..usize::from(count) {
            let Some(card) = self.cards.get_mut(n) else { break };
            let mut guest = card.translator.macs().guest.0;
            a.field(&mut guest);
            a.field(&mut card.chip);
            if a.version() >= 2 {
                a.field(&mut card.intake);
                a.field(&mut card.waiting);
            }
            if a.is_loading() {
                card.translator = Translator::new(MacPair::same(MacAddress(guest)));
            }
        }
    }
}

impl BlockDevice for Ne2k {
    fn read_block(&mut self, port: u16, width: Width, bytes: &mut [u8], bus: &mut Bus<'_>) -> usize {
        let Some((card, offset)) = self.find(port, bus) else { return 0 };
        let done = card.chip.read_block(offset, width, bytes);
        card.settle(bus);
        done
    }

    fn write_block(&mut self, port: u16, width: Width, bytes: &[u8], bus: &mut Bus<'_>) -> usize {
        let Some((card, offset)) = self.find(port, bus) else { return 0 };
        let done = card.chip.write_block(offset, width, bytes);
        card.settle(bus);
        done
    }
}
