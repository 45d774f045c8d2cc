//! The command phase: which commands there are, how long they are, and those that move no data.

use super::reg::{bit, configure, st0, st3};
use super::{Floppy, Phase, SEEK_NS, STEP_NS};
use crate::devices::Bus;

/// What a data transfer does with each sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(super) enum Kind {
    #[default]
    Read,
    ReadDeleted,
    ReadTrack,
    ReadId,
    Verify,
    Write,
    WriteDeleted,
    Format,
    ScanEqual,
    ScanLow,
    ScanHigh,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Read,
        Self::ReadDeleted,
        Self::ReadTrack,
        Self::ReadId,
        Self::Verify,
        Self::Write,
        Self::WriteDeleted,
        Self::Format,
        Self::ScanEqual,
        Self::ScanLow,
        Self::ScanHigh,
    ];

    pub(super) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or_default()
    }

    /// Whether the guest gives data.
    pub(super) const fn takes(self) -> bool {
        matches!(
            self,
            Self::Write
                | Self::WriteDeleted
                | Self::Format
                | Self::ScanEqual
                | Self::ScanLow
                | Self::ScanHigh
        )
    }

    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::WriteDeleted | Self::Format)
    }
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Transfer(Kind),
    Recalibrate,
    SenseInterrupt,
    Specify,
    SenseDrive,
    Seek,
    RelativeSeek,
    Configure,
    DumpRegisters,
    Version,
    Perpendicular,
    Lock,
}

/// The commands: bits that tell them, their value, bytes with parameters.
const COMMANDS: [(u8, u8, u8, Act); 22] = [
    (0x1F, 0x06, 9, Act::Transfer(Kind::Read)),
    (0x1F, 0x0C, 9, Act::Transfer(Kind::ReadDeleted)),
    (0x3F, 0x05, 9, Act::Transfer(Kind::Write)),
    (0x3F, 0x09, 9, Act::Transfer(Kind::WriteDeleted)),
    (0xBF, 0x02, 9, Act::Transfer(Kind::ReadTrack)),
    (0x1F, 0x16, 9, Act::Transfer(Kind::Verify)),
    (0xBF, 0x0D, 6, Act::Transfer(Kind::Format)),
    (0x1F, 0x11, 9, Act::Transfer(Kind::ScanEqual)),
    (0x1F, 0x19, 9, Act::Transfer(Kind::ScanLow)),
    (0x1F, 0x1D, 9, Act::Transfer(Kind::ScanHigh)),
    (0xBF, 0x0A, 2, Act::Transfer(Kind::ReadId)),
    (0xFF, 0x07, 2, Act::Recalibrate),
    (0xFF, 0x08, 1, Act::SenseInterrupt),
    (0xFF, 0x03, 3, Act::Specify),
    (0xFF, 0x04, 2, Act::SenseDrive),
    (0xFF, 0x0F, 3, Act::Seek),
    (0xBF, 0x8F, 3, Act::RelativeSeek),
    (0xFF, 0x13, 4, Act::Configure),
    (0xFF, 0x0E, 1, Act::DumpRegisters),
    (0xFF, 0x10, 1, Act::Version),
    (0xFF, 0x12, 2, Act::Perpendicular),
    (0x7F, 0x14, 1, Act::Lock),
];

/// What VERSION says: not a 765, but one with a FIFO.
const ENHANCED: u8 = 0x90;
/// PERPENDICULAR MODE: the bits for drives count only when this one is set.
const OVERWRITE: u8 = 0x80;

fn command(first: u8) -> Option<(u8, Act)> {
    COMMANDS.iter().find(|c| first & c.0 == c.1).map(|c| (c.2, c.3))
}

/// Bytes of the command that begins with `first`; commands that are none have one.
pub(super) fn length(first: u8) -> u8 {
    command(first).map_or(1, |(length, _)| length)
}

