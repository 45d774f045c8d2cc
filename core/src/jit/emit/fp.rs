//! x87, MMX and SSE: the guest's own encoding, on the host's registers.

use super::*;
use crate::isa::row::{Prefix, Row, state};
use crate::jit::fp::{at, opcode};

/// What is known of x87, MMX and SSE state at a place of a block.
#[derive(Clone, Copy, Default)]
pub(in crate::jit) struct Files {
    /// Register files that are in the host's registers for sure.
    pub(in crate::jit) loaded: u8,
    /// Position plus one of the last x87 instruction whose pointers are not noted yet.
    last: u32,
    /// The same of the last one with a memory operand, of which the offset is noted.
    last_memory: u32,
}

impl Emitter<'_> {
    /// What a site must know: files to load again behind it, distances to the last x87 instructions.
    pub(super) fn files_at(&self, index: u32) -> (u8, u8, u8) {
        let f = &self.files;
        let distance = |last: u32| if last == 0 { 0 } else { (index + 1 - last) as u8 };
        (f.loaded, distance(f.last), distance(f.last_memory))
    }

    /// The interpreter has executed an instruction in line, and noted the pointers before it.
    pub(super) fn files_unknown(&mut self) {
        self.files = Files::default();
    }

    /// Loads register files, before a site's instruction or behind it. RFLAGS, r8, r9 and r11 are lost.
    pub(super) fn fill(&mut self, site: u32, files: u8) {
        self.asm.mov_imm(R11, site);
        self.asm.mov_imm(R9, u32::from(files));
        self.asm.call_outside(self.thunks.fp.fill);
    }

    /// Makes sure that register files are in the host's registers. Flags that are needed before the instruction are
    /// kept.
    pub(in crate::jit) fn load_files(&mut self, i: &Inst, p: Place, files: u8) {
        if files & !self.files.loaded == 0 {
            return;
        }
        let needed = self.before(i, p);
        let (from, back) = (self.asm.label(), self.asm.label());
        self.clobber_flags(needed);
        let missing = files & !self.files.loaded;
        for file in [state::X87, state::XMM] {
            if missing & file != 0 {
                dynasm!(self.asm ; .arch x64 ; test BYTE [r14 + at::LIVE], file as i8);
                self.asm.jcc(4, from);
            }
        }
        self.asm.bind(back);
        let site = self.site(p, needed != 0, false, true);
        self.files.loaded |= files;
        self.interrupted = true;
        self.cold.push(Cold::Load { from, back, site, files: self.files.loaded });
    }

    /// An instruction whose own encoding serves.
    pub(super) fn same(&mut self, i: &Inst, p: Place) -> Option<Done> {
        let row = i.row();
        let files = row.state;
        let exact = !row.is_transcendental() && (self.amd || !Self::varies(row));
        if files == 0 || !self.host.has(row.feature) || self.precise && !exact {
            return None;
        }
        self.load_files(i, p, files);
        let write = row.lowering == Lowering::Store;
        if row.mnemonic == "fldcw" {
            return Some(self.load_control(i, p));
        }
        if i.is_memory() {
            let window = self.windowed(i, p);
            self.with_operand(i, p, row.memory()?, (write, window), |s, rm, _| {
                s.own_encoding(i, rm);
                s.note_operand(i, rm);
            });
        } else {
            let (reads, writes) = flags::effects(i);
            if reads | writes != 0 {
                self.host_flags(self.before(i, p));
            }
            self.own_encoding(i, Self::rm_register(i));
        }
        if Self::has_pointers(row) {
            self.files.last = p.index + 1;
            if i.is_memory() {
                self.files.last_memory = p.index + 1;
            }
        }
        Some(Done::Next)
    }

    /// Whether makers of processors differ in what it does: exceptions of divisions with denormal operands, packed
    /// decimals that are none.
    fn varies(row: &Row) -> bool {
        row.mnemonic.contains("div") || row.mnemonic == "fbld"
    }

    /// Whether the x87 keeps a pointer to it: not to control instructions, nor to MMX.
    fn has_pointers(row: &Row) -> bool {
        matches!(row.opcode, 0xD8..=0xDF)
            && !matches!(row.mnemonic, "fldcw" | "fnstcw" | "fnstsw" | "fnclex" | "fninit")
    }

    /// The operand's offset, for the x87's pointer; the linear address is in r8d.
    fn note_operand(&mut self, i: &Inst, rm: Rm) {
        if !Self::has_pointers(i.row()) {
            return;
        }
        match rm {
            Rm::Shared { base, disp, .. } => self.asm.lea(R8, Some(base), None, disp),
            Rm::Window { base, index, disp } => self.asm.lea(R8, base, index, disp),
            _ => {}
        }
        if !mode::is_flat(self.mode, i.segment) {
            let base = self.o.segment(i.segment) + self.o.base;
            // Its flags must survive: LEA of the difference would need a register more.
            self.asm.modrm(4, 0x8B, R9, Rm::Field(base));
            dynasm!(self.asm ; .arch x64 ; not r9d ; lea r8d, [r8 + r9 + 1]);
        }
        self.asm.modrm(4, 0x89, R8, Rm::Field(at::FDP));
    }

    /// Notes the pointers of the last x87 instructions before the block is left. RFLAGS are kept, r8 is lost.
    pub(in crate::jit) fn note_pointers(&mut self) {
        let files = core::mem::take(&mut self.files);
        self.files.loaded = files.loaded;
        self.note(files);
    }

    /// Notes pointers. RFLAGS are kept, r8 is lost.
    pub(super) fn note(&mut self, files: Files) {
        if files.last != 0 {
            let i = self.insts[files.last as usize - 1];
            self.eip(R8, self.at[files.last as usize - 1]);
            self.asm.modrm(4, 0x89, R8, Rm::Field(at::FIP));
            let from = self.o.segment(1) + at::SELECTOR;
            let code = i32::from(opcode(&i)) as i16;
            dynasm!(self.asm ; .arch x64
                ; mov WORD [r14 + at::FOP], code
                ; movzx r8d, WORD [r14 + from]
                ; mov [r14 + at::FCS], r8w);
        }
        if files.last_memory != 0 {
            let i = self.insts[files.last_memory as usize - 1];
            let selector = self.o.segment(i.segment) + at::SELECTOR;
            dynasm!(self.asm ; .arch x64 ; movzx r8d, WORD [r14 + selector] ; mov [r14 + at::FDS], r8w);
        }
    }

    /// FLDCW, if all exceptions stay masked.
    fn load_control(&mut self, i: &Inst, p: Place) -> Done {
        let scratch = self.o.scratch;
        self.with_operand(i, p, (2, false), (false, false), |s, rm, slow| {
            s.asm.modrm(4, 0x0FB7, R8, rm);
            dynasm!(s.asm ; .arch x64
                ; mov r9d, r8d
                ; and r9d, 0x3F
                ; cmp r9d, 0x3F);
            s.asm.jcc(5, slow);
            dynasm!(s.asm ; .arch x64
                ; and r8d, 0x1F7F
                ; or r8d, 0x40
                ; mov [r14 + scratch], r8d
                ; fldcw WORD [r14 + scratch]);
        })
    }

    /// The r/m operand in its register form.
    fn rm_register(i: &Inst) -> Rm {
        use Operand as O;
        let row = i.row();
        let operand = row.operands.iter().position(|o| o.is_rm());
        Rm::Reg(match operand {
            Some(n) => match row.operands[n] {
                O::Ed | O::RdMb | O::RdMw => host(i.reg[n.min(2)]),
                _ => i.reg[n.min(2)],
            },
            None => 0,
        })
    }

    /// The instruction's own bytes with another r/m operand.
    fn own_encoding(&mut self, i: &Inst, rm: Rm) {
        use Operand as O;
        let row = i.row();
        match row.prefix {
            Prefix::P66 => self.asm.push(0x66),
            Prefix::PF2 => self.asm.push(0xF2),
            Prefix::PF3 => self.asm.push(0xF3),
            Prefix::NP | Prefix::Any => {}
        }
        if row.opcode <= 0xFF && !i.is_memory() {
            // x87: whatever ModRM says, it says to the host.
            if row.has_modrm() {
                self.asm.push(row.opcode as u8);
                self.asm.push(i.reg[2]);
            }
            // FWAIT: with all exceptions masked there is nothing to wait for.
            return;
        }
        if !row.has_modrm() {
            self.asm.push((row.opcode >> 8) as u8);
            self.asm.push(row.opcode as u8);
            return;
        }
        let reg = row.digit.unwrap_or_else(|| match row.operands.iter().position(|o| o.is_reg()) {
            Some(n) if row.operands[n] == O::Gd => host(i.reg[n.min(2)]),
            Some(n) => i.reg[n.min(2)],
            None => 0,
        });
        self.asm.modrm_raw(false, row.opcode, reg, rm, false);
        if row.operands.contains(&O::Ib) {
            self.asm.push(i.imm as u8);
        }
    }
}
