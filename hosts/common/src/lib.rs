//! What a machine needs of an operating system.

pub mod code;
pub mod disk;
pub mod guest;
pub mod net;
