//! One counter of an 8254, computed from the tick that it is asked about.
//!
//! A tick is a period of the chip's 1.193182 MHz clock since the machine was built. Nothing here ever
//! counts: the counter remembers at which tick its counting element was loaded and with what.

/// The level of an output over time: what a loudspeaker needs to know of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wave {
    /// A tick at which the pattern starts.
    pub origin: i64,
    /// Ticks that the output is high at the start of each period (or low, for [`Wave::period`] 0).
    pub high: u32,
    /// Ticks of a period; 0 when the output is low for [`Wave::high`] ticks and then stays high.
    pub period: u32,
}

impl Wave {
    /// Always high.
    pub const HIGH: Self = Self { origin: i64::MIN / 2, high: 0, period: 0 };
    /// Always low.
    pub const LOW: Self = Self { origin: 0, high: 0, period: 1 };

    /// For how many of the ticks from `from` to `to` the output is high.
    #[must_use]
    pub fn high_between(&self, from: i64, to: i64) -> i64 {
        self.high_until(to).saturating_sub(self.high_until(from)).clamp(0, to.saturating_sub(from).max(0))
    }

    fn high_until(&self, tick: i64) -> i64 {
        let elapsed = tick.saturating_sub(self.origin);
        if self.period == 0 {
            return elapsed.saturating_sub(self.high.into()).max(0);
        }
        let period = i64::from(self.period);
        let high = i64::from(self.high).min(period);
        elapsed.div_euclid(period).saturating_mul(high).saturating_add(elapsed.rem_euclid(period).min(high))
    }
}
crate::archive_fields!(Wave { origin, high, period });

/// Which bytes of the count are read and written.
mod access {
    pub(super) const LATCH: u8 = 0;
    pub(super) const LOW: u8 = 1;
    pub(super) const HIGH: u8 = 2;
    pub(super) const BOTH: u8 = 3;
}

/// A counter.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    mode: u8,
    bcd: bool,
    access: u8,
    /// The count register, decoded: 1 to 65536, 0 when nothing was written since the control word.
    register: u32,
    /// What the counting element was loaded with at `origin`.
    count: u32,
    origin: i64,
    /// Ticks counted when `running` is false.
    held: i64,
    running: bool,
    /// Whether the element was loaded since the control word.
    loaded: bool,
    /// The tick at which a new count takes over in modes 2 and 3.
    switch: Option<i64>,
    /// What the element reads as while it is not loaded.
    frozen: u16,
    gate: bool,
    low: u8,
    write_high: bool,
    read_high: bool,
    latch: Option<u16>,
    status: Option<u8>,
}
crate::archive_fields!(Counter {
    mode,
    bcd,
    access,
    register,
    count,
    origin,
    held,
    running,
    loaded,
    switch,
    frozen,
    gate,
    low,
    write_high,
    read_high,
    latch,
    status,
});

impl Counter {
    pub(super) fn new(gate: bool) -> Self {
        Self { gate, access: access::BOTH, ..Self::default() }
    }

    /// After loading a state image: values that arithmetic relies on.
    pub(super) fn bound(&mut self) {
        const FAR: i64 = 1 << 60;
        self.mode = self.mode.min(5);
        self.access &= 3;
        self.register = self.register.min(0x1_0000);
        self.count = self.count.min(0x1_0000);
        self.origin = self.origin.clamp(-FAR, FAR);
        self.held = self.held.clamp(0, FAR);
        self.switch = self.switch.map(|at| at.clamp(-FAR, FAR));
    }

    const fn count(&self) -> i64 {
        if self.count == 0 { 0x1_0000 } else { self.count as i64 }
    }

    /// High ticks of a period in mode 3.
    const fn high_half(count: i64) -> i64 {
        (count + 1) / 2
    }

    const fn elapsed(&self, tick: i64) -> i64 {
        let elapsed = if self.running { tick.saturating_sub(self.origin) } else { self.held };
        if elapsed < 0 { 0 } else { elapsed }
    }

