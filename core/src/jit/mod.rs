//! The x86-64 recompiler: hot blocks become host code.
//!
//! Guest registers live in the host registers of the same name (ESP in r15), status flags in RFLAGS. A memory
//! access looks its page up in the software TLB; when that fails, or anything else is out of the ordinary, the
//! interpreter executes the one instruction and translated code goes on behind it, so that every rare case has
//! one description. Instructions without a lowering of their own are executed the same way.
//!
//! r14 points to the [`Cpu`], r12 to the TLB's table for the present privilege, r13 counts instructions down;
//! r8 to r11 are scratch. Code of flat segments does not know the linear address it runs at: [`Shared::code_page`]
//! holds it less the offset in the physical page, which is the same for all blocks of a page, and jumps to other
//! pages go through a table of recent entry points.
//!
//! Code of other segments is translated for one place of one segment, so that IP's wrap and the segment's limit
//! are constants; it looks whether it is there when it is entered from elsewhere. Data segments that are not flat
//! add their bases and compare limits, as FS and GS always do. Between blocks r8d holds a linear address.

mod memory;
mod window;

#[cfg(target_arch = "x86_64")]
mod asm;
#[cfg(target_arch = "x86_64")]
mod emit;
#[cfg(target_arch = "x86_64")]
mod entries;
#[cfg(target_arch = "x86_64")]
mod fp;
#[cfg(target_arch = "x86_64")]
mod helpers;
#[cfg(target_arch = "x86_64")]
mod inspect;
#[cfg(target_arch = "x86_64")]
mod plan;
#[cfg(target_arch = "x86_64")]
mod thunks;
#[cfg(target_arch = "x86_64")]
mod trace;
#[cfg(target_arch = "x86_64")]
mod translate;
#[cfg(target_arch = "x86_64")]
mod x64;

pub use memory::CodeMemory;
pub use window::{Catch, Protection, WindowCaps, Windows};

#[cfg(target_arch = "x86_64")]
pub use x64::Jit;

use crate::cpu::Stop;
use crate::cpu::tlb::Tlb;
#[cfg(target_arch = "x86_64")]
use crate::memory::PhysAddr;

/// Where code lies as seen from a block.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only the recompiler asks"))]
pub(crate) struct Pages<'a> {
    /// The TLB, and whether that of the user's code.
    pub(crate) tlb: &'a Tlb,
    /// See [`Self::tlb`].
    pub(crate) user: bool,
    /// Linear address of the block.
    pub(crate) linear: u32,
}

#[cfg(target_arch = "x86_64")]
impl Pages<'_> {
    /// Physical address of what lies `by` bytes from the beginning of the block's page, if it is known.
    fn at(&self, by: i32) -> Option<PhysAddr> {
        let linear = (self.linear & !0xFFF).wrapping_add(by as u32);
        Some(self.tlb.code(linear, self.user)? | PhysAddr::from(linear & 0xFFF))
    }
}

/// What translated code and the processor share; lies inside [`crate::cpu::Cpu`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Shared {
    /// Instructions left (r13).
    pub budget: i64,
    /// First table of the TLB for the present privilege (r12).
    pub tlb: usize,
    /// Table of jumps: code for the low bits of a linear address, which then looks whether it is meant.
    pub jumps: usize,
    /// Table of counters of blocks.
    pub until_hot: usize,
    /// Table of physical pages that code lies on, for the present privilege.
    pub code_tlb: usize,
    /// Status flags: AH as LAHF gives it in bits 8–15, OF in bit 0.
    pub flags: u16,
    /// Linear address of the code page.
    pub code_page: u32,
    /// Link that left translated code, or [`NO_LINK`].
    pub link: u32,
    /// The jump wants a block without shared lookups: 1.
    pub alone: u32,
    /// Scratch.
    pub scratch: u32,
    /// What index registers of string instructions move by, in elements: 1 or −1.
    pub stride: i32,
    /// Addends of the groups of accesses of the code that runs; the first is in a register.
    pub addends: [usize; 4],
    /// Instructions of the budget that a loop has put aside while it does a number of rounds.
    pub aside: i64,
    /// Instruction count at which the budget is 0.
    pub limit: u64,
    /// Table of recent entry points for the present mode.
    pub entries: usize,
    /// [`Self::entries`] and [`Self::jumps`] for code of flat segments, for other code, and for code that sees memory
    /// through a window.
    pub tables: [[usize; 2]; 3],
    /// Table of pages that hold code and are written, for the present privilege.
    pub mixed: usize,
    /// The interpreter's function for one instruction.
    pub interpret: usize,
    /// The dispatcher's function for a jump.
    pub resolve: usize,
    /// The recompiler and the block cache of this run.
    pub jit: usize,
    /// See [`Self::jit`].
    pub cache: usize,
    /// The `dyn Io` of this run, as two words.
    pub io: [usize; 2],
    /// Why translated code left, when it was not for want of budget.
    pub stop: Option<Stop>,
    /// Instructions that translated code left to the interpreter.
    pub interpreted: u64,
    /// Register files whose contents are in the host's registers: bits of [`crate::isa::row::state`].
    pub live: u8,
    /// MXCSR as the host's code wants it.
    pub mxcsr: u32,
    /// Moves x87 state from the host to the image.
    pub unload: usize,
    /// The reverse.
    pub load: usize,
    /// Puts register files into the host's registers.
    pub fill: usize,
    /// x87 state on its way.
    pub image: Image,
}

