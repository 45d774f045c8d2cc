//! The disk's commands, and those that packet devices share with it.

use super::super::Bus;
use super::channel::{Channel, Phase};
use super::drive::{MAX_MULTIPLE, SECTOR, power};
use super::identify;
use super::reg::{cmd, device, error, status};
use super::transfer::What;

/// Subcommands of SET FEATURES.
mod feature {
    pub(super) const WRITE_CACHE_ON: u8 = 0x02;
    pub(super) const TRANSFER_MODE: u8 = 0x03;
    pub(super) const LOOK_AHEAD_OFF: u8 = 0x55;
    pub(super) const REVERT_OFF: u8 = 0x66;
    pub(super) const WRITE_CACHE_OFF: u8 = 0x82;
    pub(super) const LOOK_AHEAD_ON: u8 = 0xAA;
    pub(super) const REVERT_ON: u8 = 0xCC;
}

/// How a command moves sectors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// One sector for each interrupt.
    Single,
    /// As many as SET MULTIPLE said.
    Multiple,
    Dma,
}

impl Channel {
    /// Starts the command in the command register.
    pub(super) fn execute(&mut self, bus: &mut Bus<'_>) {
        self.transfer = super::transfer::Transfer::default();
        match self.command {
            cmd::EXECUTE_DIAGNOSTIC => {
                self.reset_drives();
                self.phase = Phase::Idle;
                // Device 0 raises the interrupt; with no device 0 nobody does.
                if self.drives[0].present() {
                    self.interrupt(bus);
                }
                return;
            }
            cmd::STANDBY_IMMEDIATE | cmd::STANDBY_IMMEDIATE_OLD | cmd::STANDBY | cmd::STANDBY_OLD => {
                self.drive().power = power::STANDBY;
                return self.flush(bus);
            }
            cmd::IDLE_IMMEDIATE | cmd::IDLE_IMMEDIATE_OLD | cmd::IDLE | cmd::IDLE_OLD => {
                self.drive().power = power::IDLE;
                return self.complete(bus);
            }
            cmd::CHECK_POWER_MODE | cmd::CHECK_POWER_MODE_OLD => {
                let drive = self.drive();
                drive.count[0] = drive.power;
                return self.complete(bus);
            }
            cmd::SLEEP | cmd::SLEEP_OLD => {
                self.drive().power = power::SLEEP;
                return self.complete(bus);
            }
            cmd::SET_FEATURES => return self.set_features(bus),
            cmd::NOP => return self.abort(bus),
            _ => {}
        }
        if self.drive().is_cd() {
            return self.execute_packet_device(bus);
        }
        match self.command {
            cmd::READ_SECTORS | cmd::READ_SECTORS_NO_RETRY => self.read(How::Single, false, bus),
            cmd::READ_SECTORS_EXT => self.read(How::Single, true, bus),
            cmd::READ_MULTIPLE => self.read(How::Multiple, false, bus),
            cmd::READ_MULTIPLE_EXT => self.read(How::Multiple, true, bus),
            cmd::READ_DMA | cmd::READ_DMA_NO_RETRY => self.read(How::Dma, false, bus),
            cmd::READ_DMA_EXT => self.read(How::Dma, true, bus),
            cmd::WRITE_SECTORS | cmd::WRITE_SECTORS_NO_RETRY | cmd::WRITE_VERIFY => {
                self.write(How::Single, false, bus);
            }
            cmd::WRITE_SECTORS_EXT => self.write(How::Single, true, bus),
            cmd::WRITE_MULTIPLE => self.write(How::Multiple, false, bus),
            cmd::WRITE_MULTIPLE_EXT | cmd::WRITE_MULTIPLE_FUA_EXT => self.write(How::Multiple, true, bus),
            cmd::WRITE_DMA | cmd::WRITE_DMA_NO_RETRY => self.write(How::Dma, false, bus),
            cmd::WRITE_DMA_EXT | cmd::WRITE_DMA_FUA_EXT => self.write(How::Dma, true, bus),
            cmd::READ_VERIFY | cmd::READ_VERIFY_NO_RETRY => self.verify(false, bus),
            cmd::READ_VERIFY_EXT => self.verify(true, bus),
            // RECALIBRATE and SEEK: sixteen codes each, the low bits once were step rates.
            0x10..=0x1F => {
                let drive = self.drive();
                if drive.device & device::LBA == 0 {
                    (drive.low[0], drive.mid[0], drive.high[0]) = (drive.low[0].max(1), 0, 0);
                }
                self.complete(bus);
            }
            0x70..=0x7F => {
                let drive = self.drive();
                let sectors = drive.sectors;
                match drive.address(false) {
                    Some(lba) if lba < sectors => self.complete(bus),
                    _ => self.fail(error::IDNF, bus),
                }
            }
            cmd::INITIALIZE_PARAMETERS => {
                let drive = self.drive();
                if drive.count[0] == 0 {
                    return self.abort(bus);
                }
                drive.current_heads = (drive.device & 0x0F) + 1;
                drive.current_spt = drive.count[0];
                self.complete(bus);
            }
            cmd::SET_MULTIPLE => {
                let drive = self.drive();
                let n = drive.count[0];
                if n != 0 && (!n.is_power_of_two() || n > MAX_MULTIPLE) {
                    return self.abort(bus);
                }
                drive.multiple = n;
                self.complete(bus);
            }
            cmd::FLUSH_CACHE | cmd::FLUSH_CACHE_EXT => self.flush(bus),
            cmd::IDENTIFY => {
                let (number, drive) = self.which();
                let words = identify::disk(drive, number);
                self.reply_words(&words, bus);
            }
            cmd::READ_NATIVE_MAX => {
                let drive = self.drive();
                if drive.device & device::LBA == 0 {
                    return self.abort(bus);
                }
                let last = u64::from(drive.lba28_capacity()).saturating_sub(1);
                drive.set_address(false, last);
                self.complete(bus);
            }
            cmd::READ_NATIVE_MAX_EXT => {
                let drive = self.drive();
                let last = drive.sectors.saturating_sub(1);
                drive.set_address(true, last);
                self.complete(bus);
            }
            cmd::SMART => self.smart(bus),
            _ => self.abort(bus),
        }
    }

