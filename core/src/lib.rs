//! nomad86: an x86 PC that travels to any host.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod devices;
pub mod fpu;
pub mod host;
pub mod net;
pub mod time;
