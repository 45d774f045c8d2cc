use super::*;
use smoltcp::socket::tcp::State;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

/// A server of the host that serves one connection.
fn serve<T: Send + 'static>(work: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    serve_at("127.0.0.1:0", work)
}

fn serve_at<T: Send + 'static>(
    address: &str,
    work: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, std::thread::spawn(move || work(listener.accept().unwrap().0)))
}

fn pattern(at: usize) -> u8 {
    (at ^ at >> 8 ^ at >> 16) as u8
}

fn host() -> IpAddr {
    HOST.into()
}

fn state<N: Network>(guest: &mut Guest<N>, handle: SocketHandle) -> State {
    guest.tcp_socket(handle).state()
}

fn connect<N: Network>(guest: &mut Guest<N>, port: u16) -> SocketHandle {
    let handle = guest.tcp((host(), port), 40_000);
    guest.wait("a connection", |guest| guest.tcp_socket(handle).may_send().then_some(()));
    handle
}

/// Sends and receives `len` bytes of the pattern each way, or one way only.
fn transfer<N: Network>(guest: &mut Guest<N>, handle: SocketHandle, send: usize, receive: usize) {
    let (mut sent, mut received) = (0, 0);
    let end = Instant::now() + 2 * PATIENCE;
    let mut chunk = vec![0; 64 * 1024];
    while sent < send || received < receive {
        assert!(Instant::now() < end, "stuck at {sent} and {received}");
        guest.poll();
        let socket = guest.tcp_socket(handle);
        let mut moved = false;
        while sent < send && socket.can_send() {
            let len = chunk.len().min(send - sent);
            for (offset, byte) in chunk[..len].iter_mut().enumerate() {
                *byte = pattern(sent + offset);
            }
            sent += socket.send_slice(&chunk[..len]).unwrap();
            moved = true;
        }
        while socket.can_recv() {
            let len = socket.recv_slice(&mut chunk).unwrap();
            for (offset, byte) in chunk[..len].iter().enumerate() {
                assert_eq!(*byte, pattern(received + offset));
            }
            received += len;
            moved = true;
        }
        if !moved {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

fn read_pattern(stream: &mut TcpStream) -> usize {
    let mut chunk = vec![0; 64 * 1024];
    let mut at = 0;
    loop {
        let len = stream.read(&mut chunk).unwrap();
        if len == 0 {
            return at;
        }
        for (offset, byte) in chunk[..len].iter().enumerate() {
            assert_eq!(*byte, pattern(at + offset));
        }
        at += len;
    }
}

fn write_pattern(stream: &mut TcpStream, len: usize) {
    let mut at = 0;
    while at < len {
        let chunk: Vec<u8> = (at..len.min(at + 64 * 1024)).map(pattern).collect();
        stream.write_all(&chunk).unwrap();
        at += chunk.len();
    }
}

#[test]
fn sixty_four_mebibytes_go_to_the_host_and_half_closing_says_so() {
    const LEN: usize = 64 << 20;
    let (port, server) = serve(|mut stream| {
        let len = read_pattern(&mut stream);
        stream.write_all(&(len as u64).to_be_bytes()).unwrap();
        len
    });
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    let start = Instant::now();
    transfer(&mut guest, handle, LEN, 0);
    guest.tcp_socket(handle).close();
    // Our direction is closed; the host's answer still comes.
    let answer = guest.wait("the answer", |guest| {
        let socket = guest.tcp_socket(handle);
        (socket.recv_queue() == 8).then(|| {
            let mut bytes = [0; 8];
            socket.recv_slice(&mut bytes).unwrap();
            u64::from_be_bytes(bytes)
        })
    });
    eprintln!("{:.0} MB/s to the host", LEN as f64 / 1e6 / start.elapsed().as_secs_f64());
    assert_eq!(answer, LEN as u64);
    assert_eq!(server.join().unwrap(), LEN);
    guest.wait("the end", |guest| (state(guest, handle) == State::TimeWait).then_some(()));
}

#[test]
fn sixty_four_mebibytes_come_from_the_host_and_its_end_is_seen() {
    const LEN: usize = 64 << 20;
    let (port, server) = serve(|mut stream| {
        write_pattern(&mut stream, LEN);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    });
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    let start = Instant::now();
    transfer(&mut guest, handle, 0, LEN);
    eprintln!("{:.0} MB/s from the host", LEN as f64 / 1e6 / start.elapsed().as_secs_f64());
    guest.wait("the host's end", |guest| (state(guest, handle) == State::CloseWait).then_some(()));
    guest.tcp_socket(handle).send_slice(b"good bye").unwrap();
    guest.tcp_socket(handle).close();
    guest.wait("the end", |guest| (state(guest, handle) == State::Closed).then_some(()));
    assert_eq!(server.join().unwrap(), b"good bye");
}

#[test]
fn both_directions_are_busy_at_once() {
    const LEN: usize = 8 << 20;
    let (port, server) = serve(|mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || write_pattern(&mut writer, LEN));
        let len = read_pattern(&mut stream);
        writing.join().unwrap();
        len
    });
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    transfer(&mut guest, handle, LEN, LEN);
    guest.tcp_socket(handle).close();
    guest.wait("the end", |guest| (!guest.tcp_socket(handle).may_send()).then_some(()));
    assert_eq!(guest.beside(|| server.join().unwrap()), LEN);
}

#[test]
fn a_guest_that_does_not_read_makes_the_host_wait_and_not_our_memory_grow() {
    const LEN: usize = 16 << 20;
    let (port, server) = serve(|mut stream| write_pattern(&mut stream, LEN));
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    guest.pass(Duration::from_millis(500));
    let taken = guest.card.network.stats().tcp_bytes_in;
    assert!(taken < 1 << 20, "{taken} bytes are somewhere between");
    transfer(&mut guest, handle, 0, LEN);
    server.join().unwrap();
}

#[test]
fn a_machine_that_stands_still_loses_no_byte() {
    const LEN: usize = 4 << 20;
    let (port, server) = serve(|mut stream| write_pattern(&mut stream, LEN));
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(100)); // nobody polls the card
        guest.pass(Duration::from_millis(3));
    }
    transfer(&mut guest, handle, 0, LEN);
    server.join().unwrap();
    assert_eq!(guest.card.network.stats().dropped_full, 0);
}

