//! The local APIC.

use super::Delivery;
use crate::archive::Archive;
use crate::board::Board;
use crate::time::{Instant, SECOND, Timer};

/// Offsets of registers.
mod reg {
    pub(super) const ID: u16 = 0x020;
    pub(super) const VERSION: u16 = 0x030;
    pub(super) const TPR: u16 = 0x080;
    pub(super) const APR: u16 = 0x090;
    pub(super) const PPR: u16 = 0x0A0;
    pub(super) const EOI: u16 = 0x0B0;
    pub(super) const LDR: u16 = 0x0D0;
    pub(super) const DFR: u16 = 0x0E0;
    pub(super) const SVR: u16 = 0x0F0;
    pub(super) const ISR: u16 = 0x100;
    pub(super) const TMR: u16 = 0x180;
    pub(super) const IRR: u16 = 0x200;
    pub(super) const ESR: u16 = 0x280;
    pub(super) const ICR_LOW: u16 = 0x300;
    pub(super) const ICR_HIGH: u16 = 0x310;
    pub(super) const LVT_TIMER: u16 = 0x320;
    pub(super) const LVT_ERROR: u16 = 0x370;
    pub(super) const TIMER_INITIAL: u16 = 0x380;
    pub(super) const TIMER_CURRENT: u16 = 0x390;
    pub(super) const TIMER_DIVIDE: u16 = 0x3E0;

    /// SVR: switched on by software.
    pub(super) const SVR_ENABLE: u32 = 1 << 8;
    /// ESR: a message with a vector under 16 was to be sent.
    pub(super) const ESR_SEND_VECTOR: u32 = 1 << 5;
    /// ESR: a message with a vector under 16 arrived.
    pub(super) const ESR_RECEIVE_VECTOR: u32 = 1 << 6;
    /// ESR: there is no such register.
    pub(super) const ESR_REGISTER: u32 = 1 << 7;
}

/// Frequency of the timer before division.
pub(super) const TIMER_HZ: u64 = SECOND;
/// A periodic timer does not fire more often than this: a faster one would starve the guest that set it.
const SHORTEST_PERIOD: u64 = 20_000;

/// Vector-table entries in the order of their registers.
mod lvt {
    pub(super) const TIMER: usize = 0;
    pub(super) const LINT0: usize = 3;
    pub(super) const ERROR: usize = 5;
    pub(super) const COUNT: usize = 6;
    pub(super) const MASKED: u32 = 1 << 16;
    /// LINT entries: an interrupt of level mode waits for its EOI.
    pub(super) const REMOTE_IRR: u32 = 1 << 14;
    /// LINT entries: level-triggered.
    pub(super) const LEVEL: u32 = 1 << 15;
    /// Bits that can be written: timer, thermal, performance, LINT0, LINT1, error.
    pub(super) const WRITABLE: [u32; COUNT] = [0x3_00FF, 0x1_07FF, 0x1_07FF, 0x1_A7FF, 0x1_A7FF, 0x1_00FF];
}

/// 256 bits, one for a vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Vectors([u32; 8]);

impl Vectors {
    pub(super) fn set(&mut self, vector: u8, on: bool) {
        let bit = 1 << (vector & 31);
        let word = &mut self.0[usize::from(vector >> 5)];
        *word = if on { *word | bit } else { *word & !bit };
    }

    pub(super) const fn get(&self, vector: u8) -> bool {
        self.0[(vector >> 5) as usize] >> (vector & 31) & 1 != 0
    }

    /// The highest vector that is set.
    pub(super) fn highest(&self) -> Option<u8> {
        let word = self.0.iter().rposition(|&w| w != 0)?;
        Some((word * 32) as u8 + 31 - self.0[word].leading_zeros() as u8)
    }
}

/// How the timer counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
    Reserved,
}

