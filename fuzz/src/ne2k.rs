//! The network card by itself: register scripts, frames from the wire, registers from a hostile image. What
//! the chip promises is checked after each step.

use crate::input::{Input, Step};
use nomad86::archive::{Archive, Field};
use nomad86::devices::ne2k::chip::{Chip, Wire};
use nomad86::net::MacAddress;

const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// Ports of the card.
const PORTS: u16 = 32;
const MOST_STEPS: usize = 1024;

/// Checks that only frames leave.
struct Cable;

impl Wire for Cable {
    fn transmit(&mut self, frame: &mut [u8]) {
        assert!((14..=1522).contains(&frame.len()), "a frame of {} bytes", frame.len());
        frame.reverse();
    }
}

fn image(chip: &mut Chip) -> Vec<u8> {
    let mut bytes = Vec::new();
    chip.archive(&mut Archive::save(&mut bytes, 1));
    bytes
}

/// Runs an input: bit 0 of its first byte says that registers come from an image, bit 1 that it is for the cards
/// of a machine instead of the chip by itself.
///
/// # Panics
/// When the chip breaks a promise.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte().unwrap_or(0);
    if kind & 2 != 0 {
        return crate::card::run(input.rest());
    }
    let mut chip = Chip::new(MAC);
    if kind & 1 != 0 {
        let len = usize::from(input.word() & 0x3FF);
        chip.archive(&mut Archive::load(input.slice(len), 1));
    }
    for _ in 0..MOST_STEPS {
        let Some(step) = Step::read(&mut input) else { break };
        match step {
            Step::In(port, width) => {
                let value = chip.read(u16::from(port) % PORTS, width);
                assert_eq!(value & !width.ones(), 0, "a read is no wider than asked for");
            }
            Step::Out(port, width, value) => chip.write(u16::from(port) % PORTS, width, value, &mut Cable),
            Step::Repeat(port, width, bytes) => {
                for byte in bytes {
                    chip.write(u16::from(port) % PORTS, width, u32::from(byte) * 0x0101_0101, &mut Cable);
                }
            }
            Step::Outside(frame) => {
                chip.receive(&frame);
            }
            Step::Act(_) => chip.power_cycle(),
            Step::Load(..) | Step::Store(..) | Step::Wait(_) => {}
        }
    }
    let saved = image(&mut chip);
    let mut twin = Chip::new(MAC);
    twin.archive(&mut Archive::load(&saved, 1));
    assert_eq!(image(&mut twin), saved, "what is saved is loaded");
    assert_eq!(twin.irq(), chip.irq());
}
