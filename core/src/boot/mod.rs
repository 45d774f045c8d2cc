//! Starting kernels without a boot disk.
//!
//! A kernel is taken apart once (`Plan`). With a BIOS, an option ROM of ours (`rom`) loads the parts
//! through fw_cfg when the BIOS boots it. Without one, [`place`] writes them to memory and says with which
//! registers the CPU begins.
//!
//! Spec: Linux, Documentation/arch/x86/boot.rst; Multiboot Specification 0.6.96.
//! Not emulated: multiboot 2, PVH.

mod linux;
mod multiboot;
mod rom;
#[cfg(test)]
mod tests;

use crate::bytes::Bytes;
use crate::config::{Config, ConfigError, Kernel};
use crate::firmware;
use crate::memory::Memory;
use alloc::vec::Vec;
use linux::Linux;
use multiboot::Multiboot;
use rom::{Load, Parameters};

/// Bytes and where they go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// Physical address.
    pub(crate) at: u32,
    /// Contents.
    pub(crate) data: Bytes,
}

/// A kernel taken apart.
pub(crate) enum Plan {
    /// By the Linux boot protocol.
    Linux(Linux),
    /// By multiboot 1.
    Multiboot(Multiboot),
}

/// How the CPU begins: in protected mode without paging, interrupts off, flat segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Instruction pointer.
    pub eip: u32,
    /// Stack pointer.
    pub esp: u32,
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ESI.
    pub esi: u32,
    /// Selector of the flat code segment.
    pub cs: u16,
    /// Selector of the flat data segment, for the other five.
    pub ds: u16,
    /// Address of the global descriptor table.
    pub gdt: u32,
    /// Its limit.
    pub gdt_limit: u16,
}

const fn error(why: &'static str) -> ConfigError {
    ConfigError::Kernel(why)
}

impl Plan {
    fn new(kernel: &Kernel, ram: usize) -> Result<Self, ConfigError> {
        if kernel.image.is_empty() {
            return Err(error("the file is empty"));
        }
        if linux::is_linux(&kernel.image) {
            if !kernel.modules.is_empty() {
                return Err(error("Linux takes an initial RAM disk, not multiboot modules"));
            }
            return linux::plan(kernel, ram).map(Self::Linux);
        }
        if multiboot::find_header(&kernel.image).is_some() {
            return multiboot::plan(kernel, ram).map(Self::Multiboot);
        }
        Err(error("it is neither a Linux kernel (bzImage) nor a multiboot-1 kernel"))
    }
}

/// Checks that the configuration's kernel, if there is one, can be started.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    match &config.kernel {
        Some(kernel) => Plan::new(kernel, config.memory).map(|_| ()),
        None => Ok(()),
    }
}

/// fw_cfg's numbers of the items that hold a kernel.
pub(crate) mod item {
    pub(crate) const KERNEL_ADDR: u16 = 0x07;
    pub(crate) const KERNEL_SIZE: u16 = 0x08;
    pub(crate) const INITRD_ADDR: u16 = 0x0A;
    pub(crate) const INITRD_SIZE: u16 = 0x0B;
    pub(crate) const KERNEL_ENTRY: u16 = 0x10;
    pub(crate) const KERNEL_DATA: u16 = 0x11;
    pub(crate) const INITRD_DATA: u16 = 0x12;
    pub(crate) const CMDLINE_ADDR: u16 = 0x13;
    pub(crate) const CMDLINE_SIZE: u16 = 0x14;
    pub(crate) const CMDLINE_DATA: u16 = 0x15;
    pub(crate) const SETUP_ADDR: u16 = 0x16;
    pub(crate) const SETUP_SIZE: u16 = 0x17;
    pub(crate) const SETUP_DATA: u16 = 0x18;
    /// No item: reads as zeros.
    pub(crate) const NOTHING: u16 = 0x7FFF;
}

/// What fw_cfg offers for a kernel.
#[derive(Default)]
pub(crate) struct Offer {
    /// Numbered items.
    pub(crate) items: Vec<(u16, Bytes)>,
    /// The option ROM that loads them.
    pub(crate) rom: Vec<u8>,
}

impl Offer {
    /// Adds address, size and contents of a part.
    fn part(&mut self, keys: [u16; 3], at: u32, data: Bytes) {
        self.number(keys[0], at);
        self.number(keys[1], data.len() as u32);
        self.items.push((keys[2], data));
    }

    /// Adds a number.
    fn number(&mut self, key: u16, value: u32) {
        self.items.push((key, value.to_le_bytes().to_vec().into()));
    }
}

const SETUP_KEYS: [u16; 3] = [item::SETUP_ADDR, item::SETUP_SIZE, item::SETUP_DATA];
const KERNEL_KEYS: [u16; 3] = [item::KERNEL_ADDR, item::KERNEL_SIZE, item::KERNEL_DATA];
const INITRD_KEYS: [u16; 3] = [item::INITRD_ADDR, item::INITRD_SIZE, item::INITRD_DATA];
const CMDLINE_KEYS: [u16; 3] = [item::CMDLINE_ADDR, item::CMDLINE_SIZE, item::CMDLINE_DATA];

/// The items and the ROM for the configuration's kernel; nothing if there is none or it cannot be started.
pub(crate) fn offer(config: &Config) -> Option<Offer> {
    let plan = Plan::new(config.kernel.as_ref()?, config.memory).ok()?;
    Some(match plan {
        Plan::Linux(plan) => offer_linux(plan),
        Plan::Multiboot(plan) => offer_multiboot(plan),
    })
}

