//! What a machine needs of an operating system.

pub mod code;
pub mod guest;
pub mod net;
