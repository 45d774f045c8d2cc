//! Register bits and command codes, named as in the ATA/ATAPI standards.

/// Status and alternate status.
pub(super) mod status {
    pub(crate) const ERR: u8 = 0x01;
    pub(crate) const DRQ: u8 = 0x08;
    /// Device seek complete; service in newer standards.
    pub(crate) const DSC: u8 = 0x10;
    pub(crate) const DRDY: u8 = 0x40;
    pub(crate) const BSY: u8 = 0x80;
    /// What an idle disk shows.
    pub(crate) const READY: u8 = DRDY | DSC;
}

/// Error.
pub(super) mod error {
    pub(crate) const ABRT: u8 = 0x04;
    /// Sector id not found: the address is outside the medium.
    pub(crate) const IDNF: u8 = 0x10;
    /// Uncorrectable data; write-protected when a write failed.
    pub(crate) const UNC: u8 = 0x40;
    pub(crate) const WP: u8 = 0x40;
    /// Diagnostic code: device 0 passed, device 1 passed or absent.
    pub(crate) const PASSED: u8 = 0x01;
}

/// Device control.
pub(super) mod control {
    pub(crate) const NIEN: u8 = 0x02;
    pub(crate) const SRST: u8 = 0x04;
    /// High order byte: reads show the registers as they were before the last write.
    pub(crate) const HOB: u8 = 0x80;
}

/// Device/head.
pub(super) mod device {
    pub(crate) const DEV: u8 = 0x10;
    pub(crate) const LBA: u8 = 0x40;
    /// Bits that read as ones on old drives.
    pub(crate) const OBSOLETE: u8 = 0xA0;
}

/// Interrupt reason of a packet device, in the sector count register.
pub(super) mod reason {
    /// Command (1) or data (0).
    pub(crate) const COD: u8 = 0x01;
    /// To the host.
    pub(crate) const IO: u8 = 0x02;
}

/// Command codes.
pub(super) mod cmd {
    pub(crate) const NOP: u8 = 0x00;
    pub(crate) const DEVICE_RESET: u8 = 0x08;
    pub(crate) const READ_SECTORS: u8 = 0x20;
    pub(crate) const READ_SECTORS_NO_RETRY: u8 = 0x21;
    pub(crate) const READ_SECTORS_EXT: u8 = 0x24;
    pub(crate) const READ_DMA_EXT: u8 = 0x25;
    pub(crate) const READ_NATIVE_MAX_EXT: u8 = 0x27;
    pub(crate) const READ_MULTIPLE_EXT: u8 = 0x29;
    pub(crate) const WRITE_SECTORS: u8 = 0x30;
    pub(crate) const WRITE_SECTORS_NO_RETRY: u8 = 0x31;
    pub(crate) const WRITE_SECTORS_EXT: u8 = 0x34;
    pub(crate) const WRITE_DMA_EXT: u8 = 0x35;
    pub(crate) const WRITE_MULTIPLE_EXT: u8 = 0x39;
    pub(crate) const WRITE_VERIFY: u8 = 0x3C;
    pub(crate) const WRITE_DMA_FUA_EXT: u8 = 0x3D;
    pub(crate) const READ_VERIFY: u8 = 0x40;
    pub(crate) const READ_VERIFY_NO_RETRY: u8 = 0x41;
    pub(crate) const READ_VERIFY_EXT: u8 = 0x42;
    pub(crate) const EXECUTE_DIAGNOSTIC: u8 = 0x90;
    pub(crate) const INITIALIZE_PARAMETERS: u8 = 0x91;
    pub(crate) const STANDBY_IMMEDIATE_OLD: u8 = 0x94;
    pub(crate) const IDLE_IMMEDIATE_OLD: u8 = 0x95;
    pub(crate) const STANDBY_OLD: u8 = 0x96;
    pub(crate) const IDLE_OLD: u8 = 0x97;
    pub(crate) const CHECK_POWER_MODE_OLD: u8 = 0x98;
    pub(crate) const SLEEP_OLD: u8 = 0x99;
    pub(crate) const PACKET: u8 = 0xA0;
    pub(crate) const IDENTIFY_PACKET: u8 = 0xA1;
    pub(crate) const SMART: u8 = 0xB0;
    pub(crate) const READ_MULTIPLE: u8 = 0xC4;
    pub(crate) const WRITE_MULTIPLE: u8 = 0xC5;
    pub(crate) const SET_MULTIPLE: u8 = 0xC6;
    pub(crate) const READ_DMA: u8 = 0xC8;
    pub(crate) const READ_DMA_NO_RETRY: u8 = 0xC9;
    pub(crate) const WRITE_DMA: u8 = 0xCA;
    pub(crate) const WRITE_DMA_NO_RETRY: u8 = 0xCB;
    pub(crate) const WRITE_MULTIPLE_FUA_EXT: u8 = 0xCE;
    pub(crate) const STANDBY_IMMEDIATE: u8 = 0xE0;
    pub(crate) const IDLE_IMMEDIATE: u8 = 0xE1;
    pub(crate) const STANDBY: u8 = 0xE2;
    pub(crate) const IDLE: u8 = 0xE3;
    pub(crate) const CHECK_POWER_MODE: u8 = 0xE5;
    pub(crate) const SLEEP: u8 = 0xE6;
    pub(crate) const FLUSH_CACHE: u8 = 0xE7;
    pub(crate) const FLUSH_CACHE_EXT: u8 = 0xEA;
    pub(crate) const IDENTIFY: u8 = 0xEC;
    pub(crate) const SET_FEATURES: u8 = 0xEF;
    pub(crate) const READ_NATIVE_MAX: u8 = 0xF8;
}
