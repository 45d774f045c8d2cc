//! Frames through WebSocket relays: the client, and a relay of our own.

pub mod backoff;
pub mod client;
mod handshake;
pub mod server;
mod stream;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod url;

pub use client::{RelayClient, RelayConfig, RelayStats};
pub use server::{RelayServer, RelayServerConfig, RelayServerStats};
pub use url::RelayUrl;
