//! Descriptors and segment loads, control registers.
//!
//! Spec: Intel SDM volume 3, chapters 2 and 5.

use super::flags::bit;
use super::segment::{Descriptor, Segment, attr, seg};
use super::{Cpu, Io, Run, Trap, cr0, cr4};
use crate::config::CpuModel;
use crate::isa::row::Feature;

impl Cpu {
    /// Reads the descriptor of a selector and its linear address; `Err` carries #GP(selector) (or what `bad`
    /// makes of the selector) when it lies outside its table.
    pub fn descriptor(
        &mut self,
        selector: u16,
        bad: impl Fn(u16) -> Trap,
        io: &mut dyn Io,
    ) -> Run<(Descriptor, u32)> {
        let index = u32::from(selector & !7);
        let (base, limit) = if selector & 4 == 0 {
            (self.gdtr.base, u32::from(self.gdtr.limit))
        } else if self.ldtr.attributes & attr::PRESENT == 0 || self.ldtr.selector & !3 == 0 {
            return Err(bad(selector & !3));
        } else {
            (self.ldtr.base, self.ldtr.limit)
        };
        if index + 7 > limit {
            return Err(bad(selector & !3));
        }
        let at = base.wrapping_add(index);
        let raw: u64 = self.read_system(at, io)?;
        Ok((Descriptor { low: raw as u32, high: (raw >> 32) as u32 }, at))
    }

    /// Sets the accessed bit of a code or data descriptor.
    pub fn mark_accessed(&mut self, d: Descriptor, at: u32, io: &mut dyn Io) -> Run {
        if d.is_segment() && d.high & 1 << 8 == 0 {
            self.write_system(at.wrapping_add(5), (d.high >> 8) as u8 | 1, io)?;
        }
        Ok(())
    }

