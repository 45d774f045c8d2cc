//! Tests against the CPU that they run on: the same instruction with the same operands must leave the same state.

#![allow(unsafe_code, reason = "inline assembly runs the instruction under test on the real FPU")]

mod env;
mod random;
mod sse;
mod transcendental;
mod x87;

/// Whether the host is AMD's, whose conduct we follow where the manuals leave a choice: which condition codes
/// an instruction leaves alone, what an unmasked exception keeps from happening, undefined arguments.
fn host_is_amd() -> bool {
    core::arch::x86_64::__cpuid(0).ebx == u32::from_le_bytes(*b"Auth")
}

/// How many times the usual number of operands to try: the environment's `ORACLE_FACTOR`, or once.
fn factor() -> u32 {
    std::env::var("ORACLE_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
