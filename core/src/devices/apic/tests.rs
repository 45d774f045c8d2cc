//! What operating systems do with the APICs.

use super::*;
use crate::board::Source;
use crate::devices::testing;
use crate::host::Host;
use alloc::vec;
use alloc::vec::Vec;

struct Pc {
    board: Board,
    host: Host,
    apic: Apic,
}

impl Pc {
    fn new(cpu: CpuModel) -> Self {
        let config = Config { video_memory: 1 << 20, cpu, ..Config::default() };
        let mut pc = Self { board: testing::board(&config), host: Host::null(), apic: Apic::new(&config) };
        pc.apic.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc
    }

    /// Switched on by software.
    fn on() -> Self {
        let mut pc = Self::new(CpuModel::Pentium4);
        pc.write(0xF0, 0x1FF);
        pc
    }

    fn at(&mut self, at: PhysAddr) -> u32 {
        self.apic.mmio_read(at, Width::Dword, &mut Bus { board: &mut self.board, host: &mut self.host })
    }

    fn put(&mut self, at: PhysAddr, value: u32) {
        let mut bus = Bus { board: &mut self.board, host: &mut self.host };
        self.apic.mmio_write(at, Width::Dword, value, &mut bus);
    }

    fn read(&mut self, offset: u64) -> u32 {
        self.at(LOCAL_BASE + offset)
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.put(LOCAL_BASE + offset, value);
    }

    fn io_write(&mut self, index: u32, value: u32) {
        self.put(IOAPIC_BASE, index);
        self.put(IOAPIC_BASE + 0x10, value);
    }

    fn io_read(&mut self, index: u32) -> u32 {
        self.put(IOAPIC_BASE, index);
        self.at(IOAPIC_BASE + 0x10)
    }

    fn line(&mut self, line: u8, level: bool) {
        self.board.irq.set(line, Source::Net0, level);
        let pulses = self.board.irq.take_pulses();
        self.apic.set_lines(self.board.irq.levels(), pulses);
    }

    /// The CPU takes all that it can without ending anything.
    fn take_all(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        while self.apic.pending() {
            taken.push(self.apic.acknowledge());
            assert!(taken.len() < 300, "interrupts without end");
        }
        taken
    }

    fn pass(&mut self, ns: u64) -> u32 {
        let end = self.board.now + ns;
        let mut fired = 0;
        while let Some((timer, due)) = self.board.timers.pop(end) {
            self.board.now = self.board.now.max(due);
            fired += 1;
            self.apic.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
        }
        self.board.now = end;
        fired
    }
}

#[test]
fn identification_reads_as_documented() {
    let mut pc = Pc::new(CpuModel::Pentium4);
    assert_eq!(pc.read(0x20), 0);
    assert_eq!(pc.read(0x30), 0x0005_0014);
    assert_eq!(pc.read(0xF0), 0xFF);
    assert_eq!(pc.read(0xE0), 0xFFFF_FFFF);
    assert_eq!(pc.io_read(1), 0x0017_0011);
    for pin in 0..24 {
        assert_eq!(pc.io_read(0x10 + 2 * pin), 0x1_0000);
    }
    assert_eq!(pc.apic.base(), 0xFEE0_0900);
}

#[test]
fn the_8259_comes_through_until_lint0_is_masked() {
    let mut pc = Pc::new(CpuModel::Pentium4);
    assert!(pc.apic.accepts_extint());
    pc.write(0xF0, 0x1FF);
    assert!(pc.apic.accepts_extint());
    pc.write(0x350, 0x1_0700);
    assert!(!pc.apic.accepts_extint());
    pc.write(0x350, 0x8700);
    assert!(pc.apic.accepts_extint());
    // Switching the APIC off in software masks the vector table.
    pc.write(0xF0, 0xFF);
    assert!(!pc.apic.accepts_extint());
    // Off in hardware, the pin is INTR itself.
    assert!(pc.apic.set_base(0xFEE0_0100, &mut pc.board));
    assert!(pc.apic.accepts_extint());
    let old = Pc::new(CpuModel::I486);
    assert!(old.apic.accepts_extint());
    assert_eq!(old.board.mmio.device(LOCAL_BASE), None);
}

