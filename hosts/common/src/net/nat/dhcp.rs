//! The DHCP server: one address for each client, always the same.
//!
//! Spec: RFC 2131, RFC 2132. It does no I/O: a request goes in, an answer comes out.
//! Not emulated: relay agents, option overload in requests, dynamic BOOTP.

use super::config::{Ipv4Config, NatConfig};
use crate::net::Mac;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long a client may keep its address.
const LEASE: Duration = Duration::from_secs(86_400);
/// How long an offer stands.
const OFFER: Duration = Duration::from_secs(60);
/// How long an address is left alone that a client found to be in use.
const DECLINED: Duration = Duration::from_secs(600);
/// Most clients.
const CLIENTS: usize = 4096;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

mod option {
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const BROADCAST: u8 = 28;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const RENEWAL: u8 = 58;
    pub(super) const REBINDING: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const BOOT_FILE: u8 = 67;
    pub(super) const END: u8 = 255;
}

mod kind {
    pub(super) const DISCOVER: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const REQUEST: u8 = 3;
    pub(super) const DECLINE: u8 = 4;
    pub(super) const ACK: u8 = 5;
    pub(super) const NAK: u8 = 6;
    pub(super) const RELEASE: u8 = 7;
    pub(super) const INFORM: u8 = 8;
}

/// What the server answers, and to whom.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) payload: Vec<u8>,
    pub(super) mac: Mac,
    pub(super) address: Ipv4Addr,
    /// The address that is now the client's for certain.
    pub(super) granted: Option<Ipv4Addr>,
}

#[derive(Debug)]
struct Lease {
    /// The client identifier, or type and hardware address; empty for an address that was declined.
    client: Vec<u8>,
    address: Ipv4Addr,
    until: Instant,
}

/// The server.
#[derive(Debug)]
pub(super) struct Dhcp {
    net: Ipv4Config,
    hostname: Option<String>,
    domain: Option<String>,
    bootfile: Option<String>,
    /// Whether clients are told of a gateway and a name server.
    routed: bool,
    leases: Vec<Lease>,
}

/// A request with the parts that matter.
struct Request<'a> {
    bytes: &'a [u8],
    kind: u8,
    mac: Mac,
    ciaddr: Ipv4Addr,
    broadcast: bool,
    client: Vec<u8>,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    named: bool,
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        // A request, from Ethernet, with the cookie.
        if bytes.get(..3)? != [1, 1, 6] || bytes.get(236..240)? != COOKIE {
            return None;
        }
        let address = |bytes: &[u8]| bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes));
        let mac = Mac(*bytes[28..].first_chunk()?);
        let mut request = Self {
            bytes,
            kind: 0,
            mac,
            ciaddr: address(&bytes[12..])?,
            broadcast: bytes[10] & 0x80 != 0,
            client: [&[1], &mac.0[..]].concat(),
            requested: None,
            server: None,
            named: false,
        };
        let mut rest = &bytes[240..];
        while let Some((&code, tail)) = rest.split_first() {
            match code {
                0 => rest = tail,
                option::END => break,
                _ => {
                    let (&len, tail) = tail.split_first()?;
                    let value = tail.get(..usize::from(len))?;
                    rest = &tail[usize::from(len)..];
                    match code {
                        option::TYPE => request.kind = *value.first()?,
                        option::REQUESTED => request.requested = address(value),
                        option::SERVER => request.server = address(value),
                        option::CLIENT if value.len() > 1 => request.client = value.to_vec(),
                        option::HOST_NAME => request.named = true,
                        _ => {}
                    }
                }
            }
        }
        (mac.is_station() && request.kind != 0).then_some(request)
    }
}

impl Dhcp {
    pub(super) fn new(net: Ipv4Config, config: &NatConfig) -> Self {
        let NatConfig { hostname, domain, bootfile, restrict, .. } = config.clone();
        Self { net, hostname, domain, bootfile, routed: !restrict, leases: Vec::new() }
    }

    /// How many addresses are given away.
    pub(super) fn leases(&self) -> usize {
        self.leases.len()
    }

