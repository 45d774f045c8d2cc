//! Delivery of exceptions and interrupts: real mode, protected mode, virtual-8086 mode; double faults.
//!
//! Spec: Intel SDM volume 3, chapter 6 and §20.3.

use super::fault::{Kind, vector};
use super::flags::bit;
use super::segment::{Descriptor, Segment, seg};
use super::{Cpu, Io, Run, Trap, cr4, reg};

/// What is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An exception of the instruction at EIP, with its error code.
    Fault(u8, Option<u16>),
    /// An exception after the instruction before EIP.
    Trap(u8),
    /// INT n, INT3, INTO: the gate's privilege is checked.
    Software(u8),
    /// From an interrupt controller, or NMI.
    External(u8),
}

/// A stack that a frame is built on before the processor switches to it.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its segment.
    pub segment: Segment,
    /// Stack pointer.
    pub esp: u32,
    /// Accesses count as user mode.
    pub user: bool,
    /// Error code of a stack fault.
    pub error: u16,
}

impl Frame {
    const fn mask(&self) -> u32 {
        if self.segment.big() { 0xFFFF_FFFF } else { 0xFFFF }
    }

    /// ESP as it will be: the high half of a 16-bit stack's pointer is kept.
    #[must_use]
    pub const fn pointer(&self, old: u32) -> u32 {
        let mask = self.mask();
        old & !mask | self.esp & mask
    }
}

impl Cpu {
    /// The present stack as a frame to build on.
    #[must_use]
    pub const fn frame(&self) -> Frame {
        Frame { segment: self.seg[seg::SS], esp: self.regs[reg::ESP], user: self.cpl == 3, error: 0 }
    }

    /// Pushes 2 or 4 bytes.
    ///
    /// # Errors
    /// #SS, #PF.
    pub fn push_frame(&mut self, f: &mut Frame, value: u32, wide: bool, io: &mut dyn Io) -> Run {
        let size = if wide { 4 } else { 2 };
        let offset = f.esp.wrapping_sub(size) & f.mask();
        if !f.segment.contains(offset, size) {
            return Err(Trap::ss(f.error));
        }
        let linear = f.segment.base.wrapping_add(offset);
        if f.user == (self.cpl == 3) {
            if wide {
                self.write_linear(linear, value, io)?;
            } else {
                self.write_linear(linear, value as u16, io)?;
            }
        } else if f.user {
            // A frame for user mode built by supervisor code: the user's rights count.
            self.probe_write(linear, size, true, io)?;
            if wide {
                self.write_system(linear, value, io)
            } else {
                self.write_system(linear, value as u16, io)
            }?;
        } else if wide {
            self.write_system(linear, value, io)?;
        } else {
            self.write_system(linear, value as u16, io)?;
        }
        f.esp = offset;
        Ok(())
    }

    /// Pops 2 or 4 bytes without changing ESP.
    ///
    /// # Errors
    /// #SS, #PF.
    pub fn pop_frame(&mut self, f: &mut Frame, wide: bool, io: &mut dyn Io) -> Run<u32> {
        let size = if wide { 4 } else { 2 };
        let offset = f.esp & f.mask();
        if !f.segment.contains(offset, size) {
            return Err(Trap::ss(f.error));
        }
        let linear = f.segment.base.wrapping_add(offset);
        let value = if wide {
            self.read_linear(linear, io)?
        } else {
            u32::from(self.read_linear::<u16>(linear, io)?)
        };
        f.esp = f.esp.wrapping_add(size) & f.mask();
        Ok(value)
    }

    /// Delivers an event; faults during delivery become a double fault or the second fault.
    ///
    /// # Errors
    /// When the processor shuts down.
    pub fn raise(&mut self, event: Event, io: &mut dyn Io) -> Result<(), super::Stop> {
        self.halted = false;
        self.delivered = true;
        let mut event = event;
        let mut first = match event {
            Event::Fault(v, _) => Some(v),
            _ => None,
        };
        loop {
            match self.deliver(event, io) {
                Ok(()) => return Ok(()),
                Err(trap) => {
                    let Kind::Fault(second, code) = trap.kind() else { return Err(super::Stop::Shutdown) };
                    let contributory = |v| matches!(v, 0 | 10..=13);
                    event = match first {
                        Some(vector::DF) => return Err(super::Stop::Shutdown),
                        Some(v) if contributory(v) && contributory(second) => {
                            Event::Fault(vector::DF, Some(0))
                        }
                        Some(vector::PF) if contributory(second) || second == vector::PF => {
                            Event::Fault(vector::DF, Some(0))
                        }
                        _ => Event::Fault(second, code),
                    };
                    first = match event {
                        Event::Fault(v, _) => Some(v),
                        _ => first,
                    };
                }
            }
        }
    }

