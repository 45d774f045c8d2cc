//! Hardware task switches, 16- and 32-bit.
//!
//! Spec: Intel SDM volume 3, chapter 7.

use super::fault::{Kind, vector};
use super::flags::bit;
use super::segment::{Descriptor, Segment, seg};
use super::system::system_segment;
use super::{Cpu, Io, Run, Trap, cr0, reg};

/// What caused a task switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// JMP.
    Jump,
    /// CALL, or an interrupt.
    Call,
    /// IRET with NT set.
    Return,
}

impl Cpu {
    /// An interrupt or exception through a task gate.
    pub fn task_gate(&mut self, selector: u16, code: Option<u16>, ext: u16, io: &mut dyn Io) -> Run {
        if selector & 4 != 0 || selector & !3 == 0 {
            return Err(Trap::gp(selector & !3 | ext));
        }
        let (d, _) = self.descriptor(selector, |s| Trap::gp(s | ext), io)?;
        if d.is_segment() || !matches!(d.kind(), 1 | 9) {
            return Err(Trap::gp(selector & !3 | ext));
        }
        if !d.present() {
            return Err(Trap::np(selector & !3 | ext));
        }
        self.switch_task(selector, Switch::Call, Some(code), io)
    }

    /// IRET with NT set: back to the task in the back link.
    pub fn return_from_task(&mut self, io: &mut dyn Io) -> Run {
        let link: u16 = self.read_system(self.tr.base, io)?;
        if link & 4 != 0 {
            return Err(Trap::ts(link & !3));
        }
        self.switch_task(link, Switch::Return, None, io)
    }

