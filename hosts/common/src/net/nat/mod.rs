//! A user-mode network.
pub mod config;
pub use config::{Forward, Ipv4Config, Ipv6Config, NatConfig, Transport};
