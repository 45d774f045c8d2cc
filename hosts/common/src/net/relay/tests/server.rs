//! Our relay, with clients that behave and clients that do not.

use super::secure::Papers;
use super::*;
use crate::net::Mac;
use crate::net::nat::tests::Guest;
use crate::net::nat::{Forward, NatConfig, Transport};
use std::io::{Read, Write};
use std::net::TcpStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use super::super::server::{Limits, Network as Addresses, Uplink};

pub(super) fn relay(change: impl FnOnce(&mut RelayServerConfig)) -> RelayServer {
    let mut config = RelayServerConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Default::default() };
    change(&mut config);
    RelayServer::start(config).unwrap()
}

pub(super) fn url(relay: &RelayServer, path: &str) -> String {
    format!("ws://{}{path}", relay.addresses()[0])
}

/// A client that reads and writes when it is told to.
pub(super) fn join(relay: &RelayServer, path: &str) -> WebSocket<TcpStream> {
    let before = relay.stats().clients;
    let stream = TcpStream::connect(relay.addresses()[0]).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = tungstenite::client(url(relay, path), stream).unwrap().0;
    until("it is in", || relay.stats().clients > before);
    socket
}

fn send(socket: &mut WebSocket<TcpStream>, frame: Vec<u8>) {
    socket.send(Message::Binary(frame.into())).unwrap();
}

