//! One 16550A.

use crate::time::{Instant, SECOND};

mod reg {
    /// Receiver buffer, transmitter holding register; divisor latch low with DLAB.
    pub(super) const DATA: u16 = 0;
    /// Interrupt enable; divisor latch high with DLAB.
    pub(super) const IER: u16 = 1;
    /// Interrupt identification (read), FIFO control (write).
    pub(super) const IIR_FCR: u16 = 2;
    pub(super) const LCR: u16 = 3;
    pub(super) const MCR: u16 = 4;
    pub(super) const LSR: u16 = 5;
    pub(super) const MSR: u16 = 6;
}

mod ier {
    /// Received data, and character timeout.
    pub(super) const ERBFI: u8 = 0x01;
    /// Transmitter holding register empty.
    pub(super) const ETBEI: u8 = 0x02;
    /// Receiver line status.
    pub(super) const ELSI: u8 = 0x04;
    /// Modem status.
    pub(super) const EDSSI: u8 = 0x08;
}

mod iir {
    pub(super) const MODEM: u8 = 0x00;
    pub(super) const NONE: u8 = 0x01;
    pub(super) const THR_EMPTY: u8 = 0x02;
    pub(super) const DATA: u8 = 0x04;
    pub(super) const LINE: u8 = 0x06;
    pub(super) const TIMEOUT: u8 = 0x0C;
    pub(super) const FIFOS: u8 = 0xC0;
}

mod fcr {
    pub(super) const ENABLE: u8 = 0x01;
    pub(super) const CLEAR_RX: u8 = 0x02;
    pub(super) const CLEAR_TX: u8 = 0x04;
}

mod lcr {
    pub(super) const STOP: u8 = 0x04;
    pub(super) const PARITY: u8 = 0x08;
    pub(super) const BREAK: u8 = 0x40;
    pub(super) const DLAB: u8 = 0x80;
}

mod mcr {
    pub(super) const DTR: u8 = 0x01;
    pub(super) const RTS: u8 = 0x02;
    pub(super) const OUT1: u8 = 0x04;
    /// Gates the interrupt line of a PC.
    pub(super) const OUT2: u8 = 0x08;
    pub(super) const LOOP: u8 = 0x10;
}

mod lsr {
    pub(super) const DR: u8 = 0x01;
    pub(super) const OE: u8 = 0x02;
    pub(super) const BI: u8 = 0x10;
    /// Overrun, parity, framing, break.
    pub(super) const ERRORS: u8 = 0x1E;
    pub(super) const THRE: u8 = 0x20;
    pub(super) const TEMT: u8 = 0x40;
    /// An error is somewhere in the FIFO.
    pub(super) const FIFO_ERROR: u8 = 0x80;
}

mod msr {
    pub(super) const CTS: u8 = 0x10;
    pub(super) const DSR: u8 = 0x20;
    pub(super) const RI: u8 = 0x40;
    pub(super) const DCD: u8 = 0x80;
    /// Changes of the four above; RI counts when it falls.
    pub(super) const DELTAS: u8 = 0x0F;
}

const FIFO: usize = 16;
const INBOX: usize = 256;

/// A 16550A.
#[derive(Clone)]
pub(super) struct Chip {
    divisor: u16,
    ier: u8,
    lcr: u8,
    mcr: u8,
    msr: u8,
    scratch: u8,
    fifos: bool,
    /// Characters at which the receive FIFO interrupts.
    trigger: u8,
    /// Latched error bits of LSR.
    errors: u8,
    thre_pending: bool,
    /// THRE is still to come.
    thre_armed: bool,
    thr_empty_at: Instant,
    sent_at: Instant,
    /// Received characters, each with its error bits.
    rx: [(u8, u8); FIFO],
    rx_head: u8,
    rx_len: u8,
    timeout: bool,
    /// When a character was last received or read.
    rx_touched: Instant,
    rx_next: Instant,
    /// Bytes of the host that have not been on the wire yet.
    inbox: [u8; INBOX],
    inbox_head: u16,
    inbox_len: u16,
}

