//! IPv6, neighbour discovery and DHCPv6.

use super::{Check, Generator, Kind, naive_sum};

impl Generator {
    pub(super) fn ipv6(&mut self) {
        let start = self.here();
        self.put(&[0x60, 0, 0, 0]);
        let length = self.put_length();
        self.frame.lengths.push(self.here());
        let mut next = self.here();
        self.put(&[0, 255]);
        self.put_decoys(32);
        let protocol: u8 = [58, 58, 58, 17, 17, 17, 6, 59][self.below(8)];
        let mut hidden = !matches!(protocol, 58 | 17);
        let mut first_fragment = false;
        for _ in 0..self.below(8).saturating_sub(4) {
            let extension = [0u8, 43, 60, 135, 139, 140, 51, 44][self.below(8)];
            self.frame.bytes[next] = extension;
            next = self.here();
            self.frame.lengths.extend([next, next + 1]);
            match extension {
                44 => {
                    let later = self.one_in(3);
                    hidden |= later;
                    first_fragment |= !later;
                    let offset = if later { 8 * (1 + self.below(99)) } else { 0 };
                    self.put(&[0, 0]);
                    self.put16(offset | 1);
                    self.put_random(4);
                }
                51 => {
                    let words = self.below(6);
                    self.put(&[0, words as u8]);
                    self.put_decoys(4 * (words + 2) - 2);
                }
                _ => {
                    let units = self.below(4);
                    self.put(&[0, units as u8]);
                    self.put_decoys(8 * (units + 1) - 2);
                }
            }
        }
        self.frame.bytes[next] = protocol;
        let upper = self.here();
        let pseudo = u32::from(naive_sum(&self.frame.bytes[start + 8..start + 40], u32::from(protocol)));
        if hidden {
            let count = self.below(100);
            self.put_decoys(count);
        } else if protocol == 17 {
            self.udp(pseudo, true);
        } else {
            self.icmpv6(pseudo);
        }
        let mut end = self.here();
        if first_fragment && !hidden && self.one_in(2) {
            end = upper + 8 + 8 * self.below((end - upper) / 8);
            end = end.min(self.here());
            self.frame.visible = end;
        }
        self.set16(length, end - start - 40);
    }

    fn icmpv6(&mut self, pseudo: u32) {
        let start = self.here();
        let choices = [(133u8, 8), (134, 16), (135, 24), (136, 24), (137, 40), (128, 8), (143, 8)];
        let (kind, fixed) = choices[self.below(7)];
        self.frame.lengths.push(start);
        self.put(&[kind, 0, 0, 0]);
        self.put_decoys(fixed - 4);
        if !(133..138).contains(&kind) {
            let count = self.below(64);
            self.put_decoys(count);
        } else {
            for _ in 0..self.below(5) {
                let at = self.here();
                self.frame.lengths.push(at + 1);
                match self.below(5) {
                    0..=2 => {
                        let option = 1 + self.below(2) as u8;
                        self.put(&[option, 1]);
                        self.put_address(at + 8);
                    }
                    3 => {
                        let units = 1 + self.below(4);
                        self.put(&[3, units as u8]);
                        self.put_decoys(8 * units - 2);
                    }
                    _ => {
                        // Longer than an Ethernet address.
                        self.put(&[1, 2]);
                        self.put_decoys(14);
                    }
                }
            }
            if self.one_in(6) {
                // A length of zero ends the walk.
                self.put(&[5, 0, 1, 1]);
                self.put_decoys(14);
            }
        }
        let end = self.here();
        let pseudo = pseudo + (end - start) as u32;
        self.frame.check = Some(Check { kind: Kind::Icmpv6, at: start + 2, start, end, pseudo });
    }

    /// A message, at `depth` relays' depth.
    pub(super) fn dhcpv6(&mut self, depth: usize) {
        if depth < 8 && self.one_in(3) {
            let kind = 12 + self.below(2) as u8;
            self.put(&[kind, depth as u8]);
            self.put_decoys(32);
        } else {
            let kind = 1 + self.below(11) as u8;
            self.put(&[kind]);
            self.put_random(3);
        }
        for _ in 0..self.below(4) {
            let first = self.frame.places.len();
            match self.below(5) {
                0 | 1 => {
                    let option = 1 + self.below(2);
                    self.dhcpv6_option(option, |g| {
                        let with_time = g.one_in(2);
                        g.put(if with_time { &[0, 1, 0, 1] } else { &[0, 3, 0, 1] });
                        g.put_random(if with_time { 4 } else { 0 });
                        g.put_address(0);
                    });
                }
                2 => self.dhcpv6_option(1, |g| {
                    // A DUID of a vendor's, of other hardware, or longer than it should be.
                    let choice = g.below(3);
                    g.put(&[[0, 2, 0, 1], [0, 3, 0, 6], [0, 3, 0, 1]][choice]);
                    g.put_decoys(if choice == 2 { 7 } else { 6 });
                }),
                3 => self.dhcpv6_option(3, |g| {
                    let count = g.below(40);
                    g.put_decoys(count);
                }),
                _ if self.here() < 1000 => self.dhcpv6_option(9, |g| g.dhcpv6(depth + 1)),
                _ => {}
            }
            // An option that is cut off is not looked into, nor are those inside it.
            self.need_all_since(first);
        }
    }

    fn dhcpv6_option(&mut self, code: usize, value: impl FnOnce(&mut Self)) {
        self.put16(code);
        let length = self.put_length();
        let start = self.here();
        value(self);
        let end = self.here();
        self.set16(length, end - start);
    }
}
