//! nomad86: an x86 PC that travels to any host.
//!
//! A [`machine::Machine`] is built from a [`config::Config`] and a block of memory, and runs in slices for as long as
//! its embedder calls [`machine::Machine::run`]. It reaches the world only through the traits of [`host`], which the
//! embedder lends to each call; it never blocks, sleeps or reads a clock by itself.
//!
//! ```
//! use nomad86::config::Config;
//! use nomad86::host::{Console, Host};
//! use nomad86::machine::{Exit, Machine};
//! use nomad86::memory::GuestMemory;
//! use std::{cell::RefCell, rc::Rc, time::Duration};
//!
//! /// The debug console's far end.
//! struct Log(Rc<RefCell<String>>);
//!
//! impl Console for Log {
//!     fn write(&mut self, byte: u8) {
//!         self.0.borrow_mut().push(byte.into());
//!     }
//!     fn read(&mut self) -> Option<u8> {
//!         None
//!     }
//! }
//!
//! // A BIOS of our own: at the reset vector, MOV AL, 'A'; OUT E9h, AL; CLI; HLT.
//! let mut bios = vec![0xFF; 64 << 10];
//! bios[0xFFF0..0xFFF6].copy_from_slice(&[0xB0, b'A', 0xE6, 0xE9, 0xFA, 0xF4]);
//! let config = Config { memory: 1 << 20, bios, ..Config::default() };
//! let memory = GuestMemory::allocate(config.memory_needed())?;
//! let mut machine = Machine::new(config, memory)?;
//!
//! let said = Rc::new(RefCell::new(String::new()));
//! let mut host = Host::null();
//! host.debug = Box::new(Log(said.clone()));
//! assert_eq!(machine.run(&mut host, Duration::from_millis(10)), Exit::Halted);
//! assert_eq!(*said.borrow(), "A");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! State images are in [`snapshot`], the translator of MAC addresses in [`net`], the NE2000 by itself in
//! [`devices::ne2k::chip`], the instruction set with its decoder in [`isa`].
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
pub mod archive;
pub mod board;
pub mod boot;
pub mod bytes;
pub mod config;
pub mod cpu;
pub mod devices;
mod exec;
pub mod firmware;
pub mod fpu;
pub mod host;
pub mod isa;
/// [`Cpu`]: crate::cpu::Cpu
/// [`Shared::code_page`]: crate::jit::Shared::code_page
pub mod jit;
pub mod machine;
pub mod memory;
pub mod net;
pub mod snapshot;
pub mod time;
