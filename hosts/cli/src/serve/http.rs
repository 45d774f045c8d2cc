//! As much of HTTP/1.1 as serving files takes: GET and HEAD, one range, connections that stay open.
//!
//! Spec: RFC 9110, RFC 9112.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at a time; further ones are closed at once.
const CONNECTIONS: usize = 64;
/// Longest header that is read.
const HEADER: usize = 16 * 1024;
const FIELDS: usize = 64;
/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent.
pub(super) enum Body {
    /// A text.
    Text(String),
    /// A file.
    File(File),
}

/// What a path in an address gives: its media type and contents, or `None`.
pub(super) trait Site: Send + Sync + 'static {
    fn open(&self, path: &str) -> Option<(&'static str, Body)>;
}

/// Serves `site` to whoever connects, in threads of its own.
pub(super) fn start(listener: TcpListener, site: Arc<dyn Site>) -> io::Result<()> {
    let open = Arc::new(AtomicUsize::new(0));
    std::thread::Builder::new().name("web".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let (site, open) = (Arc::clone(&site), Arc::clone(&open));
            if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let counter = Arc::clone(&open);
            let thread = std::thread::Builder::new().name("web client".into()).spawn(move || {
                // A client that has gone needs no answer.
                let _ = talk(stream, &*site);
                open.fetch_sub(1, Ordering::Relaxed);
            });
            if thread.is_err() {
                counter.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(())
}

/// A request, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    get: bool,
    head: bool,
    path: String,
    range: Option<String>,
    keep: bool,
    /// It brings a body, which nobody reads.
    body: bool,
    /// Where its header ends.
    end: usize,
}

/// Reads a header: `Ok(None)` when it is not whole yet.
fn parse(input: &[u8]) -> Result<Option<Request>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(end) = request.parse(input)? else { return Ok(None) };
    let field = |name: &str| {
        let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::trim)
    };
    let connection = field("Connection").unwrap_or_default();
    let path = request.path.unwrap_or("/").split(['?', '#']).next().unwrap_or_default();
    Ok(Some(Request {
        get: request.method == Some("GET"),
        head: request.method == Some("HEAD"),
        path: path.trim_start_matches('/').to_owned(),
        range: field("Range").map(str::to_owned),
        keep: request.version == Some(1) && !connection.eq_ignore_ascii_case("close"),
        body: field("Content-Length").is_some_and(|len| len != "0") || field("Transfer-Encoding").is_some(),
        end,
    }))
}

fn talk(mut stream: TcpStream, site: &dyn Site) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    loop {
        let request = match parse(&input) {
            Ok(Some(request)) => request,
            Ok(None) if input.len() < HEADER => {
                let mut piece = [0; 4096];
                match stream.read(&mut piece)? {
                    0 => return Ok(()),
                    n => input.extend_from_slice(&piece[..n]),
                }
                continue;
            }
            Ok(None) => return refuse(&mut stream, "431 Request Header Fields Too Large"),
            Err(_) => return refuse(&mut stream, "400 Bad Request"),
        };
        input.drain(..request.end);
        answer(&mut stream, &request, site)?;
        if !request.keep || request.body {
            return Ok(());
        }
    }
}

