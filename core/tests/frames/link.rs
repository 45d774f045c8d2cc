//! Ethernet, tags, LLC and SNAP, and what lies directly on them.

use super::{Check, Generator, Kind};

/// How a payload with an EtherType is put into a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encapsulation {
    EthernetTwo,
    Snap,
    /// Novell's 802.3, IPX only.
    Raw,
    /// 802.2, IPX only.
    Novell,
}

impl Generator {
    pub(super) fn ethernet(&mut self) {
        self.put_address(14);
        self.put_address(14);
        for tag in 0..self.below(6).saturating_sub(3) {
            let service = tag == 0 && self.one_in(2);
            self.put(if service { &[0x88, 0xA8] } else { &[0x81, 0x00] });
            self.put_random(2);
        }
        let protocol = match self.below(16) {
            0..=3 => 0x0800,
            4..=7 => 0x86DD,
            8 | 9 => 0x0806,
            10 => 0x8035,
            11 | 12 => 0x8137,
            13 => 0x0842,
            14 => 0x88CC,
            _ => 0x6000,
        };
        let encapsulation = match (self.below(4), protocol) {
            (0, _) => Encapsulation::Snap,
            (1, 0x8137) => Encapsulation::Raw,
            (2, 0x8137) => Encapsulation::Novell,
            _ => Encapsulation::EthernetTwo,
        };
        let length = (encapsulation != Encapsulation::EthernetTwo).then(|| self.put_length());
        let start = self.here();
        match encapsulation {
            Encapsulation::EthernetTwo => self.put16(protocol),
            Encapsulation::Snap => {
                let oui = [0, 0, if self.one_in(3) { 0xF8 } else { 0 }];
                self.put(&[0xAA, 0xAA, 3]);
                self.put(&oui);
                self.put16(protocol);
            }
            Encapsulation::Novell => self.put(&[0xE0, 0xE0, 3]),
            Encapsulation::Raw => {}
        }
        match protocol {
            0x0800 => self.ipv4(),
            0x86DD => self.ipv6(),
            0x0806 | 0x8035 => self.arp(),
            0x8137 => self.ipx(encapsulation == Encapsulation::Raw),
            0x0842 => self.magic_packet(),
            0x88CC => self.lldp(),
            _ => self.put_decoys(60),
        }
        if let Some(length) = length {
            let end = self.here().min(self.frame.visible);
            self.set16(length, end - start);
        }
        if self.frame.visible == usize::MAX {
            let padding = self.below(30);
            self.put_decoys(padding);
        }
    }

    fn arp(&mut self) {
        let end = self.here() + 28;
        let ours = !self.one_in(6);
        let header = [[0, 1, 8, 0, 6, 4], [0, 1, 8, 0, 8, 4], [0, 6, 8, 0, 6, 4], [0, 1, 8, 6, 6, 4]];
        let choice = if ours { 0 } else { 1 + self.below(3) };
        let operation = 1 + self.below(25);
        let start = self.here();
        self.frame.lengths.extend(start..start + 6);
        self.put(&header[choice]);
        self.put16(operation);
        if ours {
            self.put_address(end);
            self.put_random(4);
            self.put_address(end);
            self.put_random(4);
        } else {
            self.put_decoys(20);
        }
    }

    fn ipx(&mut self, raw: bool) {
        let start = self.here();
        let header_end = start + 30;
        // 802.3 without LLC is recognised by the unused checksum; elsewhere it may be used.
        let summed = !raw && self.one_in(2);
        self.put(if summed { &[0, 0] } else { &[0xFF, 0xFF] });
        let length = self.put_length();
        self.put_random(2 + 4);
        self.put_address(header_end);
        self.put_random(2 + 4);
        self.put_address(header_end);
        self.put_random(2);
        let payload = self.below(60);
        self.put_decoys(payload);
        let end = self.here();
        self.set16(length, end - start);
        self.frame.check = summed.then_some(Check { kind: Kind::Ipx, at: start, start, end, pseudo: 0 });
    }

    /// The content of a magic packet: all copies alike, or one spoilt, which makes it something else.
    pub(super) fn magic_packet(&mut self) {
        let first = self.frame.places.len();
        let mac = self.any_address();
        let spoilt = if self.one_in(4) { self.below(16) } else { 99 };
        let mut sync = [0xFF; 6];
        if spoilt == 0 {
            sync[5] = 0xFE;
        }
        self.put(&sync);
        for copy in 0..16 {
            let at = self.here();
            if copy == spoilt {
                self.put_random(6);
            } else {
                self.put(&mac);
            }
            if spoilt == 99 {
                self.frame.places.push(super::Place { at, needs: 0 });
            }
        }
        self.need_all_since(first);
        let password = [0, 4, 6][self.below(3)];
        self.put_decoys(password);
    }

    fn lldp(&mut self) {
        for (kind, by_mac) in [(2u8, 4u8), (4, 3)] {
            let named_by_mac = !self.one_in(4);
            let at = self.here();
            self.frame.lengths.push(at + 1);
            if named_by_mac {
                self.put(&[kind, 7, by_mac]);
                self.put_address(at + 9);
            } else {
                self.put(&[kind, 8, by_mac + 1]);
                self.put_decoys(7);
            }
        }
        self.put(&[6, 2, 0, 120]);
        let name = self.below(20);
        self.put(&[10, name as u8]);
        self.put_decoys(name);
        self.put(&[0, 0]);
        // Nothing counts after the end.
        self.put(&[2, 7, 4]);
        self.put_decoys(6);
    }
}
