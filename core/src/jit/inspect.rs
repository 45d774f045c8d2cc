//! Translated code for those who look at it: listings, profilers, tests.
#![allow(unsafe_code)]

use super::x64::Placed;
use super::{Jit, JitStats};

impl Jit {
    /// The code of a block (by its number in the block cache): what is executed, and what is rarely, each with the
    /// address that it runs at. None when the block is not translated.
    #[must_use]
    pub fn host_code(&self, number: u32) -> Option<[(usize, &[u8]); 2]> {
        let lookup = self.blocks.get(number as usize)?.lookup;
        if lookup == 0 {
            return None;
        }
        let next = self.placed.partition_point(|piece| piece.hot <= lookup);
        let &Placed { hot, len, cold, rare } = self.placed.get(next.checked_sub(1)?)?;
        Some([(hot, len), (cold, rare)].map(|(start, len)| {
            let at = self.memory.executable().wrapping_add(start as usize);
            // SAFETY: the piece lies in the region and was written; the view lives as long as `self`, and code is
            // changed through `&mut self` only.
            (at as usize, unsafe { core::slice::from_raw_parts(at, len as usize) })
        }))
    }

    /// Calls `each` with number and code of every translated block, as [`Self::host_code`] gives it.
    pub fn visit(&self, mut each: impl FnMut(u32, [(usize, &[u8]); 2])) {
        for number in 0..self.blocks.len() as u32 {
            if let Some(code) = self.host_code(number) {
                each(number, code);
            }
        }
    }

    /// Calls `each` with the name of each instruction that translated code left to the interpreter, and how often.
    pub fn interpreted(&self, mut each: impl FnMut(&'static str, u64)) {
        for (row, &count) in crate::isa::table::ROWS.iter().zip(self.ranks.iter()) {
            if count != 0 {
                each(row.mnemonic, count);
            }
        }
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> JitStats {
        self.stats
    }
}
