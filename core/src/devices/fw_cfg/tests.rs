//! What firmware does with the interface.

use super::*;
use crate::config::{BootDevice, IdeSlot, Kernel};
use crate::devices::testing;
use crate::host::Host;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

struct Pc {
    board: Board,
    host: Host,
    fw: FwCfg,
}

fn config() -> Config {
    Config { video_memory: 1 << 20, bios: vec![0; 0x1_0000], vga_bios: vec![0x55; 1024], ..Config::default() }
}

impl Pc {
    fn new(config: &Config) -> Self {
        let mut pc = Self { board: testing::board(config), host: Host::null(), fw: FwCfg::new(config) };
        pc.fw.reset(&mut Bus { board: &mut pc.board, host: &mut pc.host });
        pc
    }

    fn out(&mut self, port: u16, width: Width, value: u32) {
        self.fw.write(port, width, value, &mut Bus { board: &mut self.board, host: &mut self.host });
    }

    fn inp(&mut self, port: u16, width: Width) -> u32 {
        self.fw.read(port, width, &mut Bus { board: &mut self.board, host: &mut self.host })
    }

    fn bytes(&mut self, key: u16, len: usize) -> Vec<u8> {
        self.out(SELECTOR, Width::Word, u32::from(key));
        (0..len).map(|_| self.inp(DATA, Width::Byte) as u8).collect()
    }

    /// Name, key and size of each file.
    fn directory(&mut self) -> Vec<(String, u16, usize)> {
        let count = u32::from_be_bytes(self.bytes(0x19, 4).try_into().unwrap()) as usize;
        let all = self.bytes(0x19, 4 + 64 * count);
        all[4..]
            .chunks(64)
            .map(|e| {
                let name = String::from_utf8_lossy(&e[8..]).trim_end_matches('\0').into();
                (
                    name,
                    u16::from_be_bytes([e[4], e[5]]),
                    u32::from_be_bytes([e[0], e[1], e[2], e[3]]) as usize,
                )
            })
            .collect()
    }

    fn file(&mut self, name: &str) -> Option<Vec<u8>> {
        let (_, key, len) = self.directory().into_iter().find(|f| f.0 == name)?;
        Some(self.bytes(key, len))
    }

    /// A transfer with its descriptor at 7E00: what is left of its control word.
    fn dma(&mut self, command: u32, len: u32, address: u64) -> u32 {
        let words = [command, len, (address >> 32) as u32, address as u32];
        let descriptor: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        self.board.memory.write(0x7E00, &descriptor);
        self.out(0x514, Width::Dword, 0);
        self.out(0x518, Width::Dword, 0x7E00_u32.swap_bytes());
        let mut result = [0; 4];
        assert!(self.board.memory.read(0x7E00, &mut result));
        u32::from_be_bytes(result)
    }
}

#[test]
fn firmware_recognises_the_interface() {
    let mut pc = Pc::new(&config());
    assert_eq!(pc.bytes(0, 4), b"QEMU");
    assert_eq!(pc.bytes(1, 4), [3, 0, 0, 0]);
    assert_eq!(pc.inp(0x514, Width::Dword), u32::from_le_bytes(*b"QEMU"));
    assert_eq!(pc.inp(0x518, Width::Dword), u32::from_le_bytes(*b" CFG"));
    assert_eq!(pc.bytes(3, 8), (128_u64 << 20).to_le_bytes());
    assert_eq!((pc.bytes(5, 2), pc.bytes(0x0F, 2)), (vec![1, 0], vec![1, 0]));
    assert_eq!(pc.bytes(0, 6), b"QEMU\0\0", "zeros after the end");
    assert_eq!(pc.bytes(0x1234, 2), [0, 0], "no such item");
}

#[test]
fn a_lone_test_bios_finds_nothing() {
    let mut pc = Pc::new(&Config { firmware_tables: false, ..config() });
    assert_eq!(pc.board.io.device(0x510), None);
    assert_eq!(pc.bytes(0, 4), [0; 4]);
}

#[test]
fn the_directory_names_what_seabios_reads() {
    let mut pc = Pc::new(&config());
    let names: Vec<_> = pc.directory().into_iter().map(|f| f.0).collect();
    for name in [
        "bootorder",
        "etc/acpi/rsdp",
        "etc/acpi/tables",
        "etc/e820",
        "etc/smbios/smbios-anchor",
        "etc/smbios/smbios-tables",
        "etc/system-states",
        "etc/table-loader",
        "vgaroms/vgabios.bin",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
    }
    assert!(names.is_sorted());
    assert_eq!(pc.file("vgaroms/vgabios.bin"), Some(vec![0x55; 1024]));
    let e820 = pc.file("etc/e820").unwrap();
    assert_eq!(e820.len(), 20);
    assert_eq!(e820[8..16], (128_u64 << 20).to_le_bytes());
}

