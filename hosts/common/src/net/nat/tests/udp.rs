use super::*;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{IpAddress, IpEndpoint};
use std::net::UdpSocket;

fn bind(guest: &mut Guest<Nat>, port: u16) -> SocketHandle {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 64], vec![0; 64 * 1024]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(port).unwrap();
    guest.sockets.add(socket)
}

fn send(guest: &mut Guest<Nat>, handle: SocketHandle, payload: &[u8], to: (IpAddr, u16)) {
    let to = IpEndpoint::new(to.0.into(), to.1);
    guest.sockets.get_mut::<Socket<'_>>(handle).send_slice(payload, to).unwrap();
    guest.poll();
}

fn receive(guest: &mut Guest<Nat>, handle: SocketHandle) -> (Vec<u8>, IpEndpoint) {
    guest.wait("a datagram", |guest| {
        let (payload, meta) = guest.sockets.get_mut::<Socket<'_>>(handle).recv().ok()?;
        Some((payload.to_vec(), meta.endpoint))
    })
}

fn server(address: &str) -> (UdpSocket, u16) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[test]
fn datagrams_go_out_and_answers_come_back_from_any_port() {
    let (one, port) = server("127.0.0.1:0");
    let (two, other_port) = server("127.0.0.1:0");
    let mut guest = guest(NatConfig::default());
    let handle = bind(&mut guest, 5000);
    send(&mut guest, handle, b"read me a file", (HOST.into(), port));
    let mut buffer = [0; 2000];
    let (len, peer) = guest.beside(|| one.recv_from(&mut buffer)).unwrap();
    assert_eq!(&buffer[..len], b"read me a file");
    // As TFTP servers do: the answer comes from another port.
    two.send_to(b"block 1", peer).unwrap();
    let (payload, from) = receive(&mut guest, handle);
    assert_eq!((&payload[..], from), (&b"block 1"[..], IpEndpoint::new(HOST.into(), other_port)));
    one.send_to(b"", peer).unwrap();
    assert_eq!(receive(&mut guest, handle).0, b"");
    assert_eq!(guest.card.network.stats().udp, 1);
}

#[test]
fn long_datagrams_are_put_together_and_taken_apart() {
    let (socket, port) = server("127.0.0.1:0");
    let mut guest = guest(NatConfig::default());
    guest.card.seen = Some(Vec::new());
    let handle = bind(&mut guest, 5000);
    send(&mut guest, handle, b"hello", (HOST.into(), port));
    let mut buffer = vec![0; 65_536];
    let (_, peer) = guest.beside(|| socket.recv_from(&mut buffer)).unwrap();
    // Towards the guest: smoltcp does not put fragments together here, so they are looked at as they are.
    let payload: Vec<u8> = (0..9000u32).map(|n| (n * 7) as u8).collect();
    socket.send_to(&payload, peer).unwrap();
    let whole = guest.wait("fragments", |guest| {
        let mut reassembly = super::super::reassembly::Reassembly::default();
        guest.card.seen.iter().flatten().find_map(|frame| {
            let packet = super::super::packet::Packet::ipv4(frame.get(14..)?)?;
            reassembly.add(&packet, packet.fragment?, Instant::now())
        })
    });
    assert_eq!(whole[8..], payload);
    let frames = guest.card.seen.take().unwrap();
    assert!(frames.iter().all(|frame| frame.len() <= 1514));
    // And the guest sends the same fragments back.
    let mac = guest.card.network.shared.counters.read();
    assert_eq!(mac.dropped_bad, 0);
    for frame in frames.iter().filter(|frame| frame.len() > 34 && frame[12..14] == [8, 0]) {
        let Some(packet) = super::super::packet::Packet::ipv4(&frame[14..]) else { continue };
        if packet.fragment.is_none() {
            continue;
        }
        let mut back = frame.clone();
        back[..6].copy_from_slice(&frame[6..12]);
        back[6..12].copy_from_slice(&frame[..6]);
        // Exchange the addresses: the header's sum stays what it was; the datagram's too, but for its
        // ports, which are exchanged in the first fragment.
        back[26..30].copy_from_slice(&frame[30..34]);
        back[30..34].copy_from_slice(&frame[26..30]);
        if packet.fragment.unwrap().offset == 0 {
            back[34..36].copy_from_slice(&frame[36..38]);
            back[36..38].copy_from_slice(&frame[34..36]);
        }
        guest.card.network.transmit(&back);
    }
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..len], payload);
}

