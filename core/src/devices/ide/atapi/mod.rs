//! The CD-ROM drive: packets, the medium and its tray.
//!
//! Spec: SFF-8020i and ATA/ATAPI-6 clause 9.9 for the PACKET protocol, MMC-3 and SPC-2 for the commands.
//! The medium is one session with one data track; with more blocks than a CD can have it is a DVD-ROM.

mod command;
mod config;
mod mode;
mod read;
pub(super) mod sector;
mod sense;
mod toc;

use super::super::Bus;
use super::channel::{Channel, GAP_NS, Phase};
use super::identify;
use super::reg::{cmd, reason, status};
use super::transfer::What;
use sense::Sense;

/// Bytes of a packet.
pub(super) const PACKET: usize = 12;
/// Bytes of a block of data.
pub(super) const BLOCK: usize = 2048;
/// The most blocks that a CD has: 99 minutes, 59 seconds, 74 frames.
const CD_BLOCKS: u32 = 449_849;
/// Largest parameter list that a command takes.
const MOST_PARAMETERS: usize = 512;

/// Media events of GET EVENT STATUS NOTIFICATION.
mod event {
    pub(super) const NONE: u8 = 0;
    pub(super) const EJECT_REQUEST: u8 = 1;
    pub(super) const NEW_MEDIA: u8 = 2;
    pub(super) const MEDIA_REMOVAL: u8 = 3;
}

/// What a CD drive has beyond a disk drive.
pub(super) struct Cd {
    /// 512-byte sectors of the medium in the drive, as last seen.
    medium: Option<u64>,
    tray_open: bool,
    locked: bool,
    sense: Sense,
    /// A unit attention that the guest has not been told of.
    attention: Option<Sense>,
    /// A media event that the guest has not been told of.
    event: u8,
    /// Error recovery mode page: recovery bits and retries.
    recovery: [u8; 2],
    /// Audio control mode page: channels and volumes.
    audio: [u8; 8],
}
crate::archive_fields!(Cd { medium, tray_open, locked, sense, attention, event, recovery, audio });

impl Cd {
    pub(super) fn new() -> Self {
        Self {
            medium: None,
            tray_open: false,
            locked: false,
            sense: Sense::NONE,
            attention: None,
            event: event::NONE,
            recovery: mode::RECOVERY,
            audio: mode::AUDIO,
        }
    }

    pub(super) fn locked(&self) -> bool {
        self.locked
    }

    pub(super) fn tray_open(&self) -> bool {
        self.tray_open
    }

    /// Power-on with this medium in the drive.
    pub(super) fn load_silently(&mut self, sectors: Option<u64>) {
        self.medium = sectors;
    }

    /// The host has put another medium in, or taken it out.
    pub(super) fn medium_changed(&mut self, sectors: Option<u64>) {
        self.medium = sectors;
        if sectors.is_some() {
            self.tray_open = false;
            self.attention = Some(Sense::MEDIUM_CHANGED);
            self.event = event::NEW_MEDIA;
        } else {
            self.event = event::MEDIA_REMOVAL;
        }
    }

    pub(super) fn eject_pressed(&mut self) {
        if self.locked {
            self.event = event::EJECT_REQUEST;
        } else {
            self.open_tray();
        }
    }

    fn open_tray(&mut self) {
        if !self.tray_open {
            self.tray_open = true;
            self.event = event::MEDIA_REMOVAL;
        }
    }

    fn close_tray(&mut self) {
        if self.tray_open {
            self.tray_open = false;
            if self.medium.is_some() {
                self.attention = Some(Sense::MEDIUM_CHANGED);
                self.event = event::NEW_MEDIA;
            }
        }
    }

    /// Number of blocks of the medium.
    fn blocks(&self) -> Result<u32, Sense> {
        match self.medium {
            _ if self.tray_open => Err(Sense::TRAY_OPEN),
            None | Some(0) => Err(Sense::NO_MEDIUM),
            Some(sectors) => Ok(sectors.div_ceil(4).min(u64::from(u32::MAX - 150)) as u32),
        }
    }

    fn is_dvd(&self) -> bool {
        self.blocks().is_ok_and(|n| n > CD_BLOCKS)
    }
}

/// What a packet command leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// It has ended well.
    Done,
    /// The guest gets this many bytes of the buffer.
    Reply(usize),
    /// The guest gets blocks in a form (see [`sector`]).
    Read { lba: u32, blocks: u32, form: [u8; 2] },
    /// The guest sends this many bytes of parameters.
    Receive(usize),
}

impl Channel {
    /// A packet device's commands.
    pub(super) fn execute_packet_device(&mut self, bus: &mut Bus<'_>) {
        match self.command {
            cmd::PACKET => {
                let t = &mut self.transfer;
                (t.pos, t.stop, t.end) = (0, PACKET as u32, PACKET as u32);
                self.phase = Phase::Packet;
                let drive = self.drive();
                drive.count[0] = reason::COD;
                // The drive is of the kind that asks for the packet without an interrupt.
                drive.status = status::READY | status::DRQ;
            }
            cmd::IDENTIFY_PACKET => {
                let (number, drive) = self.which();
                let words = identify::cdrom(drive, number);
                self.reply_words(&words, bus);
            }
            cmd::IDENTIFY | cmd::READ_SECTORS | cmd::READ_SECTORS_NO_RETRY => self.abort_signed(bus),
            cmd::FLUSH_CACHE => self.complete(bus),
            _ => self.abort(bus),
        }
    }

