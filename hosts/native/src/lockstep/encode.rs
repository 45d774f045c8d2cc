//! Random instructions for programs: any row, any addressing form, mostly with sense.

use super::layout::{CODE, CODE_PAGES, PAGE, selector};
use super::program::{Addresses, Placed, Program, Rows};
use crate::generate::touches_fx;
use crate::random::Rng;
use crate::undefined::undefined_flags;
use nomad86::isa::row::{Lowering, Prefix};
use nomad86::isa::table::ROWS;
use nomad86::isa::{Operand, Row};

impl Rows {
    /// Rows of the table; with `exact` also those that leave flags or their last bit undefined.
    #[must_use]
    pub fn new(exact: bool) -> Self {
        let mut rows =
            Self { integer: Vec::new(), vector: Vec::new(), system: Vec::new(), string: Vec::new() };
        let defined = |row: &Row| undefined_flags(row, None, 32) & !AF == 0 && !row.is_transcendental();
        for row in ROWS.iter().filter(|row| exact || defined(row)) {
            let any = |f: fn(&Operand) -> bool| row.operands.iter().any(f);
            let list = match row.lowering {
                _ if any(|o| matches!(o, Operand::Xb | Operand::Xv | Operand::Yb | Operand::Yv)) => {
                    &mut rows.string
                }
                Lowering::End | Lowering::SegmentLoad => &mut rows.system,
                // Branches are made on purpose.
                other if other.ends_block() => continue,
                _ if touches_fx(row) => &mut rows.vector,
                _ => &mut rows.integer,
            };
            list.push(row);
        }
        rows
    }
}

/// Cleared by logical instructions of all makers, though the manuals leave it open.
pub(super) const AF: u32 = 0x10;

/// A branch whose distance is not known yet.
struct Fixup {
    /// Its instruction in the list.
    inst: usize,
    /// Bytes of the distance at its end (0: an absolute target of `word` bytes in an immediate).
    size: usize,
    /// Block that it leads to.
    target: usize,
    absolute: bool,
}

/// Fills in the code of a program.
pub(super) struct Encoder<'e> {
    program: &'e mut Program,
    rows: &'e Rows,
    rng: &'e mut Rng,
    code32: bool,
    at: u32,
    fixups: Vec<Fixup>,
    /// More x87, MMX and SSE than usual.
    vectors: bool,
}

impl<'e> Encoder<'e> {
    pub(super) fn new(program: &'e mut Program, rows: &'e Rows, rng: &'e mut Rng) -> Self {
        let vectors = rng.percent(35);
        let code32 = program.code32();
        Self { program, rows, rng, code32, at: CODE, fixups: Vec::new(), vectors }
    }

    /// Makes the blocks and connects them.
    pub(super) fn build(mut self) {
        let blocks = self.rng.within(4..12) as usize;
        // Most of it on one page, some over a page's edge, some far away.
        self.at =
            CODE + self.rng.below(CODE_PAGES) * PAGE + self.rng.pick(&[0, 0x100, 0xF00, 0xFC0, 0xFF0, 0x7E0]);
        let end = CODE + CODE_PAGES * PAGE - 0x200;
        let mut starts = Vec::new();
        for block in 0..blocks {
            if self.at > end {
                self.at = CODE;
            }
            starts.push(self.program.code.len());
            for _ in 0..self.rng.pick(&[0, 1, 1, 2, 3, 4, 5, 7, 10, 14]) {
                self.instruction();
            }
            self.terminator(block, blocks);
            self.at += self.rng.pick(&[0, 0, 0, 1, 3, 16, 61]);
            if self.rng.percent(5) {
                self.at = CODE + self.rng.below(CODE_PAGES) * PAGE + self.rng.below(PAGE - 0x100);
            }
        }
        starts.push(self.program.code.len());
        self.emit(vec![0xF4]);
        self.fix(&starts);
    }

    fn fix(&mut self, starts: &[usize]) {
        let base = self.program.code_base();
        let place = |code: &[Placed], block: usize| code[starts[block].min(code.len() - 1)].at;
        for f in &self.fixups {
            let target = place(&self.program.code, f.target);
            let inst = &mut self.program.code[f.inst];
            let end = inst.at + inst.bytes.len() as u32;
            let value = if f.absolute { target.wrapping_sub(base) } else { target.wrapping_sub(end) };
            let from = inst.bytes.len() - f.size;
            inst.bytes[from..].copy_from_slice(&value.to_le_bytes()[..f.size]);
        }
        self.program.starts =
            (0..starts.len() - 1).map(|block| place(&self.program.code, block).wrapping_sub(base)).collect();
    }