/// An FXSAVE image.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Image(pub [u8; 512]);

/// See [`Shared::link`].
pub const NO_LINK: u32 = u32::MAX;

impl Default for Shared {
    fn default() -> Self {
        Self {
            budget: 0,
            limit: 0,
            tlb: 0,
            entries: 0,
            jumps: 0,
            tables: [[0; 2]; 3],
            until_hot: 0,
            code_tlb: 0,
            mixed: 0,
            interpret: 0,
            resolve: 0,
            jit: 0,
            cache: 0,
            io: [0; 2],
            flags: 0,
            code_page: 0,
            link: NO_LINK,
            alone: 0,
            scratch: 0,
            stride: 1,
            addends: [0; 4],
            aside: 0,
            stop: None,
            interpreted: 0,
            live: 0,
            mxcsr: 0x1F80,
            unload: 0,
            load: 0,
            fill: 0,
            image: Image([0; 512]),
        }
    }
}

/// A recompiler for hosts that have none: there is no value of it.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug)]
pub enum Jit {}

#[cfg(not(target_arch = "x86_64"))]
#[allow(missing_docs, clippy::missing_const_for_fn)]
mod absent {
    use super::{CodeMemory, Jit, Pages, Stop};
    use crate::cpu::block::{BlockCache, Fate};
    use crate::cpu::{Cpu, Io};
    use alloc::boxed::Box;

    impl Jit {
        #[must_use]
        pub fn new(_memory: Box<dyn CodeMemory>, _blocks: usize, _precise: bool) -> Option<Self> {
            None
        }
        pub fn set_threshold(&mut self, _heat: u16) {
            match *self {}
        }
        pub fn use_windows(&mut self) {
            match *self {}
        }
        pub fn set_clock(&mut self, _clock: fn() -> u64) {
            match *self {}
        }
        pub fn set_hot(&mut self, _times: u16) {
            match *self {}
        }
        #[must_use]
        pub const fn instructions(&self, _: u32) -> u64 {
            match *self {}
        }
        pub fn clear(&mut self) {
            match *self {}
        }
        pub fn visit(&self, _: impl FnMut(u32, [(usize, &[u8]); 2])) {
            match *self {}
        }
        pub fn host_code(&self, _: u32) -> Option<[(usize, &[u8]); 2]> {
            match *self {}
        }
        pub fn interpreted(&self, _: impl FnMut(&'static str, u64)) {
            match *self {}
        }
        #[must_use]
        pub const fn stats(&self) -> super::JitStats {
            match *self {}
        }
        pub fn overwritten(&mut self, _number: u32, _fate: Fate) {
            match *self {}
        }
        pub fn follow(&mut self, _generation: u32) {
            match *self {}
        }
        pub(crate) fn code(&mut self, _: &mut BlockCache, _: u32, _: Pages<'_>, _: u32) -> Option<usize> {
            match *self {}
        }
        pub fn enter(
            &mut self,
            _: &mut Cpu,
            _: &mut BlockCache,
            _: usize,
            _: u64,
            _: &mut dyn Io,
        ) -> Result<(), Stop> {
            match *self {}
        }
    }
}

/// Counters that `--stats` shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct JitStats {
    /// Blocks translated.
    pub translated: u64,
    /// Of these, together with those behind them.
    pub hot: u64,
    /// Of these, over more than one page.
    pub over_pages: u64,
    /// Of those anew, loops.
    pub loops: u64,
    /// Of these, loops that do a number of rounds without looking addresses up.
    pub rounds: u64,
    /// Nanoseconds that the longest translation took, what it had to drop before included.
    pub longest: u64,
    /// Bytes of code emitted.
    pub bytes: u64,
    /// Times that all code was dropped because the memory was full.
    pub full_flushes: u64,
    /// Blocks dropped because their bytes were overwritten.
    pub invalidated: u64,
    /// Translations that were used again after their bytes had been overwritten.
    pub revived: u64,
    /// Times that translated code was entered from the dispatcher.
    pub entered: u64,
    /// Jumps linked to their targets.
    pub linked: u64,
    /// Entry points not found in the table.
    pub lookups_missed: u64,
    /// Instructions that translated code left to the interpreter.
    pub interpreted: u64,
    /// Instructions that do not use the window any more, which was in vain too often.
    pub denied: u64,
}
