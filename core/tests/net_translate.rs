//! Properties of the translator, on frames made by `frames`.
//!
//! `NOMAD86_FRAMES` sets how many frames each property is tried on (default 100,000). A release is tried with
//! `NOMAD86_FRAMES=10000000 cargo test --release -p nomad86 --test net_translate`, which takes a minute.

mod frames;

use frames::{Check, Frame, Generator, Kind, Mac};
use nomad86::net::{Direction, MacAddress, MacPair, Translator, translate};
use smoltcp::wire::{EthernetFrame, Icmpv6Packet, IpAddress, Ipv4Packet, Ipv6Packet, UdpPacket};

fn frame_count() -> u64 {
    let wanted = std::env::var("NOMAD86_FRAMES").ok();
    wanted.map_or(100_000, |text| text.parse().expect("NOMAD86_FRAMES is a number"))
}

fn pair(g: &Generator) -> MacPair {
    MacPair { guest: MacAddress(g.guest), wire: MacAddress(g.wire) }
}

/// Runs a property on many frames of many address pairs.
fn for_each_frame(seed: u64, mut property: impl FnMut(&Frame, &MacPair)) {
    let mut g = Generator::new(seed);
    for round in 0..frame_count() {
        if round % 64 == 0 {
            g.choose_addresses();
        }
        let macs = pair(&g);
        property(g.build(), &macs);
    }
}

#[test]
fn exactly_the_listed_addresses_are_exchanged_and_checksums_stay_right() {
    let mut rewritten = 0u64;
    for_each_frame(1, |frame, macs| {
        let expected = frame.expected(macs.guest.0, macs.wire.0, usize::MAX);
        for direction in [Direction::Outbound, Direction::Inbound] {
            let mut bytes = frame.visible().to_vec();
            let changes = translate(direction, macs, &mut bytes);
            assert!(
                bytes == expected,
                "{direction:?} of {frame:02x?}\ngave     {bytes:02x?}\nexpected {expected:02x?}"
            );
            rewritten += u64::from(changes != 0);
            assert_eq!(changes == 0, frame.visible() == bytes);
        }
    });
    assert!(rewritten > frame_count(), "the generator makes frames with something to rewrite");
}

#[test]
fn inbound_undoes_outbound() {
    let mut g = Generator::new(2);
    let mut noise = Vec::new();
    for round in 0..frame_count() {
        if round % 64 == 0 {
            g.choose_addresses();
        }
        let macs = pair(&g);
        g.build();
        undone(&macs, g.frame.visible());
        spoil(&mut g);
        undone(&macs, g.frame.visible());
        g.build_noise(&mut noise);
        undone(&macs, &noise);
    }
}

fn undone(macs: &MacPair, original: &[u8]) {
    let mut room = [0u8; 4096];
    let bytes = &mut room[..original.len()];
    bytes.copy_from_slice(original);
    translate(Direction::Outbound, macs, bytes);
    let there = bytes.to_vec();
    translate(Direction::Inbound, macs, bytes);
    if bytes != original {
        // A checksum FFFF in ICMPv6 is a zero misspelt, which no sender computes; it comes back spelt right.
        let differ: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i] != original[i]).collect();
        let zero = matches!(differ[..], [a, b] if b == a + 1 && original[a..=b] == [0xFF; 2] && bytes[a..=b] == [0; 2]);
        assert!(zero, "{original:02x?}\nbecame {there:02x?}\nand came back as {bytes:02x?}");
    }
}

/// Changes a few bytes that the layout hangs on, or any.
fn spoil(g: &mut Generator) {
    for _ in 0..1 + g.below(3) {
        let (count, anywhere) = (g.frame.lengths.len(), g.below(g.frame.bytes.len()));
        let choice = g.below(count.max(1));
        let at = if count == 0 || g.one_in(3) { anywhere } else { g.frame.lengths[choice] };
        g.frame.bytes[at] = match g.below(5) {
            0 => 0,
            1 => 0xFF,
            2 => g.frame.bytes[at].wrapping_add(1),
            3 => g.frame.bytes[at].wrapping_sub(1),
            _ => g.byte(),
        };
    }
}

/// Whatever a frame is, only whole addresses change into the other one, and one checksum word.
fn only_addresses_and_a_checksum_changed(a: Mac, b: Mac, before: &[u8], after: &[u8]) {
    assert_eq!(before.len(), after.len());
    let mut may_change = vec![false; before.len()];
    for at in 0..before.len().saturating_sub(5) {
        let (old, new) = (&before[at..at + 6], &after[at..at + 6]);
        if (old == a && new == b) || (old == b && new == a) {
            may_change[at..at + 6].fill(true);
        }
    }
    let others: Vec<usize> = (0..before.len()).filter(|&i| before[i] != after[i] && !may_change[i]).collect();
    let fine = match others[..] {
        [] | [_] => true,
        [first, second] => second == first + 1,
        _ => false,
    };
    assert!(fine && others.first().is_none_or(|&at| at >= 14), "{others:?}: {before:02x?}\n{after:02x?}");
}

#[test]
fn case_71_spoilt_lengths_and_noise_change_nothing_but_addresses_and_their_checksum() {
    let mut g = Generator::new(71);
    let mut noise = Vec::new();
    for round in 0..frame_count() {
        if round % 64 == 0 {
            g.choose_addresses();
        }
        let macs = pair(&g);
        g.build();
        spoil(&mut g);
        g.build_noise(&mut noise);
        for before in [g.frame.visible(), &noise] {
            let mut after = before.to_vec();
            translate(Direction::Outbound, &macs, &mut after);
            only_addresses_and_a_checksum_changed(g.guest, g.wire, before, &after);
        }
    }
}

