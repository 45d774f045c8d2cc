//! The server's side of the handshake: what a request asks for, and whether it may have it.
//!
//! Spec: RFC 6455, section 4.2.

use super::config::{Limits, RelayServerConfig};
use std::net::IpAddr;
use tungstenite::handshake::derive_accept_key;

/// Longest header that is read.
pub(super) const HEADER: usize = 16 * 1024;
const FIELDS: usize = 100;
/// Longest name of a room.
const ROOM: usize = 256;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not whole yet.
    Partial,
    /// A client enters a room: the answer, and where the header ends.
    Enter { room: String, answer: String, end: usize },
    /// Somebody wants to see the metrics.
    Metrics,
    /// An answer, and that is all.
    Answer { code: u16, answer: String },
}

/// Judges what has come so far. `private` is the port that only has metrics.
pub(super) fn judge(input: &[u8], peer: IpAddr, config: &RelayServerConfig, private: bool) -> Verdict {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let end = match request.parse(input) {
        Ok(httparse::Status::Complete(end)) if end <= HEADER => end,
        Ok(httparse::Status::Partial) if input.len() <= HEADER => return Verdict::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return refuse(431, "Request Header Fields Too Large", "");
        }
        Err(_) => return refuse(400, "Bad Request", ""),
    };
    let field = |name: &str| {
        let mut found = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        found.next().and_then(|field| std::str::from_utf8(field.value).ok()).map(str::trim)
    };
    let has = |name: &str, token: &str| {
        let mut all = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        all.any(|field| {
            let value = std::str::from_utf8(field.value).unwrap_or_default();
            value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    };
    if request.method != Some("GET") {
        return refuse(405, "Method Not Allowed", "Allow: GET\r\n");
    }
    let target = request.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !private {
        if config.addresses.as_ref().is_some_and(|list| !list.iter().any(|network| network.contains(peer))) {
            return refuse(403, "Forbidden", "");
        }
        if let (Some(list), Some(origin)) = (&config.origins, field("Origin"))
            && !list.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
        {
            return refuse(403, "Forbidden", "");
        }
        if let Some(token) = &config.token {
            let bearer = field("Authorization").and_then(|value| {
                let (scheme, word) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| word.trim())
            });
            let given = bearer.or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("token=")));
            if !given.is_some_and(|given| same(given.as_bytes(), token.as_bytes())) {
                return refuse(401, "Unauthorized", "WWW-Authenticate: Bearer\r\n");
            }
        }
    }
    if !has("Upgrade", "websocket") {
        return match path {
            "/metrics" if private || config.metrics => Verdict::Metrics,
            _ if private => refuse(404, "Not Found", ""),
            _ => refuse(426, "Upgrade Required", "Upgrade: websocket\r\n"),
        };
    }
    if private {
        return refuse(404, "Not Found", "");
    }
    if field("Sec-WebSocket-Version") != Some("13") {
        return refuse(426, "Upgrade Required", "Sec-WebSocket-Version: 13\r\n");
    }
    let key = field("Sec-WebSocket-Key").unwrap_or_default();
    let whole = key.len() == 24 && key.ends_with("==") && request.version == Some(1);
    if !whole || !has("Connection", "upgrade") || path.len() > ROOM {
        return refuse(400, "Bad Request", "");
    }
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    // A browser that names protocols insists that one of them is chosen.
    let offered = field("Sec-WebSocket-Protocol").and_then(|value| value.split(',').next()).map(str::trim);
    if let Some(protocol) =
        offered.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
    {
        answer.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    answer.push_str(&limits(config.limits));
    answer.push_str("\r\n");
    Verdict::Enter { room: path.to_owned(), answer, end }
}

/// A field that tells the client how much it may send.
fn limits(limits: Limits) -> String {
    let parts: Vec<String> = [("bytes", limits.bytes), ("frames", limits.frames)]
        .into_iter()
        .filter_map(|(name, limit)| limit.map(|limit| format!("{name}={limit}/s")))
        .collect();
    if parts.is_empty() { String::new() } else { format!("Nomad86-Limits: {}\r\n", parts.join(", ")) }
}

/// A whole answer with a short text.
pub(super) fn refuse(code: u16, reason: &str, extra: &str) -> Verdict {
    let body = format!("{code} {reason}: this is a nomad86 relay\n");
    let answer = format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\
         {extra}\r\n{body}",
        body.len()
    );
    Verdict::Answer { code, answer }
}

