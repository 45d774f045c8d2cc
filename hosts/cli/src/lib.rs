//! nomad86-cli
