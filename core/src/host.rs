//! What the machine asks of the world: small traits that never block, each with a null implementation.
//!
//! The embedder owns a [`Host`] and lends it to each call of `Machine::run`. All that is not determined by
//! the machine itself enters through these traits.

use crate::time::Instant;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::task::Poll;

pub use crate::devices::ps2::keys::Key;

/// Everything outside the machine.
pub struct Host {
    /// The passage of time.
    pub clock: Box<dyn Clock>,
    /// Where the picture goes.
    pub display: Box<dyn Display>,
    /// One back end per network card.
    pub networks: Vec<Box<dyn Network>>,
    /// Media in the drives.
    pub drives: Drives,
    /// Keyboard, mouse and power button.
    pub input: Box<dyn Input>,
    /// Sound output.
    pub audio: Box<dyn Audio>,
    /// The far ends of the four serial lines.
    pub serial: [Box<dyn Console>; 4],
    /// Debug console (port E9) output.
    pub debug: Box<dyn Console>,
    /// POST codes: what is written to the port that the configuration names.
    pub post: Box<dyn Console>,
}

impl Host {
    /// A world in which nothing happens: time stands still, drives are empty, output is thrown away.
    #[must_use]
    pub fn null() -> Self {
        Self {
            clock: Box::new(Null),
            display: Box::new(Null),
            networks: Vec::new(),
            drives: Drives::default(),
            input: Box::new(Null),
            audio: Box::new(Null),
            serial: [Box::new(Null), Box::new(Null), Box::new(Null), Box::new(Null)],
            debug: Box::new(Null),
            post: Box::new(Null),
        }
    }
}

/// Media in the drives; `None` is an empty drive (or, for a hard disk, no drive).
#[derive(Default)]
pub struct Drives {
    /// Floppy drives A: and B:.
    pub floppy: [Option<Box<dyn Disk>>; 2],
    /// Primary master, primary slave, secondary master, secondary slave.
    pub ide: [Option<Box<dyn Disk>>; 4],
}

/// The passage of time.
pub trait Clock {
    /// Monotonic time since any fixed moment.
    fn now(&mut self) -> Instant;
    /// Civil time (UTC) in nanoseconds since 1970-01-01.
    fn wall(&mut self) -> i64;
}

/// An Ethernet segment: frames without preamble and CRC.
/// ```
/// use nomad86::host::Network;
/// use std::collections::VecDeque;
///
/// /// Sends each frame back to where it came from.
/// #[derive(Default)]
/// struct Mirror(VecDeque<Vec<u8>>);
///
/// impl Network for Mirror {
///     fn transmit(&mut self, frame: &[u8]) {
///         let mut frame = frame.to_vec();
///         frame[..12].rotate_left(6);
///         if self.0.len() < 64 {
///             self.0.push_back(frame);
///         }
///     }
///     fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
///         let frame = self.0.pop_front()?;
///         buffer[..frame.len()].copy_from_slice(&frame);
///         Some(&buffer[..frame.len()])
///     }
/// }
/// # let mut mirror = Mirror::default();
/// # mirror.transmit(&[1; 60]);
/// # assert!(mirror.receive(&mut [0; 1522]).is_some_and(|frame| frame.len() == 60));
/// ```
pub trait Network {
    /// Takes a frame of 14 to 1522 bytes. What cannot be sent is dropped and counted by the back end.
    fn transmit(&mut self, frame: &[u8]);
    /// The next received frame, copied to the front of `buffer` (frames longer than it are dropped and
    /// counted by the back end), or `None` when there is none now.
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]>;
    /// Whether the cable is plugged in.
    fn link(&self) -> bool {
        true
    }
}

/// What the screen shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Columns and rows when the screen shows text.
    pub text: Option<(u16, u16)>,
}

/// Pixels that the machine draws into: `0x00RRGGBB`.
pub struct Surface<'s> {
    /// At least `stride * mode.height` pixels.
    pub pixels: &'s mut [u32],
    /// Pixels from one row to the next, at least `mode.width`.
    pub stride: usize,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width; 0 when nothing changed.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Where the picture goes.
pub trait Display {
    /// Pixels to draw a picture of `mode` into, kept from one call to the next while the mode stays the
    /// same; `None` when nobody looks.
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>>;
    /// The rectangle `dirty` of the surface has new contents.
    fn present(&mut self, mode: Mode, dirty: Rect);
}

/// Why a disk request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskError {
    /// Past the end of the medium.
    OutOfRange,
    /// The medium is write-protected.
    ReadOnly,
    /// The host has no room left; the request may be tried again when it has.
    Full,
    /// The host could not read or write.
    Io,
}

