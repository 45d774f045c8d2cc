//! What lies in windows, and for how long: pages of address spaces that are much used, for the user's code.
//!
//! A window belongs to a value of CR3. In it are pages that a fresh walk of the guest's tables finds there, present,
//! accessed and the user's; writable where they are dirty already and a write need not be noticed otherwise. The
//! tables that the walk went through are watched. What was written in them is looked at when the guest has said that
//! translations may have changed and comes back to its user's code: until then a processor may use the former ones.
//! So a window outlives loads of CR3.
//!
//! Spec: Intel SDM volume 3, 4.10 (caching translation information).

use super::block::mode;
use super::paging::{Access, Translation};
use super::{Cpu, cr0, cr4};
use crate::jit::{Protection, WindowCaps, Windows};
use crate::memory::{Memory, PAGE, Role, Target, Watch, page};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Windows in use, at most.
const MOST: u32 = 16;
/// Pages that a window remembers.
const LOG: usize = 1 << 16;
/// Pages around one that is missed that are shown with it.
const AROUND: u32 = 16;
/// Pages that are shown in one go, at most, and the least that are when nobody has asked for them.
const LONGEST: usize = 64;
const WORTH: usize = 4;
/// Values of CR3 whose use is counted.
const COUNTED: usize = 64;
/// Instructions of the user after which an address space gets a window, and so many less for each page fault: what
/// has just begun, or moves its memory about, gains nothing by one. (A value of CR3 is used again for another process.)
const HEAT: i64 = 15_000_000;
const FAULT: i64 = 50_000;
/// Picoseconds that an instruction gains by a window.
const GAIN: i64 = 300;
/// Nanoseconds that a window may cost more than it has gained, and that its gain is remembered for.
const CREDIT: i64 = 10_000_000;
/// Instructions that count against an address space whose window has cost more.
const DEBT: i64 = 100_000_000;

/// Tables that begin to be watched in one go, at most.
const FRESH: usize = 64;

/// A page in a window: the backing's page number plus one from bit 2 on, or 0 there; see the bits.
type Shown = u32;
/// It may be written.
const WRITABLE: Shown = 2;
/// It is in the log.
const LOGGED: Shown = 1;

/// Counters that `--stats` shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowStats {
    /// Windows made.
    pub made: u64,
    /// Windows given up.
    pub dropped: u64,
    /// Of these, because they cost more than they gained.
    pub costly: u64,
    /// Pages shown.
    pub mapped: u64,
    /// Mappings made for them.
    pub mappings: u64,
    /// Pages taken away, or made read-only.
    pub unmapped: u64,
    /// Times that written page tables were looked at.
    pub synced: u64,
    /// Instructions of the user's code that ran with a window.
    pub instructions: u64,
    /// Faults, and those of them after which a page was shown.
    pub faults: u64,
    /// See [`Self::faults`].
    pub shown: u64,
}

/// One window.
struct Window {
    /// Whose it is; 0 is nobody's.
    cr3: u32,
    pdpte: [u64; 4],
    used: u64,
    pages: Box<[Shown]>,
    log: Vec<u32>,
    mappings: u32,
    /// Nanoseconds gained, less those that it cost.
    balance: i64,
}

/// All windows.
pub struct WindowSet {
    host: Box<dyn Windows>,
    caps: WindowCaps,
    list: Vec<Window>,
    /// The one that GS leads to.
    active: usize,
    /// Nothing has happened since it was found out that there is no window for the present address space.
    checked: bool,
    /// Something other than the guest's tables has changed.
    stale: bool,
    /// Instruction count at which the user's code went on.
    since: u64,
    heat: [(u32, i64); COUNTED],
    threshold: i64,
    clock: u64,
    /// Address that the user's code has just had a page fault at, plus one: it will come back to it. Or 0.
    expected: u32,
    /// The host has refused a mapping.
    refused: bool,
    /// Offsets of pages that have become tables whose writes are to be noted.
    fresh: Vec<usize>,
    /// Counters.
    pub stats: WindowStats,
}

