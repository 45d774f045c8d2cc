//! Page tables of the guest from which something was derived: which of their entries were written since.

use super::{Memory, PAGE, page};
use alloc::vec;
use alloc::vec::Vec;

/// Tables that are watched at once, at most.
const TABLES: usize = 1024;
/// Writes to a table, none of which was asked for, after which it is hardly one any more.
const WORN: u32 = 4096;
/// Entries of a table, at most.
const ENTRIES: usize = 1024;

/// What a table is to whoever has it watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Role {
    /// Who that is: below 32.
    pub owner: u8,
    /// Linear address that its first entry is for.
    pub base: u32,
    /// Bytes that an entry is for, as a power of two.
    pub span: u8,
    /// Entries have 8 bytes, not 4.
    pub wide: bool,
}

/// Entries of a table that were written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// What the table is.
    pub role: Role,
    bits: [u64; ENTRIES / 64],
}

impl Written {
    /// Linear addresses that the entries are for, in order.
    pub fn each(&self) -> impl Iterator<Item = u32> + '_ {
        let Role { base, span, .. } = self.role;
        (0..ENTRIES as u32)
            .filter(|n| self.bits[*n as usize / 64] >> (n % 64) & 1 != 0)
            .map(move |n| base.wrapping_add(n << span))
    }
}

#[derive(Clone, Copy)]
struct Table {
    page: u32,
    live: bool,
    /// Whether any of the bits is set.
    any: bool,
    writes: u32,
    written: Written,
}

const NOBODYS: Role = Role { owner: 0, base: 0, span: 12, wide: false };
const NO_TABLE: Table = Table {
    page: 0,
    live: false,
    any: false,
    writes: 0,
    written: Written { role: NOBODYS, bits: [0; ENTRIES / 64] },
};

/// What came of the wish to have a table watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// It is from now on: writable translations of its page must go.
    New,
    /// It was before.
    Known,
    /// It is something else already, or there are too many.
    Refused,
}

/// The tables of a machine.
#[derive(Default)]
pub struct Tables {
    /// Number of a backing page's table, plus one.
    of_page: Vec<u16>,
    list: Vec<Table>,
    /// Owners whose directories were written, and those with a table that was written too often, a bit each.
    torn: u32,
    worn: u32,
}

impl Memory {
    /// Makes room for tables, so that nothing is allocated later.
    pub fn prepare_tables(&mut self) {
        self.tables.of_page = vec![0; self.flags.len()];
        self.tables.list = vec![NO_TABLE; TABLES];
    }

    /// Has the table in the backing page of `offset` watched.
    pub fn watch_table(&mut self, offset: usize, role: Role) -> Watch {
        let page = offset / PAGE;
        let Some(known) = self.tables.of_page.get_mut(page) else { return Watch::Refused };
        if let Some(number) = known.checked_sub(1) {
            let same = self.tables.list[usize::from(number)].written.role == role;
            return if same { Watch::Known } else { Watch::Refused };
        }
        let Some(number) = self.tables.list.iter().position(|table| !table.live) else {
            return Watch::Refused;
        };
        *known = number as u16 + 1;
        let written = Written { role, bits: [0; ENTRIES / 64] };
        self.tables.list[number] = Table { page: page as u32, live: true, any: false, writes: 0, written };
        self.flags[page] |= page::TABLE;
        Watch::New
    }

    /// Forgets tables of an owner: those for which `which` holds.
    pub fn forget_tables(&mut self, owner: u8, which: impl Fn(&Role) -> bool) {
        for table in &mut self.tables.list {
            if table.live && table.written.role.owner == owner && which(&table.written.role) {
                table.live = false;
                self.tables.of_page[table.page as usize] = 0;
                self.flags[table.page as usize] &= !page::TABLE;
            }
        }
        if !self.tables.list.iter().any(|table| table.live && table.written.role.owner == owner) {
            self.tables.torn &= !(1 << owner);
            self.tables.worn &= !(1 << owner);
        }
    }