#[test]
fn higher_classes_interrupt_lower_ones() {
    let mut pc = Pc::on();
    for vector in [0x31, 0x35, 0x42, 0x4F, 0xFE] {
        pc.write(0x310, 0);
        pc.write(0x300, 0x4000 | vector);
    }
    assert_eq!(pc.read(0x210), 1 << 0x11 | 1 << 0x15);
    pc.write(0x80, 0x40);
    assert_eq!(pc.take_all(), [0xFE]);
    assert_eq!(pc.read(0xA0), 0xF0);
    pc.write(0xB0, 0);
    assert!(!pc.apic.pending(), "the task priority holds 42 and 4F back");
    pc.write(0x80, 0x30);
    assert_eq!(pc.take_all(), [0x4F]);
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), [0x42]);
    pc.write(0x80, 0);
    assert!(!pc.apic.pending());
    assert_eq!(pc.read(0xA0), 0x40);
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), [0x35]);
    assert_eq!(pc.read(0x110), 1 << 0x15);
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), [0x31]);
    pc.write(0xB0, 0);
    assert_eq!(pc.read(0xA0), 0);
}

#[test]
fn nothing_waiting_gives_the_spurious_vector() {
    let mut pc = Pc::on();
    pc.write(0x300, 0x4_4050);
    assert!(pc.apic.pending());
    pc.write(0x80, 0xFF);
    assert!(!pc.apic.pending());
    assert_eq!(pc.apic.acknowledge(), 0xFF);
    assert_eq!(pc.read(0x170), 0, "the spurious vector is not in service");
}

#[test]
fn a_level_interrupt_is_sent_again_until_the_line_goes_down() {
    let mut pc = Pc::on();
    pc.io_write(0x10 + 2 * 11 + 1, 0);
    pc.io_write(0x10 + 2 * 11, 0x8000 | 0x61);
    pc.line(11, true);
    assert_eq!(pc.take_all(), [0x61]);
    assert_eq!(pc.io_read(0x10 + 2 * 11), 0xC061, "remote IRR");
    assert_eq!(pc.read(0x1B0), 1 << 1, "level in the trigger-mode register");
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), [0x61]);
    pc.line(11, false);
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), []);
    assert_eq!(pc.io_read(0x10 + 2 * 11), 0x8061);
}

#[test]
fn an_edge_interrupt_comes_once_and_is_lost_when_masked() {
    let mut pc = Pc::on();
    pc.io_write(0x10 + 2, 0x31);
    pc.line(1, true);
    assert_eq!(pc.take_all(), [0x31]);
    pc.write(0xB0, 0);
    assert_eq!(pc.take_all(), []);
    pc.line(1, false);
    pc.io_write(0x10 + 2, 0x1_0031);
    pc.line(1, true);
    pc.io_write(0x10 + 2, 0x31);
    assert_eq!(pc.take_all(), []);
    // A pulse that is over counts as an edge.
    pc.line(1, false);
    pc.board.irq.pulse(1);
    pc.line(1, false);
    assert_eq!(pc.take_all(), [0x31]);
}

#[test]
fn the_timer_line_arrives_at_pin_2() {
    let mut pc = Pc::on();
    for pin in 0..16 {
        pc.io_write(0x10 + 2 * pin, 0x40 + pin);
    }
    pc.line(0, true);
    assert_eq!(pc.take_all(), [0x42]);
}

#[test]
fn logical_destinations_flat_and_cluster() {
    let mut pc = Pc::on();
    pc.write(0xD0, 0x0200_0000);
    pc.io_write(0x13, 0x0200_0000);
    pc.io_write(0x12, 0x0831);
    pc.line(1, true);
    assert_eq!(pc.take_all(), [0x31]);
    pc.write(0xB0, 0);
    pc.line(1, false);
    pc.io_write(0x13, 0x0400_0000);
    pc.line(1, true);
    assert_eq!(pc.take_all(), [], "another CPU's");
    pc.line(1, false);
    pc.write(0xE0, 0x0FFF_FFFF);
    pc.write(0xD0, 0x3200_0000);
    pc.io_write(0x13, 0x3300_0000);
    pc.line(1, true);
    assert_eq!(pc.take_all(), [0x31]);
}

