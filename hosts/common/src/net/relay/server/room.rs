//! Rooms: each a learning switch of its own, with or without an uplink.

use super::config::{RelayServerConfig, Uplink};
use crate::net::bell::Bell;
use crate::net::nat::{Nat, NatConfig};
use crate::net::switch::Switch;
use nomad86::host::Network;
use std::io;

/// The port number of the uplink; clients have others.
pub(super) const UPLINK: usize = usize::MAX;
/// The room of those who name none.
pub(super) const DEFAULT: &str = "/";

pub(super) struct Room {
    pub(super) name: String,
    pub(super) switch: Switch<usize>,
    pub(super) members: Vec<usize>,
    pub(super) uplink: Option<Box<dyn Network + Send>>,
}

impl Room {
    /// A room that nobody is in.
    pub(super) fn new(name: &str, config: &RelayServerConfig, bell: Bell) -> Self {
        // Without its uplink a room still connects its clients.
        let uplink = uplink(name, config, bell).unwrap_or_default();
        Self { name: name.to_owned(), switch: Switch::new(config.rules), members: Vec::new(), uplink }
    }
}

/// The uplink of a room, if it has one.
pub(super) fn uplink(
    name: &str,
    config: &RelayServerConfig,
    bell: Bell,
) -> io::Result<Option<Box<dyn Network + Send>>> {
    let nat = match &config.uplink {
        Uplink::None => return Ok(None),
        Uplink::Tap(_) if name != DEFAULT => return Ok(None),
        Uplink::Tap(device) => {
            return Ok(Some(Box::new(crate::net::tap::Tap::open(device.as_deref(), bell)?)));
        }
        Uplink::Dhcp => NatConfig { restrict: true, ipv6: None, ..NatConfig::default() },
        Uplink::Nat(nat) if name == DEFAULT => (**nat).clone(),
        // A port of the host can lead to one room only.
        Uplink::Nat(nat) => NatConfig { forwards: Vec::new(), ..(**nat).clone() },
    };
    Ok(Some(Box::new(Nat::start(nat, bell)?)))
}
