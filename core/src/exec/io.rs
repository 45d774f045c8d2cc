//! Ports.

use super::*;
use crate::board::Width;

pub(super) const fn width<W: Word>() -> Width {
    match W::BITS {
        8 => Width::Byte,
        16 => Width::Word,
        _ => Width::Dword,
    }
}

/// What comes before every access: the right to it, and breakpoints.
fn access_port(c: &mut Cpu, port: u16, size: u32, io: &mut dyn Io) -> Run {
    c.check_port(port, size, io)?;
    if c.stepping {
        c.check_port_breakpoints(port, size);
    }
    Ok(())
}

pub(super) fn read_port<W: Word>(c: &mut Cpu, port: u16, io: &mut dyn Io) -> Run<W> {
    access_port(c, port, W::BITS / 8, io)?;
    let value = io.port_in(port, width::<W>(), c.executed());
    Ok(W::of(value))
}

pub(super) fn write_port<W: Word>(c: &mut Cpu, port: u16, value: W, io: &mut dyn Io) -> Run {
    access_port(c, port, W::BITS / 8, io)?;
    io.port_out(port, width::<W>(), value.u32(), c.executed());
    Ok(())
}

/// IN.
pub(crate) fn in_<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let port: u16 = S::get(c, i, io)?;
    let value: W = read_port(c, port, io)?;
    D::put(c, i, io, value)
}

/// OUT.
pub(crate) fn out<W: Word, D: Place, S: Place>(c: &mut Cpu, i: &Inst, io: &mut dyn Io) -> Run {
    let port: u16 = D::get(c, i, io)?;
    let value: W = S::get(c, i, io)?;
    write_port(c, port, value, io)
}