    fn emit(&mut self, bytes: Vec<u8>) {
        let len = bytes.len() as u32;
        self.program.code.push(Placed { at: self.at, bytes });
        self.at += len;
    }

    fn branch(&mut self, mut bytes: Vec<u8>, size: usize, target: usize, absolute: bool) {
        bytes.extend(&[0; 4][..size]);
        self.fixups.push(Fixup { inst: self.program.code.len(), size, target, absolute });
        self.emit(bytes);
    }

    /// What a block ends with.
    fn terminator(&mut self, block: usize, blocks: usize) {
        let word = if self.code32 { 4 } else { 2 };
        let target = if self.rng.percent(60) {
            (block + 1 + self.rng.below(2) as usize).min(blocks)
        } else {
            self.rng.below(blocks as u32) as usize
        };
        let condition = self.rng.below(16) as u8;
        let register = self.rng.below(4) as u8;
        match self.rng.below(24) {
            0..5 => self.branch(vec![0x0F, 0x80 | condition], word, target, false),
            5..9 => self.branch(vec![0x70 | condition], 1, (block + 1).min(blocks), false),
            9 | 10 => self.branch(vec![0xE9], word, target, false),
            11 | 12 => self.branch(vec![0xE8], word, target, false),
            13 => {
                // A loop over the next block.
                let count = self.rng.within(1..6);
                let count = count.to_le_bytes();
                self.emit([&[0xB9][..], &count[..word]].concat());
            }
            14 | 15 => self.branch(vec![0xE0 | condition & 3], 1, block, false),
            16 | 17 => {
                // To what a register holds.
                self.branch(vec![0xB8 | register], word, target, true);
                let kind = self.rng.pick(&[0xE0, 0xD0]);
                self.emit(vec![0xFF, kind | register]);
            }
            18 => {
                self.branch(vec![0x68], word, target, true);
                self.emit(if condition & 1 != 0 { vec![0xC3] } else { vec![0xC2, 4, 0] });
            }
            19 | 20 => self.emit(if condition & 1 != 0 { vec![0xC3] } else { vec![0xC2, 8, 0] }),
            21 => {
                // To what memory holds.
                let mut store = vec![0xC7, if self.code32 { 0x46 } else { 0x44 }, 0x10];
                store.reserve(4);
                self.branch(store, word, target, true);
                let kind = self.rng.pick(&[0x60, 0x50]);
                self.emit(vec![0xFF, kind | if self.code32 { 6 } else { 4 }, 0x10]);
            }
            22 => {
                let vector = self.rng.pick(&[3, 4, 48, 50, 63, 0x80]);
                self.emit(vec![0xCD, vector]);
            }
            _ => {}
        }
        if self.rng.percent(2) {
            // Loops and calls of the other operand size.
            let kind = self.rng.pick(&[0xE8, 0xE9]);
            self.branch(vec![0x66, kind], if self.code32 { 2 } else { 4 }, target, false);
        }
    }

    /// Any instruction.
    fn instruction(&mut self) {
        match self.rng.below(100) {
            0..6 => {
                // A pointer as good as new.
                let pointer = self.program.pointer(self.rng).to_le_bytes();
                let register = self.rng.pick(&[3, 5, 6, 7]);
                self.emit([&[0xB8 | register][..], &pointer[..if self.code32 { 4 } else { 2 }]].concat());
            }
            6..10 => self.string(),
            10..13 => {
                let row = self.rng.pick(&self.rows.system);
                if self.allowed(row) {
                    self.row(row);
                }
            }
            // Random bytes may leave flags undefined.
            13 if self.program.precise => {
                let bytes = self.rng.bits().to_le_bytes();
                let len = self.rng.within(1..6) as usize;
                self.emit(bytes[..len].to_vec());
            }
            14 => self.store_code(),
            n => {
                let vector = n < if self.vectors { 60 } else { 22 };
                let row = self.rng.pick(if vector { &self.rows.vector } else { &self.rows.integer });
                self.row(row);
            }
        }
    }

