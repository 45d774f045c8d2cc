//! Registers and bits as the data sheets spell them.

/// Offsets from the card's first port.
pub mod port {
    #![allow(missing_docs)]
    pub const CR: u16 = 0x00;
    /// First of the eight ports that are all the data port.
    pub const DATA: u16 = 0x10;
    /// First of the eight ports that are all the reset port.
    pub const RESET: u16 = 0x18;
    /// Ports of the card.
    pub const COUNT: u16 = 0x20;
}

/// Page 0, read.
pub mod page0_read {
    #![allow(missing_docs)]
    pub const CLDA0: u16 = 0x01;
    pub const CLDA1: u16 = 0x02;
    pub const BNRY: u16 = 0x03;
    pub const TSR: u16 = 0x04;
    pub const NCR: u16 = 0x05;
    pub const FIFO: u16 = 0x06;
    pub const ISR: u16 = 0x07;
    pub const CRDA0: u16 = 0x08;
    pub const CRDA1: u16 = 0x09;
    pub const ID0: u16 = 0x0A;
    pub const ID1: u16 = 0x0B;
    pub const RSR: u16 = 0x0C;
    pub const CNTR0: u16 = 0x0D;
    pub const CNTR1: u16 = 0x0E;
    pub const CNTR2: u16 = 0x0F;
}

/// Page 0, written.
pub mod page0_write {
    #![allow(missing_docs)]
    pub const PSTART: u16 = 0x01;
    pub const PSTOP: u16 = 0x02;
    pub const BNRY: u16 = 0x03;
    pub const TPSR: u16 = 0x04;
    pub const TBCR0: u16 = 0x05;
    pub const TBCR1: u16 = 0x06;
    pub const ISR: u16 = 0x07;
    pub const RSAR0: u16 = 0x08;
    pub const RSAR1: u16 = 0x09;
    pub const RBCR0: u16 = 0x0A;
    pub const RBCR1: u16 = 0x0B;
    pub const RCR: u16 = 0x0C;
    pub const TCR: u16 = 0x0D;
    pub const DCR: u16 = 0x0E;
    pub const IMR: u16 = 0x0F;
}

/// Page 1.
pub mod page1 {
    #![allow(missing_docs)]
    pub const PAR0: u16 = 0x01;
    pub const PAR5: u16 = 0x06;
    pub const CURR: u16 = 0x07;
    pub const MAR0: u16 = 0x08;
    pub const MAR7: u16 = 0x0F;
}

/// Page 2, read (pages 0's write-only registers).
pub mod page2 {
    #![allow(missing_docs)]
    pub const PSTART: u16 = 0x01;
    pub const PSTOP: u16 = 0x02;
    pub const REMOTE_NEXT: u16 = 0x03;
    pub const TPSR: u16 = 0x04;
    pub const LOCAL_NEXT: u16 = 0x05;
    pub const ADDRESS_HIGH: u16 = 0x06;
    pub const ADDRESS_LOW: u16 = 0x07;
    pub const RCR: u16 = 0x0C;
    pub const TCR: u16 = 0x0D;
    pub const DCR: u16 = 0x0E;
    pub const IMR: u16 = 0x0F;
}

/// Page 3, Realtek's.
pub mod page3 {
    #![allow(missing_docs)]
    pub const CR9346: u16 = 0x01;
    pub const CONFIG0: u16 = 0x03;
    pub const CONFIG2: u16 = 0x05;
    pub const CONFIG3: u16 = 0x06;
    pub const ASID0: u16 = 0x0E;
    pub const ASID1: u16 = 0x0F;
}

/// Command register.
pub mod cr {
    #![allow(missing_docs)]
    pub const STP: u8 = 1 << 0;
    pub const STA: u8 = 1 << 1;
    pub const TXP: u8 = 1 << 2;
    /// Remote DMA command.
    pub const RD: u8 = 7 << 3;
    pub const RD_READ: u8 = 1 << 3;
    pub const RD_WRITE: u8 = 2 << 3;
    pub const RD_SEND_PACKET: u8 = 3 << 3;
    /// Abort or complete: any command with the highest bit.
    pub const RD_ABORT: u8 = 4 << 3;
    /// Register page.
    pub const PS_SHIFT: u8 = 6;
}

