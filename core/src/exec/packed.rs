//! Integer vectors: arithmetic, comparison, shifts, shuffles, on MMX and XMM registers alike.
//!
//! Spec: Intel SDM volume 2 (P…).

use super::vector::*;
use super::*;

const fn mask(set: bool) -> i64 {
    -(set as i64)
}

lanewise! {
    paddb u8, |a, b| a.wrapping_add(b);
    paddw u16, |a, b| a.wrapping_add(b);
    paddd u32, |a, b| a.wrapping_add(b);
    paddq u64, |a, b| a.wrapping_add(b);
    psubb u8, |a, b| a.wrapping_sub(b);
    psubw u16, |a, b| a.wrapping_sub(b);
    psubd u32, |a, b| a.wrapping_sub(b);
    psubq u64, |a, b| a.wrapping_sub(b);
    paddsb i8, |a, b| a.saturating_add(b);
    paddsw i16, |a, b| a.saturating_add(b);
    paddusb u8, |a, b| a.saturating_add(b);
    paddusw u16, |a, b| a.saturating_add(b);
    psubsb i8, |a, b| a.saturating_sub(b);
    psubsw i16, |a, b| a.saturating_sub(b);
    psubusb u8, |a, b| a.saturating_sub(b);
    psubusw u16, |a, b| a.saturating_sub(b);
    pminub u8, |a, b| a.min(b);
    pminuw u16, |a, b| a.min(b);
    pminud u32, |a, b| a.min(b);
    pminsb i8, |a, b| a.min(b);
    pminsw i16, |a, b| a.min(b);
    pminsd i32, |a, b| a.min(b);
    pmaxub u8, |a, b| a.max(b);
    pmaxuw u16, |a, b| a.max(b);
    pmaxud u32, |a, b| a.max(b);
    pmaxsb i8, |a, b| a.max(b);
    pmaxsw i16, |a, b| a.max(b);
    pmaxsd i32, |a, b| a.max(b);
    pand u64, |a, b| a & b;
    pandn u64, |a, b| !a & b;
    por u64, |a, b| a | b;
    pxor u64, |a, b| a ^ b;
    pcmpeqb u8, |a, b| mask(a == b) as u8;
    pcmpeqw u16, |a, b| mask(a == b) as u16;
    pcmpeqd u32, |a, b| mask(a == b) as u32;
    pcmpeqq u64, |a, b| mask(a == b) as u64;
    pcmpgtb i8, |a, b| mask(a > b) as i8;
    pcmpgtw i16, |a, b| mask(a > b) as i16;
    pcmpgtd i32, |a, b| mask(a > b) as i32;
    pcmpgtq i64, |a, b| mask(a > b);
    pavgb u8, |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8;
    pavgw u16, |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16;
    pmullw i16, |a, b| a.wrapping_mul(b);
    pmulld i32, |a, b| a.wrapping_mul(b);
    pmulhw i16, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16;
    pmulhuw u16, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16;
    pmulhrsw i16, |a, b| ((((i32::from(a) * i32::from(b)) >> 14) + 1) >> 1) as i16;
    pmuludq u64, |a, b| (a & 0xFFFF_FFFF) * (b & 0xFFFF_FFFF);
    pmuldq i64, |a, b| i64::from(a as i32) * i64::from(b as i32);
    psignb i8, |a, b| a.wrapping_mul(b.signum());
    psignw i16, |a, b| a.wrapping_mul(b.signum());
    psignd i32, |a, b| a.wrapping_mul(b.signum());
    pabsb i8, |_a, b| b.wrapping_abs();
    pabsw i16, |_a, b| b.wrapping_abs();
    pabsd i32, |_a, b| b.wrapping_abs();
}

