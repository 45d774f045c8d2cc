//! Guest memory accesses: effective address, segment check, TLB, and the slow way for everything else.
//!
//! The fast paths read and write through the TLB's addends. An addend other than 0 in a table means: the page
//! is memory of the backing, access of that kind is permitted, and nothing has to be noticed about it.
#![allow(unsafe_code)]

use super::paging::Access;
use super::segment::{attr, seg};
#[cfg(not(feature = "small-tlb"))]
use super::tlb::ENTRIES;
use super::tlb::{READ, WRITE};
use super::{Cpu, Io, Run, Trap};
use crate::board::Width;
use crate::isa::Inst;
use crate::memory::{PAGE, PhysAddr, Target, page};

/// Something that fits in one memory access: 8 to 128 bits.
pub trait Cell: Copy + Default {
    /// Bytes.
    const SIZE: u32;
    /// From little-endian bytes, of which the first [`Self::SIZE`] count.
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// To little-endian bytes.
    fn to_bytes(self) -> [u8; 16];
}

macro_rules! cells {
    ($($t:ty)*) => { $(
        impl Cell for $t {
            const SIZE: u32 = size_of::<$t>() as u32;
            #[inline(always)]
            fn from_bytes(bytes: [u8; 16]) -> Self {
                u128::from_le_bytes(bytes) as $t
            }
            #[inline(always)]
            fn to_bytes(self) -> [u8; 16] {
                (self as u128).to_le_bytes()
            }
        }
    )* };
}
cells!(u8 u16 u32 u64 u128);

impl Cpu {
    /// Offset of an instruction's memory operand.
    #[inline(always)]
    #[must_use]
    pub fn effective(&self, i: &Inst) -> u32 {
        let base = self.regs[usize::from(i.base & 15)];
        let index = self.regs[usize::from(i.index & 15)];
        let at = base.wrapping_add(index << (i.scale & 3)).wrapping_add(i.disp);
        if i.addr16() { at & 0xFFFF } else { at }
    }

    /// Linear address of `size` bytes to be read at `segment:offset`.
    #[inline(always)]
    pub(crate) fn linear_read(&self, segment: u8, offset: u32, size: u32) -> Run<u32> {
        let s = &self.seg[usize::from(segment & 7)];
        if u64::from(offset) + u64::from(size) <= s.read_span {
            Ok(s.base.wrapping_add(offset))
        } else {
            self.linear_slow(segment, offset, size, false)
        }
    }

    /// Linear address of `size` bytes to be written at `segment:offset`.
    #[inline(always)]
    pub(crate) fn linear_write(&self, segment: u8, offset: u32, size: u32) -> Run<u32> {
        let s = &self.seg[usize::from(segment & 7)];
        if u64::from(offset) + u64::from(size) <= s.write_span {
            Ok(s.base.wrapping_add(offset))
        } else {
            self.linear_slow(segment, offset, size, true)
        }
    }

    #[cold]
    fn linear_slow(&self, segment: u8, offset: u32, size: u32, write: bool) -> Run<u32> {
        let s = &self.seg[usize::from(segment & 7)];
        let stack = usize::from(segment) == seg::SS;
        let bad = if stack { Trap::ss(0) } else { Trap::gp(0) };
        if s.attributes & attr::PRESENT == 0 {
            return Err(bad);
        }
        let code = s.attributes & attr::CODE != 0;
        let rw = s.attributes & attr::RW != 0;
        let allowed = if write { rw && !code } else { rw || !code };
        // Rights do not bind in real mode: CS can be written through.
        if !allowed && self.protected() {
            return Err(if write || !stack { Trap::gp(0) } else { bad });
        }
        if !s.contains(offset, size) {
            return Err(bad);
        }
        Ok(s.base.wrapping_add(offset))
    }

    /// Reads at `segment:offset`.
    #[inline(always)]
    pub fn read<T: Cell>(&mut self, segment: u8, offset: u32, io: &mut dyn Io) -> Run<T> {
        let linear = self.linear_read(segment, offset, T::SIZE)?;
        self.read_linear(linear, io)
    }