/// The local APIC's registers.
pub struct LocalApic {
    has_tsc_deadline: bool,
    id: u8,
    tpr: u8,
    ldr: u8,
    dfr: u32,
    svr: u32,
    isr: Vectors,
    tmr: Vectors,
    irr: Vectors,
    /// Errors since ESR was last written, and what ESR reads.
    errors: u32,
    esr: u32,
    icr: [u32; 2],
    lvt: [u32; lvt::COUNT],
    divide: u32,
    initial: u32,
    /// When the count was started, or the current period.
    start: Instant,
    deadline: u64,
    lint0: bool,
    nmi: bool,
    init: bool,
}

impl LocalApic {
    pub(super) fn new(has_tsc_deadline: bool) -> Self {
        Self {
            has_tsc_deadline,
            id: 0,
            tpr: 0,
            ldr: 0,
            dfr: u32::MAX,
            svr: 0xFF,
            isr: Vectors::default(),
            tmr: Vectors::default(),
            irr: Vectors::default(),
            errors: 0,
            esr: 0,
            icr: [0; 2],
            lvt: [lvt::MASKED; lvt::COUNT],
            divide: 0,
            initial: 0,
            start: Instant::ZERO,
            deadline: 0,
            lint0: false,
            nmi: false,
            init: false,
        }
    }

    pub(super) fn reset(&mut self, board: &mut Board) {
        *self = Self::new(self.has_tsc_deadline);
        // The chip masks LINT0 as well and leaves it to firmware to pass the 8259's interrupts through. A
        // BIOS from before the APIC knows nothing of that.
        self.lvt[lvt::LINT0] = 0x700;
        board.timers.clear(Timer::Apic);
    }

    /// Switched on by software (the spurious-interrupt register).
    const fn is_on(&self) -> bool {
        self.svr & reg::SVR_ENABLE != 0
    }

    pub(super) fn accepts_extint(&self) -> bool {
        let entry = self.lvt[lvt::LINT0];
        entry & lvt::MASKED == 0 && Delivery::of(entry) == Delivery::ExtInt
    }

    pub(super) const fn task_priority(&self) -> u8 {
        self.tpr
    }

    pub(super) const fn set_task_priority(&mut self, priority: u8) {
        self.tpr = priority;
    }

    /// The processor's priority: of the task or of the highest interrupt in service.
    fn priority(&self) -> u8 {
        let service = self.isr.highest().unwrap_or(0) & 0xF0;
        if self.tpr & 0xF0 >= service { self.tpr } else { service }
    }

    /// The vector that would be taken now.
    fn next(&self) -> Option<u8> {
        self.irr.highest().filter(|v| v & 0xF0 > self.priority() & 0xF0)
    }

    pub(super) fn pending(&self) -> bool {
        self.is_on() && self.next().is_some()
    }

    pub(super) fn acknowledge(&mut self) -> u8 {
        match self.next() {
            Some(vector) if self.is_on() => {
                self.irr.set(vector, false);
                self.isr.set(vector, true);
                vector
            }
            _ => self.svr as u8,
        }
    }

    pub(super) const fn take_nmi(&mut self) -> bool {
        core::mem::replace(&mut self.nmi, false)
    }

    pub(super) const fn take_init(&mut self) -> bool {
        core::mem::replace(&mut self.init, false)
    }

    /// Whether a message is for this CPU.
    pub(super) fn matches(&self, destination: u8, logical: bool) -> bool {
        if destination == 0xFF {
            return true;
        }
        if !logical {
            return destination == self.id;
        }
        if self.dfr >> 28 == 0xF {
            destination & self.ldr != 0
        } else {
            // Clusters: the number in the high half, members in the low one; cluster 15 is all of them.
            let cluster = destination >> 4;
            (cluster == 0xF || cluster == self.ldr >> 4) && destination & self.ldr & 0xF != 0
        }
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, mode: Delivery, vector: u8, level: bool) {
        match mode {
            Delivery::Fixed => {
                if vector < 16 {
                    self.error(reg::ESR_RECEIVE_VECTOR);
                } else if self.is_on() {
                    self.irr.set(vector, true);
                    self.tmr.set(vector, level);
                }
            }
            Delivery::Nmi => self.nmi = true,
            Delivery::Init => self.init = true,
            // An external interrupt through the IOAPIC has no 8259 behind it here; the only CPU is running.
            Delivery::ExtInt | Delivery::Smi | Delivery::StartUp | Delivery::Reserved => {}
        }
    }

