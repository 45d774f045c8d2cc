//! The machine that the loader's command line and modules ask for.
//!
//! Command line: `memory=MiB engine=jit|interp cpu=486|pentium|p6|pentium4|max serial=guest|none icount=N
//! exit-port=PORT mac=randomise|preserve|translate`. Modules are named by a word of their lines: `bios vga_bios kernel initrd hda cdrom state`;
//! what stands behind `kernel` is the guest's own command line.

use crate::disk::MemoryDisk;
use crate::multiboot::{Info, Module};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use nomad86::config::{ClockMode, Config, CpuModel, IdeSlot, Kernel};
use nomad86::host::Drives;
use nomad86::net::MacPolicy;

/// What was asked for.
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) drives: Drives,
    pub(crate) recompile: bool,
    /// The guest's first serial line is the PC's.
    pub(crate) serial: bool,
    /// What becomes of the address of a state image's card.
    pub(crate) mac: MacPolicy,
    /// A state image to go on from.
    pub(crate) state: Option<&'static [u8]>,
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A port to write the result to at the end (QEMU's isa-debug-exit).
pub(crate) fn exit_port(info: &Info) -> Option<u16> {
    let words = info.command_line().split_ascii_whitespace();
    let value = words.filter_map(|word| word.strip_prefix("exit-port=")).next_back();
    value.and_then(number).and_then(|port| u16::try_from(port).ok())
}

/// What a module is for, and what stands behind that in its line.
fn role(module: &Module) -> Result<(&'static str, &'static str), String> {
    const ROLES: [&str; 7] = ["bios", "vga_bios", "kernel", "initrd", "hda", "cdrom", "state"];
    let line = module.line.trim();
    let mut rest = line;
    while !rest.is_empty() {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some(role) = ROLES.iter().find(|role| **role == word) {
            return Ok((role, behind));
        }
        rest = behind.trim_start();
    }
    Err(format!("module '{line}': its line names none of {}", ROLES.join(", ")))
}

impl Options {
    /// Reads everything. Modules belong to the result, so that this is done once.
    pub(crate) fn read(info: &Info) -> Result<Self, String> {
        let mut config = Config { memory: 128 << 20, ..Config::default() };
        let (mut recompile, mut serial, mut state) = (true, true, None);
        let mut drives = Drives::default();
        // The guest keeps its address, and the wire sees the PC's card.
        let mut mac = MacPolicy::Translate;
        // Loaders put the kernel's own name first.
        for word in info.command_line().split_ascii_whitespace() {
            let Some((name, value)) = word.split_once('=') else { continue };
            let wrong = |wanted: &str| Err(format!("{name}={value}: give {wanted}"));
            match (name, value) {
                ("memory", _) => match number(value).filter(|mib| (1..=3072).contains(mib)) {
                    Some(mib) => config.memory = (mib as usize) << 20,
                    None => return wrong("a number of MiB up to 3072"),
                },
                ("engine", "jit" | "interp") => recompile = value == "jit",
                ("engine", _) => return wrong("jit or interp"),
                ("cpu", "486") => config.cpu = CpuModel::I486,
                ("cpu", "pentium") => config.cpu = CpuModel::Pentium,
                ("cpu", "p6") => config.cpu = CpuModel::P6,
                ("cpu", "pentium4") => config.cpu = CpuModel::Pentium4,
                ("cpu", "max") => config.cpu = CpuModel::Max,
                ("cpu", _) => return wrong("486, pentium, p6, pentium4 or max"),
                ("serial", "guest" | "none") => serial = value == "guest",
                ("serial", _) => return wrong("guest or none"),
                ("exit-port", _) if exit_port(info).is_some() => {}
                ("exit-port", _) => return wrong("a port"),
                // 2^N nanoseconds each, as the command line's --icount shift=N.
                ("icount", _) => match number(value).filter(|shift| *shift <= 10) {
                    Some(shift) => config.clock = ClockMode::Virtual { picoseconds: 1000 << shift },
                    None => return wrong("0 to 10"),
                },
                ("mac", "randomise") => mac = MacPolicy::Randomise,
                ("mac", "preserve") => mac = MacPolicy::Preserve,
                ("mac", "translate") => mac = MacPolicy::Translate,
                ("mac", _) => return wrong("randomise, preserve or translate"),
                _ => {
                    return Err(format!(
                        "option '{name}' is not known: there are memory=, engine=, cpu=, serial=, icount=, mac=, exit-port="
                    ));
                }
            }
        }
        let mut kernel = Kernel::default();
        let (mut has_kernel, mut has_initrd) = (false, false);
        for module in info.modules() {
            let (role, line) = role(&module)?;
            let bytes = module.take();
            let copy = |bytes: &[u8]| -> Vec<u8> { bytes.to_vec() };
            match role {
                "bios" => config.bios = copy(bytes),
                "vga_bios" => config.vga_bios = copy(bytes),
                "kernel" => {
                    has_kernel = true;
                    kernel.image = copy(bytes).into();
                    kernel.command_line = line.to_string();
                }
                "initrd" => {
                    has_initrd = true;
                    kernel.initrd = Some(copy(bytes).into());
                }
                "hda" => {
                    config.ide[0] = IdeSlot::Disk;
                    drives.ide[0] = Some(alloc::boxed::Box::new(MemoryDisk::new(bytes, false)));
                }
                "cdrom" => {
                    config.ide[2] = IdeSlot::Cdrom;
                    drives.ide[2] = Some(alloc::boxed::Box::new(MemoryDisk::new(bytes, true)));
                }
                _ => state = Some(&*bytes),
            }
        }
        if has_initrd && !has_kernel {
            return Err("there is an initrd but no kernel among the modules".to_string());
        }
        config.kernel = has_kernel.then_some(kernel);
        Ok(Self { config, drives, recompile, serial, mac, state })
    }
}