    fn deliver(&mut self, event: Event, io: &mut dyn Io) -> Run {
        let (number, code, software) = match event {
            Event::Fault(v, code) => (v, code, false),
            Event::Trap(v) | Event::External(v) => (v, None, false),
            Event::Software(v) => (v, None, true),
        };
        let ext = u16::from(!software);
        if self.real() {
            return self.deliver_real(number, io);
        }
        let error = u16::from(number) * 8 + 2 + ext;
        let at = u32::from(number) * 8;
        if at + 7 > u32::from(self.idtr.limit) {
            return Err(Trap::gp(error));
        }
        let raw: u64 = self.read_system(self.idtr.base.wrapping_add(at), io)?;
        let gate = Descriptor { low: raw as u32, high: (raw >> 32) as u32 };
        if gate.is_segment() || !matches!(gate.kind(), 5 | 6 | 7 | 14 | 15) {
            return Err(Trap::gp(error));
        }
        if software && gate.dpl() < self.cpl {
            return Err(Trap::gp(u16::from(number) * 8 + 2));
        }
        if !gate.present() {
            return Err(Trap::np(error));
        }
        // Faults push a RF of 1, so that an instruction breakpoint does not hit again on return.
        let resume = match event {
            Event::Fault(v, _) if v != vector::DB => bit::RF,
            _ => 0,
        };
        if gate.kind() == 5 {
            return self.task_gate(gate.gate_selector(), code, ext, io);
        }
        self.through_gate(gate, code, ext, resume, io)
    }

    fn deliver_real(&mut self, number: u8, io: &mut dyn Io) -> Run {
        let at = u32::from(number) * 4;
        if at + 3 > u32::from(self.idtr.limit) {
            return Err(Trap::gp(u16::from(number) * 8 + 2));
        }
        let target: u32 = self.read_system(self.idtr.base.wrapping_add(at), io)?;
        self.enter_real(target, io)
    }

    /// Pushes FLAGS, CS and IP as words and goes on at a real-mode vector.
    fn enter_real(&mut self, target: u32, io: &mut dyn Io) -> Run {
        let mut f = self.frame();
        let image = self.flags.image();
        self.push_frame(&mut f, image, false, io)?;
        self.push_frame(&mut f, u32::from(self.seg[seg::CS].selector), false, io)?;
        self.push_frame(&mut f, self.eip, false, io)?;
        self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
        self.flags.system &= !(bit::IF | bit::TF | bit::AC | bit::RF);
        self.settle_stepping();
        let mut cs = Segment::real((target >> 16) as u16);
        cs.limit = self.seg[seg::CS].limit;
        cs.attributes = self.seg[seg::CS].attributes;
        cs.settle();
        self.set_segment(seg::CS, cs);
        self.eip = target & 0xFFFF;
        Ok(())
    }

