//! SMART: a disk in good health, which says so.
//!
//! Spec: ATA/ATAPI-6, 8.51; attribute layout as drives of the time had it.

use super::super::Bus;
use super::channel::Channel;
use super::drive::SECTOR;

/// Subcommands.
mod feature {
    pub(super) const READ_DATA: u8 = 0xD0;
    pub(super) const READ_THRESHOLDS: u8 = 0xD1;
    pub(super) const AUTOSAVE: u8 = 0xD2;
    pub(super) const SAVE: u8 = 0xD3;
    pub(super) const OFF_LINE: u8 = 0xD4;
    pub(super) const READ_LOG: u8 = 0xD5;
    pub(super) const ENABLE: u8 = 0xD8;
    pub(super) const DISABLE: u8 = 0xD9;
    pub(super) const STATUS: u8 = 0xDA;
}

/// The key in the cylinder registers without which no SMART command is taken.
const KEY: [u8; 2] = [0x4F, 0xC2];

/// Attributes: id, flags, value, raw, threshold.
const ATTRIBUTES: [(u8, u16, u8, u32, u8); 6] = [
    (1, 0x0003, 100, 0, 16),
    (5, 0x0003, 100, 0, 36),
    (9, 0x0012, 100, 1, 0),
    (12, 0x0012, 100, 1, 0),
    (194, 0x0022, 69, 31, 0),
    (197, 0x0012, 100, 0, 0),
];

impl Channel {
    pub(super) fn smart(&mut self, bus: &mut Bus<'_>) {
        let drive = self.drive();
        if [drive.mid[0], drive.high[0]] != KEY {
            return self.abort(bus);
        }
        let what = drive.feature[0];
        if !drive.smart && what != feature::ENABLE {
            return self.abort(bus);
        }
        match what {
            feature::ENABLE => drive.smart = true,
            feature::DISABLE => drive.smart = false,
            // F1h switches automatic saving on, 0 off.
            feature::AUTOSAVE => drive.smart_autosave = drive.count[0] == 0xF1,
            // All is well: the key stays (a failing drive would turn it round).
            feature::SAVE | feature::STATUS => {}
            // Off-line collection and self-tests end at once and well; captive ones (bit 7) too.
            feature::OFF_LINE => {
                if !matches!(drive.low[0], 0..=4 | 0x7F | 0x81..=0x84) {
                    return self.abort(bus);
                }
            }
            feature::READ_DATA => return self.smart_data(bus),
            feature::READ_THRESHOLDS => return self.smart_thresholds(bus),
            feature::READ_LOG => return self.smart_log(bus),
            _ => return self.abort(bus),
        }
        self.complete(bus);
    }

    /// Hands a sector with a checksum in its last byte to the guest.
    fn reply_summed(&mut self, bus: &mut Bus<'_>) {
        let sum = self.buffer[..SECTOR - 1].iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        self.buffer[SECTOR - 1] = sum.wrapping_neg();
        self.transfer.block = SECTOR as u32;
        self.reply(SECTOR, bus);
    }

    fn smart_data(&mut self, bus: &mut Bus<'_>) {
        let autosave = self.drive().smart_autosave;
        let b = &mut self.buffer[..SECTOR];
        b.fill(0);
        b[0] = 1;
        for (entry, (id, flags, value, raw, _)) in b[2..362].chunks_exact_mut(12).zip(ATTRIBUTES) {
            entry[0] = id;
            entry[1..3].copy_from_slice(&flags.to_le_bytes());
            entry[3] = value;
            entry[4] = value;
            entry[5..9].copy_from_slice(&raw.to_le_bytes());
        }
        // Off-line collection done; it can be started, and self-tests too.
        b[362] = 0x02 | if autosave { 0x80 } else { 0 };
        b[364] = 1;
        b[367] = 0x13;
        // Saves before power saving and on demand; has an error log.
        b[368] = 0x03;
        b[370] = 0x01;
        // Minutes for the short and the long self-test.
        b[372] = 1;
        b[373] = 1;
        self.reply_summed(bus);
    }

    fn smart_thresholds(&mut self, bus: &mut Bus<'_>) {
        let b = &mut self.buffer[..SECTOR];
        b.fill(0);
        b[0] = 1;
        for (entry, (id, _, _, _, threshold)) in b[2..362].chunks_exact_mut(12).zip(ATTRIBUTES) {
            entry[0] = id;
            entry[1] = threshold;
        }
        self.reply_summed(bus);
    }

    fn smart_log(&mut self, bus: &mut Bus<'_>) {
        let log = self.drive().low[0];
        let b = &mut self.buffer[..SECTOR];
        b.fill(0);
        match log {
            // The directory: version 1, one sector each for the logs 1 and 6.
            0 => {
                b[0] = 1;
                b[2] = 1;
                b[12] = 1;
                self.transfer.block = SECTOR as u32;
                return self.reply(SECTOR, bus);
            }
            1 => b[0] = 1,
            6 => b[0] = 1,
            _ => return self.abort(bus),
        }
        self.reply_summed(bus);
    }
}
