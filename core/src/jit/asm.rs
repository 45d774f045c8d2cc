//! An assembler: bytes appended to a fixed buffer, labels inside a block, and the encodings that take register
//! numbers from the guest's instruction. Fixed sequences are written with `dynasm!`, which appends through the
//! `push` methods.

use alloc::vec::Vec;

/// Guest register 4 (ESP) lives in r15; the others have their own numbers.
pub(super) const fn host(guest: u8) -> u8 {
    if guest & 7 == 4 { 15 } else { guest & 7 }
}

/// The r/m operand of an emitted instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    /// A host register.
    Reg(u8),
    /// The guest memory operand that a check has put at `[r9 + r8]`.
    Guest,
    /// The guest memory operand at `[via + base + disp]`, with a host register as base; `via` is r9 or r10 and
    /// holds an addend.
    Shared { via: u8, base: u8, disp: i32 },
    /// The guest memory operand at a linear address, in the window: host registers of the address, the second with
    /// the shift that it is scaled by, and its displacement.
    Window { base: Option<u8>, index: Option<(u8, u8)>, disp: i32 },
    /// A field of the [`crate::cpu::Cpu`] at `[r14 + offset]`.
    Field(i32),
}

/// Where a jump goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(pub(super) usize);

const UNBOUND: usize = usize::MAX;

/// REX bits of an address's registers.
const fn rex_of(base: Option<u8>, index: Option<(u8, u8)>) -> u8 {
    let high = match index {
        Some((index, _)) => index >> 2 & 2,
        None => 0,
    };
    match base {
        Some(base) => high | base >> 3 & 1,
        None => high,
    }
}

/// A buffer of code.
pub(super) struct Asm {
    pub(super) bytes: Vec<u8>,
    labels: Vec<usize>,
    /// Position of a rel32 and the label it refers to.
    fixups: Vec<(usize, Label)>,
    /// Position of a rel32 and the offset in code memory that it refers to.
    pub(super) outside: Vec<(usize, usize)>,
    /// Position from which on code is rarely executed.
    cold: usize,
}

/// Where the two parts of a buffer lie in code memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spread {
    /// Offset of what is executed.
    pub(super) hot: usize,
    /// Offset of what is rarely executed.
    pub(super) cold: usize,
    /// Position in the buffer at which the second part begins.
    pub(super) split: usize,
}

impl Spread {
    /// Offset in code memory of a position in the buffer.
    pub(super) const fn of(self, position: usize) -> usize {
        if position < self.split { self.hot + position } else { self.cold + position - self.split }
    }
}

