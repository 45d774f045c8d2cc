//! ACPI tables: RSDP, RSDT, FADT, FACS, MADT and a DSDT that describes this machine.
//!
//! They are made once as two files with linker commands. Firmware that knows QEMU's loader interface places
//! them itself; without firmware [`AcpiTables::place`] does what the commands say.
//!
//! Spec: ACPI 2.0 (tables of revision 1 where older systems expect them); QEMU, BIOS linker/loader.
//! Not emulated: HPET, SRAT, sleep states other than S5.

use super::aml::{self, Access, Aml, Range, Space};
use crate::config::{CardModel, Config, CpuModel};
use crate::devices::acpi::{ACPI_DISABLE, ACPI_ENABLE, GPE_BASE, HOTPLUG_BASE, PM_BASE, SCI, SMBUS_BASE};
use crate::devices::apic::{IOAPIC_BASE, LOCAL_BASE};
use alloc::vec::Vec;

/// File of the tables.
pub(crate) const TABLES_FILE: &str = "etc/acpi/tables";
/// File of the root pointer.
pub(crate) const RSDP_FILE: &str = "etc/acpi/rsdp";

/// Ports for the reset register and its value.
const RESET_PORT: u16 = 0xCF9;
const RESET_VALUE: u8 = 6;
/// The slots that cards can be plugged into.
const HOTPLUG_SLOTS: core::ops::Range<u8> = 3..32;

/// The tables, not placed yet.
pub(crate) struct AcpiTables {
    /// All tables but the root pointer; pointers are offsets in this file.
    pub(crate) tables: Vec<u8>,
    /// The root pointer.
    pub(crate) rsdp: Vec<u8>,
    /// Linker commands.
    pub(crate) loader: Vec<u8>,
}

/// Linker command: allocate a file.
const ALLOCATE: u32 = 1;
/// Linker command: add the address of a file to a pointer.
const ADD_POINTER: u32 = 2;
/// Linker command: compute a checksum.
const ADD_CHECKSUM: u32 = 3;
/// Bytes of a linker command.
const COMMAND: usize = 128;
/// Bytes of a file name in a linker command.
const NAME: usize = 56;

/// Linker commands being written.
#[derive(Default)]
struct Linker {
    bytes: Vec<u8>,
}

impl Linker {
    fn command(&mut self, code: u32, names: &[&str], rest: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend(code.to_le_bytes());
        for name in names {
            let at = self.bytes.len();
            self.bytes.extend(name.as_bytes());
            self.bytes.resize(at + NAME, 0);
        }
        self.bytes.extend(rest);
        self.bytes.resize(start + COMMAND, 0);
    }

    fn allocate(&mut self, file: &str, align: u32, low: bool) {
        let mut rest = align.to_le_bytes().to_vec();
        rest.push(if low { 2 } else { 1 });
        self.command(ALLOCATE, &[file], &rest);
    }

    fn pointer(&mut self, file: &str, offset: usize) {
        let mut rest = (offset as u32).to_le_bytes().to_vec();
        rest.push(4);
        self.command(ADD_POINTER, &[file, TABLES_FILE], &rest);
    }

    fn checksum(&mut self, file: &str, at: usize, start: usize, len: usize) {
        let rest: Vec<u8> = [at, start, len].iter().flat_map(|&n| (n as u32).to_le_bytes()).collect();
        self.command(ADD_CHECKSUM, &[file], &rest);
    }
}

/// Adds a table with its header to `tables`; gives its offset. Its checksum is left to the linker.
fn table(tables: &mut Vec<u8>, linker: &mut Linker, name: [u8; 4], revision: u8, body: &[u8]) -> usize {
    let start = tables.len();
    let len = 36 + body.len();
    tables.extend(name);
    tables.extend((len as u32).to_le_bytes());
    tables.extend([revision, 0]);
    tables.extend(b"NOMAD8NOMADPC ");
    tables.extend(1_u32.to_le_bytes());
    tables.extend(b"NM86");
    tables.extend(1_u32.to_le_bytes());
    tables.extend(body);
    linker.checksum(TABLES_FILE, start + 9, start, len);
    start
}

