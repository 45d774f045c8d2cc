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
///
/// [`CpuModel::Max`] is AMD's Zen 3, which the emulator follows where the manuals leave something open, and which
/// systems know to need neither split page tables nor, with what the leaves below say, return trampolines.
#[must_use]
pub const fn signature(model: CpuModel) -> u32 {
    match model {
        CpuModel::I486 => 0x0435,
        CpuModel::Pentium => 0x0543,
        CpuModel::P6 => 0x0633,
        CpuModel::Pentium4 => 0x0F29,
        CpuModel::Max => 0x00A0_0F11,
    }
}

/// Bits of leaf 1, ECX and EDX, by the extension that brings them.
pub(crate) const LEAF1_ECX: [(Feature, u32); 9] = [
    (Feature::Sse3, 0),
    (Feature::Pclmul, 1),
    (Feature::Monitor, 3),
    (Feature::Ssse3, 9),
    (Feature::Sse41, 19),
    (Feature::Sse42, 20),
    (Feature::Movbe, 22),
    (Feature::Popcnt, 23),
    (Feature::Aes, 25),
];
const LEAF1_EDX: [(Feature, u32); 19] = [
    // VME, DE, PSE, TSC, MSR, CX8.
    (Feature::Pentium, 1),
    (Feature::Pentium, 2),
    (Feature::Pentium, 3),
    (Feature::Pentium, 4),
    (Feature::Pentium, 5),
    (Feature::Pentium, 8),
    // PAE, MTRR, PGE, CMOV, PAT, PSE-36.
    (Feature::Cmov, 6),
    (Feature::Cmov, 12),
    (Feature::Cmov, 13),
    (Feature::Cmov, 15),
    (Feature::Cmov, 16),
    (Feature::Cmov, 17),
    (Feature::Sep, 11),
    // CLFLUSH came with SSE2.
    (Feature::Sse2, 19),
    (Feature::Mmx, 23),
    (Feature::Fxsr, 24),
    (Feature::Sse, 25),
    (Feature::Sse2, 26),
    (Feature::Base, 0),
];

/// IA32_MISC_ENABLE: leaves above 3 are hidden, as firmware does for systems that stumble over them (Windows NT 4).
/// Others clear it.
pub(super) const LIMIT_LEAVES: u64 = 1 << 22;

const fn words<const N: usize>(text: &[u8; N]) -> [u32; 4] {
    let mut out = [0; 4];
    let mut n = 0;
    while n < N {
        out[n / 4] |= (text[n] as u32) << (n % 4 * 8);
        n += 1;
    }
    out
}

impl Cpu {
    fn flags_of(&self, bits: &[(Feature, u32)]) -> u32 {
        bits.iter().filter(|(feature, _)| self.features.has(*feature)).fold(0, |all, (_, bit)| all | 1 << bit)
    }

    /// Largest standard leaf.
    fn highest_leaf(&self) -> u32 {
        match self.model {
            CpuModel::I486 | CpuModel::Pentium => 1,
            CpuModel::P6 => 2,
            CpuModel::Pentium4 if self.msr.misc_enable & LIMIT_LEAVES != 0 => 3,
            CpuModel::Pentium4 | CpuModel::Max => 7,
        }
    }