    /// Instructions that would end too many programs stand in few.
    fn allowed(&mut self, row: &Row) -> bool {
        let percent = match row.mnemonic {
            "hlt" | "ud2" => 5,
            "lgdt" | "lidt" | "lldt" | "ltr" | "lmsw" => 5,
            "mov" if matches!(row.operands[0], Operand::Cd) => 5,
            "jmpf" | "callf" | "retf" | "iret" | "sysexit" | "sysenter" => 25,
            "mov" | "pop" | "les" | "lds" | "lss" | "lfs" | "lgs" => 40,
            "cli" | "sti" => 60,
            _ => 100,
        };
        self.rng.percent(percent)
    }

    /// A store into the code itself: of the same block, the next, the same line, another page.
    fn store_code(&mut self) {
        if !matches!(self.program.addresses, Addresses::Flat | Addresses::Based) {
            return;
        }
        let near = self.at.wrapping_add(self.rng.below(128)).wrapping_sub(32);
        let far = CODE + self.rng.below(CODE_PAGES * PAGE);
        let at = if self.rng.percent(70) { near } else { far };
        let at = if self.program.paging() && self.rng.percent(30) {
            at.wrapping_sub(CODE).wrapping_add(super::layout::ALIAS)
        } else {
            at
        };
        // A harmless one-byte instruction.
        let byte = self.rng.pick(&[0x90, 0x40, 0x41, 0x4A, 0xF8, 0xF9, 0x98, 0x27]);
        let mut bytes = vec![0xC6, 0x05];
        bytes.extend(at.wrapping_sub(self.program.data_base()).to_le_bytes());
        bytes.push(byte);
        self.emit(bytes);
    }

    fn string(&mut self) {
        let row = self.rng.pick(&self.rows.string);
        let ports = matches!(row.mnemonic, "ins" | "outs");
        if ports && self.rng.percent(70) {
            return;
        }
        let repeat = self.rng.percent(50);
        if repeat && self.rng.percent(90) {
            let count = self.rng.pick(&[0_u32, 1, 2, 3, 7, 16, 33, 200]).to_le_bytes();
            self.emit([&[0xB9][..], &count[..if self.code32 { 4 } else { 2 }]].concat());
        }
        let mut bytes = Vec::new();
        if repeat {
            bytes.push(self.rng.pick(&[0xF2, 0xF3, 0xF3]));
        }
        if self.rng.percent(15) {
            bytes.push(self.rng.pick(&[0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65]));
        }
        for (prefix, percent) in [(0x66, 20), (0x67, 5)] {
            if self.rng.percent(percent) {
                bytes.push(prefix);
            }
        }
        bytes.push(row.opcode as u8);
        self.emit(bytes);
    }

    /// A register operand: seldom one that is a pointer.
    fn register(&mut self) -> u8 {
        if self.rng.percent(85) { self.rng.below(4) as u8 } else { self.rng.below(8) as u8 }
    }

