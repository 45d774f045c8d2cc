//! The instruction set: one table of rows and its readers.
pub mod decode;
pub mod format;
pub mod inst;
pub mod row;
pub mod table;

pub use inst::Inst;
pub use row::{Flags, Lowering, Operand, Row};