    /// Writes at `segment:offset`.
    #[inline(always)]
    pub fn write<T: Cell>(&mut self, segment: u8, offset: u32, value: T, io: &mut dyn Io) -> Run {
        let linear = self.linear_write(segment, offset, T::SIZE)?;
        self.write_linear(linear, value, io)
    }

    /// Reads an instruction's memory operand.
    #[inline(always)]
    pub fn load<T: Cell>(&mut self, i: &Inst, io: &mut dyn Io) -> Run<T> {
        self.read(i.segment, self.effective(i), io)
    }

    /// Writes an instruction's memory operand.
    #[inline(always)]
    pub fn store<T: Cell>(&mut self, i: &Inst, value: T, io: &mut dyn Io) -> Run {
        self.write(i.segment, self.effective(i), value, io)
    }

    /// The addend for `linear` in a table of the present privilege, or 0.
    #[inline(always)]
    fn addend(&self, table: u32, linear: u32) -> usize {
        #[cfg(feature = "small-tlb")]
        return self.tlb.addend(self.tlb_mode + table, linear);
        #[cfg(not(feature = "small-tlb"))]
        {
            let tables = core::ptr::with_exposed_provenance::<usize>(self.tables);
            // SAFETY: `tables` leads to two tables of the TLB, which lives as long as the processor; a page number
            // has as many bits as they have entries.
            unsafe { *tables.add(table as usize * ENTRIES + (linear >> 12) as usize) }
        }
    }

    /// Host address of something at `linear` that may be read, or read and written, directly with the current
    /// privilege: its page is memory of the backing, which lives as long as anything executes, and it does not leave
    /// the page. Entries for writing exist only for pages that may be written.
    #[inline(always)]
    fn cell<T: Cell>(&self, table: u32, linear: u32) -> Option<*mut T> {
        let addend = self.addend(table, linear);
        (addend != 0 && linear & 0xFFF <= PAGE as u32 - T::SIZE)
            .then(|| core::ptr::with_exposed_provenance_mut(addend.wrapping_add(linear as usize)))
    }

    /// Reads at `segment:offset` where nothing else need be done.
    #[inline(always)]
    pub(crate) fn read_quick<T: Cell>(&self, segment: u8, offset: u32) -> Option<T> {
        let s = &self.seg[usize::from(segment & 7)];
        if u64::from(offset) + u64::from(T::SIZE) > s.read_span {
            return None;
        }
        self.read_linear_quick(s.base.wrapping_add(offset))
    }

    /// Reads at a linear address where nothing else need be done.
    #[inline(always)]
    pub(crate) fn read_linear_quick<T: Cell>(&self, linear: u32) -> Option<T> {
        let cell = self.cell::<T>(READ, linear)?;
        // SAFETY: as `cell` says of what it gives.
        Some(unsafe { cell.read_unaligned() })
    }

    /// Writes at `segment:offset` where nothing else need be done; false when it did nothing.
    #[inline(always)]
    pub(crate) fn write_quick<T: Cell>(&mut self, segment: u8, offset: u32, value: T) -> bool {
        self.update_quick(segment, offset, |_, _| value)
    }

    /// Replaces what is at `segment:offset` where nothing else need be done; false when it did nothing.
    #[inline(always)]
    pub(crate) fn update_quick<T: Cell>(
        &mut self,
        segment: u8,
        offset: u32,
        f: impl FnOnce(&mut Self, T) -> T,
    ) -> bool {
        let s = &self.seg[usize::from(segment & 7)];
        if u64::from(offset) + u64::from(T::SIZE) > s.write_span {
            return false;
        }
        self.update_linear_quick(s.base.wrapping_add(offset), f)
    }

    /// Replaces what is at a linear address where nothing else need be done; false when it did nothing.
    #[inline(always)]
    pub(crate) fn update_linear_quick<T: Cell>(
        &mut self,
        linear: u32,
        f: impl FnOnce(&mut Self, T) -> T,
    ) -> bool {
        let Some(cell) = self.cell::<T>(WRITE, linear) else { return false };
        // SAFETY: as `cell` says of what it gives.
        let old = unsafe { cell.read_unaligned() };
        let new = f(self, old);
        // SAFETY: `f` computes; it has no way to change translations.
        unsafe { cell.write_unaligned(new) };
        true
    }

