//! The chip by itself: registers, resets, interrupt pin. It knows neither PCI nor the machine.
//!
//! Spec: DP8390D data sheet, sections 10 (registers) and 11 (initialisation); RTL8029AS data sheet
//! LS009.0, section 5.

use super::prom::CardMemory;
use super::regs::*;
use crate::board::Width;
use crate::net::MacAddress;

/// Where frames leave the card.
pub trait Wire {
    /// Takes a frame without CRC, of 14 to 1518 bytes or 1522 with a tag. It may be changed.
    fn transmit(&mut self, frame: &mut [u8]);
}

/// What became of a frame from the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// It is in the ring.
    Stored,
    /// It is not for this card, or not what RCR accepts.
    Filtered,
    /// It was for this card, but there was no room or no wish to store it: CNTR2 has counted it.
    Missed,
    /// The receiver is off or looped back, or this is no frame.
    Ignored,
}

/// An RTL8029AS: a DP8390 core with PROM, packet RAM and Realtek's additions.
/// It can be driven by itself, as a fuzzer or a port to a microcontroller does:
///
/// ```
/// use nomad86::board::Width;
/// use nomad86::devices::ne2k::chip::{Chip, Received, Wire};
/// use nomad86::net::MacAddress;
///
/// /// The far end of the cable: frames that came.
/// struct Cable(Vec<Vec<u8>>);
///
/// impl Wire for Cable {
///     fn transmit(&mut self, frame: &mut [u8]) {
///         self.0.push(frame.to_vec());
///     }
/// }
///
/// let mut chip = Chip::new(MacAddress([2, 0, 0, 0, 0, 1]));
/// let mut cable = Cable(Vec::new());
/// // Stop; byte transfers, FIFO threshold; normal operation; ring from page 46h to 80h; send 60 bytes of page 40h.
/// let driver = [
///     (0x0, 0x21), (0xE, 0x48), (0xD, 0x00), (0x1, 0x46), (0x2, 0x80), (0x3, 0x46),
///     (0x4, 0x40), (0x5, 60), (0x6, 0), (0x0, 0x22), (0x0, 0x26),
/// ];
/// for (register, value) in driver {
///     chip.write(register, Width::Byte, value, &mut cable);
/// }
/// assert_eq!(cable.0, [vec![0; 60]]);
/// // A frame that is for somebody else.
/// assert_eq!(chip.receive(&[4; 60]), Received::Filtered);
/// ```
pub struct Chip {
    pub(super) memory: CardMemory,
    pub(super) cr: u8,
    /// Whether STA was written since the last STP or reset.
    pub(super) running: bool,
    pub(super) isr: u8,
    pub(super) imr: u8,
    pub(super) dcr: u8,
    pub(super) rcr: u8,
    pub(super) tcr: u8,
    pub(super) rsr: u8,
    pub(super) tsr: u8,
    pub(super) pstart: u8,
    pub(super) pstop: u8,
    pub(super) bnry: u8,
    pub(super) curr: u8,
    pub(super) tpsr: u8,
    pub(super) tbcr: u16,
    /// Remote DMA address and count; both run while bytes are moved.
    pub(super) rsar: u16,
    pub(super) rbcr: u16,
    pub(super) remote_next: u8,
    /// Local DMA address, left where the last packet ended.
    pub(super) clda: u16,
    pub(super) par: [u8; 6],
    pub(super) mar: [u8; 8],
    /// CNTR0 alignment errors, CNTR1 CRC errors, CNTR2 missed packets.
    pub(super) counters: [u8; 3],
    pub(super) fifo: [u8; 8],
    pub(super) fifo_at: u8,
    cr9346: u8,
    config2: u8,
    config3: u8,
}

crate::archive_fields!(Chip {
    memory,
    cr,
    running,
    isr,
    imr,
    dcr,
    rcr,
    tcr,
    rsr,
    tsr,
    pstart,
    pstop,
    bnry,
    curr,
    tpsr,
    tbcr,
    rsar,
    rbcr,
    remote_next,
    clda,
    par,
    mar,
    counters,
    fifo,
    fifo_at,
    cr9346,
    config2,
    config3,
});

impl Chip {
    /// A chip as it comes up, with `mac` in its PROM.
    #[must_use]
    pub fn new(mac: MacAddress) -> Self {
        Self::with_memory(CardMemory::new(mac))
    }

