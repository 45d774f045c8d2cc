//! IPv4, UDP and DHCP.

use super::{Check, Generator, Kind, naive_sum};

impl Generator {
    pub(super) fn ipv4(&mut self) {
        let start = self.here();
        let options = if self.one_in(3) { 4 * self.below(11) } else { 0 };
        let other_protocol = self.one_in(8);
        let protocol = if other_protocol { [1, 6, 47][self.below(3)] } else { 17 };
        let later_fragment = self.one_in(8);
        let first_fragment = !later_fragment && !other_protocol && self.one_in(6);
        self.frame.lengths.extend([start, start + 6, start + 7, start + 9]);
        self.put(&[0x45 + (options / 4) as u8, 0]);
        let length = self.put_length();
        self.put_random(2);
        let offset = 1 + self.below(100);
        let whole = [0, 0x4000][self.below(2)];
        self.put16(match (later_fragment, first_fragment) {
            (true, _) => 0x2000 | offset,
            (_, true) => 0x2000,
            _ => whole,
        });
        self.put(&[64, protocol, 0, 0]);
        self.put_random(8);
        self.put_decoys(options);
        let pseudo = u32::from(naive_sum(&self.frame.bytes[start + 12..start + 20], 17));
        if later_fragment || other_protocol {
            let count = 20 + self.below(100);
            self.put_decoys(count);
        } else {
            self.udp(pseudo, false);
        }
        let mut end = self.here();
        if first_fragment {
            // At least the UDP header travels in the first one.
            let udp = start + 20 + options;
            end = udp + 8 + 8 * self.below((end - udp) / 8);
            end = end.min(self.here());
            self.frame.visible = end;
            // What lies beyond is in no frame and may not be needed.
        }
        self.set16(length, end - start);
    }

    /// A datagram. `pseudo` is the sum of addresses and protocol.
    pub(super) fn udp(&mut self, pseudo: u32, ipv6: bool) {
        let start = self.here();
        let (service, ports): (u8, [u16; 2]) = match (self.below(8), ipv6) {
            (0..=4, false) => (0, [[68, 67], [67, 68], [67, 67], [1068, 67]][self.below(4)]),
            (0..=4, true) => (1, [[546, 547], [547, 546], [547, 547], [5460, 547]][self.below(4)]),
            (5, _) => (2, [[4000, 9], [5000, 7]][self.below(2)]),
            (6, false) => (3, [546, 547]),
            (6, true) => (3, [68, 67]),
            _ => (3, [[9, 5353], [53, 1234], [69, 66]][self.below(3)]),
        };
        self.put(&ports[0].to_be_bytes());
        self.put(&ports[1].to_be_bytes());
        let length = self.put_length();
        self.put(&[0, 0]);
        match service {
            0 => self.dhcp(),
            1 => self.dhcpv6(0),
            2 => self.magic_packet(),
            _ => {
                let count = self.below(120);
                self.put_decoys(count);
            }
        }
        let end = self.here();
        self.set16(length, end - start);
        let pseudo = pseudo + (end - start) as u32;
        let absent = self.one_in(4);
        self.frame.check = (!absent).then_some(Check { kind: Kind::Udp, at: start + 6, start, end, pseudo });
        if self.one_in(8) {
            // An IP payload longer than the datagram: what looks like one more option is none.
            self.put(if ipv6 { &[0, 1, 0, 10, 0, 3, 0, 1][..] } else { &[61, 7, 1] });
            self.put_decoys(6);
        }
    }

    fn dhcp(&mut self) {
        let start = self.here();
        let ethernet = !self.one_in(8);
        let operation = [1, 2, 1, 2, 1, 2, 3][self.below(7)];
        let valid = operation < 3;
        self.frame.lengths.extend([start, start + 1, start + 2]);
        self.put(&[operation, 1, if ethernet { 6 } else { 16 }]);
        self.put_decoys(25);
        if valid && ethernet {
            self.put_address(start + 34);
        } else {
            self.put_decoys(6);
        }
        self.put(&[0; 10]);
        // sname and file: options of an overloaded message, or text.
        let cookie = !self.one_in(6);
        let overload = if self.one_in(3) { self.below(4) } else { 0 };
        let walked = valid && cookie;
        let (sname, file) = (start + 44, start + 108);
        let first_of_fields = self.frame.places.len();
        self.dhcp_field(sname, 64, walked && overload & 2 != 0);
        self.dhcp_field(file, 128, walked && overload & 1 != 0);
        let fields = first_of_fields..self.frame.places.len();
        if !cookie && self.one_in(2) {
            // Plain BOOTP, perhaps shorter than its vendor field.
            let vendor = self.below(64);
            self.put_decoys(vendor);
            return;
        }
        self.put(if cookie { &[0x63, 0x82, 0x53, 0x63] } else { &[0x63, 0x82, 0x53, 0x64] });
        let before = self.below(4);
        for _ in 0..before {
            self.dhcp_option(walked);
        }
        if overload != 0 {
            self.put(&[52, 1, overload as u8]);
            // The fields count only once this option has been seen.
            let end = self.here();
            for place in &mut self.frame.places[fields] {
                place.needs = end;
            }
        }
        let after = self.below(4);
        for _ in 0..after {
            self.dhcp_option(walked);
        }
        if self.one_in(5) {
            return;
        }
        self.put(&[255]);
        self.put(&[61, 7, 1]);
        self.put_decoys(6);
    }

    /// `sname` or `file`: filled with options when it is `walked`, else with the same as a decoy.
    fn dhcp_field(&mut self, at: usize, size: usize, walked: bool) {
        while self.here() + 27 < at + size {
            if self.one_in(5) {
                self.put(&[255]);
                let rest = at + size - self.here();
                self.put_decoys(rest);
                return;
            }
            self.dhcp_option_up_to(walked, at + size - self.here());
        }
        let rest = at + size - self.here();
        self.put(&[0; 32][..rest]);
    }

    fn dhcp_option(&mut self, walked: bool) {
        self.dhcp_option_up_to(walked, 200);
    }

    /// An option of at most `room` (at least 27) bytes.
    fn dhcp_option_up_to(&mut self, walked: bool, room: usize) {
        let at = self.here();
        match self.below(7) {
            0 => self.put(&[0]),
            1 => {
                let count = self.below(room.min(40) - 2);
                self.put(&[12, count as u8]);
                self.frame.lengths.push(at + 1);
                self.put_decoys(count);
            }
            2 => self.put(&[53, 1, 1]),
            3 => {
                let longer = self.below(3);
                self.put(&[61, 7 + longer as u8, 1]);
                self.dhcp_address(walked, at + 9 + longer);
                self.put_random(longer);
            }
            4 => {
                self.put(&[61, 15, 255]);
                self.put_random(4);
                self.put(&[0, 3, 0, 1]);
                self.dhcp_address(walked, at + 17);
            }
            5 => {
                self.put(&[61, 19, 255]);
                self.put_random(4);
                self.put(&[0, 1, 0, 1]);
                self.put_random(4);
                self.dhcp_address(walked, at + 21);
            }
            _ => {
                // A client identifier that is a name, a DUID of other hardware, or cut off.
                let choice = self.below(3);
                self.put([&[61, 7, 0][..], &[61, 7, 255], &[61, 6, 1]][choice]);
                let count = usize::from(choice != 2) + 5;
                self.put_decoys(count);
            }
        }
        if self.here() > at + 1 {
            self.frame.lengths.push(at + 1);
        }
    }

    fn dhcp_address(&mut self, walked: bool, needs: usize) {
        if walked { self.put_address(needs) } else { self.put_decoys(6) }
    }
}
