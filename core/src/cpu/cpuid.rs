//! CPUID: what each processor model says of itself.
//!
//! Spec: Intel SDM volume 2, CPUID.

use super::{Cpu, reg};
use crate::config::CpuModel;
use crate::isa::decode::Features;
use crate::isa::row::Feature;

/// The extensions of a model.
#[must_use]
pub const fn features(model: CpuModel) -> Features {
    use Feature as F;
    let mut f = Features(0).with(F::Base).with(F::I486);
    if matches!(model, CpuModel::I486) {
        return f;
    }
    f = f.with(F::Pentium).with(F::Mmx);
    if matches!(model, CpuModel::Pentium) {
        return f;
    }
    f = f.with(F::Cmov).with(F::Fxsr).with(F::Sep);
    if matches!(model, CpuModel::P6) {
        return f;
    }
    f = f.with(F::Sse).with(F::Sse2);
    if matches!(model, CpuModel::Pentium4) {
        return f;
    }
    f.with(F::Sse3)
        .with(F::Ssse3)
        .with(F::Sse41)
        .with(F::Sse42)
        .with(F::Popcnt)
        .with(F::Movbe)
        .with(F::Aes)
        .with(F::Pclmul)
        .with(F::Rdrand)
        .with(F::Monitor)
}

/// Family, model and stepping, as in EDX after reset and EAX of leaf 1.
#[must_use]
pub const fn signature(model: CpuModel) -> u32 {
    match model {
        CpuModel::I486 => 0x0435,
        CpuModel::Pentium => 0x0543,
        CpuModel::P6 => 0x0633,
        CpuModel::Pentium4 => 0x0F29,
        CpuModel::Max => 0x0080_0F12,
    }
}

/// Extensions whose instructions are not all in the table yet: CPUID does not announce them, so that guests do
/// without.
const UNFINISHED: [Feature; 8] = [
    Feature::Mmx,
    Feature::Sse,
    Feature::Sse2,
    Feature::Sse3,
    Feature::Ssse3,
    Feature::Sse41,
    Feature::Sse42,
    Feature::Aes,
];

impl Cpu {
    /// CPUID with EAX and ECX as inputs: EAX, EBX, ECX, EDX.
    #[must_use]
    pub fn cpuid(&self, leaf: u32, apic_enabled: bool) -> [u32; 4] {
        let f = self.features;
        let has = |feature, bit: u32| u32::from(f.has(feature) && !UNFINISHED.contains(&feature)) << bit;
        let amd = self.model == CpuModel::Max;
        let highest = match self.model {
            CpuModel::I486 | CpuModel::Pentium => 1,
            CpuModel::P6 => 2,
            CpuModel::Pentium4 | CpuModel::Max => 7,
        };
        let name: &[u8; 48] = match self.model {
            CpuModel::Pentium4 => b"nomad86 Pentium 4 class processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            _ => b"nomad86 x86 processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let word = |n: usize| u32::from_le_bytes([name[n], name[n + 1], name[n + 2], name[n + 3]]);
        let text = |from: usize| [word(from), word(from + 4), word(from + 8), word(from + 12)];
        let p6 = f.has(Feature::Cmov);
        match leaf {
            0 => {
                let vendor: &[u8; 12] = if amd { b"AuthenticAMD" } else { b"GenuineIntel" };
                let v =
                    |n: usize| u32::from_le_bytes([vendor[n], vendor[n + 1], vendor[n + 2], vendor[n + 3]]);
                [highest, v(0), v(8), v(4)]
            }
            1 => {
                let edx = 1
                    | has(Feature::Pentium, 1)
                    | has(Feature::Pentium, 2)
                    | has(Feature::Pentium, 3)
                    | has(Feature::Pentium, 4)
                    | has(Feature::Pentium, 5)
                    | has(Feature::Cmov, 6)
                    | has(Feature::Pentium, 8)
                    | u32::from(apic_enabled && p6) << 9
                    | has(Feature::Sep, 11)
                    | has(Feature::Cmov, 12)
                    | has(Feature::Cmov, 13)
                    | has(Feature::Cmov, 15)
                    | has(Feature::Cmov, 16)
                    | has(Feature::Cmov, 17)
                    | has(Feature::Mmx, 23)
                    | has(Feature::Fxsr, 24)
                    | has(Feature::Sse, 25)
                    | has(Feature::Sse2, 26);
                let ecx = has(Feature::Sse3, 0)
                    | has(Feature::Monitor, 3)
                    | has(Feature::Ssse3, 9)
                    | has(Feature::Sse41, 19)
                    | has(Feature::Sse42, 20)
                    | has(Feature::Movbe, 22)
                    | has(Feature::Popcnt, 23)
                    | has(Feature::Aes, 25)
                    | has(Feature::Rdrand, 30)
                    | u32::from(p6) << 31;
                let ebx = if p6 { 8 << 8 | 1 << 16 } else { 0 };
                [signature(self.model), ebx, ecx, edx]
            }
            // Cache and TLB descriptors: 64-entry TLBs, 8 KiB L1 data, 512 KiB L2.
            2 if highest >= 2 => [0x665B_5001, 0, 0, 0x007A_7000],
            5 if highest >= 5 => [64, 64, 3, 0],
            // No speculation, so none of its faults: architectural capabilities and IBRS, so that systems use
            // neither return trampolines nor split page tables (MSR 10A says the rest).
            7 if highest >= 7 => [0, 0, 0, 1 << 29 | 1 << 26],
            0x8000_0000 if p6 => [0x8000_0008, 0, 0, 0],
            0x8000_0001 if p6 => {
                let edx = u32::from(f.has(Feature::Sse2)) << 20;
                [if amd { signature(self.model) } else { 0 }, 0, 0, edx]
            }
            0x8000_0002 if p6 => text(0),
            0x8000_0003 if p6 => text(16),
            0x8000_0004 if p6 => text(32),
            0x8000_0008 if p6 => [super::paging::PHYS_BITS | 32 << 8, 0, 0, 0],
            0x4000_0000 if p6 => {
                // No hypervisor interface: the vendor string says whose machine this is.
                let v: &[u8; 12] = b"nomad86 PC  ";
                let v = |n: usize| u32::from_le_bytes([v[n], v[n + 1], v[n + 2], v[n + 3]]);
                [0x4000_0000, v(0), v(4), v(8)]
            }
            _ => [0; 4],
        }
    }

    /// Executes CPUID.
    pub fn execute_cpuid(&mut self, apic_enabled: bool) {
        let out = self.cpuid(self.regs[reg::EAX], apic_enabled);
        self.regs[reg::EAX] = out[0];
        self.regs[reg::EBX] = out[1];
        self.regs[reg::ECX] = out[2];
        self.regs[reg::EDX] = out[3];
    }
}
