//! The SMBus host controller, with nothing on the bus: every transaction ends with a device error.
//!
//! Spec: Intel 290562, 82371AB (PIIX4), 7.3.
//! Not emulated: devices, the slave side, interrupts (polling drivers are answered at once).

mod reg {
    pub(super) const HSTSTS: u16 = 0x0;
    pub(super) const HSTCNT: u16 = 0x2;
    /// HSTCNT: go.
    pub(super) const START: u8 = 1 << 6;
    /// HSTSTS: nobody acknowledged the address.
    pub(super) const DEV_ERR: u8 = 1 << 2;
}

/// SMBus host registers.
#[derive(Clone, Debug, Default)]
pub(super) struct SmBus {
    bytes: [u8; 16],
}
crate::archive_fields!(SmBus { bytes });

impl SmBus {
    pub(super) fn read(&mut self, at: u16) -> u8 {
        self.bytes[usize::from(at & 15)]
    }

    pub(super) fn write(&mut self, at: u16, byte: u8) {
        let status = &mut self.bytes[usize::from(reg::HSTSTS)];
        match at {
            reg::HSTSTS => *status &= !byte,
            reg::HSTCNT => {
                if byte & reg::START != 0 {
                    *status |= reg::DEV_ERR;
                }
                self.bytes[usize::from(at)] = byte & !reg::START;
            }
            _ => self.bytes[usize::from(at & 15)] = byte,
        }
    }
}
