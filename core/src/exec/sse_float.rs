//! SSE floating point: the kernels of [`crate::fpu::sse`] over the lanes of an operand, under MXCSR.
//!
//! Spec: Intel SDM volume 2; volume 1, 11.5.

use super::vector::*;
use super::*;
use crate::cpu::cr4;
use crate::fpu::sse::{self, Element, approximate};
use crate::fpu::{F32, F64, FloatContext, Relation};
use bytemuck::Pod;

/// A lane type that holds a floating-point value.
pub(crate) trait Float: Element {
    /// Its bits.
    type Bits: Pod;
    /// From bits.
    fn new(bits: Self::Bits) -> Self;
    /// To bits.
    fn bits(self) -> Self::Bits;
}

impl Float for F32 {
    type Bits = u32;
    #[inline(always)]
    fn new(bits: u32) -> Self {
        Self(bits)
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0
    }
}

impl Float for F64 {
    type Bits = u64;
    #[inline(always)]
    fn new(bits: u64) -> Self {
        Self(bits)
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.0
    }
}

/// Computes under MXCSR and takes the exceptions into it: #XM for an unmasked one, #UD where the system does not
/// know #XM.
#[inline(always)]
fn computed<T>(c: &mut Cpu, f: impl FnOnce(&mut FloatContext) -> T) -> Run<T> {
    let mut cx = FloatContext::from_mxcsr(c.mxcsr);
    let value = f(&mut cx);
    if cx.flags != 0 {
        let (flags, faults) = cx.finish();
        c.mxcsr |= flags;
        if faults {
            return Err(if c.cr4 & cr4::OSXMMEXCPT != 0 { Trap::XM } else { Trap::UD });
        }
    }
    Ok(value)
}

#[inline(always)]
fn lane<F: Float>(value: &u128, n: usize) -> F {
    F::new(lanes::<F::Bits, u128>(value)[n])
}

#[inline(always)]
fn made<F: Float>(mut f: impl FnMut(usize) -> F) -> u128 {
    build::<F::Bits, u128>(|n| f(n).bits())
}

/// All lanes of the destination are made anew from both operands.
#[inline(always)]
fn packed<D: Side<u128>, S: Side<u128>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    f: impl FnOnce(u128, u128, &mut FloatContext) -> u128,
) -> Run {
    c.sse_available()?;
    let b = S::get(c, i, io)?;
    let a = D::get(c, i, io)?;
    let result = computed(c, |cx| f(a, b, cx))?;
    D::put(c, i, io, result)
}

/// The low lane is made anew; the rest of the destination stays.
#[inline(always)]
fn scalar<F: Float, D: Side<u128>, S: Side<u128>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    f: impl FnOnce(u128, u128, &mut FloatContext) -> F,
) -> Run {
    packed::<D, S>(c, i, io, |a, b, cx| {
        let mut result = a;
        let low = f(a, b, cx);
        if let Some(place) = bytemuck::cast_slice_mut(core::slice::from_mut(&mut result)).first_mut() {
            *place = low.bits();
        }
        result
    })
}

/// Four forms of an operation on two elements: `kernel: ps pd ss sd`.
macro_rules! binary {
    ($(|$a:ident, $b:ident, $cx:ident, $i:ident| $body:expr => $ps:ident $pd:ident $ss:ident $sd:ident;)*) => { $(
        binary!(@packed F32 $ps |$a, $b, $cx, $i| $body);
        binary!(@packed F64 $pd |$a, $b, $cx, $i| $body);
        binary!(@scalar F32 $ss |$a, $b, $cx, $i| $body);
        binary!(@scalar F64 $sd |$a, $b, $cx, $i| $body);
    )* };
    (@packed $f:ident $name:ident |$a:ident, $b:ident, $cx:ident, $i:ident| $body:expr) => {
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, $i: &Inst, io: &mut dyn Io) -> Run {
            packed::<D, S>(c, $i, io, |x, y, $cx| made::<$f>(|n| {
                let ($a, $b) = (lane::<$f>(&x, n), lane::<$f>(&y, n));
                $body
            }))
        }
    };
    (@scalar $f:ident $name:ident |$a:ident, $b:ident, $cx:ident, $i:ident| $body:expr) => {
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, $i: &Inst, io: &mut dyn Io) -> Run {
            scalar::<$f, D, S>(c, $i, io, |x, y, $cx| {
                let ($a, $b) = (lane::<$f>(&x, 0), lane::<$f>(&y, 0));
                $body
            })
        }
    };
}