impl AcpiTables {
    /// Describes the machine of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let mut linker = Linker::default();
        let mut tables = Vec::new();
        linker.allocate(RSDP_FILE, 16, true);
        linker.allocate(TABLES_FILE, 64, false);
        // The FACS first: it is aligned to 64 bytes and has no checksum.
        tables.extend(b"FACS");
        tables.extend(64_u32.to_le_bytes());
        tables.resize(64, 0);
        let dsdt = table(&mut tables, &mut linker, *b"DSDT", 1, &dsdt(config));
        let mut pointers = Vec::new();
        let fadt = table(&mut tables, &mut linker, *b"FACP", 3, &fadt(dsdt));
        pointers.push(fadt);
        linker.pointer(TABLES_FILE, fadt + 36);
        linker.pointer(TABLES_FILE, fadt + 40);
        if config.cpu != CpuModel::I486 {
            pointers.push(table(&mut tables, &mut linker, *b"APIC", 1, &madt()));
        }
        let body: Vec<u8> = pointers.iter().flat_map(|&p| (p as u32).to_le_bytes()).collect();
        let rsdt = table(&mut tables, &mut linker, *b"RSDT", 1, &body);
        for n in 0..pointers.len() {
            linker.pointer(TABLES_FILE, rsdt + 36 + 4 * n);
        }
        let mut rsdp = b"RSD PTR \0NOMAD8\0".to_vec();
        rsdp.extend((rsdt as u32).to_le_bytes());
        linker.pointer(RSDP_FILE, 16);
        linker.checksum(RSDP_FILE, 8, 0, 20);
        // Checksums are right only after the pointers: they come last.
        let (sums, mut loader): (Vec<_>, Vec<_>) =
            linker.bytes.chunks(COMMAND).partition(|c| c[0] == ADD_CHECKSUM as u8);
        loader.extend(sums);
        let loader = loader.concat();
        Self { tables, rsdp, loader }
    }

    /// The tables and the root pointer as they are once the tables are at `address`.
    pub(crate) fn place(&self, address: u32) -> (Vec<u8>, Vec<u8>) {
        let mut tables = self.tables.clone();
        let mut rsdp = self.rsdp.clone();
        for command in self.loader.chunks(COMMAND) {
            let is_rsdp = command[4..].starts_with(RSDP_FILE.as_bytes());
            let file = if is_rsdp { &mut rsdp } else { &mut tables };
            let number = |at: usize| -> [u8; 4] { core::array::from_fn(|n| command[at + n]) };
            let word = |at: usize| u32::from_le_bytes(number(at)) as usize;
            match word(0) as u32 {
                ADD_POINTER => {
                    let at = word(4 + 2 * NAME);
                    if let Some(field) = file.get_mut(at..at + 4) {
                        let old: [u8; 4] = core::array::from_fn(|n| field[n]);
                        field.copy_from_slice(&(u32::from_le_bytes(old) + address).to_le_bytes());
                    }
                }
                ADD_CHECKSUM => {
                    let (at, start, len) = (word(60), word(64), word(68));
                    let sum = file[start..start + len].iter().fold(0_u8, |s, b| s.wrapping_add(*b));
                    file[at] = file[at].wrapping_sub(sum);
                }
                _ => {}
            }
        }
        (tables, rsdp)
    }
}

/// Makes the FADT of placed tables point to a FACS elsewhere: the tables lie in ROM then.
pub(crate) fn move_facs(tables: &mut [u8], facs: u32) {
    let Some(at) = tables.windows(4).position(|w| w == b"FACP") else { return };
    tables[at + 36..at + 40].copy_from_slice(&facs.to_le_bytes());
    tables[at + 9] = 0;
    let sum = tables[at..at + 36 + FADT_BODY].iter().fold(0_u8, |s, b| s.wrapping_add(*b));
    tables[at + 9] = 0_u8.wrapping_sub(sum);
}

/// Bytes of the FADT after its header.
const FADT_BODY: usize = 244 - 36;

/// A register block in I/O space, as a generic address.
fn generic_io(port: u16, bits: u8) -> [u8; 12] {
    let mut g = [0; 12];
    g[..2].copy_from_slice(&[1, bits]);
    g[4..6].copy_from_slice(&port.to_le_bytes());
    g
}

