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

/// Targets that attack something of one kind; tests run the groups side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// What strangers send.
    Network,
    /// Chips, by their registers.
    Devices,
    /// Instructions, under all that execute or read them.
    Processor,
    /// Whole machines, and files that make them.
    Machine,
}

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name under cargo-fuzz.
    pub name: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// Changed inputs of a whole test: fixed, and so many that the targets of a group take more than a minute together.
    pub inputs: usize,
    /// Does something with an input; a panic is a finding.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, group: Group, inputs: usize, run: fn(&[u8])) -> Target {
    Target { name, group, inputs, run }
}

/// Every target that runs inside the process that calls it.
pub const TARGETS: &[Target] = &[
    target("ne2k", Group::Network, 2_000_000, ne2k::run),
    target("translate", Group::Network, 40_000_000, translate::run),
    target("relay_client", Group::Network, 30_000, relay::client),
    target("relay_server", Group::Network, 20_000, relay::server),
    target("ide", Group::Devices, 90_000, family::ide),
    target("floppy", Group::Devices, 100_000, family::floppy),
    target("vga", Group::Devices, 140_000, family::vga),
    target("timers", Group::Devices, 150_000, family::timers),
    target("ps2", Group::Devices, 150_000, family::ps2),
    target("uart", Group::Devices, 135_000, family::uart),
    target("pci", Group::Devices, 150_000, family::pci),
    target("sb16", Group::Devices, 150_000, family::sb16),
    target("fw_cfg", Group::Devices, 150_000, family::fw_cfg),
    target("machine", Group::Machine, 1_000, machine::run),
    target("state_image", Group::Machine, 8_000, state::run),
    target("config", Group::Machine, 1_200_000, config::run),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    target("decode", Group::Processor, 30_000_000, engines::decode),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    target("engines", Group::Processor, 1_800, engines::run),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    target("cpu_native", Group::Processor, 800_000, engines::native),
];