#[test]
fn a_video_rom_for_pci_is_left_to_the_expansion_rom() {
    let mut config = config();
    config.vga_bios[0x18..0x1A].copy_from_slice(&[0x40, 0]);
    config.vga_bios[0x40..0x44].copy_from_slice(b"PCIR");
    assert_eq!(Pc::new(&config).file("vgaroms/vgabios.bin"), None);
}

#[test]
fn the_boot_order_lists_drives_by_their_place() {
    let mut config = config();
    config.ide = [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Disk];
    config.boot = vec![BootDevice::Cdrom, BootDevice::Disk, BootDevice::Floppy];
    let mut pc = Pc::new(&config);
    let order = String::from_utf8(pc.file("bootorder").unwrap()).unwrap();
    assert_eq!(
        order,
        "/pci@i0cf8/ide@1,1/drive@1/disk@0\n/pci@i0cf8/ide@1,1/drive@0/disk@0\n\
         /pci@i0cf8/ide@1,1/drive@1/disk@1\n/pci@i0cf8/isa@1/fdc@03f0/floppy@0\0"
    );
}

#[test]
fn dma_selects_reads_skips_and_goes_on() {
    let mut pc = Pc::new(&config());
    assert_eq!(pc.dma(0x000A, 4, 0x9000), 0);
    let mut bytes = [0; 4];
    assert!(pc.board.memory.read(0x9000, &mut bytes));
    assert_eq!(&bytes, b"QEMU");
    assert_eq!(pc.dma(0x0003_000C, 2, 0), 0);
    assert_eq!(pc.dma(2, 4, 0x9000), 0);
    assert!(pc.board.memory.read(0x9000, &mut bytes));
    assert_eq!(bytes, [0, 8, 0, 0]);
    pc.board.memory.write(0x9000, &[0xFF; 4]);
    assert_eq!(pc.dma(0x7FFF_000A, 3, 0x9000), 0);
    assert!(pc.board.memory.read(0x9000, &mut bytes));
    assert_eq!(bytes, [0, 0, 0, 0xFF], "an item that does not exist reads as zeros");
    assert_eq!(pc.dma(0x0000_0018, 4, 0x9000), 1, "nothing can be written");
}

#[test]
fn dma_anywhere_is_bounded_and_reports_errors() {
    let mut pc = Pc::new(&config());
    assert_eq!(pc.dma(0x000A, 0xFFFF_FFFF, 0x9000), 1);
    assert_eq!(pc.dma(0x000A, 1 << 20, 0xF_FFFF_FFFF_FFFF), 0, "beyond memory it is dropped");
    assert_eq!(pc.dma(0x000A, 16, 0xA_0000), 1, "not to devices");
    assert_eq!(pc.dma(0x000A, 0x1000, 0xFFFF_FFFF_FFFF_FF00), 0);
    for at in [0xA_0000_u32, 0xFFFF_FFFF, 0xFFFF_FFF8] {
        pc.out(0x514, Width::Dword, 0xFFFF_FFFF);
        pc.out(0x518, Width::Dword, at.swap_bytes());
    }
    for port in 0x510..=0x51B {
        for width in [Width::Byte, Width::Word, Width::Dword] {
            pc.inp(port, width);
            pc.out(port, width, 0xFFFF_FFFF);
        }
    }
}

#[test]
fn a_kernel_is_offered_in_items_and_first_in_the_boot_order() {
    let mut image = vec![0_u8; 3 * 512];
    image[0x1F1] = 1;
    image[0x1FE..0x202].copy_from_slice(&[0x55, 0xAA, 0xEB, 0x66]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&[3, 2]);
    image[0x211] = 1;
    image[0x22C..0x230].copy_from_slice(&0x37FF_FFFF_u32.to_le_bytes());
    let kernel = Kernel { image: image.into(), command_line: "quiet".into(), ..Kernel::default() };
    let mut pc = Pc::new(&Config { kernel: Some(kernel), ..config() });
    assert_eq!(pc.bytes(0x14, 4), [6, 0, 0, 0]);
    assert_eq!(pc.bytes(0x15, 6), b"quiet\0");
    assert_eq!(pc.bytes(0x07, 4), 0x10_0000_u32.to_le_bytes());
    assert_eq!(pc.bytes(0x08, 4), 512_u32.to_le_bytes());
    assert!(pc.file("bootorder").unwrap().starts_with(b"/rom@genroms/kernel.bin\n"));
    assert_eq!(pc.file("genroms/kernel.bin").unwrap()[..2], [0x55, 0xAA]);
}
