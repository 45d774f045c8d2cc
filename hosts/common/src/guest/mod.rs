//! Guests made on this host: a Debian kernel with busybox ([`debian()`]), and the archives that it takes.

pub mod cpio;
mod debian;
mod modules;
mod root;
mod tar;

pub use debian::{Guest, GuestError, Progress, cache_folder, debian};