impl Asm {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            labels: Vec::with_capacity(1024),
            fixups: Vec::with_capacity(2048),
            outside: Vec::with_capacity(512),
            cold: UNBOUND,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.labels.clear();
        self.fixups.clear();
        self.outside.clear();
        self.cold = UNBOUND;
    }

    /// What follows is rarely executed. Control does not run into it.
    pub(super) fn begin_cold(&mut self) {
        self.cold = self.bytes.len();
    }

    /// Position at which the rarely executed part begins.
    pub(super) fn split(&self) -> usize {
        self.cold.min(self.bytes.len())
    }

    pub(super) fn at(&self) -> usize {
        self.bytes.len()
    }

    // What `dynasm!` calls.
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }
    pub(super) fn push_i8(&mut self, value: i8) {
        self.bytes.push(value as u8);
    }
    pub(super) fn push_i16(&mut self, value: i16) {
        self.bytes.extend(value.to_le_bytes());
    }
    pub(super) fn push_i32(&mut self, value: i32) {
        self.bytes.extend(value.to_le_bytes());
    }
    pub(super) fn extend<'a>(&mut self, bytes: impl IntoIterator<Item = &'a u8>) {
        self.bytes.extend(bytes);
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() - 1)
    }

    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = self.bytes.len();
    }

    pub(super) fn position(&self, label: Label) -> usize {
        self.labels[label.0]
    }

    /// JMP rel32.
    pub(super) fn jmp(&mut self, to: Label) {
        self.push(0xE9);
        self.reference(to);
    }

    /// Jcc rel32.
    pub(super) fn jcc(&mut self, condition: u8, to: Label) {
        self.push(0x0F);
        self.push(0x80 | condition & 15);
        self.reference(to);
    }

    fn reference(&mut self, to: Label) {
        self.fixups.push((self.bytes.len(), to));
        self.push_i32(0);
    }

    /// JMP rel32 to an offset in code memory.
    pub(super) fn jmp_outside(&mut self, to: usize) {
        self.push(0xE9);
        self.outside.push((self.bytes.len(), to));
        self.push_i32(0);
    }

    /// Jcc rel32 to an offset in code memory.
    pub(super) fn jcc_outside(&mut self, condition: u8, to: usize) {
        self.push(0x0F);
        self.push(0x80 | condition & 15);
        self.outside.push((self.bytes.len(), to));
        self.push_i32(0);
    }

    /// CALL rel32 to an offset in code memory.
    pub(super) fn call_outside(&mut self, to: usize) {
        self.push(0xE8);
        self.outside.push((self.bytes.len(), to));
        self.push_i32(0);
    }

    /// Fills in all references for code that will lie there.
    pub(super) fn finish(&mut self, spread: Spread) {
        for &(at, label) in &self.fixups {
            let rel = spread.of(self.labels[label.0]).wrapping_sub(spread.of(at) + 4) as i32;
            self.bytes[at..at + 4].copy_from_slice(&rel.to_le_bytes());
        }
        for &(at, to) in &self.outside {
            let rel = to.wrapping_sub(spread.of(at) + 4) as i32;
            self.bytes[at..at + 4].copy_from_slice(&rel.to_le_bytes());
        }
    }

    /// An instruction with ModRM: operand size in bytes, opcode (one byte, or two as 0x0Fxx), reg field (a host
    /// register or a digit), r/m. Byte registers 4–7 with `high` are AH CH DH BH, which excludes REX.
    pub(super) fn modrm(&mut self, size: u8, opcode: u32, reg: u8, rm: Rm) {
        if size == 2 {
            self.push(0x66);
        }
        self.modrm_raw(size == 8, opcode, reg, rm, false);
    }

    /// The same without an operand-size prefix; `force` emits REX even when no bit is set (byte registers SPL
    /// to DIL are not used, so nothing needs it now).
    pub(super) fn modrm_raw(&mut self, wide: bool, opcode: u32, reg: u8, rm: Rm, force: bool) {
        let mut rex = if wide { 0x48 } else { 0x40 };
        if reg & 8 != 0 {
            rex |= 4;
        }
        if let Rm::Window { base, index, .. } = rm {
            // GS, and addresses of 32 bits, which wrap before the base is added.
            self.push(0x65);
            self.push(0x67);
            rex |= rex_of(base, index);
        }
        match rm {
            Rm::Reg(r) if r & 8 != 0 => rex |= 1,
            Rm::Guest => rex |= 3,
            Rm::Shared { base, .. } => rex |= 1 | (base >> 3 & 1) << 1,
            Rm::Field(_) => rex |= 1,
            Rm::Reg(_) | Rm::Window { .. } => {}
        }
        if rex != 0x40 || force {
            self.push(rex);
        }
        if opcode > 0xFFFF {
            self.push((opcode >> 16) as u8);
        }
        if opcode > 0xFF {
            self.push((opcode >> 8) as u8);
        }
        self.push(opcode as u8);
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(r) => self.push(0xC0 | reg | r & 7),
            // mod 00, SIB: base r9, index r8.
            Rm::Guest => {
                self.push(reg | 4);
                self.push(1);
            }
            // SIB: base r9 or r10, index the guest's base register.
            Rm::Shared { via, base, disp } => {
                let mode = if disp == 0 {
                    0
                } else if i8::try_from(disp).is_ok() {
                    0x40
                } else {
                    0x80
                };
                self.push(mode | reg | 4);
                self.push((base & 7) << 3 | via & 7);
                match mode {
                    0 => {}
                    0x40 => self.push_i8(disp as i8),
                    _ => self.push_i32(disp),
                }
            }
            Rm::Window { base, index, disp } => self.address(reg, base, index, disp),
            // Base r14.
            Rm::Field(offset) => match i8::try_from(offset) {
                Ok(short) => {
                    self.push(0x40 | reg | 6);
                    self.push_i8(short);
                }
                Err(_) => {
                    self.push(0x80 | reg | 6);
                    self.push_i32(offset);
                }
            },
        }
    }

    /// MOV r32, imm32.
    pub(super) fn mov_imm(&mut self, reg: u8, value: u32) {
        if reg & 8 != 0 {
            self.push(0x41);
        }
        self.push(0xB8 | reg & 7);
        self.push_i32(value as i32);
    }

    /// MOV r32, r32.
    pub(super) fn mov(&mut self, to: u8, from: u8) {
        self.modrm(4, 0x8B, to, Rm::Reg(from));
    }

    /// LEA to, [base + index << scale + disp], 32-bit result.
    pub(super) fn lea(&mut self, to: u8, base: Option<u8>, index: Option<(u8, u8)>, disp: i32) {
        let ((Some(_), _) | (_, Some(_))) = (base, index) else {
            self.mov_imm(to, disp as u32);
            return;
        };
        if let (Some(base), None, 0) = (base, index, disp) {
            self.mov(to, base);
            return;
        }
        let rex = 0x40 | (to & 8) >> 1 | rex_of(base, index);
        if rex != 0x40 {
            self.push(rex);
        }
        self.push(0x8D);
        self.address((to & 7) << 3, base, index, disp);
    }

    /// ModRM, SIB and displacement of an address; `reg` is where it stands in ModRM.
    fn address(&mut self, reg: u8, base: Option<u8>, index: Option<(u8, u8)>, disp: i32) {
        let short = i8::try_from(disp).is_ok();
        // EBP and r13 as bases have a displacement always.
        let none = base.is_none_or(|b| disp == 0 && b & 7 != 5);
        let mode = if none {
            0
        } else if short {
            0x40
        } else {
            0x80
        };
        match (base, index) {
            (Some(b), None) if b & 7 != 4 => self.push(mode | reg | b & 7),
            _ => {
                self.push(mode | reg | 4);
                let (i, scale) = index.unwrap_or((4, 0));
                self.push(scale << 6 | (i & 7) << 3 | base.unwrap_or(5) & 7);
            }
        }
        match mode {
            0 if base.is_some() => {}
            0x40 => self.push_i8(disp as i8),
            _ => self.push_i32(disp),
        }
    }

    /// An entry of the table at `[r12 + table]`, which one says a register, to a register.
    pub(super) fn load_entry(&mut self, to: u8, index: u8, table: i32) {
        self.push(0x49 | (to >> 3 & 1) << 2 | (index >> 3 & 1) << 1);
        self.push(0x8B);
        self.push(if table == 0 { 0 } else { 0x80 } | (to & 7) << 3 | 4);
        self.push(3 << 6 | (index & 7) << 3 | 4);
        if table != 0 {
            self.push_i32(table);
        }
    }

    /// LEA to64, [base64 + disp].
    pub(super) fn lea_wide(&mut self, to: u8, base: u8, disp: i32) {
        self.push(0x48 | (to >> 3 & 1) << 2 | base >> 3 & 1);
        self.push(0x8D);
        self.push(0x80 | (to & 7) << 3 | base & 7);
        self.push_i32(disp);
    }
}
