//! nomad86-native
