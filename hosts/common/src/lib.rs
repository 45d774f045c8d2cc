//! What a machine needs of an operating system.

pub mod net;
