//! The ACPI tables as the reference compiler's disassembler sees them. Skipped, with a word on standard
//! error, where `iasl` (package acpica-tools) is not installed.
#![allow(missing_docs)]

use nomad86::config::{Card, CardModel, Config, CpuModel};
use nomad86::firmware;
use nomad86::memory::{GuestMemory, Memory};
use nomad86::net::MacAddress;
use std::path::Path;
use std::process::Command;

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The tables that a machine without a BIOS has in its ROM, by signature.
fn tables(config: &Config) -> Vec<(String, Vec<u8>)> {
    let block = GuestMemory::allocate((2 << 20) + (1 << 20) + (256 << 10)).unwrap();
    let mut memory = Memory::new(block, 2 << 20, 1 << 20, 256 << 10).unwrap();
    firmware::place(config, &mut memory);
    let rom = memory.rom_mut()[192 << 10..].to_vec();
    let table = |at: usize| {
        let at = at - 0xF_0000;
        let table = rom[at..at + word(&rom, at + 4)].to_vec();
        (String::from_utf8_lossy(&table[..4]).into_owned(), table)
    };
    let rsdt = table(word(&rom, 16));
    let mut all: Vec<_> = (36..rsdt.1.len()).step_by(4).map(|at| table(word(&rsdt.1, at))).collect();
    let dsdt = table(word(&all[0].1, 40));
    all.push(dsdt);
    all.push(rsdt);
    all
}

/// Disassembles a table and compiles it again.
fn check(folder: &Path, name: &str, table: &[u8]) -> String {
    let file = folder.join(format!("{name}.aml"));
    std::fs::write(&file, table).unwrap();
    let run = |args: &[&str], file: &Path| {
        let out = Command::new("iasl").args(args).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "iasl {args:?} {name}: {text}");
        text
    };
    let said = run(&["-d"], &file);
    assert!(!said.contains("Checksum") && !said.contains("Invalid"), "{name}: {said}");
    let source = folder.join(format!("{name}.dsl"));
    let said = run(&["-ve", "-p", folder.join("again").to_str().unwrap()], &source);
    assert!(said.contains("0 Errors"), "{name}: {said}");
    let text = std::fs::read_to_string(&source).unwrap();
    assert!(!text.contains("Unknown") && !text.contains("ERROR"), "{name}: {text}");
    text
}

#[test]
fn the_reference_compiler_understands_every_table() {
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("SKIPPED: iasl is not installed (package acpica-tools)");
        return;
    }
    let folder = std::env::temp_dir().join(format!("nomad86-acpi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let card =
        Card { model: CardModel::Ne2kIsa { base: 0x300, irq: 9 }, mac: MacAddress([0x52, 0x54, 0, 1, 2, 3]) };
    for (n, cpu) in [CpuModel::Pentium4, CpuModel::I486].into_iter().enumerate() {
        let config = Config { cpu, cards: vec![card], memory: 128 << 20, ..Config::default() };
        let mut seen = Vec::new();
        for (name, table) in tables(&config) {
            let text = check(&folder, &format!("{name}{n}").to_lowercase(), &table);
            if name == "DSDT" {
                for part in ["Device (PCI0)", "_PRT", "Device (LNKA)", "_S5", "PNP0501", "PNP80D6", "_EJ0"] {
                    assert!(text.contains(part), "{part} is missing in {text}");
                }
            }
            seen.push(name);
        }
        assert_eq!(seen.contains(&"APIC".into()), cpu != CpuModel::I486);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
