//! The client's side of the WebSocket handshake, a piece at a time.
//!
//! Spec: RFC 6455, section 4. Redirects are not followed: a relay is where its address says.

use super::RelayUrl;
use super::stream::{Stream, is_pause};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// Longest header that is read.
const HEADER: usize = 16 * 1024;
const FIELDS: usize = 100;

/// A handshake on its way.
#[derive(Debug)]
pub(super) struct Handshake {
    request: Vec<u8>,
    sent: usize,
    accept: String,
    response: Vec<u8>,
}

impl Handshake {
    pub(super) fn new(url: &RelayUrl, token: Option<&str>) -> Self {
        let key = generate_key();
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
            url.path,
            url.authority()
        );
        if let Some(token) = token {
            request.push_str("Authorization: Bearer ");
            request.push_str(token);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let accept = derive_accept_key(key.as_bytes());
        Self { request: request.into_bytes(), sent: 0, accept, response: Vec::new() }
    }

    /// Goes on; gives what came behind the header when it is done.
    pub(super) fn proceed(&mut self, stream: &mut Stream) -> io::Result<Option<Vec<u8>>> {
        while self.sent < self.request.len() {
            match stream.write(&self.request[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => self.sent += len,
                Err(error) if is_pause(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        match stream.flush() {
            Err(error) if !is_pause(&error) => return Err(error),
            _ => {}
        }
        let mut chunk = [0; 2048];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed during the handshake")),
                Ok(len) => self.response.extend(&chunk[..len]),
                Err(error) if is_pause(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
            if let Some(end) = self.parse()? {
                return Ok(Some(self.response.split_off(end)));
            }
            if self.response.len() > HEADER {
                return Err(refused("its answer has a header of more than 16 KiB"));
            }
        }
    }

    /// Where the header ends, when all of it is here and as it must be.
    fn parse(&self) -> io::Result<Option<usize>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let end = match response.parse(&self.response) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(refused(&format!("its answer is not HTTP ({error})"))),
        };
        if end > HEADER {
            return Err(refused("its answer has a header of more than 16 KiB"));
        }
        let code = response.code.unwrap_or(0);
        if code != 101 {
            let hint = match code {
                300..=399 => "it has moved; give its new address",
                401 | 403 => "it wants another token, or refuses this address",
                404 => "there is nothing at this path",
                429 | 503 => "it is busy",
                502 | 504 => "the server behind it does not answer",
                _ => "it is not a relay",
            };
            return Err(refused(&format!("it answers {code} ({hint})")));
        }
        let field = |name: &str| {
            let mut found = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            found.next().map(|field| String::from_utf8_lossy(field.value).trim().to_owned())
        };
        let upgrade = field("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let connection = field("Connection")
            .is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case("upgrade")));
        if !upgrade || !connection {
            return Err(refused("it does not switch to WebSocket"));
        }
        if field("Sec-WebSocket-Accept").as_deref() != Some(self.accept.as_str()) {
            return Err(refused("its answer belongs to another handshake (Sec-WebSocket-Accept)"));
        }
        if field("Sec-WebSocket-Protocol").is_some() {
            return Err(refused("it chose a protocol that was not offered"));
        }
        // An extension that was not asked for is tolerated until it is used: its messages are refused.
        Ok(Some(end))
    }
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::ConnectionRefused, format!("the relay refused: {reason}"))
}