    /// The guest has written the packet.
    pub(super) fn packet_received(&mut self, bus: &mut Bus<'_>) {
        self.drive().status = status::BSY;
        self.phase = Phase::Packed;
        self.after(GAP_NS, bus);
    }

    /// Starts the command in the packet.
    pub(super) fn packet(&mut self, bus: &mut Bus<'_>) {
        let mut packet = [0; PACKET];
        packet.copy_from_slice(&self.buffer[..PACKET]);
        let sectors = self.medium(bus).map(|disk| disk.sectors());
        let drive = &mut self.drives[usize::from(self.slot() & 1)];
        let limit = byte_limit(drive.mid[0], drive.high[0]);
        self.transfer.dma = drive.feature[0] & 1 != 0;
        if drive.cd.medium != sectors {
            drive.cd.medium_changed(sectors);
        }
        self.buffer[..4096].fill(0);
        let slot = self.slot();
        let drive = &mut self.drives[usize::from(slot & 1)];
        match command::run(&mut drive.cd, slot, &packet, &mut self.buffer) {
            Err(sense) => self.packet_failed(sense, bus),
            Ok(Action::Done | Action::Reply(0)) => self.complete(bus),
            Ok(_) if !self.transfer.dma && limit < 2 => self.packet_failed(Sense::INVALID_FIELD, bus),
            Ok(Action::Reply(len)) => {
                // An odd limit counts only when everything fits into one block.
                self.transfer.block = if len as u32 <= limit { len as u32 } else { limit & !1 };
                self.reply(len, bus);
            }
            Ok(Action::Read { blocks: 0, .. }) => self.complete(bus),
            Ok(Action::Read { lba, blocks, form }) => {
                let t = &mut self.transfer;
                t.what = What::CdRead;
                t.block = limit & !1;
                (t.lba, t.left, t.form) = (lba.into(), blocks, form);
                self.fetch(bus);
            }
            Ok(Action::Receive(len)) => {
                // The packet decides about the list when it has come.
                self.buffer[MOST_PARAMETERS..][..PACKET].copy_from_slice(&packet);
                let t = &mut self.transfer;
                t.what = What::Parameters;
                t.block = if len as u32 <= limit { len as u32 } else { limit & !1 };
                t.pos = 0;
                t.end = len.min(MOST_PARAMETERS) as u32;
                if t.dma {
                    self.phase = Phase::DmaOut;
                    self.pump(bus);
                } else {
                    self.next_block(bus);
                }
            }
        }
    }

    /// The parameter list has come.
    pub(super) fn parameters_received(&mut self, bus: &mut Bus<'_>) {
        let mut packet = [0; PACKET];
        packet.copy_from_slice(&self.buffer[MOST_PARAMETERS..][..PACKET]);
        let list = self.buffer.get(..self.transfer.end as usize).unwrap_or(&[]);
        let drive = &mut self.drives[usize::from(self.slot() & 1)];
        match mode::select(&mut drive.cd, &packet, list) {
            Ok(()) => self.complete(bus),
            Err(sense) => self.packet_failed(sense, bus),
        }
    }

    /// The registers before a block at the data port: its direction and length.
    pub(super) fn show_block(&mut self, len: u32, out: bool) {
        let drive = self.drive();
        drive.count[0] = if out { 0 } else { reason::IO };
        (drive.mid[0], drive.high[0]) = (len as u8, (len >> 8) as u8);
    }

    /// The packet command has ended well.
    pub(super) fn complete_packet(&mut self, bus: &mut Bus<'_>) {
        let drive = self.drive();
        drive.count[0] = reason::COD | reason::IO;
        drive.status = status::READY;
        self.interrupt(bus);
    }

    /// The packet command ends with CHECK CONDITION.
    pub(super) fn packet_failed(&mut self, sense: Sense, bus: &mut Bus<'_>) {
        self.phase = Phase::Idle;
        let drive = self.drive();
        drive.cd.sense = sense;
        drive.error = sense.error_register();
        drive.count[0] = reason::COD | reason::IO;
        drive.status = status::DRDY | status::ERR;
        self.interrupt(bus);
    }

    /// The bus master could not move the data.
    pub(super) fn packet_aborted(&mut self, bus: &mut Bus<'_>) {
        self.packet_failed(Sense::COMMUNICATION, bus);
    }
}

/// The byte count limit: FFFFh stands for FFFEh.
fn byte_limit(mid: u8, high: u8) -> u32 {
    u32::from(u16::from_le_bytes([mid, high])).min(0xFFFE)
}
