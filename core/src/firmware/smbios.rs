//! SMBIOS tables: what the machine is called, its unique id, its memory.
//!
//! Spec: DMTF DSP0134, System Management BIOS 2.8.
//! Not emulated: slots, caches, sensors.

use crate::config::{Config, CpuModel};
use alloc::vec::Vec;

/// Structures being written.
#[derive(Default)]
struct Tables {
    bytes: Vec<u8>,
    count: u16,
    longest: usize,
}

impl Tables {
    /// Adds a structure: type, handle, what follows its header, and its strings.
    fn add(&mut self, kind: u8, handle: u16, body: &[u8], strings: &[&str]) {
        let start = self.bytes.len();
        self.bytes.extend([kind, body.len() as u8 + 4]);
        self.bytes.extend(handle.to_le_bytes());
        self.bytes.extend(body);
        for string in strings {
            self.bytes.extend(string.as_bytes());
            self.bytes.push(0);
        }
        if strings.is_empty() {
            self.bytes.push(0);
        }
        self.bytes.push(0);
        self.count += 1;
        self.longest = self.longest.max(self.bytes.len() - start);
    }
}

/// Kinds of processor: 486, Pentium, Pentium II, Pentium 4.
const fn family(cpu: CpuModel) -> u8 {
    match cpu {
        CpuModel::I486 => 0x06,
        CpuModel::Pentium => 0x0B,
        CpuModel::P6 => 0x11,
        CpuModel::Pentium4 | CpuModel::Max => 0xB2,
    }
}

const MAKER: &str = "nomad86";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The structures, and the entry point with the address of the structures left zero.
pub(crate) fn tables(config: &Config) -> (Vec<u8>, Vec<u8>) {
    let mut t = Tables::default();
    // BIOS: PCI, shadowing, boot from CD, selectable boot; ACPI, boot specification.
    let mut body = [0; 20];
    body[..2].copy_from_slice(&[1, 2]);
    body[2..4].copy_from_slice(&0xF000_u16.to_le_bytes());
    body[4] = 3;
    body[5] = 3;
    body[6..14].copy_from_slice(&(1_u64 << 7 | 1 << 12 | 1 << 15 | 1 << 16).to_le_bytes());
    body[14..20].copy_from_slice(&[1, 4, 0xFF, 0xFF, 0xFF, 0xFF]);
    t.add(0, 0, &body, &[MAKER, VERSION, "01/01/2025"]);

    let mut body = [0; 23];
    body[..4].copy_from_slice(&[1, 2, 3, 0]);
    // The first three fields of a UUID are little-endian here.
    let u = config.uuid;
    let uuid = [
        u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15],
    ];
    body[4..20].copy_from_slice(&uuid);
    // Woken by the power switch.
    body[20] = 6;
    t.add(1, 0x100, &body, &[MAKER, "Standard PC (i440FX + PIIX)", VERSION]);

    // A case of the type "other", everything safe.
    let mut body = [0; 17];
    body[..9].copy_from_slice(&[1, 1, 2, 0, 0, 3, 3, 3, 2]);
    t.add(3, 0x300, &body, &[MAKER, VERSION]);

    // One central processor, enabled, in a socket of the kind "other".
    let mut body = [0; 38];
    body[..4].copy_from_slice(&[1, 3, family(config.cpu), 2]);
    body[12] = 3;
    body[16..18].copy_from_slice(&2000_u16.to_le_bytes());
    body[18..20].copy_from_slice(&2000_u16.to_le_bytes());
    body[20] = 0x41;
    body[21] = 1;
    body[22..28].fill(0xFF);
    body[31..34].copy_from_slice(&[1, 1, 1]);
    body[34..36].copy_from_slice(&4_u16.to_le_bytes());
    body[36] = family(config.cpu);
    t.add(4, 0x400, &body, &["CPU 0", MAKER, VERSION]);

    // System memory on the board, without error correction.
    let kib = (config.memory >> 10) as u32;
    let mut body = [0; 19];
    body[..3].copy_from_slice(&[1, 3, 2]);
    body[3..7].copy_from_slice(&kib.to_le_bytes());
    body[7..9].copy_from_slice(&0xFFFE_u16.to_le_bytes());
    body[9] = 1;
    t.add(16, 0x1000, &body, &[]);

    let mut body = [0; 36];
    body[..2].copy_from_slice(&0x1000_u16.to_le_bytes());
    body[2..4].copy_from_slice(&0xFFFE_u16.to_le_bytes());
    body[4..8].fill(0xFF);
    body[8..10].copy_from_slice(&((config.memory >> 20) as u16).to_le_bytes());
    // A DIMM of the kind "RAM".
    body[10] = 9;
    body[12] = 1;
    body[14] = 7;
    body[15] = 2;
    body[19] = 2;
    t.add(17, 0x1100, &body, &["DIMM 0", MAKER]);

    let mut body = [0; 27];
    body[4..8].copy_from_slice(&(kib - 1).to_le_bytes());
    body[8..10].copy_from_slice(&0x1000_u16.to_le_bytes());
    body[10] = 1;
    t.add(19, 0x1300, &body, &[]);

    // Booted without errors.
    t.add(32, 0x2000, &[0; 7], &[]);
    t.add(127, 0x7F00, &[], &[]);

    let mut entry = b"_SM_\0\x1F\x02\x08".to_vec();
    entry.extend((t.longest as u16).to_le_bytes());
    entry.resize(16, 0);
    entry.extend(b"_DMI_\0");
    entry.extend((t.bytes.len() as u16).to_le_bytes());
    entry.extend(0_u32.to_le_bytes());
    entry.extend(t.count.to_le_bytes());
    entry.push(0x28);
    finish_entry(&mut entry, 0);
    (t.bytes, entry)
}

/// Sets the address of the structures in an entry point, and its two checksums.
pub(crate) fn finish_entry(entry: &mut [u8], address: u32) {
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |s, b| s.wrapping_add(*b));
    entry[24..28].copy_from_slice(&address.to_le_bytes());
    entry[0x15] = 0;
    entry[0x15] = 0_u8.wrapping_sub(sum(&entry[0x10..0x1F]));
    entry[4] = 0;
    entry[4] = 0_u8.wrapping_sub(sum(&entry[..0x1F]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_can_be_walked_to_the_end() {
        let config = Config { uuid: core::array::from_fn(|n| n as u8), ..Config::default() };
        let (tables, entry) = tables(&config);
        assert_eq!(entry.len(), 0x1F);
        let sum = |b: &[u8]| b.iter().fold(0_u8, |s, b| s.wrapping_add(*b));
        assert_eq!((sum(&entry), sum(&entry[0x10..])), (0, 0));
        let mut at = 0;
        let mut kinds = Vec::new();
        while at < tables.len() {
            kinds.push(tables[at]);
            if tables[at] == 1 {
                assert_eq!(tables[at + 8..at + 16], [3, 2, 1, 0, 5, 4, 7, 6]);
            }
            at += usize::from(tables[at + 1]);
            while tables[at..at + 2] != [0, 0] {
                at += 1;
            }
            at += 2;
        }
        assert_eq!(kinds, [0, 1, 3, 4, 16, 17, 19, 32, 127]);
        assert_eq!(u16::from_le_bytes([entry[28], entry[29]]), 9);
        assert_eq!(usize::from(u16::from_le_bytes([entry[22], entry[23]])), tables.len());
    }
}