#[test]
fn the_timer_counts_down_once_and_fires_at_zero() {
    let mut pc = Pc::on();
    pc.write(0x3E0, 3);
    pc.write(0x320, 0x40);
    pc.write(0x380, 1000);
    assert_eq!(pc.read(0x390), 1000);
    assert_eq!(pc.pass(15_999), 0);
    assert_eq!(pc.read(0x390), 1);
    assert_eq!(pc.pass(1), 1);
    assert_eq!(pc.read(0x390), 0);
    assert_eq!(pc.take_all(), [0x40]);
    assert_eq!(pc.pass(1_000_000), 0);
    // Divided by 1 and by 128.
    for (divide, ns) in [(0xB, 1000), (0, 2000), (0xA, 128_000)] {
        pc.write(0x3E0, divide);
        pc.write(0x380, 1000);
        assert_eq!(pc.pass(ns - 1), 0, "{divide}");
        assert_eq!(pc.pass(1), 1, "{divide}");
    }
}

#[test]
fn the_periodic_timer_keeps_its_beat() {
    let mut pc = Pc::on();
    pc.write(0x3E0, 0xB);
    pc.write(0x320, 0x2_0040);
    pc.write(0x380, 1_000_000);
    assert_eq!(pc.pass(10_500_000), 10);
    assert_eq!(pc.read(0x390), 500_000);
    // Late by many periods: one interrupt, and the beat goes on.
    pc.board.now += 5_200_000;
    assert_eq!(pc.pass(0), 1);
    assert_eq!(pc.read(0x390), 300_000);
    assert_eq!(pc.pass(300_000), 1);
    pc.write(0x380, 0);
    assert_eq!(pc.pass(10_000_000), 0);
    assert_eq!(pc.read(0x390), 0);
}

#[test]
fn a_masked_timer_counts_without_interrupting() {
    let mut pc = Pc::on();
    pc.write(0x320, 0x1_0040);
    pc.write(0x380, 0xFFFF_FFFF);
    pc.pass(2_000_000);
    assert_eq!(pc.read(0x390), 0xFFFF_FFFF - 1_000_000);
    pc.write(0x380, 100);
    pc.pass(1_000_000);
    assert_eq!(pc.take_all(), []);
}

#[test]
fn the_tsc_deadline_exists_on_the_newest_model_only() {
    let mut pc = Pc::new(CpuModel::Max);
    pc.write(0xF0, 0x1FF);
    pc.write(0x320, 0x4_0050);
    assert_eq!(pc.read(0x320), 0x4_0050);
    pc.apic.set_tsc_deadline(12_345, Instant(5000), &mut pc.board);
    assert_eq!(pc.apic.tsc_deadline(), 12_345);
    assert_eq!(pc.pass(4999), 0);
    assert_eq!(pc.pass(1), 1);
    assert_eq!(pc.apic.tsc_deadline(), 0);
    assert_eq!(pc.take_all(), [0x50]);
    let mut old = Pc::on();
    old.write(0x320, 0x4_0050);
    assert_eq!(old.read(0x320), 0x50);
    old.apic.set_tsc_deadline(1, Instant(1), &mut old.board);
    assert_eq!(old.pass(10), 0);
}

#[test]
fn the_base_moves_and_can_be_switched_off() {
    let mut pc = Pc::on();
    assert!(pc.apic.set_base(0x1_8000_0900 & 0xFFFF_FFFF, &mut pc.board));
    assert_eq!(pc.board.mmio.device(LOCAL_BASE), None);
    assert_eq!(pc.board.mmio.device(0x8000_0020), Some(DeviceId::Apic));
    assert_eq!(pc.at(0x8000_0030), 0x0005_0014);
    assert!(pc.apic.set_base(0xFEE0_0000, &mut pc.board));
    assert_eq!(pc.board.mmio.device(LOCAL_BASE), None);
    pc.line(11, true);
    assert!(!pc.apic.pending());
    assert!(!pc.apic.set_base(0xFEE0_0C00, &mut pc.board), "no x2APIC");
    assert!(!pc.apic.set_base(1 << 36, &mut pc.board));
    assert!(pc.apic.set_base(0xFEE0_0900, &mut pc.board));
    assert_eq!(pc.read(0xF0), 0xFF, "as after reset");
}