impl WindowSet {
    /// Those of a host that shows a machine's memory. None when it shows another, or has none.
    pub(crate) fn new(host: Box<dyn Windows>, memory: &mut Memory) -> Option<Self> {
        let caps = host.caps();
        let (base, len) = host.backing();
        if caps.windows == 0 || base != memory.base().cast_const() || len < memory.backing_len() {
            return None;
        }
        memory.prepare_tables();
        let window = || Window {
            cr3: 0,
            pdpte: [0; 4],
            used: 0,
            pages: vec![0; 1 << 20].into_boxed_slice(),
            log: Vec::with_capacity(LOG),
            mappings: 0,
            balance: 0,
        };
        let list = (0..caps.windows.min(MOST)).map(|_| window()).collect();
        Some(Self {
            host,
            caps,
            list,
            active: 0,
            checked: false,
            stale: false,
            since: 0,
            heat: [(0, 0); COUNTED],
            threshold: HEAT,
            clock: 0,
            expected: 0,
            refused: false,
            fresh: Vec::with_capacity(FRESH),
            stats: WindowStats::default(),
        })
    }

    /// Sets after how many instructions of the user's code its address space gets a window.
    pub fn set_threshold(&mut self, instructions: u32) {
        self.threshold = instructions.into();
    }

    /// Calls `check` with linear address, offset in the backing, and whether it may be written, of each page in the
    /// window of an address space (for tests of the invariants). Not while tables were written that it has not been
    /// brought in line with.
    pub fn visit(&self, cr3: u32, memory: &Memory, mut check: impl FnMut(u32, usize, bool)) {
        for (n, window) in self.list.iter().enumerate() {
            if window.cr3 != cr3 || self.stale || memory.tables_written(n as u8) {
                continue;
            }
            for &at in &window.log {
                let shown = window.pages[at as usize];
                if shown >> 2 != 0 {
                    check(at << 12, ((shown >> 2) as usize - 1) * PAGE, shown & WRITABLE != 0);
                }
            }
        }
    }

    /// First byte of the window that GS leads to.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler asks"))]
    pub(crate) fn base(&self) -> usize {
        self.host.base(self.active as u32)
    }

    /// The host's part.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler asks"))]
    pub(crate) fn host(&mut self) -> &mut dyn Windows {
        &mut *self.host
    }

    fn heat(&mut self, cr3: u32) -> &mut i64 {
        let slot = &mut self.heat[(cr3 >> 12).wrapping_mul(0x9E37_79B1) as usize >> 26];
        if slot.0 != cr3 {
            *slot = (cr3, 0);
        }
        &mut slot.1
    }

    /// Takes all pages away.
    fn empty(&mut self, n: usize) {
        let window = &mut self.list[n];
        for &at in &window.log {
            self.stats.unmapped += u64::from(window.pages[at as usize] >> 2 != 0);
            window.pages[at as usize] = 0;
        }
        window.log.clear();
        window.mappings = 0;
        window.balance -= i64::from(self.caps.map_ns);
        self.host.reset(n as u32);
    }

    /// Makes a window nobody's.
    fn drop_window(&mut self, n: usize, memory: &mut Memory) {
        let window = &mut self.list[n];
        memory.forget_tables(n as u8, |_| true);
        if window.cr3 == 0 {
            return;
        }
        let cr3 = core::mem::take(&mut window.cr3);
        self.empty(n);
        *self.heat(cr3) = 0;
        self.stats.dropped += 1;
    }

    /// Looks at windows whose directories were written, or with a table that was written over and over: most belonged
    /// to processes that are no more.
    fn look_after(&mut self, cpu: &Cpu, memory: &mut Memory) {
        let (torn, worn) = memory.take_torn();
        for n in 0..self.list.len() {
            let bit = 1 << n;
            if (torn | worn) & bit == 0 {
                continue;
            }
            let mine = self.list[n].cr3 == cpu.cr3;
            let gone = |(role, at): (Role, usize)| role.span > 12 || !points_to(role, at, n, memory);
            if worn & bit != 0 && !mine || memory.tables_of(n as u8).all(gone) {
                self.drop_window(n, memory);
            }
        }
    }

