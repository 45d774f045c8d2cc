//! The table of a learning switch: which port a hardware address was last heard on.
//!
//! An address belongs to the port that spoke with it first. Another port takes it over only after its owner
//! has been silent for a while (a machine that was moved, a connection that was lost and made again), so
//! that nobody steals the frames of a station that is talking. Only the owner's end, or its age, removes an
//! entry: when an old connection is found dead, the new one's entry stays.

use super::Mac;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

/// The rules of a switch.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// An address that was not heard for so long is forgotten.
    pub ageing: Duration,
    /// How long an owner must have been silent before another port may take its address.
    pub takeover: Duration,
    /// Most addresses in the table.
    pub addresses: usize,
    /// Most addresses of one port.
    pub addresses_per_port: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ageing: Duration::from_secs(300),
            takeover: Duration::from_secs(1),
            addresses: 4096,
            addresses_per_port: 1024,
        }
    }
}

/// What a switch made of a frame's sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// It is known on this port (now, or since long).
    Here,
    /// It came over from another port.
    Moved,
    /// It belongs to another port that was heard just now.
    Elsewhere,
    /// The table, or this port's part of it, is full; or a group address cannot be a sender.
    Refused,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route<P> {
    /// To this port.
    Port(P),
    /// To all ports but the one it came from.
    Flood,
    /// Nowhere: its receiver is on the port that it came from.
    Nowhere,
}

/// The table of a learning switch.
///
/// ```
/// use nomad86_host::net::{Mac, switch::{Route, Rules, Switch}};
/// use std::time::Instant;
///
/// let mut switch = Switch::new(Rules::default());
/// let (station, now) = (Mac([0x52, 0x54, 0, 1, 2, 3]), Instant::now());
/// assert_eq!(switch.route(station, "left", now), Route::Flood);
/// switch.learn(station, "right", now);
/// assert_eq!(switch.route(station, "left", now), Route::Port("right"));
/// ```
#[derive(Debug)]
pub struct Switch<P> {
    rules: Rules,
    table: HashMap<Mac, Owner<P>>,
    per_port: HashMap<P, usize>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Owner<P> {
    port: P,
    heard: Instant,
}

impl<P: Copy + Eq + std::hash::Hash> Switch<P> {
    /// An empty table.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, table: HashMap::new(), per_port: HashMap::new(), swept: None }
    }

    /// Notes that `source` was heard on `port`.
    pub fn learn(&mut self, source: Mac, port: P, now: Instant) -> Learned {
        if !source.is_station() {
            return Learned::Refused;
        }
        self.sweep(now);
        let held = self.per_port.get(&port).copied().unwrap_or(0);
        let total = self.table.len();
        match self.table.entry(source) {
            Entry::Occupied(mut entry) if entry.get().port == port => {
                entry.get_mut().heard = now;
                Learned::Here
            }
            Entry::Occupied(mut entry) => {
                let silent = now.saturating_duration_since(entry.get().heard);
                if silent < self.rules.takeover {
                    return Learned::Elsewhere;
                }
                if held >= self.rules.addresses_per_port {
                    return Learned::Refused;
                }
                let old = entry.insert(Owner { port, heard: now });
                self.release(old.port);
                *self.per_port.entry(port).or_default() += 1;
                Learned::Moved
            }
            Entry::Vacant(entry) => {
                if held >= self.rules.addresses_per_port || total >= self.rules.addresses {
                    return Learned::Refused;
                }
                entry.insert(Owner { port, heard: now });
                *self.per_port.entry(port).or_default() += 1;
                Learned::Here
            }
        }
    }

    /// Where a frame for `destination` that came in on `from` goes.
    #[must_use]
    pub fn route(&self, destination: Mac, from: P, now: Instant) -> Route<P> {
        if destination.is_group() {
            return Route::Flood;
        }
        match self.owner(destination, now) {
            Some(port) if port == from => Route::Nowhere,
            Some(port) => Route::Port(port),
            None => Route::Flood,
        }
    }

