//! A small web server whose contents can be checked, and the checksum of the guest's `crc32`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Bytes that are the same every time and do not repeat soon.
pub(crate) fn data(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(len.div_ceil(8)).flatten().take(len).collect()
}

/// What `crc32` says of these bytes.
pub(crate) fn crc32(bytes: &[u8]) -> String {
    let table: [u32; 256] = std::array::from_fn(|n| {
        (0..8).fold(n as u32, |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 })
    });
    let step = |crc: u32, byte: &u8| crc >> 8 ^ table[(crc as u8 ^ byte) as usize];
    format!("{:08x}", !bytes.iter().fold(!0, step))
}

/// Starts the server at a free port, in the network namespace of the calling thread. `GET /N` gives N bytes of
/// [`data`], `GET /text/N` N letters, `POST` answers with [`crc32`] of what was sent.
pub(crate) fn start(address: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).expect("there is a free port");
    let at = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(&stream)));
        }
    });
    at
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_write_timeout(Some(Duration::from_secs(120)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let body = if request.starts_with("POST") {
        let begun = Instant::now();
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent)?;
        println!("upload: {}", speed(length, begun));
        format!("{}\n", crc32(&sent)).into_bytes()
    } else {
        let path = request.split(' ').nth(1).unwrap_or("/");
        match path.strip_prefix("/text/") {
            Some(len) => vec![b'x'; len.parse().unwrap_or(0)],
            None => data(path.trim_start_matches('/').parse().unwrap_or(0)),
        }
    };
    let mut out = stream;
    let begun = Instant::now();
    write!(out, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    out.write_all(&body)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let _ = reader.read(&mut [0]);
    if body.len() > 1000 {
        println!("download: {}", speed(body.len(), begun));
    }
    Ok(())
}

fn speed(len: usize, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs_f64();
    format!("{len} bytes in {seconds:.2} s, {:.2} MB/s", len as f64 / 1e6 / seconds)
}
