//! x87 instructions: the checks before them, their memory operands, and the call of the FPU's method.

use super::*;
use crate::cpu::cr0;
use crate::fpu::env::Layout;
use crate::fpu::{Arith, Constant, F80, Relation, Store};

impl Cpu {
    /// #NM for an FPU instruction while the unit is absent or its state belongs to another task.
    #[inline(always)]
    pub(crate) fn x87_available(&self) -> Run {
        if self.cr0 & (cr0::EM | cr0::TS) != 0 { Err(Trap::NM) } else { Ok(()) }
    }

    /// The check that waiting instructions make: a pending exception is reported now, by #MF or by FERR#.
    #[inline(always)]
    pub(crate) fn x87_wait(&mut self, io: &mut dyn Io) -> Run {
        if self.fpu.pending() {
            if self.cr0 & cr0::NE != 0 {
                return Err(Trap::MF);
            }
            io.ferr(true);
        }
        Ok(())
    }

    fn begin(&mut self, i: &Inst, io: &mut dyn Io) -> Run {
        self.x87_available()?;
        self.x87_wait(io)?;
        let _ = i;
        Ok(())
    }

    /// Notes where a non-control instruction and its operand were.
    #[inline(always)]
    fn note(&mut self, i: &Inst) {
        let opcode = (i.row().opcode as u16 & 7) << 8 | u16::from(i.reg[2]);
        let ip = self.block_eip.wrapping_add(u32::from(i.end - u16::from(i.len)));
        let cs = self.seg[crate::cpu::segment::seg::CS].selector;
        self.fpu.note_instruction(opcode, cs, ip);
        if i.is_memory() {
            let selector = self.seg[usize::from(i.segment & 7)].selector;
            let offset = self.effective(i);
            self.fpu.note_operand(selector, offset);
        }
    }

    fn layout(&self, i: &Inst) -> Layout {
        Layout { wide: !i.oper16(), protected: self.protected() }
    }
}

fn sti(i: &Inst) -> u8 {
    // ST(i) is the operand that is not the fixed ST(0).
    i.reg[2] & 7
}

macro_rules! x87 {
    ($($name:ident |$c:ident, $i:ident, $io:ident| $body:expr;)*) => { $(
        #[allow(clippy::no_effect, reason = "FNOP does nothing")]
        pub(crate) fn $name($c: &mut Cpu, $i: &Inst, $io: &mut dyn Io) -> Run {
            $c.begin($i, $io)?;
            $body;
            $c.note($i);
            Ok(())
        }
    )* };
}

macro_rules! arithmetic {
    ($($op:ident: $m32:ident $m64:ident $i32:ident $i16:ident $st0:ident $sti:ident $pop:ident;)*) => {
        x87! { $(
            $m32 |c, i, io| { let v = c.load(i, io)?; c.fpu.arith_m32(Arith::$op, v) };
            $m64 |c, i, io| { let v = c.load(i, io)?; c.fpu.arith_m64(Arith::$op, v) };
            $i32 |c, i, io| { let v: u32 = c.load(i, io)?; c.fpu.arith_integer(Arith::$op, v as i32) };
            $i16 |c, i, io| { let v: u16 = c.load(i, io)?; c.fpu.arith_integer(Arith::$op, i32::from(v as i16)) };
            $st0 |c, i, io| c.fpu.arith(Arith::$op, 0, sti(i), false);
            $sti |c, i, io| c.fpu.arith(Arith::$op, sti(i), 0, false);
            $pop |c, i, io| c.fpu.arith(Arith::$op, sti(i), 0, true);
        )* }
    };
}

arithmetic! {
    Add: fadd_m32 fadd_m64 fadd_i32 fadd_i16 fadd_st0_sti fadd_sti_st0 faddp_sti_st0;
    Mul: fmul_m32 fmul_m64 fmul_i32 fmul_i16 fmul_st0_sti fmul_sti_st0 fmulp_sti_st0;
    Sub: fsub_m32 fsub_m64 fsub_i32 fsub_i16 fsub_st0_sti fsub_sti_st0 fsubp_sti_st0;
    SubReversed: fsubr_m32 fsubr_m64 fsubr_i32 fsubr_i16 fsubr_st0_sti fsubr_sti_st0 fsubrp_sti_st0;
    Div: fdiv_m32 fdiv_m64 fdiv_i32 fdiv_i16 fdiv_st0_sti fdiv_sti_st0 fdivp_sti_st0;
    DivReversed: fdivr_m32 fdivr_m64 fdivr_i32 fdivr_i16 fdivr_st0_sti fdivr_sti_st0 fdivrp_sti_st0;
}

