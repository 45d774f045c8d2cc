//! AES rounds and carry-less multiplication.
//!
//! Spec: Intel SDM volume 2 (AES…, PCLMULQDQ); FIPS 197.

use super::vector::*;
use super::*;

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn product(mut a: u8, mut b: u8) -> u8 {
    let mut sum = 0;
    while b != 0 {
        if b & 1 != 0 {
            sum ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1B } else { 0 };
        b >>= 1;
    }
    sum
}

/// SubBytes: the inverse in GF(2^8), then an affine map.
const SUBSTITUTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        // The inverse is the 254th power.
        let mut inverse = 1;
        let mut k = 0;
        while k < 254 {
            inverse = product(inverse, n as u8);
            k += 1;
        }
        table[n] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        n += 1;
    }
    table
};

const RESTORE: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[SUBSTITUTE[n] as usize] = n as u8;
        n += 1;
    }
    table
};

type State = [u8; 16];

fn substitute(state: State) -> State {
    state.map(|byte| SUBSTITUTE[usize::from(byte)])
}

fn restore(state: State) -> State {
    state.map(|byte| RESTORE[usize::from(byte)])
}

/// ShiftRows: row `r` (bytes `r`, `r + 4`, …) turns left by `r` columns.
fn shift_rows(s: State) -> State {
    core::array::from_fn(|n| s[(n + 4 * (n % 4)) % 16])
}

fn unshift_rows(s: State) -> State {
    core::array::from_fn(|n| s[(n + 12 * (n % 4)) % 16])
}

/// Each column times a polynomial whose coefficients are `by`.
fn mix(s: State, by: [u8; 4]) -> State {
    core::array::from_fn(|n| (0..4).fold(0, |sum, k| sum ^ product(s[n / 4 * 4 + (n + k) % 4], by[k])))
}

const MIX: [u8; 4] = [2, 3, 1, 1];
const UNMIX: [u8; 4] = [14, 11, 13, 9];

macro_rules! rounds {
    ($($name:ident |$s:ident| $body:expr, $key:expr;)*) => { $(
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            combine::<u128, D, S>(c, i, io, |a, b| {
                let step: fn(u128, u128) -> (u128, u128) = $key;
                let (state, key) = step(a, b);
                let $s = state.to_le_bytes();
                u128::from_le_bytes($body) ^ key
            })
        }
    )* };
}

rounds! {
    aesenc |s| mix(substitute(shift_rows(s)), MIX), |a, b| (a, b);
    aesenclast |s| substitute(shift_rows(s)), |a, b| (a, b);
    aesdec |s| mix(restore(unshift_rows(s)), UNMIX), |a, b| (a, b);
    aesdeclast |s| restore(unshift_rows(s)), |a, b| (a, b);
    aesimc |s| mix(s, UNMIX), |_, b| (b, 0);
}

/// AESKEYGENASSIST.
pub(crate) fn aeskeygenassist<V, D: Side<u128>, S: Side<u128>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
) -> Run {
    transform::<u128, D, S>(c, i, io, |x| {
        let words = u128::from_le_bytes(substitute(x.to_le_bytes()));
        build::<u32, u128>(|n| {
            let word = lanes::<u32, u128>(&words)[n | 1];
            if n.is_multiple_of(2) { word } else { word.rotate_right(8) ^ i.imm & 0xFF }
        })
    })
}

/// PCLMULQDQ: the immediate chooses a half of each operand.
pub(crate) fn pclmulqdq<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    combine::<u128, D, S>(c, i, io, |x, y| {
        let a = u128::from(lanes::<u64, u128>(&x)[(i.imm & 1) as usize]);
        let b = lanes::<u64, u128>(&y)[(i.imm >> 4 & 1) as usize];
        (0..64).fold(0, |sum, n| sum ^ if b >> n & 1 != 0 { a << n } else { 0 })
    })
}