#[test]
fn what_the_host_refuses_is_refused_at_once() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut guest = guest(NatConfig::default());
    let handle = guest.tcp((host(), port), 40_000);
    let start = Instant::now();
    guest.wait("a reset", |guest| (state(guest, handle) == State::Closed).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(guest.card.network.stats().tcp_refused, 1);
}

#[test]
fn the_guest_s_reset_reaches_the_host_as_one() {
    let (heard, hearing) = std::sync::mpsc::channel();
    let (port, server) = serve(move |mut stream| {
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).unwrap(), 5);
        heard.send(()).unwrap();
        stream.read(&mut buffer).unwrap_err().kind()
    });
    let mut guest = guest(NatConfig::default());
    let handle = connect(&mut guest, port);
    guest.tcp_socket(handle).send_slice(b"hello").unwrap();
    guest.beside(move || hearing.recv().unwrap());
    guest.tcp_socket(handle).abort();
    assert_eq!(guest.beside(|| server.join().unwrap()), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn the_host_s_reset_reaches_the_guest_as_one() {
    let (port, server) = serve(|stream| {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let mut guest = guest(NatConfig::default());
    let handle = guest.tcp((host(), port), 40_000);
    guest.wait("a reset", |guest| (state(guest, handle) == State::Closed).then_some(()));
    server.join().unwrap();
}

#[test]
fn connections_over_ipv6_reach_the_host() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return eprintln!("skipped: there is no IPv6") };
    drop(listener);
    let (port, server) = serve_at("[::1]:0", |mut stream| read_pattern(&mut stream));
    let mut guest = guest6();
    let handle = guest.tcp(("fec0::2".parse().unwrap(), port), 40_000);
    transfer(&mut guest, handle, 1 << 20, 0);
    guest.tcp_socket(handle).close();
    assert_eq!(guest.beside(|| server.join().unwrap()), 1 << 20);
}

#[test]
fn forwarded_ports_lead_to_the_guest() {
    let forward =
        Forward { transport: Transport::Tcp, listen: "127.0.0.1:0".parse().unwrap(), guest: None, port: 22 };
    let mut guest = guest(NatConfig { forwards: vec![forward], ..NatConfig::default() });
    let address = guest.card.network.forwards()[0];
    let mut client = TcpStream::connect(address).unwrap();
    let buffer = || smoltcp::socket::tcp::SocketBuffer::new(vec![0; 65_536]);
    let mut socket = smoltcp::socket::tcp::Socket::new(buffer(), buffer());
    socket.listen(22).unwrap();
    let handle = guest.sockets.add(socket);
    // The guest has not been heard yet: the gateway asks for it first.
    guest.wait("a client", |guest| guest.tcp_socket(handle).may_send().then_some(()));
    assert_eq!(guest.tcp_socket(handle).remote_endpoint().unwrap().addr, host().into());
    client.write_all(b"hello").unwrap();
    let got = guest.wait("a greeting", |guest| {
        let mut bytes = [0; 5];
        guest.tcp_socket(handle).recv_slice(&mut bytes).ok().filter(|len| *len == 5).map(|_| bytes)
    });
    assert_eq!(&got, b"hello");
    guest.tcp_socket(handle).send_slice(b"who are you").unwrap();
    guest.tcp_socket(handle).close();
    let mut text = String::new();
    guest.beside(|| client.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "who are you");
}

#[test]
fn a_forwarded_port_without_a_guest_ends_the_connection() {
    let forward =
        Forward { transport: Transport::Tcp, listen: "127.0.0.1:0".parse().unwrap(), guest: None, port: 22 };
    let guest = guest(NatConfig { forwards: vec![forward], ..NatConfig::default() });
    let mut client = TcpStream::connect(guest.card.network.forwards()[0]).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    // Nobody answers for the guest.
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn more_connections_than_allowed_push_out_the_oldest() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = guest(NatConfig { tcp_flows: 4, ..NatConfig::default() });
    let mut handles = Vec::new();
    for n in 0..6 {
        let handle = guest.tcp((host(), port), 40_000 + n);
        guest.wait("a connection", |guest| guest.tcp_socket(handle).may_send().then_some(()));
        handles.push(handle);
        guest.pass(Duration::from_millis(5));
    }
    guest.wait("two resets", |guest| (guest.card.network.stats().evicted == 2).then_some(()));
    let alive = |guest: &mut Guest<Nat>| -> Vec<bool> {
        handles.iter().map(|handle| guest.tcp_socket(*handle).may_send()).collect()
    };
    guest.wait("the end of the oldest", |guest| (!alive(guest)[..2].contains(&true)).then_some(()));
    assert_eq!(alive(&mut guest), [false, false, true, true, true, true]);
}

#[test]
fn a_restricted_guest_reaches_nothing() {
    let (port, _server) = serve(|_| ());
    let mut guest = guest(NatConfig { restrict: true, ..NatConfig::default() });
    let handle = guest.tcp((host(), port), 40_000);
    guest.wait("a reset", |guest| (state(guest, handle) == State::Closed).then_some(()));
    let handle = guest.tcp(([192, 0, 2, 77].into(), 80), 40_001);
    guest.wait("it is unreachable", |guest| (guest.card.network.stats().unreachable == 1).then_some(()));
    assert!(!guest.tcp_socket(handle).may_send());
    assert_eq!(guest.card.network.stats().tcp, 0);
    drop(TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))));
}

