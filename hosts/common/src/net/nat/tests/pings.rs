use super::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp::{Endpoint, PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, Ipv6Address};

const IDENTIFIER: u16 = 0x1234;

fn socket(guest: &mut Guest<Nat>) -> SocketHandle {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(Endpoint::Ident(IDENTIFIER)).unwrap();
    guest.sockets.add(socket)
}

fn ping(guest: &mut Guest<Nat>, handle: SocketHandle, to: Ipv4Addr, data: &[u8]) {
    let request = Icmpv4Repr::EchoRequest { ident: IDENTIFIER, seq_no: 7, data };
    let socket = guest.sockets.get_mut::<Socket<'_>>(handle);
    let room = socket.send(request.buffer_len(), to.into()).unwrap();
    request.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
}

#[test]
fn the_gateway_and_the_name_server_answer_pings() {
    let mut guest = guest(NatConfig::default());
    let handle = socket(&mut guest);
    for to in [HOST, Ipv4Addr::new(10, 0, 2, 3)] {
        ping(&mut guest, handle, to, b"are you there?");
        let (bytes, from) = guest.wait("an answer", |guest| {
            let (bytes, from) = guest.sockets.get_mut::<Socket<'_>>(handle).recv().ok()?;
            Some((bytes.to_vec(), from))
        });
        assert_eq!(from, to.into());
        let packet = Icmpv4Packet::new_checked(&bytes[..]).unwrap();
        let answer = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap();
        assert_eq!(answer, Icmpv4Repr::EchoReply { ident: IDENTIFIER, seq_no: 7, data: b"are you there?" });
    }
}

#[test]
fn the_gateway_answers_pings_over_ipv6() {
    let mut guest = guest6();
    let handle = socket(&mut guest);
    let (own, to): (Ipv6Address, Ipv6Address) = ("fec0::15".parse().unwrap(), "fec0::2".parse().unwrap());
    let request = Icmpv6Repr::EchoRequest { ident: IDENTIFIER, seq_no: 1, data: b"six" };
    let room = guest.sockets.get_mut::<Socket<'_>>(handle).send(request.buffer_len(), to.into()).unwrap();
    request.emit(&own, &to, &mut Icmpv6Packet::new_unchecked(room), &ChecksumCapabilities::default());
    let bytes = guest
        .wait("an answer", |guest| Some(guest.sockets.get_mut::<Socket<'_>>(handle).recv().ok()?.0.to_vec()));
    assert_eq!((bytes[0], &bytes[8..]), (129, &b"six"[..]));
}

/// The host's own address on its network, which needs no other machine.
fn outside() -> Option<Ipv4Addr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.200:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

#[test]
fn stations_beyond_the_host_are_pinged_or_said_to_be_out_of_reach() {
    let Some(to) = outside() else { return eprintln!("skipped: the host has no network") };
    let mut guest = guest(NatConfig::default());
    let handle = socket(&mut guest);
    guest.card.seen = Some(Vec::new());
    ping(&mut guest, handle, to, b"hello out there");
    let answer = guest.wait("an answer", |guest| {
        let frames = guest.card.seen.as_ref()?;
        frames.iter().find(|f| f.len() > 42 && f[..6] == [2, 0, 0, 0, 0, 1] && f[12..14] == [8, 0]).cloned()
    });
    let packet = super::super::packet::Packet::ipv4(&answer[14..]).unwrap();
    assert!(packet.checksum_ok());
    match packet.payload[0] {
        0 => {
            assert_eq!(packet.source, to);
            assert_eq!(packet.payload[4..6], IDENTIFIER.to_be_bytes());
            assert_eq!(&packet.payload[8..], b"hello out there");
        }
        3 => assert_eq!(packet.payload[1], 13, "neither kind of socket is allowed here"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_packet_whose_hops_run_out_here_says_so() {
    let mut guest = guest(NatConfig::default());
    guest.card.seen = Some(Vec::new());
    let handle = socket(&mut guest);
    guest.sockets.get_mut::<Socket<'_>>(handle).set_hop_limit(Some(1));
    ping(&mut guest, handle, Ipv4Addr::new(192, 0, 2, 1), b"");
    guest.wait("time exceeded", |guest| {
        let frames = guest.card.seen.as_ref()?;
        frames
            .iter()
            .any(|f| f.len() > 42 && f[23] == 1 && f[34..36] == [11, 0] && f[26..30] == [10, 0, 2, 2])
            .then_some(())
    });
}
