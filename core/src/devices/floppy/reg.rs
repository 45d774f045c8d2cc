//! Registers and bits, named as in the 82077AA data sheet.

/// Ports.
pub(super) mod port {
    /// Digital output register.
    pub(crate) const DOR: u16 = 0x3F2;
    /// Tape drive register.
    pub(crate) const TDR: u16 = 0x3F3;
    /// Main status register; written, the data rate select register.
    pub(crate) const MSR_DSR: u16 = 0x3F4;
    /// Commands, data and results.
    pub(crate) const FIFO: u16 = 0x3F5;
    /// Digital input register; written, the configuration control register.
    pub(crate) const DIR_CCR: u16 = 0x3F7;
}

/// Digital output register.
pub(super) mod dor {
    pub(crate) const SELECT: u8 = 0x03;
    /// Low while the controller is held in reset.
    pub(crate) const RESET: u8 = 0x04;
    /// Interrupt and DMA request reach the bus.
    pub(crate) const DMAGATE: u8 = 0x08;
    /// The first drive's motor; the others' follow.
    pub(crate) const MOTOR: u8 = 0x10;
}

/// Main status register.
pub(super) mod msr {
    pub(crate) const RQM: u8 = 0x80;
    pub(crate) const DIO: u8 = 0x40;
    pub(crate) const NON_DMA: u8 = 0x20;
    pub(crate) const BUSY: u8 = 0x10;
}

/// Data rate select register.
pub(super) mod dsr {
    pub(crate) const SOFTWARE_RESET: u8 = 0x80;
    pub(crate) const RATE: u8 = 0x03;
}

/// Digital input register.
pub(super) mod dir {
    pub(crate) const DISK_CHANGE: u8 = 0x80;
}

/// Data rates as CCR and DSR code them.
pub(super) mod rate {
    pub(crate) const KBPS_500: u8 = 0;
    pub(crate) const KBPS_300: u8 = 1;
    pub(crate) const KBPS_250: u8 = 2;
    pub(crate) const MBPS_1: u8 = 3;
}

/// Status register 0.
pub(super) mod st0 {
    /// Interrupt code: the command ended abnormally.
    pub(crate) const ABNORMAL: u8 = 0x40;
    /// Interrupt code: not a command.
    pub(crate) const INVALID: u8 = 0x80;
    /// Interrupt code: a drive's ready line changed, as after a reset.
    pub(crate) const POLLED: u8 = 0xC0;
    pub(crate) const SEEK_END: u8 = 0x20;
    /// Equipment check: track 0 was not found.
    pub(crate) const EQUIPMENT: u8 = 0x10;
}

/// Status register 1.
pub(super) mod st1 {
    pub(crate) const END_OF_CYLINDER: u8 = 0x80;
    pub(crate) const DATA_ERROR: u8 = 0x20;
    pub(crate) const OVERRUN: u8 = 0x10;
    pub(crate) const NO_DATA: u8 = 0x04;
    pub(crate) const NOT_WRITABLE: u8 = 0x02;
    pub(crate) const MISSING_MARK: u8 = 0x01;
}

/// Status register 2.
pub(super) mod st2 {
    /// The sector's address mark was of the other kind.
    pub(crate) const CONTROL_MARK: u8 = 0x40;
    pub(crate) const DATA_ERROR: u8 = 0x20;
    pub(crate) const WRONG_CYLINDER: u8 = 0x10;
    pub(crate) const SCAN_EQUAL: u8 = 0x08;
    pub(crate) const SCAN_NOT_SATISFIED: u8 = 0x04;
    pub(crate) const BAD_CYLINDER: u8 = 0x02;
}

/// Status register 3.
pub(super) mod st3 {
    pub(crate) const WRITE_PROTECT: u8 = 0x40;
    /// Ready and two-sided, which the chip has no lines for and shows as ones.
    pub(crate) const ALWAYS: u8 = 0x28;
    pub(crate) const TRACK_0: u8 = 0x10;
}

/// Bits of commands' first two bytes.
pub(super) mod bit {
    /// Multi-track: both sides of a cylinder.
    pub(crate) const MT: u8 = 0x80;
    /// Double density.
    pub(crate) const MFM: u8 = 0x40;
    /// Skip sectors with the other kind of address mark.
    pub(crate) const SK: u8 = 0x20;
    /// LOCK: lock instead of unlock.
    pub(crate) const LOCK: u8 = 0x80;
    /// RELATIVE SEEK: inwards.
    pub(crate) const INWARDS: u8 = 0x40;
    /// VERIFY, second byte: the last parameter counts sectors.
    pub(crate) const ENABLE_COUNT: u8 = 0x80;
    /// Second byte: head.
    pub(crate) const HEAD: u8 = 0x04;
}

/// CONFIGURE's second parameter.
pub(super) mod configure {
    pub(crate) const IMPLIED_SEEK: u8 = 0x40;
    /// The FIFO is off.
    pub(crate) const FIFO_OFF: u8 = 0x20;
    pub(crate) const POLL_OFF: u8 = 0x10;
}
