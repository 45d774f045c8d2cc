//! Segments that are not flat: bases and limits, registers loaded with paragraphs, branches inside a segment.

use super::*;
use crate::cpu::run::{loads_paragraph, segment_loaded};

impl Emitter<'_> {
    /// An offset in a segment, in r8d, to a linear address, checking the segment's limit and rights for `size` bytes.
    /// RFLAGS and r9 are lost.
    pub(super) fn segment(&mut self, number: u8, size: u8, write: bool, slow: Label) {
        if mode::is_flat(self.mode, number) {
            return;
        }
        let seg = self.o.segment(number);
        let span = seg + if write { self.o.write_span } else { self.o.read_span };
        self.asm.lea_wide(R9, R8, i32::from(size));
        self.asm.modrm(8, 0x3B, R9, Rm::Field(span));
        self.asm.jcc(7, slow);
        self.asm.modrm(4, 0x03, R8, Rm::Field(seg + self.o.base));
    }

    /// MOV from a segment register: memory takes 16 bits whatever the operand size.
    pub(super) fn segment_store(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let number = i.reg[1];
        if number > 5 {
            return None;
        }
        let selector = self.selector(number);
        Some(match Self::operand(i, 0)? {
            Opnd::Reg(a) if i.oper16() => {
                self.asm.modrm(2, 0x8B, host(a), selector);
                Done::Next
            }
            Opnd::Reg(a) => {
                self.asm.modrm(4, 0x0FB7, host(a), selector);
                Done::Next
            }
            Opnd::Mem => self.with_memory(i, p, 2, true, |s, rm| {
                s.asm.modrm(4, 0x0FB7, R11, selector);
                s.asm.modrm(2, 0x89, R11, rm);
            }),
            Opnd::Imm(_) => return None,
        })
    }

    /// A segment register's selector.
    pub(super) fn selector(&self, number: u8) -> Rm {
        Rm::Field(self.o.segment(number) + crate::jit::fp::at::SELECTOR)
    }

    /// MOV and POP to a segment register, LES and its like, where that loads a paragraph's number.
    pub(super) fn segment_load(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let number = segment_loaded(i).filter(|_| loads_paragraph(i, self.mode))?;
        let row = i.row();
        // With the selectors of now.
        self.note_pointers();
        if row.operands[0] == Operand::Sw {
            return Some(match Self::operand(i, 1)? {
                Opnd::Reg(a) => {
                    self.asm.modrm(4, 0x0FB7, R11, Rm::Reg(host(a)));
                    self.load_paragraph(number);
                    Done::Next
                }
                _ => self.with_memory(i, p, 2, false, |s, rm| {
                    s.asm.modrm(4, 0x0FB7, R11, rm);
                    s.load_paragraph(number);
                }),
            });
        }
        let size = if i.oper16() { 2 } else { 4 };
        if row.operands[0] != Operand::Gv {
            return self.stack_read(i, p, ESP, size, |s, rm| {
                s.asm.modrm(4, 0x0FB7, R11, rm);
                s.load_paragraph(number);
                s.move_stack(i32::from(size));
            });
        }
        if !i.is_memory() {
            return None;
        }
        // Offset and selector in one access: where they wrap or cross a page, the slow way tells them apart.
        Some(self.with_memory(i, p, size + 2, false, |s, rm| {
            s.asm.modrm(size, 0x8B, host(i.reg[0]), rm);
            s.asm.lea(R8, Some(R8), None, i32::from(size));
            s.asm.modrm(4, 0x0FB7, R11, rm);
            s.load_paragraph(number);
        }))
    }

    /// The selector in r11d to a segment register, as real and virtual-8086 mode do. RFLAGS stay, r11 is lost.
    fn load_paragraph(&mut self, number: u8) {
        let (selector, base) = (self.selector(number), self.o.segment(number) + self.o.base);
        self.asm.modrm(2, 0x89, R11, selector);
        self.asm.lea(R11, None, Some((R11, 3)), 0);
        self.asm.lea(R11, Some(R11), Some((R11, 0)), 0);
        self.asm.modrm(4, 0x89, R11, Rm::Field(base));
    }

    /// Branches that need the stack or an address at run time, in code that knows its place. `target` is where a
    /// relative one goes, from the page's beginning.
    pub(super) fn segmented_branch(&mut self, i: &Inst, p: Place, target: i32) -> Jumps {
        use Lowering as L;
        let row = i.row();
        let size = if i.oper16() { 2 } else { 4 };
        let slow = self.asm.label();
        self.clobber_flags(p.live);
        match row.lowering {
            L::CallNear => {
                self.push_return_address(i, p, size, slow);
                self.slow_end(p, slow);
                return Jumps::always(target);
            }
            L::Return => {
                self.stack_address(ESP, 0, size, false, slow);
                self.load_target(size, Rm::Guest);
                self.inside(size, slow);
                let release = i32::from(size) + if row.operands[0] == Operand::Iw { i.imm as i32 } else { 0 };
                // Moving the stack pointer may take r8.
                self.asm.mov(R9, R8);
                self.move_stack(release);
                self.asm.mov(R8, R9);
            }
            _ => {
                match Self::operand(i, 0) {
                    Some(Opnd::Reg(a)) => self.load_target(size, Rm::Reg(host(a))),
                    _ => {
                        self.address(i, size, false, slow);
                        self.check(size, false, slow);
                        self.load_target(size, Rm::Guest);
                    }
                }
                self.inside(size, slow);
                if row.lowering == L::CallIndirect {
                    let scratch = Rm::Field(self.o.scratch);
                    self.asm.modrm(4, 0x89, R8, scratch);
                    self.push_return_address(i, p, size, slow);
                    self.asm.modrm(4, 0x8B, R8, scratch);
                }
            }
        }
        self.asm.lea(R8, Some(R8), None, self.home.base as i32);
        self.indirect();
        self.slow_end(p, slow);
        Jumps::NONE
    }

    fn load_target(&mut self, size: u8, rm: Rm) {
        self.asm.modrm(4, if size == 2 { 0x0FB7 } else { 0x8B }, R8, rm);
    }

    /// The target in r8d lies in the code segment. RFLAGS are lost.
    fn inside(&mut self, size: u8, slow: Label) {
        let limit = self.home.limit;
        if limit < if size == 2 { 0xFFFF } else { u32::MAX } {
            dynasm!(self.asm ; .arch x64 ; cmp r8d, DWORD limit as i32);
            self.asm.jcc(7, slow);
        }
    }

    fn push_return_address(&mut self, i: &Inst, p: Place, size: u8, slow: Label) {
        self.stack_address(ESP, -i32::from(size), size, true, slow);
        self.asm.modrm(size, 0xC7, 0, Rm::Guest);
        let behind = self.at[p.index as usize] + i32::from(i.len);
        self.constant(size, self.place_in_segment(behind));
        self.move_stack(-i32::from(size));
    }
}
