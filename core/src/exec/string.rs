//! String instructions. A repeated one does a bounded number of elements and then stands at itself again, so
//! that interrupts are served and a fault leaves ESI, EDI and ECX at the element that faulted.

use super::alu::compare;
use super::io::{read_port, write_port};
use super::*;
use crate::cpu::event;
use crate::cpu::flags::bit;
use crate::cpu::segment::seg;
use crate::isa::inst::prefix;

const ES: u8 = seg::ES as u8;
/// Elements that a repeated instruction does before interrupts are looked at.
const BATCH: u32 = 4096;

impl Cpu {
    #[inline(always)]
    fn index_register(&self, n: usize, i: &Inst) -> u32 {
        if i.addr16() { self.regs[n] & 0xFFFF } else { self.regs[n] }
    }

    #[inline(always)]
    fn advance(&mut self, n: usize, by: u32, i: &Inst) {
        let new = self.regs[n].wrapping_add(by);
        self.regs[n] = if i.addr16() { self.regs[n] & 0xFFFF_0000 | new & 0xFFFF } else { new };
    }

    /// What an index register moves by for one element.
    #[inline(always)]
    fn stride(&self, size: u32) -> u32 {
        if self.flags.has(bit::DF) { size.wrapping_neg() } else { size }
    }

    /// Elements left, for a repeated instruction.
    #[inline(always)]
    fn elements(&self, i: &Inst) -> u32 {
        if i.addr16() { self.regs[reg::ECX] & 0xFFFF } else { self.regs[reg::ECX] }
    }

    #[inline(always)]
    fn used(&mut self, count: u32, i: &Inst) {
        self.advance(reg::ECX, count.wrapping_neg(), i);
    }

    /// Whether a run of elements from `offset` upwards stays clear of an address wrap.
    fn straight(&self, offset: u32, bytes: u32, i: &Inst) -> bool {
        u64::from(offset) + u64::from(bytes) <= if i.addr16() { 0x1_0000 } else { 1 << 32 }
    }
}

/// Repeats `one` while ECX lasts and it returns true. `many` may do several elements at once.
#[inline(always)]
fn repeat(
    c: &mut Cpu,
    i: &Inst,
    io: &mut dyn Io,
    mut many: impl FnMut(&mut Cpu, u32, &mut dyn Io) -> u32,
    mut one: impl FnMut(&mut Cpu, &mut dyn Io) -> Run<bool>,
) -> Run {
    if !i.rep() {
        one(c, io)?;
        return Ok(());
    }
    let mut budget = if c.stepping { 1 } else { BATCH };
    loop {
        let left = c.elements(i);
        if left == 0 {
            return Ok(());
        }
        // Overwritten code waits until all elements are done: whether a page is known to hold code must not
        // show in the instruction count.
        if budget == 0 || c.stop_at == 0 && io.events() & !event::CODE != 0 {
            // Once more from here, after whatever waits.
            c.eip = c.block_eip.wrapping_add(u32::from(i.end - u16::from(i.len)));
            return Err(Trap::END);
        }
        if !c.stepping {
            let done = many(c, left.min(budget), io);
            if done != 0 {
                c.used(done, i);
                budget -= done;
                continue;
            }
        }
        let go_on = one(c, io)?;
        c.used(1, i);
        budget -= 1;
        if !go_on {
            return Ok(());
        }
    }
}

/// MOVS.
pub(crate) fn movs<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let size = W::BITS / 8;
    repeat(
        c,
        i,
        io,
        |c, left, io| {
            if c.flags.has(bit::DF) {
                return 0;
            }
            let (from, to) = (c.index_register(reg::ESI, i), c.index_register(reg::EDI, i));
            let (Ok(source), Ok(target)) =
                (c.linear_read(i.segment, from, size), c.linear_write(ES, to, size))
            else {
                return 0;
            };
            let room = |at: u32| (0x1000 - (at & 0xFFF)) / size;
            let count = left.min(room(source)).min(room(target));
            let bytes = count * size;
            let whole = count != 0
                && c.straight(from, bytes, i)
                && c.straight(to, bytes, i)
                && c.linear_read(i.segment, from, bytes).is_ok()
                && c.linear_write(ES, to, bytes).is_ok();
            let _ = io;
            if whole && c.copy_direct(source, target, bytes, size) {
                c.advance(reg::ESI, bytes, i);
                c.advance(reg::EDI, bytes, i);
                count
            } else {
                0
            }
        },
        |c, io| {
            let value: W = c.read(i.segment, c.index_register(reg::ESI, i), io)?;
            c.write(ES, c.index_register(reg::EDI, i), value, io)?;
            let stride = c.stride(size);
            c.advance(reg::ESI, stride, i);
            c.advance(reg::EDI, stride, i);
            Ok(true)
        },
    )
}

