//! Relays that break the rules, at every step.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use tungstenite::handshake::derive_accept_key;

/// A server that does what it likes with each connection in turn.
pub(super) fn server(
    work: impl FnMut(usize, TcpStream) -> bool + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/room", listener.local_addr().unwrap());
    let mut work = work;
    let thread = std::thread::spawn(move || {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept() else { return };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            if !work(number, stream) {
                return;
            }
        }
    });
    (url, thread)
}

/// Reads a request; gives its key.
fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    key.to_owned()
}

fn answer(key: &str, extra: &str) -> String {
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n"
    )
}

fn handshake(stream: &mut TcpStream) {
    let key = request(stream);
    stream.write_all(answer(&key, "").as_bytes()).unwrap();
}

/// A frame of the protocol, from a server: its first byte, its payload.
fn message(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// Reads the client's messages until it closes: the code in its close frame, if there is one.
fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut code = None;
    loop {
        let mut head = [0; 2];
        if stream.read_exact(&mut head).is_err() {
            return code;
        }
        let mut len = usize::from(head[1] & 127);
        if len == 126 {
            let mut long = [0; 2];
            stream.read_exact(&mut long).unwrap();
            len = usize::from(u16::from_be_bytes(long));
        }
        let (mut mask, mut payload) = ([0; 4], vec![0; len]);
        stream.read_exact(&mut mask).unwrap();
        stream.read_exact(&mut payload).unwrap();
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        if head[0] & 15 == 8 && len >= 2 {
            code = Some(u16::from_be_bytes([payload[0], payload[1]]));
        }
    }
}

/// Sends `bytes` after the handshake; what the client closes with, and the client.
fn provoke(bytes: Vec<u8>) -> (Option<u16>, RelayClient) {
    let (sender, codes) = channel();
    let (url, _) = server(move |number, mut stream| {
        handshake(&mut stream);
        if number == 0 {
            // The client may close before it has read all.
            drop(stream.write_all(&bytes));
            sender.send(close_code(&mut stream)).unwrap();
        } else {
            std::thread::sleep(Duration::from_secs(30));
        }
        number == 0
    });
    let client = client(&url);
    (code(&codes), client)
}

fn code(codes: &Receiver<Option<u16>>) -> Option<u16> {
    codes.recv_timeout(PATIENCE).expect("the client never closed")
}

#[test]
fn case_62_short_frames_are_padded_and_tinier_ones_counted() {
    let (url, _) = server(|_, mut stream| {
        handshake(&mut stream);
        for len in [0, 1, 13, 14, 59, 60, 1518, 1519, 1522, 9000, 65_535] {
            stream.write_all(&message(0x82, &frame(1, 2, &[7; 65_535])[..len])).unwrap();
        }
        stream.write_all(&message(0x81, b"welcome")).unwrap();
        stream.write_all(&message(0x82, &frame(1, 2, b"last"))).unwrap();
        std::thread::sleep(Duration::from_secs(30));
        false
    });
    let mut client = client(&url);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    until("all of them", || {
        frames.extend(all(&mut client));
        frames.last() == Some(&frame(1, 2, b"last"))
    });
    assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [60, 60, 60, 1518, 60]);
    assert_eq!(frames[0][14..], [0; 46]);
    let stats = client.stats();
    assert_eq!((stats.empty, stats.short, stats.padded, stats.oversize, stats.text), (1, 2, 2, 4, 1));
    assert_eq!(stats.lost, 0);
}

