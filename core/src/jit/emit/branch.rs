//! Near branches.

use super::*;
use alloc::vec;

impl Emitter<'_> {
    /// Lowers a branch at the end of a block. `next` is the offset behind it from the EIP base. Returns direct
    /// jumps to be emitted, or none when control has already left.
    pub(in crate::jit) fn branch(&mut self, i: &Inst, p: Place, next: i32) -> Vec<Jump> {
        use Lowering as L;
        let row = i.row();
        let none = vec![];
        let counts = matches!(row.lowering, L::JumpCx | L::Loop | L::LoopCc);
        if i.oper16() || i.addr16() && (counts || i.is_memory()) {
            self.interpret(i, p, true);
            return none;
        }
        let target = next.wrapping_add(i.imm as i32);
        match row.lowering {
            L::JumpCx => self.ecx_jump(next, target),
            L::Jump => {
                vec![Jump { condition: None, target, saved: false }]
            }
            L::JumpIndirect => {
                self.save_flags();
                if self.target(i, p) {
                    self.asm.jmp_outside(self.thunks.lookup);
                }
                none
            }
            L::CallNear => {
                self.save_flags();
                self.push_return(i, p, next);
                vec![Jump { condition: None, target, saved: true }]
            }
            L::CallIndirect => {
                self.save_flags();
                if self.target(i, p) {
                    let at = self.o.scratch;
                    self.asm.modrm(4, 0x89, R8, Rm::Field(at));
                    self.push_return(i, p, next);
                    self.asm.modrm(4, 0x8B, R8, Rm::Field(at));
                    self.asm.jmp_outside(self.thunks.lookup);
                }
                none
            }
            L::Return => {
                self.save_flags();
                let slow = self.asm.label();
                self.asm.mov(R8, ESP);
                self.check(4, false, slow);
                self.asm.modrm(4, 0x8B, R8, Rm::Guest);
                let release = if row.operands[0] == Operand::Iw { 4 + i.imm as i32 } else { 4 };
                self.asm.lea(ESP, Some(ESP), None, release);
                self.asm.jmp_outside(self.thunks.lookup);
                let site = self.site(i, p, true, false, true);
                self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
                none
            }
            L::Loop => {
                self.asm.lea(1, Some(1), None, -1);
                let mut jumps = self.ecx_jump(next, target);
                // ECX = 0 falls through: the two targets change places.
                let (a, b) = (jumps[0].target, jumps[1].target);
                jumps[0].target = b;
                jumps[1].target = a;
                jumps
            }
            L::JumpCc => {
                let condition = Some(row.opcode as u8 & 15);
                vec![
                    Jump { condition, target, saved: false },
                    Jump { condition: None, target: next, saved: false },
                ]
            }
            _ => {
                self.interpret(i, p, true);
                none
            }
        }
    }

    /// A jump on ECX = 0, which no condition code tells: condition 16.
    pub(super) fn ecx_jump(&mut self, next: i32, target: i32) -> Vec<Jump> {
        vec![
            Jump { condition: Some(16), target, saved: false },
            Jump { condition: None, target: next, saved: false },
        ]
    }

    /// Target of an indirect branch to r8d. False when the instruction is interpreted instead.
    pub(super) fn target(&mut self, i: &Inst, p: Place) -> bool {
        match Self::operand(i, 0) {
            Some(Opnd::Reg(a)) => {
                self.asm.mov(R8, host(a));
                true
            }
            _ => {
                let slow = self.asm.label();
                let start = self.asm.at();
                if !self.address(i, 4, false, slow) {
                    self.asm.bytes.truncate(start);
                    self.interpret(i, p, true);
                    return false;
                }
                self.check(4, false, slow);
                self.asm.modrm(4, 0x8B, R8, Rm::Guest);
                let site = self.site(i, p, true, false, true);
                self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
                true
            }
        }
    }

    /// Pushes the address behind a call. The flags are saved already.
    pub(super) fn push_return(&mut self, i: &Inst, p: Place, next: i32) {
        let slow = self.asm.label();
        self.asm.lea(R8, Some(ESP), None, -4);
        self.check(4, true, slow);
        self.eip(R11, next);
        self.asm.modrm(4, 0x89, R11, Rm::Guest);
        self.asm.mov(ESP, R8);
        let site = self.site(i, p, true, false, true);
        self.cold.push(Cold::Slow { from: slow, next: slow, site, restore: false });
    }
}
