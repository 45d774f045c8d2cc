//! What a machine needs of an operating system.

pub mod disk;
pub mod guest;
pub mod net;