    /// Reads at a linear address with the current privilege.
    #[inline(always)]
    pub fn read_linear<T: Cell>(&mut self, linear: u32, io: &mut dyn Io) -> Run<T> {
        if let Some(cell) = self.cell::<T>(READ, linear) {
            // SAFETY: as `cell` says of what it gives.
            return Ok(unsafe { cell.read_unaligned() });
        }
        let bytes = self.read_slow(linear, T::SIZE, self.cpl == 3, io)?;
        Ok(T::from_bytes(bytes))
    }

    /// Writes at a linear address with the current privilege.
    #[inline(always)]
    pub fn write_linear<T: Cell>(&mut self, linear: u32, value: T, io: &mut dyn Io) -> Run {
        if let Some(cell) = self.cell::<T>(WRITE, linear) {
            // SAFETY: as `cell` says of what it gives.
            unsafe { cell.write_unaligned(value) };
            return Ok(());
        }
        self.write_slow(linear, &value.to_bytes()[..T::SIZE as usize], self.cpl == 3, io)
    }

    /// Replaces memory at `segment:offset` by what `f` makes of it; nothing happens when it cannot be written.
    #[inline(always)]
    pub fn update<T: Cell>(
        &mut self,
        segment: u8,
        offset: u32,
        io: &mut dyn Io,
        f: impl FnOnce(&mut Self, T) -> T,
    ) -> Run {
        let linear = self.linear_write(segment, offset, T::SIZE)?;
        if let Some(cell) = self.cell::<T>(WRITE, linear) {
            // SAFETY: as `cell` says of what it gives.
            let old = unsafe { cell.read_unaligned() };
            let new = f(self, old);
            // SAFETY: `f` computes; it has no way to change translations.
            unsafe { cell.write_unaligned(new) };
            return Ok(());
        }
        let user = self.cpl == 3;
        if let Some(at) = self.mixed(linear, T::SIZE, user, io) {
            let mut bytes = [0; 16];
            bytes[..T::SIZE as usize].copy_from_slice(&io.memory().backing()[at..at + T::SIZE as usize]);
            let new = f(self, T::from_bytes(bytes));
            self.write_among_code(at, &new.to_bytes()[..T::SIZE as usize], io);
            return Ok(());
        }
        self.probe_write(linear, T::SIZE, user, io)?;
        let old = T::from_bytes(self.read_slow(linear, T::SIZE, user, io)?);
        let new = f(self, old);
        self.write_slow(linear, &new.to_bytes()[..T::SIZE as usize], user, io)
    }

    /// Makes sure that `size` bytes at a linear address can be written.
    ///
    /// # Errors
    /// The page fault that a write would give.
    pub fn probe_write(&mut self, linear: u32, size: u32, user: bool, io: &mut dyn Io) -> Run {
        if self.tlb.watching {
            self.check_alignment(linear, size, user)?;
        }
        let access = Access { write: true, user, fetch: false };
        self.translate(linear, access, io)?;
        let last = linear.wrapping_add(size - 1);
        if (linear ^ last) & !0xFFF != 0 {
            self.translate(last & !0xFFF, access, io)?;
        }
        Ok(())
    }

    /// Reads with supervisor rights, as the processor does for descriptor tables and task states.
    pub fn read_system<T: Cell>(&mut self, linear: u32, io: &mut dyn Io) -> Run<T> {
        let addend = self.tlb.addend(READ, linear);
        if addend != 0 && linear & 0xFFF <= PAGE as u32 - T::SIZE {
            // SAFETY: as in `read_linear`.
            return Ok(unsafe { (addend.wrapping_add(linear as usize) as *const T).read_unaligned() });
        }
        Ok(T::from_bytes(self.read_slow(linear, T::SIZE, false, io)?))
    }

    /// Writes with supervisor rights.
    pub fn write_system<T: Cell>(&mut self, linear: u32, value: T, io: &mut dyn Io) -> Run {
        self.write_slow(linear, &value.to_bytes()[..T::SIZE as usize], false, io)
    }

