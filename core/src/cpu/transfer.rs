//! Far transfers: JMP, CALL, RET and IRET between segments, through gates and to other privilege levels.
//!
//! Spec: Intel SDM volume 2 (CALL, JMP, RET, IRET) and volume 3, §5.8.

use super::flags::bit;
use super::interrupt::Frame;
use super::segment::{Descriptor, Segment, seg};
use super::task::Switch;
use super::{Cpu, Io, Run, Trap, cr4, reg};

impl Cpu {
    /// Far JMP.
    ///
    /// # Errors
    /// As the manual's pseudo-code says.
    pub fn far_jump(&mut self, selector: u16, offset: u32, io: &mut dyn Io) -> Run {
        if !self.protected() {
            return self.real_transfer(selector, offset);
        }
        if selector & !3 == 0 {
            return Err(Trap::gp(0));
        }
        let error = selector & !3;
        let (d, at) = self.descriptor(selector, Trap::gp, io)?;
        if d.is_segment() {
            self.check_code_target(d, selector, error)?;
            return self.enter_code(selector, d, at, self.cpl, offset, io);
        }
        self.check_gate_rights(d, selector, error)?;
        match d.kind() {
            1 | 9 => {
                if !d.present() {
                    return Err(Trap::np(error));
                }
                self.switch_task(selector, Switch::Jump, None, io)
            }
            5 => {
                if !d.present() {
                    return Err(Trap::np(error));
                }
                self.switch_task(d.gate_selector(), Switch::Jump, None, io)
            }
            4 | 12 => {
                if !d.present() {
                    return Err(Trap::np(error));
                }
                let (target, code, at, eip) = self.gate_target(d, io)?;
                let conforming = code.is_conforming();
                if !conforming && code.dpl() != self.cpl || conforming && code.dpl() > self.cpl {
                    return Err(Trap::gp(target & !3));
                }
                if !code.present() {
                    return Err(Trap::np(target & !3));
                }
                self.enter_code(target, code, at, self.cpl, eip, io)
            }
            _ => Err(Trap::gp(error)),
        }
    }

    fn check_gate_rights(&self, d: Descriptor, selector: u16, error: u16) -> Run {
        if d.dpl() < self.cpl || d.dpl() < (selector & 3) as u8 {
            return Err(Trap::gp(error));
        }
        Ok(())
    }

    fn gate_target(&mut self, gate: Descriptor, io: &mut dyn Io) -> Run<(u16, Descriptor, u32, u32)> {
        let selector = gate.gate_selector();
        if selector & !3 == 0 {
            return Err(Trap::gp(0));
        }
        let (code, at) = self.descriptor(selector, Trap::gp, io)?;
        if !code.is_code() || code.dpl() > self.cpl {
            return Err(Trap::gp(selector & !3));
        }
        let eip = if gate.kind() == 12 { gate.gate_offset() } else { gate.gate_offset() & 0xFFFF };
        Ok((selector, code, at, eip))
    }

    fn real_transfer(&mut self, selector: u16, offset: u32) -> Run {
        if offset > self.seg[seg::CS].limit {
            return Err(Trap::gp(0));
        }
        self.load_real_cs(selector);
        self.eip = offset;
        Ok(())
    }

    /// Loads CS as real and virtual-8086 mode do.
    fn load_real_cs(&mut self, selector: u16) {
        let mut cs = Segment::real(selector);
        if self.real() {
            cs.limit = self.seg[seg::CS].limit;
            // The first far jump after leaving protected mode brings back a writable 16-bit segment.
        }
        cs.settle();
        self.set_segment(seg::CS, cs);
    }

