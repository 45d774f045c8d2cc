//! Cards in a machine: PCI and ISA, interrupt lines, translation, saving.

use super::*;
use crate::archive::Archive;
use crate::board::Board;
use crate::config::{Card, CardModel, Config};
use crate::devices::ne2k::Ne2k;
use crate::devices::pci::{PciHost, Slot};
use crate::devices::{Bus, Device, DeviceId, save_section, testing};
use crate::host::{Host, Network};
use crate::net::{MacPair, MacPolicy};
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Default)]
struct Cable {
    out: Vec<Vec<u8>>,
    inward: VecDeque<Vec<u8>>,
    flushes: usize,
}

struct Plug(Rc<RefCell<Cable>>);

impl Network for Plug {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.borrow_mut().out.push(frame.to_vec());
    }

    fn flush(&mut self) {
        self.0.borrow_mut().flushes += 1;
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.0.borrow_mut().inward.pop_front()?;
        buffer[..frame.len()].copy_from_slice(&frame);
        Some(&buffer[..frame.len()])
    }
}

struct Pc {
    board: Board,
    host: Host,
    ne2k: Ne2k,
    cables: Vec<Rc<RefCell<Cable>>>,
    base: u16,
}

const FIRST: Slot = Slot::new(5, 0);
const ISA: CardModel = CardModel::Ne2kIsa { base: 0x300, irq: 3 };
const WIRE: MacAddress = MacAddress([0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23]);

impl Pc {
    fn new(models: &[CardModel]) -> Self {
        let cards = models.iter().map(|&model| Card { model, mac: MAC }).collect();
        let config = Config { cards, ..Config::default() };
        let cables: Vec<_> = models.iter().map(|_| Rc::new(RefCell::new(Cable::default()))).collect();
        let mut host = Host::null();
        for cable in &cables {
            host.networks.push(Box::new(Plug(cable.clone())));
        }
        let mut pc =
            Self { board: testing::board(&config), host, ne2k: Ne2k::new(&config), cables, base: 0x300 };
        let bus = &mut Bus { board: &mut pc.board, host: &mut pc.host };
        PciHost::new(&config).reset(bus);
        pc.ne2k.reset(bus);
        pc
    }

    /// One PCI card at port C100 on line 11, brought up.
    fn with_pci_card() -> Self {
        let mut pc = Self::new(&[CardModel::Ne2kPci]);
        pc.place(FIRST, 0xC100);
        pc.base = 0xC100;
        pc.bring_up();
        pc
    }

    fn place(&mut self, slot: Slot, base: u16) {
        self.board.write_pci(slot, 0x10, &u32::from(base).to_le_bytes());
        self.board.write_pci(slot, 0x04, &[1, 0]);
    }

    fn inb(&mut self, offset: u16) -> u8 {
        let port = self.base + offset;
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        assert_eq!(bus.board.io.device(port), Some(DeviceId::Ne2k));
        self.ne2k.read(port, Width::Byte, bus) as u8
    }

    fn outb(&mut self, offset: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.ne2k.write(self.base + offset, Width::Byte, u32::from(value), bus);
    }

    fn bring_up(&mut self) {
        let mac = self.prom();
        for (offset, value) in [(0, STOP), (0x0E, 0x49), (0x0C, 0x04), (0x0D, 0), (1, 0x4C), (2, 0x80)] {
            self.outb(offset, value);
        }
        for (offset, value) in [(3, 0x4C), (7, 0xFF), (0x0F, 0x3F), (0, STOP | PAGE1), (7, 0x4D)] {
            self.outb(offset, value);
        }
        for (n, octet) in mac.into_iter().enumerate() {
            self.outb(1 + n as u16, octet);
        }
        self.outb(0, START);
    }

    /// The address that a driver finds.
    fn prom(&mut self) -> [u8; 6] {
        for (offset, value) in [(0, START), (0x0E, 0x48), (0x0A, 12), (0x0B, 0), (8, 0), (9, 0), (0, 0x0A)] {
            self.outb(offset, value);
        }
        let bytes: Vec<u8> = (0..12).map(|_| self.inb(0x10)).collect();
        self.outb(0x0E, 0x49);
        [bytes[0], bytes[2], bytes[4], bytes[6], bytes[8], bytes[10]]
    }

