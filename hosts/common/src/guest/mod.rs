//! Guests made on this host: a Debian kernel with busybox ([`debian()`]), a tree of Debian programs ([`programs()`]), and
//! the archives that it takes.

mod apt;
pub mod cpio;
mod debian;
mod modules;
mod programs;
mod root;
mod tar;

pub use debian::{Guest, GuestError, Progress, cache_folder, debian};
pub use programs::{Programs, programs};
