//! Flags that the manuals leave undefined.
//!
//! Spec: Intel SDM volume 2, "Flags Affected" of each instruction; volume 1, appendix A.

use nomad86::isa::Row;

const CF: u32 = 0x001;
const PF: u32 = 0x004;
const AF: u32 = 0x010;
const ZF: u32 = 0x040;
const SF: u32 = 0x080;
const OF: u32 = 0x800;

/// Status flags that `row` leaves undefined with operands of `width` bits, for shifts by `count`.
#[must_use]
pub fn undefined_flags(row: &Row, count: Option<u8>, width: u32) -> u32 {
    match row.mnemonic {
        "and" | "or" | "xor" | "test" => AF,
        "mul" | "imul" => SF | ZF | AF | PF,
        "div" | "idiv" => CF | OF | SF | ZF | AF | PF,
        "bsf" | "bsr" => CF | OF | SF | AF | PF,
        "bt" | "bts" | "btr" | "btc" => OF | SF | AF | PF,
        "daa" | "das" => OF,
        "aaa" | "aas" => OF | SF | ZF | PF,
        "aam" | "aad" => OF | AF | CF,
        "shl" | "shr" | "sar" => match count.unwrap_or(2) & 31 {
            0 => 0,
            1 => AF,
            n if u32::from(n) > width || u32::from(n) == width && row.mnemonic == "sar" => AF | OF | CF,
            n if u32::from(n) == width => AF | OF,
            _ => AF | OF,
        },
        "shld" | "shrd" => match count.unwrap_or(2) & 31 {
            0 => 0,
            1 => AF,
            n if u32::from(n) > width => CF | PF | AF | ZF | SF | OF,
            _ => AF | OF,
        },
        "rol" | "ror" | "rcl" | "rcr" => match count.unwrap_or(2) & 31 {
            0 | 1 => 0,
            _ => OF,
        },
        _ => 0,
    }
}