    fn row(&mut self, row: &'static Row) {
        let operands = row.operands;
        let has = |f: fn(&Operand) -> bool| operands.iter().any(f);
        let mut bytes = Vec::new();
        let p66 = row.prefix == Prefix::P66
            || row.prefix == Prefix::Any && self.rng.percent(if touches_fx(row) { 1 } else { 14 });
        let p67 = self.rng.percent(4);
        if p66 {
            bytes.push(0x66);
        }
        if p67 {
            bytes.push(0x67);
        }
        if self.rng.percent(8) {
            bytes.push(self.rng.pick(&[0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65]));
        }
        if nomad86::isa::decode::lockable(row) && self.rng.percent(8)
            || self.rng.percent(1) && self.rng.percent(30)
        {
            bytes.push(0xF0);
        }
        match row.prefix {
            Prefix::PF2 => bytes.push(0xF2),
            Prefix::PF3 => bytes.push(0xF3),
            Prefix::Any if self.rng.percent(1) => bytes.push(self.rng.pick(&[0xF2, 0xF3])),
            _ => {}
        }
        let opcode = row.opcode.to_be_bytes();
        let first = opcode.iter().position(|&byte| byte != 0).unwrap_or(3);
        bytes.extend_from_slice(&opcode[first..]);
        let wide = |o: &Operand| {
            use Operand::{Eb, Gb, Nq, Pq, Qd, Qq, Sti, Ux, Vx, Wd, Wq, Ww, Wx, Zb};
            matches!(o, Nq | Pq | Qd | Qq | Sti | Ux | Vx | Wd | Wq | Ww | Wx | Eb | Gb | Zb)
        };
        if row.has_opcode_register()
            && let Some(last) = bytes.last_mut()
        {
            *last |= if has(wide) { self.rng.below(8) as u8 } else { self.register() };
        }
        if let Some(exact) = row.exact {
            bytes.push(exact);
        } else if row.has_modrm() {
            let reg = match row.digit {
                Some(digit) => digit,
                None if has(wide) => self.rng.below(8) as u8,
                None => self.register(),
            };
            let fixed = has(|o| matches!(o, Operand::Rd | Operand::Rv));
            let forms = row.forms();
            if fixed || forms == 1 || forms == 3 && self.rng.percent(45) {
                let rm = if has(wide) { self.rng.below(8) as u8 } else { self.register() };
                bytes.push(0xC0 | reg << 3 | rm);
            } else {
                self.memory(reg, self.code32 != p67, &mut bytes);
            }
        }
        let word = if self.code32 == p66 { 2 } else { 4 };
        for operand in operands {
            let size = match operand {
                Operand::Ib | Operand::Ibs | Operand::Jb => 1,
                Operand::Iw => 2,
                Operand::Iz => word,
                Operand::Ob | Operand::Ov => {
                    let pointer = self.program.pointer(self.rng).to_le_bytes();
                    bytes.extend_from_slice(&pointer[..if self.code32 != p67 { 4 } else { 2 }]);
                    continue;
                }
                Operand::Ap => {
                    let starts =
                        self.program.starts.first().copied().unwrap_or(CODE - self.program.code_base());
                    bytes.extend_from_slice(&starts.to_le_bytes()[..word]);
                    bytes.extend(self.rng.pick(&selector::ALL).to_le_bytes());
                    continue;
                }
                _ => continue,
            };
            bytes.extend_from_slice(&self.rng.integer(size as u32 * 8).to_le_bytes()[..size]);
        }
        self.emit(bytes);
    }

    /// ModRM, SIB and displacement of a memory operand.
    fn memory(&mut self, reg: u8, wide: bool, bytes: &mut Vec<u8>) {
        let pointer = self.program.pointer(self.rng);
        let small = self.rng.bits() as i8;
        let reg = reg << 3;
        if !wide {
            match self.rng.below(8) {
                0 | 1 => {
                    bytes.push(reg | 6);
                    bytes.extend_from_slice(&pointer.to_le_bytes()[..2]);
                }
                2 => {
                    bytes.push(0x80 | reg | self.rng.below(8) as u8);
                    bytes.extend_from_slice(&(self.rng.bits() as u16 & 0x1FF).to_le_bytes());
                }
                n => bytes.extend([0x40 | reg | [4, 5, 6, 7, 4][n as usize - 3], small as u8]),
            }
            return;
        }
        let base = self.rng.pick(&[3_u8, 5, 6, 7, 6, 7]);
        match self.rng.below(20) {
            // Absolute.
            0..4 => {
                bytes.push(reg | 5);
                bytes.extend(pointer.to_le_bytes());
            }
            // The stack.
            4..6 => bytes.extend([0x44 | reg, 0x24, (small & 0x3C) as u8]),
            // Base without a displacement.
            6..8 if base != 5 => bytes.push(reg | base),
            8..10 => {
                bytes.push(0x80 | reg | base);
                bytes.extend((self.rng.below(0x1000).wrapping_sub(0x800)).to_le_bytes());
            }
            // Base and index: the index is made small before.
            10..13 => {
                let index = self.rng.below(4) as u8;
                if self.rng.percent(70) {
                    // An own instruction before this one.
                    let mask = vec![0x83, 0xE0 | index, 0x7F];
                    self.emit(mask);
                }
                let scale = self.rng.below(4) as u8;
                if self.rng.percent(30) {
                    bytes.extend([reg | 4, scale << 6 | index << 3 | 5]);
                    bytes.extend(pointer.to_le_bytes());
                } else {
                    bytes.extend([0x44 | reg, scale << 6 | index << 3 | base, small as u8]);
                }
            }
            // Anything.
            13 => {
                bytes.extend([0x44 | reg, self.rng.bits() as u8, small as u8]);
            }
            _ => bytes.extend([0x40 | reg | base, small as u8]),
        }
    }
}
