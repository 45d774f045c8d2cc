//! The machine's screen in a terminal: text modes as text, graphics as half-blocks, sixels or through kitty's
//! protocol.
//!
//! | file | what |
//! |---|---|
//! | [`canvas`] | cells of a terminal, and what has to be sent to change them |
//! | `text` | a text mode → cells |
//! | `blocks` | a picture → cells of two pixels each |
//! | `sixel`, `kitty` | a picture → the escape sequence that shows it |
//! | [`keyboard`] | what a terminal sends → keys |

mod blocks;
pub mod canvas;
pub mod keyboard;
mod kitty;
mod sixel;
mod text;
mod view;

pub use canvas::Colors;
pub use view::{Graphics, View};
