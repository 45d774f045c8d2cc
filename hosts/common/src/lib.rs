//! What a machine needs of an operating system.

pub mod guest;
pub mod net;
