//! Random cases from the rows of the instruction table: encodings, registers, flags, memory.
//!
//! Most cases are made to do something: addresses fall into the data area, branches into the code page,
//! selectors mean segments. Some are not, so that faults are compared as well.

mod address;
pub mod block;
mod setup;

use crate::oracle::{Segment, Segments};
use crate::random::{FxKind, Lanes, Rng};
use nomad86::isa::row::Prefix;
use nomad86::isa::{Operand, Row};

/// A case that owns its parts.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The instruction's bytes.
    pub code: Vec<u8>,
    /// Where in the code page it stands.
    pub offset: usize,
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    pub gpr: [u32; 8],
    /// Status flags, DF, and sometimes TF and AC.
    pub eflags: u32,
    /// Segment registers.
    pub segments: Segments,
    /// x87/SSE state, when the instruction touches it.
    pub fx: Option<Box<[u8; 512]>>,
    /// Bytes to put into the data area before, by offset.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// Offset in the data area that the memory operand was aimed at.
    pub aim: Option<usize>,
}

/// What makes a case useless for a comparison with the host.
#[must_use]
pub fn comparable(row: &Row) -> bool {
    // Different by nature (time, identity, randomness), answered by the host's kernel (UMIP, system calls),
    // or not there on every processor in a 64-bit kernel's compatibility mode.
    const LEFT_OUT: [&str; 14] = [
        "cpuid", "rdtsc", "rdpmc", "rdrand", "sysenter", "sysexit", "sgdt", "sidt", "sldt", "str", "smsw",
        "rdtscp", "monitor", "mwait",
    ];
    !LEFT_OUT.contains(&row.mnemonic)
}

/// A random case of `row`.
#[must_use]
pub fn generate(row: &Row, rng: &mut Rng) -> Generated {
    Builder::new(row, rng).build()
}

/// EFLAGS bits that cases play with.
mod eflags {
    pub(super) const STATUS: u32 = 0x8D5;
    pub(super) const TF: u32 = 0x100;
    pub(super) const DF: u32 = 0x400;
    pub(super) const AC: u32 = 0x4_0000;
}

const EAX: usize = 0;
const ECX: usize = 1;
const EDX: usize = 2;
const EBX: usize = 3;
const ESP: usize = 4;
const EBP: usize = 5;
const ESI: usize = 6;
const EDI: usize = 7;

struct Builder<'b> {
    row: &'b Row,
    rng: &'b mut Rng,
    case: Generated,
    code32: bool,
    oper16: bool,
    addr16: bool,
    /// Segment override.
    segment: Option<usize>,
    repeat: Option<u8>,
    lock: bool,
    /// Registers whose value is settled.
    settled: u8,
    lanes: Lanes,
    /// The r/m operand is this register.
    rm: Option<usize>,
    /// The reg operand.
    reg: usize,
    modrm: Vec<u8>,
    immediates: Vec<u8>,
}

impl<'b> Builder<'b> {
    fn new(row: &'b Row, rng: &'b mut Rng) -> Self {
        let code32 = rng.percent(60);
        let wide = row.operands.iter().any(|o| {
            use Operand::*;
            matches!(o, Ev | Gv | Mv | Zv | Rv | Iz | Jz | Xv | Yv | Ov | EAX | Ap | Mp | Ma | Menv | Msave)
        });
        // The operand-size prefix where it means a size; elsewhere it is ignored or chooses another row.
        let p66 = match row.prefix {
            Prefix::P66 => true,
            Prefix::NP => false,
            Prefix::Any => rng.percent(if wide || row.operands[0] == Operand::None { 35 } else { 3 }),
            Prefix::PF2 | Prefix::PF3 => wide && rng.percent(35),
        };
        let p67 = rng.percent(25);
        let mnemonic = row.mnemonic;
        let lanes = if mnemonic.starts_with("pcmp") && mnemonic.contains("str") {
            Lanes::Text
        } else if mnemonic.ends_with("ps") || mnemonic.ends_with("ss") {
            if rng.percent(90) { Lanes::F32 } else { Lanes::F64 }
        } else if mnemonic.ends_with("pd") || mnemonic.ends_with("sd") {
            if rng.percent(90) { Lanes::F64 } else { Lanes::F32 }
        } else if mnemonic.starts_with("cvt") {
            rng.pick(&[Lanes::F32, Lanes::F64, Lanes::Integer])
        } else {
            Lanes::Integer
        };
        let gpr = std::array::from_fn(|_| rng.integer(32) as u32);
        let mut eflags = (rng.bits() as u32) & eflags::STATUS | 2;
        for (flag, percent) in [(eflags::DF, 30), (eflags::TF, 1), (eflags::AC, 3)] {
            if rng.percent(percent) {
                eflags |= flag;
            }
        }
        let segments = segments(rng, code32);
        let case = Generated {
            code: Vec::new(),
            offset: rng.within(0x400..0xB00) as usize,
            gpr,
            eflags,
            segments,
            fx: None,
            patches: Vec::new(),
            aim: None,
        };
        Self {
            row,
            rng,
            case,
            code32,
            oper16: code32 == p66,
            addr16: code32 == p67,
            segment: None,
            repeat: None,
            lock: false,
            settled: 0,
            lanes,
            rm: None,
            reg: 0,
            modrm: Vec::new(),
            immediates: Vec::new(),
        }
    }