fn f80(bytes: [u8; 10]) -> F80 {
    let mut mantissa = [0; 8];
    mantissa.copy_from_slice(&bytes[..8]);
    F80 { mantissa: u64::from_le_bytes(mantissa), sign_exponent: u16::from_le_bytes([bytes[8], bytes[9]]) }
}

impl Cpu {
    fn load_ten(&mut self, i: &Inst, io: &mut dyn Io) -> Run<[u8; 10]> {
        let at = self.effective(i);
        let next = if i.addr16() { at.wrapping_add(8) & 0xFFFF } else { at.wrapping_add(8) };
        let low: u64 = self.read(i.segment, at, io)?;
        let high: u16 = self.read(i.segment, next, io)?;
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&low.to_le_bytes());
        bytes[8..].copy_from_slice(&high.to_le_bytes());
        Ok(bytes)
    }

    /// Writes ten bytes all or nothing; with 16-bit addresses the last two may wrap.
    fn store_ten(&mut self, i: &Inst, bytes: &[u8; 10], io: &mut dyn Io) -> Run {
        let at = self.effective(i);
        let next = if i.addr16() { at.wrapping_add(8) & 0xFFFF } else { at.wrapping_add(8) };
        let (low, high) = (self.linear_write(i.segment, at, 8)?, self.linear_write(i.segment, next, 2)?);
        let user = self.cpl == 3;
        self.probe_write(low, 8, user, io)?;
        self.probe_write(high, 2, user, io)?;
        let value = u64::from_le_bytes([
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
        ]);
        self.write_linear(low, value, io)?;
        self.write_linear(high, u16::from_le_bytes([bytes[8], bytes[9]]), io)
    }

    /// Writes bytes all or nothing.
    fn store_bytes(&mut self, i: &Inst, bytes: &[u8], io: &mut dyn Io) -> Run {
        let at = self.effective(i);
        let linear = self.linear_write(i.segment, at, bytes.len() as u32)?;
        let user = self.cpl == 3;
        self.probe_write(linear, bytes.len() as u32, user, io)?;
        for (n, chunk) in bytes.chunks(2).enumerate() {
            let to = linear.wrapping_add(2 * n as u32);
            match *chunk {
                [a, b] => self.write_linear(to, u16::from_le_bytes([a, b]), io)?,
                _ => self.write_linear(to, chunk[0], io)?,
            }
        }
        Ok(())
    }

    fn load_bytes(&mut self, i: &Inst, bytes: &mut [u8], io: &mut dyn Io) -> Run {
        let at = self.effective(i);
        let linear = self.linear_read(i.segment, at, bytes.len() as u32)?;
        self.check_alignment(linear, bytes.len() as u32, self.cpl == 3)?;
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = self.read_linear(linear.wrapping_add(n as u32), io)?;
        }
        Ok(())
    }

    /// An unmasked exception suppresses a store, but not the checks of where it would have gone.
    fn probe_store(&mut self, i: &Inst, size: u32, io: &mut dyn Io) -> Run {
        let linear = self.linear_write(i.segment, self.effective(i), size)?;
        self.probe_write(linear, size, self.cpl == 3, io)
    }

    fn finish<T>(
        &mut self,
        i: &Inst,
        store: &Store<T>,
        pop: bool,
        write: impl FnOnce(&mut Self, Option<&T>) -> Run,
    ) -> Run {
        write(self, store.value.as_ref())?;
        self.fpu.finish_store(store, pop);
        self.note(i);
        Ok(())
    }

    fn compared(&mut self, relation: Relation) {
        self.flags.set_status(relation.eflags());
    }
}

macro_rules! stores {
    ($($name:ident $method:ident ($($arg:expr)?) $t:ty, $pop:expr;)*) => { $(
        pub(crate) fn $name(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
            c.begin(i, io)?;
            let store = c.fpu.$method($($arg)?);
            c.finish(i, &store, $pop, |c, v| match v {
                Some(&v) => c.store(i, v as $t, io),
                None => c.probe_store(i, size_of::<$t>() as u32, io),
            })
        }
    )* };
}

stores! {
    fst_m32 fst_m32() u32, false;
    fstp_m32 fst_m32() u32, true;
    fst_m64 fst_m64() u64, false;
    fstp_m64 fst_m64() u64, true;
    fist_i16 fist_m16(false) u16, false;
    fistp_i16 fist_m16(false) u16, true;
    fist_i32 fist_m32(false) u32, false;
    fistp_i32 fist_m32(false) u32, true;
    fistp_i64 fist_m64(false) u64, true;
    fisttp_i16 fist_m16(true) u16, true;
    fisttp_i32 fist_m32(true) u32, true;
    fisttp_i64 fist_m64(true) u64, true;
}

