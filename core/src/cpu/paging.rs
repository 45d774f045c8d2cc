//! Page walks: two-level tables with 4 MiB pages, and PAE with NX.
//!
//! Spec: Intel SDM volume 3, chapter 4 (4.3 32-bit paging, 4.4 PAE paging, 4.6 access rights, 4.7 page faults).

use super::fault::vector;
use super::{Cpu, Io, Run, Trap, cr0, cr4};
use crate::isa::row::Feature;
use crate::memory::{Memory, PhysAddr};

/// Bits of a page fault's error code.
pub mod code {
    /// The page was present.
    pub const P: u16 = 1 << 0;
    /// The access was a write.
    pub const W: u16 = 1 << 1;
    /// The access came from user mode.
    pub const U: u16 = 1 << 2;
    /// A reserved bit was set.
    pub const RSVD: u16 = 1 << 3;
    /// The access was an instruction fetch (with NX enabled).
    pub const I: u16 = 1 << 4;
}

mod bit {
    pub(super) const P: u64 = 1 << 0;
    pub(super) const W: u64 = 1 << 1;
    pub(super) const U: u64 = 1 << 2;
    pub(super) const A: u64 = 1 << 5;
    pub(super) const D: u64 = 1 << 6;
    pub(super) const PS: u64 = 1 << 7;
    pub(super) const G: u64 = 1 << 8;
    pub(super) const NX: u64 = 1 << 63;
}

/// Physical address bits that the processor has (CPUID 80000008 says the same).
pub const PHYS_BITS: u32 = 36;

/// What an access wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// It writes.
    pub write: bool,
    /// It counts as user mode.
    pub user: bool,
    /// It fetches code.
    pub fetch: bool,
}

/// The result of a page walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Physical address.
    pub phys: PhysAddr,
    /// The entry is global.
    pub global: bool,
    /// Writes need no further look at the tables: permitted, and the dirty bit is set.
    pub writable: bool,
    /// The accessed bits on the way are set.
    pub accessed: bool,
    /// Physical addresses of the directory's entry and of the table's, or of the former twice for a large page; 0
    /// without paging.
    pub entries: [PhysAddr; 2],
}

impl Translation {
    /// That without paging.
    fn identity(linear: u32) -> Self {
        Self { phys: linear.into(), global: false, writable: true, accessed: true, entries: [0; 2] }
    }
}

impl Cpu {
    /// Translates a linear address for an access; sets accessed and dirty bits.
    ///
    /// # Errors
    /// #PF, with CR2 set.
    pub fn translate(&mut self, linear: u32, access: Access, io: &mut dyn Io) -> Run<Translation> {
        if self.cr0 & cr0::PG == 0 {
            return Ok(Translation::identity(linear));
        }
        self.walk(linear, access, io.memory(), true).map_err(|code| {
            self.cr2 = linear;
            if access.user {
                self.user_fault(linear);
            }
            Trap::code(vector::PF, code)
        })
    }

    /// Translates without any effect: for debuggers and tests.
    pub fn peek(&self, linear: u32, memory: &mut Memory) -> Option<PhysAddr> {
        if self.cr0 & cr0::PG == 0 {
            return Some(u64::from(linear));
        }
        let access = Access { write: false, user: false, fetch: false };
        self.peek_access(linear, access, memory).map(|t| t.phys)
    }

    /// What [`Self::translate`] would give, without any effect. A write is answered for the dirty bit as it is.
    pub fn peek_access(&self, linear: u32, access: Access, memory: &mut Memory) -> Option<Translation> {
        if self.cr0 & cr0::PG == 0 {
            return Some(Translation::identity(linear));
        }
        let read = self.walk(linear, Access { write: false, ..access }, memory, false).ok()?;
        let found = self.walk(linear, access, memory, false).ok()?;
        Some(Translation { writable: read.writable, ..found })
    }

    /// Where the directory's entry for an address is; nowhere when PAE's pointer to the directory is not present.
    fn directory_at(&self, linear: u32) -> Option<PhysAddr> {
        if self.cr4 & cr4::PAE == 0 {
            return Some(u64::from(self.cr3 & 0xFFFF_F000) + u64::from(linear >> 22) * 4);
        }
        let entry = self.pdpte[(linear >> 30) as usize];
        (entry & bit::P != 0).then_some((entry & 0xF_FFFF_F000) + u64::from(linear >> 21 & 511) * 8)
    }

    /// Whether the directory's entry for an address is present and the user's.
    pub(crate) fn has_users_table(&self, linear: u32, memory: &Memory) -> bool {
        let present = |at| read_entry(memory, at, false) & (bit::P | bit::U) == bit::P | bit::U;
        self.directory_at(linear).is_some_and(present)
    }

