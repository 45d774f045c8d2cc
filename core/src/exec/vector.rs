//! Vector operands: the MMX and XMM register files, memory with and without alignment, and values as lanes.
//!
//! A function that works on both register files is generic over [`Vector`]; where its operands are, [`Side`]
//! says, as [`Place`] does for general registers.

use super::*;
use bytemuck::Pod;
use core::marker::PhantomData;

/// A vector register's value: 64 bits of MMX or 128 bits of XMM.
pub(crate) trait Vector: Cell + Pod + PartialEq {
    /// Legacy SSE wants its memory operands at multiples of their size; MMX does not care.
    const ALIGNED: bool;
    /// The checks before an instruction on these registers.
    fn begin(c: &mut Cpu, io: &mut dyn Io) -> Run;
    /// What an instruction on these registers does besides: MMX resets TOP and fills the tags.
    fn finish(c: &mut Cpu);
    /// Reads register `n`.
    fn get(c: &Cpu, n: u8) -> Self;
    /// Writes register `n`.
    fn set(c: &mut Cpu, n: u8, value: Self);
    /// Truncates or zero-extends.
    fn of(value: u128) -> Self;
    /// Zero-extends.
    fn u128(self) -> u128;
}

impl Vector for u64 {
    const ALIGNED: bool = false;
    #[inline(always)]
    fn begin(c: &mut Cpu, io: &mut dyn Io) -> Run {
        c.mmx_available(io)
    }
    #[inline(always)]
    fn finish(c: &mut Cpu) {
        c.fpu.enter_mmx();
    }
    #[inline(always)]
    fn get(c: &Cpu, n: u8) -> Self {
        c.fpu.mmx(n)
    }
    #[inline(always)]
    fn set(c: &mut Cpu, n: u8, value: Self) {
        c.fpu.set_mmx(n, value);
    }
    #[inline(always)]
    fn of(value: u128) -> Self {
        value as u64
    }
    #[inline(always)]
    fn u128(self) -> u128 {
        u128::from(self)
    }
}

impl Vector for u128 {
    const ALIGNED: bool = true;
    #[inline(always)]
    fn begin(c: &mut Cpu, _io: &mut dyn Io) -> Run {
        c.sse_available()
    }
    #[inline(always)]
    fn finish(_c: &mut Cpu) {}
    #[inline(always)]
    fn get(c: &Cpu, n: u8) -> Self {
        c.xmm[usize::from(n & 7)]
    }
    #[inline(always)]
    fn set(c: &mut Cpu, n: u8, value: Self) {
        c.xmm[usize::from(n & 7)] = value;
    }
    #[inline(always)]
    fn of(value: u128) -> Self {
        value
    }
    #[inline(always)]
    fn u128(self) -> u128 {
        self
    }
}

impl Cpu {
    /// #UD, #NM or #MF for an MMX instruction while the unit is absent, another task's, or has an x87 exception
    /// to report.
    #[inline(always)]
    pub(crate) fn mmx_available(&mut self, io: &mut dyn Io) -> Run {
        if self.cr0 & crate::cpu::cr0::EM != 0 {
            return Err(Trap::UD);
        }
        if self.cr0 & crate::cpu::cr0::TS != 0 {
            return Err(Trap::NM);
        }
        self.x87_wait(io)
    }

    /// #GP for an operand that is not at a multiple of its size; comes before the limit, as on AMD's processors.
    #[inline(always)]
    fn check_vector(&self, i: &Inst, at: u32, size: u32) -> Run {
        let linear = self.seg[usize::from(i.segment & 7)].base.wrapping_add(at);
        if linear & (size - 1) != 0 { Err(Trap::gp(0)) } else { Ok(()) }
    }
}

