//! Intel 440FX host bridge: which memory answers under 1 MiB.
//!
//! Spec: Intel 290549, 82441FX PCI and Memory Controller (PMC), 3.2: PAM, SMRAM.
//! Not emulated: DRAM timing and row boundaries (they can be written), error reporting, system management
//! memory that only the CPU in that mode sees.

use super::bus::{Identity, Register, Slot};
use crate::board::Board;
use crate::memory::{PAGE, PhysAddr, Target};

/// Offsets in configuration space.
pub mod reg {
    #![allow(missing_docs)]
    pub const PAM0: u8 = 0x59;
    pub const PAM6: u8 = 0x5F;
    pub const SMRAM: u8 = 0x72;
    /// SMRAM: A0000–BFFFF is memory, not video.
    pub const SMRAM_OPEN: u8 = 1 << 6;
    /// SMRAM: no longer to be opened.
    pub const SMRAM_LOCK: u8 = 1 << 4;
}

/// Registers after reset. DRAM row boundaries are plain storage.
const REGISTERS: &[Register] = &[
    (0x04, 0x06, 0x00),
    (0x05, 0x00, 0x01),
    (0x07, 0x02, 0x00),
    (0x50, 0x00, 0xFF),
    (0x51, 0x00, 0xFF),
    (0x53, 0x80, 0xFF),
    (0x57, 0x01, 0xFF),
    (0x58, 0x10, 0xFF),
    (0x59, 0x00, 0xF0),
    (0x5A, 0x00, 0xFF),
    (0x5B, 0x00, 0xFF),
    (0x5C, 0x00, 0xFF),
    (0x5D, 0x00, 0xFF),
    (0x5E, 0x00, 0xFF),
    (0x5F, 0x00, 0xFF),
    (0x60, 0x01, 0xFF),
    (0x61, 0x01, 0xFF),
    (0x62, 0x01, 0xFF),
    (0x63, 0x01, 0xFF),
    (0x64, 0x01, 0xFF),
    (0x65, 0x01, 0xFF),
    (0x66, 0x01, 0xFF),
    (0x67, 0x01, 0xFF),
    (0x68, 0x00, 0xFF),
    (0x70, 0x00, 0xFF),
    (0x71, 0x10, 0x03),
    (0x72, 0x02, 0x78),
    (0x90, 0x00, 0xFF),
    (0x91, 0x00, 0xFF),
    (0x93, 0x00, 0x00),
];

/// 8086:1237.
pub(super) const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x1237,
    revision: 2,
    class: 0x06_00_00,
    subsystem: (0x1AF4, 0x1100),
    interrupt_pin: 0,
    bars: [None; 6],
    rom: None,
    capabilities: 0,
    registers: REGISTERS,
};

/// PAM bits: reads go to DRAM.
const READ: u8 = 1 << 0;
/// PAM bits: writes go to DRAM.
const WRITE: u8 = 1 << 1;

/// The nibble of the PAM registers that governs a page from C0000 on.
fn attributes(board: &Board, page: usize) -> u8 {
    let (register, high) = match page {
        0xF0.. => (0, true),
        _ => {
            let segment = (page - 0xC0) / 4;
            (1 + segment / 2, segment % 2 == 1)
        }
    };
    let value = board.pci.config(Slot::HOST, reg::PAM0 + register as u8);
    if high { value >> 4 } else { value & 15 }
}

/// Wires the pages under 1 MiB as PAM and SMRAM say: to DRAM, or to what the ISA bus has there, which is
/// the last 128 KiB of the BIOS in E0000–FFFFF and nothing in C0000–DFFFF.
pub(super) fn settle(board: &mut Board) {
    let rom = board.memory.rom_range();
    let ram = board.memory.ram_size();
    for page in 0xC0..0x100 {
        let at = page * PAGE;
        let isa = if page >= 0xE0 { Target::Rom(rom.end - (0x100 - page) * PAGE) } else { Target::None };
        let dram = if at < ram { Target::Memory(at) } else { Target::None };
        let bits = attributes(board, page);
        let read = if bits & READ != 0 { dram } else { isa };
        let write = if bits & WRITE != 0 { dram } else { isa };
        board.memory.map_low(page, read, write);
    }
    let mut smram = board.pci.config(Slot::HOST, reg::SMRAM);
    if smram & reg::SMRAM_LOCK != 0 {
        // D_LCK clears D_OPEN, and neither can change any more.
        smram &= !reg::SMRAM_OPEN;
        board.pci.set_config(Slot::HOST, reg::SMRAM, smram);
        board.pci.set_writable(Slot::HOST, reg::SMRAM, 0x20);
    }
    let open = smram & reg::SMRAM_OPEN != 0;
    for page in 0xA0..0xC0 {
        let at = page * PAGE;
        let dram = Target::Memory(at);
        if open && at < ram {
            board.memory.map_low(page, dram, dram);
        } else if board.memory.target(at as PhysAddr, false) == dram {
            // The display adapter maps its memory at the next retrace. What it has mapped stays.
            board.memory.map_low(page, Target::Io, Target::Io);
        }
    }
}
