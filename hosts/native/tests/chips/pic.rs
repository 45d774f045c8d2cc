use super::Pair;

/// An operation command word or a poll at one chip; QEMU and we agree on all that comes here.
fn operate(pair: &mut Pair, command: u16, spare: u8) {
    match pair.random(8) {
        0 | 1 => {
            let mask = (pair.random(256) & pair.random(256)) as u8;
            pair.out(command + 1, mask | spare);
        }
        2 => {
            let word = pair.pick(&[0x0A, 0x0B, 0x48, 0x68]);
            pair.out(command, word);
        }
        3 | 4 => {
            pair.out(command, 0x0C);
            pair.same(command);
        }
        5 | 6 => {
            // QEMU's non-specific EOI ignores the special mask; specific ones are the same.
            let line = pair.random(8) as u8;
            let word = pair.pick(&[0x60, 0xE0, 0xC0]);
            pair.out(command, word | line);
        }
        _ => {
            pair.out(command, 0x48);
            let word = pair.pick(&[0x20, 0xA0]);
            pair.out(command, word);
        }
    }
}

fn compare(pair: &mut Pair) {
    for port in [0x20, 0x21, 0xA0, 0xA1] {
        let (ours, theirs) = pair.both(port);
        // When the slave's output falls, the chip and we withdraw the master's request, QEMU does not: the
        // master's line 2 is masked and not looked at.
        let bits = if port == 0x20 { !4 } else { 0xFF };
        assert_eq!(ours & bits, theirs & bits, "port {port:02X}: {}", pair.story());
    }
}

/// Requests come from the timer (0) and the serial ports (3, 4), and are acknowledged by polling, as there
/// is no CPU. Lines here never fall while their request waits: QEMU does not withdraw it, the chip does.
#[test]
fn random_operation_words_and_polls_leave_the_same_master() {
    let Some(mut pair) = Pair::start() else { return };
    pair.program_pics();
    pair.out(0x21, 4);
    for _ in 0..3000_u32 {
        match pair.random(12) {
            0 => {
                // One timer interrupt.
                for (port, value) in [(0x43, 0x30), (0x40, 10), (0x40, 0)] {
                    pair.out(port, value);
                }
                pair.step(1_000_000);
            }
            1..=3 => {
                // A serial line's transmit interrupt, off and on: a fresh edge.
                let base = pair.pick(&[0x3F8, 0x2F8]);
                let bit = if base == 0x3F8 { 1 << 4 } else { 1 << 3 };
                pair.out(0x20, 0x0A);
                if pair.both(0x20).0 & bit == 0 {
                    for (register, value) in [(4, 8), (1, 0), (1, 2)] {
                        pair.out(base + register, value);
                    }
                }
            }
            _ => operate(&mut pair, 0x20, 4),
        }
        compare(&mut pair);
    }
}

#[test]
fn random_operation_words_and_polls_leave_the_same_slave() {
    let Some(mut pair) = Pair::start() else { return };
    pair.program_pics();
    pair.out(0x21, 4);
    for _ in 0..1500_u32 {
        if pair.random(6) == 0 {
            // The clock's periodic interrupt, whose line stays up from then on.
            pair.out(0xA0, 0x0A);
            if pair.same(0xA0) & 1 == 0 {
                for (index, value) in [(0x0B, 0x02), (0x0A, 0x26)] {
                    pair.out(0x70, index);
                    pair.out(0x71, value);
                }
                pair.out(0x70, 0x0C);
                pair.both(0x71);
                pair.out(0x70, 0x0B);
                pair.out(0x71, 0x42);
                pair.step(2_000_000);
            }
        } else {
            operate(&mut pair, 0xA0, 0);
        }
        compare(&mut pair);
    }
}

#[test]
fn edge_level_registers_have_the_same_bits() {
    let Some(mut pair) = Pair::start() else { return };
    for value in [0xFF, 0x00, 0x55, 0xAA] {
        pair.out(0x4D0, value);
        pair.out(0x4D1, value);
        pair.same(0x4D0);
        pair.same(0x4D1);
    }
}
