use super::*;
use crate::devices::testing;
use crate::host::Host;

struct Rig {
    pic: Pic,
    board: crate::board::Board,
    host: Host,
}

impl Rig {
    /// Programmed as every PC's firmware and kernel do: vectors 20h and 28h, all unmasked.
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut rig = Self { pic: Pic::new(&config), board: testing::board(&config), host: Host::null() };
        rig.pic.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        for (port, value) in [
            (0x20, 0x11),
            (0xA0, 0x11),
            (0x21, 0x20),
            (0xA1, 0x28),
            (0x21, 4),
            (0xA1, 2),
            (0x21, 1),
            (0xA1, 1),
            (0x21, 0),
            (0xA1, 0),
        ] {
            rig.out(port, value);
        }
        rig
    }

    fn out(&mut self, port: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.pic.write(port, Width::Byte, value.into(), bus);
    }

    fn inb(&mut self, port: u16) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.pic.read(port, Width::Byte, bus) as u8
    }

    fn take(&mut self) -> Option<u8> {
        self.pic.pending().then(|| self.pic.acknowledge())
    }
}

#[test]
fn an_edge_interrupts_once_until_the_line_falls_and_rises() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 1, 0);
    assert_eq!(rig.take(), Some(0x21));
    rig.out(0x20, 0x20);
    rig.pic.set_lines(1 << 1, 0);
    assert_eq!(rig.take(), None);
    rig.pic.set_lines(0, 0);
    rig.pic.set_lines(1 << 1, 0);
    assert_eq!(rig.take(), Some(0x21));
}

#[test]
fn a_pulse_is_kept_until_it_is_acknowledged() {
    let mut rig = Rig::new();
    rig.pic.set_lines(0, 1);
    rig.pic.set_lines(0, 0);
    assert_eq!(rig.inb(0x20), 1);
    assert_eq!(rig.take(), Some(0x20));
    assert_eq!(rig.inb(0x20), 0);
    rig.out(0x20, 0x20);
    assert_eq!(rig.take(), None);
}

#[test]
fn an_edge_request_is_withdrawn_with_its_line() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 3, 0);
    rig.pic.set_lines(0, 0);
    assert!(!rig.pic.pending());
}

#[test]
fn a_level_line_interrupts_again_after_the_end_of_interrupt() {
    let mut rig = Rig::new();
    rig.out(0x4D1, 0x08);
    assert_eq!(rig.inb(0x4D1), 0x08);
    assert!(rig.pic.level_triggered(11));
    rig.pic.set_lines(1 << 11, 0);
    for _ in 0..3 {
        assert_eq!(rig.take(), Some(0x2B));
        assert_eq!(rig.take(), None);
        rig.out(0xA0, 0x20);
        rig.out(0x20, 0x20);
    }
    rig.pic.set_lines(0, 0);
    assert_eq!(rig.take(), None);
}

#[test]
fn timer_keyboard_cascade_and_clock_lines_stay_edge_triggered() {
    let mut rig = Rig::new();
    rig.out(0x4D0, 0xFF);
    rig.out(0x4D1, 0xFF);
    assert_eq!((rig.inb(0x4D0), rig.inb(0x4D1)), (0xF8, 0xDE));
}

#[test]
fn higher_priority_interrupts_lower_and_not_the_other_way() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 6, 0);
    assert_eq!(rig.take(), Some(0x26));
    rig.pic.set_lines(1 << 6 | 1 << 7 | 1 << 1, 0);
    assert_eq!(rig.take(), Some(0x21));
    assert_eq!(rig.take(), None);
    rig.out(0x20, 0x0B);
    assert_eq!(rig.inb(0x20), 0x42);
    rig.out(0x20, 0x20);
    assert_eq!(rig.inb(0x20), 0x40);
    rig.out(0x20, 0x20);
    assert_eq!(rig.take(), Some(0x27));
}

#[test]
fn slave_requests_come_through_line_2_and_need_two_ends_of_interrupt() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 8 | 1 << 12, 0);
    assert_eq!(rig.take(), Some(0x28));
    assert_eq!(rig.take(), None);
    rig.out(0xA0, 0x20);
    assert_eq!(rig.take(), None, "the master still serves line 2");
    rig.out(0x20, 0x20);
    assert_eq!(rig.take(), Some(0x2C));
}

#[test]
fn masking_the_cascade_line_silences_the_slave() {
    let mut rig = Rig::new();
    rig.out(0x21, 0x04);
    rig.pic.set_lines(1 << 14, 0);
    assert!(!rig.pic.pending());
    rig.out(0x21, 0);
    assert_eq!(rig.take(), Some(0x2E));
}

#[test]
fn rotation_on_eoi_makes_the_served_line_the_last() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 3 | 1 << 4, 0);
    assert_eq!(rig.take(), Some(0x23));
    rig.out(0x20, 0xA0);
    rig.pic.set_lines(1 << 4, 0);
    rig.pic.set_lines(1 << 3 | 1 << 4, 0);
    assert_eq!(rig.take(), Some(0x24));
    rig.out(0x20, 0x64);
    rig.out(0x20, 0xC7);
    assert_eq!(rig.take(), Some(0x23));
}

