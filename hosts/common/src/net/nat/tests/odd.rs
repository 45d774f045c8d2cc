//! Frames that no driver would send.

use super::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// Real frames of every kind, to be bent.
fn samples() -> Vec<Vec<u8>> {
    let nat = Nat::start(NatConfig::default(), Bell::default()).unwrap();
    let mut guest = Guest::new(nat, Mac([2, 0, 0, 0, 0, 1]));
    guest.card.seen = Some(Vec::new());
    guest.dhcp();
    guest.set_address("fec0::15".parse().unwrap(), 64, Ipv6Config::ROUTER.into());
    for (n, to) in ["10.0.2.2", "fec0::2", "10.0.2.3"].into_iter().enumerate() {
        guest.tcp((to.parse().unwrap(), 9), 40_000 + n as u16);
    }
    guest.pass(Duration::from_millis(1500));
    let mut frames = guest.card.seen.take().unwrap();
    // A datagram in two pieces, and an IPv6 one with extension headers.
    let mut fragment = vec![0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    fragment.extend([0x45, 0, 0, 44, 0, 1, 0x20, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    let sum = super::super::packet::checksum(&[&fragment[14..34]]);
    fragment[24..26].copy_from_slice(&sum.to_be_bytes());
    fragment.extend([0x13, 0x88, 0, 53, 0, 32, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    frames.push(fragment);
    assert!(frames.iter().any(|frame| frame.get(23) == Some(&6)), "there is a TCP segment");
    frames
}

#[test]
fn a_hundred_thousand_bent_frames_leave_the_gateway_in_order() {
    let samples = samples();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(86);
    let mut guest = guest(NatConfig { restrict: true, ..NatConfig::default() });
    let mut buffer = [0; 1600];
    for round in 0..100_000u32 {
        let mut frame = samples[random.next_u32() as usize % samples.len()].clone();
        match random.next_u32() % 4 {
            0 => frame.truncate(random.next_u32() as usize % (frame.len() + 1)),
            1 => frame.resize(random.next_u32() as usize % 1600, 0xFF),
            _ => {}
        }
        for _ in 0..random.next_u32() % 8 {
            if let Some(len) = std::num::NonZeroUsize::new(frame.len()) {
                let at = random.next_u32() as usize % len;
                frame[at] = random.next_u32() as u8;
            }
        }
        // Half of them get their IPv4 header's sum back, so that they come further.
        if frame.len() > 34 && round % 2 == 0 && frame[12..14] == [8, 0] {
            let end = (14 + usize::from(frame[14] & 15) * 4).clamp(34, frame.len());
            frame[24..26].fill(0);
            let sum = super::super::packet::checksum(&[&frame[14..end]]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        guest.card.network.transmit(&frame);
        while guest.card.network.receive(&mut buffer).is_some() {}
        if round % 256 == 0 {
            // Let it keep up: what it does not see does not test it.
            while guest.card.network.from_guest.len() > 128 {
                std::thread::yield_now();
            }
        }
    }
    // It still works, and nobody took the guest's place.
    let mut fresh = Guest::new(guest.card.network, Mac([2, 0, 0, 0, 0, 77]));
    fresh.dhcp();
}

#[test]
fn case_62_and_63_frames_of_odd_sizes_never_reach_the_gateway() {
    let mut guest = guest(NatConfig::default());
    for len in [0, 1, 13, 1523, 9000, 65_535] {
        guest.card.network.transmit(&vec![0xFF; len]);
    }
    guest.pass(Duration::from_millis(20));
    let stats = guest.card.network.stats();
    assert_eq!((stats.frames_in, stats.dropped_full), (0, 6));
}

#[test]
fn case_65_a_flood_of_frames_neither_blocks_the_machine_nor_the_gateway() {
    let mut guest = guest(NatConfig::default());
    let frame = [[0xFF; 6], [2, 0, 0, 0, 0, 1], [8, 6, 0, 1, 8, 0]].concat();
    let frame = [frame, vec![0; 60 - 18]].concat();
    let start = Instant::now();
    for _ in 0..200_000 {
        guest.card.network.transmit(&frame);
    }
    let elapsed = start.elapsed();
    assert!(elapsed < PATIENCE, "{elapsed:?}");
    guest.wait("the queue is worked off", |guest| guest.card.network.from_guest.is_empty().then_some(()));
    let stats = guest.card.network.stats();
    until("all is counted", || {
        let stats = guest.card.network.stats();
        stats.frames_in + stats.dropped_full == 200_000
    });
    assert!(stats.frames_in > 0);
}

#[test]
fn a_network_whose_port_is_taken_says_so_and_one_that_is_dropped_frees_it() {
    let listen = |address| Forward { transport: Transport::Tcp, listen: address, guest: None, port: 22 };
    let config = |address| NatConfig { forwards: vec![listen(address)], ..NatConfig::default() };
    let first = Nat::start(config("127.0.0.1:0".parse().unwrap()), Bell::default()).unwrap();
    let address = first.forwards()[0];
    let error = Nat::start(config(address), Bell::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    Nat::start(config(address), Bell::default()).unwrap();
}
