//! The native test bench: what whole-machine tests need and the machine itself does not.
//!
//! - [`bench`]: skipping loudly, sizes from the environment.
//! - [`sst286`] reads instructions recorded on an 80C286.
//! - [`oracle`] runs 16- and 32-bit user-mode code on the CPU of the host, to compare ours with.

pub mod bench;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod oracle;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod generate;
pub mod sst286;