    fn walk(&self, linear: u32, access: Access, memory: &mut Memory, mark: bool) -> Result<Translation, u16> {
        let nx_on = self.msr.nx_enabled();
        let mut fault = 0;
        if access.write {
            fault |= code::W;
        }
        if access.user {
            fault |= code::U;
        }
        if access.fetch && nx_on && self.cr4 & cr4::PAE != 0 {
            fault |= code::I;
        }
        let pae = self.cr4 & cr4::PAE != 0;
        let reserved_high = !((1u64 << PHYS_BITS) - 1) & !bit::NX | if nx_on { 0 } else { bit::NX };
        let width: u64 = if pae { 8 } else { 4 };

        let Some(directory_at) = self.directory_at(linear) else { return Err(fault) };
        let directory = read_entry(memory, directory_at, pae);
        if directory & bit::P == 0 {
            return Err(fault);
        }
        if pae && directory & reserved_high != 0 {
            return Err(fault | code::P | code::RSVD);
        }
        let large = directory & bit::PS != 0 && (pae || self.cr4 & cr4::PSE != 0);
        let (entry_at, entry, rights, phys);
        if large {
            entry_at = directory_at;
            entry = directory;
            rights = directory;
            if pae {
                if directory & 0x1F_E000 != 0 {
                    return Err(fault | code::P | code::RSVD);
                }
                phys = directory & 0xF_FFE0_0000 | u64::from(linear & 0x1F_FFFF);
            } else {
                // PSE-36: bits 13–16 are address bits 32–35, bit 21 is reserved.
                if directory & 1 << 21 != 0 {
                    return Err(fault | code::P | code::RSVD);
                }
                phys = directory & 0xFFC0_0000 | (directory >> 13 & 15) << 32 | u64::from(linear & 0x3F_FFFF);
            }
        } else {
            let (mask, index) =
                if pae { (0xF_FFFF_F000, linear >> 12 & 511) } else { (0xFFFF_F000, linear >> 12 & 1023) };
            entry_at = (directory & mask) + u64::from(index) * width;
            entry = read_entry(memory, entry_at, pae);
            if entry & bit::P == 0 {
                return Err(fault);
            }
            if pae && entry & reserved_high != 0 {
                return Err(fault | code::P | code::RSVD);
            }
            rights = directory & entry & (bit::W | bit::U) | (directory | entry) & bit::NX;
            phys = entry & mask | u64::from(linear & 0xFFF);
        }
        let user_ok = rights & bit::U != 0;
        let write_ok = rights & bit::W != 0 || !access.user && self.cr0 & cr0::WP == 0;
        if access.user && !user_ok
            || access.write && !write_ok
            || access.fetch && nx_on && rights & bit::NX != 0
        {
            return Err(fault | code::P);
        }
        if mark {
            if !large && directory & bit::A == 0 {
                write_entry(memory, directory_at, directory | bit::A);
            }
            let marked = entry | bit::A | if access.write { bit::D } else { 0 };
            if marked != entry {
                write_entry(memory, entry_at, marked);
            }
        }
        let dirty = access.write || entry & bit::D != 0;
        Ok(Translation {
            phys,
            global: entry & bit::G != 0 && self.cr4 & cr4::PGE != 0,
            writable: dirty && write_ok,
            accessed: directory & entry & bit::A != 0,
            entries: [directory_at, entry_at],
        })
    }

    /// Loads the four page-directory-pointer entries (under PAE, when CR3 is loaded).
    ///
    /// # Errors
    /// #GP(0) for a present entry with reserved bits set.
    pub fn load_pdptes(&mut self, cr3: u32, io: &mut dyn Io) -> Run {
        let mut entries = [0; 4];
        for (n, entry) in entries.iter_mut().enumerate() {
            *entry = read_entry(io.memory(), u64::from(cr3 & 0xFFFF_FFE0) + 8 * n as u64, true);
            let reserved = !((1u64 << PHYS_BITS) - 1) | 0x1E6;
            if *entry & bit::P != 0 && *entry & reserved != 0 {
                return Err(Trap::gp(0));
            }
        }
        self.pdpte = entries;
        Ok(())
    }

    /// Drops translations: all, or all but global ones.
    pub fn flush_tlb(&mut self, global: bool) {
        self.pause_window(global);
        self.lose_translations(global);
        self.new_epoch();
    }

    /// The same where nothing but the guest's tables may have become others.
    pub fn reload_tlb(&mut self, global: bool) {
        self.pause_window(false);
        self.lose_translations(global);
        self.new_epoch();
    }

    /// The same as it happens for want of room: linear addresses go on to mean what they do.
    pub fn lose_translations(&mut self, global: bool) {
        self.tlb.flush(global);
    }

    /// INVLPG.
    pub fn flush_page(&mut self, linear: u32) {
        self.pause_window(false);
        self.tlb.flush_page(linear);
        self.new_epoch();
    }

    /// Whether pages can be non-executable.
    #[must_use]
    pub fn has_nx(&self) -> bool {
        self.features.has(Feature::Sse2)
    }
}

fn read_entry(memory: &Memory, at: PhysAddr, wide: bool) -> u64 {
    let mut bytes = [0; 8];
    let len = if wide { 8 } else { 4 };
    if !memory.read(at, &mut bytes[..len]) {
        return 0;
    }
    u64::from_le_bytes(bytes)
}

fn write_entry(memory: &mut Memory, at: PhysAddr, entry: u64) {
    // Accessed and dirty lie in the low byte.
    memory.write(at, &[entry as u8]);
}
