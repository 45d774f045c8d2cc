//! What fw_cfg holds: numbered items and named files.

use crate::boot;
use crate::bytes::Bytes;
use crate::config::{BootDevice, Config, IdeSlot};
use crate::devices::pci::Slot;
use crate::firmware::{acpi, e820_file, smbios};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Keys of items without a name.
mod key {
    pub(super) const SIGNATURE: u16 = 0x00;
    pub(super) const ID: u16 = 0x01;
    pub(super) const UUID: u16 = 0x02;
    pub(super) const RAM_SIZE: u16 = 0x03;
    pub(super) const NOGRAPHIC: u16 = 0x04;
    pub(super) const NB_CPUS: u16 = 0x05;
    pub(super) const NUMA: u16 = 0x0D;
    pub(super) const BOOT_MENU: u16 = 0x0E;
    pub(super) const MAX_CPUS: u16 = 0x0F;
    pub(super) const FILE_DIR: u16 = 0x19;
    pub(super) const FILE_FIRST: u16 = 0x20;
    pub(super) const ACPI_TABLES: u16 = 0x8000;
    pub(super) const SMBIOS_ENTRIES: u16 = 0x8001;
    pub(super) const IRQ0_OVERRIDE: u16 = 0x8002;
    pub(super) const E820_TABLE: u16 = 0x8003;
}

/// ID: the traditional interface, and DMA.
const FEATURES: u32 = 1 << 0 | 1 << 1;
/// Bytes of a file's name in the directory, with its final zero.
const NAME: usize = 56;

/// All items.
pub(super) struct Items {
    items: Vec<(u16, Bytes)>,
}

/// Files being gathered.
#[derive(Default)]
struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    fn add(&mut self, name: &str, data: impl Into<Vec<u8>>) {
        self.0.push((name.into(), data.into()));
    }
}

impl Items {
    /// Nothing at all.
    pub(super) const fn none() -> Self {
        Self { items: Vec::new() }
    }

    /// Everything that the firmware of this machine is told.
    pub(super) fn new(config: &Config) -> Self {
        let items: Vec<(u16, Vec<u8>)> = alloc::vec![
            (key::SIGNATURE, b"QEMU".to_vec()),
            (key::ID, FEATURES.to_le_bytes().to_vec()),
            (key::UUID, config.uuid.to_vec()),
            (key::RAM_SIZE, (config.memory as u64).to_le_bytes().to_vec()),
            (key::NOGRAPHIC, alloc::vec![0; 2]),
            (key::NB_CPUS, alloc::vec![1, 0]),
            (key::MAX_CPUS, alloc::vec![1, 0]),
            // No nodes; one CPU in node 0.
            (key::NUMA, alloc::vec![0; 16]),
            (key::BOOT_MENU, alloc::vec![0; 2]),
            // The files below take the place of these tables.
            (key::ACPI_TABLES, alloc::vec![0; 2]),
            (key::SMBIOS_ENTRIES, alloc::vec![0; 2]),
            (key::E820_TABLE, alloc::vec![0; 4]),
            // The timer's line 0 arrives at pin 2 of the IOAPIC.
            (key::IRQ0_OVERRIDE, alloc::vec![1]),
        ];
        let mut items: Vec<(u16, Bytes)> = items.into_iter().map(|(key, data)| (key, data.into())).collect();
        let mut files = Files::default();
        let tables = acpi::AcpiTables::new(config);
        files.add(acpi::RSDP_FILE, tables.rsdp);
        files.add(acpi::TABLES_FILE, tables.tables);
        files.add("etc/table-loader", tables.loader);
        let (structures, entry) = smbios::tables(config);
        files.add("etc/smbios/smbios-anchor", entry);
        files.add("etc/smbios/smbios-tables", structures);
        files.add("etc/e820", e820_file(config.memory));
        // S3 and S4 are not there; S5 always is.
        files.add("etc/system-states", [128, 0, 0, 1, 2, 128]);
        files.add("etc/boot-fail-wait", 5000_u32.to_le_bytes());
        let mut roms = Vec::new();
        // A ROM for PCI is found through the display adapter's expansion ROM; it must not run twice.
        if !config.vga_bios.is_empty() && !is_pci_rom(&config.vga_bios) {
            files.add("vgaroms/vgabios.bin", config.vga_bios.clone());
        }
        if let Some(offer) = boot::offer(config) {
            items.extend(offer.items);
            files.add(KERNEL_ROM, offer.rom);
            roms.push(format!("/rom@{KERNEL_ROM}"));
        }
        let mut order = roms.join("\n");
        for path in boot_order(config) {
            if !order.is_empty() {
                order.push('\n');
            }
            order.push_str(&path);
        }
        let mut order = order.into_bytes();
        order.push(0);
        files.add("bootorder", order);
        let mut directory = (files.0.len() as u32).to_be_bytes().to_vec();
        // Readers expect names in order.
        files.0.sort();
        for (n, (name, data)) in files.0.into_iter().enumerate() {
            let key = key::FILE_FIRST + n as u16;
            directory.extend((data.len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            let start = directory.len();
            directory.extend(name.bytes().take(NAME - 1));
            directory.resize(start + NAME, 0);
            items.push((key, data.into()));
        }
        items.push((key::FILE_DIR, directory.into()));
        items.sort_by_key(|item| item.0);
        Self { items }
    }

    /// An item's contents; empty if there is none.
    pub(super) fn get(&self, key: u16) -> &[u8] {
        match self.items.binary_search_by_key(&key, |item| item.0) {
            Ok(at) => &self.items[at].1,
            Err(_) => &[],
        }
    }
}

/// Whether an option ROM says that it is for a PCI device.
fn is_pci_rom(rom: &[u8]) -> bool {
    let at = match rom.get(0x18..0x1A) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => return false,
    };
    rom.get(at..at + 4) == Some(b"PCIR")
}

/// The option ROM that starts a kernel.
const KERNEL_ROM: &str = "genroms/kernel.bin";

/// Boot devices in order, as Open Firmware paths.
fn boot_order(config: &Config) -> Vec<String> {
    let default = [BootDevice::Disk, BootDevice::Floppy, BootDevice::Cdrom, BootDevice::Network];
    let wanted = if config.boot.is_empty() { &default[..] } else { &config.boot };
    let mut paths = Vec::new();
    for device in wanted {
        let drives = |slot: IdeSlot| {
            let named = config.ide.iter().enumerate().filter(move |(_, s)| **s == slot);
            named.map(|(n, _)| format!("/pci@i0cf8/ide@1,1/drive@{}/disk@{}", n / 2, n % 2))
        };
        match device {
            BootDevice::Floppy if config.floppies > 0 => {
                paths.push("/pci@i0cf8/isa@1/fdc@03f0/floppy@0".into());
            }
            BootDevice::Floppy => {}
            BootDevice::Disk => paths.extend(drives(IdeSlot::Disk)),
            BootDevice::Cdrom => paths.extend(drives(IdeSlot::Cdrom)),
            BootDevice::Network => {
                for n in 0..config.cards.len() as u8 {
                    let slot = Slot::network(n).device();
                    paths.push(format!("/pci@i0cf8/ethernet@{slot:x}/ethernet-phy@0"));
                }
            }
        }
    }
    paths
}
