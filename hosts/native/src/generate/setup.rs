//! What single instructions need around them: stacks, strings, selectors, branch targets, memory images.

use super::address::{DS, ES, SS};
use super::{Builder, EAX, EBP, ECX, EDI, EDX, ESI, ESP, eflags};
use crate::oracle::{CODE_BASE, CODE_MAX, DATA_BASE, DATA_SIZE, Segment};
use crate::random::{FxKind, Lanes, fx_image};
use nomad86::isa::Operand;

/// Selectors that may be loaded or asked about. The flat ones and all of the local table, with other
/// privileges; kernel segments of the global table; holes; null; beyond the limit. The 64-bit code segment
/// (index 6) and the processor's number (index 15) are not among them.
const SELECTORS: [u16; 26] = [
    0x23, 0x2B, 0x20, 0x28, 0x29, 0x2A, 0x07, 0x0F, 0x17, 0x1F, 0x27, 0x2F, 0x04, 0x0D, 0x37, 0x3F, 0x00,
    0x01, 0x02, 0x03, 0x08, 0x13, 0x1B, 0x60, 0xFFFF, 0x1237,
];
/// Those that hold code, with the base of their segment.
const CODE: [(u16, u32); 3] = [(0x23, 0), (0x27, CODE_BASE), (0x2F, CODE_BASE)];

