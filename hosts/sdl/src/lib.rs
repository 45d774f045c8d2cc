//! A window for the machine, through SDL 2: picture, sound, keyboard and mouse.
//!
//! | file | what |
//! |---|---|
//! | `window` | the window: events, drawing, title |
//! | `picture`, `scale` | what the machine draws, and where it lies in the window |
//! | `controls`, `keys` | keyboard and mouse, the window's own keys |
//! | `audio` | sound |

mod audio;
mod controls;
mod keys;
mod picture;
mod scale;
mod window;

pub use window::Window;
