//! ACPI tables: where the HPET is. Nothing else is asked of them.
//!
//! Spec: ACPI 6.4, 5.2; IA-PC HPET 1.0a, 3.2.4.
#![allow(unsafe_code)]

use crate::physical;
use core::sync::atomic::AtomicU32;

/// Registers of a HPET.
pub(crate) struct Hpet {
    /// Femtoseconds of a count.
    pub(crate) period: &'static AtomicU32,
    pub(crate) config: &'static AtomicU32,
    /// Lower half of the main counter.
    pub(crate) counter: &'static AtomicU32,
}

/// Under it everything is mapped.
const MAPPED: u64 = 4 << 30;

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Memory that firmware has left.
fn firmware(at: u64, len: usize) -> Option<&'static [u8]> {
    // SAFETY: mapped, and nobody writes to firmware's tables.
    (at + len as u64 <= MAPPED).then(|| unsafe { physical::bytes(at, len) })
}

/// A table that is whole.
fn table(at: u32) -> Option<&'static [u8]> {
    let head = firmware(at.into(), 36)?;
    let len = word(head, 4) as usize;
    let bytes = firmware(at.into(), len.clamp(36, 1 << 20))?;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    (sum == 0).then_some(bytes)
}

/// The root table's address, from the firmware's segments.
fn root() -> Option<u32> {
    let segment = firmware(0x40E, 2)?;
    let ebda = u64::from(u16::from_le_bytes([segment[0], segment[1]])) << 4;
    let areas = [(ebda, 1024), (0xE_0000, 0x2_0000)];
    areas.into_iter().filter(|(at, _)| *at >= 0x400).find_map(|(at, len)| {
        firmware(at, len)?.chunks_exact(16).find(|chunk| chunk.starts_with(b"RSD PTR ")).and_then(|chunk| {
            let pointer = firmware(chunk.as_ptr() as u64, 20)?;
            let sum = pointer.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            (sum == 0).then(|| word(pointer, 16))
        })
    })
}

/// The HPET that the firmware tells of.
pub(crate) fn hpet() -> Option<Hpet> {
    let list = table(root()?)?;
    let tables = list[36..].chunks_exact(4).filter_map(|entry| table(word(entry, 0)));
    let hpet = tables.into_iter().find(|table| table.starts_with(b"HPET"))?;
    let base = u64::from(word(hpet, 44)) | u64::from(word(hpet, 48)) << 32;
    if base == 0 || base + 0x400 > MAPPED {
        return None;
    }
    // SAFETY: the registers of IA-PC HPET 1.0a, in the mapped range.
    let register = |offset| unsafe { physical::register(base + offset) };
    Some(Hpet { period: register(4), config: register(0x10), counter: register(0xF0) })
}
