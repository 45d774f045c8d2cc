//! nomad86 in WebAssembly: the machine behind plain exported functions, without generated glue.
//!
//! `js/core.js` is the other half. It gives the imports of [`abi`] (clock, picture, frames, sectors, sound,
//! serial lines) and calls the exports. Nothing here blocks: `run` comes back after its budget, and a disk
//! whose sectors are still on their way says so and is asked again.
//!
//! | file | what |
//! |---|---|
//! | `abi.rs` | imports and exports, the only file with `unsafe` |
//! | `builder.rs` | options by name, as they come from JavaScript |
//! | `clock.rs` | time that never jumps |
//! | `host.rs` | the core's host traits, through the imports |
//! | `pc.rs` | a machine with all around it |
#![no_std]
#[cfg(not(target_family = "wasm"))]
compile_error!("this crate is for WebAssembly: build it with --target wasm32-unknown-unknown");

extern crate alloc;

mod abi;
mod builder;
mod clock;
mod host;
mod pc;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    abi::give_up(&alloc::format!("{info}"))
}
