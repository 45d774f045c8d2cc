//! The 8042 keyboard controller with its keyboard and mouse.
pub mod keys;
