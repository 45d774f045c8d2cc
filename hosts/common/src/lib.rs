//! nomad86-host
