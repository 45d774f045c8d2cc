//! The PC's devices.
pub mod ps2;