/// The FADT after its header.
fn fadt(dsdt: usize) -> Vec<u8> {
    let mut f = alloc::vec![0_u8; FADT_BODY];
    let mut put = |offset: usize, bytes: &[u8]| f[offset - 36..][..bytes.len()].copy_from_slice(bytes);
    put(40, &(dsdt as u32).to_le_bytes());
    // Dual-8259 machine, desktop.
    put(44, &[1, 1]);
    put(46, &u16::from(SCI).to_le_bytes());
    put(48, &0xB2_u32.to_le_bytes());
    put(52, &[ACPI_ENABLE, ACPI_DISABLE, 0, 0]);
    put(56, &u32::from(PM_BASE).to_le_bytes());
    put(64, &u32::from(PM_BASE + 4).to_le_bytes());
    put(76, &u32::from(PM_BASE + 8).to_le_bytes());
    put(80, &u32::from(GPE_BASE).to_le_bytes());
    // Lengths of the event, control, timer and general-purpose event blocks.
    put(88, &[4, 2, 0, 4, 4, 0, 0, 0]);
    // C2 and C3 are slower than anything: not there.
    put(96, &0x0FFF_u16.to_le_bytes());
    put(98, &0x0FFF_u16.to_le_bytes());
    // The century is in CMOS byte 32.
    put(108, &[0x32]);
    // 8042 and ISA devices are there, VGA may be probed.
    put(109, &3_u16.to_le_bytes());
    // WBINVD works, C1 works, no sleep button, RTC wakes not from fixed hardware; reset register.
    put(112, &(1_u32 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 10).to_le_bytes());
    put(116, &generic_io(RESET_PORT, 8));
    put(128, &[RESET_VALUE]);
    put(148, &generic_io(PM_BASE, 32));
    put(172, &generic_io(PM_BASE + 4, 16));
    put(208, &generic_io(PM_BASE + 8, 32));
    put(220, &generic_io(GPE_BASE, 32));
    f
}

/// The MADT after its header: one CPU, one IOAPIC, and how ISA interrupts reach it.
fn madt() -> Vec<u8> {
    let mut m = Vec::new();
    m.extend((LOCAL_BASE as u32).to_le_bytes());
    // There is an 8259 pair as well.
    m.extend(1_u32.to_le_bytes());
    m.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    m.extend([1, 12, 0, 0]);
    m.extend((IOAPIC_BASE as u32).to_le_bytes());
    m.extend(0_u32.to_le_bytes());
    // The timer arrives at pin 2; PCI interrupts and the SCI are levels, active high.
    for (line, pin, flags) in
        [(0_u8, 2_u32, 0_u8), (5, 5, 0x0D), (9, 9, 0x0D), (10, 10, 0x0D), (11, 11, 0x0D)]
    {
        m.extend([2, 10, 0, line]);
        m.extend(pin.to_le_bytes());
        m.extend([flags, 0]);
    }
    // NMI at LINT1 of every CPU.
    m.extend([4, 6, 0xFF, 0, 0, 1]);
    m
}

/// The DSDT after its header.
fn dsdt(config: &Config) -> Vec<u8> {
    let mut a = Aml::new();
    a.scope("\\_SB", |a| {
        a.device("PCI0", |a| {
            a.hid("PNP0A03").name("_ADR").int(0).name("_UID").int(1);
            let hole = if config.memory > 0x8000_0000 { 0xC000_0000 } else { 0x8000_0000 };
            a.crs(&[
                &aml::word_range(Range::Bus, 0, 255),
                &aml::io(0xCF8, 8),
                &aml::word_range(Range::Io, 0, 0xCF7),
                &aml::word_range(Range::Io, 0xD00, 0xFFFF),
                &aml::dword_range(Range::Memory, 0xA_0000, 0xB_FFFF),
                &aml::dword_range(Range::Memory, hole, 0xFEBF_FFFF),
            ]);
            routing(a);
            a.device("ISA", |a| {
                a.name("_ADR").int(0x0001_0000);
                a.region("PIRQ", Space::PciConfig, 0x60, 4);
                a.fields("PIRQ", Access::Byte, &[("PRQ0", 8), ("PRQ1", 8), ("PRQ2", 8), ("PRQ3", 8)]);
                isa_devices(a, config);
            });
            hotplug(a);
        });
        for n in 0..4 {
            link(a, n);
        }
    });
    a.scope("\\_GPE", |a| {
        a.method("_E01", 0, |a| {
            a.path("\\_SB.PCI0.PCNT");
        });
    });
    a.name("\\_S5").package(4, |a| {
        a.int(0).int(0).int(0).int(0);
    });
    a.finish()
}

const LINKS: [&str; 4] = ["LNKA", "LNKB", "LNKC", "LNKD"];