    /// Answers a request. `neighbour` knows who uses an address on the cable.
    pub(super) fn answer(
        &mut self,
        bytes: &[u8],
        now: Instant,
        neighbour: impl Fn(Ipv4Addr) -> Option<Mac>,
    ) -> Option<Reply> {
        let request = Request::parse(bytes)?;
        if request.server.is_some_and(|server| server != self.net.host) {
            // It took another server's offer.
            self.leases.retain(|lease| lease.client != request.client);
            return None;
        }
        match request.kind {
            kind::DISCOVER => {
                let address = self.choose(&request, now, neighbour)?;
                self.record(&request, address, now + OFFER);
                Some(self.reply(&request, kind::OFFER, address))
            }
            kind::REQUEST => self.request(&request, now, neighbour),
            kind::DECLINE => {
                let address = request.requested?;
                self.leases.retain(|lease| lease.client != request.client && lease.address != address);
                if self.net.is_guest(address) && self.leases.len() < CLIENTS {
                    self.leases.push(Lease { client: Vec::new(), address, until: now + DECLINED });
                }
                None
            }
            kind::RELEASE => {
                // The address stays this client's for as long as nobody else needs it.
                let lease = self.leases.iter_mut().find(|lease| lease.client == request.client)?;
                lease.until = now;
                None
            }
            kind::INFORM => Some(self.reply(&request, kind::ACK, Ipv4Addr::UNSPECIFIED)),
            _ => None,
        }
    }

    fn request(
        &mut self,
        request: &Request<'_>,
        now: Instant,
        neighbour: impl Fn(Ipv4Addr) -> Option<Mac>,
    ) -> Option<Reply> {
        let wanted = request.requested.unwrap_or(request.ciaddr);
        let own = self.leases.iter().find(|lease| lease.client == request.client).map(|lease| lease.address);
        let good = match own {
            Some(address) => address == wanted,
            // A client that knows an address from before we were started may keep it.
            None => self.is_free(wanted, request, now, &neighbour),
        };
        if !good {
            return Some(self.reply(request, kind::NAK, Ipv4Addr::UNSPECIFIED));
        }
        self.record(request, wanted, now + LEASE);
        let mut reply = self.reply(request, kind::ACK, wanted);
        reply.granted = Some(wanted);
        Some(reply)
    }

    fn is_free(
        &self,
        address: Ipv4Addr,
        request: &Request<'_>,
        now: Instant,
        neighbour: &impl Fn(Ipv4Addr) -> Option<Mac>,
    ) -> bool {
        self.net.is_guest(address)
            && self
                .leases
                .iter()
                .all(|lease| lease.address != address || lease.client == request.client || lease.until <= now)
            && neighbour(address).is_none_or(|mac| mac == request.mac)
    }

    fn choose(
        &self,
        request: &Request<'_>,
        now: Instant,
        neighbour: impl Fn(Ipv4Addr) -> Option<Mac>,
    ) -> Option<Ipv4Addr> {
        if let Some(lease) = self.leases.iter().find(|lease| lease.client == request.client) {
            return Some(lease.address);
        }
        if let Some(wanted) =
            request.requested.filter(|wanted| self.is_free(*wanted, request, now, &neighbour))
        {
            return Some(wanted);
        }
        // First an address that nobody ever had, then one whose client is gone.
        let first = self.net.first.to_bits();
        let last = (self.net.broadcast().to_bits() - 1).min(first.saturating_add(CLIENTS as u32 - 1));
        let pool =
            || (first..=last).map(Ipv4Addr::from).filter(|a| self.is_free(*a, request, now, &neighbour));
        let unused = pool().find(|address| self.leases.iter().all(|lease| lease.address != *address));
        unused.or_else(|| pool().next())
    }

    fn record(&mut self, request: &Request<'_>, address: Ipv4Addr, until: Instant) {
        self.leases.retain(|lease| lease.client == request.client || lease.address != address);
        let room = self.leases.len() < CLIENTS;
        match self.leases.iter_mut().find(|lease| lease.client == request.client) {
            // An offer does not shorten the lease that it repeats.
            Some(lease) if lease.address == address => lease.until = lease.until.max(until),
            Some(lease) => (lease.address, lease.until) = (address, until),
            None if room => {
                self.leases.push(Lease { client: request.client.clone(), address, until });
            }
            None => {}
        }
    }

