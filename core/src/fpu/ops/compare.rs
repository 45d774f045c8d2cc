//! FCOM, FUCOM, FCOMI, FUCOMI, FTST, FXAM, FCMOVcc.

use super::{Condition, Fpu, status};
use crate::fpu::soft::compare::compare;
use crate::fpu::soft::{Class, F32, F64, F80, Format, Relation, Unpacked};

impl Fpu {
    #[inline(always)]
    fn compare_with(&mut self, other: Option<Unpacked>, quiet: bool, pops: u8) {
        let (relation, pop) = if let Some(other) = other {
            let mut cx = self.context();
            let relation = compare(&self.unpacked(0), &other, quiet, &mut cx);
            (relation, self.settle(&cx))
        } else {
            (Relation::Unordered, self.stack_fault(false))
        };
        // An unmasked exception keeps the operands on the stack but not the codes from being set.
        self.set_codes(relation.condition_code());
        if pop {
            self.pop_times(pops);
        }
    }

    fn pop_times(&mut self, pops: u8) {
        for _ in 0..pops {
            self.pop();
        }
    }

    #[inline(always)]
    fn operand(&self, i: u8) -> Option<Unpacked> {
        (!self.is_empty(0) && !self.is_empty(i)).then(|| self.unpacked(i))
    }

    /// FCOM, FCOMP, FCOMPP ST(i) with 0, 1, 2 pops; FUCOM and its kin with `quiet`.
    pub fn fcom(&mut self, i: u8, quiet: bool, pops: u8) {
        let other = self.operand(i);
        self.compare_with(other, quiet, pops);
    }

    /// FCOM and FCOMP m32fp (D8 /2 and /3).
    pub fn fcom_m32(&mut self, source: u32, pop: bool) {
        let other = (!self.is_empty(0)).then(|| F32(source).unpack());
        self.compare_with(other, false, u8::from(pop));
    }

    /// FCOM and FCOMP m64fp (DC /2 and /3).
    pub fn fcom_m64(&mut self, source: u64, pop: bool) {
        let other = (!self.is_empty(0)).then(|| F64(source).unpack());
        self.compare_with(other, false, u8::from(pop));
    }

    /// FICOM and FICOMP (DA and DE /2 and /3).
    pub fn ficom(&mut self, source: i32, pop: bool) {
        let other = (!self.is_empty(0)).then(|| Unpacked::from_i64(i64::from(source)));
        self.compare_with(other, false, u8::from(pop));
    }

    /// FTST: compares with +0.
    pub fn ftst(&mut self) {
        let other = (!self.is_empty(0)).then(|| Unpacked::zero(false));
        self.compare_with(other, false, 0);
    }

    /// FCOMI and FCOMIP; FUCOMI and FUCOMIP with `quiet`.
    ///
    /// Returns what EFLAGS becomes, see [`Relation::eflags`].
    pub fn fcomi(&mut self, i: u8, quiet: bool, pop: bool) -> Relation {
        let c1 = self.status & status::C1;
        let (relation, pops) = if let Some(other) = self.operand(i) {
            let mut cx = self.context();
            let relation = compare(&self.unpacked(0), &other, quiet, &mut cx);
            let pops = self.settle(&cx);
            self.status |= c1;
            (relation, pops)
        } else {
            (Relation::Unordered, self.stack_fault(false))
        };
        if pop && pops {
            self.pop();
        }
        relation
    }

    /// FXAM: classifies ST(0).
    pub fn fxam(&mut self) {
        let value = self.st(0);
        let class = if self.is_empty(0) {
            status::C3 | status::C0
        } else {
            match value.unpack().class {
                Class::Unsupported => 0,
                Class::Quiet | Class::Signalling => status::C0,
                Class::Normal => status::C2,
                Class::Infinite => status::C2 | status::C0,
                Class::Zero => status::C3,
                Class::Denormal => status::C3 | status::C2,
            }
        };
        self.set_codes(class | if value.sign() { status::C1 } else { 0 });
    }

    /// FCMOVcc ST(0), ST(i); the CPU evaluates the condition from EFLAGS.
    pub fn fcmov(&mut self, i: u8, condition: Condition) {
        if self.is_empty(0) || self.is_empty(i) {
            // Whatever the condition says.
            if self.stack_fault(false) {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        if condition {
            let value = self.st(i);
            self.set_st(0, value);
        }
    }
}