#[test]
fn case_63_messages_over_64_kib_are_refused_by_their_length_with_1009() {
    for header in [
        message(0x82, &[0; 65_537]),
        vec![0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0],
        vec![0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        vec![0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ] {
        let (code, client) = provoke(header);
        assert_eq!(code, Some(1009));
        until("it comes back", || client.stats().connected == 2);
    }
    // Nor in pieces.
    let pieces = [message(0x02, &[0; 40_000]), message(0x80, &[0; 40_000])].concat();
    assert_eq!(provoke(pieces).0, Some(1009));
}

#[test]
fn case_64_broken_rules_end_the_connection_with_the_code_of_the_standard() {
    let masked = {
        let mut bytes = vec![0x82, 0x80 | 60, 1, 2, 3, 4];
        bytes.extend([0; 60]);
        bytes
    };
    for (what, bytes, expected) in [
        ("a reserved bit", message(0xC2, &[0; 60]), 1002),
        ("a reserved opcode", message(0x83, &[0; 60]), 1002),
        ("a reserved control opcode", message(0x8B, &[]), 1002),
        ("a fragmented ping", message(0x09, b"a"), 1002),
        ("a long ping", message(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", message(0x80, &[0; 60]), 1002),
        ("two beginnings", [message(0x02, &[0; 60]), message(0x02, &[0; 60])].concat(), 1002),
        ("a masked frame", masked, 1002),
        ("text that is none", message(0x81, &[0xFF, 0xFE]), 1007),
    ] {
        let (code, client) = provoke(bytes);
        assert_eq!(code, Some(expected), "{what}");
        until("it comes back", || client.stats().connected == 2);
    }
}

#[test]
fn case_64_floods_of_pings_pongs_and_empty_fragments_are_borne() {
    let (url, _) = server(|_, mut stream| {
        handshake(&mut stream);
        let mut reader = stream.try_clone().unwrap();
        std::thread::spawn(move || close_code(&mut reader));
        for _ in 0..10_000 {
            stream.write_all(&message(0x89, b"ping")).unwrap();
            stream.write_all(&message(0x8A, b"pong")).unwrap();
        }
        stream.write_all(&message(0x02, &frame(1, 2, b"cut")[..30])).unwrap();
        stream.write_all(&message(0x00, b"").repeat(100_000)).unwrap();
        stream.write_all(&message(0x89, b"in between")).unwrap();
        stream.write_all(&message(0x80, &frame(1, 2, b"cut")[30..])).unwrap();
        std::thread::sleep(Duration::from_secs(30));
        false
    });
    let mut client = client(&url);
    assert_eq!(next(&mut client), frame(1, 2, b"cut"));
    assert_eq!((client.stats().pongs, client.stats().lost), (10_000, 0));
}

#[test]
fn case_65_a_flood_of_frames_costs_the_machine_nothing_but_the_oldest() {
    const FRAMES: u32 = 100_000;
    let (url, _) = server(|_, mut stream| {
        handshake(&mut stream);
        let mut block = Vec::new();
        for n in 0..FRAMES {
            block.extend(message(0x82, &frame(0xFFFF, 2, &n.to_be_bytes())));
            if block.len() > 60_000 {
                stream.write_all(&std::mem::take(&mut block)).unwrap();
            }
        }
        stream.write_all(&block).unwrap();
        std::thread::sleep(Duration::from_secs(30));
        false
    });
    let mut client = client(&url);
    until("all are in", || client.stats().frames_in == u64::from(FRAMES));
    let mut frames = Vec::new();
    until("the newest", || {
        frames.extend(all(&mut client));
        frames.last().is_some_and(|frame| frame[14..18] == (FRAMES - 1).to_be_bytes())
    });
    assert!(frames.len() < FRAMES as usize / 10, "{} frames were kept", frames.len());
    until("each is accounted for", || {
        client.stats().dropped_inbox + frames.len() as u64 == u64::from(FRAMES)
    });
}

#[test]
fn case_66_compressed_messages_nobody_asked_for_are_refused_unread() {
    let (sender, codes) = channel();
    let (url, _) = server(move |number, mut stream| {
        let key = request(&mut stream);
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        stream.write_all(answer(&key, extension).as_bytes()).unwrap();
        if number == 0 {
            // Offered, but not used: that is tolerated.
            stream.write_all(&message(0x82, &frame(1, 2, b"plain"))).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            stream.write_all(&message(0xC2, &[0xFF; 1000])).unwrap();
            sender.send(close_code(&mut stream)).unwrap();
        } else {
            std::thread::sleep(Duration::from_secs(30));
        }
        number == 0
    });
    let mut client = client(&url);
    assert_eq!(next(&mut client), frame(1, 2, b"plain"));
    assert_eq!(code(&codes), Some(1002));
}

#[test]
fn case_67_a_relay_may_vanish_at_any_byte() {
    const KINDS: usize = 260;
    let (url, _) = server(|number, mut stream| {
        if number >= KINDS {
            handshake(&mut stream);
            stream.write_all(&message(0x82, &frame(1, 2, b"here at last"))).unwrap();
            std::thread::sleep(Duration::from_secs(30));
            return false;
        }
        if number % 2 == 0 {
            // Closing with a reset.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let key = request(&mut stream);
        let bytes = [answer(&key, "").into_bytes(), message(0x82, &frame(1, 2, b"half"))].concat();
        let cut = number * bytes.len() / KINDS;
        stream.write_all(&bytes[..cut]).unwrap();
        true
    });
    let pause = (Duration::from_millis(1), Duration::from_millis(2));
    let mut client = RelayClient::start(RelayConfig { pause, ..config(&url) }, Bell::default()).unwrap();
    assert_eq!(next(&mut client), frame(1, 2, b"here at last"));
    let stats = client.stats();
    assert_eq!(stats.connected + stats.failed, KINDS as u64 + 1);
}

#[test]
fn case_67_a_relay_that_falls_silent_is_dead_after_two_pings() {
    let (url, _) = server(|number, mut stream| {
        handshake(&mut stream);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(30));
            drop(stream);
        });
        number == 0
    });
    let ping = Duration::from_millis(100);
    // Before the connection: a busy host may tell us late that there is one.
    let start = Instant::now();
    let client = RelayClient::start(RelayConfig { ping, ..config(&url) }, Bell::default()).unwrap();
    connected(&client);
    until("it is found out", || client.stats().lost == 1);
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    assert!(client.error().is_none_or(|error| error.contains("ping")));
    until("it tries again", || client.stats().connected == 2);
}

#[test]
fn a_relay_that_has_forgotten_us_is_reminded_and_then_left_in_peace() {
    let (sender, connections) = channel();
    let (url, _) = server(move |_, stream| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut socket = tungstenite::accept(stream).unwrap();
            sender.send(Instant::now()).unwrap();
            while socket.read().is_ok() {} // it answers pings, and nothing else
        });
        true
    });
    let silence = Duration::from_millis(150);
    let ping = Duration::from_millis(400);
    let mut client =
        RelayClient::start(RelayConfig { silence, ping, ..config(&url) }, Bell::default()).unwrap();
    let mut times = Vec::new();
    // Silence of our own is none of the relay's.
    connected(&client);
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(client.stats().lost, 0);
    let end = Instant::now() + Duration::from_millis(3000);
    while Instant::now() < end {
        client.transmit(&frame(0xFFFF, 1, b"anybody?"));
        std::thread::sleep(Duration::from_millis(20));
        times.extend(connections.try_iter());
    }
    assert!((3..=7).contains(&times.len()), "{}", times.len());
    let gaps: Vec<_> = times.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[1] > pair[0]), "{gaps:?}");
}