#[test]
fn case_71_every_byte_of_a_frame_takes_every_value() {
    let mut g = Generator::new(710);
    for _ in 0..60 {
        g.choose_addresses();
        let macs = pair(&g);
        g.build();
        let before = g.frame.visible().to_vec();
        for at in 0..before.len().min(120) {
            for value in 0..=255 {
                let mut spoilt = before.clone();
                spoilt[at] = value;
                let mut after = spoilt.clone();
                translate(Direction::Outbound, &macs, &mut after);
                only_addresses_and_a_checksum_changed(g.guest, g.wire, &spoilt, &after);
            }
        }
    }
}

#[test]
fn case_71_truncation_at_every_byte_rewrites_what_is_whole() {
    let mut g = Generator::new(711);
    for _ in 0..frame_count() / 100 {
        g.choose_addresses();
        let macs = pair(&g);
        let frame = g.build().clone();
        for cut in 0..=frame.visible {
            let expected = frame.expected(macs.guest.0, macs.wire.0, cut);
            let mut bytes = frame.visible()[..cut].to_vec();
            translate(Direction::Outbound, &macs, &mut bytes);
            assert!(
                bytes == expected,
                "cut at {cut}: {frame:02x?}\ngave     {bytes:02x?}\nexpected {expected:02x?}"
            );
        }
    }
}

#[test]
fn case_72_random_dhcp_options_never_lead_out_of_bounds() {
    let mut g = Generator::new(72);
    for _ in 0..frame_count() / 4 {
        let macs = pair(&g);
        let options = g.below(80);
        let mut before = vec![0u8; 14 + 20 + 8 + 240 + options];
        let length = before.len();
        before[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        before[16..18].copy_from_slice(&(length as u16 - 14).to_be_bytes());
        before[23] = 17;
        before[34..38].copy_from_slice(&[0, 68, 0, 67]);
        before[38..40].copy_from_slice(&(length as u16 - 34).to_be_bytes());
        before[42..45].copy_from_slice(&[1, 1, 6]);
        before[278..282].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        for at in (42 + 44..278).chain(282..length) {
            before[at] = [0, 1, 2, 3, 6, 7, 52, 61, 255][g.below(9)];
        }
        let mut after = before.clone();
        translate(Direction::Outbound, &macs, &mut after);
        only_addresses_and_a_checksum_changed(g.guest, g.wire, &before, &after);
    }
}

#[test]
fn smoltcp_finds_all_checksums_right() {
    let (mut udp, mut icmp) = (0u64, 0u64);
    for_each_frame(3, |frame, macs| {
        let Some(check) = frame.check else { return };
        if frame.visible != frame.bytes.len() {
            return;
        }
        let mut bytes = frame.visible().to_vec();
        translate(Direction::Outbound, macs, &mut bytes);
        match verify(&bytes, &check) {
            Some(right) => {
                assert!(right, "{frame:02x?}\nbecame {bytes:02x?}");
                *(if check.kind == Kind::Udp { &mut udp } else { &mut icmp }) += 1;
            }
            None => assert_eq!(check.kind, Kind::Ipx, "smoltcp knows no IPX"),
        }
    });
    assert!(udp > frame_count() / 20 && icmp > frame_count() / 50, "{udp} {icmp}");
}

/// Has smoltcp verify a checksum, with the addresses as smoltcp reads them.
fn verify(bytes: &[u8], check: &Check) -> Option<bool> {
    if check.kind == Kind::Ipx {
        return None;
    }
    // The IP header: smoltcp knows neither tags nor SNAP, so it is found by walking back to its type.
    let tags =
        (12..20).step_by(4).take_while(|&at| matches!(bytes[at..at + 2], [0x81, 0] | [0x88, 0xA8])).count();
    let mut start = 14 + 4 * tags;
    if bytes[start..].starts_with(&[0xAA, 0xAA, 3]) {
        start += 8;
    }
    let upper = &bytes[check.start..check.end];
    let (source, destination): (IpAddress, IpAddress) = if bytes[start] >> 4 == 4 {
        let packet = Ipv4Packet::new_unchecked(&bytes[start..]);
        (packet.src_addr().into(), packet.dst_addr().into())
    } else {
        let packet = Ipv6Packet::new_unchecked(&bytes[start..]);
        (packet.src_addr().into(), packet.dst_addr().into())
    };
    Some(match (check.kind, source, destination) {
        (Kind::Udp, ..) => UdpPacket::new_checked(upper).unwrap().verify_checksum(&source, &destination),
        (_, IpAddress::Ipv6(source), IpAddress::Ipv6(destination)) => {
            Icmpv6Packet::new_unchecked(upper).verify_checksum(&source, &destination)
        }
        _ => false,
    })
}

#[test]
fn three_generations_of_clones_keep_the_guest_address() {
    let guest = MacAddress([0x52, 0x54, 0, 1, 2, 3]);
    let mut bytes = [0u8; 60];
    bytes[..6].fill(0xFF);
    for generation in 1..=3 {
        let wire = MacAddress::from_random(generation << 16);
        let mut card = Translator::new(MacPair { guest, wire });
        bytes[6..12].copy_from_slice(&guest.0);
        card.outbound(&mut bytes);
        assert_eq!(EthernetFrame::new_checked(&bytes[..]).unwrap().src_addr().0, wire.0);
        bytes[..6].copy_from_slice(&wire.0);
        bytes[6..12].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
        assert!(card.inbound(&mut bytes));
        assert_eq!(EthernetFrame::new_checked(&bytes[..]).unwrap().dst_addr().0, guest.0);
        bytes[..6].fill(0xFF);
    }
}
