//! Networks for the machine's cards: every back end implements [`Network`](nomad86::host::Network).
//!
//! The machine's side of a back end never blocks: it is a pair of bounded queues, and whatever has to wait
//! for the world (sockets, name servers, TLS) waits on a thread of the back end. What a queue cannot hold is
//! dropped and counted.
//!
//! | file | what |
//! |---|---|
//! | [`spec`] | `--nic user,hostfwd=…` and `--net ws://…` as typed values |
//! | [`open`] | a back end from its specification, with its meters |
//! | [`nat`] | a user-mode network: the host's network without root |
//! | [`relay`] | WebSocket relays: the client, and our own server |
//! | [`tap`] | a TAP device of the host |
//! | [`hub`] | a learning switch between machines of one process and of several |
//! | [`pcap`] | a recorder around any back end |
//! | [`shape`] | bad lines and injected faults |
//! | [`bell`], [`queue`], [`switch`] | what they are built of |

pub mod bell;
pub mod hub;
pub mod nat;
pub mod open;
pub mod pcap;
pub mod queue;
pub mod relay;
pub mod shape;
pub mod spec;
pub mod switch;
pub mod tap;

/// The shortest frame: destination, source and type.
pub const MIN_FRAME: usize = 14;
/// The longest frame without its check sum: 1500 bytes of payload, the header and one VLAN tag.
pub const MAX_FRAME: usize = 1522;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Self = Self([0xFF; 6]);

    /// The frame's receiver, when it is long enough to name one.
    #[must_use]
    pub fn destination(frame: &[u8]) -> Option<Self> {
        frame.first_chunk().map(|bytes| Self(*bytes))
    }

    /// The frame's sender, when it is long enough to name one.
    #[must_use]
    pub fn source(frame: &[u8]) -> Option<Self> {
        frame.get(6..).and_then(|rest| rest.first_chunk()).map(|bytes| Self(*bytes))
    }

    /// Whether it means more than one station.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether a station can have it: neither a group nor zero.
    #[must_use]
    pub fn is_station(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }

    /// Reads six bytes in hexadecimal, separated by colons or hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next()?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Declares a set of counters that a thread raises and others read: the atomics, and a plain copy of them.
macro_rules! counters {
    ($(#[$doc:meta])* $atomic:ident => $plain:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $atomic { $(pub(crate) $field: std::sync::atomic::AtomicU64,)* }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $plain { $($(#[$field_doc])* pub $field: u64,)* }

        impl $atomic {
            /// A copy of all counters, each as it is now.
            pub(crate) fn read(&self) -> $plain {
                $plain { $($field: self.$field.load(std::sync::atomic::Ordering::Relaxed),)* }
            }
        }

        impl $plain {
            /// Names and values, in the order of their declaration.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field),)*]
            }
        }
    };
}
pub(crate) use counters;

/// Raises a counter by one.
pub(crate) fn count(counter: &std::sync::atomic::AtomicU64) {
    add(counter, 1);
}

/// Raises a counter.
pub(crate) fn add(counter: &std::sync::atomic::AtomicU64, amount: u64) {
    counter.fetch_add(amount, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_read_with_colons_or_hyphens_and_nothing_else() {
        assert_eq!(Mac::parse("52:54:00:12:34:56"), Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])));
        assert_eq!(Mac::parse("2-0-0-a-B-c"), Some(Mac([2, 0, 0, 10, 11, 12])));
        for bad in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:5g",
            "+2:0:0:0:0:0",
            "100:0:0:0:0:0",
        ] {
            assert_eq!(Mac::parse(bad), None, "{bad}");
        }
        assert_eq!(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]).to_string(), "52:54:00:12:34:56");
    }
}
