use super::*;
use crate::board::Board;
use crate::devices::testing;
use crate::host::{Console, Host};
use alloc::boxed::Box;
use alloc::vec::Vec;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Line(Arc<Mutex<(Vec<u8>, VecDeque<u8>)>>);

impl Console for Line {
    fn write(&mut self, byte: u8) {
        self.0.lock().unwrap().0.push(byte);
    }
    fn read(&mut self) -> Option<u8> {
        self.0.lock().unwrap().1.pop_front()
    }
}

struct Rig {
    uarts: Uarts,
    board: Board,
    host: Host,
    line: Line,
}

impl Rig {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let line = Line::default();
        let mut host = Host::null();
        host.serial[0] = Box::new(line.clone());
        let mut rig = Self { uarts: Uarts::new(&config), board: testing::board(&config), host, line };
        rig.uarts.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        rig.board.now = Instant(1_000_000);
        rig
    }

    /// 115200 8N1 with FIFOs, trigger level 8, interrupts as given.
    fn opened(ier: u8) -> Self {
        let mut rig = Self::new();
        for (register, value) in [(3, 0x83), (0, 1), (1, 0), (3, 0x03), (2, 0x87), (4, 0x0B), (1, ier)] {
            rig.out(register, value);
        }
        rig
    }

    fn out(&mut self, register: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.uarts.write(0x3F8 + register, Width::Byte, value.into(), bus);
    }

    fn get(&mut self, register: u16) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.uarts.read(0x3F8 + register, Width::Byte, bus) as u8
    }

    fn irq(&self) -> bool {
        self.board.irq.levels() & 1 << 4 != 0
    }

    fn typed(&mut self, text: &[u8]) {
        self.line.0.lock().unwrap().1.extend(text);
        self.uarts.poll(&mut Bus { board: &mut self.board, host: &mut self.host });
    }

    /// Lets time pass until the interrupt line is up; false after a second.
    fn wait(&mut self) -> bool {
        let end = self.board.now + crate::time::SECOND;
        while !self.irq() && self.board.timers.next() <= end {
            self.board.now = self.board.now.max(self.board.timers.next());
            while let Some((timer, _)) = self.board.timers.pop(self.board.now) {
                self.uarts.expire(timer, &mut Bus { board: &mut self.board, host: &mut self.host });
            }
        }
        self.irq()
    }
}

#[test]
fn a_boot_loader_prints_by_polling() {
    let mut rig = Rig::new();
    for (register, value) in [(1, 0), (3, 0x80), (0, 12), (1, 0), (3, 3), (2, 0)] {
        rig.out(register, value);
    }
    for &byte in b"Hello" {
        let mut polls = 0;
        while rig.get(5) & 0x60 != 0x60 {
            rig.board.now += 1000;
            polls += 1;
            assert!(polls < 100);
        }
        rig.out(0, byte);
        assert_eq!(rig.get(5) & 0x60, 0, "the character takes its time");
    }
    assert_eq!(rig.line.0.lock().unwrap().0, b"Hello");
}

#[test]
fn a_kernel_that_sets_up_nothing_is_read_and_reads_all_the_same() {
    let mut rig = Rig::new();
    assert_eq!(rig.get(3), 0, "5 bits");
    rig.out(0, b'K');
    rig.typed(b"k");
    rig.board.now += 1_000_000;
    assert_eq!((rig.get(5) & 1, rig.get(0)), (1, b'k'));
    assert_eq!(rig.line.0.lock().unwrap().0, b"K");
    // The chip itself has a wire of 5 bits.
    rig.out(4, 0x10);
    rig.out(0, b'K');
    assert_eq!(rig.get(0), b'K' & 0x1F);
}

#[test]
fn drivers_find_a_16550a() {
    let mut rig = Rig::new();
    rig.out(7, 0xA5);
    assert_eq!(rig.get(7), 0xA5);
    assert_eq!(rig.get(2), 0x01);
    rig.out(2, 0x01);
    assert_eq!(rig.get(2), 0xC1);
    rig.out(2, 0);
    rig.out(1, 0xFF);
    assert_eq!(rig.get(1), 0x0F);
    rig.out(3, 0x80);
    rig.out(0, 0x34);
    rig.out(1, 0x12);
    assert_eq!((rig.get(0), rig.get(1)), (0x34, 0x12));
    // Linux: loopback with DTR off, RTS and OUT2 on must read as CTS and DCD.
    rig.out(3, 0);
    rig.out(4, 0x10 | 0x0A);
    assert_eq!(rig.get(6) & 0xF0, 0x90);
}

#[test]
fn a_driver_sends_a_buffer_by_interrupts() {
    let mut rig = Rig::opened(0x02);
    let text: Vec<u8> = (0..200).collect();
    let mut sent = 0;
    let mut interrupts = 0;
    while sent < text.len() {
        assert!(rig.wait());
        interrupts += 1;
        assert_eq!(rig.get(2), 0xC2);
        assert!(!rig.irq(), "reading IIR takes the request back");
        assert_eq!(rig.get(5) & 0x20, 0x20);
        for &byte in text[sent..].iter().take(16) {
            rig.out(0, byte);
        }
        sent = (sent + 16).min(text.len());
        assert!(!rig.irq());
    }
    rig.out(1, 0);
    assert_eq!(rig.line.0.lock().unwrap().0, text);
    assert_eq!(interrupts, 13);
    assert!(rig.board.now.0 < 10_000_000, "faster than the line: {:?}", rig.board.now);
}

