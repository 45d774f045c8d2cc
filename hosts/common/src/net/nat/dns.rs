//! The name server: it answers for the host's own names and passes all other questions on.
//!
//! Spec: RFC 1035. Answers pass through as they are; those that are too long for one frame are fragmented.

use super::gateway::{Gateway, Kind, token};
use mio::net::UdpSocket;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Questions that wait for an answer at a time.
const QUESTIONS: usize = 128;
/// How long a server may take before the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is waited for altogether; after that the guest hears that there is none.
const LIFETIME: Duration = Duration::from_secs(6);
const LONGEST: usize = 4096;
/// Seconds that the host's own names are good for.
const TTL: u32 = 60;

mod kind {
    pub(super) const A: u16 = 1;
    pub(super) const AAAA: u16 = 28;
    pub(super) const ANY: u16 = 255;
}

#[derive(Debug, Default)]
pub(super) struct Dns {
    questions: Vec<Option<Question>>,
}

#[derive(Debug)]
struct Question {
    /// The guest, and the address that it asked.
    guest: SocketAddr,
    asked: SocketAddr,
    message: Vec<u8>,
    socket: UdpSocket,
    /// Which of the servers was asked.
    server: usize,
    since: Instant,
    next: Instant,
}

impl Dns {
    /// Takes a guest's question.
    pub(super) fn ask(
        &mut self,
        gateway: &mut Gateway,
        guest: SocketAddr,
        asked: SocketAddr,
        message: &[u8],
    ) {
        crate::net::count(&gateway.counters.dns);
        // A question, not an answer, and of one name.
        if message.len() < 12 || message.len() > LONGEST || message[2] & 0x80 != 0 {
            return;
        }
        if let Some(answer) = own_name(gateway, message) {
            return gateway.wire.udp((asked.ip(), 53), (guest.ip(), guest.port()), &answer);
        }
        if gateway.config.restrict {
            let answer = failure(message, 5);
            return gateway.wire.udp((asked.ip(), 53), (guest.ip(), guest.port()), &answer);
        }
        // The same question again means that the answer was lost or is late: the old one is dropped.
        let same = |old: &Question| old.guest == guest && old.message[..2] == message[..2];
        let index = match self.questions.iter().position(|old| old.as_ref().is_none_or(same)) {
            Some(index) => index,
            None if self.questions.len() < QUESTIONS => {
                self.questions.push(None);
                self.questions.len() - 1
            }
            None => self.oldest(),
        };
        self.questions[index] = None;
        let since = gateway.now;
        self.start(gateway, index, guest, asked, message.to_vec(), 0, since);
    }

