//! What an ACPI driver does.

use super::*;
use crate::devices::{DeviceId, pci::PciHost, testing};
use crate::host::Host;

struct Pc {
    board: Board,
    host: Host,
    acpi: Acpi,
}

impl Pc {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut pc = Self { board: testing::board(&config), host: Host::null(), acpi: Acpi::new(&config) };
        let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
        PciHost::new(&config).reset(&mut bus);
        pc.acpi.reset(&mut bus);
        // As firmware does.
        pc.board.write_pci(Slot::PM, 0x40, &u32::to_le_bytes(0x601));
        pc.board.write_pci(Slot::PM, 0x80, &[1]);
        pc.board.write_pci(Slot::PM, 0x90, &u32::to_le_bytes(0x701));
        pc.board.write_pci(Slot::PM, 0xD2, &[9]);
        pc
    }

    fn out(&mut self, port: u16, width: Width, value: u32) {
        self.acpi.write(port, width, value, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    fn inp(&mut self, port: u16, width: Width) -> u32 {
        self.acpi.read(port, width, &mut Bus { board: &mut self.board, host: &mut self.host })
    }

    fn pass(&mut self, ns: u64) {
        let end = self.board.now + ns;
        while let Some((timer, due)) = self.board.timers.pop(end) {
            self.board.now = due;
            self.acpi.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
        }
        self.board.now = end;
    }

    fn sci(&self) -> bool {
        self.board.irq.levels() >> SCI & 1 != 0
    }
}

#[test]
fn the_registers_move_with_their_base() {
    let mut pc = Pc::new();
    assert_eq!(pc.board.io.device(0x600), Some(DeviceId::Acpi));
    assert_eq!(pc.board.io.device(0x63F), Some(DeviceId::Acpi));
    assert_eq!(pc.board.io.device(0x640), None);
    assert_eq!(pc.board.io.device(0x70F), Some(DeviceId::Acpi));
    pc.board.write_pci(Slot::PM, 0x40, &u32::to_le_bytes(0xB001));
    assert_eq!(pc.board.io.device(0x600), None);
    assert_eq!(pc.board.io.device(0xB000), Some(DeviceId::Acpi));
    pc.out(0xB002, Width::Word, 0x0100);
    assert_eq!(pc.inp(0xB002, Width::Word), 0x0100);
    pc.board.write_pci(Slot::PM, 0x80, &[0]);
    assert_eq!(pc.board.io.device(0xB000), None);
    pc.board.write_pci(Slot::PM, 0x40, &[0xFF; 4]);
    pc.board.write_pci(Slot::PM, 0x80, &[1]);
    assert_eq!(pc.board.io.device(0xFFFF), Some(DeviceId::Acpi));
    pc.inp(0xFFFF, Width::Dword);
    pc.out(0xFFFF, Width::Dword, 0xFFFF_FFFF);
}

#[test]
fn the_timer_counts_at_its_rate_and_in_any_width() {
    let mut pc = Pc::new();
    pc.pass(1_000_000_000);
    assert_eq!(pc.inp(0x608, Width::Dword), 3_579_545);
    assert_eq!(pc.inp(0x608, Width::Byte), 3_579_545 & 0xFF);
    assert_eq!(pc.inp(0x609, Width::Word), 3_579_545 >> 8);
    pc.pass(9_000_000_000);
    assert_eq!(pc.inp(0x608, Width::Dword), 35_795_450 & 0xFF_FFFF);
    pc.out(0x608, Width::Dword, 0);
    assert_eq!(pc.inp(0x608, Width::Dword), 35_795_450 & 0xFF_FFFF, "read-only");
}

#[test]
fn each_change_of_the_top_bit_interrupts_when_enabled() {
    let mut pc = Pc::new();
    pc.out(0xB2, Width::Byte, u32::from(ACPI_ENABLE));
    pc.out(0x602, Width::Word, 1);
    let mut interrupts = 0;
    for _ in 0..1000 {
        pc.pass(10_000_000);
        if pc.sci() {
            interrupts += 1;
            assert_eq!(pc.inp(0x600, Width::Word) & 1, 1);
            pc.out(0x600, Width::Word, 1);
            assert!(!pc.sci());
        }
    }
    // 2^23 ticks are 2.34 s.
    assert_eq!(interrupts, 4);
    // Not enabled: the bit is found when looked for, nothing interrupts.
    pc.out(0x602, Width::Word, 0);
    pc.pass(3_000_000_000);
    assert!(!pc.sci());
    assert_eq!(pc.inp(0x600, Width::Word) & 1, 1);
}

#[test]
fn the_smi_command_port_switches_acpi_on_and_off() {
    let mut pc = Pc::new();
    assert_eq!(pc.inp(0x604, Width::Word) & 1, 0);
    pc.out(0xB2, Width::Byte, 0xF1);
    assert_eq!(pc.inp(0x604, Width::Word) & 1, 1);
    pc.out(0xB3, Width::Byte, 0x42);
    assert_eq!(pc.inp(0xB2, Width::Word), 0x42F1);
    pc.out(0xB2, Width::Byte, 0xF0);
    assert_eq!(pc.inp(0x604, Width::Word) & 1, 0);
}

#[test]
fn the_power_button_asks_the_guest_and_soft_off_ends_the_machine() {
    let mut pc = Pc::new();
    pc.out(0xB2, Width::Byte, 0xF1);
    pc.out(0x602, Width::Word, 0x0120);
    pc.acpi.power_button(&mut pc.board);
    assert!(pc.sci());
    assert_eq!(pc.board.request, None);
    assert_eq!(pc.inp(0x600, Width::Word), 0x0100);
    pc.out(0x600, Width::Word, 0x0100);
    assert!(!pc.sci());
    // Writing the type first and then with the enable bit, as ACPICA does.
    pc.out(0x604, Width::Word, 0x0001);
    assert_eq!(pc.board.request, None);
    pc.out(0x604, Width::Word, 0x2001);
    assert_eq!(pc.board.request, Some(Request::PowerOff));
    assert_eq!(pc.inp(0x604, Width::Word), 1, "SUS_EN reads as zero");
}

#[test]
fn the_power_button_switches_off_a_guest_that_does_not_listen() {
    let mut pc = Pc::new();
    pc.acpi.power_button(&mut pc.board);
    assert_eq!(pc.board.request, Some(Request::PowerOff));
}

#[test]
fn a_sleep_state_that_was_not_announced_wakes_at_once() {
    let mut pc = Pc::new();
    pc.out(0x604, Width::Word, 0x2401);
    assert_eq!(pc.board.request, None);
    assert_eq!(pc.inp(0x600, Width::Word) & 0x8000, 0x8000);
}

#[test]
fn a_card_is_unplugged_when_the_guest_lets_go() {
    use crate::devices::pci::Identity;
    let mut pc = Pc::new();
    let card = Identity { vendor: 0x10EC, device: 0x8029, ..Identity::default() };
    pc.board.add_pci(Slot::new(3, 0), &card);
    pc.out(0xB2, Width::Byte, 0xF1);
    pc.out(0xAFE2, Width::Word, 2);
    assert_eq!(pc.inp(0xAE0C, Width::Dword), 1 << 3, "only the card can go");
    pc.acpi.ask_unplug(3, &mut pc.board);
    assert!(pc.sci());
    assert_eq!(pc.inp(0xAFE0, Width::Word), 2);
    pc.out(0xAFE0, Width::Word, 2);
    assert!(!pc.sci());
    assert_eq!((pc.inp(0xAE00, Width::Dword), pc.inp(0xAE04, Width::Dword)), (0, 1 << 3));
    pc.out(0xAE10, Width::Dword, 0);
    pc.out(0xAE08, Width::Dword, 1 << 3);
    assert_eq!(pc.acpi.take_ejected(), 1 << 3);
    assert!(!pc.board.pci.is_present(Slot::new(3, 0)));
    assert_eq!(pc.inp(0xAE04, Width::Dword), 0);
    // The bridges cannot be ejected.
    pc.out(0xAE08, Width::Dword, 7);
    assert!(pc.board.pci.is_present(Slot::ISA));
    pc.board.add_pci(Slot::new(3, 0), &card);
    pc.acpi.plugged(3, &mut pc.board);
    assert!(pc.sci());
    assert_eq!(pc.inp(0xAE00, Width::Dword), 1 << 3);
    assert_eq!(pc.inp(0xAE00, Width::Dword), 0, "told once");
}

#[test]
fn nobody_answers_on_the_smbus() {
    let mut pc = Pc::new();
    pc.out(0x704, Width::Byte, 0xA1);
    pc.out(0x702, Width::Byte, 0x48);
    assert_eq!(pc.inp(0x700, Width::Byte), 4);
    pc.out(0x700, Width::Byte, 4);
    assert_eq!(pc.inp(0x700, Width::Byte), 0);
}

#[test]
fn case_36_a_storm_on_the_command_port_is_only_stored() {
    let mut pc = Pc::new();
    for n in 0..100_000 {
        pc.out(0xB2, Width::Byte, n & 0xFF);
    }
    assert_eq!(pc.inp(0x604, Width::Word) & 1, 1, "F0 came before F1 in each round");
    assert_eq!(pc.board.request, None);
    assert!(!pc.sci());
}