#[test]
fn enabling_the_transmit_interrupt_raises_it_when_there_is_nothing_to_send() {
    let mut rig = Rig::opened(0);
    assert!(!rig.irq());
    rig.out(1, 2);
    assert!(rig.irq());
    rig.get(2);
    assert!(!rig.irq());
    rig.out(1, 0);
    rig.out(1, 2);
    assert!(rig.irq());
}

#[test]
fn few_characters_interrupt_by_timeout_and_many_by_the_trigger() {
    let mut rig = Rig::opened(0x01);
    rig.typed(b"ab");
    assert!(!rig.irq());
    assert!(rig.wait());
    assert_eq!(rig.get(2), 0xCC);
    assert_eq!((rig.get(0), rig.get(0)), (b'a', b'b'));
    assert!(!rig.irq());
    assert_eq!(rig.get(5) & 1, 0);

    rig.typed(b"0123456789");
    assert!(rig.wait());
    assert_eq!(rig.get(2), 0xC4);
    let mut text = Vec::new();
    while text.len() < 10 {
        if rig.get(5) & 1 != 0 {
            text.push(rig.get(0));
        } else {
            assert!(rig.wait());
        }
    }
    assert_eq!(text, b"0123456789");
}

#[test]
fn pasted_text_arrives_whole_however_slow_the_guest_reads() {
    let mut rig = Rig::opened(0x05);
    let text: Vec<u8> = (0..5000_u32).map(|n| (n * 7) as u8).collect();
    rig.typed(&text);
    let mut got = Vec::new();
    for round in 0..100_000_u64 {
        rig.typed(&[]);
        rig.board.now += (round % 7) * 30_000;
        assert_eq!(rig.get(5) & 2, 0, "no overrun");
        if rig.get(5) & 1 != 0 {
            got.push(rig.get(0));
        }
        if got.len() == text.len() {
            break;
        }
    }
    assert_eq!(got, text);
}

#[test]
fn without_fifos_each_character_interrupts() {
    let mut rig = Rig::opened(0x01);
    rig.out(2, 0);
    rig.typed(b"xyz");
    for &byte in b"xyz" {
        assert!(rig.wait());
        assert_eq!(rig.get(2), 0x04);
        assert_eq!(rig.get(0), byte);
        assert!(!rig.irq());
    }
}

#[test]
fn the_interrupt_line_is_gated_by_out2() {
    let mut rig = Rig::opened(0x02);
    assert!(rig.irq());
    rig.out(4, 0x03);
    assert!(!rig.irq());
}

#[test]
fn loopback_returns_characters_modem_lines_and_breaks() {
    let mut rig = Rig::opened(0x0F);
    rig.get(2);
    rig.out(4, 0x1B);
    rig.get(6);
    rig.out(0, 0x42);
    assert_eq!((rig.get(5) & 1, rig.get(0)), (1, 0x42));
    assert!(rig.line.0.lock().unwrap().0.is_empty());
    rig.out(4, 0x1F);
    rig.out(4, 0x1B);
    assert_eq!(rig.get(6), 0xB0 | 0x04, "trailing edge of RI");
    assert_eq!(rig.get(6), 0xB0);
    rig.out(3, 0x43);
    assert_eq!(rig.get(2) & 0x0F, 0x06);
    assert_eq!(rig.get(5) & 0x91, 0x91);
    assert_eq!(rig.get(5) & 0x91, 0x01);
    assert_eq!(rig.get(0), 0);
}

#[test]
fn four_ports_share_two_lines() {
    let mut rig = Rig::new();
    for (base, line) in [(0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3)] {
        let bus = &mut Bus { board: &mut rig.board, host: &mut rig.host };
        rig.uarts.write(base + 4, Width::Byte, 8, bus);
        rig.uarts.write(base + 1, Width::Byte, 2, bus);
        assert_eq!(bus.board.irq.levels(), 1 << line);
        rig.uarts.write(base + 1, Width::Byte, 0, bus);
        assert_eq!(bus.board.irq.levels(), 0);
    }
}

#[test]
fn case_40_a_divisor_of_0_divides_by_nothing() {
    let mut rig = Rig::new();
    for (register, value) in [(3, 0x80), (0, 0), (1, 0), (3, 3), (0, b'!')] {
        rig.out(register, value);
    }
    rig.board.now += 1_000_000;
    assert_eq!(rig.get(5) & 0x60, 0x60);
}

#[test]
fn case_40_a_million_characters_into_a_full_fifo_set_overrun() {
    let mut rig = Rig::opened(0x0F);
    rig.out(4, 0x1B);
    for n in 0..1_000_000_u32 {
        rig.out(0, n as u8);
    }
    assert_eq!(rig.get(5) & 0x03, 0x03);
    assert_eq!(rig.get(5) & 0x03, 0x01, "reported once");
    let kept: Vec<u8> = (0..16).map(|_| rig.get(0)).collect();
    assert_eq!(kept, (0..16).collect::<Vec<u8>>());
    assert_eq!(rig.get(5) & 1, 0);
    // Without a FIFO the newest stays.
    rig.out(2, 0);
    rig.out(0, 1);
    rig.out(0, 2);
    assert_eq!(rig.get(5) & 0x03, 0x03);
    assert_eq!(rig.get(0), 2);
}

#[test]
fn case_40_transmit_interrupts_come_apart() {
    let mut rig = Rig::opened(0x02);
    rig.out(2, 0);
    let start = rig.board.now;
    for _ in 0..10_000 {
        assert!(rig.wait());
        rig.get(2);
        rig.out(0, b'x');
        assert!(!rig.irq(), "the line falls between two requests");
    }
    assert!(rig.board.now.since(start) >= 10_000 * 500);
}
