//! Both ends of a WebSocket relay over loopback: whatever the other side sends, the event loops live on and
//! serve the next one. A panic of their threads ends the process under libFuzzer.

use crate::input::Input;
use nomad86::host::Network;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::relay::{RelayClient, RelayConfig, RelayServer, RelayServerConfig, RelayUrl};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tungstenite::handshake::derive_accept_key;

/// How long anybody waits for what need not come.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long for what must, however busy the host is.
const LIMIT: Duration = Duration::from_secs(60);
/// Pieces that an input is sent in.
const PIECES: usize = 32;

/// First byte of a Close frame (RFC 6455, 5.2).
const CLOSE: u8 = 0x88;

/// Sends the rest of an input in pieces whose lengths it says itself, so that everything is cut somewhere.
fn send(stream: &mut TcpStream, input: &mut Input<'_>) {
    for _ in 0..PIECES {
        let Some(len) = input.byte() else { break };
        if stream.write_all(input.slice(usize::from(len) * 8 + 1)).is_err() {
            break;
        }
    }
}

/// Reads what there is until the other side is done or takes longer than `patience`.
fn drain(stream: &mut TcpStream, patience: Duration, until: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    let _ = stream.set_read_timeout(Some(patience));
    loop {
        match stream.read(&mut chunk) {
            Ok(len @ 1..) => all.extend(&chunk[..len]),
            // libFuzzer's alarm clock.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            _ => break,
        }
        if all.len() > 1 << 20 || until(&all) {
            break;
        }
    }
    all
}

fn header_ends(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|w| w == b"\r\n\r\n")
}

/// A client that says anything to our relay.
///
/// # Panics
/// When the relay does not answer the next client.
pub fn server(data: &[u8]) {
    static SERVER: OnceLock<(RelayServer, SocketAddr)> = OnceLock::new();
    let (server, address) = SERVER.get_or_init(|| {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let config = RelayServerConfig { listen, queue: 16, ..RelayServerConfig::default() };
        let server = RelayServer::start(config).expect("loopback has a free port");
        let address = server.addresses()[0];
        (server, address)
    });
    let mut input = Input::new(data);
    let raw = input.byte().unwrap_or(0) & 1 != 0;
    let mut stream = TcpStream::connect(address).expect("the relay takes connections");
    if !raw {
        let request = "GET /fuzz HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("the relay reads");
        let answer = drain(&mut stream, LIMIT, header_ends);
        assert!(answer.starts_with(b"HTTP/1.1 101"), "the relay lets clients in");
    }
    send(&mut stream, &mut input);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // Until it has closed or says good-bye, to which it would like an answer.
    drain(&mut stream, PATIENCE, |said| said.contains(&CLOSE));
    let begun = Instant::now();
    while server.stats().clients > 64 {
        assert!(begun.elapsed() < LIMIT, "clients that are gone are forgotten: {:?}", server.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Threads of clients in this process, in which other tests may run.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "relay client").count()
}

/// Where threads cannot be counted they are not waited for.
#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

/// A relay that says anything to our client.
///
/// # Panics
/// When the client does not come, frames that it hands on are none, or its thread outlives it.
pub fn client(data: &[u8]) {
    let before = threads();
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").expect("loopback has a port"));
    let address = listener.local_addr().expect("it is bound");
    let mut input = Input::new(data);
    let options = input.byte().unwrap_or(0);
    let url = RelayUrl::parse(&format!("ws://{address}/")).expect("the address is well formed");
    let config =
        RelayConfig { pause: (Duration::from_secs(5), Duration::from_secs(5)), ..RelayConfig::new(url) };
    let mut client = RelayClient::start(config, Bell::default()).expect("the system has a thread");
    let (mut stream, _) = listener.accept().expect("the client comes");
    let request = drain(&mut stream, LIMIT, header_ends);
    if options & 1 == 0 {
        let request = String::from_utf8_lossy(&request);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or("");
        let accept = derive_accept_key(key.trim().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes());
    }
    send(&mut stream, &mut input);
    client.transmit(&[0x42; 60]);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let end = Instant::now() + PATIENCE;
    drain(&mut stream, PATIENCE, |_| Instant::now() > end);
    let mut buffer = [0; 1536];
    while let Some(frame) = client.receive(&mut buffer) {
        assert!((60..=1522).contains(&frame.len()), "a frame of {} bytes", frame.len());
    }
    drop(client);
    let begun = Instant::now();
    while threads() > before {
        assert!(begun.elapsed() < LIMIT, "the client's thread ends with it");
        std::thread::sleep(Duration::from_micros(50));
    }
}