    /// Far CALL; EIP is the return address.
    ///
    /// # Errors
    /// As the manual's pseudo-code says.
    pub fn far_call(&mut self, selector: u16, offset: u32, wide: bool, io: &mut dyn Io) -> Run {
        let mut f = self.frame();
        let cs = u32::from(self.seg[seg::CS].selector);
        if !self.protected() {
            if offset > self.seg[seg::CS].limit {
                return Err(Trap::gp(0));
            }
            self.push_frame(&mut f, cs, wide, io)?;
            self.push_frame(&mut f, self.eip, wide, io)?;
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            self.load_real_cs(selector);
            self.eip = offset;
            return Ok(());
        }
        if selector & !3 == 0 {
            return Err(Trap::gp(0));
        }
        let error = selector & !3;
        let (d, at) = self.descriptor(selector, Trap::gp, io)?;
        if d.is_segment() {
            self.check_code_target(d, selector, error)?;
            self.push_frame(&mut f, cs, wide, io)?;
            self.push_frame(&mut f, self.eip, wide, io)?;
            self.enter_code(selector, d, at, self.cpl, offset, io)?;
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            return Ok(());
        }
        self.check_gate_rights(d, selector, error)?;
        match d.kind() {
            1 | 9 | 5 | 4 | 12 if !d.present() => Err(Trap::np(error)),
            1 | 9 => self.switch_task(selector, Switch::Call, None, io),
            5 => self.switch_task(d.gate_selector(), Switch::Call, None, io),
            4 | 12 => self.call_gate(d, io),
            _ => Err(Trap::gp(error)),
        }
    }

    fn call_gate(&mut self, gate: Descriptor, io: &mut dyn Io) -> Run {
        let wide = gate.kind() == 12;
        let (selector, code, at, eip) = self.gate_target(gate, io)?;
        if !code.present() {
            return Err(Trap::np(selector & !3));
        }
        let cs = u32::from(self.seg[seg::CS].selector);
        if code.is_conforming() || code.dpl() == self.cpl {
            let mut f = self.frame();
            self.push_frame(&mut f, cs, wide, io)?;
            self.push_frame(&mut f, self.eip, wide, io)?;
            self.enter_code(selector, code, at, self.cpl, eip, io)?;
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            return Ok(());
        }
        let cpl = code.dpl();
        let (ss, esp) = self.inner_stack(cpl, 0, io)?;
        let mut f = Frame { segment: ss, esp, user: cpl == 3, error: ss.selector & !3 };
        let count = gate.high & 31;
        let mut parameters = [0; 31];
        let mut source = self.frame();
        for p in parameters.iter_mut().take(count as usize) {
            *p = self.pop_frame(&mut source, wide, io)?;
        }
        self.push_frame(&mut f, u32::from(self.seg[seg::SS].selector), wide, io)?;
        self.push_frame(&mut f, self.regs[reg::ESP], wide, io)?;
        for p in parameters[..count as usize].iter().rev() {
            self.push_frame(&mut f, *p, wide, io)?;
        }
        self.push_frame(&mut f, cs, wide, io)?;
        self.push_frame(&mut f, self.eip, wide, io)?;
        self.enter_code(selector, code, at, cpl, eip, io)?;
        self.set_segment(seg::SS, ss);
        self.regs[reg::ESP] = f.pointer(f.esp);
        Ok(())
    }

    /// Far RET, releasing `release` bytes of parameters.
    ///
    /// # Errors
    /// As the manual's pseudo-code says.
    pub fn far_return(&mut self, wide: bool, release: u16, io: &mut dyn Io) -> Run {
        let mut f = self.frame();
        let eip = self.pop_frame(&mut f, wide, io)?;
        let selector = self.pop_frame(&mut f, wide, io)? as u16;
        if !self.protected() {
            if eip > self.seg[seg::CS].limit {
                return Err(Trap::gp(0));
            }
            f.esp = f.esp.wrapping_add(u32::from(release));
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            self.load_real_cs(selector);
            self.eip = eip;
            return Ok(());
        }
        f.esp = f.esp.wrapping_add(u32::from(release));
        self.return_to(selector, eip, f, wide, release, io)
    }

