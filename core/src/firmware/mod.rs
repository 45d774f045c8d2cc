//! Firmware: where BIOS images lie, the tables that describe the machine, and what a machine without a
//! BIOS needs done in its place.
//!
//! Spec: ACPI, SMBIOS and E820 in the files below; PCI set-up as a BIOS does it: PCI 2.2, 6.2.5.
//! Not emulated: without a BIOS there are no BIOS services, so only kernels that need none can start.

pub(crate) mod acpi;
mod aml;
mod pci;
pub(crate) mod smbios;

use crate::config::Config;
use crate::memory::{Memory, Target};
use acpi::AcpiTables;
use alloc::vec::Vec;
pub use pci::{PORT_WRITES, set_up_pci};

/// Kinds of memory, as E820 numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum E820 {
    /// Free for the system.
    Ram = 1,
    /// Not to be used.
    Reserved = 2,
}

/// A range of memory as told to a kernel.
pub type E820Entry = (u64, u64, E820);

/// First byte of the extended BIOS data area when there is no BIOS that makes one.
pub const EBDA: u32 = 0x9_FC00;
/// Where the tables lie when there is no BIOS.
const TABLES: u32 = 0xF_0000;
/// Bytes there.
const TABLES_SIZE: usize = 0x1_0000;
/// The FACS is written to: when there is no BIOS it lies in the extended BIOS data area.
const FACS: u32 = EBDA + 0x100;

/// The memory map for a kernel that is started without a BIOS.
#[must_use]
pub fn memory_map(ram: usize) -> Vec<E820Entry> {
    let mut map = alloc::vec![
        (0, u64::from(EBDA), E820::Ram),
        (u64::from(EBDA), 0xA_0000 - u64::from(EBDA), E820::Reserved),
        (u64::from(TABLES), 0x1_0000, E820::Reserved),
    ];
    if ram > 0x10_0000 {
        map.push((0x10_0000, ram as u64 - 0x10_0000, E820::Ram));
    }
    map.push((0xFFFC_0000, 0x4_0000, E820::Reserved));
    map
}

/// The memory map for firmware (`etc/e820`), which takes its own parts out of it.
pub(crate) fn e820_file(ram: usize) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0_u64.to_le_bytes());
    file.extend((ram as u64).to_le_bytes());
    file.extend((E820::Ram as u32).to_le_bytes());
    file
}

/// Places the BIOS image: at the top of 4 GiB, and its last 128 KiB under 1 MiB, where the host bridge
/// shows them until they are shadowed. Without an image the tables lie there instead.
pub fn place(config: &Config, memory: &mut Memory) {
    let range = memory.rom_range();
    let len = range.len();
    let rom = memory.rom_mut();
    rom.fill(0xFF);
    if config.bios.is_empty() {
        if config.firmware_tables && len >= TABLES_SIZE {
            place_tables(config, memory);
        }
    } else if let Some(at) = len.checked_sub(config.bios.len()) {
        rom[at..].copy_from_slice(&config.bios);
    }
    memory.map(0x1_0000_0000 - len as u64, len as u64, Target::Rom(range.start));
}

/// Puts the tables into the last 64 KiB of ROM, which show at F0000, root pointers first.
fn place_tables(config: &Config, memory: &mut Memory) {
    let acpi = AcpiTables::new(config);
    let (structures, mut entry) = smbios::tables(config);
    let (rsdp_at, entry_at, smbios_at) = (0, 0x40, 0x100);
    let tables_at = (smbios_at + structures.len()).next_multiple_of(64);
    let (mut tables, rsdp) = acpi.place(TABLES + tables_at as u32);
    acpi::move_facs(&mut tables, FACS);
    smbios::finish_entry(&mut entry, TABLES + smbios_at as u32);
    let base = memory.rom_range().len() - TABLES_SIZE;
    let rom = &mut memory.rom_mut()[base..];
    for (at, bytes) in [(rsdp_at, &rsdp), (entry_at, &entry), (smbios_at, &structures), (tables_at, &tables)]
    {
        if let Some(to) = rom.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }
}

/// What a BIOS leaves in low memory that kernels look at: the BIOS data area, and the FACS.
pub(crate) fn place_data_areas(memory: &mut Memory) {
    let bda: [(u64, u16); 10] = [
        (0x400, 0x3F8),
        (0x402, 0x2F8),
        (0x404, 0x3E8),
        (0x406, 0x2E8),
        (0x40E, (EBDA >> 4) as u16),
        (0x413, (EBDA >> 10) as u16),
        (0x449, 0x03),
        (0x44A, 80),
        (0x463, 0x3D4),
        (0x484, 24),
    ];
    for (at, value) in bda {
        memory.write(at, &value.to_le_bytes());
    }
    memory.write(u64::from(EBDA), &[1]);
    let mut facs = [0; 64];
    facs[..8].copy_from_slice(b"FACS\x40\0\0\0");
    memory.write(u64::from(FACS), &facs);
}

/// Physical address of the ACPI root pointer when there is no BIOS.
#[must_use]
pub const fn rsdp_address() -> u32 {
    TABLES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::testing;
    use crate::devices::{Bus, Device, pci::PciHost};
    use crate::host::Host;

    #[test]
    fn bios_images_of_every_size_end_at_4_gib_and_at_1_mib() {
        for size in [64, 128, 256] {
            let mut bios = alloc::vec![0x11_u8; size << 10];
            *bios.last_mut().unwrap() = 0x99;
            bios[0] = 0x77;
            let config = Config { bios, video_memory: 1 << 20, ..Config::default() };
            let mut board = testing::board(&config);
            let mut host = Host::null();
            PciHost::new(&config).reset(&mut Bus { board: &mut board, host: &mut host });
            place(&config, &mut board.memory);
            let mut byte = [0];
            for top in [0x10_0000, 0x1_0000_0000] {
                assert!(board.memory.read(top - 1, &mut byte));
                assert_eq!(byte, [0x99]);
            }
            assert!(board.memory.read(0x1_0000_0000 - (size << 10) as u64, &mut byte));
            assert_eq!(byte, [0x77]);
            assert!(board.memory.read(0xE_0000, &mut byte));
            assert_eq!(byte, [[0xFF, 0x77, 0x11][size / 128]]);
        }
    }

    #[test]
    fn without_a_bios_the_root_pointers_are_found_by_scanning() {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut board = testing::board(&config);
        let mut host = Host::null();
        PciHost::new(&config).reset(&mut Bus { board: &mut board, host: &mut host });
        place(&config, &mut board.memory);
        let mut found = 0;
        for at in (0xF_0000..0x10_0000).step_by(16) {
            let mut mark = [0; 8];
            assert!(board.memory.read(at, &mut mark));
            if mark == *b"RSD PTR " {
                let mut rsdp = [0; 20];
                assert!(board.memory.read(at, &mut rsdp));
                assert_eq!(rsdp.iter().fold(0_u8, |s, b| s.wrapping_add(*b)), 0);
                assert_eq!(at, u64::from(rsdp_address()));
                found |= 1;
            }
            found |= if mark[..4] == *b"_SM_" { 2 } else { 0 };
        }
        assert_eq!(found, 3);
    }
}