/// Instructions whose lane `n` is made of any lanes: `|a, b, n| lane`, where `a` and `b` are the lanes of
/// destination and source.
macro_rules! across {
    ($($name:ident $from:ty => $to:ty, |$a:ident, $b:ident, $n:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            combine::<V, D, S>(c, i, io, |x, y| {
                let ($a, $b): (&[$from], &[$from]) = (lanes(&x), lanes(&y));
                build::<$to, V>(|$n| $body)
            })
        }
    )* };
}

/// Lane `n` of the concatenation of two halves: low or high ones interleaved.
#[inline(always)]
fn interleaved<E: Copy>(a: &[E], b: &[E], n: usize, high: bool) -> E {
    let at = n / 2 + if high { a.len() / 2 } else { 0 };
    if n.is_multiple_of(2) { a[at] } else { b[at] }
}

/// Lane `n` of the concatenation of `a` and `b`.
#[inline(always)]
fn joined<E: Copy>(a: &[E], b: &[E], n: usize) -> E {
    if n < a.len() { a[n] } else { b[n - a.len()] }
}

/// Lane `n` of what `f` makes of neighbours in the concatenation of `a` and `b`.
#[inline(always)]
fn horizontal<E: Copy>(a: &[E], b: &[E], n: usize, f: impl Fn(E, E) -> E) -> E {
    f(joined(a, b, 2 * n), joined(a, b, 2 * n + 1))
}

across! {
    punpcklbw u8 => u8, |a, b, n| interleaved(a, b, n, false);
    punpcklwd u16 => u16, |a, b, n| interleaved(a, b, n, false);
    punpckldq u32 => u32, |a, b, n| interleaved(a, b, n, false);
    punpcklqdq u64 => u64, |a, b, n| interleaved(a, b, n, false);
    punpckhbw u8 => u8, |a, b, n| interleaved(a, b, n, true);
    punpckhwd u16 => u16, |a, b, n| interleaved(a, b, n, true);
    punpckhdq u32 => u32, |a, b, n| interleaved(a, b, n, true);
    punpckhqdq u64 => u64, |a, b, n| interleaved(a, b, n, true);
    packsswb i16 => i8, |a, b, n| joined(a, b, n).clamp(-0x80, 0x7F) as i8;
    packuswb i16 => u8, |a, b, n| joined(a, b, n).clamp(0, 0xFF) as u8;
    packssdw i32 => i16, |a, b, n| joined(a, b, n).clamp(-0x8000, 0x7FFF) as i16;
    packusdw i32 => u16, |a, b, n| joined(a, b, n).clamp(0, 0xFFFF) as u16;
    phaddw i16 => i16, |a, b, n| horizontal(a, b, n, i16::wrapping_add);
    phaddd i32 => i32, |a, b, n| horizontal(a, b, n, i32::wrapping_add);
    phaddsw i16 => i16, |a, b, n| horizontal(a, b, n, i16::saturating_add);
    phsubw i16 => i16, |a, b, n| horizontal(a, b, n, i16::wrapping_sub);
    phsubd i32 => i32, |a, b, n| horizontal(a, b, n, i32::wrapping_sub);
    phsubsw i16 => i16, |a, b, n| horizontal(a, b, n, i16::saturating_sub);
    pmaddwd i16 => i32, |a, b, n| {
        let product = |k: usize| i32::from(a[k]) * i32::from(b[k]);
        product(2 * n).wrapping_add(product(2 * n + 1))
    };
    // Unsigned bytes of the first operand, signed ones of the second.
    pmaddubsw u8 => i16, |a, b, n| {
        let product = |k: usize| i16::from(a[k]) * i16::from(b[k] as i8);
        product(2 * n).saturating_add(product(2 * n + 1))
    };
    psadbw u8 => u64, |a, b, n| (8 * n..8 * n + 8).map(|k| u64::from(a[k].abs_diff(b[k]))).sum();
    pshufb u8 => u8, |a, b, n| if b[n] & 0x80 != 0 { 0 } else { a[usize::from(b[n]) & (a.len() - 1)] };
}