    /// The window of the present address space, made if it is worth while.
    fn find(&mut self, cpu: &Cpu, memory: &mut Memory) -> Option<usize> {
        self.clock += 1;
        let mine = |window: &Window| window.cr3 == cpu.cr3 && window.cr3 != 0;
        let found = match self.list.iter().position(mine) {
            Some(n) if self.list[n].balance < -CREDIT => {
                self.drop_window(n, memory);
                *self.heat(cpu.cr3) = -DEBT;
                self.stats.costly += 1;
                return None;
            }
            Some(n) if cpu.cr4 & cr4::PAE != 0 && self.list[n].pdpte != cpu.pdpte => {
                self.drop_window(n, memory);
                n
            }
            Some(n) => n,
            None => {
                let threshold = self.threshold;
                if *self.heat(cpu.cr3) < threshold {
                    return None;
                }
                let n = (0..self.list.len()).min_by_key(|&n| (self.list[n].cr3 != 0, self.list[n].used))?;
                self.drop_window(n, memory);
                n
            }
        };
        let window = self.list.get_mut(found)?;
        window.used = self.clock;
        if window.cr3 == 0 {
            (window.cr3, window.pdpte) = (cpu.cr3, cpu.pdpte);
            window.balance = 0;
            self.stats.made += 1;
            self.fill(found, cpu, memory);
        }
        Some(found)
    }

    /// Has GS lead to a window of the present address space that holds what it should. False when there is none.
    fn prepare(&mut self, cpu: &Cpu, memory: &mut Memory) -> bool {
        self.checked = true;
        if core::mem::take(&mut self.stale) {
            for n in 0..self.list.len() {
                self.drop_window(n, memory);
            }
        }
        if memory.torn() {
            self.look_after(cpu, memory);
        }
        // A directory at address 0 is nobody's.
        if self.refused || cpu.cr3 == 0 || cpu.cr0 & cr0::PG == 0 || cpu.tlb.watching || memory.map_changed()
        {
            return false;
        }
        let Some(n) = self.find(cpu, memory) else { return false };
        self.sync(n, cpu, memory);
        self.active = n;
        self.host.select(n as u32);
        !self.refused
    }

    /// Brings a window in line with the tables that were written.
    fn sync(&mut self, n: usize, cpu: &Cpu, memory: &mut Memory) {
        while let Some(written) = memory.take_written(n as u8) {
            self.stats.synced += 1;
            let mut lost = Lost::default();
            for linear in written.each() {
                if written.role.span == 12 {
                    self.check_page(n, linear, cpu, memory, &mut lost);
                    continue;
                }
                // An entry of a directory.
                let its = |role: &Role| role.span == 12 && role.base == linear;
                let table = memory.tables_of(n as u8).find(|(role, _)| its(role));
                if table.is_some_and(|(role, at)| !points_to(role, at, n, memory)) {
                    memory.forget_tables(n as u8, its);
                }
                for by in 0..1 << (written.role.span - 12) {
                    self.check_page(n, linear.wrapping_add(by << 12), cpu, memory, &mut lost);
                }
            }
            self.protect(n, lost.pages, None);
            self.protect(n, lost.writes, Some(Protection::Read));
        }
    }

    /// Brings one page in line with the tables.
    fn check_page(&mut self, n: usize, linear: u32, cpu: &Cpu, memory: &mut Memory, lost: &mut Lost) {
        let old = self.list[n].pages[linear as usize >> 12];
        if old >> 2 == 0 {
            return;
        }
        let page = linear as usize >> 12;
        match wanted(cpu, linear, memory) {
            Some((shown, t)) if self.watch(n, linear, &t, cpu, memory) => {
                if shown | WRITABLE == (old | WRITABLE) & !LOGGED && shown & WRITABLE == 0 {
                    if old & WRITABLE != 0 {
                        self.list[n].pages[page] &= !WRITABLE;
                        self.stats.unmapped += 1;
                        let full = lost.writes.add(linear);
                        self.protect(n, full, Some(Protection::Read));
                    }
                } else if shown != old & !LOGGED {
                    self.show(n, linear, &[shown], memory);
                }
            }
            _ => {
                self.list[n].pages[page] = LOGGED;
                self.stats.unmapped += 1;
                let full = lost.pages.add(linear);
                self.protect(n, full, None);
            }
        }
    }

    /// Takes pages away, or the right to write them.
    fn protect(&mut self, n: usize, span: Span, protection: Option<Protection>) {
        if span.len != 0 {
            let window = &mut self.list[n];
            window.mappings += 2;
            window.balance -= i64::from(self.caps.protect_ns);
            if !self.host.protect(n as u32, span.at, span.len as usize * PAGE, protection) {
                self.empty(n);
            }
        }
    }