impl crate::archive::Field for Chip {
    fn archive(&mut self, a: &mut crate::archive::Archive<'_>) {
        a.field(&mut self.divisor);
        for byte in [
            &mut self.ier,
            &mut self.lcr,
            &mut self.mcr,
            &mut self.msr,
            &mut self.scratch,
            &mut self.trigger,
            &mut self.errors,
            &mut self.rx_head,
            &mut self.rx_len,
        ] {
            a.field(byte);
        }
        for flag in [&mut self.fifos, &mut self.thre_pending, &mut self.thre_armed, &mut self.timeout] {
            a.field(flag);
        }
        for at in [&mut self.thr_empty_at, &mut self.sent_at, &mut self.rx_touched, &mut self.rx_next] {
            a.field(at);
        }
        for (byte, errors) in &mut self.rx {
            a.field(byte);
            a.field(errors);
        }
        a.field(&mut self.inbox);
        a.field(&mut self.inbox_head);
        a.field(&mut self.inbox_len);
        self.trigger = self.trigger.clamp(1, 14);
        self.rx_head %= FIFO as u8;
        self.rx_len = self.rx_len.min(FIFO as u8);
        self.inbox_head %= INBOX as u16;
        self.inbox_len = self.inbox_len.min(INBOX as u16);
    }
}

impl Chip {
    pub(super) fn new() -> Self {
        let mut chip = Self {
            divisor: 12,
            ier: 0,
            lcr: 0,
            mcr: 0,
            msr: 0,
            scratch: 0,
            fifos: false,
            trigger: 1,
            errors: 0,
            thre_pending: false,
            thre_armed: false,
            thr_empty_at: Instant::ZERO,
            sent_at: Instant::ZERO,
            rx: [(0, 0); FIFO],
            rx_head: 0,
            rx_len: 0,
            timeout: false,
            rx_touched: Instant::ZERO,
            rx_next: Instant::ZERO,
            inbox: [0; INBOX],
            inbox_head: 0,
            inbox_len: 0,
        };
        chip.msr = chip.modem_inputs();
        chip
    }

    /// Master reset. What the host sent stays in the inbox; scratch register and divisor are not touched.
    pub(super) fn reset(&mut self) {
        let Self { inbox, inbox_head, inbox_len, scratch, divisor, .. } = *self;
        *self = Self { inbox, inbox_head, inbox_len, scratch, divisor, ..Self::new() };
    }

    /// Nanoseconds that a character takes at the programmed rate.
    fn character(&self) -> u64 {
        let bits = 1
            + 5
            + u64::from(self.lcr & 3)
            + u64::from(self.lcr & lcr::PARITY != 0)
            + if self.lcr & lcr::STOP != 0 { 2 } else { 1 };
        bits * u64::from(self.divisor.max(1)) * (SECOND / 115_200)
    }

    /// Nanoseconds that a sent character takes here: a sixteenth, and never long.
    fn pace(&self) -> u64 {
        (self.character() / 16).clamp(500, 20_000)
    }

    /// Nanoseconds between received characters: an eighth.
    fn rx_pace(&self) -> u64 {
        (self.character() / 8).clamp(1_000, 50_000)
    }

    const fn dlab(&self) -> bool {
        self.lcr & lcr::DLAB != 0
    }

    const fn looped(&self) -> bool {
        self.mcr & mcr::LOOP != 0
    }

    const fn capacity(&self) -> u8 {
        if self.fifos { FIFO as u8 } else { 1 }
    }

    pub(super) const fn has_room(&self) -> bool {
        (self.inbox_len as usize) < INBOX
    }

    /// A byte from the host.
    pub(super) fn deliver(&mut self, byte: u8, now: Instant) {
        if self.inbox_len == 0 {
            self.rx_next = self.rx_next.max(now);
        }
        let at = (usize::from(self.inbox_head) + usize::from(self.inbox_len)) % INBOX;
        self.inbox[at] = byte;
        self.inbox_len += 1;
    }

    /// Whether the next byte of the inbox can go to the receiver.
    const fn can_receive(&self) -> bool {
        self.inbox_len > 0 && self.rx_len < self.capacity() && !self.looped()
    }

