//! PIIX IDE: two channels, each with up to two disks or CD-ROM drives, and their bus masters.
//!
//! Spec: 82371SB (PIIX3) data sheet, IDE interface; ATA/ATAPI-6 (T13/1410D) for the drives; MMC-3 and
//! SFF-8020i for CD-ROM drives; "Programming Interface for Bus Master IDE Controller" 1.0.
//! Not emulated: transfer timing (a command takes a few microseconds of virtual time, whatever its mode);
//! the decode-enable bits of IDETIM; the direction bit of the bus master (the drive's direction counts);
//! overlapped and queued commands, READ/WRITE LONG and BUFFER, streaming, host protected area and security
//! feature sets (not announced; they abort); the unit attention that real CD drives raise at power-on.

mod atapi;
mod busmaster;
mod channel;
mod command;
mod drive;
mod identify;
mod reg;
mod smart;
#[cfg(test)]
mod tests;
mod transfer;

use super::pci::{Slot, piix3};
use super::{Bus, Device, DeviceId};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::time::Timer;
use channel::Channel;

/// Base address register of the bus masters' ports.
const BUS_MASTER_BAR: usize = 4;

/// Where a port leads.
enum Place {
    /// The command block of a channel: the register's number.
    Command(usize, u16),
    /// Device control and alternate status of a channel.
    Control(usize),
    /// Bus-master register of a channel.
    Master(usize, u16),
    Nowhere,
}

/// The IDE controller with its drives.
pub struct Ide {
    channels: [Channel; 2],
}

impl Ide {
    fn place(port: u16, bus: &Bus<'_>) -> Place {
        match port {
            0x1F0..=0x1F7 => Place::Command(0, port & 7),
            0x170..=0x177 => Place::Command(1, port & 7),
            0x3F6 => Place::Control(0),
            0x376 => Place::Control(1),
            _ => match bus.board.pci.bar(Slot::IDE, BUS_MASTER_BAR) {
                Some(base) if u32::from(port).wrapping_sub(base) < 16 => {
                    let offset = port - base as u16;
                    Place::Master(usize::from(offset >> 3), offset & 7)
                }
                _ => Place::Nowhere,
            },
        }
    }

    /// The medium in CD-ROM drive `slot` (0–3) was exchanged, put in or taken out by the host: the guest is
    /// told with a unit attention, and the tray is closed.
    pub fn media_changed(&mut self, slot: usize, bus: &mut Bus<'_>) {
        if let Some(channel) = self.channels.get_mut(slot / 2) {
            channel.media_changed(slot & 1, bus);
        }
    }

    /// Whether the guest has locked the tray of CD-ROM drive `slot`.
    #[must_use]
    pub fn is_locked(&self, slot: usize) -> bool {
        self.channels.get(slot / 2).is_some_and(|c| c.drives[slot & 1].cd.locked())
    }

    /// Whether the tray of CD-ROM drive `slot` is open because the guest ejected the medium.
    #[must_use]
    pub fn is_ejected(&self, slot: usize) -> bool {
        self.channels.get(slot / 2).is_some_and(|c| c.drives[slot & 1].cd.tray_open())
    }

    /// The user pressed the eject button of CD-ROM drive `slot`: opens the tray, or, when the guest has
    /// locked it, asks the guest to.
    pub fn eject_pressed(&mut self, slot: usize) {
        if let Some(channel) = self.channels.get_mut(slot / 2) {
            channel.drives[slot & 1].cd.eject_pressed();
        }
    }

    /// Bytes that the data port of a channel holds for the guest right now: a string read may take them at
    /// once and then tells so with [`Self::take`]. Ports are those of the data register (1F0, 170).
    #[must_use]
    pub fn ready(&self, port: u16) -> &[u8] {
        self.channels[usize::from(port & 0xFFF8 == 0x170)].ready()
    }

    /// The guest has read `len` bytes of [`Self::ready`].
    pub fn take(&mut self, port: u16, len: usize, bus: &mut Bus<'_>) {
        self.channels[usize::from(port & 0xFFF8 == 0x170)].take(len, bus);
    }
}

impl Device for Ide {
    const TAG: [u8; 4] = *b"IDE ";
    const WIDEST: Width = Width::Dword;

    fn new(config: &Config) -> Self {
        let [a, b, c, d] = config.ide;
        Self { channels: [Channel::new(0, [a, b]), Channel::new(1, [c, d])] }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        bus.board.add_pci(Slot::IDE, &piix3::ide(DeviceId::Ide));
        for channel in &mut self.channels {
            channel.power_on(bus);
        }
    }

    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
        match Self::place(port, bus) {
            Place::Command(n, 0) => self.channels[n].read_data(width, bus),
            Place::Command(..) | Place::Control(_) | Place::Master(..) => {
                super::bytes_read(width, |n| match Self::place(port.wrapping_add(n), bus) {
                    Place::Command(n, register) => self.channels[n].read_register(register, bus),
                    Place::Control(n) => self.channels[n].status(),
                    Place::Master(n, offset) => self.channels[n].master.read(offset),
                    Place::Nowhere => 0xFF,
                })
            }
            Place::Nowhere => width.ones(),
        }
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        if let Place::Command(n, 0) = Self::place(port, bus) {
            return self.channels[n].write_data(width, value, bus);
        }
        super::bytes_write(width, value, |n, byte| match Self::place(port.wrapping_add(n), bus) {
            Place::Command(n, register) => self.channels[n].write_register(register, byte, bus),
            Place::Control(n) => self.channels[n].write_control(byte, bus),
            Place::Master(n, offset) => {
                if self.channels[n].master.write(offset, byte) {
                    self.channels[n].master_started(bus);
                }
            }
            Place::Nowhere => {}
        });
    }

    fn expire(&mut self, timer: Timer, bus: &mut Bus<'_>) {
        self.channels[usize::from(timer == Timer::Ide1)].expire(bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.channels);
    }
}
