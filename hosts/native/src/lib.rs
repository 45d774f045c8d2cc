//! The native test bench: what whole-machine tests need and the machine itself does not.
//!
//! - [`mod@bench`]: skipping loudly, sizes from the environment.
//! - [`flat`]: memory without devices, for a processor on its own.
//! - [`guest`]: whole machines with Linux, driven by tests.
//! - [`oracle`] runs 16- and 32-bit user-mode code on the CPU of the host, [`subject`] on ours.
//! - [`blocks`]: blocks of instructions on both, what one leaves for the next.
//! - [`generate`]: random cases for both, from the rows of the instruction table.
//! - [`random`]: values that lean towards the edges.
//! - [`undefined`]: flags that the manuals leave open.
//! - [`compare`]: what the two disagree about.
//! - [`determinism`]: whole machines, one interpreted, one recompiled.
//! - [`lockstep`]: interpreter against recompiler on random programs.
//! - [`sst286`] reads instructions recorded on an 80C286.

pub mod bench;
pub mod flat;
pub mod guest;
pub mod random;
pub mod sst286;
pub mod undefined;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod blocks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod compare;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod determinism;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod generate;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod lockstep;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod oracle;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod subject;