/// All ones or zeros.
trait Truth: Float {
    fn truth(met: bool) -> Self;
}
impl Truth for F32 {
    fn truth(met: bool) -> Self {
        Self(if met { u32::MAX } else { 0 })
    }
}
impl Truth for F64 {
    fn truth(met: bool) -> Self {
        Self(if met { u64::MAX } else { 0 })
    }
}

binary! {
    |a, b, cx, _i| sse::add(a, b, cx) => addps addpd addss addsd;
    |a, b, cx, _i| sse::sub(a, b, cx) => subps subpd subss subsd;
    |a, b, cx, _i| sse::mul(a, b, cx) => mulps mulpd mulss mulsd;
    |a, b, cx, _i| sse::div(a, b, cx) => divps divpd divss divsd;
    |a, b, cx, _i| sse::min(a, b, cx) => minps minpd minss minsd;
    |a, b, cx, _i| sse::max(a, b, cx) => maxps maxpd maxss maxsd;
    |_a, b, cx, _i| sse::sqrt(b, cx) => sqrtps sqrtpd sqrtss sqrtsd;
    |_a, b, cx, i| sse::round(b, i.imm as u8, cx) => roundps roundpd roundss roundsd;
    |a, b, cx, i| Truth::truth(sse::holds(a, b, i.imm as u8, cx)) => cmpps cmppd cmpss cmpsd;
}

binary!(@packed F32 rcpps |_a, b, _cx, _i| approximate::reciprocal(b));
binary!(@scalar F32 rcpss |_a, b, _cx, _i| approximate::reciprocal(b));
binary!(@packed F32 rsqrtps |_a, b, _cx, _i| approximate::reciprocal_root(b));
binary!(@scalar F32 rsqrtss |_a, b, _cx, _i| approximate::reciprocal_root(b));

/// Packed operations whose lanes are not all treated alike.
macro_rules! uneven {
    ($($name:ident $f:ident, |$x:ident, $y:ident, $n:ident, $cx:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            packed::<D, S>(c, i, io, |$x, $y, $cx| made::<$f>(|$n| $body))
        }
    )* };
}

/// Neighbours `2n` and `2n + 1` of the lanes of `x` and `y` joined.
#[inline(always)]
fn neighbours<F: Float>(x: &u128, y: &u128, n: usize) -> (F, F) {
    let count = 16 / size_of::<F::Bits>();
    let source = if 2 * n < count { x } else { y };
    (lane(source, 2 * n % count), lane(source, 2 * n % count + 1))
}

#[inline(always)]
fn add_pair<F: Float>((a, b): (F, F), cx: &mut FloatContext) -> F {
    sse::add(a, b, cx)
}

#[inline(always)]
fn sub_pair<F: Float>((a, b): (F, F), cx: &mut FloatContext) -> F {
    sse::sub(a, b, cx)
}

uneven! {
    haddps F32, |x, y, n, cx| add_pair::<F32>(neighbours(&x, &y, n), cx);
    haddpd F64, |x, y, n, cx| add_pair::<F64>(neighbours(&x, &y, n), cx);
    hsubps F32, |x, y, n, cx| sub_pair::<F32>(neighbours(&x, &y, n), cx);
    hsubpd F64, |x, y, n, cx| sub_pair::<F64>(neighbours(&x, &y, n), cx);
    addsubps F32, |x, y, n, cx| {
        let pair = (lane::<F32>(&x, n), lane::<F32>(&y, n));
        if n.is_multiple_of(2) { sub_pair(pair, cx) } else { add_pair(pair, cx) }
    };
    addsubpd F64, |x, y, n, cx| {
        let pair = (lane::<F64>(&x, n), lane::<F64>(&y, n));
        if n.is_multiple_of(2) { sub_pair(pair, cx) } else { add_pair(pair, cx) }
    };
}