    fn error(&mut self, bits: u32) {
        self.errors |= bits;
        let entry = self.lvt[lvt::ERROR];
        let vector = entry as u8;
        if entry & lvt::MASKED == 0 && self.is_on() {
            if vector < 16 {
                // Not again through `deliver`: an error interrupt with a bad vector is one error, not many.
                self.errors |= reg::ESR_RECEIVE_VECTOR;
            } else {
                self.irr.set(vector, true);
                self.tmr.set(vector, false);
            }
        }
    }

    pub(super) fn set_lint0(&mut self, level: bool) {
        let was_up = core::mem::replace(&mut self.lint0, level);
        let rises = level && !was_up;
        let entry = self.lvt[lvt::LINT0];
        if entry & lvt::MASKED != 0 {
            return;
        }
        match Delivery::of(entry) {
            Delivery::Nmi if rises => self.nmi = true,
            Delivery::Fixed if entry & lvt::LEVEL == 0 && rises => {
                self.deliver(Delivery::Fixed, entry as u8, false);
            }
            Delivery::Fixed if entry & lvt::LEVEL != 0 && level && entry & lvt::REMOTE_IRR == 0 => {
                self.lvt[lvt::LINT0] |= lvt::REMOTE_IRR;
                self.deliver(Delivery::Fixed, entry as u8, true);
            }
            _ => {}
        }
    }

    /// Ends the interrupt in service; the vector if it was level-triggered.
    fn end_of_interrupt(&mut self) -> Option<u8> {
        let vector = self.isr.highest()?;
        self.isr.set(vector, false);
        if !self.tmr.get(vector) {
            return None;
        }
        if self.lvt[lvt::LINT0] as u8 == vector {
            self.lvt[lvt::LINT0] &= !lvt::REMOTE_IRR;
            let level = self.lint0;
            self.set_lint0(level);
        }
        Some(vector)
    }

    /// The interrupt command register was written.
    fn send(&mut self) {
        let [command, high] = self.icr;
        let mode = Delivery::of(command);
        let vector = command as u8;
        if mode == Delivery::Fixed && vector < 16 {
            self.error(reg::ESR_SEND_VECTOR);
            return;
        }
        let me = match command >> 18 & 3 {
            0 => self.matches((high >> 24) as u8, command >> 11 & 1 != 0),
            1 | 2 => true,
            _ => false,
        };
        // INIT with level de-assert only sets arbitration ids.
        let deassert = mode == Delivery::Init && command >> 14 & 1 == 0;
        if me && !deassert {
            self.deliver(mode, vector, false);
        }
    }

    fn timer_mode(&self) -> TimerMode {
        match self.lvt[lvt::TIMER] >> 17 & 3 {
            0 => TimerMode::OneShot,
            1 => TimerMode::Periodic,
            2 if self.has_tsc_deadline => TimerMode::TscDeadline,
            _ => TimerMode::Reserved,
        }
    }

    /// Nanoseconds of one count.
    const fn tick(&self) -> u64 {
        let code = self.divide & 3 | self.divide >> 1 & 4;
        (1 << ((code + 1) & 7)) * (SECOND / TIMER_HZ)
    }

    /// Nanoseconds from the initial count to zero.
    fn span(&self) -> u64 {
        let span = u64::from(self.initial) * self.tick();
        if self.timer_mode() == TimerMode::Periodic { span.max(SHORTEST_PERIOD) } else { span }
    }

