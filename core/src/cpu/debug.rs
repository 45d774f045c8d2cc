//! Debug registers: instruction and data breakpoints.
//!
//! Spec: Intel SDM volume 3, chapter 17.

use super::{Cpu, cr4};

impl Cpu {
    fn breakpoint_enabled(&self, n: usize) -> bool {
        self.dr[7] >> (2 * n) & 3 != 0
    }

    fn breakpoint_kind(&self, n: usize) -> u32 {
        self.dr[7] >> (16 + 4 * n) & 3
    }

    /// Whether an instruction breakpoint stands at a linear address; notes which in DR6.
    pub fn code_breakpoint(&mut self, linear: u32) -> bool {
        let mut hits = 0;
        for n in 0..4 {
            if self.breakpoint_enabled(n) && self.breakpoint_kind(n) == 0 && self.dr[n] == linear {
                hits |= 1 << n;
            }
        }
        if hits != 0 {
            self.dr[6] = self.dr[6] & !15 | hits;
        }
        hits != 0
    }

    /// Notes data breakpoints that an access hits; the trap comes after the instruction.
    pub fn check_data_breakpoints(&mut self, linear: u32, size: u32, write: bool) {
        self.note_breakpoints(linear, size, |kind| kind == 3 || kind == 1 && write);
    }

    /// Notes breakpoints on ports, which there are under CR4.DE only.
    pub fn check_port_breakpoints(&mut self, port: u16, size: u32) {
        if self.cr4 & cr4::DE != 0 {
            self.note_breakpoints(u32::from(port), size, |kind| kind == 2);
        }
    }

    fn note_breakpoints(&mut self, at: u32, size: u32, wanted: impl Fn(u32) -> bool) {
        for n in 0..4 {
            if !self.breakpoint_enabled(n) || !wanted(self.breakpoint_kind(n)) {
                continue;
            }
            let len = match self.dr[7] >> (18 + 4 * n) & 3 {
                0 => 1,
                1 => 2,
                2 => 8,
                _ => 4,
            };
            let start = u64::from(self.dr[n] & !(len - 1));
            if start < u64::from(at) + u64::from(size) && u64::from(at) < start + u64::from(len) {
                self.pending_debug |= 1 << n;
            }
        }
    }

    /// Number of the debug register that an instruction names: DR4 and DR5 are DR6 and DR7 unless CR4.DE is
    /// set, when they do not exist.
    #[must_use]
    pub const fn debug_register(&self, n: u8) -> Option<usize> {
        match n {
            4 | 5 if self.cr4 & cr4::DE != 0 => None,
            4 => Some(6),
            5 => Some(7),
            n => Some(n as usize & 7),
        }
    }
}