/// Products where the immediate's high half says so.
#[inline(always)]
fn products<F: Float>(x: &u128, y: &u128, imm: u32, n: usize, cx: &mut FloatContext) -> F {
    if imm >> (4 + n) & 1 != 0 { sse::mul(lane::<F>(x, n), lane(y, n), cx) } else { F::zero(false) }
}

/// DPPS and DPPD: products, then sums of neighbours until one is left. Each step's exceptions are settled before
/// the next.
#[inline(always)]
fn dot<F: Float + Default, const N: usize, D: Side<u128>, S: Side<u128>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
) -> Run {
    c.sse_available()?;
    let (y, x) = (S::get(c, i, io)?, D::get(c, i, io)?);
    let mut terms: [F; N] = computed(c, |cx| core::array::from_fn(|n| products(&x, &y, i.imm, n, cx)))?;
    let mut count = N;
    while count > 1 {
        count /= 2;
        terms = computed(c, |cx| {
            core::array::from_fn(|n| {
                if n < count { sse::add(terms[2 * n], terms[2 * n + 1], cx) } else { F::default() }
            })
        })?;
    }
    D::put(c, i, io, made(|n| if i.imm >> n & 1 != 0 { terms[0] } else { F::default() }))
}

/// DPPS.
pub(crate) fn dpps<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    dot::<F32, 4, D, S>(c, i, io)
}

/// DPPD.
pub(crate) fn dppd<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    dot::<F64, 2, D, S>(c, i, io)
}

/// COMISS and its kin.
macro_rules! compares {
    ($($name:ident $f:ident $quiet:literal;)*) => { $(
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            c.sse_available()?;
            let (y, x) = (S::get(c, i, io)?, D::get(c, i, io)?);
            let relation: Relation = computed(c, |cx| sse::relation::<$f>(lane(&x, 0), lane(&y, 0), $quiet, cx))?;
            c.flags.set_status(relation.eflags());
            Ok(())
        }
    )* };
}

compares! {
    comiss F32 false;
    comisd F64 false;
    ucomiss F32 true;
    ucomisd F64 true;
}

/// Conversions whose result lanes are made one from one: `|source, lane number, context|`, lanes above `count`
/// are zeros.
macro_rules! conversions {
    ($($name:ident => $to:ty, $count:literal, |$y:ident, $n:ident, $cx:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            packed::<D, S>(c, i, io, |_, $y, $cx| {
                build::<$to, u128>(|$n| if $n < $count { $body } else { 0 })
            })
        }
    )* };
}

conversions! {
    cvtps2pd => u64, 2, |y, n, cx| sse::convert::<F32, F64>(lane(&y, n), cx).0;
    cvtpd2ps => u32, 2, |y, n, cx| sse::convert::<F64, F32>(lane(&y, n), cx).0;
    cvtdq2ps => u32, 4, |y, n, cx| sse::from_integer::<F32>(i64::from(lanes::<i32, _>(&y)[n]), cx).0;
    cvtdq2pd => u64, 2, |y, n, cx| sse::from_integer::<F64>(i64::from(lanes::<i32, _>(&y)[n]), cx).0;
    cvtps2dq => i32, 4, |y, n, cx| sse::to_i32::<F32>(lane(&y, n), false, cx);
    cvttps2dq => i32, 4, |y, n, cx| sse::to_i32::<F32>(lane(&y, n), true, cx);
    cvtpd2dq => i32, 2, |y, n, cx| sse::to_i32::<F64>(lane(&y, n), false, cx);
    cvttpd2dq => i32, 2, |y, n, cx| sse::to_i32::<F64>(lane(&y, n), true, cx);
}