    fn with_memory(memory: CardMemory) -> Self {
        Self {
            memory,
            cr: CR_RESET,
            running: false,
            isr: isr::RST,
            imr: 0,
            dcr: 0,
            rcr: 0,
            tcr: 0,
            rsr: 0,
            tsr: 0,
            pstart: 0,
            pstop: 0,
            bnry: 0,
            curr: 0,
            tpsr: 0,
            tbcr: 0,
            rsar: 0,
            rbcr: 0,
            remote_next: 0,
            clda: 0,
            par: [0; 6],
            mar: [0; 8],
            counters: [0; 3],
            fifo: [0; 8],
            fifo_at: 0,
            cr9346: 0,
            config2: CONFIG2_RESET,
            config3: CONFIG3_RESET,
        }
    }

    /// Power off and on: everything but the PROM is as new.
    pub fn power_cycle(&mut self) {
        *self = Self::with_memory(self.memory.power_cycle());
    }

    /// The card's memory.
    #[must_use]
    pub const fn memory(&self) -> &CardMemory {
        &self.memory
    }

    /// Puts another address into the PROM; the guest sees it when its driver looks there again.
    pub fn burn(&mut self, mac: MacAddress) {
        self.memory.burn(mac);
    }

    /// The station address that the driver has programmed.
    #[must_use]
    pub const fn station_address(&self) -> MacAddress {
        MacAddress(self.par)
    }

    /// Level of the interrupt pin.
    #[must_use]
    pub const fn irq(&self) -> bool {
        // RST is a status; it has no mask bit in the DP8390 and raises nothing.
        self.isr & self.imr & !isr::RST != 0
    }

    /// A read of `width` at `offset` from the first port. What lies beyond the last port reads as ones.
    pub fn read(&mut self, offset: u16, width: Width) -> u32 {
        if is_data(offset, width) {
            return self.read_data(width);
        }
        let mut value = width.ones();
        for n in 0..width as u16 {
            let byte = u32::from(self.read_byte(offset.saturating_add(n)));
            value = value & !(0xFF << (8 * n)) | byte << (8 * n);
        }
        value
    }

    /// A write of `width` at `offset` from the first port.
    pub fn write(&mut self, offset: u16, width: Width, value: u32, wire: &mut impl Wire) {
        if is_data(offset, width) {
            self.write_data(width, value);
            return;
        }
        for n in 0..width as u16 {
            self.write_byte(offset.saturating_add(n), (value >> (8 * n)) as u8, wire);
        }
    }

    fn read_byte(&mut self, offset: u16) -> u8 {
        match offset {
            port::CR => self.cr,
            0x01..port::DATA => match self.cr >> cr::PS_SHIFT {
                0 => self.read_page0(offset),
                1 => self.read_page1(offset),
                2 => self.read_page2(offset),
                _ => self.read_page3(offset),
            },
            port::DATA..port::RESET => self.read_data(Width::Byte) as u8,
            port::RESET..port::COUNT => {
                self.reset();
                0xFF
            }
            _ => 0xFF,
        }
    }

    fn write_byte(&mut self, offset: u16, value: u8, wire: &mut impl Wire) {
        match offset {
            port::CR => self.command(value, wire),
            0x01..port::DATA => match self.cr >> cr::PS_SHIFT {
                0 => self.write_page0(offset, value),
                1 => self.write_page1(offset, value),
                2 => {}
                _ => self.write_page3(offset, value),
            },
            port::DATA..port::RESET => self.write_data(Width::Byte, u32::from(value)),
            // The end of the pulse that the read began.
            _ => {}
        }
    }

    /// The reset pin: section 11 of the data sheet lists what changes.
    fn reset(&mut self) {
        self.cr = CR_RESET;
        self.running = false;
        self.isr = isr::RST;
        self.imr = 0;
        self.tcr &= !tcr::LB;
    }

    fn command(&mut self, value: u8, wire: &mut impl Wire) {
        self.cr = value & !cr::TXP;
        if value & cr::STP != 0 {
            // What is being sent or received is finished first, and nothing ever is here.
            self.running = false;
            self.isr |= isr::RST;
        } else if value & cr::STA != 0 {
            self.running = true;
            self.isr &= !isr::RST;
        }
        self.start_remote_dma();
        if value & cr::TXP != 0 && self.running {
            self.transmit(wire);
        }
    }

    fn read_page0(&mut self, offset: u16) -> u8 {
        use page0_read::*;
        match offset {
            CLDA0 => self.clda as u8,
            CLDA1 => (self.clda >> 8) as u8,
            BNRY => self.bnry,
            TSR => self.tsr | tsr::ONES,
            // There are no collisions.
            NCR => 0,
            FIFO => {
                let at = self.fifo_at & 7;
                self.fifo_at = (at + 1) & 7;
                self.fifo[usize::from(at)]
            }
            ISR => self.isr,
            CRDA0 => self.rsar as u8,
            CRDA1 => (self.rsar >> 8) as u8,
            ID0 | ID1 => ID[usize::from(offset - ID0)],
            RSR => self.rsr,
            CNTR0..=CNTR2 => core::mem::take(&mut self.counters[usize::from(offset - CNTR0)]),
            _ => 0xFF,
        }
    }