/// Shifts by a count that all lanes share: from the source's low 64 bits, or the immediate.
macro_rules! shifts {
    ($($name:ident $imm:ident $e:ty, |$a:ident, $n:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            combine::<V, D, S>(c, i, io, |x, y| {
                let $n = lanes::<u64, V>(&y)[0].min(64) as u32;
                build::<$e, V>(|k| { let $a = lanes::<$e, V>(&x)[k]; $body })
            })
        }
        pub(crate) fn $imm<V: Vector, D: Side<V>, S>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            let $n = i.imm.min(64);
            transform::<V, D, D>(c, i, io, |x| {
                build::<$e, V>(|k| { let $a = lanes::<$e, V>(&x)[k]; $body })
            })
        }
    )* };
}

shifts! {
    psrlw psrlw_imm u16, |a, n| if n > 15 { 0 } else { a >> n };
    psrld psrld_imm u32, |a, n| if n > 31 { 0 } else { a >> n };
    psrlq psrlq_imm u64, |a, n| if n > 63 { 0 } else { a >> n };
    psllw psllw_imm u16, |a, n| if n > 15 { 0 } else { a << n };
    pslld pslld_imm u32, |a, n| if n > 31 { 0 } else { a << n };
    psllq psllq_imm u64, |a, n| if n > 63 { 0 } else { a << n };
    psraw psraw_imm i16, |a, n| a >> n.min(15);
    psrad psrad_imm i32, |a, n| a >> n.min(31);
}

/// PSRLDQ: by bytes.
pub(crate) fn psrldq<V: Vector, D: Side<V>, S>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    transform::<V, D, D>(c, i, io, |x| V::of(x.u128().checked_shr(i.imm * 8).unwrap_or(0)))
}

/// PSLLDQ: by bytes.
pub(crate) fn pslldq<V: Vector, D: Side<V>, S>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    transform::<V, D, D>(c, i, io, |x| V::of(x.u128().checked_shl(i.imm * 8).unwrap_or(0)))
}

/// PALIGNR: a window of the two operands joined, by bytes.
pub(crate) fn palignr<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    combine::<V, D, S>(c, i, io, |x, y| {
        let size = V::SIZE as usize;
        let (low, high): (&[u8], &[u8]) = (lanes(&y), lanes(&x));
        build::<u8, V>(|n| {
            let at = n + (i.imm & 0xFF) as usize;
            if at < 2 * size { joined(low, high, at) } else { 0 }
        })
    })
}

/// Two bits of the immediate choose each of four lanes.
#[inline(always)]
const fn chosen(imm: u32, n: usize) -> usize {
    (imm >> (2 * (n & 3)) & 3) as usize
}

macro_rules! shuffles {
    ($($name:ident $e:ty, |$a:ident, $imm:ident, $n:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            let $imm = i.imm;
            transform::<V, D, S>(c, i, io, |x| {
                let $a: &[$e] = lanes(&x);
                build::<$e, V>(|$n| $body)
            })
        }
    )* };
}

shuffles! {
    pshufw u16, |a, imm, n| a[chosen(imm, n)];
    pshufd u32, |a, imm, n| a[chosen(imm, n)];
    pshuflw u16, |a, imm, n| if n < 4 { a[chosen(imm, n)] } else { a[n] };
    pshufhw u16, |a, imm, n| if n < 4 { a[n] } else { a[4 + chosen(imm, n)] };
    movsldup u32, |a, _imm, n| a[n & !1];
    movshdup u32, |a, _imm, n| a[n | 1];
    movddup u64, |a, _imm, _n| a[0];
}

/// PMOVSX and PMOVZX: the low lanes widened.
macro_rules! widen {
    ($($name:ident $from:ty => $to:ty;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            transform::<V, D, S>(c, i, io, |x| build::<$to, V>(|n| <$to>::from(lanes::<$from, V>(&x)[n])))
        }
    )* };
}

