//! Bytes to [`Inst`]: prefixes, opcode maps, ModRM, SIB, displacement, immediates.
//!
//! Spec: Intel SDM volume 2, chapter 2 (formats) and appendix A (opcode maps).

use super::inst::{Inst, NO_REG, prefix};
use super::row::{END, Feature, Operand, Prefix, Row, form};
use super::table::{INDEX, ROWS, UNDEFINED};

/// The longest instruction.
pub const MAX_LEN: usize = 15;

/// The extensions that the guest's processor has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features(pub u32);

impl Features {
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether `feature` is there.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 != 0
    }

    /// With `feature` as well.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u8)
    }
}

/// Why bytes are no instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// More bytes are needed than were given.
    Truncated,
    /// More than 15 bytes: #GP(0).
    TooLong,
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8, DecodeError> {
        if self.at >= MAX_LEN {
            return Err(DecodeError::TooLong);
        }
        let byte = *self.bytes.get(self.at).ok_or(DecodeError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn peek(&self) -> Result<u8, DecodeError> {
        if self.at >= MAX_LEN {
            return Err(DecodeError::TooLong);
        }
        self.bytes.get(self.at).copied().ok_or(DecodeError::Truncated)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }
}

const ES: u8 = 0;
const CS: u8 = 1;
const SS: u8 = 2;
const DS: u8 = 3;
const FS: u8 = 4;
const GS: u8 = 5;

/// Base, index and default segment of 16-bit ModRM forms.
const FORMS16: [(u8, u8, u8); 8] = [
    (3, 6, DS),
    (3, 7, DS),
    (5, 6, SS),
    (5, 7, SS),
    (6, NO_REG, DS),
    (7, NO_REG, DS),
    (5, NO_REG, SS),
    (3, NO_REG, DS),
];

/// Decodes the instruction at the start of `bytes`. An undefined encoding decodes to the row of UD2, with the
/// length up to and including its opcode.
///
/// # Errors
/// When bytes are missing or there are too many prefixes.
/// ```
/// use nomad86::isa::decode::{Features, decode};
///
/// // LEA EAX, [EBX + ECX*4 + 10h].
/// let lea = decode(&[0x8D, 0x44, 0x8B, 0x10, 0x90], true, Features::ALL)?;
/// assert_eq!((lea.len, lea.row().mnemonic), (4, "lea"));
/// println!("{}", lea.text(0));
/// assert_eq!((lea.base, lea.index, lea.scale, lea.disp), (3, 1, 2, 0x10));
/// assert!(decode(&[0x8D], true, Features::ALL).is_err(), "bytes are missing");
/// # Ok::<(), nomad86::isa::decode::DecodeError>(())
/// ```
pub fn decode(bytes: &[u8], code32: bool, features: Features) -> Result<Inst, DecodeError> {
    let mut r = Reader { bytes, at: 0 };
    let mut prefixes = 0u8;
    let mut repeat = 0u8;
    let mut segment = None;
    let mut addr16 = !code32;
    let mut oper16 = !code32;
    let mut byte = r.u8()?;
    loop {
        match byte {
            0x26 => segment = Some(ES),
            0x2E => segment = Some(CS),
            0x36 => segment = Some(SS),
            0x3E => segment = Some(DS),
            0x64 => segment = Some(FS),
            0x65 => segment = Some(GS),
            0x66 => {
                oper16 = code32;
                prefixes |= prefix::P66;
            }
            0x67 => addr16 = code32,
            0xF0 => prefixes |= prefix::LOCK,
            0xF2 => repeat = prefix::REPNE,
            0xF3 => repeat = prefix::REP,
            _ => break,
        }
        byte = r.u8()?;
    }
    prefixes |= repeat;
    if addr16 {
        prefixes |= prefix::ADDR16;
    }
    if oper16 {
        prefixes |= prefix::OPER16;
    }
    if segment.is_some() {
        prefixes |= prefix::SEGMENT;
    }
    let (map, opcode) = if byte == 0x0F {
        match r.u8()? {
            0x38 => (2, r.u8()?),
            0x3A => (3, r.u8()?),
            second => (1, second),
        }
    } else {
        (0, byte)
    };

    let mut inst = Inst {
        run: UNDEFINED.run[0],
        imm: 0,
        disp: 0,
        row: 0,
        end: 0,
        number: 0,
        condition: opcode & 15,
        len: r.at as u8,
        reg: [0; 3],
        base: NO_REG,
        index: NO_REG,
        scale: 0,
        segment: segment.unwrap_or(DS),
        prefixes,
    };
    let Some(number) = find(map * 256 + usize::from(opcode), prefixes, &r, features)? else {
        inst.end = u16::from(inst.len);
        return Ok(inst);
    };
    let row = &ROWS[usize::from(number)];
    let mut modrm = 0;
    let mut register = true;
    if row.has_modrm() {
        modrm = r.u8()?;
        // The x87 reports the ModRM byte of its last instruction.
        inst.reg[2] = modrm;
        register = modrm >= 0xC0 || row.operands.iter().any(|o| matches!(o, Operand::Rd));
        if !register {
            inst.prefixes |= prefix::MEMORY;
            modrm_memory(&mut inst, modrm, &mut r, segment)?;
        }
    }
    let mut immediates = 0;
    for (n, &operand) in row.operands.iter().enumerate() {
        use Operand as O;
        let n = n.min(2);
        match operand {
            O::None => break,
            o if o.is_rm() && register => inst.reg[n] = modrm & 7,
            o if o.is_reg() => inst.reg[n] = modrm >> 3 & 7,
            O::Zb | O::Zv | O::Zd => inst.reg[n] = opcode & 7,
            O::CL => inst.reg[n] = 1,
            O::DX => inst.reg[n] = 2,
            O::Ib | O::Iw | O::Iz | O::Ibs | O::Jb | O::Jz | O::One => {
                let value = match operand {
                    O::Ib => u32::from(r.u8()?),
                    O::Ibs | O::Jb => r.u8()? as i8 as u32,
                    O::Iw => u32::from(r.u16()?),
                    O::One => 1,
                    O::Jz if oper16 => r.u16()? as i16 as u32,
                    _ if oper16 => u32::from(r.u16()?),
                    _ => r.u32()?,
                };
                if immediates == 0 {
                    inst.imm = value;
                } else {
                    inst.disp = value;
                }
                immediates += 1;
            }
            O::Ap => {
                inst.imm = if oper16 { u32::from(r.u16()?) } else { r.u32()? };
                inst.disp = u32::from(r.u16()?);
            }
            O::Ob | O::Ov => {
                inst.disp = if addr16 { u32::from(r.u16()?) } else { r.u32()? };
                inst.prefixes |= prefix::MEMORY;
            }
            _ => {}
        }
    }
    inst.row = number;
    inst.len = r.at as u8;
    inst.end = u16::from(inst.len);
    let memory = inst.prefixes & prefix::MEMORY != 0;
    inst.run = row.run[form::index(!oper16, if memory { form::MEMORY } else { form::REGISTER })];
    if prefixes & prefix::LOCK != 0 && !(memory && lockable(row)) {
        inst.run = UNDEFINED.run[0];
        inst.row = 0;
    }
    Ok(inst)
}

/// The row for an opcode: one with a matching mandatory prefix before a general one, one for the exact ModRM
/// byte before one with a digit.
fn find(slot: usize, prefixes: u8, r: &Reader<'_>, features: Features) -> Result<Option<u16>, DecodeError> {
    let mandatory = if prefixes & prefix::REP != 0 {
        Prefix::PF3
    } else if prefixes & prefix::REPNE != 0 {
        Prefix::PF2
    } else if prefixes & prefix::P66 != 0 {
        Prefix::P66
    } else {
        Prefix::NP
    };
    let mut best = None;
    let mut best_rank = 0;
    let mut at = INDEX.first[slot];
    while at != END {
        let row = &ROWS[usize::from(at)];
        let number = at;
        at = INDEX.next[usize::from(at)];
        let mut rank = 1;
        if row.prefix != Prefix::Any {
            if row.prefix != mandatory {
                continue;
            }
            rank += 2;
        }
        if !features.has(row.feature) {
            continue;
        }
        if row.has_modrm() {
            let modrm = r.peek()?;
            match row.exact {
                Some(exact) if exact == modrm => rank += 1,
                Some(_) => continue,
                None => {}
            }
            if row.digit.is_some_and(|d| d != modrm >> 3 & 7) {
                continue;
            }
            let form = if modrm >= 0xC0 { 1 } else { 2 };
            if row.forms() & form == 0 {
                continue;
            }
        }
        if rank > best_rank {
            best_rank = rank;
            best = Some(number);
        }
    }
    Ok(best)
}

fn modrm_memory(
    inst: &mut Inst,
    modrm: u8,
    r: &mut Reader<'_>,
    segment: Option<u8>,
) -> Result<(), DecodeError> {
    let mode = modrm >> 6;
    let rm = modrm & 7;
    let default;
    if inst.prefixes & prefix::ADDR16 != 0 {
        let (base, index, seg) = FORMS16[usize::from(rm)];
        (inst.base, inst.index, default) = (base, index, seg);
        let mut default = default;
        inst.disp = match mode {
            0 if rm == 6 => {
                inst.base = NO_REG;
                default = DS;
                u32::from(r.u16()?)
            }
            0 => 0,
            1 => r.u8()? as i8 as u32,
            _ => u32::from(r.u16()?),
        };
        inst.segment = segment.unwrap_or(default);
        return Ok(());
    }
    let mut base = rm;
    if rm == 4 {
        let sib = r.u8()?;
        base = sib & 7;
        let index = sib >> 3 & 7;
        if index != 4 {
            inst.index = index;
            inst.scale = sib >> 6;
        }
    }
    default = if matches!(base, 4 | 5) { SS } else { DS };
    inst.base = base;
    inst.segment = segment.unwrap_or(default);
    inst.disp = match mode {
        0 if base == 5 => {
            inst.base = NO_REG;
            inst.segment = segment.unwrap_or(DS);
            r.u32()?
        }
        0 => 0,
        1 => r.u8()? as i8 as u32,
        _ => r.u32()?,
    };
    Ok(())
}

/// Whether LOCK is allowed with a memory destination (SDM volume 2, LOCK).
#[must_use]
pub fn lockable(row: &Row) -> bool {
    const NAMES: [&str; 18] = [
        "add",
        "adc",
        "and",
        "btc",
        "btr",
        "bts",
        "cmpxchg",
        "cmpxchg8b",
        "dec",
        "inc",
        "neg",
        "not",
        "or",
        "sbb",
        "sub",
        "xor",
        "xadd",
        "xchg",
    ];
    NAMES.contains(&row.mnemonic)
        && (row.operands[0].is_rm() || (row.mnemonic == "xchg" && row.operands[1].is_rm()))
}