    /// The guest sends a frame from its address.
    /// Sends a frame and acknowledges its interrupt.
    fn send(&mut self, destination: MacAddress) -> Vec<u8> {
        let bytes = self.transmit(destination);
        self.outb(7, 0x42);
        bytes
    }

    fn transmit(&mut self, destination: MacAddress) -> Vec<u8> {
        let mut bytes = frame(destination, 60);
        bytes[6..12].copy_from_slice(&MAC.0);
        for (offset, value) in [(0, START), (0x0A, 60), (0x0B, 0), (8, 0), (9, 0x40), (0, 0x12)] {
            self.outb(offset, value);
        }
        for byte in &bytes {
            self.outb(0x10, *byte);
        }
        for (offset, value) in [(0, START), (4, 0x40), (5, 60), (6, 0), (0, START | cr::TXP)] {
            self.outb(offset, value);
        }
        bytes
    }

    fn arrive(&mut self, destination: MacAddress, source: MacAddress) {
        let mut bytes = frame(destination, 60);
        bytes[6..12].copy_from_slice(&source.0);
        self.cables[0].borrow_mut().inward.push_back(bytes);
        self.poll();
    }

    fn poll(&mut self) {
        self.ne2k.poll(&mut Bus { board: &mut self.board, host: &mut self.host });
    }

    /// Destination and source of the packet at a page of the ring.
    fn packet(&self, page: u8) -> (MacAddress, MacAddress) {
        let at = (u16::from(page) << 8) + 4;
        let memory = self.ne2k.chip(0).unwrap().memory();
        let mac = |at: u16| MacAddress(core::array::from_fn(|n| memory.read(at + n as u16)));
        (mac(at), mac(at + 6))
    }

    fn save(&mut self) -> Vec<u8> {
        save_section(&mut self.ne2k)
    }

    fn load(&mut self, image: &[u8]) {
        let mut a = Archive::load(image, Ne2k::VERSION);
        self.ne2k.archive(&mut a);
        assert!(a.finish());
    }
}

#[test]
fn the_pci_function_is_an_rtl8029_in_slot_5() {
    let pc = Pc::new(&[CardModel::Ne2kPci]);
    let config = |at| pc.board.pci.config(FIRST, at);
    assert_eq!([config(0), config(1), config(2), config(3)], [0xEC, 0x10, 0x29, 0x80]);
    assert_eq!([config(9), config(10), config(11)], [0, 0, 2]);
    assert_eq!([config(0x2C), config(0x2D), config(0x2E), config(0x2F)], [0xF4, 0x1A, 0x00, 0x11]);
    assert_eq!((config(0x10), config(0x3D)), (1, 1));
}

#[test]
fn case_10_the_bar_is_32_ports_and_follows_the_command_register() {
    let mut pc = Pc::with_pci_card();
    assert_eq!(pc.board.io.device(0xC100), Some(DeviceId::Ne2k));
    assert_eq!(pc.board.io.device(0xC11F), Some(DeviceId::Ne2k));
    assert_eq!(pc.board.io.device(0xC120), None);
    assert_eq!(pc.inb(0), START);
    pc.place(FIRST, 0xD000);
    pc.base = 0xD000;
    assert_eq!(pc.inb(0), START, "moved");
    let bus = &mut Bus { board: &mut pc.board, host: &mut pc.host };
    assert_eq!(pc.ne2k.read(0xC100, Width::Byte, bus), 0xFF);
    pc.board.write_pci(FIRST, 4, &[0, 0]);
    assert_eq!(pc.board.io.device(0xD000), None);
}

#[test]
fn frames_pass_between_guest_and_cable_and_interrupt() {
    let mut pc = Pc::with_pci_card();
    pc.board.write_pci(Slot::ISA, 0x60, &[11, 11, 11, 11]);
    let sent = pc.send(PEER);
    assert_eq!(pc.cables[0].borrow().out, [sent]);
    assert_eq!(pc.board.irq.levels(), 0);
    pc.arrive(MAC, PEER);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    assert_eq!(pc.packet(0x4D), (MAC, PEER));
    pc.outb(7, 0xFF);
    assert_eq!(pc.board.irq.levels(), 0);
}

