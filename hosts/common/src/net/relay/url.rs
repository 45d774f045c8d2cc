//! The address of a relay: `ws://host:port/path`, or `wss://` for TLS.

use std::fmt;

/// Longest address that is taken.
const LONGEST: usize = 2048;

/// The address of a relay.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RelayUrl {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// A name or an address, without the brackets of an IPv6 address.
    pub host: String,
    /// The port; 80, or 443 with TLS, when none was named.
    pub port: u16,
    /// The path with its query, starting with a slash.
    pub path: String,
}

impl RelayUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Says which part of it is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => (true, rest),
            _ => return Err("it must start with ws:// or wss://"),
        };
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it must be up to 2048 visible ASCII characters");
        }
        if rest.contains('#') {
            return Err("it must not have a fragment (#)");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it must not have a user name; use token=");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) =
                    rest.split_once(']').ok_or("the bracket of its IPv6 address is not closed")?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| "there is no IPv6 address in its brackets")?;
                (
                    host,
                    rest.strip_prefix(':')
                        .or(rest.is_empty().then_some(""))
                        .ok_or("a colon must precede its port")?,
                )
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        if host.is_empty() {
            return Err("it must name a host");
        }
        let port = match port {
            "" if tls => 443,
            "" => 80,
            port => port.parse().ok().filter(|port| *port != 0).ok_or("its port must be 1 to 65535")?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, host: host.to_owned(), port, path })
    }

    /// Host and port as a `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "wss" } else { "ws" }, self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_relays_are_read_and_written() {
        for (text, tls, host, port, path) in [
            ("ws://relay.example", false, "relay.example", 80, "/"),
            ("wss://relay.example/", true, "relay.example", 443, "/"),
            ("WSS://relay.example:8443/room/7?a=b", true, "relay.example", 8443, "/room/7?a=b"),
            ("ws://[::1]:9000?x", false, "::1", 9000, "/?x"),
            ("ws://127.0.0.1:80", false, "127.0.0.1", 80, "/"),
        ] {
            let url = RelayUrl::parse(text).unwrap();
            assert_eq!((url.tls, &*url.host, url.port, &*url.path), (tls, host, port, path));
            assert_eq!(RelayUrl::parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn what_is_not_the_address_of_a_relay_is_refused() {
        for text in [
            "",
            "http://a",
            "a",
            "ws:/a",
            "ws://",
            "ws://:80",
            "ws://a:0",
            "ws://a:65536",
            "ws://a:b",
            "ws://[::1",
            "ws://[::g]/",
            "ws://[::1]80",
            "ws://a/#b",
            "ws://u:p@a/",
            "ws://a/ b",
            "ws://a/\r\nX: y",
        ] {
            assert!(RelayUrl::parse(text).is_err(), "{text}");
        }
        assert!(RelayUrl::parse(&format!("ws://a/{}", "b".repeat(3000))).is_err());
    }
}
