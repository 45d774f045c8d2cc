//! String instructions. A repeated one does a bounded number of elements and then stands at itself again, so
//! that interrupts are served and a fault leaves ESI, EDI and ECX at the element that faulted.

use super::alu::compare;
use super::io::{read_port, width, write_port};
use super::*;
use crate::cpu::event;
use crate::cpu::flags::bit;
use crate::cpu::segment::seg;
use crate::isa::inst::prefix;

const ES: u8 = seg::ES as u8;
/// Elements that a repeated instruction does before interrupts are looked at.
const BATCH: u32 = 4096;
/// Bytes that a device's port moves in one piece at most.
const BLOCK: usize = 1024;

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
            let down = c.flags.has(bit::DF);
            let (from, to) = (c.index_register(reg::ESI, i), c.index_register(reg::EDI, i));
            let (Ok(source), Ok(target)) =
                (c.linear_read(i.segment, from, size), c.linear_write(ES, to, size))
            else {
                return 0;
            };
            let room = |at: u32| match (at & 0xFFF, down) {
                (at, false) => (0x1000 - at) / size,
                (at, true) if at + size <= 0x1000 => at / size + 1,
                _ => 0,
            };
            let count = left.min(room(source)).min(room(target));
            if count == 0 {
                return 0;
            }
            let bytes = count * size;
            // From here on of the element at the lowest address.
            let below = if down { bytes - size } else { 0 };
            if from < below || to < below {
                return 0;
            }
            let (from, to) = (from - below, to - below);
            let (source, target) = (source.wrapping_sub(below), target.wrapping_sub(below));
            let whole = c.straight(from, bytes, i)
                && c.straight(to, bytes, i)
                && c.linear_read(i.segment, from, bytes).is_ok()
                && c.linear_write(ES, to, bytes).is_ok();
            let _ = io;
            let done = whole
                && if down {
                    c.copy_direct_down(source, target, bytes)
                } else {
                    c.copy_direct(source, target, bytes, size)
                };
            if done {
                let by = if down { bytes.wrapping_neg() } else { bytes };
                c.advance(reg::ESI, by, i);
                c.advance(reg::EDI, by, i);
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

/// Where a run of `left` elements of `size` bytes from `offset` upwards lies, and how many bytes of it may move
/// through a port in one piece: no further than page, block and segment go. `linear` checks the segment.
fn port_run(
    c: &Cpu,
    (left, size, offset): (u32, u32, u32),
    i: &Inst,
    linear: impl Fn(&Cpu, u32) -> Run<u32>,
) -> Option<(u32, usize)> {
    if left == 1 || c.flags.has(bit::DF) {
        return None;
    }
    let at = linear(c, size).ok()?;
    let room = (0x1000 - (at & 0xFFF)).min(BLOCK as u32);
    let bytes = left.min(room / size) * size;
    let whole = bytes != 0 && c.straight(offset, bytes, i) && linear(c, bytes).is_ok();
    whole.then_some((at, bytes as usize))
}

/// INS.
pub(crate) fn ins<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let size = W::BITS / 8;
    let port = c.reg16(reg::EDX);
    // The right to the port is checked even when the count is 0.
    c.check_port(port, size, io)?;
    let blocks = io.moves_blocks(port);
    repeat(
        c,
        i,
        io,
        |c, left, io| {
            let to = c.index_register(reg::EDI, i);
            let run = port_run(c, (left, size, to), i, |c, size| c.linear_write(ES, to, size));
            let Some((target, bytes)) = run.filter(|_| blocks) else { return 0 };
            // The port must not be read when what comes cannot be stored.
            if !c.is_direct_write(target, bytes as u32) {
                return 0;
            }
            let mut block = [0; BLOCK];
            let done = io.port_in_block(port, width::<W>(), &mut block[..bytes], c.executed()).min(bytes);
            c.store_direct(target, &block[..done]);
            c.advance(reg::EDI, done as u32, i);
            done as u32 / size
        },
        |c, io| {
            // The port must not be read when the element cannot be stored.
            let offset = c.index_register(reg::EDI, i);
            let linear = c.linear_write(ES, offset, size)?;
            let user = c.cpl == 3;
            c.probe_write(linear, size, user, io)?;
            let value: W = read_port(c, port, io)?;
            c.write(ES, offset, value, io)?;
            let stride = c.stride(size);
            c.advance(reg::EDI, stride, i);
            Ok(true)
        },
    )
}

/// OUTS.
pub(crate) fn outs<W: Word>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let size = W::BITS / 8;
    let port = c.reg16(reg::EDX);
    // The right to the port is checked even when the count is 0.
    c.check_port(port, size, io)?;
    let blocks = io.moves_blocks(port);
    repeat(
        c,
        i,
        io,
        |c, left, io| {
            let from = c.index_register(reg::ESI, i);
            let run = port_run(c, (left, size, from), i, |c, size| c.linear_read(i.segment, from, size));
            let Some((source, bytes)) = run.filter(|_| blocks) else { return 0 };
            let mut block = [0; BLOCK];
            if !c.load_direct(source, &mut block[..bytes]) {
                return 0;
            }
            let done = io.port_out_block(port, width::<W>(), &block[..bytes], c.executed()).min(bytes);
            c.advance(reg::ESI, done as u32, i);
            done as u32 / size
        },
        |c, io| {
            let value: W = c.read(i.segment, c.index_register(reg::ESI, i), io)?;
            write_port(c, port, value, io)?;
            let stride = c.stride(size);
            c.advance(reg::ESI, stride, i);
            Ok(true)
        },
    )
}