#[test]
fn special_mask_mode_lets_lower_lines_through() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 1, 0);
    assert_eq!(rig.take(), Some(0x21));
    rig.pic.set_lines(1 << 5, 0);
    assert_eq!(rig.take(), None);
    rig.out(0x21, 1 << 1);
    rig.out(0x20, 0x68);
    assert_eq!(rig.take(), Some(0x25));
    rig.out(0x20, 0x20);
    rig.out(0x20, 0x0B);
    assert_eq!(rig.inb(0x20), 1 << 1, "a non-specific EOI leaves the masked line in service");
}

#[test]
fn special_fully_nested_mode_lets_the_slave_interrupt_itself() {
    let mut rig = Rig::new();
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 0x11)] {
        rig.out(port, value);
    }
    rig.pic.set_lines(1 << 14, 0);
    assert_eq!(rig.take(), Some(0x2E));
    rig.pic.set_lines(1 << 14 | 1 << 8 | 1 << 5, 0);
    assert_eq!(rig.take(), Some(0x28));
    assert_eq!(rig.take(), None, "line 5 waits for line 2");
}

#[test]
fn automatic_eoi_leaves_nothing_in_service_and_can_rotate() {
    let mut rig = Rig::new();
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 3), (0x20, 0x80)] {
        rig.out(port, value);
    }
    rig.pic.set_lines(0, 1 << 3 | 1 << 4);
    assert_eq!(rig.take(), Some(0x23));
    rig.pic.set_lines(0, 1 << 3);
    assert_eq!(rig.take(), Some(0x24));
    assert_eq!(rig.take(), Some(0x23));
    rig.out(0x20, 0x0B);
    assert_eq!(rig.inb(0x20), 0);
}

#[test]
fn polling_takes_the_request_into_service() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 10, 0);
    rig.out(0x20, 0x0C);
    assert_eq!(rig.inb(0x20), 0x82);
    rig.out(0xA0, 0x0C);
    assert_eq!(rig.inb(0xA0), 0x82);
    rig.out(0xA0, 0x0C);
    assert_eq!(rig.inb(0xA0), 0);
    assert!(!rig.pic.pending());
}

#[test]
fn case_34_a_request_that_has_gone_is_answered_with_the_spurious_vector() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 4, 0);
    rig.pic.set_lines(0, 0);
    assert_eq!(rig.pic.acknowledge(), 0x27);
    rig.out(0x20, 0x0B);
    assert_eq!(rig.inb(0x20), 0, "a spurious interrupt is not in service");
    // The slave's request goes between the two chips: masked at the slave, pulsed through to the master.
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 15, 0);
    rig.pic.slave.set_lines(0, 0);
    assert_eq!(rig.pic.acknowledge(), 0x2F);
    rig.out(0xA0, 0x0B);
    rig.out(0x20, 0x0B);
    assert_eq!((rig.inb(0x20), rig.inb(0xA0)), (1 << 2, 0));
}

#[test]
fn case_34_initialisation_in_the_middle_of_an_interrupt_forgets_it() {
    let mut rig = Rig::new();
    rig.pic.set_lines(1 << 5 | 1 << 9, 0);
    assert!(rig.take().is_some());
    rig.out(0x20, 0x11);
    assert!(!rig.pic.pending(), "silent until the last ICW");
    rig.out(0x21, 0x40);
    rig.out(0x21, 4);
    rig.out(0x21, 1);
    assert_eq!(rig.inb(0x21), 0);
    rig.pic.set_lines(1 << 9, 0);
    rig.pic.set_lines(1 << 5 | 1 << 9, 0);
    assert_eq!(rig.take(), Some(0x45));
}

#[test]
fn case_34_every_byte_at_every_port_leaves_the_pair_usable() {
    let mut rig = Rig::new();
    let mut seed = 1_u32;
    for n in 0..200_000_u32 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let port = [0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1][(seed >> 8) as usize % 6];
        match seed >> 28 {
            0..8 => rig.out(port, (seed >> 16) as u8),
            8..12 => drop(rig.inb(port)),
            12 | 13 => rig.pic.set_lines(seed, n & seed),
            _ => drop(rig.pic.acknowledge()),
        }
    }
    // The firmware's sequence brings it back.
    let lines = rig.pic;
    let mut rig = Rig { pic: lines, ..Rig::new() };
    rig.pic.set_lines(0, 0);
    for (port, value) in [
        (0x4D0, 0),
        (0x4D1, 0),
        (0x20, 0x11),
        (0xA0, 0x11),
        (0x21, 8),
        (0xA1, 0x70),
        (0x21, 4),
        (0xA1, 2),
        (0x21, 1),
        (0xA1, 1),
    ] {
        rig.out(port, value);
    }
    rig.pic.set_lines(1 << 14, 0);
    assert_eq!(rig.take(), Some(0x76));
}
