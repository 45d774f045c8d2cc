//! The power-management function's configuration space.
use crate::board::Board;

/// Claims the ports that the base registers say.
pub(crate) fn settle(_board: &mut Board) {}
