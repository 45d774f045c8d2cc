//! nomad86: an x86 PC that travels to any host.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
pub mod archive;
pub mod board;
pub mod boot;
pub mod config;
pub mod cpu;
pub mod devices;
mod exec;
pub mod firmware;
pub mod fpu;
pub mod host;
pub mod isa;
pub mod jit;
pub mod machine;
pub mod memory;
pub mod net;
pub mod snapshot;
pub mod time;