/// CVTSS2SD.
pub(crate) fn cvtss2sd<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    scalar::<F64, D, S>(c, i, io, |_, y, cx| sse::convert::<F32, F64>(lane(&y, 0), cx))
}

/// CVTSD2SS.
pub(crate) fn cvtsd2ss<V, D: Side<u128>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    scalar::<F32, D, S>(c, i, io, |_, y, cx| sse::convert::<F64, F32>(lane(&y, 0), cx))
}

/// CVTSI2SS and CVTSI2SD.
macro_rules! from_general {
    ($($name:ident $f:ident;)*) => { $(
        pub(crate) fn $name<D: Side<u128>, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            c.sse_available()?;
            let value: u32 = S::get(c, i, io)?;
            // The source is read already.
            scalar::<$f, D, D>(c, i, io, |_, _, cx| sse::from_integer(i64::from(value as i32), cx))
        }
    )* };
}

from_general! {
    cvtsi2ss F32;
    cvtsi2sd F64;
}

/// CVTSS2SI and its kin.
macro_rules! to_general {
    ($($name:ident $f:ident $truncate:literal;)*) => { $(
        pub(crate) fn $name<V, D: Place, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            c.sse_available()?;
            let y = S::get(c, i, io)?;
            let value = computed(c, |cx| sse::to_i32::<$f>(lane(&y, 0), $truncate, cx))?;
            D::put(c, i, io, value as u32)
        }
    )* };
}

to_general! {
    cvtss2si F32 false;
    cvttss2si F32 true;
    cvtsd2si F64 false;
    cvttsd2si F64 true;
}

/// CVTPS2PI and its kin: two integers to an MMX register.
macro_rules! to_mmx {
    ($($name:ident $f:ident $truncate:literal;)*) => { $(
        pub(crate) fn $name<V, D: Side<u64>, S: Side<u128>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            c.sse_available()?;
            c.mmx_available(io)?;
            let y = S::get(c, i, io)?;
            // The change of state stands even when the result is an exception.
            c.fpu.enter_mmx();
            let value = computed(c, |cx| build::<i32, u64>(|n| sse::to_i32::<$f>(lane(&y, n), $truncate, cx)))?;
            D::put(c, i, io, value)
        }
    )* };
}

to_mmx! {
    cvtps2pi F32 false;
    cvttps2pi F32 true;
    cvtpd2pi F64 false;
    cvttpd2pi F64 true;
}

/// CVTPI2PS and CVTPI2PD: from memory they are no MMX instructions.
#[inline(always)]
fn from_mmx<D: Side<u128>, S: Side<u64>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    f: impl FnOnce(u128, u64, &mut FloatContext) -> u128,
) -> Run {
    c.sse_available()?;
    if !S::MEMORY {
        c.mmx_available(io)?;
    }
    let y = S::get(c, i, io)?;
    if !S::MEMORY {
        c.fpu.enter_mmx();
    }
    packed::<D, D>(c, i, io, |x, _, cx| f(x, y, cx))
}

/// CVTPI2PS: two integers to the low half.
pub(crate) fn cvtpi2ps<V, D: Side<u128>, S: Side<u64>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    from_mmx::<D, S>(c, i, io, |x, y, cx| {
        made(|n| match lanes::<i32, u64>(&y).get(n) {
            Some(&value) => sse::from_integer(i64::from(value), cx),
            None => lane::<F32>(&x, n),
        })
    })
}

/// CVTPI2PD: two integers, exactly.
pub(crate) fn cvtpi2pd<V, D: Side<u128>, S: Side<u64>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    from_mmx::<D, S>(c, i, io, |_, y, cx| {
        made::<F64>(|n| sse::from_integer(i64::from(lanes::<i32, u64>(&y)[n]), cx))
    })
}