    fn reply(&self, request: &Request<'_>, kind: u8, address: Ipv4Addr) -> Reply {
        let mut payload = vec![0; 240];
        payload[..3].copy_from_slice(&[2, 1, 6]);
        payload[4..8].copy_from_slice(&request.bytes[4..8]); // transaction
        payload[10..12].copy_from_slice(&request.bytes[10..12]); // flags
        if kind == kind::ACK {
            payload[12..16].copy_from_slice(&request.ciaddr.octets());
        }
        payload[16..20].copy_from_slice(&address.octets());
        if kind != kind::NAK {
            payload[20..24].copy_from_slice(&self.net.host.octets());
        }
        payload[28..44].copy_from_slice(&request.bytes[28..44]);
        payload[236..240].copy_from_slice(&COOKIE);
        if let Some(file) = self.bootfile.as_ref().filter(|file| kind != kind::NAK && file.len() < 128) {
            payload[108..108 + file.len()].copy_from_slice(file.as_bytes());
        }
        let mut put = |code: u8, value: &[u8]| {
            let value = &value[..value.len().min(255)];
            payload.extend([code, value.len() as u8]);
            payload.extend(value);
        };
        put(option::TYPE, &[kind]);
        put(option::SERVER, &self.net.host.octets());
        if kind != kind::NAK {
            if !address.is_unspecified() {
                let seconds = LEASE.as_secs() as u32;
                put(option::LEASE_TIME, &seconds.to_be_bytes());
                put(option::RENEWAL, &(seconds / 2).to_be_bytes());
                put(option::REBINDING, &(seconds / 8 * 7).to_be_bytes());
            }
            put(option::MASK, &self.net.mask().octets());
            put(option::BROADCAST, &self.net.broadcast().octets());
            if self.routed {
                put(option::ROUTER, &self.net.host.octets());
                put(option::DNS, &self.net.dns.octets());
            }
            if let Some(name) = self.hostname.as_ref().filter(|_| !request.named) {
                put(option::HOST_NAME, name.as_bytes());
            }
            if let Some(file) = &self.bootfile {
                put(option::BOOT_FILE, file.as_bytes());
            }
            if let Some(domain) = &self.domain {
                put(option::DOMAIN, domain.as_bytes());
            }
        }
        payload.push(option::END);
        payload.resize(payload.len().max(300), 0); // what BOOTP clients expect at least
        let (mac, to) = if kind == kind::NAK || (request.broadcast && request.ciaddr.is_unspecified()) {
            (Mac::BROADCAST, Ipv4Addr::BROADCAST)
        } else if request.ciaddr.is_unspecified() {
            (request.mac, address)
        } else {
            (request.mac, request.ciaddr)
        };
        Reply { payload, mac, address: to, granted: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

    fn server() -> Dhcp {
        let config = NatConfig { hostname: Some("box".into()), ..NatConfig::default() };
        Dhcp::new(Ipv4Config::default(), &config)
    }

    fn message(kind: u8, client: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..8].copy_from_slice(&[1, 1, 6, 0, 1, 2, 3, 4]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, client]);
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes.extend([option::TYPE, 1, kind]);
        for (code, value) in options {
            bytes.extend([*code, value.len() as u8]);
            bytes.extend(*value);
        }
        bytes.push(option::END);
        bytes
    }

    fn find(reply: &Reply, code: u8) -> Option<Vec<u8>> {
        let mut rest = &reply.payload[240..];
        while rest[0] != option::END {
            if rest[0] == code {
                return Some(rest[2..2 + rest[1] as usize].to_vec());
            }
            rest = &rest[2 + rest[1] as usize..];
        }
        None
    }

    fn lease(server: &mut Dhcp, client: u8) -> Ipv4Addr {
        let now = Instant::now();
        let offer = server.answer(&message(kind::DISCOVER, client, &[]), now, |_| None).unwrap();
        assert_eq!(find(&offer, option::TYPE).unwrap(), [kind::OFFER]);
        let address: [u8; 4] = offer.payload[16..20].try_into().unwrap();
        let options = [(option::REQUESTED, &address[..]), (option::SERVER, &HOST.octets())];
        let ack = server.answer(&message(kind::REQUEST, client, &options), now, |_| None).unwrap();
        assert_eq!(find(&ack, option::TYPE).unwrap(), [kind::ACK]);
        assert_eq!(ack.granted, Some(address.into()));
        assert_eq!(find(&ack, option::ROUTER).unwrap(), HOST.octets());
        assert_eq!(find(&ack, option::HOST_NAME).unwrap(), b"box");
        assert_eq!(ack.mac, Mac([2, 0, 0, 0, 0, client]));
        address.into()
    }