    /// Lets a count that waited for the end of a period take over.
    fn settle(&mut self, tick: i64) {
        let Some(switch) = self.switch else { return };
        if tick < switch {
            return;
        }
        self.switch = None;
        let at_fall = self.mode == 3 && self.elapsed(switch) % self.count() != 0;
        self.count = self.register;
        let skipped = if at_fall { Self::high_half(self.count()) } else { 0 };
        self.origin = switch - skipped;
    }

    pub(super) fn control(&mut self, value: u8, tick: i64) {
        self.settle(tick);
        let access = value >> 4 & 3;
        if access == access::LATCH {
            self.latch_count(tick);
            return;
        }
        self.frozen = self.binary(tick);
        self.access = access;
        self.mode = match value >> 1 & 7 {
            mode @ 0..=5 => mode,
            mode => mode - 4,
        };
        self.bcd = value & 1 != 0;
        self.register = 0;
        self.loaded = false;
        self.running = false;
        self.switch = None;
        self.write_high = false;
        self.read_high = false;
        self.latch = None;
        self.status = None;
    }

    pub(super) fn latch_count(&mut self, tick: i64) {
        if self.latch.is_none() {
            self.latch = Some(self.value(tick));
        }
    }

    pub(super) fn latch_status(&mut self, tick: i64) {
        if self.status.is_none() {
            self.settle(tick);
            let null = !self.loaded || self.switch.is_some() || self.running && tick < self.origin;
            let out = self.out(tick);
            self.status = Some(
                u8::from(out) << 7
                    | u8::from(null) << 6
                    | self.access << 4
                    | self.mode << 1
                    | u8::from(self.bcd),
            );
        }
    }

    pub(super) fn read(&mut self, tick: i64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = match self.latch {
            Some(latch) => latch,
            None => self.value(tick),
        };
        let high = match self.access {
            access::LOW => false,
            access::HIGH => true,
            _ => {
                self.read_high = !self.read_high;
                !self.read_high
            }
        };
        if !self.read_high {
            self.latch = None;
        }
        (if high { value >> 8 } else { value }) as u8
    }

    pub(super) fn write(&mut self, value: u8, tick: i64) {
        self.settle(tick);
        match self.access {
            access::LOW => self.write_count(value.into(), tick),
            access::HIGH => self.write_count(u16::from(value) << 8, tick),
            _ if self.write_high => {
                self.write_high = false;
                self.write_count(u16::from(value) << 8 | u16::from(self.low), tick);
            }
            _ => {
                self.low = value;
                self.write_high = true;
                if self.mode == 0 {
                    // The first byte stops the count and lowers OUT.
                    self.frozen = self.binary(tick);
                    self.loaded = false;
                    self.running = false;
                }
            }
        }
    }

    fn write_count(&mut self, value: u16, tick: i64) {
        self.register = match (value, self.bcd) {
            (0, false) => 0x1_0000,
            (0, true) => 10_000,
            (_, false) => value.into(),
            // Digits above 9 weigh what they weigh; the element counts down from there in decimal.
            (_, true) => (0..4).rev().fold(0, |sum, digit| sum * 10 + u32::from(value >> (4 * digit) & 15)),
        };
        match self.mode {
            // Modes 1 and 5 wait for the gate.
            1 | 5 => {}
            2 | 3 if self.loaded && self.running => {
                let elapsed = tick - self.origin;
                if elapsed < 0 {
                    self.count = self.register;
                } else if self.switch.is_none() {
                    // The present period, or half of it in mode 3, is finished first.
                    let count = self.count();
                    self.origin += elapsed / count * count;
                    let half = Self::high_half(count);
                    let at_half = self.mode == 3 && tick - self.origin < half;
                    self.switch = Some(self.origin + if at_half { half } else { count });
                }
            }
            _ => self.load(tick),
        }
    }

    /// The count register goes to the counting element at the next tick.
    fn load(&mut self, tick: i64) {
        self.count = self.register;
        self.origin = tick + 1;
        self.held = 0;
        self.loaded = true;
        self.switch = None;
        self.running = self.gate || matches!(self.mode, 1 | 5);
    }

