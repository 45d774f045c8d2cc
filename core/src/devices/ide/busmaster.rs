//! One channel's half of the bus-master interface: command, status and the walk over the table of physical
//! region descriptors.
//!
//! Spec: "Programming Interface for Bus Master IDE Controller", revision 1.0; 82371SB (PIIX3) data sheet.

use crate::board::Board;

/// Bus-master command register.
mod command {
    pub(super) const START: u8 = 0x01;
    /// Towards memory.
    pub(super) const TO_MEMORY: u8 = 0x08;
}

/// Bus-master status register.
mod status {
    pub(super) const ACTIVE: u8 = 0x01;
    pub(super) const ERROR: u8 = 0x02;
    pub(super) const INTERRUPT: u8 = 0x04;
    /// The BIOS's notes that drives 0 and 1 can do DMA.
    pub(super) const CAPABLE: u8 = 0x60;
}

/// How a piece of a transfer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// All bytes were moved.
    All,
    /// The table ended after this many bytes: the drive waits until the driver starts the master again.
    Some(usize),
    /// The table or a region is not memory.
    Fault,
}

/// One channel's bus master.
#[derive(Default)]
pub(super) struct BusMaster {
    command: u8,
    status: u8,
    /// Address of the table.
    table: u32,
    /// Address of the next descriptor.
    next: u32,
    /// Where the present region goes on.
    address: u32,
    /// Bytes left in the present region.
    left: u32,
    /// The present region is the last.
    last: bool,
}
crate::archive_fields!(BusMaster { command, status, table, next, address, left, last });

impl BusMaster {
    /// Register `offset` (0–7), a byte.
    pub(super) fn read(&self, offset: u16) -> u8 {
        match offset {
            0 => self.command,
            2 => self.status,
            4..=7 => self.table.to_le_bytes()[usize::from(offset & 3)],
            _ => 0,
        }
    }

    /// Writes register `offset`; true when the master was started.
    pub(super) fn write(&mut self, offset: u16, value: u8) -> bool {
        match offset {
            0 => {
                let was = self.command & command::START != 0;
                self.command = value & (command::START | command::TO_MEMORY);
                let starts = value & command::START != 0;
                if starts && !was {
                    self.next = self.table;
                    self.left = 0;
                    self.last = false;
                    self.status |= status::ACTIVE;
                } else if !starts {
                    self.status &= !status::ACTIVE;
                }
                return starts && !was;
            }
            2 => {
                self.status &= !(value & (status::ERROR | status::INTERRUPT));
                self.status = self.status & !status::CAPABLE | value & status::CAPABLE;
            }
            4..=7 => {
                let mut bytes = self.table.to_le_bytes();
                bytes[usize::from(offset & 3)] = value;
                self.table = u32::from_le_bytes(bytes) & !3;
            }
            _ => {}
        }
        false
    }

    /// Whether the master moves data when the drive has or wants some.
    pub(super) fn active(&self) -> bool {
        self.status & status::ACTIVE != 0
    }

    /// The drive's interrupt line rose.
    pub(super) fn interrupt(&mut self) {
        self.status |= status::INTERRUPT;
    }

    /// Moves bytes between `data` and the regions; `to_memory` is the drive's direction, which wins over the
    /// command register's so that drivers work that only ever met forgiving controllers.
    pub(super) fn run(&mut self, data: Data<'_>, board: &mut Board) -> Moved {
        let (len, mut data) = (data.len(), data);
        let mut done = 0;
        while done < len {
            if self.left == 0 {
                if self.last {
                    self.status &= !status::ACTIVE;
                    return Moved::Some(done);
                }
                if !self.load(board) {
                    return self.fault();
                }
            }
            let n = (self.left as usize).min(len - done);
            let at = u64::from(self.address);
            let ok = match &mut data {
                Data::ToMemory(bytes) => board.memory.write(at, &bytes[done..done + n]),
                Data::FromMemory(bytes) => board.memory.read(at, &mut bytes[done..done + n]),
            };
            if !ok {
                return self.fault();
            }
            self.address = self.address.wrapping_add(n as u32);
            self.left -= n as u32;
            done += n;
        }
        if self.left == 0 && self.last {
            self.status &= !status::ACTIVE;
        }
        Moved::All
    }

    fn fault(&mut self) -> Moved {
        self.status = self.status & !status::ACTIVE | status::ERROR;
        Moved::Fault
    }

    /// Fetches the next descriptor. Each names at least two bytes, so that a transfer of n bytes reads at
    /// most n/2 of them however the table is made.
    fn load(&mut self, board: &Board) -> bool {
        let mut entry = [0; 8];
        if !board.memory.read(u64::from(self.next), &mut entry) {
            return false;
        }
        let (base, flags) = entry.split_at(4);
        self.address = u32::from_le_bytes([base[0], base[1], base[2], base[3]]) & !1;
        let count = u32::from(u16::from_le_bytes([flags[0], flags[1]]) & !1);
        self.left = if count == 0 { 0x1_0000 } else { count };
        self.last = flags[3] & 0x80 != 0;
        // The table does not cross a 64 KiB boundary: the chip counts in 16 bits.
        self.next = self.next & 0xFFFF_0000 | self.next.wrapping_add(8) & 0xFFFF;
        true
    }
}

/// What is moved where.
pub(super) enum Data<'a> {
    /// From the drive.
    ToMemory(&'a [u8]),
    /// To the drive.
    FromMemory(&'a mut [u8]),
}

impl Data<'_> {
    fn len(&self) -> usize {
        match self {
            Data::ToMemory(bytes) => bytes.len(),
            Data::FromMemory(bytes) => bytes.len(),
        }
    }
}
