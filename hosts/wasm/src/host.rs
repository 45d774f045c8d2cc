//! The core's host traits, through the imports of [`abi`].

use crate::abi;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::Poll;
use nomad86::host::{
    Audio, Console, Disk, DiskError, Display, Input, InputEvent, Mode, Network, Rect, Surface,
};

/// Events and bytes that wait for the guest at most; what comes while it does not look is lost from then on.
const WAITING: usize = 64 * 1024;

/// A queue with two ends: clones are the same queue.
pub(crate) struct Queue<T>(Rc<RefCell<VecDeque<T>>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T> Queue<T> {
    /// Appends what there is room for; how many that were.
    pub(crate) fn extend(&self, items: impl IntoIterator<Item = T>) -> usize {
        let mut queue = self.0.borrow_mut();
        let before = queue.len();
        queue.extend(items.into_iter().take(WAITING.saturating_sub(before)));
        queue.len() - before
    }

    fn pop(&self) -> Option<T> {
        self.0.borrow_mut().pop_front()
    }
}

impl Input for Queue<InputEvent> {
    fn next(&mut self) -> Option<InputEvent> {
        self.pop()
    }
}

/// One of the lines that bytes leave by: the serial ones, the debug console, the POST codes.
pub(crate) struct Line {
    /// 0–3 serial, 4 debug console, 5 POST codes.
    pub(crate) number: u32,
    pub(crate) to_guest: Queue<u8>,
}

impl Console for Line {
    fn write(&mut self, byte: u8) {
        abi::line(self.number, byte);
    }

    fn read(&mut self) -> Option<u8> {
        self.to_guest.pop()
    }
}

/// The cable of a card.
pub(crate) struct Cable(pub(crate) u32);

impl Network for Cable {
    fn transmit(&mut self, frame: &[u8]) {
        abi::transmit(self.0, frame);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let len = abi::receive(self.0, buffer)?;
        buffer.get(..len)
    }

    fn link(&self) -> bool {
        abi::link(self.0)
    }
}

/// A drive's medium; the sectors are JavaScript's.
pub(crate) struct Medium {
    pub(crate) drive: u32,
    pub(crate) sectors: u64,
    pub(crate) read_only: bool,
}

/// What an import's answer to a disk request means.
fn answer(code: i32) -> Poll<Result<(), DiskError>> {
    match code {
        0 => Poll::Ready(Ok(())),
        1 => Poll::Pending,
        2 => Poll::Ready(Err(DiskError::OutOfRange)),
        3 => Poll::Ready(Err(DiskError::ReadOnly)),
        4 => Poll::Ready(Err(DiskError::Full)),
        _ => Poll::Ready(Err(DiskError::Io)),
    }
}

impl Medium {
    fn holds(&self, lba: u64, bytes: usize) -> bool {
        lba.checked_add(bytes as u64 / 512).is_some_and(|end| end <= self.sectors)
    }
}

impl Disk for Medium {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        if !self.holds(lba, buffer.len()) {
            return Poll::Ready(Err(DiskError::OutOfRange));
        }
        answer(abi::disk_read(self.drive, lba, buffer))
    }

    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
        if self.read_only {
            return Poll::Ready(Err(DiskError::ReadOnly));
        }
        if !self.holds(lba, data.len()) {
            return Poll::Ready(Err(DiskError::OutOfRange));
        }
        answer(abi::disk_write(self.drive, lba, data))
    }

    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        answer(abi::disk_flush(self.drive))
    }
}

/// The picture. What changed is reported at once; JavaScript reads the pixels when it is ready to draw.
pub(crate) struct Screen {
    /// Somebody looks.
    pub(crate) on: Rc<Cell<bool>>,
    pixels: Vec<u32>,
}

impl Screen {
    pub(crate) const fn new(on: Rc<Cell<bool>>) -> Self {
        Self { on, pixels: Vec::new() }
    }
}

impl Display for Screen {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        if !self.on.get() {
            return None;
        }
        self.pixels.resize(mode.width as usize * mode.height as usize, 0);
        Some(Surface { pixels: &mut self.pixels, stride: mode.width as usize })
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        abi::present(&self.pixels, mode, dirty.y, dirty.height);
    }
}

/// Sound; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Speaker(pub(crate) Rc<Cell<u32>>);

impl Audio for Speaker {
    fn rate(&self) -> u32 {
        self.0.get()
    }

    fn play(&mut self, frames: &[[i16; 2]]) {
        abi::play(frames);
    }
}