fn offer_linux(plan: Linux) -> Offer {
    let mut offer = Offer::default();
    let mut parameters =
        Parameters { segment: (linux::SETUP >> 4) as u16, stack: linux::STACK, ..Parameters::default() };
    let parts = [
        (SETUP_KEYS, Some(plan.setup)),
        (KERNEL_KEYS, Some(plan.kernel)),
        (INITRD_KEYS, plan.initrd),
        (CMDLINE_KEYS, Some(plan.command_line)),
    ];
    for (keys, part) in parts {
        let Part { at, data } = part.unwrap_or_default();
        if !data.is_empty() {
            parameters.loads.push(Load { at, len: data.len() as u32, key: Some(keys[2]) });
        }
        offer.part(keys, at, data);
    }
    offer.number(item::KERNEL_ENTRY, linux::KERNEL);
    offer.rom = rom::image(&parameters);
    offer
}

/// Appends parts to one item and to the load list.
fn gather(mut parts: Vec<Part>, key: u16, loads: &mut Vec<Load>) -> Bytes {
    parts.retain(|part| !part.data.is_empty());
    let keys = [Some(key)].into_iter().chain(core::iter::repeat(None));
    loads.extend(parts.iter().zip(keys).map(|(part, key)| Load {
        at: part.at,
        len: part.data.len() as u32,
        key,
    }));
    match &parts[..] {
        [one] => one.data.clone(),
        parts => parts.iter().flat_map(|part| part.data.iter().copied()).collect::<Vec<_>>().into(),
    }
}

fn offer_multiboot(plan: Multiboot) -> Offer {
    let mut offer = Offer::default();
    let mut loads = Vec::new();
    // Zeros first: a segment may begin where another's zeros end, on the same page but never inside them.
    for (at, len) in plan.zeros {
        loads.push(Load { at, len, key: Some(item::NOTHING) });
    }
    let kernel_at = plan.segments.iter().map(|p| p.at).min().unwrap_or(0);
    let kernel = gather(plan.segments, item::KERNEL_DATA, &mut loads);
    offer.part(KERNEL_KEYS, kernel_at, kernel);
    let modules_at = plan.modules.first().map_or(0, |p| p.at);
    let modules = gather(plan.modules, item::INITRD_DATA, &mut loads);
    offer.part(INITRD_KEYS, modules_at, modules);
    loads.push(Load { at: plan.info.at, len: plan.info.data.len() as u32, key: Some(item::SETUP_DATA) });
    let segment = (plan.info.at >> 4) as u16;
    offer.part(SETUP_KEYS, plan.info.at, plan.info.data);
    offer.number(item::KERNEL_ENTRY, plan.entry);
    offer.rom = rom::image(&Parameters { entry: plan.entry, segment, stack: 0, loads });
    offer
}

/// Where the descriptor table lies for a Linux kernel that is started without a BIOS, and the stack.
const GDT: u32 = 0x8000;
const STACK: u32 = 0x7C00;
/// Null, nothing, flat code at 10, flat data at 18: what the Linux boot protocol asks for.
const LINUX_GDT: [u64; 4] = [0, 0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF];

/// Loads the configuration's kernel into memory as a boot loader does, for a machine without a BIOS, and
/// says how the CPU begins. ROM, tables and PCI are set up by [`crate::firmware`].
///
/// # Errors
/// When there is no kernel or it cannot be started.
pub fn place(config: &Config, memory: &mut Memory) -> Result<Entry, ConfigError> {
    let kernel = config.kernel.as_ref().ok_or(ConfigError::NothingToBoot)?;
    let map = firmware::memory_map(config.memory);
    firmware::place_data_areas(memory);
    match Plan::new(kernel, config.memory)? {
        Plan::Linux(plan) => {
            let rsdp = if config.firmware_tables { firmware::rsdp_address() } else { 0 };
            let parameters = plan.boot_parameters(&map, rsdp);
            memory.write(u64::from(linux::SETUP), &parameters);
            for part in [Some(plan.kernel), plan.initrd, Some(plan.command_line)].into_iter().flatten() {
                memory.write(u64::from(part.at), &part.data);
            }
            for (n, descriptor) in LINUX_GDT.iter().enumerate() {
                memory.write(u64::from(GDT) + 8 * n as u64, &descriptor.to_le_bytes());
            }
            Ok(Entry {
                eip: linux::KERNEL,
                esp: STACK,
                eax: 0,
                ebx: 0,
                esi: linux::SETUP,
                cs: 0x10,
                ds: 0x18,
                gdt: GDT,
                gdt_limit: 8 * LINUX_GDT.len() as u16 - 1,
            })
        }
        Plan::Multiboot(mut plan) => {
            plan.set_map(&map);
            for (at, len) in plan.zeros {
                zero(memory, at, len);
            }
            let info = plan.info.at;
            for part in plan.segments.into_iter().chain(plan.modules).chain([plan.info]) {
                memory.write(u64::from(part.at), &part.data);
            }
            Ok(Entry {
                eip: plan.entry,
                esp: STACK,
                eax: 0x2BAD_B002,
                ebx: info,
                esi: 0,
                cs: 0x08,
                ds: 0x10,
                gdt: info + multiboot::info::GDT as u32,
                gdt_limit: 23,
            })
        }
    }
}

fn zero(memory: &mut Memory, at: u32, len: u32) {
    let zeros = [0; 4096];
    let end = u64::from(at) + u64::from(len);
    let mut at = u64::from(at);
    while at < end {
        let n = (end - at).min(zeros.len() as u64);
        memory.write(at, &zeros[..n as usize]);
        at += n;
    }
}