    #[test]
    fn every_client_gets_its_own_address_and_keeps_it() {
        let mut server = server();
        assert_eq!(lease(&mut server, 1), Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(lease(&mut server, 2), Ipv4Addr::new(10, 0, 2, 16));
        assert_eq!(lease(&mut server, 1), Ipv4Addr::new(10, 0, 2, 15));
        let all: std::collections::BTreeSet<_> = (0..240).map(|n| lease(&mut server, n)).collect();
        assert_eq!(all.len(), 240);
        let now = Instant::now();
        assert!(
            server.answer(&message(kind::DISCOVER, 250, &[]), now, |_| None).is_none(),
            "the pool is empty"
        );
        // A day and a minute later, the first one's place is free.
        let later = now + LEASE + OFFER;
        let offer = server.answer(&message(kind::DISCOVER, 250, &[]), later, |_| None).unwrap();
        assert_eq!(offer.payload[16..20], [10, 0, 2, 15]);
    }

    #[test]
    fn an_address_that_somebody_uses_without_asking_is_not_given_away() {
        let other = |address: Ipv4Addr| (address.octets()[3] < 18).then_some(Mac([2, 9, 9, 9, 9, 9]));
        let offer = server().answer(&message(kind::DISCOVER, 1, &[]), Instant::now(), other).unwrap();
        assert_eq!(offer.payload[16..20], [10, 0, 2, 18]);
    }

    #[test]
    fn a_client_that_wakes_up_in_another_network_is_told_no() {
        let mut server = server();
        let now = Instant::now();
        for wrong in [[192, 168, 1, 7], [10, 0, 2, 2], [10, 0, 2, 255]] {
            let options = [(option::REQUESTED, &wrong[..])];
            let nak = server.answer(&message(kind::REQUEST, 1, &options), now, |_| None).unwrap();
            assert_eq!(find(&nak, option::TYPE).unwrap(), [kind::NAK]);
            assert_eq!((nak.mac, nak.address), (Mac::BROADCAST, Ipv4Addr::BROADCAST));
        }
        // One that fits is kept, even if this server never gave it.
        let options = [(option::REQUESTED, &[10, 0, 2, 77][..])];
        let ack = server.answer(&message(kind::REQUEST, 1, &options), now, |_| None).unwrap();
        assert_eq!(ack.granted, Some(Ipv4Addr::new(10, 0, 2, 77)));
    }

    #[test]
    fn declined_addresses_are_avoided_and_released_ones_come_back() {
        let mut server = server();
        let now = Instant::now();
        let first = lease(&mut server, 1);
        let options = [(option::REQUESTED, &first.octets()[..])];
        assert!(server.answer(&message(kind::DECLINE, 1, &options), now, |_| None).is_none());
        let second = lease(&mut server, 1);
        assert_ne!(first, second);
        assert!(server.answer(&message(kind::RELEASE, 1, &[]), now, |_| None).is_none());
        assert_eq!(lease(&mut server, 1), second);
    }

    #[test]
    fn the_broadcast_flag_is_obeyed_and_so_is_the_client_identifier() {
        let mut server = server();
        let now = Instant::now();
        let mut discover = message(kind::DISCOVER, 1, &[(option::CLIENT, b"\0one")]);
        discover[10] = 0x80;
        let offer = server.answer(&discover, now, |_| None).unwrap();
        assert_eq!((offer.mac, offer.address), (Mac::BROADCAST, Ipv4Addr::BROADCAST));
        // The same machine under another identifier is another client.
        let other = message(kind::DISCOVER, 1, &[(option::CLIENT, b"\0two")]);
        let other = server.answer(&other, now, |_| None).unwrap();
        assert_ne!(offer.payload[16..20], other.payload[16..20]);
    }

    #[test]
    fn no_truncation_and_no_flipped_bit_disturbs_it() {
        let mut server = server();
        let good =
            message(kind::REQUEST, 1, &[(option::REQUESTED, &[10, 0, 2, 15]), (option::CLIENT, &[1; 7])]);
        for len in 0..good.len() {
            server.answer(&good[..len], Instant::now(), |_| None);
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            server.answer(&bad, Instant::now(), |_| None);
        }
        assert!(server.leases() <= CLIENTS);
    }
}