#[test]
fn two_hundred_connections_at_once_all_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut streams: Vec<_> = (0..200).map(|_| listener.accept().unwrap().0).collect();
        for stream in &mut streams {
            let mut byte = [0; 4];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        }
    });
    let mut guest = guest(NatConfig::default());
    let handles: Vec<_> = (0..200)
        .map(|n| {
            let buffer = || smoltcp::socket::tcp::SocketBuffer::new(vec![0; 1024]);
            let mut socket = smoltcp::socket::tcp::Socket::new(buffer(), buffer());
            let remote = (smoltcp::wire::IpAddress::from(host()), port);
            socket.connect(guest.interface.context(), remote, 40_000 + n).unwrap();
            guest.sockets.add(socket)
        })
        .collect();
    guest.wait("all of them", |guest| {
        handles.iter().all(|handle| guest.tcp_socket(*handle).may_send()).then_some(())
    });
    for (n, handle) in handles.iter().enumerate() {
        guest.tcp_socket(*handle).send_slice(&(n as u32).to_be_bytes()).unwrap();
    }
    for (n, handle) in handles.iter().enumerate() {
        let mut bytes = [0; 4];
        guest.wait("an answer", |guest| {
            let socket = guest.tcp_socket(*handle);
            (socket.recv_queue() == 4).then(|| socket.recv_slice(&mut bytes).unwrap())
        });
        assert_eq!(u32::from_be_bytes(bytes), n as u32);
    }
    server.join().unwrap();
}

#[test]
fn a_line_that_loses_doubles_swaps_and_bends_frames_delivers_every_byte_once() {
    use crate::net::shape::{Faults, Shape};
    const LEN: usize = 1 << 20;
    let (port, server) = serve(|mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || write_pattern(&mut writer, LEN));
        let len = read_pattern(&mut stream);
        writing.join().unwrap();
        len
    });
    let shape =
        Shape { loss: 0.005, duplicate: 0.01, reorder: 0.01, corrupt: 0.005, seed: 1, ..Shape::default() };
    let nat = Nat::start(NatConfig::default(), Bell::default()).unwrap();
    let mut guest = Guest::new(Faults::new(nat, shape, 0.002), Mac([2, 0, 0, 0, 0, 1]));
    guest.set_address(GUEST.into(), 24, HOST.into());
    let handle = connect(&mut guest, port);
    transfer(&mut guest, handle, LEN, LEN);
    guest.tcp_socket(handle).close();
    guest.wait("the end", |guest| (!guest.tcp_socket(handle).may_recv()).then_some(()));
    assert_eq!(server.join().unwrap(), LEN);
    let stats = guest.card.network.stats();
    assert!(stats.lost > 3 && stats.corrupted > 3 && stats.duplicated > 3, "{stats:?}");
}
