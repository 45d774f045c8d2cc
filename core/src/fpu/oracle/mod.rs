//! Tests against the CPU that they run on: the same instruction with the same operands must leave the same state.

#![allow(unsafe_code, reason = "inline assembly runs the instruction under test on the real FPU")]

mod env;
mod random;
mod sse;
mod transcendental;
mod x87;

/// How many times the usual number of operands to try: the environment's `ORACLE_FACTOR`, or once.
fn factor() -> u32 {
    std::env::var("ORACLE_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