#[test]
fn datagrams_over_ipv6_go_both_ways() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else { return eprintln!("skipped: there is no IPv6") };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut guest = guest6();
    let handle = bind(&mut guest, 5000);
    let host: IpAddr = "fec0::2".parse().unwrap();
    send(&mut guest, handle, b"six", (host, port));
    let mut buffer = [0; 100];
    let (len, peer) = guest.beside(|| socket.recv_from(&mut buffer)).unwrap();
    assert_eq!(&buffer[..len], b"six");
    socket.send_to(b"seven", peer).unwrap();
    let (payload, from) = receive(&mut guest, handle);
    assert_eq!((&payload[..], from.addr), (&b"seven"[..], IpAddress::from(host)));
}

#[test]
fn forwarded_datagrams_reach_the_guest_and_its_answers_their_sender() {
    let forward = Forward {
        transport: Transport::Udp,
        listen: "127.0.0.1:0".parse().unwrap(),
        guest: Some(GUEST.into()),
        port: 69,
    };
    let mut guest = guest(NatConfig { forwards: vec![forward], ..NatConfig::default() });
    let address = guest.card.network.forwards()[0];
    let handle = bind(&mut guest, 69);
    // Make the guest known; the first datagram to an unknown one is lost, as on any cable.
    let (known, other) = server("127.0.0.1:0");
    send(&mut guest, handle, b"here I am", (HOST.into(), other));
    assert_eq!(guest.beside(|| known.recv(&mut [0; 10])).unwrap(), 9);
    let clients: Vec<_> = (0..3).map(|_| server("127.0.0.1:0").0).collect();
    for (n, client) in clients.iter().enumerate() {
        client.send_to(&[n as u8], address).unwrap();
        let (payload, from) = receive(&mut guest, handle);
        assert_eq!(payload, [n as u8]);
        assert_eq!(from.port, client.local_addr().unwrap().port());
        send(&mut guest, handle, &[n as u8 + 100], (HOST.into(), from.port));
    }
    for (n, client) in clients.iter().enumerate() {
        let mut buffer = [0; 10];
        assert_eq!(guest.beside(|| client.recv_from(&mut buffer)).unwrap(), (1, address));
        assert_eq!(buffer[0], n as u8 + 100);
    }
}

#[test]
fn more_ports_than_allowed_push_out_the_oldest() {
    let (socket, port) = server("127.0.0.1:0");
    let mut guest = guest(NatConfig { udp_flows: 4, ..NatConfig::default() });
    let mut buffer = [0; 10];
    for n in 0..50 {
        let handle = bind(&mut guest, 5000 + n);
        send(&mut guest, handle, &n.to_be_bytes(), (HOST.into(), port));
        assert_eq!(guest.beside(|| socket.recv(&mut buffer)).unwrap(), 2);
        assert_eq!(buffer[..2], n.to_be_bytes());
        guest.sockets.remove(handle);
    }
    assert_eq!(guest.card.network.stats().evicted, 46);
}

#[test]
fn a_gateway_port_that_has_no_service_is_unreachable() {
    let mut guest = guest(NatConfig { restrict: true, ..NatConfig::default() });
    let handle = bind(&mut guest, 5000);
    send(&mut guest, handle, b"anybody?", (HOST.into(), 9));
    guest.wait("it is said", |guest| (guest.card.network.stats().unreachable == 1).then_some(()));
}
