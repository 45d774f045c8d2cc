//! What a BIOS does to PCI, for a machine that starts a kernel without one: addresses, interrupt routing,
//! the power-management base.

use crate::board::Board;
use crate::devices::acpi::{PM_BASE, SMBUS_BASE};
use crate::devices::pci::Slot;

/// Lines for PIRQA to PIRQD.
const PIRQ_LINES: [u8; 4] = [10, 10, 11, 11];
/// The first port given out.
const FIRST_PORT: u32 = 0xC000;
/// Memory is given out downwards from here.
const MEMORY_END: u32 = 0xFEBF_0000;

/// Port writes that belong to the chipset set-up and go to devices: interrupt controllers with PCI lines
/// level-triggered and everything masked, timer 0 at 18.2 Hz.
pub const PORT_WRITES: &[(u16, u8)] = &[
    (0x4D0, 0x00),
    (0x4D1, 0x0C),
    (0x20, 0x11),
    (0x21, 0x08),
    (0x21, 0x04),
    (0x21, 0x01),
    (0xA0, 0x11),
    (0xA1, 0x70),
    (0xA1, 0x02),
    (0xA1, 0x01),
    (0x21, 0xFF),
    (0xA1, 0xFF),
    (0x43, 0x34),
    (0x40, 0x00),
    (0x40, 0x00),
    // A20 open.
    (0x92, 0x02),
];

fn dword(board: &Board, slot: Slot, at: u8) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|n| board.pci.config(slot, at + n as u8)))
}

fn put(board: &mut Board, slot: Slot, at: u8, value: u32) {
    board.write_pci(slot, at, &value.to_le_bytes());
}

/// Gives every function addresses and an interrupt line and lets it answer.
pub fn set_up_pci(board: &mut Board) {
    for (n, line) in PIRQ_LINES.into_iter().enumerate() {
        board.write_pci(Slot::ISA, 0x60 + n as u8, &[line]);
    }
    put(board, Slot::PM, 0x40, u32::from(PM_BASE) | 1);
    board.write_pci(Slot::PM, 0x80, &[1]);
    put(board, Slot::PM, 0x90, u32::from(SMBUS_BASE) | 1);
    board.write_pci(Slot::PM, 0xD2, &[9]);
    board.write_pci(Slot::IDE, 0x40, &[0, 0x80, 0, 0x80]);
    let mut port = FIRST_PORT;
    let mut memory = MEMORY_END;
    for devfn in 0..=255 {
        let slot = Slot::from_devfn(devfn);
        if !board.pci.is_present(slot) {
            continue;
        }
        for at in (0x10..0x28).step_by(4) {
            put(board, slot, at, u32::MAX);
            let sized = dword(board, slot, at);
            if sized == 0 {
                // There is no such register.
                continue;
            }
            let io = sized & 1 != 0;
            let size = if io { !(sized & !3) as u16 as u32 } else { !(sized & !15) }.wrapping_add(1);
            let place = match size {
                0 => 0,
                _ if io => {
                    let at = port.next_multiple_of(size);
                    port = at + size;
                    if port > 0x1_0000 { 0 } else { at }
                }
                _ => {
                    let at = memory.saturating_sub(size) & !(size - 1);
                    // Not over RAM: the bus would not get it.
                    if u64::from(at) < board.memory.ram_size() as u64 {
                        0
                    } else {
                        memory = at;
                        at
                    }
                }
            };
            put(board, slot, at, place);
        }
        let pin = board.pci.config(slot, 0x3D);
        if pin != 0 && slot != Slot::PM {
            let line = PIRQ_LINES[usize::from(slot.device() + 3 + pin - 1) & 3];
            board.write_pci(slot, 0x3C, &[line]);
        }
        let command = board.pci.config(slot, 4);
        board.write_pci(slot, 4, &[command | 3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::devices::pci::{Bar, BarTarget, Identity, PciHost, piix3};
    use crate::devices::{Bus, Device, DeviceId, acpi::Acpi, testing};
    use crate::host::Host;

    #[test]
    fn every_function_answers_somewhere_of_its_own() {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut board = testing::board(&config);
        let mut host = Host::null();
        let mut bus = Bus { board: &mut board, host: &mut host };
        PciHost::new(&config).reset(&mut bus);
        Acpi::new(&config).reset(&mut bus);
        board.add_pci(Slot::IDE, &piix3::ide(DeviceId::Dma));
        let framebuffer = Bar::Memory { size: 1 << 20, prefetch: true, target: BarTarget::Backing(2 << 20) };
        let registers =
            Bar::Memory { size: 0x1000, prefetch: false, target: BarTarget::Device(DeviceId::Dma) };
        let vga = Identity { bars: [Some(framebuffer), None, Some(registers), None, None, None], ..card() };
        board.add_pci(Slot::VGA, &vga);
        board.add_pci(Slot::new(3, 0), &card());
        board.add_pci(Slot::new(4, 0), &card());
        set_up_pci(&mut board);
        assert_eq!(board.io.device(0x608), Some(DeviceId::Acpi));
        assert_eq!(board.pci.bar(Slot::IDE, 4), Some(0xC000));
        assert_eq!(board.pci.bar(Slot::VGA, 0), Some(0xFEA0_0000));
        assert_eq!(board.pci.bar(Slot::VGA, 2), Some(0xFE9F_F000));
        assert_eq!(board.pci.bar(Slot::new(3, 0), 0), Some(0xC020));
        assert_eq!(board.pci.bar(Slot::new(4, 0), 0), Some(0xC040));
        assert_eq!(board.pci.config(Slot::new(3, 0), 0x3C), 11);
        board.set_intx(Slot::new(3, 0), true);
        assert_eq!(board.irq.levels(), 1 << 11);
    }

    fn card() -> Identity {
        Identity {
            vendor: 0x10EC,
            device: 0x8029,
            interrupt_pin: 1,
            bars: [Some(Bar::Io { size: 32, device: DeviceId::Debug }), None, None, None, None, None],
            ..Identity::default()
        }
    }
}