widen! {
    pmovsxbw i8 => i16;
    pmovsxbd i8 => i32;
    pmovsxbq i8 => i64;
    pmovsxwd i16 => i32;
    pmovsxwq i16 => i64;
    pmovsxdq i32 => i64;
    pmovzxbw u8 => u16;
    pmovzxbd u8 => u32;
    pmovzxbq u8 => u64;
    pmovzxwd u16 => u32;
    pmovzxwq u16 => u64;
    pmovzxdq u32 => u64;
}

/// SHUFPS.
pub(crate) fn shufps<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    combine::<V, D, S>(c, i, io, |x, y| {
        build::<u32, V>(|n| lanes::<u32, V>(if n < 2 { &x } else { &y })[chosen(i.imm, n)])
    })
}

/// SHUFPD.
pub(crate) fn shufpd<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    combine::<V, D, S>(c, i, io, |x, y| {
        build::<u64, V>(|n| lanes::<u64, V>(if n == 0 { &x } else { &y })[(i.imm >> n & 1) as usize])
    })
}

/// Blends: a lane of the source where `|imm or XMM0, n|` says so.
macro_rules! blends {
    ($($name:ident $e:ty, |$selector:ident, $n:ident| $from:expr, $body:expr;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            let $selector = $from(&*c, i);
            combine::<V, D, S>(c, i, io, |x, y| {
                build::<$e, V>(|$n| if $body { lanes::<$e, V>(&y)[$n] } else { lanes::<$e, V>(&x)[$n] })
            })
        }
    )* };
}

fn immediate(_c: &Cpu, i: &Inst) -> u32 {
    i.imm
}

fn xmm0(c: &Cpu, _i: &Inst) -> u128 {
    c.xmm[0]
}

blends! {
    pblendw u16, |s, n| immediate, s >> n & 1 != 0;
    blendps u32, |s, n| immediate, s >> n & 1 != 0;
    blendpd u64, |s, n| immediate, s >> n & 1 != 0;
    pblendvb u8, |s, n| xmm0, lanes::<i8, u128>(&s)[n] < 0;
    blendvps u32, |s, n| xmm0, lanes::<i32, u128>(&s)[n] < 0;
    blendvpd u64, |s, n| xmm0, lanes::<i64, u128>(&s)[n] < 0;
}

/// PTEST.
pub(crate) fn ptest<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let (b, a) = (S::get(c, i, io)?.u128(), D::get(c, i, io)?.u128());
    let zf = u32::from(a & b == 0) << 6;
    c.flags.set_status(zf | u32::from(!a & b == 0));
    Ok(())
}

/// PHMINPOSUW: the smallest word and its number.
pub(crate) fn phminposuw<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    transform::<V, D, S>(c, i, io, |x| {
        let words: &[u16] = lanes(&x);
        let (at, least) = words.iter().enumerate().min_by_key(|&(_, word)| *word).unwrap_or((0, &0));
        V::of(u128::from(*least) | (at as u128) << 16)
    })
}

/// MPSADBW: eight sums of four absolute differences.
pub(crate) fn mpsadbw<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let (first, second) = ((i.imm >> 2 & 1) as usize * 4, (i.imm & 3) as usize * 4);
    combine::<V, D, S>(c, i, io, |x, y| {
        let (a, b): (&[u8], &[u8]) = (lanes(&x), lanes(&y));
        build::<u16, V>(|n| (0..4).map(|k| u16::from(a[first + n + k].abs_diff(b[second + k]))).sum())
    })
}

/// PMOVMSKB.
pub(crate) fn pmovmskb<V: Vector, D: Place, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    V::begin(c, io)?;
    let a = S::get(c, i, io)?;
    let signs = lanes::<u8, V>(&a).iter().enumerate().fold(0, |m, (n, b)| m | u32::from(b >> 7) << n);
    D::put(c, i, io, signs)?;
    V::finish(c);
    Ok(())
}