    /// Shows pages that follow each other, in the window and in memory.
    fn show(&mut self, n: usize, linear: u32, shown: &[Shown], memory: &mut Memory) -> bool {
        let window = &mut self.list[n];
        let Some(&first) = shown.first() else { return true };
        let offset = ((first >> 2) as usize - 1) * PAGE;
        let protection = if first & WRITABLE != 0 { Protection::ReadWrite } else { Protection::Read };
        window.mappings += 2;
        window.balance -= i64::from(self.caps.map_ns);
        if !self.host.map(n as u32, linear, offset, shown.len() * PAGE, protection) {
            self.refused = true;
            self.empty(n);
            return false;
        }
        for (at, &shown) in (linear >> 12..).zip(shown) {
            let page = &mut window.pages[at as usize];
            if *page & LOGGED == 0 {
                window.log.push(at);
            }
            *page = shown | LOGGED;
            if shown & WRITABLE != 0 {
                memory.set_in_window(((shown >> 2) as usize - 1) * PAGE, true);
            }
        }
        self.stats.mappings += 1;
        self.stats.mapped += shown.len() as u64;
        true
    }

    /// Has the tables watched that a translation came from. False when that cannot be.
    fn watch(&mut self, n: usize, linear: u32, t: &Translation, cpu: &Cpu, memory: &mut Memory) -> bool {
        let wide = cpu.cr4 & cr4::PAE != 0;
        let span = if wide { 21 } else { 22 };
        let directory =
            Role { owner: n as u8, base: if wide { linear & 0xC000_0000 } else { 0 }, span, wide };
        let table = Role { base: linear & (u32::MAX << span), span: 12, ..directory };
        let both = [(t.entries[0], directory), (t.entries[1], table)];
        let count = if t.entries[0] == t.entries[1] { 1 } else { 2 };
        both[..count].iter().all(|&(at, role)| {
            let Target::Memory(offset) = memory.target(at, true) else { return false };
            if self.fresh.len() == FRESH {
                return false;
            }
            let watch = memory.watch_table(offset, role);
            if watch == Watch::New {
                self.fresh.push(offset);
            }
            watch != Watch::Refused
        })
    }

    /// Makes room for some pages more.
    fn make_room(&mut self, n: usize) {
        let mappings: u32 = self.list.iter().map(|window| window.mappings).sum();
        if mappings > self.caps.mappings {
            (0..self.list.len()).for_each(|n| self.empty(n));
        } else if self.list[n].log.len() + AROUND as usize > LOG {
            self.empty(n);
        }
    }

    /// Shows the page of `linear` and those around it. False when nothing changed by that.
    fn reveal(&mut self, linear: u32, cpu: &Cpu, memory: &mut Memory) -> bool {
        let n = self.active;
        let Some((shown, t)) = wanted(cpu, linear, memory) else { return false };
        let old = self.list[n].pages[linear as usize >> 12];
        if self.refused || old & !LOGGED == shown || !self.watch(n, linear, &t, cpu, memory) {
            return false;
        }
        self.make_room(n);
        let page = linear >> 12;
        let first = page & !(AROUND - 1);
        self.show_all(n, first..first + AROUND, 1, Some(page), cpu, memory);
        true
    }

    /// Shows what there is in a range of pages of one watched table, in runs of `least` pages and more; `again`: also
    /// that page, if it is there in another way.
    fn show_all(
        &mut self,
        n: usize,
        range: core::ops::Range<u32>,
        least: usize,
        again: Option<u32>,
        cpu: &Cpu,
        memory: &mut Memory,
    ) {
        let mut run = [0; LONGEST];
        let (mut start, mut len) = (range.start, 0);
        for at in range {
            let old = self.list[n].pages[at as usize];
            let next = (old >> 2 == 0 || again == Some(at))
                .then(|| wanted(cpu, at << 12, memory))
                .flatten()
                .map(|(shown, _)| shown);
            let follows = len != 0 && len < LONGEST && next == Some(run[len - 1] + 4);
            if !follows {
                if len >= least {
                    self.show(n, start << 12, &run[..len], memory);
                }
                (start, len) = (at, 0);
            }
            if let Some(next) = next {
                run[len] = next;
                len += 1;
            }
        }
        if len >= least {
            self.show(n, start << 12, &run[..len], memory);
        }
    }