#[test]
fn the_interrupt_after_a_transmission_comes_a_moment_later() {
    let mut pc = Pc::with_pci_card();
    pc.board.write_pci(Slot::ISA, 0x60, &[11, 11, 11, 11]);
    // As Linux does: the card's interrupts are masked while it starts the transmitter.
    pc.outb(0x0F, 0);
    pc.transmit(PEER);
    pc.outb(0x0F, 0x3F);
    assert_eq!(pc.inb(7) & 0x02, 0x02, "it has been sent");
    assert_eq!(pc.board.irq.levels(), 0);
    pc.board.now = pc.board.now + crate::devices::ne2k::TRANSMISSION;
    let (timer, _) = pc.board.timers.pop(pc.board.now).expect("the interrupt is due");
    pc.ne2k.expire(timer, &mut Bus { board: &mut pc.board, host: &mut pc.host });
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.outb(7, 0x02);
    assert_eq!(pc.board.irq.levels(), 0);

    // A packet that comes meanwhile interrupts at once, and what is acknowledged then needs no more.
    pc.transmit(PEER);
    pc.arrive(MAC, PEER);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.outb(7, 0x03);
    assert_eq!(pc.board.irq.levels(), 0);
    assert_eq!(pc.board.timers.get(timer), None);
}

#[test]
fn frames_are_passed_on_together_when_the_host_is_served() {
    let mut pc = Pc::with_pci_card();
    pc.send(PEER);
    pc.send(PEER);
    assert_eq!(pc.cables[0].borrow().flushes, 0);
    pc.poll();
    pc.poll();
    assert_eq!(pc.cables[0].borrow().flushes, 1);
}

#[test]
fn an_isa_card_answers_at_its_ports_and_pulls_its_line() {
    let mut pc = Pc::new(&[ISA]);
    pc.bring_up();
    pc.arrive(MacAddress::BROADCAST, PEER);
    assert_eq!(pc.board.irq.levels(), 1 << 3);
    pc.outb(0x0F, 0);
    assert_eq!(pc.board.irq.levels(), 0);
    assert!(!pc.board.pci.is_present(FIRST));
}

#[test]
fn several_cards_have_their_own_places_and_cables() {
    let mut pc = Pc::new(&[CardModel::Ne2kPci, ISA, CardModel::Ne2kPci]);
    pc.place(FIRST, 0xC100);
    pc.place(Slot::new(7, 0), 0xC200);
    for (n, base) in [(0, 0xC100), (1, 0x300), (2, 0xC200)] {
        pc.base = base;
        pc.bring_up();
        pc.send(PEER);
        let sent: Vec<usize> = pc.cables.iter().map(|cable| cable.borrow().out.len()).collect();
        assert_eq!(sent.iter().sum::<usize>(), n + 1);
        assert_eq!(sent[n], 1);
    }
}

/// Takes all packets out of the ring as Linux's 8390 driver does, nine at most; returns how many.
fn take_packets(pc: &mut Pc) -> usize {
    for taken in 0..9 {
        pc.outb(0, START | PAGE1);
        let curr = pc.inb(7);
        pc.outb(0, START);
        let bnry = pc.inb(3);
        let page = if bnry + 1 >= 0x80 { 0x4C } else { bnry + 1 };
        if page == curr {
            return taken;
        }
        let next = pc.ne2k.chip(0).unwrap().memory().read((u16::from(page) << 8) + 1);
        pc.outb(3, next - 1); // even where that is the page before the ring
    }
    9
}

#[test]
fn frames_that_come_before_the_driver_acknowledges_never_leave_it_without_an_interrupt() {
    for length in [60, 600, 1514] {
        let mut pc = Pc::with_pci_card();
        for n in 0..1000u16 {
            let mut bytes = frame(MAC, length);
            bytes[20..22].copy_from_slice(&n.to_be_bytes());
            pc.cables[0].borrow_mut().inward.push_back(bytes);
        }
        let mut taken = 0;
        while taken < 1000 {
            pc.poll();
            assert_ne!(pc.inb(7) & isr::PRX, 0, "{taken} packets of {length} bytes, then no interrupt");
            taken += take_packets(&mut pc);
            // Between the driver's last look at the ring and the acknowledgement.
            pc.poll();
            pc.outb(7, isr::PRX | isr::RXE);
        }
        assert_eq!(pc.inb(7) & isr::OVW, 0);
    }
}