    /// The common end of far RET and IRET in protected mode: the frame `f` stands behind CS:EIP (and
    /// EFLAGS, or the parameters).
    fn return_to(
        &mut self,
        selector: u16,
        eip: u32,
        mut f: Frame,
        wide: bool,
        release: u16,
        io: &mut dyn Io,
    ) -> Run {
        if selector & !3 == 0 {
            return Err(Trap::gp(0));
        }
        let error = selector & !3;
        let rpl = (selector & 3) as u8;
        let (d, at) = self.descriptor(selector, Trap::gp, io)?;
        if !d.is_code() || rpl < self.cpl {
            return Err(Trap::gp(error));
        }
        if d.is_conforming() && d.dpl() > rpl || !d.is_conforming() && d.dpl() != rpl {
            return Err(Trap::gp(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        if rpl == self.cpl {
            self.enter_code(selector, d, at, rpl, eip, io)?;
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            return Ok(());
        }
        let esp = self.pop_frame(&mut f, wide, io)?;
        let ss_selector = self.pop_frame(&mut f, wide, io)? as u16;
        let ss = self.stack_segment(ss_selector, rpl, Trap::gp, io)?;
        self.enter_code(selector, d, at, rpl, eip, io)?;
        self.set_segment(seg::SS, ss);
        let esp = esp.wrapping_add(u32::from(release));
        let mask = self.stack_mask;
        self.regs[reg::ESP] =
            if wide { esp & mask | esp & !mask } else { self.regs[reg::ESP] & !mask | esp & mask };
        if mask != 0xFFFF_FFFF && wide {
            self.regs[reg::ESP] = esp;
        }
        self.drop_inner_segments();
        Ok(())
    }

    /// IRET.
    ///
    /// # Errors
    /// As the manual's pseudo-code says.
    pub fn interrupt_return(&mut self, wide: bool, io: &mut dyn Io) -> Run {
        if self.protected() && self.flags.has(bit::NT) {
            self.nmi_blocked = false;
            return self.return_from_task(io);
        }
        if self.v86() && self.flags.iopl() < 3 {
            if self.cr4 & cr4::VME != 0 && !wide {
                return self.vme_return(io);
            }
            return Err(Trap::gp(0));
        }
        let mut f = self.frame();
        let eip = self.pop_frame(&mut f, wide, io)?;
        let selector = self.pop_frame(&mut f, wide, io)? as u16;
        let image = self.pop_frame(&mut f, wide, io)?;
        if !self.protected() {
            if eip > self.seg[seg::CS].limit {
                return Err(Trap::gp(0));
            }
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
            self.load_real_cs(selector);
            self.eip = eip;
            let mut mask = bit::STATUS | bit::TF | bit::IF | bit::DF | bit::NT;
            if wide {
                mask |= bit::RF | bit::AC | bit::ID;
            }
            if self.real() {
                mask |= bit::IOPL;
            }
            self.set_flags(self.flags.image() & !mask | image & mask);
            self.nmi_blocked = false;
            return Ok(());
        }
        if wide && image & bit::VM != 0 && self.cpl == 0 {
            self.return_to_v86(eip, selector, image, f, io)?;
            self.nmi_blocked = false;
            return Ok(());
        }
        let mut mask = self.writable_flags();
        if !wide {
            mask &= 0xFFFF;
        } else {
            mask |= bit::RF;
            if self.cpl == 0 {
                mask |= bit::VIF | bit::VIP;
            }
        }
        self.return_to(selector, eip, f, wide, 0, io)?;
        self.set_flags(self.flags.image() & !mask | image & mask);
        self.nmi_blocked = false;
        Ok(())
    }

    fn return_to_v86(&mut self, eip: u32, cs: u16, image: u32, mut f: Frame, io: &mut dyn Io) -> Run {
        let mut words = [0; 6];
        for w in &mut words {
            *w = self.pop_frame(&mut f, true, io)?;
        }
        self.set_flags(image);
        self.set_cpl(3);
        self.set_segment(seg::CS, Segment::real(cs));
        for (n, value) in [seg::SS, seg::ES, seg::DS, seg::FS, seg::GS].into_iter().zip(&words[1..]) {
            self.set_segment(n, Segment::real(*value as u16));
        }
        self.regs[reg::ESP] = words[0];
        self.eip = eip & 0xFFFF;
        Ok(())
    }

    fn vme_return(&mut self, io: &mut dyn Io) -> Run {
        let mut f = self.frame();
        let eip = self.pop_frame(&mut f, false, io)?;
        let selector = self.pop_frame(&mut f, false, io)? as u16;
        let image = self.pop_frame(&mut f, false, io)?;
        if image & bit::TF != 0 || image & bit::IF != 0 && self.flags.has(bit::VIP) {
            return Err(Trap::gp(0));
        }
        let mask = bit::STATUS | bit::DF | bit::NT;
        let mut new = self.flags.image() & !(mask | bit::VIF) | image & mask;
        if image & bit::IF != 0 {
            new |= bit::VIF;
        }
        self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
        self.load_real_cs(selector);
        self.eip = eip;
        self.set_flags(new);
        Ok(())
    }
}
