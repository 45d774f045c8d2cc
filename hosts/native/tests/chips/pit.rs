use super::Pair;
use nomad86::devices::pit::HERTZ;

fn count(pair: &mut Pair, counter: u8) -> (u16, u16) {
    pair.out(0x43, counter << 6);
    let (low, high) = (pair.both(0x40 + u16::from(counter)), pair.both(0x40 + u16::from(counter)));
    (u16::from_le_bytes([low.0, high.0]), u16::from_le_bytes([low.1, high.1]))
}

/// QEMU starts to count at the write, the chip and we a tick later, so counts may differ by that.
#[test]
fn counts_run_alike_in_modes_0_2_3_and_4() {
    let Some(mut pair) = Pair::start() else { return };
    pair.out(0x61, 1);
    for round in 0..150 {
        let counter = pair.pick(&[0_u8, 2]);
        let mode = pair.pick(&[0_u8, 2, 3, 4]);
        // Even counts: QEMU does not tell odd ones apart in mode 3.
        let load = (pair.random(0x1_0000) & 0xFFFE).max(100) as u16;
        let start = pair.ours.board.now;
        pair.out(0x43, counter << 6 | 0x30 | mode << 1);
        pair.out(0x40 + u16::from(counter), load as u8);
        pair.out(0x40 + u16::from(counter), (load >> 8) as u8);
        for _ in 0..4 {
            let ns = u64::from(pair.random(8_000_000));
            pair.step(ns);
            let elapsed = pair.ours.board.now.since(start) * HERTZ / 1_000_000_000;
            let (ours, theirs) = count(&mut pair, counter);
            let modulus = if matches!(mode, 0 | 4) { 0x1_0000 } else { u32::from(load) };
            let apart = (u32::from(ours) + 2 * modulus - u32::from(theirs)) % modulus;
            let apart = apart.min(modulus - apart);
            assert!(
                apart <= 6,
                "round {round}: mode {mode} of {load}: {ours} and {theirs}: {}",
                pair.story()
            );
            // Away from the edges outputs agree too.
            let load = u64::from(load);
            let phase = elapsed % load;
            let far = |edge: u64| phase.abs_diff(edge) > 6 && load - phase.abs_diff(edge) > 6;
            let clear = match mode {
                3 => far(0) && far(load / 2),
                // QEMU's output is high for the one tick in which it should be low.
                2 | 4 => false,
                _ => elapsed.abs_diff(load) > 6,
            };
            if clear {
                pair.out(0x43, 0xE0 | 2 << counter);
                let (ours, theirs) = pair.both(0x40 + u16::from(counter));
                assert_eq!(ours, theirs, "mode {mode} of {load} after {elapsed}: {}", pair.story());
            }
        }
    }
}

#[test]
fn control_words_and_latches_behave_alike() {
    let Some(mut pair) = Pair::start() else { return };
    for _ in 0..3000 {
        // Time stands still, so bytes can be compared exactly.
        let access = pair.pick(&[0x10_u8, 0x20, 0x30]);
        pair.out(0x43, 0x80 | access | 0x04);
        let bytes = if access == 0x30 { 2 } else { 1 };
        for _ in 0..bytes {
            let value = pair.random(255) as u8 + 1;
            pair.out(0x42, value);
        }
        let which = pair.pick(&[0x00_u8, 0x10, 0x20]);
        pair.out(0x43, 0xC8 | which);
        // To the end: QEMU keeps a latch when the counter is programmed anew.
        let reads = 3 + pair.random(4);
        for n in 0..reads {
            let (ours, theirs) = pair.both(0x42);
            // QEMU does not keep the null-count bit, and its output in mode 2 is upside down.
            let status = n == 0 && which != 0x10;
            let bits = if status { 0x3F } else { 0xFF };
            assert_eq!(ours & bits, theirs & bits, "{}", pair.story());
        }
    }
}

#[test]
fn timer_interrupts_come_at_the_same_times() {
    let Some(mut pair) = Pair::start() else { return };
    pair.program_pics();
    for (mode, load) in [(2_u8, 11_932_u16), (3, 0), (2, 59_659), (3, 7000)] {
        pair.out(0x43, 0x30 | mode << 1);
        pair.out(0x40, load as u8);
        pair.out(0x40, (load >> 8) as u8);
        let period = if load == 0 { 0x1_0000 } else { u64::from(load) } * 1_000_000_000 / HERTZ;
        let start = pair.ours.board.now;
        for _ in 0..100 {
            // What came before is not looked at.
            pair.out(0x20, 0x0C);
            pair.both(0x20);
            pair.out(0x20, 0x60);
            let before = pair.ours.board.now;
            let ns = u64::from(pair.random(4_000_000));
            pair.step(ns);
            let now = pair.ours.board.now;
            // Close to an edge the two may differ, and an edge shortly before a stop may be served after it.
            let close = |at: u64| at % period < 2_000_000 || period - at % period < 5000;
            if close(before.since(start)) || close(now.since(start)) {
                continue;
            }
            pair.out(0x20, 0x0C);
            let polled = pair.same(0x20);
            let edges = now.since(start) / period - before.since(start) / period;
            assert_eq!(polled == 0x80, edges > 0, "{}", pair.story());
            pair.out(0x20, 0x60);
        }
    }
}