/// FSTP m80.
pub(crate) fn fstp_m80(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.begin(i, io)?;
    let store = c.fpu.fst_m80();
    c.finish(i, &store, true, |c, v| {
        let Some(v) = v else { return c.probe_store(i, 10, io) };
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&v.mantissa.to_le_bytes());
        bytes[8..].copy_from_slice(&v.sign_exponent.to_le_bytes());
        c.store_ten(i, &bytes, io)
    })
}

/// FBSTP.
pub(crate) fn fbstp(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.begin(i, io)?;
    let store = c.fpu.fbstp();
    c.finish(i, &store, true, |c, v| match v {
        Some(v) => c.store_ten(i, v, io),
        None => c.probe_store(i, 10, io),
    })
}

x87! {
    fld_m32 |c, i, io| { let v = c.load(i, io)?; c.fpu.fld_m32(v) };
    fld_m64 |c, i, io| { let v = c.load(i, io)?; c.fpu.fld_m64(v) };
    fld_m80 |c, i, io| { let v = c.load_ten(i, io)?; c.fpu.fld_m80(f80(v)) };
    fbld |c, i, io| { let v = c.load_ten(i, io)?; c.fpu.fbld(v) };
    fild_i16 |c, i, io| { let v: u16 = c.load(i, io)?; c.fpu.fild(i64::from(v as i16)) };
    fild_i32 |c, i, io| { let v: u32 = c.load(i, io)?; c.fpu.fild(i64::from(v as i32)) };
    fild_i64 |c, i, io| { let v: u64 = c.load(i, io)?; c.fpu.fild(v as i64) };
    fld_sti |c, i, io| c.fpu.fld_st(sti(i));
    fst_sti |c, i, io| c.fpu.fst_st(sti(i), false);
    fstp_sti |c, i, io| c.fpu.fst_st(sti(i), true);
    fstpnce |c, i, io| c.fpu.fstpnce(sti(i));
    fxch |c, i, io| c.fpu.fxch(sti(i));
    ffree |c, i, io| c.fpu.ffree(sti(i), false);
    ffreep |c, i, io| c.fpu.ffree(sti(i), true);
    fnop |c, i, io| ();
    fcom_m32 |c, i, io| { let v = c.load(i, io)?; c.fpu.fcom_m32(v, false) };
    fcomp_m32 |c, i, io| { let v = c.load(i, io)?; c.fpu.fcom_m32(v, true) };
    fcom_m64 |c, i, io| { let v = c.load(i, io)?; c.fpu.fcom_m64(v, false) };
    fcomp_m64 |c, i, io| { let v = c.load(i, io)?; c.fpu.fcom_m64(v, true) };
    fcom_i32 |c, i, io| { let v: u32 = c.load(i, io)?; c.fpu.ficom(v as i32, false) };
    fcomp_i32 |c, i, io| { let v: u32 = c.load(i, io)?; c.fpu.ficom(v as i32, true) };
    fcom_i16 |c, i, io| { let v: u16 = c.load(i, io)?; c.fpu.ficom(i32::from(v as i16), false) };
    fcomp_i16 |c, i, io| { let v: u16 = c.load(i, io)?; c.fpu.ficom(i32::from(v as i16), true) };
    fcom_st0_sti |c, i, io| c.fpu.fcom(sti(i), false, 0);
    fcomp_st0_sti |c, i, io| c.fpu.fcom(sti(i), false, 1);
    fcompp |c, i, io| c.fpu.fcom(1, false, 2);
    fucom |c, i, io| c.fpu.fcom(sti(i), true, 0);
    fucomp |c, i, io| c.fpu.fcom(sti(i), true, 1);
    fucompp |c, i, io| c.fpu.fcom(1, true, 2);
    fcomi |c, i, io| { let r = c.fpu.fcomi(sti(i), false, false); c.compared(r) };
    fcomip |c, i, io| { let r = c.fpu.fcomi(sti(i), false, true); c.compared(r) };
    fucomi |c, i, io| { let r = c.fpu.fcomi(sti(i), true, false); c.compared(r) };
    fucomip |c, i, io| { let r = c.fpu.fcomi(sti(i), true, true); c.compared(r) };
    ftst |c, i, io| c.fpu.ftst();
    fxam |c, i, io| c.fpu.fxam();
    fchs |c, i, io| c.fpu.fchs();
    fabs |c, i, io| c.fpu.fabs();
    fld1 |c, i, io| c.fpu.fld_constant(Constant::One);
    fldl2t |c, i, io| c.fpu.fld_constant(Constant::Log2Of10);
    fldl2e |c, i, io| c.fpu.fld_constant(Constant::Log2OfE);
    fldpi |c, i, io| c.fpu.fld_constant(Constant::Pi);
    fldlg2 |c, i, io| c.fpu.fld_constant(Constant::Log10Of2);
    fldln2 |c, i, io| c.fpu.fld_constant(Constant::LnOf2);
    fldz |c, i, io| c.fpu.fld_constant(Constant::Zero);
    fxtract |c, i, io| c.fpu.fxtract();
    fprem |c, i, io| c.fpu.fprem(false);
    fprem1 |c, i, io| c.fpu.fprem(true);
    fdecstp |c, i, io| c.fpu.fdecstp();
    fincstp |c, i, io| c.fpu.fincstp();
    fsqrt |c, i, io| c.fpu.fsqrt();
    frndint |c, i, io| c.fpu.frndint();
    fscale |c, i, io| c.fpu.fscale();
    f2xm1 |c, i, io| c.fpu.f2xm1();
    fyl2x |c, i, io| c.fpu.fyl2x();
    fyl2xp1 |c, i, io| c.fpu.fyl2xp1();
    fptan |c, i, io| c.fpu.fptan();
    fpatan |c, i, io| c.fpu.fpatan();
    fsin |c, i, io| c.fpu.fsin();
    fcos |c, i, io| c.fpu.fcos();
    fsincos |c, i, io| c.fpu.fsincos();
    fcmovb |c, i, io| { let met = c.flags.cf(); c.fpu.fcmov(sti(i), met) };
    fcmove |c, i, io| { let met = c.flags.zf(); c.fpu.fcmov(sti(i), met) };
    fcmovbe |c, i, io| { let met = c.flags.condition(6); c.fpu.fcmov(sti(i), met) };
    fcmovu |c, i, io| { let met = c.flags.pf(); c.fpu.fcmov(sti(i), met) };
    fcmovnb |c, i, io| { let met = !c.flags.cf(); c.fpu.fcmov(sti(i), met) };
    fcmovne |c, i, io| { let met = !c.flags.zf(); c.fpu.fcmov(sti(i), met) };
    fcmovnbe |c, i, io| { let met = c.flags.condition(7); c.fpu.fcmov(sti(i), met) };
    fcmovnu |c, i, io| { let met = !c.flags.pf(); c.fpu.fcmov(sti(i), met) };
}

