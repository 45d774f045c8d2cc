//! The x87 floating-point unit and the software floating point that SSE shares with it.
