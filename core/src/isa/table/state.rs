//! FXSAVE and its kin, fences, cache control.
//!
//! Spec: Intel SDM volume 2. Columns: see [`crate::isa::row::isa`].
use crate::exec::*;
use crate::isa::row::{Row, isa};

/// The rows.
pub(super) const ROWS: &[Row] = isa! {
    NP 0x0FAE /0 "fxsave" (Mfx) N N Call Fxsr n fxsave;
    NP 0x0FAE /1 "fxrstor" (Mfx) N N Call Fxsr n fxrstor;
    NP 0x0FAE /2 "ldmxcsr" (Md) N N Call Sse o ldmxcsr;
    NP 0x0FAE /3 "stmxcsr" (Md) N N Call Sse o stmxcsr;
    NP 0x0FAE /7 "clflush" (Mb) N N Call Sse2 n clflush;
    NP 0x0FAE /5 "lfence" (Rn) N N Nop Sse2 n nop;
    NP 0x0FAE /6 "mfence" (Rn) N N Nop Sse2 n nop;
    NP 0x0FAE /7 "sfence" (Rn) N N Nop Sse n nop;
};
