//! Accesses that share lookups: see [`crate::jit::plan`].

use super::*;
use crate::jit::plan::Address;
use crate::memory::PAGE;

/// Host register that holds the addend of the first group.
const FIRST: u8 = 10;

impl Emitter<'_> {
    /// The planned access of an instruction as an operand, with its group looked up if need be (RFLAGS are lost
    /// then). None when it has to be checked by itself. Of the second and further groups, r9 is lost; where
    /// the address is not a near base register, r8 is.
    pub(super) fn planned(&mut self, i: &Inst, p: Place, slot: usize) -> Option<Rm> {
        let access = self.plan.access(p.index, slot)?;
        let bit = 1 << access.group;
        if self.looked_up & bit == 0 {
            self.clobber_flags(self.before(i, p));
            let fail = self.asm.label();
            self.look_up(access.group, access.address, access.offset, fail);
            self.cold.push(Cold::Alone { from: fail, index: p.index, files: self.files });
            self.looked_up |= bit;
        }
        let via = if access.group == 0 {
            FIRST
        } else {
            self.asm.modrm(8, 0x8B, R9, Rm::Field(self.addend(access.group)));
            R9
        };
        let Address { base, disp, .. } = access.address;
        if access.plain {
            return Some(Rm::Shared { via, base: host(base), disp });
        }
        self.lea_address(R8, access.address, disp);
        Some(Rm::Shared { via, base: R8, disp: 0 })
    }

    /// LEA of an address with another displacement.
    fn lea_address(&mut self, to: u8, address: Address, disp: i32) {
        let base = (address.base != NO_REG).then(|| host(address.base));
        let index = (address.index != NO_REG).then(|| (host(address.index), address.scale));
        self.asm.lea(to, base, index, disp);
    }

    /// Where a group's addend is kept.
    const fn addend(&self, group: usize) -> i32 {
        self.o.addends + 8 * group as i32
    }

    /// Looks groups up at the start, where RFLAGS hold nothing, if registers show where they lie: all of them in a
    /// loop, otherwise the first.
    pub(in crate::jit) fn look_up_early(&mut self, all: bool) {
        let plan = self.plan;
        let most = if all { plan.groups.len() } else { 1 };
        for (n, group) in plan.groups.iter().enumerate().take(most) {
            if let Some(start) = group.start {
                let fail = self.asm.label();
                self.look_up(n, start, 0, fail);
                self.cold.push(Cold::Alone { from: fail, index: 0, files: self.files });
                self.looked_up |= 1 << n;
            }
        }
    }

    /// Looks a group up, given registers and their distance from the sum of the roots: all of its range in one
    /// page, and that accessible. r8 is lost, and r9 with all groups but the first.
    fn look_up(&mut self, group: usize, at: Address, offset: i32, fail: Label) {
        let g = &self.plan.groups[group];
        let table = if g.write { self.o.write_table } else { 0 };
        let to = if group == 0 { FIRST } else { R9 };
        let distance = |from: i32| from.wrapping_sub(offset);
        if let Some(aligned) = g.aligned {
            self.lea_address(R8, at, distance(aligned));
            dynasm!(self.asm ; .arch x64 ; test r8b, 15);
            self.asm.jcc(5, fail);
        }
        self.lea_address(R8, at, distance(g.low));
        if g.low != g.high {
            self.lea_address(to, at, distance(g.high));
            self.asm.modrm(4, 0x33, to, Rm::Reg(R8));
            self.asm.modrm(4, 0xC1, 5, Rm::Reg(to)); // SHR
            self.asm.push(12);
            self.asm.jcc(5, fail);
        }
        dynasm!(self.asm ; .arch x64 ; shr r8d, 12);
        self.asm.load_entry(to, R8, table);
        self.asm.modrm(8, 0x85, to, Rm::Reg(to)); // TEST
        self.asm.jcc(4, fail);
        if to != FIRST {
            self.asm.modrm(8, 0x89, to, Rm::Field(self.addend(group)));
        }
    }

    /// Looks up again behind an instruction that the interpreter executed, if anybody needs it.
    pub(super) fn look_up_again(&mut self, index: u32) {
        if let Some((base, offset)) = self.plan.behind(index) {
            let fail = self.asm.label();
            self.look_up(0, Address { base, index: NO_REG, scale: 0, disp: 0 }, offset, fail);
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
        dynasm!(self.asm ; .arch x64 ; add r13, left);
        let stub = self.asm.label();
        // Behind the last instruction of a loop comes the first.
        let target = self.at.get(index as usize).map_or(self.at[0], |&at| at);
        let cross = !(0..PAGE as i32).contains(&target);
        if cross {
            self.linear(R8, target);
        }
        self.asm.jmp(stub);
        let at = self.asm.at() - 4;
        self.asm.bind(stub);
        if !cross {
            self.linear(R8, target);
        }
        let (number, link, alone) = ((self.first_link + self.alone.len()) as i32, self.o.link, self.o.alone);
        dynasm!(self.asm ; .arch x64
            ; mov DWORD [r14 + alone], 1
            ; mov DWORD [r14 + link], number);
        self.asm.jmp_outside(self.thunks.miss);
        let tail = self.asm.at() - 4;
        self.alone.push(Alone { at, stub, tail, cross, target });
    }

    /// At the start of a loop, behind the lookups: puts all of the budget aside that is more than what the rounds
    /// take for which the addresses stay in their pages. RFLAGS, r8 and r11 are lost.
    pub(in crate::jit) fn put_aside(&mut self) {
        let plan = self.plan;
        let aside = self.o.aside;
        let mut first = true;
        for group in plan.groups.iter() {
            let (Some(start), Some(step)) = (group.start, group.step.filter(|&step| step != 0)) else {
                continue;
            };
            // Bytes up to the page's end, or from its beginning.
            self.lea_address(R8, start, if step > 0 { group.high } else { group.low });
            if step > 0 {
                dynasm!(self.asm ; .arch x64 ; not r8d);
            }
            dynasm!(self.asm ; .arch x64 ; and r8d, 0xFFF);
            let step = step.unsigned_abs();
            if step.is_power_of_two() {
                let by = step.trailing_zeros() as i8;
                dynasm!(self.asm ; .arch x64 ; shr r8d, by);
            } else {
                let inverse = (0x1_0000 / step) as i32;
                dynasm!(self.asm ; .arch x64 ; imul r8d, r8d, inverse ; shr r8d, 16);
            }
            if first {
                self.asm.mov(R11, R8);
            } else {
                dynasm!(self.asm ; .arch x64 ; cmp r8d, r11d ; cmovb r11d, r8d);
            }
            first = false;
        }
        if first {
            return;
        }
        let total = self.block_total as i32;
        let enough = self.asm.label();
        dynasm!(self.asm ; .arch x64
            ; imul r11d, r11d, total
            ; mov r8, r13
            ; sub r8, r11);
        self.asm.jcc(0xE, enough);
        dynasm!(self.asm ; .arch x64 ; mov [r14 + aside], r8 ; mov r13, r11);
        self.asm.bind(enough);
    }

    /// Takes up what was put aside, before anybody looks at the budget. RFLAGS are kept, r8 is lost.
    pub(in crate::jit) fn take_up(&mut self) {
        if self.plan.rounds {
            let aside = self.o.aside;
            dynasm!(self.asm ; .arch x64 ; mov r8, [r14 + aside] ; lea r13, [r13 + r8]);
        }
    }
}