    /// Shows what a new window can have at little cost.
    fn fill(&mut self, n: usize, cpu: &Cpu, memory: &mut Memory) {
        let span = if cpu.cr4 & cr4::PAE != 0 { 21 } else { 22 };
        for base in (0..1_u32 << (32 - span)).map(|number| number << span) {
            if !cpu.has_users_table(base, memory) {
                continue;
            }
            let pages = base >> 12..(base >> 12) + (1 << (span - 12));
            if self.list[n].log.len() + pages.len() > LOG / 2 {
                return;
            }
            let first = pages.clone().find_map(|at| wanted(cpu, at << 12, memory));
            if first.is_some_and(|(_, t)| self.watch(n, base, &t, cpu, memory)) {
                self.show_all(n, pages, WORTH, None, cpu, memory);
            }
        }
    }

    /// A page of the backing must not be written unnoticed any more.
    fn close(&mut self, offset: usize) {
        let shown = ((offset / PAGE) as u32 + 1) << 2 | WRITABLE | LOGGED;
        for n in 0..self.list.len() {
            for place in 0..self.list[n].log.len() {
                // None when the host refuses and everything is taken away.
                let Some(&at) = self.list[n].log.get(place) else { break };
                let page = &mut self.list[n].pages[at as usize];
                if *page == shown {
                    *page &= !WRITABLE;
                    self.stats.unmapped += 1;
                    self.protect(n, Span { at: at << 12, len: 1 }, Some(Protection::Read));
                }
            }
        }
    }
}

/// Pages that follow each other.
#[derive(Clone, Copy, Default)]
struct Span {
    at: u32,
    len: u32,
}

impl Span {
    /// Adds a page; gives what was there before when it does not follow that, otherwise nothing.
    fn add(&mut self, linear: u32) -> Self {
        if self.len != 0 && self.at.wrapping_add(self.len << 12) == linear & !0xFFF {
            self.len += 1;
            return Self::default();
        }
        core::mem::replace(self, Self { at: linear & !0xFFF, len: 1 })
    }
}

/// What is to be taken away from a window.
#[derive(Default)]
struct Lost {
    /// Pages.
    pages: Span,
    /// The right to write pages.
    writes: Span,
}

/// Whether the directory's entry for a table still leads to the backing page at `offset`.
fn points_to(role: Role, offset: usize, n: usize, memory: &Memory) -> bool {
    let Some((directory, at)) = memory
        .tables_of(n as u8)
        .find(|(other, _)| other.span > 12 && (!role.wide || other.base == role.base & 0xC000_0000))
    else {
        return false;
    };
    let entry = (role.base.wrapping_sub(directory.base) >> directory.span) as usize;
    let bytes = memory.backing();
    let entry = if role.wide {
        let at = at + 8 * entry;
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
    } else {
        let at = at + 4 * entry;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default()).into()
    };
    // Present, the user's, and a table.
    entry & 0x85 == 5 && memory.target(entry & 0xF_FFFF_F000, true) == Target::Memory(offset)
}

/// What a window should have for a page, and how that was found.
fn wanted(cpu: &Cpu, linear: u32, memory: &mut Memory) -> Option<(Shown, Translation)> {
    let access = Access { write: false, user: true, fetch: false };
    let t = cpu.peek_access(linear & !0xFFF, access, memory).filter(|t| t.accessed)?;
    let Target::Memory(offset) = memory.target(t.phys, false) else { return None };
    let flags = memory.flags(offset);
    if offset >= memory.ram_size() || flags & page::WATCH != 0 {
        return None;
    }
    let writable = t.writable
        && flags & (page::CODE | page::TABLE) == 0
        && memory.target(t.phys, true) == Target::Memory(offset);
    Some((((offset / PAGE) as u32 + 1) << 2 | if writable { WRITABLE } else { 0 }, t))
}

impl Cpu {
    /// Gives translated code windows to see memory through. False when the host's windows show another memory.
    pub fn use_windows(&mut self, host: Box<dyn Windows>, memory: &mut Memory) -> bool {
        self.windows = WindowSet::new(host, memory).map(Box::new);
        self.pause_window(true);
        self.settle_key();
        self.windows.is_some()
    }

