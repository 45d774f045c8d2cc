//! What a machine needs of an operating system.

pub mod clock;
pub mod code;
pub mod console;
pub mod disk;
pub mod fault;
pub mod guest;
pub mod input;
#[cfg(feature = "listing")]
pub mod listing;
#[cfg(unix)]
pub mod local;
pub mod net;
pub mod reason;
pub mod render;
pub mod screen;
pub mod screenshot;
pub mod state;
pub mod window;
