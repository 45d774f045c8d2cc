//! A driver's view of configuration space.
#![allow(clippy::unusual_byte_groupings)]

use super::*;
use crate::board::Board;
use crate::devices::{DeviceId, testing};
use crate::host::Host;
use crate::memory::Target;
use alloc::vec::Vec;

struct Pc {
    board: Board,
    host: Host,
    pci: PciHost,
}

const CARD: Slot = Slot::new(3, 0);
const OTHER: Slot = Slot::new(4, 0);

fn card() -> Identity {
    Identity {
        vendor: 0x10EC,
        device: 0x8029,
        class: 0x02_00_00,
        interrupt_pin: 1,
        bars: [
            Some(Bar::Io { size: 32, device: DeviceId::Debug }),
            Some(Bar::Memory { size: 0x1000, prefetch: false, target: BarTarget::Device(DeviceId::Dma) }),
            Some(Bar::Memory { size: 0x10_0000, prefetch: true, target: BarTarget::Backing(2 << 20) }),
            None,
            None,
            None,
        ],
        rom: Some(Rom { size: 0x1_0000, target: BarTarget::Rom(3 << 20) }),
        ..Identity::default()
    }
}

impl Pc {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut pc = Self { board: testing::board(&config), host: Host::null(), pci: PciHost::new(&config) };
        pc.reset();
        pc.board.add_pci(CARD, &card());
        pc
    }

    fn reset(&mut self) {
        self.pci.reset(&mut Bus { board: &mut self.board, host: &mut self.host });
    }

    fn outb(&mut self, port: u16, value: u8) {
        self.out(port, Width::Byte, u32::from(value));
    }

    fn out(&mut self, port: u16, width: Width, value: u32) {
        self.pci.write(port, width, value, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    fn inp(&mut self, port: u16, width: Width) -> u32 {
        self.pci.read(port, width, &mut Bus { board: &mut self.board, host: &mut self.host })
    }

    fn select(&mut self, slot: Slot, at: u8) {
        let devfn = u32::from(slot.device()) << 11 | u32::from(slot.function()) << 8;
        self.out(0xCF8, Width::Dword, 0x8000_0000 | devfn | u32::from(at & 0xFC));
    }

    fn read(&mut self, slot: Slot, at: u8, width: Width) -> u32 {
        self.select(slot, at);
        self.inp(0xCFC + u16::from(at & 3), width)
    }

    fn write(&mut self, slot: Slot, at: u8, width: Width, value: u32) {
        self.select(slot, at);
        self.out(0xCFC + u16::from(at & 3), width, value);
    }
}

#[test]
fn a_scan_finds_the_bridges_and_the_card_and_nothing_else() {
    let mut pc = Pc::new();
    let mut found = Vec::new();
    for device in 0..32 {
        for function in 0..8 {
            let id = pc.read(Slot::new(device, function), 0, Width::Dword);
            if id != 0xFFFF_FFFF {
                found.push((device, function, id));
            }
        }
    }
    assert_eq!(found, [(0, 0, 0x1237_8086), (1, 0, 0x7000_8086), (3, 0, 0x8029_10EC)]);
}

#[test]
fn a_device_is_multi_function_once_it_has_a_second_one() {
    let mut pc = Pc::new();
    assert_eq!(pc.read(Slot::ISA, 0x0E, Width::Byte), 0);
    pc.board.add_pci(Slot::IDE, &piix3::ide(DeviceId::Dma));
    assert_eq!(pc.read(Slot::ISA, 0x0E, Width::Byte), 0x80);
    assert_eq!(pc.read(Slot::IDE, 0x0E, Width::Byte), 0);
    assert_eq!(pc.read(Slot::IDE, 0x08, Width::Dword), 0x0101_8000);
}

#[test]
fn bars_are_sized_by_writing_ones() {
    let mut pc = Pc::new();
    for (at, ones) in [(0x10, 0xFFFF_FFE1), (0x14, 0xFFFF_F000), (0x18, 0xFFF0_0008), (0x1C, 0)] {
        pc.write(CARD, at, Width::Dword, 0xFFFF_FFFF);
        assert_eq!(pc.read(CARD, at, Width::Dword), ones, "BAR at {at:#x}");
    }
    pc.write(CARD, 0x30, Width::Dword, 0xFFFF_F800);
    assert_eq!(pc.read(CARD, 0x30, Width::Dword), 0xFFFF_0000);
    pc.write(CARD, 0x30, Width::Dword, 0xFFFF_FFFF);
    assert_eq!(pc.read(CARD, 0x30, Width::Dword), 0xFFFF_0001);
}

#[test]
fn ports_answer_only_while_the_command_register_lets_them() {
    let mut pc = Pc::new();
    pc.write(CARD, 0x10, Width::Dword, 0xC100);
    assert_eq!(pc.board.io.device(0xC100), None);
    pc.write(CARD, 0x04, Width::Word, 1);
    assert_eq!(pc.board.pci.bar(CARD, 0), Some(0xC100));
    assert_eq!(pc.board.io.device(0xC100), Some(DeviceId::Debug));
    assert_eq!(pc.board.io.device(0xC11F), Some(DeviceId::Debug));
    assert_eq!(pc.board.io.device(0xC120), None);
    pc.write(CARD, 0x10, Width::Dword, 0xD000);
    assert_eq!(pc.board.io.device(0xC100), None);
    assert_eq!(pc.board.io.device(0xD000), Some(DeviceId::Debug));
    pc.write(CARD, 0x04, Width::Word, 0);
    assert_eq!(pc.board.io.device(0xD000), None);
    assert_eq!(pc.board.pci.bar(CARD, 0), None);
}

#[test]
fn memory_bars_map_devices_and_backing_and_move() {
    let mut pc = Pc::new();
    pc.write(CARD, 0x14, Width::Dword, 0xFEBF_1000);
    pc.write(CARD, 0x18, Width::Dword, 0xFD00_0000);
    pc.write(CARD, 0x04, Width::Word, 2);
    assert_eq!(pc.board.memory.target(0xFEBF_1004, true), Target::Io);
    assert_eq!(pc.board.mmio.device(0xFEBF_1004), Some(DeviceId::Dma));
    assert_eq!(pc.board.memory.target(0xFD00_2000, true), Target::Memory((2 << 20) + 0x2000));
    pc.write(CARD, 0x18, Width::Dword, 0xE000_0000);
    assert_eq!(pc.board.memory.target(0xFD00_2000, true), Target::None);
    assert_eq!(pc.board.memory.target(0xE000_2000, true), Target::Memory((2 << 20) + 0x2000));
    pc.write(CARD, 0x30, Width::Dword, 0xFEB0_0001);
    assert_eq!(pc.board.memory.target(0xFEB0_1000, false), Target::Rom((3 << 20) + 0x1000));
    pc.write(CARD, 0x30, Width::Dword, 0xFEB0_0000);
    assert_eq!(pc.board.memory.target(0xFEB0_1000, false), Target::None);
}

#[test]
fn case_13_a_bar_may_be_moved_anywhere() {
    let mut pc = Pc::new();
    pc.board.add_pci(OTHER, &card());
    for slot in [CARD, OTHER] {
        pc.write(slot, 0x04, Width::Word, 3);
    }
    // Two cards at one address: the later one answers, and the first again when it has gone.
    pc.write(CARD, 0x14, Width::Dword, 0xF000_0000);
    pc.write(CARD, 0x18, Width::Dword, 0xE000_0000);
    pc.write(OTHER, 0x14, Width::Dword, 0xF000_0000);
    pc.write(OTHER, 0x18, Width::Dword, 0xF000_0000);
    assert_eq!(pc.board.memory.target(0xF000_0000, false), Target::Memory(2 << 20));
    pc.write(OTHER, 0x18, Width::Dword, 0xD000_0000);
    assert_eq!(pc.board.memory.target(0xF000_0000, false), Target::Io);
    // Onto the configuration ports themselves, beyond 64 Ki, to zero, over RAM, over the firmware.
    for at in [0xCE0, 0xFFE0, 0xFFFF_FFE0, 0x1_0000, 0, 0xFFFF_FFFF] {
        pc.write(CARD, 0x10, Width::Dword, at);
    }
    assert_eq!(pc.board.pci.bar(CARD, 0), None);
    for at in [0, 0x1000, 0xF_0000, 0x10_0000, 0x1F_F000, 0xFFFF_FFFF] {
        pc.write(CARD, 0x14, Width::Dword, at);
        assert_eq!(pc.board.pci.bar(CARD, 1), None, "{at:#x}");
        pc.write(CARD, 0x18, Width::Dword, at);
        assert_eq!(pc.board.pci.bar(CARD, 2), None, "{at:#x}");
    }
    assert_eq!(pc.board.memory.target(0x1F_F000, true), Target::Memory(0x1F_F000));
    for n in 0..10_000_u32 {
        pc.write(CARD, 0x10 + (n % 3 * 4) as u8, Width::Dword, n.wrapping_mul(0x9E37_79B9));
        pc.write(OTHER, 0x10 + (n % 5 * 4) as u8, Width::Word, n.wrapping_mul(0x85EB_CA6B));
        pc.write(CARD, 0x04, Width::Byte, n & 3);
    }
    for slot in [CARD, OTHER] {
        pc.write(slot, 0x04, Width::Word, 0);
    }
    assert!((0..=0xFFFF).all(|port| pc.board.io.device(port).is_none()), "a claim was left over");
    assert_eq!(pc.board.memory.target(0xF000_0000, false), Target::None);
}

#[test]
fn case_14_every_address_can_be_read_and_written_in_every_width() {
    let mut pc = Pc::new();
    for address in (0_u32..0x0100_0000).step_by(0x3F4).chain((0..0x1_0000).step_by(4)) {
        pc.out(0xCF8, Width::Dword, 0x8000_0000 | address);
        for (port, width) in [
            (0xCFC, Width::Dword),
            (0xCFD, Width::Dword),
            (0xCFF, Width::Word),
            (0xCFE, Width::Word),
            (0xCFF, Width::Byte),
        ] {
            let value = pc.inp(port, width);
            if address >> 16 != 0 {
                assert_eq!(value, width.ones());
            }
            pc.out(port, width, 0xFFFF_FFFF);
        }
    }
    // Disabled: nothing answers.
    pc.out(0xCF8, Width::Dword, 0);
    assert_eq!(pc.inp(0xCFC, Width::Dword), 0xFFFF_FFFF);
    assert_eq!(pc.board.request, None);
}

#[test]
fn case_14_only_a_byte_with_the_trigger_bit_at_cf9_resets() {
    let mut pc = Pc::new();
    pc.out(0xCF8, Width::Dword, 0xFFFF_FFFF);
    assert_eq!(pc.inp(0xCF8, Width::Dword), 0x80FF_FFFC);
    pc.out(0xCF8, Width::Byte, 0x06);
    pc.out(0xCF9, Width::Word, 0x0606);
    pc.outb(0xCFA, 6);
    pc.outb(0xCF9, 2);
    assert_eq!(pc.board.request, None);
    assert_eq!(pc.inp(0xCF9, Width::Byte), 2);
    assert_eq!(pc.inp(0xCF8, Width::Dword), 0x80FF_FFFC, "the address is written by dwords only");
    pc.outb(0xCF9, 6);
    assert_eq!(pc.board.request.take(), Some(Request::Reset));
    pc.outb(0xCF9, 4);
    assert_eq!(pc.board.request, Some(Request::ResetCpu));
}

#[test]
fn cards_share_a_line_and_the_line_follows_its_route() {
    let mut pc = Pc::new();
    // Slots 3 and 7 are both wired to PIRQC with INTA.
    let far = Slot::new(7, 0);
    pc.board.add_pci(far, &card());
    pc.board.set_intx(CARD, true);
    assert_eq!(pc.board.irq.levels(), 0, "not routed after reset");
    pc.write(Slot::ISA, 0x62, Width::Byte, 11);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.board.set_intx(far, true);
    pc.board.set_intx(CARD, false);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.write(Slot::ISA, 0x62, Width::Byte, 10);
    assert_eq!(pc.board.irq.levels(), 1 << 10);
    pc.write(Slot::ISA, 0x62, Width::Byte, 0x80);
    assert_eq!(pc.board.irq.levels(), 0);
    pc.write(Slot::ISA, 0x62, Width::Byte, 2);
    assert_eq!(pc.board.irq.levels(), 0, "line 2 is reserved");
    pc.write(Slot::ISA, 0x62, Width::Byte, 5);
    pc.board.set_intx(far, false);
    assert_eq!(pc.board.irq.levels(), 0);
}

#[test]
fn case_15_decoding_stops_and_interrupts_go_down_at_once() {
    let mut pc = Pc::new();
    pc.write(CARD, 0x10, Width::Dword, 0xC000);
    pc.write(CARD, 0x04, Width::Word, 5);
    assert!(pc.board.pci.is_master(CARD));
    pc.write(Slot::ISA, 0x62, Width::Byte, 11);
    pc.board.set_intx(CARD, true);
    assert_eq!(pc.read(CARD, 0x06, Width::Byte) & 8, 8);
    pc.write(CARD, 0x3C, Width::Byte, 3);
    assert_eq!(pc.board.irq.levels(), 1 << 11, "the line register is software's note");
    pc.write(CARD, 0x04, Width::Word, 0x400);
    assert_eq!(pc.board.io.device(0xC000), None);
    assert!(!pc.board.pci.is_master(CARD));
    assert_eq!(pc.board.irq.levels(), 0);
    assert_eq!(pc.read(CARD, 0x06, Width::Byte) & 8, 8);
    pc.write(CARD, 0x04, Width::Word, 1);
    assert_eq!(pc.board.irq.levels(), 1 << 11);
    pc.board.remove_pci(CARD);
    assert_eq!(pc.board.irq.levels(), 0);
    assert_eq!(pc.board.io.device(0xC000), None);
    assert_eq!(pc.read(CARD, 0, Width::Dword), 0xFFFF_FFFF);
}

#[test]
fn pam_copies_the_bios_into_shadow_memory() {
    let mut pc = Pc::new();
    let len = pc.board.memory.rom_mut().len();
    pc.board.memory.rom_mut()[len - 0x1_0000] = 0x5A;
    let mut byte = [0];
    assert!(pc.board.memory.read(0xF_0000, &mut byte));
    assert_eq!(byte, [0x5A]);
    // Write-only: reads come from ROM, writes go below.
    pc.write(Slot::HOST, 0x59, Width::Byte, 0x20);
    pc.board.memory.write(0xF_0000, &[1]);
    assert!(pc.board.memory.read(0xF_0000, &mut byte));
    assert_eq!(byte, [0x5A]);
    // Read-only shadow.
    pc.write(Slot::HOST, 0x59, Width::Byte, 0x10);
    pc.board.memory.write(0xF_0000, &[2]);
    assert!(pc.board.memory.read(0xF_0000, &mut byte));
    assert_eq!(byte, [1]);
    // C0000 to C3FFF by the low nibble of 5A, C4000 by its high one, EC000 by the high one of 5E.
    assert_eq!(pc.board.memory.target(0xC_0000, true), Target::None);
    pc.write(Slot::HOST, 0x5A, Width::Byte, 0x33);
    assert_eq!(pc.board.memory.target(0xC_3000, true), Target::Memory(0xC_3000));
    assert_eq!(pc.board.memory.target(0xC_4000, false), Target::Memory(0xC_4000));
    assert_eq!(pc.board.memory.target(0xC_8000, false), Target::None);
    pc.write(Slot::HOST, 0x5F, Width::Byte, 0x30);
    assert_eq!(
        pc.board.memory.target(0xE_B000, false),
        Target::Rom(pc.board.memory.rom_range().end - 0x1_5000)
    );
    assert_eq!(pc.board.memory.target(0xE_C000, false), Target::Memory(0xE_C000));
    pc.reset();
    assert!(pc.board.memory.read(0xF_0000, &mut byte));
    assert_eq!(byte, [0x5A], "reset shows the ROM again");
}

#[test]
fn case_42_smram_opens_under_the_video_memory_until_locked() {
    let mut pc = Pc::new();
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Io);
    pc.write(Slot::HOST, 0x72, Width::Byte, 0x4A);
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Memory(0xA_0000));
    pc.write(Slot::HOST, 0x72, Width::Byte, 0x1A);
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Io);
    pc.write(Slot::HOST, 0x72, Width::Byte, 0x4A);
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Io, "locked");
    pc.reset();
    pc.write(Slot::HOST, 0x72, Width::Byte, 0x4A);
    assert_eq!(pc.board.memory.target(0xA_0000, true), Target::Memory(0xA_0000));
}

#[test]
fn a_loaded_bus_decodes_as_the_saved_one_did() {
    let mut pc = Pc::new();
    pc.write(CARD, 0x10, Width::Dword, 0xC100);
    pc.write(CARD, 0x18, Width::Dword, 0xE000_0000);
    pc.write(CARD, 0x04, Width::Word, 3);
    pc.write(Slot::ISA, 0x62, Width::Byte, 11);
    pc.board.set_intx(CARD, true);
    let mut image = Vec::new();
    pc.board.archive(&mut Archive::save(&mut image, 1));
    let mut copy = Pc::new();
    let mut a = Archive::load(&image, 1);
    copy.board.archive(&mut a);
    assert!(a.finish());
    assert_eq!(copy.board.pci.bar(CARD, 0), Some(0xC100));
    assert_eq!(copy.board.io.device(0xC110), Some(DeviceId::Debug));
    assert_eq!(copy.board.memory.target(0xE000_0000, true), Target::Memory(2 << 20));
    copy.board.set_intx(CARD, false);
    assert_eq!(copy.board.irq.levels(), 0);
}
