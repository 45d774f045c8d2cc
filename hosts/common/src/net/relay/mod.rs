//! Frames through WebSocket relays.
pub mod url;
pub use url::RelayUrl;
