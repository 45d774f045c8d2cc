//! Disassembly, from the rows: Intel's notation, as NASM reads it but for names that rows share.

use super::inst::{Inst, NO_REG, prefix};
use super::row::Operand;
use core::fmt;

const DWORDS: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const WORDS: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const BYTES: [&str; 8] = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// An instruction as text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'i> {
    inst: &'i Inst,
    next: u32,
}

impl Inst {
    /// The instruction as text; `at` is its offset in the code segment, for branch targets.
    #[must_use]
    pub const fn text(&self, at: u32) -> Text<'_> {
        Text { inst: self, next: at.wrapping_add(self.len as u32) }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let i = self.inst;
        let row = i.row();
        if i.prefixes & prefix::LOCK != 0 {
            f.write_str("lock ")?;
        }
        let string = |o: &Operand| matches!(o, Operand::Xb | Operand::Xv | Operand::Yb | Operand::Yv);
        if row.operands.iter().any(string) && i.rep() {
            f.write_str(if i.prefixes & prefix::REPNE != 0 { "repne " } else { "rep " })?;
        }
        f.write_str(row.mnemonic)?;
        let mut immediates = 0;
        for (n, &operand) in row.operands.iter().enumerate() {
            if operand == Operand::None {
                break;
            }
            f.write_str(if n == 0 { " " } else { ", " })?;
            self.operand(f, n.min(2), operand, &mut immediates)?;
        }
        Ok(())
    }
}

impl Text<'_> {
    fn operand(&self, f: &mut fmt::Formatter<'_>, n: usize, o: Operand, immediates: &mut u32) -> fmt::Result {
        use Operand as O;
        let i = self.inst;
        let register = i.reg[n];
        let wide = if i.oper16() { &WORDS } else { &DWORDS };
        let general = |names: &[&'static str; 8], r: u8| names[usize::from(r & 7)];
        match o {
            O::None => Ok(()),
            o if i.is_memory() && (o.is_rm() || matches!(o, O::Ob | O::Ov)) => self.memory(f, o),
            O::Eb | O::Gb | O::Zb => f.write_str(general(&BYTES, register)),
            O::Ew | O::Gw => f.write_str(general(&WORDS, register)),
            O::Ed | O::Gd | O::Zd | O::Rd | O::RdMb | O::RdMw => f.write_str(general(&DWORDS, register)),
            O::Ev | O::Gv | O::Zv | O::Rv => f.write_str(general(wide, register)),
            O::AL => f.write_str("al"),
            O::AX => f.write_str("ax"),
            O::EAX => f.write_str(wide[0]),
            O::CL => f.write_str("cl"),
            O::DX => f.write_str("dx"),
            O::ES | O::CS | O::SS | O::DS | O::FS | O::GS => {
                f.write_str(SEGMENTS[o as usize - O::ES as usize])
            }
            O::Sw => f.write_str(SEGMENTS[usize::from(register % 6)]),
            O::Cd => write!(f, "cr{register}"),
            O::Dd => write!(f, "dr{register}"),
            O::One => f.write_str("1"),
            O::Ib | O::Iw | O::Iz | O::Ibs => {
                *immediates += 1;
                number(f, if *immediates > 1 { i.disp } else { i.imm })
            }
            O::Jb | O::Jz => {
                let target = self.next.wrapping_add(i.imm);
                number(f, if i.oper16() { target & 0xFFFF } else { target })
            }
            O::Ap => write!(f, "{:#x}:{:#x}", i.disp, i.imm),
            O::Xb => self.string(f, "byte", 6),
            O::Xv => self.string(f, word(i), 6),
            O::Yb => self.string(f, "byte", 7),
            O::Yv => self.string(f, word(i), 7),
            O::St0 => f.write_str("st0"),
            O::Sti => write!(f, "st{}", register & 7),
            O::Pq | O::Qq | O::Qd | O::Nq => write!(f, "mm{}", register & 7),
            O::Vx | O::Wx | O::Wq | O::Wd | O::Ww | O::Ux => write!(f, "xmm{}", register & 7),
            O::Xmm0 => f.write_str("xmm0"),
            _ => self.memory(f, o),
        }
    }

    /// The memory operand with its size.
    fn memory(&self, f: &mut fmt::Formatter<'_>, o: Operand) -> fmt::Result {
        use Operand as O;
        let i = self.inst;
        let size = match o {
            O::Eb | O::Mb | O::Ob | O::RdMb => "byte ",
            O::Ew | O::Mw | O::RdMw | O::Ww => "word ",
            O::Ed | O::Md | O::Qd | O::Wd | O::Rd => "dword ",
            O::Mq | O::Qq | O::Wq | O::Nq => "qword ",
            O::Mt => "tword ",
            O::Wx | O::Mx | O::Ux => "oword ",
            O::Mp => "far ",
            O::Ev | O::Mv | O::Ov => word(i),
            _ => "",
        };
        f.write_str(size.trim_end())?;
        f.write_str(if size.is_empty() { "[" } else { " [" })?;
        if i.prefixes & prefix::SEGMENT != 0 {
            write!(f, "{}:", SEGMENTS[usize::from(i.segment % 6)])?;
        }
        let names = if i.addr16() { &WORDS } else { &DWORDS };
        let mut first = true;
        for (register, scale) in [(i.base, 0), (i.index, i.scale)] {
            if register == NO_REG {
                continue;
            }
            if !first {
                f.write_str("+")?;
            }
            first = false;
            f.write_str(names[usize::from(register & 7)])?;
            if scale != 0 {
                write!(f, "*{}", 1 << scale)?;
            }
        }
        let signed = i.disp as i32;
        match (first, signed) {
            (true, _) => number(f, i.disp)?,
            (false, 0) => {}
            (false, ..0) if signed > -0x1_0000 => write!(f, "-{:#x}", signed.unsigned_abs())?,
            (false, _) => write!(f, "+{:#x}", i.disp)?,
        }
        f.write_str("]")
    }

    fn string(&self, f: &mut fmt::Formatter<'_>, size: &str, register: usize) -> fmt::Result {
        let i = self.inst;
        let names = if i.addr16() { &WORDS } else { &DWORDS };
        // The destination is in ES whatever is said; the source says where it is when it is not in DS.
        let segment = if register == 7 {
            "es:"
        } else if i.prefixes & prefix::SEGMENT != 0 {
            ["es:", "cs:", "ss:", "ds:", "fs:", "gs:"][usize::from(i.segment % 6)]
        } else {
            ""
        };
        write!(f, "{} [{segment}{}]", size.trim_end(), names[register])
    }
}

