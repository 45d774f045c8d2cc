//! What translation costs a frame: passing one through, and rewriting the addresses in each kind.
//!
//! `cargo bench -p nomad86 --bench translate`; targets are 50 ns for a pass and 300 ns for a rewrite.

use divan::{Bencher, black_box};
use nomad86::net::{Direction, MacAddress, MacPair, translate};

const MACS: MacPair =
    MacPair { guest: MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]), wire: MacAddress([2, 9, 8, 7, 6, 5]) };

fn main() {
    divan::main();
}

/// A frame with the given type and start of payload.
fn frame<const N: usize>(source: MacAddress, payload: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..6].copy_from_slice(&[2, 1, 1, 1, 1, 1]);
    bytes[6..12].copy_from_slice(&source.0);
    bytes[12..12 + payload.len()].copy_from_slice(payload);
    bytes
}

fn tcp(source: MacAddress) -> [u8; 1514] {
    frame(source, &[8, 0, 0x45, 0, 5, 0xDC, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
}

fn dhcp() -> [u8; 342] {
    let mut bytes = frame(
        MACS.guest,
        &[
            8, 0, 0x45, 0, 1, 0x48, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67,
            1, 0x34, 0x12, 0x34, 1, 1, 6,
        ],
    );
    bytes[70..76].copy_from_slice(&MACS.guest.0);
    let options = [
        &[0x63, 0x82, 0x53, 0x63, 53, 1, 1, 61, 7, 1][..],
        &MACS.guest.0,
        &[12, 8, b'n', b'o', b'm', b'a', b'd', b'-', b'8', b'6', 55, 7, 1, 28, 2, 3, 15, 6, 12, 255],
    ];
    let mut at = 278;
    for part in options {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    bytes
}

fn neighbour() -> [u8; 86] {
    let mut bytes = frame(MACS.guest, &[0x86, 0xDD, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    bytes[54] = 135;
    bytes[78..80].copy_from_slice(&[1, 1]);
    bytes[80..86].copy_from_slice(&MACS.guest.0);
    bytes
}

fn arp() -> [u8; 60] {
    let mut bytes = frame(MACS.guest, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    bytes[22..28].copy_from_slice(&MACS.guest.0);
    bytes
}

/// There and back, so that each call finds something to rewrite; the time is that of two translations.
fn twice<const N: usize>(bencher: Bencher, mut bytes: [u8; N]) {
    bencher.counter(divan::counter::ItemsCount::new(2u32)).bench_local(|| {
        translate(Direction::Outbound, black_box(&MACS), black_box(&mut bytes));
        translate(Direction::Inbound, black_box(&MACS), black_box(&mut bytes));
    });
}

#[divan::bench]
fn pass_two_strangers_tcp_frame(bencher: Bencher) {
    twice(bencher, tcp(MacAddress([2, 3, 3, 3, 3, 3])));
}

#[divan::bench]
fn rewrite_two_tcp_frames(bencher: Bencher) {
    twice(bencher, tcp(MACS.guest));
}

#[divan::bench]
fn rewrite_two_arp_requests(bencher: Bencher) {
    twice(bencher, arp());
}

#[divan::bench]
fn rewrite_two_dhcp_requests(bencher: Bencher) {
    twice(bencher, dhcp());
}

#[divan::bench]
fn rewrite_two_neighbour_solicitations(bencher: Bencher) {
    twice(bencher, neighbour());
}
