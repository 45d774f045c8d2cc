//! The IOAPIC: 24 pins, each with a redirection entry.

use super::{Delivery, LocalApic};

/// Pins.
const PINS: usize = 24;

mod reg {
    pub(super) const IOREGSEL: u16 = 0x00;
    pub(super) const IOWIN: u16 = 0x10;
    pub(super) const IOAPICID: u8 = 0x00;
    pub(super) const IOAPICVER: u8 = 0x01;
    pub(super) const IOAPICARB: u8 = 0x02;
    pub(super) const IOREDTBL: u8 = 0x10;
    pub(super) const IOREDTBL_END: u8 = 0x3F;
}

/// Redirection entry: the CPU has not ended the interrupt yet.
const REMOTE_IRR: u64 = 1 << 14;
/// Redirection entry: level-triggered.
const LEVEL: u64 = 1 << 15;
/// Redirection entry: masked.
const MASKED: u64 = 1 << 16;
/// Redirection entry: what software can write.
const WRITABLE: u64 = 0xFF00_0000_0001_AFFF;

/// The pin that an interrupt line arrives at: the timer's line 0 is wired to pin 2, whose own line 2 is
/// the cascade between the 8259s, and nothing but the 8259 pair itself to pin 0.
const fn pins(lines: u32) -> u32 {
    lines & 0x00FF_FFFA | (lines & 1) << 2
}

/// The IOAPIC's registers.
#[derive(Clone, Debug)]
pub struct IoApic {
    select: u8,
    id: u8,
    entries: [u64; PINS],
    /// Levels of the pins.
    pins: u32,
}
crate::archive_fields!(IoApic { select, id, entries, pins });

impl IoApic {
    pub(super) const fn new() -> Self {
        Self { select: 0, id: 0, entries: [MASKED; PINS], pins: 0 }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    pub(super) fn set_lines(&mut self, levels: u32, pulses: u32, local: &mut LocalApic) {
        let old = core::mem::replace(&mut self.pins, pins(levels));
        let edges = self.pins & !old | pins(pulses);
        let mut look = edges | self.pins & !old;
        while look != 0 {
            let pin = look.trailing_zeros() as usize;
            look &= look - 1;
            self.service(pin, edges >> pin & 1 != 0, local);
        }
    }

    /// Sends a pin's message if there is reason to. Edges on masked pins are lost.
    fn service(&mut self, pin: usize, edge: bool, local: &mut LocalApic) {
        let entry = self.entries[pin];
        if entry & MASKED != 0 {
            return;
        }
        let level = entry & LEVEL != 0;
        let due = if level { self.pins >> pin & 1 != 0 && entry & REMOTE_IRR == 0 } else { edge };
        if !due || !local.matches((entry >> 56) as u8, entry >> 11 & 1 != 0) {
            return;
        }
        let mode = Delivery::of(entry as u32);
        if level && mode == Delivery::Fixed {
            self.entries[pin] |= REMOTE_IRR;
        }
        local.deliver(mode, entry as u8, level);
    }

    /// The CPU ended a level-triggered interrupt.
    pub(super) fn end_of_interrupt(&mut self, vector: u8, local: &mut LocalApic) {
        for pin in 0..PINS {
            let entry = self.entries[pin];
            if entry as u8 == vector && entry & (LEVEL | REMOTE_IRR) == LEVEL | REMOTE_IRR {
                self.entries[pin] &= !REMOTE_IRR;
                self.service(pin, false, local);
            }
        }
    }

    pub(super) fn read(&self, offset: u16) -> u32 {
        match offset {
            reg::IOREGSEL => u32::from(self.select),
            reg::IOWIN => match self.select {
                reg::IOAPICID | reg::IOAPICARB => u32::from(self.id) << 24,
                reg::IOAPICVER => (PINS as u32 - 1) << 16 | 0x11,
                at @ reg::IOREDTBL..=reg::IOREDTBL_END => {
                    let entry = self.entries[usize::from(at - reg::IOREDTBL) / 2];
                    (entry >> (32 * (at & 1))) as u32
                }
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, offset: u16, value: u32, local: &mut LocalApic) {
        match offset {
            reg::IOREGSEL => self.select = value as u8,
            reg::IOWIN => match self.select {
                reg::IOAPICID => self.id = (value >> 24) as u8 & 0xF,
                at @ reg::IOREDTBL..=reg::IOREDTBL_END => {
                    let pin = usize::from(at - reg::IOREDTBL) / 2;
                    let shift = 32 * (at & 1);
                    let mask = WRITABLE & 0xFFFF_FFFF << shift;
                    let entry = &mut self.entries[pin];
                    *entry = *entry & !mask | u64::from(value) << shift & mask;
                    if *entry & LEVEL == 0 {
                        // Drivers of chips without an EOI register clear a stuck entry by making it edge.
                        *entry &= !REMOTE_IRR;
                    }
                    self.service(pin, false, local);
                }
                _ => {}
            },
            _ => {}
        }
    }
}
