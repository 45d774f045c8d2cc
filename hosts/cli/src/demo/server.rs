//! A small web server on loopback, so that a newcomer's guest has something to download.
//!
//! The user-mode network leads 10.0.2.2 to the host's loopback, so the guest reaches it as
//! `http://10.0.2.2:PORT/`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// The port that guests are told, if it is free.
const PORT: u16 = 8686;
/// Bytes of `/data`.
const DATA: usize = 16 << 20;
/// Requests have no more bytes.
const REQUEST: u64 = 8192;

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    port: u16,
}

impl Server {
    /// What the guest is told on its kernel's command line; its init turns it into a note.
    pub(super) fn parameter(self) -> String {
        format!("nomad86.web=http://10.0.2.2:{}/", self.port)
    }
}

/// Starts it; it ends with the program.
pub(super) fn start() -> io::Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_addr()?.port();
    std::thread::Builder::new().name("web".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // One at a time is enough for a guest; one that dawdles is cut off.
            let _ = answer(&stream, port);
        }
    })?;
    Ok(Server { port })
}

fn answer(stream: &TcpStream, port: u16) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.take(REQUEST));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    // Nothing comes behind an empty request.
    while !request.trim().is_empty() && reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split_ascii_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut out = stream;
    let (status, kind, body) = page(path, port);
    write!(
        out,
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        out.write_all(&body)?;
    }
    out.flush()
}

fn page(path: &str, port: u16) -> (&'static str, &'static str, Vec<u8>) {
    match path {
        "/" | "/hello" => ("200 OK", "text/plain", hello(port).into_bytes()),
        "/data" => ("200 OK", "application/octet-stream", data()),
        _ => ("404 Not Found", "text/plain", b"there are / and /data here\n".to_vec()),
    }
}

/// Bytes that are the same every time and do not repeat soon.
fn data() -> Vec<u8> {
    let mut state = 0x9E37_79B9u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(DATA / 4).flatten().collect()
}

fn hello(port: u16) -> String {
    format!(
        "
Hello from the host!

This text came from a small web server beside the emulator, through TCP on the
host's side, a user-mode network, an NE2000 card and Debian's own driver for it.

  wget -O /dev/null http://10.0.2.2:{port}/data     16 MiB, to see how fast it is
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(port: u16, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it closes");
        answer
    }

    #[test]
    fn it_serves_a_greeting_and_much_data_and_nothing_else() {
        let server = start().expect("there is a free port");
        let hello = String::from_utf8(get(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).expect("text");
        assert!(
            hello.starts_with("HTTP/1.0 200 OK\r\n") && hello.contains("Hello from the host!"),
            "{hello}"
        );
        let data = get(server.port, "GET /data HTTP/1.0\r\n\r\n");
        assert!(data.len() > DATA && data.len() < DATA + 200);
        let head = get(server.port, "HEAD /data HTTP/1.0\r\n\r\n");
        assert!(head.len() < 200 && head.ends_with(b"\r\n\r\n"));
        assert!(get(server.port, "GET /../etc/passwd HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.0 404"));
        assert!(!get(server.port, "\r\n").is_empty());
    }
}
