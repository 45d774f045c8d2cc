//! The x87 floating-point unit and the software floating point that SSE shares with it.
//!
//! Nothing here knows the rest of the machine: functions take bits and give bits, [`Fpu`] is plain data.
//!
//! * [`soft`]: IEEE 754 arithmetic on [`F32`], [`F64`] and [`F80`] with x86's rules for NaNs, tininess,
//!   denormals and exceptions.
//! * [`ops`]: the register stack and every x87 instruction on it.

pub mod env;
pub mod ops;
pub mod soft;
pub mod sse;
pub mod transcendental;

#[cfg(all(test, target_arch = "x86_64"))]
mod oracle;

pub use ops::{Arith, Condition, Constant, Fpu, Store};
pub use soft::{F32, F64, F80, FloatContext, Precision, Relation, Rounding, flag};
