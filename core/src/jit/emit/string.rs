//! String instructions without a repeat prefix, and XLAT.

use super::*;

const ESI: u8 = 6;
const EDI: u8 = 7;
const ES: u8 = 0;

impl Emitter<'_> {
    /// MOVS CMPS STOS LODS SCAS, one element.
    pub(super) fn string(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let opcode = i.row().opcode;
        let size = match opcode & 1 {
            0 => 1,
            _ if i.oper16() => 2,
            _ => 4,
        };
        let wide = u32::from(size != 1);
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        let (source, target) = match opcode & !1 {
            // MOVS: through r11.
            0xA4 => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, R11, Rm::Guest);
                self.element(i, (ES, EDI), size, true, slow);
                self.asm.modrm(size, 0x88 + wide, R11, Rm::Guest);
                (true, true)
            }
            // CMPS.
            0xA6 => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, R11, Rm::Guest);
                self.element(i, (ES, EDI), size, false, slow);
                self.asm.modrm(size, 0x3A + wide, R11, Rm::Guest);
                (true, true)
            }
            // STOS.
            0xAA => {
                self.element(i, (ES, EDI), size, true, slow);
                self.asm.modrm(size, 0x88 + wide, 0, Rm::Guest);
                (false, true)
            }
            // LODS.
            0xAC => {
                self.element(i, (i.segment, ESI), size, false, slow);
                self.asm.modrm(size, 0x8A + wide, 0, Rm::Guest);
                (true, false)
            }
            // SCAS.
            0xAE => {
                self.element(i, (ES, EDI), size, false, slow);
                self.asm.modrm(size, 0x3A + wide, 0, Rm::Guest);
                (false, true)
            }
            _ => return None,
        };
        for register in [(source, ESI), (target, EDI)].into_iter().filter_map(|(moves, r)| moves.then_some(r))
        {
            let stride = self.o.stride;
            self.asm.modrm(4, 0x8B, R8, Rm::Field(stride));
            let scaled = Some((R8, size.trailing_zeros() as u8));
            if i.addr16() {
                self.asm.lea(R8, Some(register), scaled, 0);
                self.asm.modrm(2, 0x89, R8, Rm::Reg(register));
            } else {
                self.asm.lea(register, Some(register), scaled, 0);
            }
        }
        self.flags_done(i);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }

    /// Checks the element that an index register points to: afterwards it is `[r9 + r8]`.
    fn element(&mut self, i: &Inst, (segment, register): (u8, u8), size: u8, write: bool, slow: Label) {
        self.asm.modrm(4, if i.addr16() { 0x0FB7 } else { 0x8B }, R8, Rm::Reg(register));
        self.segment(segment, size, write, slow);
        self.check(size, write, slow);
    }

    /// XLAT.
    pub(super) fn translate_byte(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let slow = self.asm.label();
        self.clobber_flags(self.before(i, p));
        dynasm!(self.asm ; .arch x64 ; movzx r8d, al ; lea r8d, [rbx + r8]);
        if i.addr16() {
            dynasm!(self.asm ; .arch x64 ; movzx r8d, r8w);
        }
        self.segment(i.segment, 1, false, slow);
        self.check(1, false, slow);
        self.asm.modrm(1, 0x8A, 0, Rm::Guest);
        self.slow_way(i, p, slow);
        Some(Done::Next)
    }
}