#[test]
fn case_68_a_relay_that_stops_reading_never_blocks_the_machine() {
    let (sender, numbers) = channel();
    let (url, _) = server(move |_, stream| {
        socket2::SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        std::thread::sleep(Duration::from_secs(6));
        while let Ok(message) = socket.read() {
            if let tungstenite::Message::Binary(bytes) = message {
                sender.send(u32::from_be_bytes(bytes[14..18].try_into().unwrap())).unwrap();
            }
        }
        false
    });
    let mut client = client(&url);
    connected(&client);
    let mut slowest = Duration::ZERO;
    for n in 0..20_000u32 {
        let before = Instant::now();
        client.transmit(&frame(0xFFFF, 1, &[&n.to_be_bytes()[..], &[0; 1400]].concat()));
        slowest = slowest.max(before.elapsed());
        if n % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // It would have to wait for six seconds; a busy host may stop us for some tenths of one.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert!(client.stats().dropped_full > 10_000);
    // When it reads again, the newest frames come, not minutes of old ones.
    let mut received = Vec::new();
    until("the newest frame", || {
        received.extend(numbers.try_iter());
        received.last() == Some(&19_999)
    });
    assert!(received.is_sorted());
    assert!(received.len() < 6000, "{} old frames were kept somewhere", received.len());
    assert_eq!(client.stats().lost, 0);
}

#[test]
fn case_70_refusals_are_named_and_never_followed() {
    let cases: [(&str, &str); 12] = [
        ("HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "301 (it has moved"),
        ("HTTP/1.1 401 No\r\n\r\n", "401 (it wants another token"),
        ("HTTP/1.1 403 No\r\n\r\n", "403 (it wants another token"),
        ("HTTP/1.1 404 No\r\n\r\n", "404 (there is nothing at this path"),
        ("HTTP/1.1 502 No\r\n\r\n", "502 (the server behind it"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 (it is not a relay"),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", "not HTTP"),
        ("HTTP/1.1 101 Ok\r\n\r\n", "does not switch"),
        ("HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "another handshake"),
        (
            "HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "another handshake",
        ),
        ("huge", "more than 16 KiB"),
        ("many", "not HTTP"),
    ];
    let (url, _) = server(move |number, mut stream| {
        let text = match cases[number % cases.len()].0 {
            "huge" => format!("HTTP/1.1 101 Ok\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
            "many" => format!("HTTP/1.1 101 Ok\r\n{}\r\n", "X: y\r\n".repeat(500)),
            text => text.to_owned(),
        };
        request(&mut stream);
        drop(stream.write_all(text.as_bytes()));
        true
    });
    let pause = (Duration::from_millis(60), Duration::from_millis(60));
    let client = RelayClient::start(RelayConfig { pause, ..config(&url) }, Bell::default()).unwrap();
    // They come around again, should this thread have slept through one.
    let mut seen: Vec<String> = Vec::new();
    let missing =
        |seen: &[String]| cases.iter().find(|case| !seen.iter().any(|error| error.contains(case.1)));
    let end = Instant::now() + PATIENCE;
    while let Some((_, expected)) = missing(&seen) {
        if let Some(error) = client.error()
            && !seen.contains(&error)
        {
            seen.push(error);
        }
        assert!(Instant::now() < end, "{expected} not in {seen:?}");
        std::thread::sleep(Duration::from_micros(500));
    }
    until("the last of them", || client.stats().failed >= cases.len() as u64);
    assert!(seen.iter().all(|error| error.starts_with(&url)));
    assert_eq!(client.stats().connected, 0);
}