/// FWAIT: the only one that heeds MP.
pub(crate) fn fwait(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    if c.cr0 & (cr0::MP | cr0::TS) == cr0::MP | cr0::TS {
        return Err(Trap::NM);
    }
    c.x87_wait(io)
}

/// FLDCW.
pub(crate) fn fldcw(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.begin(i, io)?;
    let value: u16 = c.load(i, io)?;
    c.fpu.fldcw(value);
    Ok(())
}

/// FNSTCW.
pub(crate) fn fnstcw(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    c.store(i, c.fpu.control, io)
}

/// FNSTSW to memory.
pub(crate) fn fnstsw_mem(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    c.store(i, c.fpu.status_word(), io)
}

/// FNSTSW AX.
pub(crate) fn fnstsw_ax(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.x87_available()?;
    let value = c.fpu.status_word();
    u16::set(&mut c.regs, 0, value);
    Ok(())
}

/// FNCLEX.
pub(crate) fn fnclex(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    c.fpu.fnclex();
    io.ferr(false);
    Ok(())
}

/// FNINIT.
pub(crate) fn fninit(c: &mut Cpu, _i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    c.fpu.fninit();
    io.ferr(false);
    Ok(())
}

/// FNENI, FNDISI, FNSETPM: nothing since the 387.
pub(crate) fn fneni(c: &mut Cpu, _i: &Inst, _io: &mut dyn Io) -> Run {
    c.x87_available()
}

/// FNSTENV.
pub(crate) fn fnstenv(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    let layout = c.layout(i);
    let image = c.fpu.environment(layout);
    c.store_bytes(i, &image[..layout.environment_size()], io)?;
    c.fpu.finish_fstenv();
    Ok(())
}

/// FLDENV.
pub(crate) fn fldenv(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.begin(i, io)?;
    let layout = c.layout(i);
    let mut image = [0; 28];
    c.load_bytes(i, &mut image[..layout.environment_size()], io)?;
    c.fpu.load_environment(layout, &image[..layout.environment_size()]);
    Ok(())
}

/// FNSAVE.
pub(crate) fn fnsave(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.x87_available()?;
    let layout = c.layout(i);
    let image = c.fpu.save(layout);
    c.store_bytes(i, &image[..layout.save_size()], io)?;
    c.fpu.fninit();
    io.ferr(false);
    Ok(())
}

/// FRSTOR.
pub(crate) fn frstor(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    c.begin(i, io)?;
    let layout = c.layout(i);
    let mut image = [0; 108];
    c.load_bytes(i, &mut image[..layout.save_size()], io)?;
    c.fpu.restore(layout, &image[..layout.save_size()]);
    Ok(())
}