/// Interrupt status and mask registers.
pub mod isr {
    #![allow(missing_docs)]
    pub const PRX: u8 = 1 << 0;
    pub const PTX: u8 = 1 << 1;
    pub const RXE: u8 = 1 << 2;
    pub const TXE: u8 = 1 << 3;
    pub const OVW: u8 = 1 << 4;
    pub const CNT: u8 = 1 << 5;
    pub const RDC: u8 = 1 << 6;
    /// A status, never an interrupt.
    pub const RST: u8 = 1 << 7;
}

/// Data configuration register.
pub mod dcr {
    #![allow(missing_docs)]
    pub const WTS: u8 = 1 << 0;
    pub const ARM: u8 = 1 << 4;
    /// Bits that the RTL8029AS keeps: bit 2 (LAS) always reads 0, bit 7 always 1.
    pub const KEPT: u8 = 0x7B;
    pub const ONES: u8 = 0x80;
}

/// Transmit configuration register.
pub mod tcr {
    #![allow(missing_docs)]
    /// The driver appends the CRC itself.
    pub const CRC: u8 = 1 << 0;
    pub const LB: u8 = 3 << 1;
    pub const LB_CONTROLLER: u8 = 1 << 1;
    pub const LB_ENDEC: u8 = 2 << 1;
    pub const KEPT: u8 = 0x1F;
    pub const ONES: u8 = 0xE0;
}

/// Transmit status register.
pub mod tsr {
    #![allow(missing_docs)]
    pub const PTX: u8 = 1 << 0;
    /// Always 1 in the RTL8029AS.
    pub const ONES: u8 = 1 << 1;
    pub const ABT: u8 = 1 << 3;
    pub const CRS: u8 = 1 << 4;
    pub const CDH: u8 = 1 << 6;
}

/// Receive configuration register.
pub mod rcr {
    #![allow(missing_docs)]
    pub const SEP: u8 = 1 << 0;
    pub const AR: u8 = 1 << 1;
    pub const AB: u8 = 1 << 2;
    pub const AM: u8 = 1 << 3;
    pub const PRO: u8 = 1 << 4;
    pub const MON: u8 = 1 << 5;
    pub const KEPT: u8 = 0x3F;
    pub const ONES: u8 = 0xC0;
}

/// Receive status register, and the first byte of each packet in the ring.
pub mod rsr {
    #![allow(missing_docs)]
    pub const PRX: u8 = 1 << 0;
    pub const CRC: u8 = 1 << 1;
    pub const FAE: u8 = 1 << 2;
    pub const MPA: u8 = 1 << 4;
    /// The packet was for a group.
    pub const PHY: u8 = 1 << 5;
    pub const DIS: u8 = 1 << 6;
}

/// 9346CR of page 3.
pub mod cr9346 {
    #![allow(missing_docs)]
    pub const EEDO: u8 = 1 << 0;
    pub const EEM: u8 = 3 << 6;
    pub const EEM_AUTO_LOAD: u8 = 1 << 6;
    pub const EEM_CONFIG_WRITE: u8 = 3 << 6;
    pub const KEPT: u8 = 0xCE;
}

/// What CR reads after reset: stopped, remote DMA aborted.
pub const CR_RESET: u8 = cr::STP | cr::RD_ABORT;
/// The RTL8029AS calls itself "PC" where RBCR is written.
pub const ID: [u8; 2] = *b"PC";
/// ... and 8029 in page 3.
pub const ASID: [u8; 2] = [0x29, 0x80];
/// Where the tally counters stop.
pub const COUNTER_LIMIT: u8 = 192;
/// CONFIG2 from the EEPROM: the medium is 10BaseT.
pub const CONFIG2_RESET: u8 = 0x40;
/// What the guest may change of it: medium and flow control.
pub const CONFIG2_KEPT: u8 = 0xE0;
/// CONFIG3 from the EEPROM: full duplex.
pub const CONFIG3_RESET: u8 = 0x40;
/// What the guest may change of it: full duplex, sleep, power-down.
pub const CONFIG3_KEPT: u8 = 0x46;