    fn through_gate(
        &mut self,
        gate: Descriptor,
        code: Option<u16>,
        ext: u16,
        resume: u32,
        io: &mut dyn Io,
    ) -> Run {
        let wide = gate.kind() >= 14;
        let selector = gate.gate_selector();
        if selector & !3 == 0 {
            return Err(Trap::gp(ext));
        }
        let error = selector & !3 | ext;
        let (d, at) = self.descriptor(selector, |s| Trap::gp(s | ext), io)?;
        if !d.is_code() || d.dpl() > self.cpl {
            return Err(Trap::gp(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        let vm = self.v86();
        let image = self.flags.image() | resume;
        let old_cs = self.seg[seg::CS].selector;
        let old_eip = self.eip;
        let inner = !d.is_conforming() && d.dpl() < self.cpl;
        if vm && (!inner || d.dpl() != 0) {
            return Err(Trap::gp(error));
        }
        let cpl = if d.is_conforming() { self.cpl } else { d.dpl() };
        let offset = if wide { gate.gate_offset() } else { gate.gate_offset() & 0xFFFF };
        let mut f = if inner {
            let (ss, esp) = self.inner_stack(cpl, ext, io)?;
            Frame { segment: ss, esp, user: cpl == 3, error: ss.selector & !3 | ext }
        } else {
            Frame { error: ext, ..self.frame() }
        };
        if offset > d.limit() {
            return Err(Trap::gp(ext));
        }
        if vm {
            for n in [seg::GS, seg::FS, seg::DS, seg::ES] {
                self.push_frame(&mut f, u32::from(self.seg[n].selector), wide, io)?;
            }
        }
        if inner {
            self.push_frame(&mut f, u32::from(self.seg[seg::SS].selector), wide, io)?;
            self.push_frame(&mut f, self.regs[reg::ESP], wide, io)?;
        }
        self.push_frame(&mut f, image, wide, io)?;
        self.push_frame(&mut f, u32::from(old_cs), wide, io)?;
        self.push_frame(&mut f, old_eip, wide, io)?;
        if let Some(code) = code {
            self.push_frame(&mut f, u32::from(code), wide, io)?;
        }
        self.mark_accessed(d, at, io)?;
        // Nothing can fail from here on.
        let mut clear = bit::TF | bit::NT | bit::VM | bit::RF;
        if gate.kind() & 1 == 0 {
            clear |= bit::IF;
        }
        if vm {
            for n in [seg::GS, seg::FS, seg::DS, seg::ES] {
                self.set_segment(n, Segment::null(0));
            }
        }
        self.flags.system &= !clear;
        self.settle_stepping();
        if inner {
            self.set_segment(seg::SS, f.segment);
            self.regs[reg::ESP] = f.pointer(f.esp);
        } else {
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
        }
        self.set_segment(seg::CS, Segment::loaded(selector & !3 | u16::from(cpl), d));
        self.set_cpl(cpl);
        self.eip = offset;
        Ok(())
    }

    /// SS and ESP for an inner privilege level, from the task state segment.
    pub fn inner_stack(&mut self, cpl: u8, ext: u16, io: &mut dyn Io) -> Run<(Segment, u32)> {
        let wide = self.tr.attributes & 8 != 0;
        let (at, size) = if wide { (4 + 8 * u32::from(cpl), 8) } else { (2 + 4 * u32::from(cpl), 4) };
        if at + size - 1 > self.tr.limit {
            return Err(Trap::ts(self.tr.selector & !3 | ext));
        }
        let base = self.tr.base.wrapping_add(at);
        let (esp, selector) = if wide {
            (self.read_system::<u32>(base, io)?, self.read_system::<u16>(base.wrapping_add(4), io)?)
        } else {
            (
                u32::from(self.read_system::<u16>(base, io)?),
                self.read_system::<u16>(base.wrapping_add(2), io)?,
            )
        };
        let segment =
            self.stack_segment(selector, cpl, |s| Trap::ts(s | ext), io).map_err(|trap| {
                match trap.kind() {
                    Kind::Fault(vector::SS, Some(code)) => Trap::ss(code | ext),
                    _ => trap,
                }
            })?;
        Ok((segment, esp))
    }

    /// INT n in virtual-8086 mode: through the interrupt redirection bitmap when VME says so.
    ///
    /// # Errors
    /// #GP(0) when IOPL does not permit it.
    pub fn software_interrupt(&mut self, number: u8, io: &mut dyn Io) -> Run {
        if self.v86() {
            if self.cr4 & cr4::VME != 0 && self.redirected(number, io)? {
                let linear = u32::from(number) * 4;
                let target: u32 = self.read_linear(linear, io)?;
                return self.redirect(target, io);
            }
            if self.flags.iopl() < 3 {
                return Err(Trap::gp(0));
            }
        }
        self.raise_software(Event::Software(number), io)
    }

    /// Raises a software event; a fault inside it is the instruction's own fault.
    pub fn raise_software(&mut self, event: Event, io: &mut dyn Io) -> Run {
        self.delivered = true;
        self.deliver(event, io)?;
        Err(Trap::END)
    }

    fn redirected(&mut self, number: u8, io: &mut dyn Io) -> Run<bool> {
        if self.tr.limit < 103 {
            return Ok(false);
        }
        let map: u16 = self.read_system(self.tr.base.wrapping_add(102), io)?;
        let at = u32::from(map).wrapping_sub(32).wrapping_add(u32::from(number >> 3));
        if at > self.tr.limit {
            return Ok(false);
        }
        let byte: u8 = self.read_system(self.tr.base.wrapping_add(at), io)?;
        Ok(byte >> (number & 7) & 1 == 0)
    }

    fn redirect(&mut self, target: u32, io: &mut dyn Io) -> Run {
        let full = self.flags.iopl() == 3;
        let mut image = self.flags.image();
        if !full {
            image = image & !bit::IF | bit::IOPL | if image & bit::VIF != 0 { bit::IF } else { 0 };
        }
        let mut f = self.frame();
        self.push_frame(&mut f, image, false, io)?;
        self.push_frame(&mut f, u32::from(self.seg[seg::CS].selector), false, io)?;
        self.push_frame(&mut f, self.eip, false, io)?;
        self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
        self.flags.system &= !(bit::TF | bit::NT | if full { bit::IF } else { bit::VIF });
        self.settle_stepping();
        self.set_segment(seg::CS, Segment::real((target >> 16) as u16));
        self.eip = target & 0xFFFF;
        Err(Trap::END)
    }

    /// Whether an external interrupt would be taken now.
    #[must_use]
    pub const fn interruptible(&self) -> bool {
        self.flags.has(bit::IF) && !self.shadow
    }

    /// Takes an interrupt from a controller.
    ///
    /// # Errors
    /// When the processor shuts down.
    pub fn interrupt(&mut self, number: u8, io: &mut dyn Io) -> Result<(), super::Stop> {
        self.raise(Event::External(number), io)
    }

    /// Takes a waiting NMI.
    ///
    /// # Errors
    /// When the processor shuts down.
    pub fn take_nmi(&mut self, io: &mut dyn Io) -> Result<(), super::Stop> {
        self.nmi = false;
        self.nmi_blocked = true;
        self.raise(Event::External(vector::NMI), io)
    }
}