/// A medium of 512-byte sectors (a CD is one with four of them to a block).
///
/// Requests are idempotent: a pending one is repeated with the same arguments until it is ready.
/// ```
/// use core::task::Poll;
/// use nomad86::host::{Disk, DiskError};
///
/// /// A disk in memory.
/// struct Memory(Vec<u8>);
///
/// impl Memory {
///     fn part(&mut self, lba: u64, len: usize) -> Result<&mut [u8], DiskError> {
///         let start = usize::try_from(lba).ok().and_then(|lba| lba.checked_mul(512)).ok_or(DiskError::OutOfRange)?;
///         self.0.get_mut(start..).and_then(|rest| rest.get_mut(..len)).ok_or(DiskError::OutOfRange)
///     }
/// }
///
/// impl Disk for Memory {
///     fn sectors(&self) -> u64 {
///         (self.0.len() / 512) as u64
///     }
///     fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
///         Poll::Ready(self.part(lba, buffer.len()).map(|part| buffer.copy_from_slice(part)))
///     }
///     fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>> {
///         Poll::Ready(self.part(lba, data.len()).map(|part| part.copy_from_slice(data)))
///     }
/// }
/// # let mut disk = Memory(vec![0; 1024]);
/// # assert_eq!(disk.write(1, &[7; 512]), Poll::Ready(Ok(())));
/// # assert_eq!(disk.read(2, &mut [0; 512]), Poll::Ready(Err(DiskError::OutOfRange)));
/// ```
pub trait Disk {
    /// Number of 512-byte sectors.
    fn sectors(&self) -> u64;
    /// Whether writes are refused.
    fn read_only(&self) -> bool {
        false
    }
    /// Fills `buffer` (a multiple of 512 bytes) from sector `lba` on.
    ///
    /// # Errors
    /// Says why nothing could be read.
    fn read(&mut self, lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>>;
    /// Writes `data` (a multiple of 512 bytes) from sector `lba` on.
    ///
    /// # Errors
    /// Says why nothing could be written.
    fn write(&mut self, lba: u64, data: &[u8]) -> Poll<Result<(), DiskError>>;
    /// Ready when all that was written has reached the medium.
    ///
    /// # Errors
    /// Says why it could not.
    fn flush(&mut self) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Ok(()))
    }
}

/// What the user did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum InputEvent {
    /// A key went down or up.
    Key {
        /// Which one, by its place on the keyboard.
        key: Key,
        /// Down.
        pressed: bool,
    },
    /// The mouse moved: right, down, and wheel towards the user, in counts.
    Mouse {
        /// To the right.
        dx: i16,
        /// Down.
        dy: i16,
        /// Wheel, positive towards the user.
        wheel: i8,
    },
    /// Mouse buttons: bit 0 left, 1 right, 2 middle, 3 and 4 extra.
    Buttons(u8),
    /// The power button was pressed.
    Power,
}

/// Keyboard, mouse and power button.
pub trait Input {
    /// The next event, oldest first.
    fn next(&mut self) -> Option<InputEvent>;
}

/// Sound output.
pub trait Audio {
    /// Frames per second that [`Self::play`] expects; 0 when nobody listens.
    fn rate(&self) -> u32;
    /// Takes stereo frames.
    fn play(&mut self, frames: &[[i16; 2]]);
}

/// The far end of a serial line.
pub trait Console {
    /// A byte from the guest.
    fn write(&mut self, byte: u8);
    /// The next byte for the guest.
    fn read(&mut self) -> Option<u8>;
}

/// Nothing: each host trait's implementation for those who do not need it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Clock for Null {
    fn now(&mut self) -> Instant {
        Instant::ZERO
    }
    fn wall(&mut self) -> i64 {
        0
    }
}

impl Network for Null {
    fn transmit(&mut self, _frame: &[u8]) {}
    fn receive<'b>(&mut self, _buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        None
    }
    fn link(&self) -> bool {
        false
    }
}

impl<N: Network + ?Sized> Network for Box<N> {
    fn transmit(&mut self, frame: &[u8]) {
        (**self).transmit(frame);
    }
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        (**self).receive(buffer)
    }
    fn link(&self) -> bool {
        (**self).link()
    }
}

impl Display for Null {
    fn surface(&mut self, _mode: Mode) -> Option<Surface<'_>> {
        None
    }
    fn present(&mut self, _mode: Mode, _dirty: Rect) {}
}

impl Input for Null {
    fn next(&mut self) -> Option<InputEvent> {
        None
    }
}

impl Audio for Null {
    fn rate(&self) -> u32 {
        0
    }
    fn play(&mut self, _frames: &[[i16; 2]]) {}
}

impl Console for Null {
    fn write(&mut self, _byte: u8) {}
    fn read(&mut self) -> Option<u8> {
        None
    }
}
