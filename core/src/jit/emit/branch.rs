//! Near branches.

use super::again::Again;
use super::*;
use crate::jit::entries::JUMPS;
use crate::jit::trace::Successors;

impl Emitter<'_> {
    /// Lowers a branch at the end of a block. Returns direct jumps to be emitted, or none when control has already
    /// left.
    pub(in crate::jit) fn branch(
        &mut self,
        i: &Inst,
        p: Place,
        to: Option<&Successors>,
        on: Option<Return>,
    ) -> Jumps {
        use Lowering as L;
        let row = i.row();
        let none = Jumps::NONE;
        // Out of the segment: only the interpreter knows that fault.
        let Some(&Successors { next, target }) = to else {
            self.interpret(i, p, true);
            return none;
        };
        match row.lowering {
            L::JumpCx => self.ecx_jump(i, next, target),
            L::JumpIndirect | L::CallNear | L::CallIndirect | L::Return if self.mode & mode::FLAT == 0 => {
                self.segmented_branch(i, p, target)
            }
            L::Jump => Jumps::always(target),
            L::JumpIndirect => {
                self.target(i, p);
                self.indirect();
                none
            }
            L::CallNear => {
                self.push_return(i, p, next);
                Jumps::always(target)
            }
            L::CallIndirect => {
                self.target(i, p);
                let at = self.o.scratch;
                self.asm.modrm(4, 0x89, R8, Rm::Field(at));
                self.push_return(i, p, next);
                self.asm.modrm(4, 0x8B, R8, Rm::Field(at));
                self.indirect();
                none
            }
            L::Return => {
                let release = again::released(i);
                if let Some(rm) = self.planned(i, p, 0) {
                    self.asm.modrm(4, 0x8B, R8, rm);
                } else if self.in_window(p) {
                    let slow = self.asm.label();
                    self.branch_through(p, slow, 0x8B, R8, Self::window_stack(ESP, 0));
                } else {
                    self.clobber_flags(p.live);
                    let slow = self.asm.label();
                    self.asm.mov(R8, ESP);
                    self.check(4, false, slow);
                    self.asm.modrm(4, 0x8B, R8, Rm::Guest);
                    self.slow_end(p, slow);
                }
                self.asm.lea(ESP, Some(ESP), None, release);
                match on {
                    Some(on) => self.follow(on, self.again(p.index, release, on.live)),
                    None => self.indirect(),
                }
                none
            }
            L::Loop => {
                self.count_down(i);
                // ECX = 0 falls through: the two targets change places.
                self.ecx_jump(i, target, next)
            }
            L::LoopCc => {
                self.host_flags(self.before(i, p));
                self.count_down(i);
                // LOOPNE is E0h, LOOPE E1h: on E or NE falls through.
                let condition = if row.opcode & 1 == 0 { 4 } else { 5 };
                self.ecx_jump(i, target, next).unless(condition, next)
            }
            L::JumpCc => {
                self.host_flags(self.before(i, p));
                Jumps::either(row.opcode as u8 & 15, target, next)
            }
            _ => {
                self.interpret(i, p, true);
                none
            }
        }
    }

    /// To the address in r8d. The table has one place for all addresses with the same low bits; what it leads
    /// to looks itself whether it is meant.
    pub(super) fn indirect(&mut self) {
        self.keep_flags(OSZAPC);
        self.jump_by_table();
    }

    /// To the address in r8d, with flags in memory.
    fn jump_by_table(&mut self) {
        let jumps = self.o.jumps;
        self.asm.modrm(8, 0x8B, R10, Rm::Field(jumps));
        dynasm!(self.asm ; .arch x64 ; mov r9d, r8d ; and r9d, (JUMPS - 1) as i32 ; jmp QWORD [r10 + r9 * 8]);
    }

    /// On in the trace, if that is where the address in r8d leads. With `again`, flags are needed only where it is not.
    fn follow(&mut self, on: Return, again: Option<Again>) {
        let from = self.asm.label();
        match again {
            Some(_) => self.flags = Where::default(),
            None => self.clobber_flags(OSZAPC),
        }
        self.linear(R9, on.to);
        dynasm!(self.asm ; .arch x64 ; cmp r8d, r9d);
        self.asm.jcc(5, from);
        self.astray.push(Astray { from, rest: on.rest, again });
    }

    /// Ways out of returns that lead elsewhere.
    pub(in crate::jit) fn ways_astray(&mut self) {
        let aside = self.o.aside;
        for n in 0..self.astray.len() {
            let Astray { from, rest, again } = self.astray[n];
            self.asm.bind(from);
            if let Some(again) = again {
                self.make_again(again);
                self.save_flags();
            }
            if self.plan.rounds {
                dynasm!(self.asm ; .arch x64 ; add r13, [r14 + aside]);
            }
            if rest != 0 {
                self.asm.lea_wide(13, 13, rest as i32);
            }
            self.jump_by_table();
        }
    }

    /// The slow way of a branch that the interpreter then does as a whole.
    pub(super) fn slow_end(&mut self, p: Place, slow: Label) {
        self.slow_end_from(p, slow, false);
    }

    /// The same; with `save`, flags that are needed are in RFLAGS alone.
    pub(super) fn slow_end_from(&mut self, p: Place, slow: Label, save: bool) {
        let site = self.site(p, p.live & OSZAPC != 0, false, true);
        self.cold.push(Cold::Slow { from: slow, next: slow, site, save, restore: false, again: None });
    }

    /// A jump on (E)CX = 0, which no condition code tells.
    fn ecx_jump(&mut self, i: &Inst, next: i32, target: i32) -> Jumps {
        Jumps::either(if i.addr16() { 17 } else { 16 }, target, next)
    }

    /// Decrements (E)CX. RFLAGS stay.
    fn count_down(&mut self, i: &Inst) {
        if i.addr16() {
            self.asm.lea(R8, Some(1), None, -1);
            self.asm.modrm(2, 0x89, R8, Rm::Reg(1));
        } else {
            self.asm.lea(1, Some(1), None, -1);
        }
    }

    /// Target of an indirect branch to r8d.
    fn target(&mut self, i: &Inst, p: Place) {
        if let Some(Opnd::Reg(a)) = Self::operand(i, 0) {
            self.asm.mov(R8, host(a));
            return;
        }
        if let Some(rm) = self.planned(i, p, 0) {
            self.asm.modrm(4, 0x8B, R8, rm);
            return;
        }
        if self.windowed(i, p) {
            let slow = self.asm.label();
            let rm = self.window_operand(i, p.live, 4, false, slow);
            self.branch_through(p, slow, 0x8B, R8, rm);
            return;
        }
        self.clobber_flags(p.live);
        let slow = self.asm.label();
        self.address(i, 4, false, slow);
        self.check(4, false, slow);
        self.asm.modrm(4, 0x8B, R8, Rm::Guest);
        self.slow_end(p, slow);
    }

    /// Pushes the address behind a call.
    fn push_return(&mut self, i: &Inst, p: Place, next: i32) {
        if let Some(rm) = self.planned(i, p, 1) {
            self.eip(R11, next);
            self.asm.modrm(4, 0x89, R11, rm);
            self.asm.lea(ESP, Some(ESP), None, -4);
            return;
        }
        if self.in_window(p) {
            let slow = self.asm.label();
            self.eip(R11, next);
            self.branch_through(p, slow, 0x89, R11, Self::window_stack(ESP, -4));
            self.asm.lea(ESP, Some(ESP), None, -4);
            return;
        }
        self.clobber_flags(p.live);
        let slow = self.asm.label();
        self.asm.lea(R8, Some(ESP), None, -4);
        self.check(4, true, slow);
        self.eip(R11, next);
        self.asm.modrm(4, 0x89, R11, Rm::Guest);
        self.asm.mov(ESP, R8);
        self.slow_end(p, slow);
    }
}
