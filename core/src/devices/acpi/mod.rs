//! PIIX4 power management.
pub mod function;