    /// The port that `address` is known on.
    #[must_use]
    pub fn owner(&self, address: Mac, now: Instant) -> Option<P> {
        let owner = self.table.get(&address)?;
        (now.saturating_duration_since(owner.heard) < self.rules.ageing).then_some(owner.port)
    }

    /// Forgets all that `port` owns.
    pub fn remove_port(&mut self, port: P) {
        if self.per_port.remove(&port).is_some() {
            self.table.retain(|_, owner| owner.port != port);
        }
    }

    /// How many addresses are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no address is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Removes what is too old, now and then: a quarter of the ageing time apart.
    fn sweep(&mut self, now: Instant) {
        let due =
            self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= self.rules.ageing / 4);
        if !due {
            return;
        }
        self.swept = Some(now);
        let ageing = self.rules.ageing;
        let per_port = &mut self.per_port;
        self.table.retain(|_, owner| {
            let fresh = now.saturating_duration_since(owner.heard) < ageing;
            if !fresh && let Some(count) = per_port.get_mut(&owner.port) {
                *count = count.saturating_sub(1);
            }
            fresh
        });
        per_port.retain(|_, count| *count > 0);
    }

    fn release(&mut self, port: P) {
        if let Some(count) = self.per_port.get_mut(&port) {
            *count -= 1;
            if *count == 0 {
                self.per_port.remove(&port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn an_unknown_receiver_is_flooded_a_known_one_is_not() {
        let now = Instant::now();
        let mut switch = Switch::new(Rules::default());
        assert_eq!(switch.learn(A, 1, now), Learned::Here);
        assert_eq!(switch.route(B, 1, now), Route::Flood);
        assert_eq!(switch.learn(B, 2, now), Learned::Here);
        assert_eq!(switch.route(B, 1, now), Route::Port(2));
        assert_eq!(switch.route(A, 1, now), Route::Nowhere);
        assert_eq!(switch.route(Mac::BROADCAST, 1, now), Route::Flood);
        assert_eq!(switch.route(Mac([0x33, 0x33, 0, 0, 0, 1]), 2, now), Route::Flood);
    }

    #[test]
    fn a_talking_station_s_address_is_not_taken_a_silent_one_s_moves() {
        let start = Instant::now();
        let mut switch = Switch::new(Rules::default());
        switch.learn(A, 1, start);
        assert_eq!(switch.learn(A, 2, start + Duration::from_millis(500)), Learned::Elsewhere);
        assert_eq!(switch.owner(A, start), Some(1));
        assert_eq!(switch.learn(A, 2, start + Duration::from_millis(1100)), Learned::Moved);
        assert_eq!(switch.owner(A, start), Some(2));
        // The dead connection is closed after its successor has spoken.
        switch.remove_port(1);
        assert_eq!(switch.owner(A, start), Some(2));
        switch.remove_port(2);
        assert!(switch.is_empty());
    }

    #[test]
    fn an_address_that_was_not_heard_for_long_is_forgotten() {
        let start = Instant::now();
        let mut switch = Switch::new(Rules::default());
        switch.learn(A, 1, start);
        assert_eq!(switch.owner(A, start + Duration::from_secs(299)), Some(1));
        assert_eq!(switch.owner(A, start + Duration::from_secs(300)), None);
        switch.learn(B, 1, start + Duration::from_secs(400));
        assert_eq!(switch.len(), 1);
    }

    #[test]
    fn a_port_that_invents_addresses_fills_its_own_share_only() {
        let now = Instant::now();
        let rules = Rules { addresses: 20, addresses_per_port: 8, ..Rules::default() };
        let mut switch = Switch::new(rules);
        for n in 0..=255 {
            let outcome = switch.learn(Mac([2, 1, 1, 1, 1, n]), 1, now);
            assert_eq!(outcome, if n < 8 { Learned::Here } else { Learned::Refused });
        }
        assert_eq!(switch.learn(A, 2, now), Learned::Here);
        assert_eq!(switch.learn(Mac::BROADCAST, 2, now), Learned::Refused);
        assert_eq!(switch.learn(Mac([0; 6]), 2, now), Learned::Refused);
    }
}