/// The answer that carries metrics.
pub(super) fn metrics(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Whether two words are the same, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::super::config::Network;
    use super::*;

    const REQUEST: &str = "GET /room/7?x=1 HTTP/1.1\r\nHost: relay\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn peer() -> IpAddr {
        IpAddr::from([192, 0, 2, 7])
    }

    fn code(request: &str, config: &RelayServerConfig) -> u16 {
        match judge(request.as_bytes(), peer(), config, false) {
            Verdict::Enter { .. } => 101,
            Verdict::Metrics => 200,
            Verdict::Answer { code, .. } => code,
            Verdict::Partial => 0,
        }
    }

    #[test]
    fn a_handshake_gets_the_answer_of_the_standard() {
        let config = RelayServerConfig::default();
        let Verdict::Enter { room, answer, end } = judge(REQUEST.as_bytes(), peer(), &config, false) else {
            panic!()
        };
        assert_eq!((room.as_str(), end), ("/room/7", REQUEST.len()));
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!answer.contains("Limits") && answer.ends_with("\r\n\r\n"));
        for len in 0..REQUEST.len() {
            assert_eq!(code(&REQUEST[..len], &config), 0, "{len}");
        }
        let limits = Limits { bytes: Some(40_980), frames: None };
        let config = RelayServerConfig { limits, ..config };
        let Verdict::Enter { answer, .. } = judge(REQUEST.as_bytes(), peer(), &config, false) else {
            panic!()
        };
        assert!(answer.contains("Nomad86-Limits: bytes=40980/s\r\n"));
    }

    #[test]
    fn case_70_requests_that_are_none_get_the_code_that_says_so() {
        let config = RelayServerConfig::default();
        for (request, expected) in [
            (REQUEST.replace("GET", "POST"), 405),
            (REQUEST.replace("Version: 13", "Version: 8"), 426),
            (REQUEST.replace("Upgrade: WebSocket", "X: y"), 426),
            (REQUEST.replace("Upgrade\r\n", "close\r\n"), 400),
            (REQUEST.replace("dGhl", "dG"), 400),
            (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), 400),
            (REQUEST.replace("/room/7", &"/a".repeat(200)), 400),
            (REQUEST.replace("Host: relay", &"X: y\r\n".repeat(200)), 431),
            (REQUEST.replace("Host: relay", &format!("X: {}", "y".repeat(20_000))), 431),
            ("\u{16}\u{3}\u{1}\0\u{1}".to_owned(), 400),
            ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 200),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 426),
        ] {
            assert_eq!(code(&request, &config), expected, "{request}");
        }
        let hidden = RelayServerConfig { metrics: false, ..config };
        assert_eq!(code("GET /metrics HTTP/1.1\r\n\r\n", &hidden), 426);
        assert_eq!(judge(b"GET /metrics HTTP/1.1\r\n\r\n", peer(), &hidden, true), Verdict::Metrics);
    }

    #[test]
    fn tokens_origins_and_addresses_are_checked() {
        let config = RelayServerConfig { token: Some("secret".into()), ..RelayServerConfig::default() };
        let with = |line: &str| REQUEST.replace("Host: relay", line);
        assert_eq!(code(REQUEST, &config), 401);
        assert_eq!(code(&with("Authorization: Bearer wrong"), &config), 401);
        assert_eq!(code(&with("Authorization: Bearer secret2"), &config), 401);
        assert_eq!(code(&with("Authorization: Basic secret"), &config), 401);
        assert_eq!(code(&with("authorization: bearer secret"), &config), 101);
        assert_eq!(code(&REQUEST.replace("?x=1", "?x=1&token=secret"), &config), 101);
        assert_eq!(code("GET /metrics HTTP/1.1\r\n\r\n", &config), 401);

        let origins = Some(vec!["https://page.example".to_owned()]);
        let config = RelayServerConfig { origins, ..RelayServerConfig::default() };
        assert_eq!(code(&with("Origin: https://page.example"), &config), 101);
        assert_eq!(code(&with("Origin: https://evil.example"), &config), 403);
        assert_eq!(code(&with("Origin: null"), &config), 403);
        assert_eq!(code(REQUEST, &config), 101, "no browser");

        let addresses = |text| Some(vec![Network::parse(text).unwrap()]);
        let config =
            RelayServerConfig { addresses: addresses("192.0.2.0/24"), ..RelayServerConfig::default() };
        assert_eq!(code(REQUEST, &config), 101);
        let config = RelayServerConfig { addresses: addresses("10.0.0.0/8"), ..config };
        assert_eq!(code(REQUEST, &config), 403);
    }
}