    /// MOV, POP and the Lxx instructions: loads a data or stack segment register.
    ///
    /// # Errors
    /// #GP, #NP, #SS, #PF.
    pub fn load_segment(&mut self, number: usize, selector: u16, io: &mut dyn Io) -> Run {
        if !self.protected() {
            let mut s = Segment::real(selector);
            if self.real() {
                // Real mode leaves limit and rights as they are ("unreal mode" rests on it).
                s.limit = self.seg[number].limit;
                s.attributes = self.seg[number].attributes;
                if s.attributes & attr::PRESENT == 0 {
                    s.attributes = Segment::real(0).attributes;
                }
                s.settle();
            }
            self.set_segment(number, s);
            return Ok(());
        }
        if number == seg::SS {
            let s = self.stack_segment(selector, self.cpl, Trap::gp, io)?;
            self.set_segment(seg::SS, s);
            return Ok(());
        }
        if selector & !3 == 0 {
            self.set_segment(number, Segment::null(selector));
            return Ok(());
        }
        let (d, at) = self.descriptor(selector, Trap::gp, io)?;
        let error = selector & !3;
        if !d.is_readable() {
            return Err(Trap::gp(error));
        }
        if !d.is_conforming() && (d.dpl() < self.cpl || d.dpl() < (selector & 3) as u8) {
            return Err(Trap::gp(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        self.mark_accessed(d, at, io)?;
        self.set_segment(number, Segment::loaded(selector, d));
        Ok(())
    }

    /// Checks and fetches a stack segment for privilege `cpl`.
    pub fn stack_segment(
        &mut self,
        selector: u16,
        cpl: u8,
        bad: impl Fn(u16) -> Trap + Copy,
        io: &mut dyn Io,
    ) -> Run<Segment> {
        let error = selector & !3;
        if error == 0 {
            return Err(bad(0));
        }
        let (d, at) = self.descriptor(selector, bad, io)?;
        if !d.is_writable() || d.dpl() != cpl || (selector & 3) as u8 != cpl {
            return Err(bad(error));
        }
        if !d.present() {
            return Err(Trap::ss(error));
        }
        self.mark_accessed(d, at, io)?;
        Ok(Segment::loaded(selector, d))
    }

    /// Checks a code descriptor as the target of a far transfer at unchanged privilege.
    pub fn check_code_target(&self, d: Descriptor, selector: u16, error: u16) -> Run {
        if !d.is_code() {
            return Err(Trap::gp(error));
        }
        let rpl = (selector & 3) as u8;
        let bad = if d.is_conforming() { d.dpl() > self.cpl } else { rpl > self.cpl || d.dpl() != self.cpl };
        if bad {
            return Err(Trap::gp(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        Ok(())
    }

    /// Loads CS with a checked descriptor, at privilege `cpl`, and EIP.
    ///
    /// # Errors
    /// #GP(0) when the target is past the limit.
    pub fn enter_code(
        &mut self,
        selector: u16,
        d: Descriptor,
        at: u32,
        cpl: u8,
        eip: u32,
        io: &mut dyn Io,
    ) -> Run {
        if eip > d.limit() {
            return Err(Trap::gp(0));
        }
        self.mark_accessed(d, at, io)?;
        self.set_segment(seg::CS, Segment::loaded(selector & !3 | u16::from(cpl), d));
        self.set_cpl(cpl);
        self.eip = eip;
        Ok(())
    }

    /// LLDT.
    pub fn load_ldt(&mut self, selector: u16, bad: impl Fn(u16) -> Trap + Copy, io: &mut dyn Io) -> Run {
        if selector & !3 == 0 {
            self.ldtr = Segment { selector, ..Segment::default() };
            return Ok(());
        }
        if selector & 4 != 0 {
            return Err(bad(selector & !3));
        }
        let (d, _) = self.descriptor(selector, bad, io)?;
        if d.is_segment() || d.kind() != 2 {
            return Err(bad(selector & !3));
        }
        if !d.present() {
            return Err(Trap::np(selector & !3));
        }
        self.ldtr = system_segment(selector, d);
        Ok(())
    }

    /// LTR.
    pub fn load_tr(&mut self, selector: u16, io: &mut dyn Io) -> Run {
        let error = selector & !3;
        if error == 0 || selector & 4 != 0 {
            return Err(Trap::gp(error));
        }
        let (d, at) = self.descriptor(selector, Trap::gp, io)?;
        if d.is_segment() || !matches!(d.kind(), 1 | 9) {
            return Err(Trap::gp(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        self.write_system(at.wrapping_add(5), (d.high >> 8) as u8 | 2, io)?;
        let mut s = system_segment(selector, d);
        s.attributes |= 2;
        self.tr = s;
        Ok(())
    }

    /// MOV to CR0 and LMSW.
    ///
    /// # Errors
    /// #GP(0) for impossible combinations.
    pub fn set_cr0(&mut self, value: u32, io: &mut dyn Io) -> Run {
        let mask =
            cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
        let new = value & mask | cr0::ET;
        if new & cr0::PG != 0 && new & cr0::PE == 0 || new & cr0::NW != 0 && new & cr0::CD == 0 {
            return Err(Trap::gp(0));
        }
        let changed = self.cr0 ^ new;
        if changed & cr0::PG != 0 && new & cr0::PG != 0 && self.cr4 & cr4::PAE != 0 {
            self.load_pdptes(self.cr3, io)?;
        }
        self.cr0 = new;
        if changed & cr0::AM != 0 {
            self.settle_watching();
        }
        if changed & (cr0::PG | cr0::WP | cr0::PE) != 0 {
            self.flush_tlb(true);
        }
        if changed & cr0::PE != 0 {
            self.new_epoch();
            if new & cr0::PE == 0 {
                self.set_cpl(0);
            }
        }
        Ok(())
    }

    /// MOV to CR3.
    ///
    /// # Errors
    /// #GP(0) when PAE is on and the page-directory pointers are bad.
    pub fn set_cr3(&mut self, value: u32, io: &mut dyn Io) -> Run {
        if self.cr0 & cr0::PG != 0 && self.cr4 & cr4::PAE != 0 {
            self.load_pdptes(value, io)?;
        }
        self.cr3 = value;
        self.flush_tlb(false);
        Ok(())
    }

    /// Bits of CR4 that the processor model has.
    #[must_use]
    pub fn cr4_mask(&self) -> u32 {
        if self.model == CpuModel::I486 {
            return 0;
        }
        let mut mask = cr4::VME | cr4::PVI | cr4::TSD | cr4::DE | cr4::PSE | cr4::MCE;
        if self.features.has(Feature::Cmov) {
            mask |= cr4::PAE | cr4::PGE | cr4::PCE;
        }
        if self.features.has(Feature::Fxsr) {
            mask |= cr4::OSFXSR;
        }
        if self.features.has(Feature::Sse) {
            mask |= cr4::OSXMMEXCPT;
        }
        mask
    }

    /// MOV to CR4.
    ///
    /// # Errors
    /// #GP(0) for bits that the processor does not have.
    pub fn set_cr4(&mut self, value: u32, io: &mut dyn Io) -> Run {
        if value & !self.cr4_mask() != 0 {
            return Err(Trap::gp(0));
        }
        let changed = self.cr4 ^ value;
        if changed & cr4::PAE != 0 && value & cr4::PAE != 0 && self.cr0 & cr0::PG != 0 {
            self.load_pdptes(self.cr3, io)?;
        }
        self.cr4 = value;
        if changed & (cr4::PAE | cr4::PSE) != 0 {
            self.flush_tlb(true);
        } else if changed & cr4::PGE != 0 {
            // What systems do to drop everything.
            self.reload_tlb(true);
        }
        Ok(())
    }

    /// Whether a port may be used: IOPL, or the task's permission bitmap.
    ///
    /// # Errors
    /// #GP(0) when it may not.
    pub fn check_port(&mut self, port: u16, size: u32, io: &mut dyn Io) -> Run {
        if self.real() || self.protected() && self.cpl <= self.flags.iopl() {
            return Ok(());
        }
        let busy386 = self.tr.attributes & 0xF == 11;
        if !busy386 || self.tr.limit < 103 {
            return Err(Trap::gp(0));
        }
        let map: u16 = self.read_system(self.tr.base.wrapping_add(102), io)?;
        let at = u32::from(map) + u32::from(port >> 3);
        if at + 1 > self.tr.limit {
            return Err(Trap::gp(0));
        }
        let bits: u16 = self.read_system(self.tr.base.wrapping_add(at), io)?;
        if bits >> (port & 7) & ((1 << size) - 1) != 0 {
            return Err(Trap::gp(0));
        }
        Ok(())
    }

    /// Segment registers that the new privilege level may not keep become null (return to an outer level).
    pub fn drop_inner_segments(&mut self) {
        for n in [seg::ES, seg::DS, seg::FS, seg::GS] {
            let s = &self.seg[n];
            let conforming = s.attributes & (attr::CODE | attr::DC) == attr::CODE | attr::DC;
            if s.attributes & attr::S != 0 && !conforming && s.dpl() < self.cpl || s.selector & !3 == 0 {
                let selector = if s.selector & !3 == 0 { s.selector } else { 0 };
                self.set_segment(n, Segment::null(selector));
            }
        }
    }

    /// Which bits of EFLAGS a POPF or IRET at this privilege may change.
    #[must_use]
    pub const fn writable_flags(&self) -> u32 {
        let mut mask = bit::STATUS | bit::TF | bit::DF | bit::NT | bit::AC | bit::ID;
        if self.cpl == 0 || self.real() {
            mask |= bit::IOPL | bit::IF;
        } else if self.cpl <= self.flags.iopl() {
            mask |= bit::IF;
        }
        mask
    }
}

/// LDTR or TR with a descriptor.
#[must_use]
pub fn system_segment(selector: u16, d: Descriptor) -> Segment {
    Segment {
        base: d.base(),
        limit: d.limit(),
        selector,
        attributes: d.attributes(),
        read_span: 0,
        write_span: 0,
    }
}
