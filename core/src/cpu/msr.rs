//! Model-specific registers.
//!
//! Spec: Intel SDM volume 4 (P6 and Pentium 4 families).

use super::{Cpu, Io, Run, Trap};
use crate::config::CpuModel;
use crate::isa::row::Feature;

/// Addresses.
pub mod address {
    #![allow(missing_docs)]
    pub const TSC: u32 = 0x10;
    pub const PLATFORM_ID: u32 = 0x17;
    pub const APIC_BASE: u32 = 0x1B;
    pub const FEATURE_CONTROL: u32 = 0x3A;
    pub const SPEC_CTRL: u32 = 0x48;
    pub const PRED_CMD: u32 = 0x49;
    pub const ARCH_CAPABILITIES: u32 = 0x10A;
    pub const BIOS_UPDATE: u32 = 0x79;
    pub const BIOS_SIGNATURE: u32 = 0x8B;
    pub const MTRRCAP: u32 = 0xFE;
    pub const SYSENTER_CS: u32 = 0x174;
    pub const SYSENTER_ESP: u32 = 0x175;
    pub const SYSENTER_EIP: u32 = 0x176;
    pub const MCG_CAP: u32 = 0x179;
    pub const MCG_STATUS: u32 = 0x17A;
    pub const MISC_ENABLE: u32 = 0x1A0;
    pub const DEBUGCTL: u32 = 0x1D9;
    pub const MTRR_PHYS: u32 = 0x200;
    pub const MTRR_FIX64K: u32 = 0x250;
    pub const MTRR_FIX16K: u32 = 0x258;
    pub const MTRR_FIX4K: u32 = 0x268;
    pub const PAT: u32 = 0x277;
    pub const MTRR_DEF_TYPE: u32 = 0x2FF;
    pub const EFER: u32 = 0xC000_0080;
}

/// Nanoseconds to time-stamp-counter ticks: the guest sees a 1 GHz counter.
pub const TSC_HERTZ: u64 = 1_000_000_000;

/// IA32_ARCH_CAPABILITIES: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO,
/// SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
const NOT_AFFECTED: u64 = 0x1B | 0x60 | 1 << 8 | 7 << 13 | 1 << 20 | 1 << 24 | 3 << 26 | 1 << 62;

/// The registers that hold something.
#[derive(Clone, Copy, Debug)]
pub struct Msrs {
    /// Added to virtual time to give the time-stamp counter.
    pub tsc_offset: u64,
    /// SYSENTER's code segment.
    pub sysenter_cs: u32,
    /// SYSENTER's stack pointer.
    pub sysenter_esp: u32,
    /// SYSENTER's entry point.
    pub sysenter_eip: u32,
    /// Page attribute table.
    pub pat: u64,
    /// Extended features (NXE).
    pub efer: u64,
    /// Default memory type.
    pub mtrr_default: u64,
    /// Variable ranges.
    pub mtrr_variable: [u64; 16],
    /// Fixed ranges.
    pub mtrr_fixed: [u64; 11],
    /// Miscellaneous enables.
    pub misc_enable: u64,
    /// Speculation control: holds what is written.
    pub spec_ctrl: u64,
    /// Microcode update signature.
    pub bios_signature: u64,
}

impl Default for Msrs {
    fn default() -> Self {
        Self {
            tsc_offset: 0,
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            pat: 0x0007_0406_0007_0406,
            efer: 0,
            mtrr_default: 0,
            mtrr_variable: [0; 16],
            mtrr_fixed: [0; 11],
            misc_enable: 1 | super::cpuid::LIMIT_LEAVES,
            spec_ctrl: 0,
            bios_signature: 0,
        }
    }
}
crate::archive_fields!(Msrs {
    tsc_offset,
    sysenter_cs,
    sysenter_esp,
    sysenter_eip,
    pat,
    efer,
    mtrr_default,
    mtrr_variable,
    mtrr_fixed,
    misc_enable,
    spec_ctrl,
    bios_signature,
});

impl Msrs {
    /// EFER.NXE.
    #[must_use]
    pub const fn nx_enabled(&self) -> bool {
        self.efer & 1 << 11 != 0
    }
}

fn fixed_index(msr: u32) -> Option<usize> {
    match msr {
        address::MTRR_FIX64K => Some(0),
        0x258..=0x259 => Some(1 + (msr - 0x258) as usize),
        0x268..=0x26F => Some(3 + (msr - 0x268) as usize),
        _ => None,
    }
}

impl Cpu {
    /// Whether this is one of the registers by which systems configure AMD's processors (SYSCFG, HWCR, TOP_MEM2,
    /// DE_CFG, performance counters …): there on [`CpuModel::Max`], all zeros, writes have no effect.
    ///
    /// Spec: AMD64 APM volume 2, appendix A.
    fn amd_configuration(&self, msr: u32) -> bool {
        self.model == CpuModel::Max && matches!(msr, 0xC001_0000..=0xC001_00FF | 0xC001_1000..=0xC001_10FF)
    }