    fn build(mut self) -> Generated {
        self.prepare();
        if self.row.has_modrm() {
            self.encode_modrm();
        }
        self.encode_immediates();
        self.finish();
        self.encode();
        if touches_fx(self.row) {
            let kind = FxKind {
                lanes: self.lanes,
                mmx: self
                    .row
                    .operands
                    .iter()
                    .any(|o| matches!(o, Operand::Pq | Operand::Qq | Operand::Qd | Operand::Nq)),
                unmasked: true,
            };
            self.case.fx = Some(Box::new(crate::random::fx_image(self.rng, kind)));
        }
        self.case
    }

    fn encode_modrm(&mut self) {
        if let Some(exact) = self.row.exact {
            self.modrm = vec![exact];
            return;
        }
        let forms = self.row.forms();
        self.reg = match self.row.digit {
            Some(digit) => usize::from(digit),
            None => self.rng.below(8) as usize,
        };
        // Bit instructions reach memory by the register operand's value.
        if self.row.mnemonic.starts_with("bt") && self.row.operands[1] == Operand::Gv {
            let range = if self.rng.percent(5) { 32 } else { 14 };
            let bits = self.rng.integer(range) as u32;
            self.settle(self.reg, bits.wrapping_sub(1 << (range - 1)));
        }
        let fixed = self.row.operands.iter().any(|o| matches!(o, Operand::Rd | Operand::Rv));
        let register = forms == 1 || fixed || forms == 3 && self.rng.percent(45);
        if register {
            let rm = self.rng.below(8) as usize;
            self.rm = Some(rm);
            self.modrm = vec![0xC0 | (self.reg << 3 | rm) as u8];
        } else {
            self.encode_memory();
        }
    }

    fn encode_immediates(&mut self) {
        for operand in self.row.operands {
            let size = match operand {
                Operand::Ib | Operand::Ibs | Operand::Jb => 1,
                Operand::Iw => 2,
                Operand::Iz | Operand::Jz if self.oper16 => 2,
                Operand::Iz | Operand::Jz => 4,
                Operand::Ob | Operand::Ov => {
                    self.direct_offset();
                    continue;
                }
                Operand::Ap => {
                    self.far_immediate();
                    continue;
                }
                _ => continue,
            };
            let value = self.immediate(operand, size);
            self.immediates.extend_from_slice(&value.to_le_bytes()[..size]);
        }
    }

    fn encode(&mut self) {
        const SEGMENTS: [u8; 6] = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65];
        let mut prefixes = Vec::new();
        if self.code32 == self.oper16 {
            prefixes.push(0x66);
        }
        if self.code32 == self.addr16 {
            prefixes.push(0x67);
        }
        prefixes.extend(self.segment.map(|s| SEGMENTS[s]));
        match self.row.prefix {
            Prefix::PF2 => prefixes.push(0xF2),
            Prefix::PF3 => prefixes.push(0xF3),
            _ => prefixes.extend(self.repeat),
        }
        if self.lock {
            prefixes.push(0xF0);
        }
        for n in (1..prefixes.len()).rev() {
            let other = self.rng.below(n as u32 + 1) as usize;
            prefixes.swap(n, other);
        }
        let code = &mut self.case.code;
        code.append(&mut prefixes);
        let opcode = self.row.opcode.to_be_bytes();
        let first = opcode.iter().position(|&byte| byte != 0).unwrap_or(3);
        code.extend_from_slice(&opcode[first..]);
        if self.row.has_opcode_register()
            && let Some(last) = code.last_mut()
        {
            *last |= self.reg as u8;
        }
        code.append(&mut self.modrm);
        code.append(&mut self.immediates);
    }

    /// Gives a register a value that later steps must not change.
    fn settle(&mut self, register: usize, value: u32) {
        self.case.gpr[register] = value;
        self.settled |= 1 << register;
    }

    fn is_settled(&self, register: usize) -> bool {
        self.settled >> register & 1 != 0
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        let room = crate::oracle::DATA_SIZE.saturating_sub(at);
        let bytes = &bytes[..bytes.len().min(room)];
        if !bytes.is_empty() {
            self.case.patches.push((at, bytes.to_vec()));
        }
    }

    /// Bytes of a general operand.
    fn word(&self) -> usize {
        if self.oper16 { 2 } else { 4 }
    }
}

/// Whether x87, MMX or SSE state matters.
#[must_use]
pub fn touches_fx(row: &Row) -> bool {
    use Operand::*;
    matches!(row.opcode, 0xD8..=0xDF | 0x9B | 0x0F77 | 0x0FAE)
        || row.operands.iter().any(|o| {
            matches!(
                o,
                Pq | Qq | Qd | Nq | Vx | Wx | Wu | Wq | Wd | Ww | Ux | Xmm0 | St0 | Sti | Mfx | Menv | Msave
            )
        })
}

fn segments(rng: &mut Rng, code32: bool) -> Segments {
    use Segment::*;
    if code32 && rng.percent(50) {
        return Segments::BITS32;
    }
    let mut data = |usual: Segment| {
        if rng.percent(70) {
            return usual;
        }
        rng.pick(&[Flat, Flat, Data32, Data32, Data16, Data16, ReadOnly, ExpandDown, Null])
    };
    let usual = if code32 { Data32 } else { Data16 };
    let (es, ds, fs, gs) = (data(usual), data(usual), data(usual), data(usual));
    let ss =
        rng.pick(&if code32 { [Flat, Data32, Data32, Data16] } else { [Data16, Data16, Data16, Data32] });
    let cs = if !code32 {
        Code16
    } else if rng.percent(50) {
        Code32
    } else {
        Flat
    };
    Segments { es, cs, ss, ds, fs, gs }
}