    pub(super) fn set_gate(&mut self, gate: bool, tick: i64) {
        self.settle(tick);
        if gate == self.gate {
            return;
        }
        self.gate = gate;
        match self.mode {
            1 | 5 => {
                if gate && self.register != 0 {
                    self.load(tick);
                }
            }
            2 | 3 if gate => {
                if self.register != 0 {
                    self.load(tick);
                }
            }
            _ if !self.loaded => {}
            _ if gate => {
                self.origin = tick - self.held;
                self.running = true;
            }
            _ => {
                self.held = self.elapsed(tick);
                if self.switch.take().is_some() {
                    self.count = self.register;
                }
                self.running = false;
            }
        }
    }

    /// The level of OUT.
    pub(super) fn out(&mut self, tick: i64) -> bool {
        self.settle(tick);
        let (elapsed, count) = (self.elapsed(tick), self.count());
        match self.mode {
            0 => self.loaded && elapsed >= count,
            1 => !self.loaded || elapsed >= count,
            _ if !self.loaded => true,
            // A count of 1 is not allowed here; OUT just stays high.
            2 => !self.running || count == 1 || elapsed % count != count - 1,
            3 => !self.running || elapsed % count < Self::high_half(count),
            _ => elapsed != count,
        }
    }

    /// The counting element in binary.
    fn binary(&self, tick: i64) -> u16 {
        if !self.loaded {
            return self.frozen;
        }
        let (elapsed, count) = (self.elapsed(tick), self.count());
        let value = match self.mode {
            2 => count - elapsed % count,
            3 => {
                let phase = elapsed % count;
                let half = Self::high_half(count);
                let within = if phase < half { phase } else { phase - half };
                // Odd counts start one lower, and the high half lasts a tick longer.
                (count & !1) - 2 * within
            }
            _ => count - elapsed,
        };
        value.rem_euclid(if self.bcd { 10_000 } else { 0x1_0000 }) as u16
    }

    fn value(&mut self, tick: i64) -> u16 {
        self.settle(tick);
        let value = self.binary(tick);
        if !self.bcd {
            return value;
        }
        (0..4).fold((0, value), |(sum, rest), digit| (sum | (rest % 10) << (4 * digit), rest / 10)).0
    }

    /// The first tick after `tick` at which OUT rises, if nothing else happens to the counter.
    pub(super) fn next_rise(&mut self, tick: i64) -> Option<i64> {
        self.settle(tick);
        if !self.loaded || !self.running {
            return None;
        }
        let count = self.count();
        let next = match self.mode {
            0 | 1 => self.origin + count,
            2 | 3 if count == 1 => return None,
            2 | 3 => {
                let ahead = (tick - self.origin).max(0) / count * count + count;
                match self.switch {
                    // A half that is cut short by a new count ends with a fall.
                    Some(switch) if self.mode == 3 && (switch - self.origin) % count != 0 => {
                        let new = i64::from(self.register);
                        if new <= 1 {
                            return None;
                        }
                        switch + new - Self::high_half(new)
                    }
                    _ => self.origin + ahead,
                }
            }
            _ => self.origin + count + 1,
        };
        (next > tick).then_some(next)
    }

    /// Ticks from one rise of OUT to the next in the periodic modes.
    pub(super) const fn period(&self) -> Option<i64> {
        if matches!(self.mode, 2 | 3) && self.count != 1 { Some(self.count()) } else { None }
    }

    /// The output's pattern from `tick` on.
    pub(super) fn wave(&mut self, tick: i64) -> Wave {
        self.settle(tick);
        let count = self.count();
        if !self.loaded {
            return if self.mode == 0 { Wave::LOW } else { Wave::HIGH };
        }
        match self.mode {
            0 | 1 if self.running => Wave { origin: self.origin, high: count as u32, period: 0 },
            2 if self.running && count > 1 => {
                Wave { origin: self.origin, high: count as u32 - 1, period: count as u32 }
            }
            3 if self.running && count > 1 => {
                Wave { origin: self.origin, high: Self::high_half(count) as u32, period: count as u32 }
            }
            _ => {
                if self.out(tick) {
                    Wave::HIGH
                } else {
                    Wave::LOW
                }
            }
        }
    }

    /// The tick at which [`Self::wave`] will change by itself.
    pub(super) const fn switches_at(&self) -> Option<i64> {
        self.switch
    }
}
