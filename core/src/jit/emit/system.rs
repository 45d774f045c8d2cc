//! Flags that are not status flags, and instructions on whole frames.

use super::*;
use crate::cpu::flags::bit;

const EBP: u8 = 5;

impl Emitter<'_> {
    /// CLD and STD.
    pub(super) fn direction(&mut self, i: &Inst, p: Place) -> Option<Done> {
        self.clobber_flags(self.before(i, p));
        let (system, stride) = (self.o.system, self.o.stride);
        if i.row().opcode == 0xFC {
            dynasm!(self.asm ; .arch x64
                ; and DWORD [r14 + system], !bit::DF as i32
                ; mov DWORD [r14 + stride], 1);
        } else {
            dynasm!(self.asm ; .arch x64
                ; or DWORD [r14 + system], bit::DF as i32
                ; mov DWORD [r14 + stride], -1);
        }
        Some(Done::Next)
    }

    /// CLI, where nothing forbids it.
    pub(super) fn clear_interrupts(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        let (system, cpl) = (self.o.system, self.o.cpl);
        dynasm!(self.asm ; .arch x64 ; cmp BYTE [r14 + cpl], 0);
        self.asm.jcc(5, slow);
        dynasm!(self.asm ; .arch x64 ; and DWORD [r14 + system], !bit::IF as i32);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// PUSHF, but for virtual-8086 mode, where IOPL has a say.
    pub(super) fn push_flags(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let size = if i.oper16() { 2 } else { 4 };
        let slow = self.asm.label();
        // The status flags are in RFLAGS, and in memory for the slow way.
        self.clobber_flags(self.before(i, p));
        let system = self.o.system;
        dynasm!(self.asm ; .arch x64
            ; pushfq
            ; pop r11
            ; and r11d, bit::STATUS as i32
            ; or r11d, 2
            ; or r11d, [r14 + system]
            ; test r11d, bit::VM as i32);
        self.asm.jcc(5, slow);
        dynasm!(self.asm ; .arch x64 ; and r11d, !bit::RF as i32);
        self.stack_address(ESP, -i32::from(size), size, true, slow);
        self.asm.modrm(size, 0x89, R11, Rm::Guest);
        self.move_stack(-i32::from(size));
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// PUSHA, where all of it lies in one page.
    pub(super) fn push_all(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let size = if i.oper16() { 2 } else { 4 };
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        self.stack_address(ESP, -8 * i32::from(size), 8 * size, true, slow);
        for register in (0..8).rev() {
            self.asm.modrm(size, 0x89, host(register), Rm::Guest);
            if register != 0 {
                self.asm.lea(R8, Some(R8), None, i32::from(size));
            }
        }
        self.move_stack(-8 * i32::from(size));
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// POPA, where all of it lies in one page.
    pub(super) fn pop_all(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let size = if i.oper16() { 2 } else { 4 };
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        self.stack_address(ESP, 0, 8 * size, false, slow);
        for register in (0..8).rev() {
            if host(register) != ESP {
                self.asm.modrm(size, 0x8B, host(register), Rm::Guest);
            }
            if register != 0 {
                self.asm.lea(R8, Some(R8), None, i32::from(size));
            }
        }
        self.move_stack(8 * i32::from(size));
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// ENTER without a display.
    pub(super) fn enter(&mut self, i: &Inst, p: Place) -> Option<Done> {
        if i.disp & 31 != 0 {
            return None;
        }
        let size = if i.oper16() { 2 } else { 4 };
        let (link, frame) = (-i32::from(size), -i32::from(size) - (i.imm & 0xFFFF) as i32);
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        // The new top of the stack must be writable.
        self.stack_address(ESP, frame, 1, true, slow);
        self.stack_address(ESP, link, size, true, slow);
        self.asm.modrm(size, 0x89, EBP, Rm::Guest);
        self.asm.lea(R8, Some(ESP), None, link);
        if size == 2 || self.mode & mode::STACK32 != 0 {
            self.asm.modrm(size, 0x89, R8, Rm::Reg(EBP));
        } else {
            self.asm.mov(EBP, ESP);
            self.asm.modrm(2, 0x89, R8, Rm::Reg(EBP));
        }
        self.move_stack(frame);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