    /// The time-stamp counter.
    pub fn tsc(&mut self, io: &mut dyn Io) -> u64 {
        io.nanoseconds(self.executed()).wrapping_add(self.msr.tsc_offset)
    }

    /// RDMSR.
    ///
    /// # Errors
    /// #GP(0) for one that the processor does not have.
    pub fn read_msr(&mut self, msr: u32, io: &mut dyn Io) -> Run<u64> {
        use address::*;
        let p6 = self.features.has(Feature::Cmov);
        Ok(match msr {
            TSC => self.tsc(io),
            APIC_BASE if p6 => io.apic_base(None),
            SYSENTER_CS if self.features.has(Feature::Sep) => u64::from(self.msr.sysenter_cs),
            SYSENTER_ESP if self.features.has(Feature::Sep) => u64::from(self.msr.sysenter_esp),
            SYSENTER_EIP if self.features.has(Feature::Sep) => u64::from(self.msr.sysenter_eip),
            MTRRCAP if p6 => 0x508,
            0x200..=0x20F if p6 => self.msr.mtrr_variable[(msr - MTRR_PHYS) as usize],
            MTRR_DEF_TYPE if p6 => self.msr.mtrr_default,
            PAT if p6 => self.msr.pat,
            BIOS_SIGNATURE if p6 => self.msr.bios_signature,
            MISC_ENABLE if p6 => self.msr.misc_enable,
            SPEC_CTRL if p6 => self.msr.spec_ctrl,
            ARCH_CAPABILITIES if p6 => NOT_AFFECTED,
            EFER if self.has_nx() => self.msr.efer,
            0 | 1 => 0,
            PLATFORM_ID | FEATURE_CONTROL | MCG_CAP | MCG_STATUS | DEBUGCTL if p6 => 0,
            0x2A | 0xC1 | 0xC2 | 0x186 | 0x187 | 0xCE | 0x198 | 0x199 | 0x19A | 0x19C if p6 => 0,
            _ if self.amd_configuration(msr) => 0,
            _ => match fixed_index(msr) {
                Some(n) if p6 => self.msr.mtrr_fixed[n],
                _ => return Err(Trap::gp(0)),
            },
        })
    }

    /// WRMSR.
    ///
    /// # Errors
    /// #GP(0) for one that the processor does not have, or a value that it does not take.
    pub fn write_msr(&mut self, msr: u32, value: u64, io: &mut dyn Io) -> Run {
        use address::*;
        let p6 = self.features.has(Feature::Cmov);
        let sep = self.features.has(Feature::Sep);
        let memory_type = |t: u64| matches!(t & 0xFF, 0 | 1 | 4 | 5 | 6);
        match msr {
            TSC => {
                let now = io.nanoseconds(self.executed());
                self.msr.tsc_offset = value.wrapping_sub(now);
            }
            APIC_BASE if p6 => {
                io.apic_base(Some(value));
            }
            SYSENTER_CS if sep => self.msr.sysenter_cs = value as u32,
            SYSENTER_ESP if sep => self.msr.sysenter_esp = value as u32,
            SYSENTER_EIP if sep => self.msr.sysenter_eip = value as u32,
            0x200..=0x20F if p6 => self.msr.mtrr_variable[(msr - MTRR_PHYS) as usize] = value,
            MTRR_DEF_TYPE if p6 && memory_type(value) => self.msr.mtrr_default = value & 0xCFF,
            PAT if p6 => {
                for n in 0..8 {
                    if !matches!(value >> (8 * n) & 0xFF, 0 | 1 | 4..=7) {
                        return Err(Trap::gp(0));
                    }
                }
                self.msr.pat = value;
            }
            BIOS_SIGNATURE if p6 => self.msr.bios_signature = value,
            BIOS_UPDATE if p6 => {}
            MISC_ENABLE if p6 => self.msr.misc_enable = value,
            SPEC_CTRL if p6 => self.msr.spec_ctrl = value & 7,
            PRED_CMD if p6 => {}
            EFER if self.has_nx() => {
                if value & !(1 << 11 | 1) != 0 {
                    return Err(Trap::gp(0));
                }
                self.msr.efer = value;
                self.flush_tlb(true);
            }
            0 | 1 => {}
            PLATFORM_ID | FEATURE_CONTROL | MCG_STATUS | DEBUGCTL if p6 => {}
            0x2A | 0xC1 | 0xC2 | 0x186 | 0x187 | 0x199 | 0x19A if p6 => {}
            _ if self.amd_configuration(msr) => {}
            _ => match fixed_index(msr) {
                Some(n) if p6 => self.msr.mtrr_fixed[n] = value,
                _ => return Err(Trap::gp(0)),
            },
        }
        Ok(())
    }
}
