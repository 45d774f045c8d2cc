//! Media that are exchanged while the machine runs.

use super::Machine;
use crate::config::IdeSlot;
use crate::devices::Bus;
use crate::host::{Disk, Host};
use alloc::boxed::Box;

/// A drive whose medium can be exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removable {
    /// The CD-ROM drive in this slot of the IDE channels, 0 to 3.
    Cdrom(usize),
    /// Floppy drive A: or B:, 0 or 1.
    Floppy(usize),
}

/// Why a medium was not exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The machine has no such drive.
    NoDrive,
    /// The guest has locked the tray; it has been told that the button was pressed.
    Locked,
}

/// A medium that was not taken, and why.
pub struct ExchangeError {
    /// Why.
    pub why: Refusal,
    /// The medium.
    pub medium: Option<Box<dyn Disk>>,
}

impl Machine {
    /// Puts a medium into a drive that takes one while the machine runs, or takes it out, and tells the guest as
    /// the drive does. Comes back with what was in the drive.
    ///
    /// # Errors
    /// When there is no such drive, or the guest has locked its tray; the medium comes back.
    pub fn exchange(
        &mut self,
        drive: Removable,
        medium: Option<Box<dyn Disk>>,
        host: &mut Host,
    ) -> Result<Option<Box<dyn Disk>>, ExchangeError> {
        let error = match drive {
            Removable::Cdrom(slot) => match self.config.ide.get(slot) {
                Some(IdeSlot::Cdrom) if self.devices.ide.is_locked(slot) => {
                    self.devices.ide.eject_pressed(slot);
                    Some(Refusal::Locked)
                }
                Some(IdeSlot::Cdrom) => None,
                _ => Some(Refusal::NoDrive),
            },
            Removable::Floppy(n) if n < usize::from(self.config.floppies.min(2)) => None,
            Removable::Floppy(_) => Some(Refusal::NoDrive),
        };
        if let Some(why) = error {
            return Err(ExchangeError { why, medium });
        }
        let place = match drive {
            Removable::Cdrom(slot) => &mut host.drives.ide[slot],
            Removable::Floppy(n) => &mut host.drives.floppy[n],
        };
        let old = core::mem::replace(place, medium);
        let mut bus = Bus { board: &mut self.board, host };
        match drive {
            Removable::Cdrom(slot) => self.devices.ide.media_changed(slot, &mut bus),
            Removable::Floppy(n) => self.devices.floppy.media_changed(n),
        }
        Ok(old)
    }
}
