//! Inputs as scripts: a byte says what to do, the bytes behind it with what. Whatever the bytes are, they
//! mean something, and a changed byte changes one step.

use nomad86::board::Width;

/// Bytes of an input that have not been used yet.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of an input.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte, while there is one.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next `N` bytes; zeros behind the end.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte().unwrap_or(0))
    }

    /// The next two bytes.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    /// The next four bytes.
    pub fn dword(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// As many of the next bytes as there are of `len`.
    pub fn slice(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// All that is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// One step of a script for chips.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Read a port: its number in the family's list.
    In(u8, Width),
    /// Write a port.
    Out(u8, Width, u32),
    /// Read the family's memory-mapped registers at an offset.
    Load(u32, Width),
    /// Write them.
    Store(u32, Width, u32),
    /// Let time pass, in nanoseconds.
    Wait(u32),
    /// Bytes come from outside: a frame, serial bytes, keys.
    Outside(Vec<u8>),
    /// The processor acknowledges an interrupt, the host ejects a medium: what the family makes of it.
    Act(u8),
    /// Write a port many times, as `rep outs` does.
    Repeat(u8, Width, Vec<u8>),
}

const IN: u8 = 0;
const OUT: u8 = 1;
const LOAD: u8 = 2;
const STORE: u8 = 3;
const WAIT: u8 = 4;
const OUTSIDE: u8 = 5;
const ACT: u8 = 6;
const REPEAT: u8 = 7;

fn width(code: u8) -> Width {
    match code >> 3 & 3 {
        0 | 3 => Width::Byte,
        1 => Width::Word,
        _ => Width::Dword,
    }
}

fn code(width: Width) -> u8 {
    match width {
        Width::Byte => 0,
        Width::Word => 1 << 3,
        Width::Dword => 2 << 3,
    }
}

fn value(input: &mut Input<'_>, width: Width) -> u32 {
    match width {
        Width::Byte => u32::from(input.byte().unwrap_or(0)),
        Width::Word => u32::from(input.word()),
        Width::Dword => input.dword(),
    }
}

impl Step {
    /// The next step of an input, or none at its end.
    pub fn read(input: &mut Input<'_>) -> Option<Self> {
        let first = input.byte()?;
        let width = width(first);
        Some(match first & 7 {
            IN => Self::In(input.byte()?, width),
            OUT => Self::Out(input.byte()?, width, value(input, width)),
            LOAD => Self::Load(input.dword(), width),
            STORE => Self::Store(input.dword(), width, value(input, width)),
            WAIT => Self::Wait(input.dword()),
            OUTSIDE => {
                let len = usize::from(input.word() & 0x7FF);
                Self::Outside(input.slice(len).to_vec())
            }
            ACT => Self::Act(input.byte()?),
            _ => {
                let port = input.byte()?;
                let len = usize::from(input.word() & 0x7FF);
                Self::Repeat(port, width, input.slice(len).to_vec())
            }
        })
    }

    /// The bytes that [`Self::read`] makes this step of.
    pub fn write(&self, out: &mut Vec<u8>) {
        let number = |out: &mut Vec<u8>, width: Width, value: u32| {
            out.extend(&value.to_le_bytes()[..width as usize]);
        };
        match self {
            Self::In(port, width) => out.extend([IN | code(*width), *port]),
            Self::Out(port, width, value) => {
                out.extend([OUT | code(*width), *port]);
                number(out, *width, *value);
            }
            Self::Load(at, width) => {
                out.push(LOAD | code(*width));
                out.extend(at.to_le_bytes());
            }
            Self::Store(at, width, value) => {
                out.push(STORE | code(*width));
                out.extend(at.to_le_bytes());
                number(out, *width, *value);
            }
            Self::Wait(ns) => {
                out.push(WAIT);
                out.extend(ns.to_le_bytes());
            }
            Self::Outside(bytes) => {
                out.push(OUTSIDE);
                out.extend((bytes.len() as u16 & 0x7FF).to_le_bytes());
                out.extend(bytes);
            }
            Self::Act(what) => out.extend([ACT, *what]),
            Self::Repeat(port, width, bytes) => {
                out.extend([REPEAT | code(*width), *port]);
                out.extend((bytes.len() as u16 & 0x7FF).to_le_bytes());
                out.extend(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let steps = [
            Step::In(3, Width::Word),
            Step::Out(9, Width::Dword, 0x1234_5678),
            Step::Load(0xA0000, Width::Byte),
            Step::Store(0xFEE0_0300, Width::Dword, 7),
            Step::Wait(1_000_000),
            Step::Outside(vec![1, 2, 3]),
            Step::Act(4),
            Step::Repeat(16, Width::Word, vec![5; 60]),
        ];
        let mut bytes = Vec::new();
        for step in &steps {
            step.write(&mut bytes);
        }
        let mut input = Input::new(&bytes);
        for step in steps {
            assert_eq!(Step::read(&mut input), Some(step));
        }
        assert_eq!(Step::read(&mut input), None);
    }
}