    /// The active drive with its number on the controller.
    pub(super) fn which(&mut self) -> (u8, &mut super::drive::Drive) {
        let number = self.slot();
        (number, self.drive())
    }

    /// Hands 256 words to the guest by PIO.
    pub(super) fn reply_words(&mut self, words: &[u16; 256], bus: &mut Bus<'_>) {
        for (bytes, word) in self.buffer.chunks_exact_mut(2).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.transfer.block = SECTOR as u32;
        self.reply(SECTOR, bus);
    }

    /// Works out which sectors the command means; false when it has ended with an error.
    fn locate(&mut self, ext: bool, bus: &mut Bus<'_>) -> bool {
        let drive = self.drive();
        let count = drive.sector_count(ext);
        let sectors = drive.sectors;
        drive.power = power::ACTIVE;
        let lba = drive.address(ext);
        match lba {
            Some(lba) if lba.checked_add(u64::from(count)).is_some_and(|end| end <= sectors) => {
                self.transfer.ext = ext;
                self.transfer.lba = lba;
                self.transfer.left = count;
                true
            }
            _ => {
                self.fail(error::IDNF, bus);
                false
            }
        }
    }

    /// Prepares the way in which data are moved; false when it is not set up.
    fn prepare(&mut self, how: How, bus: &mut Bus<'_>) -> bool {
        let multiple = self.drive().multiple;
        let sectors = match how {
            How::Single => 1,
            How::Multiple if multiple == 0 => {
                self.abort(bus);
                return false;
            }
            // An image may hold any number here.
            How::Multiple => u32::from(multiple.min(MAX_MULTIPLE)),
            How::Dma => 1,
        };
        self.transfer.dma = how == How::Dma;
        self.transfer.block = sectors * SECTOR as u32;
        true
    }

    fn read(&mut self, how: How, ext: bool, bus: &mut Bus<'_>) {
        if self.prepare(how, bus) && self.locate(ext, bus) {
            self.transfer.what = What::Read;
            self.fetch(bus);
        }
    }

    fn write(&mut self, how: How, ext: bool, bus: &mut Bus<'_>) {
        if self.prepare(how, bus) && self.locate(ext, bus) {
            self.transfer.what = What::Write;
            self.receive(true, bus);
        }
    }

    fn verify(&mut self, ext: bool, bus: &mut Bus<'_>) {
        if self.locate(ext, bus) {
            self.transfer.what = What::Verify;
            self.fetch(bus);
        }
    }

    fn set_features(&mut self, bus: &mut Bus<'_>) {
        let drive = self.drive();
        match drive.feature[0] {
            feature::WRITE_CACHE_ON => drive.write_cache = true,
            feature::WRITE_CACHE_OFF => {
                drive.write_cache = false;
                if !drive.is_cd() {
                    return self.flush(bus);
                }
            }
            feature::TRANSFER_MODE => {
                let mode = drive.count[0];
                // PIO default and flow control 0-4, multiword DMA 0-2, Ultra DMA 0-5.
                let known = match mode >> 3 {
                    0 => mode <= 1,
                    1 => mode & 7 <= 4,
                    4 => mode & 7 <= 2,
                    8 => mode & 7 <= 5,
                    _ => false,
                };
                if !known {
                    return self.abort(bus);
                }
                // PIO and DMA modes are told apart in IDENTIFY; only the DMA mode is kept there.
                if mode >> 3 != 1 {
                    drive.mode = mode;
                }
            }
            feature::LOOK_AHEAD_ON => drive.look_ahead = true,
            feature::LOOK_AHEAD_OFF => drive.look_ahead = false,
            feature::REVERT_ON | feature::REVERT_OFF => {}
            _ => return self.abort(bus),
        }
        self.complete(bus);
    }

    /// The signature and an abort: how a packet device answers a disk's commands.
    pub(super) fn abort_signed(&mut self, bus: &mut Bus<'_>) {
        self.drive().sign();
        self.phase = Phase::Idle;
        let drive = self.drive();
        drive.error = error::ABRT;
        drive.status = status::DRDY | status::ERR;
        self.interrupt(bus);
    }
}
