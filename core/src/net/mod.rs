//! Allocation-free packet parsing and the MAC address translator; imports nothing else of the crate.
