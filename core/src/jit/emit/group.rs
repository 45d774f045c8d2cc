//! Accesses that share one lookup: see [`crate::jit::plan`].

use super::*;

/// Host register that holds the addend of the shared page.
const SHARED: u8 = 10;

impl Emitter<'_> {
    /// The planned access of an instruction as an operand, with r10 looked up if need be (RFLAGS are lost
    /// then). None when it has to be checked by itself.
    pub(super) fn planned(&mut self, i: &Inst, p: Place, slot: usize) -> Option<Rm> {
        let access = self.plan.access(p.index, slot)?;
        if !self.looked_up {
            self.clobber_flags(self.before(i, p));
            let fail = self.asm.label();
            self.look_up(host(access.base), access.offset, fail);
            self.cold.push(Cold::Alone { from: fail, index: p.index, files: self.files });
            self.looked_up = true;
        }
        Some(Rm::Shared { base: host(access.base), disp: access.disp })
    }

    /// Looks the planned range up at the block's start, where RFLAGS hold nothing, if a register shows where it
    /// lies.
    pub(in crate::jit) fn look_up_early(&mut self) {
        if let Some(register) = self.plan.root {
            let fail = self.asm.label();
            self.look_up(host(register), 0, fail);
            self.cold.push(Cold::Alone { from: fail, index: 0, files: self.files });
            self.looked_up = true;
        }
    }

    /// Looks the planned range up, given a register and its distance from the root: all of it in one page, and
    /// that accessible. r8 is lost.
    fn look_up(&mut self, register: u8, offset: i32, fail: Label) {
        let table = if self.plan.write { self.o.write_table } else { 0 };
        self.asm.lea(R8, Some(register), None, self.plan.low - offset);
        self.asm.lea(SHARED, Some(register), None, self.plan.high - offset);
        dynasm!(self.asm ; .arch x64 ; xor r10d, r8d ; shr r10d, 12);
        self.asm.jcc(5, fail);
        dynasm!(self.asm ; .arch x64 ; shr r8d, 12 ; mov r10, [r12 + r8 * 8 + table] ; test r10, r10);
        self.asm.jcc(4, fail);
    }

    /// Looks up again behind an instruction that the interpreter executed, if anybody needs it.
    pub(super) fn look_up_again(&mut self, index: u32) {
        if let Some((register, offset)) = self.plan.behind(index) {
            let fail = self.asm.label();
            self.look_up(host(register), offset, fail);
            // The interpreter has noted what was to be noted.
            let files = Files::default();
            self.cold.push(Cold::Alone { from: fail, index: index + 1, files });
        }
    }

    /// The range cannot be shared: on in a block that begins with instruction `index` and shares nothing. The
    /// flags are in memory if anybody needs them.
    pub(super) fn alone(&mut self, index: u32, files: Files) {
        self.note(files);
        let left = (self.block_total - index) as i32;
        let start = if index == 0 { 0 } else { self.ends[index as usize - 1] };
        dynasm!(self.asm ; .arch x64 ; add r13, left);
        let stub = self.asm.label();
        self.asm.jmp(stub);
        let at = self.asm.at() - 4;
        self.asm.bind(stub);
        let target = self.offset as i32 + start;
        self.linear(R8, target);
        let (number, link, alone) = ((self.first_link + self.alone.len()) as i32, self.o.link, self.o.alone);
        dynasm!(self.asm ; .arch x64
            ; mov DWORD [r14 + alone], 1
            ; mov DWORD [r14 + link], number);
        self.asm.jmp_outside(self.thunks.miss);
        let tail = self.asm.at() - 4;
        self.alone.push(Alone { at, stub, tail, target });
    }
}