#[test]
fn a_driver_that_polls_and_never_acknowledges_gets_its_frames_all_the_same() {
    let mut pc = Pc::with_pci_card();
    for _ in 0..100 {
        pc.cables[0].borrow_mut().inward.push_back(frame(MAC, 1514));
    }
    let mut taken = 0;
    for _ in 0..300 {
        pc.poll();
        taken += take_packets(&mut pc);
    }
    assert_eq!(taken, 100);
    assert_eq!(pc.inb(7) & isr::OVW, 0);
}

#[test]
fn a_guest_that_lets_its_ring_stand_full_learns_of_it_as_from_a_wire() {
    let mut pc = Pc::with_pci_card();
    for _ in 0..100 {
        pc.cables[0].borrow_mut().inward.push_back(frame(MAC, 1514));
    }
    pc.poll();
    pc.outb(7, 0xFF);
    for _ in 0..200 {
        pc.poll();
        assert!(pc.ne2k.is_waiting());
    }
    assert_eq!(pc.inb(7) & isr::OVW, 0, "not at once");
    pc.poll();
    assert_ne!(pc.inb(7) & isr::OVW, 0);
    let left = pc.cables[0].borrow().inward.len();
    assert!(left > 80, "{left}");
}

#[test]
fn frames_wait_in_the_back_end_while_the_ring_is_full() {
    let mut pc = Pc::with_pci_card();
    for n in 0..200 {
        let mut bytes = frame(MAC, 1514);
        bytes[20] = n;
        pc.cables[0].borrow_mut().inward.push_back(bytes);
    }
    pc.poll();
    let waiting = pc.cables[0].borrow().inward.len();
    assert!((190..200).contains(&waiting), "{waiting}");
    assert_eq!(pc.inb(7) & isr::OVW, 0);
    // The guest empties the ring: BNRY goes to the page before CURR.
    pc.outb(0, START | PAGE1);
    let curr = pc.inb(7);
    pc.outb(0, START);
    pc.outb(3, curr - 1);
    pc.outb(7, 0xFF);
    pc.poll();
    assert!(pc.cables[0].borrow().inward.len() < waiting);
    // A card that is off loses what comes.
    pc.outb(0, STOP);
    for _ in 0..10 {
        pc.poll();
    }
    assert!(pc.cables[0].borrow().inward.is_empty());
}

#[test]
fn case_12_a_driver_that_reloads_does_not_lose_the_address_on_the_wire() {
    let mut pc = Pc::with_pci_card();
    pc.ne2k.set_wire(0, WIRE);
    for round in 0..3 {
        pc.send(PEER);
        let sent = pc.cables[0].borrow_mut().out.pop().unwrap();
        assert_eq!(sent[6..12], WIRE.0, "round {round}");
        // Reset, PROM, registers; in the second round with an address of the driver's own making.
        pc.inb(0x1F);
        assert_eq!(pc.prom(), MAC.0, "the guest sees its own address");
        pc.bring_up();
        pc.arrive(WIRE, PEER);
        assert_eq!(pc.packet(0x4D), (MAC, PEER));
    }
    pc.outb(0, STOP | PAGE1);
    for n in 1..=6 {
        pc.outb(n, 0xFF);
    }
    pc.outb(0, START);
    assert_eq!(pc.ne2k.macs(0), Some(MacPair { guest: MAC, wire: WIRE }));
}

#[test]
fn own_frames_that_a_relay_reflects_are_dropped() {
    let mut pc = Pc::with_pci_card();
    pc.ne2k.set_wire(0, WIRE);
    pc.arrive(MacAddress::BROADCAST, WIRE);
    assert_eq!(pc.ne2k.chip(0).unwrap().ring().curr, 0x4D);
    assert_eq!(pc.ne2k.counters(0).unwrap().reflected, 1);
    pc.arrive(MacAddress::BROADCAST, PEER);
    assert_eq!(pc.ne2k.chip(0).unwrap().ring().curr, 0x4E);
}

#[test]
fn everything_is_saved_multicast_filter_and_packet_ram_included() {
    let mut pc = Pc::with_pci_card();
    pc.outb(0, START | PAGE1);
    for n in 8..16 {
        pc.outb(n, 0x80 | n as u8);
    }
    pc.outb(0, START);
    pc.arrive(MAC, PEER);
    let image = pc.save();
    assert!(image.len() > 0x4000);
    let mut copy = Pc::with_pci_card();
    copy.load(&image);
    assert_eq!(copy.save(), image);
    assert_eq!(copy.packet(0x4D), (MAC, PEER));
    copy.outb(0, START | PAGE1);
    assert_eq!(copy.inb(0x0F), 0x8F);
}