    fn write_page0(&mut self, offset: u16, value: u8) {
        use page0_write::*;
        let low = |word: u16| word & 0xFF00 | u16::from(value);
        let high = |word: u16| word & 0x00FF | u16::from(value) << 8;
        match offset {
            PSTART => self.pstart = value,
            PSTOP => self.pstop = value,
            BNRY => self.set_bnry(value),
            TPSR => self.tpsr = value,
            TBCR0 => self.tbcr = low(self.tbcr),
            TBCR1 => self.tbcr = high(self.tbcr),
            ISR => self.isr &= !value | isr::RST,
            RSAR0 => self.rsar = low(self.rsar),
            RSAR1 => self.rsar = high(self.rsar),
            RBCR0 => self.rbcr = low(self.rbcr),
            RBCR1 => self.rbcr = high(self.rbcr),
            RCR => self.rcr = value & rcr::KEPT,
            TCR => self.tcr = value & tcr::KEPT,
            DCR => self.dcr = value & dcr::KEPT,
            IMR => self.imr = value,
            _ => {}
        }
    }

    /// Packets have been taken out of the ring: an overflow is over.
    pub(super) fn set_bnry(&mut self, page: u8) {
        self.bnry = page;
        if self.running {
            self.isr &= !isr::RST;
        }
    }

    fn read_page1(&self, offset: u16) -> u8 {
        use page1::*;
        match offset {
            PAR0..=PAR5 => self.par[usize::from(offset - PAR0)],
            CURR => self.curr,
            MAR0..=MAR7 => self.mar[usize::from(offset - MAR0)],
            _ => 0xFF,
        }
    }

    fn write_page1(&mut self, offset: u16, value: u8) {
        use page1::*;
        match offset {
            PAR0..=PAR5 => self.par[usize::from(offset - PAR0)] = value,
            CURR => self.curr = value,
            MAR0..=MAR7 => self.mar[usize::from(offset - MAR0)] = value,
            _ => {}
        }
    }

    fn read_page2(&self, offset: u16) -> u8 {
        use page2::*;
        match offset {
            PSTART => self.pstart,
            PSTOP => self.pstop,
            REMOTE_NEXT => self.remote_next,
            TPSR => self.tpsr,
            LOCAL_NEXT => self.curr,
            ADDRESS_HIGH => (self.clda >> 8) as u8,
            ADDRESS_LOW => self.clda as u8,
            RCR => self.rcr | rcr::ONES,
            TCR => self.tcr | tcr::ONES,
            DCR => self.dcr | dcr::ONES,
            IMR => self.imr,
            _ => 0xFF,
        }
    }

    fn read_page3(&self, offset: u16) -> u8 {
        use page3::*;
        match offset {
            // The serial EEPROM's output idles high.
            CR9346 => self.cr9346 | cr9346::EEDO,
            // A 10BaseT connector.
            CONFIG0 => 0,
            CONFIG2 => self.config2,
            CONFIG3 => self.config3,
            ASID0 | ASID1 => ASID[usize::from(offset - ASID0)],
            _ => 0xFF,
        }
    }

    fn write_page3(&mut self, offset: u16, value: u8) {
        use page3::*;
        let unlocked = self.cr9346 & cr9346::EEM == cr9346::EEM_CONFIG_WRITE;
        match offset {
            CR9346 if value & cr9346::EEM == cr9346::EEM_AUTO_LOAD => {
                // Configuration comes back from the EEPROM, and the mode with it.
                (self.cr9346, self.config2, self.config3) = (0, CONFIG2_RESET, CONFIG3_RESET);
            }
            CR9346 => self.cr9346 = value & cr9346::KEPT,
            // Medium and flow control; full duplex, sleep and power-down. All without effect here.
            CONFIG2 if unlocked => self.config2 = self.config2 & !CONFIG2_KEPT | value & CONFIG2_KEPT,
            CONFIG3 if unlocked => self.config3 = self.config3 & !CONFIG3_KEPT | value & CONFIG3_KEPT,
            _ => {}
        }
    }

    /// Counts one of the tallies up; it stops at 192, and from 128 on it interrupts.
    pub(super) fn count(&mut self, tally: usize) {
        let Some(counter) = self.counters.get_mut(tally) else { return };
        *counter = counter.saturating_add(1).min(COUNTER_LIMIT);
        if *counter & 0x80 != 0 {
            self.isr |= isr::CNT;
        }
    }
}

/// Whether an access lies wholly in the data port's range.
pub(super) const fn is_data(offset: u16, width: Width) -> bool {
    offset >= port::DATA && offset < port::RESET && offset + width as u16 <= port::RESET
}