const fn word(i: &Inst) -> &'static str {
    if i.oper16() { "word " } else { "dword " }
}

fn number(f: &mut fmt::Formatter<'_>, value: u32) -> fmt::Result {
    if value < 10 { write!(f, "{value}") } else { write!(f, "{value:#x}") }
}

#[cfg(test)]
mod tests {
    use crate::isa::decode::{Features, decode};
    use alloc::format;

    fn text(bytes: &[u8], code32: bool) -> alloc::string::String {
        let inst = decode(bytes, code32, Features::ALL).unwrap();
        assert_eq!(usize::from(inst.len), bytes.len(), "{bytes:02x?}");
        format!("{}", inst.text(0x1000))
    }

    #[test]
    fn instructions_read_as_in_the_manual() {
        for (bytes, expected) in [
            (&[0x01, 0xD8][..], "add eax, ebx"),
            (&[0x66, 0x05, 0x34, 0x12], "add ax, 0x1234"),
            (&[0x8B, 0x44, 0x8E, 0xFC], "mov eax, dword [esi+ecx*4-0x4]"),
            (&[0x88, 0x25, 0, 0, 1, 0], "mov byte [0x10000], ah"),
            (&[0x65, 0xA1, 0x14, 0, 0, 0], "mov eax, dword [gs:0x14]"),
            (&[0xF0, 0x0F, 0xB1, 0x0A], "lock cmpxchg dword [edx], ecx"),
            (&[0xF3, 0xA5], "rep movs dword [es:edi], dword [esi]"),
            (&[0xF2, 0x2E, 0xA6], "repne cmps byte [cs:esi], byte [es:edi]"),
            (&[0x75, 0xFE], "jne 0x1000"),
            (&[0xE8, 0, 1, 0, 0], "call 0x1105"),
            (&[0x67, 0x8B, 0x40, 0x10], "mov eax, dword [bx+si+0x10]"),
            (&[0xD8, 0xC1], "fadd st0, st1"),
            (&[0xDD, 0x45, 0xF8], "fld qword [ebp-0x8]"),
            (&[0x0F, 0x20, 0xD8], "mov eax, cr3"),
            (&[0x8E, 0xD8], "mov ds, ax"),
            (&[0x9A, 1, 0, 0, 0, 8, 0], "callf 0x8:0x1"),
            (&[0xC8, 8, 0, 1], "enter 8, 1"),
            (&[0x0F, 0x0B], "ud2"),
        ] {
            assert_eq!(text(bytes, true), expected, "{bytes:02x?}");
        }
        assert_eq!(text(&[0x8B, 0x42, 0x10], false), "mov ax, word [bp+si+0x10]");
        assert_eq!(text(&[0xE9, 0xFD, 0xEF], false), "jmp 0");
    }
}
