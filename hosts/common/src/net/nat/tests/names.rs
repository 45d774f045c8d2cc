use super::*;
use crate::net::hub::Hub;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;
use std::net::{SocketAddr, UdpSocket};

const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

fn query(id: u8, name: &str, kind: u8) -> Vec<u8> {
    let mut message = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, kind, 0, 1]);
    message
}

fn ask(guest: &mut Guest<Nat>, message: &[u8]) -> Vec<u8> {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(5353).unwrap();
    socket.send_slice(message, IpEndpoint::new(DNS.into(), 53)).unwrap();
    let handle = guest.sockets.add(socket);
    let answer = guest.wait("an answer", |guest| {
        let (payload, meta) = guest.sockets.get_mut::<Socket<'_>>(handle).recv().ok()?;
        assert_eq!(meta.endpoint, IpEndpoint::new(DNS.into(), 53));
        Some(payload.to_vec())
    });
    guest.sockets.remove(handle);
    answer
}

/// A name server that answers each question with itself and a mark, or never.
fn resolver(mark: Option<u8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 2000];
        while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
            if let Some(mark) = mark {
                buffer[2] |= 0x80;
                buffer[len] = mark;
                // Somebody guesses wrong first.
                buffer[0] ^= 1;
                socket.send_to(&buffer[..=len], peer).unwrap();
                buffer[0] ^= 1;
                socket.send_to(&buffer[..=len], peer).unwrap();
            }
        }
    });
    address
}

#[test]
fn questions_are_passed_to_the_first_server_that_answers() {
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = vec![dead, resolver(None), resolver(Some(77))];
    let mut guest = guest(NatConfig { resolvers: Some(servers), ..NatConfig::default() });
    let question = query(1, "example.org", 1);
    let start = Instant::now();
    let answer = ask(&mut guest, &question);
    assert!(start.elapsed() < Duration::from_secs(5), "the silent one cost two seconds, the dead one none");
    assert_eq!((answer.len(), answer[question.len()], answer[0]), (question.len() + 1, 77, 0));
}

#[test]
fn without_any_server_the_guest_is_told_at_once() {
    let mut guest = guest(NatConfig { resolvers: Some(Vec::new()), ..NatConfig::default() });
    let answer = ask(&mut guest, &query(1, "example.org", 1));
    assert_eq!((answer[2] & 0x80, answer[3] & 15), (0x80, 2));
}

#[test]
fn the_host_has_a_name() {
    let mut guest = guest(NatConfig { resolvers: Some(Vec::new()), ..NatConfig::default() });
    let answer = ask(&mut guest, &query(1, "HOST.nomad86", 1));
    assert_eq!(answer[6..8], [0, 1]);
    assert!(answer.ends_with(&[0, 4, 10, 0, 2, 2]));
    let answer = ask(&mut guest, &query(2, "host.nomad86", 28));
    assert!(answer.ends_with(&[0xFE, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]));
    // It exists, but has no mail server.
    let answer = ask(&mut guest, &query(3, "host.nomad86", 15));
    assert_eq!((answer[3] & 15, answer[6..8].to_vec()), (0, vec![0, 0]));
}

#[test]
fn guests_get_address_router_and_name_server_by_dhcp() {
    let nat = Nat::start(NatConfig::default(), Bell::default()).unwrap();
    let mut guest = Guest::new(nat, Mac([2, 0, 0, 0, 0, 1]));
    let (address, router, servers) = guest.dhcp();
    assert_eq!(address.to_string(), "10.0.2.15/24");
    assert_eq!((router, servers), (Some(HOST), vec![DNS]));
    assert_eq!(guest.card.network.stats().leases, 1);
}

#[test]
fn several_guests_of_one_network_get_an_address_each_and_see_each_other() {
    let hub = Hub::default();
    let mut nat = Nat::start(NatConfig::default(), Bell::default()).unwrap();
    let mut uplink = hub.port(Bell::default());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let patch = std::thread::spawn(move || {
        let mut buffer = [0; 1600];
        while !stopped.load(Ordering::Relaxed) {
            while let Some(frame) = nat.receive(&mut buffer) {
                uplink.transmit(frame);
            }
            while let Some(frame) = uplink.receive(&mut buffer) {
                nat.transmit(frame);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    let mut guests: Vec<_> =
        (1..=8).map(|n| Guest::new(hub.port(Bell::default()), Mac([2, 0, 0, 0, 0, n]))).collect();
    let leases: Vec<_> = guests.iter_mut().map(|guest| guest.dhcp().0.address()).collect();
    let expected: Vec<_> = (15..23).map(|n| Ipv4Addr::new(10, 0, 2, n)).collect();
    assert_eq!(leases, expected);
    stop.store(true, Ordering::Relaxed);
    patch.join().unwrap();
}

#[test]
fn a_guest_without_dhcp_makes_its_ipv6_address_from_the_advertisement() {
    let mut nat = Nat::start(NatConfig::default(), Bell::default()).unwrap();
    // A router solicitation from a link-local address.
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1];
    let source: std::net::Ipv6Addr = "fe80::1234".parse().unwrap();
    let routers: std::net::Ipv6Addr = "ff02::2".parse().unwrap();
    let sum = super::super::packet::transport_checksum(source.into(), routers.into(), 58, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xDD];
    frame.extend([0x60, 0, 0, 0, 0, message.len() as u8, 58, 255]);
    frame.extend(source.octets());
    frame.extend(routers.octets());
    frame.extend(message);
    nat.transmit(&frame);
    let mut buffer = [0; 1600];
    let mut found = None;
    until("an advertisement", || {
        while let Some(frame) = nat.receive(&mut buffer) {
            if frame[..6] == [2, 0, 0, 0, 0, 1] && frame[54] == 134 {
                found = Some(frame.to_vec());
            }
        }
        found.is_some()
    });
    let frame = found.unwrap();
    let packet = super::super::packet::Packet::ipv6(&frame[14..]).unwrap();
    assert!(packet.checksum_ok());
    assert_eq!((packet.hops, packet.source), (255, Ipv6Config::ROUTER.into()));
    let text = String::from_utf8_lossy(packet.payload).into_owned();
    assert!(!text.is_empty());
    let prefix = packet
        .payload
        .windows(16)
        .any(|bytes| bytes == "fec0::".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let server = packet
        .payload
        .windows(16)
        .any(|bytes| bytes == "fec0::3".parse::<std::net::Ipv6Addr>().unwrap().octets());
    assert!(prefix && server);
}
