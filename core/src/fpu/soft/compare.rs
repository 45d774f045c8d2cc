//! Comparison.

use super::{Class, FloatContext, Unpacked, flag};
use core::cmp::Ordering;

/// How two numbers relate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// The first is less.
    Less,
    /// They are equal (zeros of both signs are).
    Equal,
    /// The first is greater.
    Greater,
    /// One is a NaN.
    Unordered,
}

impl Relation {
    /// ZF (bit 6), PF (bit 2) and CF (bit 0) as FCOMI, COMISS and their kin set them; OF, SF, AF are cleared.
    #[must_use]
    pub const fn eflags(self) -> u32 {
        match self {
            Self::Greater => 0,
            Self::Less => 1,
            Self::Equal => 1 << 6,
            Self::Unordered => 1 << 6 | 1 << 2 | 1,
        }
    }

    /// C3 (bit 14), C2 (bit 10) and C0 (bit 8) of the x87 status word.
    #[must_use]
    pub const fn condition_code(self) -> u16 {
        match self {
            Self::Greater => 0,
            Self::Less => 1 << 8,
            Self::Equal => 1 << 14,
            Self::Unordered => 1 << 14 | 1 << 10 | 1 << 8,
        }
    }
}

/// Compares; a quiet NaN raises #I unless `quiet`.
#[inline(always)]
pub fn compare(a: &Unpacked, b: &Unpacked, quiet: bool, cx: &mut FloatContext) -> Relation {
    if a.is_nan() || b.is_nan() {
        if !quiet || a.class > Class::Quiet || b.class > Class::Quiet {
            cx.raise(flag::INVALID);
        }
        return Relation::Unordered;
    }
    if a.class == Class::Denormal || b.class == Class::Denormal {
        cx.raise(flag::DENORMAL);
    }
    match order(a, b) {
        Ordering::Less => Relation::Less,
        Ordering::Equal => Relation::Equal,
        Ordering::Greater => Relation::Greater,
    }
}

/// The order of two numbers that are not NaNs.
#[inline(always)]
#[must_use]
pub fn order(a: &Unpacked, b: &Unpacked) -> Ordering {
    let magnitude = |u: &Unpacked| match u.class {
        Class::Zero => (i32::MIN, 0),
        Class::Infinite => (i32::MAX, 0),
        _ => (u.exp, u.mant),
    };
    let (x, y) = if a.class == Class::Normal && b.class == Class::Normal {
        ((a.exp, a.mant), (b.exp, b.mant))
    } else {
        (magnitude(a), magnitude(b))
    };
    if a.class == Class::Zero && b.class == Class::Zero {
        return Ordering::Equal;
    }
    match (a.sign, b.sign) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => x.cmp(&y),
        (true, true) => y.cmp(&x),
    }
}