impl Builder<'_> {
    /// Before the operands are encoded: implied registers.
    pub(super) fn prepare(&mut self) {
        self.point_stack();
        if self.row.has_opcode_register() {
            self.reg = self.rng.below(8) as usize;
        }
        match self.row.mnemonic {
            "movs" | "cmps" | "stos" | "lods" | "scas" | "ins" | "outs" => self.string(),
            "xlat" => self.table_lookup(),
            "div" | "idiv" => self.dividend(),
            "loop" | "loope" | "loopne" | "jcxz" => {
                let count = self.rng.pick(&[0, 1, 2, 0x1_0000, 0x1_0001, u32::MAX]);
                self.settle(ECX, count);
            }
            "enter" | "leave" => {
                let frame = self.stack_offset();
                self.settle(EBP, frame);
            }
            "maskmovq" | "maskmovdqu" => {
                let aim = self.aim(16);
                let number = self.choose_segment(DS);
                let offset = self.offset_of(number, aim);
                self.settle(EDI, offset);
            }
            "pcmpestri" | "pcmpestrm" => {
                for register in [EAX, EDX] {
                    let length = self.rng.below(24).wrapping_sub(4);
                    self.settle(register, length);
                }
            }
            "jmp" | "call" if self.row.operands[0] == Operand::Ev => {
                // Indirect: any register may be the one.
                for register in [0, 1, 2, 3, 6, 7] {
                    self.case.gpr[register] =
                        self.branch_target(self.case.segments.cs.descriptor(true).map_or(0, |d| d.base));
                }
            }
            _ => {}
        }
        let lockable = nomad86::isa::decode::lockable(self.row);
        self.lock = self.rng.percent(if lockable { 15 } else { 1 });
    }

    /// ESP somewhere in the data area, with garbage above 16 bits on a 16-bit stack.
    fn point_stack(&mut self) {
        let pointer = self.stack_offset();
        self.case.gpr[ESP] = pointer;
        // Instructions that use the stack implicitly keep it; others may address with it as they like.
        if self.uses_stack() {
            self.settled |= 1 << ESP;
            let at = self.stack_at(pointer);
            let mut top = vec![0; 64];
            for word in top.chunks_exact_mut(4) {
                word.copy_from_slice(&(self.rng.integer(32) as u32).to_le_bytes());
            }
            self.patch(at, &top);
        }
    }

    fn uses_stack(&self) -> bool {
        matches!(
            self.row.mnemonic,
            "push"
                | "pop"
                | "pusha"
                | "popa"
                | "pushf"
                | "popf"
                | "call"
                | "ret"
                | "callf"
                | "retf"
                | "iret"
                | "enter"
                | "leave"
        )
    }

    fn stack_offset(&mut self) -> u32 {
        let place = self.rng.within(0x2000..0xE000);
        let place = if self.rng.percent(85) { place & !3 } else { place };
        let place = if self.rng.percent(2) { self.rng.pick(&[0, 1, 2, 4, 0xFFFE, 0xFFFF]) } else { place };
        match self.case.segments.ss {
            Segment::Flat => DATA_BASE + place,
            Segment::Data16 => place | (self.rng.integer(16) as u32) << 16,
            _ => place,
        }
    }

    /// Offset in the data area of the stack's top.
    fn stack_at(&self, pointer: u32) -> usize {
        match self.case.segments.ss {
            Segment::Flat => pointer.wrapping_sub(DATA_BASE) as usize % DATA_SIZE,
            _ => pointer as usize % DATA_SIZE,
        }
    }

    fn string(&mut self) {
        let word = self.rng.percent(60).then(|| self.rng.below(24));
        let mut count = word.unwrap_or_else(|| self.rng.below(4));
        if self.rng.percent(60) {
            self.repeat = Some(self.rng.pick(&[0xF2, 0xF3]));
        } else {
            count = self.rng.integer(32) as u32;
        }
        if self.addr16 {
            count |= (self.rng.integer(16) as u32) << 16;
            self.make_reachable(ES);
        }
        self.settle(ECX, count);
        let source = self.choose_segment(DS);
        let mut aim = self.rng.within(0x1000..0xE000);
        let step = if self.rng.percent(85) { !3 } else { !0 };
        aim &= step;
        if self.rng.percent(4) {
            // Runs into the end of the area.
            aim = if self.case.eflags & eflags::DF != 0 {
                self.rng.below(16)
            } else {
                0xFFF0 + self.rng.below(16)
            };
        }
        let other = if self.rng.percent(40) {
            aim.wrapping_add(self.rng.below(17)).wrapping_sub(8)
        } else {
            self.rng.within(0x1000..0xE000) & step
        };
        let (esi, edi) = if self.rng.percent(50) { (aim, other) } else { (other, aim) };
        let same = self.rng.percent(40);
        for at in [esi, edi] {
            let mut bytes = vec![0; 128];
            for byte in &mut bytes {
                *byte = if same { 0x55 } else { self.rng.pick(&[0, 0x55, 0x80, 0xFF]) };
            }
            self.patch((at as usize).saturating_sub(64), &bytes);
        }
        if same {
            // SCAS compares with what is there.
            let accumulator = if self.rng.percent(80) { 0x5555_5555 } else { self.rng.bits() as u32 };
            self.settle(EAX, accumulator);
        }
        let garbage = |rng: &mut super::Rng, on: bool| if on { (rng.integer(16) as u32) << 16 } else { 0 };
        let offset = self.offset_of(source, esi);
        let upper = garbage(self.rng, self.addr16);
        self.settle(ESI, offset & if self.addr16 { 0xFFFF } else { !0 } | upper);
        let offset = self.offset_of(ES, edi);
        let upper = garbage(self.rng, self.addr16);
        self.settle(EDI, offset & if self.addr16 { 0xFFFF } else { !0 } | upper);
    }

    fn dividend(&mut self) {
        let signed = self.row.mnemonic == "idiv";
        if self.rng.percent(20) {
            return;
        }
        if self.row.operands[0] == Operand::Eb {
            let low = self.rng.integer(8) as u8;
            let high = if signed { low as i8 as i32 as u32 } else { u32::from(low) };
            let high = if self.rng.percent(30) { high ^ (self.rng.below(8) << 8) } else { high };
            self.settle(EAX, self.case.gpr[EAX] & 0xFFFF_0000 | high & 0xFFFF);
            return;
        }
        let low = self.case.gpr[EAX];
        let negative = signed && if self.oper16 { low as i16 >= 0 } else { low as i32 >= 0 };
        let high = if signed && !negative { u32::MAX } else { 0 };
        let high = if self.rng.percent(40) { high ^ self.rng.below(16) } else { high };
        let high = if self.rng.percent(20) { self.rng.integer(31) as u32 } else { high };
        self.settle(EAX, low);
        self.settle(EDX, high);
    }

    /// Offset in a code segment with `base` of a place in the code page.
    fn branch_target(&mut self, base: u32) -> u32 {
        let mut place = self.rng.below(CODE_MAX as u32);
        if place.abs_diff(self.case.offset as u32) < 16 {
            place = 0; // not into the instruction itself
        }
        CODE_BASE.wrapping_add(place).wrapping_sub(base)
    }

    /// Value of an immediate operand.
    pub(super) fn immediate(&mut self, operand: Operand, size: usize) -> u64 {
        match (self.row.mnemonic, operand) {
            (_, Operand::Jb) => loop {
                // Not back into the instruction itself: a random loop would not end.
                let distance = self.rng.integer(8);
                if distance < 0xF0 {
                    break distance;
                }
            },
            (_, Operand::Jz) if self.rng.percent(95) => {
                // Relative to the end of the instruction, which is near enough to its start.
                let mut place = self.rng.below(CODE_MAX as u32 - 64);
                if place.abs_diff(self.case.offset as u32) < 16 {
                    place = 0;
                }
                u64::from(place.wrapping_sub(self.case.offset as u32))
            }
            // 80h is the host's system call.
            ("int", _) => {
                let any = self.rng.below(256);
                u64::from(self.rng.pick(&[3, 4, if any == 0x80 { 0 } else { any }]))
            }
            ("enter", Operand::Iw) if self.rng.percent(90) => u64::from(self.rng.below(0x400)),
            ("enter", Operand::Ib) if self.rng.percent(90) => u64::from(self.rng.below(5)),
            ("aam", _) if self.rng.percent(60) => 10,
            _ => self.rng.integer(size as u32 * 8),
        }
    }

    pub(super) fn far_immediate(&mut self) {
        let (offset, selector) = self.far_pointer();
        let size = self.word();
        self.immediates.extend_from_slice(&offset.to_le_bytes()[..size]);
        self.immediates.extend_from_slice(&selector.to_le_bytes());
    }

    /// Where a far transfer may go.
    fn far_pointer(&mut self) -> (u32, u16) {
        if self.rng.percent(12) {
            return (self.rng.integer(32) as u32, self.rng.pick(&SELECTORS));
        }
        let first = usize::from(self.oper16);
        let (selector, base) = CODE[self.rng.within(first as u32..3) as usize];
        (self.branch_target(base), selector)
    }

    /// After the operands are encoded: contents of registers and memory that depend on them.
    pub(super) fn finish(&mut self) {
        let acc = self.case.gpr[EAX];
        match self.row.mnemonic {
            "cmpxchg" if self.rng.percent(50) => match (self.rm, self.case.aim) {
                (Some(rm), _) if self.row.operands[0] == Operand::Eb => {
                    let (place, shift) = (rm & 3, (rm & 4) * 2);
                    let cleared = self.case.gpr[place] & !(0xFF << shift);
                    if place != EAX {
                        self.case.gpr[place] = cleared | (acc & 0xFF) << shift;
                    }
                }
                (Some(rm), _) => self.case.gpr[rm] = acc,
                (None, Some(at)) => self.patch(at, &acc.to_le_bytes()),
                _ => {}
            },
            "cmpxchg8b" if self.rng.percent(50) => {
                if let Some(at) = self.case.aim {
                    let value = u64::from(self.case.gpr[EDX]) << 32 | u64::from(acc);
                    self.patch(at, &value.to_le_bytes());
                }
            }
            "ret" => {
                let base = self.case.segments.cs.descriptor(true).map_or(0, |d| d.base);
                let target = self.branch_target(base);
                self.put_stack(&[target]);
            }
            "retf" | "iret" => {
                let (offset, selector) = self.far_pointer();
                let garbage = (self.rng.integer(16) as u32) << 16;
                let mut flags = self.rng.bits() as u32;
                if self.rng.percent(97) {
                    flags &= !eflags::TF;
                }
                let flags = if self.rng.percent(90) { flags & !eflags::AC } else { flags };
                self.put_stack(&[offset, u32::from(selector) | garbage, flags]);
            }
            "popf" => {
                let mut flags = self.rng.bits() as u32;
                if self.rng.percent(97) {
                    flags &= !(eflags::TF | eflags::AC);
                }
                self.put_stack(&[flags]);
            }
            "pop"
                if matches!(
                    self.row.operands[0],
                    Operand::ES | Operand::SS | Operand::DS | Operand::FS | Operand::GS
                ) =>
            {
                let selector = self.pick_selector(self.row.operands[0] == Operand::SS);
                let garbage = (self.rng.integer(16) as u32) << 16;
                self.put_stack(&[u32::from(selector) | garbage]);
            }
            "jmp" | "call" if self.row.operands[0] == Operand::Ev => {
                if let Some(at) = self.case.aim {
                    let base = self.case.segments.cs.descriptor(true).map_or(0, |d| d.base);
                    let target = self.branch_target(base);
                    self.patch(at, &target.to_le_bytes());
                }
            }
            "jmpf" | "callf" => {
                let (offset, selector) = self.far_pointer();
                self.put_far(offset, selector);
            }
            "les" | "lds" | "lss" | "lfs" | "lgs" => {
                let offset = self.rng.integer(32) as u32;
                let selector = self.pick_selector(self.row.mnemonic == "lss");
                self.put_far(offset, selector);
            }
            "mov" if self.row.operands[0] == Operand::Sw => {
                let selector = self.pick_selector(self.reg == SS);
                self.put_word(selector);
            }
            "lar" | "lsl" | "verr" | "verw" | "arpl" => {
                let selector = self.rng.pick(&SELECTORS);
                self.put_word(selector);
            }
            _ => {}
        }
    }

    /// A selector to load; for SS mostly one that is allowed there.
    fn pick_selector(&mut self, stack: bool) -> u16 {
        if stack && self.rng.percent(70) {
            self.rng.pick(&[0x2B, 0x07, 0x0F])
        } else {
            self.rng.pick(&SELECTORS)
        }
    }

    /// Puts a word where the r/m operand is.
    fn put_word(&mut self, word: u16) {
        match (self.rm, self.case.aim) {
            (Some(rm), _) => self.case.gpr[rm] = self.case.gpr[rm] & 0xFFFF_0000 | u32::from(word),
            (None, Some(at)) => self.patch(at, &word.to_le_bytes()),
            _ => {}
        }
    }

    fn put_far(&mut self, offset: u32, selector: u16) {
        if let Some(at) = self.case.aim {
            let size = self.word();
            self.patch(at, &offset.to_le_bytes()[..size]);
            self.patch(at + size, &selector.to_le_bytes());
        }
    }

    /// Puts words of the operand size on the stack's top.
    fn put_stack(&mut self, words: &[u32]) {
        let size = self.word();
        let mut at = self.stack_at(self.case.gpr[ESP]);
        for word in words {
            self.patch(at, &word.to_le_bytes()[..size]);
            at += size;
        }
    }

    /// Random contents of the memory operand, of the kind that the instruction expects.
    pub(super) fn fill_operand(&mut self) {
        let Some(at) = self.case.aim else { return };
        let size = self.memory_size();
        let float = matches!(self.row.opcode, 0xD8..=0xDF);
        let integer = self.row.mnemonic.starts_with("fi");
        let bytes = match (self.row.mnemonic, size) {
            ("fxrstor", _) => {
                let kind = FxKind { lanes: Lanes::F32, mmx: self.rng.percent(20), unmasked: true };
                let mut image = fx_image(self.rng, kind);
                if self.rng.percent(5) {
                    image[26] = 1; // a reserved bit of MXCSR
                }
                image.to_vec()
            }
            ("fldenv" | "frstor", _) => self.environment(size),
            ("ldmxcsr", _) => {
                let reserved = if self.rng.percent(5) { 0x10_0000 } else { 0 };
                (self.rng.bits() as u32 & 0xFFFF | reserved).to_le_bytes().to_vec()
            }
            ("fldcw", _) => {
                let masks = if self.rng.percent(80) { 0x3F } else { 0 };
                (self.rng.bits() as u16 | masks).to_le_bytes().to_vec()
            }
            ("fbld", _) => self.rng.bcd().to_vec(),
            (_, 10) => self.rng.f80_bytes().to_vec(),
            (_, 4) if float && !integer => self.rng.f32().to_le_bytes().to_vec(),
            (_, 8) if float && !integer => self.rng.f64().to_le_bytes().to_vec(),
            (_, 4..=16) if super::touches_fx(self.row) && !float => {
                self.rng.vector(self.lanes)[..size].to_vec()
            }
            ("bound", _) if self.rng.percent(60) => {
                let (low, high) = ([0, 0x80, 0, 0x80], [0xFF, 0x7F, 0xFF, 0x7F]);
                let skip = 4 - size / 2;
                [&low[skip..], &high[skip..]].concat()
            }
            (_, 0) => return,
            _ => {
                let bits = (size as u32 * 8).min(64);
                let mut bytes = self.rng.integer(bits).to_le_bytes().to_vec();
                bytes.resize(size.max(8), 0x5A);
                bytes.truncate(size);
                bytes
            }
        };
        self.patch(at, &bytes);
    }

    /// An x87 environment, with registers behind it where the size says so.
    fn environment(&mut self, size: usize) -> Vec<u8> {
        let kind = FxKind { lanes: Lanes::Integer, mmx: false, unmasked: true };
        let image = fx_image(self.rng, kind);
        let word = self.word();
        let mut bytes = vec![0; size];
        bytes[..2].copy_from_slice(&image[..2]);
        bytes[word..word + 2].copy_from_slice(&image[2..4]);
        bytes[2 * word..2 * word + 2].copy_from_slice(&(self.rng.bits() as u16).to_le_bytes());
        for (n, place) in bytes[7 * word..].chunks_exact_mut(10).enumerate() {
            place.copy_from_slice(&image[32 + 16 * n..42 + 16 * n]);
        }
        bytes
    }
}
