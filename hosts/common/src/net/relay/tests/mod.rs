//! Relays as others have built them, and worse ones.

mod client;
mod fake;
mod hostile;
mod secure;
mod server;
mod service;
mod throughput;

use super::*;
use crate::net::bell::Bell;
use nomad86::host::Network;
use std::time::{Duration, Instant};

/// For what happens at once unless the host is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration with the pauses that tests can wait for.
pub(crate) fn config(url: &str) -> RelayConfig {
    let pause = (Duration::from_millis(20), Duration::from_millis(100));
    // Many relays of tests have nothing to say, and a busy host lets them take long.
    let silence = 3 * PATIENCE;
    RelayConfig { pause, silence, seed: 7, ..RelayConfig::new(RelayUrl::parse(url).unwrap()) }
}

pub(crate) fn client(url: &str) -> RelayClient {
    RelayClient::start(config(url), Bell::default()).unwrap()
}

/// A frame between stations that are named by a number; 0xFFFF is everybody.
pub(crate) fn frame(to: u16, from: u16, text: &[u8]) -> Vec<u8> {
    let mac = |n: u16| match n {
        0xFFFF => [0xFF; 6],
        n => [2, 0, 0, 0, (n >> 8) as u8, n as u8],
    };
    let mut frame = [&mac(to)[..], &mac(from), &[0x88, 0xB5], text].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

pub(crate) fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < end, "{what}: it never happened");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// The next frame that comes.
pub(crate) fn next(network: &mut impl Network) -> Vec<u8> {
    let mut buffer = [0; 1600];
    let mut found = Vec::new();
    until("a frame", || match network.receive(&mut buffer) {
        Some(frame) => {
            found = frame.to_vec();
            true
        }
        None => false,
    });
    found
}

/// All frames that are there now.
pub(crate) fn all(network: &mut impl Network) -> Vec<Vec<u8>> {
    let mut buffer = [0; 1600];
    std::iter::from_fn(|| network.receive(&mut buffer).map(<[u8]>::to_vec)).collect()
}

pub(crate) fn connected(client: &RelayClient) {
    until("a connection", || client.link());
}