fn refuse(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn answer(stream: &mut TcpStream, request: &Request, site: &dyn Site) -> io::Result<()> {
    if !request.get && !request.head {
        return refuse(stream, "405 Method Not Allowed\r\nAllow: GET, HEAD");
    }
    let (found, kind, body) = match site.open(&request.path) {
        Some((kind, body)) => (true, kind, body),
        None => (false, "text/plain", Body::Text("there is no such file\n".to_owned())),
    };
    let len = match &body {
        Body::Text(text) => text.len() as u64,
        Body::File(file) => file.metadata()?.len(),
    };
    let wanted = request.range.as_deref().filter(|_| found).map(|text| range(text, len));
    let (status, from, count, note) = match wanted {
        None if found => ("200 OK", 0, len, String::new()),
        None => ("404 Not Found", 0, len, String::new()),
        Some(Some((from, count))) => {
            let note = format!("Content-Range: bytes {from}-{}/{len}\r\n", from + count - 1);
            ("206 Partial Content", from, count, note)
        }
        Some(None) => ("416 Range Not Satisfiable", 0, 0, format!("Content-Range: bytes */{len}\r\n")),
    };
    // Isolated pages are given finer clocks.
    let header = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {count}\r\n{note}Accept-Ranges: bytes\r\n\
         Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n{}\r\n",
        if request.keep && !request.body { "" } else { "Connection: close\r\n" }
    );
    stream.write_all(header.as_bytes())?;
    if request.head {
        return Ok(());
    }
    match body {
        Body::Text(text) => {
            let (from, to) = (from as usize, (from + count) as usize);
            stream.write_all(text.as_bytes().get(from..to).unwrap_or_default())
        }
        Body::File(mut file) => {
            file.seek(SeekFrom::Start(from))?;
            let sent = io::copy(&mut file.take(count), stream)?;
            // A file that shrank meanwhile: the connection's end tells.
            if sent == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
    }
}

/// The part `bytes=FROM-TO` of `len` bytes: first and number; `None` when there is no such part.
fn range(text: &str, len: u64) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = len.checked_sub(1)?;
    let (from, to) = match (from.parse::<u64>().ok(), to.parse::<u64>().ok()) {
        (Some(from), to) => (from, to.unwrap_or(last).min(last)),
        (None, Some(tail)) if from.is_empty() => (len.saturating_sub(tail), last),
        _ => return None,
    };
    (from <= to).then(|| (from, to - from + 1))
}

/// The media type of a file, by its name.
pub(super) fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "wasm" => "application/wasm",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(range("bytes=3-", 10), Some((3, 7)));
        assert_eq!(range("bytes=3-99", 10), Some((3, 7)));
        assert_eq!(range("bytes=-4", 10), Some((6, 4)));
        for bad in ["bytes=10-", "bytes=5-4", "bytes=", "bytes=a-b", "lines=0-1", "bytes=-0", "bytes=10-12"] {
            assert_eq!(range(bad, 10), None, "{bad}");
        }
        assert_eq!(range("bytes=0-0", 0), None);
    }

    struct Hello;

    impl Site for Hello {
        fn open(&self, path: &str) -> Option<(&'static str, Body)> {
            (path == "hello").then(|| ("text/plain", Body::Text("hello there".to_owned())))
        }
    }

    #[test]
    fn a_connection_carries_requests_until_it_is_to_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        start(listener, Arc::new(Hello)).expect("it starts");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream
            .write_all(
                b"GET /hello?x HTTP/1.1\r\n\r\nHEAD /hello HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n\
                  GET /hello HTTP/1.1\r\nrange: bytes=1-2\r\nConnection: close\r\n\r\n",
            )
            .expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers and closes");
        let codes: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(codes, ["200", "200", "404", "206"], "{text}");
        assert_eq!(text.matches("hello there").count(), 1);
        assert!(text.ends_with("\r\n\r\nel") && text.contains("Content-Range: bytes 1-2/11\r\n"), "{text}");
    }

    #[test]
    fn nonsense_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        start(listener, Arc::new(Hello)).expect("it starts");
        let long = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'x'; HEADER + 4096]].concat();
        for (request, code) in
            [(&b"\x16\x03\x01"[..], "400"), (&long, "431"), (b"POST / HTTP/1.1\r\n\r\n", "405")]
        {
            let mut stream = TcpStream::connect(address).expect("it listens");
            let _ = stream.write_all(request);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut text = Vec::new();
            let _ = stream.read_to_end(&mut text);
            // A connection that is closed with bytes unread may lose the answer.
            assert!(text.is_empty() || text.starts_with(format!("HTTP/1.1 {code}").as_bytes()));
        }
    }
}