#[test]
fn messages_to_others_vanish_and_to_oneself_arrive() {
    let mut pc = Pc::on();
    // All but self: INIT and start-up, as firmware looks for more CPUs.
    pc.write(0x300, 0x000C_4500);
    pc.write(0x300, 0x000C_4610);
    assert_eq!(pc.board.request, None);
    pc.write(0x310, 0x0100_0000);
    pc.write(0x300, 0x4031);
    assert!(!pc.apic.pending());
    assert_eq!(pc.read(0x300) & 1 << 12, 0);
    pc.write(0x300, 0x0008_4031);
    assert_eq!(pc.take_all(), [0x31]);
    pc.write(0x300, 0x0004_4400);
    assert!(pc.apic.take_nmi());
    assert!(!pc.apic.take_nmi());
    pc.write(0x310, 0);
    pc.write(0x300, 0x8500);
    assert_eq!(pc.board.request, None, "level de-assert");
    pc.write(0x300, 0xC500);
    assert_eq!(pc.board.request, Some(Request::ResetCpu));
}

#[test]
fn lint0_can_be_a_vector_of_its_own() {
    let mut pc = Pc::on();
    pc.write(0x350, 0x38);
    pc.apic.set_intr(true);
    pc.apic.set_intr(true);
    assert_eq!(pc.take_all(), [0x38]);
    pc.write(0xB0, 0);
    pc.apic.set_intr(false);
    pc.write(0x350, 0x0400);
    pc.apic.set_intr(true);
    assert!(pc.apic.take_nmi());
    assert!(!pc.apic.pending());
}

#[test]
fn case_35_vectors_under_16_are_errors_that_do_not_feed_themselves() {
    let mut pc = Pc::on();
    pc.write(0x300, 0x0004_4005);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 1 << 5);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 0);
    pc.io_write(0x12, 0x0F);
    pc.line(1, true);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 1 << 6);
    // The error interrupt itself has a bad vector.
    pc.write(0x370, 0x03);
    pc.write(0x300, 0x0004_4005);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 1 << 5 | 1 << 6);
    pc.write(0x370, 0xE0);
    pc.read(0x40);
    assert_eq!(pc.take_all(), [0xE0]);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 1 << 7);
    pc.write(0x320, 0x05);
    pc.write(0x380, 10);
    pc.pass(100);
    pc.write(0x280, 0);
    assert_eq!(pc.read(0x280), 1 << 6);
}

#[test]
fn case_35_every_register_can_be_read_and_written() {
    let mut pc = Pc::on();
    for value in [0, 0xFFFF_FFFF, 0x1234_5678, 0x0002_00FF] {
        for offset in 0..0x1000 {
            for width in [Width::Byte, Width::Word, Width::Dword] {
                for base in [LOCAL_BASE, IOAPIC_BASE] {
                    let mut bus = Bus { board: &mut pc.board, host: &mut pc.host };
                    pc.apic.mmio_read(base + offset, width, &mut bus);
                    pc.apic.mmio_write(base + offset, width, value, &mut bus);
                }
            }
            pc.pass(10_000);
        }
        for index in 0..256 {
            pc.io_read(index);
            pc.io_write(index, value);
        }
        pc.line(5, true);
        pc.line(5, false);
    }
}

#[test]
fn case_35_the_fastest_timer_leaves_the_guest_time() {
    let mut pc = Pc::on();
    pc.write(0x3E0, 0xB);
    pc.write(0x320, 0x2_0040);
    pc.write(0x380, 1);
    assert!(pc.pass(10_000_000) <= 500);
    // A command that interrupts itself from its own handler is one interrupt a time.
    for _ in 0..1000 {
        pc.write(0x300, 0x0004_4041);
        pc.take_all();
        pc.write(0xB0, 0);
    }
}

#[test]
fn a_loaded_apic_goes_on_as_the_saved_one() {
    let mut pc = Pc::on();
    pc.write(0x320, 0x2_0040);
    pc.write(0x3E0, 0xB);
    pc.write(0x380, 1_000_000);
    pc.io_write(0x10 + 2 * 11, 0x8061);
    pc.line(11, true);
    assert!(pc.apic.set_base(0x8000_0900, &mut pc.board));
    let image = crate::devices::save_section(&mut pc.apic);
    let mut copy = Pc::new(CpuModel::Pentium4);
    copy.apic.archive(&mut Archive::load(&image, 1));
    copy.apic.reload(&mut copy.board);
    assert_eq!(copy.board.mmio.device(0x8000_0000), Some(DeviceId::Apic));
    assert_eq!(copy.take_all(), vec![0x61]);
    copy.put(0x8000_00B0, 0);
    assert_eq!(copy.take_all(), vec![0x61], "the line is still up");
}