    fn oldest(&self) -> usize {
        let ages = self.questions.iter().enumerate().map(|(index, q)| (q.as_ref().map(|q| q.since), index));
        ages.min().map_or(0, |(_, index)| index)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a question")]
    fn start(
        &mut self,
        gateway: &mut Gateway,
        index: usize,
        guest: SocketAddr,
        asked: SocketAddr,
        message: Vec<u8>,
        first: usize,
        since: Instant,
    ) {
        let servers = gateway.resolvers.list(gateway.now).to_vec();
        for (server, address) in servers.iter().enumerate().skip(first) {
            let Ok(mut socket) = connect(*address) else { continue };
            if gateway.watch(&mut socket, token(Kind::Dns, index), false).is_err()
                || socket.send(&message).is_err()
            {
                continue;
            }
            let next = gateway.now + PATIENCE;
            self.questions[index] = Some(Question { guest, asked, message, socket, server, since, next });
            return;
        }
        let answer = failure(&message, 2);
        gateway.wire.udp((asked.ip(), 53), (guest.ip(), guest.port()), &answer);
    }

    /// A server has answered, or cannot be reached.
    pub(super) fn ready(&mut self, gateway: &mut Gateway, index: usize) {
        let Some(Some(question)) = self.questions.get(index) else { return };
        let mut buffer = [0; LONGEST];
        match question.socket.recv(&mut buffer) {
            // The socket is connected: nobody else's datagrams come here.
            Ok(len) if len >= 12 && buffer[..2] == question.message[..2] => {
                let (guest, asked) = (question.guest, question.asked);
                self.questions[index] = None;
                gateway.wire.udp((asked.ip(), 53), (guest.ip(), guest.port()), &buffer[..len]);
            }
            Ok(_) => self.ready(gateway, index),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.next_server(gateway, index),
        }
    }

    fn next_server(&mut self, gateway: &mut Gateway, index: usize) {
        if let Some(question) = self.questions[index].take() {
            let Question { guest, asked, message, server, since, .. } = question;
            self.start(gateway, index, guest, asked, message, server + 1, since);
        }
    }

    /// Asks the next server where one is late; gives the next time to look.
    pub(super) fn poll(&mut self, gateway: &mut Gateway) -> Option<Instant> {
        for index in 0..self.questions.len() {
            let Some(question) = &self.questions[index] else { continue };
            if gateway.now.saturating_duration_since(question.since) >= LIFETIME {
                let answer = failure(&question.message, 2);
                let (guest, asked) = (question.guest, question.asked);
                self.questions[index] = None;
                gateway.wire.udp((asked.ip(), 53), (guest.ip(), guest.port()), &answer);
            } else if gateway.now >= question.next {
                let more = question.server + 1 < gateway.resolvers.list(gateway.now).len();
                if more {
                    self.next_server(gateway, index);
                } else if let Some(question) = &mut self.questions[index] {
                    question.next = question.since + LIFETIME;
                }
            }
        }
        self.questions.iter().flatten().map(|question| question.next).min()
    }
}

fn connect(server: SocketAddr) -> std::io::Result<UdpSocket> {
    // Each question has its own socket, and so its own random port, which forgers would have to guess.
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// The one question of a message: its name in lower case, its type, and where it ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    if message.get(4..6)? != [0, 1] || message[2] & 0x78 != 0 {
        return None;
    }
    let mut name = String::new();
    let mut at = 12;
    loop {
        let len = usize::from(*message.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        if len > 63 || name.len() > 255 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(message.get(at..at + len)?.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        at += len;
    }
    let [a, b, 0, 1] = *message.get(at..)?.first_chunk()? else { return None };
    Some((name, u16::from_be_bytes([a, b]), at + 4))
}

/// The answer when the question is about the host itself.
fn own_name(gateway: &Gateway, message: &[u8]) -> Option<Vec<u8>> {
    let (name, kind, end) = question(message)?;
    gateway.config.host_names.iter().find(|own| own.eq_ignore_ascii_case(&name))?;
    let mut records: Vec<IpAddr> = Vec::new();
    if let Some(net) = gateway.config.ipv4.filter(|_| [kind::A, kind::ANY].contains(&kind)) {
        records.push(net.host.into());
    }
    if let Some(net) = gateway.config.ipv6.filter(|_| [kind::AAAA, kind::ANY].contains(&kind)) {
        records.push(net.host.into());
    }
    let mut answer = message[..end].to_vec();
    answer[2] = 0x84 | message[2] & 1; // an answer of the authority
    answer[3] = 0x80;
    answer[4..12].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for record in records {
        let (kind, bytes) = match record {
            IpAddr::V4(address) => (kind::A, address.octets().to_vec()),
            IpAddr::V6(address) => (kind::AAAA, address.octets().to_vec()),
        };
        answer.extend([0xC0, 12]); // the name in the question
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(TTL.to_be_bytes());
        answer.extend((bytes.len() as u16).to_be_bytes());
        answer.extend(bytes);
    }
    Some(answer)
}

/// An answer that says why there is none.
fn failure(message: &[u8], code: u8) -> Vec<u8> {
    let end = question(message).map_or(12, |(_, _, end)| end);
    let mut answer = message[..end].to_vec();
    answer[2] = 0x80 | message[2] & 0x79;
    answer[3] = 0x80 | code;
    answer[4..12].copy_from_slice(&[0, u8::from(end > 12), 0, 0, 0, 0, 0, 0]);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_and_nonsense_is_not() {
        let mut message = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4];
        message.extend(b"HoSt\x07nomad86\0\0\x01\0\x01");
        assert_eq!(question(&message), Some(("host.nomad86".into(), kind::A, message.len())));
        for len in 0..message.len() {
            assert_eq!(question(&message[..len]), None, "{len}");
        }
        let mut looping = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        looping.extend([0xC0, 12, 0, 1, 0, 1]);
        assert_eq!(question(&looping), None, "a pointer cannot stand in a question");
        let mut long = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        long.extend([1, b'a'].repeat(1000));
        assert_eq!(question(&long), None);
        assert_eq!(failure(&message, 2)[..8], [7, 7, 0x81, 0x82, 0, 1, 0, 0]);
        assert_eq!(failure(&looping, 2).len(), 12);
    }
}
