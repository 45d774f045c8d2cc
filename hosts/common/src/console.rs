//! A serial line's far end as a pair of buffers that the embedder empties and fills between two runs.
//!
//! The machine writes a byte at a time; writing each to a terminal or file at once would cost a system call
//! for each. Both directions are collected here instead, and moved in one piece.

use nomad86::host::Console;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes that wait for the guest at most; a paste that is longer must be fed in parts.
const WAITING: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Buffers {
    from_guest: Vec<u8>,
    to_guest: VecDeque<u8>,
}

/// Both ends of a line: the clone in [`nomad86::host::Host`] is the machine's, the other the embedder's.
/// ```
/// use nomad86::host::{Console, Host};
/// use nomad86_host::console::Line;
///
/// let line = Line::default();
/// let mut host = Host::null();
/// host.serial[0] = Box::new(line.clone());
/// assert_eq!(line.give(b"root\n"), 5);
/// // What the guest would do:
/// assert_eq!(host.serial[0].read(), Some(b'r'));
/// host.serial[0].write(b'#');
/// let mut heard = Vec::new();
/// line.take(&mut heard);
/// assert_eq!(heard, b"#");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Line(Rc<RefCell<Buffers>>);

impl Line {
    /// Takes what the guest has written, appending it to `into`.
    pub fn take(&self, into: &mut Vec<u8>) {
        into.append(&mut self.0.borrow_mut().from_guest);
    }

    /// Gives bytes to the guest and returns how many there was room for.
    pub fn give(&self, bytes: &[u8]) -> usize {
        let waiting = &mut self.0.borrow_mut().to_guest;
        let room = bytes.len().min(WAITING.saturating_sub(waiting.len()));
        waiting.extend(&bytes[..room]);
        room
    }

    /// Bytes that the guest has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.borrow().to_guest.len()
    }
}

impl Console for Line {
    fn write(&mut self, byte: u8) {
        self.0.borrow_mut().from_guest.push(byte);
    }

    fn read(&mut self) -> Option<u8> {
        self.0.borrow_mut().to_guest.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_both_ways_in_order() {
        let ours = Line::default();
        let mut guest = ours.clone();
        b"hello".iter().for_each(|&byte| guest.write(byte));
        let mut seen = b"> ".to_vec();
        ours.take(&mut seen);
        assert_eq!(seen, b"> hello");
        ours.take(&mut seen);
        assert_eq!(seen, b"> hello", "they are taken once");
        assert_eq!(ours.give(b"ls\n"), 3);
        assert_eq!((guest.read(), guest.read(), ours.waiting()), (Some(b'l'), Some(b's'), 1));
    }

    #[test]
    fn a_guest_that_does_not_read_bounds_what_waits_for_it() {
        let line = Line::default();
        assert_eq!(line.give(&vec![0; WAITING - 1]), WAITING - 1);
        assert_eq!(line.give(b"ab"), 1);
        assert_eq!(line.give(b"b"), 0);
    }
}