impl Floppy {
    /// All bytes of a command are here.
    pub(super) fn execute(&mut self, bus: &mut Bus<'_>) {
        let [first, second, third, fourth, ..] = self.fifo;
        let Some((_, act)) = command(first) else { return self.reply(&[st0::INVALID]) };
        let number = usize::from(second & 3);
        match act {
            Act::Transfer(kind) => return self.begin_transfer(kind, bus),
            Act::SenseInterrupt => return self.sense_interrupt(),
            Act::SenseDrive => {
                let status = self.drive_status(second, bus);
                return self.reply(&[status]);
            }
            Act::DumpRegisters => return self.dump_registers(),
            Act::Version => return self.reply(&[ENHANCED]),
            Act::Lock => {
                self.lock = first & bit::LOCK != 0;
                return self.reply(&[u8::from(self.lock) << 4]);
            }
            Act::Specify => self.specify = [second, third],
            Act::Configure => self.configure = [third & 0x7F, fourth],
            Act::Perpendicular => {
                let drives = if second & OVERWRITE != 0 { second } else { self.perpendicular } & 0x3C;
                self.perpendicular = drives | second & 3;
            }
            Act::Recalibrate => self.seek(number, 0, bus),
            Act::Seek => self.seek(number, third, bus),
            Act::RelativeSeek => {
                let from = self.drives[number].cylinder;
                let inwards = first & bit::INWARDS != 0;
                let to = if inwards { from.saturating_add(third) } else { from.saturating_sub(third) };
                self.seek(number, to, bus);
            }
        }
        if act == Act::Recalibrate && !self.drives[number].present() {
            // Nobody pulls the track 0 line.
            self.seek_status[number] |= st0::ABNORMAL | st0::EQUIPMENT;
        }
        self.await_command();
    }

    /// Moves a drive's head; the guest is told at the end.
    fn seek(&mut self, number: usize, cylinder: u8, bus: &mut Bus<'_>) {
        let medium = bus.host.drives.floppy.get(number).is_some_and(Option::is_some);
        let drive = &mut self.drives[number];
        let from = drive.cylinder;
        drive.step_to(cylinder, medium);
        let steps = u64::from(from.abs_diff(drive.cylinder));
        self.attention[number] = 0;
        self.seek_status[number] = st0::SEEK_END | number as u8;
        self.seek_end[number] = Some(bus.board.now + SEEK_NS + steps * STEP_NS);
    }

    fn sense_interrupt(&mut self) {
        let Some(number) = self.attention.iter().position(|status| *status != 0) else {
            return self.reply(&[st0::INVALID]);
        };
        let status = core::mem::take(&mut self.attention[number]);
        // One interrupt tells of the drives polled after a reset, each seek has its own.
        self.sense_irq = self.attention.iter().any(|s| *s != 0 && s & st0::POLLED != st0::POLLED);
        self.reply(&[status, self.drives[number].cylinder]);
    }

    fn drive_status(&self, select: u8, bus: &Bus<'_>) -> u8 {
        let number = usize::from(select & 3);
        let drive = &self.drives[number];
        let mut status = st3::ALWAYS | select & 7;
        if drive.present() && drive.cylinder == 0 {
            status |= st3::TRACK_0;
        }
        if bus.host.drives.floppy.get(number).and_then(Option::as_ref).is_some_and(|d| d.read_only()) {
            status |= st3::WRITE_PROTECT;
        }
        status
    }

    fn dump_registers(&mut self) {
        let [a, b, c, d] = self.drives.map(|drive| drive.cylinder);
        let [srt, hlt] = self.specify;
        let last = self.transfer.last_sector();
        let modes = u8::from(self.lock) << 7 | self.perpendicular;
        let [configure, precompensation] = self.configure;
        self.reply(&[a, b, c, d, srt, hlt, last, modes, configure, precompensation]);
    }

    /// Goes to the result phase.
    pub(super) fn reply(&mut self, result: &[u8]) {
        self.fifo = [0; 16];
        self.fifo[..result.len()].copy_from_slice(result);
        self.at = 0;
        self.len = result.len() as u8;
        self.phase = Phase::Result;
    }

    /// Ready for the next command.
    pub(super) fn await_command(&mut self) {
        self.phase = Phase::Command;
        self.at = 0;
    }

    /// What a reset sets: the FIFO's parameters only when they are not locked.
    pub(super) fn reset_settings(&mut self) {
        if !self.lock {
            self.configure = [configure::FIFO_OFF, 0];
        }
        self.configure[0] &= !(configure::IMPLIED_SEEK | configure::POLL_OFF);
        self.perpendicular &= 0x3C;
    }
}