    fn count(&self, now: Instant) -> u32 {
        if self.initial == 0 || matches!(self.timer_mode(), TimerMode::TscDeadline | TimerMode::Reserved) {
            return 0;
        }
        let passed = now.since(self.start);
        let span = u64::from(self.initial) * self.tick();
        let left = if self.timer_mode() == TimerMode::Periodic {
            span - passed % span
        } else {
            span.saturating_sub(passed)
        };
        left.div_ceil(self.tick()) as u32
    }

    /// Sets the deadline anew, after the timer's registers have changed.
    fn arm(&mut self, board: &mut Board) {
        let counts = matches!(self.timer_mode(), TimerMode::OneShot | TimerMode::Periodic);
        if self.initial == 0 || !counts {
            board.timers.clear(Timer::Apic);
            return;
        }
        let mut due = self.start + self.span();
        if due <= board.now {
            // Over already: a one-shot count stays at zero, a periodic one goes on from its next wrap.
            if self.timer_mode() == TimerMode::OneShot {
                board.timers.clear(Timer::Apic);
                return;
            }
            self.skip(board.now);
            due = self.start + self.span();
        }
        board.timers.set(Timer::Apic, due);
    }

    /// Moves the start of the period to the last wrap before `now`.
    fn skip(&mut self, now: Instant) {
        let span = self.span().max(1);
        self.start += now.since(self.start) / span * span;
    }

    pub(super) fn expire(&mut self, board: &mut Board) {
        match self.timer_mode() {
            TimerMode::Periodic => {
                // Wraps that were missed are lost, as they are on a chip whose vector is still waiting.
                self.skip(board.now);
                board.timers.set(Timer::Apic, self.start + self.span());
            }
            TimerMode::TscDeadline => self.deadline = 0,
            TimerMode::OneShot | TimerMode::Reserved => {}
        }
        let entry = self.lvt[lvt::TIMER];
        if entry & lvt::MASKED == 0 {
            self.deliver(Delivery::Fixed, entry as u8, false);
        }
    }

    pub(super) fn set_tsc_deadline(&mut self, value: u64, at: Instant, board: &mut Board) {
        if self.timer_mode() != TimerMode::TscDeadline {
            return;
        }
        self.deadline = value;
        board.timers.set(Timer::Apic, if value == 0 { Instant::FAR } else { at.max(board.now) });
    }

    pub(super) const fn tsc_deadline(&self) -> u64 {
        self.deadline
    }

    fn set_lvt(&mut self, n: usize, value: u32, board: &mut Board) {
        let keep = self.lvt[n] & lvt::REMOTE_IRR & value >> 1;
        let mut new = value & lvt::WRITABLE[n] | keep;
        if n == lvt::TIMER {
            if self.has_tsc_deadline {
                new |= value & 1 << 18;
            }
            let mode_changes = (new ^ self.lvt[n]) >> 17 & 3 != 0;
            let old_deadline = self.timer_mode() == TimerMode::TscDeadline;
            self.lvt[n] = new;
            if mode_changes {
                if old_deadline || self.timer_mode() == TimerMode::TscDeadline {
                    self.deadline = 0;
                    self.initial = 0;
                }
                self.arm(board);
            }
        }
        if !self.is_on() {
            new |= lvt::MASKED;
        }
        self.lvt[n] = new;
    }

    /// Entry of the vector table at a register's offset.
    const fn lvt_index(offset: u16) -> Option<usize> {
        match offset {
            reg::LVT_TIMER..=reg::LVT_ERROR => Some((offset - reg::LVT_TIMER) as usize >> 4),
            _ => None,
        }
    }