#[test]
fn second_and_third_generations_keep_the_guests_address() {
    let mut image = Pc::with_pci_card().save();
    for generation in 1..=3u8 {
        let mut pc = Pc::new(&[CardModel::Ne2kPci]);
        // The clone was configured with some address of its own; the image's counts.
        pc.ne2k.set_mac(0, PEER);
        pc.place(FIRST, 0xC100);
        pc.base = 0xC100;
        pc.load(&image);
        assert_eq!(pc.ne2k.macs(0), Some(MacPair::same(MAC)), "preserved until told otherwise");
        let wire = MacAddress([2, 0, 0, 0, 0, generation]);
        pc.ne2k.set_wire(0, wire);
        pc.send(PEER);
        assert_eq!(pc.cables[0].borrow().out[0][6..12], wire.0);
        pc.arrive(wire, PEER);
        assert_eq!(pc.packet(pc.ne2k.chip(0).unwrap().ring().curr - 1).0, MAC);
        image = pc.save();
    }
}

#[test]
fn another_address_altogether_is_found_by_the_next_driver() {
    let mut pc = Pc::with_pci_card();
    pc.ne2k.set_mac(0, WIRE);
    assert_eq!(pc.prom(), WIRE.0);
    pc.bring_up();
    pc.arrive(WIRE, PEER);
    assert_eq!(pc.packet(0x4D), (WIRE, PEER));
    let image = pc.save();
    let mut copy = Pc::with_pci_card();
    copy.load(&image);
    assert_eq!(copy.prom(), WIRE.0);
    assert_eq!(copy.ne2k.macs(0), Some(MacPair::same(WIRE)));
}

#[test]
fn a_machine_reset_stops_the_cards_and_lowers_their_lines() {
    let mut pc = Pc::new(&[ISA]);
    pc.bring_up();
    pc.ne2k.set_wire(0, WIRE);
    pc.arrive(MacAddress::BROADCAST, PEER);
    assert_ne!(pc.board.irq.levels(), 0);
    pc.ne2k.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
    assert_eq!(pc.board.irq.levels(), 0);
    assert_eq!(pc.inb(0), 0x21);
    assert_eq!(pc.prom(), MAC.0);
    assert_eq!(pc.ne2k.macs(0).unwrap().wire, WIRE, "the wire address outlives it");
}

#[test]
fn each_policy_gives_a_restored_card_its_addresses() {
    let image = Pc::with_pci_card().save();
    for (policy, expected) in [
        (MacPolicy::Randomise, MacPair::same(WIRE)),
        (MacPolicy::Preserve, MacPair::same(MAC)),
        (MacPolicy::Translate, MacPair { guest: MAC, wire: WIRE }),
    ] {
        let mut pc = Pc::with_pci_card();
        pc.load(&image);
        pc.ne2k.restored(0, policy, WIRE);
        assert_eq!(pc.ne2k.macs(0), Some(expected), "{policy}");
        assert_eq!(pc.ne2k.chip(0).unwrap().memory().mac(), expected.guest);
    }
}

#[test]
fn a_card_that_was_unplugged_and_plugged_in_comes_up_with_its_new_address() {
    let mut pc = Pc::with_pci_card();
    pc.board.write_pci(Slot::ISA, 0x60, &[11, 11, 11, 11]);
    pc.arrive(MAC, PEER);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.ne2k.restored(0, MacPolicy::Randomise, WIRE);
    let slot = pc.ne2k.slot(0).unwrap();
    let bus = &mut Bus { board: &mut pc.board, host: &mut pc.host };
    pc.ne2k.unplug(slot, bus);
    assert!(!bus.board.pci.is_present(slot));
    assert_eq!(bus.board.io.device(0xC100), None);
    assert_eq!(bus.board.irq.levels(), 0);
    pc.ne2k.plug(slot, bus);
    assert_eq!(pc.board.io.device(0xC100), None, "as hardware comes up: nothing is assigned");
    pc.place(slot, 0xD000);
    pc.base = 0xD000;
    assert_eq!(pc.inb(0), 0x21);
    pc.bring_up();
    pc.arrive(WIRE, PEER);
    assert_eq!(pc.packet(0x4D), (WIRE, PEER));
}
