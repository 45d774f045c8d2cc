use super::Pair;

#[test]
fn registers_keep_the_same_bits() {
    let Some(mut pair) = Pair::start() else { return };
    // QEMU resets MCR to OUT2.
    pair.out(0x3FC, 0x10);
    for _ in 0..3000 {
        let register = pair.pick(&[1_u16, 2, 3, 4, 7]);
        let value = pair.random(256) as u8;
        let value = match register {
            // Loopback on all the time, so that modem lines are the guest's.
            4 => value | 0x10,
            // QEMU's IER has no interrupts here: they are compared below.
            1 => value & !2,
            3 => value & !0x40,
            _ => value,
        };
        pair.out(0x3F8 + register, value);
        for register in [1, 3, 4, 7] {
            pair.same(0x3F8 + register);
        }
    }
}

#[test]
fn loopback_turns_modem_lines_and_characters_round() {
    let Some(mut pair) = Pair::start() else { return };
    for (register, value) in [(3, 0x83), (0, 1), (1, 0), (3, 3), (2, 7), (4, 0x18)] {
        pair.out(0x3F8 + register, value);
    }
    pair.step(1_000_000);
    pair.both(0x3FE);
    for _ in 0..200 {
        let modem = pair.random(16) as u8;
        pair.out(0x3FC, 0x10 | modem);
        let (ours, theirs) = pair.both(0x3FE);
        assert_eq!(ours & 0xF0, theirs & 0xF0, "{}", pair.story());
        let byte = pair.random(256) as u8;
        pair.out(0x3F8, byte);
        pair.step(1_000_000);
        assert_eq!(pair.same(0x3FD), 0x61);
        assert_eq!(pair.same(0x3F8), byte);
        assert_eq!(pair.same(0x3FD), 0x60);
    }
}

#[test]
fn interrupts_are_identified_alike() {
    let Some(mut pair) = Pair::start() else { return };
    for (register, value) in [(3, 0x83), (0, 1), (1, 0), (3, 3), (2, 0x47), (4, 0x1B)] {
        pair.out(0x3F8 + register, value);
    }
    pair.step(1_000_000);
    pair.both(0x3FE);
    pair.same(0x3FA);
    for _ in 0..150 {
        let enabled = pair.random(8) as u8;
        pair.out(0x3F9, enabled);
        pair.step(1_000_000);
        pair.same(0x3FA);
        pair.same(0x3FA);
        let characters = pair.random(6);
        for n in 0..characters {
            pair.out(0x3F8, n as u8);
            pair.step(1_000_000);
        }
        pair.step(10_000_000);
        pair.same(0x3FA);
        pair.same(0x3FD);
        while pair.same(0x3FD) & 1 != 0 {
            pair.same(0x3F8);
            pair.same(0x3FA);
        }
        pair.same(0x3FA);
    }
}