    /// Reads the register at `offset`, a multiple of 4: only the first 4 bytes of each 16 exist.
    pub(super) fn read(&mut self, offset: u16, board: &Board) -> u32 {
        if offset & 15 != 0 {
            return 0;
        }
        let word = usize::from(offset >> 4 & 7);
        match offset {
            reg::ID => u32::from(self.id) << 24,
            // Six vector-table entries, integrated, version of the Pentium 4.
            reg::VERSION => 0x0005_0014,
            reg::TPR => u32::from(self.tpr),
            reg::APR => 0,
            reg::PPR => u32::from(self.priority()),
            reg::EOI => 0,
            reg::LDR => u32::from(self.ldr) << 24,
            reg::DFR => self.dfr,
            reg::SVR => self.svr,
            reg::ISR..reg::TMR => self.isr.0[word],
            reg::TMR..reg::IRR => self.tmr.0[word],
            reg::IRR..reg::ESR => self.irr.0[word],
            reg::ESR => self.esr,
            reg::ICR_LOW => self.icr[0],
            reg::ICR_HIGH => self.icr[1],
            reg::TIMER_INITIAL => self.initial,
            reg::TIMER_CURRENT => self.count(board.now),
            reg::TIMER_DIVIDE => self.divide,
            _ => {
                if let Some(n) = Self::lvt_index(offset) {
                    return self.lvt[n];
                }
                self.error(reg::ESR_REGISTER);
                0
            }
        }
    }

    /// Writes the register at `offset`. Gives the vector of a level-triggered interrupt that ended.
    pub(super) fn write(&mut self, offset: u16, value: u32, board: &mut Board) -> Option<u8> {
        match offset {
            _ if offset & 15 != 0 => {}
            reg::ID => self.id = (value >> 24) as u8,
            reg::TPR => self.tpr = value as u8,
            reg::EOI => return self.end_of_interrupt(),
            reg::LDR => self.ldr = (value >> 24) as u8,
            reg::DFR => self.dfr = value | 0x0FFF_FFFF,
            reg::SVR => {
                self.svr = value & 0x3FF;
                if !self.is_on() {
                    for entry in &mut self.lvt {
                        *entry |= lvt::MASKED;
                    }
                }
            }
            reg::ESR => self.esr = core::mem::take(&mut self.errors),
            reg::ICR_LOW => {
                // Delivery is done when the write is: its status bit never shows.
                self.icr[0] = value & 0x000C_CFFF;
                self.send();
            }
            reg::ICR_HIGH => self.icr[1] = value & 0xFF00_0000,
            reg::TIMER_INITIAL => {
                if self.timer_mode() != TimerMode::TscDeadline {
                    self.initial = value;
                    self.start = board.now;
                    self.arm(board);
                }
            }
            reg::TIMER_DIVIDE => {
                // The count goes on from where it is, at the new rate.
                let left = self.count(board.now);
                self.divide = value & 0xB;
                if left != 0 {
                    let passed = u64::from(self.initial - left.min(self.initial)) * self.tick();
                    self.start = Instant(board.now.0.saturating_sub(passed));
                    self.arm(board);
                }
            }
            reg::VERSION | reg::APR | reg::PPR | reg::ISR..reg::ESR | reg::TIMER_CURRENT => {}
            _ => match Self::lvt_index(offset) {
                Some(n) => self.set_lvt(n, value, board),
                None => self.error(reg::ESR_REGISTER),
            },
        }
        None
    }

    pub(super) fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.id);
        a.field(&mut self.tpr);
        a.field(&mut self.ldr);
        a.field(&mut self.dfr);
        a.field(&mut self.svr);
        for vectors in [&mut self.isr, &mut self.tmr, &mut self.irr] {
            a.field(&mut vectors.0);
            // Vectors under 16 do not exist.
            vectors.0[0] &= !0xFFFF;
        }
        a.field(&mut self.errors);
        a.field(&mut self.esr);
        a.field(&mut self.icr);
        a.field(&mut self.lvt);
        a.field(&mut self.divide);
        a.field(&mut self.initial);
        a.field(&mut self.start);
        a.field(&mut self.deadline);
        a.field(&mut self.lint0);
        a.field(&mut self.nmi);
        a.field(&mut self.init);
    }
}
