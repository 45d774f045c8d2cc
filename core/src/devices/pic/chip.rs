//! One 8259A.

use super::CASCADE;

mod icw1 {
    /// This is an ICW1, not an OCW.
    pub(super) const INIT: u8 = 0x10;
    /// No cascade: ICW3 is left out.
    pub(super) const SNGL: u8 = 0x02;
    /// ICW4 follows.
    pub(super) const IC4: u8 = 0x01;
}

mod icw4 {
    /// Special fully nested mode.
    pub(super) const SFNM: u8 = 0x10;
    /// Automatic end of interrupt.
    pub(super) const AEOI: u8 = 0x02;
}

mod ocw3 {
    /// This is an OCW3, not an OCW2.
    pub(super) const SELECT: u8 = 0x08;
    /// The special mask bit counts.
    pub(super) const ESMM: u8 = 0x40;
    /// Special mask mode.
    pub(super) const SMM: u8 = 0x20;
    /// Poll command.
    pub(super) const POLL: u8 = 0x04;
    /// The read-register bit counts.
    pub(super) const RR: u8 = 0x02;
    /// Read ISR rather than IRR.
    pub(super) const RIS: u8 = 0x01;
}

/// Which word the data port expects.
mod expects {
    pub(super) const OCW1: u8 = 0;
    pub(super) const ICW2: u8 = 2;
    pub(super) const ICW3: u8 = 3;
    pub(super) const ICW4: u8 = 4;
}

/// An 8259A.
#[derive(Clone, Debug, Default)]
pub(super) struct Chip {
    master: bool,
    /// Interrupt requests: latched edges and high levels.
    irr: u8,
    /// In service.
    isr: u8,
    /// Mask.
    imr: u8,
    /// Input levels as they were last seen.
    lines: u8,
    /// Requests in IRR that came as pulses and outlive the line's level.
    pulsed: u8,
    pub(super) elcr: u8,
    icw1: u8,
    icw2: u8,
    icw3: u8,
    icw4: u8,
    expects: u8,
    /// The input of lowest priority.
    lowest: u8,
    rotate_on_aeoi: bool,
    special_mask: bool,
    poll: bool,
    read_isr: bool,
}
crate::archive_fields!(Chip {
    irr,
    isr,
    imr,
    lines,
    pulsed,
    elcr,
    icw1,
    icw2,
    icw3,
    icw4,
    expects,
    lowest,
    rotate_on_aeoi,
    special_mask,
    poll,
    read_isr,
});

impl Chip {
    pub(super) fn new(master: bool) -> Self {
        Self { master, lowest: 7, ..Self::default() }
    }

    pub(super) fn reset(&mut self) {
        // The lines keep their levels: whoever holds them is reset by itself.
        *self = Self { lines: self.lines, ..Self::new(self.master) };
    }

    pub(super) const fn single(&self) -> bool {
        self.icw1 & icw1::SNGL != 0
    }

    pub(super) const fn vector(&self, line: u8) -> u8 {
        self.icw2 & 0xF8 | line
    }

    pub(super) fn set_lines(&mut self, levels: u8, pulses: u8) {
        let rising = levels & !self.lines | pulses;
        self.lines = levels;
        self.pulsed |= pulses & !self.elcr;
        // An edge-triggered request is withdrawn when its line falls before it is acknowledged.
        self.irr = (self.irr | rising) & (levels | self.pulsed) | levels & self.elcr;
    }

    pub(super) fn set_line(&mut self, line: u8, level: bool) {
        let bit = 1 << line;
        self.set_lines(if level { self.lines | bit } else { self.lines & !bit }, 0);
    }

    pub(super) fn set_elcr(&mut self, elcr: u8) {
        self.elcr = elcr;
        self.pulsed &= !elcr;
        self.set_lines(self.lines, 0);
    }

    /// The highest of `set` in the present order of priorities, as distance from the top.
    fn highest(&self, set: u8) -> Option<u8> {
        let top = u32::from(self.lowest.wrapping_add(1) & 7);
        let turned = set.rotate_right(top);
        (turned != 0).then(|| turned.trailing_zeros() as u8)
    }

