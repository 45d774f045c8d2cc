//! How much one relay carries: sixty-four clients, each with frames for its neighbour.

use super::server::{join, relay};
use super::*;
use std::net::TcpStream;
use tungstenite::{Message, WebSocket};

const CLIENTS: usize = 64;
/// Frames of one client that may be on their way: less than a queue holds.
const WINDOW: u64 = 64;

/// Processor time that the relay's thread has used, in seconds, where the system tells.
fn cpu() -> Option<f64> {
    for entry in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim() == "relay" {
            // User and system time, in hundredths of a second.
            let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
            return Some(ticks / 100.0);
        }
    }
    None
}

struct Load {
    socket: WebSocket<TcpStream>,
    sent: u64,
    received: u64,
}

/// Sends `frames` frames of `len` bytes around the ring; gives the frames a second of one core, if known.
fn ring(frames: u64, len: usize) -> Option<f64> {
    let relay = relay(|_| ());
    let mut clients: Vec<Load> = (0..CLIENTS)
        .map(|n| {
            let mut socket = join(&relay, "/ring");
            // Make itself known, to nobody in particular.
            socket.send(Message::Binary(frame(n as u16 + 1, n as u16 + 1, b"").into())).unwrap();
            socket.get_ref().set_nonblocking(true).unwrap();
            Load { socket, sent: 0, received: 0 }
        })
        .collect();
    until("all are known", || relay.stats().frames_in == CLIENTS as u64);
    let (start, before) = (Instant::now(), cpu());
    let total = frames / CLIENTS as u64;
    while clients.iter().any(|client| client.received < total) {
        assert!(start.elapsed() < Duration::from_secs(120), "it takes too long");
        let mut idle = true;
        for n in 0..CLIENTS {
            let neighbour = (n + 1) % CLIENTS;
            let room = clients[neighbour].received + WINDOW;
            let client = &mut clients[n];
            while client.sent < total.min(room) {
                let mut bytes = frame(neighbour as u16 + 1, n as u16 + 1, &client.sent.to_be_bytes());
                bytes.resize(len, 0);
                match client.socket.write(Message::Binary(bytes.into())) {
                    Ok(()) => {}
                    Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                }
                client.sent += 1;
                idle = false;
            }
            drop(client.socket.flush());
            loop {
                match client.socket.read() {
                    Ok(Message::Binary(bytes)) => {
                        // Those of before all knew each other were flooded.
                        let from = (n + CLIENTS - 1) % CLIENTS + 1;
                        if bytes[11] != from as u8 || bytes[5] != n as u8 + 1 {
                            continue;
                        }
                        assert_eq!(bytes[14..22], client.received.to_be_bytes(), "none is lost or twice");
                        client.received += 1;
                        idle = false;
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        if idle {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    let used = cpu().zip(before).map(|(now, before)| now - before);
    let rate = used.filter(|used| *used > 0.0).map(|used| frames as f64 / used);
    let stats = relay.stats();
    eprintln!(
        "{len} bytes: {:.0} frames/s, {:.0} of one core's",
        frames as f64 / elapsed,
        rate.unwrap_or(0.0)
    );
    assert_eq!((stats.displaced, stats.broken, stats.conflicts), (0, 0, 0));
    rate
}

#[test]
fn sixty_four_clients_lose_nothing_within_the_limits() {
    ring(20_480, 60);
    ring(6_400, 1514);
}

/// The target is a machine's own: run it alone and optimised.
#[test]
#[ignore = "a measurement: run it alone, in release"]
fn twenty_thousand_frames_a_second_take_less_than_one_core() {
    for len in [60, 1514] {
        if let Some(rate) = ring(640_000, len) {
            assert!(rate >= 20_000.0, "{rate:.0} frames a second");
        }
    }
}
