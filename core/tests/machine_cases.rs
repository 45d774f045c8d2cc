//! Cases of the robustness list that need a whole machine: memory at its edges, halts, interrupt storms, port
//! sweeps, clocks that jump.

use nomad86::config::{ClockMode, Config};
use nomad86::cpu::segment::{Descriptor, Segment, seg};
use nomad86::cpu::{cr0, reg};
use nomad86::host::{Clock, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::time::Instant;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const RAM: usize = 2 << 20;
/// Where programs stand.
const CODE: u32 = 0x8000;
const VIRTUAL: ClockMode = ClockMode::Virtual { picoseconds: 10_000 };

/// A machine whose firmware is HLTs.
fn machine(clock: ClockMode) -> Machine {
    let config =
        Config { memory: RAM, video_memory: 1 << 20, bios: vec![0xF4; 64 << 10], clock, ..Config::default() };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    Machine::new(config, memory).unwrap()
}

/// Puts `code` into memory and lets the processor begin there in real mode, interrupts off.
fn real_mode(machine: &mut Machine, code: &[u8]) {
    machine.write_memory(u64::from(CODE), code);
    machine.cpu.set_segment(seg::CS, Segment::real(0));
    for n in [seg::DS, seg::ES, seg::SS] {
        machine.cpu.set_segment(n, Segment::real(0));
    }
    machine.cpu.regs[reg::ESP] = 0x7000;
    machine.cpu.eip = CODE;
    machine.cpu.halted = false;
    machine.cpu.flush_tlb(true);
}

/// The same in flat 32-bit protected mode.
fn flat_mode(machine: &mut Machine, code: &[u8]) {
    machine.write_memory(u64::from(CODE), code);
    machine.cpu.cr0 |= cr0::PE;
    let descriptor = |kind: u32| Descriptor { low: 0xFFFF, high: 0x00CF_9000 | kind << 8 };
    for n in 0..6 {
        let (selector, kind) = if n == seg::CS { (8, 0xB) } else { (16, 0x3) };
        machine.cpu.set_segment(n, Segment::loaded(selector, descriptor(kind)));
    }
    machine.board.set_a20(nomad86::board::A20Switch::Fast, true);
    machine.cpu.eip = CODE;
    machine.cpu.halted = false;
    machine.cpu.flush_tlb(true);
}

/// Runs until HLT with interrupts off.
fn run(machine: &mut Machine, host: &mut Host) -> Exit {
    for _ in 0..1000 {
        match machine.run(host, Duration::from_millis(1)) {
            Exit::Budget | Exit::Idle { .. } => {}
            exit => return exit,
        }
    }
    Exit::Budget
}

/// `mov eax, [address]; hlt` and the like, with the address in EBX.
fn load(address: u32, wide: bool) -> u32 {
    let mut machine = machine(VIRTUAL);
    let code: &[u8] = if wide { &[0x8B, 0x03, 0xF4] } else { &[0x66, 0x8B, 0x03, 0xF4] };
    flat_mode(&mut machine, code);
    machine.cpu.regs[reg::EBX] = address;
    machine.cpu.regs[reg::EAX] = 0;
    assert_eq!(run(&mut machine, &mut Host::null()), Exit::Halted, "{address:08x}");
    machine.cpu.regs[reg::EAX]
}

#[test]
fn case_41_accesses_across_the_edges_of_memory_are_split() {
    // Behind the end of RAM nobody answers.
    assert_eq!(load(RAM as u32 - 2, true), 0xFFFF_0000);
    assert_eq!(load(RAM as u32, true), 0xFFFF_FFFF);
    // Under 4 GiB lie firmware's last bytes. (An access across 4 GiB leaves the segment, for which the manual
    // lets processors choose; ours have #GP, as `linear_read` says.)
    assert_eq!(load(0xFFFF_FFFC, true), 0xF4F4_F4F4);
    assert_eq!(load(0xFFFF_FFFE, false), 0x0000_F4F4);
    // Into display memory and out of it, into the APIC's registers and out of them: whatever is read, all
    // widths and offsets come to an end, and so do stores.
    for base in [0xA_0000_u32, 0xC_0000, 0xFEC0_0000, 0xFEC0_1000, 0xFEE0_0000, 0xFEE0_1000, 0xE000_0000] {
        for offset in 0..20 {
            load(base - 10 + offset, true);
            load(base - 10 + offset, false);
            let mut machine = machine(VIRTUAL);
            // fld tbyte [ebx]; fstp tbyte [ebx]; mov [ebx], eax; hlt
            flat_mode(&mut machine, &[0xDB, 0x2B, 0xDB, 0x3B, 0x89, 0x03, 0xF4]);
            machine.cpu.regs[reg::EBX] = base - 10 + offset;
            assert_eq!(run(&mut machine, &mut Host::null()), Exit::Halted);
        }
    }
}

#[test]
fn case_59_a_halt_without_interrupts_ends_and_only_an_nmi_goes_on() {
    let mut machine = machine(VIRTUAL);
    let mut host = Host::null();
    // cli; hlt; mov al, 1; hlt — with an NMI handler that returns.
    real_mode(&mut machine, &[0xFA, 0xF4, 0xB0, 0x01, 0xF4]);
    machine.write_memory(0x600, &[0xCF]);
    machine.write_memory(2 * 4, &[0x00, 0x06, 0x00, 0x00]);
    machine.cpu.regs[reg::EAX] = 0;
    assert_eq!(run(&mut machine, &mut host), Exit::Halted);
    assert_eq!(machine.cpu.regs[reg::EAX] & 0xFF, 0);
    assert_eq!(run(&mut machine, &mut host), Exit::Halted, "and it stays so");
    machine.cpu.nmi = true;
    assert_eq!(run(&mut machine, &mut host), Exit::Halted);
    assert_eq!(machine.cpu.regs[reg::EAX] & 0xFF, 1, "the NMI woke it");
}

/// A program that sets the PIC up (vectors from 8), the PIT to `divisor`, and counts IRQ 0 in memory at 500h
/// while it halts.
fn ticking(machine: &mut Machine, divisor: u16) {
    let [low, high] = divisor.to_le_bytes();
    #[rustfmt::skip]
    let code = [
        0xFA,
        0xB0, 0x11, 0xE6, 0x20, 0xB0, 0x08, 0xE6, 0x21, 0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x01, 0xE6, 0x21,
        0xB0, 0xFE, 0xE6, 0x21,
        0xB0, 0x34, 0xE6, 0x43, 0xB0, low, 0xE6, 0x40, 0xB0, high, 0xE6, 0x40,
        0xFB, 0xF4, 0xEB, 0xFC,
    ];
    real_mode(machine, &code);
    // inc dword [500h]; mov al, 20h; out 20h, al; iret — AL is nobody's.
    machine.write_memory(0x600, &[0x66, 0xFF, 0x06, 0x00, 0x05, 0xB0, 0x20, 0xE6, 0x20, 0xCF]);
    machine.write_memory(8 * 4, &[0x00, 0x06, 0x00, 0x00]);
    machine.write_memory(0x500, &[0; 4]);
}

fn ticks(machine: &Machine) -> u32 {
    let mut bytes = [0; 4];
    machine.read_memory(0x500, &mut bytes);
    u32::from_le_bytes(bytes)
}

#[test]
fn case_59_a_machine_that_waits_executes_next_to_nothing() {
    let mut machine = machine(VIRTUAL);
    let mut host = Host::null();
    ticking(&mut machine, 1193);
    let mut calls = 0;
    while machine.now() < Instant::ZERO + Duration::from_secs(10) {
        assert!(!matches!(
            machine.run(&mut host, Duration::from_millis(100)),
            Exit::Halted | Exit::TripleFault
        ));
        calls += 1;
    }
    let ticks = ticks(&machine);
    assert!((9_900..=10_100).contains(&ticks), "{ticks} ticks of a millisecond in ten seconds");
    // Seven instructions a tick, against 10^9 that ten seconds have room for.
    assert!(machine.cpu.count < 200_000, "{} instructions", machine.cpu.count);
    assert!(calls <= 200, "{calls} times the host was asked");
}

#[test]
fn case_60_a_storm_on_all_lines_starves_nobody() {
    let mut machine = machine(VIRTUAL);
    let mut host = Host::null();
    // Both controllers, vectors 8 and 70h on, everything unmasked; the main program counts at 500h.
    #[rustfmt::skip]
    let code = [
        0xFA,
        0xB0, 0x11, 0xE6, 0x20, 0xE6, 0xA0, 0xB0, 0x08, 0xE6, 0x21, 0xB0, 0x70, 0xE6, 0xA1,
        0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x02, 0xE6, 0xA1, 0xB0, 0x01, 0xE6, 0x21, 0xE6, 0xA1,
        0x30, 0xC0, 0xE6, 0x21, 0xE6, 0xA1, 0xFB,
        0x66, 0xFF, 0x06, 0x00, 0x05, 0xEB, 0xF9,
    ];
    real_mode(&mut machine, &code);
    // A handler a line: inc word [510h + 2 n]; mov al, 20h; out A0h, al; out 20h, al; iret
    for line in 0..16_u8 {
        let at = 0x600 + u16::from(line) * 16;
        let handler =
            [0x50, 0xFF, 0x06, 0x10 + 2 * line, 0x05, 0xB0, 0x20, 0xE6, 0xA0, 0xE6, 0x20, 0x58, 0xCF];
        machine.write_memory(u64::from(at), &handler);
        let vector = if line < 8 { 8 + line } else { 0x68 + line };
        let [low, high] = at.to_le_bytes();
        machine.write_memory(u64::from(vector) * 4, &[low, high, 0, 0]);
    }
    machine.write_memory(0x500, &[0; 0x40]);
    for round in 0..2000 {
        let exit = machine.run(&mut host, Duration::from_micros(20));
        assert!(matches!(exit, Exit::Budget | Exit::Idle { .. }), "{exit:?}");
        for line in 0..16 {
            if round % (u32::from(line) + 1) == 0 {
                machine.board.irq.pulse(line);
            }
        }
    }
    let mut counts = [0; 0x40];
    machine.read_memory(0x500, &mut counts);
    let word = |at: usize| u16::from_le_bytes([counts[at], counts[at + 1]]);
    assert!(word(0) > 1000, "the program goes on: {}", word(0));
    for line in (0..16).filter(|line| *line != 2) {
        assert!(word(0x10 + 2 * line) > 50, "line {line} is heard: {}", word(0x10 + 2 * line));
    }
}

#[test]
fn case_61_every_port_can_be_read_and_written_in_all_widths() {
    let mut machine = machine(VIRTUAL);
    let mut host = Host::null();
    // xor dx, dx; l: in al, dx; in ax, dx; in eax, dx; inc dx; jnz l; hlt
    for _ in 0..3 {
        real_mode(&mut machine, &[0x31, 0xD2, 0xEC, 0xED, 0x66, 0xED, 0x42, 0x75, 0xF9, 0xF4]);
        assert_eq!(run(&mut machine, &mut host), Exit::Halted);
    }
    for port in [0x0300_u16, 0x5000, 0x7FFF, 0xFFFF] {
        let [low, high] = port.to_le_bytes();
        real_mode(&mut machine, &[0xBA, low, high, 0x66, 0xED, 0xF4]);
        machine.cpu.regs[reg::EAX] = 0;
        assert_eq!(run(&mut machine, &mut host), Exit::Halted);
        assert_eq!(machine.cpu.regs[reg::EAX], 0xFFFF_FFFF, "nobody is at {port:04x}");
    }
    // Writes may switch it off or reset it: then the next port has its turn in a machine as it is by then.
    for value in [0x00_u8, 0xFF, 0xA5] {
        for port in 0..=0xFFFF_u16 {
            // Only ports that somebody has, and their neighbours.
            if machine.board.io.device(port).is_none()
                && machine.board.io.device(port.wrapping_add(1)).is_none()
            {
                continue;
            }
            let [low, high] = port.to_le_bytes();
            let code = [0xBA, low, high, 0xB0, value, 0x88, 0xC4, 0xEE, 0xEF, 0x66, 0xEF, 0xF4];
            real_mode(&mut machine, &code);
            run(&mut machine, &mut host);
        }
    }
}

/// A clock that a test turns.
#[derive(Clone, Default)]
struct Hands(Rc<Cell<u64>>);

impl Clock for Hands {
    fn now(&mut self) -> Instant {
        // Time passes a little with every look.
        self.0.set(self.0.get() + 2_000);
        Instant(self.0.get())
    }
    fn wall(&mut self) -> i64 {
        self.0.get() as i64
    }
}

#[test]
fn case_85_after_a_pause_there_is_no_burst_of_ticks() {
    let mut machine = machine(ClockMode::Host);
    let hands = Hands::default();
    let mut host = Host { clock: Box::new(hands.clone()), ..Host::null() };
    ticking(&mut machine, 1193);
    let mut run_for = |machine: &mut Machine, milliseconds: u64| {
        let end = hands.0.get() + milliseconds * 1_000_000;
        while hands.0.get() < end {
            if let Exit::Idle { until } = machine.run(&mut host, Duration::from_millis(10)) {
                let wait = until.0.saturating_sub(machine.now().0);
                hands.0.set(hands.0.get() + wait);
            }
        }
    };
    run_for(&mut machine, 1000);
    let before = ticks(&machine);
    assert!((900..=1100).contains(&before), "{before} ticks in a second");
    for jump in [60_000_000_000, 3_600_000_000_000, 86_400_000_000_000] {
        let before = ticks(&machine);
        hands.0.set(hands.0.get() + jump);
        run_for(&mut machine, 1000);
        let since = ticks(&machine) - before;
        assert!((500..=2100).contains(&since), "{since} ticks in the second after a jump");
    }
    // And back: time stands still until the clock is where it was, or goes on from there; it never runs wild.
    let before = ticks(&machine);
    hands.0.set(hands.0.get() - 3_000_000);
    run_for(&mut machine, 1000);
    assert!(ticks(&machine) - before <= 1100);
}