    /// Switches tasks. `event` is given for interrupts: their error code, if any, is pushed in the new task.
    ///
    /// # Errors
    /// Faults before the commit point leave the old task as it was; later ones happen in the new task.
    pub fn switch_task(
        &mut self,
        selector: u16,
        cause: Switch,
        event: Option<Option<u16>>,
        io: &mut dyn Io,
    ) -> Run {
        let error = selector & !3;
        let bad = move |s: u16| if cause == Switch::Return { Trap::ts(s) } else { Trap::gp(s) };
        if error == 0 || selector & 4 != 0 {
            return Err(bad(error));
        }
        let (d, at) = self.descriptor(selector, bad, io)?;
        let busy = if cause == Switch::Return { 2 } else { 0 };
        if d.is_segment() || !matches!(d.kind() & !2, 1 | 9) || d.kind() & 2 != busy {
            return Err(bad(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        let wide = d.kind() & 8 != 0;
        if d.limit() < if wide { 103 } else { 43 } {
            return Err(Trap::ts(error));
        }
        let new = system_segment(selector, d);
        let size = if wide { 104 } else { 44 };
        let mut state = [0u8; 104];
        for n in (0..size).step_by(4) {
            let dword: u32 = self.read_system(new.base.wrapping_add(n), io)?;
            state[n as usize..n as usize + 4].copy_from_slice(&dword.to_le_bytes());
        }
        self.save_task(cause, io)?;

        // Commit.
        if cause != Switch::Call {
            let old = self.descriptor(self.tr.selector, Trap::ts, io)?;
            self.write_system(old.1.wrapping_add(5), (old.0.high >> 8) as u8 & !2, io)?;
        }
        if cause != Switch::Return {
            self.write_system(at.wrapping_add(5), (d.high >> 8) as u8 | 2, io)?;
        }
        if cause == Switch::Call {
            self.write_system(new.base, self.tr.selector, io)?;
        }
        self.tr = new;
        self.tr.attributes |= 2;
        self.cr0 |= cr0::TS;
        if let Err(trap) = self.load_task(&state, wide, cause, io) {
            return self.fault_in_new_task(trap, io);
        }
        if let Some(Some(code)) = event {
            let mut f = self.frame();
            self.push_frame(&mut f, u32::from(code), wide, io)?;
            self.regs[reg::ESP] = f.pointer(self.regs[reg::ESP]);
        }
        if wide && state[100] & 1 != 0 {
            // The debug trap bit: #DB before the first instruction of the new task.
            self.dr[6] |= 1 << 15;
            self.raise(super::interrupt::Event::Trap(vector::DB), io).map_err(|_| Trap::SHUTDOWN)?;
        }
        Ok(())
    }

    /// Delivers what is wrong with the new task in the new task, before its first instruction. When that leads
    /// into a task which is wrong as well, the processor shuts down: tables in ROM, whose busy bits do not stay
    /// set, must not make it go round for ever.
    fn fault_in_new_task(&mut self, trap: Trap, io: &mut dyn Io) -> Run {
        let Kind::Fault(vector, code) = trap.kind() else { return Err(trap) };
        if core::mem::replace(&mut self.task_faulted, true) {
            return Err(Trap::SHUTDOWN);
        }
        let raised = self.raise(super::interrupt::Event::Fault(vector, code), io);
        self.task_faulted = false;
        raised.map_err(|_| Trap::SHUTDOWN)
    }

    fn save_task(&mut self, cause: Switch, io: &mut dyn Io) -> Run {
        let mut image = self.flags.image();
        if cause == Switch::Return {
            image &= !bit::NT;
        }
        let base = self.tr.base;
        if self.tr.attributes & 8 != 0 {
            self.write_system(base.wrapping_add(0x20), self.eip, io)?;
            self.write_system(base.wrapping_add(0x24), image, io)?;
            for n in 0..8 {
                self.write_system(base.wrapping_add(0x28 + 4 * n), self.regs[n as usize], io)?;
            }
            for n in 0..6 {
                let selector = self.seg[n as usize].selector;
                self.write_system(base.wrapping_add(0x48 + 4 * n), selector, io)?;
            }
        } else {
            self.write_system(base.wrapping_add(0x0E), self.eip as u16, io)?;
            self.write_system(base.wrapping_add(0x10), image as u16, io)?;
            for n in 0..8 {
                self.write_system(base.wrapping_add(0x12 + 2 * n), self.regs[n as usize] as u16, io)?;
            }
            for n in 0..4 {
                let selector = self.seg[n as usize].selector;
                self.write_system(base.wrapping_add(0x22 + 2 * n), selector, io)?;
            }
        }
        Ok(())
    }

    fn load_task(&mut self, state: &[u8; 104], wide: bool, cause: Switch, io: &mut dyn Io) -> Run {
        let word = |at: usize| u16::from_le_bytes([state[at], state[at + 1]]);
        let dword = |at: usize| u32::from(word(at)) | u32::from(word(at + 2)) << 16;
        let (eip, mut image, ldt);
        let mut selectors = [0; 6];
        if wide {
            if self.cr0 & cr0::PG != 0 {
                self.set_cr3(dword(0x1C), io)?;
            }
            eip = dword(0x20);
            image = dword(0x24);
            for n in 0..8 {
                self.regs[n] = dword(0x28 + 4 * n);
            }
            for (n, s) in selectors.iter_mut().enumerate() {
                *s = word(0x48 + 4 * n);
            }
            ldt = word(0x60);
        } else {
            eip = u32::from(word(0x0E));
            image = u32::from(word(0x10));
            for n in 0..8 {
                self.regs[n] = 0xFFFF_0000 | u32::from(word(0x12 + 2 * n));
            }
            for (n, s) in selectors.iter_mut().take(4).enumerate() {
                *s = word(0x22 + 2 * n);
            }
            ldt = word(0x2A);
        }
        if cause == Switch::Call {
            image |= bit::NT;
        }
        self.eip = eip;
        self.set_flags(image & (bit::STATUS | bit::SYSTEM));
        self.dr[7] &= !0x155;
        self.settle_stepping();
        // The selectors are in place before they are checked: a fault happens in the new task.
        for (n, &selector) in selectors.iter().enumerate() {
            self.set_segment(n, Segment::null(selector));
        }
        self.ldtr = Segment { selector: ldt, ..Segment::default() };
        if self.v86() {
            self.set_cpl(3);
            for (n, &selector) in selectors.iter().enumerate() {
                self.set_segment(n, Segment::real(selector));
            }
            return self.load_ldt(ldt, Trap::ts, io).map_err(as_ts);
        }
        // Until SS can be used, a fault takes the stack that the new task has for privilege 0. CS comes last, so
        // that what is wrong with it is told on the new task's own stack (the order that Bochs has as well).
        self.set_cpl(3);
        self.load_ldt(ldt, Trap::ts, io).map_err(as_ts)?;
        let cpl = (selectors[seg::CS] & 3) as u8;
        let ss = self.stack_segment(selectors[seg::SS], cpl, Trap::ts, io)?;
        self.set_cpl(cpl);
        self.set_segment(seg::SS, ss);
        for n in [seg::DS, seg::ES, seg::FS, seg::GS] {
            self.load_segment(n, selectors[n], io).map_err(|trap| match trap.kind() {
                Kind::Fault(vector::GP, Some(code)) => Trap::ts(code),
                _ => trap,
            })?;
        }
        self.load_task_code(selectors[seg::CS], io)?;
        if eip > self.seg[seg::CS].limit {
            return Err(Trap::gp(0));
        }
        Ok(())
    }

    fn load_task_code(&mut self, selector: u16, io: &mut dyn Io) -> Run {
        let error = selector & !3;
        if error == 0 {
            return Err(Trap::ts(0));
        }
        let (d, at): (Descriptor, u32) = self.descriptor(selector, Trap::ts, io)?;
        let rpl = (selector & 3) as u8;
        if !d.is_code() || d.is_conforming() && d.dpl() > rpl || !d.is_conforming() && d.dpl() != rpl {
            return Err(Trap::ts(error));
        }
        if !d.present() {
            return Err(Trap::np(error));
        }
        self.mark_accessed(d, at, io)?;
        self.set_segment(seg::CS, Segment::loaded(selector, d));
        Ok(())
    }
}

/// In a task switch, what is wrong with the new task's LDT is a #TS.
fn as_ts(trap: Trap) -> Trap {
    match trap.kind() {
        Kind::Fault(vector::NP, Some(code)) => Trap::ts(code),
        _ => trap,
    }
}
