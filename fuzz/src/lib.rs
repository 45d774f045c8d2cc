//! What the fuzz targets do with their inputs: one module a target or a family of targets, so that the same
//! code runs under libFuzzer, over a stored corpus and in ordinary tests.
//!
//! | target | what is attacked |
//! |---|---|
//! | `ne2k` | the network card: register scripts, frames from the wire, hostile registers from an image |
//! | `translate` | the MAC address translator, both ways |
//! | `relay_client`, `relay_server` | WebSocket messages of all kinds, cut anywhere |
//! | `decode`, `engines`, `cpu_native` | instructions: against another decoder, the recompiler, the host's CPU |
//! | `ide floppy vga timers ps2 uart pci sb16 fw_cfg` | the other chips, a family each |
//! | `machine` | a whole machine with random code in it |
//! | `state_image` | images of machines |
//! | `config` | what a user types |

pub mod card;
pub mod config;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod engines;
pub mod family;
pub mod input;
pub mod machine;
pub mod ne2k;
pub mod relay;
pub mod rig;
pub mod seeds;
pub mod state;
pub mod translate;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target that runs inside the process that calls it.
pub const TARGETS: &[Target] = &[
    ("ne2k", ne2k::run),
    ("translate", translate::run),
    ("relay_client", relay::client),
    ("relay_server", relay::server),
    ("ide", family::ide),
    ("floppy", family::floppy),
    ("vga", family::vga),
    ("timers", family::timers),
    ("ps2", family::ps2),
    ("uart", family::uart),
    ("pci", family::pci),
    ("sb16", family::sb16),
    ("fw_cfg", family::fw_cfg),
    ("machine", machine::run),
    ("state_image", state::run),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    ("decode", engines::decode),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    ("engines", engines::run),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    ("cpu_native", engines::native),
    ("config", config::run),
];