/// STOS.
pub(crate) fn stos<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let size = W::BITS / 8;
    repeat(
        c,
        i,
        io,
        |c, left, _| {
            if c.flags.has(bit::DF) {
                return 0;
            }
            let to = c.index_register(reg::EDI, i);
            let Ok(target) = c.linear_write(ES, to, size) else { return 0 };
            let count = left.min((0x1000 - (target & 0xFFF)) / size);
            let bytes = count * size;
            let whole = count != 0 && c.straight(to, bytes, i) && c.linear_write(ES, to, bytes).is_ok();
            let value = W::get(&c.regs, 0);
            if whole && c.fill_direct(target, count, value) {
                c.advance(reg::EDI, bytes, i);
                count
            } else {
                0
            }
        },
        |c, io| {
            let value = W::get(&c.regs, 0);
            c.write(ES, c.index_register(reg::EDI, i), value, io)?;
            let stride = c.stride(size);
            c.advance(reg::EDI, stride, i);
            Ok(true)
        },
    )
}

/// LODS.
pub(crate) fn lods<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    repeat(
        c,
        i,
        io,
        |_, _, _| 0,
        |c, io| {
            let value: W = c.read(i.segment, c.index_register(reg::ESI, i), io)?;
            W::set(&mut c.regs, 0, value);
            let stride = c.stride(W::BITS / 8);
            c.advance(reg::ESI, stride, i);
            Ok(true)
        },
    )
}

/// Whether a comparison's outcome lets REPE or REPNE go on.
fn matches(c: &Cpu, i: &Inst) -> bool {
    c.flags.zf() == (i.prefixes & prefix::REPNE == 0)
}

/// SCAS.
pub(crate) fn scas<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    repeat(
        c,
        i,
        io,
        |_, _, _| 0,
        |c, io| {
            let value: W = c.read(ES, c.index_register(reg::EDI, i), io)?;
            compare(c, W::get(&c.regs, 0), value);
            let stride = c.stride(W::BITS / 8);
            c.advance(reg::EDI, stride, i);
            Ok(matches(c, i))
        },
    )
}

/// CMPS.
pub(crate) fn cmps<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    repeat(
        c,
        i,
        io,
        |_, _, _| 0,
        |c, io| {
            // In this order: it shows when neither can be read.
            let b: W = c.read(ES, c.index_register(reg::EDI, i), io)?;
            let a: W = c.read(i.segment, c.index_register(reg::ESI, i), io)?;
            compare(c, a, b);
            let stride = c.stride(W::BITS / 8);
            c.advance(reg::ESI, stride, i);
            c.advance(reg::EDI, stride, i);
            Ok(matches(c, i))
        },
    )
}

/// INS.
pub(crate) fn ins<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let port = c.reg16(reg::EDX);
    // The right to the port is checked even when the count is 0.
    c.check_port(port, W::BITS / 8, io)?;
    repeat(
        c,
        i,
        io,
        |_, _, _| 0,
        |c, io| {
            // The port must not be read when the element cannot be stored.
            let offset = c.index_register(reg::EDI, i);
            let linear = c.linear_write(ES, offset, W::BITS / 8)?;
            let user = c.cpl == 3;
            c.probe_write(linear, W::BITS / 8, user, io)?;
            let value: W = read_port(c, port, io)?;
            c.write(ES, offset, value, io)?;
            let stride = c.stride(W::BITS / 8);
            c.advance(reg::EDI, stride, i);
            Ok(true)
        },
    )
}

/// OUTS.
pub(crate) fn outs<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let port = c.reg16(reg::EDX);
    // The right to the port is checked even when the count is 0.
    c.check_port(port, W::BITS / 8, io)?;
    repeat(
        c,
        i,
        io,
        |_, _, _| 0,
        |c, io| {
            let value: W = c.read(i.segment, c.index_register(reg::ESI, i), io)?;
            write_port(c, port, value, io)?;
            let stride = c.stride(W::BITS / 8);
            c.advance(reg::ESI, stride, i);
            Ok(true)
        },
    )
}