    /// Host address of `len` bytes at `linear` that lie in one page and may be read directly.
    #[must_use]
    pub(crate) fn direct(&self, table: u32, linear: u32) -> Option<*mut u8> {
        let addend = self.addend(table, linear);
        (addend != 0).then(|| addend.wrapping_add(linear as usize) as *mut u8)
    }

    /// Copies `len` bytes forward inside two pages that are both directly accessible and do not overlap in a
    /// way that the element order would show. False when it did nothing.
    pub(crate) fn copy_direct(&mut self, from: u32, to: u32, len: u32, unit: u32) -> bool {
        let room = |at: u32| PAGE as u32 - (at & 0xFFF);
        if len > room(from) || len > room(to) {
            return false;
        }
        let (Some(source), Some(target)) = (self.direct(READ, from), self.direct(WRITE, to)) else {
            return false;
        };
        let distance = (target as usize).wrapping_sub(source as usize);
        if distance != 0 && distance < len as usize && distance < usize::MAX / 2 {
            // Overlapping and ahead: each element must be written before it is read again.
            if distance < unit as usize || !distance.is_multiple_of(unit as usize) {
                return false;
            }
            let mut done = 0;
            while done < len as usize {
                let piece = distance.min(len as usize - done);
                // SAFETY: both ranges lie in pages that the TLB calls memory, and do not overlap.
                unsafe { core::ptr::copy_nonoverlapping(source.add(done), target.add(done), piece) };
                done += piece;
            }
            return true;
        }
        // SAFETY: both ranges lie in pages that the TLB calls memory; `copy` allows overlap.
        unsafe { core::ptr::copy(source, target, len as usize) };
        true
    }

    /// As [`Self::copy_direct`] from the last element down to the first, which lie at the lowest addresses given.
    pub(crate) fn copy_direct_down(&mut self, from: u32, to: u32, len: u32) -> bool {
        let room = |at: u32| PAGE as u32 - (at & 0xFFF);
        if len > room(from) || len > room(to) {
            return false;
        }
        let (Some(source), Some(target)) = (self.direct(READ, from), self.direct(WRITE, to)) else {
            return false;
        };
        let distance = (source as usize).wrapping_sub(target as usize);
        if distance != 0 && distance < len as usize {
            // Overlapping and behind: each element must be written before it is read again.
            return false;
        }
        // SAFETY: both ranges lie in pages that the TLB calls memory; `copy` allows overlap.
        unsafe { core::ptr::copy(source, target, len as usize) };
        true
    }

    /// Fills `len` bytes at `to` with a repeated element inside one directly accessible page.
    pub(crate) fn fill_direct<T: Cell>(&mut self, to: u32, count: u32, value: T) -> bool {
        if count * T::SIZE > PAGE as u32 - (to & 0xFFF) {
            return false;
        }
        let Some(target) = self.direct(WRITE, to) else { return false };
        for n in 0..count as usize {
            // SAFETY: the range lies in a page that the TLB calls memory.
            unsafe { target.cast::<T>().add(n).write_unaligned(value) };
        }
        true
    }

    /// Whether `len` bytes at `to` can be written directly.
    pub(crate) fn is_direct_write(&self, to: u32, len: u32) -> bool {
        len <= PAGE as u32 - (to & 0xFFF) && self.direct(WRITE, to).is_some()
    }

    /// Stores bytes inside one directly accessible page. False when it did nothing.
    pub(crate) fn store_direct(&mut self, to: u32, bytes: &[u8]) -> bool {
        let room = PAGE - (to as usize & 0xFFF);
        let Some(target) = self.direct(WRITE, to).filter(|_| bytes.len() <= room) else { return false };
        // SAFETY: the range lies in a page that the TLB calls memory; no reference into it exists.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        true
    }