    /// The windows, if there are any.
    #[must_use]
    pub fn windows(&self) -> Option<&WindowSet> {
        self.windows.as_deref()
    }

    /// See [`Self::windows`].
    pub fn windows_mut(&mut self) -> Option<&mut WindowSet> {
        self.windows.as_deref_mut()
    }

    /// Translations may have changed: the window is not used until it has been looked at. `all`: not only those that
    /// the guest's tables give.
    pub(crate) fn pause_window(&mut self, all: bool) {
        if let Some(set) = &mut self.windows {
            self.window = false;
            set.checked = false;
            set.stale |= all;
        }
    }

    /// The user's code is entered or left.
    #[inline]
    pub(crate) fn cross_privilege(&mut self, user: bool) {
        let count = self.executed();
        if let Some(set) = &mut self.windows {
            if user {
                set.since = count;
                set.checked = false;
            } else {
                let done = count.saturating_sub(set.since);
                if self.window {
                    set.stats.instructions += done;
                    let window = &mut set.list[set.active];
                    window.balance = (window.balance + done as i64 * GAIN / 1000).min(CREDIT);
                } else if self.cr0 & cr0::PG != 0 {
                    *set.heat(self.cr3) += done as i64;
                }
            }
        }
    }

    /// The user's code has had a page fault.
    pub(crate) fn user_fault(&mut self, linear: u32) {
        if let Some(set) = &mut self.windows {
            if self.window {
                set.expected = (linear & !0xFFF) + 1;
            } else {
                let heat = set.heat(self.cr3);
                *heat = (*heat).min((*heat - FAULT).max(0));
            }
        }
    }

    /// When the user's code is about to go on: looks for a window if it has none, and shows it the page that it had a
    /// fault at. Whether there is a window that there was not before.
    #[inline]
    pub(crate) fn seek_window(&mut self, memory: &mut Memory) -> bool {
        if self.cpl != 3 || self.mode & mode::FLAT == 0 {
            return false;
        }
        let (none, Some(set)) = (self.mode & mode::WINDOW == 0, &self.windows) else { return false };
        (none && !set.checked || set.expected != 0) && self.seek(memory)
    }

    #[cold]
    fn seek(&mut self, memory: &mut Memory) -> bool {
        let Some(mut set) = self.windows.take() else { return false };
        let before = self.window;
        if !before {
            self.window = set.prepare(self, memory);
        }
        let expected = core::mem::take(&mut set.expected);
        if self.window && expected != 0 {
            set.reveal(expected - 1, self, memory);
        }
        self.windows = Some(set);
        self.close_tables(memory);
        if self.window != before {
            self.settle_key();
        }
        self.window != before
    }

    /// An access through the window was in vain, and the interpreter has executed it. Whether the page is there now.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler asks"))]
    pub(crate) fn window_fault(&mut self, linear: u32, memory: &mut Memory) -> bool {
        let Some(mut set) = self.windows.take() else { return false };
        let shown = set.reveal(linear, self, memory);
        set.stats.faults += 1;
        set.list[set.active].balance -= i64::from(set.caps.fault_ns);
        set.stats.shown += u64::from(shown);
        let refused = set.refused;
        self.windows = Some(set);
        if refused {
            // Code that goes on uses the slow way of each access, and what it leads to has no window.
            self.window = false;
            self.settle_key();
        }
        self.close_tables(memory);
        shown
    }

    /// Nobody writes unnoticed to pages that have become watched tables.
    fn close_tables(&mut self, memory: &mut Memory) {
        while let Some(offset) = self.windows.as_mut().and_then(|set| set.fresh.pop()) {
            self.tlb.drop_writable(memory.base().expose_provenance() + offset);
            self.tlb.drop_mixed();
            self.close_in_windows(offset, memory);
        }
    }

    /// Nobody writes to a page of the backing unnoticed any more.
    pub(crate) fn close_in_windows(&mut self, offset: usize, memory: &mut Memory) {
        if memory.flags(offset) & page::WINDOW != 0
            && let Some(set) = &mut self.windows
        {
            set.close(offset);
            memory.set_in_window(offset, false);
        }
    }
}

#[cfg(test)]
mod tests;