    /// CPUID with EAX as input: EAX, EBX, ECX, EDX.
    ///
    /// Nothing is speculated here, so none of the faults of that exists; the leaves say so in the ways that systems
    /// ask: architectural capabilities with IBRS (leaf 7; MSR 10A has the list) and AMD's own bits.
    #[must_use]
    pub fn cpuid(&self, leaf: u32, apic_enabled: bool) -> [u32; 4] {
        let amd = self.model == CpuModel::Max;
        let highest = self.highest_leaf();
        let p6 = self.features.has(Feature::Cmov);
        let apic = u32::from(apic_enabled && self.features.has(Feature::Pentium)) << 9;
        let edx = self.flags_of(&LEAF1_EDX) | apic;
        let name: [u32; 4] = words(match self.model {
            CpuModel::Pentium4 => b"nomad86 P4 class",
            CpuModel::Max => b"nomad86 x86 max\0",
            _ => b"nomad86 x86\0\0\0\0\0",
        });
        match leaf {
            0 => {
                let [first, second, third, _] = words(if amd { b"AuthenticAMD" } else { b"GenuineIntel" });
                [highest, first, third, second]
            }
            1 => {
                let hypervisor = u32::from(p6) << 31;
                let rdrand = u32::from(self.features.has(Feature::Rdrand)) << 30;
                // One logical processor; lines of 64 bytes.
                let ebx = if p6 { 8 << 8 | 1 << 16 } else { 0 };
                [signature(self.model), ebx, self.flags_of(&LEAF1_ECX) | rdrand | hypervisor, edx]
            }
            // Cache and TLB descriptors: 64-entry TLBs, 8 KiB L1 data, 512 KiB L2.
            2 if highest >= 2 && !amd => [0x665B_5001, 0, 0, 0x007A_7000],
            5 if highest >= 5 => [64, 64, 3, 0],
            7 if highest >= 7 => [0, 0, 0, 1 << 29 | 1 << 26],
            0x8000_0000 if p6 => [if amd { 0x8000_0021 } else { 0x8000_0008 }, 0, 0, 0],
            0x8000_0001 if p6 => {
                let nx = u32::from(self.has_nx()) << 20;
                if amd {
                    // Bits that both leaves have, AMD's extensions to MMX; PREFETCHW.
                    [signature(self.model), 0, 1 << 8, edx & 0x0183_F3FF | nx | 1 << 22]
                } else {
                    [0, 0, 0, nx]
                }
            }
            0x8000_0002 if p6 => name,
            // L1: 64 KiB each, 64-byte lines, 8 ways; L2: 512 KiB.
            0x8000_0005 if amd => [0, 0, 0x4008_0140, 0x4008_0140],
            0x8000_0006 if amd => [0, 0, 0x0200_6140, 0],
            // SSB_NO, BTC_NO.
            0x8000_0008 if p6 => {
                let immune = if amd { 1 << 26 | 1 << 29 } else { 0 };
                [super::paging::PHYS_BITS | 32 << 8, immune, 0, 0]
            }
            // SRSO_NO; TSA_SQ_NO, TSA_L1_NO.
            0x8000_0021 if amd => [1 << 29, 0, 3 << 1, 0],
            // No hypervisor interface: the vendor string says whose machine this is.
            0x4000_0000 if p6 => {
                let [first, second, third, _] = words(b"nomad86 PC  ");
                [0x4000_0000, first, second, third]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(model: CpuModel, leaf: u32) -> [u32; 4] {
        Cpu::new(model).cpuid(leaf, true)
    }

    #[test]
    fn each_model_announces_what_it_has_and_no_more() {
        const MMX: u32 = 1 << 23;
        const SSE: u32 = 1 << 25;
        const SSE2: u32 = 1 << 26;
        let edx = |model| leaf(model, 1)[3] & (MMX | SSE | SSE2);
        assert_eq!(edx(CpuModel::I486), 0);
        assert_eq!(edx(CpuModel::Pentium), MMX);
        assert_eq!(edx(CpuModel::P6), MMX);
        assert_eq!(edx(CpuModel::Pentium4), MMX | SSE | SSE2);
        assert_eq!(edx(CpuModel::Max), MMX | SSE | SSE2);
        // SSE3, PCLMULQDQ, SSSE3, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, RDRAND.
        let newer = 1 | 1 << 1 | 1 << 9 | 3 << 19 | 3 << 22 | 1 << 25 | 1 << 30;
        assert_eq!(leaf(CpuModel::Pentium4, 1)[2] & newer, 0);
        assert_eq!(leaf(CpuModel::Max, 1)[2] & newer, newer);
        for model in [CpuModel::I486, CpuModel::Pentium, CpuModel::P6, CpuModel::Pentium4, CpuModel::Max] {
            for (feature, bit) in LEAF1_EDX {
                assert_eq!(
                    leaf(model, 1)[3] >> bit & 1 != 0,
                    features(model).has(feature),
                    "{model:?} {bit}"
                );
            }
        }
    }

    #[test]
    fn old_systems_see_few_leaves_until_they_ask_for_more() {
        let mut cpu = Cpu::new(CpuModel::Pentium4);
        assert_eq!(cpu.cpuid(0, true)[0], 3);
        assert_eq!(cpu.cpuid(7, true), [0; 4]);
        cpu.msr.misc_enable &= !LIMIT_LEAVES;
        assert_eq!(cpu.cpuid(0, true)[0], 7);
        assert_ne!(cpu.cpuid(7, true)[3] & 1 << 29, 0);
    }

    #[test]
    fn vendors_are_spelt_in_the_order_of_ebx_edx_ecx() {
        let text = |model| {
            let [_, b, c, d] = leaf(model, 0);
            [b, d, c].map(u32::to_le_bytes).concat()
        };
        assert_eq!(text(CpuModel::Pentium4), b"GenuineIntel");
        assert_eq!(text(CpuModel::Max), b"AuthenticAMD");
    }
}