/// `_PRT`: which link each pin of each slot is wired to.
fn routing(a: &mut Aml) {
    a.name("_PRT").package(31 * 4, |a| {
        for slot in 1..32_u32 {
            for pin in 0..4_u32 {
                a.package(4, |a| {
                    a.int(slot << 16 | 0xFFFF).int(pin);
                    a.path(LINKS[(slot + 3 + pin) as usize & 3]).int(0);
                });
            }
        }
    });
}

/// An interrupt link: one PIRQ register of the PIIX3.
fn link(a: &mut Aml, n: usize) {
    let register =
        ["\\_SB.PCI0.ISA.PRQ0", "\\_SB.PCI0.ISA.PRQ1", "\\_SB.PCI0.ISA.PRQ2", "\\_SB.PCI0.ISA.PRQ3"][n];
    a.device(LINKS[n], |a| {
        a.hid("PNP0C0F").name("_UID").int(n as u32);
        a.name("_PRS").resources(&[&aml::interrupts(&[5, 10, 11])]);
        a.method("_STA", 0, |a| {
            a.when(|a| {
                a.and().path(register).int(0x80).no_target();
                a.ret().int(9);
            });
            a.ret().int(11);
        });
        a.method("_DIS", 0, |a| {
            a.or().path(register).int(0x80).path(register);
        });
        a.method("_CRS", aml::SERIALIZED, |a| {
            a.name("BUF0").resources(&[&aml::interrupts(&[0])]);
            a.dword_field("BUF0", 5, "NUMB");
            a.when(|a| {
                a.and().path(register).int(0x80).no_target();
                a.store().int(0).path("NUMB");
            });
            a.otherwise(|a| {
                a.and().path(register).int(15).path("NUMB");
            });
            a.ret().path("BUF0");
        });
        a.method("_SRS", 1 | aml::SERIALIZED, |a| {
            // CreateDWordField on the argument, which has no name.
            a.raw(&[0x8A]).arg(0).int(5).path("NUMB");
            a.store().path("NUMB").path(register);
        });
    });
}

fn isa_devices(a: &mut Aml, config: &Config) {
    let mut device = |name: &str, id: &str, uid: Option<u32>, resources: &[&[u8]]| {
        a.device(name, |a| {
            a.hid(id);
            if let Some(uid) = uid {
                a.name("_UID").int(uid);
            }
            a.crs(resources);
        });
    };
    device("PIC", "PNP0000", None, &[&aml::io(0x20, 2), &aml::io(0xA0, 2), &aml::io(0x4D0, 2), &aml::irq(2)]);
    device(
        "DMAD",
        "PNP0200",
        None,
        &[&aml::io(0, 16), &aml::io(0x81, 15), &aml::io(0xC0, 32), &aml::dma(4, 0)],
    );
    device("TMR", "PNP0100", None, &[&aml::io(0x40, 4), &aml::irq(0)]);
    device("RTC", "PNP0B00", None, &[&aml::io(0x70, 2), &aml::irq(8)]);
    device("SPKR", "PNP0800", None, &[&aml::io(0x61, 1)]);
    device("FPU", "PNP0C04", None, &[&aml::io(0xF0, 16), &aml::irq(13)]);
    device("KBD", "PNP0303", None, &[&aml::io(0x60, 1), &aml::io(0x64, 1), &aml::irq(1)]);
    device("MOU", "PNP0F13", None, &[&aml::irq(12)]);
    if config.floppies > 0 {
        let ports = [aml::io(0x3F2, 4), aml::io(0x3F7, 1)];
        device("FDC0", "PNP0700", None, &[&ports[0], &ports[1], &aml::irq(6), &aml::dma(2, 0)]);
    }
    for (n, (port, line)) in [(0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3)].into_iter().enumerate() {
        let name = ["COM1", "COM2", "COM3", "COM4"][n];
        device(name, "PNP0501", Some(n as u32 + 1), &[&aml::io(port, 8), &aml::irq(line)]);
    }
    for (n, card) in config.cards.iter().enumerate() {
        if let CardModel::Ne2kIsa { base, irq } = card.model {
            let name = ["NET0", "NET1", "NET2", "NET3"][n & 3];
            device(name, "PNP80D6", Some(n as u32), &[&aml::io(base, 32), &aml::irq(irq & 15)]);
        }
    }
    // What no driver may take: the chipset's own registers.
    device(
        "MBRD",
        "PNP0C02",
        None,
        &[
            &aml::io(PM_BASE, 64),
            &aml::io(SMBUS_BASE, 16),
            &aml::io(GPE_BASE, 4),
            &aml::io(HOTPLUG_BASE, 24),
            &aml::io(0x92, 1),
            &aml::io(0xB2, 2),
            &aml::io(0x510, 12),
            &aml::fixed_memory(0xFFFC_0000, 0x4_0000),
        ],
    );
}

