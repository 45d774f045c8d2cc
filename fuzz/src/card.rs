//! Network cards as a machine has them: one on PCI with a boot ROM, one on ISA, each with a translator and a
//! cable. What passes is a frame, and leaves under the card's own address on the wire.

use crate::input::Step;
use crate::rig::{Family, Rig};
use nomad86::board::Width;
use nomad86::config::{Card, CardModel, Config};
use nomad86::devices::pci::Slot;
use nomad86::devices::{Device, DeviceId};
use nomad86::host::{Host, Network};
use nomad86::net::{MacAddress, MacPolicy};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const ISA: u16 = 0x300;
/// Where firmware puts the PCI card.
const PCI: u16 = 0xC020;
const SLOT: Slot = Slot::network(0);
const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const OTHER: MacAddress = MacAddress([0x02, 0xAB, 0xCD, 0xEF, 0x01, 0x23]);

const FAMILY: Family = Family {
    ports: &[ISA..=ISA + 0x1F, PCI..=PCI + 0x1F, 0xCF8..=0xCFF],
    mmio: &[0xFEA0_0000..=0xFEA0_0FFF],
    sections: &[*b"NE2K", *b"PCI "],
};

/// A cable: scripts put frames in at the far end.
#[derive(Clone, Default)]
struct Cable(Rc<RefCell<VecDeque<Vec<u8>>>>);

impl Network for Cable {
    fn transmit(&mut self, frame: &[u8]) {
        assert!((14..=1522).contains(&frame.len()), "a frame of {} bytes", frame.len());
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.0.borrow_mut().pop_front()?;
        let room = buffer.get_mut(..frame.len())?;
        room.copy_from_slice(&frame);
        Some(room)
    }
}

/// A boot ROM for several cards, which each card claims for itself.
fn rom() -> Vec<u8> {
    let mut rom = vec![0; 2048];
    rom[..3].copy_from_slice(&[0x55, 0xAA, 4]);
    rom[0x18] = 0x20;
    rom[0x20..0x24].copy_from_slice(b"PCIR");
    rom
}

/// Calls that a machine makes and its embedder can.
fn act(rig: &mut Rig, what: u8) {
    let (devices, mut bus) = rig.bus();
    let number = usize::from(what >> 3 & 1);
    let policy =
        [MacPolicy::Randomise, MacPolicy::Preserve, MacPolicy::Translate][usize::from(what >> 4) % 3];
    match what & 7 {
        0 => devices.ne2k.unplug(SLOT, &mut bus),
        1 => devices.ne2k.plug(SLOT, &mut bus),
        2 => devices.ne2k.restored(number, policy, MacAddress([2, what, 3, 4, 5, 6])),
        3 => devices.reset(&mut bus),
        // The regular looks of a machine whose guest does not do its part.
        4 => (0..=what).for_each(|_| devices.ne2k.poll(&mut bus)),
        5 => {
            let mut bytes = vec![0; usize::from(what)];
            let port = [PCI, ISA][number] + 0x10;
            let done = devices.read_block(DeviceId::Ne2k, port, Width::Word, &mut bytes, &mut bus);
            assert!(done <= bytes.len());
        }
        6 => {
            let port = [PCI, ISA][number] + 0x10;
            let bytes = vec![what; usize::from(what)];
            let done = devices.write_block(DeviceId::Ne2k, port, Width::Word, &bytes, &mut bus);
            assert!(done <= bytes.len());
        }
        _ => {
            let _ = devices.ne2k.is_waiting();
            let counters = devices.ne2k.counters(number).expect("there are two cards");
            assert!(counters.outbound_rewritten <= counters.outbound, "{counters:?}");
            assert!(counters.inbound_rewritten <= counters.inbound, "{counters:?}");
            assert_eq!(devices.ne2k.slot(number), [Some(SLOT), None][number]);
            assert!(devices.ne2k.macs(number).is_some() && devices.ne2k.chip(number).is_some());
        }
    }
}

/// Two cards where scripts look for them, and the far ends of their cables.
fn rig() -> (Rig, [Cable; 2]) {
    let isa = Card { model: CardModel::Ne2kIsa { base: ISA, irq: 9 }, mac: MAC };
    let pci = Card { model: CardModel::Ne2kPci, mac: OTHER };
    let config = Config { cards: vec![pci, isa], network_rom: rom(), ..Rig::config() };
    let cables = [Cable::default(), Cable::default()];
    let mut host = Host::null();
    host.networks = cables.iter().map(|cable| Box::new(cable.clone()) as Box<dyn Network>).collect();
    let mut rig = Rig::bare(&config, host);
    // A reset of what scripts reach, an address, and ports on: resets of the other chips and the rest of what firmware
    // does take longer than a script.
    let (devices, mut bus) = rig.bus();
    devices.pci.reset(&mut bus);
    devices.ne2k.reset(&mut bus);
    rig.board.write_pci(SLOT, 0x10, &u32::from(PCI).to_le_bytes());
    rig.board.write_pci(SLOT, 4, &[1]);
    (rig, cables)
}

/// Runs a script.
///
/// # Panics
/// When a card breaks a promise.
pub fn run(data: &[u8]) {
    let (mut rig, cables) = rig();
    rig.play(&FAMILY, data, |rig, step| match step {
        Step::Outside(frame) => {
            cables[frame.len() & 1].0.borrow_mut().push_back(frame.clone());
            let (devices, mut bus) = rig.bus();
            devices.ne2k.poll(&mut bus);
        }
        Step::Act(what) => act(rig, *what),
        _ => {}
    });
    rig.end_untouched();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cards_are_where_scripts_look_for_them() {
        let pci = Card { model: CardModel::Ne2kPci, mac: OTHER };
        let config = Config { cards: vec![pci], ..Rig::config() };
        let rig = Rig::new(&config, Host::null());
        assert_eq!(rig.owner(PCI), Some(DeviceId::Ne2k));
        assert_eq!(rig.board.pci.bar(SLOT, 0), Some(u32::from(PCI)));
    }

    #[test]
    fn scripts_reach_both_cards() {
        let (mut rig, _) = rig();
        for base in [ISA, PCI] {
            assert_eq!(rig.owner(base), Some(DeviceId::Ne2k));
            rig.output(base, Width::Byte, 0x21);
            assert_eq!(rig.input(base, Width::Byte), 0x21, "the command register at {base:#X}");
            assert_eq!(rig.input(base + 7, Width::Byte) & 0x80, 0x80, "stopped: RST in ISR at {base:#X}");
        }
    }
}