    const fn line_at(&self, distance: u8) -> u8 {
        self.lowest.wrapping_add(1).wrapping_add(distance) & 7
    }

    /// The input to be served next, if it may interrupt what is in service.
    fn request(&self) -> Option<u8> {
        if self.expects != expects::OCW1 {
            return None;
        }
        let first = self.highest(self.irr & !self.imr)?;
        let line = self.line_at(first);
        // In special mask mode a masked input in service holds nobody up.
        let serving = if self.special_mask { self.isr & !self.imr } else { self.isr };
        let Some(current) = self.highest(serving) else { return Some(line) };
        // In special fully nested mode the slave may interrupt itself through the master.
        let nested = self.master && self.icw4 & icw4::SFNM != 0 && line == CASCADE;
        (first < current || nested && first == current).then_some(line)
    }

    pub(super) fn int(&self) -> bool {
        self.request().is_some()
    }

    /// INTA, or a poll: the request with the highest priority goes into service.
    pub(super) fn acknowledge(&mut self) -> Option<u8> {
        let line = self.request()?;
        let bit = 1 << line;
        self.pulsed &= !bit;
        self.irr &= !bit | self.elcr;
        if self.icw4 & icw4::AEOI == 0 {
            self.isr |= bit;
        } else if self.rotate_on_aeoi {
            self.lowest = line;
        }
        Some(line)
    }

    pub(super) fn read_command(&mut self) -> u8 {
        if self.poll {
            return self.read_poll();
        }
        if self.read_isr { self.isr } else { self.irr }
    }

    pub(super) fn read_data(&mut self) -> u8 {
        if self.poll { self.read_poll() } else { self.imr }
    }

    fn read_poll(&mut self) -> u8 {
        self.poll = false;
        match self.acknowledge() {
            Some(line) => 0x80 | line,
            None => 0,
        }
    }

    pub(super) fn write_command(&mut self, value: u8) {
        if value & icw1::INIT != 0 {
            self.initialise(value);
        } else if value & ocw3::SELECT != 0 {
            if value & ocw3::ESMM != 0 {
                self.special_mask = value & ocw3::SMM != 0;
            }
            if value & ocw3::POLL != 0 {
                self.poll = true;
            }
            if value & ocw3::RR != 0 {
                self.read_isr = value & ocw3::RIS != 0;
            }
        } else {
            self.end_of_interrupt(value >> 5, value & 7);
        }
    }

    fn initialise(&mut self, icw1: u8) {
        // Edge detection starts afresh: a line must fall and rise again. Levels show at once.
        *self = Self {
            irr: self.lines & self.elcr,
            lines: self.lines,
            elcr: self.elcr,
            icw1,
            icw2: self.icw2,
            expects: expects::ICW2,
            ..Self::new(self.master)
        };
    }

    pub(super) fn write_data(&mut self, value: u8) {
        let four = if self.icw1 & icw1::IC4 != 0 { expects::ICW4 } else { expects::OCW1 };
        self.expects = match self.expects {
            expects::ICW2 => {
                self.icw2 = value;
                if self.single() { four } else { expects::ICW3 }
            }
            expects::ICW3 => {
                self.icw3 = value;
                four
            }
            expects::ICW4 => {
                self.icw4 = value;
                expects::OCW1
            }
            _ => {
                self.imr = value;
                expects::OCW1
            }
        };
    }

    /// OCW2: `command` is R, SL and EOI, `line` L2–L0.
    fn end_of_interrupt(&mut self, command: u8, line: u8) {
        match command {
            0b000 => self.rotate_on_aeoi = false,
            0b100 => self.rotate_on_aeoi = true,
            0b001 | 0b101 => {
                // A non-specific EOI does not see what the special mask hides.
                let seen = if self.special_mask { self.isr & !self.imr } else { self.isr };
                if let Some(distance) = self.highest(seen) {
                    let line = self.line_at(distance);
                    self.isr &= !(1 << line);
                    if command & 0b100 != 0 {
                        self.lowest = line;
                    }
                }
            }
            0b011 => self.isr &= !(1 << line),
            0b111 => {
                self.isr &= !(1 << line);
                self.lowest = line;
            }
            0b110 => self.lowest = line,
            _ => {}
        }
    }
}