/// Three characters that name slot `n`.
fn slot_name(n: u8) -> [u8; 3] {
    let digit = |d: u8| if d < 10 { b'0' + d } else { b'A' + d - 10 };
    [b'S', digit(n >> 4), digit(n & 15)]
}

/// PCI hot plug: a device in each slot with its `_EJ0`, and the method that tells which came or is to go.
fn hotplug(a: &mut Aml) {
    a.region("PCST", Space::Io, u32::from(HOTPLUG_BASE), 0x14);
    a.fields("PCST", Access::Dword, &[("PCIU", 32), ("PCID", 32), ("B0EJ", 32), ("PCIR", 32), ("BNUM", 32)]);
    let mut names = Vec::new();
    for slot in HOTPLUG_SLOTS {
        let [s, h, l] = slot_name(slot);
        let name = [s, h, l, b'_'];
        names.push((slot, name));
        let name = core::str::from_utf8(&name).unwrap_or("S00_");
        a.device(name, |a| {
            a.name("_ADR").int(u32::from(slot) << 16).name("_SUN").int(u32::from(slot));
            a.method("_EJ0", 1, |a| {
                a.store().int(0).path("BNUM");
                a.store().int(1 << slot).path("B0EJ");
            });
        });
    }
    a.method("PCNT", 0, |a| {
        a.store().int(0).path("BNUM");
        // Reading what came clears it: once for all slots.
        a.raw(&[0x70]).path("PCIU").raw(&[0x60]);
        a.raw(&[0x70]).path("PCID").raw(&[0x61]);
        for (slot, name) in &names {
            let name = core::str::from_utf8(name).unwrap_or("S00_");
            for (local, event) in [(0x60, 1), (0x61, 3)] {
                a.when(|a| {
                    a.and().raw(&[local]).int(1 << slot).no_target();
                    a.notify(name, event);
                });
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |s, b| s.wrapping_add(*b))
    }

    fn word(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(core::array::from_fn(|n| bytes[at + n])) as usize
    }

    #[test]
    fn placed_tables_point_at_one_another_and_add_up() {
        const AT: usize = 0x7FE_0000;
        for cpu in [CpuModel::Pentium4, CpuModel::I486] {
            let made = AcpiTables::new(&Config { cpu, ..Config::default() });
            let (tables, rsdp) = made.place(AT as u32);
            assert_eq!(sum(&rsdp), 0);
            assert_eq!(rsdp.len(), 20);
            let rsdt = word(&rsdp, 16) - AT;
            assert_eq!(&tables[rsdt..rsdt + 4], b"RSDT");
            let len = word(&tables, rsdt + 4);
            assert_eq!(sum(&tables[rsdt..rsdt + len]), 0);
            let mut names = Vec::new();
            for at in (rsdt + 36..rsdt + len).step_by(4) {
                let table = word(&tables, at) - AT;
                assert_eq!(sum(&tables[table..table + word(&tables, table + 4)]), 0);
                names.push(tables[table..table + 4].to_vec());
                if &tables[table..table + 4] == b"FACP" {
                    assert_eq!(word(&tables, table + 4), 244);
                    let facs = word(&tables, table + 36) - AT;
                    assert_eq!(&tables[facs..facs + 4], b"FACS");
                    let dsdt = word(&tables, table + 40) - AT;
                    assert_eq!(&tables[dsdt..dsdt + 4], b"DSDT");
                    assert_eq!(sum(&tables[dsdt..dsdt + word(&tables, dsdt + 4)]), 0);
                }
            }
            let expected: &[&[u8]] = if cpu == CpuModel::I486 { &[b"FACP"] } else { &[b"FACP", b"APIC"] };
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn linker_commands_have_their_fixed_size_and_checksums_come_last() {
        let made = AcpiTables::new(&Config::default());
        assert_eq!(made.loader.len() % 128, 0);
        let codes: Vec<_> = made.loader.chunks(128).map(|c| c[0]).collect();
        assert!(codes.is_sorted(), "{codes:?}");
        assert_eq!(codes.iter().filter(|&&c| c == 1).count(), 2);
    }
}