    /// Loads bytes from inside one directly accessible page. False when it did nothing.
    pub(crate) fn load_direct(&self, from: u32, bytes: &mut [u8]) -> bool {
        let room = PAGE - (from as usize & 0xFFF);
        let Some(source) = self.direct(READ, from).filter(|_| bytes.len() <= room) else { return false };
        // SAFETY: the range lies in a page that the TLB calls memory; no reference into it exists.
        unsafe { core::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
        true
    }

    #[cold]
    #[inline(never)]
    fn read_slow(&mut self, linear: u32, size: u32, user: bool, io: &mut dyn Io) -> Run<[u8; 16]> {
        let mut bytes = [0; 16];
        let access = Access { write: false, user, fetch: false };
        let room = PAGE as u32 - (linear & 0xFFF);
        if self.tlb.watching {
            self.check_alignment(linear, size, user)?;
            self.check_data_breakpoints(linear, size, false);
        }
        if size <= room {
            let t = self.translate(linear, access, io)?;
            let target = io.memory().target(t.phys, false);
            if let Target::Memory(base) | Target::Rom(base) = target {
                self.fill_tlb(linear, base, t.global, false, false, user, io);
            }
            self.read_phys(t.phys, target, &mut bytes[..size as usize], io);
            return Ok(bytes);
        }
        let table = READ + if user { 2 } else { 0 };
        let addends = [linear, linear.wrapping_add(room)].map(|at| self.tlb.addend(table, at));
        if addends.iter().all(|&addend| addend != 0) {
            for n in 0..size {
                let at = linear.wrapping_add(n);
                let addend = addends[usize::from(n >= room)];
                // SAFETY: as in `read_linear`, byte by byte.
                bytes[n as usize] = unsafe { *(addend.wrapping_add(at as usize) as *const u8) };
            }
            return Ok(bytes);
        }
        let first = self.translate(linear, access, io)?;
        let second = self.translate(linear.wrapping_add(room), access, io)?;
        let (low, high) = bytes[..size as usize].split_at_mut(room as usize);
        let target = io.memory().target(first.phys, false);
        self.read_phys(first.phys, target, low, io);
        let target = io.memory().target(second.phys, false);
        self.read_phys(second.phys, target, high, io);
        Ok(bytes)
    }

    /// #AC for a user's data access that is not aligned to its size.
    pub(crate) fn check_alignment(&self, linear: u32, size: u32, user: bool) -> Run {
        // Ten bytes need the alignment of eight, images of the x87 state that of their words.
        let unit = match size {
            1 | 2 | 4 | 8 | 16 => size,
            10 => 8,
            14 | 94 => 2,
            _ => 4,
        };
        if user && self.checks_alignment() && linear & (unit - 1) != 0 {
            return Err(Trap::code(super::fault::vector::AC, 0));
        }
        Ok(())
    }

    fn read_phys(&mut self, at: PhysAddr, target: Target, bytes: &mut [u8], io: &mut dyn Io) {
        if target != Target::Io {
            let _ = io.memory().read(at, bytes);
            return;
        }
        let at = io.memory().gate(at);
        let count = self.executed();
        let mut done = 0;
        while done < bytes.len() {
            let here = at + done as u64;
            let width = widest(here, bytes.len() - done);
            let value = io.mmio_read(here, width, count).to_le_bytes();
            let n = width as usize;
            bytes[done..done + n].copy_from_slice(&value[..n]);
            done += n;
        }
        if io.events() != 0 {
            self.leave_block();
        }
    }

    /// Offset in the backing of bytes in a page that may be written and holds code, if it is known to be one.
    fn mixed(&self, linear: u32, size: u32, user: bool, io: &mut dyn Io) -> Option<usize> {
        let addend = self.tlb.mixed(linear, user).filter(|_| linear & 0xFFF <= PAGE as u32 - size)?;
        let memory = io.memory();
        let offset = addend.wrapping_add(linear as usize).wrapping_sub(memory.base().expose_provenance());
        // Where there is no code any more, the page is like all others again.
        (memory.flags(offset) & page::CODE != 0).then_some(offset)
    }

    /// Writes bytes in a page that holds code, which may be overwritten by that.
    fn write_among_code(&mut self, offset: usize, bytes: &[u8], io: &mut dyn Io) {
        let memory = io.memory();
        memory.touched(offset, bytes.len());
        memory.backing_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        if memory.code_written() {
            self.leave_block();
        }
    }

    #[cold]
    #[inline(never)]
    fn write_slow(&mut self, linear: u32, bytes: &[u8], user: bool, io: &mut dyn Io) -> Run {
        if let Some(at) = self.mixed(linear, bytes.len() as u32, user, io) {
            self.write_among_code(at, bytes, io);
            return Ok(());
        }
        let access = Access { write: true, user, fetch: false };
        let room = (PAGE as u32 - (linear & 0xFFF)) as usize;
        if self.tlb.watching {
            self.check_alignment(linear, bytes.len() as u32, user)?;
        }
        if bytes.len() <= room {
            let t = self.translate(linear, access, io)?;
            self.write_page(linear, t, bytes, user, io);
        } else {
            let second_at = linear.wrapping_add(room as u32);
            let table = WRITE + if user { 2 } else { 0 };
            let addends = [linear, second_at].map(|at| self.tlb.addend(table, at));
            if addends.iter().all(|&addend| addend != 0) {
                for (n, &byte) in bytes.iter().enumerate() {
                    let at = linear.wrapping_add(n as u32);
                    let addend = addends[usize::from(n >= room)];
                    // SAFETY: as in `write_linear`, byte by byte.
                    unsafe { *(addend.wrapping_add(at as usize) as *mut u8) = byte };
                }
                return Ok(());
            }
            let first = self.translate(linear, access, io)?;
            let second = self.translate(second_at, access, io)?;
            let (low, high) = bytes.split_at(room);
            self.write_page(linear, first, low, user, io);
            self.write_page(second_at, second, high, user, io);
        }
        if self.tlb.watching {
            self.check_data_breakpoints(linear, bytes.len() as u32, true);
        }
        Ok(())
    }

    fn write_page(
        &mut self,
        linear: u32,
        t: super::paging::Translation,
        bytes: &[u8],
        user: bool,
        io: &mut dyn Io,
    ) {
        match io.memory().target(t.phys, true) {
            Target::Memory(base) => {
                let offset = base + (t.phys as usize & 0xFFF);
                self.write_among_code(offset, bytes, io);
                let memory = io.memory();
                let flags = memory.flags(offset);
                if flags & page::TABLE != 0 {
                    // Each write is noted.
                } else if flags & page::CODE == 0 {
                    self.fill_tlb(linear, base, t.global, true, flags & page::WATCH != 0, user, io);
                } else if flags & page::WATCH == 0 {
                    let host = memory.base().expose_provenance() + base;
                    let lines = memory.code_lines_at(offset);
                    self.tlb.fill_mixed(linear, user, host.wrapping_sub((linear & !0xFFF) as usize), lines);
                }
            }
            Target::Io => {
                let at = io.memory().gate(t.phys);
                let count = self.executed();
                let mut done = 0;
                while done < bytes.len() {
                    let here = at + done as u64;
                    let width = widest(here, bytes.len() - done);
                    let mut value = [0; 4];
                    let n = width as usize;
                    value[..n].copy_from_slice(&bytes[done..done + n]);
                    io.mmio_write(here, width, u32::from_le_bytes(value), count);
                    done += n;
                }
                if io.events() != 0 {
                    self.leave_block();
                }
            }
            Target::Rom(_) | Target::None => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn fill_tlb(
        &mut self,
        linear: u32,
        base: usize,
        global: bool,
        write: bool,
        watched: bool,
        user: bool,
        io: &mut dyn Io,
    ) {
        let host = io.memory().base().expose_provenance() + base;
        let addend = host.wrapping_sub((linear & !0xFFF) as usize);
        let mode = if user { 2 } else { 0 };
        if write {
            self.tlb.fill(mode + WRITE, linear, addend, global, watched);
        } else {
            self.tlb.fill(mode + READ, linear, addend, global, false);
        }
    }
}

/// The widest naturally aligned access of at most `left` bytes at `at`.
const fn widest(at: PhysAddr, left: usize) -> Width {
    if left >= 4 && at & 3 == 0 {
        Width::Dword
    } else if left >= 2 && at & 1 == 0 {
        Width::Word
    } else {
        Width::Byte
    }
}