fn read(socket: &mut WebSocket<TcpStream>) -> Vec<u8> {
    loop {
        match socket.read().unwrap() {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Ping(_) => socket.flush().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// Nothing comes before a frame that we cause ourselves.
fn nothing(socket: &mut WebSocket<TcpStream>) {
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let result = socket.read();
    assert!(matches!(result, Err(tungstenite::Error::Io(_))), "{result:?}");
    socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
}

pub(super) fn close_code(socket: &mut WebSocket<TcpStream>) -> Option<CloseCode> {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

#[test]
fn a_room_is_a_learning_switch_without_reflection() {
    let relay = relay(|_| ());
    let mut clients = [(); 3].map(|()| join(&relay, "/lan"));
    let mut stranger = join(&relay, "/other");
    let [a, b, c] = &mut clients;
    send(a, frame(2, 1, b"unknown: flooded"));
    assert_eq!(read(b), frame(2, 1, b"unknown: flooded"));
    assert_eq!(read(c), frame(2, 1, b"unknown: flooded"));
    send(b, frame(1, 2, b"known: to you alone"));
    assert_eq!(read(a), frame(1, 2, b"known: to you alone"));
    send(a, frame(0xFFFF, 1, b"everybody"));
    assert_eq!(read(b), frame(0xFFFF, 1, b"everybody"));
    assert_eq!(read(c), frame(0xFFFF, 1, b"everybody"));
    let multicast = [&[0x33, 0x33, 0, 0, 0, 1][..], &frame(0, 1, b"")[6..]].concat();
    send(a, multicast.clone());
    assert_eq!(read(b), multicast);
    for socket in [a, &mut stranger] {
        nothing(socket);
    }
    assert_eq!((relay.stats().clients, relay.stats().rooms), (4, 2));
    drop(clients);
    until("the room is closed", || relay.stats().rooms == 1);
}

#[test]
fn our_client_and_pages_of_others_meet_in_the_default_room() {
    let relay = relay(|_| ());
    let mut native = client(&url(&relay, ""));
    connected(&native);
    let mut page = join(&relay, "/");
    native.transmit(&frame(0xFFFF, 1, b"hello page"));
    assert_eq!(read(&mut page), frame(0xFFFF, 1, b"hello page"));
    send(&mut page, frame(1, 2, b"hello native"));
    assert_eq!(next(&mut native), frame(1, 2, b"hello native"));
}

#[test]
fn an_address_moves_to_its_new_connection_and_is_not_lost_with_the_old_one() {
    let relay = relay(|config| config.rules.takeover = Duration::from_secs(4));
    let (mut old, mut peer) = (join(&relay, "/"), join(&relay, "/"));
    send(&mut old, frame(0xFFFF, 1, b"here"));
    read(&mut peer);
    let mut thief = join(&relay, "/");
    send(&mut thief, frame(0xFFFF, 1, b"no, here"));
    read(&mut peer);
    read(&mut old);
    send(&mut peer, frame(1, 2, b"to the owner"));
    assert_eq!(read(&mut old), frame(1, 2, b"to the owner"));
    assert_eq!(relay.stats().conflicts, 1);
    drop(thief);
    // The owner is silent: half-open. Its guest comes again through another connection.
    std::thread::sleep(Duration::from_millis(4100));
    let mut new = join(&relay, "/");
    send(&mut new, frame(0xFFFF, 1, b"here again"));
    read(&mut peer);
    drop(old);
    until("the old one is gone", || relay.stats().clients == 2);
    send(&mut peer, frame(1, 2, b"to the new one"));
    assert_eq!(read(&mut new), frame(1, 2, b"to the new one"));
}

#[test]
fn case_62_and_63_odd_messages_ten_thousand_times_each_do_no_harm() {
    let relay = relay(|_| ());
    let (mut a, mut b) = (join(&relay, "/"), join(&relay, "/"));
    let reader = std::thread::spawn(move || {
        let mut last = Vec::new();
        while last != frame(0xFFFF, 1, b"end") {
            last = read(&mut b);
            assert!((14..=1522).contains(&last.len()));
        }
    });
    let start = Instant::now();
    for n in 0..10_000u32 {
        for len in [0, 1, 13, 1519, 1523, 2000] {
            a.write(Message::Binary(vec![0x02; len].into())).unwrap();
        }
        a.write(Message::text("text")).unwrap();
        a.write(Message::Ping(vec![7; 125].into())).unwrap();
        a.write(Message::Pong(vec![].into())).unwrap();
        a.write(Message::Binary(
            frame(0xFFFF, 0x300, &n.to_be_bytes())[..14 + n as usize % 46].to_vec().into(),
        ))
        .unwrap();
        if n % 64 == 0 {
            a.flush().unwrap();
            // Take the pongs, so that nobody waits for anybody.
            a.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            while a.read().is_ok() {}
        }
    }
    send(&mut a, frame(0xFFFF, 1, b"end"));
    a.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    until("all are judged", || {
        while a.read().is_ok() {}
        relay.stats().text == 10_000 && relay.stats().frames_in == 70_001
    });
    reader.join().unwrap();
    until("the reader has left", || relay.stats().clients == 1);
    let stats = relay.stats();
    assert_eq!((stats.empty, stats.short, stats.long), (10_000, 20_000, 30_000));
    assert_eq!((stats.clients, stats.broken), (1, 0), "the reader has left, the sender has not");
    assert!(start.elapsed() < 2 * PATIENCE);
}

#[test]
fn case_63_and_64_broken_rules_end_one_connection_with_a_code_and_no_other() {
    let relay = relay(|_| ());
    let mut bystander = join(&relay, "/");
    let masked = |first: u8, len: &[u8], payload: &[u8]| [&[first][..], len, &[0; 4], payload].concat();
    for (bytes, expected) in [
        (masked(0x82, &[0xFF, 0, 0, 0, 0, 0, 1, 0, 1], &[]), CloseCode::Size),
        (masked(0x82, &[0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[]), CloseCode::Size),
        (masked(0x82, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[]), CloseCode::Size),
        (vec![0x82, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], CloseCode::Protocol),
        (masked(0xC2, &[0x80 | 14], &[0; 14]), CloseCode::Protocol),
        (masked(0x83, &[0x80], &[]), CloseCode::Protocol),
        (masked(0x80, &[0x80], &[]), CloseCode::Protocol),
        (masked(0x09, &[0x80], &[]), CloseCode::Protocol),
        (masked(0x81, &[0x81], &[0xFF]), CloseCode::Invalid),
    ] {
        let mut socket = join(&relay, "/");
        socket.get_mut().write_all(&bytes).unwrap();
        assert_eq!(close_code(&mut socket), Some(expected), "{bytes:?}");
        drop(socket);
        until("it is gone", || relay.stats().clients == 1);
    }
    assert_eq!(relay.stats().broken, 9);
    let mut again = join(&relay, "/");
    send(&mut again, frame(0xFFFF, 1, b"still here?"));
    assert_eq!(read(&mut bystander), frame(0xFFFF, 1, b"still here?"));
}

#[test]
fn case_64_fragments_however_empty_cost_nobody_else_anything() {
    let relay = relay(|_| ());
    let (mut a, mut b) = (join(&relay, "/"), join(&relay, "/"));
    let text = frame(0xFFFF, 1, b"in pieces");
    let stream = a.get_mut();
    stream.write_all(&[&[0x02, 0x80 | 30, 0, 0, 0, 0][..], &text[..30]].concat()).unwrap();
    for _ in 0..100 {
        stream.write_all(&[0x00, 0x80, 0, 0, 0, 0].repeat(1000)).unwrap();
    }
    send(&mut b, frame(0xFFFF, 2, b"meanwhile"));
    stream.write_all(&[&[0x80, 0x80 | 30, 0, 0, 0, 0][..], &text[30..]].concat()).unwrap();
    assert_eq!(read(&mut b), text);
    assert_eq!(read(&mut a), frame(0xFFFF, 2, b"meanwhile"));
}

#[test]
fn case_67_connections_that_end_anywhere_leave_nothing_behind() {
    // On a busy host the two that stay need some of this themselves.
    let relay = relay(|config| config.patience = Duration::from_secs(3));
    // They are in before others come and go, whom the relay counts as well.
    let (mut a, mut b) = (join(&relay, "/"), join(&relay, "/"));
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        relay.addresses()[0]
    );
    let mut bytes = request.into_bytes();
    bytes.extend([0x82, 0x80 | 60, 0, 0, 0, 0]);
    bytes.extend(frame(0xFFFF, 1, b""));
    let mut open = Vec::new();
    for cut in 0..=bytes.len() {
        let mut stream = TcpStream::connect(relay.addresses()[0]).unwrap();
        if cut % 2 == 0 {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        stream.write_all(&bytes[..cut]).unwrap();
        if cut % 3 == 0 {
            open.push(stream); // it hangs
        }
    }
    until("those that hang in the handshake are dropped", || relay.stats().clients < 40);
    drop(open);
    until("all are gone", || relay.stats().clients == 2);
    a.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while a.read().is_ok() {}
    send(&mut b, frame(0xFFFF, 2, b"well?"));
    a.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    while read(&mut a) != frame(0xFFFF, 2, b"well?") {}
}

#[test]
fn case_68_a_client_that_does_not_read_delays_nobody_and_loses_the_oldest() {
    const FRAMES: u32 = 20_000;
    let relay = relay(|_| ());
    let slow = TcpStream::connect(relay.addresses()[0]).unwrap();
    socket2::SockRef::from(&slow).set_recv_buffer_size(4096).unwrap();
    let mut slow = tungstenite::client(url(&relay, "/"), slow).unwrap().0;
    let (mut a, mut b) = (join(&relay, "/"), join(&relay, "/"));
    let mut slowest = Duration::ZERO;
    for n in 0..FRAMES {
        let before = Instant::now();
        send(&mut a, frame(0xFFFF, 1, &[&n.to_be_bytes()[..], &[0; 1400]].concat()));
        assert_eq!(read(&mut b)[14..18], n.to_be_bytes());
        slowest = slowest.max(before.elapsed());
    }
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert!(relay.stats().displaced > u64::from(FRAMES) / 2, "{:?}", relay.stats());
    let mut last = 0;
    let mut count = 0;
    while last < FRAMES - 1 {
        last = u32::from_be_bytes(read(&mut slow)[14..18].try_into().unwrap());
        count += 1;
    }
    assert_eq!(u64::from(FRAMES), count + relay.stats().displaced);
}

#[test]
fn case_67_clients_that_fall_silent_are_pinged_and_then_sent_away() {
    let relay = relay(|config| {
        config.ping = Duration::from_millis(250);
        config.idle = Duration::from_secs(2);
    });
    // One answers pings, one does not.
    let native = client(&url(&relay, "/"));
    let mut mute = join(&relay, "/");
    until("the mute one is sent away", || relay.stats().timed_out == 1);
    assert_eq!(close_code(&mut mute), Some(CloseCode::Away));
    drop(mute);
    std::thread::sleep(Duration::from_secs(3));
    assert!(native.link());
    assert_eq!((relay.stats().clients, native.stats().lost), (1, 0));
    assert!(relay.stats().pings >= 8);
}

#[test]
fn case_70_wrong_tokens_origins_and_addresses_are_told_so() {
    let relay = relay(|config| {
        config.token = Some("secret".into());
        config.origins = Some(vec!["https://page.example".into()]);
        config.addresses = Some(vec![Addresses::parse("127.0.0.0/8").unwrap()]);
    });
    let stranger = client(&url(&relay, "/"));
    until("it is refused", || stranger.stats().failed > 0);
    assert!(stranger.error().unwrap().contains("401 (it wants another token"));
    drop(stranger);
    let token = Some("secret".into());
    let friend =
        RelayClient::start(RelayConfig { token, ..config(&url(&relay, "/")) }, Bell::default()).unwrap();
    connected(&friend);
    let page = |origin: &str| {
        let mut stream = TcpStream::connect(relay.addresses()[0]).unwrap();
        let request = format!(
            "GET /?token=secret HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut code = [0; 12];
        stream.read_exact(&mut code).unwrap();
        String::from_utf8(code.to_vec()).unwrap()
    };
    assert_eq!(page("https://page.example"), "HTTP/1.1 101");
    assert_eq!(page("https://evil.example"), "HTTP/1.1 403");
    let elsewhere =
        super::server::relay(|config| config.addresses = Some(vec![Addresses::parse("10.0.0.0/8").unwrap()]));
    let outsider = client(&url(&elsewhere, "/"));
    until("it is refused", || outsider.stats().failed > 0);
    assert!(outsider.error().unwrap().contains("403"));
}

#[test]
fn case_69_tls_is_all_there_is_where_it_is_configured() {
    let papers = Papers::new("relay", "localhost", |_| ());
    let relay = relay(|config| config.tls = Some((papers.chain(), papers.key())));
    let address = format!("wss://localhost:{}/", relay.addresses()[0].port());
    let secure =
        || RelayClient::start(RelayConfig { ca: Some(papers.root()), ..config(&address) }, Bell::default());
    let (mut a, mut b) = (secure().unwrap(), secure().unwrap());
    connected(&a);
    connected(&b);
    for n in 0..300u16 {
        a.transmit(&frame(0xFFFF, 1, &[&n.to_be_bytes()[..], &[7; 1400]].concat()));
        assert_eq!(next(&mut b)[14..16], n.to_be_bytes());
    }
    let plain = client(&url(&relay, "/"));
    until("it is refused", || plain.stats().failed > 1);
    assert_eq!(plain.stats().connected, 0);
    // Somebody who hangs in the handshake, and somebody who talks nonsense.
    let hanging = TcpStream::connect(relay.addresses()[0]).unwrap();
    TcpStream::connect(relay.addresses()[0]).unwrap().write_all(&[0xFF; 5000]).unwrap();
    a.transmit(&frame(0xFFFF, 1, b"still"));
    assert_eq!(next(&mut b), frame(0xFFFF, 1, b"still"));
    drop(hanging);
    let wrong = RelayServer::start(RelayServerConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        tls: Some((papers.root(), papers.folder.join("none.pem"))),
        ..Default::default()
    });
    assert!(wrong.unwrap_err().to_string().contains("none.pem"));
}

#[test]
fn limits_are_told_kept_and_counted() {
    let relay = relay(|config| {
        config.limits = Limits { bytes: None, frames: Some(50) };
        config.rules.addresses_per_port = 2;
        config.clients = 3;
    });
    let stream = TcpStream::connect(relay.addresses()[0]).unwrap();
    let (mut a, response) = tungstenite::client(url(&relay, "/"), stream).unwrap();
    assert_eq!(response.headers()["Nomad86-Limits"], "frames=50/s");
    let mut b = join(&relay, "/");
    let begun = Instant::now();
    for n in 0..200u8 {
        send(&mut a, frame(0xFFFF, 1, &[n]));
    }
    until("all are judged", || relay.stats().frames_in == 200);
    let over = relay.stats().over_limit;
    // A second's worth at once, and what became allowed meanwhile.
    let allowed = 51 + (begun.elapsed().as_secs_f64() * 50.0) as u64;
    assert!(over <= 150 && over + allowed >= 200 && over > 0, "{over} over the limit, {allowed} allowed");
    let through: Vec<u8> = (0..200 - over).map(|_| read(&mut b)[14]).collect();
    assert_eq!(through[..50], (0..50).collect::<Vec<u8>>());
    assert!(through.is_sorted(), "{through:?}");
    std::thread::sleep(Duration::from_millis(300));
    for source in [2, 3, 4, 0xFFFF] {
        send(&mut a, frame(0xFFFF, source, b""));
    }
    assert_eq!(read(&mut b)[11], 2);
    until("the others are refused", || relay.stats().bad_source == 3);
    // The door: three connections at most.
    let _third = join(&relay, "/");
    let fourth = client(&url(&relay, "/"));
    until("it is turned away", || fourth.stats().failed > 0);
    assert!(relay.stats().refused > 0);
}

#[test]
fn too_many_rooms_are_refused() {
    let relay = relay(|config| config.rooms = 2);
    let (_a, _b) = (join(&relay, "/1"), join(&relay, "/2"));
    let stream = TcpStream::connect(relay.addresses()[0]).unwrap();
    let mut third = tungstenite::client(url(&relay, "/3"), stream).unwrap().0;
    assert_eq!(close_code(&mut third), Some(CloseCode::Again));
    let _same = join(&relay, "/1");
}

#[test]
fn guests_get_leases_and_reach_the_host_through_the_relay_s_uplink() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            stream.write_all(&text).unwrap();
        }
    });
    let forward =
        Forward { transport: Transport::Tcp, listen: "127.0.0.1:0".parse().unwrap(), guest: None, port: 7 };
    let nat = NatConfig { forwards: vec![forward], ..NatConfig::default() };
    let relay = relay(|config| config.uplink = Uplink::Nat(Box::new(nat)));
    // Each room has a network of its own: both guests get the first address.
    for (n, room) in [(1, "/"), (2, "/second")] {
        let client = client(&url(&relay, room));
        connected(&client);
        let mut guest = Guest::new(client, Mac([2, 0, 0, 0, 0, n]));
        assert_eq!(guest.dhcp().0.address().octets(), [10, 0, 2, 15]);
        let handle = guest.tcp(([10, 0, 2, 2].into(), port), 40_000);
        guest.wait("a connection", |guest| guest.tcp_socket(handle).may_send().then_some(()));
        guest.tcp_socket(handle).send_slice(b"through the relay").unwrap();
        guest.tcp_socket(handle).close();
        let text = guest.wait("an echo", |guest| {
            let socket = guest.tcp_socket(handle);
            (socket.recv_queue() == 17).then(|| {
                let mut text = [0; 17];
                socket.recv_slice(&mut text).unwrap();
                text
            })
        });
        assert_eq!(&text, b"through the relay");
    }
    server.join().unwrap();
}

#[test]
fn fifty_clones_on_one_relay_all_get_leases_from_its_dhcp_server() {
    let relay = relay(|config| config.uplink = Uplink::Dhcp);
    let mut leases = std::collections::BTreeSet::new();
    let mut guests: Vec<_> =
        (0..50).map(|n| Guest::new(client(&url(&relay, "/clones")), Mac([2, 0, 0, 0, 1, n]))).collect();
    for guest in &mut guests {
        until("a connection", || guest.card.network.link());
        let (address, router, servers) = guest.dhcp();
        leases.insert(address.address());
        assert_eq!((router, servers.len()), (None, 0), "there is no way out");
    }
    assert_eq!(leases.len(), 50);
}
