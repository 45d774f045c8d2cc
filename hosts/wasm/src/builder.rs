//! Options by name, as JavaScript sends them: numbers and texts as UTF-8, files as they are.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use nomad86::config::{BootDevice, Card, CardModel, ClockMode, Config, CpuModel, IdeSlot, Kernel};
use nomad86::net::MacAddress;

/// What machine is wanted.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) config: Config,
}

fn text<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, String> {
    core::str::from_utf8(value).map_err(|_| format!("{name}: the text is not UTF-8"))
}

fn number(name: &str, value: &[u8]) -> Result<u64, String> {
    let text = text(name, value)?;
    text.parse().map_err(|_| format!("{name}: '{text}' is not a whole number from 0 on"))
}

fn boot_order(order: &str) -> Result<Vec<BootDevice>, String> {
    let device = |letter| match letter {
        'a' => Ok(BootDevice::Floppy),
        'c' => Ok(BootDevice::Disk),
        'd' => Ok(BootDevice::Cdrom),
        'n' => Ok(BootDevice::Network),
        other => Err(format!(
            "boot_order: there is no '{other}'; a is the floppy disk, c the hard disk, d the CD, n the network"
        )),
    };
    order.chars().map(device).collect()
}

/// `MODEL,MAC` of a card.
fn card(value: &str) -> Result<Card, String> {
    let (model, mac) = value.split_once(',').unwrap_or((value, ""));
    let model = match model {
        "ne2k" | "ne2k_pci" => CardModel::Ne2kPci,
        "ne2k_isa" => CardModel::Ne2kIsa { base: 0x300, irq: 3 },
        other => {
            return Err(format!(
                "net_device.type: there is no card '{other}'; use ne2k_pci, ne2k_isa or none"
            ));
        }
    };
    let mac: MacAddress = mac
        .parse()
        .map_err(|_| format!("net_device.mac: '{mac}' is no address; write one as 02:00:00:00:00:01"))?;
    if !mac.is_unicast() {
        return Err(format!("net_device.mac: {mac} is no station's own address"));
    }
    Ok(Card { model, mac })
}

impl Builder {
    /// Sets one option.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        let config = &mut self.config;
        match name {
            "memory_size" => config.memory = size(name, value)?,
            "vga_memory_size" => config.video_memory = size(name, value)?,
            "bios" => config.bios = value.to_owned(),
            "vga_bios" => config.vga_bios = value.to_owned(),
            "bzimage" => kernel(config).image = value.to_owned().into(),
            "initrd" => kernel(config).initrd = Some(value.to_owned().into()),
            "cmdline" => kernel(config).command_line = text(name, value)?.to_owned(),
            "cpu" => {
                config.cpu = match text(name, value)? {
                    "486" => CpuModel::I486,
                    "pentium" => CpuModel::Pentium,
                    "pentium2" => CpuModel::P6,
                    "pentium4" => CpuModel::Pentium4,
                    "max" => CpuModel::Max,
                    other => {
                        return Err(format!(
                            "cpu: there is no '{other}'; use 486, pentium, pentium2, pentium4 or max"
                        ));
                    }
                }
            }
            "virtual_clock" => {
                let picoseconds = u32::try_from(number(name, value)?)
                    .map_err(|_| format!("{name}: give the picoseconds that an instruction takes"))?;
                config.clock = ClockMode::Virtual { picoseconds };
            }
            "boot_order" => config.boot = boot_order(text(name, value)?)?,
            "floppies" => config.floppies = number(name, value)?.min(2) as u8,
            "ide" => {
                for (slot, kind) in config.ide.iter_mut().zip(text(name, value)?.chars()) {
                    *slot = match kind {
                        'd' => IdeSlot::Disk,
                        'c' => IdeSlot::Cdrom,
                        _ => IdeSlot::Empty,
                    };
                }
            }
            "card" => config.cards.push(card(text(name, value)?)?),
            "uuid" => {
                let bytes = value.get(..16).and_then(|b| b.try_into().ok());
                config.uuid = bytes.ok_or_else(|| format!("{name}: give 16 bytes"))?;
            }
            "rtc_offset" => {
                let text = text(name, value)?;
                config.rtc_offset =
                    text.parse().map_err(|_| format!("{name}: '{text}' is no number of seconds"))?;
            }
            other => return Err(format!("there is no option '{other}'")),
        }
        Ok(())
    }
}

fn size(name: &str, value: &[u8]) -> Result<usize, String> {
    usize::try_from(number(name, value)?).map_err(|_| format!("{name}: WebAssembly has no more than 4 GiB"))
}

fn kernel(config: &mut Config) -> &mut Kernel {
    config.kernel.get_or_insert_default()
}