/// Where a vector operand is.
pub(crate) trait Side<V: Vector> {
    /// It is in memory.
    const MEMORY: bool = true;
    /// Reads it.
    fn get(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<V>;
    /// Writes it.
    fn put(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: V) -> Run;
}

impl<V: Vector, const N: usize> Side<V> for R<N> {
    const MEMORY: bool = false;
    #[inline(always)]
    fn get(c: &mut Cpu, i: &Inst, _io: &mut dyn Io) -> Run<V> {
        Ok(V::get(c, i.reg[N]))
    }
    #[inline(always)]
    fn put(c: &mut Cpu, i: &Inst, _io: &mut dyn Io, value: V) -> Run {
        V::set(c, i.reg[N], value);
        Ok(())
    }
}

impl<V: Vector> Side<V> for M {
    #[inline(always)]
    fn get(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<V> {
        let at = c.effective(i);
        if V::ALIGNED {
            c.check_vector(i, at, V::SIZE)?;
        }
        c.read(i.segment, at, io)
    }
    #[inline(always)]
    fn put(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: V) -> Run {
        let at = c.effective(i);
        if V::ALIGNED {
            c.check_vector(i, at, V::SIZE)?;
        }
        c.write(i.segment, at, value, io)
    }
}

/// Memory of full width at any address.
pub(crate) struct Loose;

impl<V: Vector> Side<V> for Loose {
    #[inline(always)]
    fn get(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<V> {
        c.load(i, io)
    }
    #[inline(always)]
    fn put(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: V) -> Run {
        c.store(i, value, io)
    }
}

/// Memory narrower than the register, whose low end it is.
pub(crate) struct Narrow<T>(PhantomData<T>);

impl<V: Vector, T: Cell> Side<V> for Narrow<T> {
    #[inline(always)]
    fn get(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run<V> {
        let value: T = c.load(i, io)?;
        Ok(V::of(u128::from_le_bytes(value.to_bytes())))
    }
    #[inline(always)]
    fn put(c: &mut Cpu, i: &Inst, io: &mut dyn Io, value: V) -> Run {
        c.store(i, T::from_bytes(value.u128().to_le_bytes()), io)
    }
}

/// A value as its lanes, lowest first.
#[inline(always)]
pub(crate) fn lanes<E: Pod, V: Vector>(value: &V) -> &[E] {
    bytemuck::cast_slice(core::slice::from_ref(value))
}

/// A value made of lanes, lowest first.
#[inline(always)]
pub(crate) fn build<E: Pod, V: Vector>(mut lane: impl FnMut(usize) -> E) -> V {
    let mut value = V::zeroed();
    let places: &mut [E] = bytemuck::cast_slice_mut(core::slice::from_mut(&mut value));
    for (n, place) in places.iter_mut().enumerate() {
        *place = lane(n);
    }
    value
}

/// `destination = f(destination, source)`.
#[inline(always)]
pub(crate) fn combine<V: Vector, D: Side<V>, S: Side<V>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    f: impl FnOnce(V, V) -> V,
) -> Run {
    V::begin(c, io)?;
    let b = S::get(c, i, io)?;
    let a = D::get(c, i, io)?;
    D::put(c, i, io, f(a, b))?;
    V::finish(c);
    Ok(())
}

/// `destination = f(source)`.
#[inline(always)]
pub(crate) fn transform<V: Vector, D: Side<V>, S: Side<V>>(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    f: impl FnOnce(V) -> V,
) -> Run {
    V::begin(c, io)?;
    let a = S::get(c, i, io)?;
    D::put(c, i, io, f(a))?;
    V::finish(c);
    Ok(())
}

/// `lane = f(lane of destination, lane of source)`, an instruction a line.
macro_rules! lanewise {
    ($($name:ident $e:ty, |$a:ident, $b:ident| $body:expr;)*) => { $(
        pub(crate) fn $name<V: Vector, D: Side<V>, S: Side<V>>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            combine::<V, D, S>(c, i, io, |x, y| build::<$e, V>(|n| {
                let ($a, $b) = (lanes::<$e, V>(&x)[n], lanes::<$e, V>(&y)[n]);
                $body
            }))
        }
    )* };
}
pub(crate) use lanewise;