    /// Lets happen what was due until now.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if self.thre_armed && self.thr_empty_at <= now {
            self.thre_armed = false;
            self.thre_pending = true;
        }
        while self.can_receive() && self.rx_next <= now {
            let byte = self.inbox[usize::from(self.inbox_head) % INBOX];
            self.inbox_head = (self.inbox_head + 1) % INBOX as u16;
            self.inbox_len -= 1;
            let at = self.rx_next;
            self.receive(byte, 0, at);
            self.rx_next = at + self.rx_pace();
        }
        if self.timeout_at().is_some_and(|at| at <= now) {
            self.timeout = true;
        }
    }

    /// When the character timeout comes.
    fn timeout_at(&self) -> Option<Instant> {
        (self.fifos && self.rx_len > 0 && !self.timeout).then(|| self.rx_touched + 4 * self.rx_pace())
    }

    /// The next moment at which something happens that interrupts.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let sent = (self.thre_armed && self.ier & ier::ETBEI != 0).then_some(self.thr_empty_at);
        let received = self.can_receive().then_some(self.rx_next);
        let timeout = if self.ier & ier::ERBFI != 0 { self.timeout_at() } else { None };
        [sent, received, timeout].into_iter().flatten().min()
    }

    /// A character arrives.
    fn receive(&mut self, byte: u8, errors: u8, now: Instant) {
        self.rx_touched = now;
        if self.rx_len >= self.capacity() {
            self.errors |= lsr::OE;
            if !self.fifos {
                // The buffer is overwritten; a FIFO keeps what it has.
                self.rx[usize::from(self.rx_head) % FIFO] = (byte, errors);
                self.errors |= errors;
            }
            return;
        }
        let at = (usize::from(self.rx_head) + usize::from(self.rx_len)) % FIFO;
        self.rx[at] = (byte, errors);
        self.rx_len += 1;
        self.timeout = false;
        if self.rx_len == 1 {
            self.errors |= errors;
        }
    }

    fn clear_rx(&mut self) {
        self.rx_len = 0;
        self.timeout = false;
    }

    /// The bits of a character that are on the wire. What comes from and goes to the host is whole bytes all the
    /// same: there are kernels that write without having set a word length, and after a reset it is 5 bits.
    const fn mask(&self) -> u8 {
        0xFF >> (3 - (self.lcr & 3))
    }

    fn identification(&self) -> u8 {
        let data = if self.fifos { self.rx_len >= self.trigger } else { self.rx_len > 0 };
        if self.ier & ier::ELSI != 0 && self.errors != 0 {
            iir::LINE
        } else if self.ier & ier::ERBFI != 0 && self.timeout {
            iir::TIMEOUT
        } else if self.ier & ier::ERBFI != 0 && data {
            iir::DATA
        } else if self.ier & ier::ETBEI != 0 && self.thre_pending {
            iir::THR_EMPTY
        } else if self.ier & ier::EDSSI != 0 && self.msr & msr::DELTAS != 0 {
            iir::MODEM
        } else {
            iir::NONE
        }
    }

    /// The level of the interrupt line.
    pub(super) fn interrupt(&self) -> bool {
        self.mcr & mcr::OUT2 != 0 && self.identification() != iir::NONE
    }

    fn modem_inputs(&self) -> u8 {
        if !self.looped() {
            // A terminal that is always there and ready.
            return msr::CTS | msr::DSR | msr::DCD;
        }
        [(mcr::RTS, msr::CTS), (mcr::DTR, msr::DSR), (mcr::OUT1, msr::RI), (mcr::OUT2, msr::DCD)]
            .iter()
            .fold(0, |inputs, (out, input)| inputs | if self.mcr & out != 0 { *input } else { 0 })
    }

    fn modem_changed(&mut self) {
        let new = self.modem_inputs();
        let old = self.msr & !msr::DELTAS;
        let mut changed = new ^ old;
        if new & msr::RI != 0 {
            changed &= !msr::RI;
        }
        self.msr = self.msr & msr::DELTAS | new | changed >> 4;
    }

    pub(super) fn read(&mut self, register: u16, now: Instant) -> u8 {
        match register {
            reg::DATA if self.dlab() => self.divisor as u8,
            reg::DATA => self.read_data(now),
            reg::IER if self.dlab() => (self.divisor >> 8) as u8,
            reg::IER => self.ier,
            reg::IIR_FCR => {
                let id = self.identification();
                if id == iir::THR_EMPTY {
                    self.thre_pending = false;
                }
                id | if self.fifos { iir::FIFOS } else { 0 }
            }
            reg::LCR => self.lcr,
            reg::MCR => self.mcr,
            reg::LSR => self.read_line_status(now),
            reg::MSR => {
                let value = self.msr;
                self.msr &= !msr::DELTAS;
                value
            }
            _ => self.scratch,
        }
    }

    fn read_data(&mut self, now: Instant) -> u8 {
        let (byte, _) = self.rx[usize::from(self.rx_head) % FIFO];
        if self.rx_len > 0 {
            self.rx_head = (self.rx_head + 1) % FIFO as u8;
            self.rx_len -= 1;
            if self.rx_len > 0 {
                self.errors |= self.rx[usize::from(self.rx_head)].1;
            }
            self.rx_touched = now;
            self.timeout = false;
            // The next character takes its time even if it has been waiting.
            self.rx_next = self.rx_next.max(now + 500);
        }
        byte
    }

    fn read_line_status(&mut self, now: Instant) -> u8 {
        let mut value = self.errors;
        if self.rx_len > 0 {
            value |= lsr::DR;
        }
        if self.thr_empty_at <= now {
            value |= lsr::THRE;
        }
        if self.sent_at <= now {
            value |= lsr::TEMT;
        }
        let waiting =
            (0..usize::from(self.rx_len)).any(|n| self.rx[(usize::from(self.rx_head) + n) % FIFO].1 != 0);
        if self.fifos && waiting {
            value |= lsr::FIFO_ERROR;
        }
        // Reading reports errors once, those of the character at the front included.
        self.errors &= !lsr::ERRORS;
        self.rx[usize::from(self.rx_head) % FIFO].1 = 0;
        value
    }

    /// Writes a register; what goes out on the line is returned.
    pub(super) fn write(&mut self, register: u16, value: u8, now: Instant) -> Option<u8> {
        match register {
            reg::DATA if self.dlab() => self.divisor = self.divisor & 0xFF00 | u16::from(value),
            reg::DATA => return self.send(value, now),
            reg::IER if self.dlab() => self.divisor = self.divisor & 0xFF | u16::from(value) << 8,
            reg::IER => {
                let enabled = value & !self.ier;
                self.ier = value & 0x0F;
                // Enabling the interrupt while the register is empty raises it.
                if enabled & ier::ETBEI != 0 && self.thr_empty_at <= now {
                    self.thre_pending = true;
                }
            }
            reg::IIR_FCR => self.control_fifos(value, now),
            reg::LCR => {
                let breaks = value & !self.lcr & lcr::BREAK != 0;
                self.lcr = value;
                if breaks && self.looped() {
                    self.receive(0, lsr::BI, now);
                }
            }
            reg::MCR => {
                self.mcr = value & 0x1F;
                self.modem_changed();
            }
            // LSR is for factory tests; MSR cannot be written.
            reg::LSR | reg::MSR => {}
            _ => self.scratch = value,
        }
        None
    }

    fn send(&mut self, byte: u8, now: Instant) -> Option<u8> {
        let pace = self.pace();
        // A driver that does not wait overruns the FIFO on the chip; here its characters just go faster.
        let start = self.sent_at.max(now).min(now + u64::from(self.capacity() - 1) * pace);
        // Into the shift register as soon as that is free, and not at once: the interrupt line must fall.
        self.thr_empty_at = start + pace / 8;
        self.sent_at = start + pace;
        self.thre_pending = false;
        self.thre_armed = true;
        if self.looped() {
            self.receive(byte & self.mask(), 0, now);
            return None;
        }
        Some(byte)
    }

    fn control_fifos(&mut self, value: u8, now: Instant) {
        let enable = value & fcr::ENABLE != 0;
        let switched = enable != self.fifos;
        self.fifos = enable;
        if switched || enable && value & fcr::CLEAR_RX != 0 {
            self.clear_rx();
        }
        if (switched || enable && value & fcr::CLEAR_TX != 0) && self.thr_empty_at > now {
            // The host has had the characters already; only the waiting ends.
            self.thr_empty_at = now;
            self.sent_at = self.sent_at.min(now + self.pace());
        }
        if enable {
            self.trigger = [1, 4, 8, 14][usize::from(value >> 6)];
        }
    }
}