    /// Tables of an owner: roles and offsets of their pages in the backing.
    pub fn tables_of(&self, owner: u8) -> impl Iterator<Item = (Role, usize)> + '_ {
        let mine = move |table: &&Table| table.live && table.written.role.owner == owner;
        self.tables.list.iter().filter(mine).map(|table| (table.written.role, table.page as usize * PAGE))
    }

    /// Whether entries of an owner's tables were written.
    #[must_use]
    pub fn tables_written(&self, owner: u8) -> bool {
        self.tables.list.iter().any(|table| table.live && table.any && table.written.role.owner == owner)
    }

    /// Takes the written entries of one of an owner's tables.
    pub fn take_written(&mut self, owner: u8) -> Option<Written> {
        let mine = |table: &&mut Table| table.live && table.any && table.written.role.owner == owner;
        let table = self.tables.list.iter_mut().find(mine)?;
        let written = table.written;
        (table.any, table.writes) = (false, 0);
        table.written.bits = [0; ENTRIES / 64];
        Some(written)
    }

    /// Takes the owners whose directories were written, and those with a table that was written too often.
    pub fn take_torn(&mut self) -> (u32, u32) {
        (core::mem::take(&mut self.tables.torn), core::mem::take(&mut self.tables.worn))
    }

    /// Whether there are such.
    #[must_use]
    pub const fn torn(&self) -> bool {
        self.tables.torn | self.tables.worn != 0
    }

    /// Bytes of a page that is a table are written.
    pub(super) fn note_table(&mut self, page: usize, from: usize, to: usize) {
        let number = self.tables.of_page.get(page).copied().unwrap_or(0);
        let Some(table) = number.checked_sub(1).and_then(|n| self.tables.list.get_mut(usize::from(n))) else {
            return;
        };
        let role = table.written.role;
        let shift = if role.wide { 3 } else { 2 };
        for entry in from >> shift..(to + (1 << shift) - 1) >> shift {
            table.written.bits[entry / 64 % (ENTRIES / 64)] |= 1 << (entry % 64);
        }
        table.any = true;
        table.writes += 1;
        let owner = 1 << role.owner;
        if role.span > 12 {
            self.tables.torn |= owner;
        }
        if table.writes >= WORN {
            self.tables.worn |= owner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::GuestMemory;
    use super::*;

    #[test]
    fn writes_to_tables_are_noted_entry_by_entry() {
        let mut m = Memory::new(GuestMemory::allocate(1 << 20).unwrap(), 1 << 20, 0, 0).unwrap();
        m.prepare_tables();
        let narrow = Role { owner: 3, base: 0x0840_0000, span: 12, wide: false };
        assert_eq!(m.watch_table(0x5000, narrow), Watch::New);
        assert_eq!(m.watch_table(0x5000, narrow), Watch::Known);
        assert_eq!(m.watch_table(0x5000, Role { base: 0, ..narrow }), Watch::Refused);
        assert!(m.take_written(3).is_none());
        m.write(0x5000, &[1; 4]);
        m.write(0x5FFE, &[1; 2]);
        m.write(0x5107, &[1; 2]);
        m.write(0x6000, &[1; 4]);
        let written = m.take_written(3).unwrap();
        let at = |entry: u32| 0x0840_0000 + (entry << 12);
        assert!(written.each().eq([at(0), at(0x41), at(0x42), at(0x3FF)]));
        assert!(m.take_written(3).is_none());
        assert!(!m.torn());

        let wide = Role { owner: 4, base: 0x4000_0000, span: 21, wide: true };
        assert_eq!(m.watch_table(0x7000, wide), Watch::New);
        m.write(0x7008, &[0; 8]);
        assert!(m.take_written(4).unwrap().each().eq([0x4020_0000]));
        assert_eq!(m.take_torn(), (1 << 4, 0));

        m.forget_tables(3, |_| true);
        assert_eq!(m.flags(0x5000) & page::TABLE, 0);
        m.write(0x5000, &[1; 4]);
        assert!(m.take_written(3).is_none());
        assert_eq!(m.watch_table(0x5000, wide), Watch::New);
    }
}
