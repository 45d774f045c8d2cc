//! FXSAVE, FXRSTOR, MXCSR, CLFLUSH.
//!
//! Spec: Intel SDM volume 1 §10.5, volume 2.

use super::*;
use crate::cpu::{cr0, cr4};

/// Bytes of an FXSAVE image.
const IMAGE: usize = 512;

impl Cpu {
    /// Linear address of a 512-byte image, which must lie at a multiple of 16.
    fn image(&self, i: &Inst, write: bool) -> Run<u32> {
        if self.cr0 & cr0::EM != 0 {
            return Err(Trap::UD);
        }
        if self.cr0 & cr0::TS != 0 {
            return Err(Trap::NM);
        }
        let at = self.effective(i);
        let linear = if write {
            self.linear_write(i.segment, at, IMAGE as u32)?
        } else {
            self.linear_read(i.segment, at, IMAGE as u32)?
        };
        if linear & 15 != 0 { Err(Trap::gp(0)) } else { Ok(linear) }
    }
}

/// FXSAVE.
pub(crate) fn fxsave(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let linear = c.image(i, true)?;
    let mut image = [0; IMAGE];
    c.fpu.fxsave(&mut image);
    image[24..28].copy_from_slice(&c.mxcsr.to_le_bytes());
    image[28..32].copy_from_slice(&c.mxcsr_mask().to_le_bytes());
    let mut len = 160;
    if c.cr4 & cr4::OSFXSR != 0 {
        for (n, value) in c.xmm.iter().enumerate() {
            image[160 + 16 * n..176 + 16 * n].copy_from_slice(&value.to_le_bytes());
        }
        len = 288;
    }
    let user = c.cpl == 3;
    c.probe_write(linear, IMAGE as u32, user, io)?;
    for n in (0..len).step_by(16) {
        let mut value = [0; 16];
        value.copy_from_slice(&image[n..n + 16]);
        c.write_linear(linear.wrapping_add(n as u32), u128::from_le_bytes(value), io)?;
    }
    Ok(())
}

/// FXRSTOR.
pub(crate) fn fxrstor(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let linear = c.image(i, false)?;
    let mut image = [0; IMAGE];
    for n in (0..288).step_by(16) {
        let value: u128 = c.read_linear(linear.wrapping_add(n as u32), io)?;
        image[n..n + 16].copy_from_slice(&value.to_le_bytes());
    }
    let mxcsr = u32::from_le_bytes([image[24], image[25], image[26], image[27]]);
    if c.cr4 & cr4::OSFXSR != 0 {
        if mxcsr & !c.mxcsr_mask() != 0 {
            return Err(Trap::gp(0));
        }
        c.mxcsr = mxcsr;
        for (n, register) in c.xmm.iter_mut().enumerate() {
            let mut value = [0; 16];
            value.copy_from_slice(&image[160 + 16 * n..176 + 16 * n]);
            *register = u128::from_le_bytes(value);
        }
    }
    c.fpu.fxrstor(&image);
    Ok(())
}

impl Cpu {
    /// #UD or #NM for an SSE instruction while the system has not enabled it.
    #[inline(always)]
    pub(crate) fn sse_available(&self) -> Run {
        if self.cr0 & cr0::EM != 0 || self.cr4 & cr4::OSFXSR == 0 {
            return Err(Trap::UD);
        }
        if self.cr0 & cr0::TS != 0 { Err(Trap::NM) } else { Ok(()) }
    }
}

/// LDMXCSR.
pub(crate) fn ldmxcsr<S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    let value: u32 = S::get(c, i, io)?;
    if value & !c.mxcsr_mask() != 0 {
        return Err(Trap::gp(0));
    }
    c.mxcsr = value;
    Ok(())
}

/// STMXCSR.
pub(crate) fn stmxcsr<D: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.sse_available()?;
    D::put(c, i, io, c.mxcsr)
}

/// CLFLUSH: the address is checked, caches are not modelled.
pub(crate) fn clflush(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let _: u8 = c.load(i, io)?;
    Ok(())
}
