//! The system's name servers, as `/etc/resolv.conf` has them now.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// As the system's own resolver: three servers at most.
const SERVERS: usize = 3;

#[derive(Debug)]
pub(super) struct Resolvers {
    file: Option<PathBuf>,
    list: Vec<SocketAddr>,
    looked: Option<Instant>,
    modified: Option<SystemTime>,
}

impl Resolvers {
    /// A fixed list, or that of the system.
    pub(super) fn new(list: Option<Vec<SocketAddr>>) -> Self {
        let file = list.is_none().then(|| PathBuf::from("/etc/resolv.conf"));
        Self { file, list: list.unwrap_or_default(), looked: None, modified: None }
    }

    /// The servers, the first one first.
    pub(super) fn list(&mut self, now: Instant) -> &[SocketAddr] {
        let due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= INTERVAL);
        if let Some(file) = self.file.as_ref().filter(|_| due) {
            self.looked = Some(now);
            let modified = std::fs::metadata(file).and_then(|data| data.modified()).ok();
            if modified != self.modified || self.list.is_empty() {
                self.modified = modified;
                self.list = parse(&std::fs::read_to_string(file).unwrap_or_default());
            }
        }
        &self.list
    }
}

/// The name servers of a `resolv.conf`; without any, the host itself, as the system's resolver does it.
fn parse(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
            // A zone such as %eth0 is of no use to a socket address without its number.
            address.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53))
        })
        .take(SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_found_among_everything_else() {
        let text = "# nameserver 1.1.1.1\nsearch example\n nameserver\t192.0.2.1 # first\nnameserver fe80::1%eth0\n\
                    nameserver 2001:db8::1\nnameserver\nnameserver x\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        let expected: Vec<SocketAddr> =
            ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"].map(|text| text.parse().unwrap()).into();
        assert_eq!(parse(text), expected);
        assert_eq!(parse(""), ["127.0.0.1:53".parse().unwrap()]);
    }
}
